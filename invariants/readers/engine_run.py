"""From an engine's output to a run: one grid for orders, fills and tape, the rules of its profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from invariants.readers.sources import Sources
from invariants.readers.tape import Tape, read_tape, with_tape
from simcore import InputError, Instrument, Rules, Run
from simcore import pandas_later as pd
from simcore.cells import cells_of, decimals
from simcore.frames import run_from_frames
from simcore.rules import DIALS
from simcore.run import Rejected

PRICES = {"orders": ("price",), "fills": ("price",)}
SIZES = {"orders": ("size",), "fills": ("size",), "positions": ("position",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What an engine wrote, in native units, before it meets a tape.

    ``fills``, ``orders`` and ``positions`` have the columns of ``simcore.frames`` and ``row``.
    ``profile`` is the preset that the run's parameters point to (None: every dial undeclared) and
    ``dials`` what they say besides; ``documented`` are deviations that they make documented.
    ``read`` counts the rows of raw tables that were folded into
    others, ``inputs`` maps every file that was read to its SHA-256. ``tick_size`` and ``lot_size``
    are given where the output states them; else the finest decimals of run and tape decide.
    """

    engine: str
    name: str
    fills: pd.DataFrame
    version: str = ""
    orders: pd.DataFrame | None = None
    positions: pd.DataFrame | None = None
    profile: str | None = None
    dials: Mapping[str, Any] = field(default_factory=dict)
    documented: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    reported: Mapping[str, Any] = field(default_factory=dict)
    end_ns: int | None = None
    last_event_ns: int | None = None
    exit_code: int | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    rejected: tuple[Rejected, ...] = ()
    read: Mapping[str, int] = field(default_factory=dict)
    tick_size: Decimal | None = None
    lot_size: Decimal | None = None


def run_of(output: Output, *, rules: Rules | str | Path | None = None, tape: Tape | Sources | None = None) -> Run:
    """The run of an engine's output, judged against ``tape`` and, where given, other ``rules``.

    Raises ``InputError``.
    """
    given = _read_tape(tape)
    grid = _grid(output, given)
    run = run_from_frames(
        fills=output.fills,
        orders=output.orders,
        positions=output.positions,
        rules=_rules(output, rules, grid),
        instrument=grid,
        reported=output.reported,
        provenance=output.provenance,
        name=output.name,
        end_ns=output.end_ns,
        last_event_ns=output.last_event_ns,
        exit_code=output.exit_code,
        files=output.files,
        inputs=output.inputs,
        rejected=output.rejected,
        engine=output.engine,
        engine_version=output.version,
    )
    run = replace(run, read=_read(run, output))
    if given is None:
        return run
    if isinstance(tape, Tape) or tape is None or given.instrument == grid:
        return with_tape(run, given)
    return with_tape(run, read_tape(tape, instrument=grid))


def _read_tape(tape: Tape | Sources | None) -> Tape | None:
    return tape if tape is None or isinstance(tape, Tape) else read_tape(tape)


def _read(run: Run, output: Output) -> dict[str, int]:
    """Rows read by table: a row that the reader rejected was read, too."""
    read = {**run.read, **output.read}
    for row in output.rejected:
        if row.table not in output.read:
            read[row.table] = read.get(row.table, 0) + 1
    return read


def _rules(output: Output, given: Rules | str | Path | None, grid: Instrument) -> Rules:
    """The profile's rules, turned by the run's parameters; or the given ones, which these only complete."""
    if given is None:
        base = Rules(undeclared=frozenset(DIALS)) if output.profile is None else Rules.load(output.profile)
        documented = {**base.documented, **output.documented}
        return replace(base, **output.dials, documented=documented, undeclared=base.undeclared - output.dials.keys())
    rules = given if isinstance(given, Rules) else Rules.load(given, instrument=grid)
    known = {name: value for name, value in output.dials.items() if name in rules.undeclared}
    return replace(rules, **known, undeclared=rules.undeclared - known.keys())


def _grid(output: Output, tape: Tape | None) -> Instrument:
    """The stated steps, else the finest decimals in orders, fills and tape."""
    tick = output.tick_size or _finest(output, PRICES)
    lot = output.lot_size or _finest(output, SIZES)
    if tape is not None:
        tick, lot = min(tick, tape.instrument.tick_size), min(lot, tape.instrument.lot_size)
    return Instrument(tick, lot)


def _finest(output: Output, columns: Mapping[str, tuple[str, ...]]) -> Decimal:
    found = 0
    for table, names in columns.items():
        frame = getattr(output, table)
        for name in names if frame is not None else ():
            rows = np.arange(1, len(frame) + 1)
            if name not in frame:
                got = ", ".join(map(str, frame.columns))
                raise InputError(file=output.files.get(table, table), field=name, got=got, wanted=f"a column {name!r}")
            cells = cells_of(frame[name], file=output.files.get(table, table), field=name, rows=rows)
            found = max(found, decimals(cells))
    return Decimal(1).scaleb(-found)
