"""One SYNTHETIC day of an ETH_JPY-like market, the same bits on every machine.

Nothing here was recorded. The figures are calibrated to those that the origin report quotes for
its market: about 0.24 trades a second around 361,000 JPY, a mean spread of about 5.4 basis points,
and flow that knows more than the maker does, so that his fills lose one to two basis points within
30 seconds. The day is dated 2000-01-01, when there was no ETH, so that nobody takes it for real.

How it works: a latent efficient price wanders; the venue's quotes follow it with a lag of some
seconds. Whoever knows the efficient price trades in its direction when the quotes stand far from
it, and sweeps the book; everybody else trades either way. Only ``Random.random`` and the four
operations are used: both are exact and stable over Python versions and platforms, which ``exp``,
``gauss`` and ``shuffle`` are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from random import Random

from simcore import Instrument, Side, TapeEvent, TopOfBook, Trade

NAME = "synthetic-eth-jpy"
INSTRUMENT = Instrument(tick_size=Decimal(1), lot_size=Decimal("0.01"))
SEED = 20000101
START_NS = 946_684_800_000_000_000  # 2000-01-01T00:00:00Z
SECONDS = 86_400

_MS = 1_000_000
_CENTRE = 361_000.0  # ticks
_STEP = 66.0  # ticks: standard deviation of the efficient price over one second
_PULL = 0.0003  # share of the way back to the centre, a second: a day stays near its mean
_FOLLOW = 0.065  # share of the gap that the quotes close, a second
_SPREAD = 195.0  # ticks: 5.4 basis points
_NOISE_RATE = 0.036  # uninformed sweeps a second
_INFORMED_RATE = 0.0021  # informed sweeps a second, for each tick that the gap exceeds the half-spread
_CHILD = 0.16  # chance that a sweep is followed by another of the same side within the second
_IMPACT = 0.35  # share of the walk through the book by which the quotes move at once


@dataclass(slots=True)
class _Market:
    """The state: the latent price, the price that the quotes follow, and the posted book."""

    efficient: float = _CENTRE
    quoted: float = _CENTRE
    spread: float = _SPREAD
    bid_ticks: int = 0
    ask_ticks: int = 0
    ns: int = START_NS


@cache
def day(seed: int = SEED, seconds: int = SECONDS) -> tuple[TapeEvent, ...]:
    """The synthetic tape in order: trades and tops of book, whole milliseconds, ticks and lots."""
    return tuple(_events(Random(seed), seconds))  # noqa: S311 - a tape, not a secret


def _events(random: Random, seconds: int) -> Iterator[TapeEvent]:
    market = _Market()
    draw = random.random
    yield _post(market, START_NS, draw(), draw())
    for second in range(1, seconds):
        _wander(market, random)
        start_ns = START_NS + second * 1_000 * _MS
        if _has_moved(market) or draw() < 0.15:
            yield _post(market, start_ns + int(draw() * 100) * _MS, draw(), draw())
        yield from _takers(market, random, start_ns)


def _takers(market: _Market, random: Random, start_ns: int) -> Iterator[TapeEvent]:
    """The sweeps of one second: from its first tenth on, all over before the next second begins."""
    side = _arrival(market, random)
    at_ms = 100 + int(random.random() * 300)
    while side is not None and at_ms < 980:
        yield from _sweep(market, random, start_ns + at_ms * _MS, side)
        at_ms += 20 + int(random.random() * 300)
        if random.random() >= _CHILD:
            side = None


def _wander(market: _Market, random: Random) -> None:
    """One second passes: the efficient price moves, the quotes follow, the spread breathes."""
    market.efficient += _STEP * _bell(random) + _PULL * (_CENTRE - market.efficient)
    market.quoted += _FOLLOW * (market.efficient - market.quoted)
    market.spread += 0.05 * (_SPREAD - market.spread) + 14.0 * _bell(random)
    market.spread = min(max(market.spread, 20.0), 600.0)


def _bell(random: Random) -> float:
    """About normal, mean 0, deviation 1: four uniform draws, exact on every machine."""
    draw = random.random
    return (draw() + draw() + draw() + draw() - 2.0) * 1.7320508


def _has_moved(market: _Market) -> bool:
    return abs(market.quoted - 0.5 * (market.bid_ticks + market.ask_ticks)) > 18.0


def _post(market: _Market, ns: int, first: float, second: float) -> TopOfBook:
    """Publish the book around the quoted price, with sizes of a heavy tail."""
    market.bid_ticks = int(market.quoted - 0.5 * market.spread)
    market.ask_ticks = max(int(market.quoted + 0.5 * market.spread), market.bid_ticks + 1)
    market.ns = ns
    return TopOfBook(ns, market.bid_ticks, _lots(first), market.ask_ticks, _lots(second))


def _lots(uniform: float) -> int:
    """From 0.05 units up: median about 0.2, one in a hundred above 3."""
    return 1 + int(8.0 / (uniform + 0.02))


def _arrival(market: _Market, random: Random) -> Side | None:
    """Who comes in this second: the informed towards the efficient price, others either way."""
    gap = market.efficient - 0.5 * (market.bid_ticks + market.ask_ticks)
    edge = abs(gap) - 0.5 * market.spread
    uniform = random.random()
    if uniform < _INFORMED_RATE * edge:
        return Side.BUY if gap > 0 else Side.SELL
    if uniform > 1.0 - _NOISE_RATE:
        return Side.BUY if random.random() < 0.5 else Side.SELL
    return None


def _sweep(market: _Market, random: Random, ns: int, side: Side) -> Iterator[TapeEvent]:
    """One taker: prints of one instant, the first at the touch, then the book that he leaves."""
    draw = random.random
    touch = price = market.ask_ticks if side is Side.BUY else market.bid_ticks
    yield Trade(ns, price, _lots(draw()), side)
    while draw() < 0.3:
        price += side * (1 + int(90.0 * draw()))
        yield Trade(ns, price, _lots(draw()), side)
    market.quoted += side * (_IMPACT * abs(price - touch) + 12.0)
    yield _post(market, ns + (1 + int(draw() * 15)) * _MS, draw(), draw())
