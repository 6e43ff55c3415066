"""``fillproof demo``: a synthetic day, a maker, the reference simulator, the court; all in one folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from invariants.auditing import audit
from invariants.demo import tape
from invariants.demo.markers import write_markers
from invariants.readers import read_run
from invariants.readers.bundle import write_bundle
from invariants.report import report_bytes, report_page, write_atomically
from invariants.simulate import QUOTE_UNITS, maker_run
from simcore import InputError, Rules, Run

if TYPE_CHECKING:
    from invariants.auditing import Report


def demo_run() -> Run:
    """The maker's day on the synthetic tape, under the origin's rules."""
    rules = Rules.load("origin", instrument=tape.INSTRUMENT)
    size_lots = tape.INSTRUMENT.lots(QUOTE_UNITS)
    return maker_run(tape.day(), rules, tape.INSTRUMENT, size_lots=size_lots, name=tape.NAME)


def show(out: str | Path) -> Report:
    """Write run, markers and reports into ``out``; the report is of the files, as anybody would audit them."""
    folder = Path(out)
    for part in ("run", "markers"):
        _make(folder / part)
    run = demo_run()
    write_bundle(run, folder / "run")
    write_markers(run, folder / "markers")
    report = audit(read_run(folder / "run"))
    write_atomically(folder / "report.json", report_bytes(report))
    write_atomically(folder / "report.html", report_page(report).encode())
    return report


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(file=str(folder), field="folder", got=error.strerror, wanted="a folder to write to") from None
