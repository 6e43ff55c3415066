"""One test per law of the catalogue."""

from __future__ import annotations

import pytest

from invariants.conformance.trial import Trial
from invariants.laws import LAWS
from invariants.laws.catalogue import Law


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_law(law: Law, trial: Trial) -> None:
    """The simulator's fills keep the law in every scenario."""
    __tracebackhide__ = True
    trial.of_law(law)
