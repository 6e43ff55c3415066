"""``fillproof calibrate``: how often each fill rule is right about real orders."""

# ruff: noqa: PLC0415 (as in the command line: --help needs none of it)

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from invariants.reading import FILE, NAME, SECONDS
from simcore import InputError

if TYPE_CHECKING:
    from invariants.calibration import Calibration, FrontOfQueue
    from invariants.readers.sources import Blob


@dataclass(slots=True)
class Files:
    """What stands where: orders (or executions with both ids), order events, trades, tops of book."""

    orders: str | None = None
    makers: str | None = None
    events: str | None = None
    tape: tuple[str, ...] = ()
    quotes: tuple[str, ...] = ()


@click.command()
@click.argument("orders", type=NAME, metavar="ORDERS")
@click.option("--tape", multiple=True, help="The trades of those hours: file, glob or URL (repeatable).")
@click.option("--quotes", multiple=True, help="Tops of book (repeatable).")
@click.option("--events", help="The events of the book of orders (L3).")
@click.option("--rules", type=NAME, help="Rules file or preset: one row more, for your own rules with all their dials.")
@click.option(
    "--tolerance",
    type=SECONDS,
    default=0.1,
    show_default=True,
    help="Seconds by which a first fill may be off and still be right.",
)
@click.option("--json", "json_path", type=FILE, help="Write the figures as JSON.")
def calibrate(
    orders: str,
    tape: tuple[str, ...],
    quotes: tuple[str, ...],
    events: str | None,
    rules: str | None,
    tolerance: float,
    json_path: Path | None,
) -> None:
    """Submit the real ORDERS again as ours under each fill rule, and say how often the rule is right.

    ORDERS is a table of real orders and their fate, a table of executions with the ids of both
    orders, or a folder with one of them and its tape. Exit code 3: nothing could be judged.
    """
    from invariants.calibration import calibration_dict, calibration_text
    from invariants.report.write import spare, write_atomically

    found = calibration_of(_files(orders, tape, quotes, events), rules=rules, tolerance_ns=round(tolerance * 1e9))
    spare({"--json": json_path}, (*found.inputs, rules))
    click.echo(calibration_text(found), nl=False)
    if json_path is not None:
        write_atomically(json_path, (json.dumps(calibration_dict(found), indent=1) + "\n").encode())
    sys.exit(0 if found.judged else 3)


def _files(orders: str, tape: tuple[str, ...], quotes: tuple[str, ...], events: str | None) -> Files:
    """The files by what they hold; what an option names is not looked for."""
    path = Path(orders)
    found = _by_contents(path) if path.is_dir() else _single(path)
    found.tape, found.quotes = tape or found.tape, quotes or found.quotes
    found.events = events or found.events
    return found


def _single(path: Path) -> Files:
    """One table: executions with both ids, or else orders and their fate."""
    from invariants.calibration.lives import NEEDED, is_lives
    from invariants.calibration.makers import is_makers
    from invariants.readers.peek import columns_of

    columns = columns_of(path)
    if is_makers(columns):
        return Files(makers=str(path))
    if is_lives(columns):
        return Files(orders=str(path))
    if not path.exists():
        raise InputError(file=str(path), field="file", got="nothing", wanted="a readable file")
    wanted = f"orders ({', '.join(NEEDED)}, submit_ns), or executions (buy_order, sell_order)"
    raise InputError(file=str(path), field="columns", got=", ".join(sorted(columns)) or "none", wanted=wanted)


def _by_contents(folder: Path) -> Files:
    from invariants.calibration.depth import is_events
    from invariants.calibration.lives import is_lives
    from invariants.calibration.makers import is_makers
    from invariants.readers.peek import columns_of
    from invariants.readers.tape_columns import BOOK

    kinds: dict[str, list[str]] = {"orders": [], "makers": [], "events": [], "tape": [], "quotes": []}
    for file in sorted(folder.iterdir()):
        columns = columns_of(file)
        book = all(not columns.isdisjoint(names) for names in BOOK.values())
        trades = "price" in columns and not columns.isdisjoint(("size", "qty", "amount")) and "order_id" not in columns
        for kind, fits in (
            ("orders", is_lives(columns)), ("events", is_events(columns)), ("makers", is_makers(columns)),
            ("quotes", book), ("tape", trades),
        ):  # fmt: skip
            if fits:
                kinds[kind].append(str(file))
                break
    lacks_orders = not kinds["orders"] and not kinds["makers"]
    for kind in ("orders", "events") if kinds["orders"] else ("makers", "events"):
        if len(kinds[kind]) > 1 or lacks_orders:
            got = ", ".join(Path(name).name for name in kinds[kind]) or "no orders"
            raise InputError(file=str(folder), field=kind, got=got, wanted="one such table, or the path of one")
    one = {kind: next(iter(kinds[kind]), None) for kind in ("orders", "makers", "events")}
    return Files(one["orders"], one["makers"], one["events"], tuple(kinds["tape"]), tuple(kinds["quotes"]))


def calibration_of(
    files: Files, *, rules: str | None = None, tolerance_ns: int = 100_000_000
) -> Calibration | FrontOfQueue:
    """Read the files and score the rules. Raises ``InputError``."""
    from invariants.calibration import calibrate as score
    from invariants.calibration import front_of_queue
    from invariants.calibration.depth import depth_of
    from invariants.calibration.lives import grid_of, lives_of, sheet_of
    from invariants.readers.tables import frame_from_bytes
    from invariants.readers.tape import check_above_zero, read_tape
    from simcore import Instrument, Rules

    if files.orders is None:
        blob = _blob(str(files.makers))
        return front_of_queue(frame_from_bytes(blob.data, file=blob.name), blob.name, inputs={blob.name: blob.sha256})
    if not files.tape:
        raise InputError(file=files.orders, field="tape", got="none", wanted="--tape: the trades of those hours")
    orders = _blob(files.orders)
    sheet = sheet_of(frame_from_bytes(orders.data, file=orders.name), orders.name)
    grid = grid_of(sheet)
    tape = read_tape(files.tape, quotes=files.quotes or None)
    theirs = tape.instrument
    grid = Instrument(min(grid.tick_size, theirs.tick_size), min(grid.lot_size, theirs.lot_size))
    if grid != theirs:
        tape = read_tape(files.tape, quotes=files.quotes or None, instrument=grid)
    check_above_zero(tape.trades, grid, tape.parts["tape"])
    check_above_zero(tape.tops, grid, tape.parts["quotes"])
    inputs, depth = {orders.name: orders.sha256, **tape.inputs}, None
    if files.events is not None:
        blob = _blob(files.events)
        depth = depth_of(frame_from_bytes(blob.data, file=blob.name), grid, blob.name)
        inputs[blob.name] = blob.sha256
    own = None if rules is None else Rules.load(rules, instrument=grid)
    return score(lives_of(sheet, grid), tape, depth, rules=own, tolerance_ns=tolerance_ns, inputs=inputs)


def _blob(source: str) -> Blob:
    """The one file that ``source`` names."""
    from invariants.readers.sources import blobs

    found = list(blobs(source))
    if len(found) != 1:
        raise InputError(file=source, field="file", got=f"{len(found)} files", wanted="one table")
    return found[0]
