"""One connection to NATS: which servers are refused, and what happens while NATS is away."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from structlog.testing import capture_logs

from service.cluster.connection import Connection, Unavailable, UnfitServer, asking, connect
from service.settings import SettingsError
from tests.nats_servers import NatsServer
from tests.servers import DEADLINE_S, free_port

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def server_that_says(version: str | None, port: int = 0) -> AsyncIterator[int]:
    """As much of a NATS as a client meets at first."""
    greeting = {"server_id": "A", "headers": True, "max_payload": 1 << 20, "jetstream": True}
    if version is not None:
        greeting["version"] = version

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"INFO " + json.dumps(greeting).encode() + b"\r\n")
        try:
            while line := await reader.readline():
                if line.startswith(b"PING"):
                    writer.write(b"PONG\r\n")
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", port)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


class States:
    """What a connection says of itself, as it can be waited for."""

    def __init__(self, connection: Connection) -> None:
        self.told: asyncio.Queue[bool] = asyncio.Queue()
        connection.on_state.append(self.told.put_nowait)

    async def next(self) -> bool:
        return await asyncio.wait_for(self.told.get(), 3 * DEADLINE_S)


async def test_a_server_older_than_2_11_is_refused_with_what_was_found_and_what_to_do() -> None:
    async with server_that_says("2.9.10") as port:
        with pytest.raises(UnfitServer) as caught:
            await connect(f"nats://anna:secret@127.0.0.1:{port}", "test")
    told = str(caught.value)
    assert f"NATS 2.9.10 at 127.0.0.1:{port}: 2.11 or newer is needed" in told
    assert "install a newer nats-server" in told
    assert "secret" not in told


async def test_a_server_that_tells_no_version_is_refused() -> None:
    async with server_that_says(None) as port:
        with pytest.raises(UnfitServer, match="of an unknown version"):
            await connect(f"nats://127.0.0.1:{port}", "test")


async def test_a_server_without_jetstream_is_refused() -> None:
    async with NatsServer(has_jetstream=False) as nats:
        with pytest.raises(UnfitServer, match=r"no JetStream for us.*nats-server with -js"):
            await connect(nats.url, "test")


async def test_where_nothing_answers_the_address_is_named_within_the_time_given() -> None:
    port = free_port()
    with pytest.raises(UnfitServer, match=f"no NATS answers at 127.0.0.1:{port} within 0.3 s: .*start one") as caught:
        await connect(f"nats://anna:secret@127.0.0.1:{port}", "test", within_s=0.3)
    assert "secret" not in str(caught.value)


async def test_a_server_that_comes_a_moment_later_is_waited_for() -> None:
    nats = NatsServer()
    connecting = asyncio.create_task(connect(nats.url, "test", within_s=3 * DEADLINE_S))
    await nats.start_beside()
    connection = await connecting
    assert connection.is_connected
    await connection.close()
    nats.close()


async def test_who_is_not_let_in_is_told_so_at_once() -> None:
    async with NatsServer(config="authorization { user: anna, password: secret }") as nats:
        with pytest.raises(UnfitServer, match=r"does not let us in: .*Authorization Violation.*nats_credentials"):
            await connect(nats.url, "test", within_s=3 * DEADLINE_S)
        connection = await connect(nats.url.replace("//", "//anna:secret@"), "test")
        assert connection.is_connected
        assert "secret" not in connection.address
        await connection.close()


async def test_a_password_may_have_any_characters_and_is_told_to_every_server_of_a_cluster() -> None:
    login = 'authorization { user: "anna", password: "p@ss:w/r#d" }'
    ports = [free_port(), free_port()]
    routes = ", ".join(f"nats://127.0.0.1:{port}" for port in ports)
    with contextlib.ExitStack() as stack:
        named, other = (
            stack.enter_context(
                NatsServer(
                    config=f"{login}\nserver_name: n{port}\n"
                    f"cluster {{ name: c, listen: 127.0.0.1:{port}, routes: [{routes}] }}"
                )
            )
            for port in ports
        )
        url = named.url.replace("//", f"//anna:{quote('p@ss:w/r#d', safe='')}@")
        connection = await connect(url, "test", within_s=3 * DEADLINE_S)
        states = States(connection)
        while len(connection.nats.servers) < 2:  # the one it was not told of
            await asyncio.sleep(0.01)
        named.kill()
        assert await states.next() is False
        assert await states.next() is True
        assert connection.nats.connected_url is not None
        assert connection.nats.connected_url.port == other.port
        await connection.close()


async def test_a_listener_that_raises_does_not_keep_it_from_coming_back(
    nats: NatsServer, connection: Connection
) -> None:
    def broken(is_connected: bool) -> None:
        raise ValueError("a mistake")

    connection.on_state.append(broken)
    states = States(connection)
    with capture_logs() as logged:
        for _ in range(2):
            nats.restart()
            assert await states.next() is False
            assert await states.next() is True
    assert [entry["event"] for entry in logged].count("nats.listener_failed") == 4


async def test_a_file_that_holds_no_credentials_is_refused_by_name(nats: NatsServer, tmp_path: Path) -> None:
    file = tmp_path / "some.creds"
    file.write_text("nothing of the kind")
    with pytest.raises(SettingsError, match=r"nats_credentials: .*some\.creds: has no part NATS USER JWT"):
        await connect(nats.url, "test", credentials=file)
    with pytest.raises(SettingsError, match=r"nats_credentials: .*none\.creds: cannot be read"):
        await connect(nats.url, "test", credentials=tmp_path / "none.creds")


async def test_it_comes_back_when_nats_does_and_runs_what_has_to_run_then(
    nats: NatsServer, connection: Connection
) -> None:
    ran: asyncio.Queue[bool] = asyncio.Queue()
    states, before = States(connection), connection.connected_since

    async def hook() -> None:
        await connection.js.account_info()  # NATS is there indeed
        ran.put_nowait(connection.is_connected)

    connection.on_reconnect.append(hook)
    nats.kill()
    assert await states.next() is False
    assert not connection.is_connected
    assert connection.connected_since is None
    nats.start()
    assert await states.next() is True
    assert await asyncio.wait_for(ran.get(), 3 * DEADLINE_S)
    assert before is not None
    assert connection.connected_since is not None
    assert connection.connected_since > before


async def test_what_runs_after_a_reconnect_runs_again_until_nats_has_answered_it(
    nats: NatsServer, connection: Connection
) -> None:
    ran: list[str] = []
    has_ended = asyncio.Event()

    async def broken() -> None:
        ran.append("broken")
        raise ValueError("a mistake")

    async def late() -> None:
        ran.append("late")
        if len(ran) < 4:
            raise Unavailable("not yet")
        has_ended.set()

    connection.on_reconnect += [broken, late]
    with capture_logs() as logged:
        nats.restart()
        await asyncio.wait_for(has_ended.wait(), 3 * DEADLINE_S)
    assert ran == ["broken", "late", "late", "late"]
    assert [entry["hook"] for entry in logged if entry["event"] == "nats.reconnect_failed"] == [broken.__qualname__]


async def test_who_waits_for_an_answer_is_told_when_the_connection_breaks(
    nats: NatsServer, connection: Connection
) -> None:
    await connection.nats.subscribe("silence")

    async def ask() -> None:
        with asking("silence"):
            await connection.nats.request("silence", timeout=1000)

    asked = asyncio.create_task(ask())
    await connection.nats.flush()
    nats.kill()
    with pytest.raises(Unavailable, match="no answer of NATS"):
        await asyncio.wait_for(asked, 3 * DEADLINE_S)


async def test_nothing_is_kept_back_while_nats_is_away(nats: NatsServer, connection: Connection) -> None:
    states = States(connection)
    nats.kill()
    assert await states.next() is False
    with pytest.raises(Unavailable), asking("publishing"):
        await connection.nats.publish("late", b"what was refused")
    with pytest.raises(Unavailable), asking("asking"):
        await connection.nats.request("late", timeout=1000)
    assert not connection.nats._resp_map, "the place for an answer that never comes is kept"
    nats.start()
    await connection.until_connected()
    heard = await connection.nats.subscribe("late")
    await connection.nats.publish("late", b"now")
    assert (await heard.next_msg(3 * DEADLINE_S)).data == b"now"


async def test_a_server_that_hangs_with_much_unsent_is_left_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.cluster.connection._PING_S", 0.1)
    async with NatsServer() as hanging, NatsServer() as other:
        connection = await connect(f"{hanging.url},{other.url}", "test")
        states = States(connection)
        if connection.nats.connected_url is not None and connection.nats.connected_url.port == other.port:
            hanging, other = other, hanging
        hanging.freeze()
        for _ in range(200):
            await connection.nats.publish("much", bytes(100_000))
        assert await states.next() is False
        assert await states.next() is True
        assert connection.nats.connected_url is not None
        assert connection.nats.connected_url.port == other.port
        await connection.close()


async def test_a_server_that_turns_out_to_be_old_after_a_reconnect_is_not_used() -> None:
    async with NatsServer() as nats:
        connection = await connect(nats.url, "test")
        states = States(connection)
        nats.kill()
        assert await states.next() is False
        was_told = asyncio.Event()
        met = connection.met

        async def noticing(problem: Exception) -> None:
            await met(problem)
            if "2.9.10" in str(problem):
                was_told.set()

        connection.nats._error_cb = noticing
        with capture_logs() as logged:
            async with server_that_says("2.9.10", nats.port):
                await asyncio.wait_for(was_told.wait(), 3 * DEADLINE_S)
                assert not connection.is_connected
            assert states.told.empty()
            nats.start()
            assert await states.next() is True
        unfit = next(entry for entry in logged if entry["event"] == "nats.unfit")
        assert unfit["log_level"] == "error"
        assert unfit["version"] == "2.9.10"
        assert unfit["address"] == f"127.0.0.1:{nats.port}"
        await connection.close()


async def test_a_server_that_ends_the_connection_with_an_error_is_connected_to_again(nats: NatsServer) -> None:
    connection = await connect(nats.url, "test")
    states = States(connection)
    # What no client of ours says: NATS answers with an error and ends the connection.
    connection.nats._transport.write(b"NONSENSE\r\n")  # type: ignore[union-attr]
    assert await states.next() is False
    assert await states.next() is True
    await connection.close()
