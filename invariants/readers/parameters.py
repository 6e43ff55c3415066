"""``meta.json``, the run parameters beside an engine's output: what no report of the engine says.

A JSON object; the names that readers know are ``engine``, ``version``, ``variant``, ``rc`` (the
engine's own exit code), ``opt``, an object of the engine's settings, and counts and sums of the run,
which each reader names. Everything else is left alone. The file is optional.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from invariants.strictjson import check_object, parse
from simcore import InputError
from simcore.run import Rejected
from simcore.units import decimal_of

NAME = "meta.json"
LARGEST_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the file says; all empty where there is none. ``inputs`` maps the file to its SHA-256."""

    file: str = NAME
    engine: str = ""
    version: str = ""
    variant: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def options(self) -> Mapping[str, Any]:
        """The engine's settings (``opt``)."""
        return check_object(self.values.get("opt", {}), file=self.file, field="opt")

    def whole(self, values: Mapping[str, Any], name: str) -> int | None:
        """A whole number among ``values``, None where absent. Raises ``InputError``."""
        value = values.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise InputError(file=self.file, field=name, got=value, wanted="a whole number")
        return value

    def number(self, values: Mapping[str, Any], name: str) -> Decimal | None:
        """A finite number among ``values``, None where absent. Raises ``InputError``."""
        value = values.get(name)
        return None if value is None else decimal_of(value, field=name, file=self.file)

    def flag(self, name: str) -> bool | None:
        """A setting that is on or off, None where absent. Raises ``InputError``."""
        value = self.options.get(name)
        if value is not None and not isinstance(value, bool):
            raise InputError(file=self.file, field=f"opt.{name}", got=value, wanted="true or false")
        return value

    def contradicted(self, name: str, stated: Decimal | None, found: Decimal | int, where: str) -> tuple[Rejected, ...]:
        """The file, rejected, where it states another number than was ``found``: for what no total is named after."""
        if stated is None or stated == found:
            return ()
        return (Rejected("parameters", self.file, 1, name, str(stated), f"{found}, {where}"),)


def parameters_of(folder: Path) -> Parameters:
    """The parameters beside the output in ``folder``. Raises ``InputError``."""
    path = folder / NAME
    if not path.is_file():
        return Parameters(str(path))
    try:
        data = path.read_bytes() if path.stat().st_size <= LARGEST_BYTES else None
    except OSError as error:
        raise InputError(file=str(path), field="file", got=error.strerror, wanted="a readable file") from None
    if data is None:
        raise InputError(file=str(path), field="file", got=f"{path.stat().st_size} bytes", wanted="at most 16 MiB")
    values = check_object(parse(data, file=str(path)), file=str(path), field="text")
    texts = {name: _text(values, name, str(path)) for name in ("engine", "version", "variant")}
    return Parameters(str(path), **texts, values=values, inputs={str(path): hashlib.sha256(data).hexdigest()})


def _text(values: Mapping[str, Any], name: str, file: str) -> str:
    value = values.get(name, "")
    if not isinstance(value, str):
        raise InputError(file=file, field=name, got=value, wanted="a text")
    return value


def with_claims(
    reported: Mapping[str, Any], claims: Mapping[str, Decimal | None], counted: Mapping[str, Decimal | int]
) -> dict[str, Any]:
    """The totals of an output and those that the parameters claim besides.

    A total has one value: of two that differ it is the first that what was ``counted`` in the rows
    contradicts, so that neither is passed over.
    """
    totals = dict(reported)
    for name, value in claims.items():
        if value is not None and (name not in totals or totals[name] == counted.get(name)):
            totals[name] = value
    return totals
