"""What the search draws, and what it leaves to chance."""

from __future__ import annotations

import random

import numpy as np

from invariants.conformance.search import search
from invariants.tapes import scenarios
from simcore import Rules, Scenario, Submit, Trade

PAIRS = {("0", "00"), (0, "0"), ("", " "), ("見0", "気0")}


def drawn(examples: int, **more: int) -> list[Scenario]:
    """The scenarios of one search."""
    found: list[Scenario] = []

    def keep(scenario: Scenario) -> bool:
        found.append(scenario)
        return False

    search(scenarios(Rules(ttl_ns=None), **more), keep, examples=examples, deadline=None, entropy="drawn")
    return found


def test_chance_is_another_one_for_each_scenario_and_the_same_in_each_search() -> None:
    def chances() -> list[tuple[float, float]]:
        found: list[tuple[float, float]] = []

        def throw(_: Scenario) -> bool:
            found.append((random.random(), np.random.random()))  # noqa: S311, NPY002 - as a simulator would
            return False

        search(scenarios(), throw, examples=50, deadline=None, entropy="chance")
        return found

    first = chances()
    assert len(set(first)) == len(first) == 50
    assert chances() == first


def test_ids_that_are_nearly_the_same_are_drawn() -> None:
    ids = [tuple(a.order_id for a in s.actions if isinstance(a, Submit)) for s in drawn(600)]
    assert {pair[:2] for pair in ids} >= PAIRS
    assert any(isinstance(name, int) and name > 2**53 for names in ids for name in names)


def test_some_scenarios_go_on_where_they_may() -> None:
    def events(scenario: Scenario) -> int:
        return len(scenario.tape) + len(scenario.actions)

    assert max(map(events, drawn(400))) < 50
    long = drawn(800, longest=800)
    assert 3 <= sum(events(s) > 60 for s in long) <= 40
    assert any(sum(isinstance(e, Trade) for e in s.tape) > 33 for s in long)
    assert any(sum(isinstance(a, Submit) for a in s.actions) > 33 for s in long)
