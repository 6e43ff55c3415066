"""One column of a table as it came, and its exact conversion to the columns of a ``Run``.

Everything a table can be made of arrives here (numpy, pandas and Arrow dtypes, Python objects,
decimals, text), and leaves as integers or as an object array. A cell that cannot be read raises
``InputError`` with its row; a number that no column of counts can hold is handed back as bad.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, Inexact, localcontext
from enum import IntEnum
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from simcore import grid
from simcore import pandas_later as pd
from simcore.errors import InputError
from simcore.grid import Ints, Mask, OffGridError, Step
from simcore.units import EXACT, INT64_MAX, nanoseconds_of

ABSENT = -(2**63)
NANOSECONDS = "whole nanoseconds (int64)"
T = TypeVar("T")
Bad = dict[int, tuple[Any, str]]
"""Index of a cell to what it holds and what was wanted."""


@dataclass(frozen=True, slots=True)
class Cells:
    """A column of ``table`` in ``file``.

    ``kind`` is int, float, decimal (``values / 10**scale``), time (nanoseconds), bool or object.
    ``rows`` are the rows in the file, from 1. Where there are ``codes``, each stands for one of the ``values``.
    """

    file: str
    field: str
    kind: str
    values: npt.NDArray[Any]
    null: Mask
    rows: Ints
    scale: int = 0
    codes: Ints | None = None

    def __len__(self) -> int:
        return len(self.null)

    def refuse(self, at: int, wanted: str) -> InputError:
        """The error about the cell at index ``at``."""
        return InputError(file=self.file, row=int(self.rows[at]), field=self.field, got=self.shown(at), wanted=wanted)

    def shown(self, at: int) -> Any:
        """The cell at index ``at`` as its author wrote it."""
        if self.null[at]:
            return None
        value = self.values[at if self.codes is None else self.codes[at]]
        if self.kind == "decimal":
            return Decimal(int(value)).scaleb(-self.scale, EXACT)
        return value.item() if isinstance(value, np.generic) else value

    def listed(self) -> list[Any]:
        """The cells as Python objects, None where null."""
        listed: list[Any] = (self.values if self.codes is None else self.values[self.codes]).tolist()
        if self.kind == "decimal":
            memo = _Memo[Any](lambda unscaled: Decimal(unscaled).scaleb(-self.scale, EXACT))
            listed = [memo[unscaled] for unscaled in listed]
        for at in np.flatnonzero(self.null):
            listed[at] = None
        return listed


def cells_of(series: Any, *, file: str, field: str, rows: Ints) -> Cells:
    """The cells of a pandas Series of whatever dtype, or of an Arrow column."""
    if isinstance(series, pa.ChunkedArray) or isinstance(series.dtype, pd.ArrowDtype):
        array = _one_array(series if isinstance(series, pa.ChunkedArray) else pa.array(series))
        if pa.types.is_dictionary(array.type) and pa.types.is_string(array.type.value_type):
            values, codes = _texts(array)
            return Cells(file, field, "object", values, _nulls(array), rows, codes=codes)
        kind, values, null, scale = _arrow(array)
    else:
        kind, values, null, scale = _opened(series)
    return Cells(file, field, kind, values, null, rows, scale)


def _opened(series: Any) -> tuple[str, npt.NDArray[Any], Mask, int]:
    dtype = series.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "iufb":
        return _numbers(series.to_numpy(), np.zeros(len(series), np.bool_))
    if isinstance(dtype, pd.DatetimeTZDtype) or getattr(dtype, "kind", "") == "M":
        return _arrow(pa.array(series))
    if getattr(dtype, "kind", "") in tuple("iuf"):
        null = series.isna().to_numpy()
        return _numbers(series.fillna(0).to_numpy(dtype=dtype.numpy_dtype), null)
    missing = not isinstance(dtype, np.dtype) and series.isna().to_numpy()
    return _objects(list(series), missing)


def _numbers(values: npt.NDArray[Any], null: Mask) -> tuple[str, npt.NDArray[Any], Mask, int]:
    if values.dtype.kind == "b":
        return "bool", values, null, 0
    if values.dtype.kind == "f":
        # the text of a narrower float is shorter than the text of the double it widens to
        wide = values if values.dtype == np.float64 else np.array([float(str(v)) for v in values], np.float64)
        return "float", wide, null, 0
    if values.dtype.kind == "u" and len(values) and int(values.max()) > INT64_MAX:
        return _objects(values.tolist(), null)
    return "int", values.astype(np.int64), null, 0


def _arrow(array: Any) -> tuple[str, npt.NDArray[Any], Mask, int]:
    """An Arrow array, chunked or not; NaN is a value there, null is not."""
    array = _one_array(array)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    null, kind = _nulls(array), array.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        values = numpy_of(array)
        return ("int", values, null, 0) if pa.types.is_int64(kind) else _numbers(values, null)
    if pa.types.is_timestamp(kind):
        return _timestamps(array, null)
    if pa.types.is_decimal128(kind):
        unscaled = _unscaled(array, null)
        if unscaled is not None:
            return "decimal", unscaled, null, kind.scale
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        distinct, codes = _texts(array.dictionary_encode())
        return "object", distinct[codes], null, 0
    return _objects([_python(cell) for cell in array], null)


def _python(cell: Any) -> Any:
    """The cell as Python has it; of a day that Python's calendar does not reach the count, as words."""
    try:
        return cell.as_py()
    except (OverflowError, ValueError):
        return f"{getattr(cell, 'value', '?')} as {cell.type}"


def _one_array(array: Any) -> Any:
    if not isinstance(array, pa.ChunkedArray):
        return array
    return array.chunk(0) if array.num_chunks == 1 else array.combine_chunks()  # which would copy the one


def numpy_of(array: Any) -> npt.NDArray[Any]:
    """Numbers of Arrow as numpy's, which cannot be changed; a null is any number.

    Neither a copy is made nor pandas loaded, as ``to_numpy`` and ``fill_null`` do.
    """
    values = np.from_dlpack(pa.Array.from_buffers(array.type, len(array), [None, array.buffers()[1]], 0, array.offset))
    values.flags.writeable = False
    return values


def arrow_of(values: Ints) -> Any:
    """Integers of numpy as Arrow's; ``pa.array`` would load pandas."""
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def _nulls(array: Any) -> Mask:
    if not array.null_count:
        return np.zeros(len(array), np.bool_)
    return np.asarray(numpy_of(array.is_null().cast(pa.uint8())).view(np.bool_))


def _texts(coded: Any) -> tuple[npt.NDArray[np.object_], Ints]:
    """The different texts of a dictionary array as Python's, and None; and for each cell which of them it is."""
    distinct = _object_array([*coded.dictionary.to_pylist(), None])
    codes = numpy_of(coded.indices)
    return distinct, np.where(_nulls(coded), len(distinct) - 1, codes) if coded.null_count else codes


def _timestamps(array: Any, null: Mask) -> tuple[str, npt.NDArray[Any], Mask, int]:
    try:
        stamps = array.cast(pa.timestamp("ns")) if array.type.tz is None else array.cast(pa.timestamp("ns", "UTC"))
    except pa.ArrowInvalid:
        return _objects([_ns_or_words(count, array.type.unit) for count in array.cast(pa.int64()).to_pylist()], null)
    return "time", numpy_of(stamps.cast(pa.int64())), null, 0


def _ns_or_words(count: int | None, unit: str) -> int | str | None:
    """Nanoseconds; what int64 cannot hold as words, so that its own row is the one that is refused."""
    if count is None:
        return None
    ns = count * {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[unit]
    return ns if abs(ns) <= INT64_MAX else f"{count} {unit} since 1970"


def _unscaled(array: Any, null: Mask) -> Ints | None:
    """The 128-bit integers of a decimal array as int64, None where one does not fit."""
    halves = np.frombuffer(array.buffers()[1], np.int64)[2 * array.offset : 2 * (array.offset + len(array))]
    low, high = halves.reshape(-1, 2).T if len(halves) else (halves, halves)
    if null.any():
        low, high = np.where(null, 0, low), np.where(null, 0, high)
    low = np.ascontiguousarray(low)
    return low if bool((high == low >> 63).all()) else None


def _objects(values: list[Any], missing: Any) -> tuple[str, npt.NDArray[Any], Mask, int]:
    array = np.empty(len(values), np.object_)
    array[:] = [v.item() if isinstance(v, np.generic) else int(v) if isinstance(v, IntEnum) else v for v in values]
    # a NaN among objects is a number that somebody computed; None, NA and NaT are holes
    holes = [v is None or v is pd.NA or v is pd.NaT for v in values]
    return "object", array, np.array(holes, np.bool_) | missing, 0


def _is_nan(value: Any) -> bool:
    return (isinstance(value, float) and value != value) or (isinstance(value, Decimal) and value.is_nan())  # noqa: PLR0124


class _Memo(dict[Any, T], Generic[T]):
    """Converts each distinct value once."""

    def __init__(self, convert: Callable[[Any], T]) -> None:
        super().__init__()
        self.convert = convert

    def __missing__(self, key: Any) -> T:
        value = self[key] = self.convert(key)
        return value


def _each(
    cells: Cells,
    convert: Callable[[Any], T],
    *,
    types: tuple[type, ...],
    wanted: str,
    null: T | None = None,
    nullable: bool = False,
    bad: Bad | None = None,
    hole: T | None = None,
) -> list[T]:
    """Convert cell by cell: a wrong type, a null or a ``ValueError`` raises ``InputError`` with the row.

    Where ``bad`` is given, an ``OffGridError`` is entered there and the cell becomes ``hole``.
    """
    if cells.kind == "time" and len(cells):
        raise cells.refuse(0, wanted)  # an instant is no price, side or id
    memo, listed = _Memo(convert), cells.listed()
    if nullable:
        memo[None] = null  # type: ignore[assignment]
    if set(map(type, listed)) <= {*types, type(None)} and (nullable or not cells.null.any()):
        try:
            return [memo[value] for value in listed]
        except (ValueError, TypeError):
            pass  # the loop below finds the row
    return [_one(cells, at, memo, types, wanted, bad, hole) for at in range(len(cells))]


def _one(
    cells: Cells, at: int, memo: _Memo[T], types: tuple[type, ...], wanted: str, bad: Bad | None, hole: T | None
) -> Any:
    """One cell of ``_each``, and the row of what is wrong with it."""
    value = None if cells.null[at] else cells.shown(at)
    if None in memo and (value is None or _is_nan(value)):
        return memo[None]
    if type(value) not in types:
        raise cells.refuse(at, wanted)
    try:
        return memo[value]
    except OffGridError as error:
        if bad is None:
            raise cells.refuse(at, wanted) from None
        bad[at] = (value, str(error))
        return hole
    except (ValueError, TypeError) as error:  # a signalling NaN cannot even be hashed
        raise cells.refuse(at, str(error) if str(error) == grid.INSIDE else wanted) from None


def ints(cells: Cells, *, nullable: bool = False, wanted: str = NANOSECONDS) -> Ints:
    """Whole numbers (int64, or integer text); ``ABSENT`` where null, if they may be."""
    if cells.kind in ("int", "time"):
        for at in np.flatnonzero(cells.null)[: 0 if nullable else 1]:
            raise cells.refuse(int(at), wanted)
        if int(cells.values.min(initial=0)) == ABSENT:
            for at in np.flatnonzero((cells.values == ABSENT) & ~cells.null)[:1]:
                raise cells.refuse(int(at), wanted)
        return np.where(cells.null, ABSENT, cells.values) if cells.null.any() else cells.values
    if cells.kind == "float" and nullable:
        return _ints_of_floats(cells, wanted)
    types = (int, str, *{kind for kind in set(map(type, cells.values)) if issubclass(kind, datetime)})
    return np.array(_each(cells, _int_of, types=types, wanted=wanted, null=ABSENT, nullable=nullable), dtype=np.int64)


def _ints_of_floats(cells: Cells, wanted: str) -> Ints:
    """A DataFrame turns a column of ints with holes into floats; only those that lost nothing are ints."""
    null = cells.null | np.isnan(cells.values)
    values = np.where(null, 0.0, cells.values)
    for at in np.flatnonzero((np.abs(values) > 2**53) | (values != np.rint(values)))[:1]:
        raise cells.refuse(int(at), f"{wanted}; where some are missing, a nullable Int64 column")
    return np.where(null, ABSENT, values.astype(np.int64))


def _int_of(value: int | str | datetime) -> int:
    if isinstance(value, str) and not (value.strip().lstrip("+-").isdecimal() and value.isascii() and len(value) < 40):
        raise ValueError(value)
    number = nanoseconds_of(value) if isinstance(value, datetime) else int(value)
    if not -INT64_MAX <= number <= INT64_MAX:
        raise ValueError(number)
    return number


def words(cells: Cells, known: Mapping[Any, int], *, wanted: str, nullable: bool = False) -> Ints:
    """Words of a small vocabulary, in any case, as what they stand for; ``known[None]`` where null."""

    def look_up(value: float | str) -> int:
        key = value.strip().casefold() if isinstance(value, str) else value
        if key not in known:
            raise ValueError(value)
        return known[key]

    def meant(some: Cells) -> list[int]:
        types = (int, str, float) if nullable else (int, str)  # a hole makes floats of a DataFrame's ints
        return _each(some, look_up, types=types, wanted=wanted, null=known.get(None), nullable=nullable)

    code = _codes(cells)
    if code is None:
        return np.array(meant(cells), dtype=np.int64)
    first = _first_rows(code)
    values = cells.values[first if cells.codes is None else code[first]]
    some = replace(cells, values=values, null=cells.null[first], rows=cells.rows[first], codes=None)
    meaning = np.zeros(int(code.max(initial=0)) + 1, np.int64)
    meaning[code[first]] = meant(some)
    return meaning[code]


def _first_rows(code: Ints) -> Ints:
    """The first row of each code, in their order."""
    codes = np.flatnonzero(np.bincount(code))
    if len(codes) < _FEW_CODES:
        return np.array(sorted(int(np.argmax(code == one)) for one in codes.tolist()), dtype=np.int64)
    first = np.full(int(code.max(initial=0)) + 1, len(code))
    first[code[::-1]] = np.arange(len(code))[::-1]
    return np.sort(first[first < len(code)])


_FEW_CODES = 8
"""Codes that are faster looked for one by one."""


def _codes(cells: Cells) -> Ints | None:
    """A small number from 0 for each cell, the same for equal ones.

    None where that is not known, or where values of several types could be equal.
    """
    if cells.codes is not None:
        return cells.codes
    if not len(cells):
        return None
    if cells.kind == "int" and not cells.null.any():
        low, high = int(cells.values.min()), int(cells.values.max())
        if high - low < _FEW:
            return cells.values - low
    if cells.kind == "float" and not cells.null.any():
        return np.asarray(np.unique(cells.values, return_inverse=True)[1])  # to which one NaN is another
    if cells.kind == "object" and set(map(type, cells.values)) <= {str, type(None)}:
        code, _ = pd.factorize(cells.values)
        return np.asarray(code + 1)  # a null has -1
    return None


_FEW = 1000
"""Sides and aggressors are few; where a column has more values than this, one of them is wrong."""


def names(cells: Cells) -> Ints | npt.NDArray[np.object_]:
    """Ids: ints or texts, none missing; int64 where the table has them so."""

    def same(value: int | str) -> int | str:
        if value == "":
            raise ValueError(value)
        return value

    if cells.kind == "int" and not cells.null.any():
        return np.asarray(cells.values, dtype=np.int64)
    listed = cells.listed()
    if set(map(type, listed)) <= {int, str} and "" not in listed:
        return _object_array(listed)
    return _object_array(_each(cells, same, types=(int, str), wanted="an id: an int or a text"))


def on_grid(cells: Cells, step: Step) -> tuple[Ints, Bad]:
    """The cells in whole steps, and those that are not finite or off the grid (as 0)."""
    bad: Bad = {}
    if cells.kind == "object" and not cells.null.any():
        cells = _as_decimals(cells)
    if cells.kind in ("int", "float", "decimal") and not cells.null.any():
        return _fast(cells, step, bad), bad
    types = (int, float, Decimal, str)
    counts = _each(cells, lambda v: grid.count_of(v, step), types=types, wanted=grid.FINITE, bad=bad, hole=0)
    return np.array(counts, dtype=np.int64), bad


def _as_decimals(cells: Cells) -> Cells:
    """Plain decimal text and Decimals as one decimal column, where Arrow can hold them all."""
    types = set(map(type, cells.values))
    try:
        array = pa.array(cells.values) if types in ({str}, {Decimal}) else None
        if types == {str}:
            array = _decimal_text(array)
        if array is None or not pa.types.is_decimal128(array.type):
            return cells
        unscaled = _unscaled(array, cells.null)
    except (pa.ArrowException, ArithmeticError, UnicodeError):
        return cells  # something in it is no number: the cell-by-cell way says which, and in which row
    if unscaled is None:
        return cells
    return replace(cells, kind="decimal", values=unscaled, scale=array.type.scale)


def _decimal_text(array: Any) -> Any:
    """Digits with at most one point among them as a decimal array; None where there is other text."""
    if not pc.all(pc.match_substring_regex(array, r"^[+-]?\d{1,18}(\.\d{1,18})?$")).as_py():
        return None
    point = numpy_of(pc.find_substring(array, "."))
    places = np.where(point < 0, 0, numpy_of(pc.binary_length(array)) - point - 1)
    return array.cast(pa.decimal128(38, int(places.max(initial=0))))


def _fast(cells: Cells, step: Step, bad: Bad) -> Ints:
    if cells.kind == "float":
        finite = np.isfinite(cells.values)
        counts = grid.of_floats(np.where(finite, cells.values, 0.0), step)
        bad.update({int(at): (cells.shown(int(at)), grid.FINITE) for at in np.flatnonzero(~finite)})
    else:
        counts = grid.of_ints(cells.values, cells.scale, step)
    bad.update({int(at): (cells.shown(int(at)), step.wanted) for at in np.flatnonzero(counts.off)})
    for at in np.flatnonzero(counts.unsure):
        counts.count[at] = _slow(cells, int(at), step, bad)
    return counts.count


def _slow(cells: Cells, at: int, step: Step, bad: Bad) -> int:
    value = cells.shown(at)
    try:
        return grid.count_of(value, step)
    except OffGridError as error:
        bad[at] = (value, str(error))
        return 0
    except ValueError as error:
        raise cells.refuse(at, str(error)) from None


def amounts(cells: Cells, unit: Decimal) -> tuple[npt.NDArray[np.object_], Bad]:
    """Money in units of ``unit`` (Decimal), None where null or a float NaN; bad where not finite."""
    bad: Bad = {}

    def in_units(value: Any) -> Decimal:
        number = grid.number_of(value)
        try:
            with localcontext(EXACT):
                return number / unit
        except Inexact:
            raise OffGridError(f"an amount that tick_size x lot_size {unit} divides exactly") from None

    types = (int, float, Decimal, str)
    listed = _each(cells, in_units, types=types, wanted=grid.FINITE, nullable=True, bad=bad)
    return _object_array(listed), bad


def decimals(cells: Cells) -> int:
    """How many decimals the finite numbers of a column need; what is no number counts as none."""
    if cells.kind == "int":
        return 0
    if cells.kind == "float":
        finite = np.isfinite(cells.values) & ~cells.null
        return grid.decimals_of_floats(np.unique(np.compress(finite, cells.values)))
    most = 0
    for value in {v for v in cells.listed() if isinstance(v, int | float | Decimal | str) and not _is_nan(v)}:
        try:
            most = max(most, grid.decimals_of(value))
        except ValueError:
            continue  # whoever converts the column says what is wrong with this cell, and where
    return most


def _object_array(values: list[Any]) -> npt.NDArray[np.object_]:
    array = np.empty(len(values), np.object_)
    array[:] = values
    return array
