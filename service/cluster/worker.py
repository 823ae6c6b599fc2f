"""A worker of a cluster: an engine, and what joins it to the gateways. It has no database and no clients."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Final

import anyio.to_thread
import orjson
import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from engine.interface.engine import Engine, EngineStatus
from protocol.codec import MSGPACK
from protocol.events import EventBody
from protocol.models import ModelInfo
from protocol.version import SOFTWARE_VERSION
from service.clock import timestamp
from service.cluster.announcer import Announcer
from service.cluster.cancels import CancelWatch
from service.cluster.connection import Connection, Unavailable, asking
from service.cluster.hint_teller import HintTeller
from service.cluster.names import Names, Row, Verb, token
from service.cluster.presence import WorkerPresence
from service.cluster.shared_files import SharedFiles
from service.cluster.work_place import ANY_MODEL
from service.cluster.worker_broker import WorkerBroker
from service.ledger import Ledger
from service.workbench import Workbench

logger = structlog.get_logger(__name__)

_MODELS_S: Final = 30.0
"""How often the worker looks for models that were added or removed."""
_GOODBYE_S: Final = 2.0


class Worker:
    """See the module. For the event loop only.

    Args:
        worker_id: of this run of the worker.
        models: reads which models there are; blocks.
        stop_s: running steps may take this long at the end.
        drain_s: jobs that run are finished within so long, before the rest is handed back.
    """

    def __init__(
        self,
        connection: Connection,
        names: Names,
        *,
        worker_id: str,
        broker: WorkerBroker,
        workbench: Workbench,
        engine: Engine,
        announcer: Announcer,
        cancels: CancelWatch,
        hints: HintTeller,
        ledger: Ledger,
        files: SharedFiles,
        models: Callable[[], Sequence[ModelInfo]],
        lost_s: float,
        stop_s: float,
        drain_s: float,
    ) -> None:
        self._connection = connection
        self._names = names
        self.id = worker_id
        self._broker = broker
        self._workbench = workbench
        self._engine = engine
        self._announcer = announcer
        self._cancels = cancels
        self._hints = hints
        self._ledger = ledger
        self._files = files
        self._read_models = models
        self._lost_s = lost_s
        self._stop_s = stop_s
        self._drain_s = drain_s
        self._since = timestamp()
        self._models: Sequence[ModelInfo] = ()
        self._tokens: frozenset[str] = frozenset()
        self._changed = asyncio.Event()
        self._is_draining = False
        self._telling: set[asyncio.Task[None]] = set()

    # ---- what it is like -------------------------------------------------------------------------------------

    @property
    def jobs(self) -> tuple[str, ...]:
        """Those that are at it."""
        return self._broker.jobs

    @property
    def problems(self) -> list[str]:
        """Why it takes no work; none if it does."""
        state = self._engine.state()
        found = [] if state.status is EngineStatus.READY else [f"engine {state.status}: {state.detail}".rstrip(": ")]
        if not self._connection.is_connected:
            found.append("NATS is away")
        if self._is_draining:
            found.append("draining")
        return found

    @property
    def tokens(self) -> frozenset[str]:
        """Of the models it has."""
        return self._tokens

    def serves(self, row: Row) -> bool:
        """Whether it has what the jobs of a row need."""
        return row.model == ANY_MODEL or row.model in self._tokens

    def is_warm(self, row: Row) -> bool:
        """Whether that is in memory."""
        return row.model == ANY_MODEL or row.model in {
            token(name.rpartition(":")[2]) for name in self._engine.resident_models()
        }

    def changed(self) -> None:
        """Something others are to know of may have changed."""
        self._changed.set()

    def tell(self, body: EventBody) -> None:
        """Tell a hint of no job to the gateways."""
        event = self._ledger.stamp_server(body, timestamp())
        task = asyncio.create_task(self._publish(MSGPACK.event_frame(event)))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    # ---- its life --------------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then hand back what runs."""
        self._connection.on_reconnect += [self._beat, self._hints.show_all]
        async with asyncio.TaskGroup() as group:
            listening = await self._listen()
            tasks = [
                group.create_task(work, name=name)
                for name, work in (
                    *self._workbench.tasks(),
                    ("cancels", self._cancels.run()),
                    ("presence", self._announcer.run()),
                    ("beats", self._beat_on()),
                    ("models", self._look_for_models()),
                    ("state", self._tell_state()),
                    ("files", self._files.run()),
                )
            ]
            self._workbench.start()
            logger.info("worker.started", worker=self.id)
            try:
                await stop.wait()
            finally:
                await self._drain()
                for subscription in listening:
                    with contextlib.suppress(Unavailable), asking("leaving"):
                        await subscription.unsubscribe()
                for task in tasks:
                    task.cancel()
        with contextlib.suppress(Unavailable):
            await self._announcer.leave()

    async def _drain(self) -> None:
        logger.info("worker.draining", jobs=len(self._broker.jobs))
        self._is_draining = True
        self._announce()
        self._workbench.pause()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._drain_s):
                await self._broker.idle()
        await self._workbench.stop(self._stop_s)
        await self._workbench.settle(self._stop_s)
        try:
            async with asyncio.timeout(self._stop_s):
                await self._broker.settled()
        except TimeoutError:  # others find these jobs as they were told of last, and take them over
            logger.error("worker.left_behind", jobs=list(self._broker.jobs))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE_S):
                await self._broker.close()

    async def _beat_on(self) -> None:
        while True:
            await asyncio.sleep(self._lost_s / 4)
            await self._beat()

    async def _beat(self) -> None:
        # An engine that is stuck still beats: its watchdog has failed the job, and tells of it.
        await self._broker.beat()

    async def _look_for_models(self) -> None:
        while True:
            self._models = await anyio.to_thread.run_sync(self._read_models)
            self._tokens = frozenset(token(model.name) for model in self._models if model.is_present)
            self._changed.set()
            await asyncio.sleep(_MODELS_S)

    async def _tell_state(self) -> None:
        """Let others know how this worker is, when it changes and now and then."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._lost_s / 3):
                    await self._changed.wait()
            self._changed.clear()
            self._announce()

    def _announce(self) -> None:
        state, memory = self._engine.state(), self._engine.memory()
        self._announcer.announce(
            WorkerPresence(
                id=self.id,
                name=self.id,
                device=state.device,
                status=state.status,
                detail=state.detail,
                jobs=frozenset(self._broker.jobs),
                live_bytes=state.live_bytes,
                budget_bytes=state.budget_bytes,
                resident=memory.models,
                models=self._models,
                version=SOFTWARE_VERSION,
                since=self._since,
                is_draining=self._is_draining,
            )
        )

    # ---- what gateways ask of it -----------------------------------------------------------------------------

    async def _listen(self) -> list[Subscription]:
        verbs = {Verb.SHOW: self._show, Verb.SKIP: self._skip}
        with asking("listening"):
            return [
                *[
                    await self._connection.nats.subscribe(self._names.tell(self.id, verb), cb=heard)
                    for verb, heard in verbs.items()
                ],
                await self._connection.nats.subscribe(self._names.tell_all(Verb.UNLOAD), cb=self._unload),
            ]

    async def _show(self, message: Msg) -> None:
        await self._hints.show(message.data.decode("ascii", "replace"))

    async def _skip(self, message: Msg) -> None:
        self._engine.skip(message.data.decode("ascii", "replace"))

    async def _unload(self, message: Msg) -> None:
        asked = orjson.loads(message.data)
        self._engine.unload_model(asked["model"], asked["reason"])

    async def _publish(self, frame: bytes) -> None:
        with contextlib.suppress(Unavailable), asking("hints"):
            await self._connection.nats.publish(self._names.server_hints, frame)
