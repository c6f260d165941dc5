"""The report for programs: JSON, JUnit, Markdown."""

import json
import re
from datetime import UTC
from xml.etree import ElementTree

import jsonschema
import pytest
from console_runs import a_plan, failed_run, good_run, resumed_run, simulated_plan, unsafe_run, until_tuning
from report_pages import a_run, dirigent_run, many_steps

from calseq.documents.schema import stored_schema
from calseq.problems.refused import Refused
from calseq.report import FORMATS, report_text
from calseq.report.as_json import FACTS_FORMAT
from calseq.report.as_json import text as json_text
from calseq.report.junit import text as junit_text
from calseq.report.markdown import text as markdown_text
from calseq.report.run_data import read_dossier


def runs():
    plan = a_plan()
    return {
        "passed": (plan, good_run(plan)),
        "failed": (plan, failed_run(plan)),
        "unsafe": (plan, unsafe_run(plan)),
        "resumed": (plan, resumed_run(plan)),
        "dirigent": dirigent_run(),
        "torn off": (plan, until_tuning(plan)),
        "simulated": (simulated_plan(), good_run(simulated_plan())),
        "many": many_steps(300, failing=3),
    }


@pytest.fixture(params=runs())
def told(request, tmp_path):
    plan, events = runs()[request.param]
    return read_dossier(a_run(tmp_path, events, plan))


def test_the_json_fits_its_schema_and_says_its_format(told):
    data = json.loads(json_text(told))
    schema = stored_schema("report")
    assert list(jsonschema.Draft202012Validator(schema).iter_errors(data)) == []
    assert data["format"] == FACTS_FORMAT
    assert set(data) == set(schema["properties"])


def test_nothing_is_folded_in_the_json(told):
    data = json.loads(json_text(told))
    assert [each["name"] for each in data["steps"]] == [each.name for each in told.plan.steps]


def test_the_json_of_an_unsafe_run_says_that_the_state_is_unknown(tmp_path):
    data = json.loads(json_text(read_dossier(a_run(tmp_path, unsafe_run(a_plan())))))
    assert data["power"]["state"] == "unknown"
    assert data["hv"][-1]["state"] == "unknown"


# JUnit


def test_junit_has_the_shape_that_servers_read(told):
    root = ElementTree.fromstring(junit_text(told))
    assert root.tag == "testsuites"
    (suite,) = root
    assert suite.tag == "testsuite"
    assert [each.tag for each in suite] == ["properties", *["testcase"] * (len(told.steps) + 1)]
    cases = suite.findall("testcase")
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(suite.attrib[name]) == sum(case.find(tag) is not None for case in cases)
    assert int(suite.attrib["tests"]) == int(root.attrib["tests"]) == len(cases)
    for case in cases:
        assert set(case.attrib) == {"name", "classname", "time"}
        assert float(case.attrib["time"]) >= 0
        ends = [each for each in case if each.tag in ("failure", "error", "skipped")]
        assert len(ends) <= 1
        assert {each.tag for each in case} <= {"failure", "error", "skipped", "system-out"}
        assert all("message" in each.attrib for each in ends)


def junit(folder):
    suite = ElementTree.fromstring(junit_text(read_dossier(folder)))[0]
    return {case.attrib["name"]: case for case in suite.findall("testcase")}


def test_junit_tells_what_failed_with_the_end_of_its_log(tmp_path):
    cases = junit(a_run(tmp_path, failed_run(a_plan())))
    failed = cases["03-iv_curve"]
    assert failed.find("failure").attrib == {"type": "failed", "message": "exit code 1"}
    assert "VI_ERROR_TMO" in failed.find("system-out").text
    assert cases["04-tune_1000"].find("skipped").attrib["message"] == "the run stopped after step 3 iv_curve"
    assert list(cases["01-sldo_vi_curves"]) == []


@pytest.mark.parametrize(
    ("run", "tag"), [("passed", None), ("unsafe", "error"), ("dirigent", "skipped"), ("torn off", "error")]
)
def test_a_server_shows_red_when_off_was_not_confirmed_and_never_green_when_nobody_looked(tmp_path, run, tag):
    plan, events = runs()[run]
    folder = a_run(tmp_path, events, plan)
    if run == "torn off":
        (folder / "guard.jsonl").write_text('{"event":"opening"}\n')
    case = junit(folder)["HV and LV off at the end"]
    assert [each.tag for each in case] == ([tag] if tag else [])


# Markdown


def test_the_markdown_of_a_failed_run(tmp_path, golden):
    folder = a_run(tmp_path, failed_run(a_plan()), host="lab-pc")
    text = re.sub(r"`[0-9a-f]{64}`", "`of today`", markdown_text(read_dossier(folder), zone=UTC))
    golden("failed.md", text + "\n")


def test_markdown_says_first_that_a_run_was_simulated(tmp_path):
    plan = simulated_plan()
    assert markdown_text(read_dossier(a_run(tmp_path, good_run(plan), plan))).startswith("**SIMULATED")


# All of them


@pytest.mark.parametrize("format_", FORMATS)
def test_every_form_tells_every_ending(told, format_):
    assert report_text(told.folder, format_)


@pytest.mark.parametrize("format_", FORMATS)
def test_no_form_is_made_of_what_is_no_run(tmp_path, format_):
    with pytest.raises(Refused, match=r"run\.json cannot be read"):
        report_text(tmp_path, format_)
