"""How far a job is, in the numbers and the texts of Fooocus' APIs.

Until the first step it counts up to a few points, then from 15 to 100 with the steps: `int(15 + 85 * done / all)`,
where `done` counts the steps before the one that is told of, from 0.
"""

from dataclasses import dataclass
from typing import Final

from protocol.events import StepFinished
from protocol.jobs import Job, JobStatus

DENOISING: Final = "denoise"
"""The stage of steps that make a picture; others prepare it."""
FINISHED: Final = "Finished"
_STEPS_FROM: Final = 15
_STEPS_SHARE: Final = 85
_LOADING: Final = 2
_ENLARGING: Final = 7


@dataclass(frozen=True, slots=True)
class Progress:
    """
    Attributes:
        percent: 0..100.
        text: what is being done; None while the job waits.
    """

    percent: int
    text: str | None


def progress_of(job: Job, step: StepFinished | None, *, prepared: int, has_model: bool = True) -> Progress:
    """Where a job stands.

    Args:
        step: the newest step of a running job.
        prepared: the number at which preparing ends: 6, or 13 in older versions.
        has_model: its model is in memory, as far as that is known.
    """
    if job.status is JobStatus.QUEUED:
        return Progress(0, None)
    if job.status is JobStatus.FAILED:
        return Progress(_stepped(job, step).percent, job.error.message if job.error is not None else "Failed")
    if job.status.is_terminal:
        return Progress(100, FINISHED)
    if step is None and not job.outputs:
        if not has_model:
            return Progress(_LOADING, "Loading models ...")
        return Progress(prepared, f"Preparing task 1/{images_of(job)} ...")
    return _stepped(job, step)


def images_of(job: Job) -> int:
    """How many pictures a job makes."""
    images = job.params.get("images")
    return images if isinstance(images, int) else 1


def is_enhanced(job: Job) -> bool:
    """Whether its pictures go through several stages, each with steps of its own."""
    return job.params.get("enhance") is not None


def _stepped(job: Job, step: StepFinished | None) -> Progress:
    images, ready = images_of(job), len(job.outputs)
    if step is None or (ready and step.image < ready and not is_enhanced(job)):
        if not ready:
            return Progress(0, None)
        return Progress(_percent(ready, images), f"Saving image {ready}/{images} to system ...")
    if is_enhanced(job):
        return _of_stages(step)
    if step.stage is not None and step.stage != DENOISING:
        # Enlarging and the like: a part of the picture that Fooocus counts before its steps.
        share = step.step / max(1, step.steps)
        text = f"Upscaling image, {step.step}/{step.steps} ..."
        return Progress(_ENLARGING + int((_STEPS_FROM - _ENLARGING) * share), text)
    number = max(0, step.step - 1)
    steps = max(1, step.steps)
    return Progress(
        _percent(step.image * steps + number, steps * images),
        f"Step {number}/{steps} in the {step.image + 1}-th Sampling",
    )


def _of_stages(step: StepFinished) -> Progress:
    if step.stage in {None, DENOISING}:
        text = f"Step {max(0, step.step - 1)}/{max(1, step.steps)} in the {step.image + 1}-th Sampling"
    else:
        text = f"Enhancing image, {step.step}/{max(1, step.steps)} ..."
    return Progress(_STEPS_FROM + int(_STEPS_SHARE * step.progress), text)


def _percent(done: int, of: int) -> int:
    return int(_STEPS_FROM + _STEPS_SHARE * min(1.0, done / max(1, of)))
