"""The reference simulator: its loop alone under ``load``, from plain values to plain values under ``replay``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[3])]

from invariants.cases import fills_to_json, scenario_from_json
from simcore import simulate

Values = dict[str, Any]


def replay(scenario: Values) -> list[Values]:
    """What ``simulate`` answers."""
    return _told(simulate(scenario_from_json(scenario)))


def load(scenario: Values) -> Callable[[], list[Values]]:
    """``simulate``, ready to go."""
    ready = scenario_from_json(scenario)
    return lambda: _told(simulate(ready))


def _told(fills: list[Any]) -> list[Values]:
    told: list[Values] = fills_to_json(fills)["fills"]
    return told
