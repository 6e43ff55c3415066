"""What a simulator can do wrong before any law is asked: each way is a finding of its own."""

from __future__ import annotations

from simcore import Scenario


class SimulatorFailed(AssertionError):
    """No usable answer to ``scenario``. ``details`` holds a traceback, an exit code or a tail of stderr."""

    def __init__(self, message: str, scenario: Scenario | None = None, details: str = "") -> None:
        self.message = message
        self.scenario = scenario
        self.details = details.strip()
        super().__init__(f"{message}\n{self.details}" if self.details else message)


class SimulatorCrashed(SimulatorFailed):
    """It raised, exited with an error, or was ended by a signal."""


class SimulatorHung(SimulatorFailed):
    """It gave no answer within its time limit."""


class TooGreedy(SimulatorFailed):
    """It and what it started took more memory, or more processes, than it may."""


class MalformedAnswer(SimulatorFailed):
    """It answered something that is no list of fills."""


class TooManyFills(SimulatorFailed):
    """It answered far more fills than the scenario can have, perhaps without end."""


class ExtraOutput(SimulatorFailed):
    """It wrote more lines than it was asked questions."""


class EndedEarly(SimulatorFailed):
    """It ended, or closed its output, with a question unanswered."""
