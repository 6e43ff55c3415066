"""Readers: evidence from files. One file per kind of output, each ends in a ``simcore.Run``."""

from __future__ import annotations

from pathlib import Path

from invariants.readers.same_clock import check_clock
from invariants.readers.sources import check_no_url
from simcore import InputError, Rules, Run


def read_run(
    path: str | Path,
    *,
    reader: str | None = "auto",
    rules: Rules | str | Path | None = None,
    tape: str | Path | None = None,
    strategy: str | None = None,
    pair: str | None = None,
) -> Run:
    """The run in ``path``, by its kind, or by the ``reader`` of that name.

    ``rules`` (or a rules file, or a preset) replaces what the run declares, ``tape`` its tape; ``strategy``
    and ``pair`` name one of several in freqtrade's results. Raises ``InputError``.
    """
    from invariants.readers.kinds import reader_of  # noqa: PLC0415 - who reads one kind needs not all

    check_no_url(path)
    kind = reader_of(Path(path), reader or "auto")
    wanted = {name: value for name, value in (("strategy", strategy), ("pair", pair)) if value is not None}
    for name in wanted.keys() - set(kind.several):
        raise InputError(
            file=str(path), field=name, got=wanted[name], wanted=f"none: a {kind.name} run is of one {name}"
        )
    run = kind.read(path, rules=rules, tape=tape, **wanted)
    check_clock(run)
    return run
