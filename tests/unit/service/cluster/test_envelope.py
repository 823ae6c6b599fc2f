"""What goes through the streams comes out as it went in."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import ErrorCode, ProtocolError
from protocol.events import FACTS, Event, JobStarted
from protocol.ids import new_id
from protocol.jobs import JobStatus
from service.cluster.envelope import FactMessage, JobState, RemovedNote, WebhookNote, WorkMessage, note_from
from tests.unit.protocol.test_codec import AT, BODIES, json_values, positives, words

counts = st.integers(0, 1000)
rows = st.dictionaries(
    st.sampled_from(("job", "idempotency", "foreign")), st.dictionaries(words, json_values, max_size=3)
)


@st.composite
def fact_messages(draw: st.DrawFn, kind: type) -> FactMessage:
    seq = draw(positives)
    return FactMessage(
        event=Event(draw(BODIES[kind]), job_id=new_id(), seq=seq, at=AT),
        key_id=draw(words),
        attempt=draw(positives),
        state=JobState(
            status=draw(st.sampled_from(JobStatus)),
            seq=seq,
            attempt=draw(positives),
            crashes=draw(counts),
            outputs=draw(counts),
            started_at=draw(st.none() | st.just(AT)),
            worker=draw(st.none() | words),
        ),
        rows=draw(rows),
        is_crash=draw(st.booleans()),
    )


@pytest.mark.parametrize("kind", FACTS, ids=lambda kind: str(kind.TYPE))
@given(data=st.data())
def test_a_fact_is_the_same_after_the_stream(data: st.DataObject, kind: type) -> None:
    message = data.draw(fact_messages(kind))
    assert FactMessage.from_bytes(message.to_bytes()) == message


@given(job_id=words, key_id=words, reason=words)
def test_the_note_of_a_removed_job_is_the_same_after_the_stream(job_id: str, key_id: str, reason: str) -> None:
    note = RemovedNote(job_id=job_id, key_id=key_id, at=AT, reason=reason)
    assert note_from("removed", note.to_bytes()) == note


@given(job_id=words, webhook_id=words, given_up=st.none() | words)
def test_the_note_of_a_webhook_is_the_same_after_the_stream(job_id: str, webhook_id: str, given_up: str | None) -> None:
    note = WebhookNote(job_id=job_id, webhook_id=webhook_id, given_up=given_up)
    assert note_from("webhook", note.to_bytes()) == note


@given(job_id=words)
def test_work_is_the_same_after_the_stream(job_id: str) -> None:
    assert WorkMessage.from_bytes(WorkMessage(job_id).to_bytes()) == WorkMessage(job_id)


def test_a_fact_has_the_fields_that_other_versions_look_for() -> None:
    event = Event(JobStarted(worker="one", device="cpu", attempt=2), job_id="a", seq=3, at=AT)
    state = JobState(status=JobStatus.RUNNING, seq=3, attempt=2, crashes=1, outputs=1, started_at=AT, worker="one")
    message = FactMessage(event=event, key_id="anna", attempt=2, state=state)
    assert orjson.loads(message.to_bytes()) == {
        "event": {
            "type": "job.started",
            "job_id": "a",
            "seq": 3,
            "at": AT,
            "data": {"worker": "one", "device": "cpu", "attempt": 2},
        },
        "key": "anna",
        "attempt": 2,
        "state": {
            "status": "running",
            "seq": 3,
            "attempt": 2,
            "crashes": 1,
            "outputs": 1,
            "started_at": AT,
            "worker": "one",
        },
    }


def test_fields_of_newer_versions_are_ignored() -> None:
    fields = _fields()
    fields |= {"weather": "fine"}
    fields["state"] |= {"mood": "good"}
    fields["event"]["data"] |= {"colour": "red"}
    read = FactMessage.from_bytes(orjson.dumps(fields))
    assert read.event.body == JobStarted(worker="one", device="cpu", attempt=1)
    assert read.rows == {}


def test_notes_only_newer_versions_know_are_passed_over() -> None:
    assert note_from("applause", b"{}") is None


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"{}",
        b'{"event": 1, "state": 2}',
        orjson.dumps({"event": {"type": "job.danced", "at": AT, "data": {}}}),
    ],
)
def test_what_is_no_fact_is_refused(payload: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        FactMessage.from_bytes(payload)
    assert caught.value.code is ErrorCode.MALFORMED


def test_an_event_of_a_later_version_is_refused() -> None:
    fields = _fields()
    fields["event"]["type"] = "job.danced"
    with pytest.raises(ProtocolError, match=r"job\.danced"):
        FactMessage.from_bytes(orjson.dumps(fields))


@pytest.mark.parametrize("read", [RemovedNote.from_bytes, WebhookNote.from_bytes, WorkMessage.from_bytes])
def test_what_is_no_note_and_no_work_is_refused(read: Any) -> None:
    for payload in (b"", b"[]", b"{}"):
        with pytest.raises(ProtocolError) as caught:
            read(payload)
        assert caught.value.code is ErrorCode.MALFORMED


def test_a_repeated_note_is_known_by_its_id() -> None:
    first = RemovedNote(job_id="a", key_id="anna", at=AT, reason="expired")
    again = RemovedNote(job_id="a", key_id="anna", at=AT, reason="asked for")
    assert first.message_id == again.message_id
    assert WebhookNote(job_id="a", webhook_id="msg_1").message_id != WebhookNote(job_id="a", webhook_id="2").message_id


def _fields() -> dict[str, Any]:
    event = Event(JobStarted(worker="one", device="cpu", attempt=1), job_id="a", seq=2, at=AT)
    state = JobState(status=JobStatus.RUNNING, seq=2)
    fields: dict[str, Any] = orjson.loads(FactMessage(event=event, key_id="anna", attempt=1, state=state).to_bytes())
    return fields
