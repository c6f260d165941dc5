"""One attempt at a step: its folder and log, its child, and what the child leaves."""

import os
import re
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from csv import reader
from fnmatch import fnmatch
from io import BufferedReader, TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from calseq.bias import Breakdowns
from calseq.document import MAX_BYTES
from calseq.plaintext import printable
from calseq.plan import Output, Step
from calseq.process import RUN_MARK, Child, Exit, Left, NotStarted, end_all
from calseq.regular import open_regular, read_whole

_LOOK_BYTES = 64 * 1024
_MAX_FILES = 10_000
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

    def breakdowns(self) -> Breakdowns:
        """Read the breakdowns.json of this attempt."""
        ...

    def reached_v(self) -> float | None:
        """Give how far the IV curve went by its own CSV, in volts."""
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
        # A file of the same file system says when the attempt began: its clock is the one that stamps outputs.
        self._began_ns = os.fstat(self._log_fd).st_mtime_ns
        self._seen_bytes = 0
        self._child: Child | None = None

    def start(self) -> int:
        """Start the child and give its pid, or raise `NotStarted`."""
        argv = self._step.command(str(self._folder / self.directory))
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
        files = list(islice(_files(self._folder / self.directory), _MAX_FILES))
        found: dict[str, None] = {}
        wrong: list[str] = []
        for output in wanted:
            matching = sorted(path for path in files if fnmatch(path.name, output.pattern))
            full = [path for path in matching if _size(path) > 0]
            found |= {str(path.relative_to(self._folder)): None for path in full}
            if len(full) < output.at_least:
                wrong.append(_shortage(output, len(full), len(matching) - len(full)))
        return tuple(found), "; ".join(wrong)

    def breakdowns(self) -> Breakdowns:
        """Read the breakdowns.json of this attempt; one older than the attempt is not fresh."""
        return read_breakdowns(self._folder / self.directory, self._began_ns)

    def reached_v(self) -> float | None:
        """Give the voltage furthest from 0 in the IV curve's CSV files; of several the nearest to 0."""
        ends = [_sweep_end(path) for path in _files(self._folder / self.directory) if path.suffix == ".csv"]
        known = [end for end in ends if end is not None]
        return min(known, key=abs) if known and len(known) == len(ends) else None

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


def read_breakdowns(directory: Path, since_ns: int = 0) -> Breakdowns:
    """Read the breakdowns.json below a result directory; one written before `since_ns` is not fresh."""
    for path in _files(directory):
        if path.name == "breakdowns.json":
            with suppress(OSError):
                before = path.stat()
                content = read_whole(path, MAX_BYTES) if before.st_size <= MAX_BYTES else b""
                stable = before.st_size == path.stat().st_size == len(content)
                return Breakdowns(content if stable else b"", fresh=before.st_mtime_ns >= since_ns)
    return Breakdowns(None)


def _files(folder: Path) -> list[Path]:
    """Give the regular files below a folder; links are not followed out of it."""
    return [
        Path(root, name)
        for root, _, names in os.walk(folder)
        for name in sorted(names)
        if not os.path.islink(os.path.join(root, name))  # noqa: PTH114, PTH118 - thousands of files
    ]


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


def _sweep_end(path: Path) -> float | None:
    """Read a CSV's first column that is headed as a voltage; None if that is not to be had."""
    try:
        with TextIOWrapper(BufferedReader(open_regular(path)), "utf-8", "replace", newline="") as file:
            rows = reader(islice(file, 100_000))
            header = [cell.strip().lower() for cell in next(rows, [])]
            column = next((i for i, cell in enumerate(header) if cell.startswith("voltage")), None)
            if column is None:
                return None
            return max((float(row[column]) for row in rows if len(row) > column), key=abs, default=None)
    except (OSError, ValueError):
        return None
