"""A diagnosis as plain JSON values: amounts in currency as decimal text, means in price units, times in ns."""

from __future__ import annotations

import math
from dataclasses import asdict, is_dataclass
from decimal import Decimal
from typing import Any

from invariants.diagnosis.bracket import Bound
from invariants.diagnosis.diagnosing import Diagnosis
from invariants.diagnosis.pnl import Pnl
from invariants.diagnosis.sweeps import Sweep
from invariants.diagnosis.verdict import TITLES
from invariants.diagnosis.words import doubled
from invariants.report.as_json import versions
from simcore import Instrument

FORMAT = "fillproof-diagnosis/1"


def diagnosis_dict(diagnosis: Diagnosis) -> dict[str, Any]:
    """Everything that the text shows, and the inputs' hashes; no clock, no machine."""
    d, run = diagnosis, diagnosis.run
    found = d.conclusion
    return {
        "format": FORMAT,
        "name": run.name,
        "verdict": d.verdict,
        "title": TITLES[d.verdict],
        "cause": found.cause,
        "reason": found.reason,
        "leans": found.leans,
        "evidence": list(found.evidence),
        "notes": list(d.notes),
        "laws": {j.law: j.verdict.value for j in d.report.judgements},
        "instrument": {"tick_size": str(run.instrument.tick_size), "lot_size": str(run.instrument.lot_size)},
        "mid_source": d.mid_source,
        "reference_ns": d.reference_ns,
        "settled_ns": d.settled_ns,
        "markouts": [_plain(m) for m in d.markouts],
        "book_half_spread": _book_half_spread(d),
        "pnl": None if d.pnl is None else pnl_dict(d.pnl, run.instrument),
        "sanity": _plain(d.sanity),
        "at_cap": None if d.at_cap is None else _at_cap(d),
        "patterns": [_plain(p) for p in d.patterns],
        "bracket": _bracket(d),
        "scaling": _plain(d.scaling),
        "rules": run.rules.to_dict(),
        "inputs": dict(run.inputs),
        "versions": versions(),
    }


def pnl_dict(pnl: Pnl, instrument: Instrument) -> dict[str, Any]:
    """The split in currency, exact; ``adds_up`` says that the parts are the total."""

    def money(tick_lots: Decimal) -> str:
        return f"{instrument.notional(tick_lots):f}"

    return {
        "horizon_ns": pnl.horizon_ns,
        "spread": money(doubled(pnl.spread)),
        "drift": money(doubled(pnl.drift)),
        "inventory": money(doubled(pnl.inventory)),
        "inventory_of_fills": money(doubled(pnl.inventory_of_fills)),
        "inventory_of_initial": money(doubled(pnl.inventory_of_initial)),
        "fees": money(pnl.fees),
        "total": money(pnl.total),
        "trading": money(pnl.trading),
        "adds_up": pnl.adds_up,
        "unpriced": pnl.unpriced,
        "no_fee": pnl.no_fee,
    }


def sweep_dict(sweep: Sweep, instrument: Instrument) -> dict[str, Any]:
    """A sweep's table."""
    rows = [
        {**_plain(row), "value": _plain(row.value), "pnl": f"{instrument.notional(row.pnl):f}",
         "trading": f"{instrument.notional(row.trading):f}"}
        for row in sweep.rows
    ]  # fmt: skip
    return {"parameter": sweep.parameter, "horizon_ns": sweep.horizon_ns, "rows": rows}


def _book_half_spread(d: Diagnosis) -> float | None:
    return None if d.book_half_spread_ticks is None else d.book_half_spread_ticks * float(d.run.instrument.tick_size)


def _at_cap(d: Diagnosis) -> dict[str, Any]:
    assert d.at_cap is not None
    made = f"{d.run.instrument.notional(doubled(d.at_cap.stuck_doubled)):f}"
    values = {k: v for k, v in d.at_cap._asdict().items() if k != "stuck_doubled"}
    return {**values, "stuck_made": made}


def _bracket(d: Diagnosis) -> dict[str, Any] | None:
    if d.bracket is None:
        return None
    return {**_plain(d.bracket), "rows": [_bound(row, d.run.instrument) for row in d.bracket.rows]}


def _bound(row: Bound, instrument: Instrument) -> dict[str, Any]:
    return {
        "name": row.name,
        "fills": row.fills,
        "size": f"{instrument.size(row.size_lots):f}",
        "pnl": f"{instrument.notional(row.pnl):f}",
        "trading": f"{instrument.notional(row.trading):f}",
        "markout": _plain(row.markout),
    }


def _plain(value: Any) -> Any:
    """Dataclasses as dicts, tuples as lists, decimals as text, what is not finite as null."""
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
