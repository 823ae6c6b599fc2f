"""What the receiver of a `webhook_url` is sent when a task has ended: its record.

The original wrote it as JSON within JSON; receivers that read it so have a setting. The outbox, its retries and the
check of addresses are those of our own webhooks.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from service.dialects.base import Desk
from service.dialects.fooocus_engine.records import DIALECT_LABEL, row
from service.profiles import Part
from service.wiring import Services


class Webhooks(Part):
    """Makes the bodies; see `service.webhooks.Form`."""

    def __init__(self, services: Services) -> None:
        self._desk = Desk(services)
        services.webhooks.forms[DIALECT_LABEL] = self.body

    async def __aexit__(self, *_: object) -> None:
        """Nothing is open here."""

    async def body(self, job_id: str, _event: Mapping[str, Any]) -> bytes | None:
        """The record, whatever the end was."""
        store = self._desk.services.store
        job, request = await store.job(job_id, None), await store.asked(job_id)
        # Whoever chose this label for a job of our own API is told of it as usual.
        if job is None or not request:
            return None
        body = orjson.dumps(row(self._desk, job, request))
        return orjson.dumps(body.decode()) if self._desk.services.settings.fooocus_engine_double_webhook else body
