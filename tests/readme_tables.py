"""``python tests/readme_tables.py``: write the generated tables of README.md anew."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from test_perft import COUNTS, FOUR  # noqa: E402

from fixtures.faults import FAULTS  # noqa: E402
from fixtures.faults.classes import INEXPRESSIBLE  # noqa: E402
from fixtures.faults.records import RECORD_FAULTS  # noqa: E402
from fixtures.honest import HONEST  # noqa: E402
from invariants.laws import LAWS  # noqa: E402
from invariants.relations import RELATIONS  # noqa: E402
from invariants.tapes.exhaustive import EXHAUSTIVE_RULES  # noqa: E402
from simcore import Rules  # noqa: E402
from simcore.rules import DIALS  # noqa: E402

README = ROOT / "README.md"
PLAIN = Rules(latency_ns=0, ttl_ns=None, position_cap_lots=None)


def _table(*rows: tuple[object, ...]) -> str:
    lines = ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def laws() -> str:
    rows = []
    for law in LAWS:
        only = ", ".join(f"{d} {'given' if w == (...,) else ' or '.join(map(str, w))}" for d, w in law.only.items())
        needs = [n for n in law.needs if n != "fills"]
        rows.append(
            (f"`{law.name}`", law.statement, only or "all", ", ".join(needs[:4]) + (" ..." if needs[4:] else "") or "-")
        )
    return _table(("law", "statement", "applies under", "needs"), *rows)


def relations() -> str:
    return _table(("relation", "statement"), *((f"`{r.name}`", r.statement) for r in RELATIONS))


def perft() -> str:
    rows = []
    for rules, counts, four in zip(EXHAUSTIVE_RULES, COUNTS, FOUR, strict=True):
        differ = [f"{d} {getattr(rules, d)}" for d in DIALS if getattr(rules, d) != getattr(PLAIN, d)]
        rows.append((", ".join(differ), counts[2].scenarios, counts[3].scenarios, four.scenarios, four.fills))
    sums = [sum(row[i] for row in rows) for i in range(1, 5)]
    head = ("corner rules (else: no latency, no ttl, no cap)", "K = 2", "K = 3", "K = 4: scenarios", "fills")
    return _table(head, *rows, ("all", *sums))


def classes() -> str:
    return _table(("class", "why"), *((f"`{name}`", why) for name, why in INEXPRESSIBLE.items()))


def generated() -> dict[str, str]:
    """What stands between each pair of markers."""
    tables = {"laws": laws(), "relations": relations(), "perft": perft(), "classes": classes()}
    counts = {"fault-count": len(FAULTS), "record-count": len(RECORD_FAULTS), "honest-count": len(HONEST)}
    return {name: f"\n{text}\n" for name, text in tables.items()} | {name: str(n) for name, n in counts.items()}


def renewed(text: str) -> str:
    """README.md with every generated part renewed."""
    for name, inner in generated().items():
        pattern = re.compile(rf"(<!-- {name} -->).*?(<!-- /{name} -->)", re.DOTALL)
        assert len(pattern.findall(text)) == 1, name
        text = pattern.sub(lambda found, inner=inner: f"{found[1]}{inner}{found[2]}", text)
    return text


if __name__ == "__main__":
    README.write_text(renewed(README.read_text(encoding="utf-8")), encoding="utf-8")
