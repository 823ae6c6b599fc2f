"""What a server tells of itself, as the page for people shows it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from protocol.events import ModelLoading, ModelUnloaded
from protocol.requests import TASKS
from protocol.server import ServerInfo
from protocol.version import PROTOCOL_VERSION, SOFTWARE_VERSION
from safelight import Client
from service.auth import Scope, add_key
from tests.integration.viewers import Viewer, finished, started_running, submit
from tests.servers import ThreadServer, thread_server, until

pytestmark = pytest.mark.usefixtures("quiet_log")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    limits = {"max_pixels": 1_000_000, "max_upload_bytes": 2_000_000, "allow_model_downloads": False}
    with thread_server(tmp_path_factory.mktemp("info") / "data", max_live_jobs=1, **limits) as running:
        yield running


def told(http: httpx.Client) -> Any:
    answer = http.get("/v1/server")
    assert answer.status_code == 200
    ServerInfo.model_validate_json(answer.content)
    return answer.json()


def test_server_says_what_it_is_and_takes(http: httpx.Client) -> None:
    until(lambda: told(http)["engine"]["status"] == "ready", "the engine")
    info = told(http)
    assert (info["version"], info["protocol"]) == (SOFTWARE_VERSION, PROTOCOL_VERSION)
    assert info["engine"] == {"status": "ready", "device": "fake"}
    assert info["tasks"] == [str(task) for task in TASKS]
    assert (info["limits"]["max_pixels"], info["limits"]["max_upload_bytes"]) == (1_000_000, 2_000_000)
    assert info["allows_downloads"] is False
    assert info["started_at"] < "2100"


def test_programs_are_told_the_same(server: ThreadServer, http: httpx.Client) -> None:
    with Client(server.url) as client:
        assert client.server() == ServerInfo.model_validate(told(http))


def test_models_in_memory_are_told_with_what_they_take(http: httpx.Client) -> None:
    before = told(http)["memory"]
    assert finished(http, http.post("/v1/models/fake/load").json()["id"])["status"] == "succeeded"
    info = told(http)
    (loaded,) = info["loaded"]
    assert loaded["id"] == "checkpoint:fake"
    assert info["memory"]["models_bytes"] == before["models_bytes"] + loaded["size_bytes"] > 0
    assert info["memory"]["models_budget_bytes"] > loaded["size_bytes"]
    assert info["loading"] == []
    assert http.post("/v1/models/fake/unload").status_code == 202
    until(lambda: told(http)["loaded"] == [], "the model to leave")
    assert told(http)["memory"] == before


def test_model_on_its_way_is_told_to_those_who_come_in_the_middle(server: ThreadServer, http: httpx.Client) -> None:
    server.services.announcer(ModelLoading(model="checkpoint:large", phase="read", done=3, total=10))
    until(lambda: told(http)["loading"] != [], "the event")
    assert told(http)["loading"] == [{"id": "checkpoint:large", "phase": "read", "done": 3, "total": 10}]
    with Viewer(server) as viewer:
        assert viewer.ask("subscribe", topic="server")["ok"]
        event = viewer.until("model.loading")[-1]
        assert event["data"] == {"model": "checkpoint:large", "phase": "read", "done": 3, "total": 10}
    server.services.announcer(ModelUnloaded(model="checkpoint:large", reason="its loading was given up"))
    until(lambda: told(http)["loading"] == [], "the end of it")


def test_running_and_waiting_jobs_are_counted(http: httpx.Client) -> None:
    long = {"steps": 1000, "step_ms": 20, "width": 8, "height": 8}
    running, waiting = (submit(http, params=long)["id"] for _ in range(2))
    started_running(http, running)
    info = told(http)
    assert info["jobs"] == {"running": 1, "waiting": {"interactive": 0, "batch": 1}}
    assert 0 < info["memory"]["jobs_bytes"] <= info["memory"]["jobs_budget_bytes"]
    for job_id in (waiting, running):
        http.delete(f"/v1/jobs/{job_id}")
        finished(http, job_id)
    assert told(http)["jobs"]["running"] == 0


def test_each_key_is_told_what_it_may_do_and_nobody_else_is_told_anything(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with thread_server(data_dir, api={"keys": ("key-of-anna",)}) as server, server.client() as http:
        refused = http.get("/v1/server")
        assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
        info = http.get("/v1/server", headers={"X-API-Key": "key-of-anna"}).json()
        assert info["key"] == {"is_needed": True, "scopes": ["jobs:read", "jobs:write", "models:write"]}
    secret = add_key(data_dir, "reader", {Scope.JOBS_READ})
    with thread_server(data_dir) as server, server.client(headers={"X-API-Key": secret}) as http:
        assert http.get("/v1/server").json()["key"] == {"is_needed": True, "scopes": ["jobs:read"]}


def test_server_without_keys_says_that_none_is_needed(http: httpx.Client) -> None:
    key = told(http)["key"]
    assert key["is_needed"] is False
    assert set(key["scopes"]) >= {"jobs:read", "jobs:write", "models:write"}
