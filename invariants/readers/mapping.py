"""Any tables: CSV or Parquet whose columns have other names, read through a map, ``fillproof-map/1``.

A map is a small TOML, or a folder with one called ``fillproof-map.toml``::

    format = "fillproof-map/1"
    name = "one day"                # optional, as are all sections but fills
    [instrument]                    # default: the finest decimals in the data
    tick_size = "1"
    lot_size = "0.01"
    [rules]                         # as in a rules file; without it every dial is undeclared
    preset = "origin"
    [provenance]                    # submit_ns, live_ns, cancel_ns, end_ns: native, derived, ...
    submit_ns = "nominal"
    [fills]                         # and orders, positions, tape, quotes
    file = "executions.csv"         # beside the map
    time_unit = "ms"                # of whole and decimal numbers: s, ms, us or ns
    time_format = "%Y%m%d;%H%M%S"   # of text, as Python's datetime.strptime has it
    time_zone = "America/New_York"  # of text without a zone of its own, default UTC
    time_resolution = "s"           # of fills whose times were cut to it (or "min"): they lie in [ns, ns + 1 s)
    size_unit = "0.001"             # their size 1 is this much of ours; price_unit the same
    fee_unit = -1                   # what was paid stands negative there
    delimiter = ";"                 # of CSV, default ","; also "|", and "tab"
    decimal = ","                   # of numbers in CSV, default "."; a sign between thousands is refused
    [fills.columns]                 # our_name = "their name"
    ns = "Date + Time"              # one column, or several, read as one text with spaces between
    price = "px"
    [fills.constants]               # for all rows, where there is no such column
    side = "buy"
    [fills.words]                   # their words for sides, aggressors and ends
    B = "buy"
    [fills.rows]                    # only rows with one of these words there; the others are counted
    Status = "filled|partially filled"

Our names are the columns of ``simcore.frames``; a column that has our name already needs no line.
``signed_size`` may stand for ``side`` (of a tape: ``aggressor``) and ``size``. Times are datetimes, ISO-8601
text or numbers; numbers without a ``time_unit`` must look like nanoseconds. Fills may have no ``order_id``:
then they are known, and the orders are not. In every table an id of digits is a number.

On a command line the same is written as pairs: ``TABLE=file``, ``TABLE.our_name=their name`` (the
table is ``fills`` where none is named), and any other line of the map by its dotted name:
``fills.time_unit=ms``, ``fills.words.B=buy``, ``instrument.tick_size=0.5``, ``rules.preset=origin``.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import tomli_w

from invariants.readers.mapping_plan import (
    COLUMNS,
    FORMAT,
    OPTIONS,
    PARTS,
    PRICES,
    SIZES,
    Map,
    checked,
    file_of,
    map_in,
    wrong,
)
from invariants.readers.mapping_tables import frame_of
from invariants.readers.sources import Sources, bytes_of
from invariants.readers.tape import Tape, left_aside, read_tape, with_tape
from simcore import InputError, Instrument, Rules, Run
from simcore import pandas_later as pd
from simcore.frames import Sheet, run_from_frames
from simcore.rules import DIALS


def read_map(path: str | Path, *, rules: Rules | str | Path | None = None, tape: Tape | Sources | None = None) -> Run:
    """The run in the tables that the map ``path`` names. Raises ``InputError``."""
    file = file_of(path)
    return _read(map_in(file), file.parent, rules, tape)


def read_mapped(
    path: str | Path,
    *,
    columns: Sequence[str],
    rules: Rules | str | Path | None = None,
    tape: Tape | Sources | None = None,
) -> Run:
    """The run in the table of fills ``path``, with the pairs of a command line. Raises ``InputError``."""
    return _read(checked(_of_pairs(path, columns), "--map"), Path(), rules, tape)


def write_map(path: str | Path, *, table: str | Path, columns: Sequence[str]) -> None:
    """Keep the pairs for the table of fills ``table`` as the map ``path``. Raises ``InputError``."""
    target = Path(path)
    values = _of_pairs(table, columns)
    checked(values, "--map")
    for name in COLUMNS:
        if name in values:
            values[name]["file"] = os.path.relpath(values[name]["file"], target.parent)
    try:
        _write(target, tomli_w.dumps(values).encode())
    except OSError as error:
        raise InputError(file=str(target), field="file", got=error.strerror, wanted="a place to write") from None


def _write(target: Path, data: bytes) -> None:
    """All of it or nothing."""
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=target.name, delete=False) as file:
        try:
            file.write(data)
            file.close()
            Path(file.name).replace(target)
        except OSError:
            with contextlib.suppress(FileNotFoundError):
                Path(file.name).unlink()
            raise


def _of_pairs(path: str | Path, pairs: Sequence[str]) -> dict[str, Any]:
    """The map that the pairs of a command line mean."""
    values: dict[str, Any] = {"format": FORMAT, "fills": {"file": str(path)}}
    seen: set[tuple[str, ...]] = set()
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals or not value:
            raise wrong("--map", pair, "nothing", "OUR_NAME=THEIR NAME")
        steps = _steps(name)
        if steps in seen:
            raise wrong("--map", name, "the name twice", "each name once")
        seen.add(steps)
        # a rules file has whole numbers, and no other section of a map has any
        _put(values, steps, int(value) if steps[0] == "rules" and value.isdecimal() else value)
    return values


def _steps(name: str) -> tuple[str, ...]:
    """Where in a map the value of a pair stands."""
    first, *rest = name.split(".")
    if first in COLUMNS and not rest:
        return (first, "file")
    if first in COLUMNS and len(rest) == 1 and rest[0] not in (*OPTIONS, *PARTS):
        return (first, "columns", rest[0])
    if not rest and first in COLUMNS["fills"]:
        return ("fills", "columns", first)
    if first in COLUMNS and len(rest) > 2:  # their words may have points
        return (first, rest[0], ".".join(rest[1:]))
    return (first, *rest)


def _put(values: dict[str, Any], steps: Sequence[str], value: str | int) -> None:
    for step in steps[:-1]:
        values = values.setdefault(step, {})
        if not isinstance(values, dict):
            raise wrong("--map", ".".join(steps), value, "a name that is not a value already")
    values[steps[-1]] = value


def _read(plan: Map, folder: Path, rules: Rules | str | Path | None, tape: Tape | Sources | None) -> Run:
    files = {p.table: str(folder / p.file) for p in plan.plans}
    blobs = {table: bytes_of(Path(file)) for table, file in files.items()}
    frames, aside, markets = {}, {}, dict[str, str]()
    for p in plan.plans:
        frames[p.table], count = frame_of(p, blobs[p.table], files[p.table], markets)
        if p.rows:
            aside[p.table] = count
    if "orders" in frames and "order_id" not in frames["fills"]:
        raise wrong(files["fills"], "order_id", "no such column", "the order of each fill, where orders are given")
    given = None if tape is None else tape if isinstance(tape, Tape) else read_tape(tape)
    grid = plan.instrument or _finest(frames, files, given)
    if "order_id" not in frames["fills"]:
        names = [f"row {row}" for row in frames["fills"]["row"].tolist()]
        frames["fills"]["order_id"] = pd.Series(names, dtype=object)
    run = run_from_frames(
        fills=frames["fills"],
        orders=frames.get("orders"),
        trades=frames.get("tape"),
        tops=frames.get("quotes"),
        positions=frames.get("positions"),
        instrument=grid,
        rules=_rules(plan, rules, grid),
        provenance=plan.provenance,
        reported=left_aside(aside),
        name=plan.name,
        files=files,
        inputs={files[table]: hashlib.sha256(data).hexdigest() for table, data in blobs.items()},
    )
    if given is None or tape is None:
        return run
    if isinstance(tape, Tape) or given.instrument == grid:
        return with_tape(run, given)
    return with_tape(run, read_tape(tape, instrument=grid))


def _rules(plan: Map, given: Rules | str | Path | None, grid: Instrument) -> Rules:
    """The given rules, or those of the map; all undeclared where neither is."""
    if isinstance(given, Rules):
        return given
    if given is not None:
        return Rules.load(given, instrument=grid)
    if plan.rules is None:
        return Rules(undeclared=frozenset(DIALS))
    return Rules.from_dict(plan.rules, file=f"{plan.file}: rules", instrument=grid)


def _finest(frames: Mapping[str, pd.DataFrame], files: Mapping[str, str], tape: Tape | None) -> Instrument:
    """The finest decimal grid of all tables and of the tape."""
    decimals = [0, 0]
    for table, frame in frames.items():
        sheet = Sheet(frame, table, files[table])
        for k, names in enumerate((PRICES, SIZES)):
            decimals[k] = max(decimals[k], sheet.decimals(*(name for name in names if name in frame)))
    tick, lot = (Decimal(1).scaleb(-places) for places in decimals)
    if tape is None:
        return Instrument(tick, lot)
    return Instrument(min(tick, tape.instrument.tick_size), min(lot, tape.instrument.lot_size))
