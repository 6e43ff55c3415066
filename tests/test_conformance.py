"""The installable suite, as a user runs it: honest and broken simulators, cases, exit codes."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from tables import scenario

from invariants.cases import NOT_REPEATABLE, read_case
from invariants.conformance.summary import Summary
from invariants.conformance.table import scenario_table
from invariants.conformance.tally import ANSWERS, Tally
from invariants.laws import LAWS
from invariants.relations import RELATIONS
from invariants.replay import still_failing
from invariants.tapes import FEATURES, Supports
from invariants.verify import exit_code
from simcore import InputError

ROOT = Path(__file__).resolve().parent.parent
THEIRS = """
    import ctypes
    import os
    from dataclasses import replace
    import simcore

    def under(scenario, **dials):
        return simcore.simulate(replace(scenario, rules=replace(scenario.rules, **dials)))

    def too_early(scenario):
        return under(scenario, latency_ns=max(scenario.rules.latency_ns - 1, 0))

    def too_large(scenario):
        return [replace(fill, size_lots=fill.size_lots + 1) for fill in simcore.simulate(scenario)]

    def crashing(scenario):
        if len(scenario.actions) > 1:
            raise RuntimeError("too much for me")
        return simcore.simulate(scenario)

    def tired(scenario):
        if len(scenario.tape) + len(scenario.actions) > 50:
            raise RuntimeError("too long for me")
        return simcore.simulate(scenario)

    def leaving(scenario):
        ctypes.CDLL(None)._exit(0)

    def aborting(scenario):
        os.abort()

    def hashed(scenario):
        return [replace(fill, price_ticks=fill.price_ticks + hash("salt") % 997) for fill in simcore.simulate(scenario)]

    calls = []

    def moody(scenario):
        calls.append(scenario)
        return simcore.simulate(scenario) if len(calls) % 7 else []
"""


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "CI": "1"}
    return subprocess.run([sys.executable, *words], cwd=cwd, env=env, capture_output=True, text=True, check=False)


def verify(simulator: str, *options: str, cwd: Path) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """``fillproof verify`` with few examples and no workers, and the JSON it wrote."""
    (cwd / "theirs.py").write_text(dedent(THEIRS))
    command = ("-c", "from invariants.verify import verify; verify()", simulator)
    done = run(*command, "--json", "told.json", "--examples", "30", "-n", "0", *options, cwd=cwd)
    told = cwd / "told.json"
    return done, json.loads(told.read_text()) if told.exists() else {}


def of_verdict(told: dict[str, Any], verdict: str) -> set[str]:
    return {law["law"] for law in told["laws"] if law["verdict"] == verdict}


def test_what_only_one_call_broke_is_told_as_it_was_seen_and_asked_again_many_times(tmp_path: Path) -> None:
    """The next call gives another answer, of which the law may hold."""
    done, told = verify("theirs:moody", cwd=tmp_path)
    assert done.returncode == 1
    broken = [law for law in told["laws"] if law["verdict"] == "fail"]
    assert {"crossed_orders_fill", "equals_reference", "rerun_is_identical"} <= {law["law"] for law in broken}
    assert not [law for law in broken if law["message"].endswith(": None") or "0 of 1 rows" in law["message"]]
    [case] = (tmp_path / ".fillproof" / "cases").glob("equals_reference-*.case.json")
    kept = read_case(case)
    assert kept.note == NOT_REPEATABLE
    assert len(list(kept.got or ())) < len(list(kept.expected))
    command = ("-c", "from invariants.replay import replay; replay()", str(case))
    done = run(*command, "--simulator", "theirs:moody", cwd=tmp_path)
    assert done.returncode == 1, done.stdout


@pytest.mark.parametrize("examples", [20, pytest.param(60, marks=pytest.mark.soak)])
def test_the_reference_breaks_nothing(tmp_path: Path, examples: int) -> None:
    done, told = verify("simcore:simulate", "--examples", str(examples), cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert [law["law"] for law in told["laws"]] == [
        "simulator_answers",
        *(law.name for law in LAWS),
        *(relation.name for relation in RELATIONS),
    ]
    assert of_verdict(told, "not applicable") == {
        "position_sums_fills",
        "orders_are_conserved",
        "cash_sums_fills",
        "pnl_reconciles",
        "run_is_complete",
        "totals_reconcile",
    }
    assert not of_verdict(told, "unknown")
    assert all(told["features"][name] >= examples // 3 for name in FEATURES)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["theirs.py", "told.json"]
    assert "verify: holds" in done.stdout


@pytest.mark.parametrize(
    "settings",
    [
        "python_files = check_*.py",
        "python_functions = check_*",
        "python_files = *.py\npython_classes = *\npython_functions = *",
        "empty_parameter_set_mark = fail_at_collect",
    ],
    ids=lambda settings: settings.replace("\n", ", "),
)
def test_the_suite_is_whole_whatever_a_project_calls_its_own_tests(tmp_path: Path, settings: str) -> None:
    """Beside tests of the project's own, which pass, a suite that is not collected would be a pass."""
    (tmp_path / "theirs.py").write_text(dedent(THEIRS))
    (tmp_path / "pytest.ini").write_text(f"[pytest]\nfilterwarnings = error\n{settings}\n")
    command = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", "invariants.conformance")
    done = run(*command, "--simulator", "theirs:too_early", "--examples", "5", cwd=tmp_path)
    assert done.returncode == 1, done.stdout
    assert "EqualsReference: " in done.stdout
    counts = re.findall(r"(\d+) (?:failed|passed|skipped|error)", done.stdout.splitlines()[-1])
    answers = exhaustive = 1
    assert sum(map(int, counts)) == answers + len(LAWS) + len(RELATIONS) + exhaustive


def test_the_failed_tests_are_the_broken_laws(tmp_path: Path) -> None:
    done, told = verify("theirs:too_early", "--examples", "60", cwd=tmp_path)
    assert done.returncode == 1
    assert {"latency_is_respected", "equals_reference"} <= of_verdict(told, "fail")
    assert of_verdict(told, "fail") <= {
        "latency_is_respected",
        "equals_reference",
        "crossed_orders_fill",
        "priority_is_respected",
        "fill_follows_submit",
        "no_fill_after_cancel",
        "unfillable_order",
        "quiet_events",
    }
    law = next(law for law in told["laws"] if law["law"] == "latency_is_respected")
    assert "fills row 1 ns=" in law["message"]
    assert "1 ns before arrival of 1" in done.stdout
    assert f"case: {law['case']}" in done.stdout
    assert "site-packages" not in done.stdout


def test_a_case_is_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done, told = direct(
        "theirs:too_large",
        "-k",
        "fill_size_equals_quote_size",
        "--case-dir",
        "kept ä",
        "--rules",
        "origin",
        cwd=tmp_path,
    )
    [law] = told["laws"]
    assert Path(law["case"]).parent == Path("kept ä")
    printed = [shlex.split(line) for line in done.stdout.splitlines() if line.startswith("replay: ")]
    options = ["--simulator", "theirs:too_large", "--rules", "origin"]
    assert ["replay:", "fillproof", "replay", law["case"], *options] in printed
    monkeypatch.chdir(tmp_path)
    assert "size_lots=2, but should be 1" in still_failing(law["case"], "theirs.py:too_large")
    assert still_failing(law["case"], "simcore:simulate") == ""
    assert "RuntimeError" in still_failing(law["case"], _raising(tmp_path))
    done = run(
        "-c",
        "from invariants.replay import replay; replay()",
        law["case"],
        "--simulator",
        "theirs:too_large",
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout.split()[:2]) == (1, ["still", "failing"])
    for broken, simulator in (
        (law["case"], "no_such:thing"),
        ("no.case.json", "simcore:simulate"),
        (_renamed(law["case"]), "simcore:simulate"),
    ):
        with pytest.raises(InputError):
            still_failing(broken, simulator)


def _raising(folder: Path) -> str:
    (folder / "raising.py").write_text("def simulate(scenario): raise RuntimeError\n")
    return f"{folder}/raising.py:simulate"


def _renamed(case: str) -> str:
    path = Path("renamed.case.json")
    path.write_text(Path(case).read_text().replace('"fill_size_equals_quote_size"', '"no_such_law"'))
    return str(path)


def test_a_crash_is_a_finding_and_acquits_no_law(tmp_path: Path) -> None:
    done, told = verify("theirs:crashing", cwd=tmp_path)
    assert done.returncode == 1
    assert of_verdict(told, "fail") == {"simulator_answers"}
    assert not of_verdict(told, "pass")
    assert "RuntimeError: too much for me" in done.stdout
    assert len(list(tmp_path.glob(".fillproof/cases/simulator_answers-*.case.json"))) <= 2


def test_a_crash_that_only_a_law_meets_still_fails(tmp_path: Path) -> None:
    done, told = direct("theirs:crashing", "-k", "latency_is_respected", cwd=tmp_path)
    assert done.returncode == 1
    assert told["verdict"] == "fail"


def test_a_crash_that_only_a_law_meets_is_kept_as_small_as_it_can_be(tmp_path: Path) -> None:
    _, told = direct("theirs:tired", "-k", "equals_reference", cwd=tmp_path)
    assert of_verdict(told, "fail") == {"simulator_answers"}
    [case] = tmp_path.glob(".fillproof/cases/simulator_answers-*.case.json")
    kept = read_case(case).scenario
    assert len(kept.tape) + len(kept.actions) == 51


def test_a_crash_after_many_events_is_shown_with_its_scenario(tmp_path: Path) -> None:
    done, told = direct("theirs:tired", "--examples", "600", "-k", "answer", cwd=tmp_path)
    assert of_verdict(told, "fail") == {"simulator_answers"}
    assert "the smallest scenario found" in done.stdout


@pytest.mark.parametrize(("simulator", "ended"), [("theirs:leaving", "code 0"), ("theirs:aborting", "SIGABRT")])
def test_a_simulator_that_ends_the_process_is_said_to(tmp_path: Path, simulator: str, ended: str) -> None:
    done, told = verify(simulator, cwd=tmp_path)
    assert (done.returncode, told) == (3, {})
    assert f"not judged: the suite's process ended with {ended} before it told anything" in done.stdout


def test_a_simulator_that_ends_a_worker_is_shown_how_to_see_the_scenario(tmp_path: Path) -> None:
    done, told = verify("theirs:aborting", "-n", "1", cwd=tmp_path)
    assert (done.returncode, of_verdict(told, "fail")) == (1, {"simulator_answers"})
    assert "fillproof verify 'cmd:python -m invariants.drivers.serve theirs:aborting'" in done.stdout


def test_a_crowd_that_arrives_at_once_is_not_named_one_by_one() -> None:
    submits = [f"5 submit {n} BUY 100 1" for n in range(1, 301)]
    row = scenario_table(scenario("\n".join([*submits, "7 trade - - 100 1"]), latency_ns=2)).splitlines()[-1]
    assert row.endswith("arrival of 103, and 294 more")


def test_where_there_is_no_case_none_is_named() -> None:
    """A worker that died with the simulator left none."""
    tally = Tally(ANSWERS, "answers", "fail", message="SimulatorCrashed: it took its whole process down")
    summary = Summary("theirs:leaving", None, Supports(), "0", (tally,))
    assert not any("case:" in line for line in summary.lines())


@pytest.mark.parametrize(
    ("shards", "reason"),
    [
        ([{"scenarios": 2}, {"scenarios": 5, "cut_short": "the time was used up"}],
         "stopped after 7 scenarios: the time was used up"),
        ([{"scenarios": 2, "cut_short": "late"}, {"scenarios": 5, "unanswered": 1, "failure": "it hung"},
          {"scenarios": 6, "unanswered": 3, "failure": "it crashed"}],
         "4 of 13 scenarios got no answer: it hung"),
    ],
)  # fmt: skip
def test_the_reason_of_all_shards_counts_what_their_row_counts(shards: list[dict[str, Any]], reason: str) -> None:
    tallies = [Tally("exhaustive", "exhaustive", **counts, exercised=1) for counts in shards]
    for tally in tallies:
        tally.conclude()
    row = Summary("theirs:slow", None, Supports(), "0", tuple(tallies)).rows[-1]
    assert (row.verdict, row.scenarios) == ("unknown", sum(counts["scenarios"] for counts in shards))
    assert row.reason == reason


def test_an_answer_that_hangs_on_the_hash_seed_is_no_rerun(tmp_path: Path) -> None:
    _, told = direct("theirs:hashed", "-k", "rerun_is_identical", cwd=tmp_path)
    assert of_verdict(told, "fail") == {"rerun_is_identical"}


def test_what_is_declared_is_not_left(tmp_path: Path) -> None:
    (tmp_path / "modest.py").write_text(
        dedent("""
        import simcore
        RULES = {"ttl_ns": "none", "sizing": "shared"}
        SUPPORTS = {"cancels": False}
        def simulate(scenario):
            assert scenario.rules == simcore.Rules.from_dict(RULES), scenario.rules
            assert not any(isinstance(a, simcore.Cancel) for a in scenario.actions)
            return simcore.simulate(scenario)
    """)
    )
    done, told = verify("modest.py:simulate", "--examples", "40", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert {"fill_size_equals_quote_size", "no_fill_after_expiry"} <= of_verdict(told, "not applicable")
    assert "cancels (SUPPORTS)" in told["not_verified"]
    assert "trade at expiry" in told["not_verified"]


def test_a_small_world_is_exhausted(tmp_path: Path) -> None:
    done, told = direct("theirs:too_early", "-k", "exhaustive", "--exhaustive", "2", cwd=tmp_path)
    assert done.returncode == 1
    assert of_verdict(told, "fail") == {"exhaustive"}
    _, told = direct("simcore:simulate", "-k", "exhaustive", "--exhaustive", "2", cwd=tmp_path)
    row = told["laws"][0]
    assert (row["verdict"], row["judged"]) == ("pass", row["scenarios"])


def test_workers_and_their_number_change_no_verdict(tmp_path: Path) -> None:
    some = ("theirs:too_early", "-k", "latency or reference or shift or answers")
    alone, shared = (direct(*some, "-n", workers, cwd=tmp_path)[1] for workers in ("0", "2"))
    assert len(alone["laws"]) == 5
    for told in (alone, shared):
        for law in told["laws"]:
            del law["seconds"]
    assert alone == shared


def test_time_is_used_up_and_no_more(tmp_path: Path) -> None:
    _, told = direct(
        "simcore:simulate", "-k", "time_is_ordered or latency_is_respected", "--max-time", "3", cwd=tmp_path
    )
    seconds = [law["seconds"] for law in told["laws"]]
    assert len(seconds) == 2
    assert 1.5 < sum(seconds) < 4
    # how many is the machine's affair
    assert all(law["scenarios"] > 10 for law in told["laws"])


@pytest.mark.parametrize(
    ("simulator", "options"),
    [
        ("no_such_module:simulate", ()),
        ("simcore:simulate", ("--rules", "no-such-rules")),
        ("simcore:simulate", ("--examples", "0")),
        ("simcore:simulate", ("--max-time", "nan")),
        ("simcore:simulate", ("--no-such-option",)),
    ],
)
def test_a_wrong_command_is_exit_code_2(tmp_path: Path, simulator: str, options: tuple[str, ...]) -> None:
    done, _ = verify(simulator, *options, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("code", "judged", "verdict", "strict", "wanted"),
    [
        (0, 9, "pass", False, 0),
        (0, 9, "unknown", False, 0),
        (0, 9, "unknown", True, 3),
        (0, 0, "unknown", False, 3),
        (1, 9, "fail", False, 1),
        (1, 9, "pass", False, 3),
        (4, 9, "pass", False, 2),
        (2, 9, "pass", False, 130),
        (3, 9, "pass", False, 3),
    ],
)
def test_exit_codes(code: int, judged: int, verdict: str, strict: bool, wanted: int) -> None:
    told = {"verdict": verdict, "laws": [{"kind": "law", "judged": judged}]}
    assert exit_code(code, told, strict=strict) == wanted
    assert exit_code(0, None) == 3


def direct(simulator: str, *options: str, cwd: Path) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """The suite by pytest itself."""
    (cwd / "theirs.py").write_text(dedent(THEIRS))
    done = suite("--simulator", simulator, "--examples", "40", "--fillproof-json", "told.json", *options, cwd=cwd)
    return done, json.loads((cwd / "told.json").read_text())


def suite(*options: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    plugin = () if entry_points(group="pytest11", name="fillproof") else ("-p", "invariants.conformance.plugin")
    return run(
        "-m", "pytest", *plugin, "--pyargs", "invariants.conformance", "-p", "no:cacheprovider", *options, cwd=cwd
    )


def test_without_a_simulator_the_suite_says_what_it_needs(tmp_path: Path) -> None:
    done = suite(cwd=tmp_path)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "needs --simulator" in done.stderr


def test_pytest_writes_no_case_to_a_url(tmp_path: Path) -> None:
    done = suite("--simulator", "simcore:simulate", "--case-dir", "s3://bucket/cases", cwd=tmp_path)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--case-dir: got 's3://bucket/cases', wanted a path of this machine" in done.stderr


def test_the_plugin_costs_other_peoples_runs_nothing() -> None:
    check = "import sys, invariants.conformance.plugin; print(*({'numpy', 'hypothesis', 'simcore'} & set(sys.modules)))"
    assert run("-c", check, cwd=ROOT).stdout.strip() == ""


def test_a_simulator_in_a_process_of_its_own_does_without_hypothesis() -> None:
    """Three of them are started for each verification."""
    check = "import sys, invariants.drivers.serve; print('hypothesis' in sys.modules)"
    assert run("-c", check, cwd=ROOT).stdout.strip() == "False"
