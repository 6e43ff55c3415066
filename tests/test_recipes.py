"""The export recipes: the README shows their lines, and each was run against the real engine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import NamedTuple

import pytest
from readme_tables import README
from recipes import RECIPES, engine_of, export_lines, needs

from invariants import Verdict, audit
from invariants.readers import read_run

each_recipe = pytest.mark.parametrize("recipe", RECIPES, ids=engine_of)


class Known(NamedTuple):
    """What the audit says of a recipe's output: the engine, whether it has orders, the laws that it breaks."""

    engine: str
    has_orders: bool
    broken: set[str]


KNOWN = {
    "nautilus": Known("nautilus_trader", True, {"crossed_orders_fill"}),
    "hftbacktest": Known("hftbacktest", True, {"position_sums_fills", "cash_sums_fills", "totals_reconcile"}),
    "backtrader": Known("backtrader", True, {"totals_reconcile"}),
    "zipline": Known("zipline-reloaded", True, set()),
    "vectorbt": Known("vectorbt", True, set()),
    "freqtrade": Known("freqtrade", False, {"totals_reconcile"}),
    "backtestingpy": Known("backtesting.py", True, {"cash_sums_fills"}),
}


def test_every_engine_has_a_recipe() -> None:
    assert {engine_of(recipe) for recipe in RECIPES} == set(KNOWN)


@each_recipe
def test_a_recipe_is_a_program(recipe: Path) -> None:
    compile(recipe.read_text(encoding="utf-8"), str(recipe), "exec")
    compile(export_lines(recipe), str(recipe), "exec")


@each_recipe
def test_the_versions_that_a_recipe_needs_are_pinned(recipe: Path) -> None:
    assert all(package.count("==") == 1 for package in needs(recipe))


@each_recipe
def test_the_readme_shows_the_lines_of_the_recipe(recipe: Path) -> None:
    assert f"```python\n{export_lines(recipe)}```\n" in README.read_text(encoding="utf-8")


@each_recipe
@pytest.mark.soak
def test_what_the_engine_exports_can_be_audited(recipe: Path, tmp_path: Path) -> None:
    """In a virtual environment of its own, with the engine as its registry has it."""
    out, tape, room = (str(tmp_path / name) for name in ("out", "tape", "venv"))
    try:
        _run_in(room, recipe, out, tape)
    finally:
        shutil.rmtree(room, ignore_errors=True)  # up to a gigabyte
    run = read_run(out, tape=tape)
    known = KNOWN[engine_of(recipe)]
    assert (run.engine, run.engine_version) == (known.engine, needs(recipe)[0].partition("==")[2])
    assert len(run.fills) > 0
    assert (len(run.orders) > 0) == known.has_orders
    assert not run.rejected
    report = audit(run)
    assert {j.law for j in report.judgements if j.verdict is Verdict.FAIL} == known.broken


def _run_in(room: str, recipe: Path, *arguments: str) -> None:
    venv.create(room, with_pip=True)
    python = str(Path(room, "Scripts" if os.name == "nt" else "bin", "python"))
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *needs(recipe)]
    done = subprocess.run(install, env=alone, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"pip on Python {sys.version_info.major}.{sys.version_info.minor}: {done.stderr.strip()[-400:]}")
    command = [python, "-B", str(recipe), *arguments]
    done = subprocess.run(command, env=alone, cwd=Path(room).parent, capture_output=True, text=True, check=False)
    # freqtrade's main ends the program with None or a code of its own: the output decides
    assert done.returncode == 0, done.stdout + done.stderr
