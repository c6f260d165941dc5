"""What happens to a queue of results, as frozen values: the lines of `upload.jsonl`."""

from enum import StrEnum

from msgspec import Struct

from calseq.model.destinations import Upload
from calseq.upload.results import Gap, Result

QUEUE_FORMAT = 1


class State(StrEnum):
    """Where a result is.

    `sending`: an attempt began and nobody knows how it ended. `refused`: the receiver, or calseq itself, said no.
    `given-up`: it could not be reached for long enough. `unclear`: it may have arrived and must not be sent again by
    itself; only a person can tell.
    """

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    REFUSED = "refused"
    GIVEN_UP = "given-up"
    UNCLEAR = "unclear"


class Queued(Struct, frozen=True):
    """Results were queued for `upload`: all that the run has by now, known ones included.

    `in_part`: steps of the sequence were left out, so that they are not all of its results.
    """

    run: str
    title: str
    software: str
    upload: Upload
    simulated: bool
    results: tuple[Result, ...]
    gaps: tuple[Gap, ...] = ()
    in_part: bool = False
    format: int = QUEUE_FORMAT


class Marked(Struct, frozen=True):
    """Results of a module are in another state now, and why. `maybe`: they may have arrived all the same.

    `note` is what the receiver remarked on what it took.
    """

    module: str
    names: tuple[str, ...]
    state: State
    reason: str = ""
    maybe: bool = False
    note: str = ""


class SequenceAsked(Struct, frozen=True):
    """The database is about to be asked for a sequence to put a module's results into."""

    module: str


class SequenceOpened(Struct, frozen=True):
    """The database made a sequence; `sequence` is its number there. Every result of the module goes into it."""

    module: str
    sequence: int


class SequenceFailed(Struct, frozen=True):
    """The database made no sequence, or did not say so: then, with `maybe`, an empty one may be left in it."""

    module: str
    reason: str
    maybe: bool = False


Entry = Queued | Marked | SequenceAsked | SequenceOpened | SequenceFailed

KINDS: dict[str, type] = {
    "queued": Queued,
    "marked": Marked,
    "sequence-asked": SequenceAsked,
    "sequence-opened": SequenceOpened,
    "sequence-failed": SequenceFailed,
}
"""Every kind of line by the name that it has in the file."""
