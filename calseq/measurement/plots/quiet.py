"""Silence around matplotlib, which complains when it is imported about folders and fonts that are of no interest here."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quietly() -> Iterator[None]:
    """Let matplotlib say nothing: where its cache cannot be written it takes a folder that it removes again."""
    log = logging.getLogger("matplotlib")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a character that its font lacks: the browser has another font
            yield
    finally:
        log.setLevel(level)
