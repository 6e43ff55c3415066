"""One day scaled to many: what a long period should bring if the run is typical, with an interval.

The run is cut into blocks of time. A day like it is drawn from the blocks, then the long period
from that day: the interval holds both what one day cannot tell and what chance adds over the period.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from math import sqrt

import numpy as np

from invariants.diagnosis.bootstrap import DRAWS, FEWEST_BLOCKS, SEED, Floats, widening
from invariants.diagnosis.executions import Executions
from invariants.diagnosis.mids import Mids
from invariants.diagnosis.pnl import Pnl
from simcore.run import Ints, Run

DAY_NS = 86_400_000_000_000
BLOCKS = 24


@dataclass(frozen=True, slots=True)
class Scaled:
    """A figure of the run, the same for the long period with its 95 % interval, and the one that was given."""

    name: str
    run: float
    expected: float
    low: float
    high: float
    given: float | None

    @property
    def is_consistent(self) -> bool | None:
        """Whether the given figure lies in the interval; None where none was given."""
        return None if self.given is None else self.low <= self.given <= self.high


@dataclass(frozen=True, slots=True)
class Scaling:
    """From ``run_days`` to ``days``: result in currency, and fills; ``reason`` where that cannot be."""

    run_days: float
    days: float
    rows: tuple[Scaled, ...] = ()
    reason: str = ""


def scaling_of(
    run: Run, done: Executions, mids: Mids, pnl: Pnl, days: float, given_pnl: float | None, given_fills: float | None
) -> Scaling:
    """Scale the result and the count of fills; blocks are 24ths of the run."""
    start_ns = int(mids.ns[0])
    span_ns = mids.end_ns - start_ns
    run_days = span_ns / DAY_NS
    if span_ns < BLOCKS or len(done) < BLOCKS:
        return Scaling(run_days, days, reason=f"the run has fewer than {BLOCKS} fills to cut into as many blocks")
    edges = start_ns + np.array([span_ns * k // BLOCKS for k in range(BLOCKS + 1)], dtype=np.int64)
    money = float(run.instrument.notional(Decimal(1)))
    # fees and the rounding of marks stand in the total: the blocks share out what they do not show
    made = _made(run, done, mids, edges) * (money / 2)
    total = float(pnl.total) * money
    made += (total - made.sum()) / BLOCKS
    counts = np.diff(np.searchsorted(done.ns, edges, "left")).astype(np.float64)
    counts[-1] += len(done) - counts.sum()
    ratio = days / run_days
    rows = (_scaled("result", made, ratio, given_pnl), _scaled("fills", counts, ratio, given_fills))
    return Scaling(run_days, days, rows)


def _made(run: Run, done: Executions, mids: Mids, edges: Ints) -> Floats:
    """The change of cash and position at the mid over each block, in half ticks times lots, without fees."""
    signed = (done.side * done.size_lots).astype(np.float64)
    paid = np.r_[0.0, np.cumsum(-2.0 * signed * done.price_ticks)]
    held = run.rules.initial_position_lots + np.r_[0.0, np.cumsum(signed)]
    place = np.searchsorted(done.ns, edges, "right")
    return np.diff(paid[place] + held[place] * mids.at(edges))


def _scaled(name: str, blocks: Floats, ratio: float, given: float | None) -> Scaled:
    """Days drawn from the blocks (neighbours stay together), then the period from each day."""
    rng = np.random.default_rng(SEED)
    count, together = len(blocks), 2
    first = rng.integers(0, count, (DRAWS, count // together))
    days = blocks[(first[..., None] + np.arange(together)) % count].reshape(DRAWS, -1)
    run = float(blocks.sum())
    chance = days.std(axis=1, ddof=1) * sqrt(ratio * count) * rng.standard_normal(DRAWS)
    drawn = days.sum(axis=1) * ratio + chance
    low, high = np.quantile(drawn, (0.025, 0.975))
    factor, expected = widening(max(count // together, FEWEST_BLOCKS)), run * ratio
    ends = [expected + factor * (float(end) - expected) for end in (low, high)]
    return Scaled(name, run, expected, ends[0], ends[1], given)
