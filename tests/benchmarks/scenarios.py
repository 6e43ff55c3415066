"""Scenarios a second and scenarios to a kill, aimed against plain lists, in one run.

``python tests/benchmarks/scenarios.py [--seeds N] [--every N]`` prints one table of speed (one process, its own
processor time) and the two kill tables side by side. The rival is what one writes first with
Hypothesis: lists of ``st.builds`` events with small integers, sorted.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

from hunting import BUDGET, breaks, hunt, scenarios_for
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from fixtures.faults import FAULTS
from fixtures.faults.fault import Fault
from invariants.conformance.search import search
from invariants.laws import LAWS
from invariants.tapes import any_rules, scenarios
from simcore import Cancel, Rules, Run, Scenario, Side, Submit, Trade, simulate

SIDES = st.sampled_from(Side)


@st.composite
def plain_scenarios(draw: Callable, rules: SearchStrategy[Rules]) -> Scenario:
    """What one writes first: lists of builds, times in the scale of the rules, sorted."""
    drawn = draw(rules)
    step_ns = max(drawn.latency_ns, 1)
    times = st.integers(0, 20).map(lambda n: n * step_ns // 2)
    prices, sizes = st.integers(98, 102), st.integers(1, 10)
    trades = draw(st.lists(st.builds(Trade, times, prices, sizes, st.none() | SIDES), max_size=12))
    submits = draw(st.lists(st.builds(Submit, times, st.just(0), SIDES, prices, sizes), max_size=6))
    submits = [Submit(s.ns, i, s.side, s.price_ticks, s.size_lots) for i, s in enumerate(submits)]
    ids = st.sampled_from(range(len(submits))) if submits else st.nothing()
    cancels = draw(st.lists(st.builds(Cancel, times, ids), max_size=4)) if submits else []
    actions = sorted([*submits, *cancels], key=lambda a: a.ns)
    return Scenario(sorted(trades, key=lambda t: t.ns), actions, drawn)


def speed(drawn: SearchStrategy[Scenario], seconds: float) -> tuple[float, float]:
    """Scenarios and events a second of processor time through generator, reference and all laws."""
    count = events = 0

    def judge(scenario: Scenario) -> bool:
        nonlocal count, events
        run = Run.from_scenario(scenario, simulate(scenario))
        for law in LAWS:
            law.judge(run)
        count += 1
        events += len(scenario.tape) + len(scenario.actions)
        return False

    search(drawn, judge, examples=100, deadline=None, entropy="warm")
    count = events = 0
    began = time.process_time()
    search(drawn, judge, examples=None, deadline=time.monotonic() + seconds, entropy="speed")
    took = time.process_time() - began
    return count / took, events / took


def kills(fault: Fault, drawn: SearchStrategy[Scenario], seeds: int) -> list[int | None]:
    """Scenarios until the fault is convicted, per seed; None where it got away."""
    found = (hunt(breaks(fault.law, fault.fresh), drawn, seed=f"{s}/{fault.name}") for s in range(seeds))
    return [kill.examples if kill.scenario else None for kill in found]


def _summary(name: str, table: list[list[int | None]]) -> str:
    flat = [n for row in table for n in row]
    won = [n for n in flat if n is not None]
    sure = sum(None not in row for row in table)
    return (
        f"{name:8} {sure:3} of {len(table)} faults killed by every seed, "
        f"{len(flat) - len(won)} of {len(flat)} hunts lost, "
        f"median {median(won):g}, worst {max(won)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--every", type=int, default=1, help="hunt every n-th fault only")
    args = parser.parse_args()
    rivals = {"aimed": scenarios(), "plain": plain_scenarios(any_rules())}
    rates = {name: speed(drawn, args.seconds) for name, drawn in rivals.items()}
    for name, (scenarios_s, events_s) in rates.items():
        print(f"{name:8} {scenarios_s:8.0f} scenarios/s {events_s:9.0f} events/s")
    print(f"ratio    {rates['aimed'][0] / rates['plain'][0]:8.2f}")
    print(f"\n{'fault':44} {'law':30} {'aimed: median worst lost':>26} {'plain: median worst lost':>26}")
    tables: dict[str, list[list[int | None]]] = {"aimed": [], "plain": []}
    for fault in FAULTS[:: args.every]:
        rules = any_rules() if fault.rules is None else st.just(fault.rules)
        for name, drawn in (("aimed", scenarios_for(fault)), ("plain", plain_scenarios(rules))):
            tables[name].append(kills(fault, drawn, args.seeds))
        cells = [_cell(tables[name][-1]) for name in ("aimed", "plain")]
        print(f"{fault.name:44} {fault.law:30} {cells[0]:>26} {cells[1]:>26}", flush=True)
    print(f"\nbudget {BUDGET} scenarios a hunt")
    for name, table in tables.items():
        print(_summary(name, table))


def _cell(row: list[int | None]) -> str:
    won = [n for n in row if n is not None]
    return f"{median(won):g} {max(won)} {len(row) - len(won)}" if won else f"- - {len(row)}"


if __name__ == "__main__":
    main()
