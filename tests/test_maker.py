"""The inside-spread maker: what it quotes, when it stops, and that its run is the one that it saw."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invariants.auditing import audit
from invariants.demo import tape as synthetic
from invariants.demo.maker import Maker, Played, play, run_maker
from invariants.demo.markers import EXPIRED, write_markers
from invariants.readers import read_run
from invariants.readers.bundle import write_bundle
from invariants.tapes import any_rules
from invariants.verdict import Verdict
from simcore import Cancel, InputError, Instrument, Rules, Side, Submit, TapeEvent, TopOfBook, Trade, simulate

MS = 1_000_000
SECOND = 1_000 * MS
UNITS = Instrument()
FREE = Rules(latency_ns=0, ttl_ns=None, position_cap_lots=None)
PLAIN: dict[str, Any] = {
    "inventory_skew_bps": 0,
    "imbalance_lean_bps": 0,
    "guard_size": None,
    "initial_position": None,
    "cap": None,
}
"""A maker with every part switched off."""


def top(ns: int, bid: int = 10_000, ask: int = 10_010, sizes: tuple[int, int] = (7, 7)) -> TopOfBook:
    return TopOfBook(ns, bid, sizes[0], ask, sizes[1])


def quoted(*events: TapeEvent, rules: Rules = FREE, **maker: Any) -> list[tuple[int, str, int]]:
    """What the maker did: instant, side and price of each quote; ``-`` and the price of each withdrawal."""
    played = play(events, rules, UNITS, Maker(**{**PLAIN, **maker}))
    price = {a.order_id: a.price_ticks for a in played.scenario.actions if isinstance(a, Submit)}
    return [
        (a.ns, a.side.name, a.price_ticks) if isinstance(a, Submit) else (a.ns, "-", price[a.order_id])
        for a in played.scenario.actions
    ]


def why(*events: TapeEvent, rules: Rules = FREE, **maker: Any) -> list[str]:
    """Why it withdrew, in order."""
    return list(play(events, rules, UNITS, Maker(**{**PLAIN, **maker})).reasons.values())


def test_it_quotes_both_sides_at_the_touch_with_the_size_of_the_origin() -> None:
    played = play([top(1)], FREE, UNITS, Maker(**PLAIN))
    assert list(played.scenario.actions) == [Submit(1, 1, Side.BUY, 10_000, 5), Submit(1, 2, Side.SELL, 10_010, 5)]


def test_its_defaults_are_those_of_the_origin() -> None:
    maker = Maker()
    assert (maker.size, maker.offset_bps, maker.cap, maker.initial_position) == (5, 0, 10, 10)
    assert (maker.guard_size, maker.guard_window_ns, maker.guard_count) == (Decimal("0.8"), 500 * MS, None)
    assert (maker.life_ns, maker.min_interval_ns) == (5 * SECOND, 500 * MS)


@pytest.mark.parametrize(
    ("offset_bps", "buy", "sell"),
    [
        (0, 10_000, 10_010),
        (1, 9_999, 10_012),  # 10011.001 is rounded away from the touch
        ("0.5", 9_999, 10_011),  # so are 9999.5 and 10010.5005
        (2, 9_998, 10_013),
        (-2, 10_002, 10_008),  # inside the spread: 10007.998 is no tick
        (-20, 10_004, 10_005),  # they would meet: they stop on either side of the middle
    ],
)
def test_the_offset_moves_a_quote_off_its_touch_and_never_through_a_tick(offset_bps: Any, buy: int, sell: int) -> None:
    assert quoted(top(1), offset_bps=offset_bps) == [(1, "BUY", buy), (1, "SELL", sell)]


@pytest.mark.parametrize(
    ("position", "prices"),
    [
        (0, {"BUY": 10_000, "SELL": 10_010}),
        (5, {"BUY": 9_999, "SELL": 10_009}),  # 10008.999
        (10, {"SELL": 10_008}),  # at the cap
        (-5, {"BUY": 10_001, "SELL": 10_012}),  # 10011.001
        (-10, {"BUY": 10_002}),
    ],
)
def test_a_position_moves_both_quotes_against_itself_by_its_share_of_the_cap(
    position: int, prices: dict[str, int]
) -> None:
    found = quoted(top(1), inventory_skew_bps=2, initial_position=position, cap=10, size=1)
    assert {side: price for _, side, price in found} == prices


@pytest.mark.parametrize(
    ("sizes", "buy", "sell"),
    [((5, 5), 10_000, 10_010), ((9, 1), 10_001, 10_012), ((1, 9), 9_998, 10_009), ((3, 1), 10_001, 10_012)],
)
def test_an_uneven_book_moves_both_quotes_towards_its_thinner_side(sizes: tuple[int, int], buy: int, sell: int) -> None:
    assert [price for _, _, price in quoted(top(1, sizes=sizes), imbalance_lean_bps=2)] == [buy, sell]


def test_a_quote_stays_behind_the_other_touch_whatever_moves_it() -> None:
    held: dict[str, Any] = {"initial_position": -10, "cap": 20, "inventory_skew_bps": 500}
    assert quoted(top(1), **held) == [(1, "BUY", 10_009), (1, "SELL", 10_261)]
    held["initial_position"] = 10
    assert quoted(top(1), **held) == [(1, "BUY", 9_750), (1, "SELL", 10_001)]


def test_only_the_side_that_the_book_leans_to_may_be_quoted() -> None:
    assert quoted(top(1, sizes=(9, 1)), imbalance_one_side=True) == [(1, "BUY", 10_000)]
    assert quoted(top(1, sizes=(1, 9)), imbalance_one_side=True) == [(1, "SELL", 10_010)]
    assert len(quoted(top(1, sizes=(4, 4)), imbalance_one_side=True)) == 2


@pytest.mark.parametrize("ask", [10_000, 9_990])
def test_a_locked_or_a_crossed_book_is_not_quoted_and_what_stands_is_withdrawn(ask: int) -> None:
    events = (top(1), top(2, ask=ask), top(2 + SECOND))
    assert [action for _, action, _ in quoted(*events)] == ["BUY", "SELL", "-", "-", "BUY", "SELL"]
    assert why(*events) == ["no_book"] * 2


def test_a_side_without_a_price_is_not_quoted() -> None:
    # prints alone tell a bid of zero here: nobody quotes at zero
    assert quoted(Trade(1, 1, 1, Side.BUY)) == [(1, "SELL", 1)]


def test_a_quote_is_replaced_when_its_price_moves_and_kept_while_it_does_not() -> None:
    events = (top(1), top(SECOND), top(2 * SECOND, bid=10_001))
    assert quoted(*events)[2:] == [(2 * SECOND, "-", 10_000), (2 * SECOND, "BUY", 10_001)]
    assert why(*events) == ["requote"]


def test_no_quote_follows_another_of_its_side_within_the_interval() -> None:
    events = [top(n * 100 * MS, bid=10_000 + n % 2) for n in range(40)]
    for wait_ns in (0, 500 * MS, 700 * MS):
        sent = [ns for ns, side, _ in quoted(*events, min_interval_ns=wait_ns) if side == "BUY"]
        assert min(b - a for a, b in pairwise(sent)) >= max(wait_ns, 100 * MS)
        # the old quote stands until a new one may be sent
        assert len(sent) == {0: 40, 500 * MS: 8, 700 * MS: 6}[wait_ns]


def test_a_quote_past_its_life_is_replaced_by_the_rules_or_by_the_maker() -> None:
    events = [top(n * SECOND) for n in range(1, 8)]
    assert quoted(*events)[2:] == [
        (6 * SECOND, "-", 10_000), (6 * SECOND, "BUY", 10_000),
        (6 * SECOND, "-", 10_010), (6 * SECOND, "SELL", 10_010),
    ]  # fmt: skip
    assert why(*events) == ["stale_quote"] * 2
    expires = Rules(latency_ns=0, ttl_ns=5 * SECOND, position_cap_lots=None)
    assert quoted(*events, rules=expires)[2:] == [(6 * SECOND, "BUY", 10_000), (6 * SECOND, "SELL", 10_010)]
    assert why(*events, rules=expires) == []


def trade(ns: int, size: int, aggressor: Side | None = None, price: int = 10_005) -> Trade:
    return Trade(ns, price, size, aggressor)


@pytest.mark.parametrize(
    ("trades", "maker", "stopped"),
    [
        # volume: reached, not reached, reached in sum, reached but too long ago
        ([(100, 8, None)], {"guard_size": 8}, "both"),
        ([(100, 7, None)], {"guard_size": 8}, ""),
        ([(100, 4, Side.BUY), (400, 4, Side.SELL)], {"guard_size": 8}, "both"),
        ([(100, 4, Side.BUY), (600, 4, Side.SELL)], {"guard_size": 8}, ""),
        # number and direction: only trades that hit a side stop it; an unknown one hits both
        ([(100, 1, Side.SELL), (200, 1, Side.SELL)], {"guard_count": 2, "guard_same_side": True}, "BUY"),
        ([(100, 1, Side.BUY), (200, 1, Side.BUY)], {"guard_count": 2, "guard_same_side": True}, "SELL"),
        ([(100, 1, Side.BUY), (200, 1, Side.SELL)], {"guard_count": 2, "guard_same_side": True}, ""),
        ([(100, 1, Side.BUY), (200, 1, None)], {"guard_count": 2, "guard_same_side": True}, "SELL"),
        ([(100, 1, Side.BUY), (200, 1, Side.SELL)], {"guard_count": 2}, "both"),
        ([(100, 8, Side.SELL)], {"guard_size": 8, "guard_same_side": True}, "BUY"),
    ],
)
def test_the_guard_withdraws_the_sides_that_are_being_hit(
    trades: list[tuple[int, int, Side | None]], maker: dict[str, Any], stopped: str
) -> None:
    events = [top(1), *(trade(ms * MS, size, side) for ms, size, side in trades)]
    limits = {"BUY": 10_000, "SELL": 10_010}
    withdrawn = [price for _, action, price in quoted(*events, **maker) if action == "-"]
    assert withdrawn == (list(limits.values()) if stopped == "both" else [limits[stopped]] if stopped else [])
    assert set(why(*events, **maker)) <= {"adverse_volume_guard"}


def test_the_guard_lets_a_side_go_when_its_window_has_passed() -> None:
    events = (top(1), trade(SECOND, 8), top(SECOND + 499 * MS), top(SECOND + 500 * MS))
    assert [(ns, action) for ns, action, _ in quoted(*events, guard_size=8)][2:] == [
        (SECOND, "-"), (SECOND, "-"), (SECOND + 500 * MS, "BUY"), (SECOND + 500 * MS, "SELL"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("position", "sides"),
    [
        (0, ["BUY", "SELL"]),
        (5, ["BUY", "SELL"]),
        (6, ["SELL"]),
        (10, ["SELL"]),
        (12, ["SELL"]),  # beyond the cap: nearer zero is allowed
        (40, ["SELL"]),
        (-10, ["BUY"]),
    ],
)
def test_a_side_that_would_pass_the_cap_is_not_quoted(position: int, sides: list[str]) -> None:
    assert [side for _, side, _ in quoted(top(1), cap=10, initial_position=position)] == sides


def test_its_own_fills_move_its_position_and_with_it_its_quotes() -> None:
    events = (top(1), trade(SECOND, 9, Side.SELL, 9_990), top(SECOND + 1), top(2 * SECOND), top(3 * SECOND))
    settings: dict[str, Any] = {"cap": 5, "initial_position": 0, "inventory_skew_bps": 5}
    assert quoted(*events, **settings) == [
        (1, "BUY", 10_000), (1, "SELL", 10_010),
        # bought 5: at the cap, so nothing to buy, and the offer comes down by 5 basis points, to the bid
        (SECOND, "-", 10_010), (SECOND, "SELL", 10_005),
    ]  # fmt: skip


def test_a_cap_that_is_reached_while_a_quote_stands_withdraws_it() -> None:
    settings: dict[str, Any] = {"cap": 5, "initial_position": -5, "size": 5}
    events = (top(1), trade(SECOND, 9, Side.SELL, 9_990), top(2 * SECOND), trade(3 * SECOND, 9, Side.SELL, 9_990))
    assert [(ns, action) for ns, action, _ in quoted(*events, **settings)] == [
        (1, "BUY"), (SECOND, "BUY"), (SECOND, "SELL"),
    ]  # fmt: skip
    assert why(*events, trade(4 * SECOND, 1), **settings) == []
    pulled = (top(1), trade(SECOND, 2, Side.SELL, 9_990), top(2 * SECOND))
    rules = Rules(latency_ns=0, ttl_ns=None, position_cap_lots=None, sizing="trade")
    assert why(*pulled, rules=rules, cap=5, initial_position=0) == ["inventory_cap"]


def test_without_tops_the_touch_is_guessed_from_prints() -> None:
    prints = [Trade(1 * SECOND, 100, 1, Side.SELL), Trade(2 * SECOND, 103, 1, Side.BUY)]
    assert quoted(*prints) == [
        (1 * SECOND, "BUY", 100), (1 * SECOND, "SELL", 101),
        (2 * SECOND, "SELL", 103),
    ]  # fmt: skip


def test_all_of_an_instant_is_seen_before_anything_is_done() -> None:
    assert quoted(top(1), top(1, bid=9_990, ask=9_995)) == [(1, "BUY", 9_990), (1, "SELL", 9_995)]


def test_it_never_looks_ahead() -> None:
    day = synthetic.day(seconds=4_000)
    rules = Rules.load("origin", instrument=synthetic.INSTRUMENT)
    whole = play(day, rules, synthetic.INSTRUMENT)
    for cut in (10, 500, 2_000):
        last_ns = day[cut].ns
        part = play([event for event in day if event.ns <= last_ns], rules, synthetic.INSTRUMENT)
        assert list(part.scenario.actions) == [a for a in whole.scenario.actions if a.ns <= last_ns]
        assert list(part.fills) == [fill for fill in whole.fills if fill.ns <= last_ns]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", 0), ("size", "nan"), ("cap", -1), ("guard_size", 0), ("guard_count", 0), ("life_ns", 0),
        ("min_interval_ns", -1), ("guard_window_ns", 0.5), ("offset_bps", 10_000), ("offset_bps", "0.0000001"),
    ],
)  # fmt: skip
def test_parameters_that_no_maker_can_have_are_refused(field: str, value: Any) -> None:
    with pytest.raises(InputError) as caught:
        Maker(**{field: value})
    assert (caught.value.file, caught.value.field) == ("maker", field)


def test_an_initial_position_off_the_lot_is_refused() -> None:
    with pytest.raises(InputError):
        play([], FREE, UNITS, Maker(initial_position=Decimal("0.5")))


STEPS_NS = (0, 0, 1, 100 * MS, 250 * MS, 300 * MS, 500 * MS, SECOND, 5 * SECOND)


def wild_tape(seed: int) -> list[TapeEvent]:
    """Trades at and around a touch that moves a tick at a time, many events an instant."""
    random = Random(seed)  # noqa: S311 - a test, not a secret
    ns, bid, events = SECOND, 100, []
    for _ in range(random.randrange(1, 60)):
        ns += random.choice(STEPS_NS)
        bid = max(bid + random.randint(-1, 1), 2)
        ask = bid + random.choice((1, 1, 2, 3, 0, -1))
        if random.random() < 0.4:
            events.append(TopOfBook(ns, bid, random.randint(1, 9), max(ask, 1), random.randint(1, 9)))
        else:
            price = random.choice((bid, ask, bid - 1, ask + 1, bid - 3, ask + 3))
            events.append(Trade(ns, max(price, 1), random.randint(1, 9), random.choice((*Side, None))))
    return events


def wild_maker(seed: int) -> Maker:
    random = Random(seed)  # noqa: S311 - a test, not a secret
    return Maker(
        size=Decimal(random.choice((1, 2, 5))),
        offset_bps=Decimal(random.choice((0, 0, 50, -50))),
        inventory_skew_bps=Decimal(random.choice((0, 100))),
        imbalance_lean_bps=Decimal(random.choice((0, 100))),
        imbalance_one_side=random.random() < 0.2,
        guard_size=random.choice((None, Decimal(8))),
        guard_count=random.choice((None, 3)),
        guard_same_side=random.random() < 0.5,
        life_ns=random.choice((SECOND, 5 * SECOND)),
        min_interval_ns=random.choice((0, 500 * MS)),
        cap=random.choice((None, Decimal(5), Decimal(10))),
        initial_position=None,
    )


def seen_again(played: Played) -> bool:
    """Whether the actions, replayed, give the fills that the maker saw while it decided."""
    return tuple(simulate(played.scenario)) == played.fills


@given(any_rules(), st.integers(0, 10**9))
def test_replayed_its_actions_give_the_fills_that_it_saw(rules: Rules, seed: int) -> None:
    assert seen_again(play(wild_tape(seed), rules, UNITS, wild_maker(seed)))


@pytest.mark.parametrize("sizing", ["whole", "trade", "shared"])
@pytest.mark.parametrize("cap_action", ["rest", "cancel"])
def test_it_is_filled_often_enough_for_that_to_mean_something(sizing: str, cap_action: str) -> None:
    rules = Rules(
        latency_ns=100 * MS, cancel_latency_ns=300 * MS, sizing=sizing, cap_action=cap_action, position_cap_lots=4
    )
    played = [play(wild_tape(seed), rules, UNITS, wild_maker(seed)) for seed in range(150)]
    assert all(map(seen_again, played))
    assert sum(len(p.fills) for p in played) > 150


@pytest.fixture(scope="module")
def day() -> Played:
    rules = Rules.load("origin", instrument=synthetic.INSTRUMENT)
    return play(synthetic.day(), rules, synthetic.INSTRUMENT)


def test_on_the_synthetic_day_every_part_has_its_say(day: Played) -> None:
    assert len(day.fills) == 3_572
    assert Counter(day.reasons.values()) == {"requote": 49_894, "adverse_volume_guard": 3_076}
    assert {fill.size_lots for fill in day.fills} == {500}
    assert sum(isinstance(action, Cancel) for action in day.scenario.actions) == len(day.reasons)


def test_its_run_breaks_no_law_and_its_markers_are_the_origins(day: Played, tmp_path: Path) -> None:
    rules = Rules.load("origin", instrument=synthetic.INSTRUMENT)
    run = run_maker(synthetic.day(), rules, synthetic.INSTRUMENT, name="maker")
    write_bundle(run, tmp_path / "run")
    (tmp_path / "markers").mkdir()
    write_markers(run, tmp_path / "markers", reasons=day.reasons)
    bundle = audit(read_run(tmp_path / "run"))
    markers = audit(read_run(tmp_path / "markers", tape=tmp_path / "run/tape.parquet"))
    for report in (bundle, markers):
        assert report.exit_code() == 0
        # one quote a side: no trade crosses two of them
        assert {j.law for j in report.judgements if j.verdict is Verdict.UNKNOWN} == {"priority_is_respected"}
    lines = [json.loads(line) for line in (tmp_path / "markers/markers.jsonl").read_text().splitlines()]
    kinds = Counter(line["kind"] for line in lines)
    open_orders = int(run.reported["orders_open"])
    # as in the origin: every quote ends in a fill or a cancellation, but for what is open at the end
    assert kinds["submit"] == kinds["fill"] + kinds["cancel"] + open_orders
    why_cancelled = Counter(line["reason"] for line in lines if line["kind"] == "cancel")
    assert why_cancelled == {**Counter(day.reasons.values()), EXPIRED: int(run.reported["orders_expired"])}
    totals = json.loads((tmp_path / "markers/backtest.json").read_text())["reported"]
    assert totals["maker_quote_cancellations"] == kinds["cancel"]
    assert totals["maker_quote_submissions"] == kinds["submit"]
