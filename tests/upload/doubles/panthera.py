"""A contract double of Panthera's upload address: it keeps results by sequence and name, counts, and fails as it is told.

It listens on loopback only, for `LIFETIME_S` at most, and takes so many requests at most.
"""

import io
import json
import random
import re
import threading
import time
import zipfile
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

LIFETIME_S = 600.0
MOST_REQUESTS = 5000
LOGIN = b"""<!DOCTYPE html>
<html><head><script>var user = "jdoe";</script><title>
  CERN Single Sign-On
</title></head><body><form action="/login">Log in with your account</form></body></html>"""
PROXY = b"<HTML><BODY><P>Access denied by the proxy of the lab &amp; its friends</BODY></HTML>"
PAGES = {"login-page": (200, LOGIN), "redirect": (302, b""), "proxy-page": (403, PROXY)}
"""What comes in the place of an answer where a log-in or a proxy is before the database, which then hears nothing."""
FAULTS = ("500", "false", "close-before", "close-after", "slow", "garbage", *PAGES)


class Panthera:
    """The database. `faults` are for the next requests, one each; after them each fails with `probability`."""

    def __init__(self, password, *, faults=(), probability=0.0, seed=0, slow_s=0.3):
        self.password = password
        self.faults, self.probability, self.slow_s = list(faults), probability, slow_s
        self.dice = random.Random(seed)
        self.sequences = {}
        """By number: what was said of it, and its results by name in the order of their first arrival."""
        self.requests, self.stored = [], []
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/felis_upload_results_piecewise.php"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self._thread.join(10)

    def _serve(self):
        end = threading.Timer(LIFETIME_S, self.server.shutdown)
        end.daemon = True
        end.start()
        self.server.serve_forever(poll_interval=0.02)
        end.cancel()

    def fault(self):
        with self.lock:
            if self.faults:
                return self.faults.pop(0)
            return self.dice.choice(FAULTS) if self.dice.random() < self.probability else ""

    def take(self, handle, fields, files):
        """Give what is answered to a sound request."""
        with self.lock:
            self.requests.append((handle, next(iter(files), "")))
            if fields.get("userpass") != self.password:
                return {"status": False, "message": "wrong password " + fields.get("userpass", "")}
            if handle == "set_sequence":
                number = len(self.sequences) + 1
                self.sequences[number] = {"about": json.loads(fields["json_data"]), "results": {}}
                return {"status": True, "SequenceID": number}
            sequence = self.sequences.get(int(fields["id_sequence"]))
            if sequence is None:
                return {"status": False, "message": "no such sequence"}
            ((name, content),) = files.items()
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                members = {each: archive.read(each) for each in archive.namelist()}
            sequence["results"][name] = {"type": json.loads(fields["json_data"])["type"], "files": members}
            self.stored.append((int(fields["id_sequence"]), name))
            return {"status": True}

    @property
    def filled(self):
        """The sequences that have results."""
        return {number: each for number, each in self.sequences.items() if each["results"]}


def _handler(panthera):
    class Handler(BaseHTTPRequestHandler):
        timeout = 20

        def do_POST(self):
            fault = panthera.fault()
            if len(panthera.requests) > MOST_REQUESTS or fault == "close-before":
                return self._close()
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if len(body) < int(self.headers["Content-Length"]):
                return self._close()  # the client is gone
            if fault == "500":
                return self._answer(500, b"<html>internal error</html>")
            if fault == "false":
                return self._answer(200, b'{"status": false, "message": "try that again"}')
            if fault == "echo":  # a page that repeats what it was sent, as a debugger's does
                return self._answer(
                    200, b"<title>%s" % (b"x " * 70 + panthera.password.encode() + b"</title>")
                )
            if fault in PAGES:
                return self._answer(*PAGES[fault])
            fields, files = form(self.headers["Content-Type"], body)
            said = panthera.take(parse_qs(urlsplit(self.path).query)["handle"][0], fields, files)
            if fault == "close-after":
                return self._close()
            if fault == "slow":
                time.sleep(panthera.slow_s)
            return self._answer(200, b"<html>hello" if fault == "garbage" else json.dumps(said).encode())

        def _answer(self, status, content):
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "https://login.example.org/?back=felis")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _close(self):
            self.close_connection = True
            self.connection.close()

        def handle(self):
            with suppress(OSError, ValueError):  # the client is gone, or we have closed
                super().handle()

        def finish(self):
            with suppress(OSError, ValueError):
                super().finish()

        def log_message(self, *_):
            pass

    return Handler


def form(content_type, body):
    """Give the fields and the files of a form."""
    boundary = b"--" + re.search("boundary=(.+)", content_type)[1].encode()
    fields, files = {}, {}
    for part in body.split(boundary)[1:-1]:
        head, _, content = part[2:].partition(b"\r\n\r\n")
        name = re.search(rb'name="([^"]*)"', head)[1].decode()
        if b"filename=" in head:
            files[name] = content[:-2]
        else:
            fields[name] = content[:-2].decode()
    return fields, files
