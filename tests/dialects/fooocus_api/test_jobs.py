"""What clients ask of their jobs: one, the queue, the history, a stop; and what they may not see of others'."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.dialects.fooocus_api.callers import HISTORY, QUERY, STOP, TEXT, asked, begin, local, queried
from tests.dialects.fooocus_api.conftest import PROFILE
from tests.dialects.jobs import ended, until
from tests.servers import ThreadServer, thread_server
from tests.servers import until as reached

QUEUE = "/v1/generation/job-queue"
NOT_FOUND = {
    "job_id": "",
    "job_type": "Not Found",
    "job_stage": "ERROR",
    "job_progress": 0,
    "job_status": "Job not found",
    "job_step_preview": None,
    "job_result": None,
}


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """Two callers with keys of their own, on a slow server."""
    keys = {"keys": ["alice", "bob"]}
    with (
        thread_server(tmp_path / "data", listen=PROFILE, api=keys, fake_step_s=0.2) as server,
        server.client(headers={"X-API-KEY": "alice"}) as alice,
        server.client(headers={"X-API-KEY": "bob"}) as bob,
    ):
        yield alice, bob


@pytest.mark.parametrize("job_id", ["1", "none", "01a1fe78-4e4e-7000-89a4-31d312e0c6da", "../../etc"])
def test_an_unknown_job_is_answered_as_there(client: httpx.Client, job_id: str) -> None:
    answer = client.get(QUERY, params={"job_id": job_id})
    assert (answer.status_code, answer.json()) == (404, NOT_FOUND)
    stopped = client.post(STOP, params={"job_id": job_id})
    assert (stopped.status_code, stopped.json()) == (404, NOT_FOUND)


def test_a_job_of_our_own_api_is_none_of_this_dialect(client: httpx.Client) -> None:
    job = client.post("/v1/jobs", json={"task": "test_pattern", "params": {}}).json()
    assert client.get(QUERY, params={"job_id": job["id"]}).status_code == 404
    assert job["id"] not in client.get(HISTORY).text


def test_the_queue_counts_what_waits_and_runs_and_names_the_last_job(
    slow_server: ThreadServer, slow_client: httpx.Client
) -> None:
    assert slow_client.get(QUEUE).json() == {"running_size": 0, "finished_size": 0, "last_job_id": None}
    done = begin(slow_client)
    ended(slow_client, done)
    running = begin(slow_client)
    assert slow_client.get(QUEUE).json() == {"running_size": 1, "finished_size": 1, "last_job_id": running}
    assert slow_client.get("/v1/engines/job-queue").json()["running_size"] == 1, "the path of the documents"


def test_a_stop_ends_the_job_that_runs_longest_and_no_other(
    slow_server: ThreadServer, slow_client: httpx.Client
) -> None:
    first = begin(slow_client, image_number=4)
    until(slow_client, first, "job.started")
    second = begin(slow_client)
    assert slow_client.post(STOP).json() == {"msg": "success"}
    assert ended(slow_client, first)["status"] == "cancelled"
    assert ended(slow_client, second)["status"] == "succeeded"


def test_a_stop_that_names_a_job_ends_that_one_even_if_it_waits(tmp_path: Path) -> None:
    with (
        thread_server(tmp_path / "data", listen=PROFILE, fake_step_s=0.2, max_live_jobs=1) as server,
        server.client() as client,
    ):
        running, waiting = begin(client), begin(client)
        until(client, running, "job.started")
        assert client.post(STOP, params={"job_id": waiting}).json() == {"msg": "success"}
        assert ended(client, waiting)["status"] == "cancelled"
        assert queried(client, waiting)["job_result"] == []
        assert ended(client, running)["status"] == "succeeded"
        assert client.post(STOP, params={"job_id": running}).json() == {"msg": "success"}, "it had ended: no harm"


def test_everybody_sees_and_stops_jobs_of_their_own(shared: tuple[httpx.Client, httpx.Client]) -> None:
    alice, bob = shared
    job_id = begin(alice)
    until(alice, job_id, "job.started")
    assert bob.get(QUERY, params={"job_id": job_id}).status_code == 404
    assert bob.get(HISTORY).json() == {"queue": [], "history": []}
    assert bob.get(QUEUE).json()["running_size"] == 0
    bob.post(STOP).raise_for_status()
    bob.get(HISTORY, params={"delete": "true", "job_id": job_id}).raise_for_status()
    assert ended(alice, job_id)["status"] == "succeeded"
    bob.get(HISTORY, params={"delete": "true", "job_id": job_id}).raise_for_status()
    assert [entry["job_id"] for entry in alice.get(HISTORY).json()["history"]] == [job_id]


def test_a_job_that_has_not_ended_is_not_deleted(slow_server: ThreadServer, slow_client: httpx.Client) -> None:
    job_id = begin(slow_client)
    answer = slow_client.get(HISTORY, params={"delete": "true", "job_id": job_id})
    assert answer.json() == {"queue": [], "history": []}
    assert ended(slow_client, job_id)["status"] == "succeeded"


def test_history_and_files_outlive_the_server(tmp_path: Path) -> None:
    with (
        thread_server(tmp_path / "data", listen=PROFILE, fooocus_api_persistent=True) as first,
        first.client() as client,
    ):
        (made,) = client.post(TEXT, json=asked(save_name="kept")).json()
    with (
        thread_server(tmp_path / "data", listen=PROFILE, fooocus_api_persistent=True) as second,
        second.client() as client,
    ):
        (entry,) = client.get(HISTORY).json()["history"]
        assert entry["params"]["prompt"] == "a cat"
        assert local(entry["task_info"]["result_url"]) == local(made["url"])
        assert client.get(local(made["url"])).status_code == 200


def test_a_seed_nobody_chose_is_told_in_the_history(tmp_path: Path) -> None:
    with (
        thread_server(tmp_path / "data", listen=PROFILE, fooocus_api_persistent=True) as server,
        server.client() as client,
    ):
        (made,) = client.post(TEXT, json=asked(image_seed=-1)).json()
        (entry,) = client.get(HISTORY).json()["history"]
    assert str(entry["params"]["image_seed"]) == made["seed"]


@pytest.mark.parametrize("params", [{"page": "x"}, {"page_size": "many"}, {"delete": "perhaps"}])
def test_a_query_that_cannot_be_read_is_told_of(client: httpx.Client, params: dict[str, str]) -> None:
    answer = client.get(HISTORY, params=params)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", next(iter(params))]


def test_a_get_of_what_is_posted_is_answered_at_once(client: httpx.Client) -> None:
    for path in (TEXT, STOP):
        answer = client.get(path)
        assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed"})


def test_a_slash_too_many_is_redirected_to_the_path_without_it(client: httpx.Client) -> None:
    answer = client.get("/ping/")
    assert answer.status_code == 307
    assert local(answer.headers["location"]) == "/ping"


def test_a_client_that_hangs_up_frees_its_job(slow_server: ThreadServer, slow_client: httpx.Client) -> None:
    body = json.dumps(asked(image_number=8)).encode()
    with socket.create_connection(("127.0.0.1", slow_server.port)) as caller:
        head = f"POST {TEXT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        caller.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        reached(lambda: slow_client.get(QUEUE).json()["last_job_id"] is not None, "the job to be accepted")
        job_id = slow_client.get(QUEUE).json()["last_job_id"]
        until(slow_client, job_id, "step.finished")
    assert ended(slow_client, job_id)["status"] == "cancelled"
