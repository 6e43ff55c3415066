"""A simulator that is a Python function, in a module or in a file."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import reduce
from importlib.machinery import SourceFileLoader
from itertools import cycle
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any, NoReturn

from invariants.drivers.declared import declared
from invariants.drivers.failures import SimulatorCrashed, SimulatorFailed, SimulatorHung
from invariants.drivers.simulator import Limits, Simulator, bounded
from invariants.drivers.watchdog import watch
from simcore import InputError, Scenario

WANTED = "package.module:function, path/to/file.py:function or cmd:program"
GRACE_SECONDS = 10.0
"""How long a simulator that is over its time may take to heed it: a busy machine, one that swallows everything."""


class PythonSimulator(Simulator):
    """Calls a function in this process; the time limit holds in the main thread on POSIX."""

    def __init__(self, spec: str, limits: Limits) -> None:
        place, colon, name = spec.rpartition(":")
        if not colon or not place or not name:
            raise InputError(file="simulator", field="name", got=spec, wanted=WANTED)
        module = _module(place, spec)
        self._function = _function(module, name, spec)
        super().__init__(spec, declared(vars(module), file=place), limits)

    def _ask(self, scenario: Scenario) -> list[Any]:
        try:
            with _time_limit(self.limits.seconds), _no_exit():
                return bounded(self._function(scenario), scenario)
        except SimulatorFailed:
            raise
        except _TimeUpError:
            raise SimulatorHung(f"no answer within {self.limits.seconds:g} s", scenario) from None
        except _LeftError as error:
            raise SimulatorCrashed(f"it called {error}", scenario) from None
        except KeyboardInterrupt:  # somebody wants the suite to end
            raise
        except BaseException as error:  # noqa: BLE001 - a stranger's code may raise anything
            message = f"it raised {type(error).__name__}: {_words(error)}"
            raise SimulatorCrashed(message, scenario, _its_traceback(error)) from None


class _LeftError(BaseException):
    """The simulator called ``os._exit``."""


@contextmanager
def _no_exit() -> Iterator[None]:
    """Raise in the body where it would leave this process, and with 0 make a suite look green; children may go."""
    leave, here = os._exit, os.getpid()

    def stay(status: int) -> NoReturn:
        if os.getpid() != here:
            leave(status)
        raise _LeftError(f"os._exit({status})")

    os._exit = stay
    try:
        yield
    finally:
        os._exit = leave


class _TimeUpError(BaseException):
    """Not an ``Exception``: the simulator's own ``except Exception`` must not catch it."""


def _words(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as worse:  # noqa: BLE001 - an error that cannot be told is one all the same
        return f"(its words raised {type(worse).__name__})"


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise ``_TimeUpError`` in the body after ``seconds``, and again until it is left; what hears nothing is ended."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    watch(time.monotonic() + seconds + GRACE_SECONDS)
    former = signal.signal(signal.SIGALRM, _time_is_up)
    timer = signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, former)
        watch(0)


def _time_is_up(_signal: int, frame: FrameType | None) -> None:
    if frame is not None and frame.f_globals.get("__name__") in _LEAVING:
        return
    # whoever swallows it in a loop is not inside its try for some instructions after that, so the next
    # one comes at once, each time a little later
    signal.setitimer(signal.ITIMER_REAL, next(_AGAIN_SECONDS), 0.05)
    raise _TimeUpError


_AGAIN_SECONDS = cycle(n * 1e-6 for n in range(1, 40))


def _its_traceback(error: BaseException) -> str:
    """The traceback from the simulator's own first frame on."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_globals.get("__name__") in _OURS:
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames, limit=-12))


_OURS = (__name__, "invariants.drivers.simulator")
_LEAVING = (__name__, "contextlib", "signal", "enum")
"""Modules in which the body has been left already, and the clock is being put back."""


def _module(place: str, spec: str) -> ModuleType:
    is_file = place.endswith(".py") or "/" in place
    if is_file and not Path(place).is_file():
        raise InputError(file="simulator", field="file", got=place, wanted="an existing Python file")
    _reach(str(Path(place).resolve().parent if is_file else Path.cwd()))
    try:
        return _from_file(Path(place).resolve()) if is_file else importlib.import_module(place)
    except (Exception, SystemExit) as error:  # a stranger's module may raise anything
        got = f"{type(error).__name__}: {error}"
        raise InputError(file=spec, field="import", got=got, wanted="a module that imports") from error


def _reach(folder: str) -> None:
    """Make the modules of ``folder`` importable, as for a script that is run from there."""
    if folder not in sys.path:
        sys.path.insert(0, folder)


def _from_file(path: Path) -> ModuleType:
    # two simulators may share a file name, never a path
    name = f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    fresh = _Fresh(name, str(path)) if path.suffix == ".py" else None
    found = importlib.util.spec_from_file_location(name, path, loader=fresh)
    if found is None or found.loader is None:
        raise ImportError(f"{path} is no Python source")
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    found.loader.exec_module(module)
    return module


class _Fresh(SourceFileLoader):
    """The source as it stands: compiled code of an earlier one counts as its own if length and second agree."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _function(module: ModuleType, name: str, spec: str) -> Callable[[Scenario], Any]:
    try:
        function = reduce(getattr, name.split("."), module)
    except AttributeError:
        raise InputError(file=spec, field="function", got=name, wanted=f"a function of {module.__name__}") from None
    if not callable(function):
        raise InputError(file=spec, field="function", got=function, wanted="something that can be called")
    return function
