"""Markers without ids: a law may fail only where no way to read them keeps it."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from invariants import audit
from invariants.readers import matching_worlds, read_run
from invariants.readers.tape import Tape
from invariants.verdict import Verdict
from simcore import Cancel, Fill, Instrument, Rules, Run, Scenario, Side, Submit, Trade, simulate

T0 = 1_773_792_000_000_000_000
STEP = 100_000_000
ORDER_FREE = Rules(latency_ns=STEP, ttl_ns=None, position_cap_lots=None)


def rules_of(rng: random.Random) -> Rules:
    """Any rules under which several orders of one price are often there at once."""
    return Rules(
        latency_ns=rng.choice([0, 1, STEP, 3 * STEP]),
        cancel_latency_ns=rng.choice([0, 0, 1, 2 * STEP]),
        ttl_ns=rng.choice([None, 5 * STEP, 10 * STEP, 50 * STEP]),
        cross=rng.choice(["at", "through"]),
        aggressor=rng.choice(["any", "opposite"]),
        sizing=rng.choice(["whole", "trade", "shared"]),
        pricing=rng.choice(["limit", "limit", "improve"]),
        priority=rng.choice(["time", "price-time"]),
        expiry_tie=rng.choice(["expire", "fill"]),
        cancel_tie=rng.choice(["fill", "cancel"]),
        position_cap_lots=rng.choice([None, 4, 8]),
        initial_position_lots=rng.choice([0, 0, 2, -3]),
    )


def crowded(seed: int) -> Scenario:
    """A small tape and many orders at two prices of each side; the sides do not reach each other."""
    rng = random.Random(seed)  # noqa: S311 - nothing is kept secret
    rules, ns = rules_of(rng), T0
    tape: list[Trade] = []
    for _ in range(rng.randint(5, 20)):
        ns += rng.choice([0, 1, STEP, STEP, 3 * STEP])
        tape.append(Trade(ns, rng.randint(98, 105), rng.randint(1, 5), rng.choice([Side.BUY, Side.SELL])))
    actions: list[Submit | Cancel] = []
    ns = T0
    for name in range(rng.randint(3, 14)):
        ns += rng.choice([0, STEP // 2, STEP, 2 * STEP])
        sent = [action.order_id for action in actions if isinstance(action, Submit)]
        if sent and rng.random() < 0.35:
            actions.append(Cancel(ns, rng.choice(sent[-4:])))
        else:
            side = rng.choice([Side.BUY, Side.SELL])
            price_ticks = rng.choice([100, 101]) + (2 if side is Side.SELL else 0)
            actions.append(Submit(ns, name, side, price_ticks, rng.randint(1, 4)))
    return Scenario(tape, actions, rules)


def marker(ns: int, kind: str, side: int, price: int, size: int, **more: Any) -> dict[str, Any]:
    return {"ts": ns, "kind": kind, "side": Side(side).name, "price": price, "size": size, "reason": "quote", **more}


def markers_of(scenario: Scenario, fills: list[Fill], *, late: bool) -> list[dict[str, Any]]:
    """What a maker writes that knows no ids; ``late``: also the cancels that found their order over."""
    sent = {action.order_id: action for action in scenario.actions if isinstance(action, Submit)}
    last_ns = {f.order_id: f.ns for f in fills if _leaves(sent, fills, f.order_id) == 0}
    told = [(f.ns, 0, marker(f.ns, "fill", f.side, f.price_ticks, f.size_lots)) for f in fills]
    asked: set[Any] = set()
    for action in scenario.actions:
        order = sent[action.order_id]
        kind = "submit" if isinstance(action, Submit) else "cancel"
        ttl_ns = scenario.rules.ttl_ns
        is_over = last_ns.get(order.order_id, action.ns + 1) <= action.ns or order.order_id in asked
        is_over |= ttl_ns is not None and order.ns + ttl_ns <= action.ns
        asked |= {order.order_id} if kind == "cancel" else set()
        if kind == "submit" or late or not is_over:
            told.append((action.ns, 1, marker(action.ns, kind, order.side, order.price_ticks, order.size_lots)))
    return [one for _, _, one in sorted(told, key=lambda row: row[:2])]


def _leaves(sent: dict[Any, Submit], fills: list[Fill], order_id: Any) -> int:
    return sent[order_id].size_lots - sum(f.size_lots for f in fills if f.order_id == order_id)


def read(folder: Path, told: list[dict[str, Any]], rules: Rules, tape: tuple[Any, ...] | None = None) -> Run:
    """The run of these markers."""
    (folder / "markers.jsonl").write_text("".join(json.dumps(one) + "\n" for one in told), encoding="utf-8")
    plain = {name: "none" if value is None else value for name, value in rules.to_dict().items()}
    backtest = {"rules": plain, "instrument": {"tick_size": 1, "lot_size": 1}}
    (folder / "backtest.json").write_text(json.dumps(backtest), encoding="utf-8")
    return read_run(folder, tape=None if tape is None else as_tape(tape))


def as_tape(trades: tuple[Any, ...]) -> Tape:
    columns = Run.from_scenario(Scenario(trades, (), Rules()), ())
    read = {"tape": len(trades)}
    return Tape(columns.trades, columns.tops, Instrument(), derived=False, files=(), tables={}, inputs={}, read=read)


def broken(run: Run) -> list[str]:
    return [judgement.law for judgement in audit(run).judgements if judgement.verdict is Verdict.FAIL]


@pytest.mark.parametrize("first", range(0, 120, 20))
def test_an_honest_run_breaks_nothing(first: int, tmp_path: Path) -> None:
    for seed in range(first, first + 20):
        scenario = crowded(seed)
        told = markers_of(scenario, simulate(scenario), late=bool(seed % 2))
        assert (seed, broken(read(tmp_path, told, scenario.rules, scenario.tape))) == (seed, [])
        assert (seed, broken(read(tmp_path, told, scenario.rules))) == (seed, [])


def test_a_fill_that_is_left_out_or_told_late_breaks_a_law(tmp_path: Path) -> None:
    """Nearly always: what is left may by chance be another run that keeps its rules."""
    found = []
    for seed in range(60):
        scenario = crowded(seed)
        told = markers_of(scenario, simulate(scenario), late=bool(seed % 2))
        for place in [n for n, one in enumerate(told) if one["kind"] == "fill"][:2]:
            left = [*told[:place], *told[place + 1 :]]
            late = {**told[place], "ts": told[place]["ts"] + 3}
            false = (left, sorted([*left, late], key=lambda one: one["ts"]))
            found += [bool(broken(read(tmp_path, one, scenario.rules, scenario.tape))) for one in false]
    assert found.count(False) <= len(found) // 25
    assert len(found) > 100


def test_what_fills_later_tells_which_order_was_cancelled(tmp_path: Path) -> None:
    told = [
        marker(T0, "submit", 1, 100, 1),
        marker(T0, "submit", 1, 100, 2),
        marker(T0 + STEP, "cancel", 1, 100, 2),
        marker(T0 + 5 * STEP, "fill", 1, 100, 1),
    ]
    tape = (Trade(T0 + 5 * STEP, 100, 1, Side.SELL),)
    run = read(tmp_path, told, ORDER_FREE, tape)
    assert (run.orders.end_words, run.fills.order.tolist()) == (["filled", "cancelled"], [0])
    run = read(tmp_path, [*told[:3], marker(T0 + 5 * STEP, "fill", 1, 100, 2)], ORDER_FREE, tape)
    assert (run.orders.end_words, run.fills.order.tolist()) == (["cancelled", "filled"], [1])


def test_a_cancel_under_way_leaves_its_order_to_fill(tmp_path: Path) -> None:
    rules = replace(ORDER_FREE, cancel_latency_ns=5 * STEP)
    told = [
        marker(T0, "submit", 1, 100, 2),
        marker(T0 + 2 * STEP, "cancel", 1, 100, 2),
        marker(T0 + 3 * STEP, "submit", 1, 100, 2),
        marker(T0 + 4 * STEP - 1, "fill", 1, 100, 2),
    ]
    run = read(tmp_path, told, rules, (Trade(T0 + 4 * STEP - 1, 100, 1, Side.SELL),))
    assert (run.fills.order.tolist(), broken(run)) == ([0], [])


def test_a_better_price_may_be_that_of_another_limit(tmp_path: Path) -> None:
    told = [
        marker(T0, "submit", -1, 99, 3),
        marker(T0 + 5 * STEP, "submit", -1, 100, 3),
        marker(T0 + 5 * STEP + 1, "fill", -1, 100, 3),
    ]
    rules = replace(ORDER_FREE, pricing="improve")
    run = read(tmp_path, told, rules, (Trade(T0 + 5 * STEP + 1, 100, 1, Side.BUY),))
    assert (run.fills.order.tolist(), broken(run)) == ([0], [])


def test_where_nobody_can_tell_the_run_is_its_fills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching_worlds, "MOST_WORLDS", 1)
    told = [
        *(marker(T0, "submit", 1, 100, size) for size in (1, 2, 3)),
        *(marker(T0 + STEP, "cancel", 1, 100, 1) for _ in range(2)),
        marker(T0 + 5 * STEP, "fill", 1, 100, 1),
    ]
    run = read(tmp_path, told, ORDER_FREE, (Trade(T0 + 5 * STEP, 100, 1, Side.SELL),))
    report = audit(run)
    assert (len(run.orders), len(run.fills), "orders" in run.read) == (0, 1, False)
    assert (report.verdict, report["fills_have_orders"].verdict) == (Verdict.UNKNOWN, Verdict.UNKNOWN)


def test_what_cannot_be_is_left_to_the_laws(tmp_path: Path) -> None:
    told = [*(marker(T0, "submit", 1, 100, 1) for _ in range(2)), marker(T0 + 5 * STEP, "fill", 1, 100, 7)]
    run = read(tmp_path, told, ORDER_FREE, (Trade(T0 + 5 * STEP, 100, 1, Side.SELL),))
    assert "fill_size_equals_quote_size" in broken(run)
