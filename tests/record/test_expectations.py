"""What is expected of a step: the median of its latest passed runs, else the catalogue's time, else nothing."""

import math

import pytest
from simulated_runs import a_plan, a_step

from calseq.model.expectations import Expectation, Timing, catalogued, expectations, key, keys, median
from calseq.model.plan import PowerMode, Simulation

PLAN = a_plan()
TUNE = keys(PLAN)[4]


def times(*durations_s, silence_s=0.5):
    return [Timing(TUNE, duration_s, min(silence_s, duration_s)) for duration_s in durations_s]


def of(timings, plan=PLAN, step=4):
    return next((each for each in expectations(plan, {TUNE: timings}) if each.step == step), None)


@pytest.mark.parametrize(
    ("durations_s", "usual_s", "samples"),
    [
        ((), 2400, 0),
        ((100,), 2400, 0),
        ((100, 200), 2400, 0),
        ((100, 300, 200), 200, 3),
        ((100, 300, 200, 400), 250, 4),
        (tuple(range(1, 11)), 5.5, 10),
        ((*[10] * 10, *[999] * 90), 10, 10),
    ],
    ids=["none", "one", "two", "three", "four", "ten", "the latest ten of a hundred"],
)
def test_three_runs_are_needed_and_the_latest_ten_count(durations_s, usual_s, samples):
    found = of(times(*durations_s))
    assert (found.usual_s, found.samples, found.is_measured) == (usual_s, samples, samples > 0)


def test_the_longest_silence_is_that_of_the_same_runs():
    timings = [Timing(TUNE, 100.0, 10.0 + number) for number in range(10)] + [Timing(TUNE, 100.0, 99.0)]
    assert of(timings).longest_silence_s == 19.0
    assert of(timings[:2]).longest_silence_s is None


@pytest.mark.parametrize("duration_s", [0.0, -1.0, math.nan, math.inf, -math.inf, 1e300, 32 * 86400.0])
def test_a_duration_that_nobody_can_have_measured_does_not_count(duration_s):
    bad = Timing(TUNE, duration_s)
    assert not bad.is_sane
    assert of([bad, *times(100, 200)]).samples == 0
    assert of([bad, *times(100, 200, 300)]).usual_s == 200


@pytest.mark.parametrize("silence_s", [-1.0, math.nan, math.inf, 101.0])
def test_a_silence_that_cannot_be_does_not_count_either(silence_s):
    assert not Timing(TUNE, 100.0, silence_s).is_sane
    assert Timing(TUNE, 100.0, 100.0).is_sane


def test_what_nobody_knows_is_not_expected():
    plan = a_plan(steps=(a_step(1, "custom_calibration"), a_step(2, "voltage_trimming", usual_s=120)))
    assert catalogued(plan) == (Expectation(2, 120),)


def test_the_catalogue_is_taken_at_the_pace_of_the_simulator():
    plan = a_plan(mode=PowerMode.SIMULATED, simulation=Simulation(speed=200.0))
    assert [each.usual_s for each in catalogued(plan)] == [0.45, 0.6, 0.9, 12.0, 1.5]


def changed(**fields):
    """The plan with its tuning changed."""
    return a_plan(steps=(*PLAN.steps[:3], a_step(4, "calibrate_module", **({"name": "tune_1000"} | fields))))


OTHERS = {
    "another name": changed(name="tune_2000"),
    "another option": a_plan(
        steps=(*PLAN.steps[:3], a_step(4, "calibrate_module", PLAN.steps[3].type, "-t", "X"))
    ),
    "another bench": a_plan(bench="firenze-2"),
    "another power mode": a_plan(mode=PowerMode.DIRIGENT),
    "a simulator": a_plan(simulation=Simulation(speed=1.0)),
    "a faster one": a_plan(simulation=Simulation(speed=200.0)),
    "a fault of the step": a_plan(simulation=Simulation(1.0, {"tune_1000": "sleep:9"})),
    "a fault of its calibration": a_plan(simulation=Simulation(1.0, {"calibrate_module": "sleep:9"})),
    "a fault of the supplies": a_plan(simulation=Simulation(1.0, {"power": "hv-off-hangs:3"})),
}


def test_times_of_two_different_things_are_never_mixed():
    found = [keys(plan)[4] for plan in (PLAN, *OTHERS.values())]
    assert len(set(found)) == len(found)
    for name, plan in OTHERS.items():
        assert not any(each.is_measured for each in expectations(plan, {TUNE: times(1, 2, 3)})), name


def test_another_dirigent_is_another_thing():
    step = PLAN.steps[3]
    other = a_step(4, step.calibration, step.type, name=step.name)
    argv = ("/opt/new/dirigent", *other.argv[1:])
    plan = a_plan(steps=(*PLAN.steps[:3], type(step)(**{**fields_of(other), "argv": argv})))
    assert key(plan.steps[3], plan) != key(other, a_plan())


def test_what_says_nothing_of_the_work_leaves_the_key_alone():
    step = PLAN.steps[3]
    for field, value in {"timeout_s": 1.0, "retries": 5, "line": 99, "number": 7, "usual_s": 3.0}.items():
        other = type(step)(**{**fields_of(step), field: value})
        assert key(other, PLAN) == TUNE, field
    assert key(step, a_plan(title="another", warnings=("w",))) == TUNE


def fields_of(step):
    return {name: getattr(step, name) for name in step.__struct_fields__}


def test_the_median_of_an_even_number_is_half_way():
    assert [median(values) for values in ([3], [1, 2], [9, 1, 5], [4, 1, 3, 2])] == [3, 1.5, 5, 2.5]


def test_the_digest_of_a_plan_does_not_depend_on_history():
    before = PLAN.digest()
    expectations(PLAN, {TUNE: times(1, 2, 3)})
    assert PLAN.digest() == before
