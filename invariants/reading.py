"""How the paths of a command are read and judged: options, readers, pieces, and the bar meanwhile."""

# ruff: noqa: PLC0415 (imported where it is needed, so that ``fillproof --help`` answers at once)

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from simcore.errors import InputError

if TYPE_CHECKING:
    from invariants.auditing import Report
    from invariants.laws.catalogue import Law
    from simcore import Run


class _Local(click.Path):
    """A file or folder of this machine, also where it is yet to be written."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from invariants.readers.sources import check_local

        name = param.opts[0] if isinstance(param, click.Option) else "path"
        check_local(value, option=name)
        return super().convert(value, param, ctx)


FILE = _Local(path_type=Path)
"""A file or folder on the command line."""

NAME = _Local()
"""The same as a text, which may also be the name of a preset."""

_LISTED = 5


class _Seconds(click.FloatRange):
    """Seconds, as long as int64 nanoseconds can count; click's own range has NaN inside."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if isnan(number):
            self.fail(f"{value} is not a number of seconds.", param, ctx)
        return number


SECONDS = _Seconds(min=0, max=1e9)
"""A stretch of time on the command line; none is longer than 31 years."""


def reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say how a path is read; a command takes them as keywords of ``Source``."""
    options = (
        click.option("--reader", help="Which reader takes the path [default: by its contents]."),
        click.option("--tape", help="The tape, where the run has none."),
        click.option("--rules", type=NAME, help="Rules file or preset that the run declares, instead of its own."),
        click.option("--strategy", metavar="NAME", help="Of several in a result of freqtrade."),
        click.option("--pair", metavar="NAME", help="The same."),
        click.option(
            "--map",
            "maps",
            multiple=True,
            metavar="OUR=THEIRS",
            help="A column of a CSV or Parquet table of any kind, or another line of a map (repeatable).",
        ),
        click.option("--save-map", type=FILE, help="Keep what --map says in a TOML file, a PATH of its own."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@dataclass(frozen=True, kw_only=True)
class Source:
    """How the paths of a command are read."""

    reader: str | None = None
    tape: str | None = None
    rules: str | None = None
    strategy: str | None = None
    pair: str | None = None
    maps: tuple[str, ...] = ()
    save_map: Path | None = None

    def __post_init__(self) -> None:
        if self.maps and self.reader is not None:
            raise click.UsageError("--map names the columns of a table that no reader knows; --reader names a reader")
        if self.maps and (self.strategy, self.pair) != (None, None):
            raise click.UsageError("--map reads one table; --strategy and --pair name one of several in a result")
        if self.save_map is not None and not self.maps:
            raise click.UsageError("--save-map keeps what --map says; there is no --map")

    def check(self, *paths: str) -> None:
        """Refuse to keep one map for several tables."""
        if self.save_map is not None and len(paths) > 1:
            raise click.UsageError("--save-map keeps the map of one PATH")

    def apart(self, paths: tuple[str, ...]) -> tuple[str, ...]:
        """The paths without those of the tape itself: a shell's ``outputs/*`` may name them, too."""
        if self.tape is None or "://" in self.tape:
            return paths
        tape = Path(self.tape).resolve()
        runs = tuple(p for p in paths if tape not in (Path(p).resolve(), *Path(p).resolve().parents))
        if runs and len(runs) < len(paths):
            complain(f"not audited: {len(paths) - len(runs)} paths that are the tape's")
        return runs or paths

    @property
    def chooses(self) -> bool:
        """Whether the contents of a path decide how it is read."""
        return not self.maps and self.reader in (None, "auto")

    def read(self, path: str) -> Run:
        """The run at ``path``. Raises ``InputError``."""
        from invariants.readers import read_run
        from invariants.readers.sources import check_no_url

        if not self.maps:
            one = {"strategy": self.strategy, "pair": self.pair}
            return read_run(path, reader=self.reader, rules=self.rules, tape=self.tape, **one)
        check_no_url(path)
        from invariants.readers.mapping import read_mapped, write_map
        from invariants.report import spare

        spare({"--save-map": self.save_map}, (path, self.tape, self.rules))
        run = read_mapped(path, columns=list(self.maps), rules=self.rules, tape=self.tape)
        if self.save_map is not None:
            write_map(self.save_map, table=path, columns=list(self.maps))
        return run

    def judge(self, path: str, max_findings: int | None = None, laws: Sequence[Law] | None = None) -> Report:
        """The report of the run at ``path``, or of these laws alone. Raises ``InputError``."""
        from invariants.auditing import audit as judge
        from invariants.laws.catalogue import MAX_FINDINGS

        report = judge(self.read(path), max_findings=MAX_FINDINGS if max_findings is None else max_findings)
        return report if laws is None else report.only(laws)

    def streams(self, path: str) -> bool:
        """Whether the path is a bundle that is read as it stands. Raises ``InputError``."""
        from invariants.readers.bundle import is_bundle

        is_bare = not self.maps and self.tape is self.strategy is self.pair is None
        as_it_stands = is_bare and self.reader in (None, "auto", "bundle")
        return as_it_stands and ("://" in path or is_bundle(Path(path)))


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """How ``audit`` judges a run in pieces: on its own for a long one, and wherever it is told to."""

    workers: int | None
    cluster: str | None
    resume: Path | None
    laws: Sequence[Law] | None
    shown: bool

    @property
    def asked(self) -> bool:
        """Whether somebody asked for it."""
        return (self.workers, self.cluster, self.resume) != (None, None, None)

    def judge(self, source: Source, path: str, max_findings: int, *, alone: bool) -> Report:
        """The report of the run at ``path``; a bar shows how far it is where it is ``alone``. Raises ``InputError``."""
        from invariants.readers.sources import told_as
        from invariants.streaming import NotInPiecesError, audit_streamed, is_long

        words = f"judging {told_as(path)}"
        if not source.streams(path) or not (self.asked or "://" in path or is_long(path)):
            with busy(words, alone=alone):
                report = source.judge(path, max_findings, self.laws)
            if self.asked:
                complain(f"{path}: judged as a whole: it is no bundle that is read as it stands")
            return report
        try:
            with counting(words, alone=alone) as told:
                return audit_streamed(
                    path,
                    rules=source.rules,
                    workers=self.workers or (os.cpu_count() or 1),
                    cluster=self.cluster,
                    resume=self.resume,
                    laws=self.laws,
                    shown=self.shown,
                    max_findings=max_findings,
                    told=told,
                )
        except NotInPiecesError as reason:
            if "://" in path:
                wanted = "a bundle that can be judged in pieces; copy any other here"
                raise InputError(file=told_as(path), field="path", got=str(reason), wanted=wanted) from None
            if self.asked:
                complain(f"{path}: judged as a whole: {reason}")
            with busy(words, alone=alone):
                return source.judge(path, max_findings, self.laws)


def laws_named(names: tuple[str, ...]) -> Sequence[Law] | None:
    """The laws of these names, in the order of the catalogue; None for none. Raises ``InputError``."""
    from invariants.laws import LAWS, laws_of

    asked = laws_of(names, file="command line", field="--law")
    return [law for law in LAWS if law in asked] or None


def each_bundle(paths: tuple[str, ...], source: Source) -> tuple[str, ...]:
    """The paths, each URL as the bundles that it names. Raises ``InputError``, also for a URL to be read otherwise."""
    from invariants.readers.sources import check_no_url, told_as
    from invariants.streaming.files import bundles_at

    every: list[str] = []
    for path in paths:
        if "://" in path and not source.streams(path):
            check_no_url(path)
        bundles, others = bundles_at(path) if "://" in path else ([path], [])
        every += bundles
        if others:
            told = ", ".join(map(told_as, others[:_LISTED])) + (", ..." if others[_LISTED:] else "")
            complain(f"not audited: {len(others)} that match and have no run.toml: {told}")
    return tuple(every)


def complain(words: object) -> None:
    """One line on standard error, whatever is in it; where it cannot be written the exit code still tells."""
    with suppress(OSError):
        click.echo(_on_one_line(words), err=True)


def _on_one_line(words: object) -> str:
    from invariants.report.as_text import clean

    return " ".join(clean(words).split())


@contextmanager
def busy(words: str, *, alone: bool = True) -> Iterator[None]:
    """A spinner on standard error while something runs: on a terminal, and without another bar there."""
    if not (alone and sys.stderr.isatty()):
        yield
        return
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status(Text(_on_one_line(words))):  # a path may look like mark-up
        yield


@contextmanager
def counting(words: str, *, alone: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error that shows how many of how many are done; nothing where there is no terminal."""
    if not (alone and sys.stderr.isatty()):
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(escape(_on_one_line(words)))
        yield lambda done, total: progress.update(task, completed=done, total=total)
