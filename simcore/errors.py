"""The one error for bad input."""

from __future__ import annotations

from typing import Any


class InputError(ValueError):
    """Input that cannot be used: says where it stands, what was found and what was wanted.

    Carries the parts as data (``file``, ``row``, ``field``, ``got``, ``wanted``) as well as in
    its message. ``row`` counts from 1 among the data rows of ``file``; ``None`` means that the
    whole file, or a value without rows, is meant.
    """

    def __init__(
        self,
        *,
        field: str,
        got: Any,
        wanted: str,
        file: str = "scenario",
        row: int | None = None,
    ) -> None:
        self.file = file
        self.row = row
        self.field = field
        self.got = got
        self.wanted = wanted
        super().__init__(str(self))

    def __str__(self) -> str:
        where = self.file if self.row is None else f"{self.file} row {self.row}"
        return f"{where}: {self.field}: got {shorten(self.got)}, wanted {self.wanted}"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.file, self.row, self.field, shorten(self.got), self.wanted)


def _rebuild(file: str, row: int | None, field: str, got: Any, wanted: str) -> InputError:
    return InputError(file=file, row=row, field=field, got=got, wanted=wanted)


def shorten(value: Any, width: int = 120) -> str:
    """``repr(value)``, cut in the middle, so that a hostile megabyte cannot flood a message."""
    if isinstance(value, str | bytes) and len(value) > width:
        value = value[:width]
        return f"{value!r}... (cut)"
    text = repr(value)
    return text if len(text) <= width else f"{text[:width]}... (cut)"
