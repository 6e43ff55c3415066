"""When an order was live: as the rules compute it from its times, and as the engine logged it."""

from __future__ import annotations

from typing import Literal

import numpy as np

from invariants.laws.ruling import is_evidence, later, starts, sum_within
from simcore.run import ABSENT, EndState, Ints, Run

Window = Literal["nominal", "logged"]
"""When an order was live: as the rules compute it, or as the engine logged it."""

NOMINAL = ("latency_ns", "cancel_latency_ns", "ttl_ns", "expiry_tie", "cancel_tie")


def lacks(run: Run, window: Window) -> str:
    """What the run does not say of this window; empty where it is known."""
    if window == "nominal":
        dials = [dial for dial in NOMINAL if not run.rules.declares(dial)]
        if dials:
            return f"undeclared: {', '.join(dials)}"
    columns = ("submit_ns", "cancel_ns") if window == "nominal" else ("live_ns", "end_ns")
    # a run made by hand says nothing of provenance: what it computed from, it was given
    default = "native" if window == "nominal" else "absent"
    unseen = [name for name in columns if not is_evidence(run, name, default)]
    if window == "logged" and bool((run.orders.live_ns == ABSENT).all()):
        unseen = unseen or ["live_ns"]
    return f"{', '.join(unseen)} is absent, or computed from the rules" if unseen and len(run.orders) else ""


def logged(run: Run) -> tuple[Ints, Ints]:
    """For each order the half-open range of trades strictly between its logged arrival and end."""
    orders, ns = run.orders, run.trades.ns
    first = np.searchsorted(ns, orders.live_ns, "right")
    ended = (orders.end_ns != ABSENT) & (orders.end != EndState.FILLED)
    last = np.where(ended, np.searchsorted(ns, orders.end_ns, "left"), len(ns))
    last = np.minimum(last, _over(run))
    return first, np.where(orders.live_ns == ABSENT, first, last)


def nominal(run: Run) -> tuple[Ints, Ints]:
    """For each order the half-open range of trades inside its live window, up to its last fill."""
    orders, rules, ns = run.orders, run.rules, run.trades.ns
    submit_ns = np.where(orders.submit_ns == ABSENT, 0, orders.submit_ns)
    # behind the submit, and at the arrival or behind it
    first = _place(ns, submit_ns, rules.latency_ns, "left" if rules.latency_ns else "right")
    last = np.full(len(orders), len(ns))
    if rules.ttl_ns is not None:
        last = _place(ns, submit_ns, rules.ttl_ns, "left" if rules.expiry_tie == "expire" else "right")
    cancelled = np.flatnonzero(orders.is_cancelled)
    flies = rules.cancel_tie == "cancel" and rules.cancel_latency_ns > 0
    cancel_ns = np.maximum(orders.cancel_ns[cancelled], 0)
    effect = _place(ns, cancel_ns, rules.cancel_latency_ns, "left" if flies else "right")
    last[cancelled] = np.minimum(last[cancelled], effect)
    # a refused order was never there, and where the rules know no expiry, the venue's own ends an order
    over = orders.end == EndState.REJECTED
    if rules.ttl_ns is None:
        over = over | (orders.end == EndState.EXPIRED)
    refused = np.flatnonzero(over & (orders.end_ns != ABSENT) & is_evidence(run, "end_ns"))
    last[refused] = np.minimum(last[refused], np.searchsorted(ns, orders.end_ns[refused], "left"))
    last = np.minimum(last, _over(run))
    return first, np.where(orders.submit_ns == ABSENT, first, last)


def _over(run: Run) -> Ints:
    """For each order where the tape cannot fill it any more: it is complete, or the run is over."""
    end_ns = run.end_ns if run.end_ns is not None else run.last_event_ns
    if end_ns is None:
        return _completed(run)
    return np.minimum(_completed(run), np.searchsorted(run.trades.ns, end_ns, "right"))


def _place(ns: Ints, base_ns: Ints, delay_ns: int, side: Literal["left", "right"]) -> Ints:
    """Where ``base_ns + delay_ns`` stands among the times ``ns``; behind them all, beyond int64."""
    at_ns, real = later(base_ns, delay_ns)
    found = np.searchsorted(ns, at_ns, side)
    return found if real.all() else np.where(real, found, len(ns))


def _completed(run: Run) -> Ints:
    """For each order the end of the instant in which its fills add up to its size."""
    fills = run.fills
    end = np.full(len(run.orders), len(run.trades))
    rows = np.flatnonzero(fills.order >= 0)
    if not len(rows):
        return end
    rows = rows[np.lexsort((fills.ns[rows], fills.order[rows]))]
    order = fills.order[rows]
    done = np.flatnonzero(sum_within(starts(order), fills.size_lots[rows]) >= run.orders.size_lots[order])
    last = np.searchsorted(run.trades.ns, fills.ns_to[rows[done]], "right")
    np.minimum.at(end, order[done], last)
    return end
