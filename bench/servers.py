"""The servers under test, each a process of its own, so that its processor time and memory can be told apart."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from bench.keepalive import Keepalive
from bench.playback import GATES

_START_S: Final = 60.0
_STOP_S: Final = 20.0
_LOOK_AGAIN_S: Final = 0.002


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: BinaryIO

    @property
    def pid(self) -> int:
        return self.process.pid


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def safelight(data_dir: Path, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Ours as anybody starts it, with the fake engine; `environment` may hold settings."""
    port = free_port()
    with run(serve_arguments(port, data_dir), port, environment) as server:
        wait_until_healthy(server, "/v1/health/ready")
        yield server


def serve_arguments(port: int, data_dir: Path) -> list[str]:
    """What stands behind `python -m` to start ours."""
    return ["safelight", "serve", "--engine", "fake", "--port", str(port), "--data-dir", str(data_dir)]


@contextlib.contextmanager
def playback(data_dir: Path, gates: Path | None = None) -> Iterator[Server]:
    """Ours with the engine of `bench.playback`."""
    port = free_port()
    environment = {GATES: str(gates)} if gates else {}
    with run(["bench.ours", str(port), str(data_dir)], port, environment) as server:
        wait_until_healthy(server, "/v1/health/ready")
        yield server


@contextlib.contextmanager
def bare() -> Iterator[Server]:
    """The bare Starlette server."""
    port = free_port()
    with run(["bench.bare", str(port)], port) as server:
        wait_until_healthy(server, "/live")
        yield server


@contextlib.contextmanager
def raw_tcp() -> Iterator[Server]:
    """The bare TCP broadcaster; its standard input takes orders."""
    port = free_port()
    with run(["bench.raw_tcp", str(port)], port) as server:
        deadline = time.monotonic() + _START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                _wait_a_little(server, deadline)
        yield server


@contextlib.contextmanager
def run(arguments: list[str], port: int, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Run `python -m ARGUMENTS` without settings of Safelight from this environment, and stop it in the end."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SAFELIGHT_")}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=Path(__file__).parents[1],
            env={**inherited, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
        try:
            yield Server(process, port, log)
        finally:
            _stop(process)


def wait_until_healthy(server: Server, path: str) -> None:
    """Ask again and again until the answer is a good one.

    Raises:
        RuntimeError: the process ended, or took too long.
    """
    deadline = time.monotonic() + _START_S
    while True:
        try:
            with Keepalive(server.port) as client:
                client.request("GET", path)
                return
        except ConnectionError:
            _wait_a_little(server, deadline)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Ask it to end; kill it if it does not."""
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def _wait_a_little(server: Server, deadline: float) -> None:
    if server.process.poll() is not None:
        server.log.seek(0)
        raise RuntimeError(f"the server ended with {server.process.returncode}:\n{server.log.read()[-4000:].decode()}")
    if time.monotonic() > deadline:
        raise RuntimeError(f"the server did not answer within {_START_S:g} s")
    time.sleep(_LOOK_AGAIN_S)
