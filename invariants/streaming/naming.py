"""Laws that read nothing but fills and the orders that these name: all other rows stay in their files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from invariants.auditing import Report
from invariants.laws.catalogue import Law
from invariants.streaming.files import TableFile
from invariants.streaming.ids import Ids, check_same
from invariants.streaming.scanning import CONVERT, doubtful_columns
from simcore import Run
from simcore.cells import arrow_of
from simcore.run import Ints

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

_READ = ("order_id", "side", "price", "size", "submit_ns", "live_ns")


def are_of_fills(laws: Sequence[Law], run: Run, files: dict[str, TableFile]) -> bool:
    """Whether these laws can be judged so: then no order that is left in its file may be one to be rejected."""
    return all(law.name in OF_FILLS for law in laws) and not any(
        doubtful_columns(file, run.instrument) for file in files.values()
    )


def judged_by_fills(run: Run, files: dict[str, TableFile], laws: Sequence[Law], max_findings: int) -> Report:
    """The report of these laws alone. Raises ``InputError``, ``NotInPiecesError``."""
    if "orders" in files:
        run = _with_named_orders(run, files["orders"])
    return Report(run, tuple(law.judge(run, max_findings=max_findings) for law in laws), ())


def _with_named_orders(run: Run, file: TableFile) -> Run:
    """The run with the first order of each id that fills name; any one where there is none: there are orders."""
    ids = Ids.of(run.fills, file)
    order = np.full(len(ids.numbers), -1)
    count = 0
    found: list[tuple[Ints, Any]] = []
    for group in range(len(file.group_rows)):
        for first, table in file.batches(group, _READ):
            place = ids.places(ids.column(table.column("order_id")))
            at = np.flatnonzero(place >= 0)
            at = at[order[place[at]] < 0]
            _, once = np.unique(place[at], return_index=True)
            rows = at[np.sort(once)]
            order[place[rows]] = np.arange(count, count + len(rows))
            count += len(rows)
            if len(rows):
                found.append((rows + first, table.take(arrow_of(rows))))
    found = found or list(file.picked(np.arange(min(len(file), 1))))
    fills = replace(run.fills, order=order[ids.places_of_fills(run.fills)])
    if not found:
        return replace(run, fills=fills)
    sheet = file.sheet_of(np.concatenate([rows for rows, _ in found]), pa.concat_tables([table for _, table in found]))
    orders = CONVERT["orders"](sheet, run.instrument)
    check_same(orders, fills)
    return replace(run, fills=fills, orders=orders)
