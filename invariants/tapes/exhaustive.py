"""Every scenario of up to K events on the boundary lattice: a proof for small worlds.

The lattice, for given rules. The first event is ``Submit(ORIGIN_NS, 1, BUY, LIMIT_TICKS, size)``; the
last is a trade. An event stands at the instant of the event before it, 1 ns later, or at a boundary of
an order so far: its arrival, its expiry, the effect of its cancel. A trade stands 1 ns beside a boundary
as well, at a limit of an order or 1 tick beside it; a submit at a limit or 1 tick beside it, on either
side; a cancel names any order so far, again and again. Sizes: ``Lattice.of`` derives them.

Left out because it cannot matter (symmetry): sells first (mirror), other prices and times (shift), other
names (order of submission), what comes strictly before the first submit or after the last trade. Left
out and not claimed: tops of book, a cancel before its submit, and, under price-time with ``any``
aggressor, a trade that crosses own buys and own sells at once (rule 9 ranks no buy against a sell).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Self

from invariants.tapes.supports import Supports, is_early, is_marketable, is_through
from invariants.tapes.worlds import LARGEST_EXACT_TICKS
from simcore import Action, Cancel, Rules, Scenario, Side, Submit, Trade, simulate

ORIGIN_NS = 10
LIMIT_TICKS = 100

EXHAUSTIVE_RULES: tuple[Rules, ...] = (
    # time: every boundary of an order, each tie once this way and once that way, a life of one instant
    Rules(latency_ns=2, cancel_latency_ns=1, ttl_ns=5, position_cap_lots=None),
    Rules(
        latency_ns=1,
        cancel_latency_ns=2,
        ttl_ns=3,
        position_cap_lots=None,
        cross="through",
        pricing="improve",
        expiry_tie="fill",
        cancel_tie="cancel",
    ),
    Rules(latency_ns=2, ttl_ns=2, expiry_tie="fill", position_cap_lots=None, priority="price-time"),
    # size: what one trade has for several orders, and from whom
    Rules(latency_ns=0, ttl_ns=None, position_cap_lots=None, sizing="shared", priority="price-time"),
    Rules(latency_ns=1, ttl_ns=None, position_cap_lots=None, sizing="trade", pricing="improve"),
    Rules(latency_ns=0, ttl_ns=None, position_cap_lots=None, aggressor="opposite", priority="price-time"),
    # cap: reached, passed, begun at it and begun beyond it
    Rules(latency_ns=0, ttl_ns=None, position_cap_lots=2),
    Rules(latency_ns=0, ttl_ns=3, position_cap_lots=2, cap_action="cancel", cross="through", initial_position_lots=-3),
    Rules(
        latency_ns=0, ttl_ns=None, position_cap_lots=1, initial_position_lots=1, sizing="shared", cap_action="cancel"
    ),
)
"""Corners of the fill model with numbers so small that four events reach every boundary."""

Event = Action | Trade
Prefix = tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Perft:
    """Counts over all scenarios, of the reference's answers: one number checks a whole generator."""

    scenarios: int
    fills: int
    filled_lots: int


@dataclass(frozen=True, slots=True)
class Lattice:
    """The rules, and the sizes and aggressors that can make a difference under them."""

    rules: Rules
    supports: Supports
    order_lots: tuple[int, ...]
    trade_lots: tuple[int, ...]
    aggressors: tuple[Side | None, ...]

    @classmethod
    def of(cls, rules: Rules, supports: Supports) -> Self:
        """One lot; two (or the cap) where a cap or a trade's size can tell sizes apart."""
        cap_lots = rules.position_cap_lots
        sized = rules.sizing != "whole"
        order_lots = (1, max(2, cap_lots or 0)) if sized or cap_lots is not None else (1,)
        # under `any` the aggressor that `opposite` would refuse for the first order
        aggressors: tuple[Side | None, ...] = (Side.BUY,)
        if rules.aggressor == "opposite":
            aggressors = (Side.BUY, Side.SELL, None) if supports.unknown_aggressor else (Side.BUY, Side.SELL)
        return cls(rules, supports, order_lots, (1, 3) if sized else (1,), aggressors)

    def marks_ns(self, prefix: Prefix) -> set[int]:
        """The boundaries of the orders in ``prefix``."""
        rules = self.rules
        submits = [e.ns for e in prefix if isinstance(e, Submit)]
        marks = {ns + rules.latency_ns for ns in submits}
        if rules.ttl_ns is not None:
            marks |= {ns + rules.ttl_ns for ns in submits}
        return marks | {e.ns + rules.cancel_latency_ns for e in prefix if isinstance(e, Cancel)}

    def trades(self, prefix: Prefix) -> Iterator[Trade]:
        """Every trade that can come next."""
        last_ns = prefix[-1].ns
        beside = {mark + step for mark in self.marks_ns(prefix) for step in (-1, 0, 1)}
        for ns in sorted({ns for ns in beside if ns >= last_ns} | {last_ns, last_ns + 1}):
            for price_ticks in _prices(prefix):
                for size_lots in self.trade_lots:
                    for aggressor in self.aggressors:
                        yield _trade(ns, price_ticks, size_lots, aggressor)

    def actions(self, prefix: Prefix) -> Iterator[Action]:
        """Every submit and cancel that can come next.

        The tape comes first at one instant, so that an action listed after a trade of its own
        instant would be the scenario with the two in the other order.
        """
        last_ns = prefix[-1].ns
        first_ns = last_ns + isinstance(prefix[-1], Trade)
        orders = [e.order_id for e in prefix if isinstance(e, Submit)]
        for ns in sorted({ns for ns in self.marks_ns(prefix) if ns >= first_ns} | {first_ns, last_ns + 1}):
            for side in (Side.BUY, Side.SELL):
                for price_ticks in _prices(prefix):
                    for size_lots in self.order_lots:
                        yield _submit(ns, len(orders) + 1, side, price_ticks, size_lots)
            if self.supports.cancels:
                yield from (Cancel(ns, order_id) for order_id in orders)

    def prefixes(self, length: int) -> Iterator[Prefix]:
        """Every beginning of ``length`` events."""
        if length == 1:
            for size_lots in self.order_lots:
                yield (_submit(ORIGIN_NS, 1, Side.BUY, LIMIT_TICKS, size_lots),)
            return
        for prefix in self.prefixes(length - 1):
            for event in (*self.actions(prefix), *self.trades(prefix)):
                yield (*prefix, event)

    def claims(self, scenario: Scenario) -> bool:
        """Whether the simulator can be driven there, and the rules say what must happen."""
        undefined = self.rules.priority == "price-time" and self.rules.aggressor == "any"
        return not (undefined and _meets_both_sides(scenario)) and is_within(scenario, self.supports)


def scenarios_up_to(
    k: int,
    rules: Rules,
    *,
    supports: Supports = Supports(),  # noqa: B008 - frozen
    shard: int = 0,
    shards: int = 1,
) -> Iterator[Scenario]:
    """Every scenario of two to ``k`` events under ``rules``, smallest first, each once.

    ``shard`` of ``shards`` takes every so-many-th beginning; all shards together are the whole.
    """
    lattice = Lattice.of(rules, supports)
    for length in range(1, k):
        for prefix in islice(lattice.prefixes(length), shard, None, shards):
            actions = tuple(e for e in prefix if not isinstance(e, Trade))
            tape = tuple(e for e in prefix if isinstance(e, Trade))
            for trade in lattice.trades(prefix):
                scenario = Scenario((*tape, trade), actions, rules)
                if lattice.claims(scenario):
                    yield scenario


def is_within(scenario: Scenario, supports: Supports) -> bool:
    """Whether a simulator that supports so much can be driven through ``scenario``."""
    if supports == Supports():
        return True
    trades = [event for event in scenario.tape if isinstance(event, Trade)]
    instants = [event.ns for event in scenario.tape]
    return (
        supports.within(scenario.rules) == scenario.rules
        and (supports.cancels or not any(isinstance(a, Cancel) for a in scenario.actions))
        and (supports.same_instant or len(set(instants)) == len(instants))
        and (supports.actions_between_events or {a.ns for a in scenario.actions} <= set(instants))
        and (supports.unknown_aggressor or all(t.aggressor is not None for t in trades))
        and (supports.huge_prices or all(t.price_ticks <= LARGEST_EXACT_TICKS for t in trades))
        and (supports.trades_through or not any(is_through(t, scenario.actions, scenario.rules) for t in trades))
        and (supports.early_cancels or not any(is_early(a, scenario.actions, scenario.rules) for a in scenario.actions))
        and (
            supports.marketable_orders
            or not any(isinstance(a, Submit) and is_marketable(a, scenario.tape) for a in scenario.actions)
        )
    )


def exhaustive_rules(rules: Rules | None, supports: Supports) -> tuple[Rules, ...]:
    """The rules to go through: the declared ones as they are, or the corners that can be driven."""
    if rules is not None:
        return (rules,)
    return tuple(dict.fromkeys(supports.within(corner) for corner in EXHAUSTIVE_RULES))


def perft(k: int, rules: Rules) -> Perft:
    """The counts for ``rules`` up to ``k`` events, by the reference simulator."""
    scenarios = fills = filled_lots = 0
    for scenario in scenarios_up_to(k, rules):
        answer = simulate(scenario)
        scenarios += 1
        fills += len(answer)
        filled_lots += sum(fill.size_lots for fill in answer)
    return Perft(scenarios, fills, filled_lots)


def _prices(prefix: Prefix) -> list[int]:
    limits = {e.price_ticks for e in prefix if isinstance(e, Submit)}
    return sorted({limit + step for limit in limits for step in (-1, 0, 1)})


def _meets_both_sides(scenario: Scenario) -> bool:
    buys = [a.price_ticks for a in scenario.actions if isinstance(a, Submit) and a.side == Side.BUY]
    sells = [a.price_ticks for a in scenario.actions if isinstance(a, Submit) and a.side == Side.SELL]
    if not sells:
        return False
    return any(isinstance(t, Trade) and min(sells) <= t.price_ticks <= max(buys) for t in scenario.tape)


# the same few events are in millions of scenarios
@cache
def _trade(ns: int, price_ticks: int, size_lots: int, aggressor: Side | None) -> Trade:
    return Trade(ns, price_ticks, size_lots, aggressor)


@cache
def _submit(ns: int, order_id: int, side: Side, price_ticks: int, size_lots: int) -> Submit:
    return Submit(ns, order_id, side, price_ticks, size_lots)
