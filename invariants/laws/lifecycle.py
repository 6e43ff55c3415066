"""Time in the life of an order: nothing before it is there, nothing after it is gone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from invariants.laws.ruling import (
    Claim,
    Mask,
    Ruling,
    fills_of_orders,
    is_evidence,
    kinds_of,
    later,
    let_order,
    rule_on,
    starts,
    sum_within,
    then_fill,
)
from simcore.run import ABSENT, Ints, Run, id_at


def fill_follows_submit(run: Run) -> Ruling:
    """Why: a fill at or before its own submit used a trade that the order could not have met.

    Fails: a fill at the very nanosecond of the submit (the tape comes first), or earlier; a fill before the
    instant from which the engine's own log has the order live.
    Passes: a fill one nanosecond after the submit, and none before the logged start.
    By model: a fill ``at_once``, at the nanosecond of the submit: the engine matches new orders before the clock moves.
    Unknown: the submit time is absent, or the fill's interval contains it.
    Source: QuantConnect/Lean#2547 (filled by data older than the order), mhallsmoore/qstrader#114.
    """
    rows, submit_ns, open_rows = _submitted(run)
    late = run.fills.ns[rows] > submit_ns
    live_ns = _logged_live(run)[run.fills.order[rows]]
    unsent = ~open_rows & (run.fills.ns_to[rows] <= submit_ns)
    early = run.fills.ns_to[rows] < live_ns
    broken = unsent | early
    kinds = kinds_of(len(rows), at_once=unsent & ~early & (run.fills.ns[rows] == submit_ns))

    def tell(row: int) -> Claim:
        i = int(run.fills.order[row])
        ns, live = int(run.fills.ns_to[row]), int(run.orders.live_ns[i])
        if not unsent[np.searchsorted(rows, row)]:
            story = f"{let_order(run, i)} {then_fill(run, row)} Yet the run says that it is live from {live} ns on."
            return Claim("ns", ns, f"at least {live}", f"order {id_at(run.orders, i)!r} is live from then on", story)
        want = f"more than {run.orders.submit_ns[i]}"
        story = f"{let_order(run, i)} {then_fill(run, row)} Yet it was not there to be filled until after its submit."
        return Claim("ns", ns, want, f"order {id_at(run.orders, i)!r} is submitted then", story)

    undecided = ~broken & (open_rows | ~late)
    return rule_on("fills", rows, broken, tell, undecided=undecided, reason=_NO_SUBMIT, kinds=kinds)


def latency_is_respected(run: Run) -> Ruling:
    """Why: latency is what separates a back-test from a wish; most lies are one event early.

    Fails: ``fill.ns < submit_ns + latency_ns``, by one nanosecond or more.
    Passes: a fill at exactly ``submit_ns + latency_ns``.
    Unknown: latency undeclared, the submit time absent or computed, or the interval contains the arrival.
    Source: nkaz001/hftbacktest#177, nautechsystems/nautilus_trader#4891.
    """
    rows, submit_ns, open_rows = _submitted(run)
    latency_ns = run.rules.latency_ns
    # differences of times since 1970 cannot wrap; sums could
    in_time = run.fills.ns[rows] - submit_ns >= latency_ns
    broken = ~open_rows & (run.fills.ns_to[rows] - submit_ns < latency_ns)

    def tell(row: int) -> Claim:
        i = int(run.fills.order[row])
        arrival_ns = int(run.orders.submit_ns[i]) + latency_ns
        story = (
            f"{let_order(run, i)} Then it cannot fill before {arrival_ns} ns, {latency_ns} ns later. "
            f"Yet it fills at {run.fills.ns_to[row]} ns, {arrival_ns - int(run.fills.ns_to[row])} ns too early."
        )
        return Claim(
            "ns", int(run.fills.ns_to[row]), f"at least {arrival_ns}", f"submit + latency of {latency_ns} ns", story
        )

    return rule_on("fills", rows, broken, tell, undecided=open_rows | ~(broken | in_time), reason=_NO_SUBMIT)


def no_fill_after_cancel(run: Run) -> Ruling:
    """Why: an order that goes on filling after its cancel is a risk that the strategy had put away.

    Fails: a fill after ``cancel_ns + cancel_latency_ns``; at that instant too where ``cancel_tie`` is cancel.
    Passes: a fill before it; at that instant where ``cancel_tie`` is fill, or the cancel has no latency; any fill
    after a cancel from before the submit, which does nothing.
    By model: a cancel that was ``pending``: the engine logged the end of the order no earlier than the fill.
    Unknown: no order has a cancel, or its effect lies inside the fill's interval.
    Source: BYTEX-TRADE/bytex#60 (cancel in flight lost), nkaz001/hftbacktest f6d0bc7.
    """
    orders, fills, rules = run.orders, run.fills, run.rules
    effect_ns, real = later(np.maximum(orders.cancel_ns, 0), rules.cancel_latency_ns)
    asked = orders.is_cancelled
    cancelled = asked & real
    inclusive = rules.cancel_tie == "cancel" and rules.cancel_latency_ns > 0
    rows = fills_of_orders(run)
    rows = rows[cancelled[fills.order[rows]]]
    limit_ns = effect_ns[fills.order[rows]] - inclusive
    broken = fills.ns[rows] > limit_ns
    undecided = ~broken & (fills.ns_to[rows] > limit_ns)

    def tell(row: int) -> Claim:
        i = int(fills.order[row])
        sign = "less than" if inclusive else "at most"
        story = (
            f"{let_order(run, i)} Its cancel at {orders.cancel_ns[i]} ns is effective from {effect_ns[i]} ns on. "
            f"{then_fill(run, row)} Yet there was no order left to fill."
        )
        return Claim("ns", int(fills.ns[row]), f"{sign} {effect_ns[i]}", "the cancel is effective", story)

    ruling = rule_on(
        "fills",
        rows,
        broken,
        tell,
        undecided=undecided,
        reason="the cancel takes effect inside the interval of the fill",
        kinds=kinds_of(len(rows), pending=_logged_alive(run, rows)),
    )
    # an order whose cancel kept it from filling is a row judged too: it could have been broken
    kept = int(asked.sum()) - len(np.unique(fills.order[rows]))
    return replace(ruling, judged=ruling.judged + kept)


def no_fill_after_expiry(run: Run) -> Ruling:
    """Why: an order past its time to live is no order; matching before sweeping lets it fill.

    Fails: a fill at ``submit_ns + ttl_ns`` where ``expiry_tie`` is expire; later in any case.
    Passes: a fill one nanosecond earlier; at that instant where ``expiry_tie`` is fill.
    By model: an expiry that was ``pending``: the engine logged the end no earlier than the fill.
    Unknown: ttl undeclared, the submit time absent, or the interval contains the expiry.
    Source: freqtrade/freqtrade a0971a3e2, nautechsystems/nautilus_trader RELEASES 1.225.0.
    """
    rows, submit_ns, open_rows = _submitted(run)
    ttl_ns = run.rules.ttl_ns
    assert ttl_ns is not None, "the catalogue asks for a ttl"
    oldest_ns = ttl_ns - (run.rules.expiry_tie == "expire")
    broken = ~open_rows & (run.fills.ns[rows] - submit_ns > oldest_ns)
    in_time = run.fills.ns_to[rows] - submit_ns <= oldest_ns

    def tell(row: int) -> Claim:
        i = int(run.fills.order[row])
        expiry_ns = int(run.orders.submit_ns[i]) + ttl_ns
        sign = "less than" if run.rules.expiry_tie == "expire" else "at most"
        story = (
            f"{let_order(run, i)} Then it expires at {expiry_ns} ns, {ttl_ns} ns later. Yet it fills at "
            f"{run.fills.ns[row]} ns."
        )
        return Claim("ns", int(run.fills.ns[row]), f"{sign} {expiry_ns}", f"submit + ttl of {ttl_ns} ns", story)

    kinds = kinds_of(len(rows), pending=_logged_alive(run, rows))
    undecided = open_rows | ~(broken | in_time)
    return rule_on("fills", rows, broken, tell, undecided=undecided, reason=_NO_SUBMIT, kinds=kinds)


def _logged_alive(run: Run, rows: Ints) -> Mask:
    """Fills no later than the logged end of their order."""
    end_ns = run.orders.end_ns[run.fills.order[rows]]
    return np.asarray((end_ns != ABSENT) & (run.fills.ns[rows] <= end_ns), dtype=np.bool_)


def no_double_fill(run: Run) -> Ruling:
    """Why: an order that is filled twice doubles a position that was asked for once.

    Fails: a second fill of an order (``whole``); fills that add up to more than its size (else).
    Passes: one fill; partial fills up to exactly the size.
    Unknown: no fills of known orders.
    Source: nkaz001/hftbacktest#312 (equal sizes left the order in the book), nautechsystems/nautilus_trader#3317.
    """
    rows = fills_of_orders(run)
    order = run.fills.order[rows]
    by_order = np.argsort(order, kind="stable")
    whole = run.rules.sizing == "whole" and run.rules.declares("sizing")
    amount = np.ones_like(order) if whole else run.fills.size_lots[rows]
    limit = np.ones(len(run.orders), np.int64) if whole else run.orders.size_lots
    filled = sum_within(starts(order[by_order]), amount[by_order])
    broken = np.zeros(len(rows), dtype=np.bool_)
    broken[by_order] = filled > limit[order[by_order]]
    again = np.zeros(len(rows), dtype=np.bool_)
    if not run.rules.declares("sizing"):
        # partial fills, or one fill too many: it hangs on the sizing
        again[by_order] = sum_within(starts(order[by_order]), np.ones_like(order)) > 1
    undecided = again & ~broken

    def tell(row: int) -> Claim:
        i = int(run.fills.order[row])
        earlier = [k for k in range(row) if run.fills.order[k] == i]
        before = sum(int(run.fills.size_lots[k]) for k in earlier)
        size_lots = int(run.orders.size_lots[i])
        listed = ", ".join(f"{run.fills.size_lots[k]} lots at {run.fills.ns[k]} ns" for k in earlier) or "nothing"
        story = (
            f"{let_order(run, i)} Then {listed} filled it, and {max(size_lots - before, 0)} lots are left. Yet "
            f"it fills again at {run.fills.ns[row]} ns."
        )
        if earlier and whole:
            return Claim(
                "order_id",
                repr(id_at(run.orders, i)),
                "filled once",
                f"fills row {run.fills.row[earlier[0]]} filled it",
                story,
            )
        return Claim(
            "size_lots",
            int(run.fills.size_lots[row]),
            f"at most {max(size_lots - before, 0)}",
            "what was left of the order",
            story,
        )

    return rule_on("fills", rows, broken, tell, undecided=undecided, reason="undeclared: sizing")


_NO_SUBMIT = "submit_ns is absent or computed, or lies inside the interval of the fill"


def _logged_live(run: Run) -> Ints:
    """From when on the engine's own log has each order live; ABSENT, earlier than all else, where it is silent."""
    if is_evidence(run, "live_ns"):
        return run.orders.live_ns
    return np.full(len(run.orders), ABSENT)


def _submitted(run: Run) -> tuple[Ints, Ints, Mask]:
    """Fills of known orders, their orders' submit times, and those whose submit is no evidence."""
    rows = fills_of_orders(run)
    submit_ns = run.orders.submit_ns[run.fills.order[rows]]
    absent = (submit_ns == ABSENT) | (not is_evidence(run, "submit_ns"))
    return rows, np.where(absent, 0, submit_ns), absent
