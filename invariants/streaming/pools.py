"""Where looks and stretches are done: in this process, in several on this machine, or on a Dask cluster."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import cached_property
from importlib import metadata
from threading import Thread
from typing import Any, Protocol

import pyarrow as pa

from invariants.report.as_json import versions
from simcore import InputError

Job = tuple[Any, ...]

_LONGEST_FOLDER = 60
"""Characters of a temporary folder in which a socket has room: its whole path may have some hundred."""

SCHEDULER_SECONDS = 10.0
"""How long a cluster may be without a scheduler: it may still be starting."""

WORKERS_SECONDS = 60.0
"""How long a cluster may be without any worker."""

TRIES = 2
"""How often a job is given to a worker before it is said that it kills them."""


class Pool(Protocol):
    """Does jobs; answers come with the number of their job, in any order."""

    def begin(self) -> None:
        """Get ready, while there is something else to do here."""

    def each(self, work: Callable[..., Any], jobs: Iterable[Job]) -> Iterator[tuple[int, Any]]:
        """``work(*job)`` for every job. Raises what ``work`` raises."""


class Here:
    """This process, one job after the other."""

    def begin(self) -> None:
        """It is ready."""

    def each(self, work: Callable[..., Any], jobs: Iterable[Job]) -> Iterator[tuple[int, Any]]:
        """``work(*job)`` for every job."""
        for number, job in enumerate(jobs):
            yield number, work(*job)


class Processes:
    """Some processes on this machine; one that dies is replaced, and its jobs are done again."""

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def begin(self) -> None:
        """Start the processes, which takes them as long as it takes to read the fills."""
        for _ in range(self._workers):
            self._pool.submit(int)

    @cached_property
    def _pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self._workers, _context(), initializer=_begin)

    def each(self, work: Callable[..., Any], jobs: Iterable[Job]) -> Iterator[tuple[int, Any]]:
        """``work(*job)`` for every job; few are waiting at a time, so that they need not all be there."""
        rest = ((number, job, 1) for number, job in enumerate(jobs))
        again: list[tuple[int, Job, int]] = []
        running: dict[Future[Any], tuple[int, Job, int]] = {}
        while True:
            while len(running) <= self._workers and (given := again.pop() if again else next(rest, None)):
                running[self._submitted(work, given[1])] = given
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            lost = []
            for future in done:
                given = running.pop(future)
                if isinstance(future.exception(), BrokenProcessPool):
                    lost.append(given)
                else:  # also one that was done when another worker died
                    yield given[0], future.result()
            if lost:
                again += _once_more([*lost, *running.values()])
                running = {}
                self.close()

    def _submitted(self, work: Callable[..., Any], job: Job) -> Future[Any]:
        """The job's answer to come; where the workers died while there was nothing to do, that they did."""
        try:
            return self._pool.submit(work, *job)
        except BrokenProcessPool as error:
            dead = Future[Any]()
            dead.set_exception(error)
            return dead

    def close(self) -> None:
        """End the processes, if there are any; the next job starts others."""
        if "_pool" in vars(self):
            vars(self).pop("_pool").shutdown(cancel_futures=True)


class Cluster:
    """The workers of a Dask cluster, which must reach the files under the same names."""

    def __init__(self, address: str) -> None:
        try:
            from dask.distributed import Client  # noqa: PLC0415 - an extra that most do without
            from distributed.comm.addressing import get_address_host_port, parse_address, unparse_address  # noqa: PLC0415
        except ImportError as error:
            wanted = "Dask: pip install 'fillproof[cluster]'"
            raise InputError(file="command line", field="--cluster", got=str(error), wanted=wanted) from None
        try:
            # a client that was half made of a bad address waits for 20 s at its end, and complains
            get_address_host_port(unparse_address(*parse_address(address)))
            self._client = Client(address, timeout=SCHEDULER_SECONDS, set_as_default=False)  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as error:
            wanted = "the address of a Dask scheduler"
            raise InputError(file="command line", field="--cluster", got=f"{address}: {error}", wanted=wanted) from None
        self._check_workers()

    def _check_workers(self) -> None:
        """A worker without our modules ends where it is given a job, and Dask waits; one of another version judges.

        Where there are none, Dask waits for ever.
        """
        ours = versions()["fillproof"]
        try:
            self._client.wait_for_workers(1, timeout=WORKERS_SECONDS)
        except TimeoutError:
            self.close()
            got, wanted = f"no worker within {WORKERS_SECONDS:g} s", "a scheduler with workers"
            raise InputError(file="command line", field="--cluster", got=got, wanted=wanted) from None
        # nothing of ours is sent to ask
        for worker, theirs in self._client.run(metadata.version, "fillproof", on_error="return").items():
            if str(theirs) != ours:
                self.close()
                got, wanted = f"{worker}: fillproof {theirs}", f"workers with fillproof {ours}"
                raise InputError(file="command line", field="--cluster", got=got, wanted=wanted)

    def begin(self) -> None:
        """It is ready."""

    def each(self, work: Callable[..., Any], jobs: Iterable[Job]) -> Iterator[tuple[int, Any]]:
        """``work(*job)`` for every job; Dask gives the jobs of a dead worker to another."""
        from dask.distributed import as_completed  # noqa: PLC0415 - same

        futures = {self._client.submit(work, *job, pure=False): number for number, job in enumerate(jobs)}
        for future in as_completed(list(futures), loop=self._client.loop):  # type: ignore[no-untyped-call]
            yield futures[future], self._answer(future)
            future.release()

    def _answer(self, future: Any) -> Any:
        """What a job came to. Raises what it raised, and ``InputError`` where nobody could do it."""
        from distributed import CancelledError, KilledWorker  # noqa: PLC0415 - same

        try:
            return future.result()
        except (CancelledError, KilledWorker) as error:
            got = f"{type(error).__name__}: {error}"
            wanted = "a scheduler that stays, and workers with enough memory"
            raise InputError(file="command line", field="--cluster", got=got, wanted=wanted) from None

    def close(self) -> None:
        """Leave the cluster as it is."""
        self._client.close()  # type: ignore[no-untyped-call]


@contextmanager
def pool_of(workers: int, cluster: str | None) -> Iterator[Pool]:
    """The pool that was asked for. Raises ``InputError``."""
    if cluster is None and workers == 1:
        yield Here()
        return
    pool = Processes(workers) if cluster is None else Cluster(cluster)
    try:
        yield pool
    finally:
        pool.close()


def _once_more(lost: list[tuple[int, Job, int]]) -> list[tuple[int, Job, int]]:
    if any(tries == TRIES for _, _, tries in lost):
        got = f"a worker that died {TRIES} times"
        raise InputError(file="command line", field="--workers", got=got, wanted="workers with enough memory")
    return [(number, job, tries + 1) for number, job, tries in lost]


def _context() -> Any:
    """How processes begin: as copies of one that has imported what they need, where the system can do that."""
    is_long = len(tempfile.gettempdir()) > _LONGEST_FOLDER
    if is_long or "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["invariants.streaming.judging"])
    return context


def _begin() -> None:
    """A worker is one process on one core, as the pool is what is parallel; and it ends with its audit."""
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker is started by an audit"
    Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    """An audit that was killed says nothing to its workers, which would wait for ever."""
    parent.join()
    os._exit(1)
