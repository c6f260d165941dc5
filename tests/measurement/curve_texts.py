"""Tables as the catalogue knows them, texts of curves, and run folders that have some."""

from console_runs import a_plan, failed_run, good_run, until_tuning
from folder_runs import write_run
from msgspec.structs import replace

from calseq.measurement.curves import IvCurve, IvPoint, read_curve
from calseq.model.events import StepEnded
from calseq.model.plan import BiasSupply, Module
from calseq.sequence.catalog import builtin

IV = builtin().calibrations["iv_curve"].curves[0]
VI = builtin().calibrations["sldo_vi_curves"].curves[0]
MODULES = (Module("0", "R1Q17", "2x2"), Module("1", "R1Q18", "2x2"))
FILE = "data/03-iv_curve/IV_C2HQ0.csv"
DOUBLE = Module("0", "C2HQ0", "1x2", "TBPX")


def iv(text, file=FILE, modules=(DOUBLE,), table=IV):
    return read_curve(file, text if isinstance(text, bytes) else text.encode(), table, modules)


def vi(text, modules=(DOUBLE,)):
    return read_curve("data/01-s/C2HQ0.csv", text.encode(), VI, modules)


def curve(*points, file=FILE, module="C2HQ0"):
    """Make a curve of (V, A)."""
    return IvCurve(file, module, tuple(IvPoint(float(volts), float(amps)) for volts, amps in points))


def rising(end_v=80, step_v=5, base_a=5e-7, slope=1e-9, broken_from_v=None):
    """Make a healthy sensor's sweep to `-end_v`, or one whose current doubles in every step from a voltage on."""
    points = []
    for place in range(end_v // step_v + 1):
        volts = place * step_v
        amps = round(base_a + slope * volts, 15)
        if broken_from_v is not None and volts >= broken_from_v:
            amps *= 2 ** ((volts - broken_from_v) // step_v + 1)
        points.append((-volts, -amps))
    return curve(*points)


def csv_of(made):
    rows = [f"{each.voltage_v:.1f},{each.current_a:.6e}" for each in made.points]
    return "\n".join(["Voltage (V),Current (A)", *rows, ""])


def curved_plan(**fields):
    """Give the hand-made plan with what today's catalogue and files add to it."""
    plan = a_plan(**fields)
    tables = {"iv_curve": (IV,), "sldo_vi_curves": (VI,)}
    steps = tuple(replace(step, curves=tables.get(step.calibration, ())) for step in plan.steps)
    return replace(
        plan, steps=steps, modules=(DOUBLE,), supplies=(BiasSupply("hv_1", -50.0, (DOUBLE,), 1e-5),)
    )


def write_curved(
    runs, name, text, *, plan=None, events=good_run, file="IV_C2HQ0.csv", breakdowns=None, **fields
):
    """Make the folder of a run whose IV curve left a file with this text."""
    plan = plan or curved_plan()
    path = f"data/03-iv_curve.2/{file}"
    beside = "data/03-iv_curve.2/breakdowns.json"
    left = (path,) if breakdowns is None else (path, beside)
    told = [(t, replace(event, outputs=left) if _left(event) else event) for t, event in events(plan)]
    folder = write_run(runs, told, name=name, plan=plan, **fields)
    if text is not None:
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_bytes(text if isinstance(text, bytes) else text.encode())
    if breakdowns is not None:
        (folder / beside).write_bytes(breakdowns)
    return folder


def _left(event):
    return isinstance(event, StepEnded) and event.name == "iv_curve" and not event.retried


__all__ = ["failed_run", "good_run", "until_tuning"]
