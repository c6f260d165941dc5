"""The figures of an IV curve in rows: what, how much, and what to know about it."""

from collections.abc import Iterator

from calseq.measurement.iv import Breakdown, CurrentAt, IvFigures, Told, agree, microamperes

_TOLD_AT_V = 80.0

Rows = tuple[tuple[str, str, str], ...]


def iv_rows(found: IvFigures, told: Told | None = None) -> Rows:
    """Give label, value and note of every figure, and last the notes that are of all of them.

    Reverse bias is in positive volts, here and wherever a curve is shown.
    `told` is what breakdowns.json says of the module: the bias was decided by that, and not by the curve.
    """
    return tuple(_rows(found, told))


def iv_line(found: IvFigures, told: Told | None = None) -> str:
    """Give a curve in a line: the current at 80 V, and where the sensor breaks down."""
    at = next((each for each in found.at if each.bias_v == _TOLD_AT_V), None)
    current = "80 V not reached"
    if at and at.current_a is not None:
        current = f"{microamperes(at.current_a)} µA at {at.bias_v:g} V"
    own, _ = _breakdown(found.breakdown)
    value = own if told is None else _told(told)
    if value != "none":
        return f"{current}, breakdown {value}"
    upto = "" if found.reached_v is None else f" up to {found.reached_v:g} V"
    return f"{current}, no breakdown{upto}"


def breakdown_v(found: IvFigures, told: Told | None) -> float | None:
    """Give where a sensor breaks down, in volts: by breakdowns.json if that tells one, else by the curve."""
    return abs(told.volts) if told is not None and told.volts is not None else found.breakdown.bias_v


def _rows(found: IvFigures, told: Told | None) -> Iterator[tuple[str, str, str]]:
    yield ("breakdown", *_judged(found.breakdown, told))
    for each in found.at:
        yield f"I at {each.bias_v:g} V", *_current(each, found)
    if found.working and found.working_v:
        value, note = _current(found.working, found)
        yield f"working point, {abs(found.working_v):g} V", value, note
    if found.compliance_a:
        reached = "not reached" if found.limited_at_v is None else f"reached at {found.limited_at_v:g} V"
        yield "compliance", f"{microamperes(found.compliance_a)} µA", reached
    for note in found.notes:
        yield "note", "", note


def _judged(found: Breakdown, told: Told | None) -> tuple[str, str]:
    """Give the breakdown and who says so: breakdowns.json first, because the bias was decided by that."""
    own, why = _breakdown(found)
    if told is None:
        return own, f"by the curve: {why}"
    if agree(found, told) and own == _told(told):
        return own, f"by breakdowns.json, and by the curve: {why}"
    return _told(told), f"by breakdowns.json; {own} by the curve: {why}"


def _told(told: Told) -> str:
    return "none" if told.volts is None else f"{abs(told.volts):g} V"


def _breakdown(found: Breakdown) -> tuple[str, str]:
    if found.bias_v is not None:
        return f"{found.bias_v:g} V", "more than 20 % in 5 V"
    if found.defined:
        return "none", f"{found.said.removeprefix('none ')}, none of more than 20 % in 5 V beyond 60 V"
    word, _, why = found.said.partition(": ")
    return word, why


def _current(at: CurrentAt, found: IvFigures) -> tuple[str, str]:
    if at.current_a is None:
        return "not reached", ""
    density = found.density(at.current_a)
    return f"{microamperes(at.current_a)} µA", "" if density is None else f"{density:.3g} µA/cm²"
