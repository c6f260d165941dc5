"""The journal: what is read back is what was written, or less of it, and never anything else."""

import json
import os
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calseq.model import events
from calseq.model.events import EVENT_FORMAT, KINDS, Stamped
from calseq.model.expectations import Expectation
from calseq.model.rails import Move, Reading, Readings
from calseq.model.verdicts import RunVerdict, Verdict
from calseq.record.journal import Journal, decode, encode, read_journal
from calseq.run.bus import Bus, RecordLost

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
READINGS = st.builds(Reading, st.none() | st.booleans(), st.none() | NUMBERS, st.none() | NUMBERS)
BY_TYPE = {
    str: st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace").decode()),
    int: st.integers(0, 2**31),
    float: NUMBERS,
    bool: st.booleans(),
    Verdict: st.sampled_from(Verdict),
    RunVerdict: st.sampled_from(RunVerdict),
    Move: st.sampled_from(Move),
    Readings: st.builds(Readings, READINGS, READINGS),
    tuple[str, ...]: st.lists(st.text("abc\n\"\\,crc:{}'é\u2028", max_size=12), max_size=3).map(tuple),
}
for plain in (str, int, float, Move):
    BY_TYPE[plain | None] = st.none() | BY_TYPE[plain]
BY_TYPE[tuple[Expectation, ...]] = st.lists(
    st.builds(Expectation, BY_TYPE[int], NUMBERS, BY_TYPE[int], BY_TYPE[float | None]), max_size=3
).map(tuple)
BY_TYPE[tuple[events.SupplyDecided, ...]] = st.lists(
    st.builds(events.SupplyDecided, BY_TYPE[str], BY_TYPE[bool], BY_TYPE[str]), max_size=3
).map(tuple)
BY_TYPE[tuple[events.ResultFile, ...]] = st.lists(
    st.builds(events.ResultFile, BY_TYPE[str], BY_TYPE[int], BY_TYPE[str]), max_size=3
).map(tuple)
BY_TYPE[int | None] = st.none() | BY_TYPE[int]
BY_NAME = {"format": st.integers(0, EVENT_FORMAT)}


def strategy(name, type_):
    return BY_NAME[name] if name in BY_NAME else BY_TYPE[type_]


EVENTS = st.one_of(
    [
        st.builds(kind, **{name: strategy(name, type_) for name, type_ in kind.__annotations__.items()})
        for kind in KINDS.values()
    ]
)
STAMPED = st.builds(
    Stamped,
    st.integers(1, 10**6),
    st.integers(0, 4 * 10**9).map(float),
    st.integers(0, 10**6).map(float),
    EVENTS,
)

SHORT = [
    events.StepStarted(1, "iv", 1, "steps/01-iv/log.txt", "data/01-iv"),
    events.RailMoved(Move.LV_ON, Readings(Reading(True, 4.0, 3.7), Reading(False, 0.1)), 2.0, 1),
    events.StepEnded(
        1, "iv", 1, Verdict.FAILED, 3.25, exit_code=1, reason='said ","crc":"0" é', last_lines=("a", "b")
    ),
    events.RunEnded(RunVerdict.FAILED, 1, 4.0, "iv failed"),
]


@pytest.fixture
def short(tmp_path):
    path = tmp_path / "events.jsonl"
    with Journal(path) as journal:
        bus = Bus(vital=[journal], clock=lambda: 5.0, wall=lambda: 1.7e9)
        for event in SHORT:
            bus.emit(event)
    return path


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STAMPED)
def test_every_event_comes_back_as_it_went(stamped):
    line = encode(stamped)
    assert line.count(b"\n") == 1
    assert decode(line) == stamped


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(EVENTS, max_size=8), st.integers(0, 400))
def test_a_journal_torn_anywhere_gives_a_good_beginning(tmp_path, written, cut):
    path = tmp_path / "events.jsonl"
    path.unlink(missing_ok=True)
    with Journal(path) as journal:
        bus = Bus(vital=[journal])
        for event in written:
            bus.emit(event)
    whole, wrong = read_journal(path)
    assert [each.event for each in whole] == written
    assert wrong == ""
    content = path.read_bytes()
    path.write_bytes(content[: max(0, len(content) - cut)])
    read, _ = read_journal(path)
    assert read == whole[: len(read)]


def test_torn_at_every_byte_it_gives_the_whole_lines_before(short):
    content = short.read_bytes()
    for size in range(len(content)):
        short.write_bytes(content[:size])
        read, wrong = read_journal(short)
        assert [each.event for each in read] == SHORT[: content[:size].count(b"\n")]
        assert bool(wrong) is (content[:size] != b"" and not content[:size].endswith(b"\n"))


def test_with_every_bit_flipped_it_gives_a_good_beginning_and_says_where_it_ends(short):
    content = b"".join(short.read_bytes().splitlines(keepends=True)[:2])
    good = read_journal(short)[0]
    for place in range(len(content) * 8):
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        short.write_bytes(damaged)
        read, wrong = read_journal(short)
        line = content[: place // 8].count(b"\n")
        assert read == good[:line]
        assert f"line {line + 1} " in wrong


@pytest.mark.parametrize(
    "tail", [b"\0" * 4096, b"{}\n", b"\n", b"null\n", b"\xff\xfe\n", b"[" * 100_000 + b"\n"]
)
def test_a_strange_tail_is_told_and_costs_nothing_before_it(short, tail):
    content = short.read_bytes()
    short.write_bytes(content + tail)
    read, wrong = read_journal(short)
    assert [each.event for each in read] == SHORT
    assert "line 5" in wrong


def test_lines_in_another_order_are_not_believed(short):
    lines = short.read_bytes().splitlines(keepends=True)
    short.write_bytes(lines[1] + lines[0])
    assert read_journal(short)[0] == []


def test_an_event_of_a_later_version_ends_the_reading_without_a_traceback(short):
    stamped = Stamped(1, 0.0, 0.0, SHORT[3])
    body = encode(stamped).replace(b"run-ended", b"run-blessed").rpartition(b',"crc')[0]
    short.write_bytes(body + b',"crc":"%08x"}\n' % zlib.crc32(body))
    read, wrong = read_journal(short)
    assert read == []
    assert "run-blessed" in wrong


def test_steps_and_ends_are_on_the_disk_when_told_and_nothing_else_waits(tmp_path):
    synced = []
    with Journal(tmp_path / "e.jsonl", sync=synced.append) as journal:
        bus = Bus(vital=[journal])
        for event, count in (
            (events.RailMoving(Move.LV_ON), 0),
            (events.StepStarted(1, "a", 1, "", ""), 1),
            (events.ChildStarted(1, 1, 5), 1),
            (events.StepSkipped(2, "b", ""), 2),
        ):
            bus.emit(event)
            assert len(synced) == count


def test_a_move_of_the_rails_is_in_the_file_before_the_rails_move(tmp_path):
    """A calseq that is killed then has a guard that moved nothing of which the record does not know."""
    path = tmp_path / "events.jsonl"
    with Journal(path, sync=lambda _: None) as journal:
        for seq in range(1, 101):
            journal(Stamped(seq, 0.0, 0.0, events.RailMoving(Move.HV_BIAS, seq)))
            assert path.read_bytes().count(b"\n") == seq


def test_a_journal_is_never_written_over(tmp_path):
    Journal(tmp_path / "e.jsonl")
    with pytest.raises(FileExistsError):
        Journal(tmp_path / "e.jsonl")


def emit_all(bus, told):
    for event in told:
        bus.emit(event)


def removed(path):
    path.unlink()


def moved(path):
    path.rename(path.with_name("moved.jsonl"))


def cut(path):
    os.truncate(path, 0)


def shortened(path):
    os.truncate(path, path.stat().st_size - 1)


def lengthened(path):
    with path.open("ab") as file:
        file.write(b"more\n")


def overwritten(path):
    with path.open("r+b") as file:
        file.write(b"#" * 20)


def linked(path):
    path.rename(path.with_name("x"))
    path.symlink_to("/dev/null")


def copied(path):
    """The same bytes, in another file."""
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [removed, moved, cut, shortened, lengthened, overwritten, linked, copied])
@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_journal_that_is_not_what_was_written_is_a_lost_record_at_the_latest_at_the_end(
    tmp_path, harm, after
):
    path = tmp_path / "other.jsonl"
    with Journal(path) as journal:
        bus = Bus(vital=[journal])
        for event in SHORT[:after]:
            bus.emit(event)
        if after == 2:  # its line is on its way
            bus.emit(SHORT[2])
        harm(path)
        with pytest.raises(RecordLost, match="the record cannot be written: "):
            emit_all(bus, SHORT[after:])
        bus.emit(SHORT[3])  # once told, the run is brought to its end without it


def test_a_disk_that_hangs_is_a_lost_record_after_its_limit(tmp_path):
    free = threading.Event()
    with Journal(tmp_path / "e.jsonl", limit_s=0.1, sync=lambda _: free.wait(30)) as journal:
        bus = Bus(vital=[journal])
        with pytest.raises(RecordLost, match=r"the disk has not taken it within 0\.1 s"):
            bus.emit(SHORT[0])
        bus.emit(SHORT[2])
    free.set()


FULL_DISK = """
import resource, sys
from pathlib import Path
from test_run_journal import SHORT
from calseq.run.bus import Bus, RecordLost
from calseq.record.journal import Journal
folder, most = Path(sys.argv[1]), int(sys.argv[2])
for limit in range(0, most, 17):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    bus = Bus(vital=[Journal(folder / f"{limit}.jsonl")])
    try:
        for event in SHORT:
            bus.emit(event)
    except RecordLost:
        continue
    sys.exit(f"nothing was lost at {limit} bytes")
"""


def test_a_full_disk_leaves_a_journal_that_can_be_read(tmp_path):
    """A limit on the size of files stands for a disk that is full at any byte."""
    most = sum(len(encode(Stamped(n, 0.0, 0.0, event))) for n, event in enumerate(SHORT, 1))
    subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path), str(most)], check=True, cwd=Path(__file__).parent
    )
    journals = list(tmp_path.glob("*.jsonl"))
    assert len(journals) > 10
    for journal in journals:
        read = [each.event for each in read_journal(journal)[0]]
        assert read == SHORT[: len(read)]


def test_listeners_that_only_watch_are_dropped_and_the_others_told():
    told = []

    def broken(_stamped):
        raise ValueError("oh")

    bus = Bus(vital=[told.append], courtesy={"screen": broken, "lines": lambda _stamped: None})
    bus.emit(SHORT[0])
    bus.emit(SHORT[1])
    assert [type(each.event).__name__ for each in told] == ["StepStarted", "ListenerDropped", "RailMoved"]
    assert [each.seq for each in told] == [1, 2, 3]


def test_a_line_is_json_that_anybody_can_read(short):
    first = json.loads(Path(short).read_text().splitlines()[0])
    assert (first["seq"], first["event"], first["name"]) == (1, "step-started", "iv")
    assert list(first)[-1] == "crc"
