"""The files that an audit writes: one for each path, or one for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invariants.readers.sources import told_as
from invariants.report import read_report, write_atomically
from invariants.report.as_markdown import (
    append_summary,
    complaints_markdown,
    fitting,
    summary_markdown,
    unread_markdown,
)
from invariants.report.as_sarif import sarif_bytes, sarif_run, sarif_unread
from simcore import InputError

if TYPE_CHECKING:
    from invariants.auditing import Report
    from invariants.outcome import Outcome
    from invariants.waivers import Complaint

_FOLDER = "a folder: there are several PATHs"


@dataclass(frozen=True)
class Files:
    """One file for each of ``paths``: with several paths in a folder, each under its place and name."""

    paths: tuple[str, ...]

    def check(self, option: str, target: Path | None, suffix: str) -> None:
        """Refuse a file where a folder is needed, before anything is judged."""
        if target is None or len(self.paths) == 1:
            return
        if target.is_file() or (target.suffix == suffix and not target.is_dir()):
            raise InputError(file="command line", field=option, got=f"the file {target}", wanted=_FOLDER)

    def write(
        self, target: Path | None, number: int, suffix: str, render: Callable[[Report], bytes], report: Report
    ) -> None:
        """Write one rendering of a report. Raises ``InputError`` where that cannot be."""
        if target is None:
            return
        if len(self.paths) > 1:
            _make_folder(target)
        write_atomically(self._place(target, number, suffix), render(report))

    def baselines(self, baseline: Path | None) -> list[Mapping[str, Any] | None]:
        """The report of an earlier audit for each path; None where there is none."""
        if baseline is None:
            return [None] * len(self.paths)
        if len(self.paths) == 1:
            return [read_report(baseline)]
        if not baseline.is_dir():
            wanted = f"{_FOLDER}, the one that --json wrote"
            raise InputError(file="command line", field="--baseline", got=f"the file {baseline}", wanted=wanted)
        places = [self._place(baseline, number, ".json") for number in range(len(self.paths))]
        return [read_report(place) if place.exists() else None for place in places]

    def _place(self, target: Path, number: int, suffix: str) -> Path:
        path = Path(told_as(self.paths[number]))
        return target if len(self.paths) == 1 else target / f"{number + 1}-{path.name}{suffix}"


class Said:
    """What goes into one file for all paths: SARIF, and the summaries."""

    def __init__(self, sarif: Path | None, step: Path | None, summary: Path | None) -> None:
        self._sarif, self._step, self._summary = sarif, step, summary
        self._runs: list[dict[str, Any]] = []
        self._parts: list[str] = []
        self._count = 0

    def outcome(self, outcome: Outcome) -> None:
        """Add an audited run."""
        self._count += 1
        if self._sarif is not None:
            self._runs.append(sarif_run(outcome, self._count))
        if self._wants_summary:
            self._parts.append(summary_markdown(outcome))

    def unread(self, path: str, error: InputError) -> None:
        """Add a path that could not be read."""
        self._count += 1
        if self._sarif is not None:
            self._runs.append(sarif_unread(path, error, self._count))
        if self._wants_summary:
            self._parts.append(unread_markdown(path, error))

    def write(self, complaints: Sequence[Complaint]) -> None:
        """Write the files, with what is wrong with the waivers. Raises ``InputError`` where that cannot be."""
        if self._sarif is not None:
            write_atomically(self._sarif, sarif_bytes(self._runs, complaints))
        if self._wants_summary:
            parts = [complaints_markdown(complaints), *self._parts]
            if self._step is not None:
                append_summary(self._step, parts)
            if self._summary is not None:
                write_atomically(self._summary, fitting(parts).encode())

    @property
    def _wants_summary(self) -> bool:
        return self._step is not None or self._summary is not None


def _make_folder(target: Path) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(file=str(target), field="folder", got=error.strerror, wanted=_FOLDER) from None
