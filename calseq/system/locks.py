"""The lock of a bench: one run per physical instrument, across users, benches files and crashes.

A lock is a flock on a file per name of an instrument's address, and its descriptor is inherited by the guard and by
every child: it is free only when the last of them has ended. The file's text says who has the instrument, or how the
last run on it ended, and calseq/power/guard.py writes it, too; the file's existence says nothing. A file may be deleted
while its run goes on, so beside it there is a name among the kernel's abstract sockets, which cannot be deleted.
"""

import errno
import fcntl
import hashlib
import os
import pwd
import socket
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Problem
from calseq.problems.refused import Refused
from calseq.system.addresses import names
from calseq.system.files import NotRegular, descriptor_of, read_regular
from calseq.system.timelimit import within

FOLDERS = ("/run/lock", "/dev/shm", "/tmp")  # noqa: S108 - a place that all users of a machine share
VARIABLE = "CALSEQ_LOCKS"
"""The environment variable that names another folder for locks, where the bench file names none."""

_MAX_BYTES = 65536
_KINDS = (
    (stat.S_ISFIFO, "a fifo"),
    (stat.S_ISLNK, "a link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISSOCK, "a socket"),
)
_NAME_S = 2.0
_REPLACED_MOST = 100
"""A lock file that is deleted between opening and locking so often is deleted on purpose."""


class Ended(StrEnum):
    """How the run that a lock tells of ended. `open`: not yet, or without writing it here."""

    OPEN = ""
    SAFE = "safe"
    UNKNOWN = "unknown"


class Holder(Struct, frozen=True):
    """Who holds, or last held, an instrument. `folder` is the run folder; `since` UTC; `ended` how it left the rails."""

    resource: str
    run: str
    user: str
    pid: int
    since: str
    folder: str
    ended: str = Ended.OPEN


class BenchLock:
    """Locks on all instruments of a bench, taken at once or not at all."""

    def __init__(self, resources: Iterable[str], folder: Path | None = None) -> None:
        """Take the locks of all names of the resources, in one order for everybody; `folder` is where, if it is named.

        Raises:
            Refused: another run holds one, which is named; or locks cannot be made there.
        """
        self._held: dict[str, int] = {}
        self._names: list[socket.socket] = []
        self._place = lock_folder(folder)
        self._resources = _named(resources)
        self._claimed: dict[str, Holder] = {}
        self.before: dict[str, Holder] = {}
        """Who held an instrument before, by its name, as far as it is written in any folder of locks."""
        self.strange: list[str] = []
        """What is in the place of a lock, and is no text of a lock: how a run ended may have been written there."""
        try:
            for name, resource in self._resources.items():
                self._take(resource, name)
        except BaseException:
            self.release()
            raise

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The open files of the locks; whatever inherits one holds it, too."""
        return (*self._held.values(), *(name.fileno() for name in self._names))

    @property
    def files(self) -> tuple[int, ...]:
        """Open files of the locks: each names its holder and how that ended."""
        return tuple(self._held.values())

    def claim(self, *, run: str, user: str, pid: int, since: str, folder: str) -> None:
        """Write into the locks who has them now.

        Raises:
            OSError: one of them cannot be written.
        """
        for name, descriptor in self._held.items():
            self._claimed[name] = Holder(self._resources[name], run, user, pid, since, folder)
            _write(descriptor, self._claimed[name])

    def conclude(self, ended: Ended, *, keep: bool = False) -> None:
        """Write into the locks how their run ended; files of a safe end that are of no more use are taken away.

        `keep`: they are of use. So are they where there was an older word on the instrument, here or in another folder of
        locks. What the guard wrote as unknown is safe only when the guard itself confirms it later. A lock that cannot be
        written is left: then the run's folder says it.
        """
        for name, descriptor in self._held.items():
            holder = _read(descriptor) or self._claimed.get(name)
            if not holder or (ended is Ended.SAFE and holder.ended == Ended.UNKNOWN):
                continue
            with suppress(OSError):
                _write(descriptor, replace(holder, ended=ended))
            if ended is Ended.SAFE and not (keep or name in self.before or self._elsewhere(name)):
                with suppress(OSError):  # in a sticky folder only its owner may
                    (self._place / _file(name)).unlink()

    def release(self) -> None:
        """Let go; what inherited a descriptor still holds its lock."""
        while self._held:
            name, descriptor = self._held.popitem()
            if not os.fstat(descriptor).st_size:  # it was made for a run that did not begin
                with suppress(OSError):
                    (self._place / _file(name)).unlink()
            os.close(descriptor)
        while self._names:
            self._names.pop().close()

    def _elsewhere(self, name: str) -> list[Path]:
        """Give the files on an instrument in other folders of locks: those of users who may not write to this one."""
        others = (Path(place, _file(name)) for place in FOLDERS)
        return [path for path in others if path.parent != self._place and os.path.lexists(path)]

    def _take(self, resource: str, name: str) -> None:
        path = self._place / _file(name)
        for _ in range(_REPLACED_MOST):
            descriptor = _open(path)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                present = _read(descriptor)
                os.close(descriptor)
                raise _busy(resource, present) from None
            if _is_at(descriptor, path):
                break
            os.close(descriptor)  # somebody deleted the file under us: the lock that counts is on the new one
        else:
            raise _no_lock(path, "is replaced again and again")
        self._held[name] = descriptor
        texts = {place: read_regular(place, _MAX_BYTES) for place in self._elsewhere(name)}
        elsewhere = [holder for text in texts.values() if (holder := _holder(text))]
        open_ones = [holder for holder in elsewhere if holder.ended == Ended.OPEN]
        self._names.append(_socket(name, _busy(resource, _latest(open_ones))))
        texts[path] = _text(descriptor)
        self.strange += [_strange(place) for place, text in texts.items() if _is_strange(text)]
        if last := _latest([holder for text in texts.values() if (holder := _holder(text))]):
            self.before[name] = last


class FolderLock:
    """Lock of a run folder, held by the process that writes into it or has started one that does."""

    def __init__(self, folder: Path) -> None:
        """Take it.

        Raises:
            BlockingIOError: somebody else has it.
            OSError: the folder is not there, or on a file system that locks no folders.
        """
        self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.release()
            raise

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The open folder; whatever inherits it holds the lock, too."""
        return (self._descriptor,) if self._descriptor >= 0 else ()

    def path(self, folder: Path) -> Path | None:
        """Where the folder is by now; None if it is nowhere: somebody may move it, or put a link in its place."""
        with suppress(OSError):
            opened = os.fstat(self._descriptor)
            for path in (folder, Path(f"/proc/self/fd/{self._descriptor}").readlink()):
                with suppress(OSError):
                    if os.path.samestat(opened, path.lstat()):
                        return path
        return None

    def release(self) -> None:
        """Let go; what inherited the descriptor still holds the lock."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def lock_folder(named: Path | None = None) -> Path:
    """Give the folder of the locks: the one that is named, by a bench file or in the environment, else one for all users.

    Raises:
        Refused: it cannot be written.
    """
    if named is None and os.environ.get(VARIABLE):
        named = Path(os.environ[VARIABLE])
    if named is not None and not os.access(named, os.W_OK | os.X_OK):
        message = f"locks cannot be made in {printable(str(named), 300)}"
        cure = f"make it, for every user of the bench: mkdir -m 1777 {printable(str(named), 300)}"
        raise Refused([Problem(codes.BENCH_BUSY, message, cure)])
    for name in (named,) if named else FOLDERS:
        if os.access(name, os.W_OK | os.X_OK):
            return Path(name)
    raise Refused([Problem(codes.BENCH_BUSY, "no folder for locks can be written", "see 'calseq doctor'")])


def holders_now(resources: Iterable[str], folder: Path | None = None) -> list[Holder]:
    """Holders of any of these instruments at this moment.

    Raises:
        Refused: something that is no lock is in a lock's place; or a lock is held, and does not say by whom.
    """
    place = lock_folder(folder)
    found = []
    for name, resource in _named(resources).items():
        path = place / _file(name)
        try:
            descriptor = _opened(path, os.O_RDONLY)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise _unopened(path, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            holder = _read(descriptor)
            if holder is None:
                raise _busy(resource, None) from None
            found.append(holder)
        finally:
            os.close(descriptor)
    return found


def strange_locks(resources: Iterable[str], folder: Path | None = None) -> list[Problem]:
    """Problems of what is in the places of these instruments' locks, and is none; nothing is locked or waited for.

    Raises:
        Refused: there is no folder of locks.
    """
    place = lock_folder(folder)
    found: list[Problem] = []
    for path in (place / _file(name) for name in _named(resources)):
        try:
            descriptor = _opened(path, os.O_RDONLY)
        except FileNotFoundError:
            continue
        except OSError as error:
            found += _unopened(path, error).problems
            continue
        except Refused as refused:
            found += refused.problems
            continue
        text = _text(descriptor)
        os.close(descriptor)
        if _is_strange(text):
            cure = f"read HV and LV at the supplies, then 'calseq power off', or rm {printable(str(path))}"
            found.append(Problem(codes.BENCH_BUSY, _strange(path), cure))
    return found


def _named(resources: Iterable[str]) -> dict[str, str]:
    """Give the resources by all their names, in order."""
    return dict(sorted((name, resource) for resource in set(resources) for name in names(resource)))


def _file(name: str) -> str:
    return f"calseq-{hashlib.sha256(os.fsencode(name)).hexdigest()[:24]}.lock"


def _latest(holders: Sequence[Holder]) -> Holder | None:
    return max(holders, key=lambda holder: holder.since, default=None)


def _socket(name: str, busy: Refused) -> socket.socket:
    """Take an instrument's name among the abstract sockets, to which no connection is ever made.

    Raises:
        Refused: `busy`, as somebody else has it.
    """
    taken = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        taken.bind(f"\0{_file(name)}")
    except OSError:
        taken.close()
        raise busy from None
    return taken


def _open(path: Path) -> int:
    """Descriptor of a lock's file, which is made if it is not there."""
    try:
        try:
            descriptor = _opened(path, os.O_RDWR)
        except FileNotFoundError:
            # O_CREAT alone would be refused on another user's file in a sticky folder (fs.protected_regular).
            descriptor = _opened(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise _unopened(path, error) from error
    with suppress(OSError):  # only its owner may; the umask must not keep other users out
        os.fchmod(descriptor, 0o666)
    return descriptor


def _opened(path: Path, flags: int) -> int:
    """Descriptor of a lock's file; a fifo, device, link or second name of another file is refused, and waited for never.

    Raises:
        Refused: it is no lock.
        OSError: it cannot be opened.
    """
    try:
        descriptor = descriptor_of(path, flags, mode=0o666)
    except NotRegular:
        raise _no_lock(path, f"is no lock but {_kind(path)}") from None
    if os.fstat(descriptor).st_nlink > 1:
        os.close(descriptor)
        raise _no_lock(path, "is no lock but a second name of another file")
    return descriptor


def _unopened(path: Path, error: OSError) -> Refused:
    return _no_lock(path, f"cannot be opened: {(error.strerror or str(error)).lower()}")


def _strange(path: Path) -> str:
    """Say what is in a lock's place that can be held as a lock, and says nothing of a run."""
    owner = _owner(path)
    message = f"{printable(str(path))}, where the lock of an instrument belongs, has no text of a lock"
    return message + (f"; it belongs to {owner}" if owner else "")


def _no_lock(path: Path, what: str) -> Refused:
    shown, owner = printable(str(path)), _owner(path)
    message = f"{shown}, where the lock of an instrument belongs, {what}"
    message += f"; it belongs to {owner}" if owner else ""
    cure = f"have {owner or 'its owner'}, or root, look at it and remove it: rm {shown}"
    return Refused([Problem(codes.BENCH_BUSY, message, cure)])


def _kind(path: Path) -> str:
    """What is in a file's place, as a person says it."""
    with suppress(OSError):
        mode = path.lstat().st_mode
        return next((word for is_such, word in _KINDS if is_such(mode)), "a device")
    return "something else"


def _owner(path: Path) -> str:
    """Name of a file's owner, the number if the machine's name service does not answer; empty if there is no file."""
    try:
        number = path.lstat().st_uid
    except OSError:
        return ""
    try:
        return printable(within(_NAME_S, lambda: pwd.getpwuid(number).pw_name))
    except (KeyError, TimeoutError):
        return f"user {number}"


def _write(descriptor: int, holder: Holder) -> None:
    """Write a lock's text in one piece, on room that is made before: an end or a full disk in the middle leaves the old one.

    Raises:
        OSError: it cannot be written.
    """
    text, old = msgspec.json.encode(holder), len(_text(descriptor))
    room = b" " * (len(text) - old)
    if os.pwrite(descriptor, room, old) < len(room):
        raise OSError(errno.ENOSPC, "no space left on device")
    os.pwrite(descriptor, text.ljust(old), 0)
    os.ftruncate(descriptor, len(text))


def _text(descriptor: int) -> bytes:
    """Give a lock's text; blank if it was never written, or cannot be read."""
    with suppress(OSError):
        return os.pread(descriptor, _MAX_BYTES, 0)
    return b""


def _holder(text: bytes | None) -> Holder | None:
    """Give what a lock's text says; None if it is none."""
    with suppress(ValueError):
        return msgspec.json.decode(text, type=Holder) if text else None
    return None


def _is_strange(text: bytes | None) -> bool:
    """Tell whether something else than a lock's text is in its place, or something that is no file (None)."""
    return text is None or (bool(text.strip()) and _holder(text) is None)


def _read(descriptor: int) -> Holder | None:
    return _holder(_text(descriptor))


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _busy(resource: str, holder: Holder | None) -> Refused:
    if holder is None:
        message = (
            f"{printable(resource)} is held by another run, whose lock file was deleted or cannot be read"
        )
    else:
        message = (
            f"{printable(resource)} is held by run {printable(holder.run)} of {printable(holder.user)}, "
            f"pid {holder.pid}, since {printable(holder.since)}"
        )
    cure = "wait for its end, or stop it with 'calseq power off'; a bench has one run at a time"
    return Refused([Problem(codes.BENCH_BUSY, message, cure)])
