"""Clients of Fooocus-API for tests: small requests, a mask to send, and a look at a job."""

import io
from typing import Any
from urllib.parse import urlsplit

import httpx
from PIL import Image

TEXT = "/v1/generation/text-to-image"
QUERY = "/v1/generation/query-job"
HISTORY = "/v1/generation/job-history"
STOP = "/v1/generation/stop"
SIZE = "128*96"


def mask(width: int = 64, height: int = 48) -> bytes:
    """White in the middle."""
    picture = Image.new("L", (width, height))
    picture.paste(255, (width // 4, height // 4, width // 2, height // 2))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def asked(**fields: Any) -> dict[str, Any]:
    """A request for a small picture."""
    return {"prompt": "a cat", "image_seed": 5, "aspect_ratios_selection": SIZE, **fields}


def local(url: str) -> str:
    """The path of a URL."""
    return urlsplit(url).path


def begin(client: httpx.Client, **fields: Any) -> str:
    """The id of a job that was just started."""
    answer = client.post(TEXT, json=asked(async_process=True, **fields))
    answer.raise_for_status()
    job_id: str = answer.json()["job_id"]
    return job_id


def queried(client: httpx.Client, job_id: str, **params: Any) -> dict[str, Any]:
    job: dict[str, Any] = client.get(QUERY, params={"job_id": job_id, **params}).json()
    return job
