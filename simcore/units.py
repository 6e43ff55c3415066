"""Units: integer nanoseconds, ticks and lots inside; decimals only at the border."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow, localcontext
from enum import IntEnum
from numbers import Integral
from typing import Any

from simcore.errors import InputError

INT64_MAX = 2**63 - 1
LARGEST_LOTS = 2**61
"""Largest size, cap or position in lots: sums of a few stay inside int64."""

LARGEST_TICKS = 2**61
"""Largest price in ticks: differences, also of wrong ones, stay inside int64."""

_LONGEST = 200
"""Decimal digits before or behind the point; more is no number of any market."""

Number = int | float | str | Decimal

# 400 digits hold every float64 and every int64 product; anything that does not fit is an error.
EXACT = Context(prec=400, Emax=999_999, Emin=-999_999, traps=[Inexact, InvalidOperation, Overflow])


class Side(IntEnum):
    """Direction of an order, a fill or an aggressor. The number is the sign of the position."""

    BUY = 1
    SELL = -1


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def nanoseconds_of(instant: datetime) -> int:
    """A ``datetime``, also pandas' finer one, as nanoseconds since 1970; without a zone it is UTC.

    Raises ``ValueError`` where int64 does not reach it and pandas counts.
    """
    try:
        exact = getattr(instant, "value", None)  # of a pandas.Timestamp
    except OverflowError as error:
        raise ValueError(str(error)) from None
    if exact is not None:
        return int(exact)
    since = (instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)) - _EPOCH
    return since // timedelta(microseconds=1) * 1000


def decimal_of(value: Any, *, field: str, file: str = "instrument", row: int | None = None) -> Decimal:
    """``value`` as the Decimal that its shortest text names; a float 0.1 means 0.1.

    Raises ``InputError`` for anything that is not a finite number.
    """
    wanted = "a finite number"
    if isinstance(value, Integral) and not isinstance(value, bool):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise InputError(file=file, row=row, field=field, got=value, wanted=wanted)
    if isinstance(value, str) and "_" in value:  # Python's digits, nobody else's
        raise InputError(file=file, row=row, field=field, got=value, wanted=wanted)
    try:
        number = (
            value if isinstance(value, Decimal) else Decimal(value if isinstance(value, int) else str(value).strip())
        )
    except InvalidOperation:
        raise InputError(file=file, row=row, field=field, got=value, wanted=wanted) from None
    if not number.is_finite() or abs(number.adjusted()) > _LONGEST or len(number.as_tuple().digits) > _LONGEST:
        raise InputError(file=file, row=row, field=field, got=value, wanted=wanted)
    return number


@dataclass(frozen=True, slots=True)
class Instrument:
    """The price and size grid of one market; converts exactly, and only here.

    ``tick_size``: price units per tick. ``lot_size``: size units per lot. Both positive.
    Raises ``InputError`` for a value off the grid, not finite, or outside int64.
    """

    tick_size: Decimal = Decimal(1)
    lot_size: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        for name in ("tick_size", "lot_size"):
            number = decimal_of(getattr(self, name), field=name)
            if number <= 0:
                raise InputError(file="instrument", field=name, got=getattr(self, name), wanted="a number > 0")
            object.__setattr__(self, name, number)

    def ticks(self, price: Number, *, file: str = "scenario", row: int | None = None, field: str = "price") -> int:
        """``price`` in ticks, exactly."""
        return _on_grid(price, self.tick_size, "tick_size", file, row, field)

    def lots(self, size: Number, *, file: str = "scenario", row: int | None = None, field: str = "size") -> int:
        """``size`` in lots, exactly."""
        return _on_grid(size, self.lot_size, "lot_size", file, row, field)

    def price(self, ticks: int) -> Decimal:
        """Ticks back to price units."""
        with localcontext(EXACT):
            return ticks * self.tick_size

    def size(self, lots: int) -> Decimal:
        """Lots back to size units."""
        with localcontext(EXACT):
            return lots * self.lot_size

    def notional(self, tick_lots: int | Decimal) -> Decimal:
        """Ticks times lots (the unit of cash inside) to currency."""
        with localcontext(EXACT):
            return tick_lots * self.tick_size * self.lot_size


def _on_grid(value: Number, step: Decimal, step_name: str, file: str, row: int | None, field: str) -> int:
    number = decimal_of(value, field=field, file=file, row=row)
    if number.adjusted() - step.adjusted() > 20:  # more digits than int64 has: no need to divide
        raise InputError(file=file, row=row, field=field, got=value, wanted="a count inside int64")
    with localcontext(EXACT):
        count, rest = divmod(number, step)
    if rest:
        wanted = f"a multiple of {step_name} {step}"
        raise InputError(file=file, row=row, field=field, got=value, wanted=wanted)
    if abs(count) > INT64_MAX:
        raise InputError(file=file, row=row, field=field, got=value, wanted="a count inside int64")
    return int(count)
