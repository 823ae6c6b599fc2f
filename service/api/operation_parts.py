"""What several operations have in common: parameters, and the answers to a submit."""

from typing import Any, Final

from service.api.openapi import JSON, Answer, Content, Parameter, ref

IDEMPOTENCY_KEY: Final = Parameter(
    name="Idempotency-Key",
    where="header",
    description="A repeat with the same key and body gets the first job; with another body a 422.",
    schema={"type": "string", "minLength": 1, "maxLength": 255},
)
PREFER: Final = Parameter(
    name="Prefer",
    where="header",
    description="`wait=30` waits up to so many seconds for the job to end (RFC 7240).",
    schema={"type": "string"},
)
JOB: Final = {JSON: ref("Job")}
SUBMITTED: Final = (
    Answer(
        status=202,
        content=Content(description="Accepted.", media=JOB),
        headers={"Location": "The job.", "Preference-Applied": "How long it was waited for."},
    ),
    Answer(
        status=200,
        content=Content(description="It ended within the time waited.", media=JOB),
        headers={"Location": "The job.", "Preference-Applied": "How long it was waited for."},
    ),
)


def choice(name: str, description: str, values: Any) -> Parameter:
    """A query parameter that takes one of a closed set."""
    return Parameter(
        name=name, where="query", description=description, schema={"type": "string", "enum": [*map(str, values)]}
    )


def choices(name: str, description: str, values: Any) -> Parameter:
    """A query parameter that takes some of a closed set: repeated, or with commas."""
    item = {"type": "string", "enum": [*map(str, values)]}
    return Parameter(name=name, where="query", description=description, schema={"type": "array", "items": item})
