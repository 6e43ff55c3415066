"""The verdict against planted truth: a confusion table over worlds in which the cause is known."""

from __future__ import annotations

import sys
from collections import Counter

import pytest
from planted import KINDS, planted

from invariants.diagnosis import diagnose

FEW, MANY = 5, 60
COLUMNS = ("A", "B", "C", "undecided")
CAUSES = {
    "C stale": "stale quotes",
    "C throttle": "throttled requotes",
    "C refire": "instant refires",
    "C cap": "inventory stuck at the cap",
}
Told = dict[str, Counter[str]]


def told(runs: int, first: int = 0) -> tuple[Told, Told]:
    """Kind -> verdicts, and kind -> causes, of so many runs of each."""
    verdicts: Told = {kind: Counter() for kind in KINDS}
    causes: Told = {kind: Counter() for kind in KINDS}
    for kind in KINDS:
        for seed in range(first, first + runs):
            found = diagnose(planted(kind, seed), bracket=False)
            verdicts[kind][found.verdict] += 1
            causes[kind][found.conclusion.cause] += 1
    return verdicts, causes


def confusion(verdicts: Told) -> str:
    """The table, planted cause against verdict."""
    lines = [f"{'planted':12}" + "".join(f"{c:>11}" for c in COLUMNS)]
    lines += [f"{kind:12}" + "".join(f"{verdicts[kind][c]:>11}" for c in COLUMNS) for kind in KINDS]
    return "\n".join(lines)


def show(verdicts: Told, capsys: pytest.CaptureFixture[str]) -> None:
    """Print the table, whatever pytest captures."""
    with capsys.disabled():
        sys.stdout.write(f"\n{confusion(verdicts)}\n")


def check(verdicts: Told, causes: Told, runs: int, at_least: float) -> None:
    """B is never missed and nobody else is called B; the others are right, or undecided rather than wrong."""
    assert verdicts["B"]["B"] == runs
    assert not any(verdicts[kind]["B"] for kind in KINDS if kind != "B")
    assert verdicts["none"]["undecided"] >= at_least * runs
    assert verdicts["A"]["A"] >= at_least * runs
    assert not verdicts["A"]["C"]
    for kind, cause in CAUSES.items():
        assert verdicts[kind]["C"] >= at_least * runs, kind
        assert not verdicts[kind]["A"], kind
        assert causes[kind][cause] >= (at_least - 0.05) * runs, kind


def test_planted_causes_are_found(capsys: pytest.CaptureFixture[str]) -> None:
    verdicts, causes = told(FEW)
    show(verdicts, capsys)
    check(verdicts, causes, FEW, at_least=0.8)


@pytest.mark.soak
def test_planted_causes_are_found_in_sixty_worlds_each(capsys: pytest.CaptureFixture[str]) -> None:
    verdicts, causes = told(MANY, first=1_000)
    show(verdicts, capsys)
    check(verdicts, causes, MANY, at_least=0.95)
