"""The shelf: columns in files are what they were in memory, which holds little of them."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from invariants.splitting.carrying import joined
from invariants.streaming.shelf import Shelf
from simcore.run import Positions

KINDS: tuple[Callable[[list[int]], Any], ...] = (
    lambda values: np.array(values, np.int64),
    lambda values: np.array(values, np.int8),
    lambda values: np.array([str(value) for value in values], np.object_),
    lambda values: np.broadcast_to(np.int64(values[0] if values else 0), len(values)),
)
"""Numbers, smaller numbers, objects, one number many times."""

columns = st.tuples(st.sampled_from(KINDS), st.lists(st.integers(-100, 100), max_size=5)).map(
    lambda drawn: drawn[0](drawn[1])
)


@given(st.lists(st.tuples(columns, columns, columns), min_size=1, max_size=6))
def test_what_is_joined_there_is_what_is_joined_in_memory(parts: list[tuple[Any, Any, Any]]) -> None:
    """Whatever comes: parts of several kinds, and empty ones."""
    tables = [Positions(*part) for part in parts]
    shelf = Shelf()
    found, wanted = shelf.joined(tables[0], tables), joined(tables)
    shelf.clear()
    for field in fields(Positions):
        ours, theirs = getattr(found, field.name), getattr(wanted, field.name)
        assert ours.dtype == theirs.dtype
        assert ours.tolist() == theirs.tolist()


@given(columns)
def test_a_column_that_is_put_there_is_the_same(column: Any) -> None:
    found = Shelf().put(column)
    assert (found.dtype, found.tolist()) == (column.dtype, column.tolist())


@pytest.mark.skipif(sys.platform != "linux", reason="what is in memory stands in /proc")
def test_memory_holds_what_is_being_looked_at() -> None:
    shelf = Shelf()
    gc.collect()
    before = _resident()
    held = [shelf.put(np.arange(10**6) + number) for number in range(10)]
    assert [int(column.sum()) for column in held] == [10**6 * (10**6 - 1) // 2 + 10**6 * k for k in range(10)]
    read = _resident() - before
    shelf.clear()
    cleared = _resident() - before
    assert read > 70 * 2**20
    assert cleared < 20 * 2**20
    assert held[3][5] == 8


def _resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
