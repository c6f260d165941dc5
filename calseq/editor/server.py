"""The language server: what an editor is told over the language server protocol; the door of pygls."""

from pathlib import Path

from lsprotocol import types as lsp
from pygls.lsp.server import LanguageServer
from pygls.uris import to_fs_path
from pygls.workspace import PositionCodec, TextDocument

from calseq.editor.marks import Change, Mark, Point, at, changes, marks
from calseq.editor.sheet import judged, mended, tidy
from calseq.model.version import __version__
from calseq.problems.explanations import explanation, find_code

SOURCE = "calseq"

_SEVERITIES = {True: lsp.DiagnosticSeverity.Error, False: lsp.DiagnosticSeverity.Warning}
_NOWHERE = Path("untitled.yaml")


class Server(LanguageServer):
    """Knows, of every text that is open, its marks and which other files it has something to say of."""

    def __init__(self) -> None:
        super().__init__("calseq", __version__, text_document_sync_kind=lsp.TextDocumentSyncKind.Full)
        self.marks: dict[str, list[Mark]] = {}
        self.told: dict[str, set[str]] = {}

    def judge(self, uri: str) -> None:
        """Mark what is wrong with an open text, and with files that it names and that are not open."""
        document = self.workspace.get_text_document(uri)
        first, *others = judged(_path(document), document.source) or (None,)
        self.marks[uri] = marks(first) if first else []
        self._publish(uri, document.source, self.marks[uri])
        named = {Path(each.path).as_uri(): each for each in others if each.path}
        elsewhere = {address: each for address, each in named.items() if address not in self.marks}
        for address, each in elsewhere.items():
            self._publish(address, each.source.text, marks(each))
        self._unmark(self.told.get(uri, set()) - elsewhere.keys())
        self.told[uri] = set(elsewhere)

    def judge_all(self) -> None:
        """Judge every open text: a file was written, and may be another's base or bench."""
        for uri in list(self.marks):
            self.judge(uri)

    def forget(self, uri: str) -> None:
        """Take all marks of a text back that is no longer open."""
        self.marks.pop(uri, None)
        self._unmark({uri, *self.told.pop(uri, set())})

    def point(self, uri: str, position: lsp.Position) -> Point:
        """Give where a position of the client is, in characters."""
        return self._point(self.workspace.get_text_document(uri).source, position)

    def edit(self, uri: str, found: list[Change]) -> lsp.WorkspaceEdit:
        """Give changes of a text as its client takes them."""
        return lsp.WorkspaceEdit(changes={uri: self.edits(uri, found)})

    def edits(self, uri: str, found: list[Change]) -> list[lsp.TextEdit]:
        """Give changes of a text, each with its range."""
        text = self.workspace.get_text_document(uri).source
        return [lsp.TextEdit(self._range(text, each.start, each.end), each.text) for each in found]

    def diagnostic(self, text: str, mark: Mark) -> lsp.Diagnostic:
        """Give a mark as its client takes it."""
        return lsp.Diagnostic(
            self._range(text, mark.start, mark.end),
            mark.words,
            _SEVERITIES[mark.is_error],
            code=mark.code,
            source=SOURCE,
        )

    def _publish(self, uri: str, text: str, found: list[Mark]) -> None:
        diagnostics = [self.diagnostic(text, mark) for mark in found]
        self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri, diagnostics))

    def _unmark(self, uris: set[str]) -> None:
        for uri in uris - self.marks.keys():
            self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri, []))

    def _range(self, text: str, start: Point, end: Point) -> lsp.Range:
        return lsp.Range(self._position(text, start), self._position(text, end))

    def _position(self, text: str, point: Point) -> lsp.Position:
        line, column = point
        return lsp.Position(line, self._codec.client_num_units(_line(text, line)[:column]))

    def _point(self, text: str, position: lsp.Position) -> Point:
        line = _line(text, position.line)
        units = [self._codec.client_num_units(line[:column]) for column in range(len(line) + 1)]
        return position.line, sum(each < position.character for each in units)

    @property
    def _codec(self) -> PositionCodec:
        return self.workspace.position_codec


def server() -> Server:
    """Make a server with all that it can do."""
    made = Server()
    made.feature(lsp.TEXT_DOCUMENT_DID_OPEN)(_opened)
    made.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)(_changed)
    made.feature(lsp.TEXT_DOCUMENT_DID_SAVE)(_saved)
    made.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)(_closed)
    kinds = [lsp.CodeActionKind.QuickFix, lsp.CodeActionKind.SourceFixAll]
    made.feature(lsp.TEXT_DOCUMENT_CODE_ACTION, lsp.CodeActionOptions(code_action_kinds=kinds))(_actions)
    made.feature(lsp.TEXT_DOCUMENT_HOVER)(_hover)
    made.feature(lsp.TEXT_DOCUMENT_FORMATTING)(_formatting)
    return made


def _opened(server: Server, params: lsp.DidOpenTextDocumentParams) -> None:
    server.judge(params.text_document.uri)


def _changed(server: Server, params: lsp.DidChangeTextDocumentParams) -> None:
    server.judge(params.text_document.uri)


def _saved(server: Server, _: lsp.DidSaveTextDocumentParams) -> None:
    server.judge_all()


def _closed(server: Server, params: lsp.DidCloseTextDocumentParams) -> None:
    server.forget(params.text_document.uri)


def _actions(server: Server, params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
    """Offer what mends the marks in a range, and what mends all of them."""
    uri, wanted = params.text_document.uri, params.context.only
    text = server.workspace.get_text_document(uri).source
    start, end = (server.point(uri, position) for position in (params.range.start, params.range.end))
    found = [mark for mark in server.marks.get(uri, []) if mark.fix]
    actions = [
        _action(server, uri, f"calseq: {mark.cure or mark.words}", [mark.fix], server.diagnostic(text, mark))
        for mark in found
        if mark.fix and mark.start <= end and start <= mark.end
    ]
    if found:
        document = server.workspace.get_text_document(uri)
        whole = changes(text, mended(_path(document), text))
        actions.append(_action(server, uri, "calseq: mend all that has one certain cure", whole))
    return [each for each in actions if not wanted or any(_is_of(each.kind, kind) for kind in wanted)]


def _action(
    server: Server, uri: str, title: str, found: list[Change], mended: lsp.Diagnostic | None = None
) -> lsp.CodeAction:
    kind = lsp.CodeActionKind.QuickFix if mended else lsp.CodeActionKind.SourceFixAll
    return lsp.CodeAction(
        title,
        kind,
        diagnostics=[mended] if mended else None,
        is_preferred=True if mended else None,
        edit=server.edit(uri, found),
    )


def _is_of(kind: object, wanted: object) -> bool:
    """A kind is of another if it is the same, or one of those below it."""
    own, asked = (str(getattr(each, "value", each)) for each in (kind, wanted))
    return own == asked or own.startswith(f"{asked}.")


def _hover(server: Server, params: lsp.HoverParams) -> lsp.Hover | None:
    """Explain the marks that are there: what `calseq explain` says of their codes."""
    uri = params.text_document.uri
    found = at(server.marks.get(uri, []), server.point(uri, params.position))
    pages = [_page(code) for code in dict.fromkeys(mark.code for mark in found)]
    if not pages:
        return None
    return lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, "\n\n".join(pages)))


def _page(number: str) -> str:
    code = find_code(number)
    if code is None:
        return ""
    page = explanation(code)
    right = f"\n\n```yaml\n{page.right.rstrip()}\n```" if page.right else ""
    return f"**{code.id} {code.name}**: {code.meaning}. {page.why}{right}"


def _formatting(server: Server, params: lsp.DocumentFormattingParams) -> list[lsp.TextEdit]:
    document = server.workspace.get_text_document(params.text_document.uri)
    text = tidy(_path(document), document.source)
    return server.edits(document.uri, changes(document.source, text)) if text is not None else []


def _path(document: TextDocument) -> Path:
    return Path(to_fs_path(document.uri) or _NOWHERE)


def _line(text: str, number: int) -> str:
    lines = text.split("\n")
    return lines[number].removesuffix("\r") if number < len(lines) else ""
