"""Events and messages survive the way over the wire, in both codecs."""

import base64
import string
from contextlib import suppress

import msgpack
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.codec import CODECS, JSON, MSGPACK, Codec, event_fields, event_from, event_text
from protocol.errors import ErrorBody, ErrorCode, ProtocolError
from protocol.events import (
    EVENTS,
    FACTS,
    JOB_HINTS,
    Event,
    JobCancelled,
    JobFailed,
    JobQueued,
    JobRemoved,
    JobRequeued,
    JobStarted,
    JobSucceeded,
    JobWarning,
    ModelAdded,
    ModelFailed,
    ModelLoaded,
    ModelLoading,
    ModelUnloaded,
    OutputReady,
    OutputSkipped,
    PreviewReady,
    QueueMoved,
    ServerDraining,
    StepFinished,
)
from protocol.ids import new_id
from protocol.params import LARGEST_SEED
from protocol.requests import Priority, TaskName

AT = "2026-11-21T10:00:00.000000Z"

counts = st.integers(0, 2**53 - 1)
positives = st.integers(1, 2**53 - 1)
seconds = st.floats(0, 1e9)
words = st.text(st.characters(codec="utf-8"), max_size=40)
names = st.text(string.ascii_lowercase, min_size=1, max_size=10)
timings = st.dictionaries(names, seconds, max_size=4)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
errors = st.builds(ErrorBody, code=st.sampled_from(ErrorCode), message=words, field=st.none() | words)

BODIES = {
    JobQueued: st.builds(
        JobQueued, task=st.sampled_from(TaskName), priority=st.sampled_from(Priority), attempt=positives
    ),
    JobStarted: st.builds(JobStarted, worker=words, device=words, attempt=positives),
    JobRequeued: st.builds(JobRequeued, attempt=positives, reason=words),
    OutputReady: st.builds(
        OutputReady,
        index=counts,
        url=words,
        media_type=words,
        size_bytes=counts,
        sha256=words,
        width=st.none() | positives,
        height=st.none() | positives,
        seed=st.none() | counts,
        timings=timings,
        data=st.none() | st.dictionaries(words, json_values, max_size=3),
    ),
    OutputSkipped: st.builds(OutputSkipped, index=counts),
    JobWarning: st.builds(JobWarning, code=words, message=words),
    JobSucceeded: st.builds(JobSucceeded, duration_s=seconds, timings=timings),
    JobFailed: st.builds(JobFailed, error=errors, duration_s=seconds),
    JobCancelled: st.builds(JobCancelled, reason=words, duration_s=seconds),
    QueueMoved: st.builds(QueueMoved, position=counts, eta_s=st.none() | seconds),
    JobRemoved: st.builds(JobRemoved, reason=words),
    StepFinished: st.builds(
        StepFinished,
        image=counts,
        step=counts,
        steps=counts,
        progress=st.floats(0, 1),
        eta_s=st.none() | seconds,
        stage=st.none() | words,
    ),
    PreviewReady: st.builds(
        PreviewReady,
        image=counts,
        step=counts,
        width=positives,
        height=positives,
        media_type=words,
        bytes=st.binary(max_size=200),
    ),
    ModelLoading: st.builds(ModelLoading, model=words, phase=words, done=counts, total=st.none() | counts),
    ModelLoaded: st.builds(ModelLoaded, model=words, device=words, size_bytes=st.none() | counts),
    ModelUnloaded: st.builds(ModelUnloaded, model=words, reason=words),
    ModelAdded: st.builds(ModelAdded, model=words, size_bytes=counts),
    ModelFailed: st.builds(ModelFailed, model=words, reason=words),
    ServerDraining: st.builds(ServerDraining, reconnect_to=st.none() | words),
}


@st.composite
def events(draw: st.DrawFn, kind: type) -> Event:
    """An event as the pump would stamp it: facts with a cursor, job hints with attempt and n, server hints with n."""
    body = draw(BODIES[kind])
    if kind in FACTS:
        return Event(body, job_id=new_id(), seq=draw(positives), at=AT, cursor=draw(names))
    if kind in JOB_HINTS:
        return Event(body, job_id=new_id(), seq=draw(positives), at=AT, attempt=draw(positives), n=draw(positives))
    return Event(body, at=AT, n=draw(positives))


def on_the_wire(codec: Codec, event: Event) -> str | bytes:
    """The frame as the receiving library hands it over: text frames as str."""
    frame = codec.event_frame(event)
    return frame if codec.is_binary(event) else frame.decode("utf-8")


@pytest.fixture(params=sorted(CODECS))
def codec(request: pytest.FixtureRequest) -> Codec:
    return CODECS[request.param]


def test_every_event_type_is_tried_here() -> None:
    assert set(BODIES) == set(EVENTS.values())


@pytest.mark.parametrize("kind", EVENTS.values(), ids=list(EVENTS))
@pytest.mark.parametrize("subprotocol", sorted(CODECS))
@given(data=st.data())
def test_event_is_the_same_after_the_wire(data: st.DataObject, subprotocol: str, kind: type) -> None:
    event = data.draw(events(kind))
    codec = CODECS[subprotocol]
    assert event_from(codec.decode(on_the_wire(codec, event))) == event


@pytest.mark.parametrize("kind", EVENTS.values(), ids=list(EVENTS))
@given(data=st.data())
def test_both_codecs_use_the_same_names_and_values(data: st.DataObject, kind: type) -> None:
    event = data.draw(events(kind))
    assert JSON.decode(on_the_wire(JSON, event)) == MSGPACK.decode(on_the_wire(MSGPACK, event))


@given(message=st.dictionaries(words, json_values, max_size=5))
def test_message_is_the_same_after_the_wire(message: dict[str, object]) -> None:
    assert MSGPACK.decode(MSGPACK.encode(message)) == message
    assert JSON.decode(JSON.encode(message).decode("utf-8")) == message


def test_the_largest_seed_keeps_every_digit(codec: Codec) -> None:
    body = OutputReady(
        index=0, url="/o/0", media_type="image/png", size_bytes=1, sha256="0" * 64, seed=LARGEST_SEED, data={}
    )
    event = Event(body, job_id=new_id(), seq=1, at=AT, cursor="c")
    assert event_from(codec.decode(on_the_wire(codec, event))) == event


def test_event_is_encoded_once_however_many_watch(codec: Codec) -> None:
    event = Event(JobWarning(code="c", message="m"), job_id=new_id(), seq=1, at=AT)
    assert codec.event_frame(event) is codec.event_frame(event)


def test_preview_is_a_binary_frame_in_json_and_other_events_are_text() -> None:
    preview = Event(
        PreviewReady(image=0, step=1, width=2, height=2, media_type="image/jpeg", bytes=b"\xff\xd8"),
        job_id=new_id(),
        seq=2,
        at=AT,
        attempt=1,
        n=1,
    )
    assert JSON.is_binary(preview)
    assert MSGPACK.is_binary(preview)
    assert not JSON.is_binary(Event(ServerDraining(), at=AT, n=1))
    assert JSON.event_frame(preview).endswith(b"}\xff\xd8")


def test_text_form_leaves_a_preview_out_or_puts_it_in_as_base64() -> None:
    body = PreviewReady(image=0, step=1, width=2, height=2, media_type="image/jpeg", bytes=b"\xff\xd8\x00")
    event = Event(body, job_id=new_id(), seq=2, at=AT, attempt=1, n=1)
    assert "bytes" not in orjson.loads(event_text(event))["data"]
    inline = orjson.loads(event_text(event, inline_previews=True))["data"]["bytes"]
    assert base64.b64decode(inline) == body.bytes
    assert event_from(MSGPACK.decode(MSGPACK.event_frame(event))) == event  # the forms do not mix


def test_server_event_names_no_job() -> None:
    assert event_fields(Event(ServerDraining(), at=AT, n=3)) == {
        "type": "server.draining",
        "at": AT,
        "n": 3,
        "data": {},
    }


def test_unknown_fields_of_a_newer_server_are_ignored(codec: Codec) -> None:
    event = Event(JobCancelled(reason="asked"), job_id=new_id(), seq=2, at=AT, cursor="c")
    fields = event_fields(event) | {"future": 1}
    fields["data"]["future"] = [1]
    frame = codec.encode(fields)
    assert event_from(codec.decode(frame if codec.messages_are_binary else frame.decode())) == event


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"type": "step.finished"},
        {"type": "no.such.event", "at": AT, "data": {}},
        {"type": ["step.finished"], "at": AT, "data": {}},
        {"type": "job.cancelled", "at": AT, "data": None},
        {"type": "job.cancelled", "at": AT, "data": {}},
        {"type": "queue.moved", "at": AT, "data": {"position": -1}},
        {"type": "job.cancelled", "data": {"reason": "no time"}},
    ],
    ids=orjson.dumps,
)
def test_what_is_no_event_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ProtocolError):
        event_from(fields)


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "{",
        "[]",
        "null",
        "1",
        '"text"',
        "[" * 100_000,
        '{"a": NaN}',
        b"",
        b"\x00",
        b"\xff\xff\xff\xff{}",
        b"\x00\x00\x00\x09{}",
        b"\x00\x00\x00\x02[]",
    ],
    ids=lambda frame: repr(frame)[:20],
)
def test_bad_json_frame_is_malformed(frame: str | bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        JSON.decode(frame)
    assert caught.value.code is ErrorCode.MALFORMED
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    "frame",
    [
        "{}",
        b"",
        b"\xc1",
        b"\x90",
        b"\xc0",
        b"\x81\x01\x02",
        b"\x80\x80",
        b"\x81\xa1a",
        b"\x81\xa1a" * 5000 + b"\x01",
        b"\xdf\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\x81\xa1a\xa1\xff",
        b"\x81\xa1a\xc7\x05\xff\x00\x00\x00\x00\x01",
    ],
    ids=lambda frame: repr(frame)[:20],
)
def test_bad_msgpack_frame_is_malformed(frame: str | bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        MSGPACK.decode(frame)
    assert caught.value.code is ErrorCode.MALFORMED
    assert not caught.value.message.endswith(": ")


@given(frame=st.binary(max_size=60))
def test_no_bytes_bring_a_codec_down(frame: bytes) -> None:
    for codec in CODECS.values():
        with suppress(ProtocolError):
            assert isinstance(codec.decode(frame), dict)


@given(data=st.data(), frame=st.dictionaries(names, json_values, max_size=3))
def test_no_map_brings_the_event_reader_down(data: st.DataObject, frame: dict[str, object]) -> None:
    kind = data.draw(st.sampled_from(sorted(EVENTS)) | words)
    with suppress(ProtocolError):
        assert event_from(frame | {"type": kind, "at": AT, "data": data.draw(json_values)}).type == kind


def test_msgpack_bytes_stay_bytes_and_text_stays_text() -> None:
    assert MSGPACK.decode(msgpack.packb({"a": b"\xff", "b": "é"})) == {"a": b"\xff", "b": "é"}
