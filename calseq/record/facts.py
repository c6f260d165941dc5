"""Facts of a run for programs, the same in the JSON of every command."""

import msgspec

from calseq.record.status import Standing


def facts(standing: Standing) -> dict[str, object]:
    """Record and status of a run, by the keys of the JSON."""
    record = standing.record
    return {
        "run": standing.name,
        "folder": str(standing.folder),
        "state": standing.phase,
        "verdict": record.verdict,
        "in_part": record.in_part,
        "exit_code": record.exit_code,
        "safe": standing.safe,
        "reason": record.reason,
        "title": record.title,
        "module": record.module,
        "bench": record.bench,
        "operator": record.operator,
        "job": record.job,
        "host": record.host,
        "pid": record.pid,
        "simulated": record.simulated,
        "started": record.started,
        "ended": record.ended,
    }


def json_text(value: object) -> str:
    """Write a value as JSON that a person can read, too."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
