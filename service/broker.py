"""Between those who take jobs in and those who do them: one interface, on one machine and in a cluster.

    Broker      submit, cancel, skip, watch, replay; claim, beat, publish, finish
    FactLog     what happens, in order: stored first, then told

On one machine both are in the process (`service.local_broker`, `service.pump`). In a cluster a gateway has the first
half of the verbs and a worker the second, with NATS JetStream between them (`service.cluster`).
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from protocol.events import Event
from protocol.requests import JobRequest
from service.drafts import Draft
from service.records import JobRecord


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that is ours to do, in the attempt its record says.

    Attributes:
        inputs: of each picture, see `protocol.pictures.picture_refs` -> file name within the job's input folder.
    """

    record: JobRecord
    request: JobRequest
    inputs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Earlier:
    """What an idempotency key was used for before.

    Attributes:
        body_sha256: of the request it came with.
        is_made: whether its job was accepted. If not, who was to do it has gone away: the job is to be made now, with
            this id, so that it is made once.
    """

    job_id: str
    body_sha256: str
    is_made: bool = True


Fits: TypeAlias = Callable[[Claim], bool]
"""Whether there is room for a job now."""


class Taker(Protocol):
    """Takes jobs in, and asks of them: what a gateway does. For the event loop only."""

    async def reserve(self, key_id: str, idempotency_key: str, body_sha256: str, job_id: str) -> Earlier | None:
        """Note which job an idempotency key of an API key makes, unless it is used already.

        Raises:
            StoreUnavailable: it cannot be said.
        """
        ...

    async def release(self, key_id: str, idempotency_key: str, job_id: str) -> None:
        """The job was not accepted: the key may make another one."""
        ...

    @property
    def unseen_jobs(self) -> int:
        """How many jobs others may have accepted that are not known here yet, at most."""
        ...

    def alone(self, key_id: str | None) -> AbstractAsyncContextManager[None]:
        """Within it nobody else accepts jobs of this API key (None: of any), and all that were accepted are known.

        Raises:
            StoreUnavailable: on the way in: that cannot be had.
        """
        ...

    async def submit(self, draft: Draft, *notes: Draft) -> None:
        """Accept a job: when this returns, it is stored, everybody can see it, and it will come to one end.

        Args:
            notes: what is told right after it was accepted.

        Raises:
            StoreUnavailable: it could not be stored. There is no job then.
        """
        ...

    async def cancel(self, record: JobRecord, reason: str) -> None:
        """Ask that a job end, and remember it: it does not start again. `job.cancelled` says that it has ended.

        Raises:
            StoreUnavailable: nobody can be asked now; nothing was.
        """
        ...

    def skip(self, job_id: str) -> None:
        """Ask that a running job leave out the image it is at. One that does not run is no error."""
        ...

    async def replay(self, job_id: str, after: int) -> list[Event]:
        """The facts of a job after seq `after`, in order."""
        ...

    def watch(self, record: JobRecord) -> None:
        """Somebody looks at this job: whoever does it may have hints to tell."""
        ...

    def watch_key(self, key_id: str) -> None:
        """Somebody looks at all jobs of this API key."""
        ...


class Doer(Protocol):
    """Does jobs, and tells of them: what a worker does. For the event loop only."""

    async def claim(self, fits: Fits) -> Claim:
        """Wait for the next job there is room for. Once it is returned it is ours, unless we fall silent."""
        ...

    def wake(self) -> None:
        """There may be more room than before."""
        ...

    def pause(self) -> None:
        """Claim nothing more."""
        ...

    async def beat(self) -> None:
        """We are alive, and at every job we have claimed. Without it others take them over, where there are others."""
        ...

    def publish(self, drafts: Iterable[Draft]) -> None:
        """Tell what happened to jobs that were claimed; returns at once. Facts arrive in order, each once.

        What is told of a job that is no longer ours is dropped. A terminal fact finishes the claim, `job.requeued`
        hands the job back.
        """
        ...

    async def settled(self) -> None:
        """Wait until everything published so far is stored."""
        ...


class FactLog(Protocol):
    """Takes what happened, in order. For the event loop only."""

    @property
    def is_healthy(self) -> bool:
        """Whether facts can be stored."""
        ...

    @property
    def stored_cursor(self) -> int:
        """The number of the last fact that is certain to be in the store; later ones are published later."""
        ...

    def put(self, drafts: Iterable[Draft]) -> None:
        """Take what happened; returns at once."""
        ...

    async def put_and_wait(self, draft: Draft, *after: Draft) -> Event | None:
        """Take one thing that happened and wait until it is stored and published.

        Args:
            after: what comes right after it.

        Returns:
            None if it was refused: it contradicts what is already known.

        Raises:
            StoreUnavailable: it could not be stored, and has not happened.
        """
        ...

    async def current(self) -> bool:
        """Know of what others have stored up to now; whether there may be anything that was not known.

        Takes a moment where there are others.

        Raises:
            ServiceError: `not_ready`: they cannot be asked.
        """
        ...

    async def drained(self) -> None:
        """Wait until everything taken so far is published."""
        ...

    async def run(self) -> None:
        """Work until cancelled."""
        ...
