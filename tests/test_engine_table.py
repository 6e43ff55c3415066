"""The table of real engines in README.md: made by a run of minutes, held here to what can be looked up at once."""

from __future__ import annotations

import re

import pytest
from engine_table import ANSWERS
from readme_tables import README, ROOT

from invariants.drivers.engines import ENGINES, Engine
from invariants.laws import LAWS
from invariants.relations import RELATIONS

[TABLE] = re.findall(r"<!-- engines -->\n(.*?)<!-- /engines -->", README.read_text(encoding="utf-8"), re.DOTALL)
HEAD, _, *ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TABLE.splitlines()]
CELLS = {name.strip("`"): dict(zip([e.name for e in ENGINES], cells, strict=True)) for name, *cells in ROWS}
JUDGED = {name: cells for name, cells in CELLS.items() if name not in ("scenarios", "seconds", "not driven")}
VERDICT = re.compile(
    r"pass \d+|by model \d+ of \d+|\*\*fail\*\* \d+ of \d+|\*\*fail\*\*, pinned; here pass \d+|unknown|not drivable|-"
)


def test_the_columns_are_the_engines_in_their_versions() -> None:
    assert HEAD[1:] == [f"{engine.name}<br>{engine.version}" for engine in ENGINES]


def test_the_rows_are_laws_and_relations() -> None:
    known = [ANSWERS, *(law.name for law in LAWS), *(relation.name for relation in RELATIONS)]
    assert [name for name in known if name in JUDGED] == list(JUDGED)
    assert "equals_reference" in JUDGED


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_every_engine_was_asked_often_enough(engine: Engine) -> None:
    assert int(CELLS["scenarios"][engine.name].replace(",", "")) >= 2000
    assert int(CELLS["seconds"][engine.name]) > 0


def test_a_thousand_scenarios_on_nautilus_take_less_than_five_minutes() -> None:
    for engine in ENGINES:
        if engine.package == "nautilus_trader":
            scenarios = int(CELLS["scenarios"][engine.name].replace(",", ""))
            assert int(CELLS["seconds"][engine.name]) * 1000 / scenarios < 300


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_every_cell_is_a_verdict_and_every_failure_is_explained(engine: Engine) -> None:
    for name, cells in JUDGED.items():
        verdict, _, _ = cells[engine.name].partition(" [1]")
        assert VERDICT.fullmatch(verdict), (name, verdict)
        pages = re.findall(r"\[\d\]\(([^)]+)\)", cells[engine.name])
        assert pages == engine.pages(name)
        assert bool(pages) == ("fail" in verdict), (name, verdict)
        assert all((ROOT / page).is_file() for page in pages)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_what_is_not_driven_is_what_the_engine_declares(engine: Engine) -> None:
    told = CELLS["not driven"][engine.name].split(", ")
    declared = [word for word, can in engine.supports.items() if not can]
    assert [word for word in told if word not in ("latency", "fees")] == declared
