"""A sealed run folder proves that nothing of it was changed; whatever was changed is named."""

import hashlib
import json
import os
import subprocess

import pytest
from console_runs import a_plan, good_run, until_tuning
from folder_runs import NAME, calseq, write_run

from calseq.model.plan import InputFile, to_json
from calseq.record.seal import SEAL, seal, verify

SEQUENCE = b"calseq: 1\n"
PLAN = a_plan(inputs=(InputFile("sequence", "/far/s.yaml", hashlib.sha256(SEQUENCE).hexdigest()),))
STRANGE = "a\nb\\c\rd é"


def begun(events):
    """The begin of a run names the plan that is really run."""
    (t, started), *rest = events
    return [
        (
            t,
            type(started)(
                **{**{f: getattr(started, f) for f in started.__struct_fields__}, "digest": PLAN.digest()}
            ),
        ),
        *rest,
    ]


def a_run(tmp_path, events=good_run, sealed=True):
    folder = write_run(tmp_path, begun(events(PLAN)), plan=PLAN, logs={"01-sldo_vi_curves": b"log\n"})
    (folder / "inputs" / "sequence-s.yaml").write_bytes(SEQUENCE)
    (folder / "data").mkdir()
    (folder / "data" / STRANGE).write_text("data")
    (folder / "simulated").mkdir()
    (folder / "simulated" / "bench.json").write_text("{}")
    if sealed:
        seal(folder)
    return folder


def bad(folder):
    return {finding.what: finding.found for finding in verify(folder) if finding.good is False}


def test_a_sealed_folder_verifies_here_and_with_sha256sum(tmp_path):
    folder = a_run(tmp_path)
    assert all(finding.good for finding in verify(folder))
    told = subprocess.run(["sha256sum", "-c", SEAL], cwd=folder, capture_output=True, check=True)
    assert told.stdout.count(b": OK") == 6
    assert "simulated" not in (folder / SEAL).read_text()


@pytest.mark.parametrize(
    ("name", "also"),
    [
        ("run.json", {"run.json"}),
        ("events.jsonl", {"events.jsonl"}),
        ("plan.json", {"plan.json"}),
        ("inputs/sequence-s.yaml", {"inputs/sequence-s.yaml"}),
        ("steps/01-sldo_vi_curves/log.txt", set()),
        (f"data/{STRANGE}", set()),
    ],
)
def test_a_changed_byte_anywhere_is_named(tmp_path, name, also):
    folder = a_run(tmp_path)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    found = bad(folder)
    assert name in found
    assert set(found) <= {name} | also


def test_a_file_that_is_gone_and_one_that_came_later_are_told_apart(tmp_path):
    folder = a_run(tmp_path)
    (folder / "data" / STRANGE).unlink()
    (folder / "notes.txt").write_text("later")
    assert bad(folder) == {f"data/{STRANGE}": "it is gone"}
    later = next(finding for finding in verify(folder) if finding.what == "notes.txt")
    assert (later.good, later.found) == (None, "it is not in the seal: nothing vouches for it")


def test_a_whole_other_run_in_its_place_is_noticed_though_it_is_sealed(tmp_path):
    """Who seals anew what he changed is caught by the events, whose digest of the plan stays."""
    folder = a_run(tmp_path)
    (folder / "plan.json").write_bytes(to_json(a_plan(title="another")))
    seal(folder)
    assert "plan.json" in bad(folder)


def test_another_digest_in_run_json_is_noticed(tmp_path):
    folder = a_run(tmp_path, sealed=False)
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(record | {"digest": "0" * 64}))
    seal(folder)
    assert bad(folder) == {"run.json": "it names another plan than events.jsonl and plan.json"}


def test_an_event_taken_out_breaks_the_chain(tmp_path):
    folder = a_run(tmp_path, sealed=False)
    lines = (folder / "events.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "events.jsonl").write_bytes(b"".join(lines[:3] + lines[4:]))
    seal(folder)
    assert bad(folder) == {"events.jsonl": "line 4 is out of order or torn; the 3 events before it are good"}


def test_a_run_without_an_end_is_not_sealed_and_the_rest_is_checked(tmp_path):
    folder = a_run(tmp_path, until_tuning, sealed=False)
    findings = {finding.what: (finding.good, finding.found) for finding in verify(folder)}
    assert findings["seal"] == (None, "the run has not ended")
    assert findings["plan.json"][0]
    assert findings["inputs"][0]
    assert findings["events.jsonl"][0] is None
    seal(folder)  # of an earlier end
    assert next(verify(folder)).found == "the run went on after it was sealed, and has not ended"


def test_a_second_end_is_sealed_in_the_place_of_the_first(tmp_path):
    folder = a_run(tmp_path)
    (folder / "data" / "more").write_text("more")
    seal(folder)
    assert all(finding.good for finding in verify(folder))


def test_links_fifos_and_what_may_not_be_read_cost_nothing(tmp_path):
    folder = a_run(tmp_path, sealed=False)
    (folder / "data" / "link").symlink_to("/etc/hostname")
    os.mkfifo(folder / "data" / "fifo")
    seal(folder)
    assert b"link" not in (folder / SEAL).read_bytes()
    assert b"fifo" not in (folder / SEAL).read_bytes()


@pytest.mark.parametrize(
    "content", [b"", b"x", b"\0\xff\n", b"0" * 64 + b"  run.json\n", b"1" * 64 + b"  nul\0\n"]
)
def test_a_damaged_seal_is_never_a_traceback(tmp_path, content):
    folder = a_run(tmp_path)
    (folder / SEAL).write_bytes(content)
    findings = list(verify(folder))
    assert content == b"" or any(finding.good is False for finding in findings)
    assert any(finding.found.startswith("it is not in the seal") for finding in findings)


def test_an_empty_folder_is_never_a_traceback(tmp_path):
    assert [finding.good for finding in verify(tmp_path)] == [None, None, False]


def test_what_verify_tells_a_person(golden, tmp_path):
    folder = a_run(tmp_path)
    good, _ = calseq("runs", "verify", NAME, "--runs", tmp_path, cwd=tmp_path)
    (folder / "data" / STRANGE).write_text("data!")
    (folder / "plan.json").write_text("{")
    bad, _ = calseq("runs", "verify", "--runs", tmp_path, cwd=tmp_path, code=1)
    (folder / SEAL).unlink()
    (folder / "plan.json").write_bytes(to_json(PLAN))
    unsealed, _ = calseq("runs", "verify", "--runs", tmp_path, cwd=tmp_path, code=1)
    golden("verify.txt", f"{good}\n{bad}\n{unsealed}")
