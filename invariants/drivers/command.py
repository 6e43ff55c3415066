"""A simulator that is a program: a scenario as one JSON line in, its fills as one JSON line out."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from invariants.cases import fills_from_json, scenario_to_json
from invariants.drivers import offspring
from invariants.drivers.declared import declared
from invariants.drivers.failures import (
    EndedEarly,
    ExtraOutput,
    MalformedAnswer,
    SimulatorCrashed,
    SimulatorFailed,
    SimulatorHung,
    TooGreedy,
)
from invariants.drivers.simulator import Declared, Limits, Simulator, bounded
from invariants.strictjson import check_keys, parse
from simcore import InputError, Scenario
from simcore.rules import read_toml

CHUNK = 1 << 16
TAIL = 4096
"""Bytes of standard error that are kept for the message."""

LOOK_SECONDS = 0.2
"""How often its processes are counted and weighed."""


class CommandSimulator(Simulator):
    """One process, started at the first question, again after it failed, and ended by ``close``.

    Without a shell. A file ``PROGRAM.fillproof.toml`` beside the program may declare tables
    ``[RULES]`` and ``[SUPPORTS]``. ``extra_env`` is added to the environment; ``folder`` is where it
    is started (None: here).
    """

    def __init__(
        self, spec: str, limits: Limits, extra_env: Mapping[str, str] | None = None, folder: str | None = None
    ) -> None:
        self._argv = _argv(spec)
        self._env = {**os.environ, **(extra_env or {})}
        self._folder = folder
        self._process: _Process | None = None
        super().__init__(spec, _declared_beside(self._argv), limits)

    def close(self) -> None:
        """Kill the process and all that it started."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def _ask(self, scenario: Scenario) -> list[Any]:
        question = json.dumps(scenario_to_json(scenario), separators=(",", ":")).encode() + b"\n"
        try:
            if self._process is None:
                self._process = _Process(self._argv, self._env, self._folder, self.limits)
            answer = self._process.ask(question, self.limits)
        except SimulatorFailed as failure:
            self.close()
            failure.scenario = scenario
            raise
        return bounded(_decoded(answer, scenario), scenario)


class _Process:
    """The program, its pipes, and what it wrote that nobody has read yet."""

    def __init__(self, argv: list[str], env: Mapping[str, str], folder: str | None, limits: Limits) -> None:
        pipe = subprocess.PIPE
        self._mark = offspring.new_mark()
        env = {**env, offspring.MARK: self._mark}
        try:
            # a session of its own: no terminal to write to, and its group can be ended with it
            self._popen = subprocess.Popen(  # noqa: S603 - running the user's program is the job
                argv, stdin=pipe, stdout=pipe, stderr=pipe, env=env, cwd=folder, start_new_session=True
            )
        except OSError as error:
            raise SimulatorCrashed(f"it cannot be started: {error}") from None
        _limit_memory(self._popen.pid, limits.memory_bytes)
        self._stdin, self._stdout, self._stderr = (_pipe(p) for p in _pipes(self._popen))
        self._output = bytearray()
        self._errors = bytearray()
        self._has_line = False
        self._is_open = True
        self._complains = True
        self._looked = time.monotonic()

    def ask(self, question: bytes, limits: Limits) -> bytes:
        """The line that answers ``question``. Raises ``SimulatorFailed``."""
        self._read()
        self._refuse_extra("before it was asked")
        deadline = time.monotonic() + limits.seconds
        unsent = memoryview(question)
        while unsent or not self._has_line:
            self._look(limits)
            unsent = self._exchange(unsent, deadline, limits)
        line, _, rest = self._output.partition(b"\n")
        self._output, self._has_line = bytearray(rest), False
        self._read()
        self._refuse_extra(f"after {_brief(line)}")
        return bytes(line)

    def kill(self) -> None:
        """End the whole session at once, reap it, and end what had left the session."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()
        offspring.kill(self._mark)
        for pipe in _pipes(self._popen):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def _look(self, limits: Limits) -> None:
        """Hold all of its processes together to the limits, now and then."""
        if time.monotonic() < self._looked + LOOK_SECONDS:
            return
        pids = offspring.living(self._mark)
        if len(pids) > limits.processes:
            raise TooGreedy(f"it runs {len(pids)} processes, more than {limits.processes}", details=self._tail())
        used = offspring.memory_bytes(pids)
        if limits.memory_bytes is not None and used > limits.memory_bytes:
            said = f"its {len(pids)} processes use {used >> 20} MiB, more than {limits.memory_bytes >> 20}"
            raise TooGreedy(said, details=self._tail())
        self._looked = time.monotonic()

    def _exchange(self, unsent: memoryview, deadline: float, limits: Limits) -> memoryview:
        """Write and read whatever can be, once; returns what is still to be written."""
        with selectors.DefaultSelector() as ready:
            ready.register(self._stdout, selectors.EVENT_READ)
            if self._complains:
                ready.register(self._stderr, selectors.EVENT_READ)
            if unsent:
                ready.register(self._stdin, selectors.EVENT_WRITE)
            events = ready.select(max(0.0, min(LOOK_SECONDS, deadline - time.monotonic())))
        if any(key.fd == self._stdin for key, _ in events):
            unsent = unsent[self._write(unsent) :]
        self._read()
        if len(self._output) > limits.line_bytes:
            raise ExtraOutput(f"it wrote a line of more than {limits.line_bytes} bytes", details=self._tail())
        if not self._is_open and not self._has_line:
            raise self._ended()
        if not self._is_open:
            return unsent[len(unsent) :]
        if time.monotonic() > deadline:
            raise SimulatorHung(f"no answer within {limits.seconds:g} s", details=self._tail())
        return unsent

    def _write(self, unsent: memoryview) -> int:
        try:
            return os.write(self._stdin, unsent[:CHUNK])
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            self._is_open = False
            return 0

    def _read(self) -> None:
        """Take what stands in its two outputs, without waiting."""
        chunk = _take(self._stdout)
        self._is_open = self._is_open and chunk != b""
        self._output += chunk or b""
        self._has_line = self._has_line or b"\n" in (chunk or b"")
        errors = _take(self._stderr)
        self._complains = self._complains and errors != b""
        self._errors = (self._errors + (errors or b""))[-TAIL:]

    def _refuse_extra(self, when: str) -> None:
        if self._output:
            raise ExtraOutput(f"it wrote {_brief(self._output)} {when}", details=self._tail())

    def _ended(self) -> SimulatorFailed:
        """The failure that its exit is: by a signal, with an error, or just too early."""
        try:
            code = self._popen.wait(timeout=2.0)
        except subprocess.TimeoutExpired:
            return EndedEarly("it closed its pipes with a question unanswered", details=self._tail())
        self._read()
        if code < 0:
            return SimulatorCrashed(f"it was ended by signal {_signal_name(-code)}", details=self._tail())
        if code > 0:
            return SimulatorCrashed(f"it exited with code {code}", details=self._tail())
        return EndedEarly(f"it ended with a question unanswered{_partial(self._output)}", details=self._tail())

    def _tail(self) -> str:
        return self._errors.decode(errors="replace")


def _decoded(line: bytes, scenario: Scenario) -> Any:
    try:
        return fills_from_json(parse(line, file="answer"))
    except InputError as error:
        raise MalformedAnswer(f"it answered {_brief(line)}: {error}", scenario) from None


def _argv(spec: str) -> list[str]:
    try:
        argv = shlex.split(spec.removeprefix("cmd:"))
    except ValueError as error:
        raise InputError(file="simulator", field="command", got=spec, wanted=f"words as in a shell ({error})") from None
    if not argv or shutil.which(argv[0]) is None:
        raise InputError(file="simulator", field="command", got=spec, wanted="cmd: and an existing program")
    return argv


def _declared_beside(argv: list[str]) -> Declared:
    """What ``PROGRAM.fillproof.toml`` says, for the first word of the command that has one."""
    for word in argv:
        beside = Path(f"{word}.fillproof.toml")
        if beside.is_file():
            tables = read_toml(beside)
            check_keys(tables, ("RULES", "SUPPORTS"), file=str(beside))  # a module has other names, this file has none
            return declared(tables, file=str(beside))
    return Declared()


def _limit_memory(pid: int, memory_bytes: int | None) -> None:
    """Cap the address space, where the system can do it to another process (Linux)."""
    if sys.platform != "linux" or memory_bytes is None:
        return
    import resource  # noqa: PLC0415 - not everywhere

    with contextlib.suppress(ProcessLookupError):  # it is over already: the first question will tell
        resource.prlimit(pid, resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def _pipes(popen: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    if popen.stdin is None or popen.stdout is None or popen.stderr is None:
        raise RuntimeError("started without pipes")
    return popen.stdin, popen.stdout, popen.stderr


def _pipe(stream: IO[bytes]) -> int:
    os.set_blocking(stream.fileno(), False)
    return stream.fileno()


def _take(fd: int) -> bytes | None:
    """What can be read now: b"" at the end, None when there is nothing yet."""
    try:
        return os.read(fd, CHUNK)
    except BlockingIOError:
        return None


def _brief(text: bytes | bytearray) -> str:
    shown = bytes(text[:80]).decode(errors="replace").rstrip("\n")
    return f"{shown!r}{'...' if len(text) > 80 else ''}"


def _partial(text: bytes | bytearray) -> str:
    return f", after {_brief(text)} without an end of line" if text else ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
