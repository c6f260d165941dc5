"""What a run has for the database: order, numbers, names, types, modules, and what is missing."""

import pytest

from calseq.measurement.acceptance import acceptance
from calseq.model.plan import Environment, Module, Plan, PowerMode, ResultRule, Step
from calseq.model.rails import RAIL_RULES
from calseq.sequence.catalog import builtin
from calseq.upload.results import SCANS, Attempts, harvest


def step(number, calibration, name=None, **fields):
    known = builtin().calibrations[calibration]
    before = RAIL_RULES[known.type].before
    fields = {"results": known.results, **fields}
    return Step(
        number, name or calibration, calibration, known.type, "", (), before, before, (), (), **fields
    )


def plan(*steps, modules=("C2HQ0",)):
    named = tuple(Module(str(index), name) for index, name in enumerate(modules))
    return Plan("T", "", "b", PowerMode.DIRIGENT, steps, (), named, (), Environment("."))


def reaped(plan_, files, module="", fates=None):
    return harvest(plan_, module, Attempts(files, fates or {}))


def named(found):
    return [(result.module, result.name, result.type) for result in found.results]


QC = plan(
    step(1, "sldo_vi_curves"),
    step(2, "voltage_trimming"),
    step(3, "iv_curve"),
    step(4, "calibrate_module", "tune_1000"),
    step(5, "crosstalk_method", "open_bumps"),
)
QC_FILES = {
    "sldo_vi_curves": ["data/01/x/SLDO_C2HQ0.csv"],
    "voltage_trimming": [],
    "iv_curve": ["data/03/IV_C2HQ0.csv", "data/03/IV_C2HQ0.png", "data/03/breakdowns.json"],
    "tune_1000": ["data/04/Run000002_ThresholdAdjustment_1000.root", "data/04/Run000001_PixelAlive.root"],
    "open_bumps": [f"data/05/Run00000{number}_PixelAlive.root" for number in (3, 4, 5)],
}


def test_a_module_qc_sequence_has_its_results_in_order_with_the_names_that_panthera_knows():
    found = reaped(QC, QC_FILES)
    assert named(found) == [
        ("C2HQ0", "00_sldo_vi_curves", "sldo"),
        ("C2HQ0", "02_IVCurve", "ivcurve"),
        ("C2HQ0", "03_PixelAlive", "pixelalive"),
        ("C2HQ0", "04_ThresholdAdjustment_1000", "thradj"),
        ("C2HQ0", "05_OpenBumpTest", "crosstalk"),
    ]
    assert found.gaps == ()


def test_a_step_that_left_nothing_keeps_its_number():
    assert [name for _, name, _ in named(reaped(QC, QC_FILES))][:2] == ["00_sldo_vi_curves", "02_IVCurve"]


def test_only_the_files_of_a_result_go_with_it():
    found = {result.name: result.paths for result in reaped(QC, QC_FILES).results}
    assert found["02_IVCurve"] == ("data/03/IV_C2HQ0.csv",)
    assert len(found["05_OpenBumpTest"]) == 3


def test_a_step_that_did_not_pass_has_no_result_and_its_fate_is_told():
    files = {name: paths for name, paths in QC_FILES.items() if name != "tune_1000"}
    found = reaped(QC, files, fates={"tune_1000": "failed: exit code 1"})
    assert [(gap.what, gap.why, gap.measured) for gap in found.gaps] == [
        ("step 4, tune_1000", "failed: exit code 1", False)
    ]
    assert [name for _, name, _ in named(found)][-1] == "04_OpenBumpTest"


def test_a_step_that_was_left_out_is_no_gap_and_keeps_its_number():
    chosen = plan(step(1, "sldo_vi_curves", left_out="--skip"), step(2, "iv_curve"))
    found = reaped(chosen, {"iv_curve": ["data/02/IV.csv"]})
    assert (named(found), found.gaps) == ([("C2HQ0", "01_IVCurve", "ivcurve")], ())


@pytest.mark.parametrize(
    "file", ["Run000001_NewScan.root", "Run000001_PixelAliveX.root", "Runs_PixelAlive.root"]
)
def test_a_scan_that_nobody_knows_is_told_and_never_guessed(file):
    found = reaped(plan(step(1, "custom_sequence")), {"custom_sequence": [f"data/{file}"]})
    assert found.results == ()
    assert [(gap.what, gap.measured) for gap in found.gaps] == [(f"data/{file}", True)]


def test_an_unknown_scan_keeps_its_number_so_that_the_others_keep_theirs():
    files = {"custom_sequence": ["Run000001_NewScan.root", "Run000002_Noise.root"]}
    assert named(reaped(plan(step(1, "custom_sequence")), files)) == [("C2HQ0", "01_Noise", "noise")]


def test_a_site_tells_the_type_of_a_scan_of_its_own():
    rule = ResultRule(("Run*.root",), scans={"NewScan": "scurve"})
    found = reaped(
        plan(step(1, "custom_sequence", results=(rule,))), {"custom_sequence": ["Run000001_NewScan.root"]}
    )
    assert named(found) == [("C2HQ0", "00_NewScan", "scurve")]


@pytest.mark.parametrize("scan", SCANS)
def test_every_scan_is_known_alone_and_with_its_setting(scan):
    files = {"custom_sequence": [f"Run000001_{scan}.root", f"Run000002_{scan}_2000.root"]}
    assert {type_ for _, _, type_ in named(reaped(plan(step(1, "custom_sequence")), files))} == {SCANS[scan]}


def test_every_type_is_one_that_felis_knows():
    from felis.felis import TYPES as FELIS_TYPES  # noqa: PLC0415 - the double's

    assert set(SCANS.values()) <= set(acceptance().by_type) == set(FELIS_TYPES)
    rules = [rule for each in builtin().calibrations.values() for rule in each.results]
    assert {rule.type for rule in rules if rule.type} <= set(acceptance().by_type)


def test_of_two_modules_each_has_its_own_files_and_both_have_what_names_none_or_both():
    two = plan(step(1, "sldo_vi_curves"), step(2, "crosstalk_method"), modules=("M1", "M12"))
    files = {
        "sldo_vi_curves": ["a/SLDO_M1.csv", "a/SLDO_M12.csv", "a/SLDO_M1_M12.csv"],
        "crosstalk_method": ["b/Run000001_PixelAlive.root"],
    }
    found = {(result.module, result.name): result.paths for result in reaped(two, files).results}
    assert found == {
        ("M1", "00_sldo_vi_curves"): ("a/SLDO_M1.csv", "a/SLDO_M1_M12.csv"),
        ("M12", "00_sldo_vi_curves"): ("a/SLDO_M12.csv", "a/SLDO_M1_M12.csv"),
        ("M1", "01_OpenBumpTest"): ("b/Run000001_PixelAlive.root",),
        ("M12", "01_OpenBumpTest"): ("b/Run000001_PixelAlive.root",),
    }


def test_a_file_of_a_module_whose_name_begins_with_anothers_is_not_the_others_too():
    three = plan(step(1, "iv_curve"), modules=("M1", "M1-2", "M1_2"))
    files = {"iv_curve": ["a/IV_M1.csv", "a/IV_M1-2.csv", "a/IV_M1_2.csv"]}
    assert {result.module: result.paths for result in reaped(three, files).results} == {
        "M1": ("a/IV_M1.csv",), "M1-2": ("a/IV_M1-2.csv",), "M1_2": ("a/IV_M1_2.csv",),
    }  # fmt: skip


def test_a_file_in_a_folder_of_a_module_is_that_modules():
    two = plan(step(1, "iv_curve"), modules=("M1", "M2"))
    files = {"iv_curve": ["data/01-iv_curve/M1/IV.csv", "data/01-iv_curve/M2/IV.csv"]}
    assert {result.module: result.paths for result in reaped(two, files).results} == {
        "M1": ("data/01-iv_curve/M1/IV.csv",), "M2": ("data/01-iv_curve/M2/IV.csv",),
    }  # fmt: skip


def test_of_the_module_that_was_typed_no_file_of_another_one_is_sent():
    two = plan(step(1, "iv_curve"), modules=("M1", "M1-2"))
    files = {"iv_curve": ["a/IV_M1.csv", "a/IV_M1-2.csv"]}
    found = reaped(two, files, "M1")
    assert {result.module: result.paths for result in found.results} == {"M1": ("a/IV_M1.csv",)}
    [gap] = found.gaps
    assert (gap.what, gap.measured) == ("a/IV_M1-2.csv", True)
    assert gap.why == "it is of M1-2, and the run was for another module"


def test_a_file_that_names_some_of_the_modules_is_of_those():
    three = plan(step(1, "iv_curve"), modules=("M1", "M2", "M3"))
    found = reaped(three, {"iv_curve": ["a/IV_M1_M3.csv"]})
    assert [result.module for result in found.results] == ["M1", "M3"]
    assert not found.gaps


def test_the_module_that_was_typed_is_the_only_one():
    two = plan(step(1, "iv_curve"), modules=("M1", "M2"))
    assert [module for module, _, _ in named(reaped(two, {"iv_curve": ["a/IV.csv"]}, "M2"))] == ["M2"]


def test_a_module_without_a_name_has_no_place_in_the_database():
    found = reaped(plan(step(1, "iv_curve"), modules=("",)), {"iv_curve": ["a/IV.csv"]})
    assert (found.results, found.gaps[0].measured) == ((), True)
    assert named(reaped(plan(step(1, "iv_curve"), modules=("",)), {"iv_curve": ["a/IV.csv"]}, "TYPED")) == [
        ("TYPED", "00_IVCurve", "ivcurve")
    ]


def test_names_are_unique_whatever_the_scans_are_called():
    files = {"custom_sequence": [f"r{number}/Run00000{number}_Noise.root" for number in range(9)]}
    names = [name for _, name, _ in named(reaped(plan(step(1, "custom_sequence")), files))]
    assert len(set(names)) == 9
