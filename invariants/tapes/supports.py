"""What a simulator can be driven to do; the generator stays inside it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from simcore import InputError, Rules

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

    def missing(self) -> tuple[str, ...]:
        """The names of what cannot be driven, and is therefore not verified."""
        return tuple(f.name for f in fields(self) if not getattr(self, f.name))
