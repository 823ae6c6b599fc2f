"""A worker of a cluster, put together and run."""

import asyncio
import gc
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Final

import structlog
import uvicorn

from engine.interface.engine import EngineState, EngineStatus
from engine.prompting.expand import make_wordsmith
from protocol.ids import new_id
from service.bridge import Announcer as EngineAnnouncer
from service.cluster.announcer import Announcer
from service.cluster.cancels import CancelWatch
from service.cluster.claims import Claims
from service.cluster.connection import connect
from service.cluster.fact_writer import FactWriter
from service.cluster.hint_teller import HintTeller
from service.cluster.kv import Bucket
from service.cluster.names import Names
from service.cluster.objects import StoreAway
from service.cluster.shared_files import SharedFiles
from service.cluster.stream_settings import Bucket as BucketName
from service.cluster.streams import ensure, ensure_buckets
from service.cluster.work_queue import WorkQueue
from service.cluster.work_rows import WorkRows
from service.cluster.worker import Worker
from service.cluster.worker_broker import WorkerBroker
from service.cluster.worker_health import make_health_app
from service.cluster.workers import Workers
from service.copies import Copies
from service.data_folder import DataFolderInUse, DataFolderLock
from service.dispatcher import Dispatcher
from service.engine_wiring import make_engine, make_library_of, make_shelf
from service.gateway_wiring import cluster_objects, cluster_url
from service.ledger import Ledger
from service.logs import configure
from service.metrics import Gauges, Metrics
from service.object_store import ObjectStore
from service.settings import Settings, SettingsError
from service.wanted_files import WantedFiles
from service.wiring import storage_place
from service.workbench import Workbench

logger = structlog.get_logger(__name__)

_LOCAL: Final = "local"


@asynccontextmanager
async def worker(settings: Settings, metrics: Metrics) -> AsyncIterator[Worker]:
    """A worker, connected to its cluster. Nothing runs yet.

    Raises:
        SettingsError: NATS or the object store cannot be used as the settings say, or a stream is not as it has to be.
    """
    objects, url, names = cluster_objects(settings), cluster_url(settings), Names(settings.cluster)
    place = storage_place(settings)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    name = socket.gethostname() if settings.worker == _LOCAL else settings.worker
    worker_id = f"{name[:48]}-{new_id()[-8:]}"
    connection = await connect(url, f"worker-{worker_id}", credentials=settings.nats_credentials)
    try:
        await ensure(connection, names, settings)
        connection.on_reconnect.append(lambda: ensure_buckets(connection, names, settings))
        await objects.check()

        def bucket(which: BucketName) -> Bucket:
            return Bucket(connection, names.bucket(which))

        files = SharedFiles(settings.data_dir, objects, cache_bytes=settings.objects_cache_bytes)
        ledger = Ledger(numbers_by_clock=True)
        hints = HintTeller(connection, names)
        writer = FactWriter(connection, names)
        engine_announcer = EngineAnnouncer()
        library = make_library_of(settings)
        shelf = make_shelf(settings, library)
        wanted_files = WantedFiles(settings, engine_announcer)
        wordsmith = make_wordsmith(settings.models_dir, settings.model_folders)
        engine = make_engine(settings, library, wordsmith, engine_announcer, wanted_files, worker=worker_id)
        cancels = CancelWatch(
            connection, bucket(BucketName.CANCELS), lambda job_id, reason: broker.cancel(job_id, reason)
        )
        broker = WorkerBroker(
            connection,
            writer=writer,
            queue=WorkQueue(
                connection,
                names,
                WorkRows(connection, names, worker_lost_s=settings.worker_lost_s),
                worker_lost_s=settings.worker_lost_s,
            ),
            claims=Claims(
                connection,
                writer,
                Workers(connection, bucket(BucketName.WORKERS), worker_lost_s=settings.worker_lost_s),
                lost_s=settings.worker_lost_s,
                max_attempts=settings.max_attempts,
            ),
            cancels=cancels,
            hints=hints,
            ledger=ledger,
            files=files,
            most_live=settings.max_live_jobs,
            serves=lambda row: made.serves(row),
            is_warm=lambda row: made.is_warm(row),
            models=lambda: made.tokens,
        )
        copies = Copies(
            broker, broker.labels, files, place=place, storing=ObjectStore(place) if place is not None else None
        )
        copies.on_result = metrics.observe_copy
        workbench = Workbench(
            broker,
            engine,
            files,
            dispatcher=Dispatcher(broker, files, engine),
            copies=copies,
            announcer=engine_announcer,
            wanted_files=wanted_files,
        )
        made = Worker(
            connection,
            names,
            worker_id=worker_id,
            broker=broker,
            workbench=workbench,
            engine=engine,
            announcer=Announcer(connection, bucket(BucketName.WORKERS), worker_lost_s=settings.worker_lost_s),
            cancels=cancels,
            hints=hints,
            ledger=ledger,
            files=files,
            models=lambda: shelf.models(engine.resident_models()),
            lost_s=settings.worker_lost_s,
            stop_s=settings.shutdown_timeout_s,
            drain_s=settings.drain_s,
        )
        files.in_work = lambda: broker.jobs
        broker.is_able = lambda: engine.state().status is EngineStatus.READY
        broker.on_cancel = engine.cancel
        broker.on_change = made.changed
        broker.on_server_hint = made.tell
        broker.on_told = metrics.published
        metrics.watch(_gauges(lambda: replace(engine.state(), live_jobs=len(broker.jobs))))
        workbench.on_ready = gc.freeze
        yield made
    except StoreAway as error:
        raise SettingsError(str(error)) from None
    finally:
        await connection.close()


class _HealthServer(uvicorn.Server):
    """Leaves signals to the worker."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run_worker(settings: Settings, health_port: int | None = None) -> None:
    """Run a worker until SIGINT or SIGTERM.

    Args:
        health_port: where it answers whether it is well, on `settings.host`; None for nowhere.

    Raises:
        SystemExit: it could not start, or a part of it failed.
    """
    configure(settings)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    try:
        with (
            DataFolderLock(settings.data_dir),
            asyncio.Runner(loop_factory=uvicorn.Config("").get_loop_factory()) as runner,
        ):
            runner.run(_run(settings, health_port))
    except (DataFolderInUse, SettingsError) as error:
        raise SystemExit(f"error: {error}") from None
    except ExceptionGroup:
        logger.critical("worker.failed", exc_info=True)
        raise SystemExit(1) from None


async def _run(settings: Settings, health_port: int | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    metrics = Metrics()
    async with worker(settings, metrics) as made, asyncio.TaskGroup() as group:
        health = None
        if health_port is not None:
            config = uvicorn.Config(
                make_health_app(made, metrics),
                host=settings.host,
                port=health_port,
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
            )
            health = _HealthServer(config)
            group.create_task(health.serve(), name="health")
        await made.run(stop)
        if health is not None:
            health.should_exit = True


def _gauges(state: Callable[[], EngineState]) -> Gauges:
    return Gauges(queued=dict, engine=state, subscribers=lambda: 0, sockets=lambda: 0, deepest_buffer=lambda: 0)
