"""What the receiver of a `callback_url` is sent: the finished picture, in the words of the text-removal service.

The outbox, its retries and the check of addresses are those of our own webhooks.
"""

import base64
import time
from collections.abc import Mapping
from typing import Any

import anyio.to_thread
import orjson

from protocol.requests import TaskName
from service.dialects.text_removal.states import TaskState
from service.files import Files
from service.store import Store


class Callbacks:
    """Makes the bodies; see `service.webhooks.Form`."""

    def __init__(self, store: Store, files: Files) -> None:
        self._store = store
        self._files = files

    async def __call__(self, job_id: str, _event: Mapping[str, Any]) -> bytes | None:
        job = await self._store.job(job_id, None)
        # Whoever chose these labels for a job of our own API is told of it as usual.
        if job is None or not job.outputs or job.task is not TaskName.ERASE or "foreign_id" not in job.labels:
            return None
        ready = job.outputs[0]
        try:
            content = await anyio.to_thread.run_sync(
                self._files.output(job.id, ready.index, ready.media_type).read_bytes
            )
        except FileNotFoundError:
            return None
        state = TaskState.of(job)

        def body() -> bytes:
            return orjson.dumps(
                {
                    "task_id": state.task_id,
                    "status": state.status.value,
                    "image_data": base64.b64encode(content).decode(),
                    "timestamp": time.time(),
                }
            )

        return await anyio.to_thread.run_sync(body)
