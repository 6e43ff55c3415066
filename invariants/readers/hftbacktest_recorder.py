"""hftbacktest's ``Recorder.to_npz``: the account, sampled at the local times at which it was asked.

A zip with one array an asset ("0" is the first), each a record of ``timestamp`` (int64 nanoseconds,
local), ``position``, ``balance`` (before fees), ``fee`` (cumulative; negative is a rebate),
``num_trades``, ``trading_volume`` and more. It holds no order and no fill. No pickle is loaded, and
nothing is unpacked that is larger than the archive's directory and the array's own header say.

The fields: https://hftbacktest.readthedocs.io/en/latest/reference/recorder.html
"""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from invariants.readers.hftbacktest_log import State, sums_of
from invariants.readers.sources import Blob
from simcore import InputError

FIELDS = ("timestamp", "position", "balance", "fee", "num_trades", "trading_volume")
MEMBER = "0.npy"
LARGEST_BYTES = 2**30
"""The largest array that a recorder may hold: some 16 million samples."""

_UNREADABLE = (OSError, EOFError, RuntimeError, NotImplementedError, ValueError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True, slots=True)
class Recorder:
    """The samples of one asset, in the order of the file."""

    file: str = ""
    sha256: str = ""
    states: list[State] = field(default_factory=list)


def looks_recorded(file: Path) -> bool:
    """Whether the file is an npz whose first array has the recorder's fields. Never raises."""
    try:
        with zipfile.ZipFile(file) as archive, archive.open(MEMBER) as member:
            head = member.read(2048)
    except (*_UNREADABLE, KeyError):
        return False
    return b"trading_volume" in head and b"num_trades" in head


def read_recorder(blob: Blob) -> Recorder:
    """The samples in an npz. Raises ``InputError``."""
    samples = _npy(_member(blob), blob.name)
    _check_fields(samples, blob.name)
    columns = [_finite(samples[name].astype(np.float64), name, blob.name) for name in FIELDS[1:]]
    rows = zip(samples["timestamp"].tolist(), range(1, len(samples) + 1), *map(sums_of, columns), strict=True)
    return Recorder(blob.name, blob.sha256, [State(*row) for row in rows])


def _member(blob: Blob) -> bytes:
    """The bytes of the one array, unpacked no further than the archive says."""
    try:
        with zipfile.ZipFile(io.BytesIO(blob.data)) as archive:
            size = _size(archive, blob.name)
            with archive.open(MEMBER) as member:
                return member.read(size + 1)
    except InputError:
        raise
    except _UNREADABLE as error:
        raise InputError(file=blob.name, field="file", got=str(error), wanted="a whole npz file") from None


def _size(archive: zipfile.ZipFile, file: str) -> int:
    names = archive.namelist()
    if names != [MEMBER]:
        got = ", ".join(names[:9]) or "nothing"
        raise InputError(file=file, field="arrays", got=got, wanted="the record of one asset, the array 0")
    size = archive.getinfo(MEMBER).file_size
    if size > LARGEST_BYTES:
        raise InputError(file=file, field=MEMBER, got=f"{size} bytes", wanted="at most 1 GiB")
    return size


def _npy(data: bytes, file: str) -> npt.NDArray[Any]:
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        got = str(error).partition("\n")[0]
        raise InputError(file=file, field=MEMBER, got=got, wanted="an array of numpy") from None
    body = data[stream.tell() :]
    plain = not dtype.hasobject and len(shape) == 1 and dtype.itemsize > 0
    if not plain or math.prod(shape) * dtype.itemsize != len(body):
        got = f"{shape} of {dtype} in {len(body)} bytes"
        raise InputError(file=file, field=MEMBER, got=got, wanted="plain numbers, one row a sample, all of them there")
    return np.frombuffer(body, dtype)


def _check_fields(samples: npt.NDArray[Any], file: str) -> None:
    kinds = {name: samples.dtype[name].kind for name in samples.dtype.names or ()}
    for name in FIELDS:
        if name not in kinds:
            got = ", ".join(kinds) or str(samples.dtype)
            raise InputError(file=file, field=name, got=got, wanted="a field of the record")
        if kinds[name] not in ("i" if name == "timestamp" else "iuf"):
            got = str(samples.dtype[name])
            raise InputError(file=file, field=name, got=got, wanted="int64" if name == "timestamp" else "a number")


def _finite(values: npt.NDArray[np.float64], name: str, file: str) -> npt.NDArray[np.float64]:
    for at in np.flatnonzero(~np.isfinite(values))[:1]:
        got = float(values[at])
        raise InputError(file=file, row=int(at) + 1, field=name, got=got, wanted="a finite number")
    return values
