"""Columns of a long run that stand in files: memory holds of them what is being looked at."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import IO, Any, TypeVar

import numpy as np

from simcore import InputError
from simcore.run import Fills, Positions

_Table = TypeVar("_Table", Fills, Positions)


@contextmanager
def room_in(folder: str) -> Iterator[None]:
    """Where something is written to a temporary folder: a full disk becomes an ``InputError``."""
    try:
        yield
    except OSError as error:
        wanted = "room for some columns of a long run (TMPDIR names another folder)"
        raise InputError(file=folder, field="file", got=error.strerror, wanted=wanted) from None


class Shelf:
    """Puts columns into files without names; a file is there as long as its column or the shelf is.

    Objects have no place in a file: they stay in memory.
    """

    def __init__(self) -> None:
        self._pages: list[mmap.mmap] = []

    def put(self, column: Any) -> Any:
        """The same column, to be read only. Raises ``InputError`` where there is no room for it."""
        alone = _Column()
        alone.add(column)
        return self._held(alone, column)

    def joined(self, empty: _Table, tables: Iterable[_Table]) -> _Table:
        """The rows of some tables of one kind, one after the other. Raises ``InputError`` as ``put`` does."""
        columns = {field.name: _Column() for field in fields(empty)}
        for table in tables:
            for name, column in columns.items():
                column.add(getattr(table, name))
        return replace(empty, **{name: self._held(column, getattr(empty, name)) for name, column in columns.items()})

    def _held(self, column: _Column, empty: Any) -> Any:
        pages, whole = column.whole(empty)
        if pages is not None:
            self._pages.append(pages)
        return whole

    def clear(self) -> None:
        """Let memory hold nothing of what is here; it comes back when it is looked at."""
        for pages in self._pages:
            if hasattr(pages, "madvise"):  # elsewhere the system decides alone
                pages.madvise(mmap.MADV_DONTNEED)


class _Column:
    """A column that grows: in a file, and behind the first part that is no numbers of its kind in memory."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._kind: Any = None
        self._rest: list[Any] = []

    def add(self, part: Any) -> None:
        self._kind = part.dtype if self._kind is None else self._kind
        if self._rest or part.dtype.hasobject or part.dtype != self._kind:
            self._rest.append(part)
        elif len(part):
            self._write(np.ascontiguousarray(part))

    def _write(self, part: Any) -> None:
        with room_in(tempfile.gettempdir()):
            self._file = self._file or tempfile.TemporaryFile()  # noqa: SIM115 - ends with the column
            self._file.write(part)
            self._file.flush()

    def whole(self, empty: Any) -> tuple[mmap.mmap | None, Any]:
        if self._file is None:
            return None, np.concatenate([np.empty(0, self._kind), *self._rest]) if self._rest else empty
        with self._file:
            pages = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        whole = np.frombuffer(pages, self._kind)
        return pages, np.concatenate([whole, *self._rest]) if self._rest else whole
