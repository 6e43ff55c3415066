"""What the README says was tried: the attempts of ``break_it``, with figures that came from tests."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import fuzz
import pytest
from break_it import ATTEMPTS, NEVER, README, fuzzed, machine, rendered, told

TEXT = README.read_text(encoding="utf-8")
ROW = {attempt.name: attempt for attempt in ATTEMPTS}


def suite(*cases: str) -> ET.Element:
    return ET.fromstring(f'<testsuites><testsuite time="12.3">{"".join(cases)}</testsuite></testsuites>')  # noqa: S314


def case(inside: str = "", **figures: object) -> str:
    said = "".join(f'<property name="{name}" value="{value}"/>' for name, value in figures.items())
    return f'<testcase name="test_x"><properties>{said}</properties>{inside}</testcase>'


def test_the_readme_has_every_attempt_with_its_figures() -> None:
    assert rendered(TEXT, {}) == TEXT, "run: python tests/break_it.py --readme"
    table = TEXT.partition("<!-- break-it -->")[2].partition("<!-- /break-it -->")[0]
    assert NEVER not in table
    assert "**" not in table


def test_figures_are_added_up_or_listed_or_the_greatest_is_taken() -> None:
    cases = [case(kills=20, most_mib=7, which="b"), case(kills=1_300, most_mib=5, which="a")]
    assert told("{passed}: {kills}, {most_mib}, {which}", suite(*cases)) == "2: 1,320, 7, a, b (12 s)"


def test_what_failed_or_was_skipped_is_said() -> None:
    skipped = case('<skipped message="needs root"/>')
    assert told("{passed}", suite(case(), case("<failure/>"))) == "**1 of 2 failed**: test_x"
    assert told("{passed}", suite(case(), skipped)) == "1; 1 skipped: needs root (12 s)"
    assert told("{kills}", suite(skipped, skipped)) == "not tried here: needs root"
    assert told("{kills}", suite()) == "not tried here: there are no such tests"


def test_an_attempt_that_is_not_made_keeps_its_figures_and_the_machine_of_them() -> None:
    first = rendered("a\n<!-- break-it -->\n<!-- /break-it -->\nz", {"deep": "seven"})
    assert first.startswith(f"a\n<!-- break-it -->\nLast run on {machine()}.\n\n| name |")
    assert first.endswith("<!-- /break-it -->\nz")
    again = rendered(first, {"bombs": "eight"})
    assert "| seven |" in again
    assert "| eight |" in again
    elsewhere = rendered(again.replace(machine(), "an abacus"), {"bombs": "nine"})
    assert "| seven [on an abacus] |" in elsewhere
    assert "| nine |" in elsewhere
    assert rendered(elsewhere, {}) == elsewhere


def test_tables_of_the_fuzzing_are_added_up_and_what_they_lack_is_named() -> None:
    head = "kind                 minutes inputs tried crashes\n"
    tables = [f"{head}tape                      10       30,774       1\n", f"{head}map  10  1,000  0\ntape 2.5 40 0\n"]
    assert (
        fuzzed(tables, ["tape", "map"])
        == "2 kinds, 10 or 2.5 minutes each: 1,040 inputs, 0 crashes (map 1,000, tape 40)"
    )
    assert fuzzed(tables[:1], ["map", "tape"]).endswith("**1 crashes** (tape 30,774); not finished: map")
    assert fuzzed([], fuzz.kinds()) == NEVER


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.name)
def test_names_are_unique_and_nothing_breaks_the_table(attempt: object) -> None:
    assert len(ROW) == len(ATTEMPTS)
    assert "|" not in str(attempt)
