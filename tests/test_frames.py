from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from invariants import audit
from invariants.laws import law_named
from simcore import InputError, Instrument, Rules, Run, Side
from simcore.cells import cells_of
from simcore.grid import OffGridError, Step, count_of, of_floats, of_ints
from simcore.rules import DIALS
from simcore.run import ABSENT

T0 = 1_700_000_000_000_000_000
CENTS = Instrument("0.01", "0.0001")


def fills(**columns: object) -> pd.DataFrame:
    """Two good fills, with the given columns instead."""
    good = {"ns": [T0, T0 + 1], "order_id": ["a", "b"], "side": [1, -1], "price": [1.25, 1.5], "size": [2.0, 0.0001]}
    return pd.DataFrame({**good, **columns})


def orders(**columns: object) -> pd.DataFrame:
    good = {
        "order_id": ["a", "b"],
        "side": ["buy", "SELL"],
        "price": ["1.25", "1.50"],
        "size": ["2", "0.0001"],
        "submit_ns": [T0 - 1, T0 - 1],
    }
    return pd.DataFrame({**good, **columns})


def columns(run: Run) -> tuple[list[int], list[int]]:
    return run.fills.price_ticks.tolist(), run.fills.size_lots.tolist()


@pytest.mark.parametrize(
    "prices",
    [
        [1.25, 1.5],
        ["1.25", "1.50"],
        [" 1.25", "15e-1"],
        [Decimal("1.25"), Decimal("1.500")],
        [1.25, "1.5"],
        pd.array([1.25, 1.5], dtype="Float64"),
        pd.array(["1.25", "1.5"], dtype="string"),
        pd.array([Decimal("1.25"), Decimal("1.5")], dtype=pd.ArrowDtype(pa.decimal128(38, 4))),
        pd.array([Decimal("1.25"), Decimal("1.5")], dtype=pd.ArrowDtype(pa.decimal256(60, 4))),
        np.array([1.25, 1.5], dtype=np.float32),
        pd.Categorical(["1.25", "1.5"]),
    ],
    ids=lambda p: f"{type(p).__name__} {getattr(p, 'dtype', type(p[0]).__name__)}",
)
def test_a_price_is_the_same_in_every_dtype(prices: object) -> None:
    run = Run.from_frames(fills=fills(price=prices), instrument=CENTS)
    assert columns(run) == ([125, 150], [20000, 1])
    assert run.rejected == ()


@pytest.mark.parametrize(
    "ns",
    [
        [T0, T0 + 1],
        pd.to_datetime([T0, T0 + 1]),
        pd.to_datetime([T0, T0 + 1], utc=True),
        pd.to_datetime([T0, T0 + 1], utc=True).tz_convert("Asia/Tokyo"),
        pd.array([T0, T0 + 1], dtype="Int64"),
        [str(T0), str(T0 + 1)],
        np.array([T0, T0 + 1], dtype="uint64"),
        pd.array([T0, T0 + 1], dtype=pd.ArrowDtype(pa.timestamp("ns", "UTC"))),
        pd.Series([pd.Timestamp(T0), pd.Timestamp(T0 + 1)], dtype=object),
        pd.Series([pd.Timestamp(T0, tz="Asia/Tokyo"), T0 + 1], dtype=object),
    ],
    ids=lambda ns: f"{getattr(ns, 'dtype', '')} {type(ns[0]).__name__}",
)
def test_an_instant_is_the_same_in_every_dtype(ns: object) -> None:
    assert Run.from_frames(fills=fills(ns=ns), instrument=CENTS).fills.ns.tolist() == [T0, T0 + 1]


def test_coarse_datetimes_are_nanoseconds_inside() -> None:
    stamps = pd.Series(pd.to_datetime(["2024-01-01", "2024-01-02"])).astype("datetime64[s]")
    assert np.diff(Run.from_frames(fills=fills(ns=stamps), instrument=CENTS).fills.ns).tolist() == [86_400 * 10**9]


@pytest.mark.parametrize(
    ("instant", "ns"),
    [
        (datetime(2024, 1, 1, microsecond=1), 1_704_067_200_000_001_000),  # noqa: DTZ001 - naive means UTC
        (datetime(2024, 1, 1, 9, tzinfo=timezone(timedelta(hours=9))), 1_704_067_200_000_000_000),
        (datetime(1969, 12, 31, tzinfo=UTC), -86_400 * 10**9),
        (pd.Timestamp("2024-01-01").as_unit("s"), 1_704_067_200_000_000_000),
        (None, ABSENT),
        (pd.NaT, ABSENT),
    ],
    ids=str,
)
def test_an_instant_among_objects_is_exact(instant: object, ns: int) -> None:
    column = pd.Series([instant, None], dtype=object)
    run = Run.from_frames(fills=fills(), orders=orders(cancel_ns=column), instrument=CENTS)
    assert run.orders.cancel_ns.tolist() == [ns, ABSENT]


@pytest.mark.parametrize(
    "instant",
    [datetime(1500, 1, 1, tzinfo=UTC), pd.Timestamp("1500-01-01").as_unit("s"), date(2024, 1, 1), pd.Timedelta(1)],
    ids=str,
)
def test_what_is_no_instant_of_int64_is_refused_with_its_row(instant: object) -> None:
    with pytest.raises(InputError, match=r"orders row 2: cancel_ns: got .*, wanted whole nanoseconds"):
        Run.from_frames(fills=fills(), orders=orders(cancel_ns=pd.Series([None, instant], dtype=object)))


def test_an_instant_is_no_price() -> None:
    with pytest.raises(InputError, match="fills row 1: price"):
        Run.from_frames(fills=fills(price=pd.Series([pd.Timestamp(1), 2], dtype=object)))


def test_numbers_off_the_grid_or_not_finite_reject_their_rows_and_nothing_else() -> None:
    bad = [1.25, 1.255, float("nan"), float("inf"), 1.5]
    frame = pd.DataFrame({"ns": range(5), "order_id": range(5), "side": 1, "price": bad, "size": 1})
    run = Run.from_frames(fills=frame, instrument=CENTS)
    assert run.fills.row.tolist() == [1, 5]
    assert [(r.table, r.row, r.field, r.wanted) for r in run.rejected] == [
        ("fills", 2, "price", "a multiple of tick_size 0.01"),
        ("fills", 3, "price", "a finite number"),
        ("fills", 4, "price", "a finite number"),
    ]
    assert run.read["fills"] == len(run.fills) + len(run.rejected)


def test_a_run_without_orders_tape_and_rules_knows_it() -> None:
    run = Run.from_frames(fills=fills(), instrument=CENTS)
    assert (run.has_tape, len(run.orders), run.fills.order.tolist()) == (False, 0, [-1, -1])
    assert run.rules == Rules(undeclared=frozenset(DIALS))
    assert set(run.provenance.values()) == {"absent"}


def test_repeated_ids_stay_and_fills_name_the_first() -> None:
    run = Run.from_frames(fills=fills(order_id=["a", "x"]), orders=orders(order_id=["a", "a"]), instrument=CENTS)
    assert run.orders.order_id.tolist() == ["a", "a"]
    assert run.fills.order.tolist() == [0, -1]


def test_the_given_order_of_orders_is_kept() -> None:
    run = Run.from_frames(fills=fills(), orders=orders(submit_ns=[9, 3]), instrument=CENTS)
    assert run.orders.submit_ns.tolist() == [9, 3]


def test_optional_columns_are_absent_or_native_unless_the_author_says_more() -> None:
    cancelled = orders(cancel_ns=pd.array([T0, None], dtype="Int64"))
    run = Run.from_frames(fills=fills(), orders=cancelled, provenance={"end_ns": "nominal"}, instrument=CENTS)
    assert run.orders.live_ns.tolist() == [ABSENT, ABSENT]
    assert run.provenance == {"submit_ns": "native", "live_ns": "absent", "cancel_ns": "native", "end_ns": "nominal"}


@pytest.mark.parametrize(
    "cancels",
    [
        [5, None],
        [5.0, float("nan")],
        pd.array([5, None], dtype="Int64"),
        ["5", None],
        pd.Series([5, pd.NaT], dtype=object),
        pd.to_datetime([5, None]),
    ],
    ids=str,
)
def test_a_missing_cancel_is_absent_in_every_dtype(cancels: object) -> None:
    run = Run.from_frames(fills=fills(), orders=orders(cancel_ns=cancels), instrument=CENTS)
    assert run.orders.cancel_ns.tolist() == [5, ABSENT]


@given(
    cells=st.lists(st.none() | st.integers(0, 100), min_size=1, max_size=12),
    kind=st.sampled_from([pa.int8(), pa.int64(), pa.uint64(), pa.float64(), pa.timestamp("ns"), pa.string()]),
    cut=st.integers(0, 3),
    chunks=st.integers(1, 3),
    coded=st.booleans(),
)
def test_an_arrow_column_is_its_cells_however_it_lies_in_memory(
    cells: list[int | None], kind: pa.DataType, cut: int, chunks: int, coded: bool
) -> None:
    """Sliced, in chunks, with holes: what stands in memory under a hole, or before the slice, is no cell."""
    wanted = [cell if cell is None or kind != pa.string() else str(cell) for cell in cells]
    array = pa.array(wanted, kind)
    array = array.dictionary_encode() if coded and kind == pa.string() else array
    parts = [array[cut * n : cut * (n + 1)] for n in range(chunks)] + [array[cut * chunks :]]
    column = pa.chunked_array(parts, array.type)
    assert cells_of(column, file="f", field="x", rows=np.arange(1, len(cells) + 1)).listed() == wanted


@pytest.mark.parametrize("cancels", [[1.7e18, None], [0.5, None], [float("inf"), None]], ids=str)
def test_floats_that_may_have_lost_nanoseconds_are_refused(cancels: object) -> None:
    with pytest.raises(InputError, match="orders row 1: cancel_ns"):
        Run.from_frames(fills=fills(), orders=orders(cancel_ns=cancels), instrument=CENTS)


@pytest.mark.parametrize(
    ("fee", "want"),
    [
        ([0.001, -0.25], [Decimal(1000), Decimal(-250000)]),
        (["0.001", None], [Decimal(1000), None]),
        ([Decimal("0.0000001"), Decimal(0)], [Decimal("0.1"), Decimal(0)]),
        ([0.001, float("nan")], [Decimal(1000), None]),
        ([1, 2], [Decimal(10**6), Decimal(2 * 10**6)]),
    ],
    ids=str,
)
def test_fees_become_exact_ticks_times_lots(fee: object, want: object) -> None:
    assert Run.from_frames(fills=fills(fee=fee), instrument=CENTS).fills.fee.tolist() == want


@pytest.mark.parametrize(
    "aggressors",
    [
        [1, None, -1],
        [1, float("nan"), -1],
        [Side.BUY, None, Side.SELL],
        pd.Series([Side.BUY, None, Side.SELL], dtype=object),
        pd.array([1.0, None, -1.0], dtype="Float64"),
        pd.Series([1.0, None, -1], dtype=object),
    ],
    ids=repr,
)
def test_sides_are_the_same_in_the_dtypes_that_pandas_makes_of_a_hole(aggressors: object) -> None:
    trades = pd.DataFrame({"ns": range(3), "price": 1, "size": 1, "aggressor": aggressors})
    assert Run.from_frames(fills=fills(), trades=trades).trades.aggressor.tolist() == [1, 0, -1]


@pytest.mark.parametrize("aggressor", [[1.0, 0.5], [None, float("inf")], [None, 2.0], [1, True], [None, -1.5]])
def test_a_side_that_is_no_side_is_named(aggressor: object) -> None:
    trades = pd.DataFrame({"ns": range(2), "price": 1, "size": 1, "aggressor": aggressor})
    with pytest.raises(InputError, match=r"tape row 2: aggressor: got .*, wanted buy, sell or unknown"):
        Run.from_frames(fills=fills(), trades=trades)


def test_sides_of_objects_may_be_our_own() -> None:
    sides = pd.Series([Side.BUY, Side.SELL], dtype=object)
    assert Run.from_frames(fills=fills(side=sides), instrument=CENTS).fills.side.tolist() == [1, -1]


def test_aggressor_words_and_default_seq() -> None:
    trades = pd.DataFrame({"ns": range(6), "price": 1, "size": 1, "aggressor": ["buy", "S", None, "", 1, -1]})
    run = Run.from_frames(fills=fills(), trades=trades, instrument=CENTS)
    assert run.trades.aggressor.tolist() == [1, -1, 0, 0, 1, -1]
    assert (run.trades.seq.tolist(), run.trades.row.tolist(), run.has_tape) == ([*range(6)], [*range(1, 7)], True)


def test_reported_totals_keep_the_digits_with_which_they_were_printed() -> None:
    run = Run.from_frames(fills=fills(), instrument=CENTS, reported={"fill_ratio": "0.0750", "fills": 2, "pnl": -1.5})
    assert [str(v) for v in run.reported.values()] == ["0.0750", "2", "-1.5"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"fills": [1, 2]},
        {"fills": fills(), "orders": fills()},
        {"fills": fills(), "provenance": {"submit_ns": "seen"}},
        {"fills": fills(), "provenance": {"sent_ns": "native"}},
        {"fills": fills(), "reported": {"pnl": "lots"}},
        {"fills": fills(), "rules": {"latency_ns": 1}},
        {"fills": fills(), "rules": "origin"},
        {"fills": fills(), "instrument": ("0.01", "0.0001")},
        {"fills": fills(), "exit_code": "0"},
        {"fills": fills(), "exit_code": True},
        {"fills": fills(), "end_ns": float(T0)},
        {"fills": fills(), "end_ns": 2**63},
        {"fills": fills(), "last_event_ns": "noon"},
        {"fills": pd.concat([fills(), fills()], axis=1)},
    ],
    ids=str,
)
def test_what_is_no_table_or_word_is_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(InputError):
        Run.from_frames(**arguments)


def test_a_table_of_another_library_is_told_by_its_library() -> None:
    class DataFrame:
        """What polars calls its table, too."""

    with pytest.raises(InputError, match=r"fills: fills: got 'test_frames.DataFrame', wanted a pandas DataFrame or"):
        Run.from_frames(fills=DataFrame())


def test_the_end_of_a_run_may_be_an_instant_of_its_table() -> None:
    end_ns = pd.to_datetime([T0, T0 + 1]).max()
    run = Run.from_frames(fills=fills(), instrument=CENTS, end_ns=end_ns, last_event_ns=np.int64(T0))
    assert (run.end_ns, run.last_event_ns) == (T0 + 1, T0)


def test_laws_may_be_named() -> None:
    run = Run.from_frames(fills=fills(), orders=orders(), instrument=CENTS)
    whole, one = audit(run), audit(run, laws="fills_have_orders")
    asked = audit(run, laws=["no_double_fill", law_named("fills_have_orders")])
    assert [(j.law, j.verdict) for j in asked.judgements] == [
        (name, whole[name].verdict) for name in ("no_double_fill", "fills_have_orders")
    ]
    assert [j.law for j in one.judgements] == ["fills_have_orders"]
    with pytest.raises(InputError, match="laws: name: got 'no_such_law', wanted one of values_are_valid, "):
        audit(run, laws=["no_such_law"])


def test_a_total_that_no_law_knows_is_refused_and_not_left_aside() -> None:
    run = Run.from_frames(fills=fills(), instrument=CENTS, reported={"fils": 3})
    with pytest.raises(InputError, match=r"reported: fils: got .*, wanted one of fills, "):
        audit(run)


def test_frames_of_a_run_are_its_columns() -> None:
    frames = Run.from_frames(fills=fills(), orders=orders(), instrument=CENTS).to_frames()
    assert frames["fills"]["price_ticks"].tolist() == [125, 150]
    assert frames["orders"]["cancel_ns"].isna().all()


STEPS = ("1", "0.01", "0.25", "5", "1e-8", "0.0001", "3e-4", "100", "7")


@given(
    st.sampled_from(STEPS),
    st.one_of(
        st.floats(allow_nan=False, allow_infinity=False),
        st.builds(lambda n, e: n * 10.0**-e, st.integers(-(10**16), 10**16), st.integers(0, 9)),
        st.builds(lambda n, s: float(n * Decimal(s)), st.integers(-(10**12), 10**12), st.sampled_from(STEPS)),
    ),
)
def test_the_fast_way_for_floats_agrees_with_decimal_arithmetic(size: str, value: float) -> None:
    step = Step.of(Decimal(size), "tick_size")
    fast = of_floats(np.array([value]), step)
    try:
        want, off = count_of(value, step), False
    except OffGridError:
        want, off = 0, True
    except ValueError:
        assert fast.unsure[0]
        return
    assert fast.unsure[0] or (int(fast.count[0]), bool(fast.off[0])) == (want, off)


@given(st.sampled_from(STEPS), st.integers(-(2**63), 2**63 - 1), st.integers(0, 12))
def test_the_fast_way_for_scaled_ints_agrees_with_decimal_arithmetic(size: str, unscaled: int, scale: int) -> None:
    step = Step.of(Decimal(size), "tick_size")
    fast = of_ints(np.array([unscaled]), scale, step)
    try:
        want, off = count_of(Decimal(unscaled).scaleb(-scale), step), False
    except OffGridError:
        want, off = 0, True
    except ValueError:
        assert fast.unsure[0]
        return
    assert fast.unsure[0] or (int(fast.count[0]), bool(fast.off[0])) == (want, off)


def test_a_million_rows_take_seconds() -> None:
    rng, n = np.random.default_rng(1), 10**6
    ticks = rng.integers(1, 10**8, n)
    frame = (
        fills()
        .iloc[:0]
        .reindex(range(n))
        .assign(ns=np.arange(n) + T0, order_id=np.arange(n), side=1, price=ticks / 100, size=1.0)
    )
    started = time.perf_counter()
    run = Run.from_frames(fills=frame, instrument=CENTS)
    assert time.perf_counter() - started < 20  # about one second on an idle machine
    assert (run.fills.price_ticks == ticks).all()
