"""Servers with the profile of the Stable Diffusion API, a key and the fake engine."""

from collections.abc import Iterator

import httpx
import pytest

from tests.dialects.sd_api.callers import KEY, OTHER_KEY
from tests.servers import ThreadServer, thread_server

PROFILE = "0=sd_api"
KEYS = {"keys": [KEY, OTHER_KEY]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    """One that may call addresses of this machine."""
    folder = tmp_path_factory.mktemp("sd_api")
    with thread_server(folder / "data", listen=PROFILE, api=KEYS, allow_private_urls=True) as running:
        yield running


@pytest.fixture
def client(server: ThreadServer) -> Iterator[httpx.Client]:
    with server.client(headers={"X-API-Key": KEY}) as client:
        yield client
