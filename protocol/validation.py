"""Pydantic's findings in our own words: `steps: expected 1..150, got 0 at $.params.steps`."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from protocol.errors import ErrorCode, ProtocolError

T = TypeVar("T", bound=BaseModel)

_SHOWN_CHARACTERS: Final = 60
_LIMITS: Final = {"ge": "at least {}", "gt": "more than {}", "le": "at most {}", "lt": "less than {}"}
_TYPES: Final = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "string_type": "a string",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "an array",
    "tuple_type": "an array",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "bytes_type": "bytes",
}


def parse(kind: type[T], value: object, *, at: str = "$") -> T:
    """Read untrusted data as a `kind`.

    Args:
        value: what was decoded from the wire.
        at: JSONPath of `value` within what the client sent.

    Raises:
        ProtocolError: `invalid_params`, naming the first wrong field and what is allowed there.
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise explain(error, at=at) from None


def parse_as(adapter: TypeAdapter[Any], value: object, *, at: str = "$") -> Any:
    """Like `parse`, for a type that is not a model (a union, say)."""
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        raise explain(error, at=at) from None


def explain(error: ValidationError, *, at: str = "$") -> ProtocolError:
    """Turn pydantic's first finding into a `ProtocolError` that names the field and what is allowed."""
    finding = error.errors(include_url=False)[0]
    path = _json_path(at, finding["loc"])
    name = path.rsplit(".", 1)[-1].removeprefix("$") or "body"
    return ProtocolError(ErrorCode.INVALID_PARAMS, f"{name}: {_sentence(finding)} at {path}", path)


def _sentence(finding: ErrorDetails) -> str:
    kind, context = finding["type"], finding.get("ctx", {})
    if kind == "missing":
        return "is required, and is missing"
    if kind == "extra_forbidden":
        return "is not a known field"
    if kind == "value_error":
        return str(context.get("error", finding["msg"]))
    return f"expected {_expected(kind, context, finding['msg'])}, got {_shown(finding['input'])}"


def _expected(kind: str, context: Mapping[str, Any], message: str) -> str:
    if kind in _TYPES:
        return _TYPES[kind]
    if kind in {"enum", "literal_error", "union_tag_invalid"}:
        return "one of " + str(context.get("expected") or context.get("expected_tags"))
    limits = [_LIMITS[name].format(_shown(context[name])) for name in _LIMITS if name in context]
    if limits:
        return " and ".join(limits)
    if "min_length" in context:
        return f"at least {context['min_length']} long"
    if "max_length" in context:
        return f"at most {context['max_length']} long"
    return message[0].lower() + message[1:]


def _shown(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, bytes | bytearray):
        return f"{len(value)} bytes"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return f"an array of {len(value)}"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."


def _json_path(at: str, location: Iterable[int | str]) -> str:
    for part in location:
        at += f"[{part}]" if isinstance(part, int) else f".{part}"
    return at
