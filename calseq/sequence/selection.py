"""Which steps of a sequence a run leaves out, as chosen on the command line, and why each."""

from msgspec.structs import replace

from calseq.model.request import Selection
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Place, Problem, Source, Span
from calseq.problems.suggestions import did_you_mean
from calseq.sequence.lint import advise
from calseq.sequence.sequence import Sequence


def select(sequence: Sequence, selection: Selection) -> tuple[Sequence, tuple[Problem, ...]]:
    """Mark the steps that are left out, and what is wrong with the choice; advice is given on what remains."""
    names = [step.name for step in sequence.steps]
    unknown = [_unknown(option, name, names) for option, name in selection.named() if name not in names]
    if unknown or not selection:
        return sequence, tuple(unknown)
    steps = tuple(
        replace(step, left_out=_reason(place, names, selection)) for place, step in enumerate(sequence.steps)
    )
    if all(step.left_out for step in steps):
        return sequence, (_nothing_left(selection, names),)
    document = sequence.document
    before, advice = sequence.advice, tuple(advise(document, steps, sequence.base_advice))
    after = [problem for problem in advice if not document.ignores(problem)]
    document.problems = [problem for problem in document.problems if problem not in before] + after
    warnings = [problem for problem in sequence.warnings if problem not in before] + after
    departures = (*sequence.departures, str(selection))
    chosen = replace(sequence, steps=steps, advice=advice, warnings=tuple(warnings), departures=departures)
    return chosen, ()


def _reason(place: int, names: list[str], selection: Selection) -> str:
    """Say why the step at a place is left out; empty if it is to run."""
    name = names[place]
    if name in selection.skip:
        return f"--skip {name}"
    if selection.start and place < names.index(selection.start):
        return f"before --from {selection.start}"
    if selection.until and place > names.index(selection.until):
        return f"after --until {selection.until}"
    return (
        f"not in --only {', '.join(selection.only)}" if selection.only and name not in selection.only else ""
    )


def _unknown(option: str, name: str, names: list[str]) -> Problem:
    shown = printable(name, 40)
    cure = did_you_mean(name, names) or "steps: " + printable(", ".join(names[:12]), 200)
    place = Place(Source(option, printable(name), typed=True), Span(1, 1, max(1, len(name))))
    return Problem(codes.BAD_SELECTION, f"no step is named '{shown}'", cure, place)


def _nothing_left(selection: Selection, names: list[str]) -> Problem:
    crossed = (
        selection.start and selection.until and names.index(selection.start) > names.index(selection.until)
    )
    cure = f"'{selection.until}' comes before '{selection.start}'" if crossed else "leave one of them out"
    message = f"{printable(str(selection), 200)} leaves no step to run"
    return Problem(codes.BAD_SELECTION, message, cure)
