"""JSON Schema as TypeScript types: the part of it that pydantic writes.

Ranges and defaults have no type; they go into the comment of their field.
"""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Final

Schema = Mapping[str, Any]
_PLAIN: Final = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "null": "null",
}
_LARGEST_SAFE: Final = 2**53 - 1
_NAME: Final = re.compile(r"[A-Za-z_$][\w$]*")
_WIDTH: Final = 110
_RANGES: Final = (
    ("minimum", "at least {}"),
    ("exclusiveMinimum", "above {}"),
    ("maximum", "at most {}"),
    ("exclusiveMaximum", "below {}"),
    ("maxItems", "at most {} of them"),
)


def declaration(name: str, schema: Schema, *, is_told: bool = False) -> str:
    """`export interface NAME` for an object with properties, `export type NAME` for all else.

    Args:
        is_told: the server tells it: then a field with a default is always there, unless it may be null. In what a
            client asks it may be left out.
    """
    head = "".join(f"{line}\n" for line in comment(str(schema.get("description", "")).strip()))
    if schema.get("properties"):
        return f"{head}export interface {name} {_object(schema, '', is_told=is_told)}"
    return f"{head}export type {name} = {type_of(schema)};"


def type_of(schema: Schema, indent: str = "") -> str:
    """The type of a value that `schema` describes.

    Args:
        indent: of the line it stands in.
    """
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(map(json.dumps, schema["enum"]))
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            joint = " & " if choice == "allOf" else " | "
            return joint.join(dict.fromkeys(type_of(part, indent) for part in schema[choice]))
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(dict.fromkeys(type_of({**schema, "type": part}, indent) for part in kind))
    if kind == "array":
        return _array(schema, indent)
    if kind == "object":
        return _object(schema, indent)
    if kind == "integer" and schema.get("maximum", 0) > _LARGEST_SAFE:
        return "number | bigint"
    return _PLAIN.get(str(kind), "unknown")


def comment(text: str, indent: str = "") -> Iterator[str]:
    """The lines of a JSDoc comment; none for no text."""
    if not text:
        return
    lines = [line for paragraph in text.splitlines() for line in textwrap.wrap(paragraph, _WIDTH - len(indent)) or [""]]
    if len(lines) == 1:
        yield f"{indent}/** {lines[0]} */"
        return
    yield f"{indent}/**"
    yield from (f"{indent} * {line}".rstrip() for line in lines)
    yield f"{indent} */"


def _array(schema: Schema, indent: str) -> str:
    if "prefixItems" in schema:
        return f"[{', '.join(type_of(item, indent) for item in schema['prefixItems'])}]"
    item = type_of(schema.get("items", {}), indent)
    return f"({item})[]" if " " in item and not item.startswith("{") else f"{item}[]"


def _object(schema: Schema, indent: str, *, is_told: bool = False) -> str:
    properties: Mapping[str, Schema] = schema.get("properties", {})
    if not properties:
        others = schema.get("additionalProperties", True)
        return f"Record<string, {'any' if isinstance(others, bool) else type_of(others, indent)}>"
    required = schema.get("required", ())
    inner = indent + "  "
    lines: list[str] = []
    for name, described in properties.items():
        lines += comment(_note(described), inner)
        key = name if _NAME.fullmatch(name) else json.dumps(name)
        is_there = name in required or (is_told and not _may_be_null(described))
        mark = "" if is_there else "?"
        lines.append(f"{inner}{key}{mark}: {type_of(described, inner)};")
    return "\n".join(("{", *lines, f"{indent}}}"))


def _may_be_null(schema: Schema) -> bool:
    return any(part.get("type") == "null" for part in schema.get("anyOf", ()))


def references(schema: object) -> Iterator[str]:
    """The names of the types that a schema speaks of."""
    if isinstance(schema, Mapping):
        if isinstance(name := schema.get("$ref"), str):
            yield name.rpartition("/")[2]
        schema = schema.values()
    elif not isinstance(schema, list):
        return
    for part in schema:
        yield from references(part)


def _note(schema: Schema) -> str:
    """What is said of a field, with its range and its default."""
    about = next((part for part in schema.get("anyOf", ()) if part.get("type") != "null"), {}) | dict(schema)
    facts = [text.format(about[key]) for key, text in _RANGES if key in about and abs(about[key]) <= _LARGEST_SAFE]
    if schema.get("default") is not None:
        facts.append(f"by default {json.dumps(schema['default'], ensure_ascii=False)}")
    said = str(schema.get("description", "")).strip()
    if not facts:
        return said
    ranges = ", ".join(facts)
    return f"{said} ({ranges})" if said else ranges[0].upper() + ranges[1:] + "."
