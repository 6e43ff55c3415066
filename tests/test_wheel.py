"""A wheel is enough: command and conformance suite work from it, without the repository."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest

pytestmark = pytest.mark.soak

ROOT = Path(__file__).parent.parent


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_wheel_is_enough(tmp_path: Path) -> None:
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, ROOT, cwd=tmp_path)
    [wheel] = tmp_path.glob("fillproof-*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    scripts = tmp_path / "venv" / "bin"
    run(scripts / "python", "-m", "pip", "install", "--quiet", wheel, cwd=tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert "latency_is_respected" in run(scripts / "fillproof", "laws", cwd=elsewhere)
    run(scripts / "fillproof", "demo", cwd=elsewhere)
    assert (elsewhere / "fillproof-demo" / "report.json").exists()
    suite = ("--pyargs", "invariants.conformance", "--simulator", "simcore:simulate", "--examples", "30", "-n", "2")
    assert "verdict: " in run(scripts / "pytest", *suite, cwd=elsewhere)
    said = run(scripts / "fillproof", "verify", "simcore:simulate", "--examples", "30", "-n", "2", cwd=elsewhere)
    assert "equals_reference" in said
