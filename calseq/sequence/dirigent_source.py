"""dirigent's `CalibrationSequence` as Python, YAML or JSON says it: read from literals, and never run."""

import ast
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from calseq.documents.document import Document, Path
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Code, Place, Problem, Span
from calseq.problems.suggestions import did_you_mean
from calseq.sequence.python_literals import NotLiteral, Scopes, changes, kind

FIELDS = ("calibrations", "title", "tuning_step_args", "required_instruments")
OWN_CLASS = "CalibrationSequence"

_CONSTANTS: dict[str, tuple[object, str]] = {
    "SOFTWARE": ("dirigent", "it belongs to the bench file: 'dirigent: {command: …}'"),
    "FLAGS": (["-p", "-l", "-m", "--no-monitoring"], "it belongs to the bench file: 'dirigent: {flags: …}'"),
    "OPTIONS": (["--instruments-dict", "--channels-dict", "--directory"], "calseq gives these itself"),
    "IVCURVE_FLAGS": (["-w"], "it belongs to the site's calibrations: 'flags:' of iv_curve"),
    "CALIBRATEMODULE_FLAG": ("-t", "it belongs to the site's calibrations: 'tuning:' of calibrate_module"),
    "CUSTOMSEQUENCE_FLAG": ("-s", "it belongs to the site's calibrations: 'tuning:' of custom_sequence"),
    "TUNING_FLAGS": (
        {"calibrate_module": "-t", "custom_sequence": "-s"},
        "it belongs to the site's calibrations: 'tuning:' of each",
    ),
}
"""The constants of dirigent's class: what they are there, and where calseq has what changes them."""


class Text(Struct, frozen=True):
    """A text and its place."""

    value: str
    place: Place


class Lists(Struct, frozen=True):
    """What dirigent's class is given. `passed_over` says what else its author wrote, which no sequence file has."""

    name: str
    place: Place
    calibrations: tuple[Text, ...]
    title: Text
    tunings: tuple[Text | None, ...] = ()
    required: tuple[Text, ...] = ()
    has_required: bool = False
    description: str = ""
    passed_over: tuple[str, ...] = ()


class _Candidate(Struct):
    """A class, a call or a module that looks like a sequence, with the expression of each field and the scopes of it."""

    name: str
    node: Any
    fields: dict[str, ast.expr]
    scopes: tuple[ast.AST, ...]
    inner: dict[str, ast.AST] = {}
    description: str = ""
    passed_over: list[str] = []
    problems: list[tuple[ast.AST, Code, str, str]] = []


def read_python(document: Document, name: str = "") -> Lists | None:
    """Read the sequence of a Python file, that called `name` if there are several; problems are in the document."""
    tree = _parsed(document)
    if tree is None:
        return None
    found = list(_candidates(tree))
    chosen = [each for each in found if each.name == name] if name else found
    if len(chosen) == 1:
        return _Judge(document, chosen[0]).lists()
    names = ", ".join(printable(each.name, 60) for each in found[:20])
    if not found:
        message = f"nothing in the file is a {OWN_CLASS}"
        cure = "a class with 'calibrations = [...]' and 'title = \"...\"', or a call of it, is one"
    elif chosen or not name:
        message, cure = f"{len(found)} sequences in one file", f"choose with --class: {names}"
    else:
        message = f"no sequence in the file is called '{printable(name, 60)}'"
        cure = did_you_mean(name, [each.name for each in found]) or f"there are: {names}"
    document.problems.append(Problem(codes.NO_CLASS, message, cure, document.top()))
    return None


def read_lists(document: Document) -> Lists | None:
    """Read the same keys from YAML or JSON; problems are in the document."""
    data = document.data
    if not document.readable or not isinstance(data, dict):
        if document.readable:
            document.problem_at((), codes.WRONG_TYPE, "the file must be a mapping", "write calibrations: […]")
        return None
    for key in data:
        if key not in (*FIELDS, "description"):
            cure = did_you_mean(key, FIELDS) or "one of " + ", ".join(FIELDS)
            shown = f"'{printable(key, 40)}' is not a key of {OWN_CLASS}"
            document.problem_at((key,), codes.UNKNOWN_KEY, shown, cure, key=True)
    for key in FIELDS[:2]:
        if key not in data:
            document.problem_at((key,), codes.MISSING_KEY, f"'{key}' is missing", f"add '{key}:'")
    calibrations = _listed(document, data, "calibrations")
    tunings = _listed(document, data, "tuning_step_args", nothing=True)
    required = _listed(document, data, "required_instruments")
    title = _text(document, data.get("title"), ("title",))
    if document.is_refused or title is None:
        return None
    return Lists(
        name=title.value,
        place=document.top(),
        calibrations=tuple(each for each in calibrations if each),
        title=title,
        tunings=tuple(tunings),
        required=tuple(each for each in required if each),
        has_required=data.get("required_instruments") is not None,
        description=str(data.get("description") or ""),
    )


def _listed(
    document: Document, data: Mapping[str, Any], key: str, *, nothing: bool = False
) -> list[Text | None]:
    value = data.get(key)
    if value is None:
        return []
    if key == "required_instruments" and isinstance(value, dict):
        return [Text(name, document.place((key, name), key=True)) for name in value]
    if not isinstance(value, list):
        document.problem_at((key,), codes.WRONG_TYPE, f"'{key}' must be a list", "write a list of texts")
        return []
    return [
        None if each is None and nothing else _text(document, each, (key, index))
        for index, each in enumerate(value)
    ]


def _text(document: Document, value: object, path: Path) -> Text | None:
    if isinstance(value, str):
        return Text(value, document.place(path))
    if path in document.values:
        document.problem_at(path, codes.WRONG_TYPE, "a text belongs here", "put it in quotes")
    return None


def _parsed(document: Document) -> ast.Module | None:
    if not document.readable:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(document.source.text)
    except SyntaxError as error:
        place = Place(document.source, Span(max(1, error.lineno or 1), max(1, error.offset or 1)))
        message = f"not valid Python: {printable(str(error.msg), 80)}"
        document.refuse(codes.BAD_SYNTAX, message, "Python cannot read it either", place)
    except (RecursionError, MemoryError):
        document.refuse(codes.TOO_LARGE, "nested too deeply", "is it the right file?")
    except ValueError as error:
        document.refuse(codes.BAD_SYNTAX, f"not valid Python: {printable(str(error), 80)}", "is it Python?")
    return None


def _candidates(tree: ast.Module) -> Iterator[_Candidate]:
    module = _Candidate("module", tree, {}, (tree,))
    for node in tree.body:
        _take_assignment(module, node)
        if isinstance(node, ast.ClassDef):
            candidate = _class(node, tree)
            if "calibrations" in candidate.fields or any(_name(base) == OWN_CLASS for base in node.bases):
                yield candidate
        else:
            yield from _calls(node, (tree,))
    if "calibrations" in module.fields:
        _note_changes(module)
        yield module


def _class(node: ast.ClassDef, tree: ast.Module) -> _Candidate:
    candidate = _Candidate(node.name, node, {}, (node, tree), description=ast.get_docstring(node) or "")
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            _take_init(candidate, statement)
        elif not (
            _take_assignment(candidate, statement) or _is_silent(statement) or _is_used(statement, node)
        ):
            candidate.passed_over.append(_statement_name(statement))
    _note_changes(candidate)
    return candidate


def _is_used(statement: ast.stmt, node: ast.ClassDef) -> bool:
    """It gives a name that the class itself refers to."""
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    names = {target.id for target in targets if isinstance(target, ast.Name)}
    return any(isinstance(each, ast.Attribute) and each.attr in names for each in ast.walk(node))


def _note_changes(candidate: _Candidate) -> None:
    """A field that a loop or a call fills is not what was assigned to it."""
    for name in candidate.fields.keys() - candidate.inner.keys():
        change = next(
            (each for each in changes(candidate.node, name) if not isinstance(each, ast.AugAssign)), None
        )
        if change:
            how = "a loop" if isinstance(change, (ast.For, ast.While)) else "what is done to it here"
            message = f"'{name}' is changed by {how}"
            candidate.problems.append((change, codes.NOT_LITERAL, message, _WRITE_OUT))


_WRITE_OUT = "write the list out: Python is read here and never run"


def _calls(statement: ast.stmt, scopes: tuple[ast.AST, ...]) -> Iterator[_Candidate]:
    """Find calls of dirigent's class in a statement; a variable that takes one gives it its name."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
        for below in statement.body:
            yield from _calls(below, (statement, *scopes))
        return
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    for node in ast.walk(statement):
        if isinstance(node, ast.Call) and _name(node.func) == OWN_CLASS:
            own = target.id if isinstance(target, ast.Name) else f"line {node.lineno}"
            candidate = _Candidate(own, node, {}, scopes)
            _take_arguments(candidate, node, ("context", *FIELDS))
            yield candidate


def _take_assignment(candidate: _Candidate, node: ast.stmt) -> bool:
    """Take what a statement assigns to a field or a constant of the class; False if it is about something else."""
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        targets: list[ast.expr] = [node.target]
        value: ast.expr | None = node.value
    elif isinstance(node, ast.Assign):
        targets, value = node.targets, node.value
    elif isinstance(node, ast.AugAssign):
        targets, value = [node.target], None
    else:
        return False
    names = {target.id for target in targets if isinstance(target, ast.Name)}
    for name in names & {*FIELDS}:
        if value is None or name in candidate.fields:
            cure = "write it once, as one literal"
            shown = f"'{name}' is changed after it was given"
            candidate.problems.append((node, codes.NOT_LITERAL, shown, cure))
        else:
            candidate.fields[name] = value
    for name in names & {*_CONSTANTS}:
        usual, cure = _CONSTANTS[name]
        if value is None or _literal(value) != usual:
            shown = f"'{name}' is not what it is in dirigent's class"
            candidate.problems.append((node, codes.NOT_EXPRESSIBLE, shown, cure))
    return bool(names & {*FIELDS, *_CONSTANTS})


def _take_init(candidate: _Candidate, function: ast.FunctionDef) -> None:
    """Take what a constructor gives to that of dirigent's class."""
    for statement in function.body:
        call = statement.value if isinstance(statement, ast.Expr) else None
        if not isinstance(call, ast.Call) or _name(call.func) != "__init__":
            names_only = isinstance(statement, (ast.Assign, ast.AnnAssign)) and not any(
                isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
                for node in ast.walk(statement)
            )
            if not _is_silent(statement) and not names_only:
                candidate.passed_over.append(f"{_statement_name(statement)} of __init__")
            continue
        of = call.func.value if isinstance(call.func, ast.Attribute) else None
        given = ("context", *FIELDS) if isinstance(of, ast.Call) else ("self", "context", *FIELDS)
        _take_arguments(candidate, call, given, function)


def _take_arguments(
    candidate: _Candidate, call: ast.Call, names: tuple[str, ...], function: ast.AST | None = None
) -> None:
    positional = dict(zip(names, call.args, strict=False))
    named = {keyword.arg or "**": keyword.value for keyword in call.keywords}
    for name, value in {**positional, **named}.items():
        refers = isinstance(value, ast.Attribute) and value.attr == name and name in candidate.fields
        if isinstance(value, ast.Starred) or name == "**":
            shown = "what is unpacked here cannot be known"
            candidate.problems.append((value, codes.NOT_LITERAL, shown, "write the arguments out"))
        elif name in FIELDS and not refers:
            candidate.fields[name] = value
            if function:
                candidate.inner[name] = function


class _Judge:
    """Turns the expressions of a candidate into texts; what is not a literal is a problem."""

    def __init__(self, document: Document, candidate: _Candidate) -> None:
        self.document = document
        self.candidate = candidate

    def lists(self) -> Lists | None:
        candidate, document = self.candidate, self.document
        for problem in candidate.problems:
            self._note(*problem)
        for name in FIELDS[:2]:
            if name not in candidate.fields:
                shown, cure = f"'{name}' is missing", f"add '{name} = …'"
                self._note(candidate.node, codes.MISSING_KEY, shown, cure)
        fields = candidate.fields
        calibrations = self._texts("calibrations", fields.get("calibrations"))
        tunings = self._texts("tuning_step_args", fields.get("tuning_step_args"), nothing=True)
        required = self._texts("required_instruments", fields.get("required_instruments"))
        title = self._entry("title", fields["title"], nothing=False) if "title" in fields else None
        if document.is_refused or title is None:
            return None
        return Lists(
            name=candidate.name,
            place=self._place(candidate.node),
            calibrations=tuple(each for each in calibrations if each),
            title=title,
            tunings=tuple(tunings),
            required=tuple(each for each in required if each),
            has_required=bool(required) or not _is_nothing(fields.get("required_instruments")),
            description=candidate.description,
            passed_over=tuple(candidate.passed_over),
        )

    def _texts(self, name: str, node: ast.expr | None, *, nothing: bool = False) -> list[Text | None]:
        if node is None and name in FIELDS[:2]:
            return []
        found = self._literal(node, name) if node else None
        if _is_nothing(found):
            return []
        if isinstance(found, ast.Dict) and name == "required_instruments" and None not in found.keys:
            self.candidate.passed_over.append(f"what '{name}' says of each role (line {found.lineno})")
            found = ast.copy_location(ast.List([key for key in found.keys if key]), found)
        if not isinstance(found, (ast.List, ast.Tuple, ast.Set)):
            if found:
                message = f"'{name}' is {kind(found)}, not a list"
                self._note(found, codes.NOT_LITERAL, message, "write a list of texts")
            return []
        return [self._entry(name, each, nothing=nothing) for each in found.elts]

    def _entry(self, name: str, node: ast.expr, *, nothing: bool) -> Text | None:
        found = self._literal(node, name)
        return None if found is None or (nothing and _is_nothing(found)) else self._text(found)

    def _literal(self, node: ast.expr, name: str) -> ast.expr | None:
        """Give what an expression comes to; None if it has to be run, which is a problem then."""
        inner = self.candidate.inner.get(name)
        scopes = Scopes((*([inner] if inner else []), *self.candidate.scopes))
        try:
            return scopes.literal(node)
        except NotLiteral as error:
            self._note(error.node, codes.NOT_LITERAL, error.message, error.cure)
        except RecursionError:
            self._note(node, codes.NOT_LITERAL, "too much has to be put together", "write it out")
        return None

    def _text(self, node: ast.expr) -> Text | None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return Text(node.value, self._place(node))
        code = codes.WRONG_TYPE if isinstance(node, ast.Constant) else codes.NOT_LITERAL
        cure = (
            "json.dumps(…) of it is read, too"
            if isinstance(node, (ast.List, ast.Dict))
            else "write it out, in quotes"
        )
        self._note(node, code, f"a text belongs here, not {kind(node)}", cure)
        return None

    def _note(self, node: ast.AST, code: Code, message: str, cure: str) -> None:
        self.document.problems.append(Problem(code, message, cure, self._place(node)))

    def _place(self, node: Any) -> Place:
        """Give the place of a node: Python counts columns in bytes."""
        line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        raw = self.document.source.line(line).encode()
        start = len(raw[:column].decode(errors="replace"))
        end = getattr(node, "end_col_offset", column + 1)
        same_line = getattr(node, "end_lineno", line) == line
        length = len(raw[column:end].decode(errors="replace")) if same_line else len(raw.decode()) - start
        return Place(self.document.source, Span(line, start + 1, max(1, length)))


def _literal(node: ast.expr) -> object:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None
    return list(value) if isinstance(value, tuple) else value


def _is_nothing(node: ast.expr | None) -> bool:
    return node is None or (isinstance(node, ast.Constant) and node.value is None)


def _is_silent(node: ast.stmt) -> bool:
    """A docstring, `pass` or `...`: nothing is lost with it."""
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _statement_name(node: ast.stmt) -> str:
    name = getattr(node, "name", "")
    if name:
        return f"{'class' if isinstance(node, ast.ClassDef) else 'def'} {name} (line {node.lineno})"
    return f"line {node.lineno}"
