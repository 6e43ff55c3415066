"""What a relation is, and how two answers are compared."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from invariants.tapes.exhaustive import is_within
from simcore import Fill, Rules, Scenario
from simcore.errors import shorten
from simcore.run import malformed

Simulate = Callable[[Scenario], Iterable[Fill]]

NO_FILL = "no Fill"
"""Where the instant of a fill stands, in the row of what is none."""


class RelationBroken(AssertionError):
    """Two calls of a simulator contradict each other. Every relation has a subclass of its own."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a relation found: a ``difference`` in words, or none; and whether it could look at all."""

    applies: bool
    reason: str = ""
    difference: str | None = None


@dataclass(frozen=True, eq=False)
class Relation:
    """One relation of section 4: it looks at a simulator's answers to related scenarios."""

    compare: Callable[[Simulate, Scenario], Comparison]
    statement: str
    only: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def name(self) -> str:
        """The one name, that of the function."""
        return self.compare.__name__

    @cached_property
    def doc(self) -> str:
        """The function's documentation."""
        return inspect.getdoc(self.compare) or ""

    @cached_property
    def error(self) -> type[RelationBroken]:
        """The exception of this relation alone."""
        name = "".join(word.capitalize() for word in self.name.split("_"))
        return type(name, (RelationBroken,), {"__doc__": self.statement, "__module__": __name__})

    def narrow(self, rules: Rules) -> Rules:
        """``rules`` with the dials turned so that the relation can look."""
        return replace(rules, **self.only)

    def check(self, simulate: Simulate, scenario: Scenario) -> Comparison:
        """Compare. A crash of the simulator is the caller's to catch."""
        try:
            return self.compare(_Inside(simulate), scenario)
        except _OutOfReachError:
            return skipped("what it is compared with needs more than the simulator supports")
        except (TypeError, ValueError, ArithmeticError):
            # a text for an instant cannot be moved: such answers break a law, and are no crash of the suite
            bad = next(filter(None, map(malformed, simulate(scenario))), None)
            if bad is None:
                raise
            return skipped(f"a fill's {bad[0]} is {shorten(bad[1], 40)}, no number to compare: see values_are_valid")


class _OutOfReachError(Exception):
    """A relation asks what the simulator declares that it cannot be driven to do."""


class _Inside:
    """A simulator that is asked nothing beyond what it supports."""

    def __init__(self, simulate: Simulate) -> None:
        self._simulate = simulate
        self.rules, self.supports = getattr(simulate, "rules", None), getattr(simulate, "supports", None)

    def __call__(self, scenario: Scenario) -> Iterable[Fill]:
        if not can_be_asked(self, scenario):
            raise _OutOfReachError
        return self._simulate(scenario)


def can_be_asked(simulate: Simulate, scenario: Scenario) -> bool:
    """Whether the simulator declares that it can be driven through ``scenario``; yes where it declares nothing."""
    supports = getattr(simulate, "supports", None)
    return supports is None or is_within(scenario, supports)


def skipped(reason: str) -> Comparison:
    """The relation has nothing to say of this scenario."""
    return Comparison(applies=False, reason=reason)


def same(want: Sequence[Any], got: Sequence[Any], story: str) -> Comparison:
    """Whether two answers are the same fills; the order inside one instant is free.

    A fill is compared by instant, order, side, price and size, and by its fee where both have one.
    """
    left, right = _canonical(want), _canonical(got)
    for place, (a, b) in enumerate(zip(left, right, strict=False), 1):
        if a[:5] != b[:5] or (a[5] is not None and b[5] is not None and a[5] != b[5]):
            return Comparison(applies=True, difference=f"{story} Then fill {place} is {_say(a)}. Yet it is {_say(b)}.")
    if len(left) != len(right):
        extra, word = (left[len(right)], "missing") if len(left) > len(right) else (right[len(left)], "too many")
        return Comparison(
            applies=True,
            difference=(
                f"{story} Then there are {len(left)} fills. Yet there are {len(right)}: {_say(extra)} is {word}."
            ),
        )
    return Comparison(applies=True)


def _canonical(fills: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Fills as comparable rows; what is no proper fill is its text, because not all that there is can be compared."""
    rows = [
        (f.ns, f.order_id, f.side, f.price_ticks, f.size_lots, f.fee)
        if isinstance(f, Fill)
        else (NO_FILL, shorten(f), *(None,) * 4)
        for f in fills
    ]
    return sorted(rows, key=lambda r: (_number(r[0]), str(type(r[1])), shorten(r[1]), _number(r[3]), _number(r[4])))


def _number(value: Any) -> float | int:
    return value if isinstance(value, int) else -1


def _say(row: tuple[Any, ...]) -> str:
    if row[0] is NO_FILL:
        return f"{row[1]}, which is no Fill"
    ns, order_id, side, price_ticks, size_lots, fee = (shorten(v, 40) for v in row)
    side = getattr(row[2], "name", side)
    fee = "" if row[5] is None else f", fee {row[5]}"
    return f"order {order_id} {side} {size_lots} lots at {price_ticks} ticks at {ns} ns{fee}"
