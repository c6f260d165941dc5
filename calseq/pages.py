"""Pages made of templates: the only door of jinja2."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined


def page(template: str, **facts: object) -> str:
    """Fill in a template of calseq; every text in it is escaped, and a fact that is missing is an error."""
    return _environment().get_template(template).render(**facts)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("calseq", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
