"""Several outputs as one ZIP, over real sockets."""

import io
from collections.abc import Iterator
from typing import Any
from zipfile import ZipFile

import httpx
import pytest

from service.api import archives
from tests.integration.viewers import finished, submit
from tests.servers import ThreadServer, thread_server

pytestmark = pytest.mark.usefixtures("quiet_log")

ANNA, BERT = "key-of-anna", "key-of-bert"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    with thread_server(tmp_path_factory.mktemp("archives") / "data", api={"keys": (ANNA, BERT)}) as running:
        yield running


@pytest.fixture
def http(server: ThreadServer) -> Iterator[httpx.Client]:
    with server.client(headers={"X-API-Key": ANNA}) as client:
        yield client


def made(http: httpx.Client, images: int = 1, **params: object) -> Any:
    return finished(http, submit(http, params={"steps": 0, "width": 16, "height": 16, "images": images} | params)["id"])


def asked(http: httpx.Client, *outputs: dict[str, object]) -> httpx.Response:
    return http.post("/v1/archives", json={"outputs": outputs})


def names(*outputs: dict[str, Any]) -> list[str]:
    return [f"{output['url'].split('/')[3][-12:]}-{output['index']}.png" for output in outputs]


def test_archive_holds_the_outputs_asked_for_as_they_are(http: httpx.Client) -> None:
    one, several = made(http), made(http, images=3)
    answer = asked(http, {"job_id": several["id"], "index": 2}, {"job_id": one["id"], "index": 0})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    assert answer.headers["content-disposition"] == 'attachment; filename="safelight.zip"'
    wanted = [several["outputs"][2], *one["outputs"]]
    with ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == names(*wanted)
        for name, output in zip(archive.namelist(), wanted, strict=True):
            assert archive.read(name) == http.get(output["url"]).content


def test_job_without_an_index_stands_for_all_it_has_and_nothing_is_packed_twice(http: httpx.Client) -> None:
    job = made(http, images=3)
    answer = asked(http, {"job_id": job["id"], "index": 1}, {"job_id": job["id"]}, {"job_id": job["id"], "index": 1})
    with ZipFile(io.BytesIO(answer.content)) as archive:
        assert sorted(archive.namelist()) == names(*job["outputs"])


@pytest.mark.parametrize("wrong", ["unknown", "index", "other key", "file gone", "file damaged", "empty"])
def test_whatever_is_missing_is_told_before_anything_is_sent(
    server: ThreadServer, http: httpx.Client, wrong: str
) -> None:
    job, whole = made(http), {"job_id": made(http)["id"]}
    output: dict[str, object] = {"job_id": job["id"], "index": 0}
    path = server.services.files.output(job["id"], 0, "image/png")
    client = http
    with server.client(headers={"X-API-Key": BERT}) as bert:
        match wrong:
            case "unknown":
                output = {"job_id": "01900000-0000-7000-8000-000000000000"}
            case "index":
                output["index"] = 1
            case "other key":
                client = bert
            case "file gone":
                path.unlink()
            case "file damaged":
                path.write_bytes(b"half")
            case "empty":
                failed = made(http, fail_at_step=1, steps=1)
                assert failed["outputs"] == []
                output = whole = {"job_id": failed["id"]}
        answer = asked(client, whole, output)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "body",
    [{}, {"outputs": []}, {"outputs": [{}]}, {"outputs": [{"job_id": "x", "index": -1}]}, {"outputs": "all"}, []],
)
def test_what_is_no_list_of_outputs_is_refused(http: httpx.Client, body: object) -> None:
    answer = http.post("/v1/archives", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_params")


def test_more_than_a_thousand_are_refused(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(http, *[{"job_id": "x"}] * 1001).json()["field"] == "$.outputs"
    monkeypatch.setattr(archives, "MAX_ARCHIVED", 2)
    job = made(http, images=3)
    answer = asked(http, {"job_id": job["id"]})  # one that stands for three
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_params")


def test_archive_whose_output_goes_while_it_is_sent_is_not_taken_for_whole(
    server: ThreadServer, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = made(http), made(http)
    path = server.services.files.output(second["id"], 0, "image/png")
    check = archives._check
    monkeypatch.setattr(archives, "_check", lambda *args: (check(*args), path.unlink()))
    with pytest.raises(httpx.RemoteProtocolError):
        asked(http, {"job_id": first["id"]}, {"job_id": second["id"]})
