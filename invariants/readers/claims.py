"""Published figures alone, ``fillproof-claims/1``: a TOML file that says what somebody printed.

::

    format = "fillproof-claims/1"
    name = "somebody's report"

    [[figure]]
    name = "fills"            # a kind of simcore.stated.KINDS, or any other word
    text = "1,571"            # as it was printed: its digits are its precision
    where = "Evidence"        # optional: the place in the document

    [[figure]]
    name = "62d/fills"        # another run or period has a scope of its own
    text = "~97k"
    tolerance = "500"         # about: how far off, in the same unit

    [[figure]]
    name = "markout.all.30s"
    text = "1.61"
    unit = "bps"              # where the text has none
    negative = true           # the words say so ("a loss of")
    exact = false             # true: the author says "exactly"

    [[unevidenced]]           # what is claimed and not shown; listed, never judged
    text = "no order was filled twice"

A name that comes again is another print of the same figure. Rows are line numbers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from invariants.readers.tape import Tape, with_tape
from simcore import InputError, Rules, Run
from simcore.frames import no_fills, run_from_frames
from simcore.rules import read_toml
from simcore.stated import Stated, check_unit, role_of, stated

FORMAT = "fillproof-claims/1"
FILE = "claims.toml"
LARGEST_BYTES = 2**24

_PROSE = (".md", ".txt", ".html", ".pdf")

_KEYS: dict[str, dict[str, type]] = {
    "figure": {
        "name": str,
        "text": str,
        "unit": str,
        "where": str,
        "note": str,
        "tolerance": str,
        "exact": bool,
        "negative": bool,
    },
    "unevidenced": {"text": str, "where": str, "note": str},
}
_NEEDED = {"figure": ("name", "text"), "unevidenced": ("text",)}
_NAME = re.compile(r"([a-z0-9_-]+/)?[a-z][a-z0-9_]*(\.[a-z0-9_]+)*", re.ASCII)
_HEADER = re.compile(r"\s*\[\[\s*(figure|unevidenced)\s*\]\]\s*(#.*)?", re.ASCII)


def is_claims(path: Path) -> bool:
    """Whether ``path`` is such a file, or a folder with a ``claims.toml`` and nothing else but prose.

    Beside an output the output is meant; the figures are then audited by the name of their file.
    """
    try:
        if path.is_dir():
            return (path / FILE).is_file() and all(p.name == FILE or p.suffix in _PROSE for p in path.iterdir())
        if path.name.endswith(FILE):
            return path.is_file()
        with path.open("rb") as file:
            return path.suffix == ".toml" and FORMAT.encode() in file.read(4096)
    except OSError:
        return False


def read_claims(
    path: str | Path, *, rules: Rules | str | Path | None = None, tape: Tape | str | Path | None = None
) -> Run:
    """The run of which nothing but figures was published (``Run.claims``). Raises ``InputError``."""
    place = Path(path) / FILE if Path(path).is_dir() else Path(path)
    file = str(place)
    data = _bytes(place)
    head = read_toml(place)
    for key, value in head.items():
        if key not in ("format", "name", *_KEYS):
            raise InputError(file=file, field=key, got=value, wanted=f"one of format, name, {', '.join(_KEYS)}")
    if head.get("format") != FORMAT:
        raise InputError(file=file, field="format", got=head.get("format"), wanted=repr(FORMAT))
    if not isinstance(head.get("name", ""), str):
        raise InputError(file=file, field="name", got=head["name"], wanted="a text")
    figures, statements = (_entries(head, key, data.decode(), file) for key in _KEYS)
    if not figures:
        raise InputError(file=file, field="figure", got="none", wanted="[[figure]] tables, at least one")
    claims = _numbered([*_figures(figures, file), *_statements(statements, file)])
    _check_market(claims)
    run = run_from_frames(
        fills=no_fills(),
        rules=rules if isinstance(rules, Rules) or rules is None else Rules.load(rules),
        name=head.get("name", place.parent.name),
        files={"reported": file},
        inputs={file: hashlib.sha256(data).hexdigest()},
    )
    run = replace(run, claims=claims, read={"claims": len(claims)})
    return run if tape is None else with_tape(run, tape)


def _bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= LARGEST_BYTES else None
    except OSError as error:
        raise InputError(file=str(path), field="file", got=error.strerror, wanted="a readable file") from None
    if data is None:
        raise InputError(file=str(path), field="file", got=f"{size} bytes", wanted=f"at most {LARGEST_BYTES}")
    return data


def _entries(head: dict[str, Any], key: str, text: str, file: str) -> list[tuple[int, dict[str, Any]]]:
    """The tables of one kind with the lines of their headers, their keys and types checked."""
    entries = head.get(key, [])
    lines = [row for row, line in enumerate(text.split("\n"), 1) if (m := _HEADER.fullmatch(line)) and m[1] == key]
    if not isinstance(entries, list) or len(lines) != len(entries):
        raise InputError(file=file, field=key, got=entries, wanted=f"tables, each under its own line [[{key}]]")
    for row, values in zip(lines, entries, strict=True):
        for name, value in values.items():
            _check_entry(key, name, value, file, row)
        for name in _NEEDED[key]:
            if not values.get(name, ""):
                raise InputError(file=file, row=row, field=name, got=values.get(name, "nothing"), wanted="a text")
    return list(zip(lines, entries, strict=True))


def _check_entry(key: str, name: str, value: Any, file: str, row: int) -> None:
    kinds = _KEYS[key]
    if name not in kinds:
        raise InputError(file=file, row=row, field=f"{key}.{name}", got=value, wanted=f"one of {', '.join(kinds)}")
    if type(value) is not kinds[name]:
        wanted = "true or false" if kinds[name] is bool else "a text"
        raise InputError(file=file, row=row, field=name, got=value, wanted=wanted)


def _figures(entries: list[tuple[int, dict[str, Any]]], file: str) -> Iterator[tuple[str, Stated]]:
    for row, values in entries:
        given = {key: value for key, value in values.items() if key != "note"}
        name = given.pop("name")
        if not _NAME.fullmatch(name) or name == "unevidenced":
            raise InputError(file=file, row=row, field="name", got=name, wanted="words of a-z, 0-9 and _ with dots")
        figure = stated(given.pop("text"), whole=role_of(name) == "count", file=file, row=row, **given)
        check_unit(name, figure)
        yield name, figure


def _statements(entries: list[tuple[int, dict[str, Any]]], file: str) -> Iterator[tuple[str, Stated]]:
    for row, values in entries:
        yield "unevidenced", Stated(values["text"], None, None, where=values.get("where", ""), file=file, row=row)


def _numbered(named: list[tuple[str, Stated]]) -> dict[str, Stated]:
    """By name; another print of a name gets its number: ``pnl``, ``pnl#2``, ``pnl#3``."""
    claims: dict[str, Stated] = {}
    count: dict[str, int] = {}
    for name, figure in named:
        count[name] = count.get(name, 0) + 1
        claims[name if count[name] == 1 else f"{name}#{count[name]}"] = figure
    return claims


def _check_market(claims: dict[str, Stated]) -> None:
    """One currency, one unit of size, and prices in that currency, by the unit of size or without: one market."""
    units: dict[str, str] = {}
    for key, figure in claims.items():
        role = role_of(key.partition("#")[0])
        role = "price" if role == "difference" and not figure.measure else role
        if not figure.unit or role not in ("money", "size", "price"):
            continue
        money, _, size = figure.unit.partition("/") if role == "price" else (figure.unit, "", "")
        for kind, unit in (("size", money),) if role == "size" else (("money", money), ("size", size)):
            known = units.setdefault(kind, unit) if unit else unit
            if known != unit:
                wanted = f"the same unit of {kind} as before, {known!r}"
                raise InputError(file=figure.file, row=figure.row, field=f"{key}.unit", got=figure.unit, wanted=wanted)
