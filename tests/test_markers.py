from __future__ import annotations

import gzip
import json
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from invariants.readers import read_run
from invariants.readers.markers import read_markers
from simcore import Instrument, Rules, Run
from simcore.run import ABSENT

if TYPE_CHECKING:
    from pathlib import Path

T0 = 1_773_792_000_000_000_000  # 2026-03-18T00:00:00Z
SECOND = 10**9


def marker(seconds: float, kind: str, price: Any = 100, side: str = "BUY", **more: Any) -> dict[str, Any]:
    """A marker so many seconds into the day."""
    return {
        "ts": T0 + round(seconds * SECOND),
        "kind": kind,
        "side": side,
        "price": price,
        "size": 5.0,
        "reason": "quote",
        **more,
    }


def read(folder: Path, *markers: dict[str, Any], backtest: dict[str, Any] | None = None, **more: Any) -> Run:
    (folder / "markers.jsonl").write_text("".join(json.dumps(m) + "\n" for m in markers), encoding="utf-8")
    if backtest is not None:
        (folder / "backtest.json").write_text(json.dumps(backtest), encoding="utf-8")
    return read_run(folder, **more)


def ends(run: Run) -> list[str]:
    return run.orders.end_words


def test_a_quote_its_fill_and_the_cancel_of_another(tmp_path: Path) -> None:
    run = read(
        tmp_path,
        marker(0, "submit"),
        marker(0, "submit", 110, "sell"),
        marker(1, "fill"),
        marker(2, "cancel", 110, "SELL"),
        marker(9, "submit", 99),
    )
    assert run.fills.order.tolist() == [0]
    assert ends(run) == ["filled", "cancelled", "open"]
    assert (run.orders.cancel_ns[1], run.orders.cancel_ns[0]) == (T0 + 2 * SECOND, ABSENT)
    assert (run.orders.row.tolist(), run.fills.row.tolist()) == ([1, 2, 5], [3])
    assert run.read == {"orders": 3, "fills": 1, "cancels": 1}
    assert (run.rejected, run.has_tape, run.last_event_ns) == ((), False, None)
    assert run.provenance == {"submit_ns": "native", "live_ns": "absent", "cancel_ns": "native", "end_ns": "derived"}
    assert {run.files[t] for t in ("orders", "fills", "cancels")} == {str(tmp_path / "markers.jsonl")}


def test_times_of_every_kind_are_one_clock(tmp_path: Path) -> None:
    stamps = [T0, "2026-03-18T00:00:00Z", "2026-03-18 00:00:00", "2026-03-18T09:00:00.000000000+09:00"]
    run = read(tmp_path, *(marker(0, "submit", ts=ts) for ts in stamps))
    assert run.orders.submit_ns.tolist() == [T0] * 4


def test_without_anything_beside_the_rules_are_the_origins_and_the_grid_is_the_finest(tmp_path: Path) -> None:
    run = read(tmp_path, marker(0, "submit", "361146.50", size="0.0100"), marker(1, "submit", 361146, size=5))
    assert run.instrument == Instrument("0.1", "0.01")
    assert run.rules == Rules.load("origin", instrument=run.instrument)
    assert run.rules.position_cap_lots == 1000


def test_a_fill_belongs_to_the_oldest_open_quote_of_its_side_and_price(tmp_path: Path) -> None:
    run = read(
        tmp_path,
        marker(0, "submit"),
        marker(1, "submit"),
        marker(1, "submit", 101),
        marker(2, "fill"),
        marker(3, "fill"),
        marker(4, "fill"),
    )
    assert run.fills.order.tolist() == [0, 1, -1]
    assert run.fills.order_id.tolist() == ["line 1", "line 2", "line 6, unmatched"]


def test_size_decides_no_match(tmp_path: Path) -> None:
    run = read(tmp_path, marker(0, "submit"), marker(1, "fill", size=4.9))
    assert (run.fills.order.tolist(), run.fills.size_lots.tolist(), run.orders.size_lots.tolist()) == ([0], [49], [50])


def test_a_fill_at_the_instant_of_its_submit_is_of_no_order(tmp_path: Path) -> None:
    assert read(tmp_path, marker(1, "submit"), marker(1, "fill")).fills.order.tolist() == [-1]


def test_a_quote_that_expired_in_silence_leaves_the_fill_to_the_live_one(tmp_path: Path) -> None:
    run = read(tmp_path, marker(0, "submit"), marker(60, "submit"), marker(61, "fill"))
    assert run.fills.order.tolist() == [1]
    assert ends(run) == ["expired", "filled"]
    assert run.orders.end_ns[0] == T0 + 5 * SECOND
    assert run.provenance["end_ns"] == "nominal"


def test_a_fill_that_only_an_expired_quote_explains_is_left_to_the_laws(tmp_path: Path) -> None:
    assert read(tmp_path, marker(0, "submit"), marker(10, "fill")).fills.order.tolist() == [0]


def test_a_cancel_by_ttl_is_an_expiry(tmp_path: Path) -> None:
    run = read(tmp_path, marker(0, "submit"), marker(5, "cancel", reason="quote_ttl"))
    assert (ends(run), run.orders.cancel_ns.tolist(), run.orders.end_ns.tolist()) == (
        ["expired"],
        [ABSENT],
        [T0 + 5 * SECOND],
    )
    assert run.provenance["end_ns"] == "derived"


def test_a_cancel_that_came_too_late_is_accounted_for(tmp_path: Path) -> None:
    run = read(tmp_path, marker(0, "submit"), marker(1, "fill"), marker(2, "cancel"))
    assert (ends(run), run.rejected) == (["filled"], ())


def test_a_cancel_of_nothing_is_a_rejected_row(tmp_path: Path) -> None:
    run = read(tmp_path, marker(0, "submit"), marker(1, "cancel", 101), marker(1, "cancel"), marker(2, "cancel"))
    # the last one may be a second cancel of the same order, which changes nothing
    assert [(r.table, r.row, r.broken_law) for r in run.rejected] == [("cancels", 2, "orders_are_conserved")]
    assert run.read["cancels"] == 3


def test_ids_are_believed_before_prices(tmp_path: Path) -> None:
    run = read(
        tmp_path,
        marker(0, "submit", order_id=1),
        marker(0, "submit", order_id="x"),
        marker(1, "fill", order_id="x"),
        marker(2, "fill", 101, order_id="nobody"),
        marker(3, "cancel", order_id=1),
        marker(3, "cancel", order_id=2),
    )
    assert run.fills.order.tolist() == [1, -1]
    assert ends(run) == ["cancelled", "filled"]
    assert [r.row for r in run.rejected] == [6]


def test_partial_fills_share_a_quote_where_the_rules_allow_them(tmp_path: Path) -> None:
    run = read(
        tmp_path,
        marker(0, "submit"),
        marker(1, "fill", size=2),
        marker(2, "fill", size=3),
        marker(3, "fill"),
        backtest={"rules": {"sizing": "trade"}},
    )
    assert run.fills.order.tolist() == [0, 0, -1]
    assert ends(run) == ["filled"]


def test_improved_fills_find_the_quote_they_improve(tmp_path: Path) -> None:
    run = read(tmp_path, marker(0, "submit"), marker(1, "fill", 99), backtest={"rules": {"pricing": "improve"}})
    assert run.fills.order.tolist() == [0]
    assert read(tmp_path, marker(0, "submit"), marker(1, "fill", 99), backtest={}).fills.order.tolist() == [-1]


ORIGIN = {
    "fills": 1571,
    "strategy_total_pnl_jpy": -340721,
    "alpha_total_pnl_jpy": -135616,
    "turnover": 7870,
    "maker_quote_submissions": 124302,
    "maker_quote_cancellations": 122731,
    "fill_ratio": 0.0748,
    "source": "s3-stream",
    "initial_position_eth": 10.0,
    "max_abs_position_eth": 10.0,
    "order_latency_sec": 0.3,
    "quote_ttl_sec": 5,
}


def test_the_figures_of_the_origin_report(tmp_path: Path) -> None:
    run = read(tmp_path, marker(0, "submit"), backtest=ORIGIN)
    unjudged = {k: v for k, v in run.reported.items() if k.startswith("unjudged.")}
    assert {k: v for k, v in run.reported.items() if k not in unjudged} == {
        "fills": 1571,
        "pnl": -340721,
        "turnover": 7870,
        "submits": 124302,
        "cancels": 122731,
        "fill_ratio": Decimal("0.0748"),
        "initial_position": 10,
    }
    assert list(unjudged) == ["unjudged.alpha_total_pnl_jpy", "unjudged.source"]
    assert unjudged["unjudged.source"].is_nan()
    rules = run.rules
    assert (rules.initial_position_lots, rules.position_cap_lots, rules.latency_ns, rules.ttl_ns) == (
        10,
        10,
        300_000_000,
        5_000_000_000,
    )
    assert len(run.inputs) == 2


def test_explicit_sections_win_over_settings_and_arguments_over_both(tmp_path: Path) -> None:
    backtest = {
        "order_latency_sec": 0.5,
        "quote_ttl_sec": None,
        "instrument": {"tick_size": 1, "lot_size": "0.1"},
        "rules": {"latency_ns": 7},
        "reported": {"fills": 0},
        "run": {"end_ns": T0, "exit_code": 0},
        "name": "n",
    }
    run = read(tmp_path, marker(0, "submit"), backtest=backtest)
    assert (run.rules.latency_ns, run.rules.ttl_ns, run.instrument.lot_size) == (7, None, Decimal("0.1"))
    assert (run.name, run.end_ns, run.exit_code, run.reported) == ("n", T0, 0, {"fills": 0})
    assert read_run(tmp_path, rules=Rules(latency_ns=9)).rules.latency_ns == 9
    assert read_markers(tmp_path, instrument=Instrument(1, "0.5")).orders.size_lots.tolist() == [10]


def test_packed_markers_by_their_file(tmp_path: Path) -> None:
    (tmp_path / "markers.jsonl.gz").write_bytes(gzip.compress(json.dumps(marker(0, "submit")).encode()))
    assert len(read_run(tmp_path).orders) == len(read_run(tmp_path / "markers.jsonl.gz").orders) == 1


def test_a_tape_beside_the_markers_refines_the_grid(tmp_path: Path) -> None:
    tape = tmp_path / "tape.csv"
    tape.write_text(f"ns,price,size\n{T0},100.5,0.01\n", encoding="utf-8")
    run = read(tmp_path, marker(0, "submit"), tape=tape)
    assert (run.instrument, run.orders.price_ticks.tolist()) == (Instrument("0.1", "0.01"), [1000])
    assert (run.trades.price_ticks.tolist(), run.has_tape) == ([1005], True)


def test_times_out_of_order_load_for_the_law_to_judge(tmp_path: Path) -> None:
    assert read(tmp_path, marker(5, "submit"), marker(1, "submit")).orders.submit_ns.tolist() == [
        T0 + 5 * SECOND,
        T0 + SECOND,
    ]


def test_blank_lines_keep_their_numbers(tmp_path: Path) -> None:
    line = json.dumps(marker(0, "submit"))
    (tmp_path / "markers.jsonl").write_text(f"\n{line}\n\n{line}", encoding="utf-8")
    assert read_run(tmp_path).orders.row.tolist() == [2, 4]


def test_no_markers_are_a_run_of_nothing(tmp_path: Path) -> None:
    run = read(tmp_path)
    assert (len(run.orders), len(run.fills), run.last_event_ns) == (0, 0, None)


def test_a_day_of_the_origin_takes_seconds(tmp_path: Path) -> None:
    lines = []
    for n in range(25_000):
        lines.append(json.dumps(marker(n, "submit", 361_000 + n % 600)))
        lines.append(json.dumps(marker(n + 0.9, "cancel", 361_000 + n % 600)))
    (tmp_path / "markers.jsonl").write_text("\n".join(lines), encoding="utf-8")
    started = time.perf_counter()
    run = read_run(tmp_path)
    assert time.perf_counter() - started < 20  # about one second on an idle machine
    assert (set(ends(run)) <= {"cancelled", "open"}, run.rejected) == (True, ())
