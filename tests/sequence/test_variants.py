"""What a variant makes of its base, how they combine, and what of it a plan and a run folder tell."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import calseq
from calseq.console.planview import plan_text
from calseq.documents.document import from_bytes, open_text
from calseq.documents.yaml_reader import read_yaml
from calseq.planning.loading import read_whole
from calseq.problems.refused import Refused
from calseq.run.run import prepare_run
from calseq.sequence.catalog import builtin
from calseq.sequence.reader import read_sequence
from calseq.sequence.settings import apply_settings
from calseq.sequence.variant import read_variant
from calseq.system.assets import shipped_sequence

BASE = """\
calseq: 1
title: Base
description: of the base
required_instruments: [lv, hv, ab]
limits: {hv: -100}
defaults: {timeout: 2h, retries: 1}
x-base: 1
steps:
  - calibration: iv_curve
    options: {max_voltage: -80, step_size: 5}
    timeout: 45m
  - voltage_trimming
  - name: tune
    calibration: calibrate_module
    tuning: Tuning_1000
"""


def document(text, name):
    return read_yaml(from_bytes(text.encode(), name))


def made(lines, *settings, base=BASE):
    """Read a variant of `base`, no file in sight; give the whole as a document, and the sequence."""
    text = f"calseq: 1\nextends: base.yaml\n{lines}"
    return read_variant(document(text, "v.yaml"), document(base, "base.yaml"), builtin(), settings)


def sound(lines, *settings, base=BASE):
    whole, sequence = made(lines, *settings, base=base)
    assert sequence is not None, whole.problems
    return sequence


def steps(sequence):
    return [(step.name, step.origin) for step in sequence.steps]


def test_a_variant_that_changes_nothing_is_its_base():
    base = read_sequence(document(BASE, "base.yaml"), builtin())
    same = sound("")
    assert (same.title, same.description, same.required) == (base.title, base.description, base.required)
    assert [step.words for step in same.steps] == [step.words for step in base.steps]
    assert [step.policies for step in same.steps] == [step.policies for step in base.steps]
    assert {step.origin for step in same.steps} == {"base"}
    assert {step.origin for step in base.steps} == {None}


def test_title_description_and_required_instruments_are_the_variants_where_it_has_them():
    own = sound("title: Own\nrequired_instruments: [hv]\n")
    assert (own.title, own.description, sorted(own.required)) == ("Own", "of the base", ["hv"])
    assert sound("description: mine\n").description == "mine"


def test_defaults_are_merged_key_by_key_and_hold_for_the_steps_of_the_base():
    whole = sound("defaults: {timeout: 50m, on_failure: continue}\n")
    policies = [
        (step.policies.timeout_s, step.policies.retries, step.policies.on_failure) for step in whole.steps
    ]
    assert policies == [(2700, 1, "continue"), (3000, 1, "continue"), (3000, 1, "continue")]


@pytest.mark.parametrize(
    ("own", "base", "expected"),
    [
        ("-60", "-100", -60),
        ("-350", "-100", -100),
        ("50", "-100", 50),
        ("-90", None, -90),
        (None, "-100", -100),
    ],
)
def test_of_two_limits_the_stricter_holds(own, base, expected):
    text = BASE.replace("limits: {hv: -100}\n", f"limits: {{hv: {base}}}\n" if base else "")
    whole, _ = made(f"limits: {{hv: {own}}}\n" if own else "", base=text)
    assert whole.data["limits"] == {"hv": expected}


def test_keys_of_the_authors_own_use_stay_in_their_files():
    whole, _ = made("x-mine: 1\n")
    assert not [key for key in whole.data if key.startswith("x-")]


def test_a_change_merges_options_one_by_one_and_replaces_everything_else():
    whole = sound(
        "change:\n  iv_curve: {options: {step_size: 2, plot: true}, retries: 3}\n  tune: {tuning: T2, args: [-x]}\n"
    )
    curve, trimming, tune = whole.steps
    assert curve.words == ("--max-voltage", "-80", "--step-size", "2", "--plot", "-w")
    assert (curve.policies.retries, curve.policies.timeout_s) == (3, 2700)
    assert tune.words == ("-x", "-t", "T2")
    assert steps(whole) == [("iv_curve", "changed"), ("voltage_trimming", "base"), ("tune", "changed")]
    assert trimming.policies.retries == 1


def test_set_means_what_it_means_on_the_command_line():
    whole = sound("set: {iv_curve.max_voltage: -60, iv_curve.plot: true}\n")
    plain = document(BASE, "base.yaml")
    apply_settings(plain, ["iv_curve.max_voltage=-60", "iv_curve.plot=true"])
    assert whole.steps[0].words == read_sequence(plain, builtin()).steps[0].words
    assert whole.steps[0].sweep_end_v == -60


def test_a_setting_of_the_command_line_comes_on_top():
    whole = sound("set: {iv_curve.max_voltage: -60}\n", "iv_curve.max_voltage=-70")
    assert whole.steps[0].sweep_end_v == -70
    assert whole.steps[0].sweep_place.source.name == "--set"


def test_steps_are_inserted_beside_those_of_the_base_and_in_the_place_of_a_dropped_one():
    whole = sound("""\
insert:
  - {after: iv_curve, steps: [get_module_info, {name: more, calibration: get_module_info}]}
  - {after: iv_curve, steps: [{name: last, calibration: get_module_info}]}
  - {before: iv_curve, steps: [sldo_vi_curves]}
  - before: tune
    steps: [{name: fine, calibration: custom_sequence, tuning: [PixelAlive]}]
drop: [tune]
""")
    assert steps(whole) == [
        ("sldo_vi_curves", "inserted"), ("iv_curve", "base"), ("get_module_info", "inserted"), ("more", "inserted"),
        ("last", "inserted"), ("voltage_trimming", "base"), ("fine", "inserted"),
    ]  # fmt: skip
    assert [step.number for step in whole.steps] == [1, 2, 3, 4, 5, 6, 7]


def test_a_dropped_step_may_be_inserted_again_by_its_name():
    whole = sound("drop: [voltage_trimming]\ninsert: [{after: tune, steps: [voltage_trimming]}]\n")
    assert steps(whole) == [("iv_curve", "base"), ("tune", "base"), ("voltage_trimming", "inserted")]


def test_a_step_that_an_alias_shows_twice_is_changed_once():
    base = BASE.replace("  - voltage_trimming\n", "  - {name: a, calibration: get_module_info, options: &o {overwrite_efuse: 0}}\n  - {name: b, calibration: get_module_info, options: *o}\n")  # fmt: skip
    whole = sound(
        "set: {a.overwrite_efuse: 1}\nchange: {b: {options: {overwrite_parameters: 1}}}\n", base=base
    )
    assert [step.words for step in whole.steps[1:3]] == [("-e", "1"), ("-e", "0", "-r", "1")]


def test_every_place_is_in_the_file_it_came_from():
    whole, sequence = made(
        "set: {iv_curve.max_voltage: -60}\ninsert:\n  - after: tune\n    steps:\n      - get_module_info\n"
    )
    where = [(step.place.source.name, step.place.span.line) for step in sequence.steps]
    assert where == [("base.yaml", 9), ("base.yaml", 12), ("base.yaml", 14), ("v.yaml", 7)]
    assert (sequence.steps[0].sweep_place.source.name, sequence.steps[0].sweep_place.span.line) == (
        "v.yaml",
        3,
    )
    assert whole.place(("steps", 0, "options", "step_size")).source.name == "base.yaml"


def test_all_mistakes_of_a_variant_are_told_at_once():
    whole, sequence = made("""\
set: {iv_curve.max_voltag: -60, tun.x: 1}
change: {tune: {retires: 2, tuning: 5}, voltage_trimming: {timeout: 5}}
insert: [{after: tune, steps: [{calibration: get_module_info, options: {x: 1}}, iv_curv]}]
drop: [tunes]
colour: red
""")
    assert sequence is None
    told = sorted((problem.place.span.line, problem.code.id) for problem in whole.problems)
    assert told == [
        (3, "CS205"), (3, "CS307"), (4, "CS201"), (4, "CS204"), (4, "CS209"), (5, "CS203"), (5, "CS205"),
        (6, "CS307"), (7, "CS204"),
    ]  # fmt: skip


def test_what_a_base_is_warned_of_alone_stays_with_the_base():
    base = BASE.replace(
        "  - calibration: iv_curve\n    options: {max_voltage: -80, step_size: 5}\n    timeout: 45m\n", ""
    )
    whole, sequence = made("", base=base)
    [warning] = sequence.warnings
    assert (warning.code.id, warning.place.source.name, warning.within) == (
        "CS302",
        "base.yaml",
        "step 2, tune",
    )
    assert whole.base.problems == []
    curve = "insert: [{before: tune, steps: [{calibration: iv_curve, options: {max_voltage: -80}}]}]\n"
    assert sound(curve, base=base).warnings == ()


def test_without_its_base_a_variant_is_refused_in_words():
    variant = document("calseq: 1\nextends: base.yaml\n", "v.yaml")
    assert read_sequence(variant, builtin()) is None
    assert [problem.code.id for problem in variant.problems] == ["CS360"]


# --- files, plans and runs ---


@pytest.fixture
def site(tmp_path):
    (tmp_path / "base.yaml").write_text(BASE.replace(", ab]", "]"))
    (tmp_path / "own.yaml").write_text(
        "calseq: 1\nextends: base.yaml\ntitle: Own\nchange: {tune: {retries: 0}}\n"
        "insert: [{after: iv_curve, steps: [get_module_info]}]\n"
    )
    return tmp_path


def plan_of(path, **more):
    bench = calseq.load_bench(simulate=True, speed=20_000)
    return calseq.compile_plan(calseq.load(path, bench=bench, **more), bench)


def run(folder, *words, expect=0):
    environ = {**os.environ, "NO_COLOR": "1", "PYTHONUTF8": "1", "COLUMNS": "120"}
    done = subprocess.run(
        [sys.executable, "-m", "calseq", *words], cwd=folder, env=environ, capture_output=True, text=True
    )
    assert done.returncode == expect, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def test_a_plan_tells_where_each_step_came_from(site):
    plan = plan_of(site / "own.yaml")
    assert [step.origin for step in plan.steps] == ["base", "inserted", "base", "changed"]
    text = plan_text(plan, 100, verbose=False, color=False, ascii=False)
    assert "variant of base.yaml" in text
    [heading] = [line for line in text.splitlines() if line.startswith("HV LV")]
    assert heading.split()[-1] == "from"
    told = [
        line.split()[-1] for line in text.splitlines() if line.split()[2:3] in (["1"], ["2"], ["3"], ["4"])
    ]
    assert told == ["base", "inserted", "base", "changed"]


def test_a_plan_of_no_variant_says_nothing_of_that(site):
    text = plan_text(plan_of(site / "base.yaml"), 100, verbose=False, color=False, ascii=False)
    assert "variant" not in text
    assert " from" not in text


def test_a_plan_names_both_files_and_a_run_copies_both(site):
    plan = plan_of(site / "own.yaml")
    files = {file.kind: Path(file.path).name for file in plan.inputs}
    assert (files["sequence"], files["base"]) == ("own.yaml", "base.yaml")
    begun = prepare_run(plan, site / "runs")
    begun.lock.release()
    for name in ("sequence-own.yaml", "base-base.yaml"):
        assert (begun.folder / "inputs" / name).read_bytes() == (site / name.partition("-")[2]).read_bytes()


@pytest.mark.parametrize("name", ["own.yaml", "base.yaml"])
def test_a_file_that_changes_after_the_plan_refuses_the_run(site, name):
    plan = plan_of(site / "own.yaml")
    (site / name).write_text((site / name).read_text() + "# later\n")
    with pytest.raises(Refused, match="CS417"):
        prepare_run(plan, site / "runs")
    assert list((site / "runs").iterdir()) == []


def test_another_base_is_another_plan(site):
    before = plan_of(site / "own.yaml").digest()
    (site / "base.yaml").write_text((site / "base.yaml").read_text().replace("-80", "-70"))
    assert plan_of(site / "own.yaml").digest() != before


def test_the_shipped_variants_are_panthera_with_another_end_of_the_curve():
    for name, end_v in (("panthera-3d", -80), ("panthera-planar", -350)):
        variant, same = calseq.load(name), calseq.load("panthera", settings=[f"iv_curve.max_voltage={end_v}"])
        assert [step.words for step in variant.steps] == [step.words for step in same.steps]
        assert variant.document.data["limits"] == {"hv": end_v}
        assert shipped_sequence(name).name == f"{name}.yaml"


def test_the_shipped_limit_refuses_a_setting_beyond_it(tmp_path):
    told = run(tmp_path, "plan", "panthera-3d", "--simulate", "--set", "iv_curve.max_voltage=-350", expect=3)
    assert "CS419" in told
    assert "--set:1:22" in told


def test_a_shipped_variant_runs_by_its_name(tmp_path):
    told = run(tmp_path, "execute", "panthera-3d", "--simulate", "--speed", "20000")
    assert "Panthera 3D" in told
    [folder] = (tmp_path / "runs").iterdir()
    assert {"sequence-panthera-3d.yaml", "base-panthera.yaml"} < {
        path.name for path in (folder / "inputs").iterdir()
    }
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert sum(event["event"] == "step-ended" for event in events) == 5


def test_validate_counts_a_base_once_however_it_is_given(site):
    for words in (["own.yaml"], ["base.yaml", "own.yaml"], ["own.yaml", "base.yaml"], ["."]):
        assert run(site, "validate", *words) == "no problems in 2 files\n"


def test_validate_tells_the_mistake_of_a_base_in_the_base_and_once(site):
    (site / "base.yaml").write_text(BASE.replace("max_voltage", "max_voltag"))
    for words in (["own.yaml"], ["."]):
        told = run(site, "validate", *words, expect=1)
        assert told.count("CS205") == 1
        assert "base.yaml:10:15" in told


def test_a_base_is_found_from_where_the_variant_is_and_shown_from_where_one_stands(site):
    below = site / "below"
    below.mkdir()
    (below / "v.yaml").write_text("calseq: 1\nextends: ../base.yaml\nset: {iv_curv.x: 1}\n")
    assert "base.yaml has no step 'iv_curv'" in run(site, "validate", "below/v.yaml", expect=1)
    (site / "base.yaml").write_text("calseq: [")
    assert "below/../base.yaml:1:10: CS104" in run(site, "validate", "below/v.yaml", expect=1)


def test_python_loads_a_variant_and_refuses_with_what_is_wrong_with_its_base(site):
    assert calseq.load(site / "own.yaml").title == "Own"
    (site / "base.yaml").write_text(BASE.replace("calibration: iv_curve", "calibration: iv_curv"))
    with pytest.raises(calseq.InvalidCalibration) as refused:
        calseq.load(site / "own.yaml")
    assert [Path(problem.place.source.name).name for problem in refused.value.problems] == ["base.yaml"]


def test_any_edit_of_a_variant_is_only_problems(site):
    text = (
        site / "own.yaml"
    ).read_text() + "set: {iv_curve.plot: true}\ndrop: [voltage_trimming]\nlimits: {hv: -90}\n"
    for start in range(len(text)):
        for edited in (
            text[:start] + text[start + 1 :],
            text[:start] + "[" + text[start:],
            text[:start] + "x" + text[start:],
        ):
            variant = read_yaml(from_bytes(edited.encode(), "own.yaml"))
            variant.path = str(site / "own.yaml")
            documents, sequence = read_whole(variant, builtin())
            problems = [problem for each in documents for problem in each.problems]
            assert (sequence is None) == any(problem.is_error for problem in problems)
            assert all(problem.place for problem in problems)


def test_a_base_in_a_file_that_says_nothing_is_refused_in_the_base(site):
    (site / "base.yaml").write_text("")
    documents, sequence = read_whole(read_yaml(open_text(site / "own.yaml")), builtin())
    assert sequence is None
    assert [problem.code.id for each in documents for problem in each.problems] == ["CS110"]
