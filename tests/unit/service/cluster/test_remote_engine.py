"""What a gateway shows of engines that run elsewhere, and what a worker says of its health."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.testclient import TestClient

from engine.interface.engine import EngineStatus, ResidentModel
from service.cluster.names import Names
from service.cluster.presence import WorkerPresence
from service.cluster.remote_engine import RemoteEngine
from service.cluster.worker_health import make_health_app
from service.metrics import Metrics


def worker(worker_id: str, **more: Any) -> WorkerPresence:
    fields = {"name": worker_id, "device": "cuda", "status": EngineStatus.READY, "live_bytes": 1, "budget_bytes": 10}
    return WorkerPresence(id=worker_id, **{**fields, **more})


def engine(*workers: WorkerPresence, is_connected: bool = True) -> RemoteEngine:
    known: Mapping[str, WorkerPresence] = {each.id: each for each in workers}
    connection: Any = SimpleNamespace(is_connected=is_connected)
    return RemoteEngine(connection, Names(), lambda: known)


def test_workers_are_added_up_but_for_those_that_are_leaving() -> None:
    state = engine(
        worker("one", jobs=frozenset({"a", "b"})),
        worker("two", jobs=frozenset({"c"}), device="mps"),
        worker("three", status=EngineStatus.LOADING, device="rocm"),
        worker("four", is_draining=True, jobs=frozenset({"d"})),
    ).state()
    assert (state.status, state.device, state.live_jobs) == (EngineStatus.READY, "cuda, mps", 3)
    assert (state.live_bytes, state.budget_bytes) == (3, 30)
    assert state.detail == "2 of 3 workers are ready"


def test_a_gateway_is_ready_without_workers_and_not_without_nats() -> None:
    assert engine().state().status is EngineStatus.READY
    away = engine(worker("one"), is_connected=False).state()
    assert (away.status, away.detail) == (EngineStatus.LOADING, "NATS is away")


def test_a_model_in_the_memory_of_several_workers_is_shown_once_with_its_largest_size() -> None:
    shown = engine(
        worker("one", resident=(ResidentModel("a", 3), ResidentModel("b", 1))),
        worker("two", resident=(ResidentModel("a", 5),)),
    )
    assert {model.name: model.size_bytes for model in shown.memory().models} == {"a": 5, "b": 1}
    assert set(shown.resident_models()) == {"a", "b"}


@pytest.mark.parametrize(("problems", "status"), [([], 200), (["NATS is away"], 503)])
def test_a_worker_says_over_http_whether_it_takes_work(problems: list[str], status: int) -> None:
    made: Any = SimpleNamespace(problems=problems, id="one", jobs=("a", "b"))
    client = TestClient(make_health_app(made, Metrics()))
    ready = client.get("/v1/health/ready")
    assert ready.status_code == status
    assert ready.json() == {"ready": not problems, "problems": problems, "worker": "one", "jobs": 2}
    assert client.get("/v1/health/live").is_success
    assert "safelight_" in client.get("/metrics").text
