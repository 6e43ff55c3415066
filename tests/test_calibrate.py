"""Calibration: a tiny day of which every answer is known, the engine beside it, and the recorded days."""

from __future__ import annotations

import json
import time
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from invariants.calibrate import Files, calibrate, calibration_of
from invariants.calibration import Calibration, FrontOfQueue, calibration_text, front_of_queue
from invariants.calibration.answers import GRID, Answer, cells_of, limited, queued, under, whole
from invariants.calibration.calibrating import MARKETABLE, UNPRINTED, UNTOLD
from invariants.calibration.depth import Place, depth_of
from invariants.calibration.lives import (
    CHANGED,
    CONTRADICTORY,
    UNREADABLE,
    UNSUBMITTED,
    Lives,
    grid_of,
    lives_of,
    sheet_of,
)
from invariants.calibration.makers import NO_ID, NO_TAKER, ONE_FILL, SEVERAL_PRICES
from invariants.calibration.scores import Score
from invariants.readers.tape import Tape
from invariants.tapes import any_rules
from simcore import Cancel, InputError, Instrument, Rules, Scenario, Side, Submit, simulate
from simcore.frames import Sheet, tops_of, trades_of
from simcore.run import ABSENT, EndState

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the recorded days in ../shared/data are not here")
S = 1_000_000_000
T0 = 1_430_438_400 * S

# id, side, price, size, submitted, first fill, filled, ended, end
DAY = """
A buy  100 5 1   10  5 10  filled
B buy  100 4 2   -   0 20  cancelled
D buy  99  2 2.5 25  2 25  filled
C buy  99  3 3   30  3 30  filled
E buy  97  6 4   40  2 50  cancelled
F sell 105 1 5   60  1 60  filled
G sell 106 1 5.5 70  1 70  filled
H sell 107 2 5.7 -   0 -   open
M buy  110 1 0.6 0.7 1 0.7 filled
P buy  91  1 8   -   0 9   cancelled
U buy  96  1 7   80  1 80  filled
X buy  90  1 7.5 81  2 81  filled
O buy  95  1 0.1 -   0 90  cancelled
"""
# A stands before B, D before C; M takes from an order that stood there before we looked, U's print is missing
TRADES = "0.7 110 1  10 100 5  25 99 2  30 99 3  40 97 2  60 105 1  70 106 1"
TOPS = """
0.5 95 1 110 9
1.5 100 5 110 9
5.2 100 9 105 1
11 100 4 105 1
21 99 5 105 1
26 99 3 105 1
31 97 6 105 1
61 97 4 106 1
"""


def ns(seconds: str) -> int | None:
    return None if seconds == "-" else T0 + round(float(seconds) * S)


def orders_table() -> pd.DataFrame:
    names = ("order_id", "side", "price", "size", "submit_ns", "first_fill_ns", "filled", "end_ns", "end")
    frame = pd.DataFrame([dict(zip(names, line.split(), strict=True)) for line in DAY.strip().splitlines()])
    for name in ("submit_ns", "first_fill_ns", "end_ns"):
        frame[name] = pd.Series([ns(cell) for cell in frame[name]], dtype="Int64")
    frame["price_changed"] = frame["order_id"] == "P"
    return frame


def events_table() -> pd.DataFrame:
    """Every order's beginning and end but O's beginning; the last two fills of the book are not told."""
    rows: list[tuple[int | None, str, str, str, int, int]] = [(ns("100"), "old", "deleted", "sell", 110, 8)]
    for line in DAY.strip().splitlines():
        name, side, price, size, start, first, filled, end, word = line.split()
        if name != "O":
            rows.append((ns(start), name, "created", side, int(price), int(size)))
        left = max(int(size) - int(filled), 0)
        if first != "-" and word == "cancelled":
            rows.append((ns(first), name, "changed", side, int(price), left))
        if end != "-":
            rows.append((ns(end), name, "deleted", side, int(price), left))
    rows.sort(key=lambda row: row[0] or 0)
    return pd.DataFrame(rows, columns=["ns", "order_id", "action", "side", "price", "remaining"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("day")
    numbers = TRADES.split()
    trades = [(ns(numbers[i]), numbers[i + 1], numbers[i + 2]) for i in range(0, len(numbers), 3)]
    tops = [(ns(line.split()[0]), *line.split()[1:]) for line in TOPS.strip().splitlines()]
    orders_table().to_csv(folder / "orders.csv", index=False)
    events_table().to_csv(folder / "events.csv", index=False)
    pd.DataFrame(trades, columns=["ns", "price", "size"]).to_csv(folder / "trades.csv", index=False)
    book = ["ns", "bid", "bid_size", "ask", "ask_size"]
    pd.DataFrame(tops, columns=book).to_csv(folder / "quotes.csv", index=False)
    return folder


def fillproof(*words: object) -> Result:
    return CliRunner().invoke(calibrate, [str(word) for word in words])


@pytest.fixture(scope="module")
def found(folder: Path) -> Calibration:
    answer = calibration_of(
        Files(
            orders=str(folder / "orders.csv"),
            events=str(folder / "events.csv"),
            tape=(str(folder / "trades.csv"),),
            quotes=(str(folder / "quotes.csv"),),
        )
    )
    assert isinstance(answer, Calibration)
    return answer


def scores(found: Calibration) -> dict[str, Score]:
    return {rule.name: score for rule, score in found.scores}


def classes(score: Score) -> tuple[int, ...]:
    return (score.right, score.early, score.late, score.missed, score.phantom, score.quiet)


def test_every_order_read_is_judged_or_set_aside_for_a_reason(found: Calibration) -> None:
    assert (found.read, found.judged) == (13, 8)
    assert found.aside == {MARKETABLE: 1, CHANGED: 1, UNPRINTED: 1, CONTRADICTORY: 1, UNTOLD: 1}
    for _, score in found.scores:
        assert sum(classes(score)) == score.orders == found.judged


@pytest.mark.parametrize(
    ("rule", "right_early_late_missed_phantom_quiet", "same_more_less", "lots"),
    [
        # C fills at 25 with D; B fills at 10 with A; E fills whole
        ("at, whole", (5, 1, 0, 0, 1, 1), (5, 1, 0), 22),
        ("at, trade or shared", (5, 1, 0, 0, 1, 1), (6, 0, 0), 18),
        # A waits for 99 at 25, C and D for 97 at 40, F for 106 at 70; nothing goes through E and G
        ("through, whole", (0, 0, 4, 2, 0, 2), (4, 0, 0), 11),
        ("through, trade or shared", (0, 0, 4, 2, 0, 2), (3, 0, 1), 10),
        # the book shows 5 at 99 when D's price comes to the front: C's 3 seem to stand ahead of it
        ("queue L1, whole", (5, 0, 1, 0, 0, 2), (5, 1, 0), 18),
        ("queue L1, trade", (5, 0, 1, 0, 0, 2), (6, 0, 0), 14),
        ("queue L3, whole", (6, 0, 0, 0, 0, 2), (5, 1, 0), 18),
        ("queue L3, trade", (6, 0, 0, 0, 0, 2), (6, 0, 0), 14),
    ],
)
def test_every_class_of_every_rule_is_as_worked_out_by_hand(
    found: Calibration,
    rule: str,
    right_early_late_missed_phantom_quiet: tuple[int, ...],
    same_more_less: tuple[int, ...],
    lots: int,
) -> None:
    score = scores(found)[rule]
    assert classes(score) == right_early_late_missed_phantom_quiet
    assert (score.same_size, score.more, score.less) == same_more_less
    assert (score.lots, score.real_lots, score.filled) == (lots, 14, 6)


def test_the_error_is_the_median_over_orders_that_both_fill(found: Calibration) -> None:
    assert scores(found)["through, whole"].median_error_s == 12.5  # 10, 10, 15 and 15 seconds late
    assert scores(found)["queue L3, trade"].median_error_s == 0


def test_the_classes_of_distance_are_by_the_touch_of_the_order_events(found: Calibration) -> None:
    told = {name: (rows[0][1].orders, rows[0][1].filled) for name, rows in found.by_distance}
    assert sum(orders for orders, _ in told.values()) == found.judged
    assert told == {
        "inside the spread": (2, 2),  # A in front of O, F in front of the old offer
        "at the touch": (1, 0),  # B
        "over 20 to 100 bps behind": (3, 3),  # C and D, a tick behind 100; G, a tick behind 105
        "over 100 bps behind": (2, 1),  # E and H
    }


def test_within_the_tolerance_is_right(folder: Path) -> None:
    files = Files(orders=str(folder / "orders.csv"), tape=(str(folder / "trades.csv"),))
    for tolerance_ns, early in ((4 * S, 1), (5 * S, 0)):
        answer = calibration_of(files, tolerance_ns=tolerance_ns)
        assert isinstance(answer, Calibration)
        assert scores(answer)["at, whole"].early == early


def test_a_fill_by_a_trade_beyond_its_limit_is_no_hole_in_the_feed(tmp_path: Path) -> None:
    """A venue that fills what is traded through: all its fills were set aside, and `through` filled nothing."""
    table = orders_table().loc[lambda t: t["order_id"].isin(["A", "F", "B"])]
    trades = pd.DataFrame([(ns("10"), "99", "5"), (ns("60"), "106", "1")], columns=["ns", "price", "size"])
    table.to_csv(tmp_path / "orders.csv", index=False)
    trades.to_csv(tmp_path / "trades.csv", index=False)
    found = calibration_of(Files(orders=str(tmp_path / "orders.csv"), tape=(str(tmp_path / "trades.csv"),)))
    assert isinstance(found, Calibration)
    assert (found.judged, found.aside) == (3, {})
    through = scores(found)["through, trade or shared"]
    assert (through.filled, through.right, through.phantom) == (2, 2, 1), "B stood behind A"


def test_without_order_events_the_tops_tell_who_took_and_without_both_nobody(folder: Path) -> None:
    orders, tape, quotes = (str(folder / f"{name}.csv") for name in ("orders", "trades", "quotes"))
    by_tops = calibration_of(Files(orders=orders, tape=(tape,), quotes=(quotes,)))
    blind = calibration_of(Files(orders=orders, tape=(tape,)))
    assert isinstance(by_tops, Calibration)
    assert isinstance(blind, Calibration)
    assert (by_tops.depth, by_tops.aside[MARKETABLE], MARKETABLE in blind.aside) == ("tops of book", 1, False)
    assert (blind.depth, [name for name, _ in blind.by_distance]) == ("nothing", ["touch unknown"])
    assert [rule.name for rule, _ in blind.scores] == [name for name in scores(by_tops) if "queue" not in name]
    assert "queue L3, whole" not in scores(by_tops)
    assert "cannot be told" in calibration_text(blind)


def test_the_command_finds_the_tables_of_a_folder_and_says_what_they_mean(folder: Path, tmp_path: Path) -> None:
    result = fillproof(folder, "--json", tmp_path / "figures.json")
    assert result.exit_code == 0, result.output
    assert "13 real orders = 8 judged + 5 set aside" in result.output
    assert f"{1:>9,}  {UNPRINTED}" in result.output
    assert "- at: 100.0 % of the venue's fills, 83.3 % on time; 14.3 % of its own never happened" in result.output
    assert "(at the touch: 1 of 1)" in result.output
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert (figures["format"], figures["read"], figures["judged"]) == ("fillproof-calibration/1", 13, 8)
    assert {rule["rule"]: rule["phantom"] for rule in figures["rules"]}["at, whole"] == 1
    assert all(len(digest) == 64 for digest in figures["inputs"].values())
    assert len(figures["inputs"]) == 4


def test_one_s_own_rules_are_one_row_more_with_all_their_dials(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('latency_ns = 0\nttl_ns = 10_000_000_000\ncross = "at"\nsizing = "trade"\n')
    words = ("--tape", folder / "trades.csv", "--rules", tmp_path / "mine.toml", "--json", tmp_path / "mine.json")
    result = fillproof(folder / "orders.csv", *words)
    assert result.exit_code == 0, result.output
    mine = json.loads((tmp_path / "mine.json").read_text())["rules"][-1]
    # ten seconds of life: A and B fill at 10, all else expires before its trade comes
    assert (mine["rule"], mine["right"], mine["missed"], mine["phantom"]) == ("your rules", 2, 5, 1)
    (tmp_path / "mine.toml").write_text('undeclared = ["ttl_ns"]\n')
    refused = fillproof(folder / "orders.csv", *words)
    assert isinstance(refused.exception, InputError)
    assert refused.exception.field == "ttl_ns"


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (("orders.csv",), "tape"),
        (("trades.csv",), "columns"),
        (("nothing.csv",), "file"),
        (("events.csv",), "columns"),
        (("orders.csv", "--tape", "events.csv"), "columns"),
        (("orders.csv", "--tape", "trades.csv", "--events", "trades.csv"), "order_id"),
        (("orders.csv", "--tape", "trades.csv", "--events", "*.csv"), "file"),
    ],
)
def test_what_is_missing_or_wrong_is_named(folder: Path, words: tuple[str, ...], field: str) -> None:
    result = fillproof(*(folder / word if word.endswith(".csv") else word for word in words))
    assert isinstance(result.exception, InputError), result.output
    assert result.exception.field == field


@pytest.mark.parametrize("field", ["submit_ns", "end_ns", "first_fill_ns"])
def test_orders_without_a_column_of_times_are_refused(folder: Path, tmp_path: Path, field: str) -> None:
    """As if the column were empty, all that filled would be set aside and the table show rules that never fill."""
    orders_table().drop(columns=field).to_csv(tmp_path / "orders.csv", index=False)
    error = fillproof(tmp_path / "orders.csv", "--tape", folder / "trades.csv").exception
    assert isinstance(error, InputError)
    assert field in str(error)


def test_events_that_go_back_in_time_or_say_unknown_words_are_refused(folder: Path, tmp_path: Path) -> None:
    for change, field in (({"ns": lambda t: t["ns"][::-1].to_numpy()}, "ns"), ({"action": "moved"}, "action")):
        events_table().assign(**change).to_csv(tmp_path / "events.csv", index=False)
        words = ("--tape", folder / "trades.csv", "--events", tmp_path / "events.csv")
        error = fillproof(folder / "orders.csv", *words).exception
        assert isinstance(error, InputError)
        assert error.field == field


@pytest.mark.parametrize("with_quotes", [True, False])
@pytest.mark.parametrize(
    ("table", "field", "value"),
    [("trades", "price", "0"), ("trades", "price", "-5"), ("trades", "size", "0"), ("quotes", "bid_size", "-1")],
)
def test_a_tape_with_a_price_or_size_that_is_none_is_refused_with_its_file(
    folder: Path, tmp_path: Path, table: str, field: str, value: str, with_quotes: bool
) -> None:
    """A trade at a price below zero crossed every order to buy; with tops of book it was refused without its file."""
    if table == "quotes" and not with_quotes:
        return
    wrong = pd.read_csv(folder / f"{table}.csv", dtype=str)
    wrong.loc[2, field] = value
    wrong.to_csv(tmp_path / f"{table}.csv", index=False)
    place = {name: tmp_path if name == table else folder for name in ("trades", "quotes")}
    words: list[object] = [folder / "orders.csv", "--tape", place["trades"] / "trades.csv"]
    words += ["--quotes", place["quotes"] / "quotes.csv"] if with_quotes else []
    with pytest.raises(InputError) as caught:
        CliRunner().invoke(calibrate, [str(word) for word in words], catch_exceptions=False)
    error = caught.value
    assert (error.file, error.row, error.field, error.got) == (str(tmp_path / f"{table}.csv"), 3, field, value)


@pytest.mark.parametrize(("field", "value"), [("price", "0"), ("price", "-7"), ("remaining", "-5")])
def test_an_order_event_of_no_price_or_size_is_counted_and_not_used(field: str, value: str) -> None:
    events = events_table()
    events.loc[3, field] = int(value)
    found = depth_of(events, Instrument(), "events")
    assert (found.rows, found.unusable) == (len(events), 1)


def test_a_folder_of_two_tables_of_orders_is_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        orders_table().to_csv(tmp_path / f"{name}.csv", index=False)
    error = fillproof(tmp_path).exception
    assert isinstance(error, InputError)
    assert "two.csv" in str(error)


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1"])
def test_a_tolerance_that_is_no_stretch_of_time_is_refused(folder: Path, seconds: str) -> None:
    assert fillproof(folder, "--tolerance", seconds).exit_code == 2


def test_nothing_to_judge_is_exit_code_3(folder: Path, tmp_path: Path) -> None:
    orders_table().iloc[[9]].to_csv(tmp_path / "orders.csv", index=False)
    result = fillproof(tmp_path / "orders.csv", "--tape", folder / "trades.csv")
    assert (result.exit_code, "Nothing could be judged." in result.output) == (3, True)


# rows that cannot be judged


def one_life(**changes: Any) -> Lives:
    row: dict[str, Any] = {
        "order_id": "A", "side": "buy", "price": 100.5, "size": 2.0, "submit_ns": 5, "end_ns": 20,
        "end": "filled", "filled": 2.0, "first_fill_ns": 10,
    }  # fmt: skip
    sheet = sheet_of(pd.DataFrame([row | changes]), "orders")
    return lives_of(sheet, Instrument("0.5", "0.01"))  # type: ignore[arg-type]  # it converts text itself


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"end_ns": -1, "end": "open", "filled": 0, "first_fill_ns": -1}, ""),
        ({"filled": 1.1 - 1.0, "end": "cancelled"}, ""),  # 0.10000000000000009: binary noise
        ({"price": 100.25}, UNREADABLE),
        ({"size": float("nan")}, UNREADABLE),
        ({"submit_ns": -1}, UNSUBMITTED),
        ({"price_changed": True}, CHANGED),
        ({"size": 0.0, "filled": 0.0}, CONTRADICTORY),
        ({"filled": 3.0}, CONTRADICTORY),
        ({"filled": 1.0}, CONTRADICTORY),  # filled, it says
        ({"end": "cancelled"}, CONTRADICTORY),  # and it was filled
        ({"first_fill_ns": -1}, CONTRADICTORY),
        ({"first_fill_ns": 4}, CONTRADICTORY),
        ({"first_fill_ns": 21}, CONTRADICTORY),
        ({"end_ns": 4}, CONTRADICTORY),
        ({"end_ns": -1}, CONTRADICTORY),
    ],
)
def test_an_order_that_cannot_be_judged_says_why(changes: dict[str, Any], reason: str) -> None:
    lives = one_life(**changes)
    assert lives.aside.tolist() == [reason]
    if "filled" in changes and not reason:
        assert lives.filled_lots.tolist() in ([10], [0])


def test_the_grid_is_the_finest_that_appears_and_noise_is_not_taken_for_it() -> None:
    frame = pd.DataFrame({"price": [1.5, 2.25], "size": [0.3, 2.0], "filled": [0.30000000000000004, 0.0]})
    assert grid_of(sheet_of(frame, "orders")) == Instrument("0.01", "0.1")  # type: ignore[arg-type]


# beside the engine


def wild(seed: int) -> tuple[Lives, Tape]:
    """A few orders, each with its own end, on a tape that walks around them."""
    random = Random(seed)  # noqa: S311 - a test, not a secret
    steps = (0, 0, 1, S // 4, 3 * S // 10, S, 5 * S)
    at, trades = T0, []
    for _ in range(random.randrange(1, 25)):
        at += random.choice(steps)
        taker = random.choice(("buy", "sell", None))
        trades.append({"ns": at, "price": random.randint(98, 102), "size": random.randint(1, 4), "side": taker})
    times = [row["ns"] for row in trades] + [row["ns"] + random.choice((-1, 1, S)) for row in trades]
    orders = []
    for name in range(random.randrange(1, 8)):
        begin, end = sorted(random.choices(times, k=2))
        word = random.choice(("cancelled", "open"))
        orders.append(
            {
                "order_id": name, "side": random.choice(("buy", "sell")), "price": random.randint(98, 102),
                "size": random.randint(1, 6), "submit_ns": begin, "end_ns": end if word == "cancelled" else -1,
                "end": word, "filled": 0, "first_fill_ns": -1,
            }
        )  # fmt: skip
    lives = lives_of(sheet_of(pd.DataFrame(orders), "orders"), Instrument())
    return lives, tape_of(pd.DataFrame(trades))


def tape_of(trades: pd.DataFrame) -> Tape:
    grid = Instrument()
    columns = trades.rename(columns={"side": "aggressor"})
    tops = tops_of(Sheet(pd.DataFrame(columns=["ns", "bid", "bid_size", "ask", "ask_size"]), "quotes", ""), grid)
    return Tape(trades_of(Sheet(columns, "tape", "tape"), grid), tops, grid, False, (), {}, {}, {})


def by_the_engine(lives: Lives, tape: Tape, rules: Rules) -> Answer:
    """Each order alone under the reference simulator."""
    first, filled = np.full(len(lives), ABSENT), np.zeros(len(lives), np.int64)
    events = tuple(tape.events())
    for row in range(len(lives)):
        price, size = int(lives.price_ticks[row]), int(lives.size_lots[row])
        submit = Submit(int(lives.submit_ns[row]), row, Side(int(lives.side[row])), price, size)
        cancel = [Cancel(int(lives.end_ns[row]), row)] if lives.end[row] == EndState.CANCELLED else []
        fills = simulate(Scenario(events, (submit, *cancel), rules))
        if fills:
            first[row], filled[row] = fills[0].ns, sum(fill.size_lots for fill in fills)
    return Answer(first, filled)


def same(a: Answer, b: Answer) -> bool:
    return bool((a.first_ns == b.first_ns).all() and (a.filled_lots == b.filled_lots).all())


@given(st.integers(0, 10**9), st.sampled_from(["at", "through"]), st.sampled_from(["whole", "trade", "shared"]))
def test_every_rule_answers_as_the_reference_simulator_does_for_each_order_alone(
    seed: int, cross: str, sizing: str
) -> None:
    lives, tape = wild(seed)
    rules = Rules.from_dict({**GRID.to_dict(), "cross": cross, "sizing": sizing})
    cells = cells_of(lives, tape, rules)
    answer = whole(lives, tape, cells) if sizing == "whole" else limited(lives, tape, cells)
    assert same(answer, by_the_engine(lives, tape, rules))


@given(st.integers(0, 10**9), any_rules())
def test_one_s_own_rules_answer_as_the_reference_simulator_does(seed: int, rules: Rules) -> None:
    lives, tape = wild(seed)
    free = Rules.from_dict({**rules.to_dict(), "position_cap_lots": "none", "initial_position_lots": 0})
    assert same(under(lives, tape, rules), by_the_engine(lives, tape, free))


@given(st.integers(0, 10**9), st.sampled_from(["whole", "trade"]))
def test_with_nobody_ahead_the_queue_is_no_queue(seed: int, sizing: str) -> None:
    lives, tape = wild(seed)
    cells = cells_of(lives, tape, GRID)
    plain = whole(lives, tape, cells) if sizing == "whole" else limited(lives, tape, cells)
    assert same(queued(lives, tape, cells, [Place(0, 0, 0)] * len(lives), sizing), plain)


def one_in_a_queue(ahead: int, left: list[tuple[int, int]], *trades: tuple[int, int, int]) -> tuple[int, int]:
    """Seconds of the first fill (-1: none) and lots of a buy of 5 at 100, behind ``ahead`` lots of whom some leave."""
    frame = pd.DataFrame(trades, columns=["ns", "price", "size"])
    frame["ns"] = frame["ns"] * S
    tape = tape_of(frame.assign(side=None))
    row = {
        "order_id": 1, "side": "buy", "price": 100, "size": 5, "submit_ns": S, "end_ns": -1, "end": "open",
        "filled": 0, "first_fill_ns": -1,
    }  # fmt: skip
    lives = lives_of(sheet_of(pd.DataFrame([row]), "orders"), Instrument())
    place = Place(100, 101, ahead, [(at * S, lots) for at, lots in left])
    answer = queued(lives, tape, cells_of(lives, tape, GRID), [place], "trade")
    first = int(answer.first_ns[0])
    return (-1 if first == ABSENT else first // S, int(answer.filled_lots[0]))


def test_a_queue_is_eaten_left_and_swept() -> None:
    assert one_in_a_queue(4, [], (2, 100, 4)) == (-1, 0)
    assert one_in_a_queue(4, [], (2, 100, 5)) == (2, 1)
    assert one_in_a_queue(4, [], (2, 100, 3), (3, 100, 3)) == (3, 2)
    assert one_in_a_queue(4, [(2, 3)], (2, 100, 4)) == (2, 3)  # who leaves at the very instant has left
    assert one_in_a_queue(4, [(3, 3)], (2, 100, 4)) == (-1, 0)
    assert one_in_a_queue(4, [(3, 3)], (2, 100, 4), (4, 100, 9)) == (4, 5)
    assert one_in_a_queue(40, [], (2, 99, 2), (3, 100, 1)) == (2, 3)  # a trade through finds nobody ahead


# fills of makers alone

EXECUTIONS = """
1 100 2 sell 11 71
2 101 9 buy  72 21
3 100 1 sell 11 73
4 100 1 sell 12 74
5 100 1 sell 11 75
6 99  1 sell 13 76
7 99  1 sell 13 77
8 105 5 -    31 32
9 102 1 buy  78 0
10 103 1 buy 79 22
11 104 1 buy 80 22
"""


def executions(*, swapped: bool = False) -> pd.DataFrame:
    names = ["ns", "price", "size", "side", "buy_order", "sell_order"]
    frame = pd.DataFrame([line.split() for line in EXECUTIONS.strip().splitlines()], columns=names)
    frame["side"] = frame["side"].replace({"-": None})
    if swapped:  # the third execution is stamped after the fourth
        frame.loc[2, "ns"], frame.loc[3, "ns"] = "4", "3"
    return frame


def test_a_maker_s_rest_is_judged_from_its_first_fill_to_its_last() -> None:
    found = front_of_queue(executions(), "executions")
    assert (found.executions, found.used, found.aside) == (11, 9, {NO_TAKER: 1, NO_ID: 1})
    assert (found.makers, found.judged) == (5, 2)
    assert found.orders_aside == {ONE_FILL: 2, SEVERAL_PRICES: 1}
    parts = {part.name: part for part in found.parts}
    # 11 fills at 1, 3 and 5, and at 4 somebody behind it does: `trade` has its next fill right, its rest too early
    assert (parts["at, trade"].next_right, parts["at, trade"].done_right, parts["at, trade"].done_early) == (2, 1, 1)
    assert (parts["at, whole"].done_right, parts["at, whole"].done_early) == (1, 1)
    assert parts["at, whole"].median_early_s == 2e-9
    assert (parts["through"].next_missed, parts["through"].done_missed) == (2, 2)
    assert (found.at_limit, found.own, found.through, found.by_time) == (4, 3, 0, ())


@pytest.mark.parametrize("missing", ["0", None])
def test_orders_with_ids_of_text_are_judged_as_those_with_numbers(missing: str | None) -> None:
    frame = executions()
    for name in ("buy_order", "sell_order"):
        frame[name] = [missing if order == "0" else f"JRF-{order}" for order in frame[name]]
    found, plain = front_of_queue(frame, "executions"), front_of_queue(executions(), "executions")
    assert (found.used, found.aside, found.makers) == (plain.used, plain.aside, plain.makers)
    assert (found.parts, found.orders_aside) == (plain.parts, plain.orders_aside)


@pytest.mark.parametrize(
    ("changes", "field", "wanted"),
    [
        ({"symbol": ["ETH_JPY", *["BTC_JPY"] * 10]}, "symbol", "one symbol"),
        ({"sell_order": [1.5] * 11}, "sell_order", "an order id"),
    ],
)
def test_executions_that_cannot_be_told_apart_are_refused(changes: dict[str, Any], field: str, wanted: str) -> None:
    with pytest.raises(InputError, match=wanted) as error:
        front_of_queue(executions().assign(**changes), "executions")
    assert error.value.field == field


def test_the_order_of_the_exchange_and_the_order_of_time_are_told_apart() -> None:
    found = front_of_queue(executions(swapped=True), "executions")
    assert {part.name: part.next_right for part in found.parts}["at, trade"] == 2
    assert {part.name: part.next_right for part in found.by_time}["at, trade"] == 1
    assert "at, trade; by time" in calibration_text(found)


def test_a_trade_beyond_the_limit_of_a_maker_is_seen() -> None:
    frame = executions()
    frame.loc[3, "price"] = "98"
    found = front_of_queue(frame, "executions")
    through = next(part for part in found.parts if part.name == "through")
    assert (found.through, through.next_late, through.next_missed, through.done_early) == (1, 1, 1, 1)


@given(st.integers(0, 10**9))
def test_next_and_counts_are_those_of_a_plain_loop(seed: int) -> None:
    random = Random(seed)  # noqa: S311 - a test, not a secret
    rows = [
        (at, random.randint(98, 102), 1, random.choice(("buy", "sell")), random.randint(1, 5), random.randint(6, 9))
        for at in range(random.randrange(1, 60))
    ]
    makers: dict[int, list[int]] = {}
    for at, (_, _, _, side, buy, sell) in enumerate(rows):
        makers.setdefault(sell if side == "buy" else buy, []).append(at)
    expected = at_limit = through = 0
    for places in makers.values():
        price, sign = rows[places[0]][1], 1 if rows[places[0]][3] == "sell" else -1
        if len(places) < 2 or len({rows[at][1] for at in places}) > 1:
            continue
        window = [
            rows[at] for at in range(places[0] + 1, places[-1] + 1) if (1 if rows[at][3] == "sell" else -1) == sign
        ]
        reached = [row for row in window if sign * (price - row[1]) >= 0]
        expected += reached[0][0] == rows[places[1]][0]
        at_limit += sum(row[1] == price for row in reached)
        through += any(sign * (price - row[1]) > 0 for row in reached)
    frame = pd.DataFrame(rows, columns=["ns", "price", "size", "side", "buy_order", "sell_order"])
    found = front_of_queue(frame, "executions")
    assert (found.parts[1].next_right, found.at_limit, found.through) == (expected, at_limit, through)


# the recorded days


@needs_shared
def test_the_recorded_orders_of_bitstamp() -> None:
    started = time.perf_counter()
    result = fillproof(SHARED / "bitstamp_l3_20150501")
    assert result.exit_code == 0, result.output
    assert time.perf_counter() - started < 60
    assert "24,894 real orders = 24,540 judged + 354 set aside" in result.output
    files = SHARED / "bitstamp_l3_20150501"
    found = calibration_of(
        Files(
            orders=str(files / "orders_BTCUSD.parquet"),
            events=str(files / "events_BTCUSD.parquet"),
            tape=(str(files / "trades_BTCUSD.parquet"),),
            quotes=(str(files / "quotes_BTCUSD.parquet"),),
        )
    )
    assert isinstance(found, Calibration)
    assert (found.read, found.judged, found.aside) == (24_894, 24_540, {MARKETABLE: 342, CHANGED: 12})
    told = scores(found)
    assert {name: classes(score)[:5] for name, score in told.items()} == {
        "at, whole": (383, 1, 0, 0, 18),
        "at, trade or shared": (383, 1, 0, 0, 18),
        "through, whole": (112, 0, 122, 150, 0),
        "through, trade or shared": (112, 0, 122, 150, 0),
        "queue L1, whole": (320, 0, 28, 36, 0),
        "queue L1, trade": (320, 0, 28, 36, 0),
        "queue L3, whole": (384, 0, 0, 0, 0),
        "queue L3, trade": (384, 0, 0, 0, 0),
    }
    exact = told["queue L3, trade"]
    assert (exact.same_size, exact.lots) == (384, exact.real_lots)


@needs_shared
def test_the_recorded_makers_of_bitflyer() -> None:
    started = time.perf_counter()
    found = calibration_of(Files(makers=str(SHARED / "bitflyer_spot_201801" / "trades_BTC_JPY.parquet")))
    assert time.perf_counter() - started < 60
    assert isinstance(found, FrontOfQueue)
    assert (found.executions, found.used, found.makers, found.judged) == (1_233_856, 1_233_408, 697_349, 187_474)
    assert found.orders_aside == {ONE_FILL: 509_869, SEVERAL_PRICES: 6}
    assert [(part.next_right, part.done_right) for part in found.parts] == [
        (187_473, 94_579), (187_473, 187_473), (0, 0),
    ]  # fmt: skip
    assert [(part.next_right, part.done_right) for part in found.by_time] == [
        (177_304, 86_781), (177_304, 168_986), (0, 0),
    ]  # fmt: skip
    assert (found.at_limit, found.own, found.through) == (536_051, 536_050, 0)
