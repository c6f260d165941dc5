"""Secrets among the variables that a bench gives its children: kept from whatever is written or shown."""

import json
import re
from collections.abc import Mapping

STARS = "***"
"""Stands for a secret wherever it would stand."""

_SECRET = re.compile(
    r"(^|[_.-])(PASS|PASSWD|PASSWORD|PASSPHRASE|PWD|TOKEN|SECRET|KEY|APIKEY|CREDENTIALS?)S?($|[_.-])",
    re.IGNORECASE,
)
_NOT_SECRET = ("PWD", "OLDPWD")
_LEAST = 6
"""A shorter value may stand in a text for something else: it is taken out only behind its name."""


def is_secret(name: str) -> bool:
    """A variable of this name holds a secret."""
    return name not in _NOT_SECRET and _SECRET.search(name) is not None


def hidden(variables: Mapping[str, str]) -> dict[str, str]:
    """Give variables with stars for secrets."""
    return {name: STARS if is_secret(name) else value for name, value in variables.items()}


def told(variables: Mapping[str, str]) -> dict[str, str]:
    """Give variables without those of which only stars were stored: a child then has what it inherits."""
    return {name: value for name, value in variables.items() if not (value == STARS and is_secret(name))}


def blotted(text: bytes, variables: Mapping[str, str]) -> bytes:
    """Give the text of a file with stars for the secrets among these variables."""
    for name, value in variables.items():
        for form in sorted(_forms(value), key=len, reverse=True) if is_secret(name) and value else ():
            behind = re.compile(
                rb"(\b" + re.escape(name.encode()) + rb"[\"']?\s*:\s*[\"']?)" + re.escape(form)
            )
            text = behind.sub(rb"\g<1>" + STARS.encode(), text)
            if len(form) >= _LEAST:
                text = text.replace(form, STARS.encode())
    return text


def _forms(value: str) -> set[bytes]:
    """Give the ways in which a file may write a value."""
    written = {
        value,
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        value.replace("'", "''"),
    }
    return {each.encode("utf-8", "surrogatepass") for each in written}
