"""The command line. Exit codes: 0 laws hold, 1 a law is broken, 2 wrong command or input, 3 nothing judged.

What a command needs is imported inside it, so that ``fillproof --help`` answers at once.
"""

# ruff: noqa: PLC0415 (the commands import what they need, and --help none of it)

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from invariants.replay import replay
from invariants.verify import verify
from simcore.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from invariants.auditing import Report
    from simcore import Instrument

_INTERRUPTED = 130


class _Court(click.Group):
    """A group whose commands turn errors into exit codes: the shell must never take a crash for a verdict."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except InputError as error:
            _say_wrong(error)
            ctx.exit(2)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(_INTERRUPTED)
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader of our output has left: not our verdict
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                ctx.exit(_INTERRUPTED)
            click.echo(f"fillproof: {error}", err=True)
            ctx.exit(2)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception:  # noqa: BLE001 - a bug of ours, shown in full; Python's own exit code 1 would read as a verdict
            click.echo(f"{traceback.format_exc()}fillproof: this is a bug in fillproof; nothing was judged", err=True)
            ctx.exit(3)


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
    type=click.Path(path_type=Path),
    default=Path("fillproof-demo"),
    show_default=True,
    help="Folder for the run, its markers and the reports.",
)
def demo(out: Path) -> None:
    """Simulate a SYNTHETIC day with a plain maker, audit it, and show the report."""
    from invariants.demo.show import show

    with _busy("a synthetic day: quoting, filling, judging"):
        report = show(out)
    _show(report, _console())
    click.echo(f"\nThe tape is synthetic. Written: {out}/run, {out}/markers, {out}/report.json, {out}/report.html")
    sys.exit(report.exit_code())


@main.command()
@click.argument("tape", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run bundle.")
@click.option("--quotes", multiple=True, help="Tops of book: file, glob or URL (repeatable).")
@click.option("--rules", default="origin", show_default=True, help="Rules file, or the name of a preset.")
@click.option("--tick", help="Price per tick [default: from the tape].")
@click.option("--lot", help="Size per lot [default: from the tape].")
@click.option("--size", help="Size of a quote, in size units [default: 5, rounded up to the lot].")
@click.option(
    "--refresh",
    type=click.FloatRange(min=0),
    default=2.0,
    show_default=True,
    help="Seconds between two refreshes of the quotes, at least.",
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
) -> None:
    """Write the run of a plain two-sided maker on TAPE (files, globs, s3:// or https://)."""
    from invariants.readers.bundle import write_bundle
    from invariants.simulate import simulate_tape

    with _busy("reading, quoting, filling"):
        run = simulate_tape(
            tape,
            quotes=quotes,
            rules=rules,
            instrument=_instrument(tick, lot),
            size=size,
            refresh_ns=round(refresh * 1_000_000_000),
        )
        write_bundle(run, out)
    click.echo(f"{out}: {len(run.trades):,} trades, {len(run.orders):,} orders, {len(run.fills):,} fills")


@main.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--reader", help="Which reader takes PATH [default: by its contents].")
@click.option("--tape", help="The tape, where the run has none.")
@click.option("--rules", help="Rules file or preset that the run declares, instead of its own.")
@click.option(
    "--json", "json_path", type=click.Path(path_type=Path), help="Write the JSON report (several PATHs: a folder)."
)
@click.option(
    "--html", "html_path", type=click.Path(path_type=Path), help="Write the report as a page (several PATHs: a folder)."
)
@click.option(
    "--baseline", type=click.Path(path_type=Path), help="A JSON report: findings that stand in it do not fail."
)
@click.option("--strict", is_flag=True, help="A law that stays unknown is exit code 3.")
@click.option(
    "--max-findings",
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    help="Findings listed for each law; counts are always exact.",
)
def audit(
    paths: tuple[str, ...],
    reader: str | None,
    tape: str | None,
    rules: str | None,
    json_path: Path | None,
    html_path: Path | None,
    baseline: Path | None,
    strict: bool,
    max_findings: int,
) -> None:
    """Hold recorded runs against every law."""
    from invariants.outcome import exit_code, known, worst
    from invariants.report import read_report, report_bytes, report_page

    before = None if baseline is None else read_report(baseline)
    codes: dict[str, int] = {}
    console = _console()
    for path in _each(paths, console):
        try:
            with _busy(f"judging {path}", alone=len(paths) == 1):
                report = _judge(path, reader, rules, tape, max_findings)
            _write(json_path, path, paths, ".json", report_bytes, report)
            _write(html_path, path, paths, ".html", lambda r: report_page(r).encode(), report)
        except InputError as error:
            _say_wrong(error)
            codes[path] = 2
            continue
        _show(report, console)
        for law in known(report, before):
            console.print(f"{law}: broken as the baseline knows it", highlight=False)
        codes[path] = exit_code(report, before, strict=strict)
    if len(paths) > 1:
        _print_codes(codes)
    sys.exit(worst(codes.values()))


main.add_command(verify)
main.add_command(replay)


@main.command()
@click.argument("name", required=False)
def laws(name: str | None) -> None:
    """List the catalogue of laws, or show the page of the law NAME."""
    from invariants.pages import catalogue, page

    _console().print(catalogue() if name is None else page(name))


def _judge(path: str, reader: str | None, rules: str | None, tape: str | None, max_findings: int) -> Report:
    from invariants.auditing import audit as judge
    from invariants.readers import read_run

    run = read_run(path, reader=reader, rules=rules, tape=tape)
    return judge(run, max_findings=max_findings)


def _write(
    target: Path | None,
    path: str,
    paths: tuple[str, ...],
    suffix: str,
    render: Callable[[Report], bytes],
    report: Report,
) -> None:
    """Write one rendering of a report; with several paths into a folder, each under its place and name."""
    if target is None:
        return
    from invariants.report import write_atomically

    if len(paths) > 1:
        target.mkdir(parents=True, exist_ok=True)
        target /= f"{paths.index(path) + 1}-{Path(path).name}{suffix}"
    write_atomically(target, render(report))


def _print_codes(codes: dict[str, int]) -> None:
    from rich.table import Table
    from rich.text import Text

    words = ("holds", "a law is broken", "wrong input", "nothing judged")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("run", "exit", ""):
        table.add_column(column)
    for path, code in codes.items():
        table.add_row(Text(path), str(int(code)), words[code])
    _console().print(table)


def _instrument(tick: str | None, lot: str | None) -> Instrument | None:
    if tick is None and lot is None:
        return None
    if tick is None or lot is None:
        raise click.UsageError("--tick and --lot go together")
    from simcore import Instrument

    return Instrument(tick_size=tick, lot_size=lot)  # type: ignore[arg-type]  # it converts text itself


def _say_wrong(error: InputError) -> None:
    """One line, whatever is in it."""
    from invariants.report.as_text import clean

    click.echo("fillproof: " + " ".join(clean(error).split()), err=True)


def _console() -> Console:
    """Standard output: in colour on a terminal, plain and wide anywhere else."""
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=120, color_system=None, force_terminal=False)


@contextmanager
def _busy(words: str, *, alone: bool = True) -> Iterator[None]:
    """A spinner on standard error while something runs: on a terminal, and without another bar there."""
    if not (alone and sys.stderr.isatty()):
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(words):
        yield


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
