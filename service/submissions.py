"""Submits: from what a client sent to a job that is stored, and will come to one end."""

import asyncio
import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from protocol.errors import ErrorCode, ProtocolError
from protocol.events import JobQueued, JobWarning
from protocol.ids import new_id
from protocol.jobs import Job, JobStatus
from protocol.pictures import with_pictures
from protocol.requests import JobRequest, parse_job_request
from service.auth import Key
from service.broker import Taker
from service.clock import timestamp
from service.database import StoreUnavailable
from service.drafts import Draft
from service.errors import ServiceError
from service.inputs import Inputs, PreparedInputs
from service.model_check import ModelCheck
from service.places import Places
from service.presets.layer import Presets
from service.records import JobRecord
from service.store import Store
from service.styles import Styles

_RETRY_AFTER_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer to a submit: the job as it was accepted, and whether an earlier submit already made it."""

    job: Job
    is_repeat: bool = False


@dataclass(frozen=True, slots=True)
class Submission:
    """Who submits what, once.

    Raises:
        ProtocolError: `invalid_params`: the body is nested too deeply, or holds something that JSON cannot say.
    """

    body: object
    key: Key
    idempotency_key: str | None = None
    at: str = "$"
    """JSONPath of the body in what the client sent."""
    attached: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Pictures that came beside the body: what it refers to as `attached:NAME` -> the file."""
    asked: Mapping[str, Any] | None = field(default=None, repr=False)
    """The request of a client of a dialect, in its own words; kept with the job."""
    notes: Sequence[JobWarning] = ()
    """What will have no effect, or less than asked; told right after the job was accepted."""
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        try:
            canonical = orjson.dumps(self.body, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
        except TypeError as error:  # nested too deeply; or, in msgpack, of a type that JSON has not
            message = f"job: expected what JSON can say: {error} at {self.at}"
            raise ProtocolError(ErrorCode.INVALID_PARAMS, message, self.at) from None
        object.__setattr__(self, "digest", hashlib.sha256(canonical).hexdigest())


class Submissions:
    """Takes jobs in. For the event loop only.

    Args:
        arrivals: rise; jobs are older the smaller theirs is.
    """

    def __init__(
        self,
        *,
        store: Store,
        broker: Taker,
        places: Places,
        inputs: Inputs,
        models: ModelCheck,
        styles: Styles,
        presets: Presets,
        arrivals: Iterator[int],
    ) -> None:
        self._store = store
        self._broker = broker
        self._places = places
        self._inputs = inputs
        self._models = models
        self._styles = styles
        self._presets = presets
        self._arrivals = arrivals
        self._under_way: dict[tuple[str, str], asyncio.Future[tuple[str, Job] | None]] = {}
        self._accepting: set[asyncio.Task[Accepted]] = set()
        self.is_draining = False
        """Set, no more are taken."""

    async def submit(self, submission: Submission) -> Accepted:
        """Accept a job: when this returns, it is stored and will come to one end.

        A repeated idempotency key gets the first answer.

        Raises:
            ProtocolError: the request is wrong, the key was used for another request, the queue is full, or the server
                is draining or cannot store anything now. There is no job then.
        """
        if self.is_draining:
            raise ServiceError(
                ErrorCode.DRAINING, "the server is stopping; try again soon", retry_after_s=_RETRY_AFTER_S
            )
        # On a task of its own: a client that goes away while its job is being stored must not leave half of it.
        task = asyncio.create_task(self._submit(submission))
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)
        return await asyncio.shield(task)

    async def settle(self) -> None:
        """Wait until every submit that is under way has been answered."""
        await asyncio.gather(*self._accepting, return_exceptions=True)

    async def _submit(self, submission: Submission) -> Accepted:
        if submission.idempotency_key is None:
            return Accepted(await self._accept(submission, new_id()))
        slot = (submission.key.id, submission.idempotency_key)
        while (under_way := self._under_way.get(slot)) is not None:
            first = await asyncio.shield(under_way)
            if first is not None:
                _check_same(submission, first[0])
                return Accepted(first[1], is_repeat=True)
        mine = self._under_way[slot] = asyncio.get_running_loop().create_future()
        accepted: Job | None = None
        try:
            job_id = new_id()
            earlier = await self._earlier(submission, submission.idempotency_key, job_id)
            if isinstance(earlier, Job):
                accepted = earlier
                return Accepted(earlier, is_repeat=True)
            try:
                accepted = await self._accept(submission, earlier or job_id)
            except BaseException:
                with contextlib.suppress(StoreUnavailable):
                    await self._broker.release(*slot, earlier or job_id)
                raise
            return Accepted(accepted)
        finally:
            del self._under_way[slot]
            mine.set_result((submission.digest, accepted) if accepted else None)

    async def _earlier(self, submission: Submission, idempotency_key: str, job_id: str) -> Job | str | None:
        """The job that this key has made; or the id of one that it was to make, and did not."""
        try:
            earlier = await self._broker.reserve(submission.key.id, idempotency_key, submission.digest, job_id)
        except StoreUnavailable:
            raise _cannot_store() from None
        if earlier is None:
            return None
        _check_same(submission, earlier.body_sha256)
        if not earlier.is_made:
            return earlier.job_id
        job = await self._store.job(earlier.job_id, submission.key.id)
        return None if job is None else _as_accepted(job)

    async def _accept(self, submission: Submission, job_id: str) -> Job:
        laid = await self._presets.lay_under(submission.body, at=submission.at)
        request = parse_job_request(laid.body, at=submission.at)
        self._places.hold(job_id, submission.key.id)
        try:
            return await self._make(job_id, request, submission, laid.notes)
        finally:
            self._places.release(job_id)  # nothing, once it waits

    async def _make(
        self, job_id: str, request: JobRequest, submission: Submission, preset_notes: Sequence[JobWarning]
    ) -> Job:
        # Before the pictures: those may have to be fetched.
        await self._models.check(request, at=submission.at)
        await self._styles.check(request, at=submission.at)
        inputs = await self._inputs.prepare(
            job_id, request, submission.key, at=submission.at, attached=submission.attached
        )
        created_at = timestamp()
        job = _new_job(job_id, request, inputs, created_at)
        record = JobRecord(
            id=job_id,
            key_id=submission.key.id,
            task=request.task,
            is_interactive=request.is_interactive,
            priority=request.priority,
            previews=request.previews,
            input_pixels=inputs.pixels,
            created_at=created_at,
            arrival=next(self._arrivals),
            request=request,
            inputs=inputs.names,
            webhook=request.webhook,
        )
        rows: dict[str, Mapping[str, Any]] = {"job": _job_row(job, record, request)}
        if submission.idempotency_key is not None:
            rows["idempotency"] = {
                "key_id": submission.key.id,
                "idempotency_key": submission.idempotency_key,
                "body_sha256": submission.digest,
                "job_id": job_id,
                "created_at": created_at,
            }
        if submission.asked is not None:
            rows["foreign"] = {"job_id": job_id, "request": orjson.dumps(submission.asked).decode()}
        draft = Draft(JobQueued(task=request.task, priority=request.priority), job_id, record=record, rows=rows)
        notes = [Draft(note, job_id, record=record) for note in (*submission.notes, *preset_notes)]
        try:
            async with self._places.taken(submission.key.id):
                await self._broker.submit(draft, *notes)
        except (StoreUnavailable, ProtocolError) as error:
            if inputs.names:
                await self._inputs.discard(job_id)
            raise _cannot_store() if isinstance(error, StoreUnavailable) else error from None
        return job


def _check_same(submission: Submission, digest: str) -> None:
    if digest != submission.digest:
        message = f"Idempotency-Key {submission.idempotency_key!r:.60} was used for another request"
        raise ProtocolError(ErrorCode.IDEMPOTENCY_MISMATCH, message)


def _cannot_store() -> ServiceError:
    message = "the server cannot store jobs at the moment; nothing was accepted"
    return ServiceError(ErrorCode.NOT_READY, message, retry_after_s=_RETRY_AFTER_S)


def _new_job(job_id: str, request: JobRequest, inputs: PreparedInputs, created_at: str) -> Job:
    params = with_pictures(request.params.model_dump(mode="json"), inputs.shown)
    return Job.model_construct(
        id=job_id,
        task=request.task,
        status=JobStatus.QUEUED,
        seq=1,
        attempt=1,
        priority=request.priority,
        previews=request.previews,
        params=params,
        labels=dict(request.labels),
        created_at=created_at,
        outputs=(),
    )


def _as_accepted(job: Job) -> Job:
    """A job as it was when it was accepted: the first answer to its submit."""
    kept = {
        name: getattr(job, name) for name in ("id", "task", "priority", "previews", "params", "labels", "created_at")
    }
    return Job(status=JobStatus.QUEUED, seq=1, attempt=1, **kept)


def _job_row(job: Job, record: JobRecord, request: JobRequest) -> Mapping[str, Any]:
    return {
        "id": job.id,
        "key_id": record.key_id,
        "task": job.task,
        "priority": job.priority,
        "previews": job.previews,
        "params": orjson.dumps(job.params).decode(),
        "given": orjson.dumps(sorted(request.params.model_fields_set)).decode(),
        "labels": orjson.dumps(job.labels).decode(),
        "webhook": record.webhook.model_dump_json() if record.webhook else None,
        "inputs": orjson.dumps(record.inputs).decode(),
        "input_pixels": record.input_pixels,
        "created_at": job.created_at,
    }
