"""The report: valid against its own schema, the same bytes every time, and read back strictly."""

from __future__ import annotations

import copy
import json
import os
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from invariants.auditing import audit
from invariants.report import (
    print_report,
    read_report,
    report_bytes,
    report_dict,
    report_frame,
    report_html,
    report_page,
    report_text,
    schema,
    write_atomically,
)
from simcore import InputError, Instrument, Rules, Scenario, Side, Submit, Trade
from simcore import simulate as reference
from simcore.frames import UNJUDGED
from simcore.run import Rejected, Run

RULES = Rules(latency_ns=250, ttl_ns=None, position_cap_lots=None)
SCENARIO = Scenario(
    tape=(Trade(1250, 100, 2, Side.SELL), Trade(2000, 101, 3, Side.BUY)),
    actions=(Submit(1000, "O9", Side.BUY, 100, 2), Submit(1000, "O10", Side.SELL, 101, 3)),
    rules=RULES,
)


def honest() -> Run:
    return Run.from_scenario(SCENARIO, reference(SCENARIO), instrument=Instrument(), name="honest")


def early() -> Run:
    """The first fill comes a nanosecond before its order arrives."""
    run = honest()
    ns = run.fills.ns - np.array([1, 0])
    return replace(run, fills=replace(run.fills, ns=ns, ns_to=ns), name="early")


def with_rejected(count: int) -> Run:
    rows = range(1, count + 1)
    lost = tuple(Rejected("fills", "fills.csv", row, "price", float("nan"), "a finite number") for row in rows)
    return replace(honest(), rejected=lost, read={"tape": 2, "orders": 2, "fills": 2 + count})


@pytest.mark.parametrize("run", [honest(), early(), with_rejected(70)], ids=["honest", "early", "rejected"])
def test_every_report_is_valid_against_the_schema(run: Run, tmp_path: Path) -> None:
    report = audit(run)
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.Draft202012Validator(schema()).validate(report_dict(report))
    write_atomically(tmp_path / "report.json", report_bytes(report))
    assert read_report(tmp_path / "report.json") == report_dict(report)


def test_the_same_run_gives_the_same_bytes() -> None:
    assert report_bytes(audit(early())) == report_bytes(audit(early()))
    keys = [list(json.loads(report_bytes(audit(early()))))]
    assert keys == [sorted(keys[0])]


def test_read_is_judged_plus_rejected_and_the_list_is_capped_with_an_exact_total() -> None:
    page = report_dict(audit(with_rejected(70)))
    assert page["rows"]["fills"] == {"read": 72, "judged": 2, "rejected": 70}
    assert page["rejected"]["total"] == 70
    assert len(page["rejected"]["rows"]) == 50
    assert page["rejected"]["rows"][0] == {
        "table": "fills",
        "file": "fills.csv",
        "row": 1,
        "field": "price",
        "got": "nan",
        "wanted": "a finite number",
        "law": "values_are_valid",
    }


def test_what_no_law_looks_at_is_listed() -> None:
    reported = {f"{UNJUDGED}market orders": Decimal(3), "fills": Decimal(2)}
    report = audit(replace(honest(), reported=reported))
    assert report_dict(report)["unjudged"] == {"market orders": "3"}
    jsonschema.validate(report_dict(report), schema())
    for told in (report_text(report), report_page(report)):
        assert "Counted, and judged by no law" in told
        assert "market orders" in told


def test_findings_are_capped_and_counts_are_not() -> None:
    page = report_dict(audit(with_rejected(70), max_findings=5))
    law = next(law for law in page["laws"] if law["law"] == "values_are_valid")
    assert (law["verdict"], law["failed"], len(law["findings"])) == ("fail", 70, 5)


def test_text_tells_the_verdict_first_then_the_broken_law_with_its_story() -> None:
    text = report_text(audit(early()))
    first, *_ = text.splitlines()
    assert first.startswith(" FAIL  early: ")
    assert "latency_is_respected: 1 of 2 rows" in text
    assert "ns=1249, but should be at least 1250" in text
    assert "Yet it fills at 1249 ns, 1 ns too early." in " ".join(text.split())
    assert text.index("Broken") < text.index("Could not tell") < text.index("Hold")
    assert "\x1b" not in text


def test_a_hostile_name_reaches_neither_terminal_nor_page() -> None:
    run = replace(early(), name="\x1b[2J<script>alert(1)</script>[red]")
    report = audit(run)
    assert "\x1b" not in report_text(report)
    assert "[red]" in report_text(report)
    for html in (report_html(report), report_page(report)):
        assert "<script>" not in html
        assert "\x1b" not in html


def test_print_report_uses_colour_on_a_terminal_only(capsys: pytest.CaptureFixture[str]) -> None:
    print_report(audit(early()))
    assert "\x1b" not in capsys.readouterr().out


def test_frame_has_one_row_a_law() -> None:
    frame = report_frame(audit(early()))
    assert frame.loc["latency_is_respected", "verdict"] == "fail"
    assert frame.loc["latency_is_respected", "failed"] == 1


def test_a_narrow_text_leaves_nothing_out() -> None:
    report = audit(replace(early(), inputs={f"{'runs/' * 9}{'long' * 9}.csv": "0123456789abcdef" * 4}))
    told = report_text(report, width=20)
    assert "…" not in told
    rows = [line.split() for line in told.partition("Inputs")[2].partition("Versions")[0].splitlines()]
    assert "".join(row[1] for row in rows if len(row) == 2) == "0123456789abcdef" * 4


def test_a_device_or_a_pipe_takes_the_bytes_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    for place in (pipe, tmp_path / "link"):
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        write_atomically(place, b"{}")
        assert os.read(reader, 9) == b"{}"
        os.close(reader)
    assert pipe.is_fifo()
    assert (tmp_path / "link").is_symlink()


def test_what_a_link_names_is_replaced_and_not_the_link(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_bytes(b"before")
    (tmp_path / "latest.json").symlink_to("report.json")
    write_atomically(tmp_path / "latest.json", b"{}")
    assert (tmp_path / "latest.json").is_symlink()
    assert (tmp_path / "report.json").read_bytes() == b"{}"


def test_write_leaves_nothing_half_done(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="wanted a place that can be written"):
        write_atomically(tmp_path / "absent" / "report.json", b"{}")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError):
        write_atomically(tmp_path / "folder", b"{}")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


GOOD = report_dict(audit(early()))
BROKEN = next(i for i, law in enumerate(GOOD["laws"]) if law["verdict"] == "fail")
UNKNOWN = next(i for i, law in enumerate(GOOD["laws"]) if law["verdict"] == "unknown")
PASSED = next(i for i, law in enumerate(GOOD["laws"]) if law["verdict"] == "pass")
ABSENT = object()
LAW = ("laws", BROKEN)
FINDING = (*LAW, "findings", 0)

# where, what stands there (ABSENT: taken away), the field that the error names, a word of what it wants
MALFORMED = [
    ((), [], "report", "object"),
    ((), None, "report", "object"),
    (("format",), ABSENT, "format", "required"),
    (("format",), "fillproof-report/2", "format", "const fillproof-report/1"),
    (("format",), 1, "format", "const fillproof-report/1"),
    (("name",), ABSENT, "name", "required"),
    (("name",), 7, "name", "string"),
    (("verdict",), ABSENT, "verdict", "required"),
    (("verdict",), "fine", "verdict", "one of"),
    (("verdict",), "not applicable", "verdict", "one of"),
    (("verdict",), "pass", "verdict", "'fail'"),
    (("laws",), ABSENT, "laws", "required"),
    (("laws",), {}, "laws", "array"),
    (("laws",), [], "verdict", "'unknown'"),
    (LAW, "latency_is_respected", f"laws[{BROKEN}]", "object"),
    ((*LAW, "law"), ABSENT, f"laws[{BROKEN}].law", "required"),
    ((*LAW, "law"), "Latency!", f"laws[{BROKEN}].law", "pattern"),
    ((*LAW, "law"), GOOD["laws"][BROKEN - 1]["law"], f"laws[{BROKEN}].law", "each law once"),
    ((*LAW, "verdict"), "FAIL", f"laws[{BROKEN}].verdict", "one of"),
    ((*LAW, "judged"), ABSENT, f"laws[{BROKEN}].judged", "required"),
    ((*LAW, "judged"), -1, f"laws[{BROKEN}].judged", "at least 0"),
    ((*LAW, "judged"), 1.5, f"laws[{BROKEN}].judged", "integer"),
    ((*LAW, "judged"), "2", f"laws[{BROKEN}].judged", "integer"),
    ((*LAW, "judged"), True, f"laws[{BROKEN}].judged", "integer"),
    ((*LAW, "judged"), 0, f"laws[{BROKEN}].failed", "0 rows judged"),
    ((*LAW, "failed"), 0, f"laws[{BROKEN}].failed", "at least 1"),
    ((*LAW, "undecided"), None, f"laws[{BROKEN}].undecided", "integer"),
    ((*LAW, "by_model"), 99, f"laws[{BROKEN}].by_model", "rows judged"),
    ((*LAW, "reason"), None, f"laws[{BROKEN}].reason", "string"),
    (("laws", UNKNOWN, "reason"), "", f"laws[{UNKNOWN}].reason", "not empty"),
    (("laws", PASSED, "failed"), 1, f"laws[{PASSED}].failed", "0"),
    ((*LAW, "findings"), ABSENT, f"laws[{BROKEN}].findings", "required"),
    ((*LAW, "findings"), [GOOD["laws"][BROKEN]["findings"][0]] * 3, f"laws[{BROKEN}].findings", "rows failed"),
    ((*FINDING, "message"), "", f"laws[{BROKEN}].findings[0].message", "not empty"),
    ((*FINDING, "row"), 0, f"laws[{BROKEN}].findings[0].row", "at least 1"),
    ((*FINDING, "row"), "6", f"laws[{BROKEN}].findings[0].row", "integer or null"),
    ((*FINDING, "file"), ABSENT, f"laws[{BROKEN}].findings[0].file", "required"),
    ((*FINDING, "colour"), "red", f"laws[{BROKEN}].findings[0].colour", "one of"),
    (("rules",), [], "rules", "object"),
    (("instrument", "tick_size"), 1, "instrument.tick_size", "string"),
    (("instrument", "lot_size"), "-1", "instrument.lot_size", "pattern"),
    (("rows", "fills", "read"), 99, "rows.fills.read", "judged + rejected, 2"),
    (("rows", "fills", "judged"), ABSENT, "rows.fills.judged", "required"),
    (("rejected", "total"), -1, "rejected.total", "at least 0"),
    (("rejected", "rows"), [{}], "rejected.rows[0].table", "required"),
    (("smells",), {}, "smells", "array"),
    (("smells", 0, "values"), {"min": "low"}, "smells[0].values.min", "number or null"),
    (("inputs",), {"run.toml": "abc"}, "inputs.run.toml", "pattern"),
    (("versions", "numpy"), ABSENT, "versions.numpy", "required"),
    (("versions", "numpy"), 2, "versions.numpy", "string"),
    (("when",), "2000-01-01", "when", "one of"),
]


@pytest.mark.parametrize(("where", "value", "field", "wanted"), MALFORMED)
def test_a_malformed_report_is_refused_by_name(
    where: tuple[str | int, ...], value: Any, field: str, wanted: str, tmp_path: Path
) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(_changed(GOOD, where, value)))
    with pytest.raises(InputError) as caught:
        read_report(path)
    assert caught.value.file == str(path)
    assert caught.value.field == field
    assert wanted in caught.value.wanted
    assert repr(caught.value.got) not in ("", None)


def _changed(page: Any, where: tuple[str | int, ...], value: Any) -> Any:
    if not where:
        return value
    page = copy.deepcopy(page)
    *way, last = where
    place = page
    for step in way:
        place = place[step]
    if value is ABSENT:
        del place[last]
    else:
        place[last] = value
    return page


@pytest.mark.parametrize(
    ("data", "got", "wanted"),
    [
        (b"", "line 1 column 1", "JSON"),
        (b"{", "Expecting property name", "JSON"),
        (b'{\n "format": fillproof\n}', "line 2", "JSON"),
        (b"\xff\xfe", "byte 0", "UTF-8"),
        (b'{"judged": NaN}', "NaN", "finite"),
        (b'{"judged": Infinity}', "Infinity", "finite"),
        (b'{"laws": [], "laws": []}', "'laws' twice", "each key once"),
        (b'{"judged": ' + b"9" * 5000 + b"}", "digits", "JSON"),
        (b"[" * 100_000, "nesting", "JSON"),
    ],
)
def test_text_that_is_no_report_is_refused(data: bytes, got: str, wanted: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_report(path)
    assert caught.value.file == str(path)
    assert got in caught.value.got
    assert wanted in caught.value.wanted


def test_an_absent_report_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.json"):
        with pytest.raises(InputError, match="wanted a readable report"):
            read_report(path)
