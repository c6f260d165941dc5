"""The bench's instruments by role, and what can be said of their addresses."""

from collections.abc import Iterator

from calseq.bench import Bench
from calseq.doctor.addresses import look_at
from calseq.doctor.checks import Check, came_to, skipped, warning
from calseq.plan import Instrument, PowerMode
from calseq.rails import Role


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


def _by_role(instrument: Instrument) -> int:
    return min(list(Role).index(role) for role in instrument.roles)
