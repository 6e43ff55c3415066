"""Round trip: every row of a third-party output is judged or rejected, however the file was damaged.

Each file that a reader takes from the outputs of seven engines is cut, reordered, repeated, retyped
and re-encoded. A copy is refused by a named error, or read with an exact count; and no copy that
lost nothing lets a law hold that the original broke.
"""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from copies import LOSSLESS, REPEATED, Copy, copies

from invariants.auditing import Report, audit
from invariants.readers import nautilus, read_run
from invariants.readers.nautilus_events import fold_events
from invariants.readers.tape import Tape, read_tape
from invariants.verdict import Verdict
from simcore import InputError, Run

ENGINES = Path(__file__).parents[2] / "shared" / "engines"
OUTPUTS = sorted(
    path.parent if path.name == "meta.json" else path
    for path in (*ENGINES.glob("*/*/meta.json"), *ENGINES.glob("freqtrade/*.zip"))
)
NO_TABLE = ("writer.csv", "writer.csv.gz")
"""A file of several tables and prose, of which only the bars are rows."""

STATES = ("order_snapshots", "assets", "cash", "equity_curve", "recorder", "writer", "stats", "positions")
"""Files of states: one that is told twice claims nothing new."""

needs_outputs = pytest.mark.skipif(not OUTPUTS, reason="no ../shared/engines here")


@cache
def tape() -> Tape:
    return read_tape(ENGINES / "tape")


@cache
def original(output: Path) -> Report:
    return audit(read_run(output, tape=tape()), max_findings=0)


@cache
def folded(data: bytes, file: str) -> bytes:
    return pickle.dumps(fold_events(data, file=file))


@pytest.fixture(autouse=True)
def events_are_folded_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Most copies damage another file than NautilusTrader's long log; each has a history of its own all the same."""
    monkeypatch.setattr(nautilus, "fold_events", lambda data, *, file: pickle.loads(folded(data, file)))  # noqa: S301
    yield
    folded.cache_clear()


def files_of(output: Path) -> list[Path]:
    """The tables that the reader of this output reads."""
    read = [Path(name) for name in original(output).run.inputs]
    return [file for file in read if file.is_relative_to(output) and file.name != "meta.json"]  # else of the tape


def is_counted(run: Run) -> None:
    """Read = judged + rejected, for every table."""
    lost: dict[str, int] = {}
    for row in run.rejected:
        lost[row.table] = lost.get(row.table, 0) + 1
    assert set(lost) <= set(run.read), (lost, run.read)
    for table, rows in (("orders", run.orders), ("fills", run.fills), ("positions", run.positions)):
        if table in run.read:
            assert run.read[table] == len(rows) + lost.get(table, 0), (table, run.read, len(rows), lost)


def broken(report: Report) -> set[str]:
    return {j.law for j in report.judgements if j.verdict is Verdict.FAIL}


def trouble(report: Report) -> int:
    """Rows that some law convicts, and rows that were rejected."""
    return sum(j.failed for j in report.judgements) + len(report.run.rejected)


def try_copy(output: Path, file: Path, copy: Copy, room: Path, *, judge: bool) -> str:
    """Read the output with ``file`` replaced by the copy; what came of it, in one word."""
    target = room / (file.name if output.is_file() else f"{output.name}/{file.name}")
    if output.is_dir():
        shutil.rmtree(target.parent, ignore_errors=True)
        shutil.copytree(output, target.parent, copy_function=shutil.copyfile)
        target.parent.chmod(0o755)
    target.write_bytes(copy.make())
    try:
        run = read_run(target if output.is_file() else target.parent, tape=tape() if judge else None)
    except InputError:
        return "refused"
    is_counted(run)
    if copy.rows is not None and str(target) in run.inputs and file.name not in NO_TABLE:
        assert copy.rows in run.read.values(), (copy.how, run.read)
    if judge:
        before, after = original(output), audit(run, max_findings=0)
        if copy.kind == LOSSLESS:
            assert after.verdict.rank >= before.verdict.rank, (copy.how, broken(before) - broken(after))
        if copy.kind == REPEATED and str(target) in run.inputs and not file.name.startswith(STATES):
            assert trouble(after) > trouble(before), copy.how
    return "counted"


def try_copies(output: Path, room: Path, *, first: int, step: int) -> dict[str, int]:
    """Try the first copies of each file, and every ``step``-th of the others (most damage one cell's column)."""
    told = {"refused": 0, "counted": 0}
    for file in files_of(output):
        for number, copy in enumerate(copies(file.name, file.read_bytes())):
            if number < first or number % step == 0:
                try:
                    told[try_copy(output, file, copy, room, judge=copy.kind != "lossy")] += 1
                except Exception as error:
                    error.add_note(f"{file.name} {copy.how}")
                    raise
    assert told["refused"] > 0
    assert told["counted"] > 0
    return told


@needs_outputs
@pytest.mark.parametrize("output", OUTPUTS, ids=lambda p: f"{p.parent.name}-{p.name}")
def test_a_damaged_copy_is_refused_or_counted(output: Path, tmp_path: Path) -> None:
    try_copies(output, tmp_path, first=8, step=60)


@pytest.mark.soak
@needs_outputs
@pytest.mark.parametrize("output", OUTPUTS, ids=lambda p: f"{p.parent.name}-{p.name}")
def test_hundreds_of_damaged_copies_are_refused_or_counted(output: Path, tmp_path: Path) -> None:
    told = try_copies(output, tmp_path, first=20, step=5)
    assert sum(told.values()) >= 30, told
