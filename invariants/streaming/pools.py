"""Where looks and stretches are done: in this process, in several on this machine, or on a Dask cluster."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from threading import Thread
from typing import Any, Protocol

import pyarrow as pa

from simcore import InputError

Job = tuple[Any, ...]

TRIES = 2
"""How often a job is given to a worker before it is said that it kills them."""


class Pool(Protocol):
    """Does jobs; answers come with the number of their job, in any order."""

    def each(self, work: Callable[..., Any], jobs: Iterable[Job]) -> Iterator[tuple[int, Any]]:
        """``work(*job)`` for every job. Raises what ``work`` raises."""


class Here:
    """This process, one job after the other."""

    def each(self, work: Callable[..., Any], jobs: Iterable[Job]) -> Iterator[tuple[int, Any]]:
        """``work(*job)`` for every job."""
        for number, job in enumerate(jobs):
            yield number, work(*job)


class Processes:
    """Some processes on this machine; one that dies is replaced, and its jobs are done again."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool = self._started()

    def _started(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self._workers, context, initializer=_alone)

    def each(self, work: Callable[..., Any], jobs: Iterable[Job]) -> Iterator[tuple[int, Any]]:
        """``work(*job)`` for every job; few are waiting at a time, so that they need not all be there."""
        rest = ((number, job, 1) for number, job in enumerate(jobs))
        again: list[tuple[int, Job, int]] = []
        running: dict[Future[Any], tuple[int, Job, int]] = {}
        while True:
            while len(running) <= self._workers and (given := again.pop() if again else next(rest, None)):
                running[self._pool.submit(work, *given[1])] = given
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            lost = [running[future] for future in done if isinstance(future.exception(), BrokenProcessPool)]
            if lost:
                again += _once_more([*lost, *(given for future, given in running.items() if future not in done)])
                running = {}
                self.close()
                self._pool = self._started()
                continue
            for future in done:
                number, _, _ = running.pop(future)
                yield number, future.result()

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown(cancel_futures=True)


class Cluster:
    """The workers of a Dask cluster, which must reach the files under the same names."""

    def __init__(self, address: str) -> None:
        try:
            from dask.distributed import Client  # noqa: PLC0415 - an extra that most do without
        except ImportError as error:
            wanted = "Dask: pip install 'fillproof[cluster]'"
            raise InputError(file="command line", field="--cluster", got=str(error), wanted=wanted) from None
        try:
            self._client = Client(address, timeout="10s", set_as_default=False)  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as error:
            wanted = "the address of a Dask scheduler"
            raise InputError(file="command line", field="--cluster", got=f"{address}: {error}", wanted=wanted) from None

    def each(self, work: Callable[..., Any], jobs: Iterable[Job]) -> Iterator[tuple[int, Any]]:
        """``work(*job)`` for every job; Dask gives the jobs of a dead worker to another."""
        from dask.distributed import as_completed  # noqa: PLC0415 - same

        futures = {self._client.submit(work, *job, pure=False): number for number, job in enumerate(jobs)}
        for future in as_completed(list(futures), loop=self._client.loop):  # type: ignore[no-untyped-call]
            yield futures[future], future.result()
            future.release()

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


def _alone() -> None:
    """A worker is one process on one core: the pool is what is parallel. It does not outlive who started it."""
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    """A parent that was killed cannot say that there are no more jobs: its workers would wait for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker was started by somebody"
    parent.join()
    os._exit(1)
