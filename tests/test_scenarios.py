"""Generated scenarios: valid, aimed, inside what is supported, and small when they fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from tables import plain_rules, scenario

from invariants.tapes import FEATURES, Supports, any_rules, features, minimise, scenarios
from invariants.tapes.supports import is_early, is_marketable, is_through
from invariants.tapes.worlds import GENE, HEADER, Gene, World
from simcore import Cancel, InputError, Rules, Scenario, Side, Submit, TopOfBook, Trade, simulate
from simcore.rules import CHOICES, DIALS

QUIET: dict[str, Any] = {
    "database": None,
    "deadline": None,
    "derandomize": True,
    "phases": (Phase.explicit, Phase.generate, Phase.shrink),
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}
LARGE_LOTS = 2**30
LARGE_TICKS = 2**53


def submits(given_scenario: Scenario) -> list[Submit]:
    """The submits of a scenario."""
    return [action for action in given_scenario.actions if isinstance(action, Submit)]


def cancels(given_scenario: Scenario) -> list[Cancel]:
    """The cancels of a scenario."""
    return [action for action in given_scenario.actions if isinstance(action, Cancel)]


def trades(given_scenario: Scenario) -> list[Trade]:
    """The trades of a scenario."""
    return [event for event in given_scenario.tape if isinstance(event, Trade)]


def times(given_scenario: Scenario) -> list[int]:
    """The instants of the tape."""
    return [event.ns for event in given_scenario.tape]


# What is generated


@pytest.mark.parametrize("rules", ["origin", {"latency_ns": 1}, 5])
def test_rules_are_asked_for_where_they_are_named_and_not_where_they_are_drawn(rules: Any) -> None:
    with pytest.raises(InputError, match=r"scenarios: rules: got .*, wanted Rules, a strategy of Rules, or None"):
        scenarios(rules=rules)


def test_every_feature_is_reached() -> None:
    counts: Counter[str] = Counter()

    @settings(max_examples=1500, **QUIET)
    @given(scenarios())
    def count(given_scenario: Scenario) -> None:
        counts.update(features(given_scenario))

    count()
    assert {name: counts[name] for name in FEATURES if counts[name] < 5} == {}
    assert set(counts) <= set(FEATURES)


def test_every_dial_is_turned() -> None:
    seen: dict[str, set[Any]] = {name: set() for name in DIALS}

    @settings(max_examples=300, **QUIET)
    @given(any_rules())
    def look(rules: Rules) -> None:
        for name, values in seen.items():
            values.add(getattr(rules, name))

    look()
    for name, words in CHOICES.items():
        assert seen[name] == set(words)
    for name in set(DIALS) - set(CHOICES):
        assert len(seen[name]) >= 3, name


@settings(max_examples=150, **QUIET)
@given(scenarios(max_events=10))
def test_generated_scenarios_are_as_long_as_asked(given_scenario: Scenario) -> None:
    # the last operation may add a dozen events at once
    assert len(given_scenario.tape) + len(given_scenario.actions) <= 10 + 12


@settings(max_examples=150, **QUIET)
@given(scenarios(Rules(latency_ns=7, ttl_ns=99, cross="through", position_cap_lots=3)))
def test_fixed_rules_are_respected(given_scenario: Scenario) -> None:
    assert given_scenario.rules == Rules(latency_ns=7, ttl_ns=99, cross="through", position_cap_lots=3)


@settings(max_examples=100, **QUIET)
@given(scenarios(st.sampled_from([plain_rules(), plain_rules(cross="through")])))
def test_rules_of_a_strategy_are_respected(given_scenario: Scenario) -> None:
    assert given_scenario.rules in (plain_rules(), plain_rules(cross="through"))


INSIDE: dict[str, Callable[[Scenario], bool]] = {
    "cancels": lambda s: not cancels(s),
    "ttl": lambda s: s.rules.ttl_ns is None,
    "cap": lambda s: s.rules.position_cap_lots is None,
    "tops": lambda s: not any(isinstance(event, TopOfBook) for event in s.tape),
    "str_ids": lambda s: all(isinstance(order.order_id, int) for order in submits(s)),
    "initial_position": lambda s: s.rules.initial_position_lots == 0,
    "actions_between_events": lambda s: {action.ns for action in s.actions} <= set(times(s)),
    "same_instant": lambda s: len(set(times(s))) == len(times(s)),
    "unknown_aggressor": lambda s: all(trade.aggressor is not None for trade in trades(s)),
    "huge_sizes": lambda s: all(event.size_lots < LARGE_LOTS for event in (*submits(s), *trades(s))),
    "huge_prices": lambda s: all(event.price_ticks < LARGE_TICKS for event in (*submits(s), *trades(s))),
    "trades_through": lambda s: not any(is_through(trade, s.actions, s.rules) for trade in trades(s)),
    "early_cancels": lambda s: not any(is_early(action, s.actions, s.rules) for action in s.actions),
    "marketable_orders": lambda s: not any(is_marketable(order, s.tape) for order in submits(s)),
}


@pytest.mark.parametrize("switch", [f.name for f in fields(Supports)])
def test_generation_stays_inside_what_is_supported(switch: str) -> None:
    @settings(max_examples=150, **QUIET)
    @given(scenarios(supports=Supports(**{switch: False})))
    def look(given_scenario: Scenario) -> None:
        assert INSIDE[switch](given_scenario)

    look()


@pytest.mark.parametrize("switch", [f.name for f in fields(Supports)])
def test_generation_uses_what_is_supported(switch: str) -> None:
    outside = find(
        scenarios(),
        lambda s: bool(s.actions and s.tape) and not INSIDE[switch](s),
        settings=settings(max_examples=2000, **QUIET),
    )
    assert not INSIDE[switch](outside)


@pytest.mark.parametrize("cap_lots", [None, 10])
def test_without_huge_sizes_nobody_starts_with_a_huge_position(cap_lots: int | None) -> None:
    """Orders that flip it would be huge."""
    rules = plain_rules(position_cap_lots=cap_lots, initial_position_lots=-(2**31) - 3)
    assert Supports(huge_sizes=False).within(rules) == plain_rules(position_cap_lots=cap_lots)
    assert Supports().within(rules) == rules


def test_a_cancel_is_given_before_its_submit_in_the_same_instant() -> None:
    """Then it does nothing; whoever sorts the actions of an instant by their kind cancels what was not there yet."""

    def tells(given_scenario: Scenario) -> bool:
        sorted_by_kind = sorted(given_scenario.actions, key=lambda action: (action.ns, isinstance(action, Cancel)))
        return simulate(given_scenario) != simulate(replace(given_scenario, actions=tuple(sorted_by_kind)))

    assert tells(find(scenarios(), tells, settings=settings(max_examples=2000, **QUIET)))


def test_a_cancel_is_early_where_its_submit_is_given_after_it() -> None:
    early, late = scenario("5 cancel 1\n5 submit 1 BUY 100 1"), scenario("5 submit 1 BUY 100 1\n5 cancel 1")
    assert [is_early(action, early.actions, early.rules) for action in early.actions] == [True, False]
    assert [is_early(action, late.actions, late.rules) for action in late.actions] == [False, False]


@settings(max_examples=150, **QUIET)
@given(scenarios(supports=Supports(**{f.name: False for f in fields(Supports)})))
def test_a_simulator_that_can_do_next_to_nothing_is_still_driven(given_scenario: Scenario) -> None:
    assert all(inside(given_scenario) for name, inside in INSIDE.items() if name != "huge_sizes")


GENES = st.binary(min_size=GENE, max_size=GENE).map(lambda drawn: Gene(*drawn))
LARGEST = Rules(latency_ns=0, ttl_ns=None, position_cap_lots=None, sizing="shared")


def test_huge_sizes_still_make_a_valid_scenario() -> None:
    """A crowd of the largest orders, one sweep across them, and its twins: the sum must stay inside int64."""
    crowd = next(op for op, method in enumerate(_operations()) if method is World.crowd)
    twin = next(op for op, method in enumerate(_operations()) if method is World.twin)
    world = World(LARGEST, bytes([0, 0, 7, 0, 0, 0, 0]), Supports(), 40)
    for _ in range(3):
        world.grow(Gene(op=crowd, target=0, when=0, price=0, size=10, side=0, more=10, extra=0))
    world.grow(Gene(op=crowd, target=0, when=0, price=0, size=10 + 3 * 8 + 3, side=0, more=10, extra=0))
    for _ in range(30):
        world.grow(Gene(op=twin, target=0, when=0, price=0, size=5, side=0, more=0, extra=5))
    assert len(world.scenario().tape) > 10


def _operations() -> tuple[Any, ...]:
    from invariants.tapes import worlds

    return worlds._OPERATIONS  # noqa: SLF001 - genes are numbers; only the table gives them names


@settings(max_examples=150, **QUIET)
@given(st.binary(min_size=HEADER - 2, max_size=HEADER - 2), st.lists(GENES, min_size=12, max_size=12))
def test_worlds_of_huge_units_are_valid(header: bytes, genes: list[Gene]) -> None:
    world = World(LARGEST, bytes([header[0], header[1], 7, 0, 0, 0, 0]), Supports(), 40)
    for gene in genes:
        world.grow(gene)
    assert isinstance(world.scenario(), Scenario)


# What is supported


@pytest.mark.parametrize(
    ("given_switches", "missing"),
    [
        ({}, ()),
        ({"cancels": False, "ttl": True}, ("cancels",)),
        (
            ["cancels", "ttl", "cap", "tops", "str_ids", "initial_position"],
            (
                "actions_between_events",
                "same_instant",
                "unknown_aggressor",
                "huge_sizes",
                "huge_prices",
                "trades_through",
                "marketable_orders",
                "early_cancels",
            ),
        ),
        (Supports(tops=False), ("tops",)),
    ],
)
def test_supports_may_be_declared_in_words(given_switches: Any, missing: tuple[str, ...]) -> None:
    assert Supports.declared(given_switches).missing() == missing


@pytest.mark.parametrize("given_switches", [5, "cancels", {"cancel": True}, ["cancel"], {"cancels": 1}, None])
def test_supports_that_cannot_be_are_bad_input(given_switches: Any) -> None:
    with pytest.raises(InputError):
        Supports.declared(given_switches, file="my_simulator.py")


# Features, on tables


HAS = (
        ("trade 1 ns before arrival", "1000 submit 1 BUY 100 1\n1249 trade - - 100 1", {"latency_ns": 250}),
        ("trade at arrival", "1000 submit 1 BUY 100 1\n1250 trade - - 100 1", {"latency_ns": 250}),
        ("trade 1 ns after arrival", "1000 submit 1 BUY 100 1\n1251 trade - - 100 1", {"latency_ns": 250}),
        ("trade at expiry", "1000 submit 1 BUY 100 1\n1250 trade - - 100 1", {"ttl_ns": 250}),
        ("trade at cancel effect", "1 submit 1 BUY 100 1\n1 cancel 1\n6 trade - - 100 1", {"cancel_latency_ns": 5}),
        ("price at limit", "1000 submit 1 BUY 100 1\n1250 trade - - 100 1", {}),
        ("price 1 tick through", "1000 submit 1 SELL 100 1\n1250 trade - - 101 1", {}),
        ("price 1 tick short", "1000 submit 1 SELL 100 1\n1250 trade - - 99 1", {}),
        ("price jump through", "1000 submit 1 BUY 100 1\n1250 trade - - 50 1", {}),
        ("two trades in 1 ns", "1 trade - - 100 1\n1 trade - - 100 1", {}),
        ("trade across both sides", "1 submit 1 BUY 100 1\n1 submit 2 SELL 100 1\n5 trade - - 100 1", {}),
        ("trade smaller than the orders", "1 submit 1 BUY 100 1\n1 submit 2 SELL 100 1\n5 trade - - 100 1", {}),
        ("trade equal to the orders", "1 submit 1 BUY 100 1\n1 submit 2 BUY 100 1\n5 trade - - 100 2", {}),
        ("trade larger than the orders", "1 submit 1 BUY 100 1\n1 submit 2 BUY 100 1\n5 trade - - 100 3", {}),
        ("cap exactly reached", "1 submit 1 BUY 100 5\n5 trade - - 100 1", {"position_cap_lots": 5}),
        ("cap passed by 1 lot", "1 submit 1 BUY 100 6\n5 trade - - 100 1", {"position_cap_lots": 5}),
        ("position flipped", "1 submit 1 BUY 100 6\n5 trade - - 100 1", {"initial_position_lots": -1}),
        ("re-submit at side and price", "1 submit 1 BUY 100 6\n2 submit 2 BUY 100 1", {}),
        ("cancel before arrival", "1 submit 1 BUY 100 6\n2 cancel 1", {"latency_ns": 2}),
        ("cancel twice", "1 submit 1 BUY 100 6\n2 cancel 1\n3 cancel 1", {}),
        ("cancel of a filled order", "1 submit 1 BUY 100 6\n2 trade - - 100 1\n3 cancel 1", {}),
        ("cancel before submit", "1 cancel 1\n2 submit 1 BUY 100 6", {}),
        ("long silence", "1 trade - - 100 6\n3600000000001 trade - - 100 6", {}),
        ("epoch beyond 2**53", f"{2**53 + 1} trade - - 100 6", {}),
        ("size around 2**31", f"1 submit 1 BUY 100 {2**31}", {}),
        ("size around 2**53", f"1 submit 1 BUY 100 {2**53}", {}),
        ("orders open at the end", "1 submit 1 BUY 100 6\n5 trade - - 101 1", {}),
        ("top of book between", "1 top - - 99/100 1/1", {}),
)  # fmt: skip


@pytest.mark.parametrize(("name", "text", "rules"), HAS, ids=[row[0] for row in HAS])
def test_feature_on_a_table(name: str, text: str, rules: dict[str, Any]) -> None:
    assert name in FEATURES
    assert name in features(scenario(text, **rules))


HAS_NOT = (
    ("price at limit", "1000 submit 1 BUY 100 1\n1000 trade - - 100 1", {}),
    ("trade at arrival", "1000 submit 1 BUY 100 1\n1250 trade - - 101 1", {"latency_ns": 250}),
    ("cancel before arrival", "1 cancel 1\n1 submit 1 BUY 100 6", {"latency_ns": 2}),
    ("orders open at the end", "1 submit 1 BUY 100 6\n5 trade - - 100 1", {}),
    ("orders open at the end", "1 submit 1 BUY 100 6\n2 cancel 1\n5 trade - - 100 1", {}),
    ("orders open at the end", "1 submit 1 BUY 100 6\n5 trade - - 100 1", {"ttl_ns": 2}),
    ("cap passed by 1 lot", "1 submit 1 BUY 100 5\n5 trade - - 100 1", {"position_cap_lots": 5}),
    ("position flipped", "1 submit 1 BUY 100 6\n5 trade - - 100 1", {"initial_position_lots": -6}),
)


@pytest.mark.parametrize(("name", "text", "rules"), HAS_NOT, ids=[row[0] for row in HAS_NOT])
def test_feature_that_a_table_has_not(name: str, text: str, rules: dict[str, Any]) -> None:
    assert name not in features(scenario(text, **rules))


def test_a_partly_filled_order_is_open_at_the_end() -> None:
    text = "1 submit 1 BUY 100 6\n5 trade - - 100 1"
    assert "orders open at the end" in features(scenario(text, sizing="trade"))


def test_cap_features_need_a_cap() -> None:
    assert not {name for name in features(scenario("1 submit 1 BUY 100 6\n5 trade - - 100 1")) if "cap" in name}


# Shrinking

FAILURES: dict[str, tuple[Callable[[Scenario], bool], int, int]] = {
    "something fills": (lambda s: bool(simulate(s)), 1, 1),
    "a sell fills": (lambda s: any(f.side is Side.SELL for f in simulate(s)), 1, 1),
    "a fill at the very arrival": (lambda s: any(_age(s, f) == s.rules.latency_ns > 0 for f in simulate(s)), 1, 1),
    "a trade at the limit": (
        lambda s: any(t.price_ticks == o.price_ticks for t in trades(s) for o in submits(s)),
        1,
        1,
    ),
    "two fills": (lambda s: len(simulate(s)) == 2, 2, 1),
    "two fills of one order": (lambda s: len(simulate(s)) > len({f.order_id for f in simulate(s)}), 1, 2),
    "a position flips": (lambda s: "position flipped" in features(s), 2, 1),
}


def _age(given_scenario: Scenario, fill: Any) -> int:
    return fill.ns - next(order.ns for order in submits(given_scenario) if order.order_id == fill.order_id)


@pytest.mark.parametrize("name", FAILURES)
def test_hypothesis_shrinks_to_what_a_person_would_write(name: str) -> None:
    fails, orders, prints = FAILURES[name]
    small = find(scenarios(), fails, settings=settings(max_examples=5000, **QUIET))
    small = minimise(small, fails)
    assert len(submits(small)) <= orders
    assert len(trades(small)) <= prints
    assert len(small.tape) + len(small.actions) <= orders + prints


def test_a_latency_bug_is_one_order_and_one_trade() -> None:
    found = find(
        scenarios(Rules(latency_ns=250, ttl_ns=None, position_cap_lots=None)),
        lambda s: any(_age(s, fill) == 250 for fill in simulate(s)),
        settings=settings(max_examples=5000, **QUIET),
    )
    assert (len(found.tape), len(found.actions)) == (1, 1)


BIG = """
    ns          event   id   side  price_ticks  size_lots  aggressor
    5000000000  top     -    -     90/91        7/8
    5000000000  submit  x17  SELL  370          7
    5000000001  submit  x18  SELL  361          9
    5000000300  trade   -    -     350          3          SELL
    5000000400  cancel  x17
    5000000500  trade   -    -     365          4          BUY
    5000000501  submit  x19  BUY   400          9
    5000000900  trade   -    -     377          8          -
"""


def test_minimise_ends_at_the_smallest_table() -> None:
    given_scenario = scenario(BIG, latency_ns=100)
    small = minimise(given_scenario, lambda s: bool(simulate(s)))
    assert small == scenario("0 submit 1 BUY 100 1\n100 trade - - 100 1", latency_ns=100)


def test_minimise_keeps_what_the_failure_needs() -> None:
    given_scenario = scenario(BIG, latency_ns=100)
    small = minimise(given_scenario, lambda s: any(f.side is Side.SELL and f.size_lots >= 5 for f in simulate(s)))
    assert small == scenario("0 submit 1 SELL 100 5\n100 trade - - 100 1", latency_ns=100)


def test_minimise_makes_the_rules_plain_if_it_may() -> None:
    given_scenario = scenario(BIG, latency_ns=100, pricing="improve", fee_rate="0.001", ttl_ns=4000, cross="through")
    small = minimise(given_scenario, lambda s: bool(simulate(s)), keep_rules=False)
    assert (small.rules.pricing, small.rules.fee_rate, small.rules.ttl_ns) == ("limit", 0, None)
    assert len(small.tape) + len(small.actions) == 2


def test_minimise_leaves_what_does_not_fail_less() -> None:
    given_scenario = scenario(BIG)
    assert minimise(given_scenario, lambda s: s == given_scenario) == given_scenario


def test_minimise_never_returns_what_holds() -> None:
    given_scenario = scenario(BIG, latency_ns=100)
    for calls in range(40):
        small = minimise(given_scenario, lambda s: bool(simulate(s)), most_calls=calls)
        assert simulate(small)


@settings(max_examples=25, **QUIET)
@given(scenarios(max_events=10), st.sampled_from(sorted(FAILURES)))
def test_minimise_is_deterministic_and_idempotent(given_scenario: Scenario, name: str) -> None:
    fails = FAILURES[name][0]
    if not fails(given_scenario):
        return
    small = minimise(given_scenario, fails)
    assert fails(small)
    assert minimise(given_scenario, fails) == small
    assert minimise(small, fails) == small
