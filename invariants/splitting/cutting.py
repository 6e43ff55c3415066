"""Where a run can be cut: between its fills, and nowhere inside one.

A cut at ``ns`` puts what happened before ``ns`` into the earlier piece. Not every instant will do:
a fill whose interval contains the cut belongs to both sides, and so do fills that stand in the list
in another order than they happened. Such a cut moves on to the next instant that will do, at the
worst to the end of the run. A tape that runs backwards is not cut at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from invariants.laws.ruling import Mask, running_from_zero
from simcore.run import Ints, Run
from simcore.units import INT64_MAX, LARGEST_LOTS

_INT64_MIN = -(2**63)


@dataclass(frozen=True, slots=True)
class Cut:
    """A place between two pieces: its instant, and how many rows of each table stand before it."""

    ns: int
    trades: int
    tops: int
    orders: int
    fills: int


def start_of() -> Cut:
    """Before everything."""
    return Cut(_INT64_MIN, 0, 0, 0, 0)


def end_of(run: Run) -> Cut:
    """Behind everything."""
    return Cut(INT64_MAX, len(run.trades), len(run.tops), len(run.orders), len(run.fills))


class Seams:
    """The places at which one run can be cut.

    ``position_lots`` has the position before each fill, and at the end.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        fills, count = run.fills, len(run.fills)
        signed = fills.side * fills.size_lots
        self.position_lots = run.rules.initial_position_lots + running_from_zero(signed)
        self._earliest = np.full(count + 1, INT64_MAX)
        self._earliest[:count] = np.minimum.accumulate(np.minimum(fills.ns, fills.ns_to)[::-1])[::-1]
        self._latest = np.full(count + 1, _INT64_MIN)
        self._latest[1:] = np.maximum.accumulate(np.maximum(fills.ns, fills.ns_to))
        self._between = np.flatnonzero(self._is_between(count))
        self._earliest_between = self._earliest[self._between]
        self._sent_ns = np.maximum.accumulate(run.orders.submit_ns)
        self._whole = not (is_cuttable(run) and _fits(run))

    def _is_between(self, count: int) -> Mask:
        """Numbers of fills that can stand before a cut."""
        between = np.ones(count + 1, np.bool_)
        between[1:count] = self._latest[1:count] < self._earliest[1:count]
        # fills of no order that bring the position to nothing close the run only where none follows
        # them; a cut behind or between them would make others the last of a run
        orphan = self.run.fills.order < 0
        behind_orphan = orphan & (self.position_lots[1:] == 0)
        between[1:count] &= ~behind_orphan[: max(count - 1, 0)]
        between[count - self._closing(orphan) + 1 : count] = False
        return between

    def _closing(self, orphan: Mask) -> int:
        """How many fills at the end of the run only close its position (``fills_have_orders``)."""
        after, before = self.position_lots[1:], self.position_lots[:-1]
        if not len(after) or after[-1] != 0:
            return 0
        tail = np.logical_and.accumulate((orphan & (np.abs(after) < np.abs(before)).astype(np.bool_))[::-1])
        return int(tail.sum())

    def at(self, ns: int) -> Cut:
        """The first place at or behind ``ns`` that will do."""
        if self._whole:
            return end_of(self.run)
        ns = max(ns, _INT64_MIN)
        if ns > INT64_MAX:
            return end_of(self.run)
        which = int(np.searchsorted(self._earliest_between, ns, "left"))
        fills = int(self._between[which])
        at_ns = max(ns, int(self._latest[fills]) + 1) if fills else ns
        return self._cut(at_ns, fills)

    def before(self, ns: int) -> Cut:
        """The last place between fills before which none is as late as ``ns``; it stands no later than ``ns``."""
        which = int(np.searchsorted(self._latest[self._between], ns, "left")) - 1
        if which < 0:
            return start_of()
        fills = int(self._between[which])
        return self._cut(min(ns, int(self._earliest[fills])), fills)

    def _cut(self, ns: int, fills: int) -> Cut:
        if ns > INT64_MAX:
            return end_of(self.run)
        run = self.run
        trades, tops, orders = (
            int(np.searchsorted(column, ns, "left")) for column in (run.trades.ns, run.tops.ns, self._sent_ns)
        )
        return Cut(ns, trades, tops, orders, fills)


def is_cuttable(run: Run) -> bool:
    """Whether what happened before an instant stands above the rest on the tape."""
    seq, tops_ns = run.trades.seq, run.tops.ns
    return run.is_tape_ordered and not bool((seq[1:] <= seq[:-1]).any() or (tops_ns[1:] < tops_ns[:-1]).any())


def _fits(run: Run) -> bool:
    """Whether any position on the way is one with which a run may begin."""
    sizes: Ints = run.fills.size_lots
    total = float(np.abs(sizes.astype(np.float64)).sum()) + abs(run.rules.initial_position_lots)
    return total < LARGEST_LOTS / 2


def cuts_of(run: Run, cuts_ns: Iterable[int]) -> tuple[Seams, list[Cut]]:
    """The edges of the pieces: the beginning, one for each wanted cut in order of time, the end."""
    seams = Seams(run)
    return seams, [start_of(), *(seams.at(ns) for ns in sorted(cuts_ns)), end_of(run)]
