"""Strategy logic: patterns of fills, and whether the fills that show one carry the loss.

A pattern **explains** the loss when its fills carry at least three quarters of it, lose
significantly, and significantly more than the other fills, and the others lose per unit at most
half of what all do. It does **not matter** when its fills carry at most a quarter, or lose no
more than the others; that they are too few to tell is no such sign where all but that fits. Anything
between is **part** of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from invariants.diagnosis.bootstrap import FEWEST_VALUES, Estimate, Floats, block_of, difference_of, mean_of
from invariants.diagnosis.executions import Executions
from invariants.diagnosis.markouts import doubled_markouts, inside
from invariants.diagnosis.mids import FROM_TOPS, Mids
from invariants.diagnosis.words import percent, seconds
from invariants.laws.ruling import Mask
from simcore.run import ABSENT, Ints, Run

MOST = 0.75
HALF = 0.5
LITTLE = 0.25
THOUGHT_NS = 1_000_000_000
"""On top of the latency: within this time of an event no maker is blamed for not having reacted."""

OLD_NS = 5_000_000_000
"""Where there are no tops of book to show that a quote was off the market: older than the origin's 5 s life."""

EXPLAINS, PART, DOES_NOT_MATTER, UNKNOWN = "explains the loss", "part of the loss", "not the problem", "unknown"


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern: how common it is, what it carries, and what that means.

    ``share`` is of the fills (of the time, for the cap); ``share_of_loss`` of the loss of all
    fills up to the horizon (of the result, for the cap), None where there is none. ``own``,
    ``others`` and ``difference`` are means per unit in price units.
    """

    name: str
    answer: str
    count: int
    share: float
    share_of_loss: float | None
    own: Estimate | None
    others: Estimate | None
    difference: Estimate | None
    figures: str
    because: str


class Throttle(NamedTuple):
    """The cadence of our submits: the shortest usual gap, and whether it is a floor that binds."""

    floor_ns: int
    binds: bool


def reaction_ns(run: Run) -> int:
    """Latency and a second of thought."""
    return THOUGHT_NS + (run.rules.latency_ns if run.rules.declares("latency_ns") else 0)


def fill_patterns(run: Run, done: Executions, mids: Mids, horizon_ns: int) -> tuple[Pattern, ...]:
    """Stale quotes, throttled requotes and instant refires."""
    court = _Court(run, done, mids, horizon_ns)
    throttle = throttle_of(run)
    late = _off_market(run, done, mids) if mids.source == FROM_TOPS else _old(done)
    waited = done.age_ns <= throttle.floor_ns * 5 // 4 + run.rules.latency_ns
    held = late & waited if throttle.binds else np.zeros(len(done), dtype=np.bool_)
    stale, throttled = court.judge("stale quotes", late & ~held), court.judge("throttled requotes", held)
    if not done.has_age.all():
        missing = f"{int((~done.has_age).sum()):,} fills have no known submit time"
        stale, throttled = (_unless_known(p, missing) for p in (stale, throttled))
    if throttled.answer != UNKNOWN and mids.source != FROM_TOPS and throttle.binds:
        throttled = replace(throttled, because=f"{throttled.because}; without tops of book only the age tells")
    refired = court.judge("instant refires", _refired(run, done))
    return (
        replace(stale, figures=_stale_words(run, done, mids, horizon_ns, stale.count)),
        replace(throttled, figures=_throttle_words(throttle, throttled.count)),
        replace(refired, figures=_refire_words(run, done, refired.count)),
    )


def off_market_together(run: Run, done: Executions, mids: Mids, horizon_ns: int) -> Pattern:
    """Stale and throttled fills as one: both are quotes that nobody moved in time."""
    late = _off_market(run, done, mids) if mids.source == FROM_TOPS else _old(done)
    return _Court(run, done, mids, horizon_ns).judge("stale or throttled quotes", late)


class _Court:
    """Judges which fills carry the loss at one horizon."""

    def __init__(self, run: Run, done: Executions, mids: Mids, horizon_ns: int) -> None:
        self.judged = inside(done, mids, horizon_ns)
        tick = float(run.instrument.tick_size)
        self.markout: Floats = doubled_markouts(done, mids, horizon_ns)[self.judged] * np.float64(tick / 2)
        self.earned: Floats = done.beyond_doubled(done.doubled_mid)[self.judged] * np.float64(tick / 2)
        self.weights = done.weights[self.judged]
        self.ns, self.horizon_ns = done.ns[self.judged], horizon_ns

    def judge(self, name: str, fills: Mask) -> Pattern:
        """The pattern that these fills show."""
        chosen = fills[self.judged]
        worth = self.markout * self.weights
        total, carried = float(worth.sum()), float(worth[chosen].sum())
        share = carried / total if total < 0 else None
        own, others = self._mean(chosen), self._mean(~chosen)
        difference = difference_of(self.markout, self.weights, chosen, block_of(self.ns, self.horizon_ns))
        pattern = Pattern(
            name=name,
            answer=DOES_NOT_MATTER,
            count=int(fills.sum()),
            share=float(fills.mean()) if len(fills) else 0.0,
            share_of_loss=share,
            own=own,
            others=others,
            difference=difference,
            figures="",
            because="",
        )
        answer, because = self._answer(pattern, chosen)
        return replace(pattern, answer=answer, because=because)

    def _mean(self, chosen: Mask) -> Estimate | None:
        block = block_of(self.ns[chosen], self.horizon_ns)
        return mean_of(self.markout[chosen], self.weights[chosen], block)

    def _answer(self, p: Pattern, chosen: Mask) -> tuple[str, str]:  # noqa: PLR0911 - one return a rule
        if p.own is None:
            return DOES_NOT_MATTER, "no such fill"
        if p.share_of_loss is None:
            return DOES_NOT_MATTER, "the fills lose nothing by the horizon"
        if p.share_of_loss <= LITTLE:
            lose = f"carry {percent(p.share_of_loss)} of the loss" if p.share_of_loss > 0 else "lose nothing together"
            return DOES_NOT_MATTER, f"such fills {lose}"
        carries = f"such fills ({percent(p.share)}) carry {percent(p.share_of_loss)} of the loss"
        if int((~chosen).sum()) < FEWEST_VALUES:
            return self._alone(p, chosen, carries)
        assert p.others is not None
        mean = float(self.markout @ self.weights / self.weights.sum())
        # both negative: the others lose less per unit than half of what all do
        fits = p.share_of_loss >= MOST and p.others.mean >= HALF * mean
        if not fits and p.difference is not None and p.difference.high is not None and not p.difference.is_negative:
            return DOES_NOT_MATTER, f"{carries}, but lose no more per unit than the others"
        if p.difference is None or not p.difference.is_negative or not p.own.is_negative:
            return PART, f"{carries}; too few to compare"
        if fits:
            return EXPLAINS, f"{carries}; the others lose little or nothing"
        return PART, f"{carries}; the others lose, too"

    def _alone(self, p: Pattern, chosen: Mask, carries: str) -> tuple[str, str]:
        """Nothing to compare with: then the loss must have been there when the fill happened, not come later."""
        at_fill = float((self.earned * self.weights)[chosen].sum())
        lost = float((self.markout * self.weights)[chosen].sum())
        assert p.own is not None
        if p.own.is_negative and at_fill <= MOST * lost:
            return EXPLAINS, f"{carries}, and the loss was there at the fill already"
        return PART, f"{carries}; there are no other fills to compare with"


def throttle_of(run: Run) -> Throttle:
    """The floor under the gaps between submits of one side, and whether a quarter of them lie on it."""
    sent = run.orders.submit_ns != ABSENT
    by_side = (np.unique(run.orders.submit_ns[sent & (run.orders.side == side)]) for side in (1, -1))
    gaps = np.concatenate([np.diff(ns) for ns in by_side])
    if len(gaps) < FEWEST_VALUES:
        return Throttle(0, binds=False)
    floor = int(np.quantile(gaps, 0.05))
    on_it = float((gaps <= floor * 5 // 4).mean())
    return Throttle(floor, binds=floor > reaction_ns(run) and on_it >= LITTLE)


def _off_market(run: Run, done: Executions, mids: Mids) -> Mask:
    """Fills of quotes beyond the mid already a reaction time before, that were not sent that way."""
    if not len(mids):
        return np.zeros(len(done), dtype=np.bool_)
    long_ago = done.ns - reaction_ns(run)
    sent = np.where(done.has_age, done.submit_ns, done.ns)
    was_beyond = (done.beyond_doubled(mids.at(long_ago)) < 0) & (mids.place_at(long_ago) >= 0)
    was_fair = done.beyond_doubled(mids.at(sent)) >= 0
    return np.asarray(done.has_age & (long_ago >= sent) & was_beyond & was_fair)


def _old(done: Executions) -> Mask:
    return np.asarray(done.has_age & (done.age_ns > OLD_NS))


def _refired(run: Run, done: Executions) -> Mask:
    """Fills soon after one of the same side, of an order sent after that one (or nobody knows when)."""
    found = np.zeros(len(done), dtype=np.bool_)
    for side in (1, -1):
        rows = np.flatnonzero(done.side == side)
        before, after = rows[:-1], rows[1:]
        soon = done.ns[after] - done.ns[before] <= reaction_ns(run)
        anew = ~done.has_age[after] | (done.submit_ns[after] >= done.ns[before])
        found[after] = soon & anew
    return found


def same_side_gaps(done: Executions) -> Ints:
    """Times from a fill to the next one of its side."""
    return np.concatenate([np.diff(done.ns[done.side == side]) for side in (1, -1)])


def _unless_known(pattern: Pattern, missing: str) -> Pattern:
    """A pattern that hangs on submit times which are not there for all."""
    if pattern.answer in (EXPLAINS, PART):
        return pattern
    return replace(pattern, answer=UNKNOWN, because=missing)


def _stale_words(run: Run, done: Executions, mids: Mids, horizon_ns: int, count: int) -> str:
    if not done.has_age.any():
        return "no quote age is known"
    p5, median, p95 = (seconds(float(v)) for v in np.quantile(done.age_ns[done.has_age], (0.05, 0.5, 0.95)))
    ttl = "none" if run.rules.ttl_ns is None else seconds(run.rules.ttl_ns)
    ttl = ttl if run.rules.declares("ttl_ns") else "undeclared"
    what = (
        f"from quotes that stood beyond the mid for {seconds(reaction_ns(run))} or more"
        if mids.source == FROM_TOPS
        else f"from quotes older than {seconds(OLD_NS)}"
    )
    ages = f"quote age at fill p5 {p5}, median {median}, p95 {p95} (ttl {ttl})"
    return f"{ages}; {count:,} of {len(done):,} fills {what}{_older_half(done, mids, horizon_ns)}"


def _throttle_words(throttle: Throttle, count: int) -> str:
    if not throttle.floor_ns:
        return "quotes are sent without a minimum interval"
    word = "a floor" if throttle.binds else "no floor that binds"
    return f"gaps between submits of a side: p5 {seconds(throttle.floor_ns)}, {word}; {count:,} fills while held off"


def _refire_words(run: Run, done: Executions, count: int) -> str:
    gaps = same_side_gaps(done)
    if not len(gaps):
        return "no side was filled twice"
    window = seconds(reaction_ns(run))
    return (
        f"fill to the next of the same side: median {seconds(float(np.median(gaps)))}, "
        f"{percent(float((gaps < THOUGHT_NS).mean()))} under 1 s; {count:,} fills of a new order within {window}"
    )


def _older_half(done: Executions, mids: Mids, horizon_ns: int) -> str:
    """What the older half of the fills carries of the loss; empty where nothing is lost."""
    judged = inside(done, mids, horizon_ns) & done.has_age
    worth = doubled_markouts(done, mids, horizon_ns)[judged] * done.weights[judged]
    if not len(worth) or worth.sum() >= 0:
        return ""
    older = done.age_ns[judged] > np.median(done.age_ns[judged])
    return f"; the older half of the fills carries {percent(float(worth[older].sum() / worth.sum()))} of the loss"
