"""An engine's own virtual environment: made once, with the pinned engine in it, and verified.

It stands under ``$FILLPROOF_ENGINES``, or ``~/.cache/fillproof/engines``, as PACKAGE-VERSION. The file
``verified.json`` in it is written last: what has none is made anew.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from invariants.drivers.engines.catalogue import Engine
from simcore import InputError

SECONDS = 1800
"""Enough for a slow network; an engine has up to two dozen dependencies."""

_ASK = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"


def python_of(engine: Engine) -> Path:
    """The interpreter of the engine's environment, which is made where there is none. Raises ``InputError``."""
    folder = _shelf() / f"{engine.package}-{engine.version}"
    python = folder / "bin" / "python"
    if (folder / "verified.json").is_file():
        return python
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        if not (folder / "verified.json").is_file():
            _make(engine, folder, python)
    return python


def without_ours() -> dict[str, str]:
    """Changes of the environment variables that keep this suite's own packages out of the engine's process."""
    return {"PYTHONPATH": "", "PYTHONNOUSERSITE": "1", "VIRTUAL_ENV": ""}


def _make(engine: Engine, folder: Path, python: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    sys.stderr.write(f"making an environment for {engine.package} {engine.version} in {folder}\n")
    _run(engine, _interpreter(engine), "-m", "venv", str(folder))
    _run(engine, str(python), "-m", "pip", "install", "--quiet", f"{engine.package}=={engine.version}")
    found = _run(engine, str(python), "-c", _ASK, engine.package).strip()
    if found != engine.version:
        raise _refused(engine, f"version {found}")
    packages = _run(engine, str(python), "-m", "pip", "freeze").split()
    told = {"engine": engine.package, "version": found, "packages": packages}
    (folder / "verified.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def _interpreter(engine: Engine) -> str:
    """This interpreter, or one on the path that is as new as the engine needs, and runs."""
    if sys.version_info >= tuple(map(int, engine.python.split("."))):
        return sys.executable
    found = shutil.which(f"python{engine.python}")
    if found is None or subprocess.run([found, "-V"], capture_output=True, check=False).returncode != 0:  # noqa: S603
        got = f"Python {sys.version.split()[0]}, and no python{engine.python} on the path that runs"
        raise _refused(engine, got)
    return found


def _run(engine: Engine, *argv: str) -> str:
    env = {**os.environ, **without_ours()}
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter, or the one that it made
            argv, env=env, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise _refused(engine, f"{argv[2]} took more than {SECONDS} s") from None
    if done.returncode != 0:
        raise _refused(engine, (done.stderr.strip() or "no message").splitlines()[-1])
    return done.stdout


def _refused(engine: Engine, got: str) -> InputError:
    wanted = f"an environment with {engine.package}=={engine.version}"
    return InputError(file=f"engine:{engine.name}", field="environment", got=got, wanted=wanted)


def _shelf() -> Path:
    given = os.environ.get("FILLPROOF_ENGINES")
    return Path(given) if given else Path.home() / ".cache" / "fillproof" / "engines"


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Only one process at a time makes this environment."""
    with folder.with_name(f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
