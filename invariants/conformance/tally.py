"""What one test of the suite counted; plain values, so that it travels from worker to controller."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Self

from invariants.verdict import Judgement, Verdict

ANSWERS = "simulator_answers"
"""The name under which a crash, a hang or a malformed answer is listed."""


class Kept(NamedTuple):
    """Where a case file is; or nothing, and why there is none."""

    path: str
    why_not: str = ""


@dataclass
class Tally:
    """Counts of one law, relation, or other test.

    ``scenarios`` were drawn; in ``exercised`` of them the precondition held, with ``judged`` rows
    decided and ``undecided`` not; ``unanswered`` got no answer (``failure`` is the first one's words).
    ``cut_short`` says why a complete enumeration is none, ``case_not_kept`` why there is no case file.
    """

    name: str
    kind: str
    verdict: str = Verdict.UNKNOWN.value
    reason: str = ""
    scenarios: int = 0
    exercised: int = 0
    judged: int = 0
    undecided: int = 0
    crashed: int = 0
    unanswered: int = 0
    failure: str = ""
    cut_short: str = ""
    message: str = ""
    case: str = ""
    case_not_kept: str = ""
    seconds: float = 0.0
    features: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def where(self) -> str:
        """The case file, or why there is none."""
        return f"not kept, {self.case_not_kept}" if self.case_not_kept else self.case

    def keep(self, kept: Kept) -> None:
        """Note where the case is."""
        self.case, self.case_not_kept = kept

    def count(self, features: Iterable[str]) -> None:
        """One more scenario was drawn."""
        self.scenarios += 1
        self.features.update(features)

    def add(self, judgement: Judgement) -> bool:
        """Count what a law says; True when it is broken."""
        self.judged += judgement.judged
        self.undecided += judgement.undecided
        self.exercised += judgement.judged > 0
        self.crashed += judgement.reason.startswith("the law crashed")
        if judgement.reason:
            self.reasons[f"{judgement.verdict.value}: {judgement.reason}"] += 1
        return judgement.verdict is Verdict.FAIL

    @property
    def is_elsewhere(self) -> bool:
        """Whether the law or relation applied to nothing that was answered."""
        answered = self.scenarios - self.unanswered
        elsewhere = sum(n for reason, n in self.reasons.items() if reason.startswith(Verdict.NOT_APPLICABLE.value))
        return 0 < answered == elsewhere

    def conclude(self) -> None:
        """The verdict of a test that broke nothing, with its reason."""
        most = next((reason.partition(": ")[2] for reason, _ in self.reasons.most_common(1)), "no scenario was drawn")
        if self.is_elsewhere:
            self._say(Verdict.NOT_APPLICABLE, most)
        elif self.kind == "exhaustive" and not self.scenarios:
            self._say(Verdict.NOT_APPLICABLE, "this shard of a small world is empty")
        elif self.unanswered:
            self._say(Verdict.UNKNOWN, f"{self.unanswered} of {self.scenarios} scenarios got no answer: {self.failure}")
        elif self.cut_short:
            self._say(Verdict.UNKNOWN, f"stopped after {self.scenarios} scenarios: {self.cut_short}")
        elif self.crashed:
            crash = next(reason for reason in self.reasons if "the law crashed" in reason)
            self._say(Verdict.UNKNOWN, crash.partition(": ")[2])
        elif not self.exercised:
            self._say(Verdict.UNKNOWN, f"never exercised in {self.scenarios} scenarios ({most})")
        else:
            undecided = f"{self.undecided} rows undecided" if self.undecided else ""
            self._say(Verdict.PASS, undecided)

    def fail(self, message: str) -> None:
        """The verdict of a test that broke."""
        self.verdict, self.message = Verdict.FAIL.value, message

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "features": dict(self.features), "reasons": dict(self.reasons)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Back from ``to_dict``."""
        counters = {name: Counter(values[name]) for name in ("features", "reasons")}
        return cls(**{**values, **counters})

    def _say(self, verdict: Verdict, reason: str) -> None:
        self.verdict, self.reason = verdict.value, reason
