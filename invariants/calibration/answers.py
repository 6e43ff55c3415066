"""What each fill rule makes of real orders, every order alone: the others do not compete with it.

Zero latency, no expiry, no cap: an order is live from its real submit to its real cancel. The tape
holds the very trades that filled it, so a rule that is right finds them.

The trades that cross an order come from the laws' own join of orders and trades. The queue by orders
(L3) is worked out here, the queue by displayed sizes (L1) is the one that the diagnosis uses.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from invariants.calibration.depth import Place
from invariants.calibration.lives import Lives
from invariants.diagnosis.queued import simulate_queued
from invariants.laws.crossings import crossings_in
from invariants.laws.ruling import starts, sum_within
from invariants.readers.tape import Tape
from simcore import InputError, Rules, Run, Scenario, Side, Submit, TapeEvent, TopOfBook
from simcore.grid import Mask
from simcore.run import ABSENT, Fills, Ints, objects

GRID = Rules(latency_ns=0, cancel_latency_ns=0, ttl_ns=None, position_cap_lots=None)
"""The rules of every row but the user's own: nothing stands between the order and the market."""

DECIDING = ("latency_ns", "cancel_latency_ns", "ttl_ns", "cross", "aggressor", "sizing", "expiry_tie", "cancel_tie")
"""The dials that decide about an order alone."""


SIZINGS = ("whole", "trade")
OWN = "your rules"


@dataclass(frozen=True, slots=True)
class Rule:
    """A way to fill: how it crosses (at, through, or behind a queue), and how much a trade can fill."""

    name: str
    cross: str
    sizing: str


@dataclass(frozen=True, eq=False, slots=True)
class Answer:
    """What a rule says of each order: its first fill (``ABSENT``: none), and how much in all."""

    first_ns: Ints
    filled_lots: Ints


@dataclass(frozen=True, eq=False, slots=True)
class Cells:
    """Orders and the trades that cross them while they are live, by order and then in tape order."""

    order: Ints
    trade: Ints
    through: Mask


def cells_of(lives: Lives, tape: Tape, rules: Rules) -> Cells:
    """Join the orders to the trades that could fill them under ``rules``."""
    none = (np.empty(0, np.int64) for _ in range(9))
    ns, ns_to, order, side, price_ticks, size_lots, trade_seq, row, empty = none
    fills = Fills(
        ns, ns_to, order, objects(empty), side, price_ticks, size_lots, trade_seq, objects(empty.tolist()), row
    )
    run = Run(tape.trades, tape.tops, lives.orders(), fills, rules, tape.instrument)
    found = crossings_in(run, "nominal")
    order, trade, through = found.order[found.sure], found.trade[found.sure], found.through[found.sure]
    by_order = np.lexsort((trade, order))
    return Cells(order[by_order], trade[by_order], through[by_order])


def answers(
    lives: Lives, tape: Tape, places: Sequence[Place] | None = None, *, own: Rules | None = None
) -> Iterator[tuple[Rule, Answer]]:
    """Every rule with its answer; ``places`` are the orders' in the book of orders, ``own`` the user's rules."""
    at = cells_of(lives, tape, GRID)
    through = Cells(at.order[at.through], at.trade[at.through], at.through[at.through])
    for cross, cells in (("at", at), ("through", through)):
        yield Rule(f"{cross}, whole", cross, "whole"), whole(lives, tape, cells)
        # with one order alone in the market, its share of a trade is the trade
        yield Rule(f"{cross}, trade or shared", cross, "trade"), limited(lives, tape, cells)
    if len(tape.tops):
        for sizing, answer in displayed(lives, tape, at):
            yield Rule(f"queue L1, {sizing}", "L1", sizing), answer
    if places is not None:
        for sizing in SIZINGS:
            yield Rule(f"queue L3, {sizing}", "L3", sizing), queued(lives, tape, at, places, sizing)
    if own is not None:
        yield Rule(OWN, own.cross, own.sizing), under(lives, tape, own)


def under(lives: Lives, tape: Tape, rules: Rules) -> Answer:
    """The answer of any rules, latency and expiry included; the cap has no say over an order alone."""
    if not rules.declares(*DECIDING):
        lacking = sorted(rules.undeclared.intersection(DECIDING))
        raise InputError(file="rules", field=lacking[0], got="undeclared", wanted="a value: it decides about fills")
    cells = cells_of(lives, tape, replace(rules, position_cap_lots=None, undeclared=frozenset()))
    return whole(lives, tape, cells) if rules.sizing == "whole" else limited(lives, tape, cells)


def whole(lives: Lives, tape: Tape, cells: Cells) -> Answer:
    """The first trade that crosses an order fills all of it."""
    return _answer(lives, tape, cells, lives.size_lots[cells.order])


def limited(lives: Lives, tape: Tape, cells: Cells) -> Answer:
    """Each trade that crosses an order fills as much of it as was traded."""
    return _answer(lives, tape, cells, tape.trades.size_lots[cells.trade])


def _answer(lives: Lives, tape: Tape, cells: Cells, offered_lots: Ints) -> Answer:
    """Each order takes what its cells offer until it is full."""
    first_ns, filled = np.full(len(lives), ABSENT), np.zeros(len(lives), np.int64)
    offers = offered_lots > 0
    order, trade, offered = cells.order[offers], cells.trade[offers], offered_lots[offers]
    if len(order):
        start = starts(order)
        first_ns[order[start]] = tape.trades.ns[trade[start]]
        last = np.append(start[1:], len(order)) - 1
        taken = np.minimum(sum_within(start, offered)[last], lives.size_lots[order[last]])
        filled[order[last]] = taken.astype(np.int64)
    return Answer(first_ns, filled)


def queued(lives: Lives, tape: Tape, cells: Cells, places: Sequence[Place], sizing: str) -> Answer:
    """A trade at the limit first eats the orders ahead; those that were cancelled before it are not there.

    A trade through the limit finds nobody ahead any more.
    """
    offered = np.zeros(len(cells.order), np.int64)
    bounds = [*starts(cells.order).tolist(), len(cells.order)]
    ns, sizes = tape.trades.ns[cells.trade].tolist(), tape.trades.size_lots[cells.trade].tolist()
    through = cells.through.tolist()
    for first, last in pairwise(bounds):
        place = places[int(cells.order[first])]
        ahead_lots, left = place.ahead_lots, iter((*place.left, (2**63, 0)))
        gone_ns, gone_lots = next(left)
        for cell in range(first, last):
            while gone_ns <= ns[cell]:
                ahead_lots -= gone_lots
                gone_ns, gone_lots = next(left)
            if through[cell]:
                ahead_lots = 0
            eaten = min(max(ahead_lots, 0), sizes[cell])
            ahead_lots -= eaten
            offered[cell] = sizes[cell] - eaten
    if sizing == "whole":
        offered = np.where(offered > 0, lives.size_lots[cells.order], 0)
    return _answer(lives, tape, cells, offered)


def displayed(lives: Lives, tape: Tape, cells: Cells) -> Iterator[tuple[str, Answer]]:
    """What the diagnosis' queue-aware estimate makes of each order, in a book without the real one; by sizing."""
    events, ns = tape.events(), tape.trades.ns
    times = [event.ns for event in events]
    tops = [at for at, event in enumerate(events) if isinstance(event, TopOfBook)]
    found = {sizing: Answer(np.full(len(lives), ABSENT), np.zeros(len(lives), np.int64)) for sizing in SIZINGS}
    start = starts(cells.order)
    # no event after the last trade that crosses an order can fill it
    for row, last_ns in zip(cells.order[start].tolist(), _last(ns[cells.trade], start).tolist(), strict=True):
        submit, first = _submit(lives, row), bisect_left(times, int(lives.submit_ns[row]))
        before = bisect_left(tops, first) - 1
        life = (_without(event, submit) for event in events[first : bisect_right(times, last_ns)])
        tape_events = (*((events[tops[before]],) if before >= 0 else ()), *life)
        for sizing, answer in found.items():
            fills = simulate_queued(Scenario(tape_events, (submit,), replace(GRID, sizing=sizing)))
            if fills:
                answer.first_ns[row] = fills[0].ns
                answer.filled_lots[row] = sum(fill.size_lots for fill in fills)
    yield from found.items()


def _last(values: Ints, start: Ints) -> Ints:
    """The last value of each group."""
    return values[np.append(start[1:], len(values)) - 1] if len(start) else values


def _submit(lives: Lives, row: int) -> Submit:
    side, price_ticks, size_lots = int(lives.side[row]), int(lives.price_ticks[row]), int(lives.size_lots[row])
    return Submit(int(lives.submit_ns[row]), row, Side(side), price_ticks, size_lots)


def _without(event: TapeEvent, own: Submit) -> TapeEvent:
    """The top of book without the real order that we stand for; where nothing else is at its price, one tick behind."""
    if not isinstance(event, TopOfBook):
        return event
    if own.side is Side.BUY and event.bid_ticks == own.price_ticks:
        rest = event.bid_lots - own.size_lots
        bid = (event.bid_ticks, rest) if rest > 0 else (event.bid_ticks - 1, 1)
        return replace(event, bid_ticks=bid[0], bid_lots=bid[1]) if bid[0] > 0 else event
    if own.side is Side.SELL and event.ask_ticks == own.price_ticks:
        rest = event.ask_lots - own.size_lots
        ask = (event.ask_ticks, rest) if rest > 0 else (event.ask_ticks + 1, 1)
        return replace(event, ask_ticks=ask[0], ask_lots=ask[1])
    return event
