"""Clients of Fooocus-API for tests: small requests, pictures to send, and ways to wait for a job's events."""

import base64
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from PIL import Image

import engine.fake
from engine.fake_product import Product
from engine.interface import EngineError
from protocol.errors import ErrorCode
from tests.servers import DEADLINE_S

TEXT = "/v1/generation/text-to-image"
QUERY = "/v1/generation/query-job"
HISTORY = "/v1/generation/job-history"
STOP = "/v1/generation/stop"
SIZE = "128*96"
REASON = "the fake engine was told to fail"


def png(width: int = 64, height: int = 48, *, file_format: str = "PNG") -> bytes:
    """A picture in which no two rows or columns are alike."""
    rows, columns = np.mgrid[0:height, 0:width]
    pixels = np.stack([rows * 5 % 256, columns * 4 % 256, (rows + columns) * 2 % 256], axis=-1).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, file_format)
    return buffer.getvalue()


def mask(width: int = 64, height: int = 48) -> bytes:
    """White in the middle."""
    picture = Image.new("L", (width, height))
    picture.paste(255, (width // 4, height // 4, width // 2, height // 2))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def asked(**fields: Any) -> dict[str, Any]:
    """A request for a small picture."""
    return {"prompt": "a cat", "image_seed": 5, "aspect_ratios_selection": SIZE, **fields}


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def local(url: str) -> str:
    """The path of a URL."""
    return urlsplit(url).path


def begin(client: httpx.Client, **fields: Any) -> str:
    """The id of a job that was just started."""
    answer = client.post(TEXT, json=asked(async_process=True, **fields))
    answer.raise_for_status()
    job_id: str = answer.json()["job_id"]
    return job_id


def events(client: httpx.Client, job_id: str) -> Iterator[dict[str, Any]]:
    """What happens to a job, as our own stream of events tells it, until its end."""
    headers = {"Accept": "text/event-stream"}
    with client.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as stream:
        for line in stream.iter_lines():
            if line.startswith("data:"):
                yield json.loads(line.removeprefix("data:"))


def until(client: httpx.Client, job_id: str, kind: str) -> dict[str, Any]:
    """The first event of that type."""
    return next(event for event in events(client, job_id) if event["type"] == kind)


def ended(client: httpx.Client, job_id: str) -> dict[str, Any]:
    """A job of ours, after its end."""
    answer = client.get(f"/v1/jobs/{job_id}", params={"wait": 3 * DEADLINE_S})
    job: dict[str, Any] = answer.json()
    assert job["status"] in {"succeeded", "failed", "cancelled"}
    return job


def queried(client: httpx.Client, job_id: str, **params: Any) -> dict[str, Any]:
    job: dict[str, Any] = client.get(QUERY, params={"job_id": job_id, **params}).json()
    return job


def warnings_of(client: httpx.Client, job_id: str) -> list[str]:
    """`code: message` of everything that a job was warned of."""
    told = client.get(f"/v1/jobs/{job_id}/events").json()["events"]
    return [f"{e['data']['code']}: {e['data']['message']}" for e in told if e["type"] == "job.warning"]


@contextmanager
def failing(*, image: int = 0) -> Iterator[None]:
    """Jobs of the fake engine fail at that image, while the block lasts."""

    def fail() -> Any:
        raise EngineError(ErrorCode.STEP_FAILED, REASON)

    made = engine.fake.make_products

    def make(*given: Any) -> list[Product]:
        products: list[Product] = made(*given)
        return [replace(each, encode=fail) if index == image else each for index, each in enumerate(products)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine.fake, "make_products", make)
        yield
