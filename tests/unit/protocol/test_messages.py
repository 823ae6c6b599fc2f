"""What a client may say over the socket, and what it is told when it says something else."""

import pytest
from pydantic import ValidationError

from protocol.errors import ErrorBody, ErrorCode, ProtocolError
from protocol.messages import CLIENT_MESSAGES, CLOSE_CODES, MAX_SEQ, Reply, Submit, Subscribe, parse_client_message

ACCEPTED = [
    {"type": "auth", "key": "k"},
    {"type": "submit", "job": {"task": "describe"}},
    {"type": "submit", "ref": "a1", "job": {}, "idempotency_key": "i", "subscribe": False},
    {"type": "subscribe", "job_id": "j"},
    {"type": "subscribe", "job_id": "j", "after": MAX_SEQ},
    {"type": "subscribe", "jobs": "mine", "cursor": "c"},
    {"type": "subscribe", "topic": "server"},
    {"type": "unsubscribe", "job_id": "j"},
    {"type": "cancel", "job_id": "j"},
    {"type": "skip", "job_id": "j"},
    {"type": "ping", "ref": None},
]


@pytest.mark.parametrize("message", ACCEPTED, ids=repr)
def test_message_is_read_as_its_type(message: dict[str, object]) -> None:
    read = parse_client_message(message)
    assert type(read) is CLIENT_MESSAGES[str(message["type"])]
    assert {name: getattr(read, name) for name in message} == message


def test_every_client_message_is_tried_here() -> None:
    assert {message["type"] for message in ACCEPTED} == set(CLIENT_MESSAGES)


def test_submit_watches_its_job_unless_told_otherwise() -> None:
    message = parse_client_message({"type": "submit", "job": {}})
    assert isinstance(message, Submit)
    assert message.subscribe


def test_subscription_starts_at_the_first_fact_unless_told_otherwise() -> None:
    message = parse_client_message({"type": "subscribe", "job_id": "j"})
    assert isinstance(message, Subscribe)
    assert message.after == 0


@pytest.mark.parametrize(
    "value", [None, [], "ping", {}, {"type": None}, {"type": []}, {"type": "x" * 9999}], ids=lambda v: repr(v)[:20]
)
def test_what_has_no_known_type_is_malformed(value: object) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_client_message(value)
    assert caught.value.code is ErrorCode.MALFORMED
    assert caught.value.field == "$.type"
    assert len(caught.value.message) < 250


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"type": "auth"}, "$.key"),
        ({"type": "auth", "key": "k" * 513}, "$.key"),
        ({"type": "submit"}, "$.job"),
        ({"type": "submit", "job": []}, "$.job"),
        ({"type": "submit", "job": {}, "idempotency_key": ""}, "$.idempotency_key"),
        ({"type": "submit", "job": {}, "idempotency_key": "i" * 256}, "$.idempotency_key"),
        ({"type": "submit", "job": {}, "subscribe": "yes"}, "$.subscribe"),
        ({"type": "subscribe"}, "$"),
        ({"type": "subscribe", "job_id": "j", "topic": "server"}, "$"),
        ({"type": "subscribe", "job_id": "j" * 65}, "$.job_id"),
        ({"type": "subscribe", "job_id": "j", "after": -1}, "$.after"),
        ({"type": "subscribe", "job_id": "j", "after": MAX_SEQ + 1}, "$.after"),
        ({"type": "subscribe", "job_id": "j", "after": 1e20}, "$.after"),
        ({"type": "subscribe", "job_id": "j", "after": True}, "$.after"),
        ({"type": "subscribe", "jobs": "all"}, "$.jobs"),
        ({"type": "subscribe", "topic": "jobs"}, "$.topic"),
        ({"type": "unsubscribe"}, "$"),
        ({"type": "cancel"}, "$.job_id"),
        ({"type": "skip"}, "$.job_id"),
        ({"type": "ping", "ref": "r" * 129}, "$.ref"),
        ({"type": "ping", "ref": 1}, "$.ref"),
        ({"type": "ping", "extra": 1}, "$.extra"),
        ({"type": "ping", b"bytes": 1}, "$[\"b'bytes'\"]"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_wrong_field_is_refused_by_name(message: dict[str, object], field: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_client_message(message)
    assert (caught.value.code, caught.value.field) == (ErrorCode.INVALID_PARAMS, field)


def test_reply_says_nothing_of_what_it_has_not() -> None:
    assert Reply(ref="a1", ok=True).wire() == {"type": "reply", "ref": "a1", "ok": True}
    error = ErrorBody(code=ErrorCode.NOT_FOUND, message="no such job", field=None)
    assert Reply(ok=False, error=error).wire() == {
        "type": "reply",
        "ok": False,
        "error": {"code": "not_found", "message": "no such job"},
    }


def test_message_cannot_be_changed_once_read() -> None:
    message = parse_client_message({"type": "ping"})
    with pytest.raises(ValidationError, match="frozen"):
        message.ref = "other"  # type: ignore[misc] # the very thing that must not work


def test_close_codes_are_ones_an_application_may_use() -> None:
    registered = {1000, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013}
    assert all(code in registered or 4000 <= code <= 4999 for code in CLOSE_CODES)
