"""The synthetic day, the plain maker, and the demo that puts them before the court."""

from __future__ import annotations

import hashlib
import json
import shlex
from bisect import bisect_right
from collections import Counter
from dataclasses import astuple
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import pytest
from click.testing import CliRunner

from invariants.auditing import Report, audit
from invariants.cli import main
from invariants.demo import tape
from invariants.demo.quoting import quotes
from invariants.demo.show import Shown, show
from invariants.diagnosis import diagnosis_text
from invariants.ends import End, order_ends
from invariants.readers import read_run
from invariants.verdict import Verdict
from simcore import Cancel, Rules, Scenario, Side, Submit, TopOfBook, Trade
from simcore import simulate as reference

SECOND = 1_000_000_000
DAY = tape.day()
TRADES = [event for event in DAY if isinstance(event, Trade)]
TOPS = [event for event in DAY if isinstance(event, TopOfBook)]
TOP_NS = [top.ns for top in TOPS]


def mid(ns: int) -> float:
    top = TOPS[bisect_right(TOP_NS, ns) - 1]
    return (top.bid_ticks + top.ask_ticks) / 2


def test_the_tape_is_the_same_bits_everywhere() -> None:
    content = "".join(f"{','.join(str(int(value)) for value in astuple(event))}\n" for event in DAY).encode()
    assert hashlib.sha256(content).hexdigest() == "4181d838c8d8e3c244361c5fb200ff778fb57d86a44414f4bf0e24eac84ed4c6"


def test_the_tape_is_ordered_in_whole_milliseconds_and_lasts_a_day() -> None:
    assert all(a.ns <= b.ns for a, b in pairwise(DAY))
    assert all(event.ns % 1_000_000 == 0 for event in DAY)
    assert 0.999 < (DAY[-1].ns - DAY[0].ns) / (86_400 * SECOND) < 1
    assert all(0 < top.bid_ticks < top.ask_ticks for top in TOPS)


def test_rate_and_price_are_those_of_the_origin() -> None:
    assert len(TRADES) / 86_400 == pytest.approx(0.24, abs=0.01)
    assert fmean(trade.price_ticks for trade in TRADES) == pytest.approx(361_000, rel=0.005)


def test_the_mean_spread_is_about_5_4_basis_points() -> None:
    weights = [b.ns - a.ns for a, b in pairwise(TOPS)]
    spreads = [(top.ask_ticks - top.bid_ticks) / mid(top.ns) * 1e4 for top in TOPS[:-1]]
    assert fmean(spreads, weights) == pytest.approx(5.42, abs=0.1)


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_the_flow_is_informed_makers_of_either_side_lose_one_to_two_bps_within_30_seconds(side: Side) -> None:
    hit = [trade for trade in TRADES if trade.aggressor == -side]
    assert -2 < fmean((mid(t.ns + 30 * SECOND) / t.price_ticks - 1) * side * 1e4 for t in hit) < -1


def test_trades_cluster_and_sweep() -> None:
    prints = Counter(trade.ns for trade in TRADES)
    assert 0.15 < sum(count > 1 for count in prints.values()) / len(prints) < 0.45
    minutes = Counter(trade.ns // (60 * SECOND) for trade in TRADES)
    assert max(minutes.values()) > 2.5 * len(TRADES) / 1440


def test_a_sweep_starts_at_the_posted_touch_and_walks_away_from_it() -> None:
    last: dict[int, Trade] = {}
    for trade in TRADES:
        top = TOPS[bisect_right(TOP_NS, trade.ns) - 1]
        touch = top.ask_ticks if trade.aggressor is Side.BUY else top.bid_ticks
        before = last.get(trade.ns)
        assert (before is None and trade.price_ticks == touch) or (
            before is not None
            and trade.aggressor is before.aggressor
            and (trade.price_ticks - before.price_ticks) * int(trade.aggressor or 0) > 0
        )
        last[trade.ns] = trade


def test_the_maker_never_looks_ahead() -> None:
    actions = list(quotes(DAY, 500))
    for cut in (1, 100, 5_000):
        seen = DAY[:cut]
        early = list(quotes(seen, 500))
        assert early == actions[: len(early)]
        assert all(action.ns > seen[-1].ns for action in actions[len(early) :]) or seen[-1].ns == DAY[cut].ns


def test_the_maker_quotes_the_touch_and_refreshes_no_faster_than_asked() -> None:
    submits = [action for action in quotes(DAY, 500, refresh_ns=2 * SECOND) if isinstance(action, Submit)]
    times = sorted({submit.ns for submit in submits})
    assert min(b - a for a, b in pairwise(times)) >= 2 * SECOND
    for submit in submits[:2000]:
        top = TOPS[bisect_right(TOP_NS, submit.ns) - 1]
        assert submit.price_ticks == (top.bid_ticks if submit.side is Side.BUY else top.ask_ticks)


def test_without_tops_the_maker_guesses_the_touch_from_the_prints() -> None:
    prints = [Trade(1 * SECOND, 100, 1, Side.SELL), Trade(4 * SECOND, 103, 1, Side.BUY), Trade(7 * SECOND, 102, 1)]
    prices = [(a.ns // SECOND, a.side, a.price_ticks) for a in quotes(prints, 1) if isinstance(a, Submit)]
    assert prices == [
        (1, Side.BUY, 100), (1, Side.SELL, 101),
        (4, Side.BUY, 100), (4, Side.SELL, 103),
        (7, Side.BUY, 100), (7, Side.SELL, 102),
    ]  # fmt: skip


def test_without_expiry_the_maker_withdraws_what_is_old() -> None:
    tops = [TopOfBook(second * SECOND, 100, 1, 101, 1) for second in range(0, 20, 2)]
    cancels = [action.ns // SECOND for action in quotes(tops, 1, expires=False) if isinstance(action, Cancel)]
    assert cancels[:4] == [6, 6, 8, 8]
    assert not any(isinstance(action, Cancel) for action in quotes(tops, 1))


CAP = Rules(latency_ns=0, ttl_ns=100, position_cap_lots=1, cap_action="cancel")


@pytest.mark.parametrize(
    ("cancels", "rules", "end"),
    [
        ((), Rules(latency_ns=0, ttl_ns=40), End("expired", 50)),
        ((), Rules(latency_ns=0, ttl_ns=400), End("open", None)),
        ((), Rules(latency_ns=0, ttl_ns=None), End("open", None)),
        ((30,), Rules(latency_ns=0, ttl_ns=40), End("cancelled", 30)),
        ((30, 40), Rules(latency_ns=0, ttl_ns=None, cancel_latency_ns=5), End("cancelled", 35)),
        ((30,), Rules(latency_ns=0, ttl_ns=None, cancel_latency_ns=500), End("open", None)),
        ((50,), Rules(latency_ns=0, ttl_ns=40), End("expired", 50)),
        ((50,), Rules(latency_ns=0, ttl_ns=40, expiry_tie="fill"), End("cancelled", 50)),
        ((60,), Rules(latency_ns=0, ttl_ns=40), End("expired", 50)),
    ],
)
def test_an_order_ends_by_whatever_comes_first(cancels: tuple[int, ...], rules: Rules, end: End) -> None:
    actions = (Submit(10, "O1", Side.BUY, 90, 1), *(Cancel(ns, "O1") for ns in cancels))
    scenario = Scenario((Trade(5, 100, 1), Trade(100, 100, 1)), actions, rules)
    assert order_ends(scenario, reference(scenario)) == {"O1": end}


@pytest.mark.parametrize(
    ("sizing", "trade_lots", "ends"),
    [
        # O1 reaches the cap; O2 meets the same trade and is taken away, O3 never meets it
        ("whole", 1, {"O1": End("filled", 20), "O2": End("cancelled", 20), "O3": End("expired", 110)}),
        ("trade", 1, {"O1": End("filled", 20), "O2": End("cancelled", 20), "O3": End("expired", 110)}),
        # O1 takes the whole trade: nothing is left for O2 to be refused
        ("shared", 1, {"O1": End("filled", 20), "O2": End("expired", 110), "O3": End("expired", 110)}),
        ("shared", 2, {"O1": End("filled", 20), "O2": End("cancelled", 20), "O3": End("expired", 110)}),
    ],
)
def test_the_cap_takes_away_the_order_that_it_blocks(sizing: str, trade_lots: int, ends: dict[str, End]) -> None:
    actions = tuple(Submit(10, name, Side.BUY, price, 1) for name, price in (("O1", 90), ("O2", 90), ("O3", 80)))
    rules = Rules.from_dict({**CAP.to_dict(), "sizing": sizing})
    scenario = Scenario((Trade(20, 90, trade_lots), Trade(200, 100, 1)), actions, rules)
    assert order_ends(scenario, reference(scenario)) == ends


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Shown]:
    folder = tmp_path_factory.mktemp("shown") / "demo"
    return folder, show(folder)


@pytest.fixture(scope="module")
def shown(whole: tuple[Path, Shown]) -> tuple[Path, Report]:
    return whole[0], whole[1].report


def test_the_demo_s_day_exercises_the_origin_s_rules(shown: tuple[Path, Report]) -> None:
    run = shown[1].run
    ends = Counter(run.orders.end_words)
    assert min(ends[word] for word in ("filled", "cancelled", "expired")) > 500
    assert abs(run.positions.position_lots).max() == run.rules.position_cap_lots
    assert run.rules.initial_position_lots == run.rules.position_cap_lots


def test_the_demo_ends_with_the_verdict_of_adverse_selection(whole: tuple[Path, Shown]) -> None:
    """The laws hold, the drift exceeds the half-spread, and the bracket and the sweep stand beside it."""
    diagnosis, sweep = whole[1].diagnosis, whole[1].sweep
    assert diagnosis.verdict == "A"
    text = diagnosis_text(diagnosis)
    for words in (
        "horizon  BUY avg  SELL avg  combined per unit  combined bps",
        "queue-aware",
        "through",
        "not the problem",
    ):
        assert words in text
    assert [row.value for row in sweep.rows] == [0, 1, 2, 3]
    fills = [row.fills for row in sweep.rows]
    assert fills == sorted(fills, reverse=True)


def test_the_demo_writes_run_markers_and_reports_and_every_law_that_applies_holds(shown: tuple[Path, Report]) -> None:
    folder, report = shown
    assert report.exit_code() == 0
    for judgement in report.judgements:
        # it quotes once on a side, so no trade ever meets two of its orders
        allowed = Verdict.UNKNOWN if judgement.law == "priority_is_respected" else Verdict.PASS
        assert judgement.verdict in (allowed, Verdict.NOT_APPLICABLE), judgement
        assert judgement.judged > 0 or judgement.verdict is not Verdict.PASS
    for name in ("run/run.toml", "markers/markers.jsonl", "markers/backtest.json", "report.json", "report.html"):
        assert (folder / name).is_file()
    assert "synthetic" in json.loads((folder / "report.json").read_bytes())["name"]


def test_the_markers_are_of_the_origin_s_shape_in_order_and_without_ids(shown: tuple[Path, Report]) -> None:
    folder, _ = shown
    lines = [json.loads(line) for line in (folder / "markers/markers.jsonl").read_text().splitlines()]
    assert all(set(line) == {"ts", "kind", "side", "price", "size", "reason"} for line in lines)
    assert [line["ts"] for line in lines] == sorted(line["ts"] for line in lines)
    totals = json.loads((folder / "markers/backtest.json").read_text())["reported"]
    kinds = Counter(line["kind"] for line in lines)
    assert kinds["submit"] == totals["maker_quote_submissions"]
    assert kinds["cancel"] == totals["maker_quote_cancellations"]
    assert kinds["fill"] == totals["fills"]


def test_the_markers_alone_with_the_tape_break_no_law_either(shown: tuple[Path, Report]) -> None:
    folder, whole = shown
    report = audit(read_run(folder / "markers", tape=folder / "run/tape.parquet"))
    unknown = {j.law for j in report.judgements if j.verdict is Verdict.UNKNOWN}
    assert (report.exit_code(), unknown) == (0, {"priority_is_respected"})
    for law in ("latency_is_respected", "fills_have_trades", "position_stays_within_cap"):
        assert report[law].judged == whole[law].judged


def test_the_command_that_the_demo_prints_can_be_pasted(
    whole: tuple[Path, Shown], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("invariants.demo.show.show", lambda _: whole[1])
    told = CliRunner().invoke(main, ["demo", "--out", "x y/ü"]).output.splitlines()[-1]
    command = shlex.split(told.removeprefix("Every sweep: "))
    assert command == ["fillproof", "diagnose", "x y/ü/run", "--sweeps", "--html", "x y/ü/sweeps.html"]


def test_the_demo_may_be_run_again_and_writes_the_same_bytes(shown: tuple[Path, Report]) -> None:
    folder, _ = shown
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    before = [file.read_bytes() for file in files]
    show(folder)
    assert [file.read_bytes() for file in files] == before
