"""Waivers: they excuse exactly what is pinned, until their last day, and fail the run when they excuse nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from invariants.auditing import audit
from invariants.cases import Case, case_name, write_case
from invariants.cli import main
from invariants.outcome import Exit, Policy
from invariants.readers.bundle import write_bundle
from invariants.replay import still_failing
from invariants.verify import without
from invariants.waivers import Seen, Waiver, complaints, held_cases, read_waivers, waived
from simcore import InputError, Instrument, Rules, Run, Scenario, Side, Submit, Trade
from simcore import simulate as reference

RULES = Rules(latency_ns=250, ttl_ns=None, position_cap_lots=None)
SCENARIO = Scenario(
    tape=(Trade(1250, 100, 2, Side.SELL), Trade(2250, 101, 3, Side.BUY)),
    actions=(Submit(1000, "O9", Side.BUY, 100, 2), Submit(2000, "O10", Side.SELL, 101, 3)),
    rules=RULES,
)
TODAY = date(2027, 3, 31)
WAIVER = """
[[waiver]]
law = "latency_is_respected"
scope = "desk-*"
reason = "ticket 812"
expires = 2027-03-31
failed = 1
"""


def run(name: str, early: int) -> Run:
    """A run of which the first ``early`` fills come a nanosecond too soon; no tape sees it."""
    made = Run.from_scenario(SCENARIO, reference(SCENARIO), instrument=Instrument(), name=name)
    ns = made.fills.ns - (np.arange(len(made.fills)) < early)
    return replace(made, fills=replace(made.fills, ns=ns, ns_to=ns), has_tape=False, trades=no_trades(made))


def no_trades(made: Run) -> Any:
    return type(made.trades)(*(getattr(made.trades, name)[:0] for name in made.trades.__dataclass_fields__))


def seen(name: str, **failed: int) -> Seen:
    return Seen(f"runs/{name}", name, failed)


def waiver(**changes: Any) -> Waiver:
    return replace(Waiver("latency_is_respected", "ticket 812", TODAY, "desk-*", 1), **changes)


def fillproof(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three runs that differ in how many fills are too early, on a day that never passes."""
    monkeypatch.setattr("invariants.waivers.today", lambda: TODAY)
    monkeypatch.chdir(tmp_path)
    for early in range(3):
        write_bundle(run(f"desk-{early}", early), tmp_path / f"desk-{early}")
    (tmp_path / "waivers.toml").write_text(WAIVER)
    return tmp_path


# the table of what a waiver does: days left, what the runs in scope show -> the word of the complaint, who is excused
@pytest.mark.parametrize(
    ("days", "runs", "word", "excused"),
    [
        (0, [seen("desk-1", latency_is_respected=1)], None, ["desk-1"]),
        (9, [seen("desk-1", latency_is_respected=1)], None, ["desk-1"]),
        (-1, [seen("desk-1", latency_is_respected=1)], "expired", []),
        (-1, [seen("desk-1")], "expired", []),
        (-1, [], "expired", []),
        (0, [seen("desk-1", latency_is_respected=2)], "stale", []),
        (0, [seen("desk-1")], "stale", []),
        (0, [seen("desk-1", no_double_fill=1)], "stale", []),
        (0, [], "unmatched", []),
        (0, [seen("shop-1", latency_is_respected=1)], "unmatched", []),
        (0, [seen("desk-1", latency_is_respected=1), seen("desk-2")], None, ["desk-1"]),
        (0, [seen("desk-1", latency_is_respected=1), seen("desk-2", latency_is_respected=2)], "stale", ["desk-1"]),
        (0, [seen("desk-1", latency_is_respected=1), seen("shop-1", latency_is_respected=2)], None, ["desk-1"]),
        (0, [seen("desk-1", latency_is_respected=1), seen("desk", latency_is_respected=1)], None, ["desk-1"]),
    ],
)  # fmt: skip
def test_a_waiver_excuses_exactly_what_is_pinned(
    days: int, runs: list[Seen], word: str | None, excused: list[str]
) -> None:
    one = waiver(expires=date.fromordinal(TODAY.toordinal() + days))
    assert [c.word for c in complaints([one], runs, on=TODAY)] == ([] if word is None else [word])
    assert [r.name for r in runs if waived([one], r, on=TODAY)] == excused


def test_a_stale_waiver_says_both_numbers() -> None:
    (complaint,) = complaints([waiver(failed=1200)], [seen("desk-1", latency_is_respected=3)], on=TODAY)
    assert str(complaint) == (
        "waivers.toml waiver 1 (latency_is_respected, scope 'desk-*'): stale: "
        "pinned to 1,200 failing rows, but runs/desk-1 has 3"
    )


def test_the_scope_is_a_glob_over_the_name_or_the_path() -> None:
    for scope in ("*", "desk-1", "desk-?", "runs/*", "runs/desk-1", "*[0-9]"):
        assert waiver(scope=scope).covers("runs/desk-1", "desk-1"), scope
    assert waiver(scope="./runs/*").covers("runs/desk-1", "desk-1")
    assert waiver(scope="runs/*").covers("./runs/desk-1", "desk-1")
    assert waiver(scope="s3://firm/*").covers("s3://firm/desk-1", "desk-1")
    for scope in ("desk", "Desk-1", "esk-1", "runs"):
        assert not waiver(scope=scope).covers("runs/desk-1", "desk-1"), scope


def test_a_waived_law_stays_broken_and_does_not_count() -> None:
    report = audit(run("desk-1", 1))
    outcome = Policy(TODAY, (waiver(),)).outcome("desk-1", report)
    assert (report.verdict.value, outcome.code) == ("fail", Exit.HOLDS)
    assert outcome.excuse("latency_is_respected") is not None
    assert Policy(date(2027, 4, 1), (waiver(),)).outcome("desk-1", report).code is Exit.BROKEN
    assert Policy(TODAY, (waiver(law="no_double_fill"),)).outcome("desk-1", report).code is Exit.BROKEN


def test_a_waiver_does_not_make_an_unknown_law_known() -> None:
    report = audit(run("desk-1", 1))
    assert Policy(TODAY, (waiver(),), strict=True).outcome("desk-1", report).code is Exit.UNJUDGED


def test_a_waived_run_leaves_with_0_and_says_so(desk: Path) -> None:
    assert fillproof("audit", "desk-1").exit_code == 1
    result = fillproof("audit", "desk-1", "--waivers", desk / "waivers.toml", "--json", "report.json")
    assert result.exit_code == 0, result.output
    assert "latency_is_respected: waived until 2027-03-31 (failed = 1): ticket 812" in result.stdout.splitlines()
    assert "latency_is_respected: 1 of 2 rows" in result.stdout
    assert json.loads((desk / "report.json").read_text())["verdict"] == "fail"


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("desk-0", {}, "stale: pinned to 1 failing rows, but none fails in desk-0"),
        ("desk-2", {}, "stale: pinned to 1 failing rows, but desk-2 has 2"),
        ("desk-1", {"2027-03-31": "2027-03-30"}, "expired: its last day was 2027-03-30"),
        ("desk-0", {"2027-03-31": "2027-03-30"}, "expired: its last day was 2027-03-30"),
        ("desk-1", {"desk-*": "shop-*"}, "unmatched: no audited run has such a name or path"),
        ("desk-0", {"desk-*": "shop-*"}, "unmatched: no audited run has such a name or path"),
    ],
)
def test_a_waiver_that_excuses_nothing_fails_the_run(desk: Path, name: str, changes: dict[str, str], said: str) -> None:
    text = WAIVER
    for old, new in changes.items():
        text = text.replace(old, new)
    (desk / "waivers.toml").write_text(text)
    result = fillproof("audit", name, "--waivers", desk / "waivers.toml")
    assert result.exit_code == 1
    assert said in " ".join(result.stdout.split())


def test_a_waiver_of_a_law_that_is_not_judged_is_left_alone(desk: Path) -> None:
    for law, code in (("no_double_fill", 0), ("latency_is_respected", 0)):
        result = fillproof("audit", "desk-1", "--waivers", desk / "waivers.toml", "--law", law)
        assert (result.exit_code, "stale" in result.stdout) == (code, False)
    assert fillproof("audit", "desk-0", "--waivers", "waivers.toml", "--law", "latency_is_respected").exit_code == 1


def test_a_waiver_of_one_run_excuses_no_other(desk: Path) -> None:
    result = fillproof("audit", "desk-0", "desk-1", "--waivers", desk / "waivers.toml")
    assert result.exit_code == 0
    assert fillproof("audit", "desk-1", "desk-2", "--waivers", desk / "waivers.toml").exit_code == 1


def test_a_run_that_cannot_be_read_is_2_whatever_is_waived(desk: Path) -> None:
    assert fillproof("audit", "desk-1", "absent", "--waivers", desk / "waivers.toml").exit_code == 2


def test_a_waiver_with_a_case_is_left_to_verify(desk: Path) -> None:
    (desk / "waivers.toml").write_text(WAIVER.replace("failed = 1", 'case = "late.case.json"'))
    assert fillproof("audit", "desk-0", "--waivers", desk / "waivers.toml").exit_code == 0
    assert fillproof("audit", "desk-1", "--waivers", desk / "waivers.toml").exit_code == 1


@pytest.mark.parametrize(
    ("change", "field", "wanted"),
    [
        (('law = "latency_is_respected"', ""), "waiver.law", "not empty"),
        (("latency_is_respected", "latency_is_respekted"), "waiver.law", "latency_is_respected"),
        (("latency_is_respected", "equals_reference"), "waiver.law", "latency_is_respected"),
        (("latency_is_respected", "*"), "waiver.law", "latency_is_respected"),
        (('"ticket 812"', '""'), "waiver.reason", "not empty"),
        (('"ticket 812"', '"  "'), "waiver.reason", "not empty"),
        (('reason = "ticket 812"', ""), "waiver.reason", "not empty"),
        (('"desk-*"', '""'), "waiver.scope", "not empty"),
        (('"desk-*"', "[]"), "waiver.scope", "not empty"),
        (("expires = 2027-03-31", ""), "waiver.expires", "2027-03-31"),
        (("2027-03-31", '"2027-03-31"'), "waiver.expires", "without quotes"),
        (("2027-03-31", "2027-03-31T00:00:00Z"), "waiver.expires", "without quotes"),
        (("2027-03-31", "2027-02-31"), "text", "TOML"),
        (("failed = 1", ""), "waiver.failed", "exactly one of"),
        (("failed = 1", 'failed = 1\ncase = "x"'), "waiver.failed", "exactly one of"),
        (("failed = 1", "failed = 0"), "waiver.failed", "at least 1"),
        (("failed = 1", "failed = true"), "waiver.failed", "at least 1"),
        (("failed = 1", "failed = 1.0"), "waiver.failed", "at least 1"),
        (("failed = 1", "case = 1"), "waiver.case", "not empty"),
        (("failed = 1", "failed = 1\nforever = true"), "waiver.forever", "one of law"),
        (("[[waiver]]", "[waiver]"), "waiver", "tables"),
        (("[[waiver]]", "[[waivers]]"), "waivers", "tables"),
        ((WAIVER, "waiver = 3"), "waiver", "tables"),
        ((WAIVER, WAIVER * 2), "waiver", "another law or scope than in row 1"),
        ((WAIVER, "\x00"), "text", "TOML"),
    ],
)
def test_a_malformed_waiver_is_refused_before_anything_is_judged(
    desk: Path, change: tuple[str, str], field: str, wanted: str
) -> None:
    (desk / "waivers.toml").write_text(WAIVER.replace(*change))
    with pytest.raises(InputError) as caught:
        read_waivers(desk / "waivers.toml")
    assert caught.value.field == field
    assert wanted in caught.value.wanted
    result = fillproof("audit", "desk-1", "--waivers", desk / "waivers.toml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1


def test_waivers_that_are_not_there_are_2(desk: Path) -> None:
    assert fillproof("audit", "desk-1", "--waivers", desk / "absent.toml").exit_code == 2


def test_a_file_without_waivers_excuses_nothing(desk: Path) -> None:
    (desk / "waivers.toml").write_text("")
    assert fillproof("audit", "desk-1", "--waivers", desk / "waivers.toml").exit_code == 1
    assert fillproof("audit", "desk-0", "--waivers", desk / "waivers.toml").exit_code == 0


EARLY = """
import simcore
from dataclasses import replace

def simulate(scenario):
    return [replace(fill, ns=max(1, fill.ns - 1)) for fill in simcore.simulate(scenario)]

def honest(scenario):
    return simcore.simulate(scenario)
"""


def pinned(folder: Path, law: str = "latency_is_respected") -> Path:
    """A case that the simulator of ``EARLY`` fails, and the file that waives it."""
    (folder / "early.py").write_text(dedent(EARLY))
    got = [replace(fill, ns=fill.ns - 1) for fill in reference(SCENARIO)]
    case = Case(scenario=SCENARIO, law=law, expected=reference(SCENARIO), got=got)
    (folder / "cases").mkdir()
    write_case(case, folder / "cases" / case_name(case))
    text = WAIVER.replace("desk-*", "*early.py:*").replace("failed = 1", f'case = "cases/{case_name(case)}"')
    (folder / "waivers.toml").write_text(text)
    return folder / "waivers.toml"


def held(path: Path, simulator: str, on: date = TODAY) -> tuple[list[str], list[str]]:
    excused, wrong = held_cases(read_waivers(path), simulator, still_failing, on=on)
    return list(excused), [complaint.word for complaint in wrong]


def test_a_pinned_case_must_still_fail(tmp_path: Path) -> None:
    path = pinned(tmp_path)
    assert held(path, f"{tmp_path}/early.py:simulate") == (["latency_is_respected"], [])
    assert held(path, f"{tmp_path}/early.py:honest") == ([], ["stale"])
    assert held(path, "simcore:simulate") == ([], ["unmatched"])
    assert held(path, f"{tmp_path}/early.py:simulate", date(2027, 4, 1)) == ([], ["expired"])


def test_a_case_of_another_law_or_no_case_is_refused(tmp_path: Path) -> None:
    path = pinned(tmp_path, law="no_double_fill")
    with pytest.raises(InputError, match="a case of no_double_fill"):
        held(path, f"{tmp_path}/early.py:simulate")
    (tmp_path / "waivers.toml").write_text(WAIVER.replace("failed = 1", 'case = "absent.case.json"'))
    with pytest.raises(InputError, match="wanted a readable file"):
        held(path, f"{tmp_path}/early.py:simulate")


def suite(*laws: tuple[str, str], too_rare: tuple[str, ...] = ()) -> dict[str, Any]:
    """The suite's JSON, with ``(law, verdict)``; a law that is unknown because its test crashed is "crash"."""
    rows = [
        {
            "law": law,
            "kind": "law",
            "judged": 9,
            "verdict": "unknown" if verdict == "crash" else verdict,
            "reason": "the test crashed: x" if verdict == "crash" else "",
        }
        for law, verdict in laws
    ]
    worst = "fail" if "fail" in dict(laws).values() else "pass"
    return {"verdict": worst, "laws": rows, "too_rare": list(too_rare)}


@pytest.mark.parametrize(
    ("code", "told", "wanted"),
    [
        (1, suite(("a", "fail"), ("b", "pass")), (0, "pass")),
        (1, suite(("a", "fail"), ("b", "unknown")), (0, "unknown")),
        (1, suite(("a", "fail"), ("b", "pass"), too_rare=("x",)), (0, "unknown")),
        (1, suite(("a", "fail"), ("b", "fail")), (1, "fail")),
        (1, suite(("a", "fail"), ("b", "crash")), (1, "unknown")),
        (3, suite(("a", "fail"), ("b", "pass")), (1, "pass")),
        (1, suite(("a", "pass"), ("b", "fail")), (1, "fail")),
        (0, suite(("a", "pass"), ("b", "pass")), (0, "pass")),
    ],
)
def test_a_verification_without_its_excused_laws(code: int, told: dict[str, Any], wanted: tuple[int, str]) -> None:
    left, page = without({"a"}, code, told)
    assert page is not None
    assert (left, page["verdict"]) == wanted
    assert without({"a"}, 3, None) == (3, None)


def greedy_waivers(folder: Path) -> None:
    """A simulator whose fees are too high, and one that is mended; each law it breaks is pinned to a case."""
    text = """
        import simcore
        from dataclasses import replace

        def simulate(scenario):
            return [replace(fill, fee=(fill.fee or 0) + 1) for fill in simcore.simulate(scenario)]

        def mended(scenario):
            return simcore.simulate(scenario)
    """
    (folder / "greedy.py").write_text(dedent(text))
    waivers = ""
    for law in ("fees_follow_schedule", "equals_reference"):
        write_case(
            Case(scenario=SCENARIO, law=law, expected=reference(SCENARIO), got=None), folder / f"{law}.case.json"
        )
        waivers += f'[[waiver]]\nlaw = "{law}"\nreason = "ticket 9"\nexpires = 9999-12-31\ncase = "{law}.case.json"\n'
    (folder / "waivers.toml").write_text(waivers)


def verify(simulator: str, folder: Path, examples: int) -> subprocess.CompletedProcess[str]:
    options = ("--waivers", "waivers.toml", "-n", "0", "--examples", str(examples))
    command = [sys.executable, "-c", "from invariants.cli import main; main()", "verify", simulator, *options]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)


def test_verify_leaves_with_0_while_the_pinned_cases_fail(tmp_path: Path) -> None:
    greedy_waivers(tmp_path)
    done = verify("greedy.py:simulate", tmp_path, 20)
    assert done.returncode == 0, done.stdout
    assert "fees_follow_schedule: waived until 9999-12-31, fees_follow_schedule.case.json still fails: ticket 9" in (
        done.stdout.splitlines()
    )


def test_verify_fails_when_a_pinned_case_is_fixed(tmp_path: Path) -> None:
    greedy_waivers(tmp_path)
    done = verify("greedy.py:mended", tmp_path, 1)  # the case alone tells
    assert done.returncode == 1
    assert "stale: equals_reference.case.json does not fail any more" in done.stdout
