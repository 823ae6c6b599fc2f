"""Gateways and workers of a cluster that are whole but for sockets and engine: a test is the client, and the engine."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from engine.interface.engine import EngineState, EngineStatus, ModelMemory
from protocol.events import EventBody
from protocol.models import ModelInfo
from service.broker import Claim
from service.cluster.announcer import Announcer
from service.cluster.cancels import CancelWatch
from service.cluster.claims import Claims
from service.cluster.connection import Connection, connect
from service.cluster.fact_writer import FactWriter
from service.cluster.follower import Follower
from service.cluster.gateway import Gateway
from service.cluster.gateway_broker import GatewayBroker
from service.cluster.hint_teller import HintTeller
from service.cluster.kv import Bucket
from service.cluster.names import Names
from service.cluster.objects import Objects
from service.cluster.shared_files import SharedFiles
from service.cluster.stream_log import StreamLog
from service.cluster.stream_projection import StreamProjection
from service.cluster.stream_settings import Bucket as BucketName
from service.cluster.work_queue import WorkQueue
from service.cluster.work_rows import WorkRows
from service.cluster.worker import Worker
from service.cluster.worker_broker import WorkerBroker
from service.cluster.workers import Workers
from service.drafts import Draft
from service.gateway_wiring import cluster_objects, gateway
from service.ledger import Ledger
from service.lifecycle import Lifecycle
from service.settings import Settings
from service.wiring import Services
from tests.cluster.jobs import Heard, fits
from tests.cluster.members import join, running
from tests.servers import DEADLINE_S


class GatewayDesk:
    """A gateway that runs. Its parts are those of a real one."""

    def __init__(self, services: Services) -> None:
        role, broker, log = services.role, services.broker, services.log
        assert isinstance(role, Gateway)
        assert isinstance(broker, GatewayBroker)
        assert isinstance(log, StreamLog)
        self.services = services
        self.role = role
        self.broker = broker
        self.log = log
        self.store = services.store
        self.ledger = services.ledger
        self.heard = Heard()
        services.projection.listeners.append(self.heard)

    @property
    def connection(self) -> Connection:
        return self.role._connection

    @property
    def writer(self) -> FactWriter:
        return self.broker._writer

    @property
    def follower(self) -> Follower:
        return self.broker._follower

    @property
    def streamed(self) -> StreamProjection:
        return self.role._streamed

    async def submit(self, job: Draft, *notes: EventBody) -> str:
        """Accept a job; returns its id."""
        assert job.job_id is not None
        await self.broker.submit(job, *(Draft(note, job.job_id, record=job.record) for note in notes))
        return job.job_id


@asynccontextmanager
async def gateway_desk(settings: Settings, folder: Path) -> AsyncIterator[GatewayDesk]:
    """Run a gateway with its data in `folder` until the block ends."""
    mine = settings.model_copy(update={"data_dir": folder})
    async with gateway(mine) as services:
        desk = GatewayDesk(services)
        async with Lifecycle(services).running():
            yield desk


class TestEngine:
    """What a worker asks of its engine, noted."""

    __test__ = False

    def __init__(self) -> None:
        self.cancelled: list[tuple[str, str]] = []
        self.skipped: list[str] = []

    def state(self) -> EngineState:
        return EngineState(status=EngineStatus.READY, device="cpu", live_jobs=0, live_bytes=0, budget_bytes=0)

    def memory(self) -> ModelMemory:
        return ModelMemory()

    def resident_models(self) -> tuple[str, ...]:
        return ()

    def cancel(self, job_id: str, reason: str) -> None:
        self.cancelled.append((job_id, reason))

    def skip(self, job_id: str) -> None:
        self.skipped.append(job_id)


class _Workbench:
    """One at which nobody works: the test takes the claims."""

    def __init__(self, broker: WorkerBroker) -> None:
        self.pause = broker.pause

    def tasks(self) -> Iterator[tuple[str, Any]]:
        return iter(())

    def start(self) -> None:
        pass

    async def stop(self, timeout_s: float) -> None:
        pass

    async def settle(self, timeout_s: float) -> None:
        pass


class WorkerDesk:
    """A worker that runs.

    Attributes:
        is_served: what is asked whether a row is served.
    """

    def __init__(self, connection: Connection, names: Names, settings: Settings, files: SharedFiles, name: str) -> None:
        def bucket(which: BucketName) -> Bucket:
            return Bucket(connection, names.bucket(which))

        lost_s = settings.worker_lost_s
        self.connection = connection
        self.name = name
        self.engine = TestEngine()
        self.ledger = Ledger(numbers_by_clock=True)
        self.told: list[str] = []
        hints = HintTeller(connection, names)
        cancels = CancelWatch(
            connection, bucket(BucketName.CANCELS), lambda job_id, reason: self.broker.cancel(job_id, reason)
        )
        writer = FactWriter(connection, names)
        self.broker = WorkerBroker(
            connection,
            writer=writer,
            queue=WorkQueue(connection, names, WorkRows(connection, names, worker_lost_s=lost_s), worker_lost_s=lost_s),
            claims=Claims(
                connection,
                writer,
                Workers(connection, bucket(BucketName.WORKERS), worker_lost_s=lost_s),
                lost_s=lost_s,
                max_attempts=settings.max_attempts,
            ),
            cancels=cancels,
            hints=hints,
            ledger=self.ledger,
            files=files,
            most_live=settings.max_live_jobs,
            serves=lambda row: self.worker.serves(row),
            is_warm=lambda row: self.worker.is_warm(row),
        )
        self.announcer = Announcer(connection, bucket(BucketName.WORKERS), worker_lost_s=lost_s)
        models: Sequence[ModelInfo] = ()
        self.worker = Worker(
            connection,
            names,
            worker_id=name,
            broker=self.broker,
            workbench=_Workbench(self.broker),  # type: ignore[arg-type] # all it uses of one
            engine=self.engine,  # type: ignore[arg-type] # likewise
            announcer=self.announcer,
            cancels=cancels,
            hints=hints,
            ledger=self.ledger,
            files=files,
            models=lambda: models,
            lost_s=lost_s,
            stop_s=DEADLINE_S,
            drain_s=settings.drain_s,
        )
        self.cancels = cancels
        self.broker.on_cancel = self.engine.cancel
        self.broker.on_change = self.worker.changed
        self.broker.on_server_hint = self.worker.tell
        self.broker.on_told = lambda event, _record: self.told.append(event.type)

    async def claim(self) -> Claim:
        async with asyncio.timeout(3 * DEADLINE_S):
            return await self.broker.claim(fits)

    def tell(self, claim: Claim, *bodies: EventBody) -> None:
        """What the engine tells of a job."""
        self.broker.publish(drafts(claim, bodies))


def drafts(claim: Claim, bodies: Iterable[EventBody]) -> list[Draft]:
    return [Draft(body, claim.record.id, claim.record.attempt) for body in bodies]


@asynccontextmanager
async def worker_desk(
    settings: Settings, folder: Path, name: str = "one", *, url: str = ""
) -> AsyncIterator[WorkerDesk]:
    """Run a worker with its data in `folder` until the block ends, and then as if it had been told to stop.

    Args:
        url: where it looks for NATS, if not where `settings` say.
    """
    folder.mkdir(parents=True, exist_ok=True)
    assert settings.nats_url is not None
    connection = await connect(url or settings.nats_url, name)
    try:
        names = Names(settings.cluster)
        await join(connection, names, settings)
        files = SharedFiles(folder, objects_of(settings), cache_bytes=1 << 20)
        desk = WorkerDesk(connection, names, settings, files, name)
        async with running(desk.worker.run(asyncio.Event())):
            async with asyncio.timeout(DEADLINE_S):
                await desk.cancels.until_current()
                await desk.announcer.until_told()
            yield desk
    finally:
        await connection.close()


def objects_of(settings: Settings) -> Objects:
    return cluster_objects(settings)
