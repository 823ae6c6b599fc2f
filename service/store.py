"""What a server keeps of jobs, uploads, keys and webhooks, and finds again. Every statement is in `queries.sql`."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from protocol.codec import body_from
from protocol.events import Event
from protocol.jobs import Job, JobStatus
from service.database import Database, Row
from service.job_filter import EVERY_JOB, JobFilter
from service.job_rows import event_row, job_from_row, job_update
from service.job_views import EndedJob, ForeignIds, ForeignJob, JobTimes, StatusCount
from service.records import JobRecord

_LAST_ID: Final = "g"
"""Sorts after every id: the start of a listing that goes backwards."""


class UnknownCursor(Exception):
    """A cursor of another database, of facts that have been removed, or no cursor at all."""


@dataclass(slots=True)
class Batch:
    """What one commit stores: facts, and what they add up to."""

    facts: list[tuple[Event, int, str]] = field(default_factory=list)
    """Event, its cursor, key id."""
    new_jobs: list[Row] = field(default_factory=list)
    changed: dict[str, JobRecord] = field(default_factory=dict)
    outputs: list[Row] = field(default_factory=list)
    idempotency: list[Row] = field(default_factory=list)
    webhooks: list[Row] = field(default_factory=list)
    foreign_requests: list[Row] = field(default_factory=list)
    cancels: list[str] = field(default_factory=list)
    position: int | None = None
    """Of a gateway in a cluster: how far in the stream of facts this is."""

    def __bool__(self) -> bool:
        return bool(self.facts or self.cancels or self.position is not None)


class Store(Database):
    """Everything that is kept of jobs, uploads and webhooks. Open it before use; use it from one event loop."""

    # ---- writing ---------------------------------------------------------------------------------------------

    async def commit(self, batch: Batch) -> None:
        """Store a batch, whole or not at all.

        Raises:
            StoreUnavailable: it could not be stored.
        """
        await self._write(
            [
                ("insert_job", batch.new_jobs),
                ("insert_event", [event_row(*fact) for fact in batch.facts]),
                ("update_job", [job_update(record) for record in batch.changed.values()]),
                ("insert_output", batch.outputs),
                ("insert_idempotency", batch.idempotency),
                ("insert_webhook", batch.webhooks),
                ("insert_foreign_request", batch.foreign_requests),
                ("request_cancel", [{"id": job_id} for job_id in batch.cancels]),
                ("move_position", [] if batch.position is None else [{"position": str(batch.position)}]),
            ]
        )

    async def adopt(self, database_id: str) -> None:
        """Let cursors be those of another history: of a cluster's, which all its gateways tell.

        Raises:
            StoreUnavailable: that could not be stored.
        """
        await self._write([("adopt", [{"database_id": database_id}])])
        self.database_id = database_id

    async def position(self) -> int:
        """How far in the stream of facts of its cluster this database is; 0 for not at all."""
        return int((await self._meta()).get("position", "0"))

    async def copy_to(self, path: Path) -> int:
        """Write a copy of the database as it is at one moment to `path`, where nothing is yet; returns its position.

        Raises:
            StoreUnavailable: it could not be written.
        """
        await self._copy(path)
        with closing(sqlite3.connect(path)) as copy:
            rows = copy.execute("SELECT value FROM meta WHERE name = 'position'").fetchall()
        return int(rows[0][0]) if rows else 0

    async def probe(self) -> None:
        """Write something that changes nothing.

        Raises:
            StoreUnavailable: nothing can be written.
        """
        await self._write([("touch", [{}])])

    async def add_upload(self, row: Row) -> None:
        await self._write([("insert_upload", [row])])

    async def delete_jobs(self, job_ids: Sequence[str]) -> None:
        """Remove jobs with everything that hangs on them, in one transaction."""
        rows = [{"id": job_id} for job_id in job_ids]
        names = (
            "forget_cursor",
            "delete_events",
            "delete_outputs",
            "delete_webhooks",
            "delete_foreign_request",
            "delete_job",
        )
        await self._write([(name, rows) for name in names])

    async def forget_facts(self, key_id: str, cursor: int) -> None:
        """Note that facts of a key up to this cursor number have been removed, known here or not."""
        await self._write([("forget_facts", [{"key_id": key_id, "cursor": cursor}])])

    async def delete_uploads(self, upload_ids: Sequence[str]) -> None:
        await self._write([("delete_upload", [{"id": upload_id} for upload_id in upload_ids])])

    async def delete_old_idempotency(self, before: str) -> None:
        await self._write([("delete_old_idempotency", [{"before": before}])])

    # ---- reading ---------------------------------------------------------------------------------------------

    async def job(self, job_id: str, key_id: str | None) -> Job | None:
        """A job as stored, if it exists and `key_id` may see it (None sees all)."""
        rows = await self._read("job", id=job_id, key_id=key_id)
        return job_from_row(rows[0]) if rows else None

    async def jobs(
        self, key_id: str, *, before: str | None = None, wanted: JobFilter = EVERY_JOB, limit: int
    ) -> list[Job]:
        """A page of a key's jobs, newest first, older than the job `before`."""
        bounds = {"key_id": key_id, "before": before or _LAST_ID, "limit": limit}
        return [job_from_row(row) for row in await self._read(wanted.statement, **bounds, **wanted.parameters())]

    async def job_with_foreign_id(self, key_id: str, dialect: str, foreign_id: str) -> Job | None:
        """The newest job of a key with these labels: `dialect`, and the `foreign_id` its client knows it by."""
        rows = await self._read("job_with_foreign_id", key_id=key_id, dialect=dialect, foreign_id=foreign_id)
        return job_from_row(rows[0]) if rows else None

    async def foreign_ids(self, key_id: str, dialect: str) -> dict[JobStatus, ForeignIds]:
        """The jobs of a key that a dialect has given foreign ids, by status; a status without any is left out."""
        rows = await self._read("foreign_ids", key_id=key_id, dialect=dialect)
        return {JobStatus(row["status"]): ForeignIds(row["jobs"], tuple(orjson.loads(row["ids"]))) for row in rows}

    async def jobs_of_dialect(
        self, key_id: str, dialect: str, *, has_ended: bool | None = None, limit: int, offset: int = 0
    ) -> list[ForeignJob]:
        """A page of a key's jobs of a dialect, newest first.

        Args:
            has_ended: those alone that have, or have not.
        """
        rows = await self._read(
            "jobs_of_dialect", key_id=key_id, dialect=dialect, has_ended=has_ended, limit=limit, offset=offset
        )
        return [ForeignJob(job_from_row(row), orjson.loads(row["foreign_request"] or "{}")) for row in rows]

    async def begun_jobs_of_dialect(
        self, key_id: str, dialect: str, *, limit: int, offset: int = 0
    ) -> list[ForeignJob]:
        """A page of a key's jobs of a dialect that have begun, or ended without, newest first."""
        rows = await self._read("begun_jobs_of_dialect", key_id=key_id, dialect=dialect, limit=limit, offset=offset)
        return [ForeignJob(job_from_row(row), orjson.loads(row["foreign_request"] or "{}")) for row in rows]

    async def begun_jobs_of_dialect_between(
        self, key_id: str, dialect: str, since: str, until: str, *, limit: int
    ) -> list[ForeignJob]:
        """Those that came from `since` until `until`, as `service.clock` writes them; oldest first."""
        rows = await self._read(
            "begun_jobs_of_dialect_between", key_id=key_id, dialect=dialect, since=since, until=until, limit=limit
        )
        return [ForeignJob(job_from_row(row), orjson.loads(row["foreign_request"] or "{}")) for row in rows]

    async def times_of_dialect(self, key_id: str, dialect: str, *, has_ended: bool, limit: int) -> list[JobTimes]:
        """A key's jobs of a dialect that have ended, or have not, newest first: cheap for very many."""
        rows = await self._read("times_of_dialect", key_id=key_id, dialect=dialect, has_ended=has_ended, limit=limit)
        return [JobTimes(**{**row, "status": JobStatus(row["status"])}) for row in rows]

    async def counts_of_dialect(self, key_id: str, dialect: str) -> dict[JobStatus, StatusCount]:
        """A key's jobs of a dialect by status; a status without any is left out."""
        rows = await self._read("counts_of_dialect", key_id=key_id, dialect=dialect)
        return {JobStatus(row["status"]): StatusCount(row["jobs"], row["newest"]) for row in rows}

    async def job_with_file_name(self, dialect: str, file_name: str) -> Job | None:
        """The newest job, of whatever key, with these labels: `dialect`, and the `file_name` of its outputs."""
        rows = await self._read("job_with_file_name", dialect=dialect, file_name=file_name)
        return job_from_row(rows[0]) if rows else None

    async def asked(self, job_id: str) -> Mapping[str, Any]:
        """What the client of a dialect asked for with a job; empty if that was not kept."""
        rows = await self._read("foreign_request", job_id=job_id)
        found: Mapping[str, Any] = orjson.loads(rows[0]["request"]) if rows else {}
        return found

    async def row(self, job_id: str) -> Row | None:
        """A job's row as it is, for the dispatcher."""
        rows = await self._read("job", id=job_id, key_id=None)
        return rows[0] if rows else None

    async def labels(self, job_id: str) -> Mapping[str, str] | None:
        """The labels of a job; None if there is none."""
        row = await self.row(job_id)
        found: Mapping[str, str] | None = None if row is None else orjson.loads(row["labels"])
        return found

    async def active_jobs(self) -> list[Row]:
        return await self._read("active_jobs")

    async def outputs_of_active_jobs(self) -> dict[str, int]:
        """Job id -> outputs that are ready, for active jobs that have some."""
        return {row["job_id"]: row["outputs"] for row in await self._read("outputs_of_active_jobs")}

    async def facts(self, job_id: str, after: int) -> list[Event]:
        return [self._event(row) for row in await self._read("facts_of_job", job_id=job_id, after=after)]

    async def facts_of_key(self, key_id: str, cursor: str, upto: int, limit: int) -> list[Event]:
        """Facts of all jobs of a key after `cursor` and up to the cursor number `upto`, at most `limit`.

        Raises:
            UnknownCursor: facts after it may have been removed, or it is of another database.
        """
        after = self.cursor_number(cursor)
        if after < (await self._read("forgotten_cursor", key_id=key_id))[0]["cursor"]:
            raise UnknownCursor(f"cursor {cursor!r:.60} is too old: facts after it have been removed")
        rows = await self._read("facts_of_key", key_id=key_id, after=after, upto=upto, limit=limit)
        return [self._event(row) for row in rows]

    async def last_cursor(self) -> int:
        return int((await self._read("last_cursor"))[0]["cursor"])

    async def idempotent_job(self, key_id: str, idempotency_key: str, since: str) -> Row | None:
        rows = await self._read("idempotent_job", key_id=key_id, idempotency_key=idempotency_key, since=since)
        return rows[0] if rows else None

    async def upload(self, upload_id: str, key_id: str | None, now: str) -> Row | None:
        rows = await self._read("upload", id=upload_id, key_id=key_id, now=now)
        return rows[0] if rows else None

    async def keys(self) -> list[Row]:
        return await self._read("keys")

    async def expired_jobs(self, now: str, limit: int) -> list[EndedJob]:
        return [EndedJob(**row) for row in await self._read("expired_jobs", now=now, limit=limit)]

    async def ended_job(self, job_id: str) -> EndedJob | None:
        """A job, whoever's it is; None if there is none, or it has not ended."""
        rows = await self._read("ended_job", id=job_id)
        return EndedJob(**rows[0]) if rows else None

    async def expired_uploads(self, now: str, limit: int) -> list[str]:
        return [row["id"] for row in await self._read("expired_uploads", now=now, limit=limit)]

    async def knows_job(self, job_id: str) -> bool:
        return bool(await self._read("known_job", id=job_id))

    async def knows_upload(self, upload_id: str) -> bool:
        return bool(await self._read("known_upload", id=upload_id))

    def cursor(self, number: int) -> str:
        """A cursor as clients see it."""
        return f"{self.database_id}-{number}"

    def cursor_number(self, cursor: str) -> int:
        """The number within a cursor.

        Raises:
            UnknownCursor: it is none of this database's.
        """
        database_id, _, number = cursor.partition("-")
        if database_id != self.database_id or not number.isascii() or not number.isdigit() or len(number) > 18:
            raise UnknownCursor(f"cursor {cursor!r:.60} is not of this server's database")
        return int(number)

    # ---- the webhook outbox ----------------------------------------------------------------------------------

    async def due_webhooks(self, now: float, limit: int) -> list[Row]:
        return await self._read("due_webhooks", now=now, limit=limit)

    async def next_webhook_at(self) -> float | None:
        at = (await self._read("next_webhook_at"))[0]["next_at"]
        return None if at is None else float(at)

    async def retry_webhook(self, webhook_id: str, attempt: int, next_at: float) -> None:
        await self._write([("retry_webhook", [{"id": webhook_id, "attempt": attempt, "next_at": next_at}])])

    async def delete_webhook(self, webhook_id: str) -> None:
        await self._write([("delete_webhook", [{"id": webhook_id}])])

    async def give_up_webhook(self, webhook_id: str, reason: str) -> None:
        await self._write([("give_up_webhook", [{"id": webhook_id, "state": f"given up: {reason}"}])])

    def _event(self, row: Row) -> Event:
        return Event(
            body_from(row["type"], orjson.loads(row["data"])),
            job_id=row["job_id"],
            seq=row["seq"],
            at=row["at"],
            cursor=self.cursor(row["cursor"]),
        )
