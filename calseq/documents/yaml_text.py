"""The text that YAML is parsed from, and in an operator's words what a parser has against it."""

import re
from bisect import bisect_right
from collections.abc import Iterable

from calseq.documents.document import Document
from calseq.documents.slips import Slip
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Edit, Place, Problem

_DIRECTIVE = re.compile(r"(?:[ \t]*(?:#.*)?\n)*(%.*)")
_PROSE = re.compile(r"([ \t]*(?:title|description|summary): +)([^\s'\"\[{|>&*!#%@`].*?)[ \t]*")
_ENTRY = re.compile(r"[ \t]*(?:[^\s#].*: +)?(?:- +)*-(?=\s|$)")


class YamlText:
    """The text that is parsed: without its bad characters, directives and slips, each of which has its problem already."""

    def __init__(self, document: Document, mended: Iterable[Slip] = ()) -> None:
        self.source = document.source
        edits = [(offset, offset + 1, "") for offset in document.bad_characters]
        edits += [edit for slip in mended for edit in slip.edits]
        text = self._edited(sorted(edits))
        self.directives: list[Place] = []
        while directive := _DIRECTIVE.match(text):
            start, end = directive.span(1)
            self.directives.append(self.place(start, end - start))
            text = f"{text[:start]}#{text[start + 1 :]}"
        self.text = text

    def _edited(self, edits: list[tuple[int, int, str]]) -> str:
        """Give the text with some edits in it; where each of them begins and ends is kept for the places."""
        parts: list[str] = []
        at, length = 0, 0
        self._begins: list[int] = []
        self._ends: list[int] = []
        self._origins: list[tuple[int, int]] = []
        for start, end, new in edits:
            parts += [self.source.text[at:start], new]
            self._begins.append(length + start - at)
            length += start - at + len(new)
            self._ends.append(length)
            self._origins.append((start, end))
            at = end
        return "".join([*parts, self.source.text[at:]])

    def _origin(self, offset: int) -> int:
        """Give the offset in the file of an offset in the parsed text."""
        index = bisect_right(self._begins, offset) - 1
        if index < 0:
            return offset
        start, end = self._origins[index]
        behind = offset - self._ends[index]
        return end + behind if behind >= 0 else min(start + offset - self._begins[index], max(start, end - 1))

    def place(self, offset: int, length: int = 1) -> Place:
        """Give the place of a stretch of the parsed text."""
        start = self._origin(offset)
        return self.source.place(start, max(1, self._origin(offset + length - 1) + 1 - start))

    def dash(self, offset: int) -> Place:
        """Give the place of the '-' of an entry that has nothing behind it."""
        start = offset
        while start > 0:
            start = self.text.rfind("\n", 0, start) + 1
            entry = _ENTRY.match(self.text, start)
            if entry and entry.end() <= offset:
                return self.place(entry.end() - 1)
            start -= 1
        return self.place(offset)


_TUPLE = re.compile(r"[\[(,]\s*(\()\s*[\"'][^\"'\n]*[\"']\s*,")
_PYTHON = re.compile(
    r"^\s*(?:calibrations|title|tuning_step_args|required_instruments)\s*(?::[^=\n]*)?=|^(?:from \S+ )?import \S|^class \w+",
    re.MULTILINE,
)
_OPENED = ("found unexpected end of stream", "expected ',' or")
_EXPLANATIONS = [
    (
        "expected '<document start>'",
        "more text after the end of a value",
        "put the whole text in double quotes",
    ),
    ("expected the node content", "a value belongs here", "write a value"),
    ("expected <block end>", "this line does not fit the indentation above", "indent it like its neighbours"),
    (
        "mapping values are not allowed",
        "a ':' where none belongs",
        'indent it like the lines around it, or put text with a ": " in quotes',
    ),
    ("could not find expected ':'", "a key without its ':'", "write 'key: value'"),
    ("found unexpected end of stream", "a quote is opened here and not closed", "close it"),
    (
        "expected ',' or",
        "a bracket is opened here and not closed, or a comma is missing in it",
        "close the bracket, or add the comma",
    ),
    ("found undefined tag handle", "an unknown tag", "delete the tag"),
    (
        "unknown escape character",
        "an unknown escape in double quotes",
        "use single quotes, or write \\\\ for a backslash",
    ),
]


def explained(text: YamlText, error: Exception) -> Problem:
    """Say in an operator's words what ruamel has against a text."""
    told = str(getattr(error, "problem", None) or "")
    offset = _offset(text, error, told)
    return (
        _python(text, offset)
        or _prose(text, offset)
        or Problem(codes.BAD_SYNTAX, *_words(text, told, offset))
    )


def _offset(text: YamlText, error: Exception, told: str) -> int:
    names = ["problem_mark", "context_mark"]
    if any(needle in told for needle in _OPENED):
        names.reverse()
    mark = next((mark for name in names if (mark := getattr(error, name, None))), None)
    return min(mark.index, len(text.text)) if mark else 0


def _python(text: YamlText, offset: int) -> Problem | None:
    """A tuple, or a line of Python before what is no YAML."""
    end = text.text.find("\n", offset)
    end = len(text.text) if end < 0 else end
    found = _TUPLE.search(text.text, 0, end)
    if found:
        cure = "write '- calibration: …' with its 'tuning:' below; 'calseq convert FILE' reads dirigent's own lists"
        return Problem(codes.BAD_SYNTAX, "a tuple of Python", cure, text.place(found.start(1)))
    if line := _PYTHON.search(text.text, 0, end):
        start = line.end() - len(line.group().lstrip())
        cure = "'calseq convert FILE' makes a sequence file of dirigent's Python lists"
        return Problem(codes.BAD_SYNTAX, "Python, not YAML", cure, text.place(start, line.end() - start))
    return None


def _prose(text: YamlText, offset: int) -> Problem | None:
    """A ': ' in what can only be text belongs in quotes."""
    place = text.place(offset)
    line = place.source.line(place.span.line)
    found = _PROSE.fullmatch(line)
    if not found or place.span.column <= found.end(1) or " #" in line or place.text != ":":
        return None
    start = place.source.offset(place.span.line, found.start(2) + 1)
    quoted = found.group(2).replace("\\", "\\\\").replace('"', '\\"')
    fix = Edit(place.source, start, start + len(found.group(2)), f'"{quoted}"')
    return Problem(
        codes.BAD_SYNTAX, "a ':' where none belongs", "put the text in double quotes", place, fix=fix
    )


def _words(text: YamlText, told: str, offset: int) -> tuple[str, str, Place]:
    """Give message, cure and place."""
    place = text.place(offset)
    before = text.text[text.text.rfind("\n", 0, offset) + 1 : offset]
    if "unknown escape" in told:
        place = text.place(max(0, offset - 1))
    if "expected <block end>" in told and before.strip(" -"):
        return "more text after the end of a value", "put the whole text in double quotes", place
    if "cannot start any token" in told:
        char = text.text[offset : offset + 1]
        if char == "\t":
            return "a tab in the indentation", "indent with spaces", place
        return f"a text cannot begin with '{printable(char)}'", "put it in quotes", place
    for needle, message, cure in _EXPLANATIONS:
        if needle in told:
            return message, cure, place
    message = f"not valid YAML: {printable(told, 80)}" if told else "not valid YAML"
    return message, "check quotes, brackets and indentation here", place
