"""The jobs of our own API behind those of foreign ones: their events, their end, and a way to have them fail."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

import engine.fake
from engine.fake_product import Product
from engine.interface import EngineError
from protocol.errors import ErrorCode
from tests.servers import DEADLINE_S

REASON = "the fake engine was told to fail"


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
