"""A whole cluster for tests: NATS, gateways and workers, each a process of its own that can be killed and frozen."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from types import TracebackType
from typing import Any, Self

import httpx

from tests.nats_servers import NatsServer
from tests.servers import DEADLINE_S, REPOSITORY, Address, free_port, until

LOST_S = 2.0
"""`worker_lost_s`, unless a test says otherwise."""
START_S = 6 * DEADLINE_S
"""Several Pythons that start at once on a small machine take their time."""
_KEPT_LINES = 60


class Member(Address):
    """A gateway or a worker: a process with a data folder of its own, always at the same port.

    Args:
        arguments: of `python`, without the port and the folder.
        environment: all of it.
    """

    def __init__(self, name: str, folder: Path, arguments: Iterable[str], environment: Mapping[str, str]) -> None:
        super().__init__(free_port())
        self.name = name
        self.data_dir = folder / name
        self.log_path = folder / f"{name}.log"
        self._arguments = tuple(arguments)
        self._environment = dict(environment)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def log(self) -> str:
        """What it has said, in all its lives."""
        return self.log_path.read_text("utf-8", "replace") if self.log_path.exists() else ""

    def launch(self, *, empty: bool = False, **settings: Any) -> Self:
        """Start it, without waiting for anything.

        Args:
            empty: on a new data folder, as on another machine.
            settings: other than before, for this life only.
        """
        assert not self.is_running, f"{self.name} runs already"
        if empty:
            rmtree(self.data_dir, ignore_errors=True)
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self._arguments, "--port", str(self.port), "--data-dir", str(self.data_dir)],
                cwd=REPOSITORY,
                env=self._environment | variables(settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self

    def is_ready(self) -> bool:
        """Whether it says so.

        Raises:
            AssertionError: its process has ended.
        """
        assert self.process is not None
        assert self.process.poll() is None, f"{self.name} ended with {self.process.returncode}:\n{self.log[-3000:]}"
        try:
            return httpx.get(f"{self.url}/v1/health/ready", timeout=1, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def until_ready(self) -> Self:
        try:
            until(self.is_ready, f"{self.name} to be ready", deadline_s=START_S, interval_s=0.05)
        except AssertionError:
            if self.process is not None and self.process.poll() is None:
                self.process.send_signal(signal.SIGABRT)  # its log says where it hung
                self.process.wait()
            raise
        return self

    def start(self, *, empty: bool = False, **settings: Any) -> Self:
        """Start it, again or for the first time, and wait until it is ready; for the rest see `launch`."""
        return self.launch(empty=empty, **settings).until_ready()

    def kill(self) -> None:
        """End it at once, as `kill -9` does; its folder stays."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def terminate(self) -> None:
        """Ask it to stop, without waiting."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def until_ended(self) -> int:
        """Its exit status. One that does not end is ended, and its log says where it hung."""
        assert self.process is not None
        try:
            return self.process.wait(3 * DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait()
            raise

    def stop(self) -> int:
        """Ask it to stop and wait; returns its exit status."""
        self.terminate()
        return self.until_ended()

    def freeze(self) -> None:
        """Let it hang, with its connections open."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)  # the signal is on its way; until it has stopped, it works

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


class Cluster:
    """NATS, gateways and workers with the fake engine, on free ports; all are ready once the block begins.

    What they said is printed when the block ends: pytest shows it where a test has failed.

    Args:
        folder: for everything they keep.
        gateways, workers: how many.
        nats: one that runs, to share it; by default one of its own.
        program: what a gateway is run as, in place of `-m safelight`.
        settings: of all members.
    """

    def __init__(
        self,
        folder: Path,
        *,
        gateways: int = 2,
        workers: int = 1,
        nats: NatsServer | None = None,
        program: Iterable[str] = ("-m", "safelight"),
        **settings: Any,
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._own_nats = None if nats is not None else NatsServer(folder / "nats")
        self.nats: NatsServer = nats or self._own_nats  # type: ignore[assignment] # one of the two is there
        self.objects = folder / "objects"
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("SAFELIGHT_")}
        self._environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1"}
        self._environment |= variables(
            {
                "engine": "fake",
                "nats_url": self.nats.url,
                "objects_url": f"file://{self.objects}",
                "worker_lost_s": LOST_S,
                "log_format": "json",
                **settings,
            }
        )
        self._program = tuple(program)
        self.gateways = [self._gateway(number) for number in range(1, gateways + 1)]
        self.workers = [self._worker(number) for number in range(1, workers + 1)]

    @property
    def members(self) -> list[Member]:
        return [*self.gateways, *self.workers]

    def add_gateway(self) -> Member:
        """One more, which does not run yet."""
        self.gateways.append(self._gateway(len(self.gateways) + 1))
        return self.gateways[-1]

    def add_worker(self) -> Member:
        """One more, which does not run yet."""
        self.workers.append(self._worker(len(self.workers) + 1))
        return self.workers[-1]

    def worker_called(self, name: str) -> Member:
        """The worker that `job.started` names so."""
        return next(worker for worker in self.workers if name.startswith(f"{worker.name}-"))

    def start(self) -> Self:
        """Start what there is, all at once, and wait until each is ready."""
        if self._own_nats is not None:
            self._own_nats.start()
        self.objects.mkdir(exist_ok=True)
        for member in self.members:
            member.launch()
        for member in self.members:
            member.until_ready()
        return self

    def close(self) -> None:
        """End everything, whatever it does."""
        for member in self.members:
            if member.is_running:
                member.kill()
        if self._own_nats is not None:
            self._own_nats.close()

    def show(self) -> None:
        """Print the end of what each has said."""
        for member in self.members:
            sys.stdout.write(f"---- {member.name} at {member.port} ----\n")
            told = [line for line in member.log.splitlines() if not line.startswith("INFO:")]  # uvicorn's, on sockets
            sys.stdout.writelines(f"{line}\n" for line in told[-_KEPT_LINES:])

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        self.show()

    def _gateway(self, number: int) -> Member:
        return Member(f"gateway{number}", self.folder, (*self._program, "gateway"), self._environment)

    def _worker(self, number: int) -> Member:
        name = f"worker{number}"
        return Member(name, self.folder, ("-m", "safelight", "worker", "--name", name), self._environment)


def variables(settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings as the environment has them."""
    return {f"SAFELIGHT_{name.upper()}": str(value) for name, value in settings.items()}


@contextmanager
def frozen(member: Member | NatsServer) -> Iterator[None]:
    """It hangs while the block lasts."""
    member.freeze()
    try:
        yield
    finally:
        if member.is_running:
            member.thaw()
