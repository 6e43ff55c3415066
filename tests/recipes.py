"""The recipes in ``fixtures/recipes``: scripts that run a real engine and export what its reader needs."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "fixtures" / "recipes"
RECIPES = sorted(FOLDER.glob("with_*.py"))
_EXPORT = re.compile(r"^# export\n(.*?)^# end$", re.MULTILINE | re.DOTALL)
_NEEDS = re.compile(r"^# needs: (.+)$", re.MULTILINE)


def engine_of(recipe: Path) -> str:
    """The engine that a recipe runs, as its file says."""
    return recipe.stem.removeprefix("with_")


def export_lines(recipe: Path) -> str:
    """What a user adds to a script: the lines between the markers ``# export`` and ``# end``."""
    [lines] = _EXPORT.findall(recipe.read_text(encoding="utf-8"))
    return str(lines).rstrip("\n") + "\n"


def needs(recipe: Path) -> list[str]:
    """The pinned packages that the recipe was run with."""
    [line] = _NEEDS.findall(recipe.read_text(encoding="utf-8"))
    return str(line).split()
