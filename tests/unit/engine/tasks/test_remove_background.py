from types import SimpleNamespace

import numpy as np
import pytest

from engine.images import Picture
from engine.models.residency import Residency
from engine.plugins.backgrounds import RECIPES, find_subject
from engine.tasks.remove_background import on_checks, remove_background
from protocol.editing import BackgroundModel
from protocol.requests import TaskName
from tests.unit.engine.driver import drive, make_run
from tests.unit.engine.networks import Shelf, ball, overlap
from tests.unit.engine.pictures import pixels_of, save, texture


class LeftHalf:
    """A network that finds the left half to be the subject, and answers with its stages too."""

    def __init__(self):
        self.seen = []

    def get_inputs(self):
        return [SimpleNamespace(name="pixels")]

    def run(self, outputs, inputs):
        self.seen.append(inputs["pixels"])
        salience = np.zeros((1, 1, 320, 320), np.float32) + np.float32(0.2)
        salience[..., :160] = 0.7
        return [salience, 1 - salience]


def run(path, network, models_dir, **params):
    shelf = Shelf({"u2netp": network, "u2net": network}, models_dir=models_dir)
    made = make_run(TaskName.REMOVE_BACKGROUND, params, inputs={"image": path})
    return drive(lambda run, context: remove_background(run, context, shelf), made), shelf


def test_a_cutout_is_the_picture_with_the_background_transparent(tmp_path):
    pixels = texture(60, 80)
    driver, _ = run(save(tmp_path / "in.png", pixels), LeftHalf(), tmp_path)
    result = pixels_of(driver.outputs[0].content)
    assert (result[..., :3] == pixels).all()
    assert (result[:, :39, 3] == 255).all()
    assert (result[:, 41:, 3] == 0).all()


def test_transparency_the_picture_had_stays(tmp_path):
    pixels = np.dstack([texture(60, 80), np.full((60, 80), 100, np.uint8)])
    driver, _ = run(save(tmp_path / "in.png", pixels), LeftHalf(), tmp_path)
    alpha = pixels_of(driver.outputs[0].content)[..., 3]
    assert (alpha[:, :39] == 100).all()
    assert (alpha[:, 41:] == 0).all()


def test_a_mask_is_one_grey_channel_white_where_the_subject_is(tmp_path):
    driver, _ = run(save(tmp_path / "in.png", texture(60, 80)), LeftHalf(), tmp_path, result="mask")
    mask = pixels_of(driver.outputs[0].content)
    assert mask.shape == (60, 80)
    assert (mask[:, :39] == 255).all()
    assert (mask[:, 41:] == 0).all()


def test_a_cutout_as_jpeg_lies_on_white_and_says_so(tmp_path):
    driver, _ = run(save(tmp_path / "in.png", texture(60, 80)), LeftHalf(), tmp_path, format="jpeg", quality=100)
    assert driver.warnings == ["alpha_flattened"]
    assert driver.outputs[0].media_type == "image/jpeg"
    assert (pixels_of(driver.outputs[0].content)[:, 60:] > 250).all()


def test_a_mask_as_jpeg_loses_nothing_and_warns_of_nothing(tmp_path):
    driver, _ = run(save(tmp_path / "in.png", texture(60, 80)), LeftHalf(), tmp_path, format="jpeg", result="mask")
    assert driver.warnings == []


def test_the_work_is_read_infer_compose_with_only_the_network_on_the_device(tmp_path):
    driver, _ = run(save(tmp_path / "in.png", texture()), LeftHalf(), tmp_path)
    told = [(call.stage, call.where.value) for call in driver.calls]
    assert told == [("read", "pool"), ("load", "device"), ("infer", "device"), ("compose", "pool"), ("save", "pool")]
    assert driver.progress == sorted(driver.progress)


def test_the_network_sees_the_picture_as_it_was_trained_to(tmp_path):
    network = LeftHalf()
    pixels = np.zeros((40, 50, 3), np.uint8)
    pixels[..., 0] = 128  # half red: brightened until its largest value is 1
    run(save(tmp_path / "in.png", pixels), network, tmp_path)
    (seen,) = network.seen
    assert seen.shape == (1, 3, 320, 320)
    assert np.allclose(seen[0, :, 5, 5], [(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225], atol=1e-4)


@pytest.mark.parametrize("value", [0, 255])
def test_a_network_that_sees_no_difference_finds_no_subject(value):
    def blind(planes):
        assert np.isfinite(planes).all()
        return np.full((1, 1, 320, 320), 0.4, np.float32)

    image = np.full((8, 8, 3), value, np.uint8)
    assert (find_subject(blind, RECIPES[BackgroundModel.U2NETP], image) == 0).all()


def test_the_full_network_is_used_when_its_file_is_there(tmp_path):
    from engine.models.catalogue import find

    path = save(tmp_path / "in.png", texture())
    _, shelf = run(path, LeftHalf(), tmp_path)
    assert shelf.asked == ["u2netp"]
    file = find("u2net").files[0]
    with (tmp_path / file.name).open("wb") as large:
        large.truncate(file.size_bytes)  # sparse: takes no room
    _, shelf = run(path, LeftHalf(), tmp_path)
    assert shelf.asked == ["u2net"]


def test_a_preview_shows_checks_where_the_picture_is_transparent():
    picture = Picture(np.zeros((64, 64, 3), np.float32), np.zeros((64, 64), np.float32))
    shown = on_checks(picture)
    assert set(np.unique(shown)) == {204, 242}


@pytest.mark.models
def test_the_real_network_cuts_out_a_ball(models_dir, tmp_path, monkeypatch):
    monkeypatch.setattr("engine.plugins.subjects.is_present", lambda *_: False)  # the small one
    pixels, truth = ball()
    made = make_run(
        TaskName.REMOVE_BACKGROUND, {"result": "mask"}, inputs={"image": save(tmp_path / "ball.png", pixels)}
    )
    driver = drive(lambda run, context: remove_background(run, context, Residency(models_dir, "cpu")), made)
    assert overlap(pixels_of(driver.outputs[0].content) > 127, truth) > 0.9
