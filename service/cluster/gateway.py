"""The role of a gateway: follows the facts of its cluster, and if it is in charge does what one does for all."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

import structlog
from nats.aio.msg import Msg

from protocol.codec import MSGPACK, event_from
from protocol.errors import ProtocolError
from service.cluster.connection import Connection, Unavailable, asking
from service.cluster.follower import Follower
from service.cluster.gateway_broker import GatewayBroker
from service.cluster.hint_feed import HintFeed
from service.cluster.leases import Lease
from service.cluster.names import Names
from service.cluster.objects import StoreAway
from service.cluster.reconciler import Reconciler
from service.cluster.shared_files import SharedFiles
from service.cluster.snapshots import Snapshots
from service.cluster.stream_log import StreamLog
from service.cluster.stream_projection import StreamProjection
from service.cluster.workers import Workers
from service.drafts import Draft
from service.queue_view import QueueView
from service.store import Store

logger = structlog.get_logger(__name__)

_STOP_S: Final = 2.0
_COUNT_S: Final = 5.0
_ORPHANS_S: Final = 6 * 3600.0


class Gateway:
    """Implements `service.role.Role`. For the event loop only."""

    def __init__(
        self,
        connection: Connection,
        names: Names,
        *,
        stream_id: str,
        store: Store,
        log: StreamLog,
        queue: QueueView,
        broker: GatewayBroker,
        follower: Follower,
        streamed: StreamProjection,
        hints: HintFeed,
        workers: Workers,
        files: SharedFiles,
        lease: Lease,
        reconciler: Reconciler,
        snapshots: Snapshots,
        reconcile_s: float,
        snapshot_after: int,
    ) -> None:
        self._connection = connection
        self._names = names
        self._stream_id = stream_id
        self._store = store
        self._log = log
        self._queue = queue
        self._broker = broker
        self._follower = follower
        self._streamed = streamed
        self._hints = hints
        self._workers = workers
        self._files = files
        self._lease = lease
        self._reconciler = reconciler
        self._snapshots = snapshots
        self._reconcile_s = reconcile_s
        self._snapshot_after = snapshot_after
        self.charge_changed = asyncio.Event()
        """Set when the lease may have come or gone."""
        self._has_begun = asyncio.Event()
        self.on_ready: Callable[[], None] = lambda: None
        connection.on_reconnect.append(hints.again)

    def tasks(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        yield "hints", self._hints.run()
        yield "workers", self._workers.run()
        yield "files", self._files.run()
        yield "lease", self._lease.run()
        yield "charge", self._run_in_charge()

    async def take_over(self) -> None:
        await self._store.adopt(self._stream_id)
        await self._streamed.load(self._queue.enqueue)
        self._log.begin(self._streamed.position)
        self._has_begun.set()
        with asking("hints"):
            await self._connection.nats.subscribe(self._names.server_hints, cb=self._server_hint)
        while True:
            try:
                position = await self._follower.catch_up()
            except Unavailable:
                await self._connection.until_connected()
            else:
                break
        await self._workers.until_current()
        logger.info("gateway.ready", position=position, workers=len(self._workers.current()))
        self.on_ready()

    def pause(self) -> None:
        """It takes nothing up that would have to be handed back."""

    async def stop(self, timeout_s: float) -> None:
        await self._broker.settle(timeout_s)

    async def settle(self, timeout_s: float) -> None:
        """What was accepted is in the stream when it is answered."""

    async def close(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_S):
                await self._connection.close()

    async def _run_in_charge(self) -> None:
        """Do what one gateway does for all, while that is this one."""
        await self._has_begun.wait()
        while True:
            await self._charge_changes(is_held=True)
            logger.info("gateway.in_charge")
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._reconciler.run(self._reconcile_s), name="reconciler"),
                    group.create_task(self._reconciler.count(_COUNT_S), name="row counts"),
                    group.create_task(self._remove_orphans(), name="orphans"),
                    group.create_task(self._snapshots.run(self._store, self._snapshot_after), name="snapshots"),
                ]
                await self._charge_changes(is_held=False)
                for task in tasks:
                    task.cancel()

    async def _remove_orphans(self) -> None:
        """Remove objects of no job, now and then."""
        while True:
            await asyncio.sleep(_ORPHANS_S)
            with contextlib.suppress(StoreAway):  # it has been told of; the next time will do
                await self._files.remove_shared_orphans(self._store.knows_job)

    async def _charge_changes(self, *, is_held: bool) -> None:
        while self._lease.is_held is not is_held:
            self.charge_changed.clear()
            await self.charge_changed.wait()

    async def _server_hint(self, message: Msg) -> None:
        try:
            event = event_from(MSGPACK.decode(message.data))
        except ProtocolError as error:
            logger.debug("hint.unreadable", subject=message.subject, reason=str(error))
            return
        self._log.put([Draft(event.body, None)])
