"""The catalogue of laws. To add one: the function in its family, a line here, a fault."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from invariants.laws import accounting, integrity, lifecycle, position, price, size, tape, totals
from invariants.laws.catalogue import Find, Law
from simcore.errors import InputError

_TRADE = "fills tape cross aggressor"
_CELLS = "tape window cross aggressor sizing priority? position_cap_lots cap_action? initial_position_lots?"


def _law(find: Find, statement: str, needs: str = "", *, partly: str = "", **only: Any) -> Law:
    family = find.__module__.rpartition(".")[2]
    words = {dial: value if isinstance(value, tuple) else (value,) for dial, value in only.items()}
    return Law(find, family, statement, words, tuple(needs.split()), tuple(partly.split()))


LAWS: tuple[Law, ...] = (
    _law(integrity.values_are_valid, "sizes and prices are positive, finite and on the grid"),
    _law(integrity.time_is_ordered, "tape, actions and fills never run backwards"),
    _law(integrity.order_ids_are_unique, "one submit per id"),
    _law(integrity.fills_have_orders, "each fill names a known order, of the same side"),
    _law(
        lifecycle.fill_follows_submit,
        "no fill at or before its order's submit, nor before it is logged as live",
        "fills",
    ),
    _law(lifecycle.latency_is_respected, "fill.ns >= submit_ns + latency_ns", "fills latency_ns"),
    _law(
        lifecycle.no_fill_after_cancel, "no fill after a cancel took effect", "cancel_ns cancel_latency_ns cancel_tie"
    ),
    _law(lifecycle.no_fill_after_expiry, "no fill of an expired order", "fills expiry_tie", ttl_ns=...),
    _law(
        lifecycle.no_double_fill,
        "an order is filled at most once (whole), never more than its size (else)",
        "fills",
        partly="sizing",
    ),
    _law(size.fill_size_equals_quote_size, "a fill is the whole order", "fills", sizing="whole"),
    _law(price.fill_price_equals_limit, "a fill is at the limit", "fills", pricing="limit"),
    _law(price.fill_price_equals_trade, "a fill is at the price of its trade", _TRADE, pricing="improve"),
    _law(price.fill_respects_limit, "at the limit or better, and never better than the trade", "fills"),
    _law(
        tape.fills_have_trades,
        "each fill has a trade at its instant that crosses its limit, of the right aggressor",
        _TRADE,
    ),
    _law(tape.trade_fills_an_order_once, "one trade fills one order at most once", _TRADE),
    _law(
        tape.trade_volume_is_not_oversold,
        "own fills do not exceed the volume that was traded",
        _TRADE,
        sizing=("trade", "shared"),
    ),
    _law(
        tape.priority_is_respected,
        "no worse-placed own order is filled while a better one is passed over",
        _CELLS.replace("priority?", "priority") + " submit_ns",
    ),
    _law(tape.crossed_orders_fill, "an order that a trade crossed while it was live was filled by it", _CELLS),
    _law(
        tape.blocked_orders_end,
        "an order that the cap cancelled never fills again",
        _CELLS,
        cap_action="cancel",
        position_cap_lots=...,
    ),
    _law(
        position.position_stays_within_cap,
        "after every fill the position is within the cap, or nearer zero",
        "fills initial_position_lots",
        position_cap_lots=...,
    ),
    _law(
        position.position_sums_fills,
        "any reported position is the initial one plus the signed fills",
        "initial_position_lots",
    ),
    _law(accounting.orders_are_conserved, "submitted = filled + cancelled + expired + rejected + still open"),
    _law(accounting.cash_sums_fills, "cash is initial cash less signed notional less fees"),
    _law(accounting.fees_follow_schedule, "each fee is the declared rate of its notional", partly="fee_rate"),
    _law(accounting.pnl_reconciles, "pnl is the change of cash and of the position at the mark"),
    _law(accounting.run_is_complete, "the run reached its declared end, cleanly, with an end for every order"),
    _law(
        totals.totals_reconcile,
        "reported totals agree with the rows, or with each other",
        partly="initial_position_lots",
    ),
)


_MISSED = ("at_limit", "at_arrival", "at_cancel", "not_live", "rejected", "volume")
KINDS: dict[str, tuple[str, ...]] = {
    "fills_have_orders": ("closing",),
    "fill_follows_submit": ("at_once",),
    "no_fill_after_cancel": ("pending",),
    "no_fill_after_expiry": ("pending",),
    "fill_price_equals_limit": ("better", "on_arrival", "at_open", "slipped"),
    "fill_respects_limit": ("book_price", "slipped"),
    "fills_have_trades": ("at", "book_cross", "book_standing", "book_thin", "touch_thin", "last_trade", "wrong_side"),
    "trade_fills_an_order_once": ("split",),
    "trade_volume_is_not_oversold": ("reused", "through"),
    "priority_is_respected": _MISSED,
    "crossed_orders_fill": _MISSED,
    "fees_follow_schedule": ("rounded",),
}
"""The kinds of deviation that a profile may document, by law; each law's page says what they mean."""


def law_named(name: str) -> Law:
    """The law of this name. Raises ``KeyError``."""
    return {law.name: law for law in LAWS}[name]


def laws_of(given: Iterable[Law | str], *, file: str = "laws", field: str = "name") -> tuple[Law, ...]:
    """The laws ``given``, themselves or by name. Raises ``InputError`` for a name that is not in the catalogue."""
    known = {law.name: law for law in LAWS}
    found = []
    for law in [given] if isinstance(given, str) else given:
        if isinstance(law, str) and law not in known:
            raise InputError(file=file, field=field, got=law, wanted=f"one of {', '.join(known)}")
        found.append(known[law] if isinstance(law, str) else law)
    return tuple(found)
