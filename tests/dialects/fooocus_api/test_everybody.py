"""The dialect on a listener without a profile, beside our own API and the others; and a server that needs a key."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.dialects.fooocus_api.callers import TEXT, asked
from tests.dialects.pictures import b64, png
from tests.servers import thread_server


@pytest.fixture(scope="module")
def everybody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with thread_server(tmp_path_factory.mktemp("everybody") / "data") as server, server.client() as client:
        yield client


def test_its_paths_answer_beside_our_own(everybody: httpx.Client) -> None:
    assert everybody.get("/ping").json() == "pong"
    assert everybody.post(TEXT, json=asked()).json()[0]["finish_reason"] == "SUCCESS"
    assert everybody.get("/v1/jobs").status_code == 200


def test_what_nobody_answers_below_its_paths_is_refused_in_its_words_and_else_in_ours(everybody: httpx.Client) -> None:
    for path in ("/v1/generation/nope", "/v1/engines/nope", "/v1/tools/nope", "/v2/nope", "/files/nope"):
        assert everybody.get(path).json() == {"detail": "Not Found"}
    assert everybody.get("/v1/nope").json()["code"] == "not_found"
    assert everybody.delete("/ping").json() == {"detail": "Method Not Allowed"}


def test_the_start_page_stays_ours(everybody: httpx.Client) -> None:
    assert "/docs" in everybody.get("/", headers={"Accept": "text/html"}).text


def test_the_key_may_come_as_bearer_too_and_files_and_documents_need_none(tmp_path: Path) -> None:
    with (
        thread_server(tmp_path / "data", listen="0=fooocus_api", api={"keys": ["k"]}) as server,
        server.client() as client,
    ):
        (made,) = client.post(TEXT, json=asked(), headers={"X-API-KEY": "k"}).json()
        assert client.get("/ping", headers={"Authorization": "Bearer k"}).json() == "pong"
        assert client.get("/ping").json() == {"detail": "Forbidden"}
        assert client.get(made["url"]).status_code == 200
        for path in ("/docs", "/redoc", "/openapi.json"):
            assert client.get(path).status_code == 200


def test_memory_is_given_back_when_it_is_asked_for(everybody: httpx.Client) -> None:
    assert everybody.get("/v1/engines/clean_vram").json() == {"message": "ok"}


def test_a_picture_is_described_and_masked(everybody: httpx.Client) -> None:
    for params, style in (({"image_type": "Anime"}, "anime"), ({"type": "Anime"}, "anime"), ({}, "photo")):
        for place in ("params", "data"):
            answer = everybody.post("/v1/tools/describe-image", files={"image": png()}, **{place: params})
            assert answer.json()["describe"].endswith(style)
    for place in ("params", "data"):
        wrong = {place: {"image_type": "Oil"}}
        assert everybody.post("/v1/tools/describe-image", files={"image": png()}, **wrong).status_code == 422
    assert everybody.post("/v1/tools/describe-image").json()["detail"][0]["loc"] == ["body", "image"]
    made = everybody.post("/v1/tools/generate_mask", json={"image": b64(png()), "mask_model": "u2netp"})
    assert made.json().startswith("iVBORw0KGgo"), "a PNG as a text"
