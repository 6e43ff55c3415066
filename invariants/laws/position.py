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
    may be listed in any order: one in which none of them breaks the cap is enough.
    Unknown: no fills, or the cap undeclared.
    Source: scrtlabs/catalyst#243, Lumiwealth/lumibot#439, nautechsystems/nautilus_trader RELEASES 1.191.0.
    """
    cap_lots = run.rules.position_cap_lots
    assert cap_lots is not None, "the catalogue asks for a cap"
    signed = run.fills.side * run.fills.size_lots
    after = run.rules.initial_position_lots + running_sum(signed)
    before = after - signed
    within = np.abs(after) <= cap_lots
    nearer = (np.abs(after) < np.abs(before)) & (np.sign(after) == np.sign(before))
    broken = ~(within | nearer).astype(np.bool_)
    for first, last in _instants(run, np.flatnonzero(broken)):
        if _some_order_keeps(run, first, last, int(before[first]), cap_lots):
            broken[first:last] = False

    def tell(row: int) -> Claim:
        story = (
            f"Let the position be {before[row]} lots and the cap {cap_lots}. {then_fill(run, row)} Yet that "
            f"makes {after[row]} lots."
        )
        return Claim("position_lots", int(after[row]), f"within {cap_lots}", f"before it {before[row]}", story)

    return rule_on("fills", np.arange(len(run.fills)), broken, tell)


def _instants(run: Run, rows: Ints) -> Iterator[tuple[int, int]]:
    """The instants of exactly known time that these fills belong to: where each begins in the list, and ends."""
    fills, end = run.fills, 0
    for row in rows.tolist():
        if row < end or fills.ns[row] != fills.ns_to[row]:
            continue
        first, end = row, row + 1
        while first and fills.ns[first - 1] == fills.ns_to[first - 1] == fills.ns[row]:
            first -= 1
        while end < len(fills) and fills.ns[end] == fills.ns_to[end] == fills.ns[row]:
            end += 1
        yield first, end


def _some_order_keeps(run: Run, first: int, last: int, before_lots: int, cap_lots: int) -> bool:
    """Whether the fills from ``first`` to before ``last`` can have happened in an order that keeps the cap.

    Where the fills name their trades, the tape says which came first.
    """
    signed = (run.fills.side[first:last] * run.fills.size_lots[first:last]).tolist()
    if last - first > _MOST_AT_ONCE or min(signed) > 0 or max(signed) < 0:
        return False  # fills of one side come to the same end in any order
    seq = run.fills.trade_seq[first:last].tolist()
    is_known = ABSENT not in seq
    reached = {0}
    for _ in signed:
        reached = {
            done | 1 << k
            for done in reached
            for k, lots in enumerate(signed)
            if not done >> k & 1
            and not (is_known and any(seq[i] < seq[k] and not done >> i & 1 for i in range(len(seq))))
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
