"""The reference simulator, rule by rule and dial by dial, and the vocabulary around it."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tables import fills_of, scenario

from invariants.auditing import audit
from invariants.verdict import Verdict
from simcore import (
    Cancel,
    Fill,
    InputError,
    Instrument,
    Ledger,
    Rules,
    Run,
    Scenario,
    Side,
    Submit,
    TopOfBook,
    Trade,
    presets,
    simulate,
)
from simcore.rules import CHOICES, DIALS

INT64_MAX = 2**63 - 1
HALF_ROOM = 2**61


def answers(text: str, **rules: Any) -> None:
    """The simulator gives exactly the fills of the table, and no law objects to them."""
    given = scenario(text, **rules)
    fills = simulate(given)
    assert [replace(fill, fee=None, trade_seq=None) for fill in fills] == fills_of(text)
    report = audit(Run.from_scenario(given, fills))
    assert report.verdict is not Verdict.FAIL, [j for j in report.judgements if j.verdict is Verdict.FAIL]


# Rule 1: one stream by ns; at one instant the tape comes before actions


def test_trade_at_the_instant_of_the_submit_does_not_fill() -> None:
    answers("""
        ns    event   id  side  price_ticks  size_lots
        1000  submit  A   BUY   100          2
        1000  trade   -   -     100          2
    """)


def test_trade_one_ns_after_the_submit_fills() -> None:
    answers("""
        ns    event   id  side  price_ticks  size_lots
        1000  submit  A   BUY   100          2
        1001  trade   -   -     100          2
        1001  fill    A   BUY   100          2
    """)


def test_trade_at_the_instant_of_the_cancel_comes_first() -> None:
    answers("""
        ns    event   id  side  price_ticks  size_lots
        1000  submit  A   BUY   100          2
        1500  cancel  A
        1500  trade   -   -     100          2
        1500  fill    A   BUY   100          2
    """)


def test_trades_of_one_instant_keep_their_order() -> None:
    answers(
        """
        ns    event   id  side  price_ticks  size_lots
        1000  submit  A   BUY   100          2
        1500  trade   -   -     97           2
        1500  trade   -   -     95           2
        1500  fill    A   BUY   97           2
    """,
        pricing="improve",
    )


@pytest.mark.parametrize("stream", ["tape", "actions"])
def test_streams_must_not_run_backwards(stream: str) -> None:
    events = {
        "tape": {"tape": (Trade(5, 1, 1), Trade(4, 1, 1))},
        "actions": {"actions": (Submit(5, 1, Side.BUY, 1, 1), Cancel(4, 1))},
    }
    with pytest.raises(InputError, match=f"{stream} row 2: ns: got 4, wanted no earlier than the row before, 5"):
        Scenario(**events[stream])


@pytest.mark.parametrize("stream", ["tape", "actions"])
@pytest.mark.parametrize("given", [None, 5, Trade(1, 1, 1)], ids=str)
def test_what_is_no_stream_is_bad_input(stream: str, given: Any) -> None:
    with pytest.raises(InputError, match=rf"scenario: {stream}: got {re.escape(repr(given))}, wanted an iterable"):
        Scenario(**{stream: given})


# Rule 2: only a trade fills


def test_tops_of_book_never_fill() -> None:
    answers("""
        ns    event   id  side  price_ticks  size_lots
        1000  submit  A   BUY   100          2
        1000  submit  B   SELL  105          2
        1500  top     -   -     90/95        9/9
        1600  top     -   -     110/111      9/9
        1700  top     -   -     107/98       9/9
    """)


def test_time_alone_fills_nothing() -> None:
    answers("""
        ns          event   id  side  price_ticks  size_lots
        1000        submit  A   BUY   100          2
        2000        cancel  A
        3000000000  submit  B   SELL  100          2
    """)


# Rule 3: the live window


@pytest.mark.parametrize("latency_ns", [1, 2, 250, 300_000_000, 3_600_000_000_000])
def test_order_fills_from_its_arrival_on(latency_ns: int) -> None:
    arrival_ns = 1000 + latency_ns
    for ns, row in ((arrival_ns - 1, ""), (arrival_ns, "fill"), (arrival_ns + 1, "fill")):
        answers(
            f"""
            1000  submit  A  BUY  100  2
            {ns}  trade   -  -    100  2
            {f"{ns} fill A BUY 100 2" if row else ""}
        """,
            latency_ns=latency_ns,
        )


def test_zero_latency_still_needs_a_later_instant() -> None:
    answers(
        """
        ns    event   id  side  price_ticks  size_lots
        1000  submit  A   BUY   100          2
        1000  trade   -   -     100          2
        1001  trade   -   -     100          2
        1001  fill    A   BUY   100          2
    """,
        latency_ns=0,
    )


def test_clock_is_the_orders_own() -> None:
    answers(
        """
        ns    event   id  side  price_ticks  size_lots
        1000  submit  A   BUY   100          2
        1200  submit  B   BUY   100          2
        1240  trade   -   -     101          2
        1250  trade   -   -     100          2
        1250  fill    A   BUY   100          2
        1449  trade   -   -     100          2
        1450  trade   -   -     100          2
        1450  fill    B   BUY   100          2
    """,
        latency_ns=250,
    )


def test_arrival_beyond_int64_never_comes() -> None:
    answers(
        f"""
        {INT64_MAX - 9}  submit  A  BUY  100  2
        {INT64_MAX}      trade   -  -    100  2
    """,
        latency_ns=100,
    )


# Rule 4: expiry


@pytest.mark.parametrize(("tie", "last_ns"), [("expire", 5999), ("fill", 6000)])
def test_order_fills_until_its_expiry(tie: str, last_ns: int) -> None:
    for ns in (5999, 6000, 6001):
        answers(
            f"""
            1000  submit  A  BUY  100  2
            {ns}  trade   -  -    100  2
            {f"{ns} fill A BUY 100 2" if ns <= last_ns else ""}
        """,
            latency_ns=250,
            ttl_ns=5000,
            expiry_tie=tie,
        )


def test_age_counts_from_the_submit_not_from_the_arrival() -> None:
    answers(
        """
        ns    event   id  side  price_ticks  size_lots
        1000  submit  A   BUY   100          2
        1300  trade   -   -     100          2
    """,
        latency_ns=300,
        ttl_ns=300,
    )


def test_order_that_expires_at_its_arrival_fills_only_by_the_tie() -> None:
    answers(
        """
        ns    event   id  side  price_ticks  size_lots
        1000  submit  A   BUY   100          2
        1300  trade   -   -     100          2
        1300  fill    A   BUY   100          2
    """,
        latency_ns=300,
        ttl_ns=300,
        expiry_tie="fill",
    )


def test_order_that_expires_before_it_arrives_never_fills() -> None:
    text = """
        ns    event   id  side  price_ticks  size_lots
        1000  submit  A   BUY   100          2
        1299  trade   -   -     100          2
        1300  trade   -   -     100          2
    """
    for tie in CHOICES["expiry_tie"]:
        answers(text, latency_ns=300, ttl_ns=299, expiry_tie=tie)


def test_no_ttl_means_for_ever() -> None:
    answers(
        f"""
        0            submit  A  BUY  100  2
        {INT64_MAX}  trade   -  -    100  2
        {INT64_MAX}  fill    A  BUY  100  2
    """,
        ttl_ns=None,
    )


def test_remainder_expires_too() -> None:
    answers(
        """
        ns    event   id  side  price_ticks  size_lots
        1000  submit  A   BUY   100          5
        1500  trade   -   -     100          2
        1500  fill    A   BUY   100          2
        2000  trade   -   -     100          2
    """,
        ttl_ns=1000,
        sizing="trade",
    )


# Rule 5: cancels


@pytest.mark.parametrize(("tie", "last_ns"), [("fill", 2100), ("cancel", 2099)])
def test_cancel_in_flight(tie: str, last_ns: int) -> None:
    for ns in (2000, 2099, 2100, 2101):
        answers(
            f"""
            1000  submit  A  BUY  100  2
            2000  cancel  A
            {ns}  trade   -  -    100  2
            {f"{ns} fill A BUY 100 2" if ns <= last_ns else ""}
        """,
            cancel_latency_ns=100,
            cancel_tie=tie,
        )


@pytest.mark.parametrize("tie", CHOICES["cancel_tie"])
def test_cancel_without_latency_lets_the_trade_of_its_instant_fill(tie: str) -> None:
    for ns in (1999, 2000, 2001):
        answers(
            f"""
            1000  submit  A  BUY  100  2
            2000  cancel  A
            {ns}  trade   -  -    100  2
            {f"{ns} fill A BUY 100 2" if ns <= 2000 else ""}
        """,
            cancel_latency_ns=0,
            cancel_tie=tie,
        )


def test_second_cancel_changes_nothing() -> None:
    answers(
        """
        ns    event   id  side  price_ticks  size_lots
        1000  submit  A   BUY   100          2
        2000  cancel  A
        2050  cancel  A
        2101  trade   -   -     100          2
    """,
        cancel_latency_ns=100,
    )


def test_cancel_before_the_submit_does_nothing() -> None:
    answers("""
        ns    event   id  side  price_ticks  size_lots
        900   cancel  A
        1000  submit  A   BUY   100          2
        2000  trade   -   -     100          2
        2000  fill    A   BUY   100          2
    """)


def test_cancel_listed_before_the_submit_of_its_instant_does_nothing() -> None:
    answers("""
        ns    event   id  side  price_ticks  size_lots
        1000  cancel  A
        1000  submit  A   BUY   100          2
        2000  trade   -   -     100          2
        2000  fill    A   BUY   100          2
    """)


def test_cancel_listed_after_the_submit_of_its_instant_works() -> None:
    answers("""
        ns    event   id  side  price_ticks  size_lots
        1000  submit  A   BUY   100          2
        1000  cancel  A
        1001  trade   -   -     100          2
    """)


def test_cancel_too_early_does_not_use_up_the_cancel() -> None:
    answers("""
        ns    event   id  side  price_ticks  size_lots
        900   cancel  A
        1000  submit  A   BUY   100          2
        1100  cancel  A
        2000  trade   -   -     100          2
    """)


def test_order_cancelled_before_it_arrives_never_fills() -> None:
    answers(
        """
        ns    event   id  side  price_ticks  size_lots
        1000  submit  A   BUY   100          2
        1100  cancel  A
        1250  trade   -   -     100          2
        9000  trade   -   -     100          2
    """,
        latency_ns=250,
    )


def test_cancel_that_is_slower_than_the_arrival_lets_a_fill_through() -> None:
    answers(
        """
        ns    event   id  side  price_ticks  size_lots
        1000  submit  A   BUY   100          2
        1100  cancel  A
        1250  trade   -   -     100          2
        1250  fill    A   BUY   100          2
    """,
        latency_ns=250,
        cancel_latency_ns=200,
    )


def test_cancel_of_a_filled_order_does_nothing() -> None:
    answers("""
        ns    event   id  side  price_ticks  size_lots
        1000  submit  A   BUY   100          2
        1000  submit  B   BUY   99           2
        2000  trade   -   -     100          2
        2000  fill    A   BUY   100          2
        2500  cancel  A
        3000  trade   -   -     99           2
        3000  fill    B   BUY   99           2
    """)


def test_cancel_stops_the_remainder_only() -> None:
    answers(
        """
        ns    event   id  side  price_ticks  size_lots
        1000  submit  A   BUY   100          5
        2000  trade   -   -     100          2
        2000  fill    A   BUY   100          2
        2001  cancel  A
        3000  trade   -   -     100          2
    """,
        sizing="trade",
    )


# Rule 6: cross and aggressor


@pytest.mark.parametrize("cross", CHOICES["cross"])
@pytest.mark.parametrize(("side", "step"), [("BUY", -1), ("SELL", 1)])
def test_cross(cross: str, side: str, step: int) -> None:
    for through, fills in ((-1, False), (0, cross == "at"), (1, True), (50, True)):
        answers(
            f"""
            1000  submit  A  {side}  100  2
            2000  trade   -  -       {100 + step * through}  2
            {f"2000 fill A {side} 100 2" if fills else ""}
        """,
            cross=cross,
        )


@pytest.mark.parametrize(("side", "right", "wrong"), [("BUY", "SELL", "BUY"), ("SELL", "BUY", "SELL")])
def test_opposite_aggressor(side: str, right: str, wrong: str) -> None:
    answers(
        f"""
        1000  submit  A  {side}  100  2
        2000  trade   -  -       100  2  {wrong}
        2001  trade   -  -       100  2  -
        2002  trade   -  -       100  2  {right}
        2002  fill    A  {side}  100  2
    """,
        aggressor="opposite",
    )


@pytest.mark.parametrize("taker", ["BUY", "SELL", "-"])
def test_any_aggressor(taker: str) -> None:
    answers(
        f"""
        1000  submit  A  BUY  100  2
        2000  trade   -  -    100  2  {taker}
        2000  fill    A  BUY  100  2
    """,
        aggressor="any",
    )


# Rule 7: the fill


@pytest.mark.parametrize(("pricing", "buy", "sell"), [("limit", 100, 103), ("improve", 97, 108)])
def test_pricing(pricing: str, buy: int, sell: int) -> None:
    answers(
        f"""
        1000  submit  A  BUY   100     2
        1000  submit  B  SELL  103     2
        2000  trade   -  -     97      2
        2000  fill    A  BUY   {buy}   2
        2001  trade   -  -     108     2
        2001  fill    B  SELL  {sell}  2
    """,
        pricing=pricing,
    )


def test_improve_at_the_limit_is_the_limit() -> None:
    answers(
        """
        1000  submit  A  BUY  100  2
        2000  trade   -  -    100  2
        2000  fill    A  BUY  100  2
    """,
        pricing="improve",
    )


@pytest.mark.parametrize("size_lots", [1, 4, 5, 6])
def test_whole_fills_the_order_whatever_the_trade(size_lots: int) -> None:
    answers(
        f"""
        1000  submit  A  BUY  100  5
        1000  submit  B  BUY  100  3
        2000  trade   -  -    100  {size_lots}
        2000  fill    A  BUY  100  5
        2000  fill    B  BUY  100  3
    """,
        sizing="whole",
    )


def test_trade_size_is_there_for_each_order_by_itself() -> None:
    answers(
        """
        1000  submit  A  BUY  100  5
        1000  submit  B  BUY  100  3
        2000  trade   -  -    100  4
        2000  fill    A  BUY  100  4
        2000  fill    B  BUY  100  3
        3000  trade   -  -    100  4
        3000  fill    A  BUY  100  1
    """,
        sizing="trade",
    )


@pytest.mark.parametrize(("size_lots", "first", "second"), [(4, 4, 0), (5, 5, 0), (7, 5, 2), (8, 5, 3), (9, 5, 3)])
def test_shared_size_is_there_once(size_lots: int, first: int, second: int) -> None:
    answers(
        f"""
        1000  submit  A  BUY  100  5
        1000  submit  B  BUY  100  3
        2000  trade   -  -    100  {size_lots}
        2000  fill    A  BUY  100  {first}
        {f"2000 fill B BUY 100 {second}" if second else ""}
    """,
        sizing="shared",
    )


def test_position_moves_before_the_next_order_is_looked_at() -> None:
    answers(
        """
        1000  submit  A  BUY   100  5
        1000  submit  B  SELL  100  5
        1000  submit  C  BUY   100  5
        2000  trade   -  -     100  1
        2000  fill    A  BUY   100  5
        2000  fill    B  SELL  100  5
        2000  fill    C  BUY   100  5
    """,
        position_cap_lots=5,
    )


def test_fill_carries_its_fee_and_its_place_in_the_tape() -> None:
    given = scenario(
        """
        1000  submit  A  BUY  100    2
        1500  top     -  -    99/100 1/1
        2000  trade   -  -    98     2
    """,
        fee_rate=Decimal("-0.00025"),
        pricing="improve",
    )
    assert simulate(given) == [Fill(2000, "A", Side.BUY, 98, 2, Decimal("-0.04900"), 1)]


# Rule 8: removal


def test_filled_order_is_gone() -> None:
    answers("""
        1000  submit  A  BUY  100  2
        2000  trade   -  -    100  2
        2000  trade   -  -    100  2
        2001  trade   -  -    99   2
        2000  fill    A  BUY  100  2
    """)


def test_new_order_at_the_same_place_is_another_order() -> None:
    answers(
        """
        1000  submit  A  BUY  100  2
        2000  trade   -  -    100  2
        2000  fill    A  BUY  100  2
        2000  submit  B  BUY  100  2
        2100  trade   -  -    100  2
        2250  trade   -  -    100  2
        2250  fill    B  BUY  100  2
    """,
        latency_ns=250,
    )


def test_partly_filled_order_keeps_its_age() -> None:
    answers(
        """
        1000  submit  A  BUY  100  3
        2000  trade   -  -    100  1
        2000  fill    A  BUY  100  1
        2000  trade   -  -    100  1
        2000  fill    A  BUY  100  1
        2001  trade   -  -    100  9
        2001  fill    A  BUY  100  1
    """,
        sizing="shared",
    )


# Rule 9: several orders, one trade


def test_time_priority_is_submission() -> None:
    answers(
        """
        1000  submit  A  BUY  99   2
        1000  submit  B  BUY  101  2
        1001  submit  C  BUY  100  2
        2000  trade   -  -    98   5
        2000  fill    A  BUY  99   2
        2000  fill    B  BUY  101  2
        2000  fill    C  BUY  100  1
    """,
        sizing="shared",
        priority="time",
    )


@pytest.mark.parametrize(("side", "step", "taker"), [("BUY", 1, "SELL"), ("SELL", -1, "BUY")])
def test_price_time_priority_is_the_best_price_then_submission(side: str, step: int, taker: str) -> None:
    answers(
        f"""
        1000  submit  A  {side}  {100 + step}      2
        1000  submit  B  {side}  {100 + 2 * step}  2
        1001  submit  C  {side}  {100 + 2 * step}  2
        2000  trade   -  -       100               5  {taker}
        2000  fill    B  {side}  {100 + 2 * step}  2
        2000  fill    C  {side}  {100 + 2 * step}  2
        2000  fill    A  {side}  {100 + step}      1
    """,
        sizing="shared",
        priority="price-time",
    )


def test_priority_is_submission_not_arrival_of_ids() -> None:
    answers(
        """
        1000  submit  9  BUY  100  2
        1000  submit  1  BUY  100  2
        2000  trade   -  -    100  3
        2000  fill    9  BUY  100  2
        2000  fill    1  BUY  100  1
    """,
        sizing="shared",
    )


def test_one_trade_fills_buys_and_sells() -> None:
    answers("""
        1000  submit  A  BUY   100  2
        1000  submit  B  SELL  100  3
        2000  trade   -  -     100  1
        2000  fill    A  BUY   100  2
        2000  fill    B  SELL  100  3
    """)


# Rule 10: the cap


@pytest.mark.parametrize(("size_lots", "fills"), [(9, True), (10, True), (11, False)])
@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_cap(side: str, size_lots: int, fills: bool) -> None:
    answers(
        f"""
        1000  submit  A  {side}  100  {size_lots}
        2000  trade   -  -       100  1
        {f"2000 fill A {side} 100 {size_lots}" if fills else ""}
    """,
        position_cap_lots=10,
    )


@pytest.mark.parametrize(
    ("start", "side", "size_lots", "fills"),
    [
        (20, "SELL", 5, True),  # 15: beyond the cap, but nearer zero on the same side
        (20, "SELL", 30, True),  # -10: within the cap on the other side
        (20, "SELL", 31, False),  # -11: beyond the cap, and through zero
        (20, "SELL", 35, False),  # -15: nearer zero than 20, but on the other side
        (20, "BUY", 1, False),
        (-20, "BUY", 5, True),
        (-20, "BUY", 30, True),
        (-20, "BUY", 31, False),
        (-20, "SELL", 1, False),
        (10, "SELL", 20, True),  # a flip from cap to cap
        (10, "SELL", 21, False),
        (10, "BUY", 1, False),
        (9, "BUY", 1, True),
        (-10, "SELL", 1, False),
        (HALF_ROOM, "BUY", HALF_ROOM, False),
        (-HALF_ROOM, "BUY", HALF_ROOM, True),
    ],
)
def test_cap_with_an_initial_position(start: int, side: str, size_lots: int, fills: bool) -> None:
    answers(
        f"""
        1000  submit  A  {side}  100  {size_lots}
        2000  trade   -  -       100  1
        {f"2000 fill A {side} 100 {size_lots}" if fills else ""}
    """,
        position_cap_lots=10,
        initial_position_lots=start,
    )


def test_cap_of_zero_forbids_everything_but_the_way_back() -> None:
    answers(
        """
        1000  submit  A  BUY   100  1
        1000  submit  B  SELL  100  3
        1000  submit  C  SELL  100  1
        2000  trade   -  -     100  9
        2000  fill    B  SELL  100  3
    """,
        position_cap_lots=0,
        initial_position_lots=3,
    )


def test_blocked_order_rests_on() -> None:
    answers(
        """
        1000  submit  A  BUY   100  10
        1000  submit  B  BUY   100  1
        1000  submit  C  SELL  103  4
        2000  trade   -  -     100  1
        2000  fill    A  BUY   100  10
        3000  trade   -  -     103  1
        3000  fill    C  SELL  103  4
        4000  trade   -  -     100  1
        4000  fill    B  BUY   100  1
    """,
        position_cap_lots=10,
        cap_action="rest",
    )


def test_blocked_order_is_cancelled() -> None:
    answers(
        """
        1000  submit  A  BUY   100  10
        1000  submit  B  BUY   100  1
        1000  submit  C  SELL  103  4
        2000  trade   -  -     100  1
        2000  fill    A  BUY   100  10
        3000  trade   -  -     103  1
        3000  fill    C  SELL  103  4
        4000  trade   -  -     100  1
    """,
        position_cap_lots=10,
        cap_action="cancel",
    )


def test_blocked_fill_does_not_consume_the_trade() -> None:
    answers(
        """
        1000  submit  A  BUY  100  8
        1000  submit  B  BUY  100  5
        2000  trade   -  -    100  8
        2000  fill    B  BUY  100  5
    """,
        position_cap_lots=7,
        sizing="shared",
    )


def test_order_without_volume_left_is_not_blocked() -> None:
    answers(
        """
        1000  submit  A  BUY   100  10
        1000  submit  B  BUY   100  1
        1000  submit  C  SELL  103  4
        2000  trade   -  -     100  10
        2000  fill    A  BUY   100  10
        3000  trade   -  -     103  4
        3000  fill    C  SELL  103  4
        4000  trade   -  -     100  1
        4000  fill    B  BUY   100  1
    """,
        position_cap_lots=10,
        sizing="shared",
        cap_action="cancel",
    )


def test_sizes_are_never_clipped_to_fit_the_cap() -> None:
    answers(
        """
        1000  submit  A  BUY  100  8
        2000  trade   -  -    100  6
        2001  trade   -  -    100  5
        2001  fill    A  BUY  100  5
        2002  trade   -  -    100  9
    """,
        position_cap_lots=5,
        sizing="trade",
    )


def test_no_cap_means_no_end() -> None:
    answers(
        f"""
        1000  submit  A  BUY  100  {HALF_ROOM}
        2000  trade   -  -    100  1
        2000  fill    A  BUY  100  {HALF_ROOM}
    """,
        position_cap_lots=None,
        initial_position_lots=HALF_ROOM,
    )


# Rule 11: the tape is exogenous


def test_our_fills_change_nothing_on_the_tape() -> None:
    given = scenario("""
        1000  submit  A  BUY  100    2
        2000  top     -  -    99/101 2/2
        2000  trade   -  -    100    2
    """)
    before = given.tape
    assert simulate(given) == simulate(given)
    assert given.tape is before


def test_simulate_needs_no_tape_and_no_actions() -> None:
    assert simulate(Scenario()) == []
    assert simulate(Scenario(tape=[Trade(1, 1, 1)])) == []
    assert simulate(Scenario(actions=[Submit(1, 1, Side.BUY, 1, 1)])) == []


def test_fee_of_any_accepted_rate_is_exact() -> None:
    try:
        rules = Rules(latency_ns=0, position_cap_lots=None, fee_rate=Decimal("0." + "1" * 390))
    except InputError:
        return  # a rate too fine to charge exactly may be refused
    order = Submit(1, 1, Side.BUY, HALF_ROOM - 1, HALF_ROOM - 1)
    assert simulate(Scenario((Trade(2, 1, 1),), (order,), rules))[0].fee is not None


# The ledger


def test_ledger_is_exact() -> None:
    ledger = Ledger()
    for fill in (
        Fill(1, 1, Side.BUY, 2**53 + 1, 3),
        Fill(2, 2, Side.SELL, 2**53 + 2, 5, fee=Decimal("0.1")),
        Fill(3, 3, Side.BUY, 7, 1, fee=Decimal("0.2")),
    ):
        ledger.book(fill)
    assert ledger.position_lots == -1
    assert ledger.fees == Decimal("0.3")
    assert ledger.cash == 5 * (2**53 + 2) - 3 * (2**53 + 1) - 7 - Decimal("0.3")
    assert ledger.equity(10) == ledger.cash - 10


def test_ledger_charges_the_rate_where_the_fill_says_no_fee() -> None:
    ledger = Ledger(position_lots=4, cash=Decimal(1000))
    ledger.book(Fill(1, 1, Side.BUY, 100, 3), Decimal("0.001"))
    ledger.book(Fill(2, 2, Side.SELL, 100, 3, fee=Decimal(0)), Decimal("0.001"))
    assert (ledger.position_lots, ledger.cash, ledger.fees) == (4, Decimal("999.7"), Decimal("0.3"))


def test_ledger_pays_a_rebate() -> None:
    ledger = Ledger()
    ledger.book(Fill(1, 1, Side.SELL, 100, 2), Decimal("-0.00025"))
    assert (ledger.cash, ledger.fees) == (Decimal("200.05"), Decimal("-0.05"))


# The instrument


@pytest.mark.parametrize(
    ("tick", "price", "ticks"),
    [
        ("0.1", 0.3, 3),
        ("0.1", "0.3", 3),
        (0.1, Decimal("0.30"), 3),
        ("0.01", 361.07, 36107),
        ("0.5", -2.5, -5),
        ("1e-8", "0.00000001", 1),
        ("1e-8", 1e-8, 1),
        ("5", "1e3", 200),
        (1, " 7 ", 7),
        (1, INT64_MAX, INT64_MAX),
        (1, -INT64_MAX, -INT64_MAX),
        (1, 2.0**53, 2**53),
        ("0.00000000000000000001", "0.09", 9 * 10**18),
    ],
)
def test_instrument_converts_exactly(tick: Any, price: Any, ticks: int) -> None:
    grid = Instrument(tick_size=tick, lot_size=tick)
    assert grid.ticks(price) == ticks
    assert grid.lots(price) == ticks
    assert grid.price(ticks) == grid.size(ticks) == Decimal(str(price).strip())


@pytest.mark.parametrize(
    ("tick", "price", "wanted"),
    [
        ("0.1", 0.1 + 0.2, "a multiple of tick_size 0.1"),
        ("0.1", "0.25", "a multiple of tick_size 0.1"),
        ("0.01", 1e-9, "a multiple of tick_size 0.01"),
        (1, 0.5, "a multiple of tick_size 1"),
        (1, float("nan"), "a finite number"),
        (1, float("inf"), "a finite number"),
        (1, float("-inf"), "a finite number"),
        (1, Decimal("sNaN"), "a finite number"),
        (1, True, "a finite number"),
        (1, None, "a finite number"),
        (1, "", "a finite number"),
        (1, "12 000", "a finite number"),
        (1, b"1", "a finite number"),
        (1, "1e999999999", "a finite number"),
        (1, "9" * 500, "a finite number"),
        (1, 2**63, "a count inside int64"),
        (1, -(2**63), "a count inside int64"),
        ("1e-18", "9.3", "a count inside int64"),
        ("1e-200", "1e200", "a count inside int64"),
    ],
)
def test_instrument_refuses(tick: Any, price: Any, wanted: str) -> None:
    with pytest.raises(InputError) as caught:
        Instrument(tick_size=tick).ticks(price, file="fills.csv", row=7, field="fill_price")
    error = caught.value
    assert (error.file, error.row, error.field, error.got) == ("fills.csv", 7, "fill_price", price) or price != price  # noqa: PLR0124 - NaN
    assert error.wanted == wanted


def test_instrument_refuses_an_integer_too_long_to_print() -> None:
    with pytest.raises(InputError):
        Instrument().ticks(10**5000)


@pytest.mark.parametrize("name", ["tick_size", "lot_size"])
@pytest.mark.parametrize("step", [0, -1, "0.0", float("nan"), "x", False, None])
def test_instrument_refuses_a_step(name: str, step: Any) -> None:
    with pytest.raises(InputError) as caught:
        Instrument(**{name: step})
    assert (caught.value.file, caught.value.field) == ("instrument", name)


def test_notional_is_in_currency() -> None:
    grid = Instrument(tick_size="0.5", lot_size="0.01")
    assert grid.notional(3 * 7) == Decimal("0.105") == grid.price(3) * grid.size(7)


# Bad scenarios

GOOD_TRADE = {"ns": 1, "price_ticks": 1, "size_lots": 1, "aggressor": None}
GOOD_TOP = {"ns": 1, "bid_ticks": 1, "bid_lots": 1, "ask_ticks": 1, "ask_lots": 1}
GOOD_SUBMIT = {"ns": 1, "order_id": 1, "side": Side.BUY, "price_ticks": 1, "size_lots": 1}
GOOD_CANCEL = {"ns": 1, "order_id": 1}


@pytest.mark.parametrize("value", [0, -1, 2**63, 1.0, "1", None, True, float("nan")])
@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("trade", "price_ticks"), ("trade", "size_lots"), ("submit", "price_ticks"), ("submit", "size_lots"),
        ("top", "bid_ticks"), ("top", "bid_lots"), ("top", "ask_ticks"), ("top", "ask_lots"),
    ],
)  # fmt: skip
def test_scenario_refuses_a_quantity(kind: str, field: str, value: Any) -> None:
    refuses(kind, field, value, r"a whole number from 1 to \d+")


@pytest.mark.parametrize("value", [-1, 2**63, 1.0, "1", None, True])
@pytest.mark.parametrize("kind", ["trade", "top", "submit", "cancel"])
def test_scenario_refuses_a_time(kind: str, value: Any) -> None:
    refuses(kind, "ns", value, "whole nanoseconds since 1970, inside int64")


@pytest.mark.parametrize("value", [None, True, 1.0, b"x", ("a",)])
@pytest.mark.parametrize("kind", ["submit", "cancel"])
def test_scenario_refuses_an_id(kind: str, value: Any) -> None:
    refuses(kind, "order_id", value, "an int or a str")


@pytest.mark.parametrize(
    ("kind", "field", "values"), [("submit", "side", (1, "BUY", 0, None)), ("trade", "aggressor", (1, "SELL", 0))]
)
def test_scenario_refuses_a_side(kind: str, field: str, values: tuple[Any, ...]) -> None:
    for value in values:
        refuses(kind, field, value, "Side.BUY or Side.SELL")


def refuses(kind: str, field: str, value: Any, wanted: str) -> None:
    """The second row of its stream is refused with all five parts."""
    makers: dict[str, tuple[Callable[..., Any], dict[str, Any], str]] = {
        "trade": (Trade, GOOD_TRADE, "tape"),
        "top": (TopOfBook, GOOD_TOP, "tape"),
        "submit": (Submit, GOOD_SUBMIT, "actions"),
        "cancel": (Cancel, GOOD_CANCEL, "actions"),
    }
    make, good, stream = makers[kind]
    first = Submit(0, 0, Side.BUY, 1, 1) if stream == "actions" else Trade(0, 1, 1)
    with pytest.raises(InputError) as caught:
        Scenario(**{stream: (first, make(**{**good, field: value}))})
    error = caught.value
    assert (error.file, error.row, error.field) == (stream, 2, field)
    assert error.got is value
    assert re.fullmatch(wanted, error.wanted)


@pytest.mark.parametrize(
    ("actions", "row", "got", "wanted"),
    [
        ((Submit(1, 7, Side.BUY, 1, 1), Submit(1, 7, Side.SELL, 2, 1)), 2, 7, "an id never used before"),
        ((Submit(1, 7, Side.BUY, 1, 1), Cancel(2, 8)), 2, 8, "the id of a submitted order"),
        ((Submit(1, 7, Side.BUY, 1, 1), Cancel(2, "7")), 2, "7", "the id of a submitted order"),
    ],
)
def test_scenario_refuses_ids_that_do_not_fit(actions: Any, row: int, got: Any, wanted: str) -> None:
    with pytest.raises(InputError) as caught:
        Scenario(actions=actions)
    error = caught.value
    assert (error.file, error.row, error.field, error.got, error.wanted) == ("actions", row, "order_id", got, wanted)


def test_an_int_and_its_text_are_two_ids() -> None:
    Scenario(actions=(Submit(1, 7, Side.BUY, 1, 1), Submit(1, "7", Side.BUY, 1, 1)))


@pytest.mark.parametrize(
    ("stream", "field", "event"),
    [
        ("tape", "event", Submit(1, 1, Side.BUY, 1, 1)),
        ("tape", "event", "trade"),
        ("tape", "event", None),
        ("tape", "event", (1, 2, 3)),
        ("actions", "action", Trade(1, 1, 1)),
        ("actions", "action", "submit"),
        ("actions", "action", None),
        ("actions", "action", Fill(1, 1, Side.BUY, 1, 1)),
    ],
)
def test_scenario_refuses_what_is_no_event(stream: str, field: str, event: Any) -> None:
    with pytest.raises(InputError) as caught:
        Scenario(**{stream: (event,)})
    assert (caught.value.file, caught.value.row, caught.value.field, caught.value.got) == (stream, 1, field, event)


def test_scenario_refuses_sizes_that_could_overflow_when_added() -> None:
    orders = [Submit(1, i, Side.BUY, 1, 2**60) for i in range(3)]
    Scenario(actions=orders[:2])
    with pytest.raises(InputError, match="actions row 3: size_lots: got 3458764513820540928, wanted a total within"):
        Scenario(actions=orders)
    trades = [Trade(1, 1, 2**60)] * 3
    Scenario(tape=trades[:2])
    with pytest.raises(InputError, match="tape row 3: size_lots"):
        Scenario(tape=trades)


def test_scenario_refuses_undeclared_rules() -> None:
    with pytest.raises(InputError, match=r"rules: got \['ttl_ns'\], wanted every dial declared"):
        Scenario(rules=Rules(undeclared={"ttl_ns"}))


def test_scenario_refuses_what_are_no_rules() -> None:
    with pytest.raises(InputError):
        Scenario(rules={"latency_ns": 5})


def test_scenario_keeps_tuples() -> None:
    given = Scenario(iter([Trade(1, 1, 1)]), [Submit(1, 1, Side.BUY, 1, 1)])
    assert isinstance(given.tape, tuple)
    assert isinstance(given.actions, tuple)
    assert hash(given) == hash(pickle.loads(pickle.dumps(given)))  # noqa: S301 - our own bytes


# Rules


def test_the_defaults_are_the_first_words_and_the_origin() -> None:
    assert Rules() == Rules.load("origin") == Rules.from_dict({})
    assert {name: words[0] for name, words in CHOICES.items()} == {name: getattr(Rules(), name) for name in CHOICES}


@pytest.mark.parametrize(
    ("dial", "value"),
    [
        *((name, "no such word") for name in CHOICES),
        *((name, None) for name in CHOICES),
        *((name, bad) for name in ("latency_ns", "cancel_latency_ns", "ttl_ns") for bad in (-1, 1.5, "1", True, 2**63)),
        ("latency_ns", None),
        ("cancel_latency_ns", None),
        ("position_cap_lots", -1),
        ("position_cap_lots", 2**61 + 1),
        ("position_cap_lots", 10.0),
        ("initial_position_lots", 2**61 + 1),
        ("initial_position_lots", -(2**61) - 1),
        ("initial_position_lots", None),
        ("fee_rate", "x"),
        ("fee_rate", float("nan")),
        ("fee_rate", "1.01"),
        ("fee_rate", None),
        ("undeclared", {"latency"}),
        ("undeclared", "latency_ns"),
    ],
)
def test_rules_refuse(dial: str, value: Any) -> None:
    with pytest.raises(InputError) as caught:
        Rules(**{dial: value})
    assert (caught.value.file, caught.value.row, caught.value.field) == ("rules", None, dial)


@pytest.mark.parametrize(
    ("dial", "value"),
    [
        *((name, word) for name, words in CHOICES.items() for word in words),
        ("latency_ns", 0),
        ("latency_ns", INT64_MAX),
        ("ttl_ns", None),
        ("ttl_ns", 0),
        ("position_cap_lots", None),
        ("position_cap_lots", 0),
        ("position_cap_lots", 2**61),
        ("initial_position_lots", -(2**61)),
        ("fee_rate", Decimal(1)),
        ("fee_rate", Decimal("-0.00025")),
    ],
)
def test_rules_go_through_their_dictionary(dial: str, value: Any) -> None:
    rules = Rules(**{dial: value})
    assert Rules.from_dict(rules.to_dict()) == rules
    assert pickle.loads(pickle.dumps(rules)) == rules  # noqa: S301 - our own bytes


def test_fee_rate_is_what_its_text_says() -> None:
    assert Rules(fee_rate=0.1).fee_rate == Decimal("0.1")


def test_rules_say_what_they_declare() -> None:
    rules = Rules(undeclared=["ttl_ns", "cross"])
    assert rules.declares("latency_ns", "sizing")
    assert not rules.declares("latency_ns", "cross")
    assert Rules.from_dict(rules.to_dict()) == rules


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"latency": 5}, "latency"),
        ({"preset": "no such"}, "preset"),
        ({"preset": []}, "preset"),
        ({"undeclared": "ttl_ns"}, "undeclared"),
        ({"undeclared": ["no such"]}, "undeclared"),
        ({"latency_ns": "none"}, "latency_ns"),
        ({"cross": "over"}, "cross"),
    ],
)
def test_rules_from_dict_refuse(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as caught:
        Rules.from_dict(given, file="my.toml")
    assert (caught.value.file, caught.value.field) == ("my.toml", field)


def test_a_misspelled_preset_is_answered_with_those_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        InputError, match=r"orign: rules: got 'neither .*', wanted a readable file, or one of .*, origin,"
    ):
        Rules.load("orign")
    monkeypatch.chdir(tmp_path)
    Path("orign").write_text("latency_ns = 1\n")
    assert Rules.load("orign").latency_ns == 1


def test_rules_file(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text('preset = "origin"\nttl_ns = "none"\nfee_rate = 0.0001\nundeclared = ["cross"]\n', encoding="utf-8")
    rules = Rules.load(path)
    assert rules == Rules(ttl_ns=None, fee_rate=Decimal("0.0001"), undeclared=frozenset({"cross"}))


@pytest.mark.parametrize("content", [b"latency_ns = ", b"\xff\xfe", b"latency_ns = -1", b"a = " + b"[" * 5000])
def test_bad_rules_file_is_bad_input(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        Rules.load(path)
    assert caught.value.file == str(path)


def test_missing_rules_file_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="wanted a readable file"):
        Rules.load(tmp_path / "none.toml")


@pytest.mark.parametrize("name", presets())
def test_every_preset_loads(name: str) -> None:
    rules = Rules.load(name)
    assert set(rules.to_dict()) >= set(DIALS)
    assert Rules.from_dict({"preset": name}) == rules


@pytest.mark.parametrize(("lot", "cap_lots"), [("1", 10), ("0.1", 100), ("0.01", 1000), ("3", 3), ("20", 0)])
def test_default_cap_is_ten_units_whatever_the_lot(lot: str, cap_lots: int) -> None:
    grid = Instrument(lot_size=lot)
    assert Rules.load("origin", instrument=grid).position_cap_lots == cap_lots
    assert Rules.from_dict({"position_cap_lots": 7}, instrument=grid).position_cap_lots == 7
    assert Rules.from_dict({"position_cap_lots": "none"}, instrument=grid).position_cap_lots is None


# The one error


def test_input_error_says_its_parts() -> None:
    error = InputError(file="a.csv", row=3, field="price", got=float("nan"), wanted="a number")
    assert str(error) == "a.csv row 3: price: got nan, wanted a number"
    assert str(InputError(field="x", got="y", wanted="z")) == "scenario: x: got 'y', wanted z"


def test_input_error_cuts_what_is_long() -> None:
    assert len(str(InputError(field="x", got="y" * 10**6, wanted="z"))) < 200
    assert len(str(InputError(field="x", got=list(range(10**4)), wanted="z"))) < 200


@pytest.mark.parametrize("got", [5, "five", None, float("inf"), Decimal("1.5"), b"\xff", "y" * 500, ["a", 1]])
def test_input_error_says_the_same_in_another_process(got: Any) -> None:
    error = InputError(file="a.csv", row=3, field="price", got=got, wanted="a number")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert isinstance(again, InputError)
    assert str(again) == str(error)
    assert (again.file, again.row, again.field, again.wanted) == ("a.csv", 3, "price", "a number")


def test_input_error_with_something_that_cannot_be_pickled_still_travels() -> None:
    error = InputError(field="tape", got=lambda: 1, wanted="a Trade")
    assert "wanted a Trade" in str(pickle.loads(pickle.dumps(error)))  # noqa: S301 - our own bytes


def test_sides_are_signs() -> None:
    assert (Side.BUY, Side.SELL) == (1, -1)
