"""The address of an instrument: one supply has the same names, however its address is written.

A VISA address may be written in many ways. A device file may be reached by several paths, and a serial port by a number.
An address therefore has one or more names; two addresses that share a name are of one instrument.
"""

import ipaddress
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from itertools import combinations

_DEVICE = re.compile(r"(?:ASRL)?(/.*?)(?:::INSTR)?", re.IGNORECASE | re.DOTALL)
_SERIAL = re.compile(r"ASRL([0-9]{1,4})(?:::INSTR)?", re.IGNORECASE)
_VISA = re.compile(r"(TCPIP|USB|GPIB|PXI|VXI|VICP)([0-9]*)::(.+)", re.IGNORECASE | re.DOTALL)
_PARTS = re.compile(r"::(?![^\[]*\])")
"""Parts what follows the kind, and not the address of a host in brackets."""

_DEFAULT_DEVICE = "inst0"

Further = Callable[[str], tuple[str, ...]]
"""Gives the further names of a device file, by its path."""


def names(address: str, further: Further | None = None) -> tuple[str, ...]:
    """Give every name of an instrument's address; `further` looks at device files, by default on this machine."""
    look = further or names_of_device
    text = address.strip()
    if device := _DEVICE.fullmatch(text):
        path = os.path.normpath(device[1])
        return tuple(dict.fromkeys((path, *look(path))))
    if serial := _SERIAL.fullmatch(text):
        path = f"/dev/ttyS{int(serial[1]) - 1}"  # so VISA numbers them
        return tuple(dict.fromkeys((f"ASRL{int(serial[1])}", path, *look(path))))
    visa = _VISA.fullmatch(text)
    return (_visa(visa[1].upper(), visa[2], _PARTS.split(visa[3])) if visa else text.casefold(),)


def names_of_device(path: str) -> tuple[str, ...]:
    """Give the path that links lead to, and the number by which the kernel knows a device; nothing is opened."""
    found = [os.path.realpath(path)]
    with suppress(OSError, ValueError):
        status = os.stat(path)  # noqa: PTH116 - a path of the kernel, in a text
        if stat.S_ISCHR(status.st_mode):
            found.append(f"device {os.major(status.st_rdev)}:{os.minor(status.st_rdev)}")
    return tuple(found)


def shared(addresses: Mapping[str, str], further: Further | None = None) -> Iterable[tuple[str, str]]:
    """Give the pairs of instruments that are at one address."""
    known = {name: set(names(address, further)) for name, address in addresses.items()}
    return ((one, other) for one, other in combinations(known, 2) if known[one] & known[other])


def _visa(kind: str, board: str, parts: list[str]) -> str:
    """Write a VISA address in one way. By which board of this machine a network or USB device is reached tells no two apart."""
    known = {"INSTR", "SOCKET", "RAW", "BACKPLANE", "MEMACC"}
    resource = parts.pop().upper() if len(parts) > 1 and parts[-1].upper() in known else "INSTR"
    if kind == "TCPIP":
        return "::".join((kind, _host(parts[0]), *_endpoint(parts[1:], resource), resource))
    numbers = (_number(part) for part in parts)
    if kind == "USB":
        return "::".join((kind, *_without_zero(numbers, 3), resource))
    return "::".join((f"{kind}{int(board or 0)}", *_without_zero(numbers, 1), resource))


def _host(text: str) -> str:
    bare = text.strip("[]").rstrip(".").casefold()
    with suppress(ValueError):
        return ipaddress.ip_address(bare).compressed
    return bare


def _endpoint(parts: list[str], resource: str) -> tuple[str, ...]:
    """Give the port of a socket, or the device behind a host, which has a default."""
    if resource == "SOCKET":
        return tuple(map(_number, parts))
    return tuple(part.casefold() for part in parts) or (_DEFAULT_DEVICE,)


def _number(text: str) -> str:
    with suppress(ValueError):
        return str(int(text, 16 if text.lower().startswith("0x") else 10))
    return text.casefold()


def _without_zero(parts: Iterable[str], needed: int) -> tuple[str, ...]:
    """Leave out a last part that is the default, 0."""
    found = tuple(parts)
    return found[:needed] if found[needed:] == ("0",) else found
