"""Coverage-guided fuzzing of everything that reads a file: ``python tests/fuzz.py [KIND...] --minutes 10``.

Needs the extra ``fuzz`` (atheris). Each kind is a folder of seeds in ``fixtures/corpus``. An input is the
number of one file in that folder, and bytes in its place; it must end in what the reader returns or in
an ``InputError``, within ``SECONDS`` and ``MEMORY_MB``. Each kind has a process of its own, started
again when one input kills it. What is not so is kept in ``--crashes``, one input for each place.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / "fixtures" / "corpus"
SECONDS = 20
MEMORY_MB = 1500
LONGEST = 32 * 2**10
_EXECUTED = re.compile(r"stat::number_of_executed_units:\s+(\d+)")
_STARTED = re.compile(r"^#(\d+)\s", re.MULTILINE)


def kinds() -> list[str]:
    """The names of the folders of seeds."""
    return sorted(path.name for path in CORPUS.iterdir() if path.is_dir())


def load(kind: str) -> Callable[[Path], object]:
    """What reads the folder of this kind; the imports are made here, so that they can be instrumented."""
    from invariants.cases import read_case
    from invariants.readers.kinds import READERS
    from invariants.readers.tape import read_tape
    from invariants.report.read import read_report
    from invariants.waivers import read_waivers
    from simcore import Rules

    readers = {reader.name.replace(".", ""): reader.read for reader in READERS}
    files: dict[str, tuple[Callable[[Path], object], str]] = {
        "case": (read_case, "good.case.json"),
        "claims": (readers["claims"], "claims.toml"),
        "map": (readers["map"], "two-tables.toml"),
        "waivers": (read_waivers, "waivers.toml"),
        "rules": (Rules.load, "my-engine.toml"),
        "report": (read_report, "report.json"),
        "piece": (under_its_digest, "piece-000000.json"),
        "tape": (read_tape, ""),
        "bundle-streamed": (in_pieces, ""),
    }
    # bundle-parquet is the bundle in another form
    read, file = files.get(kind) or (readers[kind.partition("-")[0]], "")
    return lambda folder: read(folder / file)


def under_its_digest(piece: Path) -> object:
    """A kept piece, whatever is in it: behind a digest that does not fit nothing is read."""
    from invariants.streaming.keeping import read_piece, sealed

    piece.write_bytes(sealed(piece.read_bytes().partition(b"\n")[2]))
    return read_piece(piece)


def in_pieces(folder: Path) -> object:
    """The bundle in ``folder`` as it is judged from its files; None where that cannot be."""
    from invariants.streaming import NotInPiecesError, audit_streamed, files

    try:
        return audit_streamed(folder, piece_rows=3)
    except NotInPiecesError:
        return None
    finally:
        files.forget()


def place(folder: Path, names: list[str], data: bytes) -> Path:
    """Write an input into a folder of seeds; returns the file, which is to be put back."""
    target = folder / names[data[0] % len(names)]
    target.write_bytes(data[1:])
    return target


def fuzz(kind: str, seconds: int, work: Path, crashes: Path) -> None:
    """Run libFuzzer on one kind in this process, which it ends."""
    import atheris

    sys.path.insert(0, str(ROOT))
    with atheris.instrument_imports(include=["invariants", "simcore"]):
        read = load(kind)
        from simcore import InputError
    folder, inputs = work / "folder", work / "inputs"
    names = sorted(path.name for path in folder.iterdir())
    good = {name: (folder / name).read_bytes() for name in names}
    inputs.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        (inputs / name).write_bytes(bytes([number]) + good[name])
    seen: set[str] = set()

    def one(data: bytes) -> None:
        if not data:
            return
        target = place(folder, names, data)
        try:
            read(folder)
        except InputError:
            pass
        except Exception as error:  # noqa: BLE001 - the crash that is looked for
            last = traceback.extract_tb(error.__traceback__)
            mine = [f for f in last if str(ROOT) in f.filename][-1]
            where = f"{type(error).__name__} at {Path(mine.filename).name}:{mine.lineno}"
            if where not in seen:
                seen.add(where)
                (crashes / f"{kind} {where}").write_bytes(data)
                (crashes / f"{kind} {where}.txt").write_text(traceback.format_exc(), encoding="utf-8")
        finally:
            target.write_bytes(good[target.name])

    limits = [f"-timeout={SECONDS}", f"-rss_limit_mb={MEMORY_MB}", f"-max_len={LONGEST}"]
    stop = [f"-max_total_time={seconds}", "-print_final_stats=1", f"-artifact_prefix={crashes / kind} killed "]
    atheris.Setup([sys.argv[0], *limits, *stop, str(inputs)], one)
    atheris.Fuzz()


def run(kind: str, minutes: float, crashes: Path) -> int:
    """Fuzz one kind for so long, in as many processes as it takes; returns the inputs tried."""
    tried, end = 0, time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory() as work:
        shutil.copytree(CORPUS / kind, Path(work) / "folder")
        while (left := round(end - time.monotonic())) > 0:
            command = [sys.executable, __file__, kind, "--inside", work, "--seconds", str(left)]
            with (Path(work) / "said").open("w+b") as said:
                done = subprocess.run(
                    [*command, "--crashes", str(crashes)], stdout=said, stderr=said, check=False, env=os.environ
                )
                said.seek(0)
                text = said.read().decode(errors="replace")
            counts = _EXECUTED.findall(text) or _STARTED.findall(text)
            tried += int(counts[-1]) if counts else 0
            if done.returncode != 0 and not counts:
                raise RuntimeError(text[-2000:])
    return tried


def main() -> int:
    """The table; 1 when anything crashed."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(kinds())} [default: all]")
    options.add_argument("--minutes", type=float, default=10.0, help="for each kind")
    options.add_argument("--crashes", type=Path, default=Path("fuzz-crashes"))
    options.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--seconds", type=int, help=argparse.SUPPRESS)
    given = options.parse_args()
    given.crashes.mkdir(exist_ok=True)
    if given.inside:
        fuzz(given.kinds[0], given.seconds, given.inside, given.crashes.resolve())
    print(f"{'kind':20} {'minutes':>7} {'inputs tried':>12} {'crashes':>7}")
    for kind in given.kinds or kinds():
        tried = run(kind, given.minutes, given.crashes.resolve())
        found = {path.name for path in given.crashes.glob(f"{kind} *") if path.suffix != ".txt"}
        print(f"{kind:20} {given.minutes:>7g} {tried:>12,} {len(found):>7}", flush=True)
    return int(any(given.crashes.iterdir()))


if __name__ == "__main__":
    sys.exit(main())
