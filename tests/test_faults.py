"""Every law catches a fault, every fault is caught by the law it names, and honesty trips none."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from statistics import median

import pytest
from hunting import BUDGET, LAW_NAMES, RELATION_NAMES, Kill, breaks, falsified, hunt, scenarios_for, smallest

from fixtures.faults import FAULTS
from fixtures.faults.classes import INEXPRESSIBLE
from fixtures.faults.fault import Fault, RecordFault
from fixtures.faults.records import RECORD_FAULTS
from fixtures.honest import HONEST, Honest
from invariants.cases import read_case
from invariants.drivers import load_simulator
from invariants.laws import LAWS
from invariants.relations import RELATIONS
from invariants.tapes import any_rules, scenarios
from invariants.verdict import Verdict
from simcore import Run, Scenario, simulate

SEEDS = range(10)
UNREPEATABLE = {"hash-order", "stamps-the-wall-clock"}
"""Faults that answer otherwise in another process, so that their smallest scenario does, too."""
CASES = Path(__file__).parent.parent / "fixtures" / "cases" / "faults"
BUGS = Path(__file__).parent.parent.parent / "shared" / "bugs.md"


@cache
def kill(fault: Fault, seed: int) -> Kill:
    return hunt(breaks(fault.law, fault.fresh), scenarios_for(fault), seed=f"{seed}/{fault.name}")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.name)
def test_fault_is_killed_by_its_law(fault: Fault, record_property: pytest.RecordProperty) -> None:
    kills = [kill(fault, seed) for seed in SEEDS]
    case = read_case(CASES / f"{fault.name}.case.json")
    events = len(case.scenario.tape) + len(case.scenario.actions)
    record_property("kill", (fault.name, fault.law, [k.examples if k.scenario else None for k in kills], events))
    assert all(k.scenario for k in kills), f"{fault.name} survived {BUDGET} scenarios"
    assert max(k.examples for k in kills) <= 300


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.name)
def test_shrunk_scenario_is_exact(fault: Fault) -> None:
    """What the hunt finds shrinks to the very scenario on file, which convicts the fault and not the reference."""
    case = read_case(CASES / f"{fault.name}.case.json")
    found = kill(fault, SEEDS[0]).scenario
    assert found is not None
    small = smallest(fault, found)
    if fault.name not in UNREPEATABLE:
        assert small == case.scenario
        assert breaks(fault.law, fault.fresh)(case.scenario)
    assert len(small.tape) + len(small.actions) == len(case.scenario.tape) + len(case.scenario.actions)
    assert not breaks(fault.law, lambda: simulate)(case.scenario)


@pytest.mark.parametrize("fault", RECORD_FAULTS, ids=lambda f: f.name)
def test_false_record_is_caught_by_its_law(fault: RecordFault) -> None:
    kills = [hunt(falsified(fault), scenarios_for(fault), seed=f"{seed}/{fault.name}") for seed in SEEDS]
    assert all(k.scenario for k in kills)
    assert median(k.examples for k in kills) <= 60


@pytest.mark.parametrize("honest", HONEST, ids=lambda h: h.name)
def test_honest_simulator_trips_nothing(honest: Honest) -> None:
    """No law and no relation convicts an honest variant, under the rules it declares or any."""
    subject = load_simulator(honest.address)
    drawn = scenarios(any_rules() if subject.rules is None else subject.rules, supports=subject.supports)
    alarms: list[str] = []

    def alarm(scenario: Scenario) -> bool:
        run = Run.from_scenario(scenario, subject(scenario))
        alarms.extend(law.name for law in LAWS if law.judge(run).verdict is Verdict.FAIL)
        alarms.extend(r.name for r in RELATIONS if r.check(subject, scenario).difference is not None)
        return bool(alarms)

    hunted = hunt(alarm, drawn, seed=f"honest/{honest.name}", budget=150)
    assert not alarms, f"{honest.name} is honest, yet {alarms} convict it of {hunted.scenario}"


def test_there_are_enough_of_each() -> None:
    assert len(FAULTS) >= 80
    assert len(HONEST) >= 10
    assert len({f.name for f in FAULTS}) == len(FAULTS)


def test_every_law_and_relation_has_a_fault() -> None:
    named = {f.law for f in FAULTS} | {f.law for f in RECORD_FAULTS}
    assert named == LAW_NAMES | RELATION_NAMES


@pytest.mark.skipif(not BUGS.exists(), reason="../shared/bugs.md is not here")
def test_every_bug_class_has_a_fault_or_a_reason() -> None:
    classes = set(re.findall(r"^\*\*\d+\. `([a-z-]+)`\*\*", BUGS.read_text(encoding="utf-8"), re.MULTILINE))
    assert len(classes) == 42
    covered = {f.bug_class for f in FAULTS} | {f.bug_class for f in RECORD_FAULTS}
    assert covered | set(INEXPRESSIBLE) == classes
    assert not covered & set(INEXPRESSIBLE)
