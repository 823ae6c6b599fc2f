"""What a caller must not be able to do, and what the original let it: each answer here differs from the original's."""

import base64
import io
import json
import socket
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.dialects.golden import ERROR_KEYS, cases, rgb
from tests.servers import DEADLINE_S, ThreadServer, thread_server, until

MEGABYTE = 1 << 20


def encoded(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def blot(width: int = 64, height: int = 48) -> str:
    mask = Image.new("L", (width, height), 0)
    mask.paste(255, (width // 4, height // 4, width // 2, height // 2))
    return encoded(mask)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[httpx.Client]:
    """A server that takes a megabyte and ten thousand pixels."""
    with (
        thread_server(tmp_path / "data", max_body_bytes=MEGABYTE, max_upload_bytes=MEGABYTE, max_pixels=10_000) as one,
        one.client() as client,
    ):
        yield client


def refused(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == ERROR_KEYS
    told: str = answer.json()["errors"]
    return told


def test_a_body_that_is_too_large_is_refused(small: httpx.Client) -> None:
    """The original parses whatever comes."""
    answer = small.post("/api/v1/inpaint", json={"image": "A" * 2 * MEGABYTE})
    assert "1048576" in refused(answer, 413)


def test_a_body_that_says_it_is_too_large_is_refused_before_it_has_come(tmp_path: Path) -> None:
    with thread_server(tmp_path / "data") as server, socket.create_connection(("127.0.0.1", server.port)) as line:
        line.settimeout(DEADLINE_S)
        head = f"POST /api/v1/inpaint HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: 100000000000\r\n\r\n"
        line.sendall(head.encode())
        assert line.recv(64).startswith(b"HTTP/1.1 413")


def test_a_form_that_is_too_large_is_refused(small: httpx.Client) -> None:
    answer = small.post("/api/v1/gen-info", files={"file": ("a.png", b"0" * 2 * MEGABYTE)})
    assert refused(answer, 413)


@pytest.mark.parametrize("size", [(101, 100), (50_000, 50_000)])
def test_a_picture_of_too_many_pixels_is_refused(small: httpx.Client, size: tuple[int, int]) -> None:
    """The original decodes up to 178 megapixels, and answers 500 above."""
    image = encoded(Image.new("1", size)) if size[0] < 1000 else _claims(*size)
    answer = small.post("/api/v1/inpaint", json={"image": image, "mask": blot()})
    assert "10000" in refused(answer, 413)


@pytest.mark.parametrize(
    "image",
    ["http://127.0.0.1:1/secret.png", "https://example.org/a.png", "file:///etc/passwd", "upload:1", "job:1/0",
     "attached:0", "data:text/plain;base64,AAAA", "data:image/png,AAAA", "!!!!", "AAAAA", "iVBORw0KGgo="],
)  # fmt: skip
def test_what_is_no_picture_in_base64_is_refused_and_never_fetched(http: httpx.Client, image: str) -> None:
    answer = http.post("/api/v1/inpaint", json={"image": image, "mask": blot()})
    assert "image" in refused(answer, 400)
    assert http.get("/v1/jobs").json()["jobs"] == []


@pytest.mark.parametrize(
    "name", ["../secret.png", "..\\secret.png", "/etc/passwd", "deeper/c.png", "..", "", "a.jpg\0"]
)
@pytest.mark.parametrize("path", ["media_file", "media_thumbnail_file"])
def test_names_reach_the_pictures_of_their_folder_only(media: Path, name: str, path: str) -> None:
    (media / "in" / "link.png").symlink_to(media / "secret.png")
    with (
        thread_server(media / "data", iopaint_input=media / "in", iopaint_output_dir=media / "out") as server,
        server.client() as client,
    ):
        for asked in (name, "link.png"):
            query = {"tab": "input", "filename": asked, "width": 8, "height": 0}
            refused(client.get(f"/api/v1/{path}", params=query), 404)


@pytest.mark.parametrize(
    ("name", "kept"),
    [("../../evil.png", "evil.png"), ("..\\evil.png", "evil.png"), (".hidden.png", "hidden.png"),
     ("a;b|c.png", "a_b_c.png"), ("x" * 500 + ".png", None)],
)  # fmt: skip
def test_saved_files_stay_in_their_folder_under_a_harmless_name(media: Path, name: str, kept: str | None) -> None:
    with thread_server(media / "data", iopaint_output_dir=media / "out") as server, server.client() as client:
        assert client.post("/api/v1/save_image", files={"file": (name, b"content")}).status_code == 200
    (written,) = (media / "out").iterdir()
    assert kept is None or written.name == kept
    assert len(written.name) <= 200
    assert written.read_bytes() == b"content"


def test_without_a_folder_to_save_to_nothing_is_saved(http: httpx.Client) -> None:
    """The original answers 500."""
    assert "directory" in refused(http.post("/api/v1/save_image", files={"file": ("a.png", b"x")}), 400)


def test_a_client_that_goes_away_takes_its_job_along(tmp_path: Path) -> None:
    """The original works on for nobody."""
    body = json.dumps(
        {"image": encoded(Image.new("RGB", (64, 48))), "mask": blot(), "sd_steps": 400, "prompt": "a bench"}
    ).encode()
    with (
        thread_server(tmp_path / "data", fake_step_s=0.2, iopaint_model="fake") as server,
        server.client() as client,
    ):
        with socket.create_connection(("127.0.0.1", server.port)) as line:
            head = (
                f"POST /api/v1/inpaint HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            line.sendall(head.encode() + body)
            until(lambda: client.get("/v1/jobs?status=running").json()["jobs"] != [], "the job to start")
        (job,) = client.get("/v1/jobs").json()["jobs"]
        ended = client.get(f"/v1/jobs/{job['id']}?wait={3 * DEADLINE_S:g}").json()
        assert ended["status"] == "cancelled"


def test_with_keys_a_caller_needs_one_and_hears_so_in_four_keys(tmp_path: Path) -> None:
    with thread_server(tmp_path / "data", api={"keys": ["secret"]}) as server, server.client() as client:
        for path in ("server-config", "model", "samplers", "inputimage", "medias?tab=input"):
            answer = client.get(f"/api/v1/{path}")
            assert refused(answer, 401)
            assert "www-authenticate" in answer.headers
        for path in ("inpaint", "model", "save_image", "adjust_mask", "switch_plugin_model", "gen-info"):
            refused(client.post(f"/api/v1/{path}", json={}), 401)
        assert client.get("/api/v1/model", headers={"X-API-Key": "secret"}).status_code == 200


def test_a_full_queue_says_when_to_come_back(tmp_path: Path) -> None:
    with (
        thread_server(tmp_path / "data", max_queued_jobs=1, max_live_jobs=1, fake_step_s=0.2) as server,
        server.client() as client,
    ):
        pattern = {"task": "test_pattern", "params": {"steps": 200}}
        while client.post("/v1/jobs", json=pattern).status_code == 202:
            pass
        mask = {"mask": blot(), "operate": "expand"}
        answer = client.post("/api/v1/adjust_mask", json=mask)
        assert refused(answer, 429)
        assert int(answer.headers["retry-after"]) >= 1
        for job in client.get("/v1/jobs").json()["jobs"]:
            client.delete(f"/v1/jobs/{job['id']}")


def test_eight_requests_at_once_give_each_the_picture_it_gets_alone(original: ThreadServer) -> None:
    """The original shares one model and one scheduler among all."""
    noise = np.random.default_rng(8)

    def body(number: int) -> dict[str, object]:
        width, height = 48 + 16 * number, 40 + 8 * (number % 3)
        image = Image.fromarray(noise.integers(0, 256, (height, width, 3), np.uint8))
        flag = "INPAINT_TELEA" if number % 2 else "INPAINT_NS"
        return {"image": encoded(image), "mask": blot(width, height), "cv2_flag": flag, "cv2_radius": 2 + number}

    bodies = [body(number) for number in range(8)]
    with original.client() as client, ThreadPoolExecutor(8) as pool:
        ask = lambda sent: client.post("/api/v1/inpaint", json=sent).raise_for_status().content  # noqa: E731
        alone = [rgb(ask(sent)) for sent in bodies]
        together = [rgb(content) for content in pool.map(ask, bodies)]
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


def test_a_plain_palette_with_transparency_is_a_picture_like_others(original: ThreadServer) -> None:
    """The original answers 500."""
    image = Image.new("P", (64, 48), 1)
    image.putpalette([0, 0, 0, 200, 30, 30, 30, 200, 30])
    image.paste(2, (0, 0, 20, 48))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=1)
    with original.client() as client:
        sent = {"image": base64.b64encode(buffer.getvalue()).decode(), "mask": blot()}
        answer = client.post("/api/v1/inpaint", json=sent)
    assert answer.status_code == 200
    with Image.open(io.BytesIO(answer.content)) as made:
        alpha = np.asarray(made.convert("RGBA").getchannel("A"))
    assert (alpha[:, :20] == 255).all()
    assert (alpha[:, 40:] == 0).all()


def _claims(width: int, height: int) -> str:
    """A PNG whose header claims a size that its content has not."""
    (case,) = [case for case in cases("iopaint", "inpaint_ok") if case.name == "mask_empty"]
    content = bytearray(base64.b64decode(case.request["json"]["mask"]))
    content[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")

    content[29:33] = zlib.crc32(bytes(content[12:29])).to_bytes(4, "big")
    return base64.b64encode(bytes(content)).decode()
