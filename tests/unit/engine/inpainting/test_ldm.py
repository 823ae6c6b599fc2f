"""`ldm` on small TorchScript files; its pixels are those IOPaint's own sampling gave with the same networks."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engine.images import Bytes
from engine.inpainting.descriptor import EraseNetwork, EraseOptions
from engine.inpainting.ldm import LDM, embed, noise_levels
from engine.interface import EngineError
from protocol.erasing import LdmSampler
from protocol.errors import ErrorCode
from tests.unit.engine.inpainting.going_through import go_through
from tests.unit.engine.inpainting.ldm_stand_ins import Denoise, Enlarge, Shrink
from tests.unit.engine.inpainting.stand_ins import save_script

_RECORDED = [
    (LdmSampler.PLMS, 5, [[125, 133, 112], [133, 135, 131], [139, 129, 132], [127, 159, 80], [134, 128, 167],
                          [119, 129, 126], [129, 128, 129], [112, 92, 120], [120, 130, 95]]),
    (LdmSampler.DDIM, 5, [[126, 148, 111], [146, 152, 144], [148, 135, 144], [128, 167, 80], [147, 135, 173],
                          [118, 136, 127], [134, 135, 139], [110, 90, 119], [119, 139, 94]]),
    (LdmSampler.PLMS, 30, [[124, 176, 54], [174, 188, 164], [192, 141, 166], [129, 240, 3], [176, 138, 247],
                           [83, 141, 127], [138, 138, 148], [52, 11, 90], [87, 153, 14]]),
]  # fmt: skip
"""Sampler, steps, pixels at rows 2, 30, 60 and columns 2, 50, 90, with the seed 7."""


def scene() -> tuple[Bytes, Bytes]:
    y, x = np.mgrid[0:64, 0:96]
    mask = np.zeros((64, 96), np.uint8)
    mask[20:44, 30:70] = 255
    return np.stack([x * 2, y * 3, x + y], -1).astype(np.uint8), mask


def load(folder: Path, encode: nn.Module, decode: nn.Module, denoise: nn.Module) -> EraseNetwork:
    parts = zip(LDM.files, (encode, decode, denoise), strict=True)
    return LDM.load([save_script(part, folder / file.name) for file, part in parts], "cpu", torch.float32)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> EraseNetwork:
    return load(tmp_path_factory.mktemp("ldm"), Shrink(), Enlarge(), Denoise())


@pytest.mark.parametrize(("sampler", "steps", "recorded"), _RECORDED)
def test_picture_is_the_one_the_original_makes_with_the_same_networks(
    network: EraseNetwork, sampler: LdmSampler, steps: int, recorded: list[list[int]]
) -> None:
    options = EraseOptions(ldm_steps=steps, ldm_sampler=sampler, seed=7)
    made = go_through(network, *scene(), options).picture
    assert made.shape == (64, 96, 3)
    difference = np.abs(made[[2, 30, 60]][:, [2, 50, 90]].reshape(-1, 3).astype(int) - np.array(recorded))
    assert difference.max() <= 1


@pytest.mark.parametrize(("sampler", "extra"), [(LdmSampler.PLMS, 1), (LdmSampler.DDIM, 0)])
def test_every_prediction_is_a_call_of_its_own_and_every_step_is_told(
    network: EraseNetwork, sampler: LdmSampler, extra: int
) -> None:
    told: list[tuple[int, int]] = []
    options = EraseOptions(ldm_steps=4, ldm_sampler=sampler, on_step=lambda done, of: told.append((done, of)))
    gone = go_through(network, *scene(), options)
    assert gone.device_stages == ("encode", *["step"] * (4 + extra), "decode")
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_pixels_in_the_hole_have_no_influence(network: EraseNetwork) -> None:
    image, mask = scene()
    other = np.where(mask[..., None] > 0, 255 - image, image).astype(np.uint8)
    options = EraseOptions(ldm_steps=3)
    first, second = (go_through(network, each, mask, options).picture for each in (image, other))
    assert (first == second).all()


def test_seed_decides_the_noise(network: EraseNetwork) -> None:
    first, again, other = (
        go_through(network, *scene(), EraseOptions(ldm_steps=2, seed=seed)).picture for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()


def test_two_jobs_between_each_others_steps_make_the_pictures_of_each_alone(network: EraseNetwork) -> None:
    image, mask = scene()
    options = [EraseOptions(ldm_steps=3, seed=1), EraseOptions(ldm_steps=3, ldm_sampler=LdmSampler.DDIM, seed=2)]
    alone = [go_through(network, image, mask, each).picture for each in options]
    running = {index: network(image, mask, each) for index, each in enumerate(options)}
    values: dict[int, object] = {0: None, 1: None}
    made: dict[int, Bytes] = {}
    while running:
        for index in list(running):
            try:
                values[index] = running[index].send(values[index]).run()
            except StopIteration as end:
                made[index] = end.value
                del running[index]
    assert all((made[index] == alone[index]).all() for index in (0, 1))


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 20, 30, 333, 600, 1000])
def test_levels_go_from_noise_to_picture_whatever_the_steps(steps: int) -> None:
    levels = noise_levels(steps)
    signals = [level.signal for level in levels]
    assert len(levels) >= steps
    assert signals == sorted(signals)
    assert all(0 < level.timestep < 1000 for level in levels)
    assert [level.next_signal for level in levels[:-1]] == signals[1:]
    assert levels[-1].next_signal == pytest.approx(1 - 0.0015)


def test_timestep_is_told_as_cosines_and_sines() -> None:
    told = embed(3)
    assert told.shape == (1, 256)
    assert told[0, 0] == pytest.approx(np.cos(3))
    assert told[0, 128] == pytest.approx(np.sin(3))


class Wide(nn.Module):
    """Gives latents of another number of channels."""

    def forward(self, picture: Tensor) -> Tensor:
        return picture.repeat(1, 2, 1, 1)[:, :, ::4, ::4]


def test_files_of_another_model_fail_with_which_of_them_it_is(tmp_path: Path) -> None:
    network = load(tmp_path, Wide(), Enlarge(), Denoise())
    with pytest.raises(EngineError, match="ldm, encoder") as caught:
        go_through(network, *scene())
    assert caught.value.code is ErrorCode.BAD_MODEL


def test_it_wants_multiples_of_32_and_half_precision_only_on_cuda() -> None:
    assert (LDM.pad_multiple, LDM.min_px, LDM.is_square, LDM.crops_itself) == (32, 1, False, False)
    assert LDM.is_half_on_cuda
    assert LDM.is_commercial
    assert all(file.is_script for file in LDM.files)
