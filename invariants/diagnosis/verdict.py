"""Who lost the money: B the simulator, C the strategy's logic, A adverse selection, or undecided.

1. **B** if any law is broken; then nothing else is concluded.
2. A and C need the court behind them: the laws that tell a right simulator (``CORE``) must hold, not
   only be unbroken. Otherwise the answer is *undecided*, and says what it leans to.
3. **C** if a pattern explains the loss (``patterns`` and ``stuck`` say when).
4. **A** if, at the reference horizon, the drift is against us and exceeds the half-spread, each with an
   interval that excludes zero, no pattern is part of the loss or unknown, and the fills carry at least a
   quarter of what trading lost (if it lost), by then or by the longest horizon in a tenth of the tape.
5. **undecided** otherwise; *no loss* is one of its reasons. Where the mid went against a quote before the
   fill, while it could not be moved any more, it leans to A: that may be the taker's doing, or the feed's
   (a book that is published before its trades).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from invariants.auditing import Report
from invariants.diagnosis.markouts import Markout
from invariants.diagnosis.patterns import DOES_NOT_MATTER, EXPLAINS, LITTLE, MOST, PART, UNKNOWN, Pattern
from invariants.diagnosis.pnl import Pnl
from invariants.diagnosis.stuck import NAME as STUCK
from invariants.diagnosis.words import Words, bps, doubled, percent, seconds
from invariants.verdict import Finding, Verdict
from simcore.run import Run

A, B, C, UNDECIDED = "A", "B", "C", "undecided"
TITLES = {A: "adverse selection", B: "simulator", C: "strategy logic", UNDECIDED: "undecided"}
CORE = ("fills_have_trades", "fill_respects_limit", "crossed_orders_fill")
"""A simulator that fills without trades, at better prices, or not where it should, can fake any loss."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The verdict, in a few words why (``cause``), in a sentence (``reason``), and what a person would quote.

    ``leans``: the verdict that would stand if the laws that are unknown held; else empty.
    """

    verdict: str
    cause: str
    reason: str
    evidence: tuple[str, ...] = ()
    leans: str = ""


def conclude(
    run: Run, report: Report, markout: Markout | None, pnl: Pnl | None, settled: Pnl | None, patterns: Sequence[Pattern]
) -> Conclusion:
    """The verdict; None where there are no mids or no fills.

    ``markout`` and ``pnl`` are of the reference horizon, ``settled`` is split at the one that says what the
    fills made.
    """
    broken = [j for j in report.judgements if j.verdict is Verdict.FAIL]
    if broken:
        told = [f"{j.law}: {j.failed:,} of {j.judged:,} rows" for j in broken]
        told += [f"{_place(f)}: {f.message}" for j in broken for f in j.findings[:1]]
        laws = f"{len(broken)} law{'s are' if len(broken) > 1 else ' is'} broken"
        return Conclusion(B, "a law is broken", f"{laws}; nothing else is concluded from such fills", tuple(told))
    if not len(run.fills):
        return Conclusion(UNDECIDED, "no fills", "there are no fills to judge")
    if markout is None or pnl is None or settled is None:
        return Conclusion(UNDECIDED, "no mid", "there is no tape: without a mid no fill can be valued")
    case = _Case(run, markout, pnl, settled, patterns)
    found = case.conclude()
    unproven = [j for j in report.judgements if j.law in CORE and j.verdict is not Verdict.PASS]
    if found.verdict == UNDECIDED or not unproven:
        return found
    laws = ", ".join(f"{j.law} ({j.reason})" if j.reason else j.law for j in unproven)
    reason = f"a fault of the simulator is not excluded: {laws}; if it were: {found.verdict}, since {found.reason}"
    return Conclusion(UNDECIDED, "laws unknown", reason, found.evidence, leans=found.verdict)


def _place(finding: Finding) -> str:
    """Where it stands; a reported figure stands in no row."""
    file = finding.file or finding.table
    return file if finding.row is None else f"{file} row {finding.row}"


class _Case:
    """The evidence about a run whose laws are not broken."""

    def __init__(self, run: Run, markout: Markout, pnl: Pnl, settled: Pnl, patterns: Sequence[Pattern]) -> None:
        self.words = Words(run.instrument)
        self.markout, self.pnl, self.settled, self.patterns = markout, pnl, settled, patterns

    def conclude(self) -> Conclusion:
        guilty = self._guilty()
        if guilty:
            cause = " and ".join(p.name for p in guilty)
            evidence = (*self._pattern_lines(), *self._markout_lines(), *self._money_lines())
            return Conclusion(C, cause, f"{cause}: {guilty[0].because}{self._the_rest(guilty[0])}", evidence)
        suspects = [p for p in self.patterns if p.answer in (PART, UNKNOWN)]
        evidence = (*self._markout_lines(), *self._money_lines(), *self._pattern_lines())
        adverse = self._adverse()
        if adverse and suspects:
            told = "; ".join(f"{p.name}: {p.because}" for p in suspects)
            return Conclusion(UNDECIDED, "mixed", f"{adverse}; but {told}", evidence, leans=A)
        if adverse and self._share_of_loss() < LITTLE:
            share = percent(self._share_of_loss())
            cause = "mostly fees" if self.pnl.fees > self._by_inventory() else "mostly inventory"
            reason = f"{adverse}; but that is {share} of what trading lost{self._elsewhere()}"
            return Conclusion(UNDECIDED, cause, reason, evidence)
        if adverse:
            return Conclusion(A, "adverse selection", adverse + self._all_the_same(), evidence)
        before = "" if suspects else self._moved_before()
        if before:
            return Conclusion(UNDECIDED, "moved before the fill", before, evidence, leans=A)
        return Conclusion(UNDECIDED, *self._why_not(suspects), evidence)

    def _guilty(self) -> list[Pattern]:
        found = [p for p in self.patterns if p.answer == EXPLAINS]
        return sorted(found, key=lambda p: -(p.share_of_loss or 0.0))

    def _the_rest(self, guilty: Pattern) -> str:
        """A pattern of fills explains what the fills lost: said where that is little of what trading lost."""
        share = self._share_of_loss()
        if guilty.name == STUCK or share >= LITTLE:
            return self._all_the_same()
        return f"; all fills lost {percent(max(share, 0.0))} of what trading did{self._elsewhere()}"

    def _all_the_same(self) -> str:
        """Fills can lose by the horizon while the position that they leave earns more than that."""
        return f"; all the same, trading made {self.words.money(self.pnl.trading)}" if self.pnl.trading > 0 else ""

    def _by_inventory(self) -> Decimal:
        """What the position of the fills lost beyond the horizon; below zero where it gained."""
        return -doubled(self.pnl.inventory_of_fills)

    def _elsewhere(self) -> str:
        """Where else money was lost, the most first; empty where nowhere."""
        parts = sorted(((self._by_inventory(), "the inventory"), (self.pnl.fees, "fees")), reverse=True)
        told = " and ".join(f"{name} made {self.words.money(-lost)}" for lost, name in parts if lost > 0)
        return f"; {told}" if told else ""

    def _adverse(self) -> str:
        """Why this is adverse selection; empty where it is not."""
        m, w = self.markout, self.words
        if m.combined is None or m.drift is None or m.half_spread is None:
            return ""
        if not (m.combined.is_negative and m.drift.is_negative and m.half_spread.mean > 0):
            return ""
        lost = f"{w.estimate(m.combined)} per unit ({bps(m.bps)} bps)"
        return (
            f"the fills earn {w.distance(m.half_spread.mean)} of half-spread per unit, then the mid goes "
            f"{w.distance(m.drift.mean)} against them within {seconds(m.horizon_ns)}: {lost}"
        )

    def _moved_before(self) -> str:
        """How the mid went against the quotes while they could not be moved; empty where it did not."""
        m, w = self.markout, self.words
        if m.combined is None or m.half_spread is None or not m.combined.is_negative:
            return ""
        if m.last_say is None or m.after_it is None or m.last_say.mean <= 0 or not m.after_it.is_negative:
            return ""
        return (
            f"the quotes were {w.distance(m.last_say.mean)} per unit from the mid when they could last be moved; "
            f"{seconds(m.horizon_ns)} after the fill the mid has gone {w.distance(m.after_it.mean)} against them, "
            f"{w.distance(m.last_say.mean - m.half_spread.mean)} of it before the fill"
        )

    def _share_of_loss(self) -> float:
        """The most that the fills lost of what trading lost, by then or settled; one where it did not lose."""
        trading = self.pnl.trading
        return max(float(doubled(p.of_fills) / trading) for p in (self.pnl, self.settled)) if trading < 0 else 1.0

    def _why_not(self, suspects: Sequence[Pattern]) -> tuple[str, str]:  # noqa: PLR0911 - one return a reason
        m, w = self.markout, self.words
        if suspects and self.pnl.total < 0 and any(p.answer == PART for p in suspects):
            return "mixed", "; ".join(f"{p.name}: {p.because}" for p in suspects)
        if m.combined is None:
            return "too few fills", f"no fill has a mid {seconds(m.horizon_ns)} later: the tape is too short"
        if m.combined.low is None:
            told = f"{m.combined.count:,} fills are too few, or too close together, for an interval"
            return ("no loss" if self.pnl.total >= 0 else "too few fills"), told
        told = f"the markout after {seconds(m.horizon_ns)} is {w.estimate(m.combined)} per unit"
        if self.pnl.trading >= 0 > self.pnl.total:
            return "no loss by trading", f"{told}; the initial position alone lost more than the whole run"
        if self.pnl.trading >= 0:
            return "no loss", f"nothing was lost: trading made {w.money(self.pnl.trading)}; {told}"
        if self.pnl.total >= 0 and not m.combined.is_negative:
            return "no loss", f"nothing was lost; {told}"
        if m.combined.is_negative:
            given = f"the quotes were {w.estimate(m.last_say)} from the mid when they could last be moved"
            return "loss at the fill", f"{told}, but the drift is {w.estimate(m.drift)}, and {given}"
        cause = "mostly fees" if float(self.pnl.fees) >= MOST * float(-self.pnl.trading) else "within noise"
        return cause, f"{told}: the fills do not lose, or not enough to tell{self._elsewhere()}"

    def _markout_lines(self) -> Iterator[str]:
        m, w = self.markout, self.words
        after = seconds(m.horizon_ns)
        yield f"markout {after}: {w.estimate(m.combined)} per unit, {bps(m.bps)} bps, {m.judged:,} fills"
        yield f"BUY {w.estimate(m.buy)}, SELL {w.estimate(m.sell)}"
        yield f"half-spread earned at the fill {w.estimate(m.half_spread)}, drift after it {w.estimate(m.drift)}"
        yield f"distance from the mid when the quotes could last be moved {w.estimate(m.last_say)}"

    def _money_lines(self) -> Iterator[str]:
        p, w = self.pnl, self.words
        made = doubled(self.settled.of_fills)
        yield f"up to {seconds(self.settled.horizon_ns)} after each the fills made {w.money(made)}"
        yield (
            f"result {w.money(p.total)} = spread {w.money(doubled(p.spread))}, drift {w.money(doubled(p.drift))}, "
            f"inventory {w.money(doubled(p.inventory))}, fees {w.money(-p.fees)}; {w.money(p.trading)} "
            f"without what the initial position alone made"
        )

    def _pattern_lines(self) -> Iterator[str]:
        """The patterns that matter, with their figures; the others in one line."""
        for p in self.patterns:
            if p.answer != DOES_NOT_MATTER:
                yield f"{p.name}: {p.answer}; {p.because}" + (f" ({p.figures})" if p.figures else "")
        idle = [f"{p.name} ({p.because})" for p in self.patterns if p.answer == DOES_NOT_MATTER]
        if idle:
            yield f"not the problem: {'; '.join(idle)}"
