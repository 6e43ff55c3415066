"""Reported figures: totals that the author printed, held against the rows, or against each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np

from invariants.laws.claims import Judged, claims_rulings, ruling_of
from invariants.laws.identity import Figure as Printed
from invariants.laws.identity import Identity
from invariants.laws.ruling import Claim, Ruling, is_evidence, nothing, silent, total
from simcore.run import Run
from simcore.stated import Stated, role_of
from simcore.units import EXACT

FIGURES = {
    "fills": "number of fills",
    "buys": "number of BUY fills",
    "sells": "number of SELL fills",
    "submits": "number of orders submitted",
    "cancels": "number of cancel requests",
    "markers": "number of markers: submits, cancels and fills",
    "orders_filled": "orders that ended filled",
    "orders_cancelled": "orders that ended cancelled",
    "orders_expired": "orders that ended expired",
    "orders_rejected": "orders that ended rejected",
    "orders_open": "orders still open at the end",
    "trades": "number of trades on the tape",
    "turnover": "sum of the fill sizes, in size units",
    "notional": "sum of price times size of the fills, in currency",
    "size_per_fill": "turnover per fill, in size units",
    "fill_ratio": "fills per trade of the tape, 0 to 1",
    "position": "final position, in size units, signed",
    "initial_position": "position at the start, in size units, signed",
    "cash": "final cash, in currency",
    "initial_cash": "cash at the start, in currency; 0 where not given",
    "fees": "sum of the fees paid, in currency; negative is a rebate",
    "pnl": "profit: final cash + position at mark_price, less the same at the start",
    "mark_price": "price at which the final position is valued",
    "initial_mark_price": "price at which the initial position is valued",
}
"""The names of the reported totals, and what each means."""

_FLOAT_DIGITS = 15
_EXACT_FIGURES = ("cash", "fees", "pnl", "position")


@dataclass(frozen=True, slots=True)
class Figure:
    """A reported total. It is held to the digits with which it was printed, or (``exact``) to all.

    A number printed with more than 15 digits is a binary float's text: it is held to 15.
    """

    name: str
    value: Decimal
    exact: bool = False

    @property
    def slack(self) -> Decimal:
        """Half a unit of the last digit printed; nothing, where the figure is to be exact."""
        exponent = self.value.as_tuple().exponent
        assert isinstance(exponent, int), "a reported figure is finite"
        digits = len(self.value.as_tuple().digits)
        if digits > _FLOAT_DIGITS:
            exponent += digits - _FLOAT_DIGITS
        elif self.exact:
            return Decimal(0)
        return Decimal(5).scaleb(exponent - 1)

    def against(self, exact: Decimal | int, because: str) -> Ruling:
        """One row judged: whether ``exact`` rounds to the figure."""
        with localcontext(EXACT):
            off = abs(self.value - exact) > self.slack
        story = (
            f"Let the rows be what happened. Then {self.name} is {_plain(exact)} ({because}). Yet the run "
            f"reports {_plain(self.value)}."
        )
        claim = Claim(self.name, _plain(self.value), _plain(exact), because, story)
        broken = np.zeros(1, np.int64) if off else np.empty(0, np.int64)
        return Ruling("reported", 1, broken, (lambda _: claim) if off else silent)


def reported_figure(run: Run, name: str) -> Figure | None:
    """The reported total of this name, or None."""
    value = run.reported.get(name)
    return None if value is None else Figure(name, value, exact=name in _EXACT_FIGURES)


def _plain(number: Decimal | int) -> str:
    if isinstance(number, int):
        return str(number)
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text and len(text) > 24 else text


def totals_reconcile(run: Run) -> Iterator[Ruling]:
    """Why: a summary is what people read, and nothing keeps it true but a sum over the rows.

    Fails: 1,571 fills reported and 1,570 rows; buys and sells that do not add up to the fills; a
    turnover that is not the size per fill times the fills; published figures (``claims.toml``) of
    which no numbers behind their digits satisfy an identity.
    Passes: each reported total is what the rows give, to the digits printed; totals without rows
    agree with each other.
    Unknown: the rows that a total needs were not given, and no other total speaks of it; figures and
    statements that were published without anything to hold them against.
    Source: FLOX-Foundation/flox#476 (totals right, per trade wrong), freqtrade's gross headline profit.
    """
    known = [name for name in _FROM_ROWS if name in run.reported]
    at_least = [name for name in _AT_LEAST if name in run.reported]
    related = list(_between(run))
    spoken_of = {name for names, _ in related for name in names}
    for name in known:
        exact = _FROM_ROWS[name](run)
        if exact is not None:
            yield Figure(name, run.reported[name]).against(exact, "counted from the rows")
        elif name not in spoken_of:
            yield nothing("reported", undecided=1, reason=f"no rows to count for {name}")
    for name in at_least:
        yield from _held_to_rows(run, name, is_spoken_of=name in spoken_of)
    for _, ruling in related:
        yield ruling
    yield from claims_rulings(run.claims)
    if not known and not at_least and not related and not run.claims:
        yield nothing("reported", not_applicable="no total was reported")


def _held_to_rows(run: Run, name: str, *, is_spoken_of: bool) -> Iterator[Ruling]:
    """A count of requests to cancel, or one with them in it; of orders the rows have the first of each alone."""
    least, figure = _AT_LEAST[name](run), Figure(name, run.reported[name])
    if least is not None and (figure.value <= least or _CANCELS in run.read):
        yield figure.against(least, "counted from the rows")
    elif not is_spoken_of:
        why = "no rows to count for" if least is None else "a second cancel of an order stands in no row, so open is"
        yield nothing("reported", undecided=1, reason=f"{why} {name}")


def _between(run: Run) -> Iterator[tuple[tuple[str, ...], Ruling]]:
    """Identities among the totals themselves, with the names that each speaks of."""
    for identity in _IDENTITIES:
        values = {name: value for name in identity.names if (value := run.reported.get(name)) is not None}
        if len(values) < len(identity.names) or not all(value.is_finite() for value in values.values()):
            continue
        first = identity.names[0]
        figures = {name: _printed(Figure(name, value), rounded=name == first) for name, value in values.items()}
        if identity.given is None or identity.given(figures):
            yield identity.names, ruling_of(Judged.of(identity, tuple(figures.values())))


def _printed(figure: Figure, *, rounded: bool) -> Printed:
    """A total as it was printed; exact unless it is ``rounded``, which the first of an identity may be."""
    whole = role_of(figure.name) == "count"
    middle, slack = Fraction(figure.value), Fraction(figure.slack)
    slack = slack if rounded and not (whole and slack < 1) else Fraction(0)
    text = _plain(figure.value)
    stated = Stated(text, middle - slack, middle + slack, step=2 * Fraction(figure.slack), whole=whole, row=None)
    return Printed.of(figure.name, stated)


def _is_filled(figures: Mapping[str, Printed]) -> bool:
    return figures["fills"].low != 0


_IDENTITIES = (
    Identity(("fills", "buys", "sells"), "buys + sells", lambda n, b, s: n - b - s),
    Identity(("size_per_fill", "turnover", "fills"), "turnover / fills", lambda s, t, n: s * n - t, given=_is_filled),
    Identity(
        ("fill_ratio", "fills", "trades"),
        "fills / trades",
        lambda r, n, t: r * t - n,
        given=lambda figures: figures["trades"].low != 0,
    ),
    Identity(("markers", "submits", "cancels", "fills"), "submits + cancels + fills", lambda m, *n: m - sum(n)),
)
"""Identities between totals that a machine wrote: only the first figure of each may have been rounded."""


def _fills(run: Run) -> int | None:
    return run.read.get("fills", len(run.fills)) if run.has_fills else None


def _sided(side: int) -> Callable[[Run], int | None]:
    return lambda run: int((run.fills.side == side).sum()) if run.has_fills else None


def _submits(run: Run) -> int | None:
    return len(run.orders) if len(run.orders) or "orders" in run.read else None


def _trades(run: Run) -> int | None:
    return len(run.trades) if run.has_tape else None


def _turnover(run: Run) -> Decimal | None:
    return run.instrument.size(total(run.fills.size_lots)) if run.has_fills else None


def _notional(run: Run) -> Decimal | None:
    if not run.has_fills:
        return None
    return run.instrument.notional(total(run.fills.price_ticks.astype(np.object_) * run.fills.size_lots))


def _size_per_fill(run: Run) -> Decimal | None:
    turnover = _turnover(run)
    return _ratio(turnover, len(run.fills)) if turnover is not None else None


def _fill_ratio(run: Run) -> Decimal | None:
    return _ratio(Decimal(len(run.fills)), len(run.trades)) if run.has_tape and run.has_fills else None


def _ratio(part: Decimal, whole: int) -> Decimal | None:
    with localcontext() as context:
        context.prec = 40
        return part / whole if whole else None


def _initial_position(run: Run) -> Decimal | None:
    declared = run.rules.declares("initial_position_lots")
    return run.instrument.size(run.rules.initial_position_lots) if declared else None


_CANCELS = "cancels"
"""What a reader counts that sees each request to cancel."""


def _cancels(run: Run) -> int | None:
    known = run.cancels if _submits(run) is not None and is_evidence(run, "cancel_ns") else None
    return run.read.get(_CANCELS, known)


def _markers(run: Run) -> int | None:
    submits, cancels, fills = _submits(run), _cancels(run), _fills(run)
    if submits is None or cancels is None or fills is None:
        return None
    return run.read.get("orders", submits) + cancels + fills


_AT_LEAST: dict[str, Callable[[Run], int | None]] = {"cancels": _cancels, "markers": _markers}

_FROM_ROWS: dict[str, Callable[[Run], Decimal | int | None]] = {
    "fills": _fills,
    "buys": _sided(1),
    "sells": _sided(-1),
    "submits": _submits,
    "trades": _trades,
    "turnover": _turnover,
    "notional": _notional,
    "size_per_fill": _size_per_fill,
    "fill_ratio": _fill_ratio,
    "initial_position": _initial_position,
}
