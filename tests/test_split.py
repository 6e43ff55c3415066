"""Splitting: what the pieces of a run say together is what the laws say of the whole run, at any cuts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tables import plain_rules, table

from fixtures.faults import FAULTS
from fixtures.faults.records import RECORD_FAULTS, honest_record
from invariants.auditing import Report, audit
from invariants.laws import KINDS, LAWS, law_named
from invariants.laws.catalogue import Law
from invariants.laws.ruling import nothing
from invariants.report.as_json import report_bytes
from invariants.smells import smells
from invariants.split import audit_in_pieces, judge, merge, split
from invariants.splitting.judging import PARTS
from invariants.tapes import any_rules, scenarios
from invariants.verdict import Verdict
from simcore import Cancel, InputError, Rules, Run, Scenario, Side, Submit, TopOfBook, Trade, simulate
from simcore.rules import CHOICES, DIALS
from simcore.run import ABSENT, Rejected, ends_of

QUIET: dict[str, Any] = {
    "database": None,
    "deadline": None,
    "derandomize": True,
    "phases": (Phase.explicit, Phase.generate, Phase.shrink),
    "suppress_health_check": list(HealthCheck),
}
ALL = 1_000_000


# runs with everything that recorded runs have and simulated ones have not


def widened(run: Run, random: Random) -> Run:
    """Some fills are known to an interval only."""
    fills = run.fills
    wide = np.array([random.random() < 0.4 for _ in range(len(fills))], dtype=np.bool_)
    before, after = random.choice((0, 1, 50, 400_000_000)), random.choice((0, 1, 70, 400_000_000))
    return replace(
        run, fills=replace(fills, ns=np.maximum(fills.ns - wide * before, 0), ns_to=fills.ns_to + wide * after)
    )


def barred(run: Run, random: Random) -> Run:
    """Fills are known to the bar only."""
    step = random.choice((2, 100, 1000, 1_000_000, 10**9))
    start = run.fills.ns // step * step
    return replace(run, fills=replace(run.fills, ns=start, ns_to=start + step - 1))


def untaped(run: Run, _: Random) -> Run:
    """No tape was given."""
    nothing = slice(0, 0)
    return replace(run, trades=rows(run.trades, nothing), tops=rows(run.tops, nothing), has_tape=False)


def nameless(run: Run, random: Random) -> Run:
    """Some fills do not name their trade, or name another."""
    seq = [random.choice((seq, ABSENT, random.randrange(9))) for seq in run.fills.trade_seq.tolist()]
    return replace(run, fills=replace(run.fills, trade_seq=np.array(seq, dtype=np.int64)))


def all_nameless(run: Run, _: Random) -> Run:
    """No fill names its trade."""
    return replace(run, fills=replace(run.fills, trade_seq=np.full(len(run.fills), ABSENT)))


def named(run: Run, _: Random) -> Run:
    """Every fill names a trade of its instant, if there is one."""
    at = np.minimum(np.searchsorted(run.trades.ns, run.fills.ns), max(len(run.trades) - 1, 0))
    return replace(run, fills=replace(run.fills, trade_seq=run.trades.seq[at])) if len(run.trades) else run


def undeclared(run: Run, random: Random) -> Run:
    """A dial is not declared."""
    return replace(run, rules=replace(run.rules, undeclared=frozenset([random.choice(DIALS)])))


def documented(run: Run, _: Random) -> Run:
    """The profile documents every deviation there is."""
    told = {f"{law}.{kind}": "somewhere" for law, kinds in KINDS.items() for kind in kinds}
    return replace(run, rules=replace(run.rules, documented=told))


def half_documented(run: Run, random: Random) -> Run:
    """The profile documents some deviations."""
    told = {f"{law}.{kind}": "somewhere" for law, kinds in KINDS.items() for kind in kinds if random.random() < 0.5}
    return replace(run, rules=replace(run.rules, documented=told))


def hidden(run: Run, random: Random) -> Run:
    """A time in the life of the orders is no evidence."""
    name = random.choice(("submit_ns", "cancel_ns", "end_ns"))
    return replace(run, provenance={**run.provenance, name: random.choice(("absent", "nominal"))})


def logged(run: Run, random: Random) -> Run:
    """The engine logged when orders were live."""
    orders = run.orders
    sent = np.maximum(orders.submit_ns, 0)
    live = np.array([random.choice((ABSENT, ns, ns + 100, ns + run.rules.latency_ns)) for ns in sent.tolist()])
    end = np.array([random.choice((ABSENT, ns + 200, ns + 10**9)) for ns in sent.tolist()])
    ends = ends_of(random.choice(("", "filled", "cancelled", "rejected", "open")) for _ in range(len(orders)))
    told = {**run.provenance, "live_ns": "native", "end_ns": "native"}
    logged = replace(orders, live_ns=live.astype(np.int64), end_ns=end.astype(np.int64), end=ends)
    return replace(run, orders=logged, provenance=told)


def unsaid(run: Run, random: Random) -> Run:
    """Some orders have no end."""
    ends = ends_of(random.choice((word, "")) for word in run.orders.end_words)
    return replace(run, orders=replace(run.orders, end=ends))


def endless(run: Run, _: Random) -> Run:
    """A clean exit, and no word on where the run should have ended."""
    return replace(run, end_ns=None, exit_code=0)


def one_logged(run: Run, random: Random) -> Run:
    """The engine logged one order only, and no dial of the window is declared."""
    full = logged(run, random)
    live = full.orders.live_ns.copy()
    live[:-1] = ABSENT
    rules = replace(run.rules, undeclared=frozenset(random.choice((["latency_ns"], []))))
    return replace(full, orders=replace(full.orders, live_ns=live), rules=rules)


def orphaned(run: Run, random: Random) -> Run:
    """Some fills are of no order."""
    order = [random.choice((row, row, -1)) for row in run.fills.order.tolist()]
    return replace(run, fills=replace(run.fills, order=np.array(order, dtype=np.int64)))


def tail_orphaned(run: Run, random: Random) -> Run:
    """The last fills are of no order, and the run starts so that it ends flat."""
    order = run.fills.order.copy()
    order[max(len(order) - random.randrange(4), 0) :] = -1
    lots = -int((run.fills.side * run.fills.size_lots).sum())
    rules = replace(run.rules, initial_position_lots=lots) if abs(lots) < 2**60 else run.rules
    return replace(run, fills=replace(run.fills, order=order), rules=rules)


def without_orders(run: Run, random: Random) -> Run:
    """Only the fills were recorded."""
    read = {table: count for table, count in run.read.items() if table != "orders" or random.random() < 0.3}
    fills = replace(run.fills, order=np.full(len(run.fills), -1))
    return replace(run, orders=rows(run.orders, slice(0, 0)), fills=fills, read=read)


def shuffled_fills(run: Run, random: Random) -> Run:
    """The fills stand in another order than they happened."""
    at = list(range(len(run.fills)))
    random.shuffle(at)
    return replace(run, fills=rows(run.fills, np.array(at, dtype=np.int64)))


def swapped_fills(run: Run, random: Random) -> Run:
    """Two neighbours among the fills have changed places."""
    at = np.arange(len(run.fills))
    if len(at) > 1:
        first = random.randrange(len(at) - 1)
        at[[first, first + 1]] = at[[first + 1, first]]
    return replace(run, fills=rows(run.fills, at))


def repeated(run: Run, random: Random) -> Run:
    """Some fills are told twice, some ids are used twice."""
    at = sorted(row for row in range(len(run.fills)) for _ in range(random.choice((1, 1, 2))))
    ids = run.orders.order_id.copy()
    for row in range(1, len(ids)):
        if random.random() < 0.3:
            ids[row] = ids[random.randrange(row)]
    return replace(run, fills=rows(run.fills, np.array(at, dtype=np.int64)), orders=replace(run.orders, order_id=ids))


def thinned(run: Run, random: Random) -> Run:
    """Some fills are missing."""
    keep = np.array([random.random() < 0.6 for _ in range(len(run.fills))], dtype=np.bool_)
    return replace(run, fills=rows(run.fills, keep))


def disordered_orders(run: Run, random: Random) -> Run:
    """Orders were submitted at other times than their list says, or at none that is known."""
    sent = [random.choice((ns, ns, max(ns - 500, 0), ns + 700, ABSENT)) for ns in run.orders.submit_ns.tolist()]
    return replace(run, orders=replace(run.orders, submit_ns=np.array(sent, dtype=np.int64)))


def disordered_tape(run: Run, random: Random) -> Run:
    """The tape runs backwards somewhere."""
    at = list(range(len(run.trades)))
    random.shuffle(at)
    return replace(run, trades=replace(run.trades, ns=run.trades.ns[at]))


def of_unknown_side(run: Run, random: Random) -> Run:
    """The aggressor of some trades is unknown."""
    known = np.array([random.random() < 0.5 for _ in range(len(run.trades))], dtype=np.bool_)
    return replace(run, trades=replace(run.trades, aggressor=run.trades.aggressor * known))


def of_bad_values(run: Run, random: Random) -> Run:
    """Sizes and prices are zero or less here and there."""

    def spoilt(column: Any) -> Any:
        bad = np.array([random.random() < 0.2 for _ in range(len(column))], dtype=np.bool_)
        return np.where(bad, random.choice((0, -3)), column)

    return replace(
        run,
        trades=replace(run.trades, size_lots=spoilt(run.trades.size_lots)),
        orders=replace(run.orders, price_ticks=spoilt(run.orders.price_ticks)),
        fills=replace(run.fills, size_lots=spoilt(run.fills.size_lots)),
    )


def of_rejected_rows(run: Run, random: Random) -> Run:
    """Some rows could not be read."""
    laws = ("values_are_valid", "fills_have_orders", "orders_are_conserved")
    lost = tuple(
        Rejected(random.choice(("tape", "fills", "markers")), "file", row, "size", "0.5", "a lot", random.choice(laws))
        for row in range(1, random.randrange(2, 5))
    )
    return replace(run, rejected=lost)


def moved_off_trades(run: Run, random: Random) -> Run:
    """Some fills happened where no trade was."""
    moved = np.array([random.choice((0, 0, 1, -1, 7)) for _ in range(len(run.fills))], dtype=np.int64)
    ns = np.maximum(run.fills.ns + moved, 0)
    return replace(run, fills=replace(run.fills, ns=ns, ns_to=ns))


def moved_off_limits(run: Run, random: Random) -> Run:
    """Some fills are at another price or size, or on the other side."""
    fills, count = run.fills, len(run.fills)
    price = fills.price_ticks + np.array([random.choice((0, 0, 1, -1)) for _ in range(count)], dtype=np.int64)
    size = fills.size_lots + np.array([random.choice((0, 0, 1, -1)) for _ in range(count)], dtype=np.int64)
    side = fills.side * np.array([random.choice((1, 1, 1, -1)) for _ in range(count)], dtype=np.int64)
    return replace(run, fills=replace(fills, price_ticks=price, size_lots=size, side=side))


VARIATIONS: tuple[Callable[[Run, Random], Run], ...] = (
    widened,
    barred,
    untaped,
    nameless,
    all_nameless,
    named,
    undeclared,
    hidden,
    logged,
    unsaid,
    endless,
    one_logged,
    orphaned,
    tail_orphaned,
    without_orders,
    shuffled_fills,
    swapped_fills,
    repeated,
    thinned,
    disordered_orders,
    disordered_tape,
    of_unknown_side,
    of_bad_values,
    of_rejected_rows,
    moved_off_trades,
    moved_off_limits,
)


def rows(columns: Any, which: Any) -> Any:
    """Some rows of a table."""
    return replace(columns, **{f.name: getattr(columns, f.name)[which] for f in fields(columns)})


def instants(run: Run) -> list[int]:
    """When something happens: trades, submits, cancels and their effects, expiries, fills."""
    rules, orders = run.rules, run.orders
    sent = [ns for ns in orders.submit_ns.tolist() if ns != ABSENT]
    cancelled = [ns for ns in orders.cancel_ns.tolist() if ns != ABSENT]
    found = {*run.trades.ns.tolist(), *run.tops.ns.tolist(), *run.fills.ns.tolist(), *run.fills.ns_to.tolist()}
    found |= {*sent, *cancelled, *(ns + rules.cancel_latency_ns for ns in cancelled)}
    found |= {ns + rules.latency_ns for ns in sent} | {ns + (rules.ttl_ns or 0) for ns in sent}
    return sorted(found)


@dataclass(frozen=True)
class Split:
    """A run and where it is cut."""

    run: Run
    cuts_ns: list[int]
    made: str


def any_dials(random: Random) -> Rules:
    """Rules under which much happens in a few dozen nanoseconds."""
    words = {name: random.choice(values) for name, values in CHOICES.items()}
    cap_lots = random.choice((None, 2, 3, 5, 9))
    return Rules(
        latency_ns=random.choice((0, 0, 1, 3)),
        cancel_latency_ns=random.choice((0, 1, 4)),
        ttl_ns=random.choice((None, None, 2, 6, 15)),
        position_cap_lots=cap_lots,
        initial_position_lots=random.choice((0, 0, 1, -2, 4)),
        fee_rate=random.choice((Decimal(0), Decimal("0.01"))),
        **words,
    )


def quick(rules: Rules, random: Random) -> Rules:
    """The rules with delays that fit into a few dozen nanoseconds."""
    ttl_ns = None if rules.ttl_ns is None else random.choice((2, 6, 15))
    delays = {"latency_ns": random.choice((0, 1, 3)), "cancel_latency_ns": random.choice((0, 1, 4))}
    return replace(rules, ttl_ns=ttl_ns, **{name: min(delay, getattr(rules, name)) for name, delay in delays.items()})


def crowded(random: Random, events: int, rules: Rules) -> Scenario:
    """A few dozen instants in which everything happens: ties, partial fills, caps, cancels in flight."""
    span = random.choice((8, 25, 60))
    tape: list[Trade | TopOfBook] = []
    actions: list[Submit | Cancel] = []
    for _ in range(events):
        ns = random.randrange(span)
        price, size, side = random.randrange(98, 103), random.randrange(1, 5), random.choice((Side.BUY, Side.SELL))
        what = random.random()
        if what < 0.4:
            tape.append(Trade(ns, price, size, random.choice((side, side, None))))
        elif what < 0.5:
            tape.append(TopOfBook(ns, price - 1, size, price + random.randrange(2), size))
        else:
            limit = price + (random.randrange(3) if side > 0 else -random.randrange(3))
            actions.append(Submit(ns, len(actions), side, limit, random.randrange(1, 7)))
    actions += [Cancel(sent.ns + random.randrange(12), sent.order_id) for sent in actions if random.random() < 0.3]
    tape.sort(key=lambda event: event.ns)
    actions.sort(key=lambda event: event.ns)
    return Scenario(tuple(tape), tuple(actions), rules)


@st.composite
def splits(draw: Any, law: Law) -> Split:
    """Runs, honest and faulty, simulated and recorded, and cuts at or beside the instants of their events."""
    mine = [fault for fault in FAULTS if fault.law == law.name]
    maker = draw(st.sampled_from(("honest", "recorded", "any fault", "fault", "record fault", "fault recorded")))
    fault = draw(st.sampled_from(mine if mine and maker == "fault" else FAULTS))
    recorder = draw(st.sampled_from([f for f in RECORD_FAULTS if f.law == law.name] or RECORD_FAULTS))
    fixed = {"record fault": recorder.rules}.get(maker, None if maker in ("honest", "recorded") else fault.rules)
    random = Random(draw(st.binary(min_size=8, max_size=8)))  # noqa: S311 - a test, not a secret
    if draw(st.integers(0, 3)):
        rules = quick(law.narrow(any_dials(random) if fixed is None else fixed), random)
        scenario = crowded(random, draw(st.integers(8, 60)), rules)
    else:
        scenario = draw(scenarios(any_rules().map(law.narrow) if fixed is None else law.narrow(fixed)))
    run = _made(maker, scenario, fault.fresh(), recorder.falsify)
    chosen = random.sample(VARIATIONS, random.choice((0, 1, 1, 2, 3)))
    chosen += random.choice(([], [documented], [half_documented]))
    for vary in chosen:
        run = vary(run, random)
    at = instants(run) or [0]
    places = draw(st.lists(st.tuples(st.integers(0, len(at) - 1), st.integers(-1, 1)), min_size=1, max_size=8))
    names = ", ".join([maker, fault.name, recorder.name, *(vary.__name__ for vary in chosen)])
    return Split(run, [at[place] + step for place, step in places], names)


def _made(maker: str, scenario: Scenario, subject: Any, falsify: Callable[[Run], Run]) -> Run:
    if maker == "honest":
        return Run.from_scenario(scenario, simulate(scenario))
    if maker == "recorded":
        return honest_record(scenario)
    if maker == "record fault":
        return falsify(honest_record(scenario))
    run = Run.from_scenario(scenario, list(subject(scenario)))
    if maker == "fault recorded":
        record = honest_record(scenario)
        return replace(run, reported=record.reported, positions=record.positions, end_ns=record.end_ns, exit_code=0)
    return run


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_pieces_say_what_the_whole_says(law: Law, record_property: Callable[[str, object], None]) -> None:
    seen = []

    @settings(max_examples=25, **QUIET)
    @given(splits(law))
    def holds(drawn: Split) -> None:
        whole = law.judge(drawn.run, max_findings=ALL)
        told = [judge(piece, laws=[law], max_findings=ALL) for piece in split(drawn.run, drawn.cuts_ns)]
        assert merge(told, laws=[law], max_findings=ALL)[law.name] == whole
        seen.append(drawn)

    holds()
    record_property("runs", len(seen))


def in_pieces(run: Run, cuts_ns: list[int], *, max_findings: int = 50) -> Report:
    """The report of a run that was judged in pieces, the last one first."""
    told = [judge(piece, max_findings=max_findings) for piece in reversed(split(run, cuts_ns))]
    merged = merge(told, max_findings=max_findings)
    return Report(run, merged.judgements, smells(run), merged.justification, merged.missed)


@settings(max_examples=60, **QUIET)
@given(st.sampled_from(LAWS).flatmap(splits), st.sampled_from((0, 1, 2, 50)))
def test_reports_are_the_same_to_the_byte(drawn: Split, max_findings: int) -> None:
    """Also justification, missed crossings, and the first findings where not all are worded."""
    whole = report_bytes(audit(drawn.run, max_findings=max_findings))
    assert report_bytes(in_pieces(drawn.run, drawn.cuts_ns, max_findings=max_findings)) == whole


IN_FLIGHT = """
    ns    event   id  side  price_ticks  size_lots  aggressor
    1000  submit  A   BUY   100          5          -
    1010  submit  B   BUY   100          5          -
    1050  cancel  B   -     -            -          -
    1100  trade   -   -     100          2          SELL
    1100  fill    A   BUY   100          2          -
    1200  trade   -   -     100          9          SELL
    1200  fill    A   BUY   100          4          -
    1300  trade   -   -     99           9          SELL
"""


@pytest.mark.parametrize(
    "cut_ns", [0, 999, 1000, 1049, 1050, 1051, 1100, 1101, 1200, 1201, 1300, 1301, 2**63 - 1, 2**70]
)
def test_order_in_flight_across_a_cut_is_carried(cut_ns: int) -> None:
    run = table(IN_FLIGHT, sizing="trade", cancel_latency_ns=200)
    told = merge(map(judge, split(run, [cut_ns])))
    assert told.judgements == audit(run).judgements
    assert told["no_double_fill"].failed == 1
    assert told["crossed_orders_fill"].failed == 2
    assert told["no_double_fill"].findings[0].row == 2


def test_the_last_trade_before_a_cut_still_stands_behind_it() -> None:
    run = table(
        """
        ns    event   id  side  price_ticks  size_lots  aggressor  live_ns
        900   trade   -   -     99           5          BUY        -
        1000  submit  A   BUY   100          5          -          1300
        1300  fill    A   BUY   100          5          -          -
        """,
        documented={"fills_have_trades.last_trade": "somewhere"},
        provenance={"live_ns": "native"},
    )
    pieces = merge([judge(piece) for piece in split(run, [1200])])
    assert pieces["fills_have_trades"].by_model == audit(run)["fills_have_trades"].by_model == 1


def test_fill_of_an_interval_moves_the_cut_behind_it() -> None:
    run = table(
        """
        1000        submit  A  BUY  100  5
        1200        trade   -  -    100  5  SELL
        1150..1250  fill    A  BUY  100  5
        """
    )
    first, second = split(run, [1200])
    assert (first.end_ns, second.begin_ns) == (1251, 1251)
    assert merge([judge(first), judge(second)])["fills_have_trades"].judged == 1


def test_pieces_are_one_more_than_cuts_and_may_be_empty() -> None:
    run = table(IN_FLIGHT, sizing="trade")
    assert [piece.number for piece in split(run, [1100, 0, 1100, 9999])] == [0, 1, 2, 3, 4]
    assert len(split(run, [])) == 1
    assert merge(map(judge, split(table("ns event"), [5]))).verdict is audit(table("ns event")).verdict


def test_rows_of_a_piece_keep_their_place_in_the_file_and_on_the_tape() -> None:
    run = table(IN_FLIGHT, sizing="trade")
    cells = {part.name: part.run for part in split(run, [1200])[1].parts}["cells"]
    assert cells.fills.row.tolist()[:2] == [1, 2]
    assert cells.trades.seq.tolist() == [1, 2]
    assert cells.orders.order_id.tolist()[0] == "A"


def test_position_is_carried_over_as_the_initial_one() -> None:
    run = table(IN_FLIGHT, sizing="trade", position_cap_lots=5)
    slices = {part.name: part.run for part in split(run, [1200])[1].parts}["slice"]
    assert slices.rules.initial_position_lots == 2
    assert merge(map(judge, split(run, [1200])))["position_stays_within_cap"].failed == 1


def test_tape_that_runs_backwards_is_not_cut() -> None:
    run = table("1100 trade - - 100 1\n1000 trade - - 100 1\n1200 trade - - 100 1")
    first = split(run, [1100])[0]
    assert {part.name: len(part.run.trades) for part in first.parts}["rows"] == 3


CLOSED = """
    1000  submit  A  BUY   100  5
    1100  fill    A  BUY   100  5
    1200  fill    X  SELL  100  3
    1300  fill    Y  SELL  100  2
"""


@pytest.mark.parametrize("cut_ns", [1000, 1100, 1101, 1200, 1201, 1300, 1301])
@pytest.mark.parametrize("later", ["", "1400  fill  Z  BUY  100  2"])
def test_fills_that_close_the_run_are_told_from_those_that_only_close_a_piece(cut_ns: int, later: str) -> None:
    run = table(CLOSED + later, documented={"fills_have_orders.closing": "somewhere"}, has_tape=False)
    law = law_named("fills_have_orders")
    whole = law.judge(run)
    assert (whole.failed, whole.by_model) == ((3, 0) if later else (0, 2))
    assert merge([judge(piece, laws=[law]) for piece in split(run, [cut_ns])], laws=[law])[law.name] == whole


def test_sizes_below_nothing_complete_no_order() -> None:
    """Fills of -3 and 3 lots leave all of it: a trade behind the cut should have filled the order."""
    run = table(
        """
        1000  submit  A  BUY  100  2
        1100  trade   -  -    100  9  SELL
        1100  fill    A  BUY  100  -3
        1200  trade   -  -    100  9  SELL
        1200  fill    A  BUY  100  3
        1300  trade   -  -    100  9  SELL
        """,
        sizing="trade",
    )
    assert merge(map(judge, split(run, [1250]))).judgements == audit(run).judgements


@pytest.mark.parametrize("undeclared", [frozenset(), frozenset({"fee_rate"})])
@pytest.mark.parametrize("fees", [2, 3])
def test_reported_fees_are_held_against_the_fills_of_all_pieces(undeclared: frozenset[str], fees: int) -> None:
    text = """
        ns    event   id  side  price_ticks  size_lots  fee
        1000  submit  A   BUY   100          1
        1001  submit  B   BUY   100          1
        1100  fill    A   BUY   100          1          1
        1200  fill    B   BUY   100          1          1
        """
    run = table(text, fee_rate=Decimal("0.01"), undeclared=undeclared, reported={"fees": fees}, has_tape=False)
    law = law_named("fees_follow_schedule")
    told = merge([judge(piece, laws=[law]) for piece in split(run, [1150])], laws=[law])[law.name]
    assert told == law.judge(run)
    assert told.failed == (fees == 3)


def test_every_law_knows_on_which_parts_it_judges() -> None:
    """A law that is not listed would judge the whole run at once: right, and slow."""
    assert set(PARTS) == {law.name for law in LAWS}


def test_law_that_is_not_listed_judges_the_whole_run(monkeypatch: pytest.MonkeyPatch) -> None:
    run, law = table(IN_FLIGHT, sizing="trade"), law_named("no_double_fill")
    monkeypatch.delitem(PARTS, law.name)
    told = [judge(piece, laws=[law]) for piece in split(run, [1100, 1200])]
    assert merge(told, laws=[law])[law.name] == law.judge(run)


def test_law_that_crashes_on_a_piece_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def falls(run: Run) -> Any:
        assert not len(run.fills), "a bug of the judge"
        return nothing("fills")

    run = table(IN_FLIGHT, sizing="trade")
    law = replace(law_named("fill_follows_submit"), find=falls)
    monkeypatch.setitem(PARTS, law.name, ("slice",))
    told = merge([judge(piece, laws=[law]) for piece in split(run, [1200])], laws=[law])[law.name]
    assert told.verdict is Verdict.UNKNOWN
    assert told.judged == 0
    assert told.reason.startswith("the law crashed")


@pytest.mark.parametrize("workers", [1, 2])
def test_report_does_not_depend_on_the_workers(workers: int) -> None:
    run = honest_record(crowded(Random(7), 200, plain_rules(sizing="trade", ttl_ns=9)))  # noqa: S311 - same
    run = thinned(run, Random(1))  # noqa: S311 - same
    assert report_bytes(audit_in_pieces(run, workers=workers)) == report_bytes(audit(run))


def test_rules_that_document_what_no_law_knows_are_refused() -> None:
    run = table(IN_FLIGHT, documented={"no_double_fill.often": "somewhere"})
    with pytest.raises(InputError, match="documented"):
        audit_in_pieces(run, workers=1)
