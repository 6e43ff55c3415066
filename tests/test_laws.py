"""Every law on tables: where it fails, where it passes, where it cannot say, where it has no say."""

from __future__ import annotations

import ast
import pickle
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tables import scenario, table

import invariants.laws
from invariants.auditing import RunBroken, audit
from invariants.laws import LAWS, law_named
from invariants.laws.catalogue import Law
from invariants.tapes import Supports, scenarios
from invariants.verdict import Finding, Judgement, LawBroken, Verdict
from simcore import Fill, Run, Scenario, Side, Submit, simulate
from simcore.rules import DIALS
from simcore.run import Positions

INT64_MAX = 2**63 - 1
QUIET = {
    "database": None,
    "deadline": None,
    "derandomize": True,
    "phases": (Phase.explicit, Phase.generate, Phase.shrink),
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}


@dataclass(frozen=True)
class Trial:
    """A run as a table, the law that judges it, and what it must say."""

    law: str
    verdict: Verdict
    text: str
    message: str = ""
    failed: int = 0
    judged: int | None = None
    given: dict[str, Any] = field(default_factory=dict)

    def run(self) -> Run:
        """The run."""
        return table(self.text, **self.given)


def fails(law: str, message: str, text: str, *, failed: int = 1, **given: Any) -> Trial:
    """The law is broken, ``failed`` times, and its first finding says ``message``."""
    return Trial(law, Verdict.FAIL, text, message, failed, given=given)


def passes(law: str, text: str, *, judged: int | None = None, **given: Any) -> Trial:
    """The law holds, and has judged that many rows."""
    return Trial(law, Verdict.PASS, text, judged=judged, given=given)


def unknown(law: str, reason: str, text: str, **given: Any) -> Trial:
    """The law cannot say, because of ``reason``."""
    return Trial(law, Verdict.UNKNOWN, text, reason, given=given)


def not_applicable(law: str, reason: str, text: str, **given: Any) -> Trial:
    """The law has no say, because of ``reason``."""
    return Trial(law, Verdict.NOT_APPLICABLE, text, reason, given=given)


NOTHING = "ns event"

FILLED = """
    ns    event   id  side  price_ticks  size_lots  aggressor
    1000  submit  A   BUY   100          5
    1250  trade   -   -     100          5          SELL
    1250  fill    A   BUY   100          5
"""

TWICE = """
    ns    event   id  side  price_ticks  size_lots  aggressor
    1000  submit  A   BUY   100          5
    1250  trade   -   -     100          2          SELL
    1250  fill    A   BUY   100          2
    1300  trade   -   -     100          2          SELL
    1300  fill    A   BUY   100          2
"""

SOMEWHEN = """
    1000        submit  A  BUY  100  5
    1250        trade   -  -    100  5  SELL
    1200..1300  fill    A  BUY  100  5
"""

INTEGRITY = (
    fails(
        "values_are_valid",
        "fills row 2 size_lots=0, but should be at least 1",
        """
        1000  submit  A  BUY  100  5
        1250  fill    A  BUY  100  5
        1251  fill    A  BUY  100  0
        """,
    ),
    fails(
        "values_are_valid",
        "tape row 2 price_ticks=-3, but should be at least 1",
        """
        1000  top    -  -  99/101  1/1
        1001  trade  -  -  -3      1
        """,
    ),
    fails("values_are_valid", "quotes row 1 ask_ticks=0, but should be at least 1", "1000 top - - 99/0 1/1"),
    fails("values_are_valid", "orders row 1 price_ticks=0, but should be at least 1", "1000 submit A BUY 0 0"),
    passes("values_are_valid", "1000 submit A BUY 1 1", judged=1),
    passes("values_are_valid", f"1000 trade - - {INT64_MAX} {INT64_MAX}", judged=1),
    unknown("values_are_valid", "no row to judge", NOTHING),
    fails(
        "time_is_ordered",
        "tape row 2 ns=999, but should be at least 1000 [a row above it is that late]",
        """
        1000  trade  -  -  100  1
        999   trade  -  -  100  1
        999   trade  -  -  100  1
        1000  trade  -  -  100  1
        """,
        failed=2,
    ),
    fails(
        "time_is_ordered",
        "orders row 2 submit_ns=999, but should be at least 1000 [a row above it is that late]",
        """
        1000  submit  A  BUY  100  1
        999   submit  B  BUY  100  1
        """,
    ),
    fails(
        "time_is_ordered",
        "fills row 2 ns=1250, but should be at least 1251 [a row above it is that late]",
        """
        1000  submit  A  BUY  100  1
        1251  fill    A  BUY  100  1
        1250  fill    A  BUY  100  1
        """,
    ),
    fails(
        "time_is_ordered",
        "quotes row 2 ns=4, but should be at least 5 [a row above it is that late]",
        """
        5  top  -  -  99/101  1/1
        4  top  -  -  99/101  1/1
        """,
    ),
    fails(  # the second one ended before the first could have begun
        "time_is_ordered",
        "fills row 2 ns=8, but should be at least 10 [a row above it is that late]",
        """
        1       submit  A  BUY  100  1
        10..30  fill    A  BUY  100  1
        5..8    fill    A  BUY  100  1
        """,
    ),
    passes(
        "time_is_ordered",
        """
        1000  submit  A  BUY  100  1
        1000  submit  B  BUY  100  1
        1250  trade   -  -    100  1
        1250  trade   -  -    100  1
        1250  fill    A  BUY  100  1
        1250  fill    B  BUY  100  1
        """,
        judged=6,
    ),
    fails(
        "time_is_ordered",
        "fills row 1 ns_to=9, but should be at least 10 [its ns]",
        """
        1       submit  A  BUY  100  2
        10..9   fill    A  BUY  100  1
        10..10  fill    A  BUY  100  1
        """,
    ),
    passes(
        "time_is_ordered",
        """
        1       submit  A  BUY  100  1
        10..30  fill    A  BUY  100  1
        5..10   fill    A  BUY  100  1
        """,
    ),
    unknown("time_is_ordered", "no row to judge", NOTHING),
    fails(
        "order_ids_are_unique",
        "orders row 3 order_id='A', but should be an id never used before [orders row 1 has it]",
        """
        1000  submit  A  BUY   100  1
        1001  submit  B  BUY   100  1
        1002  submit  A  SELL  101  1
        """,
    ),
    passes(
        "order_ids_are_unique",
        """
        1000  submit  A  BUY  100  1
        1000  submit  a  BUY  100  1
        """,
        judged=2,
    ),
    unknown("order_ids_are_unique", "no row to judge", "1000 trade - - 100 1"),
    fails(
        "fills_have_orders",
        "fills row 1 order_id='B', but should be the id of a submitted order",
        """
        1000  submit  A  BUY  100  1
        1250  fill    B  BUY  100  1
        """,
    ),
    fails(
        "fills_have_orders",
        "fills row 2 side=SELL, but should be BUY [order 'A']",
        """
        1000  submit  A  BUY   100  2
        1250  fill    A  BUY   100  1
        1251  fill    A  SELL  100  1
        """,
    ),
    passes("fills_have_orders", FILLED, judged=1),
    fails(
        "fills_have_orders",
        "fills row 1 order_id='A', but should be the id of a submitted order",
        "1250 fill A BUY 100 1",
    ),
    unknown("fills_have_orders", "no row to judge", "1250 submit A BUY 100 1"),
)

BEFORE_LIVE = """
    ns    event   id  side  price_ticks  size_lots  live_ns
    1000  submit  A   BUY   100          5          1250
    1249  fill    A   BUY   100          5
    """

LIFECYCLE = (
    fails(
        "fill_follows_submit",
        "fills row 1 ns=1000, but should be more than 1000 [order 'A' is submitted then]",
        """
        1000  submit  A  BUY  100  5
        1000  fill    A  BUY  100  5
        """,
    ),
    fails(
        "fill_follows_submit",
        "fills row 1 ns=1000, but should be more than 1000 [order 'A' is submitted then]",
        """
        1000       submit  A  BUY  100  5
        900..1000  fill    A  BUY  100  5
        """,
    ),
    passes(
        "fill_follows_submit",
        """
        1000  submit  A  BUY  100  5
        1001  fill    A  BUY  100  5
        """,
        judged=1,
    ),
    unknown(
        "fill_follows_submit",
        "submit_ns is absent or computed, or lies inside the interval of the fill",
        """
        1000        submit  A  BUY  100  5
        1000..1001  fill    A  BUY  100  5
        """,
    ),
    fails(
        "fill_follows_submit",
        "fills row 1 ns=1249, but should be at least 1250 [order 'A' is live from then on]",
        BEFORE_LIVE,
    ),
    fails(
        "fill_follows_submit",
        "fills row 1 ns=1249, but should be at least 1250 [order 'A' is live from then on]",
        BEFORE_LIVE,
        provenance={"submit_ns": "absent"},
    ),
    passes(
        "fill_follows_submit",
        """
        ns    event   id  side  price_ticks  size_lots  live_ns
        1000  submit  A   BUY   100          5          1250
        1250  fill    A   BUY   100          5
        """,
        judged=1,
    ),
    passes(
        "fill_follows_submit",
        """
        ns          event   id  side  price_ticks  size_lots  live_ns
        1000        submit  A   BUY   100          5          1250
        1200..1250  fill    A   BUY   100          5
        """,
        judged=1,
    ),
    passes("fill_follows_submit", BEFORE_LIVE, judged=1, provenance={"live_ns": "nominal"}),
    unknown("fill_follows_submit", "submit_ns is absent", FILLED, provenance={"submit_ns": "absent"}),
    unknown("fill_follows_submit", "no row to judge", NOTHING),
    fails(
        "latency_is_respected",
        "fills row 1 ns=1249, but should be at least 1250 [submit + latency of 250 ns]",
        """
        1000  submit  A  BUY  100  5
        1249  fill    A  BUY  100  5
        """,
        latency_ns=250,
    ),
    passes("latency_is_respected", FILLED, latency_ns=250, judged=1),
    passes(
        "latency_is_respected",
        """
        1000        submit  A  BUY  100  5
        1250..1251  fill    A  BUY  100  5
        """,
        latency_ns=250,
    ),
    fails(
        "latency_is_respected",
        "fills row 1 ns=1249, but should be at least 1250 [submit + latency of 250 ns]",
        """
        1000        submit  A  BUY  100  5
        1240..1249  fill    A  BUY  100  5
        """,
        latency_ns=250,
    ),
    unknown("latency_is_respected", "inside the interval of the fill", SOMEWHEN, latency_ns=250),
    unknown("latency_is_respected", "undeclared: latency_ns", FILLED, undeclared={"latency_ns"}),
    unknown("latency_is_respected", "computed", FILLED, provenance={"submit_ns": "nominal"}),
    unknown("latency_is_respected", "no row to judge", NOTHING),
    fails(
        "no_fill_after_cancel",
        "fills row 1 ns=2001, but should be at most 2000 [the cancel is effective]",
        """
        1000  submit  A  BUY  100  5
        2000  cancel  A
        2001  fill    A  BUY  100  5
        """,
    ),
    fails(
        "no_fill_after_cancel",
        "fills row 1 ns=2100, but should be less than 2100 [the cancel is effective]",
        """
        1000  submit  A  BUY  100  5
        2000  cancel  A
        2050  cancel  A
        2100  fill    A  BUY  100  5
        """,
        cancel_latency_ns=100,
        cancel_tie="cancel",
    ),
    passes(
        "no_fill_after_cancel",
        """
        1000  submit  A  BUY  100  5
        2000  cancel  A
        2100  fill    A  BUY  100  5
        """,
        cancel_latency_ns=100,
        judged=1,
    ),
    passes(
        "no_fill_after_cancel",
        """
        1000  submit  A  BUY  100  5
        2000  cancel  A
        2099  fill    A  BUY  100  5
        """,
        cancel_latency_ns=100,
        cancel_tie="cancel",
    ),
    passes(  # without a flight the tie has nothing to say
        "no_fill_after_cancel",
        """
        1000  submit  A  BUY  100  5
        2000  cancel  A
        2000  fill    A  BUY  100  5
        """,
        cancel_tie="cancel",
    ),
    passes(
        "no_fill_after_cancel",
        """
        1000  submit  A  BUY  100  5
        2000  cancel  A
        """,
        judged=1,
    ),
    passes(  # the effect is beyond the end of time
        "no_fill_after_cancel",
        f"""
        {INT64_MAX - 9}  submit  A  BUY  100  5
        {INT64_MAX - 5}  cancel  A
        {INT64_MAX}      fill    A  BUY  100  5
        """,
        cancel_latency_ns=100,
        cancel_tie="cancel",
    ),
    unknown(
        "no_fill_after_cancel",
        "the cancel takes effect inside the interval of the fill",
        """
        1000        submit  A  BUY  100  5
        2000        cancel  A
        1999..2001  fill    A  BUY  100  5
        """,
    ),
    unknown("no_fill_after_cancel", "no row to judge", FILLED),
    unknown("no_fill_after_cancel", "undeclared: cancel_tie", FILLED, undeclared={"cancel_tie"}),
    unknown(  # a computed time is never evidence for the law about it
        "no_fill_after_cancel",
        "cancel_ns",
        """
        1000  submit  A  BUY  100  5
        2000  cancel  A
        2001  fill    A  BUY  100  5
        """,
        provenance={"cancel_ns": "nominal"},
    ),
    fails(
        "no_fill_after_expiry",
        "fills row 1 ns=6000, but should be less than 6000 [submit + ttl of 5000 ns]",
        """
        1000  submit  A  BUY  100  5
        6000  fill    A  BUY  100  5
        """,
        ttl_ns=5000,
    ),
    fails(
        "no_fill_after_expiry",
        "fills row 1 ns=6001, but should be at most 6000 [submit + ttl of 5000 ns]",
        """
        1000  submit  A  BUY  100  5
        6001  fill    A  BUY  100  5
        """,
        ttl_ns=5000,
        expiry_tie="fill",
    ),
    passes(
        "no_fill_after_expiry",
        """
        1000  submit  A  BUY  100  5
        5999  fill    A  BUY  100  5
        """,
        ttl_ns=5000,
    ),
    passes(
        "no_fill_after_expiry",
        """
        1000  submit  A  BUY  100  5
        6000  fill    A  BUY  100  5
        """,
        ttl_ns=5000,
        expiry_tie="fill",
    ),
    unknown("no_fill_after_expiry", "inside the interval", SOMEWHEN, ttl_ns=250),
    unknown("no_fill_after_expiry", "undeclared: ttl_ns", FILLED, undeclared={"ttl_ns"}),
    unknown("no_fill_after_expiry", "no row to judge", NOTHING, ttl_ns=5000),
    not_applicable("no_fill_after_expiry", "ttl_ns is none", FILLED),
    fails(
        "no_double_fill",
        "fills row 2 order_id='A', but should be filled once [fills row 1 filled it]",
        """
        1000  submit  A  BUY  100  5
        1250  fill    A  BUY  100  2
        1300  fill    A  BUY  100  2
        """,
    ),
    fails(
        "no_double_fill",
        "fills row 3 size_lots=2, but should be at most 1 [what was left of the order]",
        """
        1000  submit  A  BUY  100  5
        1250  fill    A  BUY  100  2
        1300  fill    A  BUY  100  2
        1300  fill    A  BUY  100  2
        """,
        sizing="trade",
    ),
    fails(
        "no_double_fill",
        f"fills row 2 size_lots={INT64_MAX}, but should be at most 0 [what was left of the order]",
        f"""
        1000  submit  A  BUY  100  {INT64_MAX}
        1250  fill    A  BUY  100  {INT64_MAX}
        1300  fill    A  BUY  100  {INT64_MAX}
        """,
        sizing="shared",
    ),
    passes("no_double_fill", FILLED, judged=1),
    passes(
        "no_double_fill",
        """
        1000  submit  A  BUY  100  5
        1250  fill    A  BUY  100  2
        1300  fill    A  BUY  100  3
        """,
        sizing="shared",
        judged=2,
    ),
    unknown("no_double_fill", "no row to judge", NOTHING),
)

PRICE_AND_SIZE = (
    fails(
        "fill_size_equals_quote_size",
        "fills row 1 size_lots=4, but should be 5 [the size of order 'A']",
        FILLED.replace("fill    A   BUY   100          5", "fill    A   BUY   100          4"),
    ),
    passes("fill_size_equals_quote_size", FILLED, judged=1),
    unknown("fill_size_equals_quote_size", "undeclared: sizing", FILLED, undeclared={"sizing"}),
    unknown("fill_size_equals_quote_size", "no row to judge", NOTHING),
    not_applicable("fill_size_equals_quote_size", "sizing is shared", FILLED, sizing="shared"),
    fails(
        "fill_price_equals_limit",
        "fills row 1 price_ticks=99, but should be 100 [the limit of order 'A']",
        FILLED.replace("fill    A   BUY   100", "fill    A   BUY   99"),
    ),
    passes("fill_price_equals_limit", FILLED, judged=1),
    unknown("fill_price_equals_limit", "undeclared: pricing", FILLED, undeclared={"pricing"}),
    unknown("fill_price_equals_limit", "no row to judge", NOTHING),
    not_applicable("fill_price_equals_limit", "pricing is improve", FILLED, pricing="improve"),
    fails(
        "fill_price_equals_trade",
        "fills row 1 price_ticks=99, but should be 97 or 98 [the price of the trade]",
        """
        1000  submit  A  BUY  100  5
        1250  trade   -  -    97   5
        1250  trade   -  -    98   5
        1250  fill    A  BUY  99   5
        """,
        pricing="improve",
    ),
    passes("fill_price_equals_trade", FILLED, pricing="improve", judged=1),
    passes(
        "fill_price_equals_trade",
        """
        1000        submit  A  BUY  100  5
        1240        trade   -  -    98   5
        1250        trade   -  -    97   5
        1240..1250  fill    A  BUY  98   5
        """,
        pricing="improve",
    ),
    unknown("fill_price_equals_trade", "undeclared: pricing", FILLED, undeclared={"pricing"}),
    unknown("fill_price_equals_trade", "no tape was given", FILLED, pricing="improve", has_tape=False),
    unknown("fill_price_equals_trade", "no row to judge", "1250 fill A BUY 100 1", pricing="improve"),
    unknown(  # the trade of unknown side alone could justify 98
        "fill_price_equals_trade",
        "aggressor",
        """
        1000  submit  A  BUY  100  5
        1250  trade   -  -    99   5  SELL
        1250  trade   -  -    98   5  -
        1250  fill    A  BUY  98   5
        """,
        pricing="improve",
        aggressor="opposite",
    ),
    not_applicable("fill_price_equals_trade", "pricing is limit", FILLED),
    fails(
        "fill_respects_limit",
        "fills row 1 price_ticks=101, but should be at most 100 [the limit of order 'A']",
        FILLED.replace("fill    A   BUY   100", "fill    A   BUY   101"),
    ),
    fails(
        "fill_respects_limit",
        "fills row 1 price_ticks=99, but should be at least 100 [the limit of order 'A']",
        """
        1000  submit  A  SELL  100  5
        1250  trade   -  -     100  5
        1250  fill    A  SELL  99   5
        """,
    ),
    fails(
        "fill_respects_limit",
        "fills row 1 price_ticks=97, but should be at least 98 [the best trade at its instant]",
        """
        1000  submit  A  BUY  100  5
        1250  trade   -  -    98   5
        1250  fill    A  BUY  97   5
        """,
        pricing="improve",
    ),
    fails(
        "fill_respects_limit",
        "fills row 1 price_ticks=103, but should be at most 102 [the best trade at its instant]",
        """
        1000  submit  A  SELL  100  5
        1250  trade   -  -     102  5
        1250  fill    A  SELL  103  5
        """,
        pricing="improve",
    ),
    passes(
        "fill_respects_limit",
        """
        1000  submit  A  BUY  100  5
        1000  submit  B  BUY  100  5
        1250  trade   -  -    98   5
        1250  fill    A  BUY  98   5
        1250  fill    B  BUY  100  5
        """,
        pricing="improve",
        judged=2,
    ),
    unknown("fill_respects_limit", "no row to judge", NOTHING),
    passes("fill_respects_limit", FILLED, undeclared={"cross"}),
    unknown(
        "fill_respects_limit",
        "aggressor",
        """
        1000  submit  A  BUY  100  5
        1250  trade   -  -    99   5  SELL
        1250  trade   -  -    98   5  -
        1250  fill    A  BUY  98   5
        """,
        pricing="improve",
        aggressor="opposite",
    ),
)

TAPE = (
    fails(
        "fills_have_trades",
        "fills row 1 ns=1251, but should be the instant of a trade at or through 100 ticks [only a trade fills]",
        FILLED.replace("1250  fill", "1251  fill"),
    ),
    fails(
        "fills_have_trades",
        "fills row 1 ns=1250, but should be the instant of a trade through 100 ticks [only a trade fills]",
        FILLED,
        cross="through",
    ),
    fails(
        "fills_have_trades",
        "fills row 1 ns=1250, but should be the instant of a trade at or through 100 ticks by a SELL aggressor "
        "[only a trade fills]",
        FILLED.replace("SELL", "BUY"),
        aggressor="opposite",
    ),
    fails(
        "fills_have_trades",
        "fills row 1 ns=1250, but should be the instant of a trade at or through 100 ticks, tape place 1 "
        "[only a trade fills]",
        """
        ns    event   id  side  price_ticks  size_lots  trade_seq
        1000  submit  A   BUY   100          5
        1250  trade   -   -     100          5
        1250  trade   -   -     101          5
        1250  fill    A   BUY   100          5          1
        """,
    ),
    fails(  # a top of book fills nothing
        "fills_have_trades",
        "fills row 1 ns=1250, but should be the instant of a trade at or through 100 ticks [only a trade fills]",
        """
        1000  submit  A  BUY  100    5
        1250  top     -  -    98/99  5/5
        1250  fill    A  BUY  100    5
        """,
    ),
    passes("fills_have_trades", FILLED, aggressor="opposite", judged=1),
    passes("fills_have_trades", SOMEWHEN),
    passes(
        "fills_have_trades",
        """
        1000  submit  A  BUY  100  5
        1250  trade   -  -    99   5
        1250  fill    A  BUY  100  5
        """,
        cross="through",
    ),
    unknown("fills_have_trades", "unknown aggressor", FILLED.replace("SELL", "-"), aggressor="opposite"),
    unknown("fills_have_trades", "no tape was given", FILLED, has_tape=False),
    unknown("fills_have_trades", "undeclared: aggressor", FILLED, undeclared={"aggressor"}),
    unknown(
        "fills_have_trades",
        "the tape runs backwards",
        """
        1251  trade  -  -    100  5
        1250  trade  -  -    100  5
        1250  fill   A  BUY  100  5
        """,
    ),
    unknown("fills_have_trades", "no row to judge", NOTHING),
    fails(
        "trade_fills_an_order_once",
        "fills row 2 order_id='A', but should be filled once by one trade [1 trade(s) at 1250 ns]",
        """
        1000  submit  A  BUY  100  5
        1250  trade   -  -    100  5
        1250  trade   -  -    101  5
        1250  fill    A  BUY  100  2
        1250  fill    A  BUY  100  2
        """,
        sizing="trade",
    ),
    fails(
        "trade_fills_an_order_once",
        "fills row 2 order_id='A', but should be filled once by one trade [1 trade(s) at 1250 ns]",
        """
        ns    event   id  side  price_ticks  size_lots  trade_seq
        1000  submit  A   BUY   100          5
        1250  trade   -   -     100          5
        1250  trade   -   -     100          5
        1250  fill    A   BUY   100          2          1
        1250  fill    A   BUY   100          2          1
        """,
        sizing="trade",
    ),
    passes(
        "trade_fills_an_order_once",
        """
        1000  submit  A  BUY  100  5
        1250  trade   -  -    100  5
        1250  trade   -  -    100  5
        1250  fill    A  BUY  100  2
        1250  fill    A  BUY  100  2
        """,
        sizing="trade",
        judged=2,
    ),
    passes("trade_fills_an_order_once", TWICE, sizing="trade", judged=2),
    unknown("trade_fills_an_order_once", "no row to judge", NOTHING),
    unknown("trade_fills_an_order_once", "no tape was given", FILLED, has_tape=False),
    unknown("trade_fills_an_order_once", "undeclared: cross", FILLED, undeclared={"cross"}),
    unknown(  # the second fill could be that of the trade of unknown side
        "trade_fills_an_order_once",
        "aggressor",
        """
        1000  submit  A  BUY  100  5
        1250  trade   -  -    100  2  SELL
        1250  trade   -  -    100  2  -
        1250  fill    A  BUY  100  2
        1250  fill    A  BUY  100  2
        """,
        sizing="trade",
        aggressor="opposite",
    ),
    fails(
        "trade_volume_is_not_oversold",
        "fills row 1 size_lots=5, but should be at most 4 [4 lots traded at 1250 ns]",
        """
        1000  submit  A  BUY  100  5
        1250  trade   -  -    100  4
        1250  fill    A  BUY  100  5
        """,
        sizing="trade",
    ),
    fails(
        "trade_volume_is_not_oversold",
        "fills row 2 size_lots=3, but should be at most 2 [7 lots traded at 1250 ns]",
        """
        1000  submit  A  BUY  100  5
        1000  submit  B  BUY  100  5
        1250  trade   -  -    100  7
        1250  fill    A  BUY  100  5
        1250  fill    B  BUY  100  3
        """,
        sizing="shared",
    ),
    fails(  # one lot too many, where floats no longer see it
        "trade_volume_is_not_oversold",
        f"fills row 1 size_lots={2**54 + 2}, but should be at most {2**54 + 1} [{2**54 + 1} lots traded at 1250 ns]",
        f"""
        1000  submit  A  BUY  100  {2**54 + 2}
        1250  trade   -  -    100  {2**54 + 1}
        1250  fill    A  BUY  100  {2**54 + 2}
        """,
        sizing="trade",
    ),
    passes(
        "trade_volume_is_not_oversold",
        """
        1000  submit  A  BUY  100  5
        1000  submit  B  BUY  100  5
        1250  trade   -  -    100  5
        1250  fill    A  BUY  100  5
        1250  fill    B  BUY  100  5
        """,
        sizing="trade",
        judged=2,
    ),
    passes(
        "trade_volume_is_not_oversold",
        """
        1000  submit  A  BUY  100  5
        1000  submit  B  BUY  100  5
        1250  trade   -  -    100  4
        1250  trade   -  -    100  3
        1250  fill    A  BUY  100  4
        1250  fill    B  BUY  100  3
        """,
        sizing="shared",
        judged=2,
    ),
    unknown("trade_volume_is_not_oversold", "undeclared: sizing", FILLED, undeclared={"sizing"}),
    unknown("trade_volume_is_not_oversold", "no tape was given", FILLED, sizing="shared", has_tape=False),
    unknown("trade_volume_is_not_oversold", "no row to judge", NOTHING, sizing="shared"),
    unknown(
        "trade_volume_is_not_oversold",
        "aggressor",
        """
        1000  submit  A  BUY  100  5
        1000  submit  B  BUY  100  5
        1250  trade   -  -    100  2  SELL
        1250  trade   -  -    100  2  -
        1250  fill    A  BUY  100  2
        1250  fill    B  BUY  100  2
        """,
        sizing="shared",
        aggressor="opposite",
    ),
    not_applicable("trade_volume_is_not_oversold", "sizing is whole", FILLED),
)

CROSSINGS = (
    fails(
        "priority_is_respected",
        "orders row 1 order_id='B', but should be after 'A' [time priority]",
        """
        1000  submit  A  BUY  100  5
        1000  submit  B  BUY  100  5
        1250  trade   -  -    100  5
        1250  fill    B  BUY  100  5
        """,
        sizing="shared",
    ),
    fails(
        "priority_is_respected",
        "orders row 2 order_id='A', but should be after 'B' [price-time priority]",
        """
        1000  submit  A  BUY  100  5
        1000  submit  B  BUY  101  5
        1250  trade   -  -    100  5
        1250  fill    A  BUY  100  5
        """,
        sizing="shared",
        priority="price-time",
    ),
    passes(
        "priority_is_respected",
        """
        1000  submit  A  BUY  100  5
        1000  submit  B  BUY  101  5
        1250  trade   -  -    100  6
        1250  fill    A  BUY  100  5
        1250  fill    B  BUY  101  1
        """,
        sizing="shared",
        judged=2,
    ),
    passes(  # the better one could not be filled: the cap
        "priority_is_respected",
        """
        1000  submit  A  BUY  100  6
        1000  submit  B  BUY  100  5
        1250  trade   -  -    100  1
        1250  fill    B  BUY  100  5
        """,
        position_cap_lots=5,
    ),
    unknown("priority_is_respected", "no trade crossed two of our orders at once", FILLED),
    unknown("priority_is_respected", "no tape was given", FILLED, has_tape=False),
    unknown("priority_is_respected", "undeclared: priority", FILLED, undeclared={"priority"}),
    unknown(
        "priority_is_respected",
        "trade_seq",
        """
        1000  submit  A  BUY  100  5
        1000  submit  B  BUY  100  5
        1250  trade   -  -    100  5
        1250  trade   -  -    100  5
        1250  fill    B  BUY  100  5
        """,
        sizing="shared",
    ),
    fails(
        "crossed_orders_fill",
        "orders row 2 filled_lots=0, but should be 5 at 1250 ns [a trade crossed a live order]",
        """
        1000  submit  A  BUY  99   5
        1000  submit  B  BUY  100  5
        1250  trade   -  -    100  1
        """,
        latency_ns=250,
    ),
    fails(
        "crossed_orders_fill",
        "orders row 1 filled_lots=3, but should be 4 at 1250 ns [a trade crossed a live order]",
        """
        1000  submit  A  BUY  100  5
        1250  trade   -  -    100  4
        1250  fill    A  BUY  100  3
        """,
        sizing="trade",
    ),
    fails(  # twice: nothing forbade the second either
        "crossed_orders_fill",
        "orders row 1 filled_lots=0, but should be 5 at 1250 ns [a trade crossed a live order]",
        """
        1000  submit  A  BUY  100  5
        1250  trade   -  -    100  5
        1251  trade   -  -    100  5
        """,
        failed=2,
    ),
    passes("crossed_orders_fill", FILLED, judged=1),
    passes(  # the order was filled before the others came
        "crossed_orders_fill",
        """
        1000  submit  A  BUY  100  5
        1249  trade   -  -    100  5
        1250  trade   -  -    100  5
        1250  fill    A  BUY  100  5
        1250  trade   -  -    99   5
        1251  trade   -  -    99   5
        """,
        latency_ns=250,
    ),
    passes(
        "crossed_orders_fill",
        """
        1000  submit  A  BUY  100  6
        1000  submit  B  BUY  100  5
        1250  trade   -  -    100  1
        1250  fill    B  BUY  100  5
        """,
        position_cap_lots=5,
        judged=2,
    ),
    passes(  # the order that the cap blocks is the largest that int64 holds
        "crossed_orders_fill",
        f"""
        1000  submit  A  BUY  100  1
        1000  submit  B  BUY  100  {INT64_MAX}
        1250  trade   -  -    100  1
        1250  fill    A  BUY  100  1
        """,
        position_cap_lots=10,
    ),
    passes(  # two trades of one instant, no fill: there is nothing that could name its trade
        "crossed_orders_fill",
        """
        1000  submit  A  BUY  100  5
        1250  trade   -  -    100  5
        1250  trade   -  -    100  5
        """,
        sizing="trade",
        position_cap_lots=3,
    ),
    unknown("crossed_orders_fill", "no row to judge", NOTHING),
    unknown("crossed_orders_fill", "undeclared: latency_ns", FILLED, undeclared={"latency_ns"}),
    unknown("crossed_orders_fill", "no tape was given", FILLED, has_tape=False),
    unknown(
        "crossed_orders_fill",
        "unknown aggressor",
        """
        1000  submit  A  BUY  100  5
        1250  trade   -  -    100  5  -
        """,
        aggressor="opposite",
    ),
    unknown(  # the arrival is beyond the end of time
        "crossed_orders_fill",
        "no row to judge",
        f"""
        {INT64_MAX - 9}  submit  A  BUY  100  5
        {INT64_MAX}      trade   -  -    100  5
        """,
        latency_ns=100,
    ),
    fails(
        "blocked_orders_end",
        "orders row 2 filled_lots=1, but should be 0 [the cap had cancelled the order]",
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
        cap_action="cancel",
    ),
    passes(
        "blocked_orders_end",
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
    ),
    unknown("blocked_orders_end", "no row to judge", FILLED, position_cap_lots=10, cap_action="cancel"),
    unknown("blocked_orders_end", "undeclared: cap_action", FILLED, position_cap_lots=10, undeclared={"cap_action"}),
    not_applicable("blocked_orders_end", "cap_action is rest", FILLED, position_cap_lots=10),
    not_applicable("blocked_orders_end", "position_cap_lots is none", FILLED, cap_action="cancel"),
)

POSITION = (
    fails(
        "position_stays_within_cap",
        "fills row 2 position_lots=6, but should be within 5 [before it 5]",
        """
        1000  submit  A  BUY  100  5
        1000  submit  B  BUY  100  1
        1250  fill    A  BUY  100  5
        1250  fill    B  BUY  100  1
        """,
        position_cap_lots=5,
    ),
    fails(  # nearer zero, but on the other side
        "position_stays_within_cap",
        "fills row 1 position_lots=-6, but should be within 5 [before it 8]",
        "1250 fill A SELL 100 14",
        position_cap_lots=5,
        initial_position_lots=8,
    ),
    passes(  # told buys first; the sell may have come first
        "position_stays_within_cap",
        "1250 fill A BUY 100 3\n1250 fill B SELL 100 3",
        position_cap_lots=5,
        initial_position_lots=4,
        judged=2,
    ),
    fails(  # in no order
        "position_stays_within_cap",
        "fills row 1 position_lots=7, but should be within 5 [before it 4]",
        "1250 fill A BUY 100 3\n1250 fill B SELL 100 10",
        position_cap_lots=5,
        initial_position_lots=4,
        failed=1,
    ),
    passes("position_stays_within_cap", FILLED, position_cap_lots=5, judged=1),
    passes("position_stays_within_cap", "1250 fill A SELL 100 1", position_cap_lots=5, initial_position_lots=8),
    passes("position_stays_within_cap", "1250 fill A SELL 100 13", position_cap_lots=5, initial_position_lots=8),
    unknown("position_stays_within_cap", "no row to judge", NOTHING, position_cap_lots=5),
    unknown("position_stays_within_cap", "undeclared: position_cap_lots", FILLED, undeclared={"position_cap_lots"}),
    unknown(
        "position_stays_within_cap",
        "undeclared: initial_position_lots",
        FILLED,
        position_cap_lots=5,
        undeclared={"initial_position_lots"},
    ),
    not_applicable("position_stays_within_cap", "position_cap_lots is none", FILLED),
    fails(
        "position_sums_fills",
        "positions row 2 position_lots=6, but should be 7 [initial + signed fills]",
        """
        1000  submit    A  BUY  100  5
        1249  position  -  -    -    2
        1250  fill      A  BUY  100  5
        1250  position  -  -    -    6
        """,
        initial_position_lots=2,
    ),
    fails(
        "position_sums_fills",
        "reported position=4, but should be 5 [initial + signed fills of 1 fills]",
        FILLED,
        reported={"position": 4},
    ),
    passes(
        "position_sums_fills",
        """
        1000  submit    A  BUY   100  5
        1249  position  -  -     -    2
        1250  fill      A  SELL  100  5
        1250  position  -  -     -    -3
        """,
        initial_position_lots=2,
        reported={"position": -3},
        judged=3,
    ),
    unknown("position_sums_fills", "a fill's interval contains the sample", SOMEWHEN + "1250 position - - - 5"),
    unknown(
        "position_sums_fills",
        "undeclared: initial_position_lots",
        FILLED + "1250 position - - - 5",
        undeclared={"initial_position_lots"},
    ),
    not_applicable("position_sums_fills", "no position was reported", FILLED),
)

ENDED = """
    ns    event   id  side  price_ticks  size_lots  end
    1000  submit  A   BUY   100          5          filled
    1000  submit  B   BUY   99           5          open
    1250  fill    A   BUY   100          5
"""
COUNTS = {"orders_filled": 1, "orders_cancelled": 0, "orders_expired": 0, "orders_rejected": 0, "orders_open": 1}

ACCOUNTING = (
    fails(
        "orders_are_conserved",
        "orders row 1 end=filled, but should be an end of a partly filled order [1 of 5 lots are left]",
        ENDED.replace("fill    A   BUY   100          5", "fill    A   BUY   100          4"),
    ),
    fails(
        "orders_are_conserved",
        "orders row 1 end=cancelled, but should be filled [0 of 5 lots are left]",
        ENDED.replace("filled", "cancelled"),
    ),
    fails(
        "orders_are_conserved",
        "orders row 1 end=rejected, but should be an end of a partly filled order [3 of 5 lots are left]",
        """
        ns    event   id  side  price_ticks  size_lots  end
        1000  submit  A   BUY   100          5          rejected
        1250  fill    A   BUY   100          2
        """,
        sizing="trade",
    ),
    fails(
        "orders_are_conserved",
        "reported orders_open=2, but should be 1 [counted from the rows]",
        ENDED,
        failed=2,
        reported={**COUNTS, "orders_open": 2},
    ),
    passes("orders_are_conserved", ENDED, judged=2),
    passes("orders_are_conserved", ENDED, reported={**COUNTS, "submits": 2}, judged=8),
    unknown("orders_are_conserved", "orders without an end state", ENDED.replace("open", "")),
    not_applicable("orders_are_conserved", "no end of an order was reported", FILLED),
    fails(
        "cash_sums_fills",
        "reported cash=500.0, but should be 499.500 [initial cash - signed notional - fees]",
        FILLED,
        reported={"initial_cash": 1000, "cash": "500.0"},
        fee_rate="0.001",
    ),
    passes("cash_sums_fills", FILLED, reported={"initial_cash": 1000, "cash": "499.5"}, fee_rate="0.001", judged=1),
    unknown(
        "cash_sums_fills",
        "fills, with fees or a declared fee_rate",
        FILLED,
        reported={"cash": -500},
        undeclared={"fee_rate"},
    ),
    not_applicable("cash_sums_fills", "no cash was reported", FILLED),
    fails(
        "fees_follow_schedule",
        "fills row 2 fee=0.2, but should be 0.100 [0.001 of the notional]",
        """
        ns    event   id  side  price_ticks  size_lots  fee
        1250  fill    A   BUY   100          1          0.1
        1251  fill    A   BUY   100          1          0.2
        """,
        fee_rate="0.001",
    ),
    fails(
        "fees_follow_schedule",
        "reported fees=0.125, but should be -0.12500 [fee_rate times notional, summed over the fills]",
        FILLED,
        reported={"fees": "0.125"},
        fee_rate="-0.00025",
    ),
    passes(
        "fees_follow_schedule",
        """
        ns    event   id  side  price_ticks  size_lots  fee
        1250  fill    A   BUY   100          1          -0.0250
        1251  fill    A   SELL  100          2
        """,
        fee_rate="-0.00025",
        reported={"fees": "-0.075"},
        judged=2,
    ),
    unknown("fees_follow_schedule", "fee_rate is undeclared", FILLED, reported={"fees": 0}, undeclared={"fee_rate"}),
    not_applicable("fees_follow_schedule", "no fee was reported", FILLED),
    fails(
        "pnl_reconciles",
        "reported pnl=11, but should be 10 [final cash and position at the mark, less the initial ones]",
        FILLED,
        reported={"pnl": 11, "mark_price": 102},
    ),
    passes("pnl_reconciles", FILLED, reported={"pnl": 10, "mark_price": 102, "initial_cash": 7}, judged=1),
    passes(  # through zero, from a position that had a value before
        "pnl_reconciles",
        "1250 fill A SELL 100 5",
        initial_position_lots=2,
        reported={"pnl": 8, "initial_mark_price": 99, "mark_price": 98},
    ),
    unknown("pnl_reconciles", "missing: a mark price for the position", FILLED, reported={"pnl": 10}),
    unknown(
        "pnl_reconciles",
        "missing: fills, with fees or a declared fee_rate",
        FILLED,
        reported={"pnl": 10},
        undeclared={"fee_rate"},
    ),
    not_applicable("pnl_reconciles", "no pnl was reported", FILLED),
    fails(
        "run_is_complete", "run last_event_ns=1250, but should be at least 1251 [the declared end]", FILLED, end_ns=1251
    ),
    fails("run_is_complete", "run exit_code=139, but should be 0", FILLED, exit_code=139),
    fails(
        "run_is_complete",
        "orders row 2 end=, but should be one of filled, cancelled, expired, rejected, open [every order has an end]",
        """
        ns    event   id  side  price_ticks  size_lots  end
        1000  submit  A   BUY   100          5          filled
        1000  submit  B   BUY   99           5
        """,
        exit_code=0,
    ),
    fails(
        "orders_are_conserved",
        "orders row 1 end_ns=1200, but should be at least 1250 [its last fill]",
        """
        ns    event   id  side  price_ticks  size_lots  end_ns  end
        1000  submit  A   BUY   100          5          1200    filled
        1250  fill    A   BUY   100          5
        """,
    ),
    passes(
        "orders_are_conserved",
        """
        ns          event   id  side  price_ticks  size_lots  end_ns  end
        1000        submit  A   BUY   100          5          1250    filled
        1200..1300  fill    A   BUY   100          5
        """,
        judged=1,
    ),
    passes("run_is_complete", ENDED, end_ns=1250, exit_code=0, judged=4),
    passes("run_is_complete", FILLED, end_ns=9999, last_event_ns=9999, judged=1),
    unknown("run_is_complete", "no end (end_ns) was declared", ENDED),
    unknown("run_is_complete", "no end (end_ns) was declared", FILLED, exit_code=0),  # how far it came nobody said
    unknown("run_is_complete", "no end (end_ns) was declared", ENDED, exit_code=0),
    not_applicable("run_is_complete", "no end (end_ns) was declared", FILLED),
    fails(
        "totals_reconcile", "reported fills=2, but should be 1 [counted from the rows]", FILLED, reported={"fills": 2}
    ),
    fails(
        "totals_reconcile",
        "reported sells=1, but should be 0 [counted from the rows]",
        FILLED,
        failed=2,
        reported={"fills": 1, "buys": 1, "sells": 1},
    ),
    fails(
        "totals_reconcile",
        "reported size_per_fill=4.99, but should be 5 [counted from the rows]",
        FILLED,
        reported={"size_per_fill": "4.99"},
    ),
    passes(
        "totals_reconcile",
        FILLED,
        reported={"fills": 1, "buys": 1, "sells": 0, "turnover": 5, "size_per_fill": "5.0", "trades": 1, "submits": 1},
        judged=9,
    ),
    unknown("totals_reconcile", "no rows to count for trades", FILLED, has_tape=False, reported={"trades": 3}),
    not_applicable("totals_reconcile", "no total was reported", FILLED),
)

TRIALS = (*INTEGRITY, *LIFECYCLE, *PRICE_AND_SIZE, *TAPE, *CROSSINGS, *POSITION, *ACCOUNTING)


def _named(trials: Iterable[Trial]) -> list[Any]:
    counts: dict[str, int] = {}
    named = []
    for trial in trials:
        name = f"{trial.law}-{trial.verdict.value.replace(' ', '_')}"
        counts[name] = counts.get(name, 0) + 1
        named.append(pytest.param(trial, id=f"{name}-{counts[name]}"))
    return named


def _of(verdict: Verdict) -> list[Any]:
    return _named(trial for trial in TRIALS if trial.verdict is verdict)


@pytest.mark.parametrize("trial", _of(Verdict.FAIL))
def test_law_fails(trial: Trial) -> None:
    law, run = law_named(trial.law), trial.run()
    with pytest.raises(law.error) as caught:
        law.check(run)
    judgement = caught.value.judgement
    assert judgement.verdict is Verdict.FAIL
    assert (judgement.failed, len(judgement.findings)) == (trial.failed, trial.failed)
    first = judgement.findings[0]
    assert first.message == trial.message
    where = re.match(r"(\w+)(?: row (\d+))? \w+=", trial.message)
    assert where is not None
    assert (first.law, first.table, first.row) == (trial.law, where[1], int(where[2]) if where[2] else None)
    assert first.story.startswith("Let ")
    assert " Yet " in first.story


@pytest.mark.parametrize("trial", _of(Verdict.PASS))
def test_law_passes(trial: Trial) -> None:
    judgement = law_named(trial.law).check(trial.run())
    assert (judgement.verdict, judgement.failed, judgement.undecided) == (Verdict.PASS, 0, 0), judgement
    assert judgement.judged > 0
    assert trial.judged in (None, judgement.judged)


@pytest.mark.parametrize("trial", _of(Verdict.UNKNOWN))
def test_law_cannot_say(trial: Trial) -> None:
    judgement = law_named(trial.law).check(trial.run())
    assert (judgement.verdict, judgement.failed) == (Verdict.UNKNOWN, 0), judgement
    assert trial.message in judgement.reason
    assert "crashed" not in judgement.reason


@pytest.mark.parametrize("trial", _of(Verdict.NOT_APPLICABLE))
def test_law_has_no_say(trial: Trial) -> None:
    judgement = law_named(trial.law).check(trial.run())
    assert (judgement.verdict, judgement.judged, judgement.failed) == (Verdict.NOT_APPLICABLE, 0, 0)
    assert judgement.reason == trial.message


# The guards of the house


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_every_law_has_its_tables(law: Law) -> None:
    have = {trial.verdict for trial in TRIALS if trial.law == law.name}
    want = {Verdict.FAIL, Verdict.PASS}
    if law.only:
        want |= {Verdict.NOT_APPLICABLE, Verdict.UNKNOWN}
    assert want <= have
    assert have & {Verdict.UNKNOWN, Verdict.NOT_APPLICABLE}


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_every_law_is_documented(law: Law) -> None:
    assert re.match(r"(?s)Why: .+\n\nFails: .+\nPasses: .+\nUnknown: .+\nSource: .+", law.doc)
    assert law.error.__name__ == "".join(word.capitalize() for word in law.name.split("_"))
    assert issubclass(law.error, LawBroken)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_the_error_of_a_law_comes_home_from_a_worker(law: Law) -> None:
    finding = Finding(law.name, "fills", "", 1, "fills row 1 ns=1, but should be 2", "Let it be 2. Yet it is 1.")
    error = law.error(Judgement(law.name, Verdict.FAIL, judged=2, failed=1, findings=(finding,)))
    error.add_note("case: x.case.json")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(again) is law.error
    assert (str(again), again.judgement, again.__notes__) == (str(error), error.judgement, error.__notes__)


def test_laws_have_one_name_and_one_exception_each() -> None:
    assert len({law.name for law in LAWS}) == len({law.error for law in LAWS}) == len(LAWS)


def test_laws_import_no_simulator() -> None:
    for path in Path(invariants.laws.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            module = getattr(node, "module", None) or ""
            assert module != "simcore.engine", path
            assert module != "simcore" or not {"simulate", "engine"} & set(names), path
            assert not any("engine" in name or name == "simcore" for name in names), path
            assert not module.startswith(("invariants.relations", "invariants.tapes", "fixtures")), path


def test_a_law_that_crashes_is_unknown_with_its_traceback() -> None:
    def always_wrong(run: Run) -> None:
        """Why: none."""
        raise ZeroDivisionError(f"judging {run.name}")

    law = Law(always_wrong, "none", "nothing holds", {}, ())
    judgement = law.check(table(FILLED))
    assert (judgement.verdict, judgement.judged, judgement.failed) == (Verdict.UNKNOWN, 0, 0)
    assert "ZeroDivisionError: judging run" in judgement.reason
    assert "Traceback (most recent call last)" in judgement.reason
    assert "always_wrong" in judgement.reason


def test_a_law_that_crashes_while_it_speaks_convicts_nobody() -> None:
    def crashes_late(run: Run) -> Any:
        """Why: none."""
        yield from law_named("values_are_valid").find(run)
        raise RuntimeError("late")

    judgement = Law(crashes_late, "none", "nothing holds", {}, ()).judge(table("1 trade - - 0 0"))
    assert judgement.verdict is Verdict.UNKNOWN


# Findings


def test_findings_are_capped_and_counts_are_not() -> None:
    run = table("1000 submit A BUY 100 5\n" + "\n".join(f"{1000 - i} fill A BUY 100 5" for i in range(7)))
    judgement = law_named("fill_follows_submit").judge(run, max_findings=3)
    assert (judgement.failed, judgement.judged) == (7, 7)
    assert [finding.row for finding in judgement.findings] == [1, 2, 3]


def test_finding_names_the_file_that_the_row_came_from() -> None:
    run = table("1000 submit A BUY 100 5\n1000 fill A BUY 100 5", files={"fills": "fills.csv.gz"})
    (finding,) = law_named("fill_follows_submit").judge(run).findings
    assert (finding.file, finding.row) == ("fills.csv.gz", 1)


@pytest.mark.parametrize(("cell", "got"), [("nan", "'nan'"), ("inf", "'inf'"), ("100.5", "100.5")])
def test_rejected_row_is_a_finding_with_its_row(cell: str, got: str) -> None:
    run = table(f"1000 submit A BUY 100 5\n1250 fill A BUY 100 5\n1251 fill A BUY {cell} 5", files={"fills": "f.csv"})
    judgement = law_named("values_are_valid").judge(run)
    assert (judgement.verdict, judgement.judged, judgement.failed) == (Verdict.FAIL, 3, 1)
    (finding,) = judgement.findings
    assert (finding.table, finding.file, finding.row) == ("fills", "f.csv", 2)
    assert finding.message.startswith("fills row 2 price=")
    assert got.strip("'") in finding.message


def test_a_truth_value_is_no_side() -> None:
    given = scenario("1000 submit 1 BUY 100 5\n1250 trade - - 100 5")
    run = Run.from_scenario(given, [replace(fill, side=True) for fill in simulate(given)])
    (finding,) = law_named("values_are_valid").judge(run).findings
    assert finding.message.startswith("fills row 1 side=True, but should be Side.BUY or Side.SELL")


def test_law_broken_says_what_and_where() -> None:
    with pytest.raises(law_named("latency_is_respected").error) as caught:
        law_named("latency_is_respected").check(table(FILLED, latency_ns=300))
    assert str(caught.value) == (
        "latency_is_respected: 1 of 1 rows are broken\n"
        "fills row 1 ns=1250, but should be at least 1300 [submit + latency of 300 ns]\n"
        "Let order 'A' BUY 5 lots at 100 ticks, submitted at 1000 ns. "
        "Then it cannot fill before 1300 ns, 300 ns later. Yet it fills at 1250 ns, 50 ns too early."
    )


# The audit


def test_verdicts_are_ordered() -> None:
    words = [Verdict.NOT_APPLICABLE, Verdict.PASS, Verdict.UNKNOWN, Verdict.FAIL]
    assert sorted(words, key=lambda verdict: verdict.rank) == words
    assert Verdict.worst([]) is Verdict.NOT_APPLICABLE
    assert Verdict.worst([Verdict.PASS, Verdict.UNKNOWN]) is Verdict.UNKNOWN


def test_audit_of_nothing_is_unknown() -> None:
    report = audit(table(NOTHING))
    assert (report.verdict, report.nothing_judged, report.exit_code()) == (Verdict.UNKNOWN, True, 3)
    with pytest.raises(LookupError):
        report.raise_for_verdict()


def test_audit_of_an_honest_run() -> None:
    report = audit(table(FILLED))
    assert (report.exit_code(), report.exit_code(strict=True)) == (0, 3)
    report.raise_for_verdict()
    with pytest.raises(LookupError, match="priority_is_respected"):
        report.raise_for_verdict(strict=True)


def test_audit_of_a_broken_run() -> None:
    report = audit(table(FILLED, latency_ns=300))
    assert report.exit_code() == 1
    assert report["latency_is_respected"].failed == 1
    with pytest.raises(RunBroken, match="latency_is_respected: 1 of 1 rows are broken") as caught:
        report.raise_for_verdict()
    assert caught.value.report is report
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - our own bytes
    assert (type(again), str(again)) == (RunBroken, str(caught.value))
    assert again.report.to_dict() == report.to_dict()
    plain = pickle.loads(pickle.dumps(LawBroken(again.judgement)))  # noqa: S301 - same
    assert (type(plain), plain.judgement) == (LawBroken, report["latency_is_respected"])


def test_smells_never_fail() -> None:
    smells = {smell.name: dict(smell.values) for smell in audit(table(TWICE, sizing="trade")).smells}
    assert smells["quote age at fill"] == {"min": 250, "p5": 252.5, "median": 275, "p95": 297.5, "max": 300}
    assert smells["refill gap on one side"]["min"] == 50
    assert smells["fill ratio of trades"] == {"fills per trade": 1}
    assert audit(table(NOTHING)).smells == ()


def test_smells_survive_a_price_of_zero() -> None:
    report = audit(table("1000 submit A BUY 0 5\n1250 trade - - 0 5\n1250 fill A BUY 0 5"))
    assert report["values_are_valid"].verdict is Verdict.FAIL
    values = [value for smell in report.smells for _, value in smell.values]
    assert np.isfinite(values).all()


# What a run may not know


@pytest.mark.parametrize(
    "text",
    [
        "1000 submit A BUY 100 2\n1250 trade - - 100 2\n1249..1250 fill A BUY 100 2",
        "1000 submit A BUY 100 2\n1250 trade - - 100 1\n1249..1250 fill A BUY 100 1",
        "1000 submit A BUY 100 2\n1250 trade - - 100 1\n1250..1251 fill A BUY 100 1",
    ],
    ids=["whole", "began earlier", "ended later"],
)
def test_an_interval_is_no_missed_crossing(text: str) -> None:
    judgement = law_named("crossed_orders_fill").judge(table(text, sizing="trade"))
    assert judgement.verdict is not Verdict.FAIL, judgement


def test_two_fills_cannot_both_have_one_lot_whenever_they_happened() -> None:
    run = table(
        """
        1000        submit  A  BUY  100  1
        1000        submit  B  BUY  100  1
        1250        trade   -  -    100  1
        1240..1260  fill    A  BUY  100  1
        1241..1260  fill    B  BUY  100  1
        """,
        sizing="shared",
    )
    judgement = law_named("trade_volume_is_not_oversold").judge(run)
    assert (judgement.verdict, judgement.failed) == (Verdict.FAIL, 1)


@pytest.mark.parametrize("stamp", ["submit_ns", "cancel_ns"])
def test_a_column_that_is_absent_proves_no_missed_crossing(stamp: str) -> None:
    run = table("1000 submit A BUY 100 5\n1250 trade - - 100 5", provenance={stamp: "absent"})
    judgement = law_named("crossed_orders_fill").judge(run)
    assert judgement.verdict is Verdict.UNKNOWN, judgement
    assert stamp in judgement.reason


def test_a_tape_that_runs_backwards_convicts_no_price() -> None:
    run = table(
        """
        1000  submit  A  BUY  100  5
        1250  trade   -  -    98   5
        1100  trade   -  -    98   5
        1250  trade   -  -    99   5
        1250  fill    A  BUY  98   5
        """,
        pricing="improve",
    )
    assert law_named("time_is_ordered").judge(run).verdict is Verdict.FAIL
    assert law_named("fill_respects_limit").judge(run).verdict is not Verdict.FAIL


def test_a_price_at_the_end_of_int64_is_judged() -> None:
    run = table(f"1000 submit A BUY 100 5\n1250 trade - - 1 5\n1250 fill A BUY -{INT64_MAX} 5", pricing="improve")
    judgement = law_named("fill_respects_limit").judge(run)
    assert (judgement.verdict, judgement.failed) == (Verdict.FAIL, 1), judgement.reason


# Properties: the reference is innocent, however little is known of its run


def broken_laws(run: Run) -> list[Any]:
    """Judgements that fail or crash."""
    judgements = audit(run).judgements
    return [j for j in judgements if j.verdict is Verdict.FAIL or "crashed" in j.reason]


@settings(max_examples=300, **QUIET)
@given(scenarios())
def test_the_reference_breaks_no_law(given_scenario: Scenario) -> None:
    assert broken_laws(Run.from_scenario(given_scenario, simulate(given_scenario))) == []


@settings(max_examples=300, **QUIET)
@given(scenarios(supports=Supports(unknown_aggressor=False)))
def test_where_fills_name_their_trades_nothing_is_undecided(given_scenario: Scenario) -> None:
    run = Run.from_scenario(given_scenario, simulate(given_scenario))
    assert [j for j in audit(run).judgements if j.undecided] == []


@settings(max_examples=300, **QUIET)
@given(scenarios(), st.integers(0, 2**24 - 1))
def test_what_is_not_known_never_fails(given_scenario: Scenario, forget: int) -> None:
    fills = [
        replace(fill, trade_seq=None, fee=None) if forget >> (i % 24) & 1 else fill
        for i, fill in enumerate(simulate(given_scenario))
    ]
    assert broken_laws(Run.from_scenario(given_scenario, fills)) == []
    bare = [replace(fill, trade_seq=None, fee=None) for fill in fills]
    assert broken_laws(Run.from_scenario(given_scenario, bare)) == []


@settings(max_examples=300, **QUIET)
@given(scenarios(), st.sets(st.sampled_from(DIALS)))
def test_what_is_not_declared_never_fails(given_scenario: Scenario, undeclared: set[str]) -> None:
    run = Run.from_scenario(given_scenario, simulate(given_scenario))
    run = replace(run, rules=replace(run.rules, undeclared=frozenset(undeclared)))
    assert broken_laws(run) == []
    for law in LAWS:
        if undeclared & {*law.only, *law.needs} and not law.applies(run):
            assert law.judge(run).verdict is Verdict.UNKNOWN


@settings(max_examples=300, **QUIET)
@given(scenarios(), st.sampled_from([0, 1, 250, 10**9]), st.sampled_from([0, 1, 250, 10**9]))
def test_a_fill_somewhere_in_an_interval_never_fails(given_scenario: Scenario, before: int, after: int) -> None:
    fills = [replace(fill, trade_seq=None) for fill in simulate(given_scenario)]
    run = Run.from_scenario(given_scenario, fills)
    wide = replace(run.fills, ns=np.maximum(run.fills.ns - before, 0), ns_to=run.fills.ns + after)
    assert broken_laws(replace(run, fills=wide)) == []


def _changes(given_scenario: Scenario, fills: list[Fill], which: int) -> list[Fill]:
    """The fills of the reference with one change that makes them others."""
    kind, place = which % 8, which // 8
    if kind == 0 or not fills:
        orders = [a for a in given_scenario.actions if isinstance(a, Submit)]
        trade_at = place % len(given_scenario.tape)
        order = orders[place // 7 % len(orders)]
        ns = given_scenario.tape[trade_at].ns
        extra = Fill(ns, order.order_id, order.side, order.price_ticks, order.size_lots, None, trade_at)
        return sorted([*fills, extra], key=lambda fill: fill.trade_seq or 0)
    at = place % len(fills)
    fill = fills[at]
    changed = (
        [],
        [fill, fill],
        [replace(fill, price_ticks=fill.price_ticks + 1)],
        [replace(fill, size_lots=fill.size_lots - 1)],
        [replace(fill, size_lots=fill.size_lots + 1)],
        [replace(fill, ns=fill.ns + 1)],
        [replace(fill, side=Side(-fill.side))],
    )[kind - 1]
    return [*fills[:at], *changed, *fills[at + 1 :]]


@settings(max_examples=500, **QUIET)
@given(scenarios(supports=Supports(unknown_aggressor=False, huge_sizes=False)), st.integers(0, 2**16 - 1))
def test_the_laws_are_complete(given_scenario: Scenario, which: int) -> None:
    """The rules make the fills unique: whatever is changed, some law is broken."""
    fills = simulate(given_scenario)
    if not given_scenario.tape or not any(isinstance(a, Submit) for a in given_scenario.actions):
        return
    answer = _changes(given_scenario, fills, which)
    assert audit(Run.from_scenario(given_scenario, answer)).verdict is Verdict.FAIL


ODD_NUMBERS = st.sampled_from([0, 1, -1, 5, 100, 2**53 + 1, 2**61, 2**62, INT64_MAX, -INT64_MAX])
ODD_FILLS = st.lists(
    st.builds(
        Fill,
        ns=ODD_NUMBERS.map(abs),
        order_id=st.sampled_from([1, 2, "O1", "nobody", 2**70]),
        side=st.sampled_from(list(Side)),
        price_ticks=ODD_NUMBERS,
        size_lots=ODD_NUMBERS,
        fee=st.sampled_from([None, Decimal(1), Decimal("-1e300"), Decimal("NaN"), Decimal("1e999999")]),
        trade_seq=st.sampled_from([None, 0, 1, 2, INT64_MAX]),
    ),
    max_size=5,
)
ODD_TABLE = """
    0    submit  1   BUY   100  5
    0    submit  O1  SELL  99   7
    1    submit  2   BUY   101  5
    2    trade   -   -     100  3  SELL
    5    trade   -   -     99   9  -
    100  trade   -   -     102  5  BUY
"""
REPORTED = {name: Decimal(3) for name in ("cash", "fees", "position", "pnl", "mark_price", "turnover", "fills")}


@settings(max_examples=300, **QUIET)
@given(ODD_FILLS, st.sampled_from(["whole", "trade", "shared"]), st.sampled_from([None, 0, 6, 2**61]))
def test_no_answer_crashes_a_law(fills: list[Fill], sizing: str, cap_lots: int | None) -> None:
    odd = scenario(ODD_TABLE, sizing=sizing, position_cap_lots=cap_lots, pricing="improve")
    run = Run.from_scenario(odd, fills, reported=REPORTED)
    assert [j for law in LAWS for j in [law.judge(run)] if "crashed" in j.reason] == []


@pytest.mark.parametrize("answer", [None, 5, "fill", (1, 2), {"ns": 1}, object()])
def test_what_is_no_fill_is_a_finding(answer: Any) -> None:
    run = Run.from_scenario(scenario(ODD_TABLE), [answer])
    judgement = law_named("values_are_valid").judge(run)
    assert (judgement.verdict, judgement.failed) == (Verdict.FAIL, 1)
    assert run.read["fills"] == 1


def test_no_orders_at_all_is_no_evidence_against_a_fill() -> None:
    """A table that was not given is unknown; one that was given and is empty knows no order."""
    given = table("1250 fill A BUY 100 1")
    judgement = law_named("fills_have_orders").judge(replace(given, read={"fills": 1}))
    assert (judgement.verdict, judgement.reason) == (Verdict.UNKNOWN, "no orders")


def test_a_fill_clipped_to_the_cap_is_a_miss() -> None:
    """Sizes are never clipped to fit (rule 10): too small a fill is no way to respect the cap."""
    run = table(
        """
        1000  submit  A  BUY  100  5
        1250  trade   -  -    100  5
        1250  fill    A  BUY  100  3
        """,
        sizing="trade",
        position_cap_lots=3,
    )
    assert law_named("crossed_orders_fill").judge(run).verdict is Verdict.FAIL


def test_a_quiet_run_without_a_tape_may_have_reached_its_end() -> None:
    run = replace(table("1000 submit A BUY 100 1"), has_tape=False, end_ns=5000)
    assert law_named("run_is_complete").judge(run).verdict is Verdict.UNKNOWN
    assert law_named("run_is_complete").judge(replace(run, last_event_ns=4999)).verdict is Verdict.FAIL


def test_a_sample_inside_an_instant_may_stand_after_any_of_its_fills() -> None:
    run = table(
        """
        1000  submit    A  BUY  100  2
        1000  submit    B  BUY  100  3
        1250  fill      A  BUY  100  2
        1250  fill      B  BUY  100  3
        """
    )
    law = law_named("position_sums_fills")
    for lots, verdict in ((2, Verdict.PASS), (5, Verdict.PASS), (0, Verdict.FAIL), (3, Verdict.FAIL)):
        positions = Positions(np.array([1250]), np.array([lots]), np.array([1]))
        assert law.judge(replace(run, positions=positions)).verdict is verdict


def test_without_a_sizing_two_fills_of_an_order_may_be_its_parts() -> None:
    text = "1000 submit A BUY 100 2\n1250 fill A BUY 100 1\n1300 fill A BUY 100 1"
    assert law_named("no_double_fill").judge(table(text, undeclared={"sizing"})).verdict is Verdict.UNKNOWN


def test_a_fee_in_binary_is_the_fee_it_was_meant_to_be() -> None:
    run = table("1000 submit A BUY 996 1\n1250 fill A BUY 996 1", fee_rate=Decimal("0.0001"))
    for fee, verdict in (("0.09960000000000001", Verdict.PASS), ("0.0996001", Verdict.FAIL)):
        charged = replace(run, fills=replace(run.fills, fee=np.array([Decimal(fee)], dtype=object)))
        assert law_named("fees_follow_schedule").judge(charged).verdict is verdict
