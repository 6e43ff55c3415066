"""What a simulator can do wrong before any law is asked: each way is a finding of its own."""

from __future__ import annotations

from simcore import Scenario

LONGEST = 4000
"""Characters of a message that are kept: a stranger's error may carry megabytes, in its traceback again."""


class SimulatorFailed(AssertionError):
    """No usable answer to ``scenario``. ``details`` holds a traceback, an exit code or a tail of stderr."""

    def __init__(self, message: str, scenario: Scenario | None = None, details: str = "") -> None:
        self.message = _printable(message)
        self.scenario = scenario
        self.details = _printable(details.strip())
        super().__init__(f"{self.message}\n{self.details}" if self.details else self.message)


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


def _printable(text: str) -> str:
    """``text`` as every stream and file takes it: without its middle where it is long, lone surrogates escaped."""
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]} ... (cut) ... {text[-LONGEST // 2 :]}"
    return text.encode(errors="backslashreplace").decode()
