"""Whether the dirigent of a bench is calseq's own stand-in, which measures nothing."""

import re
from collections.abc import Mapping
from pathlib import Path

from calseq.bench.bench import Bench
from calseq.system.files import open_regular
from calseq.system.reachable import find_program

_STAND_IN = re.compile(rb"(?<![\w.])calseq[./]simulator(?![\w])")
_SCRIPT_BYTES = 64 << 10


def is_stand_in(bench: Bench, environ: Mapping[str, str]) -> bool:
    """Tell whether the dirigent of a bench is the simulator's, by its command or by a script that it names."""
    if any(_STAND_IN.search(word.encode()) for word in bench.command):
        return True
    program = find_program(bench.command[0], bench.cwd, {**environ, **bench.variables})
    scripts = [*([Path(program)] if program else []), *(bench.cwd / word for word in bench.command[1:])]
    return any(_STAND_IN.search(_script(path)) for path in scripts)


def _script(path: Path) -> bytes:
    """Give the text of a script; nothing of a program, or of what cannot be read."""
    try:
        with open_regular(path, follow=True) as file:
            text = file.read(_SCRIPT_BYTES)
    except OSError:
        return b""
    return text if b"\0" not in text else b""
