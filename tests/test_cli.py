"""The command line: four exit codes, one line for what is wrong, nothing but text where there is no terminal."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from invariants.cli import main
from invariants.laws import LAWS
from invariants.laws.catalogue import Law
from invariants.outcome import Exit, worst
from invariants.pages import HEADS, sections
from invariants.readers.bundle import write_bundle
from invariants.reading import busy, counting
from invariants.report import read_report
from invariants.simulate import logged_run
from invariants.verify import cleared
from simcore import InputError, Instrument, Rules, Run, Scenario, Side, Submit, Trade
from simcore import simulate as reference

SCENARIO = Scenario(
    tape=(Trade(1250, 100, 2, Side.SELL), Trade(2000, 101, 3, Side.BUY)),
    actions=(Submit(1000, "O9", Side.BUY, 100, 2), Submit(1000, "O10", Side.SELL, 101, 3)),
    rules=Rules(latency_ns=250, ttl_ns=None, position_cap_lots=None),
)


def fillproof(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def honest() -> Run:
    return logged_run(SCENARIO, reference(SCENARIO), Instrument())


def early() -> Run:
    run = honest()
    ns = run.fills.ns - np.array([1, 0])
    return replace(run, fills=replace(run.fills, ns=ns, ns_to=ns))


def mute() -> Run:
    """A run that says nothing: no rows, no rules."""
    nothing = Scenario(rules=SCENARIO.rules)
    return Run.from_scenario(nothing, [])


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    for make in (honest, early, mute):
        write_bundle(make(), tmp_path / make.__name__)
    return tmp_path


@pytest.mark.parametrize(("name", "code"), [("honest", 0), ("early", 1), ("absent", 2), ("mute", 3)])
def test_audit_answers_with_an_exit_code(bundles: Path, name: str, code: int) -> None:
    result = fillproof("audit", bundles / name)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    assert "\x1b" not in result.output


def test_an_unknown_law_is_3_under_strict_only(bundles: Path) -> None:
    rules = bundles / "rules.toml"
    rules.write_text('latency_ns = 250\nttl_ns = "none"\nposition_cap_lots = "none"\nundeclared = ["cross"]\n')
    assert fillproof("audit", bundles / "honest", "--rules", rules).exit_code == 0
    assert fillproof("audit", bundles / "honest", "--rules", rules, "--strict").exit_code == 3
    several = fillproof("audit", bundles / "honest", bundles / "mute", "--rules", rules, "--strict")
    words = [" ".join(line.split()[1:]) for line in several.stdout.splitlines()[-2:]]
    assert words[0].startswith("3 a law stayed unknown ")
    assert words[1].startswith("3 nothing judged ")
    assert fillproof("audit", bundles / "early", "--rules", rules, "--strict").exit_code == 1


def test_wrong_input_is_one_readable_line_on_standard_error(bundles: Path) -> None:
    toml = bundles / "honest" / "run.toml"
    toml.write_text(toml.read_text().replace("fillproof-run/1", "fillproof-run/9"))
    result = fillproof("audit", bundles / "honest")
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("fillproof: ")
    assert all(part in line for part in ("run.toml", "format", "fillproof-run/9", "wanted 'fillproof-run/1'"))


@pytest.mark.parametrize(
    "arguments",
    [
        (), ("audit",), ("audit", "x", "--max-findings", "-1"), ("audit", "x", "--max-findings", "many"),
        ("judge",), ("simulate", "x"), ("simulate", "x", "--out", "y", "--refresh", "-1"),
        ("simulate", "x", "--out", "y", "--tick", "1"), ("laws", "no_such_law"), ("laws", "a", "b"),
        ("audit", "absent", "--baseline", "absent.json"), ("audit", "absent", "--reader", "absent"),
        ("audit", "absent", "--rules", "absent"), ("simulate", "absent.csv", "--out", "y"),
        ("simulate", "absent.csv", "--out", "y", "--tick", "nan", "--lot", "1"), ("demo", "--day", "2"),
    ],
)  # fmt: skip
def test_a_wrong_command_or_input_is_2_without_a_traceback(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = fillproof(*arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (("demo",), "--out"), (("simulate", "x"), "--out"), (("convert", "x"), "--out"),
        (("verify", "simcore:simulate"), "--case-dir"), (("verify", "simcore:simulate"), "--json"),
        *((("audit", "x"), name) for name in ("--json", "--html", "--sarif", "--summary-file", "--resume")),
        (("audit", "x", "--map", "price=p"), "--save-map"), (("compare", "x", "y"), "--json"),
        (("diagnose", "x"), "--json"), (("diagnose", "x"), "--html"), (("calibrate", "x"), "--json"),
    ],
)  # fmt: skip
def test_nothing_is_written_to_a_url(
    command: tuple[str, ...], option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a path it would be a folder ``s3:`` here, and nothing there."""
    monkeypatch.chdir(tmp_path)
    result = fillproof(*command, option, "s3://me:secret@bucket/x")
    assert (result.exit_code, result.stdout) == (2, "")
    told = f"fillproof: command line: {option}: got 's3://bucket/x', wanted a path of this machine\n"
    assert result.stderr == told
    assert list(tmp_path.iterdir()) == []


URL = "s3://me:secret@bucket/x?signature=secret"
HERE = "wanted a path of this machine"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        *((command, "s3://bucket/x: path: got 'a URL', ") for command in (
            ("audit", URL, "--tape", "x"), ("audit", URL, "--map", "price=p"), ("audit", URL, "--reader", "nautilus"),
            ("diagnose", URL), ("convert", URL, "--out", "y"), ("compare", URL, URL),
        )),
        *(((*command, "--rules", URL), "command line: --rules: got 's3://bucket/x', ") for command in (
            ("audit", "x"), ("diagnose", "x"), ("convert", "x", "--out", "y"), ("compare", "x", "x"),
            ("simulate", "x", "--out", "y"), ("verify", "simcore:simulate"), ("calibrate", "x"),
            ("replay", "x", "--simulator", "simcore:simulate"),
        )),
        *((("audit", "x", name, URL), f"command line: {name}: got 's3://bucket/x', ") for name in (
            "--baseline", "--waivers",
        )),
        *((command, "command line: path: got 's3://bucket/x', ") for command in (
            ("replay", URL, "--simulator", "simcore:simulate"), ("calibrate", URL),
        )),
    ],
)  # fmt: skip
def test_a_url_where_a_path_is_wanted_is_named_as_it_was_given(command: tuple[str, ...], told: str) -> None:
    """Not as a path of this machine that is not there, and without its secrets."""
    result = fillproof(*command)
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"fillproof: {told}{HERE}")
    assert line.endswith("machine") or "a URL is read by `fillproof audit` alone" in line


def test_several_runs_give_a_table_and_the_worst_code(bundles: Path) -> None:
    result = fillproof("audit", *(bundles / name for name in ("honest", "early", "mute")))
    assert result.exit_code == 1
    table = [" ".join(line.split()[1:]) for line in result.stdout.splitlines()[-3:]]
    words = ("0 holds 2 unknown", "1 a law is broken 2 broken", "3 nothing judged ")
    assert all(line.startswith(start) for line, start in zip(table, words, strict=True)), table
    assert fillproof("audit", bundles / "honest", bundles / "mute").exit_code == 3
    wrong = fillproof("audit", bundles / "early", bundles / "absent")
    assert wrong.exit_code == 2
    assert "latency_is_respected" in wrong.stdout


def test_a_path_that_the_system_refuses_leaves_the_others_judged(bundles: Path) -> None:
    result = fillproof("audit", "x" * 300, bundles / "early")
    assert result.exit_code == 2
    assert result.stderr.endswith("x: path: got 'File name too long', wanted a run that can be read\n")
    assert result.stdout.splitlines()[-1].split()[:2] == [str(bundles / "early"), "1"]


def test_a_path_that_is_the_tape_s_is_no_run(bundles: Path) -> None:
    """A shell's ``runs/*`` names the tape's folder, too."""
    tape = bundles / "tapes"
    tape.mkdir()
    (tape / "trades.csv").write_text("ns,price,size\n1250,100,5\n")
    result = fillproof("audit", bundles / "honest", tape, tape / "trades.csv", "--tape", tape)
    assert "not audited: 2 paths that are the tape's" in result.stderr
    assert result.exit_code != 2


@pytest.mark.parametrize(
    ("codes", "code"), [((), 0), ((0, 0), 0), ((0, 3), 3), ((3, 1), 1), ((1, 0), 1), ((1, 2), 2), ((2, 3), 2)]
)
def test_the_worst_code_of_several(codes: tuple[int, ...], code: int) -> None:
    assert worst(codes) is Exit(code)


def test_json_and_html_are_written_whole(bundles: Path) -> None:
    result = fillproof("audit", bundles / "early", "--json", bundles / "r.json", "--html", bundles / "r.html")
    assert result.exit_code == 1
    page = read_report(bundles / "r.json")
    assert page["verdict"] == "fail"
    assert all(len(digest) == 64 for digest in page["inputs"].values())
    assert "latency_is_respected" in (bundles / "r.html").read_text()
    again = fillproof("audit", bundles / "early", "--json", bundles / "again.json")
    assert again.exit_code == 1
    assert (bundles / "r.json").read_bytes() == (bundles / "again.json").read_bytes()


def test_several_runs_write_into_a_folder(bundles: Path) -> None:
    fillproof("audit", bundles / "honest", bundles / "early", "--json", bundles / "reports")
    assert sorted(path.name for path in (bundles / "reports").iterdir()) == ["1-honest.json", "2-early.json"]


def test_a_report_that_cannot_be_written_is_2(bundles: Path) -> None:
    result = fillproof("audit", bundles / "honest", "--json", bundles / "absent" / "r.json")
    assert result.exit_code == 2
    assert "r.json" in result.stderr


def test_what_the_baseline_knows_does_not_fail(bundles: Path) -> None:
    fillproof("audit", bundles / "early", "--json", bundles / "before.json")
    result = fillproof("audit", bundles / "early", "--baseline", bundles / "before.json")
    assert result.exit_code == 0
    assert "latency_is_respected: broken as the baseline knows it" in result.stdout


def test_what_the_baseline_does_not_know_fails(bundles: Path) -> None:
    fillproof("audit", bundles / "early", "--json", bundles / "before.json")
    run = early()
    ns = run.fills.ns - np.array([0, 1])
    write_bundle(replace(run, fills=replace(run.fills, ns=ns, ns_to=ns)), bundles / "worse")
    assert fillproof("audit", bundles / "worse", "--baseline", bundles / "before.json").exit_code == 1
    fillproof("audit", bundles / "honest", "--json", bundles / "clean.json")
    assert fillproof("audit", bundles / "early", "--baseline", bundles / "clean.json").exit_code == 1


def test_a_capped_baseline_hides_no_new_finding(bundles: Path) -> None:
    fillproof("audit", bundles / "early", "--json", bundles / "before.json", "--max-findings", "0")
    run = early()
    ns = run.fills.ns - np.array([0, 1000])
    write_bundle(replace(run, fills=replace(run.fills, ns=ns, ns_to=ns)), bundles / "worse")
    result = fillproof("audit", bundles / "worse", "--baseline", bundles / "before.json", "--max-findings", "0")
    assert result.exit_code == 1


def test_a_crash_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash() -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("invariants.pages.catalogue", crash)
    result = fillproof("laws")
    assert result.exit_code == 3
    assert "RuntimeError: boom" in result.stderr
    assert "a bug in fillproof" in result.stderr


@pytest.mark.parametrize("streams", [">&-", "2>&-", ">&- 2>&-", "2>/dev/full"])
@pytest.mark.parametrize(("name", "code"), [("early", 1), ("absent", 2)])
def test_a_stream_that_is_closed_or_full_changes_no_exit_code(
    bundles: Path, streams: str, name: str, code: int
) -> None:
    program = f'"{sys.executable}" -c "from invariants.cli import main; main()"'
    line = f'{program} audit "{bundles}/{name}" "{bundles}/honest" {streams}'
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, "" if "2>" in streams else done.stderr)


@pytest.mark.parametrize(
    ("command", "victim"),
    [
        ("audit honest --json", "honest/fills.parquet"),
        ("audit honest --html", "honest/tape.parquet"),
        ("audit honest early --sarif", "early/run.toml"),
        ("audit honest --workers 1 --summary-file", "honest/orders.parquet"),
        ("audit honest --rules rules.toml --json", "rules.toml"),
        ("diagnose honest --json", "honest/fills.parquet"),
        ("diagnose honest --rules rules.toml --html", "rules.toml"),
        ("compare honest early --json", "early/fills.parquet"),
        ("compare honest report.json --json", "report.json"),
        ("audit table.csv --map ns=when --save-map", "table.csv"),
        ("verify simulator.py:simulate --json", "simulator.py"),
        ("verify simulator:simulate --json", "simulator.py"),
        ("verify cmd:./simulator.py --json", "simulator.py"),
    ],
)
def test_nothing_is_written_over_what_is_read(
    bundles: Path, monkeypatch: pytest.MonkeyPatch, command: str, victim: str
) -> None:
    monkeypatch.chdir(bundles)
    Path("rules.toml").write_text("latency_ns = 250\n")
    Path("table.csv").write_text("when,side,price,size\n1767571200000000000,buy,100,1\n")
    Path("simulator.py").write_text("from simcore import simulate\n")
    assert fillproof("audit", "honest", "--json", "report.json").exit_code == 0
    before = Path(victim).read_bytes()
    Path("link").symlink_to(victim)
    for target in (victim, bundles / victim, "link"):
        result = fillproof(*command.split(), target)
        assert (result.exit_code, Path(victim).read_bytes()) == (2, before)
        assert "wanted a file that is not read" in result.stderr


def test_two_reports_need_two_files_and_a_baseline_may_be_renewed(bundles: Path) -> None:
    new = bundles / "new"
    result = fillproof("audit", bundles / "honest", "--json", new, "--html", new)
    assert (result.exit_code, new.exists()) == (2, False)
    assert "wanted another file than that of --html" in result.stderr or "that of --json" in result.stderr
    for more in ([], ["--baseline", new]):
        assert fillproof("audit", bundles / "early", "--json", new, *more).exit_code == (0 if more else 1)
    assert (
        fillproof("audit", bundles / "honest", bundles / "early", "--json", bundles, "--html", bundles).exit_code == 1
    )


def test_what_verify_left_before_is_gone_and_a_device_stays(tmp_path: Path) -> None:
    file, link, pipe = tmp_path / "told.json", tmp_path / "link.json", tmp_path / "pipe"
    file.write_text("{}")
    link.symlink_to(file)
    os.mkfifo(pipe)
    assert cleared(link, ()) == file
    assert (file.exists(), link.is_symlink()) == (False, True)
    assert cleared(pipe, ()) == pipe
    assert pipe.is_fifo()
    with pytest.raises(InputError, match="Is a directory"):
        cleared(tmp_path, ())


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("laws", 130),
        ("laws time_is_ordered", 130),
        ("--help", 130),
        ("--version", 130),
        ("audit --help", 130),
        ("nothing", 2),
        ("audit", 2),
        ("audit x --workers 0", 2),
        ("audit x --workers many", 2),
    ],
)
def test_a_reader_who_has_left_is_told_no_verdict(command: str, code: int) -> None:
    """As ``| head`` leaves; click and rich would both exit with 1."""
    reader, pipe = os.pipe()
    os.close(reader)
    program = [sys.executable, "-c", "from invariants.cli import main; main()", *command.split()]
    done = subprocess.run(program, stdout=pipe, stderr=pipe, check=False)
    os.close(pipe)
    assert done.returncode == code


EACH = """
import ast, sys
from invariants.cli import main
codes = []
for command in ast.literal_eval(sys.argv[1]):
    try:
        main(command)
    except SystemExit as left:
        codes.append(left.code)
sys.exit(max(codes))
"""
"""Runs some commands in one process, and leaves with the worst of their codes."""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_path_has_letters_that_the_output_lacks(bundles: Path, encoding: str) -> None:
    paths = [
        str(shutil.copytree(bundles / "early", bundles / name)) for name in ("\u65e5\u672c", "\udcff", "\x1b[31m\n")
    ]
    commands = (["audit", *paths], ["compare", *paths[:2]], ["convert", paths[1], "--out", paths[1] + "2"])
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    program = [sys.executable, "-c", EACH, ascii(commands)]
    done = subprocess.run(program, capture_output=True, check=False, env=environment)
    assert b"Traceback" not in done.stderr
    assert done.returncode in (0, 1, 2)
    assert b"\x1b" not in done.stdout


def test_two_long_paths_stay_apart_in_the_table(bundles: Path) -> None:
    folder = bundles / ("long" * 20) / ("longer" * 10)
    for name in ("honest", "early"):
        shutil.copytree(bundles / name, folder / name)
    said = fillproof("audit", folder / "honest", folder / "early").stdout
    assert "…" not in said
    assert [line.split()[0] for line in said.splitlines()[-2:]] == [str(folder / name) for name in ("honest", "early")]


@pytest.mark.parametrize("path", ["runs[/bold]", "[red]runs", "\x1b]0;title\x07", "runs\\"])
@pytest.mark.parametrize("bar", [busy, counting])
def test_a_path_may_look_like_mark_up(monkeypatch: pytest.MonkeyPatch, bar: Any, path: str) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    with bar(f"judging {path}", alone=True):
        pass
    assert "\x1b]0;" not in terminal.getvalue()
    assert not path.startswith(("runs", "[")) or f"judging {path}" in terminal.getvalue()


def test_an_interrupt_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("invariants.pages.catalogue", interrupt)
    assert fillproof("laws").exit_code == 130


def test_the_catalogue_lists_every_law() -> None:
    result = fillproof("laws")
    assert result.exit_code == 0
    assert all(law.name in result.stdout for law in LAWS)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_every_law_has_a_page(law: Law) -> None:
    result = fillproof("laws", law.name)
    assert result.exit_code == 0
    assert law.name in result.stdout
    assert [title for title, body in sections(law.doc) if body] == list(HEADS)


def test_a_misspelled_law_is_answered_with_its_neighbours() -> None:
    assert "latency_is_respected" in fillproof("laws", "latency_respected").stderr
    assert "wanted the name of a law, perhaps run_is_complete" in fillproof("laws", "nope").stderr


@pytest.mark.parametrize("command", ["demo", "simulate", "verify", "audit", "replay", "laws"])
def test_every_command_has_help(command: str) -> None:
    result = fillproof(command, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: ")


def test_help_is_quick_because_nothing_heavy_is_imported() -> None:
    heavy = "hypothesis", "pandas", "pyarrow", "pytest", "rich"
    code = f"import sys, invariants.cli; print([m for m in {heavy} if m in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert json.loads(done.stdout.replace("'", '"')) == []
