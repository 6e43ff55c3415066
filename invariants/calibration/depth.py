"""The book of orders (L3): the touch at every submit, and what stood ahead of each order.

Columns: a time, ``order_id``, ``action`` (created, changed, deleted), ``side`` (or ``book_side``:
bid or ask), ``price``, ``remaining``. An order of which only the end is known stood there from the
beginning. An order whose price is changed leaves its level and comes in last at the new one. Events of
an order that is gone already say nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

import numpy as np
import pandas as pd

from simcore import InputError, Instrument
from simcore.frames import Sheet
from simcore.grid import Step

NEEDED = ("order_id", "action", "price", "remaining")
TIMES = ("ns", "ts_ns", "timestamp_ns")
_SIDES = {"bid": "buy", "ask": "sell"}
ACTIONS = ("created", "changed", "deleted")


@dataclass(frozen=True, eq=False, slots=True)
class Place:
    """Where an order came in: the touch of its side and of the other (0: none), and the lots ahead of it.

    ``left`` are the lots that went from ahead of it without trading, and when.
    """

    own_ticks: int
    other_ticks: int
    ahead_lots: int
    left: list[tuple[int, int]] = field(default_factory=list)


@dataclass(slots=True)
class _Resting:
    side: int
    price_ticks: int
    lots: int
    place: Place | None


class _Book:
    """The live orders, by id and by level, each level in order of arrival."""

    def __init__(self) -> None:
        self._orders: dict[Any, _Resting] = {}
        self._levels: dict[tuple[int, int], dict[Any, _Resting]] = defaultdict(dict)
        self._heaps: dict[int, list[int]] = {1: [], -1: []}
        self.places: dict[Any, Place] = {}

    def _best(self, side: int) -> int:
        """The best price of ``side``, 0 where it is empty."""
        heap = self._heaps[side]
        while heap and not self._levels.get((side, -side * heap[0])):
            heappop(heap)
        return -side * heap[0] if heap else 0

    def enter(self, name: Any, side: int, price_ticks: int, lots: int, *, seen: bool) -> None:
        """An order comes in; ``seen``: while we were looking."""
        level = self._levels[side, price_ticks]
        place = None
        if seen:
            ahead_lots = sum(order.lots for order in level.values())
            place = self.places[name] = Place(self._best(side), self._best(-side), ahead_lots)
        self._orders[name] = level[name] = _Resting(side, price_ticks, lots, place)
        heappush(self._heaps[side], -side * price_ticks)

    def change(self, name: Any, price_ticks: int, lots: int, ns: int) -> None:
        """An order has ``lots`` left, at its old price or a new one."""
        order = self._orders.get(name)
        if order is not None and order.price_ticks != price_ticks:
            self.leave(name, order.lots, ns)
            self.enter(name, order.side, price_ticks, lots, seen=False)
        elif order is not None:
            order.lots = lots

    def leave(self, name: Any, lots: int, ns: int) -> None:
        """An order is gone with ``lots`` unfilled: so much less stands ahead of those behind it."""
        order = self._orders.pop(name, None)
        if order is None:
            return
        level = self._levels[order.side, order.price_ticks]
        names = list(level)
        for other in names[names.index(name) + 1 :] if lots > 0 else ():
            place = level[other].place
            if place is not None:
                place.left.append((ns, lots))
        del level[name]


@dataclass(frozen=True, eq=False, slots=True)
class Depth:
    """The place of every order whose beginning the events tell; ``rows`` were read, ``unusable`` of them not used."""

    places: dict[Any, Place]
    rows: int
    unusable: int


def is_events(columns: frozenset[str]) -> bool:
    """Whether a table of these columns holds the events of a book of orders."""
    return columns.issuperset(NEEDED)


def depth_of(frame: pd.DataFrame, instrument: Instrument, file: str) -> Depth:
    """Walk through the events. Raises ``InputError`` for one that cannot be read, or that goes back in time."""
    sheet = _sheet(frame, file)
    tick, lot = Step.of(instrument.tick_size, "tick_size"), Step.of(instrument.lot_size, "lot_size")
    ns = sheet.ints("ns")
    for at in np.flatnonzero(np.diff(ns) < 0)[:1]:
        wanted = f"no earlier than the row before, {ns[at]}"
        raise InputError(file=file, row=int(at) + 2, field="ns", got=int(ns[at + 1]), wanted=wanted)
    columns = (ns, sheet.ids(), sheet.sides(), sheet.counts("price", tick), sheet.counts("remaining", lot))
    impossible = np.flatnonzero((columns[3] <= 0) | (columns[4] < 0)).tolist()
    bad, actions = {*sheet.bad, *impossible}, _actions(sheet)
    book = _Book()
    rows = zip(actions, *(column.tolist() for column in columns), strict=True)
    events = [row for at, row in enumerate(rows) if at not in bad]
    for _, _, name, side, price_ticks, lots in _older(events):
        book.enter(name, side, price_ticks, lots, seen=False)
    for action, at_ns, name, side, price_ticks, lots in events:
        if action == "created":
            book.enter(name, side, price_ticks, lots, seen=True)
        elif action == "changed":
            book.change(name, price_ticks, lots, at_ns)
        else:
            book.leave(name, lots, at_ns)
    return Depth(book.places, len(frame), len(bad))


def _sheet(frame: pd.DataFrame, file: str) -> Sheet:
    time = next((name for name in TIMES if name in frame), None)
    renamed = frame.rename(columns={} if time is None else {time: "ns"})
    if "side" not in renamed and "book_side" in renamed:
        renamed["side"] = renamed["book_side"].map(lambda word: _SIDES.get(word, word))
    return Sheet(renamed, "events", file)


def _actions(sheet: Sheet) -> list[str]:
    words: list[str] = sheet.frame["action"].tolist()
    for at, word in enumerate(words):
        if word not in ACTIONS:
            raise InputError(
                file=sheet.file, row=int(sheet.rows[at]), field="action", got=word, wanted=" or ".join(ACTIONS)
            )
    return words


def _older(events: list[tuple[str, int, Any, int, int, int]]) -> Iterator[tuple[str, int, Any, int, int, int]]:
    """The first event of each order that nobody saw come in."""
    created = {event[2] for event in events if event[0] == "created"}
    for event in events:
        if event[2] not in created:
            created.add(event[2])
            yield event
