"""The reader of hftbacktest: what follows from order snapshots and a recorder, and what it refuses."""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from invariants.auditing import audit
from invariants.laws.justification import reasons
from invariants.readers.hftbacktest import is_hftbacktest, read_hftbacktest
from invariants.verdict import Verdict
from simcore import InputError, Run
from simcore.frames import UNJUDGED
from simcore.run import ABSENT

ENGINES = Path(__file__).parent.parent.parent / "shared" / "engines"
here = pytest.mark.skipif(not (ENGINES / "hftbacktest").exists(), reason="../shared/engines is not here")

S = 1_000_000_000
NAMES = (
    "now", "local_timestamp", "exch_timestamp", "order_id", "side", "status", "req",
    "price", "qty", "leaves_qty", "exec_qty", "exec_price", "position", "fee",
)  # fmt: skip
SENT, LIVE, ASKED = (0, 1), (1, 0), (1, 4)
PART, FILLED, CANCELLED = (5, 0), (3, 0), (4, 0)


def row(now: int, local: int, exch: int, name: int, side: int, state: tuple[int, int], **more: Any) -> tuple[Any, ...]:
    """One order at one moment; times in tenths of a second after the first second."""
    amounts = {"price": 100.0, "qty": 0.5, "leaves_qty": 0.5, "exec_qty": 0.0, "exec_price": 0.0}
    account = {"position": 0.0, "fee": 0.0}
    times = (S + t * S // 10 if t else 0 for t in (now, local, exch))
    return (*times, float(name), float(side), *map(float, state), *{**amounts, **account, **more}.values())


LEFT = {
    "leaves_qty": 0.30000000000000004,  # 0.4 - 0.1, in binary
    "exec_qty": 0.1,
    "exec_price": 100.0,
    "position": -0.30000000000000004,
    "fee": 0.019,
}

# order 1: two partial fills, then cancelled; order 2: takes the book on arrival
ROWS = [
    row(10, 10, 0, 1, 1, SENT),
    row(14, 10, 13, 1, 1, LIVE),
    row(20, 10, 19, 1, 1, PART, leaves_qty=0.4, exec_qty=0.1, exec_price=100.0, position=0.1, fee=-0.001),
    row(22, 22, 0, 2, -1, SENT, price=99.0, position=0.1, fee=-0.001),
    row(26, 22, 25, 2, -1, FILLED, price=99.0, leaves_qty=0.0, exec_qty=0.5, exec_price=99.5, position=-0.4, fee=0.02),
    row(30, 10, 29, 1, 1, PART, **LEFT),
    row(31, 31, 29, 1, 1, ASKED, **LEFT),
    row(35, 31, 34, 1, 1, CANCELLED, **LEFT),
]  # fmt: skip


def log_of(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(NAMES))
    return frame.astype(dict.fromkeys(NAMES[:3], "int64"))


def written(
    folder: Path, rows: list[tuple[Any, ...]] = ROWS, suffix: str = ".parquet", meta: dict[str, Any] | None = None
) -> Path:
    frame = log_of(rows)
    if suffix == ".parquet":
        frame.to_parquet(folder / "order_snapshots.parquet")
    else:
        frame.to_csv(folder / f"order_snapshots{suffix}", index=False)
    if meta is not None:
        (folder / "meta.json").write_text(json.dumps(meta))
    return folder


RECORD = [
    ("timestamp", "<i8"), ("price", "<f8"), ("position", "<f8"), ("balance", "<f8"), ("fee", "<f8"),
    ("num_trades", "<i8"), ("trading_volume", "<f8"), ("trading_value", "<f8"),
]  # fmt: skip


def recorded(folder: Path, *rows: tuple[Any, ...]) -> None:
    np.savez_compressed(folder / "recorder.npz", **{"0": np.array(list(rows), dtype=RECORD)})


def at(tenths: int) -> int:
    return S + tenths * S // 10


PARTIAL = {"engine": "hftbacktest", "version": "2.4.4", "rc": 1, "opt": {"ex": "partial", "entry": 3 * S // 10}}


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".csv.gz"])
def test_orders_and_fills_follow_from_the_snapshots(tmp_path: Path, suffix: str) -> None:
    run = read_hftbacktest(written(tmp_path, suffix=suffix, meta=PARTIAL))
    orders, fills = run.orders, run.fills
    assert orders.order_id.tolist() == [1, 2]
    assert orders.submit_ns.tolist() == [at(10), at(22)]
    assert orders.live_ns.tolist() == [at(13), ABSENT]
    assert orders.cancel_ns.tolist() == [at(31), ABSENT]
    assert orders.end_ns.tolist() == [at(34), at(25)]
    assert orders.end_words == ["cancelled", "filled"]
    assert orders.row.tolist() == [1, 4]
    assert fills.ns.tolist() == fills.ns_to.tolist() == [at(19), at(25), at(29)]
    assert fills.order_id.tolist() == [1, 2, 1]
    assert [str(run.instrument.size(lots)) for lots in fills.size_lots.tolist()] == ["0.1", "0.5", "0.1"]
    assert [run.instrument.price(ticks) for ticks in fills.price_ticks.tolist()] == [100, 99.5, 100]
    assert [str(run.instrument.notional(fee).normalize()) for fee in fills.fee] == ["-0.001", "0.021", "-0.001"]
    assert fills.row.tolist() == [3, 5, 6]
    assert run.read["order_events"] == 8
    assert run.provenance == dict.fromkeys(("submit_ns", "live_ns", "cancel_ns", "end_ns"), "native")
    assert (run.engine, run.engine_version, run.exit_code) == ("hftbacktest", "2.4.4", 0)
    assert (run.rules.latency_ns, run.rules.cancel_latency_ns, run.rules.sizing) == (3 * S // 10, 3 * S // 10, "trade")
    assert not run.rejected


def positions(run: Run) -> list[tuple[int, str]]:
    return [
        (ns, str(run.instrument.size(lots)))
        for ns, lots in zip(run.positions.ns.tolist(), run.positions.position_lots.tolist(), strict=True)
    ]


def test_a_position_stands_before_the_first_fill_that_it_cannot_know(tmp_path: Path) -> None:
    """The fill at 1.9 s is known from 2.0 s on."""
    recorded(
        tmp_path,
        (at(19), 0, 0.0, 0.0, 0.0, 0, 0.0, 0.0),
        (at(20), 0, 0.1, 0.0, 0.0, 1, 0.1, 0.0),
        (at(40), 0, -0.30000000000000004, 39.75, 0.019, 3, 0.7, 0.0),
    )
    run = read_hftbacktest(written(tmp_path))
    assert positions(run) == [(at(19) - 1, "0.0"), (at(20), "0.1"), (at(40), "-0.3")]
    judged = {j.law: j for j in audit(run).judgements}["position_sums_fills"]
    assert (judged.verdict, judged.judged) == (Verdict.PASS, 4)


def test_where_the_log_does_not_tell_what_had_arrived_the_position_does(tmp_path: Path) -> None:
    """Nobody looked between 1.4 s and 2.0 s; the record of 1.95 s may know the fill of 1.9 s, or not."""
    for position in (0.0, 0.1):
        recorded(tmp_path, (at(19) + 5, 0, position, 0.0, 0.0, 0, 0.0, 0.0))
        run = read_hftbacktest(written(tmp_path))
        assert {j.law: j for j in audit(run).judgements}["position_sums_fills"].judged
        assert positions(run)[0] == ((at(19) + 5, "0.1") if position else (at(19) - 1, "0.0"))


def test_the_response_latency_says_what_had_arrived(tmp_path: Path) -> None:
    meta = {**PARTIAL, "opt": {**PARTIAL["opt"], "resp": S // 10}}  # type: ignore[dict-item]
    recorded(tmp_path, (at(19) + 5, 0, 0.1, 0.0, 0.0, 0, 0.0, 0.0))
    run = read_hftbacktest(written(tmp_path, meta=meta))
    assert positions(run) == [(at(19) - 1, "0.1")]
    assert {j.law: j for j in audit(run).judgements}["position_sums_fills"].verdict is Verdict.FAIL


def test_a_position_that_misses_a_partial_fill_is_a_finding(tmp_path: Path) -> None:
    """https://github.com/nkaz001/hftbacktest/issues/316: only the last execution reaches the account."""
    recorded(tmp_path, (at(40), 0, -0.5, 0.0, 0.0, 1, 0.5, 0.0))
    run = read_hftbacktest(written(tmp_path, meta=PARTIAL))
    verdicts = {j.law: j.verdict for j in audit(run).judgements}
    assert verdicts["position_sums_fills"] is Verdict.FAIL
    assert verdicts["totals_reconcile"] is Verdict.FAIL


def test_totals_that_do_not_know_the_last_fill_are_not_judged(tmp_path: Path) -> None:
    recorded(tmp_path, (at(20), 0, 0.1, 0.0, 0.0, 1, 0.1, 0.0))
    rows = [r[:-2] for r in ROWS]
    frame = pd.DataFrame(rows, columns=list(NAMES[:-2])).astype(dict.fromkeys(NAMES[:3], "int64"))
    frame.to_parquet(tmp_path / "order_snapshots.parquet")
    assert set(read_hftbacktest(tmp_path).reported) == {
        f"unjudged.{name}" for name in ("position", "cash", "fees", "fills", "turnover")
    }


def test_several_executions_seen_at_once_happened_in_an_interval(tmp_path: Path) -> None:
    """The strategy looked at 1.4 s and at 4.0 s, where 0.2 were gone and the last execution was of 0.1."""
    late = row(40, 10, 29, 1, 1, PART, leaves_qty=0.3, exec_qty=0.1, exec_price=100.0)
    run = read_hftbacktest(written(tmp_path, [*ROWS[:2], late]))
    assert (run.fills.ns.tolist(), run.fills.ns_to.tolist()) == ([at(13)], [at(29)])


def test_a_fill_seen_with_the_cancel_happened_before_it(tmp_path: Path) -> None:
    late = row(40, 31, 34, 1, 1, CANCELLED, leaves_qty=0.4, exec_qty=0.1, exec_price=100.0)
    run = read_hftbacktest(written(tmp_path, [*ROWS[:2], late]))
    assert (run.fills.ns.tolist(), run.fills.ns_to.tolist()) == ([at(13)], [at(34)])
    assert run.orders.cancel_ns.tolist() == [at(31)]


def test_who_looks_at_each_response_sees_one_instant_at_a_time(tmp_path: Path) -> None:
    sweep = row(20, 10, 19, 1, 1, PART, leaves_qty=0.3, exec_qty=0.1, exec_price=100.0)
    run = read_hftbacktest(written(tmp_path, [*ROWS[:2], sweep]))
    assert (run.fills.ns.tolist(), run.fills.ns_to.tolist()) == ([at(19)], [at(19)])


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"exec_qty": 0.6}, "exec_qty"), ({"exec_price": 99.4}, "exec_price"), ({"exch": 26}, "exch_timestamp")],
)
def test_a_row_that_no_order_of_its_size_or_end_can_have_is_rejected(
    tmp_path: Path, changes: dict[str, Any], field: str
) -> None:
    done = {"price": 99.0, "leaves_qty": 0.0, "exec_qty": 0.5, "exec_price": 99.5, "position": -0.4, "fee": 0.02}
    again = row(27, 22, changes.pop("exch", 25), 2, -1, FILLED, **(done | changes))
    run = read_hftbacktest(written(tmp_path, [*ROWS[:5], row(27, 22, 25, 2, -1, FILLED, **done), again, *ROWS[5:]]))
    [rejected] = run.rejected
    assert (rejected.row, rejected.field) == (7, field)


def test_orders_end_open_or_vanish(tmp_path: Path) -> None:
    rows = [ROWS[0], row(12, 12, 0, 3, 1, SENT), row(15, 12, 14, 3, 1, LIVE)]
    run = read_hftbacktest(written(tmp_path, rows))
    assert run.orders.end_words == ["", "open"]
    assert {j.law: j for j in audit(run).judgements}["run_is_complete"].verdict is Verdict.FAIL


def test_an_id_that_is_used_again_is_a_second_order(tmp_path: Path) -> None:
    rows = [*ROWS, row(50, 50, 0, 1, -1, SENT, price=101.0)]
    run = read_hftbacktest(written(tmp_path, rows))
    assert run.orders.order_id.tolist() == [1, 2, 1]
    assert {j.law: j for j in audit(run).judgements}["order_ids_are_unique"].verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("field", "value"), [("price", 101.0), ("qty", 0.6), ("leaves_qty", 0.5), ("leaves_qty", np.nan), ("price", np.inf)]
)
def test_a_row_that_is_no_later_state_of_its_order_is_rejected(tmp_path: Path, field: str, value: float) -> None:
    frame = log_of(ROWS)
    frame.loc[5, field] = value
    frame.to_parquet(tmp_path / "order_snapshots.parquet")
    run = read_hftbacktest(tmp_path)
    assert [(r.table, r.row, r.field) for r in run.rejected] == [("order_events", 6, field)]


def test_a_log_that_runs_backwards_gives_fills_that_do(tmp_path: Path) -> None:
    run = read_hftbacktest(written(tmp_path, [*ROWS[3:5], *ROWS[:3]]))
    assert run.fills.ns.tolist() == [at(25), at(19)]


def test_without_parameters_only_what_every_run_has_is_declared(tmp_path: Path) -> None:
    run = read_hftbacktest(written(tmp_path))
    assert run.rules.initial_position_lots == 0
    assert run.rules.declares("initial_position_lots")
    assert not run.rules.declares("latency_ns")
    assert not run.rules.declares("cross")
    assert run.exit_code is None


@pytest.mark.parametrize(("rc", "code"), [(0, 0), (1, 0), (14, 14)])
def test_the_end_of_the_data_is_no_error(tmp_path: Path, rc: int, code: int) -> None:
    assert read_hftbacktest(written(tmp_path, meta={"rc": rc})).exit_code == code


def test_a_recorder_alone_gives_totals_that_nothing_holds(tmp_path: Path) -> None:
    recorded(tmp_path, (at(40), 0, -0.3, 39.75, 0.019, 3, 0.7, 0.0))
    run = read_hftbacktest(tmp_path / "recorder.npz")
    assert {name: str(value) for name, value in run.reported.items()} == {
        "position": "-0.3", "cash": "39.731", "fees": "0.019", "fills": "3", "turnover": "0.7",
    }  # fmt: skip
    assert not run.has_fills
    assert run.read == {"samples": 1}
    assert {j.verdict for j in audit(run).judgements} <= {Verdict.UNKNOWN, Verdict.NOT_APPLICABLE, Verdict.PASS}


def test_outputs_are_recognised_by_their_content(tmp_path: Path) -> None:
    assert not is_hftbacktest(tmp_path)
    assert not is_hftbacktest(tmp_path / "nothing")
    written(tmp_path, suffix=".csv.gz")
    assert is_hftbacktest(tmp_path)
    renamed = tmp_path / "mine.csv.gz"
    (tmp_path / "order_snapshots.csv.gz").rename(renamed)
    assert is_hftbacktest(renamed)
    recorded(tmp_path)
    (tmp_path / "recorder.npz").rename(tmp_path / "a.npz")
    assert is_hftbacktest(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", np.arange(9))
    assert not is_hftbacktest(tmp_path / "b.npz")
    assert read_hftbacktest(renamed).orders.order_id.tolist() == [1, 2]


def npz(folder: Path, data: bytes, name: str = "0.npy") -> Path:
    with zipfile.ZipFile(folder / "recorder.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return folder


def npy(array: Any, **more: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **more)
    return stream.getvalue()


def forged(shape: str) -> bytes:
    """An array that says it is larger than it is."""
    return npy(np.zeros(3, RECORD)).replace(b"(3,)", shape.encode(), 1)


@pytest.mark.parametrize(
    ("data", "name", "field"),
    [
        (npy(np.zeros(3, RECORD))[:-5], "0.npy", "0.npy"),
        (npy(np.array([None, {}], dtype=object), allow_pickle=True), "0.npy", "0.npy"),
        (npy(np.zeros((3, 3))), "0.npy", "0.npy"),
        (npy(np.zeros(3)), "0.npy", "timestamp"),
        (npy(np.zeros(3, [*RECORD[:1], *RECORD[2:]]))[:40], "0.npy", "0.npy"),
        (forged("(9,)"), "0.npy", "0.npy"),
        (b"no array at all", "0.npy", "0.npy"),
        (npy(np.zeros(3, RECORD)), "../0.npy", "arrays"),
        (npy(np.zeros(3, [("timestamp", "<f8"), *RECORD[1:]])), "0.npy", "timestamp"),
    ],
)
def test_a_recorder_that_is_none_is_refused(tmp_path: Path, data: bytes, name: str, field: str) -> None:
    with pytest.raises(InputError) as error:
        read_hftbacktest(npz(tmp_path, data, name) / "recorder.npz")
    assert (error.value.file, error.value.field) == (str(tmp_path / "recorder.npz"), field)


def test_a_recorder_that_unpacks_to_more_than_it_may_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("invariants.readers.hftbacktest_recorder.LARGEST_BYTES", 1000)
    with pytest.raises(InputError, match="wanted at most"):
        read_hftbacktest(npz(tmp_path, b"\0" * 1001) / "recorder.npz")


def test_a_truncated_recorder_is_refused(tmp_path: Path) -> None:
    recorded(tmp_path, *[(at(k), 0, 0.0, 0.0, 0.0, 0, 0.0, 0.0) for k in range(50)])
    file = tmp_path / "recorder.npz"
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(InputError, match="wanted a whole npz file"):
        read_hftbacktest(tmp_path)


@pytest.mark.parametrize(
    ("field", "value", "wanted"),
    [
        ("side", 2, "one of 1, -1"),
        ("status", 9, "one of 0, 1"),
        ("order_id", 1.5, "a whole number"),
        ("order_id", "one", "a number"),
        ("now", "1767571206.5", "whole nanoseconds"),
        ("price", "cheap", "a number"),
        ("leaves_qty", "1_0", "a number"),
    ],
)
def test_a_cell_that_means_nothing_is_refused_with_its_row(tmp_path: Path, field: str, value: Any, wanted: str) -> None:
    frame = log_of(ROWS).astype(object)
    frame.loc[2, field] = value
    frame.to_csv(tmp_path / "order_snapshots.csv", index=False)
    with pytest.raises(InputError, match=wanted) as error:
        read_hftbacktest(tmp_path)
    assert (error.value.row, error.value.field) == (3, field)


@pytest.mark.parametrize("name", NAMES[:-2])
def test_a_missing_column_is_named(tmp_path: Path, name: str) -> None:
    log_of(ROWS).drop(columns=name).to_parquet(tmp_path / "order_snapshots.parquet")
    with pytest.raises(InputError) as error:
        read_hftbacktest(tmp_path)
    assert error.value.field == name


def given(variant: str) -> Run:
    tape = [ENGINES / "tape" / name for name in ("trades.parquet", "book.parquet")]
    return read_hftbacktest(ENGINES / "hftbacktest" / variant, tape=tape)


@here
def test_the_whole_filling_exchange_keeps_to_its_documentation() -> None:
    run = given("nopartial_powerprob")
    assert (len(run.orders), len(run.fills), len(run.positions), run.read["order_events"]) == (2006, 423, 1199, 10620)
    assert Counter(run.orders.end_words) == {"cancelled": 1583, "filled": 423}
    assert Counter(reasons(run).tolist()) == {"through": 356, "book_cross": 52, "book_standing": 11, "at": 4}
    found = {j.law: j for j in audit(run).judgements}
    assert [j.law for j in found.values() if j.verdict is Verdict.FAIL] == []
    assert (found["position_sums_fills"].judged, found["cash_sums_fills"].verdict) == (1200, Verdict.PASS)
    assert {law: j.by_model for law, j in found.items() if j.by_model} == {
        "fill_price_equals_limit": 10, "fills_have_trades": 63, "crossed_orders_fill": 159,
    }  # fmt: skip


@here
def test_the_partly_filling_exchange_loses_executions_on_the_way_to_the_account() -> None:
    run = given("partial_riskadverse")
    assert (len(run.orders), len(run.fills), len(run.positions), run.read["order_events"]) == (1898, 400, 1199, 10007)
    assert Counter(run.orders.end_words) == {"cancelled": 1502, "filled": 396}
    assert bool((run.fills.ns == run.fills.ns_to).all())
    found = {j.law: j for j in audit(run).judgements}
    failed = {law: j.failed for law, j in found.items() if j.verdict is Verdict.FAIL}
    assert failed == {"position_sums_fills": 1093, "totals_reconcile": 2, "fills_have_trades": 1}
    # a taking order of 5.00 at the best offer, which was 1.39
    assert "order '1671' BUY 500 lots at 361680" in str(found["fills_have_trades"].findings[0]).replace(
        "order 1671", "order '1671'"
    )
    first = found["position_sums_fills"].findings[0]
    assert "position_lots=-868, but should be -1000" in str(first)


@here
def test_the_same_log_in_two_formats_gives_the_same_run(tmp_path: Path) -> None:
    source = ENGINES / "hftbacktest" / "partial_riskadverse"
    for name in ("order_snapshots.csv.gz", "recorder.npz", "meta.json"):
        (tmp_path / name).write_bytes((source / name).read_bytes())
    mine, theirs = read_hftbacktest(tmp_path).to_frames(), read_hftbacktest(source).to_frames()
    for table, frame in mine.items():
        pd.testing.assert_frame_equal(frame, theirs[table])


@here
def test_a_run_that_was_cut_is_not_what_its_parameters_state(tmp_path: Path) -> None:
    """The log and the recorder agree with each other; ``meta.json`` knows how long the run was."""
    source = ENGINES / "hftbacktest" / "nopartial_powerprob"
    log = pd.read_parquet(source / "order_snapshots.parquet")
    with np.load(source / "recorder.npz") as archive:
        states = archive["0"]
    until = int(log["now"].iloc[len(log) // 2])
    log[log["now"] <= until].to_parquet(tmp_path / "order_snapshots.parquet")
    np.savez_compressed(tmp_path / "recorder.npz", **{"0": states[states["timestamp"] <= until]})
    (tmp_path / "meta.json").write_bytes((source / "meta.json").read_bytes())
    found = {j.law for j in audit(read_hftbacktest(tmp_path)).judgements if j.verdict is Verdict.FAIL}
    assert {"run_is_complete", "totals_reconcile"} <= found


STATED = {
    "last_ts": at(40),
    "orders": 2,
    "num_trades": 3,
    "trading_volume": 0.7,
    "final_position": -0.30000000000000004,
}


def test_parameters_say_when_the_run_ended_and_what_it_came_to(tmp_path: Path) -> None:
    recorded(tmp_path, (at(40), 0, -0.3, 39.75, 0.019, 3, 0.7, 0.0))
    run = read_hftbacktest(written(tmp_path, meta=PARTIAL | STATED))
    assert (run.end_ns, run.last_event_ns) == (at(40), at(40))
    assert {name: str(run.reported[name]) for name in ("submits", "fills", "turnover", "position")} == {
        "submits": "2", "fills": "3", "turnover": "0.7", "position": "-0.3",
    }  # fmt: skip
    found = {j.law: j.verdict for j in audit(run).judgements}
    assert {found[law] for law in ("totals_reconcile", "position_sums_fills", "run_is_complete")} == {Verdict.PASS}


@pytest.mark.parametrize(
    ("name", "value", "law"),
    [
        ("last_ts", at(41), "run_is_complete"),
        ("orders", 20, "totals_reconcile"),
        ("num_trades", 4, "totals_reconcile"),
        ("trading_volume", 0.8, "totals_reconcile"),
        ("final_position", -0.4, "position_sums_fills"),
    ],
)
def test_parameters_that_contradict_the_rows_are_a_finding(tmp_path: Path, name: str, value: float, law: str) -> None:
    recorded(tmp_path, (at(40), 0, -0.3, 39.75, 0.019, 3, 0.7, 0.0))
    run = read_hftbacktest(written(tmp_path, meta=PARTIAL | STATED | {name: value}))
    assert {j.law: j for j in audit(run).judgements}[law].verdict is Verdict.FAIL


def test_a_recorder_that_contradicts_rows_and_parameters_is_a_finding(tmp_path: Path) -> None:
    recorded(tmp_path, (at(40), 0, -0.3, 39.75, 0.019, 2, 0.7, 0.0))
    run = read_hftbacktest(written(tmp_path, meta=PARTIAL | STATED))
    assert run.reported["fills"] == 2
    assert {j.law: j for j in audit(run).judgements}["totals_reconcile"].verdict is Verdict.FAIL


@pytest.mark.parametrize(("name", "rows"), [("log_rows", 8), ("recorder_rows", 1)])
def test_a_file_of_which_rows_are_missing_contradicts_the_parameters(tmp_path: Path, name: str, rows: int) -> None:
    recorded(tmp_path, (at(40), 0, -0.3, 39.75, 0.019, 3, 0.7, 0.0))
    for stated, verdict in ((rows, Verdict.PASS), (rows + 1, Verdict.FAIL)):
        run = read_hftbacktest(written(tmp_path, meta=PARTIAL | {name: stated}))
        assert {j.law: j for j in audit(run).judgements}["values_are_valid"].verdict is verdict


def test_a_round_count_is_held_to_its_last_digit(tmp_path: Path) -> None:
    run = read_hftbacktest(written(tmp_path, meta=PARTIAL | {"orders": 10}))
    assert run.reported["submits"].as_tuple().exponent == 0
    assert {j.law: j for j in audit(run).judgements}["totals_reconcile"].verdict is Verdict.FAIL


TAPE = pd.DataFrame({"ns": [at(24), at(25)], "price": [99.5, 99.5], "size": [1.0, 1.0], "aggressor": [1, 1]})


def judged_on(folder: Path, rows: list[tuple[Any, ...]], tape: pd.DataFrame, **opt: Any) -> dict[str, Any]:
    tape.to_csv(folder / "tape.csv", index=False)
    meta = PARTIAL | {"opt": {"ex": "partial", "entry": 3 * S // 10, **opt}}
    run = read_hftbacktest(written(folder, rows, meta=meta), tape=folder / "tape.csv")
    return {j.law: j for j in audit(run).judgements}


def test_a_better_price_is_the_model_on_arrival_alone(tmp_path: Path) -> None:
    found = judged_on(tmp_path, ROWS[3:5], TAPE)["fill_price_equals_limit"]
    assert (found.verdict, found.by_model) == (Verdict.PASS, 1)
    late = row(27, 22, 26, 2, -1, FILLED, price=99.0, leaves_qty=0.0, exec_qty=0.5, exec_price=99.5, position=-0.5)
    assert judged_on(tmp_path, [ROWS[3], late], TAPE)["fill_price_equals_limit"].verdict is Verdict.FAIL


@pytest.mark.parametrize(("trade", "verdict"), [(at(13), Verdict.PASS), (at(13) + 1, Verdict.FAIL)])
def test_a_trade_at_the_very_arrival_comes_before_the_request(tmp_path: Path, trade: int, verdict: Verdict) -> None:
    rows = [
        row(10, 10, 0, 1, 1, SENT),
        row(14, 10, 13, 1, 1, LIVE),
        row(31, 31, 13, 1, 1, ASKED),
        row(35, 31, 34, 1, 1, CANCELLED),
    ]
    tape = pd.DataFrame({"ns": [trade], "price": [99.0], "size": [1.0], "aggressor": [-1]})
    found = judged_on(tmp_path, rows, tape)["crossed_orders_fill"]
    assert (found.verdict, found.by_model) == (verdict, int(verdict is Verdict.PASS))


@pytest.mark.parametrize("tif", [1, 3])
def test_an_order_that_expires_on_arrival_is_not_crossed_later(tmp_path: Path, tif: int) -> None:
    """Post-only and immediate-or-cancel."""
    rows = [row(10, 10, 0, 1, 1, SENT), row(14, 10, 13, 1, 1, (2, 0))]
    tape = pd.DataFrame({"ns": [at(20)], "price": [99.0], "size": [1.0], "aggressor": [-1]})
    found = judged_on(tmp_path, rows, tape, tif=tif)["crossed_orders_fill"]
    assert (found.verdict, found.failed) == (Verdict.UNKNOWN, 0)


def test_an_order_that_was_modified_is_left_out_and_counted(tmp_path: Path) -> None:
    moved: dict[str, Any] = {"price": 99.0, "qty": 0.4, "leaves_qty": 0.4}
    rows = [
        *ROWS,
        row(40, 40, 0, 3, 1, SENT),
        row(44, 40, 43, 3, 1, LIVE),
        row(50, 50, 43, 3, 1, (1, 7), **moved),
        row(54, 50, 53, 3, 1, LIVE, **moved),
        row(60, 50, 59, 3, 1, FILLED, **(moved | {"leaves_qty": 0.0, "exec_qty": 0.4, "exec_price": 99.0})),
    ]
    run = read_hftbacktest(written(tmp_path, rows, meta=PARTIAL))
    assert (run.orders.order_id.tolist(), len(run.fills), run.rejected) == ([1, 2], 3, ())
    assert run.reported[f"{UNJUDGED}orders of type LIMIT that was modified"] == 1
    assert run.reported[f"{UNJUDGED}position"] == 0
    assert not [judged.law for judged in audit(run).judgements if judged.failed]


@pytest.mark.parametrize("kind", [0, 1])
def test_market_orders_are_left_out_and_counted(tmp_path: Path, kind: int) -> None:
    frame = log_of(ROWS).assign(order_type=[float(kind if name == 2 else 0) for name in log_of(ROWS).order_id])
    frame.to_parquet(tmp_path / "order_snapshots.parquet")
    run = read_hftbacktest(tmp_path)
    assert run.orders.order_id.tolist() == [1, 2][: 2 - kind]
    assert run.reported.get(f"{UNJUDGED}executions of orders of type MARKET") == (1 if kind else None)


def test_a_type_of_order_that_nobody_knows_is_named(tmp_path: Path) -> None:
    log_of(ROWS).assign(order_type=7).to_parquet(tmp_path / "order_snapshots.parquet")
    with pytest.raises(InputError, match="order_type"):
        read_hftbacktest(tmp_path)
