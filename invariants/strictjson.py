"""JSON as strict as a judge needs it: decimals exact, no duplicate keys, no NaN, errors with a place."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, NoReturn

from simcore import InputError
from simcore.errors import shorten


class _RefusedError(ValueError):
    """What the standard parser would let through; the arguments are got and wanted."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _RefusedError(f"the key {shorten(twice)} twice", "each key once")
    return values


def _no_constant(word: str) -> NoReturn:
    raise _RefusedError(word, "a finite number")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=Decimal, parse_constant=_no_constant)


def parse(data: bytes | str, *, file: str, row: int | None = None, field: str = "text") -> Any:
    """The value of a JSON text (UTF-8; a mark of the byte order is none of it). Floats come as Decimal.

    Raises ``InputError``.
    """

    def refused(got: Any, wanted: str) -> InputError:
        return InputError(file=file, row=row, field=field, got=got, wanted=wanted)

    try:
        return _DECODER.decode(data.decode("utf-8-sig") if isinstance(data, bytes) else data)
    except _RefusedError as error:
        raise refused(*error.args) from None
    except UnicodeDecodeError as error:
        raise refused(f"byte {error.start}", "UTF-8") from None
    except RecursionError:
        raise refused("nesting without end", "JSON that a person could read") from None
    except (ValueError, ArithmeticError) as error:  # also an integer of 5,000 digits, a float beyond Decimal
        raise refused(str(error), "JSON") from None


def check_object(value: Any, *, file: str, row: int | None = None, field: str = "line") -> dict[str, Any]:
    """``value`` if it is a JSON object; raises ``InputError`` else."""
    if not isinstance(value, dict):
        raise InputError(file=file, row=row, field=field, got=value, wanted="a JSON object")
    return value


def check_keys(
    value: dict[str, Any],
    known: tuple[str, ...],
    *,
    file: str,
    row: int | None = None,
    required: tuple[str, ...] = (),
    prefix: str = "",
) -> None:
    """Refuse a key that nobody reads, and a required one that is missing; ``prefix`` names the object."""
    for key, given in value.items():
        if key not in known:
            wanted = f"one of {', '.join(known)}"
            raise InputError(file=file, row=row, field=prefix + key[:80], got=given, wanted=wanted)
    for key in required:
        if key not in value:
            raise InputError(file=file, row=row, field=prefix + key, got="nothing", wanted=f"the key {key!r}")
