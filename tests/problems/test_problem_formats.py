"""Each form of a report is what its reader takes, whatever stands in a message or a file name."""

import json
import re
import xml.etree.ElementTree as ElementTree

import jsonschema
import msgspec
import pytest
from input_texts import HEAD, corpus_files, corpus_problems, sequence_of

from calseq.documents.document import from_bytes
from calseq.documents.schema import stored_schema
from calseq.problems.codes import BAD_VALUE, NO_BENCH, SHORT_TIMEOUT
from calseq.problems.formats import FORMATS, Report, report_text
from calseq.problems.formats.as_json import Listing, schema
from calseq.problems.problem import Place, Problem, Source, Span
from calseq.problems.refused import in_order
from calseq.system.assets import schemas

EVIL = "a\"b<c>&d,e:f%g]]>'h\U0001f600 µ"
SOURCE = Source(f"dir/{EVIL}.yaml", f"x\n  {EVIL} here\n")
REPORT = Report(
    problems=(
        Problem(BAD_VALUE, f"message {EVIL}", f"cure {EVIL}", Place(SOURCE, Span(2, 3, 5)), "step 1"),
        Problem(SHORT_TIMEOUT, "a warning", "", Place(SOURCE, Span(1, 1, 1)), fix=Place(SOURCE, Span(1, 1, 1)).edit("yy\nz")),
        Problem(NO_BENCH, "no place", "go somewhere"),
    ),
    files=(SOURCE.name, "good.yaml"),
    fixed=2,
)  # fmt: skip
EMPTY = Report((), ("good.yaml",))


@pytest.fixture(scope="module")
def every(tmp_path_factory):
    """A report of the whole corpus."""
    files = [(path, tmp_path_factory.mktemp("corpus")) for path in corpus_files()]
    problems = in_order(problem for path, folder in files for problem in corpus_problems(path, folder))
    names = dict.fromkeys(problem.place.source.name for problem in problems)
    return Report(tuple(problems), tuple(names))


def test_concise_is_what_an_editor_reads():
    lines = report_text(REPORT, "concise").splitlines()
    assert lines == [
        f"{SOURCE.name}:2:3: CS206 message {EVIL}; cure {EVIL}",
        f"{SOURCE.name}:1:1: CS306 warning: a warning",
        "CS407 no place; go somewhere",
    ]
    assert report_text(EMPTY, "concise") == ""


@pytest.mark.parametrize("format_", FORMATS[1:])
def test_no_form_shows_a_character_that_a_terminal_obeys(format_):
    sequence = sequence_of(b"calseq: 1\ntitle: x\nsteps: ['\x1b]0;x\x07', \"\\e[2J\", a\xe2\x80\xaeb]\n")[1]
    text = report_text(Report(tuple(sequence), ("f.yaml",)), format_)
    assert all(char.isprintable() or char == "\n" for char in text)


def test_json_fits_its_schema_and_the_schema_is_the_one_on_disk(every, golden):
    golden(schemas() / "problems.schema.json", json.dumps(schema(), indent=2, ensure_ascii=False) + "\n")
    jsonschema.Draft202012Validator.check_schema(schema())
    validator = jsonschema.Draft202012Validator(stored_schema("problems"))
    for report in (REPORT, EMPTY, every):
        data = json.loads(report_text(report, "json"))
        assert list(validator.iter_errors(data)) == []
        assert len(msgspec.convert(data, Listing).problems) == len(report.problems)


def test_json_has_the_fix_as_an_edit_of_lines_and_columns():
    data = json.loads(report_text(REPORT, "json"))
    assert data["calseq-problems"] == 1
    assert (data["errors"], data["warnings"], data["fixed"]) == (2, 1, 2)
    assert data["problems"][1]["fix"] == {
        "line": 1, "column": 1, "end_line": 1, "end_column": 2, "text": "yy\nz",
    }  # fmt: skip
    assert data["problems"][2]["file"] is None


def test_github_escapes_what_its_commands_are_made_of():
    first, second, third = report_text(REPORT, "github").splitlines()
    file = f"dir/{EVIL}.yaml".replace("%", "%25").replace(":", "%3A").replace(",", "%2C")
    assert first.startswith(f"::error title=CS206 bad-value,file={file},line=2,endLine=2,col=3,endColumn=8::")
    assert first.endswith(f"::message {EVIL}; cure {EVIL}".replace("%", "%25"))
    assert second.startswith("::warning ")
    assert third == "::error title=CS407 no-bench::no place; go somewhere"


def test_a_gitlab_fingerprint_stays_when_lines_are_put_above_and_tells_equal_problems_apart():
    def prints(text):
        problems = in_order(sequence_of(text)[1])
        return [
            entry["fingerprint"] for entry in json.loads(report_text(Report(tuple(problems), ()), "gitlab"))
        ]

    text = HEAD + "steps:\n  - iv_curv\n  - iv_curv\n"
    above = "# one\n# more\n" + text
    assert prints(above) == prints(text)
    assert len(set(prints(text))) == 2
    entry = json.loads(report_text(REPORT, "gitlab"))[0]
    assert set(entry) == {"description", "check_name", "fingerprint", "severity", "location"}
    assert entry["location"] == {"path": SOURCE.name, "lines": {"begin": 2}}
    assert entry["severity"] in ("info", "minor", "major", "critical", "blocker")


def test_junit_is_xml_with_a_failure_per_error_and_a_suite_per_file(every):
    for report in (REPORT, EMPTY, every):
        root = ElementTree.fromstring(report_text(report, "junit"))  # our own text
        errors = sum(problem.is_error for problem in report.problems)
        assert len(root.findall(".//failure")) == errors == int(root.get("failures"))
        assert len(root.findall(".//testcase")) == int(root.get("tests"))
        assert [suite.get("name") for suite in root][: len(report.files)] == list(report.files)
    root = ElementTree.fromstring(report_text(REPORT, "junit"))
    assert root.find(".//failure").get("message") == f"message {EVIL}; cure {EVIL}"


def test_sarif_names_its_rules_and_counts_characters(every):
    run = json.loads(report_text(every, "sarif"))["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert run["columnKind"] == "unicodeCodePoints"
    for result, problem in zip(run["results"], every.problems, strict=True):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == problem.code.id
        region = result["locations"][0]["physicalLocation"]["region"]
        assert region["startColumn"] < region["endColumn"]
        assert ("fixes" in result) == (problem.fix is not None)
    assert all(re.fullmatch(r"[A-Z][A-Za-z0-9]+", rule["name"]) for rule in rules)


def test_a_uri_of_sarif_has_no_character_that_a_uri_cannot_have():
    run = json.loads(report_text(REPORT, "sarif"))["runs"][0]
    uri = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert re.fullmatch(r"[A-Za-z0-9/._~%-]+", uri)
    assert "locations" not in run["results"][2]


def test_columns_are_characters_also_behind_those_that_take_two_units():
    text = "calseq: 1\ntitle: T\nsteps: ['\U0001f600', iv_curv]\n"
    problems = in_order(sequence_of(text)[1])
    assert problems[1].place.span.column == 14
    assert from_bytes(text.encode(), "f").source.offset(3, 14) == text.index("iv_curv")
