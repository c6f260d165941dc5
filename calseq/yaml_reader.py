"""YAML text to a document: built from ruamel's events, within limits, with every mistake that can be told apart.

No YAML loader is safe as it comes (alias bombs, deep nesting, implicit dates); events with an own builder are.
"""

import re
from io import StringIO
from typing import Any, NoReturn

from msgspec import Struct, field
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from calseq import problems as codes
from calseq.document import (
    BAD_CHARACTERS,
    MAX_ALIASES,
    MAX_DEPTH,
    MAX_KEY,
    MAX_NODES,
    MAX_TEXT,
    Data,
    Document,
    Path,
    place_of,
)
from calseq.plaintext import printable
from calseq.problems import Code, Place, Problem, Span

_NULL = {"", "~", "null", "Null", "NULL"}
_TRUE = {"true", "True", "TRUE"}
_FALSE = {"false", "False", "FALSE"}
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z")
_WORDS = re.compile(r"(y|n|yes|no|on|off)\Z", re.IGNORECASE)
_AMBIGUOUS = [
    (re.compile(r"[-+]?[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?\Z"), "a number to base 60 in YAML 1.1"),
    (re.compile(r"[-+]?0[0-9_]+\Z"), "an octal number in YAML 1.1"),
    (re.compile(r"[-+]?0[xob][0-9a-fA-F_]+\Z"), "a number in one YAML, text in another"),
    (
        re.compile(r"[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?\Z"),
        "a number in YAML 1.1, text in 1.2",
    ),
    (re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?\Z"), "a date in YAML 1.1, text in 1.2"),
]
_DEEP = re.compile(rf"[\[{{]{{{MAX_DEPTH * 4}}}|(?:[-?] ){{{MAX_DEPTH * 4}}}")


class _Stop(Exception):
    """Reading cannot go on: the problem is in the document already."""


def read_yaml(document: Document) -> Document:
    """Fill a document's data from its text; problems are collected in it, and nothing is raised."""
    if not document.readable:
        return document
    builder = _Builder(document)
    try:
        builder.build()
    except _Stop:
        document.readable = False
    except (YAMLError, ValueError, TypeError, KeyError, IndexError, OverflowError, AttributeError) as error:
        document.readable = False
        document.problems.append(_syntax_problem(document, error))
    except RecursionError:
        document.readable = False
        document.problems.append(
            Problem(codes.TOO_LARGE, "nested too deeply", "", Place(document.source, Span(1, 1)))
        )
    return document


class _Anchor(Struct):
    data: Data
    nodes: int
    complete: bool


class _Builder(Struct):
    document: Document
    nodes: int = 0
    aliases: int = 0
    anchors: dict[str, _Anchor] = field(default_factory=dict)
    events: Any = None

    def build(self) -> None:
        text = self.document.source.text
        deep = _DEEP.search(text)
        if deep:
            self._stop_at_offset(deep.start(), f"nested deeper than {MAX_DEPTH} levels")
        directive = re.search(r"^%\w+.*$", text, re.MULTILINE)
        if directive and not text[: directive.start()].strip("\n \t#"):
            self._stop_at_offset(directive.start(), "a YAML directive", codes.NOT_PLAIN, "delete the line")
        self.events = iter(YAML(typ="safe", pure=True).parse(StringIO(text)))
        self._next()  # stream start
        event = self._next()
        if _kind(event) == "StreamEnd":
            self._stop(event, codes.EMPTY, "there is nothing but comments in the file", "")
        self.document.data = self._node(self._next(), (), 0)
        self._next()  # document end
        event = self._next()
        if _kind(event) != "StreamEnd":
            self._stop(
                event,
                codes.NOT_PLAIN,
                "a second YAML document",
                "one file holds one document: delete the '---'",
            )

    def _next(self) -> Any:
        return next(self.events)

    def _node(self, event: Any, path: Path, depth: int) -> Data:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            self._stop(event, codes.TOO_LARGE, f"more than {MAX_NODES} values, aliases expanded", "")
        if depth > MAX_DEPTH:
            self._stop(event, codes.TOO_LARGE, f"nested deeper than {MAX_DEPTH} levels", "")
        kind = _kind(event)
        self.document.values[path] = self._place(event)
        if kind == "Alias":
            return self._alias(event, path)
        self._check_tag(event, path)
        before = self.nodes
        anchor = _Anchor(None, 0, complete=False)
        if event.anchor:
            self.anchors[event.anchor] = anchor
        if kind == "Scalar":
            data = self._scalar(event, path)
        elif kind == "SequenceStart":
            data = self._sequence(path, depth)
        else:
            data = self._mapping(path, depth)
        anchor.data, anchor.nodes, anchor.complete = data, self.nodes - before + 1, True
        return data

    def _alias(self, event: Any, path: Path) -> Data:
        self.aliases += 1
        anchor = self.anchors.get(event.anchor)
        name = printable(str(event.anchor), 40)
        if anchor is None:
            self._note(
                event,
                path,
                codes.NOT_PLAIN,
                f"alias '*{name}' has no anchor before it",
                f"write '&{name}' at the value it means",
            )
            return None
        if not anchor.complete:
            self._stop(
                event, codes.NOT_PLAIN, f"alias '*{name}' stands inside its own anchor", "write the value out"
            )
        if self.aliases > MAX_ALIASES:
            self._stop(event, codes.TOO_LARGE, f"more than {MAX_ALIASES} aliases", "")
        self.nodes += anchor.nodes
        if self.nodes > MAX_NODES:
            self._stop(event, codes.TOO_LARGE, f"more than {MAX_NODES} values once aliases are expanded", "")
        self._place_below(anchor.data, path, self.document.values[path])
        return anchor.data

    def _place_below(self, data: Data, path: Path, place: Place) -> None:
        """What an alias brings stands, for a reader, where the alias stands."""
        items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
        for key, value in items:
            below = (*path, key)
            self.document.values[below] = self.document.keys[below] = place
            self._place_below(value, below, place)

    def _sequence(self, path: Path, depth: int) -> list[Data]:
        items: list[Data] = []
        while _kind(event := self._next()) != "SequenceEnd":
            items.append(self._node(event, (*path, len(items)), depth + 1))
        return items

    def _mapping(self, path: Path, depth: int) -> dict[str, Data]:
        items: dict[str, Data] = {}
        while _kind(event := self._next()) != "MappingEnd":
            key = self._key(event, path, depth)
            value_event = self._next()
            if key is None:
                self._skip(value_event, depth)
                continue
            below = (*path, key)
            if key in items:
                first = self.document.keys[below].span.line
                self.document.problems.append(
                    Problem(
                        codes.DUPLICATE_KEY,
                        f"key '{printable(key, 40)}' is there twice",
                        f"the first is on line {first}: keep one",
                        self._place(event),
                    )
                )
                self._skip(value_event, depth)
                continue
            self.document.keys[below] = self._place(event)
            items[key] = None
            items[key] = self._node(value_event, below, depth + 1)
        return items

    def _key(self, event: Any, path: Path, depth: int) -> str | None:
        """Give a key, or None when it is no key and a problem says so."""
        if _kind(event) != "Scalar":
            problem = Problem(
                codes.NOT_PLAIN, "a key that is not a word", "keys are plain words", self._place(event)
            )
            self.document.problems.append(problem)
            if _kind(event) != "Alias":
                self._skip(event, depth)
            return None
        key = str(event.value)
        if BAD_CHARACTERS.search(key):
            self._stop(event, codes.BAD_CHARACTER, "a key with an invisible character", "delete it")
        if event.implicit[0] and key == "<<":
            cure = "merge keys are not used here: write the keys out, or alias one whole value"
            self.document.problems.append(
                Problem(codes.NOT_PLAIN, "merge key '<<'", cure, self._place(event))
            )
            return None
        if len(key) > MAX_KEY:
            self._stop(event, codes.TOO_LARGE, f"a key of more than {MAX_KEY} characters", "")
        if event.tag and not event.implicit[0]:
            self._check_tag(event, (*path, key))
        return key

    def _skip(self, event: Any, depth: int) -> None:
        """Read a value nobody will look at, so that the reading can go on after it."""
        shadow = Document(self.document.source)
        own, self.document = self.document, shadow
        try:
            self._node(event, (), depth + 1)
        finally:
            self.document = own

    def _check_tag(self, event: Any, path: Path) -> None:
        tag = str(event.tag) if event.tag else ""
        if tag and tag != "!":
            self._note(
                event,
                path,
                codes.NOT_PLAIN,
                f"tag '{printable(tag, 40)}'",
                "tags are not used here: delete it",
            )

    def _scalar(self, event: Any, path: Path) -> Data:
        text = str(event.value)
        if len(text) > MAX_TEXT:
            self._stop(event, codes.TOO_LARGE, f"a text of more than {MAX_TEXT // 1024} KiB", "")
        if not event.implicit[0]:
            bad = BAD_CHARACTERS.search(text)
            if bad:
                shown = printable(bad.group())
                self._note(
                    event, path, codes.BAD_CHARACTER, f"the text has the character {shown}", "delete it"
                )
            return text
        return self._plain(event, text, path)

    def _plain(self, event: Any, text: str, path: Path) -> Data:
        data = plain_scalar(text)
        if not isinstance(data, Doubt):
            return data
        self._note(event, path, data.code, data.message, data.cure)
        return None

    def _note(self, event: Any, path: Path, code: Code, message: str, cure: str) -> None:
        self.document.spoil(path, Problem(code, message, cure, self._place(event)))

    def _stop(self, event: Any, code: Code, message: str, cure: str) -> NoReturn:
        self.document.problems.append(Problem(code, message, cure, self._place(event)))
        raise _Stop

    def _stop_at_offset(
        self, offset: int, message: str, code: Code = codes.TOO_LARGE, cure: str = ""
    ) -> NoReturn:
        self.document.problems.append(Problem(code, message, cure, place_of(self.document.source, offset)))
        raise _Stop

    def _place(self, event: Any) -> Place:
        start, end = event.start_mark, event.end_mark
        if start.line == end.line and end.column > start.column:
            length = end.column - start.column
        else:
            length = len(self.document.source.line(start.line + 1).rstrip()) - start.column
        return Place(self.document.source, Span(start.line + 1, start.column + 1, max(1, length)))


class Doubt(Struct, frozen=True):
    """A plain scalar that cannot be taken as it stands, and why."""

    code: Code
    message: str
    cure: str


def plain_scalar(text: str) -> "bool | int | float | str | Doubt | None":  # noqa: PLR0911 - one line per rule of YAML 1.2
    """Resolve an unquoted scalar by YAML 1.2's core schema, refusing what YAML 1.1 reads differently."""
    shown = printable(text, 40)
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _WORDS.match(text):
        word = "true" if text.lower() in ("y", "yes", "on") else "false"
        return Doubt(
            codes.AMBIGUOUS,
            f"'{shown}' is a switch in YAML 1.1 and text in 1.2",
            f'write {word}, or "{shown}" for the text',
        )
    if _NOT_FINITE.match(text):
        return Doubt(codes.NOT_FINITE, f"'{shown}' is not a finite number", "write a number")
    for pattern, meaning in _AMBIGUOUS:
        if pattern.match(text):
            return Doubt(
                codes.AMBIGUOUS,
                f"'{shown}' is {meaning}",
                f'write "{shown}" for the text, or the number without it',
            )
    if _INT.match(text) and len(text) <= 20:
        return int(text)
    if _FLOAT.match(text):
        number = float(text)
        if number in (float("inf"), float("-inf")):
            return Doubt(codes.NOT_FINITE, f"'{shown}' is too large for a number", "write a smaller one")
        return number
    return text


def _kind(event: Any) -> str:
    return type(event).__name__.removesuffix("Event")


def _syntax_problem(document: Document, error: Exception) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    span = Span(1, 1)
    if mark is not None:
        last = document.source.text.count("\n") + 1
        line = min(mark.line + 1, last)
        span = Span(line, mark.column + 1 if line == mark.line + 1 else 1)
    message, cure = _explain(document, error, span)
    return Problem(codes.BAD_SYNTAX, message, cure, Place(document.source, span))


_EXPLANATIONS = [
    (
        "cannot start any token",
        "a tab or one of @ ` % cannot stand here",
        "indent with spaces; put the text in quotes",
    ),
    (
        "mapping values are not allowed",
        "a ':' where none belongs",
        'indent it like the lines around it, or put text with a ": " in quotes',
    ),
    ("expected <block end>", "this line does not fit the indentation above", "indent it like its neighbours"),
    ("could not find expected ':'", "a key without its ':'", "write 'key: value'"),
    ("found unexpected end of stream", "a quote or bracket is opened and not closed", "close it"),
    (
        "expected ',' or",
        "a bracket is not closed, or a comma is missing",
        "close the bracket, or add the comma",
    ),
    ("found undefined tag handle", "an unknown tag", "delete the tag"),
    (
        "unknown escape character",
        "an unknown escape in double quotes",
        "use single quotes, or write \\\\ for a backslash",
    ),
]


def _explain(document: Document, error: Exception, span: Span) -> tuple[str, str]:
    text = str(getattr(error, "problem", "") or "") if isinstance(error, MarkedYAMLError) else ""
    if (
        "cannot start any token" in text
        and document.source.line(span.line)[span.column - 1 : span.column] == "\t"
    ):
        return "a tab in the indentation", "indent with spaces"
    for needle, message, cure in _EXPLANATIONS:
        if needle in text:
            return message, cure
    return (
        f"not valid YAML: {printable(text, 80)}" if text else "not valid YAML",
        "check quotes, brackets and indentation here",
    )
