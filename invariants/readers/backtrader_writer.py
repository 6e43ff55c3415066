"""backtrader's ``WriterFile(csv=True)``: the bars that the engine saw, and its cash and value at each.

Between two lines of ``=`` stand a header and a row a bar; behind them a dump of the strategy, which
is left alone. Each object writes its own columns behind its name, so that ``len`` and ``datetime``
come several times; ``Broker`` (the observer that is there by default) is followed by len, cash, value.
The ``BuySell`` observer's prices are those of arrows on a chart, drawn 1.5 % beside the price: no fills.
"""

from __future__ import annotations

import csv
import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from invariants.readers.engine_table import EngineTable
from invariants.readers.sources import bytes_of
from invariants.readers.tables import check_lines, gunzip
from simcore import InputError
from simcore import pandas_later as pd

RULE = "=" * 10
OBSERVER = ("Broker", "len", "cash", "value")
_HEAD_BYTES = 64 * 2**10


@dataclass(frozen=True, eq=False, slots=True)
class Writer:
    """What one file says: the label of each bar, its close, the broker's cash and value after it."""

    file: str
    sha256: str
    labels: tuple[int, ...]
    arrows: Mapping[str, int]
    close: tuple[Decimal, ...]
    cash: tuple[Decimal, ...]
    value: tuple[Decimal, ...]


def is_writer(path: Path) -> bool:
    """Whether ``path`` begins as a WriterFile does. Never raises."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        if head[:2] == b"\x1f\x8b":
            head = zlib.decompressobj(wbits=31).decompress(head, _HEAD_BYTES)
    except (OSError, zlib.error):
        return False
    first, _, rest = head.removeprefix(b"\xef\xbb\xbf").partition(b"\n")
    return first.startswith(RULE.encode()) and rest.startswith(b"Id,") and b"datetime" in rest.partition(b"\n")[0]


def read_writer(path: Path) -> Writer:
    """The bars in ``path``. Raises ``InputError``."""
    data = bytes_of(path)
    file = str(path)
    table = _bars(_lines(_plain(data, file), file), file)
    cells = [str(name) for name in table.frame.columns]
    names = [name.partition(":")[2] for name in cells]
    at = _broker(names, file)
    for name in ("datetime", "close"):
        if name not in names:
            raise InputError(file=file, field=name, got=", ".join(names), wanted=f"a column {name!r}")
    if names.count("close") > 1:
        raise InputError(file=file, field="close", got=f"{names.count('close')} data feeds", wanted="one instrument")
    money = [tuple(table.numbers(cells[k])) for k in (names.index("close"), at + 2, at + 3)]
    for name, column in zip(("close", "cash", "value"), money, strict=True):
        for row, number in enumerate(column, 1):
            if not isinstance(number, Decimal):
                raise table.refused(name, row, number, "a finite number")
    labels = tuple(table.times(cells[names.index("datetime")]))
    arrows = {name: names.index(name) for name in map(str, ("buy", "sell")) if name in names}
    counts = {name: sum(value is not None for value in table.listed(cells[k])) for name, k in arrows.items()}
    return Writer(file, hashlib.sha256(data).hexdigest(), labels, counts, *money)


def _broker(names: list[str], file: str) -> int:
    """Where the columns of the broker's observer begin."""
    for at in range(len(names) - len(OBSERVER) + 1):
        if tuple(names[at : at + len(OBSERVER)]) == OBSERVER:
            return at
    raise InputError(file=file, field="Broker", got=", ".join(names), wanted="the Broker observer (stdstats=True)")


def _plain(data: bytes, file: str) -> str:
    """The text, unpacked where it is gzip."""
    if data[:2] == b"\x1f\x8b":
        data = gunzip(data, file=file)
    check_lines(data, file=file)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(file=file, field="text", got=f"byte {error.start}", wanted="UTF-8") from None


def _lines(text: str, file: str) -> list[str]:
    """The header and the rows: what stands between the first two rules."""
    lines = text.splitlines()
    rules = [at for at, line in enumerate(lines) if line.startswith(RULE)]
    if not rules or rules[0] != 0:
        raise InputError(
            file=file, field="text", got=lines[0] if lines else "nothing", wanted=f"a first line of {RULE}"
        )
    if len(rules) < 2:
        raise InputError(file=file, field="text", got="no end of the rows", wanted=f"a line of {RULE} behind the rows")
    return lines[1 : rules[1]]


def _bars(lines: list[str], file: str) -> EngineTable:
    """The rows as a table; ``len`` and ``datetime`` come several times, so columns are ``place:name``."""
    try:
        rows = list(csv.reader(lines, strict=True))
    except csv.Error as error:
        raise InputError(file=file, field="row", got=str(error), wanted="CSV") from None
    names = rows[0] if rows else []
    for at, row in enumerate(rows[1:], 1):
        if len(row) != len(names):
            raise InputError(file=file, row=at, field="row", got=f"{len(row)} cells", wanted=f"{len(names)} cells")
    columns = zip(*rows[1:], strict=True) if len(rows) > 1 else [()] * len(names)
    named = {
        f"{k}:{name}": pd.Series(list(c), dtype=object) for k, (name, c) in enumerate(zip(names, columns, strict=True))
    }
    return EngineTable(file, "", pd.DataFrame(named))
