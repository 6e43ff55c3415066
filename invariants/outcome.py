"""From reports to an exit code: one run or many, with or without a baseline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from invariants.verdict import Verdict

if TYPE_CHECKING:
    from invariants.auditing import Report
    from invariants.verdict import Judgement


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


def exit_code(report: Report, baseline: Mapping[str, Any] | None = None, *, strict: bool = False) -> Exit:
    """The code of one report; laws broken exactly as ``baseline`` knows them do not count as broken."""
    if set(broken(report)) - set(known(report, baseline)):
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
    before = {law["law"]: law for law in baseline["laws"]}
    return [j.law for j in report.judgements if j.verdict is Verdict.FAIL and _is_known(j, before.get(j.law))]


def _is_known(judgement: Judgement, before: Mapping[str, Any] | None) -> bool:
    """A list that is capped could hide a new finding: then its count must not have moved."""
    if before is None:
        return False
    listed = {(f["table"], f["row"], f["message"]) for f in before["findings"]}
    same = all((f.table, f.row, f.message) in listed for f in judgement.findings)
    return same and (len(judgement.findings) == judgement.failed or judgement.failed == before["failed"])
