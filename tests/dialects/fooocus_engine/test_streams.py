"""The stream of a task: what it tells and when, and what becomes of the task when its reader leaves."""

import base64
import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.dialects.fooocus_api.callers import local
from tests.dialects.fooocus_engine.callers import (
    CONTROL,
    GENERATE,
    PROFILE,
    asked,
    begin,
    job_id,
    messages,
    streamed,
    task,
)
from tests.dialects.jobs import ended, failing
from tests.dialects.pictures import b64, opened, png
from tests.servers import DEADLINE_S, ThreadServer, thread_server


@pytest.fixture
def slow_server(tmp_path: Path) -> Iterator[ThreadServer]:
    """Slow enough to be met at work, and no slower."""
    with thread_server(tmp_path / "data", listen=PROFILE, fake_step_s=0.08, preview_interval_s=0.01) as running:
        yield running


@contextmanager
def reading(server: ThreadServer, **fields: Any) -> Iterator[Iterator[dict[str, Any]]]:
    """The messages of a stream that is left at the end of the block."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    body = json.dumps(asked(stream_output=True, **fields))
    connection.request("POST", GENERATE, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    assert answer.status == 200
    try:
        yield messages(line.decode().rstrip("\r\n") for line in answer)
    finally:
        answer.close()
        connection.close()


def test_a_stream_tells_of_everything_as_it_happens_and_names_its_task(slow_client: httpx.Client) -> None:
    told = streamed(slow_client, image_number=2)
    (task_id,) = {message["task_id"] for message in told}
    progress = [message["progress"] for message in told]
    assert progress == sorted(progress)
    texts = [message["message"] for message in told]
    assert texts[0].startswith("Waiting")
    assert "Sampling step 3/4, image 2/2 ..." in texts
    assert "Saving image 1/2 to system ..." in texts
    assert (progress[-1], texts[-1]) == (100, "Finished")
    assert {tuple(message["images"]) for message in told[:-1]} == {()}
    assert told[-1]["images"] == task(slow_client, task_id)["result"]
    assert "error" not in told[-1]
    assert len(told[-1]["images"]) == 2
    assert slow_client.get(local(told[-1]["images"][0])).content.startswith(b"\x89PNG")


def test_previews_are_data_urls_of_png(slow_client: httpx.Client) -> None:
    previews = [message["preview"] for message in streamed(slow_client) if message["preview"] is not None]
    assert previews
    for preview in previews:
        head, _, encoded = preview.partition(",")
        assert head == "data:image/png;base64"
        assert opened(base64.b64decode(encoded)).format == "PNG"
    assert all(message["preview"] is None for message in streamed(slow_client, disable_preview=True))


def test_a_task_that_waits_says_so_at_once(tmp_path: Path) -> None:
    """The original said nothing before the first step."""
    with (
        thread_server(tmp_path / "data", listen=PROFILE, fake_step_s=0.1, max_live_jobs=1) as server,
        server.client() as client,
    ):
        first = begin(client, image_number=8)
        with reading(server) as told:
            waiting = next(told)
            assert (waiting["progress"], waiting["message"]) == (0, "Waiting ...")
            client.post(CONTROL, params={"action": "stop", "task_id": first}).raise_for_status()
            assert [message["message"] for message in told][-1] == "Finished"


def test_a_failure_is_told_with_its_reason_and_the_pictures_before_it(client: httpx.Client) -> None:
    """The original told of no picture, and of nothing else."""
    with failing(image=1):
        last = streamed(client, image_number=2)[-1]
    assert last["progress"] == 100
    assert last["error"] == {"code": "step_failed", "message": last["message"]}
    assert len(last["images"]) == 1
    record = task(client, last["task_id"])
    assert (record["task_status"], record["result"]) == ("failed", last["images"])


def test_what_has_no_effect_is_told_while_the_task_goes_on(client: httpx.Client) -> None:
    told = streamed(client, style_selections=["No such style"])
    (warned,) = [message["warning"] for message in told if "warning" in message and "style" in str(message["warning"])]
    assert warned["code"] == "unknown_name"
    assert told[-1]["message"] == "Finished"


def test_a_reader_that_leaves_ends_its_task(slow_server: ThreadServer, slow_client: httpx.Client) -> None:
    """In the original it stayed for ever, said to be running, and its picture was never listed."""
    with reading(slow_server, image_number=8) as told:
        task_id = next(message["task_id"] for message in told if message["message"].startswith("Sampling"))
    assert ended(slow_client, job_id(task_id))["status"] == "cancelled"
    assert task(slow_client, task_id)["task_status"] == "stop"
    assert slow_client.get("/tasks", params={"query": "current"}).json()["current"] == []


def test_a_task_goes_on_without_its_reader_if_that_was_asked_for(
    slow_server: ThreadServer, slow_client: httpx.Client
) -> None:
    with reading(slow_server, image_number=2, async_process=True) as told:
        task_id = next(message["task_id"] for message in told if message["message"].startswith("Sampling"))
    assert ended(slow_client, job_id(task_id))["status"] == "succeeded"
    (listed,) = slow_client.get("/tasks", params={"query": "history"}).json()["history"]
    assert (listed["task_id"], listed["task_status"], len(listed["result"])) == (task_id, "finished", 2)


def test_a_stop_and_a_skip_are_told_in_the_stream(slow_server: ThreadServer, slow_client: httpx.Client) -> None:
    with reading(slow_server, image_number=3) as told:
        for message in told:
            if message["message"].startswith("Sampling step 1/4, image 2/3"):
                slow_client.post(CONTROL, params={"action": "skip"}).raise_for_status()
            if message["message"] == "Skipped image 2/3 ...":
                slow_client.post(CONTROL, params={"action": "stop"}).raise_for_status()
            last = message
    assert (last["message"], len(last["images"])) == ("Finished", 1)


def test_a_quiet_stream_is_kept_open_by_comments(tmp_path: Path) -> None:
    with (
        thread_server(tmp_path / "data", listen=PROFILE, fake_step_s=0.2, heartbeat_s=0.05) as server,
        server.client() as client,
        client.stream("POST", GENERATE, json=asked(stream_output=True, disable_preview=True)) as answer,
    ):
        lines = list(answer.iter_lines())
    assert any(line.startswith(": ping") for line in lines)
    assert list(messages(iter(lines)))[-1]["message"] == "Finished"


def test_a_mistake_is_answered_before_the_stream_begins(client: httpx.Client) -> None:
    for fields, status in (({"sharpness": 99}, 422), ({"uov_input_image": "not base64!"}, 400)):
        answer = client.post(GENERATE, json=asked(stream_output=True, **fields))
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")


def test_a_task_that_was_enlarged_tells_of_it(slow_client: httpx.Client) -> None:
    told = streamed(slow_client, uov_input_image=b64(png()), uov_method="Upscale (Fast 2x)")
    assert len(told[-1]["images"]) == 1


def test_many_readers_hold_up_nobody_and_no_thread(tmp_path: Path) -> None:
    with (
        thread_server(tmp_path / "data", listen=PROFILE, fake_step_s=0.2) as server,
        server.client() as client,
        ExitStack() as readers,
    ):
        threads = threading.active_count()
        streams = [readers.enter_context(reading(server, image_number=8)) for _ in range(60)]
        ids = {next(told)["task_id"] for told in streams}
        assert len(ids) == 60
        told = client.get("/tasks", params={"page_size": 100}, timeout=DEADLINE_S).json()
        assert {each["task_id"] for each in (*told["current"], *told["pending"])} == ids
        assert threading.active_count() - threads < 30, "nobody who reads holds a thread of the server"
