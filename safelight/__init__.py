"""Safelight for programs: submit a job, watch it develop, lose nothing.

    from safelight import Client

    with Client("http://127.0.0.1:8765") as client:
        outputs = client.run("upscale", image="photo.jpg", factor=2.0)
        outputs[0].save("photo-large.png")

`Client` blocks, `AsyncClient` does not; both have the same methods. Names are imported when they are first used, so
that the command line starts without loading what it does not need.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

from safelight import version

if TYPE_CHECKING:
    from protocol.events import Event
    from protocol.jobs import JobStatus
    from protocol.params import Point, Region
    from protocol.requests import JobRequest, Previews, Priority, TaskName, Webhook
    from safelight.blocking import Client, Job, Output
    from safelight.client import AsyncClient, Health
    from safelight.errors import (
        ConnectionLost,
        DownloadFailed,
        JobCancelled,
        JobFailed,
        OutputDamaged,
        PictureUnreadable,
        RequestRefused,
        SafelightError,
        ServerUnreachable,
        UnexpectedAnswer,
    )
    from safelight.job import AsyncJob
    from safelight.output import AsyncOutput

__version__ = version.VERSION

_HOME: Final = {
    "AsyncClient": "safelight.client",
    "AsyncJob": "safelight.job",
    "AsyncOutput": "safelight.output",
    "Client": "safelight.blocking",
    "ConnectionLost": "safelight.errors",
    "DownloadFailed": "safelight.errors",
    "Event": "protocol.events",
    "Health": "safelight.client",
    "Job": "safelight.blocking",
    "JobCancelled": "safelight.errors",
    "JobFailed": "safelight.errors",
    "JobRequest": "protocol.requests",
    "JobStatus": "protocol.jobs",
    "Output": "safelight.blocking",
    "OutputDamaged": "safelight.errors",
    "PictureUnreadable": "safelight.errors",
    "Point": "protocol.requests",
    "Previews": "protocol.requests",
    "Priority": "protocol.requests",
    "Region": "protocol.requests",
    "RequestRefused": "safelight.errors",
    "SafelightError": "safelight.errors",
    "ServerUnreachable": "safelight.errors",
    "TaskName": "protocol.requests",
    "UnexpectedAnswer": "safelight.errors",
    "Webhook": "protocol.requests",
}
"""Public name -> the module it lives in."""

__all__ = [
    "AsyncClient",
    "AsyncJob",
    "AsyncOutput",
    "Client",
    "ConnectionLost",
    "DownloadFailed",
    "Event",
    "Health",
    "Job",
    "JobCancelled",
    "JobFailed",
    "JobRequest",
    "JobStatus",
    "Output",
    "OutputDamaged",
    "PictureUnreadable",
    "Point",
    "Previews",
    "Priority",
    "Region",
    "RequestRefused",
    "SafelightError",
    "ServerUnreachable",
    "TaskName",
    "UnexpectedAnswer",
    "Webhook",
    "__version__",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
