"""Rows of NautilusTrader's files, a line of events or of a report, and what is read from either alike."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from simcore import InputError
from simcore import pandas_later as pd
from simcore.grid import number_of
from simcore.units import INT64_MAX

LIMIT = "LIMIT"
FILL_COLUMNS = ("ns", "order_id", "side", "price", "size", "fee", "row")

_COUNTER = re.compile(r"-(\d{3,9})$", re.ASCII)
"""What ends a trade id, ``SIM-1-001`` or ``T-f857db60a6916a43-001``: it runs through the fills of a run."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the file, its number there, from 1, and its cells by name."""

    file: str
    number: int
    cells: dict[str, Any]

    def refused(self, name: str, wanted: str) -> InputError:
        """The error for a field that cannot be used."""
        return InputError(
            file=self.file, row=self.number, field=name, got=self.cells.get(name, "nothing"), wanted=wanted
        )

    def text(self, name: str) -> str:
        """A text that is not empty."""
        value = self.cells.get(name)
        if not isinstance(value, str) or not value:
            raise self.refused(name, "a text")
        return value

    def ns(self, name: str = "ts_event") -> int:
        """Whole nanoseconds since 1970 UTC."""
        value = self.cells.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= INT64_MAX:
            raise self.refused(name, "whole nanoseconds since 1970 (int64)")
        return value

    def amount(self, name: str) -> Any:
        """A price or size as it was written."""
        value = self.cells.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str) or value == "":
            raise self.refused(name, "a number")
        return value

    def place(self, ns: int) -> tuple[int, int, int]:
        """Where a fill at ``ns`` stands in time: at one instant by the counter of its trade id."""
        found = _COUNTER.search(self.text("trade_id"))
        return ns, int(found[1]) if found else 0, self.number

    def check_limit(self, name: str) -> None:
        """Refuse what is no plain limit order."""
        if self.cells.get(name) != LIMIT:
            raise self.refused(name, "LIMIT: only an order with a fixed limit can be judged")


def fee_of(row: Row) -> Decimal | None:
    """The fee of ``commission``, "-39 JPY": negative is a rebate; None where there is none."""
    text, currency = row.cells.get("commission"), row.cells.get("currency")
    if text is None:
        return None
    amount, _, unit = text.partition(" ") if isinstance(text, str) else ("", "", "")
    if not unit or unit != currency:
        raise row.refused("commission", f"an amount in the currency of the fill, {currency}")
    fee = number_or_none(amount)
    if fee is None:
        raise row.refused("commission", "a finite amount and its currency")
    return fee


def number_or_none(value: Any) -> Decimal | None:
    """The exact number, None for what is none: whoever reads the column says so."""
    try:
        return number_of(value)
    except ValueError:
        return None


def frame_of(names: tuple[str, ...], records: list[tuple[Any, ...]]) -> pd.DataFrame:
    """A table of these records."""
    columns: list[Any] = [[] for _ in names] if not records else list(zip(*records, strict=True))
    return pd.DataFrame({name: pd.Series(list(c), dtype=object) for name, c in zip(names, columns, strict=True)})
