"""`python -m calseq.report FOLDER`: writes the page of a run that is over, in a process that may fail as it likes."""

import os
import signal
import sys
from pathlib import Path

from calseq.problems.plaintext import printable
from calseq.report import write_report
from calseq.report.after_run import LIMIT_S, why

_ORPHANED_S = int(LIMIT_S) + 10
"""Alarm that ends a hanging writer when calseq itself was killed."""


def main() -> None:
    """Write the page, or one line that says why not; nothing else that is printed here is for anybody."""
    signal.alarm(_ORPHANED_S)
    words = os.dup(1)
    for descriptor in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    code = 0
    try:
        write_report(Path(sys.argv[1]))
    except BaseException as error:  # noqa: BLE001 - a library that ends the program ends this one only
        os.write(words, printable(why(error), 300).encode() + b"\n")
        code = 1
    os._exit(code)  # what a library would still do at the end concerns nobody


main()
