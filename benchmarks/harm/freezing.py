"""A disk that hangs, for calseq and its guard: their writes below a run folder wait while a file is there."""

from pathlib import Path

HANGING = """
import os, sys, time

def _frozen(trigger, runs, real):
    def path_of(what, dir_fd=None):
        try:
            if isinstance(what, int):
                return os.readlink(f"/proc/self/fd/{what}")
            path = os.fspath(what)
            if dir_fd is not None and not os.path.isabs(path):
                path = os.path.join(os.readlink(f"/proc/self/fd/{dir_fd}"), path)
            return os.path.abspath(path)
        except (OSError, TypeError, ValueError):
            return ""

    def wait(path):
        if path.startswith(runs) and "/simulated/" not in path:
            while os.path.exists(trigger):
                time.sleep(0.02)

    def on_descriptor(name):
        def call(descriptor, *rest):
            wait(path_of(descriptor))
            return real[name](descriptor, *rest)
        return call

    def on_path(path, flags, *rest, **more):
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            wait(path_of(path, more.get("dir_fd")))
        return real["open"](path, flags, *rest, **more)

    for name in ("write", "fsync", "fdatasync"):
        setattr(os, name, on_descriptor(name))
    os.open = on_path

if not any("simulator" in word for word in sys.orig_argv):
    _frozen(TRIGGER, RUNS, {name: getattr(os, name) for name in ("write", "fsync", "fdatasync", "open")})
"""


def write_freezing(site: Path, trigger: Path, runs: Path) -> None:
    """Write a `sitecustomize.py` into a folder; while `trigger` exists, writes below `runs` wait.

    The simulated bench and the child are spared: their disk is another machine's.
    """
    site.mkdir()
    text = HANGING.replace("TRIGGER", repr(str(trigger))).replace("RUNS", repr(f"{runs}/"))
    (site / "sitecustomize.py").write_text(text)
