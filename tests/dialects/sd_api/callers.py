"""Clients of the Stable Diffusion API for tests: small requests, a picture to name in them, and a look at a task."""

import base64
from typing import Any

import httpx

KEY = "your_api_key"
OTHER_KEY = "your_api_key_2"
GENERATE = "/api/v1/generate"


def asked(**fields: Any) -> dict[str, Any]:
    """A request for a small picture."""
    return {"prompt": "a cat", "width": 64, "height": 48, "num_inference_steps": 2, **fields}


def data_url(content: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def begin(client: httpx.Client, **fields: Any) -> str:
    """The id of a task that was just made."""
    answer = client.post(GENERATE, json=asked(**fields))
    assert answer.status_code == 200, answer.text
    task_id: str = answer.json()["task_id"]
    return task_id


def shown(client: httpx.Client, task_id: str) -> dict[str, Any]:
    task: dict[str, Any] = client.get(f"/api/v1/tasks/{task_id}").json()
    return task
