"""`fcf` on a narrow network in the published file format; its pixels are those IOPaint's own class gave for it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from engine.inpainting.descriptor import EraseNetwork, EraseOptions
from engine.inpainting.fcf import FCF
from engine.interface import EngineError
from protocol.errors import ErrorCode
from tests.unit.engine.inpainting.going_through import go_through
from tests.unit.engine.inpainting.published_files import FCF_WIDTHS, NARROW_FCF, digest, drawn, fcf_shapes
from tests.unit.engine.inpainting.test_mat import scene

_PUBLISHED = "85b1ee343160be4387f7c32ad721c42f401fa916ce41a74646c22ad78ec4a0b3"
_ROWS, _COLUMNS = [100, 160, 230, 340], [70, 150, 200, 280]
_RECORDED = [
    [121, 70, 179], [117, 54, 174], [119, 51, 172], [113, 53, 174],
    [111, 77, 185], [112, 51, 176], [115, 51, 174], [114, 51, 174],
    [106, 68, 183], [108, 58, 173], [111, 57, 174], [110, 57, 173],
    [113, 64, 182], [101, 55, 175], [100, 56, 176], [100, 57, 176],
]  # fmt: skip


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> EraseNetwork:
    path = tmp_path_factory.mktemp("fcf") / "places_512_G.pth"
    torch.save(drawn(fcf_shapes(NARROW_FCF)), path)
    return FCF.load([path], "cpu", torch.float32)


def test_names_and_shapes_are_those_of_the_published_network() -> None:
    assert digest(fcf_shapes(FCF_WIDTHS)) == _PUBLISHED


def test_picture_is_the_one_the_original_makes_of_the_same_weights(network: EraseNetwork) -> None:
    made = go_through(network, *scene()).picture
    difference = np.abs(made[np.ix_(_ROWS, _COLUMNS)].reshape(-1, 3).astype(int) - np.array(_RECORDED))
    assert difference.max() <= 1


def test_pixels_in_the_hole_have_no_influence_and_neither_has_the_seed(network: EraseNetwork) -> None:
    image, mask = scene()
    other = np.where(mask[..., None] > 0, 255 - image, image).astype(np.uint8)
    first = go_through(network, image, mask, EraseOptions(seed=1)).picture
    second = go_through(network, other, mask, EraseOptions(seed=2)).picture
    assert first.shape == image.shape
    assert (first == second).all()


def test_which_pixels_are_masked_changes_the_picture(network: EraseNetwork) -> None:
    image, mask = scene()
    first, second = (go_through(network, image, each).picture for each in (mask, 255 - mask))
    assert (first != second).any()


def test_encoding_and_filling_are_two_calls_and_both_are_told(network: EraseNetwork) -> None:
    told: list[tuple[int, int]] = []
    gone = go_through(network, *scene(), EraseOptions(on_step=lambda done, of: told.append((done, of))))
    assert gone.device_stages == ("encode", "fill")
    assert told == [(1, 2), (2, 2)]


def test_size_is_that_of_the_weights_it_keeps(network: EraseNetwork) -> None:
    with torch.device("meta"):
        shapes = fcf_shapes(NARROW_FCF)
    dropped = ("resample_filter", "noise_const", "noise_strength")
    most = sum(4 * int(np.prod(shape)) for name, shape in shapes.items() if not name.endswith(dropped))
    assert 0.95 * most < network.size_bytes <= most


@pytest.mark.parametrize(
    ("name", "said"),
    [("encoder.b4.conv.weight", "no encoder.b4.conv.weight"), ("synthesis.b512.conv1.weight", "no synthesis.b512")],
)
def test_file_of_another_network_is_refused_with_what_is_missing(tmp_path: Path, name: str, said: str) -> None:
    weights = drawn(fcf_shapes(NARROW_FCF))
    del weights[name]
    path = tmp_path / "fcf.pth"
    torch.save(weights, path)
    with pytest.raises(EngineError) as caught:
        FCF.load([path], "cpu", torch.float32)
    assert caught.value.code is ErrorCode.BAD_MODEL
    assert said in caught.value.message


def test_pickle_that_would_run_something_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (print, ("ran",))

    path = tmp_path / "places_512_G.pth"
    torch.save({"encoder.b4.conv.weight": Evil()}, path)
    with pytest.raises(EngineError) as caught:
        FCF.load([path], "cpu", torch.float32)
    assert caught.value.code is ErrorCode.BAD_MODEL


def test_it_crops_itself_to_squares_of_512_and_stays_in_single_precision() -> None:
    assert (FCF.pad_multiple, FCF.min_px, FCF.is_square, FCF.crops_itself) == (512, 512, True, True)
    assert not FCF.is_half_on_cuda
    assert not FCF.is_commercial
