"""RULES and SUPPORTS: what a simulator declares beside itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from invariants.drivers.simulator import Declared
from invariants.tapes.supports import Supports
from simcore import InputError, Rules


def declared(names: Mapping[str, Any], *, file: str) -> Declared:
    """The ``RULES`` and ``SUPPORTS`` among the names of a module. Raises ``InputError``."""
    rules = rules_of(names["RULES"], file=file) if names.get("RULES") is not None else None
    supports = Supports.declared(names["SUPPORTS"], file=file) if names.get("SUPPORTS") is not None else Supports()
    return Declared(rules, supports)


def rules_of(given: Any, *, file: str) -> Rules:
    """``Rules``, a mapping as in a rules file, or the name of a preset or rules file. All dials declared."""
    if isinstance(given, str):
        given = Rules.load(given)
    elif isinstance(given, Mapping):
        given = Rules.from_dict(given, file=file)
    if not isinstance(given, Rules):
        raise InputError(file=file, field="RULES", got=given, wanted="Rules, a mapping of dials, or a preset's name")
    if given.undeclared:
        raise InputError(file=file, field="RULES", got=sorted(given.undeclared), wanted="every dial declared")
    return given
