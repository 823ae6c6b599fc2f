"""What the receiver of a `webhook_url` is sent when a job has ended: its id, and the pictures there are.

The outbox, its retries and the check of addresses are those of our own webhooks.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from service.dialects.base import Desk
from service.dialects.fooocus_api.states import DIALECT_LABEL, seed_of, url_of
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
        """The body, whatever the end was: without a picture the list is empty."""
        job = await self._desk.services.store.job(job_id, None)
        # Whoever chose this label for a job of our own API is told of it as usual.
        if job is None or "base_url" not in job.labels or "extension" not in job.labels:
            return None
        made = [{"url": url_of(self._desk, job, ready.index), "seed": seed_of(ready)} for ready in job.outputs]
        return orjson.dumps({"job_id": job.id, "job_result": made})
