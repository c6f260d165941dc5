"""The relay: between Felis and the database, on this machine only, and only for one call of Felis.

Felis gives a sequence up half-way and begins anew. The relay answers it from the record instead wherever something
has arrived already, so that one sequence gets every result once; it tries again what fails for the moment, and it
records every outcome before Felis hears of it.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from calseq.problems.plaintext import printable
from calseq.system.clock import now_s
from calseq.upload.backoff import Patience
from calseq.upload.batch import Batch, Waiting
from calseq.upload.entries import SequenceAsked, SequenceFailed, SequenceOpened, State
from calseq.upload.local_server import Asked, Listener
from calseq.upload.post import Answer, Judgement
from calseq.upload.redact import Scrubber

FELIS_WAITS_S = 240.0
_MARGIN_S = 40.0
"""Felis hears an answer so much before its patience ends: it would take its end for a bug of its own."""
_LONGEST_SAID = 160
_FILE_PART = re.compile(
    rb'^content-disposition:\s*form-data;.*?\bname="([^"]*)".*?\bfilename=', re.IGNORECASE | re.MULTILINE
)

Post = Callable[[str, bytes, str, float], Judgement]
"""Sends a body of a content type to the database at a query, with a time-out, and says what came of it."""


class Relay:
    """A server on 127.0.0.1 at a secret address, for Felis."""

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
        self._listener = Listener(self._answer)

    @property
    def url(self) -> str:
        """The address that Felis is given."""
        return self._listener.url

    def fileno(self) -> int:
        """Give the descriptor that is readable when somebody asks something."""
        return self._listener.fileno()

    def serve(self) -> None:
        """Answer who asks, if it is Felis.

        Raises:
            OSError: what came of it cannot be recorded; Felis was not answered.
        """
        self._listener.serve()

    def close(self) -> None:
        """Let go of the port."""
        self._listener.close()

    def _answer(self, asked: Asked) -> Answer:
        if self.halted:
            return _refusal(self.halted)
        handle = parse_qs(asked.query).get("handle", [""])[0]
        if handle == "set_sequence":
            return self._sequence(asked)
        if handle == "set_result":
            return self._result(asked)
        return self._halt(f"Felis asked for '{handle}', which this calseq does not know")

    def _sequence(self, asked: Asked) -> Answer:
        known = self.batch.sequence.number
        if known is not None:
            return _ok(SequenceID=known)
        module = self.batch.module

        def begin() -> None:
            self.batch.write(SequenceAsked(module))

        def failed(judged: Judgement) -> None:
            self.batch.write(SequenceFailed(module, self._words(judged), judged.maybe))

        judged = self._tried(asked, begin, failed, "the sequence")
        if not judged.good:
            return self._halt(self._words(judged))
        if judged.sequence is None:
            self.batch.write(SequenceFailed(module, "the database gave no number", maybe=True))
            return self._halt("the database gave no SequenceID")
        self.batch.write(SequenceOpened(module, judged.sequence))
        return judged.answer

    def _result(self, asked: Asked) -> Answer:
        names = [name for name in file_parts(asked.content_type, asked.body) if self.batch.item(name)]
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

        judged = self._tried(asked, begin, failed, name)
        if not judged.good:
            return self._halt(self._words(judged))
        self.batch.mark(name, State.SENT, note=item.note)
        return judged.answer

    def _tried(
        self,
        asked: Asked,
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
            judged = self._post(asked.query, asked.body, asked.content_type, min(self._timeout_s, left_s))
            if judged.good:
                return judged
            failed(judged)
            if not judged.again or not patience.wait(partial(self._waiting, what, judged)):
                return judged

    def _waiting(self, what: str, judged: Judgement, delay_s: float) -> None:
        self.batch.tell(Waiting(what, self._words(judged), delay_s))

    def _words(self, judged: Judgement) -> str:
        """Words for what came of a request, in one line: secrets are taken out of what was said before it is cut."""
        said = printable(" ".join(self._scrubber.text(judged.said).split()), _LONGEST_SAID)
        return self._scrubber.text(judged.reason) + (f": '{said}'" if said else "")

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
