"""Pages in HTML, made of templates in which every text is inert."""

from functools import cache
from typing import TYPE_CHECKING

from calseq.problems.plaintext import printable

if TYPE_CHECKING:
    from jinja2 import Environment


def page(template: str, **facts: object) -> str:
    """Fill a template of calseq's own in. Every text among the facts is escaped, and shown in one harmless line.

    Raises:
        jinja2.TemplateError: the template has a bug, such as a fact that is missing.
    """
    return _environment().get_template(template).render(**facts)


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - 40 ms that only a page needs

    return Environment(
        loader=PackageLoader("calseq.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _shown(value: object) -> object:
    """Write what could turn a line round or hide in it as an escape; markup is no plain `str`."""
    return printable(value) if type(value) is str else value
