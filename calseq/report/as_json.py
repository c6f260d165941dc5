"""The report as JSON, for programs: all facts, nothing folded."""

from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from calseq.measurement.curves import IvCurve, NotUnderstood
from calseq.measurement.iv import CurrentAt, IvFigures, figures_in, module_of
from calseq.model.plan import Plan
from calseq.record.past import Try
from calseq.record.run_folder import RunRecord
from calseq.report.attention import attention
from calseq.report.files import Listed
from calseq.report.history import Stretch
from calseq.report.power import PowerWord
from calseq.report.run_data import Dossier
from calseq.report.steps import StepStory, told_in
from calseq.report.verdict import headline

FACTS_FORMAT = 1
"""The format of the JSON. One that older readers would misunderstand has a higher number."""


class Attempt(Struct, frozen=True):
    """One attempt at a step; `started` is in UTC, `started_s` on the run's clock."""

    number: int
    state: str
    started: str
    started_s: float
    duration_s: float | None
    reason: str
    log: str
    directory: str
    outputs: tuple[str, ...]


class File(Struct, frozen=True):
    """A file below the run folder."""

    name: str
    size_bytes: int


class Current(Struct, frozen=True):
    """The current at a reverse bias in positive volts: amperes, and µA per cm² of the sensor; null if not known."""

    bias_v: float
    current_a: float | None
    density_ua_cm2: float | None


class Curve(Struct, frozen=True):
    """What an IV curve comes to, reverse bias in positive volts. `notes` say what to keep in mind.

    `breakdowns_json` is what that file says of the module: volts with their sign, 'none', or '' if nothing.
    """

    module: str
    file: str
    points: int
    at: tuple[Current, ...]
    working: Current | None
    breakdown_v: float | None
    breakdown_said: str
    breakdowns_json: str
    reached_v: float | None
    compliance_a: float | None
    limited_at_v: float | None
    area_cm2: float | None
    notes: tuple[str, ...]


class Unread(Struct, frozen=True):
    """A file that should be a curve and was not understood, and why."""

    file: str
    reason: str


class StepFacts(Struct, frozen=True):
    """A step of the plan and what became of it. `usual_s` is measured if it comes from earlier runs."""

    number: int
    name: str
    calibration: str
    state: str
    reason: str
    command: tuple[str, ...]
    attempts: tuple[Attempt, ...]
    usual_s: float | None
    usual_is_measured: bool
    kept: bool
    files: tuple[File, ...]
    more_files: bool
    last_lines: tuple[str, ...]
    curves: tuple[Curve, ...] = ()
    not_understood: tuple[Unread, ...] = ()


class Supply(Struct, frozen=True):
    """The decision over the bias of one HV supply."""

    instrument: str
    allowed: bool
    reason: str


class Stretched(Struct, frozen=True):
    """How a rail was known to be for a while, in seconds on the run's clock."""

    state: str
    start_s: float
    end_s: float


class Power(Struct, frozen=True):
    """In which state HV and LV were left: 'off', 'unknown', 'not controlled', 'untouched' or 'in use'."""

    state: str
    said: str
    by: str
    read: str | None
    readings: str


class Bias(Struct, frozen=True):
    """A decision over the bias; `same` tells whether breakdowns.json is still the one that it was taken from."""

    step: int
    allowed: bool
    reason: str
    file: str
    sha256: str
    same: bool | None
    supplies: tuple[Supply, ...] = ()
    notes: tuple[str, ...] = ()


class Matter(Struct, frozen=True):
    """Something that needs attention; `step` is 0 where it is about none."""

    text: str
    grave: bool
    step: int


class Facts(Struct, frozen=True):
    """The report of a run. `record` is run.json as it was read; `phase` tells how the run stands."""

    format: int
    run: str
    phase: str
    verdict: str
    reason: str
    simulated: bool
    module: str
    dirigent: str
    made: str
    power: Power
    attention: tuple[Matter, ...]
    steps: tuple[StepFacts, ...]
    hv: tuple[Stretched, ...]
    lv: tuple[Stretched, ...]
    bias: tuple[Bias, ...]
    damage: tuple[str, ...]
    seal_sha256: str
    record: RunRecord


def text(dossier: Dossier) -> str:
    """Write the JSON. What is not UTF-8 in a file's name is written with replacement characters."""
    encoded = msgspec.json.encode(facts(dossier), enc_hook=str)
    return harmless(msgspec.json.format(encoded, indent=2).decode())


def harmless(json: str) -> str:
    """Write what does not print in JSON's own escapes: the same values, and nothing that a terminal obeys."""
    return "".join(each if each.isprintable() or each == "\n" else _escape(each) for each in json)


def _escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def facts(dossier: Dossier) -> Facts:
    """Give a dossier in the form in which it is written."""
    told = dossier.told
    hv, lv = (tuple(map(_stretched, lane)) for lane in told.lanes.values())
    head = headline(dossier)
    return Facts(
        format=FACTS_FORMAT,
        run=_encodable(dossier.standing.name),
        phase=str(dossier.standing.phase),
        verdict=head.word,
        reason=_encodable(head.reason),
        simulated=dossier.simulated,
        module=dossier.module,
        dirigent=told.past.dirigent,
        made=_utc(dossier.made_at),
        power=_power(dossier.power),
        attention=tuple(Matter(_encodable(e.text), e.grave, e.step) for e in attention(dossier)),
        steps=tuple(_step(each, dossier.plan) for each in dossier.steps),
        hv=hv,
        lv=lv,
        bias=tuple(
            Bias(
                each.decision.step,
                each.decision.allowed,
                each.decision.reason,
                _encodable(each.file),
                each.decision.sha256,
                each.same,
                tuple(Supply(one.instrument, one.allowed, one.reason) for one in each.decision.supplies),
                each.decision.notes,
            )
            for each in dossier.judged
        ),
        damage=dossier.damage,
        seal_sha256=dossier.seal_sha256,
        record=dossier.standing.record,
    )


def _step(story: StepStory, plan: Plan) -> StepFacts:
    expected = story.expected
    return StepFacts(
        number=story.step.number,
        name=story.step.name,
        calibration=story.step.calibration,
        state=str(story.state),
        reason=story.reason,
        command=tuple(map(_encodable, story.command)),
        attempts=tuple(map(_attempt, story.tries)),
        usual_s=expected.usual_s if expected else None,
        usual_is_measured=bool(expected and expected.is_measured),
        kept=story.kept_at is not None,
        files=tuple(map(_file, story.listing.files)),
        more_files=story.listing.more,
        last_lines=story.last_lines,
        curves=tuple(_curve(each, story, plan) for each in story.curves if isinstance(each, IvCurve)),
        not_understood=tuple(
            Unread(_encodable(each.file), each.reason)
            for each in story.curves
            if isinstance(each, NotUnderstood)
        ),
    )


def _curve(curve: IvCurve, story: StepStory, plan: Plan) -> Curve:
    found, told, module = figures_in(curve, plan), told_in(story, curve, plan), module_of(curve, plan)
    return Curve(
        module=module.name if module else curve.module,
        file=_encodable(curve.file),
        points=len(curve.points),
        at=tuple(_current(each, found) for each in found.at),
        working=_current(found.working, found) if found.working else None,
        breakdown_v=found.breakdown.bias_v,
        breakdown_said=found.breakdown.said,
        breakdowns_json="" if told is None else str(told).removesuffix(" V"),
        reached_v=found.reached_v,
        compliance_a=found.compliance_a,
        limited_at_v=found.limited_at_v,
        area_cm2=found.area_cm2,
        notes=found.notes,
    )


def _current(at: CurrentAt, found: IvFigures) -> Current:
    return Current(at.bias_v, at.current_a, found.density(at.current_a))


def _attempt(each: Try) -> Attempt:
    return Attempt(
        each.number,
        str(each.state),
        _utc(each.at),
        each.started_t,
        each.duration_s,
        each.reason,
        each.log,
        each.directory,
        each.outputs,
    )


def _file(file: Listed) -> File:
    return File(_encodable(file.name), file.size_bytes)


def _stretched(each: Stretch) -> Stretched:
    return Stretched(each.state, each.start_t, each.end_t)


def _power(word: PowerWord) -> Power:
    read = None if word.read_at is None else _utc(word.read_at)
    return Power(str(word.state), word.said, word.by, read, word.readings)


def _utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def _encodable(text_: str) -> str:
    return text_.encode("utf-8", "replace").decode()
