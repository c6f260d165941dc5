"""The schemas of what a run writes: current, and true of every line of a real run, of today and of long ago."""

import json
import subprocess
import sys

import jsonschema
import pytest
from simulated_runs import SAMPLES, run_of

from calseq.documents.schema import stored_schema
from calseq.model.events import KINDS
from calseq.report.schemas import record_schema
from calseq.system.assets import schemas

KINDS_OF_FILES = ("events", "run", "plan", "report")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A real run that retries, fails, skips and asks for a stop of nothing."""
    made = run_of(
        tmp_path_factory.mktemp("stand"),
        "panthera",
        "--fault",
        "iv_curve=no-output@1",
        "--fault",
        "tune_1000=exit:3",
    )
    assert made.code == 1, made.told
    return made.folder


def validator(kind):
    return jsonschema.Draft202012Validator(stored_schema(kind))


def complaints(kind, data):
    return [error.message for error in validator(kind).iter_errors(data)]


def lines_of(folder):
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("kind", KINDS_OF_FILES)
def test_the_schema_on_disk_is_the_one_of_the_types(golden, kind):
    path = schemas() / f"{kind}.schema.json"
    text = json.dumps(record_schema(kind), indent=2, ensure_ascii=False) + "\n"
    golden(path, text)
    jsonschema.Draft202012Validator.check_schema(json.loads(text))


def test_every_line_of_a_real_run_fits_and_has_no_field_that_is_not_told(folder):
    schema = stored_schema("events")
    fields = {name: set(schema["$defs"][type_.__name__]["properties"]) for name, type_ in KINDS.items()}
    lines = lines_of(folder)
    assert {"run-started", "step-ended", "step-skipped", "bias-decided", "run-ended"} <= {
        line["event"] for line in lines
    }
    for line in lines:
        assert complaints("events", line) == []
        assert set(line) - set(schema["properties"]) <= fields[line["event"]]


@pytest.mark.parametrize("kind", ["run", "plan"])
def test_the_record_and_the_plan_of_a_real_run_fit(folder, kind):
    data = json.loads((folder / f"{kind}.json").read_text())
    assert complaints(kind, data) == []
    assert set(data) == set(stored_schema(kind)["properties"])


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_a_run_folder_of_long_ago_fits(sample):
    assert [found for line in lines_of(sample) for found in complaints("events", line)] == []
    for kind in ("run", "plan"):
        assert complaints(kind, json.loads((sample / f"{kind}.json").read_text())) == []


@pytest.mark.parametrize(
    ("change", "count"),
    [
        ({"seq": 0}, 1),
        ({"event": "no-such-thing"}, 1),
        ({"crc": "DEADBEEF"}, 1),
        ({"verdict": "well"}, 1),
        ({"duration_s": "long"}, 1),
        ({}, 0),
    ],
    ids=str,
)
def test_one_defect_of_a_line_is_one_complaint(folder, change, count):
    line = next(line for line in lines_of(folder) if line["event"] == "step-ended")
    assert len(complaints("events", line | change)) == count


@pytest.mark.parametrize("kind", KINDS_OF_FILES)
def test_the_command_prints_it(kind):
    ran = subprocess.run(
        [sys.executable, "-m", "calseq", "schema", kind], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == stored_schema(kind)
