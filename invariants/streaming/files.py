"""The tables of a bundle as Parquet files that are read a row group at a time."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from invariants.readers.bundle import find_table, table_among
from invariants.readers.bundle_head import TABLES
from invariants.readers.sources import told_as
from invariants.readers.tables import check_rows, frame_of_arrow, not_parquet, quoted_in
from simcore import InputError
from simcore.cells import arrow_of
from simcore.frames import Sheet, check_names
from simcore.rules import LARGEST_BYTES
from simcore.run import ABSENT, Ints
from simcore.units import INT64_MAX

BATCH_ROWS = 2**15
"""Rows that are decoded at a time, however long a row group is."""

AHEAD = 4
"""Batches that are decoded before they are asked for."""

_BUFFER = 2**16
"""Bytes of a column that are read at a time: not all of a row group, which may have any length."""

_BLOCK = 2**20
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class TableFile:
    """One table of a bundle: where it is, and how many rows each of its row groups has.

    ``path`` is a local path or a URL. Rows are numbered from 0 here, over the whole file. Columns that are ``void`` are
    empty. ``seqs`` has the lowest and the highest ``seq`` that each row group can have. ``digest`` is that of the
    file when the audit began: a file that has changed since another audit is another file.
    """

    table: str
    path: str
    group_rows: tuple[int, ...]
    schema: Any
    void: frozenset[str]
    seqs: tuple[tuple[int, int], ...]
    digest: str

    def __len__(self) -> int:
        return sum(self.group_rows)

    @property
    def name(self) -> str:
        """Its path as a report names it."""
        return told_as(self.path)

    @property
    def edges(self) -> list[int]:
        """Where each row group begins, and the end."""
        return [0, *accumulate(self.group_rows)]

    def has(self, column: str) -> bool:
        """Whether there is such a column."""
        return column in self.schema.names

    def knows(self, column: str) -> bool:
        """Whether there is such a column with anything in it."""
        return self.has(column) and column not in self.void

    def batches(self, group: int, columns: Sequence[str] | None = None) -> Iterator[tuple[int, Any]]:
        """The rows of a row group in pieces of at most ``BATCH_ROWS``, each with the number of its first row.

        Raises ``InputError``.
        """
        yield from _ahead(self._batches(group, columns))

    def _batches(self, group: int, columns: Sequence[str] | None) -> Iterator[tuple[int, Any]]:
        some = None if columns is None else [column for column in columns if self.has(column)]
        first = self.edges[group]
        try:
            with _reachable(self.path) if "://" in self.path else nullcontext():
                for batch in _kept_open(self.path, self._words, self.digest).iter_batches(
                    BATCH_ROWS, row_groups=[group], columns=some
                ):
                    _validate(batch)
                    given = [pa.Table.from_batches([batch])]
                    begin, first = first, first + len(batch)
                    del batch
                    yield begin, given.pop()  # a generator that waits holds what its names hold
        except (pa.ArrowException, OSError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise not_parquet(self.name, error) from None
        if first != self.edges[group + 1]:
            raise changed(self.path)

    def sheets(self, group: int, columns: Sequence[str] | None = None) -> Iterator[tuple[int, Sheet]]:
        """The same, to be converted."""
        for first, table in self.batches(group, columns):
            given = [Sheet(self._framed(table), self.table, self.name, skipped=first)]
            del table
            yield first, given.pop()

    def picked(self, rows: Ints) -> Iterator[tuple[Ints, Any]]:
        """Single rows, which rise, a row group at a time: their numbers, and they as Arrow. Raises ``InputError``."""
        which = np.searchsorted(np.array(self.edges[1:]), rows, "right")
        for group in np.unique(which).tolist():
            wanted = rows[which == group]
            for first, table in self.batches(group):
                here = wanted[(wanted >= first) & (wanted < first + len(table))]
                if len(here):
                    yield here, table.take(arrow_of(here - first))
                if wanted[-1] < first + len(table):
                    break

    def sheet_of(self, rows: Ints, table: Any) -> Sheet:
        """Single rows, to be converted."""
        sheet = Sheet(self._framed(table), self.table, self.name)
        sheet.rows = rows + 1
        return sheet

    def _framed(self, table: Any) -> Any:
        """The rows without a column ``row``: these are rows of this file. As Arrow, if Arrow has them as they are."""
        table = table.select([name for name in table.column_names if name != "row"])
        return frame_of_arrow(table, self.name) if quoted_in(table.schema) else table

    @property
    def _words(self) -> tuple[str, ...]:
        """Columns of few different texts, which are read as such."""
        return tuple(name for name in ("end",) if self.has(name) and pa.types.is_string(self.schema.field(name).type))

    def no_rows(self) -> Any:
        """Its columns without any row."""
        columns = [pa.nulls(0, field.type) for field in self.schema]  # an empty_table would load pandas
        return self._framed(pa.Table.from_arrays(columns, schema=self.schema))

    def groups_of(self, rows: Ints) -> Ints:
        """The row group of each of these rows."""
        return np.searchsorted(np.array(self.edges[1:]), rows, "right")


def _ahead(rows: Iterator[_T]) -> Iterator[_T]:
    """The same, some of them made while one is used: what Arrow decodes does not wait for Python's lock."""
    with ThreadPoolExecutor(1) as thread:
        coming = deque(thread.submit(next, rows, None) for _ in range(AHEAD))
        while (one := coming.popleft().result()) is not None:
            coming.append(thread.submit(next, rows, None))
            given = [one]
            del one
            yield given.pop()


def _validate(batch: Any) -> None:
    """Look into what a broken file can break: texts. Any bytes are a number."""
    for column in batch.columns:
        if not pa.types.is_primitive(column.type) and not pa.types.is_decimal(column.type):
            column.validate(full=True)


def table_file(table: str, path: str, digest: str = "") -> TableFile:
    """The Parquet file at ``path``. Raises ``InputError``."""
    try:
        # without a digest nobody knows whether one that is open is still the same
        told = _kept_open(path, (), digest) if digest else _opened(path, ())
        metadata = told.metadata
        groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
        rows = tuple(group.num_rows for group in groups)
        columns = [group.column(k) for group in groups for k in range(group.num_columns)]
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise not_parquet(told_as(path), error) from None
    check_rows(sum(rows), sum(column.total_compressed_size for column in columns), told_as(path))
    check_names(told.schema_arrow.names, told_as(path))
    full = {column.path_in_schema for column in columns if not _is_void(column)}
    void = frozenset(told.schema_arrow.names) - full
    return TableFile(table, path, rows, told.schema_arrow, void, tuple(map(_seqs, groups)), digest)


def _seqs(group: Any) -> tuple[int, int]:
    """What the statistics of a row group say of ``seq``, where they do."""
    for column in (group.column(k) for k in range(group.num_columns)):
        told = column.statistics
        if column.path_in_schema == "seq" and told is not None and told.has_min_max and told.null_count == 0:
            low, high = told.min, told.max
            if isinstance(low, int):
                return low, high
    return ABSENT, INT64_MAX  # where it is missing a row's number stands for it


def _is_void(column: Any) -> bool:
    """Whether a column chunk says that it has nothing but nulls."""
    told = column.statistics
    return bool(told is not None and told.has_null_count and told.null_count == column.num_values)


def changed(path: str) -> InputError:
    """A file that is not what it was when the audit began."""
    return InputError(
        file=told_as(path), field="file", got="other contents than before", wanted="a file that stays as it is"
    )


def sha256_of(path: str) -> str:
    """The digest of a file of any length. Raises ``InputError``."""
    digest = hashlib.sha256()
    with opened(path) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def sha256_of_all(paths: Iterable[str]) -> dict[str, str]:
    """The digests of some files, several at a time. Raises ``InputError``."""
    paths = list(paths)
    with ThreadPoolExecutor() as pool:
        return dict(zip(paths, pool.map(sha256_of, paths), strict=True))


def read_bytes(path: str) -> bytes:
    """A file in TOML, whole. Raises ``InputError``."""
    with opened(path) as file:
        data = file.read(LARGEST_BYTES + 1)
    if len(data) > LARGEST_BYTES:
        got = f"more than {LARGEST_BYTES} bytes"
        raise InputError(file=told_as(path), field="file", got=got, wanted=f"at most {LARGEST_BYTES} bytes")
    return data


def tables_in(folder: str) -> dict[str, str]:
    """The files of a bundle's tables, in a local folder or at a URL. Raises ``InputError``."""
    if "://" not in folder:
        found = {table: find_table(Path(folder), table) for table in TABLES}
        return {table: str(file) for table, file in found.items() if file is not None}
    with _reachable(folder) as (system, path):
        names = {str(name).rpartition("/")[2] for name in system.ls(path, detail=False)}
    there = {table: table_among(names, table, told_as(folder)) for table in TABLES}
    return {table: f"{folder.rstrip('/')}/{name}" for table, name in there.items() if name is not None}


def bundles_at(url: str) -> tuple[list[str], list[str]]:
    """The folders at a URL, or that match a glob, which hold a bundle; and what else matches. Raises ``InputError``."""
    with _reachable(url) as (system, path):
        matching = sorted(system.glob(path)) if "*" in path else [path]
        matching = [str(place).removesuffix("/run.toml").rstrip("/") for place in matching]
        heads = [system.exists(f"{place}/run.toml") for place in matching]
        places = [system.unstrip_protocol(place) for place in matching]
    found = [place for place, has_head in zip(places, heads, strict=True) if has_head]
    if not found:
        raise InputError(file=told_as(url), field="path", got="no run.toml", wanted="a bundle, or a glob of bundles")
    return found, [place for place, has_head in zip(places, heads, strict=True) if not has_head]


@contextmanager
def _reachable(url: str) -> Iterator[tuple[Any, str]]:
    """The file system of a URL and the path in it; what its client library raises becomes an ``InputError``."""
    import fsspec  # noqa: PLC0415 - only for URLs

    told = told_as(url)
    try:
        yield fsspec.core.url_to_fs(url)
    except ImportError as error:
        wanted = "its file system: pip install 'fillproof[remote]'"
        raise InputError(file=told, field="file", got=str(error), wanted=wanted) from None
    except InputError:
        raise
    except Exception as error:
        # every file system behind fsspec raises what its own client library raises
        got = f"{type(error).__name__}: {error}".replace(url, told)
        raise InputError(file=told, field="file", got=got, wanted="a readable place") from error


@contextmanager
def opened(path: str) -> Iterator[IO[bytes]]:
    """A local file or a URL, for reading. Raises ``InputError``."""
    if "://" in path:
        with _reachable(path) as (system, place), system.open(place, "rb") as file:
            yield file
        return
    try:
        with Path(path).open("rb") as file:
            yield file
    except OSError as error:
        raise InputError(file=path, field="file", got=error.strerror, wanted="a readable file") from None


def _opened(path: str, words: tuple[str, ...]) -> Any:
    if "://" not in path:
        return pq.ParquetFile(path, read_dictionary=list(words), pre_buffer=False, buffer_size=_BUFFER)
    with _reachable(path) as (system, place):
        return pq.ParquetFile(system.open(place, "rb"), read_dictionary=list(words))


@lru_cache(maxsize=16)
def _kept_open(path: str, words: tuple[str, ...], _digest: str) -> Any:
    """A file's reader; it stays open, and its metadata are read once a process."""
    return _opened(path, words)


def forget() -> None:
    """Close what is open."""
    _kept_open.cache_clear()
