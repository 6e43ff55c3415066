"""Malformed inputs as a table: what is written, how it is loaded, and what the error must name.

``MALFORMED`` is for every test that must see bad input refused, through Python or through the
command line. ``exit`` is 2 where the input cannot be used (``InputError``), and 1 where it loads
and a law judges it: ``rejected`` then says whether the row was set aside.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from invariants.cases import read_case
from invariants.readers import read_run
from simcore import Rules

Writer = Callable[[Path], Path]
T0 = 1_700_000_000_000_000_000


@dataclass(frozen=True)
class Malformed:
    """One input. ``kind`` is bundle, markers, rules or case; ``file`` the end of the name in the error."""

    name: str
    kind: str
    write: Writer
    file: str
    row: int | None
    field: str
    exit: int = 2
    rejected: bool = False

    def __str__(self) -> str:
        return self.name

    def load(self, path: Path) -> Any:
        """Load it as the suite does."""
        return {"bundle": read_run, "markers": read_run, "rules": Rules.load, "case": read_case}[self.kind](path)


RUN_TOML = """format = "fillproof-run/1"
name = "small"
[instrument]
tick_size = "1"
lot_size = "0.01"
[rules]
latency_ns = 0
[run]
end_ns = 1700000000000000009
exit_code = 0
[provenance]
submit_ns = "native"
[reported]
fills = 2
turnover = "0.04"
"""

TABLES: dict[str, dict[str, list[str]]] = {
    "tape": {
        "ns": [str(T0 + 1), str(T0 + 2)],
        "price": ["100", "101"],
        "size": ["0.02", "0.02"],
        "aggressor": ["sell", ""],
        "seq": ["0", "1"],
    },
    "quotes": {
        "ns": [str(T0), str(T0 + 1)],
        "bid": ["99", "99"],
        "bid_size": ["1", "1"],
        "ask": ["101", "101"],
        "ask_size": ["1", "1.5"],
    },
    "orders": {
        "order_id": ["a", "b"],
        "side": ["buy", "SELL"],
        "price": ["100", "101"],
        "size": ["0.02", "0.02"],
        "submit_ns": [str(T0), str(T0)],
        "live_ns": [str(T0), ""],
        "cancel_ns": ["", ""],
        "end_ns": [str(T0 + 1), ""],
        "end": ["filled", "filled"],
    },
    "fills": {
        "ns": [str(T0 + 1), str(T0 + 2)],
        "order_id": ["a", "b"],
        "side": ["1", "-1"],
        "price": ["100", "101"],
        "size": ["0.02", "0.02"],
        "ns_to": [str(T0 + 1), ""],
        "trade_seq": ["0", "1"],
        "fee": ["0.001", ""],
    },
    "positions": {"ns": [str(T0 + 1), str(T0 + 2)], "position": ["0.02", "0"]},
}
REQUIRED_NS = ("ns", "submit_ns")
OPTIONAL_INTS = ("live_ns", "cancel_ns", "end_ns", "ns_to", "trade_seq", "seq")
AMOUNTS = ("price", "size", "bid", "bid_size", "ask", "ask_size", "position")
BEYOND = str(2**63)


def write_table(folder: Path, table: str, columns: dict[str, list[str]]) -> None:
    """Write a CSV table."""
    with (folder / f"{table}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def write_bundle_by_hand(
    folder: Path, *, head: str = RUN_TOML, tables: dict[str, dict[str, list[str]]] = TABLES
) -> Path:
    """Write a bundle of CSV tables; good unless told otherwise."""
    folder.mkdir(exist_ok=True)
    (folder / "run.toml").write_text(head, encoding="utf-8")
    for table, columns in tables.items():
        write_table(folder, table, columns)
    return folder


def with_cell(table: str, column: str, value: str) -> Writer:
    """A bundle with ``value`` in the second row of a column."""
    columns = {**TABLES[table], column: [TABLES[table][column][0], value]}
    return lambda tmp: write_bundle_by_hand(tmp / "run", tables={**TABLES, table: columns})


def cells() -> Iterator[Malformed]:
    """Each column of each table with each kind of wrong cell."""
    for table, columns in TABLES.items():
        for column in columns:
            for label, value, code in wrong_cells(column):
                rejected = code == 1 and label in ("NaN", "infinite", "off grid")
                yield Malformed(
                    f"{table}.{column} {label}",
                    "bundle",
                    with_cell(table, column, value),
                    f"{table}.csv",
                    2,
                    column,
                    code,
                    rejected,
                )


def wrong_cells(column: str) -> list[tuple[str, str, int]]:
    """A label, the cell and the exit code of what is wrong with it."""
    text = [("text", "abc", 2), ("bool", "true", 2)]
    if column in REQUIRED_NS or column in OPTIONAL_INTS:
        missing = [("missing", "", 2)] if column in REQUIRED_NS else []
        return [
            *text,
            *missing,
            ("fraction", "1.5", 2),
            ("NaN", "NaN", 2),
            ("infinite", "inf", 2),
            ("overflow", BEYOND, 2),
            ("exponent", "1e18", 2),
            ("unit", f"{T0}ns", 2),
        ]
    if column in AMOUNTS:
        zero = [] if column == "position" else [("zero", "0", 1), ("negative", "-1", 1)]
        return [
            *text,
            *zero,
            ("missing", "", 2),
            ("NaN", "NaN", 1),
            ("infinite", "-inf", 1),
            ("off grid", "100.005", 1),
            ("overflow", "1e30", 2),
            ("unit", "100 JPY", 2),
            ("comma", "1,5", 2),
        ]
    return {
        "order_id": [("missing", "", 2)],
        "side": [
            *text,
            ("missing", "", 2),
            ("zero", "0", 2),
            ("two", "2", 2),
            ("fraction", "1.0", 2),
            ("word", "LONG", 2),
        ],
        "aggressor": [*text, ("two", "2", 2), ("fraction", "1.0", 2), ("word", "taker", 2)],
        "end": [*text, ("word", "done", 2)],
        "fee": [*text, ("NaN", "NaN", 1), ("infinite", "inf", 1), ("unit", "-39 JPY", 2)],
    }[column]


def columns_missing() -> Iterator[Malformed]:
    """Each required column left out, and each column there twice."""
    for table, columns in TABLES.items():
        for column in columns:
            if column in OPTIONAL_INTS or column in ("aggressor", "end", "fee"):
                continue
            left = {name: cells for name, cells in columns.items() if name != column}
            yield Malformed(
                f"{table} without {column}",
                "bundle",
                _bundle(tables={**TABLES, table: left}),
                f"{table}.csv",
                None,
                column,
            )


def _bundle(**parts: Any) -> Writer:
    return lambda tmp: write_bundle_by_hand(tmp / "run", **parts)


def with_file(name: str, data: bytes, *, without: str = "") -> Writer:
    """A bundle with one file more, or another one, and one table less."""

    def write(tmp: Path) -> Path:
        folder = write_bundle_by_hand(tmp / "run", tables={k: v for k, v in TABLES.items() if k != without})
        (folder / name).write_bytes(data)
        return folder

    return write


def with_dtype(table: str, column: str, values: Any) -> Writer:
    """A bundle with one table in Parquet, one of its columns replaced."""

    def write(tmp: Path) -> Path:
        folder = write_bundle_by_hand(tmp / "run", tables={k: v for k, v in TABLES.items() if k != table})
        pd.DataFrame({**parquet_columns(table), column: values}).to_parquet(folder / f"{table}.parquet", index=False)
        return folder

    return write


def parquet_columns(table: str) -> dict[str, Any]:
    """The columns of a table with proper types."""
    return {
        name: [int(c) for c in cells] if name in REQUIRED_NS else cells
        for name, cells in TABLES[table].items()
        if name not in OPTIONAL_INTS
    }


def _parquet_bytes() -> bytes:
    import io

    buffer = io.BytesIO()
    pd.DataFrame(parquet_columns("fills")).to_parquet(buffer, index=False)
    return buffer.getvalue()


def files() -> Iterator[Malformed]:
    """Files broken as such."""
    whole = _parquet_bytes()
    header = b"ns,order_id,side,price,size\n"
    good = f"{T0},a,1,100,0.02\n".encode()
    broken: list[tuple[str, str, bytes, int | None, str]] = [
        ("parquet cut", "fills.parquet", whole[:-20], None, "file"),
        ("parquet cut in the data", "fills.parquet", whole[:30] + whole[60:], None, "file"),
        ("parquet that is text", "fills.parquet", header + good, None, "file"),
        ("parquet empty", "fills.parquet", b"", None, "file"),
        ("csv empty", "fills.csv", b"", None, "header"),
        ("csv not UTF-8", "fills.csv", header + good + b"\xff\xfe", 2, "text"),
        ("csv ragged, short", "fills.csv", header + good + b"1,2\n", 2, "row"),
        ("csv ragged, long", "fills.csv", header + good.strip() + b",9\n", 1, "row"),
        ("csv quote open", "fills.csv", header + good + b'1,"a\n', 2, "row"),
        ("csv column twice", "fills.csv", b"ns,ns\n1,2\n", None, "ns"),
        ("csv.gz bomb", "fills.csv.gz", gzip.compress(header + bytes(5 * 2**20)), None, "file"),
        ("csv.gz cut", "fills.csv.gz", gzip.compress(header + good * 50)[:-9], None, "file"),
        ("csv.gz broken", "fills.csv.gz", gzip.compress(header)[:12] + b"rubbish", None, "file"),
        ("csv a huge cell", "fills.csv", header + b"9" * 200_000 + b",a,1,100,0.02\n", 1, "row"),
    ]
    for name, file, data, row, field in broken:
        yield Malformed(name, "bundle", with_file(file, data, without="fills"), file, row, field)
    yield Malformed("fills twice", "bundle", with_file("fills.csv.gz", gzip.compress(header)), "run", None, "fills")
    no_fills = {k: v for k, v in TABLES.items() if k != "fills"}
    yield Malformed("no fills", "bundle", _bundle(tables=no_fills), "run", None, "fills")
    types: list[tuple[str, str, Any, int | None]] = [
        ("fills", "ns", [1.5, 2.5], 1),
        ("fills", "ns", [True, False], 1),
        ("fills", "ns", [b"1", b"2"], 1),
        ("fills", "ns", [[1], [2]], 1),
        ("fills", "price", [True, False], 1),
        ("fills", "price", [[1], [2]], 1),
        ("fills", "price", pd.to_datetime([T0, T0]), 1),
        ("fills", "size", [None, None], 1),
        ("fills", "order_id", [1.0, 2.0], 1),
        ("fills", "order_id", [True, False], 1),
        ("fills", "side", [1.0, -1.0], 1),
        ("fills", "ns", pd.array([2**63, 1], dtype="uint64"), 1),
        ("fills", "ns", pd.array([1, None], dtype="Int64"), 2),
        ("orders", "submit_ns", [1.7e18, 1.7e18], 1),
        ("orders", "cancel_ns", [1.7e18, None], 1),
        ("orders", "end", [1, 2], 1),
        ("tape", "aggressor", [0.5, 1.0], 1),
        ("tape", "size", [{"a": 1}, {"a": 2}], 1),
    ]
    for number, (table, column, values, row) in enumerate(types):
        yield Malformed(
            f"dtype {number} of {table}.{column}",
            "bundle",
            with_dtype(table, column, values),
            f"{table}.parquet",
            row,
            column,
        )


def _head(old: str, new: str) -> Writer:
    assert old in RUN_TOML
    return _bundle(head=RUN_TOML.replace(old, new))


def heads() -> Iterator[Malformed]:
    """Each key of run.toml with each kind of wrong value."""
    changes: list[tuple[str, str, str]] = [
        ('format = "fillproof-run/1"', "", "format"),
        ('format = "fillproof-run/1"', 'format = "fillproof-run/2"', "format"),
        ('format = "fillproof-run/1"', "format = 1", "format"),
        ('name = "small"', "name = 1", "name"),
        ('name = "small"', 'nmae = "small"', "nmae"),
        ('name = "small"', 'name = "small"\nname = "twice"', "text"),
        ('name = "small"', 'name = "small', "text"),
        ('name = "small"', "rejected = 1", "rejected"),
        ('name = "small"', "rejected = [1]", "rejected"),
        ("[run]", "[unknown]\n[run]", "unknown"),
        ("[run]", "[[run]]", "run"),
        *(
            ('tick_size = "1"', f"tick_size = {bad}", "instrument.tick_size")
            for bad in ('"0"', '"-1"', '"NaN"', '"inf"', '"one"', "true", "[]", '""', "nan", '"1e999"')
        ),
        *(
            ('lot_size = "0.01"', f"lot_size = {bad}", "instrument.lot_size")
            for bad in ('"0"', "-1", "inf", '"0.01 ETH"', "true", "{}")
        ),
        ('lot_size = "0.01"', "lots = 1", "instrument.lots"),
        *(
            ("latency_ns = 0", f"latency_ns = {bad}", "rules.latency_ns")
            for bad in ("-1", "0.5", '"1"', "true", "nan", "9223372036854775808", "[]")
        ),
        ("latency_ns = 0", "latency = 0", "rules.latency"),
        ("latency_ns = 0", 'cross = "touch"', "rules.cross"),
        ("latency_ns = 0", 'undeclared = ["speed"]', "rules.undeclared"),
        *(
            ("end_ns = 1700000000000000009", f"end_ns = {bad}", "run.end_ns")
            for bad in ("1.5", '"now"', "true", "9223372036854775808", "2026-01-01T00:00:00Z")
        ),
        *(("exit_code = 0", f"exit_code = {bad}", "run.exit_code") for bad in ("0.5", '"ok"', "false")),
        ("exit_code = 0", "engine = 3", "run.engine"),
        ("exit_code = 0", "code = 3", "run.code"),
        ('submit_ns = "native"', 'submit_ns = "measured"', "provenance.submit_ns"),
        ('submit_ns = "native"', "submit_ns = 1", "provenance.submit_ns"),
        ('submit_ns = "native"', 'sent_ns = "native"', "provenance.sent_ns"),
        *(("fills = 2", f"fills = {bad}", "reported.fills") for bad in ('"two"', "true", "nan", "inf", "[]", '""')),
        ("fills = 2", "filled = 2", "reported.filled"),
    ]
    for old, new, field in changes:
        row = 1 if new == "rejected = [1]" else None
        yield Malformed(f"run.toml {new or 'without ' + old}", "bundle", _head(old, new), "run.toml", row, field)
    raw: list[tuple[str, bytes]] = [
        ("not UTF-8", b'name = "\xff"'),
        ("no TOML", b"format: x"),
        ("nested", b"a = " + b"[" * 10**6),
        ("binary", b"\x00\x01"),
    ]
    for name, data in raw:
        yield Malformed(f"run.toml {name}", "bundle", with_file("run.toml", data), "run.toml", None, "text")
    yield Malformed("run.toml empty", "bundle", with_file("run.toml", b""), "run.toml", None, "format")


MARKERS: list[dict[str, Any]] = [
    {"ts": "2026-03-18T00:00:00Z", "kind": "submit", "side": "BUY", "price": 361146, "size": 5.0, "reason": "quote"},
    {"ts": "2026-03-18T00:00:01.5Z", "kind": "fill", "side": "BUY", "price": 361146, "size": 5.0, "reason": "trade"},
]
BACKTEST: dict[str, Any] = {
    "fills": 1,
    "turnover_eth": 5.0,
    "maker_quote_submissions": 1,
    "fill_ratio": 0.0748,
    "instrument": {"tick_size": "1", "lot_size": "0.01"},
    "rules": {"latency_ns": 0},
}


def write_markers_by_hand(folder: Path, lines: list[bytes], backtest: bytes | None = None) -> Path:
    """Write ``markers.jsonl``, and ``backtest.json`` beside it."""
    folder.mkdir(exist_ok=True)
    (folder / "markers.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    if backtest is not None:
        (folder / "backtest.json").write_bytes(backtest)
    return folder


def marker_lines() -> list[bytes]:
    """The good markers."""
    return [json.dumps(marker).encode() for marker in MARKERS]


def _second_line(line: bytes, backtest: bytes | None = json.dumps(BACKTEST).encode()) -> Writer:
    return lambda tmp: write_markers_by_hand(tmp / "diag", [marker_lines()[0], line], backtest)


def markers() -> Iterator[Malformed]:
    """Each field of a marker with each kind of wrong value, and lines that are no markers."""
    wrong: dict[str, list[Any]] = {
        "ts": [
            None,
            "",
            "yesterday",
            True,
            1.5,
            2**63,
            "2026-13-01T00:00:00Z",
            "2026-03-18",
            "2026-03-18T25:00:00Z",
            "2026-03-18T00:00:00.1234567891Z",
            [],
            "9999-01-01T00:00:00Z",
            "2026-03-18T00:00:00+99:00",
        ],
        "kind": [None, "", "amend", True, 1, "FILL ", []],
        "side": [None, "", "LONG", True, 1, 1.0, {}],
        "price": [None, True, [], {}, "", "abc", "361146 JPY", "1e30", 10**30],
        "size": [None, True, [], {}, "", "abc", "5 ETH", "1e30", 10**30],
        "reason": [1, True, [], {}],
        "order_id": [True, 1.5, [], {}, ""],
    }
    for name, values in wrong.items():
        for value in values:
            line = json.dumps({**MARKERS[1], name: value}).encode()
            yield Malformed(f"marker {name}={value!r}"[:60], "markers", _second_line(line), "markers.jsonl", 2, name)
    for name in ("ts", "kind", "side", "price", "size"):
        line = json.dumps({k: v for k, v in MARKERS[1].items() if k != name}).encode()
        yield Malformed(f"marker without {name}", "markers", _second_line(line), "markers.jsonl", 2, name)
    for name, text, code in (
        ("price", "NaN", 1),
        ("price", "inf", 1),
        ("size", "NaN", 1),
        ("price", "361146.5", 1),
        ("size", "5.005", 1),
        ("size", "0", 1),
        ("price", "-1", 1),
        ("size", "-5", 1),
    ):
        line = json.dumps({**MARKERS[1], name: text}).encode()
        rejected = text not in ("0", "-1", "-5")
        yield Malformed(
            f"marker {name} {text}", "markers", _second_line(line), "markers.jsonl", 2, name, code, rejected
        )
    lines: list[tuple[str, bytes]] = [
        ("no JSON", b"submit buy 5"),
        ("a list", b"[1]"),
        ("a number", b"5"),
        ("null", b"null"),
        ("cut", marker_lines()[1][:40]),
        ("not UTF-8", b'{"ts": "\xff"}'),
        ("key twice", b'{"ts": 1, "ts": 2}'),
        ("constant NaN", b'{"ts": 1, "price": NaN}'),
        ("constant Infinity", b'{"ts": 1, "size": -Infinity}'),
        ("nested", b"[" * 10**6),
        ("long", b" " * (2**20 + 1)),
        ("digits", b'{"ts": ' + b"9" * 5000 + b"}"),
        ("exponent", b'{"price": 1e99999999999999999999}'),
        ("two", b"{} {}"),
    ]
    for name, line in lines:
        yield Malformed(f"marker line {name}", "markers", _second_line(line), "markers.jsonl", 2, "line")
    packed = gzip.compress(b"\n".join(marker_lines()))
    yield Malformed(
        "markers gzip cut",
        "markers",
        lambda tmp: _raw(tmp / "markers.jsonl.gz", packed[:-9]),
        "markers.jsonl.gz",
        None,
        "file",
    )


def _raw(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def backtests() -> Iterator[Malformed]:
    """``backtest.json`` with each kind of wrong value."""
    wrong: dict[str, list[Any]] = {
        "fills": ["many", True, [], {}, "NaN", ""],
        "turnover_eth": ["5 ETH", False, "inf"],
        "maker_quote_submissions": [{}, True],
        "fill_ratio": ["7.48%", True],
        "pnl": ["-340,721"],
        "order_latency_sec": [-1, "soon", True, 0.00000000001, 10**12],
        "quote_ttl_sec": [-5, "five", []],
        "max_abs_position_eth": [-10, "ten", 0.001, 10**30],
        "initial_position_eth": ["ten", 0.001, True],
        "end_ns": ["late", 1.5, True, 2**63],
        "exit_code": ["ok", 0.5, False],
        "name": [1, []],
        "instrument": [1, []],
        "rules": [1, []],
        "reported": [1, []],
        "run": [1, []],
    }
    for name, values in wrong.items():
        for value in values:
            data = json.dumps({**BACKTEST, name: value}).encode()
            field = {"initial_position_eth": "initial_position"}.get(name, name) if value == 0.001 else name
            yield Malformed(
                f"backtest {name}={value!r}"[:60],
                "markers",
                _second_line(marker_lines()[1], data),
                "backtest.json",
                None,
                field,
            )
    nested: list[tuple[str, Any, str]] = [
        ("instrument", {"tick_size": 0}, "instrument.tick_size"),
        ("instrument", {"lot_size": "x"}, "instrument.lot_size"),
        ("instrument", {"tick": 1}, "instrument.tick"),
        ("rules", {"latency_ns": -1}, "rules.latency_ns"),
        ("rules", {"cross": "touch"}, "rules.cross"),
        ("rules", {"speed": 1}, "rules.speed"),
        ("run", {"end": 1}, "run.end"),
        ("reported", {"fills": 1}, "reported.fills"),
        ("turnover", 5, "turnover"),
    ]
    for name, value, field in nested:
        data = json.dumps({**BACKTEST, name: value}).encode()
        yield Malformed(
            f"backtest {name} {field}", "markers", _second_line(marker_lines()[1], data), "backtest.json", None, field
        )
    for name, data in (
        ("no JSON", b"{"),
        ("a list", b"[]"),
        ("key twice", b'{"fills": 1, "fills": 2}'),
        ("NaN", b'{"pnl": NaN}'),
        ("nested", b'{"a":' * 10**6),
        ("not UTF-8", b"\xff"),
        ("empty", b""),
    ):
        yield Malformed(
            f"backtest {name}", "markers", _second_line(marker_lines()[1], data), "backtest.json", None, "text"
        )


RULES: dict[str, list[str]] = {
    "latency_ns": ["-1", "0.3", '"0.3s"', "true", "nan", "9223372036854775808", "[]"],
    "cancel_latency_ns": ["-1", "0.0", '"none"', "false"],
    "ttl_ns": ["-1", "5.0", '"never"', "true", "inf"],
    "cross": ['"touch"', "1", '"AT"', "true"],
    "aggressor": ['"taker"', "0"],
    "sizing": ['"all"', "5"],
    "pricing": ['"mid"'],
    "priority": ['"fifo"', "[]"],
    "expiry_tie": ['"open"'],
    "cancel_tie": ['"both"'],
    "position_cap_lots": ["-1", "0.5", '"ten"', "2305843009213693953"],
    "cap_action": ['"clip"'],
    "initial_position_lots": ["1.5", '"none"', "true", "-2305843009213693953"],
    "fee_rate": ['"free"', "2", "nan", "true", '"1%"'],
    "preset": ['"nobody"', "1", "[]"],
    "undeclared": ['"latency_ns"', '["latency"]', "[1]", "true"],
    "latency": ["0"],
    "Latency_ns": ["0"],
}


def rules() -> Iterator[Malformed]:
    """Rules files with each kind of wrong value."""
    for name, values in RULES.items():
        for value in values:
            text = f"{name} = {value}\n".encode()
            yield Malformed(f"rules {name} = {value}", "rules", _file_writer("bad.toml", text), "bad.toml", None, name)
    for name, data in (
        ("no TOML", b"latency_ns: 1"),
        ("key twice", b"latency_ns = 1\nlatency_ns = 2"),
        ("nested", b"a = " + b"[" * 10**6),
        ("not UTF-8", b"\xff"),
        ("cut", b'cross = "at'),
    ):
        yield Malformed(f"rules {name}", "rules", _file_writer("bad.toml", data), "bad.toml", None, "text")
    yield Malformed("rules missing", "rules", lambda tmp: tmp / "none.toml", "none.toml", None, "file")


def _file_writer(name: str, data: bytes) -> Writer:
    return lambda tmp: _raw(tmp / name, data)


CASE: dict[str, Any] = {
    "format": "fillproof-case/1",
    "law": "latency_is_respected",
    "message": "",
    "note": "",
    "version": "0.1.0",
    "tape": [
        {"type": "trade", "ns": 5, "price_ticks": 100, "size_lots": 1, "aggressor": "sell"},
        {"type": "top", "ns": 6, "bid_ticks": 99, "bid_lots": 1, "ask_ticks": 101, "ask_lots": 1},
    ],
    "actions": [
        {"type": "submit", "ns": 0, "order_id": "a", "side": "buy", "price_ticks": 100, "size_lots": 1},
        {"type": "cancel", "ns": 9, "order_id": "a"},
    ],
    "rules": {"latency_ns": 5},
    "expected": [
        {"ns": 5, "order_id": "a", "side": "buy", "price_ticks": 100, "size_lots": 1, "fee": "0.1", "trade_seq": 0}
    ],
    "got": [{"ns": 5, "order_id": "a", "side": "buy", "price_ticks": 100, "size_lots": 1, "fee": None}],
}
WHOLE: tuple[Any, ...] = (None, "5", True, 1.5, 2**63, [], {})
POSITIVE: tuple[Any, ...] = (*WHOLE, 0, -1)
SIDE: tuple[Any, ...] = (None, "BUY", "hold", 1, True, [])
ID: tuple[Any, ...] = (None, True, 1.5, [], {})
CASE_FIELDS: dict[str, tuple[Any, ...]] = {
    "tape.0.type": (None, "trades", 1, []),
    "tape.0.ns": (*WHOLE, -1),
    "tape.0.price_ticks": POSITIVE,
    "tape.0.size_lots": (*POSITIVE, 2**61 + 1),
    "tape.0.aggressor": SIDE[1:],
    "tape.1.ns": (*WHOLE, -1, 4),
    "tape.1.bid_ticks": POSITIVE,
    "tape.1.bid_lots": POSITIVE,
    "tape.1.ask_ticks": POSITIVE,
    "tape.1.ask_lots": POSITIVE,
    "actions.0.type": (None, "order", True),
    "actions.0.ns": (*WHOLE, -1),
    "actions.0.order_id": ID,
    "actions.0.side": SIDE,
    "actions.0.price_ticks": POSITIVE,
    "actions.0.size_lots": (*POSITIVE, 2**61 + 1),
    "actions.1.ns": (*WHOLE, -1),
    "actions.1.order_id": (*ID, "nobody"),
    "expected.0.ns": WHOLE,
    "expected.0.order_id": ID,
    "expected.0.side": SIDE,
    "expected.0.price_ticks": WHOLE,
    "expected.0.size_lots": WHOLE,
    "expected.0.fee": ("free", True, [], "NaN"),
    "expected.0.trade_seq": (*WHOLE[1:], -1),
    "got.0.ns": WHOLE,
    "got.0.side": SIDE,
}


def cases() -> Iterator[Malformed]:
    """Case files with each kind of wrong value."""
    for place, values in CASE_FIELDS.items():
        table, index, name = place.split(".")
        for value in values:
            yield _case(
                f"case {place}={value!r}"[:60],
                _changed(table, int(index), name, value),
                int(index) + 1,
                f"{table}.{name}",
            )
        if name not in ("fee", "trade_seq"):
            yield _case(f"case without {place}", _changed(table, int(index), name), int(index) + 1, f"{table}.{name}")
    for table in ("tape", "actions", "expected", "got"):
        yield _case(f"case {table} with a key more", _changed(table, 0, "color", 1), 1, f"{table}.color")
        yield _case(f"case {table} no list", {**CASE, table: {"a": 1} if table != "expected" else 5}, None, table)
    for name in ("format", "law", "tape", "actions", "rules"):
        yield _case(f"case without {name}", {k: v for k, v in CASE.items() if k != name}, None, name)
    tops: list[tuple[str, Any, str]] = [
        ("format", "fillproof-case/9", "format"),
        ("format", 1, "format"),
        ("law", 5, "law"),
        ("version", 1, "version"),
        ("note", [], "note"),
        ("rules", [], "rules"),
        ("rules", {"speed": 1}, "rules.speed"),
        ("extra", 1, "extra"),
        ("rules", {"latency_ns": 0.5}, "rules.latency_ns"),
        ("rules", {"undeclared": ["ttl_ns"]}, "rules"),
    ]
    for name, value, field in tops:
        yield _case(f"case {name}={value!r}"[:60], {**CASE, name: value}, None, field)
    again = {**CASE, "actions": [CASE["actions"][0], CASE["actions"][0]]}
    yield _case("case id twice", again, 2, "actions.order_id")
    whole = json.dumps(CASE).encode()
    for label, data in (
        ("cut", whole[:-40]),
        ("key twice", whole[:-1] + b', "law": "x"}'),
        ("NaN", b'{"format": NaN}'),
        ("nested", b"[" * 10**6),
        ("not UTF-8", b"\xff"),
        ("empty", b""),
        ("a list", b"[]"),
    ):
        yield Malformed(f"case {label}", "case", _file_writer("bad.case.json", data), "bad.case.json", None, "text")


def _changed(table: str, index: int, name: str, *value: Any) -> dict[str, Any]:
    members = [dict(member) for member in CASE[table]]
    members[index].pop(name, None)
    if value:
        members[index][name] = value[0]
    return {**CASE, table: members}


def _case(name: str, case: dict[str, Any], row: int | None, field: str) -> Malformed:
    return Malformed(
        name, "case", _file_writer("bad.case.json", json.dumps(case).encode()), "bad.case.json", row, field
    )


MALFORMED: tuple[Malformed, ...] = (
    *cells(),
    *columns_missing(),
    *files(),
    *heads(),
    *markers(),
    *backtests(),
    *rules(),
    *cases(),
)
