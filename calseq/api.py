"""calseq for Python programs: load, compile, execute, each refusing with every problem at once."""

import logging
import os
from collections.abc import Iterable
from pathlib import Path

from calseq.bench.bench import Bench, read_bench
from calseq.bench.find import bench_file, shipped_bench
from calseq.model.plan import Plan
from calseq.model.request import Selection
from calseq.planning.compiler import rehearsal
from calseq.planning.evening_check import check_evening
from calseq.planning.gather import compile_selected, with_simulator
from calseq.planning.loading import find_sequence, load_sequence
from calseq.planning.preflight import check_faults, check_machine
from calseq.problems.refused import in_order, refuse_errors
from calseq.report.after_run import forget_report, leave_report
from calseq.run.bus import Listener
from calseq.run.resume import go_on, open_ended, reckon, settle, stored_plan
from calseq.run.run import RunResult, prepare_run
from calseq.sequence.catalog import builtin
from calseq.sequence.sequence import Sequence
from calseq.system.signals import SignalStops


def load(path: str | Path, *, bench: Bench | None = None, settings: Iterable[str] = ()) -> Sequence:
    """Read and check a sequence: a file, or the name of one that comes with calseq.

    `bench` brings its site's calibrations; `settings` are `step.option=value` texts that override options.

    Raises:
        InvalidCalibration, MissingTuning, Refused: with every problem of the file.
    """
    documents, sequence = load_sequence(
        find_sequence(str(path)), bench.catalog if bench else builtin(), settings
    )
    refuse_errors(in_order(problem for document in documents for problem in document.problems))
    if sequence is None:
        raise RuntimeError("a sequence without problems was not read")
    return sequence


def load_bench(
    path: str | Path | None = None, *, simulate: bool = False, speed: float | None = None
) -> Bench:
    """Read and check a bench file and all that it names.

    With `simulate` the bundled simulator, `speed` times faster than life, takes the place of everything
    real; without a path it is then the bench file that is near, else the bundled bench, which is `builtin`.

    Raises:
        Refused: with every problem of every file.
        ValueError: there is neither a path nor `simulate`.
    """
    if path is None and not simulate:
        raise ValueError("give the path of a bench file, or simulate=True")
    reading = read_bench(bench_file(path) or shipped_bench())
    refuse_errors(in_order(reading.problems))
    if reading.bench is None:
        raise RuntimeError("a bench without problems was not read")
    return with_simulator(reading.bench, speed, simulate=simulate)


def compile_plan(sequence: Sequence, bench: Bench, selection: Selection | None = None) -> Plan:
    """Decide everything that a run of `sequence` on `bench` will do; `selection` leaves steps out. Nothing is touched.

    Raises:
        MissingInstrument, Refused: with every problem.
    """
    plan, problems = compile_selected(sequence, bench, selection or Selection())
    refuse_errors([*in_order(problems), *check_faults(bench)])
    if plan is None:
        raise RuntimeError("a plan without problems was not made")
    return plan


def execute(
    plan: Plan,
    *,
    runs: str | Path = "runs",
    module: str = "",
    operator: str = "",
    hv_box_closed: bool = False,
    listeners: dict[str, Listener] | None = None,
    report: bool = True,
    simulate: bool = False,
) -> RunResult:
    """Run a plan. Whatever happens, HV and then LV are off when this returns, or its verdict is 'unsafe'.

    The record goes to a new folder below `runs`, and a page that tells it, `report.html`, unless `report` is False.
    `listeners` hear every event; one that raises is dropped. `hv_box_closed` confirms that the channels of an HV box are
    closed, where the bench file says `hv_box: ask`. With `simulate` nothing real is touched: the simulator takes the place
    of dirigent and of every instrument, whatever the plan was made for. In the main thread SIGINT and SIGTERM stop the run safely instead of raising.

    Raises:
        Refused: nothing was started.
    """
    plan = rehearsal(plan) if simulate else plan
    _refuse_evening(plan)
    with SignalStops() as stops:
        begun = prepare_run(plan, Path(runs), module=module, operator=operator, hv_box_closed=hv_box_closed)
        begun.listeners.update(listeners or {})
        result = begun.go(stops)
        page = leave_report(result.folder, stops).path if report else None
        begun.announce(result, stops, str(page or ""))
        return result


def resume(
    folder: str | Path,
    plan: Plan | None = None,
    *,
    operator: str = "",
    acknowledge: bool = False,
    hv_box_closed: bool = False,
    listeners: dict[str, Listener] | None = None,
    report: bool = True,
) -> RunResult | None:
    """Go on with a run that ended early, in its folder; None if there is nothing to do.

    `plan` is the plan as it is made today: a step that passed is kept if it does now what it did then. Without
    it the stored plan is used, and refused if a file that it was made of has changed.

    Raises:
        Refused: nothing was started.
    """
    with SignalStops() as stops:
        ended = open_ended(Path(folder), stops, lambda _: None)
        try:
            today = plan or stored_plan(ended, "no plan of today was given")
            _refuse_evening(today)
            resumption = reckon(ended, today)
            if resumption.is_over:
                settle(ended)
                return None
            begun = go_on(
                ended, resumption, operator=operator, acknowledge=acknowledge, hv_box_closed=hv_box_closed
            )
            begun.listeners.update(listeners or {})
            forget_report(begun.folder)
            result = begun.go(stops)
            if report:
                leave_report(result.folder, stops)
            return result
        finally:
            ended.mine.release()


def preflight(bench: Bench) -> None:
    """See that this machine can run something on `bench`: dirigent is there and the one of CMS.

    Raises:
        Refused: with every problem.
    """
    with SignalStops() as stops:
        refuse_errors([*check_machine(bench, stops, os.environ), *check_evening(bench, os.environ)])


def _refuse_evening(plan: Plan) -> None:
    """Refuse what would spoil a night, as the command line does; what is only doubtful goes to the log `calseq`.

    A bench file that has changed since the plan was made is refused later, with the others.
    """
    named = next((Path(file.path) for file in plan.inputs if file.kind == "bench"), None)
    bench = read_bench(named).bench if named else None
    found = in_order(check_evening(bench, os.environ, plan)) if bench else []
    refuse_errors(found)
    for problem in found:
        logging.getLogger("calseq").warning("%s: %s; %s", problem.code.id, problem.message, problem.cure)
