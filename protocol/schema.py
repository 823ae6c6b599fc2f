"""JSON Schema (2020-12) of everything on the wire, made from the types themselves."""

from typing import Any, Final

from pydantic import BaseModel, TypeAdapter

from protocol.archives import ArchiveRequest
from protocol.errors import ErrorBody, Problem
from protocol.events import EVENTS, FACTS, JOB_HINTS, EventBody, PreviewReady
from protocol.jobs import Job, JobPage
from protocol.messages import CLIENT_MESSAGES, Reply
from protocol.models import ModelDownload, ModelInfo, ModelList
from protocol.params import TaskParams
from protocol.presets import PresetList
from protocol.prompting import StyleList
from protocol.recipes.recipe import PictureRecipe
from protocol.requests import TASKS, JobRequest, Previews, Priority, Webhook
from protocol.server import ServerInfo

_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"


def components(*, ref: str = "#/components/schemas/{model}") -> dict[str, Any]:
    """Name -> schema of every type, with references by `ref`.

    `JobRequest` is a choice of one variant per task, so that each task's parameters are checked.
    """
    schemas: dict[str, Any] = {}
    models: list[type[BaseModel]] = [ErrorBody, Problem, Job, JobPage, Reply, Webhook]
    models += [ModelInfo, ModelList, ModelDownload, StyleList, PresetList, PictureRecipe, ArchiveRequest, ServerInfo]
    models += [spec.params for spec in TASKS.values()]
    models += list(CLIENT_MESSAGES.values())
    for model in models:
        _add(schemas, model.__name__, model.model_json_schema(ref_template=ref))
    for body in EVENTS.values():
        _add(schemas, body.__name__, TypeAdapter(body).json_schema(ref_template=ref))
    # Inside msgpack only: in the JSON codec they are the rest of the binary frame, in text they may be left out.
    schemas[PreviewReady.__name__]["required"].remove("bytes")
    for enum in (Priority, Previews):
        _add(schemas, enum.__name__, TypeAdapter(enum).json_schema(ref_template=ref))
    variants, mapping = [], {}
    for task, spec in TASKS.items():
        name = f"{spec.params.__name__.removesuffix('Params')}Request"
        schemas[name] = _job_request(task.value, spec.params, ref)
        mapping[task.value] = ref.format(model=name)
        variants.append({"$ref": mapping[task.value]})
    schemas["JobRequest"] = {
        "description": JobRequest.__doc__,
        "oneOf": variants,
        "discriminator": {"propertyName": "task", "mapping": mapping},
    }
    for kind, body in EVENTS.items():
        schemas[event_schema_name(body)] = _event(kind, body, ref)
    schemas["Event"] = {"oneOf": [{"$ref": ref.format(model=event_schema_name(body))} for body in EVENTS.values()]}
    return schemas


def event_schema_name(body: type[EventBody]) -> str:
    """The name of the schema of a whole event (envelope and body) within `components`."""
    return f"{body.__name__}Event"


def document() -> dict[str, Any]:
    """One self-contained schema document with every type under `$defs`."""
    return {"$schema": _DRAFT, "title": "Safelight protocol", "$defs": components(ref="#/$defs/{model}")}


def _add(schemas: dict[str, Any], name: str, schema: dict[str, Any]) -> None:
    for nested, definition in schema.pop("$defs", {}).items():
        schemas.setdefault(nested, definition)
    schemas[name] = schema


def _job_request(task: str, params: type[TaskParams], ref: str) -> dict[str, Any]:
    needs_params = any(field.is_required() for field in params.model_fields.values())
    return {
        "type": "object",
        "title": f"{task} job",
        "properties": {
            "task": {"const": task, "type": "string"},
            "params": {"$ref": ref.format(model=params.__name__)},
            "priority": {"$ref": ref.format(model="Priority"), "default": Priority.NORMAL.value},
            "previews": {"$ref": ref.format(model="Previews"), "default": Previews.LATEST.value},
            "webhook": {"anyOf": [{"$ref": ref.format(model="Webhook")}, {"type": "null"}], "default": None},
            "labels": {
                "type": "object",
                "propertyNames": {"maxLength": 256},
                "additionalProperties": {"type": "string", "maxLength": 256},
                "maxProperties": 32,
            },
        },
        "required": ["task", "params"] if needs_params else ["task"],
        "additionalProperties": False,
    }


def _event(kind: str, body: type[EventBody], ref: str) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "type": {"const": kind, "type": "string"},
        "at": {"type": "string", "format": "date-time"},
        "data": {"$ref": ref.format(model=body.__name__)},
    }
    required = ["type", "at", "data"]
    if body in FACTS or body in JOB_HINTS:
        properties["job_id"] = {"type": "string", "format": "uuid"}
        properties["seq"] = {"type": "integer", "minimum": 1}
        required += ["job_id", "seq"]
    if body in FACTS:
        properties["cursor"] = {"type": "string"}
        required.append("cursor")
    else:
        properties["n"] = {"type": "integer", "minimum": 1}
        required.append("n")
        if body in JOB_HINTS:
            properties["attempt"] = {"type": "integer", "minimum": 1}
            required.append("attempt")
    summary = (body.__doc__ or "").strip().splitlines()[0]
    return {
        "type": "object",
        "title": kind,
        "description": summary,
        "properties": properties,
        "required": required,
    }
