"""`POST /v1/jobs/{id}/skip`, and `skip` over a socket, on a running server: an image less, and what cannot be."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from protocol.codec import Codec
from protocol.ids import new_id
from safelight import Client, RequestRefused
from safelight.errors import ConnectionLost
from safelight.job import AsyncJob
from tests.dialects.jobs import ended, until
from tests.dialects.pictures import b64, png
from tests.integration.viewers import Viewer
from tests.servers import ProcessServer, ThreadServer, thread_server


def begin(client: httpx.Client, task: str = "test_pattern", **params: Any) -> str:
    answer = client.post("/v1/jobs", json={"task": task, "params": params})
    assert answer.is_success, answer.text
    job_id: str = answer.json()["id"]
    return job_id


def facts(client: httpx.Client, job_id: str) -> list[dict[str, Any]]:
    """The facts of an ended job."""
    ended(client, job_id)
    told: list[dict[str, Any]] = client.get(f"/v1/jobs/{job_id}/events").json()["events"]
    return told


def test_a_skipped_image_has_no_output_and_the_next_is_the_one_it_would_have_been(
    tmp_path: Path,
) -> None:
    with thread_server(tmp_path / "data") as server, server.client() as client:
        whole = ended(client, begin(client, width=16, height=16, images=2, seed=3, steps=2))
        job_id = begin(client, width=16, height=16, images=2, seed=3, steps=20, step_ms=50)
        until(client, job_id, "step.finished")
        asked = client.post(f"/v1/jobs/{job_id}/skip")
        assert (asked.status_code, asked.json()["status"]) == (202, "running")
        told = facts(client, job_id)
        (skipped,) = [each for each in told if each["type"] == "output.skipped"]
        assert skipped["data"] == {"index": 0}
        assert told[-1]["type"] == "job.succeeded"
        job = ended(client, job_id)
    assert [(each["index"], each["sha256"]) for each in job["outputs"]] == [(1, whole["outputs"][1]["sha256"])]


def test_what_has_no_image_to_skip_is_refused_with_a_reason(tmp_path: Path) -> None:
    with thread_server(tmp_path / "data", fake_step_s=0.1, max_live_jobs=1) as server, server.client() as client:
        running = begin(client, "upscale", image=b64(png()), factor=2.0)
        until(client, running, "job.started")
        waiting = begin(client, images=2)
        _refused(client, running, 422, "cancel it instead")
        _refused(client, waiting, 422, "waits")
        _refused(client, new_id(), 404, "there is none")
        ended(client, waiting)
        _refused(client, waiting, 409, "already succeeded")


def _refused(client: httpx.Client, job_id: str, status: int, reason: str) -> None:
    answer = client.post(f"/v1/jobs/{job_id}/skip")
    assert answer.status_code == status
    assert reason in answer.json()["detail"]


def test_a_socket_skips_an_image_and_tells_of_it(tmp_path: Path, codec: Codec) -> None:
    with thread_server(tmp_path / "data") as server, Viewer(server, codec) as viewer:
        job_id = viewer.submit(params={"width": 16, "height": 16, "images": 2, "steps": 20, "step_ms": 50})["id"]
        viewer.until("step.finished", job_id=job_id)
        reply = viewer.ask("skip", job_id=job_id)
        assert (reply["ok"], reply["job"]["id"], reply["job"]["status"]) == (True, job_id, "running")
        told = viewer.until_end(job_id)
        assert [each["data"] for each in told if each["type"] == "output.skipped"] == [{"index": 0}]
        assert [each["data"]["index"] for each in told if each["type"] == "output.ready"] == [1]
        refusal = viewer.ask("skip", job_id=job_id)["error"]
        assert (refusal["code"], "already succeeded" in refusal["message"]) == ("already_ended", True)


@pytest.fixture
def killed(tmp_path: Path) -> ProcessServer:
    return ProcessServer(tmp_path / "data")


def test_an_image_that_was_skipped_is_not_made_after_the_server_was_killed(killed: ProcessServer) -> None:
    killed.start()
    with killed.client() as client:
        job_id = begin(client, width=16, height=16, images=3, steps=20, step_ms=50)
        until(client, job_id, "step.finished")
        client.post(f"/v1/jobs/{job_id}/skip").raise_for_status()
        until(client, job_id, "output.skipped")
    killed.kill()
    with killed, killed.client() as client:
        told = facts(client, job_id)
    assert "job.requeued" in [each["type"] for each in told]
    assert [each["data"]["index"] for each in told if each["type"] == "output.ready"] == [1, 2]


def test_an_image_is_skipped_by_its_own_key_alone(tmp_path: Path) -> None:
    with thread_server(tmp_path / "data", api={"keys": ["alice", "bob"]}) as server:
        _skip_of_another(server)


def _skip_of_another(server: ThreadServer) -> None:
    with (
        server.client(headers={"X-API-Key": "alice"}) as alice,
        server.client(headers={"X-API-Key": "bob"}) as bob,
    ):
        job_id = begin(alice, images=1, steps=20, step_ms=20)
        until(alice, job_id, "step.finished")
        _refused(bob, job_id, 404, "there is none")
        assert [each["type"] for each in facts(alice, job_id)][-2:] == ["output.ready", "job.succeeded"]


def test_the_python_client_skips_an_image_and_is_told_why_it_cannot(tmp_path: Path) -> None:
    with thread_server(tmp_path / "data") as server, Client(server.url) as client:
        job = client.submit("test_pattern", width=16, height=16, images=2, steps=20, step_ms=20)
        next(event for event in job.events() if event.type == "step.finished")
        job.skip()
        assert [output.info.index for output in job.result()] == [1]
        with pytest.raises(RequestRefused) as refusal:
            job.skip()
    assert refusal.value.code == "already_ended"


def test_the_python_client_says_so_if_nobody_heard_of_a_skip(tmp_path: Path) -> None:
    with thread_server(tmp_path / "data") as server, Client(server.url) as client:
        job = client.submit("test_pattern", width=16, height=16)
        job.wait()
        gone = AsyncJob(_BrokenRest(), None, job.state)  # type: ignore[arg-type] # what a skip needs of them
        with pytest.raises(ConnectionLost, match="while a skip was asked for"):
            asyncio.run(gone.skip())


class _BrokenRest:
    """A connection that breaks."""

    @asynccontextmanager
    async def stream(self, *_: object) -> AsyncIterator[httpx.Response]:
        raise httpx.ReadError("broken")
        yield
