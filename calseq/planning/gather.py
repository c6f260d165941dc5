"""Request to plan: sequence, bench and settings read, checked and joined, for the command line and for Python."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from calseq.bench.bench import Bench, BenchReading, read_bench
from calseq.bench.find import BUILTIN, bench_file, shipped_bench
from calseq.bench.stand_in import is_stand_in
from calseq.documents.document import Document
from calseq.model.plan import Plan
from calseq.model.request import Request, Selection
from calseq.planning.compiler import compile_plan
from calseq.planning.loading import compared, find_sequence, load_sequence, simulated
from calseq.planning.preflight import check_faults
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Place, Problem, Source, Span
from calseq.problems.refused import Refused, in_order
from calseq.problems.suggestions import did_you_mean
from calseq.sequence.catalog import builtin
from calseq.sequence.digest import not_official
from calseq.sequence.selection import select
from calseq.sequence.sequence import Sequence
from calseq.system.assets import shipped_sequence


class Gathered(Struct, frozen=True):
    """Bench and plan of a request, each None if something is wrong with it; all problems; the number of files read."""

    bench: Bench | None
    plan: Plan | None
    problems: tuple[Problem, ...]
    files: int


def gather(request: Request) -> Gathered:
    """Read all files of a request and make its plan; the problems of all files at once."""
    problems: list[Problem] = []
    reading = _read_bench(request, problems)
    documents: list[Document] = list(reading.documents) if reading else []
    faults = _faults(request, problems)
    sequence = plan = None
    try:
        catalog = reading.catalog if reading else builtin()
        read, sequence = load_sequence(find_sequence(request.sequence), catalog, request.settings)
        documents += read
    except Refused as refused:
        problems += refused.problems
    bench = reading.bench if reading else None
    if bench:
        try:
            bench = with_simulator(bench, request.speed, faults, simulate=request.simulate)
        except Refused as refused:
            problems += refused.problems
        problems += check_faults(bench)
    if sequence and bench:
        plan, found = compile_selected(sequence, bench, request.selection)
        problems += [*_faults_of_no_step(request, bench, sequence), *found]
        top = sequence.document.top()
        refusal = request.official and plan and not_official(plan.standing, bench.official, top)
        problems += [refusal] if refusal else []
    elif sequence:
        problems += select(sequence, request.selection)[1]
    problems += [problem for document in documents for problem in document.problems]
    if any(problem.is_error for problem in problems):
        plan = None
    return Gathered(bench, plan, tuple(in_order(problems)), len(documents))


def compile_selected(
    sequence: Sequence, bench: Bench, selection: Selection
) -> tuple[Plan | None, list[Problem]]:
    """Plan of the selected steps, compared with the official sequence whose name it has, and the problems found."""
    sequence, wrong = select(sequence, selection)
    compilation = compile_plan(sequence, replace(bench, stand_in=is_stand_in(bench, os.environ)))
    plan = compilation.plan and compared(compilation.plan, sequence, bench)
    return plan, [*wrong, *compilation.problems]


def with_simulator(
    bench: Bench, speed: float | None, faults: Mapping[str, str] | None = None, *, simulate: bool
) -> Bench:
    """Bench with the simulator's `speed` and `faults`, as simulated if that was asked for or if its file says so.

    Raises:
        Refused: speed or faults for a bench that is not simulated.
    """
    if simulate or bench.simulation:
        return simulated(bench, speed, faults)
    if speed or faults:
        message = "--speed and --fault are for the simulator"
        raise Refused([Problem(codes.BAD_FAULT, message, "add --simulate")])
    return bench


def lasting(request: Request) -> Request:
    """Request that means the same from any folder: its files by their absolute paths."""
    sequence = find_sequence(request.sequence)
    shipped = shipped_sequence(request.sequence) == sequence
    bench = _bench_of(request)
    return replace(
        request,
        sequence=request.sequence if shipped else str(sequence.absolute()),
        bench=BUILTIN if bench == shipped_bench() else str(bench.absolute()) if bench else "",
    )


def _bench_of(request: Request) -> Path | None:
    """Bench file that was named, else the near one; to simulate, the bundled one where none is near."""
    return bench_file(request.bench) or (shipped_bench() if request.simulate else None)


def _read_bench(request: Request, problems: list[Problem]) -> BenchReading | None:
    path = _bench_of(request)
    if path is not None:
        return read_bench(path)
    cure = "give --bench FILE, go to a folder with a bench.yaml, or try it on the simulator with --simulate"
    problems.append(Problem(codes.NO_BENCH, "there is no bench.yaml here or above", cure))
    return None


def _faults(request: Request, problems: list[Problem]) -> dict[str, str]:
    """Misbehaviours asked of the simulator, by name of the step."""
    faults: dict[str, str] = {}
    for text in request.faults:
        step, equals, fault = text.partition("=")
        if equals and step and fault:
            faults[step] = fault
            continue
        message = f"'{printable(text, 40)}' is no fault"
        cure = "write it as step=fault, for instance iv_curve=breakdown:-40"
        problems.append(_bad_fault(text, len(text), message, cure))
    return faults


def _faults_of_no_step(request: Request, bench: Bench, sequence: Sequence) -> Iterator[Problem]:
    """Faults for a step that the sequence does not have: a rehearsal with them would prove nothing."""
    known = {"power", *(name for step in sequence.steps for name in (step.name, step.calibration.name))}
    typed = {text.partition("=")[0]: text for text in reversed(request.faults)}
    for name in bench.simulation.faults if bench.simulation else ():
        if name in typed and name not in known:
            cure = did_you_mean(name, sorted(known)) or "one of " + ", ".join(sorted(known))
            yield _bad_fault(typed[name], len(name), f"no step is named '{printable(name, 40)}'", cure)


def _bad_fault(text: str, length: int, message: str, cure: str) -> Problem:
    place = Place(Source("--fault", printable(text), typed=True), Span(1, 1, max(1, length)))
    return Problem(codes.BAD_FAULT, message, cure, place)
