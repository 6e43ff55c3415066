"""From a tape to a run: the plain maker quotes, the reference simulator fills, the engine's log is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from math import ceil
from pathlib import Path

import numpy as np

from invariants.demo.quoting import LIFE_NS, REFRESH_NS
from invariants.demo.quoting import quotes as maker_quotes
from invariants.ends import End, order_ends
from invariants.readers.tape import left_aside, read_tape
from simcore import Fill, InputError, Instrument, Ledger, Rules, Run, Scenario, Side, Submit, TapeEvent, Trade, simulate
from simcore.rules import CAP_UNITS
from simcore.run import ABSENT, Orders, Positions, ends_of

MAKERS = ("plain", "inside-spread")
"""Who may quote: ``invariants.demo.quoting``, or the origin report's maker (``invariants.demo.maker``)."""

QUOTE_UNITS = Decimal(5)
"""The size of a quote where nobody says otherwise: the origin's 5 units."""


def simulate_tape(
    sources: Iterable[str],
    *,
    quotes: Iterable[str] = (),
    rules: str = "origin",
    instrument: Instrument | None = None,
    size: str | None = None,
    refresh_ns: int = REFRESH_NS,
    maker: str = MAKERS[0],
) -> Run:
    """The run of a maker on the tape in ``sources``: files, globs, URLs.

    ``quotes`` name the files with tops of book, ``rules`` a rules file or preset, ``size`` the
    quotes' in size units; ``maker`` is one of ``MAKERS``, and ``refresh_ns`` the plain one's. The grid
    is the tape's own unless ``instrument`` gives one. A tape with a row that cannot be used is refused
    whole. Raises ``InputError``.
    """
    tape = read_tape(list(sources), instrument=instrument, quotes=list(quotes) or None, usable=True)
    loaded, grid, name = Rules.load(rules, instrument=tape.instrument), tape.instrument, _name(tape.files)
    size_lots = _quote_lots(size, grid)
    if loaded.position_cap_lots == 0 and grid.lot_size > CAP_UNITS:  # the default: not one order could ever fill
        got = f"0 lots of {grid.lot_size}"
        raise InputError(
            file=rules, field="position_cap_lots", got=got, wanted="room for a lot: a rules file that says so"
        )
    if maker == MAKERS[0]:
        run = maker_run(tape.events(), loaded, grid, size_lots=size_lots, refresh_ns=refresh_ns, name=name)
    else:
        from invariants.demo.maker import Maker, run_maker  # noqa: PLC0415 - it plays against this module's runs

        run = run_maker(tape.events(), loaded, grid, Maker(size=grid.size(size_lots)), name=name)
    return replace(run, reported={**run.reported, **left_aside(tape.aside)})


def _name(files: Sequence[str]) -> str:
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return Path(files[0]).name + more if files else "tape"


def _quote_lots(size: str | None, instrument: Instrument) -> int:
    """The size of a quote in lots: as asked, else the origin's, rounded up to the lot."""
    if size is None:
        return ceil(QUOTE_UNITS / instrument.lot_size)
    lots = instrument.lots(size, file="command line", field="size")
    if lots <= 0:
        raise InputError(file="command line", field="size", got=size, wanted="a size > 0")
    return lots


def maker_run(
    tape: Sequence[TapeEvent],
    rules: Rules,
    instrument: Instrument,
    *,
    size_lots: int,
    refresh_ns: int = REFRESH_NS,
    name: str = "run",
) -> Run:
    """The run of the plain maker on ``tape`` under the reference simulator. Raises ``InputError``."""
    life_ns = LIFE_NS if rules.ttl_ns is None else rules.ttl_ns
    actions = maker_quotes(tape, size_lots, refresh_ns=refresh_ns, life_ns=life_ns, expires=rules.ttl_ns is not None)
    scenario = Scenario(tuple(tape), tuple(actions), rules)
    return logged_run(scenario, simulate(scenario), instrument, name=name)


def logged_run(scenario: Scenario, fills: Sequence[Fill], instrument: Instrument, *, name: str = "run") -> Run:
    """The run of ``scenario`` with all that an engine logs: ends, positions, totals, a clean exit."""
    last_ns = scenario.tape[-1].ns if scenario.tape else None
    ends = order_ends(scenario, fills)
    run = Run.from_scenario(
        scenario,
        fills,
        instrument=instrument,
        positions=_positions(fills, scenario.rules.initial_position_lots),
        reported=_totals(scenario, fills, ends, instrument),
        name=name,
        end_ns=last_ns,
        last_event_ns=last_ns,
        exit_code=0,
    )
    return replace(run, orders=_ended(run.orders, ends), provenance={**run.provenance, "end_ns": "native"})


def _ended(orders: Orders, ends: Mapping[int | str, End]) -> Orders:
    logged = [ends[order_id] for order_id in orders.order_id.tolist()]
    end_ns = np.array([ABSENT if end.ns is None else end.ns for end in logged], dtype=np.int64)
    return replace(orders, end=ends_of(end.word for end in logged), end_ns=end_ns)


def _positions(fills: Sequence[Fill], initial_lots: int) -> Positions:
    """The position after the last fill of each instant at which there was one."""
    after: dict[int, int] = {}
    position_lots = initial_lots
    for fill in fills:
        position_lots += fill.side * fill.size_lots
        after[fill.ns] = position_lots
    rows = np.array([(ns, lots, row) for row, (ns, lots) in enumerate(after.items(), 1)], dtype=np.int64)
    return Positions(*rows.reshape(len(after), 3).T)


def _totals(
    scenario: Scenario, fills: Sequence[Fill], ends: Mapping[int | str, End], instrument: Instrument
) -> dict[str, Decimal]:
    """What the author of a back-test reports: counts, then money."""
    trades = [event for event in scenario.tape if isinstance(event, Trade)]
    counts = _counts(scenario, fills, ends) | {"trades": len(trades)}
    totals = {name: Decimal(count) for name, count in counts.items()}
    if trades:
        totals["fill_ratio"] = round(Decimal(len(fills)) / len(trades), 6)
    turnover = instrument.size(sum(fill.size_lots for fill in fills))
    totals["turnover"] = turnover
    if fills:
        totals["size_per_fill"] = round(turnover / len(fills), 6)
    return totals | _money(scenario.rules, fills, trades, instrument)


def _counts(scenario: Scenario, fills: Sequence[Fill], ends: Mapping[int | str, End]) -> dict[str, int]:
    words = Counter(end.word for end in ends.values())
    submits = sum(isinstance(action, Submit) for action in scenario.actions)
    buys = sum(fill.side is Side.BUY for fill in fills)
    return {
        "fills": len(fills),
        "buys": buys,
        "sells": len(fills) - buys,
        "submits": submits,
        "cancels": len(scenario.actions) - submits,
        "markers": len(scenario.actions) + len(fills),
        **{f"orders_{word}": words[word] for word in ("filled", "cancelled", "expired", "rejected", "open")},
    }


def _money(rules: Rules, fills: Iterable[Fill], trades: Sequence[Trade], instrument: Instrument) -> dict[str, Decimal]:
    """Cash, fees and result, marked at the first and the last trade."""
    ledger = Ledger(position_lots=rules.initial_position_lots)
    for fill in fills:
        ledger.book(fill, rules.fee_rate)
    totals = {
        "initial_position": instrument.size(rules.initial_position_lots),
        "position": instrument.size(ledger.position_lots),
        "initial_cash": Decimal(0),
        "cash": instrument.notional(ledger.cash),
        "fees": instrument.notional(ledger.fees),
    }
    if not trades:
        return totals
    first, last = trades[0].price_ticks, trades[-1].price_ticks
    result = ledger.equity(last) - rules.initial_position_lots * first
    marks = {"initial_mark_price": instrument.price(first), "mark_price": instrument.price(last)}
    return totals | marks | {"pnl": instrument.notional(result)}
