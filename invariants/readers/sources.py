"""Whole files by path, glob, folder or URL (``s3://``, ``https://``, whatever fsspec can reach)."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from invariants.readers.tables import LARGEST_BYTES, SUFFIXES
from simcore import InputError

Sources = str | Path | Iterable[str | Path]


@dataclass(frozen=True, slots=True)
class Blob:
    """A file read whole: the name to show, and the bytes."""

    name: str
    data: bytes

    @property
    def sha256(self) -> str:
        """The digest of the bytes as they were stored."""
        return hashlib.sha256(self.data).hexdigest()


def bytes_of(path: Path) -> bytes:
    """All bytes of a file; at most ``LARGEST_BYTES``, save of Parquet. Raises ``InputError``."""
    try:
        size = path.stat().st_size
        if size > LARGEST_BYTES and path.suffix != ".parquet":
            wanted = f"at most {LARGEST_BYTES} bytes; Parquet may have more"
            raise InputError(file=str(path), field="file", got=f"{size} bytes", wanted=wanted)
        return path.read_bytes()
    except OSError as error:
        raise InputError(file=str(path), field="file", got=error.strerror, wanted="a readable file") from None


def blobs(sources: Sources) -> Iterator[Blob]:
    """Every file that ``sources`` name, in their order, globs and folders by name.

    A folder means its tables; one that lies there in two formats is read once. Raises
    ``InputError`` for what cannot be read or matches nothing.
    """
    for source in [sources] if isinstance(sources, str | Path) else sources:
        yield from _remote(str(source)) if "://" in str(source) else _local(str(source))


def _local(source: str) -> Iterator[Blob]:
    path = Path(source)
    if path.is_dir():
        names = [str(file) for file in sorted(path.iterdir())]
        _check_read(names, source)
        names = _once([name for name in names if name.endswith(SUFFIXES)])
    else:
        names = [source] if path.exists() or not glob.has_magic(source) else sorted(glob.glob(source, recursive=True))  # noqa: PTH207 (keeps relative names)
    if not names:
        raise InputError(file=source, field="file", got="no match", wanted="a file, a glob or a folder of tables")
    for name in names:
        yield Blob(name, bytes_of(Path(name)))


_UNREAD = (
    ".gz", ".zst", ".xz", ".bz2", ".zip", ".jsonl", ".ndjson", ".tsv", ".pq", ".feather", ".arrow", ".xlsx", ".h5",
)  # fmt: skip


def _check_read(names: Iterable[str], folder: str) -> None:
    """A table that would be left out of a folder for its ending is named, so that no tape is shorter than it looks."""
    for name in names:
        if not name.endswith(SUFFIXES) and name.casefold().endswith((*SUFFIXES, *_UNREAD)):
            got, wanted = name.rpartition("/")[2], f"{', '.join(SUFFIXES)}; name the files that are meant"
            raise InputError(file=folder, field="file", got=got, wanted=wanted)


def _once(names: list[str]) -> list[str]:
    """One file of each table: Parquet before CSV, which knows no types."""
    best: dict[str, str] = {}
    for suffix in SUFFIXES:
        for name in names:
            if name.endswith(suffix):
                best.setdefault(name.removesuffix(suffix), name)
    return [name for name in names if name in best.values()]


def _remote(source: str) -> Iterator[Blob]:
    import fsspec  # noqa: PLC0415 - only for URLs

    told = without_secrets(source)
    try:
        # the environment (an endpoint, a key) may have changed since the last call
        system, path = fsspec.core.url_to_fs(source, skip_instance_cache=True)
        found = list(_found(system, path))
        for name in found:
            url = name if "://" in name else system.unstrip_protocol(name)
            yield Blob(without_secrets(url), bytes(system.cat_file(name)))
    except InputError:
        raise
    except ImportError as error:
        wanted = "its file system: pip install 'fillproof[remote]'"
        raise InputError(file=told, field="file", got=str(error), wanted=wanted) from None
    except Exception as error:
        # every file system behind fsspec raises what its own client library raises
        got = f"{type(error).__name__}: {error}".replace(source, told)
        raise InputError(file=told, field="file", got=got, wanted="a readable file") from error
    if not found:
        raise InputError(file=told, field="file", got="no match", wanted="a file, a glob or a folder of tables")


def _found(system: Any, path: str) -> Iterable[str]:
    if "*" in path:
        return sorted(system.glob(path))
    if not path.endswith(SUFFIXES) and system.isdir(path):
        names = sorted(system.ls(path, detail=False))
        _check_read(names, path)
        return _once([name for name in names if name.endswith(SUFFIXES)])
    return [path]


def check_no_url(path: str | Path) -> None:
    """Refuse a URL where a run is read as a whole. Raises ``InputError``."""
    if "://" in str(path):
        wanted = "a path of this machine: a URL is read by `fillproof audit` alone, as it stands and without --tape"
        raise InputError(file=without_secrets(str(path)), field="path", got="a URL", wanted=wanted)


def check_local(path: str | Path, *, option: str) -> None:
    """Refuse a URL for an option that names a file or a folder here: as a path it is one, and a wrong one.

    Raises ``InputError``.
    """
    if "://" in str(path):
        wanted = "a path of this machine"
        raise InputError(file="command line", field=option, got=without_secrets(str(path)), wanted=wanted)


def told_as(path: str) -> str:
    """A path or a URL as a report may name it."""
    return without_secrets(path) if "://" in path else path


def without_secrets(url: str) -> str:
    """``url`` without user, password and query: a signed URL must not end up in a report."""
    try:
        parts = urlsplit(url)
    except ValueError:  # it is none, and nobody knows which part would be secret
        return url.partition("://")[0] + "://..."
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
