"""Memory of an idle WebSocket in the server: against a bare Starlette endpoint and a plain TCP connection."""

import contextlib
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench import servers
from bench.frames import JSON_SUBPROTOCOL, client_frame, connect, open_socket
from bench.measure import Measure, Round, compare
from bench.process import memory_kib
from bench.servers import Server

_PING: Final = client_frame(b'{"type":"ping","ref":"1"}')
_RECEIVE_BYTES: Final = 1 << 12
_SETTLE_S: Final = 0.3


def run(*, quick: bool = False, count: int = 1000) -> list[Measure]:
    """Connect `count` sockets to a fresh server and see how it grows; each round starts new processes."""
    ours, bare, raw = [], [], []
    for _ in range(1 if quick else 3):
        with (
            tempfile.TemporaryDirectory(prefix="safelight-bench-") as folder,
            servers.safelight(Path(folder)) as server,
        ):
            ours.append(_growth_kib(server, count, _open_ours))
        with servers.bare() as server:
            bare.append(_growth_kib(server, count, lambda port: open_socket(port, "/ws", None)))
        with servers.raw_tcp() as server:
            raw.append(_growth_kib(server, count, connect))
    name = f"memory per idle socket, {count} sockets"
    return [
        compare(name, [Round(*pair) for pair in zip(ours, bare, strict=True)], unit="KiB", against="bare Starlette"),
        compare(name, [Round(*pair) for pair in zip(ours, raw, strict=True)], unit="KiB", against="raw TCP"),
    ]


def _open_ours(port: int) -> socket.socket:
    """A socket that has been let in and has said something, as a viewer between two jobs has."""
    opened = open_socket(port, "/v1/ws", JSON_SUBPROTOCOL)
    opened.sendall(_PING)
    opened.recv(_RECEIVE_BYTES)
    return opened


def _growth_kib(server: Server, count: int, open_one: Callable[[int], socket.socket]) -> float:
    with contextlib.ExitStack() as opened:
        opened.enter_context(open_one(server.port))  # what the first one loads is not the price of a socket
        before = memory_kib(server.pid)
        for _ in range(count):
            opened.enter_context(open_one(server.port))
        time.sleep(_SETTLE_S)
        return (memory_kib(server.pid) - before) / count
