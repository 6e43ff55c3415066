"""The result of a run, split exactly: spread earned, adverse drift, inventory and fees.

Everything is in half ticks times lots, in Python's integers, so nothing is rounded. A fill at ``t``
of ``q`` lots, signed, with the mid ``m``::

    spread     (m(t-) - price) * q
    drift      (m(t + h) - m(t-)) * q
    inventory  (m(end) - m(t + h)) * q, and (m(end) - m(start)) * the initial position

Together that is ``(m(end) - price) * q`` for each fill, and what the initial position made: cash
plus position, marked at the last mid, less the initial position at the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext

import numpy as np

from invariants.diagnosis.executions import Executions
from invariants.diagnosis.mids import Mids
from simcore.ledger import fee_of
from simcore.run import Ints, Run
from simcore.units import EXACT


@dataclass(frozen=True, slots=True)
class Pnl:
    """The parts in half ticks times lots; ``fees`` and ``total`` in ticks times lots, exact.

    ``total`` is the account's: cash plus position at the last mid, less the initial position at
    the first. ``unpriced``: fills before the first mid, for which that one was taken. ``no_fee``: fills
    whose fee nobody states, taken as zero.
    """

    horizon_ns: int
    spread: int
    drift: int
    inventory_of_fills: int
    inventory_of_initial: int
    fees: Decimal
    total: Decimal
    unpriced: int
    no_fee: int

    @property
    def inventory(self) -> int:
        """What the position made beyond the horizon, the initial one from the start."""
        return self.inventory_of_fills + self.inventory_of_initial

    @property
    def adds_up(self) -> bool:
        """Whether the parts are the account's result, to the last half tick."""
        with localcontext(EXACT):
            parts = Decimal(self.spread + self.drift + self.inventory) / 2 - self.fees
            return parts == self.total

    @property
    def trading(self) -> Decimal:
        """The result without what the initial position alone would have made."""
        with localcontext(EXACT):
            return self.total - Decimal(self.inventory_of_initial) / 2

    @property
    def of_fills(self) -> int:
        """What the fills made up to the horizon, in half ticks times lots."""
        return self.spread + self.drift


def pnl_of(run: Run, done: Executions, mids: Mids, horizon_ns: int) -> Pnl:
    """The split at one horizon; a fill whose horizon lies beyond the tape drifts up to its end."""
    signed = _products(done.side, done.size_lots)
    start, end = int(mids.doubled_ticks[0]), int(mids.doubled_ticks[-1])
    before = done.doubled_mid.tolist()
    after = mids.at(np.minimum(done.ns_to, mids.end_ns - horizon_ns) + horizon_ns).tolist()
    prices = done.price_ticks.tolist()
    initial = run.rules.initial_position_lots
    fees, no_fee = fees_of(run)
    return Pnl(
        horizon_ns=horizon_ns,
        spread=sum(q * (m - 2 * p) for q, m, p in zip(signed, before, prices, strict=True)),
        drift=sum(q * (n - m) for q, m, n in zip(signed, before, after, strict=True)),
        inventory_of_fills=sum(q * (end - n) for q, n in zip(signed, after, strict=True)),
        inventory_of_initial=initial * (end - start),
        fees=fees,
        total=_account(run, start, end, fees),
        unpriced=int((~done.has_mid).sum()),
        no_fee=no_fee,
    )


def fees_of(run: Run) -> tuple[Decimal, int]:
    """All fees in ticks times lots, and the number of fills whose fee nobody states."""
    fills, rate = run.fills, run.rules.fee_rate
    silent = 0
    with localcontext(EXACT):
        total = Decimal(0)
        for row, fee in enumerate(fills.fee):
            if fee is not None:
                total += fee
            elif run.rules.declares("fee_rate"):
                total += fee_of(int(fills.price_ticks[row]), int(fills.size_lots[row]), rate)
            else:
                silent += 1
    return total, silent


def _account(run: Run, start: int, end: int, fees: Decimal) -> Decimal:
    """Cash and position at twice the last mid, less the initial position at twice the first."""
    fills = run.fills
    signed = _products(fills.side, fills.size_lots)
    cash = -sum(2 * q * p for q, p in zip(signed, fills.price_ticks.tolist(), strict=True))
    initial = run.rules.initial_position_lots
    doubled = cash + (initial + sum(signed)) * end - initial * start
    with localcontext(EXACT):
        return Decimal(doubled) / 2 - fees


def _products(side: Ints, size: Ints) -> list[int]:
    """Signed sizes as Python integers: products with prices may leave int64."""
    return [s * q for s, q in zip(side.tolist(), size.tolist(), strict=True)]
