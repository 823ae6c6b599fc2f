"""Models trained for one way of changing pictures give what the stock pipelines give, and each parameter acts."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import torch
from PIL import Image

from engine.diffusion.studio import Studio
from engine.interface import EngineError, Run, RunContext, Steps
from engine.interface.engine import Offload
from engine.models.resident import Key
from engine.tasks.image_to_image import image_to_image
from engine.tasks.inpaint import inpaint
from protocol.errors import ErrorCode
from protocol.events import PreviewReady, StepFinished
from protocol.requests import TaskName
from tests.tiny_editors import VECTORS
from tests.unit.engine.diffusion.conftest import FOLDERS, TinyFolder
from tests.unit.engine.diffusion.pretended import held_to, offloading_studio
from tests.unit.engine.diffusion.studios import Pixels, draw, make, pixels, studio_of
from tests.unit.engine.driver import Driver, make_run
from tests.unit.engine.pictures import save
from tests.unit.engine.workbench import bench

DRAWN: Final = np.random.default_rng(7)
PHOTO: Final = DRAWN.integers(0, 256, (64, 64, 3), np.uint8)
EXAMPLE: Final = DRAWN.integers(0, 256, (40, 56, 3), np.uint8)
HOLE: Final = (slice(16, 48), slice(8, 40))
MASKED: Final[Mapping[str, Any]] = {
    "regions": [{"x": 8, "y": 16, "width": 32, "height": 32}],
    "crop": False,
    "mask_blur_px": 0,
}


@pytest.fixture(scope="module")
def originals() -> Mapping[str, Any]:
    """The stock pipelines; what is in the folder was saved from these very ones."""
    return {name: FOLDERS[name]() for name in ("instruct_pix2pix", "paint_by_example", "powerpaint")}


@pytest.fixture(scope="module")
def folder(originals: Mapping[str, Any], tiny_folder: TinyFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("editors")
    for name, pipeline in originals.items():
        pipeline.save_pretrained(root / name)
    (root / "sd1_inpaint").symlink_to(tiny_folder("sd1_inpaint"), target_is_directory=True)
    return root


@pytest.fixture(scope="module")
def studio(folder: Path) -> Studio:
    return studio_of(folder)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    folder = tmp_path_factory.mktemp("inputs")
    return {
        "image": save(folder / "photo.png", PHOTO),
        "example": save(folder / "example.png", EXAMPLE),
        "another": save(folder / "another.png", EXAMPLE[::-1].copy()),
    }


def given(inputs: Mapping[str, Path], *, example: str | None = None) -> dict[str, Path]:
    return {"image": inputs["image"]} | ({} if example is None else {"example": inputs[example]})


def as_tensor(picture: Pixels) -> torch.Tensor:
    return torch.from_numpy(picture.astype(np.float32) / 255).permute(2, 0, 1)[None]


def mask() -> torch.Tensor:
    made = torch.zeros(1, 1, 64, 64)
    made[0, 0][HOLE] = 1
    return made


def stock(pipeline: Any, **arguments: Any) -> Pixels:
    """What the stock pipeline makes, as bytes."""
    pipeline.set_progress_bar_config(disable=True)
    shown = pipeline(
        num_inference_steps=3, generator=torch.Generator().manual_seed(5), output_type="np", **arguments
    ).images[0]
    return (shown * 255).round().astype(np.uint8)


def differ_at_most(one: Pixels, other: Pixels, levels: int = 1) -> bool:
    return int(np.abs(one.astype(int) - other.astype(int)).max()) <= levels


def edit(studio: Studio, inputs: Mapping[str, Path], **params: Any) -> Driver:
    asked = {"model": "instruct_pix2pix", **params}
    return make(studio, asked, task=TaskName.IMAGE_TO_IMAGE, inputs=given(inputs))


def repaint(
    studio: Studio, inputs: Mapping[str, Path], model: str, example: str | None = None, **params: Any
) -> Driver:
    asked = {"model": model, **MASKED, **params}
    return make(studio, asked, task=TaskName.INPAINT, inputs=given(inputs, example=example))


def by_example(studio: Studio, inputs: Mapping[str, Path], example: str | None = "example", **params: Any) -> Driver:
    return repaint(studio, inputs, "paint_by_example", example, **{"prompt": "", **params})


def shown(driver: Driver) -> Pixels:
    return pixels(driver.outputs[0].content)


def test_a_picture_is_changed_by_instruction_as_by_the_stock_pipeline(
    originals: Mapping[str, Any], studio: Studio, inputs: Mapping[str, Path]
) -> None:
    made = edit(studio, inputs, prompt="make it snow", negative_prompt="blurred", image_guidance_scale=2.5)
    expected = stock(
        originals["instruct_pix2pix"],
        prompt="make it snow",
        negative_prompt="blurred",
        image=as_tensor(PHOTO),
        guidance_scale=7.0,
        image_guidance_scale=2.5,
    )
    assert differ_at_most(shown(made), expected)
    assert made.warnings == []


def test_image_guidance_is_one_and_a_half_by_itself(studio: Studio, inputs: Mapping[str, Path]) -> None:
    usual, same, other = (shown(edit(studio, inputs, **more)) for more in ({}, guided(1.5), guided(3.0)))
    assert np.array_equal(usual, same)
    assert not np.array_equal(usual, other)


def guided(scale: float) -> dict[str, float]:
    return {"image_guidance_scale": scale}


def test_image_guidance_that_cannot_act_is_told(studio: Studio, inputs: Mapping[str, Path]) -> None:
    assert edit(studio, inputs, guidance_scale=1.0, **guided(2.0)).warnings == ["image_guidance_scale_unused"]
    other = repaint(studio, inputs, "sd1_inpaint", **guided(2.0))
    assert other.warnings == ["image_guidance_scale_unused"]


def test_of_a_picture_changed_by_instruction_only_what_is_masked_is_taken_over(
    studio: Studio, inputs: Mapping[str, Path]
) -> None:
    changed = shown(edit(studio, inputs))
    painted = shown(repaint(studio, inputs, "instruct_pix2pix"))
    assert np.array_equal(painted[HOLE], changed[HOLE])
    painted = painted.copy()
    painted[HOLE] = PHOTO[HOLE]
    assert np.array_equal(painted, PHOTO)


def test_all_of_a_picture_changed_by_instruction_is_taken_over_if_nothing_is_to_be_kept(
    studio: Studio, inputs: Mapping[str, Path]
) -> None:
    painted = shown(repaint(studio, inputs, "instruct_pix2pix", keep_unmasked=False))
    assert np.array_equal(painted, shown(edit(studio, inputs)))


def test_a_model_that_changes_pictures_does_not_paint_beyond_them(studio: Studio, inputs: Mapping[str, Path]) -> None:
    asked = {"model": "instruct_pix2pix", "right": 16}
    with pytest.raises(EngineError, match="cannot paint beyond the picture") as refused:
        make(studio, asked, task=TaskName.OUTPAINT, inputs=given(inputs))
    assert refused.value.code is ErrorCode.INVALID_PARAMS


def test_an_example_is_painted_as_by_the_stock_pipeline(
    originals: Mapping[str, Any], studio: Studio, inputs: Mapping[str, Path]
) -> None:
    made = by_example(studio, inputs)
    expected = stock(
        originals["paint_by_example"],
        example_image=Image.fromarray(EXAMPLE),
        image=as_tensor(PHOTO) * 2 - 1,
        mask_image=mask(),
        guidance_scale=5.0,
    )
    assert differ_at_most(shown(made)[HOLE], expected[HOLE])
    assert made.warnings == []
    assert [told.steps for told in made.of_type(StepFinished)] == [3, 3, 3]
    assert len(made.of_type(PreviewReady)) == 3


@pytest.mark.parametrize("mode", [Offload.MODEL, Offload.LAYERS])
def test_an_offloaded_model_sees_an_example_with_weights_that_are_there(
    folder: Path, studio: Studio, inputs: Mapping[str, Path], mode: Offload
) -> None:
    elsewhere, mover, residency = offloading_studio(folder, asked=mode, budget_bytes=1, piece_bytes=20_000)
    by_example(elsewhere, inputs, seed=6)
    ready: Any = residency._residents[Key("checkpoint:paint_by_example")].network
    parts = ready.loaded.components
    # The encoder itself has a weight beside its layers, which comes within its call.
    layers = [parts["unet"], parts["vae"], *parts["image_encoder"].children()]
    with held_to(mover, *layers) as worked:
        assert np.array_equal(shown(by_example(elsewhere, inputs)), shown(by_example(studio, inputs)))
    assert {"Conv2d", "Linear"} <= set(worked)


def test_another_example_is_another_picture(studio: Studio, inputs: Mapping[str, Path]) -> None:
    assert not np.array_equal(shown(by_example(studio, inputs)), shown(by_example(studio, inputs, "another")))


def test_painting_by_example_needs_one(studio: Studio, inputs: Mapping[str, Path]) -> None:
    with pytest.raises(
        EngineError, match=r"example: 'paint_by_example' paints by an example, and needs one"
    ) as refused:
        by_example(studio, inputs, None)
    assert refused.value.code is ErrorCode.INVALID_PARAMS


def test_what_painting_by_example_has_no_use_for_is_told(studio: Studio, inputs: Mapping[str, Path]) -> None:
    told = by_example(studio, inputs, prompt="a cat", negative_prompt="a dog", clip_skip=1)
    assert told.warnings == ["prompt_unused", "negative_prompt_unused", "clip_skip_unused"]
    assert np.array_equal(shown(told), shown(by_example(studio, inputs)))


def test_an_example_for_a_model_that_paints_by_prompt_is_told_to_have_no_effect(
    studio: Studio, inputs: Mapping[str, Path]
) -> None:
    with_one = repaint(studio, inputs, "sd1_inpaint", "example")
    assert with_one.warnings == ["example_unused"]
    assert np.array_equal(shown(with_one), shown(repaint(studio, inputs, "sd1_inpaint")))


def words(*names: str) -> str:
    return " ".join(f"{name}_{number}" for name in names for number in range(VECTORS))


@pytest.mark.parametrize(
    ("task", "behind", "avoided"),
    [
        ("text-guided", "P_obj", None),
        ("context-aware", "P_ctxt", None),
        ("shape-guided", "P_shape", None),
        ("object-remove", "P_ctxt", "P_obj"),
        ("outpainting", "P_ctxt", "P_obj"),
    ],
)
def test_powerpaint_is_told_its_task_by_the_words_it_learned(
    originals: Mapping[str, Any],
    studio: Studio,
    inputs: Mapping[str, Path],
    task: str,
    behind: str,
    avoided: str | None,
) -> None:
    made = repaint(studio, inputs, "powerpaint", prompt="a cat", negative_prompt="blurred", repaint_task=task)
    expected = stock(
        originals["powerpaint"],
        prompt=f"a cat {words(behind)}",
        negative_prompt=f"blurred {words(avoided)}" if avoided else "blurred",
        image=as_tensor(PHOTO),
        mask_image=mask(),
        strength=1.0,
        guidance_scale=7.5,
    )
    assert differ_at_most(shown(made)[HOLE], expected[HOLE])
    assert made.warnings == []


def test_fitting_degree_is_the_share_of_the_shape_in_what_the_denoiser_is_told(
    originals: Mapping[str, Any], studio: Studio, inputs: Mapping[str, Path]
) -> None:
    pipeline = originals["powerpaint"]
    encoded = [pipeline.encode_prompt(f"a cat {words(name)}", "cpu", 1, True, None) for name in ("P_shape", "P_ctxt")]
    expected = stock(
        pipeline,
        prompt_embeds=encoded[0][0] * 0.25 + encoded[1][0] * 0.75,
        negative_prompt_embeds=encoded[0][1],
        image=as_tensor(PHOTO),
        mask_image=mask(),
        strength=1.0,
        guidance_scale=7.5,
    )
    made = repaint(studio, inputs, "powerpaint", prompt="a cat", repaint_task="shape-guided", fitting_degree=0.25)
    assert differ_at_most(shown(made)[HOLE], expected[HOLE])
    full = repaint(studio, inputs, "powerpaint", prompt="a cat", repaint_task="shape-guided")
    assert not np.array_equal(shown(made), shown(full))


def test_powerpaint_paints_what_the_prompt_names_unless_it_is_told_otherwise(
    studio: Studio, inputs: Mapping[str, Path]
) -> None:
    by_itself = shown(repaint(studio, inputs, "powerpaint"))
    assert np.array_equal(by_itself, shown(repaint(studio, inputs, "powerpaint", repaint_task="text-guided")))
    beyond: dict[str, Any] = {"task": TaskName.OUTPAINT, "inputs": given(inputs)}
    asked = {"model": "powerpaint", "right": 16}
    beside = draw(studio, asked, **beyond)
    assert np.array_equal(beside, draw(studio, {**asked, "repaint_task": "outpainting"}, **beyond))
    assert not np.array_equal(beside, draw(studio, {**asked, "repaint_task": "text-guided"}, **beyond))


def test_powerpaints_words_stay_behind_a_prompt_of_any_length(studio: Studio, inputs: Mapping[str, Path]) -> None:
    long = "a cat " * 40
    pictures = [
        shown(repaint(studio, inputs, "powerpaint", prompt=long, repaint_task=task))
        for task in ("text-guided", "context-aware")
    ]
    assert not np.array_equal(*pictures)


@pytest.mark.parametrize(
    ("model", "params", "code"),
    [
        ("sd1_inpaint", {"repaint_task": "object-remove"}, "repaint_task_unused"),
        ("sd1_inpaint", {"fitting_degree": 0.5}, "fitting_degree_unused"),
        ("powerpaint", {"fitting_degree": 0.5}, "fitting_degree_unused"),
    ],
)
def test_what_only_powerpaint_understands_is_told_to_have_no_effect(
    studio: Studio, inputs: Mapping[str, Path], model: str, params: Mapping[str, Any], code: str
) -> None:
    assert repaint(studio, inputs, model, **params).warnings == [code]


def test_jobs_of_all_ways_at_once_give_what_each_gives_alone(studio: Studio, inputs: Mapping[str, Path]) -> None:
    jobs = [
        (image_to_image, edit_run(inputs, seed=5)),
        (image_to_image, edit_run(inputs, seed=6, steps=4, image_guidance_scale=3.0)),
        (inpaint, hole_run(inputs, "paint_by_example", "example", prompt="", seed=5)),
        (inpaint, hole_run(inputs, "paint_by_example", "another", prompt="", seed=6, scheduler="euler")),
        (inpaint, hole_run(inputs, "powerpaint", repaint_task="object-remove")),
        (inpaint, hole_run(inputs, "powerpaint", repaint_task="shape-guided", fitting_degree=0.5)),
    ]
    alone = [at_once(studio, [job])[0] for job in jobs]
    together = at_once(studio, jobs)
    assert all(differ_at_most(one, other) for one, other in zip(alone, together, strict=True))


def edit_run(inputs: Mapping[str, Path], **params: Any) -> Run:
    asked = {"model": "instruct_pix2pix", "prompt": "snow", "steps": 3, **params}
    return make_run(TaskName.IMAGE_TO_IMAGE, asked, inputs=given(inputs))


def hole_run(inputs: Mapping[str, Path], model: str, example: str | None = None, **params: Any) -> Run:
    asked = {"model": model, "prompt": "a cat", "steps": 3, "seed": 5, **MASKED, **params}
    return make_run(TaskName.INPAINT, asked, inputs=given(inputs, example=example))


def at_once(studio: Studio, jobs: list[tuple[Any, Run]]) -> list[Pixels]:
    """The pictures of jobs alive on one executor at the same time."""
    with bench() as at:
        gate = at.hold_device()
        names = [f"job-{number}" for number in range(len(jobs))]
        for name, (task, asked) in zip(names, jobs, strict=True):
            at.submit(name, _Asked(studio, task, asked))
        gate.open()
        at.sink.wait_end(*names)
        ends = [at.sink.types(name)[-1] for name in names]
        assert set(ends) == {"job.succeeded"}, [at.sink.of(name)[-1] for name in names]
        return [pixels(at.outputs.kept[name, 0]) for name in names]


class _Asked:
    """Runs what was asked for in the place of what the workbench hands over."""

    def __init__(self, studio: Studio, task: Any, asked: Run) -> None:
        self._studio, self._task, self._asked = studio, task, asked

    def __call__(self, run: Run, context: RunContext) -> Steps:
        torch.set_grad_enabled(False)
        torch.set_num_threads(1)
        steps: Steps = self._task(replace(self._asked, job_id=run.job_id), context, self._studio)
        return steps
