"""A secret taken out of what others print, in every form in which it is likely to be printed."""

import base64
import html
import json
import re
from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import quote, quote_plus

STARS = b"***"
_ENCODINGS = (
    ("utf-8", "surrogatepass"),
    ("utf-8", "surrogateescape"),
    ("latin-1", "strict"),
    ("cp1252", "strict"),
)
_PERCENT = re.compile(r"%[0-9A-F]{2}")
_DOUBLE_QUOTES = ("&quot;", "&#34;", "&#x22;")
_SINGLE_QUOTES = ("&#x27;", "&#39;", "&#039;", "&apos;")
_SHORTEST_PART = 4
"""Fewer characters of base64 are in many words, and tell too little."""


class Scrubber:
    """Takes secrets out of bytes, also where they are torn in two."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets if secret for form in _forms(secret) if form}
        self._forms = sorted(forms, key=len, reverse=True)
        self._held = b""

    def text(self, text: str) -> str:
        """Give a text without the secrets."""
        return self._scrubbed(text.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")

    def feed(self, content: bytes) -> bytes:
        """Give what can be passed on of a stream; an end that may be the beginning of a secret is held back."""
        content = self._scrubbed(self._held + content)
        kept = max((_overlap(content, form) for form in self._forms), default=0)
        self._held = content[len(content) - kept :]
        return content[: len(content) - kept]

    def rest(self) -> bytes:
        """Give what was held back, once the stream has ended."""
        held, self._held = self._held, b""
        return held

    def _scrubbed(self, content: bytes) -> bytes:
        for form in self._forms:
            content = content.replace(form, STARS)
        return content


def _forms(secret: str) -> Iterable[bytes]:
    """Give the forms in which programs print a text: as it is, escaped, quoted, or as part of something encoded."""
    for raw in _encoded(secret):
        yield raw
        for text in _quoted(repr(bytes([byte]))[2:-1] for byte in raw):
            yield text.encode()
        yield from _in_base64(raw)
        for safe in ("", "/"):
            for form in (quote(raw, safe=safe), quote_plus(raw, safe=safe)):
                yield form.encode()
                yield _PERCENT.sub(lambda found: found[0].lower(), form).encode()
    escaped = (
        *_quoted(repr(char)[1:-1] for char in secret),
        *_quoted(ascii(char)[1:-1] for char in secret),
        secret.encode("unicode_escape").decode(),
        *(json.dumps(secret, ensure_ascii=each)[1:-1] for each in (True, False)),
        json.dumps(secret)[1:-1].replace("/", "\\/"),  # as PHP writes it
        *_in_html(secret),
    )
    for text in escaped:
        yield from _encoded(text)


def _encoded(text: str) -> Iterable[bytes]:
    for name, errors in _ENCODINGS:
        with suppress(UnicodeEncodeError):
            yield text.encode(name, errors)


def _quoted(shown: Iterable[str]) -> Iterable[str]:
    """Join characters as `repr` shows each, with each kind of quote escaped and not: it depends on what is around."""
    bare = "".join({"\\'": "'"}.get(each, each) for each in shown)
    single, double = bare.replace("'", "\\'"), bare.replace('"', '\\"')
    return bare, single, double, single.replace('"', '\\"')


def _in_html(secret: str) -> Iterable[str]:
    bare = html.escape(secret, quote=False)
    return (
        bare,
        bare.replace('"', "&quot;"),
        *(bare.replace('"', two).replace("'", one) for two in _DOUBLE_QUOTES for one in _SINGLE_QUOTES),
    )


def _in_base64(raw: bytes) -> Iterable[bytes]:
    """Give it alone, and the characters that are its own wherever it begins in what is encoded with it."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(raw)
        yield encode(raw).rstrip(b"=")
        for before in range(3):
            first = -(-before * 8 // 6)  # those before it depend on what stands there
            behind = (before + len(raw)) * 8 // 6
            own = encode(b"\0" * before + raw + b"\0\0")[first:behind]
            if len(own) >= _SHORTEST_PART:
                yield own


def _overlap(content: bytes, form: bytes) -> int:
    """Give how many bytes at the end of `content` are a beginning of `form`."""
    longest = min(len(form) - 1, len(content))
    return next((size for size in range(longest, 0, -1) if content.endswith(form[:size])), 0)
