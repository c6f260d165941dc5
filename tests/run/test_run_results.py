"""The digests of results: taken when a step ends, in bounded time, and held against the files later."""

import hashlib
import os
import shutil
import time
from pathlib import Path

import pytest
from msgspec.structs import replace
from run_doubles import TUNING, Deed, World, ran

import calseq
from calseq import api
from calseq.model import events
from calseq.model.events import ResultFile
from calseq.model.plan import OnFailure
from calseq.record.journal import encode, read_journal
from calseq.record.run_folder import read_record, write_record
from calseq.record.seal import digest_of, seal, sums, verify
from calseq.run.attempt import MOST_RESULTS, Results, read_results
from calseq.run.executor import HURRIED_S, RESULTS_S
from calseq.run.run import prepare_run
from calseq.system.signals import Stops

BENCH = Path(__file__).parents[2] / "sequences" / "benches" / "double"


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def test_every_file_is_told_with_its_size_and_digest_the_smallest_first(tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "Run1.root").write_bytes(b"hits" * 100)
    (tmp_path / "IV é.csv").write_bytes(b"0,0\n")
    (tmp_path / "empty").touch()
    (tmp_path / "link").symlink_to("IV é.csv")
    os.mkfifo(tmp_path / "fifo")
    assert read_results(tmp_path, 60.0) == Results(
        (
            ResultFile("empty", 0, sha256(b"")),
            ResultFile("IV é.csv", 4, sha256(b"0,0\n")),
            ResultFile("below/Run1.root", 400, sha256(b"hits" * 100)),
        ),
        0,
    )


def test_a_folder_that_is_not_there_has_no_results(tmp_path):
    assert read_results(tmp_path / "none", 60.0) == Results()


def test_what_there_is_no_time_for_is_told_without_its_digest(tmp_path):
    """A file that never ends, as far as a second goes: 64 GiB of holes."""
    (tmp_path / "small.csv").write_bytes(b"0,0\n")
    with (tmp_path / "huge.root").open("wb") as huge:
        huge.truncate(64 << 30)
    began_s = time.monotonic()
    found = read_results(tmp_path, 0.5)
    assert time.monotonic() - began_s < 20, "the limit, with room for busy neighbours"
    assert found == Results(
        (ResultFile("small.csv", 4, sha256(b"0,0\n")), ResultFile("huge.root", 64 << 30, "")), 0
    )


def test_without_any_time_nothing_is_said_to_have_been_looked_at(tmp_path):
    (tmp_path / "small.csv").write_bytes(b"0,0\n")
    found = read_results(tmp_path, 0.0)
    assert found in (Results((), None), Results((ResultFile("small.csv", 4, ""),), 0))


def test_many_files_are_counted_and_the_smallest_told(tmp_path):
    for number in range(MOST_RESULTS + 20):
        (tmp_path / f"{number:04d}").write_bytes(b"x" * (number % 7))
    os.close(os.open(os.fsencode(tmp_path) + b"/no text \xff", os.O_CREAT | os.O_WRONLY))
    found = read_results(tmp_path, 60.0)
    assert (len(found.files), found.more_files) == (MOST_RESULTS, 21)
    sizes = [file.size for file in found.files]
    assert sizes == sorted(sizes)


def test_the_end_of_a_step_has_its_results(tmp_path):
    world = ran([TUNING]).world
    (ended,) = world.of(events.StepEnded)
    assert (ended.files, ended.more_files) == ((ResultFile("Run1.root", 4, "0" * 64),), 2)
    assert [attempt.granted_s for attempt in world.attempts] == [RESULTS_S]


def test_a_run_that_is_to_end_is_not_kept_waiting():
    world = ran([TUNING, TUNING], {1: Deed(code=1)}, on_failure=OnFailure.STOP).world
    assert [attempt.granted_s for attempt in world.attempts] == [RESULTS_S], "a failure is no hurry"
    world = World(at={1.0: "SIGINT"})
    ran([TUNING], {1: Deed(ends=60.0)}, world=world)
    assert [attempt.granted_s for attempt in world.attempts] == [HURRIED_S]


def test_a_bug_in_their_reading_does_not_keep_the_end_of_the_step_from_being_told():
    world = World(raises=("results", 1, RuntimeError("a bug")))
    code = ran([TUNING], world=world).code
    (ended,) = world.of(events.StepEnded)
    assert (code, ended.files, ended.more_files) == (70, (), None)
    assert world.bench.dark


# --- Held against the files


SEQUENCE = """calseq: 1
title: t
steps: [get_module_info, voltage_trimming, crosstalk_method]
"""


@pytest.fixture
def sealed(tmp_path):
    """A simulated run that is over, with results of three steps."""
    shutil.copytree(BENCH, tmp_path / "bench")
    (tmp_path / "s.yaml").write_text(SEQUENCE)
    bench = api.load_bench(tmp_path / "bench" / "bench.yaml", simulate=True, speed=20_000)
    plan = calseq.compile_plan(calseq.load(tmp_path / "s.yaml", bench=bench), bench)
    run = prepare_run(plan, tmp_path / "runs")
    assert run.go(Stops()).outcome.exit_code == 0
    return run.folder


def found(folder):
    return [(finding.what, finding.good, finding.found) for finding in verify(folder)]


def result(folder):
    """Path of the first result that a step left."""
    ended = [
        each.event
        for each in read_journal(folder / "events.jsonl")[0]
        if each.event.__class__ is events.StepEnded
    ]
    started = [
        each.event
        for each in read_journal(folder / "events.jsonl")[0]
        if each.event.__class__ is events.StepStarted
    ]
    return next(
        folder / begun.directory / over.files[0].name
        for begun, over in zip(started, ended, strict=True)
        if over.files
    )


def sealed_anew(folder):
    """Make a seal that fits what is there now, with the record's word on it: nothing but the events is left to tell."""
    lines = sums(folder)
    write_record(folder, replace(read_record(folder), sums_sha256=digest_of(lines)))
    seal(folder, lines)


def test_results_are_held_against_the_events(sealed):
    told = [(good, words) for what, good, words in found(sealed) if what == "results"]
    count = len([path for path in (sealed / "data").rglob("*") if path.is_file()])
    assert count
    assert told == [(True, f"all {count} files are as events.jsonl has them")]


def test_a_result_that_was_changed_is_found_though_the_seal_was_made_to_fit(sealed):
    path = result(sealed)
    path.write_bytes(path.read_bytes() + b"0")
    sealed_anew(sealed)
    name = str(path.relative_to(sealed))
    assert [each for each in found(sealed) if each[1] is False] == [
        (name, False, "it was changed: events.jsonl has another digest")
    ]
    path.unlink()
    sealed_anew(sealed)
    assert [each for each in found(sealed) if each[1] is False] == [
        (name, False, "it is gone: events.jsonl has another digest")
    ]


def rewritten(folder, change):
    """Write the events anew, `change` made to each end of a step."""
    told, wrong = read_journal(folder / "events.jsonl")
    assert not wrong
    lines = [encode(replace(each, event=change(each.event))) for each in told]
    (folder / "events.jsonl").write_bytes(b"".join(lines))
    sealed_anew(folder)


def without_digests(event):
    if not isinstance(event, events.StepEnded):
        return event
    return replace(
        event, files=tuple(ResultFile(file.name, file.size) for file in event.files), more_files=None
    )


def test_a_result_without_a_digest_is_known_by_its_size(sealed):
    rewritten(sealed, without_digests)
    (words,) = [words for what, good, words in found(sealed) if what == "results" and good]
    assert words.endswith("of them by their size only; it does not have all that there were")
    path = result(sealed)
    size = path.stat().st_size
    path.write_bytes(b"0" * (size + 1))
    sealed_anew(sealed)
    assert [each[2] for each in found(sealed) if each[1] is False] == [
        f"it was changed: events.jsonl has {size} bytes, not {size + 1}"
    ]


def test_an_older_run_whose_events_have_no_digests_is_as_good_as_it_was(sealed):
    rewritten(
        sealed, lambda event: replace(event, files=()) if isinstance(event, events.StepEnded) else event
    )
    assert all(good for _, good, _ in found(sealed))
    assert "results" not in [what for what, _, _ in found(sealed)]
