"""The vocabulary of section 2: what the venue published, what we asked for, what we got.

``Trade`` is theirs, ``Fill`` is ours. Times are integer nanoseconds since the Unix epoch, prices
integer ticks, sizes integer lots. None of these checks itself: a ``Scenario`` checks what a
simulator is given, and the laws judge what it answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from simcore.units import Side

OrderId = int | str


@dataclass(frozen=True, slots=True)
class Trade:
    """An execution between others. ``aggressor`` is the taker's side, ``None`` where unknown."""

    ns: int
    price_ticks: int
    size_lots: int
    aggressor: Side | None = None


@dataclass(frozen=True, slots=True)
class TopOfBook:
    """Best bid and ask with their sizes. It never fills anything by itself (rule 2)."""

    ns: int
    bid_ticks: int
    bid_lots: int
    ask_ticks: int
    ask_lots: int


@dataclass(frozen=True, slots=True)
class Submit:
    """We send a limit order at ``ns``; it can fill from ``ns + latency_ns`` on."""

    ns: int
    order_id: OrderId
    side: Side
    price_ticks: int
    size_lots: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """We ask at ``ns`` to withdraw an order; effective at ``ns + cancel_latency_ns``."""

    ns: int
    order_id: OrderId


@dataclass(frozen=True, slots=True)
class Fill:
    """Our execution.

    ``fee`` is in ticks times lots (``Instrument.notional`` makes it currency), positive when we
    pay; ``trade_seq`` is the index in the tape of the trade that caused the fill. Both may be
    left out: a simulator need not know them.
    """

    ns: int
    order_id: OrderId
    side: Side
    price_ticks: int
    size_lots: int
    fee: Decimal | None = None
    trade_seq: int | None = None


TapeEvent = Trade | TopOfBook
Action = Submit | Cancel
