"""The lines of ``markers.jsonl`` one by one: each may be the odd one, and each error has its place."""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from invariants.readers import clock
from invariants.readers.tables import LARGEST_LINE, most_unpacked
from invariants.strictjson import check_object, parse
from simcore import InputError, OrderId
from simcore.frames import SIDES
from simcore.units import INT64_MAX

KINDS = ("submit", "cancel", "fill")


@dataclass(frozen=True, slots=True)
class Marker:
    """One line: ``side`` is +1 or -1, ``price`` and ``size`` as they were written."""

    row: int
    ns: int
    kind: str
    side: int
    price: int | Decimal | str
    size: int | Decimal | str
    reason: str
    order_id: OrderId | None


def name_of(row: int, *, matched: bool = True) -> str:
    """The id of an order that has none: the line of its submit, or of what belongs to no submit."""
    return f"line {row}" if matched else f"line {row}, unmatched"


@contextmanager
def opened(path: Path) -> Iterator[tuple[Future[str], io.BufferedReader, float]]:
    """The SHA-256 of the file, its bytes unpacked, and how many there may be. Raises ``InputError``."""
    file = str(path)
    try:
        with path.open("rb") as raw, ThreadPoolExecutor(1) as beside:
            digest = beside.submit(_sha256, path)
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            plain: Any = io.BufferedReader(gzip.GzipFile(fileobj=raw)) if packed else raw
            yield digest, plain, most_unpacked(path.stat().st_size) if packed else math.inf
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(file=file, field="file", got=str(error), wanted="a whole gzip file") from None
    except OSError as error:
        raise InputError(file=file, field="file", got=error.strerror, wanted="a readable file") from None


def _sha256(path: Path) -> str:
    with path.open("rb") as raw:
        return hashlib.file_digest(raw, "sha256").hexdigest()


def read_lines(path: Path) -> tuple[str, list[Marker]]:
    """The SHA-256 of the file, and its markers in its order. Raises ``InputError``."""
    file = str(path)
    with opened(path) as (digest, plain, most):
        markers = [_marker(line, file, row) for row, line in _lines(plain, file, most)]
        return digest.result(), markers


def _lines(stream: io.BufferedReader, file: str, most: float) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers, never holding more than one, of ``most`` bytes in all."""
    row = size = 0
    while line := stream.readline(LARGEST_LINE + 1):
        row, size = row + 1, size + len(line)
        if size > most:
            got = f"more than {most} bytes, unpacked"
            raise InputError(file=file, field="file", got=got, wanted="a gzip file that is no bomb")
        if len(line) > LARGEST_LINE:
            got = f"more than {LARGEST_LINE} bytes"
            raise InputError(file=file, row=row, field="line", got=got, wanted="one marker")
        if not line.isspace():
            yield row, line


def _marker(line: bytes, file: str, row: int) -> Marker:
    values = check_object(parse(line, file=file, row=row, field="line"), file=file, row=row)
    read = {}
    for name, (meaning, wanted) in MEMBERS.items():
        try:
            read[name] = meaning(values.get(name))
        except ValueError:
            got = values.get(name, "nothing")
            raise InputError(file=file, row=row, field=name, got=got, wanted=wanted) from None
    return Marker(row=row, ns=read.pop("ts"), **read)


def _kind(value: Any) -> str:
    if value not in KINDS:
        raise ValueError(value)
    return str(value)


def _sign(value: Any) -> int:
    sign = SIDES.get(value.casefold() if isinstance(value, str) else None)
    if sign is None:
        raise ValueError(value)
    return sign


def _number(value: Any) -> int | Decimal | str:
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise ValueError(value)  # noqa: TRY004 - caught where the row is known
    return value


def _reason(value: Any) -> str:
    if not isinstance(value, str | None):
        raise ValueError(value)  # noqa: TRY004 - same
    return value or ""


def _order_id(value: Any) -> OrderId | None:
    if isinstance(value, bool) or not isinstance(value, int | str | None) or value == "":
        raise ValueError(value)
    return value


def _ns(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= INT64_MAX:
        return value
    if not isinstance(value, str):
        raise ValueError(value)  # noqa: TRY004 - same
    return clock.ns_of(value)


MEMBERS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "kind": (_kind, "submit, cancel or fill"),
    "side": (_sign, "buy or sell"),
    "price": (_number, "a number"),
    "size": (_number, "a number"),
    "reason": (_reason, "a text"),
    "order_id": (_order_id, "an int or a text"),
    "ts": (_ns, f"{clock.WANTED}, or whole nanoseconds"),
}
"""What the value of each key means (None where there is no such key), and what it should be."""
