"""Writes what the JavaScript client knows of the protocol, from the protocol itself.

    python -m tools.javascript_protocol            write the two files
    python -m tools.javascript_protocol --check    say which of them are out of date

`web/client/events.js` has the names that are needed while the client runs; `web/client/types/wire.d.ts` has the types
of everything on the wire, which only a type checker reads.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from protocol import schema
from protocol.errors import ErrorCode
from protocol.events import EVENTS, FACTS, JOB_HINTS, SERVER_HINTS, TERMINAL_FACTS, EventBody, PreviewReady
from protocol.jobs import TERMINAL, JobStatus
from protocol.messages import CLIENT_MESSAGES, CLOSE_CODES
from protocol.requests import Previews, Priority, TaskName
from protocol.version import JSON_SUBPROTOCOL, KEY_SUBPROTOCOL_PREFIX, PROTOCOL_VERSION
from tools.typescript import comment, declaration, references

_CLIENT: Final = Path(__file__).parents[1] / "web" / "client"
_WARNING: Final = "Made from protocol/ by `make generate`: changes go there."
_ENVELOPES: Final = """\
/** A fact: stored, numbered `seq` = 1, 2, 3, ... within its job without a gap, told to everybody. */
interface Fact<Type extends string, Data> {
  type: Type;
  job_id: string;
  seq: number;
  /** UTC, RFC 3339. */
  at: string;
  /** Its place among the facts of all one's jobs; `mine` goes on from there. */
  cursor?: string;
  data: Data;
  attempt?: undefined;
  n?: undefined;
}

/** A hint: not stored; a newer one replaces an older one of the same job and type. */
interface Hint<Type extends string, Data> {
  type: Type;
  job_id: string;
  /** Of the last fact before it. */
  seq: number;
  at: string;
  attempt: number;
  /** Rises within the attempt. */
  n: number;
  data: Data;
  cursor?: undefined;
}

/** A hint of the server's own: of no job. */
interface ServerHint<Type extends string, Data> {
  type: Type;
  at: string;
  n: number;
  data: Data;
  seq: number;
  job_id?: undefined;
  attempt?: undefined;
  cursor?: undefined;
}"""


def events_js() -> str:
    """`events.js`: names of events, errors, tasks and the like."""
    parts = [
        f"/** The names of the protocol. {_WARNING} */",
        _constant("PROTOCOL_VERSION", PROTOCOL_VERSION),
        _constant("JSON_SUBPROTOCOL", JSON_SUBPROTOCOL),
        _constant("KEY_SUBPROTOCOL_PREFIX", KEY_SUBPROTOCOL_PREFIX),
        _list("FACTS", "Facts: stored, numbered, told to everybody.", _types(FACTS)),
        _list("JOB_HINTS", "Hints of a job: a newer one replaces an older one.", _types(JOB_HINTS)),
        _list("SERVER_HINTS", "Hints of the server's own.", _types(SERVER_HINTS)),
        _set("TERMINAL_EVENTS", "Facts after which a job is told nothing more.", _types(TERMINAL_FACTS)),
        _list("JOB_STATUSES", "Where a job may stand.", JobStatus),
        _set("TERMINAL_STATUSES", "Where it stays.", [status for status in JobStatus if status in TERMINAL]),
        _list("TASKS", "The kinds of work there are.", TaskName),
        _list("PRIORITIES", "The most urgent first.", Priority),
        _list("PREVIEWS", "Which previews a job makes.", Previews),
        _list("ERROR_CODES", "What can go wrong, as the server names it.", ErrorCode),
        _table("CLOSE_CODES", "Why the server closes a socket.", CLOSE_CODES),
    ]
    return "\n\n".join(parts) + "\n"


def wire_d_ts() -> str:
    """`types/wire.d.ts`: the types of everything on the wire."""
    schemas = schema.components(ref="#/{model}")
    own = {schema.event_schema_name(body) for body in EVENTS.values()} | {"Event"}
    plain = sorted(schemas.keys() - own - {message.__name__ for message in CLIENT_MESSAGES.values()})
    schemas[PreviewReady.__name__] = _with_bytes(schemas[PreviewReady.__name__])
    asked = _reachable(schemas, "JobRequest")
    events = "\n".join(_event(kind, body) for kind, body in EVENTS.items())
    union = " |\n  ".join(schema.event_schema_name(body) for body in EVENTS.values())
    parts = [
        f"/** Everything that goes over the wire. {_WARNING} */",
        _ENVELOPES,
        events,
        "/** What is told of jobs and of the server. A newer server may tell of more. */\n"
        f"export type SafelightEvent =\n  {union};",
        *(declaration(name, schemas[name], is_told=name not in asked) for name in plain),
    ]
    return "\n\n".join(parts) + "\n"


FILES: Final = {_CLIENT / "events.js": events_js, _CLIENT / "types" / "wire.d.ts": wire_d_ts}


def outdated() -> list[Path]:
    """The files that are not what the protocol makes them."""
    return [path for path, make in FILES.items() if not path.exists() or path.read_text() != make()]


def main(arguments: list[str]) -> int:
    if "--check" in arguments:
        for path in (old := outdated()):
            sys.stdout.write(f"{path.name} is out of date: make generate\n")
        return 1 if old else 0
    for path, make in FILES.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(make())
    return 0


def _reachable(schemas: Mapping[str, Any], root: str) -> set[str]:
    """The names of all types that `root` is made of, and its own."""
    names, found = [root], {root}
    while names:
        new = set(references(schemas[names.pop()])) - found
        found |= new
        names += new
    return found


def _types(bodies: Iterable[type[EventBody]]) -> list[str]:
    return [body.TYPE for body in bodies]


def _constant(name: str, value: object) -> str:
    return f"export const {name} = {json.dumps(value)};"


def _list(name: str, about: str, values: Iterable[str]) -> str:
    return f"/** {about} */\nexport const {name} = Object.freeze(/** @type {{const}} */ ({_literal(list(values))}));"


def _set(name: str, about: str, values: Iterable[str]) -> str:
    return f"/** {about} @type {{ReadonlySet<string>}} */\nexport const {name} = new Set({_literal(list(values))});"


def _table(name: str, about: str, values: Mapping[int, str]) -> str:
    text = _literal({str(key): value for key, value in values.items()})
    return f"/** {about} @type {{Readonly<Record<number, string>>}} */\nexport const {name} = Object.freeze({text});"


def _literal(value: list[str] | dict[str, str]) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 50 else json.dumps(value, ensure_ascii=False, indent=2)


def _event(kind: str, body: type[EventBody]) -> str:
    envelope = "Fact" if body in FACTS else "Hint" if body in JOB_HINTS else "ServerHint"
    about = "\n".join(comment((body.__doc__ or "").strip().splitlines()[0]))
    name = schema.event_schema_name(body)
    return f'{about}\nexport interface {name} extends {envelope}<"{kind}", {body.__name__}> {{}}'


def _with_bytes(preview: Mapping[str, Any]) -> dict[str, Any]:
    """The client puts the picture back where the frame's header has none."""
    properties = {**preview["properties"], "bytes": {"$ref": "#/Uint8Array<ArrayBuffer>"}}
    return {**preview, "properties": properties, "required": [*preview["required"], "bytes"]}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
