"""A YAML text as blocks and entries, each with its comments and written as its author wrote it."""

import re
from collections.abc import Iterator
from typing import Any

from msgspec import Struct, field

from calseq.documents.yaml_reader import events_of
from calseq.documents.yaml_writer import is_plain

_COMMENT = re.compile(r"(?:^|(?<=\s))#.*")
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")
_TO_DASH = re.compile(r"(?:\s|#[^\n]*\n|[&!]\S+)*(?=-)")
MODELINE = "# yaml-language-server:"


class Leaf(Struct, eq=False):
    """What is written as one piece: a key, a scalar, an alias, or all of a collection in brackets.

    `text` is as its author wrote it, without quotes that it does not need; `note` is the comment behind it, and
    `note_column` where that begins. `entry` is the outermost entry that begins with it, else the one it is in.
    """

    text: str
    value: str
    kind: str
    start: int
    end: int
    entry: "Entry"
    holders: "tuple[Block, ...]"
    anchor: str = ""
    note: str = ""
    note_column: int = 0


class Entry(Struct, eq=False):
    """An entry of a mapping, or of a list (no key). `lead` are the comments before it, '' for an empty line."""

    column: int
    key: Leaf | None = None
    value: "Leaf | Block | None" = None
    lead: list[str] = field(default_factory=list)


class Block(Struct, eq=False):
    """A mapping or a list with one entry a line; `tail` are the comments after its last entry."""

    column: int
    anchor: str = ""
    entries: list[Entry] = field(default_factory=list)
    tail: list[str] = field(default_factory=list)

    @property
    def is_list(self) -> bool:
        """Its entries have no keys."""
        return bool(self.entries) and self.entries[0].key is None


class Tree(Struct, eq=False):
    """A whole text: its root, and every comment and anchor of it in the order of the text."""

    root: Block
    comments: list[str]
    anchors: list[str]


def grow(text: str) -> Tree | None:
    """Give the tree of a text that was read without a problem; None if its root is no mapping in lines."""
    return _Grower(text).tree()


class _Grower:
    def __init__(self, text: str) -> None:
        self.text = text
        self.events = events_of(text)
        self.leaves: list[Leaf] = []
        self.comments: list[str] = []
        self.anchors: list[str] = []

    def tree(self) -> Tree | None:
        for _ in range(2):  # stream start, document start
            next(self.events)
        event = next(self.events)
        if _kind(event) != "MappingStart" or event.flow_style:
            return None
        root = self._mapping(event, (), None)
        for before, after in zip([None, *self.leaves], [*self.leaves, None], strict=True):
            _Gap(self, before, after, root).share()
        return Tree(root, self.comments, self.anchors)

    def _node(self, event: Any, holders: tuple[Block, ...], entry: Entry, *, begins: bool) -> Leaf | Block:
        """Grow a value; `begins` if nothing of its entry came before it."""
        kind = _kind(event)
        if event.anchor and kind != "Alias":
            self.anchors.append(str(event.anchor))
        opens = entry if begins else None
        if kind == "MappingStart" and not event.flow_style:
            return self._mapping(event, holders, opens)
        if kind == "SequenceStart" and not event.flow_style:
            return self._list(event, holders, opens)
        return self._leaf(event, holders, entry)

    def _mapping(self, event: Any, holders: tuple[Block, ...], opens: Entry | None) -> Block:
        block = Block(-1, _anchor(event))
        within = (*holders, block)
        while _kind(event := next(self.events)) != "MappingEnd":
            entry = Entry(event.start_mark.column)
            block.column = entry.column if block.column < 0 else block.column
            entry.key = self._leaf(event, within, opens or entry)
            opens = None
            entry.value = self._node(next(self.events), within, entry, begins=False)
            block.entries.append(entry)
        return block

    def _list(self, event: Any, holders: tuple[Block, ...], opens: Entry | None) -> Block:
        dash = _TO_DASH.match(self.text, event.start_mark.index)
        offset = dash.end() if dash else event.start_mark.index
        block = Block(offset - self.text.rfind("\n", 0, offset) - 1, _anchor(event))
        within = (*holders, block)
        while _kind(event := next(self.events)) != "SequenceEnd":
            entry = Entry(block.column)
            block.entries.append(entry)
            entry.value = self._node(event, within, opens or entry, begins=True)
            opens = None
        return block

    def _leaf(self, event: Any, holders: tuple[Block, ...], entry: Entry) -> Leaf:
        kind = _kind(event)
        start, end = event.start_mark.index, event.end_mark.index
        flow = ""
        if kind in ("MappingStart", "SequenceStart"):
            flow, end = self._flow(event)
        anchor = "" if kind == "Alias" else _anchor(event)
        if anchor:
            properties = _PROPERTIES.match(self.text[start:end] + " ")
            start = min(end, start + properties.end()) if properties else start
        written = self.text[start:end]
        style = getattr(event, "style", None)
        if style in ("|", ">"):
            written = _block_scalar(written)
        text = written
        if flow and "\n" not in written:
            text = flow
        elif kind == "Scalar":
            text = _unquoted(event, written, flow=False)
        leaf = Leaf(
            text,
            str(getattr(event, "value", "")),
            style or kind,
            start,
            start + len(written),
            entry,
            holders,
            anchor,
        )
        if written:
            self.leaves.append(leaf)
        return leaf

    def _flow(self, opening: Any) -> tuple[str, int]:
        """Give a collection in brackets on one line, and where it ends. One with odd parts is given as it stands."""
        mapping = _kind(opening) == "MappingStart"
        properties = _PROPERTIES.match(self.text, opening.start_mark.index)
        start = properties.end() if properties else opening.start_mark.index
        odd = self.text[start : start + 1] not in ("{", "[")
        parts: list[str] = []
        while not _kind(event := next(self.events)).endswith("End"):
            part = self._flow_part(event)
            if mapping:
                value = self._flow_part(next(self.events))
                part = f"{part}: {value}" if value else f"{part}:" if part.endswith(('"', "'")) else part
                odd = odd or part.startswith(":")
            odd = odd or not part
            parts.append(part)
        end = event.end_mark.index
        brackets = "{}" if mapping else "[]"
        shown = brackets[0] + ", ".join(parts) + brackets[1]
        return (self.text[start:end] if odd else shown), end

    def _flow_part(self, event: Any) -> str:
        kind = _kind(event)
        anchor = ""
        if event.anchor and kind != "Alias":
            self.anchors.append(str(event.anchor))
            anchor = f"&{event.anchor} "
        if kind in ("MappingStart", "SequenceStart"):
            return anchor + self._flow(event)[0]
        written = self.text[event.start_mark.index : event.end_mark.index]
        if kind == "Alias":
            return written
        properties = _PROPERTIES.match(written) if anchor else None
        return (
            anchor + _unquoted(event, written[properties.end() if properties else 0 :], flow=True)
        ).rstrip()


class _Gap:
    """Comments and empty lines between two leaves; each belongs to one of the two."""

    def __init__(self, grower: _Grower, before: Leaf | None, after: Leaf | None, root: Block) -> None:
        self.grower = grower
        self.before = before
        self.after = after
        self.root = root
        kept = after.holders if after else ()
        closing = [block for block in (before.holders if before else ()) if block not in kept]
        self.closing = closing if after else [root, *closing[1:]]

    def share(self) -> None:
        """Give each comment to what it is about: the line it ends, the entry below it, or the block it ends."""
        waiting: list[str] = []
        target: list[str] | None = None
        for comment, column in self._lines():
            if not comment:
                waiting.append("")
                continue
            target = self._owner(column, target)
            target += [*waiting, comment]
            waiting = []
        if self.after:
            self.after.entry.lead += waiting

    def _lines(self) -> Iterator[tuple[str, int]]:
        """Give the comments in lines of their own with their columns, '' for an empty line; note the others."""
        start = self.before.end if self.before else 0
        end = self.after.start if self.after else len(self.grower.text)
        lines = self.grower.text[start:end].split("\n")
        for index, line in enumerate(lines):
            found = _COMMENT.search(line)
            if found:
                comment = found.group().rstrip()
                self.grower.comments.append(comment)
                if index == 0 and self.before:
                    self.before.note = comment
                    self.before.note_column = self._column(start) + found.start()
                else:
                    yield comment, len(line) - len(line.lstrip())
            elif 0 < index < len(lines) - 1 and not line.strip():
                yield "", 0

    def _column(self, offset: int) -> int:
        return offset - self.grower.text.rfind("\n", 0, offset) - 1

    def _owner(self, column: int, last: list[str] | None) -> list[str]:
        """Give the lines that a comment joins: never those of an earlier place than the comment before it."""
        lead = self.after.entry.lead if self.after else None
        if lead is not None and (last is lead or (self.after and column <= self.after.entry.column)):
            return lead
        open_ = self.closing
        for place, block in enumerate(open_):
            if last is block.tail:
                open_ = open_[: place + 1]
        fitting = [block for block in open_ if block.column <= column]
        if fitting:
            return max(fitting, key=lambda block: block.column).tail
        return lead if lead is not None else self.root.tail


def _kind(event: Any) -> str:
    return type(event).__name__.removesuffix("Event")


def _anchor(event: Any) -> str:
    return f"&{event.anchor}" if event.anchor else ""


def _block_scalar(written: str) -> str:
    """Give a scalar in lines without what comes after it; with '+' its empty lines belong to it."""
    kept = "+" in written.partition("\n")[0].partition("#")[0]
    return written.removesuffix("\n") if kept else re.sub(r"(?:\n *)+\Z", "", written)


def _unquoted(event: Any, written: str, *, flow: bool) -> str:
    is_quoted = event.style in ("'", '"') and "\n" not in written
    return str(event.value) if is_quoted and is_plain(str(event.value), flow=flow) else written
