"""Laws that read nothing but fills and the orders that these name: all other rows stay in their files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow.compute as pc

from invariants.auditing import Report
from invariants.laws.catalogue import Law
from invariants.splitting.carrying import joined
from invariants.streaming.files import TableFile
from invariants.streaming.planning import different_ids
from invariants.streaming.scanning import CONVERT, doubtful_columns, plain_ids
from simcore import Run
from simcore.run import Fills, Ints, Orders

OF_FILLS = (
    "fill_follows_submit",
    "latency_is_respected",
    "no_fill_after_expiry",
    "no_double_fill",
    "fill_size_equals_quote_size",
    "fill_price_equals_limit",
    "position_stays_within_cap",
)
"""Orders without fills say nothing to these."""

_READ = ("order_id", "side", "price", "size", "submit_ns")


def are_of_fills(laws: Sequence[Law], run: Run, files: dict[str, TableFile]) -> bool:
    """Whether these laws can be judged so: then no order that is left in its file may be one to be rejected."""
    return all(law.name in OF_FILLS for law in laws) and not any(
        doubtful_columns(file, run.instrument) for file in files.values()
    )


def judged_by_fills(run: Run, files: dict[str, TableFile], laws: Sequence[Law], max_findings: int) -> Report:
    """The report of these laws alone. Raises ``InputError``, ``NotInPiecesError``."""
    if "orders" in files:
        orders = _named_orders(files["orders"], run)
        run = replace(run, orders=orders, fills=_found(run.fills, orders))
    return Report(run, tuple(law.judge(run, max_findings=max_findings) for law in laws), ())


def _named_orders(file: TableFile, run: Run) -> Orders:
    """The first order of each id that a fill names; any one where there is none, to say that there are orders."""
    ids, seen = different_ids(run.fills), np.empty(0, np.int64)
    found: list[Orders] = []
    for group in range(len(file.group_rows)):
        for first, table in file.batches(group, _READ):
            column = plain_ids(table.column("order_id"))
            place = _places(column, ids)
            named, at = np.unique(place, return_index=True)
            new = np.sort(at[(named >= 0) & ~np.isin(named, seen)])
            seen = np.union1d(seen, named[named >= 0])
            rows = new if len(new) or found or len(seen) else np.arange(min(len(table), 1))
            found.append(CONVERT["orders"](file.sheet_of(rows + first, table.take(rows)), run.instrument))
    return joined(found) if found else run.orders


def _places(column: Any, ids: Any) -> Ints:
    if column.type != ids.type:
        return np.full(len(column), -1)
    return np.asarray(pc.index_in(column, value_set=ids).fill_null(-1).to_numpy(), dtype=np.int64)


def _found(fills: Fills, orders: Orders) -> Fills:
    """The fills with the places of their orders among those at hand."""
    place = {name: at for at, name in reversed(list(enumerate(orders.order_id.tolist())))}
    order = np.array([place.get(name, -1) for name in fills.order_id.tolist()], dtype=np.int64)
    return replace(fills, order=order)
