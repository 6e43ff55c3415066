"""Published figures alone (``Run.claims``): every identity between them, to the digits printed.

Names are those of ``simcore.stated.KINDS``: a kind, what is left of it after dots (a side, a
horizon, a statistic), and where there are several runs or periods the scope before a slash
(``62d/fills``). Identities hold inside a scope. A figure that was printed several times is taken to
be what all its prints allow; a print that excludes the first one is a finding, and is left out.

Some identities are exact only for figures that mean what ``KINDS`` says: a figure in bps is the one
in price units over ``fill_price``; markouts are means in which each fill counts once;
``markout_total`` needs ``fill_size``, the size of every fill, and ``markers`` count one for each
submit, cancel request and fill. Inequalities are bounds that no run passes, whatever its sizes.
Each identity is judged by itself: figures that only several of them together exclude are not found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Self

import numpy as np

from invariants.laws.identity import FAR, Contradiction, Figure, Identity, contradiction
from invariants.laws.ruling import Claim, Ruling, nothing, silent
from simcore.stated import Stated, role_of

UNEVIDENCED = "unevidenced"
"""The name of a statement without a figure: claimed, and no evidence given."""

BPS = "@"
"""Behind a name inside an identity: the figure in bps, beside the one in price units."""

_SIGNED = ("", "difference", "money", "number", "size")
_SHARE = (Fraction(0), Fraction(1))
_COUNT = (Fraction(0), FAR)
_ENDS = ("orders_filled", "orders_cancelled", "orders_expired", "orders_rejected", "orders_open")
_STATISTIC = re.compile(r"(?P<family>.+)\.(?P<name>min|median|max|mean|p\d\d?)(?P<bps>@?)")


def _starts_within_cap(figures: Mapping[str, Figure]) -> bool:
    """A position that starts beyond the cap may stay there (rule 10); one that starts inside never leaves."""
    start, cap = figures["initial_position"], figures["position_cap"]
    return max(abs(start.low), abs(start.high)) <= cap.low


def _in_both_units(*identities: Identity) -> tuple[Identity, ...]:
    """Each in price units, and in bps where the figures are differences of prices."""

    def in_bps(name: str) -> str:
        return name + BPS if role_of(name) == "difference" else name

    return tuple(
        replace(identity, names=names)
        for identity in identities
        for names in (identity.names, tuple(map(in_bps, identity.names)))
    )


IDENTITIES: tuple[Identity, ...] = (
    Identity(("fills", "buys", "sells"), "buys + sells", lambda n, b, s: n - b - s),
    Identity(
        ("fills", "matched_fills", "unmatched_fills"), "matched_fills + unmatched_fills", lambda n, m, u: n - m - u
    ),
    Identity(("matched_fills", "fills"), "fills", lambda m, n: m - n, "<=", unless=("unmatched_fills",)),
    Identity(("turnover", "fills", "size_per_fill"), "fills * size_per_fill", lambda t, n, s: t - n * s),
    Identity(
        ("turnover", "fills", "fill_size"), "fills * fill_size", lambda t, n, s: t - n * s, unless=("size_per_fill",)
    ),
    Identity(("size_per_fill", "fill_size"), "fill_size, if every fill has it", lambda mean, each: mean - each),
    Identity(("turnover", "turnover.buy", "turnover.sell"), "turnover.buy + turnover.sell", lambda t, b, s: t - b - s),
    Identity(("turnover.buy", "buys", "fill_size"), "buys * fill_size", lambda t, n, s: t - n * s),
    Identity(("turnover.sell", "sells", "fill_size"), "sells * fill_size", lambda t, n, s: t - n * s),
    Identity(("fill_ratio", "fills", "trades"), "fills / trades", lambda r, n, t: r * t - n),
    Identity(("trade_rate", "trades", "period"), "trades / period", lambda r, t, p: r * p - t),
    Identity(
        ("fill_ratio", "fills", "trade_rate", "period"),
        "fills / (trade_rate * period)",
        lambda r, n, t, p: r * t * p - n,
        unless=("trades",),
    ),
    Identity(("fill_interval", "period", "fills"), "period / fills", lambda i, p, n: i * n - p),
    Identity(("fill_rate", "fills", "period"), "fills / period", lambda r, n, p: r * p - n),
    Identity(("markers", "submits", "cancels", "fills"), "submits + cancels + fills", lambda m, s, c, n: m - s - c - n),
    Identity(("run_length.mean", "fills", "runs"), "fills / runs", lambda m, n, r: m * r - n),
    Identity(
        ("run_length.max", "position_cap", "fill_size", "initial_position"),
        "2 * position_cap / fill_size",
        lambda m, c, s, _: m * s - 2 * c,
        "<=",
        given=_starts_within_cap,
    ),
    Identity(("quote_age.?", "ttl"), "ttl", lambda a, t: a - t, "<="),
    Identity(("quote_age.?", "latency"), "latency", lambda a, t: a - t, ">="),
    Identity(
        # both sides' gaps fill the period at most twice, and half of the gaps are as long as the median
        ("refill_gap.median", "period", "fills"),
        "4 * period / (fills - 2)",
        lambda g, p, n: g * (n - 2) - 4 * p,
        "<=",
        given=lambda figures: figures["fills"].low > 2,
    ),
    Identity(
        ("position", "initial_position", "buys", "sells", "fill_size"),
        "initial_position + (buys - sells) * fill_size",
        lambda p, i, b, s, size: p - i - (b - s) * size,
    ),
    *(
        Identity(names, words, residual, ">=", unless=unless, given=_starts_within_cap)
        for sign, minus in ((1, ""), (-1, "-"))
        for names, words, residual, unless in (
            (
                ("position_cap", "position", "initial_position"),
                f"{minus}position",
                lambda c, p, _, k=sign: c - k * p,
                (),
            ),
            (
                ("position_cap", "initial_position", "buys", "sells", "fill_size"),
                f"{minus}(initial_position + (buys - sells) * fill_size)",
                lambda c, i, b, s, size, k=sign: c - k * (i + (b - s) * size),
                ("position",),
            ),
        )
    ),
    Identity(
        ("mean_abs_position", "position_cap", "initial_position"),
        "position_cap",
        lambda m, c, _: m - c,
        "<=",
        given=_starts_within_cap,
    ),
    Identity(
        ("mean_abs_position", "share_at_cap", "position_cap"),
        "share_at_cap * position_cap",
        lambda m, s, c: m - s * c,
        ">=",
    ),
    *_in_both_units(
        Identity(
            ("markout.all.?", "markout.buy.?", "markout.sell.?", "buys", "sells"),
            "mean of both sides, weighted by their fills",
            lambda m, mb, ms, b, s: m * (b + s) - mb * b - ms * s,
        ),
        Identity(
            ("markout.all.?", "markout.buy.?", "markout.sell.?"),
            "between those of both sides",
            lambda m, mb, ms, w: m - mb * w - ms * (1 - w),
            hidden=(_SHARE,),
            unless=("buys",),
        ),
        Identity(("markout.all.?", "earned_spread", "drift.?"), "earned_spread + drift.?", lambda m, e, d: m - e - d),
        Identity(
            ("net.?", "earned_spread", "closing_cost", "drift.?"),
            "earned_spread - closing_cost + drift.?",
            lambda n, e, c, d: n - e + c - d,
        ),
        Identity(("half_spread", "spread"), "spread / 2", lambda h, s: 2 * h - s),
        Identity(
            ("trade_distance.?.mean", "trade_distance.abs.max"), "trade_distance.abs.max", lambda d, m: d - m, "<="
        ),
        Identity(
            ("trade_distance.?.mean", "trade_distance.abs.max"), "-trade_distance.abs.max", lambda d, m: d + m, ">="
        ),
    ),
    Identity(("?@", "?", "fill_price"), "the one in price units / fill_price", lambda b, x, p: b * p - x),
    Identity(
        ("half_spread", "spread@", "fill_price"),
        "spread / 2 * fill_price",
        lambda h, s, p: 2 * h - s * p,
        unless=("spread", "half_spread@"),
    ),
    Identity(
        ("half_spread@", "spread", "fill_price"),
        "spread / 2 / fill_price",
        lambda h, s, p: 2 * h * p - s,
        unless=("spread@", "half_spread"),
    ),
    Identity(
        ("markout_total.?", "fills", "fill_size", "markout.all.?"),
        "fills * fill_size * markout.all.?",
        lambda t, n, s, m: t - n * s * m,
    ),
    Identity(
        ("markout_total.?", "fills", "fill_size", "markout.all.?@", "fill_price"),
        "fills * fill_size * markout.all.? * fill_price",
        lambda t, n, s, m, p: t - n * s * m * p,
        unless=("markout.all.?",),
    ),
    Identity(
        ("pnl", "pnl.spread", "pnl.drift", "pnl.inventory", "pnl.fees"),
        "sum of its parts",
        lambda p, *parts: p - sum(parts),
    ),
    Identity(("scaled.?", "?", "scale"), "? * scale", lambda s, x, k: s - x * k),
)
"""Every identity whose names are known beforehand; those of statistics and of ends are made for the figures."""

_TWICE = Identity(("", ""), "as it is printed first", lambda again, first: again - first)


@dataclass(frozen=True, slots=True)
class Judged:
    """One identity between figures, and why it cannot hold, if it cannot."""

    figures: tuple[Figure, ...]
    broken: Contradiction | None

    @classmethod
    def of(cls, identity: Identity, figures: tuple[Figure, ...]) -> Self:
        """The identity, judged."""
        return cls(figures, contradiction(identity, figures))


def judge(claims: Mapping[str, Stated]) -> tuple[list[Judged], list[str]]:
    """Every identity between the figures, then every repeated print; and the names of figures in none."""
    related: list[Judged] = []
    repeated: list[Judged] = []
    names: list[str] = []
    for prints in _scopes(claims).values():
        known, again = _known(prints)
        related += [Judged.of(identity, figures) for identity, figures in _instances(known)]
        repeated += again
        names += [figure.name for figure in known.values()]
    spoken_of = {figure.name for one in (*related, *repeated) for figure in one.figures}
    return [*related, *repeated], [name for name in dict.fromkeys(names) if name not in spoken_of]


def claims_rulings(claims: Mapping[str, Stated]) -> Iterator[Ruling]:
    """One ruling for each identity; figures and statements that cannot be judged are counted as undecided."""
    judged, unspoken = judge(claims)
    yield from map(ruling_of, judged)
    if unspoken:
        yield nothing("reported", undecided=len(unspoken), reason=f"no other figure speaks of {', '.join(unspoken)}")
    bare = [stated for name, stated in claims.items() if _plain_name(name) == UNEVIDENCED]
    if bare:
        said = ", ".join(f"{stated.text!r} (row {stated.row})" for stated in bare)
        yield nothing("reported", undecided=len(bare), reason=f"claimed without evidence: {said}")


def ruling_of(judged: Judged) -> Ruling:
    """The ruling on one identity, at the place of its first figure."""
    broken = judged.broken
    if broken is None:
        return Ruling("reported", 1, np.empty(0, np.int64), silent)
    first, claim = judged.figures[0].stated, told(broken)
    places = () if first.row is None else ((first.file, first.row),)
    return Ruling("reported", 1, np.zeros(1, np.int64), lambda _: claim, places=places)


def told(broken: Contradiction) -> Claim:
    """The contradiction in words."""
    first, *others = broken.figures
    words = broken.identity.words
    let = ", ".join(f"{figure.name} be {_placed(figure.stated)}" for figure in others)
    far = f", at least {broken.distance} away" if broken.distance else ""
    mends = "; or ".join(map(str, broken.mends)) or "none of a single figure"
    story = (
        f"Let {let}. Then {first.name} is {broken.wanted} ({words}). Yet it is printed as "
        f"{_placed(first.stated)}{far}. Smallest change that mends it: {mends}."
    )
    return Claim(first.name, first.stated.shown, broken.wanted, words, story)


def _placed(stated: Stated) -> str:
    return f"{stated.shown} ({stated.where})" if stated.where else stated.shown


def _plain_name(name: str) -> str:
    """The name without the number of its print: ``pnl#2`` is ``pnl``."""
    return name.partition("#")[0]


def _scopes(claims: Mapping[str, Stated]) -> dict[str, dict[str, list[Figure]]]:
    """The prints of each figure, by scope (with its slash) and by name, bps apart."""
    scopes: dict[str, dict[str, list[Figure]]] = {}
    for key, stated in claims.items():
        name = _plain_name(key)
        if name == UNEVIDENCED:
            continue
        before, slash, local = name.rpartition("/")
        role = role_of(local)
        figure = Figure.of(name, stated, signed=role in _SIGNED)
        in_bps = BPS if role == "difference" and stated.measure == "ratio" else ""
        scopes.setdefault(before + slash, {}).setdefault(local + in_bps, []).append(figure)
    return scopes


def _known(prints: Mapping[str, list[Figure]]) -> tuple[dict[str, Figure], list[Judged]]:
    """What all prints of a figure allow, and what is said of each print but the first."""
    known: dict[str, Figure] = {}
    again: list[Judged] = []
    for key, (first, *others) in prints.items():
        so_far = first
        for other in others:
            both = so_far.within(other)
            again.append(Judged((other, first), None if both else contradiction(_TWICE, (other, so_far))))
            so_far = both or so_far
        known[key] = so_far
    return known, again


def _instances(known: Mapping[str, Figure]) -> Iterator[tuple[Identity, tuple[Figure, ...]]]:
    """Every identity of which all figures are known, with them."""
    for identity in (*IDENTITIES, *_ends(known), *_statistics(known)):
        for here in _filled(identity, known):
            figures = {name: known[name] for name in here.names if name in known}
            if len(figures) < len(here.names) or any(name in known for name in here.unless):
                continue
            if here.given is None or here.given(figures):
                yield here, tuple(figures.values())


def _filled(identity: Identity, known: Mapping[str, Figure]) -> Iterator[Identity]:
    """The identity for each text that ``?`` may stand for in its names."""
    first = next((name for name in identity.names if "?" in name), None)
    if first is None:
        yield identity
        return
    before, _, behind = first.partition("?")
    pattern = re.compile(re.escape(before) + "([^@]+)" + re.escape(behind))
    for part in [found[1] for name in known if (found := pattern.fullmatch(name))]:
        names, unless = (tuple(n.replace("?", part) for n in group) for group in (identity.names, identity.unless))
        yield replace(identity, names=names, unless=unless, words=identity.words.replace("?", part))


def _ends(known: Mapping[str, Figure]) -> Iterator[Identity]:
    """Submits are all the ends; those that were not printed are some number >= 0."""
    ends = [end for end in _ENDS if end in known]
    if ends:
        hidden = (_COUNT,) * (len(_ENDS) - len(ends))
        words = " + ".join(ends) + (" + the other ends" if hidden else "")
        yield Identity(("submits", *ends), words, lambda n, *parts: n - sum(parts), hidden=hidden)


def _statistics(known: Mapping[str, Figure]) -> Iterator[Identity]:
    """Minimum, percentiles and maximum ascend; the mean is between minimum and maximum."""
    families: dict[tuple[str, str], dict[str, str]] = {}
    for name in known:
        if found := _STATISTIC.fullmatch(name):
            families.setdefault((found["family"], found["bps"]), {})[found["name"]] = name
    for names in families.values():
        ranked = sorted((rank, name) for word, name in names.items() if (rank := _rank(word)) is not None)
        pairs = [(low, high) for (_, low), (_, high) in pairwise(ranked)]
        pairs += [(names["min"], names["mean"])] if {"min", "mean"} <= names.keys() else []
        pairs += [(names["mean"], names["max"])] if {"mean", "max"} <= names.keys() else []
        for low, high in pairs:
            yield Identity((low, high), f"{high.removesuffix(BPS)}", lambda a, b: a - b, "<=")


def _rank(statistic: str) -> int | None:
    """The percentile; None for the mean."""
    ranks: dict[str, int | None] = {"min": 0, "median": 50, "max": 100, "mean": None}
    return ranks[statistic] if statistic in ranks else int(statistic[1:])
