"""A server whose store fails while it runs."""

import asyncio
from pathlib import Path

import pytest

from engine.interface.engine import EngineStatus
from protocol.events import JobStarted
from protocol.jobs import JobStatus
from service.auth import LOCAL
from service.database import StoreUnavailable
from service.drafts import Draft
from service.lifecycle import Lifecycle
from service.settings import Settings
from service.submissions import Submission
from service.wiring import wire
from tests.servers import DEADLINE_S, thread_server

pytestmark = pytest.mark.anyio
BODY = {"task": "test_pattern", "params": {"width": 8, "height": 8}}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def refuse(_statements: object) -> None:
    raise StoreUnavailable("disk full")


async def test_a_server_that_cannot_store_any_more_can_still_be_stopped(tmp_path: Path) -> None:
    settings = Settings(engine="fake", data_dir=tmp_path, shutdown_timeout_s=0.2)  # type: ignore[arg-type] # a name
    services = wire(settings)
    services.engine.has_room = lambda _run: False  # type: ignore[method-assign]
    async with asyncio.timeout(DEADLINE_S):
        async with Lifecycle(services).running():
            job_id = (await services.submissions.submit(Submission(BODY, LOCAL))).job.id
            services.store._write = refuse  # type: ignore[method-assign]
            services.log.put([Draft(JobStarted(worker="w", device="d", attempt=1), job_id)])
            while services.log.is_healthy:
                await asyncio.sleep(0)
        again = wire(settings)
        async with Lifecycle(again).running():  # the job is as it was stored last, and goes on
            assert (await again.jobs.wait(job_id, LOCAL, DEADLINE_S)).status is JobStatus.SUCCEEDED


async def test_an_upload_that_cannot_be_stored_is_answered_with_when_to_come_back(tmp_path: Path) -> None:
    picture = (
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00\x90wS\xde"
        b"\x00\x00\x00\x0cIDATx\x9cc\xf8\xcf\xc0\x00\x00\x03\x01\x01\x00\xc9\xfe\x92\xef\x00\x00\x00\x00IEND\xaeB`\x82"
    )
    with thread_server(tmp_path) as server, server.client() as http:
        server.services.store._write = refuse  # type: ignore[method-assign]
        answer = http.post("/v1/uploads", content=picture)
        assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
        assert answer.headers["Retry-After"] == "5"
        del server.services.store._write  # type: ignore[attr-defined] # the class's own is found again
        assert http.post("/v1/uploads", content=picture).status_code == 201


async def test_it_is_said_once_that_the_engine_is_loaded(tmp_path: Path) -> None:
    services = wire(Settings(engine="fake", data_dir=tmp_path))  # type: ignore[arg-type] # a name
    lifecycle = Lifecycle(services)
    told = asyncio.Queue[EngineStatus]()
    lifecycle.on_ready = lambda: told.put_nowait(services.engine.state().status)
    async with asyncio.timeout(DEADLINE_S), lifecycle.running():
        assert await told.get() is EngineStatus.READY
        job_id = (await services.submissions.submit(Submission(BODY, LOCAL))).job.id
        assert (await services.jobs.wait(job_id, LOCAL, DEADLINE_S)).status is JobStatus.SUCCEEDED
    assert told.empty()
