"""freqtrade: the result of a backtest, ``backtest-result-*.zip``, or the ``.json`` inside it.

Of a zip only the result is read, after all of its members were checked (names, count, sizes, ratio,
duplicates, links, encryption); nothing is unpacked to disk, and no pickle is ever loaded.

Each trade lists its filled orders; each is a fill here, a side of a round trip or an adjustment of
one. ``order_filled_timestamp`` is the start of the candle in which the order filled, of the detail
timeframe where there is one: the fill lies somewhere inside.

The result knows no limits, no submits and no orders that did not fill (timed-out orders are only
counted), and ``safe_price`` is the price at which an order filled: the run has fills and no orders.
``fee_open`` and ``fee_close`` are rates: the fee rate of the run where all are one, the fee of each
fill otherwise. Of the figures ``profit_total_abs``, ``final_balance``, ``starting_balance`` and
``total_trades`` are held against the fills, and so is ``total_volume``, which the documentation calls
the volume on the exchange; they are sums in floats of profits that the engine
rounds to 8 decimals, so they are freed of float noise, and judged only where 8 decimals are exact,
a float of their size holds the decimals, and no funding was paid. The rest is listed unjudged.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any

from invariants.readers.binary_sums import decimals_of, fits_float, number, settled
from invariants.readers.engine_run import Output, run_of
from invariants.readers.parameters import parameters_of
from invariants.readers.sources import Sources
from invariants.readers.tape import Tape
from invariants.strictjson import check_object
from simcore import InputError, Rules, Run
from simcore import pandas_later as pd
from simcore.frames import UNJUDGED
from simcore.run import Rejected
from simcore.units import INT64_MAX

PROFILE = "freqtrade-bars"
LARGEST_BYTES = 2**30
LARGEST_RATIO = 250
"""A result packs 10 to 20 times; a bomb a thousand times."""

MOST_MEMBERS = 1000
PROFIT_DECIMALS = 8
_STARTS = re.compile(rb'(\xef\xbb\xbf)?\s*\{\s*"(strategy|metadata)"\s*:\s*\{')
_TIMEFRAME = re.compile(r"(\d{1,4})([smhdw])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
LISTED = (
    "csum_min",
    "csum_max",
    "timedout_entry_orders",
    "timedout_exit_orders",
    "canceled_trade_entries",
    "canceled_entry_orders",
    "replaced_entry_orders",
    "rejected_signals",
)
"""Figures that no law knows; they are shown as such."""


def is_freqtrade(path: Path) -> bool:
    """Whether ``path`` is a result, packed or not, or a folder with results."""
    if path.is_dir():
        return any(_is_result(file) for file in sorted(path.iterdir())[:MOST_MEMBERS])
    return _is_result(path)


def _is_result(path: Path) -> bool:
    try:
        if path.name.endswith(".zip"):
            with zipfile.ZipFile(path) as archive:
                name = _result_name(archive.namelist())
                with archive.open(name or "") as member:
                    return _STARTS.match(member.read(4096)) is not None
        if path.name.endswith(".json"):
            with path.open("rb") as file:
                return _STARTS.match(file.read(4096)) is not None
    except (OSError, ValueError, KeyError, RuntimeError, NotImplementedError, EOFError, zipfile.BadZipFile, zlib.error):
        return False
    return False


def read_freqtrade(
    path: str | Path,
    *,
    rules: Rules | str | Path | None = None,
    tape: Tape | Sources | None = None,
    strategy: str | None = None,
    pair: str | None = None,
) -> Run:
    """The run of ``strategy`` on ``pair`` in the result ``path``, or in the one result of that folder.

    Both may be left out where the result has only one. Raises ``InputError``.
    """
    file = _file(Path(path))
    data = _bytes(file)
    packed = file.name.endswith(".zip")
    result = check_object(_parsed(_member(data, str(file)) if packed else data, str(file)), file=str(file))
    name, figures = _strategy(result, strategy, str(file))
    listed = figures.get("trades")
    if not isinstance(listed, list):
        raise InputError(file=str(file), field="trades", got=type(listed).__name__, wanted="a list of trades")
    trades = [_trade(values, row, str(file)) for row, values in enumerate(listed, 1)]
    chosen = _of_pair(trades, pair, str(file))
    return run_of(_output(file, hashlib.sha256(data).hexdigest(), name, figures, chosen, pair), rules=rules, tape=tape)


def _file(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = [file for file in sorted(path.iterdir())[:MOST_MEMBERS] if _is_result(file)]
    if len(found) != 1:
        got = ", ".join(file.name for file in found) or "nothing"
        raise InputError(file=str(path), field="result", got=got, wanted="one backtest-result-*.zip; name the file")
    return found[0]


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            got = f"{path.stat().st_size} bytes"
            raise InputError(file=str(path), field="file", got=got, wanted=f"at most {LARGEST_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        raise InputError(file=str(path), field="file", got=error.strerror, wanted="a readable file") from None


def _member(data: bytes, file: str) -> bytes:
    """The bytes of the result inside a zip, once every member is known to be harmless."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_members(archive.infolist(), file)
            name = _result_name(archive.namelist())
            if name is None:
                got = ", ".join(archive.namelist())
                raise InputError(file=file, field="zip", got=got, wanted="one NAME.json beside NAME_*")
            info = archive.getinfo(name)
            with archive.open(info) as stream:
                text = stream.read(info.file_size + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(file=file, field="zip", got=str(error), wanted="a whole zip file") from None
    if len(text) != info.file_size:
        got = f"{len(text)} bytes of {name}"
        raise InputError(file=file, field="zip", got=got, wanted=f"{info.file_size}, as its directory says")
    return text


def _check_members(members: Sequence[zipfile.ZipInfo], file: str) -> None:
    names = [member.filename for member in members]
    if len(names) > MOST_MEMBERS:
        raise InputError(file=file, field="zip", got=f"{len(names)} members", wanted=f"at most {MOST_MEMBERS}")
    for member in members:
        wrong = _wrong_with(member, names)
        if wrong:
            raise InputError(file=file, field="zip", got=member.filename, wanted=wrong)


def _wrong_with(member: zipfile.ZipInfo, names: Sequence[str]) -> str:
    """What a member should have been; empty where nothing is wrong with it."""
    name = member.filename
    checks = {
        "a name that appears once": names.count(name) > 1,
        "a name inside the archive": _leaves(name),
        "a regular file": stat.S_ISLNK(member.external_attr >> 16),
        "a member that is not encrypted": bool(member.flag_bits & 0x1),
        f"at most {LARGEST_BYTES} bytes": member.file_size > LARGEST_BYTES,
        f"packed at most {LARGEST_RATIO} times": member.file_size > LARGEST_RATIO * max(member.compress_size, 4096),
    }
    return next((wanted for wanted, wrong in checks.items() if wrong), "")


def _leaves(name: str) -> bool:
    """Whether a member's name points out of the folder in which one would unpack it."""
    path = PurePosixPath(name)
    return not name or path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name


def _result_name(names: Sequence[str]) -> str | None:
    """The result among the members: ``NAME.json``, where every other one is ``NAME_...``."""
    stems = [name.removesuffix(".json") for name in names if name.endswith(".json")]
    fitting = [s for s in stems if all(name == f"{s}.json" or name.startswith(f"{s}_") for name in names)]
    return f"{fitting[0]}.json" if len(fitting) == 1 else None


def _parsed(data: bytes, file: str) -> Any:
    """The JSON text; floats come as Decimal, and NaN too: freqtrade writes one where a ratio is none."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise InputError(file=file, field=twice[:80], got="the key twice", wanted="each key once")
        return values

    try:
        text = data.decode("utf-8-sig")
        return json.loads(text, parse_float=Decimal, parse_constant=Decimal, object_pairs_hook=unique)
    except InputError:
        raise
    except UnicodeDecodeError as error:
        raise InputError(file=file, field="text", got=f"byte {error.start}", wanted="UTF-8") from None
    except RecursionError:
        wanted = "JSON that a person could read"
        raise InputError(file=file, field="text", got="nesting without end", wanted=wanted) from None
    except (ValueError, ArithmeticError) as error:
        raise InputError(file=file, field="text", got=str(error), wanted="JSON") from None


def _strategy(result: Mapping[str, Any], wanted: str | None, file: str) -> tuple[str, dict[str, Any]]:
    """The figures of the strategy, by its name."""
    found = check_object(result.get("strategy"), file=file, field="strategy")
    name = wanted if wanted is not None else next(iter(found), "")
    if name not in found or (wanted is None and len(found) > 1):
        got = ", ".join(found) or "no strategy"
        raise InputError(file=file, field="strategy", got=got, wanted=wanted or "one strategy, or the name of one")
    return name, check_object(found[name], file=file, field=name)


@dataclass(frozen=True, slots=True)
class FilledOrder:
    """One of a trade's orders: ``ns`` is the start of the candle in which it filled."""

    row: int
    ns: int
    side: int
    price: Decimal
    size: Decimal
    is_entry: bool


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade of the result: its orders in their order, rates of fees, and what the engine says of it."""

    row: int
    pair: str
    is_short: bool
    is_open: bool
    fee_open: Decimal
    fee_close: Decimal
    profit: Decimal
    funding: Decimal
    opened_ns: int
    closed_ns: int | None
    open_rate: Decimal
    close_rate: Decimal | None
    orders: tuple[FilledOrder, ...]
    unfilled: int

    def rate(self, order: FilledOrder) -> Decimal:
        """The fee rate of one of its orders."""
        return self.fee_open if order.is_entry else self.fee_close

    def earned(self) -> Decimal:
        """What its fills and their fees add up to, with the funding."""
        cash = (-o.side * o.price * o.size - self.rate(o) * o.price * o.size for o in self.orders)
        return sum(cash, self.funding)

    def wrong(self, file: str) -> Rejected | None:
        """The row that cannot be judged, with the reason; None where it can be."""
        for field, got, wanted, wrong in self._checks():
            if wrong:
                return Rejected("trades", file, self.row, field, str(got), wanted)
        return None

    def _checks(self) -> Iterator[tuple[str, Any, str, bool]]:
        """What its fields must be to each other: the field, its value, what was wanted, whether it is wrong."""
        entries, exits = [o for o in self.orders if o.is_entry], [o for o in self.orders if not o.is_entry]
        direction = -1 if self.is_short else 1
        turned = [o for o in self.orders if o.side != (direction if o.is_entry else -direction)]
        yield "ft_order_side", [o.side for o in turned], "the side of its entry or exit", bool(turned)
        first, last = min((o.ns for o in entries), default=None), max((o.ns for o in exits), default=None)
        yield "open_timestamp", self.opened_ns // 10**6, "that of its first entry", self.opened_ns != first
        closed = None if self.closed_ns is None else self.closed_ns // 10**6
        yield "close_timestamp", closed, "that of its last exit", not self.is_open and self.closed_ns != last
        for name, rate, legs in (("open_rate", self.open_rate, entries), ("close_rate", self.close_rate, exits)):
            # of several orders it is an average, rounded to the price grid
            yield name, rate, "the price of its order", len(legs) == 1 and rate not in (None, legs[0].price)
        left = sum((o.size for o in entries), Decimal(0)) - sum((o.size for o in exits), Decimal(0))
        wanted = "more in the entries than in the exits" if self.is_open else "as much in the exits as in the entries"
        yield "amount", left, wanted, left < 0 or (left > 0) is not self.is_open
        scale = sum((o.price * o.size for o in self.orders), Decimal(0))
        noise = Decimal("1.1e-8") * len(self.orders) + Decimal("1e-13") * scale
        off = abs(self.profit - self.earned()) > noise
        wanted = f"{self.earned():f}, the sum of its orders and fees"
        yield "profit_abs", self.profit, wanted, off and not self.is_open


class _Values:
    """The values of one JSON object, with their place for errors."""

    def __init__(self, values: Any, row: int, file: str) -> None:
        self.given, self.row, self.file = check_object(values, file=file, row=row, field="trades"), row, file

    def refused(self, name: str, wanted: str) -> InputError:
        got = self.given.get(name, "nothing")
        return InputError(file=self.file, row=self.row, field=name, got=got, wanted=wanted)

    def number(self, name: str) -> Decimal:
        return number(self.given.get(name), file=self.file, row=self.row, field=name)

    def flag(self, name: str) -> bool:
        value = self.given.get(name, False)
        if not isinstance(value, bool):
            raise self.refused(name, "true or false")
        return value

    def text(self, name: str) -> str:
        value = self.given.get(name)
        if not isinstance(value, str) or not value:
            raise self.refused(name, "a text")
        return value

    def ns(self, name: str) -> int:
        value = self.given.get(name)
        # bounded first: 1e999999999 is a whole number of a gigabyte
        if isinstance(value, Decimal) and 0 <= value <= INT64_MAX and value == value.to_integral_value():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= INT64_MAX // 10**6:
            raise self.refused(name, "whole milliseconds since 1970")
        return value * 10**6


def _trade(values: Any, row: int, file: str) -> Trade:
    trade = _Values(values, row, file)
    listed = trade.given.get("orders")
    if not isinstance(listed, list):
        raise trade.refused("orders", "a list of orders")
    orders = [_Values(order, row, file) for order in listed]
    filled = [order for order in orders if order.given.get("order_filled_timestamp") is not None]
    return Trade(
        row,
        trade.text("pair"),
        trade.flag("is_short"),
        trade.flag("is_open"),
        trade.number("fee_open"),
        trade.number("fee_close"),
        trade.number("profit_abs") if trade.given.get("profit_abs") is not None else Decimal(0),
        trade.number("funding_fees") if trade.given.get("funding_fees") is not None else Decimal(0),
        trade.ns("open_timestamp"),
        None if trade.flag("is_open") else trade.ns("close_timestamp"),
        trade.number("open_rate"),
        None if trade.given.get("close_rate") is None else trade.number("close_rate"),
        tuple(_order(order, row) for order in filled),
        len(orders) - len(filled),
    )


def _order(values: _Values, row: int) -> FilledOrder:
    side = {"buy": 1, "sell": -1}.get(values.text("ft_order_side"))
    if side is None:
        raise values.refused("ft_order_side", "buy or sell")
    if "ft_is_entry" not in values.given:
        raise values.refused("ft_is_entry", "true or false")
    price, size = values.number("safe_price"), values.number("amount")
    return FilledOrder(row, values.ns("order_filled_timestamp"), side, price, size, values.flag("ft_is_entry"))


def _of_pair(trades: Sequence[Trade], pair: str | None, file: str) -> list[Trade]:
    pairs = list(dict.fromkeys(trade.pair for trade in trades))
    if (pair is None and len(pairs) > 1) or (pair is not None and pair not in pairs):
        got = ", ".join(pairs) or "no trades"
        raise InputError(file=file, field="pair", got=got, wanted=pair or "one pair, or the name of one")
    return [trade for trade in trades if pair in (None, trade.pair)]


def _length_ns(figures: Mapping[str, Any], file: str) -> int:
    """The length of the candles in which orders fill."""
    frame = figures.get("timeframe_detail") or figures.get("timeframe")
    found = _TIMEFRAME.fullmatch(frame) if isinstance(frame, str) else None
    if found is None or int(found[1]) == 0:
        raise InputError(file=file, field="timeframe", got=frame, wanted="minutes, hours, days or weeks, as 5m")
    return int(found[1]) * _SECONDS[found[2]] * 10**9


def _output(
    file: Path, digest: str, name: str, figures: Mapping[str, Any], trades: Sequence[Trade], pair: str | None
) -> Output:
    length_ns = _length_ns(figures, str(file))
    wrong = {trade.row: found for trade in trades if (found := trade.wrong(str(file)))}
    kept = [trade for trade in trades if trade.row not in wrong]
    rates = {trade.rate(order) for trade in kept for order in trade.orders}
    fills = _fills(kept, length_ns, with_fees=len(rates) > 1)
    parameters = parameters_of(file.parent)
    return Output(
        engine="freqtrade",
        version=parameters.version if parameters.engine.casefold() == "freqtrade" else "",
        name=f"{file.stem} {name}",
        fills=fills,
        profile=PROFILE,
        dials={"fee_rate": next(iter(rates))} if len(rates) == 1 else {},
        provenance=dict.fromkeys(("submit_ns", "live_ns", "cancel_ns", "end_ns"), "absent"),
        reported=dict(_reported(figures, kept, str(file), every=pair is None)),
        files=dict.fromkeys(("fills", "trades", "reported"), str(file)),
        inputs={str(file): digest, **parameters.inputs},
        rejected=tuple(wrong.values()),
        read={"trades": len(trades)},
    )


def _fills(trades: Sequence[Trade], length_ns: int, *, with_fees: bool) -> pd.DataFrame:
    """One fill an order, in order of time; a fee each where the rates differ."""
    orders = sorted(((order, trade, k) for trade in trades for k, order in enumerate(trade.orders, 1)),
                    key=lambda found: found[0].ns)  # fmt: skip
    columns: dict[str, list[Any]] = {
        "ns": [order.ns for order, _, _ in orders],
        "ns_to": [order.ns + length_ns - 1 for order, _, _ in orders],
        "order_id": [f"order {k} of trade {trade.row}" for _, trade, k in orders],
        "side": [order.side for order, _, _ in orders],
        "price": [order.price for order, _, _ in orders],
        "size": [order.size for order, _, _ in orders],
        "row": [trade.row for _, trade, _ in orders],
    }
    if with_fees:
        columns["fee"] = [trade.rate(order) * order.price * order.size for order, trade, _ in orders]
    return pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})


def _reported(
    figures: Mapping[str, Any], trades: Sequence[Trade], file: str, *, every: bool
) -> Iterator[tuple[str, Decimal]]:
    """Figures under the names that laws know, the rest unjudged; figures speak of all pairs together."""

    def figure(name: str) -> Decimal | None:
        return None if figures.get(name) is None else number(figures[name], file=file, row=None, field=name)

    for name in LISTED:
        value = figure(name)
        if value is not None:
            yield UNJUDGED + name, value
    waiting = sum(trade.unfilled for trade in trades)
    if waiting:
        yield UNJUDGED + "orders_not_filled", Decimal(waiting)
    money = {name: figure(name) for name in ("starting_balance", "profit_total_abs", "final_balance", "total_volume")}
    count = figure("total_trades")
    if every and count is not None:
        # a trade is an entry and an exit; what it has more of, its position was adjusted by
        yield "fills", 2 * count + sum(len(trade.orders) - 2 for trade in trades)
    exact = every and all(_is_exact(trade) for trade in trades)
    if exact and not any(trade.is_open for trade in trades):
        yield "position", Decimal(0)
    gains, start = sum((abs(trade.profit) for trade in trades), Decimal(0)), money["starting_balance"] or Decimal(0)
    places = max((_places(o) for trade in trades for o in trade.orders), default=0)
    rated = max((_places(o) + decimals_of(trade.rate(o)) for trade in trades for o in trade.orders), default=0)
    earned = exact and not any(_is_rounded(trade) for trade in trades)
    for name, mine, known, decimals, largest in (
        ("starting_balance", "initial_cash", exact, rated, Decimal(0)),
        ("profit_total_abs", "pnl", earned, rated, gains),
        ("final_balance", "cash", earned, rated, start + gains),
        ("total_volume", "notional", exact, places, money["total_volume"] or Decimal(0)),
    ):
        value = money[name]
        if value is not None:
            clean = settled(value, decimals=decimals, additions=len(trades), largest=largest)
            yield (mine if known and fits_float(largest, decimals) else UNJUDGED + name), clean


def _places(order: FilledOrder) -> int:
    """The decimals of an order's notional."""
    return decimals_of(order.price) + decimals_of(order.size)


def _is_exact(trade: Trade) -> bool:
    """Whether 8 decimals hold its profit, which then is that of its fills."""
    needs = (_places(order) + decimals_of(trade.rate(order)) for order in trade.orders)
    return not trade.is_open and not trade.funding and max(needs, default=0) <= PROFIT_DECIMALS


def _is_rounded(trade: Trade) -> bool:
    """Whether its profit is that of an average price, as that of a position that was adjusted may be."""
    return round(trade.profit, PROFIT_DECIMALS) != round(trade.earned(), PROFIT_DECIMALS)
