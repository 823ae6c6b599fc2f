"""How far a task is, in the numbers and the texts of FooocusAPI.

Preparing takes the first 6 points, the steps of all pictures the rest: `int(6 + 94 * done / all)`.
"""

from typing import Final

from protocol.events import StepFinished
from protocol.jobs import Job, JobStatus
from service.dialects.fooocus.progress import DENOISING, FINISHED, Progress, images_of, is_enhanced

_PREPARED: Final = 6
_BEGUN: Final = 1
WAITING: Final = Progress(0, "Waiting ...")
BEGUN: Final = Progress(_BEGUN, "Initializing ...")
ENDED: Final = Progress(100, FINISHED)


def progress_of(job: Job, step: StepFinished | None) -> Progress:
    """Where a job stands.

    Args:
        step: the newest step of a running job.
    """
    if job.status is JobStatus.QUEUED:
        return WAITING
    if job.status.is_terminal:
        return ENDED
    images, ready = images_of(job), len(job.outputs)
    if step is not None and (is_enhanced(job) or step.image >= ready):
        return stepped(step, job)
    return saved(ready, images) if ready else BEGUN


def stepped(step: StepFinished, job: Job) -> Progress:
    """After a step."""
    images = images_of(job)
    if is_enhanced(job):
        doing = "Sampling step" if step.stage in {None, DENOISING} else "Enhancing image, step"
        text = f"{doing} {step.step}/{max(1, step.steps)}, image {step.image + 1}/{images} ..."
        return Progress(_PREPARED + int((100 - _PREPARED) * step.progress), text)
    if step.stage is not None and step.stage != DENOISING:
        # Enlarging and the like: a part of the picture that Fooocus counts before its steps.
        share = step.step / max(1, step.steps)
        return Progress(_BEGUN + int((_PREPARED - _BEGUN) * share), f"Upscaling image, {step.step}/{step.steps} ...")
    steps = max(1, step.steps)
    text = f"Sampling step {step.step}/{steps}, image {step.image + 1}/{images} ..."
    return Progress(_percent(step.image * steps + step.step, steps * images), text)


def saved(ready: int, images: int) -> Progress:
    """When a picture is there."""
    return Progress(_percent(ready, images), f"Saving image {ready}/{images} to system ...")


def skipped(passed: int, images: int) -> Progress:
    """When a picture was left out."""
    return Progress(_percent(passed, images), f"Skipped image {passed}/{images} ...")


def _percent(done: int, of: int) -> int:
    return int(_PREPARED + (100 - _PREPARED) * min(1.0, done / max(1, of)))
