"""Which submit a marker without an id belongs to, and how every order ended."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from invariants.readers.marker_lines import name_of
from simcore import OrderId, Rules
from simcore import pandas_later as pd
from simcore.grid import number_of

if TYPE_CHECKING:
    from invariants.readers.marker_lines import Marker

EXPIRY = ("ttl", "expir")
"""What the reason of a cancel that is an expiry contains."""


def is_expiry(reason: str) -> bool:
    """Whether a cancel with this reason is the end of the order, not a request."""
    return any(word in reason.casefold() for word in EXPIRY)


@dataclass(slots=True)
class _Order:
    marker: Marker
    order_id: OrderId
    leaves: Decimal | None
    cancel_ns: int | None = None
    expired_ns: int | None = None
    filled_ns: int | None = None
    is_over: bool = False


@dataclass(slots=True)
class _Level:
    """The orders of one side and price: open within their life, open past it, and filled."""

    live: deque[_Order] = field(default_factory=deque)
    past: deque[_Order] = field(default_factory=deque)
    filled: list[_Order] = field(default_factory=list)


class Book:
    """The submits so far, and what became of them. ``take`` every marker in the order of the file."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._ttl_ns = rules.ttl_ns if rules.declares("ttl_ns") else None
        self._is_whole = rules.sizing == "whole" or not rules.declares("sizing")
        self._improves = rules.declares("pricing") and rules.pricing == "improve"
        self._all: list[_Order] = []
        self._known: dict[OrderId, _Order] = {}
        self._levels: dict[tuple[int, Any], _Level] = defaultdict(_Level)
        self._fills: list[tuple[Marker, OrderId]] = []
        self.unmatched: list[Marker] = []
        self.guessed = False
        """Whether some end was computed from the declared ttl (after ``orders``)."""

    def take(self, marker: Marker) -> Marker | None:
        """Enter one marker, and answer the submit that it belongs to."""
        order = {"submit": self._submit, "cancel": self._cancel, "fill": self._fill}[marker.kind](marker)
        return None if order is None else order.marker

    def _submit(self, marker: Marker) -> _Order:
        name = marker.order_id if marker.order_id is not None else name_of(marker.row)
        order = _Order(marker, name, _number(marker.size))
        self._all.append(order)
        self._known.setdefault(name, order)
        self._levels[marker.side, _key(marker.price)].live.append(order)
        return order

    def _cancel(self, marker: Marker) -> _Order | None:
        expires = is_expiry(marker.reason)
        order = self._named(marker) if marker.order_id is not None else self._oldest(marker, is_fill=False)
        if order is None:
            self.unmatched.append(marker)
            return None
        if expires and order.expired_ns is None:
            order.expired_ns = marker.ns
        elif not expires and order.cancel_ns is None:
            order.cancel_ns = marker.ns
        order.is_over = True
        return order

    def _fill(self, marker: Marker) -> _Order | None:
        order = self._named(marker) if marker.order_id is not None else self._oldest(marker, is_fill=True)
        if order is None:
            name = marker.order_id if marker.order_id is not None else name_of(marker.row, matched=False)
            self._fills.append((marker, name))
            return None
        self._fills.append((marker, order.order_id))
        size = _number(marker.size)
        order.filled_ns = marker.ns
        order.leaves = None if order.leaves is None or size is None else order.leaves - size
        if self._is_whole or order.leaves is None or order.leaves <= 0:
            order.is_over = True
            self._levels[order.marker.side, _key(order.marker.price)].filled.append(order)
        return order

    def _named(self, marker: Marker) -> _Order | None:
        return self._known.get(marker.order_id) if marker.order_id is not None else None

    def _oldest(self, marker: Marker, *, is_fill: bool) -> _Order | None:
        """The oldest open order that can be meant; one past its life only if no other is."""
        found = self._at(self._levels.get((marker.side, _key(marker.price))), marker, is_fill=is_fill)
        if found is None and is_fill and self._improves:
            better = (self._at(level, marker, is_fill=True) for level in self._within(marker))
            return next((order for order in better if order is not None), None)
        return found

    def _within(self, marker: Marker) -> list[_Level]:
        """The levels whose limit is worse for us than the price of this fill, the worst first."""
        price = _number(marker.price)
        sides = [key for key in self._levels if key[0] == marker.side and isinstance(key[1], Decimal)]
        reached = [] if price is None else [key for key in sides if key[0] * (key[1] - price) > 0]
        return [self._levels[key] for key in sorted(reached, key=lambda key: -key[0] * key[1])]

    def _at(self, level: _Level | None, marker: Marker, *, is_fill: bool) -> _Order | None:
        if level is None:
            return None
        self._age(level, marker.ns)
        for order in level.live:
            if not order.is_over and (order.marker.ns < marker.ns or (not is_fill and order.marker.ns == marker.ns)):
                return order
        past = [order for order in level.past if not order.is_over]
        level.past = deque(past)
        if is_fill:
            return past[-1] if past else None  # of the expired orders, the last is the likeliest to fill
        return past[0] if past else _take_filled(level)

    def _age(self, level: _Level, ns: int) -> None:
        while level.live and (level.live[0].is_over or self._is_past(level.live[0], ns)):
            order = level.live.popleft()
            if not order.is_over:
                level.past.append(order)

    def _is_past(self, order: _Order, ns: int) -> bool:
        if self._ttl_ns is None:
            return False
        age = ns - order.marker.ns
        tie_expires = not (self._rules.declares("expiry_tie") and self._rules.expiry_tie == "fill")
        return age > self._ttl_ns or (age == self._ttl_ns and tie_expires)

    def orders(self, last_ns: int | None) -> pd.DataFrame:
        """The orders, with how they ended up to ``last_ns``."""
        ends = [self._end(order, last_ns) for order in self._all]
        return _frame(
            {
                "order_id": [o.order_id for o in self._all],
                **_common([o.marker for o in self._all]),
                "submit_ns": [o.marker.ns for o in self._all],
                "cancel_ns": [o.cancel_ns for o in self._all],
                "end": [end for end, _ in ends],
                "end_ns": [ns for _, ns in ends],
            }
        )

    def fills(self) -> pd.DataFrame:
        """The fills, each with the id of its order, or an id that no order has."""
        markers = [marker for marker, _ in self._fills]
        return _frame({"order_id": [n for _, n in self._fills], **_common(markers), "ns": [m.ns for m in markers]})

    def _end(self, order: _Order, last_ns: int | None) -> tuple[str, int | None]:
        """Filled when nothing is left, else what came first: its expiry or the effect of its cancel."""
        if order.leaves == 0 and order.filled_ns is not None:
            return "filled", order.filled_ns
        latency_ns = self._rules.cancel_latency_ns if self._rules.declares("cancel_latency_ns") else 0
        effect_ns = None if order.cancel_ns is None else order.cancel_ns + latency_ns
        expiry_ns = order.expired_ns
        if expiry_ns is None and self._ttl_ns is not None and last_ns is not None:
            silent_ns = order.marker.ns + self._ttl_ns
            if silent_ns <= last_ns and (effect_ns is None or silent_ns < effect_ns):
                self.guessed, expiry_ns = True, silent_ns
        if expiry_ns is not None and (effect_ns is None or expiry_ns <= effect_ns):
            return "expired", expiry_ns
        if effect_ns is not None and last_ns is not None and effect_ns <= last_ns:
            return "cancelled", effect_ns
        return "open", None


def _take_filled(level: _Level) -> _Order | None:
    """The last filled order that nobody has cancelled yet: a cancel that came too late does nothing."""
    while level.filled:
        order = level.filled.pop()
        if order.cancel_ns is None:
            return order
    return None


def _common(markers: list[Marker]) -> dict[str, list[Any]]:
    return {name: [getattr(m, name) for m in markers] for name in ("row", "side", "price", "size")}


def _frame(columns: dict[str, list[Any]]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})


@lru_cache(maxsize=1 << 16)
def _number(value: Any) -> Decimal | None:
    """The number, None where it is none: whoever converts the column says so."""
    try:
        return number_of(value)
    except ValueError:
        return None


def _key(price: Any) -> Any:
    """Equal for equal prices, however they are written."""
    number = _number(price)
    return str(price) if number is None else number
