"""A run: all that an audit is given, as columns. The one seam between evidence and judgement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from simcore.events import Cancel, Fill, Submit, TopOfBook, Trade
from simcore.rules import Rules
from simcore.scenario import Scenario
from simcore.units import INT64_MAX, LARGEST_LOTS, LARGEST_TICKS, Instrument, Side

if TYPE_CHECKING:
    import pandas as pd

    from simcore.stated import Stated

Ints = npt.NDArray[np.int64]
Objects = npt.NDArray[np.object_]
Ends = npt.NDArray[np.int8]
Ids = Ints | Objects
"""Ids of orders: int64 where a table has nothing but such integers, Python's ints and texts otherwise."""

ABSENT = -(2**63)
"""The value of an optional int64 column where there is none."""


class EndState(IntEnum):
    """How an order ended, as a column holds it; ``UNKNOWN`` where nobody says."""

    UNKNOWN = 0
    FILLED = 1
    CANCELLED = 2
    EXPIRED = 3
    REJECTED = 4
    OPEN = 5

    @property
    def word(self) -> str:
        """As tables and findings write it: "" where it is unknown."""
        return self.name.lower() if self else ""


ENDS = tuple(state.word for state in EndState if state)
"""The words of the end states; an empty one is an unknown end."""

PROVENANCES = ("native", "derived", "nominal", "absent")


@dataclass(frozen=True, eq=False, slots=True)
class Trades:
    """The tape's trades, in tape order, columns of one length.

    ``aggressor`` is +1, -1 or 0 (unknown). ``seq`` is the place in the whole tape that
    ``Fill.trade_seq`` names; ``row`` the place in the file, from 1.
    """

    ns: Ints
    price_ticks: Ints
    size_lots: Ints
    aggressor: Ints
    seq: Ints
    row: Ints

    def __len__(self) -> int:
        return len(self.ns)


@dataclass(frozen=True, eq=False, slots=True)
class Tops:
    """The tape's tops of book, in tape order."""

    ns: Ints
    bid_ticks: Ints
    bid_lots: Ints
    ask_ticks: Ints
    ask_lots: Ints
    row: Ints

    def __len__(self) -> int:
        return len(self.ns)


@dataclass(frozen=True, eq=False, slots=True)
class Orders:
    """Our orders, one row each, in the order of submission.

    ``cancel_ns`` is the first request to cancel (``is_cancelled``: one that does something). ``live_ns`` and
    ``end_ns`` are what the engine logged. A missing time is ``ABSENT``; ``end`` has the numbers of ``EndState``.
    """

    order_id: Ids
    side: Ints
    price_ticks: Ints
    size_lots: Ints
    submit_ns: Ints
    live_ns: Ints
    cancel_ns: Ints
    end_ns: Ints
    end: Ends
    row: Ints

    def __len__(self) -> int:
        return len(self.side)

    @property
    def is_cancelled(self) -> npt.NDArray[np.bool_]:
        """Orders with a cancel that does something: one from before the submit does nothing (rule 5)."""
        is_sent = (self.submit_ns == ABSENT) | (self.cancel_ns >= self.submit_ns)
        return np.asarray((self.cancel_ns != ABSENT) & is_sent, dtype=np.bool_)

    @property
    def end_words(self) -> list[str]:
        """The end of each order in words, "" where it is unknown."""
        words: list[str] = _WORDS[self.end].tolist()
        return words


@dataclass(frozen=True, eq=False, slots=True)
class Fills:
    """Our executions, in the order in which the run lists them.

    ``[ns, ns_to]`` is when the fill happened (equal where exact). ``order`` is the row in
    ``Orders``, -1 where the id is unknown. ``trade_seq`` is ABSENT where not given; ``fee`` is a
    Decimal in ticks times lots, or None.
    """

    ns: Ints
    ns_to: Ints
    order: Ints
    order_id: Ids
    side: Ints
    price_ticks: Ints
    size_lots: Ints
    trade_seq: Ints
    fee: Objects
    row: Ints

    def __len__(self) -> int:
        return len(self.ns)


@dataclass(frozen=True, eq=False, slots=True)
class Positions:
    """The engine's own view of its position, sampled: after every event up to and including ns."""

    ns: Ints
    position_lots: Ints
    row: Ints

    def __len__(self) -> int:
        return len(self.ns)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that was read and cannot be judged: why, in the words of ``InputError``.

    ``table`` is the part of the run (tape, orders, fills, markers); a value that no column can
    hold (off the grid, not finite, not an integer) has ``broken_law`` ``values_are_valid``, a
    marker that matches no order ``fills_have_orders`` or ``orders_are_conserved``.
    """

    table: str
    file: str
    row: int
    field: str
    got: Any
    wanted: str
    broken_law: str = "values_are_valid"


Parts: TypeAlias = tuple[tuple[int, str], ...]
"""The files that a table came in, each with the number of rows before it."""


def place_among(parts: Parts, row: int) -> tuple[str, int]:
    """The file of a row, counted from 1 through all files of its table, and the row in that file."""
    before, file = next(part for part in reversed(parts) if part[0] < row)
    return file, row - before


@dataclass(frozen=True, eq=False)
class Run:
    """Columns, rules and what the author reported. Laws read this and nothing else.

    ``provenance`` says of ``submit_ns``, ``live_ns``, ``cancel_ns`` and ``end_ns`` whether they
    are native, derived, nominal or absent. ``reported`` holds the author's own totals
    (``invariants.laws.totals`` names them), ``claims`` the figures that were published with the
    precision of their print (``invariants.laws.claims``). ``files`` maps a table to the file it came from,
    ``parts`` one that came in several files to these,
    ``read`` to the rows read, ``inputs`` a file to its SHA-256. ``end_counts`` and ``cancel_count`` stand for
    the ends and the cancels of orders that are not at hand.
    """

    trades: Trades
    tops: Tops
    orders: Orders
    fills: Fills
    rules: Rules
    instrument: Instrument = field(default_factory=Instrument)
    positions: Positions = field(default_factory=lambda: Positions(*(_column([]) for _ in range(3))))
    has_tape: bool = True
    provenance: Mapping[str, str] = field(default_factory=dict)
    reported: Mapping[str, Decimal] = field(default_factory=dict)
    rejected: tuple[Rejected, ...] = ()
    read: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, Parts] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    name: str = "run"
    end_ns: int | None = None
    last_event_ns: int | None = None
    exit_code: int | None = None
    engine: str = ""
    engine_version: str = ""
    claims: Mapping[str, Stated] = field(default_factory=dict)
    end_counts: Mapping[str, int] | None = None
    cancel_count: int | None = None

    @property
    def ends(self) -> Mapping[str, int]:
        """How many orders ended how, "" where the end is unknown."""
        return counted(self.orders.end) if self.end_counts is None else self.end_counts

    @property
    def cancels(self) -> int:
        """How many orders have a request to cancel."""
        return int((self.orders.cancel_ns != ABSENT).sum()) if self.cancel_count is None else self.cancel_count

    def place_of(self, table: str, row: int) -> tuple[str, int]:
        """The file of a row of a table, and the row in that file."""
        return place_among(self._parts(table), row)

    def row_at(self, table: str, file: str, row: int) -> int | None:
        """The row again, counted through all files of the table; None for a file that is none of them."""
        return next((before + row for before, name in self._parts(table) if name == file), None)

    def _parts(self, table: str) -> Parts:
        return self.parts.get(table) or ((0, self.files.get(table, table)),)

    @property
    def has_fills(self) -> bool:
        """Whether fills were given at all, be it none; a run may be totals alone."""
        return len(self.fills) > 0 or "fills" in self.read

    @property
    def is_tape_ordered(self) -> bool:
        """Whether no trade stands behind a later one; without that no trade can be looked up by time."""
        return not bool((self.trades.ns[1:] < self.trades.ns[:-1]).any())

    @classmethod
    def from_scenario(cls, scenario: Scenario, answer: Iterable[Any], **more: Any) -> Self:
        """The run of a scenario with the fills that a simulator gave, in their order.

        Answers that are no proper ``Fill`` become rejected rows, never an exception.
        """
        orders, index = _orders(scenario)
        fills, rejected, count = _fills(answer, index)
        trades = [
            (t.ns, t.price_ticks, t.size_lots, t.aggressor or 0, seq, seq + 1)
            for seq, t in enumerate(scenario.tape)
            if isinstance(t, Trade)
        ]
        tops = [
            (t.ns, t.bid_ticks, t.bid_lots, t.ask_ticks, t.ask_lots, seq + 1)
            for seq, t in enumerate(scenario.tape)
            if isinstance(t, TopOfBook)
        ]
        read = {"tape": len(scenario.tape), "orders": len(orders), "fills": count}
        provenance = {"submit_ns": "native", "live_ns": "absent", "cancel_ns": "native", "end_ns": "absent"}
        return cls(
            Trades(*_columns(trades, 6)),
            Tops(*_columns(tops, 6)),
            orders,
            fills,
            scenario.rules,
            rejected=tuple(rejected),
            read=read,
            provenance=provenance,
            files={"tape": "tape", "orders": "actions", "fills": "fills"},
            **more,
        )

    def refilled(self, answer: Iterable[Any]) -> Self:
        """The run of the same orders with other fills, in their order; what is no proper ``Fill`` is rejected."""
        index = {order_id: row for row, order_id in enumerate(self.orders.order_id.tolist())}
        fills, rejected, count = _fills(answer, index)
        return replace(self, fills=fills, rejected=tuple(rejected), read={**self.read, "fills": count})

    @classmethod
    def from_frames(cls, **frames: Any) -> Run:
        """A run from pandas tables in native units; see ``simcore.frames.run_from_frames``."""
        from simcore.frames import run_from_frames  # noqa: PLC0415 - pandas only where tables are

        return run_from_frames(**frames)

    def to_frames(self) -> dict[str, pd.DataFrame]:
        """The tables as pandas frames, in ticks and lots."""
        from simcore.frames import frames_of  # noqa: PLC0415 - same

        return frames_of(self)


def _column(values: Iterable[int]) -> Ints:
    return np.array(list(values), dtype=np.int64)


def _columns(rows: Sequence[Sequence[int]], width: int) -> Ints:
    """Rows of integers as ``width`` columns."""
    return np.array(rows, dtype=np.int64).reshape(len(rows), width).T


def objects(values: Iterable[Any]) -> Objects:
    """A one-dimensional object array, whatever the values are."""
    listed = list(values)
    array = np.empty(len(listed), dtype=np.object_)
    array[:] = listed
    return array


_WORDS = objects(state.word for state in EndState)


def ends_of(words: Iterable[str]) -> Ends:
    """The column of these words of end states. Raises ``ValueError`` for another word."""
    known = _WORDS.tolist()
    return np.array([known.index(word) for word in words], dtype=np.int8)


def counted(end: Ends) -> dict[str, int]:
    """How many orders ended how, by the word."""
    counts = np.bincount(end, minlength=len(_WORDS)).tolist()
    return {state.word: counts[state] for state in EndState if counts[state]}


def first_rows(ids: Ids) -> Ints:
    """For each row the first one that has its id."""
    rows = np.arange(len(ids))
    if ids.dtype != np.object_:
        if bool((ids[1:] > ids[:-1]).all()):
            return rows
        _, first, which = np.unique(ids, return_index=True, return_inverse=True)
        return np.asarray(first[which])
    listed, seen = ids.tolist(), dict[Any, int]()
    if len(set(listed)) == len(listed):
        return rows
    return np.array([seen.setdefault(name, row) for row, name in enumerate(listed)])


def id_at(table: Orders | Fills, row: int) -> int | str:
    """The id in that row, as Python has it."""
    name: int | str = table.order_id[row : row + 1].tolist()[0]
    return name


def _orders(scenario: Scenario) -> tuple[Orders, dict[Any, int]]:
    index: dict[Any, int] = {}
    rows: list[list[int]] = []
    for row, action in enumerate(scenario.actions, 1):
        if isinstance(action, Submit):
            index[action.order_id] = len(rows)
            rows.append([action.side, action.price_ticks, action.size_lots, action.ns, ABSENT, row])
        elif isinstance(action, Cancel):
            at = index.get(action.order_id)
            if at is not None and rows[at][4] == ABSENT:
                rows[at][4] = action.ns
    side, price_ticks, size_lots, submit_ns, cancel_ns, row_ = _columns([tuple(r) for r in rows], 6)
    absent = np.full(len(rows), ABSENT)
    ids = objects(index)
    return Orders(
        ids, side, price_ticks, size_lots, submit_ns, absent, cancel_ns, absent, np.zeros(len(rows), np.int8), row_
    ), index


def _fills(answer: Iterable[Any], index: Mapping[Any, int]) -> tuple[Fills, list[Rejected], int]:
    rows: list[tuple[int, ...]] = []
    ids: list[Any] = []
    fees: list[Decimal | None] = []
    rejected: list[Rejected] = []
    count = 0
    for count, fill in enumerate(map(plain, answer), 1):
        bad = malformed(fill)
        if bad is not None:
            rejected.append(Rejected("fills", "fills", count, *bad))
            continue
        at = index.get(fill.order_id, -1)
        seq = ABSENT if fill.trade_seq is None else fill.trade_seq
        rows.append((fill.ns, fill.ns, at, fill.side, fill.price_ticks, fill.size_lots, seq, count))
        ids.append(fill.order_id)
        fees.append(fill.fee)
    ns, ns_to, order, side, price_ticks, size_lots, seqs, row = _columns(rows, 8)
    return (
        Fills(ns, ns_to, order, objects(ids), side, price_ticks, size_lots, seqs, objects(fees), row),
        rejected,
        count,
    )


def malformed(fill: Any) -> tuple[str, Any, str] | None:  # noqa: PLR0911 - one return a field
    """The field that no column can hold, what it is and what was wanted; None where ``fill`` is one to judge."""
    if not isinstance(fill, Fill):
        return "fill", fill, "a simcore.Fill"
    for name, low, high in (
        ("ns", 0, INT64_MAX),
        ("price_ticks", -LARGEST_TICKS, LARGEST_TICKS),
        ("size_lots", -LARGEST_LOTS, LARGEST_LOTS),
    ):
        value = getattr(fill, name)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            return name, value, f"an int from {low} to {high}"
    if isinstance(fill.order_id, bool) or not isinstance(fill.order_id, int | str):
        return "order_id", fill.order_id, "an int or a str"
    if isinstance(fill.side, bool) or not isinstance(fill.side, int) or fill.side not in (Side.BUY, Side.SELL):
        return "side", fill.side, "Side.BUY or Side.SELL"
    if fill.fee is not None and not _is_fee(fill.fee):
        return "fee", fill.fee, "a Decimal of at most 200 digits, or None"
    if fill.trade_seq is not None and (
        isinstance(fill.trade_seq, bool) or not isinstance(fill.trade_seq, int) or not 0 <= fill.trade_seq <= INT64_MAX
    ):
        return "trade_seq", fill.trade_seq, "an index in the tape, or None"
    return None


def _is_fee(fee: Any) -> bool:
    """Whether sums of such fees are exact."""
    if not isinstance(fee, Decimal) or not fee.is_finite():
        return False
    _, digits, exponent = fee.as_tuple()
    return len(digits) <= 200 and isinstance(exponent, int) and abs(exponent) <= 200


def plain(fill: Any) -> Any:
    """``fill`` with numpy's integers as Python's, and a whole fee as a Decimal; anything else as it is."""
    if not isinstance(fill, Fill):
        return fill
    changes: dict[str, Any] = {n: int(v) for n in _INTEGERS if isinstance(v := getattr(fill, n), np.integer)}
    if isinstance(fill.fee, int) and not isinstance(fill.fee, bool):
        changes["fee"] = Decimal(fill.fee)
    return replace(fill, **changes) if changes else fill


_INTEGERS = ("ns", "order_id", "side", "price_ticks", "size_lots", "trade_seq")
