"""The client's programs run in Node and in Chromium, against the real server or one that misbehaves."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.browser import chromium
from tests.integration.cutting_server import CuttingServer
from tests.integration.loop_thread import OnItsThread, on_a_thread
from tests.web.runtimes import BrowserRuntime, Runtime, node


@pytest.fixture(scope="module", params=["node", "chromium"])
def runtime(request: pytest.FixtureRequest) -> Iterator[Runtime]:
    """Where a program runs; each test runs in both."""
    if request.param == "node":
        with closing(node()) as process:
            yield process
        return
    with chromium() as browser, closing(BrowserRuntime(browser)) as page:
        yield page


@pytest.fixture
def cutting() -> Iterator[tuple[CuttingServer, OnItsThread]]:
    """A server that misbehaves, and the thread it is on."""
    with on_a_thread(CuttingServer) as running:
        yield running


@pytest.fixture
def cutter(cutting: tuple[CuttingServer, OnItsThread]) -> CuttingServer:
    """The server of `cutting`, for tests that need not act on its thread."""
    return cutting[0]
