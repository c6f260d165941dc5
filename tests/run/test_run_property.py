"""Whatever is run, whatever goes wrong, whenever it is stopped: no interlock is broken, and HV and LV are off.

`CALSEQ_EXAMPLES=500` tries more; the version in memory always tries ten times as many as the one with children.
"""

import json
import os
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from run_doubles import Deed, World, plan_of, steps_of

import calseq
from calseq import api
from calseq.model import events
from calseq.model.plan import OnFailure
from calseq.model.rails import Move, StepType
from calseq.power.protocol import PowerFault
from calseq.problems.refused import Refused
from calseq.record.journal import read_journal
from calseq.run.bus import RecordLost
from calseq.run.run import prepare_run
from calseq.simulator.supplies import SimulatedBench
from calseq.system.process import adopt_orphans
from calseq.system.signals import Stops

EXAMPLES = int(os.environ.get("CALSEQ_EXAMPLES", "15"))
BENCHES = Path(__file__).parents[2] / "sequences" / "benches"
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]

# --- in memory ---

DEEDS = st.builds(
    Deed,
    st.sampled_from([0, 0, 0, 1, 255]),
    ends=st.sampled_from([1.0, 30.0, 59.0, 1e9]),
    deaf=st.sets(st.sampled_from(["SIGINT", "SIGTERM"])),
    leaves_on=st.booleans(),
    output=st.sampled_from([True, True, False]),
    breakdowns=st.sampled_from(
        [b'{"0": null}', b'{"0": -120}', b'{"0": -52}', b'{"0": -30}', b'{"0": 0}', b"{", None]
    ),
    fresh=st.sampled_from([True, True, False]),
    not_started=st.sampled_from(["", "", "", "no such file"]),
    left=st.integers(0, 2),
    deaf_left=st.booleans(),
    dies_of=st.sampled_from(["", "", "SIGSEGV", "SIGKILL"]),
)
RAISED = st.sampled_from([RuntimeError("oh"), MemoryError(), KeyboardInterrupt(), OSError(5, "I/O error"),
                          PowerFault("serial time-out"), RecordLost("disk full")])  # fmt: skip
CALLS = st.sampled_from(["prepare", "start", "poll", "send", "look", "outputs", "witnesses", "finish", "emit", "pause",
                         "left", "end_left", "read", "move", "hand_over", "take_back"])  # fmt: skip


@settings(max_examples=10 * EXAMPLES, deadline=None, suppress_health_check=SLOW)
@given(
    types=st.lists(st.sampled_from(StepType), max_size=7),
    deeds=st.lists(DEEDS, min_size=4, max_size=4),
    retries=st.integers(0, 2),
    policy=st.sampled_from(OnFailure),
    raises=st.none() | st.tuples(CALLS, st.integers(1, 30), RAISED),
    presses=st.dictionaries(st.floats(0, 300), st.sampled_from(["SIGINT", "SIGTERM", "SIGHUP"]), max_size=5),
    stop_at=st.none() | st.integers(1, 60),
    refuses=st.dictionaries(st.sampled_from(Move), st.integers(1, 4), max_size=2),
)
def test_any_run_in_memory_is_safe_and_true(types, deeds, retries, policy, raises, presses, stop_at, refuses):
    steps = steps_of(*types, timeout_s=60.0, retries=retries, on_failure=policy, stop_grace_s=5.0)
    world = World(raises=raises, at=presses, stop_at_event=stop_at, refuses=refuses)
    # the bench's sensors break down where the curve says so, if it says anything
    told = [
        json.loads(deed.breakdowns)["0"] for deed in deeds if deed.breakdowns and len(deed.breakdowns) > 2
    ]
    world.bench.breakdown_v = -200.0 if len({*map(str, told)}) != 1 else (told[0] or -200.0)
    world.bench.breakdown_v = min(world.bench.breakdown_v, -51.0)
    given_deeds = {
        (step.number, number): deeds[(step.number + number) % 4] for step in steps for number in (1, 2, 3)
    }
    outcome = world.run(plan_of(steps), given_deeds)
    assert world.bench.broken == []
    assert (outcome.exit_code == 4) or world.bench.dark
    assert not any(attempt.alive or attempt.left_over for attempt in world.attempts)
    finished = world.of(events.SafeEndFinished)
    assert len(finished) == 1
    assert (outcome.exit_code == 4) is (not finished[0].confirmed)
    if outcome.exit_code == 0:
        assert set(world.verdicts) <= {"passed"}
        assert len(world.verdicts) == len(types)
    starts = [event.step for event in world.of(events.ChildStarted)]
    assert starts == sorted(starts)


# --- with real children on the simulated bench ---

TUNINGS = {"calibrate_module": "T", "custom_sequence": ["PixelAlive"]}
NAMES = ["sldo_vi_curves", "sldo_vi_curves_GADC", "voltage_trimming", "iv_curve", "calibrate_module", "custom_sequence",
         "custom_calibration", "crosstalk_method", "get_module_info"]  # fmt: skip
FAULTS = st.sampled_from(
    ["exit:0", "exit:3", "signal:KILL", "signal:SEGV", "hang", "stop", "prompt", "garbage", "close-output", "no-output",
     "empty-output", "grandchild", "exit:1@1", "hang@1", "breakdowns-stale", "breakdowns-nan", "breakdowns-malformed",
     "breakdowns-missing", "breakdowns-other", "breakdowns-magnitude", "signal:TERM", "longline:100kB"]
)  # fmt: skip
POWER = st.sampled_from(
    [""] * 6
    + ["fails-once", "hv-off-fails:1", "lv-off-fails:1", "lv-on-fails:1", "hv-on-fails", "hv-residual:1"]
)


@st.composite
def sequences(draw):
    steps = []
    for number, name in enumerate(draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5)), 1):
        step = {
            "calibration": name,
            "name": f"s{number}",
            "timeout": draw(st.sampled_from(["2s", "1m"])),
            "retries": draw(st.integers(0, 1)),
            "on_failure": draw(st.sampled_from(["stop", "continue"])),
        }
        if name in TUNINGS:
            step["tuning"] = TUNINGS[name]
        if name == "custom_calibration":
            step["args"] = ["--any"]
        if name == "iv_curve":
            step["options"] = {"max_voltage": draw(st.sampled_from([-40, -80, -200])), "step_size": 20}
        steps.append(step)
    return steps


@st.composite
def faults(draw, steps):
    chosen = {}
    for step in steps:
        fault = draw(st.none() | FAULTS)
        if step["calibration"] == "iv_curve":
            breakdown = draw(st.none() | st.integers(-250, -5).map(lambda volts: f"breakdown:{volts}"))
            fault = "+".join(filter(None, (breakdown, fault))) or None
        # what never goes on is ended by a time-out, and that has to be short
        if fault and ("hang" in fault or "stop" in fault):
            step["timeout"] = "1s"
        if fault:
            chosen[step["name"]] = fault
    power = draw(POWER)
    return chosen | ({"power": power} if power else {})


def leftovers(folder):
    mark = f"CALSEQ_SIMULATION={folder}".encode()
    return [path.parent.name for path in Path("/proc").glob("[0-9]*/environ") if mark in _read(path)]


def _read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=SLOW)
@given(
    data=st.data(),
    bench=st.sampled_from(["double", "quads"]),
    stop_at=st.none() | st.integers(1, 40),
    presses=st.integers(1, 3),
)
def test_any_run_with_real_children_is_safe_and_its_record_true(tmp_path, data, bench, stop_at, presses):
    steps = data.draw(sequences())
    chosen = data.draw(faults(steps))
    path = tmp_path / "s.yaml"
    path.write_text(json.dumps({"calseq": 1, "title": "Any", "steps": steps}))
    read = api.load_bench(BENCHES / bench / "bench.yaml", simulate=True, speed=20_000)
    try:
        plan = calseq.compile_plan(calseq.load(path, bench=read), _with_faults(read, chosen))
    except Refused as refused:  # a curve that ends before the bias is never run
        errors = {problem.code.name for problem in refused.problems if problem.is_error}
        plan = None
    if plan is None:
        assert errors == {"sweep-too-short"}
        return
    stops = Stops()

    def press(stamped):
        over = isinstance(stamped.event, events.RunEnded)  # how it ended is decided by then
        if stop_at and stamped.seq >= stop_at and stops.level < presses and not over:
            stops._last_s = float("-inf")
            stops.ask("SIGINT")

    assert adopt_orphans()
    run = prepare_run(plan, tmp_path / "runs")
    run.listeners["press"] = press
    result = run.go(stops)
    code = int(result.outcome.exit_code)

    simulated = SimulatedBench.open(result.folder / "simulated")
    assert simulated.violations() == ()
    assert simulated.readings().all_off
    assert code == (130 if stops.level else code)
    assert code in (0, 1, 130)
    stamped, damage = read_journal(result.folder / "events.jsonl")
    assert damage == ""
    assert [each.seq for each in stamped] == list(range(1, len(stamped) + 1))
    told = {}
    for each in stamped:
        if isinstance(each.event, (events.StepEnded, events.StepSkipped)):
            told[each.event.name] = (
                "skipped" if isinstance(each.event, events.StepSkipped) else each.event.verdict.value
            )
    last = stamped[-1].event
    record = json.loads((result.folder / "run.json").read_bytes())
    assert isinstance(last, events.RunEnded)
    assert (record["exit_code"], record["verdict"], record["steps"]) == (last.exit_code, last.verdict, told)
    assert (record["exit_code"], record["state"]) == (code, "ended")
    assert list(told) == [step["name"] for step in steps]
    assert (code == 0) is (set(told.values()) == {"passed"} and not stops.level)
    assert leftovers(result.folder) == []


def _with_faults(bench, chosen):
    return replace(bench, simulation=replace(bench.simulation, faults=chosen))
