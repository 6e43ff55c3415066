"""Inside an engine's environment, where fillproof is not: ``python inside.py DRIVER VARIANT``.

Speaks the ``cmd:`` protocol (see ``invariants.cases``) for DRIVER, a file with a function
``prepare(variant)`` that returns ``replay(scenario) -> fills``, plain JSON values both. Where that raises,
the answer is the error instead of fills, which is no proper answer: the process goes on.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any


def main(driver: str, variant: str) -> None:
    """Answer every line of standard input until its end; whatever the engine prints goes to standard error."""
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)  # an engine may print from C or Rust, past sys.stdout
        replay = _prepared(driver, variant)
        for line in sys.stdin:
            answers.write(json.dumps(_answer(replay, line)) + "\n")
            answers.flush()


def _answer(replay: Callable[[Any], Any], line: str) -> dict[str, Any]:
    try:
        return {"fills": replay(json.loads(line))}
    except Exception as error:  # noqa: BLE001 - a stranger's code may raise anything
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}"}


def _prepared(driver: str, variant: str) -> Callable[[Any], Any]:
    """What the driver's ``prepare`` returns; it is imported by path, so that it may be called as its engine."""
    found = spec_from_file_location("driver", driver)
    if found is None or found.loader is None:
        raise ImportError(f"{driver} is no Python source")
    module = sys.modules["driver"] = module_from_spec(found)
    found.loader.exec_module(module)
    replay: Callable[[Any], Any] = module.prepare(variant)
    return replay


if __name__ == "__main__":
    main(*sys.argv[1:])
