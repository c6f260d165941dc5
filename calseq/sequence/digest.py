"""Official sequences: what a sequence means as a digest, and whether it is one that the bench pins by name."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from calseq.documents.durations import spelled
from calseq.model.plan import Standing
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Place, Problem
from calseq.sequence.reader import option_named, option_words
from calseq.sequence.sequence import Sequence, SequenceStep

DIGEST_FORMAT = 1


def meaning(sequence: Sequence) -> dict[str, Any]:
    """Give all that a sequence asks for, defaults filled in: what its digest is made of.

    Not in it: comments, layout, `description`, `x-` keys, `defaults` themselves, and what the catalogue only
    says to people (summaries, usual times).
    """
    data: Any = sequence.document.data
    limit_v = (data.get("limits") or {}).get("hv")
    return {
        "digest_format": DIGEST_FORMAT,
        "calseq": data["calseq"],
        "title": sequence.title,
        "required_instruments": sorted(sequence.required),
        "limit_hv_v": None if limit_v is None else float(limit_v),
        **({"sensor": sequence.sensor} if sequence.sensor else {}),
        "steps": [_step(step, data["steps"][step.number - 1]) for step in sequence.steps],
    }


def digest(sequence: Sequence) -> str:
    """Give the digest of what a sequence means, as `sha256:` and 64 digits."""
    import hashlib  # noqa: PLC0415 - OpenSSL takes 3 ms

    text = json.dumps(meaning(sequence), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def standing(sequence: Sequence, pins: Mapping[str, str]) -> Standing:
    """Decide whether a sequence is official: one of the digests that the bench pins, and run as it is written.

    Whatever was typed to change it for this run is in its `departures`.
    """
    own = digest(sequence)
    names = [name for name, pinned in pins.items() if pinned == own]
    if names and not sequence.departures:
        return Standing(own, official=names[0], judged=True)
    stem = sequence.document.path.rpartition("/")[2].rpartition(".")[0]
    called = {_folded(sequence.title), _folded(stem)}
    like = next((name for name in (*names, *pins) if name in names or _folded(name) in called), "")
    return Standing(own, judged=bool(pins), like=like, differences=sequence.departures if like else ())


def differences(official: Sequence, sequence: Sequence) -> Iterator[str]:
    """Say in words in what a sequence is another than the official one."""
    theirs, ours = meaning(official), meaning(sequence)
    for key in ("title", "required_instruments", "limit_hv_v", "sensor"):
        if theirs.get(key) != ours.get(key):
            yield _changed(key, theirs.get(key), ours.get(key))
    old = {step["name"]: step for step in theirs["steps"]}
    new = {step["name"]: step for step in ours["steps"]}
    yield from (f"step {printable(name)} is missing" for name in old if name not in new)
    yield from (f"step {printable(name)} is added" for name in new if name not in old)
    kept = [name for name in new if name in old]
    if kept != [name for name in old if name in new]:
        yield "the steps are in another order"
    for name in kept:
        changed = [key for key in old[name] if old[name][key] != new[name][key]]
        # how far a curve goes is said by its arguments
        for key in changed[:1] if changed == ["arguments", "sweep_end_v"] else changed:
            yield f"step {printable(name)}: " + _changed(key, old[name][key], new[name][key])


def not_official(standing: Standing, pins: Mapping[str, str], place: Place) -> Problem | None:
    """Say why a run that must be official cannot be started; None if it is."""
    if standing.official:
        return None
    cure = "pin its digest in 'official:' of the bench file; 'calseq digest' prints it"
    if standing.like:
        message = f"this is not the official '{printable(standing.like)}'"
        told = "; ".join(standing.differences[:3]) or f"its digest is {standing.digest}"
        return Problem(codes.NOT_OFFICIAL, message, f"take back what differs: {told}", place)
    if pins:
        known = ", ".join(printable(name) for name in list(pins)[:12])
        message, cure = "the bench does not pin this sequence", f"official here: {known}"
    else:
        message = "the bench pins no official sequence"
    return Problem(codes.NOT_OFFICIAL, message, cure, place)


def _step(step: SequenceStep, entry: Any) -> dict[str, Any]:
    policies = step.policies
    return {
        "name": step.name,
        "calibration": step.calibration.name,
        "type": str(step.calibration.type),
        "arguments": _arguments(step, entry),
        "instruments": sorted(step.needs),
        "outputs": [[output.pattern, output.at_least] for output in step.calibration.outputs],
        "sweep_end_v": step.sweep_end_v,
        "timeout_s": policies.timeout_s,
        "retries": policies.retries,
        "on_failure": str(policies.on_failure),
        "stop_grace_s": policies.stop_grace_s,
    }


def _arguments(step: SequenceStep, entry: Any) -> list[str]:
    """Give what dirigent is given, the options by name: their order in the file means nothing."""
    options = entry.get("options", {}) if isinstance(entry, dict) else {}
    told = [
        word
        for name in sorted(options)
        for word in option_words(option_named(step.calibration, name), options[name])
    ]
    return [*told, *step.words[len(told) :]]


def _changed(key: str, old: object, new: object) -> str:
    name, _, unit = key.rpartition("_")
    name = name if unit in ("s", "v") else key
    return f"{name.replace('_', ' ')} {_shown(new, unit)} instead of {_shown(old, unit)}"


def _shown(value: object, unit: str) -> str:
    if isinstance(value, list):
        return printable(" ".join(str(each) for each in value), 120) or "none"
    if isinstance(value, float):
        return spelled(value) if unit == "s" else f"{value:g} V"
    return "none" if value is None else f"'{printable(str(value), 120)}'"


def _folded(name: str) -> str:
    return re.sub(r"\W+", "_", name.strip().lower())
