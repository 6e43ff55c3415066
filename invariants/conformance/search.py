"""Random search by Hypothesis, cut down to what the suite needs: draw, ask, stop at the first find."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from hashlib import sha256
from itertools import count

import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.strategies import SearchStrategy

from simcore import Scenario

CHUNK = 1000
"""Scenarios per Hypothesis run: its memory grows with the run, not with the search."""


class _StopError(BaseException):
    """Leaves Hypothesis at once: as no ``Exception``, it is not taken for a failing example."""


def search(
    scenarios: SearchStrategy[Scenario],
    is_over: Callable[[Scenario], bool],
    *,
    examples: int | None,
    deadline: float | None,
    entropy: str,
) -> None:
    """Draw scenarios until ``is_over`` says so, ``examples`` are drawn, or ``deadline`` is past.

    ``deadline`` is on the clock of ``time.monotonic``. The same ``entropy`` draws the same scenarios.
    """
    is_over = _with_chance(is_over, _number(entropy))
    left = examples
    for chunk in count():
        size = CHUNK if left is None else min(CHUNK, left)
        if size == 0 or not _draw(scenarios, is_over, size, deadline, _number(f"{entropy}/{chunk}")):
            return
        left = None if left is None else left - size


def _with_chance(is_over: Callable[[Scenario], bool], number: int) -> Callable[[Scenario], bool]:
    """``is_over`` with other random numbers for each scenario, the same ones in each search.

    Hypothesis seeds them alike before each: a simulator that does something once in a thousand draws would never
    do it, and be called repeatable.
    """
    seeds = count(number % 2**31)

    def asks(scenario: Scenario) -> bool:
        chance = next(seeds)
        random.seed(chance)
        np.random.seed(chance)  # noqa: NPY002 - whoever uses the global generator is meant
        return is_over(scenario)

    return asks


def _draw(
    scenarios: SearchStrategy[Scenario],
    is_over: Callable[[Scenario], bool],
    examples: int,
    deadline: float | None,
    number: int,
) -> bool:
    """One Hypothesis run; False when the search is over."""

    # every field is stated: under CI a profile would change what is left out
    @seed(number)
    @settings(
        max_examples=examples,
        derandomize=False,
        database=None,
        verbosity=Verbosity.quiet,
        phases=(Phase.generate,),
        stateful_step_count=1,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        deadline=None,
        print_blob=False,
        backend="hypothesis",
    )
    @given(scenarios)
    def ask(scenario: Scenario) -> None:
        if is_over(scenario) or (deadline is not None and time.monotonic() > deadline):
            raise _StopError

    try:
        ask()
    except _StopError:
        return False
    return True


def _number(entropy: str) -> int:
    return int.from_bytes(sha256(entropy.encode()).digest()[:8])
