"""Many clients that wait for Fooocus' dialects: everybody else is answered, and whoever leaves frees his job."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.dialects.fooocus_api.routes import ROUTES
from tests.dialects.fooocus_api.callers import HISTORY, STOP, TEXT, asked, begin, queried
from tests.dialects.fooocus_engine.callers import CONTROL, GENERATE, TASKS
from tests.dialects.jobs import ended, until
from tests.servers import ThreadServer, thread_server
from tests.servers import until as reached

CLIENTS = 60
QUEUE = "/v1/generation/job-queue"
ELSEWHERE = {"/", "/files/{date}/{file_name}"}
"""Paths that are answered to others where all dialects share a port, or need a picture."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ThreadServer]:
    """All dialects, and pictures that take a second."""
    with thread_server(tmp_path / "data", fake_step_s=0.05) as running:
        yield running


@pytest.fixture
def client(server: ThreadServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@contextmanager
def waiting(server: ThreadServer, path: str, bodies: list[dict[str, Any]]) -> Iterator[list[socket.socket]]:
    """Clients that have asked and read no answer; all hang up in the end."""
    with ExitStack() as opened:
        callers = []
        for fields in bodies:
            body = json.dumps(fields).encode()
            caller = opened.enter_context(closing(socket.create_connection(("127.0.0.1", server.port))))
            head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            caller.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            callers.append(caller)
        yield callers


def statuses(client: httpx.Client) -> dict[str, str]:
    """Every job there is -> its status."""
    return {job["id"]: job["status"] for job in client.get("/v1/jobs", params={"limit": 200}).json()["jobs"]}


def all_over(client: httpx.Client) -> bool:
    return not {"queued", "running"} & set(statuses(client).values())


def test_with_many_calls_that_wait_every_route_answers_and_when_all_hang_up_no_job_is_left(
    server: ThreadServer, client: httpx.Client
) -> None:
    with waiting(server, TEXT, [asked(image_number=8)] * CLIENTS):
        reached(lambda: client.get(QUEUE).json()["running_size"] == CLIENTS, "all calls to be accepted")
        newest = client.get(QUEUE).json()["last_job_id"]
        assert client.get("/ping").json() == "pong"
        assert queried(client, newest)["job_stage"] == "WAITING"
        assert len(client.get(HISTORY).json()["queue"]) == CLIENTS
        gets = {route.path for route in ROUTES if "GET" in route.methods} - ELSEWHERE  # type: ignore[attr-defined]
        for path in sorted(gets):
            answer = client.get(path, params={"job_id": newest})
            assert answer.status_code == 200, f"{path}: {answer.text[:200]}"
        assert client.post(STOP, params={"job_id": newest}).json() == {"msg": "success"}
        assert queried(client, newest)["job_result"] == []
        assert set(client.get(TASKS).json()) == {"history", "current", "pending"}
        # A stop without a name ends one that runs, and no other.
        assert client.post(STOP).json() == {"msg": "success"}
        reached(lambda: list(statuses(client).values()).count("cancelled") == 2, "the job that ran to end")
    reached(lambda: all_over(client), "the jobs of those who hung up to end")
    assert len(statuses(client)) == CLIENTS
    assert set(statuses(client).values()) == {"cancelled"}


@pytest.mark.parametrize(("path", "params"), [(STOP, {}), (CONTROL, {"action": "stop"})])
def test_a_stop_while_nothing_runs_harms_nobody_who_comes_later(
    client: httpx.Client, path: str, params: dict[str, str]
) -> None:
    for _ in range(3):
        assert client.post(path, params=params).status_code == 200
    first = begin(client)
    assert client.get("/ping").json() == "pong"
    assert ended(client, first)["status"] == "succeeded"
    client.post(path, params=params).raise_for_status()
    assert client.post(TEXT, json=asked()).json()[0]["finish_reason"] == "SUCCESS"
    client.post(GENERATE, json=asked()).raise_for_status()
    assert set(statuses(client).values()) == {"succeeded"}


def test_a_dropped_stream_frees_its_job_or_lets_it_finish_as_asked(server: ThreadServer, client: httpx.Client) -> None:
    bodies = [asked(image_number=2, stream_output=True, async_process=number % 2 == 0) for number in range(8)]
    with waiting(server, GENERATE, bodies) as streams:
        heads = [stream.recv(4096) for stream in streams]
        ids = [head.lower().split(b"x-job-id: ")[1].split(b"\r\n")[0].decode() for head in heads]
        until(client, ids[0], "step.finished")
        assert len(statuses(client)) == len(bodies)
    for number, name in enumerate(ids):
        expected = "succeeded" if number % 2 == 0 else "cancelled"
        assert ended(client, name)["status"] == expected, f"stream {number}"
