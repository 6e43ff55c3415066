"""The README is the only manual, so every block in it runs, and every table is the catalogue's."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from readme_tables import README, ROOT, renewed

from invariants.laws import LAWS
from invariants.relations import RELATIONS
from simcore import Rules
from simcore.rules import read_toml

TEXT = README.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
TAPE = """ns,price,size,side
0,100,1,buy
1000000000,99,1,sell
4000000000,101,2,buy
4300000000,98,2,sell
9000000000,101,1,buy
9400000000,99,5,sell
"""


def blocks(kind: str) -> list[str]:
    return [body for language, body in BLOCKS if language == kind]


def test_every_block_is_of_a_kind_that_is_tested() -> None:
    assert {language for language, _ in BLOCKS} == {"sh", "text", "python", "console", "toml"}


def test_tables_are_the_catalogues() -> None:
    assert renewed(TEXT) == TEXT, "run: python tests/readme_tables.py"


def test_counts_in_prose_are_true() -> None:
    assert f"{len(LAWS)} laws" in TEXT
    assert f"{len(RELATIONS)} relations" in TEXT


def test_ci_runs_the_two_commands() -> None:
    """They are run for real there, from a fresh virtual environment."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    install, tests = (block.strip() for block in blocks("sh"))
    assert install.replace("install -e", "install --quiet -e") in script
    assert re.search(rf"^{re.escape(tests)}$", script, re.MULTILINE)


@pytest.mark.parametrize("block", blocks("python"), ids=lambda b: b.splitlines()[0])
def test_python_runs(block: str, tmp_path: Path) -> None:
    path = tmp_path / "block.py"
    path.write_text(block, encoding="utf-8")
    runpy.run_path(str(path))


@pytest.mark.parametrize("block", blocks("toml"), ids=lambda b: b.splitlines()[0])
def test_toml_is_a_run(block: str, tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(block, encoding="utf-8")
    head = read_toml(path)
    assert head["format"] == "fillproof-run/1"
    assert Rules.from_dict(head["rules"]).cross == "through"


def test_the_picture_is_of_the_fill_below_it() -> None:
    """The numbers of the picture are those of the Python block that audits it."""
    [picture] = blocks("text")
    code = blocks("python")[0]
    assert {"300,000,000", "299,999,999"} <= set(re.findall(r"\d{1,3}(?:,\d{3})+", picture))
    assert code.count("299_999_999") == 2
    arrival, submit = picture.splitlines()[2].index("arrival"), picture.splitlines()[2].index("submit")
    trade, fill = picture.splitlines()[4].index("^"), picture.splitlines()[5].index("X")
    assert submit < trade == fill < arrival


@pytest.mark.parametrize("block", blocks("console"), ids=lambda b: b.splitlines()[0])
def test_console_says_what_is_shown(block: str, tmp_path: Path) -> None:
    """Each command runs; each line shown appears in its output, in order; `...` stands for any lines."""
    for code in blocks("python"):
        named = re.match(r"# (\w+\.py)\n", code)
        if named:
            (tmp_path / named[1]).write_text(code, encoding="utf-8")
    (tmp_path / "tape.csv").write_text(TAPE, encoding="utf-8")
    starts = [m.start() for m in re.finditer(r"^\$ ", block, re.MULTILINE)] + [len(block)]
    for begin, end in pairwise(starts):
        command, *shown = block[begin:end].rstrip("\n").split("\n")
        words = shlex.split(command.removeprefix("$ "))
        assert words[0] == "fillproof"
        run = [sys.executable, "-c", "from invariants.cli import main; main()", *words[1:]]
        said = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert said.returncode in (0, 1), said.stderr
        rest = said.stdout.splitlines()
        for line in (line for line in shown if line != "..."):
            assert line in rest, f"{line!r} is not in the rest of\n{said.stdout}"
            rest = rest[rest.index(line) + 1 :]
