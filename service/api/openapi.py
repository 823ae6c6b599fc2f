"""The OpenAPI 3.1 document, built from a declarative table of operations and the schemas of the protocol.

An `Operation` says what a route takes and answers; `document` adds what all have in common: the security schemes,
problem documents for every error code named, and the schemas.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Literal, TypeAlias

from protocol import schema
from protocol.errors import HTTP_STATUS, ErrorCode
from protocol.version import SOFTWARE_VERSION
from service.auth import Scope
from service.errors import PROBLEM_MEDIA_TYPE

Schema: TypeAlias = Mapping[str, Any]
JSON: Final = "application/json"
_PATH_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_EVERYWHERE: Final = (ErrorCode.FOREIGN_ORIGIN, ErrorCode.UNKNOWN_HOST)
_WITH_KEY: Final = (ErrorCode.UNAUTHORIZED, ErrorCode.FORBIDDEN)
_DESCRIPTION: Final = """\
Submit image jobs and watch every one of them develop, step by step. This is the HTTP half of the protocol; the same
events, and the same requests, also go over one WebSocket at `/v1/ws`, described by
[`/asyncapi.json`](/asyncapi.json). Every error is an RFC 9457 problem document with a stable
[`code`](/docs/errors).

A server without API keys serves its own machine and needs no key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter in the path, the query or a header. Those in the path are always required."""

    name: str
    where: Literal["path", "query", "header"]
    description: str
    schema: Schema
    is_required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A body, sent or answered: media type -> its schema (empty for bytes)."""

    description: str
    media: Mapping[str, Schema]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an operation answers with, when it does what it was asked."""

    status: int
    content: Content
    headers: Mapping[str, str] | None = None
    """Name -> description."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path.

    Attributes:
        id: unique, for generated clients.
        scope: which key may call it; None for everybody.
        errors: what it can be refused with, beside what every operation can.
    """

    id: str
    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    tag: str
    summary: str
    answers: tuple[Answer, ...]
    description: str = ""
    scope: Scope | None = None
    parameters: tuple[Parameter, ...] = ()
    body: Content | None = None
    errors: tuple[ErrorCode, ...] = ()

    def __post_init__(self) -> None:
        declared = {parameter.name for parameter in self.parameters if parameter.where == "path"}
        if declared != set(_PATH_PARAMETER.findall(self.path)):
            raise ValueError(f"{self.id}: the path {self.path} and the path parameters {sorted(declared)} differ")


def ref(name: str) -> Schema:
    """A reference to one of the protocol's schemas."""
    return {"$ref": f"#/components/schemas/{name}"}


def document(
    operations: Iterable[Operation],
    *,
    tags: Mapping[str, str],
    schemas: Mapping[str, Schema] | None = None,
    key_header: str = "X-API-Key",
) -> dict[str, Any]:
    """The OpenAPI document of `operations`.

    Args:
        tags: name -> description, in the order to show them.
        schemas: beside those of the protocol.
        key_header: the header this server takes a key from.
    """
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Safelight",
            "version": SOFTWARE_VERSION,
            "summary": "An event-driven image job service.",
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": description} for name, description in tags.items()],
        "paths": paths,
        "components": {
            "schemas": {**schema.components(), **(schemas or {})},
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": key_header},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "responses": _responses(operation),
    }
    if operation.description:
        described["description"] = operation.description
    if operation.parameters:
        described["parameters"] = [_parameter(parameter) for parameter in operation.parameters]
    if operation.body is not None:
        described["requestBody"] = {**_content(operation.body), "required": True}
    if operation.scope is not None:
        # The empty one stands for a server without keys.
        described["security"] = [{"key": [operation.scope.value]}, {"bearer": [operation.scope.value]}, {}]
    return described


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.where,
        "description": parameter.description,
        "required": parameter.is_required or parameter.where == "path",
        "schema": dict(parameter.schema),
    }


def _responses(operation: Operation) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for answer in operation.answers:
        response = _content(answer.content)
        if answer.headers:
            response["headers"] = {
                name: {"description": text, "schema": {"type": "string"}} for name, text in answer.headers.items()
            }
        responses[str(answer.status)] = response
    by_status: dict[HTTPStatus, list[ErrorCode]] = {}
    with_key = _WITH_KEY if operation.scope is not None else ()
    for code in dict.fromkeys((*operation.errors, *with_key, *_EVERYWHERE)):
        by_status.setdefault(HTTP_STATUS[code], []).append(code)
    for status, codes in sorted(by_status.items()):
        if str(status.value) in responses:  # readiness answers 503 with a body of its own
            continue
        links = ", ".join(f"[`{code}`](/docs/errors#{code})" for code in codes)
        responses[str(status.value)] = {
            "description": f"{status.phrase}: {links}",
            "content": {PROBLEM_MEDIA_TYPE: {"schema": ref("Problem")}},
        }
    return responses


def _content(content: Content) -> dict[str, Any]:
    described: dict[str, Any] = {"description": content.description}
    if content.media:
        described["content"] = {name: {"schema": dict(body)} if body else {} for name, body in content.media.items()}
    return described
