"""The layout of a file: key order, indentation, empty lines and quotes; what it says stays as it is."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise, product

from msgspec import Struct

from calseq.documents.document import Document, from_bytes
from calseq.documents.yaml_reader import read_yaml
from calseq.documents.yaml_tree import MODELINE, Block, Entry, Leaf, Tree, grow
from calseq.problems import codes
from calseq.problems.problem import Problem

_STEP_HEAD = ("name", "calibration")
_INSERTION = ("before", "after", "steps")
_HEAD = ("calseq", "extends", "title", "description")
_STEPS = ("steps", "set", "change", "insert", "drop")


class KeyOrder(Struct, frozen=True):
    """The order of the keys of a file, at its top and in a step; with `spaced` its groups are set apart.

    An 'x-' in it stands for the author's own keys.
    """

    top: tuple[str, ...]
    step: tuple[str, ...] = ()
    spaced: bool = False


def key_order(schema: dict[str, dict[str, object]]) -> KeyOrder:
    """Take the order of keys from a schema, in which a file's own properties have a good one."""
    definitions: dict[str, dict[str, dict[str, object]]] = schema.get("definitions", {})  # type: ignore[assignment]
    if "whole" not in definitions:
        return KeyOrder(tuple(schema["properties"]))
    own = (key for kind in ("variant", "whole") for key in definitions[kind]["properties"])
    top = list(dict.fromkeys((*_HEAD, *own)))
    top.insert(top.index("defaults") if "defaults" in top else len(top), "x-")
    rest = [key for key in definitions["step"]["properties"] if key not in _STEP_HEAD]
    return KeyOrder(tuple(top), (*_INSERTION, *_STEP_HEAD, *rest), spaced=True)


def laid_out(document: Document, order: KeyOrder) -> str | Problem:
    """Give the text of a document without errors in calseq's layout, or why that cannot be done.

    What is given was read back, and means the same with the same comments and anchors.
    """
    text = document.source.text
    tree = grow(text)
    if tree is None:
        return text
    # an anchor must stand before its aliases: where the usual order would break that, the author's stays;
    # and a text with '|+' that ends the file without an end of line would get one
    for wanted, end in product((order, KeyOrder(())), ("\n", "")):
        laid = "\n".join(_sheet(grow(text) or tree, wanted)) + end
        if _is_same(document, tree, laid):
            return laid
    message = "its layout cannot be changed without a change of what it says"
    return Problem(codes.NO_LAYOUT, message, "lay it out by hand", document.top())


def _is_same(document: Document, tree: Tree, text: str) -> bool:
    again = read_yaml(from_bytes(text.encode(), document.source.name))
    if again.is_refused or not again.readable or _canonical(again.data) != _canonical(document.data):
        return False
    grown = grow(text)
    return grown is not None and all(
        Counter(old) == Counter(new)
        for old, new in ((tree.comments, grown.comments), (tree.anchors, grown.anchors))
    )


def _canonical(data: object) -> str:
    return json.dumps(data, sort_keys=True)


def _sheet(tree: Tree, order: KeyOrder) -> Iterator[str]:
    root = tree.root
    head = _head(root.entries[0])
    _arrange(root, order.top)
    for block in _step_blocks(root):
        _arrange(block, order.step)
    if order.spaced:
        _space(root.entries)
    lines = [*head, *_block(root, 0)]
    yield from lines[1:] if lines[0] == "" else lines


def _step_blocks(root: Block) -> Iterator[Block]:
    """Give the steps of a sequence; of a variant those that are changed, and the insertions with theirs."""
    for entry in root.entries:
        key = entry.key.value if entry.key else ""
        if key in ("steps", "change", "insert") and isinstance(entry.value, Block):
            for each in entry.value.entries:
                if isinstance(each.value, Block) and not each.value.is_list:
                    yield each.value
                    yield from _step_blocks(each.value) if key == "insert" else ()


def _head(first: Entry) -> list[str]:
    """Take the comments about the file off its first entry: down to an empty line, or to the editor's line."""
    lead = _collapsed(first.lead)
    ends = [index + 1 for index, text in enumerate(lead) if text == "" or text.startswith(MODELINE)]
    first.lead = lead[ends[-1] :] if ends else lead
    return lead[: ends[-1]] if ends else []


def _arrange(block: Block, order: Sequence[str]) -> None:
    """Entries in the order of their keys; one with an unknown key follows the entry before it."""
    if not order:
        return
    ranks: list[int] = []
    for entry in block.entries:
        key = entry.key.value if entry.key else ""
        key = "x-" if key.startswith("x-") else key
        ranks.append(order.index(key) if key in order else ranks[-1] if ranks else 0)
    pairs = sorted(zip(ranks, block.entries, strict=True), key=lambda pair: pair[0])
    block.entries = [entry for _, entry in pairs]


def _space(entries: list[Entry]) -> None:
    """Set groups apart: what it is, what it needs, how it runs, the author's own, the steps."""
    for before, entry in pairwise(entries):
        if _group(before) != _group(entry) and entry.lead[:1] != [""]:
            entry.lead.insert(0, "")


def _group(entry: Entry) -> str:
    key = entry.key.value if entry.key else ""
    if key in _HEAD:
        return "head"
    return "steps" if key in _STEPS else "own" if key.startswith("x-") else "settings"


def _block(block: Block, indent: int) -> Iterator[str]:
    before: Entry | None = None
    for entry in block.entries:
        lead = _collapsed([*_taken_lead(entry), *_late_notes(entry)])
        joins = before is None or _takes_empty_lines(before.value)
        yield from _indented(lead[1:] if joins and lead[:1] == [""] else lead, indent)
        before = entry
        yield from _item(entry, indent) if entry.key is None else _pair(entry, entry.key, indent)
    yield from _indented(_collapsed(block.tail), indent)


def _takes_empty_lines(value: Block | Leaf | None) -> bool:
    """It ends with a scalar in lines with '+', to whose text an empty line behind it would belong."""
    if isinstance(value, Block):
        return bool(value.entries) and not value.tail and _takes_empty_lines(value.entries[-1].value)
    return value is not None and value.kind in ("|", ">") and "+" in _header(value)


def _header(leaf: Leaf) -> str:
    """Give the first line of a scalar in lines: how it is to be read."""
    return leaf.text.partition("\n")[0].partition("#")[0]


def _taken_lead(entry: Entry) -> list[str]:
    """Take the comments that have to stand before an entry: what begins on the same line has none of its own."""
    lead, entry.lead = entry.lead, []
    value = entry.value
    if entry.key is None and isinstance(value, Block) and not value.anchor:
        first = value.entries[0]
        lead = [*lead, *_taken_lead(first), *_late_notes(first)]
        if first.key and isinstance(first.value, Leaf) and first.value.text:
            first.key.note = ""
    return lead


def _late_notes(entry: Entry) -> list[str]:
    """A comment behind a key whose value came on the next line has no place there when both share one."""
    key, value = entry.key, entry.value
    if key is None or not isinstance(value, Leaf) or not key.note or not value.text:
        return []
    return [key.note]


def _pair(entry: Entry, key: Leaf, indent: int) -> Iterator[str]:
    margin = " " * indent
    head = f"{margin}{key.anchor + ' ' if key.anchor else ''}{key.text}:"
    value = entry.value
    if isinstance(value, Block):
        yield _noted(f"{head} {value.anchor}".rstrip(), key)
        yield from _block(value, indent + 2)
    elif value is None or not value.text:
        yield _noted(f"{head} {value.anchor if value else ''}".rstrip(), key)
    else:
        yield from _leaf(head, value, indent, entry.column)


def _item(entry: Entry, indent: int) -> Iterator[str]:
    margin = " " * indent
    value = entry.value
    if isinstance(value, Block) and value.anchor:
        yield f"{margin}- {value.anchor}"
        yield from _block(value, indent + 2)
    elif isinstance(value, Block):
        lines = list(_block(value, indent + 2))
        yield margin + "- " + lines[0].lstrip()
        yield from lines[1:]
    elif value is None or not value.text:
        yield f"{margin}- {value.anchor if value else ''}".rstrip()
    else:
        yield from _leaf(f"{margin}-", value, indent, entry.column)


def _leaf(head: str, leaf: Leaf, indent: int, old_column: int) -> Iterator[str]:
    anchor = f" {leaf.anchor}" if leaf.anchor else ""
    first, *rest = leaf.text.split("\n")
    lines = [f"{head}{anchor} {first.rstrip()}", *_below(leaf, rest, indent, old_column)]
    yield from lines[:-1]
    yield _noted(lines[-1], leaf)


def _below(leaf: Leaf, lines: list[str], indent: int, old_column: int) -> Iterator[str]:
    """Indent the further lines of a leaf."""
    if leaf.kind in ("|", ">"):
        yield from _scalar_lines(leaf, lines, indent, old_column)
    elif leaf.kind in ("MappingStart", "SequenceStart"):
        for line in lines:
            depth = max(_depth(line) + indent - old_column, indent + 1)
            yield (" " * depth + line.strip()) if line.strip() else ""
    else:
        for line in lines:
            stripped = line.lstrip() if line.endswith("\\ ") else line.strip()
            yield " " * (indent + 2) + stripped if stripped else ""


def _scalar_lines(leaf: Leaf, lines: list[str], indent: int, old_column: int) -> Iterator[str]:
    """Every line of a scalar in lines moves by as much; one that is blank and not deeper is empty."""
    content = next((_depth(line) for line in lines if line.strip()), 0)
    has_own_depth = any(char.isdigit() for char in _header(leaf))
    moved = indent - old_column if has_own_depth else indent + 2 - content
    for line in lines:
        blank = not line.strip(" ") and _depth(line) <= content
        yield "" if blank else " " * (_depth(line) + moved) + line.lstrip(" ")


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _noted(line: str, leaf: Leaf) -> str:
    """Put a comment behind a line, where it was if there is room."""
    return line.ljust(max(len(line) + 2, leaf.note_column)) + leaf.note if leaf.note else line


def _indented(lines: Iterable[str], indent: int) -> Iterator[str]:
    return (" " * indent + line if line else "" for line in lines)


def _collapsed(lines: Iterable[str]) -> list[str]:
    """Of empty lines that follow each other, keep one."""
    kept: list[str] = []
    for line in lines:
        if line or kept[-1:] != [""]:
            kept.append(line)
    return kept
