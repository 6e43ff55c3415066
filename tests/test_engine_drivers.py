"""Real engines: their environments, their drivers, and the cases that they fail (these with --soak)."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tables import scenario

from invariants.cases import read_case
from invariants.drivers import load_simulator
from invariants.drivers.declared import rules_of
from invariants.drivers.engines import ENGINES, Engine, EngineSimulator, engine_named
from invariants.drivers.engines.environment import python_of
from invariants.drivers.simulator import Limits
from invariants.laws import LAWS, law_named
from invariants.relations import RELATIONS, relation_named
from invariants.replay import still_failing
from invariants.tapes.supports import Supports
from invariants.verdict import Verdict
from invariants.verify import pages_on
from simcore import Cancel, InputError, Run, Scenario, Side, Trade

ROOT = Path(__file__).parent.parent
ROOM = ROOT / "invariants" / "drivers" / "engines"
CASES = ROOT / "fixtures" / "cases"
PINNED = [path for engine in ENGINES for path in sorted((CASES / engine.name).glob("*.case.json"))]


# What is declared


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_an_engine_declares_every_dial_and_can_be_driven_under_it(engine: Engine) -> None:
    rules = rules_of(dict(engine.rules), file=engine.name)
    assert Supports.declared(dict(engine.supports)).within(rules) == rules


def test_an_unknown_engine_is_bad_input() -> None:
    with pytest.raises(InputError, match="one of backtrader"):
        load_simulator("engine:metatrader")


@pytest.mark.parametrize("driver", sorted({"inside.py", *(engine.driver for engine in ENGINES)}))
def test_a_driver_needs_nothing_of_ours(driver: str) -> None:
    """It runs in an environment in which this project is not."""
    tree = ast.parse((ROOM / driver).read_text(encoding="utf-8"))
    names = [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
    names += [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    assert not [name for name in names if name.partition(".")[0] in ("invariants", "simcore")]


# Environments


def test_a_verified_environment_is_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILLPROOF_ENGINES", str(tmp_path))
    (tmp_path / "backtrader-1.9.78.123").mkdir()
    (tmp_path / "backtrader-1.9.78.123" / "verified.json").write_text("{}")
    python = python_of(engine_named("backtrader"))
    assert python == tmp_path / "backtrader-1.9.78.123" / "bin" / "python"


def test_an_interpreter_that_does_not_run_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a version manager's stand-in for a version that is not chosen."""
    (tmp_path / "python9.9").write_text("#!/bin/sh\nexit 127\n")
    (tmp_path / "python9.9").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("FILLPROOF_ENGINES", str(tmp_path / "engines"))
    with pytest.raises(InputError, match="on the path that runs"):
        python_of(replace(engine_named("backtrader"), python="9.9"))


def test_an_environment_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILLPROOF_ENGINES", str(tmp_path))
    impossible = replace(engine_named("backtrader"), python="9.9")
    with pytest.raises(InputError, match="on the path"):
        python_of(impossible)
    assert not list(tmp_path.glob("*/verified.json"))


# The process inside

TOY = """
import os

def prepare(variant):
    def replay(scenario):
        os.write(1, b"printed by the engine\\n")
        if not scenario["tape"]:
            raise ValueError("no tape")
        return [{"variant": variant}]
    return replay
"""


def test_the_process_answers_each_line_and_goes_on_after_an_error(tmp_path: Path) -> None:
    (tmp_path / "backtrader.py").write_text(TOY)
    command = [sys.executable, "-P", str(ROOM / "inside.py"), str(tmp_path / "backtrader.py"), "calm"]
    questions = "".join(json.dumps({"tape": tape}) + "\n" for tape in ([1], [], [1]))
    done = subprocess.run(command, input=questions, capture_output=True, text=True, check=True)
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"fills": [{"variant": "calm"}]},
        {"error": "ValueError: no tape"},
        {"fills": [{"variant": "calm"}]},
    ]
    assert "printed by the engine" in done.stderr


# Engines themselves


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.name)
def engine(request: pytest.FixtureRequest) -> Iterator[EngineSimulator]:
    with closing(_engine(request.param.name)) as simulator:
        yield simulator


def _engine(name: str) -> EngineSimulator:
    try:
        return EngineSimulator(f"engine:{name}", Limits())
    except InputError as error:
        pytest.skip(f"cannot be installed here: {error}")


PLAIN = """
    1000000000  trade   -   -     105  1  BUY
    1000000000  submit  O1  BUY   100  1
    1000000000  submit  O2  BUY   90   1
    1500000000  trade   -   -     104  1  BUY
    1500000000  submit  O3  SELL  107  1
    2000000000  trade   -   -     100  2  SELL
    2500000000  trade   -   -     106  1  BUY
    3000000000  trade   -   -     107  2  BUY
"""
"""Half a second between instants: more than an engine's latency, and all within an order's life."""

CURES: dict[str, Callable[[Scenario], Scenario]] = {
    "backtrader/cancel-at-once-is-lost": lambda s: replace(
        s, tape=(s.tape[0], replace(s.tape[0], ns=1), replace(s.tape[1], ns=2)), actions=(s.actions[0], Cancel(1, 1))
    ),
    "hftbacktest-partial/exact-fill-stops-the-run": lambda s: replace(
        s, tape=(Trade(1, 100, 2, Side.SELL), *s.tape[1:])
    ),
    "hftbacktest-partial/partial-fill-is-free": lambda s: replace(s, tape=(replace(s.tape[0], size_lots=2),)),
    "nautilus/crossed-order-is-missed": lambda s: replace(s, tape=s.tape[1:]),
    "nautilus/expired-order-fills": lambda s: replace(s, tape=(replace(s.tape[0], ns=9),)),
    "nautilus/sellers-fill-sells": lambda s: replace(s, tape=(s.tape[0], replace(s.tape[1], price_ticks=99))),
    "nautilus-1.231/expired-order-fills": lambda s: replace(s, tape=(s.tape[0], replace(s.tape[0], ns=10), s.tape[1])),
    "nautilus-1.231/far-order-fills-another": lambda s: replace(s, actions=s.actions[:1]),
    "nautilus-1.231/first-trade-fills-its-own-side": lambda s: replace(s, tape=(Trade(0, 101, 1, Side.BUY), *s.tape)),
    "nautilus-1.231/limit-is-exceeded": lambda s: replace(s, tape=s.tape[1:]),
    "nautilus-1.231/rest-fills-at-any-price": lambda s: replace(
        s, tape=(*s.tape[:2], replace(s.tape[2], aggressor=Side.BUY))
    ),
}
"""Each pinned case without the cause that its page names."""

TAKERS = {"nautilus-1.231/limit-is-exceeded"}
"""An order that takes on arrival is beyond the declared model either way: only the broken law is asked again."""


@pytest.mark.soak
def test_an_engine_answers_in_our_ids_and_units(engine: EngineSimulator) -> None:
    """Its fills are the reference's, save for what its own page tells of NautilusTrader 1.221."""
    asked = replace(scenario(PLAIN), rules=engine.rules)
    fills = engine(asked)
    if engine.engine.name != "nautilus":
        assert {fill.order_id for fill in fills} == {"O1", "O3"}
        assert relation_named("equals_reference").check(lambda _scenario: fills, asked).difference is None
    assert fills == engine(asked)


@pytest.mark.soak
@pytest.mark.parametrize("path", PINNED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_pinned_case_still_fails_in_two_fresh_processes(path: Path) -> None:
    name = path.parent.name
    _engine(name).close()
    told = [still_failing(path, f"engine:{name}") for _ in range(2)]
    assert told[0]
    assert told[0] == told[1]


@pytest.mark.soak
@pytest.mark.parametrize("path", PINNED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_pinned_case_passes_without_its_cause(path: Path) -> None:
    """So that the finding is the engine's, and not the driver's."""
    case = read_case(path)
    name = _page(path)
    without = CURES[name](case.scenario)
    with closing(_engine(path.parent.name)) as ask:
        got = ask(without)
        if name in TAKERS:
            assert law_named(case.law).judge(Run.from_scenario(without, got)).verdict is Verdict.PASS
        else:
            assert relation_named("equals_reference").check(lambda _scenario: got, without).difference is None


VARIANTS: dict[str, tuple[str, str, str]] = {
    "nautilus/crossed-order-is-missed": (
        "crossed_orders_fill",
        """
        0  submit  1  SELL  100  1
        1  trade   -  -     100  1  BUY
        """,
        """
        0  submit  1  BUY   100  1
        1  trade   -  -     100  1  SELL
        """,
    ),
    "nautilus/sellers-fill-sells": (
        "trade_volume_is_not_oversold",
        """
        0  submit  1  BUY   100  2
        1  trade   -  -     100  1  SELL
        1  trade   -  -     100  1  BUY
        """,
        """
        0  submit  1  BUY   100  2
        1  trade   -  -     100  1  SELL
        1  trade   -  -     101  1  BUY
        """,
    ),
    "nautilus-1.231/first-trade-fills-its-own-side": (
        "trade_volume_is_not_oversold",
        """
        0  submit  1  BUY   100  1
        0  submit  2  SELL  96   3
        1  trade   -  -     96   1  BUY
        """,
        """
        0  submit  1  BUY   90   1
        0  submit  2  SELL  96   3
        1  trade   -  -     96   1  BUY
        """,
    ),
    "nautilus-1.231/rest-fills-at-any-price": (
        "trade_volume_is_not_oversold",
        """
        0  trade   -  -     105  1  BUY
        0  submit  1  BUY   100  4
        1  trade   -  -     100  1  SELL
        1  trade   -  -     99   1  BUY
        """,
        """
        0  trade   -  -     105  1  BUY
        0  submit  1  BUY   100  4
        1  trade   -  -     100  1  SELL
        1  trade   -  -     110  1  BUY
        """,
    ),
}
"""What a page tells of beside its case: the broken law, the scenario, and the same without its cause."""


@pytest.mark.soak
@pytest.mark.parametrize("page", VARIANTS)
def test_what_a_page_tells_of_beside_its_case_fails_and_passes_without_its_cause(page: str) -> None:
    law, *texts = VARIANTS[page]
    with closing(_engine(page.partition("/")[0])) as ask:
        broken, mended = (replace(scenario(text), rules=ask.rules) for text in texts)
        assert law_named(law).judge(Run.from_scenario(broken, ask(broken))).verdict is Verdict.FAIL
        got = ask(mended)
        assert relation_named("equals_reference").check(lambda _scenario: got, mended).difference is None


def test_every_pinned_case_has_its_page_and_its_cure_and_is_small() -> None:
    names = {_page(path) for path in PINNED}
    assert names == set(CURES)
    assert all((CASES / f"{name}.md").is_file() for name in names)
    assert all(len(case.scenario.tape) + len(case.scenario.actions) <= 6 for case in map(read_case, PINNED))


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_what_is_known_of_an_engine_is_what_is_pinned(engine: Engine) -> None:
    laws = {path.name.removesuffix(".case.json"): read_case(path).law for path in PINNED if _engine_of(path) == engine}
    assert set(engine.known) == set(laws)
    for page, broken in engine.known.items():
        assert laws[page] in broken
        assert set(broken) <= {"simulator_answers", *(law.name for law in LAWS), *(r.name for r in RELATIONS)}


def test_verify_says_where_a_broken_law_of_an_engine_is_explained() -> None:
    broken = [{"law": law, "verdict": "fail"} for law in ("no_fill_after_cancel", "mirror")]
    told = {"laws": [*broken, {"law": "equals_reference", "verdict": "pass"}]}
    assert list(pages_on("engine:backtrader", told)) == [
        "no_fill_after_cancel: fixtures/cases/backtrader/cancel-at-once-is-lost.md",
        "mirror: not known before",
    ]
    assert not list(pages_on("simcore:simulate", told))


def test_three_defects_are_in_versions_that_are_current() -> None:
    current = [path for path in PINNED if path.parent.name != "nautilus"]  # 1.221 is kept as what came before
    defects = [path for path in current if "**Defect.**" in (CASES / f"{_page(path)}.md").read_text(encoding="utf-8")]
    assert len({path.parent.name for path in defects}) == 3
    assert len(defects) >= 3


def _page(path: Path) -> str:
    return f"{path.parent.name}/{path.name.removesuffix('.case.json')}"


def _engine_of(path: Path) -> Engine:
    return engine_named(path.parent.name)
