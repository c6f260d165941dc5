"""The version of what a run writes down: an older one is read, a newer one is refused with words."""

import msgspec
from msgspec import Struct


class _Versioned(Struct, frozen=True):
    format: int = 1


def check_format(text: bytes, known: int) -> None:
    """See that a JSON document is of a format that is known. What has no `format` is of the first.

    Raises:
        msgspec.ValidationError: it is of a newer one.
        msgspec.DecodeError: it is not a JSON object.
    """
    refuse_newer(msgspec.json.decode(text, type=_Versioned).format, known)


def refuse_newer(found: object, known: int) -> None:
    """Refuse a number of a format that nobody knew when this was written.

    Raises:
        msgspec.ValidationError: it is one.
    """
    if isinstance(found, int) and found > known:
        raise msgspec.ValidationError(
            f"it is of format {found}, and this calseq reads up to {known}: read it with a newer calseq"
        )
