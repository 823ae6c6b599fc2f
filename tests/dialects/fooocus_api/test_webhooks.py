"""Webhooks to a real receiver on this machine."""

from pathlib import Path

import httpx
import pytest

from service import webhooks
from tests.dialects.fooocus_api.callers import TEXT, asked, begin
from tests.dialects.fooocus_api.conftest import PROFILE
from tests.dialects.jobs import ended
from tests.dialects.receivers import Receiver
from tests.servers import thread_server


def test_a_receiver_is_told_of_every_picture_also_of_a_request_that_waited(client: httpx.Client) -> None:
    with Receiver(200).running() as receiver:
        answer = client.post(TEXT, json=asked(image_number=2, webhook_url=receiver.url))
        delivery = receiver.next()
    job_id = answer.headers["X-Job-Id"]
    made = [{"url": item["url"], "seed": item["seed"]} for item in answer.json()]
    assert delivery.body == {"job_id": job_id, "job_result": made}
    assert delivery.headers["content-type"] == "application/json"


def test_a_receiver_that_fails_is_told_again(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "_FIRST_PAUSE_S", 0.01)
    with Receiver(500, 503, 200).running() as receiver:
        job_id = begin(client, webhook_url=receiver.url)
        told = [receiver.next().body["job_id"] for _ in range(3)]
    assert told == [job_id] * 3


def test_jobs_that_name_no_receiver_are_told_to_that_of_the_server(tmp_path: Path) -> None:
    with (
        Receiver(200).running() as usual,
        Receiver(200).running() as other,
        thread_server(
            tmp_path / "data", listen=PROFILE, allow_private_urls=True, fooocus_webhook_url=usual.url
        ) as server,
        server.client() as client,
    ):
        for url in ("", None):
            job_id = begin(client, webhook_url=url)
            assert usual.next().body["job_id"] == job_id
        job_id = begin(client, webhook_url=other.url)
        assert other.next().body["job_id"] == job_id
        ended(client, job_id)
        assert usual.got.empty()


def test_a_webhook_url_that_is_none_is_refused_before_there_is_a_job(client: httpx.Client) -> None:
    answer = client.post(TEXT, json=asked(webhook_url="not an address"))
    assert answer.status_code == 400
    assert "url" in answer.json()["detail"]
