"""Shortages made for one process from outside: of processes and threads, of memory, of descriptors."""

import os
import resource
import time
import uuid
from contextlib import suppress
from pathlib import Path

PIDS = Path("/sys/fs/cgroup/pids")


class Shortage:
    """What a process cannot have any more; the cgroup that this needs is taken away at the end."""

    def __init__(self) -> None:
        self._group: Path | None = None

    def of_processes(self, *pids: int) -> None:
        """No other process and no thread: by a cgroup, since root is exempt from its own limit; else by that limit."""
        group = PIDS / f"calseq-campaign-{uuid.uuid4().hex}"
        try:
            group.mkdir()
            self._group = group
            (group / "pids.max").write_text("0")
        except OSError:
            if os.getuid() == 0:
                raise
            for pid in pids:
                with suppress(ProcessLookupError):
                    resource.prlimit(pid, resource.RLIMIT_NPROC, (1, 1))
            return
        for pid in pids:
            with suppress(ProcessLookupError):
                (group / "cgroup.procs").write_text(str(pid))

    @staticmethod
    def of_memory(pid: int) -> None:
        """No more memory than it has."""
        with suppress(OSError, ValueError):
            status = Path(f"/proc/{pid}/status").read_text()
            size = int(status.partition("VmSize:")[2].split()[0]) * 1024
            resource.prlimit(pid, resource.RLIMIT_AS, (size, size))

    @staticmethod
    def of_descriptors(pid: int) -> None:
        """No further descriptor."""
        with suppress(OSError, ValueError):
            most = max(int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()) + 1
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, most))

    def end(self) -> None:
        """Take the cgroup away, once it is empty."""
        due_s = time.monotonic() + 5
        while self._group is not None and time.monotonic() < due_s:
            with suppress(OSError):
                self._group.rmdir()
                self._group = None
            time.sleep(0.02)
