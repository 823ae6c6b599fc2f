"""Tasks: what is told of them, to whom, and for how long."""

import re
import time
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from tests.dialects.jobs import ended
from tests.dialects.pictures import opened
from tests.dialects.sd_api.callers import KEY, OTHER_KEY, begin, shown
from tests.dialects.sd_api.conftest import KEYS, PROFILE
from tests.servers import DEADLINE_S, ProcessServer, ThreadServer, free_port, thread_server

FIELDS = ["task_id", "status", "result_url", "result_urls", "error_message", "created_at", "updated_at"]
UNKNOWN = {"detail": "任务不存在"}


def test_one_picture_is_told_of_as_documented(server: ThreadServer, client: httpx.Client) -> None:
    task_id = begin(client)
    ended(client, task_id)
    task = shown(client, task_id)
    assert list(task) == FIELDS
    assert task == {
        **task,
        "task_id": task_id,
        "status": "completed",
        "result_url": f"{server.url}/sd-images/{task_id}-0.png",
        "result_urls": None,
        "error_message": None,
    }


def test_several_pictures_are_a_list(server: ThreadServer, client: httpx.Client) -> None:
    task_id = begin(client, num_images=2)
    ended(client, task_id)
    task = shown(client, task_id)
    assert task["result_url"] is None
    assert task["result_urls"] == [f"{server.url}/sd-images/{task_id}-{index}.png" for index in (0, 1)]


def test_times_have_no_offset_and_are_those_of_the_clock_on_the_wall(client: httpx.Client) -> None:
    before = datetime.fromtimestamp(int(time.time()))
    task_id = begin(client)
    ended(client, task_id)
    task = shown(client, task_id)
    created, updated = (datetime.fromisoformat(task[name]) for name in ("created_at", "updated_at"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?", task["created_at"])
    assert before <= created <= updated <= datetime.now()


def test_a_task_is_pending_then_processing_then_completed(tmp_path: Path) -> None:
    with (
        thread_server(tmp_path / "data", listen=PROFILE, api=KEYS, fake_step_s=0.1, max_live_jobs=1) as server,
        server.client(headers={"X-API-Key": KEY}) as client,
    ):
        first, second = begin(client, num_inference_steps=5), begin(client)
        assert shown(client, second)["status"] == "pending"
        client.get(f"/v1/jobs/{first}/events", params={"after": 1, "wait": DEADLINE_S})
        task = shown(client, first)
        assert (task["status"], task["result_url"], task["result_urls"]) == ("processing", None, None)
        ended(client, first)
        assert shown(client, first)["status"] == "completed"


def test_a_task_that_was_cancelled_has_failed_and_says_so(tmp_path: Path) -> None:
    with (
        thread_server(tmp_path / "data", listen=PROFILE, api=KEYS, fake_step_s=0.05) as server,
        server.client(headers={"X-API-Key": KEY}) as client,
    ):
        task_id = begin(client, num_inference_steps=100)
        client.delete(f"/v1/jobs/{task_id}").raise_for_status()
        ended(client, task_id)
        task = shown(client, task_id)
    assert (task["status"], task["error_message"]) == ("failed", "任务已取消")
    assert (task["result_url"], task["result_urls"]) == (None, None)


@pytest.mark.parametrize("task_id", ["550e8400-e29b-41d4-a716-446655440000", "nothing", "..%2f..", "%00"])
def test_an_unknown_task_is_a_404_in_the_documented_words(client: httpx.Client, task_id: str) -> None:
    answer = client.get(f"/api/v1/tasks/{task_id}")
    assert answer.status_code == 404
    if "%2f" not in task_id:
        assert answer.json() == UNKNOWN


def test_a_key_sees_its_own_tasks_and_no_job_of_our_own_api(server: ThreadServer, client: httpx.Client) -> None:
    task_id = begin(client)
    ended(client, task_id)
    with server.client(headers={"X-API-Key": OTHER_KEY}) as other:
        answer = other.get(f"/api/v1/tasks/{task_id}")
        assert (answer.status_code, answer.json()) == (404, UNKNOWN)
    job_id = client.post("/v1/jobs", json={"task": "test_pattern", "params": {"steps": 0}}).json()["id"]
    assert client.get(f"/api/v1/tasks/{job_id}").json() == UNKNOWN


def test_pictures_are_there_for_everybody_who_knows_their_name(server: ThreadServer, client: httpx.Client) -> None:
    task_id = begin(client)
    ended(client, task_id)
    job_id = client.post("/v1/jobs", json={"task": "test_pattern", "params": {"steps": 0}}).json()["id"]
    ended(client, job_id)
    with server.client() as anybody:
        assert opened(anybody.get(f"/sd-images/{task_id}-0.png").content).size == (64, 48)
        for name in (f"{task_id}-1.png", f"{task_id}-0.jpg", f"{job_id}-0.png", "x.png", f"..%2f{task_id}-0.png"):
            answer = anybody.get(f"/sd-images/{name}")
            assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"}), name


def test_its_routes_answer_on_a_listener_without_a_profile_too(tmp_path: Path) -> None:
    with thread_server(tmp_path / "data") as server, server.client() as client:
        assert (
            client.get("/health").json() == client.get("/api/health").json() == {"status": "ok", "model_loaded": True}
        )
        task_id = begin(client)
        ended(client, task_id)
        assert opened(client.get(shown(client, task_id)["result_url"]).content).size == (64, 48)
        assert client.get("/api/v1/tasks/nothing").json() == UNKNOWN


def test_addresses_begin_as_the_operator_says(tmp_path: Path) -> None:
    with (
        thread_server(tmp_path / "data", listen=PROFILE, api=KEYS, sd_api_base_url="https://img.example/sd/") as server,
        server.client(headers={"X-API-Key": KEY}) as client,
    ):
        task_id = begin(client)
        ended(client, task_id)
        assert shown(client, task_id)["result_url"] == f"https://img.example/sd/sd-images/{task_id}-0.png"


def test_tasks_outlive_the_death_of_the_server(tmp_path: Path) -> None:
    port = free_port()
    settings = {"listen": f"{port}=sd_api", "fake_step_s": 0.1}
    with ProcessServer(tmp_path / "data", port=port, **settings) as server, server.client() as client:
        done, cut = begin(client), begin(client, num_inference_steps=10)
        ended(client, done)
        client.get(f"/v1/jobs/{cut}/events", params={"after": 1, "wait": DEADLINE_S})
        server.kill()
        server.start()
        assert shown(client, done)["status"] == "completed"
        assert shown(client, cut)["status"] in {"processing", "completed"}
        ended(client, cut)
        task = shown(client, cut)
        assert task["status"] == "completed"
        assert opened(client.get(task["result_url"]).content).size == (64, 48)
