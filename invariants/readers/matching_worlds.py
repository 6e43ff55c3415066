"""Markers without ids where several orders stand at one side and price: which of them each one can mean.

What a cancel meant shows later, by who fills and who does not. So every world is followed: for each order that a
marker may mean there is a world in which it does, and a world ends where what was told cannot happen in it. With a
tape, that is an instant at which the rules give other fills than those that are told; without one, a fill of no order
that is there and fits. Worlds in which the same orders are left are one. If one reaches the end, the markers can be
read so that nothing is broken, and so they are read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

from invariants.readers.matching_levels import FILL, SUBMIT
from simcore import Rules, Side, Submit, Trade
from simcore.engine import beyond_ticks, cap_allows, crosses
from simcore.grid import Ints, Mask
from simcore.rules import DIALS
from simcore.run import Trades

MOST_WORLDS = 256
"""Worlds that are followed at once: the ones with the fewest choices that nobody would have guessed."""

LEAST_STEPS, STEPS_EACH = 2_000_000, 20
"""Orders looked at in all worlds until nobody can tell; so many for each marker where that is more."""


class Told(NamedTuple):
    """The markers by columns, on the grid; ``contested`` are those at a side and price where orders may be confused.

    ``guess`` is the order that each would mean if nothing else were known, the first submit's being 0; -1 for none.
    """

    ns: Ints
    kind: Ints
    side: Ints
    ticks: Ints
    lots: Ints
    is_expiry: Mask
    contested: Mask
    guess: Ints


@dataclass(frozen=True, slots=True)
class Answer:
    """For each marker the order it means, -1 where that is none; None where no world is left.

    ``is_certain``: all worlds were followed, so that none is left because there is none.
    """

    orders: Ints | None
    is_certain: bool


class _Marker(NamedTuple):
    at: int
    ns: int
    kind: int
    side: int
    ticks: int
    lots: int
    is_expiry: bool
    contested: bool
    guess: int


class _Resting(NamedTuple):
    """An order that is there in a world: its number, what is left of it, and when it was cancelled."""

    order: int
    leaves_lots: int
    cancel_ns: int | None = None


class _Choice(NamedTuple):
    """The order that a marker means, and the choice before."""

    at: int
    order: int
    before: _Choice | None


class _World(NamedTuple):
    """The orders that are there, the position, and the choices that led here, so many of them odd."""

    resting: tuple[_Resting, ...] = ()
    position_lots: int = 0
    odd: int = 0
    choice: _Choice | None = None

    def chose(self, marker: _Marker, order: int, resting: tuple[_Resting, ...], *, odd: bool = False) -> _World:
        return self._replace(resting=resting, odd=self.odd + odd, choice=_Choice(marker.at, order, self.choice))


def orders_possible(told: Told, rules: Rules, trades: Trades | None) -> Answer:
    """The orders that the markers mean in a world in which nothing told is impossible.

    ``trades``, the tape, decides only where every dial but the fee is declared.
    """
    if (told.ns[1:] < told.ns[:-1]).any() or not rules.declares("cancel_latency_ns"):
        return Answer(None, is_certain=True)
    tape = trades if rules.declares(*(dial for dial in DIALS if dial != "fee_rate")) else None
    improves = rules.pricing == "improve" and rules.declares("pricing")
    if improves or (tape is not None and (rules.position_cap_lots is not None or rules.sizing == "shared")):
        answer = _Worlds(rules, tape).follow(told)
        if answer.orders is not None or not answer.is_certain or tape is None:
            return answer
        tape = None
    return _Worlds(rules, None).follow(told) if improves else _level_by_level(told, rules, tape)


def _level_by_level(told: Told, rules: Rules, trades: Trades | None) -> Answer:
    """The same where the orders of one side and price are no matter of any other."""
    orders = told.guess.copy()
    number = np.cumsum(told.kind == SUBMIT) - 1
    open_ = np.flatnonzero(told.contested)
    by_level = open_[np.lexsort((open_, told.side[open_], told.ticks[open_]))]
    new = np.flatnonzero(np.diff(told.ticks[by_level]) | np.diff(told.side[by_level])) + 1
    levels = np.split(by_level, new)
    for places in levels:
        level = _these(told, places)
        tapes = (None,) if trades is None else (_reaching(trades, level), None)
        for tape in tapes:
            answer = _Worlds(rules, tape, levels=len(levels)).follow(level)
            if answer.orders is not None:
                orders[places] = number[places[level.kind == SUBMIT]][answer.orders]
            if answer.orders is not None or not answer.is_certain:
                break
        if not answer.is_certain and answer.orders is None:
            return answer
    return Answer(orders, is_certain=True)


def _these(told: Told, places: Ints) -> Told:
    columns: tuple[Any, ...] = tuple(column[places] for column in told)
    return Told(*columns)


def _reaching(trades: Trades, level: Told) -> Trades:
    """The trades that reach this side and price once there is an order."""
    reach = level.side[0] * (level.ticks[0] - trades.price_ticks) >= 0
    rows = np.flatnonzero(reach & (trades.ns > level.ns[0]))
    return Trades(*(getattr(trades, field.name)[rows] for field in fields(Trades)))


class _Worlds:
    def __init__(self, rules: Rules, trades: Trades | None, *, levels: int = 1) -> None:
        self._rules = rules
        self._shares = levels
        self._tape = None if trades is None else _instants(trades)
        self._submits: list[Submit] = []
        self._lines: list[int] = []
        self._levels: dict[tuple[int, int], list[int]] = {}
        self._worlds = [_World(position_lots=rules.initial_position_lots)]
        self._is_certain = True

    def follow(self, told: Told) -> Answer:
        columns = (column.tolist() for column in told)
        markers = (_Marker(at, *row) for at, row in enumerate(zip(*columns, strict=True)))
        steps = max(LEAST_STEPS // self._shares, STEPS_EACH * len(told.ns))
        for ns, group in groupby(markers, key=attrgetter("ns")):
            self._until(ns)
            self._forget(ns)
            steps -= sum(1 + len(world.resting) for world in self._worlds)
            if steps < 0:
                return Answer(None, is_certain=False)
            here = list(group)
            self._fill(ns, [m for m in here if m.kind == FILL])
            for marker in here:
                if marker.kind != FILL:
                    self._take(marker)
            if not self._worlds:
                return Answer(None, self._is_certain)
        self._until(None)
        return Answer(self._orders(len(told.ns)), self._is_certain)

    def _orders(self, markers: int) -> Ints | None:
        if not self._worlds:
            return None
        orders = np.full(markers, -1)
        orders[self._lines] = np.arange(len(self._lines))
        choice = min(self._worlds, key=attrgetter("odd")).choice
        while choice is not None:
            orders[choice.at] = choice.order
            choice = choice.before
        return orders

    def _until(self, ns: int | None) -> None:
        """Let the tape run up to this instant: nobody was told to fill before it."""
        while self._tape and (ns is None or self._tape[-1][0] < ns):
            self._predict(*self._tape.pop(), [])

    def _fill(self, ns: int, fills: list[_Marker]) -> None:
        if self._tape is not None:
            is_now = self._tape and self._tape[-1][0] == ns
            self._predict(ns, self._tape.pop()[1] if is_now else [], fills)
            return
        for fill in fills:
            self._keep(choice for world in self._worlds for choice in self._filled(world, fill))

    def _forget(self, ns: int) -> None:
        """Orders that were over before this instant."""
        if any(self._is_over(one, ns - 1) for world in self._worlds for one in world.resting):
            self._keep(w._replace(resting=self._left(w, ns)) for w in self._worlds)

    def _left(self, world: _World, ns: int) -> tuple[_Resting, ...]:
        return tuple(one for one in world.resting if not self._is_over(one, ns - 1))

    def _keep(self, worlds: Iterable[_World]) -> None:
        """The worlds that differ in what is left, each reached by the fewest odd choices."""
        found: dict[object, _World] = {}
        for world in worlds:
            key = world.resting, world.position_lots
            if key not in found or world.odd < found[key].odd:
                found[key] = world
        self._worlds = list(found.values())
        if len(self._worlds) > MOST_WORLDS:
            self._worlds = sorted(self._worlds, key=attrgetter("odd"))[:MOST_WORLDS]
            self._is_certain = False

    # --- with a tape: what the rules give ---

    def _predict(self, ns: int, trades: list[Trade], fills: list[_Marker]) -> None:
        if trades or fills:
            wanted = Counter((m.side, m.ticks, m.lots) for m in fills)
            self._keep(after for world in self._worlds for after in self._after(world, ns, trades, fills, wanted))

    def _after(
        self, world: _World, ns: int, trades: list[Trade], fills: list[_Marker], wanted: Counter[tuple[int, int, int]]
    ) -> Iterator[_World]:
        """The world after this instant, if the rules give just the fills that are told."""
        resting = {one.order: one for one in self._left(world, ns)}
        position_lots, done = world.position_lots, list[tuple[int, tuple[int, int, int]]]()
        for trade in trades:
            volume_lots = trade.size_lots
            for order in self._met(resting, trade):
                submit, leaves_lots = self._submits[order], resting[order].leaves_lots
                share = {"whole": leaves_lots, "trade": trade.size_lots, "shared": volume_lots}[self._rules.sizing]
                lots = min(leaves_lots, share)
                after_lots = position_lots + submit.side * lots
                if lots == 0:
                    continue
                if not cap_allows(position_lots, after_lots, self._rules.position_cap_lots):
                    if self._rules.cap_action == "cancel":
                        del resting[order]
                    continue
                ticks = trade.price_ticks if self._rules.pricing == "improve" else submit.price_ticks
                done.append((order, (int(submit.side), ticks, lots)))
                position_lots, volume_lots = after_lots, volume_lots - lots
                resting[order] = resting[order]._replace(leaves_lots=leaves_lots - lots)
                if leaves_lots == lots:
                    del resting[order]
        if len(done) != len(fills) or Counter(fill for _, fill in done) != wanted:
            return
        world = world._replace(resting=tuple(resting.values()), position_lots=position_lots)
        for fill in fills:
            place = next(n for n, (_, got) in enumerate(done) if got == (fill.side, fill.ticks, fill.lots))
            world = world.chose(fill, done.pop(place)[0], world.resting)
        yield world

    def _met(self, resting: dict[int, _Resting], trade: Trade) -> list[int]:
        met = [
            order
            for order, one in resting.items()
            if self._is_there(order, trade.ns)
            and not self._is_over(one, trade.ns)
            and crosses(self._submits[order], trade, self._rules)
        ]
        if self._rules.priority == "price-time":
            met.sort(key=lambda o: -beyond_ticks(self._submits[o], trade))
        return met

    # --- without one: who is there, and fits ---

    def _filled(self, world: _World, fill: _Marker) -> Iterator[_World]:
        """The worlds after a fill: one for each order that may have filled."""
        seen: set[tuple[int, int, int]] = set()
        for place, one in enumerate(world.resting):
            submit = self._submits[one.order]
            alike = submit.ns, submit.price_ticks, one.leaves_lots
            if alike in seen or not self._fits(one, fill):
                continue
            rest = () if one.leaves_lots == fill.lots else (one._replace(leaves_lots=one.leaves_lots - fill.lots),)
            resting = (*world.resting[:place], *rest, *world.resting[place + 1 :])
            yield world.chose(fill, one.order, resting, odd=bool(seen))
            if not fill.contested:
                return
            seen.add(alike)

    def _fits(self, one: _Resting, fill: _Marker) -> bool:
        submit, rules = self._submits[one.order], self._rules
        better_ticks = submit.side * (submit.price_ticks - fill.ticks)
        improves = rules.pricing == "improve" and rules.declares("pricing")
        whole = rules.sizing == "whole" and rules.declares("sizing")
        return (
            submit.side == fill.side
            and (better_ticks == 0 or (improves and better_ticks > 0))
            and (one.leaves_lots == fill.lots if whole else one.leaves_lots >= fill.lots)
            and self._is_there(one.order, fill.ns)
            and not self._is_over(one, fill.ns)
        )

    # --- submits and cancels ---

    def _take(self, marker: _Marker) -> None:
        if marker.kind == SUBMIT:
            order = len(self._submits)
            submit = Submit(marker.ns, order, Side(marker.side), marker.ticks, marker.lots)
            self._submits.append(submit)
            self._lines.append(marker.at)
            self._levels.setdefault((marker.side, marker.ticks), []).append(order)
            resting = _Resting(order, marker.lots)
            self._worlds = [w._replace(resting=(*w.resting, resting)) for w in self._worlds]
        elif marker.is_expiry:
            self._expire(marker)
        else:
            self._keep(choice for world in self._worlds for choice in self._cancelled(world, marker))

    def _cancelled(self, world: _World, cancel: _Marker) -> Iterator[_World]:
        """The worlds after a cancel: one for each order it may mean, and one in which it came too late."""
        level = self._levels.get((cancel.side, cancel.ticks), [])
        seen: set[tuple[int, int]] = set()
        open_orders: set[int] = set()
        for place, one in enumerate(world.resting):
            submit = self._submits[one.order]
            is_here = submit.side == cancel.side and submit.price_ticks == cancel.ticks
            if not is_here or one.cancel_ns is not None or self._is_expired(one.order, cancel.ns):
                continue
            open_orders.add(one.order)
            if (submit.ns, one.leaves_lots) in seen or (seen and not cancel.contested):
                continue
            asked = one._replace(cancel_ns=cancel.ns)
            resting = (*world.resting[:place], asked, *world.resting[place + 1 :])
            yield world.chose(cancel, one.order, resting, odd=bool(seen))
            seen.add((submit.ns, one.leaves_lots))
        over = [order for order in level if order not in open_orders]
        if over and (cancel.contested or not open_orders):
            yield world.chose(cancel, over[-1], world.resting, odd=bool(open_orders))

    def _expire(self, marker: _Marker) -> None:
        """A marker that an order has expired: it means the oldest one whose time to live is just over."""
        self._keep(choice for world in self._worlds for choice in self._expiring(world, marker))

    def _expiring(self, world: _World, marker: _Marker) -> Iterator[_World]:
        ttl_ns = self._rules.ttl_ns if self._rules.declares("ttl_ns") else None
        for place, one in enumerate(world.resting):
            submit = self._submits[one.order]
            is_here = submit.side == marker.side and submit.price_ticks == marker.ticks
            if (
                is_here
                and (ttl_ns is None or submit.ns + ttl_ns == marker.ns)
                and not self._is_withdrawn(one, marker.ns)
            ):
                yield world.chose(marker, one.order, (*world.resting[:place], *world.resting[place + 1 :]))
                return

    # --- the life of an order ---

    def _is_there(self, order: int, ns: int) -> bool:
        age_ns = ns - self._submits[order].ns
        return age_ns > 0 and (age_ns >= self._rules.latency_ns or not self._rules.declares("latency_ns"))

    def _is_over(self, one: _Resting, ns: int) -> bool:
        return self._is_expired(one.order, ns) or self._is_withdrawn(one, ns)

    def _is_expired(self, order: int, ns: int) -> bool:
        rules = self._rules
        if rules.ttl_ns is None or not rules.declares("ttl_ns"):
            return False
        age_ns = ns - self._submits[order].ns
        is_late = rules.expiry_tie == "expire" and rules.declares("expiry_tie")
        return age_ns > rules.ttl_ns or (age_ns == rules.ttl_ns and is_late)

    def _is_withdrawn(self, one: _Resting, ns: int) -> bool:
        rules = self._rules
        if one.cancel_ns is None or not rules.declares("cancel_latency_ns"):
            return False
        is_late = rules.cancel_tie == "cancel" and rules.declares("cancel_tie") and rules.cancel_latency_ns > 0
        asked_ns = ns - one.cancel_ns
        return asked_ns > rules.cancel_latency_ns or (asked_ns == rules.cancel_latency_ns and is_late)


def _instants(trades: Trades) -> list[tuple[int, list[Trade]]]:
    """The trades of each instant of the tape, the last instant first."""
    takers = {1: Side.BUY, -1: Side.SELL, 0: None}
    columns = (trades.ns, trades.price_ticks, trades.size_lots, trades.aggressor)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    events = (Trade(ns, price, size, takers[side]) for ns, price, size, side in rows)
    return [(ns, list(group)) for ns, group in groupby(events, key=attrgetter("ns"))][::-1]
