"""One test of the suite: draw, ask, judge; on a find, minimise, keep the case and tell."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from invariants.cases import NOT_REPEATABLE
from invariants.conformance.search import search
from invariants.conformance.table import fills_table, rules_line, scenario_table
from invariants.conformance.tally import ANSWERS, Kept, Tally
from invariants.drivers import SimulatorFailed, SimulatorHung
from invariants.drivers.fresh import difference_when_fresh
from invariants.laws import LAWS
from invariants.laws.catalogue import Law
from invariants.relations import Comparison, Relation, relation_named
from invariants.tapes import any_rules, features, minimise, scenarios
from invariants.tapes.exhaustive import exhaustive_rules, is_within, scenarios_up_to
from invariants.verdict import Verdict
from simcore import Rules, Run, Scenario, simulate

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from invariants.conformance.court import Court
    from invariants.drivers import Simulator

PATIENCE = 20
"""Scenarios without an answer after which a law is not asked any more."""

ELSEWHERE = 100
"""Scenarios after which a law that applied to none of them is not applicable."""

FRESH = 50
"""Scenarios that are asked again in a fresh process."""

THOROUGH = {"equals_reference": 10}
"""How many times the examples a test gets: the complete check is cheap, and sees what is rare."""

LONGEST = {ANSWERS: 800, "equals_reference": 800}
"""How many events a scenario may have now and then: what goes wrong after many is seen by the complete check, and a
crash after many by the one that shows the scenario and makes it small."""

MOST_COUNTED = 64
"""Events of a scenario up to which it is counted what it exercises: each is held against each order."""

MINIMISE_SECONDS = 30.0

PROVES = Callable[[Scenario], bool]


@dataclass(frozen=True, slots=True)
class Exhibit:
    """What was found: the error to raise, the scenario, the answer to it, and the law's name."""

    error: AssertionError
    scenario: Scenario
    got: list[Any] | None
    law: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """A scenario, the answer to it, and what was said of that answer: asked again there may be another."""

    scenario: Scenario
    got: list[Any]
    said: Any


class _Heard:
    """A simulator whose last answer to one scenario is remembered."""

    def __init__(self, simulator: Simulator, scenario: Scenario) -> None:
        self._simulator, self._scenario = simulator, scenario
        self.rules, self.supports = simulator.rules, simulator.supports
        self.got: list[Any] = []

    def __call__(self, scenario: Scenario) -> list[Any]:
        answer = self._simulator(scenario)
        if scenario is self._scenario:
            self.got = answer
        return answer


class Trial:
    """The simulator before one law, one relation or one shard. Ends by passing, skipping or raising."""

    def __init__(self, court: Court, item: pytest.Item) -> None:
        self._court = court
        self._item = item
        self._started = time.monotonic()
        self._deadline = court.deadline()
        self._simulator = court.simulator

    def of_answers(self) -> None:
        """See whether it answers every scenario."""
        __tracebackhide__ = True
        tally = Tally(ANSWERS, "answers")
        failed: list[SimulatorFailed] = []

        def is_over(scenario: Scenario) -> bool:
            tally.count(_seen_in(scenario))
            failure = self._failure(scenario)
            tally.exercised += failure is None
            tally.judged += failure is None
            failed.extend([failure] if failure is not None else [])
            return bool(failed)

        self._search(tally, is_over)
        if failed:
            self._convict(tally, self._minimal_failure(failed[0]))
        self._conclude(tally)

    def of_law(self, law: Law) -> None:
        """See whether the law holds in every scenario."""
        __tracebackhide__ = True
        tally = Tally(law.name, "law")
        broken: list[Seen] = []

        def is_over(scenario: Scenario) -> bool:
            tally.count(_seen_in(scenario))
            got = self._answer(scenario, tally)
            if got is not None:
                judgement = law.judge(Run.from_scenario(scenario, got))
                broken.extend([Seen(scenario, got, judgement)] if tally.add(judgement) else [])
            return bool(broken) or self._is_pointless(tally)

        self._search(tally, is_over, law.narrow)
        if broken:
            self._convict(tally, self._breach(law, broken[0]))
        self._conclude(tally)

    def of_relation(self, relation: Relation) -> None:
        """See whether the relation holds between its calls."""
        __tracebackhide__ = True
        tally = Tally(relation.name, "relation")
        broken: list[Seen] = []
        asked: list[Scenario] = []

        def is_over(scenario: Scenario) -> bool:
            tally.count(_seen_in(scenario))
            asked.append(scenario)
            seen = self._compare(relation, scenario, tally)
            broken.extend([] if seen is None else [seen])
            return bool(broken) or self._is_pointless(tally)

        self._search(tally, is_over, relation.narrow)
        if broken:
            self._convict(tally, self._contradiction(relation, broken[0]))
        if relation.name == "rerun_is_identical" and not tally.unanswered:
            self._ask_afresh(relation, asked[:FRESH], tally)
        self._conclude(tally)

    def of_shard(self, shard: int, shards: int) -> None:
        """See whether all answers of this part of the lattice are the reference's, and lawful."""
        __tracebackhide__ = True
        tally = Tally(f"exhaustive {shard + 1} of {shards}", "exhaustive")
        k, equals = self._court.exhaustive, relation_named("equals_reference")
        for rules in exhaustive_rules(self._court.rules, self._court.supports):
            laws = [law for law in LAWS if not law.applies(Run.from_scenario(Scenario(rules=rules), ()))]
            every = laws_every(k)
            for scenario in scenarios_up_to(k, rules, supports=self._court.supports, shard=shard, shards=shards):
                tally.scenarios += 1
                got = self._answer(scenario, tally)
                if self._is_late() or tally.unanswered >= PATIENCE:
                    tally.cut_short = "the time was used up"
                    return self._conclude(tally)
                if got is None:
                    continue
                tally.exercised += 1
                tally.judged += 1
                if not _is_same(got, simulate(scenario)) and (seen := self._contradicts(equals, scenario)[1]):
                    self._convict(tally, self._contradiction(equals, seen))
                if tally.scenarios % every == 0:
                    self._judge_all(laws, scenario, got, tally)
        return self._conclude(tally)

    def _judge_all(self, laws: list[Law], scenario: Scenario, got: list[Any], tally: Tally) -> None:
        __tracebackhide__ = True
        run = Run.from_scenario(scenario, got)
        for law in laws:
            judgement = law.judge(run)
            if judgement.verdict is Verdict.FAIL:
                self._convict(tally, self._breach(law, Seen(scenario, got, judgement)))

    def _search(self, tally: Tally, is_over: PROVES, narrow: Callable[[Rules], Rules] | None = None) -> None:
        court = self._court
        examples = None if court.max_time is not None else court.examples * THOROUGH.get(tally.name, 1)
        entropy = f"{court.seed}/{tally.name}"
        drawn = self._scenarios(narrow, longest=LONGEST.get(tally.name, 0))
        search(drawn, is_over, examples=examples, deadline=self._deadline, entropy=entropy)

    def _scenarios(self, narrow: Callable[[Rules], Rules] | None, *, longest: int) -> SearchStrategy[Scenario]:
        """Scenarios inside what the simulator declares; where it declares no rules, where ``narrow`` says."""
        court = self._court
        if court.rules is not None:
            return scenarios(rules=court.rules, supports=court.supports, longest=longest)
        rules = any_rules() if narrow is None else any_rules().map(narrow)
        return scenarios(rules=rules.map(court.supports.within), supports=court.supports, longest=longest)

    def _failure(self, scenario: Scenario) -> SimulatorFailed | None:
        try:
            self._simulator(scenario)
        except SimulatorFailed as failure:
            return failure
        return None

    def _answer(self, scenario: Scenario, tally: Tally) -> list[Any] | None:
        try:
            return self._simulator(scenario)
        except SimulatorFailed as failure:
            self._note_failure(failure, tally)
            return None

    def _compare(self, relation: Relation, scenario: Scenario, tally: Tally) -> Seen | None:
        """How the relation is broken, or None; counts what it said."""
        try:
            comparison, seen = self._contradicts(relation, scenario)
        except SimulatorFailed as failure:
            self._note_failure(failure, tally)
            return None
        if comparison.applies:
            tally.exercised += 1
            tally.judged += 1
        else:
            tally.reasons[f"{Verdict.NOT_APPLICABLE.value}: {comparison.reason}"] += 1
        return seen

    def _contradicts(self, relation: Relation, scenario: Scenario) -> tuple[Comparison, Seen | None]:
        """What the relation says of one scenario, with the answer of which it says so."""
        heard = _Heard(self._simulator, scenario)
        comparison = relation.check(heard, scenario)
        is_broken = comparison.difference is not None
        return comparison, Seen(scenario, heard.got, comparison.difference) if is_broken else None

    def _note_failure(self, failure: SimulatorFailed, tally: Tally) -> None:
        """Count a scenario without an answer; the first one is kept as a case, the smallest that fails so."""
        tally.unanswered += 1
        if tally.unanswered == 1:
            tally.failure = f"{type(failure).__name__}: {failure.message}"
            tally.keep(self._court.unanswered or self._kept(failure))

    def _kept(self, failure: SimulatorFailed) -> Kept:
        if failure.scenario is None:
            return Kept("")
        exhibit = self._minimal_failure(failure)
        return self._court.keep(ANSWERS, exhibit.scenario, None, str(exhibit.error))

    def _is_pointless(self, tally: Tally) -> bool:
        return tally.unanswered >= PATIENCE or (tally.scenarios >= ELSEWHERE and tally.is_elsewhere)

    def _is_late(self) -> bool:
        return self._deadline is not None and time.monotonic() > self._deadline

    def _breach(self, law: Law, first: Seen) -> Exhibit:
        """The smallest scenario that breaks ``law``."""

        def look(candidate: Scenario) -> Seen | None:
            got = self._simulator(candidate)
            judgement = law.judge(Run.from_scenario(candidate, got))
            return Seen(candidate, got, judgement) if judgement.verdict is Verdict.FAIL else None

        last, note = self._smallest(first, look)
        return Exhibit(law.error(last.said), last.scenario, last.got, law.name, note)

    def _contradiction(self, relation: Relation, first: Seen) -> Exhibit:
        """The smallest scenario that breaks ``relation``."""
        last, note = self._smallest(first, lambda candidate: self._contradicts(relation, candidate)[1])
        error = relation.error(f"{relation.name}: {last.said}")
        return Exhibit(error, last.scenario, last.got, relation.name, note)

    def _smallest(self, first: Seen, look: Callable[[Scenario], Seen | None]) -> tuple[Seen, str]:
        """What was seen of the smallest scenario, as it was seen; and a note if it is not seen again."""
        last = first

        def breaks(candidate: Scenario) -> bool:
            nonlocal last
            seen = look(candidate)
            last = seen or last
            return seen is not None

        self._minimised(first.scenario, breaks)
        try:
            is_repeatable = look(last.scenario) is not None
        except SimulatorFailed:
            is_repeatable = False
        return last, "" if is_repeatable else NOT_REPEATABLE

    def _minimal_failure(self, failure: SimulatorFailed) -> Exhibit:
        """The smallest scenario that fails in the same way; a hang is too slow to be minimised."""
        small, last = failure.scenario, failure
        if small is None:
            raise failure
        if not isinstance(failure, SimulatorHung):

            def fails(candidate: Scenario) -> bool:
                return isinstance(self._failure(candidate), type(failure))

            small = self._minimised(small, fails)
            last = self._failure(small) or failure
        return Exhibit(last, small, None, ANSWERS)

    def _minimised(self, scenario: Scenario, breaks: PROVES) -> Scenario:
        """The smallest scenario for which ``breaks`` still holds, inside what the simulator can be driven to.

        No answer is no breach, and nothing is one after ``MINIMISE_SECONDS``.
        """
        deadline = time.monotonic() + MINIMISE_SECONDS
        supports = self._court.supports

        def still(candidate: Scenario) -> bool:
            try:
                return time.monotonic() < deadline and is_within(candidate, supports) and breaks(candidate)
            except SimulatorFailed:
                return False

        return minimise(scenario, still, keep_rules=self._court.rules is not None)

    def _ask_afresh(self, relation: Relation, asked: list[Scenario], tally: Tally) -> None:
        """The second half of rerun_is_identical: another process, another hash seed."""
        __tracebackhide__ = True
        answered = [(scenario, got) for scenario in asked if (got := self._answer(scenario, tally)) is not None]
        found = difference_when_fresh(self._simulator, answered)
        if found is not None:
            scenario, difference = found
            got = next(got for other, got in answered if other is scenario)
            error = relation.error(f"{relation.name}: {difference}")
            self._convict(tally, Exhibit(error, scenario, got, relation.name))

    def _convict(self, tally: Tally, exhibit: Exhibit) -> NoReturn:
        """Keep the case, write the report of the find, and raise."""
        __tracebackhide__ = True
        scenario, got = exhibit.scenario, exhibit.got
        tally.keep(self._court.keep(exhibit.law, scenario, got, str(exhibit.error), exhibit.note))
        tally.fail(str(exhibit.error))
        self._record(tally)
        answers = "(no answer)" if got is None else fills_table(got)
        exhibit.error.add_note(
            "\n".join(
                [
                    "",
                    f"the smallest scenario found, {rules_line(scenario.rules)}",
                    _indented(scenario_table(scenario)),
                    "got",
                    _indented(answers),
                    "the reference's fills",
                    _indented(fills_table(simulate(scenario))),
                    f"case: {tally.where}",
                ]
            )
        )
        if exhibit.note:
            exhibit.error.add_note(exhibit.note)
        if tally.case:
            under = [] if self._court.given_rules is None else ["--rules", self._court.given_rules]
            command = ["fillproof", "replay", tally.case, "--simulator", self._simulator.name, *under]
            exhibit.error.add_note(f"replay: {shlex.join(command)}")
        raise exhibit.error

    def _conclude(self, tally: Tally) -> None:
        """Pass, or skip with the reason for which there is no pass."""
        __tracebackhide__ = True
        tally.conclude()
        self._record(tally)
        if tally.verdict != Verdict.PASS.value:
            pytest.skip(f"{tally.verdict}: {tally.reason}")

    def _record(self, tally: Tally) -> None:
        tally.seconds = round(time.monotonic() - self._started, 3)
        self._item.user_properties.append(("fillproof", tally.to_dict()))


def laws_every(k: int) -> int:
    """Of the exhaustive scenarios up to ``k`` events, every so-many-th is judged by the laws too."""
    return {4: 32}.get(k, 1 if k < 4 else 1000)


def _seen_in(scenario: Scenario) -> Collection[str]:
    """The features that are counted."""
    return features(scenario) if len(scenario.tape) + len(scenario.actions) <= MOST_COUNTED else ()


def _is_same(got: list[Any], expected: list[Any]) -> bool:
    """Whether two answers are equal fill by fill; cheap, and false where it cannot tell."""
    try:
        fees = all(a.fee is None or a.fee == b.fee for a, b in zip(got, expected, strict=False))
        return fees and [_five(fill) for fill in got] == [_five(fill) for fill in expected]
    except AttributeError:
        return False


def _five(fill: Any) -> tuple[Any, ...]:
    return fill.ns, fill.order_id, fill.side, fill.price_ticks, fill.size_lots


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
