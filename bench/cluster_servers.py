"""The processes of a cluster under test: NATS, gateways and workers, each with its own processor time."""

import contextlib
import http.client
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Self

from bench.keepalive import Keepalive
from bench.measure import Skipped
from bench.servers import Server, free_port, run, wait_until_healthy
from safelight.local_cluster import ProgramMissing, Programs

_START_S: Final = 20.0
_LOOK_AGAIN_S: Final = 0.01
_HEARTBEAT_S: Final = "3600"


@dataclass(frozen=True, slots=True)
class Traffic:
    """What has passed through NATS, in messages and bytes; from its monitoring."""

    in_msgs: int
    out_msgs: int
    in_bytes: int
    out_bytes: int

    def __sub__(self, before: Self) -> Self:
        return type(self)(*(getattr(self, each.name) - getattr(before, each.name) for each in fields(self)))


@dataclass(frozen=True, slots=True)
class Nats:
    """A server with JetStream that runs.

    Attributes:
        monitor_port: where it answers of itself over HTTP.
        folder: where it and those who join it keep their things.
    """

    pid: int
    port: int
    monitor_port: int
    folder: Path

    def traffic(self) -> Traffic:
        told = self._ask("/varz")
        return Traffic(*(told[each.name] for each in fields(Traffic)))

    def stream(self, name: str) -> tuple[int, int]:
        """Messages and bytes in a stream."""
        for account in self._ask("/jsz?streams=true").get("account_details", []):
            for stream in account.get("stream_detail", []):
                if stream["name"] == name:
                    return stream["state"]["messages"], stream["state"]["bytes"]
        raise RuntimeError(f"NATS has no stream {name}")

    def _ask(self, path: str) -> dict[str, Any]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.monitor_port, timeout=_START_S)) as client:
            client.request("GET", path)
            answer: dict[str, Any] = json.load(client.getresponse())
        return answer


@contextlib.contextmanager
def nats(folder: Path) -> Iterator[Nats]:
    """One NATS, on this disk as anybody would have it.

    Raises:
        Skipped: it is not installed.
    """
    try:
        program = Programs.find().nats_server
    except ProgramMissing as missing:
        raise Skipped(str(missing)) from None
    port, monitor_port = free_port(), free_port()
    config = folder / "nats.conf"
    config.write_text(
        f"listen: 127.0.0.1:{port}\nhttp: 127.0.0.1:{monitor_port}\n"
        f"jetstream {{ store_dir: {json.dumps(str(folder / 'nats'))} }}\n",
        "utf-8",
    )
    (folder / "objects").mkdir()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([program, "-c", config], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + _START_S
            while True:
                with contextlib.suppress(OSError), Keepalive(monitor_port) as client:
                    client.request("GET", "/healthz")
                    break
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise RuntimeError(f"nats-server did not start:\n{log.read()[-4000:].decode()}")
                time.sleep(_LOOK_AGAIN_S)
            yield Nats(process.pid, port, monitor_port, folder)
        finally:
            process.kill()
            process.wait()


def settings(joined: Nats, cluster: str) -> Mapping[str, str]:
    """What gateways and workers of one cluster are started with."""
    return {
        "SAFELIGHT_NATS_URL": f"nats://127.0.0.1:{joined.port}",
        "SAFELIGHT_CLUSTER": cluster,
        "SAFELIGHT_OBJECTS_URL": (joined.folder / "objects").as_uri(),
        # The clients of the benchmarks answer no pings: they would be taken for dead between two rounds.
        "SAFELIGHT_HEARTBEAT_S": _HEARTBEAT_S,
    }


@contextlib.contextmanager
def gateway(joined: Nats, cluster: str, name: str) -> Iterator[Server]:
    """A gateway that has been started; see `until_ready`. Its data folder has its name, and stays."""
    with _member("gateway", joined.folder / cluster / name, settings(joined, cluster)) as server:
        yield server


@contextlib.contextmanager
def worker(joined: Nats, cluster: str, name: str, step_s: float = 0.0) -> Iterator[Server]:
    """A worker with the fake engine that has been started; a step holds its device for `step_s`."""
    environment = {
        **settings(joined, cluster),
        "SAFELIGHT_ENGINE": "fake",
        "SAFELIGHT_WORKER": name,
        "SAFELIGHT_FAKE_STEP_S": str(step_s),
    }
    with _member("worker", joined.folder / cluster / name, environment) as server:
        yield server


def until_ready(*members: Server) -> None:
    """Wait for gateways and workers, which start side by side."""
    for member in members:
        wait_until_healthy(member, "/v1/health/ready")


@contextlib.contextmanager
def _member(role: str, data_dir: Path, environment: Mapping[str, str]) -> Iterator[Server]:
    port = free_port()
    with run(["safelight", role, "--port", str(port), "--data-dir", str(data_dir)], port, environment) as server:
        yield server
