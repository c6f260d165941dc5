"""The seal of a run folder: the sha256 of every file, written at the run's end, by which damage is found later.

`SHA256SUMS` is in the format of sha256sum(1), so that `sha256sum -c SHA256SUMS` checks it without calseq.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from calseq.model import events
from calseq.model.plan import Plan, from_json
from calseq.record.journal import read_journal
from calseq.record.run_folder import (
    JOURNAL,
    ON_FINISH_LOG,
    PLAN,
    RECORD,
    REPORT,
    SETTLED,
    read_record,
    replace_file,
)
from calseq.system.files import PLAN_BYTES, RECORD_BYTES, open_regular, read_whole

SEAL = "SHA256SUMS"
_RECORD = RECORD.encode()
CHANGING = ("simulated/", ON_FINISH_LOG, REPORT, SETTLED, "upload.", "upload/")
"""What may change after the end: the simulated supplies, which `calseq power off` still switches; what is told then;
what was done about an unsafe end; the report, which is made of all the others and can be made anew; what is sent then."""

_SEAL_BYTES = 256 << 20
_LINE = re.compile(rb"(\\?)([0-9a-f]{64})  (.+)")
_ESCAPES = {b"\\": b"\\\\", b"\n": b"\\n", b"\r": b"\\r"}
_UNESCAPED = {escape: plain for plain, escape in _ESCAPES.items()}


class Finding(Struct, frozen=True):
    """What was looked at, whether it is as recorded (None: it could not be checked), and what was found."""

    what: str
    good: bool | None
    found: str


def sums(folder: Path) -> list[bytes]:
    """Give the lines of a seal for every file of a run folder but its record. A file that cannot be read is left out."""
    lines = []
    for name in _files(folder):
        if name != _RECORD:
            with suppress(OSError):
                lines.append(_line(name, sha256_of(folder / os.fsdecode(name))))
    return lines


def digest_of(lines: Iterable[bytes]) -> str:
    """Give the digest of the lines of a seal without that of the record, which has it: by that a seal made anew is found."""
    others = (line for line in lines if not line.endswith(b"  " + _RECORD + b"\n"))
    return hashlib.sha256(b"".join(others)).hexdigest()


def seal(folder: Path, lines: Iterable[bytes] | None = None) -> None:
    """Write the sha256 of every file of a run folder into it, in the place of an earlier seal.

    `lines` are those of all files but the record, where they were reckoned already.

    Raises:
        OSError: it cannot be written. A file that cannot be read is left out.
    """
    found: list[bytes] = list(sums(folder) if lines is None else lines)
    with suppress(OSError):
        found.append(_line(_RECORD, sha256_of(folder / os.fsdecode(_RECORD))))
    found.sort(key=_name_in)
    replace_file(folder / SEAL, b"".join(found))


def _name_in(line: bytes) -> bytes:
    return line.partition(b"  ")[2]


def verify(folder: Path) -> Iterator[Finding]:
    """Hold a run folder against its own record, one finding after the other; nothing is raised."""
    journal, damage = _journal(folder)
    ended = bool(journal) and isinstance(journal[-1], events.RunEnded)
    yield from _seal_findings(folder, ended=ended)
    yield from _plan_findings(folder, journal)
    yield from _result_findings(folder, journal)
    yield _chain(journal, damage, ended=ended)


def sealed(folder: Path) -> dict[str, str]:
    """Give the sha256 of every file that the seal of a run folder vouches for, by its name; none if there is no seal."""
    try:
        sums, _ = _sums(folder)
    except OSError:
        return {}
    return {os.fsdecode(name): digest for name, digest in sums.items()}


def _files(folder: Path) -> list[bytes]:
    """Give the regular files of a run folder but the seal and what may change, as names below it, in order."""
    root = os.fsencode(folder)
    changing = tuple(os.fsencode(name) for name in CHANGING)
    names = []
    for place, _, files in os.walk(root):
        below = os.path.relpath(place, root) + b"/"
        start = b"" if below == b"./" else below
        names += [start + name for name in files if _is_regular(place + b"/" + name)]
    left_out = (os.fsencode(SEAL), os.fsencode(SEAL + ".new"))
    return sorted(name for name in names if name not in left_out and not name.startswith(changing))


def _is_regular(path: bytes) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def sha256_of(path: Path) -> str:
    """Give the sha256 of a file.

    Raises:
        OSError: it cannot be read.
    """
    with open_regular(path, follow=True) as file:  # an archive may keep its files elsewhere, under links
        return hashlib.file_digest(file, "sha256").hexdigest()


def _line(name: bytes, sha256: str) -> bytes:
    escaped = re.sub(rb"[\\\n\r]", lambda found: _ESCAPES[found[0]], name)
    return (b"\\" if escaped != name else b"") + sha256.encode() + b"  " + escaped + b"\n"


def _sums(folder: Path) -> tuple[dict[bytes, str], list[str]]:
    """Give the names and digests of a seal, and what of it cannot be read."""
    sums: dict[bytes, str] = {}
    damage = []
    for number, line in enumerate(read_whole(folder / SEAL, _SEAL_BYTES).splitlines(), 1):
        match = _LINE.fullmatch(line)
        if not match:
            damage.append(f"line {number} of {SEAL} is damaged")
            continue
        escaped, digest, name = match.groups()
        plain = re.sub(rb"\\[\\nr]", lambda found: _UNESCAPED[found[0]], name) if escaped else name
        sums[plain] = digest.decode()
    return sums, damage


def _seal_findings(folder: Path, *, ended: bool) -> Iterator[Finding]:
    try:
        sums, damage = _sums(folder)
    except OSError as error:
        there = (folder / SEAL).exists()
        why = (error.strerror or str(error)).lower() if there else f"there is no {SEAL}"
        yield Finding("seal", None, why if there or ended else "the run has not ended")
        return
    if not ended:
        yield Finding("seal", None, "the run went on after it was sealed, and has not ended")
        return
    differing = [*((SEAL, each) for each in damage), *_differing(folder, sums)]
    if _made_anew(folder):
        differing.append(
            (SEAL, "it is not the one that was made at the end: run.json has another digest of it")
        )
    for name, found in differing:
        yield Finding(name, False, found)
    if not differing:
        yield Finding("seal", True, f"all {len(sums)} files are as they were at the end")
    for each in _files(folder):
        if each not in sums:
            yield Finding(os.fsdecode(each), None, "it is not in the seal: nothing vouches for it")


def _made_anew(folder: Path) -> bool:
    with suppress(OSError, msgspec.MsgspecError, ValueError, RecursionError):
        recorded = read_record(folder).sums_sha256
        lines = read_whole(folder / SEAL, _SEAL_BYTES).splitlines(keepends=True)
        return bool(recorded) and digest_of(lines) != recorded
    return False


def _differing(folder: Path, sums: dict[bytes, str]) -> Iterator[tuple[str, str]]:
    for name, digest in sums.items():
        text = os.fsdecode(name)
        if found := _differs(folder / text, digest):
            yield text, found


def _differs(path: Path, sha256: str) -> str:
    """Say how a file differs from its digest; nothing if it does not."""
    try:
        return "" if sha256_of(path) == sha256 else "it was changed"
    except FileNotFoundError:
        return "it is gone"
    except (OSError, ValueError) as error:
        return f"it cannot be read: {(getattr(error, 'strerror', None) or str(error)).lower()}"


def _plan_findings(folder: Path, journal: list[events.Event]) -> Iterator[Finding]:
    """Check every plan of the run against what its begin and its resumptions say, and its inputs against it."""
    plans = dict(_plans(journal))
    if not plans:
        yield Finding(PLAN, None, "nothing in events.jsonl says what its digest was")
    for name, digest in plans.items():
        yield _plan_finding(folder, name, digest, last=name == list(plans)[-1])
        yield from _input_findings(folder, name)


def _plans(journal: list[events.Event]) -> Iterator[tuple[str, str]]:
    """Give the file and the digest of every plan that an event says the run began, or went on, with."""
    for event in journal:
        digest = getattr(event, "digest", None)
        if isinstance(digest, str):
            yield getattr(event, "plan", PLAN), digest


def _plan_finding(folder: Path, name: str, digest: str, *, last: bool) -> Finding:
    if differs := _differs(folder / name, digest):
        return Finding(name, False, f"{differs}: events.jsonl has another digest")
    recorded = _recorded_digest(folder) if last else digest
    if recorded is None:
        return Finding(RECORD, False, "it cannot be read: the plan's digest is not to be had from it")
    if recorded != digest:
        return Finding(RECORD, False, f"it names another plan than events.jsonl and {name}")
    return Finding(name, True, "its digest is the one that was run")


def _recorded_digest(folder: Path) -> str | None:
    with suppress(OSError, ValueError, RecursionError):
        record = json.loads(read_whole(folder / RECORD, RECORD_BYTES))
        return str(record["digest"]) if isinstance(record, dict) and "digest" in record else None
    return None


def _input_findings(folder: Path, plan_name: str) -> Iterator[Finding]:
    plan = _plan(folder / plan_name)
    if plan is None:
        yield Finding(f"inputs of {plan_name}", None, "they cannot be checked without it")
        return
    inputs = "inputs" + plan_name.removeprefix("plan").removesuffix(".json")
    differing = []
    for file in plan.inputs:
        name = f"{inputs}/{file.kind}-{Path(file.path).name}"
        if differs := _differs(folder / name, file.stored_sha256 or file.sha256):
            differing.append(Finding(name, False, f"{differs}: {plan_name} has another digest"))
    yield from differing or [Finding(inputs, True, f"all {len(plan.inputs)} are those of {plan_name}")]


def _result_findings(folder: Path, journal: list[events.Event]) -> Iterator[Finding]:
    """Check the results against the end of the attempt that left them; nothing of a run that has no digests of them."""
    directories: dict[tuple[int, int], str] = {}
    differing: list[Finding] = []
    checked = by_size = 0
    is_whole = True
    for event in journal:
        if isinstance(event, events.StepStarted):
            directories[event.step, event.attempt] = event.directory
        elif isinstance(event, events.StepEnded):
            directory = directories.get((event.step, event.attempt), "")
            is_whole = is_whole and event.more_files == 0
            for file in event.files:
                checked += 1
                by_size += not file.sha256
                name = f"{directory}/{file.name}"
                if differs := _result_differs(folder / name, file):
                    differing.append(Finding(name, False, differs))
    yield from differing
    if checked and not differing:
        found = f"all {checked} files are as events.jsonl has them"
        found += f", {by_size} of them by their size only" * bool(by_size)
        found += "; it does not have all that there were" * (not is_whole)
        yield Finding("results", True, found)


def _result_differs(path: Path, file: events.ResultFile) -> str:
    """Say how a result differs from what its step left; nothing if it does not."""
    if file.sha256:
        differs = _differs(path, file.sha256)
        return f"{differs}: events.jsonl has another digest" if differs else ""
    try:
        size = path.stat().st_size
        return "" if size == file.size else f"it was changed: events.jsonl has {file.size} bytes, not {size}"
    except FileNotFoundError:
        return "it is gone"
    except (OSError, ValueError) as error:
        return f"it cannot be read: {(getattr(error, 'strerror', None) or str(error)).lower()}"


def _plan(path: Path) -> Plan | None:
    with suppress(OSError, msgspec.MsgspecError, ValueError, RecursionError):
        return from_json(read_whole(path, PLAN_BYTES))
    return None


def _journal(folder: Path) -> tuple[list[events.Event], str]:
    try:
        stamped, damage = read_journal(folder / JOURNAL)
    except OSError as error:
        return [], f"it cannot be read: {(error.strerror or str(error)).lower()}"
    return [each.event for each in stamped], damage


def _chain(journal: list[events.Event], damage: str, *, ended: bool) -> Finding:
    name = JOURNAL
    if damage:
        usable = f"; the {len(journal)} events before it are good" if journal else ""
        return Finding(name, False, f"{damage}{usable}")
    if not journal:
        return Finding(name, False, "it is empty")
    if not isinstance(journal[0], events.RunStarted):
        return Finding(name, False, "its first event is not the begin of a run")
    if not ended:
        return Finding(name, None, f"{len(journal)} events, each with its checksum, and no end")
    return Finding(name, True, f"{len(journal)} events without a gap, each with its checksum")
