"""The names under which an author reports his own totals (``Run.reported``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from typing import Any

from simcore.frames import UNJUDGED

TOTALS = (
    "fills",
    "buys",
    "sells",
    "submits",
    "cancels",
    "markers",
    "orders_filled",
    "orders_cancelled",
    "orders_expired",
    "orders_rejected",
    "orders_open",
    "turnover",
    "notional",
    "size_per_fill",
    "position",
    "initial_position",
    "cash",
    "initial_cash",
    "fees",
    "pnl",
    "mark_price",
    "initial_mark_price",
    "trades",
    "fill_ratio",
)
"""Counts; sums in size units; currency; prices. A reader translates its engine's names to these."""


def with_others(
    reported: Mapping[str, Any], orders: Iterable[str], executions: Iterable[str], *, judged: Collection[str] = ()
) -> dict[str, Any]:
    """``reported``, and how many orders of each kind a reader leaves out, with how many executions.

    ``orders`` and ``executions`` give the kind of each (market, stop, ...). Where there are any, only the totals
    that are ``judged`` stay so: the others are of all orders.
    """
    kinds, filled = Counter(orders), Counter(executions)
    if not kinds:
        return dict(reported)
    totals = {
        name if name in judged or name.startswith(UNJUDGED) else UNJUDGED + name: value
        for name, value in reported.items()
    }
    for kind, count in kinds.items():
        totals[f"{UNJUDGED}orders of type {kind}"] = Decimal(count)
        totals[f"{UNJUDGED}executions of orders of type {kind}"] = Decimal(filled[kind])
    return totals
