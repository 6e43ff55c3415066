"""``fillproof diagnose``: who lost the money."""

# ruff: noqa: PLC0415 (as in the command line: --help needs none of it)

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from invariants.reading import FILE, NAME
from simcore import InputError

if TYPE_CHECKING:
    from invariants.diagnosis import Sweep
    from simcore import Run


@click.command()
@click.argument("path")
@click.option("--reader", help="Which reader takes the path [default: by its contents].")
@click.option("--tape", help="The tape, where the run has none.")
@click.option("--rules", type=NAME, help="Rules file or preset that the run declares, instead of its own.")
@click.option(
    "--horizons",
    default="5,30,60,300",
    show_default=True,
    help="Seconds after the fill, with commas; 30 decides, or else the nearest.",
)
@click.option("--bracket/--no-bracket", default=True, show_default=True, help="Fill the same actions otherwise, too.")
@click.option("--sweeps", is_flag=True, help="Let the inside-spread maker quote the run's tape, one parameter turned.")
@click.option("--long-days", type=float, help="Scale the run to a period of so many days.")
@click.option("--long-pnl", type=float, help="The result of that period, in currency.")
@click.option("--long-fills", type=float, help="The fills of that period.")
@click.option("--json", "json_path", type=FILE, help="Write the diagnosis as JSON.")
@click.option("--html", "html_path", type=FILE, help="Write the report with it as a page.")
def diagnose(
    path: str,
    reader: str | None,
    tape: str | None,
    rules: str | None,
    horizons: str,
    bracket: bool,
    sweeps: bool,
    long_days: float | None,
    long_pnl: float | None,
    long_fills: float | None,
    json_path: Path | None,
    html_path: Path | None,
) -> None:
    """Say of the run at PATH who lost the money: A adverse selection, B the simulator, C the strategy's logic.

    Exit codes: 0 no law is broken, whatever the verdict; 1 one is (B); 2 wrong input; 3 there was nothing
    to judge.
    """
    import json

    from rich.console import Console

    from invariants.diagnosis import diagnose as examine
    from invariants.diagnosis import diagnosis_dict, diagnosis_text, print_diagnosis, sweep_dict, sweep_text
    from invariants.readers import read_run
    from invariants.report import report_page, spare, write_atomically

    if long_days is None and (long_pnl is not None or long_fills is not None):
        raise click.UsageError("--long-pnl and --long-fills are of a long period: say --long-days")
    seconds = _horizons(horizons)
    run = read_run(path, reader=reader, rules=rules, tape=tape)
    spare({"--json": json_path, "--html": html_path}, (*run.inputs, rules))
    found = examine(
        run, horizons_s=seconds, bracket=bracket, long_days=long_days, long_pnl=long_pnl, long_fills=long_fills
    )
    if sys.stdout.isatty():
        print_diagnosis(found, Console())
    else:
        click.echo(diagnosis_text(found), nl=False)
    tables = _sweeps(run, seconds) if sweeps else ()
    for table in tables:
        click.echo(f"\n{sweep_text(table, run.instrument)}", nl=False)
    if json_path is not None:
        told = diagnosis_dict(found)
        if sweeps:
            told["sweeps"] = [sweep_dict(table, run.instrument) for table in tables]
        write_atomically(json_path, f"{json.dumps(told, indent=1, allow_nan=False)}\n".encode())
    if html_path is not None:
        write_atomically(html_path, report_page(found.report, found, sweeps=tables).encode())
    sys.exit(found.exit_code)


def _sweeps(run: Run, horizons_s: Sequence[float]) -> tuple[Sweep, ...]:
    """What other parameters of the inside-spread maker would have made on the run's tape under its rules."""
    from invariants.demo.maker import Maker, run_maker
    from invariants.diagnosis import standard_sweeps
    from invariants.diagnosis.bracket import declared, tape_of

    tape, rules = tape_of(run), declared(run)
    if not tape:
        raise InputError(file=run.name, field="tape", got="none", wanted="a run with its tape, for --sweeps")
    maker = Maker(initial_position=None)
    return standard_sweeps(maker, lambda m: run_maker(tape, rules, run.instrument, m), horizons_s=horizons_s)


def _horizons(text: str) -> list[float]:
    """Numbers with commas between. Raises ``InputError``."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        wanted = "seconds with commas between, as 5,30,60,300"
        raise InputError(file="command line", field="horizons", got=text, wanted=wanted) from None
