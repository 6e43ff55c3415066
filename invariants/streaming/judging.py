"""Judging a stretch: some pieces in a row, each loaded as a short run that holds all that it needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from invariants.laws import LAWS
from invariants.laws.crossings import causes, crossings_in
from invariants.laws.justification import reasons
from invariants.smells import Distances, distances
from invariants.split import Piece, judge
from invariants.splitting.carrying import ONCE, Carrier, Part, joined, places_of, taken
from invariants.splitting.cutting import Cut, Seams, end_of, start_of
from invariants.streaming.files import TableFile
from invariants.streaming.ids import check_same
from invariants.streaming.keeping import Judged, keep
from invariants.streaming.planning import Brief, Task
from invariants.streaming.scanning import CONVERT
from simcore import Run
from simcore.frames import Sheet
from simcore.run import ABSENT, Ints, Positions


def judge_stretch(brief: Brief, tasks: Sequence[Task], folder: Path | None = None) -> list[Judged]:
    """Judge some pieces in a row, and keep each in ``folder`` at once where there is one.

    Raises ``InputError``, ``NotInPiecesError``.
    """
    desks = {table: Desk(file, brief, tasks) for table, file in brief.files.items()}
    judged = []
    for task in tasks:
        judged.append(_judged(brief, task, desks))
        keep(judged[-1], folder)
    pa.default_memory_pool().release_unused()
    return judged


class Desk:
    """The rows of one table that the pieces of a stretch need, read once and in order.

    What is read is kept until the piece that needs it has come.
    """

    def __init__(self, file: TableFile, brief: Brief, tasks: Sequence[Task]) -> None:
        self._file, self._brief = file, brief
        self._tasks = list(tasks)
        groups = sorted({group for task in tasks for group in task.groups(file)})
        self._coming = (pair for group in groups for pair in file.sheets(group))
        self._read = 0
        self._waiting: dict[int, list[Any]] = {task.number: [] for task in tasks}

    def rows_of(self, task: Task) -> Any:
        """The rows that a piece needs, in their order."""
        while self._read < task.end_row(self._file.table):
            self._hand_out(*next(self._coming))
        self._tasks = [later for later in self._tasks if later is not task]
        found = self._waiting.pop(task.number)
        return joined(found) if found else _no_rows(self._file.table, self._brief.run)

    def _hand_out(self, first: int, sheet: Sheet) -> None:
        count = len(sheet.frame)
        self._read = first + count
        columns = CONVERT[self._file.table](sheet, self._brief.run.instrument)
        place = columns.row - 1 - first
        for task in self._tasks:
            own, more = task.rows_in(self._file.table, first, first + count)
            if own.start < own.stop or len(more):
                self._waiting[task.number].append(taken(columns, _among(place, own, more)))


def _among(rows: Ints, own: slice, more: Ints) -> Ints:
    """The places among ``rows`` of a range of them and of single ones, which rise and are outside of it."""
    low, high = np.searchsorted(rows, (own.start, own.stop))
    places = places_of(rows, more)
    places = places[places >= 0]
    before = int(np.searchsorted(places, low))
    return np.concatenate((places[:before], np.arange(low, high), places[before:]))


def _no_rows(table: str, run: Run) -> Any:
    return {"orders": run.orders, "tape": run.trades, "quotes": run.tops}[table]


def _judged(brief: Brief, task: Task, desks: dict[str, Desk]) -> Judged:
    run, edges = _loaded(brief, task, desks)
    carrier = Carrier(run, Seams(run), edges, all_named=brief.all_named)
    parts = tuple(_placed(part, run, task) for part in carrier.parts(1) if part.name not in ONCE)
    piece = Piece(task.number, task.begin_ns, task.end_ns, parts, brief.windows)
    slices = [part.run for part in parts if part.name == "slice"]
    report = judge(piece, laws=LAWS, max_findings=brief.max_findings)
    for remembered in (causes, crossings_in, reasons):
        remembered.cache_clear()  # or the rows of this piece stay while the next is loaded
    return Judged(report, distances(slices[0]) if slices else Distances())


def _placed(part: Part, run: Run, task: Task) -> Part:
    """The part with the places that its rows have in the whole run."""
    return replace(part, orders=run.orders.row[part.orders] - 1, fills=task.fill_rows[part.fills])


def _loaded(brief: Brief, task: Task, desks: dict[str, Desk]) -> tuple[Run, list[Cut]]:
    """The piece as a run of its own, and its edges: before it, its beginning, its end, behind it."""
    empty = brief.run
    orders = desks["orders"].rows_of(task) if "orders" in desks else empty.orders
    missing = ~np.isin(brief.extras.row, orders.row)
    if missing.any():
        orders = joined([orders, taken(brief.extras, missing)])
        orders = taken(orders, np.argsort(orders.row, kind="stable"))
    trades = desks["tape"].rows_of(task) if "tape" in desks else empty.trades
    tops = desks["quotes"].rows_of(task) if "quotes" in desks else empty.tops
    own = {
        table: [int(np.searchsorted(rows.row, edge + 1)) for edge in task.own.get(table, (0, 0))]
        for table, rows in (("orders", orders), ("tape", trades), ("quotes", tops))
    }
    first, end = task.own_fills
    fills = replace(task.fills, order=places_of(orders.row - 1, task.fills.order))
    check_same(orders, fills)
    before_lots = task.position_lots - int((fills.side * fills.size_lots)[:first].sum())
    run = replace(
        empty,
        orders=orders,
        trades=trades,
        tops=tops,
        fills=fills,
        rules=empty.rules
        if empty.rules.initial_position_lots == before_lots
        else replace(empty.rules, initial_position_lots=before_lots),
        positions=_last_instant(brief.event_ns) if task.last else empty.positions,
    )
    begin, after = (
        Cut(ns, own["tape"][k], own["quotes"][k], own["orders"][k], fill)
        for k, (ns, fill) in enumerate(((task.begin_ns, first), (task.end_ns, end)))
    )
    edges = [start_of(), begin, after, end_of(run)]
    return run, [start_of(), begin, end_of(run)] if task.last else edges


def _last_instant(ns: int) -> Positions:
    """A sample at the last instant of which the whole run speaks."""
    some = np.array([ns] if ns != ABSENT else [], dtype=np.int64)
    return Positions(some, np.zeros_like(some), np.zeros_like(some))


def stretches(tasks: Iterator[Task], length: int) -> Iterator[list[Task]]:
    """So many pieces in a row at a time."""
    waiting: list[Task] = []
    for task in tasks:
        waiting.append(task)
        if len(waiting) == length:
            yield waiting
            waiting = []
    if waiting:
        yield waiting
