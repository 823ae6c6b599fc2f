"""An asynchronous server of a test on a thread of its own, for tests that are not asynchronous."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar

from tests.servers import DEADLINE_S

T = TypeVar("T")


class OnItsThread:
    """Lets things be done on the thread of a server's loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` there, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(DEADLINE_S)


@contextmanager
def on_a_thread(make: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[tuple[T, OnItsThread]]:
    """Run what `make` makes, until the block ends. Plain attributes of it may be read and set from here."""
    running: list[tuple[T, OnItsThread]] = []
    problems: list[BaseException] = []
    enough = asyncio.Event()
    started = threading.Event()

    async def serve() -> None:
        async with make() as server:
            running.append((server, OnItsThread(asyncio.get_running_loop())))
            started.set()
            await enough.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as problem:  # noqa: BLE001 - shown by the test that started it
            problems.append(problem)
        finally:
            started.set()

    async def stop() -> None:
        enough.set()

    thread = threading.Thread(target=run, name="test-loop", daemon=True)
    thread.start()
    assert started.wait(DEADLINE_S)
    if problems:
        raise problems[0]
    server, there = running[0]
    try:
        yield server, there
    finally:
        there.do(stop())
        thread.join(DEADLINE_S)
    assert not thread.is_alive(), "the server did not stop"
    if problems:
        raise problems[0]
