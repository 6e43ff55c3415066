"""A plain two-sided maker: quotes the best bid and ask, and knows nothing but the tape so far.

It is a source of actions, not a good maker: each refresh it withdraws the quotes that now stand in
front of the market, leaves those that the market left behind to run out by themselves, and adds a
new quote on either side. Several of its quotes are therefore alive at once, some at one price.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from simcore import Action, Cancel, Side, Submit, TapeEvent, TopOfBook

REFRESH_NS = 2_000_000_000
LIFE_NS = 5_000_000_000


@dataclass(slots=True)
class Touch:
    """The best bid and ask, as far as the tape has told; 0 where it has not, as for guessed sizes."""

    bid_ticks: int = 0
    ask_ticks: int = 0
    bid_lots: int = 0
    ask_lots: int = 0
    has_tops: bool = False

    def see(self, event: TapeEvent) -> None:
        """Take the posted touch, or guess it from prints where the tape has no tops of book."""
        if isinstance(event, TopOfBook):
            self.has_tops = True
            self.bid_ticks, self.ask_ticks = event.bid_ticks, event.ask_ticks
            self.bid_lots, self.ask_lots = event.bid_lots, event.ask_lots
        elif not self.has_tops:
            self._guess(event.price_ticks, event.aggressor)

    def _guess(self, price_ticks: int, aggressor: Side | None) -> None:
        """A seller hit the bid, a buyer lifted the ask; the other side keeps a tick's distance."""
        if aggressor is None:
            aggressor = Side.SELL if 2 * price_ticks < self.bid_ticks + self.ask_ticks else Side.BUY
        if aggressor is Side.SELL:
            self.bid_ticks = price_ticks
            self.ask_ticks = max(self.ask_ticks, price_ticks + 1)
        else:
            self.ask_ticks = price_ticks
            self.bid_ticks = min(self.bid_ticks or price_ticks, price_ticks - 1)

    def best(self, side: Side) -> int:
        """The touch of ``side`` in ticks, 0 where it is not known."""
        return self.bid_ticks if side is Side.BUY else self.ask_ticks


def quotes(
    tape: Iterable[TapeEvent],
    size_lots: int,
    *,
    refresh_ns: int = REFRESH_NS,
    life_ns: int = LIFE_NS,
    expires: bool = True,
) -> Iterator[Action]:
    """The maker's submits and cancels in order, at the instants of tape events.

    ``size_lots`` is the size of every quote. A quote older than ``life_ns`` is taken for expired;
    under rules without expiry (``expires=False``) it is withdrawn instead. Linear in the tape, and
    never ahead of it.
    """
    touch = Touch()
    working: dict[Side, deque[Submit]] = {Side.BUY: deque(), Side.SELL: deque()}
    next_ns = order_id = 0
    for event in tape:
        touch.see(event)
        if event.ns < next_ns:
            continue
        next_ns = event.ns + refresh_ns
        for side, own in working.items():
            yield from _withdraw(own, touch.best(side), event.ns, life_ns, expires=expires)
            if touch.best(side) > 0:
                order_id += 1
                own.append(Submit(event.ns, order_id, side, touch.best(side), size_lots))
                yield own[-1]


def _withdraw(own: deque[Submit], best_ticks: int, ns: int, life_ns: int, *, expires: bool) -> Iterator[Cancel]:
    """Forget the quotes that are over, cancel those in front of the market; ``own`` is shortened."""
    for _ in range(len(own)):
        quote = own.popleft()
        over = ns >= quote.ns + life_ns
        in_front = quote.side * (quote.price_ticks - best_ticks) > 0
        if (over and not expires) or (in_front and not over):
            yield Cancel(ns, quote.order_id)
        elif not over:
            own.append(quote)
