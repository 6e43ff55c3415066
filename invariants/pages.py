"""The catalogue of laws as a table, and one page on each: why, fails, passes, unknown, source."""

from __future__ import annotations

import re
from difflib import get_close_matches
from inspect import cleandoc
from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from invariants.laws import LAWS
from simcore import InputError

if TYPE_CHECKING:
    from invariants.laws.catalogue import Law

HEADS = ("Why", "Fails", "Passes", "Unknown", "Source")


def catalogue() -> RenderableType:
    """All laws, by family."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bright_black")
    for column in ("law", "statement", "needs"):
        table.add_column(column, no_wrap=column == "law")
    for family, laws in groupby(LAWS, key=lambda law: law.family):
        table.add_row(Text(f"{family}", style="bold"))
        for law in laws:
            table.add_row(f"  {law.name}", Text(law.statement), Text(_briefly(law)))
    return table


def page(name: str) -> RenderableType:
    """The page on one law. Raises ``InputError`` for a name that no law has."""
    law = next((law for law in LAWS if law.name == name), None)
    if law is None:
        raise InputError(file="command line", field="law", got=name, wanted=_nearest(name))
    head = Text.assemble((law.name, "bold"), f"  ({law.family}; needs: {_needs(law)})")
    parts: list[RenderableType] = [head, Text(f"\n{law.statement}\n")]
    for title, body in sections(law.doc):
        parts += [Text(title, style="bold"), Padding(Text(body), (0, 0, 1, 2))]
    return Group(*parts)


def sections(doc: str) -> list[tuple[str, str]]:
    """The headed parts of a law's docstring, each in one paragraph."""
    parts = re.split(rf"^({'|'.join(HEADS)}):", cleandoc(doc), flags=re.MULTILINE)
    return [(title, " ".join(body.split())) for title, body in zip(parts[1::2], parts[2::2], strict=True)]


def _needs(law: Law) -> str:
    """Dials under whose values alone it applies, then what it cannot be judged without."""
    only = [f"{dial} is {'not none' if words == (...,) else ' or '.join(words)}" for dial, words in law.only.items()]
    return ", ".join((*only, *law.needs, *(f"for some rows {dial}" for dial in law.partly))) or "-"


def _briefly(law: Law) -> str:
    dials = [name for name in law.needs if name != "tape"]
    if len(dials) <= 3:
        return _needs(law)
    return "tape, " * ("tape" in law.needs) + f"{len(law.only) + len(dials)} dials (see its page)"


def _nearest(name: str) -> str:
    names = [law.name for law in LAWS]
    near = get_close_matches(name, names, n=3, cutoff=0.4)
    return f"the name of a law, perhaps {' or '.join(near)}" if near else f"one of {', '.join(names)}"
