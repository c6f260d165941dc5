"""Problems for other programs: a report in the form that each of them reads, one module per form."""

from importlib import import_module

from calseq.problems.formats.report import Report

__all__ = ["FORMATS", "Report", "report_text"]

_MODULES = {
    "concise": "concise",
    "json": "as_json",
    "github": "github",
    "gitlab": "gitlab",
    "junit": "junit",
    "sarif": "sarif",
}
FORMATS = ("full", *_MODULES)


def report_text(report: Report, format_: str) -> str:
    """Write a report in one of `FORMATS` but 'full', without a final newline."""
    module = import_module(f"calseq.problems.formats.{_MODULES[format_]}")
    return str(module.text(report))
