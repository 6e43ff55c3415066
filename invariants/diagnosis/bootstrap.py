"""Means with intervals: a circular block bootstrap, the same figures on every call.

Fills close in time share the moves that follow them, so they are drawn in blocks that span the
horizon; the ends of the series are joined, so that every fill is drawn as often as any other.
(Politis and Romano, "A circular block-resampling procedure for stationary data", 1992.) Blocks cut
off what spans two of them: their variance is too small by about as much as that of blocks twice as
long is larger, which is added. (Politis and Romano, "Bias-corrected nonparametric spectral
estimation", 1995.) With few blocks percentiles are too narrow: they are widened as Student's t is
against the normal, of two thirds of the blocks, since two lengths of them are weighed against each
other; so intervals on random walks hold the truth as often as they say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
import numpy.typing as npt

from invariants.laws.ruling import Mask
from simcore.run import Ints

Floats = npt.NDArray[np.float64]

DRAWS = 1_000
SEED = 20260318
FEWEST_VALUES = 10
FEWEST_BLOCKS = 4
_NORMAL = 1.959964
_GATHERED = 4_000_000
"""Block sums looked up in one go: bounds memory at some tens of megabytes."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over ``count`` values and its 95 % interval; no interval (None) where there is too little."""

    mean: float
    low: float | None
    high: float | None
    count: int

    @property
    def is_negative(self) -> bool:
        """Whether the whole interval lies below zero."""
        return self.high is not None and self.high < 0

    @property
    def is_positive(self) -> bool:
        """Whether the whole interval lies above zero."""
        return self.low is not None and self.low > 0

    def times(self, factor: float) -> Estimate:
        """The same in another unit; ``factor`` may be negative."""
        ends = [None if end is None else end * factor for end in (self.low, self.high)]
        low, high = ends if factor >= 0 else reversed(ends)
        return Estimate(self.mean * factor, low, high, self.count)


def mean_of(values: Floats, weights: Floats, block: int) -> Estimate | None:
    """The weighted mean of ``values`` in time order, drawn in blocks of ``block``; None without weight."""
    total = float(weights.sum())
    if total <= 0:
        return None
    mean = float(values @ weights) / total
    columns = np.column_stack((values * weights, weights))
    lever = (values - mean) * weights
    return _estimate(mean, columns, lever, block, lambda sums: sums[:, 0] / sums[:, 1], len(values))


def difference_of(values: Floats, weights: Floats, marked: Mask, block: int) -> Estimate | None:
    """The mean of the marked values less that of the others; None where one of them has no weight."""
    inside, outside = weights * marked, weights * ~marked
    if inside.sum() <= 0 or outside.sum() <= 0:
        return None
    means = [float(values @ some / some.sum()) for some in (inside, outside)]
    lever = (values - means[0]) * inside / inside.sum() - (values - means[1]) * outside / outside.sum()
    columns = np.column_stack((values * inside, inside, values * outside, outside))
    few = min(int(marked.sum()), int((~marked).sum()))
    return _estimate(means[0] - means[1], columns, lever, block, lambda s: s[:, 0] / s[:, 1] - s[:, 2] / s[:, 3], few)


def sums_of(columns: Floats, block: int, draws: int = DRAWS) -> Floats:
    """Column sums of ``draws`` resampled series: rows of ``columns`` in circular blocks of ``block``."""
    count, width = columns.shape
    rng = np.random.default_rng(SEED)
    in_block = _in_blocks(columns, block)
    blocks = ceil(count / block)
    sums = np.empty((draws, width))
    step = max(1, _GATHERED // blocks)
    for first in range(0, draws, step):
        last = min(first + step, draws)
        sums[first:last] = in_block[rng.integers(0, count, (last - first, blocks))].sum(axis=1)
    return sums


def block_of(ns: Ints, horizon_ns: int) -> int:
    """How many fills a block must span: those that share a horizon, and at least the cube root of all."""
    if not len(ns):
        return 1
    within = np.searchsorted(ns, ns + horizon_ns, "right") - np.arange(len(ns))
    root = ceil(float(np.cbrt(len(ns))))
    return min(max(ceil(float(within.mean())), root), len(ns))


def widening(blocks: int) -> float:
    """By how much an interval from ``blocks`` blocks is wider than a normal one."""
    z, free = _NORMAL, blocks - 1
    # the Cornish-Fisher expansion of Student's t around the normal quantile
    student = z + (z**3 + z) / 4 / free + (5 * z**5 + 16 * z**3 + 3 * z) / 96 / free**2
    student += (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384 / free**3
    return student / z * sqrt(blocks / free)


def _estimate(
    mean: float, columns: Floats, lever: Floats, block: int, statistic: Callable[[Floats], Floats], count: int
) -> Estimate:
    """``lever`` is by how much each value moves the statistic."""
    blocks = len(columns) / block
    if count < FEWEST_VALUES or blocks < FEWEST_BLOCKS:
        return Estimate(mean, None, None, count)
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = statistic(sums_of(columns, block))
    drawn = drawn[np.isfinite(drawn)]
    if len(drawn) < 0.95 * DRAWS:  # one of the groups is in a few blocks only
        return Estimate(mean, None, None, count)
    low, high = np.quantile(drawn, (0.025, 0.975))
    factor = widening(int(blocks * 2 / 3)) * _uncut(lever, block)
    return Estimate(mean, mean + factor * float(low - mean), mean + factor * float(high - mean), count)


def _uncut(lever: Floats, block: int) -> float:
    """By how much an interval is wider, at least, where blocks cut through what hangs together."""
    short, long = (float((_in_blocks(lever[:, None], length) ** 2).mean()) / length for length in (block, 2 * block))
    return sqrt(max(2 * long / short - 1, 1)) if short > 0 else 1.0


def _in_blocks(columns: Floats, block: int) -> Floats:
    """The sums of each circular block."""
    wrapped: Floats = np.vstack((np.zeros((1, columns.shape[1])), columns, columns[: block - 1])).cumsum(axis=0)
    return wrapped[block:] - wrapped[:-block]
