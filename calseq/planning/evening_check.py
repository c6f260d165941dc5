"""What would be found out about in the night only: commands that are not there, texts of examples, steps without an end."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from calseq.bench.bench import Bench
from calseq.bench.site import REPLACE
from calseq.documents.document import Document
from calseq.documents.document import Path as Route
from calseq.model.destinations import CommandReceiver, FolderReceiver
from calseq.model.plan import Plan
from calseq.problems import codes
from calseq.problems.plaintext import printable
from calseq.problems.problem import Place, Problem, Span
from calseq.sequence.lint import PLACEHOLDER
from calseq.system.reachable import missing, unwritable

PLACEHOLDERS = (REPLACE, PLACEHOLDER)
"""Texts of examples, which only their site can fill in."""


def check_evening(bench: Bench, environ: Mapping[str, str], plan: Plan | None = None) -> Iterator[Problem]:
    """Give what would spoil a night on this bench, and of a plan for it: the same for validate, doctor, execute and Python."""
    around = {**environ, **bench.variables}
    simulated = plan.all_simulated if plan else bench.all_simulated
    for index, monitor in enumerate(bench.monitors):
        if why := missing(monitor.command[0], bench.cwd, around):
            message = f"monitor '{printable(monitor.name, 40)}' cannot be started: {printable(why, 300)}"
            place = bench.document.place(("monitors", index, "command"))
            yield Problem(codes.NO_MONITOR, message, "name a program that is there", place)
    if bench.on_finish and (why := missing(bench.on_finish.command[0], bench.cwd, around)):
        message = f"the end of the run will not be told: {printable(why, 300)}"
        place = bench.document.place(("on_finish", "command"))
        yield Problem(codes.NO_NOTICE, message, "name a program that is there", place)
    if not (plan and simulated):  # a simulated run is not uploaded by itself
        yield from check_upload(bench, environ)
    if not simulated:
        yield from _unfilled(bench)
    if plan and not simulated:
        yield from _unfilled_steps(plan)
        yield from _endless(plan)


def _unfilled(bench: Bench) -> Iterator[Problem]:
    """Give the texts of examples in every file of a bench; of the instruments, in those that a real channel uses."""
    used = {each.name for each in bench.wiring.described() if not each.sim}
    for document in bench.documents:
        for route, place in _placeholders(document):
            if (
                document is bench.instruments
                and len(route) > 1
                and route[1] not in used
                and route[0] != "channels"
            ):
                continue
            where = ".".join(map(str, route))
            message = (
                f"{printable(where, 80)} is still to be filled in"
                if where
                else "a text is still to be filled in"
            )
            yield Problem(codes.NOT_FILLED_IN, message, "write what belongs there on this bench", place)


def _placeholders(document: Document) -> Iterator[tuple[Route, Place]]:
    if document.data is None:
        for number, line in enumerate(document.source.text.splitlines(), 1):
            if any(each in line.partition("#")[0] for each in PLACEHOLDERS):
                yield (), Place(document.source, Span(number, 1, max(1, len(line))))
    for route, value in _texts(document.data, ()):
        if any(each in value for each in PLACEHOLDERS):
            yield route, document.place(route)


def _texts(data: Any, route: Route) -> Iterator[tuple[Route, str]]:
    entries = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in entries:
        yield from _texts(value, (*route, key))
    if isinstance(data, str):
        yield route, data


def _unfilled_steps(plan: Plan) -> Iterator[Problem]:
    for step in plan.steps:
        if not step.left_out and any(PLACEHOLDER in word for word in step.argv):
            message = (
                f"step {step.number}, {printable(step.name, 40)}: {PLACEHOLDER} is still to be filled in"
            )
            yield Problem(codes.NOT_FILLED_IN, message, "write what belongs there, in the sequence")


def _endless(plan: Plan) -> Iterator[Problem]:
    endless = [f"{step.number} {step.name}" for step in plan.steps if not (step.left_out or step.timeout_s)]
    if endless:
        steps = printable(", ".join(endless), 200)
        message = f"no time-out: {steps} would keep the supplies on for as long as a child hangs"
        yield Problem(
            codes.NO_TIMEOUT, message, "write 'defaults: {timeout: 2h}', or a time-out at each step"
        )


def check_upload(bench: Bench, environ: Mapping[str, str]) -> Iterator[Problem]:
    """Give what would keep `upload:` from sending anything on this machine: its command, or its folder.

    It is no part of reading the file: a bench must be readable to be switched off, whatever its database needs.
    """
    receiver = bench.upload.receiver if bench.upload else None
    if isinstance(receiver, CommandReceiver):
        yield from _check_upload_command(bench, receiver, {**environ, **bench.variables})
    if isinstance(receiver, FolderReceiver) and (why := unwritable(Path(receiver.folder))):
        message = f"nothing can be put into the folder of 'upload:': {printable(why, 300)}"
        cure = "name one that can be made and written; results wait in their run folders until then"
        yield Problem(codes.NO_UPLOAD_FOLDER, message, cure, bench.document.place(("upload", "folder")))


def _check_upload_command(
    bench: Bench, receiver: CommandReceiver, environ: Mapping[str, str]
) -> Iterator[Problem]:
    program, folder = receiver.command[0], Path(bench.upload.bench if bench.upload else ".").parent
    if why := missing(program, folder, environ):
        message = f"no such command for 'upload:': '{printable(program, 80)}': {printable(why, 300)}"
        cure = "name one that is there: relative to this file, or in PATH"
        if "may not be executed" in why:
            cure = f"chmod +x {printable(str(folder / program), 300)}"
        if receiver.as_list:
            cure = f"a command with arguments is a list: write {printable(receiver.as_list, 300)}"
        place = bench.document.place(("upload", "command"))
        yield Problem(codes.NO_UPLOAD_COMMAND, message, cure, place)
