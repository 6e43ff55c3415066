"""A run to its bundle: exact, and all of it or nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import fields as fields_of
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tomli_w

from invariants.readers.bundle_head import FORMAT, TABLES
from invariants.readers.tables import SUFFIXES
from simcore import InputError, Instrument, Run
from simcore.errors import shorten
from simcore.frames import UNJUDGED
from simcore.grid import Ints, Step
from simcore.run import ABSENT, Ids, Objects, Rejected
from simcore.units import EXACT, INT64_MAX


def write_bundle(run: Run, path: str | Path) -> None:
    """Write ``run`` to the folder ``path``, all of it or nothing.

    An older bundle there is replaced; any other folder is refused, and so is a bundle with
    foreign files in it. Raises ``InputError``.
    """
    target = Path(path)
    if run.claims:
        wanted = "a run: a bundle has no place for claims, which are audited as they are"
        raise InputError(file=str(target), field="claims", got=f"{len(run.claims)} published figures", wanted=wanted)
    for at in np.flatnonzero(run.orders.submit_ns == ABSENT)[:1]:
        wanted = "a time: a bundle has no place for orders that were submitted nobody knows when"
        raise InputError(file=str(target), row=int(run.orders.row[at]), field="submit_ns", got=None, wanted=wanted)
    for table, rows in (("orders", run.orders), ("fills", run.fills)):
        names = rows.order_id.tolist()
        if "" in names:
            row, wanted = int(rows.row[names.index("")]), "an id: in a bundle an empty text is none"
            raise InputError(file=str(target), row=row, field=f"{table}.order_id", got="", wanted=wanted)
    _check_target(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
            _write(run, target, Path(scratch))
    except OSError as error:
        # Arrow's errors say where it wrote, and then what the system said
        got = (error.strerror or str(error)).rpartition("] ")[2]
        raise InputError(file=str(target), field="folder", got=got, wanted="a place that can be written") from None
    except UnicodeEncodeError as error:
        raise InputError(file=str(target), field="text", got=ascii(error.object), wanted="text in UTF-8") from None


def _write(run: Run, target: Path, scratch: Path) -> None:
    """Write beside ``target``, and move it there."""
    new = scratch / "new"
    new.mkdir()
    for table, arrow in tables_of(run).items():
        pq.write_table(arrow, new / f"{table}.parquet", compression="zstd")
    (new / "run.toml").write_text(tomli_w.dumps(head_dict(run)), encoding="utf-8")
    if target.exists():
        target.rename(scratch / "old")
    try:
        new.rename(target)
    except OSError:
        if (scratch / "old").exists():
            (scratch / "old").rename(target)
        raise


def _check_target(target: Path) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise InputError(file=str(target), field="folder", got="a file", wanted="a new folder, or an older bundle")
    mine = {"run.toml", *(f"{table}{suffix}" for table in TABLES for suffix in SUFFIXES)}
    names = sorted(file.name for file in target.iterdir())
    # tables without a head are no bundle of ours: somebody's tape, perhaps the very one that was read
    foreign = [name for name in names if name not in mine or "run.toml" not in names]
    if foreign:
        wanted = "a new folder, or one with nothing but an older bundle in it"
        raise InputError(file=str(target), field="folder", got=foreign[0], wanted=wanted)


def head_dict(run: Run) -> dict[str, Any]:
    """``run.toml`` as plain values."""
    known = {key: value for key, value in run.reported.items() if not key.startswith(UNJUDGED)}
    unjudged = {k.removeprefix(UNJUDGED): str(v) for k, v in run.reported.items() if k.startswith(UNJUDGED)}
    # a figure stays a figure, and what was none becomes a text again
    figures = {k: Decimal(v) if Decimal(v).is_finite() else v for k, v in unjudged.items()}
    ends = {"end_ns": run.end_ns, "last_event_ns": run.last_event_ns, "exit_code": run.exit_code}
    by = {"engine": run.engine, "engine_version": run.engine_version}
    rules = {key: "none" if value is None else value for key, value in run.rules.to_dict().items()}
    return {
        "format": FORMAT,
        "name": run.name,
        "instrument": {"tick_size": str(run.instrument.tick_size), "lot_size": str(run.instrument.lot_size)},
        "rules": rules,
        "run": {key: value for key, value in {**ends, **by}.items() if value not in (None, "")},
        "provenance": dict(run.provenance),
        "reported": {**{k: str(v) for k, v in known.items()}, **({"unjudged": figures} if figures else {})},
        "rejected": [{**_as_dict(row), "got": _text_of(row.got)} for row in run.rejected],
    }


def _as_dict(row: Rejected) -> Mapping[str, Any]:
    return {f.name: getattr(row, f.name) for f in fields_of(row)}


def _text_of(got: Any) -> str:
    return got if isinstance(got, str) and len(got) <= 120 else shorten(got)


def tables_of(run: Run) -> dict[str, Any]:
    """The tables of ``run`` in native units, as Arrow."""
    tick, lot = Step.of(run.instrument.tick_size, "tick_size"), Step.of(run.instrument.lot_size, "lot_size")
    t, q, o, f, p = run.trades, run.tops, run.orders, run.fills, run.positions
    odd_orders, odd_fills = _are_mixed(o.order_id), _are_mixed(f.order_id)
    tables = {
        "orders": _arrow(
            {
                "order_id": _ids(o.order_id, quoted=odd_orders),
                "side": _side(o.side),
                "price": _native(o.price_ticks, tick),
                "size": _native(o.size_lots, lot),
                "submit_ns": pa.array(o.submit_ns),
                "live_ns": _nullable(o.live_ns),
                "cancel_ns": _nullable(o.cancel_ns),
                "end_ns": _nullable(o.end_ns),
                "end": pa.array(o.end_words, pa.string()),
            },
            quoted=odd_orders,
        ),
        "fills": _arrow(
            {
                "ns": pa.array(f.ns),
                "ns_to": pa.array(f.ns_to),
                "order_id": _ids(f.order_id, quoted=odd_fills),
                "side": _side(f.side),
                "price": _native(f.price_ticks, tick),
                "size": _native(f.size_lots, lot),
                "trade_seq": _nullable(f.trade_seq),
                "fee": _fees(f.fee, run.instrument),
            },
            quoted=odd_fills,
        ),
    }
    if not len(o) and "orders" not in run.read:
        del tables["orders"]  # none were given: an empty table would say that there were none
    if run.has_tape:
        tables["tape"] = _arrow(
            {
                "ns": pa.array(t.ns),
                "price": _native(t.price_ticks, tick),
                "size": _native(t.size_lots, lot),
                "aggressor": _side(t.aggressor),
                "seq": pa.array(t.seq),
            }
        )
    if len(q):
        tables["quotes"] = _arrow(
            {
                "ns": pa.array(q.ns),
                "bid": _native(q.bid_ticks, tick),
                "bid_size": _native(q.bid_lots, lot),
                "ask": _native(q.ask_ticks, tick),
                "ask_size": _native(q.ask_lots, lot),
            }
        )
    if len(p):
        tables["positions"] = _arrow({"ns": pa.array(p.ns), "position": _native(p.position_lots, lot)})
    return tables


def _arrow(columns: dict[str, Any], *, quoted: bool = False) -> Any:
    """Columns as a table; ``quoted`` ids are texts behind a quote, and the column says so."""
    marks = {"order_id": {"text": "quoted"}} if quoted else {}
    fields = [pa.field(name, array.type, metadata=marks.get(name)) for name, array in columns.items()]
    return pa.table(list(columns.values()), schema=pa.schema(fields))


def _are_mixed(ids: Ids) -> bool:
    """Whether neither an int64 nor a text column can hold these ids."""
    listed = ids.tolist()
    whole = [isinstance(name, int) for name in listed]
    return any(whole) and not (all(whole) and all(abs(name) <= INT64_MAX for name in listed))


def _ids(ids: Ids, *, quoted: bool) -> Any:
    if quoted:
        return pa.array([f"'{name}" if isinstance(name, str) else str(name) for name in ids.tolist()], pa.string())
    texts = len(ids) and isinstance(ids[0], str)
    return pa.array(ids.tolist(), pa.string() if texts else pa.int64())


def _side(sides: Ints) -> Any:
    return pa.array(sides.astype(np.int8))


def _nullable(values: Ints) -> Any:
    return pa.array(values, mask=values == ABSENT)


def _native(counts: Ints, step: Step) -> Any:
    """Whole steps as decimals: 128-bit where they fit, text where not."""
    largest = max(abs(int(counts.max(initial=0))), abs(int(counts.min(initial=0))))
    if step.decimals > 37 or largest * step.numerator > INT64_MAX:
        with localcontext(EXACT):
            return pa.array([format(int(count) * step.size, "f") for count in counts], pa.string())
    unscaled = counts * step.numerator
    halves = np.stack([unscaled, unscaled >> 63], axis=1)  # low and high words, two's complement
    buffers = [None, pa.py_buffer(np.ascontiguousarray(halves))]
    return pa.Array.from_buffers(pa.decimal128(38, step.decimals), len(counts), buffers)


def _fees(fees: Objects, instrument: Instrument) -> Any:
    texts = [None if fee is None else format(instrument.notional(fee), "f") for fee in fees]
    return pa.array(texts, pa.string())
