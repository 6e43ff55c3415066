"""Streaming: a bundle judged piece by piece from its files is judged as it is in memory, to the byte."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from threading import Thread
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from benchmarks.long_run import write_long_run
from click.testing import CliRunner, Result
from clusters import worker_of
from hypothesis import given, settings
from hypothesis import strategies as st
from test_containment import wait_for
from test_split import QUIET, Split, splits

from invariants.auditing import audit
from invariants.cli import main
from invariants.demo import tape
from invariants.demo.maker import Maker, run_maker
from invariants.drivers import offspring
from invariants.laws import LAWS
from invariants.readers.bundle import read_bundle, write_bundle
from invariants.report.as_json import report_bytes
from invariants.report.page.windows import Windows
from invariants.splitting.carrying import taken
from invariants.streaming import NotInPiecesError, audit_streamed, auditing, files, ids
from simcore import InputError, Rules, Run
from simcore.run import ABSENT

PARQUET = Path(__file__).resolve().parent.parent / "fixtures" / "corpus" / "bundle-parquet"
Record = Callable[[str, object], None]
BY_FILLS = [law for law in LAWS if law.name == "no_double_fill"]
"""Judged by the fills and their orders alone."""


def bundle(run: Run, folder: Path, *, group_rows: int, statistics: bool = True) -> Path:
    """A bundle whose tables have row groups of so few rows."""
    shutil.rmtree(folder, ignore_errors=True)
    write_bundle(run, folder)
    for file in folder.glob("*.parquet"):
        pq.write_table(pq.read_table(file), file, row_group_size=group_rows, write_statistics=statistics)
    return folder


def in_memory(folder: Path, **more: Any) -> bytes:
    return report_bytes(audit(read_bundle(folder), **more))


@pytest.mark.parametrize("examples", [50, pytest.param(2000, marks=pytest.mark.soak)])
def test_any_run_is_judged_as_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Record, examples: int
) -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=examples, **QUIET)
    @given(
        st.sampled_from(LAWS).flatmap(splits),
        st.integers(1, 9),
        st.sampled_from((1, 2, 3, 7, 100)),
        st.sampled_from((1, 3, 1000)),
        st.sampled_from((0, 2, 50)),
        st.booleans(),
    )
    def holds(
        drawn: Split, group_rows: int, piece_rows: int, batch_rows: int, max_findings: int, statistics: bool
    ) -> None:
        monkeypatch.setattr(files, "BATCH_ROWS", batch_rows)
        files.forget()
        orders, fills = drawn.run.orders, drawn.run.fills
        if (orders.submit_ns == ABSENT).any() or "" in (*orders.order_id.tolist(), *fills.order_id.tolist()):
            seen["cannot be written"] += 1
            return
        folder = bundle(drawn.run, tmp_path / "run", group_rows=group_rows, statistics=statistics)
        whole = in_memory(folder, max_findings=max_findings)
        try:
            streamed = audit_streamed(folder, piece_rows=piece_rows, max_findings=max_findings)
        except NotInPiecesError as reason:
            seen[str(reason)] += 1
            return
        seen["in pieces"] += 1
        assert report_bytes(streamed) == whole

    holds()
    assert seen["in pieces"] > examples / 2
    record_property("runs", seen["in pieces"])


# one run of three days, and many ways to judge it


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three days of the demo's maker; the second has a fill too early, one of no order, and an id used twice."""
    folder = write_long_run(tmp_path_factory.mktemp("long") / "run", 3)
    fills, orders = pq.read_table(folder / "fills.parquet"), pq.read_table(folder / "orders.parquet")
    middle, id_column = len(fills) // 2, fills.column("order_id").to_pylist()
    ns = fills.column("ns").to_pylist()
    ns[middle] -= 10**9
    id_column[middle + 5] = -7
    again = orders.column("order_id").to_pylist()
    again[len(again) // 2] = again[10]
    for table, file, column, values in (
        (fills.set_column(0, "ns", pa.array(ns)), "fills", "order_id", id_column),
        (orders, "orders", "order_id", again),
    ):
        place = table.schema.get_field_index(column)
        pq.write_table(
            table.set_column(place, column, pa.array(values)), folder / f"{file}.parquet", row_group_size=40_000
        )
    return folder


@pytest.fixture(scope="module")
def whole(days: Path) -> bytes:
    report = audit(read_bundle(days))
    broken = {j.law for j in report.judgements if j.failed}
    assert {"order_ids_are_unique", "fills_have_orders", "fills_have_trades", "latency_is_respected"} & broken
    return report_bytes(report)


def audited(days: str | Path, *more: str) -> Result:
    """The command in this process, where it makes no difference."""
    return CliRunner().invoke(main, ["audit", str(days), *more])


def command(days: str | Path, *more: str, first: str = "") -> list[str]:
    return [sys.executable, "-c", f"{first}\nfrom invariants.cli import main; main()", "audit", str(days), *more]


@pytest.mark.parametrize(("workers", "piece_rows"), [(1, 10_000), (2, 77_777), (3, 20_000), (2, 10**7)])
def test_the_report_hangs_neither_on_the_workers_nor_on_the_cuts(
    days: Path, whole: bytes, record_property: Record, workers: int, piece_rows: int
) -> None:
    assert report_bytes(audit_streamed(days, workers=workers, piece_rows=piece_rows)) == whole
    record_property("runs", 1)


def test_ids_that_are_texts_and_come_twice(days: Path, tmp_path: Path) -> None:
    """What does not rise is compared by hashes, a part of them at a time, and then itself."""
    folder = shutil.copytree(days, tmp_path / "run")
    for table in ("orders", "fills"):
        read = pq.read_table(folder / f"{table}.parquet")
        place = read.schema.get_field_index("order_id")
        texts = pa.array([f"O-{name}" for name in read.column("order_id").to_pylist()])
        pq.write_table(read.set_column(place, "order_id", texts), folder / f"{table}.parquet")
    report = audit_streamed(folder)
    assert report["order_ids_are_unique"].failed == 1
    assert report_bytes(report) == in_memory(folder)


@pytest.mark.parametrize(
    "path", [".", "./run", "run/", ".//run/.", "run/run.toml", "../{0}/run", "{1}//run", "my-run.toml"]
)
def test_however_the_path_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """The names of the files are those of the whole run, too, and of the run where it has no name of its own."""
    for name in ("run", "my-run.toml"):
        folder = shutil.copytree(PARQUET, tmp_path / name)
        head = (folder / "run.toml").read_text()
        (folder / "run.toml").write_text(
            "".join(line for line in head.splitlines(keepends=True) if not line.startswith("name ="))
        )
    monkeypatch.chdir(tmp_path / "run" if path == "." else tmp_path)
    path = path.format(tmp_path.name, tmp_path)
    assert report_bytes(audit_streamed(path)) == report_bytes(audit(read_bundle(path)))


@pytest.mark.parametrize("laws", [None, BY_FILLS], ids=["all laws", "one law"])
def test_a_run_that_is_written_again_is_read_again(tmp_path: Path, laws: Any) -> None:
    """The process that had judged it judged the old rows once more, under the digests of the new ones."""
    folder = shutil.copytree(PARQUET, tmp_path / "run")
    assert audit_streamed(folder, laws=laws)["no_double_fill"].failed == 0
    rows = pq.read_table(folder / "fills.parquet")
    pq.write_table(pa.concat_tables([rows, rows]), folder / "fills.parquet")
    orders = pq.read_table(folder / "orders.parquet")
    pq.write_table(orders.slice(0, 1), folder / "orders.parquet")
    again = audit_streamed(folder, laws=laws)
    assert again["no_double_fill"].failed == 1
    assert again.run.read["orders"] == 1


@pytest.mark.parametrize("laws", [None, BY_FILLS], ids=["all laws", "one law"])
def test_ids_of_two_kinds_are_judged_as_a_whole(tmp_path: Path, laws: Any) -> None:
    """Orders have them as marked texts, the fills here are all of an integer: it was taken for no order's."""
    run = read_bundle(PARQUET)
    names = np.array([7, "b"], np.object_)
    fills = taken(replace(run.fills, order_id=names), np.array([0]))
    write_bundle(replace(run, orders=replace(run.orders, order_id=names), fills=fills), tmp_path / "run")
    assert audit(read_bundle(tmp_path / "run"))["fills_have_orders"].failed == 0
    with pytest.raises(NotInPiecesError, match="integers and texts side by side"):
        audit_streamed(tmp_path / "run", laws=laws)


@pytest.mark.parametrize("laws", [None, BY_FILLS], ids=["all laws", "one law"])
def test_texts_with_one_hash_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, laws: Any) -> None:
    monkeypatch.setattr(ids, "_hashes", lambda texts: np.zeros(len(texts), np.int64))
    run = read_bundle(PARQUET)
    fills = taken(replace(run.fills, order_id=np.array(["a", "b"], np.object_)), np.array([1]))
    orders = taken(replace(run.orders, order_id=np.array(["a", "b"], np.object_)), np.array([0]))
    write_bundle(replace(run, orders=orders, fills=replace(fills, order=np.array([-1]))), tmp_path / "run")
    with pytest.raises(NotInPiecesError, match="like that of an order, and not the same"):
        audit_streamed(tmp_path / "run", laws=laws)


@pytest.mark.parametrize("laws", [None, BY_FILLS], ids=["all laws", "one law"])
@pytest.mark.parametrize("texts", [["1", "2"], ["1.0", "2.0"]], ids=["texts", "as of floats"])
@pytest.mark.parametrize("integers", ["orders", "fills"])
def test_integers_here_and_their_texts_there_are_a_slip_of_the_tables(
    tmp_path: Path, integers: str, texts: list[str], laws: Any
) -> None:
    """The simulator was accused of fills of no order."""
    folder = shutil.copytree(PARQUET, tmp_path / "run")
    for table in ("orders", "fills"):
        read = pq.read_table(folder / f"{table}.parquet")
        place = read.schema.get_field_index("order_id")
        names: list[Any] = [1, 2] if table == integers else texts
        pq.write_table(read.set_column(place, "order_id", pa.array(names)), folder / f"{table}.parquet")
    with pytest.raises(InputError) as refused:
        audit(read_bundle(folder))
    assert (refused.value.file, refused.value.row) == (str(folder / "fills.parquet"), 1)
    assert str(refused.value).endswith(
        f"wanted the id as the orders have it: {1 if integers == 'orders' else texts[0]!r}"
    )
    with pytest.raises(NotInPiecesError, match="of orders and of fills are integers and texts"):
        audit_streamed(folder, laws=laws)


@pytest.mark.parametrize("laws", [None, BY_FILLS], ids=["all laws", "one law"])
def test_ids_of_an_odd_kind_are_judged_as_a_whole(days: Path, tmp_path: Path, laws: Any) -> None:
    folder = shutil.copytree(days, tmp_path / "run")
    read = pq.read_table(folder / "orders.parquet")
    place = read.schema.get_field_index("order_id")
    unsigned = read.column("order_id").cast(pa.uint64())
    pq.write_table(read.set_column(place, "order_id", unsigned), folder / "orders.parquet")
    with pytest.raises(NotInPiecesError, match="ids of the type uint64"):
        audit_streamed(folder, laws=laws)


def test_numbers_are_judged_without_pandas(tmp_path: Path) -> None:
    """Loading it takes longer than a query of the five laws."""
    run = write_long_run(tmp_path / "run", 1)
    code = (
        "import sys; from invariants.streaming import audit_streamed; from invariants.laws import LAWS\n"
        f"some = [law for law in LAWS if law.name == 'no_double_fill']; audit_streamed({str(run)!r}, laws=some)\n"
        f"audit_streamed({str(run)!r}); print('pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_run_without_one_order_that_can_be_used(tmp_path: Path) -> None:
    """All sizes are off the grid; the ids are texts, so their hashes are compared, of which there are none."""
    folder = shutil.copytree(PARQUET, tmp_path / "run")
    head = folder / "run.toml"
    head.write_text(head.read_text().replace('lot_size = "0.01"', 'lot_size = "7"'))
    report = audit_streamed(folder)
    assert len([row for row in report.run.rejected if row.table == "orders"]) == 2
    assert report_bytes(report) == in_memory(folder)


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.soak)])
def test_killed_at_any_instant_and_resumed(
    days: Path, whole: bytes, tmp_path: Path, record_property: Record, kills: int
) -> None:
    """An audit that is killed and started again ends with the same report, and judges no kept piece again."""
    random, killed, amid, done = Random(kills), 0, 0, 0  # noqa: S311 - a test, not a secret
    longest = 4.0
    while killed < kills or not done:
        kept, report = tmp_path / f"kept-{done}", tmp_path / f"report-{done}.json"
        arguments = ("--resume", str(kept), "--workers", "2", "--json", str(report))
        audited = subprocess.Popen(command(days, *arguments), stdout=subprocess.DEVNULL, start_new_session=True)
        before, started = _pieces(kept), time.monotonic()
        try:
            audited.wait(random.uniform(0, longest) if killed < kills else None)
        except subprocess.TimeoutExpired:
            os.killpg(audited.pid, signal.SIGKILL)
            audited.wait()
            killed += 1
            after = _pieces(kept)
            assert before <= after
            amid += bool(after)
            longest *= 1 if after else 1.1  # on a busy machine the first piece comes late
            continue
        longest = max(time.monotonic() - started, longest / 2)
        assert report.read_bytes() == whole
        assert before <= _pieces(kept)
        done += 1
    assert amid >= kills // 10
    for name, count in (("kills", killed), ("amid", amid), ("reports", done)):
        record_property(name, count)


def _pieces(kept: Path) -> set[tuple[str, int]]:
    """The pieces that are kept, and when each was written."""
    return {(file.name, file.stat().st_mtime_ns) for file in kept.glob("*/piece-*.json")}


@pytest.mark.parametrize(
    "damaged", [b"", b"{}", b"[" * 10**6, b"\0" * 10, b'{"number": 0, "shares": 7}', "cut"], ids=repr
)
def test_a_kept_piece_that_is_damaged_is_named(tmp_path: Path, damaged: bytes | str) -> None:
    audit_streamed(PARQUET, resume=tmp_path)
    [piece, *_] = tmp_path.glob("*/piece-*.json")
    piece.write_bytes(piece.read_bytes()[:-9] if isinstance(damaged, str) else damaged)
    with pytest.raises(InputError, match=r"piece-0+\.json: --resume: got .*, wanted a piece as an audit kept it"):
        audit_streamed(PARQUET, resume=tmp_path)


@pytest.mark.parametrize(
    ("was", "written", "sealed"),
    [
        (b'"judged":1', b'"judged":2', False),
        (b'"judged":1', b'"judged":"many"', False),
        (b'"law":"', b'"law":"no_', False),
        (b'"number":0', b'"number":999', True),
        (b'"number":0', b'"number":null', True),
    ],
)
def test_a_kept_piece_that_somebody_wrote_is_named(tmp_path: Path, was: bytes, written: bytes, sealed: bool) -> None:
    audit_streamed(PARQUET, resume=tmp_path)
    [piece, *_] = tmp_path.glob("*/piece-*.json")
    data = piece.read_bytes().partition(b"\n")[2]
    assert was in data
    data = data.replace(was, written, 1)
    piece.write_bytes((hashlib.sha256(data).hexdigest().encode() if sealed else b"0" * 64) + b"\n" + data)
    with pytest.raises(InputError, match=r"piece-0+\.json: --resume: got .*, wanted a piece as an audit kept it"):
        audit_streamed(PARQUET, resume=tmp_path)


def test_a_page_shows_what_stands_around_the_findings(days: Path) -> None:
    """As in memory, but for what is too far from any finding to be drawn."""
    run = read_bundle(days)
    near = audit_streamed(days, shown=True).run
    assert len(near.fills) == len(run.fills)
    assert 0 < len(near.orders) < len(run.orders) / 100
    assert 0 < len(near.trades) < len(run.trades) / 100
    broken = [j for j in audit(run).judgements if j.failed]
    whole_windows, near_windows = Windows(run, 10_000), Windows(near, 10_000)
    for finding in (finding for judgement in broken for finding in judgement.findings):
        assert (whole_windows.place(finding) is None) == (near_windows.place(finding) is None)
    ours, theirs = near_windows.to_dict(), whole_windows.to_dict()
    assert ours["windows"]
    for name in ("tick", "lot", "cap", "initial"):
        assert ours[name] == theirs[name]
    assert {row[0] for row in ours["windows"]} == {row[0] for row in theirs["windows"]}
    assert ours["trades"]["row"] == theirs["trades"]["row"]
    assert {tuple(order[:2]) for order in ours["orders"]} == {tuple(order[:2]) for order in theirs["orders"]}


def test_a_judged_piece_is_not_judged_again(days: Path, whole: bytes, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    audit_streamed(days, resume=tmp_path)
    report = audit_streamed(days, resume=tmp_path, told=lambda done, total: told.append((done, total)))
    assert report_bytes(report) == whole
    [(done, total)] = told
    assert done == total > 2


def test_kept_pieces_of_another_input_are_not_taken(days: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(days, tmp_path / "run")
    audit_streamed(folder, resume=tmp_path / "kept")
    head = folder / "run.toml"
    head.write_text(head.read_text().replace("latency_ns = 300000000", "latency_ns = 400000000", 1))
    report = audit_streamed(folder, resume=tmp_path / "kept")
    assert report_bytes(report) == in_memory(folder)
    assert len(list((tmp_path / "kept").iterdir())) == 2


def _overwritten(file: Path) -> None:
    """One byte in the middle is another; length and time of the file are as before."""
    before, data = file.stat(), bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replaced(file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(file.read_bytes() + b"# later\n")
    other.replace(file)


CHANGES: dict[str, Callable[[Path], object]] = {
    "appended to": lambda file: file.write_bytes(file.read_bytes() + b"# later\n"),
    "overwritten": _overwritten,
    "cut": lambda file: os.truncate(file, file.stat().st_size // 2),
    "emptied": lambda file: os.truncate(file, 0),
    "replaced": _replaced,
    "removed": Path.unlink,
}


@pytest.mark.parametrize("long", [False, pytest.param(True, marks=pytest.mark.soak)], ids=["short", "long"])
@pytest.mark.parametrize("file", ["orders.parquet", "tape.parquet", "fills.parquet", "run.toml"])
@pytest.mark.parametrize("change", CHANGES)
def test_an_input_that_changes_while_it_is_read_is_refused(
    request: pytest.FixtureRequest, tmp_path: Path, file: str, change: str, long: bool
) -> None:
    folder = shutil.copytree(request.getfixturevalue("days") if long else PARQUET, tmp_path / "run")
    changes = iter([CHANGES[change]])

    def told(_done: int, _total: int) -> None:
        for once in changes:
            once(folder / file)

    with pytest.raises(InputError) as refused:
        audit_streamed(folder, piece_rows=50_000 if long else 1, told=told)
    assert refused.value.file == str(folder / file)


def test_a_run_that_is_no_bundle_of_parquet_is_judged_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "run.toml").write_text('format = "fillproof-run/1"\n')
    (folder / "fills.csv").write_text("ns,order_id,side,price,size\n1,1,buy,1,1\n")
    with pytest.raises(NotInPiecesError, match=r"fills\.csv is no Parquet file"):
        audit_streamed(folder)
    said = audited(folder, "--workers", "2")
    assert said.exit_code == 0
    assert said.stderr == f"{folder}: judged as a whole: {folder}/fills.csv is no Parquet file\n"


def test_the_output_of_an_engine_is_said_to_be_judged_as_a_whole() -> None:
    output = PARQUET.parent / "zipline"
    said = audited(output, "--workers", "2")
    assert said.exit_code in (0, 1)
    assert said.stderr == f"{output}: judged as a whole: it is no bundle that is read as it stands\n"
    wrong = audited(PARQUET / "none", "--workers", "2")
    assert (wrong.exit_code, wrong.stderr.count("\n")) == (2, 1)


# a cluster, and a store of objects


@pytest.mark.parametrize("where", [pytest.param("here", marks=pytest.mark.soak), "cluster"])
def test_a_worker_is_killed_amid_its_work_and_nothing_is_lost_or_counted_twice(
    request: pytest.FixtureRequest,
    days: Path,
    whole: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Record,
    where: str,
) -> None:
    """Two workers have one stretch of four pieces after another; one of them is killed when the first is done."""
    monkeypatch.setattr(auditing, "STRETCH", 4)
    address, workers, at = None, [], []
    if where == "cluster":
        address = request.getfixturevalue("scheduler")
        workers = [worker_of(address, tmp_path / f"scratch-{number}") for number in range(2)]

    def told(done: int, total: int) -> None:
        if 0 < done < total and not at:
            (workers or multiprocessing.active_children())[0].kill()
            at.append((done, total))

    try:
        report = audit_streamed(days, workers=2, cluster=address, piece_rows=10_000, told=told)
    finally:
        for process in workers:
            process.kill()
            process.wait()
    assert report_bytes(report) == whole
    [(done, total)] = at
    assert done < total / 2
    record_property("killed", f"{where}: after {done} of {total} pieces")


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc, which is Linux's")
def test_workers_end_with_an_audit_that_is_killed_alone() -> None:
    """Its process group is left alive, as where a supervisor or the kernel kills one process."""
    mark = offspring.new_mark()
    work = (
        "import time\n"
        "from invariants.streaming.pools import pool_of\n"
        "if __name__ == '__main__':\n"
        "    with pool_of(2, None) as pool: list(pool.each(time.sleep, [(1e6,)] * 2))\n"
    )
    alone = subprocess.Popen([sys.executable, "-c", work], env={**os.environ, offspring.MARK: mark})
    wait_for(lambda: len(offspring.living(mark)) > 2)
    alone.kill()
    alone.wait()
    wait_for(lambda: not offspring.living(mark))


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_supervisor_ends_an_audit_and_nothing_is_left_of_it(days: Path, tmp_path: Path, workers: str) -> None:
    """SIGTERM, to the process alone: its workers end, and what it had put aside is removed.

    A worker that was just being started may complain that nobody told it what to do.
    """
    mark = offspring.new_mark()
    there = {**os.environ, offspring.MARK: mark, "TMPDIR": str(tmp_path)}
    words = command(days, "--workers", workers)
    with subprocess.Popen(words, env=there, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as audited:
        wait_for(lambda: any(tmp_path.glob("fillproof-*")))
        audited.terminate()
        shown, said = audited.communicate(timeout=60)
    assert shown == b""
    assert b"terminated\n" in said
    assert audited.returncode == 128 + signal.SIGTERM
    wait_for(lambda: not offspring.living(mark))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense", "http://127.0.0.1:1"])
def test_a_cluster_that_is_not_there_is_named(days: Path, address: str) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'fillproof[cluster]'")
    soon = "from invariants.streaming import pools; pools.SCHEDULER_SECONDS = 0.5"
    said = subprocess.run(command(days, "--cluster", address, first=soon), capture_output=True, text=True, check=False)
    assert said.returncode == 2
    assert "command line: --cluster: got" in said.stderr
    assert said.stderr.count("\n") == 1


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A bucket with two runs and a folder that is none, on a server of its own; and the run as it is here."""
    server_of = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed")
    server = server_of.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patched:
        for name, value in (
            ("AWS_ENDPOINT_URL", f"http://{host}:{port}"),
            ("AWS_ACCESS_KEY_ID", "nobody"),
            ("AWS_SECRET_ACCESS_KEY", "nothing"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
        ):
            patched.setenv(name, value)
        there = s3fs.S3FileSystem(skip_instance_cache=True)
        there.makedirs("firm", exist_ok=True)  # the server keeps its buckets while the process lives
        hour, rules = tape.day(seconds=3600), Rules.load("origin", instrument=tape.INSTRUMENT)
        run = run_maker(hour, rules, tape.INSTRUMENT, Maker())
        small = bundle(run, tmp_path_factory.mktemp("store") / "small", group_rows=700)
        for name in ("a", "b"):
            for file in small.iterdir():
                there.put(str(file), f"firm/runs/{name}/{file.name}")
        there.pipe("firm/runs/notes/read.me", b"nothing")
        yield "s3://firm/runs", small
    server.stop()


def test_runs_in_a_store_of_objects_are_judged_where_they_are(store: tuple[str, Path], tmp_path: Path) -> None:
    place, small = store
    (tmp_path / "reports").mkdir()
    said = subprocess.run(
        command(f"{place}/*", "--workers", "2", "--json", str(tmp_path / "reports")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    assert said.stderr == "not audited: 1 that match and have no run.toml: s3://firm/runs/notes\n"
    table = [line.split()[:2] for line in said.stdout.splitlines() if line.startswith("s3://")]
    assert table == [["s3://firm/runs/a", "0"], ["s3://firm/runs/b", "0"]]
    there, here = (json.loads(data) for data in (min((tmp_path / "reports").iterdir()).read_bytes(), in_memory(small)))
    assert {k: there[k] for k in ("verdict", "rows", "smells", "justification")} == {
        k: here[k] for k in ("verdict", "rows", "smells", "justification")
    }
    assert json.dumps(there["laws"]).replace("s3://firm/runs/a", str(small)) == json.dumps(here["laws"])
    assert set(there["inputs"].values()) == set(here["inputs"].values())


@pytest.mark.parametrize(("named", "runs"), [("a/run.toml", 1), ("*/run.toml", 2)])
def test_a_run_in_a_store_may_be_named_by_its_head(store: tuple[str, Path], named: str, runs: int) -> None:
    said = subprocess.run(command(f"{store[0]}/{named}"), capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (0, "")
    assert len([line for line in said.stdout.splitlines() if line.startswith((" PASS", " UNKNOWN"))]) == runs


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder."""

    def log_message(self, *_: object) -> None:
        """Say nothing: it shares standard error with the command."""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """A server of the folder ``web`` that anybody may read, with or without a password."""
    pytest.importorskip("aiohttp", reason="aiohttp is not installed: pip install 'fillproof[remote]'")
    (tmp_path / "web").mkdir()
    handler = partial(Quiet, directory=str(tmp_path / "web"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever).start()
        yield f"user:secret@127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_password_is_in_no_report(web: str, tmp_path: Path) -> None:
    for name in ("a", "b"):
        shutil.copytree(PARQUET, tmp_path / "web" / name)
    os.truncate(tmp_path / "web" / "b" / "tape.parquet", 99)
    out = tmp_path / "out"
    files = (x for name in ("json", "html", "sarif", "summary-file") for x in (f"--{name}", str(out / name)))
    out.mkdir()
    said = audited(f"http://{web}/*", *files)
    assert said.exit_code == 2
    assert said.stderr.count("tape.parquet: file: got") == 1
    assert f"http://{web.partition('@')[2]}/a/fills.parquet" in said.stdout
    written = [file.read_bytes() for file in out.rglob("*") if file.is_file()]
    assert len(written) == 4
    assert not any(b"secret" in told for told in (said.stdout.encode(), said.stderr.encode(), *written))


def test_a_table_of_another_kind_is_refused_where_it_is_not_local(web: str, tmp_path: Path) -> None:
    shutil.copytree(PARQUET, tmp_path / "web" / "run")
    quotes = tmp_path / "web" / "run" / "quotes.parquet"
    quotes.rename(quotes.with_suffix(".jsonl"))
    said = audited(f"http://{web}/run")
    assert said.exit_code == 2
    assert "/run: quotes: got 'quotes.jsonl', wanted quotes.parquet or" in said.stderr


@pytest.mark.parametrize(("workers", "step"), [("1", 1), ("2", 4), pytest.param("2", 1, marks=pytest.mark.soak)])
def test_a_server_that_fails_amid_the_rows_is_named(
    web: str, tmp_path: Path, days: Path, monkeypatch: pytest.MonkeyPatch, workers: str, step: int
) -> None:
    """Its client library raises what it likes, some of which does not even pickle."""
    from fsspec.implementations.http import HTTPFileSystem

    (tmp_path / "web" / "run").symlink_to(days)
    whole_file = SimpleHTTPRequestHandler.do_GET
    asked: list[str] = []
    allowed = [99]

    def part(self: SimpleHTTPRequestHandler) -> None:
        if "Range" not in self.headers:
            whole_file(self)
            return
        asked.append(self.path)
        if self.path.endswith("orders.parquet") and asked.count(self.path) > allowed[0]:
            self.send_error(500)
            return
        data = (days / self.path.rpartition("/")[2]).read_bytes()
        first, last = (int(edge) for edge in self.headers["Range"].removeprefix("bytes=").split("-"))
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{min(last, len(data) - 1)}/{len(data)}")
        self.end_headers()
        self.wfile.write(data[first : last + 1])

    def takes_parts(self: SimpleHTTPRequestHandler) -> None:
        self.send_header("Accept-Ranges", "bytes")
        BaseHTTPRequestHandler.end_headers(self)

    monkeypatch.setattr(SimpleHTTPRequestHandler, "do_GET", part)
    monkeypatch.setattr(SimpleHTTPRequestHandler, "end_headers", takes_parts)

    def asks() -> Result:
        asked.clear()
        files.forget()  # as in a process of its own, but for what that takes to begin
        HTTPFileSystem.clear_instance_cache()
        return audited(f"http://{web}/run", "--workers", workers)

    assert asks().exit_code == 1
    count, codes = asked.count("/run/orders.parquet"), []
    for allowed[0] in (1, 2, *range(3, count, step)):
        said = asks()
        codes.append(said.exit_code)
        # who has which group, and so how often is asked, is another thing each time
        assert (said.exit_code, said.stderr.count("\n")) in ((1, 0), (2, 1)), said.stderr
        assert said.exit_code == 1 or "/run/orders.parquet: file: got" in said.stderr
    assert codes[:2] == [2, 2]


@pytest.mark.parametrize("url", ["http://[secret/run", "http://[secret/*", "s3://[secret/run"])
def test_what_is_no_url_is_refused(url: str) -> None:
    said = audited(url)
    assert (said.exit_code, said.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize("url", ["s3://firm/runs/notes", "s3://firm/none/*", "s3://nobody/x"])
def test_what_a_store_does_not_have_is_refused(store: tuple[str, Path], url: str) -> None:
    assert store
    said = subprocess.run(command(url), capture_output=True, text=True, check=False)
    assert said.returncode == 2
    assert said.stderr.startswith("fillproof: s3:/")
    assert said.stderr.count("\n") == 1
