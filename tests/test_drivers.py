"""How a simulator is loaded and asked: three kinds of names, and every way to misbehave."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from textwrap import dedent

import pytest

from invariants.drivers import (
    EndedEarly,
    ExtraOutput,
    Limits,
    MalformedAnswer,
    Simulator,
    SimulatorCrashed,
    SimulatorFailed,
    SimulatorHung,
    TooManyFills,
    load_simulator,
)
from invariants.drivers.fresh import difference_when_fresh
from invariants.drivers.simulator import PATIENCE
from simcore import Fill, InputError, Rules, Scenario, Side, Submit, Trade, simulate

ONE_FILL = Scenario([Trade(3, 100, 5)], [Submit(0, "a", Side.BUY, 100, 2)], Rules(latency_ns=2))
LIMITS = Limits(seconds=5.0)

Make = Callable[..., Simulator]


@pytest.fixture
def python(tmp_path: Path) -> Make:
    """A simulator from the text of a Python file."""

    def make(text: str, function: str = "simulate", limits: Limits = LIMITS) -> Simulator:
        path = tmp_path / "theirs.py"
        path.write_text("from simcore import *\n" + dedent(text))
        return load_simulator(f"{path}:{function}", limits=limits)

    return make


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Make]:
    """A ``cmd:`` simulator from the body of a loop over the lines of its input."""
    made: list[Simulator] = []

    def make(body: str, limits: Limits = LIMITS, head: str = "") -> Simulator:
        path = tmp_path / "theirs.py"
        loop = "for line in sys.stdin:\n" + "\n".join(f"    {row}" for row in dedent(body).strip().splitlines())
        path.write_text(f"import json, os, signal, subprocess, sys, time\n{dedent(head)}\n{loop}\n")
        made.append(load_simulator("cmd:" + shlex.join([sys.executable, str(path)]), limits=limits))
        return made[-1]

    yield make
    for simulator in made:
        simulator.close()


def test_a_module_is_found_by_its_dotted_name() -> None:
    assert load_simulator("simcore:simulate")(ONE_FILL) == simulate(ONE_FILL)
    assert load_simulator("simcore.engine:simulate").rules is None


def test_a_file_may_import_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "beside_it.py").write_text("from simcore import simulate\n")
    (tmp_path / "theirs.py").write_text("from beside_it import simulate\n")
    assert load_simulator(f"{tmp_path}/theirs.py:simulate")(ONE_FILL) == simulate(ONE_FILL)


def test_two_files_of_one_name_are_two_simulators(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "sim.py").write_text(f"def simulate(scenario): return ['{name}']\n")
    first, second = (load_simulator(f"{tmp_path}/{name}/sim.py:simulate") for name in ("a", "b"))
    assert (first(ONE_FILL), second(ONE_FILL)) == (["a"], ["b"])


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "simcore",
        ":simulate",
        "simcore:",
        "no_such_module:simulate",
        "simcore:no_such_function",
        "simcore:Rules.no",
        "no/such/file.py:simulate",
        "simcore:__version_info__",
        "simcore.units:INT64_MAX",
        "cmd:",
        "cmd:./no_such_program",
        "cmd:'unbalanced",
    ],
)
def test_a_wrong_name_is_wrong_input(spec: str) -> None:
    with pytest.raises(InputError):
        load_simulator(spec)


@pytest.mark.parametrize("text", ["1 / 0", "def (", "import sys; sys.exit(3)"])
def test_a_module_that_cannot_be_imported_is_wrong_input(python: Make, text: str) -> None:
    with pytest.raises(InputError, match="a module that imports"):
        python(text)


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("", None),
        ("RULES = 'origin'", Rules()),
        ("RULES = {'cross': 'through', 'ttl_ns': 'none'}", Rules(cross="through", ttl_ns=None)),
        ("RULES = Rules(latency_ns=7)", Rules(latency_ns=7)),
    ],
)
def test_rules_are_declared_beside_the_simulator(python: Make, text: str, rules: Rules | None) -> None:
    assert python(text, function="simulate").rules == rules


@pytest.mark.parametrize(
    "text",
    [
        "RULES = 'no-such-preset'",
        "RULES = {'crosss': 'at'}",
        "RULES = {'cross': 'above'}",
        "RULES = 7",
        "RULES = Rules(undeclared={'cross'})",
        "SUPPORTS = {'flying'}",
        "SUPPORTS = {'cancels': 'perhaps'}",
        "SUPPORTS = 7",
    ],
)
def test_a_malformed_declaration_is_wrong_input(python: Make, text: str) -> None:
    with pytest.raises(InputError):
        python(text)


def test_what_stands_in_the_file_is_judged_and_not_what_was_compiled_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change of the same length in the same second: Python would take the compiled code for that of the new text."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    texts = ("RULES = Rules(latency_ns=7)", "RULES = Rules(latency_ns=8)")
    for text in texts:
        (tmp_path / "theirs.py").write_text(f"from simcore import *\n{text}")
        os.utime(tmp_path / "theirs.py", (10**9, 10**9))
        rules = load_simulator(f"{tmp_path / 'theirs.py'}:simulate").rules
        assert rules == Rules(latency_ns=int(text[-2]))


def test_what_is_not_supported_is_declared(python: Make) -> None:
    assert python("SUPPORTS = {'cancels': False}").supports.missing() == ("cancels",)
    assert "cancels" not in python("SUPPORTS = {'cancels', 'ttl'}").supports.missing()


@pytest.mark.parametrize(
    ("body", "finding", "words"),
    [
        ("raise KeyError('x')", SimulatorCrashed, "KeyError"),
        ("import sys; sys.exit(3)", SimulatorCrashed, "SystemExit"),
        ("return simulate_(scenario)", SimulatorCrashed, "NameError"),
        ("return f(f)", SimulatorCrashed, "NameError"),
        ("return None", MalformedAnswer, "NoneType"),
        ("return 7", MalformedAnswer, "int"),
        ("return 'fills'", MalformedAnswer, "str"),
        ("return iter(int, 1)", TooManyFills, "more than 1010"),
        ("yield 1; raise ValueError('late')", SimulatorCrashed, "late"),
        ("return simulate(scenario)", SimulatorCrashed, "RecursionError"),
        ("raise GeneratorExit", SimulatorCrashed, "GeneratorExit"),
        ("raise type('OddError', (BaseException,), {})('x')", SimulatorCrashed, "OddError: x"),
        ("raise ValueError('half a pair: \\ud800')", SimulatorCrashed, r"half a pair: \\ud800"),
        (
            "raise type('MuteError', (Exception,), {'__str__': lambda _: 1 // 0})",
            SimulatorCrashed,
            "MuteError: .its words",
        ),
    ],
)
def test_a_function_that_misbehaves_is_a_finding(
    python: Make, body: str, finding: type[SimulatorFailed], words: str
) -> None:
    with pytest.raises(finding, match=words) as caught:
        python(f"def simulate(scenario):\n    {body}")(ONE_FILL)
    assert caught.value.scenario == ONE_FILL


def test_a_crash_shows_the_simulators_own_frames_only(python: Make) -> None:
    with pytest.raises(SimulatorCrashed) as caught:
        python("def simulate(scenario):\n    return 1 // 0")(ONE_FILL)
    assert "return 1 // 0" in caught.value.details
    assert "invariants" not in caught.value.details


def test_an_error_of_megabytes_is_told_by_its_two_ends(python: Make) -> None:
    with pytest.raises(SimulatorCrashed, match=r"begun x+ \.\.\. \(cut\) \.\.\. x+ ended") as caught:
        python("def simulate(scenario):\n    raise ValueError('begun ' + 10**6 * 'x' + ' ended')")(ONE_FILL)
    assert len(str(caught.value)) < 10_000


@pytest.mark.parametrize("waits", ["while True: pass", "time.sleep(60)", "for _ in range(10**9): pass"])
def test_a_function_that_hangs_and_swallows_everything_is_left_too(python: Make, waits: str) -> None:
    ask = python(
        f"""
        import time

        def simulate(scenario):
            while True:
                try:
                    {waits}
                except:
                    pass
        """,
        limits=Limits(seconds=0.05),
    )
    with pytest.raises(SimulatorHung):
        ask(ONE_FILL)


def test_a_function_that_leaves_the_process_is_a_crash_and_its_children_may_leave(python: Make) -> None:
    ask = python("""
        import os

        def simulate(scenario):
            child = os.fork()
            if child == 0:
                os._exit(7)
            _, status = os.waitpid(child, 0)
            os._exit(os.waitstatus_to_exitcode(status) - 7)
    """)
    leave = os._exit
    with pytest.raises(SimulatorCrashed, match=r"it called os\._exit\(0\)"):
        ask(ONE_FILL)
    assert os._exit is leave


def test_a_function_that_hangs_is_left_after_its_limit(python: Make) -> None:
    ask = python(
        """
        def simulate(scenario):
            while True:
                try:
                    pass
                except Exception:
                    pass
        """,
        limits=Limits(seconds=0.05),
    )
    for _ in range(PATIENCE + 1):
        with pytest.raises(SimulatorHung):
            ask(ONE_FILL)
    begun = time.monotonic()
    with pytest.raises(SimulatorHung, match="not asked any more"):
        ask(ONE_FILL)
    assert time.monotonic() - begun < 0.04


@pytest.mark.parametrize(
    "hangs",
    [
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM]); time.sleep(600)",
        "lock = bytes(64); [ctypes.PyDLL(None).pthread_mutex_lock(lock) for _ in 'twice']",
    ],
)
def test_a_function_that_cannot_be_interrupted_is_ended_with_its_process(tmp_path: Path, hangs: str) -> None:
    """Native code runs no handler of a signal; faulthandler, which pytest enables, tells where it was."""
    theirs = tmp_path / "theirs.py"
    theirs.write_text(f"import ctypes, signal, time\ndef simulate(scenario):\n    {hangs}\n")
    asks = f"""
        import faulthandler
        from invariants.drivers import Limits, load_simulator, python
        from simcore import Rules, Scenario

        faulthandler.enable()
        python.GRACE_SECONDS = 0.5
        ask = load_simulator("{theirs}:simulate", limits=Limits(seconds=0.1))
        ask(Scenario([], [], Rules()))
    """
    argv = [sys.executable, "-c", dedent(asks)]
    asked = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert asked.returncode == -signal.SIGABRT, asked.stderr
    assert "fillproof: the simulator does not answer and cannot be interrupted: its process is ended" in asked.stderr
    assert "theirs.py" in asked.stderr


def test_a_program_is_asked_in_json_lines(command: Make) -> None:
    ask = command("""
        asked = json.loads(line)
        order, trade = asked["actions"][0], asked["tape"][0]
        fill = {name: order[name] for name in ("order_id", "side", "price_ticks", "size_lots")}
        print(json.dumps([{**fill, "ns": trade["ns"]}]), flush=True)
    """)
    for _ in range(3):
        assert ask(ONE_FILL) == [Fill(3, "a", Side.BUY, 100, 2)]


def test_our_own_server_speaks_for_a_python_simulator() -> None:
    with closing(load_simulator(f"cmd:{sys.executable} -m invariants.drivers.serve simcore:simulate")) as ask:
        assert ask(ONE_FILL) == simulate(ONE_FILL)


@pytest.mark.parametrize(
    ("body", "finding", "words"),
    [
        ("sys.stderr.write('my last words'); sys.exit(7)", SimulatorCrashed, "code 7\nmy last words"),
        ("1 / 0", SimulatorCrashed, "ZeroDivisionError"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", SimulatorCrashed, "SIGSEGV"),
        ("break", EndedEarly, "ended with a question unanswered"),
        ("print('{\"fills\":', end='', flush=True); break", EndedEarly, "without an end of line"),
        ("os.close(1); time.sleep(60)", EndedEarly, "closed its pipes"),
        ("print('hello', flush=True)", MalformedAnswer, "hello"),
        ("print('', flush=True)", MalformedAnswer, "''"),
        ("print('NaN', flush=True)", MalformedAnswer, "NaN"),
        ("print('[' * 100000, flush=True)", MalformedAnswer, "JSON"),
        ("os.write(1, b'\\xff\\xfe\\n')", MalformedAnswer, "UTF-8"),
        ("print('null', flush=True)", MalformedAnswer, "wanted a list"),
        ("print('[[1, 2]]', flush=True)", MalformedAnswer, "wanted a JSON object"),
        ("print('[{\"ns\": 1}]', flush=True)", MalformedAnswer, "order_id"),
        ("print('[' + '{}, ' * 9 + '{}]', flush=True)", MalformedAnswer, "row 1"),
        ("print('[]\\n[]', flush=True)", ExtraOutput, "'\\[\\]' after"),
        ("print('ready\\n[]', flush=True)", ExtraOutput, "after 'ready'"),
    ],
)
def test_a_program_that_misbehaves_is_a_finding(
    command: Make, body: str, finding: type[SimulatorFailed], words: str
) -> None:
    with pytest.raises(finding, match=words) as caught:
        command(body)(ONE_FILL)
    assert caught.value.scenario == ONE_FILL


def test_output_before_the_first_question_is_a_finding(command: Make) -> None:
    ask = command("print('[]', flush=True)", head="print('welcome', flush=True)")
    with pytest.raises((ExtraOutput, MalformedAnswer), match="welcome"):
        ask(ONE_FILL)


def test_more_fills_than_there_can_be_are_a_finding(command: Make) -> None:
    fill = '{"ns": 3, "order_id": "a", "side": "buy", "price_ticks": 100, "size_lots": 2}'
    with pytest.raises(TooManyFills):
        command(f"print('[' + ', '.join(['{fill}'] * 2000) + ']', flush=True)")(ONE_FILL)


def test_a_wrong_id_is_left_to_the_laws(command: Make) -> None:
    fill = '{"ns": 3, "order_id": "zzz", "side": "buy", "price_ticks": 100, "size_lots": 2}'
    assert command(f"print('[{fill}]', flush=True)")(ONE_FILL) == [Fill(3, "zzz", Side.BUY, 100, 2)]


def test_a_line_without_end_is_cut_off(command: Make) -> None:
    ask = command("while True: os.write(1, b'x' * 65536)", limits=Limits(seconds=5.0, line_bytes=1 << 20))
    with pytest.raises(ExtraOutput, match="more than 1048576 bytes"):
        ask(ONE_FILL)


def test_a_program_that_hangs_is_killed_and_started_again(command: Make, tmp_path: Path) -> None:
    flag = tmp_path / "hung"
    ask = command(
        f"""
        if not os.path.exists({str(flag)!r}):
            open({str(flag)!r}, "w").close()
            sys.stderr.write("thinking")
            sys.stderr.flush()
            time.sleep(60)
        print("[]", flush=True)
    """,
        limits=Limits(seconds=1.0),
    )
    with pytest.raises(SimulatorHung, match="within 1 s\nthinking"):
        ask(ONE_FILL)
    assert ask(ONE_FILL) == []


def test_a_program_that_reads_nothing_does_not_block_a_long_question(command: Make) -> None:
    ask = command("pass", head="time.sleep(60)", limits=Limits(seconds=0.5))
    long = Scenario([Trade(ns, 100, 1) for ns in range(20_000)])
    begun = time.monotonic()
    with pytest.raises(SimulatorHung):
        ask(long)
    assert time.monotonic() - begun < 5


def test_complaints_do_not_block_and_are_cut(command: Make) -> None:
    ask = command("sys.stderr.write('x' * 1_000_000 + 'the end'); sys.stderr.flush(); sys.exit(1)")
    with pytest.raises(SimulatorCrashed, match="the end") as caught:
        ask(ONE_FILL)
    assert len(caught.value.details) < 10_000


def test_closing_ends_its_children_too(command: Make, tmp_path: Path) -> None:
    note = tmp_path / "child"
    ask = command(f"""
        child = subprocess.Popen(["sleep", "60"])
        open({str(note)!r}, "w").write(str(child.pid))
        print("[]", flush=True)
    """)
    ask(ONE_FILL)
    ask.close()
    stat = Path(f"/proc/{note.read_text()}/stat")
    deadline = time.monotonic() + 5
    while stat.exists() and stat.read_text().split()[2] != "Z" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not stat.exists() or stat.read_text().split()[2] == "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits another process's memory")
def test_a_program_cannot_take_all_memory(command: Make) -> None:
    ask = command("x = bytearray(1 << 30); print('[]', flush=True)", limits=Limits(memory_bytes=1 << 29))
    with pytest.raises(SimulatorCrashed, match="MemoryError"):
        ask(ONE_FILL)


def test_a_program_may_declare_rules_in_a_file_beside_it(tmp_path: Path) -> None:
    program = tmp_path / "sim.py"
    program.write_text("")
    beside = tmp_path / "sim.py.fillproof.toml"
    beside.write_text('[RULES]\ncross = "through"\n[SUPPORTS]\ncancels = false\n')
    spec = f"cmd:{sys.executable} {program}"
    simulator = load_simulator(spec)
    assert (simulator.rules, simulator.supports.missing()) == (Rules(cross="through"), ("cancels",))
    beside.write_text("[RULES]\ncross = 7\n")
    with pytest.raises(InputError, match="cross"):
        load_simulator(spec)
    beside.write_text("[supports]\ncancels = false\n")  # else nobody would hear that cancels are driven after all
    told = f"{beside}: supports: got {{'cancels': False}}, wanted one of RULES, SUPPORTS"
    with pytest.raises(InputError, match=re.escape(told)):
        load_simulator(spec)


def test_a_simulator_that_goes_elsewhere_is_found_again_by_its_relative_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wanders.py").write_text(
        "import os, simcore\ndef simulate(scenario):\n    os.chdir('/')\n    return simcore.simulate(scenario)"
    )
    monkeypatch.chdir(tmp_path)
    ask = load_simulator("wanders.py:simulate")
    assert difference_when_fresh(ask, [(ONE_FILL, ask(ONE_FILL))]) is None


def test_a_fresh_process_with_another_hash_seed_is_compared(python: Make) -> None:
    honest = load_simulator("simcore:simulate")
    assert difference_when_fresh(honest, [(ONE_FILL, honest(ONE_FILL))]) is None
    hashed = python("""
        from simcore import simulate as honest
        def simulate(scenario):
            return honest(scenario) * (hash("some text") % 1000)
    """)
    found = difference_when_fresh(hashed, [(ONE_FILL, hashed(ONE_FILL))])
    assert found is not None
    assert found[0] == ONE_FILL
    crashing = python("""
        import os
        def simulate(scenario):
            assert os.environ.get("PYTHONHASHSEED") not in ("1", "2", "3")
            return []
    """)
    found = difference_when_fresh(crashing, [(ONE_FILL, [])])
    assert found is not None
    assert "AssertionError" in found[1]
