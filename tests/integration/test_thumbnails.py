"""Outputs made small: in the form the client accepts, the same for ever, and gone with their job."""

import io
from collections.abc import Iterator

import httpx
import pytest
from PIL import Image

from tests.integration.viewers import finished, submit
from tests.servers import ThreadServer, thread_server

pytestmark = pytest.mark.usefixtures("quiet_log")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    with thread_server(tmp_path_factory.mktemp("thumbnails") / "data") as running:
        yield running


@pytest.fixture
def url(http: httpx.Client) -> str:
    """An output of 400 x 300."""
    job = finished(http, submit(http, params={"steps": 0, "width": 400, "height": 300})["id"])
    made: str = job["outputs"][0]["url"]
    return made


def opened(answer: httpx.Response) -> Image.Image:
    image = Image.open(io.BytesIO(answer.content))
    image.load()
    return image


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", "image/webp"),
        ("*/*", "image/webp"),
        ("image/jpeg", "image/jpeg"),
        ("image/png", "image/png"),
        ("image/webp;q=0, image/png;q=0.2, image/jpeg;q=0.4", "image/jpeg"),
    ],
)
def test_small_picture_comes_in_a_form_the_client_accepts(
    http: httpx.Client, url: str, accept: str, media_type: str
) -> None:
    answer = http.get(url, params={"max_side_px": 100}, headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    assert "Accept" in answer.headers["vary"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    image = opened(answer)
    assert (Image.MIME[str(image.format)], image.size) == (media_type, (100, 75))


def test_each_size_and_form_has_a_tag_of_its_own_and_is_not_sent_twice(http: httpx.Client, url: str) -> None:
    tags = {http.get(url).headers["etag"]}
    for side in (64, 128):
        for accept in ("image/webp", "image/png"):
            headers = {"Accept": accept}
            first = http.get(url, params={"max_side_px": side}, headers=headers)
            assert "immutable" in first.headers["cache-control"]
            tags.add(first.headers["etag"])
            known = headers | {"If-None-Match": first.headers["etag"]}
            again = http.get(url, params={"max_side_px": side}, headers=known)
            assert (again.status_code, again.content) == (304, b"")
    assert len(tags) == 5


@pytest.mark.parametrize("side", ["15", "2049", "-1", "x", "", "1e2"])
def test_other_sizes_are_refused(http: httpx.Client, url: str, side: str) -> None:
    answer = http.get(url, params={"max_side_px": side})
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (
        422,
        "invalid_params",
        "$.max_side_px",
    )


def test_form_nobody_can_make_is_refused(http: httpx.Client, url: str) -> None:
    answer = http.get(url, params={"max_side_px": 64}, headers={"Accept": "image/avif"})
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")


def test_what_is_no_picture_has_no_small_one(http: httpx.Client) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (32, 32)).save(picture, "PNG")
    upload = http.post("/v1/uploads", content=picture.getvalue()).json()["ref"]
    job = finished(http, submit(http, "describe", params={"image": upload})["id"])
    assert job["outputs"][0]["media_type"] == "application/json"
    answer = http.get(job["outputs"][0]["url"], params={"max_side_px": 64})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_params")


def test_it_is_gone_with_its_job(server: ThreadServer, http: httpx.Client, url: str) -> None:
    assert http.get(url, params={"max_side_px": 64}).status_code == 200
    kept = server.services.thumbnails.size_bytes
    assert http.delete(url.replace("/outputs/0", "/record")).status_code == 204
    assert http.get(url, params={"max_side_px": 64}).status_code == 404
    assert server.services.thumbnails.size_bytes < kept


def test_damaged_file_is_not_found(server: ThreadServer, http: httpx.Client, url: str) -> None:
    path = server.services.files.output(url.split("/")[3], 0, "image/png")
    path.write_bytes(path.read_bytes()[:200])
    answer = http.get(url, params={"max_side_px": 64})
    assert (answer.status_code, "damaged" in answer.json()["detail"]) == (404, True)
    path.unlink()
    assert "gone" in http.get(url, params={"max_side_px": 64}).json()["detail"]
