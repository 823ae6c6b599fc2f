"""`/v1/models` on a running server with the fake engine: list, load, unload, hash, and who may."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from protocol.codec import JSON
from protocol.version import JSON_SUBPROTOCOL
from tests.servers import DEADLINE_S, ThreadServer, thread_server
from tests.unit.engine.library.model_files import LORA_SD1, SD1, write


@pytest.fixture
def server(tmp_path: Path, models_dir: Path) -> Iterator[ThreadServer]:
    with thread_server(tmp_path / "data", models_dir=models_dir) as running:
        yield running


@pytest.fixture
def topic(server: ThreadServer) -> Iterator[ClientConnection]:
    """A socket that hears the server topic."""
    with connect(server.ws_url, subprotocols=[JSON_SUBPROTOCOL]) as socket:  # type: ignore[list-item] # a NewType of str
        socket.send('{"type": "subscribe", "ref": "a", "topic": "server"}')
        assert JSON.decode(socket.recv(DEADLINE_S))["ok"]
        yield socket


def told(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """The next event of that kind."""
    while True:
        event = JSON.decode(socket.recv(DEADLINE_S))
        if event["type"] == kind:
            return dict(event["data"])


def listed(http: httpx.Client, **query: str) -> dict[str, dict[str, Any]]:
    answer = http.get("/v1/models", params=query)
    assert answer.status_code == 200, answer.text
    return {model["id"]: model for model in answer.json()["models"]}


def ended(http: httpx.Client, answer: httpx.Response) -> dict[str, Any]:
    """The job that an answer names, when it has ended."""
    assert answer.status_code == 202, answer.text
    return dict(http.get(answer.headers["location"], params={"wait": DEADLINE_S}).json())


def test_an_engine_without_models_lists_one_so_that_there_is_something_to_choose(http: httpx.Client) -> None:
    (model,) = listed(http).values()
    assert (model["id"], model["name"], model["kind"]) == ("checkpoint:fake", "fake", "checkpoint")
    assert model["is_default"]
    assert not model["is_loaded"]
    assert model["defaults"] == {"width": 64, "height": 64, "steps": 4, "guidance_scale": 7.0}
    assert "text_to_image" in model["tasks"]


def test_a_file_that_is_put_there_is_listed_without_a_restart_and_goes_with_its_file(
    http: httpx.Client, models_dir: Path
) -> None:
    assert "checkpoint:dreams" not in listed(http)
    path = write(models_dir / "checkpoints" / "dreams.safetensors", SD1)
    model = listed(http)["checkpoint:dreams"]
    assert (model["family"], model["source"], model["is_present"]) == ("sd1", "models", True)
    assert model["defaults"]["width"] == 512
    assert model["size_bytes"] == path.stat().st_size
    assert "sha256" not in model
    path.unlink()
    assert "checkpoint:dreams" not in listed(http)


def test_the_list_is_narrowed_by_kind_and_by_task(http: httpx.Client, models_dir: Path) -> None:
    write(models_dir / "ink.safetensors", LORA_SD1)
    assert set(listed(http, kind="lora")) == {"lora:ink"}
    assert set(listed(http, kind="checkpoint")) == {"checkpoint:fake"}
    assert set(listed(http, task="inpaint")) == {"checkpoint:fake", "lora:ink"}
    assert set(listed(http, kind="lora", task="erase")) == set()
    assert http.get("/v1/models", params={"kind": "sampler"}).json()["code"] == "invalid_params"


def test_a_model_is_found_by_name_and_by_id_and_another_is_not_found(http: httpx.Client, models_dir: Path) -> None:
    write(models_dir / "loras" / "fake.safetensors", LORA_SD1)
    assert http.get("/v1/models/fake").json()["id"] == "checkpoint:fake"
    assert http.get("/v1/models/lora:fake").json()["kind"] == "lora"
    refused = http.get("/v1/models/fak")
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    assert "'fake'" in refused.json()["detail"]


def test_a_name_with_slashes_is_a_name(http: httpx.Client, models_dir: Path) -> None:
    for folder in ("one", "two"):
        write(models_dir / "checkpoints" / folder / "same.safetensors", SD1)
    names = {model["name"] for model in listed(http).values()}
    assert {"checkpoints/one/same", "checkpoints/two/same"} <= names
    assert http.get("/v1/models/checkpoints/one/same").json()["name"] == "checkpoints/one/same"
    job = ended(http, http.post("/v1/models/checkpoints/one/same/load"))
    assert job["status"] == "succeeded"
    assert http.get("/v1/models/checkpoints/one/same").json()["is_loaded"]


def test_loading_is_a_job_and_the_model_is_in_memory_at_its_end_until_it_is_unloaded(
    http: httpx.Client, topic: ClientConnection
) -> None:
    answer = http.post("/v1/models/fake/load")
    job = ended(http, answer)
    assert (job["task"], job["status"], job["outputs"]) == ("load_model", "succeeded", [])
    assert told(topic, "model.loaded")["model"] == "checkpoint:fake"
    assert http.get("/v1/models/fake").json()["is_loaded"]
    asked = http.post("/v1/models/fake/unload")
    assert (asked.status_code, asked.json()["id"]) == (202, "checkpoint:fake")
    assert told(topic, "model.unloaded") == {"model": "checkpoint:fake", "reason": "asked by a client"}
    assert not http.get("/v1/models/fake").json()["is_loaded"]


def test_a_load_can_be_waited_for_and_repeated_safely(http: httpx.Client) -> None:
    headers = {"Idempotency-Key": "load-1", "Prefer": "wait=10"}
    first, again = (http.post("/v1/models/fake/load", headers=headers) for _ in range(2))
    assert (first.status_code, first.json()["status"]) == (200, "succeeded")
    assert again.json()["id"] == first.json()["id"]
    assert http.post("/v1/models/fake/load", headers={"Idempotency-Key": ""}).status_code == 422


def test_what_cannot_be_loaded_is_refused_before_there_is_a_job(http: httpx.Client, models_dir: Path) -> None:
    write(models_dir / "ink.safetensors", LORA_SD1)
    (models_dir / "broken.safetensors").write_bytes(b"nothing")
    for name, status, words in (
        ("nowhere", 404, "there is no"),
        ("lora:ink", 422, "of the kind lora"),
        ("broken", 422, "cannot be used"),
    ):
        refused = http.post(f"/v1/models/{name}/load")
        assert refused.status_code == status, refused.text
        assert words in refused.json()["detail"]
    assert http.post("/v1/models/nowhere/unload").status_code == 404
    assert http.get("/v1/jobs").json()["jobs"] == []


def test_a_hash_is_computed_when_it_is_asked_for_and_known_from_then_on(http: httpx.Client, models_dir: Path) -> None:
    path = write(models_dir / "dreams.safetensors", SD1)
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    assert "sha256" not in http.get("/v1/models/dreams").json()
    assert http.post("/v1/models/dreams/hash").json()["sha256"] == expected
    assert http.get("/v1/models/dreams").json()["sha256"] == expected
    assert http.post("/v1/models/dreams/hash").json()["sha256"] == expected
    assert http.post("/v1/models/fake/hash").json()["code"] == "invalid_params"


def test_a_model_that_nobody_uses_leaves_memory_after_its_time(tmp_path: Path, models_dir: Path) -> None:
    with (
        thread_server(tmp_path / "other", models_dir=models_dir, model_idle_s=0.2) as server,
        connect(server.ws_url, subprotocols=[JSON_SUBPROTOCOL]) as socket,  # type: ignore[list-item] # a NewType of str
        server.client() as http,
    ):
        socket.send('{"type": "subscribe", "topic": "server"}')
        ended(http, http.post("/v1/models/fake/load"))
        assert told(socket, "model.unloaded")["reason"] == "nobody has used it for a while"


def test_changing_models_needs_its_scope_and_looking_does_not(tmp_path: Path, models_dir: Path) -> None:
    from service.auth import Scope, add_key

    data_dir = tmp_path / "keyed"
    secret = add_key(data_dir, "viewer", [Scope.JOBS_READ, Scope.JOBS_WRITE])
    headers = {"X-API-Key": secret}
    with thread_server(data_dir, models_dir=models_dir) as server, server.client(headers=headers) as http:
        assert http.get("/v1/models").status_code == 200
        body = {"url": "https://example.org/a.safetensors", "kind": "checkpoint"}
        for path, content in (("fake/load", None), ("fake/unload", None), ("fake/hash", None), ("", body)):
            refused = http.post(f"/v1/models/{path}".rstrip("/"), json=content)
            assert refused.json()["code"] == "forbidden", path
        assert http.delete("/v1/models/fake/download").json()["code"] == "forbidden"
