"""How an answer comes: as a list, as a job, as a picture; in the words of both versions; and what comes of failures."""

import base64
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.dialects.fooocus_api.callers import HISTORY, STOP, TEXT, asked, begin, local, queried
from tests.dialects.fooocus_api.conftest import PROFILE
from tests.dialects.jobs import REASON, ended, failing, until
from tests.dialects.pictures import opened
from tests.servers import DEADLINE_S, ThreadServer, thread_server
from tests.servers import until as reached

PNG = {"Accept": "image/png"}


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    """A server that answers as version 0.4."""
    folder = tmp_path_factory.mktemp("older")
    with thread_server(folder / "data", listen=PROFILE, fooocus_api_version="0.4", fake_step_s=0.05) as running:
        yield running


@pytest.fixture
def older_client(older: ThreadServer) -> Iterator[httpx.Client]:
    with older.client() as client:
        yield client


def waiting(client: httpx.Client, **fields: Any) -> tuple[threading.Thread, list[httpx.Response]]:
    """A caller that waits for its answer on a thread, and where the answer will be."""
    answers: list[httpx.Response] = []
    headers = fields.pop("headers", {})
    body = asked(image_number=8, **fields)
    thread = threading.Thread(target=lambda: answers.append(client.post(TEXT, json=body, headers=headers)))
    thread.start()
    return thread, answers


def stopped(server: ThreadServer, client: httpx.Client, **fields: Any) -> httpx.Response:
    """The answer to one who waits for eight pictures, and is stopped after the first."""
    with server.client() as other:
        before = _ids(other)
        thread, answers = waiting(client, **fields)
        reached(lambda: len(_ids(other) - before) == 1, "the job to be accepted")
        (job_id,) = _ids(other) - before
        until(other, job_id, "output.ready")
        other.post(STOP, params={"job_id": job_id}).raise_for_status()
        thread.join(3 * DEADLINE_S)
    return answers[0]


def _ids(client: httpx.Client) -> set[str]:
    told = client.get(HISTORY).json()
    return {job["job_id"] for job in (*told["history"], *told["queue"])}


def test_a_request_waits_for_its_pictures_and_names_its_job(client: httpx.Client) -> None:
    answer = client.post(TEXT, json=asked(image_number=2))
    made = answer.json()
    assert [item["seed"] for item in made] == ["5", "6"]
    assert {item["finish_reason"] for item in made} == {"SUCCESS"}
    assert queried(client, answer.headers["X-Job-Id"])["job_result"] == made
    assert opened(client.get(local(made[1]["url"])).content).size == (128, 96)


def test_a_job_is_accepted_at_once_and_asked_for_later(client: httpx.Client) -> None:
    accepted = client.post(TEXT, json=asked(async_process=True)).json()
    assert (accepted["job_stage"], accepted["job_progress"], accepted["job_result"]) == ("WAITING", 0, None)
    ended(client, accepted["job_id"])
    done = queried(client, accepted["job_id"])
    assert (done["job_stage"], done["job_progress"], done["job_status"]) == ("SUCCESS", 100, "Finished")
    assert done["job_result"][0]["seed"] == "5"
    assert done["job_step_preview"] is None, "only if asked for"


@pytest.mark.parametrize("way", [{"headers": PNG}, {"params": {"accept": "image/png"}}])
def test_a_picture_is_answered_to_who_accepts_png_and_nothing_else(client: httpx.Client, way: dict[str, Any]) -> None:
    answer = client.post(TEXT, json=asked(image_number=3, save_extension="jpg", async_process=True), **way)
    assert answer.headers["content-type"] == "image/png"
    assert opened(answer.content).format == "PNG"
    job = client.get(f"/v1/jobs/{answer.headers['X-Job-Id']}").json()
    assert len(job["outputs"]) == 1, "one picture, whatever image_number says"


@pytest.mark.parametrize("accept", ["image/jpeg", "image/*", "image/png, */*", "*/*", "application/json"])
def test_every_other_accept_gets_json(client: httpx.Client, accept: str) -> None:
    answer = client.post(TEXT, json=asked(), headers={"Accept": accept})
    assert answer.json()[0]["finish_reason"] == "SUCCESS"


def test_the_query_goes_before_the_header(client: httpx.Client) -> None:
    answer = client.post(TEXT, json=asked(), headers=PNG, params={"accept": "application/json"})
    assert answer.json()[0]["finish_reason"] == "SUCCESS"


@pytest.mark.parametrize(
    ("extension", "media_type"),
    [("png", "image/png"), ("jpg", "image/jpeg"), ("jpeg", "image/jpeg"), ("webp", "image/webp")],
)
def test_base64_is_a_data_url_of_the_saved_file_and_in_the_older_version_a_bare_png(
    client: httpx.Client, older_client: httpx.Client, extension: str, media_type: str
) -> None:
    body = asked(require_base64=True, save_extension=extension)
    (newer,) = client.post(TEXT, json=body).json()
    head, _, content = newer["base64"].partition(",")
    assert head == f"data:{media_type};base64"
    assert newer["url"].endswith(f"-0.{extension}")
    assert base64.b64decode(content) == client.get(local(newer["url"])).content
    (bare,) = older_client.post(TEXT, json=body).json()
    assert opened(base64.b64decode(bare["base64"])).format == "PNG"


def test_one_who_is_stopped_gets_the_pictures_so_far(slow_server: ThreadServer, slow_client: httpx.Client) -> None:
    answer = stopped(slow_server, slow_client)
    assert answer.status_code == 200
    made = answer.json()
    assert 1 <= len(made) < 8
    job = queried(slow_client, answer.headers["X-Job-Id"])
    assert (job["job_stage"], job["job_result"]) == ("SUCCESS", made)


def test_a_stop_in_the_older_version_says_so(older: ThreadServer, older_client: httpx.Client) -> None:
    answer = stopped(older, older_client)
    assert answer.json()[-1] == {"base64": None, "url": None, "seed": "", "finish_reason": "USER_CANCEL"}
    job = queried(older_client, answer.headers["X-Job-Id"])
    assert (job["job_stage"], job["job_result"]) == ("ERROR", None)


def test_a_failure_is_an_empty_list_and_the_job_says_why(client: httpx.Client) -> None:
    with failing():
        answer = client.post(TEXT, json=asked())
    assert (answer.status_code, answer.json()) == (200, [])
    job = queried(client, answer.headers["X-Job-Id"])
    assert (job["job_stage"], job["job_status"], job["job_result"]) == ("ERROR", REASON, None)


def test_a_failure_in_the_older_version_is_an_item(older_client: httpx.Client) -> None:
    with failing():
        answer = older_client.post(TEXT, json=asked())
        picture = older_client.post(TEXT, json=asked(), headers=PNG)
    assert answer.json() == [{"base64": None, "url": None, "seed": "", "finish_reason": "ERROR"}]
    assert (picture.status_code, picture.text) == (500, "ERROR")
    job = queried(older_client, answer.headers["X-Job-Id"])
    assert (job["job_stage"], job["job_result"]) == ("ERROR", None)


def test_pictures_that_were_made_before_a_failure_are_kept(client: httpx.Client) -> None:
    with failing(image=1):
        answer = client.post(TEXT, json=asked(image_number=3))
    (kept,) = answer.json()
    assert (kept["seed"], kept["finish_reason"]) == ("5", "SUCCESS")
    assert client.get(local(kept["url"])).status_code == 200
    job = queried(client, answer.headers["X-Job-Id"])
    assert (job["job_stage"], job["job_result"]) == ("ERROR", [kept])


def test_a_job_of_the_older_version_prepares_up_to_thirteen(older: ThreadServer, older_client: httpx.Client) -> None:
    job_id = begin(older_client, image_number=4)
    until(older_client, job_id, "job.started")
    job = queried(older_client, job_id)
    assert job["job_progress"] == 13 or job["job_status"].startswith(("Step", "Loading"))
    older_client.post(STOP, params={"job_id": job_id}).raise_for_status()


def test_long_answers_are_compressed_for_who_can_read_that(client: httpx.Client) -> None:
    body = asked(require_base64=True, aspect_ratios_selection="512*512", prompt="noise")
    compressed = client.post(TEXT, json=body, headers={"Accept-Encoding": "gzip"})
    assert compressed.headers["content-encoding"] == "gzip"
    plain = client.post(TEXT, json=body, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert len(plain.content) >= 1000
    assert compressed.json()[0]["base64"] == plain.json()[0]["base64"]
    short = client.get("/ping", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in short.headers


def test_urls_begin_as_the_client_calls_us_or_as_the_setting_says(client: httpx.Client, tmp_path: Path) -> None:
    (made,) = client.post(TEXT, json=asked(), headers={"Host": "localhost:1234"}).json()
    assert made["url"].startswith("http://localhost:1234/files/")
    with (
        thread_server(tmp_path / "data", listen=PROFILE, fooocus_base_url="https://pictures.example/api/") as server,
        server.client() as other,
    ):
        (made,) = other.post(TEXT, json=asked()).json()
    assert made["url"].startswith("https://pictures.example/api/files/")


def test_previews_are_not_made_where_they_are_not_wanted(client: httpx.Client) -> None:
    job_id = begin(client, advanced_params={"disable_preview": True})
    assert ended(client, job_id)["previews"] == "none"
    assert ended(client, begin(client))["previews"] == "latest"
