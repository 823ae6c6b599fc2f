"""A client that keeps watching while the server under it dies and comes back."""

import asyncio
from pathlib import Path
from typing import Literal

import pytest

from protocol.jobs import JobStatus
from safelight import AsyncClient
from tests.servers import DEADLINE_S, ProcessServer

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize("transport", ["websocket", "sse", "poll"])
async def test_a_viewer_outlives_the_server_and_sees_its_job_through(
    tmp_path: Path, transport: Literal["websocket", "sse", "poll"]
) -> None:
    with ProcessServer(tmp_path) as server:
        async with asyncio.timeout(6 * DEADLINE_S), AsyncClient(server.url, transport=transport) as client:
            job = await client.submit("test_pattern", steps=50, step_ms=20)
            facts = []
            async for event in job.events():
                if event.is_fact:
                    facts.append(event)
                    if len(facts) == 2:
                        server.kill()
                        await asyncio.to_thread(server.start)
            assert (await job.wait()).status is JobStatus.SUCCEEDED
            assert len(await job.result()) == 1
    assert [fact.seq for fact in facts] == list(range(1, len(facts) + 1))
    types = [fact.type for fact in facts]
    assert types[:2] == ["job.queued", "job.started"]
    assert "job.requeued" in types
    assert types[-1] == "job.succeeded"
