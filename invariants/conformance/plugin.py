"""The pytest plugin: options, and nothing else unless a simulator is named.

It is loaded in every pytest run where fillproof is installed, so it imports only pytest.
"""

from __future__ import annotations

import pytest

SUITE = "invariants.conformance"
NEEDS_SIMULATOR = f"{SUITE} needs --simulator: package.module:function, path/to/file.py:function or cmd:program"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the conformance suite."""
    group = parser.getgroup("fillproof", "conformance of a fill simulator")
    group.addoption("--simulator", metavar="S", help="module:function, file.py:function or 'cmd:program --flags'")
    group.addoption("--rules", metavar="FILE", help="rules file or preset to verify under (default: what S declares)")
    group.addoption("--examples", type=int, default=500, metavar="N", help="scenarios per test (default: 500)")
    group.addoption("--exhaustive", type=int, default=0, metavar="K", help="also every scenario of up to K events")
    group.addoption("--max-time", type=float, metavar="SECONDS", help="instead of --examples: draw until it is used up")
    group.addoption("--case-dir", default=".fillproof/cases", metavar="DIR", help="where failing scenarios are kept")
    group.addoption("--fillproof-json", metavar="PATH", help="write verdicts and counts as JSON")


def pytest_configure(config: pytest.Config) -> None:
    """Call the court where a simulator is named; refuse the suite where none is."""
    if config.getoption("--simulator") is not None:
        from invariants.conformance.court import Court  # noqa: PLC0415 - only where it is wanted

        config.pluginmanager.register(Court(config), Court.NAME)
    elif any(argument.startswith(SUITE) for argument in config.invocation_params.args):
        raise pytest.UsageError(NEEDS_SIMULATOR)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the suite out of a run that collected it without a simulator."""
    if config.getoption("--simulator") is not None:
        return
    ours = [item for item in items if _is_ours(item)]
    if ours:
        items[:] = [item for item in items if not _is_ours(item)]
        config.hook.pytest_deselected(items=ours)


def _is_ours(item: pytest.Item) -> bool:
    module = getattr(item, "module", None)
    return getattr(module, "__name__", "").startswith(f"{SUITE}.")
