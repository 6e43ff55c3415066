"""The command line. Exit codes: 0 laws hold, 1 a law is broken, 2 wrong command or input, 3 nothing judged.

What a command needs is imported inside it, so that ``fillproof --help`` answers at once.
"""

# ruff: noqa: PLC0415 (the commands import what they need, and --help none of it)

from __future__ import annotations

import errno
import gc
import io
import os
import shlex
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import click

# Arrow asks once, when it is imported; its own stores hold as much memory again as is in use
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

from invariants.calibrate import calibrate
from invariants.diagnose import diagnose
from invariants.reading import FILE, NAME, SECONDS, Pieces, Source, busy, complain, reading_options
from invariants.replay import replay
from invariants.verify import verify
from simcore.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from invariants.auditing import Report
    from invariants.compare import Comparison
    from simcore import Instrument

_INTERRUPTED, _TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM
_LONGEST_LINE = 10_000
_SELDOM = (50_000, 10, 10)
"""When to look for garbage (Python: 700, 10, 10): a run is some hundred thousand small objects, none in a cycle."""


class _Court(click.Group):
    """A group whose commands turn errors into exit codes: the shell must never take a crash for a verdict."""

    def main(self, *args: Any, **extra: Any) -> Any:
        _open_streams()
        try:
            return super().main(*args, **extra)
        except BrokenPipeError:  # nobody heard what is wrong with the command, and it still is
            sys.exit(2)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        try:
            return super().make_context(*args, **extra)
        except BrokenPipeError:  # of --help and --version
            raise click.exceptions.Exit(_left()) from None

    def invoke(self, ctx: click.Context) -> Any:
        gc.set_threshold(*_SELDOM)
        try:
            with _unwound():
                return super().invoke(ctx)
        except InputError as error:
            complain(f"fillproof: {error}")
            ctx.exit(2)
        except _Terminated:
            complain("terminated")
            ctx.exit(_TERMINATED)
        except KeyboardInterrupt:
            complain("interrupted")
            ctx.exit(_INTERRUPTED)
        except OSError as error:
            if error.errno == errno.EPIPE:
                ctx.exit(_left())
            complain(f"fillproof: {error}")
            ctx.exit(2)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception:  # noqa: BLE001 - a bug of ours, shown in full; Python's own exit code 1 would read as a verdict
            with suppress(OSError):
                click.echo(
                    f"{traceback.format_exc()}fillproof: this is a bug in fillproof; nothing was judged", err=True
                )
            ctx.exit(3)


def _left() -> int:
    """The exit code where the reader of our output has left: not our verdict."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _INTERRUPTED


class _Terminated(KeyboardInterrupt):
    """A supervisor wants the command to end, where a person would press Ctrl-C."""


@contextmanager
def _unwound() -> Iterator[None]:
    """SIGTERM unwinds what is being done, so that the processes that it started and its files end with it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise _Terminated


def _open_streams() -> None:
    """A shell may have closed a stream (``>&-``), and a locale may lack the letters of a path: neither is an end."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - as long as the process
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _version() -> str:
    try:
        return version("fillproof")
    except PackageNotFoundError:
        return "(not installed)"  # run from a source tree


@click.group(cls=_Court, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_version(), prog_name="fillproof", message="%(prog)s %(version)s")
def main() -> None:
    """Proof instead of reading: laws, scenarios and an auditor for trading-fill simulators.

    Exit codes: 0 all laws that apply hold, 1 a law is broken, 2 the command or the input is wrong,
    3 nothing could be judged.
    """


@main.command()
@click.option(
    "--out",
    type=FILE,
    default=Path("fillproof-demo"),
    show_default=True,
    help="Folder for the run, its markers and the reports.",
)
def demo(out: Path) -> None:
    """Let the origin's maker quote a SYNTHETIC day, audit and diagnose the run, write the report."""
    from invariants.demo.show import show
    from invariants.diagnosis import diagnosis_text, sweep_text

    with busy("a synthetic day: quoting, filling, judging, diagnosing"):
        shown = show(out)
    _show(shown.report, _console())
    click.echo(diagnosis_text(shown.diagnosis), nl=False)
    click.echo(sweep_text(shown.sweep, shown.report.run.instrument), nl=False)
    click.echo(f"\nThe tape is synthetic. Written: {out}/run, {out}/markers, {out}/report.json, {out}/report.html")
    sweeps = ("fillproof", "diagnose", f"{out}/run", "--sweeps", "--html", f"{out}/sweeps.html")
    click.echo(f"Every sweep: {shlex.join(sweeps)}")
    sys.exit(shown.report.exit_code())


@main.command()
@click.argument("tape", nargs=-1, required=True)
@click.option("--out", type=FILE, required=True, help="Folder of the run bundle.")
@click.option("--quotes", multiple=True, help="Tops of book: file, glob or URL (repeatable).")
@click.option("--rules", type=NAME, default="origin", show_default=True, help="Rules file, or the name of a preset.")
@click.option("--tick", help="Price per tick [default: from the tape].")
@click.option("--lot", help="Size per lot [default: from the tape].")
@click.option("--size", help="Size of a quote, in size units [default: 5, rounded up to the lot].")
@click.option(
    "--refresh",
    type=SECONDS,
    default=2.0,
    show_default=True,
    help="Seconds between two refreshes of the plain maker's quotes, at least.",
)
@click.option(
    "--maker",
    type=click.Choice(["plain", "inside-spread"]),
    default="plain",
    show_default=True,
    help="Who quotes: a plain maker, or that of the origin report, which holds 10 units at the start.",
)
def simulate(
    tape: tuple[str, ...],
    out: Path,
    quotes: tuple[str, ...],
    rules: str,
    tick: str | None,
    lot: str | None,
    size: str | None,
    refresh: float,
    maker: str,
) -> None:
    """Write the run of a two-sided maker on TAPE (files, globs, s3:// or https://)."""
    from invariants.readers.bundle import write_bundle
    from invariants.simulate import simulate_tape

    given = click.get_current_context().get_parameter_source("refresh")
    if maker != "plain" and given is not click.core.ParameterSource.DEFAULT:
        raise click.UsageError(f"--refresh is the plain maker's; --maker {maker} has no use for it")
    with busy("reading, quoting, filling"):
        run = simulate_tape(
            tape,
            quotes=quotes,
            rules=rules,
            instrument=_instrument(tick, lot),
            size=size,
            refresh_ns=round(refresh * 1_000_000_000),
            maker=maker,
        )
        write_bundle(run, out)
    click.echo(f"{out}: {len(run.trades):,} trades, {len(run.orders):,} orders, {len(run.fills):,} fills")


@main.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@reading_options
@click.option("--json", "json_path", type=FILE, help="Write the JSON report (several PATHs: a folder).")
@click.option("--html", "html_path", type=FILE, help="Write the report as a page (several PATHs: a folder).")
@click.option("--sarif", "sarif_path", type=FILE, help="Write the findings as SARIF 2.1.0, all PATHs in one file.")
@click.option("--summary", "in_step", is_flag=True, help="Append Markdown to the file named by $GITHUB_STEP_SUMMARY.")
@click.option("--summary-file", type=FILE, help="Write the same Markdown to a file.")
@click.option(
    "--baseline",
    type=FILE,
    help="A JSON report: findings that stand in it do not fail (several PATHs: the folder that --json wrote).",
)
@click.option("--waivers", "waivers_path", type=FILE, help="Broken laws that are excused, and until when (TOML).")
@click.option("--strict", is_flag=True, help="A law that stays unknown is exit code 3.")
@click.option(
    "--max-findings",
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    help="Findings listed for each law; counts are always exact.",
)
@click.option("--law", "names", multiple=True, metavar="NAME", help="Judge this law alone (repeatable).")
@click.option("--workers", type=click.IntRange(min=1), help="Judge a bundle in pieces, by so many processes.")
@click.option("--cluster", metavar="ADDRESS", help="Judge its pieces on a Dask cluster.")
@click.option("--resume", type=FILE, metavar="DIR", help="Keep judged pieces in DIR, and go on from those there.")
def audit(
    paths: tuple[str, ...],
    json_path: Path | None,
    html_path: Path | None,
    sarif_path: Path | None,
    in_step: bool,
    summary_file: Path | None,
    baseline: Path | None,
    waivers_path: Path | None,
    strict: bool,
    max_findings: int,
    workers: int | None,
    cluster: str | None,
    resume: Path | None,
    names: tuple[str, ...],
    **reading: Any,
) -> None:
    """Hold recorded runs against every law.

    A PATH may be a URL, or a glob of URLs (s3://bucket/runs/*), of bundles. A long bundle is judged in
    pieces, in bounded memory; the report is the same.
    """
    from invariants.outcome import Policy, worst
    from invariants.outputs import Files, Said
    from invariants.readers.sources import told_as
    from invariants.reading import each_bundle, laws_named
    from invariants.report import report_bytes, report_page, spare
    from invariants.report.as_markdown import step_summary
    from invariants.report.as_text import clean, counts
    from invariants.waivers import complaints, of_laws, read_waivers, today

    source = Source(**reading)
    in_pieces = Pieces(
        workers=workers, cluster=cluster, resume=resume, laws=laws_named(names), shown=html_path is not None
    )
    paths = source.apart(each_bundle(paths, source))
    files = Files(paths)
    for option, target, suffix in (("--json", json_path, ".json"), ("--html", html_path, ".html")):
        files.check(option, target, suffix)
    for_all = {"--sarif": sarif_path, "--summary-file": summary_file}
    for_one = {} if len(paths) > 1 else {"--json": json_path, "--html": html_path}  # else they are folders
    spare({**for_one, **for_all}, (source.rules, waivers_path))  # of a baseline a new one may take the place
    befores = files.baselines(baseline)
    policy = Policy(today(), None if waivers_path is None else of_laws(read_waivers(waivers_path), names), strict)
    said = Said(sarif_path, step_summary() if in_step else None, summary_file)
    source.check(*paths)
    codes: list[tuple[str, int, str, str]] = []
    seen, read = [], list[str]()
    console = _console()
    for number, place in enumerate(_each(paths, console)):
        path = told_as(place)
        try:
            report = in_pieces.judge(source, place, max_findings, alone=len(paths) == 1)
            read += report.run.inputs
            spare(for_one, report.run.inputs)
            outcome = policy.outcome(path, report, befores[number])
            files.write(json_path, number, ".json", report_bytes, outcome.report)
            files.write(html_path, number, ".html", lambda r: report_page(r).encode(), outcome.report)
        except (InputError, OSError) as error:  # of one run: the others are judged
            unread = _unread(path, error)
            complain(f"fillproof: {unread}")
            codes.append((path, 2, "wrong input", ""))
            said.unread(path, unread)
            continue
        _show(outcome.report, console)
        for line in outcome.lines():
            console.print(clean(line), highlight=False, markup=False, soft_wrap=True)
        codes.append((path, outcome.code, outcome.words, counts(outcome.report.to_dict())))
        seen.append(outcome.seen)
        said.outcome(outcome)
    wrong = list(complaints(policy.waivers or (), seen, on=policy.on))
    spare(for_all, read)
    said.write(wrong)
    if len(paths) > 1:
        _print_codes(codes)
    for complaint in wrong:
        click.echo(clean(complaint))
    sys.exit(worst([*(code for _, code, *_ in codes), *(1 for _ in wrong)]))


@main.command()
@click.argument("source", metavar="SRC")
@click.option("--out", type=FILE, required=True, help="Folder of the run bundle.")
@reading_options
def convert(source: str, out: Path, **reading: Any) -> None:
    """Write the output SRC of any engine as a run bundle."""
    from invariants.readers.bundle import write_bundle

    with busy(f"reading {source}"):
        run = Source(**reading).read(source)
        write_bundle(run, out)
    counts = {"trades": len(run.trades), "tops": len(run.tops), "orders": len(run.orders), "fills": len(run.fills)}
    counts |= {"positions": len(run.positions), "rows rejected": len(run.rejected)}
    click.echo(f"{out}: " + ", ".join(f"{count:,} {name}" for name, count in counts.items()))


@main.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@reading_options
@click.option("--json", "json_path", type=FILE, help="Write the comparison as JSON.")
def compare(a: str, b: str, json_path: Path | None, **reading: Any) -> None:
    """Say which laws changed their verdict from A to B.

    A and B are each a recorded run, a JSON report of one, or a folder of such with names in common.
    Exit codes: 0 no law got worse, 1 one did, 2 wrong input, 3 nothing was judged on either side.
    """
    import json

    from invariants.compare import Comparison, page_of, pairs, unpaired
    from invariants.outcome import worst
    from invariants.readers.kinds import READERS
    from invariants.report import spare, write_atomically
    from invariants.report.as_text import clean

    def recognised(path: Path) -> bool:
        return any(reader.recognises(path) for reader in READERS)

    def judge(path: str) -> Mapping[str, Any]:
        return source.judge(path).to_dict()

    source = Source(**reading)
    source.check(a, b)
    compared = pairs(a, b, recognised) if source.chooses else [(a, b)]
    done, codes = [], []
    for left, right in compared:
        try:
            with busy(f"judging {left} and {right}"):
                done.append(Comparison(page_of(left, judge), page_of(right, judge), (left, right)))
        except (InputError, OSError) as error:  # of one pair: the others are compared
            complain(f"fillproof: {_unread(left, error)}")
            codes.append(2)
            continue
        codes.append(done[-1].exit_code)
        _show_comparison(done[-1])
    for path in unpaired(a, b, compared, recognised):
        click.echo(clean(f"compared with nothing: {path}"))
    read = [path for pair in compared for path in pair]
    read += [path for comparison in done for page in (comparison.a, comparison.b) for path in page["inputs"]]
    spare({"--json": json_path}, read)
    if json_path is not None and done:
        told = [comparison.to_dict() for comparison in done]
        write_atomically(json_path, (json.dumps(told[0] if len(compared) == 1 else told, indent=1) + "\n").encode())
    sys.exit(worst(codes))


main.add_command(verify)
main.add_command(replay)
main.add_command(diagnose)
main.add_command(calibrate)


@main.command()
@click.argument("name", required=False)
def laws(name: str | None) -> None:
    """List the catalogue of laws, or show the page of the law NAME."""
    from invariants.pages import catalogue, page

    _console().print(catalogue() if name is None else page(name))


def _print_codes(codes: list[tuple[str, int, str, str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from invariants.report.as_text import clean

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("run", "exit", "", ""):
        table.add_column(column, overflow="fold")  # cut short, two paths may look the same
    for path, code, words, said in codes:
        table.add_row(Text(clean(path).replace("\n", "\\n")), str(int(code)), words, said)
    _console(_LONGEST_LINE).print(table)


def _show_comparison(comparison: Comparison) -> None:
    console = _console()
    for line in comparison.lines():
        click.echo(line)
    with console.capture() as captured:
        console.print(comparison.table())
    for line in captured.get().splitlines():
        click.echo(line.rstrip())  # nothing but text where there is no terminal
    click.echo(comparison.last_words())


def _unread(path: str, error: InputError | OSError) -> InputError:
    """Why a run could not be read; the system may refuse to look at a path at all."""
    if isinstance(error, InputError):
        return error
    return InputError(file=path, field="path", got=error.strerror or str(error), wanted="a run that can be read")


def _instrument(tick: str | None, lot: str | None) -> Instrument | None:
    if tick is None and lot is None:
        return None
    if tick is None or lot is None:
        raise click.UsageError("--tick and --lot go together")
    from simcore import Instrument

    return Instrument(tick_size=tick, lot_size=lot)  # type: ignore[arg-type]  # it converts text itself


def _console(width: int = 120) -> Console:
    """Standard output: in colour on a terminal, plain and so wide anywhere else."""
    from rich.console import Console

    class Piped(Console):
        def on_broken_pipe(self) -> None:  # rich would leave with 1, which here is a verdict
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    return Console() if sys.stdout.isatty() else Piped(width=width, color_system=None, force_terminal=False)


def _show(report: Report, console: Console) -> None:
    """Print the report: in colour on a terminal, as lines without padding anywhere else."""
    from invariants.report import print_report, report_text

    if console.is_terminal:
        print_report(report, console)
    else:
        click.echo(report_text(report), nl=False)


def _each(paths: tuple[str, ...], console: Console) -> Iterator[str]:
    """The paths in order, with a progress bar where there are several and a terminal.

    The bar shares ``console`` with what is printed meanwhile, or stands on standard error.
    """
    if len(paths) < 2 or not sys.stderr.isatty():
        yield from paths
        return
    from rich.console import Console
    from rich.progress import track

    bar = console if console.is_terminal else Console(stderr=True)
    yield from track(paths, "auditing", console=bar, transient=True)
