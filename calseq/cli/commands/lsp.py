"""`calseq lsp`: the language server, on the standard streams."""

from importlib.util import find_spec

from calseq.model.verdicts import ExitCode
from calseq.problems import codes
from calseq.problems.problem import Problem
from calseq.problems.refused import Refused


def lsp() -> int:
    """Serve an editor until it says that it is enough; give the exit code.

    Raises:
        Refused: pygls is not installed.
    """
    if find_spec("pygls") is None:
        message = "the language server needs pygls, which is not installed"
        raise Refused([Problem(codes.MISSING_EXTRA, message, "pip install 'pygls>=2'")])
    from calseq.editor.server import server  # noqa: PLC0415 - 0.6 s that only an editor waits for

    server().start_io()
    return int(ExitCode.GOOD)
