"""JSON text to a document, with the care of the YAML reader: places, duplicate keys, finite numbers, limits."""

import json
import re
from typing import NoReturn

from calseq import problems as codes
from calseq.document import BAD_CHARACTERS, MAX_DEPTH, MAX_NODES, MAX_TEXT, Data, Document, Path, place_of
from calseq.plaintext import printable
from calseq.problems import Code, Problem

_BLANK = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORD = re.compile(r"[A-Za-z_+.-][A-Za-z0-9_.+-]*")
_CONSTANTS: dict[str, Data] = {"null": None, "true": True, "false": False}
_NOT_FINITE = {"nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"}


class _Stop(Exception):
    """Reading cannot go on: the problem is in the document already."""


def read_json(document: Document) -> Document:
    """Fill a document's data from its text; problems are collected in it, and nothing is raised."""
    if document.readable:
        try:
            _Reader(document).read()
        except _Stop:
            document.readable = False
    return document


class _Reader:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.text = document.source.text
        self.at = 0
        self.nodes = 0

    def read(self) -> None:
        self.document.data = self._value((), 0)
        self._blank()
        if self.at < len(self.text):
            self._stop(codes.BAD_SYNTAX, "text after the end of the JSON value", "delete it")

    def _value(self, path: Path, depth: int) -> Data:
        self._blank()
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            self._stop(codes.TOO_LARGE, f"deeper than {MAX_DEPTH} levels or more than {MAX_NODES} values", "")
        start = self.at
        opening = self.text[start : start + 1]
        self.document.values[path] = place_of(self.document.source, start)
        data: Data
        if opening == "{":
            data = self._object(path, depth)
        elif opening == "[":
            data = self._array(path, depth)
        elif opening == '"':
            data = self._string()
        else:
            data = self._bare(path)
        if opening not in "{[" or not opening:
            self.document.values[path] = place_of(self.document.source, start, self.at - start)
        return data

    def _object(self, path: Path, depth: int) -> dict[str, Data]:
        items: dict[str, Data] = {}
        self.at += 1
        if self._take("}"):
            return items
        while True:
            self._blank()
            start = self.at
            if self.text[start : start + 1] != '"':
                cure = (
                    "delete the comma before it"
                    if self.text[start : start + 1] == "}"
                    else 'write "key": value'
                )
                self._stop(codes.BAD_SYNTAX, "a key in double quotes belongs here", cure)
            key = self._string()
            below = (*path, key)
            place = place_of(self.document.source, start, self.at - start)
            self._expect(":", "a ':' belongs between a key and its value")
            twice = below in self.document.keys
            if twice:
                first = self.document.keys[below].span.line
                self.document.problems.append(
                    Problem(
                        codes.DUPLICATE_KEY,
                        f"key '{printable(key, 40)}' is there twice",
                        f"the first is on line {first}: keep one",
                        place,
                    )
                )
                self._unheard(depth)
            else:
                self.document.keys[below] = place
                items[key] = self._value(below, depth + 1)
            if self._take("}"):
                return items
            self._expect(",", "a ',' or '}' belongs here")

    def _unheard(self, depth: int) -> None:
        """Read a value that will not be looked at."""
        own, self.document = self.document, Document(self.document.source)
        try:
            self._value((), depth + 1)
        except _Stop:
            own.problems.extend(self.document.problems)
            raise
        finally:
            self.document = own

    def _array(self, path: Path, depth: int) -> list[Data]:
        items: list[Data] = []
        self.at += 1
        if self._take("]"):
            return items
        while True:
            items.append(self._value((*path, len(items)), depth + 1))
            if self._take("]"):
                return items
            self._expect(",", "a ',' or ']' belongs here")

    def _string(self) -> str:
        match = _STRING.match(self.text, self.at)
        if match is None:
            self._stop(
                codes.BAD_SYNTAX,
                "a text that is not closed, or has a raw control character or bad escape",
                "close the quote",
            )
        self.at = match.end()
        if match.end() - match.start() > MAX_TEXT:
            self._stop(codes.TOO_LARGE, f"a text of more than {MAX_TEXT // 1024} KiB", "")
        text = json.loads(match.group())
        if not isinstance(text, str) or BAD_CHARACTERS.search(text):
            self._stop(codes.BAD_CHARACTER, "a text with an invisible character", "delete it")
        return str(text)

    def _bare(self, path: Path) -> Data:
        number = _NUMBER.match(self.text, self.at)
        word = _WORD.match(self.text, self.at)
        if word and (not number or word.end() > number.end()):
            return self._constant(word.group(), path)
        if not number:
            return self._no_value()
        return self._number(number, path)

    def _no_value(self) -> NoReturn:
        char = self.text[self.at : self.at + 1]
        shown = f"'{printable(char)}'" if char else "the end of the file"
        self._stop(codes.BAD_SYNTAX, f"a value belongs here, not {shown}", "write a value")

    def _constant(self, word: str, path: Path) -> Data:
        if word in _CONSTANTS:
            self.at += len(word)
            return _CONSTANTS[word]
        if word.lower() not in _NOT_FINITE:
            shown = printable(word, 40)
            self._stop(codes.BAD_SYNTAX, f"'{shown}' is not a JSON value", "put text in double quotes")
        self._note(path, codes.NOT_FINITE, f"'{word}' is not a finite number", "write a number", len(word))
        self.at += len(word)
        return None

    def _number(self, match: "re.Match[str]", path: Path) -> Data:
        text = match.group()
        value: Data = None
        if match.group(1) is None and match.group(2) is None and len(text) <= 20:
            value = int(text)
        else:
            value = float(text)
            if value in (float("inf"), float("-inf")):
                self._note(
                    path,
                    codes.NOT_FINITE,
                    f"'{printable(text, 40)}' is too large for a number",
                    "write a smaller one",
                    len(text),
                )
                value = None
        self.at = match.end()
        return value

    def _note(self, path: Path, code: Code, message: str, cure: str, length: int) -> None:
        self.document.spoil(
            path, Problem(code, message, cure, place_of(self.document.source, self.at, length))
        )

    def _blank(self) -> None:
        match = _BLANK.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def _take(self, char: str) -> bool:
        self._blank()
        found = self.text.startswith(char, self.at)
        self.at += found
        return found

    def _expect(self, char: str, message: str) -> None:
        if not self._take(char):
            self._stop(codes.BAD_SYNTAX, message, f"add the '{char}'")

    def _stop(self, code: Code, message: str, cure: str) -> NoReturn:
        place = place_of(self.document.source, min(self.at, len(self.text)))
        self.document.problems.append(Problem(code, message, cure, place))
        raise _Stop
