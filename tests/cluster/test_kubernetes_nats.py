"""Three servers of NATS, started as deploy/kubernetes has them; only ports and folders are others."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from protocol.ids import new_id
from service.clock import timestamp
from service.cluster.connection import Connection, connect
from service.cluster.envelope import RemovedNote
from service.cluster.fact_writer import FactWriter
from service.cluster.names import Names
from service.cluster.streams import ensure
from service.settings import load
from tests import manifests
from tests.nats_servers import binary
from tests.servers import DEADLINE_S, until

CONFIG = manifests.FOLDER / "nats"


class Pod:
    """One server of the StatefulSet."""

    def __init__(self, number: int, folder: Path, ports: tuple[int, int], routes: list[int]) -> None:
        self.name = f"nats-{number}"
        self.port, self.monitor = ports
        self._folder = folder / self.name
        self._folder.mkdir()
        text = (CONFIG / "nats.conf").read_text("utf-8")
        for written, here in (
            ('http: "0.0.0.0:8222"', f'http: "127.0.0.1:{self.monitor}"'),
            ('listen: "0.0.0.0:6222"', f'listen: "127.0.0.1:{routes[number]}"'),
            ("store_dir: /data", f"store_dir: {self._folder / 'data'}"),
            ("pid_file: /var/run/nats/nats.pid", f"pid_file: {self._folder / 'nats.pid'}"),
        ):
            assert written in text
            text = text.replace(written, here)
        (self._folder / "nats.conf").write_text(text)
        (self._folder / "roles.conf").write_text((CONFIG / "roles.conf").read_text("utf-8"))
        self._routes = routes
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        (workload,) = manifests.of_kind("StatefulSet")
        (container,) = manifests.containers(workload)
        variables = {"POD_NAME": self.name}
        for variable in container["env"]:
            if "secretKeyRef" in variable.get("valueFrom", {}):
                variables[variable["name"]] = f"n-{variable['name'].lower()}"
        arguments = []
        for argument in container["args"]:
            given = re.sub(r"\$\((\w+)\)", lambda used: variables[used[1]], argument)
            given = re.sub(r"nats-(\d)\.nats:6222", lambda route: f"127.0.0.1:{self._routes[int(route[1])]}", given)
            arguments.append(given.replace("/etc/nats", str(self._folder)))
        with (self._folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(binary()), *arguments, "--addr", "127.0.0.1", "--port", str(self.port)],
                env={**os.environ, **variables},
                stdout=log,
                stderr=log,
            )

    @property
    def url(self) -> str:
        return f"nats://gateway:n-nats_gateway_password@127.0.0.1:{self.port}"

    def answers(self, probe: str) -> bool:
        """Whether a probe of the manifest is answered well."""
        (workload,) = manifests.of_kind("StatefulSet")
        (container,) = manifests.containers(workload)
        with suppress(httpx.TransportError):
            path = container[probe]["httpGet"]["path"]
            return httpx.get(f"http://127.0.0.1:{self.monitor}{path}", timeout=2, trust_env=False).is_success
        return False

    def end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def show(self) -> None:
        """Print what it said: pytest shows it where a test has failed."""
        sys.stdout.write(f"---- {self.name} ----\n{(self._folder / 'log').read_text('utf-8', 'replace')}\n")


@pytest.fixture
def pods(tmp_path: Path) -> Iterator[list[Pod]]:
    """All three, ready."""
    (workload,) = manifests.of_kind("StatefulSet")
    count = workload.spec["replicas"]
    ports = free_ports(3 * count)
    started = [
        Pod(number, tmp_path, (ports[number], ports[count + number]), ports[2 * count :]) for number in range(count)
    ]
    try:
        for pod in started:
            pod.start()
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            until(lambda probe=probe: all(pod.answers(probe) for pod in started), f"{probe} of all", interval_s=0.05)
        yield started
    finally:
        for pod in started:
            pod.end()
            pod.show()


@pytest.fixture
async def joined(pods: list[Pod]) -> AsyncIterator[Connection]:
    connection = await connect(",".join(pod.url for pod in pods), "test")
    yield connection
    await connection.close()


@pytest.mark.slow
@pytest.mark.anyio
async def test_three_servers_keep_everything_three_times_and_one_may_die(joined: Connection, pods: list[Pod]) -> None:
    names = Names()
    settings = load(None, {"nats_url": pods[0].url, "nats_replicas": len(pods)})
    await ensure(joined, names, settings)
    info = await joined.js.stream_info(names.facts_stream)
    assert info.config.num_replicas == 3
    assert info.cluster is not None

    writer = FactWriter(joined, names)
    before = await writer.note(note(), within_s=3 * DEADLINE_S)
    (leading,) = [pod for pod in pods if pod.name == info.cluster.leader]
    leading.end()
    assert await writer.note(note(), within_s=6 * DEADLINE_S) > before


def free_ports(count: int) -> list[int]:
    """All different."""
    with ExitStack() as held:
        opened = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in opened]


def note() -> RemovedNote:
    return RemovedNote(job_id=new_id(), key_id="a", at=timestamp(), reason="expired")
