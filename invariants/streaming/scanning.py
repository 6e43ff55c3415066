"""What one look at the names and times of a row group tells: no price, no size, unless they could be bad.

Two looks come before the judging. The first finds the orders that the fills name and the rows that
no column can hold; then it is known between which fills the run can be cut. The second finds where
the cuts stand in each table, and which orders are open across them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from invariants.splitting.carrying import spans_of
from invariants.streaming.files import TableFile
from simcore import Instrument, Run
from simcore.frames import Sheet, orders_of, tops_of, trades_of
from simcore.grid import Step
from simcore.run import ABSENT, Fills, Ints, Rejected, objects

CONVERT: dict[str, Any] = {"orders": orders_of, "tape": trades_of, "quotes": tops_of}
"""How each table becomes the columns of a run."""

PRICES = {"orders": ("price",), "tape": ("price",), "quotes": ("bid", "ask")}
SIZES = {"orders": ("size",), "tape": ("size",), "quotes": ("bid_size", "ask_size")}

_HUGE = 2**62


@dataclass(frozen=True, slots=True)
class Names:
    """The first look at one row group.

    ``rejected``: rows that no column can hold. ``named``: which of the ids of the fills the orders
    have, ``row`` their first rows. ``rising``: the first and the last id, where ids are integers that rise.
    """

    group: int
    rejected: tuple[Rejected, ...] = ()
    named: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    row: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    rising: tuple[int, int] | None = None


def names_in(file: TableFile, group: int, instrument: Instrument, ids: Any) -> Names:
    """Look at a row group for the first time; ``ids`` are the different ids that fills name, as Arrow."""
    lost = _rejected_in(file, group, instrument)
    if file.table != "orders":
        return Names(group, lost)
    skipped = file.edges[group]
    column = plain_ids(file.arrow(group, ["order_id"]).column(0))
    keep = np.ones(len(column), np.bool_)
    keep[[row.row - 1 - skipped for row in lost]] = False
    if column.type != ids.type:
        return Names(group, lost, rising=_rising(column, keep))
    place = pc.index_in(column, value_set=ids).fill_null(-1).to_numpy()
    where = np.flatnonzero((place >= 0) & keep)
    named, at = np.unique(place[where], return_index=True)
    return Names(group, lost, named.astype(np.int64), where[at] + skipped, _rising(column, keep))


def hashes_in(file: TableFile, group: int, dropped: Ints, shelf: str) -> None:
    """Leave the hashes of the ids of a row group, and their rows, in the folder ``shelf``."""
    skipped = file.edges[group]
    column = plain_ids(file.arrow(group, ["order_id"]).column(0))
    kept = np.setdiff1d(np.arange(len(column)), dropped - skipped)
    hashes = pd.util.hash_array(column.to_numpy(zero_copy_only=False), categorize=False)
    np.save(hashes_at(shelf, group), np.stack((hashes[kept], (kept + skipped).astype(np.uint64))))


def hashes_at(shelf: str, group: int) -> Path:
    """Where ``hashes_in`` leaves them."""
    return Path(shelf) / f"ids-{group}.npy"


def plain_ids(column: Any) -> Any:
    """Ids as one Arrow array of int64 or text; raises ``TypeError`` for ids of another kind."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    kind = array.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_integer(kind) and not pa.types.is_uint64(kind):
        return array.cast(pa.int64())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return array.cast(pa.large_string())
    raise TypeError(str(kind))


def _rising(ids: Any, keep: Any) -> tuple[int, int] | None:
    if not pa.types.is_int64(ids.type) or ids.null_count:
        return None
    values = ids.to_numpy()[keep]
    return (int(values[0]), int(values[-1])) if len(values) and bool((values[1:] > values[:-1]).all()) else None


def _rejected_in(file: TableFile, group: int, instrument: Instrument) -> tuple[Rejected, ...]:
    """The rows that no column can hold; columns that hold nothing but steps are not read for it."""
    doubtful = [
        (column, step)
        for columns, size, name in (
            (PRICES[file.table], instrument.tick_size, "tick_size"),
            (SIZES[file.table], instrument.lot_size, "lot_size"),
        )
        for column in columns
        for step in [Step.of(size, name)]
        if file.has(column) and not _always_on_grid(file.schema.field(column).type, step)
    ]
    if not doubtful:
        return ()
    frame = file.frame(group, [column for column, _ in doubtful])
    sheet = Sheet(frame, file.table, file.path, skipped=file.edges[group])
    for column, step in doubtful:
        sheet.counts(column, step)
    return tuple(sheet.rejected())


def _always_on_grid(kind: Any, step: Step) -> bool:
    if pa.types.is_decimal128(kind):
        return bool(step.numerator == 1 and kind.scale <= step.decimals)
    return bool(pa.types.is_integer(kind) and step.numerator == 1)


@dataclass(frozen=True, slots=True)
class Times:
    """The second look at one row group.

    ``kept`` rows, from ``first_ns`` to ``last_ns``, in order if ``ordered`` (a tape also by ``seq``);
    ``at`` has for each cut the first row that is not before it. ``open_rows``: for pieces, the orders
    that could fill in them and do not belong to them. ``seqs``: the first and the last place on the tape.
    ``fill`` and ``trade``: fills that name a trade of theirs in this group, and its row. ``event_ns``: the
    last instant of which the rows speak. Rows that say what a run knows, -1 where there is none:
    ``ended`` (an order with an end), ``live`` (logged as live), ``unsided`` (a trade of unknown side). ``submit_ns`` is that
    of the order of each fill, ``ends`` says how many orders ended how.
    """

    group: int
    kept: int
    ordered: bool
    at: Ints
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


def times_in(
    file: TableFile, group: int, run: Run, cuts_ns: Sequence[int], dropped: Ints, needs_sizes: bool
) -> Times:
    """Look at a row group for the second time.

    ``run`` has the rules, the provenance and the fills: for orders those of orders in this group
    (``order`` is the row in the file), for a tape all of which the trade is named.
    """
    look = {"orders": _orders_times, "tape": _tape_times, "quotes": _quotes_times}[file.table]
    return look(file, group, run, np.array(cuts_ns, np.int64), dropped - file.edges[group], needs_sizes)


def _kept(sheet: Sheet, dropped: Ints) -> Ints:
    """The rows of the group that were not rejected, numbered within it."""
    keep = np.ones(len(sheet.frame), np.bool_)
    keep[dropped[(dropped >= 0) & (dropped < len(keep))]] = False
    return np.flatnonzero(keep)


def _at(ns: Ints, rows: Ints, cuts_ns: Ints, end: int) -> Ints:
    """For each cut the first of ``rows`` that is not before it; ``end`` where there is none."""
    return np.append(rows, end)[np.searchsorted(ns, cuts_ns, "left")]


def _is_ordered(values: Ints) -> bool:
    return not bool((values[1:] < values[:-1]).any())


def _sheet(file: TableFile, group: int, *columns: str) -> Sheet:
    return Sheet(file.frame(group, columns), file.table, file.path, skipped=file.edges[group])


def _quotes_times(file: TableFile, group: int, _: Run, cuts_ns: Ints, dropped: Ints, __: bool) -> Times:
    sheet = _sheet(file, group, "ns")
    kept, skipped = _kept(sheet, dropped), file.edges[group]
    ns = sheet.ints("ns")[kept]
    at = _at(ns, kept + skipped, cuts_ns, file.edges[group + 1])
    ends = (int(ns[0]), int(ns[-1]), int(ns.max())) if len(ns) else (0, 0, ABSENT)
    return Times(group, len(kept), _is_ordered(ns), at, *ends)


def _tape_times(file: TableFile, group: int, run: Run, cuts_ns: Ints, dropped: Ints, _: bool) -> Times:
    sheet = _sheet(file, group, "ns", "seq", "aggressor")
    kept, skipped = _kept(sheet, dropped), file.edges[group]
    ns, side = sheet.ints("ns")[kept], sheet.aggressors()[kept]
    seq = sheet.maybe("seq", wanted="a whole number (int64)")
    seq = np.where(seq == ABSENT, np.arange(len(seq)) + skipped, seq)[kept]
    at = _at(ns, kept + skipped, cuts_ns, file.edges[group + 1])
    if not len(ns):
        return Times(group, 0, ordered=True, at=at)
    place = np.minimum(np.searchsorted(seq, run.fills.trade_seq), len(seq) - 1)
    true = (seq[place] == run.fills.trade_seq) & (ns[place] == run.fills.ns) & (run.fills.ns == run.fills.ns_to)
    unsided = np.flatnonzero(side == 0)[:1]
    return Times(
        group, len(kept), _is_ordered(ns) and not bool((seq[1:] <= seq[:-1]).any()), at,
        int(ns[0]), int(ns[-1]), int(ns.max()), seqs=(int(seq[0]), int(seq[-1])),
        fill=np.flatnonzero(true), trade=kept[place[true]] + skipped,
        unsided=int(kept[unsided[0]] + skipped) if len(unsided) else -1,
    )  # fmt: skip


def _orders_times(file: TableFile, group: int, run: Run, cuts_ns: Ints, dropped: Ints, needs_sizes: bool) -> Times:
    sheet = _sheet(file, group, "submit_ns", "live_ns", "cancel_ns", "end_ns", "end", *(["size"] if needs_sizes else []))
    kept, skipped, end_row = _kept(sheet, dropped), file.edges[group], file.edges[group + 1]
    count = len(kept)
    sizes = np.full(len(sheet.frame), _HUGE)
    if needs_sizes:
        sizes = sheet.counts("size", Step.of(run.instrument.lot_size, "lot_size"))
    empty = np.broadcast_to(np.int64(1), count)
    orders = replace(
        run.orders,
        order_id=np.broadcast_to(objects([None]), count),
        side=empty,
        price_ticks=empty,
        size_lots=sizes[kept],
        submit_ns=sheet.ints("submit_ns")[kept],
        live_ns=sheet.maybe("live_ns")[kept],
        cancel_ns=sheet.maybe("cancel_ns")[kept],
        end_ns=sheet.maybe("end_ns")[kept],
        end=sheet.ends()[kept],
        row=empty,
    )
    submit_ns = orders.submit_ns
    at = _at(submit_ns, kept + skipped, cuts_ns, end_row)
    if not count:
        return Times(group, 0, ordered=True, at=at)
    place = np.searchsorted(kept, run.fills.order - skipped)
    mine = replace(run, orders=orders, fills=replace(run.fills, order=place))
    ended, live = np.flatnonzero(orders.end != "")[:1], np.flatnonzero(orders.live_ns != ABSENT)[:1]
    event_ns = max(int(column.max()) for column in (submit_ns, orders.cancel_ns, orders.end_ns))
    return Times(
        group, count, _is_ordered(submit_ns), at, int(submit_ns[0]), int(submit_ns[-1]), event_ns,
        tuple(_open_rows(mine, cuts_ns, at, kept + skipped)),
        ended=int(kept[ended[0]] + skipped) if len(ended) else -1,
        live=int(kept[live[0]] + skipped) if len(live) else -1,
        submit_ns=submit_ns[place],
        ends=Counter(orders.end.tolist()),
    )  # fmt: skip


def _open_rows(run: Run, cuts_ns: Ints, at: Ints, rows: Ints) -> Any:
    """For each piece the orders that could fill in it, without those that belong to it."""
    first_ns, last_ns = spans_of(run)
    edges_ns = np.concatenate(([ABSENT], cuts_ns, [np.iinfo(np.int64).max]))
    own = np.searchsorted(rows, np.concatenate(([0], at, [np.iinfo(np.int64).max])), "left")
    latest_ns, earliest_ns = last_ns.max(initial=ABSENT), first_ns.min(initial=edges_ns[-1])
    for piece, (begin_ns, end_ns) in enumerate(zip(edges_ns[:-1], edges_ns[1:], strict=True)):
        if latest_ns < begin_ns or earliest_ns > end_ns:
            continue
        for part in (slice(0, own[piece]), slice(own[piece + 1], len(rows))):
            if part.start >= part.stop:
                continue
            mask = (first_ns[part] <= end_ns) & (last_ns[part] >= begin_ns)
            if mask.any():
                yield piece, rows[part][mask]


def plain_fills(fills: Fills, rows: Ints) -> Fills:
    """These fills with nothing but their times, sizes and what they name."""
    some = np.broadcast_to(objects([None]), len(rows))
    return Fills(
        fills.ns[rows], fills.ns_to[rows], fills.order[rows], some, fills.side[rows], fills.price_ticks[rows],
        fills.size_lots[rows], fills.trade_seq[rows], some, fills.row[rows],
    )  # fmt: skip

