"""Times that are expected: marked by where they come from, never above what is known, and slow when they are."""

import pytest
from console_runs import a_plan, after, stamped, started, step_start, stopped, until_tuning
from msgspec.structs import replace

from calseq.console.characters import ASCII, UNICODE, alphabet
from calseq.console.forecast import bar, is_long, lateness, pace, remaining, said_pace, said_usual, silence
from calseq.console.frame import Moment, frame
from calseq.console.line import sheet
from calseq.console.planview import plan_text
from calseq.model.expectations import Expectation
from calseq.record.log_tail import Tail
from calseq.record.view import begin, fold
from calseq.record.words import usual

MEASURED = Expectation(4, 600.0, 10, 900.0)
ALL = (
    Expectation(1, 80.0, 10, 5.0),
    Expectation(2, 110.0, 4, 5.0),
    Expectation(3, 170.0, 10, 5.0),
    MEASURED,
    Expectation(5, 290.0, 3, 5.0),
)
BEGAN_T = 450.0
LINES = ("2026-11-23 02:10:00 INFO calibrate_module - Progress: 5%",)


def tuning(expected=ALL):
    """A run in its fourth step, which began at 450 s."""
    plan = a_plan()
    view = begin(plan)
    for each in stamped(until_tuning(plan)):
        event = replace(each.event, expected=expected) if each.seq == 1 else each.event
        view = fold(view, replace(each, event=event))
    return view


def step_at(elapsed_s, expected=ALL):
    return tuning(expected).running, BEGAN_T + elapsed_s


@pytest.mark.parametrize(
    ("expected", "cell", "sentence"),
    [
        (MEASURED, "~10m", "~10m expected"),
        (Expectation(4, 2700.0), "usual 45m", "usually 45m"),
        (Expectation(4, 0.45, 3), "~0.5s", "~0.5s expected"),
        (None, "", ""),
    ],
)
def test_a_time_says_where_it_comes_from(expected, cell, sentence):
    assert (usual(expected), said_usual(expected)) == (cell, sentence)


@pytest.mark.parametrize(
    ("elapsed_s", "shown", "said", "word"),
    [
        (0, "00:00 / ~10m", "has run for 0.0s, ~10m expected", ""),
        (600, "10:00 / ~10m", "has run for 10m 00s, ~10m expected", ""),
        (601, "10:01 / ~10m, late", "has run for 10m 01s, late: ~10m expected", "late"),
        (899, "14:59 / ~10m, late", "has run for 14m 59s, late: ~10m expected", "late"),
        (900, "15:00 / ~10m, SLOW", "has run for 15m 00s, SLOW: ~10m expected", "SLOW"),
        (90_000, "25:00:00 / ~10m, SLOW", "has run for 25h 00m 00s, SLOW: ~10m expected", "SLOW"),
    ],
)
def test_a_step_is_late_and_then_slow(elapsed_s, shown, said, word):
    step, now_t = step_at(elapsed_s)
    assert (pace(step, now_t), said_pace(step, now_t), lateness(step, now_t)) == (shown, said, word)


def test_the_catalogue_makes_slow_too_and_says_that_it_is_the_catalogue():
    step, now_t = step_at(3600, ())
    assert pace(step, now_t) == "1:00:00 / usual 40m, SLOW"
    assert pace(step, now_t, brief=True) == "1:00:00 SLOW"


def test_what_nobody_knows_is_neither_late_nor_slow():
    step = replace(tuning().running, expected=None)
    assert (pace(step, 1e6), lateness(step, 1e6), bar(step, 1e6, UNICODE)) == ("277:39:10", "", "")


@pytest.mark.parametrize(
    ("elapsed_s", "drawn"),
    [
        (0, "────────"),
        (74, "────────"),
        (75, "━───────"),
        (300, "━━━━────"),
        (599, "━━━━━━━─"),
        (1e9, "━━━━━━━─"),
    ],
)
def test_the_bar_is_never_full_while_a_step_runs(elapsed_s, drawn):
    assert bar(*step_at(elapsed_s), UNICODE) == drawn


def test_there_is_no_bar_for_what_was_not_measured():
    assert bar(*step_at(300, ()), UNICODE) == ""
    assert bar(*step_at(300), ASCII) == "####----"


@pytest.mark.parametrize(
    ("expected", "elapsed_s", "words"),
    [
        (ALL, 0, "~15m"),
        (ALL, 300, "~9m 50s"),
        (ALL, 600, "~4m 50s"),
        (ALL, 601, "at least 4m 50s"),
        (ALL[:4], 0, "at least 10m"),
        (ALL[:4], 601, ""),
        ((*ALL[:4], Expectation(5, 300.0)), 0, "usually 15m"),
        (ALL[:3], 0, ""),
    ],
    ids=[
        "measured",
        "half-way",
        "due",
        "late",
        "one unknown",
        "unknown and late",
        "one by the catalogue",
        "all unknown",
    ],
)
def test_the_rest_of_a_run_is_told_as_well_as_it_is_known(expected, elapsed_s, words):
    assert remaining(tuning(expected), BEGAN_T + elapsed_s).words == words


def test_a_run_that_is_stopped_has_nothing_left_to_be_told():
    view = after(a_plan(), stopped(a_plan()))
    assert remaining(view, 700.0).words == ""


@pytest.mark.parametrize(
    ("silent_s", "longest_s", "empty", "words"),
    [
        (4.9, 900.0, False, ""),
        (720.0, 900.0, False, "silent for 12m 00s (longest seen 15m)"),
        (901.0, 900.0, False, "silent for 15m 01s, longer than ever seen (15m)"),
        (720.0, None, False, "silent for 12m 00s"),
        (42.0, 60.0, True, "no output yet for 42s (longest seen 1m)"),
    ],
)
def test_a_silence_is_told_beside_the_longest_seen(silent_s, longest_s, empty, words):
    assert silence(silent_s, longest_s, empty=empty) == words


@pytest.mark.parametrize(
    ("silent_s", "longest_s", "long"),
    [
        (599, None, False),
        (600, None, True),
        (899, 900.0, False),
        (900, 900.0, True),
        (59, 1.0, False),
        (60, 1.0, True),
    ],
)
def test_a_silence_to_look_at_is_longer_than_any_seen(silent_s, longest_s, long):
    assert is_long(silent_s, longest_s) is long


@pytest.mark.parametrize(("name", "elapsed_s"), [("half-way", 310), ("late", 700), ("slow", 1000)])
@pytest.mark.parametrize(("columns", "rows"), [(40, 8), (80, 24)])
def test_a_picture_with_measured_times(golden, name, elapsed_s, columns, rows):
    moment = Moment(tuning(), BEGAN_T + elapsed_s, Tail(LINES, 100, 130.0), alphabet(ascii=False))
    golden(f"live-measured-{name}-{columns}x{rows}.txt", sheet(frame(moment, columns, rows), color=False))


def test_a_plan_with_measured_times(golden):
    mixed = (*ALL[:3], Expectation(4, 2400.0))
    for name, expected in (("measured", ALL), ("mixed", mixed)):
        text = plan_text(a_plan(), 80, verbose=False, color=False, ascii=False, expected=expected)
        golden(f"plan-{name}-80.txt", text)


def test_a_journal_without_expectations_leaves_those_of_the_catalogue():
    plan = a_plan()
    view = after(plan, [(0.0, started(plan)), *step_start(plan.steps[0], 1)])
    assert [each.expected.usual_s for each in view.steps] == [90, 120, 180, 2400, 300]
