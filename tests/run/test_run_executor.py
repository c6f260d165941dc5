"""The executor with a bench, children and a clock in memory: every ending goes through the safe end."""

import math
import sys
from contextlib import suppress
from itertools import product

import pytest
from run_doubles import (
    BUMPS,
    CURVE,
    GENERAL,
    GOOD,
    SLDO,
    TUNING,
    Deed,
    MemoryPower,
    World,
    plan_of,
    ran,
    steps_of,
)

from calseq.model import events
from calseq.model.plan import OnFailure, PowerMode
from calseq.model.rails import Move, Reading, Readings
from calseq.model.verdicts import RunVerdict
from calseq.power.protocol import PowerFault
from calseq.run.bus import RecordLost

ALL = (SLDO, GENERAL, CURVE, TUNING, BUMPS)
BAD = {
    "failed": Deed(3),
    "timed-out": Deed(ends=1e9),
    "missing-output": Deed(output=False),
    "not-started": Deed(not_started="no such file"),
}
INF = 1e9


def assert_safe(run):
    """HV off, LV off, no interlock broken, no child left, and the end told last."""
    world = run.world
    assert world.bench.dark, run.outcome
    assert world.bench.broken == []
    assert not any(attempt.alive for attempt in world.attempts)
    assert run.code != 4


def assert_told_in_order(world):
    kinds = [type(event) for event in world.events]
    assert kinds[-1] is events.RunEnded
    assert kinds.count(events.SafeEndStarted) == kinds.count(events.SafeEndFinished) == 1


def test_a_good_run_passes_and_each_rail_moves_only_when_it_must():
    run = ran(ALL)
    assert_safe(run)
    assert (run.code, run.world.verdicts) == (0, ("passed",) * 5)
    assert run.world.moved == ["lv-on", "lv-off", "lv-on", "hv-bias", "hv-off", "lv-off"]


def test_no_steps_are_a_good_run_with_a_safe_end():
    run = ran(())
    assert_safe(run)
    assert run.code == 0


@pytest.mark.parametrize(
    ("verdict", "policy", "retries", "position"),
    list(product(BAD, OnFailure, (0, 1, 2), (0, 1, 2))),
)
def test_every_verdict_policy_retry_and_position(verdict, policy, retries, position):
    types = (SLDO, GENERAL, SLDO)
    run = ran(types, {position + 1: BAD[verdict]}, timeout_s=60.0, on_failure=policy, retries=retries)
    stops = policy is OnFailure.STOP
    after = "skipped" if stops else "passed"
    assert_safe(run)
    assert_told_in_order(run.world)
    assert run.code == 1
    assert run.world.verdicts == ("passed",) * position + (verdict,) + (after,) * (2 - position)
    tries = [event for event in run.world.of(events.StepEnded) if event.step == position + 1]
    assert [event.retried for event in tries] == [True] * retries + [False]


@pytest.mark.parametrize("verdict", BAD)
def test_a_second_attempt_that_passes_makes_the_step_pass(verdict):
    run = ran((GENERAL,), {(1, 1): BAD[verdict], (1, 2): GOOD}, retries=1, timeout_s=60.0)
    assert (run.code, run.world.verdicts) == (0, ("passed",))


def test_what_did_not_run_says_why():
    run = ran((GENERAL, SLDO), {1: Deed(7)})
    assert run.world.of(events.StepSkipped)[0].reason == "general_1 failed"


def test_a_bias_that_is_allowed_is_given_at_once_and_stays_for_the_next_step():
    run = ran((CURVE, TUNING, BUMPS))
    assert run.world.moved == ["lv-on", "hv-bias", "hv-off", "lv-off"]
    assert run.world.of(events.BiasDecided)[0].allowed


@pytest.mark.parametrize(
    "deed",
    [
        Deed(breakdowns=b'{"0": -30}'),
        Deed(breakdowns=None),
        Deed(fresh=False),
        Deed(breakdowns=b"{"),
        Deed(breakdowns=b'{"0": NaN}'),
        Deed(1),
        Deed(output=False),
        Deed(not_started="gone"),
        Deed(dies_of="SIGKILL"),
    ],
)
def test_a_bias_that_is_refused_skips_what_needs_it_and_fails_the_run(deed):
    run = ran((CURVE, TUNING, GENERAL, BUMPS), {1: deed}, on_failure=OnFailure.CONTINUE)
    assert_safe(run)
    assert run.code == 1
    assert "hv-bias" not in run.world.moved
    assert run.world.verdicts[1:] == ("skipped", "passed", "skipped")
    assert all(event.reason.startswith("no bias: ") for event in run.world.of(events.StepSkipped))


def test_a_simulated_curve_biases_no_real_sensor():
    """calseq's stand-in as dirigent beside icicle: a mistake of a bench file, at the end of which are −50 V."""
    steps = (CURVE, TUNING, GENERAL)
    run = ran(steps, plan_fields={"mode": PowerMode.ICICLE, "stand_in": True}, on_failure=OnFailure.CONTINUE)
    assert_safe(run)
    assert "hv-bias" not in run.world.moved
    assert run.world.of(events.BiasDecided)[0].reason == "the curve is simulated, and the supplies are real"
    assert run.world.verdicts == ("passed", "skipped", "passed")
    real = ran(steps, plan_fields={"mode": PowerMode.ICICLE})
    assert "hv-bias" in real.world.moved
    simulated = ran(steps, plan_fields={"stand_in": True})
    assert "hv-bias" in simulated.world.moved


@pytest.mark.parametrize(
    ("first", "second"), [(b'{"0": -30}', b'{"0": -120}'), (b'{"0": -120}', b'{"0": -30}')]
)
def test_a_second_curve_overrides_the_first(first, second):
    deeds = {1: Deed(breakdowns=first), 3: Deed(breakdowns=second)}
    run = ran((CURVE, TUNING, CURVE, TUNING), deeds, on_failure=OnFailure.CONTINUE)
    assert_safe(run)
    verdicts = {b'{"0": -30}': "skipped", b'{"0": -120}': "passed"}
    assert run.world.verdicts == ("passed", verdicts[first], "passed", verdicts[second])


def test_a_curve_that_fails_after_a_good_one_takes_the_bias_away():
    run = ran((CURVE, TUNING, CURVE, TUNING), {3: Deed(1)}, on_failure=OnFailure.CONTINUE)
    assert run.world.verdicts == ("passed", "passed", "failed", "skipped")


def test_a_child_that_left_hv_on_is_ramped_off_before_anything_else():
    run = ran((CURVE, GENERAL), {1: Deed(leaves_on=True)})
    assert_safe(run)
    actions = run.world.bench.record
    assert actions[actions.index("ivcurve_1#1: HV -30") + 1] == "calseq: HV off"


def test_an_hv_that_somebody_else_left_on_is_not_taken_for_the_bias():
    world = World()
    world.bench.lv, world.bench.hv, world.bench.volts = True, True, -500.0
    run = ran((TUNING,), world=world)
    assert world.moved[:2] == ["hv-off", "hv-bias"]
    assert_safe(run)


def test_a_step_is_told_before_its_child_starts_and_not_started_if_that_is_lost():
    world = World()
    seen = []
    world.call = lambda name: seen.append((name, len(world.of(events.StepStarted))))
    ran((GENERAL, SLDO), world=world)
    assert [count for name, count in seen if name == "start"] == [1, 2]


# --- the supplies fail ---


@pytest.mark.parametrize("move", Move)
@pytest.mark.parametrize("times", [1, 2, 3, 99])
def test_a_move_that_fails_ends_the_run_and_only_an_unconfirmed_off_is_exit_4(move, times):
    run = ran(ALL, world=World(refuses={move: times}))
    assert_told_in_order(run.world)
    assert run.world.bench.broken == []
    assert (run.code == 4) is (not run.world.bench.dark)
    tries = 6  # three move by move, and three that are the guard's own
    assert run.code in (1, 4) or (run.code == 0 and move in (Move.HV_OFF, Move.LV_OFF) and times < tries)
    if move is Move.HV_OFF and times == 99:
        assert run.world.bench.lv, "LV stays on under an HV that does not go off"


@pytest.mark.parametrize(("replaceable", "code"), [(True, 1), (False, 4)])
def test_a_guard_that_is_gone_is_replaced_for_the_safe_end(replaceable, code):
    world = World(replaceable=replaceable)

    def die(event):
        if isinstance(event, events.StepStarted) and event.step == 2:
            world.power.gone = "the guard has died (signal 9)"
            world.power.read = world.power.move = world.power.take_back = dead
        return World.emit(world, event)

    def dead(*_):
        raise PowerFault(world.power.gone)

    def finish():
        for name in ("read", "move", "take_back"):
            world.power.__dict__.pop(name, None)
        return MemoryPower.finish(world.power)

    world.emit, world.power.finish = die, finish
    run = ran((CURVE, TUNING), world=world)
    assert run.code == code
    assert run.world.bench.dark is replaceable
    assert run.world.bench.broken == []
    assert "the guard has died (signal 9)" in run.outcome.reason


def test_an_hv_that_was_cut_fails_the_run_and_says_so():
    world = World()
    cut = "HV was cut: hv_1:1 was found off, and had been left at -50 V: it had no ramp"
    world.emit = lambda event: (
        world.power.cut.append(cut) if isinstance(event, events.SafeEndStarted) else None,
        World.emit(world, event),
    )
    run = ran((CURVE, TUNING), world=world)
    assert (run.code, run.outcome.reason) == (1, cut)
    assert [event.reason for event in run.world.of(events.PowerFailed)] == [cut]
    assert run.world.bench.dark


@pytest.mark.parametrize(
    "says",
    [
        lambda r: Readings(r.lv, Reading(False, -3.0)),
        lambda r: Readings(r.lv, Reading(r.hv.on, math.nan)),
        lambda r: Readings(r.lv, Reading(r.hv.on, -math.inf)),
        lambda r: Readings(r.lv, Reading(None, 0.0)),
        lambda r: Readings(),
    ],
    ids=["-3 V", "NaN", "-inf", "on unknown", "nothing"],
)
def test_lv_stays_on_while_hv_is_not_confirmed_off(says):
    world = World()
    told = []

    def lying(readings):
        told.append(readings)
        return says(readings) if len(told) > 2 else readings

    world.power.says = lying
    run = ran((GENERAL, TUNING), world=world)
    assert run.code == 4
    assert run.outcome.verdict is RunVerdict.UNSAFE
    assert world.bench.lv
    assert world.bench.broken == []
    assert not world.of(events.SafeEndFinished)[0].confirmed


def test_lv_that_reads_as_not_a_number_is_not_confirmed_off():
    world = World()
    world.power.says = lambda r: Readings(Reading(False, math.nan), r.hv)
    assert ran((), world=world).code == 4


def test_readings_that_are_no_numbers_are_told_as_unknown():
    world = World()
    world.power.says = lambda r: Readings(Reading(r.lv.on, 0.0, math.nan), Reading(r.hv.on, math.nan))
    ran((GENERAL,), world=world)
    assert all(
        event.readings.hv == Reading() and event.readings.lv.current_a is None
        for event in world.of(events.RailMoved, events.SafeEndFinished)
    )


def test_rails_that_do_not_stay_where_they_are_put_end_the_run():
    world = World()
    flips = iter([Readings(Reading(n % 2 == 1), Reading(n % 2 == 1, 0.0)) for n in range(4)])
    world.power.says = lambda r: next(flips, r)
    run = ran((GENERAL,), world=world)
    assert run.code == 1
    assert "power" in run.outcome.reason


# --- anything raises, at any call ---

COLLABORATORS = (
    "prepare", "start", "poll", "send", "look", "outputs", "witnesses", "finish", "emit", "pause", "left", "end_left",
    "read", "move", "hand_over", "take_back", "violations", "watch", "lost",
)  # fmt: skip


def hard_plan():
    """A plan in which every collaborator is called: a time-out, leftovers, a retry, all types."""
    steps = steps_of(*ALL, timeout_s=60.0, retries=1, on_failure=OnFailure.CONTINUE, stop_grace_s=5.0)
    return plan_of(steps), {1: Deed(ends=INF, deaf={"SIGINT"}), 2: Deed(left=2), 4: Deed(ends=30.0)}


def calls_of(name):
    world = World()
    world.run(*hard_plan())
    assert world.calls[name], f"the plan never calls {name}"
    return world.calls[name]


def raised_at(name, k, error):
    world = World(raises=(name, k, error))
    outcome = world.run(*hard_plan())
    return world, outcome


@pytest.mark.parametrize("name", COLLABORATORS)
@pytest.mark.parametrize(
    "error", [RuntimeError("oh"), MemoryError(), RecursionError(), KeyboardInterrupt(), SystemExit(0)]
)
def test_whatever_is_raised_at_whichever_call_the_safe_end_is_reached(name, error):
    calls = calls_of(name)
    # every call of a short list, and of a long one the first, the last and some between
    for k in sorted({*range(1, min(calls, 40) + 1), *range(1, calls + 1, max(1, calls // 25)), calls}):
        world, outcome = raised_at(name, k, error)
        told = f"{name} #{k}: {outcome}"
        assert world.bench.dark, told
        assert world.bench.broken == [], told
        assert not any(attempt.alive for attempt in world.attempts), told
        assert not any(attempt.left_over for attempt in world.attempts), told
        assert len(world.of(events.SafeEndFinished)) == 1, told
        assert type(world.events[-1]) is events.RunEnded, told
        over = name == "violations" or (name == "emit" and k == calls)  # how the run ended is decided by then
        expected = 1 if over else 130 if isinstance(error, KeyboardInterrupt) else 70
        assert int(outcome.exit_code) == expected, told


TRACED = ("run/executor.py", "run/supervision.py", "run/rails.py", "run/progress.py", "system/signals.py")


def traced_run(at_line, error):
    """Run the hard plan, and raise at that line of calseq, counted as they are executed."""
    world, lines = World(), 0

    def trace(frame, kind, _argument):
        nonlocal lines
        if not frame.f_code.co_filename.endswith(TRACED):
            return None
        if kind == "line":
            lines += 1
            if lines == at_line:
                raise error
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    outcome = None
    try:
        with suppress(type(error)):
            outcome = world.run(*hard_plan())
    finally:
        sys.settrace(before)
    return world, outcome, lines


@pytest.mark.parametrize("error", [MemoryError(), KeyboardInterrupt(), AssertionError()])
def test_whatever_is_raised_at_whichever_line_the_bench_is_made_safe(error):
    lines = traced_run(0, error)[2]
    for at_line in [*range(1, lines, 13), *range(lines - 120, lines + 1)]:
        world, outcome, _ = traced_run(at_line, error)
        told = f"line {at_line} of {lines}: {outcome}"
        # what goes through the executor itself is believed in nothing by the run, which then ends with 4
        assert world.bench.dark or outcome is None, told
        assert world.bench.broken == [], told
        assert outcome is None or outcome.exit_code != 0, told
        assert outcome or at_line < 40 or at_line > lines - 120, told


@pytest.mark.parametrize("name", ["read", "move", "hand_over", "take_back"])
def test_a_power_fault_at_every_call_ends_safely_and_4_means_not_confirmed(name):
    for k in range(1, calls_of(name) + 1):
        world, outcome = raised_at(name, k, PowerFault("serial time-out"))
        assert world.bench.dark
        assert world.bench.broken == []
        assert outcome.exit_code in (0, 1), "one fault is survived by the next try"
        assert world.of(events.PowerFailed), f"{name} #{k}"


@pytest.mark.parametrize("name", ["read", "take_back", "move"])
def test_power_that_fails_for_good_from_the_kth_call_on_is_exit_4_iff_off_is_not_confirmed(name):
    for k in range(1, calls_of(name) + 1):
        world = World()
        real = world.call

        def failing(called, real=real, world=world, k=k):
            real(called)
            if called == name and world.calls[name] >= k:
                raise PowerFault("dead")

        world.call = failing
        outcome = world.run(*hard_plan())
        finished = world.of(events.SafeEndFinished)[0]
        assert (outcome.exit_code == 4) is (not finished.confirmed), f"{name} from #{k}: {outcome}"
        assert finished.confirmed <= world.bench.dark
        assert not any(attempt.alive for attempt in world.attempts)
        assert world.bench.broken == []


def test_a_lost_record_at_any_event_ends_the_child_and_starts_nothing_further():
    for k in range(1, calls_of("emit") + 1):
        world, outcome = raised_at("emit", k, RecordLost("the record cannot be written: disk full"))
        lost_at = world.events[k - 1]
        later = world.events[k:]
        assert world.bench.dark
        assert world.bench.broken == []
        assert outcome.exit_code == 1, f"#{k} {lost_at}"
        assert not any(isinstance(event, (events.StepStarted, events.ChildStarted)) for event in later), (
            lost_at
        )
        assert not any(
            isinstance(event, events.RailMoved) and event.move in (Move.LV_ON, Move.HV_BIAS)
            for event in later
        )
        if isinstance(lost_at, events.StepStarted):
            assert world.attempts[-1].began_s is None
        assert not any(attempt.alive for attempt in world.attempts)


def test_a_full_disk_for_one_attempt_ends_the_run_with_that_reason():
    world, outcome = raised_at("prepare", 2, OSError(28, "No space left on device"))
    assert outcome.exit_code == 1
    assert "the run folder cannot be written: no space left on device" in outcome.reason + str(world.verdicts)
    assert world.bench.dark


# --- stops ---


def test_a_stop_at_any_event_starts_nothing_further_and_ends_safely():
    steps = plan_of(steps_of(*ALL))
    count = len(ran(ALL).world.events)
    for k in range(1, count):  # once its end is told, the run is over
        world = World(stop_at_event=k)
        outcome = world.run(steps)
        started = [event for event in world.events[k:] if isinstance(event, events.ChildStarted)]
        assert outcome.exit_code == 130
        assert not started
        assert world.bench.dark
        assert world.bench.broken == []
        assert world.of(events.StopAsked), k
        assert set(world.verdicts) <= {"passed", "interrupted", "skipped"}


def test_a_stop_between_two_attempts_is_told_as_the_end_of_the_step():
    world = World()
    emit = world.emit

    def stopping(event):
        emit(event)
        if isinstance(event, events.StepEnded) and event.retried:
            world.stops.ask("SIGINT")

    world.emit = stopping
    run = ran((GENERAL,), {1: Deed(1)}, world=world, retries=3)
    assert run.world.verdicts == ("interrupted",)
    assert run.code == 130


def test_a_stop_while_the_bench_is_made_safe_does_not_shorten_that():
    world = World(refuses={Move.HV_OFF: 2}, at={t / 10: "SIGINT" for t in range(100, 200, 3)})
    run = ran((CURVE, TUNING), world=world)
    assert run.world.bench.dark
    assert run.code == 130


# --- supplies that dirigent switches itself ---


def test_where_dirigent_switches_nothing_is_claimed():
    run = ran(ALL, plan_fields={"mode": PowerMode.DIRIGENT}, given=())
    finished = run.world.of(events.SafeEndFinished)[0]
    assert run.code == 0
    assert not finished.confirmed
    assert "not controlled" in finished.reason
    assert run.world.moved == []


@pytest.mark.parametrize(
    "deed",
    [Deed(dies_of="SIGSEGV"), Deed(ends=INF, deaf={"SIGINT"}), Deed(ends=INF, deaf={"SIGINT", "SIGTERM"})],
)
def test_a_child_that_held_the_supplies_and_was_killed_may_have_left_them_on(deed):
    run = ran((CURVE,), {1: deed}, plan_fields={"mode": PowerMode.DIRIGENT}, timeout_s=60.0)
    assert run.code == 4


def test_so_it_is_after_a_bug_while_it_was_watched():
    world = World(raises=("look", 3, RuntimeError("oh")))
    run = ran(
        (CURVE,), {1: Deed(ends=INF, deaf={"SIGINT"})}, {"mode": PowerMode.DIRIGENT}, world, timeout_s=60.0
    )
    assert run.code == 4
    assert not world.attempts[0].alive


def test_where_dirigent_switches_the_supplies_a_refused_bias_keeps_the_biased_step_from_starting():
    run = ran((CURVE, TUNING), {1: Deed(breakdowns=b'{"0": -30}')}, plan_fields={"mode": PowerMode.DIRIGENT})
    assert run.world.verdicts == ("passed", "skipped")
    assert run.code == 1


@pytest.mark.parametrize(("code", "exit_code"), [(139, 4), (137, 4), (130, 1), (1, 1), (255, 1)])
def test_a_shell_that_tells_of_a_signal_is_believed_where_the_child_held_the_supplies(code, exit_code):
    deed = {1: Deed(code)}
    run = ran((CURVE,), deed, plan_fields={"mode": PowerMode.DIRIGENT})
    assert run.code == exit_code
