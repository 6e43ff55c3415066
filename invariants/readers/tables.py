"""Tables from bytes: Parquet, or CSV, plain or gzip, told apart by their content.

CSV cells come as text and an empty one is null. Parquet keeps its types. Whatever is wrong with a
file as such (truncated, not UTF-8, ragged) raises ``InputError``.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from simcore import InputError
from simcore import pandas_later as pd
from simcore.frames import check_names

LARGEST_BYTES = 2**30
LARGEST_RATIO = 200
"""CSV packs 5 to 30 times; a bomb a thousand times."""

LARGEST_LINE = 2**20
"""Bytes of a line of text: a row of any table needs a thousandth."""

MOST_ROWS_A_BYTE = 8
"""Rows of a Parquet file for each of its bytes: an instant alone takes more than a bit."""

_OTHERS = (
    (b"\x28\xb5\x2f\xfd", "Zstandard"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"BZh", "bzip2"),
    (b"ARROW1", "Arrow or Feather"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
"""How files begin that are often tables, and not in a way that is read here."""

_SMALL = 2**20
_SHOWN = 5
SUFFIXES = (".parquet", ".csv", ".csv.gz")


def frame_from_bytes(data: bytes, *, file: str, delimiter: str = ",") -> pd.DataFrame:
    """The table in ``data``; ``delimiter`` is that of CSV."""
    if data[:2] == b"\x1f\x8b":
        data = gunzip(data, file=file)
    if data[:4] == b"PK\x03\x04":
        is_sheet = b"xl/" in data[-(2**16) :]  # the names of what is packed stand at the end
        got, wanted = ("an Excel workbook", "CSV") if is_sheet else ("a ZIP archive", "the table in it, unpacked")
        raise InputError(file=file, field="file", got=got, wanted=wanted)
    for begin, kind in _OTHERS:
        if data.startswith(begin):
            field = "text" if kind == "UTF-16" else "file"
            raise InputError(file=file, field=field, got=kind, wanted="Parquet, or CSV in UTF-8, plain or gzip")
    if data.lstrip()[:1] in (b"{", b"["):
        raise InputError(file=file, field="file", got="JSON", wanted="Parquet or CSV")
    return _parquet(data, file) if data[:4] == b"PAR1" or file.endswith(".parquet") else _csv(data, file, delimiter)


def most_unpacked(stored: int) -> int:
    """The bytes that a gzip file of so many may hold."""
    return LARGEST_RATIO * stored + _SMALL


def gunzip(data: bytes, *, file: str) -> bytes:
    """What a gzip file holds; no more is unpacked than may be. Raises ``InputError``."""
    most = min(LARGEST_BYTES, most_unpacked(len(data)))
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            plain = stream.read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(file=file, field="file", got=str(error), wanted="a whole gzip file") from None
    if len(plain) > most:
        got = f"more than {most} bytes of {len(data)}"
        wanted = f"at most {LARGEST_BYTES} bytes, and {LARGEST_RATIO} times what is stored"
        raise InputError(file=file, field="file", got=got, wanted=wanted)
    return plain


def check_lines(data: bytes, *, file: str) -> None:
    """Refuse a line longer than ``LARGEST_LINE``, before anything is made of it. Raises ``InputError``."""
    begin = 0
    while begin + LARGEST_LINE < len(data):
        end = data.rfind(b"\n", begin, begin + LARGEST_LINE + 1)
        if end < 0:
            row, got = data.count(b"\n", 0, begin) + 1, f"more than {LARGEST_LINE} bytes"
            raise InputError(file=file, row=row, field="line", got=got, wanted=f"at most {LARGEST_LINE} bytes")
        begin = end + 1


def _parquet(data: bytes, file: str) -> pd.DataFrame:
    try:
        check_rows(pq.read_metadata(pa.BufferReader(data)).num_rows, len(data), file)
        table = pq.read_table(pa.BufferReader(data))
        table.validate(full=True)
    except InputError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise not_parquet(file, error) from None
    return frame_of_arrow(table, file)


def check_rows(rows: int, stored: int, file: str) -> None:
    """Refuse more rows than so many stored bytes can mean. Raises ``InputError``."""
    if rows > MOST_ROWS_A_BYTE * stored + _SMALL:
        wanted = f"at most {MOST_ROWS_A_BYTE} for each byte"
        raise InputError(file=file, field="rows", got=f"{rows} in {stored} bytes", wanted=wanted)


def not_parquet(file: str, error: BaseException) -> InputError:
    """What to say of a file that Arrow cannot read."""
    return InputError(file=file, field="file", got=_first_line(error), wanted="a whole Parquet file")


def frame_of_arrow(table: Any, file: str) -> pd.DataFrame:
    """An Arrow table as a frame that keeps its types. Raises ``InputError``."""
    check_names(table.column_names, file)
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True)
    for name in quoted_in(table.schema):
        frame[name] = pd.Series([_id_of(text) for text in frame[name]], dtype=object)
    return frame


def quoted_in(schema: Any) -> list[str]:
    """The columns of an Arrow schema that hold ints and texts side by side."""
    return [field.name for field in schema if (field.metadata or {}).get(b"text") == b"quoted"]


def _id_of(text: Any) -> Any:
    """An id from a column that holds ints and texts side by side: a text stands behind a quote."""
    if isinstance(text, str) and text.lstrip("-").isdecimal():
        return int(text)
    return text[1:] if isinstance(text, str) and text.startswith("'") else text


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _csv(data: bytes, file: str, delimiter: str) -> pd.DataFrame:
    check_lines(data, file=file)
    names, rows = _csv_rows(_text(data, file), file, delimiter)
    columns: list[Any] = [[] for _ in names] if not rows else list(zip(*rows, strict=True))
    return pd.DataFrame(
        {
            name: pd.Series([cell if cell != "" else None for cell in column], dtype=object)
            for name, column in zip(names, columns, strict=True)
        }
    )


def _text(data: bytes, file: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") or None  # the header is row 0
        raise InputError(file=file, row=row, field="text", got=f"byte {error.start}", wanted="UTF-8") from None


def _csv_rows(text: str, file: str, delimiter: str) -> tuple[list[str], list[list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[list[str]] = []
    names: list[str] = []
    try:
        names = [name.strip() for name in next(reader, [])]
        for row in reader:
            if len(row) != len(names):
                if not row:
                    continue
                got = f"{len(row)} cells"
                raise InputError(file=file, row=len(rows) + 1, field="row", got=got, wanted=f"{len(names)} cells")
            rows.append(row)
    except csv.Error as error:
        raise InputError(file=file, row=len(rows) + 1, field="row", got=str(error), wanted="CSV") from None
    if not any(names):
        raise InputError(file=file, field="header", got="nothing", wanted="a line of column names")
    if len(set(names)) < len(names) and any(name[:1].isdigit() for name in names):
        got = ", ".join(names[:_SHOWN])
        raise InputError(file=file, field="header", got=got, wanted="a line of column names above the rows")
    check_names(names, file)
    return names, rows
