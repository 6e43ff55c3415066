"""What a timeline shows: the part of the run around a finding's row.

Every finding looks through a window on the same events; these are kept once, as columns. Exact
integers stay exact: what a JavaScript number cannot hold (2**53 and more) is written as text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from invariants.laws.ruling import NEVER, Mask, running_from_zero, side_word
from invariants.report.page.lives import Lives, lives_of
from invariants.report.page.text import label
from invariants.verdict import Finding
from simcore.run import ABSENT, EndState, Ints, Objects, Run, id_at

DRAWN = 300
"""Trades, and tops of book, in one window; of more, those nearest to the finding."""

LANES = 12
"""Orders in one window."""

_LOOK_BACK = 200
"""Orders submitted before a window that may still be live in it."""

_ALONE_NS = 1_000_000_000
_NEIGHBOURS = 5
_EXACT = 2**53
_AT = re.compile(r" at (\d{1,19}) ns")


class _Timed(Protocol):
    @property
    def ns(self) -> Ints: ...


@dataclass(frozen=True, slots=True)
class _Focus:
    """What a finding is about: its instant, the instants to show with it, and its order (-1: none)."""

    ns: int
    first_ns: int
    last_ns: int
    order: int


@dataclass(frozen=True, slots=True)
class Window:
    """``[lo_ns, hi_ns]`` around ``ns``; half-open ranges of sorted trades, tops, fills and samples; orders, own first.

    ``hidden``: trades, and tops, inside it that are too many to draw.
    """

    ns: int
    lo_ns: int
    hi_ns: int
    trades: tuple[int, int]
    tops: tuple[int, int]
    fills: tuple[int, int]
    samples: tuple[int, int]
    orders: tuple[int, ...]
    order: int
    hidden: tuple[int, int]


@dataclass(eq=False)
class Windows:
    """Windows on one run, at most ``room`` rows in all."""

    run: Run
    room: int
    _found: dict[_Focus, int] = field(default_factory=dict)
    _windows: list[Window] = field(default_factory=list)
    _orders_carried: set[int] = field(default_factory=set)

    def place(self, finding: Finding) -> int | None:
        """The number of the finding's window; None where its row has no time, or the room is used up."""
        focus = self._focus(finding)
        if focus is None:
            return None
        if focus not in self._found:
            window = self._window(focus)
            if not self._has_room(window):
                return None
            self._found[focus] = len(self._windows)
            self._windows.append(window)
        return self._found[focus]

    def to_dict(self) -> dict[str, Any]:
        """All windows and what is seen through them, for JSON."""
        run, fills, rules = self.run, self.run.fills, self.run.rules
        streams = (self._trades, self._tops, self._fills, self._samples)
        trades, tops, filled, samples = (
            _Kept(stream.by_time, inside) for stream, inside in zip(streams, self._carried.values(), strict=True)
        )
        orders = sorted(self._orders_carried)
        place = {i: k for k, i in enumerate(orders)}
        has_cap = rules.declares("position_cap_lots") and rules.position_cap_lots is not None
        return {
            "tick": _decimal(run.instrument.tick_size),
            "lot": _decimal(run.instrument.lot_size),
            "cap": _exact([rules.position_cap_lots or 0])[0] if has_cap else None,
            "initial": _exact([rules.initial_position_lots])[0],
            "initial_known": rules.declares("initial_position_lots"),
            "windows": [
                [str(w.ns), str(w.lo_ns), str(w.hi_ns), trades.range(w.trades), tops.range(w.tops),
                 filled.range(w.fills), samples.range(w.samples), [place[i] for i in w.orders],
                 place.get(w.order, -1), *w.hidden, *_exact([int(self._position[w.fills[0]])])]
                for w in self._windows
            ],
            "trades": {"ns": _steps(run.trades.ns[trades.rows]), **_columns(run.trades, trades.rows, "price_ticks",
                       "size_lots", "aggressor", "row")},
            "tops": {"ns": _steps(run.tops.ns[tops.rows]), **_columns(run.tops, tops.rows, "bid_ticks", "bid_lots",
                     "ask_ticks", "ask_lots", "row")},
            "fills": {
                "ns": _steps(fills.ns[filled.rows]),
                "lasts": _exact((fills.ns_to - fills.ns)[filled.rows].tolist()),
                **_columns(fills, filled.rows, "side", "price_ticks", "size_lots", "row"),
                "id": [label(id_at(fills, k)) for k in filled.rows.tolist()],
                "order": [place.get(int(fills.order[k]), -1) for k in filled.rows.tolist()],
                "fee": [_fee(run, fills.fee[k]) for k in filled.rows.tolist()],
                "position": _exact([int(self._position[k + 1]) for k in filled.places.tolist()]),
                "before": _exact([int(self._position[k]) for k in filled.places.tolist()]),
            },
            "samples": {"ns": _steps(run.positions.ns[samples.rows]),
                        **_columns(run.positions, samples.rows, "position_lots", "row")},
            "orders": [self._order(i) for i in orders],
        }  # fmt: skip

    def _has_room(self, window: Window) -> bool:
        """Whether the rows that no other window shows fit; if so they are taken."""
        parts = {name: slice(*getattr(window, name)) for name in self._carried}
        orders = set(window.orders) - self._orders_carried
        rows = 1 + len(orders) + sum(int((~self._carried[name][part]).sum()) for name, part in parts.items())
        if rows > self.room:
            return False
        self.room -= rows
        self._orders_carried |= orders
        for name, part in parts.items():
            self._carried[name][part] = True
        return True

    @cached_property
    def _carried(self) -> dict[str, Mask]:
        """Rows of each stream that some window shows."""
        streams = {"trades": self._trades, "tops": self._tops, "fills": self._fills, "samples": self._samples}
        return {name: np.zeros(len(stream.ns), dtype=np.bool_) for name, stream in streams.items()}

    # what a finding is about

    def _focus(self, finding: Finding) -> _Focus | None:
        row = None if finding.row is None else self._row(finding)
        if row is None:
            return None
        if finding.table == "orders":
            said = _AT.search(finding.message) or _AT.search(finding.story.rpartition("Then")[2])
            return self._order_focus(row, None if said is None else int(said[1]))
        if finding.table == "fills":
            ns, last, order = (
                int(column[row]) for column in (self.run.fills.ns, self.run.fills.ns_to, self.run.fills.order)
            )
            born = [int(column[order]) for column in (self._life.sent_ns, self._life.start_ns) if order >= 0]
            known = [at for at in born if at != ABSENT]
            return _Focus(ns, min(ns, *known, ns), max(last, *known, last), order)
        ns = int(self._table(finding.table).ns[row])
        return _Focus(ns, ns, ns, -1)

    def _row(self, finding: Finding) -> int | None:
        if finding.table not in ("orders", "fills", "tape", "quotes", "positions"):
            return None
        row = self.run.row_at(finding.table, finding.file, finding.row or 0)
        return None if row is None else self._places[finding.table].get(row)

    def _order_focus(self, order: int, said_ns: int | None) -> _Focus | None:
        first, last = int(self._life.sent_ns[order]), int(self._life.stop_ns[order])
        if first == ABSENT:
            return None
        inside = said_ns is not None and first <= said_ns <= self._end_ns
        ns = said_ns if said_ns is not None and inside else first
        return _Focus(ns, first, max(first, ns, min(last, self._end_ns)), order)

    def _table(self, name: str) -> Any:
        run = self.run
        tables = {"tape": run.trades, "quotes": run.tops, "orders": run.orders, "fills": run.fills}
        return tables.get(name, run.positions)

    @cached_property
    def _places(self) -> Mapping[str, dict[int, int]]:
        """For each table: row in its files -> row in the run."""
        names = ("orders", "fills", "tape", "quotes", "positions")
        return {
            name: {row: k for k, row in reversed(list(enumerate(self._table(name).row.tolist())))} for name in names
        }

    # the part of the run that shows it

    def _window(self, focus: _Focus) -> Window:
        span = focus.last_ns - focus.first_ns
        pad = max(span // 6, 1) if span else self._alone(focus.ns)
        lo_ns, hi_ns = max(focus.first_ns - pad, -(2**63)), min(focus.last_ns + pad, NEVER)
        trades, hidden_trades = self._trades.near(focus.ns, lo_ns, hi_ns)
        tops, hidden_tops = self._tops.near(focus.ns, lo_ns, hi_ns)
        if tops[0]:
            tops = (tops[0] - 1, tops[1])  # the top that stands when the window opens
        fills, _ = self._fills.near(focus.ns, lo_ns, hi_ns)
        samples, _ = self._samples.near(focus.ns, lo_ns, hi_ns)
        return Window(
            focus.ns, lo_ns, hi_ns, trades, tops, fills, samples,
            self._orders_in(focus, lo_ns, hi_ns, fills), focus.order, (hidden_trades, hidden_tops),
        )  # fmt: skip

    def _alone(self, ns: int) -> int:
        """How far to look around an instant that stands for itself: a few trades, a second at most."""
        times = self._trades.ns
        if not len(times):
            return _ALONE_NS
        k = int(np.searchsorted(times, ns))
        left, right = times[max(k - _NEIGHBOURS, 0)], times[min(k + _NEIGHBOURS, len(times) - 1)]
        return min(max(ns - int(left), int(right) - ns, 1), _ALONE_NS)

    def _orders_in(self, focus: _Focus, lo_ns: int, hi_ns: int, fills: tuple[int, int]) -> tuple[int, ...]:
        """The finding's own order, those that fill in the window, and those that live in it; by time."""
        filled = self.run.fills.order[self._fills.by_time[slice(*fills)]].tolist()
        by_time, sent_ns = self._life.by_time, self._life.sent_sorted_ns
        end = int(np.searchsorted(sent_ns, hi_ns, "right"))
        recent = by_time[max(end - _LOOK_BACK, 0) : end]
        live = recent[self._life.stop_ns[recent] >= lo_ns]
        nearest = live[np.argsort(np.abs(self._life.sent_ns[live] - focus.ns), kind="stable")].tolist()
        wanted = list(dict.fromkeys(i for i in (focus.order, *filled, *nearest) if i >= 0))[:LANES]
        return tuple(sorted(wanted, key=lambda i: (i != focus.order, self._life.sent_ns[i])))

    def _order(self, i: int) -> list[Any]:
        orders, life = self.run.orders, self._life
        times = (orders.submit_ns, orders.live_ns, orders.cancel_ns, orders.end_ns)
        return [
            label(id_at(orders, i)),
            side_word(int(orders.side[i])),
            *_exact([int(orders.price_ticks[i]), int(orders.size_lots[i])]),
            *(None if column[i] == ABSENT else str(column[i]) for column in times),
            *(None if column[i] == ABSENT else str(column[i]) for column in (life.sent_ns, life.start_ns)),
            None if life.stop_ns[i] == NEVER else str(life.stop_ns[i]),
            life.why[i],
            label(EndState(orders.end[i]).word),
            int(orders.row[i]),
        ]

    @cached_property
    def _life(self) -> Lives:
        return lives_of(self.run)

    @cached_property
    def _end_ns(self) -> int:
        streams = (self.run.trades.ns, self.run.tops.ns, self.run.fills.ns_to)
        return max((int(ns.max()) for ns in streams if len(ns)), default=NEVER)

    @cached_property
    def _trades(self) -> _Stream:
        return _stream(self.run.trades)

    @cached_property
    def _tops(self) -> _Stream:
        return _stream(self.run.tops)

    @cached_property
    def _fills(self) -> _Stream:
        return _stream(self.run.fills)

    @cached_property
    def _samples(self) -> _Stream:
        return _stream(self.run.positions)

    @cached_property
    def _position(self) -> Ints | Objects:
        """The position before the first fill in time, and after each."""
        fills, by_time = self.run.fills, self._fills.by_time
        moved = running_from_zero((fills.side * fills.size_lots)[by_time])
        return np.asarray(moved + self.run.rules.initial_position_lots)


@dataclass(frozen=True, slots=True)
class _Stream:
    """A table by time."""

    by_time: Ints
    ns: Ints

    def near(self, ns: int, lo_ns: int, hi_ns: int) -> tuple[tuple[int, int], int]:
        """The rows inside, at most ``DRAWN`` nearest to ``ns``, and how many are left out."""
        a, b = int(np.searchsorted(self.ns, lo_ns)), int(np.searchsorted(self.ns, hi_ns, "right"))
        if b - a <= DRAWN:
            return (a, b), 0
        k = int(np.searchsorted(self.ns, ns))
        first = min(max(a, k - DRAWN // 2), b - DRAWN)
        return (first, first + DRAWN), b - a - DRAWN


def _stream(table: _Timed) -> _Stream:
    by_time = np.argsort(table.ns, kind="stable")
    return _Stream(by_time, table.ns[by_time])


class _Kept:
    """Some rows of a table that is sorted by time, and where a range of all lies among them."""

    def __init__(self, by_time: Ints, inside: Mask) -> None:
        self.places = np.flatnonzero(inside)
        self.rows = by_time[self.places]
        self._before = np.concatenate(([0], np.cumsum(inside)))

    def range(self, old: tuple[int, int]) -> list[int]:
        """``old`` among the kept rows."""
        return [int(self._before[old[0]]), int(self._before[old[1]])]


def _columns(table: Any, rows: Ints, *names: str) -> dict[str, list[int | str]]:
    return {name.removesuffix("_ticks"): _exact(getattr(table, name)[rows].tolist()) for name in names}


def _exact(values: Iterable[int]) -> list[int | str]:
    """Integers that a JavaScript number holds, and text for the others."""
    return [value if -_EXACT < value < _EXACT else str(value) for value in values]


def _steps(ns: Ints) -> list[int | str]:
    """The first instant, and the distance of each to the one before."""
    listed = ns.tolist()
    return _exact([b - a for a, b in zip([0, *listed], listed, strict=False)])


def _decimal(value: Decimal) -> list[str | int]:
    """Coefficient and exponent, to multiply without rounding."""
    sign, digits, exponent = value.normalize().as_tuple()
    return [("-" if sign else "") + "".join(map(str, digits)), int(exponent)]


def _fee(run: Run, fee: Decimal | None) -> str | None:
    return None if fee is None else label(f"{run.instrument.notional(fee).normalize():f}")
