"""Events, durations and sizes in words for people."""

from protocol.events import (
    Event,
    JobCancelled,
    JobFailed,
    JobQueued,
    JobRemoved,
    JobRequeued,
    JobStarted,
    JobSucceeded,
    JobWarning,
    OutputReady,
    OutputSkipped,
    QueueMoved,
    StepFinished,
)
from safelight.advice import advice_for


def short_id(job_id: str) -> str:
    """The last eight signs of an id: of UUIDv7s made together the first ones are all alike."""
    return job_id[-8:]


def describe(event: Event) -> str | None:
    """An event in a few words for people; None for one that says nothing new to them."""
    body = event.body
    match body:
        case JobQueued():
            return "queued"
        case QueueMoved():
            ahead = "next in the queue" if not body.position else f"{body.position} ahead in the queue"
            return ahead + _eta(body.eta_s)
        case JobStarted():
            again = f", attempt {body.attempt}" if body.attempt > 1 else ""
            return f"running on {body.device}{again}"
        case JobRequeued():
            return f"back in the queue: {body.reason}"
        case StepFinished():
            stage = f"{body.stage} " if body.stage else "step "
            return f"{stage}{body.step}/{body.steps} {body.progress:.0%}{_eta(body.eta_s) if body.progress < 1 else ''}"
        case OutputReady():
            pixels = f", {body.width}x{body.height}" if body.width and body.height else ""
            return f"output {body.index} ready{pixels}, {size(body.size_bytes)}"
        case OutputSkipped():
            return f"output {body.index} skipped"
        case JobWarning():
            return f"warning: {body.message} [{body.code}]"
        case JobSucceeded():
            return f"done in {seconds(body.duration_s)}"
        case JobFailed():
            advice = advice_for(body.error.code)
            return f"failed: {body.error.message} [{body.error.code}]" + (f"; {advice}" if advice else "")
        case JobCancelled():
            return f"cancelled: {body.reason}"
        case JobRemoved():
            return f"removed from the server: {body.reason}"
        case _:
            return None


def seconds(duration_s: float) -> str:
    """A duration as people say it: 0.34 s, 12 s, 3 min 5 s."""
    if duration_s < 10:
        return f"{duration_s:.2f} s"
    if duration_s < 60:
        return f"{duration_s:.0f} s"
    minutes, rest = divmod(round(duration_s), 60)
    return f"{minutes} min {rest} s"


def _eta(eta_s: float | None) -> str:
    if eta_s is None:
        return ""
    if eta_s < 1:
        return ", a moment left"
    return f", about {seconds(eta_s) if eta_s >= 60 else f'{eta_s:.0f} s'} left"


def size(count: int) -> str:
    """A number of bytes as people say it."""
    if count < 1000:
        return f"{count} bytes"
    if count < 1_000_000:
        return f"{count / 1000:.1f} kB"
    return f"{count / 1_000_000:.1f} MB"
