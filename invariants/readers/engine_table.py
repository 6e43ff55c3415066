"""One table of an engine's output: found in its folder, read once, its cells as Python objects."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import numpy as np

from invariants.readers import clock
from invariants.readers.sources import bytes_of
from invariants.readers.tables import SUFFIXES, frame_from_bytes
from invariants.readers.tape_columns import EARLIEST_NS
from simcore import InputError
from simcore import pandas_later as pd
from simcore.cells import cells_of
from simcore.grid import OffGridError, number_of

INDEX = ("", "Unnamed: 0", "index")
"""What a column is called that was the index of a frame without a name for it."""
NOTHING = ("", "None", "nan", "NaN", "NaT", "null", "<NA>")
"""The texts by which a CSV says that there is no value."""


@dataclass(frozen=True, eq=False, slots=True)
class EngineTable:
    """A file: its name, the SHA-256 of its bytes, and its columns. Rows count from 1."""

    file: str
    sha256: str
    frame: pd.DataFrame

    @classmethod
    def read(cls, path: Path, *, need: Iterable[str] = ()) -> Self:
        """The table in ``path``, which must have the columns ``need``. Raises ``InputError``."""
        data = bytes_of(path)
        blank = data != b"" and data.strip() in (b"", b'""')  # what pandas writes of no rows and no columns
        frame = pd.DataFrame() if blank else frame_from_bytes(data, file=str(path))
        if not len(frame) and not len(frame.columns):
            frame = pd.DataFrame({name: pd.Series([], dtype=object) for name in need})
        for name in need:
            if name not in frame:
                got = ", ".join(map(str, frame.columns)) or "no columns"
                raise InputError(file=str(path), field=name, got=got, wanted=f"a column {name!r}")
        return cls(str(path), hashlib.sha256(data).hexdigest(), frame)

    def __len__(self) -> int:
        return len(self.frame)

    def listed(self, name: str) -> list[Any]:
        """A column as it came, instants as whole nanoseconds; None where null, or without the column."""
        return self._cells(name)[1]

    def _cells(self, name: str) -> tuple[str, list[Any]]:
        """The kind of a column (``simcore.cells``) and its values."""
        if name not in self.frame:
            return "object", [None] * len(self)
        rows = np.arange(1, len(self) + 1, dtype=np.int64)
        try:
            cells = cells_of(self.frame[name], file=self.file, field=name, rows=rows)
            values = cells.listed()
        except UnicodeDecodeError as error:  # Parquet does not look into its texts before they are asked for
            got = f"byte {error.start} of {error.object!r}"
            raise InputError(file=self.file, field=name, got=got, wanted="UTF-8") from None
        return cells.kind, [None if isinstance(value, str) and value.strip() in NOTHING else value for value in values]

    def names(self) -> list[str]:
        """The columns without the numbers of rows that pandas writes as an index without a name."""
        return [name for name in map(str, self.frame.columns) if not (name in INDEX and self._counts(name))]

    def _counts(self, name: str) -> bool:
        values = self.listed(name)
        return [str(value) for value in values] == [str(at) for at in range(len(values))]

    def instants(self, name: str, *, nullable: bool = False) -> list[int | None]:
        """A column of instants, naive ones in UTC, in nanoseconds since 1970."""
        kind, values = self._cells(name)
        earliest = None if kind == "time" else EARLIEST_NS
        return [
            None if value is None and nullable else self._instant(value, name, row, earliest)
            for row, value in enumerate(values, 1)
        ]

    def times(self, name: str) -> list[int]:
        """A column of instants without holes."""
        return [value for value in self.instants(name) if value is not None]

    def _instant(self, value: Any, name: str, row: int, earliest: int | None) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and (earliest is None or value >= earliest):
            return value
        try:
            if isinstance(value, str):
                text = value.strip()
                return clock.ns_of(f"{text} 00:00" if len(text) == len("2026-01-05") else text)
        except ValueError:
            pass  # said below, with its place
        raise self.refused(name, row, value, clock.WANTED)

    def wholes(self, name: str) -> list[int]:
        """A column of whole numbers, also where they have become floats (1.0) or texts on their way."""
        return [self._whole(value, name, row) for row, value in enumerate(self.listed(name), 1)]

    def _whole(self, value: Any, name: str, row: int) -> int:
        try:
            number = None if value is None or isinstance(value, bool) else number_of(value)
        except ValueError:
            number = None
        if number is None or not -(2**53) <= number <= 2**53 or number != int(number):
            raise self.refused(name, row, value, "a whole number")
        return int(number)

    def numbers(self, name: str, *, nullable: bool = False) -> list[Any]:
        """A column of numbers, each the Decimal of its shortest text; one that is not finite stays as it is."""
        values = enumerate(self.listed(name), 1)
        return [None if value is None and nullable else self._number(value, name, row) for row, value in values]

    def _number(self, value: Any, name: str, row: int) -> Any:
        if isinstance(value, int | float | str | Decimal) and not isinstance(value, bool):
            try:
                return number_of(value)
            except OffGridError:
                return value  # whoever puts it on the grid rejects its row
            except ValueError:
                pass  # said below, with its place
        raise self.refused(name, row, value, "a number")

    def refused(self, field: str, row: int, got: Any, wanted: str) -> InputError:
        """The error about a cell."""
        return InputError(file=self.file, row=row, field=field, got=got, wanted=wanted)


def find(folder: Path, stem: str) -> Path | None:
    """The file of a table in ``folder``; of one in two formats, Parquet."""
    return next((path for suffix in SUFFIXES if (path := folder / f"{stem}{suffix}").is_file()), None)


def signed(value: Any) -> tuple[int, Any]:
    """The side (+1 or -1) and the magnitude of a signed size; what has no sign counts as a buy."""
    if not isinstance(value, Decimal):
        return 1, value
    return (-1 if value < 0 else 1), abs(value)
