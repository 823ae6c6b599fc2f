"""Clients of the Stable Diffusion API for tests: small requests, a picture to send, and a wait for a job's end."""

import base64
import io
from typing import Any

import httpx
import numpy as np
from PIL import Image

from tests.servers import DEADLINE_S

KEY = "your_api_key"
OTHER_KEY = "your_api_key_2"
GENERATE = "/api/v1/generate"


def asked(**fields: Any) -> dict[str, Any]:
    """A request for a small picture."""
    return {"prompt": "a cat", "width": 64, "height": 48, "num_inference_steps": 2, **fields}


def png(width: int = 64, height: int = 48, file_format: str = "PNG") -> bytes:
    """A picture in which no two rows or columns are alike."""
    rows, columns = np.mgrid[0:height, 0:width]
    pixels = np.stack([rows * 5 % 256, columns * 4 % 256, (rows + columns) * 2 % 256], axis=-1).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, file_format)
    return buffer.getvalue()


def data_url(content: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def begin(client: httpx.Client, **fields: Any) -> str:
    """The id of a task that was just made."""
    answer = client.post(GENERATE, json=asked(**fields))
    assert answer.status_code == 200, answer.text
    task_id: str = answer.json()["task_id"]
    return task_id


def ended(client: httpx.Client, task_id: str) -> dict[str, Any]:
    """Our job of a task, after its end."""
    job: dict[str, Any] = client.get(f"/v1/jobs/{task_id}", params={"wait": 3 * DEADLINE_S}).json()
    assert job["status"] in {"succeeded", "failed", "cancelled"}
    return job


def shown(client: httpx.Client, task_id: str) -> dict[str, Any]:
    task: dict[str, Any] = client.get(f"/api/v1/tasks/{task_id}").json()
    return task


def warnings_of(client: httpx.Client, task_id: str) -> list[str]:
    """`code: message` of everything that a job was warned of."""
    told = client.get(f"/v1/jobs/{task_id}/events").json()["events"]
    return [f"{e['data']['code']}: {e['data']['message']}" for e in told if e["type"] == "job.warning"]


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))
