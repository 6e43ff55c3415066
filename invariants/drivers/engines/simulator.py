"""A real engine as a simulator under test: its driver runs inside the engine's own environment."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

from invariants.drivers.command import CommandSimulator
from invariants.drivers.declared import rules_of
from invariants.drivers.engines.catalogue import engine_named
from invariants.drivers.engines.environment import python_of, without_ours
from invariants.drivers.simulator import Limits
from invariants.tapes.supports import Supports

ROOM = Path(__file__).parent
SECONDS = 120.0
"""For the first answer, which waits for imports and compilers."""

MEMORY_BYTES = 16 << 30
"""Of address space: compilers and arenas reserve far more than they use."""


class EngineSimulator(CommandSimulator):
    """``engine:NAME``; makes the engine's environment where there is none. Raises ``InputError``."""

    def __init__(self, spec: str, limits: Limits) -> None:
        engine = engine_named(spec.removeprefix("engine:"))
        words = [str(python_of(engine)), "-P", str(ROOM / "inside.py"), str(ROOM / engine.driver), engine.variant]
        wide = replace(limits, seconds=max(limits.seconds, SECONDS), memory_bytes=MEMORY_BYTES)
        super().__init__(f"cmd:{shlex.join(words)}", wide, without_ours())
        self.name = spec
        self.engine = engine
        self.rules = rules_of(dict(engine.rules), file=spec)
        self.supports = Supports.declared(dict(engine.supports), file=spec)
