"""A bench and every file it names: one problem per defect, where it is named or inside the file."""

import json
import os

import pytest
from input_texts import BENCH, BENCHES, HEAD, INSTRUMENTS, bench_in, sequence_of, sound_bench, told

from calseq.bench.bench import read_bench
from calseq.bench.dirigent_config import Sweep
from calseq.bench.find import find_bench
from calseq.model.plan import PowerMode
from calseq.problems.refused import in_order

SITE = """\
calseq-calibrations: 1
calibrations:
  noise_map:
    type: tuning
    summary: a map of the noise
    needs: [cb]
    usual: 5m
    tuning: {form: text, flag: -n}
    options: {depth: {type: integer, minimum: 1}, tag: {type: text, multiple: true}}
    outputs: [{files: "*.map"}]
  iv_curve:
    usual: 1m
    options:
      temp_mon: null
      temp_runtime: {type: number, unit: s, flag: -t}
"""
WITH_SITE = BENCH + "calibrations: site.yaml\n"


def found(folder, bench=BENCH, instruments=INSTRUMENTS, **files):
    reading = bench_in(folder, bench, instruments, **files)
    assert (reading.bench is None) == any(problem.is_error for problem in reading.problems)
    return [
        (problem.place.source.name.rpartition("/")[2], *told([problem]))
        for problem in in_order(reading.problems)
    ]


@pytest.mark.parametrize(
    ("bench", "expected"),
    [
        (BENCH.replace("name: b", "name: ../b"), "CS206 2:7"),
        (BENCH.replace("name: b\n", ""), "CS202 1:1"),
        (BENCH.replace("name:", "nam:"), "CS204 2:1"),
        (BENCH.replace("bench: 1", "bench: 2"), "CS210 1:15"),
        (BENCH.replace("icicle", "icycle"), "CS206 4:15"),
        (BENCH.replace("mode: icicle", "mod: icicle"), "CS204 4:9"),
        (BENCH.replace("instruments.json", "instrument.json"), "CS101 3:14"),
        (BENCH.replace("instruments.json", "."), "CS101 3:14"),
        (BENCH.replace("instruments.json", "5"), "CS201 3:14"),
        (BENCH + "modules: modules.json\n", "CS101 5:10"),
        (BENCH + "dirigent: {config: no.toml}\n", "CS101 5:20"),
        (BENCH + "calibrations: site.yaml\n", "CS101 5:15"),
        (BENCH + "dirigent: {flags: [-p, --directory=x]}\n", "CS304 5:24"),
        (BENCH + "dirigent: {command: []}\n", "CS206 5:21"),
        (BENCH + "bias: {sign: other}\n", "CS206 5:14"),
        (BENCH + "simulator: {speed: 5}\n", "CS206 5:1"),
        (BENCH.replace("icicle", "simulatd") + "simulator: {speed: 5}\n", "CS206 4:15"),
        (BENCH.replace("icicle", "simulated") + "simulator: {speed: 0}\n", "CS206 5:20"),
        (BENCH + "env: {A-B: x, 1C: y}\n", "CS206 5:7"),
        (BENCH + "log_limit_mb: 0.5\n", "CS201 5:15"),
        (BENCH + "bias: {allow_forward: yes}\n", "CS106 5:23"),
    ],
)
def test_one_defect_of_a_bench_file_is_told_where_it_stands(tmp_path, bench, expected):
    problems = found(tmp_path, bench)
    assert ("bench.yaml", expected) == problems[0]
    assert len(problems) == (2 if "A-B" in bench else 1)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"modules_json": "{"}, ("modules.json", "CS104 1:2")),
        ({"modules_json": "[]"}, ("modules.json", "CS201 1:1")),
        ({"modules_json": "{}"}, ("modules.json", "CS202 1:1")),
        ({"modules_json": '{"Hybrid": 5}'}, ("modules.json", "CS201 1:12")),
        (
            {"modules_json": '{"Hybrid": {"0": {"R": {"info": {"module_name": 5}}}}}'},
            ("modules.json", "CS201 1:49"),
        ),
        (
            {"modules_json": '{"Hybrid": {"0": {"R": {"info": {"module_name": "a/b"}}}}}'},
            ("modules.json", "CS206 1:49"),
        ),
        ({"modules_json": '{"Hybrid": {"0": {}, "0": {}}}'}, ("modules.json", "CS105 1:22")),
        ({"dirigent_toml": "[a\n"}, ("dirigent.toml", "CS104 1:3")),
        ({"dirigent_toml": "a = 1\na = 2\n"}, ("dirigent.toml", "CS104 2:6")),
        ({"dirigent_toml": "a ="}, ("dirigent.toml", "CS104 1:4")),
        ({"dirigent_toml": b"a = '\xff'"}, ("dirigent.toml", "CS102 1:6")),
        ({"dirigent_toml": "a = " + "[" * 5000}, ("dirigent.toml", "CS104 1:1")),
        ({"dirigent_toml": "a = " + "9" * 5000}, ("dirigent.toml", "CS104 1:1")),
    ],
)
def test_one_defect_of_a_file_that_a_bench_names_is_told_inside_it(tmp_path, files, expected):
    defaults = {"modules_json": '{"Hybrid": {}}', "dirigent_toml": ""}
    bench = BENCH + "modules: modules.json\ndirigent: {config: dirigent.toml}\n"
    assert found(tmp_path, bench, **{**defaults, **files}) == [expected]


def test_a_working_folder_that_is_no_text_is_one_problem_beside_settings_of_dirigent(tmp_path):
    bench = BENCH + "dirigent: {config: dirigent.toml, cwd: 5}\n"
    assert found(tmp_path, bench, dirigent_toml="") == [("bench.yaml", "CS201 5:40")]


def test_problems_of_all_files_come_at_once_and_sorted(tmp_path):
    bench = BENCH + "modules: modules.json\ncalibrations: site.yaml\ncolour: red\n"
    names = [name for name, _ in found(tmp_path, bench, "{", modules_json="[", site_yaml="a: 1\n")]
    assert names == sorted(names)
    assert set(names) == {"bench.yaml", "instruments.json", "modules.json", "site.yaml"}


def test_a_fifo_in_the_place_of_instruments_is_a_problem_of_the_bench(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert found(tmp_path, BENCH.replace("instruments.json", "pipe")) == [("bench.yaml", "CS101 3:14")]


def test_the_sweeps_of_dirigent_toml_are_read_and_only_finite_ones(tmp_path):
    toml = "[iv_curve]\nmax_voltage = -80\n[other]\nmax-voltage = inf\npositive = true\n[third]\nmax_voltage = true\n"
    bench = sound_bench(tmp_path, BENCH + "dirigent: {config: dirigent.toml}\n", dirigent_toml=toml)
    assert bench.sweeps == {"iv_curve": Sweep(-80.0), "other": Sweep(None, positive=True), "third": Sweep()}


def test_module_names_come_from_modules_json(tmp_path):
    modules = (
        '{"Hybrid": {"0": {"RD53B": {"info": {"module_name": "C2"}, "0": {}}}, "7": {"x": {"info": {}}}}}'
    )
    bench = bench_in(tmp_path, BENCH + "modules: modules.json\n", modules_json=modules).bench
    assert [(module.channel, module.name) for module in bench.modules] == [("0", "C2")]


@pytest.mark.parametrize(
    ("hybrids", "said"),
    [
        (("0",), []),
        (("0", "1"), ["hybrid '1' (M1) has no channel in instruments.json, and takes no part"]),
        (("1",), ["channel '0' has no module in modules.json", "hybrid '1' (M1) has no channel in instruments.json, and takes no part"]),
        (("0", "0x"), ["hybrid '0x' (M0) has no channel in instruments.json, and takes no part", "hybrid '0x' (M0) has the name of hybrid '0'"]),
        ((), []),
    ],
)  # fmt: skip
def test_channels_and_modules_that_do_not_fit_each_other_are_told(tmp_path, hybrids, said):
    listed = {key: {"RD53B": {"info": {"module_name": f"M{key[0]}"}, "0": {}}} for key in hybrids}
    modules = json.dumps({"Hybrid": listed})
    reading = bench_in(tmp_path, BENCH + "modules: modules.json\n", INSTRUMENTS, modules_json=modules)
    told_ = [problem for problem in reading.problems if problem.code.id == "CS431"]
    assert sorted(problem.message for problem in told_) == said
    assert all(problem.cure for problem in told_)


def test_without_a_power_mode_calseq_touches_no_supply(tmp_path):
    assert sound_bench(tmp_path, BENCH.replace("power: {mode: icicle}\n", "")).mode is PowerMode.DIRIGENT


@pytest.mark.parametrize("path", BENCHES, ids=lambda path: path.parent.name)
def test_a_shipped_bench_has_no_problem(path):
    reading = read_bench(path)
    assert reading.problems == []
    assert reading.bench.mode is PowerMode.SIMULATED


def test_a_bench_is_found_beside_and_above(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert find_bench(tmp_path / "a" / "b") is None
    (tmp_path / "bench.yaml").write_text(BENCH)
    assert find_bench(tmp_path / "a" / "b") == tmp_path / "bench.yaml"


def test_a_site_adds_and_overrides_calibrations_without_python(tmp_path):
    catalog = sound_bench(tmp_path, WITH_SITE, site_yaml=SITE).catalog
    assert catalog.site == {"noise_map", "iv_curve"}
    curve = catalog.calibrations["iv_curve"]
    assert (curve.usual_s, curve.flags, curve.sweep_end) == (60, ("-w",), "max_voltage")
    assert "temp_mon" not in curve.options
    text = HEAD + (
        "steps:\n  - {calibration: iv_curve, options: {max_voltage: -80, temp_runtime: 20}}\n"
        "  - {calibration: noise_map, tuning: deep, options: {depth: 2.0, tag: [a, b]}}\n"
    )
    sequence, problems = sequence_of(text, catalog=catalog)
    assert problems == []
    assert sequence.steps[0].words == ("--max-voltage", "-80", "-t", "20", "-w")
    assert sequence.steps[1].words == ("--depth", "2", "--tag", "a", "--tag", "b", "-n", "deep")
    assert {str(role) for role in sequence.steps[1].needs} == {"lv", "hv", "cb"}


def test_an_option_that_a_site_removed_is_unknown(tmp_path):
    catalog = sound_bench(tmp_path, WITH_SITE, site_yaml=SITE).catalog
    _, problems = sequence_of(
        HEAD + "steps:\n  - {calibration: iv_curve, options: {temp_mon: true}}\n", catalog=catalog
    )
    assert [problem.code.id for problem in problems] == ["CS205"]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("new: {type: general}", ["CS202 3:3"]),
        ("new: {summary: x}", ["CS202 3:3"]),
        ("new: {}", ["CS202 3:3", "CS202 3:3"]),
        ("new:", ["CS201 3:3"]),
        ("new: {type: generl, summary: x}", ["CS206 3:15"]),
        ("--new: {type: general, summary: x}", ["CS206 3:3"]),
        ("iv_curve: {usual: 5}", ["CS209 3:21"]),
        ("iv_curve: {sweep_end: no}", ["CS106 3:25"]),
        ("iv_curve: {sweep_end: end}", ["CS206 3:25"]),
        ("iv_curve: {options: {x: {type: float}}}", ["CS206 3:34"]),
        ("iv_curve: {options: {X-y: {type: text}}}", ["CS206 3:24"]),
        ("iv_curve: {options: {x: {}}}", ["CS202 3:27"]),
        ("iv_curve: {outputs: [{files: a/b}]}", ["CS206 3:32"]),
        ("new: {type: tuning, summary: x, tuning: {form: text}}", ["CS202 3:43"]),
        ("new: {type: general, type: general, summary: x}", ["CS105 3:24"]),
    ],
)
def test_one_defect_of_a_sites_calibrations_is_told_there_and_nowhere_else(tmp_path, entry, expected):
    text = f"calseq-calibrations: 1\ncalibrations:\n  {entry}\n"
    reading = bench_in(tmp_path, WITH_SITE, site_yaml=text)
    assert told(in_order(reading.problems)) == expected
    assert reading.catalog.lost
    steps = "steps:\n  - new\n  - {calibration: iv_curve, options: {y: 1}}\n"
    assert [problem.code.id for problem in sequence_of(HEAD + steps, catalog=reading.catalog)[1]] in (
        [],
        ["CS205"],
    )


@pytest.mark.parametrize("text", ["calseq-calibrations: 2\ncalibrations: {}\n", "[", "", "a: 1\n"])
def test_a_sites_file_that_cannot_be_read_makes_no_name_of_a_sequence_unknown(tmp_path, text):
    reading = bench_in(tmp_path, WITH_SITE, site_yaml=text)
    assert reading.problems
    assert sequence_of(HEAD + "steps: [new]\n", catalog=reading.catalog)[1] == []
