"""The origin report's artifacts: ``markers.jsonl``, and ``backtest.json`` beside it, or alone.

One marker a line::

    {"ts": "2026-03-18T00:00:00.123Z", "kind": "submit", "side": "BUY", "price": 361146, "size": 5.0, "reason": "quote"}

``ts`` is ISO-8601 (without a zone it is UTC) or whole nanoseconds; ``kind`` submit, cancel or fill;
``price`` and ``size`` numbers or decimal text; ``reason`` and ``order_id`` are optional, other keys
are left alone.

Without an id, a fill or a cancel belongs to the oldest open submit of its side and price that the
declared ttl had not ended (a fill: submitted strictly before); if there is none, to one that it had
ended, so that the laws see it; a cancel at last to a filled one, for which it came too late. Size
decides nothing: a law judges it. A fill that fits no submit stays a fill, of an unknown order; a
cancel that fits none is a rejected row. A cancel whose reason speaks of ttl or expiry is the end of
the order, not a request.

How an order ended is derived from its markers, and where they are silent from the declared ttl.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import pandas as pd

from invariants.readers import clock
from invariants.readers.backtest import Backtest, read_backtest
from invariants.readers.matching import Book
from invariants.readers.tables import LARGEST_LINE, most_unpacked
from invariants.readers.tape import Tape, read_tape, with_tape
from invariants.strictjson import check_object, parse
from simcore import InputError, Instrument, OrderId, Rules, Run
from simcore.frames import SIDES, Sheet, run_from_frames
from simcore.run import Rejected
from simcore.units import INT64_MAX

NAMES = ("markers.jsonl", "markers.jsonl.gz")
TOTALS = "backtest.json"
KINDS = ("submit", "cancel", "fill")


@dataclass(frozen=True, slots=True)
class Marker:
    """One line: ``side`` is +1 or -1, ``price`` and ``size`` as they were written."""

    row: int
    ns: int
    kind: str
    side: int
    price: int | Decimal | str
    size: int | Decimal | str
    reason: str
    order_id: OrderId | None


def are_markers(path: Path) -> bool:
    """Whether ``path`` is a file of markers, a folder with one, or the totals alone."""
    return path.name.endswith((".jsonl", ".jsonl.gz", TOTALS)) or any((path / n).is_file() for n in (*NAMES, TOTALS))


def read_markers(
    path: str | Path,
    *,
    rules: Rules | str | Path | None = None,
    tape: Tape | str | Path | None = None,
    instrument: Instrument | None = None,
) -> Run:
    """The run in a file of markers, or in the folder of one. Raises ``InputError``.

    ``rules`` and ``instrument`` replace what ``backtest.json`` says; without either, the rules
    are the origin's, and the grid is the finest decimal one in the data.
    """
    file = _file(Path(path))
    beside = file.parent / TOTALS
    backtest = read_backtest(beside) if beside.is_file() else Backtest()
    if file == beside:
        return _totals_alone(backtest, rules)
    digest, markers = _markers(file)
    grid = instrument or backtest.instrument or _finest_grid(markers, backtest, tape)
    declared = _rules(rules, backtest, grid)
    run = _run(markers, file, backtest, grid, declared)
    inputs = {str(file): digest, **({backtest.file: backtest.sha256} if backtest.sha256 else {})}
    run = replace(run, inputs=inputs)
    return run if tape is None else with_tape(run, tape)


def _file(path: Path) -> Path:
    if not path.is_dir():
        return path
    for name in NAMES:
        if (path / name).is_file():
            return path / name
    if (path / TOTALS).is_file():
        return path / TOTALS
    raise InputError(file=str(path), field="file", got="no markers.jsonl", wanted=" or ".join(NAMES))


def _totals_alone(backtest: Backtest, rules: Rules | str | Path | None) -> Run:
    """The run of which nothing but the totals was published."""
    grid = backtest.instrument or Instrument()
    run = _run([], Path(backtest.file), backtest, grid, _rules(rules, backtest, grid))
    return replace(run, read={}, inputs={backtest.file: backtest.sha256})


def _rules(given: Rules | str | Path | None, backtest: Backtest, grid: Instrument) -> Rules:
    if isinstance(given, Rules):
        return given
    return backtest.declared(grid) if given is None else Rules.load(given, instrument=grid)


def _markers(path: Path) -> tuple[str, list[Marker]]:
    """The SHA-256 of the file, and its markers in its order."""
    file = str(path)
    try:
        with path.open("rb") as raw:
            digest = hashlib.file_digest(raw, "sha256").hexdigest()
            raw.seek(0)
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            lines: IO[bytes] = io.BufferedReader(gzip.GzipFile(fileobj=raw)) if packed else raw
            most = most_unpacked(path.stat().st_size) if packed else math.inf
            return digest, [_marker(line, file, row) for row, line in _lines(lines, file, most)]
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(file=file, field="file", got=str(error), wanted="a whole gzip file") from None
    except OSError as error:
        raise InputError(file=file, field="file", got=error.strerror, wanted="a readable file") from None


def _lines(stream: IO[bytes], file: str, most: float) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers, never holding more than one, of ``most`` bytes in all."""
    row = size = 0
    while line := stream.readline(LARGEST_LINE + 1):
        row, size = row + 1, size + len(line)
        if size > most:
            got = f"more than {most} bytes, unpacked"
            raise InputError(file=file, field="file", got=got, wanted="a gzip file that is no bomb")
        if len(line) > LARGEST_LINE:
            got = f"more than {LARGEST_LINE} bytes"
            raise InputError(file=file, row=row, field="line", got=got, wanted="one marker")
        if not line.isspace():
            yield row, line


def _marker(line: bytes, file: str, row: int) -> Marker:
    values = check_object(parse(line, file=file, row=row, field="line"), file=file, row=row)

    def refused(field: str, wanted: str) -> InputError:
        return InputError(file=file, row=row, field=field, got=values.get(field, "nothing"), wanted=wanted)

    kind = values.get("kind")
    if kind not in KINDS:
        raise refused("kind", "submit, cancel or fill")
    side = values.get("side")
    sign = SIDES.get(side.casefold() if isinstance(side, str) else None)
    if sign is None:
        raise refused("side", "buy or sell")
    for name in ("price", "size"):
        if isinstance(values.get(name), bool) or not isinstance(values.get(name), int | Decimal | str):
            raise refused(name, "a number")
    reason, order_id = values.get("reason"), values.get("order_id")
    if not isinstance(reason, str | None):
        raise refused("reason", "a text")
    if isinstance(order_id, bool) or not isinstance(order_id, int | str | None) or order_id == "":
        raise refused("order_id", "an int or a text")
    return Marker(row, _ns(values, refused), kind, sign, values["price"], values["size"], reason or "", order_id)


def _ns(values: dict[str, Any], refused: Any) -> int:
    ts = values.get("ts")
    if isinstance(ts, int) and not isinstance(ts, bool) and abs(ts) <= INT64_MAX:
        return ts
    try:
        if isinstance(ts, str):
            return clock.ns_of(ts)
    except ValueError:
        pass  # the answer below says what a time looks like
    raise refused("ts", f"{clock.WANTED}, or whole nanoseconds")


def _finest_grid(markers: list[Marker], backtest: Backtest, tape: Tape | str | Path | None) -> Instrument:
    sheet = Sheet(
        pd.DataFrame(
            {name: pd.Series([getattr(m, name) for m in markers], dtype=object) for name in ("price", "size")}
        ),
        "markers",
        "markers",
    )
    prices, sizes = sheet.decimals("price"), max(sheet.decimals("size"), backtest.size_decimals())
    mine = Instrument(Decimal(1).scaleb(-prices), Decimal(1).scaleb(-sizes))
    if tape is None:
        return mine
    theirs = tape.instrument if isinstance(tape, Tape) else read_tape(tape).instrument
    return Instrument(min(mine.tick_size, theirs.tick_size), min(mine.lot_size, theirs.lot_size))


def _run(markers: list[Marker], path: Path, backtest: Backtest, grid: Instrument, rules: Rules) -> Run:
    file, book = str(path), Book(rules)
    for marker in markers:
        book.take(marker)
    last_ns = max((marker.ns for marker in markers), default=None)
    last_ns = backtest.run.get("last_event_ns") or last_ns
    orders, fills = book.orders(last_ns), book.fills()
    run = run_from_frames(
        fills=fills,
        orders=orders,
        rules=rules,
        instrument=grid,
        reported=backtest.reported,
        provenance={"cancel_ns": "native", "end_ns": "nominal" if book.guessed else "derived"},
        name=backtest.name or path.parent.name or "run",
        end_ns=backtest.run.get("end_ns"),
        last_event_ns=backtest.run.get("last_event_ns"),
        exit_code=backtest.run.get("exit_code"),
        files={"orders": file, "fills": file, "cancels": file, "reported": backtest.file},
        rejected=[
            Rejected(
                "cancels",
                file,
                m.row,
                "cancel",
                f"{'buy' if m.side > 0 else 'sell'} at {m.price}",
                "a cancel of an order that is open",
                "orders_are_conserved",
            )
            for m in book.unmatched
        ],
    )
    return replace(run, read={**run.read, "cancels": sum(m.kind == "cancel" for m in markers)})
