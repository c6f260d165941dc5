"""Expressions of a Python file as the literals that they come to: names given once, `json.dumps`, sets, simple f-strings."""

import ast
import json
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from calseq.problems.plaintext import printable

MAX_STEPS = 2_000
"""So many names, calls and parts of one value are followed; a sequence has far fewer."""

_METHODS = {
    "append",
    "extend",
    "insert",
    "remove",
    "pop",
    "clear",
    "sort",
    "reverse",
    "add",
    "update",
    "discard",
}
_COLLECTIONS = {"list", "tuple", "set", "frozenset"}
_OPTIONS = {"indent", "sort_keys", "separators", "ensure_ascii"}
_KINDS = {
    ast.JoinedStr: "an f-string",
    ast.Call: "a call",
    ast.Name: "a name",
    ast.Attribute: "a name",
    ast.BinOp: "an expression",
    ast.Starred: "an unpacking",
    ast.ListComp: "a comprehension",
    ast.GeneratorExp: "a comprehension",
    ast.SetComp: "a comprehension",
    ast.DictComp: "a comprehension",
    ast.IfExp: "a choice",
    ast.Subscript: "a part of something",
    ast.Dict: "a dict",
    ast.List: "a list",
    ast.Tuple: "a tuple",
    ast.Set: "a set",
}
_Collection = ast.List | ast.Tuple | ast.Set


class NotLiteral(Exception):
    """An expression that only running it could tell: which, why, and what to write instead."""

    def __init__(self, node: ast.AST, message: str, cure: str) -> None:
        super().__init__(message)
        self.node = node
        self.message = message
        self.cure = cure


class Scopes(Struct):
    """Scopes of an expression, the innermost first: function, class, module; `steps` of work are left."""

    nodes: tuple[ast.AST, ...]
    steps: int = MAX_STEPS

    def literal(self, node: ast.expr) -> ast.expr:
        """Give a constant, a list, tuple, set or dict for an expression, with its place; what is in them stays as it is.

        Raises:
            NotLiteral: it has to be run.
        """
        self.steps -= 1
        if self.steps < 0:
            raise NotLiteral(node, "too much has to be put together", "write it out")
        if isinstance(node, ast.Name):
            inner, *others = self.nodes
            return self._given(
                node, node.id, (inner, *(each for each in others if not isinstance(each, ast.ClassDef)))
            )
        if isinstance(node, ast.Attribute):
            return self._attribute(node)
        if isinstance(node, ast.JoinedStr):
            return _at(node, ast.Constant("".join(map(self._piece, node.values))))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return self._sum(node)
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            node = _at(node, type(node)([*self._items(node)]))
        return self._call(node) if isinstance(node, ast.Call) else node

    def _name(self, node: ast.Name) -> ast.expr:
        """A class's names are not those of its functions."""
        inner, *others = self.nodes
        outer = (each for each in others if not isinstance(each, ast.ClassDef))
        return self._given(node, node.id, (inner, *outer))

    def _attribute(self, node: ast.Attribute) -> ast.expr:
        classes = tuple(each for each in self.nodes if isinstance(each, ast.ClassDef))
        of = node.value.id if isinstance(node.value, ast.Name) else ""
        return self._given(
            node, node.attr, classes if of in ("self", "cls", *(each.name for each in classes)) else ()
        )

    def value(self, node: ast.expr) -> Any:
        """Give the value of an expression down to its last part.

        Raises:
            NotLiteral: a part of it has to be run.
        """
        found = self.literal(node)
        if isinstance(found, ast.Constant):
            return found.value
        if isinstance(found, (ast.List, ast.Tuple, ast.Set)):
            return [self.value(each) for each in found.elts]
        if isinstance(found, ast.Dict) and None not in found.keys:
            return {
                self.value(key): self.value(value)
                for key, value in zip(found.keys, found.values, strict=True)
                if key
            }
        try:
            return ast.literal_eval(found)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            raise NotLiteral(
                found, f"{kind(found)} has to be run to know what it is", "write it out"
            ) from None

    def _given(self, node: ast.expr, name: str, scopes: tuple[ast.AST, ...]) -> ast.expr:
        shown = printable(name, 40)
        for scope in scopes:
            given = list(_gives(scope, name))
            if not given:
                continue
            change = next(changes(scope, name), None)
            if change or len(given) > 1 or given[0] is None:
                line = getattr(change, "lineno", 0)
                again = f"on line {line}" if line else "more than once, or by a loop or a parameter"
                raise NotLiteral(
                    change or node, f"'{shown}' is given {again}: {_RUN}", "write it once, as one literal"
                )
            inner = Scopes(self.nodes[self.nodes.index(scope) :], self.steps)
            found = inner.literal(given[0])
            self.steps = inner.steps
            return found
        raise NotLiteral(node, f"'{shown}' is given nowhere in this file", "write it out, as a literal")

    def _part(self, whole: ast.expr, node: ast.expr) -> ast.expr:
        """Give the literal of a part; what cannot be known of it is said of the whole."""
        try:
            return self.literal(node)
        except NotLiteral as error:
            if error.node is node:
                raise NotLiteral(whole, error.message, error.cure) from None
            raise

    def _items(self, node: _Collection) -> Iterator[ast.expr]:
        for each in node.elts:
            if not isinstance(each, ast.Starred):
                yield each
                continue
            unpacked = self._part(each, each.value)
            if not isinstance(unpacked, (ast.List, ast.Tuple, ast.Set)):
                raise NotLiteral(each, f"an unpacking of {kind(unpacked)}", "write the list out")
            yield from unpacked.elts

    def _sum(self, node: ast.BinOp) -> ast.expr:
        left, right = self._part(node, node.left), self._part(node, node.right)
        if isinstance(left, (ast.List, ast.Tuple)) and type(left) is type(right):
            self.steps -= len(left.elts)
            return _at(node, ast.List([*left.elts, *right.elts]))
        if isinstance(left, ast.Constant) and isinstance(right, ast.Constant):
            one, other = left.value, right.value
            if isinstance(one, str) and isinstance(other, str):
                self.steps -= len(one) // 1000
                return _at(node, ast.Constant(one + other))
        raise NotLiteral(node, f"an expression: {_RUN}", "write it out")

    def _piece(self, node: ast.expr) -> str:
        if isinstance(node, ast.Constant):
            return str(node.value)
        if isinstance(node, ast.FormattedValue) and node.conversion == -1 and node.format_spec is None:
            found = self.literal(node.value)
            if isinstance(found, ast.Constant) and isinstance(found.value, (str, int, float)):
                return str(found.value)
        raise NotLiteral(node, f"an f-string of more than plain values: {_RUN}", "write the text out")

    def _call(self, node: ast.Call) -> ast.expr:
        called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if (
            called in _COLLECTIONS
            and isinstance(node.func, ast.Name)
            and not node.keywords
            and len(node.args) < 2
        ):
            inner = self.literal(node.args[0]) if node.args else ast.List([])
            if isinstance(inner, (ast.List, ast.Tuple, ast.Set, ast.Dict)):
                return _at(node, inner)
        if called == "dumps" and len(node.args) == 1 and {each.arg for each in node.keywords} <= _OPTIONS:
            options = {str(each.arg): self.value(each.value) for each in node.keywords}
            value = self.value(node.args[0])
            try:
                return _at(node, ast.Constant(json.dumps(value, **options)))
            except (TypeError, ValueError):
                raise NotLiteral(
                    node, "json.dumps takes no such value", "write the JSON out, in quotes"
                ) from None
        raise NotLiteral(node, f"a call: {_RUN}", "write out what it gives, as a literal")


_RUN = "it has to be run to know what it is"


def kind(node: ast.expr | None) -> str:
    """Name an expression."""
    if isinstance(node, ast.Constant):
        return printable(repr(node.value), 40)
    return _KINDS.get(type(node), "something to be computed")


def _at(node: ast.expr, made: ast.expr) -> ast.expr:
    """Give what was made of an expression the place of that."""
    return ast.copy_location(made, node)


def _own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """Give all of a scope but what functions and classes in it have to themselves."""
    pending = list(ast.iter_child_nodes(scope))
    while pending:
        node = pending.pop(0)
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            pending += ast.iter_child_nodes(node)


def _gives(scope: ast.AST, name: str) -> Iterator[ast.expr | None]:
    """Give what a scope assigns to a name; None is what no plain assignment does."""
    direct = {
        id(target): node.value
        for node in getattr(scope, "body", ())
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    }
    for node in _own_nodes(scope):
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store):
            yield direct.get(id(node))
        elif isinstance(node, ast.arg) and node.arg == name:
            yield None


def changes(scope: ast.AST, name: str) -> Iterator[ast.AST]:
    """Give the loops that fill a list, its `append`s and `+=`s, and a part that is set."""
    for node in _own_nodes(scope):
        if (isinstance(node, (ast.For, ast.While)) and any(True for _ in changes(node, name))) or (
            isinstance(node, ast.AugAssign) and _is(node.target, name)
        ):
            yield node
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in _METHODS and _is(node.func.value, name):
                yield node
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) and _is(node.value, name):
            yield node


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
