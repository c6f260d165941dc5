"""One request to the database, and what its answer means."""

import errno
import http.client
import json
import socket
import ssl
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import OpenerDirector, Request

from msgspec import Struct

from calseq.upload.watch import Watch, opener

_LONGEST_ANSWER = 4 << 20
SLOWEST_BYTES_PER_S = 256 << 10
"""A way to the database that is slower than this is as good as none: a body may take so long, and no longer."""
_TRY_LATER = (408, 425, 429)
_NEVER_SENT = (ConnectionRefusedError, socket.gaierror, ssl.SSLCertVerificationError)
_NO_WAY = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL)


class Answer(Struct, frozen=True):
    """What a server said."""

    status: int
    body: bytes


class Judgement(Struct, frozen=True):
    """What came of a request. `again`: it may do better later. `maybe`: what was sent may have arrived all the same.

    `sequence` is the number of a sequence, where the answer has one.
    """

    good: bool
    reason: str = ""
    again: bool = False
    maybe: bool = False
    sequence: int | None = None
    answer: Answer = Answer(503, b"")


def judged(answer: Answer) -> Judgement:
    """Say what an answer of Panthera means: good is HTTP 200 with the JSON field `status` true, as Felis has it."""
    if answer.status >= 500 or answer.status in _TRY_LATER:
        return Judgement(
            False, f"Panthera answers with HTTP {answer.status}", again=True, maybe=True, answer=answer
        )
    if answer.status != 200:
        return Judgement(False, f"Panthera refuses with HTTP {answer.status}", answer=answer)
    try:
        said: Any = json.loads(answer.body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict) or not isinstance(said.get("status"), bool):
        return Judgement(
            False, "Panthera's answer cannot be understood", again=True, maybe=True, answer=answer
        )
    if not said["status"]:
        told = next((str(said[key]) for key in ("message", "error", "reason") if said.get(key)), "")
        return Judgement(False, "Panthera refuses" + (f": {told}" if told else ""), answer=answer)
    return Judgement(True, sequence=_number(said.get("SequenceID")), answer=answer)


def poster(url: str, ca_file: str = "") -> Callable[[str, bytes, str, float], Judgement]:
    """Give what sends to the database at `url`, with its certificate checked; redirections are not followed.

    Raises:
        ValueError: `url` would have the password go over a network in the clear, or is no address.
        OSError: `ca_file` cannot be read.
    """
    check_address(url)
    context = ssl.create_default_context(cafile=ca_file or None)

    def post(query: str, body: bytes, content_type: str, timeout_s: float) -> Judgement:
        target = url + ("&" if "?" in url else "?") + query
        request = Request(target, data=body, headers={"Content-Type": content_type}, method="POST")  # noqa: S310 - looked at above
        with Watch(timeout_s + len(body) / SLOWEST_BYTES_PER_S) as watch:
            return _asked(opener(context, watch), request, timeout_s, watch)

    return post


def check_address(url: str) -> None:
    """See that an address is one to which a password may be sent: of https, or of this machine.

    Raises:
        ValueError: it is not; the message says what to do.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme != "http" or not _is_loopback(parts.hostname or ""):
        raise ValueError(
            f"{url} is no address that begins with https://: the password would go there in the clear"
        )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _asked(director: OpenerDirector, request: Request, timeout_s: float, watch: Watch) -> Judgement:
    try:
        with director.open(request, timeout=timeout_s) as response:
            content = response.read(_LONGEST_ANSWER)
            if response.length and not watch.is_over:
                raise http.client.IncompleteRead(content, response.length)
            if not watch.is_over:
                return judged(Answer(response.status, content))
    except HTTPError as error:
        with error:
            return judged(Answer(error.code, b""))
    except (OSError, http.client.HTTPException) as error:
        if not watch.is_over:
            return _lost(error)
    return _lost(TimeoutError())


def _lost(error: Exception) -> Judgement:
    """Say what came of a request without an answer: it may have arrived, unless no connection came about."""
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        told = f"Panthera's certificate cannot be checked ({cause.verify_message}): name its authority in 'ca_file:'"
        return Judgement(False, told)
    number = getattr(cause, "errno", None)
    never = isinstance(cause, _NEVER_SENT) or number in _NO_WAY
    if isinstance(cause, TimeoutError):
        return Judgement(False, "Panthera does not answer in time", again=True, maybe=True)
    if isinstance(cause, http.client.IncompleteRead):
        return Judgement(False, "Panthera's answer ends too early", again=True, maybe=True)
    words = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return Judgement(False, f"no answer of Panthera: {str(words).lower()}", again=True, maybe=not never)


def _number(value: object) -> int | None:
    """Read a SequenceID: a number, or one as text."""
    if isinstance(value, str) and value.isdigit():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
