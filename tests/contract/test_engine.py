"""What every engine promises, shown with the fake backend and with the real one, both on the same executor."""

import hashlib
import io
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from PIL import Image

from engine.backend import Backend
from engine.executor import Executor, ExecutorOptions
from engine.fake import FakeBackend
from engine.interface import Order, Run
from engine.interface.engine import Engine, EngineStatus, StoredOutput
from engine.library.layouts import Root
from engine.library.library import Library
from protocol.errors import ErrorCode
from protocol.events import (
    TERMINAL_FACTS,
    EventBody,
    JobCancelled,
    JobFailed,
    JobRequeued,
    JobStarted,
    OutputReady,
    PreviewReady,
    StepFinished,
)
from protocol.requests import TASKS, Previews, TaskName
from tests.servers import DEADLINE_S, MODELS_DIR

PATIENCE_S = 30 * DEADLINE_S
"""For networks on a slow processor that others use too."""
WIDTH, HEIGHT = 96, 64
Body = TypeVar("Body", bound=EventBody)


@dataclass(frozen=True)
class Example:
    """A small request of each task, and what comes of it."""

    task: TaskName
    params: Mapping[str, Any]
    images: tuple[str, ...] = ("image",)
    outputs: int = 1
    media_type: str = "image/png"
    size: tuple[int, int] | None = (WIDTH, HEIGHT)


EXAMPLES = {
    "erase-mask": Example(TaskName.ERASE, {}, ("image", "mask")),
    "erase-regions": Example(
        TaskName.ERASE,
        {"regions": [{"x": 8, "y": 8, "width": 20, "height": 12}], "format": "jpeg"},
        media_type="image/jpeg",
    ),
    "remove_text": Example(TaskName.REMOVE_TEXT, {"regions": [{"x": 4, "y": 4, "width": 60, "height": 24}]}),
    "remove_text-mask": Example(
        TaskName.REMOVE_TEXT, {"regions": [{"x": 4, "y": 4, "width": 60, "height": 24}], "result": "mask"}
    ),
    "upscale": Example(
        TaskName.UPSCALE,
        {"factor": 1.5, "model": "compact", "tile_px": 32, "format": "webp"},
        media_type="image/webp",
        size=(144, 96),
    ),
    "remove_background": Example(TaskName.REMOVE_BACKGROUND, {}),
    "segment": Example(TaskName.SEGMENT, {"points": [{"x": 40, "y": 30}], "count": 2}, outputs=2),
    "adjust_mask": Example(TaskName.ADJUST_MASK, {"operation": "shrink", "by_px": 3}, ("mask",)),
    "restore_face": Example(TaskName.RESTORE_FACE, {}),
    "describe": Example(TaskName.DESCRIBE, {}, media_type="application/json", size=None),
    "text_to_image": Example(
        TaskName.TEXT_TO_IMAGE,
        {"prompt": "a red apple", "seed": 7, "deterministic": True, "width": 96, "height": 64, "images": 2, "steps": 3},
        (),
        outputs=2,
    ),
    "image_to_image": Example(
        TaskName.IMAGE_TO_IMAGE,
        {"prompt": "a red apple", "seed": 7, "deterministic": True, "strength": 0.5, "steps": 4},
    ),
    "inpaint": Example(
        TaskName.INPAINT, {"prompt": "a red apple", "seed": 7, "deterministic": True, "steps": 3}, ("image", "mask")
    ),
    "outpaint": Example(
        TaskName.OUTPAINT,
        {"prompt": "a red apple", "seed": 7, "deterministic": True, "steps": 3, "right": 32},
        size=(128, 64),
    ),
    "enhance": Example(
        TaskName.ENHANCE,
        {
            "prompt": "a red apple",
            "seed": 7,
            "deterministic": True,
            "steps": 3,
            "enhance": {
                "regions": [{"subject": "u2netp", "prompt": "a cat"}],
                "rework": {"strength": 0.5},
                "keep_stages": True,
            },
        },
        outputs=2,
    ),
    "load_model": Example(TaskName.LOAD_MODEL, {"model": "tiny"}, (), outputs=0),
    "test_pattern": Example(
        TaskName.TEST_PATTERN, {"width": 40, "height": 24, "images": 3, "steps": 2}, (), outputs=3, size=(40, 24)
    ),
}


class Told:
    """An event sink and output store that keeps everything."""

    def __init__(self) -> None:
        self.events: list[tuple[str | None, EventBody]] = []
        self.files: dict[tuple[str, int], bytes] = {}
        self._changed = threading.Condition()

    def emit(self, body: EventBody, *, job_id: str | None = None, attempt: int = 1) -> None:
        with self._changed:
            self.events.append((job_id, body))
            self._changed.notify_all()

    def write(self, job_id: str, index: int, media_type: str, content: bytes) -> StoredOutput:
        self.files[job_id, index] = content
        return StoredOutput(url=f"memory:{index}", size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())

    def of(self, job_id: str, kind: type[Body]) -> list[Body]:
        return [body for owner, body in list(self.events) if owner == job_id and isinstance(body, kind)]

    def all_of(self, job_id: str) -> list[EventBody]:
        return [body for owner, body in list(self.events) if owner == job_id]

    def wait(self, is_true: Callable[[], bool], what: str) -> None:
        with self._changed:
            assert self._changed.wait_for(is_true, PATIENCE_S), f"no {what}: {self.events}"

    def wait_end(self, job_id: str) -> EventBody:
        def end() -> list[EventBody]:
            return [body for body in self.all_of(job_id) if isinstance(body, (*TERMINAL_FACTS, JobRequeued))]

        self.wait(lambda: bool(end()), f"end of {job_id}")
        return end()[0]


class Workshop:
    """An engine with pictures to work on."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self.told = Told()
        self._ready = threading.Event()
        self._turn = 0
        y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
        photo = np.stack([x * 2, y * 3, 255 - x], axis=2).astype(np.uint8)
        photo[20:44, 30:60] = (200, 40, 40)
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[10:30, 60:80] = 255
        self.picture("image", photo)
        self.picture("mask", mask)

    def start(self) -> None:
        self.engine.start(self.told, self.told, self._ready.set)
        assert self._ready.wait(PATIENCE_S), self.engine.state()
        assert self.engine.state().status is EngineStatus.READY, self.engine.state()

    def picture(self, name: str, pixels: np.ndarray[Any, Any]) -> Path:
        path = self.folder / f"{name}.png"
        Image.fromarray(pixels).save(path)
        return path

    def submit(self, example: Example, *, previews: Previews = Previews.NONE, **about: Any) -> str:
        self._turn += 1
        job_id = f"job-{self._turn}"
        inputs = {name: self.folder / f"{name}.png" for name in example.images}
        inputs |= about.pop("inputs", {})
        run = Run(
            job_id=job_id,
            attempt=1,
            task=example.task,
            params=TASKS[example.task].params.model_validate(dict.fromkeys(inputs, "upload:x") | dict(example.params)),
            order=Order(not TASKS[example.task].is_interactive, 1, self._turn),
            previews=previews,
            inputs=inputs,
            input_pixels=WIDTH * HEIGHT * len(inputs),
            **about,
        )
        self.engine.submit(run)
        return job_id

    def digests(self, job_id: str) -> list[str]:
        """What the pixels are, and for documents the content."""
        assert not isinstance(self.told.wait_end(job_id), JobFailed), self.told.all_of(job_id)
        return [ready.sha256 for ready in self.told.of(job_id, OutputReady)]


def fake() -> Backend:
    return FakeBackend(step_s=0.001)


def real() -> Backend:
    from engine.diffusion.quiet import quieten

    quieten()
    import torch

    from engine.inpainting.weights import Weights
    from engine.plugins.gfpgan import GfpGan
    from engine.torch_backend import TorchBackend
    from tests.tiny_models import make_sd1

    folder = Path(tempfile.mkdtemp(prefix="safelight-tiny-"))
    make_sd1().save_pretrained(folder / "tiny")
    # No package carries it: a stand-in of its form.
    torch.save({"params_ema": GfpGan(width=1 / 16).state_dict()}, folder / "GFPGANv1.4.pth")
    library = Library((Root(path=folder / "tiny"),))
    weights = Weights(models_dir=MODELS_DIR, folders=(folder,))
    return TorchBackend(MODELS_DIR, library=library, erase_weights=weights, device="cpu", threads=2)


@pytest.fixture(
    scope="module",
    params=[pytest.param(fake, id="fake"), pytest.param(real, id="real", marks=pytest.mark.models)],
)
def workshop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    if request.param is real and not MODELS_DIR.is_dir():
        pytest.skip(f"no models in {MODELS_DIR}: run safelight models pull")
    engine = Executor(request.param(), ExecutorOptions(max_live_jobs=20))
    made = Workshop(engine, tmp_path_factory.mktemp("pictures"))
    made.start()
    yield made
    assert engine.stop(PATIENCE_S)


@pytest.fixture(params=sorted(EXAMPLES))
def example(request: pytest.FixtureRequest) -> Example:
    return EXAMPLES[request.param]


def test_every_task_has_an_example() -> None:
    assert {example.task for example in EXAMPLES.values()} == set(TaskName)


def test_a_job_starts_goes_on_step_by_step_and_succeeds_with_its_outputs(workshop: Workshop, example: Example) -> None:
    job_id = workshop.submit(example, previews=Previews.ALL)
    end = workshop.told.wait_end(job_id)
    bodies = workshop.told.all_of(job_id)
    assert end.TYPE == "job.succeeded", end
    assert isinstance(bodies[0], JobStarted)
    assert bodies[-1] is end
    assert sum(isinstance(body, TERMINAL_FACTS) for body in bodies) == 1
    steps = workshop.told.of(job_id, StepFinished)
    progress = [step.progress for step in steps]
    assert progress == sorted(progress)
    assert 0.9 <= progress[-1] <= 1  # what is left is the encoding, which is no step
    assert all(1 <= step.step <= step.steps for step in steps)
    ready = workshop.told.of(job_id, OutputReady)
    assert [output.index for output in ready] == list(range(example.outputs))
    for output in ready:
        content = workshop.told.files[job_id, output.index]
        assert output.media_type == example.media_type
        assert (output.size_bytes, output.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        if example.size is not None:
            assert (output.width, output.height) == example.size
            with Image.open(io.BytesIO(content)) as image:
                assert image.size == example.size
                assert Image.MIME[str(image.format)] == example.media_type


def test_the_same_request_gives_the_same_bytes(workshop: Workshop, example: Example) -> None:
    first, second = (workshop.digests(workshop.submit(example)) for _ in range(2))
    assert first == second
    assert len(first) == example.outputs


def test_previews_are_small_pictures_and_only_made_when_asked_for(workshop: Workshop, example: Example) -> None:
    silent, shown = workshop.submit(example), workshop.submit(example, previews=Previews.ALL)
    for job_id in (silent, shown):
        workshop.told.wait_end(job_id)
    assert workshop.told.of(silent, PreviewReady) == []
    for preview in workshop.told.of(shown, PreviewReady):
        assert preview.media_type == "image/jpeg"
        with Image.open(io.BytesIO(preview.bytes)) as image:
            assert image.size == (preview.width, preview.height)
            assert max(image.size) <= 256


def test_a_test_pattern_shows_how_it_develops(workshop: Workshop) -> None:
    example = Example(TaskName.TEST_PATTERN, {"width": 64, "height": 64, "steps": 5, "step_ms": 20}, (), size=(64, 64))
    job_id = workshop.submit(example, previews=Previews.ALL)
    workshop.told.wait_end(job_id)
    assert workshop.told.of(job_id, PreviewReady)


def test_a_job_cancelled_between_steps_says_nothing_more(workshop: Workshop) -> None:
    example = Example(TaskName.TEST_PATTERN, {"width": 16, "height": 16, "steps": 1000, "step_ms": 5}, ())
    job_id, other = workshop.submit(example), workshop.submit(EXAMPLES["test_pattern"])
    workshop.told.wait(lambda: len(workshop.told.of(job_id, StepFinished)) >= 3, "step")
    workshop.engine.cancel(job_id, "enough")
    end = workshop.told.wait_end(job_id)
    assert isinstance(end, JobCancelled)
    assert end.reason == "enough"
    assert workshop.told.wait_end(other).TYPE == "job.succeeded"
    assert workshop.told.all_of(job_id)[-1] is end
    assert workshop.told.of(job_id, OutputReady) == []


@pytest.mark.parametrize("name", ["upscale", "remove_background", "segment", "erase-mask"])
def test_a_task_can_be_cancelled_at_its_first_sign_of_life(workshop: Workshop, name: str) -> None:
    job_id = workshop.submit(EXAMPLES[name])
    workshop.engine.cancel(job_id, "never mind")
    assert isinstance(workshop.told.wait_end(job_id), JobCancelled)
    assert workshop.told.all_of(job_id)[-1].TYPE == "job.cancelled"


def test_a_model_that_was_loaded_is_in_memory_until_it_is_unloaded(workshop: Workshop) -> None:
    assert workshop.digests(workshop.submit(EXAMPLES["load_model"])) == []
    assert "checkpoint:tiny" in workshop.engine.resident_models()
    workshop.engine.unload_model("checkpoint:tiny", "asked")
    workshop.engine.unload_model("checkpoint:none", "asked")
    workshop.told.wait_end(workshop.submit(EXAMPLES["test_pattern"]))  # what was asked before it has been heard by then
    assert "checkpoint:tiny" not in workshop.engine.resident_models()
    assert workshop.digests(workshop.submit(EXAMPLES["load_model"])) == []
    assert "checkpoint:tiny" in workshop.engine.resident_models()


def test_a_mask_of_another_size_fails_its_job_with_words(workshop: Workshop) -> None:
    mask = workshop.picture("small-mask", np.full((5, 7), 255, np.uint8))
    job_id = workshop.submit(EXAMPLES["erase-mask"], inputs={"mask": mask})
    end = workshop.told.wait_end(job_id)
    assert isinstance(end, JobFailed), end
    assert end.error.code is not ErrorCode.INTERNAL
    assert "mask" in end.error.message.lower()


def test_a_picture_that_is_gone_fails_its_job_alone(workshop: Workshop) -> None:
    bad = workshop.submit(EXAMPLES["remove_background"], inputs={"image": workshop.folder / "gone.png"})
    good = workshop.submit(EXAMPLES["erase-regions"])
    assert isinstance(workshop.told.wait_end(bad), JobFailed)
    assert workshop.told.wait_end(good).TYPE == "job.succeeded"


def test_a_job_that_goes_on_makes_only_the_images_that_are_missing(workshop: Workshop) -> None:
    whole = workshop.submit(EXAMPLES["test_pattern"])
    rest = workshop.submit(EXAMPLES["test_pattern"], first_image=1)
    assert workshop.digests(rest) == workshop.digests(whole)[1:]
    assert [output.index for output in workshop.told.of(rest, OutputReady)] == [1, 2]


def test_twenty_mixed_jobs_at_once_give_what_each_gives_alone(workshop: Workshop) -> None:
    chosen = [EXAMPLES[name] for name in sorted(EXAMPLES)]
    alone = [workshop.digests(workshop.submit(example)) for example in chosen]
    together = [(number % len(chosen), workshop.submit(chosen[number % len(chosen)])) for number in range(20)]
    for number, job_id in together:
        assert workshop.digests(job_id) == alone[number], chosen[number].task
