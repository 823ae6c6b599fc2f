"""What the tests of several dialects ask for: clients of their servers, and a server that is slow.

Each folder has its own `server`, and its `profile` where it uses the slow one.
"""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.servers import ThreadServer, thread_server


@pytest.fixture
def slow_server(tmp_path: Path, profile: str) -> Iterator[ThreadServer]:
    """With the fake engine, whose steps take so long that a job can be met while it runs.

    Args:
        profile: what it listens with, as in the setting `listen`.
    """
    with thread_server(tmp_path / "data", listen=profile, fake_step_s=0.2) as running:
        yield running


@pytest.fixture
def client(server: ThreadServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def slow_client(slow_server: ThreadServer) -> Iterator[httpx.Client]:
    with slow_server.client() as client:
        yield client
