"""Parts of a service for unit tests: records, and a store that keeps nothing but what a test wants to know."""

from collections.abc import Callable
from typing import Any

from protocol.events import Event, JobQueued
from protocol.ids import new_id
from protocol.requests import Previews, Priority, TaskName, Webhook
from service.admission import Admission
from service.bus import Bus
from service.database import StoreUnavailable
from service.drafts import Draft
from service.ledger import Ledger
from service.local_broker import LocalBroker
from service.projection import Projection
from service.pump import Pump
from service.records import JobRecord
from service.store import Batch, UnknownCursor


def record(job_id: str | None = None, *, key_id: str = "k", webhook: Webhook | None = None) -> JobRecord:
    """A job that nobody has heard of yet."""
    return JobRecord(
        id=job_id or new_id(),
        key_id=key_id,
        task=TaskName.TEST_PATTERN,
        is_interactive=False,
        priority=Priority.NORMAL,
        previews=Previews.LATEST,
        input_pixels=0,
        created_at="2026-01-01T00:00:00.000Z",
        arrival=1,
        webhook=webhook,
    )


def queued(job: JobRecord) -> Draft:
    """The acceptance of a job."""
    body = JobQueued(task=job.task, priority=job.priority)
    return Draft(body, job.id, record=job, rows={"job": {"id": job.id}})


class FakeStore:
    """Stands in for `service.store.Store` where a pump or a feed uses it.

    Attributes:
        diary: what happened, in order: a commit with its facts; tests add what was published.
        broken: while it is true nothing can be stored.
        before_commit, before_read: awaited first, if there.
    """

    def __init__(self) -> None:
        self.facts_stored: list[tuple[Event, int, str]] = []
        self.batches: list[Batch] = []
        self.diary: list[object] = []
        self.broken = False
        self.tries = 0
        self.before_commit: Callable[[], Any] | None = None
        self.before_read: Callable[[], Any] | None = None
        self.forgotten = 0

    async def last_cursor(self) -> int:
        return 0

    async def commit(self, batch: Batch) -> None:
        self.tries += 1
        if self.before_commit is not None:
            await self.before_commit()
        if self.broken:
            raise StoreUnavailable("disk full")
        self.batches.append(batch)
        self.facts_stored += batch.facts
        self.diary.append(("commit", [(fact.job_id, fact.seq) for fact, _, _ in batch.facts]))

    async def probe(self) -> None:
        if self.broken:
            raise StoreUnavailable("disk full")

    async def labels(self, job_id: str) -> dict[str, str] | None:
        return None

    async def job(self, job_id: str, key_id: str | None) -> None:
        return None

    async def facts(self, job_id: str, after: int) -> list[Event]:
        if self.before_read is not None:
            await self.before_read()
        return [fact for fact, _, _ in self.facts_stored if fact.job_id == job_id and fact.seq > after]

    async def facts_of_key(self, key_id: str, cursor: str, upto: int, limit: int) -> list[Event]:
        after = self.cursor_number(cursor)
        if after < self.forgotten:
            raise UnknownCursor("too old")
        if self.before_read is not None:
            await self.before_read()
        found = [fact for fact, number, owner in self.facts_stored if owner == key_id and after < number <= upto]
        return found[:limit]

    def cursor(self, number: int) -> str:
        return f"db-{number}"

    def cursor_number(self, cursor: str) -> int:
        database, _, number = cursor.partition("-")
        if database != "db":
            raise UnknownCursor("another database")
        return int(number)


class Table:
    """A ledger, a bus and a pump on a fake store; hears of everything the pump publishes."""

    def __init__(self) -> None:
        self.store = FakeStore()
        self.ledger = Ledger()
        self.bus = Bus()
        self.projection = Projection(self.ledger, self.bus, job_ttl_s=60)
        self.pump = Pump(self.ledger, self.store, self.bus, self.projection)  # type: ignore[arg-type] # all it uses of one
        self.admission = Admission()
        self.broker = LocalBroker(self.admission, self.ledger, self.store, self.pump)  # type: ignore[arg-type] # likewise
        self.heard: list[Event] = []
        self.projection.listeners.append(self)

    def published(self, event: Event, job: JobRecord | None) -> None:
        self.heard.append(event)
        self.store.diary.append(("publish", event.job_id, event.seq))

    def of(self, job_id: str) -> list[Event]:
        return [event for event in self.heard if event.job_id == job_id]
