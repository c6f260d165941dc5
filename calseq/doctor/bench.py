"""The test stand's own files and folders: what its bench file names, and room for the runs."""

from collections.abc import Iterator, Mapping
from contextlib import suppress

from calseq.bench.bench import Bench
from calseq.bench.find import BENCH_FILE
from calseq.doctor.checks import Check, failed, ok, quoted, skipped, warning
from calseq.doctor.folders import find_room, is_folder, within
from calseq.model.plan import PowerMode
from calseq.planning.evening_check import check_evening
from calseq.problems.refused import Refused
from calseq.record.run_folder import MIN_FREE_BYTES
from calseq.system.locks import strange_locks

_DISK_PATIENCE_S = 5.0
_MODES = {
    PowerMode.ICICLE: "icicle: calseq holds LV and HV between the steps",
    PowerMode.DIRIGENT: "dirigent: calseq touches no supply, and reports none as switched",
    PowerMode.SIMULATED: "SIMULATED: nothing real is measured",
}


def examine_stand(bench: Bench | None, refused: str, environ: Mapping[str, str]) -> Iterator[Check]:
    """Say what a bench file brings, or why there is none; `refused` names one that cannot be used."""
    if bench is None:
        yield _no_bench(refused)
        return
    yield ok("bench", f"{bench.name}, {bench.document.path}")
    yield ok("power mode", _MODES[bench.mode])
    yield _working_folder(bench)
    yield _toml(bench)
    yield _modules(bench)
    yield from _locks(bench)
    yield from _runs(bench)
    for problem in check_evening(bench, environ):
        tell = failed if problem.is_error else warning
        where = f"{problem.place.source.name}:{problem.place.span.line}: " if problem.place else ""
        yield tell(problem.code.name, f"{where}{problem.message}", problem.cure)


def _no_bench(refused: str) -> Check:
    if refused:
        finding = f"{refused} is refused: only the machine is looked at"
        return failed("bench", finding, f"`calseq validate {quoted(refused)}` tells why")
    cure = f"`calseq doctor --bench FILE`, or go to a folder with a {BENCH_FILE}"
    return skipped("bench", f"there is no {BENCH_FILE} here or above: only the machine is looked at", cure)


def _working_folder(bench: Bench) -> Check:
    if is_folder(bench.cwd):
        return ok("working folder", str(bench.cwd))
    return failed("working folder", f"{bench.cwd} is not there", f"`mkdir -p {quoted(bench.cwd)}`")


def _toml(bench: Bench) -> Check:
    if bench.config is None:
        cure = "set `dirigent: {config: dirigent.toml}` in the bench file"
        return skipped("dirigent.toml", "the bench file names none: dirigent goes by its own defaults", cure)
    return ok("dirigent.toml", f"{bench.config}, read and understood")


def _modules(bench: Bench) -> Check:
    name = "modules.json"
    if not any(file.kind == "modules" for file in bench.inputs):
        cure = "set `modules: modules.json` in the bench file"
        return skipped(name, "the bench file names none: modules go by their channel", cure)
    nameless = [module.channel for module in bench.modules if not module.name]
    if nameless:
        finding = f"no module_name for channel {', '.join(nameless)}: records show the channel only"
        return warning(name, finding, "add it in modules.json below 'Hybrid', or run get_module_info")
    return ok(name, ", ".join(f"{module.name} on channel {module.channel}" for module in bench.modules))


def _locks(bench: Bench) -> Iterator[Check]:
    """Say what is in the place of an instrument's lock, and is none."""
    if bench.mode is PowerMode.SIMULATED:
        return
    resources = [each.resource for each in bench.wiring.described() if not each.sim]
    with suppress(Refused):  # of the folder of the locks the machine's own check speaks
        for problem in strange_locks(resources, bench.locks):
            yield failed("instrument lock", problem.message, problem.cure)


def _runs(bench: Bench) -> Iterator[Check]:
    """Try the folder of the runs, which is not made here; a dead network disk is not waited for."""
    name = "runs folder"
    found = within(_DISK_PATIENCE_S, lambda: find_room(bench.runs))
    if found is None:
        finding = f"{bench.runs} did not answer in {_DISK_PATIENCE_S:g} s"
        yield failed(name, finding, f"see that its disk is mounted: `df {quoted(bench.runs)}`")
    elif found.problem:
        cure = f"see `ls -ld {quoted(bench.runs)}`, or name another in `runs:` of the bench file"
        yield failed(name, f"{bench.runs} cannot be written: {found.problem}", cure)
    else:
        yield ok(name, f"{bench.runs}" + ("" if found.is_there else ", which the first run makes"))
        yield _free(bench, found.free_bytes)


def _free(bench: Bench, free_bytes: int) -> Check:
    finding = f"{_size(free_bytes)} are free"
    cure = f"see what can go: `du -sh {quoted(bench.runs)}/* | sort -h`"
    if free_bytes < MIN_FREE_BYTES:
        return failed("free disk", f"{finding}; a run begins with {_size(MIN_FREE_BYTES)} or more", cure)
    if free_bytes < 2 * bench.log_limit_bytes:
        finding += f", less than two full logs of a step ({_size(bench.log_limit_bytes)} each)"
        return warning("free disk", finding, f"{cure}; or lower `log_limit_mb` in the bench file")
    return ok("free disk", finding)


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 30 else f"{count >> 20} MiB"
