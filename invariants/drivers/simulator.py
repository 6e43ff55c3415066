"""The simulator under test, whatever it is written in: a callable with a name and a declaration."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from invariants.drivers.failures import MalformedAnswer, SimulatorHung, TooManyFills
from invariants.tapes.supports import Supports
from simcore import Rules, Scenario, Submit, Trade
from simcore.run import plain

PATIENCE = 3
"""Hangs after which a simulator is asked no more: each one costs the whole time limit."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a simulator may use for one scenario.

    ``seconds`` of wall time; for a ``cmd:`` simulator (a Python one shares the memory of the suite)
    ``memory_bytes`` of address space for each process and of memory for all that it started,
    ``processes`` at once, and ``line_bytes`` of one answer.
    """

    seconds: float = 10.0
    memory_bytes: int | None = 2 << 30
    line_bytes: int = 64 << 20
    processes: int = 128


@dataclass(frozen=True, slots=True)
class Declared:
    """What a simulator says of itself: its rules (None: any), and what it can be driven to do."""

    rules: Rules | None = None
    supports: Supports = field(default_factory=Supports)


class Simulator(ABC):
    """Call it with a scenario, get its list of answers; it raises ``SimulatorFailed`` and nothing else.

    The elements of an answer are not checked here, save that there are not too many: laws judge
    them. ``rules`` and ``supports`` are what it declares. ``close`` ends whatever it runs.
    """

    def __init__(self, name: str, declared: Declared, limits: Limits) -> None:
        self.name = name
        self.rules = declared.rules
        self.supports = declared.supports
        self.limits = limits
        self.folder = str(Path.cwd())  # where a relative name holds
        self._hangs: list[SimulatorHung] = []

    def __call__(self, scenario: Scenario) -> list[Any]:
        """The answers to ``scenario``, in their order."""
        if len(self._hangs) >= PATIENCE:
            last = self._hangs[-1]
            raise SimulatorHung(f"{last.message}, {PATIENCE} times: not asked any more", last.scenario, last.details)
        try:
            return self._ask(scenario)
        except SimulatorHung as hung:
            self._hangs.append(hung)
            raise

    def close(self) -> None:  # noqa: B027 - most run nothing
        """End what it runs; it can still be called again."""

    @abstractmethod
    def _ask(self, scenario: Scenario) -> list[Any]:
        """One question, one answer."""


def most_fills(scenario: Scenario) -> int:
    """More fills than any honest answer has: each trade fills each order at most once."""
    orders = sum(isinstance(action, Submit) for action in scenario.actions)
    trades = sum(isinstance(event, Trade) for event in scenario.tape)
    return 10 * orders * trades + 1000


def bounded(answer: Any, scenario: Scenario) -> list[Any]:
    """``answer`` as a list; raises where it is no iterable, or has no plausible end."""
    if not isinstance(answer, Iterable) or isinstance(answer, str | bytes | dict):
        raise MalformedAnswer(f"it answered {type(answer).__name__}, but should answer an iterable of fills", scenario)
    most = most_fills(scenario)
    fills = [plain(fill) for fill in islice(answer, most + 1)]
    if len(fills) > most:
        raise TooManyFills(f"it answered more than {most} fills to {len(scenario.tape)} tape events", scenario)
    return fills
