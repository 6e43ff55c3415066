"""NautilusTrader through the driver of the suite; tops of book are quotes, which the driver does not give."""

from __future__ import annotations

import sys
from collections.abc import Callable
from decimal import Decimal
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from nautilus_trader.model import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
    Price,
    Quantity,
    QuoteTick,
)

DRIVER = Path(__file__).parents[3] / "invariants" / "drivers" / "engines" / "nautilus.py"

Values = dict[str, Any]


def _driver() -> Any:
    found = spec_from_file_location("driver", DRIVER)
    if found is None or found.loader is None:
        raise ImportError(f"{DRIVER} is no Python source")
    module = sys.modules["driver"] = module_from_spec(found)
    found.loader.exec_module(module)
    return module


driver = _driver()
replay = driver.prepare("")


def load(scenario: Values) -> Callable[[], list[Values]]:
    """A new engine with all data and the script in it; what is left to do is to run."""
    engine = driver.engine_of(Decimal(scenario["rules"]["fee_rate"]))
    trades = [event for event in scenario["tape"] if event["type"] == "trade"]
    script = driver.loaded(engine, {**scenario, "tape": trades})
    tops = [event for event in scenario["tape"] if event["type"] == "top"]
    if tops:
        engine.add_data([_quote(top) for top in tops])  # sorted in, behind the trades of the same instant

    def run() -> list[Values]:
        engine.run(start=script.start_ns)
        fills: list[Values] = script.fills
        return fills

    return run


def _quote(top: Values) -> Any:
    ns = top["ns"] + driver.LATER_NS
    prices = (Price(top["bid_ticks"], 0), Price(top["ask_ticks"], 0))
    sizes = (Quantity(top["bid_lots"], 0), Quantity(top["ask_lots"], 0))
    return QuoteTick(driver.ID, *prices, *sizes, ns, ns)
