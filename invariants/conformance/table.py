"""A scenario as a table that a person reads: events in order, each instant named for what it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import merge
from typing import Any

from simcore import Cancel, Fill, Rules, Scenario, Submit, TopOfBook, Trade
from simcore.errors import shorten
from simcore.rules import DIALS

NEAR_NS = 1
MOST_NAMED = 6
"""Boundaries that are named beside a trade; a crowd arrives in one instant."""

HEAD = ("ns", "event", "id", "side", "price_ticks", "size_lots", "")


def scenario_table(scenario: Scenario) -> str:
    """One row per event, in the order in which a simulator must see them (rule 1)."""
    marks = _marks(scenario)
    rows = [_row(event, marks) for event in merge(scenario.tape, scenario.actions, key=lambda event: event.ns)]
    return _aligned([HEAD, *rows]) if rows else "(no events)"


def fills_table(fills: Iterable[Any]) -> str:
    """One row per answer; what is no fill is shown as it is."""
    rows = [_fill_row(fill) for fill in fills]
    return _aligned([(*HEAD[:1], "", *HEAD[2:6], ""), *rows]) if rows else "(none)"


def rules_line(rules: Rules) -> str:
    """The dials that differ from the origin's."""
    origin, own = Rules().to_dict(), rules.to_dict()
    changed = [f"{name}={_word(own[name])}" for name in DIALS if own[name] != origin[name]]
    return f"rules: the origin's, but {', '.join(changed)}" if changed else "rules: the origin's"


def _row(event: Any, marks: list[tuple[int, str]]) -> tuple[str, ...]:
    words: tuple[Any, ...]
    match event:
        case Trade():
            taker = event.aggressor.name if event.aggressor is not None else "?"
            words = ("trade", "", taker, event.price_ticks, event.size_lots, _named(event.ns, marks))
        case TopOfBook():
            book = f"{event.bid_lots} x {event.bid_ticks} / {event.ask_ticks} x {event.ask_lots}"
            words = ("top", "", "", "", "", book)
        case Submit():
            words = ("submit", repr(event.order_id), event.side.name, event.price_ticks, event.size_lots, "")
        case Cancel():
            words = ("cancel", repr(event.order_id), "", "", "", "")
        case _:
            words = (repr(event), "", "", "", "", "")
    return (str(event.ns), *map(str, words))


def _fill_row(fill: Any) -> tuple[str, ...]:
    if not isinstance(fill, Fill):
        return (shorten(fill, 200), *[""] * 6)
    side = getattr(fill.side, "name", None) or shorten(fill.side)
    ns, order_id, price_ticks, size_lots = map(shorten, (fill.ns, fill.order_id, fill.price_ticks, fill.size_lots))
    return (ns, "fill", order_id, side, price_ticks, size_lots, "")


def _marks(scenario: Scenario) -> list[tuple[int, str]]:
    """Every boundary of every order: the instant and its name."""
    rules, marks = scenario.rules, []
    for action in scenario.actions:
        if isinstance(action, Submit):
            marks.append((action.ns, f"submit of {action.order_id!r}"))
            marks.append((action.ns + rules.latency_ns, f"arrival of {action.order_id!r}"))
            if rules.ttl_ns is not None:
                marks.append((action.ns + rules.ttl_ns, f"expiry of {action.order_id!r}"))
        else:
            effect_ns = action.ns + rules.cancel_latency_ns
            marks.append((effect_ns, f"cancel of {action.order_id!r} takes effect"))
    return marks


def _named(ns: int, marks: list[tuple[int, str]]) -> str:
    near = sorted(dict.fromkeys((abs(ns - at), ns - at, name) for at, name in marks if abs(ns - at) <= NEAR_NS))
    words = [
        f"{step} ns after {name}" if step > 0 else f"{-step} ns before {name}" if step else name
        for _, step, name in near[:MOST_NAMED]
    ]
    more = len(near) - MOST_NAMED
    return ", ".join([*words, f"and {more} more"] if more > 0 else words)


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def _word(value: Any) -> str:
    return "none" if value is None else str(value)
