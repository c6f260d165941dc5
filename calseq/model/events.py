"""What happens in a run, as frozen values: its events, by which everything of it is known."""

import re

from msgspec import Struct

from calseq.model.expectations import Expectation
from calseq.model.rails import Move, Readings
from calseq.model.verdicts import RunVerdict, Verdict

EVENT_FORMAT = 1
"""The format of the events as they are written. One that older readers would misunderstand has a higher number."""


class RunStarted(Struct, frozen=True):
    """A run began; nothing has been touched yet.

    `expected` is how long its steps were expected to take then; `format` is that of all events of the run.
    """

    run: str
    title: str
    bench: str
    mode: str
    module: str
    operator: str
    simulated: bool
    steps: int
    digest: str
    calseq: str
    pid: int
    dirigent: str = ""
    expected: tuple[Expectation, ...] = ()
    format: int = 1


class RunResumed(Struct, frozen=True):
    """A run goes on that ended early, in its own folder: what it keeps, what it runs again, what changed since.

    `plan` is the file of the plan from here on, `digest` its sha256; a step that is not in `kept` has no result.
    """

    pid: int
    operator: str
    calseq: str
    plan: str
    digest: str
    kept: tuple[str, ...]
    again: tuple[str, ...]
    changed: tuple[str, ...] = ()
    dirigent: str = ""
    expected: tuple[Expectation, ...] = ()


class StepStarted(Struct, frozen=True):
    """An attempt at a step is about to start its child; `log` and `directory` are below the run folder."""

    step: int
    name: str
    attempt: int
    log: str
    directory: str


class ChildStarted(Struct, frozen=True):
    """The child of a step runs, leading a session of its own."""

    step: int
    attempt: int
    pid: int


class StepProgressed(Struct, frozen=True):
    """The child printed a banner: part `part` of `parts` has begun."""

    step: int
    attempt: int
    part: int
    parts: int
    title: str


class ChildSignalled(Struct, frozen=True):
    """A signal went to the child's whole tree."""

    step: int
    attempt: int
    signal: str
    why: str


class LeftoversEnded(Struct, frozen=True):
    """The child left processes behind; they were ended before the run went on."""

    step: int
    attempt: int
    processes: tuple[str, ...]


class ResultFile(Struct, frozen=True):
    """A file that an attempt left: its name below the attempt's result directory, its size in bytes, and its sha256.

    `sha256` is empty if there was no time to read the file.
    """

    name: str
    size: int
    sha256: str = ""


class StepEnded(Struct, frozen=True):
    """An attempt ended. `reason` says why when it did not pass; `retried` that another attempt follows.

    `outputs` are the files found below the result directory that the step had to leave;
    `last_lines` the end of the log of an attempt that did not pass; `longest_silence_s` how long its log did
    not grow at most. Of an IV curve that passed,
    `breakdowns_sha256` is the digest of the breakdowns.json it wrote, `curves_sha256` that of its curves, `reached_v`
    how far it was measured in volts.
    `files` are those found below the result directory, the smallest first; `more_files` how many others there are, None if
    there was no time to look.
    """

    step: int
    name: str
    attempt: int
    verdict: Verdict
    duration_s: float
    exit_code: int | None = None
    signal: str | None = None
    reason: str = ""
    retried: bool = False
    outputs: tuple[str, ...] = ()
    last_lines: tuple[str, ...] = ()
    longest_silence_s: float = 0.0
    breakdowns_sha256: str = ""
    reached_v: float | None = None
    curves_sha256: str = ""
    files: tuple[ResultFile, ...] = ()
    more_files: int | None = 0


class StepKept(Struct, frozen=True):
    """A step passed before the run was resumed: its result counts. `ended_at` is POSIX seconds, for people."""

    step: int
    name: str
    attempt: int
    directory: str
    duration_s: float
    ended_at: float


class StepLeftOut(Struct, frozen=True):
    """A step is not part of this run, because somebody chose so."""

    step: int
    name: str
    reason: str


class StepSkipped(Struct, frozen=True):
    """A step was not run, and why."""

    step: int
    name: str
    reason: str


class SupplyDecided(Struct, frozen=True):
    """Of one HV supply: may its sensors be biased, and why (not)."""

    instrument: str
    allowed: bool
    reason: str


class BiasDecided(Struct, frozen=True):
    """After an IV curve: may the sensors be biased, and why (not). `sha256` is of the breakdowns.json it was read from.

    `supplies` has it for each of them, `notes` what the curves show besides.
    """

    step: int
    allowed: bool
    reason: str
    sha256: str = ""
    supplies: tuple[SupplyDecided, ...] = ()
    notes: tuple[str, ...] = ()


class RailMoving(Struct, frozen=True):
    """A move of a rail begins."""

    move: Move
    step: int = 0


class RailMoved(Struct, frozen=True):
    """A move of a rail ended, with both rails as read back."""

    move: Move
    readings: Readings
    duration_s: float
    step: int = 0


class RailsRead(Struct, frozen=True):
    """Both rails were read back, for instance after a child had them."""

    readings: Readings
    step: int = 0


class PowerFailed(Struct, frozen=True):
    """A supply did not do or say what it should, in its own words."""

    reason: str
    move: Move | None = None


class StopAsked(Struct, frozen=True):
    """Somebody asked the run to stop: `cause` names the signal, `count` how often by now."""

    cause: str
    count: int


class SafeEndStarted(Struct, frozen=True):
    """The safe end began: HV off, then LV off."""


class SafeEndFinished(Struct, frozen=True):
    """The safe end is over. `confirmed`: both rails were read back as off."""

    confirmed: bool
    readings: Readings
    reason: str = ""


class MonitorRead(Struct, frozen=True):
    """A monitor looked: whether all is well, what it printed, and why not."""

    name: str
    ok: bool
    reading: str = ""
    reason: str = ""


class InterlockViolated(Struct, frozen=True):
    """The simulated bench caught somebody breaking an interlock."""

    violation: str


class ListenerDropped(Struct, frozen=True):
    """A courtesy listener failed and hears no more; the run goes on without it."""

    listener: str
    reason: str


class RunEnded(Struct, frozen=True):
    """The run is over, and all that follows from it."""

    verdict: RunVerdict
    exit_code: int
    duration_s: float
    reason: str = ""


Event = (
    RunStarted | StepStarted | ChildStarted | StepProgressed | ChildSignalled | LeftoversEnded | StepEnded
    | StepSkipped | BiasDecided | RailMoving | RailMoved | RailsRead | PowerFailed | StopAsked | SafeEndStarted
    | SafeEndFinished | MonitorRead | InterlockViolated | ListenerDropped | RunEnded
    | RunResumed | StepKept | StepLeftOut
)  # fmt: skip


def kind(event: type) -> str:
    """Give the name of an event's type as the journal writes it: `StepEnded` is `step-ended`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", event.__name__).lower()


KINDS: dict[str, type] = {kind(event): event for event in Event.__args__}
"""Every type of event by the name it has in a journal."""


class Stamped(Struct, frozen=True):
    """An event with its place in the run: `seq` from 1, `at` wall time, `t` seconds that the run has gone on.

    Order and durations come from `seq` and `t`; `at` (POSIX seconds) is only for people, clocks jump.
    """

    seq: int
    at: float
    t: float
    event: Event
