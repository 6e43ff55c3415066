"""Sums of binary floats back to the decimals that they were meant to be."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from simcore import InputError
from simcore import pandas_later as pd
from simcore.cells import cells_of

Floats = npt.NDArray[np.float64]

_EPSILON = float(np.finfo(np.float64).eps)
_PLACES = 12
"""Decimals that a price, a size or a sum of them may need."""

_RARE = 1e-3
"""The chance that numbers off a grid are taken to be on it."""


def floats_of(frame: pd.DataFrame, field: str, *, file: str) -> Floats:
    """A column of numbers, or of the texts of numbers, as floats; NaN where null. Raises ``InputError``."""
    if field not in frame:
        got = ", ".join(map(str, frame.columns)) or "no columns"
        raise InputError(file=file, field=field, got=got, wanted=f"a column {field!r}")
    cells = cells_of(frame[field], file=file, field=field, rows=np.arange(1, len(frame) + 1))
    if cells.kind in ("float", "int"):
        numbers = np.asarray(cells.values, np.float64)
        return np.where(cells.null, np.nan, numbers)
    values = np.full(len(cells), np.nan)
    for at, value in enumerate(cells.listed()):
        if value is not None:
            values[at] = _float(value, at + 1, field, file)
    return values


def _float(value: Any, row: int, field: str, file: str) -> float:
    # Python reads "1_000" as a number; nobody else does
    if isinstance(value, int | float | Decimal | str) and not isinstance(value, bool) and "_" not in str(value):
        try:
            return float(value)
        except (ValueError, OverflowError):
            pass  # the error below says where it stands
    raise InputError(file=file, row=row, field=field, got=value, wanted="a number")


def wholes_of(frame: pd.DataFrame, field: str, *, file: str, wanted: str = "a whole number") -> list[int]:
    """A column of whole numbers that may have become floats (1.0) on their way. Raises ``InputError``."""
    values = floats_of(frame, field, file=file)
    bad = ~np.isfinite(values) | (values != np.rint(values)) | (np.abs(values) > 2.0**53)
    for at in np.flatnonzero(bad)[:1]:
        got = None if np.isnan(values[at]) else float(values[at])
        raise InputError(file=file, row=int(at) + 1, field=field, got=got, wanted=wanted)
    return [int(v) for v in values.tolist()]


def decimals_of(values: Floats, *, sums: int = 0) -> list[Decimal]:
    """The values as Decimals, cleared of what binary arithmetic added to them.

    ``sums`` additions leave an error of at most ``sums`` times the machine epsilon of the largest
    value. Where all values lie that near to a grid of few decimals, they are taken to be on it:
    3.150000000000002 is 3.15 after some hundred fills. Otherwise each is its own shortest text,
    and nothing is rounded. A value that is not finite stays so.
    """
    finite = np.isfinite(values)
    known = values[finite]
    noise = (sums + 4) * _EPSILON * float(np.abs(known).max(initial=0.0))
    different = len(np.unique(known))
    for places in range(_PLACES + 1):
        scale = 10.0**places
        with np.errstate(over="ignore"):  # infinite steps are too many, which is asked below
            scaled = known * scale
        steps = np.rint(scaled)
        by_accident = min(2 * noise * scale, 1.0) ** different
        if by_accident > _RARE or float(np.abs(steps).max(initial=0.0)) > 2.0**53:
            break  # so much noise would bring any numbers near to some grid
        if bool((np.abs(scaled - steps) <= noise * scale).all()):
            on_grid = iter(steps.tolist())
            return [
                Decimal(int(next(on_grid))).scaleb(-places) if ok else Decimal(str(v))
                for ok, v in zip(finite.tolist(), values.tolist(), strict=True)
            ]
    return [Decimal(str(v)) for v in values.tolist()]
