"""`zits` on small TorchScript files: what each network is shown, and what becomes of its answers."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engine.images import Bytes
from engine.inpainting.base import NothingToFillFrom
from engine.inpainting.descriptor import EraseNetwork, EraseOptions
from engine.inpainting.masked_positions import masked_positions
from engine.inpainting.zits import ZITS, find_edges
from engine.interface import EngineError
from protocol.errors import ErrorCode
from tests.unit.engine.inpainting.going_through import go_through
from tests.unit.engine.inpainting.stand_ins import save_script
from tests.unit.engine.inpainting.zits_stand_ins import NoLines, Paint, Structure, Twice, TwoLines


def scene(side_px: int = 320) -> tuple[Bytes, Bytes]:
    y, x = np.mgrid[0:side_px, 0:side_px]
    mask = np.zeros((side_px, side_px), np.uint8)
    mask[side_px // 4 : side_px * 3 // 4, side_px // 4 : side_px * 3 // 4] = 255
    return np.stack([x % 256, y % 256, (x + y) % 256], -1).astype(np.uint8), mask


def load(folder: Path, parts: Sequence[nn.Module]) -> EraseNetwork:
    files = zip(ZITS.files, parts, strict=True)
    return ZITS.load([save_script(part, folder / file.name) for file, part in files], "cpu", torch.float32)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> EraseNetwork:
    return load(tmp_path_factory.mktemp("zits"), (TwoLines(), Structure(), Twice(), Paint()))


def test_lines_then_structure_then_picture_and_each_is_told(network: EraseNetwork) -> None:
    told: list[tuple[int, int]] = []
    gone = go_through(network, *scene(), EraseOptions(on_step=lambda done, of: told.append((done, of))))
    assert gone.stages == ("prepare", "lines", "structure", "fill")
    assert gone.device_stages == ("lines", "structure", "fill")
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_without_lines_asked_for_the_hole_is_painted_without_structure(network: EraseNetwork) -> None:
    image, mask = scene()
    gone = go_through(network, image, mask, EraseOptions(zits_wireframe=False))
    assert gone.device_stages == ("fill",)
    assert (gone.picture[mask > 0][:, :2] == 0).all()
    assert gone.picture[mask > 0][:, 2].any()


@pytest.mark.parametrize("side_px", [256, 320, 704])
def test_structure_covers_the_picture_in_its_size(network: EraseNetwork, side_px: int) -> None:
    image, mask = scene(side_px)
    made = go_through(network, image, mask).picture
    assert made.shape == image.shape
    assert np.abs(made[mask == 0].astype(int) - image[mask == 0]).max() <= 1
    quarter = side_px // 4
    # Beyond the corners of the hole, where the positions darken nothing any more.
    row = made[quarter * 3 // 2, quarter + 8 : side_px - quarter - 8]
    left, right = row[: quarter // 2], row[-(quarter // 2) :]
    assert left[:, 0].min() > 150
    assert right[:, 0].max() < 60


def test_line_it_is_sure_of_is_drawn_and_the_other_is_not(network: EraseNetwork) -> None:
    image, mask = scene(256)
    seen: list[Tensor] = []
    steps = network(image, mask, EraseOptions())
    value: object = None
    while True:
        call = steps.send(value)
        value = call.run()
        if call.stage == "lines":
            assert isinstance(value, Tensor)
            seen.append(value)
            steps.close()
            break
    lines = seen[0][0, 0]
    assert lines.shape == (256, 256)
    assert lines[10, 10] == 1
    assert lines[10, 245] == 0
    assert lines.max() <= 1


def test_a_finder_that_gives_up_leaves_the_picture_without_lines(tmp_path: Path) -> None:
    network = load(tmp_path, (NoLines(), Structure(), Twice(), Paint()))
    image, mask = scene()
    assert go_through(network, image, mask).picture.shape == image.shape


def test_file_of_another_model_fails_with_which_of_them_it_is(tmp_path: Path) -> None:
    network = load(tmp_path, (TwoLines(), Structure(), Structure(), Paint()))
    with pytest.raises(EngineError) as caught:
        go_through(network, *scene())
    assert caught.value.code is ErrorCode.BAD_MODEL
    assert "zits-structure-upsample-0717.pt" in caught.value.message


def test_depth_rises_ring_by_ring_and_corners_say_where_from() -> None:
    mask = np.zeros((256, 256), np.uint8)
    mask[100:110, 50:60] = 255
    places = masked_positions(mask)
    assert places.depth.dtype == np.int64
    assert places.depth[100, 50] == 1
    assert places.depth[104, 54] == 5
    assert places.depth[mask == 0].max() == 0
    assert places.corners.shape == (256, 256, 4)
    # above left, below left, above right, below right
    assert places.corners[100, 50].tolist() == [1, 1, 1, 0]
    assert places.corners[109, 59].tolist() == [0, 1, 1, 1]
    assert places.corners[104, 50].tolist() == [1, 1, 0, 0]


def test_depth_of_a_larger_picture_is_measured_at_256_px_and_stays_within_the_hole() -> None:
    mask = np.zeros((512, 512), np.uint8)
    mask[101:301, 100:300] = 255
    places = masked_positions(mask)
    assert places.depth.shape == (512, 512)
    assert (places.depth[mask == 0] == 0).all()
    assert (places.corners[mask == 0] == 0).all()
    assert places.depth[200, 200] == pytest.approx(50, abs=1)


def test_depth_has_a_limit() -> None:
    mask = np.full((256, 256), 255, np.uint8)
    mask[0, 0] = 0
    assert masked_positions(mask).depth.max() == 127


def test_hole_that_is_the_whole_picture_leaves_nothing_to_fill_from(network: EraseNetwork) -> None:
    image, mask = scene(256)
    with pytest.raises(NothingToFillFrom):
        go_through(network, image, np.full_like(mask, 255))


def test_edge_is_found_where_black_meets_white_and_nowhere_else() -> None:
    image = np.zeros((256, 256, 3), np.uint8)
    image[:, 128:] = 255
    edges = find_edges(image)
    columns = np.flatnonzero(edges.any(0))
    assert edges.dtype == np.uint8
    assert set(np.unique(edges)) == {0, 255}
    assert (np.abs(columns - 127.5) <= 1).all()


def test_noise_below_the_thresholds_is_no_edge() -> None:
    image = np.random.default_rng(1).integers(120, 136, (256, 256, 3)).astype(np.uint8)
    assert not find_edges(cv2.GaussianBlur(image, (0, 0), 2)).any()


def test_it_wants_squares_of_multiples_of_32_from_256_px() -> None:
    assert (ZITS.pad_multiple, ZITS.min_px, ZITS.is_square, ZITS.crops_itself) == (32, 256, True, False)
    assert not ZITS.is_half_on_cuda
    assert ZITS.is_commercial
