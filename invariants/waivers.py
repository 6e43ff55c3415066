"""Waivers: broken laws that somebody excused, for a reason, until a day, and exactly as broken as they were.

``waivers.toml``::

    [[waiver]]
    law = "latency_is_respected"
    scope = "desk-*"                  # glob over the run's name or path, or the simulator's name; default "*"
    reason = "ticket 812: the log stamps fills in microseconds"
    expires = 2027-03-31              # the day itself is still valid; days are UTC's
    failed = 3                        # an audit: the law fails on exactly so many rows
    # case = "cases/late.case.json"   # verify: this case, beside the waivers, must still fail

A waiver has ``failed`` or ``case``, never both: ``fillproof audit`` holds the former, ``fillproof
verify`` the latter, and each leaves the other's alone. A waived law stays broken in every report; it
only does not count in the exit code. A waiver that excuses nothing (expired, stale or unmatched)
fails the command that was given it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from pathlib import Path, PurePath
from typing import Any

from simcore import InputError
from simcore.rules import read_toml

ANSWERS = "simulator_answers"
"""The law of the conformance suite that is neither in the catalogue nor a relation."""

_KEYS = ("law", "scope", "reason", "expires", "failed", "case")


@dataclass(frozen=True, slots=True)
class Waiver:
    """One ``[[waiver]]``, the ``row``-th of ``file``. Exactly one of ``failed`` and ``case`` is set."""

    law: str
    reason: str
    expires: date
    scope: str = "*"
    failed: int | None = None
    case: Path | None = None
    file: str = "waivers.toml"
    row: int = 1

    def covers(self, *names: str) -> bool:
        """Whether one of ``names`` (of a run, of its path) is in the scope; ``./run`` is ``run`` in both."""
        plain = str(PurePath(self.scope))
        return any(fnmatchcase(name, self.scope) or fnmatchcase(str(PurePath(name)), plain) for name in names)

    def is_expired(self, on: date) -> bool:
        """Whether its last day is over."""
        return self.expires < on

    def __str__(self) -> str:
        return f"{self.file} waiver {self.row} ({self.law}, scope {self.scope!r})"


@dataclass(frozen=True, slots=True)
class Seen:
    """What an audited run showed: its path, its name, and of each broken law how many rows failed."""

    path: str
    name: str
    failed: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Complaint:
    """A waiver that did not do its work: ``word`` is expired, stale or unmatched."""

    waiver: Waiver
    word: str
    why: str

    def __str__(self) -> str:
        return f"{self.waiver}: {self.word}: {self.why}"


def today() -> date:
    """The day in UTC, the same on every machine."""
    return datetime.now(tz=UTC).date()


def read_waivers(path: str | Path) -> tuple[Waiver, ...]:
    """The waivers in a TOML file. Raises ``InputError`` for anything but well-formed ones."""
    file = str(path)
    values = read_toml(path)
    for key, value in values.items():
        if key != "waiver":
            raise InputError(file=file, field=key, got=value, wanted="nothing but tables [[waiver]]")
    listed = values.get("waiver", [])
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        raise InputError(file=file, field="waiver", got=listed, wanted="tables [[waiver]]")
    waivers = tuple(_waiver(item, file, row) for row, item in enumerate(listed, 1))
    _check_unique(waivers)
    return waivers


def of_laws(waivers: Iterable[Waiver], names: Collection[str]) -> tuple[Waiver, ...]:
    """Those of the laws ``names``, if only some are judged: of the others nobody knows how they are."""
    return tuple(waiver for waiver in waivers if not names or waiver.law in names)


def _waiver(values: Mapping[str, Any], file: str, row: int) -> Waiver:
    def refuse(field: str, wanted: str) -> InputError:
        got = values.get(field, "nothing")
        return InputError(file=file, row=row, field=f"waiver.{field}", got=got, wanted=wanted)

    for key in values:
        if key not in _KEYS:
            raise refuse(key, f"one of {', '.join(_KEYS)}")
    for key in ("law", "reason", *(k for k in ("scope", "case") if k in values)):
        if not isinstance(values.get(key), str) or not values[key].strip() or "\0" in values[key]:
            raise refuse(key, "a text that is not empty, without NUL")
    if type(values.get("expires")) is not date:  # a datetime is a date, too
        raise refuse("expires", "a day without quotes, like 2027-03-31")
    if ("failed" in values) == ("case" in values):
        raise refuse("failed", "exactly one of failed (a count of rows) and case (a file)")
    if "failed" in values and (type(values["failed"]) is not int or values["failed"] < 1):
        raise refuse("failed", "how many rows fail, at least 1")
    known = _laws(of_simulators="case" in values)
    if values["law"] not in known:
        raise refuse("law", f"one of {', '.join(known)}")
    case = Path(file).parent / values["case"] if "case" in values else None
    return Waiver(
        values["law"],
        values["reason"].strip(),
        values["expires"],
        values.get("scope", "*"),
        values.get("failed"),
        case,
        file,
        row,
    )


def _laws(*, of_simulators: bool) -> list[str]:
    from invariants.laws import LAWS  # noqa: PLC0415 - a command without waivers needs none of these

    if not of_simulators:
        return [law.name for law in LAWS]
    from invariants.relations import RELATIONS  # noqa: PLC0415 - same

    return [*(law.name for law in LAWS), *(relation.name for relation in RELATIONS), ANSWERS]


def _check_unique(waivers: Iterable[Waiver]) -> None:
    """Two pins of one law in one scope contradict each other, or one is superfluous."""
    seen: dict[tuple[Any, ...], int] = {}
    for waiver in waivers:
        key = (waiver.law, waiver.scope, waiver.case is None or waiver.case)
        if key in seen:
            got, wanted = f"{waiver.law} in {waiver.scope!r} again", f"another law or scope than in row {seen[key]}"
            raise InputError(file=waiver.file, row=waiver.row, field="waiver", got=got, wanted=wanted)
        seen[key] = waiver.row


def waived(waivers: Iterable[Waiver], run: Seen, *, on: date) -> dict[str, Waiver]:
    """The broken laws of ``run`` that a valid waiver excuses: exactly the pinned count of rows fails."""
    return {
        waiver.law: waiver
        for waiver in waivers
        if waiver.failed is not None
        and waiver.failed == run.failed.get(waiver.law)
        and waiver.covers(run.path, run.name)
        and not waiver.is_expired(on)
    }


def complaints(waivers: Iterable[Waiver], runs: Sequence[Seen], *, on: date) -> Iterator[Complaint]:
    """What is wrong with the waivers of row counts after an audit of ``runs``.

    A scope may take in runs that keep the law, but at least one must still break it, and every one that
    breaks it does so by the pinned count.
    """
    for waiver in waivers:
        if waiver.failed is None:
            continue
        if waiver.is_expired(on):
            yield _expired(waiver)
            continue
        covered = [run for run in runs if waiver.covers(run.path, run.name)]
        counts = {run.path: run.failed.get(waiver.law, 0) for run in covered}
        moved = {path: count for path, count in counts.items() if count not in (0, waiver.failed)}
        if not covered:
            yield Complaint(waiver, "unmatched", "no audited run has such a name or path")
        elif moved:
            told = ", ".join(f"{path} has {count:,}" for path, count in moved.items())
            yield Complaint(waiver, "stale", f"pinned to {waiver.failed:,} failing rows, but {told}")
        elif not any(counts.values()):
            told = ", ".join(counts)
            yield Complaint(waiver, "stale", f"pinned to {waiver.failed:,} failing rows, but none fails in {told}")


def _expired(waiver: Waiver) -> Complaint:
    return Complaint(waiver, "expired", f"its last day was {waiver.expires.isoformat()}")


def held_cases(
    waivers: Iterable[Waiver], simulator: str, still_failing: Callable[[Path, str], str], *, on: date
) -> tuple[dict[str, Waiver], list[Complaint]]:
    """The laws that pinned cases excuse for ``simulator``, and what is wrong with the other waivers.

    ``still_failing`` replays a case: how it fails, or nothing. Raises ``InputError`` for a case that
    cannot be read, or is another law's.
    """
    excused: dict[str, Waiver] = {}
    wrong: list[Complaint] = []
    for waiver in waivers:
        if waiver.case is None:
            continue
        _check_case(waiver, waiver.case)
        if waiver.is_expired(on):
            wrong.append(_expired(waiver))
        elif not waiver.covers(simulator):
            wrong.append(Complaint(waiver, "unmatched", f"the simulator is {simulator}"))
        elif not still_failing(waiver.case, simulator):
            wrong.append(Complaint(waiver, "stale", f"{waiver.case} does not fail any more"))
        else:
            excused[waiver.law] = waiver
    return excused, wrong


def _check_case(waiver: Waiver, path: Path) -> None:
    from invariants.cases import read_case  # noqa: PLC0415 - an audit reads no case

    law = read_case(path).law
    if law != waiver.law:
        raise InputError(
            file=waiver.file, row=waiver.row, field="waiver.case", got=f"a case of {law}", wanted=f"one of {waiver.law}"
        )
