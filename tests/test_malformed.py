from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from malformed_inputs import CASE, MALFORMED, Malformed, marker_lines, write_bundle_by_hand, write_markers_by_hand

from invariants.cases import read_case
from invariants.cli import main
from invariants.readers import read_run
from simcore import InputError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("bad", [bad for bad in MALFORMED if bad.exit == 2], ids=str)
def test_what_cannot_be_used_is_refused_with_its_place(bad: Malformed, tmp_path: Path) -> None:
    path = bad.write(tmp_path)
    with pytest.raises(InputError) as refused:
        bad.load(path)
    error = refused.value
    assert (error.file.endswith(bad.file), error.row, error.field) == (True, bad.row, bad.field), str(error)
    assert error.wanted
    assert len(str(error)) < 1200


@pytest.mark.parametrize("bad", [bad for bad in MALFORMED if bad.exit == 1], ids=str)
def test_what_a_law_can_judge_is_loaded(bad: Malformed, tmp_path: Path) -> None:
    run = bad.load(bad.write(tmp_path))
    places = [(r.file.endswith(bad.file), r.row, r.field) for r in run.rejected if r.broken_law == "values_are_valid"]
    assert places == ([(True, bad.row, bad.field)] if bad.rejected else [])


@pytest.mark.parametrize("bad", MALFORMED, ids=str)
def test_command_line_refuses_in_one_line_or_names_the_row(bad: Malformed, tmp_path: Path) -> None:
    """Exit 2 with file, row, field, got and wanted; exit 1 with a finding. Never a traceback, nothing half-written."""
    path = str(bad.write(tmp_path))
    out = tmp_path / "report.json"
    if bad.kind == "case":
        command = ["replay", path, "--simulator", "simcore:simulate"]
    elif bad.kind == "rules":
        command = ["audit", str(write_bundle_by_hand(tmp_path / "fine")), "--rules", path, "--json", str(out)]
    else:
        command = ["audit", path, "--json", str(out)]
    said = CliRunner().invoke(main, command)
    assert said.exit_code == bad.exit, said.output
    assert "Traceback" not in said.output
    assert out.exists() == (bad.exit == 1)
    if bad.exit == 2:
        [line] = said.output.splitlines()
        assert f"{bad.file}{'' if bad.row is None else f' row {bad.row}'}: {bad.field}: got " in line
        assert ", wanted " in line


def test_the_same_inputs_without_the_fault_load(tmp_path: Path) -> None:
    bundle = read_run(write_bundle_by_hand(tmp_path / "run"))
    markers = read_run(write_markers_by_hand(tmp_path / "diag", marker_lines()))
    case = tmp_path / "good.case.json"
    case.write_text(__import__("json").dumps(CASE), encoding="utf-8")
    assert (len(bundle.fills), len(markers.fills), len(read_case(case).scenario.tape)) == (2, 1, 2)
    assert (bundle.rejected, markers.rejected) == ((), ())


def test_there_are_enough_of_each_kind() -> None:
    counts = Counter(bad.kind for bad in MALFORMED)
    assert len(MALFORMED) >= 200
    assert min(counts.values()) >= 40
    assert len({bad.name for bad in MALFORMED}) == len(MALFORMED)
