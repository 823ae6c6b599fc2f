"""How a worker that has jobs lets others go first: over a real NATS."""

import asyncio
from pathlib import Path

import pytest

from service.cluster import worker_broker
from service.cluster.names import Names
from service.settings import load
from tests.cluster.desks import gateway_desk, worker_desk
from tests.cluster.jobs import SUCCEEDED, a_job, started
from tests.nats_servers import NatsServer
from tests.servers import DEADLINE_S

pytestmark = pytest.mark.anyio


async def test_a_worker_without_a_job_left_is_polite_no_longer(
    nats: NatsServer, names: Names, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_broker, "_POLITE_S", 100 * DEADLINE_S)
    (tmp_path / "objects").mkdir()
    objects_url = (tmp_path / "objects").as_uri()
    settings = load(None, {"nats_url": nats.url, "cluster": names.cluster, "objects_url": objects_url})
    async with (
        gateway_desk(settings, tmp_path / "gateway") as gateway,
        worker_desk(settings, tmp_path / "worker") as worker,
    ):
        first = await gateway.submit(a_job())
        claim = await worker.claim()
        worker.tell(claim, started(1, worker.name))
        await gateway.heard.until(first, "job.started")
        following = asyncio.create_task(worker.claim())
        second = await gateway.submit(a_job())
        assert not following.done()
        worker.tell(claim, SUCCEEDED)
        assert (await following).record.id == second
