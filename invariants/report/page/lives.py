"""The life of each order, as a timeline draws it: from when it could fill to what ended it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from invariants.laws.ruling import NEVER, Mask, later, sum_within
from simcore.run import ABSENT, Ints, Objects, Run


@dataclass(frozen=True, slots=True)
class Lives:
    """When each order was sent, could fill, and ended, as well as anybody can tell; ``why`` says how that is known."""

    sent_ns: Ints
    start_ns: Ints
    stop_ns: Ints
    why: Objects
    by_time: Ints
    sent_sorted_ns: Ints


def lives_of(run: Run) -> Lives:
    """The lives of all orders of ``run``: what the engine logged, and else what the declared rules make of it."""
    orders, rules = run.orders, run.rules
    sent = np.where(orders.submit_ns != ABSENT, orders.submit_ns, orders.live_ns)
    latency_ns = rules.latency_ns if rules.declares("latency_ns") else 0
    nominal = np.where(sent != ABSENT, later(np.maximum(sent, 0), latency_ns)[0], ABSENT)
    start = np.where(orders.live_ns != ABSENT, orders.live_ns, nominal)
    stop = np.full(len(orders), NEVER)
    why = np.full(len(orders), "never ended", dtype=np.object_)
    for word, ns, known in _ends(run, sent):
        sooner = known & (ns < stop)
        stop[sooner], why[sooner] = ns[sooner], word
    logged = orders.end_ns != ABSENT
    stop[logged], why[logged] = orders.end_ns[logged], "end logged by the engine"
    by_time = np.argsort(sent, kind="stable")
    return Lives(sent, start, np.maximum(stop, start), why, by_time, sent[by_time])


def _ends(run: Run, sent: Ints) -> Iterator[tuple[str, Ints, Mask]]:
    """What may have ended an order: its word, when, and of which orders that is known."""
    orders, rules = run.orders, run.rules
    delay_ns = rules.cancel_latency_ns if rules.declares("cancel_latency_ns") else 0
    yield "cancel takes effect", later(np.maximum(orders.cancel_ns, 0), delay_ns)[0], orders.is_cancelled
    if rules.declares("ttl_ns") and rules.ttl_ns is not None:
        yield "expires", later(np.maximum(sent, 0), rules.ttl_ns)[0], sent != ABSENT
    yield "filled", *_full(run)


def _full(run: Run) -> tuple[Ints, Mask]:
    """When the fills of each order have come to its size, and whether they have."""
    fills, orders = run.fills, run.orders
    ns, known = np.full(len(orders), NEVER), np.zeros(len(orders), dtype=np.bool_)
    rows = np.flatnonzero(fills.order >= 0)
    rows = rows[np.lexsort((fills.ns[rows], fills.order[rows]))]
    if len(rows):
        order = fills.order[rows]
        first = np.flatnonzero(np.diff(order, prepend=-1))
        reached = sum_within(first, fills.size_lots[rows]) >= orders.size_lots[order]
        full = rows[reached.astype(np.bool_)][::-1]  # the first to reach it is written last
        ns[fills.order[full]], known[fills.order[full]] = fills.ns_to[full], True
    return ns, known
