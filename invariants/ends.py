"""How every order of a reference run ended: what an engine logs, worked out from its fills."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from simcore import Cancel, Fill, OrderId, Rules, Scenario, Submit, Trade
from simcore.engine import beyond_ticks, crosses


class End(NamedTuple):
    """An order's last state (a word of ``simcore.run.ENDS``) and when it came; open orders have no time."""

    word: str
    ns: int | None


def order_ends(scenario: Scenario, fills: Sequence[Fill]) -> dict[OrderId, End]:
    """The end of each order, in order of submission, at the last instant of the tape."""
    cancels = _cancels(scenario)
    mine: dict[OrderId, list[Fill]] = defaultdict(list)
    for fill in fills:
        mine[fill.order_id].append(fill)
    last_ns = scenario.tape[-1].ns if scenario.tape else 0
    blocked = _blocked(scenario, fills, cancels) if scenario.rules.cap_action == "cancel" else {}
    return {
        submit.order_id: _end(submit, mine[submit.order_id], cancels, blocked, scenario.rules, last_ns)
        for submit in scenario.actions
        if isinstance(submit, Submit)
    }


def _cancels(scenario: Scenario) -> dict[OrderId, int]:
    """The first cancel of each order, as far as it was submitted by then."""
    first: dict[OrderId, int] = {}
    submitted = set()
    for action in scenario.actions:
        if isinstance(action, Submit):
            submitted.add(action.order_id)
        elif isinstance(action, Cancel) and action.order_id in submitted:
            first.setdefault(action.order_id, action.ns)
    return first


def _end(
    submit: Submit,
    fills: list[Fill],
    cancels: dict[OrderId, int],
    blocked: dict[OrderId, int],
    rules: Rules,
    last_ns: int,
) -> End:
    if fills and sum(fill.size_lots for fill in fills) == submit.size_lots:
        return End("filled", fills[-1].ns)
    if submit.order_id in blocked:
        return End("cancelled", blocked[submit.order_id])
    end = _timed_end(submit, cancels.get(submit.order_id), rules)
    return end if end.ns is not None and end.ns <= last_ns else End("open", None)


def _timed_end(submit: Submit, cancel_ns: int | None, rules: Rules) -> End:
    """Whichever comes first: expiry or the cancel's effect; at one instant ``expiry_tie`` decides."""
    expiry = None if rules.ttl_ns is None else submit.ns + rules.ttl_ns
    effect = None if cancel_ns is None else cancel_ns + rules.cancel_latency_ns
    if effect is None:
        return End("expired", expiry)
    if expiry is None or effect < expiry or (effect == expiry and rules.expiry_tie == "fill"):
        return End("cancelled", effect)
    return End("expired", expiry)


def _blocked(scenario: Scenario, fills: Sequence[Fill], cancels: dict[OrderId, int]) -> dict[OrderId, int]:
    """When the cap took an order away: at the first trade that crossed it, reached it, and did not fill it."""
    trades = [(seq, event) for seq, event in enumerate(scenario.tape) if isinstance(event, Trade)]
    times = [trade.ns for _, trade in trades]
    by_trade: dict[int, list[Fill]] = defaultdict(list)
    for fill in fills:
        by_trade[fill.trade_seq if fill.trade_seq is not None else -1].append(fill)
    submits = {action.order_id: action for action in scenario.actions if isinstance(action, Submit)}
    place = {order_id: index for index, order_id in enumerate(submits)}
    found = {}
    for submit in submits.values():
        for seq, trade in _window(submit, cancels.get(submit.order_id), trades, times, scenario.rules):
            own = by_trade[seq]
            if any(fill.order_id == submit.order_id for fill in own) or not crosses(submit, trade, scenario.rules):
                continue
            before = [f for f in own if _is_before(submits[f.order_id], submit, trade, place, scenario.rules)]
            if scenario.rules.sizing != "shared" or sum(f.size_lots for f in before) < trade.size_lots:
                found[submit.order_id] = trade.ns
                break
    return found


def _window(
    submit: Submit, cancel_ns: int | None, trades: list[tuple[int, Trade]], times: list[int], rules: Rules
) -> Iterator[tuple[int, Trade]]:
    """The trades inside the order's live window, in order."""
    end = _timed_end(submit, cancel_ns, rules)
    tie_is_live = (
        rules.expiry_tie == "fill"
        if end.word == "expired"
        else (rules.cancel_tie == "fill" or rules.cancel_latency_ns == 0)
    )
    for index in range(bisect_right(times, submit.ns), len(trades)):
        seq, trade = trades[index]
        if end.ns is not None and (trade.ns > end.ns or (trade.ns == end.ns and not tie_is_live)):
            return
        if trade.ns >= submit.ns + rules.latency_ns:
            yield seq, trade


def _is_before(other: Submit, submit: Submit, trade: Trade, place: dict[OrderId, int], rules: Rules) -> bool:
    """Whether ``other`` met the trade before ``submit`` did."""
    if rules.priority == "price-time" and beyond_ticks(other, trade) != beyond_ticks(submit, trade):
        return beyond_ticks(other, trade) > beyond_ticks(submit, trade)
    return place[other.order_id] < place[submit.order_id]
