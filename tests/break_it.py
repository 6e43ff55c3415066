"""What we tried to break it: ``python tests/break_it.py [NAME...] [--readme] [--fuzzed FILE...]``.

Each attempt is a selection of the tests, or the fuzzing; without NAME all are made, one after the other. Tests
record their figures (``record_property``), which are read from pytest's XML. ``--readme`` writes the table of the
README; an attempt that was not made this time keeps the figures that stand there. ``--fuzzed`` takes the tables
that ``tests/fuzz.py`` has printed, so that three hours of fuzzing need not be repeated. Run it as root: only
root may mount the disk that is full.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shlex
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import fuzz

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
MARKS = re.compile(r"(?<=<!-- break-it -->\n).*(?=<!-- /break-it -->)", re.DOTALL)
NEVER = "not tried yet"
_FUZZED = re.compile(r"^(\S+) +([\d.]+) +([\d,]+) +(\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Attempt:
    """What is tried, the arguments of pytest that try it, and what to say: a recorded name stands for its sum."""

    name: str
    what: str
    tests: str
    outcome: str

    @property
    def command(self) -> str:
        """What one types."""
        return f"pytest {self.tests}" if self.tests else "python tests/fuzz.py --minutes 10"


ATTEMPTS = (
    Attempt(
        "killed",
        "`kill -9` at 50 random instants of an audit, each time resumed; the audit killed, but not its workers",
        "--soak tests/test_streaming.py -k 'killed_at_any and 50 or killed_alone'",
        "{kills} kills, {amid} of them with pieces already kept; {reports} audits reached their end, "
        "{reports} reports identical to the byte; no kept piece judged again; no worker left",
    ),
    Attempt(
        "workers",
        "a worker killed amid its work, on this machine and on a Dask cluster; a job that kills every worker",
        "--soak tests/test_pools.py tests/test_streaming.py -k 'pools or amid'",
        "workers killed, {killed}; reports identical to the byte, nothing lost or counted twice; deadly job named",
    ),
    Attempt(
        "cut",
        "any run, honest or faulty, cut anywhere, row groups of any length, any number of workers",
        "--soak tests/test_streaming.py tests/test_split.py -k 'in_memory or hangs or pieces_say'",
        "{runs} runs, each judged as a whole and in pieces, all identical",
    ),
    Attempt(
        "changed",
        "an input appended to, overwritten (length and time kept), cut, emptied, replaced, removed while it is read",
        "--soak tests/test_streaming.py -k changes",
        "{passed} of {passed} refused, the file named",
    ),
    Attempt(
        "kept",
        "damaged pieces in the folder of `--resume`",
        "tests/test_streaming.py -k damaged",
        "{passed} of {passed} refused, the piece named",
    ),
    Attempt(
        "disk",
        "13 ways of writing a file: onto a full disk (a tmpfs with a page left), onto one that is read-only; "
        "temporary files onto a full one",
        "--soak tests/test_hostile.py -k 'cannot_be_written or temporary_folder'",
        "{passed} of {passed} named in one line, exit code 2; {left} files left half-written",
    ),
    Attempt(
        "malformed",
        "bundles, markers, rules and cases with one thing wrong in each",
        "tests/test_malformed.py -k command_line",
        "{passed} of {passed} inputs named with file, row and field, in one line or as a finding",
    ),
    Attempt(
        "parquet",
        "truncated Parquet, judged in memory and in pieces",
        "tests/test_hostile.py -k parquet_cut",
        "{passed} of {passed} cuts refused",
    ),
    Attempt(
        "bombs",
        "gzip, zip and Parquet bombs",
        "--soak tests/test_hostile.py -k '(refused_in and bomb) or gibibytes'",
        "{passed} of {passed} refused; 10 GiB in {most_packed} bytes of gzip cost at most {most_grown} MiB",
    ),
    Attempt(
        "deep",
        "JSON and TOML nested without end, in files, reports and answers of simulators",
        "tests/test_hostile.py -k '(refused_in and deep) or deep_answers'",
        "{passed} of {passed} refused, {levels} levels deep",
    ),
    Attempt(
        "lines",
        "a single line of a gigabyte",
        "--soak tests/test_hostile.py -k gigabyte_costs",
        "{passed} of {passed} kinds of files refused; it cost at most {most_100} MiB (limit 100) in heads, markers, "
        "cases and reports, {most_1100} MiB (limit 1100) in tables, {most_2000} MiB (limit 2000) in a freqtrade result",
    ),
    Attempt(
        "text",
        "NUL bytes, UTF-16, Latin-1 amid UTF-8, byte order marks",
        "tests/test_hostile.py -k '(refused_in and text) or byte_order'",
        "{passed} of {passed} refused with their place, or read where they are well-formed",
    ),
    Attempt(
        "clocks",
        "instants before 1678 and after 2262 in ns, us, ms, s, days and ISO 8601; a run before 1970",
        "tests/test_hostile.py -k '(refused_in and clock) or before_1970'",
        "{passed} of {passed}: what int64 nanoseconds do not reach is refused with its row; the early run is judged",
    ),
    Attempt(
        "memory",
        "the peak memory over all bombs, depths, texts and clocks, one after the other in one process",
        "tests/test_hostile.py -k memory_stays",
        "{inputs} inputs, {grown} MiB above a small input, the limit {limit} MiB",
    ),
    Attempt(
        "contained",
        "simulators that fork, allocate without end, flood the terminal, sleep, ignore signals, leave children behind",
        "tests/test_containment.py",
        "{contained} simulators, {contained} findings, the slowest after {most_seconds} s; {left} processes left, "
        "{garbage} of their words on the terminal",
    ),
    Attempt(
        "fuzzed", "coverage-guided fuzzing of everything that reads a file (atheris, extra `fuzz`)", "", "{fuzzed}"
    ),
)


def tried(attempt: Attempt) -> str:
    """Run the tests of an attempt; what came of it."""
    with tempfile.TemporaryDirectory() as scratch:
        xml = Path(scratch) / "figures.xml"
        quiet = ["-q", "-p", "no:cacheprovider", "-o", "addopts=", "--junitxml", str(xml)]
        argv = [sys.executable, "-m", "pytest", *shlex.split(attempt.tests), *quiet]
        subprocess.run(argv, cwd=ROOT, check=False, stdout=sys.stderr)
        return told(attempt.outcome, ET.parse(xml).getroot()) if xml.exists() else "**pytest did not run**"  # noqa: S314 - pytest's own


def told(outcome: str, suite: ET.Element) -> str:
    """What pytest's XML says, in the words of the attempt."""
    cases = list(suite.iter("testcase"))
    broken = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = [str(case.attrib.get("message", "")) for case in suite.iter("skipped")]
    passed = len(cases) - len(broken) - len(skipped)
    seconds = sum(float(one.attrib["time"]) for one in suite.iter("testsuite"))
    if broken:
        return f"**{len(broken)} of {len(cases)} failed**: {', '.join(str(case.attrib['name']) for case in broken)}"
    if not passed:
        return f"not tried here: {', '.join(sorted(set(skipped))) or 'there are no such tests'}"
    found: dict[str, list[str]] = defaultdict(list)
    for one in suite.iter("property"):
        found[one.attrib["name"]].append(one.attrib["value"])
    figures = {name: summed(name, values) for name, values in found.items()}
    without = f"; {len(skipped)} skipped: {', '.join(sorted(set(skipped)))}" if skipped else ""
    return f"{outcome.format(passed=passed, **figures)}{without} ({seconds:,.0f} s)"


def summed(name: str, values: list[str]) -> str:
    """Numbers are added up, or the greatest is taken where their name says so; all else is listed."""
    if not all(map(str.isdecimal, values)):
        return ", ".join(sorted(values))
    return f"{(max if name.startswith('most') else sum)(map(int, values)):,}"


def fuzzed(tables: Iterable[str], kinds: Iterable[str]) -> str:
    """What the fuzzing's tables say of each kind, and which kinds they lack; a later line counts for a kind."""
    found = {
        kind: (minutes, int(n.replace(",", "")), int(bad))
        for t in tables
        for kind, minutes, n, bad in _FUZZED.findall(t)
    }
    if not found:
        return NEVER
    inputs, crashes = (sum(row[column] for row in found.values()) for column in (1, 2))
    minutes = " or ".join(sorted({row[0] for row in found.values()}, key=float, reverse=True))
    lacking = [kind for kind in kinds if kind not in found]
    open_still = f"; not finished: {', '.join(lacking)}" if lacking else ""
    each = ", ".join(f"{kind} {n:,}" for kind, (_, n, _) in sorted(found.items()))
    crashed = f"**{crashes} crashes**" if crashes else "0 crashes"
    return f"{len(found)} kinds, {minutes} minutes each: {inputs:,} inputs, {crashed} ({each}){open_still}"


def machine() -> str:
    """What tried."""
    kernel = platform.release().partition("-")[0]
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{os.cpu_count()} cores ({platform.machine()}), {python}, {platform.system()} {kernel}"


def rendered(text: str, made: Mapping[str, str]) -> str:
    """The README with the outcomes that were found now; the others stay, with their machine where it was another."""
    old = MARKS.search(text)
    assert old is not None, "the README has the marks"
    by, here = re.search(r"^Last run on (.*)\.$", old[0], re.MULTILINE), machine()
    before = by[1] if by else here
    rows = [f"Last run on {here if made else before}.", "", "| name | what | by | outcome |", "|---|---|---|---|"]
    for attempt in ATTEMPTS:
        kept = re.search(rf"^\| `{attempt.name}` \|.*\| ([^|]*) \|$", old[0], re.MULTILINE)
        outcome = made.get(attempt.name) or (kept[1] if kept else NEVER)
        if made and attempt.name not in made and before != here and outcome != NEVER and not outcome.endswith("]"):
            outcome += f" [on {before}]"
        rows.append(f"| `{attempt.name}` | {attempt.what} | `{attempt.command}` | {outcome} |")
    return text[: old.start()] + "\n".join(rows) + "\n" + text[old.end() :]


def main() -> int:
    """Try, say what came of it, and write it into the README; 1 when something broke."""
    names = [attempt.name for attempt in ATTEMPTS]
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)} [default: all]")
    options.add_argument("--readme", action="store_true", help="write the figures into the README")
    options.add_argument(
        "--fuzzed", type=Path, nargs="+", default=[], metavar="FILE", help="tables of a fuzzing that was"
    )
    given = options.parse_args()
    if unknown := set(given.names) - set(names):
        options.error(f"no attempt is named {', '.join(sorted(unknown))}")
    outcomes = []
    for attempt in (one for one in ATTEMPTS if one.name in (given.names or names)):
        outcome = tried(attempt) if attempt.tests else fuzzed(_tables(given.fuzzed), fuzz.kinds())
        outcomes.append(outcome)
        print(f"{attempt.name}: {outcome}", flush=True)
        if given.readme:
            README.write_text(rendered(README.read_text(encoding="utf-8"), {attempt.name: outcome}), encoding="utf-8")
    return int(any("**" in outcome for outcome in outcomes))


def _tables(files: list[Path]) -> list[str]:
    """The tables in the files; without files, that of a fuzzing that is made now."""
    if files:
        return [file.read_text(encoding="utf-8") for file in files]
    fuzzing = [sys.executable, str(ROOT / "tests" / "fuzz.py"), "--minutes", "10"]
    return [subprocess.run(fuzzing, cwd=ROOT, check=False, stdout=subprocess.PIPE, text=True).stdout]


if __name__ == "__main__":
    sys.exit(main())
