"""The end of calseq's process: an exit code, or death by the signal that stopped it."""

import atexit
import os
import resource
import signal
import sys
from contextlib import suppress
from typing import NoReturn

from calseq.model.verdicts import EXIT_CODES

_SIGNALS = {int(code): signal.Signals[name] for name, code in EXIT_CODES.items()}
_DUMPABLE = 4  # PR_SET_DUMPABLE of <linux/prctl.h>


class Relayed(int):
    """Exit code of another process, passed on: no signal stopped this one."""


def end(code: int) -> NoReturn:
    """End the process: by its signal, if `code` says that one stopped it, so that a shell's loop ends, too; else with `code`.

    A shell goes on with its loop after a Ctrl-C that a program has survived: only death by SIGINT tells it to stop.
    """
    number = None if isinstance(code, Relayed) else _SIGNALS.get(code)
    if number is not None:
        _die_of(number)
    raise SystemExit(code)


def _die_of(number: signal.Signals) -> None:
    """Die of a signal, with everything written and no core dump; return where it cannot kill, as process 1 of a container."""
    atexit._run_exitfuncs()  # a signal runs none of them
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    if number is signal.SIGQUIT:
        _leave_no_core()
    signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
    os.kill(os.getpid(), number)


def _leave_no_core() -> None:
    """Forbid a core dump; one that is piped to a program heeds no limit."""
    import ctypes  # noqa: PLC0415 - 8 ms that only a SIGQUIT needs

    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DUMPABLE, 0, 0, 0, 0)
