"""Tells whom a `callback_url` names of the end of a task, with `image_url` where the query has `result_url`."""

import orjson

from protocol.jobs import Job
from service.dialects.base import Desk
from service.dialects.sd_api.tasks import told


async def callback_body(desk: Desk, job: Job) -> bytes | None:
    """The body, whatever the end was. See `service.dialects.webhook_form.Body`."""
    if "base_url" not in job.labels or not job.status.is_terminal:
        return None
    return orjson.dumps(told(desk, job))
