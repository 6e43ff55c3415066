"""Splitting: a long run as a chain of short ones, whose judgements add up to that of the whole.

``split`` cuts a run at any instants into pieces, each of which holds all that the laws need to
judge its rows: the orders that are open with their fills so far, the position carried over.
``judge`` judges one piece, ``merge`` adds up, in whatever order the pieces were judged. No law
knows of it.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from invariants.auditing import Report, audit
from invariants.laws import LAWS
from invariants.laws.catalogue import MAX_FINDINGS, Law
from invariants.laws.crossings import crossings_in
from invariants.laws.justification import REASONS, reasons
from invariants.laws.windows import Window, lacks
from invariants.missed import DIALS, Missed
from invariants.smells import smells
from invariants.splitting.carrying import ONCE, Carrier, Part, emptied
from invariants.splitting.cutting import cuts_of
from invariants.splitting.judging import Share, added, shares_of
from invariants.verdict import Judgement, Verdict
from simcore.run import Ints, Run


@dataclass(frozen=True, eq=False)
class Piece:
    """One piece of a run: what happened from ``begin_ns`` up to but not including ``end_ns``.

    ``parts`` are self-contained runs, one for each kind of law; ``windows`` says for which windows
    missed crossings are counted, and why not for the others.
    """

    number: int
    begin_ns: int
    end_ns: int
    parts: tuple[Part, ...]
    windows: tuple[tuple[Window, str], ...] = ()


@dataclass(frozen=True, eq=False)
class MissedRows:
    """The missed crossings of one piece: orders of the whole run, also those missed by a trade through them."""

    window: Window
    orders: Ints
    through: Ints
    trades: int


@dataclass(frozen=True, eq=False)
class PieceReport:
    """What the laws say of one piece."""

    number: int
    shares: tuple[Share, ...]
    justification: tuple[int, ...] = ()
    missed: tuple[MissedRows, ...] = ()
    windows: tuple[tuple[Window, str], ...] = ()


@dataclass(frozen=True, eq=False)
class Merged:
    """What all pieces together say of the run: a report without the run."""

    judgements: tuple[Judgement, ...]
    justification: tuple[tuple[str, int], ...] = ()
    missed: tuple[Missed, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Pass < unknown < fail; laws that do not apply have no say."""
        worst = Verdict.worst(j.verdict for j in self.judgements)
        return Verdict.UNKNOWN if worst is Verdict.NOT_APPLICABLE else worst

    def __getitem__(self, law: str) -> Judgement:
        return {j.law: j for j in self.judgements}[law]


def split(run: Run, cuts_ns: Iterable[int]) -> list[Piece]:
    """The pieces of ``run`` between these instants (UTC, ns), one more than there are cuts.

    A cut belongs to the piece behind it. One that no cut can stand at, because a fill's interval
    contains it or the fills are not listed in the order of time, moves to the next that can; a
    piece may be empty. Any cuts are right: before the run, behind it, twice the same.
    """
    return list(pieces(run, cuts_ns))


def pieces(run: Run, cuts_ns: Iterable[int]) -> Iterator[Piece]:
    """As ``split``, one piece at a time."""
    seams, edges = cuts_of(run, cuts_ns)
    carrier, windows = Carrier(run, seams, edges), _windows(run)
    for number in range(len(edges) - 1):
        begin, end = edges[number], edges[number + 1]
        yield Piece(number, begin.ns, end.ns, tuple(carrier.parts(number)), windows)


def _windows(run: Run) -> tuple[tuple[Window, str], ...]:
    if not run.has_tape or not run.is_tape_ordered or not len(run.orders):
        return ()
    undeclared = [dial for dial in DIALS if not run.rules.declares(dial)]
    listed = f"undeclared: {', '.join(undeclared)}" if undeclared else ""
    windows: tuple[Window, ...] = ("nominal", "logged")
    return tuple((window, lacks(run, window) or listed) for window in windows)


def judge(piece: Piece, *, laws: Sequence[Law] = LAWS, max_findings: int = MAX_FINDINGS) -> PieceReport:
    """Judge the own rows of one piece by ``laws``; at most ``max_findings`` are worded for each part of it."""
    shares = tuple(shares_of(piece.number, piece.parts, laws, max_findings))
    slices = [part.run for part in piece.parts if part.name == "slice"]
    cells = [part for part in piece.parts if part.name == "cells"]
    justified = next((_justified(run) for run in slices), ())
    missed = tuple(_missed(part, window) for part in cells for window, reason in piece.windows if not reason)
    return PieceReport(piece.number, shares, justified, missed, piece.windows)


def _justified(run: Run) -> tuple[int, ...]:
    """The fills by the best reason that the tape gives for each."""
    if not run.has_tape or not run.is_tape_ordered or not len(run.fills):
        return ()
    found = reasons(run)
    return tuple(int((found == reason).sum()) for reason in REASONS)


def _missed(part: Part, window: Window) -> MissedRows:
    cells = crossings_in(part.run, window)
    own = part.run.trades.ns[cells.trade] >= part.own_ns
    missed = own & cells.passed_over
    orders, through = (np.unique(part.orders[cells.order[mask]]) for mask in (missed, missed & cells.through))
    return MissedRows(window, orders, through, int(missed.sum()))


def merge(reports: Iterable[PieceReport], *, laws: Sequence[Law] = LAWS, max_findings: int = MAX_FINDINGS) -> Merged:
    """What the reports of all pieces of one run say together; each law is judged as on the whole run."""
    told = sorted(reports, key=lambda report: report.number)
    by_law: dict[str, list[Share]] = {law.name: [] for law in laws}
    for share in (share for report in told for share in report.shares):
        by_law[share.law].append(share)
    judgements = tuple(added(law, shares, max_findings) for law, shares in by_law.items())
    counts = [report.justification for report in told if report.justification]
    totals = np.array(counts, dtype=np.int64).sum(axis=0).tolist() if counts else []
    return Merged(judgements, tuple(zip(REASONS, totals, strict=False)), tuple(_all_missed(told)))


def _all_missed(reports: Sequence[PieceReport]) -> Iterator[Missed]:
    windows = reports[0].windows if reports else ()
    for window, reason in windows:
        if reason:
            yield Missed(window, reason=reason)
            continue
        mine = [missed for report in reports for missed in report.missed if missed.window == window]
        through = np.unique(np.concatenate([m.through for m in mine])) if mine else np.empty(0, np.int64)
        orders = np.unique(np.concatenate([m.orders for m in mine])) if mine else through
        at = np.setdiff1d(orders, through)
        yield Missed(window, len(at), len(through), sum(m.trades for m in mine))


def even_cuts(run: Run, count: int) -> list[int]:
    """Instants that cut ``run`` into ``count`` pieces with about as many orders and trades in each."""
    sent = run.orders.submit_ns
    # a tenth of a percent of the rows is enough to know where the rows are
    columns = [column[:: max(len(column) // 1000, 1)] for column in (run.trades.ns, sent) if len(column)]
    if not columns:
        return []
    instants = np.sort(np.concatenate(columns))
    return [int(instants[len(instants) * k // count]) for k in range(1, count)]


def audit_in_pieces(run: Run, *, workers: int, max_findings: int = MAX_FINDINGS) -> Report:
    """As ``audit``, the pieces of the run judged by ``workers`` processes; the report is the same.

    What is judged once, over sums, is judged here meanwhile. Raises ``InputError`` as ``audit`` does.
    """
    audit(emptied(run), laws=())  # refuses what audit refuses
    found: list[PieceReport] = []
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        pending = []
        for piece in pieces(run, even_cuts(run, workers)):
            mine = replace(piece, parts=tuple(part for part in piece.parts if part.name not in ONCE))
            here = replace(piece, parts=tuple(part for part in piece.parts if part.name in ONCE))
            pending.append(pool.submit(_judged, mine, max_findings))
            found.append(judge(here, max_findings=max_findings))
        found += [future.result() for future in pending]
    merged = merge(found, max_findings=max_findings)
    return Report(run, merged.judgements, smells(run), merged.justification, merged.missed)


def _judged(piece: Piece, max_findings: int) -> PieceReport:
    return judge(piece, max_findings=max_findings)
