"""Judged pieces on disk, so that an audit that was killed goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from invariants.report.as_json import versions
from invariants.report.write import write_atomically
from invariants.smells import Distances
from invariants.split import MissedRows, PieceReport
from invariants.splitting.judging import Share
from invariants.verdict import Finding, Modelled
from simcore import InputError, Run

FORMAT = 2
"""Of the files of pieces: those of another are not looked at."""


@dataclass(frozen=True, eq=False)
class Judged:
    """What was found in one piece: by the laws, and how far its fills lie from their trades."""

    report: PieceReport
    distances: Distances


class Kept:
    """What was judged so far, by the number of the piece; in a folder, too, if there is one.

    In the folder the pieces of one audit stand under the digest of all that decides what is found: the
    inputs, the rules, the cuts and the versions. A piece is there as a whole or not at all.
    """

    def __init__(self, folder: Path | None, inputs: Mapping[str, str], run: Run, cuts_ns: list[int], most: int) -> None:
        self._judged: dict[int, Judged] = {}
        self.folder = None if folder is None else folder / _digest(inputs, run, cuts_ns, most)
        if self.folder is not None:
            _made(self.folder)
            for file in sorted(self.folder.glob("piece-*.json")):
                self.add(read_piece(file))

    def __contains__(self, number: int) -> bool:
        return number in self._judged

    def __len__(self) -> int:
        return len(self._judged)

    def add(self, judged: Judged) -> None:
        """Keep one more."""
        self._judged[judged.report.number] = judged
        keep(judged, self.folder)

    def in_order(self) -> list[Judged]:
        """All of them, in the order of the run."""
        return [self._judged[number] for number in sorted(self._judged)]


def keep(judged: Judged, folder: Path | None) -> None:
    """Write a piece to the folder, where there is one and it is not there yet: a worker may be elsewhere."""
    if folder is None or not folder.is_dir():
        return
    file = folder / _name_of(judged.report.number)
    if not file.exists():
        data = json.dumps(_plain(judged), separators=(",", ":")).encode()
        write_atomically(file, sealed(data))


def read_piece(file: Path) -> Judged:
    """A piece as it was kept, to the byte. Raises ``InputError``: nobody but an audit writes there."""
    try:
        return _judged_of(json.loads(_unsealed(file.read_bytes())), file.name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        got, wanted = f"{type(error).__name__}: {error}", "a piece as an audit kept it: remove this file"
        raise InputError(file=str(file), field="--resume", got=got[:200], wanted=wanted) from None


def sealed(data: bytes) -> bytes:
    """The line of a piece with its digest before it."""
    return hashlib.sha256(data).hexdigest().encode() + b"\n" + data


def _unsealed(kept: bytes) -> bytes:
    data = kept.partition(b"\n")[2]
    if kept != sealed(data):
        raise ValueError("the first line is not the digest of the second")
    return data


def _name_of(number: int) -> str:
    return f"piece-{number:06}.json"


def _made(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        wanted = "a folder that can be made"
        raise InputError(file=str(folder), field="--resume", got=error.strerror, wanted=wanted) from None


def _digest(inputs: Mapping[str, str], run: Run, cuts_ns: list[int], most: int) -> str:
    decides = [
        sorted(inputs.items()),
        run.rules.to_dict(),
        sorted(run.rules.documented.items()),
        cuts_ns,
        most,
        versions(),
        FORMAT,
    ]
    return hashlib.sha256(json.dumps(decides, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _plain(judged: Judged) -> dict[str, Any]:
    report = judged.report
    return {
        "number": report.number,
        "shares": [asdict(share) for share in report.shares],
        "justification": report.justification,
        "missed": [
            {"window": m.window, "orders": m.orders.tolist(), "through": m.through.tolist(), "trades": m.trades}
            for m in report.missed
        ],
        "windows": report.windows,
        "distances": [judged.distances.bps.tolist(), judged.distances.side.tolist()],
    }


def _judged_of(told: Mapping[str, Any], name: str) -> Judged:
    if name != _name_of(told["number"]):
        raise ValueError(f"the piece {told['number']}")
    report = PieceReport(
        told["number"],
        tuple(map(_share_of, told["shares"])),
        tuple(told["justification"]),
        tuple(
            MissedRows(m["window"], np.array(m["orders"], np.int64), np.array(m["through"], np.int64), m["trades"])
            for m in told["missed"]
        ),
        tuple((window, reason) for window, reason in told["windows"]),
    )
    bps, side = told["distances"]
    return Judged(report, Distances(np.array(bps, np.float64), np.array(side, np.int64)))


def _share_of(told: Mapping[str, Any]) -> Share:
    findings = tuple(((*place,), Finding(**finding)) for place, finding in told["findings"])
    modelled = tuple(Modelled(**m) for m in told["modelled"])
    return Share(**{**told, "findings": findings, "modelled": modelled})
