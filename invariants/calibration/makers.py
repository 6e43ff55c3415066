"""Where only the fills of real orders are known: the rest of an order after its first fill.

An exchange that publishes the ids of both orders of every execution tells who was filled, and
nothing of when an order came, how large it was, or who was cancelled. From its first fill on,
however, an order is known to stand at its price, and under price-time priority it stands first:
no queue is left ahead of it. So between its first and its last fill every trade of the opposite
taker at its limit or through it must fill it, and each rule's answer can be told right from wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from invariants.laws.ruling import lengths, starts
from invariants.readers.tape_columns import check_one_symbol
from simcore import InputError, Instrument
from simcore.frames import Sheet
from simcore.grid import Step
from simcore.run import ABSENT, Ints

NEEDED = ("price", "size", "side", "buy_order", "sell_order")
TIMES = ("ns", "ts_ns", "timestamp_ns")

NO_TAKER = "an execution without a taker's side (an auction)"
NO_ID = "an execution whose maker has no id"
UNREADABLE = "an execution whose price or size is no number of the grid"
ONE_FILL = "an order with one fill: nothing is known of it afterwards"
SEVERAL_PRICES = "an order with fills at several prices, or on both sides"


@dataclass(frozen=True, slots=True)
class Part:
    """One rule: the orders whose next fill it has at the right trade, too early or not, and likewise the last.

    ``missed``: not by the order's last real fill; what is known ends there. ``median_early_s`` is by how
    much the last fill is early, over the orders where it is; worked out for whole fills only.
    """

    name: str
    next_right: int
    next_early: int
    next_late: int
    next_missed: int
    done_right: int
    done_early: int
    done_missed: int
    median_early_s: float | None


@dataclass(frozen=True, slots=True)
class FrontOfQueue:
    """``executions`` = ``used`` + ``aside``; ``makers`` = ``judged`` + ``orders_aside``.

    One part a rule; ``by_time`` the same with the executions sorted by time, empty where they are.
    ``at_limit`` are the executions exactly at an order's limit after its first fill and up to its last,
    summed over the orders; ``own`` of them were its fills. ``through`` orders saw one beyond their limit.
    """

    executions: int
    used: int
    aside: Mapping[str, int]
    makers: int
    judged: int
    orders_aside: Mapping[str, int]
    parts: tuple[Part, ...]
    by_time: tuple[Part, ...]
    at_limit: int
    own: int
    through: int
    inputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, slots=True)
class _Executions:
    """The executions that can be used, in the exchange's order. ``side`` is the maker's."""

    ns: Ints
    price_ticks: Ints
    side: Ints
    maker: Ints


@dataclass(frozen=True, eq=False, slots=True)
class _Makers:
    """Orders of two fills or more: places of the first, the second and the last among the executions."""

    side: Ints
    price_ticks: Ints
    count: Ints
    first: Ints
    second: Ints
    last: Ints


def is_makers(columns: frozenset[str]) -> bool:
    """Whether a table of these columns holds executions with the ids of both orders."""
    return columns.issuperset(NEEDED)


def front_of_queue(frame: pd.DataFrame, file: str, *, inputs: Mapping[str, str] | None = None) -> FrontOfQueue:
    """Judge the orders of a table of executions in the exchange's order. Raises ``InputError``."""
    executions, aside = _executions(frame, file)
    makers, orders, orders_aside = _makers(executions)
    between = _between(executions, makers)
    by_time: tuple[Part, ...] = ()
    if bool((np.diff(executions.ns) < 0).any()):
        sooner = _by_time(executions)
        again = _makers(sooner)[0]
        by_time = tuple(_parts(sooner, again, _between(sooner, again)))
    return FrontOfQueue(
        executions=len(frame),
        used=len(executions.ns),
        aside=aside,
        makers=orders,
        judged=len(makers.side),
        orders_aside=orders_aside,
        parts=tuple(_parts(executions, makers, between)),
        by_time=by_time,
        at_limit=int(between.at_limit.sum()),
        own=int((makers.count - 1).sum()),
        through=int((between.next_through <= makers.last).sum()),
        inputs=inputs or {},
    )


def _executions(frame: pd.DataFrame, file: str) -> tuple[_Executions, dict[str, int]]:
    time = next((name for name in TIMES if name in frame), None)
    sheet = Sheet(frame if time is None else frame.rename(columns={time: "ns"}), "executions", file)
    grid = Instrument(*(f"1e-{sheet.decimals(name)}" for name in ("price", "size")))  # type: ignore[arg-type]  # it converts text itself
    price = sheet.counts("price", Step.of(grid.tick_size, "tick_size"))
    size = sheet.counts("size", Step.of(grid.lot_size, "lot_size"))
    taker = sheet.aggressors("side")
    check_one_symbol(frame, file, {})
    buyer, seller = _ids(sheet)
    maker = np.where(taker > 0, seller, buyer)
    unread = (price <= 0) | (size <= 0)
    unread[list(sheet.bad)] = True
    reasons = ((UNREADABLE, unread), (NO_TAKER, taker == 0), (NO_ID, maker == 0))
    keep, aside = np.ones(len(frame), np.bool_), {}
    for reason, rows in reasons:
        if (keep & rows).any():
            aside[reason] = int((keep & rows).sum())
        keep &= ~rows
    columns = (sheet.ints("ns"), price, -taker, maker)
    return _Executions(*(column[keep] for column in columns)), aside


def _ids(sheet: Sheet) -> tuple[Ints, Ints]:
    """The orders of buyers and of sellers as whole numbers, 0 where there is none; texts are numbered."""
    names = ("buy_order", "sell_order")
    try:
        buyer, seller = (sheet.maybe(name, wanted="an order id: an int or a text") for name in names)
    except InputError:
        both = pd.concat([sheet.frame[name] for name in names], ignore_index=True)
        if not all(isinstance(value, str) for value in both.dropna()):
            raise
        number = np.where(both.isin(("0", "")), 0, pd.factorize(both)[0] + 1)  # a null is -1 there
        buyer, seller = np.split(number.astype(np.int64), 2)
    return np.where(buyer == ABSENT, 0, buyer), np.where(seller == ABSENT, 0, seller)


def _by_time(executions: _Executions) -> _Executions:
    """The same executions sorted by time, those of one instant as they were."""
    order = np.argsort(executions.ns, kind="stable")
    columns = (executions.ns, executions.price_ticks, executions.side, executions.maker)
    return _Executions(*(column[order] for column in columns))


def _makers(executions: _Executions) -> tuple[_Makers, int, dict[str, int]]:
    """The orders that can be judged, how many there are in all, and the others by reason."""
    by_maker = np.argsort(executions.maker, kind="stable")
    start = starts(executions.maker[by_maker])
    count = lengths(start, len(by_maker))
    key = executions.side * executions.price_ticks
    low, high = (how.reduceat(key[by_maker], start) if len(start) else start for how in (np.minimum, np.maximum))
    one, several = count == 1, (low != high)
    aside = {reason: int(rows.sum()) for reason, rows in ((ONE_FILL, one), (SEVERAL_PRICES, several)) if rows.any()}
    keep = ~one & ~several
    start, count = start[keep], count[keep]
    first = by_maker[start]
    makers = _Makers(
        executions.side[first], executions.price_ticks[first], count,
        first, by_maker[start + 1], by_maker[start + count - 1],
    )  # fmt: skip
    return makers, len(keep), aside


@dataclass(frozen=True, eq=False, slots=True)
class _Between:
    """For each order the next execution that reaches its limit, the next beyond it, and how many stand at it.

    The first two are places among the executions, behind them all where there is none; the count goes
    from the order's first fill to its last.
    """

    next_at: Ints
    next_through: Ints
    at_limit: Ints


def _between(executions: _Executions, makers: _Makers) -> _Between:
    next_at, next_through = np.zeros(len(makers.side), np.int64), np.zeros(len(makers.side), np.int64)
    for side in (1, -1):
        place, rows = np.flatnonzero(executions.side == side), np.flatnonzero(makers.side == side)
        if not len(rows):
            continue
        # signed so that at most the limit means reaching it
        minima = _minima(side * executions.price_ticks[place])
        limit, start = side * makers.price_ticks[rows], np.searchsorted(place, makers.first[rows]) + 1
        behind = np.append(place, len(executions.ns))
        next_at[rows] = behind[_next_at_most(minima, start, limit)]
        next_through[rows] = behind[_next_at_most(minima, start, limit - 1)]
    return _Between(next_at, next_through, _at_limit(executions, makers))


def _at_limit(executions: _Executions, makers: _Makers) -> Ints:
    """How many executions stand at each order's limit after its first fill, up to its last one."""
    keys, level = np.unique(executions.side * executions.price_ticks, return_inverse=True)
    width = len(level) + 1
    places = np.sort(level * width + np.arange(len(level)))
    mine = np.searchsorted(keys, makers.side * makers.price_ticks) * width
    return np.searchsorted(places, mine + makers.last, "right") - np.searchsorted(places, mine + makers.first, "right")


def _minima(values: Ints) -> list[Ints]:
    """The minimum of every run of 1, 2, 4, ... values."""
    table = [values]
    while 2 ** len(table) <= len(values):
        half = 2 ** (len(table) - 1)
        table.append(np.minimum(table[-1][:-half], table[-1][half:]))
    return table


def _next_at_most(minima: list[Ints], start: Ints, limit: Ints) -> Ints:
    """For each query the first place from ``start`` on with a value of at most ``limit``; the length where none."""
    at = start
    for power in range(len(minima) - 1, -1, -1):
        table = minima[power]
        clear = (at < len(table)) & (table[np.minimum(at, len(table) - 1)] > limit)
        at = np.where(clear, at + 2**power, at)
    return np.minimum(at, len(minima[0]))


def _parts(executions: _Executions, makers: _Makers, between: _Between) -> Iterator[Part]:
    """The rules that differ where an order stands alone at the front."""
    at, ns = between.next_at, executions.ns
    next_right, next_early = int((at == makers.second).sum()), int((at < makers.second).sum())
    at_once = at == makers.last
    early_ns = ns[makers.last] - ns[np.minimum(at, len(ns) - 1)]
    early_s = float(np.median(early_ns[~at_once])) / 1e9 if (~at_once).any() else None
    yield Part("at, whole", next_right, next_early, 0, 0, int(at_once.sum()), int((~at_once).sum()), 0, early_s)
    # an execution that reached the limit and was not the order's own uses up what its own ones should fill
    exact = (between.at_limit == makers.count - 1) & (between.next_through > makers.last)
    yield Part("at, trade", next_right, next_early, 0, 0, int(exact.sum()), int((~exact).sum()), 0, None)
    through = between.next_through
    missed, early = through > makers.last, through < makers.second
    late = ~missed & ~early
    yield Part(
        "through",
        0,
        int(early.sum()),
        int(late.sum()),
        int(missed.sum()),
        0,
        int((~missed).sum()),
        int(missed.sum()),
        None,
    )
