"""Every process that a simulator started, whatever session or group it moved to (Linux; elsewhere none).

A process inherits its parent's environment, so a mark in there finds children, grandchildren and
orphans alike. One that was started with an environment without the mark is not found.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import sys
import time
from pathlib import Path

MARK = "FILLPROOF_SIMULATOR"
_PATIENCE_SECONDS = 5.0
_EXEC_SECONDS = 0.01
"""Between two looks that find nothing: the kernel gives a process its environment late in an exec."""
_KIB = 1024


def new_mark() -> str:
    """A mark of its own; inside a simulator that runs others, behind that one's."""
    return f"{os.environ.get(MARK, '')}/{secrets.token_hex(8)}"


def living(mark: str) -> list[int]:
    """The processes with this mark that have not ended."""
    if sys.platform != "linux":
        return []
    sought = f"{MARK}={mark}".encode()
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if sought in _read(folder / "environ")]


def memory_bytes(pids: list[int]) -> int:
    """What they occupy together; a page that several share counts once."""
    shares = (_read(Path("/proc") / str(pid) / "smaps_rollup") for pid in pids)
    lines = (line.split() for share in shares for line in share.splitlines() if line.startswith(b"Pss:"))
    return sum(int(kib) for _, kib, _ in lines) * _KIB


def kill(mark: str) -> None:
    """Kill them all, until none is left: they may start others meanwhile, and one amid its exec shows no mark."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (pids := living(mark) or _later(mark)) and time.monotonic() < deadline:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):  # it ended by itself
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.001)


def _later(mark: str) -> list[int]:
    time.sleep(_EXEC_SECONDS)
    return living(mark)


def _read(file: Path) -> bytes:
    """Nothing where the process has ended, or is another user's."""
    try:
        return file.read_bytes()
    except OSError:
        return b""
