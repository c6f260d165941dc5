"""Plain values as YAML text that every reader takes for the same."""

import json
import re
from collections.abc import Mapping
from typing import Any

from calseq.documents.scalars import plain_scalar

_PLAIN = re.compile(r"[^\W\d](?:[\w ./+()=%;'-]|:(?=[^\s:]))*(?<! )")
_PLAIN_ON_A_LINE = re.compile(r"[^\W\d](?:[\w ./+()=%;',-]|:(?=[^\s:]))*(?<! )")


def is_plain(text: str, *, flow: bool = False) -> bool:
    """Tell whether a text needs no quotes; inside of brackets (`flow`) more texts do."""
    shape = _PLAIN if flow else _PLAIN_ON_A_LINE
    return shape.fullmatch(text) is not None and ":/" not in text and plain_scalar(text) == text


def scalar(value: object, *, flow: bool = False) -> str:
    """Write a number, a switch, a text or nothing."""
    if isinstance(value, str):
        return value if is_plain(value, flow=flow) else json.dumps(value, ensure_ascii=False)
    return json.dumps(value)


def inline(value: Any) -> str:
    """Write any plain value on one line, in brackets if it is a mapping or a list."""
    if isinstance(value, Mapping):
        return (
            "{"
            + ", ".join(f"{scalar(key, flow=True)}: {inline(below)}" for key, below in value.items())
            + "}"
        )
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(inline(below) for below in value) + "]"
    return scalar(value, flow=True)
