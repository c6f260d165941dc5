"""The relay: between Felis and the database, on this machine only, and only for one call of Felis.

Felis gives a sequence up half-way and begins anew. The relay answers it from the record instead wherever something
has arrived already, so that one sequence gets every result once; it tries again what fails for the moment, and it
records every outcome before Felis hears of it.
"""

import json
import re
import secrets
from collections.abc import Callable, Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from calseq.clocks import now_s
from calseq.upload.batch import Batch, Waiting
from calseq.upload.entries import SequenceAsked, SequenceFailed, SequenceOpened, State
from calseq.upload.patience import Patience
from calseq.upload.post import Answer, Judgement
from calseq.upload.scrubbing import Scrubber

FELIS_WAITS_S = 240.0
_MARGIN_S = 40.0
"""Felis hears an answer so much before its patience ends: it would take its end for a bug of its own."""
_READ_TIMEOUT_S = 30.0
_FILE_PART = re.compile(
    rb'^content-disposition:\s*form-data;.*?\bname="([^"]*)".*?\bfilename=', re.IGNORECASE | re.MULTILINE
)

Post = Callable[[str, bytes, str, float], Judgement]
"""Sends a body of a content type to the database at a query, with a time-out, and says what came of it."""


class Relay:
    """A server on 127.0.0.1 with an address that only Felis is told. `serve` answers one request."""

    def __init__(
        self,
        batch: Batch,
        post: Post,
        scrubber: Scrubber,
        *,
        timeout_s: float,
        retry_for_s: float,
        patience: Callable[[float], Patience] = Patience,
    ) -> None:
        self.batch = batch
        self.halted = ""
        """Why nothing more is sent in this call; empty while all goes well."""
        self._post, self._scrubber = post, scrubber
        self._timeout_s, self._retry_for_s, self._patience = timeout_s, retry_for_s, patience
        self._secret = secrets.token_urlsafe(24)
        self._broken: Exception | None = None
        self._server = _Server(("127.0.0.1", 0), _handler(self))

    @property
    def url(self) -> str:
        """The address that Felis is given."""
        return f"http://127.0.0.1:{self._server.server_port}/{self._secret}"

    def fileno(self) -> int:
        """Give the descriptor that is readable when somebody asks something."""
        return self._server.fileno()

    def serve(self) -> None:
        """Answer one request; it is there.

        Raises:
            OSError: what came of it cannot be recorded; Felis was not answered.
        """
        self._server.handle_request()
        if self._broken:
            raise self._broken

    def close(self) -> None:
        """Let go of the port."""
        self._server.server_close()

    def answer(self, path: str, content_type: str, body: bytes) -> Answer:
        """Give the answer to a request. What is raised here is raised by `serve`."""
        try:
            return self._answer(path, content_type, body)
        except Exception as error:
            self._broken = error
            raise

    def _answer(self, path: str, content_type: str, body: bytes) -> Answer:
        parts = urlsplit(path)
        if not secrets.compare_digest(parts.path.encode(), f"/{self._secret}".encode()):
            return Answer(404, b"")
        handle = parse_qs(parts.query).get("handle", [""])[0]
        if self.halted:
            return _refusal(self.halted)
        if handle == "set_sequence":
            return self._sequence(parts.query, content_type, body)
        if handle == "set_result":
            return self._result(parts.query, content_type, body)
        return self._halt(f"Felis asked for '{handle}', which this calseq does not know")

    def _sequence(self, query: str, content_type: str, body: bytes) -> Answer:
        known = self.batch.sequence.number
        if known is not None:
            return _ok(SequenceID=known)
        module = self.batch.module

        def begin() -> None:
            self.batch.write(SequenceAsked(module))

        def failed(judged: Judgement) -> None:
            self.batch.write(SequenceFailed(module, self._words(judged), judged.maybe))

        judged = self._tried(query, content_type, body, begin, failed, "the sequence")
        if not judged.good:
            return self._halt(self._words(judged))
        if judged.sequence is None:
            self.batch.write(SequenceFailed(module, "the database gave no number", maybe=True))
            return self._halt("the database gave no SequenceID")
        self.batch.write(SequenceOpened(module, judged.sequence))
        return judged.answer

    def _result(self, query: str, content_type: str, body: bytes) -> Answer:
        names = [name for name in file_parts(content_type, body) if self.batch.item(name)]
        item = self.batch.item(names[0]) if len(names) == 1 else None
        if item is None:
            return self._halt("Felis sent a result that is not in the queue")
        if item.is_sent:
            return _ok()
        name = item.result.name

        def begin() -> None:
            self.batch.mark(name, State.SENDING)

        def failed(judged: Judgement) -> None:
            state = State.GIVEN_UP if judged.again else State.REFUSED
            self.batch.mark(name, state, self._words(judged), maybe=judged.maybe)

        judged = self._tried(query, content_type, body, begin, failed, name)
        if not judged.good:
            return self._halt(self._words(judged))
        self.batch.mark(name, State.SENT, note=item.note)
        return judged.answer

    def _tried(
        self,
        query: str,
        content_type: str,
        body: bytes,
        begin: Callable[[], None],
        failed: Callable[[Judgement], None],
        what: str,
    ) -> Judgement:
        """Send until it arrives, is refused, or the time is over; every failure is recorded."""
        longest_s = FELIS_WAITS_S - _MARGIN_S
        due_s = now_s() + longest_s
        patience = self._patience(min(self._retry_for_s, longest_s))
        while True:
            begin()
            left_s = max(due_s - now_s(), 1.0)
            judged = self._post(query, body, content_type, min(self._timeout_s, left_s))
            if judged.good:
                return judged
            failed(judged)
            if not judged.again or not patience.wait(partial(self._waiting, what, judged)):
                return judged

    def _waiting(self, what: str, judged: Judgement, delay_s: float) -> None:
        self.batch.tell(Waiting(what, self._words(judged), delay_s))

    def _words(self, judged: Judgement) -> str:
        return self._scrubber.text(judged.reason)

    def _halt(self, reason: str) -> Answer:
        self.halted = reason
        return _refusal(reason)


def file_parts(content_type: str, body: bytes) -> list[str]:
    """Name the fields of a form that carry a file."""
    match = re.search(r'boundary="?([^";]+)"?', content_type)
    if not match:
        return []
    mark = b"--" + match[1].encode("latin-1", "replace") + b"\r\n"
    found = []
    at = body.find(mark)
    while at >= 0:
        start = at + len(mark)
        end = body.find(b"\r\n\r\n", start)
        part = _FILE_PART.search(body[start : min(end, start + 8192)]) if end >= 0 else None
        if part:
            found.append(part[1].decode("utf-8", "replace"))
        at = body.find(b"\r\n" + mark, start)
        at = at + 2 if at >= 0 else at
    return found


def _ok(**fields: Any) -> Answer:
    return _json(200, {"status": True, **fields})


def _refusal(reason: str) -> Answer:
    return _json(503, {"status": False, "message": reason})


def _json(status: int, fields: Mapping[str, Any]) -> Answer:
    return Answer(status, json.dumps(fields).encode())


class _Server(HTTPServer):
    def handle_error(self, *_: Any) -> None:
        """A client that goes away is Felis's own affair; what else goes wrong is raised by `serve`."""


def _handler(relay: Relay) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Reads a request whole, and writes its answer."""

        timeout = _READ_TIMEOUT_S

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not length.isdigit():
                self._write(Answer(411, b""))
                return
            body = self.rfile.read(int(length))
            if len(body) == int(length):  # else Felis is gone in the middle of it
                self._write(relay.answer(self.path, self.headers.get("Content-Type", ""), body))

        def _write(self, answer: Answer) -> None:
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
            """Nothing of this is printed."""

    return Handler
