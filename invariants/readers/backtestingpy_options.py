"""What makes a log less than all orders, each with one limit: options of ``Backtest``, stated or not ruled out.

So do orders without a limit in it, and trades with stop-loss or take-profit prices.

``exclusive_orders`` lets each new order cancel all others and close all trades; with ``hedging`` an order
closes nothing; with ``trade_on_close`` the engine closes at the bar before the last; without
``finalize_trades`` trades that are left open are in no table; and with a ``spread`` (a number, by default 0) an
entry is not at the price at which its order filled. Where ``meta.json`` does not state one, the
tables may rule it out:

- ``hedging``: no two trades of opposite sides were open at once, or an order of the log closed a trade
  before the last bar.
- ``exclusive_orders``: a trade stayed open beyond the bar that follows an order. (That an order outlived
  the next one rules nothing out: the engine passes over some when it cancels.) It makes no difference
  where every exit has its order, and no order was left to fill when the next one was sent.
- trades left open: an exit in the last bar that no order explains, or a log whose last position is what
  the trades add up to.

An order that the margin may have been too small for is dropped by the engine without a word
(``backtestingpy_margin``): then, too, the log is no evidence of what was live.

An option that is neither stated, nor ruled out, nor without effect may explain what looks like an order that
was not filled, or an exit that nobody ordered.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from invariants.readers.backtestingpy_log import Bars, Leg, Log, Placed, left_open
from invariants.readers.backtestingpy_margin import unfunded
from invariants.readers.parameters import Parameters
from simcore import InputError

OPTIONS = ("exclusive_orders", "hedging", "trade_on_close")


def reasons_aside(
    log: Log,
    legs: Sequence[Leg],
    found: Mapping[Leg, Any],
    bars: Bars,
    parameters: Parameters,
    equity: npt.NDArray[np.float64],
) -> Iterator[str]:
    """Why the log cannot be taken for all orders; none where it can. ``legs`` stand in pairs, by trade."""
    stated = {name: parameters.flag(name) for name in OPTIONS}
    finalizes, margin = parameters.flag("finalize_trades"), _margin(parameters)
    if log.untagged:
        yield "trades have no Tag"
    if log.stops:
        yield "trades have stop-loss or take-profit prices"
    if log.unlimited:
        yield f"{len(log.unlimited)} others have no limit"
    yield from (f"{name} is on" for name, is_on in stated.items() if is_on)
    if parameters.number(parameters.options, "spread"):
        yield "spread is on"
    left = None if _closes(legs, found, bars, finalizes=finalizes) else left_open(log, legs, bars)
    if left is not None and finalizes is False:
        yield "finalize_trades is off"
    if stated["hedging"] is None and _may_hedge(legs, found, bars):
        yield "opt.hedging is not stated, and trades of both sides were open at once"
    if stated["exclusive_orders"] is None and _may_exclude(log, legs, found, bars):
        yield "opt.exclusive_orders is not stated, and no trade outlived the next order"
    if left is not None:
        yield f"opt.finalize_trades is not stated, and trades add up to {left[0]} where the strategy saw {left[1]}"
    poor = unfunded(log, list(_trades(legs)), bars, equity, margin)
    if poor:
        yield f"the margin may have been too small for {len(poor)} of them"


def _margin(parameters: Parameters) -> float:
    """The share of a notional that the account must have."""
    margin = parameters.number(parameters.options, "margin")
    if margin is not None and not 0 < margin <= 1:
        raise InputError(file=parameters.file, field="opt.margin", got=str(margin), wanted="a number > 0, at most 1")
    return 1.0 if margin is None else float(margin)


def _closes(legs: Sequence[Leg], found: Mapping[Leg, Any], bars: Bars, *, finalizes: bool | None) -> bool:
    """Whether the engine closes what is left: it is said to, or it is not said not to and did."""
    did = any(exit_.label == bars.labels[-1] and found[exit_] == exit_.name for _, exit_ in _trades(legs))
    return did if finalizes is None else finalizes


def _trades(legs: Sequence[Leg]) -> Iterator[tuple[Leg, Leg]]:
    return zip(legs[::2], legs[1::2], strict=True)


def _may_hedge(legs: Sequence[Leg], found: Mapping[Leg, Any], bars: Bars) -> bool:
    """Whether opposite trades were open at once, and no order of the log closed anything before the engine did."""
    last = bars.labels[-1]
    until = {1: bars.labels[0], -1: bars.labels[0]}
    overlap = False
    for entry, exit_ in sorted(_trades(legs), key=lambda trade: trade[0].label):
        if exit_.label != last and found[exit_] != exit_.name:
            return False
        other = until[-entry.side]
        overlap |= entry.label < min(exit_.label, other) or exit_.label == other == last
        until[entry.side] = max(until[entry.side], exit_.label)
    return overlap


def _may_exclude(log: Log, legs: Sequence[Leg], found: Mapping[Leg, Any], bars: Bars) -> bool:
    """Whether each order may have cancelled and closed what it found, and that would make a difference."""
    submits = sorted(order.label for order in log.orders)
    alone = False
    for entry, exit_ in _trades(legs):
        sent = bisect_left(submits, entry.label)
        if sent < len(submits) and exit_.label > _next(bars, submits[sent]):
            return False
        alone |= exit_.label != bars.labels[-1] and found[exit_] == exit_.name
    return alone or any(_was_left(order, later.label) for order, later in pairwise(log.orders))


def _next(bars: Bars, label: int) -> int:
    """The bar after that of this label; the last one has none."""
    return bars.labels[min(bisect_right(bars.labels, label), len(bars.labels) - 1)]


def _was_left(order: Placed, next_label: int) -> bool:
    """Whether it was still to be filled when the next order was sent."""
    return not order.is_filled and (order.cancel is None or order.cancel > next_label)
