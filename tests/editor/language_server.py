"""A language server as an editor drives it: JSON-RPC on its standard streams, one document at a time."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

OLDEST, NEWEST = "1.15.0", "2.0.0"
VERSIONS = (OLDEST, NEWEST)
INSTALL_TIMEOUT_S = 180
MOST_ASKED = 100


class NoServer(Exception):
    """yaml-language-server cannot be had here; the text says why."""


class Unanswered(Exception):
    """The server went away, or said something that nobody asked for in the place of an answer."""


def installed(folder: Path, version: str) -> list[str]:
    """Install a version of yaml-language-server into a folder with npm; give its command.

    Raises:
        NoServer: npm, node or the network is missing.
    """
    program = folder / "node_modules" / ".bin" / "yaml-language-server"
    command = [str(program), "--stdio"]
    if program.exists():
        return command
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise NoServer("npm and node are not there")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text('{"private": true}')
    words = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    try:
        ran = subprocess.run(
            [*words, f"yaml-language-server@{version}"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise NoServer(f"npm did not end within {INSTALL_TIMEOUT_S} s") from error
    if ran.returncode:
        raise NoServer(f"npm cannot install yaml-language-server {version}: {ran.stderr.strip()[-300:]}")
    return command


class LanguageServer:
    """A server, and for one that takes a schema the one that it uses for whatever file it is shown."""

    def __init__(self, command: Sequence[str], schema: Path | None = None) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._settings = {
            "yaml": {
                "schemas": {schema.as_uri(): "*.yaml"} if schema else {},
                "schemaStore": {"enable": False},
                "validate": True,
                "hover": True,
                "completion": True,
                "yamlVersion": "1.2",
            }
        }
        self._asked = 0
        self._opened = 0
        capabilities = {
            "workspace": {"configuration": True},
            "textDocument": {
                "completion": {
                    "completionItem": {"snippetSupport": True, "documentationFormat": ["markdown"]}
                },
                "hover": {"contentFormat": ["markdown"]},
                "publishDiagnostics": {},
            },
        }
        hello = {"processId": os.getpid(), "rootUri": None, "capabilities": capabilities}
        self.can = self.ask("initialize", hello)["capabilities"]
        self.tell("initialized", {})
        self.tell("workspace/didChangeConfiguration", {"settings": self._settings})
        if schema:
            self._wait_for_schema()

    def _wait_for_schema(self) -> None:
        """It asks for its settings once it has started, and knows no schema before it has them."""
        if not any(self.problems("5\n") for _ in range(MOST_ASKED)):
            raise Unanswered("the server never used the schema")

    def close(self) -> None:
        """Ask it to end, and see that it does."""
        with suppress(Unanswered, OSError):
            self.ask("shutdown", None)
            self.tell("exit", None)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if stream:
                    stream.close()

    def open(self, text: str, path: Path | None = None) -> str:
        """Show it a text, as if it stood in a file; give the address under which it knows it."""
        self._opened += 1
        address = path.as_uri() if path else f"file:///sequences/shown{self._opened}.yaml"
        document = {"uri": address, "languageId": "yaml", "version": 1, "text": text}
        self.tell("textDocument/didOpen", {"textDocument": document})
        return address

    def problems(self, text: str, path: Path | None = None) -> list[tuple[int, str]]:
        """Give every problem of a text: its line, from 1, and the words."""
        found = self.marks(self.open(text, path))
        return sorted((each["range"]["start"]["line"] + 1, each["message"]) for each in found)

    def marks(self, address: str) -> list[dict[str, Any]]:
        """Wait for what it says next of a text, all of it."""
        while True:
            said = self._hear()
            if said.get("method") == "textDocument/publishDiagnostics" and said["params"]["uri"] == address:
                found: list[dict[str, Any]] = said["params"]["diagnostics"]
                return found

    def completions(self, text: str) -> dict[str, str]:
        """Give what it offers where `|` stands in a text, each with its line of help."""
        text, position = _at_bar(text)
        asked = {"textDocument": {"uri": self.open(text)}, "position": position}
        answer = self.ask("textDocument/completion", asked)
        items = answer["items"] if isinstance(answer, dict) else answer or []
        return {each["label"]: _words(each.get("documentation")) for each in items}

    def hover(self, text: str) -> str:
        """Give what it says of the word in which `|` stands."""
        text, position = _at_bar(text)
        asked = {"textDocument": {"uri": self.open(text)}, "position": position}
        answer = self.ask("textDocument/hover", asked)
        return _words(answer["contents"]) if answer else ""

    def ask(self, method: str, params: Any) -> Any:
        """Ask it something, and give its answer."""
        self._asked += 1
        self._send({"id": self._asked, "method": method, "params": params})
        while True:
            said = self._hear()
            if said.get("id") == self._asked and "method" not in said:
                if "error" in said:
                    raise Unanswered(str(said["error"]))
                return said.get("result")

    def tell(self, method: str, params: Any) -> None:
        """Tell it something that it does not answer."""
        self._send({"method": method, "params": params})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._process.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        """Give the next message; a question of the server is answered at once."""
        said = self._read()
        if "id" in said and "method" in said:
            wanted = said["params"].get("items", []) if said["method"] == "workspace/configuration" else None
            answer = None if wanted is None else [self._settings.get(each["section"], {}) for each in wanted]
            self._send({"id": said["id"], "result": answer})
        return said

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout
        length = 0
        while (line := self._process.stdout.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        if not length:
            raise Unanswered("the server has gone")
        message: dict[str, Any] = json.loads(self._process.stdout.read(length))
        return message


@contextmanager
def serving(command: Sequence[str], schema: Path | None = None) -> Iterator[LanguageServer]:
    """Start a server, and end it."""
    server = LanguageServer(command, schema)
    try:
        yield server
    finally:
        server.close()


def _at_bar(text: str) -> tuple[str, dict[str, int]]:
    before, _, after = text.partition("|")
    line = before.count("\n")
    return before + after, {"line": line, "character": len(before) - before.rfind("\n") - 1}


def _words(documentation: Any) -> str:
    said = documentation.get("value", "") if isinstance(documentation, dict) else documentation or ""
    return str(said)
