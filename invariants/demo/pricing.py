"""Where the inside-spread maker quotes: touch, offset, inventory, imbalance, and the guard that stops it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from invariants.demo.quoting import Touch
from simcore import Instrument, Side, TapeEvent, Trade
from simcore.engine import cap_allows

if TYPE_CHECKING:
    from invariants.demo.maker import Maker

_STEPS = 10**6
"""Parameters in basis points are kept in millionths of one: whole numbers, exact."""

_WHOLE = 10_000 * _STEPS
"""The whole of a price in those."""

Targets = Mapping[Side, int | str]
"""For each side the limit to quote in ticks, or the word that says why there is to be no quote."""


@dataclass(slots=True)
class Guard:
    """The trades of the last ``window_ns``: their volume and number, by the side of ours that they hit.

    A trade of unknown aggressor counts for both sides. Linear: each trade comes in once and goes once.
    """

    window_ns: int
    size_lots: int | None
    count: int | None
    same_side: bool
    _recent: deque[tuple[int, tuple[Side, ...], int]] = field(default_factory=deque)
    _lots: dict[Side, int] = field(default_factory=lambda: dict.fromkeys(Side, 0))
    _count: dict[Side, int] = field(default_factory=lambda: dict.fromkeys(Side, 0))

    def see(self, trade: Trade) -> None:
        """Take one trade in."""
        both = not self.same_side or trade.aggressor is None
        hit = tuple(Side) if both else (Side.SELL if trade.aggressor is Side.BUY else Side.BUY,)
        self._recent.append((trade.ns, hit, trade.size_lots))
        self._enter(hit, trade.size_lots, 1)

    def _enter(self, hit: tuple[Side, ...], lots: int, count: int) -> None:
        for side in hit:
            self._lots[side] += lots
            self._count[side] += count

    def trips(self, side: Side, ns: int) -> bool:
        """Whether ``side`` is not to be quoted at ``ns``: the volume or the number has been reached."""
        while self._recent and self._recent[0][0] <= ns - self.window_ns:
            _, hit, lots = self._recent.popleft()
            self._enter(hit, -lots, -1)
        by_size = self.size_lots is not None and self._lots[side] >= self.size_lots
        return by_size or (self.count is not None and self._count[side] >= self.count)


class Quoter:
    """All that the maker knows of the market, and the quotes that it wants in view of it."""

    def __init__(self, maker: Maker, instrument: Instrument) -> None:
        self.touch = Touch()
        self.size_lots = -int(-maker.size // instrument.lot_size)
        self.cap_lots = None if maker.cap is None else instrument.lots(maker.cap, file="maker", field="cap")
        guard_lots = None if maker.guard_size is None else -int(-maker.guard_size // instrument.lot_size)
        self.guard = Guard(maker.guard_window_ns, guard_lots, maker.guard_count, maker.guard_same_side)
        self._offset = int(maker.offset_bps * _STEPS)
        self._skew = int(maker.inventory_skew_bps * _STEPS)
        self._lean = int(maker.imbalance_lean_bps * _STEPS)
        self._one_side = maker.imbalance_one_side

    def see(self, event: TapeEvent) -> None:
        """Take one event of the tape in."""
        self.touch.see(event)
        if isinstance(event, Trade):
            self.guard.see(event)

    def targets(self, ns: int, position_lots: int) -> Targets:
        """What to quote on each side at ``ns``, holding ``position_lots``."""
        prices = self._prices(position_lots)
        return {
            side: self._refusal(side, ns, position_lots) or (limit if limit > 0 else "no_book")
            for side, limit in prices.items()
        }

    def _refusal(self, side: Side, ns: int, position_lots: int) -> str:
        """Why ``side`` is not to be quoted; empty where it may be."""
        bid, ask = self.touch.bid_ticks, self.touch.ask_ticks
        if self.touch.best(side) <= 0 or (0 < ask <= bid):
            return "no_book"  # one side is missing, or the book is locked or crossed
        if self.guard.trips(side, ns):
            return "adverse_volume_guard"
        if not cap_allows(position_lots, position_lots + side * self.size_lots, self.cap_lots):
            return "inventory_cap"
        if self._one_side and side * (self.touch.bid_lots - self.touch.ask_lots) < 0:
            return "imbalance"
        return ""

    def _prices(self, position_lots: int) -> dict[Side, int]:
        """The limits: rounded away from the touch, behind the other side's touch, and apart."""
        bid, ask = self.touch.bid_ticks, self.touch.ask_ticks
        moved, scale = self._shift(position_lots)
        # the touch times (1 -/+ offset + shift), in whole numbers
        buy = bid * (scale - self._offset * (scale // _WHOLE) + moved) // scale
        sell = -(-ask * (scale + self._offset * (scale // _WHOLE) + moved) // scale)
        buy, sell = min(buy, ask - 1) if ask > 0 else buy, max(sell, bid + 1)
        if 0 < bid < ask and buy >= sell:
            buy = (bid + ask - 1) // 2
            sell = buy + 1
        return {Side.BUY: buy, Side.SELL: sell}

    def _shift(self, position_lots: int) -> tuple[int, int]:
        """By which fraction of the touch both quotes move, as numerator and denominator.

        Down while long, by the full skew at the cap; towards the thinner side of the book.
        """
        cap = self.cap_lots or 1
        held = 0 if self.cap_lots is None else max(-cap, min(cap, position_lots))
        shown = self.touch.bid_lots + self.touch.ask_lots
        tilt = self.touch.bid_lots - self.touch.ask_lots
        book = shown or 1
        return self._lean * tilt * cap - self._skew * held * book, _WHOLE * cap * book
