"""backtesting.py: the round trips of ``stats['_trades']``, and what lies beside them.

- ``trades``: ``stats['_trades']``. Each row is two fills: the entry leg of ``Size`` and the exit leg
  against it. A bar is labelled by its start and a fill lies somewhere inside its bar.
- ``equity_curve``: ``stats['_equity_curve']``; its labels are the bars, its last row the final equity.
- ``strategy_log`` (optional, the strategy writes it): ``ev`` (submit or cancel), ``t`` (the label of
  the bar on whose close the strategy acted), ``tag``, ``side``, ``qty``, ``limit``, ``pos``.
- ``stats`` (optional): the other figures, a name and a value a row.

Each as ``.parquet``, ``.csv`` or ``.csv.gz``; of one table in two formats Parquet is read.

The engine names the order (``Tag``) on the entry leg alone; ``backtestingpy_log`` says how the exit
legs find theirs in the log, or stay without. Legs of one order in one bar at one price are one fill:
the engine splits an order over the trades that it closes and opens. Without a log the run is its fills.

So it is beside a log that cannot be all orders, or has market orders, or stands beside stop-loss and
take-profit prices: an order here has one limit. ``backtestingpy_options`` says which options of ``Backtest``
make it so. ``meta.json`` may state each (``opt``: true or false); the orders of the log and the exits that
none of them explains are then counted as ``unjudged``.

``Commission`` is a sum over both legs; it is split in proportion to their notional. Equity is cash
once everything is closed, which the engine does with ``finalize_trades=True``; that is known from
``meta.json`` (``opt.finalize_trades``), or from an exit in the last bar that no order explains, or
from a log whose last position is what the trades add up to. ``Equity Final`` is then the reported
cash, freed from float noise below one ulp an addition. A trade that was left open is in no table of the
engine; a log that cannot show that there is none is set aside.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from invariants.readers.backtestingpy_log import LOG, Bars, Leg, Log, Table, log_of, matched, tag_of
from invariants.readers.backtestingpy_options import reasons_aside
from invariants.readers.binary_sums import decimals_of, fits_float, plain, settled
from invariants.readers.engine_run import Output, run_of
from invariants.readers.engine_table import EngineTable, find
from invariants.readers.floats import floats_of
from invariants.readers.parameters import parameters_of
from invariants.readers.peek import columns_of
from invariants.readers.sources import Sources
from invariants.readers.tables import SUFFIXES
from invariants.readers.tape import Tape
from simcore import InputError, Rules, Run
from simcore import pandas_later as pd
from simcore.frames import UNJUDGED
from simcore.run import Rejected

TRADES = ("Size", "EntryBar", "ExitBar", "EntryPrice", "ExitPrice", "PnL", "EntryTime", "ExitTime")
CURVE = ("Equity", "DrawdownPct", "DrawdownDuration")
FILES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "trades": (("trades",), TRADES),
    "equity_curve": (("equity_curve",), ("Equity",)),
    "strategy_log": (("strategy_log", "strategy_log_not_native"), LOG),
    "stats": (("stats",), ()),
}
"""Of each table the names that its file may have, and the columns that it must have."""

PROFILE = "backtestingpy-bars"
MONEY_DECIMALS = 12
"""Fees that need more decimals are no decimal amounts; cash is then not known exactly."""


def is_backtestingpy(path: Path) -> bool:
    """Whether ``path`` is a table of ``_trades``, or a folder with one."""
    files = [path / f"trades{suffix}" for suffix in SUFFIXES] if path.is_dir() else [path]
    return any(columns_of(file) >= set(TRADES) for file in files)


def read_backtestingpy(
    path: str | Path, *, rules: Rules | str | Path | None = None, tape: Tape | Sources | None = None
) -> Run:
    """The run in the folder ``path``, or in the folder of that table of trades. Raises ``InputError``."""
    files = _files(Path(path))
    return run_of(_output(Path(path), files, _bars(files["equity_curve"])), rules=rules, tape=tape)


def _files(path: Path) -> dict[str, Table]:
    """The tables in the folder, by what they are."""
    folder = path if path.is_dir() else path.parent
    found = {
        table: next((file for name in names if (file := find(folder, name))), None)
        for table, (names, _) in FILES.items()
    }
    if not path.is_dir():
        found["trades"] = path
    for table in ("trades", "equity_curve"):
        if found[table] is None:
            raise InputError(file=str(folder), field=table, got="nothing", wanted=f"{table}.parquet or {table}.csv")
    return {table: Table(EngineTable.read(file, need=FILES[table][1])) for table, file in found.items() if file}


def _bars(curve: Table) -> Bars:
    names = [name for name in curve.source.names() if name not in CURVE]
    if len(names) != 1:
        got = ", ".join(curve.columns)
        raise InputError(file=curve.file, field="columns", got=got, wanted="one column of times beside Equity")
    labels = [curve.instant(names[0], at) for at in range(len(curve))]
    steps = Counter(after - before for before, after in pairwise(labels))
    for at, (before, after) in enumerate(pairwise(labels), 1):
        if after <= before:
            raise curve.refused(names[0], at, "a later time than the bar before")
    if not steps:
        raise InputError(file=curve.file, field=names[0], got=f"{len(labels)} bars", wanted="two bars or more")
    return Bars(labels, steps.most_common(1)[0][0])


@dataclass(frozen=True, slots=True)
class Trip:
    """One row of trades: its two legs, or why it cannot be judged."""

    legs: tuple[Leg, ...] = ()
    wrong: Rejected | None = None


def _trips(trades: Table, bars: Bars) -> Iterator[Trip]:
    for at in range(len(trades)):
        yield _trip(trades, at, bars)


def _trip(trades: Table, at: int, bars: Bars) -> Trip:
    size, prices = trades.number("Size", at), [trades.number(f"{end}Price", at) for end in ("Entry", "Exit")]
    labels = [trades.instant(f"{end}Time", at) for end in ("Entry", "Exit")]
    if not size:
        return Trip(wrong=_wrong(trades, at, "Size", "a size other than 0"))
    for end, label in zip(("Entry", "Exit"), labels, strict=True):
        bar = trades.whole(f"{end}Bar", at)
        if not 0 <= bar < len(bars.labels) or bars.labels[bar] != label:
            return Trip(wrong=_wrong(trades, at, f"{end}Time", f"the label of bar {bar} in the equity curve"))
    if labels[1] < labels[0]:
        return Trip(wrong=_wrong(trades, at, "ExitTime", "no earlier than EntryTime"))
    paid = trades.cell("Commission", at)
    commission = None if paid is None else plain(trades.number("Commission", at))
    gross = size * (prices[1] - prices[0])
    profit = trades.number("PnL", at)
    if commission is not None and not _close(profit, gross - commission, abs(size) * sum(prices)):
        return Trip(
            wrong=_wrong(trades, at, "PnL", f"Size x (ExitPrice - EntryPrice) - Commission, {gross - commission}")
        )
    fees = _shares(commission, abs(size), prices)
    side, tag = 1 if size > 0 else -1, tag_of(trades.cell("Tag", at))
    return Trip(
        (
            Leg(at + 1, "entry", labels[0], side, abs(size), prices[0], fees[0], tag),
            Leg(at + 1, "exit", labels[1], -side, abs(size), prices[1], fees[1], None),
        )
    )


def _wrong(trades: Table, at: int, name: str, wanted: str) -> Rejected:
    return Rejected("trades", trades.file, at + 1, name, trades.cell(name, at), wanted)


def _close(value: Decimal, exact: Decimal, scale: Decimal) -> bool:
    """Equal but for the noise of a few float operations on numbers as large as ``scale``."""
    return abs(value - exact) <= Decimal("1e-14") * abs(scale) + Decimal("1e-12")


def _shares(commission: Decimal | None, size: Decimal, prices: Sequence[Decimal]) -> tuple[Decimal | None, ...]:
    """The commission of a round trip as fees of its two legs, in proportion to their notional."""
    if commission is None:
        return None, None
    both = size * sum(prices)
    first = plain(commission * size * prices[0] / both) if both else commission
    return first, commission - first


def _output(path: Path, files: Mapping[str, Table], bars: Bars) -> Output:
    trades, curve = files["trades"], files["equity_curve"]
    parameters = parameters_of(Path(curve.file).parent)
    trips = list(_trips(trades, bars))
    legs = [leg for trip in trips for leg in trip.legs]
    given = log_of(files["strategy_log"], trades) if "strategy_log" in files else None
    found = matched(legs, given, bars) if given else {}
    alone = sum(leg.label != bars.labels[-1] and _unexplained(leg, found) for leg in found)
    reasons = reasons_aside(given, legs, found, bars, parameters, _equity(curve)) if given else iter(())
    aside = next(reasons, "")
    log = None if aside else given
    names = found if log else {leg: leg.name for leg in legs}
    # the engine closes what is left after everything else that happens in its last bar
    legs.sort(key=lambda leg: (leg.label, _unexplained(leg, names)))
    fills = _fills(legs, names, bars)
    closing = log is not None and any(leg.label == bars.labels[-1] and _unexplained(leg, names) for leg in legs)
    closes = log is not None or parameters.flag("finalize_trades") is True
    reported = _reported(files, legs, len(fills), closes=closes)
    if given and not log:
        reported |= {
            f"{UNJUDGED}exits_without_order": Decimal(alone),
            f"{UNJUDGED}orders of the log, as {aside}": Decimal(len(given.orders)),
        }
    shown = {"fills": trades.file, "trades": trades.file, "reported": files.get("stats", curve).file}
    if log:
        shown |= dict.fromkeys(("orders", "positions", "strategy_log"), log.file)
    return Output(
        engine="backtesting.py",
        version=parameters.version,
        name=path.name if path.is_dir() else path.parent.name,
        fills=fills,
        orders=_orders(log, legs, names, bars) if log else None,
        positions=_positions(log, bars, closing=closing) if log else None,
        profile=PROFILE,
        provenance={"submit_ns": "derived" if log else "absent", "cancel_ns": "derived" if log else "absent"},
        reported=reported,
        end_ns=_end_ns(files.get("stats"), bars),
        last_event_ns=bars.last_ns(bars.labels[-1]),
        files=shown,
        inputs={table.file: table.source.sha256 for table in files.values()} | dict(parameters.inputs),
        rejected=(
            *(trip.wrong for trip in trips if trip.wrong),
            *(given.rejected if given else ()),
            *_contradicted(files.get("stats"), curve),
        ),
        read={name: len(files[name]) for name in ("trades", "strategy_log", "equity_curve", "stats") if name in files},
    )


def _equity(curve: Table) -> npt.NDArray[np.float64]:
    """The equity after each bar."""
    return floats_of(curve.source.frame, "Equity", file=curve.file)


def _unexplained(leg: Leg, names: Mapping[Leg, Any]) -> bool:
    """Whether it is an exit that no order explains."""
    return leg.part == "exit" and names[leg] == leg.name


def _fills(legs: Sequence[Leg], names: Mapping[Leg, Any], bars: Bars) -> pd.DataFrame:
    """The fills in order of time; legs of one order in one bar at one price are one."""
    joined: dict[tuple[Any, ...], list[Leg]] = {}
    for leg in legs:
        joined.setdefault((names[leg], leg.label, leg.side, leg.price), []).append(leg)
    rows = [
        (
            label,
            bars.last_ns(label),
            name,
            side,
            price,
            sum((leg.size for leg in parts), Decimal(0)),
            None if parts[0].fee is None else sum((leg.fee or Decimal(0) for leg in parts), Decimal(0)),
            parts[0].row,
        )
        for (name, label, side, price), parts in joined.items()
    ]
    return _frame(("ns", "ns_to", "order_id", "side", "price", "size", "fee", "row"), rows)


def _frame(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> pd.DataFrame:
    columns = zip(*rows, strict=True) if rows else [[] for _ in names]
    return pd.DataFrame({n: pd.Series(list(c), dtype=object) for n, c in zip(names, columns, strict=True)})


def _orders(log: Log, legs: Sequence[Leg], names: Mapping[Leg, Any], bars: Bars) -> pd.DataFrame:
    """The orders in the order of the log. One that was neither filled nor cancelled is open."""
    filled: dict[Any, Decimal] = defaultdict(Decimal)
    for leg in legs:
        filled[names[leg]] += leg.size
    rows = [
        (
            order.tag,
            order.side,
            order.price,
            order.size,
            bars.last_ns(order.label),
            None if order.cancel is None else bars.last_ns(order.cancel),
            "filled" if filled[order.tag] >= order.size else "open" if order.cancel is None else "cancelled",
            order.row,
        )
        for order in log.orders
    ]
    return _frame(("order_id", "side", "price", "size", "submit_ns", "cancel_ns", "end", "row"), rows)


def _positions(log: Log, bars: Bars, *, closing: bool) -> pd.DataFrame:
    """What the strategy saw at the close of each bar; not of a last bar that the engine then closed out in."""
    last = bars.labels[-1] if closing else None
    rows = [(bars.last_ns(label), size, row) for label, size, row in log.positions if label != last]
    return _frame(("ns", "position", "row"), rows)


def _end_ns(stats: Table | None, bars: Bars) -> int | None:
    """The last instant of the bar at which the engine says that the data ended."""
    places = _figures(stats)
    if stats is None or "End" not in places:
        return None
    return bars.last_ns(stats.instant(*places["End"]))


def _figures(stats: Table | None) -> dict[str, tuple[str, int]]:
    """Where each figure stands: the column and the row of its cell."""
    if stats is None:
        return {}
    names = stats.source.names()
    if len(names) != 2:
        got = ", ".join(names)
        raise InputError(file=stats.file, field="columns", got=got, wanted="two columns: a name and a value")
    name, value = names
    places: dict[str, tuple[str, int]] = {}
    for at, key in enumerate(stats.columns[name]):
        if str(key) in places:
            raise InputError(file=stats.file, row=at + 1, field=str(key), got="the figure twice", wanted="each once")
        places[str(key)] = (value, at)
    return places


def _said(stats: Table | None) -> dict[str, Decimal]:
    """The figures that are read."""
    places = {key: place for key, place in _figures(stats).items() if key in _FIGURES}
    return {key: stats.number(*place) for key, place in places.items() if stats and stats.cell(*place) is not None}


def _contradicted(stats: Table | None, curve: Table) -> Iterator[Rejected]:
    """The last equity of the curve, where the figures say another."""
    last = len(curve) - 1
    final = _said(stats).get("Equity Final [$]")
    if final is not None and plain(final) != plain(curve.number("Equity", last)):
        wanted = f"{final}, as {stats.file if stats else ''} says"
        yield Rejected("equity_curve", curve.file, last + 1, "Equity", curve.cell("Equity", last), wanted)


def _reported(files: Mapping[str, Table], legs: Sequence[Leg], fills: int, *, closes: bool) -> dict[str, Decimal]:
    """The figures that laws know, and those that none knows (``unjudged.``)."""
    said, curve = _said(files.get("stats")), files["equity_curve"]
    said.setdefault("Equity Final [$]", curve.number("Equity", len(curve) - 1))
    start = curve.number("Equity", 0)
    reported = {"initial_cash": start}
    if "# Trades" in said:
        # a round trip is two legs, less those that were put together
        reported["fills"] = 2 * said.pop("# Trades") - (len(legs) - fills)
    fees: dict[int, Decimal] = defaultdict(Decimal)
    for leg in legs:
        fees[leg.row] += leg.fee or 0
    money = decimals_of(*fees.values(), *(leg.price * leg.size for leg in legs), start)
    paid = sum((abs(fee) for fee in fees.values()), Decimal(0))
    exact = all(leg.fee is not None for leg in legs) and money <= MONEY_DECIMALS
    if exact and "Commissions [$]" in said and fits_float(paid, money):
        total = said.pop("Commissions [$]")
        reported["fees"] = settled(total, decimals=money, additions=len(legs), largest=paid)
    peak = max(start, *(curve.number("Equity", at) for at in range(len(curve))))
    if exact and closes and fits_float(peak, money):
        final = said.pop("Equity Final [$]")
        reported["cash"] = settled(final, decimals=money, additions=4 * len(legs), largest=peak)
    return reported | {UNJUDGED + key: value for key, value in said.items()}


_FIGURES = ("# Trades", "Commissions [$]", "Equity Final [$]")
