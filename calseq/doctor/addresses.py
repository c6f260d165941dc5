"""What can be said of an instrument's address without contacting it: its form, and its device file."""

import grp
import ipaddress
import os
import pwd
import re
import stat
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from calseq.bench.site import REPLACE
from calseq.doctor.checks import Status, quoted

_DEVICE = re.compile(r"(?:ASRL)?(/.*)", re.IGNORECASE | re.DOTALL)
_NETWORK = re.compile(
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\s\[\]]+)(::(?P<port>[0-9]+)::SOCKET|(::[A-Za-z0-9_,]+)?(::INSTR)?)",
    re.IGNORECASE,
)


class Address(Struct, frozen=True):
    """What can be said of an instrument's address without contacting it. `device` is its file, if it has one."""

    status: Status
    note: str
    cure: str = ""
    device: Path | None = None


def look_at(resource: str) -> Address:
    """Look at a VISA resource name, or the path of a device."""
    if REPLACE in resource:
        return Address(
            Status.FAILED,
            f"'{resource}' is no address yet",
            "put the instrument's own there, in instruments.json",
        )
    kind, _, rest = resource.partition("::")
    device = _DEVICE.fullmatch(kind)
    if device:
        return _device(Path(device[1]))
    if kind.upper().startswith("TCPIP"):
        return _network(rest)
    if kind.upper().startswith(("USB", "GPIB", "ASRL", "PXI", "VXI")):
        return Address(Status.OK, "only VISA can tell whether it is there")
    return Address(Status.SKIPPED, "this form of address is not known")


def _network(rest: str) -> Address:
    """Look at the form of a network address; nothing is contacted."""
    fault = _fault(rest)
    if fault:
        cure = "in instruments.json, for instance `TCPIP::192.168.0.22::9221::SOCKET`"
        return Address(Status.FAILED, fault, cure)
    return Address(Status.OK, "well formed, not contacted")


def _fault(rest: str) -> str:
    match = _NETWORK.fullmatch(rest)
    if match is None:
        return "not of the form TCPIP::HOST::PORT::SOCKET"
    if match["port"] and not 0 < int(match["port"][:8]) < 65536:
        return f"there is no port {match['port']}"
    host = match["host"].strip("[]")
    return f"{host} is no IP address" if re.fullmatch(r"[0-9.]+", host) and not _is_ip(host) else ""


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _device(path: Path) -> Address:
    """Look at a device file; it is not opened, which some devices take as a reset."""
    try:
        found = path.stat()
    except OSError as error:
        reason = "is not there" if isinstance(error, FileNotFoundError) else (error.strerror or "").lower()
        near = ", ".join(_siblings(path)) or "none of its kind"
        cure = f"connect it and switch it on; present: {near}; names that stay: `ls -l /dev/serial/by-id`"
        return Address(Status.FAILED, f"{path} {reason}", cure, path)
    if not stat.S_ISCHR(found.st_mode):
        cure = f"is it the right path? `ls -l {quoted(path)}`"
        return Address(Status.FAILED, f"{path} is no device", cure, path)
    if os.access(path, os.R_OK | os.W_OK, effective_ids=True):
        return Address(Status.OK, "readable and writable", device=path)
    return Address(Status.FAILED, f"you may not read and write {path}", _permission(path, found), path)


def _siblings(path: Path) -> list[str]:
    stem = re.sub(r"[0-9]+\Z", "", path.name)
    with suppress(OSError):
        return sorted(str(each) for each in path.parent.iterdir() if each.name.startswith(stem))[:8]
    return []


def _permission(path: Path, found: os.stat_result) -> str:
    """Say how a user comes to a device: by its group, unless that is root's or may not do it either."""
    try:
        group = grp.getgrgid(found.st_gid).gr_name
    except KeyError:
        group = str(found.st_gid)
    both = stat.S_IRGRP | stat.S_IWGRP
    if found.st_gid == 0 or found.st_mode & both != both:
        return f'add a udev rule: `KERNEL=="{path.name}", MODE="0660", GROUP="dialout"`'
    if _is_member(group):
        return f"you joined group {group} after you logged in: log in again, or `newgrp {group}`"
    return f"`sudo usermod -aG {group} $USER`, then log in again"


def _is_member(group: str) -> bool:
    with suppress(KeyError):
        return pwd.getpwuid(os.geteuid()).pw_name in grp.getgrnam(group).gr_mem
    return False
