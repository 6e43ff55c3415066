from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from malformed_inputs import write_bundle_by_hand
from tables import table

from invariants.auditing import audit
from invariants.cli import main
from invariants.readers import clock, read_run
from invariants.readers.sources import without_secrets
from invariants.readers.tape import Tape, read_tape, with_tape
from invariants.report.page.windows import Windows
from invariants.verdict import Verdict
from simcore import InputError, Instrument, Scenario, Side, TopOfBook, Trade
from simcore.run import ABSENT

T0 = 1_700_000_000_000_000_000
GMO = """symbol,side,size,price,timestamp
ETH,BUY,0.0100,550445.000,2024-06-30 21:06:52.346
ETH,SELL,0.0900,550381.000,2024-06-30 21:08:30.328
"""
GMO_NEXT = """symbol,side,size,price,timestamp
ETH,BUY,0.2500,550000.000,2024-07-01 21:00:00.000
"""
GMO_NS = 1_719_781_612_346_000_000
SHARED = Path(__file__).parents[2] / "shared" / "data"


def put(path: Path, text: str) -> Path:
    """Write a file, packed if its name says so."""
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def trades(tape: Tape) -> list[tuple[int, int, int, int]]:
    columns = (tape.trades.ns, tape.trades.price_ticks, tape.trades.size_lots, tape.trades.aggressor)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize("name", ["day.csv", "day.csv.gz", "day", "day.gz"])
def test_the_daily_csv_of_gmo_coin_is_recognised_by_its_content(tmp_path: Path, name: str) -> None:
    path = put(tmp_path / name, GMO)
    tape = read_tape(path)
    assert tape.instrument == Instrument(1, "0.01")
    assert tape.derived
    assert trades(tape) == [(GMO_NS, 550445, 1, 1), (GMO_NS + 97_982_000_000, 550381, 9, -1)]
    assert tape.inputs == {str(path): hashlib.sha256(path.read_bytes()).hexdigest()}
    assert (tape.read, tape.tables, tape.rejected) == ({"tape": 2}, {"tape": str(path)}, ())


@pytest.mark.parametrize(
    "header",
    ["ns,price,size,side", "ts_ns,price,qty,aggressor", "timestamp_ns,price,amount,side", "ts,price,size,aggressor"],
)
def test_generic_trades_by_any_of_their_names(tmp_path: Path, header: str) -> None:
    path = put(tmp_path / "trades.csv", f"{header}\n{T0},100.5,2,B\n{T0},100,1.25,sell\n")
    assert trades(read_tape(path)) == [(T0, 1005, 200, 1), (T0, 1000, 125, -1)]
    frame = pd.read_csv(path)
    frame.to_parquet(tmp_path / "trades.parquet", index=False)
    assert trades(read_tape(tmp_path / "trades.parquet")) == trades(read_tape(path))


DAILY = {
    "Binance futures": (
        "id,price,qty,quote_qty,time,is_buyer_maker",
        "7,100.5,2,201,1700000000123,{}",
        ("false", "true"),
    ),
    "Binance aggregated": (
        "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker",
        "7,100.5,2,8,9,1700000000123000,{}",
        ("False", "True"),
    ),
    "Bybit spot": ("id,timestamp,price,volume,side,rpi", "1,1700000000123,100.5,2,{},0", ("buy", "sell")),
    "Coinbase": (
        "type,trade_id,maker_order_id,taker_order_id,side,size,price,product_id,sequence,time",
        "match,1,a,b,{},2,100.5,X-EUR,5,2023-11-14T22:13:20.123Z",
        ("sell", "buy"),  # of the maker
    ),
    "Deribit": ("trade_seq,timestamp,instrument_name,price,amount,direction", "1,1700000000123,X,100.5,2,{}",
                ("buy", "sell")),
    "Hyperliquid": ("time,coin,side,px,sz", "2023-11-14T22:13:20.123,X,{},100.5,2", ("B", "S")),
    "BitMEX": ("timestamp,symbol,side,size,price,tickDirection", "2023-11-14T22:13:20.123Z,X,{},2,100.5,PlusTick",
               ("Buy", "Sell")),
    "Kaiko": ("Id,Exchange,Symbol,Date,Price,Amount,Taker_Side", "1,x,X,1700000000123,100.5,2,{}", ("buy", "sell")),
    "Bybit": ("timestamp,symbol,side,size,price,tickDirection", "1700000000.123,XRP,{},2,100.5,Plus", ("Buy", "Sell")),
    "OKX": ("instrument_name,trade_id,side,price,size,created_time", "X,1,{},100.5,2,1700000000123", ("buy", "sell")),
    "Tardis": (
        "exchange,symbol,timestamp,local_timestamp,id,side,price,amount",
        "x,XRP,1700000000123000,1700000000123456,1,{},100.5,2",
        ("buy", "sell"),
    ),
}  # fmt: skip
"""Daily files of trades as they are published: header, a row, and how a buyer and a seller who take are told."""


@pytest.mark.parametrize("publisher", DAILY)
def test_daily_files_of_trades_are_read_as_they_are_published(tmp_path: Path, publisher: str) -> None:
    header, row, takers = DAILY[publisher]
    path = put(tmp_path / "day.csv", "\n".join([header, *map(row.format, takers)]) + "\n")
    assert trades(read_tape(path)) == [(T0 + 123_000_000, 1005, 2, 1), (T0 + 123_000_000, 1005, 2, -1)]
    frame = pd.read_csv(path)
    frame.to_parquet(tmp_path / "day.parquet", index=False)
    assert trades(read_tape(tmp_path / "day.parquet")) == trades(read_tape(path))


def test_datetimes_and_unknown_takers(tmp_path: Path) -> None:
    frame = pd.DataFrame({"time": pd.to_datetime([T0, T0 + 1], utc=True), "price": [1, 2], "size": [1, 1]})
    frame.to_parquet(tmp_path / "t.parquet", index=False)
    assert trades(read_tape(tmp_path / "t.parquet")) == [(T0, 1, 1, 0), (T0 + 1, 2, 1, 0)]


@pytest.mark.parametrize(
    "header",
    [
        "ns,bid,bid_size,ask,ask_size",
        "ts_ns,bid_px,bid_sz,ask_px,ask_sz",
        "ts,bid1,bidq1,ask1,askq1",
        "timestamp,bid_price,bid_amount,ask_price,ask_amount",
        "transaction_time,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty",
        "Timestamp,bidPrice,bidSize,askPrice,askSize",
    ],
)
def test_tops_of_book_by_any_of_their_names(tmp_path: Path, header: str) -> None:
    put(tmp_path / "trades.csv", f"ns,price,size\n{T0},100,1\n{T0 + 2},101,1\n")
    put(tmp_path / "book.csv", f"{header}\n{T0},99,1,101.5,2\n{T0 + 1},99,1,101,2\n")
    tape = read_tape(tmp_path / "trades.csv", quotes=tmp_path / "book.csv")
    assert tape.instrument == Instrument("0.1", 1)
    assert [(type(e), e.ns - T0) for e in tape.events()] == [(Trade, 0), (TopOfBook, 0), (TopOfBook, 1), (Trade, 2)]
    assert Scenario(tuple(tape.events()), ())
    assert read_tape(tmp_path).events() == tape.events()  # a folder of both


def test_a_shared_seq_orders_the_events_of_one_instant(tmp_path: Path) -> None:
    put(tmp_path / "trades.csv", f"ns,price,size,side,seq\n{T0},100,1,buy,2\n{T0},101,1,buy,4\n")
    put(tmp_path / "book.csv", f"ns,bid,bid_size,ask,ask_size,seq\n{T0},99,1,101,1,1\n{T0},99,1,102,1,3\n")
    tape = read_tape([tmp_path / "trades.csv", tmp_path / "book.csv"])
    assert [type(e) for e in tape.events()] == [TopOfBook, Trade, TopOfBook, Trade]
    assert tape.events()[1] == Trade(T0, 100, 1, Side.BUY)
    assert tape.trades.seq.tolist() == [2, 4]


def test_two_columns_may_name_one_market_in_two_ways(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        f"ns,price,size,symbol,instrument_id\n{T0},1,1,ETH,ETHJPY.SIM\n{T0},1,1,,ETHJPY.SIM\n"
    )
    assert len(read_tape(tmp_path / "a.csv").trades) == 2


def test_the_files_of_a_glob_follow_each_other_by_their_first_time(tmp_path: Path) -> None:
    put(tmp_path / "a.csv", GMO_NEXT)
    put(tmp_path / "b.csv.gz", GMO)
    tape = read_tape(str(tmp_path / "*.csv*"))
    assert [price for _, price, _, _ in trades(tape)] == [550445, 550381, 550000]
    assert (tape.trades.row.tolist(), tape.trades.seq.tolist()) == ([1, 2, 3], [0, 1, 2])
    assert tape.tables == {"tape": f"{tmp_path / 'b.csv.gz'} and 1 more"}
    assert trades(read_tape(tmp_path)) == trades(tape)
    assert trades(read_tape([tmp_path / "b.csv.gz", tmp_path / "a.csv"])) == trades(tape)


def test_the_finest_grid_ignores_trailing_zeros_and_tiny_errors_are_not_hidden(tmp_path: Path) -> None:
    path = put(tmp_path / "t.csv", f"ns,price,size\n{T0},0.00012300,1.0\n{T0},5,20.00\n")
    assert read_tape(path).instrument == Instrument("0.000001", 1)


def test_a_given_grid_rejects_what_is_off_it(tmp_path: Path) -> None:
    path = put(tmp_path / "t.csv", f"ns,price,size\n{T0},100.5,1\n{T0},NaN,1\n{T0},101,1\n")
    tape = read_tape(path, instrument=Instrument())
    assert (trades(tape), tape.derived) == ([(T0, 101, 1, 0)], False)
    assert [(r.row, r.field, r.wanted) for r in tape.rejected] == [
        (1, "price", "a multiple of tick_size 1"),
        (2, "price", "a finite number"),
    ]
    assert tape.trades.seq.tolist() == [2]


def test_a_bundle_is_a_tape_with_its_own_grid(tmp_path: Path) -> None:
    tape = read_tape(write_bundle_by_hand(tmp_path / "run"))
    assert (len(tape.trades), len(tape.tops), tape.instrument, tape.derived) == (2, 2, Instrument(1, "0.01"), False)


@pytest.mark.parametrize(
    ("files", "file", "row", "field"),
    [
        ({"a.csv": f"ns,price,size\n{T0},1,1\n{T0 + 2},1,1\n{T0 + 1},1,1\n"}, "a.csv", 3, "ns"),
        (
            {"a.csv": f"ns,price,size\n{T0},1,1\n{T0 + 9},1,1\n", "b.csv": f"ns,price,size\n{T0 + 5},1,1\n"},
            "b.csv",
            1,
            "ns",
        ),
        ({"a.csv": GMO, "b.csv": GMO_NEXT.replace("ETH", "BTC")}, "b.csv", None, "symbol"),
        ({"a.csv": GMO.replace("ETH,SELL", "BTC,SELL")}, "a.csv", None, "symbol"),
        ({"a.csv": GMO.replace("symbol", "product").replace("ETH,SELL", "BTC,SELL")}, "a.csv", None, "symbol"),
        ({"a.csv": f"ns,Price,Size,Ticker\n{T0},1,1,ETH\n{T0},1,1,BTC\n"}, "a.csv", None, "symbol"),
        (
            {"a.csv": f"ns,price,size,product_id\n{T0},1,1,ETH\n", "b.csv": f"ns,price,size,ProductId\n{T0},1,1,BTC\n"},
            "b.csv",
            None,
            "symbol",
        ),
        ({"a.csv": f"ns,price,size,bs\n{T0},1,1,b\n"}, "a.csv", None, "columns"),
        ({"a.csv": f"ns,price,size,is_snapshot\n{T0},1,1,true\n"}, "a.csv", None, "columns"),
        ({"a.csv": f"ns,price,size,action\n{T0},1,1,T\n{T0},1,1,A\n"}, "a.csv", 2, "action"),
        ({"a.csv": f"ns,price,size,type\n{T0},1,1,match\n{T0},1,1,open\n"}, "a.csv", 2, "type"),
        ({"a.csv": f"ns,price,size,bid,bid_size,ask,ask_size\n{T0},1,1,1,1,2,1\n"}, "a.csv", None, "columns"),
        ({"a.csv": f"ns,price,volume,amount\n{T0},100,1,100\n"}, "a.csv", None, "columns"),
        ({"a.csv": f"ns,price,size,side,is_buyer_maker\n{T0},1,1,buy,false\n{T0},1,1,buy,true\n"}, "a.csv", 2, "side"),
        ({"a.csv": "timestamp,price,size\n202407010930,1,1\n"}, "a.csv", 1, "timestamp"),
        ({"a.csv": "timestamp,price,size\n638554248000000000,1,1\n"}, "a.csv", 1, "timestamp"),
        ({"a.csv": "timestamp,price,size\n1.71979E+12,1,1\n"}, "a.csv", 1, "timestamp"),
        ({"a.csv": "5541.3,0.15,1534614248.7,b,l,0.15\n5541.3,0.15,1534614248.7,b,l,0.15\n"}, "a.csv", None, "header"),
        ({"a.csv": "1,100.5,2,true\n2,100.5,2,true\n"}, "a.csv", None, "columns"),
        ({"a.csv": '{"p": 1}\n{"p": 2}\n'}, "a.csv", None, "file"),
        ({"a.csv": f"ns,price,size\n{T0},1,1\n", "b.csv.zst": ""}, "", None, "file"),
        ({"a.csv": f"ns,price,size\n{T0},1,1\n", "b.CSV": ""}, "", None, "file"),
        ({"a.csv": "time,open,high,low,close\n1,1,1,1,1\n"}, "a.csv", None, "columns"),
        ({"a.csv": "price,size\n1,1\n"}, "a.csv", None, "ns"),
        ({"a.csv": "timestamp,price,size\n17000000,1,1\n"}, "a.csv", 1, "timestamp"),
        ({"a.csv": f"timestamp,price,size\n{T0 // 10**6},1,1\n{T0 // 10**9},1,1\n"}, "a.csv", 2, "timestamp"),
        ({"a.csv": f"timestamp,price,size\n{T0 // 10**9},1,1\n{T0 // 10**6},1,1\n"}, "a.csv", 2, "timestamp"),
        ({"a.csv": f"timestamp,price,size\n{T0 // 10**9}.0000000001,1,1\n"}, "a.csv", 1, "timestamp"),
        ({"a.csv": f"timestamp,price,size\n{T0 // 10**9},1,1\nnan,1,1\n"}, "a.csv", 2, "timestamp"),
        ({"a.csv": f"ns,price,size,is_buyer_maker\n{T0},1,1,buy\n"}, "a.csv", 1, "is_buyer_maker"),
        (
            {"a.csv": "timestamp,price,size\n2024-06-30 21:06:52,1,1\n2024-06-31 00:00:00,1,1\n"},
            "a.csv",
            2,
            "timestamp",
        ),
        ({"a.csv": f"ns,price,size\n{T0},abc,1\n"}, "a.csv", 1, "price"),
        ({"a.csv": f"ns,price,size\n{T0},,1\n"}, "a.csv", 1, "price"),
        ({"a.csv": f"ns,price,size,side\n{T0},1,1,maker\n"}, "a.csv", 1, "aggressor"),
        ({"a.csv": f"ns,price,size\n{T0},1,1,1\n"}, "a.csv", 1, "row"),
        ({"a.csv": ""}, "a.csv", None, "header"),
        ({"a.csv": "PK\3\4 and so on"}, "a.csv", None, "file"),
        ({"a.parquet": "PAR1 rubbish"}, "a.parquet", None, "file"),
    ],
)
def test_what_is_no_tape_is_refused_with_its_place(
    tmp_path: Path, files: dict[str, str], file: str, row: int | None, field: str
) -> None:
    for name, text in files.items():
        put(tmp_path / name, text)
    with pytest.raises(InputError) as refused:
        read_tape(tmp_path)
    error = refused.value
    assert (error.file, error.row, error.field) == (str(tmp_path / file), row, field), str(error)


@pytest.mark.parametrize(
    ("data", "got"),
    [
        (bytes.fromhex("28b52ffd00"), "Zstandard"),
        (b"\xfd7zXZ\x00", "xz"),
        (b"BZh91", "bzip2"),
        (b"ARROW1\0\0", "Arrow or Feather"),
        ("ns,price,size\n".encode("utf-16"), "UTF-16"),
    ],
)
def test_a_table_that_is_packed_or_written_in_another_way_is_called_by_its_name(
    tmp_path: Path, data: bytes, got: str
) -> None:
    (tmp_path / "tape.csv").write_bytes(data)
    with pytest.raises(InputError, match=f"(file|text): got '{got}', wanted Parquet, or CSV in UTF-8, plain or gzip"):
        read_tape(tmp_path / "tape.csv")


def test_an_excel_workbook_is_one(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "tape.xlsx", "w") as packed:
        packed.writestr("xl/workbook.xml", "")
    with pytest.raises(InputError, match="got 'an Excel workbook', wanted CSV"):
        read_tape(tmp_path / "tape.xlsx")


def test_an_event_of_a_tape_may_have_a_kind_and_a_question_names_no_market(tmp_path: Path) -> None:
    rows = f"{T0},1,1,T,true,up\n{T0},1,1,T,false,down\n"
    path = put(tmp_path / "a.csv", f"ns,price,size,action,market,direction\n{rows}")
    assert trades(read_tape(path)) == [(T0, 1, 1, 0)] * 2  # a direction of prices is no side


@pytest.mark.parametrize("seq", [(5, 6, 7), None])
@pytest.mark.parametrize("has_tops", [True, False])
def test_a_tape_is_the_same_beside_the_run_that_was_made_of_it(
    tmp_path: Path, seq: tuple[int, ...] | None, has_tops: bool
) -> None:
    """The numbers of the trades are the run's own, and the tape's are others."""
    prices = (100, 99, 98)
    frame = pd.DataFrame({"ns": [T0 + n * 10**9 for n in range(3)], "price": prices, "size": 1, "side": "sell"})
    (frame if seq is None else frame.assign(seq=seq)).to_csv(tmp_path / "t.csv", index=False)
    tops = tmp_path / "q.csv"
    put(tops, f"ns,bid,bid_size,ask,ask_size\n{T0},99,1,101,1\n{T0 + 10**9},98,1,100,1\n")
    made = CliRunner().invoke(main, ["simulate", str(tmp_path / "t.csv"), "--out", str(tmp_path / "run"),
                                     *(["--quotes", str(tops)] if has_tops else [])])  # fmt: skip
    assert made.exit_code == 0, made.output
    run = read_run(tmp_path / "run", tape=tmp_path / "t.csv")
    assert len(run.fills) > 0
    assert audit(run)["fills_have_trades"].verdict is Verdict.PASS
    assert audit(read_run(tmp_path / "run", tape=tops)).verdict is audit(read_run(tmp_path / "run")).verdict
    put(tmp_path / "t.csv", (tmp_path / "t.csv").read_text().replace(",98,", ",97,"))
    other = read_run(tmp_path / "run", tape=tmp_path / "t.csv")
    assert (other.fills.trade_seq == ABSENT).all()  # of another tape nobody knows which trade it was


@pytest.mark.parametrize("source", ["none.csv", "none/*.csv", "*.npz", "s4://bucket/x"])
def test_what_cannot_be_found_is_refused(tmp_path: Path, source: str) -> None:
    with pytest.raises(InputError):
        read_tape(source if "://" in source else str(tmp_path / source))


def test_an_empty_folder_is_no_tape(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no match"):
        read_tape(tmp_path)


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01 00:00:00.000000001", 1),
        ("1970-01-01T09:00:00+09:00", 0),
        ("1969-12-31T19:30-0430", 0),
        ("2024-06-30 21:06:52.346", GMO_NS),
        ("2262-04-11T23:47:16.854775807Z", 2**63 - 1),
        ("1970-01-01T00:00:00.5000000000Z", 500_000_000),
        ("1970-01-01T00:00:00,25 UTC", 250_000_000),
    ],
)
def test_iso_times_are_exact(text: str, ns: int) -> None:
    assert clock.ns_of(text) == ns


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2024-02-30T00:00:00Z",
        "2024-01-01",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:60:00Z",
        "2024-01-01T00:00:61Z",
        "2262-04-11T23:47:16.854775808Z",
        "2024-01-01T00:00:00.0000000001Z",
        "٢٠٢٤-01-01T00:00:00Z",
    ],
)
def test_what_is_no_iso_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|day|month"):
        clock.ns_of(text)


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A file server that keeps its log to itself."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_tape_from_a_web_server(tmp_path: Path, site: str) -> None:
    put(tmp_path / "day.csv.gz", GMO)
    tape = read_tape(f"{site}/day.csv.gz?token=secret")
    assert len(tape.trades) == 2
    assert tape.files == (f"{site}/day.csv.gz",)
    with pytest.raises(InputError) as refused:
        read_tape(f"{site}/none.csv?token=secret")
    assert "secret" not in str(refused.value)


def test_secrets_stay_out_of_reports() -> None:
    assert without_secrets("https://me:pass@host:1/a/b.csv?sig=x#y") == "https://host:1/a/b.csv"


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """An S3 server on the loopback with two days in it."""
    server_of = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed")
    server = server_of.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    settings = {
        "ENDPOINT_URL": f"http://{host}:{port}",
        "ACCESS_KEY_ID": "x",
        "SECRET_ACCESS_KEY": "x",
        "DEFAULT_REGION": "us-east-1",
        "EC2_METADATA_DISABLED": "true",
    }
    with pytest.MonkeyPatch.context() as patched:
        for name, value in settings.items():
            patched.setenv(f"AWS_{name}", value)
        files = s3fs.S3FileSystem(skip_instance_cache=True)
        files.makedirs("tapes", exist_ok=True)  # the server keeps its buckets while the process lives
        files.pipe_file("tapes/gmo/20240701.csv.gz", gzip.compress(GMO.encode()))
        files.pipe_file("tapes/gmo/20240702.csv", GMO_NEXT.encode())
        yield "s3://tapes/gmo"
    server.stop()


@pytest.mark.parametrize("source", ["/*.csv*", "", "/20240701.csv.gz"])
def test_a_tape_from_an_s3_server(bucket: str, source: str) -> None:
    tape = read_tape(bucket + source)
    assert len(tape.trades) == (2 if source.endswith("gz") else 3)
    assert all(name.startswith("s3://tapes/gmo/2024070") for name in tape.inputs)


@pytest.mark.parametrize("source", ["s3://tapes/none.csv", "s3://tapes/gmo/*.parquet", "s3://nobody/x.csv"])
def test_what_an_s3_server_does_not_have_is_refused(bucket: str, source: str) -> None:
    assert bucket
    with pytest.raises(InputError):
        read_tape(source)


needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs the recorded tapes beside the repository")


@needs_shared
def test_twenty_days_of_gmo_coin() -> None:
    tape = read_tape(str(SHARED / "gmo_spot_202407" / "raw" / "*_ETH.csv.gz"))
    assert (len(tape.trades), len(tape.files), tape.instrument) == (77_700, 20, Instrument(1, "0.0001"))
    converted = read_tape(SHARED / "gmo_spot_202407" / "trades_ETH_JPY.parquet")
    assert trades(converted) == trades(tape)
    assert Scenario(tuple(tape.events()), ())


@needs_shared
def test_binance_trades_with_their_book() -> None:
    folder = SHARED / "binance_l2_20240808"
    tape = read_tape(folder / "trades_spot_ETHUSDT.parquet", quotes=folder / "quotes_spot_ETHUSDT.parquet")
    assert (len(tape.trades), len(tape.tops), tape.instrument) == (14_515, 58_758, Instrument("0.01", "0.0001"))
    assert tape.top_seq is not None
    assert Scenario(tuple(tape.events()), ())


@needs_shared
@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("bitflyer_ws_20211212/trades.parquet", "symbol"),
        ("gmo_spot_202407/raw", "symbol"),
        ("bitflyer_spot_201801/trades_BTC_JPY.parquet", "ns"),
    ],
)
def test_recorded_files_that_are_no_tape(path: str, field: str) -> None:
    with pytest.raises(InputError) as refused:
        read_tape(SHARED / path)
    assert refused.value.field == field


def test_a_finding_in_a_tape_of_several_files_names_the_file_and_the_row_in_it(tmp_path: Path) -> None:
    put(tmp_path / "a.csv", f"ns,price,size\n{T0},100,1\n{T0 + 1},100,1\n")
    put(tmp_path / "b.csv", f"ns,price,size\n{T0 + 2},100,1\n{T0 + 3},100,0\n")
    run = with_tape(table("ns event id side price_ticks size_lots\n0 submit 1 BUY 100 1"), str(tmp_path / "*.csv"))
    report = audit(run)
    [finding] = report["values_are_valid"].findings
    assert (finding.file, finding.row) == (str(tmp_path / "b.csv"), 2)
    assert finding.message.startswith("tape row 2 size_lots=0, but")
    assert Windows(run, 1000).place(finding) == 0, "the page shows it where it is"
