"""The audit of a long run against what one would write by hand; ``pip install -e '.[bench]'`` brings the rivals.

``python tests/benchmarks/audit.py [--days 6 62 620] [--folder DIR] [--readme]`` measures, each in a fresh process: a
bare read of the same Parquet files, the five laws of the card as a DuckDB and as a Polars query, ``fillproof
audit`` of these five and of all laws, with one and two processes. The runs are made where they are not
there yet. ``--readme`` writes the tables between the marks of the README.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
LONG_RUN = ROOT / "tests" / "benchmarks" / "long_run.py"

CARD = (
    "latency_is_respected",
    "no_double_fill",
    "fill_size_equals_quote_size",
    "fill_price_equals_limit",
    "position_stays_within_cap",
)
"""The five laws of the card."""

BARE = """
import sys, pyarrow.parquet as pq
for table in ("tape", "quotes", "orders", "fills", "positions"):
    pq.read_table(f"{sys.argv[1]}/{table}.parquet")
"""

DUCKDB = """
import sys, duckdb
print(duckdb.sql(f'''
    with f as (select *, row_number() over () as n from read_parquet('{sys.argv[1]}/fills.parquet')),
    o as (select order_id, price, size, submit_ns from read_parquet('{sys.argv[1]}/orders.parquet')
          where order_id in (select order_id from f)),
    p as (select 10 + sum(side * size) over (order by n) as after, side * size as moved from f)
    select count(*) filter (f.ns < o.submit_ns + 300000000), (select count(*) - count(distinct order_id) from f),
           count(*) filter (f.size <> o.size), count(*) filter (f.price <> o.price),
           (select count(*) from p where abs(after) > 10 and not
               (abs(after) < abs(after - moved) and sign(after) = sign(after - moved)))
    from f join o using (order_id)
''').fetchall())
"""

POLARS = """
import sys, polars as pl
fills = pl.scan_parquet(f"{sys.argv[1]}/fills.parquet")
orders = pl.scan_parquet(f"{sys.argv[1]}/orders.parquet").select("order_id", "price", "size", "submit_ns")
both = fills.join(orders, on="order_id", suffix="_o")
moved = pl.col("side").cast(pl.Int64) * pl.col("size").cast(pl.Float64)
after = (10 + moved.cum_sum()).alias("after")
beyond = (pl.col("after").abs() > 10) & ~(
    (pl.col("after").abs() < (pl.col("after") - pl.col("moved")).abs())
    & (pl.col("after").sign() == (pl.col("after") - pl.col("moved")).sign()))
wrong, twice, cap = pl.collect_all([
    both.select((pl.col("ns") < pl.col("submit_ns") + 300_000_000).sum(), s=(pl.col("size") != pl.col("size_o")).sum(),
                p=(pl.col("price") != pl.col("price_o")).sum()),
    fills.select(pl.len() - pl.col("order_id").n_unique()),
    fills.select(after, moved.alias("moved")).select(beyond.sum()),
])
print(wrong.row(0)[0], twice.item(), *wrong.row(0)[1:], cap.item())
"""

LEAST = (
    """
import hashlib, sys
from concurrent.futures import ThreadPoolExecutor
import click, numpy
def digest(table):
    with open(f"{sys.argv[1]}/{table}.parquet", "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
with ThreadPoolExecutor() as pool:
    kept = list(pool.map(digest, ("orders", "fills")))
"""
    + DUCKDB
)
"""The query, and what an audit cannot do without: a command, arrays, and the digests that its report carries."""

FILLPROOF = "from invariants.cli import main; main()"


@dataclass(frozen=True)
class Measured:
    """The best of some runs: wall clock and processor seconds, and the peak memory of the largest process."""

    seconds: float
    cpu: float
    megabytes: float


def measure(argv: Sequence[str], times: int) -> Measured:
    """Run a program so many times, each in a process of its own."""
    found = []
    for _ in range(times):
        started = time.perf_counter()
        child = os.posix_spawn(
            argv[0], list(argv), os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
        )
        _, status, used = os.wait4(child, 0)
        seconds = time.perf_counter() - started
        if os.waitstatus_to_exitcode(status) != 0:
            raise SystemExit(f"{' '.join(argv)} ended with {os.waitstatus_to_exitcode(status)}")
        all_used = [used, *_left_behind()]
        cpu = sum(one.ru_utime + one.ru_stime for one in all_used)
        found.append(Measured(seconds, cpu, max(one.ru_maxrss for one in all_used) / 1024))
    return min(found, key=lambda one: one.seconds)


def _left_behind() -> Iterator[Any]:
    """What the processes used that were started by a program and end after it, such as the one that starts workers."""
    while True:
        try:
            yield os.wait4(-1, 0)[2]
        except ChildProcessError:
            return


_PR_SET_CHILD_SUBREAPER = 36


def adopt() -> None:
    """Let this process wait for what its programs leave behind (Linux)."""
    if ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1) != 0:
        raise OSError("this process cannot adopt others")


def script(code: str, *arguments: str) -> list[str]:
    """A Python program of these lines."""
    return [sys.executable, "-c", code, *arguments]


def audit(folder: Path, *more: str) -> list[str]:
    """The command under test."""
    return script(FILLPROOF, "audit", str(folder), *more)


def contenders(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """What is measured on one run."""
    five = [word for law in CARD for word in ("--law", law)]
    yield "(a) bare `pyarrow` read of all columns", script(BARE, str(folder))
    yield "(b) the five laws of the card, DuckDB", script(DUCKDB, str(folder))
    yield "(c) the five laws of the card, Polars", script(POLARS, str(folder))
    yield "(b) with digests, numpy and click: the least for (d)", script(LEAST, str(folder))
    yield "(d) `fillproof audit` of the same five", audit(folder, *five)
    yield "(e) `fillproof audit`, all laws, 1 process", audit(folder, "--workers", "1")
    yield "(e) `fillproof audit`, all laws, 2 processes", audit(folder, "--workers", "2")


def speed(folder: Path, times: int) -> Iterator[str]:
    """The table of one run: the best of some rounds in which one after the other is measured."""
    rows = _rows(folder)
    rounds = [{name: measure(argv, 1) for name, argv in contenders(folder)} for _ in range(times)]
    found = {name: min((one[name] for one in rounds), key=lambda one: one.seconds) for name in rounds[0]}
    bare = found[next(iter(found))].seconds
    yield f"| {folder.name}: {rows:,} rows | seconds | processor seconds | times (a) | peak MB of a process |"
    yield "|---|---|---|---|---|"
    for name, one in found.items():
        yield f"| {name} | {one.seconds:.1f} | {one.cpu:.1f} | {one.seconds / bare:.1f} | {one.megabytes:.0f} |"
    alone, both = (found[name].seconds for name in list(found)[-2:])
    yield ""
    yield f"Two processes are {alone / both:.2f} times as fast as one."


def growth(folders: Sequence[Path], times: int) -> Iterator[str]:
    """Time and memory of all laws over runs of growing length, the exponent of time, and what a trillion costs."""
    found = [(_rows(folder), measure(audit(folder, "--workers", "1"), times)) for folder in folders]
    yield "| run | rows | seconds | rows a core-second | peak MB |"
    yield "|---|---|---|---|---|"
    for folder, (rows, one) in zip(folders, found, strict=True):
        yield f"| {folder.name} | {rows:,} | {one.seconds:.1f} | {rows / one.cpu:,.0f} | {one.megabytes:.0f} |"
    powers = [
        f"{math.log(long.cpu / short.cpu) / math.log(many / few):.2f}" for (few, short), (many, long) in pairwise(found)
    ]
    if powers:
        yield ""
        yield f"Processor time grows with these powers of the rows, from each run to the next: {', '.join(powers)}."
    yield ""
    yield from cost(folders[-1], found[-1][1].cpu)


MARKERS_A_DAY = 124_302 + 117_506 + 1_625
"""Submits, cancels and fills of the day that is written again and again."""

PRICE = 0.05
"""An assumption: USD for an hour of one core."""


def cost(folder: Path, core_seconds: float) -> Iterator[str]:
    """What this says of a trillion markers."""
    count = int(folder.name.split()[0]) * MARKERS_A_DAY
    stored = sum(file.stat().st_size for file in folder.glob("*.parquet"))
    hours, gigabytes = core_seconds / count * 1e12 / 3600, stored / count * 1e12 / 1e9
    yield (
        f"A trillion markers (submits, cancels, fills), with the tape that they met: {hours:,.0f} core-hours, which at "
        f"{PRICE} USD an hour (an assumption) are {hours * PRICE:,.0f} USD; {gigabytes / 1000:,.1f} TB stored, read "
        f"between three and four times: two digests, a look at names and times, the judging."
    )


def markers(lines: int) -> Iterator[str]:
    """JSON lines: our reader against bare parsers."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "markers.jsonl"
        with file.open("w", encoding="utf-8") as out:
            for n in range(lines // 2):
                for kind, ns in (("submit", 2 * n), ("cancel", 2 * n + 1)):
                    told = {"ts": 10**18 + ns * 10**6, "kind": kind, "side": "buy", "price": 361000 + n % 50}
                    out.write(json.dumps({**told, "size": 5, "reason": "requote", "order_id": n}) + "\n")
        yield "| JSON lines | seconds | lines a second | of the fastest |"
        yield "|---|---|---|---|"
        parsers = {
            "orjson, bare": "import sys, orjson\nfor line in open(sys.argv[1], 'rb'): orjson.loads(line)",
            "json, bare": "import sys, json\nfor line in open(sys.argv[1], 'rb'): json.loads(line)",
            "`fillproof`, read and matched": "import sys, invariants.readers as r\nr.read_run(sys.argv[1])",
        }
        found = {name: measure(script(code, str(file)), 2).seconds for name, code in parsers.items()}
        for name, seconds in found.items():
            share = min(found.values()) / seconds
            yield f"| {name} | {seconds:.2f} | {lines / seconds:,.0f} | {share:.0%} |"


def _rows(folder: Path) -> int:
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(file).num_rows for file in folder.glob("*.parquet"))


def written(folder: Path, days: int) -> Path:
    """The run of so many days, made by a process of its own: its parent's peak memory is that of all it measures."""
    argv = [sys.executable, str(LONG_RUN), str(folder / f"{days} days"), "--days", str(days)]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return folder / f"{days} days"


def machine(*libraries: str) -> str:
    """What measured, with the versions of what took part."""
    python = f"{os.cpu_count()} cores ({platform.machine()})", f"Python {platform.python_version()}"
    return ", ".join([*python, *(f"{name} {version(name)}" for name in libraries)])


def main() -> None:
    """Print the tables, or write them into the README."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, nargs="+", default=[6, 62, 620])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "fillproof-long-runs")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--lines", type=int, default=4_000_000)
    parser.add_argument("--readme", action="store_true")
    given = parser.parse_args()
    adopt()
    folders = [written(given.folder, days) for days in given.days]
    middle = folders[min(1, len(folders) - 1)]
    parts: list[Callable[[], Iterator[str]]] = [
        lambda: speed(middle, given.times),
        lambda: growth(folders, 1),
        lambda: markers(given.lines),
    ]
    lines = [f"Measured on {machine('pyarrow', 'duckdb', 'polars', 'numpy')}.", ""]
    for part in parts:
        lines += [*part(), ""]
    print("\n".join(lines))
    if given.readme:
        text = README.read_text(encoding="utf-8")
        head, _, rest = text.partition("<!-- audit-benchmark -->\n")
        _, _, tail = rest.partition("<!-- /audit-benchmark -->")
        table = "\n".join(lines).rstrip() + "\n"
        README.write_text(f"{head}<!-- audit-benchmark -->\n{table}<!-- /audit-benchmark -->{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
