"""``fillproof demo``: a synthetic day, a maker that loses, the court, the diagnosis; all in one folder."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from invariants.auditing import audit
from invariants.demo import tape
from invariants.demo.maker import Maker, Played, play
from invariants.demo.markers import write_markers
from invariants.diagnosis import Diagnosis, Sweep, diagnose, maker_sweep
from invariants.readers import read_run
from invariants.readers.bundle import write_bundle
from invariants.report import report_bytes, report_page, write_atomically
from invariants.simulate import logged_run
from simcore import InputError, Rules, Run

if TYPE_CHECKING:
    from invariants.auditing import Report

OFFSETS_BPS = (0, 1, 2, 3)
"""What the origin report proposes to sweep."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the demo has to show: the court's report, the diagnosis, and the sweep of the quotes' offset."""

    report: Report
    diagnosis: Diagnosis
    sweep: Sweep


def demo_rules() -> Rules:
    """The origin's rules on the instrument of the synthetic tape."""
    return Rules.load("origin", instrument=tape.INSTRUMENT)


def demo_play(maker: Maker | None = None) -> Played:
    """The inside-spread maker's day on the synthetic tape."""
    return play(tape.day(), demo_rules(), tape.INSTRUMENT, maker)


def run_of(played: Played) -> Run:
    """Its run, with all that an engine logs."""
    return logged_run(played.scenario, played.fills, tape.INSTRUMENT, name=tape.NAME)


def show(out: str | Path) -> Shown:
    """Write run, markers and reports into ``out``; they are judged from the files, as anybody would."""
    folder = Path(out)
    for part in ("run", "markers"):
        _make(folder / part)
    played = demo_play()
    run = run_of(played)
    write_bundle(run, folder / "run")
    write_markers(run, folder / "markers", reasons=played.reasons)
    read = read_run(folder / "run")
    report = audit(read)
    diagnosis = diagnose(read, report=report)
    changes = [{"offset_bps": Decimal(bps)} for bps in OFFSETS_BPS]
    # the day itself is played already
    sweep = maker_sweep(
        Maker(), changes, lambda maker: run if maker == Maker() else run_of(demo_play(maker)), parameter="offset, bps"
    )
    write_atomically(folder / "report.json", report_bytes(report))
    write_atomically(folder / "report.html", report_page(report, diagnosis, sweeps=[sweep]).encode())
    return Shown(report, diagnosis, sweep)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(file=str(folder), field="folder", got=error.strerror, wanted="a folder to write to") from None
