"""The columns of a tape: which table it is, whose side, what time, and of which market."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import numpy as np

from invariants.readers import clock
from invariants.readers.mapping_plan import UNITS
from simcore import InputError
from simcore import pandas_later as pd
from simcore.cells import Cells, cells_of, on_grid
from simcore.frames import SIDES
from simcore.grid import Ints, Step, number_of
from simcore.units import INT64_MAX

NANOSECONDS = ("ns", "ts_ns", "timestamp_ns")
TIMES = (
    *NANOSECONDS, "ts", "timestamp", "time", "transact_time", "transaction_time", "created_time", "created_at",
    "trade_time", "exec_date", "ts_event", "sip_timestamp", "participant_timestamp", "datetime", "date_time", "date",
)  # fmt: skip
PRICES = ("price", "px")
SIZES = ("size", "qty", "quantity", "sz")
UNSURE_SIZES = ("amount", "volume")
"""Of these one may be the turnover, where both are there."""

TAKERS = ("aggressor", "side", "taker_side", "aggressor_side", "direction")
MAKERS = ("is_buyer_maker",)
SYMBOLS = (
    "symbol", "sym", "pair", "currency_pair", "product", "product_code", "product_id", "instrument", "instrument_id",
    "instrument_name", "inst_id", "ticker", "market", "coin", "contract", "asset", "security_id", "isin",
)  # fmt: skip
BOOK = {
    "bid": ("bid", "bid_px", "bid1", "bid_price", "best_bid_price", "best_bid", "bid_px_00"),
    "bid_size": ("bid_size", "bid_sz", "bidq1", "bid_qty", "bid_amount", "best_bid_qty", "best_bid_size", "bid_sz_00"),
    "ask": ("ask", "ask_px", "ask1", "ask_price", "best_ask_price", "best_ask", "ask_px_00"),
    "ask_size": ("ask_size", "ask_sz", "askq1", "ask_qty", "ask_amount", "best_ask_qty", "best_ask_size", "ask_sz_00"),
}
BAR = ("open", "high", "low", "close")
LEVELS = (
    "bs", "book_side", "is_snapshot", "snapshot", "last_update_id", "first_update_id", "final_update_id", "update_type",
    "level",
)  # fmt: skip
"""Columns that only a table of the levels of a book has."""

EVENTS = ("action", "type", "event", "event_type", "kind", "msg_type")
NO_TRADES = frozenset((
    "add", "added", "new", "cancel", "cancelled", "canceled", "modify", "modified", "change", "changed", "delete",
    "deleted", "clear", "update", "open", "opened", "done", "received", "replace", "l2update", "snapshot",
))  # fmt: skip
"""What such a column says of rows that are no trades."""

ACTIONS = NO_TRADES | set("acmrd")
"""The same of an ``action``: add, cancel, modify, clear, delete (databento.com/docs, MBO schema)."""

COINBASE = ("trade_id", "product_id", "maker_order_id", "taker_order_id")
"""Its matches name the side of the maker: docs.cdp.coinbase.com, Exchange, WebSocket channels, matches channel."""

EARLIEST_NS = 946_684_800 * 10**9
"""2000-01-01: a number that is an instant from then on in one unit is none in any other, nor are dates in digits."""


def check_one_symbol(frame: pd.DataFrame, file: str, known: dict[str, str]) -> None:
    """Refuse several markets in one table, or beside the ``known`` by their columns. Raises ``InputError``.

    What happens in one market says nothing of the other.
    """
    for column, symbol in sorted(_symbols(frame)):
        if known.setdefault(column, symbol) != symbol:
            got = f"{symbol} beside {known[column]}"
            raise InputError(file=file, field="symbol", got=got, wanted="one symbol")


def _symbols(frame: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """The markets of which a table speaks, each with its column: two columns may name one market in two ways."""
    for name in SYMBOLS:
        for column in frame.columns:
            if plain(column) == plain(name):
                yield from ((name, word) for s in frame[column].dropna().unique() if not is_flag(word := str(s)))


def is_flag(word: str) -> bool:
    """Whether a cell answers a question (is it a market order?) and names nothing."""
    return word.casefold() in ("true", "false", "yes", "no", "")


def plain(name: Any) -> str:
    """A column's name without capitals and joints: ``isBuyerMaker`` is ``is_buyer_maker``."""
    return str(name).casefold().replace("_", "").replace(" ", "")


def recognised(frame: pd.DataFrame, file: str) -> tuple[str, dict[str, Any]]:
    """Which table this is, and its columns under the names that they have here. Raises ``InputError``."""
    book = {mine: _first(frame, theirs) for mine, theirs in BOOK.items()}
    trade = {"price": _first(frame, PRICES), "size": _size(frame, file)}
    if None not in (*book.values(), *trade.values()):
        wanted = "trades or tops of book, each in a file of its own"
        raise InputError(file=file, field="columns", got="those of trades and of tops of book", wanted=wanted)
    if None not in book.values():
        return "quotes", _renamed(frame, book)
    if None not in (_first(frame, (name,)) for name in BAR):
        return "bars", {}
    if None not in trade.values():
        _check_trades(frame, file)
        return "tape", _with_taker(frame, _renamed(frame, trade), file)
    wanted = "a time with price and size (trades), or with bid, bid_size, ask and ask_size (tops of book)"
    if frame.columns.size and all(map(_is_value, map(str, frame.columns))):
        wanted = f"a line of names above the rows: {wanted}"
    raise InputError(file=file, field="columns", got=", ".join(map(str, frame.columns)), wanted=wanted)


def _renamed(frame: pd.DataFrame, names: Mapping[str, str | None]) -> dict[str, Any]:
    found = {**names, "seq": _first(frame, ("seq",))}
    return {mine: frame[theirs] for mine, theirs in found.items() if theirs is not None}


def _size(frame: pd.DataFrame, file: str) -> str | None:
    """The column of sizes. Raises ``InputError`` where two could be."""
    sure = _first(frame, SIZES)
    unsure = [name for name in (_first(frame, (one,)) for one in UNSURE_SIZES) if name is not None]
    if sure is None and len(unsure) > 1 and _first(frame, PRICES) is not None:
        wanted = f"one of them called {SIZES[0]}: the other may be the turnover"
        raise InputError(file=file, field="columns", got=" and ".join(unsure), wanted=wanted)
    return sure or next(iter(unsure), None)


def _is_value(name: str) -> bool:
    """Whether a column's name looks like a cell."""
    return is_number(name) or is_flag(name) or name.casefold() in ("buy", "sell", "b", "s")


def _check_trades(frame: pd.DataFrame, file: str) -> None:
    """A table with prices and sizes may be of the levels of a book, or of all that happened to orders."""
    levels = _first(frame, LEVELS)
    if levels is not None:
        raise InputError(file=file, field="columns", got=levels, wanted="trades: these are levels of a book")
    for name in EVENTS:
        column = _first(frame, (name,))
        if column is None:
            continue
        others = ACTIONS if name == "action" else NO_TRADES
        words = [str(word) for word in frame[column].dropna().unique() if str(word).casefold() in others]
        if words:
            row = frame[column].astype(str).tolist().index(words[0]) + 1
            raise InputError(file=file, row=row, field=column, got=words[0], wanted="trades alone")


def _with_taker(frame: pd.DataFrame, columns: dict[str, Any], file: str) -> dict[str, Any]:
    """The columns of trades with the side of the taker, where the table has it in any way. Raises ``InputError``."""
    taker, maker = _first(frame, TAKERS), _first(frame, MAKERS)
    if taker is not None and (taker in TAKERS[:2] or _has_sides(frame[taker])):
        columns["aggressor"] = frame[taker]
    if "aggressor" in columns and all(_first(frame, (name,)) for name in COINBASE):
        columns["aggressor"] = _turned(cells_in(frame, str(taker), file))
    if maker is None:
        return columns
    said = _takers(cells_in(frame, maker, file))
    if "aggressor" in columns:
        for at, cell in enumerate(columns["aggressor"].tolist()):
            if SIDES.get(_side_word(cell), 0) == -said[at]:
                wanted = f"the side that {maker} says, {'buy' if said[at] > 0 else 'sell'}"
                raise InputError(file=file, row=at + 1, field=str(taker), got=cell, wanted=wanted)
        return columns
    return {**columns, "aggressor": pd.Series(said, dtype=np.int64)}


def _has_sides(column: pd.Series[Any]) -> bool:
    return all(_side_word(cell) in SIDES for cell in column.dropna().unique())


def _side_word(cell: Any) -> Any:
    return cell.strip().casefold() if isinstance(cell, str) else cell


def _turned(cells: Cells) -> Any:
    """The other side of each cell."""
    said = [SIDES.get(_side_word(cell)) for cell in cells.listed()]
    if None in said:
        raise cells.refuse(said.index(None), "buy or sell")
    return pd.Series([-side for side in said if side is not None], dtype=np.int64)


def _takers(cells: Cells) -> list[int]:
    """The side of the taker, where a column says whether the buyer was the maker."""
    told = {"true": -1, "1": -1, "false": 1, "0": 1}
    said = [told.get(str(cell).strip().casefold(), 0) for cell in cells.listed()]
    if 0 in said:
        raise cells.refuse(said.index(0), "true or false")
    return said


def _first(frame: pd.DataFrame, names: Iterable[str]) -> str | None:
    """The column of the first of these names that is there, as it is written there."""
    known = {plain(column): str(column) for column in reversed(frame.columns)}
    return next((name if name in frame else known[plain(name)] for name in names if plain(name) in known), None)


def cells_in(frame: pd.DataFrame, name: str, file: str) -> Cells:
    """The cells of a column, with their rows."""
    return cells_of(frame[name], file=file, field=name, rows=np.arange(1, len(frame) + 1))


def times_in(frame: pd.DataFrame, file: str) -> Any:
    """The time column as whole nanoseconds, or as the cells in which a ``Sheet`` finds the fault."""
    name = _first(frame, TIMES)
    if name is None:
        got = ", ".join(map(str, frame.columns))
        raise InputError(file=file, field="ns", got=got, wanted=f"a time column: {', '.join(TIMES)}")
    cells = cells_in(frame, name, file)
    if plain(name) in map(plain, NANOSECONDS) or cells.kind == "time" or not len(frame):
        return frame[name]
    first = cells.shown(0)
    if isinstance(first, str) and not is_number(first):
        return _iso_times(cells)
    return pd.Series(_counted(cells, first))


def is_number(text: str) -> bool:
    """Whether a text is a finite number."""
    try:
        number_of(text)
    except ValueError:
        return False
    return True


def _counted(cells: Cells, first: Any) -> Ints:
    """Numbers as nanoseconds: of an instant from 2000 to 2262 only one unit gives a number of this size."""
    named = " or ".join(NANOSECONDS)
    wanted = f"a time since 2000, all in s, ms, us or ns (call the column {named} if it has any other nanoseconds)"
    try:
        number = number_of(first)
    except (ValueError, TypeError):
        raise cells.refuse(0, wanted) from None
    unit = next((unit for unit in UNITS.values() if EARLIEST_NS <= number * unit <= INT64_MAX), None)
    if unit is None:
        raise cells.refuse(0, wanted)
    for at, cell in enumerate(cells.listed()):
        if isinstance(cell, str) and "e" in cell.casefold():
            raise cells.refuse(at, "all digits of a time")
    if unit == 1 and isinstance(first, float):
        raise cells.refuse(0, "whole numbers: a float cannot hold such nanoseconds")
    ns, bad = on_grid(cells, Step.of(1 / Decimal(unit), "a unit of time"))
    for at in sorted({*bad, *np.flatnonzero(ns < EARLIEST_NS).tolist()})[:1]:
        raise cells.refuse(at, wanted)
    return ns


def _iso_times(cells: Cells) -> Any:
    times = np.zeros(len(cells), np.int64)
    for at, text in enumerate(cells.listed()):
        try:
            times[at] = clock.ns_of(text)
        except (ValueError, TypeError, AttributeError):
            raise cells.refuse(at, clock.WANTED) from None
    return pd.Series(times)
