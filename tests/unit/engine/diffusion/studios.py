"""Generating tasks on a studio of tiny models: one after another, or at once on a real executor."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from engine.device import Device
from engine.diffusion.studio import Studio
from engine.interface import Run, RunContext, Steps
from engine.library.layouts import Root
from engine.library.library import Library
from engine.models.residency import Residency
from engine.tasks.enhance import enhance, with_enhancing
from engine.tasks.image_to_image import image_to_image
from engine.tasks.inpaint import inpaint
from engine.tasks.outpaint import outpaint
from engine.tasks.text_to_image import text_to_image
from protocol.requests import Previews, TaskName
from tests.unit.engine.driver import Driver, drive, make_run
from tests.unit.engine.workbench import bench

Pixels = np.ndarray[Any, Any]

_TASKS = {
    TaskName.TEXT_TO_IMAGE: text_to_image,
    TaskName.IMAGE_TO_IMAGE: image_to_image,
    TaskName.INPAINT: inpaint,
    TaskName.OUTPAINT: outpaint,
}
_USUAL = {"prompt": "a cat", "steps": 3, "seed": 5}


def studio_of(*folders: Path, residency: Residency | None = None) -> Studio:
    """A studio on the CPU of the models below `folders`; the model for requests that name none is `sd1`."""
    library = Library([Root(path=folder) for folder in folders])
    library.refresh()
    device = Device(torch.device("cpu"))
    return Studio(library, residency or Residency(Path(), "cpu"), device, default_model="sd1")


def make(
    studio: Studio,
    params: Mapping[str, Any],
    *,
    task: TaskName = TaskName.TEXT_TO_IMAGE,
    inputs: Mapping[str, Path] | None = None,
    previews: Previews = Previews.ALL,
) -> Driver:
    """One job from its start to its end."""
    run = make_run(task, {**_USUAL, **params}, inputs=inputs, previews=previews)
    return drive(lambda run, context: _steps(run, context, studio), run)


def draw(studio: Studio, params: Mapping[str, Any], **about: Any) -> Pixels:
    """The first picture of a job."""
    return pixels(make(studio, params, **about).outputs[0].content)


def draw_at_once(
    studio: Studio,
    *jobs: Mapping[str, Any],
    task: TaskName = TaskName.TEXT_TO_IMAGE,
    inputs: Mapping[str, Path] | None = None,
) -> list[Pixels]:
    """The first pictures of several jobs, alive on one executor at the same time."""
    with bench() as at:
        gate = at.hold_device()
        names = [f"job-{number}" for number in range(len(jobs))]
        for name, params in zip(names, jobs, strict=True):
            asked = make_run(task, {**_USUAL, **params}, inputs=inputs)
            at.submit(name, _Task(studio, asked))
        gate.open()
        at.sink.wait_end(*names)
        ends = [at.sink.types(name)[-1] for name in names]
        assert set(ends) == {"job.succeeded"}, [at.sink.of(name)[-1] for name in names]
        return [pixels(at.outputs.kept[name, 0]) for name in names]


def pixels(content: bytes) -> Pixels:
    return np.asarray(Image.open(BytesIO(content)))


def _steps(run: Run, context: RunContext, studio: Studio) -> Steps:
    """As the backend puts them together."""
    if run.task is TaskName.ENHANCE:
        return enhance(run, context, studio, studio.plugins)
    task = partial(_TASKS[run.task], studio=studio)
    return with_enhancing(task, studio, studio.plugins)(run, context)


class _Task:
    """Runs what was asked for in the place of what the workbench hands over."""

    def __init__(self, studio: Studio, asked: Run) -> None:
        self._studio = studio
        self._asked = asked

    def __call__(self, run: Run, context: RunContext) -> Steps:
        # As the backend does for its thread.
        torch.set_grad_enabled(False)
        torch.set_num_threads(1)
        asked = replace(self._asked, job_id=run.job_id)
        return _steps(asked, context, self._studio)
