"""The one error for bad input."""

from __future__ import annotations

from typing import Any


class InputError(ValueError):
    """Input that cannot be used: says where it stands, what was found and what was wanted.

    Carries the parts as data (``file``, ``row``, ``field``, ``got``, ``wanted``) as well as in
    its message. ``row`` counts from 1 among the data rows of ``file``; ``None`` means that the
    whole file, or a value without rows, is meant.
    """

    def __init__(self, *, field: str, got: Any, wanted: str, file: str = "scenario", row: int | None = None) -> None:
        self.file = file
        self.row = row
        self.field = field
        self.got = got
        self.wanted = wanted
        where = file if row is None else f"{file} row {row}"
        super().__init__(f"{where}: {field}: got {shorten(got)}, wanted {wanted}")

    def __reduce__(self) -> tuple[Any, ...]:
        # workers send errors home: what was got goes as text, because it may not pickle
        return _rebuild, (self.args[0], self.file, self.row, self.field, shorten(self.got), self.wanted)


def _rebuild(message: str, file: str, row: int | None, field: str, got: str, wanted: str) -> InputError:
    error = InputError(file=file, row=row, field=field, got=got, wanted=wanted)
    error.args = (message,)
    return error


def shorten(value: Any, width: int = 120) -> str:
    """``repr(value)``, cut in the middle, so that a hostile megabyte cannot flood a message."""
    if isinstance(value, str | bytes) and len(value) > width:
        value = value[:width]
        return f"{value!r}... (cut)"
    if isinstance(value, int) and value.bit_length() > 1000:  # Python refuses to print the longest
        return f"an integer of {value.bit_length()} bits"
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - a stranger's object may refuse to be shown
        text = f"<{type(value).__name__} whose repr raised {type(error).__name__}>"
    return text if len(text) <= width else f"{text[:width]}... (cut)"
