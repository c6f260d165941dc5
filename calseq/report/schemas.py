"""The JSON schemas of what a run writes down, made from the types that write it."""

from collections.abc import Iterable
from typing import Any

import msgspec

from calseq.model.events import KINDS
from calseq.model.plan import Plan
from calseq.record.run_folder import RunRecord
from calseq.report.as_json import Facts

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_STAMP = {
    "seq": {"type": "integer", "minimum": 1, "description": "place of the event in its run, without a gap"},
    "at": {"type": "string", "description": "wall time in UTC, for people: clocks jump"},
    "t": {"type": "number", "description": "seconds since the run began, by a clock that nobody sets"},
    "event": {"enum": list(KINDS), "description": "what happened"},
    "crc": {
        "type": "string",
        "pattern": "^[0-9a-f]{8}$",
        "description": "CRC-32 of all bytes of the line before this key and its comma",
    },
}


def record_schema(kind: str) -> dict[str, Any]:
    """Give the schema of 'run' (run.json), 'plan' (plan.json), 'events' (a line of events.jsonl) or 'report'."""
    if kind == "events":
        return _of_events()
    type_, title = {
        "run": (RunRecord, "calseq run.json"),
        "plan": (Plan, "calseq plan.json"),
        "report": (Facts, "calseq report --format json"),
    }[kind]
    (schema,), components = _made((type_,))
    whole = components.pop(schema["$ref"].rpartition("/")[2])
    return {"$schema": _DIALECT, **whole, "title": title, "$defs": components}


def _of_events() -> dict[str, Any]:
    """Say which fields a line has by the kind of its event, with one complaint per defect."""
    schemas, components = _made(KINDS.values())
    rules = [
        {"if": {"properties": {"event": {"const": name}}}, "then": schema}
        for name, schema in zip(KINDS, schemas, strict=True)
    ]
    return {
        "$schema": _DIALECT,
        "title": "calseq events.jsonl, one line",
        "description": "One event of a run. The first is 'run-started', which has the format of all.",
        "type": "object",
        "required": list(_STAMP),
        "properties": _STAMP,
        "allOf": rules,
        "$defs": components,
    }


def _made(types: Iterable[type]) -> tuple[tuple[dict[str, Any], ...], dict[str, Any]]:
    schemas, components = msgspec.json.schema_components(types, ref_template="#/$defs/{name}")
    return schemas, {name: _tidied(schema) for name, schema in components.items()}


def _tidied(schema: dict[str, Any]) -> dict[str, Any]:
    """Give a schema with its description as running text."""
    described = schema.get("description")
    return schema | {"description": " ".join(described.split())} if described else schema
