"""Erase with a model: part by part, shared by jobs, and nothing but what is masked."""

from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest

from engine.images import Bytes
from engine.inpainting.erasers import Erasers
from engine.inpainting.weights import Weights
from engine.interface import Call, EngineError, Run, RunContext, Steps, Where
from engine.models.residency import Residency
from engine.steps import GeneratorJob
from engine.tasks.erase import erase
from protocol.errors import ErrorCode
from protocol.events import JobCancelled, ModelLoaded, OutputReady, StepFinished
from protocol.requests import Previews, TaskName
from tests.unit.engine.driver import Driver, drive, make_run
from tests.unit.engine.inpainting.stand_ins import HalfGrey, QuarterGrey, Same, SizeTeller, save_script
from tests.unit.engine.pictures import pixels_of, save, texture
from tests.unit.engine.workbench import Gate, bench

BOXES = [{"x": 20, "y": 20, "width": 31, "height": 30}, {"x": 130, "y": 60, "width": 40, "height": 33}]
TRUSTED = {f"{name}_MODEL_MD5": "" for name in ("LAMA", "MIGAN", "MANGA_INPAINTOR", "MANGA_LINE")}
HARD = {"grow_px": 0, "feather_px": 0}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    save_script(SizeTeller(), folder / "big-lama.pt")
    save_script(QuarterGrey(), folder / "migan_traced.pt")
    save_script(HalfGrey(), folder / "manga_inpaintor.jit")
    save_script(Same(), folder / "erika.jit")
    return folder


@pytest.fixture
def told() -> list[object]:
    return []


@pytest.fixture
def erasers(models: Path, told: list[object]) -> Erasers:
    return Erasers(Residency(models, "cpu", told.append), Weights(models_dir=models, environ=TRUSTED))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    return save(tmp_path / "image.png", texture(120, 200))


def make(picture: Path, previews: Previews = Previews.ALL, **params: object) -> Run:
    asked = {"regions": BOXES, **HARD, **params}
    return make_run(TaskName.ERASE, asked, inputs={"image": picture}, previews=previews)


def run_erase(erasers: Erasers, picture: Path, **params: object) -> Driver:
    return drive(lambda run, context: erase(run, context, erasers), make(picture, **params))


def masked() -> Bytes:
    mask = np.zeros((120, 200), np.bool_)
    for box in BOXES:
        mask[box["y"] : box["y"] + box["height"], box["x"] : box["x"] + box["width"]] = True
    return mask


@pytest.mark.parametrize("model", ["lama", "manga", "migan", "cv2", "patchmatch"])
def test_only_what_is_masked_changes(erasers: Erasers, picture: Path, model: str) -> None:
    done = run_erase(erasers, picture, model=model)
    before, after = pixels_of(picture.read_bytes()), pixels_of(done.outputs[0].content)
    assert np.array_equal(after[~masked()], before[~masked()])
    assert (after[masked()] != before[masked()]).any(axis=1).mean() > 0.9
    assert done.of_type(OutputReady)[0].data == {"model": model}
    assert done.warnings == []


@pytest.mark.parametrize(("method", "flag"), [("telea", cv2.INPAINT_TELEA), ("navier_stokes", cv2.INPAINT_NS)])
def test_cv2_has_the_pixels_of_a_bare_call(erasers: Erasers, picture: Path, method: str, flag: int) -> None:
    done = run_erase(erasers, picture, model="cv2", method=method, fill_radius_px=7)
    bare = cv2.inpaint(pixels_of(picture.read_bytes()), masked().astype(np.uint8), 7, flag)
    assert np.array_equal(pixels_of(done.outputs[0].content), bare)


def test_each_part_is_a_step_with_progress_and_a_preview(erasers: Erasers, picture: Path) -> None:
    done = run_erase(erasers, picture, model="lama", hd_strategy="crop", hd_crop_trigger_px=100, hd_crop_margin_px=4)
    assert [(body.step, body.steps, body.stage) for body in done.of_type(StepFinished)] == [
        (1, 2, "fill"),
        (2, 2, "fill"),
    ]
    assert 0 < done.progress[0] < done.progress[1] <= 1
    changed = [int((shown != pixels_of(picture.read_bytes())).any(axis=2).sum()) for shown in done.pictures]
    assert len(changed) == 2
    assert 0 < changed[0] < changed[1] == masked().sum()


def test_networks_run_on_the_device_and_the_rest_beside_it(erasers: Erasers, picture: Path) -> None:
    calls = run_erase(erasers, picture, model="lama").calls
    assert {call.stage for call in calls if call.where is Where.DEVICE} == {"load", "fill"}
    assert {call.where for call in run_erase(erasers, picture, model="cv2").calls} == {Where.POOL}


def test_a_model_is_loaded_once_for_all_jobs(erasers: Erasers, picture: Path, told: list[object]) -> None:
    for _ in range(3):
        run_erase(erasers, picture, model="lama")
    assert len([body for body in told if isinstance(body, ModelLoaded)]) == 1


def test_a_file_that_is_replaced_is_loaded_anew(
    erasers: Erasers, picture: Path, models: Path, told: list[object]
) -> None:
    run_erase(erasers, picture, model="manga")
    save_script(HalfGrey(), models / "new").replace(models / "manga_inpaintor.jit")
    run_erase(erasers, picture, model="manga")
    assert len([body for body in told if isinstance(body, ModelLoaded)]) == 2


def test_an_empty_mask_gives_the_picture_back_and_loads_nothing(
    erasers: Erasers, picture: Path, tmp_path: Path, told: list[object]
) -> None:
    mask = save(tmp_path / "mask.png", np.zeros((120, 200), np.uint8))
    inputs = {"image": picture, "mask": mask}
    run = make_run(TaskName.ERASE, {"model": "lama", **HARD}, inputs=inputs)
    done = drive(lambda run, context: erase(run, context, erasers), run)
    assert done.warnings == ["empty_mask"]
    assert np.array_equal(pixels_of(done.outputs[0].content), pixels_of(picture.read_bytes()))
    assert told == []


def test_a_mask_over_everything_gives_the_picture_back_where_nothing_was_learnt(
    erasers: Erasers, picture: Path
) -> None:
    everything = [{"x": 0, "y": 0, "width": 200, "height": 120}]
    done = run_erase(erasers, picture, model="cv2", regions=everything)
    assert done.warnings == ["nothing_to_fill_from"]
    assert np.array_equal(pixels_of(done.outputs[0].content), pixels_of(picture.read_bytes()))
    assert run_erase(erasers, picture, model="lama", regions=everything).warnings == []


def test_without_keeping_the_picture_is_what_the_model_made(erasers: Erasers, tmp_path: Path) -> None:
    red = save(tmp_path / "red.png", np.full((120, 200, 3), (200, 10, 10), np.uint8))
    done = run_erase(erasers, red, model="manga", keep_unmasked=False)
    after = pixels_of(done.outputs[0].content).astype(int)
    assert np.ptp(after, axis=2).max() == 0


def test_transparency_stays_as_it_was(erasers: Erasers, tmp_path: Path) -> None:
    alpha = np.arange(120 * 200, dtype=np.uint32).reshape(120, 200).astype(np.uint8)
    path = save(tmp_path / "image.png", np.dstack([texture(120, 200), alpha]))
    after = pixels_of(run_erase(erasers, path, model="lama").outputs[0].content)
    assert np.array_equal(after[..., 3], alpha)


def test_sixteen_bits_are_kept_outside_the_mask(erasers: Erasers, tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 2**16, (120, 200, 3), np.uint16)
    path = tmp_path / "deep.png"
    assert cv2.imwrite(str(path), deep)
    content = run_erase(erasers, path, model="cv2").outputs[0].content
    after = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(after[~masked()], deep[~masked()])


def test_the_mask_is_widened_and_its_edge_is_soft_if_asked(erasers: Erasers, tmp_path: Path) -> None:
    black = save(tmp_path / "black.png", np.zeros((120, 200, 3), np.uint8))
    box = [{"x": 60, "y": 40, "width": 30, "height": 30}]
    done = run_erase(erasers, black, model="manga", regions=box, grow_px=6, feather_px=4)
    row = pixels_of(done.outputs[0].content)[55, :, 0].astype(int).tolist()
    assert set(row[54:96]) == {191}
    assert 0 < row[50] < row[51] < row[52] < row[53] < 191
    assert row[49] == 0


def test_a_script_that_is_not_the_published_one_is_not_opened(models: Path, picture: Path) -> None:
    wary = Erasers(Residency(models, "cpu"), Weights(models_dir=models, environ={}))
    for model in ("lama", "migan", "manga"):
        with pytest.raises(EngineError, match="published") as caught:
            run_erase(wary, picture, model=model)
        assert caught.value.code is ErrorCode.BAD_MODEL


def test_a_script_whose_checksum_the_operator_set_is_opened(models: Path, picture: Path) -> None:
    import hashlib

    digest = hashlib.md5((models / "migan_traced.pt").read_bytes()).hexdigest()
    erasers = Erasers(Residency(models, "cpu"), Weights(models_dir=models, environ={"MIGAN_MODEL_MD5": digest}))
    assert run_erase(erasers, picture, model="migan").outputs


def test_a_model_that_is_not_there_says_what_is_missing(tmp_path: Path, picture: Path) -> None:
    erasers = Erasers(Residency(tmp_path, "cpu"), Weights(models_dir=tmp_path, environ={}))
    with pytest.raises(EngineError, match=r"big-lama\.pt") as caught:
        run_erase(erasers, picture, model="lama")
    assert caught.value.code is ErrorCode.MODEL_MISSING


def test_a_file_of_another_network_is_told_apart(models: Path, picture: Path) -> None:
    save_script(Same(), models / "migan_traced.pt")
    erasers = Erasers(Residency(models, "cpu"), Weights(models_dir=models, environ=TRUSTED))
    with pytest.raises(EngineError, match="another model") as caught:
        run_erase(erasers, picture, model="migan")
    assert caught.value.code is ErrorCode.BAD_MODEL


MIXED: Mapping[str, Mapping[str, object]] = {
    "lama": {"model": "lama"},
    "lama-crop": {"model": "lama", "hd_crop_trigger_px": 50, "hd_crop_margin_px": 3},
    "lama-resize": {"model": "lama", "hd_strategy": "resize", "hd_resize_limit_px": 64},
    "manga": {"model": "manga"},
    "migan": {"model": "migan"},
    "cv2": {"model": "cv2", "method": "telea"},
    "cv2-ns": {"model": "cv2", "method": "navier_stokes", "fill_radius_px": 9},
    "patchmatch": {"model": "patchmatch", "seed": 5},
}


def test_eight_jobs_at_once_give_the_pixels_each_gives_alone(erasers: Erasers, tmp_path: Path) -> None:
    runs = {}
    for number, (name, params) in enumerate(MIXED.items()):
        side = 100 + 13 * number
        path = save(tmp_path / f"{name}.png", texture(side, side + 40, seed=number))
        box = [{"x": 30, "y": 30, "width": 21, "height": 17}, {"x": 70, "y": 70, "width": 10, "height": 9}]
        runs[name] = make(path, regions=box, **params)
    alone = {name: drive(_task(erasers, run), run).outputs[0].content for name, run in runs.items()}
    fresh = Erasers(Residency(erasers.residency.models_dir, "cpu"), erasers.weights)
    with bench() as desk:
        gate = desk.hold_device()
        for name, run in runs.items():
            desk.submit(name, _task(fresh, run), is_batch=False)
        gate.open()
        desk.sink.wait_end(*runs)
        for name in runs:
            assert desk.outputs.kept[name, 0] == alone[name], name


def _task(erasers: Erasers, run: Run) -> Callable[[Run, RunContext], Steps]:
    return lambda _run, context: erase(run, context, erasers)


def test_a_cancel_takes_effect_between_two_parts(erasers: Erasers, picture: Path) -> None:
    gate = Gate()
    run = make(picture, model="lama", hd_crop_trigger_px=50, hd_crop_margin_px=2)
    crops: list[Call] = []

    def held(_run: Run, context: RunContext) -> Steps:
        job = GeneratorJob(erase(run, context, erasers))
        value: object = None
        while isinstance(call := job.resume(value), Call):
            if call.stage == "paste":
                crops.append(call)
                yield Call(gate, where=Where.POOL)
            value = yield call

    with bench() as desk:
        desk.submit("a", held, is_batch=False)
        gate.wait_entered()
        desk.executor.cancel("a", "enough")
        gate.open()
        desk.sink.wait_end("a")
        assert desk.sink.one("a", JobCancelled).reason == "enough"
        assert len(crops) == 1
        assert ("a", 0) not in desk.outputs.kept
