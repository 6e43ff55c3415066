"""The audit of a bundle in pieces: look, cut, judge, add up."""

from __future__ import annotations

import ctypes
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from invariants.auditing import Report, check_names
from invariants.laws import laws_of
from invariants.laws.catalogue import MAX_FINDINGS, Law
from invariants.laws.windows import Window, lacks
from invariants.missed import DIALS
from invariants.readers.bundle_head import checked_head, declared_of, instrument_of, rules_of
from invariants.readers.sources import told_as
from invariants.smells import Distances, smells
from invariants.split import Piece, judge, merge
from invariants.splitting.carrying import Carrier, emptied, taken
from invariants.splitting.cutting import Seams, end_of, start_of
from invariants.streaming.around import around, without_rows
from invariants.streaming.files import TableFile, changed, read_bytes, sha256_of_all, table_file, tables_in
from invariants.streaming.ids import Ids, NotInPiecesError, hashes_in, repeated
from invariants.streaming.judging import judge_stretch, stretches
from invariants.streaming.keeping import Judged, Kept
from invariants.streaming.naming import are_of_fills, judged_by_fills
from invariants.streaming.planning import Brief, Plan, rise
from invariants.streaming.pools import Pool, pool_of
from invariants.streaming.scanning import names_in, times_in
from invariants.streaming.shelf import Shelf
from simcore import Rules, Run
from simcore.frames import Sheet, fills_of, positions_of, run_from_frames
from simcore.rules import toml_of
from simcore.run import ABSENT, Fills, Orders, Positions, Rejected, Trades

PIECE_ROWS = 2**17
"""Rows of the longest table in a piece."""

LONG = 2_000_000
"""Rows from which on a run is judged in pieces unasked."""

STRETCH = 32
"""The most pieces that one worker judges in a row; their row groups are opened once."""

Told = Callable[[int, int], None]
_Rows = TypeVar("_Rows", Fills, Positions)


def audit_streamed(
    path: str | Path,
    *,
    rules: Rules | str | Path | None = None,
    workers: int = 1,
    cluster: str | None = None,
    resume: Path | None = None,
    laws: Iterable[Law | str] | None = None,
    max_findings: int = MAX_FINDINGS,
    piece_rows: int = PIECE_ROWS,
    shown: bool = False,
    told: Told = lambda _done, _all: None,
) -> Report:
    """As ``audit`` of the bundle at ``path``, in pieces of about ``piece_rows`` rows.

    ``laws`` are those to be judged, themselves or by name, if not all: then the report has nothing but them.
    ``cluster`` is the address of a Dask scheduler. ``resume`` is a folder in which the pieces are kept as they are
    judged: what is there already is not judged again. ``told`` hears how many pieces of how many are judged. The
    report's run has its head, its fills, and of the other rows none, or those near findings if it is to be ``shown``.

    Raises ``InputError``; ``NotInPiecesError`` for a run that can only be judged as a whole.
    """
    folder, asked = _folder(path), None if laws is None else laws_of(laws)
    reason = obstacle(folder)
    if reason:
        raise NotInPiecesError(reason)
    shelf = Shelf()
    with pool_of(workers, cluster) as pool, tempfile.TemporaryDirectory(prefix="fillproof-") as hashes:
        if asked is None:
            pool.begin()
        run, files, inputs = _opened(folder, rules, shelf)
        check_names(run)
        if asked and are_of_fills(asked, run, files):
            return _unchanged(judged_by_fills(run, files, asked, max_findings), inputs)
        if run.rules.cap_action == "cancel" and run.rules.position_cap_lots is not None:
            raise NotInPiecesError("cap_action is cancel: whether an order is still there hangs on all before it")
        plan = _planned(pool, Plan(run, files, shelf), piece_rows, hashes)
        _give_back()
        shelf.clear()
        windows = _windows(plan)
        brief = _brief(plan, windows, max_findings)
        kept = Kept(resume, inputs, plan.run, [cut.ns for cut in plan.cuts], max_findings)
        total = len(plan.cuts) + 1
        todo = stretches((task for task in plan.tasks() if task.number not in kept), _fair(total - len(kept), workers))
        told(len(kept), total)
        for _, judged in pool.each(judge_stretch, ((brief, stretch, kept.folder) for stretch in todo)):
            for one in judged:
                kept.add(one)
            shelf.clear()
            told(len(kept), total)
    report = _report(plan, kept.in_order(), windows, max_findings)
    rows = around(plan, without_rows(report.run), report.judgements) if shown else without_rows(report.run)
    report = replace(report, run=rows)
    return _unchanged(report if asked is None else report.only(asked), inputs)


def _unchanged(report: Report, inputs: dict[str, str]) -> Report:
    """The report of inputs that are still what they were."""
    for file, digest in sha256_of_all(inputs).items():
        if inputs[file] != digest:
            raise changed(file)
    return replace(report, run=replace(report.run, inputs={told_as(file): digest for file, digest in inputs.items()}))


def obstacle(folder: str) -> str:
    """Why the bundle in ``folder`` cannot be judged in pieces; empty where it can. Raises ``InputError``."""
    found = tables_in(folder)
    other = [file for file in found.values() if not file.endswith(".parquet")]
    if other:
        return f"{told_as(other[0])} is no Parquet file"
    return "" if "fills" in found else "there are no fills"


def is_long(path: str | Path) -> bool:
    """Whether the bundle is one to be judged in pieces unasked. Raises ``InputError``."""
    folder = _folder(path)
    return not obstacle(folder) and sum(len(table_file(t, f)) for t, f in tables_in(folder).items()) > LONG


def _folder(path: str | Path) -> str:
    """The folder of the bundle, under the name that it has where it is read as a whole."""
    if "://" in str(path):
        return str(path).removesuffix("/run.toml").rstrip("/")
    local = Path(path)
    return str(local.parent if local.name == "run.toml" else local)


def _opened(
    folder: str, rules: Rules | str | Path | None, shelf: Shelf
) -> tuple[Run, dict[str, TableFile], dict[str, str]]:
    """The run's head, fills and positions; the files of its other tables; the digests of all files."""
    file = f"{folder}/run.toml" if "://" in folder else str(Path(folder) / "run.toml")
    named = told_as(file)
    head = checked_head(toml_of(read_bytes(file), file=named), named)
    instrument = instrument_of(head, named)
    found = tables_in(folder)
    inputs = sha256_of_all([*found.values(), file])
    tables = {table: table_file(table, name, inputs[name]) for table, name in found.items()}
    frames = {table: tables[table].no_rows() for table in found}
    run = run_from_frames(
        fills=frames["fills"],
        orders=frames.get("orders"),
        trades=frames.get("tape"),
        tops=frames.get("quotes"),
        positions=frames.get("positions"),
        instrument=instrument,
        rules=rules_of(head, rules, instrument, named),
        files={**{table: file.name for table, file in tables.items()}, "reported": named},
        **declared_of(head, named, Path(folder).name),
    )
    lost: list[Rejected] = []
    fills_in = _converted(tables.get("fills"), lambda sheet: fills_of(sheet, instrument, run.orders), lost)
    fills = shelf.joined(run.fills, fills_in)
    positions_in = _converted(tables.get("positions"), lambda sheet: positions_of(sheet, instrument), lost)
    positions = shelf.joined(run.positions, positions_in)
    run = replace(run, fills=fills, positions=positions, rejected=(*lost, *run.rejected))
    read = {table: len(tables[table]) for table in found}
    for row in head.get("rejected", []):
        read[row["table"]] = read.get(row["table"], 0) + 1
    streamed: dict[str, TableFile] = {t: tables[t] for t in ("orders", "tape", "quotes") if t in tables}
    in_order = {table: read[table] for table in (*run.read, *(set(read) - set(run.read)))}
    return replace(run, read=in_order), streamed, inputs


def _converted(file: TableFile | None, convert: Callable[[Sheet], _Rows], lost: list[Rejected]) -> Iterator[_Rows]:
    """A table that is needed whole, converted some rows at a time; rows that no column can hold are ``lost``."""
    for group in range(0 if file is None else len(file.group_rows)):
        assert file is not None, "there are no groups without a file"
        for _, sheet in file.sheets(group):
            yield convert(sheet)
            lost += sheet.rejected()


def _planned(pool: Pool, plan: Plan, piece_rows: int, hashes: str) -> Plan:
    ids = Ids.of(plan.run.fills, plan.files.get("orders"))
    longest = max(plan.files.values(), key=len, default=None)
    wanted_ns: list[int] = []
    for table, file in plan.files.items():
        groups = range(len(file.group_rows))
        every = piece_rows if file is longest else 0
        found = _all(pool, names_in, [(file, group, plan.run.instrument, ids, every) for group in groups])
        plan.name(found, table, ids)
        wanted_ns += [ns for names in found for ns in names.cuts_ns]
        if table == "orders" and not rise(found):
            begins = _all(pool, hashes_in, [(file, group, ids, plan.dropped[table], hashes) for group in groups])
            plan.again = repeated(file, hashes, begins)
    cuts_ns = plan.cut(wanted_ns)
    sizes = _needs_sizes(plan)
    for table, file in plan.files.items():
        jobs = (
            (file, group, *plan.fills_in(file, group), cuts_ns, plan.dropped[table], sizes)
            for group in range(len(file.group_rows))
        )
        plan.time(_all(pool, times_in, jobs), table)
    plan.check_clock()
    return plan


def _fair(pieces: int, workers: int) -> int:
    """Pieces in a row, so that all workers come to their end together."""
    rounds = -(-pieces // (workers * STRETCH))
    return -(-pieces // (workers * max(rounds, 1)))


def _all(pool: Pool, work: Callable[..., Any], jobs: Iterable[Any]) -> list[Any]:
    """All that the jobs found, in their order."""
    answers = dict(pool.each(work, jobs))
    return [found for number in sorted(answers) for found in answers[number] or ()]


def _give_back() -> None:
    """What was freed goes back to the system: planning a long run leaves holes that no piece fits into."""
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux" and hasattr(c := ctypes.CDLL(None), "malloc_trim"):  # only glibc has it
        c.malloc_trim(0)


def _needs_sizes(plan: Plan) -> bool:
    """Whether an order may be open for so long that it matters when it was filled completely."""
    orders, rules = plan.files.get("orders"), plan.run.rules
    return orders is not None and (orders.knows("live_ns") or rules.ttl_ns is None or not rules.declares("ttl_ns"))


def _windows(plan: Plan) -> tuple[tuple[Window, str], ...]:
    """As ``invariants.split`` asks of a whole run."""
    run = plan.run
    if not run.has_tape or not plan.counts.get("orders"):
        return ()
    undeclared = [dial for dial in DIALS if not run.rules.declares(dial)]
    listed = f"undeclared: {', '.join(undeclared)}" if undeclared else ""
    windows: tuple[Window, ...] = ("nominal", "logged")
    told = replace(run, orders=taken(_counting(plan).orders, slice(0, 1)))  # they are all the same
    return tuple((window, lacks(told, window) or listed) for window in windows)


def _counting(plan: Plan) -> Run:
    """The run with as many trades and orders as it has, of which nothing else is known; its fills, its totals."""
    run = plan.run
    trades, orders = plan.counts.get("tape", 0), plan.counts.get("orders", 0)
    zero = np.zeros(1, np.int64)
    live = np.full(1, 0 if plan.logs_live else ABSENT)
    tape = Trades(*(np.broadcast_to(zero, trades) for _ in range(6)))
    absent = np.full(1, ABSENT)
    columns = (zero, zero + 1, zero + 1, zero + 1, zero, live, absent, absent, zero.astype(np.int8), zero)
    our_orders = Orders(*(np.broadcast_to(column, orders) for column in columns))
    return replace(run, trades=tape, orders=our_orders, end_counts=dict(plan.ends), cancel_count=plan.cancels)


def _brief(plan: Plan, windows: tuple[tuple[Window, str], ...], max_findings: int) -> Brief:
    run = plan.run
    nothing = slice(0, 0)
    fills, positions = taken(run.fills, nothing), taken(run.positions, nothing)
    event_ns = max([plan.event_ns, *(int(c.max()) for c in (run.fills.ns_to, run.positions.ns) if len(c))])
    head = replace(
        run, fills=fills, positions=positions, reported={}, rejected=(), inputs={}, read=dict.fromkeys(run.read, 0)
    )
    return Brief(head, plan.files, plan.dropped, plan.extras(), plan.all_named, windows, event_ns, max_findings)


def _report(plan: Plan, judged: Sequence[Judged], windows: tuple[tuple[Window, str], ...], max_findings: int) -> Report:
    run = replace(_counting(plan), rejected=(*_in_tables(plan), *plan.run.rejected))
    last = judge(_summed(plan, run, windows), max_findings=max_findings)
    merged = merge([*(one.report for one in judged), last], max_findings=max_findings)
    apart = Distances(*(np.concatenate([getattr(one.distances, name) for one in judged]) for name in ("bps", "side")))
    return Report(run, merged.judgements, smells(_aged(plan, run), apart), merged.justification, merged.missed)


def _in_tables(plan: Plan) -> Iterable[Any]:
    order = {"tape": 0, "quotes": 1, "orders": 2}
    return sorted(plan.rejected, key=lambda row: (order[row.table], row.row))


def _summed(plan: Plan, run: Run, windows: tuple[tuple[Window, str], ...]) -> Piece:
    """What is judged once, over sums."""
    nowhere = Seams(emptied(run))  # a sum is not cut
    carrier = Carrier(run, nowhere, [start_of(), end_of(run)], all_named=plan.all_named)
    return Piece(len(plan.cuts) + 1, 0, 0, tuple(carrier.once()), windows)


def _aged(plan: Plan, run: Run) -> Run:
    """The run with just the orders that its fills name, for the ages of quotes."""
    known = run.fills.order >= 0
    place = np.where(known, np.cumsum(known) - 1, -1)
    submit_ns = plan.submit_ns[known] if len(plan.submit_ns) else np.empty(0, np.int64)
    orders = Orders(*(np.broadcast_to(column[:1], len(submit_ns)) for column in _columns(run.orders)))
    return replace(run, orders=replace(orders, submit_ns=submit_ns), fills=replace(run.fills, order=place))


def _columns(orders: Orders) -> Iterator[Any]:
    return (getattr(orders, name) for name in orders.__dataclass_fields__)
