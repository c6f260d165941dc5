"""A bug in calseq, told in words; its traceback goes to a file that can be sent to us."""

import os
import sys
import tempfile
import traceback

from calseq.model.verdicts import ExitCode
from calseq.problems.codes import INTERNAL
from calseq.problems.diagnostics import problem_text
from calseq.problems.plaintext import printable
from calseq.problems.problem import Problem
from calseq.problems.refused import Refused


def report_crash(error: Exception) -> int:
    """Tell what happened on stderr, and give the exit code."""
    if isinstance(error, Refused):
        sys.stderr.write("\n\n".join(problem_text(problem) for problem in error.problems) + "\n")
        return int(ExitCode.REFUSED)
    message = f"{type(error).__name__}: {printable(str(error), 200)}"
    cure = f"this is a bug in calseq, not yours: please report it with {_kept(error)}"
    sys.stderr.write(problem_text(Problem(INTERNAL, message, cure)) + "\n")
    return int(ExitCode.BUG)


def _kept(error: Exception) -> str:
    try:
        descriptor, path = tempfile.mkstemp(prefix="calseq-bug-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(traceback.format_exception(error))
    except OSError:
        return "what you typed"
    return path
