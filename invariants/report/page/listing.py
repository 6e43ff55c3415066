"""The findings of a page, and the windows through which they are seen, as compressed JSON.

Ten thousand findings with their stories are megabytes of much the same words: gzip makes them a few
hundred kilobytes, and every browser of today unpacks it (``DecompressionStream``).
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

from invariants.report.page.text import short
from invariants.report.page.windows import Windows

if TYPE_CHECKING:
    from invariants.auditing import Report
    from invariants.verdict import Finding

LARGEST_BYTES = 3_500_000
"""Of the compressed data: with the plotting library the page stays below 6 MB."""


class Room(NamedTuple):
    """How much of a run a page carries: characters of a story, rows for timelines, findings."""

    characters: int
    rows: int
    findings: int


ROOMS = (Room(1500, 200_000, 20_000), Room(600, 60_000, 20_000), Room(300, 20_000, 10_000), Room(120, 0, 5_000))
"""From the roomy page to the smallest; the first that fits is taken."""


def packed(report: Report, plots: Mapping[str, Any], largest: int = LARGEST_BYTES) -> bytes:
    """Findings, windows and ``plots`` as base64 of gzip of JSON; the same values give the same bytes."""
    for room in ROOMS[:-1]:
        data = _pack({**listing(report, room), "plots": plots})
        if len(data) <= largest:
            return data
    return _pack({**listing(report, ROOMS[-1]), "plots": plots})


def listing(report: Report, room: Room) -> dict[str, Any]:
    """Laws, files, findings ``[law, file, table, row, message, story, window]`` and windows."""
    laws = [j.law for j in report.judgements if j.findings]
    windows = Windows(report.run, room.rows)
    places = {id(f): windows.place(f) for f in _by_turns(report, room)}
    names: dict[str, int] = {}
    rows = [
        [
            number,
            names.setdefault(short(f.file, 200), len(names)),
            f.table,
            None if f.row is None else int(f.row),
            short(f.message, room.characters),
            short(f.story, room.characters),
            places[id(f)],
        ]
        for number, law in enumerate(laws)
        for f in report[law].findings
        if id(f) in places
    ]
    return {"laws": laws, "files": list(names), "findings": rows, **windows.to_dict()}


def _by_turns(report: Report, room: Room) -> Iterator[Finding]:
    """One finding of each law, then a second of each: no law takes the room of the others."""
    turns = zip_longest(*(j.findings for j in report.judgements if j.findings))
    every = (finding for turn in turns for finding in turn if finding is not None)
    for _, finding in zip(range(room.findings), every, strict=False):
        yield finding


def _pack(values: Any) -> bytes:
    text = json.dumps(values, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=6, mtime=0))


def counted(report: Report) -> tuple[int, int]:
    """Findings in words, and broken rows in all."""
    return sum(len(j.findings) for j in report.judgements), sum(j.failed for j in report.judgements)
