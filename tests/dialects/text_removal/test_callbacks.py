"""Callbacks to a real receiver on this machine."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.dialects.golden import FOLDER
from tests.dialects.receivers import Receiver
from tests.dialects.text_removal.callers import FINAL, ProgressSocket, order
from tests.dialects.text_removal.conftest import PROFILE
from tests.servers import ThreadServer, thread_server, until

ASYNC = "/api/v1/inpaint-regions-async"


@pytest.fixture
def private(tmp_path: Path) -> Iterator[ThreadServer]:
    """A server that may call addresses of this machine."""
    with thread_server(tmp_path / "data", listen=PROFILE, allow_private_urls=True) as server:
        yield server


def test_a_receiver_gets_the_picture_as_the_original_sends_it(private: ThreadServer) -> None:
    cases = json.loads((FOLDER / "iopaint" / "wrapper.json").read_text("utf-8"))["cases"]
    (recorded,) = [case["request"] for case in cases if case["name"] == "callback_received"]
    with Receiver(200).running() as receiver, private.client() as client:
        client.post(ASYNC, json=order(task_id="a", callback_url=receiver.url)).raise_for_status()
        told = receiver.next()
        result = client.get("/api/v1/task-result/a").content
    assert {name: type(value).__name__ for name, value in told.body.items()} == recorded["json_keys"]
    assert (told.path, told.headers["content-type"]) == (recorded["path"], recorded["headers"]["content-type"])
    assert (told.body["task_id"], told.body["status"]) == ("a", "completed")
    assert base64.b64decode(told.body["image_data"]) == result


def test_a_receiver_that_fails_is_told_again(private: ThreadServer) -> None:
    private.services.webhooks._pause = lambda _attempt: 0.0
    with Receiver(500, 200).running() as receiver, private.client() as client:
        client.post(ASYNC, json=order(task_id="a", callback_url=receiver.url)).raise_for_status()
        first, second = receiver.next(), receiver.next()
    for key in ("task_id", "image_data"):
        assert first.body[key] == second.body[key]
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_nobody_is_told_of_a_task_that_failed_or_was_cancelled(tmp_path: Path) -> None:
    """The original goes on after a cancel, and calls back."""
    with (
        thread_server(tmp_path / "data", listen=PROFILE, allow_private_urls=True, fake_step_s=0.1) as server,
        server.client() as client,
        Receiver(200).running() as receiver,
        ProgressSocket(server.ports[0]) as socket,
    ):
        whole = [{"x": 0, "y": 0, "width": 64, "height": 48}]
        for task_id in ("failing", "cancelled", "good"):
            socket.send({"type": "subscribe_task", "task_id": task_id})
            socket.until("task_subscribed")
        client.post(ASYNC, json=order(task_id="failing", regions=whole, callback_url=receiver.url)).raise_for_status()
        client.post(ASYNC, json=order(task_id="cancelled", callback_url=receiver.url)).raise_for_status()
        client.post("/api/v1/cancel-task/cancelled").raise_for_status()
        client.post(ASYNC, json=order(task_id="good", callback_url=receiver.url)).raise_for_status()
        for _ in range(3):
            socket.until(*FINAL)
        assert receiver.next().body["task_id"] == "good"
        assert receiver.got.empty()


def test_an_address_inside_the_operators_network_is_not_called(server: ThreadServer, client: httpx.Client) -> None:
    results: list[str] = []
    server.services.webhooks.on_result = results.append
    with Receiver(200).running() as receiver:
        client.post(ASYNC, json=order(task_id="a", callback_url=receiver.url)).raise_for_status()
        until(lambda: bool(results), "an attempt")
        assert results == ["failed"]
        assert receiver.got.empty()


@pytest.mark.parametrize("url", ["nonsense", "ftp://example.org/x", "file:///etc/passwd"])
def test_what_is_no_address_is_refused_before_any_work(client: httpx.Client, url: str) -> None:
    answer = client.post(ASYNC, json=order(task_id="a", callback_url=url))
    assert answer.status_code == 400
    assert "url" in answer.json()["detail"]
    assert client.get("/v1/jobs").json()["jobs"] == []


def test_a_webhook_of_our_own_api_keeps_its_own_form(private: ThreadServer) -> None:
    with Receiver(200).running() as receiver, private.client() as client:
        labels = {"dialect": "text_removal", "foreign_id": "a"}  # whatever it calls itself
        body = {"task": "test_pattern", "params": {"steps": 0}, "webhook": {"url": receiver.url}, "labels": labels}
        client.post("/v1/jobs", json=body).raise_for_status()
        assert receiver.next().body["type"] == "job.succeeded"
