"""The plan: complete and exact, with everything refused that can be known before a run."""

import copy
import json
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from input_texts import BENCH, BENCHES, HEAD, INSTRUMENTS, SHIPPED, bench_in, sequence_of, sound_bench
from msgspec.structs import replace

from calseq.bench.bench import read_bench
from calseq.model.plan import DIRECTORY, Plan, PowerMode, Step, from_json, to_json
from calseq.model.rails import BIASED, BOTH_OFF, POWERED, RAIL_RULES, SUPPLIES, Role, StepType
from calseq.planning.compiler import compile_plan
from calseq.problems.refused import in_order
from calseq.sequence.catalog import builtin

GOLDEN = Path(__file__).parent / "golden"
PLANAR = "iv_curve.max_voltage=-350"


def planned(text, bench, *options):
    sequence, problems = sequence_of(text, *options, catalog=bench.catalog)
    assert sequence is not None, problems
    return compile_plan(sequence, bench)


def shipped(path, bench_path, mode):
    bench = replace(read_bench(bench_path).bench, mode=PowerMode(mode))
    is_planar = (
        bench_path.parent.name == "quads"
        and "iv_curve" in path.read_text()
        and "extends" not in path.read_text()
    )
    return planned(path.read_text(), bench, *([PLANAR] if is_planar else []))


def shown(plan):
    """Write a plan for review: rails, roles and the argv, a word that is long on a line of its own."""
    for step in plan.steps:
        yield f"{step.id}: {step.type}, LV {step.before.lv} HV {step.before.hv} -> LV {step.after.lv} HV {step.after.hv}"
        yield f"  needs {' '.join(step.needs)}; given {' '.join(step.given) or 'nothing'}"
        for word in step.argv:
            yield "    " + {
                sys.executable: "PYTHON",
                str(plan.environment.cwd) + "/dirigent.toml": "CONFIG",
            }.get(word, word)
    for warning in plan.warnings:
        yield f"warning: {warning}"


def fits(path, bench):
    """A variant for one kind of sensor has a limit that refuses a bench for the other."""
    return (path.stem, bench.parent.name) != ("panthera-3d", "quads")


@pytest.mark.parametrize("mode", list(PowerMode))
@pytest.mark.parametrize(
    ("path", "bench"),
    [(path, bench) for path in SHIPPED for bench in BENCHES if fits(path, bench)],
    ids=lambda path: path.parent.name if path.stem == "bench" else path.stem,
)
def test_the_commands_of_a_shipped_sequence_are_exact(path, bench, mode, golden):
    compilation = shipped(path, bench, mode)
    golden(GOLDEN / f"{path.stem}-{bench.parent.name}-{mode}.txt", "\n".join(shown(compilation.plan)) + "\n")
    for step in compilation.plan.steps:
        check(step, mode)
    assert from_json(to_json(compilation.plan)) == compilation.plan
    assert compilation.plan.digest() == shipped(path, bench, mode).plan.digest()


def test_a_variant_for_3d_sensors_is_refused_on_a_bench_for_planar_ones():
    [path] = [path for path in SHIPPED if path.stem == "panthera-3d"]
    [bench] = [bench for bench in BENCHES if not fits(path, bench)]
    assert {problem.code.id for problem in shipped(path, bench, "icicle").problems} == {"CS415", "CS419"}


def check(step, mode):
    argv = list(step.argv)
    channels = json.loads(argv[argv.index("--channels-dict") + 1])
    instruments = json.loads(argv[argv.index("--instruments-dict") + 1])
    assert {role for wires in channels.values() for role in wires} <= {str(role) for role in step.given}
    assert set(instruments) == {wire["instrument"] for wires in channels.values() for wire in wires.values()}
    assert argv[argv.index("--directory") + 1] == DIRECTORY
    assert argv.index("--directory") < argv.index(step.calibration)
    rule = RAIL_RULES[step.type]
    if mode == PowerMode.DIRIGENT:
        assert step.given == step.needs
        assert set(step.given) >= rule.driven | rule.powered
    else:
        assert set(step.given) & SUPPLIES == rule.driven


@pytest.mark.parametrize(
    ("type_", "before", "given"),
    [
        (StepType.GENERAL, POWERED, set()),
        (StepType.SLDO, BOTH_OFF, {Role.LV}),
        (StepType.IVCURVE, BOTH_OFF, {Role.LV, Role.HV}),
        (StepType.TUNING, BIASED, set()),
        (StepType.OPENBUMPS, BIASED, set()),
    ],
)
def test_a_type_decides_the_rails_and_what_the_child_may_drive(tmp_path, type_, before, given):
    more = ", args: [x]" if type_ is StepType.TUNING else ""
    step = f"steps: [{{calibration: own, type: {type_}{more}, required_instruments: [ab]}}]\n"
    [compiled] = planned(HEAD + step, sound_bench(tmp_path)).plan.steps
    assert compiled.before == before
    assert set(compiled.given) == given | {Role.AB}
    assert Role.LV in compiled.needs


def words(tmp_path, step):
    plan = planned(HEAD + f"steps:\n  - {step}\n", sound_bench(tmp_path)).plan
    argv = plan.steps[0].argv
    return list(argv[argv.index(DIRECTORY) + 2 :])


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("{calibration: iv_curve, options: {max_voltage: -80, plot: true, both_ways: false}}",
         ["--max-voltage", "-80", "--plot", "-w"]),
        ("{calibration: iv_curve, options: {max_voltage: -1.5e1, delay: 0}}",
         ["--max-voltage", "-15.0", "--delay", "0", "-w"]),
        ("{calibration: get_module_info, options: {overwrite_efuse: 1.0}}", ["-e", "1"]),
        ("{calibration: own, type: general, options: {a_b: [1, x], c: true, d: false, e: [true]}}",
         ["--a-b", "1", "--a-b", "x", "--c", "--e"]),
        ("{calibration: own, type: general, args: ['--x y', '$HOME', '{directory}', 5, -2.5]}",
         ["--x y", "$HOME", "{directory}", "5", "-2.5"]),
        ("{calibration: calibrate_module, tuning: Tuning_1000}", ["-t", "Tuning_1000"]),
        ("{calibration: calibrate_module, tuning: '1000'}", ["-t", "1000"]),
        ("{calibration: custom_sequence, tuning: [a, b]}", ["-s", '["a", "b"]']),
        ("{calibration: custom_sequence, tuning: [a, {name: b, T: 5, x: false}]}",
         ["-s", '[{"name": "a"}, {"name": "b", "T": 5, "x": false}]']),
        ("{calibration: custom_calibration, args: [-q, µ]}", ["-q", "µ"]),
    ],
)  # fmt: skip
def test_options_args_and_tunings_are_written_as_dirigent_reads_them(tmp_path, step, expected):
    assert words(tmp_path, step) == expected


def test_only_the_result_directory_is_filled_in_later(tmp_path):
    plan = planned(
        HEAD + "steps: [{calibration: own, type: general, args: ['{directory}']}]\n", sound_bench(tmp_path)
    ).plan
    command = plan.steps[0].command("/data")
    assert command.count("/data") == 1
    assert command[-1] == "{directory}"


def refused(tmp_path, text, bench=BENCH, instruments=INSTRUMENTS, **files):
    compilation = planned(text, sound_bench(tmp_path, bench, instruments, **files))
    errors = [problem for problem in compilation.problems if problem.is_error]
    assert (compilation.plan is None) == bool(errors)
    return [(problem.code.id, problem.place.span.line) for problem in compilation.problems]


def without(*roles):
    data = json.loads(json.dumps(INSTRUMENTS))
    for role in roles:
        del data["channels"]["0"][role]
    return data


BIAS = "  - {name: bumps, calibration: crosstalk_method}\n"


def curve(end, name="iv_curve"):
    return f"  - {{name: {name}, calibration: iv_curve, options: {{max_voltage: {end}}}}}\n"


def test_a_missing_role_is_told_once_at_its_first_demand(tmp_path):
    steps = "steps:\n  - sldo_vi_curves\n" + curve(-80) + BIAS
    assert refused(tmp_path, HEAD + steps, instruments=without("ab")) == [("CS401", 4)]
    assert refused(tmp_path, HEAD + steps, instruments=without("ab", "hv")) == [("CS401", 5), ("CS401", 4)]
    required = HEAD + "required_instruments: [lv, cb, ab]\n" + steps
    assert refused(tmp_path, required, instruments=without("ab")) == [("CS401", 3), ("CS401", 3)]


def test_a_supply_that_one_module_lacks_is_missing(tmp_path):
    data = without()
    data["channels"]["1"] = {"lv": {"instrument": "lv_1", "channel": 1}}
    assert refused(tmp_path, HEAD + "steps:\n" + curve(-80), instruments=data) == [("CS401", 4)]


def with_hv(**values):
    data = without()
    data["instruments"]["hv_1"].update(values)
    return data


@pytest.mark.parametrize(
    ("steps", "instruments", "expected"),
    [
        (curve(-80) + BIAS, INSTRUMENTS, []),
        (curve(-50) + BIAS, INSTRUMENTS, [("CS415", 4)]),
        (curve(-50.1) + BIAS, INSTRUMENTS, []),
        (curve("-80, step_size: 40") + BIAS, INSTRUMENTS, [("CS415", 4)]),
        (curve("-80, step_size: 30") + BIAS, INSTRUMENTS, []),
        (curve("-80, step_size: 5000"), INSTRUMENTS, [("CS430", 4)]),
        (curve("-80, delay: 36000"), INSTRUMENTS, [("CS430", 4)]),
        (curve(-49) + BIAS, INSTRUMENTS, [("CS415", 4)]),
        (curve(80) + BIAS, INSTRUMENTS, [("CS420", 4)]),
        (curve("-80, positive: true") + BIAS, INSTRUMENTS, [("CS420", 4)]),
        (curve("-80, start_voltage: 80") + BIAS, INSTRUMENTS, [("CS420", 4)]),
        (curve(-20), INSTRUMENTS, []),
        (curve(-20, "short") + curve(-80) + BIAS, INSTRUMENTS, []),
        (curve(-80) + BIAS + curve(-20, "short"), INSTRUMENTS, []),
        (curve(-90) + BIAS, with_hv(default_range=-80), [("CS410", 4)]),
        (curve(-80) + BIAS, with_hv(default_voltage=0), [("CS404", 12)]),
        (curve(-80) + BIAS, with_hv(default_voltage=50), [("CS404", 12)]),
        (curve(-80), with_hv(default_voltage=0), []),
        ("  - iv_curve\n" + BIAS, INSTRUMENTS, [("CS308", 4)]),
        ("  - {calibration: iv_curve, options: {max_voltage: -80}, args: [-t, 20]}\n" + BIAS, INSTRUMENTS, [("CS308", 4)]),
        ("  - iv_curve\n", INSTRUMENTS, []),
    ],
)  # fmt: skip
def test_what_would_keep_the_bias_off_is_known_before_the_run(tmp_path, steps, instruments, expected):
    assert sorted(refused(tmp_path, HEAD + "steps:\n" + steps, instruments=instruments)) == sorted(expected)


def test_where_the_file_alone_decides_the_curve_need_not_go_a_step_beyond(tmp_path):
    bench = BENCH + "bias: {witnesses: breakdowns}\n"
    assert refused(tmp_path, HEAD + "steps:\n" + curve(-50) + BIAS, bench) == []
    assert refused(tmp_path, HEAD + "steps:\n" + curve(-49) + BIAS, bench) == [("CS415", 4)]


def test_a_bias_for_a_module_without_a_sensor_is_told(tmp_path):
    modules = '{"Hybrid": {"0": {"RD53B": {"info": {"module_name": "C2", "sensor": false}, "0": {}}}}}'
    bench = BENCH + "modules: modules.json\n"
    line = bench.splitlines().index("modules: modules.json") + 1
    text = HEAD + "steps:\n" + curve(-80)
    assert refused(tmp_path, text + BIAS, bench, modules_json=modules) == [("CS431", line)]
    assert refused(tmp_path, text, bench, modules_json=modules) == []


def test_dirigent_toml_tells_how_far_a_curve_goes_when_the_step_does_not(tmp_path):
    bench = BENCH + "dirigent: {config: dirigent.toml}\n"
    text = HEAD + "steps:\n  - iv_curve\n" + BIAS
    assert refused(tmp_path, text, bench, dirigent_toml="[iv_curve]\nmax_voltage = -80\n") == []
    assert refused(tmp_path, text, bench, dirigent_toml="[iv_curve]\nmax_voltage = -30\n") == [("CS415", 4)]
    assert refused(
        tmp_path, text, bench, dirigent_toml="[iv_curve]\nmax_voltage = -80\npositive = true\n"
    ) == [("CS420", 4)]


def test_a_sweep_that_a_setting_shortens_is_told_inside_the_setting(tmp_path):
    sequence, _ = sequence_of(HEAD + "steps:\n" + curve(-80) + BIAS, "iv_curve.max_voltage=-20")
    [problem] = compile_plan(sequence, sound_bench(tmp_path)).problems
    assert (problem.code.id, problem.place.source.name, problem.place.span.column) == ("CS415", "--set", 22)


def test_policies_and_outputs_of_a_step_reach_the_plan(tmp_path):
    step = "{calibration: iv_curve, options: {max_voltage: -80}, timeout: 5m, retries: 2, on_failure: continue, stop_grace: 60s}"
    [made] = planned(HEAD + f"steps:\n  - {step}\n", sound_bench(tmp_path)).plan.steps
    assert (made.timeout_s, made.retries, made.on_failure, made.stop_grace_s) == (300, 2, "continue", 60)
    assert [output.pattern for output in made.outputs] == ["*.csv", "breakdowns.json"]
    assert (made.line, made.usual_s, made.sweep_end_v) == (4, 180, -80)


def test_the_digest_tells_any_change_of_what_will_be_done(tmp_path):
    bench = sound_bench(tmp_path)
    digests = {
        planned(HEAD + "steps:\n" + curve(end), bench).plan.digest() for end in (-80, -81, "-80, plot: true")
    }
    assert len(digests) == 3


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8)
STEPS = st.builds(
    Step,
    number=st.integers(1, 1000),
    name=TEXT,
    calibration=TEXT,
    type=st.sampled_from(StepType),
    summary=TEXT,
    argv=st.lists(TEXT, max_size=4).map(tuple),
    before=st.sampled_from([BOTH_OFF, POWERED, BIASED]),
    after=st.sampled_from([BOTH_OFF, POWERED, BIASED]),
    given=st.lists(st.sampled_from(Role), max_size=3).map(tuple),
    needs=st.lists(st.sampled_from(Role), max_size=3).map(tuple),
    timeout_s=st.none() | st.floats(0, 1e6),
    retries=st.integers(0, 5),
    sweep_end_v=st.none() | st.floats(-1000, 1000),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(STEPS, max_size=3))
def test_a_plan_survives_json(steps):
    base = shipped(SHIPPED[0], BENCHES[0], "simulated").plan
    plan: Plan = replace(base, steps=tuple(steps))
    assert from_json(to_json(plan)) == plan
    assert from_json(msgspec.json.encode(plan)).digest() == plan.digest()


def test_every_builtin_calibration_can_be_planned_on_a_shipped_bench():
    bench = read_bench(BENCHES[0]).bench
    forms = {"text": "tuning: T", "tests": "tuning: [T]", "args": "args: [T]"}
    for calibration in builtin().calibrations.values():
        more = forms[calibration.tuning.form] if calibration.tuning else "retries: 1"
        assert planned(HEAD + f"steps:\n  - {{calibration: {calibration.name}, {more}}}\n", bench).plan


# --- the end of a child that was given supplies ---


def bench_of_modules(folder, modules, mode="icicle", **hv):
    """A bench whose modules have an LV output each and one HV supply together."""
    instruments = copy.deepcopy(INSTRUMENTS)
    instruments["instruments"]["hv_1"] |= hv
    wires = instruments["channels"]["0"]
    instruments["channels"] = {str(number): copy.deepcopy(wires) for number in range(modules)}
    reading = bench_in(folder, BENCH.replace("icicle", mode), instruments)
    assert reading.bench, reading.problems
    return reading.bench


def steps_of_kind(bench, *steps):
    return planned(HEAD + "steps:\n" + "".join(f"  - {step}\n" for step in steps), bench).plan.steps


IV_350 = "{calibration: iv_curve, options: {max_voltage: -350}}"


@pytest.mark.parametrize(
    ("modules", "of_curve_s", "of_sldo_s"),
    [(1, 180, 180), (4, 70 + 4 * 22 + 30, 180), (8, 70 + 8 * 38 + 30, 8 * 38 + 30)],
)
def test_a_child_with_supplies_gets_the_time_of_icicles_own_end(tmp_path, modules, of_curve_s, of_sldo_s):
    bench = bench_of_modules(tmp_path, modules)
    curve, sldo, general = steps_of_kind(bench, IV_350, "sldo_vi_curves", "get_module_info")
    assert (curve.stop_grace_s, sldo.stop_grace_s, general.stop_grace_s) == (of_curve_s, of_sldo_s, 180)


def test_slow_ramps_count_from_as_far_as_the_curve_may_have_gone(tmp_path):
    bench = bench_of_modules(tmp_path, 1, default_step_size=1, default_delay=2, default_range=-500)
    [curve] = steps_of_kind(bench, IV_350)
    assert curve.stop_grace_s == 350 * 2 + 10 + 30
    [of_unknown_end] = steps_of_kind(bench, "iv_curve")
    assert of_unknown_end.stop_grace_s == 500 * 2 + 10 + 30


def test_where_dirigent_holds_the_supplies_every_child_has_such_an_end(tmp_path):
    bench = bench_of_modules(tmp_path, 8, mode="dirigent", default_voltage=-100)
    tuning = steps_of_kind(bench, IV_350, "{calibration: calibrate_module, tuning: T}")[1]
    assert tuning.stop_grace_s == 20 + 8 * 38 + 30


@pytest.mark.parametrize(("modules", "more_s"), [(1, 0), (4, 4 * 22 - 10), (8, 8 * 38 - 10)])
def test_the_catalogues_usual_time_is_of_one_module(tmp_path, modules, more_s):
    curve, general = steps_of_kind(bench_of_modules(tmp_path, modules), IV_350, "get_module_info")
    usual = builtin().calibrations
    assert curve.usual_s == usual["iv_curve"].usual_s + more_s
    assert general.usual_s == usual["get_module_info"].usual_s


@pytest.mark.parametrize(
    ("grace", "written"), [("6m43s", True), ("6m44s", False)], ids=["a second short", "just enough"]
)
def test_a_written_grace_is_kept_and_a_short_one_is_a_warning_with_the_number(tmp_path, grace, written):
    bench = bench_of_modules(tmp_path, 8)
    step = IV_350.replace("}}", f"}}, stop_grace: {grace}}}")
    compilation = planned(HEAD + f"steps:\n  - {step}\n", bench)
    assert compilation.plan.steps[0].stop_grace_s == 403 + (not written)
    assert [problem.code.id for problem in compilation.problems] == ["CS424"] * written
    for problem in compilation.problems:
        assert problem.message == (
            "'stop_grace' of 6m43s: switching off 8 modules takes up to 6m44s on this bench"
        )
        assert problem.place.span.line == 4
        assert not problem.is_error


def test_a_short_grace_of_all_steps_is_one_warning_at_its_own_line(tmp_path):
    text = (
        HEAD
        + "defaults: {stop_grace: 30s}\nsteps:\n  - sldo_vi_curves\n  - get_module_info\n  - sldo_vi_curves_GADC\n"
    )
    problems = in_order(planned(text, bench_of_modules(tmp_path, 1)).problems)
    assert [(problem.code.id, problem.place.span.line) for problem in problems] == [("CS424", 3)]
