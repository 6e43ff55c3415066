"""Profiles: every dial has its source, and an honest simulator is never accused under any of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from invariants.auditing import audit
from invariants.laws import KINDS
from invariants.readers import read_run
from invariants.readers.bundle import write_bundle
from invariants.tapes import scenarios
from invariants.verdict import Verdict
from simcore import Rules, Run, simulate
from simcore.rules import DIALS, presets

PROFILES = [name for name in presets() if name != "origin"]
"""The presets that stand for somebody else's engine."""


@pytest.mark.parametrize("name", PROFILES)
def test_every_dial_of_a_profile_says_where_it_is_documented(name: str) -> None:
    rules = Rules.load(name)
    declared = set(DIALS) - rules.undeclared
    assert set(rules.sources) == declared
    ours = {"position_cap_lots", "cap_action", "initial_position_lots"}  # the strategy's own, in no engine's pages
    for dial, source in (*rules.sources.items(), *rules.documented.items()):
        assert dial in ours or "https://" in source, (dial, source)


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_documents_only_deviations_that_laws_know(name: str) -> None:
    known = {f"{law}.{kind}" for law, kinds in KINDS.items() for kind in kinds}
    assert set(Rules.load(name).documented) <= known


def broken(run: Run) -> list[str]:
    return [str(f) for j in audit(run).judgements if j.verdict is Verdict.FAIL for f in j.findings]


@pytest.mark.parametrize("name", PROFILES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_an_honest_simulator_is_never_accused_under_a_profile(name: str, data: st.DataObject) -> None:
    """The reference plays by the profile's dials, whatever it leaves open."""
    profile = Rules.load(name)
    scenario = data.draw(scenarios(replace(profile, undeclared=frozenset())))
    run = replace(Run.from_scenario(scenario, simulate(scenario)), rules=profile)
    assert not broken(run)


@pytest.mark.parametrize("name", PROFILES)
@settings(max_examples=3, deadline=None)
@given(data=st.data())
def test_an_honest_bundle_passes_under_a_profile(
    name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    drawn = scenarios(replace(Rules.load(name), undeclared=frozenset()))
    # a bundle has no place for an empty id
    scenario = data.draw(drawn.filter(lambda one: all(action.order_id != "" for action in one.actions)))
    folder = tmp_path_factory.mktemp("honest") / "run"
    write_bundle(Run.from_scenario(scenario, simulate(scenario)), folder)
    assert not broken(read_run(folder, rules=name))
