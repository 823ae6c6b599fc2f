"""What can go wrong for a user of the client.

SafelightError
|- PictureUnreadable     a picture argument is no file, no picture and no reference; nothing was sent
|- ServerUnreachable     nobody answers at that address
|- ConnectionLost        the connection broke and did not come back within the client's patience
|- UnexpectedAnswer      what answers there does not speak this protocol
|- RequestRefused        the server said no: code, message, field, status
|- DownloadFailed       the server could not download a model
|- OutputDamaged         an output arrived with another checksum than it was announced with
|- JobEnded              a job ended without its outputs
   |- JobFailed          code, message
   |- JobCancelled       reason
"""

from http import HTTPStatus
from typing import TYPE_CHECKING

from protocol.errors import HTTP_STATUS, ErrorCode

if TYPE_CHECKING:
    from protocol.jobs import Job


class SafelightError(Exception):
    """The root of the tree: catch this to catch all of it."""


class PictureUnreadable(SafelightError):
    """A picture argument cannot be read. Raised before anything is sent."""


class ServerUnreachable(SafelightError):
    """Nobody answers at `url`."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"no server answers at {url} ({reason}); is it running? start it with: safelight serve")
        self.url = url
        self.reason = reason


class ConnectionLost(SafelightError):
    """The connection broke and could not be made again in time. Accepted jobs go on without us."""


class UnexpectedAnswer(SafelightError):
    """What answered does not speak this protocol, or another version of it."""


class DownloadFailed(SafelightError):
    """The server could not download a model. Asked again, it goes on where it broke off, if it can."""

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(f"{model} was not downloaded: {reason}")
        self.model = model
        self.reason = reason


class RequestRefused(SafelightError):
    """The server refused a request.

    Attributes:
        code: one of `protocol.errors.ErrorCode`, or a newer server's; compare it with strings or with the enum.
        message: what was wrong and what is allowed.
        field: JSONPath of the mistake, when it has a place.
        status: the HTTP status that belongs to the code.
    """

    def __init__(self, code: str, message: str, field: str | None = None, status: int | None = None) -> None:
        super().__init__(f"{message} [{code}]")
        self.code = code
        self.message = message
        self.field = field
        self.status = status if status is not None else status_of(code)


class OutputDamaged(SafelightError):
    """An output arrived with another checksum than it was announced with."""


class JobEnded(SafelightError):
    """A job ended without its outputs; `job` is its last state, with the outputs that were ready before."""

    def __init__(self, job: "Job", message: str) -> None:
        super().__init__(message)
        self.job = job


class JobFailed(JobEnded):
    """A job failed."""

    def __init__(self, job: "Job") -> None:
        error = job.error
        self.code: str = error.code if error else ErrorCode.INTERNAL
        self.message = error.message if error else "the server gave no reason"
        super().__init__(job, f"job {job.id} failed: {self.message} [{self.code}]")


class JobCancelled(JobEnded):
    """A job was cancelled."""

    def __init__(self, job: "Job", reason: str = "") -> None:
        super().__init__(job, f"job {job.id} was cancelled" + (f": {reason}" if reason else ""))
        self.reason = reason


def status_of(code: str) -> int:
    """The HTTP status of an error code; 500 for one that this version does not know."""
    try:
        return HTTP_STATUS[ErrorCode(code)]
    except ValueError:
        return HTTPStatus.INTERNAL_SERVER_ERROR
