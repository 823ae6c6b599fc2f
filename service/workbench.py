"""The engine at work on what a broker has for it: of a server that is everything, and of a worker in a cluster."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

import anyio.to_thread
import structlog

from engine.interface.engine import Engine, EngineStatus
from protocol.events import SERVER_HINTS
from service.bridge import Announcer, Bridge, Emitted
from service.broker import Doer
from service.copies import Copies
from service.dispatcher import Dispatcher
from service.drafts import Draft
from service.files import Files
from service.wanted_files import WantedFiles

logger = structlog.get_logger(__name__)


class Workbench:
    """Starts and stops the engine, gives it jobs, and passes on what it tells. For the event loop only."""

    def __init__(
        self,
        broker: Doer,
        engine: Engine,
        files: Files,
        *,
        dispatcher: Dispatcher,
        copies: Copies,
        announcer: Announcer,
        wanted_files: WantedFiles,
    ) -> None:
        self._broker = broker
        self._engine = engine
        self._files = files
        self.dispatcher = dispatcher
        self._copies = copies
        self._announcer = announcer
        self._wanted_files = wanted_files
        self._bridge: Bridge | None = None
        self._is_ready = False
        self.on_ready: Callable[[], None] = lambda: None
        """Called once the engine is loaded: what is in memory then stays there, what comes later are mostly jobs."""

    def tasks(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        """What is to run beside, with its name."""
        yield "copies", self._copies.run()
        yield "dispatcher", self.dispatcher.run()
        yield "wanted files", self._wanted_files.run()

    def start(self) -> None:
        """Begin to load the engine; returns at once."""
        bridge = self._bridge = Bridge(asyncio.get_running_loop(), self._take, self._engine_changed)
        self._announcer.connect(bridge)
        self._engine.start(bridge, self._files, bridge.changed)

    def pause(self) -> None:
        """Claim nothing more."""
        self._broker.pause()

    async def stop(self, timeout_s: float) -> None:
        """Hand back what runs, and end the engine."""
        if not await anyio.to_thread.run_sync(self._engine.stop, timeout_s):
            logger.error("engine.left_behind", timeout_s=timeout_s)
        await asyncio.sleep(0)  # what the engine told last is on its way through the bridge

    async def settle(self, timeout_s: float) -> None:
        """Wait until what the engine has told is passed on, copies of its outputs included."""
        if self._bridge is not None:
            self._bridge.drain()
        await self._copies.settle(timeout_s)

    def _engine_changed(self) -> None:
        self._broker.wake()
        if not self._is_ready and self._engine.state().status is EngineStatus.READY:
            self._is_ready = True
            self.on_ready()

    def _take(self, emitted: Sequence[Emitted]) -> None:
        self._copies.take(
            Draft(item.body, None if isinstance(item.body, SERVER_HINTS) else item.job_id, item.attempt)
            for item in emitted
        )
