"""Starting and stopping a server, in order."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog

from protocol.events import ServerDraining
from service.database import StoreUnavailable
from service.drafts import Draft
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

    @property
    def on_ready(self) -> Callable[[], None]:
        """Called once what is loaded late is there; see `service.role.Role`."""
        return self._services.role.on_ready

    @on_ready.setter
    def on_ready(self, told: Callable[[], None]) -> None:
        self._services.role.on_ready = told

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The server's work, from an open store to a closed one."""
        services, role = self._services, self._services.role
        try:
            await services.store.open()
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(work, name=name)
                    for name, work in (
                        ("log", services.log.run()),
                        ("moves", services.queue.tell_moves()),
                        ("expiry", services.expiry.run()),
                        ("webhooks", services.webhooks.run()),
                        ("downloads", services.downloads.run()),
                        ("keys", self._check_keys()),
                        *role.tasks(),
                    )
                ]
                await asyncio.sleep(0)  # the log reads where to go on numbering before anything is given to it
                await services.keys.refresh()
                await role.take_over()
                try:
                    yield
                finally:
                    await self.drain()
                    await self._tell_the_rest()
                    for task in tasks:
                        task.cancel()
        except* Exception:
            logger.critical("server.failed", exc_info=True)
            self.on_failure()
            raise
        finally:
            await services.store.close()
            await role.close()

    async def _check_keys(self) -> None:
        """See to it that a key that is revoked stops working on sockets that are open, too."""
        while True:
            await asyncio.sleep(_KEY_CHECK_S)
            for opened in list(self._services.sockets):
                with contextlib.suppress(StoreUnavailable):  # it was let in, and whether that still holds shows later
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
        services.log.put([Draft(ServerDraining(reconnect_to=services.settings.reconnect_to), None)])
        services.role.pause()
        await services.submissions.settle()
        await services.role.stop(services.settings.shutdown_timeout_s)
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
        await self._services.role.settle(timeout_s)
        try:
            async with asyncio.timeout(timeout_s):
                await self._services.log.drained()
        except TimeoutError:  # the next server finds these jobs as they were stored last, and takes them over
            logger.error("pump.left_behind")
