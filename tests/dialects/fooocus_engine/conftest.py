"""Servers with the profile of FooocusAPI, with the fake engine."""

from collections.abc import Iterator

import pytest

from tests.dialects.fooocus_engine.callers import PROFILE
from tests.servers import ThreadServer, thread_server


@pytest.fixture
def profile() -> str:
    return PROFILE


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadServer]:
    """One that may call addresses of this machine."""
    folder = tmp_path_factory.mktemp("fooocus_engine")
    with thread_server(folder / "data", listen=PROFILE, allow_private_urls=True) as running:
        yield running
