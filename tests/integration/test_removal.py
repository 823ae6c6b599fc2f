"""Ended jobs that a client removes: gone at once, for everybody who may know of it, and nobody else notices."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import aclosing, closing
from pathlib import Path

import httpx
import pytest

from protocol.codec import Codec
from safelight import AsyncClient
from safelight.errors import RequestRefused
from service.auth import Scope, add_key
from tests.integration.viewers import Viewer, finished, inline, png, started_running, submit
from tests.servers import DEADLINE_S, ThreadServer, thread_server, until

pytestmark = pytest.mark.usefixtures("quiet_log")

ANNA, BERT = "key-of-anna", "key-of-bert"
SMALL = {"steps": 1, "width": 8, "height": 8}
LONG = {"steps": 1000, "step_ms": 20, "width": 8, "height": 8}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("removal") / "data"


@pytest.fixture(scope="module")
def server(data_dir: Path) -> Iterator[ThreadServer]:
    with thread_server(data_dir, api={"keys": (ANNA, BERT)}) as running:
        yield running


@pytest.fixture
def anna(server: ThreadServer) -> Iterator[httpx.Client]:
    with server.client(headers={"X-API-Key": ANNA}) as client:
        yield client


@pytest.fixture
def bert(server: ThreadServer) -> Iterator[httpx.Client]:
    with server.client(headers={"X-API-Key": BERT}) as client:
        yield client


def traces(data_dir: Path, job_id: str) -> tuple[int, list[Path]]:
    """Rows and files that are left of a job."""
    with closing(sqlite3.connect(data_dir / "safelight.db")) as database:
        columns = (("jobs", "id"), ("events", "job_id"), ("outputs", "job_id"), ("webhook_outbox", "job_id"))
        rows = sum(
            database.execute(f"SELECT count(*) FROM {table} WHERE {column} = ?", (job_id,)).fetchone()[0]
            for table, column in columns
        )
    return rows, list((data_dir / "jobs").glob(f"??/{job_id}"))


def test_removed_job_is_gone_with_its_facts_and_files(data_dir: Path, anna: httpx.Client) -> None:
    job_id = finished(anna, submit(anna, "upscale", params={"image": inline(png())})["id"])["id"]
    assert traces(data_dir, job_id)[0] > 0
    answer = anna.delete(f"/v1/jobs/{job_id}/record")
    assert (answer.status_code, answer.content) == (204, b"")
    assert traces(data_dir, job_id) == (0, [])
    for path in ("", "/events", "/outputs/0"):
        assert anna.get(f"/v1/jobs/{job_id}{path}").status_code == 404
    assert job_id not in [job["id"] for job in anna.get("/v1/jobs").json()["jobs"]]
    again = anna.delete(f"/v1/jobs/{job_id}/record")
    assert (again.status_code, again.json()["code"]) == (404, "not_found")


def test_job_that_has_not_ended_stays(anna: httpx.Client) -> None:
    job_id = submit(anna, params=LONG)["id"]
    started_running(anna, job_id)
    refused = anna.delete(f"/v1/jobs/{job_id}/record")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_ended")
    assert "running" in refused.json()["detail"]
    assert anna.delete(f"/v1/jobs/{job_id}").status_code == 202
    assert finished(anna, job_id)["status"] == "cancelled"
    assert anna.delete(f"/v1/jobs/{job_id}/record").status_code == 204


def test_job_of_another_key_is_not_found_and_stays(anna: httpx.Client, bert: httpx.Client) -> None:
    job_id = finished(anna, submit(anna, params=SMALL)["id"])["id"]
    for name in (job_id, "no-such-job"):
        assert bert.delete(f"/v1/jobs/{name}/record").json()["code"] == "not_found"
    assert anna.get(f"/v1/jobs/{job_id}/outputs/0").status_code == 200


def test_key_that_may_only_look_removes_nothing(data_dir: Path, server: ThreadServer, anna: httpx.Client) -> None:
    reading = add_key(data_dir, "reader", {Scope.JOBS_READ})
    job_id = finished(anna, submit(anna, params=SMALL)["id"])["id"]
    with server.client(headers={"X-API-Key": reading}) as reader:
        until(lambda: reader.get("/v1/jobs").status_code == 200, "the key to be known")
        assert reader.delete(f"/v1/jobs/{job_id}/record").json()["code"] == "forbidden"


def test_every_other_viewer_of_the_keys_jobs_learns_of_it_after_the_end(
    server: ThreadServer, anna: httpx.Client, codec: Codec
) -> None:
    headers = {"X-API-Key": ANNA}
    with Viewer(server, codec, headers=headers) as viewer, Viewer(server, codec, headers={"X-API-Key": BERT}) as other:
        assert viewer.ask("subscribe", jobs="mine")["ok"]
        assert other.ask("subscribe", jobs="mine")["ok"]
        job_id = submit(anna, params=SMALL)["id"]
        ended = viewer.until_end(job_id)[-1]
        assert anna.delete(f"/v1/jobs/{job_id}/record").status_code == 204
        removed = viewer.until("job.removed")[-1]
        assert (removed["job_id"], removed["seq"], removed["attempt"]) == (job_id, ended["seq"], 1)
        assert removed["data"] == {"reason": "removed by the client"}
        assert removed["n"] > 10**9
        assert "cursor" not in removed
        other.ask("ping")
        assert not [message for message in other.forget() if message["type"] == "job.removed"]


def test_viewer_who_saw_the_end_goes_on_from_where_it_was_and_one_who_did_not_begins_anew(
    server: ThreadServer, anna: httpx.Client, bert: httpx.Client
) -> None:
    with Viewer(server, headers={"X-API-Key": ANNA}) as viewer, Viewer(server, headers={"X-API-Key": BERT}) as other:
        before = viewer.ask("subscribe", jobs="mine")["cursor"]
        others = other.ask("subscribe", jobs="mine")["cursor"]
        job_id = submit(anna, params=SMALL)["id"]
        after = viewer.until_end(job_id)[-1]["cursor"]
        assert anna.delete(f"/v1/jobs/{job_id}/record").status_code == 204
        next_id = finished(anna, submit(anna, params=SMALL)["id"])["id"]
    with Viewer(server, headers={"X-API-Key": ANNA}) as viewer:
        assert viewer.ask("subscribe", jobs="mine", cursor=before)["error"]["code"] == "cursor_expired"
        assert viewer.ask("subscribe", jobs="mine", cursor=after)["ok"]
        assert {message["job_id"] for message in viewer.until_end(next_id)} == {next_id}
    with Viewer(server, headers={"X-API-Key": BERT}) as other:
        assert other.ask("subscribe", jobs="mine", cursor=others)["ok"]  # nothing of Bert's was removed


@pytest.mark.anyio
async def test_client_forgets_its_job_and_another_hears_of_it(server: ThreadServer) -> None:
    async with AsyncClient(server.url, api_key=ANNA) as client, AsyncClient(server.url, api_key=ANNA) as other:
        async with aclosing(other.watch_mine()) as events, asyncio.timeout(3 * DEADLINE_S):
            waiting = asyncio.create_task(anext(events))
            while True:
                job = await client.submit("test_pattern", **SMALL)
                await job.wait()
                if waiting.done():  # the other is listening by now
                    break
            await job.forget()
            removed = await anext(event async for event in events if event.type == "job.removed")
            assert removed.job_id == job.id
        with pytest.raises(RequestRefused, match="not_found"):
            await client.get(job.id)
        running = await client.submit("test_pattern", **LONG)
        with pytest.raises(RequestRefused) as refusal:
            await running.forget()
        assert (refusal.value.code, refusal.value.status) == ("not_ended", 409)
        await running.cancel()


def test_viewer_hears_of_a_job_that_expired(tmp_path: Path) -> None:
    with thread_server(tmp_path / "data", job_ttl_s=0.05, expiry_interval_s=0.02) as running, Viewer(running) as viewer:
        assert viewer.ask("subscribe", jobs="mine")["ok"]
        with running.client() as client:
            job_id = submit(client, params=SMALL)["id"]
        told = viewer.until("job.removed")
        assert [message["job_id"] for message in told[-1:]] == [job_id]
        assert told[-2]["type"] == "job.succeeded"
