"""The summary of a step: Markdown that shows the policy, and that no run's words can turn into anything else."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import date
from importlib.metadata import entry_points
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from click.testing import CliRunner, Result
from markdown_it import MarkdownIt

from invariants.auditing import audit
from invariants.cli import main
from invariants.outcome import Policy
from invariants.readers.bundle import write_bundle
from invariants.report import report_dict
from invariants.report.as_markdown import LARGEST_BYTES, fitting, md, summary_markdown
from invariants.verdict import Modelled
from invariants.waivers import Waiver
from simcore import Instrument, Rules, Run, Scenario, Side, Submit, Trade
from simcore import simulate as reference

TODAY = date(2027, 3, 31)
SCENARIO = Scenario(
    tape=(Trade(1250, 100, 2, Side.SELL), Trade(2250, 101, 3, Side.BUY)),
    actions=(Submit(1000, "O9", Side.BUY, 100, 2), Submit(2000, "O10", Side.SELL, 101, 3)),
    rules=Rules(latency_ns=250, ttl_ns=None, position_cap_lots=None),
)
GFM = MarkdownIt("commonmark", {"html": True}).enable("table").enable("strikethrough")
HOSTILES = [
    "<script>alert(1)</script>",
    "</details><h1>x",
    "| a | b |",
    "a\n\n# title",
    "[here](https://x.test)",
    "![x](https://x.test/pixel.png)",
    "https://x.test www.x.test a@x.test",
    "**bold** _thin_ ~~gone~~ `code`",
    "&lt;b&gt; &#60;b&#62;",
    "\\<b>\\",
    "\x1b[2J\u202e",
    "@somebody #1",
    "\ud800",
]


def early(fills: int = 1, name: str = "early") -> Run:
    """A run of which the first fills come a nanosecond too soon."""
    run = Run.from_scenario(SCENARIO, reference(SCENARIO), instrument=Instrument(), name=name)
    ns = run.fills.ns - (np.arange(len(run.fills)) < fills)
    return replace(run, fills=replace(run.fills, ns=ns, ns_to=ns))


def fillproof(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    for fills in range(3):
        write_bundle(early(fills, f"e{fills}"), tmp_path / f"e{fills}")
    return tmp_path


@pytest.mark.parametrize(
    ("strict", "words"), [(False, "holds (exit code 0)"), (True, "a law stayed unknown (exit code 3)")]
)
def test_an_unknown_law_under_strict_is_not_told_as_nothing_judged(strict: bool, words: str) -> None:
    text = summary_markdown(Policy(TODAY, strict=strict).outcome("run", audit(early(0))))
    assert text.startswith(f"### run: {words}\n")


def test_the_summary_tells_the_verdict_then_what_is_broken() -> None:
    text = summary_markdown(Policy(TODAY).outcome("early", audit(early())))
    lines = text.splitlines()
    assert lines[0] == "### early: a law is broken (exit code 1)"
    row = next(line for line in lines if "`latency_is_respected` |" in line)
    assert row.startswith("| **fail** | `latency_is_respected` | 2 | 1 | 0 | 0 | fills row 1 ns=1249, but should be")
    assert "1 ns too early" in text
    assert "- `no_double_fill`: 2 rows" in lines


def test_waivers_and_the_baseline_are_in_sight() -> None:
    waiver = Waiver("latency_is_respected", "ticket 812", TODAY, failed=1)
    page = report_dict(audit(early()))
    text = summary_markdown(Policy(TODAY, (waiver,)).outcome("early", audit(early()), page))
    assert text.startswith("### early: holds (exit code 0)")
    assert "| **fail**, waived | `latency_is_respected` |" in text
    assert "| **fail**, known | `fills_have_trades` |" in text
    assert r"- latency\_is\_respected: waived until 2027-03-31 (failed = 1): ticket 812" in text


def test_what_the_model_documents_is_in_sight() -> None:
    report = audit(early(0))
    model = (Modelled("at", 2, "https://x.test: own words"),)
    judgements = [
        replace(j, by_model=2, modelled=model) if j.law == "fills_have_trades" else j for j in report.judgements
    ]
    text = summary_markdown(Policy(TODAY).outcome("run", replace(report, judgements=tuple(judgements))))
    assert "| **pass** | `fills_have_trades` | 2 | 0 | 0 | 2 |" in text
    assert r"- fills\_have\_trades.at: 2: https:&#47;/x.test: own words" in text


@pytest.mark.parametrize("hostile", HOSTILES, ids=ascii)
def test_a_hostile_text_is_text(hostile: str) -> None:
    tokens = GFM.parse(f"| a |\n|---|\n| {md(hostile)} |\n")
    assert [token.type for token in tokens if token.type == "td_open"] == ["td_open"]
    (cell,) = [token for token in tokens if token.type == "inline" and token.content != "a"]
    assert cell.children is not None
    assert {child.type for child in cell.children} <= {"text", "text_special"}
    assert "://" not in md(hostile)
    md(hostile).encode()


@pytest.mark.parametrize("hostile", HOSTILES, ids=ascii)
def test_a_hostile_run_has_the_summary_of_any_other(hostile: str) -> None:
    run = early(name=hostile)
    run = replace(run, files={"fills": hostile}, orders=replace(run.orders, order_id=np.array([hostile, "b"], object)))
    text = summary_markdown(Policy(TODAY).outcome(hostile, audit(run)))
    plain = summary_markdown(Policy(TODAY).outcome("early", audit(early())))
    kinds = [[token.type for token in GFM.parse(page)] for page in (text, plain)]
    assert kinds[0] == kinds[1]


def test_the_summary_goes_below_what_the_step_said(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (runs / "step.md").write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(runs / "step.md"))
    assert fillproof("audit", "e0", "e1", "absent", "--summary").exit_code == 2
    tokens = GFM.parse((runs / "step.md").read_text())
    assert tokens[1].content == "before"
    assert [tokens[at + 1].content for at, token in enumerate(tokens) if token.type == "heading_open"] == [
        "e0: holds (exit code 0)",
        "e1: a law is broken (exit code 1)",
        "absent: wrong input (exit code 2)",
    ]


def test_the_summary_goes_to_the_file_that_is_named(runs: Path) -> None:
    for _ in range(2):
        assert fillproof("audit", "e0", "--summary-file", "s.md").exit_code == 0
    assert (runs / "s.md").read_text().count("###") == 1


def test_a_waiver_that_excuses_nothing_is_told_first(runs: Path) -> None:
    text = '[[waiver]]\nlaw = "no_double_fill"\nreason = "r"\nexpires = 9999-12-31\nfailed = 4\n'
    (runs / "waivers.toml").write_text(text)
    assert fillproof("audit", "e0", "--waivers", "waivers.toml", "--summary-file", "s.md").exit_code == 1
    assert (runs / "s.md").read_text().startswith("### Waivers that excuse nothing\n\n- waivers.toml waiver 1 ")


@pytest.mark.parametrize("value", [None, "", "absent/step.md"])
def test_no_step_is_2(runs: Path, monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    if value is not None:
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", value)
    result = fillproof("audit", "e0", "--summary")
    assert result.exit_code == 2
    assert "GITHUB_STEP_SUMMARY" in result.stderr
    assert runs


def test_a_summary_that_github_would_drop_is_cut() -> None:
    parts = ["x" * 400_000 + "\n"] * 5
    text = fitting(parts)
    assert len(text.encode()) <= LARGEST_BYTES
    assert text.endswith("3 of 5 parts of this summary were left out: it would be too large.\n")
    assert fitting(parts[:2]) == "".join(parts[:2])
    assert len(fitting(parts, 100).encode()) <= 100


@pytest.mark.parametrize("option", ["--json", "--html"])
def test_several_runs_need_a_folder(runs: Path, option: str) -> None:
    suffix = option.replace("--", ".")
    (runs / "there.txt").write_text("mine")
    for target in (f"new{suffix}", "there.txt"):
        result = fillproof("audit", "e0", "e1", option, target)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == (
            f"fillproof: command line: {option}: got 'the file {target}', wanted a folder: there are several PATHs\n"
        )
    assert (runs / "there.txt").read_text() == "mine"
    assert fillproof("audit", "e0", "e1", option, "there.txt/in").exit_code == 2
    assert fillproof("audit", "e0", "e1", option, "reports").exit_code == 1
    assert sorted(path.name for path in (runs / "reports").iterdir()) == [f"1-e0{suffix}", f"2-e1{suffix}"]


def test_the_baseline_of_several_runs_is_the_folder_that_json_wrote(runs: Path) -> None:
    assert fillproof("audit", "e1", "e2", "--json", "before").exit_code == 1
    assert fillproof("audit", "e1", "e2", "--baseline", "before").exit_code == 0
    assert fillproof("audit", "e1", "e2", "e1", "--baseline", "before").exit_code == 1
    result = fillproof("audit", "e1", "e2", "--baseline", "before/1-e1.json")
    assert (result.exit_code, "--baseline" in result.stderr) == (2, True)
    (runs / "before" / "1-e1.json").write_text("{}")
    assert fillproof("audit", "e1", "e2", "--baseline", "before").exit_code == 2


def test_one_path_twice_is_two_runs(runs: Path) -> None:
    result = fillproof("audit", "e0", "e0", "--json", "reports")
    assert result.exit_code == 0
    assert sorted(path.name for path in (runs / "reports").iterdir()) == ["1-e0.json", "2-e0.json"]
    assert [line.split()[:2] for line in result.stdout.splitlines()[-2:]] == [["e0", "0"], ["e0", "0"]]


def test_junit_is_pytests(tmp_path: Path) -> None:
    options = (
        "--simulator",
        "simcore:simulate",
        "--examples",
        "5",
        "-k",
        "latency or mirror",
        "--junitxml",
        "junit.xml",
    )
    plugin = () if entry_points(group="pytest11", name="fillproof") else ("-p", "invariants.conformance.plugin")
    command = [sys.executable, "-m", "pytest", *plugin, "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "--pyargs", "invariants.conformance", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": ":".join(sys.path), "PATH": ""},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    names = [case.get("name") for case in ET.parse(tmp_path / "junit.xml").iter("testcase")]  # noqa: S314 - our own
    assert sorted(names, key=str) == ["test_law[latency_is_respected]", "test_relation[mirror]"]
