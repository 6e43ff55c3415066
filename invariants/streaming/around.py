"""The rows around findings: what a page shows of a run whose rows stay in their files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from invariants.splitting.carrying import emptied, joined, places_of, taken
from invariants.streaming.files import TableFile
from invariants.streaming.planning import Plan
from invariants.streaming.scanning import CLOCK, CONVERT
from invariants.verdict import Finding, Judgement, Verdict
from simcore import Run
from simcore.run import ABSENT, Ints

NEAR_NS = 5_000_000_000
"""How far to look to both sides of what a finding speaks of."""

_AT = re.compile(r" at (\d{1,19}) ns")
_FIELD = {"orders": "orders", "tape": "trades", "quotes": "tops"}


def around(plan: Plan, run: Run, judgements: Iterable[Judgement]) -> Run:
    """The run with all of its fills, and the other rows that stand near a finding of a broken law."""
    found = [f for j in judgements if j.verdict is Verdict.FAIL for f in j.findings]
    begins, ends = _merged(sorted(_spans(plan, run, found)))
    tables = {_FIELD[table]: _near(plan, file, begins, ends) for table, file in plan.files.items()}
    near = replace(run, **{name: table for name, table in tables.items() if table is not None})
    order = places_of(near.orders.row - 1, plan.run.fills.order)
    return replace(
        near, fills=replace(run.fills, order=order), end_counts=run.end_counts, cancel_count=run.cancel_count
    )


def without_rows(run: Run) -> Run:
    """The run with its fills and nothing of its other tables."""
    bare = emptied(run)
    fills = replace(run.fills, order=np.full(len(run.fills), -1))
    return replace(run, trades=bare.trades, tops=bare.tops, orders=bare.orders, fills=fills)


def _spans(plan: Plan, run: Run, findings: Iterable[Finding]) -> Iterator[tuple[int, int]]:
    """From when to when each finding's row lasts, as far as it has a time."""
    rows: dict[str, set[int]] = {table: set() for table in (*plan.files, "fills", "positions")}
    for finding in findings:
        if finding.row is not None and finding.file == run.files.get(finding.table):
            rows.get(finding.table, set()).add(finding.row)
        for said in _AT.findall(finding.message):
            yield int(said), int(said)
    for k in np.flatnonzero(np.isin(run.fills.row, list(rows["fills"]))).tolist():
        sent_ns = int(plan.submit_ns[k]) if len(plan.submit_ns) else ABSENT
        times = [int(run.fills.ns[k]), int(run.fills.ns_to[k]), *([sent_ns] if sent_ns != ABSENT else [])]
        yield min(times), max(times)
    for ns in run.positions.ns[np.isin(run.positions.row, list(rows["positions"]))].tolist():
        yield ns, ns
    for table, file in plan.files.items():
        wanted = np.array(sorted(rows[table]), dtype=np.int64) - 1
        for numbers, arrow in file.picked(wanted):
            columns = CONVERT[table](file.sheet_of(numbers, arrow), run.instrument)
            for ns in getattr(columns, CLOCK[table]).tolist():
                yield ns, ns


def _merged(spans: Iterable[tuple[int, int]]) -> tuple[Ints, Ints]:
    """Where each stretch of time begins and ends that the spans cover with what is near them."""
    merged: list[list[int]] = []
    for first, last in spans:
        low, high = max(first - NEAR_NS, -(2**62)), min(last + NEAR_NS, 2**62)
        if merged and low <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], high)
        else:
            merged.append([low, high])
    edges = np.array(merged, dtype=np.int64).reshape(-1, 2)
    return edges[:, 0], edges[:, 1]


def _near(plan: Plan, file: TableFile, begins: Ints, ends: Ints) -> Any:
    """The rows of a table inside these stretches; None where there are none."""
    found = []
    for group in range(len(file.group_rows)):
        if not any(
            bool(((begins <= last_ns) & (ends >= first_ns)).any())
            for begin, first_ns, last_ns in plan.spans[file.table]
            if file.edges[group] <= begin < file.edges[group + 1]
        ):
            continue
        for _, sheet in file.sheets(group):
            columns = CONVERT[file.table](sheet, plan.run.instrument)
            ns = getattr(columns, CLOCK[file.table])
            at = np.searchsorted(begins, ns, "right") - 1
            inside = (at >= 0) & (ns <= np.append(ends, 0)[at])
            if inside.any():
                found.append(taken(columns, inside))
    return joined(found) if found else None
