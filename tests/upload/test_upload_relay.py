"""The relay: only Felis gets an answer, and nobody else keeps it waiting, whatever is sent."""

import http.client
import json
import random
import select
import socket
import threading
import time
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from upload_stand import until

from calseq.model.destinations import FolderReceiver, Upload
from calseq.upload.batch import Batch
from calseq.upload.entries import Queued
from calseq.upload.local_server import Asked, Listener
from calseq.upload.post import Answer, Judgement
from calseq.upload.queue import Queue
from calseq.upload.redact import Scrubber
from calseq.upload.relay import Relay
from calseq.upload.results import Result, ResultFile

RESULT = Result("M", "00_A", "noise", "s", (ResultFile("a.root", "d" * 64),))


class Served:
    """A listener that is served in the background; what `serve` raises is kept."""

    def __init__(self, listener):
        self.listener, self.raised = listener, []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self):
        while not self._over.is_set():
            if select.select([self.listener], [], [], 0.02)[0]:
                try:
                    self.listener.serve()
                except Exception as error:  # noqa: BLE001 - it is what is asked about
                    self.raised.append(error)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join(10)
        self.listener.close()

    @property
    def port(self):
        return urlsplit(self.listener.url).port

    def asked(self, path=None, *, method="POST", body=b"x", **headers):
        """Ask as Felis does; give status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        path = path or urlsplit(self.listener.url).path + "?handle=x"
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        said = answer.status, answer.read()
        connection.close()
        return said

    def raw(self, content):
        """Send bytes; give all that is answered."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(content)
            with suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
            answer = b""
            with suppress(OSError):
                while more := connection.recv(65536):
                    answer += more
        return answer


@pytest.fixture
def heard():
    return []


@pytest.fixture
def listener(heard):
    def answer(asked):
        heard.append(asked)
        return Answer(200, b"yes")

    with Served(Listener(answer, head_s=2.0, body_s=2.0)) as served:
        yield served


@pytest.mark.parametrize(
    "target",
    [
        "//[",
        "http://[",
        "/%",
        "*",
        "/\xff\xfe",
        "//]x[/?handle=set_result",
        "/" + "a" * 9000,
        "?",
        "/?handle",
    ],
)
def test_a_stranger_gets_404_whatever_the_path_is(listener, heard, target):
    told = listener.raw(b"POST " + target.encode("latin-1") + b" HTTP/1.1\r\nContent-Length: 1\r\n\r\nx")
    assert told.startswith(b"HTTP/1.1 404 "), told
    assert (heard, listener.raised) == ([], [])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_whatever_a_stranger_sends_reaches_nobody(listener, heard, content, ended):
    told = listener.raw(content + (b"\r\n\r\n" if ended else b""))
    assert told[:13] in (b"", b"HTTP/1.1 400 ", b"HTTP/1.1 404 ")
    assert (heard, listener.raised) == ([], [])


def test_a_head_without_an_end_is_turned_away(listener, heard):
    assert listener.raw(b"POST /" + b"a" * 70_000).startswith((b"HTTP/1.1 400 ", b""))
    assert heard == []
    assert listener.asked()[0] == 200


def test_who_knows_the_secret_is_answered(listener, heard):
    body = random.Random(1).randbytes(3_000_000)
    assert listener.asked(body=body, **{"Content-Type": "a/b"}) == (200, b"yes")
    assert heard == [Asked("handle=x", "a/b", body)]


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Content-Length": str(1 << 40)}, 413), ({"Content-Length": "x"}, 411), ({"Content-Length": ""}, 411)],
)
def test_a_body_of_no_sensible_length_is_not_waited_for(listener, heard, headers, status):
    assert (listener.asked(body=b"", **headers)[0], heard) == (status, [])
    assert listener.asked(method="GET")[0] == 400


def test_a_stranger_with_a_huge_body_is_turned_away_before_it_is_read(listener, heard):
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", listener.port), timeout=20) as stranger:
        stranger.sendall(b"POST /x HTTP/1.1\r\nContent-Length: 9999999999\r\n\r\n")
        assert stranger.recv(13) == b"HTTP/1.1 404 "
        assert listener.asked()[0] == 200
    assert time.monotonic() - began < 2


def test_strangers_that_say_nothing_or_drip_keep_felis_from_nothing(listener, heard):
    strangers = [socket.create_connection(("127.0.0.1", listener.port), timeout=20) for _ in range(40)]
    for number, stranger in enumerate(strangers):
        stranger.sendall(b"POST /x HT"[: number % 10])
    began = time.monotonic()
    assert listener.asked()[0] == 200
    assert time.monotonic() - began < 1.5
    for stranger in strangers:
        stranger.close()


def test_more_strangers_than_there_is_room_for_lose_their_places(listener):
    strangers = [socket.create_connection(("127.0.0.1", listener.port), timeout=20) for _ in range(300)]
    assert listener.asked()[0] == 200
    for stranger in strangers:
        stranger.close()


def test_who_has_said_the_secret_loses_no_place_to_those_who_say_nothing(monkeypatch):
    monkeypatch.setattr("calseq.upload.local_server._MOST_WAITING", 8)
    heard = []
    made = Listener(lambda asked: heard.append(asked) or Answer(200, b"{}"))
    port = int(urlsplit(made.url).port)
    callers = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(21)]
    try:
        path = urlsplit(made.url).path
        callers[0].sendall(f"POST {path}?handle=x HTTP/1.1\r\nContent-Length: 0\r\n\r\n".encode())
        for _ in range(5):
            made.serve()
        assert [asked.query for asked in heard] == ["handle=x"]
        assert callers[0].recv(1000).startswith(b"HTTP/1.1 200 ")
    finally:
        made.close()
        for caller in callers:
            caller.close()


def test_a_felis_that_stops_in_the_middle_is_given_up_in_time(listener, heard):
    path = urlsplit(listener.listener.url).path.encode()
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", listener.port), timeout=20) as felis:
        felis.sendall(b"POST " + path + b" HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf")
        assert felis.recv(100) == b""
    assert time.monotonic() - began < 6
    assert heard == []
    assert listener.asked()[0] == 200


def test_a_client_that_waits_to_be_told_to_go_on_is_told(listener, heard):
    path = urlsplit(listener.listener.url).path.encode()
    with socket.create_connection(("127.0.0.1", listener.port), timeout=20) as felis:
        felis.sendall(b"POST " + path + b" HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert felis.recv(100).startswith(b"HTTP/1.1 100 ")
        felis.sendall(b"ab")
        assert felis.recv(13) == b"HTTP/1.1 200 "
    assert heard[0].body == b"ab"


# With a queue behind it


@pytest.fixture
def relay(tmp_path):
    with Queue(tmp_path) as queue:
        upload = Upload(FolderReceiver("/out"))
        queue.write(Queued("run", "T", "d", upload, simulated=False, results=(RESULT,)))
        batch = Batch(queue, "M", lambda _: None)

        def post(*_):
            return Judgement(True, sequence=7, answer=Answer(200, b'{"status": true, "SequenceID": 7}'))

        with Served(Relay(batch, post, Scrubber(), timeout_s=5, retry_for_s=0)) as served:
            yield served


def test_a_stranger_changes_nothing_of_an_upload(relay):
    assert (
        relay.raw(b"POST //[?handle=set_sequence HTTP/1.1\r\nContent-Length: 0\r\n\r\n")[:12]
        == b"HTTP/1.1 404"
    )
    path = urlsplit(relay.listener.url).path
    status, said = relay.asked(f"{path}?handle=set_sequence")
    assert (status, json.loads(said)["SequenceID"], relay.raised) == (200, 7, [])


def test_what_cannot_be_recorded_is_raised_and_felis_hears_nothing(relay, tmp_path):
    (tmp_path / "upload.jsonl").unlink()
    (tmp_path / "upload.jsonl").mkdir()
    path = urlsplit(relay.listener.url).path
    with pytest.raises((http.client.HTTPException, OSError)):
        relay.asked(f"{path}?handle=set_sequence")
    until(lambda: relay.raised)
    assert [isinstance(error, OSError) for error in relay.raised] == [True]
