"""The lock of a bench: one run per physical instrument, across users, benches files and crashes.

A lock is a flock on a file per VISA resource, and its descriptor is inherited by the guard and by every child:
it is free only when the last of them is gone. The file's text only says who has it; its existence says nothing.
Somebody may delete the file of a run that goes on, so beside it there is a name among the kernel's abstract
sockets, which nobody can delete.
"""

import fcntl
import hashlib
import os
import pwd
import socket
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from calseq import problems as codes
from calseq.plaintext import printable
from calseq.problems import Problem, Refused
from calseq.regular import NotRegular, descriptor_of
from calseq.timelimit import within

_KINDS = (
    (stat.S_ISFIFO, "a fifo"),
    (stat.S_ISLNK, "a link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISSOCK, "a socket"),
)
_NAME_S = 2.0
_REPLACED_MOST = 100
"""A lock file that is deleted between opening and locking so often is deleted on purpose."""

FOLDERS = ("/run/lock", "/dev/shm", "/tmp")  # noqa: S108 - a place that all users of a machine share


class Holder(Struct, frozen=True):
    """Who holds, or last held, an instrument. `folder` is the run folder; `since` UTC."""

    resource: str
    run: str
    user: str
    pid: int
    since: str
    folder: str


class BenchLock:
    """Locks on all instruments of a bench, taken at once or not at all."""

    def __init__(self, resources: Iterable[str], folder: Path | None = None) -> None:
        """Take the locks, in the order of the resources, so that two who want the same never wait for each other.

        Raises:
            Refused: somebody else holds one; it says who.
        """
        self._held: dict[str, int] = {}
        self._names: list[socket.socket] = []
        self.before: list[Holder] = []
        """Who held an instrument before, as far as it is written."""
        place = folder or lock_folder()
        try:
            for resource in sorted(set(resources)):
                self._take(resource, place / _name(resource))
        except BaseException:
            self.release()
            raise

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The open files of the locks; whatever inherits one holds it, too."""
        return (*self._held.values(), *(name.fileno() for name in self._names))

    def claim(self, *, run: str, user: str, pid: int, since: str, folder: str) -> None:
        """Write into the locks who has them now."""
        for resource, descriptor in self._held.items():
            holder = Holder(resource, run, user, pid, since, folder)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, msgspec.json.encode(holder), 0)

    def release(self) -> None:
        """Let go; what inherited a descriptor still holds its lock."""
        while self._held:
            os.close(self._held.popitem()[1])
        while self._names:
            self._names.pop().close()

    def _take(self, resource: str, path: Path) -> None:
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
        self._held[resource] = descriptor
        self._names.append(_named(resource))
        present = _read(descriptor)
        if present:
            self.before.append(present)


class FolderLock:
    """The lock of a run folder: whoever writes into it, or has started something that does, holds it."""

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

    def release(self) -> None:
        """Let go; what inherited the descriptor still holds the lock."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def lock_folder() -> Path:
    """Give the folder of the locks: local, and writable by everybody."""
    for name in FOLDERS:
        if os.access(name, os.W_OK | os.X_OK):
            return Path(name)
    raise Refused([Problem(codes.BENCH_BUSY, "no folder for locks can be written", "see 'calseq doctor'")])


def holders_now(resources: Iterable[str], folder: Path | None = None) -> list[Holder]:
    """Holders of any of these instruments at this moment.

    Raises:
        Refused: something that is no lock is in a lock's place.
    """
    place = folder or lock_folder()
    found = []
    for resource in sorted(resources):
        with suppress(OSError):
            descriptor = _opened(place / _name(resource), os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                holder = _read(descriptor)
                found += [holder] if holder else []
            finally:
                os.close(descriptor)
    return found


def _name(resource: str) -> str:
    return f"calseq-{hashlib.sha256(resource.encode()).hexdigest()[:24]}.lock"


def _named(resource: str) -> socket.socket:
    """Take the resource's name among the abstract sockets; nobody ever connects to it."""
    name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        name.bind(f"\0{_name(resource)}")
    except OSError:
        name.close()
        raise _busy(resource, None) from None
    return name


def _open(path: Path) -> int:
    """Descriptor of a lock's file, which is made if it is not there."""
    try:
        try:
            descriptor = _opened(path, os.O_RDWR)
        except FileNotFoundError:
            # O_CREAT alone would be refused on another user's file in a sticky folder (fs.protected_regular).
            descriptor = _opened(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise _no_lock(path, f"cannot be opened: {(error.strerror or str(error)).lower()}") from error
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


def _read(descriptor: int) -> Holder | None:
    try:
        return msgspec.json.decode(os.pread(descriptor, 65536, 0), type=Holder)
    except (OSError, msgspec.DecodeError):
        return None


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
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
