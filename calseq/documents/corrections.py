"""Other spellings of a word in a file: the slip mended, or the same value as one of the right type."""

import json
import re
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from calseq.documents.fast_check import fits
from calseq.documents.scalars import plain_scalar
from calseq.documents.slips import has_lookalike, named, plain
from calseq.problems.plaintext import printable
from calseq.problems.problem import Edit, Place
from calseq.problems.suggestions import meant

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_WITH_UNIT = re.compile(r"([-+]?[0-9]+(?:\.[0-9]+)?)\s*[A-Za-z%µ]{1,5}")
# With three digits behind it, a comma may be one between thousands.
_WITH_COMMA = re.compile(r"[-+]?[0-9]+,(?:[0-9]{1,2}|[0-9]{4,})")


class Spelling(Struct, frozen=True):
    """Replacement of a word by `new`, in `quotes` or in those that the word has."""

    word: str
    new: str
    quotes: str | None = None

    def fix(self, place: Place) -> Edit | None:
        """Give the edit that writes it."""
        return place.respelt(self.word, self.new, self.quotes)


Advice = tuple[str, Spelling | None]
"""What to do, and how it is written if that is certain."""


def slip(word: object, known: Iterable[str]) -> Spelling | None:
    """Give the spelling of a word that is without doubt a slip of a known one."""
    new = meant(word, known)
    return Spelling(str(word), new) if new else None


def retyped(instance: object, types: list[str], items: Any) -> Advice:
    """Say how to write a value as one of JSON's `types`, or of a list of `items`, if it is the same value."""
    if isinstance(instance, (bool, int, float)):
        return _as_text(instance) if "string" in types and "object" not in types else ("", None)
    if not isinstance(instance, str):
        return "", None
    if {"number", "integer"} & set(types):
        return _as_number(instance, types)
    if types == ["boolean"] and instance in ("true", "false"):
        return f"write it without quotes: {instance}", Spelling(instance, instance, "")
    return _as_list(instance, items) if types == ["array"] else ("", None)


def _as_list(text: str, items: Any) -> Advice:
    if _WORD.fullmatch(text) and fits([text], {"items": items}):
        return f"put it in brackets: [{printable(text, 40)}]", Spelling(text, f"[{text}]", "")
    return json_unquoted(text, {"type": "array"})


def json_unquoted(text: str, schema: dict[str, Any]) -> Advice:
    """Cure for a JSON value in quotes, if it fits a schema: without the quotes it is YAML."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return "", None
    if not fits(value, schema):
        return "", None
    return f"write it without the quotes around it: {printable(text, 60)}", Spelling(text, text, "")


def _as_text(instance: float) -> Advice:
    word = str(instance).lower() if isinstance(instance, bool) else str(instance)
    return f'put it in quotes: "{printable(word, 40)}"', Spelling(word, word, '"')


def _as_number(text: str, types: list[str]) -> Advice:
    if has_lookalike(text) and _is_number(plain(text)):
        odd = named(next(filter(has_lookalike, text)))
        return f"write {plain(text)}, without {odd}", Spelling(text, plain(text), "")
    if _is_number(text):
        is_right = fits(plain_scalar(text), {"type": types})
        cure = f"write it without quotes: {printable(text, 40)}"
        return cure, Spelling(text, text, "") if is_right else None
    with_unit = _WITH_UNIT.fullmatch(text)
    if with_unit:
        return f"write only the number: {with_unit.group(1)}", None
    if _WITH_COMMA.fullmatch(text):
        return f"a decimal comma? write {text.replace(',', '.')}", Spelling(text, text.replace(",", "."), "")
    return "", None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
