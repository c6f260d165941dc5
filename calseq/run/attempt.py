"""One attempt at a step: its folder and log, its child, and what the child leaves."""

import hashlib
import os
import re
import signal
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from calseq.measurement.witnesses import (
    MOST_FILES,
    Witnesses,
    read_witnesses,
    regular_files,
)
from calseq.model.events import ResultFile
from calseq.model.plan import Module, Output, Step
from calseq.problems.plaintext import printable
from calseq.run.complaints import complaint
from calseq.system.clock import now_s
from calseq.system.files import open_regular
from calseq.system.process import RUN_MARK, Child, Exit, Left, NotStarted, end_all
from calseq.system.timelimit import within

_LOOK_BYTES = 64 * 1024
MOST_RESULTS = 500
"""So many result files are in an event at most: its line is read as a whole by everybody."""
_BANNER = re.compile(rb"===== (\d{1,4})/(\d{1,4}) (.{1,200}?) =====")
_ANSI = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|.)?")


class Banner(Struct, frozen=True):
    """A banner in a child's log: part `part` of `parts` has begun."""

    part: int
    parts: int
    title: str


class Look(Struct, frozen=True):
    """What a look at the log showed: its size, the room left on the disk, and new banners."""

    size_bytes: int
    free_bytes: int
    banners: tuple[Banner, ...] = ()


class Results(Struct, frozen=True):
    """What an attempt left: files, and how many others there are, None if there was no time to look."""

    files: tuple[ResultFile, ...] = ()
    more_files: int | None = 0


class Attempt(Protocol):
    """What the executor needs of an attempt; `log` and `directory` are relative to the run folder."""

    log: str
    directory: str
    limit: int
    """The limit of real time by which the guard knows all descendants of the child; 0 for none."""

    def start(self) -> int:
        """Start the child and give its pid, or raise `NotStarted`."""
        ...

    def poll(self) -> Exit | None:
        """Say how the child ended; None while it runs."""
        ...

    def send(self, number: signal.Signals) -> None:
        """Signal the child's whole tree."""
        ...

    def left(self) -> list[Left]:
        """Give the processes that outlived the child."""
        ...

    def end_left(self, number: signal.Signals) -> None:
        """Signal the processes that outlived the child."""
        ...

    def finish(self) -> None:
        """Let go of the ended child and its log."""
        ...

    def look(self) -> Look:
        """Look at the log, as far as it is new."""
        ...

    def outputs(self, wanted: tuple[Output, ...]) -> tuple[tuple[str, ...], str]:
        """Give the files found, and what is wrong with them; nothing is wrong if that is empty."""
        ...

    def complaint(self, patterns: Sequence[str]) -> str:
        """Quote the first line of the log that says that the step failed; empty if none does."""
        ...

    def witnesses(self, modules: Sequence[Module]) -> Witnesses:
        """Read what an IV curve of these modules left in this attempt."""
        ...

    def results(self, limit_s: float) -> "Results":
        """Files below the result directory, digested as far as that can be done in `limit_s` seconds. Raises nothing."""
        ...

    def last_lines(self, count: int) -> tuple[str, ...]:
        """Give the last lines of the log, printable."""
        ...


class FolderAttempt:
    """An attempt in a run folder, with a real child."""

    def __init__(
        self,
        step: Step,
        number: int,
        *,
        folder: Path,
        environment: Mapping[str, str],
        cwd: str,
        run: str,
        keep: Sequence[int] = (),
    ) -> None:
        """Make the attempt's folder, result directory and empty log. Nothing that exists is ever written over.

        Raises:
            OSError: the run folder cannot be written.
        """
        tail = step.folder(number)
        self.log = f"steps/{tail}/log.txt"
        self.directory = f"data/{tail}"
        self.limit = 0
        self._folder = folder
        self._step = step
        self._cwd = cwd
        self._keep = keep
        self._mark = f"CALSEQ_ATTEMPT_ID={run}/{tail}"
        own = {
            "CALSEQ_RUN_ID": run,
            RUN_MARK: str(folder),
            "CALSEQ_STEP": step.name,
            "CALSEQ_ATTEMPT": str(number),
        }
        self._environment = {**environment, **own}
        # no parents: a run folder that has gone is not made a second time
        os.mkdir(f"{folder}/steps/{tail}")  # noqa: PTH102 - as strings: a path of parts costs as much as the call
        os.mkdir(f"{folder}/{self.directory}")  # noqa: PTH102
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._log_fd = os.open(f"{folder}/{self.log}", flags, 0o600)
        self._before: frozenset[str] = frozenset()
        self._seen_bytes = 0
        self._child: Child | None = None

    def start(self) -> int:
        """Start the child and give its pid, or raise `NotStarted`."""
        place = self._folder / self.directory
        self._before = frozenset(str(path.relative_to(self._folder)) for path in regular_files(place))
        argv = self._step.command(str(place))
        self._child = Child(
            argv,
            cwd=self._cwd,
            env=self._environment,
            log=self._log_fd,
            mark=self._mark,
            keep=self._keep,
        )
        self.limit = self._child.limit
        return self._child.pid

    def poll(self) -> Exit | None:
        """Say how the child ended; None while it runs."""
        return self._running().poll()

    def send(self, number: signal.Signals) -> None:
        """Signal the child's whole tree."""
        self._running().send(number)

    def left(self) -> list[Left]:
        """Give the processes that outlived the child."""
        return self._running().tree()

    def end_left(self, number: signal.Signals) -> None:
        """Signal the processes that outlived the child."""
        end_all(self.left(), number)

    def finish(self) -> None:
        """Let go of the child, if it has ended, and of its log."""
        if self._child is not None:
            self._child.reap()
        if self._log_fd >= 0:
            os.close(self._log_fd)
            self._log_fd = -1

    def look(self) -> Look:
        """Look at the log, as far as it is new; of a flood only the end."""
        size = os.fstat(self._log_fd).st_size
        room = os.fstatvfs(self._log_fd)
        if size < self._seen_bytes:
            self._seen_bytes = 0  # the child cut its own log
        if size == self._seen_bytes:
            return Look(size, room.f_bavail * room.f_frsize)
        start = max(self._seen_bytes, size - _LOOK_BYTES)
        new = os.pread(self._log_fd, size - start, start)
        whole = new.rfind(b"\n") + 1
        self._seen_bytes = start + whole if whole else (size if len(new) >= _LOOK_BYTES else self._seen_bytes)
        banners = tuple(
            Banner(int(part), int(parts), printable(title.decode("utf-8", "replace"), 80))
            for part, parts, title in _BANNER.findall(new[:whole])
        )
        return Look(size, room.f_bavail * room.f_frsize, banners[-50:])

    def outputs(self, wanted: tuple[Output, ...]) -> tuple[tuple[str, ...], str]:
        """Give the files found below the result directory, and what is wrong with them."""
        if not wanted:
            return (), ""
        files = list(islice(regular_files(self._folder / self.directory), MOST_FILES))
        found: dict[str, None] = {}
        wrong: list[str] = []
        for output in wanted:
            matching = sorted(path for path in files if fnmatch(path.name, output.pattern))
            odd = next((path.name for path in matching if not _is_utf8(path)), "")
            if odd:  # a journal is UTF-8
                wrong.append(f"the name of '{printable(odd, 60)}' is not UTF-8; rename it")
            full = [path for path in matching if _size(path) > 0 and _is_utf8(path)]
            found |= {str(path.relative_to(self._folder)): None for path in full}
            if len(full) < output.at_least and not odd:
                wrong.append(_shortage(output, len(full), len(matching) - len(full)))
        return tuple(found), "; ".join(wrong)

    def complaint(self, patterns: Sequence[str]) -> str:
        """Quote the first line of the log that has one of the texts; empty if none has."""
        return complaint(self._log_fd, patterns)

    def witnesses(self, modules: Sequence[Module]) -> Witnesses:
        """Read what an IV curve left in this attempt; what was there before its child is not fresh."""
        return read_witnesses(self._folder, self.directory, self._step, modules, self._before)

    def results(self, limit_s: float) -> Results:
        """Files below the result directory, digested as far as that can be done in `limit_s` seconds. Raises nothing."""
        return read_results(self._folder / self.directory, limit_s)

    def last_lines(self, count: int) -> tuple[str, ...]:
        """Give the last lines of the log that say something, printable and without colours."""
        try:
            size = os.fstat(self._log_fd).st_size
            raw = os.pread(self._log_fd, _LOOK_BYTES // 4, max(0, size - _LOOK_BYTES // 4))
        except OSError:
            return ()
        lines = (
            _ANSI.sub("", line).rsplit("\r")[-1].rstrip()
            for line in raw.decode("utf-8", "replace").split("\n")
        )
        return tuple(printable(line, 200) for line in lines if line.strip())[-count:]

    def _running(self) -> Child:
        if self._child is None:
            raise NotStarted("the attempt has no child")
        return self._child


def read_results(place: Path, limit_s: float) -> Results:
    """Files below a result directory, the smallest first, digested as far as that can be done in `limit_s` seconds.

    A disk that hangs is not waited for; so what is known is kept as it comes.
    """
    until_s = now_s() + limit_s
    listings: list[tuple[list[tuple[int, str]], int]] = []
    digests: dict[str, str] = {}

    def gather() -> None:
        listings.append(_listing(place))
        for _, name in listings[0][0]:
            if now_s() >= until_s:
                return
            digests[name] = _sha256_by(place / name, until_s)

    with suppress(TimeoutError, OSError, MemoryError):
        within(limit_s, gather)
    if not listings:
        return Results(more_files=None)
    listed, more = listings[0]
    return Results(tuple(ResultFile(name, size, digests.get(name, "")) for size, name in listed), more)


def _listing(place: Path) -> tuple[list[tuple[int, str]], int]:
    """Give size and name of the smallest files, and how many others there are; one whose name is no text is one of these."""
    root, found, nameless = f"{place}/", [], 0
    for path in map(str, regular_files(place)):
        status = os.lstat(path)
        name = path.removeprefix(root)
        if not stat.S_ISREG(status.st_mode):
            continue
        if name.encode(errors="replace").decode() != name:
            nameless += 1
        else:
            found.append((status.st_size, name))
    found.sort()
    return found[:MOST_RESULTS], max(len(found) - MOST_RESULTS, 0) + nameless


def _sha256_by(path: Path, until_s: float) -> str:
    """Sha256 of a file; empty if it cannot be read, or not by then."""
    found = hashlib.sha256()
    try:
        with open_regular(path) as file:
            while part := file.read(1 << 20):
                found.update(part)
                if now_s() >= until_s:
                    return ""
    except OSError:
        return ""
    return found.hexdigest()


def _is_utf8(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _shortage(output: Output, full: int, empty: int) -> str:
    if output.at_least > 1:
        return f"{full} of at least {output.at_least} files '{output.pattern}'" + (
            f", {empty} empty" if empty else ""
        )
    return f"'{output.pattern}' is empty" if empty else f"no '{output.pattern}' was written"
