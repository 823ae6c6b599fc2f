"""What goes through the streams of a cluster, as JSON: facts with what they add up to, notes, and work.

    FactMessage      on <cluster>.facts.<job>
    RemovedNote      on <cluster>.notes.removed.<job>: a job that had ended is gone
    WebhookNote      on <cluster>.notes.webhook.<job>: a webhook needs no more attempts
    WorkMessage      on <cluster>.work.<class>.<share>.<model>.<job>

Read back, fields this version does not know are ignored; so they may be added while older gateways and workers run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Self, TypeAlias

import orjson

from protocol.codec import body_text, event_from
from protocol.errors import ErrorCode, ProtocolError
from protocol.events import Event
from protocol.jobs import JobStatus
from service.records import JobRecord

ROWS: Final = ("job", "idempotency", "foreign")
"""What `job.queued` brings for the database of each gateway; see `service.drafts.Draft`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """What the facts of a job add up to, so that the last of them alone says how it stands.

    Attributes:
        crashes: how often it was requeued after the loss of its worker.
        outputs: the number after the last output that is ready or was skipped.
        worker: who has it, while it runs.
    """

    status: JobStatus
    seq: int
    attempt: int = 1
    crashes: int = 0
    outputs: int = 0
    started_at: str | None = None
    worker: str | None = None

    @classmethod
    def of(cls, record: JobRecord, *, worker: str | None = None) -> Self:
        """Of a record that the fact has been applied to; see `service.records.apply`."""
        assert record.status is not None
        return cls(
            status=record.status,
            seq=record.seq,
            attempt=record.attempt,
            crashes=record.crashes,
            outputs=record.outputs,
            started_at=record.started_at,
            worker=worker,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FactMessage:
    """A fact on its way, or stored.

    Attributes:
        event: the fact; without a cursor, which is its place in the stream.
        key_id: whose job it is of.
        attempt: of the job, when it was told.
        state: of the job, with this fact.
        rows: of `job.queued`, see `ROWS`.
        is_crash: this requeueing counts against the job.
    """

    event: Event
    key_id: str
    attempt: int
    state: JobState
    rows: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    is_crash: bool = False

    @property
    def job_id(self) -> str:
        assert self.event.job_id is not None
        return self.event.job_id

    def to_bytes(self) -> bytes:
        event, state = self.event, self.state
        fields: dict[str, Any] = {
            "event": {
                "type": event.type,
                "job_id": event.job_id,
                "seq": event.seq,
                "at": event.at,
                "data": orjson.Fragment(body_text(event)),
            },
            "key": self.key_id,
            "attempt": self.attempt,
            "state": {
                "status": state.status,
                "seq": state.seq,
                "attempt": state.attempt,
                "crashes": state.crashes,
                "outputs": state.outputs,
                "started_at": state.started_at,
                "worker": state.worker,
            },
            **self.rows,
        }
        if self.is_crash:
            fields["crash"] = True
        return orjson.dumps(fields)

    @classmethod
    def from_bytes(cls, payload: bytes) -> Self:
        """
        Raises:
            ProtocolError: it is no fact, or one this version does not know.
        """
        fields = _map(payload)
        try:
            state = fields["state"]
            return cls(
                event=event_from(fields["event"]),
                key_id=fields["key"],
                attempt=fields["attempt"],
                state=JobState(
                    status=JobStatus(state["status"]),
                    seq=state["seq"],
                    attempt=state["attempt"],
                    crashes=state["crashes"],
                    outputs=state["outputs"],
                    started_at=state["started_at"],
                    worker=state["worker"],
                ),
                rows={name: fields[name] for name in ROWS if name in fields},
                is_crash=fields.get("crash", False),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ProtocolError(ErrorCode.MALFORMED, f"not a fact: {error!r}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovedNote:
    """A job that had ended is gone, with its facts and pictures.

    Attributes:
        reason: as `job.removed` tells it.
        last: the place of its last fact: cursors of its key up to there are too old now.
    """

    WHAT: ClassVar = "removed"
    job_id: str
    key_id: str
    at: str
    reason: str
    last: int = 0

    @property
    def message_id(self) -> str:
        """The same for all who note the same."""
        return f"removed:{self.job_id}"

    def to_bytes(self) -> bytes:
        return orjson.dumps(
            {"job": self.job_id, "key": self.key_id, "at": self.at, "reason": self.reason, "last": self.last}
        )

    @classmethod
    def from_bytes(cls, payload: bytes) -> Self:
        """
        Raises:
            ProtocolError: it is none.
        """
        fields = _map(payload)
        try:
            return cls(
                job_id=fields["job"],
                key_id=fields["key"],
                at=fields["at"],
                reason=fields["reason"],
                last=fields.get("last", 0),
            )
        except KeyError as error:
            raise ProtocolError(ErrorCode.MALFORMED, f"not a note: {error!r}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookNote:
    """A webhook was delivered, or given up.

    Attributes:
        webhook_id: of the message, as its receiver knows it.
        given_up: why; None for one that was delivered.
    """

    WHAT: ClassVar = "webhook"
    job_id: str
    webhook_id: str
    given_up: str | None = None

    @property
    def message_id(self) -> str:
        """The same for all who note the same."""
        return f"webhook:{self.webhook_id}"

    def to_bytes(self) -> bytes:
        return orjson.dumps({"job": self.job_id, "webhook": self.webhook_id, "given_up": self.given_up})

    @classmethod
    def from_bytes(cls, payload: bytes) -> Self:
        """
        Raises:
            ProtocolError: it is none.
        """
        fields = _map(payload)
        try:
            return cls(job_id=fields["job"], webhook_id=fields["webhook"], given_up=fields.get("given_up"))
        except KeyError as error:
            raise ProtocolError(ErrorCode.MALFORMED, f"not a note: {error!r}") from None


Note: TypeAlias = RemovedNote | WebhookNote
_NOTES: Final[Mapping[str, type[Note]]] = {note.WHAT: note for note in (RemovedNote, WebhookNote)}


def note_from(what: str, payload: bytes) -> Note | None:
    """Read a note; None for one that only newer versions know.

    Args:
        what: from its subject, see `service.cluster.names.Names.note`.

    Raises:
        ProtocolError: it is none.
    """
    return _NOTES[what].from_bytes(payload) if what in _NOTES else None


@dataclass(frozen=True, slots=True)
class WorkMessage:
    """There is a job to do. How it stands, its facts say."""

    job_id: str

    def to_bytes(self) -> bytes:
        return orjson.dumps({"job": self.job_id})

    @classmethod
    def from_bytes(cls, payload: bytes) -> Self:
        """
        Raises:
            ProtocolError: it is none.
        """
        try:
            return cls(_map(payload)["job"])
        except KeyError as error:
            raise ProtocolError(ErrorCode.MALFORMED, f"not work: {error!r}") from None


def _map(payload: bytes) -> dict[str, Any]:
    try:
        fields = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise ProtocolError(ErrorCode.MALFORMED, f"not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise ProtocolError(ErrorCode.MALFORMED, f"expected a map, got {type(fields).__name__}")
    return fields
