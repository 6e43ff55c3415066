"""freqtrade: filled orders become fills, figures are held against them, and a zip cannot do harm."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from invariants import audit
from invariants.cli import main
from invariants.readers import read_run
from invariants.readers.freqtrade import LARGEST_RATIO, is_freqtrade, read_freqtrade
from simcore import InputError, Rules
from simcore.frames import UNJUDGED

SHARED = Path(__file__).parents[2] / "shared" / "engines"
T0 = 1_767_571_200_000  # 2026-01-05T00:00Z in ms
MINUTE = 60_000
NAME = "backtest-result-2026-01-05_00-00-00"


def order(side: str, price: float, amount: float, minute: int, *, entry: bool) -> dict[str, Any]:
    return {
        "amount": amount,
        "safe_price": price,
        "ft_order_side": side,
        "order_filled_timestamp": T0 + minute * MINUTE,
        "ft_is_entry": entry,
        "ft_order_tag": "",
        "cost": amount * price,
    }


def trade(profit: float, *orders: dict[str, Any], short: bool = False, **more: Any) -> dict[str, Any]:
    entries = [o for o in orders if o["ft_is_entry"]]
    return {
        "pair": "ETH/JPY",
        "is_short": short,
        "is_open": False,
        "fee_open": 0.001,
        "fee_close": 0.001,
        "profit_abs": profit,
        "funding_fees": 0.0,
        "open_rate": entries[0]["safe_price"],
        "close_rate": orders[-1]["safe_price"],
        "open_timestamp": entries[0]["order_filled_timestamp"],
        "close_timestamp": orders[-1]["order_filled_timestamp"],
        "orders": list(orders),
        **more,
    }


TRADES = [
    # bought 2 at 100 and 1 at 101, sold 1 at 103 and 2 at 105: 313 - 301 - 0.614
    trade(
        11.386,
        order("buy", 100.0, 2.0, 1, entry=True),
        order("buy", 101.0, 1.0, 2, entry=True),
        order("sell", 103.0, 1.0, 3, entry=False),
        order("sell", 105.0, 2.0, 4, entry=False),
    ),
    # sold and bought back in one candle
    trade(0.399, order("sell", 100.5, 1.0, 4, entry=True), order("buy", 99.9, 1.0, 4, entry=False), short=True),
]
TRADES[1]["profit_abs"] = 0.3996


def figures(trades: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    profit = sum(t["profit_abs"] for t in trades)
    return {
        "trades": trades,
        "timeframe": "1m",
        "timeframe_detail": "",
        "total_trades": len(trades),
        "total_volume": 814.4,
        "starting_balance": 1000,
        "profit_total_abs": profit,
        "final_balance": 1000 + profit,
        "timedout_entry_orders": 3,
        "sharpe": float("nan"),
        **more,
    }


def result(**more: Any) -> dict[str, Any]:
    return {"strategy": {"MM": figures(deepcopy(TRADES), **more)}, "strategy_comparison": []}


def as_json(folder: Path, content: dict[str, Any]) -> Path:
    path = folder / f"{NAME}.json"
    path.write_text(json.dumps(content))
    return path


def as_zip(folder: Path, content: dict[str, Any] | bytes, **others: bytes) -> Path:
    path = folder / f"{NAME}.zip"
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{NAME}.json", data)
        archive.writestr(f"{NAME}_config.json", '{"strategy": "MM"}')
        archive.writestr(f"{NAME}_signals.pkl", b"cos\nsystem\n(S'echo loaded'\ntR.")
        for name, blob in others.items():
            archive.writestr(name, blob)
    return path


def verdicts(run: Any) -> dict[str, str]:
    return {j.law: j.verdict.value for j in audit(run).judgements}


@pytest.mark.parametrize("write", [as_json, as_zip])
def test_each_filled_order_becomes_a_fill_inside_its_candle(tmp_path: Path, write: Any) -> None:
    path = write(tmp_path, result())
    run = read_freqtrade(path)
    fills = run.fills
    assert fills.ns.tolist() == [(T0 + k * MINUTE) * 10**6 for k in (1, 2, 3, 4, 4, 4)]
    assert (fills.ns_to - fills.ns).tolist() == [60 * 10**9 - 1] * 6
    assert fills.side.tolist() == [1, 1, -1, -1, -1, 1]
    assert [run.instrument.price(p) for p in fills.price_ticks.tolist()] == [
        Decimal(x) for x in ("100", "101", "103", "105", "100.5", "99.9")
    ]
    assert fills.size_lots.tolist() == [2, 1, 1, 2, 1, 1]
    assert fills.order_id.tolist()[:2] == ["order 1 of trade 1", "order 2 of trade 1"]
    assert fills.row.tolist() == [1, 1, 1, 1, 2, 2]
    assert set(fills.fee.tolist()) == {None}
    assert run.rules.fee_rate == Decimal("0.001")
    assert "orders" not in run.read
    assert run.read["trades"] == 2
    assert run.engine == "freqtrade"
    assert set(run.provenance.values()) == {"absent"}
    assert list(run.inputs) == [str(path)]


def test_its_figures_are_held_against_the_fills(tmp_path: Path) -> None:
    run = read_freqtrade(as_zip(tmp_path, result()))
    assert run.reported["pnl"] == Decimal("11.7856")
    assert run.reported["cash"] == Decimal("1011.7856")
    assert run.reported["initial_cash"] == 1000
    assert run.reported["fills"] == 6
    assert run.reported["position"] == 0
    assert run.reported["notional"] == Decimal("814.4")
    found = verdicts(run)
    for law in ("cash_sums_fills", "pnl_reconciles", "position_sums_fills", "totals_reconcile"):
        assert found[law] == "pass"
    assert found["fills_have_orders"] == found["fill_price_equals_limit"] == "unknown"
    assert "fail" not in found.values()


@pytest.mark.parametrize(
    ("figure", "value", "law"),
    [
        ("final_balance", 1011.7857, "cash_sums_fills"),
        ("profit_total_abs", 11.7857, "pnl_reconciles"),
        ("total_trades", 3, "totals_reconcile"),
    ],
)
def test_a_figure_that_the_fills_contradict_is_a_finding(tmp_path: Path, figure: str, value: Any, law: str) -> None:
    assert verdicts(read_freqtrade(as_json(tmp_path, result(**{figure: value}))))[law] == "fail"


def test_a_profit_of_an_average_price_leaves_the_sums_open(tmp_path: Path) -> None:
    """The engine takes the profit of a position that was adjusted from a rounded average price."""
    content = result(profit_total_abs=11.78560001, final_balance=1011.78560001)
    [strategy] = content["strategy"].values()
    strategy["trades"][0]["profit_abs"] = 11.38600001
    run = read_freqtrade(as_json(tmp_path, content))
    assert not run.rejected
    assert not {"pnl", "cash"} & set(run.reported)
    assert run.reported["notional"] == Decimal("814.4")


def test_a_balance_whose_float_does_not_hold_the_decimals_is_not_judged(tmp_path: Path) -> None:
    content = result(starting_balance=1e12, final_balance=1e12 + 11.7857)
    run = read_freqtrade(as_json(tmp_path, content))
    assert "cash" not in run.reported
    assert run.reported["pnl"] == Decimal("11.7856")


def test_rates_that_differ_become_the_fee_of_each_fill(tmp_path: Path) -> None:
    content = result()
    content["strategy"]["MM"]["trades"][1] |= {"fee_close": 0.002, "profit_abs": 0.2997}
    run = read_freqtrade(as_json(tmp_path, content))
    assert [run.instrument.notional(fee) for fee in run.fills.fee[-2:]] == [Decimal("0.1005"), Decimal("0.1998")]
    assert "fee_rate" in run.rules.undeclared


def test_the_detail_timeframe_is_the_length_of_a_fill(tmp_path: Path) -> None:
    run = read_freqtrade(as_json(tmp_path, result(timeframe="1h", timeframe_detail="5m")))
    assert (run.fills.ns_to - run.fills.ns).tolist() == [300 * 10**9 - 1] * 6


def test_figures_beyond_eight_decimals_or_with_funding_stay_unjudged(tmp_path: Path) -> None:
    content = result()
    content["strategy"]["MM"]["trades"][0]["funding_fees"] = 1.0
    content["strategy"]["MM"]["trades"][0]["profit_abs"] = 12.386
    run = read_freqtrade(as_json(tmp_path, content))
    assert "cash" not in run.reported
    assert UNJUDGED + "final_balance" in run.reported
    assert run.rejected == ()


def test_an_open_trade_leaves_the_totals_unjudged(tmp_path: Path) -> None:
    content = result()
    values = content["strategy"]["MM"]["trades"][1]
    values |= {"is_open": True, "close_timestamp": None, "orders": values["orders"][:1]}
    run = read_freqtrade(as_json(tmp_path, content))
    assert len(run.fills) == 5
    assert "cash" not in run.reported
    assert "position" not in run.reported


def test_an_order_that_did_not_fill_is_counted(tmp_path: Path) -> None:
    content = result()
    waiting = order("sell", 9.0, 1.0, 9, entry=False) | {"order_filled_timestamp": None}
    content["strategy"]["MM"]["trades"][0]["orders"].append(waiting)
    run = read_freqtrade(as_json(tmp_path, content))
    assert run.reported[UNJUDGED + "orders_not_filled"] == 1
    assert len(run.fills) == 6


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"profit_abs": 1.0}, "profit_abs"),
        ({"open_timestamp": T0}, "open_timestamp"),
        ({"close_timestamp": T0}, "close_timestamp"),
        ({"is_short": True}, "ft_order_side"),
        ({"orders": TRADES[0]["orders"][::3], "open_rate": 99.0}, "open_rate"),
        ({"orders": TRADES[0]["orders"][::3], "close_rate": 99.0}, "close_rate"),
        ({"is_open": True}, "amount"),
        ({"orders": TRADES[0]["orders"][:3], "close_timestamp": T0 + 3 * MINUTE, "close_rate": 103.0}, "amount"),
    ],
)
def test_a_trade_that_contradicts_itself_is_a_rejected_row(tmp_path: Path, changes: dict[str, Any], field: str) -> None:
    content = result()
    content["strategy"]["MM"]["trades"][0] |= changes
    run = read_freqtrade(as_json(tmp_path, content))
    assert [(r.table, r.row, r.field) for r in run.rejected] == [("trades", 1, field)]
    assert len(run.fills) == 2
    assert run.read["trades"] == 2
    assert verdicts(run)["values_are_valid"] == "fail"


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("pair",), 3, "pair"),
        (("orders",), None, "orders"),
        (("fee_open",), "a", "fee_open"),
        (("fee_open",), float("nan"), "fee_open"),
        (("open_timestamp",), "noon", "open_timestamp"),
        (("open_timestamp",), 1e30, "open_timestamp"),
        (("is_short",), 1, "is_short"),
        (("orders", 0, "safe_price"), None, "safe_price"),
        (("orders", 0, "ft_order_side"), "long", "ft_order_side"),
        (("orders", 0, "order_filled_timestamp"), 1.5, "order_filled_timestamp"),
        (("orders", 0), 3, "trades"),
    ],
)
def test_a_trade_that_cannot_be_read_is_a_named_error(
    tmp_path: Path, path: tuple[Any, ...], value: Any, field: str
) -> None:
    content = result()
    place = content["strategy"]["MM"]["trades"][1]
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(InputError) as caught:
        read_freqtrade(as_json(tmp_path, content))
    assert (caught.value.row, caught.value.field) == (2, field)


def test_several_strategies_and_pairs_must_be_named(tmp_path: Path) -> None:
    content = result()
    content["strategy"]["Other"] = figures([])
    content["strategy"]["MM"]["trades"][1]["pair"] = "BTC/JPY"
    path = as_json(tmp_path, content)
    with pytest.raises(InputError, match="MM, Other"):
        read_freqtrade(path)
    with pytest.raises(InputError, match="ETH/JPY, BTC/JPY"):
        read_freqtrade(path, strategy="MM")
    with pytest.raises(InputError, match="got 'ETH/JPY, BTC/JPY', wanted XRP/JPY"):
        read_freqtrade(path, strategy="MM", pair="XRP/JPY")
    run = read_freqtrade(path, strategy="MM", pair="BTC/JPY")
    assert run.fills.row.tolist() == [2, 2]
    assert "cash" not in run.reported
    assert len(read_freqtrade(path, strategy="Other").fills) == 0


def test_one_of_several_is_named_on_the_command_line(tmp_path: Path) -> None:
    content = result()
    content["strategy"]["MM"]["trades"][1]["pair"] = "BTC/JPY"
    path = as_json(tmp_path, content)
    told = CliRunner().invoke(main, ["audit", str(path), "--pair", "BTC/JPY"])
    assert told.exit_code == 0, told.output
    assert read_run(path, pair="BTC/JPY").read == {"trades": 1, "fills": 2}
    refused = CliRunner().invoke(main, ["audit", str(path), "--pair", "BTC/JPY", "--strategy", "Nobody"])
    assert refused.exit_code == 2
    assert "strategy: got 'MM', wanted Nobody" in refused.output


def test_what_is_of_one_market_has_no_several(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text('format = "fillproof-run/1"\n[reported]\nfills = 1\n')
    with pytest.raises(InputError, match="pair: got 'ETH/JPY', wanted none: a bundle run is of one pair"):
        read_run(tmp_path, pair="ETH/JPY")
    told = CliRunner().invoke(main, ["audit", str(tmp_path), "--pair", "ETH/JPY"])
    assert told.exit_code == 2


def _link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    "name", ["../evil.json", "/evil.json", "a/../../evil.json", "c:evil.json", "a\\..\\evil.json", f"{NAME}.json"]
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_leads_out_of_the_archive_or_repeats_a_name_is_refused(tmp_path: Path, name: str) -> None:
    path = as_zip(tmp_path, result())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, "{}")
    with pytest.raises(InputError) as caught:
        read_freqtrade(path)
    assert caught.value.field == "zip"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_links_and_encrypted_members_are_refused(tmp_path: Path) -> None:
    path = as_zip(tmp_path, result())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(_link(f"{NAME}_link"), "/etc/passwd")
    with pytest.raises(InputError, match="a regular file"):
        read_freqtrade(path)
    data = bytearray(as_zip(tmp_path, result()).read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="not encrypted"):
        read_freqtrade(path)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    assert LARGEST_RATIO < 1000
    path = as_zip(tmp_path, result(), **{f"{NAME}_notes": b"\0" * 50_000_000})
    with pytest.raises(InputError, match="packed at most"):
        read_freqtrade(path)


def test_a_directory_that_lies_about_a_size_is_refused(tmp_path: Path) -> None:
    data = bytearray(as_zip(tmp_path, result()).read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = (100).to_bytes(4, "little")
    path = tmp_path / f"{NAME}.zip"
    path.write_bytes(data)
    with pytest.raises(InputError):
        read_freqtrade(path)


@pytest.mark.parametrize("cut", [0, 10, 500, -30])
def test_a_truncated_archive_is_a_named_error(tmp_path: Path, cut: int) -> None:
    path = as_zip(tmp_path, result())
    path.write_bytes(path.read_bytes()[:cut])
    assert not is_freqtrade(path)
    with pytest.raises(InputError):
        read_freqtrade(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        '{"strategy": {}}',
        '{"strategy": []}',
        '{"strategy": {"MM": 3}}',
        '{"strategy": {"MM": {}}}',
        '{"strategy": {"MM": {"trades": 3}}}',
        '{"strategy": {"MM": {"trades": []}, "MM": {"trades": []}}}',
        '{"strategy": {"MM": {"trades": []}}}',
        '{"strategy": {"MM": {"trades": [], "timeframe": "0m"}}}',
        '{"strategy": {"MM": {"trades": [3], "timeframe": "1m"}}}',
        '{"strategy": ' + "[" * 100_000,
    ],
)
def test_a_result_that_cannot_be_read_is_a_named_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_freqtrade(path)
    assert caught.value.file == str(path)


def test_other_encodings_are_refused_and_a_bom_is_not(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(json.dumps(result()), encoding="utf-16")
    with pytest.raises(InputError):
        read_freqtrade(path)
    path.write_text(json.dumps(result()), encoding="utf-8-sig")
    assert len(read_freqtrade(path).fills) == 6


def test_it_is_told_by_its_content(tmp_path: Path) -> None:
    assert not is_freqtrade(tmp_path)
    assert not is_freqtrade(tmp_path / "nothing.zip")
    path = as_zip(tmp_path, result())
    assert is_freqtrade(path)
    assert is_freqtrade(tmp_path)
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("a.json", "{}")
    path.write_bytes(other.getvalue())
    assert not is_freqtrade(path)
    assert not is_freqtrade(tmp_path)
    assert is_freqtrade(as_json(tmp_path, result()))


def test_a_folder_with_two_results_must_be_told_which(tmp_path: Path) -> None:
    as_zip(tmp_path, result())
    as_json(tmp_path, result())
    with pytest.raises(InputError, match="name the file"):
        read_freqtrade(tmp_path)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the outputs of the engines are not beside the project")
def test_the_shared_result_adds_up() -> None:
    run = read_freqtrade(SHARED / "freqtrade", tape=SHARED / "tape")
    assert run.read["trades"] == 22
    assert len(run.fills) == 44
    assert run.rejected == ()
    assert run.rules.fee_rate == Decimal("0.0001")
    assert run.reported["pnl"] == Decimal("762.195055")
    assert run.reported["cash"] == Decimal("100000762.195055")
    found = verdicts(run)
    # the volume that it reports holds the fees, too: 79,361,684.824945 for trades of 79,353,749.45
    assert [law for law, verdict in found.items() if verdict == "fail"] == ["totals_reconcile"]
    assert run.reported["notional"] == Decimal("79361684.824945")
    assert found["cash_sums_fills"] == found["pnl_reconciles"] == "pass"


def test_the_profile_says_where_each_dial_is_documented() -> None:
    rules = Rules.load("freqtrade-bars")
    assert all(rules.sources[dial].startswith("https://") for dial in rules.sources)
    assert set(rules.sources) | rules.undeclared == set(rules.to_dict()) - {"undeclared", "documented", "sources"}
