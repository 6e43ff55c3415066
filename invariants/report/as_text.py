"""The report that a person reads: what is broken first, then what nobody could tell, then what holds."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from invariants.report.as_json import report_dict

if TYPE_CHECKING:
    from invariants.auditing import Report

COLOURS = {"pass": "green", "unknown": "yellow", "fail": "red", "not applicable": "bright_black"}
TITLES = {
    "fail": "Broken",
    "unknown": "Could not tell",
    "not applicable": "Not applicable under these rules",
    "pass": "Hold",
}
WORDS = {"fail": "broken", "unknown": "unknown", "pass": "hold", "not applicable": "not applicable"}
SHOWN = 3
"""Findings of one law that the text tells; the JSON has them all."""


def print_report(report: Report, console: Console | None = None, *, shown: int = SHOWN) -> None:
    """Print ``report``: in colour on a terminal, plain anywhere else."""
    (console or Console()).print(_page(report_dict(report), shown))


def report_text(report: Report, *, width: int = 120, shown: int = SHOWN) -> str:
    """The same as plain text of ``width`` columns."""
    stream = io.StringIO()
    print_report(report, Console(file=stream, width=width, color_system=None), shown=shown)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def headline(page: Mapping[str, Any]) -> str:
    """What the verdict stands on, in one line: ``demo: 1 broken, 2 unknown, 20 hold, 3 not applicable``."""
    return f"{clean(page['name'])}: {counts(page)}"


def counts(page: Mapping[str, Any]) -> str:
    """How many laws have each verdict."""
    found = [(word, len(_of(page, verdict))) for verdict, word in WORDS.items()]
    return ", ".join(f"{count} {word}" for word, count in found if count) or "no law was asked"


def clean(text: Any) -> str:
    """``text`` without control characters: a run may be named by a stranger, a terminal obeys."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in str(text))


def _page(page: Mapping[str, Any], shown: int) -> RenderableType:
    verdict = page["verdict"]
    head = Text.assemble((f" {verdict.upper()} ", f"bold reverse {COLOURS[verdict]}"), " ", headline(page))
    parts: list[RenderableType] = [head]
    parts += _section("fail", page, [_broken(law, shown) for law in _of(page, "fail")])
    parts += _section("unknown", page, [_reasons(_of(page, "unknown"))])
    parts += _section("not applicable", page, [_reasons(_of(page, "not applicable"))])
    parts += _section("pass", page, [_passes(_of(page, "pass"))])
    parts += _facts("By model: deviations that the declared rules document", model_lines(page["laws"]))
    parts += _facts("Why the fills happened, by the tape", justification_lines(page["justification"]))
    parts += _facts("Orders that were crossed and not filled", missed_lines(page["missed_crossings"]))
    parts += _facts("Engine", {k: v for k, v in page["engine"].items() if v})
    parts += _facts("Provenance of the times", page["provenance"] if page["engine"]["name"] else {})
    parts += _facts("Rows", _rows(page["rows"]))
    parts += _facts("Rows that could not be judged", _rejected(page["rejected"]))
    parts += _facts("Counted, and judged by no law", page["unjudged"])
    parts += _facts("Smells (statistics, never a verdict)", smell_lines(page["smells"]))
    rules = {k: v for k, v in page["rules"].items() if k != "documented"}
    parts += _facts("Rules", {k: "none" if v is None else v for k, v in rules.items()})
    parts += _facts("Inputs (SHA-256)", page["inputs"])
    parts += _facts("Versions", {"": ", ".join(f"{k} {v}" for k, v in page["versions"].items())})
    return Group(*parts)


def _of(page: Mapping[str, Any], verdict: str) -> list[dict[str, Any]]:
    return [law for law in page["laws"] if law["verdict"] == verdict]


def _section(verdict: str, page: Mapping[str, Any], body: Iterable[RenderableType]) -> list[RenderableType]:
    if not _of(page, verdict):
        return []
    title = Text(f"\n{TITLES[verdict]}", style=f"bold {COLOURS[verdict]}")
    return [title, *(Padding(part, (0, 0, 0, 2)) for part in body)]


def _broken(law: Mapping[str, Any], shown: int) -> RenderableType:
    """One broken law: its count, and its first findings as message and story."""
    lines: list[RenderableType] = [
        Text.assemble((law["law"], "bold red"), f": {law['failed']:,} of {law['judged']:,} rows", _also(law))
    ]
    # figures that contradict each other are few, and each is another one
    told = [f for k, f in enumerate(law["findings"]) if k < shown or f["table"] == "reported"]
    for finding in told:
        lines.append(Padding(Text(clean(finding["message"]), style="bold"), (0, 0, 0, 2)))
        lines.append(Padding(Text(clean(finding["story"])), (0, 0, 0, 4)))
    more = law["failed"] - len(told)
    if more > 0:
        lines.append(Padding(Text(f"and {more:,} more", style="bright_black"), (0, 0, 0, 2)))
    return Group(*lines)


def _also(law: Mapping[str, Any]) -> str:
    told = {"undecided": "could not be decided", "by_model": "deviate as the declared profile says"}
    said = "".join(f"; {law[name]:,} {words}" for name, words in told.items() if law[name])
    return f"{said} ({clean(law['reason'])})" if law["reason"] and said else said


def _reasons(laws: Iterable[Mapping[str, Any]]) -> Table:
    table = _two_columns()
    for law in laws:
        table.add_row(law["law"], Text(clean(law["reason"]) + (_rows_of(law))))
    return table


def _rows_of(law: Mapping[str, Any]) -> str:
    if not (law["judged"] or law["undecided"]):
        return ""
    return f" ({law['judged']:,} rows judged, {law['undecided']:,} undecided)"


def _passes(laws: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bright_black")
    table.add_column("law", overflow="fold")
    table.add_column("rows judged", justify="right", overflow="fold")
    by_model = any(law["by_model"] for law in laws)
    if by_model:
        table.add_column("by model", justify="right", overflow="fold")
    for law in laws:
        table.add_row(law["law"], f"{law['judged']:,}", *([f"{law['by_model']:,}"] if by_model else []))
    return table


def _facts(title: str, facts: Mapping[str, Any]) -> list[RenderableType]:
    if not facts:
        return []
    table = _two_columns()
    for name, value in facts.items():
        table.add_row(Text(clean(name)), Text(clean(_said(value))))
    return [Text(f"\n{title}", style="bold"), Padding(table, (0, 0, 0, 2))]


def _two_columns() -> Table:
    """What is too wide goes on below: cut short, two paths or digests may look the same."""
    return Table.grid(*(Column(overflow="fold") for _ in range(2)), padding=(0, 2))


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_said, value))
    return f"{value:,}" if isinstance(value, int) else str(value)


def model_lines(laws: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """One line a documented deviation: how many rows, and where it is documented."""
    return {
        f"{law['law']}.{model['kind']}": f"{model['count']:,}: {model['source']}"
        for law in laws
        for model in law["modelled"]
    }


def justification_lines(counts: Mapping[str, int]) -> dict[str, str]:
    """One line a reason, best first, with its share of the fills."""
    total = sum(counts.values())
    return {name: f"{count:,} ({count / total:.1%})" for name, count in counts.items() if total}


def missed_lines(windows: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """One line a window."""
    return {
        f"{window} window": m["reason"] or f"{m['through']:,} by a trade through the limit, {m['at']:,} by trades at it"
        for window, m in windows.items()
    }


def smell_lines(smells: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """One line a statistic; times in seconds."""
    return {
        smell["name"]: ", ".join(f"{label} {_figure(value, smell['unit'])}" for label, value in smell["values"].items())
        for smell in smells
    }


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    if unit == "ns":
        return f"{value / 1e9:,.4g} s"
    return f"{value:,.4g}" + ("" if unit == "fraction" else f" {unit}")


def _rows(rows: Mapping[str, Mapping[str, int]]) -> dict[str, str]:
    return {
        table: f"{n['read']:,} read = {n['judged']:,} judged + {n['rejected']:,} rejected" for table, n in rows.items()
    }


def _rejected(rejected: Mapping[str, Any]) -> dict[str, str]:
    told = {
        f"{row['file']} row {row['row']}": f"{row['field']}: got {row['got']}, wanted {row['wanted']}"
        for row in rejected["rows"][:10]
    }
    if rejected["total"] > len(told):
        told["and"] = f"{rejected['total'] - len(told):,} more"
    return told
