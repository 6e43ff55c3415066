"""The same questions to a fresh process with another hash seed: the answers must not change."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from invariants.cases import fills_from_json, fills_to_json
from invariants.drivers.command import CommandSimulator
from invariants.drivers.failures import SimulatorFailed
from invariants.drivers.simulator import Simulator
from simcore import Scenario

HASH_SEEDS = ("1", "2", "3")
"""At most one of them is this process's; several, because two hashes may agree by chance."""

Asked = tuple[Scenario, list[Any]]


def difference_when_fresh(simulator: Simulator, asked: Sequence[Asked]) -> tuple[Scenario, str] | None:
    """The first scenario that a fresh process answers otherwise, and how; None where there is none.

    ``asked``: scenarios with the answers that ``simulator`` gave. Answers that JSON cannot hold
    are left out: the laws have their say about them. The order inside one instant is free.
    """
    for seed in HASH_SEEDS:
        with closing(_fresh(simulator, seed)) as fresh:
            for scenario, fills in asked:
                said = _text(fills)
                again = _again(fresh, scenario)
                if said is not None and again != said:
                    words = f"this process answered {said}. Yet a fresh one (hash seed {seed}) answers {again}."
                    return scenario, words
    return None


def _fresh(simulator: Simulator, seed: str) -> CommandSimulator:
    env = {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    spec = simulator.name
    if not spec.startswith("cmd:"):
        spec = "cmd:" + shlex.join([sys.executable, "-m", "invariants.drivers.serve", spec])
    # not where this process stands now: the simulator may have gone elsewhere
    return CommandSimulator(spec, simulator.limits, env, folder=simulator.folder)


def _again(fresh: CommandSimulator, scenario: Scenario) -> str:
    try:
        return str(_text(fresh(scenario)))
    except SimulatorFailed as failure:
        return f"nothing: {failure}"


def _text(fills: list[Any]) -> str | None:
    try:
        values = fills_to_json(fills)
        fills_from_json(values)
    except (AttributeError, TypeError, ValueError):  # no fill, or no number in it
        return None
    return ", ".join(sorted(map(str, values["fills"]))) or "no fill"
