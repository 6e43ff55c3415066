"""How often a rule is right about real orders: filled or not, when, and how much."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from invariants.calibration.answers import Answer
from invariants.calibration.lives import Lives
from simcore.grid import Mask
from simcore.run import ABSENT, Ints

EDGES_BPS = (5, 20, 100)
"""Where one class of distance behind the touch ends and the next begins."""


@dataclass(frozen=True, slots=True)
class Score:
    """One rule over some orders; each order is in one class.

    The venue filled ``filled`` of ``orders``: the rule fills them at the ``right`` time, ``early``,
    ``late`` or not at all (``missed``). Of the others it leaves ``quiet`` alone, and fills ``phantom``.
    Of the orders that both fill it fills ``same_size``, ``more`` or ``less``. ``lots`` is all that it
    fills, ``real_lots`` all that the venue did. ``median_error_s`` is how much later than the venue
    (negative: earlier) the rule fills first, over the orders that both fill.
    """

    orders: int
    filled: int
    right: int
    early: int
    late: int
    missed: int
    quiet: int
    phantom: int
    same_size: int
    more: int
    less: int
    lots: int
    real_lots: int
    median_error_s: float | None

    @property
    def fills(self) -> int:
        """How many orders the rule fills."""
        return self.right + self.early + self.late + self.phantom


def score(lives: Lives, answer: Answer, tolerance_ns: int, rows: Mask) -> Score:
    """The score of an answer over ``rows``; a first fill within ``tolerance_ns`` is at the right time."""
    real, model = lives.filled & rows, (answer.first_ns != ABSENT) & rows
    both = real & model
    error_ns = answer.first_ns[both] - lives.first_ns[both]
    sizes = np.sign(answer.filled_lots[both] - lives.filled_lots[both])
    return Score(
        orders=int(rows.sum()),
        filled=int(real.sum()),
        right=int((np.abs(error_ns) <= tolerance_ns).sum()),
        early=int((error_ns < -tolerance_ns).sum()),
        late=int((error_ns > tolerance_ns).sum()),
        missed=int((real & ~model).sum()),
        quiet=int((rows & ~real & ~model).sum()),
        phantom=int((model & ~real).sum()),
        same_size=int((sizes == 0).sum()),
        more=int((sizes > 0).sum()),
        less=int((sizes < 0).sum()),
        lots=sum(answer.filled_lots[rows].tolist()),
        real_lots=sum(lives.filled_lots[rows].tolist()),
        median_error_s=float(np.median(error_ns)) / 1e9 if len(error_ns) else None,
    )


def by_distance(lives: Lives, touch_ticks: Ints) -> Iterator[tuple[str, Mask]]:
    """The orders by how far behind the touch of their side they came in; ``touch_ticks`` is 0 where unknown."""
    known = touch_ticks > 0
    behind = lives.side * (touch_ticks - lives.price_ticks)
    bps = behind / np.where(known, touch_ticks, 1) * 1e4
    yield "inside the spread", known & (behind < 0)
    yield "at the touch", known & (behind == 0)
    low = 0
    for high in EDGES_BPS:
        yield f"over {low} to {high} bps behind", known & (behind > 0) & (bps > low) & (bps <= high)
        low = high
    yield f"over {low} bps behind", known & (bps > low)
    yield "touch unknown", ~known
