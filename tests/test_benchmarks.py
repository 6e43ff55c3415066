"""The benchmark of simulators, as far as it goes without engines and their tape."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks import simulators
from benchmarks.simulators import Contender, contenders, measured, quotes, small_scenarios, table

from invariants.cases import scenario_to_json
from simcore import InputError, Scenario, Side, Submit, TopOfBook, Trade

SECOND_NS = 1_000_000_000
TRADES = [Trade(SECOND_NS, 100, 1, Side.SELL), Trade(8 * SECOND_NS, 90, 500, Side.SELL)]
TOPS = [TopOfBook(2 * SECOND_NS, 99, 5, 104, 5)]


def test_a_quote_stands_at_the_touch_beside_the_last_trade_and_ends_before_the_next() -> None:
    buy, sell, *cancels = quotes(TRADES, TOPS)
    assert buy == Submit(7 * SECOND_NS, 0, Side.BUY, 99, 500)
    assert sell == Submit(7 * SECOND_NS, 1, Side.SELL, 104, 500)
    assert [(cancel.ns, cancel.order_id) for cancel in cancels] == [(12 * SECOND_NS, 0), (12 * SECOND_NS, 1)]


def test_small_scenarios_are_the_same_every_time_and_within_what_all_can_do() -> None:
    drawn = small_scenarios(20)
    assert drawn == small_scenarios(20)
    assert all(scenario.tape and not any(isinstance(e, TopOfBook) for e in scenario.tape) for scenario in drawn)


def test_the_reference_is_measured_in_its_own_process_and_the_table_counts_what_agrees(tmp_path: Path) -> None:
    ours = contenders()[0]
    asked, tape = small_scenarios(3), Scenario(TRADES, quotes(TRADES, TOPS), ours.rules)
    long = {"trades": replace(tape, tape=[*TRADES, Trade(9 * SECOND_NS, 98, 500, Side.SELL)])}
    questions = tmp_path / "questions.json"
    as_json = {"scenarios": [*map(scenario_to_json, asked)], "tapes": {"trades": scenario_to_json(long["trades"])}}
    questions.write_text(json.dumps(as_json))
    told = measured(ours, questions)
    nothing = {**told, "scenario_fills": [[]] * 3, "tapes": {"trades": {"seconds": 1.0, "fills": []}}}
    idle = Contender("idle", "nothing", "", ours.rules)
    head, _, first, second = table(asked, long, [(ours, told), (idle, nothing)])
    assert head.count("|") == first.count("|") == second.count("|")
    assert "3 of 3" in first
    assert first.endswith("(x 1) | 1 | 1 of 1 |")
    assert second.endswith("| 0 | 0 of 1 |")


def test_without_the_tape_it_says_why_it_measures_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(simulators, "TAPE", tmp_path / "absent")
    monkeypatch.setattr(sys, "argv", ["simulators.py"])
    simulators.main()
    assert capsys.readouterr().out.startswith("skipped: ")


@pytest.mark.soak
def test_hftbacktest_driven_by_a_compiled_loop_fills_as_the_reference(tmp_path: Path) -> None:
    ours, hft, *_ = contenders()
    asked, long = small_scenarios(50), {"trades": Scenario(TRADES, quotes(TRADES, TOPS), ours.rules)}
    questions = tmp_path / "questions.json"
    tapes = {"trades": scenario_to_json(long["trades"])}
    questions.write_text(json.dumps({"scenarios": [*map(scenario_to_json, asked)], "tapes": tapes}))
    try:
        told = measured(hft, questions)
    except InputError as error:
        pytest.skip(f"cannot be installed here: {error}")
    assert "50 of 50" in list(table(asked, long, [(hft, told)]))[-1]
