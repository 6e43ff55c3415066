"""Judging the parts of a piece, and adding up what was said of all of them.

``PARTS`` says on which parts of its pieces a law judges a run; a law that is not listed judges the
whole run, once. Counts of carried rows, which some piece owns, are taken off again.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from invariants.laws.catalogue import Law
from invariants.splitting.carrying import Part
from invariants.verdict import Finding, Judgement, Modelled, Verdict
from simcore.run import Ints, Run

PARTS: dict[str, tuple[str, ...]] = {
    "values_are_valid": ("rows", "rejected"),
    "time_is_ordered": ("rows",),
    "order_ids_are_unique": ("rows",),
    "fills_have_orders": ("slice", "rejected"),
    "fill_follows_submit": ("slice",),
    "latency_is_respected": ("slice",),
    "no_fill_after_cancel": ("lives",),
    "no_fill_after_expiry": ("slice",),
    "no_double_fill": ("lives",),
    "fill_size_equals_quote_size": ("slice",),
    "fill_price_equals_limit": ("slice",),
    "fill_price_equals_trade": ("slice",),
    "fill_respects_limit": ("slice",),
    "fills_have_trades": ("slice",),
    "trade_fills_an_order_once": ("slice",),
    "trade_volume_is_not_oversold": ("slice",),
    "priority_is_respected": ("cells",),
    "crossed_orders_fill": ("cells",),
    "blocked_orders_end": ("cells",),
    "position_stays_within_cap": ("slice",),
    "position_sums_fills": ("sums",),
    "orders_are_conserved": ("rejected", "lives", "ends"),
    "cash_sums_fills": ("sums",),
    "fees_follow_schedule": ("slice", "fees"),
    "pnl_reconciles": ("sums",),
    "run_is_complete": ("lives",),
    "totals_reconcile": ("sums",),
}
"""The parts on which each law judges, in the order in which its findings are listed."""

_TABLES = ("run", "tape", "quotes", "orders", "fills")
_NO_ROW = "no row to judge"
_CRASHED = "the law crashed"

Place = tuple[int, int, int, int]
"""Where a finding stands among those of its law: part, table, row or piece, place in the list."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one law says of the own rows of one part. ``silent``: not applicable, for ``reason``."""

    law: str
    judged: int = 0
    failed: int = 0
    undecided: int = 0
    modelled: tuple[Modelled, ...] = ()
    reason: str = ""
    silent: bool = False
    findings: tuple[tuple[Place, Finding], ...] = ()


@dataclass(frozen=True, slots=True)
class Tally:
    """The shares of one piece."""

    piece: int
    shares: tuple[Share, ...] = field(default=())


def shares_of(piece: int, parts: Iterable[Part], laws: Sequence[Law], max_findings: int) -> Iterator[Share]:
    """What each law says of the own rows of the parts of one piece."""
    for part in parts:
        here = [law for law in laws if part.name in PARTS.get(law.name, ("whole",))]
        # all laws on one run and then on the other: a run's joins are worked out once
        carried = [_carried(law, part.carried) for law in here]
        for law, before in zip(here, carried, strict=True):
            # those of carried rows are taken out of the list, and must not use up its room
            judgement = law.judge(part.run, max_findings=min(max_findings + len(before.findings), sys.maxsize))
            yield _share(piece, part, judgement, before)


def _carried(law: Law, run: Run | None) -> Judgement:
    return Judgement(law.name, Verdict.UNKNOWN) if run is None else law.judge(run, max_findings=sys.maxsize)


def _share(piece: int, part: Part, judgement: Judgement, before: Judgement) -> Share:
    undecided = judgement.undecided - before.undecided
    known = Counter(before.findings)
    own: list[tuple[Place, Finding]] = []
    rows = _rows_of(part, judgement.findings)
    for number, finding in enumerate(judgement.findings):
        if known[finding]:
            known[finding] -= 1
        else:
            own.append((_place(piece, part, finding, rows[number], number), finding))
    counted = {m.kind: m.count for m in before.modelled}
    left = [(m, m.count - counted.get(m.kind, 0)) for m in judgement.modelled]
    return Share(
        judgement.law,
        judgement.judged - before.judged,
        judgement.failed - before.failed,
        undecided,
        tuple(Modelled(m.kind, count, m.source) for m, count in left if count),
        judgement.reason,
        judgement.verdict is Verdict.NOT_APPLICABLE,
        tuple(own),
    )


def _place(piece: int, part: Part, finding: Finding, row: int, number: int) -> Place:
    phase = PARTS.get(finding.law, ("whole",)).index(part.name)
    table = _TABLES.index(finding.table) if part.name in ("rows", "lives") else 0
    return phase, table, row if part.name == "lives" else piece, number


def _rows_of(part: Part, findings: Sequence[Finding]) -> list[int]:
    """The place of each finding's row in the whole run, where those of several pieces lie between each other."""
    tables: Mapping[str, tuple[Ints, Ints]] = {
        "orders": (part.run.orders.row, part.orders),
        "fills": (part.run.fills.row, part.fills),
    }
    places, at = [], 0
    for finding in findings:
        if part.name != "lives" or finding.table not in tables:
            places.append(0)
            continue
        labels, rows = tables[finding.table]
        found = np.flatnonzero(labels == finding.row)
        # a law names rows in their order, which tells apart two that claim one place in the file
        at = int(found[min(int(np.searchsorted(found, at)), len(found) - 1)])
        places.append(int(rows[at]))
    return places


def added(law: str, shares: Iterable[Share], max_findings: int) -> Judgement:
    """The judgement of a law on a run, of which these are all the shares, piece by piece."""
    mine = list(shares)
    crash = next((share.reason for share in mine if share.reason.startswith(_CRASHED)), "")
    if crash:
        return Judgement(law, Verdict.UNKNOWN, reason=crash)
    judged, failed, undecided = (sum(getattr(s, name) for s in mine) for name in ("judged", "failed", "undecided"))
    counts: dict[str, Modelled] = {}
    for m in (m for share in mine for m in share.modelled):
        so_far = counts[m.kind].count if m.kind in counts else 0
        counts[m.kind] = Modelled(m.kind, so_far + m.count, m.source)
    modelled = tuple(m for m in counts.values() if m.count)
    found = sorted((pair for share in mine for pair in share.findings), key=lambda pair: pair[0])
    verdict, reason = _verdict(mine, judged, failed, undecided)
    return Judgement(
        law,
        verdict,
        judged,
        failed,
        undecided,
        sum(m.count for m in modelled),
        reason,
        tuple(finding for _, finding in found[:max_findings]),
        modelled=modelled,
    )


def _verdict(shares: Sequence[Share], judged: int, failed: int, undecided: int) -> tuple[Verdict, str]:
    silent = [share.reason for share in shares if share.silent]
    if not judged and not undecided:
        if silent:
            return Verdict.NOT_APPLICABLE, _listed(silent)
        reasons = [share.reason for share in shares if share.reason not in ("", _NO_ROW)]
        return Verdict.UNKNOWN, _listed(reasons) or _NO_ROW
    reasons = [share.reason for share in shares if share.undecided and share.reason]
    verdict = Verdict.FAIL if failed else Verdict.UNKNOWN if undecided else Verdict.PASS
    return verdict, _listed(reasons) if undecided else ""


def _listed(reasons: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(reasons))
