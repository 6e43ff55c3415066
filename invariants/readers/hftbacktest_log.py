"""The log of order snapshots that a strategy on hftbacktest writes, folded into orders and fills.

A row is one order at one moment:

- ``now`` (local), ``local_timestamp`` (of the last request), ``exch_timestamp`` (of the last event
  at the exchange), all int64 nanoseconds; ``order_id``, ``side`` (1, -1), ``status`` and ``req``
  (0 none, 1 new, 2 expired, 3 filled, 4 cancelled, 5 partially filled, 6 rejected, 7 replaced),
  ``price``, ``qty``, ``leaves_qty``, ``exec_qty``, ``exec_price``;
- optionally ``order_type`` (0 limit, 1 market), and the account as the strategy sees it: ``position``,
  ``balance``, ``fee``, ``num_trades``.

submit: the ``local_timestamp`` of the first row (a cancel overwrites it); live: the
``exch_timestamp`` of the first NEW; cancel: the ``local_timestamp`` of the first row that asks for
it; end: the ``exch_timestamp`` of the first row that says so. An order whose last row is no end, and
not of the log's last moment, vanished: its end is unknown. An id that is submitted again after its
end is another order with the same id. A row that is no later state of its order (another price, side
or size, more left than before, a number that is not finite) is rejected.

Market orders have no limit that could be judged, and orders that the strategy modified (``req`` 7) had
several: they are left out with their fills, and counted.

Each drop of ``leaves_qty`` is a fill, of the size of the drop (``exec_qty`` is the last execution
only), at ``exec_price`` (of the last level only), at ``exch_timestamp``. Where several executions, or
one and the end of the order, are seen at once, the time is the interval since the row before; but if
every event of the log was seen equally long after it happened, the strategy looked at each response
as it came, and what it saw at once happened at once.

The fields: https://hftbacktest.readthedocs.io/en/latest/reference/backtester.html (class Order).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from invariants.readers.floats import Floats, decimals_of, floats_of, wholes_of
from invariants.readers.sources import Blob
from invariants.readers.tables import frame_from_bytes
from simcore import InputError
from simcore import pandas_later as pd
from simcore.cells import cells_of, ints
from simcore.run import Rejected

TABLE = "order_events"
TIMES = ("now", "local_timestamp", "exch_timestamp")
WORDS = ("order_id", "side", "status", "req")
TYPE = "order_type"
AMOUNTS = ("price", "exec_price", "qty", "leaves_qty", "exec_qty")
STATE = ("position", "balance", "fee", "num_trades")
COLUMNS = frozenset((*TIMES, *WORDS, *AMOUNTS))

NONE, NEW, FILLED, CANCELLED, REPLACED = 0, 1, 3, 4, 7
TYPES = ("", "MARKET")
MODIFIED = "LIMIT that was modified"
FILLS = (3, 5)
STATUSES = tuple(range(8))
ENDS = {2: "expired", 3: "filled", 4: "cancelled", 6: "rejected"}

FEW_SUMS = 16
"""Executions that one order's ``leaves_qty`` may have lost to and still be told from noise."""


NAMES = {"exch_ns": "exch_timestamp"}
"""Fields of a row that the log calls otherwise."""


class Row(NamedTuple):
    """One order at one moment; ``row`` is its place in the file, from 1."""

    row: int
    now: int
    local_ns: int
    exch_ns: int
    order_id: int
    side: int
    status: int
    req: int
    kind: int
    price: Decimal
    exec_price: Decimal
    qty: Decimal
    leaves: Decimal
    exec_qty: Decimal


class Fill(NamedTuple):
    """A drop of ``leaves_qty``.

    ``seen`` and ``unseen`` are the local times of the row that shows it and of the one before;
    ``single``: it is one execution.
    """

    row: int
    seen: int
    unseen: int
    ns: int
    ns_to: int
    order_id: int
    side: int
    price: Decimal
    size: Decimal
    single: bool


class State(NamedTuple):
    """The account at a local time, as the strategy saw it; None where it was not written down."""

    now: int
    row: int
    position: Decimal
    balance: Decimal | None = None
    fee: Decimal | None = None
    num_trades: Decimal | None = None
    volume: Decimal | None = None


@dataclass(slots=True)
class Life:
    """An order from its first row on; ``other``: what it is, if it had not one limit all along."""

    first: Row
    last: Row
    live_ns: int | None = None
    cancel_ns: int | None = None
    end_ns: int | None = None
    other: str = ""

    @classmethod
    def of(cls, row: Row) -> Life:
        """The life that begins with this row: before it, all of the order was there."""
        last = row._replace(now=row.local_ns, exch_ns=row.local_ns, leaves=row.qty, status=NONE)
        return cls(row, last, other=TYPES[row.kind])

    def is_over_at(self, row: Row) -> bool:
        """Whether the row is of another order under the same id: a submit that is not this one's."""
        fresh = row.status == NONE and row.req == NEW
        return fresh and (self.last.status != NONE or row.local_ns != self.first.local_ns)

    def contradiction(self, row: Row) -> tuple[str, Any, str] | None:
        """The field in which the row is no later state of this order, what it says, what was wanted."""
        if self.other:
            return None
        for name in ("side", "price", "qty"):
            got, was = getattr(row, name), getattr(self.first, name)
            if got != was:
                return name, got, f"{was}, as when it was submitted (a modified order is not judged)"
        if row.leaves > self.last.leaves:
            return "leaves_qty", row.leaves, f"at most {self.last.leaves}, as before"
        if row.exec_qty > self.first.qty - row.leaves:
            return "exec_qty", row.exec_qty, f"at most {self.first.qty - row.leaves}, what is not left"
        for name in ("exec_price", "exch_ns") if FILLED == row.status == self.last.status else ():
            got, was = getattr(row, name), getattr(self.last, name)
            if got != was:
                return NAMES.get(name, name), got, f"{was}, as when it was filled"
        return None

    def fill(self, row: Row) -> Fill:
        """The fill that the row shows beside the last one."""
        size = self.last.leaves - row.leaves
        single = size == row.exec_qty
        # of any other row the exchange's time is that of a later execution, or of the order's end
        ns = (
            row.exch_ns
            if single and row.status in FILLS
            else min(max(self.last.exch_ns, self.first.local_ns), row.exch_ns)
        )
        return Fill(
            row.row, row.now, self.last.now, ns, row.exch_ns, row.order_id, row.side, row.exec_price, size, single
        )

    def see(self, row: Row) -> None:
        """Move on to a later state."""
        if row.status == NEW and self.live_ns is None:
            self.live_ns = row.exch_ns
        if CANCELLED in (row.req, row.status) and self.cancel_ns is None:
            self.cancel_ns = row.local_ns
        if row.status in ENDS and self.end_ns is None:
            self.end_ns = row.exch_ns
        self.last = row

    def end(self, last_now: int) -> str:
        """How it ended; "open" at the log's last moment, "" where it vanished before."""
        return ENDS.get(self.last.status, "open" if self.last.now >= last_now else "")


@dataclass(slots=True)
class Log:
    """The log, folded; ``last_now`` is its last moment, ``read`` the number of its rows.

    ``lags_ns``: how long after it happened at the exchange an event was first seen. ``others`` and
    ``others_filled`` count the orders that are left out, and their fills, by what they are.
    """

    file: str = ""
    sha256: str = ""
    lives: list[Life] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    read: int = 0
    last_now: int | None = None
    lags_ns: set[int] = field(default_factory=set)
    others: Counter[str] = field(default_factory=Counter)
    others_filled: Counter[str] = field(default_factory=Counter)


def read_log(blob: Blob) -> Log:
    """The orders, fills and account states in a log. Raises ``InputError``."""
    frame = frame_from_bytes(blob.data, file=blob.name)
    rows, rejected = _rows(frame, blob.name)
    log = Log(blob.name, blob.sha256, rejected=rejected, read=len(frame))
    log.last_now = max((row.now for row in rows), default=None)
    _fold(log, rows)
    fills = [fill._replace(ns=fill.ns_to) for fill in log.fills] if len(log.lags_ns) == 1 else log.fills
    log.fills = _in_order(fills)
    log.states = _states(frame, blob.name)
    return log


def _rows(frame: pd.DataFrame, file: str) -> tuple[list[Row], list[Rejected]]:
    """The rows of the log, and those with a number that is not finite. Raises ``InputError``."""
    times = [_times(frame, name, file) for name in TIMES]
    words = [wholes_of(frame, name, file=file) for name in WORDS]
    words.append(wholes_of(frame, TYPE, file=file) if TYPE in frame else [0] * len(frame))
    known_words = ((1, -1), STATUSES, STATUSES, range(len(TYPES)))
    for name, values, known in zip((*WORDS[1:], TYPE), words[1:], known_words, strict=True):
        _check_words(values, name, known, file)
    given = [floats_of(frame, name, file=file) for name in AMOUNTS]
    prices = _split(decimals_of(np.concatenate(given[:2])), 2)
    sizes = _split(decimals_of(np.concatenate(given[2:]), sums=FEW_SUMS), 3)
    rows = [Row(at, *values) for at, values in enumerate(zip(*times, *words, *prices, *sizes, strict=True), 1)]
    finite = np.logical_and.reduce([np.isfinite(column) for column in given]).tolist()
    rejected = [_not_finite(at, given, file) for at, ok in enumerate(finite) if not ok]
    return [row for row, ok in zip(rows, finite, strict=True) if ok], rejected


def _times(frame: pd.DataFrame, name: str, file: str) -> list[int]:
    if name not in frame:
        got = ", ".join(map(str, frame.columns)) or "no columns"
        raise InputError(file=file, field=name, got=got, wanted=f"a column {name!r}")
    cells = cells_of(frame[name], file=file, field=name, rows=np.arange(1, len(frame) + 1))
    listed: list[int] = ints(cells).tolist()
    return listed


def _check_words(values: list[int], name: str, known: Sequence[int], file: str) -> None:
    for at, value in enumerate(values, 1):
        if value not in known:
            raise InputError(file=file, row=at, field=name, got=value, wanted=f"one of {', '.join(map(str, known))}")


def _split(values: list[Decimal], parts: int) -> list[list[Decimal]]:
    size = len(values) // parts
    return [values[part * size : (part + 1) * size] for part in range(parts)]


def _not_finite(at: int, given: list[Floats], file: str) -> Rejected:
    named = zip(AMOUNTS, given, strict=True)
    name, value = next((name, float(column[at])) for name, column in named if not np.isfinite(column[at]))
    return Rejected(TABLE, file, at + 1, name, value, "a finite number")


def _fold(log: Log, rows: Iterable[Row]) -> None:
    lives: dict[int, Life] = {}
    fills: list[tuple[Life, Fill]] = []
    for row in rows:
        life = lives.get(row.order_id)
        if life is None or life.is_over_at(row):
            life = lives[row.order_id] = Life.of(row)
            log.lives.append(life)
        if row.req == REPLACED:
            life.other = life.other or MODIFIED
        wrong = life.contradiction(row)
        if wrong is not None:
            log.rejected.append(Rejected(TABLE, log.file, row.row, *wrong))
            continue
        if row.exch_ns not in (0, life.last.exch_ns):
            log.lags_ns.add(row.now - row.exch_ns)
        if row.leaves < life.last.leaves:
            fills.append((life, life.fill(row)))
        life.see(row)
    log.others = Counter(life.other for life in log.lives if life.other)
    log.others_filled = Counter(life.other for life, _ in fills if life.other)
    log.lives = [life for life in log.lives if not life.other]
    log.fills = [fill for life, fill in fills if not life.other]


def _in_order(fills: list[Fill]) -> list[Fill]:
    """Within a moment the log lists orders in no order: there, by the exchange's time. The rest as it stands."""
    ordered: list[Fill] = []
    for _, moment in groupby(fills, key=lambda fill: fill.seen):
        ordered.extend(sorted(moment, key=lambda fill: (fill.ns_to, fill.row)))
    return ordered


def _states(frame: pd.DataFrame, file: str) -> list[State]:
    """The account at each moment of the log; none where it was not logged."""
    if "position" not in frame or not len(frame):
        return []
    now = _times(frame, "now", file)
    last = [at for at in range(len(now)) if at + 1 == len(now) or now[at + 1] != now[at]]
    columns: list[list[Any]] = [
        sums_of(floats_of(frame, name, file=file)[last]) if name in frame else [None] * len(last) for name in STATE
    ]
    states = [State(now[at], at + 1, *values) for at, *values in zip(last, *columns, strict=True)]
    return [state for state in states if state.position.is_finite()]


def sums_of(values: npt.NDArray[np.float64]) -> list[Decimal]:
    """A running sum: as many additions as it has entries."""
    return decimals_of(values, sums=len(values))
