"""Every scenario of up to ``--exhaustive K`` events, in shards that workers share out."""

from __future__ import annotations

import pytest

from invariants.conformance.trial import Trial

SHARDS = 16


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One shard, which is skipped, unless they are asked for: pytest may be told to mind an empty list."""
    shards = [pytest.param(shard, id=f"{shard + 1}of{SHARDS}") for shard in range(SHARDS)]
    if not metafunc.config.getoption("--exhaustive", default=0):
        shards = [pytest.param(0, id="none", marks=pytest.mark.skip(reason="--exhaustive K was not asked for"))]
    metafunc.parametrize("shard", shards)


def test_exhaustive(shard: int, trial: Trial) -> None:
    """The answers equal the reference's, and keep the laws."""
    __tracebackhide__ = True
    trial.of_shard(shard, SHARDS)
