"""Running sums that an engine kept in binary floating point, without the noise of the additions."""

from __future__ import annotations

import math
from decimal import Context, Decimal, localcontext

from simcore import InputError
from simcore.grid import number_of

FLOAT_DIGITS = 15
"""A decimal of so many significant digits survives the way to float64 and back."""

_ROUNDING = Context(prec=700)  # digits enough for any float


def settled(value: Decimal, *, decimals: int, additions: int, largest: Decimal) -> Decimal:
    """``value`` rounded to ``decimals``, if float noise explains the difference; else as it is.

    ``value`` is a sum of ``additions`` amounts that have at most so many decimals, and no partial
    sum is beyond ``largest``. Each addition in float64 is off by at most half a unit of the last
    place of its result.
    """
    with localcontext(_ROUNDING):  # of many decimals there are more digits than the usual 28
        rounded = round(value, decimals)
    reach = float(max(abs(value), abs(largest)))
    noise = Decimal((additions + 2) * math.ulp(reach))
    return rounded if abs(value - rounded) <= noise else value


def plain(value: Decimal) -> Decimal:
    """``value`` at 15 significant digits where it has more: what its float was meant to be."""
    if len(value.as_tuple().digits) <= FLOAT_DIGITS:
        return value
    with localcontext(_ROUNDING):
        return round(value, FLOAT_DIGITS - 1 - value.adjusted())


def fits_float(largest: Decimal, decimals: int) -> bool:
    """Whether a float as large as that holds so many decimals; else sums of such amounts are noise in the last."""
    return not largest or largest.adjusted() + 1 + decimals <= FLOAT_DIGITS


def decimals_of(*values: Decimal) -> int:
    """The most decimals among these."""
    return max((max(-int(v.normalize().as_tuple().exponent), 0) for v in values), default=0)


def number(value: object, *, file: str, row: int | None, field: str) -> Decimal:
    """A finite number as the Decimal that its shortest text names. Raises ``InputError``."""
    try:
        if isinstance(value, int | float | str | Decimal) and not isinstance(value, bool):
            return number_of(value)
    except ValueError:
        pass  # said below, with its place
    raise InputError(file=file, row=row, field=field, got=value, wanted="a finite number")
