"""Whether this machine and this bench can run: what each check found, and the command that mends it.

Nothing is switched, opened or contacted. dirigent is asked for its help only, and with no instrument in its hands.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec.structs import replace

from calseq.bench.bench import Bench
from calseq.doctor.bench import examine_stand
from calseq.doctor.checks import Check, Status
from calseq.doctor.dirigent import examine_dirigent
from calseq.doctor.folders import is_folder
from calseq.doctor.icicle import examine_icicle
from calseq.doctor.instruments import examine_instruments
from calseq.doctor.machine import Machine, examine_machine, this_machine
from calseq.doctor.ph2_acf import examine_ph2_acf
from calseq.doctor.probe import PATIENCE_S, Asking
from calseq.run.run import CHILD_VARIABLES
from calseq.system.signals import Stops

__all__ = ["PATIENCE_S", "Check", "Machine", "Status", "examine", "this_machine"]


def examine(
    machine: Machine,
    bench: Bench | None,
    stops: Stops,
    *,
    refused: str = "",
    patience_s: float = PATIENCE_S,
) -> Iterator[Check]:
    """Give every check, section by section, as soon as it is made.

    `refused` names a bench file that cannot be used: then, and without any bench, only the machine is looked at.
    """
    variables = bench.variables if bench else {}
    environ = {**machine.environ, **variables, **CHILD_VARIABLES}
    cwd = bench.cwd if bench and is_folder(bench.cwd) else Path.cwd()
    ask = Asking(environ, str(cwd), stops, patience_s)
    sections: tuple[tuple[str, Iterable[Check]], ...] = (
        ("machine", examine_machine(machine, bench.locks if bench else None)),
        ("machine", examine_ph2_acf(bench, environ)),
        ("bench", examine_stand(bench, refused, machine.environ)),
        ("dirigent", examine_dirigent(bench, refused, ask)),
        ("instruments", examine_instruments(bench) if bench else ()),
        ("power", examine_icicle(bench, ask, machine.environ) if bench else ()),
    )
    for section, checks in sections:
        for check in checks:
            if stops.level:
                return
            yield replace(check, section=section)
