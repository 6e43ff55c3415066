"""The reference simulator's speed beside real engines: ``python tests/benchmarks/simulators.py [--readme]``.

All get the same: generated scenarios, within what every engine can be driven to do, and two hours of the tape in
``../shared/engines/tape`` with the orders of a quoter, once its trades alone and once with the tops of book. Each
is measured inside a process and an environment of its own (see ``rivals/stopwatch.py``): neither start-up nor pipes are
in it. Where the tape is absent there is nothing to measure, and the reason is told.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

import pyarrow.parquet as pq
from benchmarks.audit import machine
from readme_tables import ENGINES, README, renewed

from invariants.cases import fills_to_json, scenario_to_json
from invariants.conformance.search import search
from invariants.drivers.declared import rules_of
from invariants.drivers.engines import Engine, engine_named
from invariants.drivers.engines.environment import python_of, without_ours
from invariants.tapes import Supports, scenarios
from simcore import Action, Cancel, InputError, Instrument, Rules, Scenario, Side, Submit, TopOfBook, Trade, simulate

TAPE = ENGINES / "tape"
RIVALS = ROOT / "tests" / "benchmarks" / "rivals"
ENTROPY = "simulators"
INSTRUMENT = Instrument(Decimal(1), Decimal("0.01"))
CYCLE_NS, LIFE_NS, QUOTE_LOTS = 6_000_000_000, 5_000_000_000, 500
TRADES, TOPS = "trades alone", "trades and tops of book"


@dataclass(frozen=True)
class Contender:
    """A simulator in the table: who it is, what it does for an event, and the rules that it declares."""

    name: str
    does: str
    file: str
    rules: Rules
    engine: Engine | None = None

    def python(self) -> str:
        """The interpreter that has it. Raises ``InputError`` where there is none to be had."""
        return sys.executable if self.engine is None else str(python_of(self.engine))


def contenders() -> list[Contender]:
    """Ours first; nothing but the fill model differs between the rules."""
    hft, *nautilus = (engine_named(name) for name in ("hftbacktest", "nautilus", "nautilus-1.231"))
    loop = "a compiled loop over an order book and queues"
    platform = "a trading platform: message bus, caches, accounts, events"
    return [
        Contender("`simcore.simulate`", "a Python loop over the live orders", "reference.py", _rules(hft)),
        Contender(f"hftbacktest {hft.version}", loop, "hftbacktest.py", _rules(hft), hft),
        *(Contender(f"NautilusTrader {e.version}", platform, "nautilus.py", _rules(e), e) for e in nautilus),
    ]


def _rules(engine: Engine) -> Rules:
    return replace(rules_of(dict(engine.rules), file=engine.name), ttl_ns=None, fee_rate=Decimal(0))


def small_scenarios(count: int) -> list[Scenario]:
    """So many generated scenarios, within what every contender can be driven to do."""
    engines = [Supports.declared(dict(one.engine.supports)) for one in contenders() if one.engine is not None]
    common = Supports(**{f.name: all(getattr(s, f.name) for s in engines) for f in fields(Supports)})
    drawn: list[Scenario] = []

    def keep(scenario: Scenario) -> bool:
        if scenario.tape:  # without data an engine does not start
            drawn.append(scenario)
        return len(drawn) == count

    rules = contenders()[0].rules
    search(scenarios(rules=rules, supports=common), keep, examples=None, deadline=None, entropy=ENTROPY)
    return drawn


def tapes() -> dict[str, Scenario]:
    """The two hours, without and with the tops of book, and the same orders to both."""
    trades = [
        Trade(ns, INSTRUMENT.ticks(price), INSTRUMENT.lots(size), Side[aggressor])
        for ns, price, size, aggressor in _rows("trades", "ts", "price", "qty", "aggressor")
    ]
    tops = [
        TopOfBook(ns, INSTRUMENT.ticks(bid), INSTRUMENT.lots(bids), INSTRUMENT.ticks(ask), INSTRUMENT.lots(asks))
        for ns, bid, bids, ask, asks in _rows("book", "ts", "bid1", "bidq1", "ask1", "askq1")
    ]
    actions, rules = quotes(trades, tops), contenders()[0].rules
    both = sorted([*trades, *tops], key=lambda event: event.ns)  # a trade, then the book that it left
    return {TRADES: Scenario(trades, actions, rules), TOPS: Scenario(both, actions, rules)}


def _rows(table: str, *columns: str) -> Iterator[tuple[Any, ...]]:
    read = pq.read_table(TAPE / f"{table}.parquet", columns=list(columns))
    return zip(*(read[column].to_pylist() for column in columns), strict=True)


def quotes(trades: Sequence[Trade], tops: Sequence[TopOfBook]) -> list[Action]:
    """Every six seconds 5 units on each side for five, at the touch, but beside the last trade.

    Beside it, because an engine that is fed with trades alone takes the last one for both sides of its book.
    """
    actions: list[Action] = []
    last: Trade | None = None
    top: TopOfBook | None = None
    due_ns = trades[0].ns + CYCLE_NS
    for event in sorted([*trades, *tops], key=lambda event: event.ns):
        while event.ns > due_ns and last is not None and top is not None:
            number = len(actions)
            bid, ask = min(top.bid_ticks, last.price_ticks - 1), max(top.ask_ticks, last.price_ticks + 1)
            actions.append(Submit(due_ns, number, Side.BUY, bid, QUOTE_LOTS))
            actions.append(Submit(due_ns, number + 1, Side.SELL, ask, QUOTE_LOTS))
            actions += [Cancel(due_ns + LIFE_NS, number), Cancel(due_ns + LIFE_NS, number + 1)]
            due_ns += CYCLE_NS
        if isinstance(event, Trade):
            last = event
        else:
            top = event
    return actions


def measured(contender: Contender, questions: Path) -> dict[str, Any]:
    """What the stopwatch told in the contender's own process."""
    argv = [contender.python(), "-P", str(RIVALS / "stopwatch.py"), str(RIVALS / contender.file), str(questions)]
    env = {**os.environ, **without_ours()}
    done = subprocess.run(argv, env=env, stdout=subprocess.PIPE, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def table(
    asked: Sequence[Scenario], long: Mapping[str, Scenario], told: Sequence[tuple[Contender, Mapping[str, Any]]]
) -> Iterator[str]:
    """One row a contender; a speed has the multiple of the first row's beside it."""
    tape_heads = [f"{name}: events/s | orders filled | as in the reference" for name in long]
    yield " | ".join(["| | for each event", "start-up s", "scenarios/s | as the reference", *tape_heads]) + " |"
    yield "|---" * (5 + 3 * len(long)) + "|"
    _, ours = told[0]
    for contender, one in told:
        cells = [contender.name, contender.does, f"{one['start_up_seconds']:.1f}"]
        cells.append(_rate(len(asked), one["scenario_seconds"], ours["scenario_seconds"]))
        pairs = zip(asked, one["scenario_fills"], strict=True)
        cells.append(f"{sum(_expected(contender, s) == _keys(fills) for s, fills in pairs):,} of {len(asked):,}")
        for name, scenario in long.items():
            got, its = one["tapes"][name], ours["tapes"][name]
            cells.append(_rate(len(scenario.tape) + len(scenario.actions), got["seconds"], its["seconds"]))
            filled = {fill["order_id"] for fill in got["fills"]}
            expected = {order_id for _, order_id, *_ in _expected(contender, scenario)}
            cells += [f"{len(filled):,}", f"{len(filled & expected):,} of {len(expected):,}"]
        yield "| " + " | ".join(cells) + " |"


def _rate(count: int, seconds: float, our_seconds: float) -> str:
    return f"{count / seconds:,.0f} (x {our_seconds / seconds:.2g})"


def _expected(contender: Contender, scenario: Scenario) -> list[tuple[Any, ...]]:
    """The reference's fills under the contender's rules."""
    return _keys(fills_to_json(simulate(replace(scenario, rules=contender.rules)))["fills"])


def _keys(fills: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    names = ("ns", "order_id", "side", "price_ticks", "size_lots")
    return sorted((tuple(fill[name] for name in names) for fill in fills), key=str)  # an id is a number or a text


def main() -> None:
    """Print the table, or write it into the README."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenarios", type=int, default=1000)
    parser.add_argument("--readme", action="store_true")
    given = parser.parse_args()
    if not TAPE.is_dir():
        print("skipped: the tape in ../shared/engines/tape is not here")
        return
    asked, long = small_scenarios(given.scenarios), tapes()
    told: list[tuple[Contender, dict[str, Any]]] = []
    with tempfile.TemporaryDirectory() as scratch:
        questions = Path(scratch) / "questions.json"
        as_json = {"scenarios": [scenario_to_json(one) for one in asked]}
        as_json["tapes"] = {name: scenario_to_json(one) for name, one in long.items()}
        questions.write_text(json.dumps(as_json), encoding="utf-8")
        for contender in contenders():
            try:
                told.append((contender, measured(contender, questions)))
            except InputError as error:
                sys.stderr.write(f"left out: {error}\n")
    lines = [f"Measured on {machine()}.", "", *table(asked, long, told)]
    print("\n".join(lines))
    if given.readme and len(told) < len(contenders()):
        sys.exit("README.md wants every simulator, and some were left out")
    if given.readme:
        text = renewed(README.read_text(encoding="utf-8"), {"simulator-benchmark": "\n" + "\n".join(lines) + "\n"})
        README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
