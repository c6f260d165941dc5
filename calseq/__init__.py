"""calseq: declarative calibration sequences for detector modules, run safely through dirigent."""

from typing import TYPE_CHECKING, Any

from calseq.model.version import __version__

if TYPE_CHECKING:
    from calseq.api import compile_plan, execute, load, load_bench, preflight, resume
    from calseq.model.plan import from_json, to_json
    from calseq.model.request import Selection
    from calseq.problems.problem import Problem
    from calseq.problems.refused import InvalidCalibration, MissingInstrument, MissingTuning, Refused


__all__ = [
    "InvalidCalibration",
    "MissingInstrument",
    "MissingTuning",
    "Problem",
    "Refused",
    "Selection",
    "__version__",
    "compile_plan",
    "execute",
    "from_json",
    "load",
    "load_bench",
    "preflight",
    "resume",
    "to_json",
]

_HOMES = {
    **dict.fromkeys(("compile_plan", "execute", "load", "load_bench", "preflight", "resume"), "calseq.api"),
    **dict.fromkeys(("from_json", "to_json"), "calseq.model.plan"),
    "Selection": "calseq.model.request",
    "Problem": "calseq.problems.problem",
    **dict.fromkeys(
        ("InvalidCalibration", "MissingInstrument", "MissingTuning", "Refused"), "calseq.problems.refused"
    ),
}


def __getattr__(name: str) -> Any:
    """Import what is asked for only then: the command line starts fast."""
    if name not in _HOMES:
        raise AttributeError(f"module 'calseq' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(_HOMES[name]), name)
