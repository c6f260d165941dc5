"""The queue on disk and what its lines come to: nothing told is forgotten, nothing sent is sent again."""

import os
import signal
import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from upload_stand import until

from calseq.model.destinations import FolderReceiver, Upload
from calseq.problems.refused import Refused
from calseq.record.journal import with_checksum
from calseq.upload.entries import Marked, Queued, SequenceAsked, SequenceFailed, SequenceOpened, State
from calseq.upload.ledger import Ledger, fold, merged
from calseq.upload.queue import Queue, encode, read_queue
from calseq.upload.results import Result, ResultFile


def result(name, *paths, module="M"):
    return Result(
        module, name, "noise", "s", tuple(ResultFile(path, "d" * 64) for path in paths or (f"{name}.root",))
    )


def queued(*results):
    return Queued("run", "T", "dirigent", Upload(FolderReceiver("/out")), simulated=False, results=results)


A, B = result("00_A"), result("01_B")
HISTORY = (
    queued(A, B),
    SequenceAsked("M"),
    SequenceFailed("M", "no answer", maybe=True),
    SequenceAsked("M"),
    SequenceOpened("M", 17),
    Marked("M", ("00_A",), State.SENDING),
    Marked("M", ("00_A",), State.SENT),
    Marked("M", ("01_B",), State.SENDING),
    Marked("M", ("01_B",), State.GIVEN_UP, "no answer", maybe=True),
)


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "20260101-000000-x"
    place.mkdir()
    with Queue(place) as queue:
        for entry in HISTORY:
            queue.write(entry)
    return place


def test_what_was_written_is_read_back(folder):
    assert read_queue(folder) == fold(HISTORY)
    ledger = read_queue(folder)
    assert (ledger.sent, ledger.is_done, ledger.sequence("M").number, ledger.sequence("M").maybe_empty) == (
        1,
        False,
        17,
        1,
    )
    assert [item.result.name for item in ledger.waiting("M")] == ["01_B"]
    assert (ledger.items[1].maybe, ledger.items[1].reason, ledger.items[1].tries) == (True, "no answer", 1)


def test_wherever_the_file_is_torn_what_stands_before_it_counts(folder):
    path = folder / "upload.jsonl"
    content = path.read_bytes()
    ends = [0, *(place + 1 for place, byte in enumerate(content) if byte == 10)]
    for size in range(len(content)):
        path.write_bytes(content[:size])
        whole = sum(end <= size for end in ends) - 1
        assert (read_queue(folder) or Ledger()) == fold(HISTORY[:whole]), size


def test_a_torn_line_is_cut_off_kept_and_written_after(folder):
    path = folder / "upload.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    with Queue(folder) as queue:
        queue.write(HISTORY[-1])
    assert read_queue(folder) == fold(HISTORY)
    assert (folder / "upload.torn-1.jsonl").read_bytes()


def test_damage_in_the_middle_is_refused_and_nothing_is_sent(folder):
    path = folder / "upload.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"sequence":17', b'"sequence":71'))
    with pytest.raises(Refused, match="damaged in line 5"):
        Queue(folder)


def test_a_queue_of_a_newer_calseq_is_refused(folder):
    path = folder / "upload.jsonl"
    newer = Queued("run", "T", "d", Upload(FolderReceiver("/out")), simulated=False, results=(), format=2)
    path.write_bytes(encode(1, newer) + encode(2, SequenceAsked("M")))
    with pytest.raises(Refused, match="newer calseq"):
        Queue(folder)


STRANGE = [
    b'{"seq":10,"at":"x","entry":"verified","module":"M"',
    b'{"seq":10,"at":"x","entry":"marked","module":"M","names":["00_A"],"state":"shelved"',
    b'{"seq":10,"at":"x","entry":"marked","module":{"name":"M"},"names":["00_A"],"state":"sent"',
    b'{"seq":10,"at":"x"',
]


@pytest.mark.parametrize("line", STRANGE)
def test_a_whole_line_that_is_not_understood_is_never_cut_off(folder, line):
    path = folder / "upload.jsonl"
    content = path.read_bytes() + with_checksum(line)
    path.write_bytes(content)
    for look in (Queue, read_queue):
        with pytest.raises(Refused, match=r"line 10 of upload\.jsonl was made by a newer calseq"):
            look(folder)
    assert path.read_bytes() == content
    assert not list(folder.glob("*torn*"))


def test_a_whole_line_in_the_wrong_place_is_damage_also_at_the_end(folder):
    path = folder / "upload.jsonl"
    path.write_bytes(path.read_bytes() + encode(12, SequenceAsked("M")))
    with pytest.raises(Refused, match="damaged in line 10"):
        Queue(folder)


def test_who_holds_a_queue_is_named_with_what_ends_it(folder):
    code = "import time; time.sleep(600)"
    with Queue(folder) as queue:
        child = subprocess.Popen([sys.executable, "-c", code], pass_fds=queue.descriptors)
    try:
        with pytest.raises(Refused) as refused:
            Queue(folder)
        (problem,) = refused.value.problems
        assert f"pid {child.pid}, {sys.executable} -c {code}" in problem.message
        assert problem.cure == f"wait for its end, or end it: kill {child.pid}"
    finally:
        child.kill()
        child.wait()
    Queue(folder).release()


def test_a_queue_is_held_by_one_process_and_a_killed_one_frees_it(folder):
    code = "import sys, pathlib; from calseq.upload.queue import Queue; q = Queue(pathlib.Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout.readline() == "held\n"
        with pytest.raises(Refused, match="another 'calseq upload'"):
            Queue(folder)
        assert read_queue(folder) == fold(HISTORY)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    finally:
        child.kill()
        child.communicate()

    def held():
        try:
            return Queue(folder)
        except Refused:
            return None

    until(held).release()


MARKS = st.builds(
    Marked,
    st.just("M"),
    st.sampled_from([("00_A",), ("01_B",), ("00_A", "01_B")]),
    st.sampled_from([State.SENDING, State.GIVEN_UP, State.REFUSED, State.UNCLEAR]),
    st.just(""),
    st.booleans(),
)


@given(
    st.lists(MARKS, max_size=6),
    st.lists(st.sampled_from([queued(A), queued(B), queued(A, B), queued()]), max_size=4),
)
def test_what_has_arrived_is_never_to_be_sent_again_whatever_is_queued_later(before, later):
    sent = Marked("M", ("00_A",), State.SENT)
    ledger = fold([queued(A, B), *before, sent, *later])
    assert "00_A" not in [item.result.name for item in ledger.waiting("M")]
    assert sum(item.result == A for item in ledger.items) == 1


@given(st.lists(MARKS, max_size=8))
def test_what_may_have_arrived_is_never_forgotten_before_it_is_known_to(marks):
    ledger = fold([queued(A, B), *marks])
    for item in ledger.items:
        mine = [mark for mark in marks if item.result.name in mark.names]
        began = [mark.state is State.SENDING for mark in mine]
        cut_off = any(map(all, pairwise(began))) or began[-1:] == [True]
        assert item.is_in_doubt is (cut_off or any(mark.maybe for mark in mine))


def test_a_result_that_was_measured_anew_after_it_was_sent_gets_a_name_of_its_own():
    ledger = fold([queued(A, B), Marked("M", ("00_A",), State.SENT)])
    anew = result("00_A", "data/01-a.2/x.root")
    names = merged(ledger, [anew, B])
    assert [each.name for each in names] == ["00_A_2", "01_B"]
    after = fold([queued(A, B), Marked("M", ("00_A",), State.SENT), queued(*names)])
    assert [(item.result.name, item.state) for item in after.items] == [
        ("00_A", "sent"),
        ("00_A_2", "queued"),
        ("01_B", "queued"),
    ]


def test_a_result_that_was_measured_anew_before_it_was_sent_takes_the_place_of_the_old_one():
    anew = result("00_A", "data/01-a.2/x.root")
    ledger = fold([queued(A, B)])
    assert merged(ledger, [anew, B]) == (anew, B)
    assert [item.result for item in fold([queued(A, B), queued(anew, B)]).items] == [anew, B]


@pytest.mark.parametrize("state", [State.REFUSED, State.GIVEN_UP])
def test_a_result_that_never_arrived_goes_when_it_was_measured_anew(state):
    anew = result("00_A", "data/01-a.2/x.root")
    before = [queued(A, B), Marked("M", ("00_A",), State.SENDING), Marked("M", ("00_A",), state, "no")]
    names = merged(fold(before), [anew, B])
    assert [each.name for each in names] == ["00_A", "01_B"]
    ledger = fold([*before, queued(*names)])
    assert [(item.result, item.state) for item in ledger.items] == [(anew, "queued"), (B, "queued")]


@pytest.mark.parametrize(
    "last",
    [
        Marked("M", ("00_A",), State.SENDING),
        Marked("M", ("00_A",), State.GIVEN_UP, "no answer", maybe=True),
        Marked("M", ("00_A",), State.REFUSED, "no", maybe=True),
        Marked("M", ("00_A",), State.UNCLEAR, "no", maybe=True),
    ],
)
def test_a_result_that_may_have_arrived_stays_when_it_was_measured_anew(last):
    anew = result("00_A", "data/01-a.2/x.root")
    names = merged(fold([queued(A, B), last]), [anew, B])
    ledger = fold([queued(A, B), last, queued(*names)])
    assert [(item.result.name, item.state, item.is_in_doubt) for item in ledger.items] == [
        ("00_A", last.state, True),
        ("00_A_2", "queued", False),
        ("01_B", "queued", False),
    ]


def test_a_known_result_keeps_its_name_though_its_number_would_be_another_now():
    ledger = fold([queued(A, B), Marked("M", ("01_B",), State.SENT)])
    more = result("01_NEW")
    later = result("02_B", *B.paths)
    assert [each.name for each in merged(ledger, [A, more, later])] == ["00_A", "01_NEW", "01_B"]


def test_a_sequence_that_was_asked_for_and_never_heard_of_may_be_left_empty():
    asked = [queued(A), SequenceAsked("M"), SequenceAsked("M")]
    assert fold(asked).sequence("M").maybe_empty == 1
    assert fold([*asked, SequenceOpened("M", 3)]).sequence("M").maybe_empty == 1
