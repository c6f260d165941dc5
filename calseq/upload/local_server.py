"""A server on 127.0.0.1 for those who know a secret path: others are turned away, and keep nobody waiting.

Everybody on the machine can connect. Of a connection only the head is read until it shows the secret; that is done for
all of them side by side, so that a slow one costs nothing but its place.
"""

import secrets
import selectors
import socket
from collections.abc import Callable
from contextlib import suppress

from msgspec import Struct

from calseq.system.clock import now_s
from calseq.upload.post import Answer

HEAD_S = 10.0
"""Felis sends a head at once; who takes longer is not Felis."""

BODY_S = 240.0
"""Felis itself waits no longer; on loopback the largest result takes seconds."""

MOST_BYTES = 1 << 30
"""The largest body: Felis sends a zip of the ROOT files of one result, which it has in memory."""

_MOST_HEAD = 32 << 10
_MOST_WAITING = 256
_MOST_IGNORED = 1 << 20
_PIECE = 1 << 20
_WORDS = {200: "OK", 400: "Bad Request", 404: "Not Found", 411: "Length Required", 413: "Too Large"}


class Asked(Struct, frozen=True):
    """A request of who knows the secret."""

    query: str
    content_type: str
    body: bytes


class _Head(Struct, frozen=True):
    """The head of a request, and what of its body came with it."""

    method: bytes
    path: bytes
    query: bytes
    fields: dict[bytes, bytes]
    begun: bytes


class _Caller(Struct):
    """A connection of which the secret was not heard yet; `turned_away`: it will not be heard any more."""

    connection: socket.socket
    due_s: float
    heard: bytes = b""
    ignored: int = 0
    turned_away: bool = False


class Listener:
    """Takes connections. `serve` answers those who know the secret by `answer`, one after the other."""

    def __init__(
        self, answer: Callable[[Asked], Answer], *, head_s: float = HEAD_S, body_s: float = BODY_S
    ) -> None:
        self._answer, self._head_s, self._body_s = answer, head_s, body_s
        self._secret = secrets.token_urlsafe(24)
        self._server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._server.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._server, selectors.EVENT_READ)
        self._callers: dict[socket.socket, _Caller] = {}

    @property
    def url(self) -> str:
        """The address, with the secret."""
        return f"http://127.0.0.1:{self._server.getsockname()[1]}/{self._secret}"

    def fileno(self) -> int:
        """Give the descriptor that is readable when there is something to serve."""
        return int(self._selector.fileno())

    def serve(self) -> None:
        """Do what can be done without waiting for anybody who does not know the secret.

        Raises:
            Exception: what `answer` raises; whoever asked is not answered then.
        """
        for key, _ in self._selector.select(0):
            if key.fileobj is self._server:
                self._accept()
            elif isinstance(key.fileobj, socket.socket) and key.fileobj in self._callers:
                self._hear(self._callers[key.fileobj])
        for caller in [each for each in self._callers.values() if each.due_s < now_s()]:
            self._drop(caller)

    def close(self) -> None:
        """Let go of the port, and of who waits."""
        for caller in list(self._callers.values()):
            self._drop(caller)
        self._selector.close()
        self._server.close()

    def _accept(self) -> None:
        for _ in range(_MOST_WAITING):
            try:
                connection, _address = self._server.accept()
            except OSError:  # there is none any more
                return
            connection.setblocking(False)
            if len(self._callers) >= _MOST_WAITING:
                self._make_room()
            self._callers[connection] = _Caller(connection, now_s() + self._head_s)
            self._selector.register(connection, selectors.EVENT_READ)

    def _make_room(self) -> None:
        """Drop who has waited longest, unless it has said by now what lets it in."""
        oldest = next(iter(self._callers.values()))
        self._hear(oldest)
        if oldest.connection in self._callers:
            self._drop(oldest)

    def _drop(self, caller: _Caller) -> None:
        self._release(caller)
        caller.connection.close()

    def _release(self, caller: _Caller) -> None:
        del self._callers[caller.connection]
        self._selector.unregister(caller.connection)

    def _hear(self, caller: _Caller) -> None:
        try:
            piece = caller.connection.recv(_MOST_HEAD)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        caller.ignored += len(piece) if caller.turned_away else 0
        if not piece or caller.ignored > _MOST_IGNORED:
            self._drop(caller)
        elif not caller.turned_away:
            caller.heard += piece
            self._judge(caller)

    def _judge(self, caller: _Caller) -> None:
        """Let in who knows the secret; turn away who does not, as soon as that can be told."""
        end = caller.heard.find(b"\r\n\r\n")
        if end < 0:
            if len(caller.heard) >= _MOST_HEAD:
                self._turn_away(caller, 400)
            return
        head = _head(caller.heard[:end], caller.heard[end + 4 :])
        if head is None:
            self._turn_away(caller, 400)
        elif not secrets.compare_digest(head.path, b"/" + self._secret.encode()):
            self._turn_away(caller, 404)
        else:
            self._release(caller)
            with caller.connection as connection:
                self._let_in(connection, head)

    def _turn_away(self, caller: _Caller, status: int) -> None:
        """Answer, and pass over what still comes: to close at once might take the answer back."""
        caller.turned_away, caller.heard = True, b""
        with suppress(OSError):
            caller.connection.send(_written(Answer(status, b"")))
            caller.connection.shutdown(socket.SHUT_WR)

    def _let_in(self, connection: socket.socket, head: _Head) -> None:
        length = head.fields.get(b"content-length", b"")
        if head.method != b"POST":
            answer = Answer(400, b"")
        elif not length.isdigit() or len(length) > 18:
            answer = Answer(411, b"")
        elif int(length) > MOST_BYTES:
            answer = Answer(413, b"")
        else:
            body = self._body(connection, head, int(length))
            if body is None:
                return  # Felis is gone in the middle of it
            kind = head.fields.get(b"content-type", b"").decode("latin-1")
            answer = self._answer(Asked(head.query.decode("latin-1"), kind, body))
        with suppress(OSError):  # Felis may be gone by now
            connection.settimeout(self._head_s)
            connection.sendall(_written(answer))
            connection.shutdown(socket.SHUT_WR)

    def _body(self, connection: socket.socket, head: _Head, length: int) -> bytes | None:
        """Read a body whole; None if it does not come in time."""
        body = bytearray(head.begun[:length])
        due_s = now_s() + self._body_s
        with suppress(OSError):
            if head.fields.get(b"expect", b"").lower() == b"100-continue":
                connection.settimeout(self._head_s)
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            while len(body) < length and (left_s := due_s - now_s()) > 0:
                connection.settimeout(left_s)
                piece = connection.recv(min(_PIECE, length - len(body)))
                if not piece:
                    return None
                body += piece
        return bytes(body) if len(body) == length else None


def _head(text: bytes, begun: bytes) -> _Head | None:
    """Take the head of a request apart; None if it is none."""
    first, *lines = text.split(b"\r\n")
    words = first.split(b" ")
    if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
        return None
    path, _, query = words[1].partition(b"?")
    fields = (line.partition(b":") for line in lines)
    return _Head(
        words[0], path, query, {name.strip().lower(): value.strip() for name, _, value in fields}, begun
    )


def _written(answer: Answer) -> bytes:
    head = f"HTTP/1.1 {answer.status} {_WORDS.get(answer.status, 'Answer')}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(answer.body)}\r\nConnection: close\r\n\r\n".encode() + answer.body
