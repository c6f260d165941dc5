"""The machine itself: calseq and its Python, the screen and the login, and the folder of the locks."""

import os
import platform
import re
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

import calseq
from calseq.doctor.checks import Check, failed, ok, quoted, warning
from calseq.doctor.folders import file_system
from calseq.system import locks
from calseq.system.containers import out_of_reach

_REMOTE = re.compile(
    r"nfs4?|afs|auristorfs|cifs|smb3|smbfs|9p|virtiofs|ceph|lustre|gpfs|beegfs|glusterfs|fuse(\..*)?"
)


class Machine(Struct, frozen=True):
    """This machine as the checks see it: `mounts` and `cgroups` are the kernel's own texts."""

    environ: Mapping[str, str]
    encoding: str
    mounts: str = ""
    cgroups: str = ""
    lock_folders: tuple[Path, ...] = tuple(map(Path, locks.FOLDERS))
    root: Path = Path("/")


def this_machine(environ: Mapping[str, str], encoding: str) -> Machine:
    """Give the machine that calseq runs on, its screen in that `encoding`."""
    return Machine(environ, encoding, _kernel_text("mountinfo"), _kernel_text("cgroup"))


def examine_machine(machine: Machine, shared: Path | None = None) -> Iterator[Check]:
    """Say what calseq runs in, and whether its screen, its login and its locks will last.

    `shared` is the folder of locks that the bench names.
    """
    yield ok("calseq", f"{calseq.__version__} in {Path(calseq.__file__).parent}")
    yield ok("python", f"{platform.python_version()}, {sys.executable}")
    yield _screen(machine)
    yield _session(machine)
    yield _lock_folder(machine, shared)


def _screen(machine: Machine) -> Check:
    if machine.encoding.lower().replace("-", "").startswith("utf"):
        return ok("terminal", f"shows {machine.encoding.upper()}")
    finding = f"shows only {machine.encoding.upper() or 'ASCII'}: calseq falls back to ASCII"
    return warning("terminal", finding, "`export LC_ALL=C.UTF-8`")


def _session(machine: Machine) -> Check:
    for variable, program in (("TMUX", "tmux"), ("STY", "screen")):
        if machine.environ.get(variable):
            return ok("session", f"inside {program}: it outlives a lost login")
    unit = _unit(machine.cgroups)
    if unit:
        return ok("session", f"in the systemd unit {unit}: it outlives a lost login")
    finding = "not inside tmux, screen or a systemd scope: a lost login takes the screen of a run away"
    return warning("session", finding, "`tmux new -s calseq`, or `systemd-run --user --scope calseq ...`")


def _unit(cgroups: str) -> str:
    """Give the unit that somebody started for this very purpose; a login's own scope ends with the login."""
    for line in cgroups.splitlines():
        leaf = line.rpartition("/")[2]
        if re.fullmatch(r"run-.+\.(scope|service)", leaf):
            return leaf
        if leaf.endswith(".service") and not leaf.startswith(("user@", "sshd")):
            return leaf
    return ""


def _lock_folder(machine: Machine, shared: Path | None) -> Check:
    name = "lock folder"
    named = shared or machine.environ.get(locks.VARIABLE)
    folders = (Path(named),) if named else machine.lock_folders
    usable = (each for each in folders if os.access(each, os.W_OK | os.X_OK, effective_ids=True))
    folder = next(usable, None)
    if folder is None:
        names = ", ".join(map(str, folders))
        cure = f"`sudo mkdir -p -m 1777 {quoted(folders[0])}`"
        return failed(name, f"none can be written: {names}", cure)
    kind = file_system(folder, machine.mounts)
    if _REMOTE.fullmatch(kind):
        finding = f"{folder} is not on a local disk ({kind}): two runs could hold one instrument"
        return failed(name, finding, f"`sudo mount -t tmpfs -o mode=1777 tmpfs {quoted(folder)}`")
    if not folder.stat().st_mode & stat.S_IWOTH:
        finding = f"{folder} is not for every user: runs of others are locked elsewhere, and not seen"
        return warning(name, finding, f"`sudo chmod 1777 {quoted(folder)}`")
    if not named and (why := out_of_reach(folder, machine.root)):
        finding = f"{folder}: {why}; a run in another container would not see the locks of this one"
        return warning(
            name, finding, "share a folder between them: `locks: /srv/calseq-locks` in each bench file"
        )
    return ok(name, f"{folder} ({kind or 'its file system is not known'})")


def _kernel_text(name: str) -> str:
    try:
        return Path("/proc/self", name).read_text(errors="replace")
    except OSError:
        return ""
