"""Totals without rows: held against each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from invariants import Verdict, audit
from invariants.readers import read_run
from simcore import InputError

ORIGIN = Path(__file__).parent.parent / "fixtures" / "origin"
TOTALS = {"fills": 3, "buys": 2, "sells": 1, "turnover": 15, "size_per_fill": 5.0, "submits": 9, "cancels": 6}


def read(folder: Path, **changes: object) -> Path:
    (folder / "backtest.json").write_text(json.dumps({**TOTALS, "markers": 18, **changes}), encoding="utf-8")
    return folder


def test_the_origin_s_markers_do_not_add_up() -> None:
    """124,302 submits, 122,731 cancels and 1,571 fills are 248,604 markers; 248,610 were reported."""
    report = audit(read_run(ORIGIN))
    judgement = report["totals_reconcile"]
    assert report.verdict is Verdict.FAIL
    [finding] = judgement.findings
    assert finding.message == ("reported markers=248610, but should be 248604 [submits + cancels + fills]")
    assert [j.law for j in report.judgements if j.verdict is Verdict.FAIL] == ["totals_reconcile"]


def test_totals_that_agree_pass(tmp_path: Path) -> None:
    report = audit(read_run(read(tmp_path)))
    assert report["totals_reconcile"].verdict is Verdict.PASS
    assert not [j.law for j in report.judgements if j.verdict is Verdict.FAIL]


@pytest.mark.parametrize(
    ("name", "value"), [("buys", 1), ("fills", 4), ("turnover", 16), ("size_per_fill", 5.1), ("markers", 17)]
)
def test_one_total_that_is_off_fails(name: str, value: float, tmp_path: Path) -> None:
    assert audit(read_run(read(tmp_path, **{name: value})))["totals_reconcile"].verdict is Verdict.FAIL


@pytest.mark.parametrize("name", ["cash", "fees", "position", "pnl"])
def test_what_needs_fills_is_unknown_without(name: str, tmp_path: Path) -> None:
    report = audit(read_run(read(tmp_path, **{name: 7, "mark_price": 100, "initial_mark_price": 100})))
    assert not [j.law for j in report.judgements if j.verdict is Verdict.FAIL]
    assert [j.law for j in report.judgements if j.verdict is Verdict.UNKNOWN and j.undecided]


def test_a_bundle_may_be_totals_alone(tmp_path: Path) -> None:
    head = 'format = "fillproof-run/1"\n[reported]\nfills = 3\nbuys = 2\nsells = 2\n'
    (tmp_path / "run.toml").write_text(head, encoding="utf-8")
    assert audit(read_run(tmp_path))["totals_reconcile"].failed == 1


def test_a_bundle_of_nothing_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text('format = "fillproof-run/1"\n', encoding="utf-8")
    with pytest.raises(InputError, match="fills"):
        read_run(tmp_path)
