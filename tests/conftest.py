"""The running server, and clients for it."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import structlog

from tests.servers import ThreadServer, thread_server


def pytest_configure() -> None:
    """Give each of several test processes a core of its own: threads that calculate wait for each other otherwise.

    Before torch and OpenCV are imported, which count the cores then.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})


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
