"""A sequence as its author wrote it, typed; after this no step is a dict."""

from msgspec import Struct

from calseq.documents.document import Document
from calseq.model.plan import OnFailure, Origin
from calseq.model.rails import Role
from calseq.problems.problem import Place, Problem
from calseq.sequence.catalog import Calibration


class Policies(Struct, frozen=True):
    """What may be said for one step, or for all in `defaults`.

    A child gets `stop_grace_s` to ramp down: 350 V at 5 V/s need 70 s, and the data acquisition its own. A plan makes it
    longer where the supplies of a bench need that, unless it is written.
    """

    timeout_s: float | None = None
    retries: int = 0
    on_failure: OnFailure = OnFailure.STOP
    stop_grace_s: float = 180.0


class SequenceStep(Struct, frozen=True):
    """One step as written. `words` are its arguments for dirigent after the calibration's name, `args` those of them
    that its author wrote as they are.

    `sweep_end_v` is how far an IV curve is said to go; `sweep_is_open` if its arguments may say otherwise; `waits_s`
    the time that it spends on waiting between two measurements alone, if all that is said. `left_out` says
    why the step is not to run, if it is not; `origin` where it comes from, if the sequence is a variant. `grace_place` is
    the place of its `stop_grace`, None if its author wrote none.
    """

    number: int
    name: str
    calibration: Calibration
    words: tuple[str, ...]
    args: tuple[str, ...]
    needs: frozenset[Role]
    policies: Policies
    sweep_end_v: float | None
    sweep_is_open: bool
    waits_s: float | None
    sweep_place: Place
    place: Place
    left_out: str = ""
    origin: Origin | None = None
    grace_place: Place | None = None


class Sequence(Struct, frozen=True):
    """A calibration sequence: its steps in order, and what it needs of a bench.

    `sensor` is the type of the sensors that it is for, if it says one. `advice` is all that lint says of its steps, also
    what a comment silences, `base_advice` of those of a variant's base alone; `warnings` are without those. `departures` are what was typed to make this run another than the file says: each `--set`.
    """

    title: str
    description: str
    required: frozenset[Role]
    steps: tuple[SequenceStep, ...]
    document: Document
    warnings: tuple[Problem, ...] = ()
    advice: tuple[Problem, ...] = ()
    base_advice: tuple[Problem, ...] = ()
    departures: tuple[str, ...] = ()
    sensor: str = ""
