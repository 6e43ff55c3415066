"""Streaming: a bundle judged piece by piece from its files is judged as it is in memory, to the byte."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_split import QUIET, Split, splits

from invariants.auditing import audit
from invariants.laws import LAWS
from invariants.readers.bundle import read_bundle, write_bundle
from invariants.report.as_json import report_bytes
from invariants.streaming import NotInPiecesError, audit_streamed, files
from simcore import Run


def bundle(run: Run, folder: Path, *, group_rows: int) -> Path:
    """A bundle whose tables have row groups of so few rows."""
    shutil.rmtree(folder, ignore_errors=True)
    write_bundle(run, folder)
    for file in folder.glob("*.parquet"):
        pq.write_table(pq.read_table(file), file, row_group_size=group_rows)
    return folder


def in_memory(folder: Path, **more: Any) -> bytes:
    return report_bytes(audit(read_bundle(folder), **more))


@pytest.mark.parametrize("examples", [100, pytest.param(2000, marks=pytest.mark.soak)])
def test_any_run_is_judged_as_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, examples: int) -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=examples, **QUIET)
    @given(
        st.sampled_from(LAWS).flatmap(splits),
        st.integers(1, 9),
        st.sampled_from((1, 2, 3, 7, 100)),
        st.sampled_from((1, 3, 1000)),
        st.sampled_from((0, 2, 50)),
    )
    def holds(drawn: Split, group_rows: int, piece_rows: int, batch_rows: int, max_findings: int) -> None:
        monkeypatch.setattr(files, "BATCH_ROWS", batch_rows)
        files.forget()
        folder = bundle(drawn.run, tmp_path / "run", group_rows=group_rows)
        whole = in_memory(folder, max_findings=max_findings)
        try:
            streamed = audit_streamed(folder, piece_rows=piece_rows, max_findings=max_findings)
        except NotInPiecesError as reason:
            seen[str(reason)] += 1
            return
        seen["in pieces"] += 1
        assert report_bytes(streamed) == whole

    holds()
    assert seen["in pieces"] > examples / 2
