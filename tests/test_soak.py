"""Minutes, not seconds: run with ``--soak``, as CI does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hunting import breaks, hunt

from fixtures.honest import HONEST
from invariants.laws import LAWS
from invariants.relations import RELATIONS
from invariants.tapes import Supports, any_rules, scenarios
from simcore import simulate

pytestmark = pytest.mark.soak

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("check", [*LAWS, *RELATIONS], ids=lambda check: check.name)
def test_reference_holds_for_long(check: object) -> None:
    name = check.name  # type: ignore[attr-defined]
    narrow = check.narrow  # type: ignore[attr-defined]
    kill = hunt(breaks(name, lambda: simulate), scenarios(any_rules().map(narrow)), seed="soak", budget=1500)
    assert kill.scenario is None


@pytest.mark.parametrize("honest", HONEST, ids=lambda honest: honest.name)
def test_honest_variant_equals_the_reference_for_long(honest: object) -> None:
    rules = honest.rules  # type: ignore[attr-defined]
    able = Supports.declared(dict(honest.supports))  # type: ignore[attr-defined]
    drawn = scenarios(any_rules() if rules is None else rules, supports=able)
    kill = hunt(breaks("equals_reference", lambda: honest.simulate), drawn, seed="soak", budget=1500)  # type: ignore[attr-defined]
    assert kill.scenario is None


def test_exhaustive_four_in_a_minute() -> None:
    """Every scenario of up to four events, on the reference itself."""
    fillproof = [sys.executable, "-c", "from invariants.cli import main; main()"]
    command = [*fillproof, "verify", "simcore:simulate", "--exhaustive", "4", "--examples", "1", "-n", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 3), done.stdout + done.stderr
    assert "exhaustive" in done.stdout
