"""The rows waiting work stands in, as NATS has them: one durable consumer for each."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import APIError

from service.cluster.connection import ANSWER_S, Connection, asking
from service.cluster.jetstream import NO_CONSUMER, ask, pages
from service.cluster.names import Names, Row, WorkClass

_MODEL: Final = "safelight.model"
_TOUCHED: Final = "safelight.touched"


@dataclass(frozen=True, slots=True)
class RowState:
    """A row at one moment.

    Attributes:
        pending: messages nobody has been given yet.
        unacknowledged: messages that were given to a worker, or handed back, or whose worker was lost.
        deliveries: how many times something was taken from it.
        model: the model's own name.
        touched_at: when a gateway last put something in, to ten minutes; seconds since the epoch.
    """

    row: Row
    pending: int
    unacknowledged: int
    deliveries: int
    model: str
    touched_at: float


class StreamState(NamedTuple):
    """All rows together."""

    messages: int
    """Waiting or at a worker, in rows without a consumer too."""
    last_sequence: int
    """Rises with everything that is put into any row."""
    consumers: int


class WorkRows:
    """Makes, lists and removes rows. All methods raise `Unavailable`.

    Args:
        worker_lost_s: a message whose worker has been silent for so long goes to another.
        now: seconds since the epoch.
    """

    def __init__(
        self, connection: Connection, names: Names, *, worker_lost_s: float, now: Callable[[], float] = time.time
    ) -> None:
        self._connection = connection
        self._names = names
        self._worker_lost_s = worker_lost_s
        self._now = now

    async def make(self, row: Row, model: str) -> None:
        """Make it, or note that it is in use; it holds what was put in before too."""
        name = self._names.consumer(row)
        with asking("making a row for work"):
            await self._connection.js.add_consumer(
                self._names.work_stream,
                ConsumerConfig(
                    name=name,
                    durable_name=name,
                    filter_subject=self._names.work_of_row(row),
                    deliver_policy=DeliverPolicy.ALL,
                    ack_policy=AckPolicy.EXPLICIT,
                    ack_wait=self._worker_lost_s,
                    max_deliver=-1,
                    max_ack_pending=-1,
                    metadata={_MODEL: model, _TOUCHED: f"{self._now():.0f}"},
                ),
            )

    async def wake(self, row: Row) -> None:
        """Let an idle worker look into it, if there is one; nobody is told whether there was."""
        with asking("waking a worker"):
            await self._connection.nats.publish(self._names.wake(row.model), self._names.consumer(row).encode())

    async def all(self, *, timeout_s: float = ANSWER_S) -> list[RowState]:
        """Every row there is; foreign consumers are left out."""
        verb = f"CONSUMER.LIST.{self._names.work_stream}"
        return [
            state
            async for page in pages(self._connection, verb, {}, "consumers", timeout_s=timeout_s)
            for consumer in page["consumers"] or ()
            if (state := self._state(consumer)) is not None
        ]

    async def remove(self, row: Row) -> None:
        """Remove it; what waits in it stays in the stream, where no worker sees it."""
        try:
            await ask(self._connection, f"CONSUMER.DELETE.{self._names.work_stream}.{self._names.consumer(row)}")
        except APIError as error:
            if error.err_code != NO_CONSUMER:
                raise

    async def stream(self, *, timeout_s: float = ANSWER_S) -> StreamState:
        answer = await ask(self._connection, f"STREAM.INFO.{self._names.work_stream}", timeout_s=timeout_s)
        state = answer["state"]
        return StreamState(state["messages"], state["last_seq"], state["consumer_count"])

    async def waiting(self, subjects: str) -> set[tuple[Row, str]]:
        """The rows and job ids of all messages, given to a worker or not, whose subject fits `subjects`."""
        verb = f"STREAM.INFO.{self._names.work_stream}"
        found: set[tuple[Row, str]] = set()
        async for page in pages(self._connection, verb, {"subjects_filter": subjects}, "state.subjects"):
            found.update(self._read_subjects(page["state"].get("subjects") or ()))
        return found

    def _read_subjects(self, subjects: Iterable[str]) -> Iterable[tuple[Row, str]]:
        for subject in subjects:
            *_, work_class, share, model, job_id = subject.split(".")
            if work_class in set(WorkClass) and share.isdigit():
                yield Row(WorkClass(work_class), int(share), model), job_id

    def _state(self, consumer: Mapping[str, Any]) -> RowState | None:
        row = self._names.row_of_consumer(consumer["name"])
        if row is None:
            return None
        metadata = consumer["config"].get("metadata") or {}
        return RowState(
            row,
            pending=consumer["num_pending"],
            unacknowledged=consumer["num_ack_pending"],
            deliveries=consumer["delivered"]["consumer_seq"],
            model=metadata.get(_MODEL, row.model),
            touched_at=float(metadata.get(_TOUCHED, 0)),
        )


def payload(job_id: str) -> bytes:
    """What a message of a row says beside its subject."""
    return orjson.dumps({"job": job_id})
