"""`calseq convert`: dirigent's Python lists to a sequence file and back, and nothing lost on the way."""

import ast
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calseq.documents.document import from_bytes
from calseq.documents.layout import key_order, laid_out
from calseq.documents.yaml_reader import read_yaml
from calseq.sequence.catalog import builtin
from calseq.sequence.conversion import class_name, class_text, sequence_text
from calseq.sequence.dirigent_source import Lists, read_lists, read_python
from calseq.sequence.reader import read_sequence
from calseq.sequence.schema import sequence_schema

PANTHERA = '''\
from dirigent import CalibrationSequence


class Panthera(CalibrationSequence):
    """CMS IT module QC, electrical tests."""

    FLAGS = ["-p", "-l", "-m", "--no-monitoring"]
    calibrations = ["sldo_vi_curves", "voltage_trimming", "iv_curve", "calibrate_module", "crosstalk_method"]
    title: str = "Panthera"
    tuning_step_args = ["Tuning_1000"]
    required_instruments = {"lv", "hv", "ab"}
'''
TUNED = ("calibrate_module", "custom_sequence")
PLAIN = ("sldo_vi_curves", "voltage_trimming", "iv_curve", "crosstalk_method", "sldo_vi_curves_GADC")


def python(text: str, name: str = "") -> tuple[Lists | None, list]:
    """Read Python; give its lists and its problems."""
    document = from_bytes(text.encode(), "seq.py")
    return read_python(document, name), document.problems


def told(text: str, name: str = "") -> list[str]:
    """Give the problems of Python as 'CS343 3:20', those of the conversion with them."""
    lists, problems = python(text, name)
    if lists:
        sequence_text(lists, builtin(), "s", problems)
    return [
        f"{problem.code.id} {problem.place.span.line}:{problem.place.span.column}" for problem in problems
    ]


def to_yaml(lists: Lists) -> str:
    """Give the sequence file of lists that have one; it is good, and has the layout."""
    problems: list = []
    text = sequence_text(lists, builtin(), "s.json", problems)
    assert not problems, problems
    document = read_yaml(from_bytes(text.encode(), "f.yaml"))
    assert read_sequence(document, builtin()) is not None, document.problems
    assert laid_out(document, key_order(sequence_schema(builtin()))) == text
    return text


def to_class(text: str) -> str:
    """Give the class of a sequence file that has one."""
    problems: list = []
    sequence = read_sequence(read_yaml(from_bytes(text.encode(), "f.yaml")), builtin())
    written = class_text(sequence, problems)
    assert not problems, problems
    ast.parse(written)
    return written


def values(lists: Lists) -> dict:
    """Give what dirigent's class is given, JSON read: how its text is spaced means nothing."""
    tunings = [text.value for text in lists.tunings if text]
    return {
        "calibrations": [text.value for text in lists.calibrations],
        "title": lists.title.value,
        "tunings": [json.loads(each) if each[:1] == "[" else each for each in tunings],
        "required": sorted({text.value for text in lists.required}),
    }


def test_pantheras_real_list_goes_there_and_back(golden):
    lists, problems = python(PANTHERA)
    assert problems == []
    text = to_yaml(lists)
    golden("convert-panthera.yaml", text)
    back = to_class(text)
    golden("convert-panthera.py.txt", back)
    again, problems = python(back)
    assert problems == []
    assert values(again) == values(lists)
    assert again.passed_over == ()
    assert again.description == lists.description
    assert to_yaml(again) == text


TEXTS = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=30)
# what begins with a bracket is taken for a JSON text in the place of a name, and refused
NAMES = TEXTS.filter(lambda text: not text.lstrip(" ").startswith(("[", "{")))
TESTS = st.lists(NAMES, min_size=1, max_size=4) | st.lists(
    st.dictionaries(TEXTS, st.integers(-9, 9) | st.booleans() | TEXTS, max_size=3).map(lambda each: {**each, "name": "T"}),
    min_size=1,
    max_size=3,
)  # fmt: skip


@st.composite
def lists(draw) -> str:
    names = draw(st.lists(st.sampled_from(TUNED + PLAIN), min_size=1, max_size=10))
    tunings = [draw(TEXTS.filter(lambda text: text[:1] != "[")) if name == "calibrate_module" else json.dumps(draw(TESTS)) for name in names if name in TUNED]  # fmt: skip
    required = draw(st.none() | st.sets(st.sampled_from(["lv", "hv", "ab", "cb", "hb"])))
    fields = [f"calibrations = {names!r}", f"title = {draw(TEXTS)!r}"]
    fields.append(f"tuning_step_args = {tunings!r}" if tunings or draw(st.booleans()) else "pass")
    fields.append(f"required_instruments = {required!r}")
    return "class C(CalibrationSequence):\n" + "".join(f"    {field}\n" for field in fields)


@pytest.mark.parametrize("name", ["{", "[", ' {"name": 1}', "[]"])
def test_a_name_that_a_sequence_would_take_for_json_is_refused_and_not_written(name):
    text = f'class C(CalibrationSequence):\n    calibrations = ["custom_sequence"]\n    title = "T"\n    tuning_step_args = [{json.dumps([name])!r}]\n    required_instruments = None\n'
    assert [each.split()[0] for each in told(text)] == ["CS344"]


@settings(max_examples=150)
@given(lists())
def test_any_list_goes_there_and_back(text):
    first, problems = python(text)
    assert problems == []
    again, problems = python(to_class(to_yaml(first)))
    assert problems == []
    assert values(again) == values(first)


@pytest.mark.parametrize(
    "text",
    [
        'calibrations = ["iv_curve"]\ntitle = "T"\nrequired_instruments = ("hv",)\n',
        's = CalibrationSequence(context, ["iv_curve"], "T", None, ["hv"])\n',
        'run(dirigent.CalibrationSequence(c, calibrations=["iv_curve"], title="T", required_instruments={"hv"}))\n',
        'class A(CalibrationSequence):\n    def __init__(self, c):\n        super().__init__(c, ["iv_curve"], "T", [], {"hv"})\n',
        'class A(B):\n    def __init__(self, c):\n        CalibrationSequence.__init__(self, c, ["iv_curve"], title="T", required_instruments={"hv"})\n',
    ],
)
def test_every_way_to_give_the_lists_is_read(text):
    found, problems = python(text)
    assert problems == []
    assert values(found) == {"calibrations": ["iv_curve"], "title": "T", "tunings": [], "required": ["hv"]}


@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_the_same_keys_are_read_from_yaml_and_json(calseq, tmp_path, suffix):
    data = {"calibrations": ["iv_curve", "calibrate_module"], "title": "T", "tuning_step_args": ["X"]}
    (tmp_path / f"a.{suffix}").write_text(json.dumps(data))
    calseq("convert", f"a.{suffix}", "-o", "b.yaml")
    calseq("validate", "b.yaml")
    assert "tuning: X" in (tmp_path / "b.yaml").read_text()
    (tmp_path / f"a.{suffix}").write_text('{"calibrations": 5, "titel": "T", "required_instruments": [1]}')
    _, err = calseq("convert", f"a.{suffix}", expect=3)
    assert [err.count(code) for code in ("CS201", "CS202", "CS204")] == [2, 1, 1]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('calibrations = ["iv_curve", f"x{make()}"]', "CS343 2:37"),
        ('calibrations = ["iv_curve", f"x{1}"]', "CS203 2:33"),
        ('calibrations = ["iv_curve", name]', "CS343 2:33"),
        ('calibrations = ["é", make()]', "CS343 2:26"),
        ('calibrations = ["iv_curve"] + MORE', "CS343 2:20"),
        ("calibrations = [x for x in y]", "CS343 2:20"),
        ('calibrations = ["iv_curve", *MORE]', "CS343 2:33"),
        ('calibrations = ["iv_curve", 5]', "CS201 2:33"),
        ('calibrations = "iv_curve"', "CS343 2:20"),
        ("calibrations = []", "CS206 1:1"),
        ('calibrations = ["iv_curv"]', "CS203 2:21"),
        ('calibrations = ["iv_curve --max-voltage -80"]', "CS203 2:21"),
        ('calibrations = ["calibrate_module"]', "CS207 2:21"),
        ('calibrations = ["calibrate_module"]; tuning_step_args = [""]', "CS207 2:62"),
        ('calibrations = ["iv_curve"]; tuning_step_args = ["x"]', "CS208 2:54"),
        ('calibrations = ["custom_calibration"]; tuning_step_args = ["x"]', "CS344 2:64"),
        ('calibrations = ["custom_sequence"]; tuning_step_args = ["x"]', "CS344 2:61"),
        ("calibrations = [\"custom_sequence\"]; tuning_step_args = ['[\"a\", {\"name\": \"b\"}]']", "CS344 2:61"),
        ("calibrations = [\"custom_sequence\"]; tuning_step_args = ['[{\"T\": 1}]']", "CS344 2:61"),
        ("calibrations = [\"custom_sequence\"]; tuning_step_args = ['[{\"name\": \"a\", \"T\": [1]}]']", "CS344 2:61"),
        ('calibrations = ["iv_curve"]; required_instruments = {"hw"}', "CS206 2:58"),
        ('calibrations = ["iv_curve"]; calibrations += ["x"]', "CS343 2:34"),
        ('calibrations = ["iv_curve"]; calibrations = ["x"]', "CS343 2:34"),
        ('calibrations = ["iv_curve"]; FLAGS = ["-x"]', "CS344 2:34"),
        ('calibrations = ["iv_curve"]; TUNING_FLAGS = {}', "CS344 2:34"),
    ],
)  # fmt: skip
def test_what_is_no_list_of_texts_is_told_where_it_stands(body, problem):
    assert told(f"class A(CalibrationSequence):\n    {body}\n    title = 'T'\n") == [problem]


SCRIPT = '''\
import json
from dirigent.sequences import CalibrationSequence

KE = 1000
TITLE = "Night"
ROLES = frozenset({"lv", "hv"})
NAME: str = f"ThresholdAdjustment_{KE}"
TESTS = [{"name": NAME, "TargetThr": 1100}, {"name": "PixelAlive"}]
FIRST = ["iv_curve"]


class NightShift(CalibrationSequence):
    """Overnight tuning"""

    LAST = "crosstalk_method"

    def __init__(self, context):
        tuning = json.dumps(TESTS, sort_keys=True)
        steps = [*FIRST, "custom_sequence"] + [self.LAST]
        super().__init__(context, steps, title=TITLE + "!", tuning_step_args=[tuning], required_instruments=ROLES)
'''


def test_names_given_once_and_what_is_made_of_literals_are_read():
    lists, problems = python(SCRIPT)
    assert problems == []
    text = to_yaml(lists)
    assert 'title: "Night!"' in text
    assert "required_instruments: [lv, hv]" in text
    assert "{TargetThr: 1100, name: ThresholdAdjustment_1000}" in text
    assert "crosstalk_method" in text
    assert lists.passed_over == ()


@pytest.mark.parametrize("made", ["set", "frozenset", "list", "tuple"])
@pytest.mark.parametrize("inner", ['{"lv", "hv"}', '["lv", "hv"]', '("lv", "hv")', '{"lv": 1, "hv": 2}'])
def test_required_instruments_may_be_any_collection_of_roles(made, inner):
    for roles in (inner, f"{made}({inner})"):
        lists, problems = python(
            f'calibrations = ["iv_curve"]\ntitle = "T"\nrequired_instruments = {roles}\n'
        )
        assert problems == []
        assert {text.value for text in lists.required} == {"lv", "hv"}
        assert len(lists.passed_over) == (":" in inner)


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["A", "B"]), st.integers() | st.booleans() | st.text(max_size=9)),
        min_size=1,
        max_size=4,
    )
)
def test_json_dumps_of_a_literal_is_the_json_that_python_writes(tests):
    tests = [{"name": "PixelAlive", **test} for test in tests]
    text = f"import json\nTESTS = {tests!r}\ncalibrations = ['custom_sequence']\ntitle = 'T'\ntuning_step_args = [json.dumps(TESTS)]\n"
    lists, problems = python(text)
    assert problems == []
    assert lists.tunings[0].value == json.dumps(tests)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("calibrations = []\nfor n in (1, 2):\n    calibrations.append('iv_curve')\n", "2:1", "a loop; write the list out"),
        ("calibrations = ['iv_curve']\ncalibrations.append('x')\n", "2:1", "is done to it here; write the list out"),
        ("steps = []\nfor n in (1, 2):\n    steps.append('iv_curve')\ncalibrations = steps\n", "2:1", "on line 2"),
        ("steps = ['a']\nsteps = ['b']\ncalibrations = steps\n", "3:16", "more than once"),
        ("def f(n):\n    return CalibrationSequence(0, [n], 'T')\n", "2:36", "parameter"),
        ("calibrations = [steps]\n", "1:17", "given nowhere in this file"),
        ("a = b\nb = a\ncalibrations = a\n", "3:16", "too much"),
        ("calibrations = [f'{n!r:>9}' for n in x]\n", "1:16", "a comprehension"),
        ("calibrations = json.dumps({1, 2}, default=str)\n", "1:16", "a call"),
        ("calibrations = ['custom_sequence']\ntuning_step_args = [['PixelAlive']]\n", "2:21", "json.dumps"),
    ],
)  # fmt: skip
def test_what_has_to_be_run_is_told_with_its_place_and_what_to_do(text, place, words):
    _, problems = python(text if text.startswith("def") else text + "title = 'T'\n")
    first = problems[0]
    assert f"{first.place.span.line}:{first.place.span.column}" in place.split("|") or not place
    assert words in f"{first.message}; {first.cure}"
    assert first.cure


def test_a_mapping_of_required_instruments_is_understood_in_yaml(calseq, tmp_path):
    (tmp_path / "a.yaml").write_text(
        "calibrations: [iv_curve]\ntitle: T\nrequired_instruments: {lv: TTI, hv: null}\n"
    )
    assert "required_instruments: [lv, hv]" in calseq("convert", "a.yaml")[0]


def test_a_title_that_no_sequence_can_have_is_refused():
    assert told('class A:\n    calibrations = ["iv_curve"]\n    title = "a\\nb"\n') == ["CS344 3:13"]
    assert told('class A:\n    calibrations = ["iv_curve"]\n') == ["CS202 1:1"]
    assert told("class A(CalibrationSequence):\n    pass\n") == ["CS202 1:1", "CS202 1:1"]


def test_arguments_that_are_unpacked_are_not_known():
    assert told("CalibrationSequence(c, *a)\n")[0] == "CS343 1:24"
    text = 'CalibrationSequence(c, **more, title="T", calibrations=["iv_curve"])\n'
    assert told(text) == ["CS343 1:26"]


def test_tunings_may_be_as_many_as_the_calibrations():
    text = 'calibrations = ["iv_curve", "calibrate_module"]\ntitle = "T"\ntuning_step_args = [None, "X"]\n'
    assert "tuning: X" in to_yaml(python(text)[0])


def test_several_classes_are_listed_and_one_is_chosen(calseq, tmp_path):
    (tmp_path / "seq.py").write_text(PANTHERA + PANTHERA.replace("Panthera", "Other"))
    _, err = calseq("convert", "seq.py", expect=3)
    assert "CS345" in err
    assert "choose with --class: Panthera, Other" in err
    assert "title: Other" in calseq("convert", "seq.py", "--class", "Other")[0]
    _, err = calseq("convert", "seq.py", "--class", "Pantera", expect=3)
    assert "did you mean 'Panthera'?" in err


def test_what_is_passed_over_is_said(calseq, tmp_path):
    (tmp_path / "seq.py").write_text(PANTHERA + "    retries = 3\n\n    def setup(self):\n        pass\n")
    out, err = calseq("convert", "seq.py")
    assert err.splitlines() == ["not carried over: line 12", "not carried over: def setup (line 14)"]
    assert out.splitlines()[-2:] == [f"# {line}" for line in err.splitlines()]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("(" * 50_000, "CS1"), ("x = " + "-" * 60_000 + "1", "CS1"), ("x = [" * 3000 + "]" * 3000, "CS1"),
        ("x = 'a' " + "+ 'a'" * 30_000, "CS"), ("def f(:\n", "CS104 1:7"), ("\x00", "CS10"), ("x = '\\d'\n", "CS345"),
        ("", "CS345"), ("calibrations: list\n", "CS345"), ("if True:\n\tx\n        y\n", "CS104"), ("a" * 300_000, "CS109"),
        ("import os\nos.system('touch hacked')\ncalibrations = [__import__('os').system('touch hacked')]\ntitle = 'T'", "CS343 3:17"),
    ],
)  # fmt: skip
def test_a_hostile_file_gives_a_problem_and_runs_nothing(calseq, tmp_path, text, code):
    (tmp_path / "evil.py").write_text(text)
    _, err = calseq("convert", "evil.py", expect=3)
    first = next(line for line in err.splitlines() if line.startswith("error["))
    assert code.partition(" ")[0] in first
    assert code.partition(" ")[2] in err
    assert [path.name for path in tmp_path.iterdir()] == ["evil.py"]


@pytest.mark.parametrize(
    ("step", "extra", "problem"),
    [
        ("{calibration: iv_curve, options: {max_voltage: -80}}", "", "CS344 5:27"),
        ("{calibration: voltage_trimming, args: [a]}", "", "CS344 5:35"),
        ("{calibration: own, type: general}", "", "CS344 5:22"),
        ("{calibration: voltage_trimming, required_instruments: [cb]}", "", "CS344 5:35"),
        ("{calibration: custom_calibration, args: [a]}", "", "CS344 5:37"),
        ("iv_curve", "limits: {hv: -80}", "CS344 3:1"),
    ],
)
def test_what_a_class_cannot_say_is_refused(step, extra, problem):
    text = f"calseq: 1\ntitle: T\n{extra}\nsteps:\n- {step}\n"
    sequence = read_sequence(read_yaml(from_bytes(text.encode(), "f.yaml")), builtin())
    problems: list = []
    class_text(sequence, problems)
    places = [f"{each.code.id} {each.place.span.line}:{each.place.span.column}" for each in problems]
    assert places == [problem]


def test_what_changes_no_measurement_becomes_a_comment(calseq, tmp_path, golden):
    (tmp_path / "a.yaml").write_text(
        "calseq: 1\ntitle: 2nd try\ndescription: 'a \"b\"'\nx-own: 1\ndefaults: {timeout: 1h}\nsteps:\n"
        "  - name: trim\n    calibration: voltage_trimming\n    retries: 2\n    on_failure: continue\n    stop_grace: 1m\n"
    )
    out, err = calseq("convert", "a.yaml")
    golden("convert-class.txt", out + "----\n" + err)
    assert "CS441" in calseq("convert", "a.yaml", "-o", "a.yaml", expect=3)[1]
    assert "CS345" in calseq("convert", "a.yaml", "--to", "yaml", expect=3)[1]
    (tmp_path / "b.py").write_text(PANTHERA)
    assert "CS342" in calseq("convert", "b.py", "--to", "class", expect=3)[1]
    calseq("convert", "b.py", "--to", "x", expect=2)


def test_a_shipped_sequence_is_found_by_its_name(calseq):
    assert "class SLDO(CalibrationSequence):" in calseq("convert", "sldo")[0]
    assert "CS344" in calseq("convert", "panthera", expect=3)[1]
    assert "CS412" in calseq("convert", "panther", expect=3)[1]


@pytest.mark.parametrize(("title", "name"), [("Sensor IV", "SensorIV"), ("2 ke", "Sequence2Ke"), ("é", "Sequence"), ("None", "SequenceNone")])  # fmt: skip
def test_a_class_is_named_after_its_title(title, name):
    assert class_name(title) == name


def test_keys_of_lists_must_be_those_of_the_class():
    document = read_yaml(from_bytes(b"- 1\n", "f.yaml"))
    assert read_lists(document) is None
    assert [problem.code.id for problem in document.problems] == ["CS201"]
