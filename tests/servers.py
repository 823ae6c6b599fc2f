"""Real servers for tests: in a thread of the test process, or as a process that can be killed; always real sockets."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from service.main import Server, make_server
from service.settings import load
from service.wiring import Services

DEADLINE_S = float(os.environ.get("SAFELIGHT_TEST_DEADLINE_S", "10"))
"""The one knob for slow machines: every wait in a test is a multiple of this."""
REPOSITORY = Path(__file__).parents[1]
MODELS_DIR = Path(os.environ.get("SAFELIGHT_MODELS_DIR") or "~/.cache/safelight/models").expanduser()
"""Where the packaged weights are; tests that need them carry the mark `models`."""


class Address:
    """Where a server answers."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.ws_url = f"ws://127.0.0.1:{port}/v1/ws"

    def client(self, **options: Any) -> httpx.Client:
        """A blocking HTTP client for this server."""
        return httpx.Client(base_url=self.url, timeout=3 * DEADLINE_S, trust_env=False, **options)


class ThreadServer(Address):
    """A server in a thread of this process: quick to start, and its parts can be looked at."""

    def __init__(self, server: Server, services: Services) -> None:
        super().__init__(server.servers[0].sockets[0].getsockname()[1])
        self.server = server
        self.services = services
        self.ports = tuple(listener.listen.port for listener in server.listeners)
        """Where it listens, in the order of its settings."""


@contextmanager
def thread_server(data_dir: Path, **settings: Any) -> Iterator[ThreadServer]:
    """Run a server with the fake engine, unless `settings` say otherwise, until the block ends."""
    chosen = load(None, {"engine": "fake", "port": 0, "data_dir": data_dir, **settings})
    server = make_server(chosen)
    problems: list[BaseException] = []
    stopped = threading.Event()

    def run() -> None:
        try:
            asyncio.run(server.serve())
        except BaseException as problem:  # noqa: BLE001 - shown by the test that started it
            problems.append(problem)
        finally:
            stopped.set()

    thread = threading.Thread(target=run, name="test-server", daemon=True)
    thread.start()
    try:
        until(lambda: server.started or stopped.is_set(), "the server to start")
        if problems:
            raise problems[0]
        assert server.started, "the server stopped before it had started"
        yield ThreadServer(server, server.config.app.state.services)  # type: ignore[union-attr]
    finally:
        server.should_exit = True
        thread.join(3 * DEADLINE_S)
    assert not thread.is_alive(), "the server did not stop"
    if problems:
        raise problems[0]


class ProcessServer(Address):
    """A server as a process of its own, on a fixed port: it can be killed and started again."""

    def __init__(self, data_dir: Path, *, port: int | None = None, **settings: Any) -> None:
        super().__init__(port or free_port())
        self._settings = {"engine": "fake", **settings}
        self._data_dir = data_dir
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait for its first healthy answer."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SAFELIGHT_")}
        environment |= {f"SAFELIGHT_{name.upper()}": str(value) for name, value in self._settings.items()}
        command = [
            sys.executable,
            "-m",
            "safelight",
            "serve",
            "--port",
            str(self.port),
            "--data-dir",
            str(self._data_dir),
        ]
        self.process = subprocess.Popen(command, cwd=REPOSITORY, env=environment)
        process = self.process

        def answers() -> bool:
            assert process.poll() is None, f"the server ended with {process.returncode}"
            try:
                return httpx.get(f"{self.url}/v1/health/live", timeout=1, trust_env=False).is_success
            except httpx.TransportError:
                return False

        until(answers, "the server to answer", interval_s=0.05)

    def kill(self) -> None:
        """End it at once, as a power cut to the process would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ask it to stop and wait; returns its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(3 * DEADLINE_S)

    def __enter__(self) -> "ProcessServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(
    is_true: Callable[[], bool], what: str, *, deadline_s: float = 3 * DEADLINE_S, interval_s: float = 0.01
) -> None:
    """Wait for something outside that sends no event (a process, a port)."""
    gone = threading.Event()
    end = time.monotonic() + deadline_s
    while not is_true():
        if time.monotonic() > end:
            raise AssertionError(f"waited {deadline_s:g} s for {what}")
        gone.wait(interval_s)
