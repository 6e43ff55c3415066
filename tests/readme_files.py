"""The files that the README's commands are run on: a tape, what an engine wrote of it, a table of fills."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

MS = 10**6
TAPE = """ns,price,size,side
0,100,1,buy
1000000000,99,1,sell
4000000000,101,2,buy
4300000000,98,2,sell
9000000000,101,1,buy
9400000000,99,5,sell
"""
EXECUTIONS = """when,px,amount,way,oid
1000,99,1,B,7
4000,101,0.5,S,8
"""
SENT = """order_id,side,at,milli,end
7,L,0.5,1000,done
8,sell,1,500,
"""
META = {
    "engine": "nautilus_trader",
    "version": "1.231.0",
    "opt": {"book": "L1", "quotes": True, "trades": True, "trade_exec": True, "lat_ins": 300, "lat_can": 200},
}


def write_readme_files(folder: Path) -> None:
    """Everything that a block of the README names and does not make itself."""
    (folder / "tape.csv").write_text(TAPE, encoding="utf-8")
    (folder / "executions.csv").write_text(EXECUTIONS, encoding="utf-8")
    (folder / "sent.csv.gz").write_bytes(gzip.compress(SENT.encode()))
    (folder / "engine").mkdir()
    lines = "".join(json.dumps(event) + "\n" for event in _events())
    (folder / "engine" / "order_events.jsonl").write_text(lines, encoding="utf-8")
    (folder / "engine" / "meta.json").write_text(json.dumps(META), encoding="utf-8")


def _events() -> list[dict[str, Any]]:
    """A buy that fills after its cancel was due, one that was accepted too late for a trade, a sell left alone."""
    return [
        *_sent("a", "BUY", "98", "2", accepted_ms=300, cancel_ms=4000),
        _filled("a", "BUY", "98", "2", 4300),
        _event("OrderCancelRejected", "a", 4300),
        *_sent("b", "BUY", "99", "1", accepted_ms=1100, cancel_ms=2000),
        _event("OrderCanceled", "b", 2200),
        *_sent("c", "SELL", "102", "1", accepted_ms=300, cancel_ms=5000),
        _event("OrderCanceled", "c", 5200),
    ]


def _event(kind: str, order: str, ms: int, **more: Any) -> dict[str, Any]:
    """An event as NautilusTrader's ``to_dict`` gives it, cut down to what is read."""
    who = {"trader_id": "T-1", "instrument_id": "X", "client_order_id": order, "event_id": f"{kind}-{order}"}
    return {"type": kind, **who, "ts_event": ms * MS, "ts_init": ms * MS, **more}


def _sent(order: str, side: str, price: str, size: str, *, accepted_ms: int, cancel_ms: int) -> list[dict[str, Any]]:
    terms = {"order_side": side, "order_type": "LIMIT", "quantity": size, "quote_quantity": False}
    return [
        _event("OrderInitialized", order, 0, **terms, time_in_force="GTC", options={"price": price}),
        _event("OrderSubmitted", order, 0),
        _event("OrderAccepted", order, accepted_ms),
        _event("OrderPendingCancel", order, cancel_ms),
    ]


def _filled(order: str, side: str, price: str, size: str, ms: int) -> dict[str, Any]:
    what = {"order_side": side, "last_qty": size, "last_px": price, "trade_id": "T-1", "order_type": "LIMIT"}
    return _event("OrderFilled", order, ms, **what, commission="0 JPY", currency="JPY", liquidity_side="MAKER")
