"""What recorded runs know only in part: intervals, logs, numbers of trades, ends that were computed, counts."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from invariants import audit
from invariants.missed import missed_crossings
from invariants.split import judge, merge, split
from invariants.verdict import Judgement
from simcore import Rules, Run

ORDER = ("order_id", "side", "price", "size", "submit_ns")
Rows = list[tuple[Any, ...]]


def judged(
    law: str,
    orders: Rows,
    trades: Rows,
    fills: Rows,
    rules: Rules,
    *,
    more: str = "cancel_ns",
    of_fills: str = "",
    **given: Any,
) -> Judgement:
    """The verdict of one law on rows of orders (with ``more``), of a tape, and of fills (with ``of_fills``)."""
    return audit(_run(orders, trades, fills, rules, more=more, of_fills=of_fills, **given), laws=[law])[law]


def _run(
    orders: Rows, trades: Rows, fills: Rows, rules: Rules, *, more: str = "cancel_ns", of_fills: str = "", **given: Any
) -> Run:
    ours = pd.DataFrame(orders, columns=[*ORDER, *more.split()])
    done = pd.DataFrame(fills, columns=["ns", "order_id", "side", "price", "size", *of_fills.split()])
    for frame, names in ((ours, ("cancel_ns", "live_ns", "end_ns")), (done, ("trade_seq",))):
        for name in set(names) & set(frame):
            frame[name] = frame[name].astype("Int64")
    tape = pd.DataFrame(trades, columns=["ns", "price", "size", "aggressor"])
    return Run.from_frames(orders=ours, trades=tape, fills=done, rules=rules, **given)


def bare(**dials: Any) -> Rules:
    """Rules without latency, expiry and cap."""
    return Rules(**{"latency_ns": 0, "ttl_ns": None, "position_cap_lots": None, **dials})


def told(judgement: Judgement) -> tuple[str, int, int]:
    return judgement.verdict.value, judgement.failed, judgement.undecided


def test_an_order_that_shared_volume_left_without_is_no_missed_crossing() -> None:
    orders, trades = [(1, 1, 100, 1, 0, None), (2, 1, 100, 1, 0, None)], [(5, 100, 1, -1)]
    run = _run(orders, trades, [(5, 1, 1, 100, 1)], bare(sizing="shared"))
    assert next((one.at, one.through) for one in missed_crossings(run)) == (0, 0)
    run = _run(orders, trades, [(5, 1, 1, 100, 1)], bare())
    assert next((one.at, one.through) for one in missed_crossings(run)) == (1, 0)


# an order was live as the engine logged it, and a fill stands at the very end of that


@pytest.mark.parametrize(
    ("orders", "filled", "rules"),
    [
        (
            [(1, 1, 100, 1, 0, 3, None, "open"), (2, 1, 101, 1, 2, 5, 5, "filled")],
            (5, 2, 1, 101, 1),
            Rules(latency_ns=3, ttl_ns=None, position_cap_lots=1, priority="price-time"),
        ),
        ([(1, 1, 100, 1, 0, 0, 5, None), (2, 1, 100, 1, 0, 0, None, None)], (5, 1, 1, 100, 1), bare(sizing="shared")),
    ],
)
def test_what_an_order_took_as_it_arrived_or_ended_is_not_there_for_another(
    orders: Rows, filled: tuple[Any, ...], rules: Rules
) -> None:
    found = judged("crossed_orders_fill", orders, [(5, 99, 1, -1)], [filled], rules, more="live_ns end_ns end")
    assert told(found) == ("unknown", 0, 1)
    alone = judged("crossed_orders_fill", orders, [(5, 99, 1, -1)], [], rules, more="live_ns end_ns end")
    assert alone.verdict.value == "fail"


@pytest.mark.parametrize("word", ["expired", "rejected"])
def test_an_end_that_was_computed_excuses_nobody(word: str) -> None:
    """The rules know no such end; the venue's own, if it was recorded, ends an order."""
    orders = [(1, 1, 100, 1, 0, None, 3, word), (2, 1, 100, 1, 0, None, 5, "filled")]
    given = (orders, [(5, 100, 1, -1)], [(5, 2, 1, 100, 1)], bare())
    more = "cancel_ns end_ns end"
    computed = judged("crossed_orders_fill", *given, more=more, provenance={"end_ns": "nominal"})
    assert told(computed) == ("fail", 1, 0)
    assert judged("crossed_orders_fill", *given, more=more).verdict.value == "pass"


@pytest.mark.parametrize("sent", [(0, 1), (1, 0)])
def test_no_priority_hangs_on_a_submit_that_is_absent(sent: tuple[int, int]) -> None:
    orders = [(1, 1, 100, 1, sent[0], 2, 9, "cancelled"), (2, 1, 100, 1, sent[1], 2, 6, "filled")]
    found = judged(
        "priority_is_respected",
        orders,
        [(5, 100, 1, -1)],
        [(5, 2, 1, 100, 1)],
        Rules(latency_ns=1, ttl_ns=None, position_cap_lots=1),
        more="live_ns end_ns end",
        provenance={"submit_ns": "absent"},
    )
    assert found.verdict.value == "unknown"
    assert "submit_ns" in found.reason


# rule 5: a cancel of an order that is not yet submitted does nothing


def test_a_cancel_from_before_the_submit_neither_convicts_nor_acquits() -> None:
    order = (1, 1, 100, 1, 10, 9)
    filled = judged("no_fill_after_cancel", [order], [(11, 100, 1, -1)], [(11, 1, 1, 100, 1)], bare())
    assert filled.verdict.value == "unknown"  # no order has a cancel that does anything
    missed = judged("crossed_orders_fill", [order], [(11, 100, 1, -1)], [], bare())
    assert told(missed) == ("fail", 1, 0)


# fills that name their trades, or do not


@pytest.mark.parametrize("seqs", [(None, None), (0, None), (None, 0), (0, 0)])
def test_one_trade_fills_an_order_once_whichever_of_its_fills_name_it(seqs: tuple[int | None, int | None]) -> None:
    fills = [(4, 1, 1, 100, 1, seq) for seq in seqs]
    found = judged(
        "trade_fills_an_order_once",
        [(1, 1, 100, 2, 0, None)],
        [(4, 100, 2, -1)],
        fills,
        bare(sizing="trade"),
        of_fills="trade_seq",
    )
    assert told(found) == ("fail", 1, 0)


@pytest.mark.parametrize(("trades_ns", "verdict"), [((4,), ("fail", 1, 0)), ((3, 4), ("pass", 0, 0))])
def test_fills_of_intervals_have_a_trade_each(trades_ns: tuple[int, ...], verdict: tuple[str, int, int]) -> None:
    """The first can move to the trade that the second cannot have had."""
    fills = [(3, 1, 1, 100, 1, 4), (4, 1, 1, 100, 1, 4)]
    trades = [(ns, 100, 2, -1) for ns in trades_ns]
    found = judged(
        "trade_fills_an_order_once",
        [(1, 1, 100, 2, 0, None)],
        trades,
        fills[::-1],
        bare(sizing="trade"),
        of_fills="ns_to",
    )
    assert told(found) == verdict


def test_hundreds_of_fills_of_one_instant_are_placed_at_once() -> None:
    many = 600
    fills = [(4, 1, 1, 100, 1) for _ in range(many)]
    for count in (many, many - 1):
        trades = [(4, 100, 1, -1) for _ in range(count)]
        found = judged("trade_fills_an_order_once", [(1, 1, 100, many, 0, None)], trades, fills, bare(sizing="trade"))
        assert found.failed == many - count


def test_who_shares_no_trade_with_an_oversold_one_is_no_party_to_it() -> None:
    orders, trades = [(1, 1, 100, 2, 0, None), (2, 1, 100, 1, 0, None)], [(4, 100, 1, -1), (4, 100, 1, -1)]
    fills = [(4, 1, 1, 100, 2, 0), (4, 2, 1, 100, 1, 1)]
    found = judged("trade_volume_is_not_oversold", orders, trades, fills, bare(sizing="shared"), of_fills="trade_seq")
    assert told(found) == ("fail", 1, 0)
    assert [finding.row for finding in found.findings] == [1]


@pytest.mark.parametrize("turn", [1, -1])
def test_named_trades_say_in_which_order_the_position_moved(turn: int) -> None:
    fills = [(4, 1, -1, 100, 1, 1), (4, 2, 1, 100, 1, 0)][::turn]
    found = judged(
        "position_stays_within_cap",
        [(1, -1, 100, 1, 0, None), (2, 1, 100, 1, 0, None)],
        [(4, 100, 1, -1), (4, 100, 1, 1)],
        fills,
        bare(position_cap_lots=3, initial_position_lots=3, aggressor="opposite"),
        of_fills="trade_seq",
    )
    assert told(found) == ("fail", 1, 0)
    assert [finding.row for finding in found.findings] == [fills.index((4, 2, 1, 100, 1, 0)) + 1]


@pytest.mark.parametrize(("sold", "verdict"), [((4, 4), ("unknown", 0, 1)), ((6, 6), ("fail", 1, 0))])
def test_the_order_of_overlapping_intervals_is_not_known(sold: tuple[int, int], verdict: tuple[str, int, int]) -> None:
    fills = [(3, 1, 1, 100, 1, 5), (sold[0], 2, -1, 100, 1, sold[1])]
    found = judged(
        "position_stays_within_cap",
        [(1, 1, 100, 1, 0, None), (2, -1, 100, 1, 0, None)],
        [(ns, 100, 1, -1) for ns in (4, 5, 6)],
        fills,
        bare(position_cap_lots=1, initial_position_lots=1),
        of_fills="ns_to",
    )
    assert told(found) == verdict


# reported counts of requests, of which the rows have the first of each order


@pytest.mark.parametrize(
    ("reported", "verdict"),
    [
        ({"cancels": 0}, "fail"),
        ({"cancels": 1}, "pass"),
        ({"cancels": 7}, "unknown"),
        ({"markers": 2}, "fail"),
        ({"markers": 3}, "pass"),
        ({"markers": 99}, "unknown"),
        ({"markers": 3, "submits": 1, "cancels": 1, "fills": 1}, "pass"),
        ({"markers": 4, "submits": 1, "cancels": 2, "fills": 1}, "pass"),
        ({"markers": 5, "submits": 1, "cancels": 2, "fills": 1}, "fail"),
    ],
)
def test_counts_of_cancels_and_markers_are_held_to_the_rows(reported: dict[str, int], verdict: str) -> None:
    given = ([(1, 1, 100, 1, 10, 12)], [(11, 100, 1, -1)], [(11, 1, 1, 100, 1)], bare())
    assert judged("totals_reconcile", *given, reported=reported).verdict.value == verdict


def test_an_order_that_was_logged_as_live_is_missed_in_a_piece_as_in_the_whole() -> None:
    """A piece that begins with the trade that crossed it, and in which not every fill names its trade."""
    orders = [(1, 1, 100, 5, 0, None, None, "filled"), (2, -1, 101, 5, 0, 10, None, None)]
    trades = [(5, 100, 5, -1), (20, 102, 5, 1), (30, 102, 5, 1)]
    run = _run(orders, trades, [(5, 1, 1, 100, 5)], Rules(latency_ns=0, ttl_ns=None), more="live_ns end_ns end")
    whole = audit(run)
    [logged] = [one for one in whole.missed if one.window == "logged"]
    assert (logged.through, logged.trades) == (1, 2)
    for cuts in ([20], [30], [20, 30], [6]):
        assert merge([judge(piece) for piece in split(run, cuts)]).missed == whole.missed
