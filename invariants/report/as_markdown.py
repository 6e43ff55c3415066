"""The summary of a continuous-integration step: GitHub-flavoured Markdown. Whatever a run says is escaped."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invariants.report.as_json import report_dict
from invariants.report.as_text import clean, headline, model_lines
from simcore import InputError
from simcore.errors import shorten

if TYPE_CHECKING:
    from invariants.outcome import Outcome
    from invariants.waivers import Complaint

VARIABLE = "GITHUB_STEP_SUMMARY"
LARGEST_BYTES = 2**20
"""GitHub drops a step's summary that is larger
(https://docs.github.com/actions/using-workflows/workflow-commands-for-github-actions#adding-a-markdown-summary)."""

SHOWN = 3
"""Findings of one law that the summary tells."""

_ACTIVE = re.compile(r"([\\`*_\[\]|~#!@])")
_COLUMNS = ("verdict", "law", "judged", "failed", "undecided", "by model", "")


def summary_markdown(outcome: Outcome) -> str:
    """One run: its verdict, a table of the laws that say something, the findings and the rest behind folds."""
    page = report_dict(outcome.report)
    told = [law for law in page["laws"] if law["verdict"] in ("fail", "unknown") or law["by_model"]]
    lines = [f"### {md(outcome.path)}: {outcome.words} (exit code {int(outcome.code)})", "", md(headline(page)), ""]
    if told:
        lines += _table(_COLUMNS, (_row(law, outcome) for law in told))
    policy = [f"- {md(line)}" for line in outcome.lines()]
    lines += [*policy, ""] if policy else []
    lines += _fold("Findings", _findings(page))
    lines += _fold("By model", [f"- {md(name)}: {md(line)}" for name, line in model_lines(page["laws"]).items()])
    holds = [f"- `{law['law']}`: {law['judged']:,} rows" for law in page["laws"] if law["verdict"] == "pass"]
    lines += _fold("Laws that hold", holds)
    return "\n".join(lines) + "\n"  # HTML ends at an empty line


def unread_markdown(path: str, error: Exception) -> str:
    """A path that could not be read."""
    return f"### {md(path)}: wrong input (exit code 2)\n\n{md(error)}\n\n"


def complaints_markdown(complaints: Sequence[Complaint]) -> str:
    """What is wrong with the waivers; nothing where nothing is."""
    if not complaints:
        return ""
    return "\n".join(["### Waivers that excuse nothing", "", *(f"- {md(c)}" for c in complaints)]) + "\n\n"


def fitting(parts: Iterable[str], room: int = LARGEST_BYTES) -> str:
    """As many of ``parts`` as ``room`` bytes hold, and how many were left out."""
    listed = list(parts)
    sizes = [len(part.encode()) for part in listed]
    if sum(sizes) <= room:
        return "".join(listed)
    last = "\n{} of {} parts of this summary were left out: it would be too large.\n"
    room -= len(last.encode()) + 2 * len(str(len(listed)))
    kept: list[str] = []
    for part, size in zip(listed, sizes, strict=True):
        if size > room:
            break
        kept.append(part)
        room -= size
    return "".join(kept) + last.format(len(listed) - len(kept), len(listed))


def step_summary() -> Path:
    """The file that GitHub reads a step's summary from. Raises ``InputError`` outside of a step."""
    name = os.environ.get(VARIABLE, "")
    if not name:
        raise InputError(file="environment", field=VARIABLE, got="nothing", wanted="a file: --summary is for a step")
    return Path(name)


def append_summary(path: Path, parts: Iterable[str]) -> None:
    """Append to the summary of a step, below what its earlier commands said. Raises ``InputError``."""
    try:
        size = path.stat().st_size if path.exists() else 0
        with path.open("a", encoding="utf-8") as stream:
            stream.write(fitting(parts, max(0, LARGEST_BYTES - size)))
    except OSError as error:
        wanted = "a file that can be written"
        raise InputError(file=str(path), field=VARIABLE, got=error.strerror, wanted=wanted) from None


def md(text: Any) -> str:
    """``text`` on one line, as text: no mark-up, no HTML, no link."""
    line = " ".join(clean(text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = _ACTIVE.sub(r"\\\1", line)
    return line.replace("://", ":&#47;/").replace("www.", "www&#46;")


def _row(law: Mapping[str, Any], outcome: Outcome) -> Iterator[str]:
    yield f"**{law['verdict']}**" + _excuse(law["law"], outcome)
    yield f"`{law['law']}`"
    for name in ("judged", "failed", "undecided", "by_model"):
        yield f"{law[name]:,}"
    finding = law["findings"][0]["message"] if law["findings"] else law["reason"]
    yield md(finding if len(finding) <= 200 else shorten(finding, 200))


def _excuse(law: str, outcome: Outcome) -> str:
    if outcome.excuse(law) is not None:
        return ", waived"
    return ", known" if law in outcome.known else ""


def _findings(page: Mapping[str, Any]) -> Iterator[str]:
    for law in page["laws"]:
        for finding in law["findings"][:SHOWN]:
            place = finding["file"] if finding["row"] is None else f"{finding['file']} row {finding['row']}"
            yield f"- `{law['law']}` {md(place)}: {md(finding['message'])}<br>{md(finding['story'])}"
        more = law["failed"] - len(law["findings"][:SHOWN])
        if more > 0:
            yield f"- `{law['law']}`: and {more:,} more"


def _fold(title: str, lines: Iterable[str]) -> list[str]:
    body = list(lines)
    return [f"<details><summary>{title}</summary>", "", *body, "", "</details>", ""] if body else []


def _table(names: Sequence[str], rows: Iterable[Iterable[str]]) -> list[str]:
    ruler = "|---|---|--:|--:|--:|--:|---|"
    return [f"| {' | '.join(names)} |", ruler, *(f"| {' | '.join(row)} |" for row in rows), ""]
