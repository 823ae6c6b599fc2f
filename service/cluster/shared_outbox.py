"""The webhooks of a cluster: every gateway has the rows, one of them delivers, and all hear what became of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from service.cluster.envelope import WebhookNote
from service.cluster.fact_writer import FactWriter
from service.cluster.stream_log import WRITE_S
from service.store import Store


class SharedOutbox:
    """Implements `service.webhooks.Outbox`. For the event loop only.

    Should the gateway in charge end between a delivery and its note, the next one delivers again: receivers know a
    repeat by its id.
    """

    def __init__(self, store: Store, writer: FactWriter, is_in_charge: Callable[[], bool]) -> None:
        self._store = store
        self._writer = writer
        self._is_in_charge = is_in_charge

    async def due_webhooks(self, now: float, limit: int) -> Sequence[Mapping[str, Any]]:
        return await self._store.due_webhooks(now, limit) if self._is_in_charge() else ()

    async def next_webhook_at(self) -> float | None:
        return await self._store.next_webhook_at() if self._is_in_charge() else None

    async def retry_webhook(self, webhook_id: str, attempt: int, next_at: float) -> None:
        await self._store.retry_webhook(webhook_id, attempt, next_at)

    async def delete_webhook(self, webhook_id: str) -> None:
        await self._store.delete_webhook(webhook_id)
        await self._note(webhook_id, None)

    async def give_up_webhook(self, webhook_id: str, reason: str) -> None:
        await self._store.give_up_webhook(webhook_id, reason)
        await self._note(webhook_id, reason)

    async def _note(self, webhook_id: str, given_up: str | None) -> None:
        job_id = webhook_id.removeprefix("msg_").rpartition("_")[0]
        note = WebhookNote(job_id=job_id, webhook_id=webhook_id, given_up=given_up)
        await self._writer.note(note, within_s=WRITE_S)
