"""Plain markers are read by columns, and nothing tells: the run, or the error, is that of the lines one by one."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from invariants.readers import marker_columns, marker_lines, markers
from invariants.readers.markers import read_markers
from simcore import InputError

T0 = 1_773_792_000_000_000_000
SECOND = 10**9
BACKTESTS: list[dict[str, Any]] = [
    {},
    {"rules": {"ttl_ns": "none"}},
    {"rules": {"ttl_ns": 2 * SECOND, "cancel_latency_ns": SECOND}},
    {"rules": {"ttl_ns": 2 * SECOND, "expiry_tie": "fill"}},
    {"rules": {"sizing": "trade"}},
    {"rules": {"pricing": "improve", "ttl_ns": "none"}},
    {"rules": {"ttl_ns": 2**62}, "run": {"last_event_ns": T0 + 3 * SECOND}},
    {"instrument": {"tick_size": 1, "lot_size": "0.5"}},
]


def plain(value: Any) -> Any:
    """All that can be told from outside: values with their types, columns with theirs."""
    if isinstance(value, np.ndarray):
        return str(value.dtype), [(type(v), v) for v in value.tolist()]
    if is_dataclass(value) and not isinstance(value, type):
        return type(value), [(f.name, plain(getattr(value, f.name))) for f in fields(value)]
    if isinstance(value, tuple | list):
        return type(value), [plain(v) for v in value]
    return (type(value), dict(value)) if isinstance(value, dict) else (type(value), repr(value))


def answer(file: Path, **more: Any) -> Any:
    """The run, or the error, in full."""
    try:
        return plain(read_markers(file, **more))
    except InputError as error:
        return str(error), error.file, error.row, error.field, repr(error.got), error.wanted


def both(data: bytes, backtest: dict[str, Any] | None = None, name: str = "markers.jsonl") -> tuple[Any, Any, bool]:
    """The answers by columns and by lines, and whether the columns sufficed."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_bytes(data)
        if backtest is not None:
            (Path(folder) / "backtest.json").write_text(json.dumps(backtest))
        with mock.patch.object(markers, "read_lines", wraps=markers.read_lines) as lines:
            ours = answer(file)
        with mock.patch.object(markers, "read_columns", return_value=None):
            return ours, answer(file), not lines.called


def marker(seconds: float, kind: str, price: Any = 100, side: str = "BUY", **more: Any) -> dict[str, Any]:
    told = {"ts": T0 + round(seconds * SECOND), "kind": kind, "side": side, "price": price, "size": 5.0}
    return {**told, "reason": "quote", **more}


def lines(*told: dict[str, Any]) -> bytes:
    return "".join(json.dumps(one) + "\n" for one in told).encode()


QUOTES = [
    marker(0, "submit", 100.25),
    marker(0, "submit", 99, "sell", reason="second"),
    marker(1, "fill", 100.25),
    marker(2, "cancel", 99.0, "SELL", reason="quote_ttl"),
    marker(2.5, "cancel", 100.25, reason="too late"),
    marker(3, "submit"),
    marker(4, "cancel", 77),
    marker(9, "submit"),
    marker(10, "fill"),
    marker(10, "submit"),
]


def with_ids(prefix: str = "") -> list[dict[str, Any]]:
    ids = [1, 2, 1, 2, 1, 30, 4, 500, 500, 1]
    return [{**told, "order_id": f"{prefix}{n}" if prefix else n} for told, n in zip(QUOTES, ids, strict=True)]


def at(stamp: str) -> list[dict[str, Any]]:
    return [{**told, "ts": stamp.format(n)} for n, told in enumerate(QUOTES)]


PLAIN = {
    "no ids": lines(*QUOTES),
    "ids": lines(*with_ids()),
    "ids of text": lines(*with_ids("order ")),
    "ids first": lines(*({"order_id": t["order_id"], **t} for t in with_ids("x"))),
    "ids of nobody": lines(*({**told, "order_id": None} for told in QUOTES)),
    "far apart ids": lines(*({**told, "order_id": told["order_id"] * 10**15} for told in with_ids())),
    "no reason": lines(*({k: v for k, v in told.items() if k != "reason"} for told in QUOTES)),
    "more keys": lines(*({**told, "fee": 0.1, "note": {"a": [1]}} for told in QUOTES)),
    "CRLF": lines(*QUOTES).replace(b"\n", b"\r\n"),
    "no last newline": lines(*QUOTES).rstrip(b"\n"),
    "compact": b"".join(json.dumps(t, separators=(",", ":")).encode() + b"\n" for t in QUOTES),
    "exponents": lines(*QUOTES).replace(b"5.0", b"5e0").replace(b"100.25", b"10025E-2"),
    "numbers as text": lines(*QUOTES).replace(b"5.0", b'"5.00"'),
    "escapes": lines(*QUOTES).replace(b"quote", b"\\u0074\\u0074l"),
    "quotes in a reason": lines(*QUOTES).replace(b"quote", b'\\"quote\\"'),
    "Japanese reasons": lines(*QUOTES).replace(b"quote", "気配".encode()),
    "ISO": lines(*at("2026-03-18T00:0{}:00Z")),
    "ISO with fractions": lines(*at("2026-03-18T00:00:0{0}.12{0}Z")),
    "ISO of many lengths": lines(*at("2026-03-18T00:00:0{0}.12{0}Z")).replace(b".123Z", b".123456789Z"),
    "ISO far from here": lines(*at("2026-03-18 23:59:0{}.000001+09:00")),
    "ISO without a zone": lines(*at("2026-03-18 23:59:0{}")),
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_markers_are_read_by_columns_alone(name: str) -> None:
    ours, theirs, by_columns = both(PLAIN[name])
    assert ours == theirs
    assert by_columns


def odd(*edits: tuple[bytes, bytes], more: bytes = b"") -> bytes:
    """The quotes without and with a fault in the seventh line."""
    good = lines(*QUOTES).split(b"\n")
    for old, new in edits:
        assert old in good[6]
        good[6] = good[6].replace(old, new)
    return b"\n".join(good) + more


ODD = {
    "a key twice": odd((b'"price"', b'"price": 1, "price"')),
    "a key twice for another": odd((b'"price"', b'"size"')),
    "a trailing comma": odd((b"}", b",}")),
    "NaN": odd((b": 77", b": NaN")),
    "Infinity": odd((b": 77", b": -Infinity")),
    "a leading zero": odd((b": 77", b": 077")),
    "a plus": odd((b": 77", b": +77")),
    "hexadecimal": odd((b": 77", b": 0x77")),
    "no number": odd((b": 77", b': "x"')),
    "a list": odd((b'{"ts"', b'[{"ts"'), (b"}", b"}]")),
    "two on a line": odd((b"}", b"}" + lines(QUOTES[0]).strip())),
    "one on two lines": odd((b'"price"', b'\n"price"')),
    "a lone carriage return": odd((b'"price"', b'\r"price"')),
    "a blank line": odd((b'{"ts"', b'\n{"ts"')),
    "a line of spaces": odd((b'{"ts"', b'  \n{"ts"')),
    "no price": odd((b', "price": 77', b"")),
    "no size": odd((b', "size": 5.0', b', "length": 5.0')),
    "a time in 1600": odd((b"1773", b"-1173")),
    "a time too late": odd((str(T0 + 4 * SECOND).encode(), str(2**63).encode())),
    "a time of a float": odd((str(T0 + 4 * SECOND).encode(), b"1e18")),
    "a time of 19 zeros": odd((str(T0 + 4 * SECOND).encode(), b"0" * 19)),
    "an unknown kind": odd((b"cancel", b"cancels")),
    "a null side": odd((b'"BUY"', b"null")),
    "an int of a side": odd((b'"BUY"', b"1")),
    "a comma in a reason": odd((b'"quote"', b'"stale, wide"')),
    "half a reason": odd((b'"quote"', b'"quote')),
    "a control character": odd((b'"quote"', b'"a\tb"')),
    "a NUL": odd((b'"quote"', b'"a\x00b"')),
    "latin-1": odd((b'"quote"', b'"\xe9"')),
    "an id here alone": odd((b"}", b', "order_id": 7}')),
    "another order of keys": odd((b'"kind": "cancel", "side": "BUY"', b'"side": "BUY", "kind": "cancel"')),
    "off the grid": odd((b": 77", b": 77.000000000000000000001")),
    "beyond int64": odd((b": 77", b": 7e40")),
    "beyond Decimal": odd((b": 77", b": 1e9999999999999999999")),
    "cut": odd(more=b'{"ts": 1'),
    "a mark of the byte order": b"\xef\xbb\xbf" + odd(),
    "a line of a mebibyte": odd((b'"quote"', b'"' + b"x" * 2**20 + b'"')),
    "nothing": b"",
    "a newline": b"\n",
    "no JSON": b"BM\x00\xff",
    "nested without end": odd((b'"quote"', b"[" * 10**5)),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_markers_are_read_or_refused_as_ever(name: str) -> None:
    ours, theirs, by_columns = both(ODD[name])
    assert ours == theirs
    assert not by_columns


@pytest.mark.parametrize(
    "edit", [(b'"1"', b'""'), (b'"1"', b'"\\u0031"'), (b'"1"', b"1"), (b'"1"', b"null"), (b'"1"', b'"\xe9"')]
)
def test_odd_ids_are_read_or_refused_as_ever(edit: tuple[bytes, bytes]) -> None:
    data = lines(*({**told, "order_id": str(told["order_id"])} for told in with_ids()))
    ours, theirs, _ = both(data[::-1].replace(edit[0][::-1], edit[1][::-1], 1)[::-1])
    assert ours == theirs


def test_packed_markers_are_read_by_columns_and_bombs_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = gzip.compress(lines(*QUOTES))
    for data, sufficed in ((packed, True), (packed[:-9], False)):
        ours, theirs, by_columns = both(data, name="markers.jsonl.gz")
        assert ours == theirs
        assert by_columns == sufficed
    monkeypatch.setattr(marker_lines, "most_unpacked", lambda stored: stored)
    ours, theirs, by_columns = both(packed, name="markers.jsonl.gz")
    assert (ours, by_columns) == (theirs, False)
    assert "no bomb" in ours[0]


def test_blocks_and_chunks_are_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marker_columns, "_BLOCK_BYTES", 500)
    monkeypatch.setattr(marker_columns, "_CHUNK_BYTES", 250)
    for data in (lines(*with_ids() * 40), lines(*with_ids("a") * 40), lines(*QUOTES * 40)):
        ours, theirs, by_columns = both(data)
        assert ours == theirs
        assert by_columns


def test_a_line_of_the_limit_is_refused_whatever_it_is_made_of() -> None:
    for more in ({"note": "x" * 2**20}, {f"key {n}": "x" * 2**14 for n in range(63)}, {f"k{n}": n for n in range(64)}):
        ours, theirs, by_columns = both(lines(*({**told, **more} for told in QUOTES)))
        assert ours == theirs
        assert not by_columns


def test_what_is_left_of_an_order_is_rounded_as_ever() -> None:
    """With a lot of more than nine digits the sums are the book's."""
    backtest = {"instrument": {"tick_size": "0.25", "lot_size": "0.12345678901"}, "rules": {"sizing": "trade"}}
    fine = [{**told, "size": "0.12345678901"} for told in with_ids()]
    ours, theirs, by_columns = both(lines(*fine), backtest)
    assert ours == theirs
    assert not by_columns


def test_two_open_orders_of_a_side_and_price_are_told_apart_by_the_book() -> None:
    twins = [
        marker(n // 2, kind) for n, kind in enumerate(["submit", "submit", "fill", "cancel", "cancel", "fill"] * 5)
    ]
    for backtest in BACKTESTS:
        ours, theirs, by_columns = both(lines(*twins, *QUOTES), backtest)
        assert ours == theirs
        assert by_columns == (backtest in BACKTESTS[:5])  # with the others, nothing is plain here


NUMBERS = ["100", "100.0", "100.50", "101", "99.5", "1e2", '"100"', '"1e2"', "0.5", "-1", "0"]
STAMPS: list[Callable[[int], str]] = [
    str,
    lambda ns: f'"2026-03-18T00:0{ns // 60 // SECOND % 10}:{ns // SECOND % 60:02d}Z"',
    lambda ns: f'"2026-03-18T00:00:{ns // SECOND % 60:02d}.{ns % SECOND:09d}Z"',
]


@st.composite
def told(draw: st.DrawFn) -> bytes:
    """Some markers, of a file as one program writes it: few prices, times that mostly run on."""
    stamp, has_ids = draw(st.sampled_from(STAMPS)), draw(st.sampled_from(["", "", "int", "text", "int", "some"]))
    numbers = draw(st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=3))
    keys = draw(st.permutations(["ts", "kind", "side", "price", "size", "reason"]))
    colon, comma = draw(st.sampled_from([(": ", ", "), (":", ",")]))
    ns, written = T0, []
    for _ in range(draw(st.integers(1, 24))):
        step, which, id_ = draw(st.tuples(st.integers(-1, 8), st.integers(0, 2**10 - 1), st.integers(0, 5)))
        ns += step * SECOND // 2
        values = {
            "ts": stamp(ns),
            "kind": ('"submit"', '"submit"', '"cancel"', '"fill"')[which & 3],
            "side": ('"buy"', '"SELL"')[which >> 2 & 1],
            "price": numbers[(which >> 3 & 3) % len(numbers)],
            "size": ("5", "5.0", "2.5", "5")[which >> 5 & 3],
            "reason": ('"quote"', '"ttl"', '""', "null")[which >> 7 & 3],
        }
        members = [(key, values[key]) for key in keys]
        if has_ids and (has_ids != "some" or which & 512):
            members.append(("order_id", f'"id {id_}"' if has_ids == "text" else str(id_)))
        written.append("{" + comma.join(f'"{key}"{colon}{value}' for key, value in members) + "}\n")
    return "".join(written).encode()


def spoilt(data: bytes, place: int, piece: bytes, cut: int) -> bytes:
    """The bytes with a piece put in, in place of so many."""
    begin = place % (len(data) + 1)
    return data[:begin] + piece + data[begin + cut :]


PIECES = [
    b"\n",
    b"\r",
    b"\r\n",
    b" ",
    b",",
    b'"',
    b"{",
    b"}",
    b"\\",
    b"0",
    b"e",
    b"-",
    b".",
    b"\x00",
    b"\xff",
    b"\xef\xbb\xbf",
]
PIECES += [b"1", b":", b"null", b'"a": 1, ', b"}{", b"}\n{", b"[]", b"NaN", b"\t", b""]


@pytest.mark.parametrize(
    "stamp", ["2026-03-18T00:00:00.0000:00Z", "2026-03-18T00:00:01:02", "2026-03-18T00:00:00:30.5Z"]
)
def test_seconds_in_place_of_a_zone_are_refused(stamp: str) -> None:
    """The minutes and what stood behind the seconds made an instant."""
    ours, theirs, _ = both(lines(marker(0, "submit") | {"ts": stamp}))
    assert ours == theirs
    assert "wanted an ISO-8601 time" in ours[0]


def test_a_tab_before_the_zone_is_no_json() -> None:
    stamps = ("2026-03-18T00:00:00Z", "2026-03-18T00:00:00 Z")
    data = lines(*(marker(0, "submit") | {"ts": stamp} for stamp in stamps))
    ours, theirs, _ = both(data.replace(b" Z", b"\tZ"))
    assert ours == theirs
    assert "Invalid control character" in ours[0]


@given(told(), st.sampled_from(BACKTESTS))
@settings(max_examples=300, deadline=None)
def test_runs_by_columns_are_the_runs_by_lines(data: bytes, backtest: dict[str, Any]) -> None:
    ours, theirs, by_columns = both(data, backtest)
    event(f"by columns: {by_columns}")
    assert ours == theirs


@given(
    told(),
    st.lists(
        st.builds(
            lambda place, piece, cut: partial(spoilt, place=place, piece=piece, cut=cut),
            st.integers(0, 10**4),
            st.sampled_from(PIECES),
            st.integers(0, 3),
        ),
        min_size=1,
        max_size=3,
    ),
)
@settings(max_examples=300, deadline=None)
def test_spoilt_bytes_are_read_or_refused_as_ever(data: bytes, spoil: list[Callable[[bytes], bytes]]) -> None:
    for one in spoil:
        data = one(data)
    ours, theirs, by_columns = both(data)
    event(f"by columns: {by_columns}")
    assert ours == theirs
