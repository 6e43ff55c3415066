"""NautilusTrader: the order events of a back-test, or its reports of orders and fills.

A folder with ``order_events.jsonl`` (``.gz``; see ``nautilus_events``), or with what
``engine.trader.generate_orders_report()`` and ``generate_fills_report()`` wrote, as ``orders`` and
``fills`` (``.parquet``, ``.csv``, ``.csv.gz``; Parquet first). Events are read where both are there,
and the reports of orders, fills and ``positions`` then give totals: counts, turnover, fees, final
position; a row of orders or fills that says something else than the events is a rejected row. Reports
alone know when an order arrived only where it then took, and never when a cancel was requested; they
show price and size of an order as they were last.

``meta.json`` beside them says what no report does. ``version``, and in ``opt``: ``book`` (L1, L2,
L3), ``quotes``, ``trades``, ``bars``, ``trade_exec``, ``prob_limit``, ``prob_slip``, ``lat_ins`` and
``lat_can`` (milliseconds from the decision to the venue), and in ``extra`` ``queue_position`` and
``liquidity_consumption``. They choose the profile; where none fits, only what every mode shares is
declared. A ``prob_limit`` below 1 and a ``prob_slip`` above 0 document what they make happen. Its counts
(``order_event_types``, ``total_orders``, ``reports.orders.rows``, ``reports.fills.rows``) are totals, too.

The reports: https://nautilustrader.io/docs/latest/concepts/reports/
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

from invariants.readers.engine_run import Output, run_of
from invariants.readers.nautilus_agreement import FILL_FIELDS, ORDER_FIELDS, disagreements
from invariants.readers.nautilus_counts import counts_of, with_counts
from invariants.readers.nautilus_events import TABLE, fold_events
from invariants.readers.nautilus_reports import Report, fills_of, nothing_of, orders_of, totals_of, with_arrivals
from invariants.readers.parameters import Parameters, parameters_of
from invariants.readers.peek import columns_of
from invariants.readers.sources import Sources, bytes_of
from invariants.readers.tables import SUFFIXES, frame_from_bytes
from invariants.readers.tape import Tape
from invariants.readers.totals import with_others
from simcore import InputError, Rules, Run

ENGINE = "nautilus_trader"
EVENTS = (f"{TABLE}.jsonl", f"{TABLE}.jsonl.gz")
REPORTS = ("orders", "fills", "positions")
NS_OF_MS = 1_000_000

_EVENT = frozenset({"type", "trader_id", "client_order_id"})
_REPORT = frozenset({"trader_id", "client_order_id", "venue_order_id", "strategy_id"})
_FIRST_BYTES = 2**20
_BLANK = b'""'
"""What pandas writes of a table without rows and columns: the report of what never happened."""

_TRANSIENT_OVERRIDE = (1, 222)
"""The release that let trades fill the orders that they cross (its notes: transient bid/ask override)."""


def is_nautilus(path: Path) -> bool:
    """Whether ``path`` is such a folder, or such a file of events, orders or fills."""
    if path.is_dir():
        found = [path / name for name in EVENTS] + [path / f"fills{suffix}" for suffix in SUFFIXES]
    else:
        found = [path]
    return any(_is_events(file) or _is_report(file) for file in found if file.is_file())


def _is_events(file: Path) -> bool:
    if not file.name.endswith((".jsonl", ".jsonl.gz")):
        return False
    try:
        values = json.loads(_head(file).removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError):
        return False
    return isinstance(values, dict) and values.keys() >= _EVENT and str(values["type"]).startswith("Order")


def _is_report(file: Path) -> bool:
    return columns_of(file) >= _REPORT


def _head(file: Path) -> bytes:
    """The first line, unpacked; nothing where it cannot be read."""
    try:
        with file.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream = cast("IO[bytes]", gzip.GzipFile(fileobj=raw) if packed else raw)
            return stream.readline(_FIRST_BYTES)
    except (OSError, EOFError, zlib.error):
        return b""


@dataclass(slots=True)
class _Folder:
    """The files of an output; every one that is read is remembered with its digest."""

    path: Path
    events: Path | None
    inputs: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)

    @classmethod
    def at(cls, path: Path) -> _Folder:
        """The folder, or the folder of a file; a report that is named is read without the events."""
        if not path.is_dir():
            return cls(path.parent, None if path.name.endswith(SUFFIXES) else path)
        return cls(path, next((path / name for name in EVENTS if (path / name).exists()), None))

    def data(self, file: Path) -> bytes:
        """The bytes of a file."""
        data = bytes_of(file)
        self.inputs[str(file)] = hashlib.sha256(data).hexdigest()
        return data

    def report(self, name: str, read: Callable[..., Any]) -> Any:
        """What ``read`` makes of a report, None where there is none."""
        for suffix in SUFFIXES:
            file = self.path / f"{name}{suffix}"
            if file.exists():
                self.files[name] = str(file)
                data = self.data(file)
                frame = nothing_of(name) if data.strip() == _BLANK else frame_from_bytes(data, file=str(file))
                self.rows[f"{name}_report"] = len(frame)
                return read(frame, file=str(file))
        return None


def read_nautilus(
    path: str | Path, *, rules: Rules | str | Path | None = None, tape: Tape | Sources | None = None
) -> Run:
    """The run in ``path``. Raises ``InputError``."""
    folder = _Folder.at(Path(path))
    parameters = parameters_of(folder.path)
    output = _from_events(folder, parameters) if folder.events else _from_reports(folder, parameters)
    run = run_of(output, rules=rules, tape=tape)
    executed = any(name.startswith("unjudged.executions") and count for name, count in output.reported.items())
    if rules is None and executed and run.rules.sizing == "shared":
        # what is left of a trade hangs on orders that are left out
        return replace(run, rules=replace(run.rules, undeclared=run.rules.undeclared | {"sizing"}))
    return run


def _from_events(folder: _Folder, parameters: Parameters) -> Output:
    assert folder.events is not None, "the caller saw them"
    file = str(folder.events)
    history = fold_events(folder.data(folder.events), file=file)
    listed: Report | None = folder.report("orders", partial(orders_of, others=history.others))
    filled: Report | None = folder.report("fills", partial(fills_of, others=history.others))
    positions = folder.report("positions", lambda frame, **_: frame)
    reported = totals_of(orders=listed, fills=filled, positions=positions, files=folder.files)
    fills, orders = history.fills_frame(), history.orders_frame()
    counts = counts_of(parameters)  # of all orders, so of none where some are left out
    reported = with_counts(reported, [] if history.others else counts, fills=fills, orders=orders)
    reported = _with_others(reported, history.others, history.other_fills)
    reported["unjudged.refused_cancels"] = history.refused_cancels
    tables = dict.fromkeys(("orders", "fills", TABLE), file)
    return Output(
        fills=fills,
        orders=orders,
        provenance=dict.fromkeys(("submit_ns", "live_ns", "cancel_ns", "end_ns"), "native"),
        reported=reported,
        last_event_ns=history.last_ns,
        files={
            **tables,
            "reported": folder.files.get("orders", folder.files.get("fills", next(iter(parameters.inputs), file))),
        },
        rejected=(
            *history.rejected,
            *disagreements("orders", listed, orders, folder.files.get("orders", ""), ORDER_FIELDS),
            *disagreements("fills", filled, fills, folder.files.get("fills", ""), FILL_FIELDS),
        ),
        read={TABLE: history.read, **folder.rows},
        **_known(folder, parameters, history.ttl_ns()),
    )


def _with_others(reported: Mapping[str, Any], others: Mapping[str, str], fills: Iterable[str]) -> dict[str, Any]:
    """The totals beside orders that are left out: only the position is of all."""
    judged = reported.keys() - {"position"}
    return with_others(reported, others.values(), (others[order_id] for order_id in fills), judged=judged)


def _from_reports(folder: _Folder, parameters: Parameters) -> Output:
    orders = folder.report("orders", orders_of)
    fills = folder.report("fills", partial(fills_of, others=orders.others if orders else None))
    if fills is None:
        wanted = f"{EVENTS[0]}, or fills{SUFFIXES[0]} or fills{SUFFIXES[1]}"
        raise InputError(file=str(folder.path), field="fills", got="nothing", wanted=wanted)
    positions = folder.report("positions", lambda frame, **_: frame)
    reported = totals_of(orders=None, fills=None, positions=positions, files=folder.files)
    known = None if orders is None else with_arrivals(orders.frame, fills)
    return Output(
        fills=fills.frame,
        orders=known,
        provenance={} if known is None else {name: _OF_REPORTS[name] for name in known if name in _OF_REPORTS},
        reported=_with_others(
            with_counts(reported, [] if fills.others else counts_of(parameters), fills=fills.frame, orders=known),
            fills.others,
            fills.other_fills,
        ),
        files={**folder.files, "reported": folder.files.get("positions", next(iter(parameters.inputs), "reported"))},
        rejected=fills.rejected,
        read={name: rows for name, rows in folder.rows.items() if name == "positions_report"},
        **_known(folder, parameters, None if orders is None else orders.ttl_ns),
    )


_OF_REPORTS = {"submit_ns": "native", "live_ns": "derived", "end_ns": "native"}


def _known(folder: _Folder, parameters: Parameters, ttl_ns: int | str | None) -> dict[str, Any]:
    """What the run parameters say, and the life span that the orders themselves state."""
    options = parameters.options
    profile = profile_of(parameters)
    dials: dict[str, Any] = {} if profile else dict(_IN_EVERY_MODE)
    for dial, name in (("latency_ns", "lat_ins"), ("cancel_latency_ns", "lat_can")):
        milliseconds = parameters.whole(options, name)
        if milliseconds is not None:
            dials[dial] = milliseconds * NS_OF_MS
    if ttl_ns is not None:
        dials["ttl_ns"] = None if ttl_ns == "none" else ttl_ns
    return {
        "engine": ENGINE,
        "version": parameters.version,
        "name": parameters.variant or folder.path.resolve().name,
        "profile": profile,
        "dials": dials,
        "documented": documented_by(parameters) if profile else {},
        "exit_code": parameters.whole(parameters.values, "rc"),
        "inputs": {**folder.inputs, **parameters.inputs},
    }


_IN_EVERY_MODE = {"initial_position_lots": 0, "position_cap_lots": None, "cap_action": "rest"}
"""A run starts without positions, and the venue knows no cap on them
(https://nautilustrader.io/docs/latest/concepts/backtesting/apis-and-runs/ and /accounts-and-margin/)."""


def profile_of(parameters: Parameters) -> str | None:
    """The preset of the version and mode that the parameters name; None where no profile knows it."""
    options = parameters.options
    version = _version(parameters)
    if parameters.engine != ENGINE or version is None:
        return None
    book, quotes = str(options.get("book", "")).partition("_")[0].upper(), bool(options.get("quotes"))
    trades = bool(options.get("trade_exec") and options.get("trades"))
    if options.get("bars"):  # prices of bars among quotes and trades: nobody can say which of them filled
        return "nautilus-bars" if book == "L1" and not (quotes or options.get("trades")) else None
    if not trades:
        return "nautilus-quotes" if book == "L1" and quotes else None
    return _PROFILES.get((book, quotes, *_tracking(options, parameters.file), version < _TRANSIENT_OVERRIDE))


def documented_by(parameters: Parameters) -> dict[str, str]:
    """The deviations that a fill model with chance makes documented, each with its source."""
    options, version = parameters.options, _version(parameters)
    found: dict[str, str] = {}
    if _probability(options, "prob_limit", 1, parameters.file) < 1:
        found |= dict.fromkeys(("crossed_orders_fill.at_limit", "priority_is_respected.at_limit"), _TOUCHED)
    slips = _probability(options, "prob_slip", 0, parameters.file) > 0
    # up to 1.221 only orders of a market type slip, and those are no limit orders
    if slips and str(options.get("book", "")).upper().startswith("L1") and (version or (0,)) >= _TRANSIENT_OVERRIDE:
        found |= dict.fromkeys(("fill_respects_limit.slipped", "fill_price_equals_limit.slipped"), _SLIPPED)
    return found


_TOUCHED = (
    "https://nautilustrader.io/docs/latest/concepts/backtesting/fill-models/ (prob_fill_on_limit): chance decides "
    "whether an order fills that the market touches but does not cross"
)
_SLIPPED = (
    "https://nautilustrader.io/docs/latest/concepts/backtesting/fill-models/ (prob_slippage): on L1 every fill, "
    "of a maker too, may be moved one tick against the order"
)


def _version(parameters: Parameters) -> tuple[int, int] | None:
    found = re.match(r"(\d{1,6})\.(\d{1,6})", parameters.version, re.ASCII)
    return None if found is None else (int(found[1]), int(found[2]))


def _probability(options: Mapping[str, Any], name: str, default: float, file: str) -> float:
    value = options.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or not 0 <= value <= 1:
        raise InputError(file=file, field=name, got=value, wanted="a number from 0 to 1")
    return float(value)


def _tracking(options: Mapping[str, Any], file: str) -> tuple[bool, bool]:
    extra = options.get("extra", {})
    if not isinstance(extra, Mapping):
        raise InputError(file=file, field="extra", got=extra, wanted="a JSON object")
    return bool(extra.get("queue_position")), bool(extra.get("liquidity_consumption"))


_PROFILES = {
    ("L1", True, False, False, False): "nautilus-l1",
    ("L1", True, False, False, True): "nautilus-l1-1.221",
    ("L1", True, True, False, False): "nautilus-l1-queue-position",
    ("L1", True, False, True, False): "nautilus-l1-liquidity",
    ("L1", True, True, True, False): "nautilus-l1-queue",
    ("L1", False, False, False, False): "nautilus-trades",
    ("L1", False, False, False, True): "nautilus-trades-1.221",
    ("L2", False, False, False, False): "nautilus-l2",
    ("L2", False, False, False, True): "nautilus-l2-1.221",
    ("L2", False, True, False, False): "nautilus-l2-queue-position",
    ("L2", False, False, True, False): "nautilus-l2-liquidity",
    ("L2", False, True, True, False): "nautilus-l2-queue",
}
"""(book, quotes, queue position, liquidity consumption, before trades filled what they cross) -> preset."""
