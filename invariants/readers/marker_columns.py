"""Plain ``markers.jsonl`` by columns: every line written as the first one, and nothing odd anywhere.

Where all lines name the same keys in the same order, and no value holds a comma, a line is a row of cells
between commas and a cell is one member of the object, ``"price": 361146``. If each cell alone, in braces, is an
object of one member, then the line is the object of all of them: so says the grammar of JSON. Hence each
distinct cell is parsed once, by the strict parser and to the meaning that a line by itself would have. Only
instants and ids are too many for that: they must be the text of the first cell with other digits, or
another plain text between the quotes, and every byte of them is looked at.

Whatever is not plain is no error here. It is left to the lines one by one, which read it or name it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache, partial
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from invariants.readers import clock
from invariants.readers.marker_lines import KINDS, MEMBERS, name_of, opened
from invariants.readers.matching import is_expiry
from invariants.strictjson import parse
from simcore.grid import Ints, Mask
from simcore.run import Objects

Bytes = npt.NDArray[np.uint8]
Small = npt.NDArray[np.int8] | npt.NDArray[np.int32]
Value = int | Decimal | str

LARGEST_NS = 2**62
"""Instants, ids and what is added to them stay below this, so that no sum leaves int64."""

_BLOCK_BYTES = 2**23
_CHUNK_BYTES = 2**20
_INT64_DIGITS = 19
_LONGEST = 64
_LONGEST_CELL, _MOST_CELLS = 2**13, 64
"""No line is as long as no line may be."""

_QUOTE, _BACKSLASH, _NEWLINE = b'"\\\n'
_DIGITS = re.compile(rb'(\{?\s*"\w+"\s*:\s*)\d+(\s*\}?)')
_TEXT = re.compile(rb'(\{?\s*"\w+"\s*:\s*")[^"]+("\s*\}?)')
_INSTANT = re.compile(rb".{16}:\d\d(?:\.(\d{1,9}))?((?!:)[ -~]*)", re.DOTALL)
"""Minutes, seconds and a zone: that may have no colon first, as seconds have, nor what no JSON has."""

_REQUIRED = {"ts", "kind", "side", "price", "size"}


class _NotPlainError(ValueError):
    """Something that only a reader of single lines can judge."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The markers, a row each, the first line first; ``kind`` counts in ``KINDS``.

    ``price`` and ``size`` count in ``prices`` and ``sizes``, which hold each value as it was written.
    ``id`` is the same for the same id, and the id itself where ``names`` do not tell it; None where no
    marker has one.
    """

    sha256: str
    ns: Ints
    kind: Small
    side: Small
    price: Small
    size: Small
    is_expiry: Mask
    prices: list[Value]
    sizes: list[Value]
    id: Ints | None
    names: Objects | None = None

    def __len__(self) -> int:
        return len(self.ns)

    def named(self, orders: Ints) -> Columns:
        """The same markers with the ids of these orders, each called after the line of its submit; -1: of no order."""
        lines = np.flatnonzero(self.kind == KINDS.index("submit")) + 1
        none = np.flatnonzero(orders < 0)
        names = [*map(name_of, lines.tolist()), *(name_of(n, matched=False) for n in (none + 1).tolist())]
        ids = orders.copy()
        ids[none] = len(lines) + np.arange(len(none))
        return replace(self, id=ids, names=np.array(names, np.object_))

    def ids(self, at: Ints) -> Objects:
        """The ids of the markers at these places."""
        assert self.id is not None
        return self.id[at].astype(np.object_) if self.names is None else self.names[self.id[at]]


def read_columns(path: Path) -> Columns | None:
    """The markers of a plain file; None for every other."""
    try:
        with opened(path) as (digest, plain, most):
            table = _Table()
            for data, end in _blocks(plain, most):
                table.take(data, end)
            return table.columns(digest.result())
    except (ValueError, pa.ArrowException):
        return None


def _blocks(stream: BufferedReader, most: float) -> Iterator[tuple[bytearray, int]]:
    """The bytes in pieces of whole lines: where they stand, until the next piece does, and how many they are."""
    data = bytearray(_BLOCK_BYTES)
    view = memoryview(data)
    kept = size = 0
    while read := stream.readinto(view[kept:]):
        size, full = size + read, kept + read
        end = data.rfind(b"\n", 0, full) + 1
        _must(size <= most and (end or full < len(data)))
        if end:
            yield data, end
        kept = full - end
        view[:kept] = view[end:full]
    if kept:
        yield data, kept


def _must(is_plain: Any) -> None:
    if not is_plain:
        raise _NotPlainError


class _Table:
    """The columns so far; the first line says which there are."""

    def __init__(self) -> None:
        self._readers: dict[str, Callable[[Any], Any]] = {}
        self._parts: dict[str, list[Any]] = {name: [] for name in MEMBERS}

    def take(self, data: bytearray, end: int) -> None:
        """Enter the whole lines that stand in ``data`` before ``end``."""
        _must(data.startswith(b"{"))  # not a mark of the byte order, which Arrow would swallow
        if not self._readers:
            self._begin(bytes(data[: min(end, _LONGEST_CELL)]).partition(b"\n")[0].rstrip(b"\r").split(b","))
        table = _cells(memoryview(data)[:end], len(self._readers))
        if data.find(b"\r", 0, end) >= 0:  # which ends a line for Arrow, also alone
            _must(len(table) == data.count(b"\n", 0, end) + (data[end - 1] != _NEWLINE))
        for (name, read), chunked in zip(self._readers.items(), table.columns, strict=True):
            parts = [read(chunk) for chunk in chunked.chunks]
            if name in self._parts:
                self._parts[name] += parts

    def _begin(self, cells: list[bytes]) -> None:
        _must(len(cells) <= _MOST_CELLS)
        for at, cell in enumerate(cells):
            braces = (b"{" if at else b"", b"}" if at < len(cells) - 1 else b"")
            name, _ = _member(cell, braces)
            _must(name not in self._readers)
            self._readers[name] = _reader(name, cell, braces)
        _must(self._readers.keys() >= _REQUIRED)

    def columns(self, digest: str) -> Columns | None:
        """All of them; None of no line at all."""
        if not self._readers:
            return None
        whole = {name: _concatenated(parts) for name, parts in self._parts.items() if parts}
        ids, names = whole.get("order_id"), None
        read = self._readers.get("order_id")
        if isinstance(read, _Few):
            ids = None
        elif isinstance(read, _Texts):
            ids, names = read.coded(ids)
        prices, sizes = self._readers["price"], self._readers["size"]
        assert isinstance(prices, _Few)
        assert isinstance(sizes, _Few)
        is_expiry = whole["reason"] == 1 if "reason" in whole else np.zeros(len(whole["ts"]), np.bool_)
        kind, side, price, size = (whole[name] for name in ("kind", "side", "price", "size"))
        return Columns(digest, whole["ts"], kind, side, price, size, is_expiry, prices.told, sizes.told, ids, names)


def _concatenated(parts: list[Any]) -> Any:
    return pa.chunked_array(parts) if isinstance(parts[0], pa.Array) else np.concatenate(parts)


def _cells(block: memoryview, columns: int) -> Any:
    """What stands between the commas, a row for each line; blank lines are refused."""
    names = [str(at) for at in range(columns)]
    return pyarrow.csv.read_csv(
        pa.BufferReader(pa.py_buffer(block)),
        read_options=pyarrow.csv.ReadOptions(column_names=names, block_size=_CHUNK_BYTES),
        parse_options=pyarrow.csv.ParseOptions(quote_char=False, ignore_empty_lines=False),
        convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.binary()), null_values=[]),
    )


def _member(cell: bytes, braces: tuple[bytes, bytes]) -> tuple[str, Any]:
    """The one key of a cell and its value; ``braces`` are those that it lacks."""
    value = parse(braces[0] + cell + braces[1], file="")
    _must(isinstance(value, dict) and len(value) == 1)
    [(name, told)] = value.items()
    return name, told


def _reader(name: str, cell: bytes, braces: tuple[bytes, bytes]) -> Callable[[Any], Any]:
    """What reads the column whose first cell this is."""
    digits, text = _DIGITS.fullmatch(cell), _TEXT.fullmatch(cell)
    if name in ("ts", "order_id") and digits:
        return partial(_whole_numbers, *digits.groups())
    if name == "ts":
        _must(text)
        assert text
        return partial(_instants, *text.groups())
    return _Texts(*text.groups()) if name == "order_id" and text else _Few(name, braces)


class _Few(dict[bytes, int]):
    """Reads a column of few distinct cells: each is parsed once, to a number.

    Of prices and sizes that is the place among ``told``; of a key that nobody reads, 0.
    """

    def __init__(self, name: str, braces: tuple[bytes, bytes]) -> None:
        super().__init__()
        self._name, self._braces = name, braces
        self._dtype = np.int32 if name in ("price", "size") else np.int8
        self.told: list[Value] = []

    def __call__(self, chunk: Any) -> Small:
        coded = chunk.dictionary_encode()
        numbers: Any = np.array([self[cell] for cell in coded.dictionary.to_pylist()], self._dtype)
        told: Small = numbers[_array(coded.indices, 1, np.int32)]
        return told

    def __missing__(self, cell: bytes) -> int:
        _must(len(cell) <= _LONGEST_CELL)
        name, value = _member(cell, self._braces)
        _must(name == self._name)
        self[cell] = number = self._number(value)
        return number

    def _number(self, value: Any) -> int:
        if self._name not in MEMBERS:
            return 0
        meaning = MEMBERS[self._name][0](value)
        if self._name in ("price", "size"):
            self.told.append(meaning)
            return len(self.told) - 1
        if self._name == "kind":
            return KINDS.index(meaning)
        if self._name == "reason":
            return int(is_expiry(meaning))
        _must(self._name == "side" or meaning is None)  # an id on some lines only
        return int(meaning or 0)


@dataclass(frozen=True, slots=True)
class _Texts:
    """Reads a column of ids that are plain text between ``before`` and ``after``."""

    before: bytes
    after: bytes

    def __call__(self, chunk: Any) -> Any:
        """The cells themselves, each looked at."""
        edges = self.before + self.after
        _must(pc.all(pc.starts_with(chunk, self.before)).as_py() and pc.all(pc.ends_with(chunk, self.after)).as_py())
        ends = _array(chunk, 1, np.int32, 1)
        widths = np.diff(ends)
        _must(widths.min() > len(edges) and widths.max() <= len(edges) + _LONGEST)
        data = np.frombuffer(chunk.buffers()[2], np.uint8)[ends[0] : ends[-1]]
        _must(np.count_nonzero(data == _QUOTE) == edges.count(b'"') * len(chunk))
        _must(not (data == _BACKSLASH).any() and data.min() >= ord(" ") and data.max() < 128)
        return chunk

    def coded(self, cells: Any) -> tuple[Ints, Objects]:
        """A number for each id, and the ids."""
        coded = cells.combine_chunks().dictionary_encode()
        inner = slice(len(self.before), -len(self.after))
        names = np.array([cell[inner].decode() for cell in coded.dictionary.to_pylist()], np.object_)
        return _array(coded.indices, 1, np.int32).astype(np.int64), names


def _array(array: Any, buffer: int, dtype: type, more: int = 0) -> Any:
    """A buffer of an Arrow array, as numpy sees it; ``to_numpy`` would import pandas."""
    return np.frombuffer(array.buffers()[buffer], dtype)[array.offset : array.offset + len(array) + more]


def _whole_numbers(before: bytes, after: bytes, chunk: Any) -> Ints:
    """Whole numbers from 0 between ``before`` and ``after``."""
    numbers = np.empty(len(chunk), np.int64)
    for rows, digits in _of_one_width(chunk, before, after):
        _must(digits.shape[1] == 1 or (digits[:, 0] != ord("0")).all())
        numbers[rows] = _number(digits)
    return numbers


def _instants(before: bytes, after: bytes, chunk: Any) -> Ints:
    """Instants in words between ``before`` and ``after``."""
    ns = np.empty(len(chunk), np.int64)
    for rows, text in _of_one_width(chunk, before, after):
        found = _INSTANT.fullmatch(text[0].tobytes())
        _must(found)
        assert found
        places, zone = len(found[1] or b""), found[2]
        end = text.shape[1] - len(zone)
        seconds = _number(text[:, 17:19])
        _must((seconds < 60).all() and _is(text[:, 16:17], b":") and _is(text[:, end:], zone))
        ns[rows] = _minutes(text[:, :16], zone) + seconds * 10**9
        if places:
            _must(_is(text[:, 19:20], b"."))
            ns[rows] += _number(text[:, 20:end]) * 10 ** (9 - places)
    return ns


def _minutes(text: Bytes, zone: bytes) -> Ints:
    """The nanoseconds of whole minutes, each run of equal ones read once."""
    starts = np.flatnonzero(np.append(True, (text[1:] != text[:-1]).any(axis=1)))
    read = [_minute_ns((text[at].tobytes() + zone).decode("ascii")) for at in starts]
    return np.repeat(np.array(read, np.int64), np.diff(np.append(starts, len(text))))


@lru_cache(maxsize=4096)
def _minute_ns(text: str) -> int:
    ns = clock.ns_of(text)
    _must(abs(ns) < LARGEST_NS)
    return ns


def _of_one_width(chunk: Any, before: bytes, after: bytes) -> Iterator[tuple[Any, Bytes]]:
    """Rows of equally many bytes, and what stands there between ``before`` and ``after``, a byte a column."""
    ends, data = _array(chunk, 1, np.int32, 1), np.frombuffer(chunk.buffers()[2], np.uint8)
    widths = np.diff(ends)
    _must(widths.max() <= len(before) + _LONGEST + len(after))
    for width in np.flatnonzero(np.bincount(widths)):
        rows = np.flatnonzero(widths == width)
        first, last = rows[0], rows[-1]
        if last - first + 1 == len(rows):
            cells = data[ends[first] : ends[last + 1]].reshape(-1, width)
        else:
            cells = data[ends[rows][:, None] + np.arange(width)]
        begin, end = len(before), width - len(after)
        _must(begin < end and _is(cells[:, :begin], before) and _is(cells[:, end:], after))
        yield rows, cells[:, begin:end]


def _is(cells: Bytes, text: bytes) -> bool:
    """Whether every row is this text."""
    return bool((cells == np.frombuffer(text, np.uint8)).all())


def _number(text: Bytes) -> Ints:
    """The whole numbers that rows of digits are."""
    digits = text - ord("0")
    _must(digits.shape[1] <= _INT64_DIGITS and (digits < 10).all())
    number = np.zeros(len(digits), np.uint64)
    for column in digits.T:
        number = number * np.uint64(10) + column
    _must((number < LARGEST_NS).all())
    return number.astype(np.int64)
