"""invariants: the court. Laws that every run must satisfy, and scenarios that hunt for a lie."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from invariants.auditing import Report, RunBroken, audit
    from invariants.verdict import Finding, Judgement, LawBroken, Verdict
    from simcore.run import Run

__all__ = ["Finding", "Judgement", "LawBroken", "Report", "Run", "RunBroken", "Verdict", "audit"]

_HOMES = {
    "Finding": "invariants.verdict",
    "Judgement": "invariants.verdict",
    "LawBroken": "invariants.verdict",
    "Report": "invariants.auditing",
    "Run": "simcore.run",
    "RunBroken": "invariants.auditing",
    "Verdict": "invariants.verdict",
    "audit": "invariants.auditing",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used: pytest imports this package in everybody's runs."""
    if name not in _HOMES:
        raise AttributeError(name)
    return getattr(import_module(_HOMES[name]), name)
