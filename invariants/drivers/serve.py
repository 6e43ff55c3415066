"""Speak the ``cmd:`` protocol for a Python simulator: ``python -m invariants.drivers.serve SPEC``."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import IO

from invariants.cases import fills_to_json, scenario_from_json
from invariants.drivers import Simulator, SimulatorFailed, load_simulator
from simcore import InputError


def main(spec: str) -> int:
    """Answer every line of standard input until its end; 1 as soon as the simulator fails."""
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):  # what the simulator prints must not look like an answer
        try:
            _serve(load_simulator(spec), sys.stdin, answers)
        except (SimulatorFailed, InputError) as failure:
            sys.stderr.write(f"{failure}\n")
            return 1
    return 0


def _serve(simulator: Simulator, questions: IO[str], answers: IO[str]) -> None:
    for line in questions:
        fills = simulator(scenario_from_json(json.loads(line)))
        answers.write(json.dumps(fills_to_json(fills)) + "\n")
        answers.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
