"""``run.toml``, the head of a bundle: what a run says about itself beside its tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields as fields_of
from decimal import Decimal
from pathlib import Path
from typing import Any

from invariants.readers.totals import TOTALS
from simcore import InputError, Instrument, Rules
from simcore.frames import UNJUDGED, provenance_of
from simcore.rules import DIALS, read_toml
from simcore.run import Rejected
from simcore.units import INT64_MAX, decimal_of

FORMAT = "fillproof-run/1"
TABLES = ("tape", "quotes", "orders", "fills", "positions")
SECTIONS: dict[str, tuple[str, ...]] = {
    "instrument": ("tick_size", "lot_size"),
    "run": ("end_ns", "last_event_ns", "exit_code", "engine", "engine_version"),
    "reported": (*TOTALS, "unjudged"),
}


def head_of(path: Path) -> dict[str, Any]:
    """``run.toml`` with known keys and a known format, every section there but rules. Raises ``InputError``."""
    return checked_head(read_toml(path), str(path))


def checked_head(head: dict[str, Any], file: str) -> dict[str, Any]:
    """The same of what ``file`` says."""
    known = ("format", "name", "instrument", "rules", "run", "provenance", "reported", "rejected")
    for key, value in head.items():
        if key not in known:
            raise InputError(file=file, field=key, got=value, wanted=f"one of {', '.join(known)}")
    if head.get("format") != FORMAT:
        raise InputError(file=file, field="format", got=head.get("format"), wanted=repr(FORMAT))
    if not isinstance(head.get("name", ""), str):
        raise InputError(file=file, field="name", got=head["name"], wanted="a text")
    for section in known[2:7]:
        _check_section(head.setdefault(section, {}) if section != "rules" else head.get(section, {}), section, file)
    return head


def _check_section(values: Any, section: str, file: str) -> None:
    if not isinstance(values, dict):
        raise InputError(file=file, field=section, got=values, wanted=f"a table [{section}]")
    known = SECTIONS.get(section)
    for key, value in values.items():
        if known is not None and key not in known:
            raise InputError(file=file, field=f"{section}.{key}", got=value, wanted=f"one of {', '.join(known)}")


def instrument_of(head: dict[str, Any], file: str) -> Instrument:
    """The declared grid, 1 and 1 by default."""
    given = head["instrument"]
    try:
        return Instrument(**given)
    except InputError as error:
        raise _elsewhere(error, file, f"instrument.{error.field}") from None


def _elsewhere(error: InputError, file: str, field: str) -> InputError:
    return InputError(file=file, row=error.row, field=field, got=error.got, wanted=error.wanted)


def rules_of(head: dict[str, Any], given: Rules | str | Path | None, instrument: Instrument, file: str) -> Rules:
    """The given rules, or the declared ones; all undeclared where neither is."""
    if isinstance(given, Rules):
        return given
    if given is not None:
        return Rules.load(given, instrument=instrument)
    if "rules" not in head:
        return Rules(undeclared=frozenset(DIALS))
    try:
        return Rules.from_dict(head["rules"], file=file, instrument=instrument)
    except InputError as error:
        raise _elsewhere(error, file, f"rules.{error.field}") from None


def declared_of(head: dict[str, Any], file: str, name: str) -> dict[str, Any]:
    """What run.toml says beside tables and rules, checked, as arguments of ``run_from_frames``."""
    run = head["run"]
    for key in ("end_ns", "last_event_ns", "exit_code"):
        value = run.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) > INT64_MAX:
            raise InputError(file=file, field=f"run.{key}", got=value, wanted="a whole number inside int64")
    for key in ("engine", "engine_version"):
        if not isinstance(run.get(key, ""), str):
            raise InputError(file=file, field=f"run.{key}", got=run[key], wanted="a text")
    return {
        "name": head.get("name", name),
        "provenance": _provenance(head["provenance"], file),
        "reported": dict(_reported(head["reported"], file)),
        "rejected": tuple(_rejected(head.get("rejected", []), file)),
        **{key: run.get(key) for key in ("end_ns", "last_event_ns", "exit_code")},
        **{key: run.get(key, "") for key in ("engine", "engine_version")},
    }


def _provenance(given: dict[str, Any], file: str) -> dict[str, str]:
    try:
        provenance_of((), given)
    except InputError as error:
        raise _elsewhere(error, file, f"provenance.{error.field}") from None
    return given


def _reported(given: dict[str, Any], file: str) -> Iterator[tuple[str, Decimal]]:
    unjudged = given.get("unjudged", {})
    _check_section(unjudged, "reported.unjudged", file)
    for key, value in given.items():
        if key != "unjudged":
            yield key, decimal_of(value, field=f"reported.{key}", file=file)
    for key, value in unjudged.items():
        # text that is no figure is kept as NaN: a name in the list of what nobody judged
        known = isinstance(value, int | Decimal) and not isinstance(value, bool)
        yield UNJUDGED + key, Decimal(value) if known else Decimal("NaN")


def _rejected(given: Any, file: str) -> Iterator[Rejected]:
    names = [f.name for f in fields_of(Rejected)]
    if not isinstance(given, list):
        raise InputError(file=file, field="rejected", got=given, wanted="tables [[rejected]]")
    for row, values in enumerate(given, 1):
        if not isinstance(values, dict) or sorted(values) != sorted(names):
            raise InputError(file=file, row=row, field="rejected", got=values, wanted=f"the keys {', '.join(names)}")
        for key, value in values.items():
            if type(value) is not (int if key == "row" else str):
                wanted = "a whole number" if key == "row" else "a text"
                raise InputError(file=file, row=row, field=f"rejected.{key}", got=value, wanted=wanted)
        yield Rejected(**values)
