"""The HV limit that a sequence or a bench sets: no voltage beyond it may be asked for, wherever that is written."""

from collections.abc import Iterator, Mapping
from typing import Any

from calseq import problems as codes
from calseq.bench import Bench
from calseq.document import Document, Path
from calseq.plaintext import printable
from calseq.problems import Place, Problem
from calseq.rails import Role, StepType
from calseq.sequence import Sequence, SequenceStep


def limit_problems(
    sequence: Sequence, bench: Bench, sweep_ends_v: Mapping[int, float | None]
) -> Iterator[Problem]:
    """Give every voltage that is beyond the strictest limit: options, `--set`, dirigent.toml, `default_voltage`.

    `sweep_ends_v` is, by number of step, how far an IV curve is known to go.
    """
    limits = [
        limit for document in (sequence.document, bench.document) if (limit := _limit(document)) is not None
    ]
    if not limits:
        return
    limit_v = min(limits, key=abs)
    yield from _targets(bench, limit_v)
    for step in sequence.steps:
        if step.calibration.type is StepType.IVCURVE:
            options = list(_options(sequence.document, step, limit_v))
            yield from options or _curve(step, sweep_ends_v.get(step.number), limit_v)


def _limit(document: Document) -> float | None:
    data: Any = document.data
    limits = data.get("limits") if isinstance(data, dict) else None
    return float(limits["hv"]) if isinstance(limits, dict) and "hv" in limits else None


def _targets(bench: Bench, limit_v: float) -> Iterator[Problem]:
    root = "instruments" if ("instruments",) in bench.instruments.values else "instrument_dict"
    names = {wires[Role.HV].instrument for wires in bench.wiring.channels.values() if Role.HV in wires}
    for name in sorted(names):
        target_v = bench.wiring.instruments[name]["default_voltage"]
        if abs(target_v) > abs(limit_v):
            place = bench.instruments.place((root, name, "default_voltage"))
            message = f"the bias {target_v:g} V of '{printable(name, 40)}'"
            yield _problem(message, limit_v, place, "")


def _options(document: Document, step: SequenceStep, limit_v: float) -> Iterator[Problem]:
    path: Path = ("steps", step.number - 1, "options")
    data: Any = document.data
    entry = data["steps"][step.number - 1]
    options = entry.get("options", {}) if isinstance(entry, dict) else {}
    for name, value in options.items():
        option = step.calibration.options.get(name)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if number and (option is None or option.unit == "V") and abs(value) > abs(limit_v):
            yield _problem(f"'{name}' {value:g} V", limit_v, document.place((*path, name)), _within(step))


def _curve(step: SequenceStep, end_v: float | None, limit_v: float) -> Iterator[Problem]:
    if end_v is None:
        cure = f"state '{step.calibration.sweep_end or 'max_voltage'}' in its options: a limit must be checked before the run"
        message = f"it is not known how far '{step.name}' goes, and the limit is {limit_v:g} V"
        yield Problem(codes.BEYOND_LIMIT, message, cure, step.place, _within(step))
    elif abs(end_v) > abs(limit_v):
        yield _problem(f"the end of the curve, {end_v:g} V,", limit_v, step.sweep_place, _within(step))


def _problem(what: str, limit_v: float, place: Place, within: str) -> Problem:
    return Problem(
        codes.BEYOND_LIMIT,
        f"{what} is beyond the limit of {limit_v:g} V",
        "lower it; the limit is 'limits: {hv: …}' of the sequence or the bench file",
        place,
        within,
    )


def _within(step: SequenceStep) -> str:
    return f"step {step.number}, {printable(step.name, 40)}"
