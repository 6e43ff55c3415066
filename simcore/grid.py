"""Decimal quantities to whole counts of a step (a tick or a lot): whole columns at once, exactly.

A value is on the grid when the decimal that its shortest text names is a multiple of the step.
The fast ways below decide that in float64 and int64 arithmetic and say where they cannot;
``count_of`` decides the rest one by one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from simcore.units import EXACT, INT64_MAX

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_NOT_FINITE = re.compile(r"[+-]?(s?nan|inf|infinity)", re.ASCII | re.IGNORECASE)

FINITE = "a finite number"
INSIDE = "a count of steps inside int64"


class OffGridError(ValueError):
    """A number that no column of counts can hold; the argument says what was wanted."""


@dataclass(frozen=True, slots=True)
class Step:
    """``size`` as ``numerator / 10**decimals``; both are whole and not negative."""

    size: Decimal
    name: str
    numerator: int
    decimals: int

    @classmethod
    def of(cls, size: Decimal, name: str) -> Self:
        """The step of a positive finite ``size``, called ``name`` in messages."""
        _, digits, exponent = size.normalize(EXACT).as_tuple()
        numerator, power = int("".join(map(str, digits))), int(exponent)
        return cls(size, name, numerator * 10 ** max(power, 0), max(-power, 0))

    @property
    def wanted(self) -> str:
        """What a value off this grid should have been."""
        return f"a multiple of {self.name} {self.size}"


@dataclass(frozen=True, slots=True)
class Counts:
    """Whole steps per value, 0 where ``off`` (the grid) or ``unsure`` (decide one by one)."""

    count: Ints
    off: Mask
    unsure: Mask


def of_ints(values: Ints, scale: int, step: Step) -> Counts:
    """The counts of ``values / 10**scale``."""
    shift = step.decimals - scale
    times, by = 10 ** max(shift, 0), step.numerator * 10 ** max(-shift, 0)
    if times > INT64_MAX or by > INT64_MAX:
        return _all_unsure(len(values))
    if times == by == 1 and int(values.min(initial=0)) >= -INT64_MAX:
        return Counts(values, *(np.zeros(len(values), np.bool_) for _ in range(2)))
    limit = INT64_MAX // times
    unsure = (values > limit) | (values < -limit)
    count = np.where(unsure, 0, values) * times
    if by == 1:
        return Counts(count, np.zeros(len(values), np.bool_), unsure)
    count, rest = np.divmod(count, by)
    off = rest != 0
    return Counts(np.where(off, 0, count), off, unsure)


def of_floats(values: Floats, step: Step) -> Counts:
    """The counts of finite ``values``.

    A decimal of at most 15 digits survives the way to float64 and back, and a quotient of two
    whole numbers below 2**53 is rounded once. So below 10**15, the float is the nearest one to
    the grid point if and only if its shortest text is that grid point.
    """
    if step.decimals > 22 or step.numerator > 2**53:
        return _all_unsure(len(values))
    power = 10.0**step.decimals
    unsure = np.abs(values) >= 9e14 / power
    count = np.rint(np.where(unsure, 0.0, values) / (step.numerator / power))
    off = (count * step.numerator / power != values) & ~unsure
    return Counts(np.where(off, 0, count).astype(np.int64), off, unsure)


def _all_unsure(length: int) -> Counts:
    return Counts(np.zeros(length, np.int64), np.zeros(length, np.bool_), np.ones(length, np.bool_))


def number_of(value: Any) -> Decimal:
    """The Decimal that the shortest text of a number names.

    Raises ``OffGridError`` for NaN, infinities and what is finer than any grid, ``ValueError``
    for what is too large or no number at all.
    """
    text = value.strip() if isinstance(value, str) else str(value)
    if _NUMBER.fullmatch(text):
        number = Decimal(text, EXACT)
        if number and number.adjusted() > 200:
            raise ValueError(INSIDE)
        if number and number.adjusted() < -200:
            raise OffGridError("a number of fewer decimals")
        return number
    raise (OffGridError if _NOT_FINITE.fullmatch(text) else ValueError)(FINITE)


def count_of(value: Any, step: Step) -> int:
    """One value in whole steps; raises ``OffGridError``, or ``ValueError`` beyond int64."""
    number = number_of(value)
    with localcontext(EXACT):
        count, rest = divmod(number, step.size)
    if rest:
        raise OffGridError(step.wanted)
    if abs(count) > INT64_MAX:
        raise ValueError(INSIDE)
    return int(count)


def decimals_of(value: Any) -> int:
    """How many decimals a number needs; trailing zeros do not count. Raises like ``number_of``."""
    return max(-int(number_of(value).normalize(EXACT).as_tuple().exponent), 0)


def decimals_of_floats(values: Floats) -> int:
    """How many decimals a column of finite floats needs."""
    rest = values
    for decimals in range(16):
        step = Step.of(Decimal(1).scaleb(-decimals), "grid")
        counts = of_floats(rest, step)
        rest = rest[counts.off | counts.unsure]
        if not len(rest):
            return decimals
        if counts.unsure.all():
            break
    return max(decimals_of(value) for value in np.unique(rest).tolist())
