"""The run bundle, ``fillproof-run/1``: a folder with ``run.toml`` and one table a file.

``tape``, ``quotes``, ``orders``, ``fills`` and ``positions``, each as ``.parquet``, ``.csv`` or
``.csv.gz``, with the columns of ``simcore.frames`` in native units. Only ``fills`` must be there; or
no table at all, where totals are all that was published.
``run.toml``::

    format = "fillproof-run/1"
    name = "one day"
    [instrument]            # default 1 and 1
    tick_size = "1"
    lot_size = "0.01"
    [rules]                 # as in a rules file; without this table every dial is undeclared
    [run]                   # end_ns, last_event_ns, exit_code, engine, engine_version: all optional
    [provenance]            # submit_ns, live_ns, cancel_ns, end_ns: native, derived, nominal, absent
    [reported]              # the author's totals; [reported.unjudged] for figures no law knows
    [[rejected]]            # rows that an earlier reader had to reject

In CSV an ``order_id`` of digits is a number. The row numbers of the tables count from 1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from invariants.readers.bundle_head import TABLES, declared_of, head_of, instrument_of, rules_of
from invariants.readers.bundle_writer import write_bundle
from invariants.readers.sources import bytes_of
from invariants.readers.tables import SUFFIXES, frame_from_bytes
from invariants.readers.tape import Tape, with_tape
from simcore import InputError, Rules, Run
from simcore import pandas_later as pd
from simcore.frames import no_fills, run_from_frames

__all__ = ["is_bundle", "read_bundle", "write_bundle"]


def is_bundle(path: Path) -> bool:
    """Whether ``path`` is a folder with a ``run.toml``, or that file."""
    return (path / "run.toml").is_file() or (path.name == "run.toml" and path.is_file())


def read_bundle(
    path: str | Path, *, rules: Rules | str | Path | None = None, tape: Tape | str | Path | None = None
) -> Run:
    """The run in the folder ``path``.

    ``rules`` (or the name of a rules file or preset) replaces the declared rules, ``tape`` the
    tape. Raises ``InputError``.
    """
    folder = Path(path).parent if Path(path).name == "run.toml" else Path(path)
    head = head_of(folder / "run.toml")
    instrument = instrument_of(head, str(folder / "run.toml"))
    found = {table: find_table(folder, table) for table in TABLES}
    totals_alone = not any(found.values()) and bool(head["reported"])
    if found["fills"] is None and not totals_alone:
        raise InputError(file=str(folder), field="fills", got="nothing", wanted="fills.parquet or fills.csv")
    paths = {table: file for table, file in found.items() if file is not None}
    blobs = {table: bytes_of(file) for table, file in paths.items()}
    frames = {table: _table(blobs[table], str(file)) for table, file in paths.items()}
    inputs = {str(file): hashlib.sha256(blobs[table]).hexdigest() for table, file in paths.items()}
    inputs[str(folder / "run.toml")] = hashlib.sha256(bytes_of(folder / "run.toml")).hexdigest()
    run = run_from_frames(
        fills=no_fills() if totals_alone else frames["fills"],
        orders=frames.get("orders"),
        trades=frames.get("tape"),
        tops=frames.get("quotes"),
        positions=frames.get("positions"),
        instrument=instrument,
        rules=rules_of(head, rules, instrument, str(folder / "run.toml")),
        files={**{t: str(p) for t, p in paths.items()}, "reported": str(folder / "run.toml")},
        inputs=inputs,
        **declared_of(head, str(folder / "run.toml"), folder.name),
    )
    run = replace(run, read={}) if totals_alone else _with_rejected_counted(run, head)
    return run if tape is None else with_tape(run, tape)


def _with_rejected_counted(run: Run, head: dict[str, Any]) -> Run:
    """Rows that an earlier reader rejected were read, too: read = judged + rejected."""
    read = dict(run.read)
    for row in head.get("rejected", []):
        read[row["table"]] = read.get(row["table"], 0) + 1
    return replace(run, read=read)


def find_table(folder: Path, table: str) -> Path | None:
    """The file of a table, None where there is none. Raises ``InputError`` as ``table_among`` does."""
    name = table_among([file.name for file in folder.glob("*.*")], table, str(folder))
    return None if name is None else folder / name


def table_among(names: Collection[str], table: str, folder: str) -> str | None:
    """Which of the ``names`` in ``folder`` is that of a table, None where none is.

    Raises ``InputError`` where there are several, and where the only file of that name is of another kind: left
    aside without a word, its rows would be missing in a report that finds nothing wrong.
    """
    found = [f"{table}{suffix}" for suffix in SUFFIXES if f"{table}{suffix}" in names]
    if len(found) > 1:
        raise InputError(file=folder, field=table, got=" and ".join(found), wanted="one file of each table")
    for other in [] if found else sorted(names):
        if other.partition(".")[0].casefold() == table and "." in other:
            wanted = " or ".join(f"{table}{suffix}" for suffix in SUFFIXES)
            raise InputError(file=folder, field=table, got=other, wanted=wanted)
    return found[0] if found else None


def _table(data: bytes, file: str) -> pd.DataFrame:
    frame = frame_from_bytes(data, file=file)
    if not file.endswith(".parquet") and "order_id" in frame:
        # CSV knows no types: an id that looks like a number is one, in every table alike
        ids = [int(i) if i and i.isdecimal() and len(i) < 19 and str(int(i)) == i else i for i in frame["order_id"]]
        frame["order_id"] = pd.Series(ids, dtype=object)
    return frame.drop(columns=["row"], errors="ignore")
