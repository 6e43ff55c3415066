from __future__ import annotations

import hashlib
import tomllib
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from malformed_inputs import TABLES, write_bundle_by_hand

from invariants.auditing import audit
from invariants.laws.totals import FIGURES
from invariants.readers import read_run
from invariants.readers.bundle import read_bundle, write_bundle
from invariants.readers.kinds import READERS
from invariants.readers.totals import TOTALS
from invariants.streaming import NotInPiecesError, audit_streamed
from simcore import Fill, InputError, Instrument, Rules, Run, Scenario, Side, Submit, TopOfBook, Trade, simulate
from simcore.frames import UNJUDGED
from simcore.rules import DIALS
from simcore.run import ABSENT, Rejected

T0 = 1_700_000_000_000_000_000


def small_run(**more: Any) -> Run:
    """A run with a fill, a fee and a book."""
    tape = (Trade(T0 + 5, 100, 3, Side.SELL), TopOfBook(T0 + 6, 99, 1, 101, 2), Trade(T0 + 7, 101, 1))
    rules = Rules(latency_ns=1, ttl_ns=None, fee_rate=Decimal("0.0001"))
    scenario = Scenario(tape, (Submit(T0, "a", Side.BUY, 100, 2),), rules)
    return Run.from_scenario(scenario, simulate(scenario), **more)


def assert_same(got: Run, want: Run) -> None:
    """Equal columns (but for the rows of the files), rules and figures."""
    for table in ("trades", "tops", "orders", "fills", "positions"):
        for name in getattr(want, table).__dataclass_fields__:
            if name != "row":
                left, right = (getattr(getattr(run, table), name).tolist() for run in (got, want))
                assert left == right, (table, name)
    for name in ("rules", "instrument", "reported", "provenance", "name", "end_ns", "last_event_ns", "exit_code"):
        assert getattr(got, name) == getattr(want, name), name


@pytest.mark.parametrize(
    "instrument",
    [
        Instrument(),
        Instrument("0.01", "0.0001"),
        Instrument("0.25", "100"),
        Instrument("1e-8", "1e-40"),
        Instrument("1e30", "3"),
        Instrument("7", "1e-18"),
    ],
    ids=str,
)
def test_what_is_written_is_read(tmp_path: Path, instrument: Instrument) -> None:
    run = small_run(
        instrument=instrument,
        reported={"fills": Decimal(1), "fill_ratio": Decimal("0.50")},
        name="x",
        end_ns=T0 + 7,
        last_event_ns=T0 + 7,
        exit_code=0,
    )
    write_bundle(run, tmp_path / "run")
    assert_same(read_bundle(tmp_path / "run"), run)


IDS = st.one_of(st.integers(-(2**70), 2**70), st.text(st.characters(exclude_categories=["Cs"]), min_size=1))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids=st.lists(IDS, min_size=1, max_size=6, unique=True), price=st.integers(1, 2**61))
def test_any_id_and_any_price_survive(tmp_path: Path, ids: list[int | str], price: int) -> None:
    submits = tuple(Submit(T0, name, Side.SELL, price, 1) for name in ids)
    fills = [Fill(T0 + 1, name, Side.SELL, price, 1) for name in reversed(ids)]
    run = Run.from_scenario(Scenario((), submits, Rules()), fills, instrument=Instrument("0.05"), has_tape=False)
    write_bundle(run, tmp_path / "run")
    assert_same(read_bundle(tmp_path / "run"), run)


def test_undeclared_rules_rejected_rows_and_unjudged_figures_survive(tmp_path: Path) -> None:
    lost = Rejected("fills", "fills", 3, "price", "100.5", "a multiple of tick_size 1")
    unjudged = {f"{UNJUDGED}alpha": Decimal(-135616), f"{UNJUDGED}source": Decimal("NaN")}
    run = replace(small_run(reported=unjudged), rejected=(lost,), rules=Rules(undeclared=frozenset(DIALS)))
    write_bundle(run, tmp_path / "run")
    again = read_bundle(tmp_path / "run")
    assert again.rules == run.rules
    assert again.rejected == (lost,)
    assert again.read["fills"] == len(again.fills) + 1
    assert again.reported[f"{UNJUDGED}alpha"] == -135616
    assert again.reported[f"{UNJUDGED}source"].is_nan()


def test_csv_gz_and_parquet_are_the_same_bundle(tmp_path: Path) -> None:
    plain = read_run(write_bundle_by_hand(tmp_path / "csv"))
    for suffix in ("csv.gz", "parquet"):
        folder = write_bundle_by_hand(tmp_path / suffix, tables={})
        for table in TABLES:
            frame = pd.read_csv(tmp_path / "csv" / f"{table}.csv", dtype=str, keep_default_na=False)
            path = folder / f"{table}.{suffix}"
            if suffix == "parquet":
                for name in (c for c in frame if c.endswith(("ns", "ns_to", "seq"))):
                    frame[name] = pd.array([int(v) if v else None for v in frame[name]], dtype="Int64")
                frame.replace("", None).to_parquet(path, index=False)
            else:
                frame.to_csv(path, index=False)
        assert_same(read_run(folder), plain)


def test_ids_of_digits_are_the_same_in_csv_and_parquet(tmp_path: Path) -> None:
    columns = {**TABLES["fills"], "order_id": ["7", "b"]}
    run = read_run(write_bundle_by_hand(tmp_path / "run", tables={**TABLES, "fills": columns}))
    assert run.fills.order_id.tolist() == [7, "b"]


def test_every_input_has_its_digest_and_every_table_its_file(tmp_path: Path) -> None:
    folder = write_bundle_by_hand(tmp_path / "run")
    run = read_run(folder)
    assert run.inputs == {str(f): hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.iterdir()}
    assert run.files["fills"] == str(folder / "fills.csv")
    assert run.read == dict.fromkeys(TABLES, 2)


def test_given_rules_and_tape_replace_the_declared_ones(tmp_path: Path) -> None:
    folder = write_bundle_by_hand(tmp_path / "run")
    tape = tmp_path / "trades.csv"
    tape.write_text(f"ns,price,qty,side\n{T0},100,1,buy\n", encoding="utf-8")
    run = read_run(folder, rules="origin", tape=tape)
    assert (run.rules.latency_ns, run.rules.position_cap_lots) == (300_000_000, 1000)
    assert (run.trades.ns.tolist(), run.trades.size_lots.tolist(), run.files["tape"]) == ([T0], [100], str(tape))
    assert len(run.tops) == 2  # a tape of trades leaves the book of the run alone


def test_a_bundle_without_tape_and_orders_is_a_run(tmp_path: Path) -> None:
    run = read_run(write_bundle_by_hand(tmp_path / "run", tables={"fills": TABLES["fills"]}))
    assert (run.has_tape, len(run.orders), len(run.fills)) == (False, 0, 2)


@pytest.mark.parametrize("name", ["fills.jsonl", "fills.csv.zip", "Fills.CSV", "orders.feather"])
def test_a_table_of_another_kind_is_refused_and_not_left_aside(tmp_path: Path, name: str) -> None:
    write_bundle(small_run(), tmp_path / "run")
    stem = name.partition(".")[0].casefold()
    (tmp_path / "run" / f"{stem}.parquet").rename(tmp_path / "run" / name)
    with pytest.raises(InputError, match=name) as error:
        read_run(tmp_path / "run")
    assert error.value.field == stem


def test_an_older_bundle_is_replaced(tmp_path: Path) -> None:
    write_bundle_by_hand(tmp_path / "run")
    write_bundle(small_run(), tmp_path / "run")
    names = sorted(file.name for file in (tmp_path / "run").iterdir())
    assert names == ["fills.parquet", "orders.parquet", "quotes.parquet", "run.toml", "tape.parquet"]
    assert [file.name for file in tmp_path.iterdir()] == ["run"]


def test_tables_without_a_head_are_no_bundle_of_ours(tmp_path: Path) -> None:
    """A folder with a recorded tape was taken for an older bundle: the tape, and quotes beside it, were gone."""
    (tmp_path / "tape.csv").write_text("ns,price,size,aggressor\n")
    (tmp_path / "quotes.csv").write_text("ns,bid,bid_size,ask,ask_size\n")
    with pytest.raises(InputError, match=r"got 'quotes\.csv', wanted a new folder"):
        write_bundle(small_run(), tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["quotes.csv", "tape.csv"]


def test_foreign_folders_are_never_touched(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine", encoding="utf-8")
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    for name in ("run", "file"):
        with pytest.raises(InputError):
            write_bundle(small_run(), tmp_path / name)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "run", "thesis.txt"]


def test_a_failed_write_leaves_the_older_bundle_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bundle(small_run(name="first"), tmp_path / "run")

    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("invariants.readers.bundle_writer.tomli_w.dumps", fail)
    with pytest.raises(InputError, match="disk full"):
        write_bundle(small_run(name="second"), tmp_path / "run")
    assert read_bundle(tmp_path / "run").name == "first"
    assert [file.name for file in tmp_path.iterdir()] == ["run"]


def test_text_that_no_file_can_hold_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        write_bundle(small_run(name="\ud800"), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_an_order_submitted_nobody_knows_when_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    run = small_run()
    orders = replace(run.orders, submit_ns=np.array([ABSENT]))
    with pytest.raises(InputError, match="row 1: submit_ns: got None"):
        write_bundle(replace(run, orders=orders), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_id_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    """A simulator may be asked about one; in a table it would be no id at all."""
    run = Run.from_scenario(
        Scenario((), (Submit(0, "a", Side.BUY, 100, 5), Submit(1, "", Side.BUY, 100, 5)), Rules()), []
    )
    with pytest.raises(InputError, match=r"row 2: orders\.order_id: got ''"):
        write_bundle(run, tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_run_toml_is_what_the_specification_says(tmp_path: Path) -> None:
    write_bundle(small_run(instrument=Instrument("0.5", "0.01")), tmp_path / "run")
    head = tomllib.loads((tmp_path / "run" / "run.toml").read_text(encoding="utf-8"))
    assert head["format"] == "fillproof-run/1"
    assert head["instrument"] == {"tick_size": "0.5", "lot_size": "0.01"}
    assert head["rules"]["ttl_ns"] == "none"


def test_empty_runs_are_bundles_too(tmp_path: Path) -> None:
    run = Run.from_scenario(Scenario((), (), Rules()), [])
    write_bundle(run, tmp_path / "run")
    assert_same(read_bundle(tmp_path / "run"), run)


def test_the_totals_of_the_readers_are_those_of_the_laws() -> None:
    assert set(TOTALS) == set(FIGURES)


@pytest.mark.parametrize(("name", "reader"), [("none", None), ("none", "auto"), ("run", "zipline"), ("run", "markers")])
def test_what_no_reader_takes_is_refused(tmp_path: Path, name: str, reader: str | None) -> None:
    write_bundle_by_hand(tmp_path / "run")
    with pytest.raises(InputError):
        read_run(tmp_path / name, reader=reader)


def test_readers_are_found_by_name(tmp_path: Path) -> None:
    folder = write_bundle_by_hand(tmp_path / "run")
    assert [r.name for r in READERS if r.recognises(folder)] == ["bundle"]
    assert np.array_equal(read_run(folder, reader="bundle").fills.ns, read_run(folder / "run.toml").fills.ns)


@pytest.mark.parametrize("table", ["orders", "fills"])
def test_one_table_years_from_the_tape_is_for_the_laws_to_judge(tmp_path: Path, table: str) -> None:
    write_bundle(in_milliseconds(small_run(), table), tmp_path / "run")
    report = audit(read_run(tmp_path / "run"))
    assert report["fill_follows_submit"].failed == (1 if table == "fills" else 0)


def test_milliseconds_that_are_read_as_nanoseconds_are_no_broken_law(tmp_path: Path) -> None:
    """Orders and fills that are years from the tape have another clock; every fill was convicted."""
    write_bundle(in_milliseconds(small_run(), "orders", "fills"), tmp_path / "run")
    with pytest.raises(InputError, match="nanoseconds of the time of the tape") as refused:
        read_run(tmp_path / "run")
    assert (refused.value.row, refused.value.field, refused.value.got) == (1, "ns", T0 // 10**6)
    with pytest.raises(NotInPiecesError, match="years from the tape"):
        audit_streamed(tmp_path / "run")


def in_milliseconds(run: Run, *tables: str) -> Run:
    """The run with times of these tables that are counts of milliseconds."""
    orders, fills = run.orders, run.fills
    if "orders" in tables:
        orders = replace(orders, submit_ns=orders.submit_ns // 10**6)
    if "fills" in tables:
        fills = replace(fills, ns=fills.ns // 10**6, ns_to=fills.ns_to // 10**6)
    return replace(run, orders=orders, fills=fills)
