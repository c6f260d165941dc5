"""The text that YAML is parsed from, and in an operator's words what a parser has against it."""

import re

from calseq.document import Document
from calseq.plaintext import printable
from calseq.problems import Place

_DIRECTIVE = re.compile(r"(?:[ \t]*(?:#.*)?\n)*(%.*)")
_ENTRY = re.compile(r"[ \t]*(?:[^\s#].*: +)?(?:- +)*-(?=\s|$)")


class YamlText:
    """The text that is parsed: without its bad characters and directives, each of which has its problem already."""

    def __init__(self, document: Document) -> None:
        self.source = document.source
        text = self.source.text
        self._bad = document.bad_characters
        if self._bad:
            bad = set(self._bad)
            text = "".join(char for offset, char in enumerate(text) if offset not in bad)
        self.directives: list[Place] = []
        while directive := _DIRECTIVE.match(text):
            start, end = directive.span(1)
            self.directives.append(self.place(start, end - start))
            text = f"{text[:start]}#{text[start + 1 :]}"
        self.text = text

    def place(self, offset: int, length: int = 1) -> Place:
        """Give the place of an offset in the parsed text."""
        for bad in self._bad:
            offset += bad <= offset
        return self.source.place(offset, length)

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


def explained(text: YamlText, error: Exception) -> tuple[str, str, Place]:
    """Say in an operator's words what ruamel has against a text."""
    told = str(getattr(error, "problem", None) or "")
    names = ["problem_mark", "context_mark"]
    if any(needle in told for needle in _OPENED):
        names.reverse()
    mark = next((mark for name in names if (mark := getattr(error, name, None))), None)
    offset = min(mark.index, len(text.text)) if mark else 0
    place = text.place(offset)
    before = text.text[text.text.rfind("\n", 0, offset) + 1 : offset]
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
