import pytest
from console_runs import (
    a_plan,
    a_step,
    after,
    failed_run,
    good_run,
    safe_end,
    simulated_plan,
    started,
    step_start,
    stopped,
    unsafe_run,
    until_tuning,
)
from hypothesis import given
from hypothesis import strategies as st

from calseq.console.characters import alphabet
from calseq.console.frame import Moment, allot, frame, window
from calseq.console.line import line_width, sheet, text_of
from calseq.model.events import ChildSignalled, RailsRead, SafeEndStarted, StepProgressed
from calseq.model.plan import PowerMode
from calseq.model.rails import StepType
from calseq.record.log_tail import Tail
from calseq.record.view import begin

LOG = tuple(f"2026-11-23 02:10:{s:02d} INFO calibrate_module - Progress: {s}%" for s in range(20))
SIZES = ((40, 8), (80, 24), (120, 40))


def picture(view, now_t=1000.0, tail=None, *, ascii=False):  # noqa: A002
    return Moment(view, now_t, tail or Tail(LOG, 2000, 130.0), alphabet(ascii=ascii))


def shown(moment, columns=80, rows=24):
    return sheet(frame(moment, columns, rows), color=False)


def hint(view, now_t=1000.0, columns=80):
    return shown(picture(view, now_t), columns, 24).splitlines()[-1]


MOMENTS = {
    "before": lambda: begin(a_plan()),
    "tuning": lambda: after(a_plan(), until_tuning(a_plan())),
    "curve": lambda: after(
        a_plan(), [(0.0, started(a_plan())), *step_start(a_plan().steps[2], 20, parts=("Ramp", "Sweep"))]
    ),
    "stopping": lambda: after(a_plan(), stopped(a_plan())),
    "making-safe": lambda: after(a_plan(), [*until_tuning(a_plan())[:-4], *safe_end(900)[:2]]),
    "unsafe": lambda: after(a_plan(), unsafe_run(a_plan())),
    "simulated": lambda: after(simulated_plan(), until_tuning(simulated_plan())),
    "dirigent": lambda: after(
        a_plan(mode=PowerMode.DIRIGENT),
        [(0.0, started(a_plan(mode=PowerMode.DIRIGENT))), *step_start(a_plan().steps[0], 1)],
    ),
}


@pytest.mark.parametrize("name", MOMENTS)
@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_a_picture_of_every_kind_of_moment(golden, name, columns, rows):
    golden(f"live-{name}-{columns}x{rows}.txt", shown(picture(MOMENTS[name]()), columns, rows))


def test_a_picture_in_ascii(golden):
    text = shown(picture(MOMENTS["tuning"](), ascii=True))
    assert text.isascii()
    golden("live-ascii-80x24.txt", text)


@pytest.mark.parametrize("name", MOMENTS)
def test_nothing_raises_and_nothing_overflows_at_any_size(name):
    moment = picture(MOMENTS[name]())
    for columns in range(1, 61):
        for rows in range(1, 21):
            lines = frame(moment, columns, rows)
            assert len(lines) <= rows
            assert all(line_width(each) <= columns for each in lines)


def many_steps(running, count):
    steps = tuple(
        a_step(n, "calibrate_module", StepType.TUNING, name=f"tune_{n}") for n in range(1, count + 1)
    )
    return after(a_plan(steps), step_start(steps[running - 1], 5))


@pytest.mark.parametrize("count", [1, 2, 5, 30, 1000])
def test_the_running_step_is_always_seen(count):
    for running in {1, 2, count // 2 + 1, count - 1 or 1, count}:
        if running > count:
            continue
        moment = picture(many_steps(running, count))
        for columns, rows in ((40, 1), (40, 2), (40, 3), (40, 8), (60, 11), (80, 24), (120, 40), (500, 100)):
            text = shown(moment, columns, rows)
            row = next(each for each in text.splitlines() if "running" in each)
            assert f"tune_{running} " in row


@given(st.integers(1, 2000), st.data(), st.integers(1, 300))
def test_a_window_holds_its_place_and_is_full(count, data, rows):
    place = data.draw(st.integers(0, count - 1))
    first, last = window(count, place, rows)
    assert first <= place < last
    assert last - first == min(rows, count)


@given(
    st.integers(0, 200),
    st.fixed_dictionaries(
        {
            name: st.integers(0, 50)
            for name in (
                *("header", "gap above steps", "steps", "gap above rails", "rails", "notes"),
                *("gap above child", "child", "log", "gap above hint", "hint"),
            )
        }
    ),
)
def test_no_block_gets_more_than_it_wants_nor_all_more_than_there_is(rows, wanted):
    shares = allot(rows, wanted)
    assert all(0 <= shares[name] <= wanted[name] for name in wanted)
    assert sum(shares.values()) <= rows


@pytest.mark.parametrize(
    "hostile", ["\x1b[2J", "[/foo]", "[lv]", "[bold red]x", "a\u202eb", "a\nb", "\x9b31m", ":smile:"]
)
def test_hostile_text_is_shown_and_never_obeyed(hostile):
    step = a_step(1, "calibrate_module", name=f"n{hostile}")
    plan = a_plan((step,), title=f"t{hostile}", bench=f"b{hostile}")
    events = [(0.0, started(plan)), *step_start(step, 1), (2.0, StepProgressed(1, 1, 1, 2, f"p{hostile}"))]
    lines = frame(picture(after(plan, events), tail=Tail((f"l{hostile}",), 5)), 160, 24)
    assert all(text_of(each).isprintable() for each in lines)
    text = "\n".join(map(text_of, lines))
    escaped = (
        hostile.replace("\x1b", "\\e")
        .replace("\u202e", "\\u202e")
        .replace("\n", "\\n")
        .replace("\x9b", "\\x9b")
    )
    for start in "tbnpl":
        assert start + escaped in text


def test_wide_and_combining_characters_keep_the_width():
    step = a_step(1, "calibrate_module", name="測試" * 20)
    plan = a_plan((step,), title="パンテラ" * 30)
    moment = picture(after(plan, step_start(step, 1)), tail=Tail(("温度" * 60, "e\u0301" * 90), 5))
    for columns in range(1, 100):
        assert all(line_width(each) <= columns for each in frame(moment, columns, 20))


def test_a_simulated_run_says_so_first_at_any_width():
    view = MOMENTS["simulated"]()
    for columns in (12, 40, 80, 120):
        assert shown(picture(view), columns, 8).lstrip().startswith("SIMULATED")


def test_time_over_the_usual_is_told_as_it_is():
    assert "2:43:20 / usual 40m, SLOW" in shown(picture(MOMENTS["tuning"](), now_t=450 + 9800))
    assert "%" not in shown(picture(MOMENTS["tuning"](), now_t=9000, tail=Tail()))


def test_a_time_out_that_is_near_is_told():
    view = MOMENTS["tuning"]()
    assert "times out" not in shown(picture(view, now_t=450 + 5000))
    assert "times out in 13m" in shown(picture(view, now_t=450 + 10000))


def test_silence_is_told_once_it_is_one():
    view = MOMENTS["tuning"]()
    assert "silent" not in shown(picture(view, tail=Tail(LOG, 10, 3.0)))
    assert "silent for 2m 10s" in shown(picture(view, tail=Tail(LOG, 10, 130.0)))
    assert "no output yet for 42s" in shown(picture(view, tail=Tail((), 0, 42.0)))


def test_rails_that_a_step_drives_are_never_shown_as_off():
    text = shown(picture(MOMENTS["curve"]()))
    assert "LV driven by the step   HV driven by the step" in text
    assert "HV off 0 V" not in text


def test_rails_that_nobody_here_controls_are_called_so():
    text = shown(picture(MOMENTS["dirigent"]()))
    assert "LV not controlled   HV not controlled" in text
    assert "then HV off" not in text


def test_what_ctrl_c_does_is_told_at_every_stage():
    plan = a_plan()
    assert hint(after(plan, until_tuning(plan))) == "Ctrl-C: stop gently, then HV off, LV off"
    once = after(plan, stopped(plan, 1))
    assert hint(once, 630.1) == "stopping: SIGINT sent (SIGTERM in 2m 30s), Ctrl-C again: SIGTERM now"
    assert hint(once, 5000.0) == "stopping: SIGINT sent, Ctrl-C again: SIGTERM now"
    assert hint(once, 630.1, 40) == "SIGINT sent; Ctrl-C again: SIGTERM"
    assert hint(after(plan, stopped(plan, 2))) == "stopping: SIGTERM sent, Ctrl-C again: SIGKILL"
    assert hint(after(plan, stopped(plan, 3))) == "stopping: SIGKILL sent, then HV off, LV off"
    assert hint(after(plan, [(1.0, SafeEndStarted())])) == "making safe: HV off, then LV off (please wait)"
    assert hint(begin(plan)) == "Ctrl-C: no further step, then HV off, LV off"
    assert hint(after(plan, good_run(plan))) == "the run has passed"
    assert hint(after(plan, failed_run(plan))) == "the run has failed"


def test_a_step_that_timed_out_is_not_said_to_be_stopped_by_ctrl_c():
    plan = a_plan()
    view = after(plan, [*until_tuning(plan), (700.0, ChildSignalled(4, 1, "SIGINT", "timed out"))])
    assert hint(view, 710.0) == "timed out: SIGINT sent (SIGTERM in 2m 50s), Ctrl-C: stop the run too"


def test_a_move_under_way_and_its_step_are_named():
    plan = a_plan()
    events = [item for item in until_tuning(plan) if item[0] <= 95]
    text = shown(picture(after(plan, events), tail=Tail()))
    assert "now: LV on" in text
    assert "before step 2 voltage_trimming: LV on" in text


def test_a_grave_note_is_not_pushed_out_by_later_ones():
    text = shown(picture(MOMENTS["unsafe"](), tail=Tail()), 80, 12)
    assert "safe end not confirmed" in text


def test_a_plan_without_steps_or_times_is_drawn():
    plan = a_plan((), modules=())
    assert "no steps" in shown(picture(begin(plan), tail=Tail()))
    assert "HV unknown" in shown(
        picture(after(plan, [(1.0, RailsRead(MOMENTS["unsafe"]().rails.readings))]), tail=Tail())
    )
