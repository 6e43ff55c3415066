"""What a look at the names and times of rows tells: no price, no size, unless they could be bad.

Two looks come before the judging. The first finds the orders that the fills name and the rows that
no column can hold; then it is known between which fills the run can be cut. The second finds where
the cuts stand in each table, and which orders are open across them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from invariants.readers.tables import frame_of_arrow
from invariants.splitting.carrying import as_range, spans_of, taken
from invariants.streaming.files import TableFile
from invariants.streaming.ids import Ids, rising, without
from simcore import Instrument, Run
from simcore.frames import Sheet, orders_of, tops_of, trades_of
from simcore.grid import Step
from simcore.run import ABSENT, EndState, Ints, Orders, Rejected, counted, objects

CONVERT: dict[str, Any] = {"orders": orders_of, "tape": trades_of, "quotes": tops_of}
"""How each table becomes the columns of a run."""

CLOCK = {"orders": "submit_ns", "tape": "ns", "quotes": "ns"}
"""The column by which each table stands in order."""

PRICES = {"orders": ("price",), "tape": ("price",), "quotes": ("bid", "ask")}
SIZES = {"orders": ("size",), "tape": ("size",), "quotes": ("bid_size", "ask_size")}

_HUGE = 2**62


@dataclass(frozen=True, slots=True)
class Names:
    """The first look at some rows that stand together.

    ``rejected``: rows that no column can hold. ``named``: which of the ids of the fills the orders
    have, ``row`` their first rows. ``rising``: the first and the last id, where they rise as numbers.
    ``cuts_ns``: the instants of every so-manieth row.
    """

    rejected: tuple[Rejected, ...] = ()
    named: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    row: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    rising: tuple[int, int] | None = None
    cuts_ns: tuple[int, ...] = ()


def names_in(file: TableFile, group: int, instrument: Instrument, ids: Ids, piece_rows: int) -> list[Names]:
    """Look at a row group for the first time.

    ``ids`` are those that fills name. The run is to be cut at every ``piece_rows``-th row, if at any.
    """
    doubtful = doubtful_columns(file, instrument)
    columns = [column for column, _ in doubtful]
    columns += ["order_id"] if file.table == "orders" else []
    columns += [CLOCK[file.table]] if piece_rows else []
    if not columns:
        return []
    return [_named(file, first, table, doubtful, ids, piece_rows) for first, table in file.batches(group, columns)]


def _named(
    file: TableFile, first: int, table: Any, doubtful: Sequence[tuple[str, Step]], ids: Ids, piece_rows: int
) -> Names:
    lost = _rejected(file, first, table, doubtful)
    cuts_ns: tuple[int, ...] = ()
    if piece_rows:
        rows = np.arange(-first % piece_rows if first else piece_rows, len(table), piece_rows)
        sheet = Sheet(table, file.table, file.path, skipped=first)
        cuts_ns = tuple(sheet.ints(CLOCK[file.table])[rows].tolist())
    if file.table != "orders":
        return Names(lost, cuts_ns=cuts_ns)
    column = ids.column(table.column("order_id"))
    keep = np.ones(len(column), np.bool_)
    keep[[row.row - 1 - first for row in lost]] = False
    place = ids.places(column)
    where = np.flatnonzero((place >= 0) & keep)
    named, at = np.unique(place[where], return_index=True)
    return Names(lost, named.astype(np.int64), where[at] + first, rising(column[keep]), cuts_ns)


def doubtful_columns(file: TableFile, instrument: Instrument) -> list[tuple[str, Step]]:
    """The columns that could hold something else than steps."""
    grids = ((PRICES, instrument.tick_size, "tick_size"), (SIZES, instrument.lot_size, "lot_size"))
    return [
        (column, step)
        for columns, size, name in grids
        for step in [Step.of(size, name)]
        for column in columns[file.table]
        if file.has(column) and not _always_on_grid(file.schema.field(column).type, step)
    ]


def _rejected(file: TableFile, first: int, table: Any, doubtful: Sequence[tuple[str, Step]]) -> tuple[Rejected, ...]:
    """The rows that no column can hold."""
    if not doubtful:
        return ()
    sheet = Sheet(frame_of_arrow(table, file.path), file.table, file.path, skipped=first)
    for column, step in doubtful:
        sheet.counts(column, step)
    return tuple(sheet.rejected())


def _always_on_grid(kind: Any, step: Step) -> bool:
    if pa.types.is_decimal128(kind):
        return bool(step.numerator == 1 and kind.scale <= step.decimals)
    return bool(pa.types.is_integer(kind) and step.numerator == 1)


@dataclass(frozen=True, slots=True)
class Times:
    """The second look at some rows that stand together, from ``begin`` on.

    ``kept`` rows, from ``first_ns`` to ``last_ns``, in order if ``ordered`` (a tape also by ``seq``); the first of them
    is ``row``. ``at`` has for each cut between them the first row that is not before it. ``open_rows``: for pieces,
    the orders that could fill in them and do not belong to them. ``seqs``: the first and the last place on the tape.
    ``fill`` are places of fills: on a tape of those that name a trade of theirs here, of which ``trade`` is the row;
    of those whose orders are here, sent at ``submit_ns``. ``event_ns``: the last instant of which the rows speak.
    Rows that say what a run knows, -1 where there is none: ``ended`` (an order with an end), ``live`` (logged as
    live), ``unsided`` (a trade of unknown side). ``ends`` says how many orders ended how,
    ``cancels`` how many have a cancel.
    """

    begin: int
    kept: int
    ordered: bool
    row: int = -1
    at: Mapping[int, int] = field(default_factory=dict)
    first_ns: int = 0
    last_ns: int = 0
    event_ns: int = ABSENT
    open_rows: tuple[tuple[int, Ints], ...] = ()
    seqs: tuple[int, int] = (0, 0)
    fill: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    trade: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    ended: int = -1
    live: int = -1
    unsided: int = -1
    submit_ns: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    ends: Mapping[str, int] = field(default_factory=dict)
    cancels: int = 0


def times_in(
    file: TableFile, group: int, run: Run, fills: Ints, cuts_ns: Sequence[int], dropped: Ints, needs_sizes: bool
) -> list[Times]:
    """Look at a row group for the second time.

    ``run`` has the rules, the provenance and some fills, of which ``fills`` are the places: for orders those of
    orders in this group (``order`` is the row in the file), for a tape those of which the trade may be in it.
    """
    look, columns = _LOOKS[file.table]
    columns = (*columns, "size") if needs_sizes and file.table == "orders" else columns
    cuts = np.array(cuts_ns, np.int64)
    return [
        look(sheet, first, without(dropped - first, len(sheet.frame)), run, fills, cuts)
        for first, sheet in file.sheets(group, columns)
    ]


def _at(ns: Ints, rows: Ints, cuts_ns: Ints) -> dict[int, int]:
    """For each cut between these instants the first of ``rows`` that is not before it."""
    cuts = cuts_ns[slice(*np.searchsorted(cuts_ns, (ns[0], ns[-1]), "right"))]
    return dict(zip(cuts.tolist(), rows[np.searchsorted(ns, cuts, "left")].tolist(), strict=True))


def _is_ordered(values: Ints) -> bool:
    return not bool((values[1:] < values[:-1]).any())


def _quotes_times(sheet: Sheet, first: int, kept: Ints, _: Run, _fills: Ints, cuts_ns: Ints) -> Times:
    ns, rows = sheet.ints("ns")[kept], kept + first
    if not len(ns):
        return Times(first, 0, ordered=True)
    ends = int(ns[0]), int(ns[-1]), int(ns.max())
    return Times(first, len(ns), _is_ordered(ns), int(rows[0]), _at(ns, rows, cuts_ns), *ends)


def _tape_times(sheet: Sheet, first: int, kept: Ints, run: Run, fill_rows: Ints, cuts_ns: Ints) -> Times:
    ns, side = sheet.ints("ns")[kept], sheet.aggressors()[kept]
    seq = sheet.maybe("seq", wanted="a whole number (int64)")
    seq = np.where(seq == ABSENT, np.arange(len(seq)) + first, seq)[kept]
    if not len(ns):
        return Times(first, 0, ordered=True)
    rows = kept + first
    fill = np.flatnonzero((run.fills.trade_seq >= seq.min()) & (run.fills.trade_seq <= seq.max()))
    fills = taken(run.fills, fill)
    place = np.minimum(np.searchsorted(seq, fills.trade_seq), len(seq) - 1)
    true = (seq[place] == fills.trade_seq) & (ns[place] == fills.ns) & (fills.ns == fills.ns_to)
    unsided = np.flatnonzero(side == 0)[:1]
    return Times(
        first, len(rows), _is_ordered(ns) and not bool((seq[1:] <= seq[:-1]).any()),
        int(rows[0]), _at(ns, rows, cuts_ns), int(ns[0]), int(ns[-1]), int(ns.max()),
        seqs=(int(seq[0]), int(seq[-1])),
        fill=fill_rows[fill[true]], trade=rows[place[true]],
        unsided=int(rows[unsided[0]]) if len(unsided) else -1,
    )  # fmt: skip


def _orders_times(sheet: Sheet, first: int, kept: Ints, run: Run, fill_rows: Ints, cuts_ns: Ints) -> Times:
    rows, count, end = kept + first, len(kept), first + len(sheet.frame)
    if not count:
        return Times(first, 0, ordered=True)
    which = as_range(kept)  # mostly all of them
    sizes = np.full(len(sheet.frame), _HUGE)
    if sheet.has("size"):
        sizes = sheet.counts("size", Step.of(run.instrument.lot_size, "lot_size"))
    some = np.broadcast_to(np.int64(1), count)
    orders = Orders(
        order_id=np.broadcast_to(objects([None]), count),
        side=some,
        price_ticks=some,
        size_lots=sizes[which],
        submit_ns=sheet.ints("submit_ns")[which],
        live_ns=sheet.maybe("live_ns")[which],
        cancel_ns=sheet.maybe("cancel_ns")[which],
        end_ns=sheet.maybe("end_ns")[which],
        end=sheet.ends()[which],
        row=some,
    )
    submit_ns = orders.submit_ns
    here = (run.fills.order >= first) & (run.fills.order < end)
    fills = taken(run.fills, here)
    place = np.searchsorted(kept, fills.order - first)
    mine = replace(run, orders=orders, fills=replace(fills, order=place))
    ended, live = np.flatnonzero(orders.end != EndState.UNKNOWN)[:1], np.flatnonzero(orders.live_ns != ABSENT)[:1]
    event_ns = max(int(column.max()) for column in (submit_ns, orders.cancel_ns, orders.end_ns))
    return Times(
        first, count, _is_ordered(submit_ns), int(rows[0]), _at(submit_ns, rows, cuts_ns),
        int(submit_ns[0]), int(submit_ns[-1]), event_ns,
        tuple(_open_rows(mine, cuts_ns, rows)),
        ended=int(rows[ended[0]]) if len(ended) else -1,
        live=int(rows[live[0]]) if len(live) else -1,
        fill=fill_rows[here],
        submit_ns=submit_ns[place],
        ends=counted(orders.end),
        cancels=int((orders.cancel_ns != ABSENT).sum()),
    )  # fmt: skip


_LOOKS: dict[str, tuple[Callable[[Sheet, int, Ints, Run, Ints, Ints], Times], tuple[str, ...]]] = {
    "orders": (_orders_times, ("submit_ns", "live_ns", "cancel_ns", "end_ns", "end")),
    "tape": (_tape_times, ("ns", "seq", "aggressor")),
    "quotes": (_quotes_times, ("ns",)),
}
"""How each table is looked at, and the columns that it takes."""


def _open_rows(run: Run, cuts_ns: Ints, rows: Ints) -> Iterator[tuple[int, Ints]]:
    """For each piece the orders that could fill in it, without those that belong to it."""
    first_ns, last_ns = spans_of(run)
    begins_ns = np.concatenate(([ABSENT], cuts_ns))
    ends_ns = np.concatenate((cuts_ns, [np.iinfo(np.int64).max]))
    own = np.concatenate(([0], np.searchsorted(run.orders.submit_ns, cuts_ns, "left"), [len(rows)]))
    pieces = np.searchsorted(ends_ns, first_ns.min(), "left"), np.searchsorted(begins_ns, last_ns.max(), "right")
    for piece in range(*map(int, pieces)):
        for part in (slice(0, own[piece]), slice(own[piece + 1], len(rows))):
            mask = (first_ns[part] <= ends_ns[piece]) & (last_ns[part] >= begins_ns[piece])
            if mask.any():
                yield piece, rows[part][mask]
