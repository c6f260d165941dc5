"""What a command says of its input on stderr: problems, and which bench is simulated."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from calseq.bench.find import BUILTIN, is_shipped_bench
from calseq.cli.terminal import has_color, message
from calseq.cli.where_runs import near
from calseq.problems.diagnostics import count_text, problems_text
from calseq.problems.plaintext import printable
from calseq.problems.problem import Problem

if TYPE_CHECKING:
    from calseq.bench.bench import Bench
    from calseq.model.request import Request


def tell_problems(problems: Sequence[Problem], files: int | None = None) -> None:
    """Write problems to stderr; behind them their number, and in how many of the `files` that were read."""
    if problems:
        count = "" if files is None else "\n\n" + count_text(problems, max(1, files))
        message(problems_text(problems, color=has_color(sys.stderr)) + count)


def tell_bench(request: "Request", bench: "Bench") -> None:
    """Say which bench is simulated where that was not typed, and how it is the other one."""
    if request.simulate and not request.bench and not is_shipped_bench(Path(bench.document.path)):
        shown = printable(str(near(Path(bench.document.path))))
        message(f"simulated: bench {printable(bench.name)} of {shown}; --bench {BUILTIN} is the bundled one")
