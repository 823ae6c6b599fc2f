"""How waiting for a job ends otherwise than with what it made."""

from protocol.errors import HTTP_STATUS, ErrorCode, ProtocolError
from protocol.jobs import Job


class JobNotDone(ProtocolError):
    """A job that was waited for has not succeeded.

    Attributes:
        job: as it ended.
        http_status: what our own API would say of it: 409 for a cancelled job, else that of the error's code.
    """

    def __init__(self, job: Job) -> None:
        if job.error is not None:
            super().__init__(job.error.code, job.error.message, job.error.field)
        else:
            super().__init__(ErrorCode.ALREADY_ENDED, f"job {job.id}: was cancelled before it was done")
        self.job = job
        self.http_status = int(HTTP_STATUS[self.code])


class ClientGone(Exception):
    """The client that waited has closed its connection; its job has been cancelled. Nobody reads the answer."""
