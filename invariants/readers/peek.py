"""The column names of a table, read as cheaply as can be: enough to recognise what wrote it."""

from __future__ import annotations

import csv
import gzip
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from invariants.readers.tables import SUFFIXES

_HEAD_BYTES = 64 * 2**10


def columns_of(path: Path) -> frozenset[str]:
    """The columns of a Parquet or CSV file; none where it is no such file. Never raises."""
    if not path.name.endswith(SUFFIXES) or not path.is_file():
        return frozenset()
    try:
        with path.open("rb") as raw:
            head = raw.read(4)
        return frozenset(pq.read_schema(path).names if head == b"PAR1" else _csv_columns(path))
    except (OSError, EOFError, ValueError, zlib.error, csv.Error, pa.ArrowException):
        return frozenset()


def _csv_columns(path: Path) -> list[str]:
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        line = (gzip.GzipFile(fileobj=raw) if packed else raw).readline(_HEAD_BYTES)
    return [name.strip() for name in next(csv.reader([line.decode("utf-8-sig")]), [])]
