"""Three verdicts, and what a law says: a judgement with its findings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Verdict(Enum):
    """pass < unknown < fail; a law of another rule is not applicable, which is below all."""

    NOT_APPLICABLE = "not applicable"
    PASS = "pass"  # noqa: S105 - a verdict, not a password
    UNKNOWN = "unknown"
    FAIL = "fail"

    @property
    def rank(self) -> int:
        """The place in the order of severity."""
        return list(Verdict).index(self)

    @staticmethod
    def worst(verdicts: Iterable[Verdict]) -> Verdict:
        """The most severe one; not applicable where there is none."""
        return max(verdicts, key=lambda v: v.rank, default=Verdict.NOT_APPLICABLE)


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken row: where it stands, what is wrong, and the contradiction in prose."""

    law: str
    table: str
    file: str
    row: int | None
    message: str
    story: str

    def __str__(self) -> str:
        return f"{self.message}\n{self.story}"


@dataclass(frozen=True, slots=True)
class Modelled:
    """Deviations of one ``kind`` that the declared profile documents: how many, and where."""

    kind: str
    count: int
    source: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one law says of one run. ``findings`` may be capped; the counts never are.

    ``judged``: rows decided; ``failed``: of these, broken; ``undecided``: rows that could not be
    decided, for ``reason``; ``by_model``: deviations that the declared profile documents, by kind
    in ``modelled``.
    """

    law: str
    verdict: Verdict
    judged: int = 0
    failed: int = 0
    undecided: int = 0
    by_model: int = 0
    reason: str = ""
    findings: tuple[Finding, ...] = ()
    modelled: tuple[Modelled, ...] = ()


class LawBroken(AssertionError):
    """A law does not hold. Every law has a subclass of its own, so that bugs are told apart."""

    def __init__(self, judgement: Judgement) -> None:
        self.judgement = judgement
        lines = [f"{judgement.law}: {judgement.failed} of {judgement.judged} rows are broken"]
        lines += [str(finding) for finding in judgement.findings[:3]]
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[Any, ...]:
        # workers send errors home; the class of a law is made when it is asked for, and found by the law's name
        return _rebuild, (self.judgement, type(self) is LawBroken), self.__dict__


def _rebuild(judgement: Judgement, is_plain: bool) -> LawBroken:
    from invariants.laws import LAWS  # noqa: PLC0415 - a law depends on this module

    kinds = [LawBroken] if is_plain else [law.error for law in LAWS if law.name == judgement.law]
    return (kinds or [LawBroken])[0](judgement)
