"""Strings of strangers as text: shortened, without control characters, escaped, and never a formula."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

from invariants.report.as_text import clean

LONGEST = 1500
"""Characters of one string on the page; the JSON report has them all."""

LABEL = 24
"""Characters of a name inside a plot."""

_FORMULAS = ("$$", r"\(", r"\[")
"""What Bokeh takes for the start of a formula, for which it would ask a server for MathJax
(https://docs.bokeh.org/en/latest/docs/user_guide/styling/mathtext.html)."""


def short(text: Any, width: int = LONGEST) -> str:
    """``text`` cut in the middle to about ``width`` characters, without control characters."""
    said = "none" if text is None else str(text)
    if len(said) > width:
        head, tail = said[: width * 2 // 3], said[-(width // 6) :]
        said = f"{head}... ({len(said):,} characters) ...{tail}"
    return said if said.isprintable() else clean(said)


def label(text: Any, width: int = LABEL) -> str:
    """A name for a plot: a few characters, and no formula."""
    said = short(text, width) if len(str(text)) <= width else f"{clean(str(text)[: width - 3])}..."
    for start in _FORMULAS:
        said = said.replace(start, f"{start[0]}\u200b{start[1]}")
    return said


def safe(text: Any, width: int = LONGEST) -> str:
    """``text`` for HTML, also inside quotes."""
    return escape(short(text, width))


def plot_box(name: str, title: str, told: str) -> str:
    """Where a plot will stand, for those who see it and those who do not: ``told`` says what it shows."""
    return (
        f'<figure><div class="plot" id="plot-{name}" data-plot="{name}" role="img" aria-label="{safe(title)}. '
        f'{safe(told)}"></div><figcaption>{safe(told)}</figcaption></figure>'
    )


def section(name: str, title: str, body: str, more: str = "") -> str:
    """A landmark with its heading."""
    return (
        f'<section id="{name}" aria-labelledby="{name}-title"{more}><h2 id="{name}-title">{title}</h2>{body}</section>'
    )


def badge(verdict: str) -> str:
    """A verdict in its colour, and in words."""
    return f'<span class="verdict {safe(verdict.replace(" ", "-"))}">{safe(verdict)}</span>'


def table(caption: str, names: Iterable[str], rows: Iterable[Iterable[str]], *, numbers: int = 0) -> str:
    """A table of HTML cells in a box that scrolls by itself; the last ``numbers`` columns are figures."""
    listed = list(names)
    first = len(listed) - numbers
    head = "".join(f'<th scope="col"{_figure(k, first)}>{safe(name)}</th>' for k, name in enumerate(listed))
    body = "".join(f"<tr>{_cells(row, first)}</tr>" for row in rows)
    return _box(caption, f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>")


def facts(caption: str, lines: Iterable[tuple[str, Any]]) -> str:
    """A table of names and values."""
    rows = "".join(f'<tr><th scope="row">{safe(name)}</th><td>{safe(value)}</td></tr>' for name, value in lines)
    return _box(caption, f"<tbody>{rows}</tbody>")


def _box(caption: str, body: str) -> str:
    """A box that scrolls can be reached by keyboard, and says what it is."""
    said = safe(caption)
    return (
        f'<div class="box" tabindex="0" role="region" aria-label="{said}">'
        f"<table><caption>{said}</caption>{body}</table></div>"
    )


def _cells(row: Iterable[str], first: int) -> str:
    cells = list(row)
    head = f'<th scope="row">{cells[0]}</th>'
    return head + "".join(f"<td{_figure(k, first)}>{cell}</td>" for k, cell in enumerate(cells[1:], 1))


def _figure(column: int, first: int) -> str:
    return ' class="n"' if column >= first else ""
