"""Readers: evidence from files. One file per kind of output, each ends in a ``simcore.Run``."""

from __future__ import annotations

from pathlib import Path

from invariants.readers.same_clock import check_clock
from simcore import Rules, Run


def read_run(
    path: str | Path,
    *,
    reader: str | None = "auto",
    rules: Rules | str | Path | None = None,
    tape: str | Path | None = None,
) -> Run:
    """The run in ``path``, by its kind, or by the ``reader`` of that name.

    ``rules`` (or a rules file, or a preset) replaces what the run declares, ``tape`` its tape.
    Raises ``InputError``.
    """
    from invariants.readers.kinds import reader_of  # noqa: PLC0415 - who reads one kind needs not all

    run = reader_of(Path(path), reader or "auto").read(path, rules=rules, tape=tape)
    check_clock(run)
    return run
