"""One request to the database, and what its answer means."""

import errno
import html
import http.client
import json
import re
import socket
import ssl
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import OpenerDirector, Request

from msgspec import Struct

from calseq.upload.deadline import Watch, opener

_LONGEST_ANSWER = 4 << 20
_LONGEST_PAGE = 64 << 10
SLOWEST_BYTES_PER_S = 256 << 10
"""A way to the database that is slower than this is as good as none: a body may take so long, and no longer."""
_TRY_LATER = (408, 425, 429)
_NEVER_SENT = (ConnectionRefusedError, socket.gaierror, ssl.SSLCertVerificationError)
_TITLE = re.compile(r"<title[^>]*>(.*?)(?:</title|$)", re.IGNORECASE | re.DOTALL)
_MARKUP = re.compile(
    r"<(?:script|style)\b.*?(?:</(?:script|style)>|$)|<!--.*?-->|<[^>]*>", re.IGNORECASE | re.DOTALL
)
_TUNNEL = re.compile(r"Tunnel connection failed: ([0-9]{3})")
_NO_WAY = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL)


class Answer(Struct, frozen=True):
    """What a server said; `location` is where it sends who asks, if it does."""

    status: int
    body: bytes
    location: str = ""


class Judgement(Struct, frozen=True):
    """What came of a request. `again`: it may do better later. `maybe`: what was sent may have arrived all the same.

    `said` is what the answer says of itself where it is none of Panthera's: as it came, secrets that it repeats
    included. `sequence` is the number of a sequence, where the answer has one.
    """

    good: bool
    reason: str = ""
    said: str = ""
    again: bool = False
    maybe: bool = False
    sequence: int | None = None
    answer: Answer = Answer(503, b"")


def judged(answer: Answer) -> Judgement:
    """Say what an answer of Panthera means: good is HTTP 200 with the JSON field `status` true, as Felis has it.

    A page in the place of an answer, of a log-in or a proxy, is the same at the next try: it is asked for once.
    """
    if answer.status >= 500 or answer.status in _TRY_LATER:
        reason = f"Panthera answers with HTTP {answer.status}"
        return Judgement(False, reason, page_text(answer.body), again=True, maybe=True, answer=answer)
    if answer.status != 200:
        reason = f"Panthera refuses with HTTP {answer.status}"
        if 300 <= answer.status < 400:
            reason = f"Panthera sends us elsewhere, as to a log-in (HTTP {answer.status})"
        return Judgement(False, reason, answer.location or page_text(answer.body), answer=answer)
    try:
        said: Any = json.loads(answer.body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict) or not isinstance(said.get("status"), bool):
        reason = "this is no answer of Panthera's; is 'url:' right, and no log-in or proxy before it?"
        return Judgement(False, reason, page_text(answer.body), maybe=True, answer=answer)
    if not said["status"]:
        told = next((str(said[key]) for key in ("message", "error", "reason") if said.get(key)), "")
        return Judgement(False, "Panthera refuses" + (f": {told}" if told else ""), answer=answer)
    return Judgement(True, sequence=_number(said.get("SequenceID")), answer=answer)


def page_text(body: bytes) -> str:
    """Title of a page, else its first words as a person sees them; of what is no page, its beginning."""
    text = body[:_LONGEST_PAGE].decode("utf-8", "replace")
    title = _TITLE.search(text)
    if title and title[1].strip():
        return html.unescape(title[1])
    return html.unescape(_MARKUP.sub(" ", text)).strip() or ("an empty page" if not text.strip() else text)


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
            return judged(_refused(error))
    except (OSError, http.client.HTTPException) as error:
        if not watch.is_over:
            return _lost(error)
    return _lost(TimeoutError())


def _refused(error: HTTPError) -> Answer:
    """Answer with another status than 200, with as much of its page as comes at once."""
    try:
        body = error.read(_LONGEST_PAGE)
    except (OSError, http.client.HTTPException, ValueError):
        body = b""
    return Answer(error.code, body, str(error.headers.get("Location") or ""))


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
    if tunnel := _TUNNEL.search(str(cause)):
        later = int(tunnel[1]) >= 500 or int(tunnel[1]) in _TRY_LATER
        reason = (
            f"the proxy lets nothing through to Panthera (HTTP {tunnel[1]}): look at HTTPS_PROXY and NO_PROXY"
        )
        return Judgement(False, reason, again=later)
    words = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return Judgement(False, f"no answer of Panthera: {str(words).lower()}", again=True, maybe=not never)


def _number(value: object) -> int | None:
    """Read a SequenceID: a number, or one as text."""
    if isinstance(value, str) and value.isdigit():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
