"""Size: what was asked for, and what the tape had to give."""

from __future__ import annotations

from invariants.laws.ruling import Claim, Ruling, fills_of_orders, let_order, rule_on, then_fill
from simcore.run import Run, id_at


def fill_size_equals_quote_size(run: Run) -> Ruling:
    """Why: under ``whole`` sizing a fill is the order; any other size is a position nobody quoted.

    Fails: a fill of 4 lots for an order of 5.
    Passes: the sizes are equal.
    Unknown: no fills of known orders.
    Source: stefan-jansen/zipline-reloaded#313 (item 2), QuantConnect/Lean#4014.
    """
    rows = fills_of_orders(run)
    quoted = run.orders.size_lots[run.fills.order[rows]]

    def tell(row: int) -> Claim:
        i = int(run.fills.order[row])
        story = f"{let_order(run, i)} {then_fill(run, row)} Yet a fill is the whole order."
        want = str(run.orders.size_lots[i])
        return Claim(
            "size_lots", int(run.fills.size_lots[row]), want, f"the size of order {id_at(run.orders, i)!r}", story
        )

    return rule_on("fills", rows, run.fills.size_lots[rows] != quoted, tell)
