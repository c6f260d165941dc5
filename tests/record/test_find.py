"""Runs are found by what a person types, and nothing but a run is taken for one."""

import pytest

from calseq.problems.refused import Refused
from calseq.record.find import find_run, run_folders

NAMES = (
    "20261122-180000-panthera-rh0007",
    "20261123-090000-panthera-rh0007",
    "20261123-090000-panthera-rh0007.2",
    "20261123-100000-iv-only",
)


@pytest.fixture
def runs(tmp_path):
    for name in NAMES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text("{}")
    (tmp_path / "20261123-110000-000001-power-off").mkdir()
    (tmp_path / "notes").mkdir()
    return tmp_path


def test_folders_come_newest_first(runs):
    assert [path.name for path in run_folders(runs)][1:] == sorted(NAMES, reverse=True)


def test_a_missing_folder_has_no_runs(tmp_path):
    assert run_folders(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("latest", 3),
        (NAMES[0], 0),
        (NAMES[1], 1),
        ("20261122", 0),
        ("iv-only", 3),
    ],
)
def test_a_run_is_found_by_what_is_typed(runs, text, found):
    assert find_run(runs, text).name == NAMES[found]


def test_a_run_is_found_by_its_path(runs):
    assert find_run(runs / "elsewhere", str(runs / NAMES[2])) == runs / NAMES[2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rh0007", "part of 3 runs"),
        ("20261123-100000-iv-onyl", "did you mean '20261123-100000-iv-only'?"),
        ("power-off", "no run is named"),
        ("./notes", "not the folder of a run"),
    ],
)
def test_what_is_no_run_or_several_is_refused(runs, text, said):
    with pytest.raises(Refused) as refused:
        find_run(runs, text)
    [problem] = refused.value.problems
    assert problem.code.id == "CS421"
    assert said in f"{problem.message}; {problem.cure}"


def test_no_runs_at_all_is_said(tmp_path):
    with pytest.raises(Refused, match="there is no run in"):
        find_run(tmp_path)
