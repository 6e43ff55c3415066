"""A table read by its part of a map: columns, units, times and words of theirs become ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np

from invariants.readers import clock
from invariants.readers.mapping_plan import COLUMNS, NUMBERS, PRICES, SIZES, TIMES, WORDS, Plan, wrong
from invariants.readers.tables import frame_from_bytes
from invariants.readers.tape_columns import EARLIEST_NS, check_one_symbol, is_number
from simcore import InputError
from simcore import pandas_later as pd
from simcore.cells import Cells, cells_of
from simcore.grid import Ints, Mask, number_of
from simcore.units import INT64_MAX, nanoseconds_of


def frame_of(plan: Plan, data: bytes, file: str, markets: dict[str, str]) -> tuple[pd.DataFrame, int]:
    """The table with our names, units and words, and how many rows are left aside; ``markets``: of tables before."""
    if plan.delimiter is not None and data[:4] == b"PAR1":
        raise wrong(plan.place, "delimiter", plan.delimiter, f"none: {file} is Parquet")
    theirs = frame_from_bytes(data, file=file, delimiter=plan.delimiter or ",")
    for ours, name in plan.columns.items():
        if ours in TIMES and name not in theirs and " + " in name:
            theirs[name] = _together(theirs, name.split(" + "), file, f"of which {plan.place} makes {ours}")
        _check_has(theirs, name, file, f"which {plan.place} calls {ours}")
    kept = _kept(plan, theirs, file)
    theirs, aside = theirs[kept].reset_index(drop=True), int((~kept).sum())
    check_one_symbol(theirs, file, markets)
    found: dict[str, pd.Series[Any]] = {}
    for ours in COLUMNS[plan.table]:
        if ours in plan.constants:
            found[ours] = pd.Series([plan.constants[ours]] * len(theirs), dtype=object)
        elif plan.columns.get(ours, ours) in theirs and (ours in plan.columns or ours not in plan.columns.values()):
            found[ours] = theirs[plan.columns.get(ours, ours)]
        elif ours == "aggressor" and "side" in theirs:
            found[ours] = theirs["side"]
    rows = np.flatnonzero(kept) + 1
    frame = pd.DataFrame({**dict(_ours(plan, found, file, rows)), "row": rows})
    return frame if plan.resolution is None else _spread(frame, plan, plan.resolution, file), aside


def _check_has(theirs: pd.DataFrame, name: str, file: str, why: str) -> None:
    if name not in theirs:
        got = ", ".join(map(str, theirs.columns))
        delimited = "" if len(theirs.columns) > 1 else "; else say the delimiter"
        raise wrong(file, name, got, f"the column {name!r}, {why}{delimited}")


def _together(theirs: pd.DataFrame, names: Sequence[str], file: str, why: str) -> Any:
    """The texts of several columns as one, with spaces between; None where one of them is empty."""
    for name in names:
        _check_has(theirs, name, file, why)
    rows = zip(*(theirs[name].tolist() for name in names), strict=True)
    texts = [None if any(map(pd.isna, row)) else " ".join(str(cell).strip() for cell in row) for row in rows]
    return pd.Series(texts, dtype=object)


def _kept(plan: Plan, theirs: pd.DataFrame, file: str) -> Mask:
    """The rows that count. Raises ``InputError``."""
    kept = np.ones(len(theirs), np.bool_)
    for name, words in plan.rows.items():
        _check_has(theirs, name, file, f"by which {plan.place} chooses rows")
        kept &= np.array([any(key in words for key in _keys(cell)) for cell in theirs[name]], np.bool_)
    return kept


def _ours(plan: Plan, found: Mapping[str, Any], file: str, rows: Ints) -> Iterator[tuple[str, Any]]:
    """Each column by our name, converted."""
    if "signed_size" in found:
        side = "aggressor" if plan.table == "tape" else "side"
        for name in (side, "size"):
            if name in found:
                raise wrong(file, name, "a column", "none beside signed_size")
    for name, series in found.items():
        cells = cells_of(series, file=file, field=plan.columns.get(name, name), rows=rows)
        if plan.decimal == "," and name in NUMBERS and name not in plan.constants:
            series = _column(partial(_pointed, cells, is_time=name in TIMES), cells)  # noqa: PLW2901
            cells = cells_of(series, file=file, field=cells.field, rows=rows)
        if name in TIMES:
            yield name, _column(_Times(plan, cells).ns, cells)
        elif name == "signed_size":
            yield side, _column(partial(_sign, cells), cells)
            yield "size", _scaled(cells, plan.size_unit, absolute=True)
        elif _unit_of(plan, name) != 1:
            yield name, _scaled(cells, _unit_of(plan, name))
        elif name in WORDS and plan.words:
            yield name, _column(partial(_word, plan, cells), cells)
        else:
            yield name, _column(partial(_id, cells), cells) if name == "order_id" else series


def _unit_of(plan: Plan, name: str) -> Decimal:
    """What 1 in a column of theirs is in ours."""
    if name in PRICES:
        return plan.price_unit
    return plan.size_unit if name in SIZES else plan.fee_unit if name == "fee" else Decimal(1)


def _spread(fills: pd.DataFrame, plan: Plan, step: int, file: str) -> pd.DataFrame:
    """Fills whose times were cut to whole seconds, say, and that lie somewhere in them."""
    field = plan.columns.get("ns", "ns")
    if "ns_to" in fills:
        raise wrong(file, field, "a column ns_to", f"none beside {plan.table}.time_resolution")
    listed = fills["ns"].tolist() if "ns" in fills else []
    for at, ns in enumerate(listed):
        if ns is not None and ns % step:
            wanted = f"a multiple of {step} ns, which {plan.place} calls the resolution"
            raise InputError(file=file, row=int(fills["row"][at]), field=field, got=ns, wanted=wanted)
    to = pd.Series([None if ns is None else ns + step - 1 for ns in listed], dtype=object)
    return fills.assign(ns_to=to)


def _pointed(cells: Cells, at: int, *, is_time: bool) -> Any:
    """A number in text with a point for its decimal comma; ISO-8601 times stay as they are."""
    value = cells.shown(at)
    if not isinstance(value, str) or (is_time and not is_number(value.replace(",", "."))):
        return value
    if "." in value or value.count(",") > 1:
        raise cells.refuse(at, "a number with a decimal comma, and no sign between thousands")
    return value.replace(",", ".")


def _column(value: Callable[[int], Any], cells: Cells) -> Any:
    return pd.Series([value(at) for at in range(len(cells))], dtype=object)


def _id(cells: Cells, at: int) -> Any:
    """A text of digits as the number it is in a typed table."""
    value = cells.shown(at)
    digits = isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 19
    return int(value) if digits and str(int(value)) == value else value


def _word(plan: Plan, cells: Cells, at: int) -> Any:
    value = cells.shown(at)
    return next((plan.words[key] for key in _keys(value) if key in plan.words), value)


def _keys(cell: Any) -> list[str]:
    """A cell as a map may write it: a whole number that became a float on its way is also that number."""
    is_whole = isinstance(cell, float) and cell.is_integer()
    return [str(form).strip().casefold() for form in ((cell, int(cell)) if is_whole else (cell,))]


def _sign(cells: Cells, at: int) -> int:
    """The side of a signed size; a size of zero or none has none, so it is a buy that no law lets pass."""
    try:
        return -1 if number_of(cells.shown(at)) < 0 else 1
    except ValueError:
        return 1


def _scaled(cells: Cells, unit: Decimal, *, absolute: bool = False) -> Any:
    """Numbers times ``unit``; what is no number stays as it is, for the frames to refuse."""

    def value(at: int) -> Any:
        shown = cells.shown(at)
        try:
            number = number_of(shown)
        except ValueError:
            return shown
        return (abs(number) if absolute else number) * unit

    return _column(value, cells)


@dataclass(frozen=True, slots=True)
class _Times:
    """A column of times, of whatever kind."""

    plan: Plan
    cells: Cells

    def ns(self, at: int) -> int | None:
        """The instant in a cell, None where it is empty."""
        value = self.cells.shown(at)
        if value is None:
            return None
        if self.plan.zone is not None and not isinstance(value, str):
            raise self.cells.refuse(at, "text: a time of another kind is in UTC, and has no time_zone")
        if self.cells.kind == "time":
            return int(value)
        if self.plan.time_format is not None:
            try:
                local = datetime.strptime(str(value).strip(), self.plan.time_format)  # noqa: DTZ007 (below)
            except ValueError:
                raise self.cells.refuse(at, f"a time like {self.plan.time_format}") from None
            return self._in_zone(nanoseconds_of(local), at)
        if isinstance(value, str) and not is_number(value):
            try:
                ns = clock.ns_of(value)
            except ValueError:
                raise self.cells.refuse(at, clock.WANTED) from None
            return ns if clock.has_zone(value) else self._in_zone(ns, at)
        return self._of_number(value, at)

    def _in_zone(self, ns: int, at: int) -> int:
        """The instant at which clocks in the zone show what those of UTC do at ``ns``."""
        if self.plan.zone is None:
            return ns
        local = datetime(1970, 1, 1) + timedelta(seconds=ns // 10**9)  # noqa: DTZ001 (the zone follows)
        offsets = {local.replace(tzinfo=self.plan.zone, fold=fold).utcoffset() for fold in (0, 1)}
        if len(offsets) > 1:
            raise self.cells.refuse(at, f"a time that clocks in {self.plan.zone} show once")
        [offset] = offsets
        return ns - (offset or timedelta()) // timedelta(microseconds=1) * 1000

    def _of_number(self, value: Any, at: int) -> int | None:
        if self.plan.zone is not None:
            raise self.cells.refuse(at, "a time of digits and signs: a number has no time_zone")
        if isinstance(value, float) and np.isnan(value):
            return None
        try:
            number = number_of(value) * (self.plan.time_unit or 1)
        except ValueError:
            raise self.cells.refuse(at, "a time") from None
        if self.plan.time_unit is None and abs(number) < EARLIEST_NS:
            raise self.cells.refuse(at, f"whole nanoseconds; else the {self.plan.table}.time_unit, s, ms or us")
        if not -INT64_MAX <= number <= INT64_MAX or number != int(number):
            raise self.cells.refuse(at, "whole nanoseconds (int64)")
        return int(number)
