"""The names under which an author reports his own totals (``Run.reported``)."""

from __future__ import annotations

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
