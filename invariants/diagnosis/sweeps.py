"""Sweeps: one parameter of the maker turned, everything else the same, a row for each value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from typing import Any

from invariants.diagnosis.bootstrap import Estimate
from invariants.diagnosis.diagnosing import HORIZONS_S, diagnose
from simcore import Run

Change = Mapping[str, Any]

STANDARD: Mapping[str, tuple[Change, ...]] = {
    "offset from the touch, bps": tuple({"offset_bps": Decimal(bps)} for bps in (0, 1, 2, 3)),
    "guard: adverse volume within its window": tuple(
        {"guard_size": size} for size in (None, Decimal("0.8"), Decimal("0.3"), Decimal("0.1"))
    ),
    "guard: adverse trades of one direction within its window": tuple(
        {"guard_size": None, "guard_count": count, "guard_same_side": True} for count in (3, 2, 1)
    ),
    "imbalance lean, bps": tuple({"imbalance_lean_bps": Decimal(bps)} for bps in ("0", "0.5", "1", "2")),
    "quoting only the side to which the book leans": tuple({"imbalance_one_side": one} for one in (False, True)),
}
"""What the origin proposes to try on its maker (``invariants.demo.maker.Maker``): a table each."""


@dataclass(frozen=True, slots=True)
class Swept:
    """One value: ``pnl`` and ``trading`` in ticks times lots, means in price units per unit."""

    value: Any
    fills: int
    pnl: Decimal
    trading: Decimal
    markout: Estimate | None
    half_spread: Estimate | None
    drift: Estimate | None
    verdict: str
    cause: str


_Row = tuple[Swept, int]


@dataclass(frozen=True, slots=True)
class Sweep:
    """The table of one parameter; ``horizon_ns`` is that of the means."""

    parameter: str
    horizon_ns: int
    rows: tuple[Swept, ...]


def sweep(
    parameter: str, values: Iterable[Any], run_of: Callable[[Any], Run], *, horizons_s: Sequence[float] = HORIZONS_S
) -> Sweep:
    """Diagnose ``run_of(value)`` for each value."""
    return _sweep(parameter, [(value, value) for value in values], lambda value: _swept(run_of(value), horizons_s))


def maker_sweep(
    maker: Any,
    changes: Sequence[Change],
    run_of: Callable[[Any], Run],
    *,
    parameter: str = "",
    horizons_s: Sequence[float] = HORIZONS_S,
) -> Sweep:
    """Sweep a frozen dataclass of parameters: ``run_of(replace(maker, **change))`` for each change.

    ``parameter`` names the table; by default the fields that the changes name. A row's value is the
    change in words, or the bare value where it is of one field.
    """
    return _maker_sweep(maker, changes, lambda changed: _swept(run_of(changed), horizons_s), parameter)


def standard_sweeps(
    maker: Any, run_of: Callable[[Any], Run], *, horizons_s: Sequence[float] = HORIZONS_S
) -> tuple[Sweep, ...]:
    """Every table of ``STANDARD`` for a maker that has these parameters; equal makers run once."""
    swept = cache(lambda changed: _swept(run_of(changed), horizons_s))
    return tuple(_maker_sweep(maker, changes, swept, name) for name, changes in STANDARD.items())


def _maker_sweep(maker: Any, changes: Sequence[Change], swept: Callable[[Any], _Row], parameter: str) -> Sweep:
    name = parameter or ", ".join(dict.fromkeys(field for change in changes for field in change))
    return _sweep(name, [(_short(change), replace(maker, **change)) for change in changes], swept)


def _sweep(parameter: str, asked: Sequence[tuple[Any, Any]], swept: Callable[[Any], _Row]) -> Sweep:
    """A row for each (value, what to ask)."""
    found = [(value, swept(question)) for value, question in asked]
    horizon_ns = found[0][1][1] if found else 0
    return Sweep(parameter, horizon_ns, tuple(replace(row, value=value) for value, (row, _) in found))


def _short(change: Change) -> Any:
    """What a row of the table is called."""
    if len(change) == 1:
        value = next(iter(change.values()))
        if isinstance(value, bool):
            return "yes" if value else "no"
        return "none" if value is None else value
    return ", ".join(f"{name} {value}" for name, value in change.items() if value is not None and value is not True)


def _swept(run: Run, horizons_s: Sequence[float]) -> _Row:
    """A row without its value, and the horizon of its means."""
    found = diagnose(run, horizons_s=horizons_s, bracket=False)
    markout, pnl, nothing = found.reference(), found.pnl, Decimal(0)
    row = Swept(
        value=None,
        fills=len(run.fills),
        pnl=pnl.total if pnl else nothing,
        trading=pnl.trading if pnl else nothing,
        markout=markout.combined if markout else None,
        half_spread=markout.half_spread if markout else None,
        drift=markout.drift if markout else None,
        verdict=found.verdict,
        cause=found.conclusion.cause,
    )
    return row, found.reference_ns
