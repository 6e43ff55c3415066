"""Position, cash and fees of a sequence of fills, exact."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext

from simcore.events import Fill
from simcore.units import EXACT


def fee_of(price_ticks: int, size_lots: int, fee_rate: Decimal) -> Decimal:
    """The fee of one fill in ticks times lots: rate times notional; negative is a rebate."""
    if not fee_rate:
        return Decimal(0)
    with localcontext(EXACT):
        return price_ticks * size_lots * fee_rate


@dataclass(slots=True)
class Ledger:
    """The account of one run. Cash and fees are in ticks times lots; cash starts at zero."""

    position_lots: int = 0
    cash: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)

    def book(self, fill: Fill, fee_rate: Decimal = Decimal(0)) -> None:
        """Apply one fill: position and cash move at once, the fee leaves the cash."""
        fee = fee_of(fill.price_ticks, fill.size_lots, fee_rate) if fill.fee is None else fill.fee
        with localcontext(EXACT):
            self.position_lots += fill.side * fill.size_lots
            self.fees += fee
            self.cash -= fill.side * fill.price_ticks * fill.size_lots + fee

    def equity(self, mark_ticks: int) -> Decimal:
        """Cash plus the position at ``mark_ticks``, in ticks times lots."""
        with localcontext(EXACT):
            return self.cash + self.position_lots * mark_ticks
