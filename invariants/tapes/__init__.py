"""Scenarios that hurt: Hypothesis strategies, what they exercise, and how they shrink."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from invariants.tapes.features import FEATURES, features
from invariants.tapes.shrinking import minimise
from invariants.tapes.supports import Supports

if TYPE_CHECKING:
    from invariants.tapes.strategies import any_rules, scenarios

__all__ = ["FEATURES", "Supports", "any_rules", "features", "minimise", "scenarios"]


def __getattr__(name: str) -> Any:
    """Load a strategy when it is first used: who drives a simulator through given scenarios does without Hypothesis."""
    if name not in ("any_rules", "scenarios"):
        raise AttributeError(name)
    from invariants.tapes import strategies  # noqa: PLC0415 - the point of this function

    return getattr(strategies, name)
