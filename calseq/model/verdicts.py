"""How a step and a run can end: the same words in types, on the screen, in the journal and as exit codes."""

from enum import IntEnum, StrEnum


class Verdict(StrEnum):
    """How a step ended."""

    PASSED = "passed"
    FAILED = "failed"
    TIMED_OUT = "timed-out"
    MISSING_OUTPUT = "missing-output"
    NOT_STARTED = "not-started"
    INTERRUPTED = "interrupted"
    SKIPPED = "skipped"


class RunVerdict(StrEnum):
    """How a run ended. `unsafe` beats all others: HV or LV off could not be confirmed."""

    PASSED = "passed"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    UNSAFE = "unsafe"
    BROKEN = "broken"


class ExitCode(IntEnum):
    """What calseq tells the shell."""

    GOOD = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    UNSAFE = 4
    NOT_SENT = 5
    BUG = 70
    HANGUP = 129
    INTERRUPTED = 130
    QUIT = 131
    TERMINATED = 143


EXIT_CODES = {
    "SIGINT": ExitCode.INTERRUPTED,
    "SIGTERM": ExitCode.TERMINATED,
    "SIGQUIT": ExitCode.QUIT,
    "SIGHUP": ExitCode.HANGUP,
}
"""The exit code after a safe end that a signal asked for, by the signal's name."""

EXIT_CODE_MEANINGS = {
    ExitCode.GOOD: "good",
    ExitCode.FAILED: "`validate`: problems found; `execute`: a step did not pass; power is confirmed off*",
    ExitCode.USAGE: "wrong usage",
    ExitCode.REFUSED: "refused before start: bad file, missing instrument, no dirigent, bench locked",
    ExitCode.UNSAFE: "**HV or LV off could not be confirmed**; beats all others",
    ExitCode.NOT_SENT: "`upload`: something is not sent; `calseq upload` goes on where it stopped",
    ExitCode.BUG: "a bug in calseq",
    ExitCode.HANGUP: "ended by SIGHUP (`--on-hangup stop`) after the safe end; power is confirmed off*",
    ExitCode.INTERRUPTED: "ended by SIGINT (Ctrl-C) after the safe end; power is confirmed off*",
    ExitCode.QUIT: "ended by SIGQUIT after the safe end; power is confirmed off*",
    ExitCode.TERMINATED: "ended by SIGTERM after the safe end; power is confirmed off*",
}

NOT_CONTROLLED = "not controlled by calseq: dirigent switches the supplies itself"
NOT_READ = "calseq cannot say whether HV and LV are off: look at the supplies"
UNKNOWN_HARDWARE = "HARDWARE STATE UNKNOWN - HV may be on"
WHAT_TO_DO = (
    "do not touch the module and do not unplug anything",
    "read HV and LV at the front panels of these supplies",
    "switch HV off there, by hand; LV off only when the HV reads below 2 V",
    "start no other run before both read off",
)
"""What to do when HV or LV off could not be confirmed; the supplies are listed wherever this is said."""

TRIES_ON = "its guard goes on trying every 30 s, for an hour; 'calseq power off' has it try once more at once"
"""What happens meanwhile on a bench whose supplies calseq holds."""
