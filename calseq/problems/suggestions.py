"""Words that are like one another: 'did you mean', and whether there is no doubt about it."""

import difflib
from collections.abc import Iterable
from functools import lru_cache

MAX_WORD = 64

_LIKE = 0.6
_SURE = 0.8
_MARGIN = 0.1


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Suggest a known word that is like `word`; empty if none is."""
    close = closest(word, known)
    return f"did you mean '{close}'?" if close else ""


def closest(word: object, known: Iterable[str]) -> str:
    """Give the known word that is most like `word`; empty if none is."""
    return _likest(str(word)[:MAX_WORD], tuple(known))[0]


def meant(word: object, known: Iterable[str]) -> str:
    """Give the known word that `word` is without doubt a slip of: very like it, and no other nearly as much."""
    close, is_sure = _likest(str(word)[:MAX_WORD], tuple(known))
    return close if is_sure else ""


@lru_cache(maxsize=4096)
def _likest(word: str, known: tuple[str, ...]) -> tuple[str, bool]:
    folded = {_folded(name): name for name in known}
    sought = _folded(word)
    close = difflib.get_close_matches(sought, folded, n=2, cutoff=_LIKE)
    if not close:
        return "", False
    best, second = (_ratio(sought, name) for name in (close[0], close[-1]))
    is_alone = len(close) == 1 or best - second >= _MARGIN
    return folded[close[0]], best == 1 or (best >= _SURE and is_alone)


def _ratio(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()


def _folded(word: str) -> str:
    """Case, dashes and a word's own leading dashes are how people write the same thing."""
    return word.lower().replace("-", "_").lstrip("_")
