"""Workers of an audit that die: nothing that they did, or had to do, is lost or done twice."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from pathlib import Path

import pytest
from clusters import worker_of

from invariants.streaming import pools
from simcore import InputError


def test_a_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    fatal = tmp_path / "fatal"
    fatal.touch()
    with pools.pool_of(2, None) as pool:
        done = dict(pool.each(_dies_once, [(number, str(fatal)) for number in range(12)]))
    assert done == {number: number for number in range(12)}
    assert not fatal.exists()


def test_what_was_done_when_a_worker_died_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The death of one worker and the answer of another are heard of in one moment."""
    fatal = tmp_path / "fatal"
    fatal.touch()
    monkeypatch.setattr(pools, "wait", lambda running, return_when: wait(running))  # noqa: ARG005 - all of them
    with pools.pool_of(2, None) as pool:
        done = dict(pool.each(_dies_once, [(number, str(fatal)) for number in range(12)]))
    assert done == {number: number for number in range(12)}


def test_workers_that_die_while_there_is_nothing_to_do_are_replaced() -> None:
    with pools.pool_of(2, None) as pool:
        assert dict(pool.each(_same, [(1,)])) == {0: 1}
        for worker in multiprocessing.active_children():
            worker.kill()
        time.sleep(0.2)  # until the pool knows
        assert dict(pool.each(_same, [(number,) for number in range(9)])) == {number: number for number in range(9)}


def test_a_temporary_folder_with_a_long_name_has_no_room_for_a_socket(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 20)
    folder.mkdir()
    run = Path(__file__).parent.parent / "fixtures" / "corpus" / "bundle-parquet"
    command = [sys.executable, "-c", "from invariants.cli import main; main()", "audit", str(run)]
    there = os.environ | {"TMPDIR": str(folder)}
    said = [
        subprocess.run([*command, *more], check=False, capture_output=True, text=True, env=there)
        for more in ([], ["--workers", "2"])
    ]
    assert not said[1].stderr
    assert said[1].stdout == said[0].stdout


def _same(number: int) -> int:
    return number


def test_a_job_that_kills_every_worker_is_named() -> None:
    with pools.pool_of(2, None) as pool, pytest.raises(InputError, match="a worker that died 2 times"):
        list(pool.each(os._exit, [(1,)]))


def _dies_once(number: int, fatal: str) -> int:
    if number == 5 and Path(fatal).exists():
        Path(fatal).unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@contextmanager
def _workers(scheduler: str, scratch: Path, count: int, **more: str) -> Iterator[None]:
    started = [worker_of(scheduler, scratch, **more) for _ in range(count)]
    try:
        from distributed import Client

        with Client(scheduler, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=60)
        yield
    finally:
        for worker in started:
            worker.kill()
            worker.wait()


def test_a_job_that_kills_the_workers_of_a_cluster_is_named(scheduler: str, tmp_path: Path) -> None:
    with (
        _workers(scheduler, tmp_path, 4),
        pytest.raises(InputError, match=r"--cluster: got .KilledWorker"),
        pools.pool_of(1, scheduler) as pool,
    ):
        list(pool.each(os._exit, [(1,)]))


def test_workers_of_another_version_judge_nothing(scheduler: str, tmp_path: Path) -> None:
    (tmp_path / "fillproof-9.9.dist-info").mkdir()
    (tmp_path / "fillproof-9.9.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: fillproof\nVersion: 9.9\n"
    )
    with (
        _workers(scheduler, tmp_path, 1, PYTHONPATH=str(tmp_path)),
        pytest.raises(InputError, match=r"fillproof 9\.9', wanted workers with fillproof"),
        pools.pool_of(1, scheduler),
    ):
        pass


def test_a_scheduler_that_ends_is_named(scheduler: str, tmp_path: Path) -> None:
    from distributed import Client

    def ends() -> Iterator[tuple[int]]:
        yield (9,)
        with Client(scheduler, set_as_default=False) as client:
            client.shutdown()

    with (
        _workers(scheduler, tmp_path, 1),
        pytest.raises(InputError, match=r"--cluster: got .*Cancelled"),
        pools.pool_of(1, scheduler) as pool,
    ):
        list(pool.each(time.sleep, ends()))


def test_a_cluster_without_workers_is_named(scheduler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "WORKERS_SECONDS", 0.5)
    with (
        pytest.raises(InputError, match=r"got 'no worker within 0\.5 s', wanted a scheduler with workers"),
        pools.pool_of(1, scheduler),
    ):
        pass
