"""Whether this machine and this bench can run: what each check found, and the command that mends it.

Nothing is switched, opened or contacted. dirigent is asked for its help only, and with no instrument in its hands.
"""

import grp
import ipaddress
import os
import platform
import pwd
import re
import shlex
import shutil
import signal
import stat
import sys
import tempfile
import threading
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from calseq import __version__, locks
from calseq.assets import BENCH_FILE
from calseq.bench import FLAGS, Bench
from calseq.catalog import Calibration, Catalog, builtin
from calseq.clocks import now_s
from calseq.compiler import SIMULATED_DIRIGENT
from calseq.plaintext import printable
from calseq.plan import Instrument, PowerMode
from calseq.process import Child, Exit, NotStarted, end_all
from calseq.rails import Role
from calseq.run import CHILD_VARIABLES
from calseq.runs import MIN_FREE_BYTES
from calseq.stops import Stops

PATIENCE_S = 20.0
"""How long a program may take over its help: dirigent's imports come from a network disk on some machines."""

_AT_ONCE = 4
_DISK_PATIENCE_S = 5.0
_GRACE_S = 1.0
_MAX_ANSWER_BYTES = 1 << 20
_SIGN_OF_CMS = "iv_curve"
_SITE = "in the file that `calibrations:` of the bench file names"
_OWNED = ("--instruments-dict", "--channels-dict", "--directory")
_OLDEST_GUARD = (3, 8)
_REMOTE = re.compile(
    r"nfs4?|afs|auristorfs|cifs|smb3|smbfs|9p|virtiofs|ceph|lustre|gpfs|beegfs|glusterfs|fuse(\..*)?"
)

_T = TypeVar("_T")


class Status(StrEnum):
    """What a check came to. `skipped` says why in its finding; only `failed` keeps a bench from running."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


class Check(Struct, frozen=True):
    """One thing that was looked at. All texts are printable; `cure` is what mends it."""

    section: str
    name: str
    status: Status
    finding: str
    cure: str = ""


class Machine(Struct, frozen=True):
    """This machine as the checks see it: `mounts` and `cgroups` are the kernel's own texts."""

    environ: Mapping[str, str]
    encoding: str
    mounts: str = ""
    cgroups: str = ""
    lock_folders: tuple[Path, ...] = tuple(map(Path, locks.FOLDERS))


def this_machine(environ: Mapping[str, str], encoding: str) -> Machine:
    """Give the machine that calseq runs on, its screen in that `encoding`."""
    return Machine(environ, encoding, _kernel_text("mountinfo"), _kernel_text("cgroup"))


def examine(
    machine: Machine,
    bench: Bench | None,
    stops: Stops,
    *,
    refused: str = "",
    patience_s: float = PATIENCE_S,
) -> Iterator[Check]:
    """Give every check, section by section, as soon as it is made.

    `refused` names a bench file that cannot be used: then, and without any bench, only the machine is looked at.
    """
    variables = bench.variables if bench else {}
    environ = {**machine.environ, **variables, **CHILD_VARIABLES}
    cwd = bench.cwd if bench and _is_folder(bench.cwd) else Path.cwd()
    ask = _Asking(environ, str(cwd), stops, patience_s)
    sections: tuple[tuple[str, Iterable[Check]], ...] = (
        ("machine", _machine(machine, bench, environ)),
        ("bench", _bench(bench, refused)),
        ("dirigent", _dirigent(bench, refused, ask)),
        ("instruments", _instruments(bench) if bench else ()),
        ("power", _power(bench, ask) if bench else ()),
    )
    for section, checks in sections:
        for check in checks:
            if stops.level:
                return
            yield replace(check, section=section)


def _ok(name: str, finding: str) -> Check:
    return _check(name, Status.OK, finding)


def _warning(name: str, finding: str, cure: str) -> Check:
    return _check(name, Status.WARNING, finding, cure)


def _failed(name: str, finding: str, cure: str) -> Check:
    return _check(name, Status.FAILED, finding, cure)


def _skipped(name: str, reason: str, cure: str = "") -> Check:
    return _check(name, Status.SKIPPED, reason, cure)


def _check(name: str, status: Status, finding: str, cure: str = "") -> Check:
    return Check("", printable(name, 80), status, printable(finding, 1000), printable(cure, 1000))


def _is_folder(path: Path) -> bool:
    """It is a folder as far as this user can see; `Path.is_dir` raises where another folder bars the way."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _quoted(path: str | Path) -> str:
    """Give a path as a shell takes it: cures are copied into one."""
    return shlex.quote(str(path))


# The machine


def _machine(machine: Machine, bench: Bench | None, environ: Mapping[str, str]) -> Iterator[Check]:
    yield _ok("calseq", f"{__version__} in {Path(__file__).parent}")
    yield _ok("python", f"{platform.python_version()}, {sys.executable}")
    yield _screen(machine)
    yield _session(machine)
    yield _lock_folder(machine)
    yield _ph2_acf(bench, environ)


def _screen(machine: Machine) -> Check:
    if machine.encoding.lower().replace("-", "").startswith("utf"):
        return _ok("terminal", f"shows {machine.encoding.upper()}")
    finding = f"shows only {machine.encoding.upper() or 'ASCII'}: calseq falls back to ASCII"
    return _warning("terminal", finding, "`export LC_ALL=C.UTF-8`")


def _session(machine: Machine) -> Check:
    for variable, program in (("TMUX", "tmux"), ("STY", "screen")):
        if machine.environ.get(variable):
            return _ok("session", f"inside {program}: it outlives a lost login")
    unit = _unit(machine.cgroups)
    if unit:
        return _ok("session", f"in the systemd unit {unit}: it outlives a lost login")
    finding = "not inside tmux, screen or a systemd scope: a lost login takes the screen of a run away"
    return _warning("session", finding, "`tmux new -s calseq`, or `systemd-run --user --scope calseq ...`")


def _unit(cgroups: str) -> str:
    """Give the unit that somebody started for this very purpose; a login's own scope ends with the login."""
    for line in cgroups.splitlines():
        leaf = line.rpartition("/")[2]
        if re.fullmatch(r"run-.+\.(scope|service)", leaf):
            return leaf
        if leaf.endswith(".service") and not leaf.startswith(("user@", "sshd")):
            return leaf
    return ""


def _lock_folder(machine: Machine) -> Check:
    usable = (each for each in machine.lock_folders if os.access(each, os.W_OK | os.X_OK, effective_ids=True))
    folder = next(usable, None)
    if folder is None:
        names = ", ".join(map(str, machine.lock_folders))
        return _failed("lock folder", f"none can be written: {names}", _make(machine.lock_folders[0]))
    kind = _file_system(folder, machine.mounts)
    if _REMOTE.fullmatch(kind):
        finding = f"{folder} is not on a local disk ({kind}): two runs could hold one instrument"
        return _failed("lock folder", finding, f"`sudo mount -t tmpfs -o mode=1777 tmpfs {_quoted(folder)}`")
    if not folder.stat().st_mode & stat.S_IWOTH:
        finding = f"{folder} is not for every user: runs of others are locked elsewhere, and not seen"
        return _warning("lock folder", finding, f"`sudo chmod 1777 {_quoted(folder)}`")
    return _ok("lock folder", f"{folder} ({kind or 'its file system is not known'})")


def _make(folder: Path) -> str:
    return f"`sudo mkdir -p -m 1777 {_quoted(folder)}`"


def _file_system(folder: Path, mounts: str) -> str:
    """Give the type of the file system that a folder is on, from mountinfo: the deepest mount, the last of equals."""
    path, kind, deepest = str(folder.resolve()), "", -1
    for line in mounts.splitlines():
        head, _, tail = line.partition(" - ")
        fields = head.split()
        if len(fields) < 5 or not tail:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), fields[4])
        below = point.rstrip("/")
        if (path == below or path.startswith(below + "/")) and len(below) >= deepest:
            kind, deepest = tail.split()[0], len(below)
    return kind


def _ph2_acf(bench: Bench | None, environ: Mapping[str, str]) -> Check:
    name, cure = "Ph2_ACF", "`source setup.sh` in your Ph2_ACF folder, then start calseq from that shell"
    if bench and bench.mode is PowerMode.SIMULATED:
        return _skipped(name, "the bench is simulated")
    base = environ.get("PH2ACF_BASE_DIR")
    if base and not _is_folder(Path(base)):
        return _failed(name, f"PH2ACF_BASE_DIR is {base}, which is no folder", cure)
    program = shutil.which("CMSITminiDAQ", path=environ.get("PATH", os.defpath))
    if base or program:
        return _ok(name, f"sourced: {base or program}")
    configured = _ph2_dir(bench)
    if configured:
        return _ok(name, f"not sourced; dirigent.toml names {configured}")
    finding = "not sourced: no PH2ACF_BASE_DIR, and no CMSITminiDAQ on the PATH"
    return _failed(name, finding, cure) if bench else _warning(name, finding, cure)


def _ph2_dir(bench: Bench | None) -> str:
    tables: Mapping[str, Any] = {}
    if bench and bench.config:
        with suppress(OSError, ValueError):
            tables = tomllib.loads(bench.config.read_text(encoding="utf-8"))
    return str(tables.get("ph2_dir") or tables.get("ph2-dir") or "")


def _kernel_text(name: str) -> str:
    try:
        return Path("/proc/self", name).read_text(errors="replace")
    except OSError:
        return ""


# The bench


_MODES = {
    PowerMode.ICICLE: "icicle: calseq holds LV and HV between the steps",
    PowerMode.DIRIGENT: "dirigent: calseq touches no supply, and reports none as switched",
    PowerMode.SIMULATED: "SIMULATED: nothing real is measured",
}


def _bench(bench: Bench | None, refused: str) -> Iterator[Check]:
    if bench is None:
        yield _no_bench(refused)
        return
    yield _ok("bench", f"{bench.name}, {bench.document.path}")
    yield _ok("power mode", _MODES[bench.mode])
    yield _working_folder(bench)
    yield _toml(bench)
    yield _modules(bench)
    yield from _runs(bench)


def _no_bench(refused: str) -> Check:
    if refused:
        finding = f"{refused} is refused: only the machine is looked at"
        return _failed("bench", finding, f"`calseq validate {_quoted(refused)}` tells why")
    cure = f"`calseq doctor --bench FILE`, or go to a folder with a {BENCH_FILE}"
    return _skipped("bench", f"there is no {BENCH_FILE} here or above: only the machine is looked at", cure)


def _working_folder(bench: Bench) -> Check:
    if _is_folder(bench.cwd):
        return _ok("working folder", str(bench.cwd))
    return _failed("working folder", f"{bench.cwd} is not there", f"`mkdir -p {_quoted(bench.cwd)}`")


def _toml(bench: Bench) -> Check:
    if bench.config is None:
        cure = "set `dirigent: {config: dirigent.toml}` in the bench file"
        return _skipped("dirigent.toml", "the bench file names none: dirigent goes by its own defaults", cure)
    return _ok("dirigent.toml", f"{bench.config}, read and understood")


def _modules(bench: Bench) -> Check:
    if not any(file.kind == "modules" for file in bench.inputs):
        cure = "set `modules: modules.json` in the bench file"
        return _skipped("modules.json", "the bench file names none: modules go by their channel", cure)
    nameless = [module.channel for module in bench.modules if not module.name]
    if nameless:
        finding = f"no module_name for channel {', '.join(nameless)}: records show the channel only"
        return _warning(
            "modules.json", finding, "add it in modules.json below 'Hybrid', or run get_module_info"
        )
    names = ", ".join(f"{module.name} on channel {module.channel}" for module in bench.modules)
    return _ok("modules.json", names)


def _runs(bench: Bench) -> Iterator[Check]:
    """Try the folder of the runs, which is not made here; a dead network disk is not waited for."""
    tried = _within(_DISK_PATIENCE_S, lambda: _try_folder(bench.runs))
    if tried is None:
        finding = f"{bench.runs} did not answer in {_DISK_PATIENCE_S:g} s"
        yield _failed("runs folder", finding, f"see that its disk is mounted: `df {_quoted(bench.runs)}`")
        return
    problem, free, there = tried
    if problem:
        cure = f"see `ls -ld {_quoted(bench.runs)}`, or name another in `runs:` of the bench file"
        yield _failed("runs folder", f"{bench.runs} cannot be written: {problem}", cure)
        return
    yield _ok("runs folder", f"{bench.runs}" + ("" if there else ", which the first run makes"))
    yield _free(bench, free)


def _try_folder(runs: Path) -> tuple[str, int, bool]:
    """Write a file without a name where the folder is, or would be made."""
    try:
        present = next(folder for folder in (runs, *runs.parents) if folder.exists())
        with tempfile.TemporaryFile(dir=present) as file:
            file.write(b"calseq")
        return "", shutil.disk_usage(present).free, present == runs
    except OSError as error:
        return (error.strerror or str(error)).lower(), 0, False


def _free(bench: Bench, free: int) -> Check:
    finding = f"{_size(free)} are free"
    cure = f"see what can go: `du -sh {_quoted(bench.runs)}/* | sort -h`"
    if free < MIN_FREE_BYTES:
        return _failed("free disk", f"{finding}; a run begins with {_size(MIN_FREE_BYTES)} or more", cure)
    if free < 2 * bench.log_limit_bytes:
        limit = f"{finding}, less than two full logs of a step ({_size(bench.log_limit_bytes)} each)"
        return _warning("free disk", limit, f"{cure}; or lower `log_limit_mb` in the bench file")
    return _ok("free disk", finding)


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 30 else f"{count >> 20} MiB"


def _within(timeout_s: float, call: Callable[[], _T]) -> _T | None:
    """Give what a call gives, None if it takes longer: nothing else ends a call that waits for a disk."""
    results: list[_T] = []
    thread = threading.Thread(target=lambda: results.append(call()), daemon=True)
    thread.start()
    thread.join(timeout_s)
    return results[0] if results else None


# dirigent


class _Dirigent(Struct, frozen=True):
    """The dirigent that a run would start, and what calseq would ask of it."""

    command: tuple[str, ...]
    config: Path | None
    flags: tuple[str, ...]
    catalog: Catalog
    simulated: bool = False

    def globals(self, folder: str) -> tuple[str, ...]:
        """Give the global options that leave no instrument in its hands."""
        config = ("-C", str(self.config)) if self.config else ()
        return (*config, "--instruments-dict", "{}", "--channels-dict", "{}", "--directory", folder)


def _dirigent(bench: Bench | None, refused: str, ask: "_Asking") -> Iterator[Check]:
    if refused:
        yield _skipped("program", "the bench file that says which is refused")
    elif bench is None:
        yield from map(_softened, _examined(_Dirigent(("dirigent",), None, FLAGS, builtin()), ask))
    else:
        simulated = bench.mode is PowerMode.SIMULATED
        command = SIMULATED_DIRIGENT if simulated else bench.command
        yield from _examined(_Dirigent(command, bench.config, bench.flags, bench.catalog, simulated), ask)


def _softened(check: Check) -> Check:
    """A bench may name another dirigent: what is wrong with this one keeps nothing from running."""
    return replace(check, status=Status.WARNING) if check.status is Status.FAILED else check


def _examined(dirigent: _Dirigent, ask: "_Asking") -> Iterator[Check]:
    found = ask.find(dirigent.command[0])
    if found is None:
        yield _not_found(dirigent.command[0], ask)
        return
    yield _ok("program", " ".join((found, *dirigent.command[1:])))
    told = ask.one(*dirigent.command, "--help")
    unlike = _unlike_cms(told, found, ask)
    if unlike:
        yield unlike
        return
    whose = "SIMULATED, calseq's stand-in" if dirigent.simulated else "the one of CMS"
    yield _ok("project", f"{whose}: its --help lists iv_curve")
    yield _version(ask.one(*dirigent.command, "--version"))
    options = _global_options(dirigent, told.text)
    yield options
    if any(_lacks(told.text, flag) for flag in _OWNED):
        reason = "without these options their help could reach for the instruments"
        yield _skipped("calibrations", reason)
    else:
        yield from _calibrations(dirigent, told.text, ask)


def _not_found(program: str, ask: "_Asking") -> Check:
    there = ask.find(program, mode=os.F_OK)
    if there:
        return _failed("program", f"{there} may not be executed", f"`chmod +x {_quoted(there)}`")
    cure = "source dirigent's environment first, or set `dirigent: {command: ...}` in the bench file"
    return _failed("program", f"'{program}' is not found", cure)


def _unlike_cms(told: "Answer", found: str, ask: "_Asking") -> Check | None:
    if told.not_started:
        return _failed(
            "project",
            told.not_started,
            f"see that it runs in your shell, and its interpreter: `head -1 {_quoted(found)}`",
        )
    if told.exit is None:
        finding = f"'{found} --help' did not end in {ask.patience_s:g} s and was ended"
        return _failed("project", finding, f"see what it waits for: `{_quoted(found)} --help`")
    if not _lacks(told.text, _SIGN_OF_CMS):
        return None
    if told.exit != _GOOD:
        finding = f"'{found} --help' {_ended(told)}"
        return _failed("project", finding, "source dirigent's environment first: what it needs is not there")
    finding = f"{found} is not the dirigent of CMS: its --help does not list iv_curve"
    cure = "another project installs that name: `which -a dirigent` lists all, set `dirigent: {command: ...}`"
    return _failed("project", finding, cure)


def _version(told: "Answer") -> Check:
    if told.exit == _GOOD and told.first_line:
        return _ok("version", told.first_line[:200])
    return _skipped("version", "it does not tell its version")


def _global_options(dirigent: _Dirigent, text: str) -> Check:
    config = ("-C",) if dirigent.config else ()
    lost = [option for option in (*config, *_OWNED) if _lacks(text, option)]
    if lost:
        finding = f"this dirigent has no {', '.join(lost)}, without which calseq cannot drive it"
        return _failed("options", finding, "use a dirigent whose `dirigent --help` lists them")
    flags = [flag for flag in dirigent.flags if flag.startswith("-")]
    unknown = [flag for flag in flags if _lacks(text, flag.partition("=")[0])]
    if unknown:
        known = ", ".join(flag for flag in dirigent.flags if flag not in unknown)
        finding = f"this dirigent has no {', '.join(unknown)}, which every call is given"
        return _failed("options", finding, f"in the bench file: `dirigent: {{flags: [{known}]}}`")
    return _ok("options", f"knows {' '.join((*config, *flags, *_OWNED))}")


def _calibrations(dirigent: _Dirigent, listed: str, ask: "_Asking") -> Iterator[Check]:
    """Ask every calibration for its help, a few at once."""
    calibrations = list(dirigent.catalog.calibrations.values())
    with tempfile.TemporaryDirectory(prefix="calseq-doctor-") as folder:
        head = (*dirigent.command, *dirigent.globals(folder))
        answers = ask.all([(*head, calibration.name, "--help") for calibration in calibrations])
    if len(answers) < len(calibrations):
        return  # a stop was asked for
    unknown: list[str] = []
    silent: list[tuple[str, Answer]] = []
    checks: list[Check] = []
    options = 0
    for calibration, told in zip(calibrations, answers, strict=True):
        if told.exit == _GOOD:
            lacking = _lacking_options(calibration, told.text)
            checks += lacking
            options += 0 if lacking else len(_flags_of(calibration))
        elif "no such command" in told.text.lower() or _lacks(listed, calibration.name):
            unknown.append(calibration.name)
        else:
            silent.append((calibration.name, told))
    wrong = len(unknown) + len(silent) + len({check.name for check in checks})
    if wrong < len(calibrations):
        yield _agreeing(len(calibrations), wrong, options)
    yield from checks
    yield from _unknown(unknown)
    yield from _silent(silent, ask)


def _agreeing(all_: int, wrong: int, options: int) -> Check:
    which = f"{all_ - wrong} of {all_} are" if wrong else f"all {all_} are"
    return _ok("calibrations", f"{which} as the catalogue has them, with {options} options")


def _lacking_options(calibration: Calibration, text: str) -> list[Check]:
    """Say which options of the catalogue this dirigent lacks; those that it is always given would fail every run."""
    name, checks = calibration.name, []
    always = [flag for flag in _always(calibration) if _lacks(text, flag)]
    if always:
        finding = f"this dirigent has no {', '.join(always)}, which is given at every run"
        cure = f"{_SITE}: `{name}: {_corrected(calibration, always)}`"
        checks.append(_failed(name, finding, cure))
    lost = [option for option in calibration.options.values() if _lacks(text, option.flag)]
    if lost:
        finding = f"this dirigent has no {', '.join(option.flag for option in lost)}"
        gone = ", ".join(f"{option.name}: null" for option in lost)
        cure = f"{_SITE}: `{name}: {{options: {{{gone}}}}}`, or its flag as it is here"
        checks.append(_warning(name, finding, cure))
    return checks


def _corrected(calibration: Calibration, lost: Sequence[str]) -> str:
    if calibration.tuning and calibration.tuning.flag in lost:
        return f"{{tuning: {{form: {calibration.tuning.form}, flag: ...}}}}"
    kept = ", ".join(flag for flag in calibration.flags if flag not in lost)
    return f"{{flags: [{kept}]}}"


def _always(calibration: Calibration) -> list[str]:
    tuning = [calibration.tuning.flag] if calibration.tuning and calibration.tuning.flag else []
    return [*(flag.partition("=")[0] for flag in calibration.flags if flag.startswith("-")), *tuning]


def _flags_of(calibration: Calibration) -> list[str]:
    return [*_always(calibration), *(option.flag for option in calibration.options.values())]


def _unknown(names: Sequence[str]) -> Iterator[Check]:
    if names:
        cure = "leave them out of sequences; what goes by another name here, add in the site's calibrations"
        yield _warning("unknown", f"this dirigent does not know {', '.join(names)}", cure)


def _silent(silent: Sequence[tuple[str, "Answer"]], ask: "_Asking") -> Iterator[Check]:
    """Say what kept calibrations from telling their options, once for all that were kept by the same."""
    for reason in dict.fromkeys(_ended(told) for _, told in silent):
        names = [name for name, told in silent if _ended(told) == reason]
        late = f" in {ask.patience_s:g} s" if "did not end" in reason else ""
        finding = f"the help of {', '.join(names)} {reason}{late}"
        yield _warning("no help", finding, f"see what is wrong: `dirigent {names[0]} --help`")


def _lacks(text: str, word: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is None


# The instruments


class _Address(Struct, frozen=True):
    """What can be said of an instrument's address without contacting it. `device` is its file, if it has one."""

    status: Status
    note: str
    cure: str = ""
    device: Path | None = None


def _instruments(bench: Bench) -> Iterator[Check]:
    simulated = bench.mode is PowerMode.SIMULATED
    real = []
    for instrument in sorted(bench.wiring.described(), key=_by_role):
        shown = f"{', '.join(instrument.roles)}: {instrument.instrument_class}, {instrument.resource}"
        if simulated:
            yield _skipped(instrument.name, f"{shown}: the bench is SIMULATED")
            continue
        if instrument.sim:
            cure = f'delete `"sim": true` of {instrument.name} in {bench.instruments.source.name}'
            yield _warning(instrument.name, f"{shown}: SIMULATED, nothing real is read", cure)
            continue
        address = _address(instrument.resource)
        real.append((instrument.name, instrument.resource, address))
        yield _check(instrument.name, address.status, f"{shown}: {address.note}", address.cure)
    yield from _duplicates(real, bench)


def _by_role(instrument: Instrument) -> int:
    return min(list(Role).index(role) for role in instrument.roles)


def _address(resource: str) -> _Address:
    kind, _, rest = resource.partition("::")
    if resource.startswith("/") or kind.upper().startswith("ASRL/"):
        return _device(Path(kind[4:] if kind.upper().startswith("ASRL/") else kind))
    if kind.upper().startswith("TCPIP"):
        return _network(rest)
    if kind.upper().startswith(("USB", "GPIB", "ASRL", "PXI", "VXI")):
        return _Address(Status.OK, "only VISA can tell whether it is there")
    return _Address(Status.SKIPPED, "this form of address is not known")


_NETWORK = re.compile(
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\s\[\]]+)(::(?P<port>[0-9]+)::SOCKET|(::[A-Za-z0-9_,]+)?(::INSTR)?)",
    re.IGNORECASE,
)


def _network(rest: str) -> _Address:
    """Look at the form of a network address; nothing is contacted."""
    cure = "in instruments.json, for instance `TCPIP::192.168.0.22::9221::SOCKET`"
    match = _NETWORK.fullmatch(rest)
    if match is None or not match["host"]:
        return _Address(Status.FAILED, "not of the form TCPIP::HOST::PORT::SOCKET", cure)
    if match["port"] and not 0 < int(match["port"][:8]) < 65536:
        return _Address(Status.FAILED, f"there is no port {match['port']}", cure)
    host = match["host"].strip("[]")
    if re.fullmatch(r"[0-9.]+", host) and not _is_ip(host):
        return _Address(Status.FAILED, f"{host} is no IP address", cure)
    return _Address(Status.OK, "well formed, not contacted")


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _device(path: Path) -> _Address:
    """Look at a device file; it is not opened, which some devices take as a reset."""
    try:
        found = path.stat()
    except OSError as error:
        reason = "is not there" if isinstance(error, FileNotFoundError) else (error.strerror or "").lower()
        near = ", ".join(_siblings(path)) or "none of its kind"
        cure = f"connect it and switch it on; present: {near}; names that stay: `ls -l /dev/serial/by-id`"
        return _Address(Status.FAILED, f"{path} {reason}", cure, path)
    if not stat.S_ISCHR(found.st_mode):
        return _Address(
            Status.FAILED, f"{path} is no device", f"is it the right path? `ls -l {_quoted(path)}`", path
        )
    if os.access(path, os.R_OK | os.W_OK, effective_ids=True):
        return _Address(Status.OK, "readable and writable", device=path)
    return _Address(Status.FAILED, f"you may not read and write {path}", _permission(path, found), path)


def _siblings(path: Path) -> list[str]:
    stem = re.sub(r"[0-9]+\Z", "", path.name)
    with suppress(OSError):
        return sorted(str(each) for each in path.parent.iterdir() if each.name.startswith(stem))[:8]
    return []


def _permission(path: Path, found: os.stat_result) -> str:
    """Say how a user comes to a device: by its group, unless that is root's or may not do it either."""
    try:
        group = grp.getgrgid(found.st_gid).gr_name
    except KeyError:
        group = str(found.st_gid)
    both = stat.S_IRGRP | stat.S_IWGRP
    if found.st_gid == 0 or found.st_mode & both != both:
        return f'add a udev rule: `KERNEL=="{path.name}", MODE="0660", GROUP="dialout"`'
    if _is_member(group):
        return f"you joined group {group} after you logged in: log in again, or `newgrp {group}`"
    return f"`sudo usermod -aG {group} $USER`, then log in again"


def _is_member(group: str) -> bool:
    with suppress(KeyError):
        return pwd.getpwuid(os.geteuid()).pw_name in grp.getgrnam(group).gr_mem
    return False


def _duplicates(real: Sequence[tuple[str, str, _Address]], bench: Bench) -> Iterator[Check]:
    """Find instruments at one address; a device file may go by several names."""
    places = [
        str(address.device.resolve()) if address.device else resource.casefold()
        for _, resource, address in real
    ]
    for place, times in Counter(places).items():
        if times > 1:
            found = [instrument for instrument, its in zip(real, places, strict=True) if its == place]
            names = ", ".join(name for name, _, _ in found)
            finding = f"{names} are at one address, {found[0][1]}"
            cure = f"give each its own 'resource' in {bench.instruments.source.name}"
            tell = _failed if found[0][2].device else _warning
            yield tell("same address", finding, cure)


# icicle


_PROBE = """
import sys
print("calseq-python %d.%d.%d" % sys.version_info[:3], flush=True)
sys.path[:] = [folder for folder in sys.path if folder]
from icicle.instrument_cluster import InstrumentCluster
import icicle
try:
    from importlib.metadata import version
    number = version("icicle")
except Exception:
    number = getattr(icicle, "__version__", "of unknown version")
print("calseq-icicle %s" % number, flush=True)
"""


def _power(bench: Bench, ask: "_Asking") -> Iterator[Check]:
    if bench.mode is not PowerMode.ICICLE:
        yield _skipped("icicle", f"not used in power mode {bench.mode}")
        return
    python = bench.power_python or sys.executable
    told = ask.one(python, "-c", _PROBE)
    cure = "set `power: {python: ...}` to dirigent's interpreter: `head -1 $(command -v dirigent)`"
    number = _told(told, "python")
    icicle = _told(told, "icicle")
    if told.not_started:
        yield _failed("icicle", told.not_started, cure)
    elif told.exit is None:
        yield _failed("icicle", f"its import did not end in {ask.patience_s:g} s and was ended", cure)
    elif number and tuple(map(int, number.split(".")))[:2] < _OLDEST_GUARD:
        finding = f"{python} is Python {number}; calseq's guard needs 3.8 or later"
        yield _failed("icicle", finding, cure)
    elif not icicle:
        yield _failed("icicle", f"{python} cannot import it: {told.last_line or _ended(told)}", cure)
    else:
        yield _ok("icicle", f"{icicle}, with Python {number}, {python}")


def _told(told: "Answer", what: str) -> str:
    match = re.search(rf"^calseq-{what} (.+)$", told.text, re.MULTILINE)
    return match.group(1) if match else ""


# Programs that are asked


_GOOD = Exit(code=0)


class Answer(Struct, frozen=True):
    """What a program printed and how it ended: `exit` is None if it had to be ended."""

    text: str = ""
    exit: Exit | None = None
    not_started: str = ""

    @property
    def lines(self) -> list[str]:
        """Its lines that are not empty."""
        return [line.strip() for line in self.text.splitlines() if line.strip()]

    @property
    def first_line(self) -> str:
        """The first line that is not empty."""
        return next(iter(self.lines), "")

    @property
    def last_line(self) -> str:
        """The last line that is not empty."""
        return next(reversed(self.lines), "")


def _ended(told: Answer) -> str:
    if told.not_started:
        return told.not_started
    if told.exit is None:
        return "did not end"
    how = f"exit code {told.exit.code}" if told.exit.code is not None else str(told.exit.signal)
    return f"ended with {how}" + (f": {told.last_line[:200]}" if told.last_line else "")


class _Asking(Struct):
    """Asks programs questions, each in its own session, for so long and no longer."""

    environ: Mapping[str, str]
    cwd: str
    stops: Stops
    patience_s: float

    def find(self, program: str, mode: int = os.F_OK | os.X_OK) -> str | None:
        """Find a program as its child would be found."""
        path = str(Path(self.cwd, program)) if "/" in program else program
        return shutil.which(path, mode, self.environ.get("PATH", os.defpath))

    def one(self, *argv: str) -> Answer:
        """Give a program's answer."""
        return next(iter(self.all([argv])), Answer(not_started="stopped"))

    def all(self, questions: Sequence[Sequence[str]]) -> list[Answer]:
        """Give the answers of all, or of the first few if a stop is asked for meanwhile."""
        answers: list[Answer] = []
        for first in range(0, len(questions), _AT_ONCE):
            if self.stops.level:
                break
            with ExitStack() as held:
                asked = [_Asked(argv, self, held) for argv in questions[first : first + _AT_ONCE]]
                self._wait(asked)
                answers += [each.answer() for each in asked]
        return answers

    def _wait(self, asked: "Sequence[_Asked]") -> None:
        due_s = now_s() + self.patience_s
        while any(each.is_busy() for each in asked) and not self.stops.level:
            left_s = due_s - now_s()
            if left_s <= 0:
                break
            self.stops.pause(min(left_s, 0.05))


class _Asked:
    """One program that was asked; whatever happens, nothing of it is left."""

    def __init__(self, argv: Sequence[str], asking: _Asking, held: ExitStack) -> None:
        self._stops = asking.stops
        self._log = held.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - it is entered
        self._child: Child | None = None
        self._why_not = ""
        mark = f"CALSEQ_DOCTOR={os.getpid()}-{id(self)}"
        name, _, value = mark.partition("=")
        # A wide page: nothing that is looked for may be broken over two lines.
        env = {**asking.environ, "COLUMNS": "200", name: value}
        try:
            self._child = Child(argv, cwd=asking.cwd, env=env, log=self._log.fileno(), mark=mark)
        except NotStarted as error:
            self._why_not = str(error)
        else:
            held.callback(self._end)

    def is_busy(self) -> bool:
        """It runs, and has not printed more than any help."""
        if self._child is None or self._child.poll() is not None:
            return False
        return os.fstat(self._log.fileno()).st_size <= _MAX_ANSWER_BYTES

    def answer(self) -> Answer:
        """Give what it said so far."""
        text = os.pread(self._log.fileno(), _MAX_ANSWER_BYTES, 0).decode(errors="replace")
        return Answer(text, self._child.poll() if self._child else None, self._why_not)

    def _end(self) -> None:
        """End what still runs, gently and then firmly, and what it left behind."""
        child = self._child
        if child is None:
            return
        if child.poll() is None:
            child.send(signal.SIGTERM)
            self._wait_s(_GRACE_S, lambda: child.poll() is not None)
        if child.poll() is None:
            child.send(signal.SIGKILL)
        self._wait_s(_GRACE_S, lambda: self._none_left(child))
        if child.poll() is not None:  # else it hangs in the kernel, on a dead disk, and nothing can end it
            child.reap()

    def _none_left(self, child: Child) -> bool:
        left = child.tree()
        end_all(left, signal.SIGKILL)
        return not left

    def _wait_s(self, timeout_s: float, done: Callable[[], bool]) -> None:
        due_s = now_s() + timeout_s
        while not done() and now_s() < due_s:
            self._stops.pause(0.02)
