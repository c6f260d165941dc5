"""Which files are curves is said by data, and travels in the plan with what else is needed to read them later."""

import json

import msgspec
import pytest
from console_runs import a_plan
from curve_texts import DOUBLE, IV, VI, curved_plan
from msgspec.structs import replace
from simulated_runs import SAMPLES

from calseq.bench.bench import read_bench
from calseq.bench.find import shipped_bench
from calseq.documents.document import from_bytes
from calseq.documents.schema import check, stored_schema
from calseq.documents.yaml_reader import read_yaml
from calseq.model.plan import BiasSupply, Column, CurveTable, Module, from_json, to_json
from calseq.planning.compiler import compile_plan
from calseq.planning.loading import load_sequence, simulated
from calseq.run.resume import _who
from calseq.sequence.catalog import builtin, with_site
from calseq.system.assets import sequences

HEAD = "calseq-calibrations: 1\ncalibrations:\n"


def site(text):
    document = read_yaml(from_bytes((HEAD + text).encode(), "site.yaml"))
    check(document, stored_schema("calibrations"))
    return document, with_site(document)


def plan_of(name="panthera", bench_path=None):
    bench = simulated(read_bench(bench_path or shipped_bench()).bench)
    _, sequence = load_sequence(sequences() / f"{name}.yaml", bench.catalog)
    return compile_plan(sequence, bench).plan


def test_a_plan_carries_all_that_is_needed_to_read_its_curves():
    plan = plan_of()
    assert {step.name: step.curves for step in plan.steps if step.curves} == {
        "sldo_vi_curves": (VI,), "iv_curve": (IV,),
    }  # fmt: skip
    assert plan.modules == (replace(DOUBLE, sensor=True, efuses=("46721", "46722")),)
    assert [(supply.target_v, supply.compliance_a) for supply in plan.supplies] == [(-50.0, 1e-5)]
    assert from_json(to_json(plan)) == plan


def test_quads_are_known_to_be_quads():
    plan = plan_of("panthera-planar", sequences() / "benches" / "quads" / "bench.yaml")
    assert plan.modules == (
        Module("0", "R1Q17", "2x2", "TFPX", True),
        Module("1", "R1Q18", "2x2", "TFPX", True),
    )
    assert [supply.compliance_a for supply in plan.supplies] == [2e-5]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_a_plan_of_long_ago_is_read_and_has_no_curves(sample):
    plan = from_json((sample / "plan.json").read_bytes())
    assert all(step.curves == () for step in plan.steps)
    assert all(module.type == "" for module in plan.modules)
    assert all(supply.compliance_a is None for supply in plan.supplies)


def test_a_run_of_an_older_calseq_is_of_the_same_modules():
    """It should be resumed: what is noted of a module now is not another module."""
    assert _who(a_plan()) == _who(curved_plan())
    assert _who(replace(a_plan(), modules=(Module("0", "OTHER"),))) != _who(a_plan())
    assert replace(a_plan(), modules=(DOUBLE,)) != a_plan()


def test_a_site_says_what_its_own_files_are():
    document, catalog = site(
        "  iv_curve:\n    curves:\n"
        "      - files: IV_*.dat\n        kind: iv\n        columns:\n"
        "          voltage: {headings: [U bias], unit: V}\n          current: {headings: [I leak], unit: nA}\n"
    )
    assert document.problems == []
    assert catalog.calibrations["iv_curve"].curves == (
        CurveTable("IV_*.dat", "iv", (Column("voltage", ("U bias",), "V"), Column("current", ("I leak",), "nA"))),
    )  # fmt: skip
    assert catalog.calibrations["iv_curve"].outputs == builtin().calibrations["iv_curve"].outputs


def test_a_site_can_say_that_there_are_none():
    assert site("  iv_curve: {curves: []}\n")[1].calibrations["iv_curve"].curves == ()


@pytest.mark.parametrize(
    "curves",
    [
        "[{files: a, kind: iv}]",
        "[{files: a, kind: xy, columns: {voltage: {headings: [a]}, current: {headings: [b]}}}]",
        "[{files: a, kind: iv, columns: {voltage: {headings: [a]}, other: {headings: [b]}}}]",
        "[{files: a, kind: vi, columns: {VIN: {headings: [a]}, VOFS: {headings: [b]}}}]",
        "[{files: a, kind: iv, columns: {voltage: {headings: []}, current: {headings: [b]}}}]",
        "[{files: a/b, kind: iv, columns: {voltage: {headings: [a]}, current: {headings: [b]}}}]",
        "[{files: a, kind: iv, columns: {voltage: {heading: [a]}, current: {headings: [b]}}}]",
    ],
)
def test_one_defect_is_one_problem_and_the_calibration_is_not_used(curves):
    document, catalog = site(f"  iv_curve: {{curves: {curves}}}\n")
    assert len(document.problems) == 1
    assert "iv_curve" not in catalog.calibrations


@pytest.mark.parametrize("told", [5, None, ["1x2"], "x" * 33, "", True])
def test_a_type_that_is_no_word_is_passed_over_and_refuses_no_bench(tmp_path, told):
    bench = sequences() / "benches" / "double"
    for path in bench.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    modules = json.loads((tmp_path / "modules.json").read_text())
    modules["Hybrid"]["0"]["RD53Bv2"]["info"]["type"] = told
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    read = read_bench(tmp_path / "bench.yaml")
    assert read.problems == []
    assert read.bench.modules == (Module("0", "C2HQ0", "", "TBPX", True, ("46721", "46722")),)


def test_new_fields_have_defaults_so_that_older_plans_load():
    old = msgspec.json.decode(to_json(curved_plan()))
    for step in old["steps"]:
        del step["curves"]
    for module in old["modules"]:
        del module["type"], module["subdetector"]
    for supply in old["supplies"]:
        del supply["compliance_a"]
    read = from_json(msgspec.json.encode(old))
    assert read.supplies[0] == BiasSupply("hv_1", -50.0, read.supplies[0].modules)
