"""Things counted as they happen, and waited for."""

import asyncio


class Tally:
    """How often something has happened."""

    def __init__(self) -> None:
        self.count = 0
        self._goals: list[tuple[int, asyncio.Future[None]]] = []

    def add(self) -> None:
        self.count += 1
        for goal, reached in self._goals:
            if self.count >= goal and not reached.done():
                reached.set_result(None)

    async def reaches(self, count: int) -> None:
        """Wait until it has happened so often."""
        if self.count < count:
            reached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._goals.append((count, reached))
            await reached


class WatchedEvent(asyncio.Event):
    """An event that can also be waited for to be clear: whoever works when it is set has begun to."""

    def __init__(self) -> None:
        super().__init__()
        self._is_clear = asyncio.Event()
        self._is_clear.set()

    def set(self) -> None:
        self._is_clear.clear()
        super().set()

    def clear(self) -> None:
        super().clear()
        self._is_clear.set()

    async def wait_clear(self) -> None:
        await self._is_clear.wait()
