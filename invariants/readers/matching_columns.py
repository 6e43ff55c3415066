"""What ``matching.Book`` answers, for whole columns of markers at once.

With an id on every marker it names the order; without ids ``matching_levels`` finds it. What became of each
order is the same then: sums, firsts and lasts of the markers that are its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from invariants.readers.marker_columns import LARGEST_NS, Columns
from invariants.readers.marker_lines import name_of
from invariants.readers.matching_levels import CANCEL, FILL, SUBMIT, orders_meant
from simcore import Rules
from simcore.grid import Ints, Mask
from simcore.run import ABSENT, Ends, EndState, Fills, Objects, Orders
from simcore.units import INT64_MAX

NEVER_NS = INT64_MAX
"""Later than every instant of a plain file and all that is added to it."""


@dataclass(frozen=True, slots=True)
class Matched:
    """The orders and fills, the places of the cancels of nothing, and whether an end was computed from the ttl.

    ``contested``: the markers that may mean several orders, None where there is none; ``found``: what each means.
    """

    orders: Orders
    fills: Fills
    unmatched: Ints
    guessed: bool
    found: Ints
    contested: Mask | None


def match(told: Columns, ticks: Ints, lots: Ints, rules: Rules, last_ns: int) -> Matched | None:
    """The markers matched; ``ticks`` and ``lots`` are their prices and sizes in whole steps.

    None where only the book can tell.
    """
    submits, cancels, fills = (np.flatnonzero(told.kind == kind) for kind in (SUBMIT, CANCEL, FILL))
    contested = None
    if told.id is None:
        named, contested = orders_meant(told, ticks, lots, rules)
        found = named
    else:
        named = _first_of_id(told.id, submits)
        found = np.where(np.append(submits, len(told))[named] < np.arange(len(told)), named, -1)
    most = max(-int(lots.min()), int(lots.max())) * (len(fills) + 1)
    if named is None or found is None or max(rules.ttl_ns or 0, rules.cancel_latency_ns, most) >= LARGEST_NS:
        return None
    orders, guessed = _orders(told, found, ticks, lots, rules, last_ns)
    ns, none = told.ns[fills], np.full(len(fills), None, np.object_)
    ids, side = _fill_ids(told, submits, fills, found[fills]), told.side[fills].astype(np.int64)
    size, absent = lots[fills], np.full(len(fills), ABSENT)
    our_fills = Fills(ns, ns, named[fills], ids, side, ticks[fills], size, absent, none, fills + 1)
    is_open = contested is not None and bool(contested.any())
    return Matched(orders, our_fills, cancels[found[cancels] < 0], guessed, found, contested if is_open else None)


def _first_of_id(ids: Ints, submits: Ints) -> Ints:
    """For each marker the first order of its id, wherever that stands; -1 where there is none."""
    low, high = int(ids.min()), int(ids.max())
    code = ids - low if high - low < 8 * len(ids) else np.unique(ids, return_inverse=True)[1]
    first = np.full(int(code.max()) + 1, -1)
    _first(first, code[submits], np.arange(len(submits)))
    return first[code]


def _first(column: Ints, places: Ints, values: Ints) -> None:
    """Write ``values`` to their ``places``; the first to a place stays."""
    column[places[::-1]] = values[::-1]


def _orders(told: Columns, found: Ints, ticks: Ints, lots: Ints, rules: Rules, last_ns: int) -> tuple[Orders, bool]:
    """The orders, with how they ended up to ``last_ns``; and whether the declared ttl had to say it."""
    submits = np.flatnonzero(told.kind == SUBMIT)
    filled_ns, cancel_ns, expired_ns = (np.full(len(submits), NEVER_NS) for _ in range(3))
    leaves = lots[submits]
    fills, cancels = (np.flatnonzero((told.kind == kind) & (found >= 0)) for kind in (FILL, CANCEL))
    np.subtract.at(leaves, found[fills], lots[fills])
    filled_ns[found[fills]] = told.ns[fills]  # the last one stays
    for expires, column in ((False, cancel_ns), (True, expired_ns)):
        some = cancels[told.is_expiry[cancels] == expires]
        _first(column, found[some], told.ns[some])
    submit_ns = told.ns[submits]
    end, end_ns, guessed = _ends(submit_ns, leaves, filled_ns, cancel_ns, expired_ns, rules, last_ns)
    ids = _line_ids(submits) if told.id is None else told.ids(submits)
    stamps = (submit_ns, np.full(len(submits), ABSENT), _absent(cancel_ns), _absent(end_ns))
    side = told.side[submits].astype(np.int64)
    return Orders(ids, side, ticks[submits], lots[submits], *stamps, end, submits + 1), guessed


def _ends(
    submit_ns: Ints, leaves: Ints, filled_ns: Ints, cancel_ns: Ints, expired_ns: Ints, rules: Rules, last_ns: int
) -> tuple[Ends, Ints, bool]:
    """Filled when nothing is left, else what came first: the expiry or the effect of the cancel."""
    latency_ns = rules.cancel_latency_ns if rules.declares("cancel_latency_ns") else 0
    effect_ns = np.where(cancel_ns == NEVER_NS, NEVER_NS, cancel_ns + latency_ns) if latency_ns else cancel_ns
    is_filled = (leaves == 0) & (filled_ns != NEVER_NS)
    guessed = np.zeros(len(submit_ns), np.bool_)
    if rules.ttl_ns is not None and rules.declares("ttl_ns"):
        silent_ns = submit_ns + rules.ttl_ns
        guessed = ~is_filled & (expired_ns == NEVER_NS) & (silent_ns <= last_ns) & (silent_ns < effect_ns)
        expired_ns = np.where(guessed, silent_ns, expired_ns)
    is_expired = ~is_filled & (expired_ns != NEVER_NS) & (expired_ns <= effect_ns)
    is_cancelled = ~is_filled & ~is_expired & (effect_ns != NEVER_NS) & (effect_ns <= last_ns)
    end = np.full(len(submit_ns), EndState.OPEN, np.int8)
    end_ns = np.full(len(submit_ns), NEVER_NS)
    for state, which, ns in (
        (EndState.FILLED, is_filled, filled_ns),
        (EndState.EXPIRED, is_expired, expired_ns),
        (EndState.CANCELLED, is_cancelled, effect_ns),
    ):
        end[which], end_ns[which] = state, ns[which]
    return end, end_ns, bool(guessed.any())


def _absent(ns: Ints) -> Ints:
    ns[ns == NEVER_NS] = ABSENT
    return ns


def _line_ids(places: Ints, *, matched: bool = True) -> Objects:
    return _objects([name_of(row, matched=matched) for row in (places + 1).tolist()])


def _fill_ids(told: Columns, submits: Ints, fills: Ints, found: Ints) -> Objects:
    if told.id is not None:
        return told.ids(fills)
    ids = _line_ids(fills, matched=False)
    ids[found >= 0] = _line_ids(submits[found[found >= 0]])
    return ids


def _objects(values: list[Any]) -> Objects:
    array = np.empty(len(values), np.object_)
    array[:] = values
    return array
