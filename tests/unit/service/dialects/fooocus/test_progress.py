from typing import Any

import pytest

from protocol.errors import ErrorBody, ErrorCode
from protocol.events import OutputReady, StepFinished
from protocol.ids import new_id
from protocol.jobs import Job, JobStatus
from protocol.requests import Previews, Priority, TaskName
from service.dialects.fooocus.progress import Progress, progress_of
from service.dialects.fooocus_engine.progress import progress_of as engine_progress_of

OUTPUT = OutputReady(index=0, url="u", media_type="image/png", size_bytes=1, sha256="0")


def job(status: JobStatus = JobStatus.RUNNING, *, images: int = 2, outputs: int = 0, **about: Any) -> Job:
    return Job(
        id=new_id(),
        task=TaskName.TEXT_TO_IMAGE,
        status=status,
        seq=1,
        attempt=1,
        priority=Priority.NORMAL,
        previews=Previews.NONE,
        params={"images": images},
        created_at="2026-11-21T12:00:00.000Z",
        outputs=(OUTPUT,) * outputs,
        **about,
    )


def step(image: int, number: int, steps: int = 30, stage: str | None = "denoise") -> StepFinished:
    return StepFinished(image=image, step=number, steps=steps, progress=0.5, stage=stage)


def test_a_waiting_job_has_no_text_and_an_ended_one_is_finished() -> None:
    assert progress_of(job(JobStatus.QUEUED), None, prepared=6) == Progress(0, None)
    for status in (JobStatus.SUCCEEDED, JobStatus.CANCELLED):
        assert progress_of(job(status), None, prepared=6) == Progress(100, "Finished")


def test_before_the_first_step_the_model_is_loaded_or_the_task_prepared() -> None:
    assert progress_of(job(), None, prepared=6, has_model=False) == Progress(2, "Loading models ...")
    assert progress_of(job(), None, prepared=6) == Progress(6, "Preparing task 1/2 ...")
    assert progress_of(job(), None, prepared=13).percent == 13


@pytest.mark.parametrize(
    ("image", "number", "percent", "text"),
    [
        (0, 1, 15, "Step 0/30 in the 1-th Sampling"),
        (0, 30, 56, "Step 29/30 in the 1-th Sampling"),
        (1, 1, 57, "Step 0/30 in the 2-th Sampling"),
        (1, 30, 98, "Step 29/30 in the 2-th Sampling"),
    ],
)
def test_steps_are_counted_from_0_and_images_from_1(image: int, number: int, percent: int, text: str) -> None:
    done = job(outputs=image)
    assert progress_of(done, step(image, number), prepared=6) == Progress(percent, text)


def test_a_picture_that_is_ready_has_been_saved() -> None:
    assert progress_of(job(outputs=1), step(0, 30), prepared=6) == Progress(57, "Saving image 1/2 to system ...")
    assert progress_of(job(outputs=2), step(1, 30), prepared=6) == Progress(100, "Saving image 2/2 to system ...")


def test_enlarging_comes_before_the_steps() -> None:
    shown = [progress_of(job(), step(0, tile, 4, "tile"), prepared=6) for tile in (1, 4)]
    assert shown == [Progress(9, "Upscaling image, 1/4 ..."), Progress(15, "Upscaling image, 4/4 ...")]


def test_a_failed_job_says_why() -> None:
    error = ErrorBody(code=ErrorCode.STEP_FAILED, message="no memory left")
    assert progress_of(job(JobStatus.FAILED, error=error), None, prepared=6) == Progress(0, "no memory left")


@pytest.mark.parametrize(
    ("done", "stage", "percent", "texts"),
    [
        (0.1, "detect", 23, ("Enhancing image, 2/3 ...", "Enhancing image, step 2/3, image 2/2 ...")),
        (0.9, "denoise", 91, ("Step 1/3 in the 2-th Sampling", "Sampling step 2/3, image 2/2 ...")),
        (0.9, None, 91, ("Step 1/3 in the 2-th Sampling", "Sampling step 2/3, image 2/2 ...")),
    ],
)
def test_a_picture_in_stages_is_as_far_as_all_of_them_together(
    done: float, stage: str | None, percent: int, texts: tuple[str, str]
) -> None:
    told = StepFinished(image=1, step=2, steps=3, progress=done, stage=stage)
    for outputs in (0, 2, 5):
        enhanced = job(outputs=outputs).model_copy(update={"params": {"images": 2, "enhance": {"regions": []}}})
        assert progress_of(enhanced, told, prepared=6) == Progress(percent, texts[0])
        assert engine_progress_of(enhanced, told) == Progress(6 + int(94 * done), texts[1])


def test_more_outputs_than_pictures_are_no_more_than_all() -> None:
    assert progress_of(job(outputs=5), None, prepared=6).percent == 100
    assert engine_progress_of(job(outputs=5), None).percent == 100
