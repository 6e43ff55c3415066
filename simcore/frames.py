"""Runs from pandas tables in native units, and back: the border between money and integers.

Columns (prices and sizes in price and size units: int, float, Decimal or text):

- ``trades``: ns, price, size, aggressor (+1/-1/0, buy/sell, or missing), optional seq
- ``tops``: ns, bid, bid_size, ask, ask_size
- ``orders``: order_id, side, price, size, submit_ns, optional live_ns, cancel_ns, end_ns, end
- ``fills``: ns, order_id, side, price, size, optional ns_to, trade_seq, fee (currency)
- ``positions``: ns, position

Times are int64 nanoseconds since 1970 UTC, or datetimes (naive means UTC), in a column of either. Every table may carry
``row``, the place of each row in the file it came from; otherwise rows count from 1. Other columns
are left alone.

Cells that no reading can save (missing, of a wrong type, unknown words, beyond int64) raise
``InputError``. Numbers that are not finite or off the grid make a ``Rejected`` row. Everything
else is loaded, however wrong: that is what the laws judge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from decimal import Decimal, localcontext
from numbers import Integral
from typing import Any, TypeAlias, TypeVar

import numpy as np
import pyarrow as pa

from simcore import cells as columns
from simcore import pandas_later as pd
from simcore.cells import Bad, Cells, cells_of
from simcore.errors import InputError
from simcore.grid import Ints, Step
from simcore.rules import DIALS, Rules
from simcore.run import (
    ABSENT,
    ENDS,
    PROVENANCES,
    Ends,
    EndState,
    Fills,
    Ids,
    Objects,
    Orders,
    Positions,
    Rejected,
    Run,
    Tops,
    Trades,
)
from simcore.units import EXACT, INT64_MAX, Instrument, decimal_of, nanoseconds_of

SIDES: dict[Any, int] = {1: 1, -1: -1, "buy": 1, "sell": -1, "b": 1, "s": -1, "1": 1, "+1": 1, "-1": -1}
AGGRESSORS: dict[Any, int] = {**SIDES, 0: 0, "0": 0, "": 0, "unknown": 0, None: 0}
ENDINGS: dict[Any, int] = {**{state.word: int(state) for state in EndState}, None: 0}
STAMPS = ("submit_ns", "live_ns", "cancel_ns", "end_ns")
Frame: TypeAlias = "pd.DataFrame | pa.Table"
T = TypeVar("T")
UNJUDGED = "unjudged."
"""Prefix of a reported figure whose meaning nobody knows: kept and listed, read by no law."""


def check_names(names: Sequence[Any], file: str) -> None:
    """Refuse two columns of one name. Raises ``InputError``."""
    if len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise InputError(file=file, field=str(twice), got="the column twice", wanted="one column of that name")


class Sheet:
    """A table on its way in, of pandas or Arrow: converts its columns and collects the rows that must be rejected.

    ``skipped`` rows of the file stand above it, where the table is a part of one.
    """

    def __init__(self, frame: Any, table: str, file: str, *, skipped: int = 0) -> None:
        if not isinstance(frame, pa.Table) and not isinstance(frame, pd.DataFrame):
            got = f"{type(frame).__module__}.{type(frame).__name__}"  # polars has a DataFrame, too
            raise InputError(file=file, field=table, got=got, wanted="a pandas DataFrame or a pyarrow Table")
        self.names = list(frame.column_names if isinstance(frame, pa.Table) else frame.columns)
        check_names(self.names, file)
        self.frame, self.table, self.file = frame, table, file
        self.rows: Ints = np.arange(skipped + 1, skipped + len(frame) + 1, dtype=np.int64)
        self.skipped = skipped
        self.bad: dict[int, Rejected] = {}
        if "row" in self.names:
            self.rows = columns.ints(self._cells("row"), wanted="a row number")

    def has(self, field: str) -> bool:
        """Whether there is such a column."""
        return field in self.names

    def _cells(self, field: str) -> Cells:
        if not self.has(field):
            got = ", ".join(map(str, self.names)) or "no columns"
            raise InputError(file=self.file, field=field, got=got, wanted=f"a column {field!r}")
        return cells_of(self.frame[field], file=self.file, field=field, rows=self.rows)

    def _absent(self) -> Ints:
        return np.full(len(self.frame), ABSENT, np.int64)

    def ints(self, field: str) -> Ints:
        """A required column of whole numbers or datetimes."""
        return columns.ints(self._cells(field))

    def maybe(self, field: str, *, wanted: str = columns.NANOSECONDS) -> Ints:
        """An optional column of whole numbers: ``ABSENT`` where there is none."""
        return columns.ints(self._cells(field), nullable=True, wanted=wanted) if self.has(field) else self._absent()

    def counts(self, field: str, step: Step) -> Ints:
        """A required column of prices or sizes, in whole steps."""
        counts, bad = columns.on_grid(self._cells(field), step)
        self._reject(field, bad)
        return counts

    def sides(self, field: str = "side") -> Ints:
        """A required column of sides."""
        wanted = "buy or sell (+1 or -1)"
        return columns.words(self._cells(field), SIDES, wanted=wanted)

    def aggressors(self, field: str = "aggressor") -> Ints:
        """A column of taker sides; 0 where unknown, and where there is no column."""
        if not self.has(field):
            return np.zeros(len(self.frame), np.int64)
        wanted = "buy, sell or unknown (+1, -1 or 0)"
        return columns.words(self._cells(field), AGGRESSORS, wanted=wanted, nullable=True)

    def ends(self) -> Ends:
        """The end states."""
        if not self.has("end"):
            return np.zeros(len(self.frame), np.int8)
        wanted = f"one of {', '.join(ENDS)}, or nothing"
        return columns.words(self._cells("end"), ENDINGS, wanted=wanted, nullable=True).astype(np.int8)

    def ids(self) -> Ids:
        """The required order ids."""
        return columns.names(self._cells("order_id"))

    def fees(self, unit: Decimal) -> Objects:
        """The optional fees in ticks times lots, None where there is none."""
        if not self.has("fee"):
            return _objects([None] * len(self.frame))
        fees, bad = columns.amounts(self._cells("fee"), unit)
        self._reject("fee", bad)
        return fees

    def decimals(self, *names: str) -> int:
        """How many decimals the finest number in these columns needs."""
        return max((columns.decimals(self._cells(name)) for name in names), default=0)

    def _reject(self, field: str, bad: Bad) -> None:
        for at, (got, wanted) in bad.items():
            self.bad.setdefault(at, Rejected(self.table, self.file, int(self.rows[at]), field, got, wanted))

    def kept(self, *arrays: Any) -> list[Any]:
        """The arrays without the rejected rows."""
        if not self.bad:
            return list(arrays)
        keep = np.ones(len(self.frame), np.bool_)
        keep[list(self.bad)] = False
        return [array[keep] for array in arrays]

    def rejected(self) -> list[Rejected]:
        """The rejected rows in the order of the file."""
        return [self.bad[at] for at in sorted(self.bad)]


def trades_of(sheet: Sheet, instrument: Instrument) -> Trades:
    """The tape's trades; ``seq`` counts them from 0 where the table has no such column."""
    ns = sheet.ints("ns")
    price, size = sheet.counts("price", _tick(instrument)), sheet.counts("size", _lot(instrument))
    aggressor, seq = sheet.aggressors(), sheet.maybe("seq", wanted="a whole number (int64)")
    seq = np.where(seq == ABSENT, np.arange(len(seq)) + sheet.skipped, seq)
    return Trades(*sheet.kept(ns, price, size, aggressor, seq, sheet.rows))


def tops_of(sheet: Sheet, instrument: Instrument) -> Tops:
    """The tops of book."""
    tick, lot = _tick(instrument), _lot(instrument)
    bid, ask = sheet.counts("bid", tick), sheet.counts("ask", tick)
    bid_size, ask_size = sheet.counts("bid_size", lot), sheet.counts("ask_size", lot)
    return Tops(*sheet.kept(sheet.ints("ns"), bid, bid_size, ask, ask_size, sheet.rows))


def orders_of(sheet: Sheet, instrument: Instrument) -> Orders:
    """Our orders, in the order of the table."""
    ids, side, submit = sheet.ids(), sheet.sides(), sheet.ints("submit_ns")
    price, size = sheet.counts("price", _tick(instrument)), sheet.counts("size", _lot(instrument))
    live, cancel, end = (sheet.maybe(name) for name in STAMPS[1:])
    return Orders(*sheet.kept(ids, side, price, size, submit, live, cancel, end, sheet.ends(), sheet.rows))


def fills_of(sheet: Sheet, instrument: Instrument, orders: Orders) -> Fills:
    """Our executions, in the order of the table, each with the first order of its id."""
    ns, ids, side = sheet.ints("ns"), sheet.ids(), sheet.sides()
    price, size = sheet.counts("price", _tick(instrument)), sheet.counts("size", _lot(instrument))
    until, seq = sheet.maybe("ns_to"), sheet.maybe("trade_seq", wanted="a whole number (int64)")
    with localcontext(EXACT):
        fees = sheet.fees(instrument.tick_size * instrument.lot_size)
    named = set(ids.tolist())
    first: dict[Any, int] = {}
    for at, name in enumerate(orders.order_id.tolist()):
        if name in named:
            first.setdefault(name, at)
    order = np.array([first.get(name, -1) for name in ids.tolist()], dtype=np.int64)
    until = np.where(until == ABSENT, ns, until)
    return Fills(*sheet.kept(ns, until, order, ids, side, price, size, seq, fees, sheet.rows))


def positions_of(sheet: Sheet, instrument: Instrument) -> Positions:
    """The engine's own positions."""
    return Positions(*sheet.kept(sheet.ints("ns"), sheet.counts("position", _lot(instrument)), sheet.rows))


def run_from_frames(
    *,
    fills: Frame,
    orders: Frame | None = None,
    trades: Frame | None = None,
    tops: Frame | None = None,
    positions: Frame | None = None,
    rules: Rules | None = None,
    instrument: Instrument | None = None,
    reported: Mapping[str, Any] | None = None,
    provenance: Mapping[str, str] | None = None,
    name: str = "run",
    end_ns: int | datetime | None = None,
    last_event_ns: int | datetime | None = None,
    exit_code: int | None = None,
    engine: str = "",
    engine_version: str = "",
    files: Mapping[str, str] | None = None,
    inputs: Mapping[str, str] | None = None,
    rejected: Iterable[Rejected] = (),
) -> Run:
    """A run from tables in native units, of pandas or Arrow; the module says which columns they have.

    Without ``trades`` the run has no tape; without ``rules`` every dial is undeclared. ``files``
    names each table (tape, quotes, orders, fills, positions) in findings; ``rejected`` are rows
    that the caller could not read into the tables. Raises ``InputError``.
    """
    grid = _kind_of("instrument", instrument, Instrument) or Instrument()
    given = {"tape": trades, "quotes": tops, "orders": orders, "fills": fills, "positions": positions}
    names = {table: (files or {}).get(table, table) for table in given}
    sheets = {t: Sheet(_no_rows(t) if f is None else f, t, names[t]) for t, f in given.items()}
    our_orders = orders_of(sheets["orders"], grid)
    our_fills = fills_of(sheets["fills"], grid, our_orders)
    _check_ids(our_fills, our_orders, names["fills"])
    tape, quotes = trades_of(sheets["tape"], grid), tops_of(sheets["quotes"], grid)
    sampled = positions_of(sheets["positions"], grid)
    bad = [row for sheet in sheets.values() for row in sheet.rejected()]
    return Run(
        tape,
        quotes,
        our_orders,
        our_fills,
        rules=_kind_of("rules", rules, Rules) or Rules(undeclared=frozenset(DIALS)),
        instrument=grid,
        positions=sampled,
        has_tape=trades is not None,
        provenance=provenance_of(() if orders is None else sheets["orders"].names, provenance),
        reported=reported_of(reported or {}, (files or {}).get("reported", "reported")),
        rejected=(*bad, *rejected),
        read={table: len(frame) for table, frame in given.items() if frame is not None},
        files={**names, **(files or {})},
        inputs=dict(inputs or {}),
        name=name,
        end_ns=_whole("end_ns", end_ns),
        last_event_ns=_whole("last_event_ns", last_event_ns),
        exit_code=_whole("exit_code", exit_code),
        engine=engine,
        engine_version=engine_version,
    )


def _kind_of(field: str, value: T | None, kind: type[T]) -> T | None:
    if value is None or isinstance(value, kind):
        return value
    raise InputError(file="run", field=field, got=value, wanted=f"simcore.{kind.__name__}, or None")


def _whole(field: str, value: Any) -> int | None:
    """A fact of the run that is a whole number, an instant among them, or None."""
    if isinstance(value, datetime) and field != "exit_code":
        return nanoseconds_of(value)
    if value is None:
        return None
    if isinstance(value, Integral) and not isinstance(value, bool) and abs(int(value)) <= INT64_MAX:
        return int(value)
    raise InputError(file="run", field=field, got=value, wanted="a whole number (int64), or None")


def _check_ids(our_fills: Fills, our_orders: Orders, file: str) -> None:
    """Integers in one table and their texts in the other are a slip of the tables, not of the simulator.

    So is ``7.0``, as pandas writes the 7 of a column in which something was missing.
    """
    if our_fills.order_id.dtype == our_orders.order_id.dtype == np.int64:
        return  # nothing is listed of the longest runs
    named, known = our_fills.order_id.tolist(), our_orders.order_id.tolist()
    kinds = [set(map(type, names)) for names in (named, known)]
    if kinds[0] == kinds[1] or not all(len(kind) == 1 for kind in kinds):
        return
    numbers = {_number(name): name for name in known}
    for name, row in zip(named, our_fills.row.tolist(), strict=True):
        if _number(name) in numbers:
            wanted = f"the id as the orders have it: {numbers[_number(name)]!r}"
            raise InputError(file=file, row=row, field="order_id", got=name, wanted=wanted)


def _number(name: int | str) -> str:
    whole, point, part = str(name).partition(".")
    return whole if point and part and not part.strip("0") else str(name)


_COLUMNS = {
    "tape": ("ns", "price", "size"),
    "quotes": ("ns", "bid", "bid_size", "ask", "ask_size"),
    "orders": ("order_id", "side", "price", "size", "submit_ns"),
    "fills": ("ns", "order_id", "side", "price", "size"),
    "positions": ("ns", "position"),
}


def _no_rows(table: str) -> Any:
    return pa.Table.from_arrays([pa.nulls(0)] * len(_COLUMNS[table]), names=_COLUMNS[table])  # pa.table loads pandas


def no_fills() -> pd.DataFrame:
    """The fills of a run that has none."""
    return pd.DataFrame({name: pd.Series([], dtype=object) for name in _COLUMNS["fills"]})


def provenance_of(has: Iterable[str], given: Mapping[str, str] | None) -> dict[str, str]:
    """Native for a column that is there, absent for one that is not, unless the author says more."""
    has = frozenset(has)
    provenance = {stamp: "native" if stamp in has else "absent" for stamp in STAMPS}
    for stamp, word in (given or {}).items():
        if stamp not in STAMPS:
            raise InputError(file="provenance", field=str(stamp), got=word, wanted=f"one of {', '.join(STAMPS)}")
        if word not in PROVENANCES:
            raise InputError(file="provenance", field=stamp, got=word, wanted=" or ".join(PROVENANCES))
        provenance[stamp] = word
    return provenance


def reported_of(totals: Mapping[str, Any], file: str) -> dict[str, Decimal]:
    """The author's own totals as exact numbers. Raises ``InputError``."""
    return {
        key: value
        if key.startswith(UNJUDGED) and isinstance(value, Decimal)
        else decimal_of(value, field=key, file=file)
        for key, value in totals.items()
    }


def _tick(instrument: Instrument) -> Step:
    return Step.of(instrument.tick_size, "tick_size")


def _lot(instrument: Instrument) -> Step:
    return Step.of(instrument.lot_size, "lot_size")


def _objects(values: list[Any]) -> Objects:
    array = np.empty(len(values), np.object_)
    array[:] = values
    return array


def frames_of(run: Run) -> dict[str, pd.DataFrame]:
    """The tables of a run in ticks and lots, one frame each; optional times are nullable Int64."""
    tables = {name: getattr(run, name) for name in ("trades", "tops", "orders", "fills", "positions")}
    return {name: _frame_of(table) for name, table in tables.items()}


def _frame_of(table: Any) -> pd.DataFrame:
    frame = pd.DataFrame({f.name: getattr(table, f.name) for f in fields(table)})
    for name in ("live_ns", "cancel_ns", "end_ns", "trade_seq"):
        if name in frame:
            frame[name] = frame[name].astype("Int64").mask(frame[name] == ABSENT)
    if isinstance(table, Orders):
        frame["end"] = table.end_words
    return frame
