"""What Felis will not take of a sequence is told before its run, and sensors of another kind refuse it."""

import json

import pytest

STEPS = """calseq: 1
title: night
{sensor}required_instruments: [lv, hv]
defaults: {{timeout: 2h}}
steps:
  - {{calibration: iv_curve, options: {{max_voltage: -80}}}}
  - {{calibration: crosstalk_method}}
"""
FELIS = {"to": "felis", "user": "jdoe"}


def validate(stand, upload, sensor="", **keys):
    (stand.folder / "night.yaml").write_text(STEPS.format(sensor=sensor))
    stand.bench(**({"upload": upload} if upload else {}), **keys)
    return stand.calseq("validate", "night.yaml", "--bench", "bench.yaml", "--format", "full")


def test_a_step_of_which_felis_will_take_nothing_is_a_warning_that_names_it_and_says_why(stand):
    code, told = validate(stand, FELIS)
    assert (code, told.count("CS463")) == (0, 1), told
    assert "night.yaml:6:19  (step 1, iv_curve)" in told
    assert "it is known to leave *.csv, breakdowns.json, and Felis takes exactly 1 ROOT file" in told


@pytest.mark.parametrize("upload", [None, {"to": "folder", "folder": "out"}])
def test_nobody_else_is_told_of_felis(stand, upload):
    code, told = validate(stand, upload)
    assert (code, "CS463" in told) == (0, False), told


def test_a_site_that_says_what_its_dirigent_leaves_is_believed(stand):
    outputs = [{"files": "*.csv"}, {"files": "Run*_IV_*.root"}, {"files": "breakdowns.json"}]
    entry = {"calseq-calibrations": 1, "calibrations": {"iv_curve": {"outputs": outputs}}}
    (stand.folder / "calibrations.yaml").write_text(json.dumps(entry))
    code, told = validate(stand, FELIS, calibrations="calibrations.yaml")
    assert (code, "CS463" in told) == (0, False), told


@pytest.mark.parametrize(("type_", "more", "count"), [("", {}, 2), ("quad", {}, 2), ("quad", {"module_type": "2x2"}, 1), ("2x2", {}, 1)])  # fmt: skip
def test_a_module_whose_type_felis_needs_is_told_with_the_cure(stand, type_, more, count):
    path = stand.folder / "modules.json"
    path.write_text(path.read_text().replace('"type": "1x2"', f'"type": "{type_}"'))
    code, told = validate(stand, {**FELIS, **more})
    assert (code, told.count("CS463")) == (0, count), told
    assert ("of C2HQ0: Felis takes 'ivcurve' of a module of type 1x2 or 2x2" in told) is (count == 2)
    assert ("'module_type:' in 'upload:'" in told) is (count == 2)


@pytest.mark.parametrize(
    ("said", "sensor", "refused"),
    [
        ({}, "planar", False),
        ({"sensor_type": "planar"}, "planar", False),
        ({"sensor_type": "3D"}, "planar", True),
        ({"sensor_type": {"C2HQ0": "3D"}}, "planar", True),
        ({"sensor_type": {"other": "3D"}}, "planar", False),
        ({"sensor_type": "3D"}, "", False),
    ],
)
def test_a_sequence_for_other_sensors_than_the_bench_has_is_refused(stand, said, sensor, refused):
    code, told = validate(stand, {**FELIS, **said}, f"sensor: {sensor}\n" if sensor else "")
    assert (code, "CS464" in told) == ((1, True) if refused else (0, False)), told
    if refused:
        assert "the sequence is for planar sensors, and by 'upload:' that of C2HQ0 is 3D" in told


def test_a_variant_is_judged_for_its_bench_as_a_whole_sequence_is(stand):
    stand.bench(upload={**FELIS, "sensor_type": "3D"})
    (stand.folder / "night.yaml").write_text(STEPS.format(sensor=""))
    (stand.folder / "planar.yaml").write_text("calseq: 1\nextends: night.yaml\nsensor: planar\n")
    code, told = stand.calseq("validate", "planar.yaml", "--bench", "bench.yaml", "--format", "full")
    assert (code, "CS464" in told, "planar.yaml:3:9" in told, "CS463" in told) == (1, True, True, True), told


def test_a_sensor_that_nobody_knows_is_refused_with_what_was_meant(stand):
    code, told = validate(stand, FELIS, "sensor: planer\n")
    assert code == 1
    assert "did you mean 'planar'?" in told
