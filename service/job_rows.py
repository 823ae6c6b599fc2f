"""Jobs and their facts as rows of the database."""

import orjson

from protocol.codec import body_text
from protocol.events import Event
from protocol.jobs import Job, JobStatus
from protocol.requests import TASKS, JobRequest, Previews, Priority, TaskName, Webhook, parse_job_request
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


def record_from_row(row: Row, arrival: int, outputs: int = 0) -> JobRecord:
    """A job that has not ended, as it is kept in memory.

    Args:
        row: of `jobs`; of a job that was just made, as it is inserted.
        outputs: images that earlier attempts are through with.
    """
    task = TaskName(row["task"])
    is_new = "status" not in row
    return JobRecord(
        id=row["id"],
        key_id=row["key_id"],
        task=task,
        is_interactive=TASKS[task].is_interactive,
        priority=Priority(row["priority"]),
        previews=Previews(row["previews"]),
        input_pixels=row["input_pixels"],
        created_at=row["created_at"],
        arrival=arrival,
        webhook=Webhook.model_validate_json(row["webhook"]) if row["webhook"] else None,
        status=None if is_new else JobStatus(row["status"]),
        seq=0 if is_new else row["seq"],
        attempt=1 if is_new else row["attempt"],
        crashes=0 if is_new else row["crashes"],
        outputs=outputs,
        started_at=None if is_new else row["started_at"],
        cancel_requested=False if is_new else bool(row["cancel_requested"]),
        facts_after=0 if is_new else row["seq"],
    )


def request_from_row(row: Row) -> JobRequest:
    """The request of a stored job. It was checked when it was accepted; now it only has to be read.

    Parameters that the client did not give are left to their defaults: what was not asked for is not warned about.

    Raises:
        ProtocolError: this version of the program takes it no more.
    """
    params = orjson.loads(row["params"])
    given = row.get("given")
    if given is not None:
        params = {name: value for name, value in params.items() if name in orjson.loads(given)}
    return parse_job_request(
        {"task": row["task"], "params": params, "priority": row["priority"], "previews": row["previews"]}
    )
