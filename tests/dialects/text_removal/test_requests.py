"""What may be sent, what of it counts, and how pictures come back."""

import io
import socket as sockets
import struct
import threading
import zlib
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from service.dialects.picture_size import Size
from service.dialects.text_removal.requests import TextRegion, placed
from tests.dialects.pictures import b64, png
from tests.dialects.text_removal.callers import REGIONS, ProgressSocket, covered, mask, order, pixels
from tests.dialects.text_removal.conftest import PROFILE
from tests.servers import DEADLINE_S, ThreadServer, thread_server, until

WITH_REGIONS = ("/api/v1/inpaint-regions", "/api/v1/inpaint-regions-json", "/api/v1/inpaint-regions-async")


@pytest.mark.parametrize(
    ("given", "becomes"),
    [
        ((14.9, 10.9, 16.9, 10.9), (14, 10, 16, 10)),
        ((-5, -5, 20, 10), (0, 0, 20, 10)),
        ((60, 40, 20, 20), (60, 40, 4, 8)),
        ((500, 500, 20, 20), (63, 47, 1, 1)),
        ((-500, 20, 20, 20), (0, 20, 20, 20)),
        ((3, 4, 0, 0.9), (3, 4, 1, 1)),
        ((3, 4, -7, -0.5), (3, 4, 1, 1)),
        ((1e300, 0, 1e300, 5), (63, 0, 1, 5)),
    ],
)
def test_a_region_is_placed_as_the_original_places_it(given: tuple[float, ...], becomes: tuple[int, ...]) -> None:
    region = TextRegion(**dict(zip(("x", "y", "width", "height"), given, strict=True)))
    (found,) = placed([region], Size(64, 48))
    assert tuple(found.values()) == becomes


def test_a_picture_with_its_regions_filled_comes_back_with_what_was_counted(client: httpx.Client) -> None:
    answer = client.post("/api/v1/inpaint-regions", json=order())
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"] == "inline; filename=inpainted_regions.png"
    assert answer.headers["x-regions-count"] == "2"
    assert answer.headers["x-total-area"] == str(20 * 6 + 12 * 8)
    assert float(answer.headers["x-processing-time"]) > 0
    assert answer.headers["x-timestamp"]
    outside = ~covered(REGIONS)
    assert (pixels(answer.content)[outside] == pixels(png())[outside]).all()


def test_what_is_counted_comes_without_the_picture_too(client: httpx.Client) -> None:
    answer = client.post("/api/v1/inpaint-regions-json", json=order()).json()
    stats = answer["processing_stats"]
    assert set(answer) == {"success", "message", "processing_stats", "timestamp"}
    assert answer["success"] is True
    assert set(stats) == {"regions_processed", "total_area", "processing_time", "image_dimensions"}
    assert (stats["regions_processed"], stats["total_area"]) == (2, 216)
    assert stats["image_dimensions"] == {"width": 64, "height": 48}


def test_a_mask_says_what_is_filled(client: httpx.Client) -> None:
    answer = client.post("/api/v1/inpaint", json={"image": b64(png()), "mask": b64(mask())})
    assert answer.headers["content-disposition"] == "inline; filename=inpainted.png"
    changed = (pixels(answer.content) != pixels(png())).any(axis=-1)
    assert changed.any()
    assert not changed[~covered(REGIONS[:1])].any()


def test_a_large_picture_keeps_every_pixel_outside_its_regions(client: httpx.Client) -> None:
    """The original makes it smaller, up to 1024 pixels, and large again."""
    large = png(1500, 40)
    answer = client.post("/api/v1/inpaint-regions", json=order(image=b64(large), regions=REGIONS[:1]))
    outside = ~covered(REGIONS[:1], 1500, 40)
    assert (pixels(answer.content)[outside] == pixels(large)[outside]).all()


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1"])
def test_pictures_of_every_kind_are_taken(client: httpx.Client, mode: str) -> None:
    """The original's tasks fail with grey pictures and with palettes."""
    for path in WITH_REGIONS:
        assert client.post(path, json=order(image=b64(png(mode=mode)))).status_code == 200


def test_a_sideways_photograph_is_turned_before_its_regions_are_looked_for(client: httpx.Client) -> None:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 48), "red").save(buffer, "JPEG", exif=exif)
    stats = client.post("/api/v1/inpaint-regions-json", json=order(image=b64(buffer.getvalue()))).json()
    assert stats["processing_stats"]["image_dimensions"] == {"width": 48, "height": 64}


def test_a_jpeg_comes_back_as_the_png_its_label_says(client: httpx.Client) -> None:
    """The original labels JPEG bytes image/png."""
    answer = client.post("/api/v1/inpaint-regions", json=order(image=b64(png(file_format="JPEG"))))
    assert answer.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert picture.format == "PNG"


@pytest.mark.parametrize("path", WITH_REGIONS)
@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"regions": []}, 400, "At least one region is required"),
        ({"image": ""}, 400, "Image is required"),
        ({"image": "data:image/png;base64," + b64(png())}, 400, "data URL"),
        ({"image": "http://127.0.0.1/a.png"}, 400, "base64"),
        ({"image": "upload:01981f2e-0000-7000-8000-000000000000"}, 400, "base64"),
        ({"image": b64(b"nothing of the kind")}, 400, "not a picture"),
        ({"image": b64(png()[:100])}, 400, "truncated or damaged"),
        ({"regions": REGIONS * 501}, 400, "at most 1000"),
    ],
)
def test_mistakes_are_4xx_with_a_reason(
    client: httpx.Client, path: str, fields: dict[str, Any], status: int, said: str
) -> None:
    answer = client.post(path, json=order(**fields))
    assert answer.status_code == status
    assert set(answer.json()) == {"detail"}
    assert said in answer.json()["detail"]


@pytest.mark.parametrize("path", WITH_REGIONS)
def test_what_is_too_large_is_refused_early(client: httpx.Client, path: str) -> None:
    size = struct.pack(">IIBBBBB", 20_000, 10_000, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", size), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    header = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    answer = client.post(path, json=order(image=b64(header)))
    assert answer.status_code == 413
    assert "20000 x 10000" in answer.json()["detail"]
    with sockets.create_connection((client.base_url.host, client.base_url.port or 80), timeout=DEADLINE_S) as raw:
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        raw.sendall(f"{head}Content-Length: {100 << 20}\r\n\r\n{{".encode())  # and not one byte more
        answered = raw.recv(1 << 16).decode()
    assert answered.startswith("HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("body", "kind", "loc"),
    [
        (b"{", "json_invalid", ["body", 1]),
        (b"[]", "model_attributes_type", ["body"]),
        (b"", "missing", ["body"]),
        (b'{"image": "x", "regions": [{"x": 1}]}', "missing", ["body", "regions", 0, "y"]),
        (
            b'{"image": "x", "regions": [{"x": NaN, "y": 1, "width": 2, "height": 3}]}',
            "finite_number",
            ["body", "regions", 0, "x"],
        ),
        (b'{"image": 5, "regions": []}', "string_type", ["body", "image"]),
    ],
)
def test_bodies_that_cannot_be_read_are_told_of_as_there(
    client: httpx.Client, body: bytes, kind: str, loc: list[object]
) -> None:
    answer = client.post(WITH_REGIONS[0], content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    mistake = answer.json()["detail"][0]
    assert (mistake["type"], mistake["loc"]) == (kind, loc)


def test_unknown_fields_and_numbers_as_text_are_taken(client: httpx.Client) -> None:
    regions = [{"x": "10", "y": "8", "width": "20", "height": "6", "text": "hello"}]
    body = order(regions=regions, sd_seed="42", colour="red", hd_strategy="Crop", prompt=None)
    assert client.post(WITH_REGIONS[0], json=body).status_code == 200


def test_what_is_nowhere_and_what_is_not_so_is_told_in_its_words(client: httpx.Client) -> None:
    assert (client.get("/api/v1/samplers").status_code, client.get("/api/v1/samplers").json()) == (
        404,
        {"detail": "Not Found"},
    )
    answer = client.get("/api/v1/inpaint-regions")
    assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed"})


def test_limits_are_those_that_are_told(tmp_path: Path) -> None:
    with (
        thread_server(
            tmp_path / "data",
            listen=PROFILE,
            text_removal_max_side_px=100,
            max_upload_bytes=5000,
            text_removal_timeout_s=7,
        ) as server,
        server.client() as client,
    ):
        limits = client.get("/api/v1/info").json()["limits"]
        assert limits == {
            "max_image_size": 100,
            "max_file_size": 5000,
            "request_timeout": 7.0,
            "supported_formats": ["JPEG", "PNG", "WebP"],
        }
        too_wide = client.post(WITH_REGIONS[0], json=order(image=b64(png(101, 5))))
        assert (too_wide.status_code, "at most 100" in too_wide.json()["detail"]) == (413, True)
        assert client.post("/api/v1/inpaint", json={"image": b64(png(101, 5)), "mask": ""}).status_code == 400
        noise = b64(Image.effect_noise((99, 99), 90).tobytes())
        assert client.post(WITH_REGIONS[2], json=order(image=noise)).status_code == 413
        assert client.post(WITH_REGIONS[0], json=order(image=b64(png(60, 60)))).status_code == 200


def test_one_who_waits_too_long_gets_a_504_and_the_work_is_stopped(tmp_path: Path) -> None:
    with (
        thread_server(
            tmp_path / "data",
            listen=PROFILE,
            fake_step_s=0.5,
            text_removal_timeout_s=0.3,
        ) as server,
        server.client() as client,
    ):
        answer = client.post(WITH_REGIONS[0], json=order())
        assert answer.status_code == 504
        job = client.get("/v1/jobs").json()["jobs"][0]
        assert client.get(f"/v1/jobs/{job['id']}?wait=30").json()["status"] == "cancelled"


def test_a_client_that_hangs_up_frees_its_job(slow_server: ThreadServer, slow_client: httpx.Client) -> None:
    body = httpx.Request("POST", "http://x", json=order()).read()
    head = (
        f"POST {WITH_REGIONS[0]} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with sockets.create_connection(("127.0.0.1", slow_server.ports[0]), timeout=DEADLINE_S) as connection:
        connection.sendall(head.encode() + body)
        until(lambda: bool(slow_client.get("/v1/jobs").json()["jobs"]), "the job to be accepted")
    job = slow_client.get("/v1/jobs").json()["jobs"][0]
    assert slow_client.get(f"/v1/jobs/{job['id']}?wait=30").json()["status"] == "cancelled"


def test_many_at_once_get_what_each_alone_would(client: httpx.Client) -> None:
    """Four requests at a time in the original get in each other's way."""
    bodies = [order(image=b64(png(64 + 8 * number, 48))) for number in range(8)]
    alone = [client.post(WITH_REGIONS[0], json=body).content for body in bodies]
    together: dict[int, bytes] = {}

    def ask(number: int) -> None:
        together[number] = client.post(WITH_REGIONS[0], json=bodies[number]).content

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, content in enumerate(alone):
        assert (pixels(together[number]) == pixels(content)).all()


def test_jobs_of_this_dialect_say_so_and_can_be_watched_as_any_other(
    server: ThreadServer, client: httpx.Client
) -> None:
    client.post(WITH_REGIONS[2], json=order(task_id="a", sd_seed=7)).raise_for_status()
    with ProgressSocket(server.ports[0], "a") as socket:
        socket.until("task_completed")
    job = client.get("/v1/jobs").json()["jobs"][0]
    assert (job["task"], job["labels"]["dialect"], job["labels"]["foreign_id"]) == ("erase", "text_removal", "a")
    assert (job["params"]["seed"], job["params"]["grow_px"], job["params"]["feather_px"]) == (7, 0, 0)
    assert job["params"]["image"].startswith("inline:")
