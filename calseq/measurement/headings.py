"""What a column is, by its heading: which quantity, of which chip, in which unit."""

import re
from collections.abc import Sequence
from functools import cache

from msgspec import Struct

from calseq.model.plan import Column

_SPELLINGS = {
    ("A", 0): "A a amp amps ampere amperes Ampere Amperes",
    ("A", -3): "mA ma",
    ("A", -6): "µA μA uA µa μa ua UA microA",
    ("A", -9): "nA na NA",
    ("A", -12): "pA pa",
    ("V", 0): "V v volt volts Volt Volts",
    ("V", -3): "mV mv",
    ("V", 3): "kV kv",
}
UNITS = {word: unit for unit, words in _SPELLINGS.items() for word in words.split()}
"""A base unit and a power of ten, by spelling. `MA` is none: it may be milli or mega."""

_LONGEST = 200
_ENCLOSED = re.compile(r"(.*?)\s*(?:\(([^()]*)\)|\[([^\[\]]*)\])")
_JOINED = re.compile(r"(.*\S)\s*[/,]\s*(\S+)|(.*[^ _])[ _]+([^ _]+)")


class Heading(Struct, frozen=True):
    """A heading that is known: the quantity, the chip's number (empty if of none), and the unit as it is written."""

    quantity: str
    chip: str = ""
    unit: str = ""


def read_heading(text: str, columns: Sequence[Column]) -> Heading | None:
    """Find the column that a heading names; upper and lower case, spaces, `_` and `-` make no difference."""
    for name, unit in _readings(text) if len(text) <= _LONGEST else ():
        folded = _folded(name)
        for column in columns:
            plain, patterns = _spellings(column.headings)
            if folded in plain:
                return Heading(column.quantity, "", unit)
            found = next((match for each in patterns if (match := each.fullmatch(folded))), None)
            if found:
                return Heading(column.quantity, found["chip"], unit)
    return None


def unit_in(cell: str) -> str:
    """Give the unit that a cell of a row of units tells: `V`, `(V)`, `[V]`; empty if it tells none."""
    match = _ENCLOSED.fullmatch(cell.strip()) if len(cell) <= _LONGEST else None
    return (match.group(2) or match.group(3) or "").strip() if match and not match.group(1) else cell.strip()


def _readings(text: str) -> list[tuple[str, str]]:
    """Give the ways in which a heading can be parted into name and unit, the likeliest first."""
    match = _ENCLOSED.fullmatch(text)
    if match:
        return [(text, ""), (match.group(1), (match.group(2) or match.group(3) or "").strip())]
    joined = _JOINED.fullmatch(text)
    name, unit = (
        (joined.group(1) or joined.group(3), joined.group(2) or joined.group(4)) if joined else ("", "")
    )
    return [(text, ""), *([(name, unit)] if unit in UNITS else [])]


@cache
def _spellings(headings: tuple[str, ...]) -> tuple[frozenset[str], tuple[re.Pattern[str], ...]]:
    """Give headings as they are compared: those as they are, and those with a chip's number in them."""
    plain = frozenset(_folded(each) for each in headings if "{chip}" not in each)
    parted = [each.partition("{chip}") for each in headings if "{chip}" in each]
    return plain, tuple(
        re.compile(f"{re.escape(_folded(before))}(?P<chip>[0-9]{{1,3}}){re.escape(_folded(after))}")
        for before, _, after in parted
    )


def _folded(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name).casefold()
