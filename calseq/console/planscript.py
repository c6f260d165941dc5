"""Shell script of a plan: its commands quoted for a terminal and a shell, with the rails as comments."""

import re
import shlex

from calseq.console.wording import bias_target
from calseq.model.confidential import is_secret
from calseq.model.plan import DIRECTORY, OnFailure, Plan, Step
from calseq.model.rails import SUPPLIES, Hv, Rails
from calseq.problems.plaintext import printable
from calseq.system.times import rounded


def plan_script(plan: Plan) -> str:
    """Give the commands of a plan as a shell script, for reading and for trying one by hand."""
    steps = (text for step in plan.steps for text in _script_step(step, plan))
    return "\n".join([*_script_head(plan), *steps]) + "\n"


def quoted(step: Step, argv: tuple[str, ...]) -> list[str]:
    """Give a command, one group of arguments per line, each but the last with a backslash at its end."""
    groups = [" ".join(_quote(word) for word in group) for group in _groups(step, argv)]
    indented = [f"    {group}" if place else group for place, group in enumerate(groups)]
    return [f"{text} \\" for text in indented[:-1]] + indented[-1:]


def _groups(step: Step, argv: tuple[str, ...]) -> list[list[str]]:
    """Group an option with its values, and switches with each other; the calibration parts two kinds of options."""
    groups: list[list[str]] = []
    for place, word in enumerate(argv):
        before = argv[place - 1] if place else ""
        if place == 0 or step.calibration in {before, word}:
            groups.append([word])
        elif not _is_option(word) or (_is_switch(step, argv, place) and all(map(_is_option, groups[-1]))):
            groups[-1].append(word)
        else:
            groups.append([word])
    return groups


def _is_option(word: str) -> bool:
    # -80 is a value
    return re.match(r"--?[A-Za-z]", word) is not None


def _is_switch(step: Step, argv: tuple[str, ...], place: int) -> bool:
    following = argv[place + 1 : place + 2]
    return not following or following[0] == step.calibration or _is_option(following[0])


def _quote(word: str) -> str:
    """Quote a word for a shell so that no byte of it reaches a terminal as a command."""
    if word.isprintable():
        return shlex.quote(word)
    bare = word.rstrip("\n")
    octal = "".join(
        char
        if char.isprintable() and char not in "\\%'"
        else "".join(f"\\{byte:03o}" for byte in char.encode())
        for char in bare
    )
    # a shell takes the newlines at the end of $(...) away: they come after it
    return f"\"$(printf '{octal}')\"" + (shlex.quote("\n" * (len(word) - len(bare))) if bare != word else "")


def _script_head(plan: Plan) -> list[str]:
    title = printable(plan.title)
    variables = [
        f"# {name} is a secret of the bench file: export it yourself"
        if is_secret(name)
        else f"export {name}={_quote(value)}"
        for name, value in sorted(plan.environment.variables.items())
    ]
    simulated = ["# SIMULATED: nothing real is measured"] if plan.simulated else []
    return [
        "#!/bin/sh",
        f"# {title}: the commands of this plan, in their order",
        *simulated,
        "#",
        "# THIS SCRIPT MOVES NO SUPPLY. Where a comment says 'rails', switch them yourself, HV off before any",
        "# change of LV, or use `calseq execute`, which also watches, times out, and makes the bench safe.",
        "",
        "set -eu",
        'mkdir -p "${RUN:=run}/data"',
        'RUN=$(cd "$RUN" && pwd)',
        f"cd {_quote(plan.environment.cwd or '.')}",
        *variables,
    ]


def _script_step(step: Step, plan: Plan) -> list[str]:
    if step.left_out:
        place = f"step {step.number}/{len(plan.steps)} {printable(step.name)}"
        return ["", f"# {place} is left out: {printable(step.left_out)}"]
    folder = f'"$RUN/data/"{_quote(step.id)}' if re.search(r"[^\w.-]", step.id) else f'"$RUN/data/{step.id}"'
    groups = quoted(step, step.argv)
    command = [text.replace(shlex.quote(DIRECTORY), folder) for text in groups]
    timeout = f", timeout {rounded(step.timeout_s)}" if step.timeout_s else ""
    if step.on_failure is OnFailure.CONTINUE:
        command[-1] += f" || echo {_quote(f'step {step.number} failed, going on')} >&2"
    return [
        "",
        f"# step {step.number}/{len(plan.steps)} {printable(step.name)}{timeout}",
        f"# rails before: {_rails_words(step.before, plan)}",
        f"mkdir -p {folder}",
        *command,
        *_curve_comment(step),
    ]


def _rails_words(rails: Rails, plan: Plan) -> str:
    if not plan.controls_rails:
        return "not controlled, dirigent switches the supplies itself"
    hv = f"HV at {bias_target(plan)}" if rails.hv is Hv.BIAS else "HV off"
    return f"{hv}, LV {rails.lv.value}"


def _curve_comment(step: Step) -> list[str]:
    if not SUPPLIES.intersection(step.given) or step.after.hv is not Hv.BIAS:
        return []
    return ["# now read breakdowns.json and the curve: bias only if it is a step below what both allow"]
