"""Jobs and their facts as rows of the database."""

import orjson

from protocol.codec import body_text
from protocol.events import Event
from protocol.jobs import Job
from service.database import Row
from service.records import JobRecord


def job_from_row(row: Row) -> Job:
    """A row of `jobs`, with its outputs as a JSON array, as clients see it."""
    return Job.model_validate(
        {
            **{name: row[name] for name in row if name in Job.model_fields},
            "params": orjson.loads(row["params"]),
            "labels": orjson.loads(row["labels"]),
            "cancel_requested": bool(row["cancel_requested"]),
            "error": orjson.loads(row["error"]) if row["error"] else None,
            "outputs": sorted(orjson.loads(row["outputs"] or "[]"), key=lambda output: output["index"]),
        }
    )


def event_row(event: Event, cursor: int, key_id: str) -> Row:
    """A fact, as it is inserted."""
    return {
        "cursor": cursor,
        "job_id": event.job_id,
        "key_id": key_id,
        "seq": event.seq,
        "at": event.at,
        "type": event.type,
        "data": body_text(event).decode(),
    }


def job_update(record: JobRecord) -> Row:
    """What a job has come to, as its row is updated."""
    return {
        "id": record.id,
        "status": record.status,
        "seq": record.seq,
        "attempt": record.attempt,
        "crashes": record.crashes,
        "started_at": record.started_at,
        "finished_at": record.finished_at,
        "expires_at": record.expires_at,
        "error": record.error.model_dump_json() if record.error else None,
    }
