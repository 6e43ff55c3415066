"""What a simulator can be driven to do; the generator stays inside it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from itertools import takewhile
from typing import Any

from simcore import Action, Cancel, InputError, Rules, Scenario, Side, Submit, TapeEvent, TopOfBook, Trade

_HUGE_LOTS = 2**30


@dataclass(frozen=True, slots=True)
class Supports:
    """One switch per thing that a simulator may be unable to do; all on by default.

    ``actions_between_events`` off: every action happens at the instant of a tape event.
    ``same_instant`` off: no two tape events share a nanosecond. ``huge_prices`` off: a double holds
    every price. ``trades_through`` off: no trade lies beyond the limit of an order that it could fill.
    ``marketable_orders`` off: no order is submitted at or beyond the price of the last trade.
    ``early_cancels`` off: no cancel is sent before its order has arrived.
    """

    cancels: bool = True
    ttl: bool = True
    cap: bool = True
    tops: bool = True
    str_ids: bool = True
    initial_position: bool = True
    actions_between_events: bool = True
    same_instant: bool = True
    unknown_aggressor: bool = True
    huge_sizes: bool = True
    huge_prices: bool = True
    trades_through: bool = True
    marketable_orders: bool = True
    early_cancels: bool = True

    @classmethod
    def declared(cls, given: Any, *, file: str = "SUPPORTS") -> Supports:
        """From a ``SUPPORTS`` declaration: a mapping name -> bool, or a collection of what is supported."""
        if isinstance(given, cls):
            return given
        names = [f.name for f in fields(cls)]
        if isinstance(given, Mapping):
            switches = dict(given)
        elif isinstance(given, Collection) and not isinstance(given, str):
            switches = {**dict.fromkeys(names, False), **dict.fromkeys(given, True)}
        else:
            raise InputError(file=file, field="SUPPORTS", got=given, wanted="a mapping of names to true or false")
        for name, value in switches.items():
            if name not in names:
                raise InputError(file=file, field="SUPPORTS", got=name, wanted=f"one of {', '.join(names)}")
            if not isinstance(value, bool):
                raise InputError(file=file, field=name, got=value, wanted="true or false")
        return cls(**switches)

    def within(self, rules: Rules) -> Rules:
        """``rules`` with the dials that cannot be driven turned to what needs no support."""
        changes: dict[str, Any] = {}
        if not self.ttl:
            changes["ttl_ns"] = None
        if not self.cap:
            changes["position_cap_lots"] = None
        if not self.initial_position:
            changes["initial_position_lots"] = 0
        cap_lots = changes.get("position_cap_lots", rules.position_cap_lots)
        if not self.huge_sizes and cap_lots is not None and cap_lots >= _HUGE_LOTS:
            changes |= {"position_cap_lots": 10, "initial_position_lots": 0}
        if not self.huge_sizes and abs(rules.initial_position_lots) >= _HUGE_LOTS:
            changes["initial_position_lots"] = 0
        return replace(rules, **changes) if changes else rules

    def scenario(self, tape: list[Trade | TopOfBook], actions: list[Submit | Cancel], rules: Rules) -> Scenario:
        """What of them can be driven; both stand in the order of their times."""
        if not self.same_instant:
            tape = _one_by_one(tape)
        if not self.trades_through:
            tape = [e for e in tape if not (isinstance(e, Trade) and is_through(e, actions, rules))]
        if not self.actions_between_events:
            actions = _at_events(actions, tape)
        if not self.marketable_orders:
            taken = {a.order_id for a in actions if isinstance(a, Submit) and is_marketable(a, tape)}
            actions = [a for a in actions if a.order_id not in taken]
        if not self.early_cancels:
            actions = [a for a in actions if not is_early(a, actions, rules)]
        return Scenario(tuple(tape), tuple(actions), rules)

    def missing(self) -> tuple[str, ...]:
        """The names of what cannot be driven, and is therefore not verified."""
        return tuple(f.name for f in fields(self) if not getattr(self, f.name))


def is_through(trade: Trade, actions: Iterable[Action], rules: Rules) -> bool:
    """Whether the trade lies beyond the limit of an order that it could fill, were the order live."""
    return any(
        isinstance(a, Submit)
        and a.side * (a.price_ticks - trade.price_ticks) > 0
        and (rules.aggressor == "any" or trade.aggressor == Side(-a.side))
        for a in actions
    )


def is_marketable(submit: Submit, tape: Iterable[TapeEvent]) -> bool:
    """Whether the last trade before the order, or at its instant, was at its limit or better."""
    prices = [e.price_ticks for e in tape if isinstance(e, Trade) and e.ns <= submit.ns]
    return bool(prices) and submit.side * (submit.price_ticks - prices[-1]) >= 0


def is_early(action: Action, actions: Iterable[Action], rules: Rules) -> bool:
    """Whether the action is a cancel of an order that has not arrived, or is not even sent, yet."""
    before = takewhile(lambda a: a is not action, actions)
    sent = [a.ns for a in before if isinstance(a, Submit) and a.order_id == action.order_id]
    return isinstance(action, Cancel) and (not sent or action.ns < sent[0] + rules.latency_ns)


def _one_by_one(tape: list[Trade | TopOfBook]) -> list[Trade | TopOfBook]:
    """Tape events of one instant moved apart, a nanosecond each."""
    moved: list[Trade | TopOfBook] = []
    for event in tape:
        ns = event.ns if not moved else max(event.ns, moved[-1].ns + 1)
        if isinstance(event, Trade):
            moved.append(Trade(ns, event.price_ticks, event.size_lots, event.aggressor))
        else:
            moved.append(TopOfBook(ns, event.bid_ticks, event.bid_lots, event.ask_ticks, event.ask_lots))
    return moved


def _at_events(actions: list[Submit | Cancel], tape: list[Trade | TopOfBook]) -> list[Submit | Cancel]:
    """Actions moved to the instant of the next tape event; those after the last are left out."""
    moved: list[Submit | Cancel] = []
    for action in actions:
        ns = next((e.ns for e in tape if e.ns >= action.ns), None)
        if ns is None:
            continue
        if isinstance(action, Submit):
            moved.append(Submit(ns, action.order_id, action.side, action.price_ticks, action.size_lots))
        else:
            moved.append(Cancel(ns, action.order_id))
    submitted = {a.order_id for a in moved if isinstance(a, Submit)}
    return [a for a in moved if a.order_id in submitted]
