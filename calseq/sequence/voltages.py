"""The HV limit that a file sets, and which voltages of a step's options are beyond it."""

from collections.abc import Iterator
from typing import Any

from calseq.documents.document import Document, Path
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Place, Problem
from calseq.sequence.sequence import SequenceStep


def hv_limit(document: Document) -> float | None:
    """Give the limit of the high voltage that a sequence or a bench file sets, in volts."""
    data: Any = document.data
    limits = data.get("limits") if isinstance(data, dict) else None
    if not isinstance(limits, dict) or "hv" not in limits or document.is_spoilt(("limits", "hv")):
        return None
    return float(limits["hv"])


def options_beyond(document: Document, step: SequenceStep, limit_v: float) -> Iterator[Problem]:
    """Give every option of a step that asks for more than a limit allows."""
    path: Path = ("steps", step.number - 1, "options")
    data: Any = document.data
    entry = data["steps"][step.number - 1]
    options = entry.get("options") if isinstance(entry, dict) else None
    for name, value in options.items() if isinstance(options, dict) else ():
        option = step.calibration.options.get(name)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        is_voltage = option is None or option.unit == "V"
        if number and is_voltage and abs(value) > abs(limit_v) and not document.is_spoilt((*path, name)):
            yield beyond(f"'{name}' {value:g} V", limit_v, document.place((*path, name)), step_named(step))


def beyond(what: str, limit_v: float, place: Place, within: str) -> Problem:
    """Say that a voltage is beyond a limit."""
    cure = "lower it; the limit is 'limits: {hv: …}' of the sequence or the bench file"
    message = f"{what} is beyond the limit of {limit_v:g} V"
    return Problem(codes.BEYOND_LIMIT, message, cure, place, within)


def step_named(step: SequenceStep) -> str:
    """Name a step for a problem that it is in."""
    return f"step {step.number}, {printable(step.name, 40)}"
