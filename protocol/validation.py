"""Pydantic's findings in our own words: `steps: expected 1..150, got 0 at $.params.steps`.

Pydantic tells the one limit that was broken. What is allowed there in all is read from the type's JSON Schema.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from protocol.errors import ErrorCode, ProtocolError

T = TypeVar("T", bound=BaseModel)
Kind: TypeAlias = type[BaseModel] | TypeAdapter[Any]
Schema: TypeAlias = Mapping[str, Any]

_SHOWN_CHARACTERS: Final = 60
_KEY_ITSELF: Final = "[key]"
"""How pydantic marks that the key of a mapping is wrong, not its value."""
_LIMITS: Final = {"ge": "at least {}", "gt": "more than {}", "le": "at most {}", "lt": "less than {}"}
_SCHEMA_LIMITS: Final = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
_CONTEXT_LENGTHS: Final = {"ge": "min_length", "le": "max_length"}
_LENGTHS: Final = {
    "string_too_short": ("minLength", "maxLength"),
    "string_too_long": ("minLength", "maxLength"),
    "too_short": ("minItems", "maxItems"),
    "too_long": ("minItems", "maxItems"),
}
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
    "invalid_key": "a string as a name",
    "url_type": "a URL",
    "url_parsing": "a URL",
    "url_scheme": "an http or https URL",
    "url_too_long": "a URL of at most 2083 characters",
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
        raise explain(error, at=at, kind=kind) from None


def explain(error: ValidationError, *, at: str = "$", kind: Kind | None = None) -> ProtocolError:
    """Turn pydantic's first finding into a `ProtocolError` that names the field and what is allowed.

    Args:
        at: JSONPath of what was validated.
        kind: what it was validated as; with it the message names both ends of a range.
    """
    finding = error.errors(include_url=False)[0]
    location = finding["loc"]
    path = _json_path(at, location)
    name = _name(location) or at.rsplit(".", 1)[-1].removeprefix("$") or "body"
    allowed = _schema_at(_schema_of(kind), location) if kind is not None else {}
    return ProtocolError(ErrorCode.INVALID_PARAMS, f"{name}: {_sentence(finding, allowed)} at {path}", path)


def _sentence(finding: ErrorDetails, allowed: Schema) -> str:
    kind, context = finding["type"], finding.get("ctx", {})
    if kind == "missing":
        return "is required, and is missing"
    if kind == "extra_forbidden":
        return "is not a known field"
    if kind == "value_error":
        return str(context.get("error", finding["msg"]))
    expected = _expected(kind, context, allowed)
    wish = f"expected {expected}" if expected else finding["msg"]
    return f"{wish}, got {_shown(finding['input'])}"


def _expected(kind: str, context: Mapping[str, Any], allowed: Schema) -> str | None:
    """What would have been accepted; None where only pydantic can say."""
    limits = {name: allowed[keyword] for name, keyword in _SCHEMA_LIMITS.items() if keyword in allowed}
    if kind in _TYPES:
        return f"{_TYPES[kind]}, {_range(limits)}" if limits else _TYPES[kind]
    if kind in {"enum", "literal_error", "union_tag_invalid"}:
        return "one of " + str(context.get("expected") or context.get("expected_tags"))
    limits = limits or {name: context[name] for name in _LIMITS if name in context}
    if limits:
        return _range(limits)
    if kind in _LENGTHS:
        lowest, highest = (allowed.get(keyword) for keyword in _LENGTHS[kind])
        limits = {name: limit for name, limit in (("ge", lowest), ("le", highest)) if limit is not None}
        limits = limits or {name: context[key] for name, key in _CONTEXT_LENGTHS.items() if key in context}
        return f"a length of {_range(limits)}"
    return None


def _range(limits: Mapping[str, Any]) -> str:
    if limits.keys() == {"ge", "le"}:
        return f"{_shown(limits['ge'])}..{_shown(limits['le'])}"
    return " and ".join(_LIMITS[name].format(_shown(limit)) for name, limit in limits.items())


@lru_cache(maxsize=256)
def _schema_of(kind: Kind) -> Schema:
    return kind.json_schema() if isinstance(kind, TypeAdapter) else kind.model_json_schema()


def _schema_at(root: Schema, location: Iterable[int | str]) -> Schema:
    """What the schema says of one place; nothing if it cannot be followed there (a mapping's key, say)."""
    here: object = root
    for part in location:
        parent = _resolved(root, here)
        if isinstance(part, int):
            here = parent.get("items")
        else:
            here = parent.get("properties", {}).get(part, parent.get("additionalProperties"))
    return _resolved(root, here)


def _resolved(root: Schema, schema: object) -> Schema:
    """`schema` with its reference followed, or the one choice it has beside null."""
    while isinstance(schema, Mapping):
        if "$ref" in schema:
            schema = root["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
            continue
        choices = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
        if len(choices) != 1:
            return schema
        schema = choices[0]
    return {}


def _shown(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, bytes | bytearray):
        return f"{len(value)} bytes"
    if isinstance(value, Mapping):
        return f"an object of {len(value)}"
    if isinstance(value, list | tuple):
        return f"an array of {len(value)}"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    # Cut before it is written out: an inline picture can be megabytes.
    if isinstance(value, str) and len(value) > _SHOWN_CHARACTERS:
        return repr(value[:_SHOWN_CHARACTERS] + "...")
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."


def _json_path(at: str, location: Iterable[int | str]) -> str:
    """Normalised as in RFC 9535, but that a long name is cut."""
    for part in location:
        if isinstance(part, int):
            at += f"[{part}]"
        elif part == _KEY_ITSELF:
            continue
        else:  # names of unknown fields and labels are the client's: they may be long, and anything at all
            at += f".{part}" if part.isidentifier() and len(part) <= _SHOWN_CHARACTERS else f"[{_shown(part)}]"
    return at


def _name(location: Sequence[int | str]) -> str:
    """The last name on the way to the mistake, with the indices behind it."""
    start = max((at for at, part in enumerate(location) if isinstance(part, str) and part != _KEY_ITSELF), default=0)
    return _json_path("", location[start:]).removeprefix(".")
