"""The counts in ``meta.json``: how many events of each type, orders and rows of reports a run had.

``order_event_types`` (type -> count), ``total_orders`` and ``reports`` (name -> ``rows``), each of them
optional. They were counted in the engine, so a file of events that was cut contradicts them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from invariants.readers.parameters import Parameters
from invariants.strictjson import check_object
from simcore import InputError
from simcore import pandas_later as pd

TYPES = {
    "submits": ("OrderInitialized",),
    "fills": ("OrderFilled",),
    "orders_cancelled": ("OrderCanceled",),
    "orders_expired": ("OrderExpired",),
    "orders_rejected": ("OrderRejected", "OrderDenied"),
}
"""The types of events whose counts make a total (``invariants.readers.totals``)."""

Counts = list[tuple[str, int]]
"""Totals and what they are said to be, one name as often as somebody counted it."""


def counts_of(parameters: Parameters) -> Counts:
    """All counts that the file states. Raises ``InputError``."""
    return list(_counts(parameters))


def _counts(parameters: Parameters) -> Iterator[tuple[str, int]]:
    file = parameters.file
    values: Mapping[str, Any] = parameters.values
    types = check_object(values.get("order_event_types", {}), file=file, field="order_event_types")
    for total, names in TYPES.items() if types else ():
        # a type that is not listed did not happen
        yield total, sum(_count(parameters, types, name) or 0 for name in names)
    reports = check_object(values.get("reports", {}), file=file, field="reports")
    places = [("submits", values, "total_orders")]
    for total, name in (("submits", "orders"), ("fills", "fills")):
        places.append((total, check_object(reports.get(name, {}), file=file, field=f"reports.{name}"), "rows"))
    for total, table, name in places:
        count = _count(parameters, table, name)
        if count is not None:
            yield total, count


def _count(parameters: Parameters, values: Mapping[str, Any], name: str) -> int | None:
    count = parameters.whole(values, name)
    if count is not None and count < 0:
        raise InputError(file=parameters.file, field=name, got=count, wanted="a count, not negative")
    return count


def with_counts(
    reported: Mapping[str, Any], counts: Iterable[tuple[str, int]], *, fills: pd.DataFrame, orders: pd.DataFrame | None
) -> dict[str, Any]:
    """``reported`` and the counts; of statements that differ, the one that the tables contradict.

    A total has one value, and what agrees with the tables would hide what does not.
    """
    ends = [] if orders is None else orders["end"].tolist()
    told: dict[str, int] = {"fills": len(fills), "submits": len(ends)}
    told |= {name: ends.count(name.removeprefix("orders_")) for name in TYPES if name.startswith("orders_")}
    totals = dict(reported)
    for name, count in counts:
        if orders is None and name != "fills":
            continue  # there is nothing that could agree or not
        if totals.get(name, told[name]) == told[name]:
            totals[name] = count
    return totals
