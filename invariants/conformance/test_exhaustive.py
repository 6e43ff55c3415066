"""Every scenario of up to ``--exhaustive K`` events, in shards that workers share out."""

from __future__ import annotations

import pytest

from invariants.conformance.trial import Trial

SHARDS = 16


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """No shards, and so no tests, unless they are asked for."""
    wanted = metafunc.config.getoption("--exhaustive", default=0)
    ids = [f"{shard + 1}of{SHARDS}" for shard in range(SHARDS)]
    metafunc.parametrize("shard", range(SHARDS) if wanted else [], ids=ids if wanted else [])


def test_exhaustive(shard: int, trial: Trial) -> None:
    """The answers equal the reference's, and keep the laws."""
    __tracebackhide__ = True
    trial.of_shard(shard, SHARDS)
