"""Webhooks to a real receiver on this machine."""

import json
from pathlib import Path

import httpx
import pytest

from service import webhooks
from tests.dialects.fooocus_engine.callers import PROFILE, begin, generated, task
from tests.dialects.jobs import failing
from tests.dialects.receivers import Receiver
from tests.servers import thread_server


def test_a_receiver_is_told_the_record_of_a_task_also_of_one_that_was_waited_for(client: httpx.Client) -> None:
    with Receiver(200).running() as receiver:
        record = generated(client, webhook_url=receiver.url)
        delivery = receiver.next()
    assert delivery.body == record
    assert delivery.headers["content-type"] == "application/json"
    assert record["webhook_url"] == receiver.url


def test_the_record_is_json_within_json_where_its_receivers_want_it_so(tmp_path: Path) -> None:
    settings = {"listen": PROFILE, "allow_private_urls": True, "fooocus_engine_double_webhook": True}
    with (
        Receiver(200).running() as receiver,
        thread_server(tmp_path / "data", **settings) as server,
        server.client() as client,
    ):
        record = generated(client, webhook_url=receiver.url)
        body = receiver.next().body
    assert isinstance(body, str)
    assert json.loads(body) == record


def test_a_failure_is_told_with_its_reason(client: httpx.Client) -> None:
    with Receiver(200).running() as receiver, failing():
        record = generated(client, webhook_url=receiver.url)
        body = receiver.next().body
    assert (body["task_status"], body["result"], body["error"]) == ("failed", [], record["error"])


def test_a_receiver_that_fails_is_told_again(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The original tried once, and held up everybody meanwhile."""
    monkeypatch.setattr(webhooks, "_FIRST_PAUSE_S", 0.01)
    with Receiver(500, 503, 200).running() as receiver:
        task_id = begin(client, webhook_url=receiver.url)
        told = [receiver.next().body["task_id"] for _ in range(3)]
    assert told == [task_id] * 3


def test_tasks_that_name_no_receiver_are_told_to_that_of_the_server(tmp_path: Path) -> None:
    with Receiver(200).running() as usual, Receiver(200).running() as other:
        settings = {"listen": PROFILE, "allow_private_urls": True, "fooocus_webhook_url": usual.url}
        with thread_server(tmp_path / "data", **settings) as server, server.client() as client:
            for url in ("", None):
                task_id = begin(client, webhook_url=url)
                body = usual.next().body
                assert (body["task_id"], body["webhook_url"]) == (task_id, usual.url)
                assert task(client, task_id) == body
            task_id = begin(client, webhook_url=other.url)
            body = other.next().body
            assert (body["task_id"], body["webhook_url"]) == (task_id, other.url)
            assert usual.got.empty()
