from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from invariants.cases import (
    Case,
    case_name,
    fills_from_json,
    fills_to_json,
    read_case,
    scenario_from_json,
    scenario_to_json,
    write_case,
)
from simcore import Cancel, Fill, InputError, Rules, Scenario, Side, Submit, TopOfBook, Trade, simulate

if TYPE_CHECKING:
    from pathlib import Path

FAR = 2**62 + 1
SCENARIO = Scenario(
    (Trade(FAR, 100, 2**53 + 1, Side.SELL), TopOfBook(FAR, 99, 1, 101, 2), Trade(FAR, 100, 1)),
    (Submit(FAR - 10, "a", Side.BUY, 100, 5), Submit(FAR - 10, 2**60 + 1, Side.SELL, 100, 5), Cancel(FAR, "a")),
    Rules(latency_ns=0, ttl_ns=None, fee_rate=Decimal("-0.0001"), position_cap_lots=None),
)
CASE = Case(SCENARIO, "equals_reference", simulate(SCENARIO), [], message="one fill is missing", note="seen once")


def test_a_scenario_survives_the_line() -> None:
    line = json.dumps(scenario_to_json(SCENARIO))
    assert "\n" not in line
    assert scenario_from_json(json.loads(line)) == SCENARIO


def test_fills_survive_the_line_and_a_bare_list_is_an_answer_too() -> None:
    fills = simulate(SCENARIO)
    answer = json.loads(json.dumps(fills_to_json(fills)))
    assert fills
    assert fills_from_json(answer) == fills_from_json(answer["fills"]) == fills


def test_a_case_survives_the_file(tmp_path: Path) -> None:
    write_case(CASE, tmp_path / "new" / case_name(CASE))
    (path,) = (tmp_path / "new").iterdir()
    again = read_case(path)
    assert again == replace(CASE, expected=list(CASE.expected))
    assert path.name.endswith(".case.json")


@pytest.mark.parametrize(
    "odd", [None, 5, Fill(True, "a", Side.BUY, 1, 1), Fill(1.5, "a", Side.BUY, 1, 1), Fill(2**63, "a", 1, 1, 1)]
)  # type: ignore[arg-type]
def test_answers_that_are_no_fills_are_kept_as_text(tmp_path: Path, odd: Any) -> None:
    write_case(replace(CASE, got=[odd]), tmp_path / "x.case.json")
    assert read_case(tmp_path / "x.case.json").got == [repr(odd)[:120] + ("... (cut)" if len(repr(odd)) > 120 else "")]


def test_a_simulator_that_gave_nothing_is_told_from_one_that_gave_no_fills(tmp_path: Path) -> None:
    for got in (None, []):
        write_case(replace(CASE, got=got), tmp_path / "x.case.json")
        assert read_case(tmp_path / "x.case.json").got == got


def test_a_case_is_readable_one_event_a_line(tmp_path: Path) -> None:
    write_case(CASE, tmp_path / "x.case.json")
    lines = (tmp_path / "x.case.json").read_text(encoding="utf-8").splitlines()
    assert sum('"type"' in line for line in lines) == 6
    assert lines[1] == '  "format": "fillproof-case/1",'


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    write_case(CASE, tmp_path / "x.case.json")
    before = (tmp_path / "x.case.json").read_bytes()
    with pytest.raises(AttributeError):
        write_case(replace(CASE, expected=[None]), tmp_path / "x.case.json")  # type: ignore[list-item]
    assert [p.name for p in tmp_path.iterdir()] == ["x.case.json"]
    assert (tmp_path / "x.case.json").read_bytes() == before


def test_the_name_of_a_case_depends_on_law_and_scenario_alone() -> None:
    assert case_name(CASE) == case_name(replace(CASE, message="another", got=None))
    assert case_name(CASE) != case_name(replace(CASE, law="mirror"))


GOOD: dict[str, Any] = {"ns": 1, "order_id": "a", "side": "buy", "price_ticks": 1, "size_lots": 1}


@pytest.mark.parametrize(
    ("answer", "row", "field"),
    [
        (None, None, "fills"),
        (5, None, "fills"),
        ("fills", None, "fills"),
        ({}, None, "fills"),
        ({"fills": None}, None, "fills"),
        ({"fills": [], "more": 1}, None, "more"),
        ([GOOD, 5], 2, "fill"),
        ([{**GOOD, "x": 1}], 1, "x"),
        *(([GOOD, {k: v for k, v in GOOD.items() if k != name}], 2, name) for name in GOOD),
        *(
            ([{**GOOD, name: bad}], 1, name)
            for name in ("ns", "price_ticks", "size_lots")
            for bad in (None, "1", 1.0, True, 2**63)
        ),
        *(([{**GOOD, "side": bad}], 1, "side") for bad in (1, "BUY", None)),
        *(([{**GOOD, "order_id": bad}], 1, "order_id") for bad in (None, 1.5, True, [])),
        *(([{**GOOD, "fee": bad}], 1, "fee") for bad in ("x", True, [], float("nan"))),
        *(([{**GOOD, "trade_seq": bad}], 1, "trade_seq") for bad in (-1, "0", 0.0, True)),
    ],
)
def test_malformed_answers_are_refused_with_their_row(answer: Any, row: int | None, field: str) -> None:
    with pytest.raises(InputError) as refused:
        fills_from_json(answer)
    assert (refused.value.row, refused.value.field) == (row, field)
