"""The bracket: the same actions under ``at`` (the most fills) and ``through`` (the fewest), and between them.

The actions are those of the run: submits and cancels at their times. An order that the run filled
and nobody cancelled rests on where it is not filled, up to the rules' expiry. The maker's answer to
other fills than it got cannot be known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np

from invariants.diagnosis.bootstrap import Estimate
from invariants.diagnosis.executions import executions_of
from invariants.diagnosis.markouts import markouts_of
from invariants.diagnosis.mids import Mids
from invariants.diagnosis.patterns import reaction_ns
from invariants.diagnosis.pnl import pnl_of
from invariants.diagnosis.queued import simulate_queued
from simcore import (
    Action,
    Cancel,
    Fill,
    InputError,
    Rules,
    Run,
    Scenario,
    Side,
    Submit,
    TapeEvent,
    TopOfBook,
    Trade,
    simulate,
)
from simcore.rules import DIALS
from simcore.run import ABSENT, EndState

RECORDED, AT, QUEUED, THROUGH = "as recorded", "at", "queue-aware", "through"


@dataclass(frozen=True, slots=True)
class Bound:
    """One way to fill the same actions. ``pnl`` and ``trading`` in ticks times lots; ``markout`` in price units."""

    name: str
    fills: int
    size_lots: int
    pnl: Decimal
    trading: Decimal
    markout: Estimate | None


@dataclass(frozen=True, slots=True)
class Bracket:
    """The rows, from the run as recorded to ``through``; or ``reason``, why there are none.

    ``assumed``: dials that the run does not declare, at the value that was taken. ``reproduced``:
    whether the run's own rules give the recorded fills again; None where they were not asked.
    """

    rows: tuple[Bound, ...] = ()
    reason: str = ""
    assumed: tuple[str, ...] = ()
    reproduced: bool | None = None
    no_queue: str = ""


def bracket_of(run: Run, mids: Mids, horizon_ns: int) -> Bracket:
    """The same actions under both crosses; under queues where tops of book have sizes."""
    reason = _lacking(run, mids)
    if reason:
        return Bracket(reason=reason)
    rules = declared(run)
    try:
        actions = tuple(_actions(run))
        asked = {cross: Scenario(tuple(_trades(run)), actions, replace(rules, cross=cross)) for cross in (AT, THROUGH)}
    except InputError as error:  # a run may hold what no simulator can be given; a law has judged it
        return Bracket(reason=f"no simulator can be given these rows: {error}")
    fills = {cross: simulate(scenario) for cross, scenario in asked.items()}
    no_queue = "" if len(run.tops) else "no tops of book show the size ahead"
    if not no_queue:
        fills[QUEUED] = simulate_queued(Scenario(tuple(tape_of(run)), actions, replace(rules, cross=AT)))
    sent = _sent(run, rules, asked[AT])
    others = {name: sent.refilled(fills[name]) for name in (AT, QUEUED, THROUGH) if name in fills}
    return Bracket(
        rows=tuple(_row(name, filled, mids, horizon_ns) for name, filled in {RECORDED: run, **others}.items()),
        assumed=tuple(f"{name} = {_value(rules, name)}" for name in DIALS if not run.rules.declares(name)),
        reproduced=_same(run, fills[rules.cross]),
        no_queue=no_queue,
    )


def _lacking(run: Run, mids: Mids) -> str:
    """Why the actions cannot be filled again; empty where they can."""
    if not len(run.trades) or not len(mids):
        return "there is no tape with trades"
    if not len(run.orders):
        return "the orders are not known"
    if bool((run.orders.submit_ns == ABSENT).any()) or run.provenance.get("submit_ns") == "absent":
        return "it is not known when the orders were sent"
    return ""


def declared(run: Run) -> Rules:
    """The run's rules, with an assumption for each dial that it does not declare.

    No expiry and no cap (``_actions`` has the logged ends), the latency that the log shows, and
    otherwise what the rules hold.
    """
    loose: dict[str, Any] = {"ttl_ns": None, "position_cap_lots": None, "latency_ns": _logged_latency(run)}
    assumed = {name: value for name, value in loose.items() if not run.rules.declares(name)}
    return replace(run.rules, **assumed, undeclared=frozenset(), documented={}, sources={})


def _logged_latency(run: Run) -> int:
    """The median time from submit to live; zero where no arrival was logged."""
    orders = run.orders
    known = (orders.live_ns != ABSENT) & (orders.submit_ns != ABSENT) & (orders.live_ns >= orders.submit_ns)
    return int(np.median((orders.live_ns - orders.submit_ns)[known])) if known.any() else 0


def _value(rules: Rules, name: str) -> str:
    value = getattr(rules, name)
    return "none" if value is None else str(value)


def _actions(run: Run) -> Iterator[Action]:
    """Submits and cancels by time; at one instant submits first. Where no ttl is declared, a logged end is a cancel."""
    orders = run.orders
    cancel_ns = np.where(orders.is_cancelled, orders.cancel_ns, ABSENT)
    if not run.rules.declares("ttl_ns"):
        ended = np.isin(orders.end, (EndState.CANCELLED, EndState.EXPIRED)) & (orders.end_ns != ABSENT)
        cancel_ns = np.where((cancel_ns == ABSENT) & ended, orders.end_ns, cancel_ns)
    ids, sides = orders.order_id.tolist(), [Side(s) for s in orders.side.tolist()]
    prices, sizes = orders.price_ticks.tolist(), orders.size_lots.tolist()
    sent, cancelled = orders.submit_ns.tolist(), cancel_ns.tolist()
    times = [(ns, 0, row) for row, ns in enumerate(sent)]
    times += [(max(ns, sent[row]), 1, row) for row, ns in enumerate(cancelled) if ns != ABSENT]
    for ns, is_cancel, row in sorted(times):
        yield Cancel(ns, ids[row]) if is_cancel else Submit(ns, ids[row], sides[row], prices[row], sizes[row])


def _trades(run: Run) -> Iterator[Trade]:
    takers = {1: Side.BUY, -1: Side.SELL}
    columns = (run.trades.ns, run.trades.price_ticks, run.trades.size_lots, run.trades.aggressor)
    for ns, price, size, side in zip(*(column.tolist() for column in columns), strict=True):
        yield Trade(ns, price, size, takers.get(side))


def tape_of(run: Run) -> list[TapeEvent]:
    """Trades and tops of book by time, at one instant trades first."""
    columns = (run.tops.ns, run.tops.bid_ticks, run.tops.bid_lots, run.tops.ask_ticks, run.tops.ask_lots)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    tops = [TopOfBook(*row) for row in rows if min(row[1:]) > 0]
    return sorted([*_trades(run), *tops], key=lambda event: event.ns)


def _sent(run: Run, rules: Rules, asked: Scenario) -> Run:
    """The run with the orders that are asked for, and without fills."""
    other = Run.from_scenario(asked, ())
    return replace(run, orders=other.orders, fills=other.fills, rules=rules, provenance=other.provenance)


def _row(name: str, run: Run, mids: Mids, horizon_ns: int) -> Bound:
    done = executions_of(run, mids)
    pnl = pnl_of(run, done, mids, horizon_ns)
    (markout,) = markouts_of(done, mids, (horizon_ns,), run.instrument.tick_size, reaction_ns(run))
    size_lots = sum(run.fills.size_lots.tolist())
    return Bound(name, len(done), size_lots, pnl.total, pnl.trading, markout.combined)


def _same(run: Run, fills: Sequence[Fill]) -> bool:
    """Whether these are the recorded fills."""
    columns = (run.fills.ns, run.fills.side, run.fills.price_ticks, run.fills.size_lots)
    recorded = sorted(zip(*(c.tolist() for c in columns), map(str, run.fills.order_id), strict=True))
    return recorded == sorted((f.ns, int(f.side), f.price_ticks, f.size_lots, str(f.order_id)) for f in fills)
