import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from protocol.events import EVENTS
from protocol.messages import CLIENT_MESSAGES, CLOSE_CODES
from service.api import asyncapi


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return asyncapi.document(key_header="X-Key")


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from references(each)


def resolve(document: dict[str, Any], reference: str) -> Any:
    place: Any = document
    for part in reference.removeprefix("#/").split("/"):
        place = place[part]
    return place


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    found = list(references(document))
    assert len(found) > 100
    for reference in found:
        resolve(document, reference)


def test_the_document_has_what_asyncapi_requires(document: dict[str, Any]) -> None:
    assert document["asyncapi"] == "3.0.0"
    assert document["info"]["title"]
    assert document["info"]["version"]
    assert document["channels"]["socket"]["address"] == "/v1/ws"
    assert "ws" in document["channels"]["socket"]["bindings"]
    for operation in document["operations"].values():
        assert operation["action"] in {"send", "receive"}
        for message in operation["messages"]:
            assert message["$ref"].startswith("#/channels/socket/messages/"), (
                "an operation names messages of its channel"
            )


def test_map_keys_have_only_the_characters_asyncapi_allows(document: dict[str, Any]) -> None:
    places = ("servers", "channels", "operations")
    keys = [key for place in places for key in document[place]]
    keys += [key for kind in document["components"].values() for key in kind]
    assert all(re.fullmatch(r"[\w-]+", key) for key in keys)


def test_what_the_server_reads_is_received_and_the_rest_is_sent(document: dict[str, Any]) -> None:
    names = {name: message["name"] for name, message in document["components"]["messages"].items()}
    received, sent = set(), set()
    for operation in document["operations"].values():
        told = {names[message["$ref"].rsplit("/", 1)[-1]] for message in operation["messages"]}
        (received if operation["action"] == "receive" else sent).update(told)
    assert received == set(CLIENT_MESSAGES)
    assert sent == {"reply", *EVENTS}


def test_every_close_code_is_there(document: dict[str, Any]) -> None:
    channel = document["channels"]["socket"]
    assert channel["x-close-codes"] == {str(code): meaning for code, meaning in CLOSE_CODES.items()}
    assert all(str(code) in channel["description"] for code in CLOSE_CODES)


def test_every_schema_is_a_schema_and_tells_messages_apart(document: dict[str, Any]) -> None:
    for each in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(each)
    payload = document["components"]["messages"]["subscribe"]["payload"]
    validator = jsonschema.Draft202012Validator({**payload, "components": document["components"]})
    assert validator.is_valid({"type": "subscribe", "job_id": "1", "after": 3})
    assert not validator.is_valid({"type": "cancel", "job_id": "1"})


def test_every_message_has_a_sentence(document: dict[str, Any]) -> None:
    assert all(message["summary"] for message in document["components"]["messages"].values())


def test_the_server_says_how_it_takes_a_key(document: dict[str, Any]) -> None:
    assert document["components"]["securitySchemes"]["key"]["name"] == "X-Key"
