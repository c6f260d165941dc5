"""The figures of an IV curve in rows: what, how much, and what to know about it."""

from collections.abc import Iterator

from calseq.console.comparisonview import microamperes
from calseq.iv import CurrentAt, IvFigures

Rows = tuple[tuple[str, str, str], ...]


def iv_rows(found: IvFigures) -> Rows:
    """Give label, value and note of every figure, and last the notes that are of all of them."""
    return tuple(_rows(found))


def _rows(found: IvFigures) -> Iterator[tuple[str, str, str]]:
    yield "breakdown", *_breakdown(found)
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


def _breakdown(found: IvFigures) -> tuple[str, str]:
    breakdown = found.breakdown
    if breakdown.bias_v is not None:
        return f"{breakdown.bias_v:g} V", "more than 20 % in 5 V"
    return breakdown.said, "more than 20 % in 5 V, beyond 60 V" if breakdown.defined else ""


def _current(at: CurrentAt, found: IvFigures) -> tuple[str, str]:
    if at.current_a is None:
        return "not reached", ""
    density = found.density(at.current_a)
    return f"{microamperes(at.current_a)} µA", "" if density is None else f"{density:.3g} µA/cm²"
