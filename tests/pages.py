"""Runs and pages for the tests of the page: small ones with every kind of finding, and one with ten thousand."""

from __future__ import annotations

import base64
import gzip
import json
import re
from dataclasses import replace
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np

from invariants.auditing import Report, audit
from simcore import Cancel, Instrument, Rules, Scenario, Side, Submit, TopOfBook, Trade
from simcore import simulate as reference
from simcore.run import Run, objects

START_NS = 1_700_000_000_123_456_789
"""Odd, and beyond what a float holds."""

INSTRUMENT = Instrument(tick_size=Decimal("0.01"), lot_size=Decimal("0.001"))
RULES = Rules(latency_ns=250_000_001, ttl_ns=5_000_000_000, position_cap_lots=12, fee_rate=Decimal("0.0001"))


@cache
def quoted(count: int = 60) -> Run:
    """A maker that quotes both sides, ``count`` times: honest fills, expiries, cancels, a position within its cap."""
    rng = np.random.default_rng(7)
    tape: list[Trade | TopOfBook] = []
    actions: list[Submit | Cancel] = []
    mid, ns = 10_000, START_NS
    for k in range(count):
        mid += int(rng.integers(-3, 4))
        tape.append(TopOfBook(ns, mid - 2, 5, mid + 2, 6))
        actions += [Submit(ns + 1, f"B{k}", Side.BUY, mid - 2, 3), Submit(ns + 1, f"S{k}", Side.SELL, mid + 2, 3)]
        if k % 5 == 0:
            actions.append(Cancel(ns + 400_000_003, f"S{k}"))
        for step in (150_000_011, 300_000_017, 500_000_023):
            side = Side.BUY if rng.random() < 0.5 else Side.SELL
            tape.append(Trade(ns + step, mid + 3 * int(side), int(rng.integers(1, 9)), side))
        ns += 1_000_000_007
    scenario = Scenario(tuple(tape), tuple(actions), RULES)
    return Run.from_scenario(scenario, reference(scenario), instrument=INSTRUMENT, name="quoted")


def early(run: Run, by_ns: int = 1) -> Run:
    """Every second fill comes ``by_ns`` too early."""
    ns = run.fills.ns - by_ns * (np.arange(len(run.fills)) % 2)
    return replace(run, fills=replace(run.fills, ns=ns, ns_to=ns), name="early")


def withheld(run: Run) -> Run:
    """Without its third fill."""
    keep = np.arange(len(run.fills)) != 2
    columns = {name: getattr(run.fills, name)[keep] for name in run.fills.__slots__}
    return replace(run, fills=replace(run.fills, **columns), name="withheld")


def renamed(run: Run, *names: str) -> Run:
    """The ids of the first orders replaced by ``names``, in the fills, too."""
    ids = objects([*names, *run.orders.order_id.tolist()[len(names) :]])
    filled = objects([ids[i] for i in run.fills.order.tolist()])
    return replace(run, orders=replace(run.orders, order_id=ids), fills=replace(run.fills, order_id=filled))


@cache
def broken() -> Report:
    """Early fills, told with every finding."""
    return audit(early(quoted(), 10_000_000_000), max_findings=10_000)


@cache
def crowded() -> Report:
    """Ten thousand findings and more."""
    report = audit(early(quoted(4_000), 10_000_000_000), max_findings=10_000)
    assert sum(len(j.findings) for j in report.judgements) >= 10_000
    return report


def data_of(page: str) -> dict[str, Any]:
    """What a page carries for its script."""
    found = re.search(r'<script type="application/octet-stream" id="data">([^<]*)</script>', page)
    assert found
    values: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(found[1])))
    return values
