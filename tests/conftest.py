"""The running server, and clients for it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.servers import ThreadServer, thread_server


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
