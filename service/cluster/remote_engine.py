"""The engines of all workers of a cluster, as one: what a gateway shows of them, and asks of them."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import NoReturn

import orjson

from engine.interface import Run
from engine.interface.engine import (
    EngineState,
    EngineStatus,
    EventSink,
    ModelMemory,
    OutputStore,
    ResidentModel,
)
from service.cluster.connection import Connection, Unavailable, asking
from service.cluster.names import Names, Verb
from service.cluster.presence import WorkerPresence


class RemoteEngine:
    """Implements `engine.interface.engine.Engine` as far as a gateway has a use for it. For the event loop only.

    A gateway takes jobs while no worker is there: they may be about to come.
    """

    def __init__(
        self, connection: Connection, names: Names, workers: Callable[[], Mapping[str, WorkerPresence]]
    ) -> None:
        self._connection = connection
        self._names = names
        self._workers = workers
        self._asking: set[asyncio.Task[None]] = set()

    def start(self, sink: EventSink, outputs: OutputStore, on_change: Callable[[], None]) -> None:
        """They run already."""

    def has_room(self, _run: Run) -> bool:
        return False

    def submit(self, run: Run) -> NoReturn:
        raise AssertionError(f"a gateway runs no jobs, and {run.job_id} came here")

    def cancel(self, job_id: str, reason: str) -> None:
        """See `service.cluster.gateway_broker`."""

    def skip(self, job_id: str) -> None:
        """See `service.cluster.gateway_broker`."""

    def state(self) -> EngineState:
        workers = [worker for worker in self._workers().values() if not worker.is_draining]
        able = [worker for worker in workers if worker.status is EngineStatus.READY]
        devices = sorted({worker.device for worker in able if worker.device})
        return EngineState(
            status=EngineStatus.READY if self._connection.is_connected else EngineStatus.LOADING,
            device=", ".join(devices) or "none",
            live_jobs=sum(len(worker.jobs) for worker in workers),
            live_bytes=sum(worker.live_bytes for worker in workers),
            budget_bytes=sum(worker.budget_bytes for worker in workers),
            detail=f"{len(able)} of {len(workers)} workers are ready"
            if self._connection.is_connected
            else "NATS is away",
        )

    def resident_models(self) -> tuple[str, ...]:
        return self.memory().names

    def memory(self) -> ModelMemory:
        largest: dict[str, ResidentModel] = {}
        for worker in self._workers().values():
            for model in worker.resident:
                known = largest.get(model.name)
                if known is None or model.size_bytes > known.size_bytes:
                    largest[model.name] = model
        return ModelMemory(tuple(largest.values()))

    def unload_model(self, name: str, reason: str) -> None:
        task = asyncio.create_task(self._tell(Verb.UNLOAD, orjson.dumps({"model": name, "reason": reason})))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    def stop(self, timeout_s: float) -> bool:  # noqa: ARG002 - there is nothing to wait for
        return True

    async def _tell(self, verb: Verb, payload: bytes) -> None:
        with contextlib.suppress(Unavailable), asking(verb):
            await self._connection.nats.publish(self._names.tell_all(verb), payload)
