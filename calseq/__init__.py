"""calseq: declarative calibration sequences for detector modules, run safely through dirigent."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from calseq.api import compile_plan, execute, load, load_bench, preflight, resume
    from calseq.problems import InvalidCalibration, MissingInstrument, MissingTuning, Problem, Refused

__version__ = "0.2.0"

__all__ = [
    "InvalidCalibration",
    "MissingInstrument",
    "MissingTuning",
    "Problem",
    "Refused",
    "__version__",
    "compile_plan",
    "execute",
    "load",
    "load_bench",
    "preflight",
    "resume",
]

_API = {"compile_plan", "execute", "load", "load_bench", "preflight", "resume"}


def __getattr__(name: str) -> Any:
    """Import what is asked for only then: the command line starts fast."""
    if name not in __all__:
        raise AttributeError(f"module 'calseq' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module("calseq.api" if name in _API else "calseq.problems"), name)
