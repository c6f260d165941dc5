"""icicle's own locks, without which no supply can be asked anything: may this user take them."""

import os
from collections.abc import Mapping
from pathlib import Path

from calseq.bench.bench import Bench
from calseq.doctor.checks import Check, failed, ok, quoted, skipped
from calseq.doctor.folders import is_folder
from calseq.model.rails import SUPPLIES

_FOLDER = "/tmp/icicle"  # noqa: S108 - icicle's own
_NAME = "icicle's locks"


def examine_locks(bench: Bench, environ: Mapping[str, str]) -> Check:
    """Look at the folder of icicle's locks, and at those of this bench's supplies that are there already.

    A lock of a serial port is the port itself, which is looked at as an instrument's device.
    """
    kind, named = environ.get("ICICLE_LOCK_TYPE", "").upper(), environ.get("ICICLE_LOCK_PATH")
    if kind in ("MUTEX", "LOCKFILE"):
        return skipped(_NAME, f"ICICLE_LOCK_TYPE is {kind}")
    folder = Path(named or _FOLDER)
    if not is_folder(folder):
        return _no_folder(folder, is_made=not named)
    if not _may_write(folder):
        cure = f"`sudo chmod 1777 {quoted(folder)}`; or name another in the bench file: `env: {{ICICLE_LOCK_PATH: ...}}`"
        return failed(_NAME, f"{folder} may not be written: no supply can be asked anything", cure)
    for lock in _locks(bench, folder):
        if os.path.lexists(lock) and not os.access(lock, os.W_OK, effective_ids=True):
            cure = f"when nobody uses the supply: `sudo rm {quoted(lock)}`"
            return failed(_NAME, f"{lock} is another user's: icicle refuses the supply", cure)
    return ok(_NAME, f"{folder} can be written")


def _no_folder(folder: Path, *, is_made: bool) -> Check:
    """icicle makes its own folder, and none that is named to it."""
    if is_made and not os.path.lexists(folder) and _may_write(folder.parent):
        return ok(_NAME, f"{folder}, which icicle makes")
    cure = f"`sudo mkdir -p -m 1777 {quoted(folder)}`"
    return failed(_NAME, f"{folder} is no folder, or is not there: icicle refuses every supply", cure)


def _locks(bench: Bench, folder: Path) -> list[Path]:
    instruments, _ = bench.wiring.reduced(SUPPLIES)
    names = [str(entry["resource"]).replace("::INSTR", "") for entry in instruments.values()]
    return [folder / name.replace("/", "__").replace(":", "--") for name in names]


def _may_write(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=True)
