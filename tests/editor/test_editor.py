"""An editor with nothing but the schema: what it completes, says on hovering, and marks.

Runs with CALSEQ_EDITOR=1: yaml-language-server is installed with npm into a temporary folder.
"""

import os
import re

import pytest
from editor_agreement import IN_THE_SCHEMA, SEQUENCES, VARIANTS, agreement
from language_server import VERSIONS, NoServer, installed, serving

from calseq.sequence.catalog import builtin
from calseq.system.assets import schemas, shipped_sequences

pytestmark = pytest.mark.skipif(
    not os.environ.get("CALSEQ_EDITOR"), reason="CALSEQ_EDITOR=1 installs yaml-language-server with npm"
)

CALIBRATIONS = builtin().calibrations
HELP = {name: calibration.summary for name, calibration in CALIBRATIONS.items()}
HEAD = "calseq: 1\ntitle: T\nsteps:\n"
VARIANT = "calseq: 1\nextends: panthera\n"
STEP_KEYS = {"name", "type", "options", "args", "tuning", "required_instruments", "timeout", "retries", "on_failure", "stop_grace"}  # fmt: skip
POLICIES = {"timeout", "retries", "on_failure", "stop_grace"}
TOP = {"title", "description", "required_instruments", "limits", "defaults"}


@pytest.fixture(scope="module", params=VERSIONS)
def server(request, tmp_path_factory):
    try:
        command = installed(tmp_path_factory.mktemp("npm"), request.param)
    except NoServer as missing:
        pytest.skip(str(missing))
    with serving(command, schemas() / "sequence.schema.json") as started:
        yield started


def plain(text):
    """Give Markdown as it is seen."""
    return re.sub(r"\\([^\w\s])", r"\1", text)


@pytest.mark.parametrize(
    "before",
    [
        HEAD + "  - ",
        HEAD + "  - calibration: ",
        HEAD + "  - name: x\n    calibration: ",
        VARIANT + "insert:\n  - after: iv_curve\n    steps:\n      - ",
        VARIANT + "insert:\n  - after: iv_curve\n    steps:\n      - calibration: ",
    ],
)
def test_every_calibration_is_completed_with_its_line_of_help(server, before):
    offered = server.completions(before + "|\n")
    assert {name: plain(offered.get(name, "")) for name in HELP} == HELP


@pytest.mark.parametrize("name", sorted(CALIBRATIONS))
@pytest.mark.parametrize("inserted", [False, True])
def test_the_options_of_a_calibration_and_no_others_are_completed_and_documented(server, name, inserted):
    lines = [f"- calibration: {name}", "  options:", "    |"]
    before, indent = (VARIANT + "insert:\n  - after: x\n    steps:\n", "      ") if inserted else (HEAD, "  ")
    offered = server.completions(before + "".join(f"{indent}{line}\n" for line in lines))
    options = CALIBRATIONS[name].options
    assert set(offered) == set(options)
    assert all(options[each].description in plain(said) for each, said in offered.items())


def test_the_keys_of_a_step_are_completed_and_no_other_calibration_inside_of_it(server):
    assert set(server.completions(HEAD + "  - calibration: iv_curve\n    |\n")) == STEP_KEYS


def test_the_keys_of_a_sequence_and_those_of_a_variant_are_completed_apart(server):
    plain_keys = set(server.completions("calseq: 1\n|\n"))
    assert {*TOP, "steps", "extends"} <= plain_keys
    assert not {"set", "change", "insert", "drop"} & plain_keys
    keys = set(server.completions(VARIANT + "|\n"))
    assert keys >= {*TOP, "set", "change", "insert", "drop"}
    assert "steps" not in keys


def test_a_variant_is_helped_with_the_options_of_steps_that_have_their_calibrations_name(server):
    settings = {f"{name}.{option}" for name, each in CALIBRATIONS.items() for option in each.options}
    assert settings <= set(server.completions(VARIANT + "set:\n  |\n"))
    assert set(CALIBRATIONS) <= set(server.completions(VARIANT + "change:\n  |\n"))
    keys = set(server.completions(VARIANT + "change:\n  tune_1000:\n    |\n"))
    assert keys == {"options", "args", "tuning", "required_instruments", *POLICIES}
    offered = server.completions(VARIANT + "change:\n  iv_curve:\n    options:\n      |\n")
    assert set(offered) == set(CALIBRATIONS["iv_curve"].options)
    assert {"before", "after", "steps"} <= set(server.completions(VARIANT + "insert:\n  - |\n"))


def test_values_that_are_one_of_a_few_are_completed_with_what_they_mean(server):
    offered = server.completions(HEAD + "  - calibration: iv_curve\n    on_failure: |\n")
    assert set(offered) == {"stop", "continue"}
    assert all(offered.values())
    assert server.completions("calseq: 1\nrequired_instruments: [|]\n")["hb"] == "HV box"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cal|seq: 1\n", "version of this file's format"),
        ("title|: T\n", "name of the sequence, as the database shows it"),
        ("requ|ired_instruments: [lv]\n", "roles that the bench must have"),
        ("required_instruments: [l|v]\n", "low voltage"),
        ("lim|its: {hv: -80}\n", "what no voltage of this sequence may exceed"),
        ("limits: {h|v: -80}\n", "limit of the high voltage in volts"),
        ("defaults:\n  time|out: 2h\n", "longest time a step may take"),
        (HEAD.replace("steps", "st|eps") + "  - iv_curve\n", "in the order in which they run"),
        (HEAD + "  - iv_cu|rve\n", HELP["iv_curve"]),
        (HEAD + "  - cali|bration: iv_curve\n", "the dirigent calibration to run"),
        (HEAD + "  - calibration: iv_cu|rve\n", HELP["iv_curve"]),
        (HEAD + "  - calibration: iv_curve\n    na|me: x\n", "unique in the file"),
        (HEAD + "  - calibration: iv_curve\n    opt|ions: {}\n", "long options"),
        (HEAD + "  - calibration: iv_curve\n    options: {max_vol|tage: -80}\n", "last voltage of the sweep"),
        (HEAD + "  - calibration: iv_curve\n    ar|gs: []\n", "further arguments"),
        (HEAD + "  - calibration: calibrate_module\n    tun|ing: T\n", "what a tuning calibration is to do"),
        (HEAD + "  - calibration: iv_curve\n    re|tries: 1\n", "how often a step that did not pass is tried again"),
        (HEAD + "  - calibration: iv_curve\n    on_failure: cont|inue\n", "go on with the next step"),
        (HEAD + "  - calibration: iv_curve\n    stop_|grace: 2m\n", "time a child has to ramp down"),
        ("calseq: 1\next|ends: panthera\n", "makes this a variant"),
        (VARIANT + "se|t: {iv_curve.plot: true}\n", "options of the base's steps"),
        (VARIANT + "set: {iv_curve.pl|ot: true}\n", "draw the curve"),
        (VARIANT + "cha|nge: {}\n", "steps of the base that change"),
        (VARIANT + "change:\n  iv_c|urve:\n    retries: 1\n", HELP["iv_curve"]),
        (VARIANT + "change:\n  tune:\n    ret|ries: 1\n", "how often a step"),
        (VARIANT + "change:\n  iv_curve:\n    options: {pl|ot: true}\n", "draw the curve"),
        (VARIANT + "ins|ert: []\n", "before or after a step of the base"),
        (VARIANT + "insert:\n  - aft|er: x\n", "after which they come"),
        (VARIANT + "insert:\n  - bef|ore: x\n", "before which they come"),
        (VARIANT + "insert:\n  - after: x\n    ste|ps: [iv_curve]\n", "the steps to insert"),
        (VARIANT + "dr|op: [x]\n", "left out"),
    ],
)  # fmt: skip
def test_everything_is_explained_on_hovering(server, text, said):
    assert said in plain(server.hover(text))


@pytest.mark.parametrize("path", shipped_sequences(), ids=lambda path: path.stem)
def test_a_shipped_sequence_names_its_schema_and_nothing_is_marked_in_it(server, path):
    assert server.problems(path.read_text(), path) == []


@pytest.mark.parametrize("corpus", [SEQUENCES, VARIANTS], ids=["sequences", "variants"])
def test_the_line_of_calseq_is_marked_wherever_a_schema_can_say_it(server, corpus):
    found = agreement(server, corpus)
    assert found.files[IN_THE_SCHEMA] >= 15
    assert found.share([IN_THE_SCHEMA]) >= 0.95, found.others
