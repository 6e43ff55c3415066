"""Markouts: what a fill is worth some time later, and of which parts that is made.

For a fill at ``t``: ``markout(h) = (mid(t + h) - price) * side``, positive where good for us. It is
the half-spread earned at the fill, ``(mid(t-) - price) * side`` with the mid that stood before the
fill, plus the drift after it, ``(mid(t + h) - mid(t-)) * side``. Means are per unit of size.

A quote cannot be moved in no time. What it was to earn when its maker last had a say is the distance
from the mid of a reaction time before the fill, or of its submit where that was later; what came
after that, the maker could not help.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from invariants.diagnosis.bootstrap import Estimate, Floats, block_of, mean_of
from invariants.diagnosis.executions import Executions
from invariants.diagnosis.mids import Mids
from invariants.laws.ruling import Mask
from simcore.run import Ints


@dataclass(frozen=True, slots=True)
class Markout:
    """One horizon: means in price units per unit of size, ``bps`` of the fill price.

    ``half_spread`` and ``drift`` are of the same fills as ``combined``, and add up to it; so do
    ``last_say`` and ``after_it``: the distance from the mid when the maker last had a say, and the
    move from then on.
    ``judged`` fills have a mid before them and one at the horizon; ``beyond_tape`` do not, since
    the tape ends first. ``unmoved``: the share of the judged after which no mid was seen until
    the horizon, so that the mid of the fill's own instant stands in for it.
    """

    horizon_ns: int
    buy: Estimate | None
    sell: Estimate | None
    combined: Estimate | None
    bps: Estimate | None
    half_spread: Estimate | None
    drift: Estimate | None
    last_say: Estimate | None
    after_it: Estimate | None
    judged: int
    beyond_tape: int
    unmoved: float


def markouts_of(
    done: Executions, mids: Mids, horizons_ns: Sequence[int], tick_size: Decimal, reaction_ns: int
) -> tuple[Markout, ...]:
    """One row a horizon; within ``reaction_ns`` nobody moves a quote."""
    last_say = _last_say(done, mids, reaction_ns)
    return tuple(_markout(done, mids, horizon_ns, float(tick_size), last_say) for horizon_ns in horizons_ns)


def inside(done: Executions, mids: Mids, horizon_ns: int) -> Mask:
    """Fills that can be judged at this horizon: a mid stood before them, and the tape goes on that long."""
    return done.has_mid & (done.ns_to <= mids.end_ns - horizon_ns)


def doubled_markouts(done: Executions, mids: Mids, horizon_ns: int) -> Ints:
    """Each fill's markout in half ticks; the last mid stands for all time after the tape."""
    return done.beyond_doubled(mids.at(_after(done, mids, horizon_ns)))


def _after(done: Executions, mids: Mids, horizon_ns: int) -> Ints:
    """The instant of the horizon, no later than the tape's end: nothing to wrap in int64."""
    return np.minimum(done.ns_to, mids.end_ns - horizon_ns) + horizon_ns


def _last_say(done: Executions, mids: Mids, reaction_ns: int) -> Ints:
    """Half ticks from the mid when the maker last had a say; at the fill where the submit is not known."""
    say_ns = np.maximum(np.where(done.has_age, done.submit_ns, done.ns), done.ns - reaction_ns)
    known = done.has_age & (mids.place_at(say_ns) >= 0)
    return done.beyond_doubled(np.where(known, mids.at(say_ns), done.doubled_mid))


def _markout(done: Executions, mids: Mids, horizon_ns: int, tick: float, last_say: Ints) -> Markout:
    judged = inside(done, mids, horizon_ns)
    half_tick = np.float64(tick / 2)
    total: Floats = doubled_markouts(done, mids, horizon_ns)[judged] * half_tick
    earned: Floats = done.beyond_doubled(done.doubled_mid)[judged] * half_tick
    quoted: Floats = last_say[judged] * half_tick
    price: Floats = done.price_ticks[judged] * np.float64(tick)
    side, ns, weights = done.side[judged], done.ns[judged], done.weights[judged]
    later = mids.place_at(_after(done, mids, horizon_ns))[judged]
    unmoved = later <= mids.place_at(done.ns_to[judged])

    def mean(values: Floats, chosen: Mask | None = None) -> Estimate | None:
        rows = slice(None) if chosen is None else chosen
        return mean_of(values[rows], weights[rows], block_of(ns[rows], horizon_ns))

    return Markout(
        horizon_ns=horizon_ns,
        buy=mean(total, side > 0),
        sell=mean(total, side < 0),
        combined=mean(total),
        bps=mean(_bps(total, price)),
        half_spread=mean(earned),
        drift=mean(total - earned),
        last_say=mean(quoted),
        after_it=mean(total - quoted),
        judged=len(total),
        beyond_tape=int((done.has_mid & ~judged).sum()),
        unmoved=float(unmoved.mean()) if len(unmoved) else 0.0,
    )


def _bps(values: Floats, price: Floats) -> Floats:
    """Of the fill price; zero where that is no price (a law judges it)."""
    return np.divide(values, price, out=np.zeros(len(values)), where=price > 0) * 1e4
