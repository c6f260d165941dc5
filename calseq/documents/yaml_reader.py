"""YAML text to a document: built from ruamel's events, within limits, with every mistake that can be told apart.

No YAML loader is safe as it comes (alias bombs, deep nesting, implicit dates); events with an own builder are.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from io import StringIO
from typing import Any, NoReturn

from msgspec import Struct, field
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from calseq.documents.document import (
    BAD_CHARACTERS,
    MAX_ALIASES,
    MAX_DEPTH,
    MAX_KEY,
    MAX_NODES,
    MAX_TEXT,
    Data,
    Document,
    Path,
    from_source,
    routes,
)
from calseq.documents.scalars import Doubt, plain_scalar, text_doubt
from calseq.documents.slips import Slip, slips
from calseq.documents.yaml_text import YamlText, explained
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Code, Edit, Place, Problem
from calseq.problems.suggestions import closest, meant

_PROPERTIES = re.compile(r"(?:[&!][^\s,\[\]{}]*[ \t]+)+")
_PLAIN = re.compile(r"[A-Za-z0-9_.+-]{1,40}")
_MOST_TRIED = 32
"""Most slips that are tried one by one; of more, all become problems."""

_CORE_TAG = "tag:yaml.org,2002:"
_OVERFULL = f"more than {MAX_NODES} values, aliases expanded"


class _Stop(Exception):
    """Reading cannot go on: the problem is in the document already."""


def read_yaml(document: Document) -> Document:
    """Fill a document's data from its text; problems are collected in it, and nothing is raised.

    A text that is no YAML for a slip of typing is read as if that were mended.
    """
    document.may_slip = document.readable
    _read(document, ())
    if not document.readable:
        read_past_slips(document, lambda _: None)
    return document


def read_past_slips(document: Document, judge: Callable[[Document], None]) -> None:
    """Take what a refused document says without its slips of typing, if it is judged to be better for that.

    Each slip is then a problem in the place of what it brought about; one that mends nothing is none.
    """
    if not document.may_slip:
        return
    found = slips(document.source.text)
    before = _badness(document)

    def without(some: Sequence[Slip]) -> Document:
        fresh = from_source(document)
        _read(fresh, some)
        judge(fresh)
        return fresh

    best = without(found) if found else document
    if not found or _badness(best) >= before:
        return
    if len(found) <= _MOST_TRIED:
        for slip in reversed(found):
            fewer = [each for each in found if each is not slip]
            other = without(fewer)
            if _badness(other) <= _badness(best):
                found, best = fewer, other
    others = [problem for problem in document.problems if not _is_of(problem, document)]
    document.take(best)
    document.problems += [*others, *(_slip_problem(document, slip) for slip in found)]
    document.may_slip = False


def _badness(document: Document) -> float:
    """Number of errors; a text that is no YAML is worse than any other, the sooner that shows the worse."""
    errors = [problem for problem in document.problems if problem.is_error and _is_of(problem, document)]
    if document.readable:
        return len(errors)
    place = errors[-1].place if errors else None
    return 1e6 - (place.span.line / 1e6 if place else 0) if errors else 1e6


def _is_of(problem: Problem, document: Document) -> bool:
    return problem.place is not None and problem.place.source is document.source


def _slip_problem(document: Document, slip: Slip) -> Problem:
    source, (start, end) = document.source, slip.shown
    fix = Edit(source, slip.start, slip.end, slip.mended(source.text)) if slip.is_certain else None
    return Problem(codes.BAD_SYNTAX, slip.message, slip.cure, source.place(start, end - start), fix=fix)


def _read(document: Document, mended: Sequence[Slip]) -> None:
    if not document.readable:
        return
    text = YamlText(document, mended)
    try:
        _Builder(document, text).build()
    except _Stop:
        document.readable = False
    except (
        YAMLError,
        ArithmeticError,
        LookupError,
        AttributeError,
        RecursionError,
        StopIteration,
        TypeError,
        ValueError,
    ) as error:
        document.problems.append(explained(text, error))
        document.readable = False


def events_of(text: str) -> Iterator[Any]:
    """Give ruamel's events of a text.

    Raises:
        YAMLError: in the middle of it, where the text is no YAML; it may raise what else ruamel does, too.
    """
    return iter(YAML(typ="safe", pure=True).parse(StringIO(text)))


class _Anchor(Struct):
    """Value of an anchor: its place, its document, and what spoilt it."""

    document: Document
    path: Path
    data: Data = None
    nodes: int = 0
    flaws: tuple[Path, ...] = ()
    complete: bool = False


class _Builder(Struct):
    document: Document
    text: YamlText
    nodes: int = 0
    aliases: int = 0
    anchors: dict[str, _Anchor] = field(default_factory=dict)
    unused: dict[str, Place] = field(default_factory=dict)
    flaws: list[Path] = field(default_factory=list)
    events: Any = None

    def build(self) -> None:
        for place in self.text.directives:
            cure = "delete the line: the file is YAML 1.2"
            fix = place.line_removed(place.text)
            self.document.problems.append(Problem(codes.NOT_PLAIN, "a YAML directive", cure, place, fix=fix))
        self.events = events_of(self.text.text)
        next(self.events)  # stream start
        event = next(self.events)
        if _kind(event) == "StreamEnd":
            found = "only comments in the file" if self.text.text.strip() else "nothing in the file"
            self._stop(None, codes.EMPTY, found, "write it, or give another file")
        event = next(self.events)
        if _is_absent(event):
            self._stop(None, codes.EMPTY, "nothing in the file", "write it, or give another file")
        self.document.data = self._node(event, (), 0)
        next(self.events)  # document end
        self.document.unused.update(self.unused)
        event = next(self.events)
        if _kind(event) != "StreamEnd":
            cure = "one file holds one document: delete the '---'"
            self._stop(event, codes.NOT_PLAIN, "a second YAML document", cure)

    def _node(self, event: Any, path: Path, depth: int, key: Place | None = None) -> Data:
        self._count(event, 1)
        if depth > MAX_DEPTH:
            self._stop(
                event, codes.TOO_LARGE, f"nested deeper than {MAX_DEPTH} levels", "is it the right file?"
            )
        kind = _kind(event)
        if kind == "Alias":
            return self._alias(event, path)
        self.document.values[path] = key if key and _is_absent(event) else self._place(event)
        anchor = _Anchor(self.document, path)
        if event.anchor:
            self.anchors[event.anchor] = anchor
            start = self.text.text.index("&", event.start_mark.index)
            self.unused[event.anchor] = self.text.place(start, len(event.anchor) + 1)
        nodes, flaws = self.nodes, len(self.flaws)
        if event.tag and str(event.tag) != "!":
            self._tag(event, path, is_scalar=kind == "Scalar")
        if kind == "Scalar":
            anchor.data = self._scalar(event, path)
        elif kind == "SequenceStart":
            anchor.data = self._sequence(path, depth)
        else:
            anchor.data = self._mapping(path, depth)
        anchor.nodes, anchor.complete = self.nodes - nodes + 1, True
        anchor.flaws = tuple(flaw[len(path) :] for flaw in self.flaws[flaws:])
        return anchor.data

    def _count(self, event: Any, nodes: int) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            self._stop(event, codes.TOO_LARGE, _OVERFULL, "is it the right file?")

    def _alias(self, event: Any, path: Path) -> Data:
        self.document.values[path] = self.document.aliases[path] = place = self._place(event)
        self.aliases += 1
        anchor = self.anchors.get(event.anchor)
        self.unused.pop(event.anchor, None)
        shown = printable(str(event.anchor), 40)
        if anchor is None:
            self._spoil(path, self._strange_alias(str(event.anchor), place))
            return None
        if not anchor.complete:
            message = f"alias '*{shown}' stands inside its own anchor"
            self._stop(event, codes.NOT_PLAIN, message, "write the value out")
        if self.aliases > MAX_ALIASES:
            self._stop(event, codes.TOO_LARGE, f"more than {MAX_ALIASES} aliases", "write some values out")
        self._count(event, anchor.nodes)
        self._show_again(anchor, path)
        return anchor.data

    def _strange_alias(self, name: str, place: Place) -> Problem:
        shown, known = printable(name, 40), tuple(self.anchors)
        close, certain = closest(name, known), meant(name, known)
        cure = f"did you mean '*{close}'?" if close else f"write '&{shown}' at the value it means"
        cure = cure if known else f"put it in quotes, if it is a text; else {cure}"
        fix = place.respelt(f"*{name}", f"*{certain}") if certain else None
        return Problem(codes.NOT_PLAIN, f"alias '*{shown}' has no anchor before it", cure, place, fix=fix)

    def _show_again(self, anchor: _Anchor, path: Path) -> None:
        """Values of an alias have the places of its anchor: a problem of them is noted there, once."""
        origin = anchor.document
        for below in routes(anchor.data) if isinstance(anchor.data, (dict, list)) else ():
            target, source = (*path, *below), (*anchor.path, *below)
            self.document.values[target] = origin.values[source]
            if source in origin.keys:
                self.document.keys[target] = origin.keys[source]
            if source in origin.incomplete:
                self.document.incomplete.add(target)
        for flaw in anchor.flaws:
            self.document.spoilt.add((*path, *flaw))
            self.flaws.append((*path, *flaw))

    def _sequence(self, path: Path, depth: int) -> list[Data]:
        items: list[Data] = []
        while _kind(event := next(self.events)) != "SequenceEnd":
            dash = self.text.dash(event.start_mark.index) if _is_absent(event) else None
            items.append(self._node(event, (*path, len(items)), depth + 1, dash))
        return items

    def _mapping(self, path: Path, depth: int) -> dict[str, Data]:
        items: dict[str, Data] = {}
        while _kind(event := next(self.events)) != "MappingEnd":
            key = self._key(event, depth)
            value = next(self.events)
            if key is None:
                self.document.incomplete.add(path)
                self._pass_over(value, depth)
            elif key in items:
                again = self._pass_over(value, depth)
                self._twice(event, value, (*path, key), is_same=_is_same(again, items[key]))
            else:
                below = (*path, key)
                self.document.keys[below] = place = self._place(event)
                items[key] = None
                items[key] = self._node(value, below, depth + 1, place)
        return items

    def _twice(self, event: Any, value: Any, path: Path, *, is_same: bool) -> None:
        """A key that says the same once more, on a line of its own, is certainly to be deleted."""
        place = self._place(event)
        line = self.document.keys[path].span.line
        message = f"key '{printable(str(path[-1]), 40)}' is there twice"
        fix = None
        if is_same and _kind(value) == "Scalar" and value.style not in ("|", ">"):
            fix = place.line_removed(f"{place.text}: {self._place(value).text}")
        cure = f"line {line} says the same: delete one" if fix else f"the first is on line {line}: keep one"
        self.document.problems.append(Problem(codes.DUPLICATE_KEY, message, cure, place, fix=fix))

    def _key(self, event: Any, depth: int) -> str | None:
        """Give a key, or None when it is no key and a problem says so."""
        if _kind(event) != "Scalar":
            self._note(event, codes.NOT_PLAIN, "a key that is not a word", "keys are plain words")
            self._pass_over(event, depth, is_key=True)
            return None
        key = str(event.value)
        bad = BAD_CHARACTERS.search(key)
        if bad:
            self._note(
                event,
                codes.BAD_CHARACTER,
                f"the key has the character {printable(bad.group(), 20)}",
                "delete it",
            )
            key = BAD_CHARACTERS.sub("", key)
        if event.implicit[0] and key == "<<":
            cure = "write the keys out, or alias one whole value"
            self._note(event, codes.NOT_PLAIN, "merge key '<<'", cure)
            return None
        if len(key) > MAX_KEY:
            self._note(event, codes.TOO_LARGE, f"a key of more than {MAX_KEY} characters", "shorten it")
            return None
        if event.tag and str(event.tag) != "!":
            self._tag(event, None, is_scalar=True)
        return key

    def _pass_over(self, event: Any, depth: int, *, is_key: bool = False) -> Data:
        """Read a value that is not kept, for what is wrong with its YAML."""
        own, self.document = self.document, Document(self.document.source)
        try:
            return self._node(event, (), depth + 1)
        except _Stop:
            own.problems.append(self.document.problems.pop())
            raise
        finally:
            own.problems += () if is_key else self.document.problems
            self.document = own

    def _tag(self, event: Any, path: Path | None, *, is_scalar: bool) -> None:
        """A tag changes what a scalar means, but not what a list or a mapping does."""
        tag = str(event.tag).replace(_CORE_TAG, "!!")
        place = self.text.place(self.text.text.index("!", event.start_mark.index), len(tag))
        fix = self._as_text(event, place) if is_scalar and place.text == "!!str" else None
        cure = f"write {fix.text}" if fix else "tags are not used here: delete it"
        problem = Problem(codes.NOT_PLAIN, f"tag '{printable(tag, 40)}'", cure, place, fix=fix)
        if is_scalar and path is not None:
            self._spoil(path, problem)
        else:
            self.document.problems.append(problem)

    def _as_text(self, event: Any, tag: Place) -> Edit | None:
        """Give what says the same without the tag: the word in quotes."""
        word, place = str(event.value), self._place(event)
        if event.style or not _PLAIN.fullmatch(word) or place.text != word:
            return None
        return Edit(tag.source, tag.start, place.start + len(word), f'"{word}"')

    def _scalar(self, event: Any, path: Path) -> Data:
        text = str(event.value)
        data = plain_scalar(text) if event.implicit[0] else text_doubt(text) or text
        if not isinstance(data, Doubt):
            return data
        problem = Problem(data.code, data.message, data.cure, self._place(event))
        self._spoil(path, problem)
        if data.readings:
            self.document.doubts[path] = (problem, data.readings)
        return None

    def _spoil(self, path: Path, problem: Problem) -> None:
        if path not in self.document.spoilt:
            self.document.spoil(path, problem)
            self.flaws.append(path)

    def _note(self, event: Any, code: Code, message: str, cure: str) -> None:
        self.document.problems.append(Problem(code, message, cure, self._place(event)))

    def _stop(self, event: Any, code: Code, message: str, cure: str) -> NoReturn:
        self.document.refuse(code, message, cure, self._place(event) if event else None)
        raise _Stop

    def _place(self, event: Any) -> Place:
        """Give the place of a value, or of a key, behind its anchor and tag."""
        start, end = event.start_mark.index, event.end_mark.index
        properties = _PROPERTIES.match(self.text.text, start) if _kind(event) != "Alias" else None
        start = properties.end() if properties else start
        is_block = _kind(event) in ("MappingStart", "SequenceStart") and not event.flow_style
        return self.text.place(start, MAX_TEXT if is_block else max(1, end - start))


def _kind(event: Any) -> str:
    return type(event).__name__.removesuffix("Event")


def _is_absent(event: Any) -> bool:
    """Place of an empty value: the parser puts it where the next thing begins."""
    return _kind(event) == "Scalar" and event.start_mark.index == event.end_mark.index


def _is_same(one: Data, other: Data) -> bool:
    """None may stand for what could not be read."""
    return one is not None and type(one) is type(other) and one == other


def scalar_stretches(document: Document) -> list[tuple[int, int]]:
    """Give where scalars stand in the text of a document that was read without a problem: start and end of each."""
    events = YAML(typ="safe", pure=True).parse(StringIO(document.source.text))
    return [_stretch(event, document.source.text) for event in events if _kind(event) == "Scalar"]


def _stretch(event: Any, text: str) -> tuple[int, int]:
    """A block scalar begins on the line after its '|', which may have a comment."""
    start, end = event.start_mark.index, event.end_mark.index
    return (text.find("\n", start) + 1 if event.style in ("|", ">") else start), end
