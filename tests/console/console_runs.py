"""Hand-made plans and runs."""

from collections.abc import Iterable

from calseq.model.events import (
    BiasDecided,
    ChildSignalled,
    ChildStarted,
    Event,
    InterlockViolated,
    LeftoversEnded,
    ListenerDropped,
    PowerFailed,
    RailMoved,
    RailMoving,
    RailsRead,
    RunEnded,
    RunResumed,
    RunStarted,
    SafeEndFinished,
    SafeEndStarted,
    Stamped,
    StepEnded,
    StepKept,
    StepLeftOut,
    StepProgressed,
    StepSkipped,
    StepStarted,
    StopAsked,
)
from calseq.model.plan import (
    DIRECTORY,
    BiasSupply,
    Environment,
    Instrument,
    Module,
    OnFailure,
    Output,
    Plan,
    PowerMode,
    Simulation,
    Step,
)
from calseq.model.rails import BIASED, BOTH_OFF, RAIL_RULES, Move, Reading, Readings, Role, StepType
from calseq.model.verdicts import RunVerdict, Verdict
from calseq.record.view import RunView, begin, fold

AT = 1795399200.0  # 2026-11-23 02:00:00 UTC
OFF = Readings(Reading(False, 0.0, 0.0), Reading(False, 0.0, 0.0))
LV_ON = Readings(Reading(True, 4.0, 3.7), Reading(False, 0.1, 0.0))
HV_ON = Readings(Reading(True, 4.0, 3.7), Reading(True, -50.0, 1.2e-7))
UNREAD = Readings(Reading(True, 4.0, 3.7), Reading())
GIVEN = {StepType.SLDO: (Role.LV, Role.AB), StepType.IVCURVE: (Role.LV, Role.HV)}


def a_step(
    number: int,
    calibration: str,
    type: StepType = StepType.GENERAL,  # noqa: A002
    *extra: str,
    name: str = "",
    given: tuple[Role, ...] | None = None,
    **fields: object,
) -> Step:
    after = {StepType.IVCURVE: BIASED, StepType.SLDO: BOTH_OFF}.get(type, RAIL_RULES[type].before)
    flags = ("-p", "-l", "-m", "--no-monitoring", "--instruments-dict", "{}", "--directory", DIRECTORY)
    return Step(
        number=number,
        name=name or calibration,
        calibration=calibration,
        type=type,
        summary="",
        argv=("dirigent", "-C", "dirigent.toml", *flags, calibration, *extra),
        before=RAIL_RULES[type].before,
        after=after,
        given=GIVEN.get(type, ()) if given is None else given,
        needs=(),
        **fields,  # type: ignore[arg-type]
    )


def five_steps() -> tuple[Step, ...]:
    return (
        a_step(1, "sldo_vi_curves", StepType.SLDO, usual_s=90, timeout_s=2700, outputs=(Output("*.csv"),)),
        a_step(2, "voltage_trimming", usual_s=120, timeout_s=7200),
        a_step(
            3,
            "iv_curve",
            StepType.IVCURVE,
            *("-w", "--max-voltage", "-80", "--step-size", "5"),
            usual_s=180,
            timeout_s=7200,
            retries=1,
            sweep_end_v=-80,
            outputs=(Output("*.csv"), Output("breakdowns.json")),
        ),
        a_step(
            4,
            "calibrate_module",
            StepType.TUNING,
            *("-t", "Tuning_1000"),
            name="tune_1000",
            usual_s=2400,
            timeout_s=10800,
            outputs=(Output("Run*.root"),),
        ),
        a_step(
            5,
            "crosstalk_method",
            StepType.OPENBUMPS,
            usual_s=300,
            timeout_s=7200,
            on_failure=OnFailure.CONTINUE,
            outputs=(Output("*.root", 3),),
        ),
    )


def a_plan(steps: tuple[Step, ...] | None = None, **fields: object) -> Plan:
    module = Module("0", "C2HQ0")
    known: dict[str, object] = {
        "title": "Panthera",
        "description": "CMS IT module QC, electrical tests. 3D sensors: -80 V; planar: "
        "--set iv_curve.max_voltage=-350",
        "bench": "firenze-1",
        "mode": PowerMode.ICICLE,
        "steps": five_steps() if steps is None else steps,
        "instruments": (
            Instrument("lv_1", "TTITSX", "TCPIP::192.168.0.22::9221::SOCKET", (Role.LV,), ("0",)),
            Instrument("hv_1", "Keithley2410", "ASRL/dev/ttyUSB0::INSTR", (Role.HV,), ("0",)),
            Instrument("ab_1", "ETHProbecard", "ASRL/dev/ttyUSB2::INSTR", (Role.AB,), ("0",)),
        ),
        "modules": (module,),
        "supplies": (BiasSupply("hv_1", -50.0, (module,)),),
        "environment": Environment("/srv/bench", {"PYTHONUNBUFFERED": "1"}),
    }
    return Plan(**(known | fields))  # type: ignore[arg-type]


def simulated_plan() -> Plan:
    return a_plan(
        mode=PowerMode.SIMULATED,
        simulation=Simulation(speed=1.0),
        instruments=(Instrument("hv_1", "Keithley2410", "SIM", (Role.HV,), ("0",), sim=True),),
    )


def stamped(events: Iterable[tuple[float, Event]]) -> list[Stamped]:
    return [Stamped(seq, AT + t, t, event) for seq, (t, event) in enumerate(events, 1)]


def after(plan: Plan, events: Iterable[tuple[float, Event]]) -> RunView:
    view = begin(plan)
    for each in stamped(events):
        view = fold(view, each)
    return view


def started(plan: Plan) -> Event:
    return RunStarted(
        run="20261123-020000-panthera-C2HQ0",
        title=plan.title,
        bench=plan.bench,
        mode=plan.mode.value,
        module="C2HQ0",
        operator="op",
        simulated=plan.simulated,
        steps=len(plan.steps),
        digest="d" * 64,
        calseq="0.1.0",
        pid=4000,
    )


def step_run(
    step: Step,
    t: float,
    duration_s: float,
    verdict: Verdict = Verdict.PASSED,
    *,
    attempt: int = 1,
    parts: tuple[str, ...] = (),
    **fields: object,
) -> list[tuple[float, Event]]:
    ended = StepEnded(step.number, step.name, attempt, verdict, duration_s, **fields)  # type: ignore[arg-type]
    return [*step_start(step, t, attempt=attempt, parts=parts), (t + duration_s, ended)]


def step_start(
    step: Step, t: float, *, attempt: int = 1, parts: tuple[str, ...] = ()
) -> list[tuple[float, Event]]:
    log = f"steps/{step.id}/log.txt"
    return [
        (t, StepStarted(step.number, step.name, attempt, log, f"data/{step.id}")),
        (t, ChildStarted(step.number, attempt, 4240 + step.number)),
        *(
            (t + part, StepProgressed(step.number, attempt, part, len(parts), title))
            for part, title in enumerate(parts, 1)
        ),
    ]


def move(
    t: float, what: Move, readings: Readings, step: int = 0, took_s: float = 2.0
) -> list[tuple[float, Event]]:
    return [(t, RailMoving(what, step)), (t + took_s, RailMoved(what, readings, took_s, step))]


def until_tuning(plan: Plan) -> list[tuple[float, Event]]:
    """A run up to the first part of its fourth step."""
    steps = plan.steps
    return [
        (0.0, started(plan)),
        (1.0, RailsRead(OFF)),
        *step_run(steps[0], 2, 92.4),
        (95.0, RailsRead(OFF, 1)),
        *move(95, Move.LV_ON, LV_ON, 2),
        *step_run(steps[1], 97, 118.2),
        *move(216, Move.LV_OFF, OFF, 3),
        *step_run(steps[2], 218, 31.0, Verdict.FAILED, exit_code=1, reason="exit code 1", retried=True),
        *step_run(steps[2], 250, 181.0, attempt=2, parts=("Ramp up", "Sweep", "Ramp down")),
        (432.0, RailsRead(OFF, 3)),
        (432.5, BiasDecided(3, True, "|-50 V| is below the breakdown at -120 V")),
        *move(433, Move.LV_ON, LV_ON),
        *move(436, Move.HV_BIAS, HV_ON, 0, 11.0),
        *step_start(steps[3], 450, parts=("PixelAlive_Analog", "ThresholdAdjustment_1000")),
    ]


def good_run(plan: Plan) -> list[tuple[float, Event]]:
    return [
        *until_tuning(plan),
        (2850.0, StepEnded(4, "tune_1000", 1, Verdict.PASSED, 2400.0)),
        *step_run(plan.steps[4], 2851, 301.5),
        *safe_end(3153),
        (3160.0, RunEnded(RunVerdict.PASSED, 0, 3160.0)),
    ]


def safe_end(t: float, *, confirmed: bool = True, reason: str = "") -> list[tuple[float, Event]]:
    return [
        (t, SafeEndStarted()),
        *move(t + 0.1, Move.HV_OFF, LV_ON, took_s=4.0),
        *move(t + 4.2, Move.LV_OFF, OFF if confirmed else UNREAD, took_s=1.0),
        (t + 5.3, SafeEndFinished(confirmed, OFF if confirmed else UNREAD, reason)),
    ]


LAST_LINES = (
    "2026-11-23 02:05:10 INFO iv_curve - ===== 2/3 Sweep =====",
    "2026-11-23 02:05:40 ERROR iv_curve - no answer from Keithley2410 on ASRL/dev/ttyUSB0::INSTR",
    "Traceback (most recent call last):",
    "pyvisa.errors.VisaIOError: VI_ERROR_TMO (-1073807339): Timeout expired before operation completed.",
)


def failed_run(plan: Plan) -> list[tuple[float, Event]]:
    curve = plan.steps[2]
    return [
        *(item for item in until_tuning(plan) if item[0] < 218),
        *step_run(curve, 218, 31.0, Verdict.FAILED, exit_code=1, reason="exit code 1", retried=True),
        *step_run(
            curve,
            250,
            40.0,
            Verdict.FAILED,
            attempt=2,
            exit_code=1,
            reason="exit code 1",
            last_lines=LAST_LINES,
        ),
        (290.5, LeftoversEnded(3, 2, ("CMSITminiDAQ (4711)",))),
        (291.0, RailsRead(OFF, 3)),
        (291.1, BiasDecided(3, False, "iv_curve did not pass")),
        (291.2, StepSkipped(4, "tune_1000", "the run stopped after step 3 iv_curve")),
        (291.2, StepSkipped(5, "crosstalk_method", "the run stopped after step 3 iv_curve")),
        *safe_end(291.3),
        (300.0, RunEnded(RunVerdict.FAILED, 1, 300.0, "step 3 iv_curve failed: exit code 1")),
    ]


def stopped(plan: Plan, count: int = 1) -> list[tuple[float, Event]]:
    ladder = ("SIGINT", "SIGTERM", "SIGKILL")[:count]
    return [
        *until_tuning(plan),
        *(
            item
            for place, signal in enumerate(ladder)
            for item in (
                (600.0 + place, StopAsked("Ctrl-C", place + 1)),
                (600.1 + place, ChildSignalled(4, 1, signal, "Ctrl-C")),
            )
        ),
    ]


def unsafe_run(plan: Plan) -> list[tuple[float, Event]]:
    ended = StepEnded(
        4, "tune_1000", 1, Verdict.INTERRUPTED, 170.0, signal="SIGINT", reason="stopped by Ctrl-C"
    )
    return [
        *stopped(plan),
        (620.0, ended),
        (620.1, StepSkipped(5, "crosstalk_method", "stopped by Ctrl-C")),
        (620.2, SafeEndStarted()),
        (620.3, RailMoving(Move.HV_OFF)),
        (650.0, PowerFailed("hv_1: serial time-out, 3 tries", Move.HV_OFF)),
        (650.1, InterlockViolated("LV off with HV at -50 V")),
        (650.2, ListenerDropped("json lines", "BrokenPipeError: [Errno 32] Broken pipe")),
        (651.0, SafeEndFinished(False, UNREAD, "HV cannot be read: serial time-out")),
        (651.1, RunEnded(RunVerdict.UNSAFE, 4, 651.1, "HV off could not be confirmed: serial time-out")),
    ]


def resumed_run(plan: Plan) -> list[tuple[float, Event]]:
    """A run that was torn off in its fourth step, and went on without its fifth."""
    kept = ("sldo_vi_curves", "voltage_trimming", "iv_curve")
    again = RunResumed(
        4001, "night", "0.1.0", "plan.json", "d" * 64, kept, ("tune_1000",), ("sequence p.yaml changed",)
    )
    reason = "no breakdown found up to -80 V, bias is -50 V"
    return [
        *until_tuning(plan),
        (600.0, again),
        *((600.1, StepKept(n, name, 1, f"data/0{n}-{name}", 92.4 * n, AT)) for n, name in enumerate(kept, 1)),
        (600.2, BiasDecided(3, True, reason, "a" * 64)),
        *move(601, Move.LV_ON, LV_ON, 4),
        *move(604, Move.HV_BIAS, HV_ON, 4, 11.0),
        *step_run(plan.steps[3], 620, 2400.0, attempt=2),
        (3020.1, StepLeftOut(5, "crosstalk_method", "--skip crosstalk_method")),
        *safe_end(3021),
        (3028.0, RunEnded(RunVerdict.PASSED, 0, 3028.0)),
    ]
