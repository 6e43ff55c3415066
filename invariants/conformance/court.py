"""One session of the suite: its options, its simulator, and what its tests reported."""

from __future__ import annotations

import gc
import json
import secrets
import shlex
import time
from collections.abc import Generator
from math import ceil
from pathlib import Path
from typing import Any

import pytest

from invariants.cases import Case, case_name, write_case
from invariants.conformance.summary import Summary
from invariants.conformance.tally import ANSWERS, Kept, Tally
from invariants.conformance.trial import Trial
from invariants.drivers import SimulatorFailed, load_simulator
from invariants.drivers.declared import rules_of
from invariants.readers.sources import check_local
from invariants.relations import RelationBroken
from invariants.report.write import write_atomically
from invariants.verdict import LawBroken, Verdict
from simcore import InputError, Scenario, simulate


class Court:
    """The pytest hooks of a run with ``--simulator``, on the controller and on every worker."""

    NAME = "fillproof-court"

    def __init__(self, config: pytest.Config) -> None:
        gc.set_threshold(50_000, 10, 10)  # as the command line does: runs are many small objects, and no cycles
        option = config.getoption
        self._config = config
        self._started = time.monotonic()
        self._tests = self._begun = 0
        self._tallies: list[Tally] = []
        self.unanswered: Kept | None = None  # the case of the first scenario that got no answer
        self.examples: int = _at_least(1, option("--examples"), "--examples")
        self.exhaustive: int = _at_least(0, option("--exhaustive"), "--exhaustive")
        self.max_time: float | None = _above_zero(option("--max-time"), "--max-time")
        self.seed = _seed(config)
        try:
            for place in ("--case-dir", "--fillproof-json"):
                check_local(option(place) or "", option=place)
            self.simulator = load_simulator(option("--simulator"))
            self.given_rules: str | None = option("--rules")
            given = self.given_rules
            self.rules = self.simulator.rules if given is None else rules_of(given, file=given)
        except InputError as error:
            raise pytest.UsageError(str(error)) from None
        self.supports = self.simulator.supports
        if self.rules is not None and self.supports.within(self.rules) != self.rules:
            raise pytest.UsageError(f"the rules need what the simulator does not support: {self.supports.missing()}")

    def trial(self, item: pytest.Item) -> Trial:
        """A trial for one test; each test that begins takes its share of the time left."""
        self._begun += 1
        return Trial(self, item)

    def deadline(self) -> float | None:
        """When the test that begins now must end, on the clock of ``time.monotonic``."""
        if self.max_time is None:
            return None
        now = time.monotonic()
        workers = int(_worker(self._config).get("workercount", 1))
        tests_left = max(1, ceil(self._tests / workers) - self._begun + 1)
        return now + max(0.0, self._started + self.max_time - now) / tests_left

    def keep(self, law: str, scenario: Scenario, got: list[Any] | None, message: str, note: str = "") -> Kept:
        """Write a case file. A full disk acquits nobody: then it is said that there is none, and why."""
        case = Case(scenario=scenario, law=law, expected=simulate(scenario), got=got, message=message, note=note)
        path = Path(self._config.getoption("--case-dir")) / case_name(case)
        try:
            write_case(case, Path(self.simulator.folder) / path)  # it may have gone elsewhere
            kept = Kept(str(path))
        except OSError as error:
            kept = Kept("", f"{path}: {error.strerror}")
        if law == ANSWERS:
            self.unanswered = kept
        return kept

    @pytest.hookimpl
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Know how many tests share the time."""
        self._tests = len(session.items)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self,
        item: pytest.Item,  # noqa: ARG002 - named by pytest
        call: pytest.CallInfo[None],
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Show a broken law in its own words, without a traceback of ours."""
        report = yield
        error = call.excinfo.value if call.excinfo is not None else None
        if isinstance(error, LawBroken | RelationBroken | SimulatorFailed):
            report.longrepr = "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
        return report

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect what the tests counted; on the controller, those of all workers."""
        properties: list[tuple[str, Any]] = report.user_properties
        told = [Tally.from_dict(value) for name, value in properties if name == "fillproof"]
        if report.when == "call":
            self._tallies += told
        if report.failed and not told:
            self._tallies.append(_untold(report, self.simulator.name))

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The table of laws and relations."""
        terminalreporter.section(f"fillproof: {self.simulator.name}")
        for line in self._summary().lines():
            terminalreporter.write_line(line)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the JSON; a simulator that ever failed to answer never leaves with 0."""
        if _worker(self._config):
            return
        if any(tally.unanswered for tally in self._tallies) and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        path = self._config.getoption("--fillproof-json")
        if path is not None:
            write_atomically(path, (json.dumps(self._summary().to_dict(), indent=2) + "\n").encode())

    @pytest.hookimpl
    def pytest_unconfigure(self) -> None:
        """End whatever the simulator runs."""
        self.simulator.close()

    def _summary(self) -> Summary:
        return Summary(self.simulator.name, self.rules, self.supports, self.seed, tuple(self._tallies))


def _worker(config: pytest.Config) -> dict[str, Any]:
    """What xdist tells a worker; empty on the controller, and without xdist."""
    told: dict[str, Any] = getattr(config, "workerinput", {})
    return told


def _untold(report: pytest.TestReport, simulator: str) -> Tally:
    """The tally of a test that came to no verdict: its worker died with the simulator, or it is broken."""
    words = str(report.longrepr).strip().splitlines() or ["no report"]
    if report.when not in ("setup", "call", "teardown"):  # xdist's word for a worker that is gone
        message = f"SimulatorCrashed: it took its whole process down in {report.nodeid}: {words[-1]}"
        if not simulator.startswith(("cmd:", "engine:")):
            alone = shlex.quote(f"cmd:python -m invariants.drivers.serve {shlex.quote(simulator)}")
            message += f"; in a process of its own it shows the scenario: fillproof verify {alone}"
        return Tally(
            ANSWERS, "answers", Verdict.FAIL.value, message=message, failure=message, scenarios=1, unanswered=1
        )
    name = report.nodeid.rpartition("::")[2]
    return Tally(name, "law", Verdict.UNKNOWN.value, f"the test crashed: {words[-1]}")


def _at_least(low: int, value: int, option: str) -> int:
    if value < low:
        raise pytest.UsageError(f"{option}: got {value}, wanted at least {low}")
    return value


def _above_zero(value: float | None, option: str) -> float | None:
    if value is not None and not value > 0:  # which NaN is not, either
        raise pytest.UsageError(f"{option}: got {value}, wanted seconds above 0")
    return value


def _seed(config: pytest.Config) -> str:
    """``--hypothesis-seed``, or 0: the same scenarios every time, unless asked otherwise."""
    given = config.getoption("--hypothesis-seed", default=None)
    if given == "random":
        given = _worker(config).get("fillproof_seed") or secrets.token_hex(8)
    return "0" if given is None else str(given)
