"""Servers with the profile of FooocusAPI, with the fake engine."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.dialects.fooocus_engine.callers import PROFILE
from tests.servers import ThreadServer, thread_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    """One that may call addresses of this machine."""
    folder = tmp_path_factory.mktemp("fooocus_engine")
    with thread_server(folder / "data", listen=PROFILE, allow_private_urls=True) as running:
        yield running


@pytest.fixture
def slow_server(tmp_path: Path) -> Iterator[ThreadServer]:
    """With steps that take so long that a job can be met while it runs."""
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
