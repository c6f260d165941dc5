"""What a command was given, read: sequence, bench and settings to a plan, or every problem of all of them."""

import os
import sys
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from calseq.bench.bench import Bench, BenchReading, read_bench
from calseq.bench.stand_in import is_stand_in
from calseq.cli.terminal import has_color, message
from calseq.cli.where_runs import Where, near
from calseq.documents.document import Document
from calseq.model.plan import Plan
from calseq.model.request import Request
from calseq.planning.compiler import compile_plan
from calseq.planning.loading import compared, find_sequence, load_sequence, simulated
from calseq.planning.preflight import check_faults
from calseq.problems import codes
from calseq.problems.diagnostics import count_text, problems_text
from calseq.problems.plaintext import printable
from calseq.problems.problem import Place, Problem, Source, Span
from calseq.problems.refused import Refused, in_order
from calseq.problems.suggestions import did_you_mean
from calseq.sequence.catalog import builtin
from calseq.sequence.digest import not_official
from calseq.sequence.selection import select
from calseq.sequence.sequence import Sequence
from calseq.system.assets import BUILTIN, bench_file, is_shipped_bench, shipped_bench, shipped_sequence


class Gathered(Struct, frozen=True):
    """The bench and the plan, each None if something is wrong with it, and all problems found."""

    bench: Bench | None
    plan: Plan | None
    problems: tuple[Problem, ...]
    files: int


def gather(request: Request) -> Gathered:
    """Read everything that a request names and make the plan; every problem of all files at once."""
    problems: list[Problem] = []
    documents: list[Document] = []
    reading = _bench(request, problems)
    if reading:
        documents += reading.documents
    faults = _faults(request, problems)
    catalog = reading.catalog if reading else builtin()
    sequence = None
    try:
        read, sequence = load_sequence(find_sequence(request.sequence), catalog, request.settings)
        documents += read
        if sequence:
            sequence, wrong = select(sequence, request.selection)
            problems += wrong
    except Refused as refused:
        problems += refused.problems
    problems += [problem for document in documents for problem in document.problems]
    bench = reading.bench if reading else None
    if bench and (request.simulate or bench.simulation):
        bench = simulated(bench, request.speed, faults)
    elif bench and (request.speed or faults):
        cure = "add --simulate"
        problems.append(Problem(codes.BAD_FAULT, "--speed and --fault are for the simulator", cure))
    plan = None
    if bench:
        bench = replace(bench, stand_in=is_stand_in(bench, os.environ))
        problems += check_faults(bench)
        if sequence:
            problems += _faults_of_nobody(request, bench, sequence)
            compilation = compile_plan(sequence, bench)
            problems += compilation.problems
            plan = compilation.plan and compared(compilation.plan, sequence, bench)
            refusal = (
                request.official
                and plan
                and not_official(plan.standing, bench.official, sequence.document.top())
            )
            problems += [refusal] if refusal else []
    if any(problem.is_error for problem in problems):
        plan = None
    return Gathered(bench, plan, tuple(in_order(problems)), len(documents))


def runs_of(bench: Bench) -> Path:
    """Give where the runs of a bench go: those of the bundled one to where they are looked for from here."""
    return Where().folder if is_shipped_bench(Path(bench.document.path)) else bench.runs


def lasting(request: Request) -> Request:
    """Give a request that means the same from any folder: its files by their absolute paths."""
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


def tell_bench(request: Request, bench: Bench) -> None:
    """Say which bench is simulated where that was not typed, and how it is the other one."""
    if request.simulate and not request.bench and not is_shipped_bench(Path(bench.document.path)):
        shown = printable(str(near(Path(bench.document.path))))
        message(f"simulated: bench {printable(bench.name)} of {shown}; --bench {BUILTIN} is the bundled one")


def _faults_of_nobody(request: Request, bench: Bench, sequence: Sequence) -> list[Problem]:
    """A fault of a step that is not there would make a rehearsal prove nothing."""
    known = {
        "power",
        *(step.name for step in sequence.steps),
        *(step.calibration.name for step in sequence.steps),
    }
    strange = (
        [] if bench.simulation is None else [name for name in bench.simulation.faults if name not in known]
    )
    return [_no_step(name, request, sorted(known)) for name in strange if _asked(name, request)]


def _asked(name: str, request: Request) -> bool:
    return any(text.partition("=")[0] == name for text in request.faults)


def _no_step(name: str, request: Request, known: list[str]) -> Problem:
    text = next(text for text in request.faults if text.partition("=")[0] == name)
    place = Place(Source("--fault", printable(text), typed=True), Span(1, 1, len(name)))
    cure = did_you_mean(name, known) or "one of " + ", ".join(known)
    return Problem(codes.BAD_FAULT, f"no step is named '{printable(name, 40)}'", cure, place)


def tell_problems(problems: tuple[Problem, ...], files: int) -> None:
    """Write problems to stderr, the count last."""
    if problems:
        color = has_color(sys.stderr)
        message(problems_text(problems, color=color) + "\n\n" + count_text(problems, max(1, files)))


def _bench(request: Request, problems: list[Problem]) -> BenchReading | None:
    """Read the bench that is meant."""
    path = _bench_of(request)
    if path is not None:
        return read_bench(path)
    cure = "give --bench FILE, go to a folder with a bench.yaml, or try it on the simulator with --simulate"
    problems.append(Problem(codes.NO_BENCH, "there is no bench.yaml here or above", cure))
    return None


def _faults(request: Request, problems: list[Problem]) -> dict[str, str]:
    faults: dict[str, str] = {}
    for text in request.faults:
        step, equals, fault = text.partition("=")
        if equals and step and fault:
            faults[step] = fault
            continue
        place = Place(Source("--fault", printable(text), typed=True), Span(1, 1, max(1, len(text))))
        cure = "write it as step=fault, for instance iv_curve=breakdown:-40"
        problems.append(Problem(codes.BAD_FAULT, f"'{printable(text, 40)}' is no fault", cure, place))
    return faults
