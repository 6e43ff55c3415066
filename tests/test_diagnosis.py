"""The diagnosis: its figures by hand, its sums exact, its intervals honest, its bracket in order."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planted import answer, planted
from tables import scenario, table

from fixtures.faults import FAULTS
from invariants.auditing import audit
from invariants.cli import main
from invariants.demo import tape
from invariants.demo.maker import run_maker
from invariants.demo.markers import write_markers
from invariants.diagnose import diagnose as command
from invariants.diagnosis import (
    STANDARD,
    diagnose,
    diagnosis_dict,
    diagnosis_text,
    maker_sweep,
    standard_sweeps,
    sweep,
    sweep_dict,
    sweep_text,
)
from invariants.diagnosis.bootstrap import block_of, difference_of, mean_of
from invariants.diagnosis.executions import executions_of
from invariants.diagnosis.mids import mids_of
from invariants.diagnosis.pnl import pnl_of
from invariants.diagnosis.queued import simulate_queued
from invariants.diagnosis.scaling import scaling_of
from invariants.readers import read_run
from invariants.readers.bundle import write_bundle
from invariants.simulate import logged_run
from invariants.tapes import any_rules, scenarios
from simcore import InputError, Instrument, Rules, Run, simulate
from simcore.run import Tops, objects

main.add_command(command)
ORIGIN = Path(__file__).parent.parent / "fixtures" / "origin"
NS = 1e-9
SECOND = 1_000_000_000
SMALL = Instrument(tick_size=Decimal("0.5"), lot_size=Decimal("0.1"))


def fillproof(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["diagnose", *map(str, arguments)], catch_exceptions=False)


# markouts, by hand

TWO_FILLS = """
    ns    event   id  side  price_ticks  size_lots  aggressor
    1000  top     -   -     100/103      5/5
    1100  submit  B   BUY   100          2
    1100  submit  S   SELL  103          4
    1200  trade   -   -     100          3          SELL
    1200  fill    B   BUY   100          2
    1300  top     -   -     98/101       5/5
    1400  trade   -   -     103          9          BUY
    1400  fill    S   SELL  103          4
    1500  top     -   -     104/106      5/5
    2000  top     -   -     99/102       5/5
"""


def test_markouts_are_mid_less_price_times_side() -> None:
    """In the price's own units, whatever the tick: mids 101.5, 99.5, 105, 100.5."""
    found = diagnose(table(TWO_FILLS, instrument=SMALL), horizons_s=[100 * NS, 200 * NS, 600 * NS])
    after_100, after_200, after_600 = found.markouts
    assert after_100.buy is not None
    assert after_100.buy.mean == pytest.approx(99.5 - 100)
    assert after_100.sell is not None
    assert after_100.sell.mean == pytest.approx(103 - 105)
    assert after_100.combined is not None
    assert after_100.combined.mean == pytest.approx((2 * -0.5 + 4 * -2.0) / 6), "per unit: by size"
    assert after_200.half_spread is not None
    assert after_200.half_spread.mean == pytest.approx((2 * 1.5 + 4 * 3.5) / 6)
    assert after_200.bps is not None
    assert after_200.bps.mean == pytest.approx((2 * -0.5 / 100 + 4 * -2.0 / 103) / 6 * 1e4)
    assert (after_600.judged, after_600.beyond_tape) == (2, 0)
    assert after_600.sell is not None
    assert after_600.sell.mean == pytest.approx(103 - 100.5)


def test_half_spread_and_drift_add_up_to_the_markout() -> None:
    for m in diagnose(planted("A", 1), bracket=False).markouts:
        assert m.combined is not None
        assert m.half_spread is not None
        assert m.drift is not None
        assert m.last_say is not None
        assert m.after_it is not None
        assert m.half_spread.mean + m.drift.mean == pytest.approx(m.combined.mean)
        assert m.last_say.mean + m.after_it.mean == pytest.approx(m.combined.mean)


def test_fill_whose_horizon_lies_beyond_the_tape_has_no_markout() -> None:
    found = diagnose(table(TWO_FILLS), horizons_s=[700 * NS])
    assert (found.markouts[0].judged, found.markouts[0].beyond_tape) == (1, 1)
    assert any("end of the tape" in note for note in found.notes)


def test_mid_of_the_fill_is_that_before_its_instant() -> None:
    """The top that the trade leaves at its own instant is drift already, not spread."""
    run = table("""
        1000  top     -  -    100/103  5/5
        1100  submit  B  BUY  100      2
        1200  trade   -  -    100      3  SELL
        1200  fill    B  BUY  100      2
        1200  top     -  -    90/95    5/5
        1300  top     -  -    90/95    5/5
    """)
    (m,) = diagnose(run, horizons_s=[50 * NS]).markouts
    assert m.half_spread is not None
    assert m.drift is not None
    assert (m.half_spread.mean, m.drift.mean) == (1.5, -9.0)


def test_without_tops_the_mid_is_between_the_last_bought_and_the_last_sold() -> None:
    run = table("""
        1000  trade   -  -    110  1  BUY
        1050  trade   -  -    100  1  SELL
        1060  submit  B  BUY  100  2
        1200  trade   -  -    98   1  SELL
        1200  fill    B  BUY  100  2
        1250  trade   -  -    104  1  BUY
        1300  trade   -  -    97   1
    """)
    found = diagnose(run, horizons_s=[40 * NS, 50 * NS])
    assert found.mid_source == "trades"
    assert [m.combined.mean for m in found.markouts if m.combined] == [(110 + 98) / 2 - 100, (104 + 98) / 2 - 100]
    assert found.markouts[0].unmoved == 1.0
    assert any("the mid is taken from trades" in note for note in found.notes)


def test_the_table_of_the_origin_report_is_there_row_for_row() -> None:
    lines = diagnosis_text(diagnose(planted("A", 2), bracket=False)).splitlines()
    at = next(k for k, line in enumerate(lines) if "BUY avg" in line)
    head = "horizon BUY avg SELL avg combined per unit combined bps"
    assert " ".join(lines[at].split()) == head
    assert [" ".join(line.split()[:2]) for line in lines[at + 1 : at + 5]] == ["5 s", "30 s", "60 s", "300 s"]
    assert all(line.endswith("bps") for line in lines[at + 1 : at + 5])


# the result, split to the last half tick


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_the_parts_of_the_result_add_up_exactly(data: st.DataObject) -> None:
    drawn = data.draw(scenarios(any_rules()))
    run = logged_run(drawn, simulate(drawn), Instrument())
    mids = mids_of(run)
    if not len(mids):
        return
    done = executions_of(run, mids)
    horizon_ns = data.draw(st.sampled_from((1, 1_000, 10**9, 10**13)))
    assert pnl_of(run, done, mids, horizon_ns).adds_up


def test_the_result_is_that_of_the_account() -> None:
    """Bought 2 at 100 and sold 4 at 103, from 10 lots; first mid 101.5, last 100.5."""
    run = table(TWO_FILLS, initial_position_lots=10, fee_rate=Decimal("0.01"))
    pnl = diagnose(run, horizons_s=[100 * NS]).pnl
    assert pnl is not None
    fees = Decimal("0.01") * (200 + 412)
    assert pnl.fees == fees
    assert pnl.total == -200 + 412 + 8 * Decimal("100.5") - 1015 - fees
    assert pnl.inventory_of_initial == -2 * 10
    assert pnl.trading == pnl.total + 10
    assert pnl.adds_up


def test_money_beyond_int64_is_still_exact() -> None:
    big = 2**52
    run = table(f"""
        1000  top     -  -    {big}/{big + 3}  5/5
        1100  submit  B  BUY  {big}            {2**40}
        1200  trade   -  -    {big}            {2**40}  SELL
        1200  fill    B  BUY  {big}            {2**40}
        1300  top     -  -    {big + 1}/{big + 2}  5/5
    """)
    found = diagnose(run, horizons_s=[50 * NS])
    assert found.pnl is not None
    assert found.pnl.total == Decimal(2**40) * 3 / 2
    assert found.pnl.adds_up


# intervals


def noise(seed: int, count: int = 400, memory: float = 0.8) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(count + 50)
    for k in range(1, len(values)):
        values[k] += memory * values[k - 1]
    return values[50:]


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """Neighbours hang together as markouts do; the mean of all is zero."""
    ones = np.ones(400)
    found = [mean_of(noise(seed), ones, 20) for seed in range(300)]
    held = np.mean([e is not None and e.low is not None and e.low <= 0 <= (e.high or 0) for e in found])
    assert 0.91 <= held <= 0.985


def test_intervals_of_one_sides_fills_are_no_surer_than_they_say() -> None:
    """A buy every three seconds in a random walk, thirty ahead: neighbours share most of what follows."""
    held = 0
    for seed in range(300):
        mid = np.random.default_rng(seed).standard_normal(700).cumsum()
        ns = np.arange(0, 600, 3)
        found = mean_of(mid[ns + 30] - mid[ns], np.ones(200), block_of(ns, 30))
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0 <= found.high
    assert 0.92 <= held / 300 <= 0.98


def test_intervals_are_the_same_on_every_call() -> None:
    values, ones = noise(1), np.ones(400)
    assert mean_of(values, ones, 20) == mean_of(values, ones, 20)
    marked = np.arange(400) % 3 == 0
    assert difference_of(values, ones, marked, 20) == difference_of(values, ones, marked, 20)


def test_too_little_gives_a_mean_without_an_interval() -> None:
    short = mean_of(np.arange(9.0), np.ones(9), 1)
    assert short is not None
    assert (short.mean, short.low, short.high) == (4.0, None, None)
    tied = mean_of(np.arange(90.0), np.ones(90), 30)
    assert tied is not None
    assert tied.low is None, "three blocks say nothing about a mean"
    assert mean_of(np.zeros(0), np.zeros(0), 1) is None


def test_a_block_spans_the_horizon() -> None:
    ns = np.arange(1000) * SECOND
    assert block_of(ns, 30 * SECOND) > 30
    assert block_of(ns, SECOND // 2) == 10, "the cube root of a thousand"


# the bracket


def test_bracket_is_in_order_and_reproduces_the_run() -> None:
    run = planted("none", 3)
    run = replace(run, rules=replace(run.rules, position_cap_lots=None))
    found = diagnose(logged(run)).bracket
    assert found is not None
    fills = {row.name: row.fills for row in found.rows}
    assert found.reproduced
    assert fills["as recorded"] == fills["at"] >= fills["queue-aware"] >= fills["through"]


def test_a_top_of_book_at_the_first_instant_of_all_is_seen() -> None:
    """Time zero is a time: it was taken for a size of none, and the queue had no book."""
    run = table("""
        0     top     -  -    100/103  5/5
        1100  submit  B  BUY  101      2
        1200  trade   -  -    101      2  SELL
        1200  fill    B  BUY  101      2
    """)
    found = diagnose(run).bracket
    assert found is not None
    assert {row.name: row.fills for row in found.rows}["queue-aware"] == 1


def logged(run: Run) -> Run:
    """The run filled anew by the reference under its rules."""
    from invariants.diagnosis.bracket import _actions, tape_of
    from simcore import Scenario

    again = Scenario(tuple(tape_of(run)), tuple(_actions(run)), run.rules)
    return logged_run(again, simulate(again), run.instrument)


def test_bracket_says_when_the_run_is_not_the_references() -> None:
    run = table(TWO_FILLS.replace("1400  fill    S   SELL  103          4", ""))
    found = diagnose(run, horizons_s=[100 * NS])
    assert found.verdict == "B"
    assert found.bracket is not None
    assert found.bracket.reproduced is False


def test_bracket_needs_orders() -> None:
    run = table("1000 top - - 99/101 1/1\n1100 trade - - 99 1 SELL\n1100 fill X BUY 99 1\n1200 top - - 99/101 1/1")
    bracket = diagnose(run, horizons_s=[1 * NS]).bracket
    assert bracket is not None
    assert bracket.reason == "the orders are not known"


def test_dials_that_nobody_declared_are_named() -> None:
    run = table(TWO_FILLS)
    run = replace(run, rules=replace(run.rules, undeclared=frozenset({"cross", "ttl_ns", "latency_ns"})))
    bracket = diagnose(run, horizons_s=[100 * NS]).bracket
    assert bracket is not None
    assert bracket.assumed == ("latency_ns = 0", "ttl_ns = none", "cross = at")


# queues

QUEUES = {
    "the displayed size is eaten first": (
        "1000 top - - 100/103 5/5\n1100 submit B BUY 100 2\n1200 trade - - 100 5 SELL\n1300 trade - - 100 1 SELL",
        [1300],
    ),
    "what is left of a trade fills": (
        "1000 top - - 100/103 5/5\n1100 submit B BUY 100 2\n1200 trade - - 100 6 SELL",
        [1200],
    ),
    "a trade through fills at once": (
        "1000 top - - 100/103 5/5\n1100 submit B BUY 100 2\n1200 trade - - 99 1 SELL",
        [1200],
    ),
    "a better price is alone": ("1000 top - - 100/103 5/5\n1100 submit B BUY 101 2\n1200 trade - - 101 1 SELL", [1200]),
    "a taker of our side eats nothing": (
        "1000 top - - 100/103 5/5\n1100 submit B BUY 100 2\n1200 trade - - 100 9 BUY\n1300 trade - - 100 5 SELL",
        [],
    ),
    "ahead is never more than displayed": (
        "1000 top - - 100/103 5/5\n1100 submit B BUY 100 2\n1150 top - - 100/103 1/5\n1200 trade - - 100 2 SELL",
        [1200],
    ),
    "size that joins stands behind us": (
        "1000 top - - 100/103 5/5\n1100 submit B BUY 100 2\n1150 top - - 100/103 50/5\n1200 trade - - 100 6 SELL",
        [1200],
    ),
    "behind the best price, the size first seen there is ahead": (
        """
        1000 top    - -   100/103 5/5
        1100 submit B BUY 98      2
        1150 top    - -   98/103  7/5
        1200 trade  - -   98      7   SELL
        1250 trade  - -   98      1   SELL
        """,
        [1250],
    ),
    "nobody is ahead where the best price fell back": (
        "1000 top - - 100/103 5/5\n1100 submit B BUY 100 2\n1150 top - - 99/103 9/5\n1200 trade - - 100 1 SELL",
        [1200],
    ),
    "a price that the book never showed has no queue to pass": (
        "1000 top - - 100/103 5/5\n1100 submit B BUY 98 2\n1200 trade - - 98 9 SELL",
        [],
    ),
    "a cancelled order is gone": (
        "1000 top - - 100/103 5/5\n1100 submit B BUY 101 2\n1150 cancel B\n1200 trade - - 101 9 SELL",
        [],
    ),
    "the queue is that of the arrival": (
        """
        1000 top    - -   100/103 5/5
        1100 submit B BUY 100     2
        1120 top    - -   100/103 9/5
        1200 trade  - -   100     6   SELL
        1250 trade  - -   100     4   SELL
        """,
        [1250],
    ),
}


@pytest.mark.parametrize("words", QUEUES)
def test_queue(words: str) -> None:
    text, expected = QUEUES[words]
    latency_ns = 50 if "arrival" in words else 0
    fills = simulate_queued(scenario(text, latency_ns=latency_ns))
    assert [fill.ns for fill in fills] == expected


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(scenarios(any_rules()))
def test_queue_fills_lie_between_through_and_at(drawn: Any) -> None:
    """Without a cap and shared volume no order hangs on another: each one's fills are bracketed."""
    rules = replace(drawn.rules, position_cap_lots=None, sizing="whole", aggressor="opposite")
    ids = {}
    for cross in ("through", "at"):
        asked = replace(drawn, rules=replace(rules, cross=cross))
        ids[cross] = {fill.order_id: fill.ns for fill in simulate(asked)}
    queued = {fill.order_id: fill.ns for fill in simulate_queued(replace(drawn, rules=rules))}
    assert ids["through"].keys() <= queued.keys() <= ids["at"].keys()
    assert all(ids["at"][o] <= ns for o, ns in queued.items())
    assert all(queued[o] <= ns for o, ns in ids["through"].items())


# sanity, patterns, scaling


def test_sanity_counts_what_a_person_would() -> None:
    found = diagnose(table(TWO_FILLS), horizons_s=[100 * NS]).sanity
    assert found is not None
    assert (found.fills, found.buys, found.sells, found.trades, found.run_most) == (2, 1, 1, 2, 1)
    assert found.age_ns is not None
    assert (found.age_ns.low, found.age_ns.high) == (100, 300)
    assert [(d.side, d.mean_bps) for d in found.distances] == [(1, 0.0), (-1, 0.0)]
    assert found.ns_per_fill == 500


def test_refills_are_explained_by_resubmits_or_counted() -> None:
    text = """
        1000  top     -  -    100/103  5/5
        1100  submit  A  BUY  100      1
        1200  trade   -  -    100      1  SELL
        1200  fill    A  BUY  100      1
        1300  submit  B  BUY  100      1
        1400  trade   -  -    100      1  SELL
        1400  fill    B  BUY  100      1
        1500  top     -  -    100/103  5/5
    """
    sanity = diagnose(table(text), horizons_s=[10 * NS]).sanity
    assert sanity is not None
    assert (sanity.refills.pairs, sanity.refills.most, sanity.refills.unexplained) == (1, 2, 0)
    twice = diagnose(table(text.replace("fill    B", "fill    A")), horizons_s=[10 * NS]).sanity
    assert twice is not None
    assert twice.refills.unexplained == 1


def test_scaling_holds_the_long_period_of_the_same_kind() -> None:
    """Sixty days of the same drift and noise, foretold from each of sixty first days."""
    held = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        days = rng.normal(-3, 20, (61, 240))
        held.append(_scaled_day(days[0]).rows[0])
        held[-1] = replace(held[-1], given=float(days[1:].sum()))
    assert sum(bool(row.is_consistent) for row in held) >= 52


def _scaled_day(made: np.ndarray[Any, Any]) -> Any:
    """A run of a day whose equity moves by ``made``: one lot held while the mid walks."""
    count = len(made)
    price = 100_000 + np.round(np.cumsum(np.r_[0, made])).astype(int)
    step = 86_400 * SECOND // count
    lines = [f"{SECOND + k * step} top - - {p - 1}/{p + 1} 1/1" for k, p in enumerate(price)]
    run = table("\n".join(lines), initial_position_lots=1)
    ticks = "\n".join(f"{SECOND + k * step} fill X BUY 1 0" for k in range(count))
    run = replace(run, fills=table(ticks).fills)
    mids = mids_of(run)
    done = executions_of(run, mids)
    return scaling_of(run, done, mids, pnl_of(run, done, mids, SECOND), 60, None, None)


def test_scaling_of_a_handful_of_fills_is_refused() -> None:
    found = diagnose(table(TWO_FILLS), horizons_s=[100 * NS], long_days=62, long_pnl=-1.0).scaling
    assert found is not None
    assert "fewer than" in found.reason


# the verdict's edges


def test_unknown_laws_leave_it_undecided_and_say_where_it_leans() -> None:
    run = planted("A", 5)
    run = replace(run, rules=replace(run.rules, undeclared=frozenset({"latency_ns", "cross"})))
    found = diagnose(run, bracket=False)
    assert (found.verdict, found.conclusion.leans) == ("undecided", "A")
    assert "undeclared" in found.conclusion.reason


@pytest.mark.parametrize("kind", ["A", "C stale", "C throttle", "C refire"])
def test_what_the_fills_lose_is_said_and_that_trading_made_money_all_the_same(kind: str) -> None:
    """The fills lose as planted, and the inventory earns more than that."""
    found = diagnose(at_last_mid(planted(kind, 2), gain=1), bracket=False)
    assert found.pnl is not None
    assert (found.pnl.of_fills < 0, found.pnl.trading > 0) == (True, True)
    assert found.verdict == kind[0]
    assert "; all the same, trading made +" in found.conclusion.reason


def test_a_pattern_of_fills_claims_no_more_than_the_fills_lost() -> None:
    run = planted("C stale", 2)
    assert "the inventory's" not in diagnose(run, bracket=False).conclusion.reason
    found = diagnose(at_last_mid(run, gain=-1), bracket=False)
    assert (found.verdict, found.conclusion.cause) == ("C", "stale quotes")
    assert "of what trading did; the inventory made -" in found.conclusion.reason


@pytest.mark.parametrize(("kind", "seed"), [("C stale", 2), ("C stale", 4), ("C throttle", 6), ("C throttle", 22)])
def test_too_few_other_fills_do_not_acquit_those_that_carry_the_loss(kind: str, seed: int) -> None:
    """Without tops of book old quotes are nearly all fills; the few others lose next to nothing, by chance or not."""
    run = planted(kind, seed)
    run = replace(run, tops=Tops(*(getattr(run.tops, f.name)[:0] for f in fields(Tops))))
    found = diagnose(run, bracket=False)
    assert (found.verdict, found.conclusion.cause) == ("undecided", "mixed")
    assert "too few to compare" in found.conclusion.reason


@pytest.mark.parametrize("kind", ["none", "A"])
def test_fees_are_not_taken_for_the_inventory_s_loss(kind: str) -> None:
    """They are many times what the fills and the inventory made."""
    run = planted(kind, 2)
    silent, rules = objects([None] * len(run.fills)), replace(run.rules, fee_rate=Decimal("0.1"))
    run = replace(run, fills=replace(run.fills, fee=silent), rules=rules, reported={})
    found = diagnose(run, bracket=False)
    assert found.pnl is not None
    assert found.pnl.fees > 20 * max(abs(found.pnl.of_fills), abs(found.pnl.inventory))
    assert (found.verdict, found.conclusion.cause) == ("undecided", "mostly fees")
    assert "fees made -" in found.conclusion.reason


def at_last_mid(run: Run, gain: int) -> Run:
    """The run with one top of book more, at which the position that it holds gains (or loses) a lot."""
    position = int((run.fills.side * run.fills.size_lots).sum())
    assert position, "the run ends flat: another seed"
    move, tops = gain * int(np.sign(position)) * 80_000, run.tops
    more = {"ns": 1_000 * SECOND, "bid_ticks": move, "ask_ticks": move, "row": 1}
    columns = {f.name: getattr(tops, f.name) for f in fields(tops)}
    return replace(run, tops=Tops(**{n: np.append(c, c[-1] + more.get(n, 0)) for n, c in columns.items()}))


def test_no_stay_at_the_cap_is_longer_than_the_tape() -> None:
    """A fill after the last event of the tape (a law's matter) held the cap for a time below zero."""
    run = table(
        """
        1000  top     -  -    100/103  5/5
        1100  submit  B  BUY  100      2
        1200  trade   -  -    100      3  SELL
        9000  fill    B  BUY  100      2
        """,
        position_cap_lots=2,
    )
    found = diagnose(run, bracket=False).at_cap
    assert found is not None
    assert (found.of_fills, found.of_time, found.longest_ns) == (1.0, 0.0, 0)


def test_no_tape_is_no_mid() -> None:
    run = table("1100 submit B BUY 100 2\n1200 fill B BUY 100 2", has_tape=False)
    found = diagnose(run)
    assert (found.verdict, found.conclusion.cause, found.exit_code) == ("undecided", "no mid", 3)


@pytest.mark.parametrize("horizons", [[], [0], [-1], [float("nan")], [float("inf")], [1e12]])
def test_wrong_horizons_are_refused(horizons: list[float]) -> None:
    with pytest.raises(InputError):
        diagnose(table(TWO_FILLS), horizons_s=horizons)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(scenarios(any_rules()), st.integers(0, 10**6))
def test_any_run_gets_an_answer(drawn: Any, pick: int) -> None:
    """Honest or broken, full or empty: a verdict, a text, plain JSON; B exactly where a law is broken."""
    fault = FAULTS[pick % len(FAULTS)]
    for subject in (simulate, fault.fresh()):
        fills = answer(subject, drawn)
        if fills is None:
            continue
        run = Run.from_scenario(drawn, fills)
        report = audit(run)
        found = diagnose(run, long_days=62, report=report)
        assert (found.verdict == "B") == (report.exit_code() == 1)
        assert diagnosis_text(found)
        json.dumps(diagnosis_dict(found), allow_nan=False)


# sweeps


@dataclass(frozen=True)
class Dial:
    """Stands for a maker: which world it plays in."""

    seed: int = 1
    offset_bps: Decimal = Decimal(0)
    guard_size: Decimal | None = None
    guard_count: int | None = None
    guard_same_side: bool = False
    imbalance_lean_bps: Decimal = Decimal(0)
    imbalance_one_side: bool = False


def test_a_sweep_has_a_row_for_each_value() -> None:
    found = sweep("seed", [1, 2], lambda seed: planted("none", seed))
    assert [row.value for row in found.rows] == [1, 2]
    same = maker_sweep(Dial(), [{"seed": 1}, {"seed": 2}], lambda dial: planted("none", dial.seed))
    assert (same.parameter, same.rows) == ("seed", found.rows)
    text = sweep_text(found, Instrument())
    assert "Sweep: seed" in text
    assert f"{found.rows[0].fills:,}" in text
    json.dumps(sweep_dict(found, Instrument()), allow_nan=False)


def test_standard_sweeps_run_equal_makers_once() -> None:
    asked = []

    def run_of(dial: Dial) -> Run:
        asked.append(dial)
        return table(TWO_FILLS)

    tables = standard_sweeps(Dial(), run_of, horizons_s=[100 * NS])
    assert len(asked) == len(set(asked))
    assert [row.value for row in tables[0].rows] == [0, 1, 2, 3]


# the command


def bundle(run: Run, folder: Path) -> Path:
    folder.mkdir()
    write_bundle(run, folder)
    return folder


def test_command_sweeps_the_maker_over_the_tape_of_the_run(tmp_path: Path) -> None:
    """Guards, lean and offset; the rows of one maker are the same in every table."""
    day, rules = tape.day(seconds=1800), Rules.load("origin", instrument=tape.INSTRUMENT)
    run = bundle(run_maker(day, rules, tape.INSTRUMENT, name="half an hour"), tmp_path / "run")
    result = fillproof(run, "--sweeps", "--no-bracket", "--json", tmp_path / "d.json", "--html", tmp_path / "d.html")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "d.json").read_text())["sweeps"]
    assert [told["parameter"] for told in found] == list(STANDARD)
    assert [row["value"] for row in found[0]["rows"]] == ["0", "1", "2", "3"]
    page = (tmp_path / "d.html").read_text()
    for number, told in enumerate(found, 1):
        assert f"Sweep: {told['parameter']}" in result.output
        assert f'id="plot-sweep-{number}-result"' in page
    plain = [found[n]["rows"][k] | {"value": ""} for n, k in ((0, 0), (1, 1), (3, 1), (4, 0))]
    assert all(row == plain[0] for row in plain)
    assert plain[0]["fills"] == len(read_run(run).fills) > 30


def test_command_has_no_sweeps_without_a_tape(tmp_path: Path) -> None:
    write_markers(logged(table(TWO_FILLS)), tmp_path)
    result = fillproof(tmp_path, "--sweeps")
    assert result.exit_code == 2, result.output
    assert "a run with its tape, for --sweeps" in result.output


def test_command_says_the_verdict_and_writes_json(tmp_path: Path) -> None:
    run = bundle(planted("A", 7), tmp_path / "run")
    result = fillproof(run, "--json", tmp_path / "d.json", "--long-days", "62", "--long-pnl", "-1e6")
    assert result.exit_code == 0, result.output
    assert "adverse selection" in result.output.splitlines()[0]
    written = json.loads((tmp_path / "d.json").read_text())
    assert written["verdict"] == "A"
    assert written["pnl"]["adds_up"]
    assert {row["name"] for row in written["bracket"]["rows"]} == {"as recorded", "at", "queue-aware", "through"}
    assert written["scaling"]["rows"][0]["given"] == -1e6


def test_command_reads_the_same_from_markers(tmp_path: Path) -> None:
    """Prices, fills and verdict survive the origin's own file format; the tape comes beside it."""
    run = planted("A", 7)
    folder = bundle(run, tmp_path / "run")
    (tmp_path / "markers").mkdir()
    write_markers(run, tmp_path / "markers")
    result = fillproof(tmp_path / "markers", "--tape", folder, "--no-bracket")
    assert result.exit_code == 0, result.output
    assert "adverse selection" in result.output.splitlines()[0]


def test_command_convicts_the_simulator_with_exit_code_one(tmp_path: Path) -> None:
    result = fillproof(bundle(planted("B", 1), tmp_path / "run"), "--no-bracket")
    assert result.exit_code == 1
    assert "nothing else is concluded" in " ".join(result.output.split())
    assert "/fills.parquet row " in result.output


def test_a_figure_that_stands_in_no_row_is_told_without_one() -> None:
    result = fillproof(ORIGIN)
    told = f"{ORIGIN}/backtest.json: reported markers=248610, but should be 248604"
    assert told in " ".join(result.output.split())


def test_command_has_nothing_to_judge_without_fills(tmp_path: Path) -> None:
    run = table("1000 top - - 99/101 1/1\n1100 submit B BUY 90 1\n1200 trade - - 99 1 SELL")
    result = fillproof(bundle(run, tmp_path / "run"))
    assert result.exit_code == 3
    assert "no fills" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["--horizons", "x"],
        ["--horizons", "0"],
        ["--long-days", "-1"],
        ["--long-pnl", "5"],
        ["--long-days", "62", "--long-pnl", "nan"],
        ["--long-days", "62", "--long-pnl", "-inf"],
        ["--long-days", "62", "--long-fills", "nan"],
        ["--long-days", "62", "--long-fills", "-1"],
    ],
)
def test_command_refuses_wrong_options(tmp_path: Path, arguments: list[str]) -> None:
    run = bundle(table(TWO_FILLS), tmp_path / "run")
    assert fillproof(run, *arguments).exit_code == 2


def test_one_fill_and_a_tape_shorter_than_any_horizon(tmp_path: Path) -> None:
    result = fillproof(bundle(table(TWO_FILLS), tmp_path / "run"))
    assert result.exit_code == 0
    assert "the tape is too short" in " ".join(result.output.split())


def test_hostile_names_stay_text() -> None:
    run = replace(planted("none", 1), name="[red]\x1b[2J[/red] <script>")
    text = diagnosis_text(diagnose(run, bracket=False))
    assert "\x1b" not in text
    assert "[red]" in text
