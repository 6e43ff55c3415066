"""The relations: the reference satisfies them all, and each one bites."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from tables import plain_rules, scenario

from invariants.relations import RELATIONS, Relation, RelationBroken, relation_named
from invariants.tapes import Supports, scenarios
from invariants.tapes.exhaustive import is_within
from simcore import Cancel, Fill, Rules, Scenario, Side, Submit, TopOfBook, Trade, simulate

LARGEST_TICKS = 2**61
QUIET = {
    "database": None,
    "deadline": None,
    "derandomize": True,
    "phases": (Phase.explicit, Phase.generate, Phase.shrink),
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}
PLAIN = """
    ns    event   id  side  price_ticks  size_lots  aggressor
    1000  trade   -   -     105          9          BUY
    1000  submit  1   BUY   100          5
    1000  submit  2   SELL  103          8
    1251  trade   -   -     99           5          SELL
    1300  trade   -   -     104          8          BUY
    1400  trade   -   -     101          1          BUY
"""


class Forgetful:
    """Believes that it is used once."""

    def __init__(self) -> None:
        self.used = False

    def __call__(self, given_scenario: Scenario) -> list[Fill]:
        """Nothing, the second time."""
        fills = [] if self.used else simulate(given_scenario)
        self.used = True
        return fills


def knows_the_last_price(given_scenario: Scenario) -> list[Fill]:
    """Buys only below the price at which the day will end."""
    end_ticks = given_scenario.tape[-1].price_ticks if given_scenario.tape else 0
    return [fill for fill in simulate(given_scenario) if fill.side < 0 or fill.price_ticks < end_ticks]


def likes_odd_times(given_scenario: Scenario) -> list[Fill]:
    return [fill for fill in simulate(given_scenario) if fill.ns % 2]


def likes_round_prices(given_scenario: Scenario) -> list[Fill]:
    return [fill for fill in simulate(given_scenario) if fill.price_ticks % 100 == 0]


def fills_seven_lots_at_most(given_scenario: Scenario) -> list[Fill]:
    return [replace(fill, size_lots=min(fill.size_lots, 7)) for fill in simulate(given_scenario)]


def never_sells(given_scenario: Scenario) -> list[Fill]:
    return [fill for fill in simulate(given_scenario) if fill.side > 0]


def knows_small_ids(given_scenario: Scenario) -> list[Fill]:
    return [fill for fill in simulate(given_scenario) if isinstance(fill.order_id, int) and fill.order_id < 1000]


def knows_no_texts(given_scenario: Scenario) -> list[Fill]:
    return [fill for fill in simulate(given_scenario) if isinstance(fill.order_id, int)]


def writes_ids_as_texts(given_scenario: Scenario) -> list[Fill]:
    """Cancels by the text of the id: that of a number reaches the order whose id is that text as well."""
    cancelled = {str(a.order_id): a for a in given_scenario.actions if isinstance(a, Cancel)}
    more = [
        Cancel(cancelled[str(a.order_id)].ns, a.order_id)
        for a in given_scenario.actions
        if isinstance(a, Submit) and str(a.order_id) in cancelled
    ]
    actions = sorted((*given_scenario.actions, *more), key=lambda a: a.ns)
    return simulate(replace(given_scenario, actions=tuple(actions)))


def stops_at_a_top_of_book(given_scenario: Scenario) -> list[Fill]:
    tops = [event.ns for event in given_scenario.tape if isinstance(event, TopOfBook)]
    return [fill for fill in simulate(given_scenario) if not tops or fill.ns < tops[0]]


def counts_every_trade(given_scenario: Scenario) -> list[Fill]:
    """Fills at the fourth trade at the latest."""
    trades = [event.ns for event in given_scenario.tape if isinstance(event, Trade)]
    return [fill for fill in simulate(given_scenario) if fill.ns <= trades[min(2, len(trades) - 1)]]


def works_two_orders(given_scenario: Scenario) -> list[Fill]:
    """Has room for two orders."""
    names = [action.order_id for action in given_scenario.actions if isinstance(action, Submit)][-2:]
    return [fill for fill in simulate(given_scenario) if fill.order_id in names]


def starts_with_the_tape(given_scenario: Scenario) -> list[Fill]:
    """Knows no order that is older than the tape."""
    first_ns = given_scenario.tape[0].ns if given_scenario.tape else 0
    late = {a.order_id for a in given_scenario.actions if isinstance(a, Submit) and a.ns >= first_ns}
    return [fill for fill in simulate(given_scenario) if fill.order_id in late]


def eats_the_tape(given_scenario: Scenario) -> list[Fill]:
    fills = simulate(given_scenario)
    object.__setattr__(given_scenario, "tape", ())
    return fills


def fills_only_through(given_scenario: Scenario) -> list[Fill]:
    """Takes the dial the wrong way round."""
    turned = "at" if given_scenario.rules.cross == "through" else "through"
    return simulate(replace(given_scenario, rules=replace(given_scenario.rules, cross=turned)))


def one_tick_off(given_scenario: Scenario) -> list[Fill]:
    return [replace(fill, price_ticks=fill.price_ticks + 1) for fill in simulate(given_scenario)]


def says_nonsense(_: Scenario) -> list[Any]:
    return ["filled"]


@dataclass(frozen=True)
class Bite:
    """A broken simulator, and what the relation that catches it says."""

    relation: str
    make: Callable[[], Callable[[Scenario], Iterable[Any]]]
    difference: str
    text: str = PLAIN


BITES = (
    Bite("rerun_is_identical", Forgetful, "Let the same scenario be simulated twice. Then there are 2 fills. Yet"),
    Bite(
        "prefix_is_stable",
        lambda: knows_the_last_price,
        "Let everything after 1251 ns be cut off. Then there are 1 fills. Yet there are 0: order 1 BUY",
        PLAIN.replace("1300  trade   -   -     104", "1300  trade   -   -     98"),
    ),
    Bite("time_shift", lambda: likes_odd_times, "Let every event happen 1 ns later. Then fill 1 is"),
    Bite("price_shift", lambda: likes_round_prices, "Let every price be 1 ticks higher. Then there are 1 fills. Yet"),
    Bite("size_scale", lambda: fills_seven_lots_at_most, "Let every size, cap and position be 3 times as large."),
    Bite("mirror", lambda: never_sells, "Let buys be sells, and prices be reflected. Then"),
    Bite("renamed_ids", lambda: knows_small_ids, "Let the orders have other names. Then there are 2 fills. Yet"),
    Bite("renamed_ids", lambda: knows_no_texts, "Let the orders have other names. Then there are 2 fills. Yet"),
    Bite(
        "renamed_ids",
        lambda: writes_ids_as_texts,
        "Let the orders have other names. Then there are 1 fills. Yet there are 0: order 0 BUY",
        f"{PLAIN}    1200  cancel  2",
    ),
    Bite("quiet_events", lambda: stops_at_a_top_of_book, "Let tops of book be added, some of which cross our orders."),
    Bite(
        "quiet_events", lambda: counts_every_trade, "Let trades be added that cross no order. Then there are 2 fills."
    ),
    Bite("unfillable_order", lambda: works_two_orders, "Let orders be added that no trade reaches. Then"),
    Bite(
        "chunked_tape", lambda: starts_with_the_tape, "Let the run be cut before 1251 ns, and what is open carried over"
    ),
    Bite("inputs_are_not_changed", lambda: eats_the_tape, "Let a scenario be simulated. Then its tape are as before."),
    Bite(
        "through_is_within_at",
        lambda: fills_only_through,
        "Let a trade at the limit suffice. Then order 1, which a trade through it fills at 1251 ns, fills by then. Yet",
        PLAIN.replace("1251  trade   -   -     99 ", "1251  trade   -   -     100"),
    ),
    Bite(
        "equals_reference", lambda: one_tick_off, "Let the rules be followed. Then fill 1 is order 1 BUY 5 lots at 100"
    ),
    Bite(
        "equals_reference", lambda: says_nonsense, "Let the rules be followed. Then fill 1 is order 1 BUY 5 lots at 100"
    ),
)


@settings(max_examples=200, **QUIET)
@given(scenarios())
def test_the_reference_satisfies_every_relation(given_scenario: Scenario) -> None:
    for relation in RELATIONS:
        found = relation.check(simulate, given_scenario)
        assert found.difference is None, relation.name
        assert found.applies or found.reason, relation.name


@pytest.mark.parametrize("switch", [f.name for f in fields(Supports)])
def test_relations_stay_inside_what_is_supported(switch: str) -> None:
    """A simulator that refuses what it says it cannot be driven to do is never asked it, and most still look."""
    supports = Supports(**{switch: False})

    @dataclass
    class Refuses:
        supports: Supports

        def __call__(self, given_scenario: Scenario) -> list[Fill]:
            assert is_within(given_scenario, self.supports)
            return simulate(given_scenario)

    looked: set[str] = set()

    @settings(max_examples=60, **QUIET)
    @given(scenarios(supports=supports))
    def look(given_scenario: Scenario) -> None:
        for relation in RELATIONS:
            found = relation.check(Refuses(supports), given_scenario)
            assert found.difference is None, relation.name
            looked.update({relation.name} if found.applies else ())

    look()
    assert {"rerun_is_identical", "prefix_is_stable", "price_shift", "unfillable_order"} <= looked


@pytest.mark.parametrize("bite", BITES, ids=lambda bite: bite.relation)
def test_relation_bites(bite: Bite) -> None:
    relation, given_scenario = relation_named(bite.relation), scenario(bite.text)
    assert relation.check(simulate, given_scenario).difference is None
    found = relation.check(bite.make(), given_scenario)
    assert found.applies
    assert found.difference is not None
    assert found.difference.startswith(bite.difference)


@pytest.mark.parametrize("relation", RELATIONS, ids=lambda relation: relation.name)
def test_every_relation_bites_and_has_one_name(relation: Relation) -> None:
    assert relation.name in {bite.relation for bite in BITES}
    assert relation.error.__name__ == "".join(word.capitalize() for word in relation.name.split("_"))
    assert issubclass(relation.error, RelationBroken)
    assert relation.doc


def test_relations_have_one_name_and_one_exception_each() -> None:
    assert len({r.name for r in RELATIONS}) == len({r.error for r in RELATIONS}) == len(RELATIONS)


def test_rerun_also_looks_after_another_scenario() -> None:
    class Sticky:
        """Believes that ids are the same in every scenario."""

        def __init__(self) -> None:
            self.prices: dict[Any, int] = {}

        def __call__(self, given_scenario: Scenario) -> list[Fill]:
            for action in given_scenario.actions:
                if isinstance(action, Submit):
                    self.prices.setdefault(action.order_id, action.price_ticks)
            fills = [replace(f, price_ticks=self.prices[f.order_id]) for f in simulate(given_scenario)]
            if not given_scenario.actions:
                self.prices = dict.fromkeys(self.prices, 7)
            return fills

    found = relation_named("rerun_is_identical").check(Sticky(), scenario(PLAIN))
    assert found.difference is not None
    assert found.difference.startswith("Let another scenario be simulated in between. Then fill 1 is")


def test_fills_of_one_instant_may_come_in_any_order() -> None:
    def backwards(given_scenario: Scenario) -> list[Fill]:
        return simulate(given_scenario)[::-1]

    both = scenario("1 submit 1 BUY 100 1\n1 submit 2 BUY 100 1\n5 trade - - 100 1")
    assert relation_named("equals_reference").check(backwards, both).difference is None


def test_sizes_are_scaled_no_further_than_the_simulator_can_be_driven() -> None:
    class Modest:
        supports = Supports(huge_sizes=False)

        def __init__(self) -> None:
            self.largest_lots = 0

        def __call__(self, given_scenario: Scenario) -> list[Fill]:
            sizes = [event.size_lots for event in (*given_scenario.tape, *given_scenario.actions)]
            self.largest_lots = max(self.largest_lots, *sizes)
            return simulate(given_scenario)

    modest = Modest()
    assert relation_named("size_scale").check(modest, scenario("1 submit 1 BUY 100 2\n5 trade - - 100 1")).applies
    assert modest.largest_lots == 6


def test_a_fee_is_compared_where_both_have_one() -> None:
    charged = scenario(PLAIN, fee_rate="0.001")
    equals = relation_named("equals_reference")
    assert equals.check(lambda s: [replace(f, fee=None) for f in simulate(s)], charged).difference is None
    assert equals.check(lambda s: [replace(f, fee=f.fee * 2) for f in simulate(s)], charged).difference is not None


@pytest.mark.parametrize(
    ("name", "given_scenario"),
    [
        ("prefix_is_stable", scenario("1 submit 1 BUY 100 1\n5 trade - - 100 1")),
        ("renamed_ids", scenario("5 trade - - 100 1")),
        ("unfillable_order", scenario("1 submit 1 BUY 100 1")),
        ("chunked_tape", scenario("5 trade - - 100 1")),
        ("chunked_tape", scenario(PLAIN, cap_action="cancel", position_cap_lots=5)),
        ("through_is_within_at", scenario(PLAIN, sizing="shared")),
        ("through_is_within_at", scenario(PLAIN, position_cap_lots=5)),
        ("time_shift", scenario(f"1 submit 1 BUY 100 1\n{2**63 - 1} trade - - 100 1")),
        ("price_shift", scenario(f"1 submit 1 BUY {LARGEST_TICKS} 1")),
        ("size_scale", scenario(f"1 submit 1 BUY 100 {2**60}\n5 trade - - 100 1")),
    ],
)
def test_relation_that_cannot_look_says_why(name: str, given_scenario: Scenario) -> None:
    found = relation_named(name).check(simulate, given_scenario)
    assert (found.applies, found.difference) == (False, None)
    assert found.reason


@pytest.mark.parametrize("relation", RELATIONS, ids=lambda relation: relation.name)
def test_relation_narrows_rules_until_it_can_look(relation: Relation) -> None:
    odd = Rules(cap_action="cancel", sizing="shared", position_cap_lots=7, latency_ns=0)
    assert relation.check(simulate, scenario(PLAIN, **_dials(relation.narrow(odd)))).applies


def _dials(rules: Rules) -> dict[str, Any]:
    return {name: value for name, value in rules.to_dict().items() if name != "undeclared"}


EDGES = {
    "empty": Scenario(),
    "prices at the end of int64": scenario(
        f"1 submit 1 BUY {LARGEST_TICKS} 1\n5 trade - - {LARGEST_TICKS} 1\n6 trade - - {LARGEST_TICKS} 1"
    ),
    "prices at one": scenario("1 submit 1 SELL 1 1\n5 trade - - 1 1\n6 trade - - 1 1"),
    "times at the end of int64": scenario(
        f"{LARGEST_TICKS - 2} submit 1 BUY 100 1\n{LARGEST_TICKS - 1} trade - - 100 1\n{LARGEST_TICKS} trade - - 99 1",
        ttl_ns=LARGEST_TICKS,
        latency_ns=1,
    ),
    "no room for another lot": Scenario(
        (Trade(5, 100, 2**61 - 1, Side.SELL), Trade(6, 100, 1)),
        (Submit(1, 1, Side.BUY, 100, 2**61 - 1), Submit(1, 2, Side.BUY, 100, 1), Cancel(7, 1)),
        plain_rules(sizing="shared"),
    ),
    "ids of the relations themselves": Scenario(
        (Trade(5, 100, 1), Trade(6, 100, 1)),
        tuple(Submit(1, name, Side.BUY, 100, 1) for name in (900_001, 900_003, 950_001, 900_002, 900_005, 1_000_000)),
        plain_rules(),
    ),
}


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("relation", RELATIONS, ids=lambda relation: relation.name)
def test_relation_survives_the_edges(relation: Relation, edge: str) -> None:
    assert relation.check(simulate, EDGES[edge]).difference is None


class Unshowable:
    """What cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize("relation", RELATIONS, ids=lambda relation: relation.name)
@pytest.mark.parametrize(
    "answer", [None, "fill", 5, (1, 2), np.array([1, 2]), Unshowable()], ids=lambda a: type(a).__name__
)
def test_relation_survives_what_is_no_fill(relation: Relation, answer: Any) -> None:
    relation.check(lambda _: [answer], scenario(PLAIN))


@pytest.mark.parametrize("relation", RELATIONS, ids=lambda relation: relation.name)
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ns", None),
        ("ns", "5"),
        ("order_id", ["a"]),
        ("side", None),
        ("side", "BUY"),
        ("side", 1.0),
        ("price_ticks", "100"),
        ("fee", Decimal("sNaN")),
    ],
)
def test_a_fill_with_a_field_that_is_no_number_is_no_crash(relation: Relation, field: str, value: Any) -> None:
    found = relation.check(lambda asked: [replace(fill, **{field: value}) for fill in simulate(asked)], scenario(PLAIN))
    assert found.applies or "compare" in found.reason or not found.reason.startswith("a fill's")


def test_what_is_no_fill_is_said_once() -> None:
    found = relation_named("equals_reference").check(lambda _: [(1, 2)], scenario(PLAIN))
    assert str(found.difference).endswith("Yet it is (1, 2), which is no Fill.")


@pytest.mark.parametrize("hours", [0, 15, 5])
def test_a_day_that_ends_somewhere_is_no_reason_to_forget_orders(hours: int) -> None:
    """Midnight in UTC, in Tokyo, and in New York in winter."""
    hour_ns = 3_600_000_000_000

    def day_of(ns: int) -> int:
        return (ns - hours * hour_ns) // (24 * hour_ns)

    def ends_the_day(given_scenario: Scenario) -> list[Fill]:
        sent = {a.order_id: a.ns for a in given_scenario.actions if isinstance(a, Submit)}
        return [fill for fill in simulate(given_scenario) if day_of(fill.ns) == day_of(sent[fill.order_id])]

    found = relation_named("time_shift").check(ends_the_day, scenario(PLAIN, **plain_rules(latency_ns=250).to_dict()))
    assert found.difference is not None
    assert "missing" in found.difference
