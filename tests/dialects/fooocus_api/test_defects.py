"""The defects of the original, each of which ours has not."""

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.dialects.fooocus_api.callers import STOP, TEXT, asked, begin, queried
from tests.dialects.jobs import ended, failing, until, warnings_of
from tests.dialects.pictures import b64, png
from tests.servers import DEADLINE_S, ThreadServer
from tests.servers import until as reached


def succeeds(client: httpx.Client, **fields: object) -> str:
    """The id of a job that was waited for and made its picture."""
    answer = client.post(TEXT, json=asked(**fields))
    assert [item["finish_reason"] for item in answer.json()] == ["SUCCESS"]
    return answer.headers["X-Job-Id"]


@pytest.mark.parametrize("scheme", ["a111", "a1111", "fooocus", "none such"])
def test_a_metadata_scheme_of_whatever_name_ends_no_worker(client: httpx.Client, scheme: str) -> None:
    job_id = succeeds(client, meta_scheme=scheme)
    named = any("meta_scheme" in told for told in warnings_of(client, job_id))
    assert named is (scheme == "none such")
    succeeds(client)


def test_a_failed_job_ends_no_worker(client: httpx.Client) -> None:
    with failing():
        for _ in range(3):
            assert client.post(TEXT, json=asked()).json() == []
    succeeds(client)


@pytest.mark.parametrize("field", ["debugging_cn_preprocessor", "debugging_inpaint_preprocessor"])
def test_debugging_a_preprocessor_ends_like_any_job_and_says_that_it_does_nothing(
    client: httpx.Client, field: str
) -> None:
    job_id = succeeds(client, advanced_params={field: True})
    assert any(told.startswith(f"debugging_unused: {field}") for told in warnings_of(client, job_id))


def test_a_stop_while_nothing_runs_is_forgotten(client: httpx.Client) -> None:
    for _ in range(2):
        assert client.post(STOP).json() == {"msg": "success"}
    succeeds(client)


def test_a_stop_can_name_its_job(slow_server: ThreadServer, slow_client: httpx.Client) -> None:
    first, second = begin(slow_client, image_number=3), begin(slow_client)
    until(slow_client, first, "job.started")
    slow_client.post(STOP, params={"job_id": second}).raise_for_status()
    assert ended(slow_client, second)["status"] == "cancelled"
    assert ended(slow_client, first)["status"] == "succeeded"


def test_nothing_of_an_ended_job_stays_in_memory(server: ThreadServer, client: httpx.Client) -> None:
    job_id = begin(client, image_number=4)
    ended(client, job_id)
    assert server.services.ledger.get(job_id) is None
    assert not server.services.bus.subscriber_count()


def test_those_who_wait_for_pictures_hold_up_nobody(slow_server: ThreadServer, slow_client: httpx.Client) -> None:
    """45 of them made every route of the original stall."""
    threads = threading.active_count()
    with ThreadPoolExecutor(60) as callers, slow_server.client(limits=httpx.Limits(max_connections=None)) as many:
        waiting = [callers.submit(many.post, TEXT, json=asked(image_number=8)) for _ in range(60)]
        queue = "/v1/generation/job-queue"
        reached(lambda: slow_client.get(queue).json()["running_size"] == 60, "the requests to be accepted")
        assert slow_client.get("/ping", timeout=DEADLINE_S).json() == "pong"
        in_server = threading.active_count() - threads - 60
        assert in_server < 30, "nobody who waits holds a thread of the server"
        for job in slow_client.get("/v1/generation/job-history").json()["queue"]:
            slow_client.post(STOP, params={"job_id": job["job_id"]}).raise_for_status()
        assert all(call.result().status_code == 200 for call in waiting)


def test_a_picture_that_fails_loses_none_before_it(client: httpx.Client) -> None:
    with failing(image=1):
        (kept,) = client.post(TEXT, json=asked(image_number=2)).json()
    assert kept["finish_reason"] == "SUCCESS"


@pytest.mark.parametrize(("factor", "taken"), [(None, 2.0), (5.0, 5.0), (1.5, 1.5)])
def test_a_custom_factor_may_be_missing_or_the_largest(
    client: httpx.Client, factor: float | None, taken: float
) -> None:
    body = asked(input_image=b64(png()), uov_method="Upscale (Custom)", upscale_value=factor)
    answer = client.post("/v2/generation/image-upscale-vary", json=body)
    assert answer.json()[0]["finish_reason"] == "SUCCESS"
    assert ended(client, answer.headers["X-Job-Id"])["params"]["upscale"] == taken


def test_an_accepted_job_always_has_an_id(client: httpx.Client) -> None:
    job_id = begin(client)
    assert job_id
    assert queried(client, job_id)["job_id"] == job_id
