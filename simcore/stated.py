"""Figures as they were printed: text, and the exact interval of numbers that print so.

``1571`` of a count is 1571; ``-1.61`` is a number from -1.615 to -1.605 (half a unit of the last
digit, both ends included, so that every rule for ties is allowed); ``-22.6e6``, ``-¥22.6M`` and
``7.48 %`` carry their own precision. ``1-2``, ``< 0.5`` and ``1500+`` are ranges, ``~97k`` needs its
tolerance said. All arithmetic is in fractions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from simcore.errors import InputError

UNITS: dict[str, tuple[str, Fraction]] = {
    "ns": ("time", Fraction(1, 10**9)),
    "us": ("time", Fraction(1, 10**6)),
    "ms": ("time", Fraction(1, 10**3)),
    "s": ("time", Fraction(1)),
    "min": ("time", Fraction(60)),
    "h": ("time", Fraction(3600)),
    "days": ("time", Fraction(86400)),
    "/s": ("rate", Fraction(1)),
    "/min": ("rate", Fraction(1, 60)),
    "/h": ("rate", Fraction(1, 3600)),
    "/day": ("rate", Fraction(1, 86400)),
    "%": ("ratio", Fraction(1, 100)),
    "bps": ("ratio", Fraction(1, 10**4)),
}
"""Units that convert: what they measure, and how much in seconds, per second, or as a plain ratio.

Any other unit (a currency, a coin, a word) is a name: equal to itself and to nothing else.
"""

SUFFIXES = {"": 0, "k": 3, "K": 3, "M": 6, "B": 9}

_SIGN = "[+\N{MINUS SIGN}-]?"
KINDS: dict[str, tuple[str, str]] = {
    "fills": ("count", "number of fills"),
    "buys": ("count", "number of BUY fills"),
    "sells": ("count", "number of SELL fills"),
    "matched_fills": ("count", "fills of which the order is known"),
    "unmatched_fills": ("count", "fills of which it is not"),
    "trades": ("count", "trades on the tape"),
    "submits": ("count", "orders submitted"),
    "cancels": ("count", "cancel requests"),
    "markers": ("count", "one for each submit, each cancel request and each fill"),
    "orders_filled": ("count", "orders that ended filled"),
    "orders_cancelled": ("count", "orders that ended cancelled"),
    "orders_expired": ("count", "orders that ended expired"),
    "orders_rejected": ("count", "orders that ended rejected"),
    "orders_open": ("count", "orders still open at the end"),
    "runs": ("count", "longest stretches of fills on one side"),
    "run_length": ("number", "fills in a run: .mean, .max"),
    "scale": ("number", "how many times the period the long period is"),
    "size_per_fill": ("size", "turnover per fill: a mean"),
    "fill_size": ("size", "size of every single fill, where all are alike"),
    "turnover": ("size", "sum of the fill sizes; .buy and .sell of one side"),
    "position": ("size", "final position, signed"),
    "initial_position": ("size", "position at the start, signed"),
    "position_cap": ("size", "largest absolute position"),
    "mean_abs_position": ("size", "mean over the fills of the absolute position after each"),
    "share_at_cap": ("ratio", "share of the fills after which the absolute position is the cap"),
    "fill_ratio": ("ratio", "fills per trade of the tape"),
    "period": ("time", "length of the run"),
    "fill_interval": ("time", "period per fill"),
    "fill_rate": ("rate", "fills per time"),
    "trade_rate": ("rate", "trades per time"),
    "latency": ("time", "from submit to the first instant at which an order can fill"),
    "ttl": ("time", "age at which an order expires"),
    "quote_age": ("time", "age of an order at its fill: .min, .p5, .median, .mean, .p95, .max, ..."),
    "refill_gap": ("time", "from a fill to the next one of its side: the same statistics"),
    "fill_price": ("price", "mean fill price"),
    "spread": ("difference", "mean of ask less bid at the fills"),
    "half_spread": ("difference", "half of it"),
    "earned_spread": ("difference", "mean of (mid - fill price) * side at the fills"),
    "closing_cost": ("difference", "what closing the position costs, as a positive number"),
    "drift": ("difference", "drift.H: mean of (mid after H - mid at the fill) * side"),
    "markout": ("difference", ".buy.H, .sell.H, .all.H: mean over the fills of (mid after H - fill price) * side"),
    "net": ("difference", "net.H: earned_spread - closing_cost + drift.H"),
    "trade_distance": ("difference", "trade price less fill price: .buy.mean, .sell.mean, .abs.max"),
    "markout_total": ("money", "markout_total.H: markout.all.H over all that was filled"),
    "pnl": ("money", "profit; .spread, .drift, .inventory and .fees are its parts, where they are told apart"),
    "fees": ("money", "fees paid"),
}
"""Kinds of figures: what each measures, and what it is. The kind is a name's first word.

A figure of another kind is carried, and nothing is said of it. ``scaled.X`` measures what ``X`` does.
A difference of prices is in price units, or in bps of the mean fill price.
"""

_MEASURES = {
    "count": ("",),
    "number": ("",),
    "size": ("",),
    "money": ("",),
    "price": ("",),
    "ratio": ("", "ratio"),
    "difference": ("", "ratio"),
    "time": ("time",),
    "rate": ("rate",),
}

_DIGITS = (
    r"(?P<{0}number>(?:\d{{1,3}}(?:,\d{{3}})+|\d+)(?:\.\d+)?)"
    r"(?P<{0}power>[eE][+-]?\d{{1,2}})?(?P<{0}suffix>[kKMB](?![A-Za-z]))?"
)
_TEXT = re.compile(
    rf"(?P<mark>~|≈|約|<=|>=|≤|≥|<|>)?\s*(?P<sign>{_SIGN})(?P<coin>[¥$€£]?)(?P<inner>{_SIGN})"
    + _DIGITS.format("")
    + r"(?:(?:-|\N{EN DASH}|\.\.)"
    + _DIGITS.format("to_")
    + r")?(?P<more>\+)?\s*(?P<unit>[^\d\s.,+-][^\d\s]{0,30})?",
    re.ASCII,
)
_LARGEST = 200
"""Decimal digits before or behind the point; more is no figure that anybody printed."""

_AT_MOST, _AT_LEAST, _ABOUT = ("<", "<=", "≤"), (">", ">=", "≥"), ("~", "≈", "約")


@dataclass(frozen=True, slots=True)
class Stated:
    """One printed figure. ``low`` and ``high`` are in ``unit``, None where there is no such bound.

    ``step``: one unit of the last digit printed. ``whole``: a count, which only whole numbers can be.
    ``sign`` is -1 where words, not the text, say that the figure is negative. ``where`` is its place
    in the document, ``file`` and ``row`` (a line) the place where it was written down. A statement
    without a figure (claimed, and no evidence given) has neither bound.
    """

    text: str
    low: Fraction | None
    high: Fraction | None
    step: Fraction = Fraction(1)
    unit: str = ""
    where: str = ""
    approximate: bool = False
    whole: bool = False
    sign: int = 1
    file: str = "claims"
    row: int | None = None

    @property
    def measure(self) -> str:
        """What the unit measures: time, rate, ratio; "" for a unit that is a name."""
        return UNITS[self.unit][0] if self.unit in UNITS else ""

    @property
    def scale(self) -> Fraction:
        """How much one ``unit`` is in seconds, per second, or as a plain ratio; 1 for a name."""
        return UNITS[self.unit][1] if self.unit in UNITS else Fraction(1)

    @property
    def base(self) -> tuple[Fraction | None, Fraction | None]:
        """Low and high in seconds, per second, as a plain ratio, or in the unit's own name."""
        scale = self.scale
        return None if self.low is None else self.low * scale, None if self.high is None else self.high * scale

    @property
    def shown(self) -> str:
        """The text, with its unit."""
        return self.text if not self.unit or self.text.endswith(self.unit) else f"{self.text} {self.unit}"

    def moved(self, value: Fraction, more_digits: int = 0) -> Stated | None:
        """The same print of another number, which is rounded to its digits; None for a range.

        ``value`` is in ``unit``. A tolerance stays; half a unit of the last digit follows the digits.
        """
        found = _TEXT.fullmatch(self.text)
        if found is None or found["to_number"] or self.low is None or self.high is None:
            return None
        slack, step = (self.high - self.low) / 2, self.step / 10**more_digits
        slack = step / 2 if slack == self.step / 2 else slack
        count = round(value / step)
        unit = Fraction(10) ** _power(found, "")
        middle = count * step
        sign = "-" if self.sign * middle < 0 else "+" if found["sign"] == "+" else ""
        number = _number_like(found["number"], abs(middle / unit), step / unit)
        text = f"{found['mark'] or ''}{sign}{found['coin']}{number}{self.text[found.end('number') :]}"
        return replace(self, text=text, low=middle - slack, high=middle + slack, step=step)


def stated(
    text: Any,
    *,
    unit: str = "",
    tolerance: str | None = None,
    exact: bool = False,
    negative: bool = False,
    whole: bool = False,
    **place: Any,
) -> Stated:
    """The figure that ``text`` prints.

    ``unit`` where the text has none. ``tolerance``: how far the number may be from the text, printed
    likewise; needed after ``~``. ``exact``: the author says "exactly". ``negative``: words say so.
    ``place``: ``where``, ``file``, ``row``. Raises ``InputError``.
    """
    found = _TEXT.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None or max(map(len, (found["number"], found["to_number"] or ""))) > _LARGEST:
        raise _refused(place, "text", text, "a printed figure, such as '1,571', '-1.61 bps', '~97k' or '1-2 %'")
    _check(found, text, tolerance, exact, negative, place)
    slack = None if tolerance is None else _tolerance(tolerance, place)
    low, high, step = _interval(found, Fraction(0) if exact else slack)
    if found["to_number"] and _number(found, "")[0] > _number(found, "to_")[0]:
        raise _refused(place, "text", text, "a range from the smaller number to the larger")
    if negative or "-" in _signs(found):
        low, high = _negated(high), _negated(low)
    if whole:
        low, high = _whole(low, high, text, place)
    return Stated(
        text.strip(),
        low,
        high,
        step,
        _unit(found["unit"], unit, place),
        place.get("where", ""),
        found["mark"] in _ABOUT,
        whole,
        -1 if negative else 1,
        place.get("file", "claims"),
        place.get("row"),
    )


def role_of(name: str) -> str:
    """What a figure of this name measures; "" for a kind that is not known."""
    kind, _, rest = name.rpartition("/")[2].partition(".")
    return role_of(rest) if kind == "scaled" else KINDS.get(kind, ("", ""))[0]


def check_unit(name: str, figure: Stated) -> None:
    """Raises ``InputError`` where a figure of this name cannot have such a unit."""
    role = role_of(name)
    measures = _MEASURES.get(role, (figure.measure,))
    if figure.measure in measures and not (role == "ratio" and figure.unit and not figure.measure):
        return
    words = [unit for unit, (measure, _) in UNITS.items() if measure in measures]
    named = ["none, or the name of a unit"] if "" in measures and role != "ratio" else []
    wanted = f"a unit of {role}: {' or '.join(named + words) or 'none'}"
    raise InputError(file=figure.file, row=figure.row, field=f"{name}.unit", got=figure.unit, wanted=wanted)


def _check(found: re.Match[str], text: str, tolerance: Any, exact: bool, negative: bool, place: dict[str, Any]) -> None:
    """Refuse what contradicts itself."""
    bounds = bool(found["to_number"] or found["more"] or found["mark"] in (*_AT_MOST, *_AT_LEAST))
    if found["mark"] in _ABOUT and (tolerance is None or exact or bounds):
        raise _refused(place, "tolerance", tolerance, f"how far {text!r} may be off, such as '500'")
    if exact and tolerance is not None:
        raise _refused(place, "exact", exact, "either exact or a tolerance")
    if bounds and (exact or tolerance is not None):
        raise _refused(place, "text", text, "one number, where it is exact or has a tolerance")
    if (found["sign"] and found["inner"]) or (bounds and found["mark"] and (found["to_number"] or found["more"])):
        raise _refused(place, "text", text, "one sign and one bound")
    if negative and _signs(found):
        raise _refused(place, "negative", negative, "a sign in the text, or in the words")


def _interval(found: re.Match[str], slack: Fraction | None) -> tuple[Fraction | None, Fraction | None, Fraction]:
    """The numbers that print so, and the unit of the last digit."""
    value, step = _number(found, "")
    low: Fraction | None = value - (step / 2 if slack is None else slack)
    high: Fraction | None = value + (step / 2 if slack is None else slack)
    if found["to_number"]:
        upper, fine = _number(found, "to_")
        high = upper + fine / 2
    elif found["mark"] in _AT_MOST:
        low, high = None, value
    elif found["mark"] in _AT_LEAST or found["more"]:
        low, high = value, None
    return low, high, step


def _number(found: re.Match[str], side: str) -> tuple[Fraction, Fraction]:
    digits = found[f"{side}number"].replace(",", "")
    unit = Fraction(10) ** _power(found, side)
    return Fraction(digits) * unit, unit / 10 ** len(digits.partition(".")[2])


def _power(found: re.Match[str], side: str) -> int:
    return int((found[f"{side}power"] or "e0")[1:]) + SUFFIXES[found[f"{side}suffix"] or ""]


def _signs(found: re.Match[str]) -> str:
    return (found["sign"] + found["inner"]).replace("\N{MINUS SIGN}", "-")


def _negated(number: Fraction | None) -> Fraction | None:
    return None if number is None else -number


def _whole(
    low: Fraction | None, high: Fraction | None, text: str, place: dict[str, Any]
) -> tuple[Fraction | None, Fraction | None]:
    """The whole numbers in an interval: half of one is no count."""
    bottom = None if low is None else Fraction(-(-low.numerator // low.denominator))
    top = None if high is None else Fraction(high.numerator // high.denominator)
    if bottom is not None and top is not None and bottom > top:
        raise _refused(place, "text", text, "a whole number")
    return bottom, top


def _tolerance(text: Any, place: dict[str, Any]) -> Fraction:
    found = _TEXT.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None or any(found[part] for part in ("mark", "sign", "inner", "to_number", "more", "unit")):
        raise _refused(place, "tolerance", text, "a number as text, in the unit of the figure")
    return _number(found, "")[0]


def _unit(printed: str | None, given: Any, place: dict[str, Any]) -> str:
    if not isinstance(given, str) or len(given) > 30:
        raise _refused(place, "unit", given, "a short text")
    printed = (printed or "").strip()
    if printed and given and printed != given:
        raise _refused(place, "unit", given, f"{printed!r}, as the text says")
    return printed or given


def _refused(place: dict[str, Any], field: str, got: Any, wanted: str) -> InputError:
    return InputError(file=place.get("file", "claims"), row=place.get("row"), field=field, got=got, wanted=wanted)


def _number_like(pattern: str, number: Fraction, step: Fraction) -> str:
    """``number`` >= 0 to the digits of ``step``, a power of ten; thousands apart where ``pattern`` has them so."""
    decimals = 0
    while (step * 10**decimals).denominator != 1:
        decimals += 1
    before, behind = divmod(round(number * 10**decimals), 10**decimals)
    whole = f"{before:,}" if "," in pattern else str(before)
    return f"{whole}.{behind:0{decimals}}" if decimals else whole


def plain(number: Fraction) -> str:
    """A number in decimals: all of them where they are few, else rounded to six significant digits."""
    size, sign = abs(number), "-" if number < 0 else ""
    for decimals in range(8):
        if (size * 10**decimals).denominator == 1:
            return sign + _number_like("", size, Fraction(1, 10**decimals))
    decimals = max(6 - len(str(int(size))), 0) if size >= 1 else 6
    while size and size * 10**decimals < 10**5 and size < 1:
        decimals += 1
    return sign + _number_like("", size, Fraction(1, 10**decimals))
