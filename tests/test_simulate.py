"""``fillproof simulate``: a tape becomes a run that satisfies every law, and has rows for each."""

from __future__ import annotations

import gzip
import json
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from invariants import audit
from invariants.cli import main
from invariants.demo import tape as synthetic
from invariants.demo.maker import play
from invariants.laws import LAWS
from invariants.laws.windows import NOMINAL
from invariants.readers import read_run
from invariants.report import read_report
from invariants.simulate import maker_run
from simcore import Instrument, Rules, Side, Submit, TopOfBook, Trade
from simcore.rules import DIALS

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the recorded tapes in ../shared/data are not here")
HOURS = [event for event in synthetic.day() if event.ns < synthetic.START_NS + 3 * 3600 * 1_000_000_000]


def fillproof(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def write_trades(path: Path) -> Path:
    """The first hours of the synthetic day as CSV."""
    size = synthetic.INSTRUMENT.size
    lines = ["ns,price,size,side"]
    for event in HOURS:
        if isinstance(event, Trade):
            side = "buy" if event.aggressor is Side.BUY else "sell"
            lines.append(f"{event.ns},{event.price_ticks},{size(event.size_lots)},{side}")
    data = "\n".join(lines).encode() + b"\n"
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_tops(path: Path) -> Path:
    size = synthetic.INSTRUMENT.size
    lines = ["ns,bid,bid_size,ask,ask_size"]
    lines += [
        f"{e.ns},{e.bid_ticks},{size(e.bid_lots)},{e.ask_ticks},{size(e.ask_lots)}"
        for e in HOURS
        if isinstance(e, TopOfBook)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def audited(bundle: Path, report: Path) -> dict[str, int]:
    """The rows judged by law, of a run that must satisfy every law that applies."""
    result = fillproof("audit", bundle, "--strict", "--json", report)
    assert result.exit_code == 0, result.output
    laws = read_report(report)["laws"]
    assert all(law["judged"] > 0 for law in laws if law["verdict"] != "not applicable")
    return {law["law"]: law["judged"] for law in laws}


def test_a_tape_becomes_a_run_that_every_law_accepts(tmp_path: Path) -> None:
    tape, tops = write_trades(tmp_path / "trades.csv"), write_tops(tmp_path / "tops.csv")
    assert fillproof("simulate", tape, "--quotes", tops, "--out", tmp_path / "run").exit_code == 0
    judged = audited(tmp_path / "run", tmp_path / "report.json")
    assert judged["crossed_orders_fill"] > 100
    assert judged["priority_is_respected"] > 10


@pytest.mark.parametrize(
    "dials",
    [
        'cross = "through"',
        'aggressor = "opposite"\npricing = "improve"',
        'sizing = "trade"\npriority = "price-time"',
        'sizing = "shared"\npriority = "price-time"\ncap_action = "cancel"',
        'cap_action = "cancel"\nposition_cap_lots = 500',
        'cancel_latency_ns = 400_000_000\ncancel_tie = "cancel"\nexpiry_tie = "fill"',
        'ttl_ns = "none"\nposition_cap_lots = "none"',
        'fee_rate = "-0.0001"\ninitial_position_lots = 700',
        "latency_ns = 0",
    ],
)
def test_the_run_satisfies_the_laws_under_any_rules(dials: str, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(dials + "\n")
    tape, tops = write_trades(tmp_path / "trades.csv"), write_tops(tmp_path / "tops.csv")
    result = fillproof("simulate", tape, "--quotes", tops, "--rules", rules, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    result = fillproof("audit", tmp_path / "run", "--json", tmp_path / "report.json")
    assert result.exit_code == 0, result.output
    laws = {law["law"]: law for law in read_report(tmp_path / "report.json")["laws"]}
    assert laws["orders_are_conserved"]["verdict"] == laws["run_is_complete"]["verdict"] == "pass"


@pytest.mark.parametrize("dial", DIALS)
def test_a_law_that_cannot_do_without_a_dial_says_so_on_its_page(dial: str) -> None:
    rules = Rules(priority="price-time", sizing="shared", fee_rate=Decimal("0.001"))
    run = maker_run(HOURS, rules, synthetic.INSTRUMENT, size_lots=5)
    known, unknown = audit(run), audit(replace(run, rules=replace(rules, undeclared=frozenset({dial}))))
    for law in LAWS:
        of_window = NOMINAL if "window" in law.needs else ()
        if unknown[law.name].verdict is not known[law.name].verdict:
            assert dial in (*law.only, *(need.removesuffix("?") for need in law.needs), *law.partly, *of_window), (
                law.name
            )


def test_the_tape_is_read_from_a_glob_gzipped_and_without_tops(tmp_path: Path) -> None:
    write_trades(tmp_path / "trades.csv.gz")
    result = fillproof("simulate", str(tmp_path / "*.csv.gz"), "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    audited(tmp_path / "run", tmp_path / "report.json")


def test_size_grid_and_refresh_are_the_callers(tmp_path: Path) -> None:
    tape = write_trades(tmp_path / "trades.csv")
    arguments = ("--tick", "0.5", "--lot", "0.005", "--size", "0.25", "--refresh", "60", "--rules", "origin")
    assert fillproof("simulate", tape, *arguments, "--out", tmp_path / "run").exit_code == 0
    run = read_run(tmp_path / "run")
    assert run.instrument == Instrument("0.5", "0.005")  # type: ignore[arg-type]
    assert set(run.orders.size_lots.tolist()) == {50}
    assert run.rules.position_cap_lots == 2000
    assert (run.orders.submit_ns[2:] - run.orders.submit_ns[:-2]).min() >= 60_000_000_000


@pytest.mark.parametrize(
    ("row", "arguments", "said"),
    [
        ("1000,100,nan,buy", (), "nan"),
        ("1000,100.25,1,buy", ("--tick", "1", "--lot", "1"), "100.25"),
        ("1000,100,1,buy", ("--size", "0"), "a size > 0"),
        ("1000,100,1,buy", ("--size", "0.3"), "a multiple of lot_size"),
        ("1000,100,1,buy", ("--size", "many"), "many"),
        ("1000,100,1,buy", ("--refresh", "nan"), "nan is not a number of seconds"),
        ("1000,100,1,buy", ("--refresh", "inf"), "inf is not in the range"),
        ("1000,100,1,buy", ("--maker", "inside-spread", "--refresh", "5"), "--refresh is the plain maker's"),
        ("1000,100,1,buy", ("--rules", "absent"), "absent"),
        ("1000,100,0,buy", (), "trades.csv row 2: size: got '0', wanted a number above 0"),
        ("1000,-5,1,buy", (), "trades.csv row 2: price: got '-5', wanted a number above 0"),
        ("1000,100,1,sideways", (), "sideways"),
    ],
)
def test_a_tape_that_cannot_be_used_is_refused_whole(
    row: str, arguments: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    tape = tmp_path / "trades.csv"
    tape.write_text(f"ns,price,size,side\n999,100,1,buy\n{row}\n")
    result = fillproof("simulate", tape, *arguments, "--out", tmp_path / "run")
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_lot_beyond_the_default_cap_is_told_and_not_a_run_without_fills(tmp_path: Path) -> None:
    tape = tmp_path / "stock.csv"
    tape.write_text("ns,price,size,side\n1,10,200,buy\n2,11,100,sell\n")
    said = fillproof("simulate", tape, "--tick", "1", "--lot", "100", "--out", tmp_path / "run")
    assert (said.exit_code, said.stderr.count("\n")) == (2, 1)
    assert "origin: position_cap_lots: got '0 lots of 100'" in said.stderr
    (tmp_path / "rules.toml").write_text("position_cap_lots = 10\n")
    rules = ("--rules", tmp_path / "rules.toml")
    assert fillproof("simulate", tape, "--tick", "1", "--lot", "100", *rules, "--out", tmp_path / "run").exit_code == 0


def test_what_is_not_above_zero_is_named_in_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("ns,price,size,side\n1000,100,1,buy\n2000,100,1,buy\n")
    (tmp_path / "2.csv").write_text("ns,price,size,side\n3000,100,1,buy\n4000,100,0,buy\n")
    (tmp_path / "tops.csv").write_text("ns,bid,bid_size,ask,ask_size\n1000,99,1,101,1\n2000,99,1,101,-2\n")
    fine, out = ("simulate", tmp_path / "1.csv"), ("--out", tmp_path / "run")
    second = fillproof(*fine, tmp_path / "2.csv", *out)
    assert (second.exit_code, "2.csv row 2: size: got '0'" in second.stderr) == (2, True)
    tops = fillproof(*fine, "--quotes", tmp_path / "tops.csv", *out)
    assert (tops.exit_code, "tops.csv row 2: ask_size: got '-2'" in tops.stderr) == (2, True)


def test_an_existing_folder_that_is_no_bundle_is_left_alone(tmp_path: Path) -> None:
    tape = write_trades(tmp_path / "trades.csv")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("do not lose")
    assert fillproof("simulate", tape, "--out", tmp_path / "mine").exit_code == 2
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "do not lose"


def test_the_origin_s_maker_quotes_where_it_is_asked_to(tmp_path: Path) -> None:
    tape, tops = write_trades(tmp_path / "trades.csv"), write_tops(tmp_path / "tops.csv")
    done = fillproof(
        "simulate", tape, "--quotes", tops, "--maker", "inside-spread", "--tick", "1", "--lot", "0.01",
        "--out", tmp_path / "run",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    played = play(HOURS, Rules.load("origin", instrument=synthetic.INSTRUMENT), synthetic.INSTRUMENT)
    run = read_run(tmp_path / "run")
    assert run.rules.initial_position_lots == 1_000
    assert run.fills.ns.tolist() == [fill.ns for fill in played.fills]
    assert len(run.orders) == sum(isinstance(action, Submit) for action in played.scenario.actions) > 1_000


@needs_shared
def test_twenty_recorded_days_in_seconds(tmp_path: Path) -> None:
    start = time.perf_counter()
    tape = SHARED / "gmo_spot_202407/raw/202407*_ETH.csv.gz"
    result = fillproof("simulate", tape, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "77,700 trades" in result.output
    judged = audited(tmp_path / "run", tmp_path / "report.json")
    assert judged["fills_have_trades"] > 1000
    assert time.perf_counter() - start < 60


@needs_shared
def test_a_recorded_tape_with_every_top_of_book(tmp_path: Path) -> None:
    folder = SHARED / "binance_l2_20240808"
    trades, quotes = folder / "trades_spot_ETHUSDT.parquet", folder / "quotes_spot_ETHUSDT.parquet"
    result = fillproof("simulate", trades, "--quotes", quotes, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    judged = audited(tmp_path / "run", tmp_path / "report.json")
    assert judged["crossed_orders_fill"] > 100
    assert json.loads((tmp_path / "report.json").read_bytes())["instrument"] == {
        "tick_size": "0.01",
        "lot_size": "0.0001",
    }
