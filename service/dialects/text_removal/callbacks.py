"""What the receiver of a `callback_url` is sent: the finished picture, in the words of the text-removal service."""

import base64
import time

import anyio.to_thread
import orjson

from protocol.jobs import Job
from protocol.requests import TaskName
from service.dialects.base import Desk
from service.dialects.text_removal.states import TaskState


async def callback_body(desk: Desk, job: Job) -> bytes | None:
    """The body; None also where there is no picture any more. See `service.dialects.webhook_form.Body`."""
    if not job.outputs or job.task is not TaskName.ERASE or "foreign_id" not in job.labels:
        return None
    stored, state = await desk.file(job), TaskState.of(job)

    def body() -> bytes | None:
        try:
            content = stored.path.read_bytes()
        except FileNotFoundError:
            return None
        return orjson.dumps(
            {
                "task_id": state.task_id,
                "status": state.status.value,
                "image_data": base64.b64encode(content).decode(),
                "timestamp": time.time(),
            }
        )

    return await anyio.to_thread.run_sync(body)
