"""A line of a log that says that a step failed, whatever its exit code."""

import os
import re
from collections.abc import Sequence

from calseq.problems.plaintext import printable

_CHUNK_BYTES = 1 << 20
_LINE_BYTES = 1_000
_SHOWN = 120
_ANSI = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?")


def complaint(descriptor: int, patterns: Sequence[str]) -> str:
    """Quote the first line of a log that has one of the texts `patterns` in it, with its number; empty if none has.

    Raises:
        OSError: the log cannot be read.
    """
    needles = [pattern.encode() for pattern in patterns if pattern]
    if not needles:
        return ""
    overlap = max(map(len, needles)) + _LINE_BYTES
    at, lines, text = 0, 0, b""
    while chunk := os.pread(descriptor, _CHUNK_BYTES, at):
        at += len(chunk)
        text += chunk
        found = min((place for each in needles if (place := text.find(each)) >= 0), default=-1)
        if found >= 0:
            text += os.pread(descriptor, _LINE_BYTES, at)
            number = lines + text.count(b"\n", 0, found) + 1
            return f"line {number} of its log says '{_line(text, found)}'"
        kept = text[-overlap:]
        lines += text.count(b"\n", 0, len(text) - len(kept))
        text = kept
    return ""


def _line(text: bytes, found: int) -> str:
    start = max(text.rfind(b"\n", 0, found), text.rfind(b"\r", 0, found)) + 1
    end = text.find(b"\n", found)
    line = text[max(start, found - _LINE_BYTES) : end if end >= 0 else len(text)]
    return printable(_ANSI.sub(b"", line).decode("utf-8", "replace").strip(), _SHOWN)
