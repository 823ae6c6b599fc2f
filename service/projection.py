"""What facts add up to: rows, and what is told to those who listen. The same on one machine and in a cluster.

`apply` takes a numbered fact into a batch that the store commits as one; `publish` tells of it afterwards.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from protocol.codec import body_text, event_text
from protocol.events import Event, OutputReady
from service.bus import Bus
from service.clock import later
from service.ledger import Ledger
from service.records import JobRecord
from service.store import Batch


class Listener(Protocol):
    """Hears of every published event after the subscribers; for the service's own book-keeping."""

    def published(self, event: Event, record: JobRecord | None) -> None: ...


class Projection:
    """See the module. For the event loop only.

    Args:
        job_ttl_s: an ended job expires this long after its end.
    """

    def __init__(self, ledger: Ledger, bus: Bus, *, job_ttl_s: float) -> None:
        self._ledger = ledger
        self._bus = bus
        self._job_ttl_s = job_ttl_s
        self.listeners: list[Listener] = []
        self.on_commit: Callable[[float, int], None] = lambda _seconds, _facts: None
        """Told how long a commit took, and of how many facts it was."""

    def apply(
        self,
        batch: Batch,
        fact: Event,
        record: JobRecord,
        cursor: int,
        *,
        rows: Mapping[str, Mapping[str, Any]] | None = None,
        is_crash: bool = False,
    ) -> None:
        """Take a fact into a batch. Its record is what the fact has made of it: see `service.records.apply`.

        Args:
            cursor: the fact's number among the facts of all jobs.
            rows: what a new job puts into the store beside its facts: `job`, and perhaps `idempotency` and `foreign`.
            is_crash: this requeueing counts against the job.
        """
        if is_crash:
            record.crashes += 1
        if fact.is_terminal:
            record.expires_at = later(fact.at, self._job_ttl_s)
        batch.facts.append((fact, cursor, record.key_id))
        if rows is not None and "job" in rows:
            batch.new_jobs.append(rows["job"])
            if "idempotency" in rows:
                batch.idempotency.append(rows["idempotency"])
            if "foreign" in rows:
                batch.foreign_requests.append(rows["foreign"])
        else:
            batch.changed[record.id] = record
        if isinstance(fact.body, OutputReady):
            data = body_text(fact).decode()
            batch.outputs.append({"job_id": record.id, "number": fact.body.index, "data": data})
        if record.webhook is not None and fact.type in record.webhook.events:
            batch.webhooks.append(
                {
                    # The same at every gateway of a cluster: a receiver recognises a repeat by it.
                    "id": f"msg_{record.id}_{fact.seq}",
                    "job_id": record.id,
                    "url": str(record.webhook.url),
                    "event": event_text(fact).decode(),
                    "next_at": time.time(),
                }
            )

    def publish(self, event: Event, record: JobRecord | None) -> None:
        """Tell of an event whose facts are stored: to subscribers first, then to the listeners."""
        if record is not None:
            if event.is_fact and event.seq == 1:
                self._ledger.add(record)
            self._ledger.remember(record, event)
        self._bus.publish(event, record.key_id if record else None)
        if record is not None and event.is_terminal:
            self._ledger.remove(record.id)
        for listener in self.listeners:
            listener.published(event, record)

    def tell(self, event: Event, key_id: str) -> None:
        """Publish a hint of a job that is no longer in the ledger.

        Args:
            key_id: whose job it was.
        """
        self._bus.publish(event, key_id)
        for listener in self.listeners:
            listener.published(event, None)
