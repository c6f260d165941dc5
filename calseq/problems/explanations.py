"""What each code means and why it matters, with an example: the pages of `calseq explain` and of docs/codes.md."""

import tomllib
from functools import cache
from pathlib import Path

from msgspec import Struct, convert

from calseq.problems.codes import CODES
from calseq.problems.problem import Code
from calseq.problems.suggestions import did_you_mean

SEQUENCE = "sequence.yaml"


class Explanation(Struct, frozen=True, forbid_unknown_fields=True):
    """The page of one code.

    `wrong` and `right` are examples of a `file`: a sequence on the bundled bench, an instruments.json, or a command.
    A code of the machine has none of them, but a `situation`, and the command that may `mend` it.
    """

    why: str
    file: str = SEQUENCE
    wrong: str = ""
    right: str = ""
    situation: str = ""
    mend: str = ""


def explanation(code: Code) -> Explanation:
    """Give the page of a code."""
    page = convert(pages()[code.id], Explanation)
    return Explanation(
        " ".join(page.why.split()), page.file, page.wrong, page.right, page.situation, page.mend
    )


def find_code(word: str) -> Code | None:
    """Give the code that is called so, by its number or its name, in whatever case."""
    sought = word.strip().lower()
    return next((code for code in CODES.values() if sought in (code.id.lower(), code.name)), None)


def near_code(word: str) -> str:
    """Suggest a code for a word that is none; empty if none is like it."""
    sought = word.strip().upper().replace("O", "0")
    by_number = CODES.get(sought) or CODES.get(f"CS{sought}")
    if by_number:
        return f"did you mean '{by_number.id}'?"
    return did_you_mean(word, [code.name for code in CODES.values()])


@cache
def pages() -> dict[str, object]:
    """Give all pages by the number of their code, as the file has them."""
    return tomllib.loads(Path(__file__).with_name("codes.toml").read_text(encoding="utf-8"))
