"""What a law function answers, and the words in which it speaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from simcore.run import ABSENT, Ints, Objects, Run, id_at

Mask = npt.NDArray[np.bool_]


class Claim(NamedTuple):
    """One broken row in words: ``{field}={got}, but should be {want} [{because}]``, and the story."""

    field: str
    got: Any
    want: str
    because: str
    story: str


@dataclass(frozen=True, slots=True)
class Ruling:
    """A law's answer before it is counted and worded.

    ``broken`` are row indices in ``table``; ``tell(k)`` words the k-th of them. ``places`` gives the
    file and row of each where no column does. A law that has nothing to do with the run says why in
    ``not_applicable``. ``kinds`` names for each broken row the kinds of deviation that it is (words,
    apart by spaces): where the declared rules document one of them, the row is counted by model.
    """

    table: str
    judged: int
    broken: Ints
    tell: Callable[[int], Claim]
    undecided: int = 0
    reason: str = ""
    not_applicable: str = ""
    places: tuple[tuple[str, int], ...] = ()
    kinds: tuple[str, ...] = ()


def silent(_: int) -> Claim:
    """The words of a ruling that breaks nothing."""
    raise LookupError("nothing is broken")


def nothing(table: str, *, undecided: int = 0, reason: str = "", not_applicable: str = "") -> Ruling:
    """A ruling that judged no row."""
    return Ruling(table, 0, np.empty(0, np.int64), silent, undecided, reason, not_applicable)


def rule_on(
    table: str,
    rows: Ints,
    broken: Mask,
    tell: Callable[[int], Claim],
    *,
    undecided: int | Mask = 0,
    reason: str = "",
    kinds: Objects | None = None,
) -> Ruling:
    """A ruling over ``rows`` of ``table``; ``tell`` is given the row index in the table.

    ``undecided`` is a count, or a mask over ``rows`` of those that are not judged; ``kinds`` are the
    kinds of deviation, over ``rows``.
    """
    if isinstance(undecided, np.ndarray):
        open_rows = int(undecided.sum())
        judged = len(rows) - open_rows
    else:
        open_rows, judged = undecided, len(rows)
    found = rows[broken]
    named = () if kinds is None else tuple(kinds[broken].tolist())
    return Ruling(
        table, judged, found, lambda k: tell(int(found[k])), open_rows, reason if open_rows else "", kinds=named
    )


def kinds_of(rows: int, **kinds: Mask) -> Objects:
    """The kinds of each of ``rows`` rows: the names of the masks that hold, apart by spaces."""
    named = np.full(rows, "", dtype=np.object_)
    for kind, mask in kinds.items():
        named[mask] += f"{kind} "
    return named


NEVER = int(np.iinfo(np.int64).max)
"""An instant beyond int64, as far as columns are concerned."""


def later(ns: Ints, delay_ns: int) -> tuple[Ints, Mask]:
    """``ns + delay_ns``, and where that is an instant at all: beyond int64 nothing ever happens."""
    real = ns <= NEVER - delay_ns
    if real.all():
        return ns + delay_ns, real
    return np.where(real, ns + np.where(real, delay_ns, 0), NEVER), np.asarray(real)


def running_sum(values: Ints) -> Ints | Objects:
    """Cumulative sum, exact: in Python integers where int64 could wrap."""
    if len(values) and float(np.abs(values.astype(np.float64)).sum()) >= 2.0**62:
        return np.cumsum(values.astype(np.object_))
    return np.cumsum(values)


def total(values: Ints) -> int:
    """Sum as a Python integer, exact."""
    return int(running_sum(values)[-1]) if len(values) else 0


def starts(*sorted_columns: Ints) -> Ints:
    """Where a new group begins in rows that are sorted by these columns."""
    first = sorted_columns[0]
    new = np.ones(len(first), dtype=np.bool_)
    new[1:] = first[1:] != first[:-1]
    for column in sorted_columns[1:]:
        new[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(new)


def lengths(start: Ints, count: int) -> Ints:
    """How many rows each group has, given where each begins."""
    return np.diff(start, append=count)


def sum_within(start: Ints, amount: Ints) -> Ints | Objects:
    """Running sum inside each group, exact; ``start`` as ``starts`` gives it."""
    sums = running_sum(amount)
    if len(start) <= 1:
        return sums
    base = np.zeros(len(start), dtype=sums.dtype)
    base[1:] = sums[start[1:] - 1]
    return np.asarray(sums - np.repeat(base, lengths(start, len(amount))))


def running_from_zero(values: Ints) -> Ints | Objects:
    """Running sum with a leading zero: one longer than ``values``."""
    sums = running_sum(values)
    out = np.zeros(len(sums) + 1, dtype=sums.dtype)
    out[1:] = sums
    return np.asarray(out)


def fills_of_orders(run: Run) -> Ints:
    """The rows of the fills whose order is known."""
    return np.flatnonzero(run.fills.order >= 0)


def is_evidence(run: Run, column: str, default: str = "native") -> bool:
    """Whether these times were recorded, or follow from what was; the ``default`` is of a run that says nothing."""
    return run.provenance.get(column, default) in ("native", "derived")


def side_word(side: int) -> str:
    """BUY or SELL."""
    return "BUY" if side > 0 else "SELL"


def let_order(run: Run, i: int) -> str:
    """Let ... : the order in words."""
    o = run.orders
    words = f"Let order {id_at(o, i)!r} {side_word(o.side[i])} {o.size_lots[i]} lots at {o.price_ticks[i]} ticks"
    if o.submit_ns[i] != ABSENT:
        words += f", submitted at {o.submit_ns[i]} ns"
    return words + "."


def then_fill(run: Run, k: int) -> str:
    """Then ... : the fill in words."""
    f = run.fills
    when = f"{f.ns[k]} ns" if f.ns[k] == f.ns_to[k] else f"some time from {f.ns[k]} to {f.ns_to[k]} ns"
    return f"Then it fills at {when}: {f.size_lots[k]} lots at {f.price_ticks[k]} ticks."
