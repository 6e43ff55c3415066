"""Damaged copies of an engine's output: each file it has, cut, reordered, repeated, retyped, re-encoded."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

LOSSLESS, REPEATED, LOSSY = "lossless", "repeated", "lossy"


@dataclass(frozen=True)
class Copy:
    """A damaged file: how, what makes its bytes, what became of its rows, and how many (None: no table any more)."""

    how: str
    make: Callable[[], bytes]
    kind: str
    rows: int | None


def copies(name: str, data: bytes) -> Iterator[Copy]:
    """Every damaged copy of the file ``name``."""
    plain, pack = _opened(data)
    yield Copy("empty", bytes, LOSSY, None)
    yield Copy("half of its bytes", lambda: data[: len(data) // 2], LOSSY, None)
    yield Copy("without its last byte", lambda: data[:-1], LOSSY, None)
    yield Copy("zeros", lambda: bytes(len(data)), LOSSY, None)
    stem = name.removesuffix(".gz")
    if stem.endswith(".csv"):
        yield from _text(plain, pack, len(list(csv.reader(io.StringIO(plain.decode())))) - 1)
        yield from _csv(plain, pack)
    elif stem.endswith(".jsonl"):
        yield from _text(plain, pack, len(plain.splitlines()))
        yield from _lines(plain, pack)
    elif stem.endswith(".parquet"):
        yield from _parquet(plain)
    elif stem.endswith(".npz"):
        yield from _npz(plain)
    elif stem.endswith(".zip"):
        yield from _zip(plain)


def _opened(data: bytes) -> tuple[bytes, Callable[[bytes], bytes]]:
    """The file without its gzip, and what packs it again."""
    if data[:2] == b"\x1f\x8b":
        return gzip.decompress(data), _gzip
    return data, bytes


def _gzip(plain: bytes) -> bytes:
    return gzip.compress(plain, compresslevel=1)  # quick; what is read is the same


def _text(plain: bytes, pack: Callable[[bytes], bytes], rows: int) -> Iterator[Copy]:
    text = plain.decode()
    yield Copy("in UTF-16", lambda: pack(text.encode("utf-16")), LOSSLESS, rows)
    yield Copy("with a byte order mark", lambda: pack(text.encode("utf-8-sig")), LOSSLESS, rows)
    yield Copy("with CRLF", lambda: pack(text.replace("\n", "\r\n").encode()), LOSSLESS, rows)
    yield Copy("packed twice", lambda: _gzip(pack(plain)), LOSSLESS, rows)
    yield Copy("with a NUL", lambda: pack(plain[: len(plain) // 2] + b"\x00" + plain[len(plain) // 2 :]), LOSSY, rows)
    yield Copy("with a byte that is no UTF-8", lambda: pack(plain[:-40] + b"\xff" + plain[-40:]), LOSSY, rows)


def _csv(plain: bytes, pack: Callable[[bytes], bytes]) -> Iterator[Copy]:
    head, *rows = list(csv.reader(io.StringIO(plain.decode())))

    def written(how: str, kind: str, table: list[list[str]]) -> Copy:
        def make() -> bytes:
            out = io.StringIO()
            csv.writer(out, lineterminator="\n").writerows(table)
            return pack(out.getvalue().encode())

        return Copy(how, make, kind, len(table) - 1)

    yield written("without its last row", LOSSY, [head, *rows[:-1]])
    yield written("without its first rows", LOSSY, [head, *rows[len(rows) // 3 :]])
    yield written("with a row twice", REPEATED, [head, *rows[: len(rows) // 2], *rows[len(rows) // 2 - 1 :]])
    yield written("with every row twice", REPEATED, [head, *rows, *rows])
    yield written("reversed", LOSSLESS, [head, *rows[::-1]])
    yield written("with columns reversed", LOSSLESS, [head[::-1], *(row[::-1] for row in rows)])
    yield written("without its head", LOSSY, rows)
    yield written("with a short row", LOSSY, [head, rows[0][:-1], *rows[1:]])
    for at, name in enumerate(head):
        yield written(f"without {name}", LOSSY, [[*r[:at], *r[at + 1 :]] for r in [head, *rows]])
        yield written(f"with words for {name}", LOSSY, [head, *([*r[:at], "?!", *r[at + 1 :]] for r in rows)])
        first = [*rows[0][:at], "", *rows[0][at + 1 :]]
        yield written(f"with nothing for {name}", LOSSY, [head, first, *rows[1:]])


def _lines(plain: bytes, pack: Callable[[bytes], bytes]) -> Iterator[Copy]:
    lines = plain.splitlines(keepends=True)
    middle = len(lines) // 2

    def written(how: str, kind: str, left: list[bytes], rows: int | None = None) -> Copy:
        return Copy(how, lambda: pack(b"".join(left)), kind, len(left) if rows is None else rows)

    yield written("without its last line", LOSSY, lines[:-1])
    yield written("without its first lines", LOSSY, lines[middle:])
    yield written("with a line twice", REPEATED, [*lines[:middle], *lines[middle - 1 :]])
    yield written("with every line twice", REPEATED, [*lines, *lines])
    yield written("reversed", LOSSLESS, lines[::-1])
    yield written("with a line cut", LOSSY, [*lines[:middle], lines[middle][:25] + b"\n", *lines[middle + 1 :]])
    yield written("with deep nesting", LOSSY, [*lines, b"[" * 100_000 + b"\n"])
    shapes: dict[str, dict[str, object]] = {}
    for line in lines:
        event = json.loads(line)
        shapes.setdefault(event["type"], event)
    for shape in shapes.values():
        for key in shape:
            wrong = (("an object", {}), ("null", None), ("a word", "?!"), ("a number", 7))
            for how, value in wrong:
                bad = json.dumps({**shape, key: value}).encode() + b"\n"
                yield written(f"{shape['type']}.{key} is {how}", LOSSY, [*lines, bad])
            without = {k: v for k, v in shape.items() if k != key}
            yield written(f"{shape['type']} without {key}", LOSSY, [*lines, json.dumps(without).encode() + b"\n"])


def _parquet(plain: bytes) -> Iterator[Copy]:
    table = pq.read_table(pa.BufferReader(plain))
    rows = table.num_rows

    def written(how: str, kind: str, left: pa.Table) -> Copy:
        def make() -> bytes:
            out = io.BytesIO()
            pq.write_table(left, out)
            return out.getvalue()

        return Copy(how, make, kind, left.num_rows)

    yield written("without its last row", LOSSY, table.slice(0, rows - 1))
    yield written("without its first rows", LOSSY, table.slice(rows // 3))
    yield written(
        "with a row twice", REPEATED, pa.concat_tables([table.slice(0, rows // 2 + 1), table.slice(rows // 2)])
    )
    yield written("with every row twice", REPEATED, pa.concat_tables([table, table]))
    yield written("reversed", LOSSLESS, table.take(pa.array(np.arange(rows)[::-1])))
    yield written("shuffled", LOSSLESS, table.take(pa.array(np.random.default_rng(1).permutation(rows))))
    yield written("with columns reversed", LOSSLESS, table.select(table.column_names[::-1]))
    yield written("with an alien column", LOSSLESS, table.append_column("alien", pa.array([None] * rows)))
    for at, name in enumerate(table.column_names):
        yield written(f"without {name}", LOSSY, table.remove_column(at))
        words = pa.array(["?!"] * rows)
        yield written(f"with words for {name}", LOSSY, table.set_column(at, name, words))
        cells = table.column(name).to_pylist()
        nulls = pa.array([None, *cells[1:]], table.column(name).type)
        yield written(f"with nothing for {name}", LOSSY, table.set_column(at, name, nulls))
        if not pa.types.is_nested(table.column(name).type) and not any(isinstance(c, bytes) for c in cells):
            texts = pa.array([None if c is None else str(c) for c in cells], pa.string())
            yield written(f"with {name} as text", LOSSLESS, table.set_column(at, name, texts))


def _npz(plain: bytes) -> Iterator[Copy]:
    with np.load(io.BytesIO(plain)) as file:
        arrays = dict(file.items())
    ((name, array),) = arrays.items()

    def written(how: str, kind: str, **left: np.ndarray) -> Copy:
        def make() -> bytes:
            out = io.BytesIO()
            np.savez_compressed(out, **left)
            return out.getvalue()

        return Copy(how, make, kind, len(next(iter(left.values()))) if left else None)

    yield written("without its last row", LOSSY, **{name: array[:-1]})
    yield written("reversed", LOSSLESS, **{name: array[::-1]})
    yield written("under another name", LOSSY, other=array)
    yield written("as objects", LOSSY, **{name: np.array([{}], dtype=object)})
    yield written("with no array", LOSSY)
    for field in array.dtype.names:
        yield written(f"without {field}", LOSSY, **{name: array[[f for f in array.dtype.names if f != field]]})

    def bomb() -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr(f"{name}.npy", bytes(600 * 2**20))
        return out.getvalue()

    yield Copy("a bomb", bomb, LOSSY, None)


def _zip(plain: bytes) -> Iterator[Copy]:
    with zipfile.ZipFile(io.BytesIO(plain)) as file:
        members = {name: file.read(name) for name in file.namelist()}
    main = min((n for n in members if n.endswith(".json") and "config" not in n), key=len)
    page = json.loads(members[main])

    def packed(how: str, kind: str, left: Callable[[], dict[str, bytes]]) -> Copy:
        def make() -> bytes:
            out = io.BytesIO()
            with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
                for name, data in left().items():
                    file.writestr(name, data)
            return out.getvalue()

        return Copy(how, make, kind, None)

    def edited(how: str, kind: str, change: Callable[[list[dict[str, object]]], object]) -> Copy:
        def left() -> dict[str, bytes]:
            fresh = json.loads(members[main])
            ((_, strategy),) = fresh["strategy"].items()
            change(strategy["trades"])
            return {**members, main: json.dumps(fresh).encode()}

        return packed(how, kind, left)

    yield packed("packed anew", LOSSLESS, lambda: members)
    yield packed("with a path out", LOSSLESS, lambda: {"../../evil.json": b"{}", **members})
    yield packed("without its result", LOSSY, lambda: {n: d for n, d in members.items() if n != main})
    yield packed("with half of its result", LOSSY, lambda: {**members, main: members[main][:500]})
    yield packed("with a result of blanks", LOSSY, lambda: {**members, main: b" " * (600 * 2**20)})
    yield edited("without its last trade", LOSSY, lambda trades: trades.pop())
    yield edited("with a trade twice", REPEATED, lambda trades: trades.append(trades[0]))
    yield edited("reversed", LOSSLESS, lambda trades: trades.reverse())
    ((_, strategy),) = page["strategy"].items()
    for key in strategy["trades"][0]:
        yield edited(f"without {key}", LOSSY, lambda trades, key=key: trades[0].pop(key))
        yield edited(f"with a word for {key}", LOSSY, lambda trades, key=key: trades[0].update({key: "?!"}))
