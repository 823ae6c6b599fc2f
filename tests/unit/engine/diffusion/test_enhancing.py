"""Enhancing in stages, on a tiny model: each stage is what another task makes of what the stage before has left."""

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.diffusion.studio import Studio
from engine.enhancing import regions
from engine.grounding.finding import FoundObject
from engine.interface import Call, EngineError, ImageSkipped, Steps
from engine.made import Take
from engine.models.residency import Residency
from engine.plugins.files import PluginFiles
from engine.tasks.enhance import enhance, with_enhancing
from engine.tasks.image_to_image import image_to_image
from engine.tasks.inpaint import inpaint
from engine.tasks.outpaint import outpaint
from engine.tasks.text_to_image import text_to_image
from engine.tasks.upscale import upscale
from protocol.errors import ErrorCode
from protocol.events import JobWarning, OutputReady, OutputSkipped, StepFinished
from protocol.params import Region
from protocol.requests import TaskName
from tests.unit.engine.diffusion.conftest import TinyFolder
from tests.unit.engine.diffusion.studios import pixels, studio_of
from tests.unit.engine.driver import Driver, drive, make_run
from tests.unit.engine.pictures import save
from tests.unit.engine.safety.stand_in import lay_stand_in
from tests.unit.engine.upscalers import Nearest, WithUpscaler

BASE = {"prompt": "a cat", "steps": 3, "seed": 5}
PHOTO = np.random.default_rng(1).integers(0, 256, (80, 112, 3), np.uint8)
BOXES = {
    "face": Region(x=30, y=20, width=30, height=24),
    "hand": Region(x=70, y=40, width=20, height=30),
}
FACE, HAND = ({"text": name} for name in BOXES)
TASKS = {
    TaskName.TEXT_TO_IMAGE: text_to_image,
    TaskName.IMAGE_TO_IMAGE: image_to_image,
    TaskName.INPAINT: inpaint,
    TaskName.OUTPAINT: outpaint,
}


@pytest.fixture(scope="module")
def studio(tiny_folder: TinyFolder) -> Studio:
    return studio_of(tiny_folder("sd1"), residency=WithUpscaler(Nearest()))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return save(tmp_path / "photo.png", PHOTO)


@pytest.fixture(autouse=True)
def _finds_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the place of the networks: `face` and `hand` are where they are in every picture."""

    def find(picture: Any, search: Any, model: Any, context: Any, *_: Any) -> Generator[Call, Any, list[FoundObject]]:
        yield Call(lambda: None, stage="detect")
        context.step(1, 1, progress=1.0, stage="detect")
        found = []
        for name in search.text.split(", "):
            box = BOXES.get(name)
            if box is not None:
                mask = np.zeros((picture.height, picture.width), np.bool_)
                mask[box.y : box.y + box.height, box.x : box.x + box.width] = True
                found.append(FoundObject(name, 0.9, box, mask))
        return found

    def bring(*_: Any) -> Generator[Call, Any, None]:
        yield from ()

    monkeypatch.setattr(regions, "find_objects", find)
    monkeypatch.setattr(regions, "bring_finders", bring)


def make(studio: Studio, task: TaskName, params: dict[str, Any], photo: Path | None = None, **about: Any) -> Driver:
    plugins = PluginFiles(models_dir=Path("/nowhere"))
    inputs = {} if photo is None else {"image": photo}
    run = make_run(task, {**BASE, **params}, inputs=inputs, **about)

    def steps(run: Any, context: Any) -> Steps:
        if task is TaskName.ENHANCE:
            return enhance(run, context, studio, plugins)

        def plain(run: Any, context: Any, *, take: Take | None = None) -> Steps:
            more: dict[str, Any] = {} if task in {TaskName.TEXT_TO_IMAGE, TaskName.OUTPAINT} else {"plugins": plugins}
            return TASKS[task](run, context, studio, take=take, **more)

        return with_enhancing(plain, studio, plugins)(run, context)

    return drive(steps, run)


def enhanced(studio: Studio, photo: Path, *stages: dict[str, Any], **params: Any) -> Driver:
    about = {name: params.pop(name) for name in ("first_image",) if name in params}
    return make(studio, TaskName.ENHANCE, {"enhance": {"regions": stages}, **params}, photo, **about)


def picture(driver: Driver, index: int = 0) -> Any:
    return pixels(driver.outputs[index].content)


def box(name: str) -> dict[str, Any]:
    return BOXES[name].model_dump()


def test_a_region_is_what_inpaint_makes_of_its_mask(studio: Studio, photo: Path) -> None:
    one = enhanced(studio, photo, FACE)
    same = make(studio, TaskName.INPAINT, {"regions": [box("face")]}, photo)
    assert one.outputs[0].content == same.outputs[0].content
    (ready,) = one.of_type(OutputReady)
    assert ready.seed == 5
    assert ready.data["enhanced"] == [
        {
            "stage": "region",
            "region": 0,
            "objects": [{"label": "face", "score": 0.9, "box": box("face")}],
            "area_px": 30 * 24,
        }
    ]
    assert one.progress == sorted(one.progress)
    assert one.progress[-1] <= 1


@pytest.mark.parametrize(
    "own",
    [
        {"strength": 0.6},
        {"strength": 0.6, "full_steps": True},
        {"strength": 0.6, "start": "noise"},
        {"fill": "blur"},
        {"grow_px": 6},
        {"grow_px": 6, "grow_shape": "box"},
        {"invert_mask": True},
        {"mask_blur_px": 0},
        {"soft_edge": "outside"},
        {"context": 0.9},
        {"upscale_model": "auto", "context": 0.0},
        {"prompt": "a dog"},
        {"negative_prompt": "a dog"},
        {"inpaint_patch": "v1"},
    ],
    ids=lambda own: "-".join(own),
)
def test_each_parameter_of_a_region_does_what_it_does_in_inpaint(
    studio: Studio, photo: Path, own: dict[str, Any]
) -> None:
    one = enhanced(studio, photo, {**FACE, **own})
    same = make(studio, TaskName.INPAINT, {"regions": [box("face")], **own}, photo)
    assert one.outputs[0].content == same.outputs[0].content
    if "inpaint_patch" in own:
        assert one.warnings == same.warnings == ["inpaint_patch_unused"]
    else:
        assert one.outputs[0].content != enhanced(studio, photo, FACE).outputs[0].content
        assert one.warnings == []


def test_prompts_that_a_region_leaves_out_and_all_else_are_the_jobs(studio: Studio, photo: Path) -> None:
    job = {"prompt": "a dog", "negative_prompt": "a cat", "guidance_scale": 3.0, "scheduler": "ddim"}
    one = enhanced(studio, photo, FACE, **job)
    same = make(studio, TaskName.INPAINT, {"regions": [box("face")], **job}, photo)
    assert one.outputs[0].content == same.outputs[0].content


def test_regions_are_repainted_in_order_each_in_what_the_one_before_left(studio: Studio, photo: Path) -> None:
    both = enhanced(studio, photo, FACE, {**HAND, "prompt": "a dog"})
    first = enhanced(studio, photo, FACE)
    half = photo.with_name("half.png")
    half.write_bytes(first.outputs[0].content)
    second = enhanced(studio, half, {**HAND, "prompt": "a dog"})
    # Between stages nothing is rounded to 8 bits.
    assert np.abs(picture(both).astype(int) - picture(second)).max() <= 2
    assert np.abs(picture(both).astype(int) - picture(first)).max() > 10
    told = both.of_type(OutputReady)[0].data["enhanced"]
    assert [(each["stage"], each["region"]) for each in told] == [("region", 0), ("region", 1)]


def test_what_one_region_names_is_repainted_together(studio: Studio, photo: Path) -> None:
    one = enhanced(studio, photo, {"text": "face, hand"})
    same = make(studio, TaskName.INPAINT, {"regions": [box("face"), box("hand")]}, photo)
    assert one.outputs[0].content == same.outputs[0].content


def test_a_region_that_is_not_there_is_told_and_left_out(studio: Studio, photo: Path) -> None:
    one = enhanced(studio, photo, {"text": "eye"}, HAND, {"text": "ear", "invert_mask": True})
    assert one.warnings == ["nothing_found", "nothing_found"]
    messages = [told.message for told in one.of_type(JobWarning)]
    assert [message.partition(":")[0] for message in messages] == ["enhance.regions[0]", "enhance.regions[2]"]
    assert one.outputs[0].content == enhanced(studio, photo, HAND).outputs[0].content
    none = enhanced(studio, photo, {"text": "eye"})
    assert np.array_equal(picture(none), PHOTO)
    (ready,) = none.of_type(OutputReady)
    assert (ready.seed, ready.data) == (None, {})


def test_a_mask_that_narrows_to_nothing_is_left_out_too(studio: Studio, photo: Path) -> None:
    none = enhanced(studio, photo, {**FACE, "grow_px": -40})
    assert none.warnings == ["nothing_found"]
    assert np.array_equal(picture(none), PHOTO)


@pytest.mark.parametrize(
    ("task", "own"),
    [
        (TaskName.TEXT_TO_IMAGE, {"width": 112, "height": 80}),
        (TaskName.IMAGE_TO_IMAGE, {"strength": 0.5}),
        (TaskName.INPAINT, {"regions": [box("hand")]}),
        (TaskName.OUTPAINT, {"right": 16}),
    ],
)
def test_pictures_that_are_made_are_enhanced_as_given_ones_are(
    studio: Studio, photo: Path, task: TaskName, own: dict[str, Any]
) -> None:
    given = None if task is TaskName.TEXT_TO_IMAGE else photo
    made = make(studio, task, {**own, "images": 2}, given)
    both = make(studio, task, {**own, "images": 2, "enhance": {"regions": [FACE]}}, given)
    assert [ready.seed for ready in both.of_type(OutputReady)] == [5, 6]
    assert both.progress == sorted(both.progress)
    for index in range(2):
        path = photo.with_name(f"{index}.png")
        path.write_bytes(made.outputs[index].content)
        same = enhanced(studio, path, FACE, seed=5 + index)
        assert np.abs(picture(both, index).astype(int) - picture(same)).max() <= 2
        assert not np.array_equal(picture(both, index), picture(made, index))


def test_every_stage_is_an_output_where_they_are_kept_and_has_its_number(studio: Studio, photo: Path) -> None:
    stages = [FACE, {"text": "eye"}, HAND]
    kept = {"enhance": {"regions": stages, "keep_stages": True}, "images": 2}
    given = make(studio, TaskName.ENHANCE, kept, photo)
    assert list(given.outputs) == [0, 2, 3, 5]
    assert given.outputs[0].content == enhanced(studio, photo, FACE).outputs[0].content
    last = enhanced(studio, photo, *stages, images=2)
    assert list(last.outputs) == [0, 1]
    assert [given.outputs[2].content, given.outputs[5].content] == [each.content for each in last.outputs.values()]
    made = make(studio, TaskName.TEXT_TO_IMAGE, {**kept, "width": 112, "height": 80})
    assert list(made.outputs) == [0, 1, 3, 4, 5, 7]
    plain = make(studio, TaskName.TEXT_TO_IMAGE, {"width": 112, "height": 80, "images": 2})
    assert made.outputs[4].content == plain.outputs[1].content
    unchanged = make(studio, TaskName.ENHANCE, {"enhance": {"regions": [{"text": "eye"}], "keep_stages": True}}, photo)
    assert np.array_equal(picture(unchanged), PHOTO)


def test_work_begins_again_at_the_first_stage_without_output(studio: Studio, photo: Path) -> None:
    kept = {"enhance": {"regions": [FACE, HAND], "keep_stages": True}, "images": 2}
    all_of_it = make(studio, TaskName.ENHANCE, kept, photo)
    rest = make(studio, TaskName.ENHANCE, kept, photo, first_image=3)
    assert list(rest.outputs) == [3]
    assert rest.outputs[3].content == all_of_it.outputs[3].content
    second = enhanced(studio, photo, FACE, images=2, first_image=1)
    assert list(second.outputs) == [1]
    assert second.outputs[1].content == enhanced(studio, photo, FACE, seed=6).outputs[0].content


REWORKS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"strength": 0.5}),
    ({"strength": 0.8}, {"strength": 0.8}),
    ({"strength": 0.8, "full_steps": True}, {"strength": 0.8, "full_steps": True}),
    ({"size_rule": "model"}, {"strength": 0.5, "size_rule": "model"}),
    ({"upscale": 1.5, "upscale_model": "compact"}, {"upscale": 1.5, "upscale_model": "compact"}),
]


@pytest.mark.parametrize(("rework", "same"), REWORKS, ids=lambda own: "-".join(own))
def test_a_rework_is_what_image_to_image_makes(
    studio: Studio, photo: Path, rework: dict[str, Any], same: dict[str, Any]
) -> None:
    one = make(studio, TaskName.ENHANCE, {"enhance": {"rework": rework}}, photo)
    assert one.outputs[0].content == make(studio, TaskName.IMAGE_TO_IMAGE, same, photo).outputs[0].content
    assert one.of_type(OutputReady)[0].data["enhanced"][0]["stage"] == "rework"


def test_a_rework_comes_before_the_regions_or_after_them(studio: Studio, photo: Path) -> None:
    def stages(when: str) -> list[str]:
        asked = {"enhance": {"regions": [FACE], "rework": {"when": when}, "keep_stages": True}}
        done = make(studio, TaskName.ENHANCE, asked, photo)
        return [each["stage"] for each in done.of_type(OutputReady)[-1].data["enhanced"]]

    assert stages("before") == ["rework", "region"]
    assert stages("after") == ["region", "rework"]


def test_a_rework_follows_the_prompts_of_the_last_region_that_has_some_where_asked(studio: Studio, photo: Path) -> None:
    def reworked(prompts: str, *regions: dict[str, Any]) -> bytes:
        # Where nothing is found the rework alone is seen.
        asked = {"regions": regions, "rework": {"when": "after", "prompts": prompts}}
        return make(studio, TaskName.ENHANCE, {"enhance": asked}, photo).outputs[0].content

    eye, ear = {"text": "eye", "prompt": "a dog", "negative_prompt": "a cat"}, {"text": "ear"}
    own = make(studio, TaskName.IMAGE_TO_IMAGE, {"strength": 0.5}, photo).outputs[0].content
    theirs = {"strength": 0.5, "prompt": "a dog", "negative_prompt": "a cat"}
    assert reworked("own", eye, ear) == reworked("last_region", ear) == own
    last = make(studio, TaskName.IMAGE_TO_IMAGE, theirs, photo).outputs[0].content
    assert reworked("last_region", eye, ear) == last != own


def test_a_rework_may_enlarge_only(studio: Studio, photo: Path) -> None:
    asked = {"enhance": {"rework": {"upscale": 2.0, "redraw": False}}, "metadata": "a1111"}
    one = make(studio, TaskName.ENHANCE, asked, photo)
    run = make_run(TaskName.UPSCALE, {"factor": 2.0, "resampling": "lanczos"}, inputs={"image": photo})
    same = drive(lambda run, context: upscale(run, context, studio.residency), run)
    assert np.array_equal(picture(one), picture(same))
    assert b"parameters" in one.outputs[0].content
    assert not [call for call in one.calls if call.stage == "denoise"]
    assert one.of_type(OutputReady)[0].data["enhanced"] == [{"stage": "enlarged", "model": "compact", "factor": 2.0}]


def test_the_subject_may_be_the_region(studio: Studio, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = np.zeros((10, 10), np.float32)
    left[:, :5] = 1

    def share(_network: Any, model: Any, _picture: Any, clothes: Any) -> Generator[Call, Any, Any]:
        asked.append((model.value, clothes.value))
        yield Call(lambda: None, stage="infer")
        return left

    def nothing(*_: Any) -> Generator[Call, Any, None]:
        yield from ()

    asked: list[Any] = []
    monkeypatch.setattr(regions, "subject_share", share)
    monkeypatch.setattr(regions, "use_subject_model", nothing)
    monkeypatch.setattr(regions, "bring_subject_model", nothing)
    one = enhanced(studio, photo, {"subject": "u2net_cloth_seg", "clothes": "upper"})
    half = {"regions": [{"x": 0, "y": 0, "width": 56, "height": 80}]}
    assert one.outputs[0].content == make(studio, TaskName.INPAINT, half, photo).outputs[0].content
    assert asked == [("u2net_cloth_seg", "upper")]
    assert one.of_type(OutputReady)[0].data["enhanced"][0]["subject"] == "u2net_cloth_seg"
    assert enhanced(studio, photo, {"subject": "u2net", "clothes": "upper"}).warnings == ["clothes_unused"]


def test_what_is_missing_to_find_a_region_fails_the_job_before_a_picture_is_begun(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    for region, message in (
        (FACE, "mobile_sam"),
        ({**FACE, "model": "sam_vit_b"}, "sam_vit_b"),
        ({"subject": "silueta"}, "silueta"),
    ):
        with pytest.raises(EngineError, match=message) as refused:
            make(studio, TaskName.TEXT_TO_IMAGE, {"enhance": {"regions": [region]}})
        assert refused.value.code is ErrorCode.MODEL_MISSING


def test_a_picture_that_is_skipped_is_left_out_at_any_stage(studio: Studio, photo: Path) -> None:
    def until(stage: str, count: int) -> Driver:
        run = make_run(TaskName.ENHANCE, {**BASE, "images": 2, "enhance": {"regions": [FACE]}}, inputs={"image": photo})
        driver = Driver(run)
        steps = enhance(run, driver, studio, PluginFiles(models_dir=Path("/nowhere")))
        driver.drive(_skipping(steps, stage, count))
        return driver

    for stage, count in (("detect", 1), ("denoise", 2)):
        driver = until(stage, count)
        assert [each.index for each in driver.of_type(OutputSkipped)] == [0]
        assert list(driver.outputs) == [1]


def _skipping(steps: Steps, stage: str, count: int) -> Steps:
    """The same, with a skip thrown in at a call of a stage."""
    value: Any = None
    seen = 0
    send: Callable[[Any], Call] = steps.send
    while True:
        try:
            call = send(value)
        except StopIteration:
            return
        send = steps.send
        if call.stage == stage:
            seen += 1
            if seen == count:
                send, value = steps.throw, ImageSkipped()
                continue
        value = yield call


def test_steps_of_all_stages_count_for_the_image_they_are_of(studio: Studio, photo: Path) -> None:
    one = enhanced(studio, photo, FACE, HAND, images=2)
    told = [(step.image, step.stage) for step in one.of_type(StepFinished)]
    assert told == [(image, stage) for image in range(2) for _ in range(2) for stage in ("detect", *["denoise"] * 3)]
    assert one.progress == sorted(one.progress)


def test_a_warning_of_every_stage_is_told_once(studio: Studio, photo: Path) -> None:
    one = enhanced(studio, photo, FACE, HAND, images=2, eta=0.5, scheduler="euler")
    assert one.warnings == ["eta_unused"]


def test_a_model_that_cannot_do_the_stages_is_refused_before_a_picture_is_begun(
    tiny_folder: TinyFolder, photo: Path
) -> None:
    studio = studio_of(tiny_folder("sd1_inpaint"))
    for task, own in ((TaskName.ENHANCE, {}), (TaskName.INPAINT, {"regions": [box("hand")]})):
        asked = {**own, "model": "sd1_inpaint", "enhance": {"regions": [FACE], "rework": {"when": "after"}}}
        with pytest.raises(EngineError, match=r"needs a model for image_to_image.*\$\.params\.model") as refused:
            make(studio, task, asked, photo)
        assert refused.value.code is ErrorCode.INVALID_PARAMS
    assert enhanced(studio, photo, FACE, model="sd1_inpaint").warnings == []


@pytest.mark.parametrize(("region", "stages"), [(FACE, 1), ({"text": "eye"}, 0)])
def test_a_picture_that_is_not_safe_is_black_and_goes_through_no_more_stages(
    tiny_folder: TinyFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    region: dict[str, Any],
    stages: int,
) -> None:
    lay_stand_in(tmp_path, monkeypatch)  # finds light pictures unsafe
    studio = studio_of(tiny_folder("sd1"), residency=Residency(tmp_path, "cpu"))
    white = save(tmp_path / "white.png", np.full((80, 112, 3), 255, np.uint8))
    one = enhanced(studio, white, region, HAND if stages else {"text": "ear"}, safety_check=True)
    assert not picture(one).any()
    assert [code for code in one.warnings if code != "nothing_found"] == ["censored"]
    (ready,) = one.of_type(OutputReady)
    assert ready.data["is_censored"] is True
    assert len(ready.data.get("enhanced", ())) == stages
    assert all(not shown.any() for shown in one.pictures)
