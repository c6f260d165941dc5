"""dirigent's lists to a sequence file and back, or why that would lose something."""

import json
import keyword
import re
from collections.abc import Iterator, Mapping
from typing import Any

from calseq.documents.document import BAD_CHARACTERS, Document, Path, from_bytes
from calseq.documents.durations import spelled
from calseq.documents.json_reader import read_json
from calseq.documents.yaml_writer import inline, scalar
from calseq.model.plan import OnFailure
from calseq.model.rails import Role
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Place, Problem
from calseq.problems.suggestions import did_you_mean
from calseq.sequence.catalog import Calibration, Catalog
from calseq.sequence.dirigent_source import OWN_CLASS, Lists, Text
from calseq.sequence.reader import tuning_text
from calseq.sequence.sequence import Policies, Sequence, SequenceStep
from calseq.sequence.template import named

CLASS_TUNING_FLAGS = {"calibrate_module": "-t", "custom_sequence": "-s"}
"""The tuning calibrations that dirigent's class can give something to."""


def sequence_text(lists: Lists, catalog: Catalog, schema: str, problems: list[Problem]) -> str:
    """Give the text of the sequence file that does the same; what it cannot say is added to `problems`."""
    steps = list(_steps(lists, catalog, problems))
    problems += _title_problems(lists.title)
    problems += [problem for text in lists.required for problem in _role_problems(text)]
    listed = [text.value for text in lists.required]
    roles = [str(role) for role in Role if role in listed]
    head = [f"# yaml-language-server: $schema={schema}", "calseq: 1", f"title: {scalar(lists.title.value)}"]
    if lists.description:
        head.append(f"description: {scalar(lists.description)}")
    needs = ["", f"required_instruments: {inline(roles)}"] if lists.has_required else []
    notes = [f"# not carried over: {printable(each, 200)}" for each in lists.passed_over]
    return "\n".join([*head, *needs, "", "steps:", *steps, *notes]) + "\n"


def class_text(sequence: Sequence, problems: list[Problem]) -> str:
    """Give the Python class that does the same; what it cannot say is added to `problems`, or is a comment in it."""
    problems += _inexpressible(sequence)
    tunings = [step.words[-1] for step in sequence.steps if step.calibration.tuning and step.words]
    required = "{" + ", ".join(repr(str(role)) for role in sorted(sequence.required)) + "}"
    notes = list(_notes(sequence))
    fields = [
        "    calibrations = [",
        *(f"        {step.calibration.name!r}," for step in sequence.steps),
        "    ]",
        f"    title = {sequence.title!r}",
        *(
            ["    tuning_step_args = [", *(f"        {text!r}," for text in tunings), "    ]"]
            if tunings
            else []
        ),
        *([] if tunings else ["    tuning_step_args = None"]),
        f"    required_instruments = {required if sequence.required else None}",
    ]
    given = "".join(f"            self.{name},\n" for name in ("calibrations", "title", "tuning_step_args"))
    init = f"        super().__init__(\n            context,\n{given}            self.required_instruments,\n        )"
    said = [f"    {_docstring(sequence.description)}", ""] if sequence.description else []
    return "\n".join(
        [
            f"# {OWN_CLASS} is dirigent's: import it from there.",
            *(f"# {note}" for note in notes),
            f"class {class_name(sequence.title)}({OWN_CLASS}):",
            *said,
            *fields,
            "",
            "    def __init__(self, context):",
            init,
            "",
        ]
    )


def class_name(title: str) -> str:
    """Make the name of a class of a title."""
    words = re.findall(r"[A-Za-z0-9]+", title)
    name = "".join(word[:1].upper() + word[1:] for word in words)
    return (
        name
        if name.isidentifier() and not keyword.iskeyword(name) and name != OWN_CLASS
        else f"Sequence{name}"
    )


def _steps(lists: Lists, catalog: Catalog, problems: list[Problem]) -> Iterator[str]:
    if not lists.calibrations:
        cure = "name at least one calibration"
        problems.append(Problem(codes.BAD_VALUE, "'calibrations' is empty", cure, lists.place))
    known = [(text, catalog.calibrations.get(text.value)) for text in lists.calibrations]
    problems += [_unknown(text, catalog) for text, calibration in known if calibration is None]
    if any(calibration is None for _, calibration in known):
        return
    sound = [calibration for _, calibration in known if calibration]
    tunings = _tunings(lists, sound, problems)
    for index, (calibration, name) in enumerate(named(sound)):
        tuning = tunings.get(index)
        yield from _step(calibration, name, tuning and _tuning(calibration, tuning, problems))


def _step(calibration: Calibration, name: str, tuning: Any) -> Iterator[str]:
    pairs = [("name", scalar(name))] if name != calibration.name else []
    if not pairs and tuning is None:
        yield f"  - {scalar(calibration.name)}"
        return
    pairs.append(("calibration", scalar(calibration.name)))
    lines = [f"{key}: {value}" for key, value in pairs]
    if isinstance(tuning, list) and len(inline(tuning)) > 80:
        lines += ["tuning:", *(f"  - {inline(test)}" for test in tuning)]
    elif tuning is not None:
        lines.append(f"tuning: {inline(tuning) if isinstance(tuning, list) else scalar(tuning)}")
    yield from (f"  {'  ' if place else '- '}{line}" for place, line in enumerate(lines))


def _unknown(text: Text, catalog: Catalog) -> Problem:
    name = text.value
    message = f"'{printable(name, 40)}' is not a known calibration"
    cure = did_you_mean(name, catalog.calibrations) or "'calseq calibrations' lists them"
    first = name.split()[0] if name.split() else ""
    if first != name and first in catalog.calibrations:
        cure = f"name {first} alone; its options belong in 'options:' of the sequence file"
    return Problem(codes.UNKNOWN_CALIBRATION, message, cure, text.place)


def _tunings(lists: Lists, sound: list[Calibration], problems: list[Problem]) -> Mapping[int, Text]:
    """Give each tuning by the index of its calibration: one for each tuning calibration, in their order.

    A list as long as that of the calibrations, with nothing for those that tune nothing, is taken as well.
    """
    tuned = [index for index, calibration in enumerate(sound) if calibration.tuning]
    given = list(lists.tunings)
    if len(given) == len(sound) != len(tuned) and _are_aligned(given, tuned):
        given = [given[index] for index in tuned]
    for index in tuned[len(given) :]:
        text = lists.calibrations[index]
        cure = "'tuning_step_args' has one entry for each tuning calibration"
        message = f"no entry of 'tuning_step_args' is for {text.value}"
        problems.append(Problem(codes.MISSING_TUNING, message, cure, text.place))
    for extra in given[len(tuned) :]:
        cure = "'tuning_step_args' has one entry for each tuning calibration"
        message = f"{len(given)} tunings for {len(tuned)} tuning calibrations"
        problems.append(
            Problem(codes.UNEXPECTED_TUNING, message, cure, extra.place if extra else lists.place)
        )
        break
    found: dict[int, Text] = {}
    for index, entry in zip(tuned, given, strict=False):
        if entry is None or not entry.value:
            calibration = lists.calibrations[index]
            message = f"the tuning of {calibration.value} is empty"
            place = entry.place if entry else calibration.place
            problems.append(Problem(codes.MISSING_TUNING, message, "write what it is to do", place))
        else:
            found[index] = entry
    return found


def _are_aligned(given: list[Text | None], tuned: list[int]) -> bool:
    return all(index in tuned or entry is None or not entry.value for index, entry in enumerate(given))


def _tuning(calibration: Calibration, text: Text, problems: list[Problem]) -> Any:
    form = calibration.tuning.form if calibration.tuning else ""
    if form == "text":
        return text.value
    if form == "tests":
        return _tests(text, problems)
    message = f"no tuning option of {calibration.name} is known, so nobody knows how dirigent takes this"
    cure = "take the calibration out, and write it in the sequence file with its 'args:'"
    problems.append(Problem(codes.NOT_EXPRESSIBLE, message, cure, text.place))
    return None


def _tests(text: Text, problems: list[Problem]) -> Any:
    """Read the JSON of a list of tests; what calseq would write of it must be the same JSON."""
    document = read_json(from_bytes(text.value.encode(errors="replace"), "tuning_step_args"))
    tests = document.data
    fault = next((f"not JSON: {problem.message}" for problem in document.problems if problem.is_error), "")
    if not fault and (not isinstance(tests, list) or not all(map(_is_test, tests)) or not tests):
        fault = "not a list of names, or of {name: …, SETTING: …}"
    if not fault and json.dumps(json.loads(tuning_text(tests))) != json.dumps(tests):
        fault = (
            "names and mappings mixed: dirigent wants one kind, and calseq would make all of them mappings"
        )
    if fault:
        cure = 'write JSON such as ["PixelAlive", "NoiseScan"]'
        problems.append(Problem(codes.NOT_EXPRESSIBLE, f"the tuning is {fault}", cure, text.place))
        return None
    return tests


def _is_test(test: Any) -> bool:
    if isinstance(test, dict):
        return isinstance(test.get("name"), str) and all(
            isinstance(value, (str, int, float)) for value in test.values()
        )
    # a sequence takes what begins with a bracket for a JSON text in the place of a test
    return isinstance(test, str) and bool(test) and not test.lstrip(" ").startswith(("[", "{"))


def _title_problems(title: Text) -> Iterator[Problem]:
    text = title.value
    if not 0 < len(text) <= 120 or "\n" in text or "\t" in text or BAD_CHARACTERS.search(text):
        message = "the title is empty, longer than 120 characters, or not one printable line"
        yield Problem(codes.NOT_EXPRESSIBLE, message, "shorten it", title.place)


def _role_problems(text: Text) -> Iterator[Problem]:
    if text.value not in set(Role):
        message = f"'{printable(text.value, 40)}' is no instrument that calseq knows"
        cure = did_you_mean(text.value, list(Role)) or "one of " + ", ".join(Role)
        yield Problem(codes.BAD_VALUE, message, cure, text.place)


def _inexpressible(sequence: Sequence) -> Iterator[Problem]:
    """Give everything in a sequence that would be lost in a class, and would change what is measured or allowed."""
    document = sequence.document
    data: Any = document.data
    if data.get("limits"):
        cure = "a class has no limits: delete it only if the bench file has one"
        yield _lost(document, ("limits",), "the HV limit", cure)
    for step in sequence.steps:
        yield from _inexpressible_step(document, step)


def _inexpressible_step(document: Document, step: SequenceStep) -> Iterator[Problem]:
    path: Path = ("steps", step.number - 1)
    calibration = step.calibration
    own_flags = calibration.flags and calibration.flags != ("-w",)
    has_tuning_flag = (
        calibration.tuning and CLASS_TUNING_FLAGS.get(calibration.name) == calibration.tuning.flag
    )
    words = step.words[: -2 if calibration.tuning and calibration.tuning.flag else None]
    told = [
        (not calibration.known, "type", "a calibration that its type alone describes", "dirigent refuses it"),
        (
            (*path, "options") in document.values,
            "options",
            "options",
            f"set them in dirigent.toml, in [{calibration.name}]",
        ),
        ((*path, "args") in document.values, "args", "arguments", "a class has none"),
        (
            step.needs - set(calibration.roles),
            "required_instruments",
            "instruments of its own",
            "a class has none",
        ),
        (
            own_flags,
            "calibration",
            f"the flags {' '.join(calibration.flags)}",
            "they are this site's: a class has only -w",
        ),
        (
            calibration.tuning and not has_tuning_flag and words == (),
            "calibration",
            "a tuning that dirigent's class has no flag for",
            "it knows those of " + " and ".join(CLASS_TUNING_FLAGS),
        ),
    ]
    for present, key, what, cure in told:
        if present:
            yield _lost(document, (*path, key), f"{what} of step {step.number}, {step.name}", cure)


def _lost(document: Document, path: Path, what: str, cure: str) -> Problem:
    place: Place = document.place(path, key=True)
    return Problem(codes.NOT_EXPRESSIBLE, f"dirigent's class cannot say {printable(what, 120)}", cure, place)


def _notes(sequence: Sequence) -> Iterator[str]:
    """Give what a class cannot say and what changes nothing that is measured."""
    usual = Policies()
    own = [key for key in (sequence.document.data or {}) if str(key).startswith("x-")]  # type: ignore[union-attr]
    if own:
        yield "not carried over: " + printable(", ".join(map(str, own)), 200)
    usual_names = named(step.calibration for step in sequence.steps)
    for step, (_, usual_name) in zip(sequence.steps, usual_names, strict=True):
        policies, said = step.policies, []
        if step.name != usual_name:
            said.append(f"name {step.name}")
        if policies.timeout_s is not None:
            said.append(f"timeout {spelled(policies.timeout_s)}")
        if policies.retries:
            said.append(f"retries {policies.retries}")
        if policies.on_failure is OnFailure.CONTINUE:
            said.append("on_failure continue")
        if policies.stop_grace_s != usual.stop_grace_s:
            said.append(f"stop_grace {spelled(policies.stop_grace_s)}")
        if said:
            yield f"not carried over, step {step.number} {step.calibration.name}: {', '.join(said)}"


def _docstring(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"""{escaped}"""'
