"""engines: real engines under test, each in an environment of its own; ``engine:NAME``."""

from __future__ import annotations

from invariants.drivers.engines.catalogue import ENGINES, Engine, engine_named
from invariants.drivers.engines.simulator import EngineSimulator

__all__ = ["ENGINES", "Engine", "EngineSimulator", "engine_named"]
