"""The engines that can be driven: what is installed, what each declares, and what it cannot be driven to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simcore import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One engine in one version and one mode.

    ``rules`` and ``supports`` are its RULES (its profile, and what the driver sets) and SUPPORTS; ``driver`` is
    a file beside this one, given ``variant``. ``python``: the oldest that can have it, where this one may not do.
    ``known``: the pages on what it does wrong (``fixtures/cases/NAME/PAGE.md``), and what breaks by each.
    """

    name: str
    package: str
    version: str
    driver: str
    variant: str = ""
    python: str = "3.11"
    rules: Mapping[str, Any]
    supports: Mapping[str, bool]
    known: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def pages(self, law: str) -> list[str]:
        """Where to read why it breaks a law or relation, as paths in the source tree."""
        return [f"fixtures/cases/{self.name}/{page}.md" for page, laws in self.known.items() if law in laws]


_FLOATS = {"huge_sizes": False, "huge_prices": False}
"""Sizes and prices are doubles in the engine, or bounded: beyond 2**53, or less, there are no such numbers."""

_EXACT_RATE = "0.0009765625"
"""2**-10, so that fees of doubles are exact."""

_TTL_NS = 5_000_000_000
_LATENCY_NS = 300_000_000

_HFT_RULES = {"cap_action": "rest", "priority": "time", "fee_rate": _EXACT_RATE}
_HFT_AT_ONCE = {**_HFT_RULES, "latency_ns": 0, "cancel_latency_ns": 0}
_HFT_SUPPORTS = {
    **_FLOATS,
    "ttl": False,
    "cap": False,
    "initial_position": False,
    "tops": False,
    "unknown_aggressor": False,
}

_BAR_SUPPORTS = {**_FLOATS, "cap": False, "initial_position": False, "tops": False, "actions_between_events": False}

_NAUTILUS_RULES = {"latency_ns": 0, "cancel_latency_ns": 0, "ttl_ns": _TTL_NS, "fee_rate": "0.0001"}
_NAUTILUS_SUPPORTS = {
    **_HFT_SUPPORTS,
    "ttl": True,
    "trades_through": False,  # a trade beyond the limit fills the whole order, which no dial says
    "marketable_orders": False,  # without quotes the last trade is both sides of the book
}

ENGINES: tuple[Engine, ...] = (
    Engine(
        name="backtrader",
        package="backtrader",
        version="1.9.78.123",
        driver="backtrader.py",
        rules={"preset": "backtrader-ticks", "ttl_ns": _TTL_NS, "fee_rate": _EXACT_RATE},
        supports=_BAR_SUPPORTS,
        known={"cancel-at-once-is-lost": ("no_fill_after_cancel", "equals_reference")},
    ),
    Engine(
        name="backtesting.py",
        package="backtesting",
        version="0.6.6",
        driver="backtestingpy.py",
        rules={
            "preset": "backtestingpy-bars",
            "pricing": "improve",  # a bar of one price opens at the trade: beyond the limit the fill is there
            "priority": "time",
            "cap_action": "rest",
            "fee_rate": 0,
        },
        supports={**_BAR_SUPPORTS, "ttl": False},
    ),
    Engine(
        name="hftbacktest",
        package="hftbacktest",
        version="2.4.4",
        driver="hftbacktest.py",
        variant="nopartial",
        rules={"preset": "hftbacktest-nopartial", **_HFT_AT_ONCE},
        supports=_HFT_SUPPORTS,
    ),
    Engine(
        name="hftbacktest-latency",
        package="hftbacktest",
        version="2.4.4",
        driver="hftbacktest.py",
        variant="nopartial",
        rules={
            "preset": "hftbacktest-nopartial",
            **_HFT_RULES,
            "latency_ns": _LATENCY_NS + 1,  # what arrives at an instant comes after the trades of that instant
            "cancel_latency_ns": _LATENCY_NS,
        },
        supports={**_HFT_SUPPORTS, "early_cancels": False},  # an order in flight is not `cancellable`
    ),
    Engine(
        name="hftbacktest-partial",
        package="hftbacktest",
        version="2.4.4",
        driver="hftbacktest.py",
        variant="partial",
        rules={"preset": "hftbacktest-partial", **_HFT_AT_ONCE},
        # what one instant did to an order is seen as one drop; a trade beyond the limit fills the whole order
        supports={**_HFT_SUPPORTS, "same_instant": False, "trades_through": False},
        known={
            "exact-fill-stops-the-run": ("simulator_answers",),
            "partial-fill-is-free": ("fees_follow_schedule", "equals_reference"),
        },
    ),
    Engine(
        name="nautilus",
        package="nautilus_trader",
        version="1.221.0",
        driver="nautilus.py",
        # with fees its account cannot take a position through zero: the engine stops
        rules={"preset": "nautilus-trades-1.221", **_NAUTILUS_RULES, "fee_rate": 0},
        supports=_NAUTILUS_SUPPORTS,
        known={
            "crossed-order-is-missed": ("crossed_orders_fill", "equals_reference"),
            "sellers-fill-sells": (
                "fills_have_trades",
                "trade_volume_is_not_oversold",
                "mirror",
                "quiet_events",
                "equals_reference",
            ),
            "expired-order-fills": ("no_fill_after_expiry", "equals_reference"),
        },
    ),
    Engine(
        name="nautilus-1.231",
        package="nautilus_trader",
        version="1.231.0",
        python="3.12",
        driver="nautilus.py",
        rules={"preset": "nautilus-trades", **_NAUTILUS_RULES},
        supports=_NAUTILUS_SUPPORTS,
        known={
            "first-trade-fills-its-own-side": (
                "fills_have_trades",
                "trade_volume_is_not_oversold",
                "mirror",
                "quiet_events",
                "equals_reference",
            ),
            "rest-fills-at-any-price": ("fills_have_trades", "trade_volume_is_not_oversold", "equals_reference"),
            "expired-order-fills": ("no_fill_after_expiry", "equals_reference"),
            "limit-is-exceeded": ("fill_respects_limit",),
            "far-order-fills-another": ("equals_reference", "unfillable_order"),
        },
    ),
)


def engine_named(name: str) -> Engine:
    """The engine of this name. Raises ``InputError``."""
    found = next((engine for engine in ENGINES if engine.name == name), None)
    if found is None:
        wanted = f"one of {', '.join(engine.name for engine in ENGINES)}"
        raise InputError(file="simulator", field="engine", got=name, wanted=wanted)
    return found
