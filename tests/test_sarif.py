"""SARIF: valid against the schema of the standard, a place for every finding, and the policy in sight."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner, Result

from invariants.auditing import Report, audit
from invariants.cli import main
from invariants.laws import LAWS
from invariants.outcome import Policy
from invariants.readers.bundle import write_bundle
from invariants.report import report_dict
from invariants.report.as_sarif import sarif_bytes, sarif_run, sarif_unread
from invariants.report.lines import line_of
from invariants.verdict import Modelled
from invariants.waivers import Complaint, Waiver
from simcore import InputError, Instrument, Rules, Run, Scenario, Side, Submit, Trade
from simcore import simulate as reference
from simcore.run import Rejected

TODAY = date(2027, 3, 31)
SCENARIO = Scenario(
    tape=(Trade(1250, 100, 2, Side.SELL), Trade(2250, 101, 3, Side.BUY)),
    actions=(Submit(1000, "O9", Side.BUY, 100, 2), Submit(2000, "O10", Side.SELL, 101, 3)),
    rules=Rules(latency_ns=250, ttl_ns=None, position_cap_lots=None),
)
SCHEMA = json.loads((files("invariants.report") / "sarif-2.1.0.json").read_text(encoding="utf-8"))
EARLY = Waiver("latency_is_respected", "ticket 812", TODAY, failed=1)
HOSTILE = "\x1b[2J</script>[here](https://x.test) {0} \u202e\ud800 é\n"


def early(fills: int = 1, name: str = "early", **more: Any) -> Run:
    """A run of which the first fills come a nanosecond too soon."""
    run = Run.from_scenario(SCENARIO, reference(SCENARIO), instrument=Instrument(), name=name)
    ns = run.fills.ns - (np.arange(len(run.fills)) < fills)
    return replace(run, fills=replace(run.fills, ns=ns, ns_to=ns), **more)


def log_of(*runs: dict[str, Any], complaints: tuple[Complaint, ...] = ()) -> dict[str, Any]:
    """The file as a reader sees it, valid against the schema."""
    log: dict[str, Any] = json.loads(sarif_bytes(runs, complaints))
    jsonschema.Draft4Validator(SCHEMA).validate(log)
    return log


def sarif(report: Report, *, waivers: tuple[Waiver, ...] | None = None, before: Report | None = None) -> dict[str, Any]:
    page = None if before is None else report_dict(before)
    run: dict[str, Any] = log_of(sarif_run(Policy(TODAY, waivers).outcome("early", report, page)))["runs"][0]
    return run


def of_law(run: dict[str, Any], law: str) -> list[dict[str, Any]]:
    return [result for result in run["results"] if result["ruleId"] == law]


def fillproof(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_the_schema_is_one_and_refuses() -> None:
    jsonschema.Draft4Validator.check_schema(SCHEMA)
    assert len(SCHEMA["definitions"]) == 52
    for wrong in ({}, {"version": "2.1.0"}, {"version": "2.0.0", "runs": []}, {"version": "2.1.0", "runs": [{}]}):
        assert not jsonschema.Draft4Validator(SCHEMA).is_valid(wrong)


def test_every_law_is_a_rule_and_every_finding_a_result() -> None:
    report = audit(early(2))
    run = sarif(report)
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [law.name for law in LAWS]
    assert [rule["shortDescription"]["text"] for rule in rules] == [law.statement for law in LAWS]
    (first, second) = of_law(run, "latency_is_respected")
    assert rules[first["ruleIndex"]]["id"] == "latency_is_respected"
    assert (first["kind"], first["level"]) == ("fail", "error")
    assert first["message"]["text"].startswith("fills row 1 ns=1249, but should be at least 1250")
    assert "1 ns too early" in first["message"]["text"]
    assert first["partialFingerprints"] != second["partialFingerprints"]
    assert len(run["results"]) == sum(judgement.failed for judgement in report.judgements)
    assert run["properties"]["laws"]["latency_is_respected"] == {
        "verdict": "fail",
        "judged": 2,
        "failed": 2,
        "undecided": 0,
        "by_model": 0,
    }


def test_a_law_that_holds_has_no_result_and_an_unknown_one_a_notification() -> None:
    run = sarif(audit(early()))
    told = {note["associatedRule"]["id"] for note in run["invocations"][0]["toolExecutionNotifications"]}
    assert told == {j.law for j in audit(early()).judgements if j.verdict.value == "unknown"}
    assert not told & {result["ruleId"] for result in run["results"]}


# the file of the fills, the row -> the line
@pytest.mark.parametrize(
    ("file", "line"),
    [("run/fills.csv", 2), ("run/fills.csv.gz", 2), ("run/markers.jsonl", 1), ("run/fills.parquet", 1), ("fills", 1)],
)
def test_the_line_is_that_of_the_row(file: str, line: int) -> None:
    (result,) = of_law(sarif(audit(early(files={"fills": file}))), "latency_is_respected")
    place = result["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": file}, "region": {"startLine": line}}
    assert result["properties"] == {"table": "fills", "row": 1}


# what stands in the file -> the line of its second row
@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("ns,note\n1,\n2,\n", 3),
        ("ns,note\n\n1,\n\n\n2,\n", 6),
        ("ns,note\r\n\r\n1,\r\n2,\r\n", 4),
        ('ns,note\n1,"a\nb"\n2,c\n', 4),
        ('"n\ns",note\n1,\n2,\n', 4),
        ('ns,note\n1,"never closed\n', 3),
        ("ns,note\n\n1,\n", 3),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_blank_lines_and_line_breaks_in_cells_are_lines(
    tmp_path: Path, text: str, line: int, pack: Callable[[bytes], bytes]
) -> None:
    file = tmp_path / ("fills.csv" if pack is bytes else "fills.csv.gz")
    file.write_bytes(pack(text.encode()))
    run = early(files={"fills": str(file)})
    run = replace(run, fills=replace(run.fills, row=run.fills.row + 1))
    (result,) = of_law(sarif(audit(run)), "latency_is_respected")
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": line}


def test_a_finding_about_a_whole_file_has_no_line_but_a_place() -> None:
    run = early(0, exit_code=1, files={"run": "run.toml"})
    (result,) = of_law(sarif(audit(run)), "run_is_complete")
    assert list(result["locations"][0]["physicalLocation"]) == ["artifactLocation"]


@pytest.mark.parametrize(
    ("file", "uri"),
    [
        ("a b/fills.csv", "a%20b/fills.csv"),
        ("a:b.csv", "a%3Ab.csv"),
        ("50%.csv", "50%25.csv"),
        ("#1?.csv", "%231%3F.csv"),
        ("../other/fills.csv", "../other/fills.csv"),
        ("日本.csv", "%E6%97%A5%E6%9C%AC.csv"),
        ("\udcff.csv", "%FF.csv"),
        ("s3://bucket/a b.csv", "s3://bucket/a%20b.csv"),
        ("https://x.test/50%25/100%.csv", "https://x.test/50%25/100%25.csv"),
    ],
)
def test_a_place_is_a_uri(file: str, uri: str) -> None:
    (result,) = of_law(sarif(audit(early(files={"fills": file}))), "latency_is_respected")
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == uri


def test_a_place_is_relative_to_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for file, uri in (("here/a.csv", "a.csv"), ("there/a.csv", f"file://{tmp_path}/there/a.csv")):
        (result,) = of_law(sarif(audit(early(files={"fills": str(tmp_path / file)}))), "latency_is_respected")
        assert unquote(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]) == uri


def test_a_waived_finding_is_suppressed_with_its_reason() -> None:
    run = sarif(audit(early()), waivers=(EARLY,))
    (waived,) = of_law(run, "latency_is_respected")
    justification = "ticket 812 (waived until 2027-03-31, failed = 1)"
    assert waived["suppressions"] == [{"kind": "external", "status": "accepted", "justification": justification}]
    assert of_law(run, "fills_have_trades")[0]["suppressions"] == []
    assert all("suppressions" not in result for result in sarif(audit(early()))["results"])


def test_a_stale_waiver_suppresses_nothing_and_is_told() -> None:
    stale = replace(EARLY, failed=7)
    run = sarif_run(Policy(TODAY, (stale,)).outcome("early", audit(early())))
    log = log_of(run, complaints=(Complaint(stale, "stale", "pinned to 7"),))
    assert of_law(log["runs"][0], "latency_is_respected")[0]["suppressions"] == []
    (note,) = log["runs"][0]["invocations"][0]["toolConfigurationNotifications"]
    assert (note["level"], "stale: pinned to 7" in note["message"]["text"]) == ("error", True)


def test_a_baseline_tells_new_from_known() -> None:
    run = sarif(audit(early(2)), before=audit(early(1)))
    assert [r["baselineState"] for r in of_law(run, "latency_is_respected")] == ["unchanged", "new"]
    again = sarif(audit(early(2)), before=audit(early(2)))
    assert {result["baselineState"] for result in again["results"]} == {"unchanged"}
    assert all("baselineState" not in result for result in sarif(audit(early()))["results"])


def by_model(count: int) -> Report:
    report = audit(early(0))
    model = Modelled("at", count, "https://x.test: a trade at the limit fills")
    judgements = tuple(
        replace(j, by_model=count, modelled=(model,)) if j.law == "fills_have_trades" else j for j in report.judgements
    )
    return replace(report, judgements=judgements)


def test_what_the_model_documents_is_information_and_no_failure() -> None:
    (result,) = of_law(sarif(by_model(2)), "fills_have_trades")
    assert (result["kind"], result["level"]) == ("informational", "none")
    assert "2 rows" in result["message"]["text"]
    assert "https://x.test: a trade at the limit fills" in result["message"]["text"]
    for before, state in ((audit(early(0)), "new"), (by_model(2), "unchanged"), (by_model(1), "updated")):
        assert of_law(sarif(by_model(2), before=before), "fills_have_trades")[0]["baselineState"] == state


def test_rejected_rows_are_told_and_the_list_is_capped() -> None:
    rows = tuple(Rejected("fills", "fills.csv", row, "price", "nan", "a finite number") for row in range(1, 71))
    run = sarif(audit(early(rejected=rows, read={"tape": 2, "orders": 2, "fills": 72})))
    told = [note for note in run["invocations"][0]["toolExecutionNotifications"] if "associatedRule" not in note]
    assert len(told) == 51
    assert told[0]["message"]["text"].startswith("70 rows could not be judged")
    assert told[1]["locations"][0]["physicalLocation"]["region"] == {"startLine": 2}


def test_hostile_strings_are_text() -> None:
    rows = (Rejected("fills", HOSTILE, 1, HOSTILE, HOSTILE, HOSTILE),)
    waiver = replace(EARLY, reason=HOSTILE, file=HOSTILE)
    run = early(name=HOSTILE, files={"fills": HOSTILE}, inputs={HOSTILE: "0" * 64}, rejected=rows)
    made = sarif_run(Policy(TODAY, (waiver,)).outcome(HOSTILE, audit(run)))
    unread = sarif_unread(HOSTILE, InputError(field=HOSTILE, got=HOSTILE, wanted=HOSTILE))
    texts = list(strings(log_of(made, unread, complaints=(Complaint(waiver, "stale", HOSTILE),))))
    assert not {"\x1b", "\u202e", "\ud800"} & set("".join(texts))
    told = [text for text in texts if "here" in text and text.startswith(("fills", "\\x1b"))]
    assert any("\\[here\\](https://x.test)" in text for text in told)


def strings(value: Any) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from strings(item)


def test_fingerprints_do_not_move_with_the_folder() -> None:
    one, two = (sarif(audit(early(files={"fills": f"{folder}/fills.csv"}))) for folder in "ab")
    assert [r["partialFingerprints"] for r in one["results"]] == [r["partialFingerprints"] for r in two["results"]]


def test_several_runs_are_one_file_with_a_category_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for fills in range(2):
        write_bundle(early(fills, name="a/b"), tmp_path / f"run{fills}")
    result = fillproof("audit", "run0", "absent", "run1", "--sarif", "out.sarif")
    assert result.exit_code == 2
    log = json.loads((tmp_path / "out.sarif").read_text())
    jsonschema.Draft4Validator(SCHEMA).validate(log)
    assert [run["automationDetails"]["id"] for run in log["runs"]] == [
        "fillproof/1-a-b/",
        "fillproof/2-absent/",
        "fillproof/3-a-b/",
    ]
    assert [run["invocations"][0]["exitCode"] for run in log["runs"]] == [0, 2, 1]
    assert [run["invocations"][0]["executionSuccessful"] for run in log["runs"]] == [True, False, True]
    artifact = log["runs"][0]["artifacts"][0]
    assert artifact["location"]["uri"].startswith("run0/")
    assert len(artifact["hashes"]["sha-256"]) == 64
    again = fillproof("audit", "run0", "absent", "run1", "--sarif", "again.sarif")
    assert again.exit_code == 2
    assert (tmp_path / "again.sarif").read_bytes() == (tmp_path / "out.sarif").read_bytes()


def test_a_file_that_cannot_be_written_is_2(tmp_path: Path) -> None:
    write_bundle(early(0), tmp_path / "run")
    result = fillproof("audit", tmp_path / "run", "--sarif", tmp_path / "absent" / "out.sarif")
    assert result.exit_code == 2
    assert "out.sarif" in result.stderr


def test_a_pipe_is_not_read_for_its_lines(tmp_path: Path) -> None:
    """Nobody writes into it any more: to open it would wait for ever."""
    os.mkfifo(tmp_path / "fills.csv")
    assert line_of(str(tmp_path / "fills.csv"), 3) == 4
