"""JSON text to a document, with the care of the YAML reader: places, duplicate keys, finite numbers, limits."""

import json
import re
from typing import NoReturn

from calseq.documents.document import BAD_CHARACTERS, MAX_DEPTH, MAX_KEY, MAX_NODES, Data, Document, Path
from calseq.documents.scalars import number_doubt, text_doubt
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Code, Place, Problem

_BLANK = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORD = re.compile(r"[A-Za-z0-9_+.-]+")
_CONSTANTS: dict[str, Data] = {"null": None, "true": True, "false": False}
_NOT_FINITE = {"nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"}


class _Stop(Exception):
    """Reading cannot go on: the problem is in the document already."""


def read_json(document: Document) -> Document:
    """Fill a document's data from its text; problems are collected in it, and nothing is raised."""
    if document.bad_characters:
        document.readable = False
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
        self._blank()
        if self.at == len(self.text):
            self._stop(codes.EMPTY, "there is nothing in the file", "write it, or give another file", 0)
        self.document.data = self._value((), 0)
        self._blank()
        if self.at < len(self.text):
            self._stop(codes.BAD_SYNTAX, "text after the end of the JSON value", "delete it")

    def _value(self, path: Path, depth: int) -> Data:
        self._blank()
        self.nodes += 1
        if depth > MAX_DEPTH:
            self._stop(codes.TOO_LARGE, f"nested deeper than {MAX_DEPTH} levels", "is it the right file?")
        if self.nodes > MAX_NODES:
            self._stop(codes.TOO_LARGE, f"more than {MAX_NODES} values", "is it the right file?")
        start = self.at
        opening = self.text[start : start + 1]
        self.document.values[path] = self._place(start)
        if opening == "{":
            return self._object(path, depth)
        if opening == "[":
            return self._array(path, depth)
        data = self._text_at(path) if opening == '"' else self._bare(path)
        self.document.values[path] = self._place(start, self.at - start)
        return data

    def _object(self, path: Path, depth: int) -> dict[str, Data]:
        items: dict[str, Data] = {}
        self.at += 1
        if self._take("}"):
            return items
        while True:
            key, place = self._key()
            self._expect(":", "a ':' belongs between a key and its value")
            below = (*path, key)
            if key in items:
                first = self.document.keys[below].span.line
                message, cure = (
                    f"key '{printable(key, 40)}' is there twice",
                    f"the first is on line {first}: keep one",
                )
                self.document.problems.append(Problem(codes.DUPLICATE_KEY, message, cure, place))
                self._pass_over(depth)
            else:
                self.document.keys[below] = place
                items[key] = self._value(below, depth + 1)
            if self._take("}"):
                return items
            self._expect(",", "a ',' or '}' belongs here")

    def _key(self) -> tuple[str, Place]:
        self._blank()
        start = self.at
        if self.text[start : start + 1] != '"':
            self._stop_at_comma("}")
            self._stop_at_comment()
            self._stop(codes.BAD_SYNTAX, "a key in double quotes belongs here", 'write "key": value')
        key = self._string()
        place = self._place(start, self.at - start)
        if len(key) > MAX_KEY:
            self._stop(codes.TOO_LARGE, f"a key of more than {MAX_KEY} characters", "shorten it", start)
        bad = BAD_CHARACTERS.search(key)
        if bad:
            message = f"the key has the character {printable(bad.group(), 20)}"
            self.document.problems.append(Problem(codes.BAD_CHARACTER, message, "delete it", place))
        return BAD_CHARACTERS.sub("", key), place

    def _pass_over(self, depth: int) -> None:
        """Read a value that is not kept, for what is wrong with its JSON."""
        own, self.document = self.document, Document(self.document.source, problems=self.document.problems)
        try:
            self._value((), depth + 1)
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

    def _text_at(self, path: Path) -> str:
        start = self.at
        text = self._string()
        doubt = text_doubt(text)
        if doubt:
            self._note(path, doubt.code, doubt.message, doubt.cure, start)
        return text

    def _string(self) -> str:
        match = _STRING.match(self.text, self.at)
        end = match.end() if match else self.at
        closing = self.text[end : end + 1]
        if closing == "\\":
            self._stop(codes.BAD_SYNTAX, "a bad escape in a text", "write \\\\ for a backslash", end)
        if closing == "\t":
            self._stop(codes.BAD_SYNTAX, "a tab in a text", "write \\t", end)
        if closing != '"':
            self._stop(codes.BAD_SYNTAX, "a text that is not closed", "close the quote")
        start, self.at = self.at, end + 1
        return str(json.loads(self.text[start : self.at]))

    def _bare(self, path: Path) -> Data:
        word = _WORD.match(self.text, self.at)
        if not word:
            self._no_value()
        start, text = self.at, word.group()
        shown = printable(text, 40)
        number = _NUMBER.fullmatch(text)
        self.at = word.end()
        if number:
            return self._number(number, path, start)
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if text.lower() not in _NOT_FINITE:
            self._stop(codes.BAD_SYNTAX, f"'{shown}' is not a JSON value", "put text in double quotes", start)
        self._note(path, codes.NOT_FINITE, f"'{shown}' is not a finite number", "write a number", start)
        return None

    def _no_value(self) -> NoReturn:
        char = self.text[self.at : self.at + 1]
        shown = f"'{printable(char)}'" if char else "the end of the file"
        self._stop_at_comma("]")
        self._stop_at_comment()
        self._stop(codes.BAD_SYNTAX, f"a value belongs here, not {shown}", "write a value")

    def _stop_at_comma(self, closing: str) -> None:
        """Stop if the bracket closes right behind a comma."""
        before = self.text[: self.at].rstrip()
        if self.text.startswith(closing, self.at) and before.endswith(","):
            place = self._place(len(before) - 1)
            message, cure = "a comma with nothing behind it", "delete it"
            fix = place.edit("")
            self.document.problems.append(Problem(codes.BAD_SYNTAX, message, cure, place, fix=fix))
            raise _Stop

    def _stop_at_comment(self) -> None:
        if self.text.startswith(("//", "/*", "#"), self.at):
            self._stop(codes.BAD_SYNTAX, "a comment, and JSON has none", "delete it")

    def _number(self, match: "re.Match[str]", path: Path, start: int) -> Data:
        text = match.group()
        whole = match.group(1) is None and match.group(2) is None and len(text) < 1000
        value = int(text) if whole else float(text)
        doubt = number_doubt(text, value)
        if doubt is None:
            return value
        self._note(path, doubt.code, doubt.message, doubt.cure, start)
        return None

    def _note(self, path: Path, code: Code, message: str, cure: str, start: int) -> None:
        self.document.spoil(path, Problem(code, message, cure, self._place(start, self.at - start)))

    def _blank(self) -> None:
        match = _BLANK.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def _take(self, char: str) -> bool:
        """Step over `char` and the blanks before it, if it is there."""
        match = _BLANK.match(self.text, self.at)
        start = match.end() if match else self.at
        found = self.text.startswith(char, start)
        self.at = start + 1 if found else self.at
        return found

    def _expect(self, char: str, message: str) -> None:
        if not self._take(char):
            self._stop(codes.BAD_SYNTAX, message, f"add the '{char}'")

    def _place(self, start: int, length: int = 1) -> Place:
        return self.document.source.place(start, length)

    def _stop(self, code: Code, message: str, cure: str, at: int | None = None) -> NoReturn:
        place = self._place(min(self.at if at is None else at, len(self.text)))
        self.document.problems.append(Problem(code, message, cure, place))
        raise _Stop
