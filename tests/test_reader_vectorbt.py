"""The reader of vectorbt: orders from logs, fills from records, both forms of each, and what it refuses."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from invariants.auditing import audit
from invariants.readers.vectorbt import is_vectorbt, read_vectorbt
from invariants.readers.vectorbt_tables import LOG_NAMES, ORDER_NAMES
from invariants.verdict import Verdict
from simcore import InputError, Run

ENGINES = Path(__file__).parent.parent.parent / "shared" / "engines"
here = pytest.mark.skipif(not (ENGINES / "vectorbt").exists(), reason="../shared/engines is not here")

MINUTE = 60_000_000_000
START = pd.Timestamp("2026-01-05", tz="UTC")
LABELS = pd.date_range(START, periods=6, freq="1min", name="time")
NONE = float("nan")


def bar(number: int) -> int:
    return START.value + number * MINUTE


ORDERS = [
    # id, column, bar, size, price, fee, side
    (0, 0, 1, 0.30000000000000004, 100.0, 0.03, 0),
    (1, 0, 3, 0.1, 101.5, 0.01015, 1),
]
LOGS = [
    # log, column, bar, req_size, req_price, type, direction, rate, fixed, slippage, partial,
    # size, price, fee, side, status, id, cash before, cash after, position after
    (0, 0, 0, NONE, 100.0, 0, 2, 0.001, 0.0, 0.0, True, NONE, NONE, NONE, -1, 1, -1, 1000.0, 1000.0, 0.0),
    (
        1, 0, 1, 0.30000000000000004, 100.0, 0, 2, 0.001, 0.0, 0.0, True,
        0.30000000000000004, 100.0, 0.03, 0, 0, 0, 1000.0, 969.97, 0.30000000000000004,
    ),
    (2, 0, 2, 50.0, 100.0, 0, 2, 0.001, 0.0, 0.0, False, NONE, NONE, NONE, -1, 2, -1, 969.97, 969.97, 0.3),
    (3, 0, 3, -0.1, 101.5, 0, 2, 0.001, 0.0, 0.0, True, 0.1, 101.5, 0.01015, 1, 0, 1, 969.97, 980.1098499999999, 0.2),
]  # fmt: skip
CODES = {
    "side": {0: "Buy", 1: "Sell", -1: None},
    "status": {0: "Filled", 1: "Ignored", 2: "Rejected"},
    "size_type": {0: "Amount", 5: "TargetPercent"},
    "direction": {2: "Both", 1: "ShortOnly", 0: "LongOnly"},
}


def table(rows: list[tuple[Any, ...]], names: dict[str, tuple[str, str]], *, readable: bool) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(names))
    if readable:
        frame["bar"] = LABELS[frame["bar"]]
        for name in CODES.keys() & set(frame):
            frame[name] = frame[name].map(CODES[name])
    return frame.rename(columns={mine: pair[0 if readable else 1] for mine, pair in names.items()})


def save(frame: pd.DataFrame, folder: Path, stem: str, suffix: str) -> None:
    if suffix == ".parquet":
        frame.to_parquet(folder / f"{stem}{suffix}", index=False)
    else:
        frame.to_csv(folder / f"{stem}{suffix}", index=False)


def written(
    folder: Path,
    orders: list[tuple[Any, ...]] | None = None,
    logs: list[tuple[Any, ...]] | None = None,
    *,
    readable: bool = True,
    suffix: str = ".parquet",
    series: bool = True,
) -> Path:
    form = "readable" if readable else "records"
    save(table(orders or ORDERS, ORDER_NAMES, readable=readable), folder, f"orders_{form}", suffix)
    save(table(logs or LOGS, LOG_NAMES, readable=readable), folder, f"logs_{form}", suffix)
    if series:
        held = [0.0, 0.30000000000000004, 0.30000000000000004, 0.20000000000000004, 0.20000000000000004]
        cash = [1000.0, 969.97, 969.97, 980.1098499999999, 980.1098499999999]
        for name, values in (("assets", [*held, held[-1]]), ("cash", [*cash, cash[-1]])):
            pd.DataFrame({"0": values}, index=LABELS).to_csv(folder / f"{name}.csv")
    (folder / "meta.json").write_text(json.dumps({"engine": "vectorbt", "version": "1.2.0"}))
    return folder


def verdicts(run: Run) -> dict[str, Verdict]:
    return {j.law: j.verdict for j in audit(run).judgements}


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".csv.gz"])
@pytest.mark.parametrize("readable", [True, False])
def test_logs_are_orders_and_records_are_fills(tmp_path: Path, suffix: str, readable: bool) -> None:
    run = read_vectorbt(written(tmp_path, readable=readable, suffix=suffix))
    orders, fills = run.orders, run.fills
    assert orders.order_id.tolist() == [0, "log 2", 1]
    assert orders.side.tolist() == [1, 1, -1]
    assert [str(run.instrument.size(lots)) for lots in orders.size_lots.tolist()] == ["0.3", "50.0", "0.1"]
    assert [run.instrument.price(ticks) for ticks in orders.price_ticks.tolist()] == [100, 100, Decimal("101.5")]
    assert orders.submit_ns.tolist() == [bar(1) - 1, bar(2) - 1, bar(3) - 1]
    assert orders.end_ns.tolist() == [bar(2) - 1, bar(2) - 1, bar(4) - 1]
    assert orders.end_words == ["filled", "rejected", "filled"]
    assert orders.row.tolist() == [2, 3, 4]
    assert (fills.ns.tolist(), fills.ns_to.tolist()) == ([bar(1), bar(3)], [bar(2) - 1, bar(4) - 1])
    assert fills.order_id.tolist() == [0, 1]
    assert fills.side.tolist() == [1, -1]
    assert [str(run.instrument.size(lots)) for lots in fills.size_lots.tolist()] == ["0.3", "0.1"]
    assert [run.instrument.notional(fee) for fee in fills.fee] == [Decimal("0.03"), Decimal("0.01015")]
    assert run.positions.ns.tolist() == [bar(k + 1) - 1 for k in range(6)]
    assert [float(run.instrument.size(lots)) for lots in run.positions.position_lots.tolist()] == [
        0.0, 0.3, 0.3, 0.2, 0.2, 0.2,
    ]  # fmt: skip
    assert run.reported == {
        "position": Decimal("0.2"),
        "cash": Decimal("980.10985"),
        "initial_cash": 1000,
        "unjudged.skipped": 1,
    }
    assert run.read["logs"] == 4
    assert (run.rules.ttl_ns, run.rules.fee_rate) == (MINUTE, Decimal("0.001"))
    assert (run.engine, run.engine_version, run.provenance["submit_ns"]) == ("vectorbt", "1.2.0", "derived")
    assert [law for law, verdict in verdicts(run).items() if verdict is Verdict.FAIL] == []


def test_without_logs_there_are_fills_and_no_orders(tmp_path: Path) -> None:
    save(table(ORDERS, ORDER_NAMES, readable=True), tmp_path, "orders_readable", ".csv")
    run = read_vectorbt(tmp_path)
    assert (len(run.fills), len(run.orders), "orders" in run.read) == (2, 0, False)
    assert not run.rules.declares("fee_rate")
    assert run.reported == {}


def test_without_records_the_logs_say_what_was_filled(tmp_path: Path) -> None:
    save(table(LOGS, LOG_NAMES, readable=True), tmp_path, "logs_readable", ".parquet")
    run = read_vectorbt(tmp_path)
    assert run.fills.row.tolist() == [2, 4]
    assert run.positions.ns.tolist() == [bar(k + 1) - 1 for k in range(4)]
    assert [law for law, verdict in verdicts(run).items() if verdict is Verdict.FAIL] == []


def test_records_without_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the labels of the bars") as error:
        read_vectorbt(written(tmp_path, readable=False, series=False))
    assert error.value.field == "idx"


def log(**changes: Any) -> list[tuple[Any, ...]]:
    """The logs, with another first order."""
    one = dict(zip(LOG_NAMES, LOGS[1], strict=True)) | changes
    return [LOGS[0], tuple(one.values()), *LOGS[2:]]


def order(**changes: Any) -> list[tuple[Any, ...]]:
    """The records, with another first fill."""
    one = dict(zip(ORDER_NAMES, ORDERS[0], strict=True)) | changes
    return [tuple(one.values()), *ORDERS[1:]]


@pytest.mark.parametrize(
    ("orders", "law"),
    [
        (order(price=100.5), "fill_price_equals_limit"),
        (order(size=0.2), "fill_size_equals_quote_size"),
        (order(size=0.4), "no_double_fill"),
        (order(side=1), "fills_have_orders"),
        (order(bar=0), "fill_follows_submit"),
        (order(bar=2), "no_fill_after_expiry"),
        (order(fee=0.031), "fees_follow_schedule"),
        (order(id=7), "fills_have_orders"),
        (ORDERS[1:], "orders_are_conserved"),
    ],
)
def test_a_fill_that_its_log_contradicts_is_a_finding(tmp_path: Path, orders: list[tuple[Any, ...]], law: str) -> None:
    if law == "no_double_fill":  # under whole fills it is about a second fill
        law = "fill_size_equals_quote_size"
    assert verdicts(read_vectorbt(written(tmp_path, orders)))[law] is Verdict.FAIL


def test_a_repeated_id_is_a_rejected_row(tmp_path: Path) -> None:
    run = read_vectorbt(written(tmp_path, [*ORDERS, ORDERS[0]]))
    assert [(r.table, r.row, r.wanted) for r in run.rejected] == [("fills", 3, "an execution id never used before")]
    assert run.read["fills"] == 3


def test_a_position_or_cash_that_the_fills_do_not_make_is_a_finding(tmp_path: Path) -> None:
    written(tmp_path)
    for name, law in (("assets", "position_sums_fills"), ("cash", "cash_sums_fills")):
        file = tmp_path / f"{name}.csv"
        sound = file.read_text()
        lines = sound.splitlines()
        lines[-1] = lines[-1].rpartition(",")[0] + ",0.20001"
        file.write_text("\n".join(lines) + "\n")
        assert verdicts(read_vectorbt(tmp_path))[law] is Verdict.FAIL
        file.write_text(sound)


@pytest.mark.parametrize(("name", "field"), [("position_after", "New Position"), ("cash_after", "New Cash")])
def test_an_account_in_the_logs_that_the_series_contradict_is_a_finding(tmp_path: Path, name: str, field: str) -> None:
    names = list(LOG_NAMES)
    logs = [list(row) for row in LOGS]
    logs[2][names.index(name)] += 0.1
    run = read_vectorbt(written(tmp_path, logs=[tuple(row) for row in logs]))
    [rejected] = run.rejected
    assert (rejected.table, rejected.row, rejected.field) == ("logs", 3, field)
    assert verdicts(run)["values_are_valid"] is Verdict.FAIL


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "index"])
def test_an_index_that_pandas_wrote_besides_is_no_second_asset(tmp_path: Path, name: str) -> None:
    folder = written(tmp_path)
    plain = read_vectorbt(folder).to_frames()
    for stem in ("assets", "cash"):
        frame = pd.read_csv(folder / f"{stem}.csv")
        frame.insert(0, name, range(len(frame)))
        frame.to_csv(folder / f"{stem}.csv", index=False)
    for table_name, frame in read_vectorbt(folder).to_frames().items():
        pd.testing.assert_frame_equal(frame, plain[table_name])
    frame = pd.read_csv(folder / "assets.csv")
    frame.iloc[:, 0] += 1
    frame.to_csv(folder / "assets.csv", index=False)
    with pytest.raises(InputError, match="select one asset"):
        read_vectorbt(folder)


def test_slippage_moves_the_limit(tmp_path: Path) -> None:
    price = 100.0 * (1 + 0.001)
    logs = log(slippage=0.001, price=price, fee=price * 0.30000000000000004 * 0.001)
    fee = price * 0.30000000000000004 * 0.001
    run = read_vectorbt(written(tmp_path, order(price=price, fee=fee), logs))
    assert run.orders.price_ticks[0] == run.fills.price_ticks[0] == run.instrument.ticks("100.1")
    assert verdicts(run)["fees_follow_schedule"] is Verdict.PASS


@pytest.mark.parametrize(
    ("changes", "size"),
    [
        ({"req_size": 9.0}, "0.3"),  # cash, max_size or a granularity
        ({"req_size": 9.0, "partial": False}, "9.0"),
        ({"req_size": float("inf")}, "0.3"),  # all cash
        ({"req_size": 0.7, "size_type": 5}, "0.3"),  # a target
    ],
)
def test_the_size_of_an_order_is_what_was_accepted(tmp_path: Path, changes: dict[str, Any], size: str) -> None:
    run = read_vectorbt(written(tmp_path, logs=log(**changes)))
    assert str(run.instrument.size(int(run.orders.size_lots[0]))) == size


def test_a_short_direction_turns_the_size_around(tmp_path: Path) -> None:
    run = read_vectorbt(written(tmp_path, order(side=1), log(direction=1, side=1)))
    assert run.orders.side[0] == run.fills.side[0] == -1


def test_sizes_of_a_division_are_rounded_and_counted(tmp_path: Path) -> None:
    size = 1000 / 3.0001234567890123
    run = read_vectorbt(written(tmp_path, order(size=size), log(size=size, req_size=float("inf")), series=False))
    assert run.instrument.lot_size == Decimal("1E-12")
    assert run.reported["unjudged.rounded"] == 2
    assert verdicts(run)["fill_size_equals_quote_size"] is Verdict.PASS


def test_different_rates_are_no_schedule(tmp_path: Path) -> None:
    run = read_vectorbt(written(tmp_path, logs=log(rate=0.002)))
    assert not run.rules.declares("fee_rate")


def test_two_assets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one column") as error:
        read_vectorbt(written(tmp_path, order(column=1)))
    assert error.value.field == "Column"


def test_outputs_are_recognised_by_their_content(tmp_path: Path) -> None:
    assert not is_vectorbt(tmp_path)
    written(tmp_path, suffix=".csv")
    assert is_vectorbt(tmp_path)
    renamed = tmp_path / "fills.csv"
    (tmp_path / "orders_readable.csv").rename(renamed)
    assert is_vectorbt(renamed)
    assert len(read_vectorbt(renamed).fills) == 2
    assert not is_vectorbt(tmp_path / "assets.csv")
    assert not is_vectorbt(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("stem", "field", "value"),
    [
        ("orders_readable", "Side", "Long"),
        ("orders_readable", "Timestamp", "yesterday"),
        ("orders_readable", "Order Id", 0.5),
        ("orders_readable", "Price", "cheap"),
        ("logs_readable", "Result Status", "Lost"),
        ("logs_readable", "Request Size Type", "Dozens"),
        ("logs_readable", "Request Allow Partial", "maybe"),
    ],
)
def test_a_cell_that_means_nothing_is_refused_with_its_row(tmp_path: Path, stem: str, field: str, value: Any) -> None:
    file = written(tmp_path, suffix=".csv") / f"{stem}.csv"
    frame = pd.read_csv(file, dtype=object)
    frame.loc[1, field] = value
    frame.to_csv(file, index=False)
    with pytest.raises(InputError) as error:
        read_vectorbt(tmp_path)
    assert (error.value.file, error.value.row, error.value.field) == (str(file), 2, field)


@pytest.mark.parametrize("name", ["size", "price", "fee"])
def test_a_result_that_is_not_its_order_record_makes_a_rejected_row(tmp_path: Path, name: str) -> None:
    at = list(LOG_NAMES).index(name)
    run = read_vectorbt(written(tmp_path, logs=[*LOGS[:3], (*LOGS[3][:at], 0.7, *LOGS[3][at + 1 :])]))
    assert [(r.table, r.row, r.field) for r in run.rejected] == [("logs", 4, LOG_NAMES[name][0])]


@pytest.mark.parametrize("name", ["assets", "cash"])
def test_a_series_without_a_row_is_named(tmp_path: Path, name: str) -> None:
    folder = written(tmp_path)
    (folder / f"{name}.csv").write_text("time,0\n")
    with pytest.raises(InputError, match=rf"{name}\.csv.*a row for each bar"):
        read_vectorbt(folder)


def test_a_portfolio_without_logs_has_fills_and_no_orders(tmp_path: Path) -> None:
    """``pf.logs`` of a portfolio that was made without ``log=True`` is a table without rows."""
    folder = written(tmp_path)
    empty = table(LOGS, LOG_NAMES, readable=True).iloc[:0]
    save(empty, folder, "logs_readable", ".parquet")
    run = read_vectorbt(folder)
    assert "orders" not in run.read
    assert not [judged.law for judged in audit(run).judgements if judged.failed]


def test_a_price_that_is_no_number_makes_a_rejected_row(tmp_path: Path) -> None:
    run = read_vectorbt(written(tmp_path, order(price=np.inf)))
    assert [(r.table, r.row, r.field) for r in run.rejected] == [("fills", 1, "price")]


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    written(tmp_path)
    frame = pd.read_parquet(tmp_path / "logs_readable.parquet").drop(columns="Request Price")
    frame.to_parquet(tmp_path / "logs_readable.parquet")
    with pytest.raises(InputError) as error:
        read_vectorbt(tmp_path)
    assert error.value.field == "Request Price"


@here
def test_the_shared_output_agrees_with_itself_and_the_tape() -> None:
    tape = [ENGINES / "tape" / name for name in ("trades.parquet", "book.parquet")]
    run = read_vectorbt(ENGINES / "vectorbt" / "from_orders", tape=tape)
    assert (len(run.orders), len(run.fills), len(run.positions), run.read["logs"]) == (115, 115, 120, 120)
    assert run.reported["unjudged.skipped"] == 5
    found = {j.law: j for j in audit(run).judgements}
    assert [j.law for j in found.values() if j.verdict is Verdict.FAIL] == []
    for law in ("position_sums_fills", "cash_sums_fills", "fees_follow_schedule", "fills_have_trades"):
        assert found[law].verdict is Verdict.PASS, law
    assert not any(j.by_model for j in found.values())


@here
@pytest.mark.parametrize(
    "names",
    [
        ("orders_readable.csv", "logs_readable.csv", "assets.csv", "cash.csv"),
        ("orders_records.csv", "logs_records.csv", "assets.csv", "cash.csv"),
        ("orders_records.parquet", "logs_readable.parquet", "assets.csv", "cash.csv"),
    ],
)
def test_every_form_of_the_shared_output_gives_the_same_run(tmp_path: Path, names: tuple[str, ...]) -> None:
    source = ENGINES / "vectorbt" / "from_orders"
    for name in names:
        (tmp_path / name).write_bytes((source / name).read_bytes())
    mine, theirs = read_vectorbt(tmp_path).to_frames(), read_vectorbt(source).to_frames()
    for table_, frame in mine.items():
        pd.testing.assert_frame_equal(frame, theirs[table_])
