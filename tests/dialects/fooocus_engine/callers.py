"""Clients of FooocusAPI for tests: small requests, and its stream read as its clients read it."""

import json
from collections.abc import Iterator
from typing import Any

import httpx

from tests.dialects.fooocus_api.callers import SIZE

PROFILE = "0=fooocus_engine"
GENERATE = "/v1/engine/generate/"
CONTROL = "/v1/engine/control"
TASKS = "/tasks"


def asked(**fields: Any) -> dict[str, Any]:
    """A request for a small picture."""
    return {"prompt": "a cat", "image_seed": 5, "aspect_ratios_selection": SIZE, **fields}


def generated(client: httpx.Client, **fields: Any) -> dict[str, Any]:
    """The record of a task that was waited for."""
    answer = client.post(GENERATE, json=asked(**fields))
    assert answer.status_code == 200, answer.text[:500]
    record: dict[str, Any] = answer.json()
    return record


def begin(client: httpx.Client, **fields: Any) -> str:
    """The id of a task that was just started."""
    answer = client.post(GENERATE, json=asked(async_process=True, **fields))
    answer.raise_for_status()
    task_id: str = answer.json()["task_id"]
    return task_id


def task(client: httpx.Client, task_id: str) -> Any:
    return client.get(f"{TASKS}/{task_id}").json()


def groups(client: httpx.Client, **params: Any) -> dict[str, list[dict[str, Any]]]:
    told: dict[str, list[dict[str, Any]]] = client.get(TASKS, params=params).json()
    return told


def job_id(task_id: str) -> str:
    """Of our own API."""
    return "-".join([task_id[:8], task_id[8:12], task_id[12:16], task_id[16:20], task_id[20:]])


def messages(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The messages of a stream: what an SSE parser makes of its lines, then JSON."""
    data: list[str] = []
    for line in lines:
        if not line:
            if data:
                yield json.loads("\n".join(data))
            data = []
        elif line.startswith("data:"):
            data.append(line.removeprefix("data:").removeprefix(" "))
        else:
            assert line.startswith(":"), f"unnamed events and comments alone: {line!r}"


def streamed(client: httpx.Client, **fields: Any) -> list[dict[str, Any]]:
    """All messages of a stream."""
    with client.stream("POST", GENERATE, json=asked(stream_output=True, **fields)) as answer:
        assert answer.status_code == 200
        return list(messages(answer.iter_lines()))
