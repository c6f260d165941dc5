"""How long a log did not grow is measured while a child is watched; and wall clocks may jump as they like."""

import itertools

import pytest
from run_doubles import GENERAL, Deed, World, plan_of, ran, steps_of
from simulated_runs import AT, a_plan, step_start

from calseq.model import events
from calseq.record.journal import decode, encode
from calseq.record.view import begin, fold
from calseq.run.bus import Bus
from calseq.run.supervision import TICK_S


def ended(**deed):
    return ran((GENERAL,), {1: Deed(**deed)}).world.of(events.StepEnded)[0]


@pytest.mark.parametrize(
    ("prints", "ends_s", "longest_s"),
    [
        ((), 20.0, 20.0),
        ((15.0,), 20.0, 15.0),
        ((2.0,), 20.0, 18.0),
        ((2.0, 4.0, 11.0), 12.0, 7.0),
        (tuple(range(1, 60)), 60.0, 1.0),
    ],
    ids=["silent throughout", "before the first line", "after the last line", "in between", "never"],
)
def test_the_longest_silence_is_measured(prints, ends_s, longest_s):
    assert abs(ended(prints=prints, ends=ends_s).longest_silence_s - longest_s) <= TICK_S


def test_a_silence_is_never_longer_than_the_step():
    for ends_s in (0.0, 0.3, 1.0, 7.5):
        found = ended(ends=ends_s)
        assert 0 <= found.longest_silence_s <= found.duration_s


def test_a_child_that_was_never_started_was_never_silent():
    assert ended(not_started="no such file").longest_silence_s == 0.0


JUMPS = {
    "back an hour": lambda number: AT - 3600 * number,
    "on a year": lambda number: AT + 31_536_000 * number,
    "to and fro": lambda number: AT + (-1) ** number * 86400,
    "standing still": lambda number: AT,
}


@pytest.mark.parametrize("wall", JUMPS.values(), ids=JUMPS)
def test_durations_and_t_go_by_the_clock_that_nobody_sets(wall):
    seen, number = [], itertools.count()
    world = World()
    bus = Bus(vital=[seen.append], clock=lambda: world.now, wall=lambda: float(wall(next(number))))
    world.emit = bus.emit
    world.run(plan_of(steps_of(GENERAL, GENERAL)), {"all": Deed(ends=100.0)})
    read = [decode(encode(stamped)) for stamped in seen]
    assert [stamped.at for stamped in read] == [float(wall(place)) for place in range(len(read))]
    assert [stamped.t for stamped in read] == sorted(stamped.t for stamped in read)
    took = [stamped.event.duration_s for stamped in read if isinstance(stamped.event, events.StepEnded)]
    assert all(100 <= duration_s <= 102 for duration_s in took)
    assert isinstance(read[-1].event, events.RunEnded)
    assert 200 <= read[-1].event.duration_s <= 204
    assert read[-1].t == pytest.approx(read[-1].event.duration_s, abs=1.0)


@pytest.mark.parametrize("wall", JUMPS.values(), ids=JUMPS)
def test_the_time_that_a_step_has_taken_does_not_jump_either(wall):
    plan = a_plan()
    view = begin(plan)
    for place, (t, event) in enumerate(step_start(plan.steps[0], 5)):
        view = fold(view, events.Stamped(place + 1, float(wall(place)), t, event))
    began_t = view.running.started_t
    assert view.running.elapsed_s(began_t + 60.0) == 60.0
