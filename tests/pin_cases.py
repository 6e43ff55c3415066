"""``python tests/pin_cases.py``: hunt every fault and keep the smallest scenario that convicts it.

Writes ``fixtures/cases/faults/NAME.case.json``. ``test_faults.py`` holds the hunt to these files, so
run this only after a change that was meant to change them, and read the difference.
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from hunting import breaks, hunt, scenarios_for, smallest  # noqa: E402

from fixtures.faults import FAULTS  # noqa: E402
from invariants.cases import Case, write_case  # noqa: E402
from simcore import simulate  # noqa: E402

FOLDER = ROOT / "fixtures" / "cases" / "faults"


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for stale in set(FOLDER.iterdir()) - {FOLDER / f"{fault.name}.case.json" for fault in FAULTS}:
        stale.unlink()
    for fault in FAULTS:
        kill = hunt(breaks(fault.law, fault.fresh), scenarios_for(fault), seed=f"0/{fault.name}")
        if kill.scenario is None:
            raise SystemExit(f"{fault.name} got away")
        small = smallest(fault, kill.scenario)
        got = list(fault.fresh()(copy.deepcopy(small)))  # some faults change what they are given
        case = Case(scenario=small, law=fault.law, expected=simulate(small), got=got, message=fault.belief)
        write_case(case, FOLDER / f"{fault.name}.case.json")


if __name__ == "__main__":
    main()
