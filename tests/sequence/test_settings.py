"""`--set` puts an option into a step; what is wrong with it is told inside its own text."""

import pytest
from input_texts import HEAD, SOUND, problems_of, sequence_of


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("iv_curve", "CS309 1"),
        ("iv_curve=5", "CS309 1"),
        ("iv_curve.=5", "CS309 1"),
        ("", "CS309 1"),
        ("iv_curv.max_voltage=5", "CS307 1"),
        ("iv_curve.max_voltge=5", "CS205 10"),
        ("iv_curve.max_voltage=five", "CS201 22"),
        ("iv_curve.max_voltage='5'", "CS201 22"),
        ("iv_curve.max_voltage=", "CS201 22"),
        ("iv_curve.max_voltage=.nan", "CS107 22"),
        ("iv_curve.max_voltage=1_0", "CS106 22"),
        ("iv_curve.plot=yes", "CS106 15"),
        ("iv_curve.step_size=-5", "CS206 20"),
        ("iv_curve.plot=\x1b[1m", "CS103 15"),
        ("iv_curve.plot=\udcff", "CS103 15"),
    ],
)
def test_a_bad_setting_is_one_problem_inside_its_text(setting, expected):
    [problem] = problems_of(SOUND, setting)
    assert problem.place.source.name == "--set"
    assert problem.place.source.text == setting
    assert f"{problem.code.id} {problem.place.span.column}" == expected
    assert problem.cure


def test_settings_override_and_add_options():
    sequence, problems = sequence_of(
        SOUND, "iv_curve.max_voltage=-350", "iv_curve.plot=true", "iv_curve.delay=1.5"
    )
    assert problems == []
    assert sequence.steps[0].words == ("--max-voltage", "-350", "--plot", "--delay", "1.5", "-w")
    assert sequence.steps[0].sweep_end_v == -350


def test_a_setting_reaches_a_step_that_is_only_a_name():
    sequence, problems = sequence_of(HEAD + "steps: [iv_curve]\n", "iv_curve.max_voltage=-80")
    assert problems == []
    assert sequence.steps[0].words == ("--max-voltage", "-80", "-w")


def test_a_setting_changes_one_step_of_two_that_share_their_options():
    text = HEAD + (
        "x-o: &o {max_voltage: -80}\nsteps:\n  - {calibration: iv_curve, options: *o}\n"
        "  - {name: b.c, calibration: iv_curve, options: *o}\n"
    )
    sequence, _ = sequence_of(text, "b.c.max_voltage=-60")
    assert [step.sweep_end_v for step in sequence.steps] == [-80, -60]


def test_a_setting_repairs_a_value_of_the_file():
    assert problems_of(SOUND.replace("-80", "x"), "iv_curve.max_voltage=-80") == []


def test_no_setting_of_a_broken_file_is_an_exception():
    for text in ("[", "steps: 5", "steps: [5, {calibration: 7}]", "[]"):
        assert problems_of(text, "iv_curve.max_voltage=-80")
