"""The README is the only manual, so every block in it runs, and every table is the catalogue's."""

from __future__ import annotations

import contextlib
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from readme_files import write_readme_files
from readme_tables import ENGINES, README, ROOT, from_engines, generated, renewed
from recipes import RECIPES, export_lines

from invariants.cli import main
from invariants.laws import LAWS
from invariants.readers import read_run
from invariants.relations import RELATIONS
from invariants.waivers import read_waivers
from simcore import Rules
from simcore.rules import read_toml

COMPILER = shutil.which("cc")
TEXT = README.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
NAMED = {name: body for _, body in BLOCKS for name in re.findall(r"\A# ([\w-]+\.(?:py|toml))$", body, re.MULTILINE)}
"""Blocks that begin with the name of a file: the other blocks find it there."""


def blocks(kind: str) -> list[str]:
    return [body for language, body in BLOCKS if language == kind]


def python_blocks() -> list[str]:
    """Without the recipes, which need their engines: ``test_recipes`` runs them."""
    exported = {export_lines(recipe) for recipe in RECIPES}
    return [block for block in blocks("python") if block not in exported]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program in C, and beside it what it was made of, where there is a compiler."""
    folder = shutil.copytree(ROOT / "fixtures" / "cmd", tmp_path_factory.mktemp("compiled"), dirs_exist_ok=True)
    if COMPILER is not None:
        [words] = re.findall(r"`(cc -O2 [^`]+)`", TEXT)
        subprocess.run([COMPILER, *shlex.split(words)[1:]], cwd=folder, check=True)
    return folder


@pytest.fixture
def room(tmp_path: Path, compiled: Path) -> Path:
    """A folder with every file that the README names."""
    write_readme_files(tmp_path)
    shutil.copytree(compiled, tmp_path, dirs_exist_ok=True)
    for name, body in NAMED.items():
        (tmp_path / name).write_text(body, encoding="utf-8")
    return tmp_path


def test_every_block_is_of_a_kind_that_is_tested() -> None:
    assert {language for language, _ in BLOCKS} == {"sh", "text", "python", "console", "toml", "yaml"}


def test_tables_are_the_catalogues() -> None:
    assert renewed(TEXT, generated()) == TEXT, "run: python tests/readme_tables.py"


@pytest.mark.skipif(not ENGINES.is_dir(), reason="what engines wrote, ../shared/engines, is not here")
def test_compliance_table_is_what_the_audit_says() -> None:
    assert renewed(TEXT, from_engines()) == TEXT, "run: python tests/readme_tables.py"


def test_counts_in_prose_are_true() -> None:
    assert f"{len(LAWS)} laws" in TEXT
    assert f"{len(RELATIONS)} relations" in TEXT


def test_ci_runs_the_two_commands() -> None:
    """They are run for real there, from a fresh virtual environment."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    install, tests = (block.strip() for block in blocks("sh"))
    assert install.replace("install -e", "install --quiet -e") in script
    assert re.search(rf"^{re.escape(tests)}$", script, re.MULTILINE)


@pytest.mark.parametrize("block", python_blocks(), ids=lambda b: b.splitlines()[0])
def test_python_runs(block: str, tmp_path: Path) -> None:
    path = tmp_path / "block.py"
    path.write_text(block, encoding="utf-8")
    runpy.run_path(str(path))


def test_toml_files_are_those_that_are_tested() -> None:
    assert {name for name in NAMED if name.endswith(".toml")} == {block.split()[1] for block in blocks("toml")}
    named = {"run.toml", "my-engine.toml", "two-tables.toml", "claims.toml", "waivers.toml"}
    assert {block.split()[1] for block in blocks("toml")} == named


def test_toml_of_a_run_is_one(room: Path) -> None:
    head = read_toml(room / "run.toml")
    assert head["format"] == "fillproof-run/1"
    assert Rules.from_dict(head["rules"]).cross == "through"


def test_toml_of_rules_goes_on_top_of_its_preset(room: Path) -> None:
    rules, preset = Rules.load(room / "my-engine.toml"), Rules.load("bar-next-open")
    assert preset.documented.items() < rules.documented.items()
    assert rules.ttl_ns == 60 * 10**9
    assert set(rules.sources) - set(preset.sources) == {"ttl_ns"}


def test_toml_of_a_map_reads_its_tables(room: Path) -> None:
    run = read_run(room / "two-tables.toml")
    assert (len(run.fills), len(run.orders), len(run.rejected)) == (2, 2, 0)
    assert run.fills.order_id.tolist() == [7, 8]


def test_toml_of_waivers_is_one(room: Path) -> None:
    first, second = read_waivers(room / "waivers.toml")
    assert first.failed == 3
    assert second.case == room / "cases" / "equals_reference-a519604cd38b.case.json"


def test_the_picture_is_of_the_fill_below_it() -> None:
    """The numbers of the picture are those of the Python block that audits it."""
    [picture] = blocks("text")
    code = python_blocks()[0]
    assert {"300,000,000", "299,999,999"} <= set(re.findall(r"\d{1,3}(?:,\d{3})+", picture))
    assert code.count("299_999_999") == 2
    arrival, submit = picture.splitlines()[2].index("arrival"), picture.splitlines()[2].index("submit")
    trade, fill = picture.splitlines()[4].index("^"), picture.splitlines()[5].index("X")
    assert submit < trade == fill < arrival


@pytest.mark.parametrize("block", blocks("console"), ids=lambda b: b.splitlines()[0])
def test_console_says_what_is_shown(block: str, room: Path) -> None:
    """Each command runs; each line shown appears in its output, in order; `...` stands for any lines."""
    if "cmd:./simulator" in block and COMPILER is None:
        pytest.skip("no C compiler here")
    starts = [m.start() for m in re.finditer(r"^\$ ", block, re.MULTILINE)] + [len(block)]
    for begin, end in pairwise(starts):
        command, *shown = block[begin:end].rstrip("\n").split("\n")
        # one with workers, as everybody has it; for the others these tests have enough of them
        alone = " -n 0" if "verify" in command and "my_simulator" not in command else ""
        said = fillproof(command.removeprefix("$ ") + alone, room)
        assert said.returncode in (0, 1), said.stderr
        rest = said.stdout.splitlines()
        for line in (line for line in shown if line != "..."):
            assert line in rest, f"{line!r} is not in the rest of\n{said.stdout}"
            rest = rest[rest.index(line) + 1 :]


def yaml_block(word: str) -> tuple[str, Any]:
    """The one YAML block that has the word, and what it says."""
    [block] = [block for block in blocks("yaml") if word in block]
    return block, yaml.safe_load(block)


def test_workflow_steps_run(room: Path) -> None:
    """The commands of the workflow, with no waiver, on two runs; it uploads the file that they write."""
    _, steps = yaml_block("--sarif")
    command = steps[0]["run"]
    (room / "waivers.toml").write_text("", encoding="utf-8")
    (room / "tape").mkdir()
    (room / "tape.csv").rename(room / "tape" / "tape.csv")
    for name in ("monday", "tuesday"):
        assert fillproof(f"fillproof simulate tape/tape.csv --out runs/{name} --size 2", room).returncode == 0
    command = command.replace("runs/*", "runs/monday runs/tuesday")
    said = fillproof(command, room, GITHUB_STEP_SUMMARY=str(room / "step.md"))
    assert said.returncode == 0, said.stdout + said.stderr
    assert (room / steps[1]["with"]["sarif_file"]).exists()
    assert "tuesday" in (room / "step.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("more", ["--examples 10", pytest.param("", marks=pytest.mark.soak)])
def test_gate_of_a_simulator_is_green_and_red(room: Path, more: str) -> None:
    """The workflow's command passes; with a broken simulator it fails, and leaves the cases that are uploaded."""
    _, workflow = yaml_block("upload-artifact")
    *_, install, verify, upload = workflow["jobs"]["gate"]["steps"]
    assert install["run"].startswith("python -m pip install vendor/fillproof-")
    assert fillproof(f"{verify['run']} -n 0 {more}", room).returncode == 0
    honest = (room / "adapter.py").read_text(encoding="utf-8")
    broken = honest.replace("now >= placed + self.latency", "True")
    assert broken != honest
    (room / "adapter.py").write_text(broken, encoding="utf-8")
    said = fillproof(f"{verify['run']} -n 0 --examples 10", room)
    assert said.returncode == 1
    assert "broken: latency_is_respected" in said.stdout
    assert list((room / upload["with"]["path"]).glob("*.case.json"))


def test_hook_before_commits_runs(room: Path) -> None:
    _, config = yaml_block("repo: local")
    [hook] = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert {"id", "name", "entry", "language"} <= set(hook)  # what a local hook must have
    assert hook["pass_filenames"] is False
    assert fillproof(f"{hook['entry']} -n 0", room).returncode == 0


def fillproof(command: str, room: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """What the command says in that folder; in a process of its own where it imports a simulator from there."""
    words = shlex.split(command)
    assert words.pop(0) == "fillproof"
    if words[0] in ("audit", "simulate", "diagnose", "compare", "convert", "laws"):
        with contextlib.chdir(room):
            said = CliRunner().invoke(main, words, env=environment)
        return subprocess.CompletedProcess(words, said.exit_code, said.stdout, said.stderr)
    run = [sys.executable, "-c", "from invariants.cli import main; main()", *words]
    return subprocess.run(run, cwd=room, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
