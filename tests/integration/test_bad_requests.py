"""Whatever is wrong with a request is refused with a 4xx that names the field, and leaves nothing behind."""

import io
import socket
import sqlite3
import struct
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from PIL import Image

from protocol.ids import new_id
from tests.integration.viewers import finished, inline, png, submit
from tests.servers import DEADLINE_S, ThreadServer, thread_server, until

pytestmark = pytest.mark.usefixtures("quiet_log")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bad") / "data"


@pytest.fixture(scope="module")
def server(data_dir: Path) -> Iterator[ThreadServer]:
    """One server with small limits for all: nothing that is sent to it may harm it."""
    limits = {"max_body_bytes": 200_000, "max_upload_bytes": 100_000, "max_pixels": 1_000_000, "max_wait_s": 1}
    with thread_server(data_dir, **limits) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_half_stored(server: ThreadServer, data_dir: Path) -> Iterator[None]:
    """After each test every file belongs to a row, and none is half written."""
    yield
    until(lambda: files_of(data_dir) <= stored(data_dir), "half-written files to be removed")


def stored(data_dir: Path) -> set[str]:
    """Every job with inputs and every upload there is a row of."""
    with closing(sqlite3.connect(data_dir / "safelight.db")) as database:
        uploads = {row[0] for row in database.execute("SELECT id FROM uploads")}
        return uploads | {row[0] for row in database.execute("SELECT id FROM jobs")}


def files_of(data_dir: Path) -> set[str]:
    """Every job and upload there is a file or folder of, and whatever is half written."""
    found = {path.name for kind in ("jobs", "uploads") for path in (data_dir / kind).glob("??/*")}
    return found | {str(path) for path in data_dir.rglob("*.part")}


def jpeg_header_of(width: int, height: int) -> bytes:
    return (
        b"\xff\xd8\xff\xc0\x00\x11\x08"
        + struct.pack(">HH", height, width)
        + b"\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01"
    )


def png_header_of(width: int, height: int) -> bytes:
    """A well-formed PNG of a few bytes that claims to be this large."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


def gif_of(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("P", (8, 8)).save(buffer, "GIF")
    content = buffer.getvalue()
    return content[:6] + struct.pack("<HH", width, height) + content[10:]


def params_problem(http: httpx.Client, task: str, **params: Any) -> dict[str, Any]:
    answer = http.post("/v1/jobs", json={"task": task, "params": params})
    assert 400 <= answer.status_code < 500, (params, answer.status_code)
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == answer.status_code
    return problem


GOOD = inline(png())
BAD_IMAGES = {
    "nothing": ("", "invalid_params"),
    "no base64": ("@@@", "bad_image"),
    "half a quartet": ("abcde", "bad_image"),
    "no picture": (inline(b"hello, world"), "bad_image"),
    "an empty file": ("data:image/png;base64,", "bad_image"),
    "a data URL without base64": ("data:text/plain,hello", "bad_image"),
    "a truncated picture": (inline(png(64, 64)[:-400]), "bad_image"),
    "a header alone": (inline(png()[:20]), "bad_image"),
    "a picture with a damaged middle": (inline(png()[:60] + b"xxxx" + png()[64:]), "bad_image"),
    "a PNG bomb": (inline(png_header_of(50_000, 50_000)), "image_too_large"),
    "a JPEG bomb": (inline(jpeg_header_of(50_000, 50_000)), "image_too_large"),
    "a GIF bomb": (inline(gif_of(50_000, 50_000)), "image_too_large"),
    "an endless side": (inline(png_header_of(40_000, 1)), "image_too_large"),
    "SVG": (inline(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "bad_image"),
    "PDF": (inline(b"%PDF-1.4\n%%EOF"), "bad_image"),
    "EPS": (inline(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n"), "bad_image"),
    "more bytes than allowed": (inline(bytes(110_000)), "too_large"),
    "an upload nobody made": (f"upload:{new_id()}", "invalid_params"),
    "an upload by path": ("upload:../../../../etc/passwd", "invalid_params"),
    "an output nobody made": (f"job:{new_id()}/0", "invalid_params"),
    "an output by path": ("job:../../../etc/passwd/0", "invalid_params"),
    "an output without a number": (f"job:{new_id()}", "invalid_params"),
    "a file URL": ("file:///etc/passwd", "bad_image"),
    "a URL without a host": ("http://", "fetch_failed"),
    "a URL of this machine": ("http://127.0.0.1/secret.png", "fetch_failed"),
}


@pytest.mark.parametrize(("ref", "code"), BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_picture_that_is_none_is_refused_by_name(http: httpx.Client, data_dir: Path, ref: str, code: str) -> None:
    for task, field, params in (
        ("upscale", "image", {"image": ref}),
        ("erase", "mask", {"image": GOOD, "mask": ref}),
    ):
        problem = params_problem(http, task, **params)
        assert (problem["code"], problem["field"]) == (code, f"$.params.{field}")
        assert problem["detail"].startswith(f"{field}: ")
        assert str(data_dir) not in problem["detail"]


def test_mask_of_another_size_is_refused_with_both_sizes(http: httpx.Client) -> None:
    problem = params_problem(http, "erase", image=GOOD, mask=inline(png(16, 24)))
    assert problem["field"] == "$.params.mask"
    assert "24 x 16" in problem["detail"]
    assert "16 x 24" in problem["detail"]


REGION = {"x": 0, "y": 0, "width": 4, "height": 4}
WRONG_PARAMS = {
    "unknown field": ("test_pattern", {"stepz": 1}, "$.params.stepz"),
    "text for a number": ("test_pattern", {"steps": "20"}, "$.params.steps"),
    "a fraction for a whole number": ("test_pattern", {"steps": 2.5}, "$.params.steps"),
    "true for a number": ("test_pattern", {"steps": True}, "$.params.steps"),
    "null for a number": ("test_pattern", {"steps": None}, "$.params.steps"),
    "too small": ("test_pattern", {"width": 7}, "$.params.width"),
    "too large": ("test_pattern", {"height": 4097}, "$.params.height"),
    "a seed below 0": ("test_pattern", {"seed": -1}, "$.params.seed"),
    "a seed above 32 bits": ("test_pattern", {"seed": 2**32}, "$.params.seed"),
    "a seed above 64 bits": ("test_pattern", {"seed": 2**64}, "$.params.seed"),
    "a seed of 400 digits": ("test_pattern", {"seed": 10**400}, None),
    "an unknown format": ("test_pattern", {"format": "bmp"}, "$.params.format"),
    "a list of nothing": ("test_pattern", {"images": []}, "$.params.images"),
    "no image": ("upscale", {}, "$.params.image"),
    "a number for an image": ("upscale", {"image": 5}, "$.params.image"),
    "a list for an image": ("upscale", {"image": [GOOD]}, "$.params.image"),
    "a factor above 8": ("upscale", {"image": GOOD, "factor": 8.01}, "$.params.factor"),
    "a factor of text": ("upscale", {"image": GOOD, "factor": "2"}, "$.params.factor"),
    "nothing to erase": ("erase", {"image": GOOD}, "$.params"),
    "a region without a width": ("erase", {"image": GOOD, "regions": [{"x": 0, "y": 0, "height": 1}]}, None),
    "a region of no width": ("erase", {"image": GOOD, "regions": [REGION | {"width": 0}]}, "$.params.regions[0].width"),
    "a region beside the picture": ("erase", {"image": GOOD, "regions": [REGION | {"x": 24}]}, "$.params.regions[0]"),
    "a region above the picture": ("erase", {"image": GOOD, "regions": [REGION | {"y": -4}]}, "$.params.regions[0]"),
    "a region of a list": ("erase", {"image": GOOD, "regions": [[0, 0, 4, 4]]}, "$.params.regions[0]"),
    "too many regions": ("erase", {"image": GOOD, "regions": [REGION] * 1001}, "$.params.regions"),
    "a confidence above 1": ("remove_text", {"image": GOOD, "min_confidence": 1.5}, "$.params.min_confidence"),
    "no prompt to segment by": ("segment", {"image": GOOD}, "$.params"),
    "a point beside the picture": ("segment", {"image": GOOD, "points": [{"x": 25, "y": 1}]}, "$.params.points[0]"),
    "a box beside the picture": ("segment", {"image": GOOD, "box": REGION | {"x": 30}}, "$.params.box"),
    "no tags": ("describe", {"image": GOOD, "max_tags": 0}, "$.params.max_tags"),
}


@pytest.mark.parametrize(("task", "params", "field"), WRONG_PARAMS.values(), ids=WRONG_PARAMS)
def test_wrong_parameter_is_refused_by_name(
    http: httpx.Client, task: str, params: dict[str, Any], field: str | None
) -> None:
    problem = params_problem(http, task, **params)
    if field is None:
        assert problem["code"] in {"invalid_params", "malformed"}
    else:
        assert (problem["code"], problem["field"]) == ("invalid_params", field)
        assert field in problem["detail"]


WRONG_ENVELOPES: dict[str, tuple[object, int, str | None]] = {
    "a list": ([], 422, "$"),
    "a string": ("job", 422, "$"),
    "null": (None, 422, "$"),
    "nothing": ({}, 422, "$.task"),
    "an unknown task": ({"task": "paint"}, 422, "$.task"),
    "a task that is a path": ({"task": "../erase"}, 422, "$.task"),
    "a task of a number": ({"task": 5}, 422, "$.task"),
    "an unknown field": ({"task": "test_pattern", "prio": "high"}, 422, "$.prio"),
    "an unknown priority": ({"task": "test_pattern", "priority": "urgent"}, 422, "$.priority"),
    "an unknown kind of previews": ({"task": "test_pattern", "previews": True}, 422, "$.previews"),
    "params of a list": ({"task": "test_pattern", "params": [1]}, 422, "$.params"),
    "a label of a number": ({"task": "test_pattern", "labels": {"a": 1}}, 422, "$.labels.a"),
    "a long label": ({"task": "test_pattern", "labels": {"a": "b" * 257}}, 422, "$.labels.a"),
    "a long name of a label": ({"task": "test_pattern", "labels": {"a" * 257: "b"}}, 422, None),
    "too many labels": ({"task": "test_pattern", "labels": {str(n): "" for n in range(33)}}, 422, "$.labels"),
    "a webhook without a URL": ({"task": "test_pattern", "webhook": {}}, 422, "$.webhook.url"),
    "a webhook by file": ({"task": "test_pattern", "webhook": {"url": "file:///etc"}}, 422, "$.webhook.url"),
    "a webhook for no event": ({"task": "test_pattern", "webhook": {"url": "http://a", "events": []}}, 422, None),
    "a webhook for a hint": (
        {"task": "test_pattern", "webhook": {"url": "http://a", "events": ["step.finished"]}},
        422,
        "$.webhook.events[0]",
    ),
}


@pytest.mark.parametrize(("body", "status", "field"), WRONG_ENVELOPES.values(), ids=WRONG_ENVELOPES)
def test_request_that_is_no_job_is_refused_by_name(
    http: httpx.Client, body: object, status: int, field: str | None
) -> None:
    answer = http.post("/v1/jobs", content=orjson.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    if field is not None:
        assert answer.json()["field"] == field


NO_JSON = {
    "nothing": b"",
    "half an object": b'{"task": "test_pattern"',
    "two objects": b"{} {}",
    "NaN": b'{"task": "test_pattern", "params": {"steps": NaN}}',
    "infinity": b'{"task": "test_pattern", "params": {"steps": 1e999}}',
    "no UTF-8": b'{"task": "\xff\xfe"}',
    "half a surrogate pair": b'{"task": "test_pattern", "labels": {"a": "\\ud800"}}',
    "deep nesting": b"[" * 100_000,
    "deep and whole nesting": b"[" * 900 + b"]" * 900,
    "deep nesting within a job": b'{"task": "test_pattern", "params": {"steps": ' + b"[" * 500 + b"]" * 500 + b"}}",
    "deep objects within a job": b'{"task": "test_pattern", "labels": ' + b'{"a":' * 500 + b"1" + b"}" * 500 + b"}",
    "a comment": b'{"task": "test_pattern" /* steps */}',
    "a byte order mark": b'\xef\xbb\xbf{"task": "test_pattern"}',
    "msgpack": b"\x81\xa4task\xactest_pattern",
}


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON)
def test_body_that_cannot_be_read_is_refused(http: httpx.Client, body: bytes) -> None:
    answer = http.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}
    assert answer.json()["code"] in {"malformed", "invalid_params"}


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_body_of_another_media_type_is_refused(http: httpx.Client, media_type: str) -> None:
    answer = http.post("/v1/jobs", content=b'{"task": "test_pattern"}', headers={"Content-Type": media_type})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert "content-type" in answer.json()["detail"]


def test_body_above_the_cap_is_refused_by_its_announced_and_by_its_real_size(http: httpx.Client) -> None:
    body = orjson.dumps({"task": "upscale", "params": {"image": "A" * 250_000}})
    announced = http.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    chunks = (body[start : start + 10_000] for start in range(0, len(body), 10_000))
    chunked = http.post("/v1/jobs", content=chunks, headers={"Content-Type": "application/json"})
    for answer in (announced, chunked):
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
        assert "200000" in answer.json()["detail"]


BAD_QUERIES = {
    "after of text": ("/v1/jobs/{job}/events?after=x", "after"),
    "after below 0": ("/v1/jobs/{job}/events?after=-1", "after"),
    "after of many digits": ("/v1/jobs/{job}/events?after=" + "9" * 5000, "after"),
    "after in other digits": ("/v1/jobs/{job}/events?after=%D9%A3", "after"),
    "n of text": ("/v1/jobs/{job}/events?n=x", "n"),
    "wait of text": ("/v1/jobs/{job}/events?wait=soon", "wait"),
    "wait below 0": ("/v1/jobs/{job}?wait=-1", "wait"),
    "wait of nothing": ("/v1/jobs/{job}?wait=", "wait"),
    "wait that is no number": ("/v1/jobs/{job}?wait=nan", "wait"),
    "limit of 0": ("/v1/jobs?limit=0", "limit"),
    "limit above 200": ("/v1/jobs?limit=201", "limit"),
    "limit of text": ("/v1/jobs?limit=all", "limit"),
    "a cursor that is none": ("/v1/jobs?cursor=xyz", "cursor"),
    "a cursor with SQL": ("/v1/jobs?cursor=%27%20OR%201%3D1", "cursor"),
    "an unknown status": ("/v1/jobs?status=done", "status"),
    "an unknown task": ("/v1/jobs?task=paint", "task"),
    "an unknown status beside a known one": ("/v1/jobs?status=failed,done", "status"),
    "an empty status": ("/v1/jobs?status=", "status"),
    "too many words": (f"/v1/jobs?q={'x' * 201}", "q"),
    "a label without a value": ("/v1/jobs?label=colour", "label"),
    "a label without a name": ("/v1/jobs?label=:red", "label"),
}


@pytest.mark.parametrize(("path", "name"), BAD_QUERIES.values(), ids=BAD_QUERIES)
def test_query_that_makes_no_sense_is_refused_by_name(http: httpx.Client, path: str, name: str) -> None:
    job = submit(http, params={"steps": 0, "width": 8, "height": 8})
    answer = http.get(path.format(job=job["id"]))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_params")
    assert answer.json()["detail"].startswith(f"{name}: ")


BAD_HEADERS = {
    "Last-Event-ID of text": ("events", {"Accept": "text/event-stream", "Last-Event-ID": "x"}),
    "Last-Event-ID with a superscript": ("events", {"Accept": "text/event-stream", "Last-Event-ID": b"\xb2"}),
    "Last-Event-ID of many digits": ("events", {"Accept": "text/event-stream", "Last-Event-ID": "1" * 5000}),
    "Accept of nothing we have": ("outputs/0", {"Accept": "text/html"}),
    "Accept that refuses all": ("outputs/0", {"Accept": "*/*;q=0"}),
}


@pytest.mark.parametrize(("path", "headers"), BAD_HEADERS.values(), ids=BAD_HEADERS)
def test_header_that_makes_no_sense_is_refused(http: httpx.Client, path: str, headers: dict[str, str]) -> None:
    job = finished(http, submit(http, params={"steps": 0, "width": 8, "height": 8})["id"])
    answer = http.get(f"/v1/jobs/{job['id']}/{path}", headers=headers)
    assert answer.status_code in {406, 422}
    assert answer.json()["code"] in {"not_acceptable", "invalid_params"}


@pytest.mark.parametrize("header", ["", "x" * 256])
def test_idempotency_key_of_a_wrong_length_is_refused(http: httpx.Client, header: str) -> None:
    answer = http.post("/v1/jobs", json={"task": "test_pattern"}, headers={"Idempotency-Key": header})
    assert answer.status_code == 422
    assert "Idempotency-Key" in answer.json()["detail"]


@pytest.mark.parametrize("prefer", ["wait=soon", "wait=-5", "respond-async, wait=1e"])
def test_preference_to_wait_that_is_no_number_is_refused(http: httpx.Client, prefer: str) -> None:
    answer = http.post("/v1/jobs", json={"task": "test_pattern"}, headers={"Prefer": prefer})
    assert (answer.status_code, answer.json()["field"]) == (422, "$.wait")


NOWHERE = [
    "/v1/jobs/{id}",
    "/v1/jobs/..%2f..%2fetc",
    "/v1/jobs/%2e%2e",
    "/v1/jobs/%00",
    "/v1/jobs/%ff%fe",
    "/v1/jobs/" + "a" * 3000,
    "/v1/jobs/{id}/events",
    "/v1/jobs/..%2fx/events",
    "/v1/jobs/{id}/preview",
    "/v1/jobs/{id}/outputs/0",
    "/v1/jobs/{job}/outputs/1",
    "/v1/jobs/{job}/outputs/-1",
    "/v1/jobs/{job}/outputs/x",
    "/v1/jobs/{job}/outputs/..%2f0.png",
    "/v1/jobs/{job}/outputs/0.png",
    "/v1/jobs/{job}/outputs/0.png.part",
    "/v1/jobs/{job}/outputs/%D9%A0",
    "/v1/jobs/{job}/outputs/" + "0" * 5000 + "1",
    "/v1/jobs/{job}/preview",
    "/v1/uploads/{id}",
    "/nothing",
]


@pytest.mark.parametrize("path", NOWHERE, ids=lambda path: path[:60])
def test_place_that_does_not_exist_is_not_found(http: httpx.Client, path: str) -> None:
    job = finished(http, submit(http, params={"steps": 0, "width": 8, "height": 8})["id"])
    answer = http.get(path.format(id=new_id(), job=job["id"]))
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_method_nobody_has_is_refused_with_those_there_are(http: httpx.Client) -> None:
    answer = http.put("/v1/jobs", json={})
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert "POST" in answer.headers["allow"]


def test_upload_of_no_picture_is_refused_and_not_kept(http: httpx.Client) -> None:
    for content, code in (
        (b"", "bad_image"),
        (b"GIF89a", "bad_image"),
        (png(64, 64)[:-100], "bad_image"),
        (png_header_of(50_000, 50_000), "image_too_large"),
    ):
        answer = http.post("/v1/uploads", content=content)
        assert (answer.status_code, answer.json()["code"]) == (422, code)
        assert answer.json()["field"] == "$.body"


def test_upload_above_the_cap_is_refused_by_its_announced_and_by_its_real_size(http: httpx.Client) -> None:
    content = png(200, 200)
    assert len(content) > 100_000
    announced = http.post("/v1/uploads", content=content)
    chunked = http.post("/v1/uploads", content=(content[at : at + 5000] for at in range(0, len(content), 5000)))
    for answer in (announced, chunked):
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_upload_that_breaks_off_leaves_nothing(server: ThreadServer, http: httpx.Client) -> None:
    for head in (b"Content-Length: 5000\r\n\r\n" + png()[:50], b"Transfer-Encoding: chunked\r\n\r\n10\r\n0123"):
        with socket.create_connection(("127.0.0.1", server.port), DEADLINE_S) as connection:
            connection.sendall(b"POST /v1/uploads HTTP/1.1\r\nHost: 127.0.0.1\r\n" + head)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1000):
                pass
    assert http.get("/v1/health/live").status_code == 200


def test_name_of_an_upload_cannot_carry_a_header_or_a_path(http: httpx.Client) -> None:
    hostile = "../../a\r\nX-Evil: 1\x00\u202e\ud83d\ude00.png"
    answer = http.post(
        "/v1/uploads", params={"name": hostile.encode("utf-16", "surrogatepass").decode("utf-16")}, content=png()
    )
    assert answer.status_code == 201
    assert "x-evil" not in answer.headers
    name = answer.json()["name"]
    assert not set(name) & set("/\\\r\n\x00\u202e")


def test_values_at_the_edge_of_what_is_allowed_are_taken(http: httpx.Client) -> None:
    params = {"steps": 0, "width": 8, "height": 8, "seed": 2**32 - 1, "quality": 100, "format": "jpeg"}
    labels = {"a" * 256: "b" * 256, "\x00": "\u0000", "": "'; DROP TABLE jobs; --"}
    job = finished(http, submit(http, params=params, labels=labels)["id"])
    assert job["status"] == "succeeded"
    assert job["labels"] == labels


def test_request_that_is_no_http_is_answered_and_dropped(server: ThreadServer, http: httpx.Client) -> None:
    for rubbish in (
        b"GET /v1/jobs\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: x\r\n\r\n",
        b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: \xb2\r\n\r\n",
        b"GET /v1/jobs HTTP/1.1\r\nHost: a\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", server.port), DEADLINE_S) as connection:
            connection.sendall(rubbish)
            answer = b""
            while chunk := connection.recv(1000):
                answer += chunk
        assert answer.startswith(b"HTTP/1.1 4"), rubbish
    assert http.get("/v1/health/live").status_code == 200


def test_picture_in_sixteen_bit_palette_or_grey_is_a_picture(http: httpx.Client) -> None:
    for mode in ("I;16", "P", "L", "LA", "1", "RGBA"):
        buffer = io.BytesIO()
        Image.new(mode, (24, 16)).save(buffer, "PNG")
        job = finished(http, submit(http, "upscale", params={"image": inline(buffer.getvalue())})["id"])
        assert job["status"] == "succeeded", (mode, job)
