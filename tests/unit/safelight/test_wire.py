from typing import Any

import pytest

from protocol.events import JobFailed, PreviewReady
from protocol.jobs import Job
from safelight.errors import UnexpectedAnswer
from safelight.wire import read_event, read_job, read_refusal

FAILED = {
    "type": "job.failed", "job_id": "j", "seq": 2, "at": "t",
    "data": {"error": {"code": "quantum_flux", "message": "tilted"}, "duration_s": 1.0, "colour": "blue"},
}  # fmt: skip
JOB: dict[str, Any] = {
    "id": "j", "task": "upscale", "status": "queued", "seq": 1, "attempt": 1, "priority": "normal",
    "previews": "latest", "params": {}, "created_at": "t", "mood": "good",
}  # fmt: skip


def test_an_event_type_of_a_newer_server_is_none() -> None:
    assert read_event({"type": "job.sang", "job_id": "j", "seq": 2, "at": "t", "data": {}}) is None


def test_an_error_code_of_a_newer_server_keeps_its_words() -> None:
    event = read_event(FAILED)
    assert event is not None
    assert isinstance(event.body, JobFailed)
    assert (event.body.error.code, event.body.error.message) == ("internal", "quantum_flux: tilted")


def test_a_preview_may_come_as_base64() -> None:
    data = {"image": 0, "step": 1, "width": 1, "height": 1, "media_type": "image/jpeg", "bytes": "AAE="}
    event = read_event({"type": "preview.ready", "job_id": "j", "seq": 2, "at": "t", "n": 1, "data": data})
    assert event is not None
    assert isinstance(event.body, PreviewReady)
    assert event.body.bytes == b"\x00\x01"


def test_a_job_with_fields_of_a_newer_server_is_read() -> None:
    assert isinstance(read_job(JOB), Job)
    assert read_job({**JOB, "error": {"code": "quantum_flux", "message": "m"}}).error is not None


@pytest.mark.parametrize("fields", [None, [], {}, {**JOB, "status": "asleep"}])
def test_what_is_no_job_is_told_with_its_place(fields: object) -> None:
    with pytest.raises(UnexpectedAnswer, match="cannot be read"):
        read_job(fields)


def test_a_refusal_is_read_from_a_reply_and_from_a_problem_document() -> None:
    reply = read_refusal({"code": "queue_full", "message": "full", "field": "$.x"})
    assert (reply.code, reply.message, reply.field, reply.status) == ("queue_full", "full", "$.x", 429)
    problem = {
        "type": "/docs/errors#bad_image",
        "title": "T",
        "status": 422,
        "detail": "no picture",
        "code": "bad_image",
    }
    refusal = read_refusal(problem, 422)
    assert (refusal.code, refusal.message, refusal.status) == ("bad_image", "no picture", 422)


@pytest.mark.parametrize("fields", [None, "no", {}])
def test_a_refusal_without_reason_is_still_one(fields: object) -> None:
    assert read_refusal(fields, 500).code == "internal"
