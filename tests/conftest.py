"""The running server, and clients for it."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import structlog

from tests.servers import ThreadServer, thread_server

_TESTS = Path(__file__).parent
_MOST_PROCESSES = 4
_NEW_OBJECTS = 10_000
"""So many more make the collector look; usually 700 do, which suits programs that load no models by the hundred."""


def _cores() -> list[int]:
    """The numbers of those this process may run on."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def pytest_configure() -> None:
    """Bind each of several test processes to one core: threads that calculate wait for each other otherwise.

    Before torch and OpenCV are imported, which count the cores then.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker and hasattr(os, "sched_setaffinity"):
        cores = _cores()
        os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})


def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores, four at most: many a test waits for a server, or for time to pass."""
    return min(_MOST_PROCESSES, len(_cores()) + 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the files of each folder over the run of several processes: some calculate while others wait."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    folders: dict[str, dict[Path, None]] = {}
    for item in items:
        folders.setdefault(item.path.relative_to(_TESTS).parts[0], {})[item.path] = None
    places = {path: place / len(files) for files in folders.values() for place, path in enumerate(files)}
    items.sort(key=lambda item: (places[item.path], item.path))


def pytest_collection_finish() -> None:
    """The garbage collector looks seldom, and not at what was there before the first test: that stays to the end."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS)


@pytest.fixture(autouse=True)
def _short_tracebacks() -> None:
    """By itself that of a failed job has the values of all variables in it, and takes seconds to write."""
    if not structlog.is_configured():
        *others, _ = structlog.get_config()["processors"]
        plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        structlog.configure(processors=[*others, plain])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ThreadServer]:
    """A real server with the fake engine, on a free port and an empty data folder."""
    with thread_server(tmp_path / "data") as running:
        yield running


@pytest.fixture
def http(server: ThreadServer) -> Iterator[httpx.Client]:
    """A blocking HTTP client of `server`."""
    with server.client() as client:
        yield client
