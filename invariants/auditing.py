"""The audit: every law over one run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from invariants.laws import KINDS, LAWS, laws_of
from invariants.laws.catalogue import MAX_FINDINGS, Law
from invariants.laws.justification import REASONS, reasons
from invariants.laws.totals import FIGURES
from invariants.missed import Missed, missed_crossings
from invariants.smells import Smell, smells
from invariants.verdict import Judgement, LawBroken, Verdict
from simcore.errors import InputError
from simcore.frames import UNJUDGED
from simcore.run import Run

if TYPE_CHECKING:
    import pandas as pd


class RunBroken(LawBroken):
    """Some law of an audited run does not hold; carries the report."""

    def __init__(self, report: Report) -> None:
        broken = [j for j in report.judgements if j.verdict is Verdict.FAIL]
        super().__init__(broken[0])
        self.report = report
        self.args = ("\n".join(str(LawBroken(judgement)) for judgement in broken),)

    def __reduce__(self) -> tuple[Any, ...]:
        return RunBroken, (self.report,), self.__dict__


@dataclass(frozen=True, eq=False)
class Report:
    """What every law said of a run. ``verdict`` is the most severe of theirs.

    ``justification`` counts the fills by the best reason that the tape gives for each, best first.
    """

    run: Run
    judgements: tuple[Judgement, ...]
    smells: tuple[Smell, ...]
    justification: tuple[tuple[str, int], ...] = ()
    missed: tuple[Missed, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Pass < unknown < fail; laws that do not apply have no say."""
        worst = Verdict.worst(j.verdict for j in self.judgements)
        return Verdict.UNKNOWN if worst is Verdict.NOT_APPLICABLE else worst

    @property
    def nothing_judged(self) -> bool:
        """Whether no law could judge a single row."""
        return not any(j.judged for j in self.judgements)

    def __getitem__(self, law: str) -> Judgement:
        return {j.law: j for j in self.judgements}[law]

    def only(self, laws: Sequence[Law]) -> Report:
        """The report of these laws alone, without counts and statistics of the run."""
        names = [law.name for law in laws]
        return Report(self.run, tuple(j for j in self.judgements if j.law in names), ())

    def exit_code(self, *, strict: bool = False) -> int:
        """0 all laws that apply hold, 1 one is broken, 3 nothing judged (or any unknown, if strict)."""
        if self.verdict is Verdict.FAIL:
            return 1
        return 3 if self.nothing_judged or (strict and self.verdict is Verdict.UNKNOWN) else 0

    def raise_for_verdict(self, *, strict: bool = False) -> None:
        """Raise ``RunBroken`` if a law is broken; ``LookupError`` if none judged a row, or (strict) one is unknown."""
        if self.verdict is Verdict.FAIL:
            raise RunBroken(self)
        if self.exit_code(strict=strict):
            unknown = [j.law for j in self.judgements if j.verdict is Verdict.UNKNOWN]
            raise LookupError(f"could not be judged: {', '.join(unknown)}")

    def to_dict(self) -> dict[str, Any]:
        """The report as ``fillproof-report/1``."""
        from invariants.report.as_json import report_dict  # noqa: PLC0415 - a report depends on this module

        return report_dict(self)

    def to_frame(self) -> pd.DataFrame:
        """One row per law."""
        from invariants.report.as_html import report_frame  # noqa: PLC0415 - a report depends on this module

        return report_frame(self)

    def _repr_html_(self) -> str:
        from invariants.report.as_html import report_html  # noqa: PLC0415 - a report depends on this module

        return report_html(self)


def audit(run: Run, *, laws: Iterable[Law | str] = LAWS, max_findings: int = MAX_FINDINGS) -> Report:
    """Judge ``run`` by every law, or by these ``laws``. At most ``max_findings`` are worded per law; counts are exact.

    Raises ``InputError`` for a law that is not in the catalogue, and for rules that document a deviation, or a
    reported total, of which no law knows.
    """
    check_names(run)
    judgements = tuple(law.judge(run, max_findings=max_findings) for law in laws_of(laws))
    return Report(run, judgements, smells(run), _justification(run), missed_crossings(run))


def check_names(run: Run) -> None:
    """A deviation or total that no law knows is not excused, or held, and would only look so. Raises ``InputError``."""
    known = sorted(f"{law}.{kind}" for law, kinds in KINDS.items() for kind in kinds)
    for name in run.rules.documented:
        if name not in known:
            raise InputError(file="rules", field="documented", got=name, wanted=f"one of {', '.join(known)}")
    for name in run.reported:
        if name not in FIGURES and not name.startswith(UNJUDGED):
            raise InputError(file="reported", field=name, got=run.reported[name], wanted=f"one of {', '.join(FIGURES)}")


def _justification(run: Run) -> tuple[tuple[str, int], ...]:
    if not run.has_tape or not run.is_tape_ordered or not len(run.fills):
        return ()
    found = reasons(run)
    return tuple((reason, int((found == reason).sum())) for reason in REASONS)
