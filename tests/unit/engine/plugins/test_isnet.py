"""IS-Net. The real weights were never here: names and sizes are held to those of the published file."""

from pathlib import Path

import numpy as np
import pytest
import torch

from engine.interface import EngineError
from engine.plugins.isnet import IsNet, load_isnet
from protocol.errors import ErrorCode


def test_the_published_network_has_its_number_of_weights_and_its_names() -> None:
    with torch.device("meta"):
        network = IsNet()
    assert sum(parameter.numel() for parameter in network.parameters()) == 44_033_537  # 168 MB in single precision
    state = network.state_dict()
    assert len(state) == 788
    assert state["conv_in.weight"].shape == (64, 3, 3, 3)
    assert state["stage1.rebnconv7.conv_s1.weight"].shape == (32, 32, 3, 3)
    assert state["stage6.rebnconv3d.conv_s1.weight"].shape == (256, 512, 3, 3)
    assert state["stage1d.rebnconv1d.bn_s1.running_var"].shape == (64,)
    assert state["side1.weight"].shape == (1, 64, 3, 3)


@pytest.mark.parametrize("size", [(64, 64), (60, 100)])
def test_every_pixel_gets_its_share(size: tuple[int, int]) -> None:
    torch.manual_seed(1)
    network = IsNet(width=1 / 16).eval()
    with torch.inference_mode():
        made = network(torch.rand(1, 3, *size))
    assert made.shape == (1, 1, *size)
    assert 0 < made.min() < made.max() < 1


def test_weights_of_zero_give_one_half_everywhere(tmp_path: Path) -> None:
    torch.save({name: value * 0 for name, value in IsNet(width=1 / 16).state_dict().items()}, tmp_path / "a.pth")
    made = load_isnet(tmp_path / "a.pth", "cpu")(np.ones((1, 3, 64, 64), np.float32))
    assert (made == 0.5).all()


def test_outputs_of_use_in_training_are_passed_over(tmp_path: Path) -> None:
    network = IsNet(width=1 / 16).eval()
    sides = {f"side{number}.weight": torch.zeros(1, 4, 3, 3) for number in range(2, 7)}
    torch.save({**network.state_dict(), **sides}, tmp_path / "a.pth")
    pixels = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        expected = network(pixels).numpy()
    assert np.allclose(load_isnet(tmp_path / "a.pth", "cpu")(pixels.numpy()), expected)


@pytest.mark.parametrize("content", [{"conv_in.weight": torch.zeros(4, 3, 3, 3)}, {"other": torch.zeros(1)}, [1]])
def test_a_file_without_all_of_it_is_a_bad_model(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(EngineError) as refused:
        load_isnet(tmp_path / "a.pth", "cpu")
    assert refused.value.code is ErrorCode.BAD_MODEL
