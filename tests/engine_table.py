"""``python tests/engine_table.py [ENGINE...] [--scenarios N] [--cases DIR] [--readme]``: what real engines do.

One row a law or relation, one column an engine: in how many scenarios it was judged, and what came of it. Every
scenario is asked once and judged by all laws; relations get a tenth of them, the complete one all. What breaks
is minimised and written to DIR as a case file. Engines that cannot be installed are left out, with the reason;
``--readme`` writes the table into README.md, and wants them all.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from readme_tables import README, renewed  # noqa: E402

from invariants.cases import Case, write_case  # noqa: E402
from invariants.conformance.search import search  # noqa: E402
from invariants.drivers import SimulatorFailed  # noqa: E402
from invariants.drivers.engines import ENGINES, Engine, EngineSimulator  # noqa: E402
from invariants.drivers.simulator import Limits  # noqa: E402
from invariants.laws import LAWS  # noqa: E402
from invariants.laws.catalogue import Law  # noqa: E402
from invariants.relations import RELATIONS, Relation, relation_named  # noqa: E402
from invariants.tapes import minimise, scenarios  # noqa: E402
from invariants.tapes.exhaustive import is_within  # noqa: E402
from invariants.verdict import Verdict  # noqa: E402
from simcore import InputError, Run, Scenario, simulate  # noqa: E402

ANSWERS = "simulator_answers"
BY_MODEL = "by model"
MINIMISE_SECONDS = 20.0
NEEDS = {"ttl_ns": "ttl", "position_cap_lots": "cap"}
"""What has to be driven for a law that applies only where such a dial is given."""


@dataclass
class Column:
    """What one engine did: per law or relation the scenarios by verdict, and the first that broke it."""

    engine: Engine
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    first: dict[str, Scenario] = field(default_factory=dict)
    scenarios: int = 0
    seconds: float = 0.0

    def add(self, name: str, verdict: str, scenario: Scenario) -> None:
        """One scenario more; the first broken one is kept."""
        self.counts.setdefault(name, Counter())[verdict] += 1
        if verdict == Verdict.FAIL.value:
            self.first.setdefault(name, scenario)

    def cell(self, name: str) -> str:
        """The verdict over all scenarios, with its counts, and the pages that explain it."""
        counts = self.counts.get(name, Counter())
        judged = sum(counts[word] for word in ("pass", BY_MODEL, "fail"))
        links = [f"[{number}]({page})" for number, page in enumerate(self.engine.pages(name), 1)]
        if counts["fail"]:
            said = f"**fail** {counts['fail']} of {judged}"
        elif links:
            said = f"**fail**, pinned; here pass {judged}"
        elif counts[BY_MODEL]:
            said = f"by model {counts[BY_MODEL]} of {judged}"
        elif counts["pass"]:
            said = f"pass {judged}"
        elif counts["unknown"]:
            said = "unknown"
        else:
            said = "not drivable" if self._is_out_of_reach(name) else "-"
        return " ".join([said, *links])

    def _is_out_of_reach(self, name: str) -> bool:
        only = next((law.only for law in LAWS if law.name == name), {})
        undriven = {NEEDS.get(dial) for dial in only} & {word for word, can in self.engine.supports.items() if not can}
        return bool(undriven) or name == "fees_follow_schedule"


def examine(ask: EngineSimulator, column: Column, examples: int) -> None:
    """Ask ``examples`` scenarios, and judge each by all laws and, every tenth, by all relations."""
    started = time.monotonic()

    def look(scenario: Scenario) -> bool:
        column.scenarios += 1
        got = _answer(ask, scenario)
        column.add(ANSWERS, "fail" if got is None else "pass", scenario)
        if got is not None:
            verdicts = {law.name: _verdict(law, scenario, got) for law in LAWS}
            for name, verdict in verdicts.items():
                column.add(name, verdict, scenario)
            column.add("equals_reference", _compared(scenario, got, set(verdicts.values())), scenario)
        for relation in RELATIONS:
            if column.scenarios % 10 == 0 and relation.name != "equals_reference":
                column.add(relation.name, _compare(ask, relation, scenario), scenario)
        return False

    drawn = scenarios(rules=ask.rules, supports=ask.supports)
    search(drawn, look, examples=examples, deadline=None, entropy=f"table/{column.engine.name}")
    column.seconds = time.monotonic() - started


def write_cases(ask: EngineSimulator, column: Column, folder: Path) -> None:
    """The smallest scenario for everything that broke, as a case file."""
    for name, scenario in column.first.items():
        small = minimise(scenario, _still(ask, name))
        note = f"{ask.name}, {column.engine.version}"
        case = Case(small, name, simulate(small), _answer(ask, small), note=note)
        write_case(case, folder / column.engine.name / f"{name}.case.json")


def lines(columns: list[Column]) -> Iterator[str]:
    """The table in Markdown."""
    names = [ANSWERS, *(law.name for law in LAWS), *(relation.name for relation in RELATIONS)]
    yield "| | " + " | ".join(f"{c.engine.name}<br>{c.engine.version}" for c in columns) + " |"
    yield "|---" * (len(columns) + 1) + "|"
    yield "| scenarios | " + " | ".join(f"{c.scenarios:,}" for c in columns) + " |"
    yield "| seconds | " + " | ".join(f"{c.seconds:.0f}" for c in columns) + " |"
    for name in names:
        cells = [c.cell(name) for c in columns]
        if set(cells) != {"-"}:
            yield f"| `{name}` | " + " | ".join(cells) + " |"
    yield "| not driven | " + " | ".join(", ".join(_undriven(c.engine)) for c in columns) + " |"


def _undriven(engine: Engine) -> list[str]:
    still = {"latency_ns": "latency", "fee_rate": "fees"}
    dials = [word for dial, word in still.items() if engine.rules.get(dial, 0) == 0]
    return dials + [word for word, can in engine.supports.items() if not can]


def _answer(ask: EngineSimulator, scenario: Scenario) -> list[Any] | None:
    try:
        return ask(scenario)
    except SimulatorFailed:
        return None


def _verdict(law: Law, scenario: Scenario, got: list[Any]) -> str:
    judgement = law.judge(Run.from_scenario(scenario, got))
    if judgement.verdict in (Verdict.PASS, Verdict.UNKNOWN) and judgement.by_model:
        return BY_MODEL
    return judgement.verdict.value


def _compared(scenario: Scenario, got: list[Any], verdicts: set[str]) -> str:
    """Whether the answer is the reference's; by model where the laws hold, by what is documented."""
    if not relation_named("equals_reference").check(lambda _scenario: got, scenario).difference:
        return Verdict.PASS.value
    return BY_MODEL if BY_MODEL in verdicts and Verdict.FAIL.value not in verdicts else Verdict.FAIL.value


def _compare(ask: EngineSimulator, relation: Relation, scenario: Scenario) -> str:
    try:
        comparison = relation.check(ask, scenario)
    except SimulatorFailed:
        return Verdict.UNKNOWN.value
    if not comparison.applies:
        return Verdict.NOT_APPLICABLE.value
    return Verdict.FAIL.value if comparison.difference else Verdict.PASS.value


def _still(ask: EngineSimulator, name: str) -> Callable[[Scenario], bool]:
    deadline = time.monotonic() + MINIMISE_SECONDS
    law = next((law for law in LAWS if law.name == name), None)
    relation = next((relation for relation in RELATIONS if relation.name == name), None)

    def still(scenario: Scenario) -> bool:
        if time.monotonic() > deadline or not is_within(scenario, ask.supports):
            return False
        if relation is not None:
            return _compare(ask, relation, scenario) == Verdict.FAIL.value
        got = _answer(ask, scenario)
        if got is None or law is None:
            return got is None and law is None
        return _verdict(law, scenario, got) == Verdict.FAIL.value

    return still


def main() -> None:
    """Print the table; progress and reasons go to standard error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engines", nargs="*", default=[engine.name for engine in ENGINES])
    parser.add_argument("--scenarios", type=int, default=2000)
    parser.add_argument("--cases", type=Path)
    parser.add_argument("--readme", action="store_true")
    given = parser.parse_args()
    columns = []
    for name in given.engines:
        try:
            ask = EngineSimulator(f"engine:{name}", Limits())
        except InputError as error:
            sys.stderr.write(f"left out: {error}\n")
            continue
        with closing(ask):
            column = Column(ask.engine)
            examine(ask, column, given.scenarios)
            if given.cases is not None:
                write_cases(ask, column, given.cases)
        sys.stderr.write(f"{name}: {column.scenarios} scenarios in {column.seconds:.0f} s\n")
        columns.append(column)
    table = "\n".join(lines(columns)) + "\n"
    sys.stdout.write(table)
    if given.readme and [column.engine for column in columns] != list(ENGINES):
        sys.exit("README.md wants every engine, and some were left out")
    if given.readme:
        README.write_text(renewed(README.read_text(encoding="utf-8"), {"engines": f"\n{table}"}), encoding="utf-8")


if __name__ == "__main__":
    main()
