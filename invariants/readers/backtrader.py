"""backtrader: the logs that a strategy keeps, the Transactions analyzer, and the WriterFile.

In one folder, each table as ``.parquet``, ``.csv`` or ``.csv.gz`` (Parquet, where there are two):

- ``exbits``: one row an execution, from ``broker.orders[*].executed.exbits``: ``ref``, ``i`` (its
  place among those of the order), ``dt``, ``size`` (signed), ``price``; optionally ``comm``, ``psize``;
- ``notify_order``: one row a notification (``invariants.readers.backtrader_log`` names the columns);
- ``transactions``: the analyzer's rows. They are no executions (it adds up those of one bar), so
  they are held against the executions as totals that the engine reports;
- ``writer.csv``: the WriterFile; its cash and value at the last bar are held against the fills.

With the WriterFile alone the run has no orders and no fills, only totals. With ``exbits`` alone it
has fills and no orders. ``meta.json`` beside them may state ``opt.bar_seconds``, ``opt.bar_label``,
``opt.commission`` (the rate), ``opt.filler`` (true where a filler bounds executions by volume, which leaves
the sizing undeclared; a notification of a part says so, too), and ``opt.slip_perc`` or ``opt.slip_fixed``,
which leave the pricing undeclared. Cash is that of stocks: no margin, no multiplier.

Orders of another ``exectype`` than Limit (market, stop, ...) have no limit that could be judged, and those
with a ``parent`` (of a bracket) wait until it is filled: they and their executions are left out and
counted as ``unjudged``, the position is taken less what they made of it, and figures of the whole
account are ``unjudged``, too.

Figures that ``meta.json`` may state are held against the rows: ``exbits`` (executions), ``final_pos``,
``orders`` (of the broker; those of the last bar are never told to ``notify_order``), ``notifs`` and
``tx`` (rows of the logs), ``final_value`` (the WriterFile's last value).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from invariants.readers.backtrader_feed import Feed
from invariants.readers.backtrader_log import EXECUTED, NOTIFIED, Executions, Orders, amounts_of, fills_of, orders_of
from invariants.readers.backtrader_writer import Writer, is_writer, read_writer
from invariants.readers.binary_sums import decimals_of, settled
from invariants.readers.engine_run import Output, run_of
from invariants.readers.engine_table import EngineTable, find, signed
from invariants.readers.parameters import Parameters, parameters_of, with_claims
from invariants.readers.peek import columns_of
from invariants.readers.sources import Sources
from invariants.readers.tables import SUFFIXES
from invariants.readers.tape import Tape
from invariants.readers.totals import with_others
from simcore import InputError, Rules, Run
from simcore import pandas_later as pd
from simcore.frames import UNJUDGED, no_fills
from simcore.run import Rejected

TRADED = ("date", "amount", "price", "sid", "symbol", "value")
MONEY_DECIMALS = 12
"""Fees that need more decimals are no decimal amounts; cash is then not known exactly."""
VALUE_DIGITS = 12
"""Significant digits to which the account's value is held, a sum of binary floats."""
_ADDITIONS = 4
"""An execution may close and open: each moves cash by its notional and by its fee."""


def is_backtrader(path: Path) -> bool:
    """Whether ``path`` is a folder with one of the logs or a WriterFile, or such a file. Never raises."""
    if path.is_dir():
        return any(kind_of(file) for name in ("exbits", "notify_order", "writer") if (file := find(path, name)))
    return bool(kind_of(path))


def kind_of(path: Path) -> str:
    """Which of the tables a file is, by its content; empty where it is none of them. Never raises."""
    if not path.name.endswith(SUFFIXES) or not path.is_file():
        return ""
    names = columns_of(path)
    for kind, needed in (("notify_order", NOTIFIED), ("exbits", EXECUTED)):
        if names.issuperset(needed):
            return kind
    return "writer" if is_writer(path) else ""


@dataclass(frozen=True, eq=False, slots=True)
class _Files:
    """What stands in the folder; None for what does not."""

    bits: EngineTable | None
    log: EngineTable | None
    traded: EngineTable | None
    writer: Writer | None

    def all(self) -> tuple[EngineTable | Writer, ...]:
        return tuple(f for f in (self.bits, self.log, self.traded, self.writer) if f is not None)

    def labels(self) -> list[int]:
        """Every time of the output that is the label of a bar or tick."""
        found = [] if self.writer is None else list(self.writer.labels)
        if self.log is not None:
            found += self.log.times("seen") + self.log.times("created_dt")
        return found + ([] if self.bits is None else self.bits.times("dt"))


def read_backtrader(
    path: str | Path, *, rules: Rules | str | Path | None = None, tape: Tape | Sources | None = None
) -> Run:
    """The run in the folder ``path``, or in the folder of that file. Raises ``InputError``."""
    given = Path(path)
    folder = given if given.is_dir() else given.parent
    parameters, files = parameters_of(folder), _files(given, folder)
    feed = Feed.of(files.labels(), parameters)
    orders, done = _told(files, feed)
    run = run_of(_output(folder.name, files, orders, done, feed, parameters), rules=rules, tape=tape)
    if files.bits is None:
        return replace(run, read={table: count for table, count in run.read.items() if table != "fills"})
    if rules is not None:
        return run
    # by default volume is ignored, so somebody set a filler, and which one no file says
    filler = {"sizing"} if parameters.flag("filler") or (orders is not None and orders.partial) else set()
    slips = any(parameters.number(parameters.options, name) for name in ("slip_perc", "slip_fixed"))
    undeclared = run.rules.undeclared | filler | ({"pricing"} if slips else set())
    return replace(run, rules=replace(run.rules, undeclared=undeclared))


def _told(files: _Files, feed: Feed) -> tuple[Orders | None, Executions]:
    """The orders and the executions: their sizes are freed from the noise of floats together, or not at all."""
    if files.bits is None:
        return None, Executions(no_fills(), None)
    if files.log is None:
        [sizes] = amounts_of((files.bits, "size"))
        return None, fills_of(files.bits, sizes, feed)
    sizes, asked = amounts_of((files.bits, "size"), (files.log, "created_size"))
    orders = orders_of(files.log, asked, feed)
    return orders, fills_of(files.bits, sizes, feed, orders.others)


def _files(given: Path, folder: Path) -> _Files:
    paths = {stem: find(folder, stem) for stem in ("exbits", "notify_order", "transactions", "writer")}
    if not given.is_dir() and kind_of(given):
        paths[kind_of(given)] = given
    bits, log, traded, writer = paths.values()
    if bits is None and (log is not None or writer is None):
        raise InputError(file=str(folder), field="exbits", got="nothing", wanted="exbits.parquet or exbits.csv")
    return _Files(
        _table(bits, EXECUTED),
        _table(log, NOTIFIED),
        _table(traded, TRADED),
        None if writer is None else read_writer(writer),
    )


def _table(path: Path | None, need: tuple[str, ...]) -> EngineTable | None:
    return None if path is None else EngineTable.read(path, need=need)


def _output(
    name: str, files: _Files, orders: Orders | None, done: Executions, feed: Feed, parameters: Parameters
) -> Output:
    others = {} if orders is None else orders.others
    fills = done.frame
    totals, doubled = ({}, ()) if files.traded is None else _transactions(files.traded)
    totals |= {} if files.writer is None else _account(files.writer, fills, feed)
    if orders is not None and orders.fees is not None:
        totals["fees"] = orders.fees
    totals = with_claims(totals, *_claims(files, done, orders, parameters))
    if done.residues:
        totals[f"{UNJUDGED}executions of float noise"] = Decimal(done.residues)
    refs = () if files.bits is None else files.bits.wholes("ref")
    totals = with_others(totals, others.values(), (others[ref] for ref in refs if ref in others), judged=("fees",))
    stamp = "derived" if feed.bar_ns or feed.error_ns else "native"
    last_ns = max(map(feed.last, files.labels()), default=None)
    return Output(
        engine="backtrader",
        version=parameters.version,
        name=name,
        fills=fills,
        orders=None if orders is None else orders.frame,
        positions=done.positions,
        profile="backtrader-bars" if feed.bar_ns else "backtrader-ticks",
        dials=_dials(parameters),
        provenance={}
        if orders is None
        else {"submit_ns": stamp, "live_ns": "absent", "cancel_ns": stamp, "end_ns": stamp},
        reported=totals,
        last_event_ns=last_ns,
        files=_shown(files, parameters),
        inputs={file.file: file.sha256 for file in files.all()} | dict(parameters.inputs),
        rejected=(
            *(() if orders is None else orders.rejected),
            *done.rejected,
            *doubled,
            *_contradicted(files, parameters),
        ),
        read=_read(files),
    )


def _dials(parameters: Parameters) -> dict[str, Any]:
    rate = parameters.options.get("commission")
    return {} if rate is None else {"fee_rate": rate}


def _claims(
    files: _Files, done: Executions, orders: Orders | None, parameters: Parameters
) -> tuple[dict[str, Decimal | None], dict[str, Decimal | int]]:
    """Totals that the parameters state, and what the rows have of the same."""
    claims: dict[str, Decimal | None] = {}
    counted: dict[str, Decimal | int] = {}
    if files.bits is not None:
        claims |= {name: parameters.number(parameters.values, key) for name, key in _STATED.items()}
        claims["fills"] = None if claims["fills"] is None else claims["fills"] - done.residues
        sizes = [side * size for side, size in zip(done.frame["side"], done.frame["size"], strict=True)]
        counted["fills"] = len(files.bits) - done.residues
        if all(isinstance(size, Decimal) for size in sizes):
            counted["position"] = sum(sizes, Decimal(0))
    if orders is not None:
        told = len(orders.frame)
        sent = parameters.number(parameters.values, "orders")
        untold = sent is not None and sent > told and _follow(orders.frame["order_id"].tolist())
        claims[f"{UNJUDGED}submits" if untold else "submits"] = sent
        counted["submits"] = told
    return claims, counted


_STATED = {"fills": "exbits", "position": "final_pos"}


def _follow(refs: list[int]) -> bool:
    """Whether no order is missing between the first and the last: the engine numbers them one by one."""
    return not refs or max(refs) - min(refs) + 1 == len(set(refs))


def _contradicted(files: _Files, parameters: Parameters) -> tuple[Rejected, ...]:
    """The parameters, where they state other counts than there are rows, or another value at the end."""
    found: list[Rejected] = []
    for name, table in (("notifs", files.log), ("tx", files.traded)):
        if table is not None:
            stated = parameters.number(parameters.values, name)
            found += parameters.contradicted(name, stated, len(table), f"the rows of {table.file}")
    stated = parameters.number(parameters.values, "final_value")
    if stated is not None and files.writer is not None and files.writer.value:
        last = files.writer.value[-1]
        near = abs(stated - last) <= Decimal(10) ** -VALUE_DIGITS * abs(last)
        found += parameters.contradicted("final_value", last if near else stated, last, f"as {files.writer.file} ends")
    return tuple(found)


def _shown(files: _Files, parameters: Parameters) -> dict[str, str]:
    shown = {"orders": files.log, "fills": files.bits, "positions": files.bits}
    names = {table: file.file for table, file in shown.items() if file is not None}
    reported = [*(file.file for file in (files.traded, files.writer) if file is not None), *parameters.inputs]
    return names | ({"reported": " and ".join(reported)} if reported else {})


def _read(files: _Files) -> dict[str, int]:
    folded = {"order_events": files.log, "transactions": files.traded}
    counts = {table: len(file) for table, file in folded.items() if file is not None}
    return counts | ({} if files.writer is None else {"bars": len(files.writer.labels)})


def _transactions(table: EngineTable) -> tuple[dict[str, Any], tuple[Rejected, ...]]:
    """The analyzer's totals: its rows as fills, their sizes as turnover, their sum as position."""
    symbols = sorted({str(symbol) for symbol in table.listed("symbol")})
    prices, values = table.numbers("price"), table.numbers("value")
    if len(symbols) > 1:
        raise InputError(file=table.file, field="symbol", got=", ".join(symbols[:3]), wanted="one instrument")
    seen: set[int] = set()
    rejected, kept = [], []
    [amounts] = amounts_of((table, "amount"))
    for row, (at, amount) in enumerate(zip(table.times("date"), amounts, strict=True), 1):
        if not isinstance(amount, Decimal):
            raise table.refused("amount", row, amount, "a finite number")
        if at in seen:
            wanted = "a date never used before: the analyzer keeps one row for each"
            rejected.append(Rejected("transactions", table.file, row, "date", at, wanted))
            continue
        seen.add(at)
        kept.append(amount)
        price, value = prices[row - 1], values[row - 1]
        if not _is_value(value, amount, price):
            wanted = f"-amount x price, which are {amount} and {price}"
            rejected.append(Rejected("transactions", table.file, row, "value", value, wanted))
    sides = [signed(amount)[0] for amount in kept]
    totals = {
        "fills": len(kept),
        "buys": sides.count(1),
        "sells": sides.count(-1),
        "turnover": sum(map(abs, kept), Decimal(0)),
        "position": sum(kept, Decimal(0)),
    }
    return totals, tuple(rejected)


def _is_value(value: Any, amount: Decimal, price: Any) -> bool:
    """Whether the analyzer's value is that of its amount and price, a product of floats."""
    if not all(isinstance(number, Decimal) and number.is_finite() for number in (value, price)):
        return False
    due = -amount * price
    return bool(abs(value - due) <= abs(due).scaleb(-VALUE_DIGITS))


def _account(writer: Writer, fills: pd.DataFrame, feed: Feed) -> dict[str, Any]:
    """Cash at the first and the last bar, the gain in value, the last close, and how many bars have arrows.

    No law sees them where the last bar that was written ends before the last fill.

    Cash and value are running sums in binary floats: they are put on the decimals that the fills
    need, where noise explains the difference; where it could explain any difference, no law sees them.
    """
    totals: dict[str, Any] = {f"{UNJUDGED}bars with {arrow} arrows": Decimal(n) for arrow, n in writer.arrows.items()}
    if not writer.labels:
        return totals
    decimals = _money_decimals(fills)
    additions = _ADDITIONS * len(fills)
    largest = max(map(abs, (*writer.cash, *writer.value)))
    last = (writer.cash[-1], writer.value[-1])
    if len(fills) and fills["ns"].iloc[-1] > max(map(feed.last, writer.labels)):
        # cerebro.runstop() ends the last bar before it is written, and after its orders were executed
        figures = {"initial_cash": writer.cash[0], "cash": last[0], "pnl": last[1] - writer.value[0]}
        return totals | {f"{UNJUDGED}{name}": figure for name, figure in figures.items()}
    cash, value = (settled(v, decimals=decimals, additions=additions, largest=largest) for v in last)
    figures = {"initial_cash": writer.cash[0], "cash": cash, "pnl": value - writer.value[0]}
    # each addition is off by at most half a unit of the last place of its result
    noise = additions * Decimal(math.ulp(float(largest))) / 2
    if decimals > MONEY_DECIMALS or noise * 2 > Decimal(1).scaleb(-decimals):
        return totals | {f"{UNJUDGED}{name}": figure for name, figure in figures.items()}
    return totals | figures | {"mark_price": writer.close[-1]}


def _money_decimals(fills: pd.DataFrame) -> int:
    """How many decimals the notional and the fee of each fill need."""
    if not len(fills):
        return 0
    known: Mapping[str, list[Decimal]] = {
        name: [value for value in fills[name] if isinstance(value, Decimal) and value.is_finite()]
        for name in ("price", "size", "fee")
    }
    return max(decimals_of(*known["price"]) + decimals_of(*known["size"]), decimals_of(*known["fee"]))
