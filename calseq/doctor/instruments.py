"""The bench's instruments by role, and what can be said of their addresses."""

from collections.abc import Iterator

from calseq.bench.bench import Bench
from calseq.doctor.addresses import look_at
from calseq.doctor.checks import Check, came_to, ok, skipped, warning
from calseq.model.plan import Instrument, PowerMode
from calseq.model.rails import Role


def examine_instruments(bench: Bench) -> Iterator[Check]:
    """Say of each instrument what its address tells; nothing is contacted, and what is simulated is not looked at."""
    file = bench.instruments.source.name
    for instrument in sorted(bench.wiring.described(), key=_by_role):
        name = instrument.name
        shown = f"{', '.join(instrument.roles)}: {instrument.instrument_class}, {instrument.resource}"
        if bench.mode is PowerMode.SIMULATED:
            yield skipped(name, f"{shown}: the bench is SIMULATED")
        elif instrument.sim:
            cure = f'delete `"sim": true` of {name} in {file}'
            yield warning(name, f"{shown}: SIMULATED, nothing real is read", cure)
        else:
            its = look_at(instrument.resource)
            yield came_to(its.status, name, f"{shown}: {its.note}", its.cure)
    for name, role in bench.wiring.unused().items():
        wire = f'"{role or "lv|hv|ab"}": {{"instrument": "{name}", "channel": 1}}'
        cure = f"add `{wire}` to its channel in {file}, or take it out"
        yield warning(name, "no channel uses it: nothing is ever given it", cure)
    yield from _hv_box(bench)


def _by_role(instrument: Instrument) -> int:
    return min(list(Role).index(role) for role in instrument.roles)


def _hv_box(bench: Bench) -> Iterator[Check]:
    """Say what an HV box means: calseq reads the bias at the supply, before it."""
    box = bench.hv_box
    if box is None:
        return
    finding = f"{box.shown}: calseq does not control it, bias is read at the supply"
    if box.stated == "closed":
        yield ok("HV box", f"{finding}; its channels are closed in every run, says the bench file")
    elif box.stated == "ask":
        yield ok("HV box", f"{finding}; a run with bias needs --hv-box-closed")
    else:
        cure = "set `hv_box: closed` in the bench file if its channels are closed in every run, else `hv_box: ask`"
        yield warning("HV box", f"{finding}; a plan with bias is refused", cure)
