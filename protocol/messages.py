"""What client and server say to each other over `/v1/ws`, beside events."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, model_validator

from protocol.errors import ErrorBody, ErrorCode, ProtocolError
from protocol.jobs import Job
from protocol.validation import parse

Ref = Annotated[str, Field(max_length=128, description="Chosen by the client; the reply carries it back.")]
MAX_SEQ: Final = 2**53 - 1
"""The largest whole number every JSON reader keeps exactly; no job has as many facts."""

JobId = Annotated[str, Field(max_length=64)]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Auth(_Message):
    """Show an API key. For browsers, which cannot set headers on a socket; must be the first message."""

    type: Literal["auth"]
    ref: Ref | None = None
    key: str = Field(max_length=512)


class Submit(_Message):
    """Submit a job, and by default watch it."""

    type: Literal["submit"]
    ref: Ref | None = None
    job: dict[str, Any] = Field(description="A job request, as POST /v1/jobs takes it.")
    idempotency_key: str | None = Field(None, min_length=1, max_length=255)
    subscribe: StrictBool = True


class _Topic(_Message):
    """What is watched: one job, all of one's own jobs, or the server topic."""

    ref: Ref | None = None
    job_id: JobId | None = None
    jobs: Literal["mine"] | None = None
    topic: Literal["server"] | None = None

    @model_validator(mode="after")
    def _names_one_thing(self) -> Self:
        if sum(choice is not None for choice in (self.job_id, self.jobs, self.topic)) != 1:
            raise ValueError("needs exactly one of job_id, jobs and topic")
        return self


class Subscribe(_Topic):
    """Watch one job from a `seq` on, all of one's own jobs from a `cursor` on, or the server topic."""

    type: Literal["subscribe"]
    after: StrictInt = Field(0, ge=0, le=MAX_SEQ, description="With job_id: the last seq the client has; 0 for all.")
    cursor: str | None = Field(None, max_length=128, description="With jobs: from the last fact; none for live only.")


class Unsubscribe(_Topic):
    """Stop watching what a `subscribe` named."""

    type: Literal["unsubscribe"]


class Cancel(_Message):
    """Ask that a job be cancelled; the `job.cancelled` event says that it was."""

    type: Literal["cancel"]
    ref: Ref | None = None
    job_id: JobId


class Skip(_Message):
    """Ask that a running job leave out the image it is at; the `output.skipped` event says that it did."""

    type: Literal["skip"]
    ref: Ref | None = None
    job_id: JobId


class Ping(_Message):
    """Ask for a reply; for clients that cannot send WebSocket pings."""

    type: Literal["ping"]
    ref: Ref | None = None


ClientMessage: TypeAlias = Auth | Submit | Subscribe | Unsubscribe | Cancel | Skip | Ping
CLIENT_MESSAGES: Final[Mapping[str, type[ClientMessage]]] = {
    "auth": Auth,
    "submit": Submit,
    "subscribe": Subscribe,
    "unsubscribe": Unsubscribe,
    "cancel": Cancel,
    "skip": Skip,
    "ping": Ping,
}


def parse_client_message(value: object) -> ClientMessage:
    """Read a decoded frame as a client message.

    Raises:
        ProtocolError: `malformed` if it is no map with a known type, `invalid_params` naming the first wrong field.
    """
    kind = value.get("type") if isinstance(value, Mapping) else None
    if not isinstance(kind, str) or kind not in CLIENT_MESSAGES:
        expected = ", ".join(CLIENT_MESSAGES)
        raise ProtocolError(
            ErrorCode.MALFORMED, f"type: expected one of {expected}, got {kind!r:.60} at $.type", "$.type"
        )
    return parse(CLIENT_MESSAGES[kind], value)


class Reply(BaseModel):
    """The server's answer to one client message."""

    model_config = ConfigDict(frozen=True)

    type: Literal["reply"] = "reply"
    ref: str | None = None
    ok: bool
    job: Job | None = None
    cursor: str | None = Field(None, description="Answer to jobs=mine: where the subscription begins.")
    error: ErrorBody | None = None

    def wire(self) -> Mapping[str, Any]:
        """As a plain mapping, without the fields that say nothing."""
        return self.model_dump(mode="json", exclude_none=True)


CLOSE_CODES: Final[Mapping[int, str]] = {
    1000: "normal: the client closed, or asked for something that is complete",
    1002: "protocol error: a frame that breaks RFC 6455",
    1003: "unsupported data: a binary frame where text is due, or the other way round",
    1007: "invalid payload: a text frame that is not UTF-8",
    1008: "policy: origin or host not allowed",
    1009: "message too big",
    1011: "no answer to a ping in time",
    1012: "service restart: the server is draining; reconnect and resume",
    4400: "malformed: a frame that is no JSON, no msgpack map or no known message, too often",
    4401: "unauthorized: no key, an unknown key, or none within the time given",
    4406: "no known subprotocol offered",
    4408: "lagging: the client reads too slowly; reconnect and resume from the last seq",
}
"""Every code the server closes a socket with, and what it means for the client."""
