"""The mid price over time, in half ticks: from tops of book, or where there are none from trades.

From trades it is half-way between the last price paid by a buyer and the last one got by a seller,
as far as the tape says who was the taker; the last price where it does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from invariants.laws.ruling import Mask
from simcore.run import Ints, Run, Tops, Trades

FROM_TOPS = "tops of book"
FROM_TRADES = "trades"
NOWHERE = "nothing"


@dataclass(frozen=True, eq=False, slots=True)
class Mids:
    """The mid after each event that could move it, in time order.

    ``doubled_ticks`` is twice the mid, so that half ticks are whole. ``spread_ticks`` is None
    without tops of book. ``end_ns``: the last event of the tape, up to which the last mid holds.
    """

    source: str
    ns: Ints
    doubled_ticks: Ints
    spread_ticks: Ints | None
    end_ns: int

    def __len__(self) -> int:
        return len(self.ns)

    def place_before(self, ns: Ints) -> Ints:
        """The row that stood strictly before each instant; -1 where none did."""
        return np.searchsorted(self.ns, ns, "left") - 1

    def place_at(self, ns: Ints) -> Ints:
        """The row that stands after all events of each instant; -1 before the first."""
        return np.searchsorted(self.ns, ns, "right") - 1

    def at(self, ns: Ints) -> Ints:
        """Twice the mid after all events of each instant; before the first, the first."""
        return self.doubled_ticks[np.maximum(self.place_at(ns), 0)]


def mids_of(run: Run) -> Mids:
    """The mids of the run's tape. Events behind a later one are sorted in: a law has judged that."""
    ends = [int(ns.max()) for ns in (run.trades.ns, run.tops.ns) if len(ns)]
    end_ns = max(ends, default=0)
    if len(run.tops):
        return _from_tops(run.tops, end_ns)
    return _from_trades(run.trades, end_ns)


def _from_tops(tops: Tops, end_ns: int) -> Mids:
    at = np.argsort(tops.ns, kind="stable")
    bid, ask = tops.bid_ticks[at], tops.ask_ticks[at]
    return Mids(FROM_TOPS, tops.ns[at], bid + ask, ask - bid, end_ns)


def _from_trades(trades: Trades, end_ns: int) -> Mids:
    if not len(trades):
        return Mids(NOWHERE, trades.ns, trades.price_ticks, None, end_ns)
    at = np.argsort(trades.ns, kind="stable")
    price, taker = trades.price_ticks[at], trades.aggressor[at]
    bought, sold = _last(taker > 0), _last(taker < 0)
    known = (bought >= 0) & (sold >= 0)
    doubled = np.where(known, price[np.maximum(bought, 0)] + price[np.maximum(sold, 0)], 2 * price)
    return Mids(FROM_TRADES, trades.ns[at], doubled, None, end_ns)


def _last(chosen: Mask) -> Ints:
    """For each row the last chosen row up to it, -1 where there is none yet."""
    return np.maximum.accumulate(np.where(chosen, np.arange(len(chosen)), -1))
