"""Missed crossings: trades that crossed a live order and did not fill it, counted in two windows.

The *nominal* window is what the rules make of submit and cancel; the *logged* one, open at both
ends, lies between the instants at which the engine says the order arrived and ended. Where the
two differ, the engine's clock does. Trades at the limit stand apart from trades through it: the
former may be a queue, the latter leave no excuse. The trade that did fill the order is no miss.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from invariants.laws.crossings import crossings_in
from invariants.laws.windows import Window, lacks
from simcore.run import Run

DIALS = ("cross", "aggressor", "sizing", "position_cap_lots")


@dataclass(frozen=True, slots=True)
class Missed:
    """Orders that a trade crossed in the ``window`` without a fill; ``reason`` says why nothing is counted.

    ``through``: orders that some trade went through; ``at``: the others; ``trades``: instants in all.
    """

    window: Window
    at: int = 0
    through: int = 0
    trades: int = 0
    reason: str = ""


def missed_crossings(run: Run) -> tuple[Missed, ...]:
    """The counts for both windows; none where the run has no tape or no orders."""
    if not run.has_tape or not run.is_tape_ordered or not len(run.orders):
        return ()
    return (_missed(run, "nominal"), _missed(run, "logged"))


def _missed(run: Run, window: Window) -> Missed:
    reason = lacks(run, window)
    undeclared = [dial for dial in DIALS if not run.rules.declares(dial)]
    if reason or undeclared:
        return Missed(window, reason=reason or f"undeclared: {', '.join(undeclared)}")
    cells = crossings_in(run, window)
    missed = cells.passed_over
    through = np.unique(cells.order[missed & cells.through])
    at = np.setdiff1d(cells.order[missed], through)
    return Missed(window, len(at), len(through), int(missed.sum()))
