"""The queue-aware estimate: the reference loop, with the size that is displayed ahead of an order.

- An order takes its place when it arrives. At the best price the whole displayed size is ahead of
  it; at a better price nothing is. Behind the best price the book is not seen: the size that is
  displayed when its price first becomes the best is taken to be ahead of it.
- A trade at the limit, by the opposite taker where his side is known, first eats what is ahead; the
  order is filled by the rest. A trade through the limit fills it at once.
- When the displayed size shrinks without a trade, those who leave are taken to stand behind us as
  long as that is possible: what is ahead is never more than what is displayed. When the best price
  falls back behind ours, nobody is left ahead.
- Our own fills change nothing on the tape. At one instant trades come before tops of book.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import merge

from simcore import Cancel, Fill, Rules, Scenario, Side, Submit, TopOfBook, Trade
from simcore.engine import beyond_ticks, cap_allows


@dataclass(slots=True)
class _Order:
    """A live order; ``ahead_lots`` is None until its price has been seen at the front of the book."""

    submit: Submit
    leaves_lots: int
    live_ns: int
    over_ns: int | None
    ahead_lots: int | None = None
    arrived: bool = False


def simulate_queued(scenario: Scenario) -> list[Fill]:
    """The fills of ``scenario`` with queues; ``cross`` and ``pricing`` are as ``at`` and ``limit``."""
    return _Queues(scenario.rules).run(scenario)


class _Queues:
    """The loop's state."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.live: dict[int | str, _Order] = {}
        self.top: TopOfBook | None = None
        self.position_lots = rules.initial_position_lots
        self.fills: list[Fill] = []

    def run(self, scenario: Scenario) -> list[Fill]:
        tape = ((seq, event) for seq, event in enumerate(scenario.tape))
        actions = ((-1, action) for action in scenario.actions)
        for seq, event in merge(tape, actions, key=lambda pair: pair[1].ns):
            match event:
                case TopOfBook():
                    self._arrive(event.ns)
                    self.top = event
                    self._look(event)
                case Trade():
                    self._arrive(event.ns)
                    self._trade(event, seq)
                case Submit():
                    self._submit(event)
                case Cancel():
                    self._cancel(event)
        return self.fills

    def _submit(self, submit: Submit) -> None:
        ttl_ns = self.rules.ttl_ns
        over_ns = None if ttl_ns is None else submit.ns + ttl_ns - (self.rules.expiry_tie == "expire")
        live_ns = max(submit.ns + 1, submit.ns + self.rules.latency_ns)
        self.live[submit.order_id] = _Order(submit, submit.size_lots, live_ns, over_ns)

    def _cancel(self, cancel: Cancel) -> None:
        order = self.live.get(cancel.order_id)
        if order is None:
            return
        tie = self.rules.cancel_tie == "cancel" and self.rules.cancel_latency_ns > 0
        last_ns = cancel.ns + self.rules.cancel_latency_ns - tie
        order.over_ns = last_ns if order.over_ns is None else min(order.over_ns, last_ns)

    def _arrive(self, ns: int) -> None:
        """Drop what is over, and queue what has arrived since the last event, by the book of then."""
        for name in [n for n, o in self.live.items() if o.over_ns is not None and ns > o.over_ns]:
            del self.live[name]
        for order in self.live.values():
            if not order.arrived and ns >= order.live_ns:
                order.arrived = True
                if self.top is not None:
                    self._place(order, self.top)

    def _look(self, top: TopOfBook) -> None:
        for order in self.live.values():
            if order.arrived:
                self._place(order, top)

    def _place(self, order: _Order, top: TopOfBook) -> None:
        """What this book says of the queue ahead."""
        buys = order.submit.side is Side.BUY
        best, shown = (top.bid_ticks, top.bid_lots) if buys else (top.ask_ticks, top.ask_lots)
        in_front = order.submit.side * (order.submit.price_ticks - best)
        if in_front > 0:
            order.ahead_lots = 0
        elif in_front == 0:
            order.ahead_lots = shown if order.ahead_lots is None else min(order.ahead_lots, shown)

    def _trade(self, trade: Trade, seq: int) -> None:
        volume_lots = trade.size_lots
        for order in self._candidates(trade):
            beyond = beyond_ticks(order.submit, trade)
            over_lots = volume_lots if beyond > 0 else self._past_the_queue(order, trade, volume_lots)
            whole = self.rules.sizing == "whole"
            size_lots = order.leaves_lots if whole and over_lots > 0 else min(order.leaves_lots, over_lots)
            if size_lots <= 0:
                continue
            after_lots = self.position_lots + order.submit.side * size_lots
            if not cap_allows(self.position_lots, after_lots, self.rules.position_cap_lots):
                if self.rules.cap_action == "cancel":
                    del self.live[order.submit.order_id]
                continue
            self._fill(order, trade, size_lots, seq)
            self.position_lots = after_lots
            volume_lots -= size_lots if self.rules.sizing == "shared" else 0

    def _past_the_queue(self, order: _Order, trade: Trade, volume_lots: int) -> int:
        """Let a trade at the limit eat what is ahead; what it has left for the order."""
        if order.ahead_lots is None:  # its price was never seen: the book says nothing of the queue
            return 0
        eaten = min(order.ahead_lots, trade.size_lots)
        order.ahead_lots -= eaten
        return min(volume_lots, trade.size_lots - eaten)

    def _candidates(self, trade: Trade) -> Iterable[_Order]:
        found = [o for o in self.live.values() if o.arrived and self._reaches(o.submit, trade)]
        if self.rules.priority == "price-time":
            found.sort(key=lambda o: beyond_ticks(o.submit, trade), reverse=True)
        return found

    def _reaches(self, submit: Submit, trade: Trade) -> bool:
        """At the limit only the opposite taker comes through our queue; ``aggressor`` any lets all through it."""
        beyond = beyond_ticks(submit, trade)
        if beyond < 0 or (self.rules.aggressor == "opposite" and trade.aggressor != -submit.side):
            return False
        return beyond > 0 or trade.aggressor in (None, -submit.side)

    def _fill(self, order: _Order, trade: Trade, size_lots: int, seq: int) -> None:
        submit = order.submit
        order.leaves_lots -= size_lots
        if order.leaves_lots == 0:
            del self.live[submit.order_id]
        self.fills.append(Fill(trade.ns, submit.order_id, submit.side, submit.price_ticks, size_lots, None, seq))
