"""Run folders of format 1 are read by today's readers, fact by fact; newer ones are refused with words."""

import hashlib
import json
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from simulated_runs import AT, SAMPLES, a_plan, started

from calseq.console.summary import summary
from calseq.model.events import EVENT_FORMAT, BiasDecided, RunEnded, RunStarted, Stamped, StepEnded
from calseq.model.plan import PLAN_FORMAT, from_json, to_json
from calseq.record.aftermath import ended_safely
from calseq.record.history import read_history
from calseq.record.journal import Journal, encode, read_journal
from calseq.record.run_folder import RUN_FORMAT, RunRecord, read_record, write_record
from calseq.record.view import begin, fold
from calseq.run.bus import Bus

FACTS = {
    "format-1-passed": {
        "events": 55,
        "verdict": ("passed", 0, ""),
        "steps": ["passed"] * 5,
        "attempts": [1, 1, 1, 1, 1],
        "bias": (True, "no breakdown found up to -80 V, bias is -50 V"),
        "last_line": "PASSED (SIMULATED) after 1.1s: 5 passed, exit code 0",
    },
    "format-1-no-bias": {
        "events": 32,
        "verdict": (
            "failed",
            1,
            "tune_1000 was skipped: no bias: C2HQ0 breaks down at -40 V: a bias of -50 V is not safely below that",
        ),
        "steps": ["passed", "passed", "passed", "skipped", "skipped"],
        "attempts": [1, 1, 1, 0, 0],
        "bias": (False, "C2HQ0 breaks down at -40 V: a bias of -50 V is not safely below that"),
        "last_line": "FAILED (SIMULATED) after 0.4s: 3 passed, 2 skipped, exit code 1",
    },
    "format-1-failed": {
        "events": 54,
        "verdict": ("failed", 1, "tune_1000 failed"),
        "steps": ["passed", "passed", "passed", "failed", "skipped"],
        "attempts": [1, 1, 2, 1, 0],
        "bias": (True, "no breakdown found up to -80 V, bias is -50 V"),
        "last_line": "FAILED (SIMULATED) after 1.7s: 3 passed, 1 not passed, 1 skipped, exit code 1",
    },
}
each_sample = pytest.mark.parametrize("folder", SAMPLES, ids=lambda path: path.name)


def events_of(folder):
    stamped, damage = read_journal(folder / "events.jsonl")
    assert damage == ""
    return stamped


def view_of(folder):
    view = begin(from_json((folder / "plan.json").read_bytes()))
    for each in events_of(folder):
        view = fold(view, each)
    return view


def test_there_is_a_sample_of_every_ending():
    assert {path.name for path in SAMPLES} == set(FACTS)


@each_sample
def test_the_journal_of_an_old_run_is_read_whole(folder):
    facts, stamped = FACTS[folder.name], events_of(folder)
    assert len(stamped) == facts["events"]
    first, last = stamped[0].event, stamped[-1].event
    assert isinstance(first, RunStarted)
    assert (first.expected, first.format, first.operator, first.steps) == ((), 1, "Ada", 5)
    assert isinstance(last, RunEnded)
    assert (last.verdict.value, last.exit_code, last.reason) == facts["verdict"]
    (decided,) = [each.event for each in stamped if isinstance(each.event, BiasDecided)]
    assert (decided.allowed, decided.reason) == facts["bias"]
    assert {each.event.longest_silence_s for each in stamped if isinstance(each.event, StepEnded)} == {0.0}


@each_sample
def test_the_record_and_the_plan_of_an_old_run_are_read(folder):
    record, plan = read_record(folder), from_json((folder / "plan.json").read_bytes())
    assert (record.verdict, record.exit_code, record.reason) == FACTS[folder.name]["verdict"]
    assert list(record.steps.values()) == FACTS[folder.name]["steps"]
    assert (record.state, record.module, record.host, record.timings) == ("ended", "C2HQ0", "teststand", ())
    assert ended_safely(folder)
    assert [step.name for step in plan.steps] == list(record.steps)
    assert plan.on_finish is None
    # the digest is that of the file as it was written, whatever later versions would write
    assert hashlib.sha256((folder / "plan.json").read_bytes()).hexdigest() == record.digest


@each_sample
def test_an_old_run_is_shown_as_it_ended(folder):
    facts, view = FACTS[folder.name], view_of(folder)
    assert [each.state.value for each in view.steps] == facts["steps"]
    assert [each.attempt for each in view.steps] == facts["attempts"]
    assert view.safe_end.confirmed
    text = summary(view, Path("run"), 100, color=False, ascii=False)
    assert text.splitlines()[-1] == facts["last_line"]
    assert "HV off, LV off: confirmed" in text


def test_old_runs_tell_no_times_and_are_no_trouble(tmp_path):
    for number, folder in enumerate(SAMPLES):
        (tmp_path / f"2026112{number}-000000-t").symlink_to(folder, target_is_directory=True)
    history = read_history(tmp_path, {"a"})
    assert (history.timings, history.unusable) == ({"a": []}, 0)


NEWER = "read it with a newer calseq"


def test_a_new_journal_says_its_format(tmp_path):
    with Journal(tmp_path / "events.jsonl") as journal:
        Bus(vital=[journal]).emit(replace(started(a_plan()), format=EVENT_FORMAT))
    first = json.loads((tmp_path / "events.jsonl").read_text())
    assert (first["event"], first["format"]) == ("run-started", EVENT_FORMAT)


def test_a_journal_of_a_newer_format_is_refused_with_words(tmp_path):
    event = replace(started(a_plan()), format=EVENT_FORMAT + 1)
    (tmp_path / "events.jsonl").write_bytes(encode(Stamped(1, AT, 0.0, event)))
    stamped, damage = read_journal(tmp_path / "events.jsonl")
    assert stamped == []
    assert damage == (
        f"line 1 cannot be used: it is of format {EVENT_FORMAT + 1}, "
        f"and this calseq reads up to {EVENT_FORMAT}: {NEWER}"
    )


def a_record(**fields):
    texts = (
        "run",
        "title",
        "bench",
        "mode",
        "module",
        "operator",
        "digest",
        "calseq",
        "python",
        "host",
        "started",
    )
    return RunRecord(**{name: name for name in texts}, simulated=True, pid=1, **fields)


def test_a_record_of_a_newer_format_is_refused_with_words(tmp_path):
    write_record(tmp_path, a_record(format=RUN_FORMAT + 1))
    with pytest.raises(msgspec.ValidationError, match=NEWER):
        read_record(tmp_path)
    assert not ended_safely(tmp_path)
    write_record(tmp_path, a_record())
    assert read_record(tmp_path) == a_record()


def test_a_newer_record_is_refused_for_its_format_whatever_else_it_has(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"format": RUN_FORMAT + 1, "steps": [], "run": 5}))
    with pytest.raises(msgspec.ValidationError, match=NEWER):
        read_record(tmp_path)


def test_a_plan_of_a_newer_format_is_refused_with_words():
    plan = a_plan()
    assert from_json(to_json(plan)) == plan
    with pytest.raises(msgspec.ValidationError, match=NEWER):
        from_json(to_json(replace(plan, format=PLAN_FORMAT + 1)))


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b'{"format": "1"}', b"\xff", b"[" * 5000])
def test_what_is_no_record_is_refused_as_before(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError, RecursionError)):
        read_record(tmp_path)
