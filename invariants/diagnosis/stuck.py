"""Inventory at the cap: how much of the time, and what the position made while it was stuck there.

The position counts here a horizon later than it was filled, since up to the horizon its loss is the
fill's drift; so the two never claim the same money. It is at the cap when no further quote of the
usual size fits, and stuck when that lasts much longer than the run's fills are usually apart.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from invariants.diagnosis.executions import Executions
from invariants.diagnosis.mids import Mids
from invariants.diagnosis.patterns import DOES_NOT_MATTER, EXPLAINS, LITTLE, MOST, PART, UNKNOWN, Pattern
from invariants.diagnosis.pnl import Pnl
from invariants.diagnosis.words import percent, seconds
from invariants.laws.ruling import Mask, running_from_zero, starts
from simcore.run import Ints, Objects, Run

NAME = "inventory stuck at the cap"
SHORTEST_NS = 60_000_000_000
GAPS = 20
"""Stuck: a stay at the cap of at least a minute, and of this many usual gaps between fills."""


class AtCap(NamedTuple):
    """Shares of the fills after which the position is at the cap, exactly or so that no quote fits; of the time."""

    exactly: float
    of_fills: float
    of_time: float
    stuck_of_time: float
    stuck_doubled: int
    longest_ns: int


def at_cap_of(run: Run, done: Executions, mids: Mids, horizon_ns: int) -> AtCap | None:
    """None where no cap is declared."""
    rules = run.rules
    if not rules.declares("position_cap_lots", "initial_position_lots") or rules.position_cap_lots is None:
        return None
    cap, quote = rules.position_cap_lots, _usual_size(run)
    path = rules.initial_position_lots + running_from_zero(done.side * done.size_lots)
    full = _is_full(path, quote, cap)
    mean_full = float(full[1:].mean()) if len(done) else 0.0
    exactly = float((np.abs(path[1:]) == cap).mean()) if len(done) else 0.0
    start_ns = int(mids.ns[0])
    # a fill may stand outside the tape: a law judges that, and no stay may last longer than the tape for it
    now = _stays(np.r_[start_ns, np.clip(done.ns, start_ns, mids.end_ns), mids.end_ns], path, full)
    late_ns = np.minimum(done.ns_to, mids.end_ns - horizon_ns) + horizon_ns
    order = np.argsort(late_ns, kind="stable")
    late_path = rules.initial_position_lots + running_from_zero((done.side * done.size_lots)[order])
    edges = np.r_[start_ns, np.maximum(late_ns[order], start_ns), mids.end_ns]
    stays = _stays(edges, late_path, _is_full(late_path, quote, cap))
    span = max(1, mids.end_ns - start_ns)
    stuck = [stay for stay in stays if stay.ns >= _long(done, span)]
    return AtCap(
        exactly=exactly,
        of_fills=mean_full,
        of_time=sum(stay.ns for stay in now) / span,
        stuck_of_time=sum(stay.ns for stay in stuck) / span,
        stuck_doubled=sum(_made(stay, edges, late_path, mids) for stay in stuck),
        longest_ns=max((stay.ns for stay in now), default=0),
    )


def stuck_pattern(found: AtCap | None, done: Executions, pnl: Pnl) -> Pattern:
    """Whether the position made its loss while it was stuck."""
    if found is None:
        return Pattern(NAME, DOES_NOT_MATTER, 0, 0.0, None, None, None, None, "", "no cap is declared")
    total = pnl.total
    share = float(found.stuck_doubled / (2 * total)) if total < 0 else None
    answer, because = _answer(found, share)
    figures = (
        f"{percent(found.of_time)} of the time and {percent(found.of_fills)} of the fills at the cap "
        f"({percent(found.exactly)} exactly), the longest stay {seconds(found.longest_ns)}"
    )
    count = round(found.of_fills * len(done))
    return Pattern(NAME, answer, count, found.stuck_of_time, share, None, None, None, figures, because)


def unknown_cap(reason: str) -> Pattern:
    """The pattern where the run does not declare its cap."""
    return Pattern(NAME, UNKNOWN, 0, 0.0, None, None, None, None, "", reason)


def _answer(found: AtCap, share: float | None) -> tuple[str, str]:
    if found.stuck_of_time < LITTLE:
        return DOES_NOT_MATTER, f"stuck there for {percent(found.stuck_of_time)} of the time"
    stuck = f"stuck there for {percent(found.stuck_of_time)} of the time"
    if share is None or share <= LITTLE:
        lost = "lost nothing" if share is None or share <= 0 else f"made {percent(share)} of the loss"
        return DOES_NOT_MATTER, f"{stuck}, in which the position {lost}"
    carries = f"{stuck}; the position then made {percent(share)} of the loss"
    return (EXPLAINS, carries) if share >= MOST else (PART, carries)


class _Stay(NamedTuple):
    """Rows [first, last) of the path at the cap on one side, and how long that lasted."""

    first: int
    last: int
    ns: int


def _stays(edges: Ints, path: Ints | Objects, full: Mask) -> list[_Stay]:
    """``path[k]`` holds from ``edges[k]`` to ``edges[k + 1]``."""
    state = np.where(full, np.where(path > 0, 1, -1), 0)
    first = starts(state)
    last = np.append(first[1:], len(state))
    return [_Stay(int(a), int(b), int(edges[b] - edges[a])) for a, b in zip(first, last, strict=True) if state[a] != 0]


def _is_full(path: Ints | Objects, quote: int, cap: int) -> Mask:
    return np.asarray((np.abs(path) + quote > cap) & (path != 0), dtype=np.bool_)


def _made(stay: _Stay, edges: Ints, path: Ints | Objects, mids: Mids) -> int:
    """What the position made during a stay, in half ticks times lots."""
    marks = mids.at(edges[stay.first : stay.last + 1]).tolist()
    held = path[stay.first : stay.last].tolist()
    return sum(q * (after - before) for q, before, after in zip(held, marks[:-1], marks[1:], strict=True))


def _usual_size(run: Run) -> int:
    sizes = run.orders.size_lots if len(run.orders) else run.fills.size_lots
    return int(np.median(sizes)) if len(sizes) else 1


def _long(done: Executions, span_ns: int) -> float:
    """How long a stay is stuck: against the usual gap between fills, and never most of a short run."""
    gaps = np.diff(done.ns)
    usual_ns = float(np.median(gaps)) if len(gaps) >= 3 else 0.0
    return max(SHORTEST_NS, min(GAPS * usual_ns, span_ns / 4))
