"""What the search draws, and what it leaves to chance."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np

from invariants.conformance.search import search
from invariants.tapes import scenarios
from simcore import Cancel, Rules, Scenario, Submit, Trade, simulate

PAIRS = {("0", "00"), (0, "0"), ("", " "), ("見0", "気0")}


def drawn(examples: int, rules: Rules | None = None, **more: int) -> list[Scenario]:
    """The scenarios of one search."""
    found: list[Scenario] = []

    def keep(scenario: Scenario) -> bool:
        found.append(scenario)
        return False

    search(scenarios(rules or Rules(ttl_ns=None), **more), keep, examples=examples, deadline=None, entropy="drawn")
    return found


def test_chance_is_another_one_for_each_scenario_and_the_same_in_each_search() -> None:
    def chances() -> list[tuple[float, float]]:
        found: list[tuple[float, float]] = []

        def throw(_: Scenario) -> bool:
            found.append((random.random(), np.random.random()))  # noqa: S311, NPY002 - as a simulator would
            return False

        search(scenarios(), throw, examples=50, deadline=None, entropy="chance")
        return found

    first = chances()
    assert len(set(first)) == len(first) == 50
    assert chances() == first


def test_ids_that_are_nearly_the_same_are_drawn() -> None:
    ids = [tuple(a.order_id for a in s.actions if isinstance(a, Submit)) for s in drawn(600)]
    assert {pair[:2] for pair in ids} >= PAIRS
    assert any(isinstance(name, int) and name > 2**53 for names in ids for name in names)


def test_some_scenarios_go_on_where_they_may() -> None:
    def events(scenario: Scenario) -> int:
        return len(scenario.tape) + len(scenario.actions)

    assert max(map(events, drawn(400))) < 50
    long = drawn(800, longest=800)
    assert 3 <= sum(events(s) > 60 for s in long) <= 40
    assert any(sum(isinstance(e, Trade) for e in s.tape) > 33 for s in long)
    assert any(sum(isinstance(a, Submit) for a in s.actions) > 33 for s in long)


def test_wherever_a_long_tape_is_cut_an_order_is_filled_in_part_there_and_a_cancel_is_in_flight() -> None:
    """A simulator that begins anew with every so many events loses just that."""
    rules = Rules(sizing="trade", ttl_ns=None, position_cap_lots=None, cancel_latency_ns=300_000_000)
    long = [scenario for scenario in drawn(1_500, rules, longest=800) if len(scenario.tape) > 128]
    partly, in_flight = set(), set()
    for scenario in long:
        fills = simulate(scenario)
        whole = simulate(replace(scenario, actions=[a for a in scenario.actions if isinstance(a, Submit)]))
        later = {fill.order_id for fill in set(whole) - set(fills)}  # what the cancels prevent
        asked = [a.ns for a in scenario.actions if isinstance(a, Cancel) and a.order_id in later]
        for at in range(32, 128):
            cut_ns = scenario.tape[at].ns
            before, after = ({f.order_id for f in fills if (f.ns < cut_ns) is is_before} for is_before in (True, False))
            partly |= {at} if before & after else set()
            in_flight |= {at} if any(ns < cut_ns < ns + rules.cancel_latency_ns for ns in asked) else set()
    assert partly == in_flight == set(range(32, 128))


def ages_ns(scenario: Scenario) -> list[int]:
    """How old the orders are at the trades that cross them."""
    return [
        trade.ns - order.ns
        for trade in scenario.tape
        if isinstance(trade, Trade)
        for order in scenario.actions
        if isinstance(order, Submit) and order.side * (order.price_ticks - trade.price_ticks) >= 0
    ]


def test_orders_get_older_than_a_day_and_than_their_milliseconds_in_31_bits() -> None:
    """A clock that counts seconds within the day makes such an order young again."""
    ages = [age_ns for scenario in drawn(400) for age_ns in ages_ns(scenario)]
    assert max(ages) > 2**31 * 1_000_000
    day_ns = 24 * 3_600_000_000_000
    assert any(age_ns >= day_ns and age_ns % day_ns < 5_000_000_000 for age_ns in ages)


def test_a_cancel_takes_effect_as_its_order_expires_and_a_trade_is_there() -> None:
    """Two ties of one instant, each of which has a dial of its own."""
    rules = Rules(cancel_latency_ns=1_000, expiry_tie="fill", cancel_tie="cancel", position_cap_lots=None)

    def decides(scenario: Scenario) -> bool:
        return simulate(scenario) != simulate(replace(scenario, rules=replace(rules, cancel_tie="fill")))

    def has_both(scenario: Scenario) -> bool:
        sent = {a.order_id: a.ns for a in scenario.actions if isinstance(a, Submit)}
        ends = {sent[a.order_id] + 5_000_000_000 for a in scenario.actions if isinstance(a, Cancel)}
        effects = {a.ns + 1_000 for a in scenario.actions if isinstance(a, Cancel)}
        return bool(ends & effects & {event.ns for event in scenario.tape})

    assert sum(has_both(scenario) and decides(scenario) for scenario in drawn(400, rules)) >= 3
