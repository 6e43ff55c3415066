"""The complete check: the rules make the fills unique, so they equal the reference's."""

from __future__ import annotations

import simcore
from invariants.relations.comparing import Comparison, Simulate, same
from simcore import Scenario


def equals_reference(simulate: Simulate, scenario: Scenario) -> Comparison:
    """The fills are those of the reference simulator; the order inside one instant is free."""
    return same(simcore.simulate(scenario), list(simulate(scenario)), "Let the rules be followed.")
