"""Inputs made to break the reader, and places that cannot be written: one named line, exit 2, bounded memory."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path

import fuzz
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from malformed_inputs import CASE, TABLES, marker_lines, write_bundle_by_hand, write_markers_by_hand

from invariants.cli import main
from invariants.readers import read_run
from invariants.readers.bundle import write_bundle
from invariants.readers.kinds import READERS
from invariants.readers.tables import LARGEST_LINE
from invariants.splitting.carrying import taken
from simcore import InputError

CORPUS = Path(__file__).resolve().parent.parent / "fixtures" / "corpus"
DEEP = b"[" * 10**6
MIB = 2**20
Record = Callable[[str, object], None]
only_on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process stands in /proc")
MORE_MIB = 400
"""What a hostile input may cost above a plain one."""


@dataclass(frozen=True)
class Hostile:
    """An input: a folder of seeds, the file in it that is replaced, its bytes, and the place that the error names."""

    name: str
    seeds: str
    file: str
    data: Callable[[bytes], bytes]
    row: int | None
    field: str

    def __str__(self) -> str:
        return self.name

    def write(self, folder: Path) -> Path:
        """The spoilt copy, as an audit is given it."""
        target = folder / self.seeds
        shutil.copytree(CORPUS / self.seeds, target)
        (target / self.file.removesuffix(".gz")).unlink()
        (target / self.file).write_bytes(spoilt(self))
        return target / self.file if self.seeds in ("claims", "map", "case") else target


@cache
def spoilt(bad: Hostile) -> bytes:
    """Its bytes, which take longer to pack than to refuse."""
    return bad.data((CORPUS / bad.seeds / bad.file.removesuffix(".gz")).read_bytes())


def packed(data: bytes) -> bytes:
    return gzip.compress(data, compresslevel=9)


def zipped(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("backtest-result-2026-01-05_00-00-00.json", data)
    return out.getvalue()


def parquet(good: bytes, name: str, values: pa.Array) -> bytes:
    """A Parquet table with another column."""
    table, out = pq.read_table(pa.BufferReader(good)), io.BytesIO()
    pq.write_table(table.set_column(table.column_names.index(name), name, values), out)
    return out.getvalue()


def many_rows(_: bytes) -> bytes:
    """A hundred million equal rows in some hundred kilobytes."""
    out, block = io.BytesIO(), pa.table({"ns": np.zeros(2**20, np.int64), "price": np.ones(2**20, np.int64)})
    with pq.ParquetWriter(out, block.schema, compression="zstd") as writer:
        for _block in range(64):
            writer.write_table(block, row_group_size=2**20)
    return out.getvalue()


def first_cell(value: bytes) -> Callable[[bytes], bytes]:
    """A CSV whose first cell is another."""

    def data(good: bytes) -> bytes:
        head, row, *rest = good.split(b"\n")
        return b"\n".join([head, b",".join([value, *row.split(b",")[1:]]), *rest])

    return data


def bombs() -> Iterator[Hostile]:
    for seeds, file in (
        ("bundle", "fills.csv.gz"),
        ("nautilus-events", "order_events.jsonl.gz"),
        ("zipline", "orders.csv.gz"),
    ):
        yield Hostile(f"{file}: zeros", seeds, file, lambda g: packed(g + bytes(64 * MIB)), None, "file")
        yield Hostile(f"{file}: rows", seeds, file, lambda good: packed(good + good[-40:] * 10**6), None, "file")
        yield Hostile(f"{file}: cut", seeds, file, lambda good: packed(good)[:-9], None, "file")
    yield Hostile("markers: zeros", "markers", "markers.jsonl.gz", lambda _: packed(bytes(64 * MIB)), 1, "line")
    yield Hostile("markers: lines", "markers", "markers.jsonl.gz", lambda g: packed(g * 30_000), None, "file")
    yield Hostile("markers: blank", "markers", "markers.jsonl.gz", lambda _: packed(b"\n" * 64 * MIB), None, "file")
    yield Hostile("rows of nothing", "bundle-parquet", "fills.parquet", many_rows, None, "rows")
    result = "backtest-result-2026-01-05_00-00-00.zip"
    spaces = b'{"strategy": {' + b" " * 64 * MIB
    yield Hostile("freqtrade: spaces", "freqtrade-zip", result, lambda _: zipped(spaces), None, "zip")


def deep() -> Iterator[Hostile]:
    """A million brackets."""
    yield Hostile("deep markers", "markers", "markers.jsonl", lambda g: g + DEEP, 3, "line")
    yield Hostile("deep totals", "markers", "backtest.json", lambda _: DEEP, None, "text")
    yield Hostile("deep events", "nautilus-events", "order_events.jsonl", lambda g: g + DEEP, 14, "line")
    yield Hostile("deep meta", "hftbacktest", "meta.json", lambda _: b'{"opt": ' + DEEP, None, "text")
    yield Hostile("deep case", "case", "good.case.json", lambda _: DEEP, None, "text")
    yield Hostile("deep claims", "claims", "claims.toml", lambda g: g + b"\nx = " + DEEP, None, "text")
    yield Hostile("deep head", "bundle", "run.toml", lambda g: g + b"\nx = " + DEEP, None, "text")
    yield Hostile("deep keys", "bundle", "run.toml", lambda g: g + b"\nx" + b".x" * 10**5 + b" = 1", -1, "text")
    name, start = "backtest-result-2026-01-05_00-00-00", b'{"strategy": {"a": '
    yield Hostile("deep result", "freqtrade", f"{name}.json", lambda _: start + DEEP, None, "text")
    # a zip of one character is a bomb: what is nested must be hard to pack
    noise = np.random.default_rng(1).choice(np.frombuffer(b'"abcdefgh', np.uint8), 10**6).tobytes().replace(b'"', b" ")
    nested = start + DEEP[:20_000] + b'"' + noise
    yield Hostile("deep zip", "freqtrade-zip", f"{name}.zip", lambda _: zipped(nested), None, "text")


def bytes_that_are_no_text() -> Iterator[Hostile]:
    for seeds, file in (("bundle", "fills.csv"), ("bundle", "tape.csv")):
        yield Hostile(f"{file} in UTF-16", seeds, file, lambda g: g.decode().encode("utf-16"), None, "text")
        yield Hostile(f"{file} with a line of 2 MiB", seeds, file, lambda g: g + b"x" * 2 * MIB, -1, "line")
    yield Hostile("latin-1 amid UTF-8", "bundle", "fills.csv", lambda g: g + "é,".encode("latin-1"), 3, "text")
    yield Hostile("a NUL in a number", "bundle", "fills.csv", first_cell(b"17\x00"), 1, "ns")
    yield Hostile("a NUL in a name", "bundle", "fills.csv", lambda g: g.replace(b"side", b"si\x00e"), None, "side")
    yield Hostile("only NULs", "bundle", "fills.csv", lambda _: bytes(1000), None, "ns")
    yield Hostile("a NUL in a head", "bundle", "run.toml", lambda g: g + b"\x00", None, "text")
    yield Hostile("a head in UTF-16", "bundle", "run.toml", lambda g: g.decode().encode("utf-16"), None, "text")
    yield Hostile("a NUL in a marker", "markers", "markers.jsonl", lambda g: b"\x00" + g, 1, "line")
    yield Hostile("markers in UTF-16", "markers", "markers.jsonl", lambda g: g.decode().encode("utf-16"), 1, "line")
    yield Hostile(
        "a file name with a NUL",
        "map",
        "two-tables.toml",
        lambda g: g.replace(b"executions", b"a\\u0000b"),
        None,
        "fills.file",
    )
    yield Hostile("a case in UTF-16", "case", "good.case.json", lambda g: g.decode().encode("utf-16"), None, "text")


def clocks() -> Iterator[Hostile]:
    """Instants that int64 nanoseconds do not reach: before 1678, after 2262."""
    beyond = str(2**63).encode()
    yield Hostile("2262 in ns", "bundle", "fills.csv", first_cell(beyond), 1, "ns")
    yield Hostile("1677 in ns", "bundle", "fills.csv", first_cell(b"-" + beyond), 1, "ns")
    huge = re.compile(rb'"open_timestamp": \d+')
    name = "backtest-result-2026-01-05_00-00-00.json"
    vast = lambda good: huge.sub(b'"open_timestamp": 17E67571260000', good, count=1)  # noqa: E731
    yield Hostile("a timestamp of 67 billion digits", "freqtrade", name, vast, 1, "open_timestamp")
    for year, text in (("2300", "2300-01-01T00:00:00Z"), ("1600", "1600-01-01T00:00:00Z")):
        yield Hostile(
            f"{year} in a marker",
            "markers",
            "markers.jsonl",
            lambda g, t=text: g + json.dumps({"ts": t, "kind": "fill", "side": "buy", "price": 1, "size": 1}).encode(),
            3,
            "ts",
        )
    for unit, count in (("s", 10**11), ("ms", 10**14), ("us", 10**17), ("s", -(10**11)), ("ms", -(10**14))):
        yield Hostile(
            f"Parquet {unit} {count:.0e}",
            "bundle-parquet",
            "fills.parquet",
            lambda g, u=unit, c=count: parquet(g, "ns", pa.array([0, c], pa.timestamp(u))),
            2,
            "ns",
        )
    for day in (date(2300, 1, 1), date(1600, 1, 1), date(2020, 1, 1)):
        yield Hostile(
            f"the day {day} for an instant",
            "bundle-parquet",
            "fills.parquet",
            lambda g, d=day: parquet(g, "ns", pa.array([d, d], pa.date32())),
            1,
            "ns",
        )


FAMILIES = {"bomb": bombs, "deep": deep, "text": bytes_that_are_no_text, "clock": clocks}
HOSTILE = [bad for family in FAMILIES.values() for bad in family()]
NAMES = [f"{family}: {bad}" for family, made in FAMILIES.items() for bad in made()]


def command_of(bad: Hostile, folder: Path) -> list[str]:
    path = str(bad.write(folder))
    if bad.seeds == "case":
        return ["replay", path, "--simulator", "simcore:simulate"]
    return ["audit", path, "--json", str(folder / "report.json")]


def is_one_named_line(output: str, file: str, row: int | None, field: str) -> None:
    [line] = output.splitlines()
    place = f"{file}{'' if row is None else f' row {row}'}: {field}: got "
    assert place in line if row != -1 else f"{file} row " in line, line
    assert ", wanted " in line
    assert len(line) < 1500


@pytest.mark.parametrize("bad", HOSTILE, ids=NAMES)
def test_it_is_refused_in_one_line_with_its_place(bad: Hostile, tmp_path: Path) -> None:
    said = CliRunner().invoke(main, command_of(bad, tmp_path))
    assert (said.exit_code, "Traceback" in said.output) == (2, False), said.output
    is_one_named_line(said.output, bad.file, bad.row, bad.field)
    assert not (tmp_path / "report.json").exists()


PEAK = """
import json, re, sys
from pathlib import Path
from click.testing import CliRunner
from invariants.cli import main
for command in json.load(sys.stdin):
    said = CliRunner().invoke(main, command)
    [peak] = re.findall(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
    print(json.dumps([said.exit_code, said.output, int(peak) // 1024]))
"""


def peaks(commands: list[list[str]]) -> list[tuple[int, str, int]]:
    """What each command said, its exit code, and the peak in MiB of one process that runs them all, after each.

    Not ``ru_maxrss``: that begins with what the process that started it had.
    """
    told = json.dumps(commands)
    done = subprocess.run([sys.executable, "-c", PEAK], input=told, capture_output=True, text=True, check=True)
    return [(code, said, peak) for code, said, peak in map(json.loads, done.stdout.splitlines())]


@only_on_linux
def test_memory_stays_bounded_over_all_of_them(tmp_path: Path, record_property: Record) -> None:
    commands = [["audit", str(write_bundle_by_hand(tmp_path / "fine"))]]
    for number, bad in enumerate(HOSTILE):
        (tmp_path / str(number)).mkdir()
        commands.append(command_of(bad, tmp_path / str(number)))
    (_, _, plain), *hostile = peaks(commands)
    grown = {str(bad): after - plain for bad, (_, _, after) in zip(HOSTILE, hostile, strict=True)}
    assert {code for code, _, _ in hostile} == {2}
    assert max(grown.values()) < MORE_MIB, grown
    for name, figure in (("inputs", len(grown)), ("grown", max(grown.values())), ("limit", MORE_MIB)):
        record_property(name, figure)


BOMBED = {
    "fills.csv.gz": "bundle",
    "order_events.jsonl.gz": "nautilus-events",
    "orders.csv.gz": "zipline",
    "markers.jsonl.gz": "markers",
}


@only_on_linux
@pytest.mark.soak
@pytest.mark.parametrize("file", BOMBED)
def test_a_bomb_of_ten_gibibytes_is_not_unpacked(file: str, tmp_path: Path, record_property: Record) -> None:
    """Ten megabytes of gzip, the good lines first, so that the bomb must be begun."""
    part = packed(b"\n".join([b" " * 1000] * 70_000))
    parts = 10 * 2**30 // 70_000_000 + 1
    bad = Hostile("bomb", BOMBED[file], file, lambda good: packed(good) + part * parts, None, "file")
    commands = [["audit", str(write_bundle_by_hand(tmp_path / "fine"))], command_of(bad, tmp_path)]
    (_, _, plain), (code, said, peak) = peaks(commands)
    assert code == 2, said
    is_one_named_line(said, file, None, "file")
    assert peak - plain < 1500
    record_property("most_grown", peak - plain)
    record_property("most_packed", len(part) * parts)


@pytest.mark.parametrize("pieces", [[], ["--workers", "1"]], ids=["whole", "pieces"])
@pytest.mark.parametrize("cut", range(1, 20))
def test_parquet_cut_anywhere_is_refused(cut: int, pieces: list[str], tmp_path: Path) -> None:
    bad = Hostile("cut", "bundle-parquet", "fills.parquet", lambda g: g[: len(g) * cut // 20], None, "file")
    said = CliRunner().invoke(main, [*command_of(bad, tmp_path), *pieces])
    assert said.exit_code == 2
    is_one_named_line(said.output, "fills.parquet", None, "file")


def test_a_byte_order_mark_and_times_before_1970_are_read(tmp_path: Path) -> None:
    early = {
        name: [str(int(c) - 18 * 10**17) if c and name in ("ns", "ns_to") else c for c in column]
        for name, column in TABLES["fills"].items()
    }
    folder = write_bundle_by_hand(tmp_path / "run", tables={**TABLES, "fills": early})
    (folder / "fills.csv").write_bytes(b"\xef\xbb\xbf" + (folder / "fills.csv").read_bytes())
    said = CliRunner().invoke(main, ["audit", str(folder), "--json", str(tmp_path / "report.json")])
    assert said.exit_code == 1, said.output
    assert int(early["ns"][0]) < 0
    assert json.loads((tmp_path / "report.json").read_bytes())


def test_a_byte_order_mark_is_no_part_of_json_and_toml(tmp_path: Path) -> None:
    """Editors and shells of Windows write one."""
    run = write_bundle_by_hand(tmp_path / "run")
    told = write_markers_by_hand(tmp_path / "told", marker_lines(), b'{"fills": 1}')
    (tmp_path / "rules.toml").write_text('cross = "through"\n')

    def said() -> list[tuple[int, str]]:
        rules = ["--rules", str(tmp_path / "rules.toml")]
        answers = [CliRunner().invoke(main, ["audit", str(path), *rules]) for path in (run, told)]
        return [(answer.exit_code, answer.output.partition("Inputs")[0]) for answer in answers]

    before = said()
    for file in (run / "run.toml", told / "markers.jsonl", told / "backtest.json", tmp_path / "rules.toml"):
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert said() == before
    assert all(code != 2 for code, _ in before)


def test_deep_answers_and_reports_are_refused(tmp_path: Path, record_property: Record) -> None:
    record_property("levels", len(DEEP))
    (tmp_path / "before.json").write_bytes(DEEP)
    fine = str(write_bundle_by_hand(tmp_path / "fine"))
    said = CliRunner().invoke(main, ["audit", fine, "--baseline", str(tmp_path / "before.json")])
    assert said.exit_code == 2
    is_one_named_line(said.output, "before.json", None, "text")
    program = tmp_path / "theirs.py"
    program.write_text("import sys\nfor _ in sys.stdin: print('[' * 10**6, flush=True)\n")
    (tmp_path / "good.case.json").write_text(json.dumps(CASE))
    command = ["replay", str(tmp_path / "good.case.json"), "--simulator", f"cmd:{sys.executable} {program}"]
    said = CliRunner().invoke(main, command)
    assert (said.exit_code, "nesting without end" in said.output) == (1, True), said.output
    assert len(said.output) < 5000


LONG_LINES = {
    "markers/markers.jsonl": 100,
    "markers/backtest.json": 100,
    "hftbacktest/meta.json": 100,
    "bundle/run.toml": 100,
    "bundle-parquet/run.toml": 100,
    "claims/claims.toml": 100,
    "rules/my-engine.toml": 100,
    "waivers/waivers.toml": 100,
    "report/report.json": 100,
    "case/good.case.json": 100,
    "bundle/fills.csv": 1100,
    "zipline/orders.csv": 1100,
    "nautilus-events/order_events.jsonl": 1100,
    "freqtrade/backtest-result-2026-01-05_00-00-00.json": 2000,
}
"""Files that end in a line of a gigabyte, and the MiB it may cost: a table is read whole, JSON as bytes and as text."""


def judging(path: Path, fine: Path) -> list[str]:
    """The command that reads this file of the corpus."""
    simulator = ["--simulator", "simcore:simulate"]
    return {
        "case": ["replay", str(path), *simulator],
        "claims": ["audit", str(path)],
        "rules": ["audit", str(fine), "--rules", str(path)],
        "report": ["audit", str(fine), "--baseline", str(path)],
        "waivers": ["audit", str(fine), "--waivers", str(path)],
        "bundle-parquet": ["audit", str(path.parent), "--workers", "1"],
    }.get(path.parent.name, ["audit", str(path.parent)])


@only_on_linux
@pytest.mark.soak
@pytest.mark.parametrize("file", LONG_LINES)
def test_a_line_of_a_gigabyte_costs_no_more_than_its_bytes(file: str, tmp_path: Path, record_property: Record) -> None:
    path = tmp_path / file
    shutil.copytree(CORPUS / path.parent.name, path.parent)
    with path.open("r+b") as stream:
        stream.seek(0, os.SEEK_END)
        stream.write(b"[")
        for _ in range(1000):
            stream.write(b"x" * 10**6)
    fine = write_bundle_by_hand(tmp_path / "fine")
    (_, _, plain), (code, said, peak) = peaks([["audit", str(fine)], judging(path, fine)])
    path.unlink()
    assert code == 2, said
    [line] = said.splitlines()
    assert path.name in line
    assert ", wanted " in line
    assert len(line) < 1500
    record_property(f"most_{LONG_LINES[file]}", peak - plain)
    assert peak - plain < LONG_LINES[file]


def test_more_than_a_gigabyte_of_text_is_refused_unread(tmp_path: Path) -> None:
    folder = write_bundle_by_hand(tmp_path / "run")
    os.truncate(folder / "fills.csv", 2**30 + 1)
    said = CliRunner().invoke(main, ["audit", str(folder)])
    assert said.exit_code == 2
    is_one_named_line(said.output, "fills.csv", None, "file")


MOUNT, UMOUNT = shutil.which("mount") or "mount", shutil.which("umount") or "umount"


@pytest.fixture(params=["full", "read-only"])
def nowhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder that cannot be written: a disk of which one page is free, or one mounted read-only."""
    folder = tmp_path / "nowhere"
    folder.mkdir()
    mount = [MOUNT, "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("mounting a small disk needs root, and the right to mount")
    try:
        (folder / "filler").write_bytes(bytes(60 * 1024))
        if request.param == "read-only":
            subprocess.run([MOUNT, "-o", "remount,ro", str(folder)], check=True)
        yield folder
    finally:
        subprocess.run([UMOUNT, str(folder)], check=True)


OUTPUTS = {
    "--json": ["audit", "RUN", "--json", "OUT/report.json"],
    "--html": ["audit", "RUN", "--html", "OUT/report.html"],
    "--sarif": ["audit", "RUN", "--sarif", "OUT/report.sarif"],
    "--summary-file": ["audit", "RUN", "--summary-file", "OUT/summary.md"],
    "several": ["audit", "RUN", "RUN", "--json", "OUT/reports"],
    "--resume": ["audit", "RUN/parquet", "--resume", "OUT/kept"],
    "diagnose": ["diagnose", "RUN", "--json", "OUT/diagnosis.json"],
    "diagnose --html": ["diagnose", "RUN", "--html", "OUT/diagnosis.html"],
    "verify": ["verify", "simcore:simulate", "--examples", "1", "-n", "0", "--json", "OUT/verified.json"],
    "compare": ["compare", "RUN", "RUN", "--json", "OUT/compared.json"],
    "convert": ["convert", "RUN", "--out", "OUT/run"],
    "simulate": ["simulate", "RUN/tape.csv", "--out", "OUT/run"],
    "demo": ["demo", "--out", "OUT/demo"],
}


@pytest.mark.parametrize(
    "output", [pytest.param(name, marks=[pytest.mark.soak] if name == "verify" else []) for name in OUTPUTS]
)
def test_a_place_that_cannot_be_written_is_named_and_left_clean(
    output: str, nowhere: Path, tmp_path: Path, record_property: Record
) -> None:
    run = write_bundle_by_hand(tmp_path / "run")
    if output in ("--summary-file", "--resume"):  # it would fit into the last page
        for number in range(2000):
            with (run / "fills.csv").open("a") as fills:
                fills.write(f"{10**18 + number},unknown-{number},1,100,0.02,,,\n")
    write_bundle(read_run(run), run / "parquet")
    command = [word.replace("RUN", str(run)).replace("OUT", str(nowhere)) for word in OUTPUTS[output]]
    said = CliRunner().invoke(main, command)
    assert (said.exit_code, "Traceback" in said.output) == (2, False), said.output
    line = next(line for line in said.output.splitlines() if str(nowhere) in line)
    assert ": got 'No space left on device', wanted " in line or ": got 'Read-only file system', wanted " in line
    left = [path for path in nowhere.rglob("*") if path.is_file() and path.name != "filler"]
    record_property("left", len(left))
    assert not left


@pytest.mark.parametrize("nowhere", ["full"], indirect=True)
@pytest.mark.parametrize(("table", "rows"), [("fills", 2000), ("orders", 9000)])
def test_a_full_temporary_folder_is_named(nowhere: Path, tmp_path: Path, table: str, rows: int) -> None:
    """There is no room for the fills; or there is, and none for the hashes of the orders' ids."""
    if table == "orders":
        os.truncate(nowhere / "filler", 0)
    run = read_run(write_bundle_by_hand(tmp_path / "run"))
    again = np.resize(np.arange(len(getattr(run, table))), rows)
    write_bundle(replace(run, **{table: taken(getattr(run, table), again)}), tmp_path / "long")
    command = [sys.executable, "-c", "from invariants.cli import main; main()", "audit", str(tmp_path / "long")]
    there = os.environ | {"TMPDIR": str(nowhere)}
    kept = ["--resume", str(tmp_path / "kept")]
    said = subprocess.run([*command, *kept], check=False, capture_output=True, text=True, env=there)
    assert said.returncode == 2, said.stdout
    [line] = said.stderr.splitlines()
    assert line.startswith(f"fillproof: {nowhere}")
    assert ": file: got 'No space left on device', wanted room for some columns" in line
    assert [path.name for path in nowhere.iterdir()] == ["filler"]


@pytest.mark.soak
def test_a_case_that_cannot_be_kept_acquits_nobody(nowhere: Path, tmp_path: Path) -> None:
    """The verdict is the law's; that there is no case file, and why, stands beside it."""
    with contextlib.suppress(OSError), (nowhere / "filler").open("ab") as filler:
        filler.write(bytes(4096))  # a case would fit into the last page
    theirs = tmp_path / "theirs.py"
    theirs.write_text(
        "from dataclasses import replace\nimport simcore\n\n\ndef too_large(scenario):\n"
        "    return [replace(fill, size_lots=fill.size_lots + 1) for fill in simcore.simulate(scenario)]\n"
    )
    kept = nowhere / "cases"
    command = [sys.executable, "-c", "from invariants.cli import main; main()", "verify", f"{theirs}:too_large"]
    options = ["--examples", "5", "-n", "0", "--case-dir", str(kept), "--json", str(tmp_path / "verified.json")]
    said = subprocess.run([*command, *options], check=False, capture_output=True, text=True)
    assert said.returncode == 1, said.stdout
    assert f"case: not kept, {kept}/" in said.stdout
    assert "Traceback" not in said.stdout
    told = json.loads((tmp_path / "verified.json").read_text())
    broken = [law for law in told["laws"] if law["verdict"] == "fail"]
    assert broken
    assert all(not law["case"] and law["case_not_kept"].startswith(f"{kept}/") for law in broken)
    assert not list(nowhere.rglob("*.json*"))


def test_every_reader_is_fuzzed() -> None:
    assert {reader.name.replace(".", "") for reader in READERS} <= set(fuzz.kinds())


@pytest.mark.parametrize("kind", fuzz.kinds())
def test_every_seed_of_the_fuzzing_loads(kind: str) -> None:
    fuzz.load(kind)(CORPUS / kind)


def test_seeds_are_few_and_a_place_is_put_where_it_belongs(tmp_path: Path) -> None:
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < 200_000
    shutil.copytree(CORPUS / "bundle", tmp_path / "bundle")
    names = sorted(path.name for path in (tmp_path / "bundle").iterdir())
    target = fuzz.place(tmp_path / "bundle", names, b"\x00?!")
    assert (target.name, target.read_bytes()) == (names[0], b"?!")
    with pytest.raises(InputError):
        fuzz.load("bundle")(tmp_path / "bundle")


def test_a_line_of_exactly_the_limit_is_read_and_one_more_is_not() -> None:
    from invariants.readers.tables import check_lines

    line = b"x" * LARGEST_LINE
    check_lines(line + b"\n" + line, file="a")
    for data, row in ((line + b"x", 1), (b"\n\n" + line + b"x\n", 3), (line + b"\n" + line + b"x", 2)):
        with pytest.raises(InputError) as refused:
            check_lines(data, file="a")
        assert refused.value.row == row
