"""A connection that is broken off when its time is over, however slowly the other side goes on."""

import http.client
import os
import socket
import ssl
from contextlib import suppress
from threading import Lock, Timer
from types import TracebackType
from typing import Any, Self
from urllib.request import (
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    build_opener,
    getproxies,
)


class Watch:
    """Breaks a connection off when its time is over: a time-out of its own counts from each byte that comes anew."""

    def __init__(self, limit_s: float) -> None:
        self.is_over = False
        self.limit_s = limit_s
        self._held: socket.socket | None = None
        self._lock = Lock()
        self._timer: Timer | None = None

    def hold(self, connected: socket.socket) -> None:
        """Watch a connection; a second descriptor of it is kept, since TLS takes the first one over."""
        with self._lock:
            self._held = socket.socket(fileno=os.dup(connected.fileno()))
        self._timer = Timer(self.limit_s, self._break_off)
        self._timer.daemon = True
        self._timer.start()

    def _break_off(self) -> None:
        with self._lock, suppress(OSError):
            self.is_over = True
            if self._held:
                self._held.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer:
            self._timer.cancel()
        with self._lock:
            if self._held:
                self._held.close()
            self._held = None


def opener(context: ssl.SSLContext, watch: Watch) -> OpenerDirector:
    """Give what opens addresses by connections that are watched."""

    class Watched(http.client.HTTPConnection):
        def connect(self) -> None:
            super().connect()
            watch.hold(self.sock)
            self.sock.settimeout(watch.limit_s)  # what is sent has all of the time

        def getresponse(self) -> http.client.HTTPResponse:
            if self.sock:
                self.sock.settimeout(self.timeout)
            return super().getresponse()

    class WatchedTls(http.client.HTTPSConnection, Watched):
        """Its TLS is begun when the connection is watched already: that may drip, too."""

    class Plain(HTTPHandler):
        def http_open(self, request: Request) -> http.client.HTTPResponse:
            return self.do_open(Watched, request)

    class Tls(HTTPSHandler):
        def https_open(self, request: Request) -> http.client.HTTPResponse:
            return self.do_open(WatchedTls, request, context=context)

    return build_opener(_proxies(), Plain(), Tls(context=context), _NoRedirection)


def _proxies() -> ProxyHandler:
    """A proxy of the environment passes TLS on unread; plain HTTP it would read, and that never leaves this machine."""
    return ProxyHandler({scheme: proxy for scheme, proxy in getproxies().items() if scheme == "https"})


class _NoRedirection(HTTPRedirectHandler):
    """The password goes where the bench says, and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None
