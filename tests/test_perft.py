"""One number checks a whole generator: counts of the exhaustive lattice, and what it leaves out."""

from __future__ import annotations

from collections import Counter

import pytest

from invariants.tapes.exhaustive import (
    EXHAUSTIVE_RULES,
    LIMIT_TICKS,
    ORIGIN_NS,
    Perft,
    exhaustive_rules,
    is_within,
    perft,
    scenarios_up_to,
)
from invariants.tapes.supports import Supports
from simcore import Rules, Scenario, Side, Submit, Trade
from simcore.rules import CHOICES

COUNTS: tuple[dict[int, Perft], ...] = (
    {2: Perft(21, 6, 6), 3: Perft(961, 426, 426)},
    {2: Perft(15, 3, 3), 3: Perft(528, 183, 183)},
    {2: Perft(12, 2, 2), 3: Perft(366, 96, 96)},
    {2: Perft(24, 8, 10), 3: Perft(968, 600, 746)},
    {2: Perft(36, 16, 20), 3: Perft(1656, 1416, 1762)},
    {2: Perft(18, 2, 2), 3: Perft(642, 156, 156)},
    {2: Perft(12, 4, 6), 3: Perft(460, 296, 438)},
    {2: Perft(30, 4, 6), 3: Perft(1704, 296, 444)},
    {2: Perft(24, 0, 0), 3: Perft(1064, 112, 140)},
)
FOUR = (
    Perft(49289, 28166, 28166),
    Perft(21017, 10002, 10002),
    Perft(11218, 3897, 3897),
    Perft(38664, 35940, 44570),
    Perft(79068, 106544, 132144),
    Perft(21894, 9064, 9064),
    Perft(18980, 18240, 26712),
    Perft(115020, 22308, 33390),
    Perft(48488, 13468, 16572),
)


@pytest.mark.parametrize("corner", range(len(EXHAUSTIVE_RULES)))
def test_the_counts_are_pinned(corner: int) -> None:
    for k, counts in COUNTS[corner].items():
        assert perft(k, EXHAUSTIVE_RULES[corner]) == counts, f"corner {corner}, up to {k} events"


@pytest.mark.soak
@pytest.mark.parametrize("corner", range(len(EXHAUSTIVE_RULES)))
def test_the_counts_of_four_events_are_pinned(corner: int) -> None:
    assert perft(4, EXHAUSTIVE_RULES[corner]) == FOUR[corner]


@pytest.mark.parametrize("corner", range(len(EXHAUSTIVE_RULES)))
def test_each_scenario_comes_once_and_in_its_normal_form(corner: int) -> None:
    counted = Counter(scenarios_up_to(3, EXHAUSTIVE_RULES[corner]))
    assert max(counted.values()) == 1
    for scenario in counted:
        first = scenario.actions[0]
        assert isinstance(first, Submit)
        assert (first.ns, first.side, first.price_ticks) == (ORIGIN_NS, Side.BUY, LIMIT_TICKS)
        assert scenario.tape[0].ns >= ORIGIN_NS
        assert scenario.tape[-1].ns >= scenario.actions[-1].ns


def test_shards_are_the_whole() -> None:
    rules = EXHAUSTIVE_RULES[0]
    whole = set(scenarios_up_to(3, rules))
    parts = [set(scenarios_up_to(3, rules, shard=shard, shards=5)) for shard in range(5)]
    assert set().union(*parts) == whole
    assert sum(map(len, parts)) == len(whole)


def test_the_corners_touch_every_word_of_every_dial() -> None:
    for dial, words in CHOICES.items():
        assert {getattr(rules, dial) for rules in EXHAUSTIVE_RULES} == set(words)


def test_the_boundaries_of_one_order_are_all_there() -> None:
    rules = Rules(latency_ns=20, ttl_ns=50, position_cap_lots=None)
    instants = {s.tape[-1].ns - ORIGIN_NS for s in scenarios_up_to(2, rules)}
    assert instants == {0, 1, 19, 20, 21, 49, 50, 51}


def test_what_rule_9_leaves_open_is_not_asked() -> None:
    def crosses_both_sides(scenario: Scenario) -> bool:
        prices = {
            side: [a.price_ticks for a in scenario.actions if isinstance(a, Submit) and a.side == side] for side in Side
        }
        return any(
            min(prices[Side.SELL], default=999) <= t.price_ticks <= max(prices[Side.BUY], default=0)
            for t in scenario.tape
            if isinstance(t, Trade)
        )

    for rules in EXHAUSTIVE_RULES:
        asked = any(map(crosses_both_sides, scenarios_up_to(3, rules)))
        assert asked == (rules.priority == "time" or rules.aggressor == "opposite")


@pytest.mark.parametrize(
    "missing", ["cancels", "same_instant", "actions_between_events", "unknown_aggressor", "cap", "ttl"]
)
def test_the_lattice_stays_inside_what_is_supported(missing: str) -> None:
    supports = Supports(**{missing: False})
    for rules in exhaustive_rules(None, supports):
        found = list(scenarios_up_to(3, rules, supports=supports))
        assert found
        assert all(is_within(scenario, supports) for scenario in found)


def test_declared_rules_are_taken_as_they_are() -> None:
    assert exhaustive_rules(Rules(), Supports()) == (Rules(),)
    sizes = {a.size_lots for s in scenarios_up_to(3, Rules()) for a in s.actions if isinstance(a, Submit)}
    assert sizes == {1, 10}
