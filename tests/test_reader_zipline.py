"""zipline's tables: columns of the run, exactly, and what cannot be read."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from invariants.auditing import audit
from invariants.readers.zipline import is_zipline, read_zipline
from invariants.verdict import Verdict
from simcore import InputError
from simcore.frames import UNJUDGED
from simcore.run import ABSENT

SHARED = Path(__file__).parent.parent.parent / "shared" / "engines"
TAPE = [SHARED / "tape" / "trades.parquet", SHARED / "tape" / "book.parquet"]
START = pd.Timestamp("2026-01-05", tz="UTC")
SID = "Equity(0 [X])"
UNITS = {"opt": {"size_unit": "0.01", "price_impact": 0, "commission": "0.001"}}

Rows = list[dict[str, Any]]


def at(minutes: int) -> pd.Timestamp:
    return START + pd.Timedelta(minutes=minutes)


def ns(minutes: int) -> int:
    return int(at(minutes).value)


def order(
    name: str, made: int, done: int, amount: int, filled: int, limit: Any, status: int, paid: float
) -> dict[str, Any]:
    return {
        "id": name,
        "dt": at(done),
        "reason": None,
        "created": at(made),
        "amount": amount,
        "filled": filled,
        "commission": paid,
        "stop": None,
        "limit": limit,
        "stop_reached": False,
        "limit_reached": filled != 0,
        "sid": SID,
        "status": status,
    }


def fill(name: str, when: int, amount: int, price: float) -> dict[str, Any]:
    return {"amount": amount, "dt": at(when), "price": price, "order_id": name, "sid": SID, "commission": None}


ORDERS = [
    order("a", 1, 2, 500, 500, 101.0, 1, 50.0),
    order("b", 1, 2, -500, 0, 103.0, 2, 0.0),
    order("c", 2, 4, -500, -300, 99.0, 2, 30.4),
    order("d", 4, 4, 500, 0, 98.5, 0, 0.0),
]
FILLS = [fill("a", 2, 500, 100.0), fill("c", 3, -100, 101.0), fill("c", 4, -200, 101.5)]
HELD = [{"sid": SID, "amount": 200, "cost_basis": 100.0, "last_sale_price": 101.5}]


def save(folder: Path, suffix: str = ".parquet", **tables: Rows) -> Path:
    folder.mkdir(exist_ok=True)
    for name, rows in {"orders": ORDERS, "transactions": FILLS, "positions": HELD, **tables}.items():
        frame = pd.DataFrame(rows)
        if suffix == ".parquet":
            frame.to_parquet(folder / f"{name}.parquet")
        else:
            frame.to_csv(folder / f"{name}{suffix}", index=False, na_rep="None")
    return folder


@pytest.mark.parametrize("price", [492584.70357075630, 491403.19055775170, 496905.96503193007])
def test_the_fee_of_a_price_of_many_digits_is_held_to_those_of_a_float(tmp_path: Path, price: float) -> None:
    rows = [order("a", 1, 2, 500, 500, 492600.0, 1, 500 * price * 0.0001)]
    folder = save(tmp_path / "run", orders=rows, transactions=[fill("a", 2, 500, price)])
    (folder / "meta.json").write_text('{"opt": {"commission": "0.0001"}}')
    assert audit(read_zipline(folder))["fees_follow_schedule"].verdict is Verdict.PASS
    (folder / "meta.json").write_text('{"opt": {"commission": "0.000100000000001"}}')
    assert audit(read_zipline(folder))["fees_follow_schedule"].verdict is Verdict.FAIL


@pytest.mark.parametrize(("stem", "column"), [("orders", "limit"), ("transactions", "price")])
def test_a_column_that_is_missing_is_named_and_not_the_folder(tmp_path: Path, stem: str, column: str) -> None:
    folder = save(tmp_path / "run", ".csv")
    table = pd.read_csv(folder / f"{stem}.csv").drop(columns=column)
    table.to_csv(folder / f"{stem}.csv", index=False)
    assert is_zipline(folder)
    with pytest.raises(InputError, match=rf"{stem}\.csv: {column}"):
        read_zipline(folder)


def test_the_recipe_writes_tables_of_a_run_without_orders(tmp_path: Path) -> None:
    recipe = Path(__file__).parent.parent / "fixtures" / "recipes" / "with_zipline.py"
    names: dict[str, Any] = {}
    exec(recipe.read_text().partition("# export\n")[2].partition("# end\n")[0], names)  # noqa: S102 - our own file
    names["version"] = lambda _: "3.2.1"
    names["export"](pd.DataFrame({"orders": [[]], "transactions": [[]], "positions": [[]]}), tmp_path)
    assert is_zipline(tmp_path)
    run = read_zipline(tmp_path)
    assert (len(run.orders), len(run.fills), run.rejected) == (0, 0, ())


def test_an_order_that_changed_before_it_was_made_is_a_rejected_row(tmp_path: Path) -> None:
    rows = [*ORDERS[:3], order("d", 5, 4, 500, 0, 98.5, 2, 0.0)]
    run = read_zipline(save(tmp_path / "run", orders=rows))
    assert [(bad.table, bad.row, bad.field) for bad in run.rejected] == [("order_states", 4, "dt")]


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".csv.gz"])
def test_a_label_is_the_end_of_its_minute(tmp_path: Path, suffix: str) -> None:
    folder = save(tmp_path / "run", suffix)
    assert is_zipline(folder)
    assert is_zipline(folder / f"orders{suffix}")
    run = read_zipline(folder)
    assert run.engine == "zipline-reloaded"
    assert run.orders.order_id.tolist() == ["a", "b", "c", "d"]
    assert run.orders.side.tolist() == [1, -1, -1, 1]
    assert run.orders.price_ticks.tolist() == [1010, 1030, 990, 985]
    assert run.orders.size_lots.tolist() == [500] * 4
    assert run.orders.submit_ns.tolist() == [ns(1), ns(1), ns(2), ns(4)]
    assert run.orders.cancel_ns.tolist() == [ABSENT, ns(2), ns(4), ABSENT]
    assert run.orders.end_ns.tolist() == [ns(2), ns(2), ns(4), ABSENT]
    assert run.orders.end_words == ["filled", "cancelled", "cancelled", "open"]
    assert run.fills.ns.tolist() == [ns(1) + 1, ns(2) + 1, ns(3) + 1]
    assert run.fills.ns_to.tolist() == [ns(2), ns(3), ns(4)]
    assert run.fills.order.tolist() == [0, 2, 2]
    assert run.fills.price_ticks.tolist() == [1000, 1010, 1015]
    assert run.fills.size_lots.tolist() == [500, 100, 200]
    assert run.fills.fee.tolist() == [Decimal(500), None, None]  # tick-lots; order c paid for two
    assert run.read == {"orders": 4, "fills": 3, "order_states": 4, "end_positions": 1}
    assert run.reported == {"turnover": 800, "fees": Decimal("80.4"), "position": 200}
    assert run.provenance == {"submit_ns": "native", "live_ns": "absent", "cancel_ns": "derived", "end_ns": "native"}
    assert run.last_event_ns == ns(4)
    assert not run.rejected
    assert len(run.inputs) == 3


def test_an_honest_run_is_not_accused_and_what_nobody_says_stays_unknown(tmp_path: Path) -> None:
    report = audit(read_zipline(save(tmp_path / "run")))
    assert not [str(f) for j in report.judgements if j.verdict is Verdict.FAIL for f in j.findings]
    assert report.run.rules.undeclared == {"sizing", "pricing", "priority", "fee_rate"}
    for law in ("fills_have_orders", "orders_are_conserved", "position_sums_fills", "totals_reconcile"):
        assert report[law].verdict is Verdict.PASS, law


def test_parameters_give_the_size_of_a_share_and_the_models(tmp_path: Path) -> None:
    folder = save(tmp_path / "run")
    (folder / "meta.json").write_text(json.dumps(UNITS | {"version": "3.2.1"}))
    run = read_zipline(folder)
    assert run.engine_version == "3.2.1"
    assert run.instrument.lot_size == 1  # 5, 1, 2, 3: whole units of the tape
    assert run.fills.size_lots.tolist() == [5, 1, 2]
    assert {k: Decimal(str(v)) for k, v in run.reported.items()} == {
        "turnover": Decimal(8), "fees": Decimal("0.804"), "position": Decimal(2),
    }  # fmt: skip
    assert run.rules.undeclared == {"sizing", "priority"}
    assert run.rules.fee_rate == Decimal("0.001")


def test_labels_of_the_beginning_shift_every_time_by_a_minute(tmp_path: Path) -> None:
    folder = save(tmp_path / "run")
    (folder / "meta.json").write_text('{"opt": {"bar_label": "start"}}')
    run = read_zipline(folder)
    assert run.fills.ns.tolist() == [ns(2), ns(3), ns(4)]
    assert run.fills.ns_to.tolist() == [ns(3) - 1, ns(4) - 1, ns(5) - 1]
    assert run.orders.submit_ns.tolist() == [ns(2) - 1, ns(2) - 1, ns(3) - 1, ns(5) - 1]
    assert run.provenance["submit_ns"] == "derived"


def test_the_last_state_of_an_order_of_several_sessions_counts(tmp_path: Path) -> None:
    before = order("c", 2, 3, -500, -100, 99.0, 0, 10.1)
    run = read_zipline(save(tmp_path / "run", orders=[*ORDERS[:2], before, *ORDERS[2:]]))
    assert run.orders.end_words == ["filled", "cancelled", "cancelled", "open"]
    assert run.read["order_states"] == 5
    assert not run.rejected


def test_an_id_with_two_orders_is_kept_for_the_laws(tmp_path: Path) -> None:
    other = order("a", 3, 4, 400, 0, 90.0, 2, 0.0)
    report = audit(read_zipline(save(tmp_path / "run", orders=[*ORDERS, other])))
    assert report["order_ids_are_unique"].verdict is Verdict.FAIL


def test_rows_that_say_one_thing_twice_are_rejected(tmp_path: Path) -> None:
    run = read_zipline(save(tmp_path / "run", orders=[*ORDERS, ORDERS[0]], transactions=[*FILLS, FILLS[1]]))
    assert [(r.table, r.row) for r in run.rejected] == [("order_states", 5), ("fills", 4)]
    assert run.read["fills"] == 4
    assert len(run.fills) == 3
    assert audit(run)["values_are_valid"].verdict is Verdict.FAIL


def test_transactions_are_put_in_time_and_keep_their_rows(tmp_path: Path) -> None:
    run = read_zipline(save(tmp_path / "run", transactions=FILLS[::-1]))
    assert run.fills.row.tolist() == [3, 2, 1]


def test_a_size_that_is_no_number_is_rejected(tmp_path: Path) -> None:
    bad = FILLS[1] | {"price": math.inf}
    run = read_zipline(save(tmp_path / "run", transactions=[FILLS[0], bad, FILLS[2]]))
    assert [(r.row, r.field) for r in run.rejected] == [(2, "price")]
    assert audit(run)["values_are_valid"].verdict is Verdict.FAIL


def test_no_positions_at_the_end_are_a_position_of_none(tmp_path: Path) -> None:
    folder = save(tmp_path / "run")
    (folder / "positions.parquet").unlink()
    assert "position" not in read_zipline(folder).reported
    (folder / "positions.csv").write_text("sid,amount,cost_basis,last_sale_price\n")
    assert audit(read_zipline(folder))["position_sums_fills"].verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("table", "field", "value"),
    [
        ("orders", "status", "7"),
        ("orders", "limit", "low"),
        ("orders", "created", "yesterday"),
        ("orders", "dt", "1767571260"),
        ("orders", "amount", "many"),
        ("orders", "sid", "Equity(1 [Y])"),
        ("orders", "id", None),
        ("transactions", "order_id", None),
        ("transactions", "price", "dear"),
        ("transactions", "sid", "Equity(1 [Y])"),
        ("positions", "amount", "inf"),
    ],
)
def test_a_cell_that_cannot_be_read_is_named(tmp_path: Path, table: str, field: str, value: Any) -> None:
    folder = save(tmp_path / "run", ".csv")
    frame = pd.read_csv(folder / f"{table}.csv", dtype=object, keep_default_na=False)
    frame.loc[0, field] = value
    frame.to_csv(folder / f"{table}.csv", index=False)
    with pytest.raises(InputError) as caught:
        read_zipline(folder)
    assert caught.value.field == field


def test_orders_stand_as_they_were_sent_not_as_they_last_changed(tmp_path: Path) -> None:
    long = order("e", 1, 4, 500, 0, 98.0, 2, 0.0)
    run = read_zipline(save(tmp_path / "run", orders=[*ORDERS, long]))
    assert run.orders.order_id.tolist() == ["a", "b", "e", "c", "d"]
    assert run.orders.row.tolist() == [1, 2, 5, 3, 4]
    assert audit(run)["time_is_ordered"].verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("stated", "verdict"),
    [
        ({"orders": 4, "submits": 4, "transactions": 3}, Verdict.PASS),
        ({"orders": 5}, Verdict.PASS),  # the rows of two sessions
        ({"orders": 6}, Verdict.FAIL),
        ({"orders": 4, "submits": 6}, Verdict.FAIL),
        ({"orders": 6, "submits": 4}, Verdict.FAIL),
        ({"transactions": 4}, Verdict.FAIL),
    ],
)
def test_counts_of_the_parameters_are_held_against_the_rows(
    tmp_path: Path, stated: dict[str, int], verdict: Verdict
) -> None:
    before = order("c", 2, 3, -500, -100, 99.0, 0, 10.1)
    folder = save(tmp_path / "run", orders=[*ORDERS[:2], before, *ORDERS[2:]])
    (folder / "meta.json").write_text(json.dumps(stated))
    assert audit(read_zipline(folder))["totals_reconcile"].verdict is verdict


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
@pytest.mark.parametrize(
    ("limit", "stop", "kind"), [(None, None, "market"), (None, 99.0, "stop"), (101.0, 99.0, "stop limit")]
)
def test_orders_that_are_no_limit_orders_are_left_out_and_counted(
    tmp_path: Path, suffix: str, limit: float | None, stop: float | None, kind: str
) -> None:
    other = order("m", 1, 2, 700, 700, limit, 1, 70.0) | {"stop": stop}
    alone = read_zipline(save(tmp_path / "alone", suffix))
    run = read_zipline(
        save(tmp_path / "run", suffix, orders=[*ORDERS, other], transactions=[*FILLS, fill("m", 2, 700, 120.0)])
    )
    assert run.orders.order_id.tolist() == alone.orders.order_id.tolist()
    assert run.fills.ns.tolist() == alone.fills.ns.tolist()
    assert run.reported[f"{UNJUDGED}orders of type {kind}"] == 1
    assert run.reported[f"{UNJUDGED}executions of orders of type {kind}"] == 1
    assert {"position", "turnover", "fees"}.isdisjoint(run.reported)  # they are of all orders
    assert {"position", "turnover", "fees"} <= alone.reported.keys()
    assert audit(run).verdict is audit(alone).verdict is not Verdict.FAIL


def test_daily_bars_are_refused(tmp_path: Path) -> None:
    daily = [order("a", 0, 1440, 500, 500, 101.0, 1, 50.0)]
    with pytest.raises(InputError, match="data_frequency='minute'"):
        read_zipline(save(tmp_path / "run", orders=daily))


@pytest.mark.parametrize(
    "opt", [{"bar_label": "middle"}, {"size_unit": 0}, {"size_unit": "big"}, {"price_impact": "no"}]
)
def test_options_that_mean_nothing_are_refused(tmp_path: Path, opt: dict[str, Any]) -> None:
    folder = save(tmp_path / "run")
    (folder / "meta.json").write_text(json.dumps({"opt": opt}))
    with pytest.raises(InputError, match=r"meta\.json"):
        read_zipline(folder)


def test_other_folders_are_not_recognised(tmp_path: Path) -> None:
    assert not is_zipline(tmp_path)
    folder = save(tmp_path / "run")
    (folder / "transactions.parquet").unlink()
    assert not is_zipline(folder)
    with pytest.raises(InputError, match="transactions"):
        read_zipline(folder)


def shared() -> Path:
    if not SHARED.exists():
        pytest.skip("../shared/engines is not here")
    return SHARED / "zipline" / "fullvol"


def test_the_shared_output_has_labels_that_the_tape_contradicts() -> None:
    assert is_zipline(shared())
    report = audit(read_zipline(shared(), tape=TAPE))
    assert {t: report.run.read[t] for t in ("orders", "fills", "order_states", "end_positions")} == {
        "orders": 191, "fills": 54, "order_states": 191, "end_positions": 1,
    }  # fmt: skip
    assert not report.run.rejected
    failed = {j.law: j.failed for j in report.judgements if j.verdict is Verdict.FAIL}
    assert failed == {"fill_respects_limit": 15, "fills_have_trades": 12}
    assert report["position_sums_fills"].verdict is Verdict.PASS


def test_the_shared_output_is_explained_once_its_labels_are(tmp_path: Path) -> None:
    for file in shared().glob("*.parquet"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    options = {**UNITS["opt"], "commission": "0.0001", "bar_label": "start"}
    (tmp_path / "meta.json").write_text(json.dumps({"opt": options}))
    report = audit(read_zipline(tmp_path, tape=TAPE))
    assert not [str(f) for j in report.judgements if j.verdict is Verdict.FAIL for f in j.findings]
    assert report["fill_price_equals_trade"].verdict is Verdict.PASS
    assert report["fees_follow_schedule"].verdict is Verdict.PASS
    assert dict(report.justification)["through"] == 54


def test_a_transaction_later_than_the_last_change_of_its_order_is_a_finding(tmp_path: Path) -> None:
    for name in ("orders", "transactions"):
        pd.read_parquet(shared() / f"{name}.parquet").to_csv(tmp_path / f"{name}.csv", index=False)
    assert not audit(read_zipline(tmp_path))["orders_are_conserved"].failed
    frame = pd.read_csv(tmp_path / "transactions.csv")
    frame["dt"] = pd.to_datetime(frame["dt"])
    frame.loc[5, "dt"] += pd.Timedelta(minutes=9)
    frame.to_csv(tmp_path / "transactions.csv", index=False)
    assert audit(read_zipline(tmp_path))["orders_are_conserved"].failed == 1
