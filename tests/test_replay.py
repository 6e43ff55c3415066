"""``fillproof replay``: fixed, still failing, or not to be replayed."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner, Result

from invariants.cli import main

FAULTS = Path(__file__).parent.parent / "fixtures" / "cases" / "faults"
THEIRS = """
    import simcore

    def nothing(scenario):
        return []

    def honest(scenario):
        return simcore.simulate(scenario)
"""


@pytest.fixture(autouse=True)
def _theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("theirs.py").write_text(dedent(THEIRS))


def replay(case: Path, simulator: str, *options: str) -> Result:
    return CliRunner().invoke(main, ["replay", str(case), "--simulator", simulator, *options])


def changed(case: Path, **values: object) -> Path:
    """A copy of a case with other values; None takes one away."""
    told = json.loads(case.read_text()) | values
    Path("changed.case.json").write_text(json.dumps({k: v for k, v in told.items() if v is not None}))
    return Path("changed.case.json")


OVERSOLD = FAULTS / "doubles-the-volume.case.json"  # its law judges fills


def test_an_answer_that_leaves_the_law_no_row_is_held_against_the_expected_fills() -> None:
    """Who fills nothing breaks no law about fills, and has mended nothing."""
    done = replay(OVERSOLD, "theirs.py:nothing")
    assert (done.exit_code, done.output.split()[:2]) == (1, ["still", "failing"])
    assert "cannot tell: no row to judge" in done.output
    assert "order 1 BUY 1 lots at 100 ticks at 100 ns, fee 0 is missing" in done.output
    assert replay(OVERSOLD, "theirs.py:honest").output == f"fixed {OVERSOLD}\n"


@pytest.mark.parametrize("expected", [[], None], ids=["none", "not told: the reference says them"])
def test_a_law_of_other_rules_acquits_nobody(expected: list[object] | None) -> None:
    case = changed(OVERSOLD, law="fill_size_equals_quote_size", expected=expected)
    codes = [replay(case, f"theirs.py:{name}").exit_code for name in ("nothing", "honest")]
    assert codes == ([0, 1] if expected == [] else [1, 0])


def test_a_relation_that_cannot_look_acquits_nobody() -> None:
    """``through_is_within_at`` is of whole sizes alone."""
    case = changed(OVERSOLD, law="through_is_within_at")
    assert [replay(case, f"theirs.py:{name}").exit_code for name in ("nothing", "honest")] == [1, 0]


CANCELLED = FAULTS / "ignores-cancels.case.json"


@pytest.mark.parametrize(
    ("case", "declared", "told"),
    [
        (
            OVERSOLD,
            'RULES = {"cross": "through", "sizing": "trade", "latency_ns": 100, "ttl_ns": 2000}',
            "rules: got 'cross=at, position_cap_lots=none', wanted cross=through, position_cap_lots=10, as the sim",
        ),
        (CANCELLED, 'SUPPORTS = {"cancels": False, "tops": False}', "scenario: got 'cancels', wanted what the"),
        (OVERSOLD, 'SUPPORTS = {"ttl": False}', "scenario: got 'ttl', wanted what the simulator can be driven to do"),
    ],
)
def test_a_case_that_the_declaration_excludes_cannot_be_replayed(case: Path, declared: str, told: str) -> None:
    """Else a case made before the declaration was mended would fail for ever."""
    Path("theirs.py").write_text(f"{declared}\n{dedent(THEIRS)}")
    done = replay(case, "theirs.py:honest")
    assert done.exit_code == 2
    assert done.output.startswith(f"cannot replay {case}: {case}: {told}")


def test_rules_given_by_hand_stand_for_the_declaration() -> None:
    """As they do where the case is made: ``verify --rules``."""
    dials = {"latency_ns": 100, "ttl_ns": "none", "position_cap_lots": "none"}
    Path("theirs.py").write_text(f"RULES = 'origin'\n{dedent(THEIRS)}")
    Path("rules.toml").write_text("\n".join(f"{dial} = {json.dumps(value)}" for dial, value in dials.items()))
    assert replay(CANCELLED, "theirs.py:honest").exit_code == 2
    assert replay(CANCELLED, "theirs.py:honest", "--rules", "rules.toml").output == f"fixed {CANCELLED}\n"
    assert "wanted latency_ns=300000000" in replay(CANCELLED, "simcore:simulate", "--rules", "origin").output
