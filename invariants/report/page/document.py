"""The page's document: one file, its own scripts named by their hashes, everything else forbidden."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from bokeh.resources import Resources

from invariants.laws import LAWS
from invariants.report.as_json import report_dict
from invariants.report.as_text import TITLES, headline, justification_lines, missed_lines, model_lines, smell_lines
from invariants.report.page import plots
from invariants.report.page.listing import counted, packed
from invariants.report.page.money import money, title_of
from invariants.report.page.text import badge, facts, plot_box, safe, section, table

if TYPE_CHECKING:
    from invariants.auditing import Report
    from invariants.diagnosis.diagnosing import Diagnosis
    from invariants.diagnosis.sweeps import Sweep

_ORDER = ("fail", "unknown", "pass", "not applicable")
_SHOWN = 12
"""Names of input files that are told at once; of more, the others are folded."""


def page_of(report: Report, diagnosis: Diagnosis | None = None, sweeps: Sequence[Sweep] = ()) -> str:
    """The whole page; with a diagnosis its tables and plots as well."""
    page = report_dict(report)
    drawn: dict[str, Any] = {}
    findings, *middle = _findings(report, drawn), *money(report.run.instrument, diagnosis, sweeps, drawn)
    # where no law is broken, who lost the money comes first
    middle.insert(0 if "timeline" in drawn else len(middle), findings)
    parts = [_verdicts(page), *middle, _fills(page, drawn), _facts(page)]
    data = packed(report, drawn).decode()
    return _document(page, _leads(page, diagnosis), "".join(parts), data)


# the document


def _leads(page: Mapping[str, Any], diagnosis: Diagnosis | None) -> str:
    """The verdicts at a glance: of the laws, and on the money."""
    laws = f'<p class="lead">{badge(page["verdict"])} {safe(headline(page))}</p>'
    if diagnosis is None:
        return laws
    return f'{laws}<p class="lead">{badge(diagnosis.verdict)} who lost the money: {title_of(diagnosis)}</p>'


def _document(page: Mapping[str, Any], leads: str, body: str, data: str) -> str:
    library, script, style = _library(), _own("page.js"), _own("page.css")
    allowed = " ".join(f"'{_hash(text)}'" for text in (library, script))
    policy = (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    links = "".join(f'<li><a href="#{name}">{title}</a></li>' for name, title in _links(body))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>fillproof: {safe(page['name'], 200)}</title><style>{style}</style></head>\n"
        '<body><a class="skip" href="#main">To the content</a>'
        f"<header><h1><bdi>{safe(page['name'], 200)}</bdi></h1>"
        f"{leads}{_engine(page)}"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav></header>\n'
        '<main id="main"><p id="alarm" class="alarm" role="alert" hidden></p><noscript><p class="alarm">Findings and '
        "plots need JavaScript; the JSON report has the findings, too.</p></noscript>"
        f"{body}</main>\n<footer><p>{_maker(page['versions']['fillproof'])}. Times are nanoseconds "
        "since 1970-01-01 UTC. This file loads nothing.</p></footer>\n"
        f'<script type="application/octet-stream" id="data">{data}</script>\n'
        f'<script id="bokeh">{library}</script>\n<script id="page">{script}</script>\n</body></html>\n'
    )


def _links(body: str) -> Iterator[tuple[str, str]]:
    titles = {
        "laws": "Laws", "diagnosis": "Who lost the money", "sweeps": "Sweeps", "findings": "Findings", "fills": "Fills",
        "facts": "Rules, inputs, versions",
    }  # fmt: skip
    yield from ((name, title) for name, title in titles.items() if f'<section id="{name}"' in body)


def _maker(version: str) -> str:
    return f"Made by fillproof {safe(version)}" if version[:1].isdigit() else "Made by fillproof"


def _engine(page: Mapping[str, Any]) -> str:
    name, version = page["engine"]["name"], page["engine"]["version"]
    return f"<p>Engine: <bdi>{safe(name)}</bdi> {safe(version)}</p>" if name else ""


@lru_cache(maxsize=1)
def _library() -> str:
    """The plotting library's script, without what would change with the machine."""
    scripts: list[str] = Resources(mode="inline", components=["bokeh"], minified=True).js_raw
    library = max(scripts, key=len)
    assert "</script" not in library.lower(), "a script element cannot hold its own end"
    return library


def _own(name: str) -> str:
    return (files("invariants.report.page") / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """What a browser compares a script with (https://www.w3.org/TR/CSP3/#grammardef-hash-source)."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


# verdicts and findings


def _verdicts(page: Mapping[str, Any]) -> str:
    laws = sorted(page["laws"], key=lambda law: _ORDER.index(law["verdict"]))
    tiles = "".join(
        f'<div class="{verdict.replace(" ", "-")}"><dt>{safe(TITLES[verdict])}</dt><dd>{count:,}</dd></div>'
        for verdict in _ORDER
        if (count := sum(law["verdict"] == verdict for law in laws)) or verdict in ("fail", "pass")
    )
    statements = {law.name: law.statement for law in LAWS}
    names = ("law", "verdict", "judged", "failed", "undecided", "by model")
    rows = table("Every law, the broken ones first", names, (_law(law, statements) for law in laws), numbers=4)
    return section("laws", "Laws", f'<dl class="tiles">{tiles}</dl><div class="laws">{rows}</div>')


def _law(law: Mapping[str, Any], statements: Mapping[str, str]) -> Iterator[str]:
    name = safe(law["law"])
    reason = f'<span class="note">{safe(law["reason"], 600)}</span>' if law["reason"] else ""
    yield f'<code id="law-{name}">{name}</code><span>{safe(statements.get(law["law"], ""))}</span>{reason}{_first(law)}'
    yield badge(law["verdict"])
    yield from (f"{law[count]:,}" for count in ("judged", "failed", "undecided", "by_model"))


def _first(law: Mapping[str, Any]) -> str:
    """The first finding, and the way to all of them."""
    if not law["findings"]:
        return ""
    count = len(law["findings"])
    words = "the finding" if count == 1 else f"all {count:,} findings"
    return (
        f'<span class="note">{safe(law["findings"][0]["message"], 300)} '
        f'<a href="#findings" data-law="{safe(law["law"])}">Show {words}</a></span>'
    )


def _findings(report: Report, drawn: dict[str, Any]) -> str:
    told, broken = counted(report)
    if not told:
        return section("findings", "Findings", f"<p>{_no_findings(broken)}</p>")
    drawn["timeline"] = plots.timeline()
    more = f" {broken - told:,} more broken rows are counted but not told." if broken > told else ""
    return section("findings", "Findings", f"<p>{told:,} findings.{more}</p>{_own('findings.html')}")


def _no_findings(broken: int) -> str:
    return f"{broken:,} broken rows are counted, none was asked for in words." if broken else "No law is broken."


# why the fills happened, and the rest


def _fills(page: Mapping[str, Any], drawn: dict[str, Any]) -> str:
    body = "".join((_justification(page["justification"], drawn), _missed(page), _by_model(page), _smells(page)))
    return section("fills", "Fills", body) if body else ""


_REASONS = {
    "through": "a trade went through the limit",
    "at": "a trade at the limit",
    "book_cross": "the opposite best price came to the limit",
    "book_standing": "the opposite best price stood there already",
    "wrong_side": "only trades of the other aggressor",
    "none": "nothing on the tape",
}


def _justification(counts: Mapping[str, int], drawn: dict[str, Any]) -> str:
    total = sum(counts.values())
    if not total:
        return ""
    colours = {"none": plots.BAD, "wrong_side": plots.BAD, "through": plots.GOOD, "at": plots.GOOD}
    lines = justification_lines(counts)
    drawn["justification"] = plots.bars(
        "Why the fills happened",
        "fills",
        [
            plots.Bar(name.replace("_", " "), 0, count, colours.get(name, plots.BOOK), lines[name])
            for name, count in counts.items()
        ],
    )
    told = "For each fill the best reason that the tape gives."
    rows = ((safe(name), safe(_REASONS.get(name, "")), f"{n:,}", f"{n / total:.1%}") for name, n in counts.items())
    figures = table(
        "Fills by the best reason that the tape gives", ("reason", "meaning", "fills", "share"), rows, numbers=2
    )
    return f"<h3>Why the fills happened</h3>{plot_box('justification', 'Why the fills happened', told)}{figures}"


def _missed(page: Mapping[str, Any]) -> str:
    lines = missed_lines(page["missed_crossings"])
    return (
        f"<h3>Missed crossings</h3>{facts('Orders that were crossed and not filled', lines.items())}" if lines else ""
    )


def _by_model(page: Mapping[str, Any]) -> str:
    lines = model_lines(page["laws"])
    caption = "Deviations that the declared rules document: counted, not failed"
    return f"<h3>By model</h3>{facts(caption, lines.items())}" if lines else ""


def _smells(page: Mapping[str, Any]) -> str:
    lines = smell_lines(page["smells"])
    return f"<h3>Smells</h3>{facts('Statistics that never fail a run', lines.items())}" if lines else ""


def _facts(page: Mapping[str, Any]) -> str:
    rules = {name: value for name, value in page["rules"].items() if name != "documented"}
    rejected = [
        (f"{row['file']} row {row['row']}", f"{row['field']}: got {row['got']}, wanted {row['wanted']}")
        for row in page["rejected"]["rows"]
    ]
    total = page["rejected"]["total"]
    parts = (
        ("Rules", "The fill model that the run declares", [(name, _said(value)) for name, value in rules.items()]),
        ("Documented deviations", "Where the rules say so", list(page["rules"].get("documented", {}).items())),
        ("Instrument", "The grid of prices and sizes", list(page["instrument"].items())),
        ("Provenance", "How the times of orders are known", list(page["provenance"].items())),
        ("Rows", "Every row read is judged or rejected", [(name, _rows(n)) for name, n in page["rows"].items()]),
        ("Rejected rows", f"{len(rejected):,} of {total:,} rows that could not be judged", rejected),
        ("Not judged", "Counted, and judged by no law", list(page["unjudged"].items())),
        ("Versions", "What judged", list(page["versions"].items())),
    )  # fmt: skip
    body = "".join(f"<h3>{title}</h3>{facts(caption, lines)}" for title, caption, lines in parts if lines)
    return section("facts", "Rules, inputs, versions", body + _inputs(list(page["inputs"].items())))


def _inputs(lines: Sequence[tuple[str, str]]) -> str:
    if not lines:
        return ""
    shown = facts("SHA-256 of every file that was read", lines[:_SHOWN])
    rest = lines[_SHOWN:]
    folded = f"<details><summary>{len(rest):,} more</summary>{facts('More files', rest)}</details>" if rest else ""
    return f"<h3>Inputs</h3>{shown}{folded}"


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "none" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _rows(n: Mapping[str, int]) -> str:
    return f"{n['read']:,} read = {n['judged']:,} judged + {n['rejected']:,} rejected"
