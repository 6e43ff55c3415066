"""Comparing two audits, and converting an output into a bundle that is judged alike."""

from __future__ import annotations

import io
import json
from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from invariants.auditing import audit
from invariants.cli import main
from invariants.compare import Change, Comparison
from invariants.readers.bundle import read_bundle, write_bundle
from invariants.readers.kinds import READERS
from invariants.report import report_bytes, report_dict, write_atomically
from simcore import Instrument, Rules, Run, Scenario, Side, Submit, Trade
from simcore import simulate as reference
from simcore.run import Rejected

SHARED = Path(__file__).parent.parent.parent / "shared" / "engines"
SCENARIO = Scenario(
    tape=(Trade(1250, 100, 2, Side.SELL), Trade(2250, 101, 3, Side.BUY)),
    actions=(Submit(1000, "O9", Side.BUY, 100, 2), Submit(2000, "O10", Side.SELL, 101, 3)),
    rules=Rules(latency_ns=250, ttl_ns=None, position_cap_lots=None),
)


def early(fills: int, name: str = "run") -> Run:
    """A run of which the first fills come a nanosecond too soon."""
    run = Run.from_scenario(SCENARIO, reference(SCENARIO), instrument=Instrument(), name=name)
    ns = run.fills.ns - (np.arange(len(run.fills)) < fills)
    return replace(run, fills=replace(run.fills, ns=ns, ns_to=ns))


def fillproof(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Bundles and reports of runs with none, one and two fills that are too early."""
    monkeypatch.chdir(tmp_path)
    for fills in range(3):
        write_bundle(early(fills), tmp_path / f"e{fills}")
        write_atomically(tmp_path / f"e{fills}.json", report_bytes(audit(early(fills))))
    write_bundle(replace(Run.from_scenario(Scenario(rules=SCENARIO.rules), [])), tmp_path / "mute")
    return tmp_path


def law(verdict: str, failed: int = 0) -> dict[str, Any]:
    return {"verdict": verdict, "failed": failed, "judged": 9, "undecided": 0, "by_model": 0}


# verdict and failed rows in A, in B -> what changed, and whether that is exit code 1
@pytest.mark.parametrize(
    ("a", "b", "word", "code"),
    [
        (law("pass"), law("pass"), "", 0),
        (law("fail", 2), law("fail", 2), "", 0),
        (law("pass"), law("fail", 2), "worse", 1),
        (law("unknown"), law("fail", 2), "worse", 1),
        (law("not applicable"), law("fail", 2), "worse", 1),
        (law("pass"), law("unknown"), "worse", 1),
        (law("fail", 2), law("pass"), "better", 0),
        (law("fail", 2), law("unknown"), "better", 0),
        (law("unknown"), law("pass"), "better", 0),
        (law("fail", 2), law("fail", 3), "more rows broken", 1),
        (law("fail", 3), law("fail", 2), "fewer rows broken", 0),
        (law("not applicable"), law("pass"), "other", 0),
        (law("pass"), law("not applicable"), "other", 0),
        (law("not applicable"), law("unknown"), "other", 0),
        (None, law("fail", 2), "only in B", 0),
        (law("pass"), None, "only in A", 0),
    ],
)
def test_how_a_law_changes(a: dict[str, Any] | None, b: dict[str, Any] | None, word: str, code: int) -> None:
    assert Change("some_law", a, b).word == word
    pages = [{"laws": [{"law": "held", **law("pass")}, *([{"law": "some_law", **x}] if x else [])]} for x in (a, b)]
    assert Comparison(*pages).exit_code == code


@pytest.mark.parametrize(("a", "b"), [("e0", "e1"), ("e0.json", "e1.json"), ("e0", "e1.json"), ("e0.json", "e1")])
def test_a_law_that_got_worse_is_1_and_the_way_back_0(runs: Path, a: str, b: str) -> None:
    forth = fillproof("compare", a, b)
    assert forth.exit_code == 1, forth.output
    row = next(line for line in forth.stdout.splitlines() if line.startswith("latency_is_respected"))
    assert row.split() == ["latency_is_respected", "pass", "2", "fail", "1", "of", "2", "worse"]
    assert forth.stdout.splitlines()[-1] == "worse: latency_is_respected, fills_have_trades"
    back = fillproof("compare", b, a)
    assert back.exit_code == 0
    assert back.stdout.splitlines()[-1] == "better: latency_is_respected, fills_have_trades"
    assert runs


def test_nothing_changed_is_0(runs: Path) -> None:
    result = fillproof("compare", "e1", "e1.json")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "no law changed")
    assert runs


def test_the_comparison_as_json(runs: Path) -> None:
    assert fillproof("compare", "e1", "e2", "--json", "c.json").exit_code == 1
    page = json.loads((runs / "c.json").read_text())
    assert (page["format"], page["a"]["path"], page["b"]["verdict"]) == ("fillproof-compare/1", "e1", "fail")
    changed = {row["law"]: row for row in page["laws"] if row["change"] != "none"}
    # with no fill at the instant of a trade, two more laws have nothing to judge
    unjudged = ["trade_fills_an_order_once", "crossed_orders_fill"]
    assert page["worse"] == list(changed) == ["latency_is_respected", "fills_have_trades", *unjudged]
    row = changed["latency_is_respected"]
    assert (row["change"], row["a"]["failed"], row["b"]["failed"]) == ("more rows broken", 1, 2)


def test_a_hostile_name_that_is_compared_with_nothing_is_text(runs: Path) -> None:
    for side, name in (("A", "\x1b[31mred"), ("B", "other")):
        write_bundle(early(0), runs / side / "same")
        write_bundle(early(0), runs / side / name)
    result = CliRunner().invoke(main, ["compare", str(runs / "A"), str(runs / "B")], color=True)
    assert result.exit_code == 0
    assert "compared with nothing" in result.stdout
    assert "\x1b[31mred" not in result.stdout


def test_a_narrow_terminal_is_told_both_verdicts() -> None:
    console = Console(file=io.StringIO(), width=24)
    with console.capture() as captured:
        console.print(Comparison(*(report_dict(audit(early(fills))) for fills in (0, 2))).table())
    assert {"pass", "fail"} <= set(captured.get().split())


def test_nothing_judged_on_either_side_is_3(runs: Path) -> None:
    assert fillproof("compare", "mute", "mute").exit_code == 3
    assert fillproof("compare", "mute", "e0").exit_code == 0
    assert fillproof("compare", "e0", "mute").exit_code == 1
    assert runs


@pytest.mark.parametrize("wrong", ["absent", "broken.json", "e0/fills.parquet", "."])
def test_what_is_neither_run_nor_report_is_2(runs: Path, wrong: str) -> None:
    text = (runs / "e0.json").read_text()
    (runs / "broken.json").write_text(text.replace('"judged": 2', '"judged": -2', 1))
    for pair in ((wrong, "e0"), ("e0", wrong)):
        result = fillproof("compare", *pair)
        assert (result.exit_code, result.stdout) == (2, "")
        assert len(result.stderr.splitlines()) == 1


def test_rules_and_versions_that_differ_are_told(runs: Path) -> None:
    page = json.loads((runs / "e0.json").read_text())
    page["versions"]["fillproof"] = "0.0.1"
    page["rules"]["latency_ns"] = 7
    page["engine"] = {"name": "some engine", "version": "1.2"}
    (runs / "old.json").write_text(json.dumps(page))
    said = fillproof("compare", "old.json", "e0").stdout.splitlines()
    assert said[0].startswith("A: old.json (run, some engine 1.2): ")
    assert "the rules differ: latency_ns" in said
    assert any(line.startswith("judged by fillproof 0.0.1 and ") for line in said)


def test_a_law_that_one_version_did_not_know_is_shown(runs: Path) -> None:
    page = json.loads((runs / "e1.json").read_text())
    page["laws"] = [row for row in page["laws"] if row["law"] != "latency_is_respected"]
    (runs / "old.json").write_text(json.dumps(page))
    result = fillproof("compare", "old.json", "e1")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "only in B: latency_is_respected"


def test_folders_of_runs_are_compared_by_name(runs: Path) -> None:
    for version, fills in (("v1", (0, 1)), ("v2", (0, 2))):
        for name, count in zip(("a", "b"), fills, strict=True):
            write_bundle(early(count), runs / version / name)
    write_bundle(early(0), runs / "v2" / "c")
    result = fillproof("compare", "v1", "v2", "--json", "c.json")
    assert result.exit_code == 1
    said = result.stdout.splitlines()
    assert [line.split()[1] for line in said if line.startswith(("A: ", "B: "))] == ["v1/a", "v2/a", "v1/b", "v2/b"]
    assert said[-1] == "compared with nothing: v2/c"
    same, worse = (page["worse"] for page in json.loads((runs / "c.json").read_text()))
    assert (same, worse[0]) == ([], "latency_is_respected")
    write_bundle(early(0), runs / "v3" / "z")
    assert fillproof("compare", "v1", "v3").exit_code == 2


def test_a_pair_that_cannot_be_read_does_not_hide_the_others(runs: Path) -> None:
    for version in ("v1", "v2"):
        for name in ("a", "b"):
            write_bundle(early(0), runs / version / name)
    (runs / "v2" / "a" / "fills.parquet").write_bytes(b"PAR1")
    result = fillproof("compare", "v1", "v2", "--json", "c.json")
    assert result.exit_code == 2
    assert "v2/a/fills.parquet" in result.stderr
    assert [line.split()[1] for line in result.stdout.splitlines() if line.startswith("A: ")] == ["v1/b"]
    [told] = json.loads((runs / "c.json").read_text())
    assert told["a"]["path"] == "v1/b"


@pytest.mark.parametrize("command", ["compare", "convert"])
def test_both_commands_have_help(command: str) -> None:
    result = fillproof(command, "--help")
    assert (result.exit_code, result.stdout[:7]) == (0, "Usage: ")


def test_a_hostile_name_is_text(runs: Path) -> None:
    write_bundle(early(1, name="\x1b[2J[red]\n"), runs / "hostile")
    result = fillproof("compare", "e1", "hostile")
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    assert "[red]" in result.stdout


def full_run() -> Run:
    """What an engine's reader makes: intervals, mixed provenance, samples, totals, rejected rows, an engine."""
    orders = pd.DataFrame(
        {
            "order_id": ["a", "b", "c"],
            "side": ["buy", "sell", "buy"],
            "price": ["100.0", "100.5", "99.5"],
            "size": ["0.02", "0.03", "0.01"],
            "submit_ns": [1000, 2000, 3000],
            "live_ns": [1000, 2000, 3000],
            "cancel_ns": [None, None, 8000],
            "end_ns": [1999, 6999, 8000],
            "end": ["filled", "filled", "cancelled"],
        }
    )
    bars = {"ns": [1500, 5000], "ns_to": [1999, 5999], "order_id": ["a", "b"], "side": ["buy", "sell"]}
    fills = pd.DataFrame({**bars, "price": ["100.0", "100.5"], "size": ["0.02", "0.03"], "fee": ["0.001", None]})
    trades = {"ns": [1600, 5500, 5600], "price": ["100.0", "100.5", "99.0"], "size": ["5", "6", "7"]}
    return replace(
        Run.from_frames(
            fills=fills,
            orders=orders,
            trades=pd.DataFrame({**trades, "aggressor": ["sell", "buy", None]}),
            tops=pd.DataFrame({"ns": [1], "bid": ["99.5"], "bid_size": ["1"], "ask": ["100.5"], "ask_size": ["2"]}),
            positions=pd.DataFrame({"ns": [1999, 5999], "position": ["0.02", "-0.01"]}),
            instrument=Instrument("0.5", "0.01"),
            rules=Rules(
                latency_ns=0,
                ttl_ns=None,
                position_cap_lots=None,
                undeclared=frozenset({"priority"}),
                documented={"fills_have_trades.at": "https://x.test: a trade at the limit fills"},
            ),
            provenance={"submit_ns": "derived", "live_ns": "nominal", "cancel_ns": "native", "end_ns": "derived"},
            reported={"fills": Decimal(2)},
            rejected=[Rejected("fills", "fills.csv", 3, "price", "nan", "a finite number")],
            name="a full run",
            end_ns=9000,
            last_event_ns=8500,
            exit_code=0,
        ),
        engine="some engine",
        engine_version="1.2",
    )


def test_a_bundle_is_judged_as_the_output_was(tmp_path: Path) -> None:
    run = full_run()
    run = replace(run, read={**run.read, "fills": run.read["fills"] + 1})
    write_bundle(run, tmp_path / "bundle")
    before, after = report_dict(audit(run)), report_dict(audit(read_bundle(tmp_path / "bundle")))
    assert after["rejected"] == before["rejected"]
    assert after["rows"] == before["rows"]
    for page in (before, after):
        for row in page["laws"]:
            for finding in row["findings"]:
                del finding["file"]
    for key in ("laws", "provenance", "rules", "instrument", "justification", "missed_crossings", "smells", "verdict"):
        assert after[key] == before[key], key


def test_a_bundle_keeps_every_field_of_a_run(tmp_path: Path) -> None:
    run = full_run()
    write_bundle(run, tmp_path / "bundle")
    again = read_bundle(tmp_path / "bundle")
    elsewhere = {"rules", "read", "files", "inputs", "claims"}
    for name in (field.name for field in fields(Run) if field.name not in elsewhere):
        left, right = getattr(again, name), getattr(run, name)
        if hasattr(left, "__dataclass_fields__") and hasattr(left, "row"):
            columns = left.__dataclass_fields__
            left, right = ([getattr(table, c).tolist() for c in columns] for table in (left, right))
        assert left == right, name
    assert again.rules.to_dict() == run.rules.to_dict()


def test_convert_writes_a_bundle_and_says_how_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_bundle(full_run(), tmp_path / "from")
    result = fillproof("convert", "from", "--out", "to")
    assert (result.exit_code, result.stdout) == (
        0,
        "to: 3 trades, 1 tops, 3 orders, 2 fills, 2 positions, 1 rows rejected\n",
    )
    assert fillproof("compare", "from", "to").stdout.splitlines()[-1] == "no law changed"


@pytest.mark.parametrize(
    "arguments",
    [("absent", "--out", "to"), ("from",), ("from", "--out", "occupied"), ("from", "--out", "to", "--reader", "none")],
)
def test_what_cannot_be_converted_is_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_bundle(early(0), tmp_path / "from")
    (tmp_path / "occupied").mkdir()
    (tmp_path / "occupied" / "thesis.tex").touch()
    result = fillproof("convert", *arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["from", "occupied"]


@pytest.mark.parametrize(
    "arguments", [("audit", "e0", "--map", "price=px", "--reader", "bundle"), ("audit", "e0", "--save-map", "map.toml")]
)
def test_a_map_stands_alone(runs: Path, arguments: tuple[str, ...]) -> None:
    assert fillproof(*arguments).exit_code == 2
    assert not (runs / "map.toml").exists()


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Fills in a table of somebody's own."""
    monkeypatch.chdir(tmp_path)
    rows = "time,who,px,qty\n2026-01-05T00:00:01Z,buy,100,1\n2026-01-05T00:00:02Z,sell,101.5,2\n"
    (tmp_path / "mine.csv").write_text(rows)
    return tmp_path


MAPS = ("--map", "ns=time", "--map", "side=who", "--map", "price=px", "--map", "size=qty")


def test_a_table_of_any_kind_is_read_through_a_map(table: Path) -> None:
    result = fillproof("audit", "mine.csv", *MAPS, "--save-map", "map.toml", "--json", "r.json")
    assert result.exit_code == 0, result.output
    assert json.loads((table / "r.json").read_text())["rows"]["fills"]["judged"] == 2
    assert '"px"' in (table / "map.toml").read_text()
    assert fillproof("audit", "mine.csv").exit_code == 2
    assert fillproof("audit", "mine.csv", "--map", "price=absent").exit_code == 2
    assert fillproof("audit", "mine.csv", "--map", "price").exit_code == 2


def test_one_map_is_kept_for_one_table(table: Path) -> None:
    for command in ("audit", "compare"):
        result = fillproof(command, "mine.csv", "mine.csv", *MAPS, "--save-map", "map.toml")
        assert (result.exit_code, result.stdout) == (2, "")
    assert not (table / "map.toml").exists()


def test_a_mapped_table_is_converted(table: Path) -> None:
    result = fillproof("convert", "mine.csv", *MAPS, "--out", "bundle")
    assert result.stdout == "bundle: 0 trades, 0 tops, 0 orders, 2 fills, 0 positions, 0 rows rejected\n"
    assert (table / "bundle" / "fills.parquet").exists()


def test_a_run_without_orders_stays_without(table: Path) -> None:
    fillproof("convert", "mine.csv", *MAPS, "--out", "bundle")
    fillproof("audit", "mine.csv", *MAPS, "--json", "r.json")
    assert fillproof("compare", "r.json", "bundle").stdout.splitlines()[-1] == "no law changed"
    assert not (table / "bundle" / "orders.parquet").exists()


OUTPUTS = [path for path in sorted(SHARED.glob("*/*")) if path.parent.name != "tape"]


@pytest.mark.skipif(not OUTPUTS, reason="the engines' outputs are not here")
@pytest.mark.parametrize("output", OUTPUTS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_an_engines_output_and_its_bundle_are_judged_alike(output: Path, tmp_path: Path) -> None:
    if not any(reader.recognises(output) for reader in READERS):
        pytest.skip("no reader of this engine")
    converted = fillproof("convert", output, "--tape", SHARED / "tape", "--out", tmp_path / "bundle")
    assert converted.exit_code == 0, converted.output
    result = fillproof("compare", output, tmp_path / "bundle", "--tape", SHARED / "tape")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "no law changed")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the engines' outputs are not here")
def test_two_versions_of_one_engine() -> None:
    if "nautilus" not in {reader.name for reader in READERS}:
        pytest.skip("no reader of nautilus")
    result = fillproof("compare", SHARED / "nautilus-1.221", SHARED / "nautilus-1.231", "--tape", SHARED / "tape")
    assert result.exit_code in (0, 1), result.output
    assert "nautilus-1.221/l1_quotes_trades" in result.stdout
