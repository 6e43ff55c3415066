"""A ``cmd:`` simulator that turns on its host: each way is a finding, in time, and nothing stays behind."""

from __future__ import annotations

import os
import pty
import resource
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from invariants.drivers import (
    ExtraOutput,
    Limits,
    Simulator,
    SimulatorCrashed,
    SimulatorFailed,
    SimulatorHung,
    TooGreedy,
    load_simulator,
    offspring,
)
from simcore import Rules, Scenario, Side, Submit, Trade

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc, which is Linux's")

ONE_FILL = Scenario([Trade(3, 100, 5)], [Submit(0, "a", Side.BUY, 100, 2)], Rules(latency_ns=2))
LIMITS = Limits(seconds=3.0, memory_bytes=256 << 20, processes=64)
SOON = replace(LIMITS, seconds=1.0)
"""For those that are found by nothing but the time that they take."""

SLACK_SECONDS = 10.0
"""On a busy machine: starting an interpreter, and killing hundreds of processes."""


@dataclass(frozen=True)
class Hostile:
    """What it does after it has read its question, and the finding that this is."""

    name: str
    body: str
    failure: type[SimulatorFailed]
    says: str
    limits: Limits = LIMITS

    def __str__(self) -> str:
        return self.name


HOSTILE = [
    Hostile("sleeps for ever", "time.sleep(1e6)", SimulatorHung, "no answer within 1 s", SOON),
    Hostile("computes for ever", "while True: pass", SimulatorHung, "no answer within 1 s", SOON),
    Hostile(
        "ignores every signal that can be ignored",
        "for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(n, signal.SIG_IGN)\ntime.sleep(1e6)",
        SimulatorHung,
        "no answer within 1 s",
        SOON,
    ),
    Hostile("allocates without end", "a = []\nwhile True: a.append(bytes(1 << 24))", SimulatorCrashed, "code 1"),
    Hostile(
        "allocates in many children",
        "for _ in range(30):\n"
        "    if not os.fork():\n"
        "        a = b'x' * (40 << 20)\n"
        "        time.sleep(1e6)\n"
        "time.sleep(1e6)",
        TooGreedy,
        "more than 256",
    ),
    Hostile(
        "forks two hundred children that sleep",
        "for _ in range(200):\n    if not os.fork(): time.sleep(1e6)\ntime.sleep(1e6)",
        TooGreedy,
        "processes, more than 64",
    ),
    Hostile(
        "forks children that fork, up to two hundred",
        "end = time.time() + 1\n"
        "for _ in range(8):\n"
        "    if time.time() < end and len(os.listdir('/proc')) < 2000: os.fork()\n"
        "time.sleep(1e6)",
        TooGreedy,
        "processes, more than 64",
    ),
    Hostile(
        "leaves a grandchild in a session of its own",
        "if not os.fork():\n    os.setsid()\n    if not os.fork(): time.sleep(1e6)\nos._exit(0)",
        SimulatorHung,  # the grandchild holds its pipes open
        "no answer within 1 s",
        SOON,
    ),
    Hostile(
        "floods standard error",
        "while True: os.write(2, b'\\x1b[2J' * 9999)",
        SimulatorHung,
        "no answer within 1 s",
        SOON,
    ),
    Hostile("floods standard output", "while True: os.write(1, b'\\x1b[2J' * 9999)", ExtraOutput, "67108864 bytes"),
    Hostile("floods with lines", "while True: os.write(1, b'[]\\n' * 9999)", ExtraOutput, "it wrote "),
    Hostile("writes to the terminal", "open('/dev/tty', 'w').write('garbage')", SimulatorCrashed, "code 1"),
]


def hostile(folder: Path, body: str, limits: Limits = LIMITS) -> Simulator:
    path = folder / "theirs.py"
    path.write_text(f"import os, signal, subprocess, sys, time\nsys.stdin.readline()\n{body}\n")
    return load_simulator("cmd:" + shlex.join([sys.executable, str(path)]), limits=limits)


def wait_for(happened: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def left_behind(folder: Path) -> list[str]:
    """Processes that still run the simulator of this test, zombies aside: those have ended."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(folder) in command:
            found.append(command)
    return found


@pytest.mark.parametrize("bad", HOSTILE, ids=str)
def test_it_is_a_finding_in_time_and_nothing_stays_behind(
    bad: Hostile, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with (
        closing(hostile(tmp_path, bad.body, bad.limits)) as simulator,
        pytest.raises(bad.failure, match=bad.says) as failed,
    ):
        simulator(ONE_FILL)
    assert failed.type is bad.failure
    seconds, left = time.monotonic() - began, left_behind(tmp_path)
    for name, figure in (("contained", 1), ("most_seconds", round(seconds)), ("left", len(left))):
        record_property(name, figure)
    assert seconds < bad.limits.seconds + SLACK_SECONDS
    assert left == []
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024
    assert len(failed.value.details) < 10_000


def test_what_answers_and_leaves_a_daemon_is_cleaned_up_when_it_is_closed(tmp_path: Path) -> None:
    daemon = "if not os.fork():\n    os.setsid()\n    if not os.fork(): time.sleep(1e6)\n    os._exit(0)\nos.wait()\n"
    with closing(hostile(tmp_path, daemon + "print('[]', flush=True)\ntime.sleep(1e6)")) as simulator:
        assert simulator(ONE_FILL) == []
        assert len(left_behind(tmp_path)) == 2
    assert left_behind(tmp_path) == []


def test_a_simulator_that_works_with_children_is_left_alone(tmp_path: Path) -> None:
    children = "for _ in range(20):\n    if not os.fork(): time.sleep(1e6)\ntime.sleep(1)\nprint('[]', flush=True)"
    with closing(hostile(tmp_path, children)) as simulator:
        assert simulator(ONE_FILL) == []


def test_pages_that_children_share_count_once(tmp_path: Path) -> None:
    """Twenty children of a parent with 60 MiB use 60 MiB together, as long as they leave it alone."""
    shared = "a = b'x' * (60 << 20)\nfor _ in range(20):\n    if not os.fork(): time.sleep(1e6)\n"
    with closing(hostile(tmp_path, shared + "time.sleep(1)\nprint('[]', flush=True)")) as simulator:
        assert simulator(ONE_FILL) == []


def test_a_mark_inside_a_mark_is_found_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    outer = offspring.new_mark()
    monkeypatch.setenv(offspring.MARK, outer)
    inner = offspring.new_mark()
    sleeper = [sys.executable, "-c", "import time; print(flush=True); time.sleep(1e6)"]
    env = {**os.environ, offspring.MARK: inner}
    with subprocess.Popen(sleeper, env=env, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()  # until then it may have no environment and no memory yet
            assert offspring.living(outer) == offspring.living(inner) == [process.pid]
            assert 2**20 < offspring.memory_bytes([process.pid]) < 2**28
            offspring.kill(outer)
            assert offspring.living(outer) == []
        finally:
            process.kill()  # or what fails above waits for it, for ever


def test_nothing_reaches_the_terminal_of_the_suite(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """The suite runs on a terminal of its own; the simulator has none, and all it says is quoted."""
    path = tmp_path / "theirs.py"
    path.write_text(
        "import os, sys\n"
        "for name in ('/dev/tty', '/dev/console'):\n"
        "    try: os.write(os.open(name, os.O_WRONLY), b'GARBAGE')\n"
        "    except OSError: pass\n"
        "print('done', file=sys.stderr)\nsys.exit(3)\n"
    )
    ask = (
        "from invariants.drivers import load_simulator, SimulatorFailed\n"
        "from simcore import Rules, Scenario\n"
        f"simulator = load_simulator({'cmd:' + shlex.join([sys.executable, str(path)])!r})\n"
        "try: simulator(Scenario([], [], Rules()))\n"
        "except SimulatorFailed as failure: print(type(failure).__name__, failure.message)\n"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", ask])  # noqa: S606 - the child of pty.fork
    shown = b""
    while select.select([terminal], [], [], 30)[0]:
        try:
            shown += os.read(terminal, 4096)
        except OSError:  # what a terminal says when its last user left
            break
    os.waitpid(pid, 0)
    os.close(terminal)
    record_property("garbage", shown.count(b"GARBAGE"))
    assert shown == b"SimulatorCrashed it exited with code 3\r\n"


ENDED = {signal.SIGTERM: b"terminated\n", signal.SIGINT: b"interrupted\n"}


def verifying(folder: Path, mark: str) -> subprocess.Popen[bytes]:
    """A suite in a folder of its own, whose simulator lets it wait."""
    program = folder / "theirs.py"
    program.write_text(f"import sys, time\nfor _ in sys.stdin: open({str(folder / 'asked')!r}, 'w'), time.sleep(9)\n")
    words = ["verify", f"cmd:{shlex.join([sys.executable, str(program)])}", "-n", "1"]
    # where the suite runs in the background of a shell, SIGINT is ignored, by its children too
    start = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"from invariants.cli import main; main({words!r})"
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        [sys.executable, "-c", start], cwd=folder, env={**os.environ, offspring.MARK: mark}, **pipes
    )


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[signal.Signals, tuple[bytes, int, str]]:
    """For each signal: what a suite that got it said, how it left, and its mark. All at once: each takes its time."""
    folders = {number: tmp_path_factory.mktemp(number.name) for number in ENDED}
    marks = {number: offspring.new_mark() for number in ENDED}
    with ExitStack() as stack:
        running = {n: stack.enter_context(verifying(folders[n], marks[n])) for n in ENDED}
        for process in running.values():
            stack.callback(process.kill)
        for number, process in running.items():
            wait_for((folders[number] / "asked").exists)
            process.send_signal(number)
        said = {number: process.communicate(timeout=60)[1] for number, process in running.items()}
    return {n: (said[n], process.returncode, marks[n]) for n, process in running.items()}


@pytest.mark.parametrize("number", ENDED)
def test_verify_ends_with_all_that_it_started(
    ended: dict[signal.Signals, tuple[bytes, int, str]], number: signal.Signals
) -> None:
    """The process alone is told, as by a supervisor: pytest, its workers and the program end as well."""
    said, code, mark = ended[number]
    assert ENDED[number] in said
    assert code == 128 + number
    wait_for(lambda: not offspring.living(mark))
