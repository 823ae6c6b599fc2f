"""Starting and stopping a server, in order."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import anyio.to_thread
import structlog

from engine.interface.engine import EngineStatus
from protocol.events import SERVER_HINTS, ServerDraining
from service.bridge import Bridge, Emitted
from service.pump import Draft
from service.recovery import recover, remove_orphans
from service.wiring import Services

logger = structlog.get_logger(__name__)

_RESTARTING: Final = 1012
_GOODBYE_S: Final = 2.0
_KEY_CHECK_S: Final = 5.0


class Lifecycle:
    """Runs the background tasks of one server.

    Every one of them belongs to the task group that `running` opens: one that fails ends the server, with its
    exception, instead of leaving it half alive.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._draining: asyncio.Task[None] | None = None
        self.on_failure: Callable[[], None] = lambda: None
        """Called when a background task has failed: the server cannot go on."""
        self.on_ready: Callable[[], None] = lambda: None
        """Called once the engine is loaded: what is in memory then stays there, what comes later are mostly jobs."""
        self._is_ready = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The server's work, from an open store to a closed one."""
        services = self._services
        await services.store.open()
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(work, name=name)
                    for name, work in (
                        ("pump", services.pump.run()),
                        ("copies", services.copies.run()),
                        ("dispatcher", services.dispatcher.run()),
                        ("moves", services.dispatcher.tell_moves()),
                        ("expiry", services.expiry.run()),
                        ("webhooks", services.webhooks.run()),
                        ("downloads", services.downloads.run()),
                        ("wanted files", services.wanted_files.run()),
                        ("keys", self._check_keys()),
                    )
                ]
                await asyncio.sleep(0)  # the pump reads where to go on numbering before anything is given to it
                await recover(
                    services.store,
                    services.ledger,
                    services.submissions,
                    services.dispatcher,
                    services.pump,
                    max_attempts=services.settings.max_attempts,
                )
                tasks.append(group.create_task(remove_orphans(services.store, services.files), name="orphans"))
                await services.keys.refresh()
                bridge = Bridge(asyncio.get_running_loop(), self._take, self._engine_changed)
                services.announcer.connect(bridge)
                services.engine.start(bridge, services.files, bridge.changed)
                try:
                    yield
                finally:
                    await self.drain()
                    bridge.drain()
                    await self._tell_the_rest()
                    for task in tasks:
                        task.cancel()
        except* Exception:
            logger.critical("server.failed", exc_info=True)
            self.on_failure()
            raise
        finally:
            await services.store.close()

    async def _check_keys(self) -> None:
        """See to it that a key that is revoked stops working on sockets that are open, too."""
        while True:
            await asyncio.sleep(_KEY_CHECK_S)
            for opened in list(self._services.sockets):
                await opened.check_key()

    async def drain(self) -> None:
        """Stop: admit nothing, end or hand back what runs, tell it, say goodbye. Once, however often it is called."""
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain())
        await asyncio.shield(self._draining)

    async def _drain(self) -> None:
        services = self._services
        logger.info("server.draining", live=services.engine.state().live_jobs, waiting=len(services.admission))
        services.submissions.is_draining = True
        services.pump.put([Draft(ServerDraining(reconnect_to=services.settings.reconnect_to), None)])
        services.dispatcher.pause()
        await services.submissions.settle()
        timeout_s = services.settings.shutdown_timeout_s
        if not await anyio.to_thread.run_sync(services.engine.stop, timeout_s):
            logger.error("engine.left_behind", timeout_s=timeout_s)
        await asyncio.sleep(0)  # what the engine told last is on its way through the bridge
        await self._tell_the_rest()
        for outlet in (*services.outlets, *services.jobs.outlets):
            outlet.close()
        goodbyes = [
            asyncio.create_task(socket.close(_RESTARTING, "the server is stopping; reconnect and resume"))
            for socket in list(services.sockets)
        ]
        if goodbyes:  # one that does not read must not hold up the end
            await asyncio.wait(goodbyes, timeout=_GOODBYE_S)

    async def _tell_the_rest(self) -> None:
        """Wait until what has happened is stored and told, but not for ever: the disk may be full."""
        timeout_s = self._services.settings.shutdown_timeout_s
        await self._services.copies.settle(timeout_s)
        try:
            async with asyncio.timeout(timeout_s):
                await self._services.pump.drained()
        except TimeoutError:  # the next server finds these jobs as they were stored last, and takes them over
            logger.error("pump.left_behind")

    def _engine_changed(self) -> None:
        self._services.dispatcher.wake()
        if not self._is_ready and self._services.engine.state().status is EngineStatus.READY:
            self._is_ready = True
            self.on_ready()

    def _take(self, emitted: Sequence[Emitted]) -> None:
        self._services.copies.take(
            Draft(item.body, None if isinstance(item.body, SERVER_HINTS) else item.job_id, item.attempt)
            for item in emitted
        )
