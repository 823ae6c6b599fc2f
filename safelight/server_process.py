"""A server of one's own for as long as it is needed: a process beside this one, with an empty data folder."""

import asyncio
import os
import socket
import sys
import tempfile
import time
from asyncio.subprocess import STDOUT, Process, create_subprocess_exec
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from safelight.client import AsyncClient
from safelight.errors import SafelightError, ServerUnreachable

START_TIMEOUT_S: Final = 120.0
"""Loading torch from a cold disk takes its time."""
STOP_TIMEOUT_S: Final = 20.0
_RETRY_S: Final = 0.1
_SHOWN_CHARACTERS: Final = 2000


class ServerDidNotStart(SafelightError):
    """The server ended, or did not get ready in time; the message has the end of what it said."""


@asynccontextmanager
async def running_server(models_dir: Path, engine: str) -> AsyncIterator[str]:
    """Start a server on a free port; its address, once it takes work. It is stopped in order, its data removed.

    Raises:
        ServerDidNotStart.
    """
    with tempfile.TemporaryDirectory(prefix="safelight-") as folder:
        log = Path(folder, "server.log")
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "safelight", "serve", "--host", "127.0.0.1", "--port", str(port)]
        command += ["--data-dir", f"{folder}/data", "--models-dir", str(models_dir), "--engine", engine]
        process = await create_subprocess_exec(
            *command,
            stdout=(output := log.open("wb")),  # noqa: ASYNC230 - an empty file, opened once
            stderr=STDOUT,
            start_new_session=True,  # Ctrl-C is for us, and we stop the server in order
            env=clean_environment(),
        )
        output.close()
        try:
            await until_ready(url, process, log)
            yield url
        finally:
            await stop(process)


async def until_ready(url: str, process: Process, log: Path, name: str = "the server") -> None:
    """Wait until a server, a gateway or a worker says that it is ready.

    Args:
        log: what it says goes there.
        name: of what was started, for people.

    Raises:
        ServerDidNotStart: it ended, or took longer than `START_TIMEOUT_S`.
    """
    async with AsyncClient(url) as client:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and process.returncode is None:
            try:
                if (await client.health()).is_ready:
                    return
            except ServerUnreachable:
                pass  # not listening yet
            await asyncio.sleep(_RETRY_S)  # a starting process gives nothing else to wait on
    said = await asyncio.to_thread(log.read_text, "utf-8", errors="replace")
    why = "did not get ready in time" if process.returncode is None else f"ended with {process.returncode}"
    raise ServerDidNotStart(f"{name} {why}. It said:\n{said[-_SHOWN_CHARACTERS:].strip()}")


async def stop(process: Process) -> None:
    """Ask it to end; kill it if it has not after `STOP_TIMEOUT_S`."""
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def clean_environment() -> Mapping[str, str]:
    """Our own without settings of Safelight: those of another server on this machine are not this one's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SAFELIGHT_")}


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
