"""What a command was given, read: sequence, bench and settings to a plan, or every problem of all of them."""

import sys
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from calseq import problems as codes
from calseq.assets import find_bench, shipped_sequence
from calseq.bench import Bench, BenchReading, read_bench
from calseq.catalog import builtin
from calseq.cli.terminal import has_color, message
from calseq.compiler import compile_plan
from calseq.diagnostics import count_text, problems_text
from calseq.document import Document
from calseq.likeness import did_you_mean
from calseq.loading import compared, find_sequence, load_sequence, shipped_bench, simulated
from calseq.official import not_official
from calseq.plaintext import printable
from calseq.plan import Plan
from calseq.preflight import check_faults
from calseq.problems import Place, Problem, Refused, Source, Span, in_order
from calseq.request import Request
from calseq.selection import select
from calseq.sequence import Sequence


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
    """Give where the runs of a bench go. The bundled one lies with the program: its runs go where the operator is."""
    bundled = bench.document.path == str(shipped_bench().resolve())
    return Path("runs") if bundled else bench.runs


def lasting(request: Request) -> Request:
    """Give a request that means the same from any folder: its files by their absolute paths."""
    sequence = find_sequence(request.sequence)
    shipped = shipped_sequence(request.sequence) == sequence
    bench = request.bench or ("" if request.simulate else str(find_bench(Path.cwd()) or ""))
    return replace(
        request,
        sequence=request.sequence if shipped else str(sequence.absolute()),
        bench=str(Path(bench).absolute()) if bench else "",
    )


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
    """Read the bench that was named, the bundled one, or the one that is near."""
    if request.bench:
        return read_bench(Path(request.bench))
    if request.simulate:
        return read_bench(shipped_bench())
    near = find_bench(Path.cwd())
    if near is not None:
        return read_bench(near)
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
