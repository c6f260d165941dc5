"""Felis in a process of its own, where it can be imported: spoken to in JSON lines, listened to, and ended in time."""

import json
import os
import select
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from calseq.system.clock import now_s
from calseq.upload.batch import Batch
from calseq.upload.redact import Scrubber
from calseq.upload.relay import Relay
from calseq.upload.work_folder import last_line

INSIDE = Path(__file__).with_name("inside_felis.py")
LOG = "felis.log"
SILENCE_S = 900.0
"""A Felis that neither prints nor asks anything for so long hangs: ROOT may compute for minutes."""
_LOG_LIMIT_BYTES = 16 << 20
_NO_PROXY = "127.0.0.1,localhost"


class FelisFailed(Exception):
    """Felis did not come to an end of its own; the message says why."""


class Felis:
    """A Felis in a process of its own. It is ended with the context, whatever it does."""

    def __init__(
        self,
        python: str,
        batch: Batch,
        scratch: int,
        environment: Mapping[str, str],
        scrubber: Scrubber,
        silence_s: float,
    ) -> None:
        """Start it, in the folder of the descriptor `scratch`.

        Raises:
            FelisFailed: it cannot be started.
        """
        self.scratch = f"/proc/self/fd/{scratch}"
        """The folder as Felis is to know it: a path of this process and of no other."""
        self._scrubber, self._silence_s = scrubber, silence_s
        self._replies, its_end = os.pipe2(os.O_CLOEXEC)
        self._log = batch.queue.open_log(LOG)
        self._log_begin = os.fstat(self._log).st_size
        self._buffer = b""
        try:
            self._process = subprocess.Popen(
                [python, "-u", str(INSIDE), str(its_end)],
                cwd=self.scratch,
                env=_environment(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(its_end, scratch, *batch.queue.descriptors),
            )
        except OSError as error:
            os.close(self._replies)
            os.close(self._log)
            words = (error.strerror or str(error)).lower()
            raise FelisFailed(f"Felis cannot be started with '{python}': {words}") from error
        finally:
            os.close(its_end)
        self._sources = {self._replies, self._output}

    @property
    def _output(self) -> int:
        return self._process.stdout.fileno() if self._process.stdout else -1

    def scrubbed(self, text: str) -> str:
        """Give what Felis said without the password."""
        return self._scrubber.text(text)

    def say(self, **request: Any) -> None:
        """Send a line."""
        if self._process.stdin:
            with suppress(BrokenPipeError):  # that it is gone is heard
                self._process.stdin.write(json.dumps(request).encode() + b"\n")
                self._process.stdin.flush()

    def hear(self, *wanted: "str | Relay") -> dict[str, Any]:
        """Give the next event that is wanted; meanwhile keep what is printed, and let a relay answer.

        Raises:
            FelisFailed: it says that it failed, it is gone, or it hangs.
            OSError: what is printed, or what the relay did, cannot be kept.
        """
        relays = [each for each in wanted if isinstance(each, Relay)]
        while True:
            line, newline, rest = self._buffer.partition(b"\n")
            if newline:
                self._buffer = rest
                said: dict[str, Any] = json.loads(line)
                if said["event"] == "failed":
                    raise FelisFailed(str(said["reason"]))
                if said["event"] in wanted:
                    return said
                continue
            self._listen(relays)

    def _listen(self, relays: list[Relay]) -> None:
        sources: list[int | Relay] = [*self._sources, *relays]
        readable, _, _ = select.select(sources, [], [], self._silence_s)
        if not readable:
            raise FelisFailed(f"Felis hangs: it said nothing for {self._silence_s:g} s{self._said()}")
        if self._output in readable:
            self._keep()
        for relay in relays:
            if relay in readable:
                relay.serve()
        if self._replies in readable:
            told = os.read(self._replies, 65536)
            if not told:
                raise FelisFailed(self._ended())
            self._buffer += told

    def _keep(self) -> None:
        printed = os.read(self._output, 65536)
        if not printed:
            self._sources.discard(self._output)
        if os.fstat(self._log).st_size < _LOG_LIMIT_BYTES:
            os.write(self._log, self._scrubber.feed(printed))

    def _ended(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(2.0)
        code = self._process.returncode
        how = "" if code is None else f" (exit code {code})" if code >= 0 else f" (signal {-code})"
        self._drain()
        return f"Felis ended before its time{how}{self._said()}"

    def _said(self) -> str:
        """Quote the last line that it printed, and say where all of them are."""
        line = last_line(self._log, self._log_begin)
        return (f": '{line}'" if line else "") + f" (upload/{LOG})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # what it still does has no effect: nobody answers it any more
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._drain()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with suppress(OSError):
                    pipe.close()
        os.close(self._replies)
        os.close(self._log)

    def _drain(self) -> None:
        """Keep what is still in the pipe."""
        due_s = now_s() + 2.0
        with suppress(OSError):
            while self._output in self._sources and now_s() < due_s:
                if not select.select([self._output], [], [], 0.1)[0]:
                    break
                self._keep()
            os.write(self._log, self._scrubber.rest())


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    """Give Felis's variables: its way to the relay leads through no proxy, which would see the password."""
    spared = ",".join(filter(None, (given.get("NO_PROXY") or given.get("no_proxy"), _NO_PROXY)))
    return {**given, "NO_PROXY": spared, "no_proxy": spared, "PYTHONUNBUFFERED": "1"}
