"""A scenario: all that a simulator is given. One that exists is valid."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from simcore.errors import InputError
from simcore.events import Action, Cancel, Submit, TapeEvent, TopOfBook, Trade
from simcore.rules import Rules
from simcore.units import INT64_MAX, LARGEST_LOTS, LARGEST_TICKS, Side

_EVENTS, _ACTIONS = (Trade, TopOfBook), (Submit, Cancel)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Tape, actions and rules, each in its given order (any iterables; kept as tuples).

    Raises ``InputError`` when an event is malformed, a stream runs backwards, an id is submitted
    twice, a cancel names an order that is never submitted, or the rules leave a dial undeclared.
    """

    tape: tuple[TapeEvent, ...] = ()
    actions: tuple[Action, ...] = ()
    rules: Rules = field(default_factory=Rules)

    def __post_init__(self) -> None:
        if not isinstance(self.rules, Rules):
            raise InputError(field="rules", got=self.rules, wanted="Rules")
        object.__setattr__(self, "tape", _events("tape", self.tape))
        object.__setattr__(self, "actions", _events("actions", self.actions))
        if self.rules.undeclared:
            raise InputError(field="rules", got=sorted(self.rules.undeclared), wanted="every dial declared")
        _check_tape(self.tape)
        _check_actions(self.actions)


def _events(name: str, given: Any) -> tuple[Any, ...]:
    try:
        each = iter(given)
    except TypeError:
        raise InputError(field=name, got=given, wanted="an iterable of events") from None
    return tuple(each)


def _check_tape(tape: Iterable[Any]) -> None:
    last_ns = total_lots = 0
    for row, event in enumerate(tape, 1):
        if not isinstance(event, _EVENTS):
            raise InputError(file="tape", row=row, field="event", got=event, wanted="a Trade or a TopOfBook")
        _check_ns(event.ns, last_ns, "tape", row)
        last_ns = event.ns
        if isinstance(event, Trade):
            _check_positive(event.price_ticks, LARGEST_TICKS, "price_ticks", "tape", row)
            _check_positive(event.size_lots, LARGEST_LOTS, "size_lots", "tape", row)
            if event.aggressor is not None:
                _check_side(event.aggressor, "aggressor", "tape", row)
            total_lots += event.size_lots
        else:
            for name in ("bid_ticks", "bid_lots", "ask_ticks", "ask_lots"):
                _check_positive(getattr(event, name), LARGEST_TICKS, name, "tape", row)
        if total_lots > LARGEST_LOTS:
            raise InputError(file="tape", row=row, field="size_lots", got=total_lots, wanted="a total within 2**61")


def _check_actions(actions: Iterable[Any]) -> None:
    last_ns = total_lots = 0
    submitted: set[Any] = set()
    cancelled: dict[Any, int] = {}
    for row, action in enumerate(actions, 1):
        if not isinstance(action, _ACTIONS):
            raise InputError(file="actions", row=row, field="action", got=action, wanted="a Submit or a Cancel")
        _check_ns(action.ns, last_ns, "actions", row)
        last_ns = action.ns
        name = action.order_id
        if isinstance(name, bool) or not isinstance(name, int | str):
            raise InputError(file="actions", row=row, field="order_id", got=name, wanted="an int or a str")
        if isinstance(action, Submit):
            if name in submitted:
                raise InputError(file="actions", row=row, field="order_id", got=name, wanted="an id never used before")
            submitted.add(name)
            _check_side(action.side, "side", "actions", row)
            _check_positive(action.price_ticks, LARGEST_TICKS, "price_ticks", "actions", row)
            _check_positive(action.size_lots, LARGEST_LOTS, "size_lots", "actions", row)
            total_lots += action.size_lots
        else:
            cancelled.setdefault(name, row)
        if total_lots > LARGEST_LOTS:
            raise InputError(file="actions", row=row, field="size_lots", got=total_lots, wanted="a total within 2**61")
    for name, row in cancelled.items():
        if name not in submitted:
            raise InputError(file="actions", row=row, field="order_id", got=name, wanted="the id of a submitted order")


def _check_ns(ns: Any, last_ns: int, file: str, row: int) -> None:
    if isinstance(ns, bool) or not isinstance(ns, int) or not 0 <= ns <= INT64_MAX:
        raise InputError(file=file, row=row, field="ns", got=ns, wanted="whole nanoseconds since 1970, inside int64")
    if ns < last_ns:
        raise InputError(file=file, row=row, field="ns", got=ns, wanted=f"no earlier than the row before, {last_ns}")


def _check_positive(value: Any, high: int, name: str, file: str, row: int) -> None:
    if type(value) is int and 0 < value <= high:  # nearly always
        return
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= high:
        raise InputError(file=file, row=row, field=name, got=value, wanted=f"a whole number from 1 to {high}")


def _check_side(value: Any, name: str, file: str, row: int) -> None:
    if not isinstance(value, Side):
        raise InputError(file=file, row=row, field=name, got=value, wanted="Side.BUY or Side.SELL")
