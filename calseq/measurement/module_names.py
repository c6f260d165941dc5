"""Which module a file is of, by its name: a longer name that has another one in it is not that other one's."""

import re
from collections.abc import Iterable, Iterator

_LETTER = "[A-Za-z0-9]"


def modules_named(path: str, names: Iterable[str]) -> tuple[str, ...]:
    """Give those of `names` that stand in a file's name, else in that of the nearest folder below its step's.

    `path` is relative to the run folder: `data/03-iv_curve/IV_M1-2.csv`. A name stands there if no letter or digit
    is beside it. `M1` does not stand where `M1-2` does: of names that overlap so, only the longest is meant.
    """
    known = tuple(dict.fromkeys(filter(None, names)))
    parts = [part for part in path.split("/") if part]
    found = (_standing(part, known) for part in (*parts[-1:], *parts[-2:1:-1]))
    return next(filter(None, found), ())


def _standing(text: str, names: tuple[str, ...]) -> tuple[str, ...]:
    places = {name: tuple(_places(name, text)) for name in names}
    taken = [place for each in places.values() for place in each]
    return tuple(name for name in names if any(not _is_within(place, taken) for place in places[name]))


def _places(name: str, text: str) -> Iterator[tuple[int, int]]:
    # looking ahead finds those, too, that overlap
    for match in re.finditer(rf"(?<!{_LETTER})(?={re.escape(name)}(?!{_LETTER}))", text):
        yield match.start(), match.start() + len(name)


def _is_within(place: tuple[int, int], others: Iterable[tuple[int, int]]) -> bool:
    return any(start <= place[0] and place[1] <= end and (start, end) != place for start, end in others)
