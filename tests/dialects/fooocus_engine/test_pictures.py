"""Pictures that came and pictures that were made, by their addresses; and what no address leads to."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.dialects.fooocus_api.callers import asked as asked_elsewhere
from tests.dialects.fooocus_api.callers import local, mask
from tests.dialects.fooocus_engine.callers import GENERATE, PROFILE, generated, job_id
from tests.dialects.jobs import ended, warnings_of
from tests.dialects.pictures import b64, opened, png
from tests.servers import ThreadServer, thread_server

VARY = {"uov_input_image": b64(png()), "uov_method": "Vary (Subtle)"}


def test_a_picture_that_was_sent_has_an_address_that_nobody_can_guess(client: httpx.Client) -> None:
    first, second = generated(client, **VARY)["req_params"], generated(client, **VARY)["req_params"]
    assert client.get(local(first["uov_input_image"])).content == png()
    assert first["uov_input_image"] != second["uov_input_image"], "whoever has the picture does not know it"


def test_every_picture_that_counts_has_an_address_and_no_other(client: httpx.Client) -> None:
    record = generated(client, inpaint_input_image=b64(png()), inpaint_mask_image_upload=b64(mask()))
    told = record["req_params"]
    assert client.get(local(told["inpaint_input_image"])).content == png()
    assert client.get(local(told["inpaint_mask_image_upload"])).content == mask()
    unused = generated(client, uov_input_image=b64(png()))
    assert unused["req_params"]["uov_input_image"] == ""
    assert any(told.startswith("picture_unused: uov") for told in warnings_of(client, job_id(unused["task_id"])))


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [("*/*", "image/png"), ("image/jpeg", "image/jpeg"), ("image/jpg", "image/jpeg"), ("image/webp", "image/webp")],
)
def test_pictures_come_in_the_format_that_is_accepted(client: httpx.Client, accept: str, media_type: str) -> None:
    photo = {**VARY, "uov_input_image": b64(png(file_format="JPEG"))}
    record = generated(client, **photo)
    for url in (record["req_params"]["uov_input_image"], record["result"][0]):
        answer = client.get(local(url), headers={"Accept": accept})
        assert answer.headers["content-type"] == media_type
        assert opened(answer.content).get_format_mimetype() == media_type


def test_no_other_name_leads_to_a_picture(server: ThreadServer, client: httpx.Client) -> None:
    url = local(generated(client, **VARY)["req_params"]["uov_input_image"])
    name = url.rsplit("/", 1)[1]
    for other in (name[:-5] + ("0" if name[-5] != "0" else "1") + ".png", name.upper(), "x.png", "0" * 64 + ".png"):
        answer = client.get(f"/inputs/{other}", headers={"Accept": "image/jpg"})
        assert (answer.status_code, answer.content) == (404, b"")
    for path in ("/inputs/..%2f..%2fsafelight.sqlite3", "/outputs/..%2f/x.png", "/outputs/2020-01-01/x.png"):
        assert client.get(path).status_code == 404


def test_pictures_of_jobs_that_did_not_come_this_way_have_no_address_here(tmp_path: Path) -> None:
    with thread_server(tmp_path / "data") as server, server.client() as client:
        made = client.post("/v1/generation/text-to-image", json=asked_elsewhere()).json()[0]
        path = local(made["url"])
        assert client.get(path).status_code == 200
        assert client.get(path.replace("/files/", "/outputs/")).status_code == 404
        job = client.post("/v1/jobs", json={"task": "upscale", "params": {"image": b64(png()), "factor": 2.0}}).json()[
            "id"
        ]
        assert ended(client, job)["status"] == "succeeded"
        digest = hashlib.sha256(png()).hexdigest()
        assert client.get(f"/inputs/{job.replace('-', '')}{digest[:32]}.png").status_code == 404


@pytest.mark.parametrize("name", ["../../../etc/x", "..\\x", "/abs/x", "a/b/x"])
def test_a_save_name_stays_in_its_folder(client: httpx.Client, name: str) -> None:
    (url,) = generated(client, save_name=name)["result"]
    assert local(url).endswith("/x-0.png")
    assert local(url).count("/") == 3
    assert client.get(local(url)).status_code == 200


def test_a_save_name_that_is_used_again_is_that_of_the_newest_and_loses_nothing(client: httpx.Client) -> None:
    first = generated(client, save_name="again", image_seed=1)
    second = generated(client, save_name="again", image_seed=2)
    assert first["result"] == second["result"]
    jobs = [ended(client, job_id(each["task_id"])) for each in (first, second)]
    newest = client.get(local(second["result"][0])).content
    outputs = [client.get(each["outputs"][0]["url"]).content for each in jobs]
    assert newest == outputs[1]
    assert outputs[0] != outputs[1]


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[httpx.Client]:
    with (
        thread_server(tmp_path / "data", listen=PROFILE, api={"keys": ["k"]}) as server,
        server.client() as client,
    ):
        yield client


def test_pictures_and_documents_need_no_key_and_all_else_does(keyed: httpx.Client) -> None:
    record = keyed.post(GENERATE, json=VARY, headers={"X-API-KEY": "k"}).json()
    for url in (record["result"][0], record["req_params"]["uov_input_image"]):
        assert keyed.get(local(url)).status_code == 200
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert keyed.get(path).status_code == 200
    for method, path in (
        ("POST", "/v1/engine/generate"),
        ("POST", "/v1/engine/control?action=stop"),
        ("GET", "/tasks"),
        ("GET", f"/tasks/{record['task_id']}"),
        ("GET", "/v1/engines/all-models"),
        ("GET", "/v1/engines/styles"),
        ("POST", "/v1/tools/describe-image"),
        ("POST", "/v1/tools/generate_mask"),
    ):
        answer = keyed.request(method, path)
        assert (answer.status_code, answer.json()) == (403, {"detail": "Forbidden"})


def test_addresses_begin_as_the_client_calls_us_or_as_the_setting_says(tmp_path: Path, client: httpx.Client) -> None:
    url = generated(client)["result"][0]
    assert url.startswith(str(client.base_url).rstrip("/") + "/outputs/")
    named = {"listen": PROFILE, "fooocus_base_url": "https://pictures.example/f/"}
    with thread_server(tmp_path / "data", **named) as server, server.client() as other:
        assert generated(other)["result"][0].startswith("https://pictures.example/f/outputs/")
