"""Scenarios that hurt: Hypothesis strategies, what they exercise, and how they shrink."""

from invariants.tapes.features import FEATURES, features
from invariants.tapes.shrinking import minimise
from invariants.tapes.strategies import any_rules, scenarios
from invariants.tapes.supports import Supports

__all__ = ["FEATURES", "Supports", "any_rules", "features", "minimise", "scenarios"]
