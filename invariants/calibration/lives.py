"""Real orders and what became of them: one row an order, every row accounted for.

Columns (an alias in brackets): ``order_id``, ``side``, ``price``, ``size``, ``submit_ns``
(``created_ts_ns``), ``end_ns`` (``end_ts_ns``), ``end`` (filled, cancelled, expired or open),
``filled`` (the size that traded), ``first_fill_ns`` (``first_fill_ts_ns``), optionally
``price_changed``. A time that is an empty cell or negative is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Self

import numpy as np
import pandas as pd

from invariants.readers.floats import decimals_of, floats_of
from simcore import InputError, Instrument
from simcore.frames import Sheet
from simcore.grid import Mask, Step
from simcore.run import ABSENT, Ends, EndState, Ids, Ints, Objects, Orders, objects

TIMES = {
    "submit_ns": ("submit_ns", "created_ns", "created_ts_ns"),
    "end_ns": ("end_ns", "end_ts_ns"),
    "first_fill_ns": ("first_fill_ns", "first_fill_ts_ns"),
}
NEEDED = ("order_id", "side", "price", "size", "filled", "end")

_FLAGS = {"true": True, "1": True, "false": False, "0": False, "none": False, "nan": False, "<na>": False, "": False}

UNREADABLE = "its price or size is no number of the grid"
UNSUBMITTED = "nobody says when it was submitted"
CHANGED = "its price was changed in place"
CONTRADICTORY = "its own figures contradict each other"


@dataclass(frozen=True, eq=False, slots=True)
class Lives:
    """The orders as columns. ``aside`` says why a row cannot be judged, empty where it can.

    ``first_ns`` is the first fill, ``ABSENT`` where there was none, ``end_ns`` where the order was open.
    """

    order_id: Ids
    side: Ints
    price_ticks: Ints
    size_lots: Ints
    submit_ns: Ints
    end_ns: Ints
    end: Ends
    filled_lots: Ints
    first_ns: Ints
    row: Ints
    aside: Objects

    def __len__(self) -> int:
        return len(self.side)

    @property
    def filled(self) -> Mask:
        """Whether the venue filled any of it."""
        return self.filled_lots > 0

    def where(self, rows: Mask) -> Self:
        """Those rows alone."""
        return type(self)(*(getattr(self, f.name)[rows] for f in fields(self)))

    def set_aside(self, rows: Mask, reason: str) -> None:
        """Mark rows that cannot be judged; the first reason given to a row stays."""
        self.aside[rows & (self.aside == "")] = reason

    def orders(self) -> Orders:
        """The same orders as ours: submitted when they were, cancelled when they were."""
        withdrawn = (self.end == EndState.CANCELLED) | (self.end == EndState.EXPIRED)
        absent = np.full(len(self), ABSENT)
        cancel_ns = np.where(withdrawn, self.end_ns, ABSENT)
        ends = np.zeros(len(self), np.int8)
        return Orders(
            self.order_id, self.side, self.price_ticks, self.size_lots,
            self.submit_ns, absent, cancel_ns, absent, ends, self.row,
        )  # fmt: skip


def is_lives(columns: frozenset[str]) -> bool:
    """Whether a table of these columns holds orders and their fate."""
    return columns.issuperset(NEEDED) and not columns.isdisjoint(TIMES["submit_ns"])


def sheet_of(frame: pd.DataFrame, file: str) -> Sheet:
    """The table with the columns named as here, and the traded size cleared of binary noise."""
    mine = {ours: next((name for name in names if name in frame), None) for ours, names in TIMES.items()}
    renamed = frame.rename(columns={theirs: ours for ours, theirs in mine.items() if theirs is not None})
    if "filled" in renamed and not any(isinstance(value, Decimal) for value in renamed["filled"].head(1)):
        # somebody's difference of two sizes, in binary
        values = floats_of(renamed, "filled", file=file)
        renamed["filled"] = pd.Series(decimals_of(values, sums=1), dtype=object)
    return Sheet(renamed, "orders", file)


def grid_of(sheet: Sheet) -> Instrument:
    """The finest decimal grid on which all prices and sizes stand."""
    return Instrument(_power(sheet.decimals("price")), _power(sheet.decimals("size", "filled")))


def _power(decimals: int) -> Decimal:
    return Decimal(1).scaleb(-decimals)


def lives_of(sheet: Sheet, instrument: Instrument) -> Lives:
    """The rows of the table. Raises ``InputError`` for a cell that cannot be read at all.

    So it does without one of the columns of times: were it taken for an empty one, most rows would contradict
    themselves.
    """
    for field in (field for field in TIMES if not sheet.has(field)):
        got, wanted = ", ".join(map(str, sheet.names)), f"a column {' or '.join(TIMES[field])}"
        raise InputError(file=sheet.file, field=field, got=got, wanted=wanted)
    tick, lot = Step.of(instrument.tick_size, "tick_size"), Step.of(instrument.lot_size, "lot_size")
    lives = Lives(
        sheet.ids(), sheet.sides(), sheet.counts("price", tick), sheet.counts("size", lot),
        _time(sheet, "submit_ns"), _time(sheet, "end_ns"), sheet.ends(),
        sheet.counts("filled", lot), _time(sheet, "first_fill_ns"), sheet.rows,
        objects([""] * len(sheet.frame)),
    )  # fmt: skip
    unread = np.zeros(len(lives), np.bool_)
    unread[list(sheet.bad)] = True
    lives.set_aside(unread, UNREADABLE)
    lives.set_aside(lives.submit_ns == ABSENT, UNSUBMITTED)
    lives.set_aside(_flags(sheet, "price_changed"), CHANGED)
    for wrong in _contradictions(lives):
        lives.set_aside(wrong, CONTRADICTORY)
    return lives


def _time(sheet: Sheet, field: str) -> Ints:
    values = sheet.maybe(field)
    return np.where(values < 0, ABSENT, values)


def _flags(sheet: Sheet, field: str) -> Mask:
    """An optional column of yes and no, no where it is empty or missing. Raises ``InputError``."""
    listed = sheet.frame[field].tolist() if sheet.has(field) else [False] * len(sheet.frame)
    for at, value in enumerate(listed):
        word = str(value).strip().casefold()
        if word not in _FLAGS:
            row = int(sheet.rows[at])
            raise InputError(file=sheet.file, row=row, field=field, got=value, wanted="true or false")
        listed[at] = _FLAGS[word]
    return np.array(listed, dtype=np.bool_)


def _contradictions(lives: Lives) -> Iterator[Mask]:
    """What cannot be true of any order, one mask a sentence."""
    filled, size, first_ns, end_ns = lives.filled_lots, lives.size_lots, lives.first_ns, lives.end_ns
    over = end_ns != ABSENT
    yield size <= 0
    yield (filled < 0) | (filled > size)
    yield (lives.end == EndState.FILLED) != (filled == size)
    yield (filled > 0) != (first_ns != ABSENT)
    yield ~over & (lives.end != EndState.OPEN)
    yield over & (end_ns < lives.submit_ns)
    yield (first_ns != ABSENT) & (first_ns < lives.submit_ns)
    yield (first_ns != ABSENT) & over & (first_ns > end_ns)
    yield np.asarray(pd.Series(lives.order_id).duplicated(keep=False), dtype=np.bool_)
