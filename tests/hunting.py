"""Hunting a fault: how many scenarios until the law that it names convicts it, and the smallest one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from hypothesis.strategies import SearchStrategy

from fixtures.faults.fault import Fault, RecordFault
from fixtures.faults.records import honest_record
from invariants.conformance.search import search
from invariants.laws import LAWS, law_named
from invariants.relations import RELATIONS, relation_named
from invariants.tapes import any_rules, minimise, scenarios
from invariants.verdict import Verdict
from simcore import Fill, Run, Scenario

BUDGET = 500
"""The default budget of the conformance suite, per law."""

LAW_NAMES = {law.name for law in LAWS}
RELATION_NAMES = {relation.name for relation in RELATIONS}

Broken = Callable[[Scenario], bool]


def breaks(law: str, start: Callable[[], Callable[[Scenario], Iterable[Fill]]]) -> Broken:
    """Whether the named law or relation convicts a simulator, freshly started, of a scenario."""
    if law in RELATION_NAMES:
        relation = relation_named(law)
        return lambda scenario: relation.check(start(), copy.deepcopy(scenario)).difference is not None
    judge = law_named(law).judge
    return lambda scenario: judge(Run.from_scenario(scenario, start()(scenario))).verdict is Verdict.FAIL


def falsified(fault: RecordFault) -> Broken:
    """Whether the law convicts the false record of a scenario."""
    judge = law_named(fault.law).judge
    return lambda scenario: judge(fault.falsify(honest_record(scenario))).verdict is Verdict.FAIL


def scenarios_for(fault: Fault | RecordFault) -> SearchStrategy[Scenario]:
    """Scenarios under the rules that the fault names; under any rules to which its law applies."""
    kind = relation_named(fault.law) if fault.law in RELATION_NAMES else law_named(fault.law)
    return scenarios(any_rules().map(kind.narrow) if fault.rules is None else kind.narrow(fault.rules))


@dataclass(frozen=True)
class Kill:
    """How a hunt ended: scenarios asked, and the one that convicted (None: it got away)."""

    examples: int
    scenario: Scenario | None


def hunt(broken: Broken, drawn: SearchStrategy[Scenario], *, seed: Any, budget: int = BUDGET) -> Kill:
    """Draw until ``broken`` or the budget is spent."""
    asked: list[Scenario] = []
    caught: list[Scenario] = []

    def is_over(scenario: Scenario) -> bool:
        asked.append(scenario)
        if broken(scenario):
            caught.append(scenario)
        return bool(caught)

    search(drawn, is_over, examples=budget, deadline=None, entropy=str(seed))
    return Kill(len(asked), caught[0] if caught else None)


def smallest(fault: Fault, scenario: Scenario) -> Scenario:
    """The scenario that a person would write to show the fault."""
    return minimise(scenario, breaks(fault.law, fault.fresh), keep_rules=fault.rules is not None)
