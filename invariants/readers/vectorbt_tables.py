"""vectorbt's tables, as they were exported: orders, logs, and figures after each bar.

``orders_readable``, ``logs_readable`` (``records_readable``) or ``orders_records``, ``logs_records``
(``records``), ``assets`` and ``cash``; what they mean is said in ``invariants.readers.vectorbt``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from invariants.readers.engine_table import EngineTable
from invariants.readers.parameters import Parameters
from invariants.readers.peek import columns_of
from invariants.readers.tables import SUFFIXES
from simcore import InputError
from simcore.run import Rejected
from simcore.units import INT64_MAX

ORDERS = ("orders_readable", "orders_records")
LOGS = ("logs_readable", "logs_records")
LABELS = ("assets", "cash")

ORDER_NAMES = {
    "id": ("Order Id", "id"),
    "column": ("Column", "col"),
    "bar": ("Timestamp", "idx"),
    "size": ("Size", "size"),
    "price": ("Price", "price"),
    "fee": ("Fees", "fees"),
    "side": ("Side", "side"),
}
LOG_NAMES = {
    "log": ("Log Id", "id"),
    "column": ("Column", "col"),
    "bar": ("Timestamp", "idx"),
    "req_size": ("Request Size", "req_size"),
    "req_price": ("Request Price", "req_price"),
    "size_type": ("Request Size Type", "req_size_type"),
    "direction": ("Request Direction", "req_direction"),
    "rate": ("Request Fees", "req_fees"),
    "fixed": ("Request Fixed Fees", "req_fixed_fees"),
    "slippage": ("Request Slippage", "req_slippage"),
    "partial": ("Request Allow Partial", "req_allow_partial"),
    "size": ("Result Size", "res_size"),
    "price": ("Result Price", "res_price"),
    "fee": ("Result Fees", "res_fees"),
    "side": ("Result Side", "res_side"),
    "status": ("Result Status", "res_status"),
    "id": ("Order Id", "order_id"),
    "cash_before": ("Cash", "cash"),
    "cash_after": ("New Cash", "new_cash"),
    "position_after": ("New Position", "new_position"),
}
SIDES = {"buy": 1, "sell": -1, "0": 1, "1": -1}
STATUSES = {
    "filled": "filled",
    "ignored": "ignored",
    "rejected": "rejected",
    "0": "filled",
    "1": "ignored",
    "2": "rejected",
}
SIZE_TYPES = dict(
    zip(("amount", "value", "percent", "targetamount", "targetvalue", "targetpercent"), range(6), strict=True)
) | {str(code): code for code in range(6)}
DIRECTIONS = {"longonly": 1, "shortonly": -1, "both": 1, "0": 1, "1": -1, "2": 1}
FLAGS = {"true": True, "false": False, "1": True, "0": False}
AMOUNT = 0
_EPSILON = Decimal(float(np.finfo(np.float64).eps))


def files_of(path: Path) -> list[Path]:
    """Tables in a folder, or the table itself; Parquet before CSV."""
    try:
        found = sorted(path.iterdir()) if path.is_dir() else [path] if path.is_file() else []
    except OSError:
        return []
    return sorted((f for f in found if f.name.endswith(SUFFIXES)), key=lambda f: f.suffix != ".parquet")


def table_of(files: Sequence[Path], names: Sequence[str], columns: Mapping[str, tuple[str, str]]) -> Path | None:
    """The table among the files, by its usual name or by its columns."""
    for name in names:
        for file in files:
            if file.name.partition(".")[0] == name:
                return file
    both = [frozenset(pair[form] for pair in columns.values()) for form in (0, 1)]
    return next((file for file in files if any(need <= columns_of(file) for need in both)), None)


@dataclass(frozen=True, slots=True)
class Series:
    """A figure after each bar; ``times`` are the labels, rows count from 1."""

    table: EngineTable
    times: list[int]
    figures: list[Decimal]


def series_of(files: Sequence[Path], name: str) -> Series | None:
    """The figure of this name after each bar, if it was exported. Raises ``InputError``."""
    path = next((file for file in files if file.name.partition(".")[0] == name), None)
    if path is None:
        return None
    table = EngineTable.read(path)
    names = table.names()
    if len(names) != 2:
        got = ", ".join(names[:9])
        raise InputError(file=table.file, field="columns", got=got, wanted="a label and one column: select one asset")
    if not len(table):
        raise InputError(file=table.file, field=names[1], got="no row", wanted="a row for each bar")
    values = [_finite(table, value, names[1], row) for row, value in enumerate(table.numbers(names[1]), 1)]
    return Series(table, table.times(names[0]), values)


def _finite(table: EngineTable, value: Any, name: str, row: int) -> Decimal:
    if not isinstance(value, Decimal):
        raise table.refused(name, row, value, "a finite number")
    return value


class Sheet:
    """Orders or logs under their own names, in whichever of the two forms they were exported."""

    def __init__(self, table: EngineTable, names: Mapping[str, tuple[str, str]]) -> None:
        self.table = table
        self.readable = names["bar"][0] in table.frame
        self.names = {mine: pair[0 if self.readable else 1] for mine, pair in names.items()}
        for theirs in self.names.values():
            if theirs not in table.frame:
                got = ", ".join(map(str, table.frame.columns)) or "no columns"
                raise InputError(file=table.file, field=theirs, got=got, wanted=f"a column {theirs!r}")
        columns = {str(value) for value in self.table.listed(self.names["column"])}
        if len(columns) > 1:
            got = ", ".join(sorted(columns)[:9])
            wanted = "one column: export one asset of the portfolio at a time"
            raise InputError(file=table.file, field=self.names["column"], got=got, wanted=wanted)

    def __len__(self) -> int:
        return len(self.table)

    def bars(self, labels: Sequence[int]) -> list[int]:
        """The label of each row's bar, in nanoseconds."""
        if self.readable:
            return self.table.times(self.names["bar"])
        numbers = self.table.wholes(self.names["bar"])
        for row, number in enumerate(numbers, 1):
            if not 0 <= number < len(labels):
                wanted = f"a bar of {' or '.join(LABELS)}, which have {len(labels)}"
                raise self.table.refused(self.names["bar"], row, number, wanted)
        return [labels[number] for number in numbers]

    def floats(self, name: str) -> list[float]:
        """A column of numbers, NaN where there is none."""
        values = self.table.listed(self.names[name])
        return [self._float(value, name, row) for row, value in enumerate(values, 1)]

    def _float(self, value: Any, name: str, row: int) -> float:
        if value is None:
            return float("nan")
        if isinstance(value, int | float | Decimal | str) and not isinstance(value, bool) and "_" not in str(value):
            try:
                return float(value)
            except (ValueError, OverflowError):
                pass  # said below, with its place
        raise self.table.refused(self.names[name], row, value, "a number")

    def words(self, name: str, known: Mapping[str, Any], *, none: Any = None) -> list[Any]:
        """A column of words, or of the codes that stand for them; ``none`` where there is none."""
        values = self.table.listed(self.names[name])
        return [self._word(value, name, known, none, row) for row, value in enumerate(values, 1)]

    def _word(self, value: Any, name: str, known: Mapping[str, Any], none: Any, row: int) -> Any:
        text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip().casefold()
        if text in known:
            return known[text]
        if none is not None and (value is None or value != value or text == "-1"):  # noqa: PLR0124 (a NaN)
            return none
        wanted = ", ".join(word for word in known if not word.isdecimal()) or "a word"
        raise self.table.refused(self.names[name], row, value, f"one of {wanted}")

    def wholes(self, name: str) -> list[int]:
        """A column of whole numbers."""
        return self.table.wholes(self.names[name])


class Attempt(NamedTuple):
    """One log: what was asked for, and what came of it. NaN where there was nothing."""

    row: int
    bar: int
    log: int
    req_size: float
    req_price: float
    size_type: int
    direction: int
    slippage: float
    partial: bool
    size: float
    price: float
    fee: float
    side: int
    status: str
    id: int

    @property
    def is_order(self) -> bool:
        """Whether anything was ordered: it was filled, or it had an amount and a price."""
        asked = self.size_type == AMOUNT and np.isfinite(self.req_size) and self.req_size != 0
        return self.status == "filled" or bool(asked and np.isfinite(self.req_price))

    @property
    def order_side(self) -> int:
        """The side that was asked for; of a target, the side that came of it."""
        asked = self.size_type == AMOUNT and self.req_size != 0 and not np.isnan(self.req_size)
        return int(np.sign(self.req_size)) * self.direction if asked else self.side

    @property
    def order_size(self) -> float:
        """The size that was asked for, and of a partial fill that was allowed, the size that was accepted."""
        asked = abs(self.req_size)
        if self.size_type != AMOUNT or not np.isfinite(asked):
            return self.size
        return min(asked, self.size) if self.status == "filled" and self.partial else asked

    @property
    def limit(self) -> float:
        """The requested price after slippage."""
        if np.isnan(self.req_price):
            return self.price
        return self.req_price * (1 + self.order_side * self.slippage) if self.slippage else self.req_price


@dataclass(frozen=True)
class Export:
    """Everything that was exported, and what follows from it."""

    orders: Sheet | None
    logs: Sheet | None
    series: Mapping[str, Series]
    parameters: Parameters

    @cached_property
    def labels(self) -> list[int]:
        """The labels of the bars in order, as far as they are known."""
        for series in self.series.values():
            return series.times
        readable = [sheet for sheet in (self.logs, self.orders) if sheet is not None and sheet.readable]
        if not readable:
            file = next(sheet.table.file for sheet in (self.orders, self.logs) if sheet is not None)
            wanted = f"the labels of the bars beside it: {', '.join(LABELS)}, or a readable table"
            raise InputError(file=file, field="idx", got="the numbers of bars", wanted=wanted)
        return sorted({label for sheet in readable for label in sheet.bars(())})

    @cached_property
    def length_ns(self) -> int:
        """How long a bar is: the most common step between labels, the shortest where several are."""
        steps = Counter(later - label for label, later in pairwise(sorted(set(self.labels))))
        if not steps:
            return 1
        most = max(steps.values())
        return min(step for step, count in steps.items() if count == most)

    def end_of(self, bar: int) -> int:
        """The last instant of the bar with this label."""
        return min(bar + self.length_ns - 1, INT64_MAX)

    @cached_property
    def attempts(self) -> list[Attempt]:
        """The logs."""
        if self.logs is None:
            return []
        sheet = self.logs
        columns = (
            range(1, len(sheet) + 1),
            sheet.bars(self.labels),
            sheet.wholes("log"),
            sheet.floats("req_size"),
            sheet.floats("req_price"),
            sheet.words("size_type", SIZE_TYPES),
            sheet.words("direction", DIRECTIONS),
            sheet.floats("slippage"),
            sheet.words("partial", FLAGS),
            sheet.floats("size"),
            sheet.floats("price"),
            sheet.floats("fee"),
            sheet.words("side", SIDES, none=0),
            sheet.words("status", STATUSES),
            sheet.wholes("id"),
        )
        return [Attempt(*values) for values in zip(*columns, strict=True)]

    def contradicted(self) -> Iterator[Rejected]:
        """The logs whose account is not what ``assets`` or ``cash`` have after their bar, but for float noise.

        Only the last log of a bar speaks of its end.
        """
        if self.logs is None:
            return
        last = {attempt.bar: at for at, attempt in enumerate(self.attempts)}
        for name, mine in (("assets", "position_after"), ("cash", "cash_after")):
            series = self.series.get(name)
            if series is None:
                continue
            after = self.logs.floats(mine)
            known = dict(zip(series.times, series.figures, strict=True))
            figures = [abs(figure) for figure in series.figures]
            noise = (3 * len(self.attempts) + 4) * _EPSILON * max(figures, default=Decimal(0))
            for bar, at in last.items():
                if bar in known and np.isfinite(after[at]) and abs(Decimal(after[at]) - known[bar]) > noise:
                    wanted = f"{known[bar]}, as {series.table.file} has after the bar"
                    names = self.logs.names[mine]
                    yield Rejected("logs", self.logs.table.file, self.attempts[at].row, names, after[at], wanted)
