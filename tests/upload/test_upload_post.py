"""A request to the database ends in time, and half an answer is none."""

import socket
import threading
import time

import pytest
from upload_stand import until

from calseq.upload.post import check_address, poster

GOOD = b'{"status": true}'


@pytest.fixture
def server():
    """A server that answers one request with what is given: bytes, or numbers of seconds to wait."""
    sockets, threads = [], []
    over = threading.Event()

    def made(*pieces, reads=True):
        listening = socket.create_server(("127.0.0.1", 0))
        sockets.append(listening)

        def serve():
            connection, _ = listening.accept()
            with connection:
                heard = b""
                while reads and b"\r\n\r\nx" not in heard:  # what is left unread would reset the connection
                    heard += connection.recv(65536)
                for piece in pieces:
                    if over.is_set():
                        return
                    if isinstance(piece, bytes):
                        try:
                            connection.sendall(piece)
                        except OSError:
                            return
                    else:
                        over.wait(piece)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        threads.append(thread)
        return f"http://127.0.0.1:{listening.getsockname()[1]}/x"

    yield made
    over.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    for each in sockets:
        each.close()


def posted(url, timeout_s=1.0, body=b"x"):
    began = time.monotonic()
    return poster(url)("handle=x", body, "text/plain", timeout_s), time.monotonic() - began


def test_a_whole_answer_is_good(server):
    judged, _ = posted(server(b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n" + GOOD))
    assert judged.good


@pytest.mark.parametrize(
    "pieces",
    [
        [piece for byte in b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200 for piece in (bytes([byte]), 0.1)],
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n",
            *(piece for _ in range(400) for piece in (b" ", 0.1)),
        ],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *[b"1\r\n \r\n", 0.1] * 400],
        [b"HTTP/1.1 200 OK\r\n\r\n", *[b" ", 0.1] * 400],
    ],
    ids=["head", "length", "chunked", "until-the-end"],
)
def test_an_answer_that_drips_is_broken_off_in_time(server, pieces):
    judged, took_s = posted(server(*pieces))
    assert (judged.good, judged.again, judged.maybe) == (False, True, True)
    assert judged.reason == "Panthera does not answer in time"
    assert 0.9 < took_s < 3


def test_a_database_that_takes_a_body_in_drips_is_broken_off(server):
    judged, took_s = posted(server(30.0, reads=False), body=b"x" * 4_000_000)
    assert (judged.good, judged.maybe, took_s < 20) == (False, True, True)


def test_a_large_body_over_a_slow_way_has_longer_than_the_time_out():
    """14 MiB at 4 MiB/s take longer than the 2.5 s that an answer may take, and are not given up."""
    body, bytes_per_s = b"x" * (14 << 20), 4 << 20
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)

        def serve():
            connection, _ = listening.accept()
            with connection:
                heard, began = 0, time.monotonic()
                while heard < len(body):
                    heard += len(connection.recv(64 << 10))
                    time.sleep(max(0.0, began + heard / bytes_per_s - time.monotonic()))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(GOOD) + GOOD)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        judgement, took_s = posted(f"http://127.0.0.1:{listening.getsockname()[1]}/x", 2.5, body)
        thread.join(10)
    assert judgement.good
    assert took_s > 2.5


@pytest.mark.parametrize("length", ["17", "5000"])
def test_an_answer_that_is_shorter_than_it_says_may_stand_for_anything(server, length):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: " + length.encode() + b"\r\n\r\n"
    judged, _ = posted(server(head + GOOD))
    assert (judged.good, judged.again, judged.maybe) == (False, True, True)
    assert judged.reason == "Panthera's answer ends too early"


@pytest.mark.parametrize(("status", "again"), [(403, False), (407, False), (503, True)])
def test_a_proxy_that_lets_nothing_through_is_told_and_asked_again_only_if_that_may_help(
    server, monkeypatch, status, again
):
    proxy = server(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status, reads=False)
    monkeypatch.setenv("https_proxy", proxy)
    judged, _ = posted("https://panthera.example.org/x")
    assert (judged.good, judged.again, judged.maybe) == (False, again, False)
    assert judged.reason == (
        f"the proxy lets nothing through to Panthera (HTTP {status}): look at HTTPS_PROXY and NO_PROXY"
    )


def test_no_watch_is_left_after_an_answer(server):
    posted(server(b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n" + GOOD), timeout_s=600)
    until(lambda: not [each for each in threading.enumerate() if isinstance(each, threading.Timer)], 10)


@pytest.mark.parametrize(
    "url",
    ["http://panthera.example.org/x", "http://127.0.0.1.example.org/", "http://127.0.0.1@example.org/x",
     "file:///etc/passwd", "ftp://localhost/x", "https://", "", "//x", "https:/x"],
)  # fmt: skip
def test_an_address_that_is_not_safe_gets_nothing(url):
    with pytest.raises(ValueError, match="https"):
        poster(url)


@pytest.mark.parametrize(
    "url", ["https://x.org/a", "http://localhost:8/a", "http://127.0.0.1/", "http://[::1]:80/"]
)
def test_an_address_of_https_or_of_this_machine_is_taken(url):
    check_address(url)
