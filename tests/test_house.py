"""The house: who may import whom, what stands where, and what no file may say."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("simcore", "invariants")


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path, *, lazy: bool = True) -> set[str]:
    """The project's modules that a file imports; without those inside functions unless ``lazy``."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if lazy else _at_import(tree)
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {
                name
                if (ROOT / Path(*name.split("."))).with_suffix(".py").exists()
                or (ROOT / Path(*name.split("."))).is_dir()
                else node.module
                for name in names
            }
    return {name for name in found if name.partition(".")[0] in PACKAGES}


def _at_import(tree: ast.Module) -> list[ast.AST]:
    """Statements that run when the module is imported; type-checking blocks do not."""
    found: list[ast.AST] = []
    for node in tree.body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        found += [node] if isinstance(node, ast.Import | ast.ImportFrom) else []
    return found


def test_top_level_is_what_was_agreed() -> None:
    command = ["git", "ls-files"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    if not listed:
        pytest.skip("not a git checkout")
    top = {name.partition("/")[0] for name in listed if not name.startswith(".")}
    assert top <= {"pyproject.toml", "README.md", "README.ja.md", *PACKAGES, "tests", "fixtures"}


@pytest.mark.parametrize("path", sources("simcore"), ids=module_of)
def test_the_world_knows_no_court(path: Path) -> None:
    assert not {name for name in imports_of(path) if name.startswith("invariants")}


def test_the_reference_simulator_needs_only_the_standard_library() -> None:
    todo, seen = ["simcore.engine"], set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        path = (ROOT / Path(*name.split("."))).with_suffix(".py")
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"^\s*(import|from) (numpy|pandas|pyarrow)", text, re.MULTILINE), name
        todo += [i for i in imports_of(path, lazy=False) if i != "simcore"]


@pytest.mark.parametrize("path", [p for p in sources("invariants") if "laws" in p.parts], ids=module_of)
def test_no_law_knows_a_simulator(path: Path) -> None:
    """Independent witnesses: a law imports neither engine nor scenarios nor drivers."""
    allowed = (
        "invariants.laws",
        "invariants.verdict",
        "simcore.run",
        "simcore.rules",
        "simcore.units",
        "simcore.errors",
        "simcore.ledger",
        "simcore.stated",
    )
    assert not {name for name in imports_of(path) if not name.startswith(allowed)}
    assert not re.search(r"\bsimulate\b|\bengine\b", "\n".join(_code(path)))


def _code(path: Path) -> list[str]:
    """Names used in a file, without its prose."""
    return [node.id for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Name)]


def test_no_import_runs_in_a_circle() -> None:
    graph = {module_of(p): imports_of(p, lazy=False) for package in PACKAGES for p in sources(package)}
    state: dict[str, int] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert state.get(name) != 1, " -> ".join((*path, name))
        if state.get(name) == 2 or name not in graph:
            return
        state[name] = 1
        for other in graph[name]:
            # a package's own __init__ collects its modules; they may name it back only lazily
            if other != name:
                visit(other, (*path, name))
        state[name] = 2

    for name in sorted(graph):
        visit(name, ())


@pytest.mark.parametrize("package", PACKAGES)
def test_no_room_without_a_name(package: str) -> None:
    banned = {"utils", "helpers", "common", "manager", "base"}
    assert not [p for p in sources(package) if p.stem in banned]


def test_every_file_can_be_read_in_one_sitting() -> None:
    long = {
        str(p.relative_to(ROOT)): n
        for package in PACKAGES
        for p in sources(package)
        if (n := len(p.read_text(encoding="utf-8").splitlines())) > 500
    }
    assert not long


def test_nothing_names_a_machine() -> None:
    """No path of a machine, no registry's host."""
    said = re.compile(r"/work/|/root/|/home/\w|pypi\.org|files\.pythonhosted|registry\.npmjs", re.IGNORECASE)
    text = [
        p
        for p in ROOT.rglob("*")
        if p.suffix in {".py", ".md", ".toml", ".json"} and ".git" not in p.parts and ".venv" not in p.parts
    ]
    guilty = [
        str(p.relative_to(ROOT)) for p in text if p != Path(__file__) and said.search(p.read_text(encoding="utf-8"))
    ]
    assert not guilty
