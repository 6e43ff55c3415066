"""Fills and cancels without ids, side and price by side and price, whole columns at once.

The orders of one side and price are no matter of any other, and nearly always one order is open there at a time,
so that a marker can mean no other. Where it is not so, ``matching.Book`` is asked about the markers of that
side and price.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from invariants.readers.marker_columns import Columns
from invariants.readers.marker_lines import KINDS, Marker
from invariants.readers.matching import EXPIRY, Book
from simcore import Rules
from simcore.grid import Ints, Mask

SUBMIT, CANCEL, FILL = range(len(KINDS))


def orders_meant(told: Columns, ticks: Ints, lots: Ints, rules: Rules) -> tuple[Ints | None, Mask]:
    """For each fill and cancel the order that it means, -1 where there is none; and which markers are contested.

    None where one may mean an order of another price.
    """
    step = np.empty(len(told.prices), np.int64)
    step[told.price] = ticks
    level = _levels(step, told.price, told.side)
    places = np.argsort(level, kind="stable")
    latest, is_plain = _latest(told.ns[places], told.kind[places], lots[places], level[places], rules)
    is_clear = _whole_levels(is_plain, level[places])
    contested = np.full(len(told), _improves(rules))  # a better price than its limit may be the limit of another
    contested[places] |= ~is_clear
    if _improves(rules) and not (is_plain.all() and (latest >= 0)[told.kind[places] == FILL].all()):
        return None, contested
    order = np.cumsum(told.kind == SUBMIT) - 1
    found = np.full(len(told), -1)
    found[places] = np.where(latest < 0, -1, order[places[latest]])
    for place, submit in _asked(told, places[~is_clear], rules):
        found[place] = -1 if submit is None else order[submit]
    return found, contested


def contested(ns: Ints, kind: Ints, side: Ints, ticks: Ints, lots: Ints, rules: Rules) -> Mask:
    """Which markers may mean several orders."""
    step, place = np.unique(ticks, return_inverse=True)
    level = _levels(step, place, side)
    places = np.argsort(level, kind="stable")
    _, is_plain = _latest(ns[places], kind[places], lots[places], level[places], rules)
    mask = np.full(len(ns), _improves(rules))
    mask[places] |= ~_whole_levels(is_plain, level[places])
    return mask


def _improves(rules: Rules) -> bool:
    return rules.declares("pricing") and rules.pricing == "improve"


def _levels(step: Ints, price: Any, side: Any) -> Any:
    """A number for each side and price, which counts in ``step``; a small one is sorted faster."""
    same = np.unique(step, return_inverse=True)[1]
    level = 2 * same[price] + (side > 0)
    return level.astype(np.uint16) if 2 * len(same) < 2**16 else level


def _latest(ns: Ints, kind: Any, lots: Ints, level: Any, rules: Rules) -> tuple[Ints, Mask]:
    """The submit that stands last before each fill or cancel of its level, -1 where there is none.

    And whether that is the order that is meant, for sure: either no other of the level is open, or all the
    others are past their life and this one is not.
    """
    at, is_submit = np.arange(len(ns)), kind == SUBMIT
    begins = np.append(True, level[1:] != level[:-1])
    begin = _last(begins)
    latest = np.where(is_submit, -1, _since(begin, _last(is_submit)))
    follows = np.append(~is_submit[1:] & ~begins[1:], False)
    other = _since(begin, _last(is_submit & ~follows))
    age = ns - ns[latest]
    is_first, is_late = at - latest == 1, (at - latest == 2) & (kind == CANCEL) & (np.roll(kind, 1) == FILL)
    is_first &= np.where(kind == FILL, age > 0, age >= 0)
    if rules.declares("sizing") and rules.sizing != "whole":
        is_first &= (kind == CANCEL) | (lots >= lots[latest])  # a smaller fill leaves its order open
    if rules.declares("cancel_latency_ns") and rules.cancel_latency_ns:
        withdrawn = _since(begin, _last(kind == CANCEL))  # which may still fill while its cancel is under way
        is_first &= (kind == CANCEL) | (withdrawn < 0) | (ns - ns[withdrawn] > rules.cancel_latency_ns)
    is_lone = other < 0
    if rules.ttl_ns is not None and rules.declares("ttl_ns"):
        is_only = is_lone | ((age < rules.ttl_ns) & (ns - ns[other] > rules.ttl_ns))
    else:
        is_only = is_lone
    is_plain = (latest < 0) | (is_first & is_only) | (is_late & is_lone)
    is_plain &= begins | np.append(True, ns[1:] >= ns[:-1])
    return latest, is_plain


def _last(which: Mask) -> Ints:
    """For each place the last one up to it that is marked, -1 before the first."""
    return np.maximum.accumulate(np.where(which, np.arange(len(which)), -1))


def _since(begin: Ints, places: Ints) -> Ints:
    return np.where(places < begin, -1, places)


def _whole_levels(is_plain: Mask, level: Any) -> Mask:
    """Which rows are of a level that is plain throughout."""
    plain = np.ones(int(level.max(initial=0)) + 1, np.bool_)
    plain[level[~is_plain]] = False
    whole: Mask = plain[level]
    return whole


def _asked(told: Columns, places: Ints, rules: Rules) -> list[tuple[int, int | None]]:
    """What the book answers about the markers at these places: each fill and cancel, and the submit that it means."""
    book, answers = Book(rules), []
    for at in np.sort(places).tolist():
        price, size = told.prices[told.price[at]], told.sizes[told.size[at]]
        reason = EXPIRY[0] if told.is_expiry[at] else ""
        kind = KINDS[told.kind[at]]
        submit = book.take(Marker(at + 1, int(told.ns[at]), kind, int(told.side[at]), price, size, reason, None))
        if kind != KINDS[SUBMIT]:
            answers.append((at, None if submit is None else submit.row - 1))
    return answers
