"""What lies in a run folder, looked at without trusting it: files are listed, and pictures are read if they are any."""

import os
import stat
from pathlib import Path
from urllib.parse import quote

from msgspec import Struct

from calseq.system.files import read_regular

MOST_FILES = 2000
"""So many files of one attempt are looked at."""

_LOOKED = 10
"""So many times as many names are looked at: empty folders, links and the like take their time, too."""

PICTURE_BYTES = 500_000
PICTURES_BYTES = 3_000_000
"""A picture up to the one size is put into the page itself, and all of them together up to the other."""

_MAGIC = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}


class Listed(Struct, frozen=True):
    """A file as it lies below the run folder: its name there, and its size in bytes."""

    name: str
    size_bytes: int

    @property
    def link(self) -> str:
        """Its name as a link from the run folder."""
        return link(self.name)

    @property
    def is_picture(self) -> bool:
        """Its name says that it is a PNG or JPEG picture."""
        return self.name.lower().endswith((".png", ".jpg", ".jpeg"))


class Listing(Struct, frozen=True):
    """The files of a folder in the order of their names; `more`: there are others that were not looked at."""

    files: tuple[Listed, ...] = ()
    more: bool = False


def listed(folder: Path, directory: str, most: int = MOST_FILES) -> Listing:
    """List the regular files below a directory of a run folder, `most` at most. Links are not followed; nothing is raised."""
    if not is_below(directory):
        return Listing()
    found: list[Listed] = []
    root = os.path.join(folder, directory)  # noqa: PTH118 - names are joined as they are
    looked = 0
    for place, folders, names in os.walk(root):
        if looked > _LOOKED * most:
            return Listing(tuple(found), more=True)
        folders.sort()
        looked += 1
        for name in sorted(names):
            looked += 1
            if len(found) >= most or looked > _LOOKED * most:
                return Listing(tuple(found), more=True)
            path = os.path.join(place, name)  # noqa: PTH118
            size_bytes = _size(path)
            if size_bytes is not None:
                found.append(Listed(os.path.relpath(path, folder), size_bytes))
    return Listing(tuple(found))


def is_below(name: str) -> bool:
    """Whether a name that a record gives leads below the run folder, and not out of it."""
    return bool(name) and not name.startswith("/") and ".." not in name.split("/") and "\0" not in name


def link(name: str) -> str:
    """Give a name below the run folder as a relative link, whatever bytes are in it."""
    return quote(os.fsencode(name))


def read_picture(folder: Path, name: str) -> tuple[str, bytes] | None:
    """Give the media type and the bytes of a picture; None if it is none, is too large, or cannot be read."""
    content = read_regular(folder / name, PICTURE_BYTES)
    if content is None:
        return None
    media = next((media for magic, media in _MAGIC.items() if content.startswith(magic)), None)
    return (media, content) if media else None


def _size(path: str) -> int | None:
    try:
        status = os.lstat(path)
    except (OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
