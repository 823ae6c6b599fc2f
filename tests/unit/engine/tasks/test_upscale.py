import numpy as np
import pytest
import torch
from PIL import Image

from engine.interface import OutOfMemory
from engine.models.residency import Residency
from engine.tasks.upscale import upscale
from protocol.events import StepFinished
from protocol.requests import Previews, TaskName
from tests.unit.engine.driver import drive, make_run
from tests.unit.engine.networks import Shelf
from tests.unit.engine.pictures import pixels_of, save, texture
from tests.unit.engine.upscalers import Nearest


def run(path, network, *, previews=Previews.ALL, device="cpu", **params):
    name = {"x4plus": "realesrgan-x4plus", "x4plus-anime": "realesrgan-x4plus-anime"}.get(
        params.get("model"), "compact"
    )
    shelf = Shelf({name: network, "realesrgan-x4plus": network}, device=device)
    made = make_run(TaskName.UPSCALE, params, inputs={"image": path}, previews=previews)
    return drive(lambda run, context: upscale(run, context, shelf), made), shelf


def stages(driver):
    return [call.stage for call in driver.calls]


def test_tiles_come_together_without_a_seam(tmp_path):
    pixels = texture(70, 110)
    driver, _ = run(save(tmp_path / "in.png", pixels), Nearest(), factor=4.0, tile_px=32)
    expected = pixels.repeat(4, axis=0).repeat(4, axis=1)
    assert (pixels_of(driver.outputs[0].content) == expected).all()
    assert stages(driver).count("tile") == 12


@pytest.mark.parametrize(
    ("factor", "size"), [(1.0, (110, 70)), (2.0, (220, 140)), (2.5, (275, 175)), (3.7, (407, 259))]
)
def test_any_factor_gives_its_size_and_keeps_the_picture(factor, size, tmp_path):
    pixels = texture(70, 110)
    driver, _ = run(save(tmp_path / "in.png", pixels), Nearest(), factor=factor)
    result = Image.fromarray(pixels_of(driver.outputs[0].content))
    assert result.size == size
    back = np.asarray(result.resize((110, 70), Image.Resampling.BOX), float)
    assert np.abs(back - pixels).mean() < 3


def test_each_tile_is_one_device_call_and_one_step(tmp_path):
    driver, _ = run(save(tmp_path / "in.png", texture(64, 96)), Nearest(), tile_px=32)
    steps = driver.of_type(StepFinished)
    assert [(step.step, step.steps, step.stage) for step in steps] == [(n, 6, "tile") for n in range(1, 7)]
    assert driver.progress == sorted(driver.progress)
    assert driver.progress[-1] == 1


def test_a_tile_that_does_not_fit_is_cut_smaller_and_so_are_the_rest(tmp_path):
    pixels = texture(64, 128)
    network = Nearest(room_px=40)
    driver, _ = run(save(tmp_path / "in.png", pixels), network, factor=4.0, tile_px=64)
    assert (pixels_of(driver.outputs[0].content) == pixels.repeat(4, axis=0).repeat(4, axis=1)).all()
    assert network.seen[0] == (64, 67)
    assert all(max(size) <= 40 for size in network.seen[1:])
    assert [step.steps for step in driver.of_type(StepFinished)] == [8] * 8


def test_a_picture_smaller_than_its_tile_is_cut_at_the_first_try(tmp_path):
    network = Nearest(room_px=40)
    run(save(tmp_path / "in.png", texture(64, 64)), network, tile_px=2048)
    assert network.seen[0] == (64, 64)
    assert len(network.seen) == 5


def test_a_picture_that_never_fits_fails_for_lack_of_memory(tmp_path):
    network = Nearest(room_px=4)
    with pytest.raises(OutOfMemory):
        run(save(tmp_path / "in.png", texture(64, 64)), network, tile_px=64)
    assert len(network.seen) == 2


def test_half_precision_gives_the_same_picture_to_a_grey_level(tmp_path):
    pixels = texture(40, 56)
    driver, _ = run(save(tmp_path / "in.png", pixels), Nearest().half(), factor=4.0, tile_px=32)
    result = pixels_of(driver.outputs[0].content).astype(int)
    assert np.abs(result - pixels.repeat(4, axis=0).repeat(4, axis=1)).max() <= 1


def test_a_network_whose_numbers_run_over_in_half_precision_goes_on_in_single(tmp_path):
    class RunsOver(Nearest):
        def forward(self, pixels):
            dtypes.append(pixels.dtype)
            made = super().forward(pixels)
            return made * 1e5 * 1e-5 if pixels.dtype is torch.float16 else made

    dtypes = []
    pixels = np.maximum(texture(32, 64), 1)
    network = RunsOver().half()
    driver, _ = run(save(tmp_path / "in.png", pixels), network, factor=4.0, tile_px=32)
    assert (pixels_of(driver.outputs[0].content) == pixels.repeat(4, axis=0).repeat(4, axis=1)).all()
    assert dtypes == [torch.float16, torch.float32, torch.float32]


def test_on_cuda_tiles_are_larger(tmp_path):
    driver, _ = run(save(tmp_path / "in.png", texture(64, 400)), Nearest(), device="cuda:0")
    assert stages(driver).count("tile") == 2


def test_alpha_is_enlarged_with_the_picture(tmp_path):
    pixels = np.dstack([texture(40, 40), np.full((40, 40), 255, np.uint8)])
    pixels[:, :20, 3] = 0
    driver, _ = run(save(tmp_path / "in.png", pixels), Nearest(), factor=3.0)
    result = pixels_of(driver.outputs[0].content)
    assert result.shape == (120, 120, 4)
    assert (result[:, :57, 3] == 0).all()
    assert (result[:, 63:, 3] == 255).all()


def test_sixteen_bits_stay_sixteen_bits(tmp_path):
    import cv2

    deep = (np.arange(48 * 40, dtype=np.uint16).reshape(48, 40) * 31)[..., None].repeat(3, axis=2)
    cv2.imwrite(str(tmp_path / "in.png"), deep)
    driver, _ = run(tmp_path / "in.png", Nearest(), factor=4.0, tile_px=32)
    read = cv2.imdecode(np.frombuffer(driver.outputs[0].content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert read.dtype == np.uint16
    assert np.abs(read[::4, ::4].astype(int) - deep).max() <= 1


def test_a_result_above_the_largest_side_is_capped_with_a_warning(tmp_path):
    driver, _ = run(save(tmp_path / "in.png", texture(2, 5000)), Nearest(), factor=4.0, tile_px=2048)
    assert driver.warnings == ["upscale_capped"]
    assert pixels_of(driver.outputs[0].content).shape == (6, 16_384, 3)


@pytest.mark.parametrize(("device", "name"), [("cpu", "compact"), ("cuda:0", "realesrgan-x4plus")])
def test_auto_takes_the_model_that_suits_the_device(device, name, tmp_path):
    _, shelf = run(save(tmp_path / "in.png", texture(16, 16)), Nearest(), device=device)
    assert shelf.asked == [name]


def test_previews_show_what_is_done_on_top_of_a_soft_enlargement(tmp_path):
    class White(Nearest):
        def forward(self, pixels):
            return torch.ones(1, 3, pixels.shape[2] * 4, pixels.shape[3] * 4)

    driver, _ = run(save(tmp_path / "in.png", np.zeros((32, 64, 3), np.uint8)), White(), tile_px=32)
    first, last = driver.pictures
    assert (first[:, : first.shape[1] // 2 - 1] == 255).all()
    assert (first[:, first.shape[1] // 2 + 16 :] == 0).all()
    assert (last == 255).all()


def test_nothing_is_drawn_for_previews_nobody_wants(tmp_path):
    driver, _ = run(save(tmp_path / "in.png", texture(32, 32)), Nearest(), previews=Previews.NONE)
    assert driver.pictures == []


@pytest.mark.models
def test_the_compact_model_makes_the_same_picture_whatever_the_tiles(models_dir, tmp_path):
    path = save(tmp_path / "in.png", texture(80, 100))
    results = []
    for tile_px in (40, 2048):
        made = make_run(
            TaskName.UPSCALE, {"factor": 4.0, "tile_px": tile_px, "model": "compact"}, inputs={"image": path}
        )
        driver = drive(lambda run, context: upscale(run, context, Residency(models_dir, "cpu")), made)
        results.append(pixels_of(driver.outputs[0].content).astype(int))
    assert np.abs(results[0] - results[1]).max() <= 1


@pytest.mark.models
@pytest.mark.parametrize("model", ["compact", "x4plus", "x4plus-anime"])
def test_a_real_enlargement_scaled_down_is_the_picture_it_was_made_from(model, models_dir, tmp_path):
    pixels = texture(48, 64)
    path = save(tmp_path / "in.png", pixels)
    made = make_run(TaskName.UPSCALE, {"factor": 4.0, "model": model, "tile_px": 48}, inputs={"image": path})
    driver = drive(lambda run, context: upscale(run, context, Residency(models_dir, "cpu")), made)
    result = Image.fromarray(pixels_of(driver.outputs[0].content))
    assert result.size == (256, 192)
    back = np.asarray(result.resize((64, 48), Image.Resampling.BOX), float)
    assert np.abs(back - pixels).mean() < 8
