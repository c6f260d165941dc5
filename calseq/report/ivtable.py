"""The figures of an IV curve in rows: what, how much, and what to know about it."""

from collections.abc import Iterator

from calseq.console.comparisonview import microamperes
from calseq.iv import Breakdown, CurrentAt, IvFigures, Told

Rows = tuple[tuple[str, str, str], ...]


def iv_rows(found: IvFigures, told: Told | None = None) -> Rows:
    """Give label, value and note of every figure, and last the notes that are of all of them.

    `told` is what breakdowns.json says of the module: the bias was decided by that, and not by the curve.
    """
    return tuple(_rows(found, told))


def _rows(found: IvFigures, told: Told | None) -> Iterator[tuple[str, str, str]]:
    if told is not None:
        yield "breakdown", str(told), "by breakdowns.json"
    value, why = _breakdown(found.breakdown)
    yield "breakdown", value, f"by the curve: {why}"
    for each in found.at:
        yield f"I at {each.bias_v:g} V", *_current(each, found)
    if found.working:
        value, note = _current(found.working, found)
        yield f"working point, {found.working_v:g} V", value, note
    if found.compliance_a:
        reached = "not reached" if found.limited_at_v is None else f"reached at {found.limited_at_v:g} V"
        yield "compliance", f"{microamperes(found.compliance_a)} µA", reached
    for note in found.notes:
        yield "note", "", note


def _breakdown(found: Breakdown) -> tuple[str, str]:
    if found.bias_v is not None:
        return f"{found.bias_v:g} V", "more than 20 % in 5 V"
    word, _, why = found.said.partition(": ")
    return word, why or "more than 20 % in 5 V, beyond 60 V"


def _current(at: CurrentAt, found: IvFigures) -> tuple[str, str]:
    if at.current_a is None:
        return "not reached", ""
    density = found.density(at.current_a)
    return f"{microamperes(at.current_a)} µA", "" if density is None else f"{density:.3g} µA/cm²"
