"""The reader of NautilusTrader: order events, or the reports of orders and fills."""

from __future__ import annotations

import csv
import gzip
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from invariants.laws import LAWS, law_named
from invariants.readers.nautilus import is_nautilus, read_nautilus
from invariants.verdict import Verdict
from simcore import InputError, Run
from simcore.rules import DIALS, presets
from simcore.run import ABSENT, counted

SHARED = Path(__file__).parent.parent.parent / "shared" / "engines"
T0 = 1_767_571_206_000_000_000
MS = 1_000_000
A, B = "O-20260105-000006-001-000-1", "O-20260105-000006-001-000-2"

OPTIONS = {
    "book": "L1",
    "quotes": True,
    "trades": True,
    "bars": None,
    "trade_exec": True,
    "prob_limit": 1.0,
    "prob_slip": 0.0,
    "lat_ins": 300,
    "lat_can": 200,
}


def event(kind: str, order_id: str, ms: int, **more: Any) -> dict[str, Any]:
    """An event as ``to_dict`` gives it, cut down to what identifies it."""
    return {
        "type": kind,
        "trader_id": "T-001",
        "strategy_id": "MM-000",
        "instrument_id": "ETH/JPY.SIM",
        "client_order_id": order_id,
        "event_id": f"{kind}-{order_id}-{ms}-{more.get('trade_id', '')}",
        "ts_event": T0 + ms * MS,
        "ts_init": T0 + ms * MS,
        **more,
    }


def initialized(order_id: str, ms: int, side: str, price: str, **more: Any) -> dict[str, Any]:
    options = {"price": price, "display_qty": None, "expire_time_ns": 0, **more.pop("options", {})}
    more = {"order_type": "LIMIT", "quantity": "5.00", "quote_quantity": False, "post_only": False, **more}
    return event("OrderInitialized", order_id, ms, order_side=side, options=options, **more)


def filled(order_id: str, ms: int, side: str, size: str, price: str, trade_id: str, **more: Any) -> dict[str, Any]:
    more = {"commission": "-39 JPY", "currency": "JPY", "order_type": "LIMIT", "liquidity_side": "MAKER", **more}
    return event("OrderFilled", order_id, ms, order_side=side, last_qty=size, last_px=price, trade_id=trade_id, **more)


def two_orders() -> list[dict[str, Any]]:
    """A buy that fills in two parts, the second while its cancel is on its way; a sell that is cancelled."""
    return [
        initialized(A, 0, "BUY", "361076"),
        event("OrderSubmitted", A, 0),
        event("OrderAccepted", A, 310),
        filled(A, 900, "BUY", "1.07", "361076", "SIM-1-002"),
        event("OrderPendingCancel", A, 1000),
        filled(A, 1100, "BUY", "3.93", "361076", "SIM-1-003", commission="-142 JPY"),
        event("OrderCancelRejected", A, 1300, reason="not found"),
        initialized(B, 0, "SELL", "361221"),
        event("OrderSubmitted", B, 0),
        event("OrderAccepted", B, 310),
        filled(B, 900, "SELL", "0.50", "361221", "SIM-1-001", commission="-18 JPY"),
        event("OrderPendingCancel", B, 1000),
        event("OrderCanceled", B, 1250),
    ]


def write_events(folder: Path, events: list[dict[str, Any]], *, opt: dict[str, Any] | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(e) + "\n" for e in events)
    (folder / "order_events.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    if opt is not None:
        meta = {"engine": "nautilus_trader", "version": "1.231.0", "variant": "tiny", "opt": opt}
        (folder / "meta.json").write_text(json.dumps(meta))
    return folder


ORDERS = {
    "client_order_id": [A, B],
    "trader_id": ["T-001"] * 2,
    "strategy_id": ["MM-000"] * 2,
    "venue_order_id": ["SIM-1-001", "SIM-1-002"],
    "type": ["LIMIT"] * 2,
    "side": ["BUY", "SELL"],
    "quantity": ["5.00"] * 2,
    "price": ["361076", "361221"],
    "time_in_force": ["GTC"] * 2,
    "status": ["FILLED", "CANCELED"],
    "ts_init": [T0, T0],
    "ts_last": [T0 + 1100 * MS, T0 + 1250 * MS],
}
FILLS = {
    "client_order_id": [A, A, B],
    "trader_id": ["T-001"] * 3,
    "strategy_id": ["MM-000"] * 3,
    "venue_order_id": ["SIM-1-001", "SIM-1-001", "SIM-1-002"],
    "trade_id": ["SIM-1-002", "SIM-1-003", "SIM-1-001"],
    "order_side": ["BUY", "BUY", "SELL"],
    "order_type": ["LIMIT"] * 3,
    "last_qty": ["1.07", "3.93", "0.50"],
    "last_px": ["361076", "361076", "361221"],
    "currency": ["JPY"] * 3,
    "commission": ["-39 JPY", "-142 JPY", "-18 JPY"],
    "ts_event": pd.to_datetime([T0 + 900 * MS, T0 + 1100 * MS, T0 + 900 * MS], utc=True),
}
POSITIONS = {
    "position_id": ["P-1", "P-1"],
    "side": ["FLAT", "LONG"],
    "quantity": ["0.00", "4.50"],
    "is_snapshot": [True, False],
}


def write_reports(folder: Path, *, form: str, **changed: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    tables = {"orders": ORDERS, "fills": FILLS, "positions": POSITIONS}
    for name, columns in tables.items():
        frame = pd.DataFrame({**columns, **changed.get(name, {})})
        if form == "parquet":
            frame.set_index(frame.columns[0]).to_parquet(folder / f"{name}.parquet")
        else:
            frame.to_csv(folder / f"{name}.csv.gz", index=False)
    return folder


def columns_of(run: Run) -> dict[str, Any]:
    orders, fills = run.orders, run.fills
    return {
        "order_id": orders.order_id.tolist(),
        "side": orders.side.tolist(),
        "price": orders.price_ticks.tolist(),
        "size": orders.size_lots.tolist(),
        "submit": since(orders.submit_ns.tolist()),
        "live": since(orders.live_ns.tolist()),
        "cancel": since(orders.cancel_ns.tolist()),
        "end": list(zip(orders.end_words, since(orders.end_ns.tolist()), strict=True)),
        "fill": list(zip(fills.order.tolist(), since(fills.ns.tolist()), strict=True)),
        "fill_side": fills.side.tolist(),
        "fill_price": fills.price_ticks.tolist(),
        "fill_size": fills.size_lots.tolist(),
        "fee": [run.instrument.notional(fee) for fee in fills.fee],
    }


def since(times: list[int]) -> list[int | None]:
    """Milliseconds since ``T0``."""
    return [None if ns == ABSENT else (ns - T0) // MS for ns in times]


SAME = {
    "order_id": [A, B],
    "side": [1, -1],
    "price": [361076, 361221],
    "size": [500, 500],
    "submit": [0, 0],
    "end": [("filled", 1100), ("cancelled", 1250)],
    "fill": [(1, 900), (0, 900), (0, 1100)],
    "fill_side": [-1, 1, 1],
    "fill_price": [361221, 361076, 361076],
    "fill_size": [50, 107, 393],
    "fee": [-18, -39, -142],
}
"""What the events and the reports of ``two_orders`` both tell; fills by time, then by trade id."""


def test_events_become_orders_with_their_whole_life_and_fills_in_order_of_time(tmp_path: Path) -> None:
    run = read_nautilus(write_events(tmp_path / "run", two_orders(), opt=OPTIONS))
    assert columns_of(run) == {**SAME, "live": [310, 310], "cancel": [1000, 1000]}
    assert run.orders.row.tolist() == [1, 8]
    assert run.fills.row.tolist() == [11, 4, 6]
    assert set(run.provenance.values()) == {"native"}
    assert run.read == {"orders": 2, "fills": 3, "order_events": 13}
    assert run.last_event_ns == T0 + 1300 * MS
    assert not run.rejected
    assert (run.engine, run.engine_version, run.name) == ("nautilus_trader", "1.231.0", "tiny")
    assert sorted(Path(file).name for file in run.inputs) == ["meta.json", "order_events.jsonl.gz"]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_reports_alone_know_neither_acceptance_nor_the_request_to_cancel(tmp_path: Path, form: str) -> None:
    folder = write_reports(tmp_path / "run", form=form)
    run = read_nautilus(folder)
    assert is_nautilus(folder)
    assert columns_of(run) == {**SAME, "live": [None, None], "cancel": [None, None]}
    assert [run.provenance[name] for name in ("submit_ns", "live_ns", "cancel_ns", "end_ns")] == [
        "native",
        "absent",
        "absent",
        "native",
    ]
    assert run.reported == {"position": Decimal("4.50")}


def test_reports_beside_the_events_are_totals_to_reconcile(tmp_path: Path) -> None:
    write_reports(tmp_path / "run", form="csv")
    run = read_nautilus(write_events(tmp_path / "run", two_orders(), opt=OPTIONS))
    assert run.orders.live_ns.tolist() == [T0 + 310 * MS] * 2
    want = {"submits": 2, "orders_filled": 1, "orders_cancelled": 1, "orders_open": 0, "orders_rejected": 0}
    want |= {"orders_expired": 0, "fills": 3, "buys": 2, "sells": 1, "unjudged.refused_cancels": 1}
    money = {"turnover": Decimal("5.50"), "fees": Decimal(-199), "position": Decimal("4.50")}
    assert run.reported == {**want, **money}
    alone = read_nautilus(tmp_path / "run" / "fills.csv.gz")
    assert alone.provenance["live_ns"] == "absent"


@pytest.mark.parametrize(
    ("name", "column", "value", "law"),
    [
        ("orders", "price", "1", "price"),
        ("orders", "quantity", "77", "quantity"),
        ("orders", "side", "SELL", "side"),
        ("fills", "last_px", "1", "last_px"),
        ("fills", "order_side", "SELL", "order_side"),
    ],
)
def test_a_row_of_a_report_that_the_events_contradict_is_rejected(
    tmp_path: Path, name: str, column: str, value: str, law: str
) -> None:
    folder = write_events(tmp_path / "run", two_orders(), opt=OPTIONS)
    write_reports(folder, form="csv")
    assert not read_nautilus(folder).rejected
    table = {"orders": ORDERS, "fills": FILLS}[name]
    row = next(at for at, was in enumerate(table[column]) if was != value)
    changed = [value if at == row else was for at, was in enumerate(table[column])]
    write_reports(folder, form="csv", **{name: {column: changed}})
    [bad] = read_nautilus(folder).rejected
    assert (bad.table, bad.row, bad.field) == (f"{name}_report", row + 1, law)


def test_a_report_with_a_row_twice_does_not_agree_with_the_events(tmp_path: Path) -> None:
    twice = {name: [*values, values[0]] for name, values in FILLS.items()}
    write_reports(tmp_path / "run", form="csv", fills=twice)
    assert read_nautilus(write_events(tmp_path / "run", two_orders())).reported["fills"] == 4
    (row,) = read_nautilus(tmp_path / "run" / "fills.csv.gz").rejected
    assert (row.table, row.row, row.field, row.got) == ("fills", 4, "trade_id", "SIM-1-002")


@pytest.mark.parametrize(
    ("version", "change", "profile"),
    [
        ("1.231.0", {}, "nautilus-l1"),
        ("1.222.0", {"book": "L1_MBP"}, "nautilus-l1"),
        ("1.221.0", {}, "nautilus-l1-1.221"),
        ("1.231.0", {"quotes": False}, "nautilus-trades"),
        ("1.221.0", {"quotes": False}, "nautilus-trades-1.221"),
        ("1.231.0", {"book": "L2", "quotes": False}, "nautilus-l2"),
        ("1.231.0", {"trade_exec": False}, "nautilus-quotes"),
        ("1.221.0", {"book": "L2", "quotes": False}, "nautilus-l2-1.221"),
        ("1.231.0", {"book": "L2", "quotes": False, "trade_exec": False}, None),
        ("1.231.0", {"bars": "1-MINUTE"}, None),
        ("1.231.0", {"bars": "1-MINUTE", "quotes": False, "trades": False}, "nautilus-bars"),
        ("1.231.0", {"extra": {"queue_position": True}}, "nautilus-l1-queue-position"),
        ("1.231.0", {"extra": {"liquidity_consumption": True}}, "nautilus-l1-liquidity"),
        ("1.231.0", {"extra": {"queue_position": True, "liquidity_consumption": True}}, "nautilus-l1-queue"),
        ("1.231.0", {"book": "L2", "quotes": False, "extra": {"queue_position": True}}, "nautilus-l2-queue-position"),
        ("1.231.0", {"book": "L2", "quotes": False, "extra": {"liquidity_consumption": True}}, "nautilus-l2-liquidity"),
        (
            "1.231.0",
            {"book": "L2", "quotes": False, "extra": {"queue_position": True, "liquidity_consumption": True}},
            "nautilus-l2-queue",
        ),
        ("", {}, None),
    ],
)
def test_version_and_mode_choose_the_profile(
    tmp_path: Path, version: str, change: dict[str, Any], profile: str | None
) -> None:
    folder = write_events(tmp_path / "run", two_orders())
    opt = {**OPTIONS, **change}
    (folder / "meta.json").write_text(json.dumps({"engine": "nautilus_trader", "version": version, "opt": opt}))
    rules = read_nautilus(folder).rules
    assert (rules.latency_ns, rules.cancel_latency_ns, rules.ttl_ns) == (300 * MS, 200 * MS, None)
    if profile is None:
        assert not rules.declares("pricing")
        assert not rules.documented
        assert rules.declares("initial_position_lots", "position_cap_lots", "cap_action")
        assert (rules.initial_position_lots, rules.position_cap_lots) == (0, None)
    else:
        assert rules.documented == read_nautilus(folder, rules=profile).rules.documented
        assert rules.declares("pricing", "priority", "cancel_tie")
        assert rules.declares("cross") == (profile not in ("nautilus-quotes", "nautilus-bars"))


AT_LIMIT = {"crossed_orders_fill.at_limit", "priority_is_respected.at_limit"}
SLIPPED = {"fill_respects_limit.slipped", "fill_price_equals_limit.slipped"}


@pytest.mark.parametrize(
    ("version", "change", "profile", "more"),
    [
        ("1.231.0", {"prob_limit": 0.0}, "nautilus-l1", AT_LIMIT),
        ("1.221.0", {"prob_limit": 0.5}, "nautilus-l1-1.221", AT_LIMIT),
        ("1.231.0", {"prob_slip": 0.1}, "nautilus-l1", SLIPPED),
        ("1.231.0", {"prob_limit": 0.5, "prob_slip": 1}, "nautilus-l1", AT_LIMIT | SLIPPED),
        ("1.231.0", {"prob_slip": 0.1, "book": "L2", "quotes": False}, "nautilus-l2", set()),
        # only orders of a market type slipped then
        ("1.221.0", {"prob_slip": 0.1}, "nautilus-l1-1.221", set()),
        ("1.231.0", {"prob_limit": None, "prob_slip": None}, "nautilus-l1", set()),
    ],
)
def test_a_fill_model_with_chance_documents_what_it_does_and_nothing_else(
    tmp_path: Path, version: str, change: dict[str, Any], profile: str, more: set[str]
) -> None:
    folder = write_events(tmp_path / "run", two_orders())
    meta = {"engine": "nautilus_trader", "version": version, "opt": {**OPTIONS, **change}}
    (folder / "meta.json").write_text(json.dumps(meta))
    plain = read_nautilus(folder, rules=profile).rules
    rules = read_nautilus(folder).rules
    assert set(rules.documented) == set(plain.documented) | more
    assert rules.undeclared == plain.undeclared
    assert all("https://" in rules.documented[name] for name in more)


@pytest.mark.parametrize(("name", "value"), [("prob_limit", "half"), ("prob_slip", True), ("prob_limit", 1.5)])
def test_a_probability_that_is_none_is_an_error(tmp_path: Path, name: str, value: Any) -> None:
    folder = write_events(tmp_path / "run", two_orders(), opt={**OPTIONS, name: value})
    with pytest.raises(InputError, match="a number from 0 to 1") as caught:
        read_nautilus(folder)
    assert caught.value.field == name


def test_the_position_is_judged_in_a_mode_without_a_profile(tmp_path: Path) -> None:
    write_reports(tmp_path / "run", form="csv")
    run = read_nautilus(write_events(tmp_path / "run", two_orders()))
    assert not run.rules.declares("cross")
    assert law_named("position_sums_fills").judge(run).verdict is Verdict.PASS


TYPES = {
    "OrderInitialized": 2,
    "OrderSubmitted": 2,
    "OrderAccepted": 2,
    "OrderFilled": 3,
    "OrderPendingCancel": 2,
    "OrderCancelRejected": 1,
    "OrderCanceled": 1,
}


def write_counts(folder: Path, **counts: Any) -> None:
    meta = {"engine": "nautilus_trader", "version": "1.231.0", "opt": OPTIONS, **counts}
    (folder / "meta.json").write_text(json.dumps(meta))


@pytest.mark.parametrize(
    "counts",
    [{"order_event_types": TYPES}, {"total_orders": 2}, {"reports": {"orders": {"rows": 2}, "fills": {"rows": 3}}}],
)
def test_counts_beside_a_cut_file_of_events_contradict_it(tmp_path: Path, counts: dict[str, Any]) -> None:
    folder = write_events(tmp_path / "run", two_orders())
    write_counts(folder, **counts)
    assert law_named("totals_reconcile").judge(read_nautilus(folder)).verdict is Verdict.PASS
    write_events(folder, two_orders()[:7])
    judgement = law_named("totals_reconcile").judge(read_nautilus(folder))
    assert judgement.verdict is Verdict.FAIL
    assert judgement.findings[0].file.endswith("meta.json")


def test_a_total_that_is_told_twice_is_the_one_that_the_events_contradict(tmp_path: Path) -> None:
    folder = write_events(tmp_path / "run", two_orders())
    write_counts(folder, order_event_types=TYPES, total_orders=9)
    assert read_nautilus(folder).reported["submits"] == 9
    write_counts(folder, order_event_types={**TYPES, "OrderFilled": 8}, reports={"fills": {"rows": 3}})
    assert read_nautilus(folder).reported["fills"] == 8
    write_reports(folder, form="csv", fills={name: [*values, values[0]] for name, values in FILLS.items()})
    write_counts(folder, order_event_types=TYPES)
    assert read_nautilus(folder).reported["fills"] == 4


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_counts_hold_reports_alone_as_well(tmp_path: Path, form: str) -> None:
    folder = write_reports(tmp_path / "run", form=form)
    write_counts(folder, order_event_types={**TYPES, "OrderFilled": 4})
    run = read_nautilus(folder)
    assert (run.reported["fills"], run.reported["submits"], run.reported["orders_cancelled"]) == (4, 2, 1)
    (folder / next(folder.glob("orders.*")).name).unlink()
    assert "submits" not in read_nautilus(folder).reported


@pytest.mark.parametrize(
    ("counts", "field"),
    [
        ({"order_event_types": {"OrderFilled": "3"}}, "OrderFilled"),
        ({"order_event_types": {"OrderFilled": -3}}, "OrderFilled"),
        ({"order_event_types": [3]}, "order_event_types"),
        ({"total_orders": 2.0}, "total_orders"),
        ({"reports": {"fills": 3}}, "reports.fills"),
    ],
)
def test_a_count_that_is_none_is_an_error(tmp_path: Path, counts: dict[str, Any], field: str) -> None:
    folder = write_events(tmp_path / "run", two_orders())
    write_counts(folder, **counts)
    with pytest.raises(InputError) as caught:
        read_nautilus(folder)
    assert caught.value.field == field


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_fill_as_a_taker_tells_reports_alone_when_its_order_arrived(tmp_path: Path, form: str) -> None:
    sides = {"liquidity_side": ["TAKER", "TAKER", "MAKER"], "last_px": ["361070", "361076", "361221"]}
    run = read_nautilus(write_reports(tmp_path / "run", form=form, fills=sides), rules="nautilus-l1")
    assert columns_of(run)["live"] == [900, None]
    assert run.provenance["live_ns"] == "derived"
    judgement = law_named("fill_price_equals_limit").judge(run)
    assert (judgement.verdict, [(m.kind, m.count) for m in judgement.modelled]) == (Verdict.PASS, [("on_arrival", 1)])


def test_a_better_price_later_than_the_arrival_is_no_model(tmp_path: Path) -> None:
    events = two_orders()
    early = [{**events[3], "ts_event": T0 + 310 * MS, "last_px": "361070"}]
    run = read_nautilus(write_events(tmp_path / "early", [*events[:3], *early, *events[4:]], opt=OPTIONS))
    assert law_named("fill_price_equals_limit").judge(run).verdict is Verdict.PASS
    late = [{**events[3], "last_px": "361070"}]
    run = read_nautilus(write_events(tmp_path / "late", [*events[:3], *late, *events[4:]], opt=OPTIONS))
    assert law_named("fill_price_equals_limit").judge(run).verdict is Verdict.FAIL


def test_every_profile_of_the_engine_names_a_source_for_each_dial() -> None:
    from simcore import Rules

    names = [name for name in presets() if name.startswith("nautilus")]
    assert len(names) == 14
    for name in names:
        rules = Rules.load(name)
        assert set(rules.sources) == set(DIALS) - rules.undeclared, name
        assert all("https://" in text for text in (*rules.sources.values(), *rules.documented.values())), name


def test_no_profile_excuses_the_wrong_aggressor_or_more_than_the_shared_volume() -> None:
    from simcore import Rules

    for name in presets():
        if name.startswith("nautilus"):
            assert "fills_have_trades.wrong_side" not in Rules.load(name).documented
            assert "fill_price_equals_limit.better" not in Rules.load(name).documented
            shared = Rules.load(name).declares("sizing") and Rules.load(name).sizing == "shared"
            for kind in ("reused", "through") if shared else ():
                assert f"trade_volume_is_not_oversold.{kind}" not in Rules.load(name).documented
            if "l2" in name:  # only an L1 book that moves through a limit fills all the rest
                assert "trade_volume_is_not_oversold.through" not in Rules.load(name).documented
    assert "fills_have_trades.book_standing" not in Rules.load("nautilus-trades-1.221").documented


def test_without_parameters_only_what_every_mode_shares_and_the_life_span_are_declared(tmp_path: Path) -> None:
    run = read_nautilus(write_events(tmp_path / "run", two_orders()))
    assert not run.rules.declares("cross")
    assert set(DIALS) - run.rules.undeclared == {"initial_position_lots", "position_cap_lots", "cap_action", "ttl_ns"}
    assert run.name == "run"


def test_an_order_that_expires_by_itself_states_its_life_span(tmp_path: Path) -> None:
    events = [
        initialized(A, 0, "BUY", "361076", options={"expire_time_ns": T0 + 5000 * MS}),
        event("OrderSubmitted", A, 0),
        event("OrderAccepted", A, 310),
        event("OrderExpired", A, 5000),
    ]
    run = read_nautilus(write_events(tmp_path / "one", events))
    assert run.rules.ttl_ns == 5000 * MS
    assert columns_of(run)["end"] == [("expired", 5000)]
    mixed = [*events, initialized(B, 0, "SELL", "361221"), event("OrderSubmitted", B, 0)]
    assert not read_nautilus(write_events(tmp_path / "two", mixed)).rules.declares("ttl_ns")


@pytest.mark.parametrize(("kind", "end", "submit"), [("OrderRejected", "rejected", 2), ("OrderDenied", "rejected", 0)])
def test_an_order_that_was_turned_away_ended_there(tmp_path: Path, kind: str, end: str, submit: int) -> None:
    sent = [event("OrderSubmitted", A, 2)] if kind == "OrderRejected" else []
    events = [initialized(A, 0, "BUY", "361076"), *sent, event(kind, A, 310, reason="POST_ONLY")]
    shown = columns_of(read_nautilus(write_events(tmp_path / "run", events)))
    assert (shown["end"], shown["submit"], shown["live"]) == ([(end, 310)], [submit], [None])


def test_a_cancel_that_the_venue_refused_while_the_order_was_open_is_none(tmp_path: Path) -> None:
    events = [
        *two_orders()[7:10],
        event("OrderPendingCancel", B, 400),
        event("OrderCancelRejected", B, 500, reason="not found"),
        event("OrderPendingCancel", B, 1000),
        event("OrderCanceled", B, 1250),
    ]
    run = read_nautilus(write_events(tmp_path / "run", events))
    assert columns_of(run)["cancel"] == [1000]
    assert run.reported == {"unjudged.refused_cancels": 1}


def test_an_order_without_an_end_is_open(tmp_path: Path) -> None:
    shown = columns_of(read_nautilus(write_events(tmp_path / "run", two_orders()[:4])))
    assert shown["end"] == [("open", None)]


def test_a_change_that_changes_nothing_is_nothing(tmp_path: Path) -> None:
    events = two_orders()
    events[3:3] = [
        event("OrderPendingUpdate", A, 400),
        event("OrderModifyRejected", A, 700, reason="no"),
        event("OrderUpdated", A, 800, quantity="5.00", price=None, trigger_price=None),
    ]
    assert len(read_nautilus(write_events(tmp_path / "run", events)).orders) == 2


def changed(events: list[dict[str, Any]], at: int, **cells: Any) -> list[dict[str, Any]]:
    return [{**e, **cells} if k == at else e for k, e in enumerate(events)]


@pytest.mark.parametrize(
    ("events", "row", "field"),
    [
        (changed(two_orders(), 3, order_type="MARKET"), 4, "order_type"),
        (changed(two_orders(), 2, type="OrderTeleported"), 3, "type"),
        (changed(two_orders(), 2, type=7), 3, "type"),
        (changed(two_orders(), 7, instrument_id="BTC/JPY.SIM"), 8, "instrument_id"),
        (changed(two_orders(), 2, ts_event="soon"), 3, "ts_event"),
        (changed(two_orders(), 2, ts_event=True), 3, "ts_event"),
        (changed(two_orders(), 2, ts_event=2**63), 3, "ts_event"),
        (changed(two_orders(), 3, last_qty=None), 4, "last_qty"),
        (changed(two_orders(), 3, last_px=""), 4, "last_px"),
        (changed(two_orders(), 3, commission="0.1 ETH"), 4, "commission"),
        (changed(two_orders(), 3, commission="much JPY"), 4, "commission"),
        (changed(two_orders(), 3, commission=3), 4, "commission"),
        (changed(two_orders(), 0, options=None), 1, "options"),
        (changed(two_orders(), 0, options={"price": None}), 1, "price"),
        (changed(two_orders(), 0, client_order_id=None), 1, "client_order_id"),
    ],
)
def test_what_cannot_be_told_in_an_order_or_a_fill_is_an_error_with_its_row(
    tmp_path: Path, events: list[dict[str, Any]], row: int, field: str
) -> None:
    with pytest.raises(InputError) as caught:
        read_nautilus(write_events(tmp_path / "run", events))
    assert (caught.value.row, caught.value.field) == (row, field)


C = "O-20260105-000006-001-000-3"


def another(kind: str, *, at: int = 3000) -> list[dict[str, Any]]:
    """A third order, of 5.00 at market or changed on its way, which fills in one."""
    first = initialized(C, at, "BUY", "361076")
    turned = {
        "MARKET": ({"order_type": "MARKET", "options": {}}, None),
        "LIMIT sized in quote currency": ({"quote_quantity": True}, None),
        "LIMIT that was modified": ({}, event("OrderUpdated", C, at + 1, price="361077", quantity="5.00")),
        "LIMIT that did not rest at the venue from its submit on": ({}, event("OrderEmulated", C, at + 1)),
    }
    cells, then = turned[kind]
    done = filled(C, at + 400, "BUY", "5.00", "361080", "SIM-1-009", order_type=cells.get("order_type", "LIMIT"))
    sent = [event("OrderSubmitted", C, at), event("OrderAccepted", C, at + 310)]
    return [{**first, **cells}, *sent, *([then] if then else []), done]


@pytest.mark.parametrize(
    "kind",
    [
        "MARKET",
        "LIMIT sized in quote currency",
        "LIMIT that was modified",
        "LIMIT that did not rest at the venue from its submit on",
    ],
)
def test_orders_that_are_no_plain_limit_orders_are_counted_and_the_others_judged(tmp_path: Path, kind: str) -> None:
    plain = read_nautilus(write_events(tmp_path / "plain", two_orders(), opt=OPTIONS))
    folder = write_events(tmp_path / "run", [*two_orders(), *another(kind)], opt=OPTIONS)
    write_counts(folder, order_event_types={"OrderInitialized": 3, "OrderFilled": 4, "OrderCanceled": 1})
    run = read_nautilus(folder)
    assert columns_of(run) == columns_of(plain)
    assert run.reported[f"unjudged.orders of type {kind}"] == 1
    assert run.reported[f"unjudged.executions of orders of type {kind}"] == 1
    assert "fills" not in run.reported
    assert run.rules.declares("sizing") is (run.rules.sizing != "shared")


@pytest.mark.parametrize("events", [True, False])
def test_reports_of_orders_of_another_type_are_totals_of_the_rest(tmp_path: Path, events: bool) -> None:
    more: dict[str, dict[str, Any]] = {"orders": {"type": ["LIMIT", "MARKET"]}}
    more["fills"] = {"order_type": ["MARKET" if name == B else "LIMIT" for name in FILLS["client_order_id"]]}
    folder = write_reports(tmp_path / "run", form="csv", **more)
    if events:
        lines = [
            {**e, "order_type": "MARKET"} if e["client_order_id"] == B and "order_type" in e else e
            for e in two_orders()
        ]
        write_events(folder, lines)
    run = read_nautilus(folder)
    assert run.orders.order_id.tolist() == [A]
    assert set(run.fills.order_id.tolist()) == {A}
    assert run.reported["unjudged.orders of type MARKET"] == 1
    assert run.reported["unjudged.executions of orders of type MARKET"] == 1
    assert "unjudged.position" in run.reported
    assert not {j.law for j in (law.judge(run) for law in LAWS) if j.failed}


def test_a_repeated_line_is_a_rejected_row_and_counts_once(tmp_path: Path) -> None:
    events = two_orders()
    events.insert(6, events[5])
    events.insert(7, {**events[5], "event_id": "another"})
    run = read_nautilus(write_events(tmp_path / "run", events))
    assert len(run.fills) == 3
    assert run.read["order_events"] == 15
    assert [(r.table, r.row, r.field, r.broken_law) for r in run.rejected] == [
        ("order_events", 7, "event_id", "values_are_valid"),
        ("order_events", 8, "trade_id", "values_are_valid"),
    ]


def test_events_of_no_known_order_are_rejected_but_its_fills_stay(tmp_path: Path) -> None:
    run = read_nautilus(write_events(tmp_path / "run", two_orders()[1:]))
    assert run.fills.order.tolist() == [0, -1, -1]
    assert [(r.row, r.field, r.broken_law) for r in run.rejected] == [
        (row, "client_order_id", "orders_are_conserved") for row in (1, 2, 4, 6)
    ]


def test_an_order_that_never_left_the_strategy_is_rejected(tmp_path: Path) -> None:
    run = read_nautilus(write_events(tmp_path / "run", [initialized(A, 0, "BUY", "361076"), *two_orders()[7:]]))
    assert run.orders.order_id.tolist() == [B]
    assert [(r.row, r.got) for r in run.rejected] == [(1, A)]


def test_a_second_order_of_an_id_stands_beside_the_first(tmp_path: Path) -> None:
    again = [initialized(A, 2000, "BUY", "361000"), event("OrderSubmitted", A, 2000)]
    run = read_nautilus(write_events(tmp_path / "run", two_orders() + again))
    assert run.orders.order_id.tolist() == [A, B, A]


def test_event_ids_may_be_left_out(tmp_path: Path) -> None:
    events = [{name: value for name, value in e.items() if name != "event_id"} for e in two_orders()]
    assert len(read_nautilus(write_events(tmp_path / "run", events)).fills) == 3


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}\n",
        b'{"type": "submit", "trader_id": 1, "client_order_id": 2}\n',
        b"\x1f\x8b\x08broken",
        b"[" * 100_000,
    ],
)
def test_other_files_are_not_taken_for_events(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "order_events.jsonl").write_bytes(data)
    assert not is_nautilus(tmp_path)
    assert not is_nautilus(tmp_path / "order_events.jsonl")
    assert not is_nautilus(tmp_path / "nothing")


@pytest.mark.parametrize("cut", [20, 200, -9])
def test_a_cut_file_is_an_error(tmp_path: Path, cut: int) -> None:
    file = write_events(tmp_path / "run", two_orders()) / "order_events.jsonl.gz"
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(InputError):
        read_nautilus(tmp_path / "run")


def test_events_of_another_encoding_are_an_error(tmp_path: Path) -> None:
    lines = "".join(json.dumps(e) + "\n" for e in two_orders())
    (tmp_path / "order_events.jsonl").write_text(lines, encoding="utf-16")
    with pytest.raises(InputError, match="UTF-8"):
        read_nautilus(tmp_path)


def test_plain_events_with_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    lines = "".join(json.dumps(e) + "\n" for e in two_orders())
    (tmp_path / "order_events.jsonl").write_text(lines, encoding="utf-8-sig")
    assert is_nautilus(tmp_path / "order_events.jsonl")
    assert len(read_nautilus(tmp_path / "order_events.jsonl").fills) == 3


@pytest.mark.parametrize(
    ("table", "column", "value", "field"),
    [
        ("orders", "status", "MELTED", "status"),
        ("orders", "ts_init", "yesterday", "ts_init"),
        ("fills", "ts_event", "noon", "ts_event"),
        ("fills", "last_qty", None, "last_qty"),
        ("positions", "side", "SIDEWAYS", "side"),
        ("positions", "is_snapshot", "perhaps", "is_snapshot"),
    ],
)
def test_a_cell_of_a_report_that_cannot_be_read_is_an_error(
    tmp_path: Path, table: str, column: str, value: Any, field: str
) -> None:
    source = {"orders": ORDERS, "fills": FILLS, "positions": POSITIONS}[table]
    cells = [*map(str, source[column])]
    folder = write_reports(tmp_path / "run", form="csv", **{table: {column: [cells[0], value, *cells[2:]]}})
    with pytest.raises(InputError) as caught:
        read_nautilus(folder)
    assert (caught.value.row, caught.value.field) == (2, field)


def test_reports_without_fills_or_without_a_column_are_an_error(tmp_path: Path) -> None:
    folder = write_reports(tmp_path / "run", form="csv")
    text = gzip.decompress((folder / "orders.csv.gz").read_bytes()).decode()
    rows = [[cell for k, cell in enumerate(row) if k != 4] for row in csv.reader(io.StringIO(text))]
    (folder / "orders.csv.gz").write_text("\n".join(",".join(row) for row in rows))
    with pytest.raises(InputError, match="a column 'type'"):
        read_nautilus(folder)
    (folder / "fills.csv.gz").unlink()
    with pytest.raises(InputError, match="fills"):
        read_nautilus(folder)


def test_fills_alone_are_a_run_without_orders(tmp_path: Path) -> None:
    folder = write_reports(tmp_path / "run", form="csv")
    (folder / "orders.csv.gz").unlink()
    run = read_nautilus(folder)
    assert (len(run.orders), len(run.fills)) == (0, 3)
    assert "orders" not in run.read


@pytest.mark.skipif(not SHARED.exists(), reason="../shared/engines is not here")
@pytest.mark.parametrize(
    ("name", "events", "orders", "fills", "ends", "position"),
    [
        ("1.221/l1_post_only", 7407, 1489, 82, {"cancelled": 1424, "filled": 43, "rejected": 22}, "-3.71"),
        ("1.221/l1_quotes_trades", 7197, 1438, 135, {"cancelled": 1368, "filled": 70}, "-9.72"),
        ("1.221/l1_trades_only", 7671, 1533, 48, {"cancelled": 1509, "filled": 23, "open": 1}, "4.89"),
        ("1.231/l1_quotes_trades", 8112, 1571, 915, {"cancelled": 1202, "filled": 369}, "-2.47"),
        ("1.231/l2_queue_liq", 8514, 1555, 839, {"cancelled": 1496, "filled": 59}, "4.19"),
    ],
)
def test_real_outputs_are_read_whole(
    name: str, events: int, orders: int, fills: int, ends: dict[str, int], position: str
) -> None:
    folder = SHARED / f"nautilus-{name}"
    run = read_nautilus(folder)
    assert {name: run.read[name] for name in ("order_events", "orders", "fills")} == {
        "order_events": events,
        "orders": orders,
        "fills": fills,
    }
    # the reports beside the events, and the snapshots of positions
    assert (run.read["orders_report"], run.read["fills_report"]) == (orders, fills)
    assert run.read["positions_report"] > 0
    assert (len(run.orders), len(run.fills), len(run.rejected)) == (orders, fills, 0)
    assert counted(run.orders.end) == ends
    assert run.reported["position"] == Decimal(position)
    assert {end: run.reported[f"orders_{end}"] for end in ends} == ends
    assert run.rules.undeclared == {"fee_rate"}
    report = next(folder.glob("fills.csv*"))
    alone = read_nautilus(report)
    for column in ("ns", "order_id", "price_ticks", "size_lots", "fee"):
        assert getattr(alone.fills, column).tolist() == getattr(run.fills, column).tolist(), column


def test_a_report_of_no_fills_is_the_blank_that_pandas_writes(tmp_path: Path) -> None:
    """``generate_fills_report().to_csv()`` of a run that never filled."""
    folder = write_reports(tmp_path / "run", form="csv")
    (folder / "fills.csv").write_text('""\n', encoding="utf-8")
    run = read_nautilus(folder, rules="nautilus-l1")
    assert (len(run.fills), run.read["fills"], len(run.orders)) == (0, 0, 2)
    # and yet the orders say that they were filled
    assert law_named("orders_are_conserved").judge(run).verdict is Verdict.FAIL


@pytest.mark.skipif(not SHARED.exists(), reason="../shared/engines is not here")
def test_more_than_was_traded_at_the_limit_is_not_excused_by_a_model_that_reuses_sizes(tmp_path: Path) -> None:
    source = SHARED / "nautilus-1.231" / "l1_quotes_trades"
    lines = gzip.decompress((source / "order_events.jsonl.gz").read_bytes()).decode().splitlines()
    values = json.loads(lines[212])
    assert values["last_qty"] == "0.09"  # all of the one trade at its limit
    lines[212] = json.dumps({**values, "last_qty": "0.10"})
    tape = [str(SHARED / "tape" / name) for name in ("trades.parquet", "book.parquet")]
    for name, text, failed in (("honest", None, 0), ("more", "\n".join(lines), 1)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "meta.json").write_bytes((source / "meta.json").read_bytes())
        data = (source / "order_events.jsonl.gz").read_bytes() if text is None else gzip.compress(text.encode())
        (folder / "order_events.jsonl.gz").write_bytes(data)
        judgement = law_named("trade_volume_is_not_oversold").judge(read_nautilus(folder, tape=tape))
        assert (judgement.failed, {m.kind: m.count for m in judgement.modelled}) == (
            failed,
            {"through": 300, "reused": 8},
        )


@pytest.mark.skipif(not SHARED.exists(), reason="../shared/engines is not here")
def test_a_lot_more_than_the_quote_that_touched_a_limit_is_found_in_the_events_alone(tmp_path: Path) -> None:
    """Order 251 got the 0.56 that the bid of that instant had, and was then cancelled with a rest."""
    source = SHARED / "nautilus-1.221" / "l1_quotes_trades"
    events = gzip.decompress((source / "order_events.jsonl.gz").read_bytes()).decode()
    meta = json.loads((source / "meta.json").read_text())
    (tmp_path / "meta.json").write_text(json.dumps({key: meta[key] for key in ("engine", "version", "opt")}))
    failed = []
    for size in ("0.56", "0.57"):
        changed = [line.replace('"last_qty": "0.56"', f'"last_qty": "{size}"') for line in events.splitlines()]
        (tmp_path / "order_events.jsonl").write_text("\n".join(changed))
        run = read_nautilus(tmp_path, tape=[SHARED / "tape" / "trades.parquet", SHARED / "tape" / "book.parquet"])
        failed.append(law_named("fills_have_trades").judge(run).failed)
    assert failed == [0, 1]


@pytest.mark.skipif(not SHARED.exists(), reason="../shared/engines is not here")
def test_fills_of_a_book_that_was_not_given_are_undecided() -> None:
    tape = SHARED / "tape" / "trades.parquet"
    run = read_nautilus(SHARED / "nautilus-1.231" / "l1_quotes_trades", tape=tape)
    found = law_named("fills_have_trades").judge(run)
    assert (found.verdict, found.failed, found.undecided) == (Verdict.UNKNOWN, 0, 97)
    assert "no tops of book" in found.reason


@pytest.mark.parametrize("form", ["plain", "quoted"])
def test_reports_are_recognised_however_their_header_is_quoted(tmp_path: Path, form: str) -> None:
    folder = write_reports(tmp_path / "run", form="csv")
    for file in folder.glob("*.csv.gz"):
        frame = pd.read_csv(file, dtype=str, keep_default_na=False)
        frame.to_csv(file, index=False, quoting=csv.QUOTE_ALL if form == "quoted" else csv.QUOTE_MINIMAL)
    assert is_nautilus(folder)
    assert is_nautilus(folder / "fills.csv.gz")
