"""`calseq explain`: what a code means, with a wrong and a right example."""

import sys
import textwrap

from calseq.cli.terminal import columns, has_color, message, results
from calseq.model.verdicts import ExitCode
from calseq.problems.codes import CODES
from calseq.problems.diagnostics import Tinter
from calseq.problems.explanations import Explanation, explanation, find_code, near_code
from calseq.problems.plaintext import printable
from calseq.problems.problem import Code, Severity

_COLOURS = {Severity.ERROR: "1;31", Severity.WARNING: "1;33"}


def explain(word: str | None) -> int:
    """Print the page of one code, or a line for each."""
    if word is None:
        results("\n".join(map(_line, CODES.values())))
        return int(ExitCode.GOOD)
    code = find_code(word)
    if code is None:
        cure = near_code(word) or "'calseq explain' lists all codes"
        message(f"calseq: '{printable(word, 60)}' is no code: {cure}")
        return int(ExitCode.FAILED)
    tint = Tinter(has_color(sys.stdout))
    results(page_text(code, explanation(code), min(columns(sys.stdout), 100), tint))
    return int(ExitCode.GOOD)


def page_text(code: Code, page: Explanation, width: int, tint: Tinter) -> str:
    """Write a page for a terminal of `width` columns."""
    head = tint(f"{code.severity}[{code}]", _COLOURS[code.severity]) + ": " + tint(code.meaning, "1")
    parts = [head, textwrap.fill(page.why, width)]
    if page.situation:
        parts += [f"When:  {page.situation}", f"Cure:  {page.mend}"]
    else:
        named = "" if page.file in ("sequence.yaml", "command") else f", in {page.file}"
        parts += [_example(f"Wrong{named}", page.wrong, tint), _example("Right", page.right, tint)]
    if code.severity is Severity.WARNING:
        parts.append(
            f"Silence one: put '# calseq: ignore[{code.id}]' on its line, or alone on the line above."
        )
    return "\n\n".join(parts)


def _example(title: str, text: str, tint: Tinter) -> str:
    lines = [f"    {printable(line)}" for line in text.splitlines()]
    return "\n".join([tint(f"{title}:", "1"), *lines])


def _line(code: Code) -> str:
    kind = "  " if code.severity is Severity.ERROR else "W "
    return f"{code.id} {kind}{code.name:<21} {code.meaning}"
