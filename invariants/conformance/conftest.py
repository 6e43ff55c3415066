"""The one fixture of the suite."""

from __future__ import annotations

import pytest

from invariants.conformance.court import Court
from invariants.conformance.trial import Trial


@pytest.fixture
def trial(request: pytest.FixtureRequest) -> Trial:
    """The trial of the simulator under test, for the test that asks."""
    court = request.config.pluginmanager.get_plugin(Court.NAME)
    if not isinstance(court, Court):
        pytest.fail("the fillproof plugin is not loaded", pytrace=False)
    return court.trial(request.node)
