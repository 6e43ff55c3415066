"""The report in a notebook, as HTML and as a frame, and as a page of its own. Whatever a run says is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from invariants.report.as_json import law_dict, report_dict
from invariants.report.as_text import clean, headline

if TYPE_CHECKING:
    import pandas as pd

    from invariants.auditing import Report
    from invariants.diagnosis.diagnosing import Diagnosis
    from invariants.diagnosis.sweeps import Sweep

_COLOURS = {"pass": "#1a7f37", "unknown": "#9a6700", "fail": "#cf222e", "not applicable": "#6e7781"}
_ORDER = ("fail", "unknown", "pass", "not applicable")
_LONGEST = 1500


def report_html(report: Report) -> str:
    """A fragment for ``_repr_html_``: verdict, a table of laws, the findings folded under each."""
    page = report_dict(report)
    laws = sorted(page["laws"], key=lambda law: _ORDER.index(law["verdict"]))
    return (
        f'<div class="fillproof"><p>{_badge(page["verdict"])} {_safe(headline(page))}</p>'
        f"{_table(('verdict', 'law', 'judged', 'failed', 'undecided', 'by model', ''), map(_law, laws))}</div>"
    )


def report_frame(report: Report) -> pd.DataFrame:
    """One row a law, indexed by its name: verdict, counts and reason."""
    import pandas as pd  # noqa: PLC0415 (heavy, and a report needs it only here)

    columns = ["law", "verdict", "judged", "failed", "undecided", "by_model", "reason"]
    return pd.DataFrame([law_dict(judgement) for judgement in report.judgements], columns=columns).set_index("law")


def report_page(report: Report, diagnosis: Diagnosis | None = None, *, sweeps: Sequence[Sweep] = ()) -> str:
    """A whole page, in one file, that loads nothing: verdicts, findings with their timelines, plots.

    With ``diagnosis`` and ``sweeps`` also who lost the money. The same run gives the same page; it is
    below 6 MB whatever the run says.
    """
    from invariants.report.page import page_of  # noqa: PLC0415 (plots are heavy, and a page needs them only here)

    return page_of(report, diagnosis, sweeps)


def _law(law: Mapping[str, Any]) -> Iterable[str]:
    counts = (f"{law[name]:,}" for name in ("judged", "failed", "undecided", "by_model"))
    return (_badge(law["verdict"]), f"<code>{_safe(law['law'])}</code>", *counts, _told(law))


def _told(law: Mapping[str, Any]) -> str:
    """The reason, and the findings behind a fold."""
    if not law["findings"]:
        return _safe(law["reason"])
    findings = "".join(f"<li><b>{_safe(f['message'])}</b><br>{_safe(f['story'])}</li>" for f in law["findings"])
    more = law["failed"] - len(law["findings"])
    rest = f"<p>and {more:,} more</p>" if more > 0 else ""
    return f"<details><summary>{_safe(law['findings'][0]['message'])}</summary><ol>{findings}</ol>{rest}</details>"


def _badge(verdict: str) -> str:
    return f'<b style="color:{_COLOURS[verdict]}">{_safe(verdict)}</b>'


def _table(names: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{_safe(name)}</th>" for name in names)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _safe(text: str) -> str:
    cut = f"{text[:_LONGEST]}... ({len(text):,} characters)" if len(text) > _LONGEST else text
    return escape(clean(cut))
