"""A Dask cluster on loopback, of processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from test_containment import wait_for


@contextmanager
def scheduler_in(folder: Path) -> Iterator[str]:
    """The address of a scheduler without workers."""
    file = folder / "scheduler.json"
    options = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
    served = _dask("scheduler", *options)
    try:
        wait_for(lambda: file.exists() and bool(file.read_bytes()))
        yield json.loads(file.read_bytes())["address"]
    finally:
        served.kill()
        served.wait()


def worker_of(scheduler: str, scratch: Path, **more: str) -> subprocess.Popen[bytes]:
    """A worker of one thread; ``more`` goes into its environment."""
    options = ("--nthreads", "1", "--nworkers", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(scratch))
    return _dask("worker", scheduler, "--host", "127.0.0.1", *options, **more)


def _dask(what: str, *options: str, **more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *options]
    nowhere = subprocess.DEVNULL
    return subprocess.Popen(command, stdout=nowhere, stderr=nowhere, env=os.environ | more)
