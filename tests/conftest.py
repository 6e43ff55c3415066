"""Shared by all tests: the project's root on the path, and the kill table at the end."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
gc.set_threshold(50_000, 10, 10)  # as the command line does: runs are many small objects, and no cycles


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[str]:
    """The address of a Dask scheduler on loopback, without workers."""
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'fillproof[cluster]'")
    from clusters import scheduler_in

    with scheduler_in(tmp_path) as address:
        yield address


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="also run the tests that take minutes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--soak"):
        for item in items:
            if item.get_closest_marker("soak"):
                item.add_marker(pytest.mark.skip(reason="minutes long: run with --soak, as CI does"))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The kill table: fault, law, examples to the first failure for each seed, size of the smallest."""
    rows = [
        value
        for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
        for name, value in getattr(report, "user_properties", ())
        if name == "kill"
    ]
    if not rows:
        return
    terminalreporter.section("kill table: examples to the first failure, for each seed")
    for fault, law, examples, events in sorted(rows):
        listed = " ".join("-" if n is None else str(n) for n in examples)
        terminalreporter.write_line(f"{fault:44} {law:30} {events:>2} events   {listed}")
    caught = [n for *_, examples, _ in rows for n in examples if n is not None]
    lost = sum(n is None for *_, examples, _ in rows for n in examples)
    terminalreporter.write_line(
        f"{len(rows)} faults, {len(caught)} hunts won, {lost} lost, "
        f"median {median(caught or [0])}, worst {max(caught, default=0)}"
    )
