"""Tapes from anywhere: what a venue published, as columns and as events.

A table is told by its columns, not by its name:

- trades: a time, ``price``, ``size`` (``qty``, ``quantity``, ``amount``, ``volume``), optionally ``side`` or
  ``aggressor`` (the taker's) or ``is_buyer_maker``, ``seq``, ``symbol`` (``pair``, ``product``, ...). The daily files
  of GMO Coin are such tables, and those of Binance (futures; those of spot have no header), Bybit, OKX, Tardis.
- tops of book: a time, ``bid``, ``bid_size``, ``ask``, ``ask_size``, or ``bid_px`` and ``bid_sz``,
  or ``bid1`` and ``bidq1``, and so on.

A map (``mapping``) with ``[tape]`` or ``[quotes]`` is a tape, too: one of whatever columns, times and units.

Bars (``open, high, low, close``) beside trades are set aside: they say nothing that the trades do not.

Capitals and joints of names do not count (``bidPrice`` is ``bid_price``); all names are in ``tape_columns``.

The time is ``ns``, ``ts_ns`` or ``timestamp_ns`` (whole nanoseconds), or ``ts``, ``timestamp``, ``time`` and so on:
datetimes, ISO-8601 text (without a zone it is UTC), or numbers, of which the unit is told by their size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

import numpy as np

from invariants.readers.bundle_head import head_of, instrument_of
from invariants.readers.mapping_plan import Plan, file_of, is_map, map_in
from invariants.readers.mapping_tables import frame_of
from invariants.readers.sources import Blob, Sources, blobs, bytes_of
from invariants.readers.tables import frame_from_bytes
from invariants.readers.tape_columns import check_one_symbol, recognised, times_in
from simcore import InputError, Instrument, Run, Side, TapeEvent, TopOfBook, Trade
from simcore import pandas_later as pd
from simcore.frames import UNJUDGED, Sheet, tops_of, trades_of
from simcore.grid import Ints
from simcore.run import ABSENT, Fills, Parts, Rejected, Tops, Trades, place_among

TABLES = ("tape", "quotes")
"""The tables of a tape, as maps and bundles name them."""

Columns = TypeVar("Columns", Trades, Tops)


@dataclass(frozen=True, eq=False, slots=True)
class Tape:
    """Trades and tops of book, in time order.

    ``derived`` says that ``instrument`` is the finest decimal grid that appears in the data.
    ``top_seq`` orders the tops among the trades of one instant, where both tables have a ``seq``.
    ``aside`` counts the rows that a map leaves aside.
    ``tables`` names the source of each table, ``files`` every file; ``row`` in the columns counts
    through the files of a table in their order, which ``parts`` has.
    """

    trades: Trades
    tops: Tops
    instrument: Instrument
    derived: bool
    files: tuple[str, ...]
    tables: Mapping[str, str]
    inputs: Mapping[str, str]
    read: Mapping[str, int]
    rejected: tuple[Rejected, ...] = ()
    top_seq: Ints | None = None
    aside: Mapping[str, int] = field(default_factory=dict)
    parts: Mapping[str, Parts] = field(default_factory=dict)

    def events(self) -> list[TapeEvent]:
        """All events in order; at one instant by ``seq`` where both tables have it, else trades first."""
        events = [*_trade_events(self.trades), *_top_events(self.tops)]
        ns = np.concatenate([self.trades.ns, self.tops.ns])
        if self.top_seq is None:
            return [events[at] for at in np.argsort(ns, kind="stable")]
        return [events[at] for at in np.lexsort([np.concatenate([self.trades.seq, self.top_seq]), ns])]


def _trade_events(trades: Trades) -> Iterator[TapeEvent]:
    takers = {1: Side.BUY, -1: Side.SELL, 0: None}
    columns = (trades.ns, trades.price_ticks, trades.size_lots, trades.aggressor)
    for ns, price, size, side in zip(*(column.tolist() for column in columns), strict=True):
        yield Trade(ns, price, size, takers[side])


def _top_events(tops: Tops) -> Iterator[TapeEvent]:
    columns = (tops.ns, tops.bid_ticks, tops.bid_lots, tops.ask_ticks, tops.ask_lots)
    return (TopOfBook(*row) for row in zip(*(column.tolist() for column in columns), strict=True))


def read_tape(
    sources: Sources, *, instrument: Instrument | None = None, quotes: Sources | None = None, usable: bool = False
) -> Tape:
    """The tape in ``sources`` (paths, globs, folders, URLs) and ``quotes`` (the same, tops of book only).

    The files of a table follow each other by their first time, then by name. Without an
    ``instrument``, the grid is the finest decimal one that appears in the data (a bundle's own,
    for a bundle). Raises ``InputError`` for a file that is no tape, time that runs backwards, or
    several symbols. Numbers that are not finite or off the given grid are rejected rows; where the tape
    must be ``usable``, as a simulator needs it, they are an ``InputError``, and so is what is not above zero.
    """
    markets: dict[str, str] = {}
    parts = _without_bars([_part(*found, markets) for found in _all_blobs(sources, quotes)])
    inputs = {part.name: part.sha256 for part in parts}
    tables = {table: _in_order([p for p in parts if p.sheet.table == table]) for table in ("tape", "quotes")}
    grid = instrument or _declared_grid(sources) or _finest_grid(parts)
    of_trades = [trades_of(p.sheet, grid) for p in tables["tape"]]
    of_tops = [tops_of(p.sheet, grid) for p in tables["quotes"]]
    if usable:
        columns: tuple[Trades | Tops, ...] = (*of_trades, *of_tops)
        for part, found in zip((*tables["tape"], *tables["quotes"]), columns, strict=True):
            _check_usable(part, found, grid)
    trades, tops = _joined(tables["tape"], of_trades, Trades), _joined(tables["quotes"], of_tops, Tops)
    trades, top_seq = _sequenced(trades, tops, tables)
    return Tape(
        trades,
        tops,
        grid,
        derived=instrument is None and _declared_grid(sources) is None,
        files=tuple(inputs),
        tables={table: _title(found) for table, found in tables.items() if found},
        parts={table: _rows_before(found) for table, found in tables.items()},
        inputs=inputs,
        read={table: sum(len(p.sheet.frame) for p in found) for table, found in tables.items() if found},
        rejected=tuple(row for found in tables.values() for p in found for row in p.sheet.rejected()),
        top_seq=top_seq,
        aside={table: sum(p.aside or 0 for p in found) for table, found in tables.items() if _chosen(found)},
    )


def with_tape(run: Run, tape: Tape | Sources) -> Run:
    """``run`` judged against this tape: its own trades are set aside where it has any, its own tops the same.

    Raises ``InputError``.
    """
    given = tape if isinstance(tape, Tape) else read_tape(tape, instrument=run.instrument)
    if given.instrument != run.instrument:
        got = f"tick_size {given.instrument.tick_size}, lot_size {given.instrument.lot_size}"
        wanted = f"tick_size {run.instrument.tick_size}, lot_size {run.instrument.lot_size}, as the run has"
        raise InputError(file=", ".join(given.files) or "tape", field="instrument", got=got, wanted=wanted)
    rejected = [row for row in run.rejected if row.table not in given.tables]
    keeps = run.has_tape and "tape" not in given.tables
    return replace(
        run,
        trades=run.trades if keeps else given.trades,
        tops=given.tops if "quotes" in given.tables else run.tops,
        fills=run.fills if keeps or not run.has_tape else _renumbered(run.fills, run.trades, given.trades),
        has_tape=True,
        rejected=(*rejected, *given.rejected),
        read={**run.read, **given.read},
        files={**run.files, **given.tables},
        parts={**run.parts, **given.parts},
        inputs={**run.inputs, **given.inputs},
        reported={**run.reported, **left_aside(given.aside)},
    )


def left_aside(rows: Mapping[str, int]) -> dict[str, Decimal]:
    """The rows of each table that a map leaves aside, as figures of a run that are not judged."""
    return {f"{UNJUDGED}{table} rows left aside by the map": Decimal(count) for table, count in rows.items()}


def _renumbered(fills: Fills, own: Trades, given: Trades) -> Fills:
    """The fills with the numbers that their trades have in the tape that is ``given``; without, where it has others."""
    is_same = len(own) == len(given) and all(
        np.array_equal(getattr(own, name), getattr(given, name)) for name in ("ns", "price_ticks", "size_lots")
    )
    if not is_same or not len(own):
        return replace(fills, trade_seq=np.full(len(fills), ABSENT))
    by_seq = np.argsort(own.seq, kind="stable")
    found = np.searchsorted(own.seq, fills.trade_seq, sorter=by_seq)
    place = by_seq[np.minimum(found, len(own) - 1)]
    named = (fills.trade_seq != ABSENT) & (own.seq[place] == fills.trade_seq)
    return replace(fills, trade_seq=np.where(named, given.seq[place], fills.trade_seq))


@dataclass(frozen=True, slots=True)
class _Part:
    """One file of a tape, with the columns of ``simcore.frames``; ``aside`` are rows that a map leaves aside."""

    name: str
    sha256: str
    sheet: Sheet
    ns: Ints
    aside: int | None = None

    @property
    def first(self) -> tuple[int, str]:
        return (int(self.ns[0]) if len(self.ns) else 0, self.name)


def _all_blobs(sources: Sources, quotes: Sources | None) -> Iterator[tuple[Blob, Plan | None]]:
    """The files, each with its part of a map where one names it."""
    for source in _each(sources):
        folder = Path(source)
        if (folder / "run.toml").is_file():
            yield from _plain(str(f) for f in sorted(folder.iterdir()) if f.name.split(".")[0] in ("tape", "quotes"))
        elif is_map(folder):
            yield from _mapped(file_of(folder))
        else:
            yield from _plain(source)
    if quotes:
        yield from _plain(quotes)


def _each(sources: Sources) -> list[str | Path]:
    return [sources] if isinstance(sources, str | Path) else list(sources)


def _plain(sources: Sources) -> Iterator[tuple[Blob, Plan | None]]:
    return ((blob, None) for blob in blobs(sources))


def _mapped(file: Path) -> Iterator[tuple[Blob, Plan | None]]:
    for plan in map_in(file, needs=TABLES).plans:
        if plan.table in TABLES:
            path = file.parent / plan.file
            yield Blob(str(path), bytes_of(path)), plan


def _declared_grid(sources: Sources) -> Instrument | None:
    """The instrument of the bundle, or of the map, that ``sources`` is, if it is one."""
    if not isinstance(sources, str | Path):
        only = _each(sources)
        return _declared_grid(only[0]) if len(only) == 1 else None
    head = Path(sources) / "run.toml"
    if head.is_file():
        return instrument_of(head_of(head), str(head))
    return map_in(file_of(sources), needs=TABLES).instrument if is_map(Path(sources)) else None


def _part(blob: Blob, plan: Plan | None, markets: dict[str, str]) -> _Part:
    """The table of a file; ``markets`` are those of the files before."""
    if plan is not None:
        mapped, aside = frame_of(plan, blob.data, blob.name, markets)
        sheet = Sheet(mapped, plan.table, blob.name)
        return _Part(blob.name, blob.sha256, sheet, sheet.ints("ns"), aside if plan.rows else None)
    frame = frame_from_bytes(blob.data, file=blob.name)
    check_one_symbol(frame, blob.name, markets)
    table, renamed = recognised(frame, blob.name)
    renamed["ns"] = times_in(frame, blob.name) if table != "bars" else pd.Series([], dtype=np.int64)
    sheet = Sheet(pd.DataFrame(renamed), table, blob.name)
    return _Part(blob.name, blob.sha256, sheet, sheet.ints("ns"))


def _without_bars(parts: list[_Part]) -> list[_Part]:
    """The tables of trades and tops; bars alone are no tape."""
    for part in parts:
        if part.sheet.table == "bars" and not any(p.sheet.table == "tape" for p in parts):
            raise InputError(
                file=part.name, field="columns", got="bars", wanted="the trades that the bars were made of"
            )
    return [part for part in parts if part.sheet.table != "bars"]


def _in_order(parts: list[_Part]) -> list[_Part]:
    """The files by their first time, then by name; time must not run backwards in or between them."""
    parts = sorted(parts, key=lambda part: part.first)
    last_ns, last_name = None, ""
    for part in (p for p in parts if len(p.ns)):
        for at in np.flatnonzero(np.diff(part.ns) < 0)[:1]:
            wanted = f"no earlier than the row before, {part.ns[at]}"
            raise InputError(file=part.name, row=int(at) + 2, field="ns", got=int(part.ns[at + 1]), wanted=wanted)
        if last_ns is not None and part.ns[0] < last_ns:
            wanted = f"no earlier than the end of {last_name}, {last_ns}"
            raise InputError(file=part.name, row=1, field="ns", got=int(part.ns[0]), wanted=wanted)
        last_ns, last_name = int(part.ns[-1]), part.name
    return parts


def _check_usable(part: _Part, columns: Trades | Tops, grid: Instrument) -> None:
    """Every row of a file can be an event: the file is named, which an event no longer knows."""
    for row in part.sheet.rejected()[:1]:
        raise InputError(file=row.file, row=row.row, field=row.field, got=row.got, wanted=row.wanted)
    check_above_zero(columns, grid, ((0, part.name),))


def check_above_zero(columns: Trades | Tops, grid: Instrument, parts: Parts) -> None:
    """No price and no size of a table in these files is zero or less. Raises ``InputError``."""
    for each in (f.name for f in fields(columns) if f.name.endswith(("_ticks", "_lots"))):
        name, _, unit = each.rpartition("_")
        for at in np.flatnonzero(getattr(columns, each) <= 0)[:1]:
            count = int(getattr(columns, each)[at])
            got = grid.price(count) if unit == "ticks" else grid.size(count)
            column = name if unit == "ticks" or name == "size" else f"{name}_size"
            file, row = place_among(parts, int(columns.row[at]))
            raise InputError(file=file, row=row, field=column, got=str(got), wanted="a number above 0")


def _finest_grid(parts: list[_Part]) -> Instrument:
    """Powers of ten: the most decimals among the prices, and among the sizes; trailing zeros do not count."""
    prices = max((p.sheet.decimals(*_have(p, "price", "bid", "ask")) for p in parts), default=0)
    sizes = max((p.sheet.decimals(*_have(p, "size", "bid_size", "ask_size")) for p in parts), default=0)
    return Instrument(Decimal(1).scaleb(-prices), Decimal(1).scaleb(-sizes))


def _have(part: _Part, *names: str) -> list[str]:
    return [name for name in names if part.sheet.has(name)]


def _chosen(parts: list[_Part]) -> bool:
    return any(part.aside is not None for part in parts)


def _joined(parts: list[_Part], tables: list[Columns], kind: type[Columns]) -> Columns:
    """The tables behind each other; rows count on, rejected ones included."""
    if not tables:
        return kind(*(np.empty(0, np.int64) for _ in kind.__dataclass_fields__))
    columns = {name: [getattr(table, name) for table in tables] for name in kind.__dataclass_fields__}
    columns["row"] = [rows + offset for rows, (offset, _) in zip(columns["row"], _rows_before(parts), strict=True)]
    return kind(*(np.concatenate(column) for column in columns.values()))


def _rows_before(parts: list[_Part]) -> Parts:
    before = [0, *accumulate(int(part.sheet.rows.max(initial=0)) for part in parts)]
    return tuple(zip(before, (part.name for part in parts), strict=False))


def _sequenced(trades: Trades, tops: Tops, tables: Mapping[str, list[_Part]]) -> tuple[Trades, Ints | None]:
    """The files' own ``seq`` where it never falls; else the rows are counted from 0."""

    def own(table: str) -> Ints | None:
        if not tables[table] or not all(part.sheet.has("seq") for part in tables[table]):
            return None
        seq = np.concatenate([p.sheet.kept(p.sheet.maybe("seq"))[0] for p in tables[table]])
        return seq if bool((np.diff(seq) > 0).all()) else None

    if own("tape") is None:
        return replace(trades, seq=trades.row - 1), None
    return trades, own("quotes") if len(tops) else None


def _title(parts: list[_Part]) -> str:
    more = f" and {len(parts) - 1} more" if len(parts) > 1 else ""
    return parts[0].name + more
