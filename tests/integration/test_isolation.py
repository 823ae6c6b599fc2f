"""A viewer that does not read harms nobody but itself, and comes back to the right state."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from protocol.codec import JSON, MSGPACK, Codec
from service.settings import SettingsError, load
from tests.integration.viewers import (
    FACT_TYPES,
    TERMINAL_TYPES,
    Message,
    RawSocket,
    Viewer,
    facts_of,
    finished,
    small_socket,
    submit,
    watch_by_sse,
)
from tests.servers import DEADLINE_S, Address, ProcessServer, ThreadServer, thread_server, until

pytestmark = pytest.mark.alone

VIEWERS = 10
STEPS = 800
DEVELOPING = {"steps": STEPS, "step_ms": 6, "images": 1, "width": 512, "height": 512}
"""Five seconds and 5 MB of previews for each who watches: more than the kernel keeps for one who does not read."""
MOST_GROWTH_BYTES = 64 << 20
MOST_EXTRA_SILENCE_S = 0.1 * DEADLINE_S / 10
ROUNDS = 3
"""The machine is busy with other things, too: the best of so many rounds counts."""


@dataclass
class Watch:
    """What one of the ten saw of a job."""

    facts: list[Message] = field(default_factory=list)
    hints: int = 0
    longest_silence_s: float = 0.0


async def watch(server: Address, job_id: str, codec: Codec) -> Watch:
    seen = Watch()
    subprotocols = [Subprotocol(codec.subprotocol)]
    async with connect(server.ws_url, subprotocols=subprotocols, compression=None, proxy=None) as connection:
        content = codec.encode({"type": "subscribe", "job_id": job_id})
        await connection.send(content if codec.messages_are_binary else content.decode())
        last = None
        async with asyncio.timeout(6 * DEADLINE_S):
            while True:
                message = codec.decode(await connection.recv())
                now = time.monotonic()
                if message["type"] in FACT_TYPES:
                    seen.facts.append(message)
                elif "n" in message:
                    seen.hints += 1
                    seen.longest_silence_s = max(seen.longest_silence_s, now - (last or now))
                    last = now
                if message["type"] in TERMINAL_TYPES:
                    return seen


def ten_watch(server: Address, job_id: str) -> list[Watch]:
    async def all_of_them() -> list[Watch]:
        codecs = [(JSON, MSGPACK)[number % 2] for number in range(VIEWERS)]
        return await asyncio.gather(*(watch(server, job_id, codec) for codec in codecs))

    return asyncio.run(all_of_them())


def memory_bytes(server: ProcessServer) -> int:
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessServer]:
    """A server in a process of its own, so that the readers here do not take its time."""
    with ProcessServer(tmp_path_factory.mktemp("isolation") / "data", log_level="warning") as running:
        yield running


class SilentStream:
    """An event stream that nobody reads, with all previews in it."""

    def __init__(self, server: Address, job_id: str) -> None:
        self._socket = small_socket(server)
        path = f"/v1/jobs/{job_id}/events?previews=inline"
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n".encode())

    def close(self) -> None:
        self._socket.close()


def silent_socket(server: Address, job_id: str) -> RawSocket:
    raw = RawSocket(server)
    raw.say("subscribe", job_id=job_id)
    return raw


@pytest.mark.parametrize("silent", [silent_socket, SilentStream], ids=["socket", "event stream"])
def test_viewer_that_never_reads_takes_nothing_from_ten_others(process: ProcessServer, silent: Any) -> None:
    with process.client() as http:
        for _ in range(ROUNDS):
            calm_job = submit(http, params=DEVELOPING, previews="all")["id"]
            calm = ten_watch(process, calm_job)
            before = memory_bytes(process)
            job_id = submit(http, params=DEVELOPING, previews="all")["id"]
            stalled = [silent(process, job_id) for _ in range(3)]
            disturbed = ten_watch(process, job_id)
            growth = memory_bytes(process) - before
            expected = facts_of(http, job_id)
            assert expected[-1]["type"] == "job.succeeded"
            assert all([plain(fact) for fact in seen.facts] == expected for seen in disturbed)
            assert min(seen.hints for seen in disturbed) > STEPS
            assert growth < MOST_GROWTH_BYTES
            for each in stalled:
                each.close()
            extra_s = max(seen.longest_silence_s for seen in disturbed) - max(seen.longest_silence_s for seen in calm)
            if extra_s <= MOST_EXTRA_SILENCE_S:
                break
        assert extra_s <= MOST_EXTRA_SILENCE_S


def plain(message: Message) -> Any:
    return orjson.loads(orjson.dumps(message))


def test_viewer_that_did_not_read_comes_back_to_the_right_state(process: ProcessServer) -> None:
    with process.client() as http:
        job_id = submit(http, params=DEVELOPING | {"images": 3, "steps": 80}, previews="all")["id"]
        stalled = silent_socket(process, job_id)
        told = [stalled.read_frame()[1] for _ in range(4)]
        finished(http, job_id)
        facts = [message for message in map(orjson.loads, told) if message["type"] in FACT_TYPES]
        stalled.close()
        with Viewer(process) as viewer:
            assert viewer.ask("subscribe", job_id=job_id, after=facts[-1]["seq"])["job"]["status"] == "succeeded"
            facts += viewer.until_end()
        assert facts == facts_of(http, job_id)
        assert facts[-1]["type"] == "job.succeeded"


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[ThreadServer]:
    """A server that bears little, on sockets for which the kernel keeps little."""
    limits = {"socket_soft_bytes": 100_000, "socket_hard_bytes": 500_000}
    with thread_server(tmp_path / "data", **limits) as running:
        running.server.servers[0].sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
        yield running


MANY = {"images": 64, "steps": 0, "width": 8, "height": 8}
"""67 facts, 34 KB."""


class Reader(threading.Thread):
    """Reads all there is, on a thread of its own."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__(daemon=True)
        self.facts: list[Message] = []
        self._viewer = viewer
        self.start()

    def run(self) -> None:
        try:
            while True:
                message = self._viewer.next()
                if message["type"] in FACT_TYPES:
                    self.facts.append(message)
        except ConnectionClosed:
            return


def unsent_bytes(server: ThreadServer) -> int:
    """What the server keeps for all its connections together."""
    connections = list(server.server.server_state.connections)
    return sum(each.transport.get_write_buffer_size() for each in connections if each.transport is not None)


@pytest.mark.usefixtures("quiet_log")
def test_socket_behind_by_thousands_of_facts_is_closed_and_resumes(strict: ThreadServer, codec: Codec) -> None:
    def lagged() -> bool:
        return "safelight_subscribers_lagged_total 1.0" in http.get("/metrics").text

    with strict.client() as http, Viewer(strict, codec) as viewer:
        viewer.ask("subscribe", jobs="mine")
        reader = Reader(viewer)
        stalled = RawSocket(strict, codec)
        stalled.say("subscribe", jobs="mine")
        jobs: list[str] = []
        while not lagged():
            jobs.append(submit(http, params=MANY, previews="none")["id"])
            finished(http, jobs[-1])
            assert unsent_bytes(strict) < 2 * strict.services.settings.socket_hard_bytes
        messages, code = stalled.read_to_close()
        stalled.close()
        assert code == 4408
        told = [message for message in messages if message["type"] in FACT_TYPES]
        assert len(told) > 1000
        with Viewer(strict, codec) as again:
            again.say("subscribe", jobs="mine", cursor=told[-1]["cursor"])
            while len(told) < len(jobs) * 67:
                message = again.next()
                told += [message] if message["type"] in FACT_TYPES else []
        until(lambda: len(reader.facts) >= len(told), "the other viewer to get everything")
        viewer.cut()
        expected = [fact for job_id in jobs for fact in facts_of(http, job_id)]
        assert [plain(fact) for fact in told] == expected
        assert [plain(fact) for fact in reader.facts] == expected


@pytest.mark.usefixtures("quiet_log")
def test_viewer_that_reads_again_gets_the_newest_hints_and_every_fact(strict: ThreadServer) -> None:
    with strict.client() as http:
        job_id = submit(http, params=DEVELOPING | {"steps": 150}, previews="all")["id"]
        slow = silent_socket(strict, job_id)
        seen = asyncio.run(watch(strict, job_id, JSON))
        messages: list[Message] = []
        while not (messages and messages[-1]["type"] in TERMINAL_TYPES):
            opcode, payload = slow.read_frame()
            if opcode in {1, 2}:
                messages.append(JSON.decode(payload.decode() if opcode == 1 else payload))
        slow.close()
    assert [each for each in messages if each["type"] in FACT_TYPES] == seen.facts
    counters = [message["n"] for message in messages if "n" in message]
    assert counters == sorted(counters)
    assert len(counters) < seen.hints


@pytest.mark.usefixtures("quiet_log")
def test_past_of_thousands_of_facts_is_told_as_fast_as_it_is_read(strict: ThreadServer, codec: Codec) -> None:
    settings = strict.services.settings
    with strict.client() as http, Viewer(strict, codec) as viewer:
        cursor = viewer.ask("subscribe", jobs="mine")["cursor"]
        viewer.ask("unsubscribe", jobs="mine")
        jobs = [submit(http, params=MANY, previews="none")["id"] for _ in range(45)]
        for job_id in jobs:
            finished(http, job_id)
        slow = RawSocket(strict, codec)
        slow.say("subscribe", jobs="mine", cursor=cursor)
        until(lambda: unsent_bytes(strict) > settings.socket_soft_bytes, "the socket to be full")
        assert viewer.ask("ping")["ok"]
        facts: list[Message] = []
        while len(facts) < len(jobs) * 67:
            opcode, payload = slow.read_frame()
            assert opcode in {1, 2}, payload  # not closed for lagging
            message = codec.decode(payload.decode() if opcode == 1 else payload)
            facts += [message] if message["type"] in FACT_TYPES else []
            assert unsent_bytes(strict) < settings.socket_hard_bytes
        slow.close()
        assert sorted(fact["job_id"] for fact in facts) == sorted(job_id for job_id in jobs for _ in range(67))


@pytest.mark.usefixtures("quiet_log")
def test_client_that_asks_without_reading_is_not_answered_without_end(strict: ThreadServer, codec: Codec) -> None:
    with strict.client() as http:
        job_id = submit(http, params=MANY, previews="none")["id"]
        finished(http, job_id)
        stalled = RawSocket(strict, codec)
        asked = 0
        stalled.set_patience(0.2)
        with contextlib.suppress(TimeoutError):  # then the server has stopped listening
            for asked in range(10**6):  # noqa: B007 - looked at below
                stalled.say("subscribe", job_id=job_id)
        assert 5 < asked < 10**6 - 1
        assert unsent_bytes(strict) < 2 * strict.services.settings.socket_hard_bytes
        assert http.get("/v1/health/live").status_code == 200
        stalled.close()


@pytest.mark.usefixtures("quiet_log")
def test_stream_that_is_not_read_ends_without_an_error(strict: ThreadServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.transports.sse._SEND_TIMEOUT_S", 0.3)
    with strict.client() as http:
        job_id = submit(http, params={"steps": 1000, "step_ms": 10, "width": 512, "height": 512}, previews="all")["id"]
        silent = SilentStream(strict, job_id)
        until(lambda: strict.services.bus.subscriber_count() == 1, "the stream to begin")
        until(lambda: strict.services.bus.subscriber_count() == 0, "the stream to be given up")
        http.delete(f"/v1/jobs/{job_id}")
        finished(http, job_id)
        assert [orjson.loads(data)["seq"] for number, data in watch_by_sse(http, job_id, 0) if number] == [1, 2, 3]
        silent.close()


@pytest.mark.parametrize("limit", [{"socket_soft_bytes": 1000}, {"event_buffer": 64}], ids=str)
def test_limit_so_low_that_a_good_reader_would_starve_is_refused(limit: dict[str, int]) -> None:
    with pytest.raises(SettingsError, match=next(iter(limit))):
        load(None, limit)
