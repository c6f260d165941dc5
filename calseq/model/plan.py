"""The plan of a run: everything that will happen, decided before anything is touched."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from calseq.model.confidential import hidden
from calseq.model.destinations import Upload
from calseq.model.formats import check_format
from calseq.model.rails import BIASED, Rails, Role, StepType

PLAN_FORMAT = 1
DIRECTORY = "{directory}"
"""Stands in a step's argv for the result directory, which only a run can name."""


class PowerMode(StrEnum):
    """Who moves the rails between the steps."""

    ICICLE = "icicle"
    DIRIGENT = "dirigent"
    SIMULATED = "simulated"


STAND_IN = "calseq.simulator"
"""Module of the simulator's stand-in for dirigent: a command that names it measures nothing."""

STAND_IN_SAYS = "simulated by calseq"
"""What the stand-in says of itself when it is asked for its version, whatever it was started by."""


def rehearsed(mode: PowerMode) -> PowerMode:
    """Power mode in which the simulator plays a real one: calseq holds simulated supplies, or holds none there, either."""
    return mode if mode is PowerMode.DIRIGENT else PowerMode.SIMULATED


Origin: TypeAlias = Literal["base", "changed", "inserted"]
"""Where a step of a variant comes from: its base, its base with changes of the variant, or the variant alone."""


class OnFailure(StrEnum):
    """What a run does after a step that did not pass."""

    STOP = "stop"
    CONTINUE = "continue"


class Output(Struct, frozen=True):
    """Files that a step must leave: a glob, searched at any depth, and how many of them at least."""

    pattern: str
    at_least: int = 1


CurveKind: TypeAlias = Literal["iv", "vi"]
"""What a table of numbers is: current over voltage of a sensor, or voltages over input current of the chips' regulators."""


class Column(Struct, frozen=True):
    """A column of a table: the quantity that it is, and the headings by which it is known.

    `{chip}` in a heading stands for the number of a chip. `unit` holds where the file tells none.
    """

    quantity: str
    headings: tuple[str, ...]
    unit: str = ""


class CurveTable(Struct, frozen=True):
    """Files of a step that are curves: a glob of their names, what they are, and their columns."""

    pattern: str
    kind: CurveKind
    columns: tuple[Column, ...]


class ResultRule(Struct, frozen=True):
    """Which files of a step are a result for a database, what it is called there, and of which `type` it is.

    Without a `type` every file `RunNNNNNN_<scan>.root` is a result of its own, named and typed by its scan; `scans`
    are types of scans that only the site knows. Without a `name` it has that of the calibration.
    """

    files: tuple[str, ...]
    type: str = ""
    name: str = ""
    scans: Mapping[str, str] = field(default_factory=dict)


class Step(Struct, frozen=True):
    """One calibration, ready to run. `argv` is complete but for the result directory.

    `after` is how the step leaves the rails once it has passed; after a curve it is what calseq moves to
    if the bias decision allows it. `sweep_end_v` is how far an IV curve is known to go, in volts.
    `line` is where the step stands in its sequence file; of a variant, `origin` tells whether that is its base.
    `left_out` is why it is not to run, if it is not. `curves` tell which of its files are curves, `failures` which
    texts in its log say that it failed.
    """

    number: int
    name: str
    calibration: str
    type: StepType
    summary: str
    argv: tuple[str, ...]
    before: Rails
    after: Rails
    given: tuple[Role, ...]
    needs: tuple[Role, ...]
    outputs: tuple[Output, ...] = ()
    timeout_s: float | None = None
    retries: int = 0
    on_failure: OnFailure = OnFailure.STOP
    usual_s: float | None = None
    stop_grace_s: float = 180.0
    sweep_end_v: float | None = None
    line: int = 0
    origin: Origin | None = None
    left_out: str = ""
    curves: tuple[CurveTable, ...] = ()
    results: tuple[ResultRule, ...] = ()
    failures: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The name of the step's folder: `03-iv_curve`."""
        return f"{self.number:02d}-{self.name}"

    def folder(self, attempt: int) -> str:
        """Give the name of an attempt's folder: `03-iv_curve`, then `03-iv_curve.2`."""
        return self.id if attempt == 1 else f"{self.id}.{attempt}"

    def command(self, directory: str) -> tuple[str, ...]:
        """Give the argv of a child that writes its results to `directory`."""
        before = ("", *self.argv)
        return tuple(
            directory if word == DIRECTORY and option == "--directory" else word
            for option, word in zip(before, self.argv, strict=False)
        )


class Instrument(Struct, frozen=True):
    """An instrument of the bench and what it is used for here."""

    name: str
    instrument_class: str
    resource: str
    roles: tuple[Role, ...]
    channels: tuple[str, ...]
    sim: bool = False


class Module(Struct, frozen=True):
    """A detector module: its channel key in instruments.json, and what modules.json tells of it.

    `type` is `1x2` for a double and `2x2` for a quad; `sensor` whether it has one, None if nobody says;
    `efuses` are the codes of its chips, which no two modules have in common.
    """

    channel: str
    name: str = ""
    type: str = ""
    subdetector: str = ""
    sensor: bool | None = None
    efuses: tuple[str, ...] = ()


class BiasSupply(Struct, frozen=True):
    """An HV output, the bias it gives (`target_v`, volts, signed) and every module that hangs on it.

    Of the modules only channel and name are said here. `compliance_a` is the current at which it limits, in amperes.
    """

    instrument: str
    target_v: float
    modules: tuple[Module, ...]
    compliance_a: float | None = None


class BiasRule(Struct, frozen=True):
    """How the bias is decided: voltages with their sign or as magnitudes, by both witnesses or by breakdowns.json alone."""

    sign: Literal["same", "magnitude"] = "same"
    allow_forward: bool = False
    witnesses: Literal["both", "breakdowns"] = "both"


class HvBox(Struct, frozen=True):
    """An HV box between supply and sensors, which calseq does not control; `names` are its instruments, as they are shown.

    `stated` is what the bench file says: `closed` in every run, `ask` before each, or nothing.
    """

    names: tuple[str, ...] = ()
    stated: Literal["", "closed", "ask"] = ""

    @property
    def shown(self) -> str:
        """The box as a person says it."""
        return f"HV box {', '.join(self.names)}" if self.names else "the HV box"


class Environment(Struct, frozen=True):
    """Where and with what a child runs: working folder, and variables added to the inherited ones."""

    cwd: str
    variables: Mapping[str, str] = field(default_factory=dict)


class Dictionaries(Struct, frozen=True):
    """The whole of instruments.json, in the form that icicle reads: what a power backend opens."""

    instruments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    channels: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)


class Simulation(Struct, frozen=True):
    """How the bundled bench behaves: `speed` times faster than life, with a fault per step name."""

    speed: float = 200.0
    faults: Mapping[str, str] = field(default_factory=dict)


class Monitor(Struct, frozen=True):
    """A command of the site that watches the surroundings of a run: exit code 0 within `timeout_s` is good."""

    name: str
    command: tuple[str, ...]
    every_s: float = 10.0
    timeout_s: float = 5.0
    on_failure: Literal["stop", "warn"] = "stop"


class Notice(Struct, frozen=True):
    """A command of the site that is run after a run has ended, for `timeout_s` at most."""

    command: tuple[str, ...]
    timeout_s: float = 30.0


class InputFile(Struct, frozen=True):
    """A file the plan was made from, with its digest at that moment.

    `stored_sha256` is that of its copy in a run folder, where secrets were taken out of it.
    """

    kind: str
    path: str
    sha256: str
    stored_sha256: str = ""


class Standing(Struct, frozen=True):
    """Whether a plan's sequence is an official one: `official` is the name by which the bench pins it, or empty.

    `digest` is of what the sequence means. `judged` tells that the bench pins official sequences at all. `like` is
    the official sequence that it goes by the name of and is not; `differences` say in what.
    """

    digest: str = ""
    official: str = ""
    judged: bool = False
    like: str = ""
    differences: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """The one word for it, where there is anything to say."""
        return "official" if self.official else "unofficial" if self.judged else ""


class Plan(Struct, frozen=True):
    """An ordered, inert, complete list of steps with all that their run needs to know.

    `locks` is the folder in which the instruments are locked, where the bench names one, `runs` that of the bench's runs;
    `group` may read the run folder. `sensor` is the type of the sensors that the sequence is for, if it says one. `stand_in`: its
    dirigent is the simulator's, whoever moves the rails. `rehearses` is the power mode of a real bench in whose place
    everything is simulated.
    """

    title: str
    description: str
    bench: str
    mode: PowerMode
    steps: tuple[Step, ...]
    instruments: tuple[Instrument, ...]
    modules: tuple[Module, ...]
    supplies: tuple[BiasSupply, ...]
    environment: Environment
    wiring: Dictionaries = Dictionaries()
    power_python: str = ""
    monitors: tuple[Monitor, ...] = ()
    on_finish: Notice | None = None
    bias: BiasRule = BiasRule()
    simulation: Simulation | None = None
    inputs: tuple[InputFile, ...] = ()
    warnings: tuple[str, ...] = ()
    standing: Standing = Standing()
    upload: Upload | None = None
    hv_box: HvBox | None = None
    log_limit_bytes: int = 4 << 30
    locks: str = ""
    runs: str = ""
    group: str = ""
    sensor: str = ""
    stand_in: bool = False
    rehearses: str = ""
    format: int = PLAN_FORMAT

    @property
    def controls_rails(self) -> bool:
        """calseq itself moves the rails; otherwise dirigent does, unseen."""
        return self.mode is not PowerMode.DIRIGENT

    @property
    def needs_bias(self) -> bool:
        """A step that is to run needs bias."""
        return any(step.before == BIASED for step in self.steps if not step.left_out)

    @property
    def simulated(self) -> bool:
        """Nothing real is measured: by the simulator, its stand-in for dirigent, or an instrument that is itself simulated."""
        by_itself = any(instrument.sim for instrument in self.instruments)
        return self.all_simulated or self.simulation is not None or self._by_stand_in or by_itself

    @property
    def simulates_on_real_supplies(self) -> bool:
        """The stand-in plays dirigent, and calseq moves real supplies: no curve of it says anything of the sensors."""
        return self._by_stand_in and self.controls_rails and not self.all_simulated

    @property
    def _by_stand_in(self) -> bool:
        return self.stand_in or any(STAND_IN in step.argv for step in self.steps)

    @property
    def all_simulated(self) -> bool:
        """The simulator is in the place of everything real, in any power mode: no supply is touched, none is locked."""
        return self.mode is PowerMode.SIMULATED or bool(self.rehearses)

    def digest(self) -> str:
        """Give the sha256 of the plan's JSON: two plans with one digest do the same."""
        import hashlib  # noqa: PLC0415 - OpenSSL takes 3 ms that only a run needs

        return hashlib.sha256(to_json(self)).hexdigest()


def named(plan: Plan, module: str) -> Plan:
    """Plan to show and to upload by: its only module, if that has no name of its own, called as the run's was.

    Its `supplies`, by which the bias is decided, keep their modules as the bench has them.
    """
    if len(plan.modules) != 1 or plan.modules[0].name:
        return plan
    return replace(plan, modules=(replace(plan.modules[0], name=module),))


def to_json(plan: Plan) -> bytes:
    """Write a plan as JSON, keys in order of their names, with stars for secrets."""
    around = plan.environment
    plan = replace(plan, environment=replace(around, variables=hidden(around.variables)))
    return msgspec.json.format(msgspec.json.encode(plan, order="sorted"), indent=2)


def from_json(text: bytes) -> Plan:
    """Read a plan back.

    Raises:
        msgspec.ValidationError: the JSON is not a plan, or one of a newer format.
        msgspec.DecodeError: the text is not JSON.
    """
    check_format(text, PLAN_FORMAT)
    return msgspec.json.decode(text, type=Plan)
