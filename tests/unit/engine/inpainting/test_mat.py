"""`mat` on a narrow network in the published file format; its pixels are those IOPaint's own class gave for it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.images import Bytes
from engine.inpainting.descriptor import EraseNetwork, EraseOptions
from engine.inpainting.mat import MAT
from engine.interface import EngineError
from protocol.errors import ErrorCode
from tests.unit.engine.inpainting.going_through import go_through
from tests.unit.engine.inpainting.published_files import MAT_WIDTHS, NARROW_MAT, digest, drawn, mat_shapes

_PUBLISHED = "d48ea3f13a41f2d81d37513bcfdae1d9606f61682687f4453dc288d4d7b9eba5"
_ROWS, _COLUMNS = [100, 160, 230, 340], [70, 150, 200, 280]
_RECORDED = [
    [255, 108, 151], [255, 97, 126], [255, 126, 117], [255, 145, 111],
    [255, 122, 126], [240, 178, 140], [245, 225, 133], [211, 220, 103],
    [255, 194, 143], [250, 188, 98], [255, 177, 115], [240, 176, 134],
    [255, 154, 116], [255, 177, 159], [255, 185, 127], [237, 100, 118],
]  # fmt: skip
"""At these rows and columns, with the seed 5."""


def scene(side_px: int = 512) -> tuple[Bytes, Bytes]:
    y, x = np.mgrid[0:side_px, 0:side_px]
    image = np.stack([(x // 2) % 256, (y // 2) % 256, (x + y) % 256], -1).astype(np.uint8)
    mask = np.zeros((side_px, side_px), np.uint8)
    mask[96:352, 64:288] = 255
    return image, mask


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> EraseNetwork:
    path = tmp_path_factory.mktemp("mat") / "Places_512_FullData_G.pth"
    torch.save(drawn(mat_shapes(NARROW_MAT)), path)
    return MAT.load([path], "cpu", torch.float32)


def test_names_and_shapes_are_those_of_the_published_network() -> None:
    assert digest(mat_shapes(MAT_WIDTHS)) == _PUBLISHED


def test_picture_is_the_one_the_original_makes_of_the_same_weights(network: EraseNetwork) -> None:
    made = go_through(network, *scene(), EraseOptions(seed=5)).picture
    difference = np.abs(made[np.ix_(_ROWS, _COLUMNS)].reshape(-1, 3).astype(int) - np.array(_RECORDED))
    assert difference.max() <= 1


def test_kept_pixels_come_back_and_the_pixels_in_the_hole_have_no_influence(network: EraseNetwork) -> None:
    image, mask = scene()
    other = np.where(mask[..., None] > 0, 255 - image, image).astype(np.uint8)
    first, second = (go_through(network, each, mask).picture for each in (image, other))
    assert first.shape == image.shape
    assert first.dtype == np.uint8
    assert (first == second).all()
    assert (first[mask == 0] == image[mask == 0]).all()
    assert (first[mask > 0] != image[mask > 0]).any()


def test_seed_alone_decides_what_is_drawn_by_lot(network: EraseNetwork) -> None:
    image, mask = scene()
    first, again, other = (go_through(network, image, mask, EraseOptions(seed=seed)).picture for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_structure_and_picture_are_two_calls_and_both_are_told(network: EraseNetwork) -> None:
    told: list[tuple[int, int]] = []
    gone = go_through(network, *scene(), EraseOptions(on_step=lambda done, of: told.append((done, of))))
    assert gone.device_stages == ("structure", "fill")
    assert told == [(1, 2), (2, 2)]


def test_a_picture_of_several_times_its_side_is_filled_whole(network: EraseNetwork) -> None:
    image, mask = scene(1024)
    made = go_through(network, image, mask).picture
    assert made.shape == image.shape
    assert (made[mask == 0] == image[mask == 0]).all()


def _without(name: str) -> Callable[[dict[str, Tensor]], None]:
    return lambda weights: weights.__delitem__(name)


def _with(name: str, value: Tensor) -> Callable[[dict[str, Tensor]], None]:
    return lambda weights: weights.__setitem__(name, value)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_without("mapping.fc0.weight"), "no mapping.fc0.weight"),
        (_without("mapping.w_avg"), "no mapping.w_avg"),
        (_with("mapping.fc9.weight", torch.zeros(2)), "an unknown mapping.fc9.weight"),
        (_with("mapping.fc0.weight", torch.zeros(2, 2)), "expected (16, 16), got (2, 2)"),
        (_with("synthesis.first_stage.conv_first.conv.resample_filter", torch.ones(4, 4)), "another filter"),
    ],
)
def test_file_of_another_network_is_refused_with_what_is_wrong_about_it(
    tmp_path: Path, spoil: Callable[[dict[str, Tensor]], None], said: str
) -> None:
    weights = drawn(mat_shapes(NARROW_MAT))
    spoil(weights)
    path = tmp_path / "mat.pth"
    torch.save(weights, path)
    with pytest.raises(EngineError) as caught:
        MAT.load([path], "cpu", torch.float32)
    assert caught.value.code is ErrorCode.BAD_MODEL
    assert said in caught.value.message


def test_it_wants_squares_of_multiples_of_512_and_half_precision_only_on_cuda() -> None:
    assert (MAT.pad_multiple, MAT.min_px, MAT.is_square, MAT.crops_itself) == (512, 512, True, False)
    assert MAT.is_half_on_cuda
    assert not MAT.is_commercial
