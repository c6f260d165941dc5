"""JUnit's XML of a run: a suite for the run, a case per step, and one for the safe end."""

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from calseq.problems.plaintext import printable
from calseq.record.aftermath import PowerState
from calseq.record.past import State
from calseq.report.run_data import Dossier
from calseq.report.steps import StepStory
from calseq.report.verdict import headline

_FAILURES = (State.FAILED, State.TIMED_OUT, State.MISSING_OUTPUT)
_ERRORS = (State.NOT_STARTED, State.INTERRUPTED, State.RUNNING, State.RETRYING)
_SAFE_END = "HV and LV off at the end"


def text(dossier: Dossier) -> str:
    """Write the XML of a run."""
    cases = [*(_case(dossier, each) for each in dossier.steps), _safe_end(dossier)]
    counts = {
        word: sum(f"<{element}" in case for case in cases)
        for word, element in (("failures", "failure "), ("errors", "error "), ("skipped", "skipped"))
    }
    took = _seconds(dossier.duration_s)
    numbers = f'tests="{len(cases)}" failures="{counts["failures"]}" errors="{counts["errors"]}"'
    name = _attribute(dossier.standing.name)
    skipped = f'skipped="{counts["skipped"]}"'
    host = _attribute(dossier.standing.record.host)
    started = _attribute(dossier.standing.record.started.partition("+")[0])
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<testsuites name="calseq" {numbers} time="{took}">',
            f'  <testsuite name={name} {numbers} {skipped} time="{took}" timestamp={started} hostname={host}>',
            *_properties(dossier),
            *cases,
            "  </testsuite>",
            "</testsuites>",
        ]
    )


def _properties(dossier: Dossier) -> Iterator[str]:
    record = dossier.standing.record
    head = headline(dossier)
    yield "    <properties>"
    for name, value in (
        ("verdict", head.word),
        ("reason", head.reason),
        ("simulated", str(dossier.simulated).lower()),
        ("module", dossier.module),
        ("bench", record.bench),
        ("operator", record.operator),
        ("calseq", record.calseq),
        ("plan", record.digest),
    ):
        yield f"      <property name={quoteattr(name)} value={_attribute(value)}/>"
    yield "    </properties>"


def _case(dossier: Dossier, story: StepStory) -> str:
    classname = f"{'SIMULATED.' * dossier.simulated}{dossier.plan.title}"
    head = (
        f"    <testcase name={_attribute(story.step.id)} classname={_attribute(classname)}"
        f' time="{_seconds(story.duration_s or 0.0)}">'
    )
    return "".join([head, *_ending(story), *_output(story), "</testcase>"])


def _ending(story: StepStory) -> Iterator[str]:
    reason = _attribute(story.reason or str(story.state))
    kind = quoteattr(str(story.state))
    if story.state in _FAILURES:
        yield f"<failure type={kind} message={reason}>{_content(_told(story))}</failure>"
    elif story.state in _ERRORS:
        yield f"<error type={kind} message={reason}>{_content(_told(story))}</error>"
    elif story.state not in (State.PASSED, State.KEPT):
        yield f"<skipped message={reason}/>"


def _told(story: StepStory) -> str:
    tries = f" after {len(story.tries)} attempts" if len(story.tries) > 1 else ""
    return f"{story.state}{tries}: {story.reason}" if story.reason else f"{story.state}{tries}"


def _output(story: StepStory) -> Iterator[str]:
    lines = list(story.last_lines)
    if story.kept_at is not None:
        lines.append("passed before the run was resumed")
    if lines:
        yield "<system-out>" + "\n".join(map(_content, lines)) + "</system-out>"


def _safe_end(dossier: Dossier) -> str:
    power = dossier.power
    head = f'    <testcase name="{_SAFE_END}" classname={_attribute(dossier.plan.title)} time="0.000">'
    message = _attribute(power.said)
    if power.state is PowerState.UNKNOWN:
        return f'{head}<error type="unknown" message={message}>{_content(power.readings)}</error></testcase>'
    if power.state in (PowerState.OFF, PowerState.UNTOUCHED):
        return f"{head}</testcase>"
    return f"{head}<skipped message={message}/></testcase>"


def _seconds(duration_s: float) -> str:
    return f"{max(duration_s, 0.0):.3f}"


def _attribute(value: str) -> str:
    return quoteattr(printable(value))


def _content(value: str) -> str:
    return escape(printable(value))
