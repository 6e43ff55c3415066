"""``python tests/engine_table.py [ENGINE...] [--scenarios N] [--cases DIR]``: what real engines do, as a table.

One row a law or relation, one column an engine: in how many scenarios it was judged, and what came of it. Every
scenario is asked once and judged by all laws; relations get a tenth of them, the complete one all. What breaks
is minimised and written to DIR as a case file. Engines that cannot be installed are left out, with the reason.
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
sys.path[:0] = [str(ROOT)]

from invariants.cases import Case, read_case, write_case  # noqa: E402
from invariants.conformance.search import search  # noqa: E402
from invariants.drivers import SimulatorFailed  # noqa: E402
from invariants.drivers.engines import ENGINES, EngineSimulator  # noqa: E402
from invariants.drivers.simulator import Limits  # noqa: E402
from invariants.laws import LAWS  # noqa: E402
from invariants.laws.catalogue import Law  # noqa: E402
from invariants.relations import RELATIONS, Relation  # noqa: E402
from invariants.tapes import minimise, scenarios  # noqa: E402
from invariants.tapes.exhaustive import is_within  # noqa: E402
from invariants.verdict import Verdict  # noqa: E402
from simcore import InputError, Run, Scenario, simulate  # noqa: E402

ANSWERS = "simulator_answers"
MINIMISE_SECONDS = 20.0
PINNED = ROOT / "fixtures" / "cases"


@dataclass
class Column:
    """What one engine did: per law or relation the scenarios by verdict, and the first that broke it."""

    name: str
    version: str
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
        """The verdict over all scenarios, with its counts."""
        counts = self.counts.get(name, Counter())
        judged = sum(counts[word] for word in ("pass", "by model", "fail"))
        if counts["fail"]:
            return f"{self._link(name)} {counts['fail']} of {judged}"
        if counts["by model"]:
            return f"by model {counts['by model']} of {judged}"
        if counts["pass"]:
            return f"pass {judged}"
        return "unknown" if counts["unknown"] else "-"

    def _link(self, name: str) -> str:
        pinned = [p for p in sorted((PINNED / self.name).glob("*.case.json")) if read_case(p).law == name]
        page = f"fixtures/cases/{self.name}/{pinned[0].name.removesuffix('.case.json')}.md" if pinned else ""
        return f"[**fail**]({page})" if page else "**fail**"


def examine(engine: EngineSimulator, column: Column, examples: int) -> None:
    """Ask ``examples`` scenarios, and judge each by all laws and, every tenth, by all relations."""
    started = time.monotonic()

    def look(scenario: Scenario) -> bool:
        column.scenarios += 1
        got = _answer(engine, scenario)
        column.add(ANSWERS, "fail" if got is None else "pass", scenario)
        if got is not None:
            for law in LAWS:
                column.add(law.name, _verdict(law, scenario, got), scenario)
        for relation in RELATIONS:
            if column.scenarios % 10 == 0 or relation.name == "equals_reference":
                column.add(relation.name, _compare(engine, relation, scenario), scenario)
        return False

    drawn = scenarios(rules=engine.rules, supports=engine.supports)
    search(drawn, look, examples=examples, deadline=None, entropy=f"table/{column.name}")
    column.seconds = time.monotonic() - started


def write_cases(engine: EngineSimulator, column: Column, folder: Path) -> None:
    """The smallest scenario for everything that broke, as a case file."""
    for name, scenario in column.first.items():
        small = minimise(scenario, _still(engine, name))
        case = Case(small, name, simulate(small), _answer(engine, small), note=f"{engine.name} {column.version}")
        write_case(case, folder / column.name / f"{name}.case.json")


def lines(columns: list[Column]) -> Iterator[str]:
    """The table in Markdown."""
    names = [ANSWERS, *(law.name for law in LAWS), *(relation.name for relation in RELATIONS)]
    yield "| | " + " | ".join(f"{c.name} {c.version}" for c in columns) + " |"
    yield "|---" * (len(columns) + 1) + "|"
    for name in names:
        if any(c.cell(name) != "-" for c in columns):
            yield f"| `{name}` | " + " | ".join(c.cell(name) for c in columns) + " |"
    yield "| scenarios | " + " | ".join(f"{c.scenarios:,}" for c in columns) + " |"
    yield "| seconds | " + " | ".join(f"{c.seconds:.0f}" for c in columns) + " |"
    yield "| not drivable | " + " | ".join(", ".join(_missing(c.name)) for c in columns) + " |"


def _missing(name: str) -> list[str]:
    engine = next(engine for engine in ENGINES if engine.name == name)
    return [word for word, can in engine.supports.items() if not can]


def _answer(engine: EngineSimulator, scenario: Scenario) -> list[Any] | None:
    try:
        return engine(scenario)
    except SimulatorFailed:
        return None


def _verdict(law: Law, scenario: Scenario, got: list[Any]) -> str:
    judgement = law.judge(Run.from_scenario(scenario, got))
    if judgement.verdict in (Verdict.PASS, Verdict.UNKNOWN) and judgement.by_model:
        return "by model"
    return judgement.verdict.value


def _compare(engine: EngineSimulator, relation: Relation, scenario: Scenario) -> str:
    try:
        comparison = relation.check(engine, scenario)
    except SimulatorFailed:
        return Verdict.UNKNOWN.value
    if not comparison.applies:
        return Verdict.NOT_APPLICABLE.value
    return Verdict.FAIL.value if comparison.difference else Verdict.PASS.value


def _still(engine: EngineSimulator, name: str) -> Callable[[Scenario], bool]:
    deadline = time.monotonic() + MINIMISE_SECONDS
    law = next((law for law in LAWS if law.name == name), None)
    relation = next((relation for relation in RELATIONS if relation.name == name), None)

    def still(scenario: Scenario) -> bool:
        if time.monotonic() > deadline or not is_within(scenario, engine.supports):
            return False
        if relation is not None:
            return _compare(engine, relation, scenario) == Verdict.FAIL.value
        got = _answer(engine, scenario)
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
    given = parser.parse_args()
    columns = []
    for name in given.engines:
        try:
            engine = EngineSimulator(f"engine:{name}", Limits())
        except InputError as error:
            sys.stderr.write(f"left out: {error}\n")
            continue
        with closing(engine):
            column = Column(name, engine.engine.version)
            examine(engine, column, given.scenarios)
            if given.cases is not None:
                write_cases(engine, column, given.cases)
        sys.stderr.write(f"{name}: {column.scenarios} scenarios in {column.seconds:.0f} s\n")
        columns.append(column)
    sys.stdout.write("\n".join(lines(columns)) + "\n")


if __name__ == "__main__":
    main()
