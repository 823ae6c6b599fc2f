"""Callbacks to a real receiver on this machine."""

import time
from pathlib import Path

import httpx
import pytest

from tests.dialects.jobs import ended, failing
from tests.dialects.pictures import opened
from tests.dialects.receivers import Receiver
from tests.dialects.sd_api.callers import KEY, begin, shown
from tests.dialects.sd_api.conftest import KEYS, PROFILE
from tests.servers import ThreadServer, thread_server, until


def test_one_picture_is_told_of_by_its_address_and_nothing_else(client: httpx.Client) -> None:
    with Receiver(200).running() as receiver:
        task_id = begin(client, callback_url=receiver.url)
        headers, body, _ = receiver.next()
    assert body == {"task_id": task_id, "status": "completed", "image_url": shown(client, task_id)["result_url"]}
    assert headers["content-type"] == "application/json"
    assert opened(client.get(body["image_url"]).content).size == (64, 48)


def test_several_pictures_are_told_of_by_a_list(client: httpx.Client) -> None:
    with Receiver(200).running() as receiver:
        task_id = begin(client, callback_url=receiver.url, num_images=2)
        body = receiver.next().body
    assert body == {"task_id": task_id, "status": "completed", "image_urls": shown(client, task_id)["result_urls"]}


def test_a_failure_is_told_of_with_its_reason(client: httpx.Client) -> None:
    with Receiver(200).running() as receiver, failing():
        task_id = begin(client, callback_url=receiver.url)
        body = receiver.next().body
    task = shown(client, task_id)
    assert body == {"task_id": task_id, "status": "failed", "error_message": task["error_message"]}
    assert task["status"] == "failed"
    assert task["error_message"]


def test_a_cancelled_task_is_told_of_as_failed(tmp_path: Path) -> None:
    with (
        thread_server(tmp_path / "data", listen=PROFILE, api=KEYS, allow_private_urls=True, fake_step_s=0.05) as server,
        server.client(headers={"X-API-Key": KEY}) as client,
        Receiver(200).running() as receiver,
    ):
        task_id = begin(client, callback_url=receiver.url, num_inference_steps=100)
        client.delete(f"/v1/jobs/{task_id}").raise_for_status()
        assert receiver.next().body == {"task_id": task_id, "status": "failed", "error_message": "任务已取消"}


def test_a_receiver_that_fails_is_told_again(server: ThreadServer, client: httpx.Client) -> None:
    server.services.webhooks._pause = lambda _attempt: 0.0
    with Receiver(500, 503, 200).running() as receiver:
        task_id = begin(client, callback_url=receiver.url)
        told = [receiver.next() for _ in range(3)]
    assert {each.body["task_id"] for each in told} == {task_id}
    assert len({each.headers["webhook-id"] for each in told}) == 1


def test_no_callback_without_an_address(server: ThreadServer, client: httpx.Client) -> None:
    results: list[str] = []
    server.services.webhooks.on_result = results.append
    with Receiver(200).running() as receiver:
        ended(client, begin(client, callback_url=""))
        begin(client, callback_url=receiver.url)
        receiver.next()
        assert receiver.got.empty()


def test_an_address_inside_the_operators_network_is_not_called(tmp_path: Path) -> None:
    with (
        thread_server(tmp_path / "data", listen=PROFILE) as server,
        server.client() as client,
        Receiver(200).running() as receiver,
    ):
        results: list[str] = []
        server.services.webhooks.on_result = results.append
        begin(client, callback_url=receiver.url)
        until(lambda: bool(results), "an attempt")
        assert results == ["failed"]
        assert receiver.got.empty()


def test_a_webhook_of_our_own_api_keeps_its_own_form(client: httpx.Client) -> None:
    with Receiver(200).running() as receiver:
        labels = {"dialect": "sd_api"}  # whatever it calls itself
        body = {"task": "test_pattern", "params": {"steps": 0}, "webhook": {"url": receiver.url}, "labels": labels}
        client.post("/v1/jobs", json=body).raise_for_status()
        assert receiver.next().body["type"] == "job.succeeded"


@pytest.mark.parametrize("path", ["/health", "/api/health"])
def test_the_server_answers_while_pictures_are_made(tmp_path: Path, path: str) -> None:
    """The original answers nobody until its picture is done."""
    with (
        thread_server(tmp_path / "data", listen=PROFILE, fake_step_s=0.05) as server,
        server.client() as client,
    ):
        task_id = begin(client, num_inference_steps=100)
        started_at = time.monotonic()
        assert client.get(path).is_success
        assert time.monotonic() - started_at < 2
        assert shown(client, task_id)["status"] in {"pending", "processing"}
        client.delete(f"/v1/jobs/{task_id}").raise_for_status()
