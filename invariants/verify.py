"""``fillproof verify``: the conformance suite over one simulator, as a command."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from invariants.reading import FILE, NAME
from invariants.verdict import Verdict
from simcore.errors import InputError

if TYPE_CHECKING:
    from invariants.waivers import Complaint, Waiver

SUITE = "invariants.conformance"
PLUGIN = "invariants.conformance.plugin"
USAGE_ERROR, INTERRUPTED = 4, 2
"""pytest's own exit codes."""


@click.command()
@click.argument("simulator")
@click.option("-n", "workers", default="auto", show_default=True, help="Worker processes; 0: none, in this process.")
@click.option("--examples", type=click.IntRange(min=1), help="Scenarios per test [default: 500].")
@click.option("--exhaustive", type=click.IntRange(min=0), help="Also every scenario of up to K events.", metavar="K")
@click.option("--max-time", type=click.FloatRange(min=1), help="Instead of --examples: seconds to use up.")
@click.option("--rules", type=NAME, help="Rules file or preset to verify under, instead of what SIMULATOR declares.")
@click.option("--seed", help="Which scenarios are drawn: a number, or random [default: 0].")
@click.option("--case-dir", type=FILE, help="Where failing scenarios go [.fillproof/cases].")
@click.option("--json", "json_path", type=FILE, help="Write verdicts and counts as JSON.")
@click.option("--waivers", "waivers_path", type=FILE, help="Broken laws that pinned cases excuse (TOML).")
@click.option("--strict", is_flag=True, help="A law or feature that stays unknown is exit code 3.")
def verify(simulator: str, json_path: Path | None, waivers_path: Path | None, strict: bool, **options: Any) -> None:
    """Hold SIMULATOR against every law and relation.

    SIMULATOR is package.module:function, path/to/file.py:function, 'cmd:./program --flags' or engine:NAME.
    """
    excused, wrong = _held(waivers_path, simulator, options["rules"])
    if json_path is not None:
        json_path = cleared(json_path, (*_files_of(simulator), options["rules"], waivers_path))
    pytest_code, text = _run(simulator, options)
    if json_path is not None and text is not None:
        from invariants.report.write import write_atomically  # noqa: PLC0415 - as in the command line

        write_atomically(json_path, text)
    told = None if text is None else json.loads(text)
    code = exit_code(*without(excused, pytest_code, told), strict=strict)
    for law, waiver in excused.items():
        click.echo(f"{law}: waived until {waiver.expires}, {waiver.case} still fails: {waiver.reason}")
    for complaint in wrong:
        click.echo(complaint)
    for line in pages_on(simulator, told):
        click.echo(line)
    click.echo(_last_words(code, told, pytest_code))
    sys.exit(1 if wrong and code in (0, 3) else code)


def exit_code(pytest_code: int, told: Mapping[str, Any] | None, *, strict: bool = False) -> int:
    """0, 1, 2 or 3 from pytest's exit code and the suite's JSON (None where it wrote none)."""
    if pytest_code == USAGE_ERROR:
        return 2
    if pytest_code == INTERRUPTED:
        return 130
    if told is None or not told["laws"]:
        return 3
    if told["verdict"] == Verdict.FAIL.value:
        return 1
    # a test that failed without a broken law is a crash of the suite: it acquits nobody
    if pytest_code != 0 or not sum(law["judged"] for law in told["laws"] if law["kind"] != "answers"):
        return 3
    return 3 if strict and told["verdict"] != Verdict.PASS.value else 0


def without(
    excused: Container[str], pytest_code: int, told: Mapping[str, Any] | None
) -> tuple[int, Mapping[str, Any] | None]:
    """The exit code of pytest and the suite's JSON as they would be without the broken laws that are ``excused``.

    Nothing changes while another law is broken, and where a test crashed nobody is acquitted.
    """
    laws = [] if told is None else told["laws"]
    left = [law for law in laws if not (law["verdict"] == Verdict.FAIL.value and law["law"] in excused)]
    if told is None or len(left) == len(laws) or any(law["verdict"] == Verdict.FAIL.value for law in left):
        return pytest_code, told
    is_open = told["too_rare"] or any(law["verdict"] == Verdict.UNKNOWN.value for law in left)
    verdict = Verdict.UNKNOWN if is_open else Verdict.PASS
    crashed = any(law["reason"].startswith("the test crashed") for law in left)
    return int(crashed or pytest_code not in (0, 1)), {**told, "laws": left, "verdict": verdict.value}


def _held(path: Path | None, simulator: str, rules: str | None) -> tuple[dict[str, Waiver], list[Complaint]]:
    """What the waivers excuse for the simulator, and what is wrong with them. Raises ``InputError``."""
    from invariants.replay import still_failing  # noqa: PLC0415 - as in the command line
    from invariants.waivers import held_cases, read_waivers, today  # noqa: PLC0415

    if path is None:
        return {}, []
    return held_cases(read_waivers(path), simulator, partial(still_failing, rules=rules), on=today())


def _run(simulator: str, options: Mapping[str, Any]) -> tuple[int, bytes | None]:
    """Run the suite: pytest's exit code, and the suite's JSON (None where it wrote none)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "verify.json"
        argv = _pytest(simulator, path, options)
        # Hypothesis keeps notes on every module that it sees; in .hypothesis here nobody would know whose they are
        env = {"HYPOTHESIS_STORAGE_DIRECTORY": f"{folder}/hypothesis", **_clean_environment()}
        with subprocess.Popen(argv, env=env) as suite:  # noqa: S603 - this interpreter, our own suite
            try:
                code = suite.wait()
            except KeyboardInterrupt:
                _end(suite)
                raise
        return code, path.read_bytes() if path.is_file() else None


def _end(suite: subprocess.Popen[bytes]) -> None:
    """End pytest, which ends its workers: a terminal has told it as well (so 0, no signal), a supervisor has not."""
    for number, seconds in ((0, 1), (signal.SIGINT, 12), (signal.SIGKILL, None)):
        suite.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            suite.wait(seconds)
            return


def _pytest(simulator: str, json_path: Path, options: Mapping[str, Any]) -> list[str]:
    ini = Path(__file__).parent / "conformance" / "verify.ini"
    argv = [sys.executable, "-m", "pytest", "-c", str(ini), "--rootdir", str(Path.cwd()), "-q", "--no-header", "-rN"]
    argv += [word for off in ("cacheprovider", "randomly") for word in ("-p", f"no:{off}")]
    if not entry_points(group="pytest11", name="fillproof"):  # run from a source tree
        argv += ["-p", PLUGIN]
    argv += ["--pyargs", SUITE, f"--simulator={simulator}", f"--fillproof-json={json_path.resolve()}"]
    given = {**options, "n": options["workers"], "hypothesis_seed": options["seed"]}
    for name in ("n", "examples", "exhaustive", "max_time", "rules", "case_dir", "hypothesis_seed"):
        if given[name] is not None:
            argv += ["-n", str(given[name])] if name == "n" else [f"--{name.replace('_', '-')}={given[name]}"]
    return argv


def _clean_environment() -> dict[str, str]:
    """The environment without what would change how pytest runs."""
    return {k: v for k, v in os.environ.items() if k not in ("PYTEST_ADDOPTS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD")}


def _files_of(simulator: str) -> Iterator[str]:
    """The files that the name of a simulator may be of."""
    name = simulator.rpartition(":")[0]
    yield from (name, f"{name.replace('.', '/')}.py", *simulator.removeprefix("cmd:").split())


def cleared(path: Path, read: Iterable[str | Path | None]) -> Path:
    """The file itself, gone: what an earlier call left must not be taken for the answer of this one.

    A device stays. Raises ``InputError``, also for a file that is ``read``.
    """
    from invariants.report.write import spare  # noqa: PLC0415 - as in the command line

    spare({"--json": path}, read)
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if path.is_file():
            path = path.resolve()
            path.unlink()
    except OSError as error:
        wanted = "a place that can be written"
        raise InputError(file=str(path), field="file", got=error.strerror, wanted=wanted) from None
    return path


def pages_on(simulator: str, told: Mapping[str, Any] | None) -> Iterator[str]:
    """For each law that a real engine broke: where the source tree tells why, or that nothing does."""
    from invariants.drivers.engines import engine_named  # noqa: PLC0415 - only where it is wanted

    if told is None or not simulator.startswith("engine:"):
        return
    engine = engine_named(simulator.removeprefix("engine:"))
    for law in (law["law"] for law in told["laws"] if law["verdict"] == Verdict.FAIL.value):
        yield f"{law}: {', '.join(engine.pages(law)) or 'not known before'}"


def _last_words(code: int, told: Mapping[str, Any] | None, pytest_code: int) -> str:
    laws = [] if told is None else told["laws"]
    broken = [law["law"] for law in laws if law["verdict"] == Verdict.FAIL.value]
    unknown = [law["law"] for law in laws if law["verdict"] == Verdict.UNKNOWN.value]
    if told is None and code == 3:
        ended = f"code {pytest_code}" if pytest_code >= 0 else signal.Signals(-pytest_code).name
        unknown = [f"the suite's process ended with {ended} before it told anything, as when the simulator ends it"]
    rare = 0 if told is None else len(told["too_rare"])
    unknown += [f"{rare} features exercised too rarely"] if rare else []
    words = {
        0: "holds: every law and relation that could be judged",
        1: f"broken: {', '.join(broken) or 'the simulator did not answer'}",
        2: "the command or the simulator is wrong: nothing was judged",
        3: f"not judged: {', '.join(unknown) or 'nothing was exercised often enough'}",
        130: "interrupted",
    }[code]
    also = f" (unknown: {', '.join(unknown)})" if unknown and code in (0, 1) else ""
    return f"verify: {words}{also}"
