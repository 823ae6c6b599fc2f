"""Files on their way from elsewhere: from where they may come, how many at once, and who owns the work on them."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Final

from service.outbound import Outbound, Resolve, only, resolve_with_system
from service.partial_file import PartialFile
from service.settings import Settings
from service.transfer import DELAYS_S, Transfer

AT_ONCE: Final = 4
"""Transfers; others wait their turn."""


class Transfers:
    """The transfers of one purpose. For the event loop.

    What clients have downloaded and what jobs wait for are two of these: a job waits for no other's large file.

    Args:
        settings: `max_model_bytes`, `fetch_*` and `allow_private_urls` are read.
        resolve: host names to addresses.
        delays_s: between tries that brought nothing.
    """

    def __init__(
        self, settings: Settings, *, resolve: Resolve = resolve_with_system, delays_s: Sequence[float] = DELAYS_S
    ) -> None:
        self._settings = settings
        self._delays_s = delays_s
        self._outbound = Outbound(
            allow_private=settings.allow_private_urls, may_use_port=only(settings.fetch_ports), resolve=resolve
        )
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._group: asyncio.TaskGroup | None = None
        self.begun = asyncio.Event()
        """Set once work can be started."""

    @property
    def is_running(self) -> bool:
        return self._group is not None

    async def run(self) -> None:
        """Own the work until cancelled; what has arrived of each file then stays, to go on with."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self.begun.set()
                await asyncio.Event().wait()
        finally:
            self._group = None
            await self._outbound.aclose()

    def start(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        """Begin something that ends, at the latest, with `run`. Only while that runs."""
        assert self._group is not None, "nobody owns it"
        return self._group.create_task(work, name=name)

    def transfer(self, url: str, part: PartialFile, *, is_checked: bool, on_progress: Callable[[], None]) -> Transfer:
        """One file, not yet on its way; see there."""
        return Transfer(
            self._settings,
            self._outbound,
            url,
            part,
            is_checked=is_checked,
            on_progress=on_progress,
            delays_s=self._delays_s,
        )

    async def bring(self, transfer: Transfer) -> None:
        """Bring all of a file, when it is its turn.

        Raises:
            Refused, Unusable, OSError: as `Transfer.run`.
        """
        async with self._turns:
            await transfer.run()
