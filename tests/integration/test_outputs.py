"""Pictures in and out: uploads, outputs in the form a client can read, and how long they stay."""

import hashlib
import io
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from PIL import Image

from service.database import StoreUnavailable
from tests.integration.viewers import Viewer, finished, inline, png, started_running, submit
from tests.servers import ThreadServer, thread_server, until

pytestmark = pytest.mark.usefixtures("quiet_log")

PRINT = {"steps": 1, "width": 48, "height": 32, "seed": 7}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    with thread_server(tmp_path_factory.mktemp("outputs") / "data") as running:
        yield running


@pytest.fixture
def job(http: httpx.Client) -> str:
    """A finished print of 48 x 32."""
    made: str = finished(http, submit(http, params=PRINT)["id"])["id"]
    return made


def opened(response: httpx.Response) -> Image.Image:
    image = Image.open(io.BytesIO(response.content))
    image.load()
    return image


def test_output_is_what_its_event_says(http: httpx.Client, job: str) -> None:
    ready = http.get(f"/v1/jobs/{job}").json()["outputs"][0]
    answer = http.get(ready["url"])
    assert answer.headers["content-type"] == ready["media_type"] == "image/png"
    assert len(answer.content) == ready["size_bytes"] == int(answer.headers["content-length"])
    assert hashlib.sha256(answer.content).hexdigest() == ready["sha256"]
    assert opened(answer).size == (ready["width"], ready["height"]) == (48, 32)
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, "image/png"),
        ("*/*", "image/png"),
        ("image/*", "image/png"),
        ("image/webp", "image/webp"),
        ("image/jpeg", "image/jpeg"),
        ("image/webp, image/png;q=0.5", "image/png"),
        ("image/avif,image/webp,*/*;q=0.8", "image/png"),
        ("text/html, image/jpeg;q=0.2, image/webp;q=0.4", "image/webp"),
        ("image/png;q=0, image/*", "image/webp"),
        ("IMAGE/JPEG", "image/jpeg"),
    ],
)
def test_output_comes_in_a_form_the_client_accepts(
    http: httpx.Client, job: str, accept: str | None, media_type: str
) -> None:
    with httpx.Client(base_url=http.base_url, trust_env=False) as plain:
        del plain.headers["accept"]
        answer = plain.get(f"/v1/jobs/{job}/outputs/0", headers={"Accept": accept} if accept else {})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == media_type
    assert "Accept" in answer.headers["vary"]
    image = opened(answer)
    assert (Image.MIME[str(image.format)], image.size) == (media_type, (48, 32))


@pytest.mark.parametrize("accept", ["text/html", "application/json", "image/avif", "image/*;q=0"])
def test_form_nobody_can_make_is_refused_with_those_there_are(http: httpx.Client, job: str, accept: str) -> None:
    answer = http.get(f"/v1/jobs/{job}/outputs/0", headers={"Accept": accept})
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")
    assert "image/png" in answer.json()["detail"]


def test_output_the_client_has_already_is_not_sent_again(http: httpx.Client, job: str) -> None:
    path = f"/v1/jobs/{job}/outputs/0"
    tags = set()
    for accept in ("image/png", "image/webp", "image/jpeg"):
        first = http.get(path, headers={"Accept": accept})
        tags.add(first.headers["etag"])
        for known in (first.headers["etag"], f'"other", W/{first.headers["etag"]}', "*"):
            again = http.get(path, headers={"Accept": accept, "If-None-Match": known})
            assert (again.status_code, again.content) == (304, b""), known
            assert again.headers["etag"] == first.headers["etag"]
    assert len(tags) == 3  # a form is not the other form
    assert http.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_part_of_an_output_can_be_asked_for(http: httpx.Client, job: str) -> None:
    path = f"/v1/jobs/{job}/outputs/0"
    whole = http.get(path).content
    part = http.get(path, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole[10:20])
    beyond = http.get(path, headers={"Range": f"bytes={len(whole)}-"})
    assert beyond.status_code == 416


def test_upload_streamed_in_pieces_is_kept_and_can_be_worked_on(http: httpx.Client) -> None:
    content = png(64, 48)
    pieces = (content[at : at + 100] for at in range(0, len(content), 100))
    answer = http.post("/v1/uploads", params={"name": "holiday.png"}, content=pieces)
    assert answer.status_code == 201
    upload = answer.json()
    assert (upload["media_type"], upload["width"], upload["height"]) == ("image/png", 64, 48)
    assert (upload["size_bytes"], upload["name"]) == (len(content), "holiday.png")
    for _ in range(2):
        job = finished(http, submit(http, "upscale", params={"image": upload["ref"], "factor": 1.5})["id"])
        assert (job["outputs"][0]["width"], job["outputs"][0]["height"]) == (96, 72)
        assert job["params"]["image"] == upload["ref"]


def test_upload_is_known_by_what_is_in_it_not_by_its_name(http: httpx.Client) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 10)).save(buffer, "WEBP")
    headers = {"Content-Type": "image/png"}
    upload = http.post("/v1/uploads", params={"name": "a.jpg"}, content=buffer.getvalue(), headers=headers).json()
    assert upload["media_type"] == "image/webp"


def test_upright_size_is_told_of_a_picture_that_lies_on_its_side(http: httpx.Client) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.new("RGB", (20, 10)).save(buffer, "JPEG", exif=exif)
    upload = http.post("/v1/uploads", content=buffer.getvalue()).json()
    assert (upload["width"], upload["height"]) == (10, 20)


def test_an_upload_can_be_looked_at_again_as_it_was_sent(http: httpx.Client) -> None:
    sent = png()
    upload = http.post("/v1/uploads", content=sent).json()
    answer = http.get(f"/v1/uploads/{upload['id']}", headers={"Accept": "image/png, image/jpeg"})
    assert answer.content == sent
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_an_upload_that_no_browser_shows_comes_upright_as_one_that_all_do(http: httpx.Client) -> None:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("CMYK", (30, 20), (0, 255, 255, 0)).save(buffer, "TIFF", exif=exif)
    upload = http.post("/v1/uploads", content=buffer.getvalue()).json()
    answer = http.get(f"/v1/uploads/{upload['id']}", headers={"Accept": "image/png, image/jpeg"})
    picture = opened(answer)
    assert (picture.format, picture.size, picture.mode) == ("PNG", (20, 30), "RGB")
    assert answer.headers["etag"] != http.get(f"/v1/uploads/{upload['id']}").headers["etag"]
    assert http.get(f"/v1/uploads/{upload['id']}", headers={"Accept": "text/html"}).json()["code"] == "not_acceptable"


def test_an_upload_that_is_not_there_is_not_found(http: httpx.Client) -> None:
    for upload_id in ("01a1fc7b-8bbe-70b6-ad89-0aa3b642b6c4", "nothing"):
        answer = http.get(f"/v1/uploads/{upload_id}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_output_of_an_earlier_job_can_be_worked_on(server: ThreadServer, http: httpx.Client, job: str) -> None:
    ref = f"job:{job}/0"
    with Viewer(server) as viewer:
        viewer.submit("upscale", params={"image": ref, "factor": 2.0})
        ready = next(each for each in viewer.until_end() if each["type"] == "output.ready")
    assert (ready["data"]["width"], ready["data"]["height"]) == (96, 64)
    missing = http.post("/v1/jobs", json={"task": "upscale", "params": {"image": f"job:{job}/1"}})
    assert (missing.status_code, missing.json()["field"]) == (422, "$.params.image")


def test_output_that_is_half_written_is_not_served(server: ThreadServer, http: httpx.Client) -> None:
    job_id = submit(http, params=PRINT | {"steps": 1000, "step_ms": 20})["id"]
    started_running(http, job_id)
    folder = server.services.files.output(job_id, 0, "image/png").parent
    folder.mkdir(parents=True)
    (folder / "0.png.part").write_bytes(png()[:50])
    for name in ("0", "0.png", "0.png.part", "0.part"):
        assert http.get(f"/v1/jobs/{job_id}/outputs/{name}").status_code == 404
    ref = {"task": "upscale", "params": {"image": f"job:{job_id}/0"}}
    assert http.post("/v1/jobs", json=ref).status_code == 422
    http.delete(f"/v1/jobs/{job_id}")
    assert finished(http, job_id)["outputs"] == []


def test_inline_picture_is_told_of_by_its_hash_only(http: httpx.Client) -> None:
    content = png(32, 32)
    job = finished(http, submit(http, "upscale", params={"image": inline(content)})["id"])
    assert job["params"]["image"] == f"inline:{hashlib.sha256(content).hexdigest()[:16]}"
    url = f"data:image/png;base64,{inline(content)}"
    again = finished(http, submit(http, "upscale", params={"image": url})["id"])
    assert again["params"]["image"] == job["params"]["image"]
    assert again["outputs"][0]["sha256"] == job["outputs"][0]["sha256"]


def test_preview_can_be_fetched_while_a_job_runs_and_not_after(http: httpx.Client) -> None:
    job_id = submit(http, params=PRINT | {"steps": 1000, "step_ms": 5}, previews="all")["id"]
    until(lambda: http.get(f"/v1/jobs/{job_id}/preview").status_code == 200, "a preview")
    answer = http.get(f"/v1/jobs/{job_id}/preview")
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("image/jpeg", "no-store")
    assert opened(answer).size == (48, 32)
    http.delete(f"/v1/jobs/{job_id}")
    finished(http, job_id)
    assert http.get(f"/v1/jobs/{job_id}/preview").status_code == 404


def rows_and_files(data_dir: Path) -> tuple[int, list[Path]]:
    tables = ("jobs", "events", "outputs", "uploads", "idempotency")
    with closing(sqlite3.connect(data_dir / "safelight.db")) as database:
        rows = sum(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)
    try:
        return rows, [path for kind in ("jobs", "uploads") for path in (data_dir / kind).rglob("*") if path.is_file()]
    except FileNotFoundError:  # a folder that was there a moment ago is being removed
        return rows, [data_dir]


def test_what_has_had_its_time_is_gone_with_its_rows_and_files(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    times = {"job_ttl_s": 0.3, "upload_ttl_s": 0.3, "idempotency_ttl_s": 0.3, "expiry_interval_s": 0.05}
    with thread_server(data_dir, **times) as server, server.client() as http:
        ref = http.post("/v1/uploads", content=png()).json()["ref"]
        job = http.post(
            "/v1/jobs", json={"task": "upscale", "params": {"image": ref}}, headers={"Idempotency-Key": "a"}
        ).json()
        assert "expires_at" in finished(http, job["id"])
        until(lambda: rows_and_files(data_dir) == (0, []), "rows and files to be removed")
        for path in ("", "/events", "/outputs/0"):
            assert http.get(f"/v1/jobs/{job['id']}{path}").status_code == 404
        gone = http.post("/v1/jobs", json={"task": "upscale", "params": {"image": ref}})
        assert (gone.status_code, gone.json()["code"]) == (422, "invalid_params")
        assert "expired" in gone.json()["detail"]


def test_job_that_has_not_ended_never_expires(tmp_path: Path) -> None:
    with thread_server(tmp_path / "data", job_ttl_s=0.01, expiry_interval_s=0.01) as server, server.client() as http:
        with Viewer(server) as viewer:
            job = viewer.submit(params=PRINT | {"images": 3, "steps": 10, "step_ms": 10})
            told = viewer.until_end()
        assert [each["type"] for each in told].count("output.ready") == 3
        until(lambda: http.get(f"/v1/jobs/{job['id']}").status_code == 404, "the job to expire")


def test_input_of_a_job_outlives_the_upload_it_came_from(tmp_path: Path) -> None:
    settings = {"upload_ttl_s": 0.05, "expiry_interval_s": 0.02, "max_live_jobs": 1}
    with thread_server(tmp_path / "data", **settings) as server, server.client() as http:
        busy = submit(http, params=PRINT | {"steps": 1000, "step_ms": 20})["id"]
        started_running(http, busy)
        ref = http.post("/v1/uploads", content=png()).json()["ref"]
        job = submit(http, "upscale", params={"image": ref})
        until(lambda: not list((tmp_path / "data" / "uploads").glob("??/*")), "the upload to expire")
        http.delete(f"/v1/jobs/{busy}")
        assert finished(http, job["id"])["status"] == "succeeded"


def test_job_that_cannot_be_stored_is_refused_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with thread_server(tmp_path / "data") as server, server.client() as http:
        store = server.services.store

        async def full(_batch: object) -> None:
            raise StoreUnavailable("disk full")

        with monkeypatch.context() as broken:
            broken.setattr(store, "commit", full)
            answer = http.post("/v1/jobs", json={"task": "upscale", "params": {"image": inline(png())}})
            assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
            assert int(answer.headers["retry-after"]) >= 1
        assert rows_and_files(tmp_path / "data") == (0, [])
        job = submit(http, "upscale", params={"image": inline(png())})
        assert finished(http, job["id"])["status"] == "succeeded"
