"""backtesting.py: round trips become fills, exits find their orders, and what stays open is said."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from invariants import audit
from invariants.readers.backtestingpy import is_backtestingpy, read_backtestingpy
from simcore import InputError, Rules
from simcore.frames import UNJUDGED
from simcore.run import ABSENT, EndState

SHARED = Path(__file__).parents[2] / "shared" / "engines"
T0 = 1_767_571_200_000_000_000  # 2026-01-05T00:00Z
MINUTE = 60 * 10**9
TRADES = [
    # Size, EntryBar, ExitBar, EntryPrice, ExitPrice, Tag: bought at the limit, sold at the open
    (5, 1, 2, 100.0, 104.0, 1),
    # order 4 (10) closes this one and opens the next
    (5, 3, 4, 101.0, 103.0, 3),
    (-5, 4, 5, 103.0, 102.0, 4),
]
LOG = [
    # ev, bar, tag, side, qty, limit, pos
    ("submit", 0, 1, 1, 5, 100.0, 0),
    ("submit", 1, 2, -1, 5, 103.0, 5),
    ("submit", 2, 3, 1, 5, 101.0, 0),
    ("submit", 3, 4, -1, 10, 103.0, 5),
    ("submit", 4, 5, 1, 5, 99.0, -5),
    ("cancel", 4, 5, None, None, None, None),
]
BARS = 6


def trades_frame(rows: list[tuple[Any, ...]] = TRADES, rate: float = 0.001) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["Size", "EntryBar", "ExitBar", "EntryPrice", "ExitPrice", "Tag"])
    frame["SL"] = frame["TP"] = None
    frame["Commission"] = frame.Size.abs() * (frame.EntryPrice + frame.ExitPrice) * rate
    frame["PnL"] = frame.Size * (frame.ExitPrice - frame.EntryPrice) - frame.Commission
    for end in ("Entry", "Exit"):
        frame[f"{end}Time"] = pd.to_datetime(T0 + frame[f"{end}Bar"] * MINUTE, utc=True)
    return frame


def curve_frame(trades: pd.DataFrame, extra: float = 0.0) -> pd.DataFrame:
    times = pd.to_datetime([T0 + k * MINUTE for k in range(BARS)], utc=True)
    equity = [10_000.0] * (BARS - 1) + [10_000.0 + float(trades.PnL.sum()) + extra]
    return pd.DataFrame({"Equity": equity, "DrawdownPct": 0.0}, index=pd.Index(times, name="time"))


def log_frame(rows: list[tuple[Any, ...]] = LOG) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["ev", "t", "tag", "side", "qty", "limit", "pos"])
    frame["t"] = pd.to_datetime(T0 + frame.t * MINUTE, utc=True)
    return frame


def stats_frame(trades: pd.DataFrame, curve: pd.DataFrame, **more: Any) -> pd.DataFrame:
    figures = {
        "Start": curve.index[0],
        "End": curve.index[-1],
        "# Trades": len(trades),
        "Equity Final [$]": curve.Equity.iloc[-1],
        "Commissions [$]": trades.Commission.sum(),
        "Sharpe Ratio": None,
        **more,
    }
    return pd.DataFrame({"value": pd.Series(figures, dtype=object)})


def output(
    folder: Path,
    *,
    trades: pd.DataFrame | None = None,
    log: pd.DataFrame | None = None,
    extra: float = 0.0,
    suffix: str = "csv",
    meta: dict[str, Any] | None = None,
    stats: dict[str, Any] | None = None,
) -> Path:
    table = trades_frame() if trades is None else trades
    curve = curve_frame(table, extra)
    figures = stats_frame(table, curve, **(stats or {}))
    tables = {"trades": table, "equity_curve": curve, **({} if log is None else {"strategy_log": log})}
    for name, frame in tables.items():
        if suffix == "csv":
            frame.to_csv(folder / f"{name}.csv", index=name != "strategy_log")
        else:
            frame.to_parquet(folder / f"{name}.parquet")
    figures.to_csv(folder / "stats.csv")
    if meta is not None:
        (folder / "meta.json").write_text(json.dumps(meta))
    return folder


def verdicts(run: Any) -> dict[str, str]:
    return {j.law: j.verdict.value for j in audit(run).judgements}


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_round_trips_become_fills_of_the_logged_orders(tmp_path: Path, suffix: str) -> None:
    run = read_backtestingpy(output(tmp_path, log=log_frame(), suffix=suffix))
    fills, orders = run.fills, run.orders
    assert fills.order_id.tolist() == [1, 2, 3, 4, "exit of trade 3"]
    assert fills.side.tolist() == [1, -1, 1, -1, 1]
    assert fills.price_ticks.tolist() == [100, 104, 101, 103, 102]
    assert fills.size_lots.tolist() == [5, 5, 5, 10, 5]
    assert fills.ns.tolist() == [T0 + k * MINUTE for k in (1, 2, 3, 4, 5)]
    assert (fills.ns_to - fills.ns).tolist() == [MINUTE - 1] * 5
    assert fills.row.tolist() == [1, 1, 2, 2, 3]
    assert [run.instrument.notional(fee) for fee in fills.fee] == [
        Decimal(x) / 1000 for x in (500, 520, 505, 1030, 510)
    ]
    assert orders.order_id.tolist() == [1, 2, 3, 4, 5]
    assert orders.side.tolist() == [1, -1, 1, -1, 1]
    assert orders.price_ticks.tolist() == [100, 103, 101, 103, 99]
    assert orders.size_lots.tolist() == [5, 5, 5, 10, 5]
    assert orders.submit_ns.tolist() == [T0 + k * MINUTE - 1 for k in (1, 2, 3, 4, 5)]
    assert orders.cancel_ns.tolist() == [ABSENT] * 4 + [T0 + 5 * MINUTE - 1]
    assert orders.end_words == ["filled"] * 4 + ["cancelled"]
    assert orders.row.tolist() == [1, 2, 3, 4, 5]
    assert run.positions.ns.tolist() == orders.submit_ns.tolist()
    assert run.positions.position_lots.tolist() == [0, 5, 0, 5, -5]
    assert run.provenance == {"submit_ns": "derived", "live_ns": "absent", "cancel_ns": "derived", "end_ns": "absent"}
    assert run.read["trades"] == 3
    assert run.read["strategy_log"] == 6
    assert run.engine == "backtesting.py"
    assert (run.end_ns, run.last_event_ns) == (T0 + 6 * MINUTE - 1, T0 + 6 * MINUTE - 1)
    assert run.reported["fills"] == 5
    assert run.reported["cash"] == Decimal("10031.935")
    assert len(run.inputs) == 4


def test_a_consistent_run_breaks_no_law_but_the_closing_by_the_engine(tmp_path: Path) -> None:
    found = verdicts(read_backtestingpy(output(tmp_path, log=log_frame())))
    failed = {law for law, verdict in found.items() if verdict == "fail"}
    assert failed <= {"fills_have_orders"}
    assert found["cash_sums_fills"] == found["position_sums_fills"] == found["totals_reconcile"] == "pass"


def test_an_order_that_fills_in_the_closing_pass_shows_in_the_cash(tmp_path: Path) -> None:
    run = read_backtestingpy(output(tmp_path, log=log_frame(), extra=5.0))
    assert verdicts(run)["cash_sums_fills"] == "fail"


def test_without_a_log_a_run_is_its_fills(tmp_path: Path) -> None:
    run = read_backtestingpy(output(tmp_path))
    assert run.read["fills"] == 6
    assert "orders" not in run.read
    assert run.fills.order_id.tolist()[:2] == ["entry of trade 1", "exit of trade 1"]
    assert run.reported["fills"] == 6
    assert UNJUDGED + "Equity Final [$]" in run.reported
    assert verdicts(run)["fills_have_orders"] == "unknown"


def test_equity_is_cash_where_the_parameters_say_that_all_was_closed(tmp_path: Path) -> None:
    meta = {"engine": "backtesting.py", "version": "0.6.6", "opt": {"finalize_trades": True}}
    run = read_backtestingpy(output(tmp_path, meta=meta))
    assert run.reported["cash"] == Decimal("10031.935")
    assert run.engine_version == "0.6.6"


def reasons_aside(run: Any) -> list[str]:
    """What the run says of a log that was set aside."""
    return [name for name in run.reported if name.startswith(f"{UNJUDGED}orders of the log")]


def test_a_log_that_ends_in_a_position_without_trades_is_set_aside(tmp_path: Path) -> None:
    meta = {"opt": {"exclusive_orders": False}}
    run = read_backtestingpy(output(tmp_path, trades=trades_frame(TRADES[:1]), log=log_frame(LOG[:4]), meta=meta))
    assert "orders" not in run.read
    [reason] = reasons_aside(run)
    assert reason.endswith("opt.finalize_trades is not stated, and trades add up to 0 where the strategy saw 5")


BOTH_OPEN = [(5, 1, 3, 100.0, 102.0, 1), (-5, 2, 3, 103.0, 102.0, 2)]
CLOSED_BY_THE_NEXT = [(5, 1, 2, 100.0, 101.5, 1), (-5, 3, 4, 104.0, 103.5, 3)]


@pytest.mark.parametrize(
    ("option", "trades", "log"),
    [
        ("hedging", BOTH_OPEN, [*LOG[:2], ("submit", 3, 3, 1, 5, 99.0, 0), ("cancel", 4, 3, None, None, None, None)]),
        (
            "exclusive_orders",
            CLOSED_BY_THE_NEXT,
            [
                ("submit", 0, 1, 1, 5, 100.0, 0),
                ("submit", 1, 2, 1, 5, 99.0, 5),  # closes trade 1 at the next open
                ("submit", 2, 3, -1, 5, 104.0, 0),  # cancels order 2
                ("submit", 3, 4, -1, 5, 105.0, -5),
            ],
        ),
    ],
)
def test_an_option_that_nobody_stated_and_nothing_rules_out_is_no_broken_law(
    tmp_path: Path, option: str, trades: list[tuple[Any, ...]], log: list[tuple[Any, ...]]
) -> None:
    """An honest run of that option; where it is stated to be off, the same run is broken."""
    open_, off = tmp_path / "open", tmp_path / "off"
    for folder, stated in ((open_, {}), (off, {option: False, "exclusive_orders": False})):
        folder.mkdir()
        meta = {"opt": {"finalize_trades": True, **stated}}
        output(folder, trades=trades_frame(trades), log=log_frame(log), meta=meta)
    run = read_backtestingpy(open_)
    [reason] = reasons_aside(run)
    assert f"opt.{option} is not stated" in reason
    assert run.reported[reason] == sum(row[0] == "submit" for row in log)
    found = verdicts(run)
    assert (found["fills_have_orders"], found["crossed_orders_fill"]) == ("unknown", "unknown")
    assert verdicts(read_backtestingpy(off))["fills_have_orders"] == "fail"


@pytest.mark.parametrize(("size", "margin", "aside"), [(200, 1, True), (200, 0.2, False), (80, 1, False)])
def test_an_order_that_the_margin_was_too_small_for_may_be_gone(
    tmp_path: Path, size: int, margin: float, aside: bool
) -> None:
    """The account has 10,000: the engine cancels a larger order, and no table says so."""
    log = log_frame([*LOG[:4], ("submit", 4, 5, -1, size, 101.0, -5)])
    meta = {"opt": {"finalize_trades": True, "exclusive_orders": False, "margin": margin}}
    run = read_backtestingpy(output(tmp_path, log=log, meta=meta))
    reasons = [f"{UNJUDGED}orders of the log, as the margin may have been too small for 1 of them"]
    assert reasons_aside(run) == (reasons if aside else [])


@pytest.mark.parametrize("margin", [0, -1, 2])
def test_a_margin_that_is_none_is_refused(tmp_path: Path, margin: float) -> None:
    with pytest.raises(InputError, match=r"opt\.margin"):
        read_backtestingpy(output(tmp_path, log=log_frame(), meta={"opt": {"margin": margin}}))


def test_an_order_that_closed_a_trade_rules_hedging_out(tmp_path: Path) -> None:
    """Then trades of both sides that were open at once are a broken output."""
    rows = [*TRADES[:2], (-5, 3, 5, 103.0, 102.0, 4)]
    run = read_backtestingpy(output(tmp_path, trades=trades_frame(rows), log=log_frame()))
    assert not reasons_aside(run)
    assert verdicts(run)["fills_have_orders"] == "fail"


@pytest.mark.parametrize("option", ["exclusive_orders", "hedging", "trade_on_close"])
def test_a_log_that_cannot_be_all_orders_is_set_aside(tmp_path: Path, option: str) -> None:
    run = read_backtestingpy(output(tmp_path, log=log_frame(), meta={"opt": {option: True}}))
    assert "orders" not in run.read
    assert not len(run.positions)
    assert run.read["strategy_log"] == 6
    assert run.provenance["submit_ns"] == "absent"
    assert run.reported[UNJUDGED + "exits_without_order"] == 0
    found = verdicts(run)
    assert (found["fills_have_orders"], found["crossed_orders_fill"]) == ("unknown", "unknown")


def test_an_option_that_is_off_changes_nothing(tmp_path: Path) -> None:
    meta = {"opt": {"exclusive_orders": False, "hedging": False, "trade_on_close": False}}
    assert read_backtestingpy(output(tmp_path, log=log_frame(), meta=meta)).read["orders"] == 5


def test_an_option_that_is_neither_on_nor_off_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="true or false"):
        read_backtestingpy(output(tmp_path, log=log_frame(), meta={"opt": {"hedging": "yes"}}))


def test_trades_that_were_left_open_are_read_without_orders_where_that_is_stated(tmp_path: Path) -> None:
    meta = {"opt": {"finalize_trades": False}}
    run = read_backtestingpy(output(tmp_path, trades=trades_frame(TRADES[:1]), log=log_frame(LOG[:4]), meta=meta))
    assert "orders" not in run.read
    assert "cash" not in run.reported


@pytest.mark.parametrize("meta", [None, {"opt": {"finalize_trades": False}}])
def test_what_was_sent_last_may_have_opened_a_trade_that_is_in_no_table(tmp_path: Path, meta: Any) -> None:
    """The log ends with order 3, three bars before the end; the trades add up to the position that it saw."""
    run = read_backtestingpy(output(tmp_path, trades=trades_frame(TRADES[:1]), log=log_frame(LOG[:3]), meta=meta))
    assert "orders" not in run.read
    assert "cash" not in run.reported


def test_with_a_spread_an_entry_is_not_at_the_price_of_its_order(tmp_path: Path) -> None:
    meta = {"opt": {"spread": 0.0002, "finalize_trades": True}}
    run = read_backtestingpy(output(tmp_path, log=log_frame(), meta=meta))
    assert run.reported[f"{UNJUDGED}orders of the log, as spread is on"] == 5


def test_cash_of_more_decimals_than_a_float_has_is_not_judged(tmp_path: Path) -> None:
    rows = [(5, 1, 2, 100.01234567891, 103.0, 1)]
    meta = {"opt": {"finalize_trades": True}}
    run = read_backtestingpy(output(tmp_path, trades=trades_frame(rows, rate=0.0), extra=1e-10, meta=meta))
    assert "cash" not in run.reported
    assert UNJUDGED + "Equity Final [$]" in run.reported


def test_an_equity_curve_that_ends_elsewhere_than_the_figures_say_is_a_rejected_row(tmp_path: Path) -> None:
    run = read_backtestingpy(output(tmp_path, log=log_frame(), stats={"Equity Final [$]": 9_999.0}))
    assert [(bad.table, bad.row, bad.field) for bad in run.rejected] == [("equity_curve", BARS, "Equity")]


def test_trades_without_tags_leave_the_orders_of_the_log_aside(tmp_path: Path) -> None:
    trades = trades_frame().drop(columns="Tag")
    run = read_backtestingpy(output(tmp_path, trades=trades, log=log_frame(), meta={"opt": {"finalize_trades": True}}))
    assert run.reported[f"{UNJUDGED}orders of the log, as trades have no Tag"] == 5
    assert "fail" not in verdicts(run).values()


def test_an_exit_that_two_sets_of_orders_explain_stays_unexplained(tmp_path: Path) -> None:
    # one leg of 5 at 104: either order alone would explain it, and the engine would have filled both
    rows = [*LOG[:2], ("submit", 1, 9, -1, 5, 103.0, 5)]
    meta = {"opt": {"exclusive_orders": False, "finalize_trades": True}}
    run = read_backtestingpy(output(tmp_path, trades=trades_frame(TRADES[:1]), log=log_frame(rows), meta=meta))
    assert run.fills.order_id.tolist() == [1, "exit of trade 1"]


def test_equal_orders_share_equal_exits(tmp_path: Path) -> None:
    rows = [(5, 1, 2, 100.0, 104.0, 1), (5, 1, 2, 100.0, 104.0, 8)]
    log = [
        ("submit", 0, 1, 1, 5, 100.0, 0),
        ("submit", 0, 8, 1, 5, 100.0, 0),
        ("submit", 1, 2, -1, 5, 103.0, 10),
        ("submit", 1, 9, -1, 5, 104.0, 10),
        ("submit", 5, 10, -1, 5, 104.0, 0),
    ]
    run = read_backtestingpy(output(tmp_path, trades=trades_frame(rows), log=log_frame(log)))
    assert run.fills.order_id.tolist() == [1, 8, 2, 9]
    assert run.orders.end_words == ["filled"] * 4 + ["open"]


@pytest.mark.parametrize(
    ("field", "value", "wanted"),
    [
        ("EntryTime", pd.Timestamp(T0, tz="UTC"), "the label of bar 1"),
        ("ExitBar", 17, "the label of bar 17"),
        ("PnL", 3.0, "Size x (ExitPrice - EntryPrice) - Commission"),
        ("Size", 0, "a size other than 0"),
    ],
)
def test_a_trade_that_contradicts_itself_is_a_rejected_row(tmp_path: Path, field: str, value: Any, wanted: str) -> None:
    frame = trades_frame()
    frame[field] = frame[field].astype(object)
    frame.loc[0, field] = value
    frame["Commission"] = trades_frame().Commission
    whole = trades_frame()
    folder = output(tmp_path, trades=whole)
    frame.to_csv(folder / "trades.csv")
    run = read_backtestingpy(folder)
    assert [(r.table, r.row) for r in run.rejected] == [("trades", 1)]
    assert wanted in run.rejected[0].wanted
    assert run.read["trades"] == 3
    assert len(run.fills) == 4
    assert verdicts(run)["values_are_valid"] == "fail"


def test_a_repeated_trade_is_held_against_the_count(tmp_path: Path) -> None:
    folder = output(tmp_path)
    pd.concat([trades_frame(), trades_frame()[:1]]).to_csv(folder / "trades.csv")
    assert verdicts(read_backtestingpy(folder))["totals_reconcile"] == "fail"


def test_a_cancel_of_nothing_is_a_rejected_row(tmp_path: Path) -> None:
    rows = [*LOG, ("cancel", 4, 77, None, None, None, None)]
    run = read_backtestingpy(output(tmp_path, log=log_frame(rows)))
    assert [(r.table, r.row, r.broken_law) for r in run.rejected] == [("strategy_log", 7, "orders_are_conserved")]


@pytest.mark.parametrize(
    ("at", "column", "value", "field"),
    [
        (0, "ev", "modify", "ev"),
        (0, "tag", None, "tag"),
        (0, "side", 0, "side"),
        (0, "qty", "many", "qty"),
        (0, "t", "noon", "t"),
    ],
)
def test_a_log_that_cannot_be_read_is_a_named_error(
    tmp_path: Path, at: int, column: str, value: Any, field: str
) -> None:
    log = log_frame()
    log[column] = log[column].astype(object)
    log.loc[at, column] = value
    with pytest.raises(InputError) as caught:
        read_backtestingpy(output(tmp_path, log=log))
    assert (caught.value.row, caught.value.field) == (at + 1, field)


@pytest.mark.parametrize(
    ("stops", "market", "reason"),
    [(True, False, "trades have stop-loss or take-profit prices"), (False, True, "1 others have no limit")],
)
def test_a_log_with_other_orders_than_limit_orders_is_set_aside(
    tmp_path: Path, stops: bool, market: bool, reason: str
) -> None:
    frame, log = trades_frame(), log_frame()
    frame["SL"] = [None, 90.0, None] if stops else None
    log["limit"] = log["limit"].astype(object)
    log.loc[4, "limit"] = None if market else 99.0
    run = read_backtestingpy(output(tmp_path, trades=frame, log=log))
    assert reasons_aside(run) == [f"{UNJUDGED}orders of the log, as {reason}"]
    assert not run.rejected
    assert verdicts(run)["fills_have_orders"] == "unknown"


@pytest.mark.parametrize("name", ["Size", "EntryBar", "ExitPrice", "PnL", "ExitTime"])
def test_a_missing_column_is_a_named_error(tmp_path: Path, name: str) -> None:
    folder = output(tmp_path)
    trades_frame().drop(columns=[name]).to_csv(folder / "trades.csv")
    with pytest.raises(InputError) as caught:
        read_backtestingpy(folder)
    assert caught.value.field == name


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("time,Equity\n2026-01-05 00:00,1\n", "time"),
        ("time,Equity\n2026-01-05 00:01,1\n2026-01-05 00:00,1\n", "time"),
        ("time,Equity,Cash\n2026-01-05 00:00,1,1\n", "columns"),
        ("time,Worth\n2026-01-05 00:00,1\n", "Equity"),
        ("", "header"),
    ],
)
def test_an_equity_curve_that_gives_no_bars_is_a_named_error(tmp_path: Path, text: str, field: str) -> None:
    folder = output(tmp_path)
    (folder / "equity_curve.csv").write_text(text)
    with pytest.raises(InputError) as caught:
        read_backtestingpy(folder)
    assert caught.value.field == field


def test_a_curve_that_stops_early_is_an_early_end(tmp_path: Path) -> None:
    folder = output(tmp_path, stats={"End": pd.Timestamp(T0 + 9 * MINUTE, tz="UTC")})
    assert verdicts(read_backtestingpy(folder))["run_is_complete"] == "fail"


def test_an_index_that_pandas_wrote_besides_is_no_second_label(tmp_path: Path) -> None:
    plain = read_backtestingpy(output(tmp_path, log=log_frame())).to_frames()
    for name in ("equity_curve", "stats", "trades"):
        pd.read_csv(tmp_path / f"{name}.csv").to_csv(tmp_path / f"{name}.csv")
    for name, frame in read_backtestingpy(tmp_path).to_frames().items():
        pd.testing.assert_frame_equal(frame, plain[name])


def test_parquet_is_read_before_its_twin_in_csv(tmp_path: Path) -> None:
    folder = output(tmp_path)
    trades_frame(TRADES[:2]).to_parquet(folder / "trades.parquet")
    assert read_backtestingpy(folder).read["trades"] == 2


def test_it_is_told_by_the_columns_of_its_trades(tmp_path: Path) -> None:
    assert not is_backtestingpy(tmp_path)
    assert not is_backtestingpy(tmp_path / "nothing.csv")
    folder = output(tmp_path)
    assert is_backtestingpy(folder)
    assert is_backtestingpy(folder / "trades.csv")
    assert not is_backtestingpy(folder / "equity_curve.csv")
    (folder / "trades.csv").write_bytes(b"\xff\xfe\x00")
    assert not is_backtestingpy(folder)
    (folder / "trades.parquet").write_bytes(b"PAR1")
    assert not is_backtestingpy(folder)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the outputs of the engines are not beside the project")
def test_the_one_minute_run_is_whole_and_its_cash_is_not() -> None:
    run = read_backtestingpy(SHARED / "backtestingpy" / "bars_1min", tape=SHARED / "tape")
    assert run.read["trades"] == 63
    assert run.read["strategy_log"] == 289
    assert (len(run.fills), len(run.orders), len(run.positions)) == (126, 208, 206)
    assert [name for name, order in zip(run.fills.order_id, run.fills.order, strict=True) if order < 0] == [
        "exit of trade 63"
    ]
    assert (run.orders.end == EndState.FILLED).sum() == 125
    found = verdicts(run)
    assert {law for law, verdict in found.items() if verdict == "fail"} - {"fills_have_orders"} == {"cash_sums_fills"}
    # order 208, sent at the close of the last bar, was filled in that bar: 5 x (361820 - 361720), and its rebate
    assert run.reported["cash"] - Decimal("100058792.64") == 5 * (361820 - 361720) + Decimal("180.91")


def test_the_profile_says_where_each_dial_is_documented() -> None:
    rules = Rules.load("backtestingpy-bars")
    assert all(rules.sources[dial].startswith("https://") for dial in rules.sources)
    assert set(rules.sources) | rules.undeclared == set(rules.to_dict()) - {"undeclared", "documented", "sources"}
