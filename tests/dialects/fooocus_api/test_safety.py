"""What clients get wrong, or should not get away with: a clear answer in the dialect's words, and the next works."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.dialects.fooocus_api.callers import TEXT, asked, local, mask
from tests.dialects.fooocus_api.conftest import PROFILE
from tests.dialects.pictures import b64, opened, png
from tests.servers import ThreadServer, thread_server

UPSCALE = "/v2/generation/image-upscale-vary"
INPAINT = "/v2/generation/image-inpaint-outpaint"
WITH_IP = "/v2/generation/text-to-image-with-ip"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    """A server as it is by default: it fetches nothing from this machine."""
    folder = tmp_path_factory.mktemp("strict")
    with thread_server(folder / "data", listen=PROFILE) as running:
        yield running


@pytest.fixture
def pictures() -> Iterator[str]:
    """The address of a picture on this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = png()
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Not to the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/picture.png"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    "given", ["not base64!", "data:image/png,abc", "data:image/png;base64,%%%", b64(b"no picture"), "="]
)
def test_a_picture_that_is_none_is_refused_with_a_reason(client: httpx.Client, given: str) -> None:
    for path, body in ((UPSCALE, {"input_image": given}), (WITH_IP, {"image_prompts": [{"cn_img": given}]})):
        answer = client.post(path, json=asked(**body))
        if path == WITH_IP and given == b64(b"no picture"):
            continue  # left out: the fake engine has no model that would look at it
        assert answer.status_code == 400, answer.text
        assert isinstance(answer.json()["detail"], str)
    assert client.post(TEXT, json=asked()).json()[0]["finish_reason"] == "SUCCESS"


@pytest.mark.parametrize("given", ["", "None", "none", "null", "NULL", "string"])
def test_words_for_no_picture_are_none(client: httpx.Client, given: str) -> None:
    answer = client.post(
        "/v2/generation/image-prompt", json=asked(input_image=given, input_mask=given, image_prompts=[])
    )
    assert answer.json()[0]["finish_reason"] == "SUCCESS"
    refused = client.post(UPSCALE, json=asked(input_image=given))
    assert (refused.status_code, refused.json()["detail"]) == (400, "input_image: expected a picture, got none")


def test_a_picture_comes_as_base64_as_a_data_url_or_by_address(tmp_path: Path, pictures: str) -> None:
    port = int(pictures.split(":")[2].split("/")[0])
    given = [b64(png()), f"data:image/png;base64,{b64(png())}", pictures]
    with (
        thread_server(tmp_path / "data", listen=PROFILE, allow_private_urls=True, fetch_ports=str(port)) as server,
        server.client() as client,
    ):
        for each in given:
            answer = client.post(INPAINT, json=asked(input_image=each, outpaint_selections=["Left"]))
            (made,) = answer.json()
            assert opened(client.get(local(made["url"])).content).size == (64 + 19, 48)


def test_addresses_inside_the_operators_network_are_not_fetched(strict: ThreadServer, pictures: str) -> None:
    with strict.client() as client:
        for url in (
            pictures,
            "http://169.254.169.254/latest",
            "http://localhost/x.png",
            "http://no-such-host.invalid/",
        ):
            answer = client.post(UPSCALE, json=asked(input_image=url))
            assert answer.status_code == 400
            assert answer.json()["detail"].startswith("input_image: could not be fetched")
        assert client.post(TEXT, json=asked()).json()[0]["finish_reason"] == "SUCCESS"


def test_a_mask_of_another_size_is_brought_to_that_of_the_picture(client: httpx.Client) -> None:
    answer = client.post(INPAINT, json=asked(input_image=b64(png()), input_mask=b64(mask(32, 24))))
    assert answer.json()[0]["finish_reason"] == "SUCCESS"


@pytest.mark.parametrize(
    ("fields", "place", "kind"),
    [
        ({"image_number": 0}, ["body", "image_number"], "greater_than_equal"),
        ({"sharpness": 31}, ["body", "sharpness"], "less_than_equal"),
        ({"guidance_scale": "much"}, ["body", "guidance_scale"], "float_parsing"),
        ({"prompt": 5}, ["body", "prompt"], "string_type"),
        ({"performance_selection": "Fast"}, ["body", "performance_selection"], "enum"),
        ({"loras": [{"weight": 1}]}, ["body", "loras", 0, "model_name"], "missing"),
        ({"loras": [{"model_name": "x", "weight": 3}]}, ["body", "loras", 0, "weight"], "less_than_equal"),
        (
            {"advanced_params": {"overwrite_step": 201}},
            ["body", "advanced_params", "overwrite_step"],
            "less_than_equal",
        ),
        ({"save_extension": "gif"}, ["body", "save_extension"], "enum"),
        ({"aspect_ratios_selection": "huge"}, ["body", "aspect_ratios_selection"], "value_error"),
        ({"aspect_ratios_selection": "99999*99999"}, ["body", "aspect_ratios_selection"], "value_error"),
    ],
)
def test_mistakes_are_told_of_with_their_place_and_the_body(
    client: httpx.Client, fields: dict[str, Any], place: list[Any], kind: str
) -> None:
    answer = client.post(TEXT, json=fields)
    assert answer.status_code == 422
    (mistake,) = answer.json()["detail"]
    assert (mistake["loc"], mistake["type"]) == (place, kind)
    assert answer.json()["body"] == fields


def test_long_texts_of_a_body_with_a_mistake_come_back_cut_short(client: httpx.Client) -> None:
    answer = client.post(UPSCALE, json={"input_image": "A" * 100_000, "image_number": 0})
    assert answer.json()["body"]["input_image"] == "A" * 200 + "..."
    assert len(answer.content) < 2000


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b"5", b"{bad", b'{"image_number": 1e999}', b"\xff\xfe"])
def test_a_body_that_is_no_request_is_a_422(client: httpx.Client, content: bytes) -> None:
    answer = client.post(TEXT, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert set(answer.json()) == {"detail", "body"}


def test_loras_need_not_say_that_they_are_enabled_and_names_nobody_knows_are_passed_over(client: httpx.Client) -> None:
    body = asked(loras=[{"model_name": "None", "weight": 1}], something_else={"a": 1})
    assert client.post(TEXT, json=body).json()[0]["finish_reason"] == "SUCCESS"


@pytest.mark.parametrize("name", ["../../../outside", "..\\..\\outside", "/etc/outside", "a/b/outside"])
def test_a_save_name_stays_in_its_folder(server: ThreadServer, client: httpx.Client, name: str) -> None:
    (made,) = client.post(TEXT, json=asked(save_name=name)).json()
    assert local(made["url"]).endswith("/outside-0.png")
    assert opened(client.get(local(made["url"])).content).size == (128, 96)


@pytest.mark.parametrize(
    "path",
    [
        "/files/2026-11-21/01a1fe78-4e4e-7000-89a4-31d312e0c6da-0.png",
        "/files/2026-11-21/..%2f..%2fsafelight.db",
        "/files/..%2f..%2fsafelight.db/x-0.png",
        "/files/2026-11-21/x-999999.png",
        "/files/2026-11-21/x.txt",
    ],
)
def test_files_that_are_not_there_are_not_found(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_files_are_served_in_the_format_that_is_accepted_and_under_their_own_name_only(client: httpx.Client) -> None:
    (made,) = client.post(TEXT, json=asked(save_extension="webp")).json()
    path = local(made["url"])
    formats = {"image/png": "PNG", "image/jpeg": "JPEG", "image/jpg": "JPEG", "image/webp": "WEBP", "*/*": "WEBP"}
    for accept, expected in formats.items():
        assert opened(client.get(path, headers={"Accept": accept}).content).format == expected
    for other in (path.replace(".webp", ".png"), path.replace("-0.", "-1.")):
        assert client.get(other).status_code == 404


def test_the_pictures_of_our_own_api_are_not_open(client: httpx.Client) -> None:
    job = client.post("/v1/jobs", json={"task": "test_pattern", "params": {}}, headers={"Prefer": "wait=10"}).json()
    assert client.get(f"/files/2026-11-21/{job['id']}-0.png").status_code == 404


@pytest.mark.parametrize("origin", ["https://page.example", "null"])
def test_pages_of_every_origin_may_call_the_dialect_and_not_our_own_api(client: httpx.Client, origin: str) -> None:
    headers = {"Origin": origin}
    assert client.get("/ping", headers=headers).headers["access-control-allow-origin"] in {"*", origin}
    assert client.get("/v1/generation/job-queue", headers=headers).status_code == 200
    assert client.get("/v1/jobs", headers=headers).status_code == 403
