"""The JSON Schema is valid, complete, and of one mind with the parser."""

import itertools
import json
import math
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from protocol.codec import event_fields
from protocol.errors import ErrorBody, ErrorCode, ProtocolError
from protocol.events import EVENTS, FACTS, Event, JobFailed, JobQueued, PreviewReady, ServerDraining, StepFinished
from protocol.ids import new_id
from protocol.messages import CLIENT_MESSAGES, parse_client_message
from protocol.requests import TASKS, Priority, TaskName, parse_job_request
from protocol.schema import components, document, event_schema_name

AT = "2026-11-21T10:00:00.000000Z"
IMAGE = "aGVsbG8="


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    return document()


def validator(schemas: dict[str, Any], name: str) -> Draft202012Validator:
    return Draft202012Validator(schemas | {"$ref": f"#/$defs/{name}"})


def references(value: object) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(inner) for inner in value.values()))
    if isinstance(value, list):
        return set().union(*(references(inner) for inner in value))
    return set()


def test_document_is_valid_json_schema(schemas: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schemas)
    for schema in schemas["$defs"].values():
        Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schemas)) == schemas


def test_every_reference_leads_somewhere(schemas: dict[str, Any]) -> None:
    assert references(schemas) <= {f"#/$defs/{name}" for name in schemas["$defs"]}
    template = "#/components/schemas/{model}"
    named = components(ref=template)
    assert references(named) <= {template.format(model=name) for name in named}


def test_every_event_task_and_message_has_a_schema(schemas: dict[str, Any]) -> None:
    names = set(schemas["$defs"])
    assert {event_schema_name(body) for body in EVENTS.values()} <= names
    assert {spec.params.__name__ for spec in TASKS.values()} <= names
    assert {message.__name__ for message in CLIENT_MESSAGES.values()} <= names
    assert len(schemas["$defs"]["JobRequest"]["oneOf"]) == len(TaskName)


EVENTS_OF_EACH_SORT = [
    Event(JobQueued(task=TaskName.ERASE, priority=Priority.HIGH), job_id=new_id(), seq=1, at=AT, cursor="c"),
    Event(
        JobFailed(error=ErrorBody(code=ErrorCode.STEP_FAILED, message="m", field=None)),
        job_id=new_id(),
        seq=3,
        at=AT,
        cursor="c",
    ),
    Event(StepFinished(image=0, step=1, steps=2, progress=0.5), job_id=new_id(), seq=2, at=AT, attempt=1, n=4),
    Event(
        PreviewReady(image=0, step=1, width=1, height=1, media_type="image/jpeg", bytes=b"x"),
        job_id=new_id(),
        seq=2,
        at=AT,
        attempt=1,
        n=5,
    ),
    Event(ServerDraining(), at=AT, n=1),
]


@pytest.mark.parametrize("event", EVENTS_OF_EACH_SORT, ids=lambda event: event.type)
def test_event_as_sent_fits_its_schema_and_only_that(schemas: dict[str, Any], event: Event) -> None:
    fields = json.loads(json.dumps(event_fields(event, with_bytes=False)))
    validator(schemas, "Event").validate(fields)  # oneOf: exactly one
    assert validator(schemas, event_schema_name(type(event.body))).is_valid(fields)


@pytest.mark.parametrize("event", EVENTS_OF_EACH_SORT, ids=lambda event: event.type)
def test_event_that_lacks_a_field_of_its_envelope_does_not_fit(schemas: dict[str, Any], event: Event) -> None:
    fields = event_fields(event, with_bytes=False)
    envelope = ["type", "at", "data"]
    envelope += ["job_id", "seq"] if event.job_id else []
    envelope += ["cursor"] if type(event.body) in FACTS else ["n"]
    for name in envelope:
        assert not validator(schemas, "Event").is_valid({k: v for k, v in fields.items() if k != name})


LEAST: dict[str, dict[str, Any]] = {
    "erase": {"image": IMAGE, "mask": IMAGE},
    "remove_text": {"image": IMAGE},
    "upscale": {"image": IMAGE},
    "remove_background": {"image": IMAGE},
    "segment": {"image": IMAGE, "points": [{"x": 1, "y": 1}]},
    "adjust_mask": {"mask": IMAGE, "operation": "expand"},
    "restore_face": {"image": IMAGE},
    "describe": {"image": IMAGE},
    "text_to_image": {"prompt": "a cat"},
    "image_to_image": {"prompt": "a cat", "image": IMAGE},
    "inpaint": {"prompt": "a cat", "image": IMAGE, "mask": IMAGE},
    "outpaint": {"prompt": "a cat", "image": IMAGE, "left": 8, "right": 8},
    "enhance": {"prompt": "a cat", "image": IMAGE, "enhance": {"regions": [{"text": "face"}]}},
    "load_model": {"model": "spark"},
    "test_pattern": {},
}
VALUES: list[object] = [None, True, "", "x", "png", "auto", -1, 0, 1, 3, 4, 5, 32, 101, 2049, 2**32, 0.5, 1.5, [], {}]


def parses(request: dict[str, Any]) -> bool:
    try:
        parse_job_request(request)
    except ProtocolError:
        return False
    return True


@pytest.mark.parametrize("task", TaskName)
def test_schema_and_parser_agree_on_each_value_of_each_parameter(schemas: dict[str, Any], task: TaskName) -> None:
    check = validator(schemas, "JobRequest")
    fields = [*TASKS[task].params.model_fields, "unknown"]
    pairs = {("erase", "mask"), ("inpaint", "mask"), ("image_to_image", "upscale_model")}
    pairs |= {("segment", "points"), ("segment", "text"), *((str(each), "enhance") for each in TaskName)}
    for field, value in itertools.product(fields, VALUES):
        if (task, field) in pairs:
            continue  # there the parser also asks for another field, or one of two, which the schema leaves to the text
        request = {"task": str(task), "params": LEAST[task] | {field: value}}
        assert check.is_valid(request) == parses(request), request


@pytest.mark.parametrize("task", TaskName)
def test_schema_and_parser_agree_on_the_envelope(schemas: dict[str, Any], task: TaskName) -> None:
    check = validator(schemas, "JobRequest")
    base = {"task": str(task), "params": LEAST[task]}
    assert check.is_valid(base)
    assert check.is_valid({"task": str(task)}) == parses({"task": str(task)})
    for change in (
        {"priority": "high"},
        {"priority": "urgent"},
        {"previews": "all"},
        {"previews": 1},
        {"labels": {"a": "b"}},
        {"labels": {"a": 1}},
        {"labels": {str(n): "" for n in range(33)}},
        {"webhook": {"url": "https://localhost/"}},
        {"webhook": {"url": "https://localhost/", "events": []}},
        {"webhook": {}},
        {"webhook": None},
        {"labels": {"k" * 257: ""}},
        {"task": "sing"},
        {"unknown": 1},
    ):
        assert check.is_valid(base | change) == parses(base | change), change


def test_schema_and_parser_agree_on_client_messages(schemas: dict[str, Any]) -> None:
    messages: list[dict[str, Any]] = [
        {"type": "ping"},
        {"type": "ping", "ref": 1},
        {"type": "ping", "x": 1},
        {"type": "cancel"},
        {"type": "cancel", "job_id": "j"},
        {"type": "skip"},
        {"type": "skip", "job_id": "j"},
        {"type": "subscribe", "job_id": "j", "after": -1},
        {"type": "subscribe", "job_id": "j", "after": 2**53},
        {"type": "submit", "job": {}, "subscribe": 1},
        {"type": "submit", "job": {}},
        {"type": "auth", "key": None},
    ]
    for message in messages:
        check = validator(schemas, CLIENT_MESSAGES[message["type"]].__name__)
        try:
            parse_client_message(message)
        except ProtocolError:
            assert not check.is_valid(message), message
        else:
            assert check.is_valid(message), message


def test_ranges_in_the_schema_are_finite_numbers(schemas: dict[str, Any]) -> None:
    for name, spec in ((spec.params.__name__, spec) for spec in TASKS.values()):
        for field, schema in schemas["$defs"][name]["properties"].items():
            choices = [schema, *schema.get("anyOf", [])]
            for number in (choice for choice in choices if choice.get("type") in {"integer", "number"}):
                assert math.isfinite(number["minimum"]), (spec, field)
                assert math.isfinite(number["maximum"]), (spec, field)
