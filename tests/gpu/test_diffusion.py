"""Making pictures on a GPU: with the embedded model, and with an SDXL of a few thousand random weights."""

import io
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from PIL import Image
from torch import Tensor

from engine.diffusion.dtype import best_dtype
from engine.library.layouts import Layout, Root
from engine.library.library import Library
from engine.library.records import Family
from engine.library.roots import EMBEDDED_DIR
from protocol.errors import ErrorCode
from protocol.events import JobCancelled, JobFailed, ModelLoaded, PreviewReady
from protocol.requests import Previews, TaskName
from tests.gpu.card import JOB_DEADLINE_S, Canceller, Cap, Card, Work, card_on, on_cpu, pixels
from tests.tiny_models import make_sdxl

pytestmark = pytest.mark.gpu

MIB = 1 << 20
MODELS = ["spark", "tiny-xl"]
FAMILIES = {"spark": Family.SD1, "tiny-xl": Family.SDXL}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("models") / "tiny-xl"
    model: Any = make_sdxl()
    model.save_pretrained(folder)
    made = Library([Root(path=folder), Root(path=EMBEDDED_DIR, layout=Layout.FOLDER)])
    made.refresh()
    return made


@pytest.fixture
def card(device: str, tmp_path: Path, library: Library) -> Iterator[Card]:
    with card_on(device, tmp_path, library=library) as made:
        yield made


@pytest.fixture
def forwards(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """What went into each forward of a denoiser: as many rows as there are, without the numbers in them."""
    seen: list[Tensor] = []
    original: Callable[..., Any] = UNet2DConditionModel.forward

    @wraps(original)
    def noted(module: Any, sample: Tensor, *args: Any, **kwargs: Any) -> Any:
        seen.append(torch.empty_like(sample, device="meta"))
        return original(module, sample, *args, **kwargs)

    monkeypatch.setattr(UNet2DConditionModel, "forward", noted)
    return seen


def picture(model: str = "spark", **params: Any) -> Work:
    usual = {"prompt": "a red apple", "model": model, "steps": 8, "seed": 5}
    return Work(TaskName.TEXT_TO_IMAGE, {**usual, **params})


@pytest.mark.parametrize("model", MODELS)
def test_a_prompt_gives_the_picture_of_the_cpu(card: Card, tmp_path: Path, library: Library, model: str) -> None:
    work = picture(model)
    expected = pixels(on_cpu(tmp_path, work, library).outputs[0].content)
    apart = np.abs(pixels(card.make(work)) - expected)
    # Half precision there, single here: 0.05 in float16 and 0.7 in bfloat16 on a CPU.
    assert apart.mean() < 2


@pytest.mark.parametrize("model", MODELS)
def test_jobs_at_once_make_what_each_makes_alone(card: Card, model: str) -> None:
    works = [picture(model, seed=seed, steps=4 + seed) for seed in range(6)]
    alone = [pixels(card.make(work)) for work in works]
    for _ in range(2):  # how many share a forward is found out on the way
        job_ids = [card.submit(work) for work in works]
        card.wait_end(*job_ids)
        for job_id, expected in zip(job_ids, alone, strict=True):
            assert np.abs(pixels(card.result(job_id)) - expected).mean() < 2


@pytest.mark.usefixtures("cuda")
def test_jobs_at_once_share_forwards(card: Card, forwards: list[Tensor]) -> None:
    for _ in range(2):
        card.wait_end(*(card.submit(picture(seed=seed)) for seed in range(4)))
    assert max(len(sample) for sample in forwards) >= 8


@pytest.mark.parametrize("model", MODELS)
def test_a_deterministic_job_is_the_same_bit_for_bit_whatever_else_runs(card: Card, model: str) -> None:
    work = picture(model, deterministic=True)
    alone = card.make(work)
    job_ids = [card.submit(each) for each in (picture(model, seed=6), work, picture(model, seed=7))]
    card.wait_end(*job_ids)
    assert card.result(job_ids[1]) == alone
    assert card.make(work) == alone


@pytest.mark.parametrize("model", MODELS)
def test_a_model_runs_in_the_precision_this_gpu_is_measured_to_be_fastest_in(
    card: Card, device: str, forwards: list[Tensor], model: str
) -> None:
    card.make(picture(model))
    (loaded,) = [body for body in card.told_of_models if isinstance(body, ModelLoaded)]
    expected = best_dtype(torch.device(loaded.device), FAMILIES[model])
    assert {sample.dtype for sample in forwards} == {expected}


def test_a_gpu_with_tensor_cores_is_measured_to_be_fastest_in_half_precision(cuda: torch.device) -> None:
    if torch.cuda.get_device_capability(cuda) < (7, 0):
        pytest.skip("it has no tensor cores")
    assert best_dtype(cuda) in {torch.float16, torch.bfloat16}


def test_every_step_has_a_preview(card: Card) -> None:
    job_id = card.submit(picture("tiny-xl"), previews=Previews.ALL)
    card.wait_end(job_id)
    previews = [body for body in card.sink.of(job_id) if isinstance(body, PreviewReady)]
    assert previews
    for preview in previews:
        with Image.open(io.BytesIO(preview.bytes)) as shown:
            assert max(shown.size) <= 256
            assert len(set(shown.convert("L").tobytes())) > 1, "it is of one colour"


def test_a_cancel_lands_between_steps_and_gives_the_memory_back(
    device: str, cuda: torch.device, tmp_path: Path, library: Library
) -> None:
    sink = Canceller()
    with card_on(device, tmp_path, sink, library) as card:
        sink.cancel = lambda _job_id: None
        card.make(picture("tiny-xl", width=512, height=512))
        before = torch.cuda.memory_allocated(cuda)
        sink.cancel = lambda job_id: card.executor.cancel(job_id, "changed my mind")
        job_id = card.submit(picture("tiny-xl", width=512, height=512))
        sink.wait_end(job_id, deadline_s=JOB_DEADLINE_S)
        assert sink.one(job_id, JobCancelled).reason == "changed my mind"
        assert sink.types(job_id).count("step.finished") <= 2
        sink.cancel = lambda _job_id: None
        card.make(picture("tiny-xl"))  # by the end of the next job the last one has been let go
        assert torch.cuda.memory_allocated(cuda) < before + MIB


def test_a_picture_whose_decode_does_not_fit_is_decoded_in_tiles(card: Card, cap: Cap) -> None:
    card.make(picture("tiny-xl"))
    cap(96 * MIB)  # the last stage of a whole decode takes 100
    made = pixels(card.make(picture("tiny-xl", width=1024, height=1024, steps=2)))
    assert made.shape == (1024, 1024, 3)


def test_a_picture_that_never_fits_fails_and_the_next_one_is_made(card: Card, cap: Cap) -> None:
    card.make(picture("tiny-xl"))
    cap(4 * MIB)
    job_id = card.submit(picture("tiny-xl", width=1024, height=1024, steps=2))
    card.wait_end(job_id)
    assert card.sink.one(job_id, JobFailed).error.code is ErrorCode.OUT_OF_MEMORY
    cap(8 << 30)
    card.make(picture("tiny-xl"))


def test_nothing_stays_on_the_gpu_after_the_engine_has_stopped(
    device: str, cuda: torch.device, tmp_path: Path, library: Library
) -> None:
    before = torch.cuda.memory_allocated(cuda)
    with card_on(device, tmp_path, library=library) as card:
        card.make(picture())
        assert torch.cuda.memory_allocated(cuda) > before + 8 * MIB
    assert torch.cuda.memory_allocated(cuda) < before + MIB
