"""What the receiver of a `webhook_url` is sent when a job has ended: its id, and the pictures there are."""

import orjson

from protocol.jobs import Job
from service.dialects.base import Desk
from service.dialects.fooocus_api.states import seed_of, url_of


async def webhook_body(desk: Desk, job: Job) -> bytes | None:
    """The body, whatever the end was: without a picture the list is empty. See `service.dialects.webhook_form.Body`."""
    if "base_url" not in job.labels or "extension" not in job.labels:
        return None
    made = [{"url": url_of(desk, job, ready.index), "seed": seed_of(ready)} for ready in job.outputs]
    return orjson.dumps({"job_id": job.id, "job_result": made})
