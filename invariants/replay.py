"""``fillproof replay``: whether the bug of a case file is fixed."""

# ruff: noqa: PLC0415 (as in the command line: --help needs none of it)

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from invariants.reading import NAME
from simcore import InputError, Run, Scenario

if TYPE_CHECKING:
    from invariants.cases import Case
    from invariants.drivers import Simulator

MANY_TIMES = 1000
LONGEST_SECONDS = 20.0
"""How often, and for how long, a case is asked that broke its law at one call and not at the next."""


@click.command()
@click.argument("cases", type=NAME, nargs=-1, required=True, metavar="CASE...")
@click.option("--simulator", required=True, help="module:function, file.py:function or 'cmd:program --flags'.")
@click.option("--rules", type=NAME, help="Rules file or preset of the cases, instead of what SIMULATOR declares.")
def replay(cases: tuple[str, ...], simulator: str, rules: str | None) -> None:
    """Ask the simulator the scenario of each CASE (a file, or a folder of them) again.

    Exit code 0: all fixed, 1: some still failing, 2: some cannot be replayed.
    """
    codes = [_replay(path, simulator, rules) for path in _files(cases)]
    sys.exit(max(codes))


def still_failing(case: str | Path, simulator: str, rules: str | None = None) -> str:
    """How the simulator still breaks what the case says; empty where it is fixed.

    Raises ``InputError``, also for a case that the simulator's declaration (or ``rules``, a file or preset) excludes.
    """
    from invariants.cases import NOT_REPEATABLE, read_case
    from invariants.drivers import SimulatorFailed, load_simulator
    from invariants.drivers.fresh import difference_when_fresh
    from invariants.laws import LAWS
    from invariants.relations import RELATIONS
    from invariants.waivers import ANSWERS

    kept = read_case(Path(case))
    if kept.law not in (ANSWERS, *(law.name for law in LAWS), *(relation.name for relation in RELATIONS)):
        raise InputError(file=str(case), field="law", got=kept.law, wanted="a law or relation of this version")
    with closing(load_simulator(simulator)) as ask:
        # cases of a real engine are pinned by hand: its driver follows more than it declares
        if not simulator.startswith("engine:"):
            _check_declared(str(case), kept.scenario, ask, rules)
        try:
            started = time.monotonic()
            for turn in range(MANY_TIMES if kept.note == NOT_REPEATABLE else 1):
                if turn and time.monotonic() > started + LONGEST_SECONDS:
                    break
                got = ask(kept.scenario)
                if kept.law != ANSWERS and (broken := _broken(kept, ask, got)):
                    return broken
            if kept.law == "rerun_is_identical" and (fresh := difference_when_fresh(ask, [(kept.scenario, got)])):
                return fresh[1]
        except SimulatorFailed as failure:
            return str(failure)
    return ""


def _check_declared(case: str, scenario: Scenario, ask: Simulator, rules: str | None) -> None:
    """Refuse a case that asks what the simulator says it does not do: no mending could ever fix it."""
    from invariants.drivers.declared import rules_of
    from invariants.tapes.exhaustive import is_within
    from invariants.tapes.supports import Supports
    from simcore.rules import DIALS

    declared = ask.rules if rules is None else rules_of(rules, file=rules)
    pairs = [] if declared is None else [(d, getattr(scenario.rules, d), getattr(declared, d)) for d in DIALS]
    other = [pair for pair in pairs if pair[1] != pair[2]]
    if other:
        got = ", ".join(f"{dial}={_word(theirs)}" for dial, theirs, _ in other)
        told = ", ".join(f"{dial}={_word(ours)}" for dial, _, ours in other)
        wanted = f"{told}, as {'the simulator declares' if rules is None else f'in {rules}'}"
        raise InputError(file=case, field="rules", got=got, wanted=wanted)
    beyond = [name for name in ask.supports.missing() if not is_within(scenario, Supports(**{name: False}))]
    if beyond:
        wanted = "what the simulator can be driven to do (its SUPPORTS)"
        raise InputError(file=case, field="scenario", got=", ".join(beyond), wanted=wanted)


def _word(value: object) -> str:
    return "none" if value is None else str(value)


def _broken(kept: Case, ask: Simulator, got: list[Any]) -> str:
    """How the answer breaks the law or relation of the case; empty where it keeps it.

    One that could not judge acquits nobody (an answer without fills leaves most laws no row): then the
    answer must be the expected one.
    """
    from invariants.laws import LAWS
    from invariants.relations import relation_named
    from invariants.relations.comparing import same
    from invariants.verdict import Verdict

    law = next((law for law in LAWS if law.name == kept.law), None)
    if law is None:
        found = relation_named(kept.law).check(ask, kept.scenario)
        broken, is_judged, reason = found.difference, found.applies, found.reason
    else:
        judgement = law.judge(Run.from_scenario(kept.scenario, got))
        broken = str(law.error(judgement)) if judgement.verdict is Verdict.FAIL else None
        is_judged, reason = judgement.verdict is Verdict.PASS, judgement.reason
    if broken is None and not is_judged:
        story = f"Let the fills be the case's expected ones, since {kept.law} cannot tell: {reason}."
        broken = same(list(kept.expected), got, story).difference
    return broken or ""


def _replay(case: Path, simulator: str, rules: str | None) -> int:
    """Say what became of one case; its exit code."""
    try:
        failure = still_failing(case, simulator, rules)
    except InputError as error:
        click.echo(f"cannot replay {case}: {error}")
        return 2
    click.echo(f"still failing {case}: {failure}" if failure else f"fixed {case}")
    return int(bool(failure))


def _files(cases: tuple[str, ...]) -> Iterator[Path]:
    for case in cases:
        found = sorted(Path(case).glob("*.case.json")) if Path(case).is_dir() else [Path(case)]
        if not found:
            raise InputError(file=case, field="folder", got="no case", wanted="files *.case.json")
        yield from found
