"""The origin report's artifacts: ``markers.jsonl``, and ``backtest.json`` beside it, or alone.

One marker a line::

    {"ts": "2026-03-18T00:00:00.123Z", "kind": "submit", "side": "BUY", "price": 361146, "size": 5.0, "reason": "quote"}

``ts`` is ISO-8601 (without a zone it is UTC) or whole nanoseconds; ``kind`` submit, cancel or fill;
``price`` and ``size`` numbers or decimal text; ``reason`` and ``order_id`` are optional, other keys
are left alone.

Without an id, a fill or a cancel belongs to the oldest open submit of its side and price that the
declared ttl had not ended (a fill: submitted strictly before); if there is none, to one that it had
ended, so that the laws see it; a cancel at last to a filled one, for which it came too late. Size
decides nothing: a law judges it. A fill that fits no submit stays a fill, of an unknown order; a
cancel that fits none is a rejected row. A cancel whose reason speaks of ttl or expiry is the end of
the order, not a request.

Where several orders of one side and price can be meant, that is only a guess. Then the markers are read in
a way in which the run keeps to its rules, if there is one (``matching_worlds``). If it cannot be told
whether there is one, nobody knows which orders filled: the run is its fills.

How an order ended is derived from its markers, and where they are silent from the declared ttl.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path

import numpy as np

from invariants.readers.backtest import Backtest, read_backtest
from invariants.readers.marker_columns import Columns, Value, read_columns
from invariants.readers.marker_lines import KINDS, Marker, name_of, read_lines
from invariants.readers.matching import Book, is_expiry
from invariants.readers.matching_columns import match
from invariants.readers.matching_levels import CANCEL, SUBMIT, contested
from invariants.readers.matching_settled import Found, settled
from invariants.readers.matching_worlds import Told
from invariants.readers.tape import Tape, read_tape, with_tape
from simcore import InputError, Instrument, Rules, Run
from simcore.frames import Sheet, fills_of, orders_of, provenance_of, reported_of
from simcore.grid import Ints, Step, count_of, decimals_of
from simcore.run import Fills, Orders, Rejected, Tops, Trades

NAMES = ("markers.jsonl", "markers.jsonl.gz")
TOTALS = "backtest.json"
_NONE: Ints = np.zeros(0, np.int64)


def are_markers(path: Path) -> bool:
    """Whether ``path`` is a file of markers, a folder with one, or the totals alone."""
    return path.name.endswith((".jsonl", ".jsonl.gz", TOTALS)) or any((path / n).is_file() for n in (*NAMES, TOTALS))


def read_markers(
    path: str | Path,
    *,
    rules: Rules | str | Path | None = None,
    tape: Tape | str | Path | None = None,
    instrument: Instrument | None = None,
) -> Run:
    """The run in a file of markers, or in the folder of one. Raises ``InputError``.

    ``rules`` and ``instrument`` replace what ``backtest.json`` says; without either, the rules
    are the origin's, and the grid is the finest decimal one in the data.
    """
    file = _file(Path(path))
    beside = file.parent / TOTALS
    backtest = read_backtest(beside) if beside.is_file() else Backtest()
    if file == beside:
        return _totals_alone(backtest, rules)

    def declared(prices: Iterable[Value], sizes: Iterable[Value]) -> tuple[Instrument, Rules]:
        grid = instrument or backtest.instrument or _finest_grid(prices, sizes, backtest, tape)
        return grid, _rules(rules, backtest, grid)

    plain = read_columns(file)
    found = None if plain is None else _found_by_columns(plain, file, backtest, *declared(plain.prices, plain.sizes))
    if found is None:
        digest, markers = read_lines(file)
        prices, sizes = (m.price for m in markers), (m.size for m in markers)
        found = _found_by_lines(markers, file, backtest, *declared(prices, sizes))
        found = replace(found, run=replace(found.run, inputs=_inputs(digest, file, backtest)))
    return settled(found if tape is None else replace(found, run=with_tape(found.run, tape)))


def _file(path: Path) -> Path:
    if not path.is_dir():
        return path
    for name in NAMES:
        if (path / name).is_file():
            return path / name
    if (path / TOTALS).is_file():
        return path / TOTALS
    raise InputError(file=str(path), field="file", got="no markers.jsonl", wanted=" or ".join(NAMES))


def _totals_alone(backtest: Backtest, rules: Rules | str | Path | None) -> Run:
    """The run of which nothing but the totals was published."""
    grid = backtest.instrument or Instrument()
    run = _run_of_lines([], Path(backtest.file), backtest, grid, _rules(rules, backtest, grid))
    return replace(run, read={}, inputs={backtest.file: backtest.sha256})


def _rules(given: Rules | str | Path | None, backtest: Backtest, grid: Instrument) -> Rules:
    if isinstance(given, Rules):
        return given
    return backtest.declared(grid) if given is None else Rules.load(given, instrument=grid)


def _finest_grid(
    prices: Iterable[Value], sizes: Iterable[Value], backtest: Backtest, tape: Tape | str | Path | None
) -> Instrument:
    price_decimals, size_decimals = _decimals(prices), max(_decimals(sizes), backtest.size_decimals())
    mine = Instrument(Decimal(1).scaleb(-price_decimals), Decimal(1).scaleb(-size_decimals))
    if tape is None:
        return mine
    theirs = tape.instrument if isinstance(tape, Tape) else read_tape(tape).instrument
    return Instrument(min(mine.tick_size, theirs.tick_size), min(mine.lot_size, theirs.lot_size))


def _decimals(values: Iterable[Value]) -> int:
    """How many decimals the finest number needs; what is no number counts as none, and is refused later."""
    most = 0
    for value in set(values):
        try:
            most = max(most, decimals_of(value))
        except ValueError:
            continue
    return most


def _found_by_columns(told: Columns, path: Path, backtest: Backtest, grid: Instrument, rules: Rules) -> Found | None:
    """The run of plain markers; None where some price or size, or what a marker means, takes a closer look."""
    ticks = _steps(told.prices, Step.of(grid.tick_size, "tick_size"))
    lots = _steps(told.sizes, Step.of(grid.lot_size, "lot_size"))
    if ticks is None or lots is None or Step.of(grid.lot_size, "lot_size").numerator >= 10**9:
        return None  # beyond 28 digits the book rounds what is left of an order
    last_ns = backtest.run.get("last_event_ns") or int(told.ns.max())
    matched = match(told, ticks[told.price], lots[told.size], rules, last_ns)
    if matched is None:
        return None
    unmatched = ((at + 1, int(told.side[at]), told.prices[told.price[at]]) for at in matched.unmatched.tolist())
    cancels = int(np.count_nonzero(told.kind == CANCEL))
    run = _run(matched.orders, matched.fills, unmatched, cancels, matched.guessed, path, backtest, grid, rules)
    run = replace(run, inputs=_inputs(told.sha256, path, backtest))
    if matched.contested is None:
        return Found(run)

    def again(orders: Ints) -> Run:
        other = _found_by_columns(told.named(orders), path, backtest, grid, rules)
        assert other is not None, "ids are plainer than none"
        return other.run

    kind, side = told.kind.astype(np.int64), told.side.astype(np.int64)
    columns = told.ns, kind, side, ticks[told.price], lots[told.size], told.is_expiry, matched.contested
    guess = np.where(kind == SUBMIT, np.cumsum(kind == SUBMIT) - 1, matched.found)
    return Found(run, Told(*columns, guess), again)


def _steps(values: list[Value], step: Step) -> Ints | None:
    """The values in whole steps; None where one is off the grid, or no number."""
    try:
        return np.array([count_of(value, step) for value in values], np.int64)
    except ValueError:
        return None


def _found_by_lines(markers: list[Marker], path: Path, backtest: Backtest, grid: Instrument, rules: Rules) -> Found:
    """The run of any markers."""
    run = _run_of_lines(markers, path, backtest, grid, rules)
    ticks = _steps([m.price for m in markers], Step.of(grid.tick_size, "tick_size"))
    lots = _steps([m.size for m in markers], Step.of(grid.lot_size, "lot_size"))
    if not markers or any(m.order_id is not None for m in markers) or ticks is None or lots is None:
        return Found(run)
    ns, side = (np.array([getattr(m, name) for m in markers], np.int64) for name in ("ns", "side"))
    kind = np.array([KINDS.index(m.kind) for m in markers], np.int64)
    expires = np.array([is_expiry(m.reason) for m in markers], np.bool_)
    open_ = contested(ns, kind, side, ticks, lots, rules)
    if not open_.any():
        return Found(run)
    book = Book(rules)
    meant = [book.take(marker) or marker for marker in markers]
    lines = [m.row for m in markers if m.kind == "submit"]
    number = {row: order for order, row in enumerate(lines)}
    guess = np.array([number.get(m.row, -1) for m in meant], np.int64)

    def again(orders: Ints) -> Run:
        names = [
            name_of(lines[n]) if n >= 0 else name_of(m.row, matched=False)
            for n, m in zip(orders.tolist(), markers, strict=True)
        ]
        named = [replace(m, order_id=name) for m, name in zip(markers, names, strict=True)]
        return _run_of_lines(named, path, backtest, grid, rules)

    return Found(run, Told(ns, kind, side, ticks, lots, expires, open_, guess), again)


def _run_of_lines(markers: list[Marker], path: Path, backtest: Backtest, grid: Instrument, rules: Rules) -> Run:
    book, file = Book(rules), str(path)
    for marker in markers:
        book.take(marker)
    last_ns = max((marker.ns for marker in markers), default=None)
    ended = Sheet(book.orders(backtest.run.get("last_event_ns") or last_ns), "orders", file)
    filled = Sheet(book.fills(), "fills", file)
    orders = orders_of(ended, grid)
    fills = fills_of(filled, grid, orders)
    unmatched = ((m.row, m.side, m.price) for m in book.unmatched)
    cancels = sum(m.kind == "cancel" for m in markers)
    run = _run(orders, fills, unmatched, cancels, book.guessed, path, backtest, grid, rules)
    read = {**run.read, "orders": len(ended.frame), "fills": len(filled.frame)}
    return replace(run, read=read, rejected=(*ended.rejected(), *filled.rejected(), *run.rejected))


def _run(
    orders: Orders,
    fills: Fills,
    unmatched: Iterable[tuple[int, int, Value]],
    cancels: int,
    guessed: bool,
    path: Path,
    backtest: Backtest,
    grid: Instrument,
    rules: Rules,
) -> Run:
    """The run of these tables; ``unmatched`` are row, side and price of each cancel of nothing."""
    file = str(path)
    files = {"tape": "tape", "quotes": "quotes", "positions": "positions", "reported": backtest.file}
    return Run(
        Trades(*(_NONE for _ in fields(Trades))),
        Tops(*(_NONE for _ in fields(Tops))),
        orders,
        fills,
        rules,
        grid,
        has_tape=False,
        provenance=provenance_of(
            ("submit_ns",), {"cancel_ns": "native", "end_ns": "nominal" if guessed else "derived"}
        ),
        reported=reported_of(backtest.reported, backtest.file),
        rejected=tuple(
            Rejected(
                "cancels",
                file,
                row,
                "cancel",
                f"{'buy' if side > 0 else 'sell'} at {price}",
                "a cancel of an order that is open",
                "orders_are_conserved",
            )
            for row, side, price in unmatched
        ),
        read={"orders": len(orders), "fills": len(fills), "cancels": cancels},
        files={**files, "orders": file, "fills": file, "cancels": file},
        name=backtest.name or path.parent.name or "run",
        end_ns=backtest.run.get("end_ns"),
        last_event_ns=backtest.run.get("last_event_ns"),
        exit_code=backtest.run.get("exit_code"),
    )


def _inputs(digest: str, path: Path, backtest: Backtest) -> dict[str, str]:
    return {str(path): digest, **({backtest.file: backtest.sha256} if backtest.sha256 else {})}
