"""`upload:` in a bench file, and `results:` of a site's calibrations: what they may say."""

import json

import pytest
from upload_stand import DOUBLE_BENCH, write_bench

from calseq.bench.bench import read_bench
from calseq.documents.document import from_bytes
from calseq.documents.schema import check, stored_schema
from calseq.documents.yaml_reader import read_yaml
from calseq.measurement.acceptance import acceptance
from calseq.model.destinations import CommandReceiver, FelisReceiver, FolderReceiver
from calseq.model.plan import ResultRule
from calseq.sequence.catalog import with_site


def read(tmp_path, upload, **more):
    return read_bench(write_bench(tmp_path, upload, **more))


def problems(reading):
    return [(problem.code.id, problem.message) for problem in reading.problems]


def test_a_bench_without_an_upload_has_none():
    assert read_bench(DOUBLE_BENCH / "bench.yaml").bench.upload is None


def test_a_receiver_is_typed_and_paths_are_those_of_the_bench(tmp_path):
    felis = read(tmp_path, {"to": "felis", "user": "u", "ca_file": "cern.pem", "timeout": "1m"}).bench.upload
    assert felis.receiver == FelisReceiver("u", ca_file=str(tmp_path / "cern.pem"), timeout_s=60.0)
    assert (felis.at_end, felis.runs, felis.retry_for_s) == (False, "passed", 120.0)
    command = read(
        tmp_path, {"to": "command", "command": "./send", "runs": "all", "at_end": True}
    ).bench.upload
    assert command.receiver == CommandReceiver(("./send",))
    assert (command.at_end, command.runs) == (True, "all")
    folder = read(tmp_path, {"to": "folder", "folder": "out", "retry_for": "0s"}).bench.upload
    assert (folder.receiver, folder.retry_for_s) == (FolderReceiver(str(tmp_path / "out")), 0.0)
    assert [each.receiver.to for each in (felis, command, folder)] == ["felis", "command", "folder"]


def test_felis_is_where_icicle_is_unless_the_bench_says_otherwise(tmp_path):
    power = {"mode": "icicle", "python": "/opt/venv/bin/python"}
    more = {"power": power, "x-simulator": 1}
    write_bench(tmp_path, {"to": "felis", "user": "u"}, **more)
    data = json.loads((tmp_path / "bench.yaml").read_text())
    del data["simulator"]
    (tmp_path / "bench.yaml").write_text(json.dumps(data))
    assert read_bench(tmp_path / "bench.yaml").bench.upload.receiver.python == "/opt/venv/bin/python"


def test_the_facts_of_a_module_come_from_modules_json(tmp_path):
    (module,) = read(tmp_path, None).bench.modules
    assert (module.name, module.type, module.subdetector, module.sensor) == ("C2HQ0", "1x2", "TBPX", True)


@pytest.mark.parametrize(
    ("upload", "code", "words"),
    [
        ({"to": "panthera", "user": "u"}, "CS206", "panthera"),
        ({"user": "u"}, "CS202", "'to'"),
        ({"to": "felis"}, "CS202", "'user'"),
        ({"to": "command"}, "CS202", "'command'"),
        ({"to": "folder"}, "CS202", "'folder'"),
        ({"to": "folder", "folder": "x", "user": "u"}, "CS204", "'user' has no meaning with 'to: folder'"),
        ({"to": "felis", "user": "u", "password": "p"}, "CS204", "password"),
        ({"to": "felis", "user": "u", "url": "http://panthera.example.org/x"}, "CS206", "url"),
        ({"to": "felis", "user": "u", "url": "https://u:p@panthera.example.org/x"}, "CS206", "url"),
        ({"to": "felis", "user": "u", "retry_for": "2"}, "CS209", "'2' is not a duration"),
    ],
)
def test_one_mistake_is_one_problem(tmp_path, upload, code, words):
    found = problems(read(tmp_path, upload))
    assert [each for each, _ in found] == [code], found
    assert words in found[0][1]


@pytest.mark.parametrize(
    "url", ["https://panthera.example.org/a.php?x=1", "http://127.0.0.1:8000/a", "http://localhost/a"]
)
def test_an_address_is_https_or_of_this_machine(tmp_path, url):
    assert problems(read(tmp_path, {"to": "felis", "user": "u", "url": url})) == []


def test_a_site_says_what_its_calibrations_leave():
    entry = {
        "type": "general",
        "summary": "x",
        "results": [
            {"files": ["*.csv"], "type": "xray", "name": "Tube"},
            {"files": ["*.root"], "scans": {"My": "scurve"}},
        ],
    }
    document = read_yaml(
        from_bytes(json.dumps({"calseq-calibrations": 1, "calibrations": {"mine": entry}}).encode(), "c")
    )
    check(document, stored_schema("calibrations"))
    assert document.problems == []
    rules = with_site(document).calibrations["mine"].results
    assert rules == (ResultRule(("*.csv",), "xray", "Tube"), ResultRule(("*.root",), scans={"My": "scurve"}))


def test_the_schema_knows_every_type_of_result():
    entry = stored_schema("calibrations")["properties"]["calibrations"]["additionalProperties"]["properties"][
        "results"
    ]
    assert set(entry["items"]["properties"]["type"]["enum"]) == set(acceptance().by_type)
    assert set(entry["items"]["properties"]["scans"]["additionalProperties"]["enum"]) == set(
        acceptance().by_type
    )
