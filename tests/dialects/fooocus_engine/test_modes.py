"""Which of the four ways an answer comes in, and what a picture alone is."""

import http.client
import json

import httpx
import pytest

from tests.dialects.fooocus_api.callers import local
from tests.dialects.fooocus_engine.callers import GENERATE, asked, job_id, task
from tests.dialects.jobs import ended
from tests.dialects.pictures import opened
from tests.servers import ThreadServer, until


@pytest.mark.parametrize(
    ("accept", "fields", "media_type"),
    [
        ("image/png", {"stream_output": True, "async_process": True}, "image/png"),
        ("IMAGE/PNG", {}, "image/png"),
        ("image/*", {"output_format": "webp"}, "image/png"),
        ("image/jpg", {}, "image/jpeg"),
        ("image/jpeg;q=0.9", {}, "image/jpeg"),
        ("image/webp", {"output_format": "png"}, "image/webp"),
        ("*/*", {"stream_output": True, "async_process": True}, "text/event-stream; charset=utf-8"),
        ("application/json, text/plain, */*", {}, "application/json"),
        ("image/png, image/jpeg", {}, "application/json"),
        ("text/event-stream", {}, "application/json"),
    ],
)
def test_a_picture_counts_before_a_stream_and_that_before_a_task_to_ask_for(
    client: httpx.Client, accept: str, fields: dict[str, object], media_type: str
) -> None:
    answer = client.post(GENERATE, json=asked(**fields), headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    if media_type.startswith("image/"):
        assert opened(answer.content).get_format_mimetype() == media_type


def test_a_task_to_ask_for_is_answered_at_once_and_another_when_it_has_ended(slow_client: httpx.Client) -> None:
    later = slow_client.post(GENERATE, json=asked(async_process=True)).json()
    assert (later["task_status"], later["result"]) == ("pending", [])
    now = slow_client.post(GENERATE, json=asked()).json()
    assert (now["task_status"], len(now["result"])) == ("finished", 1)
    assert now["finish_mills"] >= now["start_mills"] >= now["in_queue_mills"]
    assert task(slow_client, now["task_id"]) == now


def test_a_request_without_an_accept_header_is_answered(server: ThreadServer) -> None:
    """The original answered 500."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    try:
        body = json.dumps(asked())
        connection.putrequest("POST", GENERATE, skip_accept_encoding=True)
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body.encode())
        answer = connection.getresponse()
        assert answer.status == 200
        assert json.loads(answer.read())["task_status"] == "finished"
    finally:
        connection.close()


def test_a_picture_alone_is_the_only_one_and_the_file_that_is_kept(client: httpx.Client) -> None:
    """The original made it anew, and lost what it was made with."""
    answer = client.post(GENERATE, json=asked(image_number=3), headers={"Accept": "image/jpeg"})
    told = task(client, answer.headers["X-Job-Id"])
    (url,) = told["result"]
    assert url.endswith(".jpeg")
    assert client.get(local(url)).content == answer.content
    assert (told["req_params"]["image_number"], told["req_params"]["output_format"]) == (1, "jpeg")
    assert ended(client, answer.headers["X-Job-Id"])["params"]["metadata"] == "fooocus"


def test_a_kind_of_picture_that_is_not_made_here_is_refused_before_there_is_a_task(client: httpx.Client) -> None:
    answer = client.post(GENERATE, json=asked(), headers={"Accept": "image/gif"})
    assert answer.status_code == 406
    assert "image/png, image/jpeg or image/webp" in answer.json()["detail"]
    assert "X-Job-Id" not in answer.headers


def test_a_client_that_hangs_up_while_it_waits_frees_its_task(slow_server: ThreadServer) -> None:
    with slow_server.client() as client:
        connection = http.client.HTTPConnection("127.0.0.1", slow_server.port)
        connection.request("POST", GENERATE, json.dumps(asked(image_number=8)), {"Content-Type": "application/json"})
        current = _running(client)
        connection.close()
        assert ended(client, job_id(current))["status"] == "cancelled"
        assert task(client, current)["task_status"] == "stop"


def _running(client: httpx.Client) -> str:
    found: list[str] = []

    def is_there() -> bool:
        found.extend(each["task_id"] for each in client.get("/tasks", params={"query": "current"}).json()["current"])
        return bool(found)

    until(is_there, "the task to run")
    return found[0]
