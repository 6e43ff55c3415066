"""Identities between printed figures, in exact interval arithmetic.

An identity is a residual: a polynomial of first degree in each figure (``turnover - fills * size``).
Over a box of intervals such a polynomial takes its least and its greatest value at corners of the
box, so that both are exact, in fractions, and by continuity every value between is taken, too. The
identity can hold if 0 is among them. Solved for one figure, its limits are roots at corners likewise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product

from simcore.stated import Stated, plain

FAR = Fraction(10) ** 400
"""Stands for a bound that a figure does not have: far beyond whatever can be printed."""

_BEYOND = Fraction(10) ** 300
_MORE_DIGITS = 6
_NO_TIE = Fraction(999, 1000)
"""A mended print should not hang on a tie being rounded its way."""

Interval = tuple[Fraction, Fraction]
Limits = tuple[Fraction | None, Fraction | None]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure as an identity sees it: ``low`` to ``high`` in base units, and the print it came from.

    The interval is narrower than the print where the figure was printed several times.
    """

    name: str
    stated: Stated
    low: Fraction
    high: Fraction
    signed: bool = True

    @classmethod
    def of(cls, name: str, stated: Stated, *, signed: bool = True) -> Figure:
        """The figure of one print."""
        low, high = stated.base
        return cls(name, stated, -FAR if low is None else low, FAR if high is None else high, signed)

    def within(self, other: Figure) -> Figure | None:
        """What both prints allow, under the finer print; None where they exclude each other."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        finer = min(self, other, key=lambda f: f.high - f.low)
        return replace(finer, low=low, high=high) if low <= high else None


@dataclass(frozen=True, slots=True)
class Identity:
    """Figures of which the residual is 0, or (``<=``) not positive, or (``>=``) not negative.

    The first figure is the one that is said to be wrong; its factor in ``residual`` is positive.
    ``words`` say what it should be. ``hidden`` are the intervals of further arguments of ``residual``
    that nobody printed. A ``?`` in names and words stands for the same part of a name. The
    identity is left out where a figure of ``unless`` is known, or ``given`` does not hold.
    """

    names: tuple[str, ...]
    words: str
    residual: Callable[..., Fraction]
    relation: str = "="
    hidden: tuple[Interval, ...] = ()
    unless: tuple[str, ...] = ()
    given: Callable[..., bool] | None = None

    def range(self, figures: Sequence[Figure]) -> Interval:
        """The least and the greatest residual."""
        values = [self.residual(*corner) for corner in _corners([*_box(figures), *self.hidden])]
        return min(values), max(values)

    def holds(self, figures: Sequence[Figure]) -> bool:
        """Whether some numbers that print as the figures do satisfy it."""
        low, high = self.range(figures)
        return (low <= 0 or self.relation == ">=") and (high >= 0 or self.relation == "<=")

    def lines(self, figures: Sequence[Figure], at: int) -> list[tuple[Fraction, Fraction]]:
        """The residual as constant and factor of the figure in place ``at``, at each corner of the others."""
        box: list[Interval] = [*_box(figures), *self.hidden]
        found = []
        for corner in _corners([*box[:at], (Fraction(0), Fraction(0)), *box[at + 1 :]]):
            constant = self.residual(*corner)
            found.append((constant, self.residual(*corner[:at], Fraction(1), *corner[at + 1 :]) - constant))
        return found

    def allowed(self, figures: Sequence[Figure]) -> Limits:
        """What the others leave to the first figure, in base units; None for no bound."""
        lines = self.lines(figures, 0)
        if any(factor <= 0 for _, factor in lines):
            return None, None  # some of what the others may be leaves it free
        roots = [-constant / factor for constant, factor in lines]
        low = None if self.relation == "<=" else _near(min(roots))
        return low, None if self.relation == ">=" else _near(max(roots))


@dataclass(frozen=True, slots=True)
class Mend:
    """A change of one figure, all others as they are printed, after which the identity can hold."""

    figure: Figure
    value: Fraction
    after: Stated | None

    @property
    def relative(self) -> Fraction:
        """The size of the change, relative to the figure; that of a zero is beyond all others."""
        before = (self.figure.low + self.figure.high) / 2
        return abs(self.value / before - 1) if before else FAR

    def __str__(self) -> str:
        stated = self.figure.stated
        after = with_unit(self.value, stated) if self.after is None else self.after.shown
        return f"{self.figure.name} {stated.shown} -> {after}"


@dataclass(frozen=True, slots=True)
class Contradiction:
    """An identity that no numbers behind the prints satisfy. The ``mends`` begin with the smallest change.

    ``residual`` is its whole range, in base units; ``allowed`` what the other figures leave to the first.
    """

    identity: Identity
    figures: tuple[Figure, ...]
    residual: Interval
    allowed: Limits
    mends: tuple[Mend, ...]

    @property
    def wanted(self) -> str:
        """What the first figure should be, in its own unit."""
        low, high = self.allowed
        stated = self.figures[0].stated
        if low is not None and high is not None:
            number = plain(low / stated.scale)
            both = number if low == high else f"from {number} to {plain(high / stated.scale)}"
            return f"{both} {stated.unit}".rstrip()
        if high is not None:
            return f"at most {with_unit(high, stated)}"
        return "a figure that agrees" if low is None else f"at least {with_unit(low, stated)}"

    @property
    def distance(self) -> str:
        """How far the first figure is from what it should be, at least."""
        low, high = self.allowed
        first = self.figures[0]
        gaps = ([low - first.high] if low is not None else []) + ([first.low - high] if high is not None else [])
        return with_unit(max(gaps), first.stated) if gaps else ""


def contradiction(identity: Identity, figures: Sequence[Figure]) -> Contradiction | None:
    """Why the identity cannot hold; None where it can."""
    if identity.holds(figures):
        return None
    mends = [mend for at in range(len(figures)) if (mend := _mend(identity, figures, at)) is not None]
    mends.sort(key=lambda mend: mend.relative)
    return Contradiction(identity, tuple(figures), identity.range(figures), identity.allowed(figures), tuple(mends))


def with_unit(value: Fraction, like: Stated) -> str:
    """A number in base units, in the unit of a print."""
    return f"{plain(value / like.scale)} {like.unit}".rstrip()


def _box(figures: Sequence[Figure]) -> list[Interval]:
    return [(figure.low, figure.high) for figure in figures]


def _corners(box: Sequence[Interval]) -> Iterator[tuple[Fraction, ...]]:
    return product(*((low,) if low == high else (low, high) for low, high in box))


def _near(bound: Fraction) -> Fraction | None:
    return bound if abs(bound) < _BEYOND else None


def _mend(identity: Identity, figures: Sequence[Figure], at: int) -> Mend | None:
    """The smallest change of the figure in place ``at``, to the digits that it has if they suffice."""
    figure = figures[at]
    mends = [
        mend
        for edge in _edges(identity, figures, at)
        if (mend := _printed(identity, figures, at, edge)) is not None and (figure.signed or mend.value >= 0)
    ]
    middle = (figure.low + figure.high) / 2
    return min(mends, key=lambda mend: abs(mend.value - middle), default=None)


def _edges(identity: Identity, figures: Sequence[Figure], at: int) -> Iterator[Fraction]:
    """The numbers next to the figure, below and above, with which the identity can hold."""
    figure = figures[at]
    roots = {-constant / factor for constant, factor in identity.lines(figures, at) if factor}
    good = [root for root in roots if abs(root) < _BEYOND and identity.holds(_with(figures, at, root, root))]
    below = [root for root in good if root < figure.low]
    above = [root for root in good if root > figure.high]
    yield from ([max(below)] if below else []) + ([min(above)] if above else [])


def _printed(identity: Identity, figures: Sequence[Figure], at: int, edge: Fraction) -> Mend | None:
    """The print nearest to the old one that lets the identity hold, on the way to ``edge``."""
    figure = figures[at]
    stated = figure.stated
    if stated.low is None or stated.high is None or stated.moved(stated.low) is None:
        return Mend(figure, edge, None)
    up = edge > figure.high
    for digits in range(1 if stated.whole else _MORE_DIGITS + 1):
        step, slack = stated.step / 10**digits, (stated.high - stated.low) / 2
        slack = step / 2 if slack == stated.step / 2 else slack
        reach = slack * _NO_TIE
        target = edge / stated.scale + (-reach if up else reach)
        count = -(-target // step) if up else target // step
        after = stated.moved(count * step, digits)
        assert after is not None, "a print that moved once moves again"
        low, high = after.base
        if low is not None and high is not None and identity.holds(_with(figures, at, low, high)):
            return Mend(figure, count * step * stated.scale, after)
    return None if stated.whole else Mend(figure, edge, None)


def _with(figures: Sequence[Figure], at: int, low: Fraction, high: Fraction) -> list[Figure]:
    return [replace(f, low=low, high=high) if k == at else f for k, f in enumerate(figures)]
