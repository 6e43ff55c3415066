"""A report as plain values, and as bytes that depend on nothing but the run."""

from __future__ import annotations

import json
import math
import platform
from collections import Counter
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from simcore.errors import shorten
from simcore.frames import UNJUDGED

if TYPE_CHECKING:
    from invariants.auditing import Report
    from invariants.smells import Smell
    from invariants.verdict import Judgement
    from simcore import Run
    from simcore.run import Rejected

FORMAT = "fillproof-report/1"

LISTED = 50
"""How many rejected rows are listed; their total is exact."""

LIBRARIES = ("fillproof", "numpy", "pandas", "pyarrow", "hypothesis")


def report_dict(report: Report) -> dict[str, Any]:
    """``report`` in the shape of ``schema.json``: plain values, no clock, no machine."""
    run = report.run
    return {
        "format": FORMAT,
        "name": run.name,
        "verdict": report.verdict.value,
        "laws": [law_dict(judgement) for judgement in report.judgements],
        "rules": run.rules.to_dict(),
        "instrument": {"tick_size": str(run.instrument.tick_size), "lot_size": str(run.instrument.lot_size)},
        "rows": _rows(run),
        "rejected": {"total": len(run.rejected), "rows": [_rejected(row) for row in run.rejected[:LISTED]]},
        "unjudged": unjudged(run),
        "smells": [_smell(smell) for smell in report.smells],
        "engine": {"name": run.engine, "version": run.engine_version},
        "provenance": dict(run.provenance),
        "justification": dict(report.justification),
        "missed_crossings": {
            m.window: {"at": m.at, "through": m.through, "trades": m.trades, "reason": m.reason} for m in report.missed
        },
        "inputs": dict(run.inputs),
        "versions": versions(),
    }


def report_bytes(report: Report) -> bytes:
    """The JSON file: the same run gives the same bytes."""
    return (json.dumps(report_dict(report), indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def versions() -> dict[str, str]:
    """What judged: the suite, the interpreter and the libraries that touch the numbers."""
    return {"python": platform.python_version(), **{name: _version(name) for name in LIBRARIES}}


@cache
def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"  # the suite may run from its folder


def law_dict(judgement: Judgement) -> dict[str, Any]:
    """One law's entry in the list ``laws``."""
    return {
        "law": judgement.law,
        "verdict": judgement.verdict.value,
        "judged": int(judgement.judged),
        "failed": int(judgement.failed),
        "undecided": int(judgement.undecided),
        "by_model": int(judgement.by_model),
        "modelled": [{"kind": m.kind, "count": m.count, "source": m.source} for m in judgement.modelled],
        "reason": judgement.reason,
        "findings": [
            {
                "file": f.file,
                "row": None if f.row is None else int(f.row),
                "table": f.table,
                "message": f.message,
                "story": f.story,
            }
            for f in judgement.findings
        ],
    }


def _rows(run: Run) -> dict[str, dict[str, int]]:
    lost = Counter(row.table for row in run.rejected)
    return {
        table: {"read": int(read), "judged": int(read) - lost[table], "rejected": lost[table]}
        for table, read in run.read.items()
    }


def unjudged(run: Run) -> dict[str, str]:
    """What a reader counted, or was told, and no law looks at."""
    found = ((name.removeprefix(UNJUDGED), value) for name, value in run.reported.items() if name.startswith(UNJUDGED))
    return {name: str(value) for name, value in found}


def _rejected(row: Rejected) -> dict[str, Any]:
    return {
        "table": row.table,
        "file": row.file,
        "row": row.row,
        "field": row.field,
        "got": row.got if isinstance(row.got, str) and len(row.got) <= 120 else shorten(row.got),
        "wanted": row.wanted,
        "law": row.broken_law,
    }


def _smell(smell: Smell) -> dict[str, Any]:
    values = {label: value if math.isfinite(value) else None for label, value in smell.values}
    return {"name": smell.name, "unit": smell.unit, "values": values}
