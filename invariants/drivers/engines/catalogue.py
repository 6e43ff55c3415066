"""The engines that can be driven: what is installed, what each declares, and what it cannot be driven to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simcore import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One engine in one version and one mode.

    ``rules`` and ``supports`` are its RULES (its profile, and what the driver sets) and SUPPORTS; ``driver`` is
    a file beside this one, given ``variant``. ``python``: the oldest that can have it, where this one may not do.
    """

    name: str
    package: str
    version: str
    driver: str
    variant: str = ""
    python: str = "3.11"
    rules: Mapping[str, Any]
    supports: Mapping[str, bool]


_FLOATS = {"huge_sizes": False, "huge_prices": False}
"""Sizes and prices are doubles in the engine, or bounded: beyond 2**53, or less, there are no such numbers."""

_HFT_RULES = {"latency_ns": 0, "cancel_latency_ns": 0, "priority": "time", "cap_action": "rest", "fee_rate": 0}
_HFT_SUPPORTS = {
    **_FLOATS,
    "ttl": False,
    "cap": False,
    "initial_position": False,
    "tops": False,
    "unknown_aggressor": False,
}

_NAUTILUS_RULES = {"latency_ns": 0, "cancel_latency_ns": 0, "ttl_ns": "none", "fee_rate": 0}
_NAUTILUS_SUPPORTS = {
    **_HFT_SUPPORTS,
    "trades_through": False,  # a trade beyond the limit fills the whole order, which no dial says
    "marketable_orders": False,  # without quotes the last trade is both sides of the book
}

ENGINES: tuple[Engine, ...] = (
    Engine(
        name="backtrader",
        package="backtrader",
        version="1.9.78.123",
        driver="backtrader.py",
        rules={"preset": "backtrader-ticks", "fee_rate": 0},
        supports={
            **_FLOATS,
            "ttl": False,
            "cap": False,
            "initial_position": False,
            "tops": False,
            "actions_between_events": False,
        },
    ),
    Engine(
        name="hftbacktest",
        package="hftbacktest",
        version="2.4.4",
        driver="hftbacktest.py",
        variant="nopartial",
        rules={"preset": "hftbacktest-nopartial", **_HFT_RULES},
        supports=_HFT_SUPPORTS,
    ),
    Engine(
        name="hftbacktest-partial",
        package="hftbacktest",
        version="2.4.4",
        driver="hftbacktest.py",
        variant="partial",
        rules={"preset": "hftbacktest-partial", **_HFT_RULES},
        # what one instant did to an order is seen as one drop; a trade beyond the limit fills the whole order
        supports={**_HFT_SUPPORTS, "same_instant": False, "trades_through": False},
    ),
    Engine(
        name="nautilus",
        package="nautilus_trader",
        version="1.221.0",
        driver="nautilus.py",
        rules={"preset": "nautilus-trades-1.221", **_NAUTILUS_RULES},
        supports=_NAUTILUS_SUPPORTS,
    ),
    Engine(
        name="nautilus-1.231",
        package="nautilus_trader",
        version="1.231.0",
        python="3.12",
        driver="nautilus.py",
        rules={"preset": "nautilus-trades", **_NAUTILUS_RULES},
        supports=_NAUTILUS_SUPPORTS,
    ),
)


def engine_named(name: str) -> Engine:
    """The engine of this name. Raises ``InputError``."""
    found = next((engine for engine in ENGINES if engine.name == name), None)
    if found is None:
        wanted = f"one of {', '.join(engine.name for engine in ENGINES)}"
        raise InputError(file="simulator", field="engine", got=name, wanted=wanted)
    return found
