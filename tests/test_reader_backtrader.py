"""backtrader's logs, analyzer and WriterFile: columns of the run, exactly, and what cannot be read."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from invariants.auditing import audit
from invariants.readers.backtrader import is_backtrader, read_backtrader
from invariants.readers.binary_sums import settled
from invariants.verdict import Verdict
from simcore import InputError, Run
from simcore.run import ABSENT

SHARED = Path(__file__).parent.parent.parent / "shared" / "engines"
TAPE = [SHARED / "tape" / "trades.parquet", SHARED / "tape" / "book.parquet"]
MINUTE_NS = 60 * 10**9
START = pd.Timestamp("2026-01-05")

Table = dict[str, list[Any]]


def at(minutes: float, *, off_us: int = 0) -> pd.Timestamp:
    return START + pd.Timedelta(minutes=minutes) + pd.Timedelta(off_us, "us")


def ns(minutes: float) -> int:
    return int(at(minutes).value)


def notified(seen: float, ref: int, status: str, size: float, price: float, made: float = 0, **more: Any) -> Table:
    """One row of notify_order: an order made at ``made`` and good for the minute behind it."""
    row = {
        "seen": at(seen),
        "ref": ref,
        "status": status,
        "side": "buy" if size > 0 else "sell",
        "exectype": "Limit",
        "created_dt": at(made),
        "created_price": price,
        "created_size": size,
        "valid": at(made + 1),
        "exec_dt": at(seen) if status in ("Completed", "Expired") else None,
        "exec_size": size if status == "Completed" else 0.0,
        "exec_comm": abs(size) * price / 1000 if status == "Completed" else 0.0,
    }
    return {name: [value] for name, value in (row | more).items()}


def executed(ref: int, dt: Any, size: float, price: float, psize: float, i: int = 0) -> Table:
    comm = abs(size) * price / 1000
    row = {"ref": ref, "i": i, "dt": dt, "size": size, "price": price, "comm": comm, "psize": psize}
    return {name: [value] for name, value in row.items()}


def traded(date: Any, amount: float, price: float) -> Table:
    row = {"date": date, "amount": amount, "price": price, "sid": 0, "symbol": "X", "value": -amount * price}
    return {name: [value] for name, value in row.items()}


def stacked(rows: list[Table]) -> pd.DataFrame:
    return pd.concat([pd.DataFrame(row) for row in rows], ignore_index=True)


LOG = [
    notified(1, 1, "Submitted", 2, 100),
    notified(1, 2, "Submitted", -2, 103),
    notified(1, 1, "Completed", 2, 100),
    notified(2, 2, "Expired", -2, 103),
    notified(2, 3, "Submitted", -2, 101, made=1),
    notified(2, 3, "Completed", -2, 101, made=1, exec_comm=0.203),
    notified(3, 4, "Accepted", 2, 99, made=2),
]
BITS = [executed(1, at(1), 2, 100, 2), executed(3, at(2), -2, 101.5, 0)]
TRADED = [traded(at(1), 2.0, 100.0), traded(at(2), -2.0, 101.5)]
WRITER = """\
===============================================================================
Id,X,len,datetime,open,high,low,close,volume,openinterest,MM,len,datetime,Broker,len,cash,value,BuySell,len,buy,sell
1,X,1,2026-01-05 00:00:00,101.0,101.0,101.0,101.0,1.0,,MM,1,739621.0,Broker,1,1000.0,1000.0,BuySell,1,,
2,X,2,2026-01-05 00:01:00,101.0,101.0,99.0,100.0,1.0,,MM,2,739621.000694,Broker,2,799.8,999.8,BuySell,2,98.5,
3,X,3,2026-01-05 00:02:00,101.5,102.0,101.0,102.0,1.0,,MM,3,739621.0,Broker,3,1002.5970000000001,1002.597,BuySell,3,,9
===============================================================================
Cerebro:
"""


def save(folder: Path, suffix: str = ".parquet", **tables: list[Table]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, rows in tables.items():
        frame = stacked(rows)
        if suffix == ".parquet":
            frame.to_parquet(folder / f"{name}.parquet")
        else:
            frame.to_csv(folder / f"{name}{suffix}", index=False)
    return folder


def whole(folder: Path, suffix: str = ".parquet") -> Path:
    save(folder, suffix, notify_order=LOG, exbits=BITS, transactions=TRADED)
    (folder / "writer.csv").write_text(WRITER)
    return folder


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".csv.gz"])
def test_bars_become_intervals_and_their_closes_the_times_of_decisions(tmp_path: Path, suffix: str) -> None:
    folder = whole(tmp_path / "run", suffix)
    assert is_backtrader(folder)
    run = read_backtrader(folder)
    assert run.engine == "backtrader"
    assert run.rules.pricing == "limit"
    assert run.orders.order_id.tolist() == [1, 2, 3, 4]
    assert run.orders.side.tolist() == [1, -1, -1, 1]
    assert run.orders.price_ticks.tolist() == [1000, 1030, 1010, 990]
    assert run.orders.size_lots.tolist() == [2, 2, 2, 2]
    assert run.orders.submit_ns.tolist() == [ns(1) - 1, ns(1) - 1, ns(2) - 1, ns(3) - 1]
    assert run.orders.cancel_ns.tolist() == [ns(2) - 1, ns(2) - 1, ns(3) - 1, ns(4) - 1]
    assert run.orders.end_ns.tolist() == [ns(2) - 1, ns(2), ns(3) - 1, ABSENT]
    assert run.orders.end_words == ["filled", "expired", "filled", "open"]
    assert run.orders.row.tolist() == [1, 2, 5, 7]
    assert run.orders.live_ns.tolist() == [ABSENT] * 4
    assert run.fills.ns.tolist() == [ns(1), ns(2)]
    assert run.fills.ns_to.tolist() == [ns(2) - 1, ns(3) - 1]
    assert run.fills.order_id.tolist() == [1, 3]
    assert run.fills.price_ticks.tolist() == [1000, 1015]
    assert run.fills.fee.tolist() == [Decimal("2.0"), Decimal("2.03")]
    assert run.positions.ns.tolist() == [ns(2) - 1, ns(3) - 1]
    assert run.positions.position_lots.tolist() == [2, 0]
    assert run.read == {
        "orders": 4, "fills": 2, "positions": 2, "order_events": 7, "transactions": 2, "bars": 3,
    }  # fmt: skip
    assert run.provenance == {"submit_ns": "derived", "live_ns": "absent", "cancel_ns": "derived", "end_ns": "derived"}
    assert run.reported["cash"] == Decimal("1002.597")
    assert run.last_event_ns == ns(4) - 1
    assert not run.rejected
    assert len(run.inputs) == 4


def test_an_honest_run_is_not_accused(tmp_path: Path) -> None:
    folder = whole(tmp_path / "run")
    (folder / "meta.json").write_text(json.dumps({"version": "1.9.78.123", "opt": {"commission": "0.001"}}))
    report = audit(read_backtrader(folder))
    assert report.run.engine_version == "1.9.78.123"
    assert not [str(f) for j in report.judgements if j.verdict is Verdict.FAIL for f in j.findings]
    for law in ("cash_sums_fills", "pnl_reconciles", "fees_follow_schedule", "position_sums_fills", "totals_reconcile"):
        assert report[law].verdict is Verdict.PASS, law
    assert report["fill_price_equals_limit"].by_model == 1  # row 2, at the open


def ticks(folder: Path) -> Path:
    """Ticks at 884 ms and 672 ms of a second; their floats are off by some microseconds."""
    log = [
        notified(10.672 / 60, 1, "Submitted", 2, 100, made=0.884 / 60, valid=at(5.884 / 60, off_us=-5)),
        notified(10.672 / 60, 1, "Completed", 2, 100, made=0.884 / 60, valid=at(5.884 / 60, off_us=-5)),
    ]
    for row in log:
        row["created_dt"] = [at(0.884 / 60, off_us=2)]
    return save(folder, notify_order=log, exbits=[executed(1, at(10.672 / 60, off_us=-4), 2, 99, 2)])


def test_times_of_ticks_are_put_back_on_their_millisecond(tmp_path: Path) -> None:
    run = read_backtrader(ticks(tmp_path / "run"))
    assert run.rules.pricing == "improve"
    assert (run.orders.submit_ns.tolist(), run.orders.cancel_ns.tolist()) == ([ns(0.884 / 60)], [ns(5.884 / 60)])
    assert run.fills.ns.tolist() == run.fills.ns_to.tolist() == [ns(10.672 / 60)]
    assert run.provenance["submit_ns"] == "native"


def test_times_finer_than_a_millisecond_stay_within_their_error(tmp_path: Path) -> None:
    log = [notified(1, 1, "Submitted", 2, 100), notified(1, 1, "Completed", 2, 100)]
    fill = at(1, off_us=400)
    run = read_backtrader(save(tmp_path / "run", notify_order=log, exbits=[executed(1, fill, 2, 99, 2)]))
    assert (run.fills.ns.tolist(), run.fills.ns_to.tolist()) == ([fill.value - 6000], [fill.value + 6999])


def test_parameters_say_what_a_label_means(tmp_path: Path) -> None:
    folder = save(tmp_path / "run", notify_order=LOG, exbits=BITS)
    (folder / "meta.json").write_text('{"opt": {"bar_label": "end"}}')
    run = read_backtrader(folder)
    assert (run.fills.ns.tolist(), run.fills.ns_to.tolist()) == ([ns(0) + 1, ns(1) + 1], [ns(1), ns(2)])
    assert run.orders.submit_ns.tolist() == [ns(0), ns(0), ns(1), ns(2)]


def test_a_cancel_of_the_strategy_comes_before_the_validity(tmp_path: Path) -> None:
    log = [
        notified(1, 1, "Submitted", 2, 100, valid=at(9)),
        notified(2, 1, "Canceled", 2, 100, valid=at(9), exec_dt=at(1)),
        notified(3, 2, "Accepted", 2, 100, made=2, valid=None),
    ]
    run = read_backtrader(save(tmp_path / "run", notify_order=log, exbits=[executed(2, at(3), 2, 100, 2)]))
    assert run.orders.cancel_ns.tolist() == [ns(2) - 1, ABSENT]
    assert run.orders.end_words == ["cancelled", "open"]


def test_executions_of_one_bar_stand_in_the_order_of_the_position_after_them(tmp_path: Path) -> None:
    bits = [executed(7, at(1), -2, 101, 0), executed(8, at(1), 2, 100, 2), executed(9, at(2), 2, 100, 2)]
    run = read_backtrader(save(tmp_path / "run", exbits=bits))
    assert run.fills.order_id.tolist() == [8, 7, 9]
    assert run.fills.row.tolist() == [2, 1, 3]
    assert audit(run)["position_sums_fills"].verdict is Verdict.PASS
    assert audit(run)["fills_have_orders"].verdict is not Verdict.FAIL


@pytest.mark.parametrize("lot", [1, 1e-7])
def test_a_step_that_leads_on_is_not_the_next_where_others_would_be_left(tmp_path: Path, lot: float) -> None:
    """Both buys lead from 0; after the larger one nothing leads on, though all five make one chain."""
    steps = [(1, 2, 2), (2, 1, 1), (3, -1, 0), (4, 1, 1), (5, -1, 0)]
    bits = [executed(ref, at(1), size * lot, 100, after * lot) for ref, size, after in steps]
    logs = [notified(1, ref, "Completed", size * lot, 100) for ref, size, _ in steps]
    run = read_backtrader(save(tmp_path, exbits=bits, notify_order=logs))
    assert audit(run)["position_sums_fills"].verdict is Verdict.PASS
    assert run.fills.order_id.tolist()[-1] == 1


def test_float_noise_of_a_running_position_is_taken_away(tmp_path: Path) -> None:
    bits = [executed(1, at(1), 3.1, 100, 3.1), executed(2, at(2), 0.05, 100, 3.150000000000002)]
    run = read_backtrader(save(tmp_path / "run", exbits=bits))
    assert run.instrument.lot_size == Decimal("0.01")
    assert run.positions.position_lots.tolist() == [310, 315]


def test_the_analyzer_that_lost_executions_is_told_so(tmp_path: Path) -> None:
    bits = [executed(1, at(1), 2, 100, 2), executed(2, at(1), -2, 101, 0), executed(3, at(2), 2, 100, 2)]
    folder = save(tmp_path / "run", exbits=bits, transactions=[traded(at(2), 2.0, 100.0)])
    report = audit(read_backtrader(folder))
    told = [f.message for f in report["totals_reconcile"].findings]
    assert "reported fills=1, but should be 3 [counted from the rows]" in told
    assert "reported turnover=2.0, but should be 6 [counted from the rows]" in told
    assert report["position_sums_fills"].verdict is Verdict.PASS


STATED = {"exbits": 2, "final_pos": 0.0, "orders": 4, "notifs": 7, "tx": 2, "final_value": 1002.5970000000001}


@pytest.mark.parametrize(
    ("changed", "failed"),
    [
        ({}, set()),
        ({"orders": 6}, set()),  # two of the last bar were never told of
        ({"orders": 3}, {"totals_reconcile"}),
        ({"exbits": 3}, {"totals_reconcile"}),
        ({"final_pos": 2.0}, {"position_sums_fills"}),
        ({"notifs": 8}, {"values_are_valid"}),
        ({"tx": 1}, {"values_are_valid"}),
        ({"final_value": 1002.6}, {"values_are_valid"}),
    ],
)
def test_figures_of_the_parameters_are_held_against_the_rows(
    tmp_path: Path, changed: dict[str, float], failed: set[str]
) -> None:
    folder = whole(tmp_path / "run")
    (folder / "meta.json").write_text(json.dumps(STATED | changed))
    run = read_backtrader(folder)
    assert {j.law for j in audit(run).judgements if j.verdict is Verdict.FAIL} == failed
    assert ("unjudged.submits" in run.reported) == (changed == {"orders": 6})


def test_an_order_that_is_missing_among_others_is_not_one_of_the_last_bar(tmp_path: Path) -> None:
    folder = save(tmp_path / "run", notify_order=[row for row in LOG if row["ref"] != [2]], exbits=BITS)
    (folder / "meta.json").write_text('{"orders": 4}')
    assert audit(read_backtrader(folder))["totals_reconcile"].verdict is Verdict.FAIL


def test_slippage_that_the_parameters_state_leaves_the_pricing_open(tmp_path: Path) -> None:
    folder = whole(tmp_path / "run")
    (folder / "meta.json").write_text('{"opt": {"slip_perc": 0.001, "slip_fixed": 0}}')
    assert not read_backtrader(folder).rules.declares("pricing")
    (folder / "meta.json").write_text('{"opt": {"slip_perc": 0}}')
    assert read_backtrader(folder).rules.declares("pricing")


def on_tape(folder: Path, prints: list[tuple[int, float]]) -> dict[str, Any]:
    rows = [(when, price, 5, 1) for when, price in prints]
    pd.DataFrame(rows, columns=["ns", "price", "size", "aggressor"]).to_csv(folder / "tape.csv", index=False)
    return {j.law: j for j in audit(read_backtrader(folder, tape=folder / "tape.csv")).judgements}


@pytest.mark.parametrize(("off_ms", "failed"), [(0, 0), (-1, 1)])
def test_a_tick_of_the_instant_of_a_cancel_may_find_no_order(tmp_path: Path, off_ms: int, failed: int) -> None:
    log = [
        notified(1.884 / 60, 1, "Submitted", 2, 100, made=0.884 / 60, valid=None),
        notified(5.884 / 60, 1, "Canceled", 2, 100, made=0.884 / 60, valid=None, exec_dt=at(5.884 / 60)),
        notified(9.123 / 60, 2, "Completed", 2, 100, made=5.884 / 60, valid=None),
    ]
    folder = save(tmp_path / "run", notify_order=log, exbits=[executed(2, at(9.123 / 60), 2, 99, 2)])
    instant = ns(5.884 / 60) + off_ms * 10**6
    found = on_tape(folder, [(instant, 99.0), (ns(9.123 / 60), 99.0)])["crossed_orders_fill"]
    assert (found.failed, found.by_model) == (failed, 1 - failed)


def test_a_tick_finer_than_the_clock_is_not_missed_by_the_order_that_it_made(tmp_path: Path) -> None:
    """The order was sent when the tick of 0.3004567 s had been seen, whose label is cut to microseconds."""
    seen, filled = at(0, off_us=300_456), at(1, off_us=400)
    log = [notified(1, 1, "Completed", 2, 100, created_dt=seen, exec_dt=filled, valid=None, exec_comm=0.198)]
    folder = save(tmp_path / "run", notify_order=log, exbits=[executed(1, filled, 2, 99, 2)])
    laws = on_tape(folder, [(seen.value + 700, 99.0), (filled.value + 6700, 99.0)])
    assert not any(judged.failed for judged in laws.values())
    late = on_tape(folder, [(seen.value + 8000, 99.0), (filled.value + 6700, 99.0)])
    assert late["crossed_orders_fill"].failed == 1


def test_a_tick_of_the_last_instant_at_which_an_order_is_valid_must_fill_it(tmp_path: Path) -> None:
    """Valid is good till date, the date included: no cancel of the same instant excuses the miss."""
    log = [
        notified(1, 1, "Submitted", 2, 100, made=0.1, valid=at(2.123)),
        notified(3, 1, "Expired", 2, 100, made=0.1, valid=at(2.123)),
        notified(3.123, 2, "Completed", 2, 100, made=3, valid=None),
    ]
    folder = save(tmp_path / "run", notify_order=log, exbits=[executed(2, at(3.123), 2, 99, 2)])
    found = on_tape(folder, [(ns(2.123), 99.0), (ns(3.123), 99.0)])["crossed_orders_fill"]
    assert (found.failed, found.by_model) == (1, 0)


@pytest.mark.parametrize(("first", "by_model"), [(101.5, 1), (101.4, 0)])
def test_a_better_price_is_the_model_at_the_open_alone(tmp_path: Path, first: float, by_model: int) -> None:
    folder = save(tmp_path / "run", notify_order=LOG, exbits=BITS)
    found = on_tape(folder, [(ns(1), 100.0), (ns(2), first), (ns(2.5), 101.5)])["fill_price_equals_limit"]
    assert (found.by_model, found.failed) == (by_model, 1 - by_model)


def test_a_writer_alone_gives_totals_and_no_fills(tmp_path: Path) -> None:
    packed = tmp_path / "writer.csv.gz"
    packed.write_bytes(gzip.compress(WRITER.encode()))
    assert is_backtrader(packed)
    run = read_backtrader(packed)
    assert not run.has_fills
    assert run.read["bars"] == 3
    assert {k: str(v) for k, v in run.reported.items() if not k.startswith("unjudged.")} == {
        "initial_cash": "1000.0", "cash": "1002.5970000000001", "pnl": "2.597", "mark_price": "102.0",
    }  # fmt: skip
    assert audit(run).verdict is not Verdict.PASS
    assert audit(run)["cash_sums_fills"].verdict is Verdict.UNKNOWN


def test_an_account_that_was_written_before_the_last_fill_is_not_held_against_it(tmp_path: Path) -> None:
    """A strategy that ends the run ends it before the writer's row, and after the broker's executions."""
    folder = whole(tmp_path / "run")
    lines = (folder / "writer.csv").read_text().splitlines(keepends=True)
    last = max(at for at, line in enumerate(lines) if line[:1].isdecimal())
    (folder / "writer.csv").write_text("".join(lines[:last] + lines[last + 1 :]))
    assert ns(0) < read_backtrader(folder).fills.ns.max()
    found = {judged.law: judged.verdict for judged in audit(read_backtrader(folder)).judgements}
    assert Verdict.FAIL not in (found["cash_sums_fills"], found["pnl_reconciles"])


@pytest.mark.parametrize("name", ["value", "price"])
def test_a_value_of_the_analyzer_that_is_not_its_amount_at_its_price_is_a_rejected_row(
    tmp_path: Path, name: str
) -> None:
    rows = [traded(at(1), 2, 100), traded(at(2), -2, 100)]
    rows[1][name] = [300]
    run = read_backtrader(save(tmp_path / "run", exbits=BITS, notify_order=LOG, transactions=rows))
    assert [(bad.row, bad.field) for bad in run.rejected] == [(2, "value")]


def test_rows_that_say_one_thing_twice_are_rejected(tmp_path: Path) -> None:
    folder = save(
        tmp_path / "run", notify_order=[*LOG, LOG[2]], exbits=[*BITS, BITS[0]], transactions=[*TRADED, TRADED[0]]
    )
    run = read_backtrader(folder)
    assert [(r.table, r.row) for r in run.rejected] == [("order_events", 8), ("fills", 3), ("transactions", 3)]
    assert run.read["fills"] == 3
    assert len(run.fills) == 2
    assert audit(run)["values_are_valid"].verdict is Verdict.FAIL


def test_a_log_that_contradicts_itself_is_no_pass(tmp_path: Path) -> None:
    again, changed = notified(3, 1, "Canceled", 2, 100), notified(3, 1, "Accepted", 2, 99)
    run = read_backtrader(save(tmp_path / "run", notify_order=[*LOG, again, changed], exbits=BITS))
    assert [(r.row, r.field, r.broken_law) for r in run.rejected] == [
        (8, "status", "orders_are_conserved"),
        (9, "created", "values_are_valid"),
    ]
    assert run.orders.end_words[0] == "filled"
    assert audit(run)["orders_are_conserved"].verdict is Verdict.FAIL


NO_LIMIT: dict[str, Any] = {"exectype": "Market", "created_price": None, "valid": None}
MARKET = [
    notified(2, 5, "Submitted", 3, 0, made=1, **NO_LIMIT),
    notified(2, 5, "Completed", 3, 0, made=1, **NO_LIMIT, exec_comm=0.3),
    notified(2, 6, "Accepted", -1, 90, made=1, exectype="Stop"),
]


def test_orders_without_a_limit_are_counted_and_the_others_judged(tmp_path: Path) -> None:
    """A market order of 3 stands between the two fills of limit orders: the position is taken less its 3."""
    bits = [BITS[0], executed(5, at(2), 3, 101, 5), executed(3, at(2), -2, 101.5, 3)]
    save(tmp_path, notify_order=[*LOG[:4], *MARKET, *LOG[4:]], exbits=bits, transactions=TRADED)
    (tmp_path / "writer.csv").write_text(WRITER)
    run = read_backtrader(tmp_path)
    assert run.orders.order_id.tolist() == [1, 2, 3, 4]
    assert run.fills.order_id.tolist() == [1, 3]
    assert (run.positions.position_lots * run.instrument.lot_size).tolist() == [2, 0]
    assert {
        name: int(run.reported[f"unjudged.{name}"]) for name in ("orders of type Market", "orders of type Stop")
    } == {"orders of type Market": 1, "orders of type Stop": 1}
    assert run.reported["unjudged.executions of orders of type Market"] == 1
    assert run.reported["unjudged.executions of orders of type Stop"] == 0
    assert not {j.law for j in audit(run).judgements if j.verdict is Verdict.FAIL}
    bits[1] = executed(5, at(2), 4, 101, 5)  # more than the position says
    save(tmp_path, exbits=bits)
    assert "position_sums_fills" in {j.law for j in audit(read_backtrader(tmp_path)).judgements if j.failed}


def test_what_partial_executions_leave_in_floats_is_no_execution(tmp_path: Path) -> None:
    """0.3 - 0.1 - 0.1 leaves 0.09999999999999998, and in all 2.8e-17, which the engine executes, too."""
    log = [
        notified(1, 1, "Submitted", 0.3, 100, valid=None),
        notified(1, 1, "Partial", 0.3, 100, valid=None, exec_comm=0.01),
        notified(2, 1, "Completed", 0.3, 100, valid=None, exec_comm=0.03, exec_dt=at(4)),
    ]
    done = [
        executed(1, at(1), 0.1, 100, 0.1, 0),
        executed(1, at(2), 0.1, 100, 0.2, 1),
        executed(1, at(3), 0.3 - 0.1 - 0.1, 100, 0.30000000000000004, 2),
        executed(1, at(4), 2.7755575615628914e-17, 100, 0.30000000000000004, 3),
    ]
    run = read_backtrader(save(tmp_path / "run", notify_order=log, exbits=done))
    assert [str(run.instrument.size(lots)) for lots in run.fills.size_lots.tolist()] == ["0.1", "0.1", "0.1"]
    assert run.reported["unjudged.executions of float noise"] == 1
    assert run.reported["fees"] == Decimal("0.03")
    assert not {j.law for j in audit(run).judgements if j.failed}


def test_a_sum_of_more_decimals_than_usual_is_settled() -> None:
    value = Decimal("100000000.00000001")
    assert settled(value, decimals=30, additions=9, largest=value) == value


def test_an_execution_of_nothing_at_all_is_a_finding(tmp_path: Path) -> None:
    run = read_backtrader(save(tmp_path / "run", exbits=[*BITS, executed(3, at(3), 0.0, 100, 0.0, 1)]))
    assert audit(run)["values_are_valid"].verdict is Verdict.FAIL


@pytest.mark.parametrize(("first", "then"), [("Limit", "Market"), ("Market", "Limit")])
def test_an_order_of_two_kinds_is_a_rejected_row(tmp_path: Path, first: str, then: str) -> None:
    rows = [notified(1, 1, "Submitted", 2, 100, exectype=first), notified(1, 1, "Completed", 2, 100, exectype=then)]
    run = read_backtrader(save(tmp_path, notify_order=rows, exbits=BITS))
    [rejected] = run.rejected
    assert (rejected.row, rejected.field, rejected.got) == (2, "exectype", then)


def test_an_order_that_waits_for_its_parent_is_counted_and_not_judged(tmp_path: Path) -> None:
    log = [{**rows, "parent": [None]} for rows in LOG]
    log += [
        {**rows, "parent": [1]} for rows in (notified(2, 5, "Submitted", -2, 103), notified(2, 5, "Canceled", -2, 103))
    ]
    run = read_backtrader(save(tmp_path, notify_order=log, exbits=BITS))
    assert run.orders.order_id.tolist() == [1, 2, 3, 4]
    assert run.reported["unjudged.orders of type Limit of a bracket"] == 1


@pytest.mark.parametrize(("seen", "missed"), [(1, 0), (2, 1)])
def test_what_the_broker_cancels_by_itself_it_cancels_inside_the_bar(tmp_path: Path, seen: int, missed: int) -> None:
    """Told in the bar itself: one of an OCO group. Told a bar later: the strategy's, made at the bar's close."""
    log = [
        notified(1, 1, "Submitted", 2, 100, valid=None),
        notified(seen, 1, "Canceled", 2, 100, valid=None, exec_dt=at(1)),
        notified(1, 2, "Completed", -2, 103, valid=None),
    ]
    folder = save(tmp_path / "run", notify_order=log, exbits=[executed(2, at(1), -2, 103, -2)])
    (folder / "meta.json").write_text(json.dumps({"opt": {"bar_seconds": 60}}))
    found = on_tape(folder, [(ns(1.2), 103.0), (ns(1.5), 99.0)])
    assert found["crossed_orders_fill"].failed == missed
    assert not found["no_fill_after_cancel"].failed


def test_a_run_without_any_execution_is_read_from_what_pandas_writes_of_nothing(tmp_path: Path) -> None:
    for index in (True, False):
        folder = save(tmp_path / str(index), notify_order=LOG)
        pd.DataFrame([]).to_csv(folder / "exbits.csv", index=index)
        assert not len(read_backtrader(folder).fills)
    folder = save(tmp_path / "parquet", notify_order=LOG)
    pd.DataFrame([]).to_parquet(folder / "exbits.parquet")
    assert not len(read_backtrader(folder).fills)


@pytest.mark.parametrize("filler", [True, False, None])
def test_a_filler_leaves_the_sizing_open(tmp_path: Path, filler: bool | None) -> None:
    folder = whole(tmp_path / "run")
    (folder / "meta.json").write_text(json.dumps({"opt": {} if filler is None else {"filler": filler}}))
    assert read_backtrader(folder).rules.declares("sizing") is not (filler or False)


def test_a_limit_order_without_a_price_is_named(tmp_path: Path) -> None:
    rows = [notified(1, 1, "Submitted", 2, None, exectype=None)]  # type: ignore[arg-type]
    with pytest.raises(InputError, match="created_price"):
        read_backtrader(save(tmp_path, notify_order=rows, exbits=BITS))


def test_partial_executions_tell_of_a_filler_whose_sizing_nobody_states(tmp_path: Path) -> None:
    log = [notified(1, 1, "Submitted", 2, 100), notified(1, 1, "Partial", 2, 100), notified(2, 1, "Completed", 2, 100)]
    bits = [executed(1, at(1), 1, 100, 1), executed(1, at(2), 1, 100, 2, i=1)]
    folder = save(tmp_path / "run", notify_order=log, exbits=bits)
    assert not read_backtrader(folder).rules.declares("sizing")
    assert read_backtrader(folder, rules="backtrader-bars").rules.declares("sizing")


@pytest.mark.parametrize(
    ("field", "value", "table"),
    [
        ("status", "Vanished", "notify_order"),
        ("side", "long", "notify_order"),
        ("created_size", -2.0, "notify_order"),
        ("ref", 1.5, "notify_order"),
        ("seen", "yesterday", "notify_order"),
        ("dt", "noon", "exbits"),
        ("size", "two", "exbits"),
        ("amount", "two", "transactions"),
        ("symbol", "Y", "transactions"),
    ],
)
def test_a_cell_that_cannot_be_read_is_named(tmp_path: Path, field: str, value: Any, table: str) -> None:
    folder = whole(tmp_path / "run", ".csv")
    frame = pd.read_csv(folder / f"{table}.csv", dtype=object)
    frame.loc[0, field] = value
    frame.to_csv(folder / f"{table}.csv", index=False)
    with pytest.raises(InputError) as caught:
        read_backtrader(folder)
    assert caught.value.field == field
    assert table in caught.value.file


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    folder = save(tmp_path / "run", notify_order=LOG)
    with pytest.raises(InputError, match="exbits"):
        read_backtrader(folder)
    save(folder, exbits=BITS)
    pd.read_parquet(folder / "exbits.parquet").drop(columns="price").to_parquet(folder / "exbits.parquet")
    with pytest.raises(InputError, match="a column 'price'"):
        read_backtrader(folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (WRITER.replace("1002.5970000000001", "much"), "cash: got 'much'"),
        (WRITER[:-100], "no end of the rows"),
        (WRITER.replace(",BuySell,3,,9", ""), "17 cells"),
        (WRITER.replace("Broker", "Trades"), "the Broker observer"),
        (WRITER.replace("high", "close"), "one instrument"),
    ],
)
def test_a_damaged_writer_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "writer.csv").write_text(text)
    with pytest.raises(InputError, match="writer"):
        read_backtrader(tmp_path)
    with pytest.raises(InputError, match=said):
        read_backtrader(tmp_path / "writer.csv")


@pytest.mark.parametrize("name", ["notify_order.csv", "exbits.csv", "writer.csv"])
def test_other_encodings_and_halves_of_files_are_errors(tmp_path: Path, name: str) -> None:
    folder = whole(tmp_path / "run", ".csv")
    file = folder / name
    data = file.read_bytes()
    file.write_bytes(data.decode().encode("utf-16"))
    with pytest.raises(InputError, match="UTF-8"):
        read_backtrader(folder)
    file.write_bytes(gzip.compress(data)[:-20])
    with pytest.raises(InputError, match="gzip"):
        read_backtrader(folder)
    file.write_bytes(b"\xef\xbb\xbf" + data)
    assert len(read_backtrader(folder).fills) == 2


def test_other_folders_are_not_recognised(tmp_path: Path) -> None:
    assert not is_backtrader(tmp_path)
    assert not is_backtrader(tmp_path / "nothing.csv")
    (tmp_path / "exbits.csv").write_text("a,b\n1,2\n")
    assert not is_backtrader(tmp_path)


def shared(name: str) -> Run:
    if not SHARED.exists():
        pytest.skip("../shared/engines is not here")
    folder = SHARED / "backtrader" / name
    assert is_backtrader(folder)
    return read_backtrader(folder, tape=TAPE)


def test_the_shared_bars_are_read_to_the_row() -> None:
    run = shared("bars_1min")
    assert {t: run.read[t] for t in ("order_events", "orders", "fills", "positions", "transactions", "bars")} == {
        "order_events": 623, "orders": 208, "fills": 127, "positions": 127, "transactions": 87, "bars": 120,
    }  # fmt: skip
    assert not run.rejected
    report = audit(run)
    assert [j.law for j in report.judgements if j.verdict is Verdict.FAIL] == ["totals_reconcile"]
    assert dict(report.justification)["through"] == 127
    assert report["cash_sums_fills"].verdict is Verdict.PASS
    assert report["fill_price_equals_limit"].by_model == 40


def test_the_shared_ticks_are_read_to_the_row() -> None:
    run = shared("ticks")
    assert {t: run.read[t] for t in ("order_events", "orders", "fills", "transactions", "bars")} == {
        "order_events": 2845, "orders": 949, "fills": 275, "transactions": 274, "bars": 2285,
    }  # fmt: skip
    report = audit(run)
    failed = {j.law: j.failed for j in report.judgements if j.verdict is Verdict.FAIL}
    # prints that share a millisecond: filled at the instant of the submit, and two rows of the analyzer in one
    assert failed == {"fill_follows_submit": 38, "position_sums_fills": 1, "totals_reconcile": 3}
    assert dict(report.justification) | {"through": 0, "at": 0} == dict.fromkeys(dict(report.justification), 0)
