"""drivers: how a simulator under test is loaded and asked."""

from __future__ import annotations

from invariants.drivers.command import CommandSimulator
from invariants.drivers.failures import (
    EndedEarly,
    ExtraOutput,
    MalformedAnswer,
    SimulatorCrashed,
    SimulatorFailed,
    SimulatorHung,
    TooGreedy,
    TooManyFills,
)
from invariants.drivers.python import PythonSimulator
from invariants.drivers.simulator import Declared, Limits, Simulator

__all__ = [
    "Declared",
    "EndedEarly",
    "ExtraOutput",
    "Limits",
    "MalformedAnswer",
    "Simulator",
    "SimulatorCrashed",
    "SimulatorFailed",
    "SimulatorHung",
    "TooGreedy",
    "TooManyFills",
    "load_simulator",
]


def load_simulator(spec: str, *, limits: Limits | None = None) -> Simulator:
    """The simulator that ``spec`` names: module:function, file.py:function, cmd:program or engine:name.

    Raises ``InputError`` where there is no such thing, or its RULES or SUPPORTS are malformed.
    """
    if spec.startswith("engine:"):
        from invariants.drivers.engines import EngineSimulator  # noqa: PLC0415 - only where it is wanted

        return EngineSimulator(spec, limits or Limits())
    kind = CommandSimulator if spec.startswith("cmd:") else PythonSimulator
    return kind(spec, limits or Limits())
