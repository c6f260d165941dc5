"""The geometry of the timeline: plain numbers, within the page, in the order of time."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from console_runs import a_plan, failed_run, good_run, resumed_run, stamped, unsafe_run, until_tuning
from hypothesis import given
from hypothesis import strategies as st
from report_pages import dirigent_run

from calseq.model.events import Stamped, StepEnded, StepStarted
from calseq.model.rails import Role
from calseq.model.verdicts import Verdict
from calseq.record.journal import decode, with_checksum
from calseq.record.past import State, Try
from calseq.report.history import LANE_STATES, Session, Stretch, chronicle, torn_lanes
from calseq.report.timeline import LEAST, Span, bars, breaks, lane, merged, ticks, usual_bar

times = st.floats(0, 1e6, allow_nan=False)
tries = st.lists(
    st.builds(
        lambda start, took, state: Try(1, start, 0.0, state, took),
        times,
        times,
        st.sampled_from([State.PASSED, State.FAILED, State.INTERRUPTED]),
    ),
    max_size=80,
)


@given(tries, times)
def test_no_bar_leaves_the_page_and_none_is_invisible(found, end_t):
    span = Span(0.0, max(end_t, 1.0))
    for bar in (*bars(found, span, end_t), *merged(found, span, end_t)):
        assert 0 <= bar.x <= 100
        assert bar.x + bar.width <= 100.02
        assert bar.width >= LEAST - 0.02


@given(tries, times)
def test_bars_that_were_merged_stand_side_by_side_and_hide_no_failure(found, end_t):
    span = Span(0.0, max(end_t, 1.0))
    together = merged(found, span, end_t)
    assert all(one.x + one.width <= other.x + 0.02 for one, other in pairwise(together))
    if any(each.state is not State.PASSED for each in found):
        assert any(bar.kind != "passed" for bar in together)
    assert bool(found) is bool(together)


def test_a_bar_is_where_its_attempt_was():
    (bar,) = bars([Try(1, 25.0, 0.0, State.PASSED, 50.0)], Span(0.0, 100.0), 100.0)
    assert (bar.x, bar.width, bar.kind) == (25.0, 50.0, "passed")
    usual = usual_bar([Try(1, 25.0, 0.0, State.PASSED, 50.0)], 10.0, Span(0.0, 100.0))
    assert (usual.x, usual.width) == (25.0, 10.0)
    assert usual_bar([], 10.0, Span(0.0, 100.0)) is None


def test_ticks_stand_at_round_times_of_the_local_day():
    began = datetime(2026, 11, 23, 2, 7, 11, tzinfo=UTC).timestamp()
    found = ticks([Session(0.0, 3600.0, began)], Span(0.0, 3600.0), 5.5 * 3600)
    local = [datetime.fromtimestamp(each.at + 5.5 * 3600, UTC).strftime("%H:%M:%S") for each in found]
    assert local == ["07:45:00", "08:00:00", "08:15:00", "08:30:00"]
    assert [round(each.x) for each in found] == [13, 38, 63, 88]


@given(st.floats(0.001, 1e7), st.floats(0, 2e9), st.integers(-14, 14))
def test_there_are_few_ticks_and_they_stand_apart(long_s, began, hours):
    found = ticks([Session(0.0, long_s, began)], Span(0.0, long_s), hours * 3600.0)
    assert len(found) <= 13
    assert all(one.x < other.x for one, other in pairwise(found))


def test_a_resumption_breaks_the_axis():
    told = chronicle(a_plan(), stamped(resumed_run(a_plan())))
    assert len(told.sessions) == 2
    (gap,) = breaks(told.sessions, Span(0.0, told.last_t))
    assert gap.x == pytest.approx(100 * (600 + told.gap_s) / told.last_t, abs=0.01)


def test_between_a_death_and_the_resumption_the_rails_are_drawn_as_they_were_before_it():
    plan = a_plan()
    torn, whole = until_tuning(plan), resumed_run(plan)
    end_at = stamped(torn)[-1].at
    for guard_ats, expected in (((), ["lost"]), ((end_at - 5.0, end_at + 20.0, 1e10), ["lost", "off"])):
        before = torn_lanes(chronicle(plan, stamped(torn)), end_at + 20.0 if guard_ats else None)
        told = chronicle(plan, stamped(whole), guard_ats)
        for role in Role.HV, Role.LV:
            late = len(before.lanes[role]) - len(expected)
            shown = [(each.state, round(each.start_t)) for each in before.lanes[role][late:]]
            drawn = [(each.state, round(each.start_t)) for each in told.lanes[role]]
            assert [state for state, _ in shown] == expected
            assert set(shown) <= set(drawn)
            assert all(one.end_t == other.start_t for one, other in pairwise(told.lanes[role]))
        assert told.sessions[1].start_t >= told.lanes[Role.HV][0].start_t + told.gap_s
        (second,) = [each for each in told.past.tries["tune_1000"] if each.number == 2]
        assert second.started_t == pytest.approx(620.0 + told.gap_s)


def test_a_run_that_had_ended_before_it_was_resumed_has_no_gap():
    plan = a_plan()
    (_, again), *rest = [each for each in resumed_run(plan) if each[0] >= 600]
    told = chronicle(plan, stamped([*failed_run(plan), (600.0, again), *rest]))
    assert told.gap_s == 0
    assert "lost" not in {each.state for each in told.lanes[Role.HV]}


# The rails


def lanes(events, plan=None):
    told = chronicle(plan or a_plan(), stamped(events))
    return {role: [each.state for each in told.lanes[role]] for role in (Role.HV, Role.LV)}, told


def test_a_rail_is_off_only_where_it_was_read_to_be():
    found, told = lanes(good_run(a_plan()))
    assert found[Role.HV] == [
        "unread",
        "off",
        "driven",
        "unread",
        "driven",
        "unread",
        "off",
        "moving",
        "on",
        "moving",
        "off",
    ]
    assert found[Role.LV][-1] == "off"
    assert found[Role.LV][0] == "unread"
    for lane_ in told.lanes.values():
        assert all(one.end_t == other.start_t for one, other in pairwise(lane_))


def test_what_could_not_be_read_is_unknown_to_the_end():
    found, _ = lanes(unsafe_run(a_plan()))
    assert found[Role.HV][-1] == "unknown"


def test_what_calseq_does_not_control_is_drawn_as_that():
    plan, events = dirigent_run()
    found, _ = lanes(events, plan)
    assert found == {Role.HV: ["uncontrolled"], Role.LV: ["uncontrolled"]}


def test_a_rail_in_the_hands_of_a_step_that_was_torn_off_is_not_said_to_be_off():
    plan = a_plan()
    found, _ = lanes([each for each in until_tuning(plan) if each[0] <= 250])
    assert found[Role.HV][-1] in ("driven", "unread")


@given(
    st.lists(st.tuples(st.sampled_from(sorted(LANE_STATES)), st.floats(0.001, 100)), min_size=1, max_size=400)
)
def test_no_lane_hides_that_a_rail_was_on_or_unknown(pieces):
    t, stretches = 0.0, []
    for state, long_s in pieces:
        stretches.append(Stretch(state, t, t + long_s))
        t += long_s
    drawn = lane(stretches, Span(0.0, t))
    kinds = {bar.kind for bar in drawn}
    assert len(drawn) <= 125
    wanted = {state for state, _ in pieces}
    assert "unknown" not in wanted or "unknown" in kinds
    assert "on" not in wanted or kinds & {"on", "unknown"}
    assert all(bar.x + bar.width <= 100.02 for bar in drawn)


ANY_PLAN = a_plan()
ANY = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([1e300, -1e300, 0.0, -1.0, 1e9, 1e11])


@given(st.lists(st.tuples(ANY, ANY, ANY), max_size=30), ANY, ANY, st.floats(-86400, 86400))
def test_no_time_makes_ticks_endless_or_leads_out_of_the_chart(sessions, start_t, end_t, offset_s):
    span = Span(start_t, end_t)
    told = [Session(*each) for each in sessions]
    found = [*ticks(told, span, offset_s), *breaks(told, span)]
    assert len(found) <= 80
    assert all(0 <= each.x <= 100 for each in found)


@pytest.mark.parametrize("t", ["1e300", "-1", "1e9", '"1"', "null", "true", "NaN"])
def test_an_event_whose_time_is_none_is_damage(t):
    body = f'{{"seq":1,"at":"2026-11-23T02:37:06.676+00:00","t":{t},"event":"step-skipped","step":1,"name":"x","reason":""'
    with pytest.raises(ValueError, match=r"time is none|malformed|invalid"):
        decode(with_checksum(body.encode()))


def test_a_clock_that_goes_back_and_a_duration_that_cannot_be_are_bounded():
    step = ANY_PLAN.steps[0]
    told = chronicle(
        ANY_PLAN,
        [
            Stamped(1, 100.0, 50.0, StepStarted(step.number, step.name, 1, "", "")),
            Stamped(2, 90.0, 10.0, StepEnded(step.number, step.name, 1, Verdict.PASSED, duration_s=1e300)),
        ],
    )
    (only,) = told.past.tries[step.name]
    assert (only.started_t, only.duration_s, told.view.t) == (50.0, 0.0, 50.0)


def test_a_bar_ends_when_its_attempt_did():
    """Its duration counts from when the rails were brought where the step wants them, before its child was started."""
    step = ANY_PLAN.steps[0]
    told = chronicle(
        ANY_PLAN,
        [
            Stamped(1, 105.0, 5.0, StepStarted(step.number, step.name, 1, "", "")),
            Stamped(2, 110.0, 10.0, StepEnded(step.number, step.name, 1, Verdict.PASSED, duration_s=8.0)),
        ],
    )
    (only,) = told.past.tries[step.name]
    assert (only.started_t, only.at, only.end_t(99.0)) == (2.0, 102.0, 10.0)


def test_the_rails_of_a_run_that_was_torn_off_are_not_known_afterwards_until_the_guard_read_them():
    told = chronicle(a_plan(), stamped(until_tuning(a_plan())))
    end_t, end_at = told.view.t, told.view.at
    for guard_at, expected in ((None, ["lost"]), (end_at + 20.0, ["lost", "off"])):
        torn = torn_lanes(told, guard_at)
        for role in Role.HV, Role.LV:
            later = [each for each in torn.lanes[role] if each.start_t >= end_t]
            assert [each.state for each in later] == expected
            assert later[0].start_t == end_t
            assert guard_at is None or later[0].end_t == pytest.approx(end_t + 20.0)
        assert torn.end_t == torn.lanes[Role.HV][-1].end_t > end_t
