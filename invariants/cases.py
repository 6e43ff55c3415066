"""Case files (``*.case.json``, ``fillproof-case/1``), and the JSON in which simulators are asked.

A case keeps one scenario that broke a law or a relation, small, readable, and replayable for ever.
The same encoding speaks to a simulator in any language (``cmd:``), one line each way:

Question::

    {"tape": [{"type": "trade", "ns": 1, "price_ticks": 100, "size_lots": 2, "aggressor": "sell"},
              {"type": "top", "ns": 1, "bid_ticks": 99, "bid_lots": 1, "ask_ticks": 101, "ask_lots": 1}],
     "actions": [{"type": "submit", "ns": 0, "order_id": "a", "side": "buy", "price_ticks": 100, "size_lots": 2},
                 {"type": "cancel", "ns": 5, "order_id": "a"}],
     "rules": {"latency_ns": 0, "ttl_ns": null, ..., "fee_rate": "0"}}

``tape`` and ``actions`` are each in order; at one instant the tape comes first. ``aggressor`` is
"buy", "sell" or null. Every dial of the rules is there; null means none, ``fee_rate`` is decimal
text. An ``order_id`` is a whole number or a text, and comes back as it went.

Answer::

    {"fills": [{"ns": 1, "order_id": "a", "side": "buy", "price_ticks": 100, "size_lots": 2,
                "fee": "0.1", "trade_seq": 0}]}

or the bare list. ``fee`` (decimal text or a whole number, in ticks times lots) and ``trade_seq``
(the index in ``tape`` of the trade that caused the fill) may be null or left out. No other keys.

All numbers are whole and may be as large as int64. Beyond 2**53 a double (JavaScript's number, many
JSON libraries' default) loses digits: parse them as 64-bit or big integers.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from invariants.strictjson import check_keys, check_object, parse
from simcore import (
    Action,
    Cancel,
    Fill,
    InputError,
    Rules,
    Scenario,
    Side,
    Submit,
    TapeEvent,
    TopOfBook,
    Trade,
    simulate,
)
from simcore.errors import shorten
from simcore.units import INT64_MAX, decimal_of

FORMAT = "fillproof-case/1"
LARGEST_BYTES = 64 * 2**20

_SIDES = {"buy": Side.BUY, "sell": Side.SELL}
_TRADE = ("type", "ns", "price_ticks", "size_lots", "aggressor")
_TOP = ("type", "ns", "bid_ticks", "bid_lots", "ask_ticks", "ask_lots")
_SUBMIT = ("type", "ns", "order_id", "side", "price_ticks", "size_lots")
NOT_REPEATABLE = "asked once more, the simulator answered otherwise: replay asks it many times, and may still say fixed"
"""The note of a case that broke its law at one call and not at the next."""

_CANCEL = ("type", "ns", "order_id")
_FILL = ("ns", "order_id", "side", "price_ticks", "size_lots")
_CASE = ("format", "law", "message", "note", "version", "rules", "tape", "actions", "expected", "got")


def _version() -> str:
    try:
        return version_of("fillproof")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "unknown"


@dataclass(frozen=True, slots=True)
class Case:
    """A scenario that broke ``law`` (the name of a law or a relation).

    ``expected`` are the reference's fills, ``got`` the simulator's: None where it gave none (it
    crashed, say), and what is no proper ``Fill`` in it is kept as text.
    """

    scenario: Scenario
    law: str
    expected: Iterable[Fill]
    got: Iterable[Any] | None
    message: str = ""
    note: str = ""
    version: str = field(default_factory=_version)


def case_name(case: Case) -> str:
    """A file name that is the same for the same scenario and law."""
    text = json.dumps([case.law, scenario_to_json(case.scenario)], sort_keys=True)
    return f"{case.law}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.case.json"


def write_case(case: Case, path: str | Path) -> None:
    """Write ``case`` to ``path``, all of it or nothing; one event a line."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        scratch.write_text(_readable(_document(case)), encoding="utf-8")
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)


def _document(case: Case) -> dict[str, Any]:
    got = None if case.got is None else [_answer_to_json(fill) for fill in case.got]
    return {
        "format": FORMAT,
        "law": case.law,
        "message": case.message,
        "note": case.note,
        "version": case.version,
        **scenario_to_json(case.scenario),
        "expected": [_fill_to_json(fill) for fill in case.expected],
        "got": got,
    }


def _readable(document: Mapping[str, Any]) -> str:
    """JSON with one line for each plain value and each member of a list."""
    parts = []
    for key, value in document.items():
        text = json.dumps(value)
        if isinstance(value, list) and value:
            text = "[\n    " + ",\n    ".join(json.dumps(member) for member in value) + "\n  ]"
        parts.append(f"  {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def read_case(path: str | Path) -> Case:
    """Read a case file; without ``expected`` the reference says what that is. Raises ``InputError``."""
    file = str(path)
    try:
        size = Path(path).stat().st_size
        data = Path(path).read_bytes() if size <= LARGEST_BYTES else None
    except OSError as error:
        raise InputError(file=file, field="file", got=error.strerror, wanted="a readable file") from None
    if data is None:
        raise InputError(file=file, field="file", got=f"{size} bytes", wanted="at most 64 MiB")
    values = check_object(parse(data, file=file), file=file, field="text")
    if values.get("format") != FORMAT:
        raise InputError(file=file, field="format", got=values.get("format"), wanted=repr(FORMAT))
    optional = ("message", "note", "version", "expected", "got")
    check_keys(values, _CASE, file=file, required=tuple(key for key in _CASE if key not in optional))
    for key in ("law", "message", "note", "version"):
        if not isinstance(values.get(key, ""), str):
            raise InputError(file=file, field=key, got=values[key], wanted="a text")
    got = values.get("got")
    scenario = scenario_from_json({key: values[key] for key in ("tape", "actions", "rules")}, file=file)
    told = values.get("expected")
    expected = simulate(scenario) if "expected" not in values else fills_from_json(told, file=file, field="expected")
    return Case(
        scenario=scenario,
        law=values["law"],
        expected=expected,
        got=None if got is None else [_got(row, fill, file) for row, fill in enumerate(_list(got, "got", file), 1)],
        message=values.get("message", ""),
        note=values.get("note", ""),
        version=values.get("version", "unknown"),
    )


def _got(row: int, value: Any, file: str) -> Any:
    return value if isinstance(value, str) else _fill(value, file=file, row=row, prefix="got.")


def scenario_to_json(scenario: Scenario) -> dict[str, Any]:
    """``scenario`` as plain values for ``json.dumps``."""
    return {
        "tape": [_event_to_json(event) for event in scenario.tape],
        "actions": [_action_to_json(action) for action in scenario.actions],
        "rules": scenario.rules.to_dict(),
    }


def _event_to_json(event: TapeEvent) -> dict[str, Any]:
    if isinstance(event, Trade):
        aggressor = None if event.aggressor is None else event.aggressor.name.lower()
        return {"type": "trade", **_plain(event, _TRADE[1:4]), "aggressor": aggressor}
    return {"type": "top", **_plain(event, _TOP[1:])}


def _action_to_json(action: Action) -> dict[str, Any]:
    if isinstance(action, Submit):
        values = _plain(action, _SUBMIT[1:])
        return {"type": "submit", **values, "side": action.side.name.lower()}
    return {"type": "cancel", **_plain(action, _CANCEL[1:])}


def _plain(event: Any, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(event, name) for name in names}


def scenario_from_json(obj: Any, *, file: str = "scenario") -> Scenario:
    """The scenario of a question. Raises ``InputError``: field ``tape.ns``, row counted in its list."""
    values = check_object(obj, file=file, field="scenario")
    check_keys(values, ("tape", "actions", "rules"), file=file, required=("tape", "actions", "rules"))
    tape = [_event(event, file, row) for row, event in enumerate(_list(values["tape"], "tape", file), 1)]
    actions = [_action(action, file, row) for row, action in enumerate(_list(values["actions"], "actions", file), 1)]
    rules = check_object(values["rules"], file=file, field="rules")
    try:
        return Scenario(tuple(tape), tuple(actions), Rules.from_dict(rules))
    except InputError as error:
        where = error.field if error.file == "scenario" else f"{error.file}.{error.field}"
        raise InputError(file=file, row=error.row, field=where, got=error.got, wanted=error.wanted) from None


def _list(value: Any, name: str, file: str) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(file=file, field=name, got=value, wanted="a list")
    return value


def _event(value: Any, file: str, row: int) -> TapeEvent:
    values = _member(value, {"trade": _TRADE, "top": _TOP}, "tape", file, row)
    names = _TRADE[1:4] if values["type"] == "trade" else _TOP[1:]
    numbers = {name: _whole(values, name, "tape.", file, row) for name in names}
    if values["type"] == "top":
        return TopOfBook(**numbers)
    taker = values["aggressor"]
    return Trade(**numbers, aggressor=None if taker is None else _side(taker, "tape.aggressor", file, row))


def _action(value: Any, file: str, row: int) -> Action:
    values = _member(value, {"submit": _SUBMIT, "cancel": _CANCEL}, "actions", file, row)
    order_id = _order_id(values, "actions.", file, row)
    ns = _whole(values, "ns", "actions.", file, row)
    if values["type"] == "cancel":
        return Cancel(ns, order_id)
    price, size = (_whole(values, name, "actions.", file, row) for name in ("price_ticks", "size_lots"))
    return Submit(ns, order_id, _side(values["side"], "actions.side", file, row), price, size)


def _member(value: Any, kinds: dict[str, tuple[str, ...]], table: str, file: str, row: int) -> dict[str, Any]:
    """An object of one of these types, with exactly its keys."""
    values = check_object(value, file=file, row=row, field=table)
    kind = values.get("type")
    if not isinstance(kind, str) or kind not in kinds:
        raise InputError(file=file, row=row, field=f"{table}.type", got=kind, wanted=" or ".join(kinds))
    check_keys(values, kinds[kind], required=kinds[kind], prefix=f"{table}.", file=file, row=row)
    return values


def _whole(values: dict[str, Any], name: str, prefix: str, file: str, row: int) -> int:
    value = values[name]
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > INT64_MAX:
        raise InputError(file=file, row=row, field=prefix + name, got=value, wanted="a whole number inside int64")
    return value


def _order_id(values: dict[str, Any], prefix: str, file: str, row: int) -> int | str:
    value = values["order_id"]
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise InputError(file=file, row=row, field=f"{prefix}order_id", got=value, wanted="a whole number or a text")
    return value


def _side(value: Any, name: str, file: str, row: int) -> Side:
    if not isinstance(value, str) or value not in _SIDES:
        raise InputError(file=file, row=row, field=name, got=value, wanted="'buy' or 'sell'")
    return _SIDES[value]


def fills_to_json(fills: Iterable[Fill]) -> dict[str, Any]:
    """``fills`` as an answer, for ``json.dumps``."""
    return {"fills": [_fill_to_json(fill) for fill in fills]}


def _fill_to_json(fill: Fill) -> dict[str, Any]:
    values = {**_plain(fill, _FILL), "side": Side(fill.side).name.lower()}
    if fill.fee is not None:
        values["fee"] = str(fill.fee)
    if fill.trade_seq is not None:
        values["trade_seq"] = fill.trade_seq
    return values


def _answer_to_json(fill: Any) -> Any:
    """A fill as it can be read back; whatever else a simulator answered, as text."""
    try:
        values = _fill_to_json(fill)
        _fill(json.loads(json.dumps(values)), file="answer", row=1)
    except (AttributeError, TypeError, ValueError):
        return shorten(fill)
    return values


def fills_from_json(obj: Any, *, file: str = "answer", field: str = "fills") -> list[Fill]:
    """The fills of an answer: ``{"fills": [...]}`` or the bare list. Raises ``InputError`` with the row."""
    if isinstance(obj, dict):
        check_keys(obj, ("fills",), file=file, required=("fills",))
        obj = obj["fills"]
    prefix = "" if field == "fills" else f"{field}."
    return [_fill(value, file=file, row=row, prefix=prefix) for row, value in enumerate(_list(obj, field, file), 1)]


def _fill(value: Any, *, file: str, row: int, prefix: str = "") -> Fill:
    values = check_object(value, file=file, row=row, field=f"{prefix}fill")
    check_keys(values, (*_FILL, "fee", "trade_seq"), required=_FILL, prefix=prefix, file=file, row=row)
    ns, price, size = (_whole(values, name, prefix, file, row) for name in ("ns", "price_ticks", "size_lots"))
    side = _side(values["side"], f"{prefix}side", file, row)
    order_id = _order_id(values, prefix, file, row)
    return Fill(ns, order_id, side, price, size, _fee(values, prefix, file, row), _seq(values, prefix, file, row))


def _fee(values: dict[str, Any], prefix: str, file: str, row: int) -> Decimal | None:
    fee = values.get("fee")
    return None if fee is None else decimal_of(fee, field=f"{prefix}fee", file=file, row=row)


def _seq(values: dict[str, Any], prefix: str, file: str, row: int) -> int | None:
    if values.get("trade_seq") is None:
        return None
    seq = _whole(values, "trade_seq", prefix, file, row)
    if seq < 0:
        raise InputError(file=file, row=row, field=f"{prefix}trade_seq", got=seq, wanted="an index in the tape")
    return seq
