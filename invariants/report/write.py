"""Writing a file so that nobody ever sees half of it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from simcore import InputError


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
