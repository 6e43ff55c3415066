"""The line on which a row of a CSV file begins: blank lines are no rows, and a cell may hold several lines."""

from __future__ import annotations

import csv
import io
from functools import lru_cache
from pathlib import Path
from stat import S_ISREG

from invariants.readers.tables import LARGEST_BYTES, gunzip
from simcore import InputError


def line_of(file: str, row: int) -> int:
    """The line of the ``row``-th row, from 1; the row + 1 where the file is not here, or is not what it was."""
    try:
        told = Path(file).stat()
    except (OSError, ValueError):  # a name with NUL is none
        return row + 1
    is_here = S_ISREG(told.st_mode) and told.st_size <= LARGEST_BYTES  # a pipe has been read already
    lines = _lines(file, told.st_size, told.st_mtime_ns) if is_here else []
    return lines[row - 1] if row <= len(lines) else row + 1


@lru_cache(maxsize=16)
def _lines(file: str, _size: int, _changed_ns: int) -> list[int]:
    """Of every row of a file as it is now; of none where they are one after the other."""
    try:
        data = Path(file).read_bytes()
        data = gunzip(data, file=file) if data[:2] == b"\x1f\x8b" else data
        return _begins(data.decode("utf-8-sig"))
    except (OSError, ValueError, InputError, csv.Error):  # other contents than were audited
        return []


def _begins(text: str) -> list[int]:
    if '"' not in text and not any(blank in text for blank in ("\n\n", "\r\r", "\n\r")):
        return []
    reader = csv.reader(io.StringIO(text, newline=""))
    next(reader, [])
    begins, before = [], reader.line_num
    for row in reader:
        if row:
            begins.append(before + 1)
        before = reader.line_num
    return begins
