"""NautilusTrader: the order events of a back-test, or its reports of orders and fills.

A folder with ``order_events.jsonl`` (``.gz``; see ``nautilus_events``), or with what
``engine.trader.generate_orders_report()`` and ``generate_fills_report()`` wrote, as ``orders`` and
``fills`` (``.parquet``, ``.csv``, ``.csv.gz``; Parquet first). Events are read where both are there,
and the reports of orders, fills and ``positions`` then give totals: counts, turnover, fees, final
position. Reports alone know neither when an order was accepted nor when a cancel was requested, and
show price and size of an order as they were last.

``meta.json`` beside them says what no report does. ``version``, and in ``opt``: ``book`` (L1, L2,
L3), ``quotes``, ``trades``, ``bars``, ``trade_exec``, ``prob_limit``, ``prob_slip``, ``lat_ins`` and
``lat_can`` (milliseconds from the decision to the venue), and in ``extra`` ``queue_position`` and
``liquidity_consumption``. They choose the profile; without them every dial is undeclared.

The reports: https://nautilustrader.io/docs/latest/concepts/reports/
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from invariants.readers.engine_run import Output, run_of
from invariants.readers.nautilus_events import TABLE, fold_events
from invariants.readers.nautilus_reports import fills_of, nothing_of, orders_of, totals_of
from invariants.readers.parameters import Parameters, parameters_of
from invariants.readers.sources import Sources
from invariants.readers.tables import SUFFIXES, frame_from_bytes
from invariants.readers.tape import Tape
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
    if not file.name.endswith(SUFFIXES):
        return False
    if not file.name.endswith(".parquet"):
        return frozenset(_head(file).decode("utf-8-sig", "replace").strip().split(",")) >= _REPORT
    try:
        return frozenset(pq.read_schema(file).names) >= _REPORT
    except (OSError, ValueError, pa.ArrowException):
        return False


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
        try:
            data = file.read_bytes()
        except OSError as error:
            raise InputError(file=str(file), field="file", got=error.strerror, wanted="a readable file") from None
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
    return run_of(output, rules=rules, tape=tape)


def _from_events(folder: _Folder, parameters: Parameters) -> Output:
    assert folder.events is not None, "the caller saw them"
    file = str(folder.events)
    history = fold_events(folder.data(folder.events), file=file)
    reported = totals_of(
        orders=folder.report("orders", orders_of),
        fills=folder.report("fills", fills_of),
        positions=folder.report("positions", lambda frame, **_: frame),
        files=folder.files,
    )
    reported["unjudged.refused_cancels"] = history.refused_cancels
    tables = dict.fromkeys(("orders", "fills", TABLE), file)
    return Output(
        fills=history.fills_frame(),
        orders=history.orders_frame(),
        provenance=dict.fromkeys(("submit_ns", "live_ns", "cancel_ns", "end_ns"), "native"),
        reported=reported,
        last_event_ns=history.last_ns,
        files={**tables, "reported": folder.files.get("orders", folder.files.get("fills", file))},
        rejected=tuple(history.rejected),
        read={TABLE: history.read, **folder.rows},
        **_known(folder, parameters, history.ttl_ns()),
    )


def _from_reports(folder: _Folder, parameters: Parameters) -> Output:
    fills, orders = folder.report("fills", fills_of), folder.report("orders", orders_of)
    if fills is None:
        wanted = f"{EVENTS[0]}, or fills{SUFFIXES[0]} or fills{SUFFIXES[1]}"
        raise InputError(file=str(folder.path), field="fills", got="nothing", wanted=wanted)
    positions = folder.report("positions", lambda frame, **_: frame)
    return Output(
        fills=fills.frame,
        orders=None if orders is None else orders.frame,
        provenance={"submit_ns": "native", "end_ns": "native"} if orders is not None else {},
        reported=totals_of(orders=None, fills=None, positions=positions, files=folder.files),
        files={**folder.files, "reported": folder.files.get("positions", "reported")},
        rejected=fills.rejected,
        read={name: rows for name, rows in folder.rows.items() if name == "positions_report"},
        **_known(folder, parameters, None if orders is None else orders.ttl_ns),
    )


def _known(folder: _Folder, parameters: Parameters, ttl_ns: int | str | None) -> dict[str, Any]:
    """What the run parameters say, and the life span that the orders themselves state."""
    options = parameters.options
    dials: dict[str, Any] = {}
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
        "profile": profile_of(parameters),
        "dials": dials,
        "exit_code": parameters.whole(parameters.values, "rc"),
        "inputs": {**folder.inputs, **parameters.inputs},
    }


def profile_of(parameters: Parameters) -> str | None:
    """The preset of the version and mode that the parameters name; None where no profile knows it."""
    options = parameters.options
    version = re.match(r"(\d+)\.(\d+)", parameters.version)
    random = options.get("prob_limit", 1) != 1 or options.get("prob_slip", 0) != 0
    if parameters.engine != ENGINE or version is None or random or options.get("bars"):
        return None
    book = str(options.get("book", "")).partition("_")[0].upper()
    if not options.get("trade_exec") or not options.get("trades"):
        return "nautilus-quotes" if book == "L1" and options.get("quotes") else None
    before = (int(version[1]), int(version[2])) < _TRANSIENT_OVERRIDE
    return _PROFILES.get((book, bool(options.get("quotes")), *_tracking(options, parameters.file), before))


def _tracking(options: Mapping[str, Any], file: str) -> tuple[bool, bool]:
    extra = options.get("extra", {})
    if not isinstance(extra, Mapping):
        raise InputError(file=file, field="extra", got=extra, wanted="a JSON object")
    return bool(extra.get("queue_position")), bool(extra.get("liquidity_consumption"))


_PROFILES = {
    ("L1", True, False, False, False): "nautilus-l1",
    ("L1", True, False, False, True): "nautilus-l1-1.221",
    ("L1", False, False, False, False): "nautilus-trades",
    ("L1", False, False, False, True): "nautilus-trades-1.221",
    ("L2", False, False, False, False): "nautilus-l2",
    ("L2", False, True, True, False): "nautilus-l2-queue",
}
"""(book, quotes, queue position, liquidity consumption, before trades filled what they cross) -> preset."""
