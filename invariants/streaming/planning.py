"""From what two looks told to the pieces of a run: what each judges, and what it carries.

All that is kept of a run of any length: its fills, its sampled positions, and some numbers for each
piece. Orders, trades and tops of book stay in their files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from invariants.laws.windows import Window
from invariants.readers.same_clock import is_near
from invariants.splitting.carrying import joined, taken
from invariants.splitting.cutting import Cut, Seams, start_of
from invariants.streaming.files import TableFile
from invariants.streaming.ids import Ids, NotInPiecesError
from invariants.streaming.scanning import CONVERT, Names, Times
from invariants.streaming.shelf import Shelf
from simcore import Run
from simcore.run import ABSENT, Fills, Ints, Objects, Orders, Rejected
from simcore.units import INT64_MAX


@dataclass(frozen=True, slots=True)
class Task:
    """One piece: ranges of own rows, and single rows from elsewhere that it needs.

    ``fills`` are its own (``own_fills`` of them, from one place to another) and all others of its orders;
    ``order`` is a row of the file. ``fill_rows`` are their places in the run.
    """

    number: int
    begin_ns: int
    end_ns: int
    last: bool
    own: dict[str, tuple[int, int]]
    more: dict[str, Ints]
    fills: Fills
    fill_rows: Ints
    own_fills: tuple[int, int]
    position_lots: int

    def rows_in(self, table: str, first: int, end: int) -> tuple[slice, Ints]:
        """What it needs of the rows from ``first`` to ``end``, numbered from there: a range, and single rows."""
        low, high = (min(max(edge, first), end) - first for edge in self.own[table])
        more = self.more[table]
        return slice(low, high), more[(more >= first) & (more < end)] - first

    def end_row(self, table: str) -> int:
        """The row behind the last one that it needs."""
        low, high = self.own[table]
        return max(high if high > low else 0, int(self.more[table].max(initial=-1)) + 1)

    def groups(self, file: TableFile) -> list[int]:
        """The row groups that it needs."""
        low, high = self.own[file.table]
        edges = np.array([low, high - 1] if high > low else [], dtype=np.int64)
        ends = file.groups_of(np.concatenate((edges, self.more[file.table])))
        between = range(int(ends[0]), int(ends[1]) + 1) if high > low else range(0)
        return sorted({*between, *ends.tolist()})


@dataclass(frozen=True, slots=True)
class Brief:
    """What all pieces of a run share.

    ``run`` has its head, and no rows; ``extras`` are orders that say what is known.
    """

    run: Run
    files: dict[str, TableFile]
    dropped: dict[str, Ints]
    extras: Orders
    all_named: bool
    windows: tuple[tuple[Window, str], ...]
    event_ns: int
    max_findings: int


@dataclass(eq=False)
class Plan:
    """All that is known of a run before its pieces are judged."""

    run: Run
    files: dict[str, TableFile]
    shelf: Shelf
    rejected: list[Rejected] = field(default_factory=list)
    dropped: dict[str, Ints] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    again: Ints = field(default_factory=lambda: np.empty((2, 0), np.int64))
    cuts: list[Cut] = field(default_factory=list)
    position_lots: Ints | Objects = field(default_factory=lambda: np.empty(0, np.int64))
    at: dict[str, Ints] = field(default_factory=dict)
    open_rows: dict[int, Ints] = field(default_factory=dict)
    trade_row: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    submit_ns: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    clues: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    unsided: int = -1
    event_ns: int = ABSENT
    logs_live: bool = False
    ends: Counter[str] = field(default_factory=Counter)
    cancels: int = 0
    spans: dict[str, list[tuple[int, int, int]]] = field(default_factory=dict)

    def name(self, found: Sequence[Names], table: str, ids: Ids) -> None:
        """Take in the first look at a table; ``ids`` are those that the fills name."""
        lost = [row for names in found for row in names.rejected]
        self.rejected += lost
        self.dropped[table] = np.array([row.row - 1 for row in lost], dtype=np.int64)
        if table == "orders":
            first = np.full(len(ids.numbers) + 1, -1)
            for names in reversed(found):
                first[names.named] = names.row
            fills = self.run.fills
            order = self.shelf.put(first[ids.places_of_fills(fills)])
            self.run = replace(self.run, fills=replace(fills, order=order))

    def cut(self, cuts_ns: Iterable[int]) -> list[int]:
        """Find the places nearest to these instants at which the fills let the run be cut."""
        seams = Seams(self.run)
        self.position_lots = self.shelf.put(seams.position_lots)
        cuts = {cut.ns: cut for cut in map(seams.at, sorted(set(cuts_ns))) if cut.ns < INT64_MAX}
        self.cuts = [cuts[ns] for ns in sorted(cuts)]
        return [cut.ns for cut in self.cuts]

    def fills_in(self, file: TableFile, group: int) -> tuple[Run, Ints]:
        """The run with the fills that the second look at a row group needs, and their places."""
        rows: Ints = np.empty(0, np.int64)
        if file.table == "orders":
            rows = self._naming(file.edges[group], file.edges[group + 1])
        if file.table == "tape":
            low, high = file.seqs[group]
            rows = np.flatnonzero((self.run.fills.trade_seq >= low) & (self.run.fills.trade_seq <= high))
        positions = taken(self.run.positions, slice(0, 0))
        return replace(self.run, fills=taken(self.run.fills, rows), positions=positions), rows

    def _naming(self, begin: int, end: int) -> Ints:
        """The fills of the orders in these rows."""
        by_order = self._by_order
        first, last = np.searchsorted(self.run.fills.order, (begin, end), sorter=by_order)
        return np.sort(by_order[first:last])

    @cached_property
    def _by_order(self) -> Ints:
        """The fills sorted by their order."""
        by_order: Ints = self.shelf.put(np.argsort(self.run.fills.order, kind="stable"))
        return by_order

    def time(self, found: Sequence[Times], table: str) -> None:
        """Take in the second look at a table. Raises ``NotInPiecesError``."""
        file = self.files[table]
        told = [times for times in found if times.kept]
        self.spans[table] = [(times.begin, times.first_ns, times.last_ns) for times in told]
        self.counts[table] = sum(times.kept for times in told)
        _check_order(table, told)
        at = _rows_at(told, [cut.ns for cut in self.cuts], len(file))
        self.at[table] = np.array([0, *at, len(file)], dtype=np.int64)
        self.event_ns = max([self.event_ns, *(times.event_ns for times in told)])
        if table == "tape":
            trade_row = np.full(len(self.run.fills), -1)
            for times in found:
                trade_row[times.fill] = times.trade
            self.trade_row = self.shelf.put(trade_row)
            self.unsided = next((times.unsided for times in told if times.unsided >= 0), -1)
        if table == "orders":
            self._take_orders(found)

    def _take_orders(self, found: Sequence[Times]) -> None:
        submit_ns = np.full(len(self.run.fills), ABSENT)
        for times in found:
            submit_ns[times.fill] = times.submit_ns
        self.submit_ns = self.shelf.put(submit_ns)
        open_rows: dict[int, list[Ints]] = {}
        for piece, rows in (pair for times in found for pair in times.open_rows):
            open_rows.setdefault(piece, []).append(rows)
        self.open_rows = {piece: np.concatenate(rows) for piece, rows in open_rows.items()}
        ended = next((times.ended for times in found if times.ended >= 0), -1)
        live = next((times.live for times in found if times.live >= 0), -1)
        self.logs_live = live >= 0
        for times in found:
            self.ends.update(times.ends)
            self.cancels += times.cancels
        self.clues = np.unique([row for row in (ended, live) if row >= 0]).astype(np.int64)

    def check_clock(self) -> None:
        """As the readers do, of what has been seen. Raises ``NotInPiecesError``: they say which row it is."""
        orders, tape = (self.spans.get(table) for table in ("orders", "tape"))
        if len(self.run.fills) and orders and tape:
            sent_ns, first_ns, last_ns = np.array(orders)[:, 1:], tape[0][1], tape[-1][2]
            if not any(is_near(ns, first_ns, last_ns) for ns in (self.run.fills.ns, sent_ns)):
                raise NotInPiecesError("orders and fills are years from the tape")

    @property
    def all_named(self) -> bool:
        """Whether every fill names its trade truly."""
        return bool(self.counts.get("tape")) and bool((self.trade_row >= 0).all())

    def tasks(self) -> Iterator[Task]:
        """The pieces in their order."""
        run, files = self.run, self.files
        begins = [start_of(), *self.cuts]
        ends_ns = [*(cut.ns for cut in self.cuts), INT64_MAX]
        fill_edges = [0, *(cut.fills for cut in self.cuts), len(run.fills)]
        for number, begin in enumerate(begins):
            own = {t: (int(at[number]), int(at[number + 1])) for t, at in self.at.items()}
            first_fill, end_fill = fill_edges[number], fill_edges[number + 1]
            more: dict[str, Ints] = {table: np.empty(0, np.int64) for table in files}
            if "orders" in files:
                more["orders"] = self._more_orders(number, own["orders"], run.fills.order[first_fill:end_fill])
            theirs = self._fills_of(own.get("orders", (0, 0)), more.get("orders", np.empty(0, np.int64)))
            rows = np.union1d(theirs, np.arange(first_fill, end_fill))
            if "tape" in files:
                named = self.trade_row[rows[rows < first_fill]]
                also = [self.unsided] if not self.counts.get("orders") and self.unsided >= 0 else []
                rows_too = np.concatenate((named[named >= 0], also, self._before("tape", own["tape"][0])))
                more["tape"] = _outside(rows_too.astype(np.int64), own["tape"])
            if "quotes" in files:
                more["quotes"] = self._before("quotes", own["quotes"][0])
            yield Task(
                number, begin.ns, ends_ns[number], number == len(begins) - 1, own, more,
                taken(run.fills, rows), rows,
                (int(np.searchsorted(rows, first_fill)), int(np.searchsorted(rows, end_fill))),
                int(self.position_lots[first_fill]),
            )  # fmt: skip

    def _more_orders(self, number: int, own: tuple[int, int], named: Ints) -> Ints:
        """Orders from elsewhere: named by own fills, open here, or the first of an id that is used again."""
        row, first = self.again
        again = first[(row >= own[0]) & (row < own[1])]
        rows = np.concatenate((named[named >= 0], self.open_rows.get(number, np.empty(0, np.int64)), again))
        if own[0] == own[1] and not len(rows) and self.counts["orders"]:
            rows = np.array([next(self._kept_orders())])  # it says that there are orders
        return _outside(rows, own)

    def _kept_orders(self) -> Iterator[int]:
        dropped = set(self.dropped["orders"].tolist())
        return (row for row in range(len(self.files["orders"])) if row not in dropped)

    def _fills_of(self, own: tuple[int, int], more: Ints) -> Ints:
        """All fills of these orders and of those that say what the run knows."""
        some = [self._naming(row, row + 1) for row in (*more.tolist(), *self.clues.tolist())]
        return np.concatenate((self._naming(*own), *some))

    def _before(self, table: str, first: int) -> Ints:
        """The quote that was standing, the trade that was the last: the row before, of those that are kept."""
        dropped = set(self.dropped[table].tolist())
        before = next((row for row in range(first - 1, -1, -1) if row not in dropped), -1)
        return np.array([before] if before >= 0 else [], dtype=np.int64)

    def extras(self) -> Orders:
        """The orders that say what the run knows."""
        file = self.files.get("orders")
        if file is None:
            return self.run.orders
        found = [
            CONVERT["orders"](file.sheet_of(rows, table), self.run.instrument)
            for rows, table in file.picked(self.clues)
        ]
        return joined(found) if found else self.run.orders


def _outside(rows: Ints, own: tuple[int, int]) -> Ints:
    rows = np.unique(rows).astype(np.int64)
    return rows[(rows < own[0]) | (rows >= own[1])]


def _rows_at(told: Sequence[Times], cuts_ns: Sequence[int], end: int) -> Iterator[int]:
    """For each cut the first row that is not before it."""
    which = np.searchsorted(np.array([times.last_ns for times in told], np.int64), cuts_ns, "left")
    for ns, at in zip(cuts_ns, which.tolist(), strict=True):
        yield told[at].at.get(ns, told[at].row) if at < len(told) else end


def _check_order(table: str, told: Sequence[Times]) -> None:
    """A piece ends where the next begins only where rows stand in the order of their times."""
    ordered = all(times.ordered for times in told)
    for before, after in pairwise(told):
        ordered &= before.last_ns <= after.first_ns
        ordered &= table != "tape" or before.seqs[1] < after.seqs[0]
    if not ordered:
        raise NotInPiecesError(f"the {table} do not stand in the order of their times")


def rise(found: Sequence[Names]) -> bool:
    """Whether ids rise as numbers from the first order to the last, so that none comes twice."""
    ends = [names.rising for names in found]
    return None not in ends and all(a[1] < b[0] for a, b in pairwise(end for end in ends if end is not None))
