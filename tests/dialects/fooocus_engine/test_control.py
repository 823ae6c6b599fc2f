"""`control`: stop and skip, of the running task or of one by name; and what is left when nothing runs."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.dialects.fooocus_engine.callers import CONTROL, PROFILE, begin, generated, job_id, task
from tests.dialects.jobs import ended, until
from tests.dialects.pictures import b64, png
from tests.servers import ThreadServer, thread_server

STOPPED = {"message": "task stoped"}
SKIPPED = {"message": "task skiped"}
NONE = {"message": "No task running"}


@pytest.fixture
def slow_server(tmp_path: Path) -> Iterator[ThreadServer]:
    """Slow enough to be met at work, and no slower."""
    with thread_server(tmp_path / "data", listen=PROFILE, fake_step_s=0.08) as running:
        yield running


def control(client: httpx.Client, action: str, **params: str) -> object:
    return client.post(CONTROL, params={"action": action, **params}).json()


def test_a_stop_keeps_the_pictures_so_far(slow_client: httpx.Client) -> None:
    running = begin(slow_client, image_number=8)
    until(slow_client, job_id(running), "output.ready")
    assert control(slow_client, "stop") == STOPPED
    ended(slow_client, job_id(running))
    told = task(slow_client, running)
    assert told["task_status"] == "stop"
    assert 1 <= len(told["result"]) < 8


def test_a_skip_drops_the_picture_at_work_and_the_others_are_made(slow_client: httpx.Client) -> None:
    running = begin(slow_client, image_number=3)
    until(slow_client, job_id(running), "step.finished")
    assert control(slow_client, "skip") == SKIPPED
    ended(slow_client, job_id(running))
    told = task(slow_client, running)
    assert told["task_status"] == "finished"
    assert [url.rsplit("-", 1)[1] for url in told["result"]] == ["1.png", "2.png"]


def test_a_skip_of_what_makes_one_picture_ends_it(slow_client: httpx.Client) -> None:
    running = begin(slow_client, uov_input_image=b64(png()), uov_method="Upscale (Fast 2x)")
    until(slow_client, job_id(running), "job.started")
    assert control(slow_client, "skip") == SKIPPED
    assert ended(slow_client, job_id(running))["status"] == "cancelled"


def test_what_is_asked_while_nothing_runs_is_forgotten(client: httpx.Client) -> None:
    for action in ("stop", "skip"):
        assert control(client, action) == NONE
    record = generated(client, image_number=2)
    assert (record["task_status"], len(record["result"])) == ("finished", 2)
    for action in ("stop", "skip"):
        assert control(client, action, task_id=record["task_id"]) == NONE


def test_a_task_is_stopped_by_its_name_also_while_it_waits(tmp_path: Path) -> None:
    """The original knew the running one alone, and forgot that when another ended."""
    with (
        thread_server(tmp_path / "data", listen=PROFILE, fake_step_s=0.05, max_live_jobs=1) as server,
        server.client() as client,
    ):
        running, waiting = begin(client, image_number=2), begin(client)
        until(client, job_id(running), "job.started")
        assert control(client, "stop", task_id=waiting) == STOPPED
        assert task(client, waiting)["task_status"] == "stop"
        assert ended(client, job_id(running))["status"] == "succeeded"


def test_a_task_that_waits_has_no_picture_to_skip(tmp_path: Path) -> None:
    with (
        thread_server(tmp_path / "data", listen=PROFILE, fake_step_s=0.05, max_live_jobs=1) as server,
        server.client() as client,
    ):
        running, waiting = begin(client, image_number=2), begin(client)
        until(client, job_id(running), "job.started")
        answer = client.post(CONTROL, params={"action": "skip", "task_id": waiting})
        assert answer.status_code == 400
        assert "waits" in answer.json()["detail"]
        control(client, "stop", task_id=running)
        assert ended(client, job_id(waiting))["status"] == "succeeded"


def test_an_action_that_is_none_and_a_task_that_is_none_are_told(client: httpx.Client) -> None:
    assert control(client, "pause") == {"message": "Invalid control action"}
    answer = client.post(CONTROL)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", "action"]
    assert client.post(CONTROL, json={"action": "stop"}).status_code == 422
    missing = client.post(CONTROL, params={"action": "stop", "task_id": "0" * 32})
    assert missing.status_code == 404
    assert missing.json() == {"detail": "there is no such task, or it is not yours"}
