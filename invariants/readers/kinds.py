"""The kinds of output that can be read, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from invariants.readers.backtestingpy import is_backtestingpy, read_backtestingpy
from invariants.readers.backtrader import is_backtrader, read_backtrader
from invariants.readers.bundle import is_bundle, read_bundle
from invariants.readers.claims import is_claims, read_claims
from invariants.readers.freqtrade import is_freqtrade, read_freqtrade
from invariants.readers.hftbacktest import is_hftbacktest, read_hftbacktest
from invariants.readers.mapping import read_map
from invariants.readers.mapping_plan import is_map
from invariants.readers.markers import are_markers, read_markers
from invariants.readers.nautilus import is_nautilus, read_nautilus
from invariants.readers.vectorbt import is_vectorbt, read_vectorbt
from invariants.readers.zipline import is_zipline, read_zipline
from simcore import InputError, Run


@dataclass(frozen=True, slots=True)
class Reader:
    """A kind of output: its name, whether a path is of this kind, how to read it, and of what it may hold several."""

    name: str
    recognises: Callable[[Path], bool]
    read: Callable[..., Run]
    several: tuple[str, ...] = ()


READERS = (
    Reader("bundle", is_bundle, read_bundle),
    Reader("claims", is_claims, read_claims),
    Reader("map", is_map, read_map),
    Reader("nautilus", is_nautilus, read_nautilus),
    Reader("hftbacktest", is_hftbacktest, read_hftbacktest),
    Reader("backtrader", is_backtrader, read_backtrader),
    Reader("zipline", is_zipline, read_zipline),
    Reader("vectorbt", is_vectorbt, read_vectorbt),
    Reader("freqtrade", is_freqtrade, read_freqtrade, ("strategy", "pair")),
    Reader("backtesting.py", is_backtestingpy, read_backtestingpy),
    Reader("markers", are_markers, read_markers),
)
"""Every reader; the first that recognises a path reads it."""


def reader_of(path: Path, name: str) -> Reader:
    """The reader of that name, or with ``auto`` the one that recognises the path. Raises ``InputError``."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise InputError(file=str(path), field="path", got="neither", wanted="a file or a folder")
    names = [reader.name for reader in READERS]
    if name != "auto":
        if name not in names:
            raise InputError(file=str(path), field="reader", got=name, wanted=f"one of auto, {', '.join(names)}")
        return READERS[names.index(name)]
    for reader in READERS:
        if reader.recognises(path):
            return reader
    got = "nothing there" if not path.exists() else "none of them"
    wanted = f"the output of one of {', '.join(names)}"
    raise InputError(file=str(path), field="path", got=got, wanted=wanted)
