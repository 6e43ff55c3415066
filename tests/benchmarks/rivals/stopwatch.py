"""``python stopwatch.py RIVAL QUESTIONS``: how fast a simulator is, inside its own process and environment.

RIVAL is a file with ``replay(scenario) -> fills`` and ``load(scenario) -> run``, where ``run()`` gives the fills;
plain JSON values all. QUESTIONS is JSON: many small ``scenarios``, for which ``replay`` is measured, and the long
``tapes``, for which ``run`` alone is. Seconds are those of the processor, the best of TIMES.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

TIMES = 3


def main(rival: str, questions: str) -> None:
    """Print what was measured as JSON."""
    asked = json.loads(Path(questions).read_text(encoding="utf-8"))
    started = time.process_time()
    module = _imported(rival)
    module.replay(asked["scenarios"][0])
    module.load(asked["scenarios"][0])()  # compilers are done after this
    start_up = time.process_time() - started
    rounds = [_replayed(module, asked["scenarios"]) for _ in range(TIMES)]
    told = {
        "start_up_seconds": start_up,
        "scenario_seconds": min(seconds for seconds, _ in rounds),
        "scenario_fills": rounds[0][1],
        "tapes": {name: _tape(module, tape) for name, tape in asked["tapes"].items()},
    }
    sys.stdout.write(json.dumps(told) + "\n")


def _replayed(module: Any, scenarios: list[Any]) -> tuple[float, list[Any]]:
    started = time.process_time()
    fills = [module.replay(scenario) for scenario in scenarios]
    return time.process_time() - started, fills


def _tape(module: Any, scenario: Any) -> dict[str, Any]:
    rounds = []
    for _ in range(TIMES):
        run = module.load(scenario)
        started = time.process_time()
        fills = run()
        rounds.append((time.process_time() - started, fills))
    return {"seconds": min(seconds for seconds, _ in rounds), "fills": rounds[0][1]}


def _imported(rival: str) -> Any:
    """By path: no folder of ours may stand on the path, where a file is called as an engine."""
    found = spec_from_file_location("rival", rival)
    if found is None or found.loader is None:
        raise ImportError(f"{rival} is no Python source")
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main(*sys.argv[1:])
