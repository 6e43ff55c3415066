"""Tables of any names: a map gives them ours, and says what it could not."""

from __future__ import annotations

import gzip
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from invariants import audit
from invariants.cli import main
from invariants.readers import read_run
from invariants.readers.mapping import read_map, read_mapped, write_map
from invariants.readers.mapping_plan import is_map
from invariants.readers.tape import read_tape
from invariants.report import report_text
from simcore import InputError, Instrument, Rules
from simcore.rules import DIALS
from simcore.run import ABSENT, Run

MS = 1_767_571_200_000
T0_NS = MS * 10**6
CSV = f"""when,px,amount,way,oid
{MS},100.5,2,B,7
{MS + 250},101,0.5,S,8
"""
PAIRS = ("ns=when", "price=px", "size=amount", "side=way", "order_id=oid", "fills.time_unit=ms")
WORDS = ("fills.words.B=buy", "fills.words.S=sell")
MAP = """
format = "fillproof-map/1"
name = "two fills"
[instrument]
tick_size = "0.5"
lot_size = "0.1"
[rules]
preset = "origin"
latency_ns = 0
[provenance]
submit_ns = "nominal"
[fills]
file = "executions.csv"
time_unit = "ms"
[fills.columns]
ns = "when"
price = "px"
size = "amount"
side = "way"
order_id = "oid"
[orders]
file = "sent.csv.gz"
time_unit = "s"
size_unit = "0.001"
[orders.columns]
submit_ns = "at"
cancel_ns = "withdrawn"
size = "milli"
[orders.constants]
price = 101
[orders.words]
L = "buy"
done = "filled"
"""
ORDERS = """order_id,side,at,withdrawn,milli,end
7,L,1767571199.5,,2000,done
8,sell,1767571200,1767571201.25,500,
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "executions.csv"
    path.write_text(CSV)
    return path


def a_map(folder: Path, text: str = MAP) -> Path:
    (folder / "executions.csv").write_text(CSV)
    (folder / "sent.csv.gz").write_bytes(gzip.compress(ORDERS.encode()))
    path = folder / "fillproof-map.toml"
    path.write_text(text)
    return path


def columns(run: Run) -> dict[str, list[Any]]:
    fills = run.fills
    return {
        "ns": fills.ns.tolist(),
        "side": fills.side.tolist(),
        "price": [run.instrument.price(p) for p in fills.price_ticks.tolist()],
        "size": [run.instrument.size(s) for s in fills.size_lots.tolist()],
        "order_id": fills.order_id.tolist(),
    }


EXPECTED = {
    "ns": [MS * 10**6, (MS + 250) * 10**6],
    "side": [1, -1],
    "price": [Decimal("100.5"), Decimal(101)],
    "size": [Decimal(2), Decimal("0.5")],
    "order_id": [7, 8],
}


def test_pairs_of_a_command_line_name_the_columns_of_a_table_of_fills(table: Path) -> None:
    run = read_mapped(table, columns=PAIRS + WORDS)
    assert columns(run) == EXPECTED
    assert run.rules.undeclared == frozenset(DIALS)
    assert run.read == {"fills": 2}
    assert run.name == "executions"
    assert (run.instrument.tick_size, run.instrument.lot_size) == (Decimal("0.1"), Decimal("0.1"))
    assert list(run.inputs) == [str(table)]


def test_words_that_are_ours_already_need_no_line(table: Path) -> None:
    assert columns(read_mapped(table, columns=PAIRS)) == EXPECTED


def test_a_kept_map_reads_the_same_run(table: Path, tmp_path: Path) -> None:
    (tmp_path / "maps").mkdir()
    kept = tmp_path / "maps" / "mine.toml"
    write_map(kept, table=table, columns=(*PAIRS, *WORDS, "rules.preset=origin", "rules.latency_ns=250"))
    assert is_map(kept)
    assert 'file = "../executions.csv"' in kept.read_text()
    run = read_map(kept)
    assert columns(run) == EXPECTED
    assert run.rules.latency_ns == 250
    assert [path.name for path in kept.parent.iterdir()] == ["mine.toml"]


def test_a_map_reads_several_tables_with_units_constants_and_words(tmp_path: Path) -> None:
    run = read_map(a_map(tmp_path))
    assert columns(run) == EXPECTED
    orders = run.orders
    assert run.name == "two fills"
    assert run.instrument.tick_size == Decimal("0.5")
    assert run.rules.latency_ns == 0
    assert orders.order_id.tolist() == [7, 8]
    assert orders.side.tolist() == [1, -1]
    assert orders.price_ticks.tolist() == [202, 202]
    assert orders.size_lots.tolist() == [20, 5]
    assert orders.submit_ns.tolist() == [1_767_571_199_500_000_000, 1_767_571_200_000_000_000]
    assert orders.cancel_ns.tolist() == [ABSENT, 1_767_571_201_250_000_000]
    assert orders.end_words == ["filled", ""]
    assert run.provenance["submit_ns"] == "nominal"
    assert run.fills.order.tolist() == [0, 1]
    assert is_map(tmp_path)


def test_a_parquet_table_reads_as_its_csv(tmp_path: Path) -> None:
    times = pd.to_datetime([MS, MS + 250], unit="ms", utc=True)
    frame = pd.DataFrame({"when": times, "px": [100.5, 101.0], "amount": [2.0, 0.5], "way": ["B", "S"], "oid": [7, 8]})
    path = tmp_path / "executions.parquet"
    frame.to_parquet(path)
    assert columns(read_mapped(path, columns=PAIRS[:5])) == EXPECTED


def test_a_side_that_parquet_has_as_a_float_may_be_a_word_of_the_map(tmp_path: Path) -> None:
    frame = pd.DataFrame({"when": [MS, MS + 250], "px": [100.5, 101.0], "amount": [2.0, 0.5], "way": [1.0, -1.0]})
    words = ("fills.time_unit=ms", "fills.words.1.0=buy", "fills.words.-1.0=sell")
    for path, write in ((tmp_path / "a.parquet", frame.to_parquet), (tmp_path / "b.csv", frame.to_csv)):
        write(path, index=False)
        assert read_mapped(path, columns=(*PAIRS[:4], *words)).fills.side.tolist() == [1, -1]


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("1767571200.25", "s"),
        ("1767571200250", "ms"),
        ("1767571200250000", "us"),
        ("1767571200250000000", None),
        ("2026-01-05T00:00:00.25Z", None),
        ("2026-01-05 09:00:00.25+09:00", "s"),
    ],
)
def test_times_are_read_in_their_unit(tmp_path: Path, text: str, unit: str | None) -> None:
    path = tmp_path / "fills.csv"
    path.write_text(f"ns,side,price,size\n{text},buy,1,1\n")
    run = read_mapped(path, columns=[f"fills.time_unit={unit}"] if unit else [])
    assert run.fills.ns.tolist() == [1_767_571_200_250_000_000]


def test_a_signed_size_is_a_side_and_a_size(tmp_path: Path) -> None:
    path = tmp_path / "fills.csv"
    path.write_text("ns,price,qty\n1767571200000000000,1,-2.5\n1767571200000000001,1,3\n")
    run = read_mapped(path, columns=["signed_size=qty"])
    assert run.fills.side.tolist() == [-1, 1]
    assert run.fills.size_lots.tolist() == [25, 30]


def test_fills_without_order_ids_are_fills_of_unknown_orders(tmp_path: Path) -> None:
    path = tmp_path / "fills.csv"
    path.write_text("ns,side,price,size\n1767571200000000000,buy,1,1\n")
    run = read_mapped(path, columns=[])
    assert run.fills.order_id.tolist() == ["row 1"]
    law = next(j for j in audit(run).judgements if j.law == "fills_have_orders")
    assert law.verdict.value == "unknown"


def test_a_number_that_is_none_is_a_rejected_row(tmp_path: Path) -> None:
    path = tmp_path / "fills.csv"
    path.write_text("ns,side,price,qty\n1767571200000000000,buy,1,nan\n1767571200000000001,buy,1,7\n")
    run = read_mapped(path, columns=["size=qty", "fills.size_unit=0.01"])
    assert run.read == {"fills": 2}
    assert [(r.row, r.field) for r in run.rejected] == [(1, "size")]
    assert run.fills.size_lots.tolist() == [7]


def test_a_tape_and_tops_may_be_mapped_too(tmp_path: Path) -> None:
    (tmp_path / "fills.csv").write_text("ns,side,price,size\n1767571200000000000,buy,10,1\n")
    (tmp_path / "prints.csv").write_text("t,p,q,taker\n1767571200000,10,1,S\n")
    (tmp_path / "book.csv").write_text("t,b,bq,a,aq\n1767571200000,10,1,11.5,2\n")
    run = read_mapped(
        tmp_path / "fills.csv",
        columns=[
            f"tape={tmp_path / 'prints.csv'}",
            "tape.ns=t",
            "tape.price=p",
            "tape.size=q",
            "tape.aggressor=taker",
            "tape.time_unit=ms",
            f"quotes={tmp_path / 'book.csv'}",
            *("quotes.ns=t", "quotes.bid=b", "quotes.bid_size=bq", "quotes.ask=a", "quotes.ask_size=aq"),
            "quotes.time_unit=ms",
        ],
    )
    assert run.has_tape
    assert run.trades.aggressor.tolist() == [-1]
    assert run.tops.ask_ticks.tolist() == [115]
    assert run.instrument.tick_size == Decimal("0.1")


def test_a_given_tape_makes_the_grid_as_fine_as_it_needs(table: Path, tmp_path: Path) -> None:
    tape = tmp_path / "tape.csv"
    tape.write_text("ns,price,size\n1767571200000000000,100.25,0.125\n")
    run = read_mapped(table, columns=PAIRS, tape=tape, rules=Rules())
    assert (run.instrument.tick_size, run.instrument.lot_size) == (Decimal("0.01"), Decimal("0.001"))
    assert columns(run) == EXPECTED
    assert run.trades.price_ticks.tolist() == [10025]


@pytest.mark.parametrize(
    ("pairs", "field", "wanted"),
    [
        (["price=cost"], "cost", "the column 'cost'"),
        (["colour=px"], "colour", "one of format"),
        (["fills.colour=px"], "fills.columns.colour", "one of ns"),
        (["fills.time_unit=days"], "fills.time_unit", "s or ms"),
        (["fills.size_unit=0"], "fills.size_unit", "a number > 0"),
        (["fills.delimiter=:"], "fills.delimiter", ", or ; or | or tab"),
        (["fills.decimal=;"], "fills.decimal", ". or ,"),
        (["trips.price=px"], "trips", "one of format"),
        (["price=px", "fills.price=px"], "fills.price", "each name once"),
        (["price"], "price", "OUR_NAME=THEIR NAME"),
        (["price="], "price=", "OUR_NAME=THEIR NAME"),
        (["price=px", "fills.constants.price=3"], "fills.constants.price", "one of them"),
        (["orders=nowhere.csv"], "file", "a readable file"),
        (["instrument.step=1"], "instrument.step", "tick_size or lot_size"),
        (["instrument.tick_size=x"], "instrument.tick_size", "a finite number"),
        (["rules.colour=red"], "colour", "a known key"),
        (["format.a=b"], "format.a", "a name that is not a value already"),
        (["signed_size=amount", "size=amount"], "size", "none beside signed_size"),
    ],
)
def test_a_name_that_nobody_knows_is_a_named_error(table: Path, pairs: list[str], field: str, wanted: str) -> None:
    mine = {"price", "size", "side", *(pair.partition("=")[0] for pair in pairs)}
    others = [pair for pair in PAIRS if pair.partition("=")[0] not in mine]
    with pytest.raises(InputError) as caught:
        read_mapped(table, columns=[*others, *pairs])
    assert caught.value.field == field
    assert wanted in caught.value.wanted


@pytest.mark.parametrize(("delimiter", "sign"), [(";", ";"), ("tab", "\t"), ("\t", "\t"), ("|", "|"), (",", ",")])
def test_a_table_of_another_delimiter_and_a_decimal_comma_reads_as_the_plain_one(
    tmp_path: Path, delimiter: str, sign: str
) -> None:
    path = tmp_path / "fills.csv"
    rows = [[f'"{cell.replace(".", ",")}"' for cell in line.split(",")] for line in CSV.splitlines()]
    path.write_text("\r\n".join(sign.join(row) for row in rows))
    pairs = (*PAIRS, *WORDS, f"fills.delimiter={delimiter}", "fills.decimal=,")
    assert columns(read_mapped(path, columns=pairs)) == EXPECTED
    write_map(tmp_path / "kept.toml", table=path, columns=pairs)
    assert columns(read_map(tmp_path / "kept.toml")) == EXPECTED


@pytest.mark.parametrize(
    ("when", "ns"),
    [("2026-01-05T00:00:00.250Z", 250), ("2026-01-05 00:00:00,250", 250), ("1767571200,25", 250), ("1767571200", 0)],
)
def test_a_decimal_comma_leaves_times_what_they_are(tmp_path: Path, when: str, ns: int) -> None:
    path = tmp_path / "fills.csv"
    path.write_text(f"ns;side;price;size;fee\n{when};buy;1,5;2;-0,01\n")
    run = read_mapped(path, columns=["fills.delimiter=;", "fills.decimal=,", "fills.time_unit=s"])
    assert run.fills.ns.tolist() == [(MS + ns) * 10**6]
    assert run.instrument.tick_size == Decimal("0.1")


@pytest.mark.parametrize("cell", ["1.234,5", "1,234,5", "1.5"])
def test_a_sign_between_thousands_is_refused_and_not_guessed(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "fills.csv"
    path.write_text(f"ns;side;price;size\n2026-01-05;buy;1,5;{cell}\n".replace("05;", "05T00:00;"))
    with pytest.raises(InputError) as caught:
        read_mapped(path, columns=["fills.delimiter=;", "fills.decimal=,"])
    assert (caught.value.row, caught.value.field, caught.value.got) == (1, "size", cell)


def test_a_delimiter_of_parquet_is_a_named_error(tmp_path: Path) -> None:
    path = tmp_path / "fills.parquet"
    pd.DataFrame({"ns": [MS], "side": ["buy"], "price": [1.5], "size": [2.0]}).to_parquet(path)
    with pytest.raises(InputError, match="is Parquet"):
        read_mapped(path, columns=["fills.delimiter=;", "fills.time_unit=ms"])


def test_a_table_that_is_one_column_hints_at_the_delimiter(tmp_path: Path) -> None:
    path = tmp_path / "fills.csv"
    path.write_text("when;px\n1;2\n")
    with pytest.raises(InputError, match="say the delimiter"):
        read_mapped(path, columns=["ns=when"])


def test_fills_in_several_markets_are_a_named_error(tmp_path: Path) -> None:
    path = tmp_path / "executions.csv"
    path.write_text(f"when,px,amount,way,oid,symbol\n{MS},100.5,2,B,7,ETH\n{MS + 250},101,0.5,S,8,BTC\n")
    with pytest.raises(InputError, match="ETH beside BTC") as error:
        read_mapped(path, columns=PAIRS + WORDS)
    assert error.value.field == "symbol"


def test_a_missing_column_is_a_named_error(table: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_mapped(table, columns=[pair for pair in PAIRS if not pair.startswith("price")])
    assert caught.value.field == "price"


def test_a_small_time_without_unit_is_refused_and_not_guessed(table: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_mapped(table, columns=PAIRS[:5])
    assert (caught.value.row, caught.value.field) == (1, "when")
    assert "fills.time_unit" in caught.value.wanted


@pytest.mark.parametrize("cell", ["yesterday", "", "1e400", "1767571200250.0000001"])
def test_a_time_that_is_none_is_refused(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "fills.csv"
    path.write_text(f"ns,side,price,size\n{cell},buy,1,1\n")
    with pytest.raises(InputError) as caught:
        read_mapped(path, columns=["fills.time_unit=ms"])
    assert (caught.value.row, caught.value.field) == (1, "ns")


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ('"fillproof-map/1"', '"fillproof-map/2"', "format"),
        ("[fills]", "[bills]", "bills"),
        ('time_unit = "ms"', 'time_unit = ["ms"]', "fills.time_unit"),
        ('time_unit = "ms"', 'delimiter = [";"]', "fills.delimiter"),
        ('time_unit = "ms"', "decimal = 1", "fills.decimal"),
        ('file = "executions.csv"', "file = 3", "fills.file"),
        ('name = "two fills"', "name = 3", "name"),
        ('ns = "when"', "ns = 3", "fills.columns.ns"),
        ('submit_ns = "nominal"', 'submit_ns = "sure"', "submit_ns"),
        ("[orders.words]\n", "[orders.words]\nd.x = 1\n", "orders.words.d"),
        ('order_id = "oid"\n', "", "order_id"),
    ],
)
def test_a_wrong_map_is_a_named_error(tmp_path: Path, old: str, new: str, field: str) -> None:
    path = a_map(tmp_path, MAP.replace(old, new))
    with pytest.raises(InputError) as caught:
        read_map(path)
    assert caught.value.field == field


@pytest.mark.parametrize("text", ["", "format = 3", "\x00", "format = 'fillproof-run/1'", "[" * 5000])
def test_other_files_are_no_maps(tmp_path: Path, text: str) -> None:
    path = tmp_path / "some.toml"
    path.write_text(text)
    assert not is_map(path)
    assert not is_map(tmp_path)
    assert not is_map(tmp_path / "nothing.toml")


def test_a_map_that_cannot_be_kept_is_a_named_error(table: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        write_map(tmp_path / "no" / "where.toml", table=table, columns=PAIRS)


def test_orders_from_csv_and_fills_from_parquet_name_each_other(tmp_path: Path) -> None:
    frame = pd.DataFrame({"ns": np.array([1_767_571_200_000_000_000]), "side": ["buy"], "price": [1], "size": [1]})
    frame["order_id"] = [7]
    frame.to_parquet(tmp_path / "fills.parquet")
    orders = tmp_path / "orders.csv"
    orders.write_text("order_id,side,price,size,submit_ns\n7,buy,1,1,1767571199000000000\n")
    run = read_mapped(tmp_path / "fills.parquet", columns=[f"orders={orders}"])
    assert run.fills.order.tolist() == [0]


def test_times_that_were_cut_lie_somewhere_in_their_seconds(tmp_path: Path) -> None:
    """The trade came 0.4 s into the second that the fill's time was cut to."""
    (tmp_path / "fills.csv").write_text(f"ns,price,size,side\n{MS // 1000},100,1,buy\n")
    tape = tmp_path / "tape.csv"
    tape.write_text(f"ns,price,size,side\n{MS // 1000}400000000,99,1,SELL\n")
    pairs = ("fills.time_unit=s", "rules.preset=origin")
    cut = [*pairs, "fills.time_resolution=s"]
    run = read_mapped(tmp_path / "fills.csv", columns=cut, tape=tape)
    assert run.fills.ns_to.tolist() == [MS * 10**6 + 10**9 - 1]
    assert not audit(run)["fills_have_trades"].findings
    assert audit(read_mapped(tmp_path / "fills.csv", columns=pairs, tape=tape))["fills_have_trades"].findings


@pytest.mark.parametrize(
    ("table", "more", "says"),
    [
        (
            "ns,price,size,side\n1767571200.5,100,1,buy\n",
            [],
            "row 1: ns: got 1767571200500000000, wanted a multiple of",
        ),
        ("ns,ns_to,price,size,side\n1767571200,1767571200,100,1,buy\n", [], "wanted none beside fills.time_resolution"),
        ("ns,price,size,side\n", ["fills.time_resolution=m"], "wanted min or s or ms or us or ns"),
        ("ns,price,size,side\n", ["tape=fills.csv", "tape.time_resolution=s"], "only the time of a fill has an end"),
    ],
)
def test_a_resolution_that_the_times_have_not_is_refused(
    tmp_path: Path, table: str, more: list[str], says: str
) -> None:
    (tmp_path / "fills.csv").write_text(table)
    pairs = ["fills.time_unit=s", *(more or ["fills.time_resolution=s"])]
    with pytest.raises(InputError, match=says):
        read_mapped(tmp_path / "fills.csv", columns=pairs)


IB_FLEX = """"DateTime","Buy/Sell","Quantity","TradePrice"
"20260105;093001","BUY","100","190.25"
"20260105;093105","SELL","-100","190.50"
"""
MT5 = """Time;Type;Direction;Volume;Price
2026.01.05 09:30:01;balance;;;
2026.01.05 09:30:01;buy;in;100;190.25
2026.01.05 09:31:05;sell;out;100;190.50
"""


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        (IB_FLEX, ["ns=DateTime", "side=Buy/Sell", "price=TradePrice", "fills.constants.size=100",
                   "fills.time_format=%Y%m%d;%H%M%S"]),
        (MT5, ["ns=Time", "side=Type", "price=Price", "size=Volume", "fills.delimiter=;",
               "fills.time_format=%Y.%m.%d %H:%M:%S", "fills.rows.Type=buy|sell"]),
    ],
)  # fmt: skip
def test_times_are_read_in_the_format_that_the_map_names(tmp_path: Path, text: str, pairs: list[str]) -> None:
    (tmp_path / "fills.csv").write_text(text)
    run = read_mapped(tmp_path / "fills.csv", columns=pairs)
    assert run.fills.ns.tolist() == [1_767_605_401_000_000_000, 1_767_605_465_000_000_000]
    assert run.fills.side.tolist() == [1, -1]


LOCAL = """Date,Time,Side,Price,Qty,Commission
{day},{time},B,1,1,-0.5
"""


@pytest.mark.parametrize(
    ("day", "time", "pairs", "utc"),
    [
        ("01/07/2026", "09:30:00", ["fills.time_format=%m/%d/%Y %H:%M:%S"], "2026-01-07 14:30:00"),
        ("07/07/2026", "09:30:00", ["fills.time_format=%m/%d/%Y %H:%M:%S"], "2026-07-07 13:30:00"),
        ("2026-01-07", "09:30:00.25", [], "2026-01-07 14:30:00.25"),
        ("2026-01-07", "09:30:00+01:00", [], "2026-01-07 08:30:00"),
        ("2026-11-01", "01:30:00", [], None),
        ("2026-03-08", "02:30:00", [], None),
    ],
)
def test_a_time_in_two_columns_and_in_a_zone(
    tmp_path: Path, day: str, time: str, pairs: list[str], utc: str | None
) -> None:
    """Clocks that are put back show an hour twice, and one that is left out never."""
    path = tmp_path / "fills.csv"
    path.write_text(LOCAL.format(day=day, time=time))
    names = ["ns=Date + Time", "side=Side", "price=Price", "size=Qty", "fee=Commission", "fills.words.B=buy",
             "fills.time_zone=America/New_York", "fills.fee_unit=-1"]  # fmt: skip
    if utc is None:
        with pytest.raises(InputError, match="a time that clocks in America/New_York show once"):
            read_mapped(path, columns=[*names, *pairs])
        return
    run = read_mapped(path, columns=[*names, *pairs])
    assert run.fills.ns.tolist() == [pd.Timestamp(utc, tz="UTC").value]
    assert run.fills.fee.tolist() == [Decimal("0.5")]


def test_a_number_and_a_datetime_have_no_zone(tmp_path: Path) -> None:
    frame = pd.DataFrame({"ns": [T0_NS], "side": ["buy"], "price": [1], "size": [1]})
    for values in (frame["ns"], pd.to_datetime(frame["ns"])):
        frame.assign(ns=values).to_parquet(tmp_path / "fills.parquet")
        with pytest.raises(InputError, match=r"row 1: ns: got .*has no time_zone"):
            read_mapped(tmp_path / "fills.parquet", columns=["fills.time_zone=Europe/Berlin"])


def test_a_market_is_chosen_by_its_rows_and_one_beside_another_is_refused(tmp_path: Path) -> None:
    rows = f"{T0_NS},1,1,buy,ETH\n{T0_NS},2,1,sell,BTC\n"
    (tmp_path / "fills.csv").write_text(f"ns,price,size,side,Symbol\n{rows}")
    (tmp_path / "tape.csv").write_text(f"ns,price,size,side,symbol\n{rows}")
    run = read_mapped(tmp_path / "fills.csv", columns=["fills.rows.Symbol=ETH"])
    assert run.fills.side.tolist() == [1]
    tape = [f"tape={tmp_path / 'tape.csv'}"]
    run = read_mapped(tmp_path / "fills.csv", columns=["fills.rows.Symbol=ETH", *tape, "tape.rows.symbol=ETH"])
    assert run.trades.aggressor.tolist() == [1]  # as where a tape is read without a map
    for more in ([], ["fills.rows.Symbol=ETH", *tape, "tape.rows.symbol=BTC"]):
        with pytest.raises(InputError, match=r"symbol: got '(ETH beside BTC|BTC beside ETH)'"):
            read_mapped(tmp_path / "fills.csv", columns=more)


TAPE_MAP = """
format = "fillproof-map/1"
[instrument]
tick_size = "1"
lot_size = "0.1"
[tape]
file = "x.csv"
time_format = "%d.%m.%Y %H:%M:%S"
time_zone = "Europe/Berlin"
[tape.columns]
ns = "Date + Time"
price = "Price"
signed_size = "Amount"
[tape.rows]
Product = "ETH"
"""
OF_TWO = """Date,Time,Product,Price,Amount
01.07.2024,09:30:00,ETH,100,-1
01.07.2024,09:30:01,BTC,6000,1
01.07.2024,09:30:02,ETH,99,-2
01.07.2024,09:30:09,ETH,97,2.5
"""


def test_a_tape_of_any_columns_is_read_through_a_map(tmp_path: Path) -> None:
    """One of two markets, local time in two columns, the taker in the sign."""
    (tmp_path / "x.csv").write_text(OF_TWO)
    (tmp_path / "t.toml").write_text(TAPE_MAP)
    tape = read_tape(tmp_path / "t.toml")
    assert (tape.instrument, tape.derived) == (Instrument(1, "0.1"), False)
    assert tape.trades.ns.tolist() == [pd.Timestamp(f"2024-07-01 07:30:0{s}").value for s in (0, 2, 9)]
    assert (tape.trades.aggressor.tolist(), tape.trades.size_lots.tolist()) == ([-1, -1, 1], [10, 20, 25])
    assert (tape.trades.row.tolist(), tape.aside) == ([1, 3, 4], {"tape": 1})
    for words in (["simulate", "t.toml", "--out", "run"], ["audit", "run", "--tape", "t.toml"]):
        said = CliRunner().invoke(main, [str(tmp_path / w) if w in ("t.toml", "run") else w for w in words])
        assert said.exit_code == 0, said.output
    assert "tape rows left aside by the map  1" in said.output
    assert read_run(tmp_path / "run").reported["unjudged.tape rows left aside by the map"] == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ((OF_TWO, OF_TWO.replace(",97,", ",,")), "x.csv row 4: price: got None"),
        (('"x.csv"', '"y.csv"'), "y.csv: file: got 'No such file or directory'"),
        (("[tape]", "[fills]"), "t.toml: tape or quotes: got 'nothing', wanted a table [tape]"),
        (('"ETH"', '"ETH|BTC"'), "x.csv: symbol: got"),
    ],
)  # fmt: skip
def test_a_map_of_a_tape_that_cannot_be_read_is_named(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    (tmp_path / "x.csv").write_text(OF_TWO.replace(*change))
    (tmp_path / "t.toml").write_text(TAPE_MAP.replace(*change))
    if "[fills]" in change[1]:
        (tmp_path / "t.toml").write_text('format = "fillproof-map/1"\n[fills]\nfile = "x.csv"\n')
    with pytest.raises(InputError, match=re.escape(says)):
        read_tape(tmp_path / "t.toml")


def test_a_tape_may_have_signed_sizes_and_words_that_became_floats(tmp_path: Path) -> None:
    (tmp_path / "fills.csv").write_text(f"ns,price,size,side\n{T0_NS},1,1,buy\n")
    tape = pd.DataFrame({"ns": [T0_NS, T0_NS], "price": [1, 1], "size": [2, -3]})
    tape.to_csv(tmp_path / "tape.csv", index=False)
    pairs = [f"tape={tmp_path / 'tape.csv'}", "tape.signed_size=size"]
    run = read_mapped(tmp_path / "fills.csv", columns=pairs)
    assert (run.trades.aggressor.tolist(), run.trades.size_lots.tolist()) == ([1, -1], [2, 3])
    tape.assign(size=1, aggressor=[0.0, 1.0]).to_parquet(tmp_path / "tape.parquet")
    pairs = [f"tape={tmp_path / 'tape.parquet'}", "tape.words.0=buy", "tape.words.1=sell", "tape.rows.aggressor=0|1"]
    run = read_mapped(tmp_path / "fills.csv", columns=pairs)
    assert run.trades.aggressor.tolist() == [1, -1]


def test_rows_that_a_map_leaves_aside_are_counted_and_the_others_keep_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "fills.csv").write_text(
        "ns,price,size,side,Status\n1,1,1,buy,Canceled\n2,1,1,buy,Filled\n3,1,1,buy,New\n4,1,0,buy,partially filled\n"
    )
    pairs = ["fills.time_unit=ns", "fills.rows.Status=filled|Partially Filled"]
    run = read_mapped(tmp_path / "fills.csv", columns=pairs)
    assert run.fills.row.tolist() == [2, 4]
    assert run.read["fills"] == 2
    assert run.reported == {"unjudged.fills rows left aside by the map": 2}
    report = audit(run)
    assert [finding.row for finding in report["values_are_valid"].findings] == [4]
    assert "fills rows left aside by the map" in report_text(report)


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        (["fills.rows.State=filled"], "the column 'State', by which --map: fills chooses rows"),
        (["fills.time_format=ymd"], "like %Y%m%d;%H%M%S"),
        (["fills.time_format=%H:%M:%S"], "a format with the year"),
        (["fills.time_format=%Y %Z"], "hangs on the machine"),
        (["fills.time_format=%Y %H:%M %p"], "%I beside %p"),
        (["fills.time_zone=Atlantis"], "a zone of the IANA database"),
        (["fills.time_zone=UTC", "fills.time_unit=s"], "none beside a time_unit"),
        (["fills.fee_unit=0"], "a number other than 0"),
        (["ns=Date + Time"], "the column 'Date', of which --map: fills makes ns"),
        (["fills.time_format=%Y", "fills.time_unit=s"], "none beside time_unit"),
        (["fills.time_format=%Y-%m-%d"], "row 2: ns: got '2', wanted a time like %Y-%m-%d"),
    ],
)
def test_a_format_or_a_choice_that_does_not_fit_is_a_named_error(tmp_path: Path, pairs: list[str], says: str) -> None:
    (tmp_path / "fills.csv").write_text("ns,price,size,side,Status\n2026-01-05,1,1,buy,Filled\n2,1,1,buy,Filled\n")
    with pytest.raises(InputError, match=re.escape(says)):
        read_mapped(tmp_path / "fills.csv", columns=pairs)
