"""Two audits side by side: which laws changed their verdict, and whether one got worse."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invariants.outcome import Exit
from invariants.report.as_text import COLOURS, clean
from invariants.report.read import LARGEST_BYTES, read_report
from simcore import InputError

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

FORMAT = "fillproof-compare/1"

WORSE = ("worse", "more rows broken")
"""The changes that make exit code 1."""

_COUNTS = ("judged", "failed", "undecided", "by_model")
_REPORT = re.compile(rb'"format"\s*:\s*"fillproof-report/')

Page = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One law in both reports; None where a report does not ask it. ``word`` is empty where nothing changed."""

    law: str
    a: Page | None
    b: Page | None

    @property
    def word(self) -> str:
        """How the law went from A to B.

        ``worse``: it fails now, or passed and is unknown now; ``better``: the other way round;
        ``more rows broken`` and ``fewer rows broken``: it fails in both; ``other``: between not
        applicable and pass or unknown; ``only in A`` and ``only in B``: catalogues differ.
        """
        if self.a is None or self.b is None:
            return "only in B" if self.a is None else "only in A"
        before, after = self.a["verdict"], self.b["verdict"]
        if before == after:
            more = self.b["failed"] - self.a["failed"]
            return "" if not more else "more rows broken" if more > 0 else "fewer rows broken"
        if "fail" in (before, after):
            return "worse" if after == "fail" else "better"
        if "not applicable" in (before, after):
            return "other"
        return "worse" if after == "unknown" else "better"


@dataclass(frozen=True)
class Comparison:
    """Two reports, as ``read_report`` gives them, and where they stand."""

    a: Page
    b: Page
    paths: tuple[str, str] = ("A", "B")

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """Every law of either report, in the order of the catalogue."""
        a, b = ({law["law"]: law for law in page["laws"]} for page in (self.a, self.b))
        return tuple(Change(name, a.get(name), b.get(name)) for name in dict.fromkeys((*a, *b)))

    @property
    def worse(self) -> tuple[Change, ...]:
        """The changes for the worse."""
        return tuple(change for change in self.changes if change.word in WORSE)

    @property
    def exit_code(self) -> Exit:
        """1 if a law got worse, 3 if no law was judged on either side, 0 else."""
        if self.worse:
            return Exit.BROKEN
        judged = any(law["verdict"] in ("pass", "fail") for page in (self.a, self.b) for law in page["laws"])
        return Exit.HOLDS if judged else Exit.UNJUDGED

    def notes(self) -> Iterator[str]:
        """What else differs, so that a changed verdict is not taken for a changed engine."""
        dials = [name for name in dict.fromkeys((*self.a["rules"], *self.b["rules"])) if self._differs("rules", name)]
        if dials:
            yield f"the rules differ: {', '.join(dials)}"
        if self._differs("versions", "fillproof"):
            yield "judged by fillproof " + " and ".join(page["versions"]["fillproof"] for page in (self.a, self.b))

    def _differs(self, part: str, name: str) -> bool:
        return bool(self.a[part].get(name) != self.b[part].get(name))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for ``--json``."""
        return {
            "format": FORMAT,
            "a": _side(self.a, self.paths[0]),
            "b": _side(self.b, self.paths[1]),
            "laws": [
                {"law": c.law, "a": _told(c.a), "b": _told(c.b), "change": c.word or "none"} for c in self.changes
            ],
            "worse": [change.law for change in self.worse],
            "notes": list(self.notes()),
        }

    def table(self) -> RenderableType:
        """The table for a person: laws that apply on a side, changed ones marked."""
        from rich.table import Table  # noqa: PLC0415 - only for a person
        from rich.text import Text  # noqa: PLC0415

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for column in ("law", "A", "B", "changed"):
            table.add_column(column, overflow="fold")
        for change in self.changes:
            if any(law is not None and law["verdict"] != "not applicable" for law in (change.a, change.b)):
                style = "red" if change.word in WORSE else "green" if change.word else ""
                table.add_row(change.law, _cell(change.a), _cell(change.b), Text(change.word, style=style))
        return table

    def lines(self) -> Iterator[str]:
        """Which reports these are (above the table)."""
        for side, page, path in zip("AB", (self.a, self.b), self.paths, strict=True):
            engine = " ".join(word for word in page["engine"].values() if word)
            named = f"{page['name']}, {engine}" if engine else page["name"]
            yield f"{side}: {clean(path)} ({clean(named)}): {page['verdict']}"
        yield from self.notes()

    def last_words(self) -> str:
        """What changed, in one line (below the table)."""
        changed = [change for change in self.changes if change.word]
        if not changed:
            return "no law changed"
        words = dict.fromkeys(change.word for change in changed)
        told = (f"{word}: {', '.join(c.law for c in changed if c.word == word)}" for word in words)
        return "; ".join(told)


def is_report(path: str | Path) -> bool:
    """Whether a file says that it is a report of ours; never raises."""
    try:
        small = Path(path).is_file() and Path(path).stat().st_size <= LARGEST_BYTES
        return small and _REPORT.search(Path(path).read_bytes()) is not None
    except OSError:
        return False


def page_of(path: str, judge: Callable[[str], Page]) -> Page:
    """The report at ``path``, or the one that ``judge`` makes of the run there. Raises ``InputError``."""
    return read_report(path) if is_report(path) else judge(path)


def pairs(a: str, b: str, recognised: Callable[[Path], bool]) -> list[tuple[str, str]]:
    """What to compare: A with B; or, where both are folders of runs, the runs of one name in both.

    Raises ``InputError`` where two such folders have no run of one name.
    """
    folders = [Path(side) for side in (a, b)]
    if any(recognised(folder) or not folder.is_dir() for folder in folders):
        return [(a, b)]
    names = [_runs_in(folder, recognised) for folder in folders]
    if not all(names):
        return [(a, b)]
    both = sorted(names[0] & names[1])
    if not both:
        wanted = f"a run named as one in {a}: {', '.join(sorted(names[0]))}"
        raise InputError(file=b, field="path", got=", ".join(sorted(names[1])), wanted=wanted)
    return [(str(folders[0] / name), str(folders[1] / name)) for name in both]


def unpaired(a: str, b: str, compared: Sequence[tuple[str, str]], recognised: Callable[[Path], bool]) -> list[str]:
    """The runs in the folders A and B that nothing was compared with."""
    if list(compared) == [(a, b)]:
        return []
    done = {path for pair in compared for path in pair}
    found = [str(Path(side) / name) for side in (a, b) for name in sorted(_runs_in(Path(side), recognised))]
    return [path for path in found if path not in done]


def _runs_in(folder: Path, recognised: Callable[[Path], bool]) -> set[str]:
    return {path.name for path in folder.iterdir() if recognised(path) or (path.is_file() and is_report(path))}


def _side(page: Page, path: str) -> dict[str, Any]:
    return {"path": path, "name": page["name"], "engine": page["engine"], "verdict": page["verdict"]}


def _told(law: Page | None) -> dict[str, Any] | None:
    return None if law is None else {key: law[key] for key in ("verdict", *_COUNTS)}


def _cell(law: Page | None) -> Text:
    from rich.text import Text  # noqa: PLC0415 - only for a person

    if law is None:
        return Text("-")
    said = law["verdict"]
    if law["failed"]:
        said += f" {law['failed']:,} of {law['judged']:,}"
    elif law["judged"]:
        said += f" {law['judged']:,}"
    if law["by_model"]:
        said += f", {law['by_model']:,} by model"
    return Text(said, style=COLOURS[law["verdict"]])
