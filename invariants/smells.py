"""Smells: statistics that never fail a run, and make a person look twice."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from invariants.laws.crossings import causes
from invariants.laws.ruling import running_sum
from simcore.run import ABSENT, Ints, Run

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Smell:
    """One statistic: its name, its unit, and its values by label, in order."""

    name: str
    unit: str
    values: tuple[tuple[str, float], ...]


def smells(run: Run, apart: Distances | None = None) -> tuple[Smell, ...]:
    """Every statistic that the run allows; none where it has no fills.

    ``apart``: how far fills and trades lie from each other, where the tape is not at hand.
    """
    if not len(run.fills):
        return ()
    apart = distances(run) if apart is None else apart
    found = (_run_length(run), _fill_ratio(run), _quote_age(run), _refill_gap(run), _at_cap(run), _distance(apart))
    return tuple(smell for smell in found if smell is not None)


def _spread(values: Ints) -> tuple[tuple[str, float], ...]:
    """Minimum, p5, median, p95 and maximum."""
    low, p5, median, p95, high = np.quantile(values, [0, 0.05, 0.5, 0.95, 1])
    return (
        ("min", float(low)),
        ("p5", float(p5)),
        ("median", float(median)),
        ("p95", float(p95)),
        ("max", float(high)),
    )


def _run_length(run: Run) -> Smell:
    """How many fills of one side follow each other."""
    edges = np.flatnonzero(np.r_[True, run.fills.side[1:] != run.fills.side[:-1], True])
    lengths = np.diff(edges)
    return Smell("run length on one side", "fills", (("mean", float(lengths.mean())), ("max", float(lengths.max()))))


def _fill_ratio(run: Run) -> Smell | None:
    """Fills per trade of the tape."""
    if not len(run.trades):
        return None
    return Smell(
        "fill ratio of trades", "fraction", (("fills per trade", float(Fraction(len(run.fills), len(run.trades)))),)
    )


def _quote_age(run: Run) -> Smell | None:
    """Age of the order when it filled."""
    rows = np.flatnonzero(run.fills.order >= 0)
    submit_ns = run.orders.submit_ns[run.fills.order[rows]]
    known = submit_ns != ABSENT
    if not known.any():
        return None
    return Smell("quote age at fill", "ns", _spread(run.fills.ns[rows][known] - submit_ns[known]))


def _refill_gap(run: Run) -> Smell | None:
    """Time from a fill to the next one of the same side."""
    gaps = np.concatenate([np.diff(run.fills.ns[run.fills.side == side]) for side in (1, -1)])
    return Smell("refill gap on one side", "ns", _spread(gaps)) if len(gaps) else None


def _at_cap(run: Run) -> Smell | None:
    """Share of the fills after which the position is exactly at the cap."""
    rules = run.rules
    if not rules.declares("position_cap_lots", "initial_position_lots") or rules.position_cap_lots is None:
        return None
    after = rules.initial_position_lots + running_sum(run.fills.side * run.fills.size_lots)
    return Smell(
        "share of fills at the cap", "fraction", (("share", float(np.mean(np.abs(after) == rules.position_cap_lots))),)
    )


@dataclass(frozen=True, eq=False)
class Distances:
    """How far causing trades lie from their fills' prices, in basis points (minus is through), and the fills' sides."""

    bps: Floats = field(default_factory=lambda: np.empty(0))
    side: Ints = field(default_factory=lambda: np.empty(0, np.int64))


def distances(run: Run) -> Distances:
    """A row for each pair of a fill and a trade that could have caused it, in the order of the fills."""
    if not run.has_tape or not run.is_tape_ordered or not run.rules.declares("cross", "aggressor"):
        return Distances()
    found = causes(run)
    priced = run.fills.price_ticks[found.fill] > 0
    fill, trade = found.fill[priced], found.trade[priced]
    price = run.fills.price_ticks[fill]
    return Distances((run.trades.price_ticks[trade] - price) / price * 1e4, run.fills.side[fill])


def _distance(found: Distances) -> Smell | None:
    """How far the causing trade lies from the fill price, by side."""
    values = [
        (f"{word} {what}", float(getattr(np, what)(found.bps[found.side == sign])))
        for sign, word in ((1, "BUY"), (-1, "SELL"))
        if (found.side == sign).any()
        for what in ("min", "mean", "max")
    ]
    return Smell("distance of the trade from the fill", "bps", tuple(values)) if values else None
