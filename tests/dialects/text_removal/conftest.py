"""Servers with the profile of the text-removal service."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.servers import ThreadServer, thread_server

PROFILE = "0=text_removal"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ThreadServer]:
    """With the fake engine."""
    with thread_server(tmp_path / "data", listen=PROFILE) as running:
        yield running


@pytest.fixture
def slow_server(tmp_path: Path) -> Iterator[ThreadServer]:
    """With the fake engine, whose four steps take so long that a task can be met while it runs."""
    with thread_server(tmp_path / "data", listen=PROFILE, fake_step_s=0.2) as running:
        yield running


@pytest.fixture
def client(server: ThreadServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def slow_client(slow_server: ThreadServer) -> Iterator[httpx.Client]:
    with slow_server.client() as client:
        yield client
