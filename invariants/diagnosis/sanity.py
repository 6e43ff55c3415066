"""The sanity checks of a person who suspects the simulator, as figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from invariants.diagnosis.executions import Executions
from invariants.diagnosis.mids import Mids
from invariants.diagnosis.patterns import same_side_gaps
from invariants.laws.crossings import causes
from invariants.laws.ruling import starts
from simcore.run import ABSENT, Ints, Run


@dataclass(frozen=True, slots=True)
class Distance:
    """``(trade price - fill price) / fill price`` in basis points over the fills of one side: mean, largest size."""

    side: int
    fills: int
    mean_bps: float
    largest_bps: float


@dataclass(frozen=True, slots=True)
class Spread:
    """Quantiles, in the unit of what they are of."""

    low: float
    p5: float
    median: float
    p95: float
    high: float


@dataclass(frozen=True, slots=True)
class Refills:
    """Fills at one (side, price): how many pairs have several, the most at one, and how many no re-submit explains.

    A fill is explained when its order is known, was sent before it, and is another order than those
    of the fills before it, or was not yet full.
    """

    pairs: int
    most: int
    unexplained: int


@dataclass(frozen=True, slots=True)
class Sanity:
    """Counts, ages in ns, sizes in lots; None where the run does not say."""

    fills: int
    buys: int
    sells: int
    matched: int
    size_lots: Spread
    distances: tuple[Distance, ...]
    age_ns: Spread | None
    latency_ns: int | None
    ttl_ns: int | None
    refills: Refills
    run_mean: float
    run_most: int
    refill_gap_ns: Spread | None
    ns_per_fill: float | None
    trades: int
    fills_per_trade: float | None

    @property
    def youngest_waits(self) -> bool | None:
        """Whether even the youngest filled quote was as old as the latency; None where unknown."""
        if self.age_ns is None or self.latency_ns is None:
            return None
        return self.age_ns.low >= self.latency_ns


def sanity_of(run: Run, done: Executions, mids: Mids) -> Sanity:
    """All checks; ``done`` must not be empty."""
    edges = np.flatnonzero(np.r_[True, done.side[1:] != done.side[:-1], True])
    lengths = np.diff(edges)
    span_ns = _span(run, mids)
    gaps, ages = same_side_gaps(done), done.age_ns[done.has_age]
    rules = run.rules
    return Sanity(
        fills=len(done),
        buys=int((done.side > 0).sum()),
        sells=int((done.side < 0).sum()),
        matched=int(done.has_age.sum()),
        size_lots=_spread(done.size_lots),
        distances=_distances(run),
        age_ns=_spread(ages) if len(ages) else None,
        latency_ns=rules.latency_ns if rules.declares("latency_ns") else None,
        ttl_ns=rules.ttl_ns if rules.declares("ttl_ns") else None,
        refills=_refills(run, done),
        run_mean=float(lengths.mean()),
        run_most=int(lengths.max()),
        refill_gap_ns=_spread(gaps) if len(gaps) else None,
        ns_per_fill=span_ns / len(done) if span_ns else None,
        trades=len(run.trades),
        fills_per_trade=len(done) / len(run.trades) if len(run.trades) else None,
    )


def _spread(values: Ints) -> Spread:
    return Spread(*(float(v) for v in np.quantile(values, (0, 0.05, 0.5, 0.95, 1))))


def _span(run: Run, mids: Mids) -> int:
    """From the first event of the tape to its last."""
    first = [int(ns.min()) for ns in (run.trades.ns, run.tops.ns) if len(ns)]
    return mids.end_ns - min(first) if first else 0


def _distances(run: Run) -> tuple[Distance, ...]:
    """Against the trades that could have caused each fill: of several, the first one in the tape."""
    if not run.has_tape or not run.is_tape_ordered or not run.rules.declares("cross", "aggressor"):
        return ()
    found = causes(run)
    if not len(found.fill):
        return ()
    first = starts(found.fill)
    fill, trade = found.fill[first], found.trade[first]
    priced = run.fills.price_ticks[fill] > 0
    fill, trade = fill[priced], trade[priced]
    price = run.fills.price_ticks[fill]
    bps = (run.trades.price_ticks[trade] - price) / price * 1e4
    sides = [(side, bps[run.fills.side[fill] == side]) for side in (1, -1)]
    return tuple(Distance(s, len(v), float(v.mean()), float(np.abs(v).max())) for s, v in sides if len(v))


def _refills(run: Run, done: Executions) -> Refills:
    """Pairs of side and price that were filled more than once."""
    by_pair: dict[tuple[int, int], list[int]] = {}
    for at, pair in enumerate(zip(done.side.tolist(), done.price_ticks.tolist(), strict=True)):
        by_pair.setdefault(pair, []).append(at)
    several = [rows for rows in by_pair.values() if len(rows) > 1]
    unexplained = sum(_unexplained(run, done, rows) for rows in several)
    return Refills(len(several), max((len(rows) for rows in several), default=0), unexplained)


def _unexplained(run: Run, done: Executions, rows: Sequence[int]) -> int:
    """Fills at one price after the first that are neither of another order, nor of one with something left."""
    filled: dict[int, int] = {}
    count = 0
    for place, at in enumerate(rows):
        order = int(done.order[at])
        known = order >= 0 and run.orders.submit_ns[order] != ABSENT and run.orders.submit_ns[order] < done.ns[at]
        before = filled.get(order, 0)
        left = known and before + int(done.size_lots[at]) <= int(run.orders.size_lots[order])
        count += place > 0 and not left
        filled[order] = before + int(done.size_lots[at])
    return count
