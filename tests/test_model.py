"""By model: what a profile documents is counted in sight; what it does not document stays broken."""

from __future__ import annotations

from typing import Any

import pytest
from tables import table

from invariants.auditing import audit
from invariants.laws import KINDS, LAWS, law_named
from invariants.laws.justification import REASONS, reasons
from invariants.missed import Missed, missed_crossings
from invariants.verdict import Modelled, Verdict
from simcore import InputError, Rules, Run

WHERE = "https://example.org/docs: as the engine says"
LOGGED = {"live_ns": "native", "end_ns": "native"}
HEAD = "ns event id side price_ticks size_lots aggressor live_ns end_ns end\n"
DEVIATIONS = {
    "fills_have_trades.at": (
        "1000 submit A BUY 100 5\n1250 trade - - 100 5 SELL\n1250 fill A BUY 100 5",
        {"cross": "through"},
    ),
    "fills_have_trades.book_cross": ("1000 submit A BUY 100 5\n1250 top - - 98/100 1/5\n1250 fill A BUY 100 5", {}),
    "fills_have_trades.touch_thin": ("1000 submit A BUY 100 5\n1250 top - - 98/100 1/4\n1250 fill A BUY 100 5", {}),
    "fills_have_trades.book_standing": ("1000 submit A BUY 100 5\n900 top - - 98/99 1/1\n1250 fill A BUY 100 5", {}),
    "fills_have_trades.wrong_side": (
        "1000 submit A BUY 100 5\n1250 trade - - 100 5 BUY\n1250 fill A BUY 100 5",
        {"aggressor": "opposite"},
    ),
    "fill_price_equals_limit.better": ("1000 submit A SELL 100 5\n1250 trade - - 101 5\n1250 fill A SELL 101 5", {}),
    "fill_respects_limit.book_price": (
        "1000 submit A BUY 100 5\n1250 top - - 90/95 1/1\n1250 trade - - 99 5\n1250 fill A BUY 95 5",
        {"pricing": "improve"},
    ),
    "fill_respects_limit.slipped": ("1000 submit A BUY 100 5\n1250 trade - - 99 5\n1250 fill A BUY 101 5", {}),
    "fill_price_equals_limit.slipped": ("1000 submit A BUY 100 5\n1250 trade - - 99 5\n1250 fill A BUY 101 5", {}),
    "fill_price_equals_limit.on_arrival": (
        HEAD + "1000 submit A SELL 100 5 - 1250 1250 filled\n1240 top - - 101/103 9/9\n1250 fill A SELL 101 5",
        {},
    ),
    "fill_price_equals_limit.at_open": (
        "1000 submit A SELL 100 5\n1250 trade - - 101 5\n1260 trade - - 100 5\n1250..1299 fill A SELL 101 5",
        {},
    ),
    "crossed_orders_fill.at_arrival": ("1000 submit A BUY 100 5\n1250 trade - - 99 5", {"latency_ns": 250}),
    "crossed_orders_fill.at_cancel": (
        "1000 submit A BUY 100 5\n1200 cancel A\n1250 trade - - 99 5",
        {"cancel_latency_ns": 50},
    ),
    "trade_fills_an_order_once.split": (
        "1000 submit A BUY 100 5\n1250 trade - - 100 5\n1250 fill A BUY 100 2\n1250 fill A BUY 100 3",
        {"sizing": "trade"},
    ),
    "trade_volume_is_not_oversold.reused": (
        "1000 submit A BUY 9 5\n1000 submit B BUY 9 5\n1250 trade - - 9 5\n1250 fill A BUY 9 5\n1250 fill B BUY 9 5",
        {"sizing": "shared"},
    ),
    "fills_have_trades.book_thin": ("1000 submit A BUY 100 5\n900 top - - 98/100 1/4\n1250 fill A BUY 100 5", {}),
    "fills_have_orders.closing": (
        "1000 submit A BUY 100 5\n1250 trade - - 100 5\n1250 fill A BUY 100 5\n1300 fill end SELL 101 5",
        {},
    ),
    "trade_volume_is_not_oversold.through": (
        "1000 submit A BUY 9 5\n1000 submit B BUY 9 5\n1250 trade - - 8 5\n1250 fill A BUY 9 5\n1250 fill B BUY 9 5",
        {"sizing": "shared"},
    ),
    "crossed_orders_fill.at_limit": ("1000 submit A BUY 100 5\n1250 trade - - 100 5", {}),
    "crossed_orders_fill.volume": (
        "1000 submit A BUY 100 5\n1250 trade - - 99 5\n1250 fill A BUY 100 2",
        {"sizing": "trade"},
    ),
    "crossed_orders_fill.not_live": (
        HEAD + "1000 submit A BUY 100 5 - 1300 1400 cancelled\n1250 trade - - 99 5",
        {"provenance": LOGGED},
    ),
    "crossed_orders_fill.rejected": (
        HEAD + "1000 submit A BUY 100 5 - - - rejected\n1250 trade - - 99 5",
        {"provenance": LOGGED},
    ),
    "priority_is_respected.at_limit": (
        "1000 submit A BUY 100 5\n1001 submit B BUY 100 5\n1250 trade - - 100 5\n1250 fill B BUY 100 5",
        {},
    ),
    "fills_have_trades.last_trade": (
        HEAD + "900 trade - - 99 5\n1000 submit A BUY 100 5 - 1250 1250 filled\n1250 fill A BUY 100 5",
        {"provenance": LOGGED},
    ),
    "fill_follows_submit.at_once": ("1000 submit A BUY 100 5\n1000 fill A BUY 100 5", {"latency_ns": 0}),
    "no_fill_after_cancel.pending": (
        HEAD + "1000 submit A BUY 100 5 - 1000 1300 filled\n1100 cancel A\n1300 trade - - 100 5\n1300 fill A BUY 100 5",
        {"cancel_latency_ns": 100},
    ),
    "no_fill_after_expiry.pending": (
        HEAD + "1000 submit A BUY 100 5 - 1000 1300 filled\n1300 trade - - 100 5\n1300 fill A BUY 100 5",
        {"ttl_ns": 250},
    ),
    "fees_follow_schedule.rounded": (
        "ns event id side price_ticks size_lots fee\n1000 submit A BUY 101 5 -\n1250 fill A BUY 101 5 -51",
        {"fee_rate": "-0.1"},
    ),
}
"""One deviation each: a run that shows it under its rules."""


WIDER = {
    "trade_volume_is_not_oversold.through": "trade_volume_is_not_oversold.reused",
    "fill_price_equals_limit.on_arrival": "fill_price_equals_limit.better",
    "fill_price_equals_limit.at_open": "fill_price_equals_limit.better",
    "fill_price_equals_limit.better": "fill_price_equals_limit.at_open",
}
"""A kind that holds here, too: a part of the other, or the other of it."""


def judged(name: str, text: str, given: dict[str, Any], documented: tuple[str, ...]) -> Any:
    return law_named(name.partition(".")[0]).judge(
        table(text, **given, documented=dict.fromkeys(documented, WHERE)), max_findings=5
    )


@pytest.mark.parametrize("name", DEVIATIONS)
def test_a_documented_deviation_is_counted_and_not_broken(name: str) -> None:
    text, given = DEVIATIONS[name]
    found = judged(name, text, given, (name,))
    assert (found.verdict, found.failed, found.by_model) == (Verdict.PASS, 0, 1), found
    assert found.modelled == (Modelled(name.partition(".")[2], 1, WHERE),)
    assert found.judged > 0


@pytest.mark.parametrize("name", DEVIATIONS)
def test_nothing_else_excuses_it(name: str) -> None:
    """Without the profile, and under a profile that documents every other kind, the row stays broken."""
    text, given = DEVIATIONS[name]
    others = tuple(
        f"{law}.{kind}"
        for law, kinds in KINDS.items()
        for kind in kinds
        if f"{law}.{kind}" not in (name, WIDER.get(name))
    )
    for documented in ((), others):
        found = judged(name, text, given, documented)
        assert (found.verdict, found.failed, found.by_model) == (Verdict.FAIL, 1, 0), found
        assert len(found.findings) == 1


def test_every_kind_has_a_deviation_and_stands_on_the_page_of_its_law() -> None:
    for law, kinds in KINDS.items():
        page = law_named(law).doc
        for kind in kinds:
            shown = f"{law}.{kind}" in DEVIATIONS or law == "priority_is_respected"
            assert shown, (law, kind)
            assert f"``{kind}``" in page, (law, kind)
    assert set(KINDS) <= {law.name for law in LAWS}


def test_one_documented_row_does_not_excuse_its_neighbour() -> None:
    orders = "1000 submit A BUY 100 5\n1000 submit B BUY 90 5\n"
    text = orders + "1250 top - - 98/100 1/5\n1250 fill A BUY 100 5\n1260 fill B BUY 90 5"
    found = judged("fills_have_trades", text, {}, ("fills_have_trades.book_cross",))
    assert (found.verdict, found.judged, found.failed, found.by_model) == (Verdict.FAIL, 2, 1, 1)
    assert [f.row for f in found.findings] == [2]
    assert "order 'B'" in found.findings[0].story


def test_a_kind_that_no_law_knows_is_refused() -> None:
    run = table("1000 submit A BUY 100 5", documented={"fills_have_trades.wish": WHERE})
    with pytest.raises(InputError, match=r"fills_have_trades\.wish"):
        audit(run)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"documented": "x"}, "documented"),
        ({"documented": {"fills_have_trades.at": ""}}, "documented.fills_have_trades.at"),
        ({"sources": {"latency_ns": 1}}, "sources.latency_ns"),
        ({"sources": {"wish": "x"}}, "sources.wish"),
    ],
)
def test_a_profile_says_where(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as caught:
        Rules.from_dict(given)
    assert caught.value.field == field


REASONED = """
    900   top    -  -     98/104  1/1
    1000  submit A  BUY   100     5
    1001  submit B  SELL  100     5
    1100  trade  -  -     99      5     SELL
    1100  fill   A  BUY   100     1
    1200  trade  -  -     100     5     SELL
    1200  fill   A  BUY   100     1
    1300  top    -  -     98/100  1/1
    1300  fill   A  BUY   100     1
    1400  fill   A  BUY   100     1
    1500  top    -  -     98/104  1/1
    1600  trade  -  -     99      5     BUY
    1600  fill   A  BUY   100     1
    1700  fill   A  BUY   100     1
    1800  trade  -  -     101     5     BUY
    1800  fill   B  SELL  100     5
"""


def test_each_fill_has_its_best_reason() -> None:
    run = table(REASONED, aggressor="opposite", sizing="trade")
    assert reasons(run).tolist() == ["through", "at", "book_cross", "book_standing", "wrong_side", "none", "through"]
    counts = dict(audit(run).justification)
    assert counts == {**dict.fromkeys(REASONS, 1), "through": 2}


def test_under_any_aggressor_no_side_is_wrong() -> None:
    assert reasons(table(REASONED, sizing="trade")).tolist()[4] == "through"


def test_a_fill_of_an_interval_is_justified_by_any_trade_in_it() -> None:
    run = table(
        "1000 submit A BUY 100 5\n1250 trade - - 99 5\n1200..1300 fill A BUY 100 5\n1301..1400 fill A BUY 100 5"
    )
    assert reasons(run).tolist() == ["through", "none"]


def test_a_fill_that_names_its_trade_is_justified_by_that_trade_alone() -> None:
    text = """
        ns    event   id  side  price_ticks  size_lots  trade_seq
        1000  submit  A   BUY   100          5          -
        1250  trade   -   -     99           5          -
        1250  trade   -   -     100          5          -
        1250  trade   -   -     101          5          -
        1250  fill    A   BUY   100          5          1
        1250  fill    A   BUY   100          5          2
    """
    assert reasons(table(text)).tolist() == ["at", "none"]


def test_missed_crossings_are_counted_in_both_windows() -> None:
    """A is live from 1000 by the rules, from 1200 by the log; B is crossed at its limit only."""
    run = table(
        HEAD
        + """
        1000  submit  A  BUY  100  5  -  1200  1500  cancelled
        1000  submit  B  BUY   99  5  -  1000  1500  cancelled
        1100  trade   -  -     99  5
        1200  trade   -  -     99  5
        1450  cancel  A
        1450  cancel  B
        """,
        provenance=LOGGED,
    )
    nominal, logged = missed_crossings(run)
    assert nominal == Missed("nominal", at=1, through=1, trades=4)
    # the trade at 1200 is at the very instant of A's arrival: no evidence
    assert logged == Missed("logged", at=1, through=0, trades=2)


def test_the_trade_that_filled_an_order_is_no_miss() -> None:
    run = table("1000 submit A BUY 100 5\n1250 trade - - 99 5\n1250 fill A BUY 100 5\n1260 trade - - 99 5")
    assert missed_crossings(run)[0] == Missed("nominal")


def test_without_a_log_or_a_latency_a_window_says_what_is_missing() -> None:
    run = table("1000 submit A BUY 100 5\n1250 trade - - 99 5", undeclared=["latency_ns"])
    nominal, logged = missed_crossings(run)
    assert nominal.reason == "undeclared: latency_ns"
    assert "live_ns" in logged.reason


def test_an_undeclared_latency_leaves_the_log_as_evidence() -> None:
    text = HEAD + "1000 submit A BUY 100 5 - 1200 1500 cancelled\n1100 trade - - 99 5\n1300 trade - - 99 5"
    found = law_named("crossed_orders_fill").judge(table(text, provenance=LOGGED, undeclared=["latency_ns"]))
    assert (found.verdict, found.judged, found.failed) == (Verdict.FAIL, 1, 1)
    assert "1300 ns" in found.findings[0].story
    computed = table(text, undeclared=["latency_ns"], provenance={"live_ns": "nominal"})
    assert law_named("crossed_orders_fill").judge(computed).verdict is Verdict.UNKNOWN


BARS = """
    1000        submit  A  BUY  100  5
    1000        submit  B  BUY   98  5
    1100        trade   -  -     99  5
    1100        trade   -  -     97  5
    1001..2000  fill    A  BUY  100  5
"""


def test_a_bar_decides_about_an_order_that_nothing_filled() -> None:
    """B was crossed in the bar and got nothing: what A got, and when, does not matter without a cap."""
    found = law_named("crossed_orders_fill").judge(table(BARS))
    assert (found.verdict, found.failed) == (Verdict.FAIL, 1)
    assert "order 'B'" in found.findings[0].story
    capped = law_named("crossed_orders_fill").judge(table(BARS, position_cap_lots=5))
    assert (capped.verdict, capped.failed) == (Verdict.UNKNOWN, 0)


def test_a_report_shows_what_was_excused_and_by_whom() -> None:
    from invariants.report import report_text

    text, given = DEVIATIONS["fills_have_trades.book_cross"]
    run = table(text, **given, documented={"fills_have_trades.book_cross": WHERE})
    said = report_text(audit(run))
    assert "fills_have_trades.book_cross  1: https://example.org/docs" in said
    assert "book_cross     1 (100.0%)" in said


def test_undeclared_cap_action_matters_only_with_a_cap() -> None:
    text = "1000 submit A BUY 100 5\n1250 trade - - 99 5\n1250 fill A BUY 100 5"
    vague = ["cap_action", "initial_position_lots", "priority"]

    def verdict(**rules: Any) -> Verdict:
        run: Run = table(text, undeclared=vague, **rules)
        return law_named("crossed_orders_fill").judge(run).verdict

    assert verdict() is Verdict.PASS
    assert verdict(position_cap_lots=9) is Verdict.UNKNOWN
    assert verdict(sizing="shared") is Verdict.UNKNOWN


def test_fees_are_summed_even_where_no_rate_is_declared() -> None:
    text = "ns event id side price_ticks size_lots fee\n1000 submit A BUY 101 5 -\n1250 fill A BUY 101 5 -51"
    said = law_named("fees_follow_schedule").judge(table(text, undeclared=["fee_rate"], reported={"fees": 51}))
    assert (said.verdict, said.failed) == (Verdict.FAIL, 1)
    true = law_named("fees_follow_schedule").judge(table(text, undeclared=["fee_rate"], reported={"fees": -51}))
    assert (true.verdict, true.judged) == (Verdict.UNKNOWN, 1)


def test_an_order_that_the_venue_ended_is_not_crossed_later() -> None:
    text = HEAD + "1000 submit A BUY 100 5 - - 1010 {end}\n1250 trade - - 99 5"

    def verdict(end: str, **rules: Any) -> Verdict:
        run = table(text.format(end=end), provenance=LOGGED, **rules)
        return law_named("crossed_orders_fill").judge(run).verdict

    assert verdict("rejected") is Verdict.UNKNOWN
    assert verdict("expired") is Verdict.UNKNOWN
    # where the rules know when an order expires, its own word for it counts for nothing
    assert verdict("expired", ttl_ns=500) is Verdict.FAIL
    assert verdict("cancelled") is Verdict.FAIL
