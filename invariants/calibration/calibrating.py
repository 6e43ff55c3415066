"""The calibration: orders in, a score for every rule out, and what was set aside and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from invariants.calibration.answers import Answer, Rule, answers
from invariants.calibration.depth import Depth, Place
from invariants.calibration.lives import Lives
from invariants.calibration.scores import Score, by_distance, score
from invariants.readers.tape import Tape
from simcore import Rules
from simcore.grid import Mask
from simcore.run import Ints

TOLERANCE_NS = 100_000_000
"""How far a first fill may be off: a feed tells of one match in several messages, some milliseconds apart."""

UNTOLD = "the order events do not tell its beginning"
MARKETABLE = "it took liquidity at once: its limit reached the other side's best"
UNPRINTED = "its first fill has no print on the tape: a hole in the feed"


@dataclass(frozen=True, slots=True)
class Calibration:
    """``read`` orders are ``judged`` or set ``aside`` for a reason.

    ``by_distance`` has the scores of the same rules for each class of distance. ``depth`` says what
    told the touch: order events, tops of book or nothing. ``tape`` counts trades and tops of book.
    """

    read: int
    judged: int
    aside: Mapping[str, int]
    tolerance_ns: int
    scores: tuple[tuple[Rule, Score], ...]
    by_distance: tuple[tuple[str, tuple[tuple[Rule, Score], ...]], ...]
    depth: str
    tape: Mapping[str, int]
    events: Mapping[str, int] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)


def calibrate(
    lives: Lives,
    tape: Tape,
    depth: Depth | None = None,
    *,
    rules: Rules | None = None,
    tolerance_ns: int = TOLERANCE_NS,
    inputs: Mapping[str, str] | None = None,
) -> Calibration:
    """Score every rule on the orders that can be judged. ``rules`` are the user's own, one row more."""
    places = None if depth is None else [depth.places.get(name) for name in lives.order_id]
    own_ticks, other_ticks = _touches(lives, tape, places)
    if places is not None:
        lives.set_aside(np.array([place is None for place in places], dtype=np.bool_), UNTOLD)
    lives.set_aside((other_ticks > 0) & (lives.side * (lives.price_ticks - other_ticks) >= 0), MARKETABLE)
    lives.set_aside(lives.filled & ~_printed(lives, tape, tolerance_ns), UNPRINTED)
    keep = np.asarray(lives.aside == "", dtype=np.bool_)
    judged = lives.where(keep)
    known = None if places is None else [place for place, kept in zip(places, keep, strict=True) if kept and place]
    found = list(answers(judged, tape, known, own=rules))
    everything = np.ones(len(judged), np.bool_)
    return Calibration(
        read=len(lives),
        judged=len(judged),
        aside=dict(Counter(reason for reason in lives.aside.tolist() if reason)),
        tolerance_ns=tolerance_ns,
        scores=_scored(judged, found, tolerance_ns, everything),
        by_distance=tuple(
            (name, _scored(judged, found, tolerance_ns, rows))
            for name, rows in by_distance(judged, own_ticks[keep])
            if rows.any()
        ),
        depth="order events" if depth is not None else "tops of book" if len(tape.tops) else "nothing",
        tape={"trades": len(tape.trades), "tops": len(tape.tops), "rejected": len(tape.rejected)},
        events={} if depth is None else {"read": depth.rows, "unusable": depth.unusable},
        inputs=inputs or {},
    )


def _scored(
    lives: Lives, found: list[tuple[Rule, Answer]], tolerance_ns: int, rows: Mask
) -> tuple[tuple[Rule, Score], ...]:
    return tuple((rule, score(lives, answer, tolerance_ns, rows)) for rule, answer in found)


def _touches(lives: Lives, tape: Tape, places: Sequence[Place | None] | None) -> tuple[Ints, Ints]:
    """The best price of each order's own side and of the other one when it came in, 0 where nobody says."""
    if places is not None:
        columns = [(0, 0) if place is None else (place.own_ticks, place.other_ticks) for place in places]
        own, other = np.array(columns, dtype=np.int64).reshape(len(columns), 2).T
        return own, other
    before = np.searchsorted(tape.tops.ns, lives.submit_ns, "left") - 1
    if not len(tape.tops):
        return np.zeros(len(lives), np.int64), np.zeros(len(lives), np.int64)
    bid, ask = (np.where(before < 0, 0, column[before]) for column in (tape.tops.bid_ticks, tape.tops.ask_ticks))
    return np.where(lives.side > 0, bid, ask), np.where(lives.side > 0, ask, bid)


def _printed(lives: Lives, tape: Tape, tolerance_ns: int) -> Mask:
    """Orders with a trade at their limit, or through it, where their first fill was.

    A sweep may be printed at its last price alone, and a venue may fill what is traded through.
    """
    trades, rows = tape.trades, np.flatnonzero(lives.filled)
    printed = np.zeros(len(lives), np.bool_)
    first = np.searchsorted(trades.ns, lives.first_ns[rows] - tolerance_ns, "left")
    last = np.searchsorted(trades.ns, lives.first_ns[rows] + tolerance_ns, "right")
    for row, low, high in zip(rows.tolist(), first.tolist(), last.tolist(), strict=True):
        beyond = lives.side[row] * (lives.price_ticks[row] - trades.price_ticks[low:high])
        printed[row] = bool((beyond >= 0).any())
    return printed
