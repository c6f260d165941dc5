"""Unquoted YAML scalars to plain values: YAML 1.2's core schema, refusing what YAML 1.1 reads differently."""

import math
import re
from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct

from calseq.documents.document import BAD_CHARACTERS, MAX_DIGITS, MAX_TEXT
from calseq.documents.durations import understood
from calseq.documents.slips import DASHES, lookalike_message
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Code

Scalar: TypeAlias = "bool | int | float | str | None"

_CONSTANTS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z")
_SWITCH = re.compile(r"(y|n|yes|no|on|off)\Z", re.IGNORECASE)
_BASE_60 = re.compile(r"[-+]?[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?\Z")
_OCTAL = re.compile(r"([-+]?)0+([0-9_]+)\Z")
_BASED = re.compile(r"[-+]?0[xob][0-9a-fA-F_]+\Z")
_GROUPED = re.compile(r"[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?\Z")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?\Z")


class Doubt(Struct, frozen=True):
    """A plain scalar that cannot be taken as it stands, and why. `readings` are what may be meant by it, as YAML."""

    code: Code
    message: str
    cure: str
    readings: tuple[str, ...] = ()


def plain_scalar(text: str) -> "Scalar | Doubt":
    """Give what an unquoted scalar means, or why that is in doubt."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] in DASHES and _FLOAT.match(text[1:]):
        return _dashed(text)
    if text[0] not in "+-.0123456789yYnNoO":
        return text_doubt(text) or text
    return text_doubt(text) or _doubt(text) or _number(text)


def _dashed(text: str) -> Doubt:
    """A number behind a sign that only looks like a minus is a text, and seldom meant to be one."""
    number = f"-{text[1:]}"
    cure = f'write {number}, or "{text}" for the text'
    return Doubt(codes.BAD_CHARACTER, lookalike_message(text), cure, (number, f'"{text}"'))


def text_doubt(text: str) -> Doubt | None:
    """Say why a text cannot be taken, if it cannot."""
    bad = BAD_CHARACTERS.search(text)
    if bad:
        return Doubt(
            codes.BAD_CHARACTER, f"the text has the character {printable(bad.group(), 20)}", "delete it"
        )
    if len(text) > MAX_TEXT:
        return Doubt(codes.TOO_LARGE, f"a text of more than {MAX_TEXT // 1024} KiB", "shorten it")
    return None


def number_doubt(text: str, value: float) -> Doubt | None:
    """Say why a number of a file cannot be taken, if it cannot."""
    shown = printable(text, 40)
    if isinstance(value, int) and len(text.lstrip("+-")) > MAX_DIGITS:
        return Doubt(
            codes.NOT_FINITE,
            f"'{shown}' has more than {MAX_DIGITS} digits",
            "write it as 1e21, or as a text in quotes",
        )
    if isinstance(value, float) and not math.isfinite(value):
        return Doubt(codes.NOT_FINITE, f"'{shown}' is too large for a number", "write a smaller one")
    return None


def _number(text: str) -> "Scalar | Doubt":
    if not _FLOAT.match(text):
        return text
    whole = _INT.match(text) and len(text) < 1000
    value = int(text) if whole else float(text)
    return number_doubt(text, value) or value


def _doubt(text: str) -> Doubt | None:
    if _NOT_FINITE.match(text):
        return Doubt(codes.NOT_FINITE, f"'{printable(text, 40)}' is not a finite number", "write a number")
    for pattern, meaning, instead, advice in _AMBIGUOUS:
        match = pattern.match(text)
        if match:
            shown = printable(text, 40)
            reading = instead(match)
            other = reading or advice
            cure = f'write {other}, or "{shown}" for the text' if other else f'write "{shown}" for the text'
            readings = tuple(filter(None, (reading, f'"{text}"')))
            return Doubt(codes.AMBIGUOUS, f"'{shown}' is {meaning}", cure, readings)
    return None


def _nothing(_: "re.Match[str]") -> str:
    return ""


def _clocked(match: "re.Match[str]") -> str:
    """Hours, minutes and seconds are a duration; two numbers may be minutes and seconds as well."""
    return understood(match.group())


def _decimal(match: "re.Match[str]") -> str:
    try:
        return str(int(match.group().replace("_", ""), 0))
    except ValueError:
        return ""


def _switched(match: "re.Match[str]") -> str:
    return "true" if match.group().lower() in ("y", "yes", "on") else "false"


def _unpadded(match: "re.Match[str]") -> str:
    return match.group(1) + match.group(2).replace("_", "")


def _ungrouped(match: "re.Match[str]") -> str:
    return printable(match.group().replace("_", ""), 40)


_AMBIGUOUS: list[tuple["re.Pattern[str]", str, "Callable[[re.Match[str]], str]", str]] = [
    (_SWITCH, "a switch in YAML 1.1 and text in 1.2", _switched, ""),
    (_BASE_60, "a number to base 60 in YAML 1.1", _clocked, "a duration as 1h30m"),
    (_DATE, "a date in YAML 1.1 and text in 1.2", _nothing, ""),
    (_BASED, "a number in one YAML and text in another", _decimal, "it in decimal"),
    (_OCTAL, "an octal number in YAML 1.1", _unpadded, ""),
    (_GROUPED, "a number in YAML 1.1 and text in 1.2", _ungrouped, ""),
]
