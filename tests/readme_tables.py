"""``python tests/readme_tables.py``: write the generated tables of README.md anew."""

from __future__ import annotations

import re
import sys
from importlib.resources import files
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from test_perft import COUNTS, FOUR  # noqa: E402

from fixtures.faults import FAULTS  # noqa: E402
from fixtures.faults.classes import INEXPRESSIBLE  # noqa: E402
from fixtures.faults.records import RECORD_FAULTS  # noqa: E402
from fixtures.honest import HONEST  # noqa: E402
from invariants import Report, Verdict, audit  # noqa: E402
from invariants.laws import LAWS  # noqa: E402
from invariants.readers import read_run  # noqa: E402
from invariants.relations import RELATIONS  # noqa: E402
from invariants.tapes.exhaustive import EXHAUSTIVE_RULES  # noqa: E402
from simcore import Rules  # noqa: E402
from simcore.rules import DIALS, presets  # noqa: E402

README = ROOT / "README.md"
ENGINES = ROOT.parent / "shared" / "engines"
"""What engines wrote of one tape. It is no part of the suite: where it is absent, its table stays as it is."""
PLAIN = Rules(latency_ns=0, ttl_ns=None, position_cap_lots=None)


def _table(*rows: tuple[object, ...]) -> str:
    lines = ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def laws() -> str:
    rows = []
    for law in LAWS:
        only = ", ".join(f"{d} {'given' if w == (...,) else ' or '.join(map(str, w))}" for d, w in law.only.items())
        needs = [*(n for n in law.needs if n != "fills"), *(f"partly {n}" for n in law.partly)]
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


def profiles() -> str:
    rows = []
    for name in presets():
        if name == "origin":  # no engine's
            continue
        rules = Rules.load(name)
        kinds: dict[str, list[str]] = {}
        for deviation in sorted(rules.documented):
            law, kind = deviation.split(".")
            kinds.setdefault(law, []).append(kind)
        documented = "; ".join(f"{law}: {', '.join(found)}" for law, found in kinds.items())
        rows.append((f"`{name}`", _first_sentence(name), documented or "-", ", ".join(sorted(rules.undeclared)) or "-"))
    return _table(("preset", "engine and mode", "by model", "undeclared"), *rows)


def _first_sentence(preset: str) -> str:
    """What the comment at the head of a preset says first."""
    text = (files("simcore") / "presets" / f"{preset}.toml").read_text(encoding="utf-8")
    head = re.match(r"(?:#.*\n)+", text)
    assert head, preset
    return re.split(r"\.\s", head[0].replace("\n#", " ").lstrip("# "))[0].replace("  ", " ").rstrip(".\n")


def engine_outputs() -> list[Path]:
    """The outputs in ``ENGINES``: each a folder, or one file."""
    found = [path for folder in sorted(ENGINES.iterdir()) if folder.is_dir() for path in sorted(folder.iterdir())]
    return [path for path in found if path.parent.name != "tape"]


def compliance() -> str:
    reports = [audit(read_run(path, tape=ENGINES / "tape")) for path in engine_outputs()]
    head = [f"{r.run.engine} {r.run.engine_version}".strip() + f"<br>{_variant(r.run.name)}" for r in reports]
    counts = ("orders, fills", *(f"{len(r.run.orders):,}, {len(r.run.fills):,}" for r in reports))
    rows = [(f"`{law.name}`", *(_cell(report, law.name) for report in reports)) for law in LAWS]
    return _table(("law", *head), counts, *rows)


def _variant(name: str) -> str:
    return re.sub(r"backtest-result-[\d_-]+", "", name) or "backtest-result"


def _cell(report: Report, law: str) -> str:
    judgement = report[law]
    if judgement.verdict is Verdict.NOT_APPLICABLE:
        return "-"
    if judgement.verdict is Verdict.FAIL:
        return f"**fail {judgement.failed:,}**"
    said = judgement.verdict.value
    return f"{said}, {judgement.by_model:,} by model" if judgement.by_model else said


def generated() -> dict[str, str]:
    """What stands between each pair of markers."""
    tables = {"laws": laws(), "relations": relations(), "perft": perft(), "classes": classes(), "profiles": profiles()}
    counts = {"fault-count": len(FAULTS), "record-count": len(RECORD_FAULTS), "honest-count": len(HONEST)}
    return {name: f"\n{text}\n" for name, text in tables.items()} | {name: str(n) for name, n in counts.items()}


def from_engines() -> dict[str, str]:
    """The part that needs what engines wrote; nothing where that is absent."""
    return {"compliance": f"\n{compliance()}\n"} if ENGINES.is_dir() else {}


def renewed(text: str, parts: dict[str, str]) -> str:
    """README.md with ``parts`` renewed, each between its markers."""
    for name, inner in parts.items():
        pattern = re.compile(rf"(<!-- {name} -->).*?(<!-- /{name} -->)", re.DOTALL)
        assert len(pattern.findall(text)) == 1, name
        text = pattern.sub(lambda found, inner=inner: f"{found[1]}{inner}{found[2]}", text)
    return text


if __name__ == "__main__":
    README.write_text(renewed(README.read_text(encoding="utf-8"), {**generated(), **from_engines()}), encoding="utf-8")
