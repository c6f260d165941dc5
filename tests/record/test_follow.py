"""A skim tells of a journal what a whole reading of it would, whatever its size and whatever happened to it."""

import pytest
from console_runs import AT, a_plan, failed_run, good_run, stamped, unsafe_run, until_tuning

from calseq.model.events import MonitorRead, RunEnded, RunStarted, Stamped, StepProgressed
from calseq.record.follow import Follower, Skim, skim
from calseq.record.journal import encode
from calseq.record.view import begin, fold

RUNS = {"good": good_run, "failed": failed_run, "unsafe": unsafe_run, "no-end": until_tuning}


def journal(tmp_path, events):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"".join(encode(each) for each in events))
    return path


def view_of(events):
    view = begin(a_plan())
    for each in events:
        view = fold(view, each)
    return view


def told(view):
    """What a person is told of a view: of a step that is over, its banner is not."""
    return (
        [(each.state, each.attempt, each.duration_s, each.reason) for each in view.steps],
        view.rails,
        view.notes,
        view.ended,
        view.t,
        view.running,
    )


@pytest.mark.parametrize("name", RUNS)
def test_a_skim_tells_what_all_events_tell(tmp_path, name):
    events = stamped(RUNS[name](a_plan()))
    skimmed = skim(journal(tmp_path, events))
    assert told(view_of(skimmed.stamped)) == told(view_of(events))
    assert (skimmed.damage, skimmed.torn, skimmed.lines) == ((), False, len(events))
    assert skimmed.end == (tmp_path / "events.jsonl").stat().st_size


def test_of_progress_the_last_is_kept_and_of_every_monitor_the_last_good_look_and_all_bad_ones(tmp_path):
    what = [
        MonitorRead("door", True, "shut"),
        StepProgressed(4, 1, 1, 3, "a"),
        MonitorRead("dew", False, "", "too wet"),
        MonitorRead("dew", True, "-20"),
        MonitorRead("door", True, "still shut"),
        StepProgressed(4, 1, 2, 3, "b"),
        MonitorRead("dew", True, "-21"),
        StepProgressed(4, 1, 3, 3, 'said "event":"step-ended"'),
        RunEnded("passed", 0, 1.0),
    ]
    skimmed = skim(journal(tmp_path, stamped(enumerate(what))))
    assert [each.seq for each in skimmed.stamped] == [3, 5, 7, 8, 9]
    assert skimmed.lines == 9


def test_a_storm_of_progress_beyond_every_chunk_leaves_the_last_and_what_is_between(tmp_path):
    count = 20_000
    what = [StepProgressed(4, 1, n % 8, 8, "x" * 40) for n in range(count)]
    what[count // 2] = RunEnded("passed", 0, 1.0)
    path = journal(tmp_path, stamped(enumerate(what)))
    assert path.stat().st_size > 3 << 20
    skimmed = skim(path)
    assert [each.seq for each in skimmed.stamped] == [count // 2 + 1, count]
    assert (skimmed.lines, skimmed.damage) == (count, ())


@pytest.fixture
def short(tmp_path):
    return journal(tmp_path, stamped(failed_run(a_plan()))[:9])


def test_torn_at_every_byte_it_gives_the_whole_lines_before_and_says_that_it_is_torn(short):
    content = short.read_bytes()
    whole = skim(short).stamped
    for size in range(len(content)):
        short.write_bytes(content[:size])
        skimmed = skim(short)
        lines = content[:size].count(b"\n")
        assert skimmed.stamped == whole[:lines]
        assert skimmed.torn is (size > 0 and content[size - 1 : size] != b"\n")
        assert skimmed.damage == ()


def test_with_every_bit_flipped_nothing_false_is_told_and_the_rest_counts(short):
    content = short.read_bytes()[:1400]
    content = content[: content.rfind(b"\n") + 1]
    short.write_bytes(content)
    whole = skim(short).stamped
    assert not any(isinstance(each.event, StepProgressed) for each in whole)
    for place in range(len(content) * 8):
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        short.write_bytes(damaged)
        skimmed = skim(short)
        assert set(map(str, skimmed.stamped)) < set(map(str, whole))
        assert skimmed.damage or skimmed.torn


@pytest.mark.parametrize(
    "middle", [b"\0" * 4096, b"{}\n", b"\n", b"null\n", b"\xff\xfe\n", b"[" * 100_000 + b"\n"]
)
def test_a_strange_middle_is_told_and_never_a_traceback(short, middle):
    lines = short.read_bytes().splitlines(keepends=True)
    short.write_bytes(b"".join(lines[:4]) + middle + b"".join(lines[4:]))
    skimmed = skim(short)
    assert [each.seq for each in skimmed.stamped][:4] == [1, 2, 3, 4]
    assert "line 5" in skimmed.damage[0]


def test_much_damage_is_told_in_few_lines(short):
    short.write_bytes(b"{}\n" * 100)
    assert len(skim(short).damage) == 6
    assert skim(short).damage[-1] == "and 95 lines more"


def test_what_is_appended_is_given_once_and_only_when_its_line_is_whole(tmp_path):
    events = stamped(good_run(a_plan()))
    path = journal(tmp_path, events[:3])
    follower = Follower(path, skim(path))
    assert list(follower.more()) == []
    with path.open("ab") as file:
        for each in events[3:]:
            line = encode(each)
            file.write(line[:20])
            file.flush()
            assert list(follower.more()) == []
            file.write(line[20:])
            file.flush()
            assert [(one.seq, one.event) for one in follower.more()] == [(each.seq, each.event)]
    assert follower.damage == []


def test_a_journal_that_is_not_there_yet_is_waited_for(tmp_path):
    follower = Follower(tmp_path / "events.jsonl", Skim())
    assert list(follower.more()) == []
    journal(tmp_path, stamped(good_run(a_plan()))[:1])
    assert [type(each.event) for each in follower.more()] == [RunStarted]


def test_a_damaged_line_that_is_appended_is_noted_and_the_next_ones_count(tmp_path):
    event = RunEnded("passed", 0, 1.0)
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"broken\n" + encode(Stamped(2, AT, 1.0, event)))
    follower = Follower(path, Skim())
    assert [each.event for each in follower.more()] == [event]
    assert "line 1" in follower.damage[0]
