"""``python tests/benchmarks/long_run.py DIR [--days N]``: an honest run of N days, as large as the origin's.

One synthetic day of the demo's maker with 124,302 orders, written again and again: what a day does not send by
itself is sent beside the market, where no trade comes. A day ends by going back to the position that it began
with, so that every day after it is the same. Times, ids and places on the tape move on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tomli_w

sys.path[:0] = [str(Path(__file__).parents[2])]

from invariants.demo import tape
from invariants.demo.maker import Maker, run_maker
from invariants.readers.bundle_writer import head_dict, tables_of
from invariants.splitting.carrying import joined
from simcore import Rules
from simcore.run import ABSENT, EndState, Orders, Run, counted, objects

DAY_NS = 86_460_000_000_000
"""A day, and a minute in which it comes to rest."""

ORDERS_A_DAY = 124_302
ROWS_A_GROUP = 2**20
_SUMS = ("fills", "buys", "sells", "submits", "cancels", "markers", "trades", "turnover", "fees")
_TIMES = ("ns", "ns_to", "submit_ns", "live_ns", "cancel_ns", "end_ns")


def one_day() -> Run:
    """A day that ends with the position that it began with."""
    rules = Rules.load("origin", instrument=tape.INSTRUMENT)
    run = run_maker(tape.day(), rules, tape.INSTRUMENT, Maker(min_interval_ns=0, offset_bps=Decimal("0.8")))
    run = _at_rest(run)
    return _told(_with_quiet_orders(run))


def _at_rest(run: Run) -> Run:
    """The run and one last order, filled by one last trade, that undoes what the day did to the position."""
    moved = int((run.fills.side * run.fills.size_lots).sum())
    if not moved:
        return run
    side, size, price = -int(np.sign(moved)), abs(moved), int(run.trades.price_ticks[-1])
    sent_ns = int(max(run.trades.ns[-1], run.orders.submit_ns[-1])) + 10_000_000_000
    fill_ns, seq = sent_ns + 1_000_000_000, int(run.trades.seq.max(initial=0)) + len(run.tops) + 1
    order, name = len(run.orders), 10**9
    row = len(run.positions) + 1
    return replace(
        run,
        trades=_more(run.trades, ns=fill_ns, price_ticks=price, size_lots=size, aggressor=-side, seq=seq, row=seq + 1),
        orders=_more(
            run.orders, order_id=name, side=side, price_ticks=price, size_lots=size, submit_ns=sent_ns,
            live_ns=ABSENT, cancel_ns=ABSENT, end_ns=fill_ns, end=EndState.FILLED, row=order + 1,
        ),
        fills=_more(
            run.fills, ns=fill_ns, ns_to=fill_ns, order=order, order_id=name, side=side, price_ticks=price,
            size_lots=size, trade_seq=seq, fee=Decimal(0), row=len(run.fills) + 1,
        ),
        positions=_more(run.positions, ns=fill_ns, position_lots=run.rules.initial_position_lots, row=row),
    )  # fmt: skip


def _more(table: Any, **cells: Any) -> Any:
    """The table and one row more."""
    changed = {}
    for field in fields(table):
        column = getattr(table, field.name)
        cell = cells[field.name]
        more = objects([cell]) if column.dtype == object else np.array([cell], column.dtype)
        changed[field.name] = np.concatenate((column, more))
    return type(table)(**changed)


def _with_quiet_orders(run: Run) -> Run:
    """The run and as many orders more as the origin's day has, half as high and twice as high as the market."""
    missing = ORDERS_A_DAY - len(run.orders)
    pattern = np.resize(np.flatnonzero(run.orders.end == EndState.CANCELLED), missing)
    quiet = Orders(**{f.name: getattr(run.orders, f.name)[pattern] for f in fields(Orders)})
    far = np.where(quiet.side > 0, quiet.price_ticks // 2, quiet.price_ticks * 2)
    quiet = replace(quiet, price_ticks=far, order_id=np.arange(10**9 + 1, 10**9 + 1 + missing))
    both = joined([run.orders, quiet])
    by_time = np.argsort(both.submit_ns, kind="stable")
    place = np.empty_like(by_time)
    place[by_time] = np.arange(len(by_time))
    orders = Orders(**{f.name: getattr(both, f.name)[by_time] for f in fields(Orders)})
    names = np.arange(1, len(orders) + 1)
    order = place[run.fills.order]
    return replace(
        run,
        orders=replace(orders, order_id=names, row=names),
        fills=replace(run.fills, order=order, order_id=names[order]),
    )


def _told(run: Run) -> Run:
    """The run with the counts of its rows; what hangs on money is left out."""
    ends, fills = counted(run.orders.end), run.fills
    counts = {
        "fills": len(fills),
        "buys": int((fills.side > 0).sum()),
        "sells": int((fills.side < 0).sum()),
        "submits": len(run.orders),
        "cancels": int((run.orders.cancel_ns != ABSENT).sum()),
        "trades": len(run.trades),
        **{f"orders_{word}": ends.get(word, 0) for word in ("filled", "cancelled", "expired", "open")},
    }
    counts["markers"] = counts["submits"] + counts["cancels"] + counts["fills"]
    turnover = run.instrument.size(int(fills.size_lots.sum()))
    last_ns = int(run.trades.ns[-1])
    reported = {name: Decimal(count) for name, count in counts.items()} | {"turnover": turnover}
    return replace(run, reported=reported, end_ns=last_ns, last_event_ns=last_ns)


def days_of(day: Run, count: int) -> Iterator[dict[str, Any]]:
    """The tables of each day, as Arrow."""
    step_seq, step_id = int(day.trades.seq.max()) + 1, len(day.orders)
    for number in range(count):
        yield tables_of(_moved(day, number * DAY_NS, number * step_seq, number * step_id))


def _moved(day: Run, by_ns: int, by_seq: int, by_id: int) -> Run:
    def moved(table: Any) -> Any:
        later = {
            name: np.where(column == ABSENT, ABSENT, column + by_ns)
            for name in _TIMES
            if (column := getattr(table, name, None)) is not None
        }
        return replace(table, **later)

    trades, orders, fills = moved(day.trades), moved(day.orders), moved(day.fills)
    return replace(
        day,
        trades=replace(trades, seq=trades.seq + by_seq),
        tops=moved(day.tops),
        orders=replace(orders, order_id=orders.order_id + by_id),
        fills=replace(fills, order_id=fills.order_id + by_id, trade_seq=fills.trade_seq + by_seq),
        positions=moved(day.positions),
    )


def write_long_run(folder: Path, days: int, day: Run | None = None) -> Path:
    """The bundle of so many days in ``folder``, in row groups of a million rows; what is there already stays."""
    if (folder / "run.toml").exists():
        return folder
    day = one_day() if day is None else day
    folder.mkdir(parents=True, exist_ok=True)
    writers: dict[str, pq.ParquetWriter] = {}
    waiting: dict[str, list[Any]] = {}

    def flush(name: str, least: int) -> None:
        while waiting.get(name) and sum(len(table) for table in waiting[name]) >= least:
            table = pa.concat_tables(waiting[name])
            writers[name].write_table(table[:ROWS_A_GROUP])
            waiting[name] = [table[ROWS_A_GROUP:]] if len(table) > ROWS_A_GROUP else []

    for tables in days_of(day, days):
        for name, table in tables.items():
            if name not in writers:
                writers[name] = pq.ParquetWriter(folder / f"{name}.parquet", table.schema, compression="zstd")
            waiting.setdefault(name, []).append(table)
            flush(name, ROWS_A_GROUP)
    for name, writer in writers.items():
        flush(name, 1)
        writer.close()
    (folder / "run.toml").write_text(tomli_w.dumps(_head(day, days)), encoding="utf-8")
    return folder


def _head(day: Run, days: int) -> Mapping[str, Any]:
    last_ns = int(day.trades.ns[-1]) + (days - 1) * DAY_NS
    reported = {name: figure * days for name, figure in day.reported.items()}
    return head_dict(replace(day, reported=reported, end_ns=last_ns, last_event_ns=last_ns, name=f"{days} days"))


def main() -> None:
    """Write it, and say what it holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--days", type=int, default=62)
    given = parser.parse_args()
    write_long_run(given.folder, given.days)
    for file in sorted(given.folder.glob("*.parquet")):
        print(f"{file.name}: {pq.read_metadata(file).num_rows:,} rows, {file.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
