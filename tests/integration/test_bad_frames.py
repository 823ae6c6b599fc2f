"""Whatever is wrong with a frame is answered, or closes its socket with a documented code; other sockets live on."""

from collections.abc import Iterator
from typing import Any

import msgpack
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from protocol.codec import JSON, MSGPACK, Codec
from protocol.ids import new_id
from protocol.messages import CLOSE_CODES
from tests.integration.viewers import RawSocket, Viewer
from tests.servers import DEADLINE_S, ThreadServer, thread_server

pytestmark = pytest.mark.usefixtures("quiet_log")

SMALL = {"steps": 0, "width": 8, "height": 8}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    """One server for all: nothing that is sent to it may harm it."""
    with thread_server(tmp_path_factory.mktemp("frames") / "data", max_body_bytes=100_000) as running:
        yield running


NO_MESSAGES: dict[str, tuple[str | bytes, str | bytes]] = {
    "nothing": ("", b""),
    "rubbish": ("{", b"\xc1"),
    "half a message": ('{"type": "ping"', msgpack.packb({"type": "ping"})[:-1]),
    "two messages": ('{"type": "ping"} {}', msgpack.packb({"type": "ping"}) * 2),
    "a list": ("[1]", msgpack.packb([1])),
    "a number": ("5", msgpack.packb(5)),
    "null": ("null", msgpack.packb(None)),
    "no type": ("{}", msgpack.packb({})),
    "an unknown type": ('{"type": "paint"}', msgpack.packb({"type": "paint"})),
    "a type of a list": ('{"type": ["ping"]}', msgpack.packb({"type": ["ping"]})),
    "a server's message": ('{"type": "reply", "ok": true}', msgpack.packb({"type": "reply", "ok": True})),
    "deep nesting": ("[" * 50_000, b"\x91" * 50_000),
    "a name that is no string": ('{"type": "ping", 5: 6}', msgpack.packb({"type": "ping", 5: 6})),
    "NaN": ('{"type": "ping", "ref": NaN}', msgpack.packb({"type": float("nan")})),
    "no UTF-8 in a string": ('{"type": "\\ud800"}', b"\x81\xa4type\xa4\xff\xfe\xff\xfe"),
    "more entries than there are": ('{"type": "ping",}', b"\xdf\xff\xff\xff\xff"),
}


@pytest.mark.parametrize("frames", NO_MESSAGES.values(), ids=NO_MESSAGES)
def test_frame_that_is_no_message_is_answered_and_the_socket_lives_on(
    server: ThreadServer, codec: Codec, frames: tuple[str | bytes, str | bytes]
) -> None:
    with Viewer(server, codec) as viewer:
        viewer.connection.send(frames[codec is MSGPACK])
        reply = viewer.next()
        assert (reply["type"], reply["ok"]) == ("reply", False)
        assert reply["error"]["code"] == "malformed"
        assert viewer.ask("ping")["ok"]


def test_socket_that_goes_on_sending_rubbish_is_closed(server: ThreadServer, codec: Codec) -> None:
    with Viewer(server, codec) as viewer, Viewer(server, codec) as other:
        for _ in range(11):
            viewer.connection.send(b"\xc1" if codec is MSGPACK else "{")
        assert viewer.closed()[0] == 4400
        assert len(viewer.frames) == 10
        assert other.ask("ping")["ok"]


def test_frame_of_the_other_kind_closes_the_socket(server: ThreadServer, codec: Codec) -> None:
    with Viewer(server, codec) as viewer:
        viewer.connection.send(b'{"type": "ping"}' if codec is JSON else '{"type": "ping"}')
        code, reason = viewer.closed()
    assert code == 1003
    assert ("text" if codec is JSON else "binary") in reason


@pytest.mark.parametrize("offered", [None, ["safelight.v2.json"], ["chat", "safelight.key.abc"]])
def test_socket_without_a_known_subprotocol_is_told_which_there_are(
    server: ThreadServer, offered: list[str] | None
) -> None:
    subprotocols = None if offered is None else [Subprotocol(name) for name in offered]
    with connect(server.ws_url, subprotocols=subprotocols, proxy=None, compression=None) as connection:
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv(timeout=3 * DEADLINE_S)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4406
        assert "safelight.v1.json" in closed.value.rcvd.reason


def test_first_known_subprotocol_of_several_is_taken(server: ThreadServer) -> None:
    offered = [Subprotocol(name) for name in ("chat", MSGPACK.subprotocol, JSON.subprotocol)]
    with connect(server.ws_url, subprotocols=offered, proxy=None, compression=None) as connection:
        assert connection.subprotocol == MSGPACK.subprotocol


def test_text_that_is_not_utf8_closes_the_socket(server: ThreadServer) -> None:
    raw = RawSocket(server)
    raw.send_frame(1, b'{"type": "\xff\xfe"}')
    assert raw.read_to_close() == ([], 1007)
    raw.close()


def test_frame_with_a_reserved_opcode_closes_the_socket(server: ThreadServer, codec: Codec) -> None:
    raw = RawSocket(server, codec)
    raw.send_frame(3, b"?")
    assert raw.read_to_close() == ([], 1002)
    raw.close()


def test_message_above_the_cap_closes_the_socket(server: ThreadServer, codec: Codec) -> None:
    with Viewer(server, codec) as viewer:
        viewer.say("submit", job={"task": "upscale", "params": {"image": "A" * 110_000}})
        assert viewer.closed()[0] == 1009


def test_every_code_the_server_closes_with_is_documented() -> None:
    assert {1002, 1003, 1007, 1009, 1012, 4400, 4401, 4406, 4408} <= set(CLOSE_CODES)


WRONG_MESSAGES: dict[str, tuple[dict[str, Any], str, str]] = {
    "an unknown field": ({"type": "ping", "x": 1}, "invalid_params", "$.x"),
    "a ref of a number": ({"type": "ping", "ref": 5}, "invalid_params", "$.ref"),
    "a long ref": ({"type": "ping", "ref": "r" * 129}, "invalid_params", "$.ref"),
    "subscribing to nothing": ({"type": "subscribe"}, "invalid_params", "$"),
    "subscribing to two things": ({"type": "subscribe", "job_id": "x", "topic": "server"}, "invalid_params", "$"),
    "an unknown topic": ({"type": "subscribe", "topic": "weather"}, "invalid_params", "$.topic"),
    "jobs of others": ({"type": "subscribe", "jobs": "all"}, "invalid_params", "$.jobs"),
    "after of text": ({"type": "subscribe", "job_id": "x", "after": "1"}, "invalid_params", "$.after"),
    "after below 0": ({"type": "subscribe", "job_id": "x", "after": -1}, "invalid_params", "$.after"),
    "after beyond numbers": ({"type": "subscribe", "job_id": "x", "after": 2**63}, "invalid_params", "$.after"),
    "a long cursor": ({"type": "subscribe", "jobs": "mine", "cursor": "c" * 129}, "invalid_params", "$.cursor"),
    "a job by path": ({"type": "subscribe", "job_id": "../.."}, "not_found", ""),
    "a job nobody made": ({"type": "subscribe", "job_id": new_id()}, "not_found", ""),
    "a job with a NUL": ({"type": "cancel", "job_id": "\x00"}, "not_found", ""),
    "cancelling nothing": ({"type": "cancel"}, "invalid_params", "$.job_id"),
    "cancelling what nobody made": ({"type": "cancel", "job_id": new_id()}, "not_found", ""),
    "skipping nothing": ({"type": "skip"}, "invalid_params", "$.job_id"),
    "skipping of what nobody made": ({"type": "skip", "job_id": new_id()}, "not_found", ""),
    "unsubscribing from nothing": ({"type": "unsubscribe"}, "invalid_params", "$"),
    "submitting nothing": ({"type": "submit"}, "invalid_params", "$.job"),
    "submitting a list": ({"type": "submit", "job": []}, "invalid_params", "$.job"),
    "submitting an unknown task": ({"type": "submit", "job": {"task": "paint"}}, "unknown_task", "$.job.task"),
    "too many steps": (
        {"type": "submit", "job": {"task": "test_pattern", "params": {"steps": 1001}}},
        "invalid_params",
        "$.job.params.steps",
    ),
    "a picture that is none": (
        {"type": "submit", "job": {"task": "upscale", "params": {"image": "QUJD"}}},
        "bad_image",
        "$.job.params.image",
    ),
    "an empty idempotency key": (
        {"type": "submit", "job": {"task": "test_pattern"}, "idempotency_key": ""},
        "invalid_params",
        "$.idempotency_key",
    ),
    "auth twice, and wrong": ({"type": "auth", "key": 5}, "invalid_params", "$.key"),
}


@pytest.mark.parametrize(("message", "code", "field"), WRONG_MESSAGES.values(), ids=WRONG_MESSAGES)
def test_wrong_message_is_refused_by_name(
    server: ThreadServer, codec: Codec, message: dict[str, Any], code: str, field: str
) -> None:
    with Viewer(server, codec) as viewer:
        content = codec.encode({"ref": "a", **message})
        viewer.connection.send(content if codec.messages_are_binary else content.decode())
        reply = viewer.next()
        assert (reply["type"], reply["ok"]) == ("reply", False)
        assert (reply["error"]["code"], reply["error"].get("field", "")) == (code, field)
        assert reply.get("ref") == (message.get("ref", "a") if isinstance(message.get("ref", "a"), str) else None)
        assert viewer.ask("ping")["ok"]


def test_deeply_nested_job_is_refused(server: ThreadServer, codec: Codec) -> None:
    with Viewer(server, codec) as viewer:
        if codec is MSGPACK:
            viewer.connection.send(b"\x82\xa4type\xa6submit\xa3job\x81\xa4task" + b"\x91" * 400 + b"\x01")
        else:
            viewer.connection.send('{"type": "submit", "job": {"task": ' + "[" * 400 + "]" * 400 + "}}")
        reply = viewer.next()
        assert (reply["ok"], reply["error"]["code"], reply["error"]["field"]) == (False, "invalid_params", "$.job")


@pytest.mark.parametrize(
    "value",
    [b"bytes", msgpack.ExtType(5, b"x"), msgpack.Timestamp(1), 2**64 - 1, -(2**63), float("nan"), float("inf")],
    ids=repr,
)
def test_msgpack_value_that_json_has_not_is_refused(server: ThreadServer, value: object) -> None:
    for job in ({"task": "test_pattern", "params": {"steps": value}}, {"task": "test_pattern", "labels": {"a": value}}):
        with Viewer(server, MSGPACK) as viewer:
            viewer.connection.send(msgpack.packb({"type": "submit", "ref": "a", "job": job}))
            reply = viewer.next()
            assert (reply["ok"], reply["error"]["code"]) == (False, "invalid_params")
            assert reply["error"]["field"].startswith("$.job")
            assert viewer.ask("ping")["ok"]


def test_refused_message_leaves_the_other_jobs_of_its_socket_alone(server: ThreadServer, codec: Codec) -> None:
    with Viewer(server, codec) as viewer:
        job = viewer.submit(params={"steps": 20, "step_ms": 5, "width": 8, "height": 8})
        for _ in range(8):
            assert not viewer.ask("submit", job={"task": "paint"})["ok"]
        assert viewer.until_end(job["id"])[-1]["type"] == "job.succeeded"


def test_message_in_fragments_is_one_message(server: ThreadServer, codec: Codec) -> None:
    with Viewer(server, codec) as viewer:
        content = codec.encode({"type": "ping", "ref": "a"})
        parts = [content[:5], content[5:9], content[9:]]
        viewer.connection.send(parts if codec.messages_are_binary else [part.decode() for part in parts])
        assert viewer.next() == {"type": "reply", "ref": "a", "ok": True}


def test_subscribing_again_neither_repeats_events_nor_leaves_a_subscriber_behind(
    server: ThreadServer, codec: Codec
) -> None:
    with Viewer(server, codec) as viewer:
        cursor = viewer.ask("subscribe", jobs="mine")["cursor"]
        for _ in range(20):
            viewer.say("subscribe", jobs="mine", cursor=cursor)  # reads the store: these are under way at once
        for _ in range(20):
            assert viewer.next()["ok"]
        job = viewer.submit(params=SMALL)
        told = viewer.until_end(job["id"])
        viewer.ask("unsubscribe", jobs="mine")
        assert [message["seq"] for message in told if "cursor" in message and "job_id" in message] == [1, 2, 3, 4]
        assert server.services.bus.subscriber_count() == 0


def test_idempotent_submits_at_once_leave_no_subscriber_behind(server: ThreadServer, codec: Codec) -> None:
    with Viewer(server, codec) as viewer:
        key = new_id()
        job = {"task": "test_pattern", "params": {"steps": 10, "step_ms": 5, "width": 8, "height": 8}}
        for _ in range(20):
            viewer.say("submit", job=job, idempotency_key=key)
        told = viewer.until_end()
        replies = [message for message in told if message["type"] == "reply"]
        while len(replies) < 20:
            message = viewer.next()
            replies += [message] if message["type"] == "reply" else []
        assert len({reply["job"]["id"] for reply in replies}) == 1
        assert viewer.ask("ping")["ok"]
        assert server.services.bus.subscriber_count() == 0
