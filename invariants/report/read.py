"""Reading a report back, strictly: what is not exactly a report is named and refused."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from invariants.strictjson import parse
from simcore import InputError

LARGEST_BYTES = 2**28
_SEVERITY = ("not applicable", "pass", "unknown", "fail")


@lru_cache(maxsize=1)
def schema() -> dict[str, Any]:
    """The JSON Schema of ``fillproof-report/1``."""
    text = (files("invariants.report") / "schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def read_report(path: str | Path) -> dict[str, Any]:
    """The report at ``path`` as plain values. Raises ``InputError`` for anything but a valid report."""
    file = str(path)
    report = parse(_read(file), file=file)
    _check_schema(file, report)
    _check_sense(file, report)
    checked: dict[str, Any] = _plain(report)
    return checked


def _read(file: str) -> bytes:
    try:
        size = Path(file).stat().st_size
        if size > LARGEST_BYTES:
            raise InputError(file=file, field="file", got=f"{size} bytes", wanted=f"at most {LARGEST_BYTES} bytes")
        return Path(file).read_bytes()
    except OSError as error:
        raise InputError(file=file, field="file", got=error.strerror, wanted="a readable report") from None


def _plain(value: Any) -> Any:
    """Decimals as floats: nothing in a report is money."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return float(value) if isinstance(value, Decimal) else value


def _check_schema(file: str, report: Any) -> None:
    # an audit reads no report, and need not wait for this
    from jsonschema import Draft202012Validator  # noqa: PLC0415
    from jsonschema.exceptions import best_match  # noqa: PLC0415

    error = best_match(Draft202012Validator(schema()).iter_errors(report))
    if error is not None:
        field, got, wanted = _words(error)
        raise InputError(file=file, field=field, got=got, wanted=wanted)


def _words(error: Any) -> tuple[str, Any, str]:
    """Field path, what stands there, and what should, of a validation error."""
    field, got, wanted = path_of(error.absolute_path), error.instance, error.validator_value
    match error.validator:
        case "required":
            missing = next(name for name in wanted if name not in got)
            field, got, wanted = _inside(field, missing), "nothing", "a value: the key is required"
        case "additionalProperties" if wanted is False:
            extra = next(name for name in got if name not in error.schema["properties"])
            field, got, wanted = _inside(field, extra), got[extra], f"one of {', '.join(error.schema['properties'])}"
        case "type":
            wanted = f"the type {wanted if isinstance(wanted, str) else ' or '.join(wanted)}"
        case "enum":
            wanted = f"one of {', '.join(wanted)}"
        case "minimum":
            wanted = f"at least {wanted}"
        case "minLength":
            wanted = "a text that is not empty"
        case word:
            wanted = f"{word} {wanted}"
    return field, got, wanted


def path_of(parts: Iterable[str | int]) -> str:
    """``laws[2].findings[0].row``, the way one would write it in code; the whole is ``report``."""
    path = ""
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path or "report"


def _inside(field: str, name: str) -> str:
    return name if field == "report" else f"{field}.{name}"


def _check_sense(file: str, report: dict[str, Any]) -> None:
    """What no schema can say: names are unique, counts agree, the verdict is the worst one."""
    seen: set[str] = set()
    for index, law in enumerate(report["laws"]):
        at = f"laws[{index}]"
        if law["law"] in seen:
            raise InputError(file=file, field=f"{at}.law", got=law["law"], wanted="each law once")
        seen.add(law["law"])
        for count, most in (("failed", law["judged"]), ("by_model", law["judged"])):
            if law[count] > most:
                wanted = f"no more than the {most} rows judged"
                raise InputError(file=file, field=f"{at}.{count}", got=law[count], wanted=wanted)
        if len(law["findings"]) > law["failed"]:
            wanted = f"no more than the {law['failed']} rows failed"
            raise InputError(file=file, field=f"{at}.findings", got=len(law["findings"]), wanted=wanted)
    worst = max((law["verdict"] for law in report["laws"]), key=_SEVERITY.index, default="unknown")
    worst = "unknown" if worst == "not applicable" else worst
    if report["verdict"] != worst:
        raise InputError(file=file, field="verdict", got=report["verdict"], wanted=f"the worst of its laws, {worst!r}")
    for table, rows in report["rows"].items():
        if rows["read"] != rows["judged"] + rows["rejected"]:
            wanted = f"judged + rejected, {rows['judged'] + rows['rejected']}"
            raise InputError(file=file, field=f"rows.{table}.read", got=rows["read"], wanted=wanted)
    if len(report["rejected"]["rows"]) > report["rejected"]["total"]:
        got, wanted = report["rejected"]["total"], f"at least the {len(report['rejected']['rows'])} rows listed"
        raise InputError(file=file, field="rejected.total", got=got, wanted=wanted)
