"""What a run of markers is after it was seen which orders they can mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np

from invariants.readers.matching_worlds import Told, orders_possible
from simcore import Run
from simcore.grid import Ints
from simcore.run import Orders


@dataclass(frozen=True, slots=True)
class Found:
    """A run, and where its markers may mean other orders, they themselves and what makes the run of given ones."""

    run: Run
    told: Told | None = None
    again: Callable[[Ints], Run] | None = None


def settled(found: Found) -> Run:
    """The run in which the markers mean what they can mean; without orders where nobody can tell."""
    run = found.run
    if found.told is None or found.again is None:
        return run
    answer = orders_possible(found.told, run.rules, run.trades if run.has_tape else None)
    if answer.orders is not None:
        return _matched(run, found.again(answer.orders))
    return run if answer.is_certain else _without_orders(run)


def _matched(run: Run, other: Run) -> Run:
    """The run with the orders and fills of the other."""
    kept = tuple(row for row in run.rejected if row.table not in ("orders", "fills", "cancels"))
    return replace(
        run,
        orders=other.orders,
        fills=other.fills,
        provenance=other.provenance,
        rejected=(*other.rejected, *kept),
        read={**run.read, **other.read},
    )


def _without_orders(run: Run) -> Run:
    orders = Orders(*(getattr(run.orders, field.name)[:0] for field in fields(Orders)))
    fills = replace(run.fills, order=np.full(len(run.fills), -1))
    lost = ("orders", "cancels")
    return replace(
        run,
        orders=orders,
        fills=fills,
        rejected=tuple(row for row in run.rejected if row.table not in lost),
        read={table: rows for table, rows in run.read.items() if table not in lost},
    )
