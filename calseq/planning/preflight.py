"""What can only be learnt from the machine, looked at before anything is touched."""

import hashlib
import os
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress

from msgspec import Struct

from calseq.bench.bench import Bench
from calseq.documents.document import Path as Route
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Code, Problem
from calseq.problems.refused import Refused
from calseq.system.clock import now_s
from calseq.system.containers import out_of_reach
from calseq.system.locks import VARIABLE, lock_folder
from calseq.system.process import Child, NotStarted
from calseq.system.reachable import find_program
from calseq.system.signals import Stops

HELP_TIMEOUT_S = 60.0
KILL_WAIT_S = 5.0
_SIGN_OF_CMS = b"iv_curve"


def check_machine(
    bench: Bench, stops: Stops, environ: Mapping[str, str], *, help_timeout_s: float = HELP_TIMEOUT_S
) -> Iterator[Problem]:
    """Give everything on this machine that would keep a run on `bench` from starting."""
    if not bench.cwd.is_dir():
        message = f"the working folder {printable(str(bench.cwd))} is not there"
        yield _problem(bench, codes.UNREADABLE, message, "make it, or set 'dirigent: {cwd: …}'", "cwd")
    elif not bench.all_simulated:  # what is simulated is not uploaded by itself, and not locked
        yield from check_reach(bench)
        yield from _check_dirigent(bench, stops, {**environ, **bench.variables}, help_timeout_s)


def check_reach(bench: Bench) -> Iterator[Problem]:
    """Say what the locks of a bench do not reach, unless their folder is named: then it is shared on purpose."""
    if bench.locks or os.environ.get(VARIABLE):
        return
    try:
        folder = lock_folder()
    except Refused:
        return  # said when the locks are taken
    if why := out_of_reach(folder):
        message = f"a run in another container would not see the locks of this one: {why}"
        cure = "share a folder between them and name it: 'locks: /srv/calseq-locks' in each bench file"
        yield Problem(codes.LOCKS_OUT_OF_REACH, message, cure, bench.document.place(("name",)))


def dirigent_version(bench: Bench, stops: Stops, environ: Mapping[str, str]) -> str:
    """Say which dirigent a bench has, in its own words; one that does not tell its version is known by its --help.

    Empty where none is started, or none answers.
    """
    if bench.all_simulated or not bench.cwd.is_dir():
        return ""
    variables = {**environ, **bench.variables}
    with suppress(NotStarted):
        told = _told(bench, "--version", stops, variables, HELP_TIMEOUT_S)
        line = told.text.decode("utf-8", "replace").strip().partition("\n")[0] if told else ""
        if told and told.code == 0 and line:
            return printable(line, 200)
        told = _told(bench, "--help", stops, variables, HELP_TIMEOUT_S)
        words = b" ".join(told.text.split()) if told else b""
        return f"--help {hashlib.sha256(words).hexdigest()[:12]}" if words else ""
    return ""


def check_faults(bench: Bench) -> Iterator[Problem]:
    """Give the misbehaviours asked of the simulator that it does not know."""
    if bench.simulation is None or not bench.simulation.faults:
        return
    from calseq.simulator.faults import check  # noqa: PLC0415 - only who asks for a fault pays for it

    for name, fault in bench.simulation.faults.items():
        try:
            check({name: fault})
        except ValueError as error:
            place = bench.document.place(("simulator", "faults", name))
            known = ("simulator", "faults", name) in bench.document.values
            cure = "docs/simulator.md tells what each of them does"
            yield Problem(codes.BAD_FAULT, printable(str(error), 600), cure, place if known else None)


def choose_module(bench: Bench, asked: str) -> tuple[str, list[Problem]]:
    """Give the name of what is measured: as asked, else as modules.json has it; and what is wrong with that."""
    names = [module.name for module in bench.modules if module.name]
    if asked and names and asked not in names:
        message = f"module '{printable(asked, 40)}' is not in modules.json"
        return asked, [Problem(codes.UNKNOWN_MODULE, message, "it lists " + ", ".join(map(printable, names)))]
    return asked or "+".join(names), []


def _check_dirigent(
    bench: Bench, stops: Stops, environ: Mapping[str, str], timeout_s: float
) -> Iterator[Problem]:
    program = bench.command[0]
    shown = printable(program, 80)
    found = find_program(program, bench.cwd, environ)
    if found is None:
        cure = "source dirigent's environment first, or set 'dirigent: {command: …}' in the bench file"
        if "/" in program and (bench.cwd / program).is_file():
            cure = f"it is there but cannot be executed: chmod +x {shown}"
        yield _problem(bench, codes.NO_DIRIGENT, f"'{shown}' is not found", cure, "command")
        return
    try:
        told = _told(bench, "--help", stops, environ, timeout_s)
    except NotStarted as error:
        yield _problem(bench, codes.NO_DIRIGENT, str(error), "see that it runs in your shell", "command")
        return
    if told is None:
        message = f"'{printable(found, 80)}' does not answer to --help within {timeout_s:g} s"
        yield _problem(bench, codes.NO_DIRIGENT, message, "see that it runs in your shell", "command")
    elif _SIGN_OF_CMS not in told.text:
        message = f"'{printable(found, 80)}' is not the dirigent of CMS: its --help does not list iv_curve"
        cure = "another project installs that name: set 'dirigent: {command: …}' to the right one"
        yield _problem(bench, codes.WRONG_DIRIGENT, message, cure, "command")
    elif bench.module_json and b"--module-json" not in told.text:
        message = (
            f"'{printable(found, 80)}' has no --module-json, by which it would learn of the bench's modules"
        )
        cure = "name the file of 'modules:' in dirigent.toml, too, as this dirigent wants it"
        yield _problem(bench, codes.WRONG_DIRIGENT, message, cure, "config")


class _Told(Struct, frozen=True):
    """What a short call of dirigent printed, and its exit code."""

    text: bytes
    code: int | None


def _told(
    bench: Bench, option: str, stops: Stops, environ: Mapping[str, str], timeout_s: float
) -> _Told | None:
    """Give what dirigent prints at an option such as --help; one that does not end is ended, and None."""
    with tempfile.TemporaryFile() as log:
        mark = f"CALSEQ_ATTEMPT_ID=help/{os.getpid()}"
        child = Child((*bench.command, option), cwd=str(bench.cwd), env=environ, log=log.fileno(), mark=mark)
        ended = _wait(child, stops, now_s() + timeout_s)
        if not ended:
            child.send(signal.SIGKILL)
            _wait(child, Stops(), now_s() + KILL_WAIT_S)
        ending = child.poll()
        child.reap()
        text = os.pread(log.fileno(), 1 << 20, 0)
        return _Told(text, ending.code if ending else None) if ended else None


def _wait(child: Child, stops: Stops, due_s: float) -> bool:
    while child.poll() is None and now_s() < due_s and not stops.level:
        stops.pause(due_s - now_s())
    return child.poll() is not None


def _problem(bench: Bench, code: Code, message: str, cure: str, key: str) -> Problem:
    """Point at the line of the bench file that says so, else at the file."""
    route: Route = ("dirigent", key)
    return Problem(code, message, cure, bench.document.place(route))
