"""Every error a client can meet, by its stable code, and the one shape an error has on the wire.

    ProtocolError            a mistake of the caller, found while reading what it sent
    ErrorCode                the closed set of codes, with the HTTP status each one answers with
    ErrorBody                code, message and the place of the mistake: in socket replies and failed jobs
    Problem                  the same as an RFC 9457 problem document: in HTTP answers

Source of the HTTP form: RFC 9457, Problem Details for HTTP APIs.
"""

from enum import StrEnum
from http import HTTPStatus
from typing import Final

from pydantic import BaseModel, ConfigDict, Field


class ErrorCode(StrEnum):
    """Stable names of what can go wrong. A client may switch on these; messages are for people."""

    # What the caller sent
    MALFORMED = "malformed"
    INVALID_PARAMS = "invalid_params"
    UNKNOWN_TASK = "unknown_task"
    BAD_IMAGE = "bad_image"
    IMAGE_TOO_LARGE = "image_too_large"
    TOO_LARGE = "too_large"
    FETCH_FAILED = "fetch_failed"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    NOT_ACCEPTABLE = "not_acceptable"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    IDEMPOTENCY_MISMATCH = "idempotency_mismatch"
    # Who the caller is
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    FOREIGN_ORIGIN = "foreign_origin"
    UNKNOWN_HOST = "unknown_host"
    # What the caller asked for
    MODEL_MISSING = "model_missing"
    BAD_MODEL = "bad_model"
    NOT_FOUND = "not_found"
    ALREADY_ENDED = "already_ended"
    NOT_ENDED = "not_ended"
    CURSOR_EXPIRED = "cursor_expired"
    MODEL_EXISTS = "model_exists"
    # What the server can do now
    QUEUE_FULL = "queue_full"
    DRAINING = "draining"
    NOT_READY = "not_ready"
    INTERNAL = "internal"
    # Why a job failed
    STEP_FAILED = "step_failed"
    STEP_TIMEOUT = "step_timeout"
    OUT_OF_MEMORY = "out_of_memory"
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"


HTTP_STATUS: Final[dict[ErrorCode, HTTPStatus]] = {
    ErrorCode.MALFORMED: HTTPStatus.BAD_REQUEST,
    ErrorCode.INVALID_PARAMS: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorCode.UNKNOWN_TASK: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorCode.BAD_IMAGE: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorCode.IMAGE_TOO_LARGE: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorCode.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ErrorCode.FETCH_FAILED: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    ErrorCode.NOT_ACCEPTABLE: HTTPStatus.NOT_ACCEPTABLE,
    ErrorCode.METHOD_NOT_ALLOWED: HTTPStatus.METHOD_NOT_ALLOWED,
    ErrorCode.IDEMPOTENCY_MISMATCH: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorCode.UNAUTHORIZED: HTTPStatus.UNAUTHORIZED,
    ErrorCode.FORBIDDEN: HTTPStatus.FORBIDDEN,
    ErrorCode.FOREIGN_ORIGIN: HTTPStatus.FORBIDDEN,
    ErrorCode.UNKNOWN_HOST: HTTPStatus.MISDIRECTED_REQUEST,
    ErrorCode.MODEL_MISSING: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorCode.BAD_MODEL: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.ALREADY_ENDED: HTTPStatus.CONFLICT,
    ErrorCode.NOT_ENDED: HTTPStatus.CONFLICT,
    ErrorCode.CURSOR_EXPIRED: HTTPStatus.GONE,
    ErrorCode.MODEL_EXISTS: HTTPStatus.CONFLICT,
    ErrorCode.QUEUE_FULL: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorCode.DRAINING: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorCode.NOT_READY: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorCode.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
    ErrorCode.STEP_FAILED: HTTPStatus.INTERNAL_SERVER_ERROR,
    ErrorCode.STEP_TIMEOUT: HTTPStatus.INTERNAL_SERVER_ERROR,
    ErrorCode.OUT_OF_MEMORY: HTTPStatus.INTERNAL_SERVER_ERROR,
    ErrorCode.ATTEMPTS_EXHAUSTED: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""Total: every code answers with one status. A test holds it so."""


class ErrorBody(BaseModel):
    """An error inside another message: a socket reply, or the end of a failed job."""

    model_config = ConfigDict(frozen=True)

    code: ErrorCode
    message: str
    field: str | None = Field(None, description="JSONPath of the mistake in what was sent, e.g. $.params.steps.")


class Problem(BaseModel):
    """An RFC 9457 problem document (`application/problem+json`), with our stable `code`."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(description="A relative reference to the documentation of this code.")
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    code: ErrorCode
    field: str | None = None


class ProtocolError(Exception):
    """Something a client sent cannot be accepted.

    Args:
        code: which kind of mistake.
        message: what was wrong, where, and what is allowed.
        field: JSONPath of the mistake, when it has a place.
    """

    def __init__(self, code: ErrorCode, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field

    def body(self) -> ErrorBody:
        return ErrorBody(code=self.code, message=self.message, field=self.field)

    def problem(self) -> Problem:
        status = HTTP_STATUS[self.code]
        return Problem(
            type=f"/docs/errors#{self.code}",
            title=status.phrase,
            status=status,
            detail=self.message,
            code=self.code,
            field=self.field,
        )
