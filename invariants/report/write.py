"""Writing a file so that nobody ever sees half of it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from simcore import InputError


def spare(targets: Mapping[str, Path | None], read: Iterable[str | Path | None]) -> None:
    """Refuse to write over what is ``read``, and two things into one file; ``targets`` are those of options.

    Raises ``InputError``.
    """
    taken: dict[Path, str] = {}
    for option, target in targets.items():
        if target is None or (target.exists() and not target.is_file()):  # a device takes whatever comes
            continue
        place = target.resolve()
        if place in taken:
            wanted = f"another file than that of {taken[place]}"
            raise InputError(file="command line", field=option, got=str(target), wanted=wanted)
        taken[place] = option
    for path in read:
        option = taken.get(Path(path).resolve(), "") if path is not None else ""
        if option:
            raise InputError(file="command line", field=option, got=str(path), wanted="a file that is not read")


def write_atomically(path: str | Path, data: bytes) -> None:
    """Write ``data`` beside ``path`` and move it there. Raises ``InputError`` where that cannot be.

    A device or a pipe (``/dev/stdout``) takes the data itself; in its place a file would be in everybody's way.
    """
    target = Path(path)
    try:
        if target.is_file():
            target = target.resolve()  # what a link names is replaced, not the link
        elif target.exists() and not target.is_dir():
            target.write_bytes(data)
            return
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
            Path(name).chmod(0o644)  # mkstemp keeps the file to its owner; a report is to be read
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(
            file=str(path), field="file", got=error.strerror, wanted="a place that can be written"
        ) from None
