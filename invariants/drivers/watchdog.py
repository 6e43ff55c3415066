"""Ends this process where a simulator is over its time and cannot be interrupted.

Python runs the handler of a signal between two instructions of its own: a loop in native code, or a lock that
is never released, hears no alarm. So a process beside this one looks at a clock that both share.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import tempfile
from functools import cache

_DEADLINE = struct.Struct("d")
"""``time.monotonic`` in seconds, which POSIX systems count for all processes alike; 0 for none."""

_WATCH = """
import mmap, os, signal, struct, sys, time
watched, (deadline, page) = int(sys.argv[1]), (struct.Struct("d"), mmap.mmap(0, mmap.PAGESIZE))
while os.getppid() == watched:
    time.sleep(0.2)
    [until] = deadline.unpack_from(page)
    if until and time.monotonic() > until:
        os.write(2, b"fillproof: the simulator does not answer and cannot be interrupted: its process is ended\\n")
        os.kill(watched, signal.SIGABRT)  # faulthandler tells where it was
        time.sleep(1)
        if os.getppid() == watched:
            os.kill(watched, signal.SIGKILL)
"""


def watch(until: float) -> None:
    """End this process at ``until`` (``time.monotonic``), unless that is put off; 0: never."""
    _DEADLINE.pack_into(_page(os.getpid()), 0, until)


@cache
def _page(pid: int) -> mmap.mmap:
    """The clock that the watching process of this one looks at; a fork has one of its own."""
    with tempfile.TemporaryFile() as file:
        file.truncate(mmap.PAGESIZE)
        os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", "-c", _WATCH, str(pid)],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, file.fileno(), 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            ],
        )
        return mmap.mmap(file.fileno(), mmap.PAGESIZE)
