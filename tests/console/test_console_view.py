import pytest
from console_runs import (
    HV_ON,
    LV_ON,
    OFF,
    a_plan,
    a_step,
    after,
    failed_run,
    five_steps,
    good_run,
    move,
    stamped,
    started,
    step_run,
    step_start,
    stopped,
    unsafe_run,
    until_tuning,
)

from calseq.model.events import (
    BiasDecided,
    LeftoversEnded,
    PowerFailed,
    RailMoving,
    RailsRead,
    SafeEndStarted,
    Stamped,
    StepEnded,
    StepSkipped,
    StepStarted,
)
from calseq.model.plan import PowerMode
from calseq.model.rails import Move, Reading, Role
from calseq.model.verdicts import Verdict
from calseq.record.past import State
from calseq.record.view import begin, fold


def test_a_run_that_has_not_begun_waits_at_every_step():
    view = begin(a_plan())
    assert {each.state for each in view.steps} == {State.WAITING}
    assert view.module == "C2HQ0"
    assert view.running is None


@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_of_a_step_is_a_state_by_the_same_word(verdict):
    plan = a_plan()
    view = after(plan, step_run(plan.steps[0], 1, 5, verdict))
    assert view.steps[0].state.value == verdict.value


def test_the_running_step_knows_its_attempt_start_pid_log_and_banner():
    running = after(a_plan(), until_tuning(a_plan())).running
    assert running is not None
    assert (running.step.name, running.attempt, running.pid) == ("tune_1000", 1, 4244)
    assert (running.part, running.parts, running.title) == (2, 2, "ThresholdAdjustment_1000")
    assert running.log == "steps/04-tune_1000/log.txt"
    assert running.elapsed_s(1000.0) == 550.0


def test_a_second_attempt_starts_afresh():
    plan = a_plan()
    first = step_run(plan.steps[2], 1, 30, Verdict.FAILED, parts=("a",), retried=True, reason="exit code 1")
    view = after(plan, first)
    assert view.steps[2].state is State.RETRYING
    again = after(plan, [*first, *step_start(plan.steps[2], 40, attempt=2)]).steps[2]
    assert (again.state, again.attempt, again.parts, again.reason) == (State.RUNNING, 2, 0, "")
    assert again.elapsed_s(45) == 5


def test_rails_are_what_was_read_back():
    plan = a_plan()
    assert begin(plan).rails.readings is None
    assert after(plan, move(1, Move.LV_ON, LV_ON)).rails.readings == LV_ON
    assert after(plan, [(1, RailMoving(Move.LV_ON, 2))]).rails.moving is Move.LV_ON


def test_what_a_child_holds_is_void_until_it_is_read_back():
    plan = a_plan()
    begun = [(1.0, RailsRead(OFF)), *step_start(plan.steps[2], 2)]
    view = after(plan, begun)
    assert view.rails.driven == {Role.LV, Role.HV}
    ended = [*begun, (9.0, StepEnded(3, "iv_curve", 1, Verdict.PASSED, 7.0))]
    view = after(plan, ended)
    assert view.rails.driven == frozenset()
    assert view.rails.readings is not None
    assert view.rails.readings.hv.on is None
    assert after(plan, [*ended, (10.0, RailsRead(OFF))]).rails.readings == OFF


def test_a_step_that_is_given_nothing_leaves_the_readings_valid():
    plan = a_plan()
    view = after(plan, [*move(1, Move.HV_BIAS, HV_ON), *step_start(plan.steps[3], 9)])
    assert view.rails.readings == HV_ON


def test_a_supply_that_failed_makes_its_rail_unknown():
    plan = a_plan()
    view = after(plan, [*move(1, Move.LV_ON, LV_ON), (3, PowerFailed("serial time-out", Move.HV_OFF))])
    assert view.rails.readings is not None
    assert view.rails.readings.hv == Reading()
    assert view.rails.readings.lv == LV_ON.lv
    assert view.notes[-1].grave


def test_a_step_being_prepared_is_the_one_to_look_at():
    plan = a_plan()
    events = [*step_run(plan.steps[0], 1, 5), (7, RailMoving(Move.LV_ON, 2))]
    view = after(plan, events)
    assert view.focus is not None
    assert view.focus.step.number == 2
    safe = after(plan, [*events, (8, SafeEndStarted())])
    assert safe.focus is not None
    assert safe.focus.step.number == 1


def test_stop_requests_and_signals_are_kept():
    view = after(a_plan(), stopped(a_plan(), 2))
    assert view.stop is not None
    assert view.stop.count == 2
    assert view.running is not None
    assert view.running.signalled is not None
    assert view.running.signalled.signal == "SIGTERM"


def test_the_end_tells_everything():
    view = after(a_plan(), unsafe_run(a_plan()))
    assert view.safe_end is not None
    assert not view.safe_end.confirmed
    assert view.ended is not None
    assert view.ended.exit_code == 4
    assert view.first_failure is not None
    assert view.first_failure.step.name == "tune_1000"
    assert sum(note.grave for note in view.notes) == 3


def test_a_skipped_step_has_its_reason():
    view = after(a_plan(), failed_run(a_plan()))
    assert view.steps[3].state is State.SKIPPED
    assert "stopped after step 3" in view.steps[3].reason


def test_notes_are_bounded():
    many = [(float(i), LeftoversEnded(1, 1, (f"p{i}",))) for i in range(300)]
    assert len(after(a_plan(), many).notes) == 100


def test_events_of_steps_that_the_plan_lacks_change_no_step():
    plan = a_plan()
    view = after(
        plan,
        [
            (1, StepStarted(99, "x", 1, "", "")),
            (2, StepEnded(99, "x", 1, Verdict.FAILED, 1.0)),
            (3, StepSkipped(-1, "x", "")),
            (4, BiasDecided(99, False, "")),
        ],
    )
    assert view.steps == begin(plan).steps


def test_an_event_of_a_later_version_is_let_pass():
    view = begin(a_plan())
    seen = fold(view, Stamped(1, 5.0, 1.0, object()))  # type: ignore[arg-type]
    assert (seen.t, seen.at, seen.steps) == (1.0, 5.0, view.steps)


def test_in_mode_dirigent_no_rail_is_said_to_be_driven_by_a_step():
    plan = a_plan(mode=PowerMode.DIRIGENT)
    assert after(plan, step_start(plan.steps[2], 1)).rails.driven == frozenset()


def test_steps_are_found_by_number_even_in_a_plan_that_starts_elsewhere():
    plan = a_plan(tuple(a_step(n, "voltage_trimming", name=f"s{n}") for n in (4, 5, 7)))
    view = after(plan, step_start(plan.steps[2], 1))
    assert view.running is not None
    assert view.running.step.name == "s7"


def test_folding_in_one_go_or_event_by_event_is_the_same():
    plan = a_plan()
    view = begin(plan)
    for each in stamped(good_run(plan)):
        view = fold(view, each)
    assert view == after(plan, good_run(plan))
    assert view.past.run == "20261123-020000-panthera-C2HQ0"


def test_a_simulated_run_says_so_from_its_first_event():
    plan = a_plan(five_steps())
    assert not after(plan, [(0, started(plan))]).simulated
