"""vectorbt: the records of filled orders, the logs of every attempt, and what the portfolio held.

Any of these in a folder, each as ``.parquet``, ``.csv`` or ``.csv.gz``, with one column (asset):

- ``orders_readable`` (``pf.orders.records_readable``) or ``orders_records`` (``pf.orders.records``):
  the fills. ``Order Id`` is the id of the fill.
- ``logs_readable`` or ``logs_records`` (``pf.logs``, only with ``log=True``): one row an attempt. A
  filled one is the order of that ``Order Id``; one that was rejected, or ignored though it had a size
  and a price, is an order that ended rejected; one without is no order (the documented way to skip a
  bar), and is counted in ``unjudged.skipped``.
- ``assets`` and ``cash`` (``pf.assets()``, ``pf.cash()``): position and cash after each bar. Without
  them the logs say both; beside them the logs are held against them. The records know a bar by its
  number alone: they need these labels.

Nothing rests: an order is there for its own bar. A bar is known by its label, its start, and lasts
until the next one (the most common step); a fill is somewhere inside it. So an order was submitted
just before its bar, and its life is one bar (``ttl_ns``, where the profile leaves that open).

Limit: ``req_price``, moved by ``req_slippage`` as the engine moves it. Size: what was requested, as an
amount; a fill for less is the documented answer to too little cash, ``max_size`` or a granularity,
unless partial fills were forbidden, and is then the size. Without logs there are fills and no orders.

``fees`` (a rate) is ``fee_rate`` where it is the same in all logs, and there are no fixed fees.

All figures are binary floats. Fees, positions and cash are results of float arithmetic: where one
differs from what the fills make exactly by no more than that can have lost, it is taken for it.
Prices and sizes are freed from the noise of a few operations (``invariants.readers.floats``). Sizes
that a division made (all cash, a percentage) need more digits than a count of lots can have: they
are rounded to 15 of the largest one, orders and fills alike, and counted in ``unjudged.rounded``.

The tables: https://vectorbt.dev/api/portfolio/enums/ (order_dt, log_dt).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal, localcontext
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from invariants.readers.engine_run import Output, run_of
from invariants.readers.engine_table import EngineTable
from invariants.readers.floats import decimals_of
from invariants.readers.parameters import parameters_of
from invariants.readers.sources import Sources
from invariants.readers.tape import Tape
from invariants.readers.vectorbt_tables import (
    LABELS,
    LOG_NAMES,
    LOGS,
    ORDER_NAMES,
    ORDERS,
    SIDES,
    Attempt,
    Export,
    Sheet,
    files_of,
    series_of,
    table_of,
)
from simcore import InputError, Rules, Run
from simcore import pandas_later as pd
from simcore.frames import UNJUDGED
from simcore.run import Rejected
from simcore.units import EXACT

PROFILE = "vectorbt-bars"
SKIPPED, ROUNDED = f"{UNJUDGED}skipped", f"{UNJUDGED}rounded"
DIGITS, PLACES = 15, 12
"""Significant digits, and decimals, that a price or a size may need; more came out of a division."""

_ROUNDING = Context(prec=700)  # digits enough for any float
_EPSILON = Decimal(float(np.finfo(np.float64).eps))


def is_vectorbt(path: Path) -> bool:
    """Whether ``path`` is a table of orders or logs, or a folder with one."""
    files = files_of(path)
    return table_of(files, ORDERS, ORDER_NAMES) is not None or table_of(files, LOGS, LOG_NAMES) is not None


def read_vectorbt(
    path: str | Path, *, rules: Rules | str | Path | None = None, tape: Tape | Sources | None = None
) -> Run:
    """The run in the folder ``path``, or around that table. Raises ``InputError``."""
    given = Path(path)
    folder = given if given.is_dir() else given.parent
    beside = files_of(folder)
    orders = table_of(files_of(given), ORDERS, ORDER_NAMES) or table_of(beside, ORDERS, ORDER_NAMES)
    logs = table_of(files_of(given), LOGS, LOG_NAMES) or table_of(beside, LOGS, LOG_NAMES)
    if orders is None and logs is None:
        wanted = f"a table {' or '.join((*ORDERS, *LOGS))}"
        raise InputError(file=str(path), field="file", got="none of them", wanted=wanted)
    series = {name: found for name in LABELS if (found := series_of(beside, name)) is not None}
    filled = None if orders is None else Sheet(EngineTable.read(orders), ORDER_NAMES)
    logged = None if logs is None else Sheet(EngineTable.read(logs), LOG_NAMES)
    if filled is not None and logged is not None and len(filled) > len(logged) == 0:
        logged = None  # a portfolio without log=True has a table of logs, too
    export = Export(filled, logged, series, parameters_of(folder))
    return run_of(_output(export, folder), rules=rules, tape=tape)


class _Fill(NamedTuple):
    """An execution as it was exported."""

    row: int
    bar: int
    id: int
    side: int
    price: float
    size: float
    fee: float


def _fills(export: Export) -> list[_Fill]:
    """The executions: the order records, or without them what the logs say came of each attempt."""
    sheet = export.orders
    if sheet is None:
        filled = [a for a in export.attempts if a.status == "filled"]
        return [_Fill(a.row, a.bar, a.id, a.side, a.price, a.size, a.fee) for a in filled]
    rows = range(1, len(sheet) + 1)
    columns = (rows, sheet.bars(export.labels), sheet.wholes("id"), sheet.words("side", SIDES))
    amounts = (sheet.floats("price"), sheet.floats("size"), sheet.floats("fee"))
    return [_Fill(*values) for values in zip(*columns, *amounts, strict=True)]


def _told_otherwise(fills: list[_Fill], export: Export) -> Iterator[Rejected]:
    """The logs whose result is not what the order records have of the same order."""
    if export.orders is None or export.logs is None:
        return
    known = {fill.id: fill for fill in fills}
    for attempt in export.attempts:
        fill = known.get(attempt.id) if attempt.status == "filled" else None
        for name in ("side", "size", "price", "fee") if fill else ():
            got, had = getattr(attempt, name), getattr(fill, name)
            if np.isfinite(had) and got != had:
                wanted = f"{had}, as {export.orders.table.file} has of order {attempt.id}"
                yield Rejected("logs", export.logs.table.file, attempt.row, export.logs.names[name], got, wanted)
                break


def _once(fills: list[_Fill], file: str) -> tuple[list[_Fill], list[Rejected]]:
    """The fills without those that repeat an id."""
    seen: set[int] = set()
    kept: list[_Fill] = []
    repeated: list[Rejected] = []
    for fill in fills:
        if fill.id in seen:
            wanted = "an execution id never used before"
            repeated.append(Rejected("fills", file, fill.row, "id", fill.id, wanted))
            continue
        seen.add(fill.id)
        kept.append(fill)
    return kept, repeated


@dataclass(frozen=True, slots=True)
class _Grid:
    """One column of fills and one of orders, as decimals; what is not finite stays a float.

    ``error``: how far each may lie from what was exported; ``rounded``: how many do.
    """

    fills: list[Any]
    orders: list[Any]
    error: Decimal
    rounded: int

    @classmethod
    def of(cls, fills: Sequence[float], orders: Sequence[float]) -> _Grid:
        """The columns without what a few float operations added; where they need too many digits, rounded."""
        floats = np.array([*fills, *orders], dtype=np.float64)
        exact = decimals_of(floats)
        known = [value for value in exact if value.is_finite()]
        error, kept = Decimal(0), exact
        if max((_places(value) for value in known), default=0) > PLACES:
            largest = max((value.adjusted() for value in known if value), default=0)
            places = _fitting(largest)
            error = Decimal(5).scaleb(-places - 1)
            kept = [_rounded(value, places) if value.is_finite() else value for value in exact]
        rounded = sum(a != b for a, b in zip(kept, exact, strict=True) if a.is_finite())
        shown = [v if v.is_finite() else f for v, f in zip(kept, floats.tolist(), strict=True)]
        return cls(shown[: len(fills)], shown[len(fills) :], error, rounded)


def _fitting(largest: int) -> int:
    """The decimals that are left for numbers of which the largest has this exponent."""
    return min(max(DIGITS - 1 - largest, 0), PLACES)


def _short(value: Decimal) -> Decimal:
    """A figure that is wrong anyway, in no more digits than it needs to be seen."""
    return _rounded(value, _fitting(value.adjusted() if value else 0))


def _rounded(value: Decimal, places: int) -> Decimal:
    with localcontext(_ROUNDING):
        return round(value, places)


def _places(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


@dataclass(frozen=True, slots=True)
class _Book:
    """The fills and orders as decimals, and what they lead one to expect of the account.

    ``sound``: the fills of which every number is finite, as (bar, side, price, size, fee).
    """

    fills: list[_Fill]
    orders: list[Attempt]
    prices: _Grid
    sizes: _Grid
    fees: list[Any]

    @property
    def sound(self) -> list[tuple[int, int, Decimal, Decimal, Decimal]]:
        rows = zip(self.fills, self.prices.fills, self.sizes.fills, self.fees, strict=True)
        return [
            (f.bar, f.side, p, s, fee)
            for f, p, s, fee in rows
            if isinstance(p, Decimal) and isinstance(s, Decimal) and isinstance(fee, Decimal)
        ]

    @property
    def error(self) -> Decimal:
        """How far rounding may have moved the sum of all notionals."""
        return sum((_moved(self, p, s) for _, _, p, s, _ in self.sound), Decimal(0))


def _moved(book: _Book, price: Decimal, size: Decimal) -> Decimal:
    return 2 * (book.sizes.error * abs(price) + book.prices.error * abs(size))


def _book(fills: list[_Fill], export: Export) -> _Book:
    orders = [attempt for attempt in export.attempts if attempt.is_order]
    prices = _Grid.of([f.price for f in fills], [o.limit for o in orders])
    sizes = _Grid.of([f.size for f in fills], [o.order_size for o in orders])
    book = _Book(fills, orders, prices, sizes, [f.fee for f in fills])
    rate = _fee_rate(export).get("fee_rate")
    largest = max([abs(c) for c in _cash_figures(export)], default=Decimal(0))
    with localcontext(EXACT):
        rows = zip(fills, prices.fills, sizes.fills, strict=True)
        fees = [_fee(f.fee, p, s, rate, largest, book) for f, p, s in rows]
    return _Book(fills, orders, prices, sizes, fees)


def _fee(fee: float, price: Any, size: Any, rate: Decimal | None, largest: Decimal, book: _Book) -> Any:
    """The fee; the exact rate of the notional, where only float noise lies between."""
    if not np.isfinite(fee):
        return fee
    given = Decimal(str(fee))
    if rate is None or not isinstance(price, Decimal) or not isinstance(size, Decimal):
        return given
    due = rate * price * size
    noise = 8 * _EPSILON * max(largest, abs(price * size)) + abs(rate) * _moved(book, price, size)
    return due if abs(given - due) <= noise else given


def _output(export: Export, folder: Path) -> Output:
    source = export.orders or export.logs
    assert source is not None, "the caller found one of them"
    tables = [sheet.table for sheet in (export.orders, export.logs) if sheet is not None]
    tables += [series.table for series in export.series.values()]
    kept, repeated = _once(_fills(export), source.table.file)
    book = _book(kept, export)
    account = _account(book, export)
    shown = {"fills": source.table.file, **account.files}
    if export.logs is not None:
        shown |= {"orders": export.logs.table.file, "logs": export.logs.table.file}
    return Output(
        engine="vectorbt",
        version=export.parameters.version,
        name=export.parameters.variant or folder.name or "run",
        fills=_fill_frame(book, export),
        orders=_order_frame(book, export) if export.logs is not None else None,
        positions=account.positions,
        profile=PROFILE,
        dials={"ttl_ns": export.length_ns, **_fee_rate(export)},
        provenance=dict.fromkeys(("submit_ns", "end_ns"), "derived") if export.logs is not None else {},
        reported={**account.reported, **_counted(book, export)},
        last_event_ns=export.end_of(max(export.labels)) if export.labels else None,
        files=shown,
        inputs={**{table.file: table.sha256 for table in tables}, **export.parameters.inputs},
        rejected=(*repeated, *_told_otherwise(kept, export), *export.contradicted()),
        read={
            **({"logs": len(export.logs)} if export.logs is not None else {}),
            **{name: len(series.table) for name, series in export.series.items()},
        },
    )


def _fill_frame(book: _Book, export: Export) -> pd.DataFrame:
    rows = zip(book.fills, book.prices.fills, book.sizes.fills, book.fees, strict=True)
    columns = ("ns", "ns_to", "order_id", "side", "price", "size", "fee", "row")
    return _frame([(f.bar, export.end_of(f.bar), f.id, f.side, p, s, fee, f.row) for f, p, s, fee in rows], columns)


def _order_frame(book: _Book, export: Export) -> pd.DataFrame:
    rows = []
    for one, price, size in zip(book.orders, book.prices.orders, book.sizes.orders, strict=True):
        filled = one.status == "filled"
        name = one.id if filled else f"log {one.log}"
        # what is refused is refused at once; what is filled may be so until the bar ends
        end_ns = export.end_of(one.bar) if filled else one.bar - 1
        end = "filled" if filled else "rejected"
        rows.append((name, one.order_side, price, size, one.bar - 1, end_ns, end, one.row))
    return _frame(rows, ("order_id", "side", "price", "size", "submit_ns", "end_ns", "end", "row"))


def _frame(rows: list[tuple[Any, ...]], columns: tuple[str, ...]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(columns), dtype=object)
    whole = [name for name in columns if name in ("ns", "ns_to", "row") or name.endswith("_ns")]
    return frame.astype(dict.fromkeys(whole, "int64"))


def _fee_rate(export: Export) -> dict[str, Decimal]:
    """The one rate of all logs, where there are no fees beside it."""
    if export.logs is None:
        return {}
    rates, fixed = set(export.logs.floats("rate")), set(export.logs.floats("fixed"))
    if len(rates) != 1 or fixed != {0.0} or not abs(next(iter(rates))) <= 1:
        return {}
    return {"fee_rate": Decimal(str(next(iter(rates))))}


def _counted(book: _Book, export: Export) -> dict[str, int]:
    skipped = len(export.attempts) - len(book.orders)
    rounded = book.prices.rounded + book.sizes.rounded
    return {name: count for name, count in ((SKIPPED, skipped), (ROUNDED, rounded)) if count}


@dataclass(frozen=True, slots=True)
class _Account:
    """What the portfolio says that it held, freed from float noise, and the files that say it."""

    positions: pd.DataFrame | None = None
    reported: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


def _account(book: _Book, export: Export) -> _Account:
    samples, positions_file = _held(export)
    cash, initial, cash_file = _cash(book, export)
    reported: dict[str, Any] = {}
    frame = None
    if samples:
        clean = _positions(samples, book)
        ends = [(export.end_of(bar), value, row) for (row, bar, _), value in zip(samples, clean, strict=True)]
        frame = _frame(ends, ("ns", "position", "row"))
        reported["position"] = clean[-1]
    if cash is not None and initial is not None:
        reported |= {"cash": _settled_cash(cash, initial, book), "initial_cash": initial}
    files = {"positions": positions_file, "reported": cash_file or positions_file}
    return _Account(frame, reported, {name: file for name, file in files.items() if file})


def _held(export: Export) -> tuple[list[tuple[int, int, Decimal]], str]:
    """Row, bar and position after it: of ``assets``, else of the logs."""
    series = export.series.get("assets")
    if series is not None:
        return list(zip(range(1, len(series.times) + 1), series.times, series.figures, strict=True)), series.table.file
    if export.logs is None:
        return [], ""
    after = export.logs.floats("position_after")
    rows = [(a.row, a.bar, Decimal(str(p))) for a, p in zip(export.attempts, after, strict=True) if np.isfinite(p)]
    return rows, export.logs.table.file


def _positions(samples: list[tuple[int, int, Decimal]], book: _Book) -> list[Decimal]:
    """The positions, each the exact sum of the fills where only float noise lies between."""
    by_bar: defaultdict[int, Decimal] = defaultdict(Decimal)
    with localcontext(EXACT):
        for bar, side, _, size, _ in book.sound:
            by_bar[bar] += side * size
        bars = sorted(by_bar)
        sums = list(accumulate((by_bar[bar] for bar in bars), initial=Decimal(0)))
        largest = max((abs(value) for value in (*sums, *(v for _, _, v in samples))), default=Decimal(0))
        noise = (len(book.fills) + 4) * (_EPSILON * largest + book.sizes.error)
        exact = [sums[bisect_right(bars, bar)] for _, bar, _ in samples]
        return [sum_ if abs(v - sum_) <= noise else _short(v) for (_, _, v), sum_ in zip(samples, exact, strict=True)]


def _cash_figures(export: Export) -> list[Decimal]:
    """All figures of cash that were exported."""
    series = export.series.get("cash")
    if series is not None:
        return series.figures
    logs = export.logs
    after = [] if logs is None else [*logs.floats("cash_before")[:1], *logs.floats("cash_after")]
    return [Decimal(str(value)) for value in after if np.isfinite(value)]


def _cash(book: _Book, export: Export) -> tuple[Decimal | None, Decimal | None, str]:
    """The final cash, the initial one, and the file; None where they are not known."""
    series, logs = export.series.get("cash"), export.logs
    before = logs.floats("cash_before")[:1] if logs is not None else []
    initial = Decimal(str(before[0])) if before and np.isfinite(before[0]) else None
    if series is not None and series.figures:
        if initial is None and not any(fill.bar <= series.times[0] for fill in book.fills):
            initial = series.figures[0]
        return series.figures[-1], initial, series.table.file
    after = logs.floats("cash_after")[-1:] if logs is not None else []
    if logs is None or not after or not np.isfinite(after[0]):
        return None, initial, ""
    return Decimal(str(after[0])), initial, logs.table.file


def _settled_cash(cash: Decimal, initial: Decimal, book: _Book) -> Decimal:
    """The cash; the exact sum of what was paid, where only float noise lies between."""
    with localcontext(EXACT):
        paid = [side * price * size + fee for _, side, price, size, fee in book.sound]
        path = list(accumulate((-p for p in paid), initial=initial))
        noise = (3 * len(paid) + 4) * _EPSILON * max(abs(cash), *map(abs, path)) + book.error
        return path[-1] if abs(cash - path[-1]) <= noise else cash
