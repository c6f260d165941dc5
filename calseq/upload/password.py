"""The password for the database: typed, given on a descriptor, or kept by the machine's keyring; never written down."""

import getpass
import os
import sys
from contextlib import suppress

SERVICE = "calseq-panthera"
"""The name under which a keyring has it: `keyring set calseq-panthera USER`."""
_LONGEST_BYTES = 4096


class NoPassword(Exception):
    """There is none; the message says how to give one."""


def find_password(user: str, descriptor: int | None = None) -> str:
    """Give the password of `user`: from `descriptor`, else from the keyring, else as somebody types it.

    Raises:
        NoPassword: there is none, and nobody to ask.
    """
    if descriptor is not None:
        return _read(descriptor)
    kept = from_keyring(user)
    if kept:
        return kept
    if not (sys.stdin and sys.stdin.isatty()):
        raise NoPassword(
            f"nobody is here to be asked for the password of {user}: "
            f"give --password-fd N, or 'keyring set {SERVICE} {user}' once"
        )
    typed = getpass.getpass(f"password of {user} for Panthera (not shown): ")
    if not typed:
        raise NoPassword("no password was typed")
    return typed


def from_keyring(user: str) -> str:
    """Give the password that the keyring has; empty if it has none, or there is no keyring."""
    try:
        import keyring  # noqa: PLC0415 - an extra, which need not be installed
    except ImportError:
        return ""
    with suppress(Exception):  # a locked or broken keyring has nothing
        return str(keyring.get_password(SERVICE, user) or "")
    return ""


def _read(descriptor: int) -> str:
    content = b""
    try:
        while b"\n" not in content and len(content) <= _LONGEST_BYTES:
            more = os.read(descriptor, _LONGEST_BYTES)
            if not more:
                break
            content += more
        text = content.partition(b"\n")[0].rstrip(b"\r").decode()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise NoPassword(f"descriptor {descriptor} cannot be read: {why.lower()}") from error
    finally:
        if descriptor > 2:
            with suppress(OSError):
                os.close(descriptor)
    if not text:
        raise NoPassword(f"descriptor {descriptor} gives no password")
    return text
