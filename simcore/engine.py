"""The reference simulator: section 2 of the specification as a loop, right rather than fast."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import merge

from simcore.events import Cancel, Fill, Submit, TopOfBook, Trade
from simcore.ledger import fee_of
from simcore.rules import Rules
from simcore.scenario import Scenario


@dataclass(slots=True)
class _Order:
    """A live order: the submit, what is left of it, and the first cancel that it got."""

    submit: Submit
    leaves_lots: int
    cancel_ns: int | None = None


def simulate(scenario: Scenario) -> list[Fill]:  # noqa: C901 - one screen reads better than four
    """The fills of ``scenario``, in the order in which they happen.

    They are unique: the rules leave no choice. Every fill carries its fee and ``trade_seq``.
    """
    rules = scenario.rules
    position_lots = rules.initial_position_lots
    live: dict[int | str, _Order] = {}  # in order of submission
    fills: list[Fill] = []
    tape = enumerate(scenario.tape)
    actions = ((-1, action) for action in scenario.actions)
    # merge is stable: at one instant the tape comes before actions (rule 1)
    for seq, event in merge(tape, actions, key=lambda pair: pair[1].ns):
        match event:
            case TopOfBook():
                continue
            case Submit():
                live[event.order_id] = _Order(event, event.size_lots)
            case Cancel():
                order = live.get(event.order_id)
                if order is not None and order.cancel_ns is None:
                    order.cancel_ns = event.ns
            case Trade():
                volume_lots = event.size_lots
                for order in _candidates(live, event, rules):
                    size_lots = _size(order, event, volume_lots, rules)
                    if size_lots == 0:
                        continue
                    after_lots = position_lots + order.submit.side * size_lots
                    if not cap_allows(position_lots, after_lots, rules.position_cap_lots):
                        if rules.cap_action == "cancel":
                            del live[order.submit.order_id]
                        continue
                    fills.append(_fill(order, event, size_lots, seq, rules))
                    position_lots = after_lots
                    volume_lots -= size_lots
                    order.leaves_lots -= size_lots
                    if order.leaves_lots == 0:
                        del live[order.submit.order_id]
    return fills


def _candidates(live: dict[int | str, _Order], trade: Trade, rules: Rules) -> list[_Order]:
    """The live crossed orders in ``priority``; orders that are over are dropped on the way."""
    for order_id in [o for o, order in live.items() if _is_over(order, trade.ns, rules)]:
        del live[order_id]
    crossed = [o for o in live.values() if _has_arrived(o, trade.ns, rules) and crosses(o.submit, trade, rules)]
    if rules.priority == "price-time":
        # most attractive to the aggressor first, whichever side he takes; the sort is stable, so
        # then submission
        crossed.sort(key=lambda o: beyond_ticks(o.submit, trade), reverse=True)
    return crossed


def _has_arrived(order: _Order, ns: int, rules: Rules) -> bool:
    return ns > order.submit.ns and ns >= order.submit.ns + rules.latency_ns


def _is_over(order: _Order, ns: int, rules: Rules) -> bool:
    """Whether ``order`` is expired, or its cancel effective, for a trade at ``ns``."""
    if rules.ttl_ns is not None:
        expiry_ns = order.submit.ns + rules.ttl_ns
        if ns > expiry_ns or (ns == expiry_ns and rules.expiry_tie == "expire"):
            return True
    if order.cancel_ns is None:
        return False
    effective_ns = order.cancel_ns + rules.cancel_latency_ns
    # a cancel without latency is seen after the trade of its instant (rule 1): the tie needs a flight
    tie_cancels = rules.cancel_tie == "cancel" and rules.cancel_latency_ns > 0
    return ns > effective_ns or (ns == effective_ns and tie_cancels)


def crosses(submit: Submit, trade: Trade, rules: Rules) -> bool:
    """Rule 6, with the aggressor dial: whether this trade can fill an order at this limit."""
    if rules.aggressor == "opposite" and trade.aggressor != -submit.side:
        return False
    beyond = beyond_ticks(submit, trade)
    return beyond > 0 or (beyond == 0 and rules.cross == "at")


def beyond_ticks(submit: Submit, trade: Trade) -> int:
    """How far the trade went through the limit: negative where it does not reach it."""
    return submit.side * (submit.price_ticks - trade.price_ticks)


def _size(order: _Order, trade: Trade, volume_lots: int, rules: Rules) -> int:
    if rules.sizing == "whole":
        return order.leaves_lots
    return min(order.leaves_lots, trade.size_lots if rules.sizing == "trade" else volume_lots)


def cap_allows(before_lots: int, after_lots: int, cap_lots: int | None) -> bool:
    """Rule 10: within the cap, or strictly nearer zero on the same side than before."""
    if cap_lots is None or abs(after_lots) <= cap_lots:
        return True
    return before_lots * after_lots > 0 and abs(after_lots) < abs(before_lots)


def _fill(order: _Order, trade: Trade, size_lots: int, seq: int, rules: Rules) -> Fill:
    submit = order.submit
    price_ticks = trade.price_ticks if rules.pricing == "improve" else submit.price_ticks
    fee = fee_of(price_ticks, size_lots, rules.fee_rate)
    return Fill(trade.ns, submit.order_id, submit.side, price_ticks, size_lots, fee, seq)
