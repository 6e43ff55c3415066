"""From reports to an exit code: one run or many, with or without a baseline and waivers."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from invariants.verdict import Verdict
from invariants.waivers import Seen, Waiver, waived

if TYPE_CHECKING:
    from invariants.auditing import Report
    from invariants.verdict import Finding, Judgement


class Exit(IntEnum):
    """Exit codes, everywhere."""

    HOLDS = 0
    BROKEN = 1
    INPUT = 2
    UNJUDGED = 3


_SEVERITY = (Exit.HOLDS, Exit.UNJUDGED, Exit.BROKEN, Exit.INPUT)


def worst(codes: Iterable[int]) -> Exit:
    """The code of several runs: wrong input, then a broken law, then nothing judged."""
    return max((Exit(code) for code in codes), key=_SEVERITY.index, default=Exit.HOLDS)


@dataclass(frozen=True, eq=False)
class Outcome:
    """A report held against a policy.

    ``before`` is the baseline (a report as ``read_report`` gives it), ``known`` the broken laws all of
    whose findings stand in it, ``waived`` the broken laws that a waiver excuses; None where no waivers
    were given.
    """

    path: str
    report: Report
    code: Exit
    known: tuple[str, ...] = ()
    waived: Mapping[str, Waiver] | None = None
    before: Mapping[str, Any] | None = None

    @property
    def words(self) -> str:
        """What the exit code says of this run: 3 may be that of a strict policy alone."""
        why_not = "nothing judged" if self.report.nothing_judged else "a law stayed unknown"
        return {Exit.HOLDS: "holds", Exit.BROKEN: "a law is broken"}.get(self.code, why_not)

    @property
    def seen(self) -> Seen:
        """What the waivers need to know of the run."""
        return _seen(self.path, self.report)

    def excuse(self, law: str) -> Waiver | None:
        """The waiver that excuses ``law`` in this run."""
        return None if self.waived is None else self.waived.get(law)

    def are_new(self, judgement: Judgement) -> tuple[bool, ...]:
        """For each finding, whether the baseline does not know it; without a baseline every one is new."""
        if judgement.law in self.known:
            return (False,) * len(judgement.findings)
        listed = _places({} if self.before is None else _by_law(self.before).get(judgement.law))
        return tuple(_place(finding) not in listed for finding in judgement.findings)

    def lines(self) -> Iterator[str]:
        """What is said below the report: which broken laws do not count, and why."""
        for law in self.known:
            yield f"{law}: broken as the baseline knows it"
        for law, waiver in (self.waived or {}).items():
            yield f"{law}: waived until {waiver.expires} (failed = {waiver.failed}): {waiver.reason}"


@dataclass(frozen=True)
class Policy:
    """What a command was told about broken laws. ``on`` is today: the day on which waivers are looked at."""

    on: date
    waivers: tuple[Waiver, ...] | None = None
    strict: bool = False

    def outcome(self, path: str, report: Report, before: Mapping[str, Any] | None = None) -> Outcome:
        """``report`` of the run at ``path``, held against the policy and the baseline ``before``."""
        excused = None if self.waivers is None else waived(self.waivers, _seen(path, report), on=self.on)
        code = exit_code(report, before, strict=self.strict, excused=excused or {})
        return Outcome(path, report, code, tuple(known(report, before)), excused, before)


def exit_code(
    report: Report, baseline: Mapping[str, Any] | None = None, *, strict: bool = False, excused: Container[str] = ()
) -> Exit:
    """The code of one report.

    Laws broken exactly as ``baseline`` knows them do not count as broken, nor do ``excused`` ones.
    """
    if any(law not in excused for law in set(broken(report)) - set(known(report, baseline))):
        return Exit.BROKEN
    if report.nothing_judged or (strict and any(j.verdict is Verdict.UNKNOWN for j in report.judgements)):
        return Exit.UNJUDGED
    return Exit.HOLDS


def broken(report: Report) -> list[str]:
    """The names of the broken laws."""
    return [j.law for j in report.judgements if j.verdict is Verdict.FAIL]


def known(report: Report, baseline: Mapping[str, Any] | None) -> list[str]:
    """The broken laws all of whose findings stand in ``baseline`` (a report as ``read_report`` gives it)."""
    if baseline is None:
        return []
    before = _by_law(baseline)
    return [j.law for j in report.judgements if j.verdict is Verdict.FAIL and _is_known(j, before.get(j.law))]


def _is_known(judgement: Judgement, before: Mapping[str, Any] | None) -> bool:
    """A list that is capped could hide a new finding: then its count must not have moved."""
    if before is None:
        return False
    listed = _places(before)
    same = all(_place(finding) in listed for finding in judgement.findings)
    return same and (len(judgement.findings) == judgement.failed or judgement.failed == before["failed"])


def _seen(path: str, report: Report) -> Seen:
    return Seen(path, report.run.name, {j.law: j.failed for j in report.judgements if j.verdict is Verdict.FAIL})


def _by_law(baseline: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {law["law"]: law for law in baseline["laws"]}


def _places(law: Mapping[str, Any] | None) -> set[tuple[str, int | None, str]]:
    return {(f["table"], f["row"], f["message"]) for f in law["findings"]} if law else set()


def _place(finding: Finding) -> tuple[str, int | None, str]:
    return finding.table, finding.row, finding.message
