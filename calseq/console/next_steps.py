"""What to type next after a look at a run: only what does something, the most important first."""

from shlex import quote

from calseq.model.request import Request
from calseq.model.verdicts import RunVerdict
from calseq.planning.resume_preview import forbidding, preview
from calseq.problems.plaintext import printable, word
from calseq.record.past import BAD, State
from calseq.record.run_folder import RunRecord
from calseq.record.status import Phase, Standing

_WITHOUT_LOG = State.NOT_STARTED


def next_words(standing: Standing) -> tuple[str, ...]:
    """Say what to type next, a command to a line, the most important first."""
    name = word(standing.name)
    match standing.phase:
        case Phase.RUNNING:
            return (f"calseq attach {name}   shows it live", f"calseq stop {name}   stops it safely")
        case Phase.DYING:
            return (f"calseq stop {name}   waits until it has let go",)
        case Phase.UNSEEN:
            return (f"calseq status {name}   as its own user, or as root",)
        case Phase.ELSEWHERE:
            on = f"   on {standing.record.host}"
            return (f"calseq attach {name}{on}", f"calseq stop {name}{on}")
        case Phase.DIED:
            resume = f"calseq execute --resume {name}   goes on with it"
            return (*(_make_safe(standing) if standing.safe is False else ()), resume)
        case Phase.ENDED:
            return _next_after_end(standing)


def dead_end(standing: Standing) -> tuple[str, ...]:
    """Say what is possible where `--resume` would run nothing, all that is left being barred; else nothing."""
    resumption = preview(standing.folder)
    curve = forbidding(resumption) if resumption else None
    if curve is None:
        return ()
    why = "--resume would run nothing: the steps that are left need bias, and it was not allowed"
    anew = _anew(standing.record.request, curve.name) if standing.record.request else ""
    return (
        f"{why}; look at the IV curve",
        *((f"{anew}   measures the curve again, as a new run",) if anew else ()),
    )


def _next_after_end(standing: Standing) -> tuple[str, ...]:
    name = word(standing.name)
    if standing.safe is False:
        return _make_safe(standing)
    if standing.record.verdict == RunVerdict.PASSED:
        return (f"calseq runs verify {name}   finds damage to its record",)
    go_on = dead_end(standing) or (f"calseq execute --resume {name}   goes on with it",)
    return (*_log(standing.record, standing.name), *go_on)


def _make_safe(standing: Standing) -> tuple[str, ...]:
    request = standing.record.request
    if request and request.simulate:
        return ("nothing is to be made safe: no supply was touched, and none is locked",)
    if not standing.power.controlled:
        return ("read HV and LV at the supplies, and switch off what is on: HV first", _start_anew(standing))
    bench = f" --bench {quote(printable(request.bench, 300))}" if request and request.bench else ""
    off = f"calseq power off{bench}   tries HV off, then LV off, and tells what it reads"
    return ("read HV and LV at the supplies", off)


def _start_anew(standing: Standing) -> str:
    sequence = (
        quote(printable(standing.record.request.sequence, 300)) if standing.record.request else "SEQUENCE"
    )
    return f"calseq execute {sequence} --acknowledge   starts another run, once both read off"


def _log(record: RunRecord, run: str) -> tuple[str, ...]:
    """Name the first step that was tried and did not pass, if there is one that left a log."""
    bad = {state.value for state in BAD} - {_WITHOUT_LOG.value}
    step, verdict = next(((each, how) for each, how in record.steps.items() if how in bad), ("", ""))
    if not step:
        return ()
    what = "how far it came" if verdict == State.INTERRUPTED.value else "what failed"
    return (f"calseq logs {quote(step)} --run {word(run)}   shows {what}",)


def _anew(request: Request, curve: str) -> str:
    """Give the command of a new run of the same, from the curve on. Faults are not asked for again."""
    chosen = list(request.selection.named()) or [("--from", curve)]
    words = [request.sequence, *(["--bench", request.bench] if request.bench else [])]
    words += ["--simulate"] * request.simulate
    words += ["--speed", f"{request.speed:g}"] if request.speed else []
    words += ["--official"] * request.official
    words += [word for setting in request.settings for word in ("--set", setting)]
    words += [word for pair in chosen for word in pair]
    return " ".join(["calseq execute", *map(quote, words)])
