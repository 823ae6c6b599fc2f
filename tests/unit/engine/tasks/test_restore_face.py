"""Restoring faces, with a stand-in for the weights in the published form and one for the finder of faces."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.describing.faces import Face, FaceWithPoints
from engine.images import Bytes
from engine.interface import Call, EngineError
from engine.models.residency import Residency
from engine.plugins.gfpgan import GfpGan
from engine.tasks.restore_face import restore_face
from engine.upscaling.compact import CompactNet
from protocol.errors import ErrorCode
from protocol.events import OutputReady, StepFinished
from protocol.requests import TaskName
from tests.unit.engine.driver import Driver, drive, make_run
from tests.unit.engine.pictures import pixels_of, save, texture

TEMPLATE = np.array([[193, 240], [319, 240], [257, 314], [201, 371], [313, 371]], np.float32)


class Finder:
    """Finds the faces it was made with."""

    def __init__(self, *places: tuple[float, float, float]) -> None:
        self._places = places

    def find_with_points(self, _image: Bytes, min_confidence: float) -> list[FaceWithPoints]:
        assert min_confidence == 0.5
        return [
            FaceWithPoints(
                Face(x=int(x), y=int(y), width=9, height=9, confidence=0.9),
                (TEMPLATE * scale + (x, y)).astype(np.float32),
            )
            for x, y, scale in self._places
        ]


class Desk(Residency):
    """Has a finder instead of the packaged one."""

    def __init__(self, models_dir: Path, finder: Finder) -> None:
        super().__init__(models_dir, "cpu")
        self._finder = finder

    def use(self, name: str, load: object) -> Any:
        assert name == "centerface"
        return (yield Call(lambda: self._finder, stage="load"))


def put_white(path: Path) -> None:
    """GFPGAN in small, which answers every face with white."""
    network = GfpGan(width=1 / 16)
    state = {name: value * 0 for name, value in network.state_dict().items()}
    for level in range(7):
        state[f"stylegan_decoder.to_rgbs.{level}.bias"] += 1.0
    torch.save({"params_ema": state}, path)


def run(image: Path, models_dir: Path, places: Sequence[tuple[float, float, float]], **params: object) -> Driver:
    made = make_run(TaskName.RESTORE_FACE, params, inputs={"image": image})
    return drive(lambda run, context: restore_face(run, context, Desk(models_dir, Finder(*places))), made)


def stages(driver: Driver) -> list[str]:
    return [call.stage for call in driver.calls]


def test_each_face_is_made_anew_and_the_rest_keeps_its_pixels(tmp_path: Path) -> None:
    put_white(tmp_path / "GFPGANv1.4.pth")
    pixels = texture(200, 400)
    done = run(save(tmp_path / "in.png", pixels), tmp_path, [(20, 30, 0.2), (220, 40, 0.25)])
    made = pixels_of(done.outputs[0].content)
    assert (made[30 + 51, 20 + 51] == 255).all()
    assert (made[40 + 64, 220 + 64] == 255).all()
    assert (made[:, 130:210] == pixels[:, 130:210]).all()
    assert stages(done).count("restore") == 2
    assert [(step.step, step.steps, step.stage) for step in done.of_type(StepFinished)] == [
        (1, 3, "find"),
        (2, 3, "restore"),
        (3, 3, "restore"),
    ]
    assert done.progress == sorted(done.progress)
    data = done.of_type(OutputReady)[0].data
    assert data["model"] == "gfpgan"
    assert [face["x"] for face in data["faces"]] == [20, 220]


def test_a_picture_without_faces_comes_back_with_a_warning_and_loads_no_weights(tmp_path: Path) -> None:
    (tmp_path / "GFPGANv1.4.pth").write_bytes(b"not read")
    pixels = texture(60, 80)
    done = run(save(tmp_path / "in.png", pixels), tmp_path, [])
    assert (pixels_of(done.outputs[0].content) == pixels).all()
    assert done.warnings == ["nothing_found"]


def test_a_face_of_a_few_pixels_stays_as_it_is(tmp_path: Path) -> None:
    put_white(tmp_path / "GFPGANv1.4.pth")
    pixels = texture(60, 80)
    done = run(save(tmp_path / "in.png", pixels), tmp_path, [(10, 10, 0.03)])
    assert (pixels_of(done.outputs[0].content) == pixels).all()
    assert done.warnings == ["nothing_found"]
    assert done.of_type(OutputReady)[0].data["faces"] == []


@pytest.mark.parametrize(("model", "file"), [("gfpgan", "GFPGANv1.4.pth"), ("restoreformer", "RestoreFormer.pth")])
def test_without_weights_it_says_which_file_goes_where_before_it_does_anything(
    model: str, file: str, tmp_path: Path
) -> None:
    made = make_run(TaskName.RESTORE_FACE, {"model": model}, inputs={"image": save(tmp_path / "in.png", texture())})
    driver = Driver(made)
    with pytest.raises(EngineError, match=f"put {file} from https://") as refused:
        driver.drive(restore_face(made, driver, Desk(tmp_path, Finder())))
    assert refused.value.code is ErrorCode.MODEL_MISSING
    assert driver.calls == []


@pytest.mark.parametrize(
    "content", [{"params_ema": {"a": torch.zeros(1)}}, {"quantize.embedding.weight": torch.ones(2, 2)}]
)
def test_a_file_with_something_else_in_it_is_a_bad_model(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "GFPGANv1.4.pth")
    with pytest.raises(EngineError) as refused:
        run(save(tmp_path / "in.png", texture(200, 200)), tmp_path, [(20, 30, 0.2)])
    assert refused.value.code is ErrorCode.BAD_MODEL


def test_the_background_is_cleaned_first_if_asked_for(tmp_path: Path) -> None:
    put_white(tmp_path / "GFPGANv1.4.pth")
    upscaler = CompactNet(width=4, depth=1)
    torch.save(
        {name: value * 0 for name, value in upscaler.state_dict().items()}, tmp_path / "realesr-general-x4v3.pth"
    )
    pixels = texture(200, 200)
    wanted = {"enhance_background": True, "background_model": "general"}
    done = run(save(tmp_path / "in.png", pixels), tmp_path, [(20, 30, 0.2)], **wanted)
    order = [stage for stage in stages(done) if stage in {"tile", "find", "restore"}]
    assert order == ["tile"] * 4 + ["find", "restore"]
    assert done.progress == sorted(done.progress)
    made = pixels_of(done.outputs[0].content).astype(int)
    assert made.shape == pixels.shape
    assert np.abs(made[150:] - pixels[150:]).mean() < 2
    assert (made[30 + 51, 20 + 51] == 255).all()


def test_alpha_stays_as_it_is(tmp_path: Path) -> None:
    put_white(tmp_path / "GFPGANv1.4.pth")
    alpha = np.full((200, 200, 1), 99, np.uint8)
    image = save(tmp_path / "in.png", np.concatenate([texture(200, 200), alpha], axis=2))
    made = pixels_of(run(image, tmp_path, [(20, 30, 0.2)]).outputs[0].content)
    assert (made[..., 3] == 99).all()
