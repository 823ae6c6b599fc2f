"""A server in whose queue many jobs of low priority wait, and stay waiting between two measurements."""

import time
from pathlib import Path
from typing import Final

import orjson

from bench.frames import FrameCounter, client_frame, open_socket
from bench.keepalive import Keepalive
from bench.playback import gate
from bench.servers import Server

_SLOTS: Final = 8
"""Live batch jobs: the default of `max_live_jobs`."""
_AT_ONCE: Final = 200
_RECEIVE_BYTES: Final = 1 << 18
_LOOK_AGAIN_S: Final = 0.01


class Backlog:
    """Keeps the engine of a server occupied, so that what waits goes on waiting.

    Args:
        gates: the gate folder of the server.
    """

    def __init__(self, server: Server, gates: Path) -> None:
        self._server = server
        self._gates = gates
        self._blocks = 0

    def fill(self, count: int, job: bytes) -> None:
        """Let `count` jobs wait."""
        self.occupy()
        submit = client_frame(b'{"type":"submit","ref":"1","subscribe":false,"job":%s}' % job)
        buffer, counter = bytearray(_RECEIVE_BYTES), FrameCounter()
        with open_socket(self._server.port, "/v1/ws") as opened:
            sent = min(_AT_ONCE, count)
            opened.sendall(submit * sent)
            while counter.frames < count:
                before = counter.frames
                counter.feed(buffer, opened.recv_into(buffer))
                more = min(counter.frames - before, count - sent)
                opened.sendall(submit * more)
                sent += more

    def waiting(self) -> int:
        """How many batch jobs wait now."""
        with Keepalive(self._server.port) as client:
            count: int = orjson.loads(client.request("GET", "/v1/health/ready"))["queued"]["batch"]
        return count

    def release(self) -> None:
        """Let the engine work; what it should take first has to stand in the queue by now."""
        gate(self._gates, self._blocks).touch()

    def occupy(self) -> None:
        """Stop the engine from taking jobs; returns once it takes none."""
        self._blocks += 1
        params = {"steps": 1, "seed": self._blocks}
        job = orjson.dumps({"task": "test_pattern", "params": params, "previews": "none", "priority": "high"})
        with Keepalive(self._server.port) as client:
            ids = [orjson.loads(client.request("POST", "/v1/jobs", job))["id"] for _ in range(_SLOTS)]
            while any(orjson.loads(client.request("GET", f"/v1/jobs/{each}"))["status"] == "queued" for each in ids):
                time.sleep(_LOOK_AGAIN_S)
