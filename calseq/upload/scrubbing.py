"""A secret taken out of what others print, in every form in which it is likely to be printed."""

import base64
import json
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

STARS = b"***"


class Scrubber:
    """Takes secrets out of bytes, also where they are torn in two."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets if secret for form in _forms(secret)}
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
    raw = secret.encode()
    yield raw
    yield json.dumps(secret)[1:-1].encode()
    yield json.dumps(secret, ensure_ascii=False)[1:-1].encode()
    yield repr(secret)[1:-1].encode()
    yield repr(raw)[2:-1].encode()
    yield quote(secret, safe="").encode()
    yield quote_plus(secret).encode()
    yield base64.b64encode(raw)


def _overlap(content: bytes, form: bytes) -> int:
    """Give how many bytes at the end of `content` are a beginning of `form`."""
    longest = min(len(form) - 1, len(content))
    return next((size for size in range(longest, 0, -1) if content.endswith(form[:size])), 0)
