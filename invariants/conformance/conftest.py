"""The one fixture of the suite, and its tests whatever the project that runs them calls its own."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from invariants.conformance.court import Court
from invariants.conformance.trial import Trial


class _Module(pytest.Module):
    """A module whose tests are its functions test_*, whatever ``python_functions`` and ``python_classes`` say."""

    def funcnamefilter(self, name: str) -> bool:
        return name.startswith("test_")

    def classnamefilter(self, name: str) -> bool:
        del name
        return False


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(
    file_path: Path, parent: pytest.Collector
) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """The modules of the suite also where ``python_files`` leaves them out: a gate without tests would be open."""
    found = yield
    if not file_path.match("test_*.py") or any(isinstance(one, _Module) for one in found):
        return found
    return [*found, _Module.from_parent(parent, path=file_path)]


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module:
    """A module of the suite, for all of its tests."""
    return _Module.from_parent(parent, path=module_path)


@pytest.fixture
def trial(request: pytest.FixtureRequest) -> Trial:
    """The trial of the simulator under test, for the test that asks."""
    court = request.config.pluginmanager.get_plugin(Court.NAME)
    if not isinstance(court, Court):
        pytest.fail("the fillproof plugin is not loaded", pytrace=False)
    return court.trial(request.node)
