"""Order events of NautilusTrader, one JSON object a line, folded into orders and fills.

Each line is an event as ``to_dict`` of its class gives it. Lines of one order stand in the order in
which they happened; the orders may follow each other (the events come out of the engine grouped by
order), so fills are put in order of time, and at one instant by the counter that ends the trade id.

- submit: ``OrderSubmitted``; live: ``OrderAccepted``; cancel: the first ``OrderPendingCancel`` that
  was not rejected while the order was open; end: ``OrderCanceled``, ``OrderExpired``,
  ``OrderRejected``, ``OrderDenied`` (at once: its submit is its initialization), else the fill
  after which nothing is left, else the order is open.
- An order that is not a plain ``LIMIT`` order with a fixed price and size (another type, emulated,
  sized in quote currency, changed by ``OrderUpdated``) is left out with its fills, and counted: an order
  has one limit and one size here, and a half-truth would be a wrong verdict.
- A repeated event or trade id is a rejected row, as is an event of an order that never began.

The events and their fields: https://nautilustrader.io/docs/latest/concepts/events/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from invariants.readers.nautilus_rows import FILL_COLUMNS, LIMIT, Row, fee_of, frame_of, number_or_none
from invariants.readers.tables import check_lines, gunzip
from invariants.strictjson import check_object, parse
from simcore import pandas_later as pd
from simcore.run import Rejected

TABLE = "order_events"
BOM = b"\xef\xbb\xbf"

ENDS = {"OrderCanceled": "cancelled", "OrderExpired": "expired", "OrderRejected": "rejected", "OrderDenied": "rejected"}
NO_CHANGE = ("OrderPendingUpdate", "OrderModifyRejected")
NOT_AT_THE_VENUE = ("OrderEmulated", "OrderReleased", "OrderTriggered")

ORDER_COLUMNS = ("order_id", "side", "price", "size", "submit_ns", "live_ns", "cancel_ns", "end_ns", "end", "row")


@dataclass(slots=True)
class Life:
    """What became of one order; ``left`` is None where its size is no number."""

    row: int
    order_id: str
    side: str
    price: Any
    size: Any
    began_ns: int
    left: Decimal | None
    expire_ns: int = 0
    submit_ns: int | None = None
    live_ns: int | None = None
    cancel_ns: int | None = None
    end_ns: int | None = None
    end: str = ""
    filled_ns: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether the venue could still fill it."""
        return not self.end and (self.left is None or self.left > 0)

    def record(self) -> tuple[Any, ...]:
        """The row of the orders' table."""
        end, end_ns = self.end, self.end_ns
        if not end:
            end, end_ns = ("open", None) if self.is_open else ("filled", self.filled_ns)
        return (
            self.order_id, self.side, self.price, self.size, self.submit_ns,
            self.live_ns, self.cancel_ns, end_ns, end, self.row,
        )  # fmt: skip


@dataclass(slots=True)
class History:
    """All events of a file, folded. ``refused_cancels`` counts requests that the venue refused.

    ``others`` are the orders that are left out, by id, each with its kind; ``other_fills`` the orders of their fills.
    """

    file: str
    lives: list[Life] = field(default_factory=list)
    fills: list[tuple[Any, ...]] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    read: int = 0
    last_ns: int | None = None
    refused_cancels: int = 0
    others: dict[str, str] = field(default_factory=dict)
    other_fills: list[str] = field(default_factory=list)
    _now: dict[str, Life] = field(default_factory=dict)
    _ids: set[tuple[str, str]] = field(default_factory=set)
    _instrument: str = ""

    def take(self, event: Row) -> None:
        """Fold one event. Raises ``InputError``."""
        self.read += 1
        kind = event.text("type")
        if kind not in _FOLDS:
            raise event.refused("type", f"one of {', '.join(_FOLDS)}")
        self._check_instrument(event)
        self.last_ns = max(self.last_ns or 0, event.ns())
        named = "event_id" in event.cells  # a random UUID, which some leave out to compare two runs
        if (named and self._seen("event_id", event)) or (kind == "OrderFilled" and self._seen("trade_id", event)):
            return
        life = self._now.get(event.text("client_order_id"))
        if event.cells["client_order_id"] in self.others and kind != "OrderInitialized":
            self.other_fills += [event.cells["client_order_id"]] if kind == "OrderFilled" else []
            return
        if life is None and kind not in ("OrderInitialized", "OrderFilled"):
            self._reject(event, "client_order_id", "the id of an order that was initialized")
            return
        _FOLDS[kind](self, event, life)

    def finish(self) -> None:
        """Leave out the orders that cannot be judged, and reject those that never left the strategy."""
        self.lives = [life for life in self.lives if life.order_id not in self.others]
        self.other_fills += [record[1] for _, record in self.fills if record[1] in self.others]
        self.fills = [fill for fill in self.fills if fill[1][1] not in self.others]
        for life in self.lives:
            if life.submit_ns is None:
                wanted = "an order that was submitted or denied"
                row = Rejected(
                    TABLE, self.file, life.row, "client_order_id", life.order_id, wanted, "orders_are_conserved"
                )
                self.rejected.append(row)

    def orders_frame(self) -> pd.DataFrame:
        """The orders, in the order of their submission."""
        sent = [life for life in self.lives if life.submit_ns is not None]
        sent.sort(key=lambda life: life.submit_ns or 0)
        return frame_of(ORDER_COLUMNS, [life.record() for life in sent])

    def fills_frame(self) -> pd.DataFrame:
        """The fills, in order of time."""
        return frame_of(FILL_COLUMNS, [record for _, record in sorted(self.fills, key=lambda fill: fill[0])])

    def ttl_ns(self) -> int | str | None:
        """The one age at which every order expired by itself; "none" if none did; None if they differ."""
        ages = {life.expire_ns - (life.submit_ns or life.began_ns) if life.expire_ns else 0 for life in self.lives}
        if ages <= {0}:
            return "none"
        age = ages.pop()
        return age if not ages and age > 0 else None

    def _check_instrument(self, event: Row) -> None:
        name = event.text("instrument_id")
        self._instrument = self._instrument or name
        if name != self._instrument:
            raise event.refused("instrument_id", f"one instrument in a run: {self._instrument}")

    def _seen(self, name: str, event: Row) -> bool:
        """Whether the id was used before; the row is then rejected."""
        key = (name, event.text(name))
        if key not in self._ids:
            self._ids.add(key)
            return False
        self._reject(event, name, f"an {'execution' if name == 'trade_id' else 'event'} id never used before")
        return True

    def _reject(self, event: Row, name: str, wanted: str) -> None:
        law = "orders_are_conserved" if name == "client_order_id" else "values_are_valid"
        self.rejected.append(Rejected(TABLE, self.file, event.number, name, event.cells[name], wanted, law))

    def begin(self, event: Row, _: Life | None) -> None:
        """A new order; a second one of the same id stands beside the first."""
        kind = event.text("order_type")
        if kind != LIMIT or event.cells.get("quote_quantity"):
            self._leave_out(event, kind if kind != LIMIT else "LIMIT sized in quote currency")
            return
        options = check_object(event.cells.get("options"), file=event.file, row=event.number, field="options")
        inner = Row(event.file, event.number, options)
        life = Life(
            event.number,
            event.text("client_order_id"),
            event.text("order_side"),
            inner.amount("price"),
            event.amount("quantity"),
            event.ns(),
            left=number_or_none(event.cells["quantity"]),
            expire_ns=inner.ns("expire_time_ns") if options.get("expire_time_ns") is not None else 0,
        )
        self.lives.append(life)
        self._now[life.order_id] = life

    def send(self, event: Row, life: Life) -> None:
        """The order left for the venue."""
        life.submit_ns = event.ns() if life.submit_ns is None else life.submit_ns

    def accept(self, event: Row, life: Life) -> None:
        """The order rests at the venue."""
        life.live_ns = event.ns() if life.live_ns is None else life.live_ns

    def ask_to_cancel(self, event: Row, life: Life) -> None:
        """A request to cancel was sent."""
        life.cancel_ns = event.ns() if life.cancel_ns is None else life.cancel_ns

    def refuse_to_cancel(self, _: Row, life: Life) -> None:
        """The venue knows no such order; of an order that is open the request was void."""
        self.refused_cancels += 1
        if life.is_open:
            life.cancel_ns = None

    def close(self, event: Row, life: Life) -> None:
        """The venue, or the engine's own risk check, ended the order."""
        life.end, life.end_ns = ENDS[event.cells["type"]], event.ns()
        if event.cells["type"] == "OrderDenied":
            life.submit_ns = life.began_ns if life.submit_ns is None else life.submit_ns

    def change(self, event: Row, life: Life) -> None:
        """A change of price or size cannot be told in one row; one that changes neither is nothing."""
        for name, now in (("price", life.price), ("quantity", life.size)):
            value = event.cells.get(name)
            if value is not None and number_or_none(value) != number_or_none(now):
                self._leave_out(event, "LIMIT that was modified")

    def leave(self, event: Row, life: Life) -> None:
        """Nothing that a run tells of."""

    def refuse(self, event: Row, _: Life) -> None:
        """The order was held back, or triggered: it did not simply rest at the venue."""
        self._leave_out(event, "LIMIT that did not rest at the venue from its submit on")

    def _leave_out(self, event: Row, kind: str) -> None:
        self.others[event.text("client_order_id")] = kind

    def fill(self, event: Row, life: Life | None) -> None:
        """An execution; its order may be unknown, which the laws say."""
        if life is None and event.text("order_type") != LIMIT:
            self._leave_out(event, event.text("order_type"))
            self.other_fills.append(event.text("client_order_id"))
            return
        event.check_limit("order_type")
        ns, size = event.ns(), event.amount("last_qty")
        order_id, side = event.text("client_order_id"), event.text("order_side")
        record = (ns, order_id, side, event.amount("last_px"), size, fee_of(event), event.number)
        self.fills.append((event.place(ns), record))
        number = number_or_none(size)
        if life is not None and life.left is not None and number is not None:
            life.left -= number
            life.filled_ns = ns


_FOLDS: dict[str, Callable[[History, Row, Any], None]] = {
    "OrderInitialized": History.begin,
    "OrderSubmitted": History.send,
    "OrderAccepted": History.accept,
    "OrderPendingCancel": History.ask_to_cancel,
    "OrderCancelRejected": History.refuse_to_cancel,
    "OrderFilled": History.fill,
    "OrderUpdated": History.change,
    **dict.fromkeys(ENDS, History.close),
    **dict.fromkeys(NO_CHANGE, History.leave),
    **dict.fromkeys(NOT_AT_THE_VENUE, History.refuse),
}


def fold_events(data: bytes, *, file: str) -> History:
    """The history in the lines of ``data``, which may be packed. Raises ``InputError``."""
    history = History(file)
    plain = _unpacked(data, file)
    check_lines(plain, file=file)
    for event in _events(plain, file):
        history.take(event)
    history.finish()
    return history


def _unpacked(data: bytes, file: str) -> bytes:
    return gunzip(data, file=file) if data[:2] == b"\x1f\x8b" else data


def _events(data: bytes, file: str) -> Iterable[Row]:
    for row, line in enumerate(data.removeprefix(BOM).split(b"\n"), 1):
        if line and not line.isspace():
            values = check_object(parse(line, file=file, row=row, field="line"), file=file, row=row)
            yield Row(file, row, values)
