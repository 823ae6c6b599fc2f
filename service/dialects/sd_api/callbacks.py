"""Tells whom a `callback_url` names of the end of a task, with `image_url` where the query has `result_url`.

The outbox, its retries and the check of addresses are those of our own webhooks.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from service.dialects.base import Desk
from service.dialects.sd_api.tasks import DIALECT_LABEL, told
from service.profiles import Part
from service.wiring import Services


class Callbacks(Part):
    """Makes the bodies; see `service.webhooks.Form`."""

    def __init__(self, services: Services) -> None:
        self._desk = Desk(services)
        services.webhooks.forms[DIALECT_LABEL] = self.body

    async def __aexit__(self, *_: object) -> None:
        """Nothing is open here."""

    async def body(self, job_id: str, _event: Mapping[str, Any]) -> bytes | None:
        """The body, whatever the end was."""
        job = await self._desk.services.store.job(job_id, None)
        # Whoever chose this label for a job of our own API is told of it as usual.
        if job is None or "base_url" not in job.labels or not job.status.is_terminal:
            return None
        return orjson.dumps(told(self._desk, job))
