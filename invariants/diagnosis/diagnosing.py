"""``diagnose``: from a run to a verdict with its tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from invariants.auditing import Report, audit
from invariants.diagnosis.bracket import Bracket, bracket_of
from invariants.diagnosis.executions import Executions, executions_of
from invariants.diagnosis.markouts import Markout, markouts_of
from invariants.diagnosis.mids import FROM_TRADES, Mids, mids_of
from invariants.diagnosis.patterns import EXPLAINS, PART, Pattern, fill_patterns, off_market_together, reaction_ns
from invariants.diagnosis.pnl import Pnl, pnl_of
from invariants.diagnosis.sanity import Sanity, sanity_of
from invariants.diagnosis.scaling import Scaling, scaling_of
from invariants.diagnosis.stuck import AtCap, at_cap_of, stuck_pattern, unknown_cap
from invariants.diagnosis.verdict import Conclusion, conclude
from invariants.diagnosis.words import percent, seconds
from simcore import InputError
from simcore.run import Run

HORIZONS_S = (5.0, 30.0, 60.0, 300.0)
REFERENCE_S = 30.0
LONGEST_S = 1e9


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """Who lost the money in ``run``, and everything that says so.

    ``markouts`` has a row a horizon, ``reference_ns`` is the one that decides, and up to ``settled_ns``
    what a fill makes is the fill's, beyond it the inventory's. ``pnl``, ``sanity`` and
    ``at_cap`` are None where there is nothing to compute them from. ``notes`` say what to keep in mind.
    """

    run: Run
    report: Report
    conclusion: Conclusion
    mid_source: str
    reference_ns: int
    settled_ns: int
    markouts: tuple[Markout, ...]
    book_half_spread_ticks: float | None
    pnl: Pnl | None
    sanity: Sanity | None
    at_cap: AtCap | None
    patterns: tuple[Pattern, ...]
    bracket: Bracket | None
    scaling: Scaling | None
    notes: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """A, B, C or undecided."""
        return self.conclusion.verdict

    @property
    def exit_code(self) -> int:
        """0 no law is broken, 1 one is (B), 3 there was nothing to judge."""
        if self.verdict == "B":
            return 1
        return 3 if self.report.nothing_judged or not self.markouts else 0

    def reference(self) -> Markout | None:
        """The row of ``markouts`` that decides."""
        return next((m for m in self.markouts if m.horizon_ns == self.reference_ns), None)


def diagnose(
    run: Run,
    *,
    horizons_s: Sequence[float] = HORIZONS_S,
    bracket: bool = True,
    long_days: float | None = None,
    long_pnl: float | None = None,
    long_fills: float | None = None,
    report: Report | None = None,
) -> Diagnosis:
    """Diagnose ``run``.

    ``horizons_s``: seconds; of these 30 decides, or else the nearest. ``bracket``: also fill the same
    actions under other rules. ``long_days`` scales the run to that many days, against the result
    (currency) and fills given for them. ``report``: the run's audit, where it is there already.
    Raises ``InputError`` for a horizon or a number of days that is none.
    """
    horizons_ns = tuple(sorted({_ns(h) for h in horizons_s}))
    if not horizons_ns:
        raise InputError(file="diagnosis", field="horizons", got="none", wanted="at least one")
    _check_long(long_days, long_pnl, long_fills)
    reference_ns = min(horizons_ns, key=lambda ns: abs(ns - _ns(REFERENCE_S)))
    judged = audit(run) if report is None else report
    mids = mids_of(run)
    if not len(run.fills) or not len(mids):
        return Diagnosis(
            run, judged, conclude(run, judged, None, None, None, ()), mids.source, reference_ns, reference_ns,
            (), None, None, None, None, (), None, None, (),
        )  # fmt: skip
    done = executions_of(run, mids)
    markouts = markouts_of(done, mids, horizons_ns, run.instrument.tick_size, reaction_ns(run))
    reference = next(m for m in markouts if m.horizon_ns == reference_ns)
    settled_ns = _settled(mids, horizons_ns, reference_ns)
    pnl, settled = pnl_of(run, done, mids, reference_ns), pnl_of(run, done, mids, settled_ns)
    at_cap = at_cap_of(run, done, mids, settled_ns)
    patterns = _patterns(run, done, mids, reference_ns, at_cap, pnl)
    return Diagnosis(
        run=run,
        report=judged,
        conclusion=conclude(run, judged, reference, pnl, settled, patterns),
        mid_source=mids.source,
        reference_ns=reference_ns,
        settled_ns=settled_ns,
        markouts=markouts,
        book_half_spread_ticks=_book_half_spread(done, mids),
        pnl=pnl,
        sanity=sanity_of(run, done, mids),
        at_cap=at_cap,
        patterns=patterns,
        bracket=bracket_of(run, mids, reference_ns) if bracket else None,
        scaling=None if long_days is None else scaling_of(run, done, mids, pnl, long_days, long_pnl, long_fills),
        notes=tuple(_notes(run, done, mids, pnl, reference)),
    )


def _ns(seconds_: float) -> int:
    if not isfinite(seconds_) or not 0 < seconds_ <= LONGEST_S:
        raise InputError(file="diagnosis", field="horizons", got=seconds_, wanted="seconds above 0, up to 1e9")
    return max(1, round(seconds_ * 1e9))


def _settled(mids: Mids, horizons_ns: Sequence[int], reference_ns: int) -> int:
    """The longest horizon within a tenth of the tape: a slow market needs long to show what a taker knew."""
    span_ns = mids.end_ns - int(mids.ns[0])
    return max([reference_ns, *(ns for ns in horizons_ns if ns <= span_ns // 10)])


def _check_long(days: float | None, pnl: float | None, fills: float | None) -> None:
    """The figures of the longer period are numbers, whatever they are held against."""
    if days is not None and not (isfinite(days) and days > 0):
        raise InputError(file="diagnosis", field="long_days", got=days, wanted="a number of days above 0")
    if pnl is not None and not isfinite(pnl):
        raise InputError(file="diagnosis", field="long_pnl", got=pnl, wanted="a finite number")
    if fills is not None and not (isfinite(fills) and fills >= 0):
        raise InputError(file="diagnosis", field="long_fills", got=fills, wanted="a number of fills from 0 on")


def _patterns(
    run: Run, done: Executions, mids: Mids, horizon_ns: int, at_cap: AtCap | None, pnl: Pnl
) -> tuple[Pattern, ...]:
    """The patterns of the fills, and that of the position."""
    found = fill_patterns(run, done, mids, horizon_ns)
    stale, throttled = found[:2]
    if PART in (stale.answer, throttled.answer) and EXPLAINS not in (stale.answer, throttled.answer):
        together = off_market_together(run, done, mids, horizon_ns)
        found = (*found, together) if together.answer == EXPLAINS else found
    dials = ("position_cap_lots", "initial_position_lots")
    missing = [dial for dial in dials if not run.rules.declares(dial)]
    cap = unknown_cap(f"undeclared: {', '.join(missing)}") if missing else stuck_pattern(at_cap, done, pnl)
    return (*found, cap)


def _book_half_spread(done: Executions, mids: Mids) -> float | None:
    """Mean half-spread of the book that stood before the fills, per unit, in ticks."""
    if mids.spread_ticks is None or not (done.weights * done.has_mid).sum():
        return None
    place = mids.place_before(done.ns)[done.has_mid]
    weights = done.weights[done.has_mid]
    return float(mids.spread_ticks[place] @ weights / weights.sum()) / 2


def _notes(run: Run, done: Executions, mids: Mids, pnl: Pnl, reference: Markout) -> list[str]:
    """What a reader must keep in mind."""
    notes = []
    if mids.source == FROM_TRADES:
        notes.append(
            "No tops of book: the mid is taken from trades, half-way between the last price bought and the last sold. "
            f"In {percent(reference.unmoved)} of the fills no trade followed within {seconds(reference.horizon_ns)}."
        )
    wide = int((done.ns_to > done.ns).sum())
    if wide:
        notes.append(f"Fills of which only an interval is known (the mid before it, the horizon after it): {wide:,}.")
    if pnl.unpriced:
        notes.append(f"Fills before the first mid (valued at it in the result, in no markout): {pnl.unpriced:,}.")
    if pnl.no_fee:
        notes.append(f"Fills without a fee, in a run that declares no rate (taken as zero): {pnl.no_fee:,}.")
    if not run.rules.declares("initial_position_lots"):
        notes.append("The initial position is not declared: taken as zero.")
    beyond = reference.beyond_tape
    if beyond:
        after = seconds(reference.horizon_ns)
        notes.append(f"Fills nearer than {after} to the end of the tape (in no markout): {beyond:,}.")
    return notes
