"""Every mistake of a sequence is told, each once, at its own place."""

import pytest
from input_texts import CURVE, HEAD, SHIPPED, SOUND, problems_of, sequence_of, told

SPREAD = """\
calseq: 1
titel: Panthera
steps:
  - calibration: sldo_vi_curve
  - calibration: iv_curve
    options: {max_voltage: "-80", step_sise: 5}
    timeout: 45
  - calibration: calibrate_module
  - calibration: crosstalk_method
    name: open bumps
    retries: 7
"""

IN_ONE_STEP = """\
calseq: 1
title: T
steps:
  - calibration: iv_curve
    name: a/b
    type: sldo
    options: {max_voltage: .nan, step_size: -5, plt: true}
    args: [--directory, x]
    tuning: T
    required_instruments: [xy]
    timeout: 5 minutes
    stop_grace: 1s
    retries: six
    on_failure: go
    colour: red
"""


def test_eight_mistakes_spread_over_the_steps_are_eight_problems_at_their_places():
    assert told(problems_of(SPREAD)) == [
        "CS204 2:1",
        "CS203 4:18",
        "CS201 6:28",
        "CS205 6:35",
        "CS209 7:14",
        "CS207 8:18",
        "CS206 10:11",
        "CS206 11:14",
    ]


def test_many_mistakes_in_one_step_are_told_each():
    assert told(problems_of(IN_ONE_STEP)) == [
        "CS206 5:11",
        "CS303 6:11",
        "CS107 7:28",
        "CS206 7:45",
        "CS205 7:49",
        "CS304 8:12",
        "CS208 9:5",
        "CS206 10:28",
        "CS209 11:14",
        "CS206 12:17",
        "CS201 13:14",
        "CS206 14:17",
        "CS204 15:5",
    ]


def test_mistakes_of_a_step_do_not_hide_those_of_the_defaults_or_of_the_yaml():
    text = (
        HEAD
        + "defaults: {stop_grace: 5s, timeout: 0s}\nsteps:\n  - iv_curv\n  - calibration: *x\n    a: 1\n    a: 2\n"
    )
    assert told(problems_of(text)) == [
        "CS206 3:24",
        "CS206 3:37",
        "CS203 5:5",
        "CS108 6:18",
        "CS204 7:5",
        "CS105 8:5",
    ]


def test_a_mistake_in_what_two_steps_share_is_told_once_where_it_is_written():
    text = (
        HEAD
        + "x-c: &c {calibration: iv_curve, retries: 9}\nsteps:\n  - *c\n  - {name: b, calibration: sldo_vi_curves}\n"
    )
    assert told(problems_of(text)) == ["CS206 3:42"]
    shared = (
        HEAD
        + "x-o: &o {max_voltage: x}\nsteps:\n"
        + "".join(f"  - {{name: s{n}, calibration: iv_curve, options: *o}}\n" for n in range(3))
    )
    assert told(problems_of(shared)) == ["CS201 3:23"]


def test_one_step_aliased_twice_is_a_second_step_of_its_name_at_the_alias():
    text = HEAD + "x-c: &c {calibration: iv_curve}\nsteps:\n  - *c\n  - *c\n"
    assert told(problems_of(text)) == ["CS301 6:5"]


def test_a_thousand_steps_are_allowed_and_one_more_is_one_problem():
    lines = [f"  - {{calibration: voltage_trimming, name: s{n}}}\n" for n in range(1001)]
    assert problems_of(HEAD + "steps:\n" + "".join(lines[:1000])) == []
    assert told(problems_of(HEAD + "steps:\n" + "".join(lines))) == ["CS206 4:3"]


@pytest.mark.parametrize(
    ("name", "is_good"),
    [("a", True), ("A-1_b.c", True), ("x" * 64, True), ("x" * 65, False), ("..", False), (".a", False), ("-a", False),
     ("a/b", False), ("a\\\\b", False), ("a b", False), ("ä", False), ("a\\n", False), ("", False), ("CON", True)],
)  # fmt: skip
def test_a_step_name_is_a_safe_file_name(name, is_good):
    problems = problems_of(HEAD + f'steps:\n  - calibration: voltage_trimming\n    name: "{name}"\n')
    assert (not problems) == is_good
    assert len(problems) <= 1


@pytest.mark.parametrize(
    ("text", "code"),
    [("45s", ""), ("90m", ""), ("1h30m", ""), ("1h30m5s", ""), ("none", ""), ("99999h", ""), ("100000h", "CS209"),
     ('"45s\\n"', "CS209"), ("1h 30m", "CS209"), ("1.5h", "CS209"), ("30m1h", "CS209"), ("h", "CS209"),
     ("-5s", "CS209"), ("٣s", "CS209"), ("0s", "CS206"), ("0h0m", "CS206"), ("true", "CS209"), ("[1h]", "CS209")],
)  # fmt: skip
def test_a_duration_has_one_form(text, code):
    problems = problems_of(HEAD + f"steps:\n  - calibration: get_module_info\n    timeout: {text}\n")
    assert [problem.code.id for problem in problems if problem.is_error] == ([code] if code else [])


@pytest.mark.parametrize(
    "key", ["calseq", "title", "description", "required_instruments", "defaults", "steps"]
)
def test_null_where_a_value_belongs_is_one_problem(key):
    text = (
        "calseq: 1\ntitle: T\ndescription: d\nrequired_instruments: [lv]\ndefaults: {}\nsteps: [iv_curve]\n"
    )
    lines = [f"{key}:" if line.startswith(key + ":") else line for line in text.splitlines()]
    problems = problems_of("\n".join(lines))
    assert len(problems) == 1
    assert problems[0].place.span.line == 1 + [line.partition(":")[0] for line in lines].index(key)


@pytest.mark.parametrize(
    "key",
    ["calibration", "name", "type", "options", "args", "tuning", "required_instruments", "timeout", "retries",
     "on_failure", "stop_grace"],
)  # fmt: skip
@pytest.mark.parametrize("value", ["", "~", "5", "1.5", "true", "[]", "{}", "[[]]", "{a: {b: c}}", "x y"])
def test_no_value_of_a_step_gives_two_problems(key, value):
    lines = ["calibration: iv_curve", "options: {max_voltage: -80}"]
    lines = [line for line in lines if not line.startswith(key + ":")] + [f"{key}: {value}"]
    problems = problems_of(HEAD + "steps:\n  -\n" + "".join(f"    {line}\n" for line in lines))
    assert len([problem for problem in problems if problem.is_error]) <= 1


def test_names_and_titles_are_shown_escaped():
    text = SOUND.replace("iv_curve", '"\\e]0;x\\a\\u202e"')
    [problem] = problems_of(text)
    assert problem.message.isprintable()
    assert "\\e" in problem.message


def test_policies_come_from_the_step_then_the_defaults_then_calseq():
    text = (
        HEAD + "defaults: {timeout: 1h, retries: 2, on_failure: continue, stop_grace: 60s}\nsteps:\n" + CURVE
    )
    sequence, _ = sequence_of(
        text + "  - {calibration: voltage_trimming, timeout: none, retries: 0, on_failure: stop}\n"
    )
    first, second = (step.policies for step in sequence.steps)
    assert (first.timeout_s, first.retries, first.on_failure, first.stop_grace_s) == (3600, 2, "continue", 60)
    assert (second.timeout_s, second.retries, second.on_failure, second.stop_grace_s) == (None, 0, "stop", 60)
    plain = sequence_of(SOUND)[0].steps[0].policies
    assert (plain.timeout_s, plain.retries, plain.on_failure, plain.stop_grace_s) == (None, 0, "stop", 180)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_sequence_has_no_problem(path):
    sequence, problems = sequence_of(path.read_text())
    assert problems == []
    assert sequence.steps
