"""Frames recorded from earlier versions are still read as what they meant.

`frames/NAME.json` is a text frame, `NAME.bin` a binary frame of the JSON codec, `NAME.msgpack` one of the other. A
frame is never changed or removed; a new event type, or a new field, gets a new recording.
"""

from pathlib import Path
from typing import Any

import pytest

from protocol.codec import JSON, MSGPACK, event_from
from protocol.errors import ErrorBody, ErrorCode
from protocol.events import (
    EVENTS,
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
from protocol.messages import (
    CLIENT_MESSAGES,
    Auth,
    Cancel,
    Ping,
    Skip,
    Submit,
    Subscribe,
    Unsubscribe,
    parse_client_message,
)
from protocol.requests import Priority, TaskName

FRAMES = Path(__file__).parent / "frames"
JOB = "019a9f5e-3c00-7abc-8def-0123456789ab"
AT = "2026-11-21T10:00:00.123456Z"

EVENT_FRAMES = {
    "job.queued": Event(JobQueued(task=TaskName.ERASE, priority=Priority.HIGH), job_id=JOB, seq=1, at=AT, cursor="MQ"),
    "job.started": Event(JobStarted(worker="local", device="cpu", attempt=1), job_id=JOB, seq=2, at=AT, cursor="Mg"),
    "job.requeued": Event(JobRequeued(attempt=2, reason="the server stopped"), job_id=JOB, seq=3, at=AT, cursor="Mw"),
    "output.ready": Event(
        OutputReady(
            index=0,
            url=f"/v1/jobs/{JOB}/outputs/0",
            media_type="image/png",
            size_bytes=123_456,
            sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            width=640,
            height=480,
            seed=7,
            timings={"fill": 0.25},
            data={"tags": [{"name": "cat", "score": 0.5}]},
        ),
        job_id=JOB,
        seq=4,
        at=AT,
        cursor="NA",
    ),
    "output.skipped": Event(OutputSkipped(index=1), job_id=JOB, seq=5, at=AT, cursor="NQ"),
    "job.warning": Event(
        JobWarning(code="no_effect", message="quality: PNG has none"), job_id=JOB, seq=5, at=AT, cursor="NQ"
    ),
    "job.succeeded": Event(
        JobSucceeded(duration_s=1.5, timings={"fill": 1.0, "encode": 0.5}), job_id=JOB, seq=6, at=AT, cursor="Ng"
    ),
    "job.failed": Event(
        JobFailed(error=ErrorBody(code=ErrorCode.OUT_OF_MEMORY, message="too big", field=None), duration_s=2.0),
        job_id=JOB,
        seq=6,
        at=AT,
        cursor="Ng",
    ),
    "job.cancelled": Event(
        JobCancelled(reason="asked by the client", duration_s=0.5), job_id=JOB, seq=6, at=AT, cursor="Ng"
    ),
    "queue.moved": Event(QueueMoved(position=3, eta_s=12.5), job_id=JOB, seq=1, at=AT, attempt=1, n=1),
    "step.finished": Event(
        StepFinished(image=0, step=2, steps=9, progress=0.25, eta_s=3.5, stage="tile"),
        job_id=JOB,
        seq=2,
        at=AT,
        attempt=1,
        n=2,
    ),
    "preview.ready": Event(
        PreviewReady(image=0, step=2, width=2, height=1, media_type="image/jpeg", bytes=b"\xff\xd8\x00\xff\xd9"),
        job_id=JOB,
        seq=2,
        at=AT,
        attempt=1,
        n=3,
    ),
    "job.removed": Event(JobRemoved(reason="removed by the client"), job_id=JOB, seq=6, at=AT, attempt=1, n=2**53 - 1),
    "model.loading": Event(ModelLoading(model="u2netp", phase="read", done=10, total=20), at=AT, n=1),
    "model.loaded": Event(ModelLoaded(model="u2netp", device="cpu", size_bytes=4_574_861), at=AT, n=2),
    "model.unloaded": Event(ModelUnloaded(model="u2netp", reason="memory"), at=AT, n=3),
    "model.added": Event(ModelAdded(model="checkpoint:dreams", size_bytes=2_132_625_918), at=AT, n=5),
    "model.failed": Event(ModelFailed(model="lora:ink", reason="its SHA-256 is another one"), at=AT, n=6),
    "server.draining": Event(ServerDraining(reconnect_to="wss://other.example/v1/ws"), at=AT, n=4),
}

MESSAGE_FRAMES = {
    "auth": Auth(type="auth", ref="a0", key="sl_secret"),
    "submit": Submit(
        type="submit",
        ref="a1",
        job={"task": "test_pattern", "params": {"steps": 4}, "labels": {"order": "17"}},
        idempotency_key="order-17",
        subscribe=False,
    ),
    "subscribe-job": Subscribe(type="subscribe", ref="a2", job_id=JOB, after=3),
    "subscribe-mine": Subscribe(type="subscribe", jobs="mine", cursor="Ng"),
    "subscribe-server": Subscribe(type="subscribe", topic="server"),
    "unsubscribe": Unsubscribe(type="unsubscribe", ref="a3", job_id=JOB),
    "cancel": Cancel(type="cancel", ref="a4", job_id=JOB),
    "skip": Skip(type="skip", ref="a6", job_id=JOB),
    "ping": Ping(type="ping", ref="a5"),
}


def decode(path: Path) -> dict[str, Any]:
    if path.suffix == ".json":
        return JSON.decode(path.read_text("utf-8"))
    return (MSGPACK if path.suffix == ".msgpack" else JSON).decode(path.read_bytes())


def recorded(folder: str) -> list[Path]:
    return sorted((FRAMES / folder).iterdir())


def test_every_event_and_message_is_recorded_in_both_codecs() -> None:
    names = {path.name for path in recorded("events")}
    for kind in EVENTS:
        assert f"{kind}.msgpack" in names
        assert {f"{kind}.json", f"{kind}.bin"} & names
    assert {type(message) for message in MESSAGE_FRAMES.values()} == set(CLIENT_MESSAGES.values())
    assert {path.name for path in recorded("messages")} == {
        f"{name}.{codec}" for name in MESSAGE_FRAMES for codec in ("json", "msgpack")
    }


@pytest.mark.parametrize("path", recorded("events"), ids=lambda path: path.name)
def test_recorded_event_means_what_it_meant(path: Path) -> None:
    assert event_from(decode(path)) == EVENT_FRAMES[path.name.rsplit(".", 1)[0]]


@pytest.mark.parametrize("path", recorded("events"), ids=lambda path: path.name)
def test_event_is_still_sent_with_every_field_it_was_recorded_with(path: Path) -> None:
    event = EVENT_FRAMES[path.name.rsplit(".", 1)[0]]
    codec = MSGPACK if path.suffix == ".msgpack" else JSON
    frame = codec.event_frame(event)
    sent, then = codec.decode(frame if codec.is_binary(event) else frame.decode("utf-8")), decode(path)
    assert sent | then == sent
    assert sent["data"] | then["data"] == sent["data"]


@pytest.mark.parametrize("path", recorded("messages"), ids=lambda path: path.name)
def test_recorded_client_message_means_what_it_meant(path: Path) -> None:
    assert parse_client_message(decode(path)) == MESSAGE_FRAMES[path.name.rsplit(".", 1)[0]]


@pytest.mark.parametrize("path", recorded("newer"), ids=lambda path: path.name)
def test_event_of_a_newer_server_is_read_without_what_is_new_in_it(path: Path) -> None:
    assert event_from(decode(path)) == EVENT_FRAMES[path.name.rsplit(".", 1)[0]]
