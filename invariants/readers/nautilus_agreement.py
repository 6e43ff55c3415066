"""NautilusTrader's reports held against its events, row by row: one engine, told twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from invariants.readers.nautilus_reports import Report
from invariants.readers.nautilus_rows import number_or_none
from simcore import pandas_later as pd
from simcore.run import Rejected

ORDER_FIELDS = {"side": "side", "price": "price", "size": "quantity", "end": "status"}
FILL_FIELDS = {"ns": "ts_event", "side": "order_side", "price": "last_px", "size": "last_qty"}
"""What a row of events and one of a report both say, and how the report calls it."""


def disagreements(
    name: str, report: Report | None, events: pd.DataFrame, file: str, fields: Mapping[str, str]
) -> Iterator[Rejected]:
    """The rows of a report that say something else than the events, each with its first such field.

    Rows of one order follow each other in time. Where there are more of them on one side, counts and
    sums tell; which is missing, nobody can say.
    """
    if report is None:
        return
    theirs, ours = _by_order(report.frame, fields), _by_order(events, fields)
    for order_id, rows in theirs.items():
        if len(rows) != len(ours.get(order_id, ())):
            continue
        for row, told in zip(rows, ours[order_id], strict=True):
            found = (one for one in fields if _meant(row[one]) != _meant(told[one]))
            if field := next(found, None):
                wanted = f"{told[field]}, as the events say of order {order_id}"
                yield Rejected(f"{name}_report", file, row["row"], fields[field], row[field], wanted)


def _by_order(frame: pd.DataFrame, fields: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
    names = (*fields, "row")
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for order_id, *cells in zip(frame["order_id"], *(frame[name] for name in names), strict=True):
        found[order_id].append(dict(zip(names, cells, strict=True)))
    return found


def _meant(cell: Any) -> Any:
    """A number for whatever text it was written as; a word as it is."""
    number = number_or_none(cell)
    return cell if number is None else number
