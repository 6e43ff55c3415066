"""Position: within the cap after every fill, and the sum of the fills at every sample."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from invariants.laws.ruling import Claim, Ruling, nothing, rule_on, running_from_zero, running_sum, then_fill
from invariants.laws.totals import reported_figure
from simcore.run import ABSENT, Ints, Run

_MOST_AT_ONCE = 10
"""Fills of one instant that are put in every order."""


def position_stays_within_cap(run: Run) -> Ruling:
    """Why: the cap is the risk that was agreed to; one lot beyond it is a breach, not a rounding.

    Fails: after a fill the position is beyond the cap, and not nearer zero on the same side.
    Passes: exactly at the cap; or on the way back from a position that was beyond it. Fills of one instant
    happen in the order of their trades where they name them (``trade_seq``); where not, they may be listed in any
    order: one in which none of them breaks the cap is enough.
    Unknown: no fills, or the cap undeclared; or only an order of fills of overlapping intervals breaks it.
    Source: scrtlabs/catalyst#243, Lumiwealth/lumibot#439, nautechsystems/nautilus_trader RELEASES 1.191.0.
    """
    cap_lots = run.rules.position_cap_lots
    assert cap_lots is not None, "the catalogue asks for a cap"
    rows = _as_traded(run)
    signed = (run.fills.side * run.fills.size_lots)[rows]
    after = run.rules.initial_position_lots + running_sum(signed)
    before = after - signed
    within = np.abs(after) <= cap_lots
    nearer = (np.abs(after) < np.abs(before)) & (np.sign(after) == np.sign(before))
    broken = ~(within | nearer).astype(np.bool_)
    undecided = np.zeros(len(rows), dtype=np.bool_)
    for first, last in _together(run, np.flatnonzero(broken)):
        kept = _some_order_keeps(run, rows[first:last], int(before[first]), cap_lots)
        if kept is not False:
            is_wide = bool((run.fills.ns[rows[first:last]] != run.fills.ns_to[rows[first:last]]).any())
            if kept or is_wide:
                undecided[first:last] = broken[first:last] & is_wide
                broken[first:last] = False

    def tell(at: int) -> Claim:
        story = (
            f"Let the position be {before[at]} lots and the cap {cap_lots}. {then_fill(run, int(rows[at]))} Yet that "
            f"makes {after[at]} lots."
        )
        return Claim("position_lots", int(after[at]), f"within {cap_lots}", f"before it {before[at]}", story)

    place = np.argsort(rows)
    return rule_on(
        "fills",
        np.arange(len(rows)),
        broken[place],
        lambda row: tell(int(place[row])),
        undecided=undecided[place],
        reason="the intervals of fills overlap, and their order decides",
    )


def _as_traded(run: Run) -> Ints:
    """The fills as they are listed, but those of one instant that all name their trades in the order of these."""
    fills = run.fills
    exact = fills.ns == fills.ns_to
    begins = np.ones(len(fills), dtype=np.bool_)
    begins[1:] = (fills.ns[1:] != fills.ns[:-1]) | ~exact[1:] | ~exact[:-1]
    instant = np.cumsum(begins)
    named = np.ones(len(fills) + 1, dtype=np.bool_)
    named[instant[fills.trade_seq == ABSENT]] = False
    return np.lexsort((np.where(named[instant], fills.trade_seq, 0), instant))


def _together(run: Run, rows: Ints) -> Iterator[tuple[int, int]]:
    """The stretches of the list in which these fills may have happened in another order: begin and end of each."""
    fills, end = run.fills, 0
    for row in rows.tolist():
        if row < end:
            continue
        first, end = row, row + 1
        begin_ns, end_ns = fills.ns[row], fills.ns_to[row]
        while True:
            if end < len(fills) and fills.ns[end] <= end_ns and fills.ns_to[end] >= begin_ns:
                at, end = end, end + 1
            elif first and fills.ns_to[first - 1] >= begin_ns and fills.ns[first - 1] <= end_ns:
                at = first = first - 1
            else:
                break
            begin_ns, end_ns = min(begin_ns, fills.ns[at]), max(end_ns, fills.ns_to[at])
        yield first, end


def _some_order_keeps(run: Run, rows: Ints, before_lots: int, cap_lots: int) -> bool | None:
    """Whether these fills can have happened in an order that keeps the cap; None where they are too many to try.

    An interval that is over comes before one that begins, and where fills name their trades the tape tells.
    """
    signed = (run.fills.side[rows] * run.fills.size_lots[rows]).tolist()
    if min(signed) > 0 or max(signed) < 0:
        return False  # fills of one side come to the same end in any order
    if len(rows) > _MOST_AT_ONCE:
        return None
    begin, end, seq = (column[rows].tolist() for column in (run.fills.ns, run.fills.ns_to, run.fills.trade_seq))
    count = range(len(signed))
    earlier = [
        sum(1 << i for i in count if end[i] < begin[k] or (seq[k] != ABSENT and ABSENT < seq[i] < seq[k]))
        for k in count
    ]
    reached = {0}
    for _ in signed:
        reached = {
            done | 1 << k
            for done in reached
            for k, lots in enumerate(signed)
            if not done >> k & 1
            and earlier[k] & done == earlier[k]
            and _is_allowed(before_lots + sum(x for i, x in enumerate(signed) if done >> i & 1), lots, cap_lots)
        }
    return bool(reached)


def _is_allowed(before_lots: int, lots: int, cap_lots: int) -> bool:
    after_lots = before_lots + lots
    return abs(after_lots) <= cap_lots or (abs(after_lots) < abs(before_lots) and after_lots * before_lots > 0)


def position_sums_fills(run: Run) -> Iterator[Ruling]:
    """Why: an engine whose own position differs from its fills decides on a position that it has not.

    Fails: a reported position, sampled or final, that is not the initial one plus the signed fills.
    Passes: equal at every sample; at an instant of several fills, after any of them.
    Unknown: the initial position undeclared, or a fill's interval contains the sample.
    Source: nkaz001/hftbacktest#316 (partial fills never reach the position), mementum/backtrader#18.
    """
    samples, fills = run.positions, run.fills
    final = reported_figure(run, "position")
    if not len(samples) and final is None:
        yield nothing("positions", not_applicable="no position was reported")
        return
    if not run.has_fills:
        yield nothing("positions", undecided=len(samples) + (final is not None), reason="no fills were given")
        return
    by_end = np.argsort(fills.ns_to, kind="stable")
    signed = running_from_zero((fills.side * fills.size_lots)[by_end])
    ended = np.searchsorted(fills.ns_to[by_end], samples.ns, "right")
    began = np.searchsorted(np.sort(fills.ns), samples.ns, "right")
    wanted = run.rules.initial_position_lots + signed[ended]

    def tell(row: int) -> Claim:
        story = (
            f"Let the position start at {run.rules.initial_position_lots} lots. Then the fills up to "
            f"{samples.ns[row]} ns make it {wanted[row]}. Yet the run says {samples.position_lots[row]}."
        )
        return Claim(
            "position_lots", int(samples.position_lots[row]), str(wanted[row]), "initial + signed fills", story
        )

    before = np.searchsorted(fills.ns_to[by_end], samples.ns, "left")
    off = samples.position_lots != wanted
    # a sample inside an instant of several fills may stand after any of them
    for row in np.flatnonzero(off & (ended - before > 1)):
        path = run.rules.initial_position_lots + signed[before[row] + 1 : ended[row] + 1]
        off[row] = not (path == samples.position_lots[row]).any()
    yield rule_on(
        "positions",
        np.arange(len(samples)),
        off & (began == ended),
        tell,
        undecided=began != ended,
        reason="a fill's interval contains the sample",
    )
    if final is not None:
        lots = run.rules.initial_position_lots + int(signed[-1])
        yield final.against(run.instrument.size(lots), f"initial + signed fills of {len(fills)} fills")
