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


def replay(case: Path, simulator: str) -> Result:
    return CliRunner().invoke(main, ["replay", str(case), "--simulator", simulator])


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
