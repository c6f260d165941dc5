"""Ph2_ACF, which dirigent measures with: sourced into the shell, or named in dirigent.toml."""

import os
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from calseq.bench.bench import Bench
from calseq.doctor.checks import Check, failed, ok, skipped, warning
from calseq.doctor.folders import is_folder
from calseq.model.plan import PowerMode

_NAME = "Ph2_ACF"
_CURE = "`source setup.sh` in your Ph2_ACF folder, then start calseq from that shell"


def examine_ph2_acf(bench: Bench | None, environ: Mapping[str, str]) -> Iterator[Check]:
    """Say where a child with the variables `environ` finds Ph2_ACF."""
    if bench and bench.mode is PowerMode.SIMULATED:
        yield skipped(_NAME, "the bench is simulated")
    else:
        yield _sourced(environ) or _configured(bench)


def _sourced(environ: Mapping[str, str]) -> Check | None:
    base = environ.get("PH2ACF_BASE_DIR")
    if base and not is_folder(Path(base)):
        return failed(_NAME, f"PH2ACF_BASE_DIR is {base}, which is no folder", _CURE)
    found = base or shutil.which("CMSITminiDAQ", path=environ.get("PATH", os.defpath))
    return ok(_NAME, f"sourced: {found}") if found else None


def _configured(bench: Bench | None) -> Check:
    folder = _ph2_dir(bench.config) if bench and bench.config else ""
    if folder:
        return ok(_NAME, f"not sourced; dirigent.toml names {folder}")
    tell = failed if bench else warning
    return tell(_NAME, "not sourced: no PH2ACF_BASE_DIR, and no CMSITminiDAQ on the PATH", _CURE)


def _ph2_dir(config: Path) -> str:
    tables: Mapping[str, Any] = {}
    with suppress(OSError, ValueError):
        tables = tomllib.loads(config.read_text(encoding="utf-8"))
    return str(tables.get("ph2_dir") or tables.get("ph2-dir") or "")
