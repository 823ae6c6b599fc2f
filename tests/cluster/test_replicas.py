"""Facts that three servers keep, while the one that leads them is killed."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from structlog.testing import capture_logs

from protocol.events import JobWarning
from protocol.ids import new_id
from service.cluster.connection import Connection, connect
from service.cluster.fact_writer import FactWriter, Fenced
from service.cluster.names import Names
from service.cluster.streams import ensure
from service.settings import Settings, load
from tests.cluster.test_fact_writer import fact, queued
from tests.nats_servers import NatsServer
from tests.servers import DEADLINE_S, free_port

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture(scope="module")
def servers() -> Iterator[list[NatsServer]]:
    ports = [free_port() for _ in range(3)]
    routes = ", ".join(f"nats://127.0.0.1:{port}" for port in ports)
    servers = [
        NatsServer(config=f"server_name: n{port}\ncluster {{ name: c, listen: 127.0.0.1:{port}, routes: [{routes}] }}")
        for port in ports
    ]
    for server in servers:
        server.start()
    yield servers
    for server in servers:
        server.close()


@pytest.fixture
async def connections(servers: list[NatsServer]) -> AsyncIterator[list[Connection]]:
    url = ",".join(server.url for server in servers)
    made = [await connect(url, f"test-{number}", within_s=3 * DEADLINE_S) for number in range(2)]
    yield made
    for connection in made:
        await connection.close()


def with_replicas(names: Names, count: int) -> Settings:
    return load(None, {"cluster": names.cluster, "nats_replicas": count})


async def replicas(connection: Connection, names: Names) -> int | None:
    found: int | None = (await connection.js.stream_info(names.facts_stream)).config.num_replicas
    return found


async def test_replicas_are_added_when_a_setting_asks_for_them_and_never_taken_away(
    connections: list[Connection], names: Names
) -> None:
    connection = connections[0]
    before = await ensure(connection, names, with_replicas(names, 1))
    assert await replicas(connection, names) == 1
    assert await ensure(connection, names, with_replicas(names, 3)) == before
    assert await replicas(connection, names) == 3
    with capture_logs() as logged:
        await ensure(connection, names, with_replicas(names, 1))
    assert await replicas(connection, names) == 3
    assert names.facts_stream in {entry["stream"] for entry in logged if entry["event"] == "nats.more_replicas"}


async def test_rivals_write_each_fact_once_while_the_server_that_leads_is_killed(
    servers: list[NatsServer], connections: list[Connection], names: Names
) -> None:
    await ensure(connections[0], names, with_replicas(names, 3))
    rivals = [FactWriter(connection, names) for connection in connections]
    jobs, facts, written, is_time = [new_id() for _ in range(10)], 20, 0, asyncio.Event()

    async def write(job_id: str) -> list[int]:
        nonlocal written
        places = [await rivals[0].append(queued(job_id), after=0)]
        for seq in range(2, facts + 1):
            bodies = [JobWarning(code="c", message=f"of rival {number}") for number in range(len(rivals))]
            tried = await asyncio.gather(
                *(
                    rival.append(fact(job_id, seq, body), after=places[-1])
                    for rival, body in zip(rivals, bodies, strict=True)
                ),
                return_exceptions=True,
            )
            won = [one for one in tried if isinstance(one, int)]
            lost = [one for one in tried if isinstance(one, Fenced)]
            assert len(won) == len(lost) == 1, tried
            assert lost[0].last is not None
            assert lost[0].last.sequence == won[0]
            places.append(won[0])
            written += 1
            if written == len(jobs) * facts // 2:
                is_time.set()
        return places

    async def kill_the_leader() -> None:
        await is_time.wait()
        cluster = (await connections[0].js.stream_info(names.facts_stream)).cluster
        assert cluster is not None
        leader = next(server for server in servers if f"server_name: {cluster.leader}\n" in server.config)
        leader.kill()
        await leader.start_beside()

    writing = asyncio.gather(*(write(job_id) for job_id in jobs))
    all_places, _ = await asyncio.wait_for(asyncio.gather(writing, kill_the_leader()), 6 * DEADLINE_S)
    for job_id, places in zip(jobs, all_places, strict=True):
        stored = await rivals[0].history(job_id)
        assert [one.message.event.seq for one in stored] == list(range(1, facts + 1))
        assert [one.sequence for one in stored] == places
