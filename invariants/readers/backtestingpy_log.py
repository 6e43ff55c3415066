"""backtesting.py: the log that a strategy keeps of its orders, and which exits belong to them.

The engine names the order (``Tag``) on the entry leg of a trade alone. The exit legs of a bar and a
side are explained together, or not at all: an order fills whole, at its limit or, where that is
better, at the open of the bar, which is one price for all; and where one filled, so did every other
that was live with a limit as good. If exactly one set of orders explains the legs to the last unit,
the legs are theirs. On the last bar what is left over at the open is the engine's own closing. Every
other exit leg keeps a name of its own, of no order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any

from invariants.readers import clock
from invariants.readers.binary_sums import number
from invariants.readers.engine_table import EngineTable
from simcore import InputError
from simcore.run import Rejected

LOG = ("ev", "t", "tag", "side", "qty", "limit")
EVENTS = ("submit", "cancel")
MOST_STEPS = 10_000
"""Steps of the search for the orders to which the exit legs of one price add up."""


@dataclass(frozen=True, eq=False)
class Table:
    """One file, cell by cell; rows are counted from 0 here, from 1 in errors. Null and NaN are None."""

    source: EngineTable

    @property
    def file(self) -> str:
        """Its name."""
        return self.source.file

    def __len__(self) -> int:
        return len(self.source)

    @cached_property
    def columns(self) -> dict[str, list[Any]]:
        """All columns by their name."""
        names = map(str, self.source.frame.columns)
        return {name: [None if v != v else v for v in self.source.listed(name)] for name in names}  # noqa: PLR0124 - NaN

    def cell(self, name: str, at: int) -> Any:
        """A cell as it came; None without the column."""
        return self.columns[name][at] if name in self.columns else None

    def number(self, name: str, at: int) -> Decimal:
        """The finite number in a cell."""
        return number(self.cell(name, at), file=self.file, row=at + 1, field=name)

    def whole(self, name: str, at: int) -> int:
        """The whole number in a cell."""
        value = self.number(name, at)
        if not -(2**63) <= value <= 2**63 or value != int(value):
            raise self.refused(name, at, "a whole number")
        return int(value)

    def instant(self, name: str, at: int) -> int:
        """The instant in a cell, in nanoseconds."""
        value = self.cell(name, at)
        if isinstance(value, str):
            text = f"{value.strip()} 00:00" if len(value.strip()) == len("2026-01-05") else value
            try:
                return clock.ns_of(text)
            except ValueError:
                raise self.refused(name, at, clock.WANTED) from None
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.refused(name, at, clock.WANTED)
        return value

    def refused(self, name: str, at: int, wanted: str) -> InputError:
        """The error about a cell."""
        return self.source.refused(name, at + 1, self.cell(name, at), wanted)


@dataclass(frozen=True)
class Bars:
    """The bars of the run: their labels (start, ns), in order, and their length in nanoseconds."""

    labels: list[int]
    length_ns: int

    def last_ns(self, label: int) -> int:
        """The last instant of the bar of this label, and the moment of decisions on its close."""
        return label + self.length_ns - 1


@dataclass(frozen=True, slots=True)
class Leg:
    """One side of a round trip: ``label`` of its bar, signed side, size, price, its share of the fees."""

    row: int
    part: str
    label: int
    side: int
    size: Decimal
    price: Decimal
    fee: Decimal | None
    tag: Any

    @property
    def name(self) -> str:
        """An id for a leg that no order explains."""
        return f"{self.part} of trade {self.row}"


def tag_of(value: Any) -> Any:
    """A tag as the same value from CSV (text) and Parquet (a float where some are missing)."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.removesuffix(".0").lstrip("-").isdecimal() and len(value) < 19:
        return int(value.removesuffix(".0"))
    return value if isinstance(value, int | str | None) else str(value)


@dataclass(eq=False, slots=True)
class Placed:
    """An order of the log: it may fill from the bar after ``label`` to that of ``cancel``, both by label."""

    row: int
    tag: Any
    side: int
    price: Decimal
    size: Decimal
    label: int
    cancel: int | None = None
    is_filled: bool = False

    def paid(self, open_: Decimal | None) -> Decimal:
        """What it fills at in a bar that opens there: the better of open and limit; its limit without one."""
        if open_ is None:
            return self.price
        return min(open_, self.price) if self.side > 0 else max(open_, self.price)


@dataclass(slots=True)
class Log:
    """The strategy's log: orders by row, positions by (label, size), and what is wrong with it.

    ``unlimited`` are the tags of orders without a limit; ``stops``: trades end by stop-loss or take-profit, too;
    ``untagged``: trades do not say of which order they are.
    """

    file: str
    orders: list[Placed] = field(default_factory=list)
    positions: list[tuple[int, Decimal, int]] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    unlimited: list[Any] = field(default_factory=list)
    stops: bool = False
    untagged: bool = False

    def by_tag(self) -> dict[Any, Placed]:
        """The first order of each tag."""
        return {order.tag: order for order in reversed(self.orders)}


def log_of(table: Table, trades: Table) -> Log:
    """The log. Raises ``InputError``."""
    stops = any(trades.cell(name, at) is not None for name in ("SL", "TP") for at in range(len(trades)))
    log = Log(table.file, stops=stops, untagged="Tag" not in trades.columns)
    first: dict[Any, Placed] = {}
    for at, word in enumerate(table.columns["ev"]):
        if word not in EVENTS:
            raise table.refused("ev", at, " or ".join(EVENTS))
        tag = tag_of(table.cell("tag", at))
        if tag is None:
            raise table.refused("tag", at, "the tag of an order")
        if word == "submit":
            log.positions += _position(table, at)
            if table.cell("limit", at) is None:
                log.unlimited.append(tag)
            else:
                _submit(log, first, _placed(table, at, tag))
        elif tag not in log.unlimited:
            _cancel(log, first.get(tag), at + 1, tag, table.instant("t", at))
    return log


def _submit(log: Log, first: dict[Any, Placed], order: Placed) -> None:
    log.orders.append(order)
    first.setdefault(order.tag, order)


def _cancel(log: Log, order: Placed | None, row: int, tag: Any, label: int) -> None:
    """A cancel; the first of an order counts, and one of no order is a rejected row."""
    if order is None:
        wanted = "the tag of an order that was submitted"
        log.rejected.append(Rejected("strategy_log", log.file, row, "tag", tag, wanted, "orders_are_conserved"))
    elif order.cancel is None:
        order.cancel = label


def _position(table: Table, at: int) -> list[tuple[int, Decimal, int]]:
    """The position that the strategy saw, if it wrote it down."""
    if table.cell("pos", at) is None:
        return []
    return [(table.instant("t", at), table.number("pos", at), at + 1)]


def _placed(table: Table, at: int, tag: Any) -> Placed:
    side, size = table.number("side", at), table.number("qty", at)
    if side not in (1, -1):
        raise table.refused("side", at, "1 (buy) or -1 (sell)")
    return Placed(at + 1, tag, int(side), table.number("limit", at), size, table.instant("t", at))


def matched(legs: Sequence[Leg], log: Log, bars: Bars) -> dict[Leg, Any]:
    """The order id of each leg; of an exit that no order explains, its own name."""
    found: dict[Leg, Any] = {leg: leg.name if leg.tag is None else leg.tag for leg in legs}
    orders = log.by_tag()
    for leg in legs:
        if leg.part == "entry" and leg.tag in orders:
            orders[leg.tag].is_filled = True
    sides: dict[tuple[int, int], list[Leg]] = defaultdict(list)
    for leg in legs:
        sides[leg.label, leg.side].append(leg)
    groups = [sides[key] for key in sorted(sides)]
    for group, live in _with_live(groups, log.orders):
        for leg, order in _explained(Side(group, live, orders, is_last=group[0].label == bars.labels[-1])):
            found[leg] = order.tag
            order.is_filled = True
    return found


def _with_live(groups: Sequence[list[Leg]], orders: Sequence[Placed]) -> Iterator[tuple[list[Leg], list[Placed]]]:
    """Each group, in order of time, with the orders of its side that may fill in its bar."""
    queue, taken = sorted(orders, key=lambda order: order.label), 0
    live: list[Placed] = []
    for group in groups:
        label = group[0].label
        while taken < len(queue) and queue[taken].label < label:
            live.append(queue[taken])
            taken += 1
        live = [order for order in live if not order.is_filled and (order.cancel is None or order.cancel >= label)]
        yield group, [order for order in live if order.side == group[0].side]


@dataclass(frozen=True, slots=True)
class Side:
    """What happened on one side of one bar: its legs, the live orders that are on no entry leg, all orders by tag."""

    legs: Sequence[Leg]
    live: Sequence[Placed]
    orders: Mapping[Any, Placed]
    is_last: bool

    def exits(self) -> dict[Decimal, list[Leg]]:
        """The exit legs by price."""
        found: dict[Decimal, list[Leg]] = defaultdict(list)
        for leg in self.legs:
            if leg.part == "exit":
                found[leg.price].append(leg)
        return found

    def opened(self) -> list[tuple[Placed, Decimal, Decimal]]:
        """The orders that the engine names on entry legs, with their price and how much of them these are."""
        sizes: dict[tuple[Any, Decimal], Decimal] = defaultdict(Decimal)
        for leg in self.legs:
            if leg.part == "entry" and leg.tag in self.orders:
                sizes[leg.tag, leg.price] += leg.size
        return [(self.orders[tag], price, size) for (tag, price), size in sizes.items()]


Bins = dict[Decimal, list[tuple[Placed | None, Decimal]]]
"""By price: the orders that filled there, and how much of the exit legs is theirs; None is the engine itself."""


def _explained(side: Side) -> Iterator[tuple[Leg, Placed]]:
    """The exit legs with their orders; nothing where not exactly one set of orders explains them."""
    exits, opens = side.exits(), (None, *sorted({leg.price for leg in side.legs}))
    for closing in (False, True) if side.is_last else (False,):
        options = [_bins(side, exits, open_, closing=closing) for open_ in opens]
        fitting = {frozenset(id(o) for found in bins.values() for o, _ in found): bins for bins in options if bins}
        if len(fitting) == 1:
            bins = fitting.popitem()[1]
            for price, legs in exits.items():
                yield from _shared_out(legs, bins.get(price, []))
        if fitting:
            return


def _bins(side: Side, exits: Mapping[Decimal, Sequence[Leg]], open_: Decimal | None, *, closing: bool) -> Bins | None:
    """The orders that explain the exit legs of a bar with this open; None where none do."""
    bins: Bins = defaultdict(list)
    for order, price, size in side.opened():
        if order.paid(open_) != price:
            return None
        if order.size > size:
            bins[price].append((order, order.size - size))
    for order in side.live:
        if _was_filled(order, open_, exits):
            bins[order.paid(open_)].append((order, order.size))
    for price in {**exits, **bins}:
        rest = sum((leg.size for leg in exits.get(price, ())), Decimal(0)) - sum(size for _, size in bins[price])
        if rest < 0 or (rest > 0 and not (closing and price == open_)):
            return None
        if rest:
            bins[price].append((None, rest))
    filled = [order for found in bins.values() for order, _ in found if order] + [
        order for order, _, _ in side.opened()
    ]
    return bins if _is_fair(side, filled) else None


def _was_filled(order: Placed, open_: Decimal | None, exits: Mapping[Decimal, Any]) -> bool:
    """Whether a live order filled: its limit was passed at the open, or exit legs have exactly its price."""
    passed = open_ is not None and order.side * (order.price - open_) >= 0
    return passed or order.price in exits


def _is_fair(side: Side, filled: Sequence[Placed]) -> bool:
    """Whether no live order with a limit as good as that of a filled one was passed over."""
    worst = min((order.side * order.price for order in filled), default=None)
    return worst is None or all(o in filled for o in side.live if o.side * o.price >= worst)


def _shared_out(legs: Sequence[Leg], bins: Sequence[tuple[Placed | None, Decimal]]) -> Iterator[tuple[Leg, Placed]]:
    """Legs of one price given to the orders that they add up to; nothing where they do not."""
    rooms = [size for _, size in bins]
    given: list[int] = []
    largest_first = sorted(legs, key=lambda leg: -leg.size)
    if _fit([leg.size for leg in largest_first], rooms, given, iter(range(MOST_STEPS))):
        for leg, at in zip(largest_first, given, strict=True):
            order = bins[at][0]
            if order is not None:
                yield leg, order


def _fit(sizes: Sequence[Decimal], rooms: list[Decimal], given: list[int], fuel: Iterator[int]) -> bool:
    """Fill every room with whole sizes, to the last unit: ``given`` says which room each size is in.

    Gives up where ``fuel`` ends: a bar of so many legs is left unexplained.
    """
    if len(given) == len(sizes):
        return not any(rooms)
    if next(fuel, None) is None:
        return False
    size = sizes[len(given)]
    tried: set[Decimal] = set()
    for at, room in enumerate(rooms):
        if room >= size and room not in tried:
            tried.add(room)
            rooms[at] -= size
            given.append(at)
            if _fit(sizes, rooms, given, fuel):
                return True
            given.pop()
            rooms[at] += size
    return False


def left_open(log: Log, legs: Sequence[Leg], bars: Bars) -> tuple[Decimal, Decimal] | None:
    """What the trades add up to and what the strategy saw, unless the log shows that no trade was left open.

    Such trades are in no table of the engine: an order that was filled would look unfilled.
    """
    seen, position, _ = log.positions[-1] if log.positions else (bars.labels[0], Decimal(0), 0)
    ours = sum((leg.side * leg.size for leg in legs if leg.label <= seen), Decimal(0))
    # what was sent last may have been filled in a bar of which the log has no position
    waiting = [order.tag for order in log.orders if not order.is_filled and order.cancel is None]
    late = seen != bars.labels[-1]
    return None if ours == position and not (late and waiting) else (ours, position)
