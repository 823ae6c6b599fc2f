"""What the receiver of a `webhook_url` is sent when a task has ended: its record.

The original wrote it as JSON within JSON; receivers that read it so have a setting.
"""

import orjson

from protocol.jobs import Job
from service.dialects.base import Desk
from service.dialects.fooocus_engine.records import row


async def webhook_body(desk: Desk, job: Job) -> bytes | None:
    """The record, whatever the end was. See `service.dialects.webhook_form.Body`."""
    request = await desk.services.store.asked(job.id)
    if not request:
        return None
    body = orjson.dumps(row(desk, job, request))
    return orjson.dumps(body.decode()) if desk.services.settings.fooocus_engine_double_webhook else body
