"""Figures as a person reads them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext

from invariants.diagnosis.bootstrap import Estimate
from simcore.units import EXACT, Instrument


@dataclass(frozen=True, slots=True)
class Words:
    """Formats prices and money of one market: one digit more than its grid has, at most eight."""

    instrument: Instrument

    @property
    def _digits(self) -> int:
        exponent = self.instrument.tick_size.normalize().as_tuple().exponent
        return min(max(0, -int(exponent)) + 1, 8)

    def price(self, value: float) -> str:
        """A difference of prices, signed."""
        return signed(value, self._digits)

    def distance(self, value: float) -> str:
        """The same without its sign."""
        return self.price(abs(value)).lstrip("+")

    def estimate(self, value: Estimate | None) -> str:
        """A mean with its interval, in price units."""
        return _with_interval(value, self._digits)

    def money(self, tick_lots: Decimal) -> str:
        """An amount in ticks times lots as currency, signed, rounded for reading."""
        value = self.instrument.notional(tick_lots)
        if not value:
            return "0"
        digits = 0 if abs(value) >= 10_000 else 2 if abs(value) >= 1 else 6
        return f"{value:+,.{digits}f}"

    def exact(self, tick_lots: Decimal) -> str:
        """The same to the last digit."""
        value = self.instrument.notional(tick_lots)
        return f"{value:+,f}" if value else "0"


def signed(value: float, digits: int) -> str:
    """With its sign; a rounded zero has none."""
    text = f"{value:+,.{digits}f}"
    return text.lstrip("+-") if not any(c in "123456789" for c in text) else text


def bps(value: Estimate | None) -> str:
    """A mean with its interval, in basis points."""
    return _with_interval(value, 2)


def _with_interval(value: Estimate | None, digits: int) -> str:
    if value is None:
        return "-"
    mean = signed(value.mean, digits)
    if value.low is None or value.high is None:
        return f"{mean} [too few to say]"
    return f"{mean} [{signed(value.low, digits)}, {signed(value.high, digits)}]"


def percent(share: float) -> str:
    """A share; more digits where it is small."""
    return f"{share:.1%}" if abs(share) < 0.1 else f"{share:.0%}"


def seconds(ns: float) -> str:
    """A duration: seconds with three digits or so."""
    value = ns / 1e9
    return f"{value:,.0f} s" if abs(value) >= 100 else f"{value:.3g} s"


def doubled(half_tick_lots: int) -> Decimal:
    """Half ticks times lots as ticks times lots."""
    with localcontext(EXACT):
        return Decimal(half_tick_lots) / 2
